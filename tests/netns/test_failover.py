# SPDX-License-Identifier: LGPL-2.1-or-later
"""Registrars that die, stop, freeze and come back: nobody who uses a pool notices."""
import signal
import time

import pytest

import rsp
import scope

pytestmark = [pytest.mark.sctp, pytest.mark.plain]

# Silence until it is asked, its time to answer, the longest wait before the takeover (profile lan).
DETECTION = {"lan": 2.5 + 2.0 + 0.2, "fast": 0.4 + 0.3 + 0.03}


def owned_by(host, registrar):
    return list(scope.elements(host).values()).count(scope.own_id(registrar))


def wait_shared(hosts, deadline):
    """Until no registrar owns more than 1.5 times the mean, and each owns something."""
    def shared():
        counts = [owned_by(hosts[0], host) for host in hosts]
        mean = sum(counts) / len(counts)
        assert 0 < min(counts) and max(counts) <= 1.5 * mean, counts
        return counts
    begin = time.monotonic()
    counts = rsp.wait_until(shared, deadline, "elements shared out")
    return counts, time.monotonic() - begin


@pytest.mark.full
@pytest.mark.alone
def test_each_registrar_in_turn(world):
    """Three registrars, 500 elements (in the guest 60) on four hosts, eight clients that connect all
    the time; each registrar is killed, stopped, frozen, and comes back (enrp:E-51 ... E-65, E-87,
    E-88)."""
    hosts = scope.registrars(world, 3)
    pe_hosts = scope.agents(world, 4)
    each = scope.sized(125, 15)
    for host in pe_hosts:
        scope.servers(host, each, "web")
    scope.wait_equal(hosts, 4 * each, 40)
    clients = scope.Clients(pe_hosts, "web")
    took = {}
    for victim in hosts:
        others = [host for host in hosts if host is not victim]
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
            wait_shared(hosts, 60)  # within 60 s of the last one's return
            owned = owned_by(others[0], victim)
            frozen = victim.daemon
            if how == signal.SIGSTOP:
                frozen.kill(how)
            else:
                victim.stop_rspd(how)
            seconds = scope.wait_equal(others, 4 * each, DETECTION["lan"] + 1 + scope.GRACE,
                                       f"takeover of {owned} elements, {how.name}")
            took[f"{victim.name} {how.name} owned {owned}"] = round(seconds, 2)
            if how == signal.SIGSTOP:
                frozen.kill(signal.SIGCONT)
            else:
                scope.start_registrar(victim)
            scope.wait_equal(hosts, 4 * each, 20, f"{victim.name} is back after {how.name}")
            assert clients.failures() == []
    good, failures = clients.end()
    print(f"{good} connections, 0 failed; elements under a living registrar after {took}")
    assert failures == [] and good > scope.sized(1000, 200)


@pytest.mark.alone
@pytest.mark.parametrize("profile,limit,count", [
    ("lan", 6, 2), ("fast", 1, 3), pytest.param("lan", 6, 3, marks=pytest.mark.full),
    pytest.param("fast", 1, 2, marks=pytest.mark.full)])
def test_killed(world, profile, limit, count):
    """One of two, one of three: its elements have another home in time, and clients see nothing.
    It returns, and owns its share again (enrp:E-52, E-97)."""
    hosts = scope.registrars(world, count, profile=profile)
    pe_hosts = scope.agents(world, 4, profile=profile)
    for host in pe_hosts:
        scope.servers(host, 10, "web")
    scope.wait_equal(hosts, 40, 20)
    counts, _ = wait_shared(hosts, 60)
    clients = scope.Clients(pe_hosts[:2], "web", each=1, pause=0.02)
    victim, *others = hosts
    victim.stop_rspd(signal.SIGKILL)
    seconds = scope.wait_equal(others, 40, limit + scope.GRACE, f"takeover of {counts[0]} elements")
    scope.start_registrar(victim, profile=profile)
    scope.wait_equal(hosts, 40, 20, "it is back")
    counts, shared = wait_shared(hosts, 60)
    good, failures = clients.end()
    print(f"{profile}, one of {count} killed: under a new home after {seconds:.2f} s; back: "
          f"{counts} after {shared:.1f} s; {good} connections, {len(failures)} failed")
    assert failures == [] and good > 20


@pytest.mark.alone
@pytest.mark.parametrize("profile,limit,count", [
    ("fast", 1, 3), pytest.param("fast", 1, 2, marks=pytest.mark.full),
    pytest.param("lan", 6, 3, marks=pytest.mark.full),
    pytest.param("lan", 6, 2, marks=pytest.mark.full)])
def test_registrar_unplugged(world, profile, limit, count):
    """The host of one of two, one of three registrars falls silent."""
    hosts = scope.registrars(world, count, profile=profile)
    pe_hosts = scope.agents(world, 4, profile=profile)
    for host in pe_hosts:
        scope.servers(host, 10, "web")
    scope.wait_equal(hosts, 40, 20)
    wait_shared(hosts, 60)
    victim, *others = hosts
    victim.ip("link", "set", "eth0", "down")
    seconds = scope.wait_equal(others, 40, limit + scope.GRACE, "takeover")
    victim.ip("link", "set", "eth0", "up")
    scope.wait_equal(hosts, 40, 30, "it is back")
    print(f"{profile}, one of {count} unplugged: under a new home after {seconds:.2f} s")


@pytest.mark.alone
@pytest.mark.parametrize("profile,limit", [
    ("fast", 0.3), pytest.param("lan", 3, marks=pytest.mark.full)])
def test_host_of_elements_unplugged(world, profile, limit):
    """What served on a host that falls silent is gone in time."""
    registrar, = scope.registrars(world, 1, profile=profile)
    agent, = scope.agents(world, 1, profile=profile)
    scope.servers(agent, 1, "web")
    scope.wait_equal([registrar], 1, 20)
    took = []
    for turn in range(3):
        monitor = registrar.start(rsp.RSPCTL, "monitor", "web", name=f"monitor{turn}")
        rsp.wait_until(lambda: registrar.ctl("status")["clients"] > 1 + turn, 5, "the monitor")
        begin = time.time()
        agent.ip("link", "set", "eth0", "down")
        line = rsp.wait_until(lambda m=monitor: [text for text in m.output().splitlines()
                                                 if "pe-removed" in text], 10, "its removal")[0]
        stamp = line.split()[0].rstrip("Z").split("T")[1].split(":")
        now = time.gmtime(begin)
        seconds = (int(stamp[0]) * 3600 + int(stamp[1]) * 60 + float(stamp[2])
                   - (now.tm_hour * 3600 + now.tm_min * 60 + begin % 60)) % 86400
        took.append(round(seconds, 2))
        agent.ip("link", "set", "eth0", "up")
        registrar.wait_pes("web", 1, deadline=20)
    print(f"{profile}: host unplugged, its elements gone after {took} s")
    assert sorted(took)[1] <= limit + scope.GRACE


@pytest.mark.full
def test_stopped_and_frozen(world):
    """A registrar that stops hands over, and nothing is missed; one that is frozen is taken over
    from, and when it goes on it finds its place again."""
    hosts = scope.registrars(world, 3)
    pe_hosts = scope.agents(world, 3)
    for host in pe_hosts:
        scope.servers(host, 20, "web")
    scope.wait_equal(hosts, 60, 20)
    wait_shared(hosts, 60)
    clients = scope.Clients(pe_hosts, "web", each=1)
    victim, *others = hosts
    events = others[0].start(rsp.RSPCTL, "monitor", "web", name="monitor")
    rsp.wait_until(lambda: others[0].ctl("status")["clients"] >= 2, 5, "the monitor")
    victim.stop_rspd()
    scope.wait_equal(others, 60, 2 + scope.GRACE, "handed over")
    assert "pe-removed" not in events.output()
    scope.start_registrar(victim)
    scope.wait_equal(hosts, 60, 20, "it is back")
    wait_shared(hosts, 60)
    victim.daemon.kill(signal.SIGSTOP)
    scope.wait_equal(others, 60, DETECTION["lan"] + 1 + scope.GRACE, "taken over")
    victim.daemon.kill(signal.SIGCONT)
    scope.wait_equal(hosts, 60, 20, "it goes on")
    _, failures = clients.end()
    assert failures == []


@pytest.mark.parametrize("seconds", [12, pytest.param(60, marks=pytest.mark.full)])
def test_network_between_registrars_cut(world, seconds):
    """Two halves of a network with a registrar, elements and clients each, and registrations on
    both sides while they are apart; then one handlespace again."""
    left, right = (world.host(f"pr{n}") for n in (1, 2))
    near, far = (world.host(f"pe{n}") for n in (1, 2))
    for host, address, link in ((left, "10.52.0.1", "br0"), (right, "10.52.0.2", "br1"),
                                (near, "10.52.0.11", "br0"), (far, "10.52.0.12", "br1")):
        world.connect(host, address, "eth0", link)
    world.switch.ip("link", "add", "trunk0", "type", "veth", "peer", "name", "trunk1")
    world.switch.ip("link", "set", "trunk0", "master", "br0", "up")
    world.switch.ip("link", "set", "trunk1", "master", "br1", "up")
    hosts = [left, right]
    for host in hosts:
        scope.start_registrar(host)
    for host in hosts:
        rsp.wait_until(lambda h=host: len(scope.active(h)) == 1, 20, "they see each other")
    for host in (near, far):
        host.start_rspd("--profile", "lan", registrar="no", interfaces="eth0")
        scope.servers(host, 20, "web")
    scope.wait_equal(hosts, 40, 20)

    world.switch.ip("link", "set", "trunk0", "down")
    begin = time.monotonic()
    for host, first in ((near, 21000), (far, 22000)):
        scope.servers(host, 10, "web", first)
        scope.servers(host, 5, f"only-{host.name}", 23000)
    # Each side comes to have what it can reach: 20 + 10 + 5 elements under its own registrar.
    for host in hosts:
        scope.wait_equal([host], 35, 30, f"what {host.name} can reach")
    clients = scope.Clients([near, far], "web", each=2)
    rsp.wait_until(lambda: time.monotonic() - begin >= seconds, seconds + 1, "the end of the cut")
    for host in (near, far):
        host.wait_pes("web", 30, 5)

    world.switch.ip("link", "set", "trunk0", "up")
    # One heartbeat until they hear each other, and the download that it leads to.
    took = scope.wait_equal(hosts, 70, 5 + scope.GRACE, "one handlespace")
    for pool in ("web", "only-pe1", "only-pe2"):
        assert near.curl(f"http://{pool}.pool.alt/").returncode in (0, 52, 56), pool
    _, failures = clients.end()
    print(f"cut for {seconds} s, one handlespace {took:.2f} s after it was healed")
    assert failures == []


CURLS = """
import subprocess, sys, time
end = time.monotonic() + float(sys.argv[1])
at = time.monotonic()
running, failed, lost, count = [], 0, 0, 0
while time.monotonic() < end or running:
    if time.monotonic() < end:
        running.append(subprocess.Popen(['curl', '-sS', '--max-time', '5',
                                         'http://web.pool.alt/'], stdout=subprocess.DEVNULL))
        count += 1
    for program in [p for p in running if p.poll() is not None]:
        running.remove(program)
        lost += program.returncode in (18, 52, 56)
        failed += program.returncode not in (0, 18, 52, 56)
    at += float(sys.argv[2])
    time.sleep(max(0, at - time.monotonic()))
# Lost: taken by a server that was killed before it had answered.
print('asked', count, 'failed', failed, 'lost', lost, flush=True)
"""


@pytest.mark.alone
def test_killed_servers_leave_remote_caches(world):
    """Servers on host A are killed while curl on host B asks a hundred times a second, in the guest
    as often as it can. B is an agent of another registrar than A: the news goes over both
    (asap:A-26, enrp:E-42)."""
    hosts = scope.registrars(world, 2)
    here, there = scope.agents(world, 2)
    scope.wait_equal(hosts, 0, 20)
    for n in range(3):
        there.http_server(f"there{n}", 8080 + n, pool="web")
    victims = [here.http_server(f"here{n}", 8080 + n, pool="web") for n in range(3)]
    scope.wait_equal(hosts, 6, 20)
    gone = {pe["pe_id"] for pe in here.pes("web", local=True)}
    curls = there.start(rsp.PYTHON, "-c", CURLS, scope.sized(6, 10),
                        scope.sized(0.01, 1), name="curls", shim=True)
    rsp.wait_until(lambda: there.curl().returncode == 0, 5, "it is served")
    left = []
    for victim in victims:
        before = {pe["pe_id"] for pe in there.pes("web")}
        begin = asked = time.monotonic()
        victim.kill()
        # The first answer without it was right when it was asked for, at the latest. In the guest
        # asking takes long, and is counted.
        while len({pe["pe_id"] for pe in there.pes("web")} & gone) == len(before & gone):
            asked = time.monotonic()
            assert asked - begin < scope.sized(2, 10), "it is still in the cache"
        left.append((time.monotonic() if scope.GUEST else asked) - begin)
    curls.wait(40)
    print(f"gone from the other host's cache after {[round(1000 * s, 1) for s in left]} ms; "
          f"{curls.output().strip().splitlines()[-1]}")
    assert "failed 0 " in curls.output()
    assert sorted(left)[1] <= scope.sized(0.020, 10)
