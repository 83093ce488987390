# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile local clients: malformed, truncated, oversized, out of order, flooding, never reading.
The daemon answers by an error or closes the connection, and everybody else goes on."""
import random
import socket
import struct

import pytest

import rsp

HELLO, RESULT, NAME, RESOLVE, REGISTER, POOL_LIST, MONITOR = 1, 3, 10, 12, 20, 30, 36
T_RESULT, T_KIND, T_PID, T_NAME, T_HANDLE, T_PORT, T_PROTOCOL = 1, 4, 5, 15, 16, 20, 21


def tlv(kind, value):
    return struct.pack("=HH", kind, 4 + len(value)) + value + b"\0" * (-len(value) % 4)


def message(kind, *tlvs, request=7, version=1, length=None):
    body = b"".join(tlvs)
    return struct.pack("=HHII", version, kind, request,
                       12 + len(body) if length is None else length) + body


GOOD_HELLO = message(HELLO, tlv(T_KIND, struct.pack("=I", 3)), tlv(T_PID, struct.pack("=I", 1)))


class Client:
    def __init__(self, host, hello=True):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(5)
        self.socket.connect(str(host.socket))
        if hello:
            assert self.ask(GOOD_HELLO)[0] == 2

    def ask(self, octets):
        """(type, result) of the answer; (None, None) when the connection was closed."""
        try:
            self.socket.send(octets)
            answer = self.socket.recv(65536)
        except (BrokenPipeError, ConnectionResetError):
            return None, None
        if not answer:
            return None, None
        kind = struct.unpack_from("=HHII", answer)[1]
        result = None
        if kind == RESULT:
            result = struct.unpack_from("=i", answer, 16)[0]
        return kind, result


@pytest.fixture
def served(world):
    host = world.host("a")
    host.start_rspd()
    host.http_server("s", 8080, pool="web")
    host.wait_pes("web", 1)
    yield host
    # After whatever the test did: everybody else is served, nothing was lost.
    assert host.daemon.running()
    assert host.curl().stdout == "s\n"
    assert len(host.pes("web")) == 1


BAD = {
    "nothing": b"",
    "one octet": b"x",
    "header cut": GOOD_HELLO[:11],
    "length too small": message(NAME, length=11),
    "length too large": message(NAME, length=4096),
    "tlv too small": message(NAME, struct.pack("=HH", T_NAME, 3)),
    "tlv too large": message(NAME, struct.pack("=HH", T_NAME, 400) + b"abcd"),
    "tlv cut": message(NAME, b"\1\0"),
    "unknown request": message(999),
    "register of nothing": message(REGISTER),
    "resolve of nothing": message(RESOLVE),
    "name of nothing": message(NAME),
    "handle of no octets": message(RESOLVE, tlv(T_HANDLE, b"")),
    "handle of 2000 octets": message(RESOLVE, tlv(T_HANDLE, b"x" * 2000)),
    "port 70000": message(REGISTER, tlv(T_HANDLE, b"web"), tlv(T_PORT, struct.pack("=I", 70000)),
                          tlv(T_PROTOCOL, struct.pack("=I", 5))),
    "protocol 77": message(REGISTER, tlv(T_HANDLE, b"web"), tlv(T_PORT, struct.pack("=I", 80)),
                           tlv(T_PROTOCOL, struct.pack("=I", 77))),
    "a reply": message(RESULT, tlv(T_RESULT, struct.pack("=i", 0))),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_message(served, what):
    kind, result = Client(served).ask(BAD[what])
    assert kind is None or (kind == RESULT and result < 0), (kind, result)


@pytest.mark.parametrize("first", [message(NAME, tlv(T_NAME, b"web.pool.alt")),
                                   message(POOL_LIST), b"GET / HTTP/1.0\r\n\r\n",
                                   message(HELLO, version=2)])
def test_first_message_must_be_hello(served, first):
    kind, result = Client(served, hello=False).ask(first)
    assert kind is None or (kind == RESULT and result < 0), (kind, result)


def test_random_octets(served):
    chaos = random.Random(1)
    for _ in range(300):
        client = Client(served, hello=chaos.random() < 0.7)
        for _ in range(chaos.randrange(1, 6)):
            kind = chaos.randrange(0, 40)
            body = chaos.randbytes(chaos.randrange(0, 200))
            octets = chaos.choice([body, message(kind, body), message(kind, tlv(
                chaos.randrange(1, 80), body))])
            try:
                client.socket.send(octets)
            except (BrokenPipeError, ConnectionResetError):
                break
        client.socket.close()
    # Whatever was registered by accident is gone with its client's life fd.
    rsp.wait_until(lambda: len(served.pes()) == 1, 10, "only the real element")


@pytest.mark.plain
def test_client_that_never_reads_is_cut_off(served):
    client = Client(served)
    client.socket.settimeout(0)
    question = message(POOL_LIST)
    sent = 0
    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        for _ in range(200000):
            try:
                client.socket.send(question)
                sent += 1
            except BlockingIOError:
                assert served.ctl("status")  # others are served meanwhile
                if sent > 100000:
                    break
        else:
            raise BrokenPipeError
    assert memory_kib(served.daemon.pid) < 64 * 1024


def test_many_idle_connections(served):
    clients = [Client(served) for _ in range(800)]
    assert served.curl().stdout == "s\n"
    for client in clients:
        client.socket.close()


def test_descriptors_that_nobody_asked_for_are_closed(served):
    client = Client(served)
    count = len(list(rsp.pathlib.Path(f"/proc/{served.daemon.pid}/fd").iterdir()))
    for _ in range(50):
        with open("/dev/null", "rb") as null:
            socket.send_fds(client.socket, [message(POOL_LIST)], [null.fileno()] * 4)
        client.socket.recv(65536)
    assert len(list(rsp.pathlib.Path(f"/proc/{served.daemon.pid}/fd").iterdir())) <= count + 1


def memory_kib(pid):
    for line in rsp.pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("no VmRSS")
