# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scripted peer of the shim: speaks wire/local.h on a Unix socket, knows pools it was given, and
can be slow, silent, hostile or dead. Type and TLV numbers are read from the header itself."""
import array
import os
import pathlib
import re
import socket
import struct
import threading

ROOT = pathlib.Path(__file__).resolve().parents[2]
HEADER = struct.Struct("=HHII")


def _enum(text, name):
    """The constants of an enum of the header."""
    body = re.search(r"enum %s \{(.*?)\};" % name, text, re.S).group(1)
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    values, value = {}, 0
    for item in filter(None, (part.strip() for part in body.split(","))):
        key, _, given = (part.strip() for part in item.partition("="))
        value = int(given, 0) if given else value
        values[key] = value
        value += 1
    return values


_text = (ROOT / "wire" / "local.h").read_text()
LP = _enum(_text, "lp_type")
T = _enum(_text, "lp_tlv")
TCP, UDP, SCTP = 5, 6, 4


def tlv(kind, value):
    if isinstance(value, int):
        value = struct.pack("=I", value & 0xffffffff)
    elif isinstance(value, str):
        value = value.encode()
    data = struct.pack("=HH", T[kind], len(value) + 4) + value
    return data + b"\0" * (-len(data) % 4)


def tlvs(data):
    """{name: [values]} of a message body or a nested TLV."""
    names = {number: name for name, number in T.items()}
    found = {}
    while data:
        kind, length = struct.unpack_from("=HH", data)
        found.setdefault(names.get(kind, kind), []).append(data[4:length])
        data = data[length + (-length % 4):]
    return found


def u32(values, fallback=None):
    return struct.unpack("=I", values[0])[0] if values else fallback


class Pe:
    """One pool element as the daemon would give it out."""

    def __init__(self, pe_id, port, address="127.0.0.1", protocol=TCP):
        self.pe_id, self.port, self.protocol = pe_id, port, protocol
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.address = socket.inet_pton(family, address)

    def encode(self):
        return tlv("LP_T_PE", tlv("LP_T_PE_ID", self.pe_id) + tlv("LP_T_PROTOCOL", self.protocol) +
                   tlv("LP_T_PORT", self.port) + tlv("LP_T_ADDRESS", self.address))


class FakeDaemon:
    """Serves until close(); `log` holds (request name, TLVs) in order of arrival."""

    def __init__(self, directory):
        self.dir = pathlib.Path(directory)
        self.path = self.dir / "rspd.sock"
        self.pools = {}      # handle -> [Pe]
        self.names = {}      # handle -> number of its cookie
        self.rules = []      # encoded RULE TLVs for HELLO_OK
        self.suffixes = [".pool.alt"]
        self.refusal_us = 2000
        self.timeout_ms = 1000
        self.silent = set()  # request names that get no answer
        self.result = {}     # request name -> errno to answer
        self.garbage = set() # request names answered by octets that do not parse
        self.hello_fails = False
        self.hints = False   # the first element comes with the name
        self.next = 0
        self.in_order = False # the first that fits, instead of one after the other
        self.next_pe = 0x1000
        self.lives = {}      # PE id -> FIFO path
        self.registered = {} # (protocol, port) -> PE id
        self.log = []
        self.changed = threading.Condition()
        self.clients = []
        self.listener = None
        self.start()

    # Life.

    def start(self):
        self.path.unlink(missing_ok=True)
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.listener.bind(str(self.path))
        self.listener.listen(64)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def stop(self, unlink=True):
        """As if the daemon had died."""
        listener, self.listener = self.listener, None
        if listener:
            try:
                listener.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            listener.close()
        if unlink:
            self.path.unlink(missing_ok=True)
        for client in self.clients:
            try:
                client.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
        self.clients = []

    def _accept(self, listener):
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self.clients.append(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        names = {number: name for name, number in LP.items()}
        with client:
            while True:
                try:
                    data = client.recv(65536)
                except OSError:
                    return
                if not data:
                    return
                _, kind, request, _ = HEADER.unpack_from(data)
                name = names.get(kind, str(kind))
                body = tlvs(data[HEADER.size:])
                with self.changed:
                    self.log.append((name, body))
                    self.changed.notify_all()
                if name in self.silent:
                    continue
                try:
                    self._answer(client, name, request, body)
                except OSError:
                    return

    # Waiting for what the shim does.

    def asked(self, name):
        with self.changed:
            return [body for kind, body in self.log if kind == name]

    def wait(self, name, count=1, deadline=10.0):
        with self.changed:
            met = self.changed.wait_for(
                lambda: sum(kind == name for kind, _ in self.log) >= count, deadline)
        assert met, f"{count} × {name} expected, got {[kind for kind, _ in self.log]}"
        return self.asked(name)

    # Answers.

    def _send(self, client, kind, request, body, fds=()):
        data = HEADER.pack(1, LP[kind], request, HEADER.size + len(body)) + body
        control = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        client.sendmsg([data], control)

    def _answer(self, client, name, request, body):
        if request == 0:
            return
        if name in self.garbage:
            client.send(b"\x01\x00\xff\xff" + os.urandom(40))
            return
        if name in self.result:
            self._send(client, "LP_RESULT", request, tlv("LP_T_RESULT", -self.result[name]) +
                       tlv("LP_T_TEXT", "scripted"))
            return
        answer = getattr(self, "_" + name.lower(), None)
        if answer is None:
            self._send(client, "LP_RESULT", request, tlv("LP_T_RESULT", -95))
        else:
            answer(client, request, body)

    def _lp_hello(self, client, request, _body):
        self._send(client, "LP_HELLO_OK", request,
                   tlv("LP_T_DAEMON_VERSION", "0.1.0") +
                   b"".join(tlv("LP_T_SUFFIX", s) for s in self.suffixes) +
                   tlv("LP_T_COOKIE4_NET", bytes([127, 42, 0, 0, 16])) +
                   tlv("LP_T_COOKIE6_NET", socket.inet_pton(socket.AF_INET6, "fd52:5350:0:a1::") +
                       bytes([64])) +
                   tlv("LP_T_REFUSAL_WAIT_US", self.refusal_us) +
                   tlv("LP_T_CONNECT_TIMEOUT_MS", self.timeout_ms) + b"".join(self.rules))

    def number(self, handle):
        return self.names.setdefault(handle, len(self.names) + 7)

    def cookie4(self, handle):
        return f"127.42.1.{self.number(handle)}"

    def cookie6(self, handle):
        return f"fd52:5350:0:a1::{self.number(handle):x}"

    def _handle(self, body):
        """The handle a request means, whatever it came as."""
        if "LP_T_HANDLE" in body:
            return body["LP_T_HANDLE"][0].decode()
        if "LP_T_NAME" in body:
            name = body["LP_T_NAME"][0].decode().rstrip(".").lower()
            for suffix in self.suffixes:
                if name.endswith(suffix):
                    return name[:-len(suffix)]
            return name
        octets = body["LP_T_ADDRESS"][0]
        return next((h for h, n in self.names.items() if n == octets[-1]), None)

    def _lp_name(self, client, request, body):
        handle = self._handle(body)
        if handle not in self.pools:
            self._send(client, "LP_RESULT", request, tlv("LP_T_RESULT", -2))
            return
        self._send(client, "LP_NAME_REPLY", request,
                   tlv("LP_T_HANDLE", handle) +
                   tlv("LP_T_COOKIE4", socket.inet_aton(self.cookie4(handle))) +
                   tlv("LP_T_COOKIE6", socket.inet_pton(socket.AF_INET6, self.cookie6(handle))) +
                   tlv("LP_T_NAME", handle + self.suffixes[0]) +
                   (self.pools[handle][0].encode() if self.hints else b""))

    def _lp_resolve(self, client, request, body):
        handle = self._handle(body)
        if handle not in self.pools:
            self._send(client, "LP_RESULT", request, tlv("LP_T_RESULT", -2))
            return
        avoid = [struct.unpack("=I", v)[0] for v in body.get("LP_T_AVOID", [])]
        want = u32(body.get("LP_T_WANT_PE"))
        protocol = u32(body.get("LP_T_PROTOCOL"))
        pes = [pe for pe in self.pools[handle] if pe.pe_id not in avoid]
        if pes and all(pe.protocol != protocol for pe in pes):
            self._send(client, "LP_RESULT", request, tlv("LP_T_RESULT", -91))
            return
        pes = [pe for pe in pes if pe.protocol == protocol and want in (None, pe.pe_id)]
        if not pes:
            self._send(client, "LP_RESULT", request, tlv("LP_T_RESULT", -111))
            return
        pe = pes[0 if self.in_order else self.next % len(pes)]
        self.next += 1
        self._send(client, "LP_RESOLVED", request, tlv("LP_T_HANDLE", handle) + pe.encode())

    def _lp_register(self, client, request, body):
        key = (u32(body["LP_T_PROTOCOL"]), u32(body["LP_T_PORT"]))
        pe_id = self.registered.get(key)
        if pe_id is None:
            self.next_pe += 1
            pe_id = self.registered[key] = self.next_pe
            fifo = self.dir / f"life-{pe_id:x}"
            os.mkfifo(fifo)
            # The daemon's reading end is opened first, as the real one does.
            self.lives[pe_id] = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        writer = os.open(self.dir / f"life-{pe_id:x}", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            self._send(client, "LP_REGISTERED", request, tlv("LP_T_PE_ID", pe_id), [writer])
        finally:
            os.close(writer)

    def pe_of(self, port, protocol=TCP):
        return self.registered.get((protocol, port))

    def alive(self, pe_id):
        """Whether anybody holds the life fd (read: 0 = nobody, EAGAIN = somebody)."""
        if pe_id not in self.lives:
            return False
        try:
            return os.read(self.lives[pe_id], 1) != b""
        except BlockingIOError:
            return True

    def close(self):
        self.stop()
        for fd in self.lives.values():
            os.close(fd)
