# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-7: rsplib's monitor shows our registrars and their peers, and elements and users that run on
our librsplib.so.3."""
import re

import pytest

import rsp
import rsplib
from dropin import Scope


def watch(link):
    """A host with the monitor, and what it has shown so far."""
    watcher = link.host(15)
    monitor = watcher.start("stdbuf", "-o0", "cspmonitor", "-full", name="cspmonitor",
                            env={"TERM": "vt100", "COLUMNS": "200", "LINES": "60"})
    return watcher, lambda: re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", monitor.output())


def test_cspmonitor_shows_our_registrars(link):
    link.ipv4_only = True
    watcher, text_of = watch(link)
    report = {"CSP_SERVER": f"{watcher.address}:2960", "CSP_INTERVAL": "500"}
    hosts = []
    for number in (1, 2):
        host = link.host(number)
        host.start_rspd(interfaces="eth0", env=report)
        hosts.append(host)
    ids = [host.ctl("status")["home_registrar"][2:] for host in hosts]
    hosts[0].http_server("s", 8080, pool="web")
    for host in hosts:
        rsp.wait_until(lambda h=host: len(rsplib.peers_of(h)) == 1, 20, "both registrars")

    def shown():
        text = text_of()
        return all(f"PR ${number}" in text for number in ids) and \
            f"{hosts[0].address}:3863" in text and "PEs in 1 Pool, 1 Peer" in text
    rsp.wait_until(shown, 30, "what the monitor shows")


@pytest.mark.full
def test_cspmonitor_shows_elements_and_users_of_the_drop_in(link):
    """Which tell of each other: the user has an association with the element."""
    link.ipv4_only = True
    watcher, text_of = watch(link)
    report = (f"-cspserver={watcher.address}:2960", "-cspinterval=500")
    scope = Scope(link, "ours", "ours", "ours")
    scope.serve("-pingpong", *report, count=1)
    rsp.wait_until(lambda: "PE $000000a1" in text_of(), 30, "the element")
    client = scope.use("pingpongclient", "-interval=100", *report)
    rsp.wait_until(lambda: "Ack #3 " in client.output(), 40, "answers")

    def shown():
        text = text_of()
        user = text.rpartition("PU $")[2] if "PU $" in text else ""
        return "1 Session" in text and "PE $000000a1" in user.partition("PR $")[0]
    rsp.wait_until(shown, 30, "what the monitor shows")
