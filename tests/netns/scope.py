# SPDX-License-Identifier: LGPL-2.1-or-later
"""A scope of several registrars: what the tests of this folder start, ask and compare.

They run with userland SCTP between namespaces and, in full, over the kernel's SCTP in the guest of
tests/lab. Its one slow processor ticks at 100 Hz: there is less of everything there (sized()),
clients ask less often, and what takes seconds may take GRACE seconds more.
"""
import os
import time

import rsp

GUEST = bool(os.environ.get("SCTP_LAB"))
SCTP = "kernel" if GUEST else "usrsctp"
GRACE = 2 if GUEST else 0


def sized(full, in_guest):
    """How many, how much or how often, here."""
    return in_guest if GUEST else full

# Many listeners in one process: each is an element of its own.
MANY = """
import signal, socket, sys
first, count = int(sys.argv[1]), int(sys.argv[2])
held = [socket.create_server(('0.0.0.0', first + n)) for n in range(count)]
print('listening', flush=True)
signal.pause()
"""


def registrars(world, count, *options, profile="lan"):
    """`count` hosts that were told to be registrar, each of which serves and sees the others."""
    hosts = [world.host(f"pr{n}", f"10.52.0.{n}") for n in range(1, count + 1)]
    for host in hosts:
        start_registrar(host, *options, profile=profile)
    for host in hosts:
        rsp.wait_until(lambda h=host: len(active(h)) == count - 1, 20, f"{host.name} sees them all")
    return hosts


def start_registrar(host, *options, profile="lan"):
    host.start_rspd("--profile", profile, *options, registrar="yes", interfaces="eth0")
    assert host.ctl("status")["sctp"] == SCTP


def agents(world, count, *options, profile="lan", first=11):
    """Hosts that are no registrars."""
    hosts = [world.host(f"pe{n}", f"10.52.0.{first + n}") for n in range(count)]
    for host in hosts:
        host.start_rspd("--profile", profile, *options, registrar="no", interfaces="eth0")
    return hosts


def peers(host):
    """The other registrars as this registrar sees them, by their identifier."""
    return {r["registrar_id"]: r for r in host.ctl("registrar", "list")["registrars"]
            if "peer_state" in r and not r["local"]}


def active(host):
    return [r for r in peers(host).values() if r["peer_state"] == "active"]


def own_id(host):
    return host.ctl("status")["home_registrar"]


def dump(host):
    """The whole handlespace as text, the same on every registrar."""
    result = host.rspctl("dump", "--json")
    assert result.returncode == 0, result.stderr
    return result.stdout


def elements(host):
    """pe_id -> home_id of everything the registrar knows."""
    return {e["pe_id"]: e["home_id"] for pool in host.ctl("dump")["pools"]
            for e in pool["elements"]}


def wait_equal(hosts, count, deadline, what="equal handlespaces"):
    """Until all registrars know the same `count` elements, each under a registrar that lives."""
    alive = {own_id(host) for host in hosts}

    def equal():
        first = elements(hosts[0])
        assert len(first) == count, f"{len(first)} of {count} elements"
        assert set(first.values()) <= alive, f"owned by {set(first.values()) - alive}"
        assert len({dump(host) for host in hosts}) == 1, "they differ"
        return True
    begin = time.monotonic()
    rsp.wait_until(equal, deadline, what)
    return time.monotonic() - begin


def many(host, count, pool, first=20000):
    """`count` elements of one process."""
    return host.start(rsp.PYTHON, "-c", MANY, first, count, name=f"many-{pool}", pool=pool)


# Many servers in one process: accepts whoever comes, and closes.
SERVERS = """
import selectors, socket, sys
first, count = int(sys.argv[1]), int(sys.argv[2])
loop = selectors.DefaultSelector()
for n in range(count):
    server = socket.create_server(('0.0.0.0', first + n), backlog=64)
    server.setblocking(False)
    loop.register(server, selectors.EVENT_READ)
print('listening', flush=True)
while True:
    for key, _ in loop.select():
        try:
            key.fileobj.accept()[0].close()
        except BlockingIOError:
            pass
"""

# Connects again and again by name; says what fails, and in the end how often it went well.
CLIENT = """
import signal, socket, sys, time
name, pause = sys.argv[1], float(sys.argv[2])
done = []
signal.signal(signal.SIGTERM, lambda *_: done.append(1))
good = 0
while not done:
    begin = time.monotonic()
    try:
        socket.create_connection((name, 80), timeout=5).close()
        good += 1
    except OSError as error:
        print(f'{begin:.3f} failed after {time.monotonic() - begin:.3f}: {error!r}', flush=True)
    time.sleep(pause)
print('good', good, flush=True)
"""


def servers(host, count, pool, first=20000):
    """`count` elements of one process that serve."""
    return host.start(rsp.PYTHON, "-c", SERVERS, first, count, name=f"servers-{pool}", pool=pool)


class Clients:
    """Programs that connect to a pool all the time."""

    def __init__(self, hosts, pool, each=2, pause=0.05, env=None):
        pause = sized(pause, 20 * pause)
        self.programs = [host.start(rsp.PYTHON, "-c", CLIENT, f"{pool}.pool.alt", pause,
                                    name=f"client{n}", shim=True, env=env)
                         for host in hosts for n in range(each)]

    def failures(self):
        return [line for p in self.programs for line in p.output().splitlines()
                if "failed" in line or "Error" in line]

    def end(self):
        """Stops them; how many connections went well, and the failures."""
        for program in self.programs:
            program.kill(15)
        for program in self.programs:
            program.wait(10)
        good = sum(int(p.output().rsplit("good ", 1)[1]) for p in self.programs)
        return good, self.failures()
