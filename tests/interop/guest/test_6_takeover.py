# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-6: a registrar of either kind dies; one of the other kind takes its elements over."""
import signal

import pytest

import rsp
import rsplib

QUICK = ("-peerheartbeatcycle=1000", "-peermaxtimelastheard=2000", "-peermaxtimenoresponse=1000",
         "-takeoverexpiryinterval=2000")
STAY = ("--set", "Registrar.Suggestion=never")
# One of ours that lets the others be faster.
PATIENT = (*STAY, "--set", "Registrar.PeerLastHeard=2min", "--set", "Registrar.PeerNoResponse=1min")


def home_of(host, pe_id):
    return next((e[2] for e in rsplib.elements_at(host) if e[1] == pe_id), None)


def wait_home(host, pe_id, condition, deadline, what):
    rsp.wait_until(lambda: condition(home_of(host, pe_id)), deadline, what)
    return home_of(host, pe_id)


@pytest.mark.parametrize("how", [signal.SIGKILL, pytest.param(signal.SIGSTOP,
                                                              marks=pytest.mark.full)])
def test_ours_takes_over_from_theirs(link, how):
    """Two of ours and rspregistrar, which owns an element of each kind and dies (or hangs)."""
    link.ipv4_only = True
    theirs = link.host(11)
    process = rsplib.registrar(theirs, 0x77)
    link.capture.wait_for(1, rsplib.SERVER_ANNOUNCE, theirs, 20)
    theirs_pe = link.host(12)
    rsplib.server(theirs_pe, 0xa1, "-echo")
    agent = link.agent(3)
    agent.http_server("s", 8080, pool="web")
    (web,) = agent.wait_pes("web", 1, 20)
    hosts = [link.registrar(*STAY, number=n) for n in (1, 2)]
    for host in hosts:
        for pe in ("0x000000a1", web["pe_id"]):
            wait_home(host, pe, lambda home: home == "0x00000077", 30, f"{pe} at {host.name}")
        rsp.wait_until(lambda h=host: len(rsplib.peers_of(h)) == 2, 30, "all registrars")
    process.kill(how)
    alive = [host.ctl("status")["home_registrar"] for host in hosts]
    for pe in ("0x000000a1", web["pe_id"]):
        wait_home(hosts[0], pe, lambda home: home in alive, 30, f"a new home for {pe}")
    rsp.wait_until(lambda: rsplib.elements_at(hosts[0]) == rsplib.elements_at(hosts[1]), 20,
                   "equal handlespaces")
    # Theirs follows: it answers our keep-alive, which asks it to.
    taker = hosts[alive.index(home_of(hosts[0], "0x000000a1"))]
    element = rsplib.addresses_of(theirs_pe)
    rsp.wait_until(lambda: any(m.destination in element and (
        m.type == rsplib.REGISTRATION_RESPONSE or m.flags & 1)
        for m in link.capture.messages(None, taker)), 60, "their element follows")


@pytest.mark.full
def test_theirs_takes_over_from_ours(link):
    """Ours owns an element of each kind and hangs; of the other two, rspregistrar is faster."""
    link.ipv4_only = True
    first = link.registrar(*STAY)
    rsplib.server(link.host(12), 0xa1, "-echo")
    agent = link.agent(3)
    agent.http_server("s", 8080, pool="web")
    (web,) = agent.wait_pes("web", 1, 20)
    first.wait_pes("EchoPool", 1, 30)
    second = link.registrar(*PATIENT, number=2)
    theirs = link.host(11)
    rsplib.registrar(theirs, 0x77, *QUICK)
    rsp.wait_until(lambda: set(rsplib.peers_of(second)) ==
                   {0x77, int(first.ctl("status")["home_registrar"], 16)}, 30, "all registrars")
    link.capture.wait_for(1, rsplib.SERVER_ANNOUNCE, theirs, 20)
    first.daemon.kill(signal.SIGSTOP)
    for pe in ("0x000000a1", web["pe_id"]):
        wait_home(second, pe, lambda home: home == "0x00000077", 60, f"{pe} under theirs")
    assert link.capture.messages(rsplib.INIT_TAKEOVER_ACK, second, rsplib.ENRP_PPID)
    rsp.wait_until(lambda: int(agent.ctl("status")["home_registrar"], 16) == 0x77, 30,
                   "our agent has followed")
    first.daemon.kill(signal.SIGCONT)
    rsp.wait_until(lambda: rsplib.elements_at(first) == rsplib.elements_at(second), 60,
                   "the returned one knows the same")


@pytest.mark.full
def test_ours_takes_over_from_ours_under_their_eyes(link):
    """rspregistrar agrees, and learns of the new home."""
    link.ipv4_only = True
    first = link.registrar(*STAY)
    rsplib.server(link.host(12), 0xa1, "-echo", "-rereginterval=60000")
    first.wait_pes("EchoPool", 1, 30)
    second = link.registrar(*STAY, number=2)
    theirs = link.host(11)
    rsplib.registrar(theirs, 0x77)
    rsp.wait_until(lambda: len(rsplib.peers_of(second)) == 2, 30, "all registrars")
    link.capture.wait_for(1, rsplib.SERVER_ANNOUNCE, theirs, 20)
    first.stop_rspd(signal.SIGKILL)
    new = second.ctl("status")["home_registrar"]
    wait_home(second, "0x000000a1", lambda home: home in (new, "0x00000077"), 60, "a new home")
    asker = link.host(14)
    rsp.wait_until(lambda: rsplib.elements_of(rsplib.dump(theirs, asker)) ==
                   rsplib.elements_at(second), 40, "theirs knows the same")
