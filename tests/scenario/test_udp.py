# SPDX-License-Identifier: LGPL-2.1-or-later
"""A pool of UDP servers: dig against dnsmasq."""
import time

import pytest

import rsp


def dnsmasq(host, label, port):
    return host.start("dnsmasq", "--no-daemon", "--conf-file=/dev/null", "--no-resolv", "--no-hosts",
                      f"--port={port}", "--listen-address=127.0.0.1", "--bind-interfaces",
                      f"--txt-record=who.test,{label}", "--user=root", name=f"dns-{label}",
                      shim=True, env={"RSP_BIND": f"udp:{port}=dns"})


def ask(host, *options):
    return host.run("dig", "+short", "+timeout=2", *options, "@dns.pool.alt", "who.test", "TXT",
                    shim=True)


@pytest.mark.guest
def test_dig_is_answered_by_a_living_server(agent):
    servers = {f"d{n}": dnsmasq(agent, f"d{n}", 5300 + n) for n in range(2)}
    agent.wait_pes("dns", 2)
    seen = {ask(agent).stdout.strip().strip('"') for _ in range(4)}
    assert seen == {"d0", "d1"}
    servers["d0"].kill()
    for _ in range(4):  # from the very next datagram on
        result = ask(agent, "+tries=1")
        assert result.stdout.strip() == '"d1"', result.stdout + result.stderr
    agent.wait_pes("dns", 1)


def test_unreachable_port_becomes_a_failure_report(agent):
    """An element that nobody serves: the ICMP error on a connected socket is reported, and the next
    datagram goes to another."""
    server = dnsmasq(agent, "d0", 5300)
    agent.wait_pes("dns", 1)
    program = """
import socket, signal
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 5301))
import ctypes, os
libc = ctypes.CDLL(None)
libc.syscall(3, s.fileno())  # close(2) unseen by the shim: the life fd stays, the port is shut
signal.pause()
"""
    liar = agent.start(rsp.PYTHON, "-c", program, name="liar", shim=True,
                       env={"RSP_BIND": "udp:5301=dns"})
    agent.wait_pes("dns", 2)

    def reported():
        began = time.monotonic()
        ask(agent, "+tries=1", "+timeout=1")
        return began if "pe-unreachable" in agent.daemon.output() else None
    began = rsp.wait_until(reported, 20, "the failure report")
    # UDP cannot be probed: after a second the element gets another chance, not before.
    asked = 0
    while True:
        answer = ask(agent, "+tries=1").stdout.strip()
        if time.monotonic() - began > 0.95:
            break
        assert answer == '"d0"'
        asked += 1
    assert asked > 0
    assert liar.running() and server.running()


@pytest.mark.parametrize("client", [
    ["nc", "-u", "-w1", "who.pool.alt", "1"],
    ["socat", "-t1", "-", "UDP:who.pool.alt:1"],
    ["socat", "-t1", "-", "UDP-DATAGRAM:who.pool.alt:1"],
    ["socat", "-t1", "-", "UDP6:who.pool.alt:1"],
])
def test_other_clients(world, client):
    """Connected and unconnected sockets, IPv4 and IPv6 ones."""
    host = world.agent("inprocess")
    for n in range(2):
        host.start("socat", f"UDP-RECVFROM:{9000 + n},fork", f"SYSTEM:sed -u s/hi/s{n}/",
                   name=f"s{n}", shim=True, env={"RSP_POOL": "who", "RSP_PROTO": "udp"})
    host.wait_pes("who", 2)
    heard = {host.run(*client, stdin="hi\n", shim=True).stdout.strip() for _ in range(2)}
    assert heard == {"s0", "s1"}
