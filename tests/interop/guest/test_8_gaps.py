# SPDX-License-Identifier: LGPL-2.1-or-later
"""How long a user is without a server, ours beside rsplib 3.4.4 in the same guest.

Printed as a table. The guest has one CPU and ticks at 100 Hz: what is below some 30 ms cannot be
told apart in it; tests/session/test_survive.py has the limits on the host's own clock. For
pingpongclient, which asks every 10 ms, a gap is the time between the last answer of the old element
and the first one of the new, by the packets on the link; for librsp's own sessions, which ask
without pause, the same by the user's clock.
"""
import re
import signal
import statistics
import subprocess
import time

import pytest

import dropin
import rsp
import rsplib

pytestmark = pytest.mark.full

KINDS = {"rsplib": "theirs", "ours, drop-in": "ours", "ours, librsp": None}
KILLS = 5
HELLO = rsp.BUILD / "examples" / "example-hello-server"
CLIENT = rsp.BUILD / "tests" / "session" / "session-client"
FIGURES = {}


class PingPong:
    """Debian's programs on either library."""

    def __init__(self, link, side, elements):
        self.link = link
        self.scope = dropin.Scope(link, side, side, side, element_hosts=2)
        self.elements = self.scope.serve("-pingpong", count=elements)
        self.client = self.scope.use("pingpongclient", "-interval=10")
        rsp.wait_until(self.scope.answers, 40, "an answer")

    def serving(self):
        """The host and the process of the element that answers."""
        pe = re.findall(r"from PE \$([0-9a-f]{8})", self.client.output())[-1]
        return self.scope.host_of[pe], self.elements[pe]

    def gap_after(self, fault):
        """The gap that a fault has made."""
        answers = rsp.wait_until(self.scope.answers, 10, "answers")
        old = [m for m in answers if m.time < fault][-1]

        def gap():
            before, after = None, None
            for m in self.scope.answers():
                if (m.source, m.port) == (old.source, old.port):
                    before = m.time
                elif m.time > fault and after is None:
                    after = m.time
            return after and (after - before,)
        return rsp.wait_until(gap, 90, "another element")[0]


class Session:
    """Our programs on librsp."""

    def __init__(self, link, elements):
        self.link = link
        self.registrar = link.registrar()
        self.user = link.agent(2)
        self.hosts = [link.agent(n) for n in (3, 4)]
        self.elements = {}
        for n in range(elements):
            host = self.hosts[n % 2]
            known = set(self.elements)
            process = host.start(HELLO, "hello", name=f"hello{n}")
            (pe,) = rsp.wait_until(lambda k=known: {p["pe_id"] for p in self.user.pes("hello")} - k,
                                   20, "the element")
            self.elements[pe] = (host, process)
        self.share_key()
        self.client = self.user.start(CLIENT, "gap", "hello", name="client", stdin=subprocess.PIPE)
        rsp.wait_until(lambda: "first" in self.client.output(), 20, "an answer")

    def share_key(self):
        """The hosts of the pool have one key for its cookies."""
        self.hosts[0].run(rsp.RSPCTL, "cookie-key", "rotate", "hello.tcp")
        keys = self.hosts[0].run(rsp.RSPCTL, "cookie-key", "export", "hello.tcp")
        assert keys.returncode == 0, keys.stderr
        taken = self.hosts[1].run(rsp.RSPCTL, "cookie-key", "import", "hello.tcp",
                                  stdin=keys.stdout)
        assert taken.returncode == 0, taken.stderr

    def changes(self):
        """(microseconds, element) of each gap so far; of the first element None."""
        return re.findall(r"^(?:first|gap (\d+)) at (\w{8})$", self.client.output(), re.MULTILINE)

    def serving(self):
        return self.elements[f"0x{self.changes()[-1][1]}"]

    def gap_after(self, _):
        known = getattr(self, "known", 1)
        changes = rsp.wait_until(lambda: self.changes()[known:], 30, "another element")
        self.known = known + 1
        return int(changes[0][0]) / 1e6


def user_of(link, kind, elements):
    return PingPong(link, KINDS[kind], elements) if KINDS[kind] else Session(link, elements)


@pytest.mark.parametrize("kind", KINDS)
def test_element_killed(link, kind):
    user = user_of(link, kind, KILLS + 1)
    gaps = []
    for _ in range(KILLS):
        process = user.serving()[1]
        begin = time.time()
        process.kill(signal.SIGKILL)
        gaps.append(user.gap_after(begin))
    FIGURES["element killed, median", kind] = statistics.median(gaps)
    FIGURES["element killed, worst", kind] = max(gaps)
    print(kind, [f"{gap * 1000:.1f} ms" for gap in gaps])
    if kind != "rsplib":
        assert max(gaps) < 0.5


@pytest.mark.parametrize("kind", KINDS)
def test_host_of_the_element_vanishes(link, kind):
    """Of librsp's five times, as it may happen while something is on its way there, or while an
    answer is awaited, which only heartbeats show."""
    user = user_of(link, kind, 2)
    gaps = []
    for _ in range(5 if KINDS[kind] is None else 1):
        host = user.serving()[0]
        begin = time.time()
        host.ip("link", "set", "eth0", "down")
        gaps.append(user.gap_after(begin))
        host.ip("link", "set", "eth0", "up")
        if KINDS[kind] is None:
            rsp.wait_until(lambda: len(user.user.pes("hello")) == 2 and all(
                pe["state"] == "up" for pe in user.user.pes("hello")), 60, "both elements")
    FIGURES["host of the element vanishes, worst", kind] = max(gaps)
    print(kind, [f"{gap:.2f} s" for gap in gaps])
    if kind == "ours, librsp":
        assert max(gaps) < 3


def test_table():
    rows = list(dict.fromkeys(row for row, _ in FIGURES))
    assert len(FIGURES) == len(rows) * len(KINDS), "a figure is missing"
    print("\n| milliseconds without a server | " + " | ".join(KINDS) + " |\n|" +
          " --- |" * (len(KINDS) + 1))
    for row in rows:
        print(f"| {row} | " + " | ".join(f"{FIGURES[row, kind] * 1000:.1f}" for kind in KINDS) +
              " |")
