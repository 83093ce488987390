# SPDX-License-Identifier: LGPL-2.1-or-later
"""Registrar and agents on different hosts, over the kernel's SCTP."""
import signal

import pytest

import rsp

UDP_PORT = 9899


def backend(host):
    return host.ctl("status")["sctp"]


def home(host):
    return int(host.ctl("status")["home_registrar"], 16)


def test_registrar_and_two_agents(world):
    registrar = world.host("pr", "10.52.0.1")
    agents = [world.host(f"pe{n}", f"10.52.0.{n}") for n in (2, 3)]
    registrar.start_rspd("--set", "Registrar.KeepAlive=300ms", interfaces="eth0")
    for host in agents:
        host.start_rspd(registrar="no", interfaces="eth0")
    assert {backend(host) for host in [registrar, *agents]} == {"kernel"}
    servers = [host.http_server(host.name, 8080, pool="web") for host in agents]
    pes = registrar.wait_pes("web", 2, 20)
    assert sorted(pe["addresses"] for pe in pes) == [["10.52.0.2"], ["10.52.0.3"]]

    # Everybody reaches everybody.
    for host in [registrar, *agents]:
        host.wait_pes("web", 2, 10)
        assert {host.curl().stdout for _ in range(4)} == {"pe2\n", "pe3\n"}

    # A server that is killed is gone everywhere, and comes back where it is started again.
    servers[0].kill()
    (left,) = registrar.wait_pes("web", 1, 5)
    assert left["addresses"] == ["10.52.0.3"]
    assert agents[1].curl().stdout == "pe3\n"
    agents[0].http_server("again", 8080, pool="web")
    registrar.wait_pes("web", 2, 10)

    # The registrar is killed and started: the same elements come back by themselves.
    before = {pe["pe_id"] for pe in registrar.pes("web")}
    registrar.stop_rspd(signal.SIGKILL)
    registrar.start_rspd("--set", "Registrar.KeepAlive=300ms", interfaces="eth0")
    assert {pe["pe_id"] for pe in registrar.wait_pes("web", 2, 30)} == before

    # A host is unplugged and plugged in again.
    agents[1].ip("link", "set", "eth0", "down")
    (left,) = registrar.wait_pes("web", 1, 10)
    assert left["addresses"] == ["10.52.0.2"]
    agents[1].ip("link", "set", "eth0", "up")
    registrar.wait_pes("web", 2, 30)


def test_frozen_agent_is_noticed_by_keep_alives(world):
    """Its kernel keeps the association and answers heartbeats."""
    registrar = world.host("pr", "10.52.0.1")
    agent = world.host("pe", "10.52.0.2")
    registrar.start_rspd("--set", "Registrar.KeepAlive=300ms", "--set",
                         "Registrar.KeepAliveTimeout=1s", interfaces="eth0")
    agent.start_rspd(registrar="no", interfaces="eth0")
    agent.http_server("s", 8080, pool="web")
    registrar.wait_pes("web", 1, 20)
    agent.daemon.kill(signal.SIGSTOP)
    registrar.wait_pes("web", 0, 10)
    agent.daemon.kill(signal.SIGCONT)
    registrar.wait_pes("web", 1, 20)


def test_another_network_takes_over(world):
    """Two networks between the hosts; one is pulled: the association moves over, nothing is
    registered anew."""
    registrar = world.host("pr", "10.52.0.1")
    agent = world.host("pe", "10.52.0.2")
    world.connect(registrar, "10.53.0.1", "eth1", "br1")
    world.connect(agent, "10.53.0.2", "eth1", "br1")
    registrar.start_rspd(interfaces="eth0 eth1")
    agent.start_rspd(registrar="no", interfaces="eth0 eth1")
    agent.http_server("s", 8080, pool="web")
    (before,) = registrar.wait_pes("web", 1, 20)
    events = registrar.start(rsp.RSPCTL, "monitor", "web")
    world.switch.ip("link", "set", "br0", "down")

    # The path over the other network carries requests before the first one is given up.
    agent.http_server("t", 8081, pool="web")
    pes = {pe["pe_id"]: pe for pe in registrar.wait_pes("web", 2, 10)}
    assert pes[before["pe_id"]]["age_ms"] >= before["age_ms"]
    assert home(agent) == home(registrar)
    assert before["pe_id"] not in events.output()


def encapsulate(host):
    """The kernel of a host takes SCTP in UDP, and sends it to those it hears it from."""
    for key in ("udp_port", "encap_port"):
        result = host.run("sysctl", "-qw", f"net.sctp.{key}={UDP_PORT}")
        assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("at_registrar", [
    pytest.param("kernel", marks=pytest.mark.full), "usrsctp"])
def test_kernel_and_userland_in_one_scope(world, at_registrar):
    """UDP encapsulation (RFC 6951) on the kernel's side; registration, resolution, loss and return
    both ways."""
    at_agent = "usrsctp" if at_registrar == "kernel" else "kernel"
    registrar = world.host("pr", "10.52.0.1")
    agent = world.host("pe", "10.52.0.2")
    for host, kind in ((registrar, at_registrar), (agent, at_agent)):
        options = ["--udp-port", UDP_PORT, "--transport", kind]
        if kind == "kernel":
            encapsulate(host)
            options += ["--set", "Network.Encapsulate=yes"]
        host.start_rspd(*options, registrar="yes" if host is registrar else "no",
                        interfaces="eth0")
        assert backend(host) == kind
    near = registrar.http_server("near", 8080, pool="web")
    agent.http_server("far", 8080, pool="web")
    for host in (registrar, agent):
        host.wait_pes("web", 2, 30)
        assert {host.curl().stdout for _ in range(4)} == {"near\n", "far\n"}
    near.kill()
    for host in (registrar, agent):
        host.wait_pes("web", 1, 10)
        assert host.curl().stdout == "far\n"
    agent.ip("link", "set", "eth0", "down")
    registrar.wait_pes("web", 0, 15)
    agent.ip("link", "set", "eth0", "up")
    registrar.wait_pes("web", 1, 30)


# Writes INITs of hosts that are not there, so that nobody answers the answers.
INITS = """
import socket, struct, sys
source, target, port, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
table = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ 0x82f63b78 & -(n & 1)
    table.append(n)

def crc32c(octets):
    value = 0xffffffff
    for octet in octets:
        value = table[(value ^ octet) & 255] ^ value >> 8
    return value ^ 0xffffffff

out = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
out.setsockopt(socket.IPPROTO_IP, socket.IP_HDRINCL, 1)
for n in range(count):
    chunk = struct.pack('!BBHIIHHI', 1, 0, 20, n + 1, 65536, 2, 2, 1)
    packet = struct.pack('!HHII', 1024 + n % 60000, port, 0, 0) + chunk
    packet = packet[:8] + struct.pack('<I', crc32c(packet)) + packet[12:]
    head = struct.pack('!BBHHHBBH4s4s', 0x45, 0, 20 + len(packet), 0, 0, 64, 132, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    out.sendto(head + packet, (target, 0))
"""


def kernel_sctp(host):
    """Associations the kernel holds for the host, and its counters."""
    table = host.run("cat", "/proc/net/sctp/assocs").stdout.splitlines()[1:]
    lines = host.run("cat", "/proc/net/sctp/snmp").stdout.splitlines()
    return len(table), {name: int(value) for name, value in map(str.split, lines)}


def test_half_open_associations_are_nothing_to_the_kernel(world):
    """RFC 9260 §5.1.3: an INIT is answered by a cookie, and nothing is kept of it. So there is no
    limit to set where the kernel speaks SCTP."""
    registrar = world.host("pr", "10.52.0.1")
    agent = world.host("pe", "10.52.0.2")
    flooder = world.host("flooder", "10.52.0.3")
    registrar.start_rspd(interfaces="eth0")
    agent.start_rspd(registrar="no", interfaces="eth0")
    agent.http_server("s", 8080, pool="web")
    registrar.wait_pes("web", 1, 20)
    port = next(r["port"] for r in agent.ctl("registrar", "list")["registrars"] if r["port"])
    held, before = kernel_sctp(registrar)
    result = flooder.run(rsp.PYTHON, "-c", INITS, "10.52.0.99", "10.52.0.1", port, 5000,
                         timeout=100)
    assert result.returncode == 0, result.stderr
    still, after = kernel_sctp(registrar)
    gained = {name: after[name] - before[name] for name in after}
    print(f"of 5000 INITs: {gained}")
    assert gained["SctpInSCTPPacks"] >= 5000
    assert gained["SctpOutCtrlChunks"] >= 4500  # each has its INIT ACK
    assert gained["SctpPassiveEstabs"] == 0 and gained["SctpCurrEstab"] == 0
    assert still == held
    agent.http_server("t", 8081, pool="web")  # and it serves
    registrar.wait_pes("web", 2, 20)
