# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registrar that is flooded: those who behave notice nothing, and its memory stays what it was."""
import struct

import pytest

import flood
import rsp
import scope
from flood import message, tlv

pytestmark = [pytest.mark.sctp, pytest.mark.plain, pytest.mark.alone]


def registration(address):
    """A new element each time: the identifier is at the returned offset."""
    user = tlv(5, struct.pack("!HH", 80, 0) + tlv(1, bytes(map(int, address.split(".")))))
    element = tlv(10, bytes(8) + struct.pack("!I", 300000) + user + tlv(8, struct.pack("!I", 1)))
    octets = message(1, tlv(9, b"flood") + element)
    return octets, octets.index(element) + 4


def crc32c(octets):
    value = 0xffffffff
    for octet in octets:
        value ^= octet
        for _ in range(8):
            value = value >> 1 ^ 0x82f63b78 & -(value & 1)
    return value ^ 0xffffffff


# INITs of associations that nobody will ever complete, each from another port; and garbage.
HALF_OPEN = """
import os, socket, struct, sys, time
address, port, seconds, packets = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4:]
packets = [bytes.fromhex(p) for p in packets]
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.bind(('0.0.0.0', int(port)))
end, n = time.monotonic() + seconds, 0
while time.monotonic() < end:
    for packet in packets:
        out.sendto(packet, (address, port))
        n += 1
    out.sendto(os.urandom(64), (address, port))
    time.sleep(0.0002)
print('sent', n, flush=True)
"""


def init_packet(source_port, port):
    chunk = struct.pack("!BBHIIHHI", 1, 0, 20, source_port * 7919 + 1, 65536, 2, 2, 1)
    packet = struct.pack("!HHII", source_port, port, 0, 0) + chunk
    return packet[:8] + struct.pack("<I", crc32c(packet)) + packet[12:]


def flood_of(kind):
    """What starts a flood of that kind."""
    def start(flooder, target, ports, seconds):
        asap, udp, _ = ports
        if kind == "half-open":
            packets = [init_packet(20000 + n, asap).hex() for n in range(50)]
            return flooder.start(rsp.PYTHON, "-c", HALF_OPEN, target, udp, seconds, *packets,
                                 name="half-open")
        lines, each, offset = 1, 0, -1
        if kind == "registrations":
            octets, offset = registration(flooder.address)
        elif kind == "resolutions":
            octets = message(5, tlv(9, b"web"))
        elif kind == "garbage":
            octets = bytes(range(256))
        else:  # associations
            octets, lines, each = message(5, tlv(9, b"web")), 16, 1
        return flooder.start(flood.FLOOD, target, asap, udp, seconds, lines, each, octets.hex(),
                             offset, name=kind)
    return start


KINDS = ["registrations"] + [pytest.param(kind, marks=pytest.mark.full)
                             for kind in ("resolutions", "garbage", "associations")]
if not scope.GUEST:  # to a kernel they are nothing: tests/lab/guest/test_kernel_sctp.py
    KINDS.append(pytest.param("half-open", marks=pytest.mark.full))


@pytest.mark.parametrize("kind", KINDS)
def test_flood(world, kind):
    scene = flood.Scene(world, pace=scope.sized(50, 5), seconds=scope.sized(5, 9))
    scene.compare(flood_of(kind), kind)
    assert len(scene.registrar.pes("web")) == 10
    scene.server.http_server("late", 8099, pool="late")
    scene.registrar.wait_pes("late", 1, deadline=5)
