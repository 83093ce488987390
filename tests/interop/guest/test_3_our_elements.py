# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-3: our pool elements at rspregistrar."""
import signal

import pytest

import rsp
import rsplib

KEEP_ALIVE = ("-endpointkeepalivetransmissioninterval=500",
              "-endpointkeepalivetimeoutinterval=2000")


def wait_dump(registrar_host, condition, what):
    rsp.wait_until(lambda: condition(rsplib.dump(registrar_host)), 30, what)


def test_elements_of_shim_and_rspctl(link):
    theirs = link.host(11)
    rsplib.registrar(theirs, 1, *KEEP_ALIVE)
    ours = link.agent(2)
    shim = ours.http_server("shim", 8080, pool="web")
    adopted = ours.http_server("adopted", 8081)
    result = ours.rspctl("register", "web", "--port", "8081")
    assert result.returncode == 0, result.stderr
    pes = {pe["port"]: pe for pe in ours.wait_pes("web", 2, 20)}
    wait_dump(theirs, lambda text: all(f"${pe['pe_id'][2:]}" in text for pe in pes.values()),
              "both elements in the registrar's handlespace")
    text = rsplib.dump(theirs)
    assert 'Pool "web", Policy "RoundRobin", Protocol TCP' in text
    for port in pes:
        assert f"userT: {{10.52.0.2}} {port}/TCP" in text

    # Keep-alives are answered: nobody is thrown out.
    link.capture.wait_for(6, rsplib.ENDPOINT_KEEP_ALIVE_ACK, ours)
    assert len(ours.pes("web")) == 2

    shim.kill()
    wait_dump(theirs, lambda text: f"${pes[8080]['pe_id'][2:]}" not in text, "one element gone")
    assert f"${pes[8081]['pe_id'][2:]}" in rsplib.dump(theirs)
    adopted.kill()
    wait_dump(theirs, lambda text: "userT" not in text, "both elements gone")
    link.capture.wait_for(2, rsplib.DEREGISTRATION, ours)


@pytest.mark.full
def test_elements_return_to_a_restarted_registrar(link):
    theirs = link.host(11)
    first = rsplib.registrar(theirs, 1)
    ours = link.agent(2)
    ours.http_server("s", 8080, pool="web")
    (pe,) = ours.wait_pes("web", 1, 20)
    wait_dump(theirs, lambda text: f"${pe['pe_id'][2:]}" in text, "the element")
    first.kill()
    first.wait()
    rsplib.registrar(theirs, 1)
    wait_dump(theirs, lambda text: f"${pe['pe_id'][2:]}" in text, "the element again")


@pytest.mark.full
def test_takeover_is_accepted(link):
    """Of three registrars the home is frozen: its kernel keeps the association, so that our agent
    has no reason to leave. The registrar that takes its elements over asks us to come, and we do."""
    # IPv4 only: a registrar that is bound to an IPv4 address aborts the associations it opens to
    # elements that have IPv6 addresses, and two on all addresses lose each other now and then.
    ours, *hosts = [link.host(n) for n in (2, 11, 12, 13)]
    for host in (ours, *hosts):
        host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
    ours.start_rspd(registrar="no", interfaces="eth0")
    fast = ("-peerheartbeatcycle=1000", "-peermaxtimelastheard=2000",
            "-peermaxtimenoresponse=1000", "-takeoverexpiryinterval=2000")
    registrars = [rsplib.registrar(host, number, *fast) for number, host in enumerate(hosts, 1)]
    ours.http_server("s", 8080, pool="web")
    ours.wait_pes("web", 1, 30)
    rsp.wait_until(lambda: len(ours.ctl("registrar", "list")["registrars"]) == 3, 20,
                   "three registrars")
    home = int(ours.ctl("status")["home_registrar"], 16)
    # Its home tells the others of an element before it answers the registration. (No hsdump before
    # the takeover: to the registrars it is a peer, whose consent they would wait for.)
    link.capture.wait_for(1, rsplib.REGISTRATION_RESPONSE, hosts[home - 1])
    registrars[home - 1].kill(signal.SIGSTOP)
    rsp.wait_until(lambda: int(ours.ctl("status")["home_registrar"], 16) not in (0, home), 60,
                   "another home")
    # It is the one that has asked for it.
    new = hosts[int(ours.ctl("status")["home_registrar"], 16) - 1]
    rsp.wait_until(lambda: any(m.flags & 1 and m.destination == ours.address for m in
                               link.capture.messages(rsplib.ENDPOINT_KEEP_ALIVE, new)), 10,
                   "the keep-alive of the takeover")
