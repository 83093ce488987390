# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may join, as the registrar sees it: source prefixes. The refusal reaches the user of the
agent's host, with the reason."""
import pytest

import rsp


@pytest.mark.sctp
@pytest.mark.parametrize("settings", ["[Registrar]\nAllowFrom=192.0.2.0/24\n",
                                      "[Pool web]\nRegisterFrom=192.0.2.0/24\n"])
def test_registrar_refuses_hosts_of_other_prefixes(world, settings):
    registrar = world.host("pr", "10.52.0.1")
    host = world.host("a", "10.52.0.2")
    config = registrar.dir / "rspd.conf"
    config.write_text(settings)
    registrar.start_rspd("--config", config, interfaces="eth0")
    # The program hears the registrar's own word, however busy this machine is.
    host.start_rspd("--set", "Clients.RegisterWait=20s", registrar="no", interfaces="eth0")
    rsp.wait_until(lambda: host.ctl("registrar", "list")["registrars"], 20, "a registrar heard")
    host.http_server("s", 8080)
    result = host.rspctl("register", "web", "--port", 8080)
    assert result.returncode in (1, 4), result
    assert "prefixes" in result.stderr and "0xa" in result.stderr, result.stderr
    assert host.pes("web") == [] and registrar.pes("web") == []
    assert "from 10.52.0.2 refused" in registrar.daemon.output()
    server = host.http_server("t", 8081, pool="web", env={"RSP_LOG": "stderr"})
    rsp.wait_until(lambda: "did not join" in server.output(), 20, "the refusal")
    assert "prefix" in server.output(), server.output()
    if "[Pool" in settings:  # other pools are open
        assert host.rspctl("register", "other", "--port", 8080).returncode == 0
