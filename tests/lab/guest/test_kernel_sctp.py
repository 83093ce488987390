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


@pytest.mark.parametrize("at_registrar", ["kernel", "usrsctp"])
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
