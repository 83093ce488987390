# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-7: rsplib's monitor shows our registrars and their peers."""
import re

import rsp
import rsplib


def test_cspmonitor_shows_our_registrars(link):
    link.ipv4_only = True
    watcher = link.host(15)
    monitor = watcher.start("stdbuf", "-o0", "cspmonitor", "-full", name="cspmonitor",
                            env={"TERM": "vt100", "COLUMNS": "200", "LINES": "60"})
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
        text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", monitor.output())
        return all(f"PR ${number}" in text for number in ids) and \
            f"{hosts[0].address}:3863" in text and "PEs in 1 Pool, 1 Peer" in text
    rsp.wait_until(shown, 30, "what the monitor shows")
