# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the daemon puts on the wire, decoded by somebody else: Wireshark's dissectors for SCTP and
ASAP. Two agents and a registrar on one link; the capture is taken in the middle."""
import collections
import json
import signal

import pytest

import rsp

REGISTRATION, DEREGISTRATION, REGISTRATION_RESPONSE, DEREGISTRATION_RESPONSE = 1, 2, 3, 4
HANDLE_RESOLUTION, HANDLE_RESOLUTION_RESPONSE = 5, 6
KEEP_ALIVE, KEEP_ALIVE_ACK, UNREACHABLE, SERVER_ANNOUNCE = 7, 8, 9, 10
STANDARD = ["--udp-port", "9899", "--asap-port", "3863", "--set", "Network.AnnouncePort=3863",
            "--transport", "usrsctp"]


class Capture:
    """Everything that crosses the bridge, from start to stop."""

    def __init__(self, world):
        self.switch = world.switch
        self.file = world.dir / "link.pcapng"
        self.process = self.switch.start("dumpcap", "-q", "-i", "br0", "-w", self.file)
        rsp.wait_until(lambda: "File:" in self.process.output(), what="the capture")

    def stop(self):
        self.process.kill(signal.SIGINT)
        self.process.wait()

    def tshark(self, *arguments):
        result = self.switch.run("tshark", "-r", self.file, "-d", "udp.port==9899,sctp", "-d",
                                 "udp.port==3863,asap", "-d", "sctp.port==3863,asap", *arguments)
        assert result.returncode == 0, result.stderr
        return result.stdout

    def types(self):
        """How often each ASAP message type was seen."""
        text = self.tshark("-Y", "asap", "-T", "fields", "-e", "asap.message_type")
        return collections.Counter(int(t, 0) for line in text.split() for t in line.split(","))


@pytest.fixture
def link(world):
    """Registrar, two agents, and a capture that has seen them from the beginning."""
    registrar = world.host("pr", "10.52.0.1")
    agents = [world.host(f"a{n}", f"10.52.0.{n}") for n in (2, 3)]
    capture = Capture(world)
    registrar.start_rspd(*STANDARD, "--set", "Registrar.KeepAlive=500ms", interfaces="eth0")
    for agent in agents:
        agent.start_rspd(*STANDARD, registrar="no", interfaces="eth0")
        rsp.wait_until(lambda host=agent: host.ctl("status")["home_registrar"], 20, "a registrar")
    return registrar, agents, capture


def test_every_message_is_understood(link):
    registrar, (here, there), capture = link
    servers = [here.http_server(f"s{n}", 8080 + n, pool="web",
                                env={"RSP_POLICY": "lu", "RSP_CAPACITY": "10"}) for n in range(2)]
    registrar.wait_pes("web", 2)
    assert there.curl().returncode == 0
    victim = there.ctl("resolve", "web", "-n", "2")["pes"][0]["pe_id"]
    assert there.rspctl("report", "web", victim).returncode == 0
    servers[0].kill()
    registrar.wait_pes("web", 1)

    def all_seen():
        capture_types = set(capture.types())
        return {REGISTRATION, REGISTRATION_RESPONSE, DEREGISTRATION, DEREGISTRATION_RESPONSE,
                HANDLE_RESOLUTION, HANDLE_RESOLUTION_RESPONSE, KEEP_ALIVE, KEEP_ALIVE_ACK,
                UNREACHABLE, SERVER_ANNOUNCE} <= capture_types

    rsp.wait_until(all_seen, 20, "every kind of message")
    capture.stop()
    bad = capture.tshark("-Y", "(asap or sctp) and (_ws.malformed or "
                               "_ws.expert.severity >= 8388608)")  # error
    assert bad == ""


def test_fields_of_a_registration(link):
    registrar, (here, _), capture = link
    here.http_server("s", 8080, pool="web", env={"RSP_POLICY": "lu", "RSP_CAPACITY": "10"})
    (pe,) = registrar.wait_pes("web", 1)
    rsp.wait_until(lambda: REGISTRATION in capture.types(), what="the registration")
    capture.stop()
    packets = json.loads(capture.tshark("-Y", "asap.message_type == 1", "-T", "json"))
    text = json.dumps(packets[0])
    for wanted in (f'"asap.pool_element_pe_identifier": "{pe["pe_id"]}"', '"asap.tcp_transport_port": "8080"',
                   '"asap.pool_member_selection_policy_type": "0x40000001"', "10.52.0.2"):
        assert wanted in text, wanted
    assert "77:65:62" in text  # the pool handle, "web"
    payload = capture.tshark("-Y", "asap and sctp", "-T", "fields", "-e",
                             "sctp.data_payload_proto_id")
    assert {p for line in payload.split() for p in line.split(",")} == {"11"}  # ASAP's
