# SPDX-License-Identifier: LGPL-2.1-or-later
"""rspd killed and restarted under load: connections live on, elements come back, none lost, no
ghost."""
import collections
import signal
import time

import pytest

import rsp


@pytest.mark.alone
@pytest.mark.brief
def test_killed_under_load(agent):
    for n in range(4):
        agent.http_server(f"s{n}", 8080 + n, pool="web")
    before = {pe["pe_id"] for pe in agent.wait_pes("web", 4)}
    agent.start("socat", "TCP-LISTEN:8090,fork,reuseaddr", "SYSTEM:cat", pool="echo")
    agent.wait_pes("echo", 1)
    held = agent.start("socat", "-", "TCP:echo.pool.alt:1", name="held", shim=True,
                       stdin=rsp.subprocess.PIPE)
    held.popen.stdin.write(b"one\n")
    held.popen.stdin.flush()
    rsp.wait_until(lambda: "one" in held.output(), 5, "an echo")
    program = """
import socket, sys, time
end = time.monotonic() + 6
while time.monotonic() < end:
    try:
        s = socket.create_connection(('web.pool.alt', 80), timeout=5)
        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
        while s.recv(4096):
            pass
        s.close()
        print('ok', flush=True)
    except OSError as error:
        print(type(error).__name__, error, flush=True)
"""
    load = agent.start(rsp.PYTHON, "-c", program, name="load", shim=True)
    rsp.wait_until(lambda: "ok" in load.output(), 5, "load")
    registrar = "no" if hasattr(agent, "registrar") else "yes"
    interfaces = "eth0" if hasattr(agent, "registrar") else "lo"
    for _ in range(2):
        agent.stop_rspd(signal.SIGKILL)
        back = time.monotonic()
        agent.start_rspd(registrar=registrar, interfaces=interfaces)
        after = {pe["pe_id"] for pe in agent.wait_pes("web", 4)}
        took = time.monotonic() - back
        print(f"{took:.2f} s")
        assert took < 2
        assert after == before
    held.popen.stdin.write(b"two\n")
    held.popen.stdin.flush()
    rsp.wait_until(lambda: "two" in held.output(), 5, "an echo on the old connection")
    assert load.wait(30) == 0
    # By now the registrar has noticed that the old associations are dead: that hurts nobody.
    assert {pe["pe_id"] for pe in agent.pes("web")} == before
    if registrar == "no":
        assert {pe["pe_id"] for pe in agent.registrar.pes("web")} == before
    lines = collections.Counter(load.output().splitlines())
    print(dict(lines))
    assert lines["ok"] > 50 and set(lines) == {"ok"}, lines  # its last answer served meanwhile


def test_server_that_died_meanwhile_is_no_ghost(agent):
    servers = [agent.http_server(f"s{n}", 8080 + n, pool="web") for n in range(3)]
    agent.wait_pes("web", 3)
    registrar = "no" if hasattr(agent, "registrar") else "yes"
    interfaces = "eth0" if hasattr(agent, "registrar") else "lo"
    agent.stop_rspd(signal.SIGKILL)
    servers[0].kill()
    servers[0].wait()
    agent.start_rspd(registrar=registrar, interfaces=interfaces)
    agent.wait_pes("web", 2)
    for server in servers[1:]:
        server.kill()
    agent.wait_pes("web", 0)


@pytest.mark.guest
def test_orderly_stop_and_return(agent):
    agent.http_server("s", 8080, pool="web")
    (before,) = agent.wait_pes("web", 1)
    registrar = "no" if hasattr(agent, "registrar") else "yes"
    interfaces = "eth0" if hasattr(agent, "registrar") else "lo"
    agent.stop_rspd()
    if registrar == "no":
        agent.registrar.wait_pes("web", 0, deadline=2)  # it said goodbye, nobody had to find out
    agent.start_rspd(registrar=registrar, interfaces=interfaces)
    (after,) = agent.wait_pes("web", 1)
    assert before["pe_id"] == after["pe_id"]


@pytest.mark.guest
def test_adopted_server_survives_too(agent):
    server = agent.http_server("s", 8080)
    assert agent.rspctl("register", "web", "--port", 8080).returncode == 0
    agent.wait_pes("web", 1)
    registrar = "no" if hasattr(agent, "registrar") else "yes"
    interfaces = "eth0" if hasattr(agent, "registrar") else "lo"
    agent.stop_rspd(signal.SIGKILL)
    agent.start_rspd(registrar=registrar, interfaces=interfaces)
    agent.wait_pes("web", 1)
    server.kill()
    agent.wait_pes("web", 0)


@pytest.mark.parametrize("port_is_taken", [False, True])
def test_adopted_server_that_died_meanwhile_is_never_handed_out(agent, port_is_taken):
    """Not even for the moment until the watch has looked at its socket."""
    servers = [agent.http_server(f"s{n}", 8080 + n) for n in range(2)]
    for n in range(2):
        assert agent.rspctl("register", "web", "--port", 8080 + n).returncode == 0
    (gone,) = (pe["pe_id"] for pe in agent.wait_pes("web", 2) if pe["port"] == 8080)
    registrar = "no" if hasattr(agent, "registrar") else "yes"
    interfaces = "eth0" if hasattr(agent, "registrar") else "lo"
    agent.stop_rspd(signal.SIGKILL)
    servers[0].kill()
    servers[0].wait()
    if port_is_taken:  # by another server, which nobody has registered
        agent.http_server("other", 8080)
    agent.start_rspd("--log-level", "info", registrar=registrar, interfaces=interfaces)
    agent.wait_pes("web", 1)
    assert gone not in agent.daemon.output()
    servers[1].kill()
    agent.wait_pes("web", 0)


@pytest.mark.parametrize("text", ["", "garbage", "version=99\n", "\0" * 4096],
                         ids=["empty", "garbage", "future", "zeros"])
def test_damaged_record_harms_nobody(world, text):
    host = world.host("a")
    host.start_rspd()
    for n in range(2):
        host.http_server(f"s{n}", 8080 + n, pool="web")
    host.wait_pes("web", 2)
    host.stop_rspd(signal.SIGKILL)
    records = sorted(p for p in host.socket.parent.rglob("pe/*") if p.is_file())
    assert len(records) == 2
    records[0].write_text(text)
    host.start_rspd()
    host.wait_pes("web", 1)
