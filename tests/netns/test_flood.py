# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registrar that is flooded: those who behave notice nothing, and its memory stays what it was.

The flood comes from a host of its own. The same flood against another registrar, of another scope
on the same machine, is what the figures are compared with: so the time the flooder itself and the
network take from everybody counts on both sides.
"""
import re
import struct

import pytest

import rsp
import scope

pytestmark = [pytest.mark.sctp, pytest.mark.plain, pytest.mark.alone]

FLOOD = rsp.BUILD / "tests" / "scenario" / "sctp-flood"
SECONDS = 5

# Asks at a steady pace for a pool whose entry is never fresh, so that each question goes to the
# registrar; says how many were answered.
ASKER = """
import socket, sys, time
name, seconds, rate = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
begin = at = time.monotonic()
good = 0
while time.monotonic() < begin + seconds:
    try:
        socket.create_connection((name, 80), timeout=2).close()
        good += 1
    except OSError as error:
        print('failed', repr(error), flush=True)
    at += 1 / rate
    time.sleep(max(0, at - time.monotonic()))
print('good', good, flush=True)
"""


def tlv(kind, value):
    return struct.pack("!HH", kind, 4 + len(value)) + value + bytes(-len(value) % 4)


def message(kind, body):
    return struct.pack("!BBH", kind, 0, 4 + len(body)) + body


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


def start_flood(kind, flooder, target, ports):
    asap, udp = ports
    if kind == "half-open":
        packets = [init_packet(20000 + n, asap).hex() for n in range(50)]
        return flooder.start(rsp.PYTHON, "-c", HALF_OPEN, target, udp, SECONDS, *packets,
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
    return flooder.start(FLOOD, target, asap, udp, SECONDS, lines, each, octets.hex(), offset,
                         name=kind)


def ports_of(host, scope_name):
    """ASAP and UDP port of a scope, as the daemon derives them."""
    announced = host.ctl("registrar", "list")["registrars"]
    port = next(r["port"] for r in announced if r["port"])
    assert scope_name
    return port, port + 1


def memory_kib(host):
    with open(f"/proc/{host.daemon.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


KINDS = ["registrations", "resolutions", "garbage", "associations", "half-open"]


@pytest.fixture
def flooded(world):
    """A registrar with a client and a server; a flooder; another registrar, of another scope."""
    registrar = world.host("pr1", "10.52.0.1")
    scope.start_registrar(registrar)
    client, server = scope.agents(world, 2, "--set", "Agent.DynamicUpdates=no",
                                  "--set", "Agent.StaleCache=0ms")
    scope.servers(server, 10, "web")
    scope.wait_equal([registrar], 10, 20)
    ours = ports_of(client, world.scope)
    flooder = world.host("flooder", "10.52.0.66")
    other = world.host("other", "10.52.0.2")
    name, world.scope = world.scope, "elsewhere"
    scope.start_registrar(other)
    listener = world.host("listener", "10.52.0.3")
    listener.start_rspd(registrar="no", interfaces="eth0")
    rsp.wait_until(lambda: listener.ctl("registrar", "list")["registrars"], 20, "the other one")
    others = ports_of(listener, world.scope)
    world.scope = name
    return {"registrar": registrar, "client": client, "server": server, "flooder": flooder,
            "ports": {"10.52.0.1": ours, "10.52.0.2": others}}


def rate(flooded, kind, target):
    """Connections per second of a client at 50 a second, during a flood."""
    flood = start_flood(kind, flooded["flooder"], target, flooded["ports"][target])
    asker = flooded["client"].start(rsp.PYTHON, "-c", ASKER, "web.pool.alt", SECONDS - 1, 50,
                                    name="asker", shim=True)
    asker.wait(30)
    flood.wait(30)
    sent = re.search(r"sent (\d+)", flood.output())
    assert sent and int(sent.group(1)) > 100, flood.output()
    assert "failed" not in asker.output(), asker.output()
    return int(asker.output().rsplit("good ", 1)[1]) / (SECONDS - 1), flood.output().strip()


@pytest.mark.parametrize("kind", ["registrations", "half-open"] + [
    pytest.param(kind, marks=pytest.mark.full)
    for kind in ("resolutions", "garbage", "associations")])
def test_flood(flooded, kind):
    registrar, server = flooded["registrar"], flooded["server"]
    before, _ = rate(flooded, kind, "10.52.0.2")
    used = memory_kib(registrar)
    during, said = rate(flooded, kind, "10.52.0.1")
    grown = memory_kib(registrar) - used
    print(f"{kind}: {during:.1f} connections a second beside {before:.1f} when another registrar "
          f"is flooded; {said}; memory +{grown} KiB")
    assert during >= 0.95 * before
    assert grown < 32768
    assert len(registrar.pes("web")) == 10
    server.http_server("late", 8099, pool="late")
    registrar.wait_pes("late", 1, deadline=5)
