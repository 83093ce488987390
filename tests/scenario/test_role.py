# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who becomes registrar where nobody was told to be: two to five in a scope, and soon."""
import signal
import time

import pytest

import rsp


def roles(*hosts):
    return [host.ctl("status")["role"] for host in hosts]


def registrars(*hosts):
    return roles(*hosts).count("agent+registrar")


def settled(host):
    """Decided: the daemon does not listen for others any more."""
    return host.ctl("status")["state"] == "up"


def start_auto(*hosts):
    """Starts daemons with no role given, as nearly at once as it can be done."""
    for host in hosts:
        command = [rsp.RSPD, "--socket", host.socket, "--runtime-dir", host.socket.parent,
                   "--scope", host.world.scope, "--interfaces", "eth0"]
        host.daemon = host.start(*command, name="rspd")


@pytest.mark.sctp
@pytest.mark.parametrize("attempt", [0, pytest.param(1, marks=pytest.mark.full),
                                     pytest.param(2, marks=pytest.mark.full)])
def test_two_hosts_started_together(world, attempt):
    one = world.host("one", "10.52.0.1")
    two = world.host("two", "10.52.0.2")
    hosts = (one, two)
    start_auto(*hosts)
    for host in hosts:
        rsp.wait_until(host._answers, 5, "an answer of rspd")
        host.http_server(host.name, 8080, pool="web")
        host.wait_pes("web", 1)  # each serves its own host at once
        assert host.curl().stdout == f"{host.name}\n"
    for host in hosts:
        host.wait_pes("web", 2)  # how soon is measured in tests/netns, without company
    rsp.wait_until(lambda: all(settled(host) for host in hosts), 5, "both have decided")
    assert registrars(*hosts) == 2
    for host in hosts:
        assert {host.curl().stdout for _ in range(4)} == {"one\n", "two\n"}
        assert len(host.pes("web")) == 2


@pytest.mark.sctp
def test_two_networks_become_one(world):
    """Each has its registrar; where they meet, they share what they have."""
    one = world.host("one", "10.52.0.1")
    two = world.host("two", "10.52.0.2")
    two.ip("link", "set", "eth0", "down")
    for host in (one, two):
        host.start_rspd(registrar="auto", interfaces="eth0")
        host.http_server(host.name, 8080, pool="web")
        host.wait_pes("web", 1)
    rsp.wait_until(lambda: settled(one) and settled(two), 10, "both have decided")
    assert registrars(one, two) == 2
    two.ip("link", "set", "eth0", "up")
    for host in (one, two):
        host.wait_pes("web", 2, deadline=10)
    assert registrars(one, two) == 2
    for host in (one, two):
        assert {host.curl().stdout for _ in range(4)} == {"one\n", "two\n"}


@pytest.mark.sctp
def test_of_too_many_one_steps_down(world):
    """Where one is wanted at most, two that meet agree on who stays, and no element is missed."""
    one = world.host("one", "10.52.0.1")
    two = world.host("two", "10.52.0.2")
    two.ip("link", "set", "eth0", "down")
    limits = ("--set", "Registrar.Wanted=1", "--set", "Registrar.Most=1")
    for host in (one, two):
        host.start_rspd(*limits, registrar="auto", interfaces="eth0")
        host.http_server(host.name, 8080, pool="web")
        host.wait_pes("web", 1)
    rsp.wait_until(lambda: settled(one) and settled(two), 10, "both have decided")
    two.ip("link", "set", "eth0", "up")
    rsp.wait_until(lambda: registrars(one, two) == 1, 10, "one registrar")
    for host in (one, two):
        host.wait_pes("web", 2, deadline=10)


@pytest.mark.sctp
def test_one_that_comes_later_stays_agent(world):
    first = world.host("first", "10.52.0.1")
    second = world.host("second", "10.52.0.2")
    late = world.host("late", "10.52.0.3")
    for host in (first, second):
        host.start_rspd(registrar="yes", interfaces="eth0")
    for host in (first, second):
        rsp.wait_until(lambda h=host: len(h.ctl("registrar", "list")["registrars"]) == 2, 15,
                       "they have found each other")
    begin = time.monotonic()
    late.start_rspd(registrar="auto", interfaces="eth0")
    rsp.wait_until(lambda: settled(late) and roles(late) == ["agent"], 5, "decided")
    rsp.wait_until(lambda: len(late.ctl("registrar", "list")["registrars"]) == 2, 5, "both heard")
    late.http_server("s", 8080, pool="web")
    late.wait_pes("web", 1, deadline=5)
    assert time.monotonic() - begin < 8
    assert roles(late) == ["agent"]


@pytest.mark.sctp
def test_the_first_registrar_dies(world):
    """An agent becomes registrar beside it, both do when it is gone, and the pool goes on."""
    hosts = [world.host(f"h{n}", f"10.52.0.{n}") for n in (1, 2, 3)]
    hosts[0].start_rspd(registrar="yes", interfaces="eth0")
    for host in hosts[1:]:
        host.start_rspd(registrar="auto", interfaces="eth0")
        host.http_server(host.name, 8080, pool="web")
    for host in hosts[1:]:
        host.wait_pes("web", 2, deadline=10)
    rsp.wait_until(lambda: all(settled(host) for host in hosts), 10, "all have decided")
    assert registrars(*hosts[1:]) == 1
    hosts[0].stop_rspd(signal.SIGKILL)
    rsp.wait_until(lambda: registrars(*hosts[1:]) == 2, 20, "another registrar")
    for host in hosts[1:]:
        host.wait_pes("web", 2, deadline=10)
        assert {host.curl().stdout for _ in range(4)} == {"h2\n", "h3\n"}


def test_a_host_with_loopback_only_works_at_once(world):
    host = world.host("alone")
    begin = time.monotonic()
    host.start_rspd(registrar="auto", interfaces=None)
    assert roles(host) == ["agent+registrar"] and settled(host)
    host.http_server("s", 8080, pool="web")
    host.wait_pes("web", 1)
    assert host.curl().stdout == "s\n"
    assert time.monotonic() - begin < 3
