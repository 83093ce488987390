# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-5: two of our registrars and one rspregistrar in one scope, whoever was there first."""
import os
import time

import pytest

import rsp
import rsplib

# How long nobody may find anything to correct.
WATCH_SECONDS = 120 if os.environ.get("RSP_TEST_FULL", "1") == "1" else 15
THEIRS = 11  # host number


def join(link, who):
    if who == "t":
        host = link.host(THEIRS)
        rsplib.registrar(host, 0x77)
        # It serves once it has listened for a mentor, and says so.
        link.capture.wait_for(1, rsplib.SERVER_ANNOUNCE, host, 20)
    else:
        host = link.registrar("--set", "Registrar.Suggestion=never", number="ab".index(who) + 1)
    return host


def audited(host, count):
    """Every other registrar's checksum is what we hold of it."""
    peers = rsplib.peers_of(host)
    assert len(peers) == count, peers
    for peer in peers.values():
        assert peer["checksum"] == peer["checksum_told"], peer
    return True


def table_requests(link):
    """Downloads of what one registrar owns: somebody's checksum did not fit."""
    return [m for m in link.capture.messages(rsplib.HANDLE_TABLE_REQUEST, ppid=rsplib.ENRP_PPID)
            if m.flags & 1]


@pytest.mark.parametrize("order", ["atb", pytest.param("tab", marks=pytest.mark.full),
                                   pytest.param("abt", marks=pytest.mark.full)])
def test_one_handlespace_in_every_join_order(link, order):
    """enrp:E-89 (rsplib takes no PRESENCE that comes from another port), E-90, E-91"""
    link.ipv4_only = True
    hosts = {}
    agent = None
    for place, who in enumerate(order):
        hosts[who] = join(link, who)
        if place == 0:  # elements that are there before the others come
            agent = link.agent(3)
            agent.http_server("s", 8080, pool="web")
            agent.wait_pes("web", 1, 20)
            rsplib.server(link.host(12), 0xa1, "-echo", "-rereginterval=2000")
            rsp.wait_until(lambda: agent.ctl("resolve", "EchoPool")["pes"], 30, "their element")
    a, b, theirs = (hosts[who] for who in "abt")
    agent.http_server("late", 8081, pool="web")
    rsplib.server(link.host(12 + 1), 0xa2, "-pingpong", "-rereginterval=2000")

    for host in (a, b):
        rsp.wait_until(lambda h=host: len(rsplib.elements_at(h)) == 4, 30, f"all at {host.name}")
        rsp.wait_until(lambda h=host: audited(h, 2), 30, f"equal checksums at {host.name}")
    assert rsplib.elements_at(a) == rsplib.elements_at(b)

    begin = time.time()
    rsp.wait_until(lambda: time.time() - begin > WATCH_SECONDS, WATCH_SECONDS + 30, "the watch")
    assert [m for m in table_requests(link) if m.time > begin] == []
    for host in (a, b):
        audited(host, 2)
    # What hsdump reads at theirs and at ours, and our own dump.
    asker = link.host(14)
    ours = rsplib.elements_at(a)
    assert rsplib.elements_at(b) == ours
    assert rsplib.elements_of(rsplib.dump(theirs, asker)) == ours
    assert rsplib.elements_of(rsplib.dump(a, asker)) == ours
    assert all(m.port == rsplib.ENRP_PORT for m in
               link.capture.messages(ppid=rsplib.ENRP_PPID)
               if m.source in rsplib.addresses_of(a) | rsplib.addresses_of(b))
