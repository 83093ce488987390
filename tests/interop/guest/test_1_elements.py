# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-1: rsplib's pool elements at our registrar."""
import signal

import pytest

import rsp
import rsplib

WATCHFUL = ("--set", "Registrar.KeepAlive=500ms")
# All that rspserver 3.4.4 has but chargen, which refuses its own option.
SERVICES = {
    "echo": "EchoPool",
    "discard": "DiscardPool",
    "daytime": "DaytimePool",
    "pingpong": "PingPongPool",
    "fractal": "FractalGeneratorPool",
    "calcapp": "CalcAppPool",
    "scripting": "ScriptingPool",
}


def service(name):
    return pytest.param(name, marks=() if name == "echo" else pytest.mark.full)


@pytest.mark.parametrize("name", [service(name) for name in SERVICES])
def test_element_from_its_birth_to_its_end(link, name):
    ours = link.registrar(*WATCHFUL)
    theirs = link.host(11)
    pool = SERVICES[name]
    options = (f"-{name}", "-rereginterval=700", "-policy=RoundRobin")
    first = rsplib.server(theirs, 0xa1, *options)
    second = rsplib.server(theirs, 0xa2, *options)
    pes = ours.wait_pes(pool, 2, 20)
    assert {pe["pe_id"] for pe in pes} == {"0x000000a1", "0x000000a2"}
    for pe in pes:
        assert pe["protocol"] == "sctp"
        assert set(pe["addresses"]) == rsplib.addresses_of(theirs)

    # Kept alive and registered again; both stay.
    link.capture.wait_for(6, rsplib.ENDPOINT_KEEP_ALIVE_ACK, theirs)
    link.capture.wait_for(6, rsplib.REGISTRATION, theirs)
    assert len(ours.pes(pool)) == 2
    responses = link.capture.messages(rsplib.REGISTRATION_RESPONSE, ours)
    assert all(m.flags == 0 for m in responses)

    # One is killed, one deregisters.
    first.kill()
    assert [pe["pe_id"] for pe in ours.wait_pes(pool, 1, 5)] == ["0x000000a2"]
    second.kill(signal.SIGINT)
    ours.wait_pes(pool, 0, 10)
    link.capture.wait_for(1, rsplib.DEREGISTRATION_RESPONSE, ours)


def test_policy_updates_are_seen(link):
    ours = link.registrar()
    theirs = link.host(11)
    rsplib.server(theirs, 0xa1, "-calcapp", "-capcapacity=1000000", "-policy=LeastUsed")
    (pe,) = ours.wait_pes("CalcAppPool", 1, 20)
    assert pe["policy"] == "Least Used" and pe["load_percent"] == 0
    job = rsplib.client(theirs, "calcappclient", "-jobsize=20000000", "-jobinterval=1",
                        "-object=o", "-vector=v", "-scalar=s")
    rsp.wait_until(lambda: round(ours.pes("CalcAppPool")[0]["load_percent"]) == 10, 20,
                   "the load of one job of ten")
    job.kill()
    rsp.wait_until(lambda: ours.pes("CalcAppPool")[0]["load_percent"] == 0, 20, "no load")


POLICIES = {
    "RoundRobin": 0x00000001,
    "WeightedRoundRobin:7": 0x00000002,
    "Random": 0x00000003,
    "WeightedRandom:9": 0x00000004,
    "Priority:5": 0x00000005,
    "LeastUsed": 0x40000001,
    "LeastUsedDegradation:0.25": 0x40000002,
    "PriorityLeastUsed:0.125": 0x40000003,
    "RandomizedLeastUsed": 0x40000004,
}


def policy_type(capture, host, pe_id):
    """The policy in an element's last registration."""
    found = None
    for message in capture.messages(rsplib.REGISTRATION, host):
        _, element = rsplib.parameters(message.octets[4:])
        if int.from_bytes(element[4:8], "big") == pe_id:
            policy = rsplib.parameters(element[16:])[-1]
            assert policy[:2] == b"\x00\x08"
            found = int.from_bytes(policy[4:8], "big")
    return found


@pytest.mark.full
def test_registrations_of_all_policies_are_judged_and_answered(link):
    """What this registrar can select by is taken, with the same policy as sent; the rest is refused
    with a cause, so that rsplib knows."""
    ours = link.registrar()
    theirs = link.host(11)
    known = {int(p["policy_type"], 16) for p in ours.ctl("policies")["policies"]}
    for number, (policy, number_on_wire) in enumerate(POLICIES.items(), start=0xb1):
        pool = f"Pool{number:x}"
        element = rsplib.server(theirs, number, "-echo", f"-poolhandle={pool}",
                                f"-policy={policy}")
        rsp.wait_until(lambda: policy_type(link.capture, theirs, number) == number_on_wire, 20,
                       policy)
        if number_on_wire in known:
            (pe,) = ours.wait_pes(pool, 1)
            assert int(pe["policy_type"], 16) == number_on_wire
        else:
            rsp.wait_until(lambda: any(m.flags == 1 and pool.encode() in m.octets for m in
                                       link.capture.messages(rsplib.REGISTRATION_RESPONSE, ours)),
                           10, f"a refusal of {policy}")
        element.kill()


@pytest.mark.full
def test_frozen_element_is_removed_and_comes_back(link):
    """Its kernel keeps the association; only the keep-alives tell."""
    ours = link.registrar(*WATCHFUL, "--set", "Registrar.KeepAliveTimeout=1s")
    theirs = link.host(11)
    element = rsplib.server(theirs, 0xa1, "-echo", "-rereginterval=1000")
    ours.wait_pes("EchoPool", 1, 20)
    element.kill(signal.SIGSTOP)
    ours.wait_pes("EchoPool", 0, 10)
    element.kill(signal.SIGCONT)
    ours.wait_pes("EchoPool", 1, 20)


@pytest.mark.full
def test_unplugged_host_is_removed_and_comes_back(link):
    ours = link.registrar(*WATCHFUL)
    theirs = link.host(11)
    rsplib.server(theirs, 0xa1, "-echo", "-rereginterval=1000")
    ours.wait_pes("EchoPool", 1, 20)
    theirs.ip("link", "set", "eth0", "down")
    ours.wait_pes("EchoPool", 0, 15)
    theirs.ip("link", "set", "eth0", "up")
    theirs.ip("-6", "address", "replace", "fd52:52::b/64", "dev", "eth0", "nodad")
    ours.wait_pes("EchoPool", 1, 60)


@pytest.mark.full
def test_elements_return_to_a_restarted_registrar(link):
    ours = link.registrar()
    theirs = link.host(11)
    rsplib.server(theirs, 0xa1, "-echo", "-rereginterval=1000")
    ours.wait_pes("EchoPool", 1, 20)
    ours.stop_rspd(signal.SIGKILL)
    ours.start_rspd(interfaces="eth0")
    ours.wait_pes("EchoPool", 1, 40)
