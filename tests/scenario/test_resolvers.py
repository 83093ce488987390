# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resolutions are answered beside the loop thread, whatever keeps that busy."""
import ctypes
import json
import os
import pathlib
import socket
import struct
import subprocess

import pytest

import rsp

BENCH = rsp.BUILD / "tests" / "bench"
ELEMENTS = 20
HELLO, HELLO_OK, RESULT, RESOLVE, RESOLVED, STATUS, STATUS_REPLY = 1, 2, 3, 12, 13, 34, 35
T_KIND, T_HANDLE = 4, 16
PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 17, 0x4206, 0x4207
WAIT_ALL = 0x40000000  # __WALL
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
libc.ptrace.restype = ctypes.c_long


def ptrace(request, tid):
    if libc.ptrace(request, tid, None, None) != 0:
        raise OSError(ctypes.get_errno(), f"ptrace {request}")


class Held:
    """The loop thread of a daemon stands still; its other threads run on."""

    def __init__(self, host):
        self.tid = host.daemon.pid

    def __enter__(self):
        ptrace(PTRACE_SEIZE, self.tid)
        ptrace(PTRACE_INTERRUPT, self.tid)
        os.waitpid(self.tid, WAIT_ALL)

    def __exit__(self, *_):
        ptrace(PTRACE_DETACH, self.tid)


class Client:
    """A connection to the Unix socket."""

    def __init__(self, host):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(host.socket))
        self.request = 0
        self.send(HELLO, struct.pack("=HHI", T_KIND, 8, 3))
        assert self.receive() == (HELLO_OK, 1)

    def send(self, kind, tlvs=b""):
        self.request += 1
        self.socket.send(struct.pack("=HHII", 1, kind, self.request, 12 + len(tlvs)) + tlvs)

    def resolve(self, pool):
        handle = pool.encode()
        self.send(RESOLVE, struct.pack("=HH", T_HANDLE, 4 + len(handle)) + handle +
                  b"\0" * (-len(handle) % 4))

    def receive(self):
        """(type, request)."""
        _, kind, request, _ = struct.unpack_from("=HHII", self.socket.recv(65536))
        return kind, request

    def nothing_comes(self, seconds):
        self.socket.settimeout(seconds)
        with pytest.raises(TimeoutError):
            self.socket.recv(65536)
        self.socket.settimeout(5)
        return True


def register(host, pool, count, port):
    return host.start(BENCH / "bench-register", "rspd", host.socket, pool, "udp", port, count,
                      stdin=subprocess.PIPE)


@pytest.mark.parametrize("mode", ["inprocess", pytest.param("sctp", marks=pytest.mark.sctp)])
def test_loop_stands_still(world, mode):
    """What a known pool has is told without the loop thread; the rest waits for it."""
    # Userland SCTP stands still with the loop: that must not end the association.
    agent = world.agent(mode, "--set", "Agent.StaleCache=1min", "--set",
                        "Network.PathMaxRetrans=20", "--set", "Network.AssocMaxRetrans=40")
    register(agent, "web", ELEMENTS, 9000)
    agent.wait_pes("web", ELEMENTS)
    client, other = Client(agent), Client(agent)
    for known in (client, other):
        known.resolve("web")  # the first question about a pool makes it known
        assert known.receive() == (RESOLVED, 2)
    with Held(agent):
        for n in range(300):
            client.resolve("web")
            assert client.receive() == (RESOLVED, 3 + n)
        client.resolve("no-such-pool")  # an error is an event: the loop thread's
        client.resolve("web")
        other.send(STATUS)
        assert client.nothing_comes(0.2) and other.nothing_comes(0.01)
    # In any order: over SCTP the registrar is asked for the unknown pool.
    assert {client.receive(), client.receive()} == {(RESULT, 303), (RESOLVED, 304)}
    assert other.receive() == (STATUS_REPLY, 3)
    client.resolve("web")
    assert client.receive() == (RESOLVED, 305)
    other.send(STATUS)  # once that is answered the loop thread is done with what came before
    assert other.receive() == (STATUS_REPLY, 4)
    # Back from there it is answered beside the loop again.
    with Held(agent):
        client.resolve("web")
        assert client.receive() == (RESOLVED, 306)


def test_gone_while_lent(agent):
    """Clients that end, or do not read, while a resolver thread has them."""
    register(agent, "web", ELEMENTS, 9000)
    agent.wait_pes("web", ELEMENTS)
    deaf = Client(agent)
    deaf.socket.setblocking(False)
    sent = 0
    while sent < 20000:
        try:
            deaf.resolve("web")
            sent += 1
        except BlockingIOError:
            break  # all buffers are full, the daemon's bounded queue too
    for _ in range(50):
        client = Client(agent)
        client.resolve("web")
        client.socket.close()
    client = Client(agent)
    for n in range(100):
        client.resolve("web")
        assert client.receive() == (RESOLVED, 2 + n)
    clients = int(agent.ctl("status")["clients"])
    deaf.socket.close()
    rsp.wait_until(lambda: int(agent.ctl("status")["clients"]) < clients, 5, "the end of one")


@pytest.mark.full
@pytest.mark.parametrize("setting, threads", [
    ("3", 3), ("1", 1), ("0", max(1, len(os.sched_getaffinity(0)) - 1))])
def test_as_many_threads_as_set(world, setting, threads):
    """0, the default: one less than there are processors, at least one."""
    host = world.host("a")
    host.start_rspd("--set", f"Daemon.ResolverThreads={setting}")
    names = [path.read_text().strip()
             for path in pathlib.Path(f"/proc/{host.daemon.pid}/task").glob("*/comm")]
    assert names.count("rspd-resolver") == threads, names


def p99_us(host):
    out = host.run(BENCH / "bench-load", "-t", 1500, "-r", 2000, "lp", host.socket, "web",
                   timeout=60).stdout
    return json.loads(out)["p99"] / 1000


@pytest.mark.alone
@pytest.mark.plain
def test_burst_of_registrations(world):
    """Beside registrations that come as fast as three clients can make them, 99 % of resolutions
    take no more than some scheduling of the processor's longer. (Over SCTP the registrar limits what
    one host may ask for.)"""
    agent = world.agent("inprocess")
    register(agent, "web", ELEMENTS, 9000)
    agent.wait_pes("web", ELEMENTS)
    quiet = p99_us(agent)
    bursts = [register(agent, f"burst-{n}", 20000, 10000) for n in range(3)]
    rsp.wait_until(lambda: len(agent.pes("burst-0")) > 10, 10, "the burst's beginning")
    busy = p99_us(agent)
    assert all(not burst.output() for burst in bursts), "the burst lasted that long"
    print(f"p99 {quiet:.0f} us, in a burst {busy:.0f} us")
    assert busy < max(20 * quiet, 5000)
