# SPDX-License-Identifier: LGPL-2.1-or-later
"""Several hosts: who finds whom, and what happens when a registrar comes back."""
import signal

import pytest

import rsp

pytestmark = pytest.mark.sctp


def registrar_and_agent(world, *options):
    registrar = world.host("pr", "10.52.0.1")
    registrar.start_rspd(interfaces="eth0")
    agent = world.host("pe", "10.52.0.2")
    agent.start_rspd(*options, registrar="no", interfaces="eth0")
    return registrar, agent


MANY = """
import socket, signal, sys
held = [socket.create_server(('0.0.0.0', 20000 + n)) for n in range(int(sys.argv[1]))]
print('listening', flush=True)
signal.pause()
"""


def test_two_hundred_elements_over_sctp(world):
    registrar, agent = registrar_and_agent(world)
    halves = [agent.start(rsp.PYTHON, "-c", MANY.replace("20000", str(20000 + 1000 * n)), 100,
                          name=f"many{n}", pool="many") for n in range(2)]
    before = {pe["pe_id"] for pe in registrar.wait_pes("many", 200, deadline=30)}

    # Resolution on the registrar's host and over SCTP on the agent's.
    for host in (registrar, agent):
        resolved = host.ctl("resolve", "many", "-n", "5")
        assert len(resolved["pes"]) == 5

    # Failure of half of them.
    halves[0].kill()
    left = {pe["pe_id"] for pe in registrar.wait_pes("many", 100, deadline=15)}
    assert left < before

    # The registrar is restarted: its elements come back by themselves, the same ones.
    registrar.stop_rspd(signal.SIGKILL)
    registrar.start_rspd(interfaces="eth0")
    assert {pe["pe_id"] for pe in registrar.wait_pes("many", 100, deadline=30)} == left
    halves[1].kill()
    registrar.wait_pes("many", 0, deadline=15)


@pytest.mark.guest
def test_agent_host_that_vanishes_is_removed(world):
    registrar, agent = registrar_and_agent(world)
    agent.http_server("s", 8080, pool="web")
    registrar.wait_pes("web", 1, deadline=20)
    agent.ip("link", "set", "eth0", "down")
    registrar.wait_pes("web", 0, deadline=10)
    agent.ip("link", "set", "eth0", "up")
    registrar.wait_pes("web", 1, deadline=10)


@pytest.mark.guest
def test_new_address_is_registered(world):
    registrar, agent = registrar_and_agent(world)
    agent.http_server("s", 8080, pool="web")
    (pe,) = registrar.wait_pes("web", 1, deadline=20)
    assert pe["addresses"] == ["10.52.0.2"]
    agent.ip("address", "del", "10.52.0.2/24", "dev", "eth0")
    agent.ip("address", "add", "10.52.0.77/24", "dev", "eth0")
    rsp.wait_until(lambda: [p["addresses"] for p in registrar.pes("web")] == [["10.52.0.77"]], 10,
                   "the new address")
    assert registrar.curl().stdout == "s\n"


def test_addresses_the_association_does_not_show(world):
    """A host with three addresses on two links. Over userland SCTP the registrar sees one of them;
    elements that can only be reached at another are registered all the same, and those at all of
    them at the one on the registrar's link."""
    registrar = world.host("pr")
    agent = world.host("pe")
    client = world.host("pu")
    world.connect(registrar, "10.52.1.1", "eth0", "br1")
    world.connect(agent, "10.52.1.200", "eth0", "br1")
    world.connect(agent, "10.52.2.2", "eth1", "br2")
    world.connect(client, "10.52.1.3", "eth0", "br1")
    world.connect(client, "10.52.2.3", "eth1", "br2")
    agent.ip("address", "add", "10.52.1.2/24", "dev", "eth0")  # nearer to 10.52.1.1, if you count
    registrar.start_rspd("--transport", "usrsctp", interfaces="eth0")
    for host in (agent, client):
        host.start_rspd("--transport", "usrsctp", registrar="no", interfaces="eth0,eth1")
    agent.http_server("anywhere", 8080, pool="web")
    agent.http_server("second", 8081, pool="web", bind="10.52.1.2")
    agent.http_server("other-link", 8082, pool="web", bind="10.52.2.2")
    pes = {pe["port"]: pe["addresses"] for pe in registrar.wait_pes("web", 3, deadline=10)}
    assert pes == {8080: ["10.52.1.200"], 8081: ["10.52.1.2"], 8082: ["10.52.2.2"]}
    client.wait_pes("web", 3)
    assert {client.curl().stdout for _ in range(6)} == {"anywhere\n", "second\n", "other-link\n"}


@pytest.mark.guest
def test_static_registrar_behind_a_router(world):
    """Three hosts on three links that a router joins; no multicast crosses it. Two find each other
    because the registrar's link is theirs; the third has a static registrar."""
    router = world.host("router")
    near = world.host("near")
    registrar = world.host("pr")
    far = world.host("far")
    world.connect(router, "10.52.1.254", "eth1", "br1")
    world.connect(router, "10.52.2.254", "eth2", "br2")
    world.connect(registrar, "10.52.1.1", "eth0", "br1")
    world.connect(near, "10.52.1.2", "eth0", "br1")
    world.connect(far, "10.52.2.1", "eth0", "br2")
    router.run("sysctl", "-qw", "net.ipv4.ip_forward=1")
    for host in (registrar, near):
        host.ip("route", "add", "10.52.2.0/24", "via", "10.52.1.254")
    far.ip("route", "add", "10.52.1.0/24", "via", "10.52.2.254")

    registrar.start_rspd(interfaces="eth0")
    near.start_rspd(registrar="no", interfaces="eth0")
    far.start_rspd("--registrars", "10.52.1.1", registrar="no", interfaces="eth0")
    for host in (registrar, near, far):
        host.http_server(host.name, 8080, pool="web")
    for host in (registrar, near, far):
        host.wait_pes("web", 3, deadline=30)
        seen = set()
        for _ in range(6):
            result = host.curl()
            assert result.returncode == 0, result.stderr
            seen.add(result.stdout.strip())
        assert seen == {"pr", "near", "far"}


@pytest.mark.guest
def test_two_scopes_on_one_link_do_not_mix(world):
    first = world.host("one", "10.52.0.1")
    second = world.host("two", "10.52.0.2")
    first.start_rspd(interfaces="eth0")
    scope, world.scope = world.scope, "other"
    second.start_rspd(interfaces="eth0")
    world.scope = scope
    for host in (first, second):
        host.http_server(host.name, 8080, pool="web")
        host.wait_pes("web", 1)
    third = world.host("three", "10.52.0.3")
    third.start_rspd(registrar="no", interfaces="eth0")
    assert [pe["addresses"] for pe in third.wait_pes("web", 1, deadline=20)] == [["10.52.0.1"]]


@pytest.mark.guest
def test_cache_serves_when_every_registrar_is_dead(world):
    registrar, agent = registrar_and_agent(world)
    registrar.http_server("s", 8080, pool="web")
    rsp.wait_until(lambda: agent.curl().stdout == "s\n", 20, "the pool on the other host")
    registrar.stop_rspd(signal.SIGKILL)
    rsp.wait_until(lambda: "no registrar" in agent.rspctl("status").stdout, 20, "status says so")
    for _ in range(5):
        assert agent.curl().stdout == "s\n"
