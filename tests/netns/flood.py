# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registrar that is flooded, one who asks it meanwhile, and how the two are measured.

The flood comes from a host of its own. The same flood against another registrar, of another scope
on the same machine, is what the figures are compared with: so the time the flooder itself and the
network take from everybody counts on both sides.
"""
import re
import struct

import rsp
import scope

FLOOD = rsp.BUILD / "tests" / "scenario" / "sctp-flood"
TARGET, OTHER = "10.52.0.1", "10.52.0.2"

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


def message(kind, body, flags=0):
    return struct.pack("!BBH", kind, flags, 4 + len(body)) + body


def ports_of(host):
    """ASAP, UDP and ENRP port of a scope, as the daemon derives them."""
    announced = host.ctl("registrar", "list")["registrars"]
    port = next(r["port"] for r in announced if r["port"])
    return port, port + 1, port + 2


def memory_kib(host):
    with open(f"/proc/{host.daemon.pid}/status", encoding="ascii") as file:
        return int(re.search(r"VmRSS:\s+(\d+)", file.read()).group(1))


class Scene:
    """A registrar with a client and a server; a flooder; another registrar, of another scope.

    `seconds` is how long a flood lasts, `pace` how often the client asks in a second.
    """

    def __init__(self, world, *options, seconds=5, pace=50):
        self.seconds = seconds
        self.pace = pace
        self.registrar = world.host("pr1", TARGET)
        scope.start_registrar(self.registrar, *options)
        self.client, self.server = scope.agents(world, 2, "--set", "Agent.DynamicUpdates=no",
                                                "--set", "Agent.StaleCache=0ms")
        scope.servers(self.server, 10, "web")
        scope.wait_equal([self.registrar], 10, 20)
        self.ports = {TARGET: ports_of(self.client)}
        self.flooder = world.host("flooder", "10.52.0.66")
        other = world.host("other", OTHER)
        name, world.scope = world.scope, "elsewhere"
        scope.start_registrar(other, *options)
        listener = world.host("listener", "10.52.0.3")
        listener.start_rspd(registrar="no", interfaces="eth0")
        rsp.wait_until(lambda: listener.ctl("registrar", "list")["registrars"], 20, "the other one")
        self.ports[OTHER] = ports_of(listener)
        world.scope = name

    def rate(self, start, target):
        """Connections per second of the client during a flood, and what the flooder says of it.
        start(flooder, target, ports, seconds) starts the flood."""
        program = start(self.flooder, target, self.ports[target], self.seconds)
        seconds = self.seconds - 1
        asker = self.client.start(rsp.PYTHON, "-c", ASKER, "web.pool.alt", seconds, self.pace,
                                  name="asker", shim=True)
        asker.wait(self.seconds + 60)
        program.wait(self.seconds + 60)
        sent = re.search(r"sent (\d+)", program.output())
        assert sent and int(sent.group(1)) > 100, program.output()
        assert "failed" not in asker.output(), asker.output()
        good = int(asker.output().rsplit("good ", 1)[1]) / seconds
        return good, program.output().strip()

    def compare(self, start, what, most_kib=32768):
        """The client keeps its rate, and the registrar's memory grows by no more than that."""
        before, _ = self.rate(start, OTHER)
        used = memory_kib(self.registrar)
        during, said = self.rate(start, TARGET)
        grown = memory_kib(self.registrar) - used
        print(f"{what}: {during:.1f} connections a second beside {before:.1f} when another "
              f"registrar is flooded; {said}; memory +{grown} KiB")
        assert during >= 0.95 * before
        assert grown < most_kib
