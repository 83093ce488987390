# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every event about an element or a resolution has an id, and what followed from another names it:
the chain leads from what the clients see back to the act that began it."""
import json
import re

import rsp


class Monitor:
    def __init__(self, host, *args):
        self.process = host.start(rsp.RSPCTL, "--json", "--timeout", "60s", "monitor", *args,
                                  name="monitor")
        self.host = host
        rsp.wait_until(lambda: host.ctl("status")["clients"] >= 2, 5, "the monitor")

    def events(self):
        return [json.loads(line) for line in self.process.output().splitlines()]

    def wait(self, kind, pe_id=None, after=0):
        """The first event of that kind after an event id."""
        def found():
            for event in self.events():
                if event["kind"] == kind and event["event_id"] > after and \
                        pe_id in (None, event.get("pe_id")):
                    return event
            return None
        return rsp.wait_until(found, 10, f"an event {kind}")

    def root(self, event):
        """The event at the beginning of the chain."""
        by_id = {e["event_id"]: e for e in self.events()}
        while "cause_id" in event:
            assert event["cause_id"] < event["event_id"]
            event = by_id[event["cause_id"]]
        return event


def test_a_killed_server(world):
    host = world.agent("inprocess")
    monitor = Monitor(host, "web")
    server = host.http_server("s", 8080, pool="web")
    (pe,) = host.wait_pes("web", 1)
    monitor.wait("pe-added", pe["pe_id"])
    server.kill()
    removed = monitor.wait("pe-removed", pe["pe_id"])
    assert monitor.root(removed)["kind"] == "local-gone"


def test_drained_after_a_report(world):
    """The removal follows from the drain, not from an older report."""
    host = world.agent("inprocess")
    host.http_server("s", 8080, pool="web")
    (pe,) = host.wait_pes("web", 1)
    monitor = Monitor(host)
    assert host.rspctl("report", "web", pe["pe_id"]).returncode == 0
    reported = monitor.wait("pe-unreachable", pe["pe_id"])
    quarantined = monitor.wait("pe-quarantined", pe["pe_id"])
    assert quarantined["cause_id"] == reported["event_id"]
    assert host.rspctl("pe", "drain", pe["pe_id"]).returncode == 0
    removed = monitor.wait("pe-removed", pe["pe_id"])
    root = monitor.root(removed)
    assert root["kind"] == "local-draining", root
    assert host.rspctl("pe", "undrain", pe["pe_id"]).returncode == 0
    added = monitor.wait("pe-added", pe["pe_id"], after=removed["event_id"])
    assert monitor.root(added)["kind"] == "local-back"


def test_log_lines_carry_the_id(world):
    host = world.host("a")
    host.start_rspd("--log-level", "info")
    server = host.http_server("s", 8080, pool="web")
    (pe,) = host.wait_pes("web", 1)
    server.kill()
    host.wait_pes("web", 0)
    host.rspctl("resolve", "web")
    host.rspctl("resolve", "never-seen")
    lines = [line for line in host.daemon.output().splitlines()
             if pe["pe_id"] in line or "resolution" in line]
    assert len(lines) >= 5
    for line in lines:
        assert re.search(r"\[e\d+( <- e\d+)?\]", line), line
