# SPDX-License-Identifier: LGPL-2.1-or-later
"""A PE's host that cannot be reached: a blocking client moves on, and after the first report nobody
on this host is sent there until it is back."""
import time

import rsp


def three_hosts(world):
    """Registrar and client on one host, a server on each of two others."""
    client = world.host("pu", "10.52.0.1")
    client.start_rspd(interfaces="eth0")
    servers = []
    for number in (2, 3):
        host = world.host(f"pe{number}", f"10.52.0.{number}")
        host.start_rspd("--static-registrar", "10.52.0.1", registrar="no", interfaces="eth0")
        host.http_server(f"s{number}", 8080, pool="web")
        servers.append(host)
    client.wait_pes("web", 2, deadline=20)
    return client, servers


def test_blocking_client_moves_on(world):
    client, servers = three_hosts(world)
    assert {client.curl().stdout for _ in range(4)} == {"s2\n", "s3\n"}
    world.drop_packets_to(client, servers[0].address)
    fetch = ("import urllib.request as u; "
             "print(u.urlopen('http://web.pool.alt/', timeout=None).read().decode(), end='')")
    slow = 0
    for _ in range(6):
        before = time.monotonic()
        result = client.run(rsp.PYTHON, "-c", fetch, shim=True)
        assert result.stdout == "s3\n", result.stderr
        slow += time.monotonic() - before > 1.5
    assert slow <= 1  # only who met it first had to wait
    assert "pe-unreachable" in client.daemon.output()


def test_host_that_is_back_is_used_again(world):
    client, servers = three_hosts(world)
    address = servers[0].address
    world.drop_packets_to(client, address)
    fetch = "import urllib.request as u; u.urlopen('http://web.pool.alt/').read()"
    for _ in range(3):
        assert client.run(rsp.PYTHON, "-c", fetch, shim=True).returncode == 0
    client.ip("route", "del", "blackhole", f"{address}/32")
    rsp.wait_until(lambda: client.curl().stdout == "s2\n", 40, "the return of the first host")
