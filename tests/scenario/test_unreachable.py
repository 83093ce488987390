# SPDX-License-Identifier: LGPL-2.1-or-later
"""A PE's host that cannot be reached: a blocking client moves on, and after the first report nobody
on this host is sent there until it is back."""
import time

import pytest

import rsp

pytestmark = pytest.mark.sctp


def four_hosts(world):
    """A registrar, a server on each of two hosts, and the client's host."""
    registrar = world.host("pr", "10.52.0.9")
    registrar.start_rspd(interfaces="eth0")
    servers = []
    for number in (2, 3):
        host = world.host(f"pe{number}", f"10.52.0.{number}")
        host.start_rspd(registrar="no", interfaces="eth0")
        host.http_server(f"s{number}", 8080, pool="web")
        servers.append(host)
    client = world.host("pu", "10.52.0.1")
    client.start_rspd(registrar="no", interfaces="eth0")
    rsp.wait_until(lambda: len(client.ctl("resolve", "web", "-n", "5")["pes"]) == 2, 30, "the pool")
    return client, servers


FETCH = ("import urllib.request as u; "
         "print(u.urlopen('http://web.pool.alt/').read().decode(), end='')")


@pytest.mark.guest
def test_blocking_client_moves_on_and_nobody_follows(world):
    client, servers = four_hosts(world)
    assert {client.curl().stdout for _ in range(4)} == {"s2\n", "s3\n"}
    world.drop_packets_to(client, servers[0].address)
    slow = 0
    for _ in range(8):
        before = time.monotonic()
        result = client.run(rsp.PYTHON, "-c", FETCH, shim=True)
        assert result.stdout == "s3\n", result.stderr
        slow += time.monotonic() - before > 1
    assert slow <= 1  # only who met it first had to wait
    assert "pe-unreachable" in client.daemon.output()


def test_host_that_is_back_is_used_again(world):
    client, servers = four_hosts(world)
    world.drop_packets_to(client, servers[0].address)
    for _ in range(3):
        assert client.run(rsp.PYTHON, "-c", FETCH, shim=True).returncode == 0
    world.pass_packets_to(client, servers[0].address)
    rsp.wait_until(lambda: client.curl().stdout == "s2\n", 40, "the return of the first host")


def test_event_loop_client_is_never_stalled(world):
    """A non-blocking connect to a silent host returns at once; its failure, when the program gives
    up, is the report."""
    client, servers = four_hosts(world)
    world.drop_packets_to(client, servers[0].address)
    for _ in range(6):
        client.curl("http://web.pool.alt/", "--connect-timeout", "3")
    rsp.wait_until(lambda: all(client.curl("http://web.pool.alt/", "--connect-timeout", "3").stdout
                               == "s3\n" for _ in range(4)), 30, "only the living host")
