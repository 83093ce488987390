# SPDX-License-Identifier: LGPL-2.1-or-later
"""A server that listens but does not serve: withheld while it hangs, back when it lives."""
import signal
import time

import pytest

import rsp

pytestmark = pytest.mark.alone

ACCEPT_SLOWLY = """
import socket, time, select
s = socket.create_server(('0.0.0.0', 8080), backlog=100)
poll = select.poll()
while True:
    conn = s.accept()[0]
    conn.sendall(b'HTTP/1.0 200 OK\\r\\n\\r\\nslow\\n')
    conn.close()
    poll.poll(GAP)
"""


def state(host, port):
    return {pe["port"]: pe["state"] for pe in host.pes("web", local=True)}.get(port)


def withheld(host, port):
    return state(host, port) == "withheld"


def only(host, label, count=6):
    for _ in range(count):
        result = host.curl(timeout=5)
        assert (result.returncode, result.stdout) == (0, label), result.stderr


def test_stopped_server_without_probe(agent):
    stopped = agent.http_server("s0", 8080, pool="web")
    agent.http_server("s1", 8081, pool="web")
    agent.wait_pes("web", 2)
    stopped.kill(signal.SIGSTOP)
    knocks = [agent.start("socat", "-u", "TCP:127.0.0.1:8080", "-", name="knock") for _ in range(2)]
    before = time.monotonic()
    rsp.wait_until(lambda: withheld(agent, 8080), 5, "withheld")
    assert time.monotonic() - before < 1.5  # 1 s by the kernel's counters, and the asking
    only(agent, "s1\n")
    for knock in knocks:
        knock.kill()
    stopped.kill(signal.SIGCONT)
    rsp.wait_until(lambda: state(agent, 8080) == "up", 10, "back")
    rsp.wait_until(lambda: agent.curl().stdout == "s0\n", 5, "served again")


def test_stopped_server_with_probe(agent):
    stopped = agent.http_server("s0", 8080, pool="web",
                                env={"RSP_PROBE": "http:/", "RSP_PROBE_MS": "500"})
    agent.http_server("s1", 8081, pool="web")
    agent.wait_pes("web", 2)
    stopped.kill(signal.SIGSTOP)
    before = time.monotonic()
    rsp.wait_until(lambda: withheld(agent, 8080), 5, "withheld")
    assert time.monotonic() - before < 2 * 0.5 + 0.5
    only(agent, "s1\n")
    stopped.kill(signal.SIGCONT)
    rsp.wait_until(lambda: state(agent, 8080) == "up", 10, "back")


@pytest.mark.parametrize("gap_ms, count",
                         [(150, 25), pytest.param(3000, 5, marks=pytest.mark.full)])
def test_slow_server_that_accepts_is_never_withheld(agent, gap_ms, count):
    agent.start(rsp.PYTHON, "-c", ACCEPT_SLOWLY.replace("GAP", str(gap_ms)), name="slow", pool="web")
    agent.wait_pes("web", 1)
    clients = [agent.start("curl", "-s", "--max-time", "30", "http://127.0.0.1:8080/", name="many")
               for _ in range(count)]
    while any(client.running() for client in clients):
        assert state(agent, 8080) == "up"
    assert "local-withheld" not in agent.daemon.output()
    assert agent.curl().stdout == "slow\n"


NEVER_ACCEPT = "import socket, signal; s = socket.create_server(('0.0.0.0', 8080)); signal.pause()"


def test_server_that_runs_but_never_accepts(world):
    agent = world.host("h")
    agent.start_rspd("--set", "Agent.HangAfter=1s")
    agent.start(rsp.PYTHON, "-c", NEVER_ACCEPT, name="stuck", pool="web")
    agent.wait_pes("web", 1)

    def withheld_though_clients_come():
        agent.start("socat", "-u", "TCP:127.0.0.1:8080", "-", name="knock")
        return withheld(agent, 8080)
    rsp.wait_until(withheld_though_clients_come, 5, "withheld")
    assert "nobody accepts" in agent.daemon.output()


def test_exec_probe_runs_as_the_caller(agent):
    flag = agent.dir / "healthy"
    flag.touch()
    agent.start(rsp.RSPCTL, "run", "--pool", "web", "--probe", f"exec:test -e {flag}",
                "--probe-interval", "300ms", "--", rsp.PYTHON, "-m", "http.server", 8080,
                name="probed")
    agent.wait_pes("web", 1)
    flag.unlink()
    rsp.wait_until(lambda: withheld(agent, 8080), 5, "withheld")
    flag.touch()
    rsp.wait_until(lambda: state(agent, 8080) == "up", 5, "back")
