# SPDX-License-Identifier: LGPL-2.1-or-later
"""A link with hosts of both kinds, recorded from the first to the last packet of a test."""
import os
import pathlib
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import rsplib  # noqa: E402  (found through the line above)

# Outside the guest there is no SCTP: tests/interop/run starts it.
collect_ignore_glob = [] if os.environ.get("SCTP_LAB") else ["*"]


class Link:
    """Hosts on one link in the standard scope. Ours: number below 10; rsplib's: above."""

    def __init__(self, world, file):
        world.scope = "default"
        self.world = world
        self.file = file
        self.capture = None
        self.ipv4_only = False

    def host(self, number):
        host = self.world.host(f"h{number}", f"10.52.0.{number}")
        if self.ipv4_only:
            host.run("sysctl", "-qw", "net.ipv6.conf.all.disable_ipv6=1")
        if self.capture is None:
            self.capture = rsplib.Capture(self.world, self.file)
        return host

    def registrar(self, *options, number=1):
        """Our registrar."""
        host = self.host(number)
        host.start_rspd(*options, interfaces="eth0")
        return host

    def agent(self, number, *options):
        """A host whose daemon is no registrar."""
        host = self.host(number)
        host.start_rspd(*options, registrar="no", interfaces="eth0")
        return host


@pytest.fixture(scope="session")
def captures():
    """The recordings of all tests, for the last one."""
    return pathlib.Path(tempfile.mkdtemp(prefix="rsp-captures-"))


@pytest.fixture
def link(world, captures, request):
    name = "".join(c if c.isalnum() else "-" for c in request.node.name)
    lab = Link(world, captures / f"{name}.pcap")
    yield lab
    if lab.capture:
        lab.capture.stop()
