# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registrar that another registrar floods: clients keep their rate, the registrars that behave
stay, memory is bounded, and it is said whom the limits hit."""
import struct

import pytest

import flood
import rsp
import scope
from flood import message, tlv

pytestmark = [pytest.mark.sctp, pytest.mark.plain, pytest.mark.alone]

ENRP = 12
PRESENCE, TABLE_REQUEST, UPDATE, LIST_REQUEST = 1, 2, 4, 5
SENDER = 0xbad00000


def update(address):
    """A new element of the flooder's each time."""
    ip = tlv(1, bytes(map(int, address.split("."))))
    port = struct.pack("!HH", 80, 0)
    head = struct.pack("!IIHH", SENDER, 0, 0, 0)
    element = tlv(10, struct.pack("!III", 0, SENDER, 300000) + tlv(5, port + ip) +
                  tlv(8, struct.pack("!I", 1)) + tlv(4, port + ip))
    octets = message(UPDATE, head + tlv(9, b"flood") + element)
    return octets, octets.index(element) + 4


# What is said, and where a number is counted up in it.
ids = struct.pack("!II", SENDER, 0)
KINDS = {
    "presence": (message(PRESENCE, ids, flags=1), -1),       # wants an answer
    "registrars": (message(PRESENCE, ids, flags=1), 4),      # … of another one each time
    "tables": (message(TABLE_REQUEST, ids), -1),
    "lists": (message(LIST_REQUEST, ids), -1),
    "updates": update("10.52.0.66"),
    "garbage": (bytes(range(256)), -1),
}


def flood_of(kind):
    octets, offset = KINDS[kind]

    def start(flooder, target, ports, seconds):
        _, udp, enrp = ports
        return flooder.start(flood.FLOOD, target, enrp, udp, seconds, 4, 0, octets.hex(), offset,
                             ENRP, name=kind)
    return start


@pytest.mark.full
@pytest.mark.parametrize("kind", KINDS)
def test_flood_of_a_registrar(world, kind):
    """Of changes a registrar takes 4000 a second: the elements of nine seconds need memory, at most
    Registrar.MaxElements of them."""
    stay = ("--set", "Registrar.Suggestion=never")
    scene = flood.Scene(world, *stay, seconds=9, pace=scope.sized(50, 5))
    genuine = world.host("pr2", "10.52.0.4")
    scope.start_registrar(genuine, *stay)
    scope.many(scene.server, 300, "stock", 30000)
    hosts = [scene.registrar, genuine]
    scope.wait_equal(hosts, 310, 30)
    said = scene.registrar.start(rsp.RSPCTL, "monitor", "--enrp", name="monitor")
    scene.compare(flood_of(kind), kind, 65536 if kind == "updates" else 32768)
    rsp.wait_until(lambda: "10.52.0.66 sends far more than" in said.output(), 5, "who it was")
    for host, other in (hosts, hosts[::-1]):
        assert scope.peers(host)[scope.own_id(other)]["peer_state"] == "active"
    assert f"registrar {scope.own_id(genuine)[2:]} is" not in said.output()
