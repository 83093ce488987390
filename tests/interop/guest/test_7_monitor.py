# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-7: rsplib's monitor shows our registrars and their peers, and programs on our library."""
import re

import pytest

import rsp
import rsplib
from dropin import Scope


class Monitor:
    def __init__(self, host):
        self.process = host.start("stdbuf", "-o0", "cspmonitor", "-full", name="cspmonitor",
                                  env={"TERM": "vt100", "COLUMNS": "200", "LINES": "60"})
        self.report = {"CSP_SERVER": f"{host.address}:2960", "CSP_INTERVAL": "500"}

    def text(self):
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.process.output())


def test_cspmonitor_shows_our_registrars(link):
    link.ipv4_only = True
    monitor = Monitor(link.host(15))
    hosts = []
    for number in (1, 2):
        host = link.host(number)
        host.start_rspd(interfaces="eth0", env=monitor.report)
        hosts.append(host)
    ids = [host.ctl("status")["home_registrar"][2:] for host in hosts]
    hosts[0].http_server("s", 8080, pool="web")
    for host in hosts:
        rsp.wait_until(lambda h=host: len(rsplib.peers_of(h)) == 1, 20, "both registrars")

    def shown():
        text = monitor.text()
        return all(f"PR ${number}" in text for number in ids) and \
            f"{hosts[0].address}:3863" in text and "PEs in 1 Pool, 1 Peer" in text
    rsp.wait_until(shown, 30, "what the monitor shows")


@pytest.mark.full
def test_cspmonitor_shows_elements_and_users_on_our_library(link):
    """They are told by their options, and tell of each other."""
    link.ipv4_only = True
    monitor = Monitor(link.host(15))
    options = [f"-csp{name.removeprefix('CSP_').lower()}={value}"
               for name, value in monitor.report.items()]
    scope = Scope(link, "ours", "ours", "ours")
    home = scope.registrar.ctl("status")["home_registrar"][2:]
    scope.serve("-pingpong", *options, count=1)
    scope.use("pingpongclient", "-interval=100", *options)
    element = fr'PE \$000000a1 [^\n]*"1 Session"\s+-> PR \${home} ASAP/SCTP'
    user = (fr'PU \$[0-9a-f]{{14}} [^\n]*\s+-> PR \${home} ASAP/SCTP\s+'
            r'-> PE \$000000a1 \S+/SCTP')
    rsp.wait_until(lambda: re.search(element, monitor.text()) and
                   re.search(user, monitor.text()), 40, "both shown")
