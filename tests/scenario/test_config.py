# SPDX-License-Identifier: LGPL-2.1-or-later
"""Settings at start and at SIGHUP: what is wrong is named, and what was in force stays so."""
import signal

import pytest

import rsp


def reload(host, config, text):
    """Writes the file, sends SIGHUP; returns what the log says of it."""
    before = len(host.daemon.output())
    config.write_text(text)
    host.daemon.kill(signal.SIGHUP)
    return rsp.wait_until(lambda: [line for line in host.daemon.output()[before:].splitlines()
                                   if "settings" in line], 5, "word of the reload")


@pytest.mark.parametrize("text, status, said", [
    ("", 0, "fine"),
    ("[Daemon]\nLogLevel=loud\n", 1, ":2: LogLevel"),
    ("[Dæmon]\nLogLevel=info\n", 1, "did you mean [Daemon]"),
    ("[Agent]\nStaleCache=99d\n", 1, "allowed"),
    ("[Agent]\nNonsense=1\n", 1, "Nonsense"),
])
def test_check_config(world, text, status, said):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    config.write_text(text)
    result = host.run(rsp.RSPD, "--config", config, "--check-config")
    assert result.returncode == status
    assert said in result.stdout + result.stderr
    if ":2: " in said or said == "allowed":  # and rspd does not start with it
        result = host.run(rsp.RSPD, "--config", config, "--socket", host.socket, timeout=5)
        assert result.returncode == 1 and said in result.stderr


def test_reload(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    config.write_text("[Daemon]\nLogLevel=notice\n")
    host.start_rspd("--config", config)
    host.http_server("s", 8080, pool="web")
    host.wait_pes("web", 1)
    # A new suffix, and a rule for a program, count at once.
    (line,) = reload(host, config, "[Clients]\nSuffixes=.pool.alt .svc.alt\n"
                     "[Program /usr/bin/socat1]\nPool=echo\n")
    assert "read again" in line and "restart" not in line
    result = host.curl("http://web.svc.alt/")
    assert result.stdout == "s\n", result.stderr
    # Something wrong: said, and nothing changes.
    lines = reload(host, config, "[Clients]\nSuffixes=.pool.alt\n[Daemon]\nLogLevel=loud\n")
    assert any("nothing is changed" in line for line in lines), lines
    assert "LogLevel" in host.daemon.output()
    assert host.curl("http://web.svc.alt/").stdout == "s\n"
    # What needs a restart is named.
    (line,) = reload(host, config, "[Registrar]\nRole=no\n[Clients]\nCookieNet4=127.99.0.0/16\n")
    assert "CookieNet4" in line and "restart" in line, line
    assert host.curl("http://web.pool.alt/").stdout == "s\n"
    assert len(host.pes("web")) == 1


def test_reload_changes_who_may_join(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    config.write_text("")
    host.start_rspd("--config", config)
    host.http_server("s", 8080, pool="web")
    host.wait_pes("web", 1)
    host.start("socat", "TCP-LISTEN:8099,fork", "SYSTEM:cat", user=65534)
    host.wait_listening(8099)
    command = ("register", "web", "--port", 8099)
    assert host.rspctl(*command, user=65534).returncode == 4
    reload(host, config, "[Pool web]\nRegisterUsers=nobody\n")
    assert host.rspctl(*command, user=65534).returncode == 0
