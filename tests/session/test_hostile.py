# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile users and elements: a session ends, the process is unaffected; a cookie that is not ours
is refused and reported, and the session is a fresh one (asap:A-118 ... A-122)."""
import struct
import subprocess
import time

import pytest

import rsp

HELLO = rsp.BUILD / "examples" / "example-hello-server"
CLIENT = rsp.BUILD / "tests" / "session" / "session-client"
CALLS = rsp.BUILD / "tests" / "session" / "session-calls"
INIT = bytes([1, 1, 0, 4])


def chunk(data, ppid=0, kind=0, flags=0):
    """A DATA chunk of the framing over TCP (librsp/frame.h)."""
    body = struct.pack("!HHI", 0, 0, ppid) + data
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body + bytes(-len(data) % 4)


def control(kind, parameter, value):
    tlv = struct.pack("!HH", parameter, 4 + len(value)) + value + bytes(-len(value) % 4)
    return chunk(struct.pack("!BBH", kind, 0, 4 + len(tlv)) + tlv, ppid=11)


def echo(cookie):
    return control(0x0c, 0x0d, cookie)


class Talk:
    """A connection in the host's namespace, made by a program there."""

    PROGRAM = """
import socket, sys
s = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 5)
s.settimeout(float(sys.argv[2]))
s.sendall(bytes.fromhex(sys.stdin.read()))
got = b""
try:
    while True:
        part = s.recv(65536)
        if not part:
            got += b"<END>"
            break
        got += part
        if sys.argv[3] and bytes.fromhex(sys.argv[3]) in got:
            break
except OSError as error:
    got += b"<" + type(error).__name__.encode() + b">"
print(got.hex())
"""

    @classmethod
    def say(cls, host, port, octets, until=b"", timeout=3.0):
        result = host.run(rsp.PYTHON, "-c", cls.PROGRAM, port, timeout, until.hex(),
                          stdin=octets.hex())
        assert result.returncode == 0, result.stderr
        return bytes.fromhex(result.stdout.strip())


@pytest.fixture(params=["loop", "threads"])
def element(world, request):
    host = world.host("h")
    host.start_rspd()
    server = host.start(HELLO, "hello", *(["threads"] if request.param == "threads" else []),
                        name="server")
    return host, server, host.wait_pes("hello.tcp", 1)[0]["port"]


GARBAGE = {
    "another protocol": b"GET / HTTP/1.1\r\n\r\n",
    "no INIT": chunk(b"x"),
    "two INITs": INIT + INIT,
    "INIT of another profile": bytes([1, 0, 0, 4]),
    "a chunk shorter than its header": INIT + bytes([0, 0, 0, 2]),
    "an unknown chunk": INIT + bytes([9, 0, 0, 4]),
    "an empty message": INIT + bytes([0, 0, 0, 12]) + bytes(8),
    "a message that changes its PPID": INIT + chunk(b"abcd", 1, flags=1) + chunk(b"abcd", 2),
    "a malformed control message": INIT + chunk(b"\x0b\0\0\x40\0\x0d\0\x09st", ppid=11),
    "a cookie without a cookie": INIT + chunk(b"\x0c\0\0\x04", ppid=11),
    "a huge control message": INIT + chunk(bytes(65000), 11, flags=1) + chunk(bytes(65000), 11),
    "a huge heartbeat": INIT + bytes([4, 0, 0xff, 0xff]),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_hostile_user(element, what):
    host, server, port = element
    got = Talk.say(host, port, GARBAGE[what])
    assert got.endswith((b"<END>", b"<ConnectionResetError>")), got
    assert server.running()
    assert b"1: hello, x" in Talk.say(host, port, INIT + chunk(b"x"), b"1: hello, x")


@pytest.mark.parametrize("cookie", [b"forged", bytes(100), b"\x01\x01" + bytes(98), bytes(60000)],
                         ids=["short", "zeros", "with a header", "long"])
def test_foreign_cookie_is_refused_and_the_session_is_fresh(element, cookie):
    """asap:A-121"""
    host, server, port = element
    got = Talk.say(host, port, INIT + echo(cookie) + chunk(b"x"), b"1: hello, x")
    assert b"1: hello, x" in got, got
    assert b"\x0e\0" in got.split(b"1: hello")[0], "an ERROR to the user"
    rsp.wait_until(lambda: "cookie-refused" in host.daemon.output(), 5, "the report")
    assert server.running()


def cookie_of(octets):
    """The cookie in what an element has sent."""
    at = octets.index(b"\x0b\0")
    length = struct.unpack_from("!H", octets, at + 6)[0]
    return octets[at + 8:at + 4 + length]


def test_own_cookie_restores_and_an_altered_one_does_not(element):
    """asap:A-119, A-121"""
    host, _, port = element
    got = Talk.say(host, port, INIT + chunk(b"x"), b"", 1.0)
    cookie = cookie_of(got)
    assert b"2: hello, y" in Talk.say(host, port, INIT + echo(cookie) + chunk(b"y"), b"2: hello, y")
    for at in (0, 2, 5, 20, 50, len(cookie) - 1):
        altered = bytearray(cookie)
        altered[at] ^= 1
        got = Talk.say(host, port, INIT + echo(bytes(altered)) + chunk(b"y"), b"1: hello, y")
        assert b"1: hello, y" in got, f"octet {at}"
    got = Talk.say(host, port, INIT + echo(cookie[:-1]) + chunk(b"y"), b"1: hello, y")
    assert b"1: hello, y" in got, "truncated"


def test_second_echo_and_echo_after_data_change_nothing(element):
    host, _, port = element
    cookie = cookie_of(Talk.say(host, port, INIT + chunk(b"x"), b"", 1.0))
    got = Talk.say(host, port, INIT + echo(cookie) + echo(b"forged") + chunk(b"y"), b"hello, y")
    assert b"2: hello, y" in got
    got = Talk.say(host, port, INIT + chunk(b"x") + echo(cookie) + chunk(b"y"), b"hello, y")
    assert b"2: hello, y" in got


def test_cookie_of_another_pool(world):
    host = world.host("h")
    host.start_rspd()
    host.start(HELLO, "one", name="one")
    host.start(HELLO, "two", name="two")
    ports = [host.wait_pes(pool, 1)[0]["port"] for pool in ("one.tcp", "two.tcp")]
    cookie = cookie_of(Talk.say(host, ports[0], INIT + chunk(b"x"), b"", 1.0))
    got = Talk.say(host, ports[1], INIT + echo(cookie) + chunk(b"y"), b"hello, y")
    assert b"1: hello, y" in got
    rsp.wait_until(lambda: "cookie-refused" in host.daemon.output(), 5, "the report")


def drop_key_of(host, cookie):
    """Another key seals from now on, and that of this cookie is known no more."""
    host.ctl("cookie-key", "drop", "hello.tcp", struct.unpack(">H", cookie[2:4])[0])


def wait_beyond_age(cookie):
    """Of a pool whose cookies are good for a second."""
    issued, life = struct.unpack(">QI", cookie[4:16])
    assert life == 1
    rsp.wait_until(lambda: time.time() > issued + life + 1, 10, "a cookie too old")


def host_with_life(world, life):
    host = world.host("h")
    config = host.dir / "rspd.conf"
    config.write_text(f"[Pool hello*]\nCookieLife={life}\n")
    host.start_rspd("--config", config)
    return host


def test_cookie_of_a_key_that_was_rotated_away(element):
    """While the old key is in the ring its cookies restore; then not: asap:A-121"""
    host, server, port = element
    cookie = cookie_of(Talk.say(host, port, INIT + chunk(b"x"), b"", 1.0))
    host.ctl("cookie-key", "rotate", "hello.tcp")
    assert b"2: hello, y" in Talk.say(host, port, INIT + echo(cookie) + chunk(b"y"), b"2: hello, y")
    drop_key_of(host, cookie)
    got = Talk.say(host, port, INIT + echo(cookie) + chunk(b"y"), b"1: hello, y")
    assert b"1: hello, y" in got, got
    assert b"\x0e\0" in got.split(b"1: hello")[0], "an ERROR to the user"
    rsp.wait_until(lambda: "a key that this host does not have" in host.daemon.output(), 5,
                   "the report")
    assert server.running()


@pytest.mark.full
def test_cookie_beyond_its_age(world):
    """asap:A-121"""
    host = host_with_life(world, "1s")
    server = host.start(HELLO, "hello", name="server")
    port = host.wait_pes("hello.tcp", 1)[0]["port"]
    cookie = cookie_of(Talk.say(host, port, INIT + chunk(b"x"), b"", 1.0))
    wait_beyond_age(cookie)
    got = Talk.say(host, port, INIT + echo(cookie) + chunk(b"y"), b"1: hello, y")
    assert b"1: hello, y" in got, got
    assert b"\x0e\0" in got.split(b"1: hello")[0], "an ERROR to the user"
    rsp.wait_until(lambda: "too old" in host.daemon.output(), 5, "the report")
    assert server.running()


class User:
    """A program whose session goes on at the next server, with the last cookie."""

    def __init__(self, host):
        self.process = host.start(CALLS, "user", "hello", "any", name="user",
                                  stdin=subprocess.PIPE)
        self.wait("connected")

    def ask(self, word, answer):
        self.process.popen.stdin.write(f"{word}\n".encode())
        self.process.popen.stdin.flush()
        self.wait(f"message {answer}: hello, {word}\n")

    def wait(self, text):
        rsp.wait_until(lambda: text in self.process.output(), 20, text)


@pytest.mark.parametrize("what", [pytest.param("good", marks=pytest.mark.full), "unknown key",
                                  pytest.param("over age", marks=pytest.mark.full)])
def test_cookie_that_the_next_server_refuses(world, what):
    """The user is told, and its session begins anew: asap:A-120, A-121"""
    host = host_with_life(world, "1s" if what == "over age" else "1h")
    server = host.start(HELLO, "hello", name="first")
    port = host.wait_pes("hello.tcp", 1)[0]["port"]
    user = User(host)
    user.ask("one", 1)
    user.ask("two", 2)
    later = cookie_of(Talk.say(host, port, INIT + chunk(b"x"), b"", 1.0))
    server.kill()
    host.wait_pes("hello.tcp", 0)
    if what == "unknown key":
        host.ctl("cookie-key", "rotate", "hello.tcp")
        drop_key_of(host, later)
    elif what == "over age":
        wait_beyond_age(later)
    host.start(HELLO, "hello", name="second")
    user.wait("failover complete, with cookie")
    if what != "good":
        user.wait("failover complete, without cookie")  # what is sent before is lost with the state
    user.ask("three", 3 if what == "good" else 1)
    refused = "state cookie refused" in user.process.output()
    assert refused == (what != "good"), user.process.output()
    assert ("cookie-refused" in host.daemon.output()) == refused


LIAR = """
import socket, sys
s = socket.socket()
octets = bytes.fromhex(open(sys.argv[1]).read())
s.bind(("127.0.0.1", 7200))
s.listen(20)
while True:
    c, _ = s.accept()
    try:
        c.sendall(octets)
        c.recv(65536)
    except OSError:
        pass
    c.close()
"""


@pytest.mark.parametrize("what", [w for w in GARBAGE if w != "a cookie without a cookie"])
def test_hostile_element(world, what, tmp_path):
    """The user's session goes to an honest element; the user's process is unaffected."""
    host = world.host("h")
    host.start_rspd()
    (tmp_path / "octets").write_text(GARBAGE[what].hex())
    host.start(rsp.PYTHON, "-c", LIAR, tmp_path / "octets", name="liar", shim=True,
               env={"RSP_BIND": "tcp:7200=hello.tcp", "RSP_POLICY": "lu"})
    host.start(HELLO, "hello", name="server")
    host.wait_pes("hello.tcp", 2)
    client = host.start(CLIENT, "count", "hello", 4, 3, 1, name="client")
    assert client.wait(30) == 0, client.output()
    assert "4 right" in client.output()
