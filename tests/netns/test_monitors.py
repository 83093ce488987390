# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a registrar reports to monitors (component status protocol)."""
import struct

import pytest

import rsp
import scope

pytestmark = pytest.mark.sctp

# A monitor that knows nothing: prints each datagram.
LISTEN = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('0.0.0.0', 2960))
print('listening', flush=True)
while True:
    octets, peer = s.recvfrom(65536)
    print(peer[0], peer[1], octets.hex(), flush=True)
"""


def reports(monitor):
    """(address, port, final, sender, interval in us, status, peers) of each report."""
    for line in monitor.output().splitlines():
        if len(line.split()) != 3:
            continue
        address, port, octets = line.split()
        octets = bytes.fromhex(octets)
        kind, flags, length, version = struct.unpack_from("!BBHI", octets)
        assert (kind, length, version) == (1, len(octets), 0x200)
        (links,) = struct.unpack_from("!H", octets, 286)
        assert len(octets) == 288 + 24 * links
        peers = {struct.unpack_from("!Q", octets, 288 + 24 * n)[0] & 0xffffffff
                 for n in range(links)}
        yield (address, int(port), flags == 1, *struct.unpack_from("!Q8xI", octets, 8),
               octets[156:284].rstrip(b"\0").decode(), peers)


def test_registrars_report_themselves_and_their_peers(world):
    """By environment, as rsplib's programs are told, and by settings."""
    watcher = world.host("watch", "10.52.0.30")
    monitor = watcher.start(rsp.PYTHON, "-c", LISTEN, name="monitor")
    rsp.wait_until(lambda: "listening" in monitor.output(), 10, "the monitor")
    hosts = [world.host(f"pr{n}", f"10.52.0.{n}") for n in (1, 2)]
    hosts[0].start_rspd(interfaces="eth0", env={"CSP_SERVER": "10.52.0.30:2960",
                                                "CSP_INTERVAL": "300"})
    hosts[1].start_rspd("--set", "Network.Monitors=10.52.0.30", "--set",
                        "Network.MonitorInterval=400ms", interfaces="eth0")
    hosts[0].http_server("s", 8080, pool="web")
    ids = [int(scope.own_id(host), 16) for host in hosts]

    def told(n):
        address, own, other = hosts[n].address, ids[n], ids[1 - n]
        return [r for r in reports(monitor) if r[0] == address and r[3] == 1 << 56 | own and
                r[6] == {other} and r[5].endswith("] PEs in 1 Pool, 1 Peer")]
    for n in (0, 1):
        rsp.wait_until(lambda n=n: len(told(n)) >= 2, 20, f"two reports of {hosts[n].name}")
        assert {r[4] for r in told(n)} == {(300000, 400000)[n]}
        assert not any(r[2] for r in told(n))
    assert told(0)[-1][5].startswith("1[1]")

    # The end is told, too; a host that is no registrar has nothing to tell.
    hosts[1].stop_rspd()
    rsp.wait_until(lambda: any(r[2] for r in reports(monitor) if r[0] == hosts[1].address), 5,
                   "the last report")
    before = len([r for r in reports(monitor) if r[0] == hosts[1].address])
    hosts[1].start_rspd("--set", "Network.Monitors=10.52.0.30", registrar="no", interfaces="eth0")
    seen = len(told(0)) + len(list(reports(monitor)))
    rsp.wait_until(lambda: len(list(reports(monitor))) > seen + 4, 10, "four reports of the other")
    assert len([r for r in reports(monitor) if r[0] == hosts[1].address]) == before
