# SPDX-License-Identifier: LGPL-2.1-or-later
"""With the daemon down: ordinary traffic is untouched, a pool name fails at once and clearly, and
when the daemon is back everything works again."""
import signal
import threading
import time

import rsp


def test_pool_name_fails_at_once(world):
    host = world.host("a")
    before = time.monotonic()
    result = host.curl()
    assert result.returncode == 6, result.stderr  # could not resolve host
    assert time.monotonic() - before < 2


def test_ordinary_traffic_is_untouched(world):
    host = world.host("a")
    host.http_server("plain", 8080, pool="web")
    result = host.curl("http://127.0.0.1:8080/")
    assert (result.returncode, result.stdout) == (0, "plain\n"), result.stderr


def test_rspctl_says_that_there_is_none(world):
    host = world.host("a")
    result = host.rspctl("status")
    assert result.returncode == 3
    assert result.stderr.startswith("rspctl: ") and str(host.socket) in result.stderr
    assert result.stdout == ""


def test_servers_join_when_the_daemon_comes(world):
    host = world.host("a")
    host.http_server("early", 8080, pool="web")
    host.start_rspd()
    host.wait_pes("web", 1, deadline=15)
    assert host.curl().stdout == "early\n"


def test_daemon_restart_keeps_the_pool(world):
    host = world.host("a")
    host.start_rspd()
    servers = [host.http_server(f"s{n}", 8080 + n, pool="web") for n in range(2)]
    ids = {pe["pe_id"] for pe in host.wait_pes("web", 2)}
    host.stop_rspd(rsp.signal.SIGKILL)
    servers[0].kill()
    host.start_rspd()
    assert {pe["pe_id"] for pe in host.wait_pes("web", 1)} < ids
    assert host.curl().stdout == "s1\n"


def test_daemon_that_is_busy_is_waited_for(agent):
    """A daemon that gets no processor for two seconds is not away."""
    agent.http_server("s", 8080, pool="web")
    agent.wait_pes("web", 1)
    agent.daemon.kill(signal.SIGSTOP)
    threading.Timer(2, agent.daemon.kill, [signal.SIGCONT]).start()
    result = agent.curl()
    assert (result.returncode, result.stdout) == (0, "s\n"), result.stderr
