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


@pytest.mark.full
@pytest.mark.alone
def test_each_registrar_in_turn(world):
    """Three registrars, 500 elements on four hosts, eight clients that connect all the time; each
    registrar is killed, stopped, frozen, and comes back (enrp:E-51 ... E-65)."""
    hosts = scope.registrars(world, 3)
    pe_hosts = scope.agents(world, 4)
    for host in pe_hosts:
        scope.servers(host, 125, "web")
    scope.wait_equal(hosts, 500, 40)
    clients = scope.Clients(pe_hosts, "web")
    took = {}
    for victim in hosts:
        others = [host for host in hosts if host is not victim]
        for how in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP):
            owned = list(scope.elements(others[0]).values()).count(scope.own_id(victim))
            frozen = victim.daemon
            if how == signal.SIGSTOP:
                frozen.kill(how)
            else:
                victim.stop_rspd(how)
            seconds = scope.wait_equal(others, 500, DETECTION["lan"] + 1,
                                       f"takeover of {owned} elements, {how.name}")
            took[f"{victim.name} {how.name} owned {owned}"] = round(seconds, 2)
            if how == signal.SIGSTOP:
                frozen.kill(signal.SIGCONT)
            else:
                scope.start_registrar(victim)
            scope.wait_equal(hosts, 500, 20, f"{victim.name} is back after {how.name}")
            assert clients.failures() == []
    good, failures = clients.end()
    print(f"{good} connections, 0 failed; elements under a living registrar after {took}")
    assert failures == [] and good > 500
