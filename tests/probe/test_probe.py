# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the probes under the shim against a scripted daemon (preload-notes section 14).

The runner itself never runs under the shim. Everything is loopback with ports the kernel chose.
"""
import ctypes
import errno
import os
import pathlib
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fake_daemon import HEADER, SCTP, TCP, UDP, FakeDaemon, Pe, tlv, tlvs, u32  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RSP_TEST_BUILD", ROOT / "build")).resolve()
SHIM = BUILD / "preload" / "librsp_preload.so"
PROBES = BUILD / "tests" / "probe"
# The run-time library of a sanitizer the shim was built with: it must be loaded first.
RUNTIME = os.environ.get("RSP_TEST_RUNTIME", "")
PRELOAD = f"{RUNTIME}:{SHIM}" if RUNTIME else str(SHIM)


def wait_until(condition, what, deadline=10.0):
    end = time.monotonic() + deadline
    while not condition():
        assert time.monotonic() < end, f"{what} not within {deadline} s"
        time.sleep(0.005)


class Server:
    """Greets every connection ("hello") or answers every datagram."""

    def __init__(self, kind=socket.SOCK_STREAM):
        self.sock = socket.socket(socket.AF_INET, kind)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.count = 0
        if kind == socket.SOCK_STREAM:
            self.sock.listen(512)
            threading.Thread(target=self._greet, daemon=True).start()
        else:
            threading.Thread(target=self._echo, daemon=True).start()

    def _greet(self):
        while True:
            try:
                connection, _ = self.sock.accept()
            except OSError:
                return
            self.count += 1
            with connection:
                try:
                    connection.sendall(b"hello")
                except OSError:
                    pass

    def _echo(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(2048)
            except OSError:
                return
            if peer is None:
                return
            self.count += 1
            self.sock.sendto(data, peer)

    def close(self):
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()


def dead_port():
    """A port nobody listens on (bound, so that nobody takes it; the socket is returned too)."""
    sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]


@pytest.fixture
def daemon(tmp_path):
    fake = FakeDaemon(tmp_path)
    yield fake
    fake.close()


@pytest.fixture
def web(daemon):
    """A pool of two living elements."""
    servers = [Server(), Server()]
    daemon.pools["web"] = [Pe(1 + i, s.port) for i, s in enumerate(servers)]
    yield servers
    for server in servers:
        server.close()


def environment(daemon, **extra):
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
           "LD_PRELOAD": PRELOAD, "RSP_SOCKET": str(daemon.path if daemon else "/nonexistent/s")}
    if RUNTIME:
        env["LSAN_OPTIONS"] = f"suppressions={ROOT}/tests/lsan.supp:print_suppressions=0"
        env["UBSAN_OPTIONS"] = "halt_on_error=1"
        env["TSAN_OPTIONS"] = f"suppressions={ROOT}/tests/tsan.supp"
    env.update(extra)
    return env


def probe(name):
    path = PROBES / f"probe-{name}"
    assert path.exists(), f"{path} is not built"
    return str(path)


def run(daemon, command, *args, timeout=60, env=None, **extra):
    """Runs a probe to its end; its exit status must be 0."""
    result = subprocess.run([probe(command), *map(str, args)], text=True, timeout=timeout,
                            capture_output=True, env=env or environment(daemon, **extra))
    assert result.returncode == 0, f"exit {result.returncode}\n{result.stdout}{result.stderr}"
    return result.stdout


class Dialogue:
    """A probe that says where it is and waits for our word."""

    def __init__(self, daemon, command, *args, **extra):
        self.popen = subprocess.Popen([probe(command), *args], text=True, stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, env=environment(daemon, **extra),
                                      start_new_session=True)
        self.port = None

    def expect(self, word):
        """Reads up to that line."""
        while True:
            line = self.popen.stdout.readline()
            assert line, f"ended before saying {word!r}, status {self.popen.wait(10)}"
            match = re.match(r"port (\d+)", line)
            if match:
                self.port = int(match.group(1))
            elif line.strip() == word:
                return

    def go_on(self):
        self.popen.stdin.write(".")
        self.popen.stdin.flush()

    def close(self):
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.popen.wait(10)
        self.popen.stdin.close()
        self.popen.stdout.close()


@pytest.fixture
def talk(daemon):
    talks = []

    def start(*args, **extra):
        extra.setdefault("RSP_POOL", "web")
        talks.append(Dialogue(daemon, *args, **extra))
        return talks[-1]
    yield start
    for dialogue in talks:
        dialogue.close()


# --- the library itself ---------------------------------------------------------------------------


def hook_names():
    text = re.sub(r"/\*.*?\*/", "", (ROOT / "preload" / "hooks.h").read_text(), flags=re.S)
    return sorted(re.findall(r"X\([^,()]+?,\s*(\w+),", text))


def test_exports_exactly_the_hooks():
    """L-1, L-4: the dynamic symbol table is the list."""
    listed = subprocess.run(["nm", "-D", "--defined-only", SHIM], text=True, capture_output=True,
                            check=True).stdout
    assert sorted(line.split()[-1] for line in listed.splitlines()) == hook_names()


@pytest.mark.plain
def test_needs_libc_alone():
    """L-2: one dependency, everything bound at load, never unloaded, read-only relocations."""
    dynamic = subprocess.run(["readelf", "-Wdl", SHIM], text=True, capture_output=True,
                             check=True).stdout
    assert re.findall(r"\(NEEDED\).*\[(.*)\]", dynamic) == ["libc.so.6"]
    assert "NODELETE" in dynamic and "BIND_NOW" in dynamic and "GNU_RELRO" in dynamic
    assert "INITFIRST" not in dynamic


def syscalls(env):
    """{system call: count} of the transparency probe, without those of loading."""
    result = subprocess.run(["strace", "-f", "-c", "-U", "name,calls", probe("transparent")],
                            text=True, capture_output=True, env=env)
    assert result.returncode == 0, result.stderr
    counts = {}
    for line in result.stderr.splitlines():
        match = re.match(r"\s*(\w+)\s+(\d+)$", line)
        if match and match.group(1) != "total":
            counts[match.group(1)] = int(match.group(2))
    return counts


LOADER = {"openat", "read", "pread64", "mmap", "mprotect", "munmap", "newfstatat", "brk", "access",
          "close", "readlink", "getpid", "set_robust_list", "fstat"}


@pytest.mark.plain
def test_transparent_without_rules():
    """L-11: without rules and pools, the same system calls as without the library."""
    env = environment(None)
    with_shim = syscalls(env)
    del env["LD_PRELOAD"]
    without = syscalls(env)
    for name in sorted(set(with_shim) | set(without)):
        if name not in LOADER:
            assert with_shim.get(name, 0) == without.get(name, 0), name
    # Loading one more library: one file is opened and closed.
    assert with_shim["close"] - without["close"] == 1
    assert with_shim.get("getpid", 0) - without.get("getpid", 0) <= 1


# --- hazards of pool users ------------------------------------------------------------------------


def test_double_connect(daemon, web):
    """L-29."""
    run(daemon, "double_connect", "web.pool.alt", "arrives")
    assert len(daemon.asked("LP_RESOLVE")) == 1


def test_double_connect_refused(daemon):
    """The refusal reaches the second connect(), and the daemon, once (L-32)."""
    keep, port = dead_port()
    daemon.pools["web"] = [Pe(9, port)]
    run(daemon, "double_connect", "web.pool.alt", "refused")
    reports = daemon.wait("LP_REPORT")
    assert [u32(r["LP_T_PE_ID"]) for r in reports] == [9]
    assert u32(reports[0]["LP_T_ERRNO"]) == errno.ECONNREFUSED
    keep.close()


# A child of fork() waits for ever for a lock of libasan's stack depot that another thread had.
FORK_STORM = pytest.param("fork_storm", marks=pytest.mark.plain)


@pytest.mark.parametrize("name", ["signal_connect", FORK_STORM, "closefrom_connect",
                                  "cancel_connect", "small_stack", "storm", "early_socket",
                                  "mapped", "longjmp_connect"])
def test_hazard(daemon, web, name):
    run(daemon, name, "web.pool.alt")


def test_children_without_fork_handlers(daemon, web):
    """L-46, L-47: a connection to the daemon for each child that has memory of its own."""
    run(daemon, "clone_connect", "web.pool.alt")
    assert len({u32(hello["LP_T_PID"]) for hello in daemon.asked("LP_HELLO")}) == 3
    assert len(daemon.asked("LP_HELLO")) == 3


def test_names(daemon, web):
    """L-20 … L-25; the name's case does not matter, nor a final dot."""
    for name in ("web.pool.alt", "WEB.Pool.ALT."):
        run(daemon, "names", name, daemon.cookie4("web"), daemon.cookie6("web"))


def test_epoll(daemon, web):
    """K6, L-15, L-19: the first element refuses, the second answers, the registration stays."""
    keep, port = dead_port()
    daemon.pools["web"].insert(0, Pe(9, port))
    run(daemon, "epoll_connect", "web.pool.alt")
    assert [u32(r["LP_T_PE_ID"]) for r in daemon.wait("LP_REPORT")] == [9]
    keep.close()


def test_retry_on_the_same_descriptor(daemon, web):
    """K4, K5, L-33."""
    keep, port = dead_port()
    daemon.pools["dead"] = [Pe(9, port)]
    run(daemon, "retry_same_fd", "dead.pool.alt", "web.pool.alt")
    keep.close()


@pytest.mark.plain
def test_deepbind(daemon, web):
    run(daemon, "deepbind", "web.pool.alt", PROBES / "probe-deepbind.so")


def test_blocking_connect_moves_on(daemon, web):
    """L-31: two dead elements are passed and reported inside one call."""
    keep, port = dead_port()
    daemon.pools["web"] = [Pe(8, port), Pe(9, port), daemon.pools["web"][0]]
    daemon.in_order = True
    daemon.number("web")
    out = run(daemon, "timing", daemon.cookie4("web"), "blocking")
    assert out.split()[1] == "0"
    assert {u32(r["LP_T_PE_ID"]) for r in daemon.wait("LP_REPORT", 2)} == {8, 9}
    keep.close()


def test_silent_host_is_left_within_the_bound(daemon, web):
    """A listener whose queue is full answers no SYN: bounded by SO_SNDTIMEO, then the next."""
    silent = socket.socket()
    silent.bind(("127.0.0.1", 0))
    silent.listen(0)
    full = []
    for _ in range(4):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(silent.getsockname())
        full.append(filler)
    daemon.timeout_ms = 300
    daemon.pools["web"].insert(0, Pe(9, silent.getsockname()[1]))
    daemon.number("web")
    out = run(daemon, "timing", daemon.cookie4("web"), "blocking")
    elapsed_us, error = map(int, out.split())
    assert error == 0 and 250_000 <= elapsed_us < 2_000_000
    report = daemon.wait("LP_REPORT")[0]
    assert u32(report["LP_T_PE_ID"]) == 9 and u32(report["LP_T_ERRNO"]) == errno.ETIMEDOUT
    for sock in [silent, *full]:
        sock.close()


def test_errors(daemon):
    """What programs expect: unknown, empty, wrong kind; at once."""
    daemon.pools["empty"] = []
    daemon.pools["sctp"] = [Pe(1, 99, protocol=SCTP)]
    daemon.pools["six"] = [Pe(1, 99, address="fd00::1")]
    for handle, expected in (("empty", {errno.ECONNREFUSED}), ("sctp", {errno.EPROTOTYPE}),
                             ("six", {errno.ECONNREFUSED, errno.EAFNOSUPPORT})):
        daemon.number(handle)
        for way in ("blocking", "nonblocking"):
            elapsed_us, error = map(int, run(daemon, "timing", daemon.cookie4(handle), way).split())
            assert error in expected and elapsed_us < 500_000, handle
    assert int(run(daemon, "timing", "127.42.9.200", "blocking").split()[1]) == errno.EHOSTUNREACH


def test_hung_daemon_bounds_a_nonblocking_connect(daemon, web):
    """L-14, L-56: 50 ms, then EHOSTUNREACH; the cookie never reaches the network (L-28)."""
    daemon.silent = {"LP_RESOLVE"}
    daemon.number("web")
    elapsed_us, error = map(int, run(daemon, "timing", daemon.cookie4("web"),
                                     "nonblocking").split())
    assert error == errno.EHOSTUNREACH and 40_000 <= elapsed_us < 300_000


def test_element_that_came_with_the_name(daemon, web):
    """A daemon without CPU time leaves the first question of a process unanswered: what came with
    the name is used instead."""
    daemon.silent = {"LP_RESOLVE"}
    daemon.hints = True
    run(daemon, "epoll_connect", "web.pool.alt")
    assert daemon.asked("LP_RESOLVE")


@pytest.mark.parametrize("state", ["absent", "refusing", "garbage", "error", "forbidden"])
def test_no_daemon(daemon, web, state):
    """L-21, L-28, L-56: quick clear errors; ordinary traffic is untouched."""
    user = {}
    if state == "absent":
        daemon.stop()
    elif state == "refusing":
        daemon.stop(unlink=False)
    elif state == "garbage":
        daemon.garbage = {"LP_HELLO", "LP_NAME", "LP_RESOLVE"}
    elif state == "error":
        daemon.result = {"LP_HELLO": errno.EPROTO}
    else:
        os.chmod(daemon.path, 0)
        user = {"user": 65534, "group": 65534, "extra_groups": []}
        os.chmod(daemon.dir, 0o711)
    start = time.monotonic()
    result = subprocess.run(["/usr/bin/getent", "ahosts", "web.pool.alt"],
                            env=environment(daemon), capture_output=True, timeout=20, **user)
    assert result.returncode == 2 and time.monotonic() - start < 3
    for address in ("127.42.1.7", "127.43.1.7"):
        elapsed_us, error = map(int, run(daemon, "timing", address, "blocking").split())
        assert error == errno.EHOSTUNREACH and elapsed_us < 1_500_000
    error = int(run(daemon, "timing", "127.0.0.1", "blocking").split()[1])
    assert error in (0, errno.ECONNREFUSED)


HELPER = """
import socket, sys
def meet():
    try:
        with socket.create_connection(("web.pool.alt", 80), 5) as c:
            c.setblocking(True)
            return c.recv(5).decode()
    except OSError as error:
        return type(error).__name__
for line in sys.stdin:
    print(meet(), flush=True)
"""


def test_daemon_restart(daemon, web):
    """One program all the time: the last answer serves, and everything works again after."""
    client = subprocess.Popen(["/usr/bin/python3", "-c", HELPER], text=True, bufsize=1,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment(daemon))

    def meet():
        client.stdin.write("\n")
        client.stdin.flush()
        return client.stdout.readline().strip()
    try:
        assert meet() == "hello"
        daemon.stop()
        assert meet() == "hello"
        for server in web:
            server.close()
        assert meet() != "hello"
        again = Server()
        daemon.pools["web"] = [Pe(7, again.port)]
        daemon.start()
        wait_until(lambda: meet() == "hello", "the pool", 2)
        again.close()
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()


def test_peername_cookie(daemon, web):
    """RSP_PEERNAME=cookie shows the pool's address; by default it is the kernel's truth."""
    code = ("import socket; c = socket.create_connection(('web.pool.alt', 80));"
            "print(c.getpeername()[0])")
    for extra, expected in (({}, "127.0.0.1"), ({"RSP_PEERNAME": "cookie"}, daemon.cookie4("web"))):
        out = subprocess.run(["/usr/bin/python3", "-c", code], text=True, capture_output=True,
                             env=environment(daemon, **extra), timeout=20, check=True).stdout
        assert out.strip() == expected


def test_sticky(daemon, web):
    """L-35: several connections of one process go to one element."""
    code = ("import socket\nfor _ in range(6): socket.create_connection(('web.pool.alt', 80))."
            "recv(5)")
    subprocess.run(["/usr/bin/python3", "-c", code], check=True, timeout=20,
                   env=environment(daemon, RSP_STICKY="30"))
    assert sorted(s.count for s in web) == [0, 6]


# --- datagrams ------------------------------------------------------------------------------------


def test_family_datagram(daemon):
    server = Server(socket.SOCK_DGRAM)
    daemon.pools["dns"] = [Pe(1, server.port, protocol=UDP)]
    run(daemon, "family", "datagram", "dns")
    assert server.count == 4
    server.close()


DATAGRAMS = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(0.3)
for line in sys.stdin:
    try:
        s.sendto(b"ping", ("dns.pool.alt", 53))
        print(s.recvfrom(99)[1][1], flush=True)
    except OSError as error:
        print(type(error).__name__, flush=True)
"""


def test_datagrams_follow_the_pool(daemon):
    """A socket keeps its element while that is in the pool, and gets another one after."""
    servers = [Server(socket.SOCK_DGRAM), Server(socket.SOCK_DGRAM)]
    daemon.pools["dns"] = [Pe(1 + i, s.port, protocol=UDP) for i, s in enumerate(servers)]
    client = subprocess.Popen(["/usr/bin/python3", "-c", DATAGRAMS], text=True, bufsize=1,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment(daemon))

    def ask():
        client.stdin.write("\n")
        client.stdin.flush()
        return client.stdout.readline().strip()
    try:
        first = ask()
        assert first in {str(s.port) for s in servers}
        assert all(ask() == first for _ in range(5))
        daemon.pools["dns"] = [pe for pe in daemon.pools["dns"] if str(pe.port) != first]
        other = str(daemon.pools["dns"][0].port)
        wait_until(lambda: ask() == other, "the other element", 2)
    finally:
        client.kill()
        client.wait()
        client.stdin.close()
        client.stdout.close()
        for server in servers:
            server.close()


@pytest.fixture
def datagrams(daemon):
    """A pool "dns" of two elements; its answers go to one and the other in turns."""
    servers = [Server(socket.SOCK_DGRAM), Server(socket.SOCK_DGRAM)]
    daemon.pools["dns"] = [Pe(1 + i, s.port, protocol=UDP) for i, s in enumerate(servers)]
    yield servers
    for server in servers:
        server.close()


def test_connected_again_as_bound(daemon, datagrams):
    """L-15: what the program bound stays, whatever element the socket goes to next."""
    run(daemon, "reconnect", "dns.pool.alt", "bound")
    assert len(daemon.asked("LP_RESOLVE")) == 3


def test_connected_again_is_another_socket(daemon, datagrams, web):
    """L-44: what was learnt of a socket is not believed of the next one with its number."""
    daemon.pools["dns"] += daemon.pools["web"]
    run(daemon, "reconnect", "dns.pool.alt", "number")
    assert [u32(r["LP_T_PROTOCOL"]) for r in daemon.asked("LP_RESOLVE")] == [UDP, UDP, TCP]


def test_connected_again_to_another_host(daemon):
    """The address 127.0.0.1 that the first connection gave to the socket does not stay with it."""
    daemon.pools["dns"] = [Pe(1, 53, protocol=UDP), Pe(2, 53, "10.52.0.2", protocol=UDP)]
    env = environment(daemon)
    alone = ("ip link set lo up && ip link add eth0 type veth peer name eth1 && "
             "ip addr add 10.52.0.1/24 dev eth0 && ip link set eth1 up && ip link set eth0 up && "
             "exec env LD_PRELOAD=\"$SHIM\" \"$0\" dns.pool.alt far")
    env["SHIM"] = env.pop("LD_PRELOAD")
    result = subprocess.run(["unshare", "--net", "sh", "-c", alone, probe("reconnect")], env=env,
                            text=True, capture_output=True, timeout=60)
    assert result.returncode == 0, result.stderr
    assert len(daemon.asked("LP_RESOLVE")) == 8 and not daemon.asked("LP_REPORT")


@pytest.mark.plain
def test_what_a_resolution_asks_of_the_kernel(daemon, datagrams):
    """Eight system calls, each with its reason: is it still that socket, may it wait, no signal
    handler meanwhile, is the connection to the daemon still ours, question, answer, connect()."""
    trace = subprocess.run(["strace", "-o", "/dev/stdout", probe("reconnect"), "dns.pool.alt",
                            "times", "20"], text=True, capture_output=True, check=True,
                           env=environment(daemon)).stdout
    calls = re.findall(r"^(\w+)\(", trace, re.M)
    ends = [i for i, name in enumerate(calls) if name == "connect"][-19:]
    each = [calls[a + 1:b + 1] for a, b in zip(ends, ends[1:])]
    # A daemon that is late costs a poll() more: the quickest is meant.
    assert [name.replace("newfstatat", "fstat") for name in min(each, key=len)] == [
        "fstat", "fcntl", "rt_sigprocmask", "fstat", "sendto", "recvfrom", "rt_sigprocmask",
        "connect"]


def test_icmp_becomes_a_report(daemon):
    """A connected UDP socket, as dig has: the error it receives is reported."""
    keep = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    keep.bind(("127.0.0.1", 0))
    port = keep.getsockname()[1]
    keep.close()
    daemon.pools["dns"] = [Pe(5, port, protocol=UDP)]
    subprocess.run(["dig", "+tries=1", "+time=1", "@dns.pool.alt", "x.example"], timeout=20,
                   env=environment(daemon), capture_output=True)
    report = daemon.wait("LP_REPORT")[0]
    assert u32(report["LP_T_PE_ID"]) == 5


# --- the magic family -----------------------------------------------------------------------------


def test_family_connect(daemon, web):
    run(daemon, "family", "connect", "web")


def test_family_listen(daemon, talk):
    dialogue = talk("family", "listen", "mine", RSP_POOL="")
    dialogue.expect("listening")
    body = daemon.wait("LP_REGISTER")[0]
    assert body["LP_T_HANDLE"][0] == b"mine" and u32(body["LP_T_PORT"]) == dialogue.port
    assert u32(body["LP_T_FAMILIES"]) == 3


def address_bytes(handle):
    """What socat takes for an address of the family: everything after the family field."""
    return "x" + (struct.pack("!HIHH", 0, 0, 0, len(handle)) + handle.encode()).hex()


def test_socat(daemon, web):
    """A program that knows nothing of the family (SOCKET-CONNECT) as pool user."""
    out = subprocess.run(["socat", "-T2", f"SOCKET-CONNECT:{0x5250}:6:{address_bytes('web')}", "-"],
                         text=True, stdin=subprocess.DEVNULL, capture_output=True, timeout=20,
                         env=environment(daemon))
    assert out.stdout == "hello", out.stderr


def test_socat_datagram(daemon):
    server = Server(socket.SOCK_DGRAM)
    daemon.pools["echo"] = [Pe(1, server.port, protocol=UDP)]
    out = subprocess.run(
        ["socat", "-t1", "-", f"SOCKET-DATAGRAM:{0x5250}:2:17:{address_bytes('echo')}"],
        text=True, input="ping", capture_output=True, timeout=20, env=environment(daemon))
    assert out.stdout == "ping", out.stderr
    server.close()


def test_socat_listen(daemon):
    server = subprocess.Popen(["socat", f"SOCKET-LISTEN:{0x5250}:6:{address_bytes('web')},fork",
                               "SYSTEM:echo hello"], env=environment(daemon))
    try:
        body = daemon.wait("LP_REGISTER")[0]
        with socket.create_connection(("127.0.0.1", u32(body["LP_T_PORT"])), 5) as connection:
            assert connection.recv(16) == b"hello\n"
        pe = daemon.pe_of(u32(body["LP_T_PORT"]))
        assert daemon.alive(pe)
    finally:
        server.kill()
        server.wait()
    wait_until(lambda: not daemon.alive(pe), "the end of the element", 2)


# --- pool elements --------------------------------------------------------------------------------


def registered(daemon, dialogue):
    body = daemon.wait("LP_REGISTER")[0]
    assert u32(body["LP_T_PORT"]) == dialogue.port
    wait_until(lambda: daemon.pe_of(dialogue.port) in daemon.lives, "the life fd")
    return daemon.pe_of(dialogue.port)


def gone(daemon, pe):
    wait_until(lambda: not daemon.alive(pe), "the end of the element", 3)


@pytest.mark.parametrize("word,stages", [
    ("plain", ["listening"]), ("dup", ["one copy", "another copy"]), ("daemon", ["daemon"]),
    ("keep", ["child holds"]), ("dups", ["copied"]), ("range", ["rest closed"]),
])
def test_element_lives_while_held(daemon, talk, word, stages):
    """L-40, L-43, L-45, L-48: alive at every stage, gone after the last close."""
    dialogue = talk("serve", word)
    for i, stage in enumerate(stages):
        dialogue.expect(stage)
        pe = registered(daemon, dialogue)
        assert daemon.alive(pe)
        dialogue.go_on()
    dialogue.expect("gone")
    gone(daemon, pe)
    assert len(daemon.asked("LP_REGISTER")) == 1


def test_child_after_exec_holds_nothing(daemon, talk):
    """L-42: the life fd is close-on-exec where the listener is (FIOCLEX)."""
    dialogue = talk("serve", "cloexec")
    dialogue.expect("child holds nothing")
    gone(daemon, registered(daemon, dialogue))


def test_listener_closed_by_one_of_two_processes(daemon, talk):
    """postgres: a helper that closed the listener no longer holds the element."""
    dialogue = talk("serve", "worker")
    dialogue.expect("two processes")
    pe = registered(daemon, dialogue)
    assert daemon.alive(pe)
    dialogue.go_on()
    dialogue.expect("gone")
    gone(daemon, pe)


def test_listen_twice(daemon, talk):
    """L-37."""
    dialogue = talk("serve", "twice")
    dialogue.expect("listening")
    registered(daemon, dialogue)
    assert len(daemon.asked("LP_REGISTER")) == 1


def test_fork_and_kill(daemon, talk):
    """The parent leaves, the child holds; kill -9 ends it."""
    dialogue = talk("serve", "fork")
    dialogue.expect("child")
    pe = registered(daemon, dialogue)
    dialogue.popen.wait(10)
    assert daemon.alive(pe)
    os.killpg(dialogue.popen.pid, signal.SIGKILL)
    gone(daemon, pe)


def test_inherited_over_exec(daemon, talk):
    """L-39: the new image finds the listener, and lets go of the old life fd."""
    dialogue = talk("serve", "exec")
    daemon.wait("LP_REGISTER", 2)
    port = u32(daemon.asked("LP_REGISTER")[0]["LP_T_PORT"])
    with socket.create_connection(("127.0.0.1", port), 5):
        dialogue.expect("accepted")
        pe = registered(daemon, dialogue)
        assert daemon.alive(pe)
        dialogue.go_on()
        dialogue.expect("gone")
        gone(daemon, pe)


def test_vfork(daemon, web, talk):
    """L-47."""
    dialogue = talk("vfork_dup2", "web.pool.alt", RSP_POOL="mine")
    dialogue.expect("after vfork")
    pe = registered(daemon, dialogue)
    assert daemon.alive(pe)
    dialogue.go_on()
    dialogue.expect("closed")
    gone(daemon, pe)


def test_sandbox(daemon, talk):
    dialogue = talk("sandbox")
    dialogue.expect("listening")
    pe = registered(daemon, dialogue)
    dialogue.go_on()
    dialogue.expect("gone")
    gone(daemon, pe)


def test_rules(daemon, talk):
    """L-36: what the registration says, by environment and by the daemon's rule."""
    dialogue = talk("serve", "plain", RSP_POOL="web", RSP_CAPACITY="25", RSP_POLICY="wrr:weight=3",
                    RSP_PROBE="tcp", RSP_PROBE_MS="500")
    dialogue.expect("listening")
    body = daemon.wait("LP_REGISTER")[0]
    assert body["LP_T_HANDLE"][0] == b"web" and u32(body["LP_T_PROTOCOL"]) == TCP
    assert u32(body["LP_T_CAPACITY"]) == 25 and u32(body["LP_T_PROBE_MS"]) == 500
    assert body["LP_T_PROBE"][0] == b"tcp" and u32(body["LP_T_FAMILIES"]) == 1
    assert struct.unpack("=II", body["LP_T_POLICY"][0]) == (2, 3)
    assert struct.unpack("=Q", body["LP_T_NETNS"][0])[0] == os.stat("/proc/self/ns/net").st_ino
    assert struct.unpack("=Q", body["LP_T_SOCK_COOKIE"][0])[0] != 0
    daemon.rules = [tlv("LP_T_RULE", tlv("LP_T_HANDLE", "ruled") + tlv("LP_T_CAPACITY", 7))]
    dialogue = talk("serve", "plain", RSP_POOL="")
    dialogue.expect("listening")
    body = daemon.wait("LP_REGISTER", 2)[1]
    assert body["LP_T_HANDLE"][0] == b"ruled" and u32(body["LP_T_CAPACITY"]) == 7
    assert daemon.asked("LP_HELLO")[-1]["LP_T_EXE"][0].decode() == probe("serve")


def test_no_rule_no_registration(daemon, talk):
    dialogue = talk("serve", "plain", RSP_POOL="")
    dialogue.expect("listening")
    dialogue.go_on()
    dialogue.expect("gone")
    assert daemon.asked("LP_REGISTER") == []


def test_bind_list(daemon, talk):
    """RSP_BIND names ports; a listener it does not name stays out."""
    dialogue = talk("serve", "plain", RSP_POOL="", RSP_BIND="1=never,udp:all=dgram")
    dialogue.expect("listening")
    assert daemon.asked("LP_REGISTER") == []
    dialogue = talk("serve", "plain", RSP_POOL="", RSP_BIND="1=never,all=rest")
    dialogue.expect("listening")
    assert daemon.wait("LP_REGISTER")[0]["LP_T_HANDLE"][0] == b"rest"


def test_bind_to_the_pool(daemon, web):
    """A server told to bind to web.pool.alt registers there, on all addresses."""
    code = ("import socket; s = socket.socket(); s.bind(('web.pool.alt', 0)); s.listen();"
            "print(*s.getsockname())")
    out = subprocess.run(["/usr/bin/python3", "-c", code], text=True, capture_output=True,
                         env=environment(daemon), timeout=20, check=True).stdout.split()
    body = daemon.wait("LP_REGISTER")[0]
    assert out == ["0.0.0.0", str(u32(body["LP_T_PORT"]))]
    assert body["LP_T_HANDLE"][0] == b"web"


def test_datagram_server_by_rule_only(daemon):
    code = "import socket; s = socket.socket(type=socket.SOCK_DGRAM); s.bind(('127.0.0.1', %d))"
    keep = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    keep.bind(("127.0.0.1", 0))
    port = keep.getsockname()[1]
    keep.close()
    for extra in ({"RSP_POOL": "dns"}, {"RSP_POOL": "dns", "RSP_BIND": f"udp:{port}"}):
        subprocess.run(["/usr/bin/python3", "-c", code % port], check=True, timeout=20,
                       env=environment(daemon, **extra))
    bodies = daemon.asked("LP_REGISTER")
    assert len(bodies) == 1 and u32(bodies[0]["LP_T_PROTOCOL"]) == UDP
    assert bodies[0]["LP_T_ADDRESS"][0] == bytes([127, 0, 0, 1])


def test_refused_registration(daemon, talk):
    """L-41: listen() succeeds; with RSP_STRICT=1 it does not."""
    daemon.result = {"LP_REGISTER": errno.EACCES}
    dialogue = talk("serve", "plain")
    dialogue.expect("listening")
    strict = subprocess.run([probe("serve"), "plain"], capture_output=True, text=True, timeout=20,
                            env=environment(daemon, RSP_POOL="web", RSP_STRICT="1"))
    assert strict.returncode == 1 and "listen" in strict.stderr and "errno 13" in strict.stderr


def test_registered_when_the_daemon_returns(daemon):
    """A listener that came while the daemon was away registers at a later call of its program."""
    daemon.stop()
    code = ("import socket, time\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
            "s.setblocking(False)\nprint(s.getsockname()[1], flush=True)\n"
            "while True:\n try: s.accept()\n except BlockingIOError: pass\n time.sleep(0.02)")
    server = subprocess.Popen(["/usr/bin/python3", "-c", code], text=True, stdout=subprocess.PIPE,
                              env=environment(daemon, RSP_POOL="web"))
    try:
        port = int(server.stdout.readline())
        daemon.start()
        body = daemon.wait("LP_REGISTER", deadline=3)[0]
        assert u32(body["LP_T_PORT"]) == port
        wait_until(lambda: daemon.alive(daemon.pe_of(port)), "its life fd")
    finally:
        server.kill()
        server.wait()
        server.stdout.close()


def left_words(daemon):
    folder = daemon.dir / "waiting"
    return sorted(folder.iterdir()) if folder.exists() else []


def test_word_is_left_for_the_next_daemon(daemon, talk):
    """A server that came while the daemon was away and then only waits: its registration lies in a
    FIFO that lives as long as its listener."""
    daemon.stop()
    dialogue = talk("serve", "plain")
    dialogue.expect("listening")
    (word,) = left_words(daemon)
    fd = os.open(word, os.O_RDONLY | os.O_NONBLOCK)
    data = os.read(fd, 4096)
    body = tlvs(data[HEADER.size:])
    assert body["LP_T_HANDLE"][0] == b"web" and u32(body["LP_T_PORT"]) == dialogue.port
    assert body["LP_T_EXE"][0].decode() == probe("serve")
    with pytest.raises(BlockingIOError):
        os.read(fd, 1)
    dialogue.go_on()
    dialogue.expect("gone")
    assert os.read(fd, 1) == b""
    os.close(fd)


def test_word_is_taken_back(daemon):
    """A server that gets to register by itself does not leave it behind."""
    daemon.stop()
    code = ("import socket, sys\ns = socket.socket(); s.bind(('127.0.0.1', 0)); s.listen();"
            "print(flush=True); s.setblocking(False)\n"
            "for line in sys.stdin:\n try: s.accept()\n except BlockingIOError: print(flush=True)")
    server = subprocess.Popen(["/usr/bin/python3", "-c", code], text=True, bufsize=1,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              env=environment(daemon, RSP_POOL="web"))

    def accept():
        server.stdin.write("\n")
        server.stdin.flush()
        server.stdout.readline()
        return left_words(daemon) == []
    try:
        server.stdout.readline()
        assert len(left_words(daemon)) == 1
        daemon.start()
        wait_until(accept, "the registration", 3)
        assert len(daemon.asked("LP_REGISTER")) == 1
    finally:
        server.kill()
        server.wait()
        server.stdin.close()
        server.stdout.close()


def test_log_only_where_asked(daemon, web, tmp_path):
    """L-16."""
    log = tmp_path / "log"
    out = subprocess.run([probe("timing"), "127.42.9.200", "blocking"], text=True,
                         capture_output=True, timeout=20, env=environment(daemon, RSP_LOG=str(log)))
    assert out.stderr == "" and "no element for this socket" in log.read_text()


# --- cost -----------------------------------------------------------------------------------------


def test_libasan_first(daemon, web):
    """L-10: with the ASan runtime first the shim works; documented for ASan programs."""
    asan = subprocess.run(["gcc", "-print-file-name=libasan.so"], text=True, capture_output=True,
                          check=True).stdout.strip()
    assert os.path.isabs(asan), "gcc has no libasan"
    env = environment(daemon, LD_PRELOAD=f"{os.path.realpath(asan)}:{SHIM}",
                      ASAN_OPTIONS="detect_leaks=0")
    run(daemon, "double_connect", "web.pool.alt", "arrives", env=env)


def test_runner_is_not_under_the_shim():
    assert "LD_PRELOAD" not in os.environ
    assert not hasattr(ctypes.CDLL(None), "hook_connect")
