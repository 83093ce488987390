# SPDX-License-Identifier: LGPL-2.1-or-later
"""What programs of librsp report to monitors (component status protocol): sent by whoever is in the
library, while it waits."""
import socket
import struct
import subprocess

import pytest

import rsp

STATUS = rsp.BUILD / "tests" / "session" / "session-status"
REGISTRAR, ELEMENT, USER = (group << 56 for group in (1, 2, 3))


class Report:
    """One datagram, of which every octet is looked at."""

    def __init__(self, octets):
        kind, flags, length, version = struct.unpack_from("!BBHI", octets)
        assert (kind, length, version) == (1, len(octets), 0x200) and flags in (0, 1)
        self.final = flags == 1
        self.sender, self.uptime, self.interval = struct.unpack_from("!QQI", octets, 8)
        self.location, self.status = (octets[at:at + 128].rstrip(b"\0").decode()
                                      for at in (28, 156))
        self.workload, count = struct.unpack_from("!HH", octets, 284)
        assert len(octets) == 288 + 24 * count
        self.links = {}
        for n in range(count):
            peer, duration, zero, protocol, ppid = struct.unpack_from("!QQHHI", octets, 288 + 24 * n)
            assert zero == 0
            self.links[peer] = (protocol, ppid, duration)


# A monitor that knows nothing: prints its port, then each datagram.
LISTEN = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('127.0.0.1', 0))
print(s.getsockname()[1], flush=True)
while True:
    print(s.recv(65536).hex(), flush=True)
"""


class Monitor:
    def __init__(self, host):
        self.process = host.start(rsp.PYTHON, "-c", LISTEN, name="monitor")
        rsp.wait_until(lambda: "\n" in self.process.output(), 30, "the monitor")
        self.port = int(self.process.output().split()[0])
        self.seen = []

    def wait(self, what, wanted):
        """The next report that is wanted; all that come meanwhile are remembered."""
        def come():
            lines = self.process.output().split("\n")[1:-1]
            while len(self.seen) < len(lines):
                self.seen.append(Report(bytes.fromhex(lines[len(self.seen)])))
                if wanted(self.seen[-1]):
                    return True
            return False
        rsp.wait_until(come, 30, what)
        return self.seen[-1]


@pytest.fixture
def host(world):
    host = world.host("h")
    host.start_rspd()
    return host


@pytest.fixture
def monitor(host):
    return Monitor(host)


def start(host, *args, env=None):
    return host.start(STATUS, *args, name=args[0], stdin=subprocess.PIPE, env=env)


def at(process, where):
    rsp.wait_until(lambda: where in process.output() or not process.running(), 30,
                   f"{where}: {process.output()}")
    assert where in process.output(), process.output()


def finish(process):
    process.popen.stdin.close()
    assert process.wait(30) == 0, process.output()


def environment(monitor):
    return {"CSP_SERVER": f"127.0.0.1:{monitor.port}", "CSP_INTERVAL": "100"}  # 250 is the least


@pytest.mark.parametrize("kind, text", [("element", "serving one"), ("many", "one of many")])
def test_an_element_and_a_user_report(host, monitor, kind, text):
    """From registration to deregistration, while they wait: id, text, associations, the end."""
    registrar = REGISTRAR | int(host.ctl("status")["home_registrar"], 0)
    element = start(host, kind, "pool", env=environment(monitor))
    at(element, "registered ")
    element_id = ELEMENT | int(element.output().split()[1])

    def of_element(r):
        return r.sender == element_id and not r.final
    first = monitor.wait("the element", of_element)
    assert first.status == "0 Sessions" and first.interval == 250000
    assert first.workload == 0x4000 and first.location.startswith(f"{socket.gethostname()}: ")
    assert first.links == {registrar: (132, 11, 2 ** 64 - 1)}
    again = monitor.wait("the element, idle", of_element)
    assert again.uptime >= first.uptime + 200000

    user = start(host, "user", "pool", "127.0.0.1", monitor.port)
    at(user, "talking")
    assert monitor.wait("what the element says", lambda r: of_element(r) and r.status == text)
    told = monitor.wait("what the user says", lambda r: r.status == "asking" and len(r.links) == 2)
    assert told.sender & (0xff << 56) == USER and told.sender != USER
    assert told.interval == 300000 and told.workload == 0xffff
    protocol, ppid, duration = told.links[element_id]
    assert (protocol, ppid) == (6, 77)
    later = monitor.wait("the user, waiting", lambda r: r.sender == told.sender)
    assert later.links[element_id][2] > duration and registrar in later.links

    finish(user)
    last = monitor.wait("the user's end", lambda r: r.sender == told.sender and r.final)
    assert (last.location, last.status, last.links) == ("", "", {})
    finish(element)
    monitor.wait("the element's end", lambda r: r.sender == element_id and r.final)
    assert {r.sender for r in monitor.seen} == {element_id, told.sender}


def test_nothing_is_reported_unasked(host, monitor):
    """Neither without the variables nor with a wrong address in them."""
    for env in ({"CSP_INTERVAL": "250"}, {"CSP_SERVER": f"127.0.0.1:{monitor.port}"},
                {"CSP_SERVER": f"127.0.0.1:{monitor.port}x", "CSP_INTERVAL": "250"},
                {"CSP_SERVER": f"[127.0.0.1]:{monitor.port}", "CSP_INTERVAL": "250"}):
        element = start(host, "many", "pool", env=env)
        at(element, "registered ")
        finish(element)
    element = start(host, "many", "pool", env=environment(monitor))
    at(element, "registered ")
    finish(element)
    monitor.wait("the last one's end", lambda r: r.final)
    assert {r.sender for r in monitor.seen} == {ELEMENT | int(element.output().split()[1])}
