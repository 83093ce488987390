# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sessions of librsp over the kernel's SCTP: messages of every size, servers that die, a network
that is pulled, and hosts of which one has no SCTP (asap:A-119, A-120, A-128)."""
import re
import subprocess

import pytest

import rsp

ECHO = rsp.BUILD / "tests" / "session" / "session-echo"

# A host without SCTP: of its programs none gets such a socket.
WITHOUT_SCTP = """
import ctypes, os, struct, sys
def op(code, jt, jf, k):
    return struct.pack('HBBI', code, jt, jf, k)
ARCH, NR, ARG2 = 4, 0, 16 + 2 * 8
program = (op(0x20, 0, 0, NR) + op(0x15, 0, 3, 41) +         # socket()
           op(0x20, 0, 0, ARG2) + op(0x15, 0, 1, 132) +      # with IPPROTO_SCTP
           op(0x06, 0, 0, 0x00050000 | 93) +                 # is EPROTONOSUPPORT
           op(0x06, 0, 0, 0x7fff0000))
room = ctypes.create_string_buffer(program)
head = ctypes.create_string_buffer(struct.pack('HxxxxxxQ', len(program) // 8,
                                               ctypes.addressof(room)))
libc = ctypes.CDLL(None, use_errno=True)
assert libc.prctl(38, 1, 0, 0, 0) == 0
assert libc.prctl(22, 2, head, 0, 0) == 0, os.strerror(ctypes.get_errno())
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.fixture
def hosts(world):
    """The servers' host, with the registrar, and the users'; both on two networks."""
    servers = world.host("servers", "10.52.0.1")
    users = world.host("users", "10.52.0.2")
    world.connect(servers, "10.53.0.1", "eth1", "br1")
    world.connect(users, "10.53.0.2", "eth1", "br1")
    servers.start_rspd(interfaces="eth0 eth1")
    users.start_rspd(registrar="no", interfaces="eth0 eth1")
    assert servers.ctl("status")["sctp"] == users.ctl("status")["sctp"] == "kernel"
    return servers, users


def program(host, *words, name, sctp=True, **keywords):
    command = (ECHO, *words) if sctp else (rsp.PYTHON, "-c", WITHOUT_SCTP, ECHO, *words)
    return host.start(*command, name=name, **keywords)


class Servers:
    """Elements of the pool, by id."""

    def __init__(self, host, protocol, pool="echo"):
        self.host = host
        self.protocol = protocol
        self.pool = pool
        self.processes = {}
        self.all = []

    def add(self, sctp=True):
        pool = self.pool if sctp or self.protocol != "any" else f"{self.pool}.tcp"
        before = {pe["pe_id"] for pe in self.host.pes(pool)}
        process = program(self.host, "serve", self.pool, self.protocol, sctp=sctp,
                          name=f"server{len(self.all)}")
        (new,) = rsp.wait_until(
            lambda: {pe["pe_id"] for pe in self.host.pes(pool)} - before, 20, "the element")
        self.processes[new] = process
        self.all.append(process)
        return new

    def kill(self, pe_id):
        self.processes.pop(pe_id).kill()

    def check(self):
        for process in self.all:
            assert "lost" not in process.output(), process.output()


class User:
    """Sends `count` messages; 0: until told that it is enough."""

    def __init__(self, host, protocol, count, window, pool="echo", sctp=True):
        self.process = program(host, "ask", pool, protocol, count, window, sctp=sctp, name="user",
                               stdin=subprocess.PIPE)

    def progress(self):
        """(number, element) of the last answer that was told."""
        found = re.findall(r"^at (\d+) (\w{8})$", self.process.output(), re.MULTILINE)
        assert found or self.process.running(), self.process.output()
        return (int(found[-1][0]), f"0x{found[-1][1]}") if found else (0, None)

    def wait_beyond(self, number, deadline=60):
        rsp.wait_until(lambda: self.progress()[0] > number, deadline, f"answer {number}")
        return self.progress()

    def end(self, deadline=120):
        """(right answers, failovers)."""
        self.process.popen.stdin.close()
        status = self.process.wait(deadline)
        assert status == 0, self.process.output()
        return tuple(int(n) for n in re.search(r"^(\d+) right, (\d+) failovers$",
                                               self.process.output(), re.MULTILINE).groups())


def associations(host, port):
    lines = host.run("cat", "/proc/net/sctp/assocs").stdout.splitlines()
    return [line for line in lines if f" {port} " in line]


def test_messages_of_every_size(hosts):
    """Also longer than 64 KiB, several under way; numbers, octets and PPID are kept."""
    at, users = hosts
    servers = Servers(at, "sctp")
    servers.add()
    (pe,) = users.wait_pes("echo", 1, 20)
    user = User(users, "sctp", 0, 3)
    user.wait_beyond(0)
    assert pe["protocol"] == "sctp"
    assert sorted(a for a in pe["addresses"] if ":" not in a) == ["10.52.0.1", "10.53.0.1"]
    (association,) = associations(users, pe["port"])
    for net in (52, 53):
        assert f"10.{net}.0.1" in association or f"fd52:00{net}:" in association
    user.wait_beyond(90)
    assert user.end()[1] == 0
    servers.check()


@pytest.mark.parametrize("window", [pytest.param(1, marks=pytest.mark.full), 4])
def test_killed_servers_are_replaced(hosts, window):
    """kill -9 in the middle, four times: the cookie and what it does not cover go to another."""
    at, users = hosts
    servers = Servers(at, "sctp")
    for _ in range(2):
        servers.add()
    users.wait_pes("echo", 2, 20)
    user = User(users, "sctp", 0, window)
    for _ in range(4):
        number, serving = user.wait_beyond(user.progress()[0])
        servers.kill(serving)
        rsp.wait_until(lambda s=serving: user.progress()[1] != s, 30, "another server")
        servers.add()
        users.wait_pes("echo", 2, 20)
    right, failovers = user.end()
    assert right > number and failovers == 4
    servers.check()


@pytest.mark.parametrize("at_server,at_user", [
    (True, True), (False, True), pytest.param(True, False, marks=pytest.mark.full),
    pytest.param(False, False, marks=pytest.mark.full)])
def test_hosts_with_and_without_sctp(hosts, at_server, at_user):
    """The element registers what it has, the user picks what both have."""
    at, users = hosts
    servers = Servers(at, "any")
    servers.add(sctp=at_server)
    (tcp,) = users.wait_pes("echo.tcp", 1, 20)
    assert tcp["protocol"] == "tcp"
    sctp = users.wait_pes("echo", 1 if at_server else 0, 20)
    assert not at_server or sctp[0]["protocol"] == "sctp"
    user = User(users, "any", 60, 2, sctp=at_user)
    serving = user.wait_beyond(0)[1]
    assert serving == (sctp[0] if at_server and at_user else tcp)["pe_id"]
    assert user.end() == (60, 0)
    servers.check()


@pytest.mark.full
def test_failover_to_a_host_without_sctp(hosts):
    """Cookies and what they do not cover go from SCTP to TCP, and back."""
    at, users = hosts
    servers = Servers(at, "any")
    with_sctp = servers.add()
    without = servers.add(sctp=False)
    users.wait_pes("echo.tcp", 2, 20)
    user = User(users, "any", 0, 3)
    assert user.wait_beyond(0)[1] == with_sctp
    servers.kill(with_sctp)
    rsp.wait_until(lambda: user.progress()[1] == without, 30, "the server without SCTP")
    again = servers.add()
    users.wait_pes("echo", 1, 20)
    servers.kill(without)
    rsp.wait_until(lambda: user.progress()[1] == again, 30, "the server with SCTP")
    assert user.end()[1] >= 2
    servers.check()


def test_session_outlives_a_network(world, hosts):
    """One of two networks is pulled in mid-transfer: no failover, no octet lost."""
    at, users = hosts
    servers = Servers(at, "sctp")
    for _ in range(2):
        servers.add()
    users.wait_pes("echo", 2, 20)
    user = User(users, "sctp", 0, 4)
    number, serving = user.wait_beyond(0)
    world.switch.ip("link", "set", "br0", "down")
    assert user.wait_beyond(number + 50)[1] == serving
    right, failovers = user.end()
    assert right > number + 50 and failovers == 0
    servers.check()
