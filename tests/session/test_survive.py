# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions with cookies while their servers die: nothing is missing, the gaps are short, and an
empty pool is waited for (asap:A-118 ... A-121, A-128)."""
import os
import random
import statistics
import time

import pytest

import rsp

HELLO = rsp.BUILD / "examples" / "example-hello-server"
CLIENT = rsp.BUILD / "tests" / "session" / "session-client"
ECHO = rsp.BUILD / "tests" / "session" / "session-echo"


@pytest.fixture
def host(world):
    host = world.host("h")
    host.start_rspd()
    return host


def server(host, number, *model):
    return host.start(HELLO, "hello", *model, name=f"server{number}")


def count_while_killing(host, sessions, messages, pause_ms, kills, every):
    """Kills a random one of four servers, `kills` times; another comes in its place."""
    chance = random.Random(5)
    servers = [server(host, n) for n in range(4)]
    host.wait_pes("hello.tcp", 4)
    client = host.start(CLIENT, "count", "hello", sessions, messages, pause_ms, name="client")
    for number in range(kills):
        end = time.monotonic() + every
        rsp.wait_until(lambda: time.monotonic() >= end, every + 5, "the time of the next kill")
        assert client.running(), client.output()
        servers.pop(chance.randrange(len(servers))).kill()
        servers.append(server(host, 4 + number))
    status = client.wait(120)
    assert status == 0, client.output()
    right, failovers = (int(word) for word in client.output().split() if word.isdigit())
    assert right == sessions
    assert failovers > 0
    return failovers


def test_sessions_lose_nothing(host):
    """The next server gets the latest cookie first: asap:A-119, A-120, A-128."""
    count_while_killing(host, 60, 20, 300, 5, 1.0)


@pytest.mark.full
@pytest.mark.plain
def test_thousand_sessions_lose_nothing(host):
    failovers = count_while_killing(host, 1000, 30, 2100, 60, 1.0)
    assert failovers > 1000


@pytest.mark.parametrize("window", [1, 4])
def test_messages_of_every_size_while_servers_die(host, window):
    """Up to 150,000 octets; rsp_recv() gives them whole, rsp_recvmsg() in parts."""
    chance = random.Random(7)
    servers = [host.start(ECHO, "serve", "echo", "tcp", name=f"server{n}") for n in range(3)]
    everyone = list(servers)
    host.wait_pes("echo", 3)
    client = host.start(ECHO, "ask", "echo", "tcp", 3000, window, name="client")
    while client.running():
        before = client.output().count("at ")
        rsp.wait_until(lambda b=before: client.output().count("at ") > b + 20 or
                       not client.running(), 30, "progress")
        if client.running():
            servers.pop(chance.randrange(len(servers))).kill()
            servers.append(host.start(ECHO, "serve", "echo", "tcp", name=f"server{len(everyone)}"))
            everyone.append(servers[-1])
            host.wait_pes("echo", 3)
    assert client.wait(1) == 0, client.output()
    right, failovers = (int(word) for word in client.output().splitlines()[-1].split()
                        if word.isdigit())
    assert right == 3000 and failovers > 2
    for process in everyone:
        assert "lost" not in process.output()


def two_hosts(world):
    """The users' host, whose daemon is the registrar, and the servers', on one link."""
    pair = world.host("users"), world.host("servers")
    for number, host in enumerate(pair, 1):
        world.connect(host, f"10.77.0.{number}")
        host.start_rspd(registrar="yes" if number == 1 else "no", interfaces="eth0")
    return pair


@pytest.mark.alone
@pytest.mark.plain
@pytest.mark.parametrize("apart", [False, pytest.param(True, marks=pytest.mark.full)])
def test_gap_of_a_killed_server(world, apart, request):
    """What a user that asks without pause notices, on the servers' host and from another one."""
    user, at = two_hosts(world) if apart else [request.getfixturevalue("host")] * 2
    servers = {}

    def add_server(number):
        process = server(at, number)
        (pe,) = rsp.wait_until(lambda: {p["pe_id"] for p in user.pes("hello.tcp")} - set(servers),
                               20, "the server")
        servers[pe] = process
    for number in range(3):
        add_server(number)
    read, write = os.pipe()
    client = user.start(CLIENT, "gap", "hello", name="client", stdin=read)
    os.close(read)
    rsp.wait_until(lambda: "first" in client.output(), 10, "the first answer")
    kills = 20
    for number in range(kills):
        victim = f"0x{client.output().split()[-1]}"
        servers[victim].kill()
        rsp.wait_until(lambda n=number: client.output().count("gap") > n, 10, "the failover")
        rsp.wait_until(lambda v=victim: v not in {p["pe_id"] for p in user.pes("hello.tcp")}, 20,
                       "its removal")
        del servers[victim]
        add_server(100 + number)
    os.close(write)
    assert client.wait(10) == 0, client.output()
    gaps = [int(line.split()[1]) / 1000 for line in client.output().splitlines()
            if line.startswith("gap")]
    print(f"gap: median {statistics.median(gaps):.2f} ms, worst {max(gaps):.2f} ms")
    assert len(gaps) == kills
    assert statistics.median(gaps) < 5
    assert max(gaps) < 50


def wait_while_empty(host, seconds):
    only = server(host, 0)
    host.wait_pes("hello.tcp", 1)
    client = host.start(CLIENT, "count", "hello", 20, 8, 250, name="client")
    rsp.wait_until(lambda: "begun" in client.output(), 10, "the sessions")
    only.kill()
    host.wait_pes("hello.tcp", 0)
    end = time.monotonic() + seconds
    rsp.wait_until(lambda: time.monotonic() >= end or not client.running(), seconds + 5,
                   "the end of the emptiness")
    assert client.running(), client.output()
    server(host, 1)
    assert client.wait(20) == 0, client.output()
    assert "20 right" in client.output()


def test_empty_pool_is_waited_for(host):
    """What is to be sent is held until a server is found: asap:A-126."""
    wait_while_empty(host, 3)


@pytest.mark.full
def test_empty_pool_is_waited_for_half_a_minute(host):
    wait_while_empty(host, 30)


@pytest.mark.alone
@pytest.mark.plain
def test_host_that_vanishes(world):
    """Packets to the server's host are dropped: another host takes over within three seconds."""
    hosts = [world.host(f"h{n}") for n in range(3)]
    for n, host in enumerate(hosts):
        world.connect(host, f"10.77.0.{n + 1}")
        host.start_rspd(registrar="yes" if n == 0 else "no", interfaces="eth0")
    user = hosts[0]
    servers = {n: server(hosts[n], n) for n in (1, 2)}
    user.wait_pes("hello.tcp", 2, 20)
    hosts[1].run(rsp.RSPCTL, "cookie-key", "rotate", "hello.tcp")  # makes the first one
    keys = hosts[1].run(rsp.RSPCTL, "cookie-key", "export", "hello.tcp")
    assert keys.returncode == 0, keys.stderr
    taken = hosts[2].run(rsp.RSPCTL, "cookie-key", "import", "hello.tcp", stdin=keys.stdout)
    assert taken.returncode == 0, taken.stderr
    read, write = os.pipe()
    client = user.start(CLIENT, "gap", "hello", name="client", stdin=read)
    os.close(read)
    rsp.wait_until(lambda: "first" in client.output(), 10, "the first answer")

    def serving_host():
        for line in user.run("ss", "-Htnp", "state", "established").stdout.splitlines():
            parts = line.split()
            if f"pid={client.pid}," in parts[-1]:
                return int(parts[3].rpartition(":")[0].strip("[]").rpartition(".")[2]) - 1
        return None
    gone = rsp.wait_until(lambda: serving_host(), 5, "a connection")
    assert gone in servers
    world.drop_packets_to(user, f"10.77.0.{gone + 1}")
    rsp.wait_until(lambda: "gap" in client.output(), 10, "the failover")
    os.close(write)
    assert client.wait(10) == 0, client.output()
    gap = int(client.output().split("gap ")[1].split()[0]) / 1e6
    print(f"gap: {gap:.2f} s")
    assert gap < 3
