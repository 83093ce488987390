# SPDX-License-Identifier: LGPL-2.1-or-later
"""What rspctl shows of a scope of several registrars, and does to it."""
import json

import jsonschema
import pytest

import rsp
import scope

pytestmark = pytest.mark.sctp


def fits_schema(host, *command):
    document = host.ctl(*command)
    name = document["schema"].replace("/", ".")
    schema = json.loads((rsp.ROOT / "tools" / "schema" / f"{name}.json").read_text())
    jsonschema.validate(document, schema)
    return document


def test_three_hosts_without_any_option_meet(world):
    """No file, no option but the scope's name: registrars find each other, and an element and a
    client on different hosts meet within five seconds."""
    hosts = [world.host(f"h{n}", f"10.52.0.{n}") for n in (1, 2, 3)]
    for host in hosts:
        command = [rsp.RSPD, "--socket", host.socket, "--runtime-dir", host.socket.parent,
                   "--scope", world.scope]
        host.daemon = host.start(*command, name="rspd")
    for host in hosts:
        rsp.wait_until(host._answers, 3, "an answer of rspd")
    hosts[0].http_server("s", 8080, pool="web")
    for host in hosts[1:]:
        rsp.wait_until(lambda h=host: h.curl().stdout == "s\n", 5, "the server is reached")
    rsp.wait_until(lambda: sorted(h.ctl("status")["role"] for h in hosts).count("agent+registrar")
                   in (2, 3), 5, "two or three registrars")
    serving = [h for h in hosts if h.ctl("status")["role"] == "agent+registrar"]
    for host in serving:
        rsp.wait_until(lambda h=host: len(scope.active(h)) == len(serving) - 1, 5, "all are seen")
    scope.wait_equal(serving, 1, 5)


def test_what_rspctl_shows(world):
    hosts = scope.registrars(world, 3)
    agent, = scope.agents(world, 1)
    scope.many(agent, 20, "web")
    scope.wait_equal(hosts, 20, 20)

    listed = fits_schema(hosts[0], "registrar", "list")["registrars"]
    assert len(listed) == 3
    owner = max(listed, key=lambda r: r["elements"])
    assert owner["elements"] == 20
    for registrar in listed:
        if not registrar["local"]:
            assert registrar["peer_state"] == "active"
            rsp.wait_until(lambda r=registrar: (lambda p: p["checksum"] == p["checksum_told"])
                           (scope.peers(hosts[0])[r["registrar_id"]]), 5, "equal checksums")
    shown = fits_schema(hosts[0], "registrar", "show", owner["registrar_id"])
    assert shown["elements"] == 20
    assert hosts[0].rspctl("registrar", "show", "0x00000001").returncode == 5
    assert hosts[0].rspctl("registrar", "show", "one").returncode == 2

    owned = agent.rspctl("pe", "list", "web", "--owners")
    assert owned.returncode == 0 and "HOME" in owned.stdout
    owned = hosts[1].rspctl("pe", "list", "web", "--owners").stdout
    assert owned.count(owner["registrar_id"]) == 20

    document = fits_schema(hosts[1], "dump")
    pes = [pe["pe_id"] for pe in document["pools"][0]["elements"]]
    assert len(pes) == 20 and pes == sorted(pes)
    texts = {host.rspctl("dump").stdout for host in hosts}
    assert len(texts) == 1 and len(texts.pop().splitlines()) == 20
    fits_schema(hosts[1], "dump", "--all")


def test_a_monitor_sees_the_whole_scope(world):
    """At a registrar that is not their home: elements come and go, each with its home."""
    hosts = scope.registrars(world, 2)
    agent, = scope.agents(world, 1)
    monitors = [host.start(rsp.RSPCTL, "--json", "monitor", "web", name="monitor")
                for host in hosts]
    for host in hosts:
        rsp.wait_until(lambda h=host: h.ctl("status")["clients"] >= 2, 5, "the monitor")
    server = agent.http_server("s", 8080, pool="web")
    pe, = hosts[0].wait_pes("web", 1, 10)

    def said(monitor, kind):
        return rsp.wait_until(
            lambda: [event for event in map(json.loads, monitor.output().splitlines())
                     if event["kind"] == kind and event["pe_id"] == pe["pe_id"]], 10, kind)[0]
    home = agent.ctl("status")["home_registrar"]
    assert home in [scope.own_id(host) for host in hosts]
    assert [said(m, "pe-added")["registrar_id"] for m in monitors] == [home, home]
    server.kill()
    assert [said(m, "pe-removed")["registrar_id"] for m in monitors] == [home, home]


def test_a_registrar_leaves(world):
    """`rspctl registrar leave`: what it owned goes to the others, nothing is missed meanwhile, and
    its host goes on as an agent."""
    hosts = scope.registrars(world, 2)
    first = scope.agents(world, 1)[0]
    scope.many(first, 30, "web")
    scope.wait_equal(hosts, 30, 20)
    counts = {host: list(scope.elements(host).values()).count(scope.own_id(host)) for host in hosts}
    leaver = max(hosts, key=lambda h: counts[h])
    stays = next(h for h in hosts if h is not leaver)
    assert counts[leaver] == 30
    events = stays.start(rsp.RSPCTL, "monitor", name="monitor")
    among = stays.start(rsp.RSPCTL, "monitor", "--enrp", name="enrp")
    rsp.wait_until(lambda: stays.ctl("status")["clients"] >= 2, 5, "both monitors")

    result = leaver.rspctl("registrar", "leave")
    assert result.returncode == 0, result.stderr
    assert leaver.ctl("status")["role"] == "agent"
    scope.wait_equal([stays], 30, 5)
    assert "pe-removed" not in events.output()
    assert len(leaver.pes("web")) == 30  # as a client of the other one
    rsp.wait_until(lambda: "peer-lost" in among.output(), 10, "the other one notices")
    assert "pe-" not in among.output().replace("peer-", "")

    result = leaver.rspctl("registrar", "leave")
    assert result.returncode != 0 and "is no registrar" in result.stderr
    result = stays.rspctl("registrar", "leave")
    assert result.returncode != 0 and "no other registrar" in result.stderr
    assert stays.rspctl("registrar", "leave", user=65534).returncode == 4
