# SPDX-License-Identifier: LGPL-2.1-or-later
"""Servers restarted one after another under load."""
import collections
import signal
import threading
import time

import pytest

import rsp

CLIENT = """
import socket, sys, time
rate, end = float(sys.argv[1]), time.monotonic() + float(sys.argv[2])
due = time.monotonic()
while time.monotonic() < end:
    try:
        s = socket.create_connection(('web.pool.alt', 80), timeout=10)
    except OSError as error:
        print('connect', error.errno, flush=True)
        continue
    try:
        s.sendall(b'GET / HTTP/1.0\\r\\n\\r\\n')
        text = b''
        while part := s.recv(4096):
            text += part
        print('ok' if text.endswith(b'\\n') else 'short', flush=True)
    except OSError as error:
        print('transfer', error.errno, flush=True)
    s.close()
    due += 1 / rate
    time.sleep(max(0, due - time.monotonic()))  # paces the load; nothing waits for it
"""


def rolling_restart(host, stop):
    """Four servers under 200 requests/s in all; `stop` ends one, then it is started anew."""
    servers = [host.http_server(f"s{n}", 8080 + n, pool="web") for n in range(4)]
    host.wait_pes("web", 4)
    clients = [host.start(rsp.PYTHON, "-c", CLIENT, 50, 12, name=f"load{n}", shim=True)
               for n in range(4)]
    rsp.wait_until(lambda: all("ok" in c.output() for c in clients), 10, "load")
    for n, server in enumerate(servers):
        stop(host, server, 8080 + n)
        server.wait(15)
        host.http_server(f"s{n}", 8080 + n, pool="web")
        host.wait_pes("web", 4)
    for client in clients:
        assert client.wait(40) == 0, client.output()[-500:]
    lines = [line for client in clients for line in client.output().splitlines()]
    counts = collections.Counter(" ".join(line.split()) for line in lines)
    print(dict(counts))
    assert counts["ok"] > 1500, counts
    return counts


def by_drain(host, server, port):
    (pe_id,) = [pe["pe_id"] for pe in host.pes("web") if pe["port"] == port]
    result = host.rspctl("pe", "drain", pe_id, "--wait", "--timeout", "20s")
    assert result.returncode == 0, result.stderr
    server.kill(signal.SIGTERM)


def by_sigterm(_host, server, _port):
    server.kill(signal.SIGTERM)


@pytest.mark.alone
@pytest.mark.brief
def test_with_drain_nothing_fails(agent):
    counts = rolling_restart(agent, by_drain)
    assert counts.keys() == {"ok"}, counts


@pytest.mark.alone
@pytest.mark.brief
def test_with_plain_sigterm_no_connect_fails(agent):
    counts = rolling_restart(agent, by_sigterm)
    assert not [key for key in counts if key.startswith("connect")], counts


@pytest.mark.guest
def test_drained_element_takes_no_new_connection_and_can_return(agent):
    agent.http_server("s0", 8080, pool="web")
    agent.http_server("s1", 8081, pool="web")
    pes = {pe["port"]: pe["pe_id"] for pe in agent.wait_pes("web", 2)}
    assert agent.rspctl("pe", "drain", pes[8080]).returncode == 0
    assert {agent.curl().stdout for _ in range(6)} == {"s1\n"}
    assert agent.rspctl("pe", "undrain", pes[8080]).returncode == 0
    rsp.wait_until(lambda: agent.curl().stdout == "s0\n", 5, "the return")


def test_wait_lasts_until_the_last_connection_is_gone(agent):
    agent.start("socat", "TCP-LISTEN:8080,fork,reuseaddr", "SYSTEM:cat", pool="web")
    (pe,) = agent.wait_pes("web", 1)
    client = agent.start("socat", "-u", "TCP:web.pool.alt:1", "-", name="holder", shim=True)
    rsp.wait_until(lambda: ":8080" in agent.run("ss", "-Htn", "state", "established").stdout, 5,
                   "the connection")
    early = agent.rspctl("pe", "drain", pe["pe_id"], "--wait", "--timeout", "1s")
    assert early.returncode == 6, early
    done = {}

    def drain():
        done["result"] = agent.rspctl("pe", "drain", pe["pe_id"], "--wait", "--timeout", "20s")
        done["at"] = time.monotonic()
    waiting = threading.Thread(target=drain)
    waiting.start()
    ended = time.monotonic()
    client.kill()
    waiting.join()
    assert done["result"].returncode == 0 and done["at"] > ended


@pytest.mark.parametrize("wanted", ["0xffffff01", "nonsense"])
def test_unknown_element(agent, wanted):
    result = agent.rspctl("pe", "drain", wanted)
    assert result.returncode in (2, 5) and "rspctl:" in result.stderr
