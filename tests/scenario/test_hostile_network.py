# SPDX-License-Identifier: LGPL-2.1-or-later
"""Hostile hosts: rubbish over SCTP, as announces, and on the UDP port of encapsulated SCTP. It is
answered by an error, ignored or ends the sender's association; nobody else notices."""
import ipaddress
import random
import struct

import pytest

import rsp

pytestmark = pytest.mark.sctp
SAY = rsp.BUILD / "tests" / "scenario" / "sctp-say"
ASAP, ENRP = 11, 12
REGISTRATION, DEREGISTRATION, REGISTRATION_RESPONSE, DEREGISTRATION_RESPONSE = 1, 2, 3, 4
RESOLUTION, RESOLUTION_RESPONSE, KEEP_ALIVE, KEEP_ALIVE_ACK, UNREACHABLE, ANNOUNCE = range(5, 11)
COOKIE, COOKIE_ECHO, BUSINESS_CARD, ERROR = range(11, 15)
P_IPV4, P_TCP, P_POLICY, P_HANDLE, P_ELEMENT, P_ERROR, P_PE_ID = 1, 5, 8, 9, 10, 12, 14


def tlv(kind, value, length=None):
    length = 4 + len(value) if length is None else length
    return struct.pack("!HH", kind, length) + value + b"\0" * (-len(value) % 4)


def message(kind, *tlvs, flags=0, length=None):
    body = b"".join(tlvs)
    return struct.pack("!BBH", kind, flags, 4 + len(body) if length is None else length) + body


def pe_id(value):
    return tlv(P_PE_ID, struct.pack("!I", value))


def element(identifier, address="10.52.0.9", port=80, policy=1):
    ip = tlv(P_IPV4, ipaddress.IPv4Address(address).packed)
    return tlv(P_ELEMENT, struct.pack("!III", identifier, 0, 60000) +
               tlv(P_TCP, struct.pack("!HH", port, 0) + ip) +
               tlv(P_POLICY, struct.pack("!I", policy)))


FENCE = message(RESOLUTION, tlv(P_HANDLE, b"the-fence"))
EVIL = tlv(P_HANDLE, b"evil")
JOIN = message(REGISTRATION, EVIL, element(0x666))


class Attacker:
    def __init__(self, world, victim):
        self.host = world.host("evil", "10.52.0.9")
        self.victim = victim

    def say(self, messages):
        """What became of each (PPID, octets)."""
        lines = "".join(f"{ppid} {octets.hex()}\n" for ppid, octets in messages)
        result = self.host.run(SAY, self.victim.address, 3863, 9899, FENCE.hex(),
                               b"the-fence".hex(), stdin=lines, timeout=120)
        assert result.returncode == 0, result.stdout[-200:] + result.stderr
        answers = [line.split(" ", 1)[1] for line in result.stdout.splitlines()]
        assert len(answers) == len(messages)
        return answers

    def script(self, text, *args):
        result = self.host.run(rsp.PYTHON, "-c", text, *args, timeout=60)
        assert result.returncode == 0, result.stderr


@pytest.fixture
def attacked(world):
    """A registrar and an agent with an element; after the attack they must not have noticed."""
    world.scope = "default"  # the ports of the RFC
    registrar = world.host("pr", "10.52.0.1")
    agent = world.host("pe", "10.52.0.2")
    registrar.start_rspd(interfaces="eth0")
    agent.start_rspd(registrar="no", interfaces="eth0")
    agent.http_server("s", 8080, pool="web")
    before = registrar.wait_pes("web", 1)
    attacker = Attacker(world, registrar)
    attacker.pe_id = int(str(before[0]["pe_id"]), 0)
    attacker.agent = agent
    yield attacker
    for host in (registrar, agent):
        assert host.daemon.running(), host.daemon.output()
        assert host.curl().stdout == "s\n"
        assert len(host.pes("web")) == 1
    assert registrar.pes("web")[0]["pe_id"] == before[0]["pe_id"]
    assert "registrar-lost" not in agent.daemon.output()
    agent.http_server("t", 8081, pool="web")
    registrar.wait_pes("web", 2)


def test_messages_that_say_nothing_right(attacked):
    handle = tlv(P_HANDLE, b"web")
    cases = [
        (ASAP, JOIN, "answered 3"),
        (ASAP, message(DEREGISTRATION, EVIL, pe_id(0x666)), "answered 4"),
        # Too short to be a message, longer or shorter than they say, of no known type.
        (ASAP, b"\x01", None), (ASAP, b"\x05\0\0", None),
        (ASAP, message(RESOLUTION, handle, length=3), None),
        (ASAP, message(RESOLUTION, handle, length=0xffff), None),
        (ASAP, message(RESOLUTION, handle, length=6), None),
        (ASAP, message(RESOLUTION, handle) + b"more", None),
        (ASAP, message(0), None), (ASAP, message(0xff, handle), None),
        (ASAP, message(0x7f, b"\xff" * 400), None),
        # Parameters missing, twice, nested wrongly, with impossible lengths or values.
        (ASAP, message(REGISTRATION), None), (ASAP, message(REGISTRATION, EVIL), None),
        (ASAP, message(REGISTRATION, element(1)), None),
        (ASAP, message(REGISTRATION, EVIL, element(0)), "answered 3"),
        (ASAP, message(REGISTRATION, EVIL, element(1, port=0)), "answered 3"),
        (ASAP, message(REGISTRATION, EVIL, element(1, policy=0x99)), "answered 3"),
        (ASAP, message(REGISTRATION, EVIL, element(1, address="127.0.0.1")), "answered 3"),
        (ASAP, message(REGISTRATION, EVIL, element(1, address="224.0.0.1")), "answered 3"),
        (ASAP, message(REGISTRATION, EVIL, element(1, address="0.0.0.0")), "answered 3"),
        (ASAP, message(REGISTRATION, EVIL, *[element(n) for n in range(1, 300)]), None),
        (ASAP, message(REGISTRATION, tlv(P_HANDLE, b"x" * 2000), element(1)), "answered 14"),
        (ASAP, message(RESOLUTION, tlv(P_HANDLE, b"")), None),
        (ASAP, message(RESOLUTION, tlv(P_HANDLE, b"web", length=2)), None),
        (ASAP, message(RESOLUTION, tlv(P_HANDLE, b"web", length=0xfff0)), None),
        (ASAP, message(RESOLUTION, handle, *[tlv(0xc000 + n, b"?" * 8) for n in range(900)]), None),
        (ASAP, message(RESOLUTION, *[tlv(0x4001, tlv(0x4001, tlv(0x4001, b"")))] * 500), None),
        (ASAP, message(ERROR, tlv(P_ERROR, tlv(1, b"\xff" * 3000))), None),
        (ASAP, message(ERROR, tlv(P_ERROR, struct.pack("!HH", 1, 1))), None),
        # As long as they get, and longer than any message.
        (ASAP, message(RESOLUTION, tlv(0x8001, b"x" * 65000), handle), None),
        (ASAP, message(RESOLUTION, b"\0" * 65528), None), (ASAP, b"\x05" * 65536, None),
        # What only a registrar says, and what nobody has asked for.
        (ASAP, message(REGISTRATION_RESPONSE, handle, pe_id(attacked.pe_id)), None),
        (ASAP, message(DEREGISTRATION_RESPONSE, handle, pe_id(attacked.pe_id)), None),
        (ASAP, message(RESOLUTION_RESPONSE, handle), None),
        (ASAP, message(KEEP_ALIVE, struct.pack("!I", 1), handle, pe_id(1), flags=1), None),
        (ASAP, message(KEEP_ALIVE_ACK, handle, pe_id(attacked.pe_id)), None),
        (ASAP, message(KEEP_ALIVE_ACK, EVIL, pe_id(1)), None),
        (ASAP, message(ANNOUNCE, struct.pack("!I", 1)), None),
        (ASAP, message(COOKIE, tlv(13, b"c" * 500)), None),
        (ASAP, message(COOKIE_ECHO, tlv(13, b"c")), None), (ASAP, message(BUSINESS_CARD), None),
        # Another protocol's number.
        (0, JOIN, "ignored"), (99, JOIN, "ignored"),
    ]
    known = [case for case in cases if case[2]]
    results = attacked.say([(ppid, octets) for ppid, octets, _ in known])
    assert results == [wanted for _, _, wanted in known]
    # One that goes on like that is shut out; PPID 12 ends it at once (T-10).
    assert "closed" in attacked.say([(ppid, octets) for ppid, octets, _ in cases])
    assert attacked.say([(ENRP, JOIN), (ASAP, JOIN)]) == ["closed", "answered 3"]


def test_acts_upon_somebody_elses_element(attacked):
    """Only the element itself may leave; and one host's reports do not remove it."""
    handle = tlv(P_HANDLE, b"web")
    mine = attacked.pe_id
    results = attacked.say(
        [(ASAP, message(DEREGISTRATION, handle, pe_id(mine)))] +
        [(ASAP, message(REGISTRATION, handle, element(mine)))] +
        [(ASAP, message(UNREACHABLE, handle, pe_id(mine)))] * 50)
    assert results[:2] == ["answered 4", "answered 3"]
    assert set(results[2:]) == {"ignored"}


def test_every_octet_wrong_once(attacked):
    """A good registration, cut off at each octet (its length as it was, and corrected), and with
    each octet changed."""
    rng = random.Random(11)
    mutants = []
    for n in range(1, len(JOIN)):
        mutants.append(JOIN[:n])
        mutants.append(JOIN[:2] + struct.pack("!H", n) + JOIN[4:n] if n >= 4 else JOIN[:n])
        mutants.append(JOIN[:n] + bytes([JOIN[n] ^ rng.randrange(1, 256)]) + JOIN[n + 1:])
    for result in attacked.say([(ASAP, mutant) for mutant in mutants]):
        assert result in ("answered 3", "answered 4", "answered 6", "answered 14", "ignored",
                          "closed"), result


ANNOUNCE_RUBBISH = """
import random, socket, struct, sys
rng = random.Random(3)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(sys.argv[1]))
group = ('239.0.0.50', 3863)
def announce(identifier, rest=b'', length=None):
    n = 8 + len(rest) if length is None else length
    return struct.pack('!BBHI', 10, 0, n, identifier) + rest
for n in range(600):
    s.sendto(rng.randbytes(rng.randrange(1400)), group)
    s.sendto(b'\\x0a' + rng.randbytes(rng.randrange(60)), group)
for n in range(8):
    s.sendto(announce(7)[:n], group)
s.sendto(announce(0), group)
s.sendto(announce(7, length=4), group)
s.sendto(announce(7, length=65535), group)
sctp = struct.pack('!HHHH', 4, 16, 0, 0) + struct.pack('!HH4s', 1, 8, b'\\0' * 4)
s.sendto(announce(7, sctp), group)
s.sendto(announce(7, b'\\x00\\x04\\xff\\xff' + b'\\0' * 1300), group)
for n in range(1, 500):
    s.sendto(announce(n), group)
"""


def test_announces_of_nobody(attacked):
    """Rubbish, and more registrars than there is room for, none of which exists."""
    attacked.script(ANNOUNCE_RUBBISH, "10.52.0.9")
    registrars = rsp.wait_until(
        lambda: attacked.agent.ctl("registrar", "list")["registrars"], 5, "a list")
    assert len(registrars) <= 65


UDP_RUBBISH = """
import random, socket, struct, sys
rng = random.Random(4)
table = []
for n in range(256):
    for _ in range(8):
        n = n >> 1 ^ (0x82f63b78 if n & 1 else 0)
    table.append(n)
def crc32c(data):
    crc = 0xffffffff
    for octet in data:
        crc = table[(crc ^ octet) & 255] ^ crc >> 8
    return struct.pack('<I', crc ^ 0xffffffff)
def packet(tag, *chunks):
    head = struct.pack('!HHI', 40000, 3863, tag)
    body = b''.join(chunks)
    return head + crc32c(head + b'\\0' * 4 + body) + body
def chunk(kind, value, flags=0, length=None):
    n = 4 + len(value) if length is None else length
    return struct.pack('!BBH', kind, flags, n) + value + b'\\0' * (-len(value) % 4)
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
at = (sys.argv[1], 9899)
for n in range(1500):
    s.sendto(rng.randbytes(n), at)
    if n % 100 == 0:
        s.sendto(b'', at)
for n in range(500):
    init = struct.pack('!IIHHI', n, 65536, 2, 2, n)
    s.sendto(packet(0, chunk(1, init + rng.randbytes(rng.randrange(200)))), at)
    s.sendto(packet(0, chunk(1, init[:n % 17])), at)
    s.sendto(packet(0, chunk(1, init, length=n)), at)
    s.sendto(packet(n, chunk(10, rng.randbytes(rng.randrange(400)))), at)
    s.sendto(packet(n, chunk(n % 256, rng.randbytes(rng.randrange(100)))), at)
    s.sendto(packet(n, *[chunk(0, rng.randbytes(12))] * 40), at)
"""


def test_rubbish_on_the_udp_port(attacked):
    attacked.script(UDP_RUBBISH, attacked.victim.address)
    # Its host has begun too many associations for this second.
    rsp.wait_until(lambda: attacked.say([(ASAP, JOIN)]) == ["answered 3"], 10, "an honest answer")
