# SPDX-License-Identifier: LGPL-2.1-or-later
"""Distances are measured: a registrar, elements near and far, and a second registrar far away."""
import re

import pytest

import rsp
import scope

pytestmark = pytest.mark.sctp

DELAY_MS = 80

# A wire that takes its time, as two ends of it in one namespace: frames that come out of the one
# device go into the other one DELAY later. Without the kernel's netem, which not every host has.
WIRE = """
import collections, select, socket, sys, time
delay = float(sys.argv[3]) / 1000
ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in range(2)]
for end, name in zip(ends, sys.argv[1:3]):
    end.bind((name, 3))
    end.setblocking(False)
waiting = collections.deque()
print('ready', flush=True)
while True:
    left = waiting[0][0] - time.monotonic() if waiting else None
    readable, _, _ = select.select(ends, [], [], left if left is None else max(0, left))
    for end in readable:
        for _ in range(100):
            try:
                frame, source = end.recvfrom(65536)
            except BlockingIOError:
                break
            if source[2] != socket.PACKET_OUTGOING:
                waiting.append((time.monotonic() + delay, ends[1 - ends.index(end)], frame))
    while waiting and waiting[0][0] <= time.monotonic():
        _, out, frame = waiting.popleft()
        try:
            out.send(frame)
        except OSError:
            pass
"""


# Devices of this kind leave checksums to the hardware that they do not have; what goes through a
# program on its way needs them (ETHTOOL_STXCSUM).
CHECKSUMS = """
import array, fcntl, socket, struct, sys
value = array.array('I', [0x17, 0])
request = struct.pack('16sP16x', sys.argv[1].encode(), value.buffer_info()[0])
fcntl.ioctl(socket.socket(socket.AF_INET, socket.SOCK_DGRAM), 0x8946, request)
"""


def far_host(world, name, address):
    """A host whose every packet takes DELAY_MS to the others, and each of theirs the same."""
    host = world.host(name)
    switch_port = world.connect(host, address)
    switch = world.switch
    switch.ip("link", "set", switch_port, "nomaster")
    switch.ip("link", "add", f"{name}w", "type", "veth", "peer", "name", f"{name}b")
    for end, device in (host, "eth0"), (switch, f"{name}b"):
        done = end.run(rsp.PYTHON, "-c", CHECKSUMS, device)
        assert done.returncode == 0, done.stderr
    switch.ip("link", "set", f"{name}b", "master", "br0", "up")
    switch.ip("link", "set", f"{name}w", "up")
    wire = switch.start(rsp.PYTHON, "-c", WIRE, switch_port, f"{name}w", DELAY_MS,
                        name=f"wire-{name}")
    rsp.wait_until(lambda: "ready" in wire.output(), 10, "the wire")
    return host


def distances(host):
    """Address to distance of the elements, as this host's registrar has them."""
    return {element["addresses"][0]:
            int(re.search(r"distance (\d+) ms", element["policy"])[1])
            for pool in host.ctl("dump")["pools"] for element in pool["elements"]}


def serve(host):
    host.start(rsp.PYTHON, "-m", "http.server", "8080", name="http")
    host.wait_listening(8080)
    joined = host.rspctl("register", "web", "--port", 8080, "--policy", "lu-dpf:dpf=0.25%")
    assert joined.returncode == 0, joined.stderr


@pytest.mark.alone
def test_distances_of_a_scope(world):
    """policies:P-35, policies:P-36: the home sets the distance, rounded to the step; another registrar adds
    its own to the home; an element of the registrar's host is at 0. A client then gets the near one
    (policies:P-37)."""
    config = world.dir / "short.conf"
    config.write_text("[Agent]\nReregistration=1s\n[Registrar]\nSuggestion=never\n")
    near = world.host("near", "10.52.0.1")
    far = far_host(world, "far", "10.52.0.2")
    element = far_host(world, "element", "10.52.0.3")
    for host in near, far:
        scope.start_registrar(host, "--config", config)
    for host in near, far:
        rsp.wait_until(lambda h=host: len(scope.active(h)) == 1, 20, "they see each other")
    element.start_rspd("--config", config, "--registrars", "10.52.0.1", "--announce-groups", "none",
                       registrar="no", interfaces="eth0")
    serve(near)
    serve(far)
    serve(element)
    # One wire between near and the others: 80 ms, which is nearest to 100 ms.
    step = 100
    expected = {"10.52.0.1": 0, "10.52.0.2": step, "10.52.0.3": step}
    rsp.wait_until(lambda: distances(near) == expected, 20, "the distances from the near registrar")
    expected = {"10.52.0.1": step, "10.52.0.2": 0, "10.52.0.3": 2 * step}
    rsp.wait_until(lambda: distances(far) == expected, 20, "the distances from the far registrar")
    for host in near, far:
        chosen = host.ctl("resolve", "web", "-n", "1")["pes"]
        assert chosen[0]["addresses"][0] == "127.0.0.1", "not the one of its own host"
