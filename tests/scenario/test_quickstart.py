# SPDX-License-Identifier: LGPL-2.1-or-later
"""tools/quickstart: as README.md promises, twice in a row, and interrupted."""
import os
import signal

import pytest

import rsp

pytestmark = [pytest.mark.full, pytest.mark.alone]
QUICKSTART = rsp.ROOT / "tools" / "quickstart"


def leftovers(host):
    """Sockets that still listen on the host."""
    return host.run("ss", "-Hltn").stdout


def test_no_request_fails_and_nothing_stays(world):
    host = world.host("a")
    for _ in range(2):
        result = host.run(QUICKSTART, timeout=600)
        assert result.returncode == 0, result.stdout + result.stderr
        assert result.stdout.count("quickstart: 60 requests, 0 failed") == 1, result.stdout
        assert leftovers(host) == ""
        assert not [name for name in os.listdir(host.dir) if "quickstart" in name]


def test_interrupted(world):
    host = world.host("a")
    process = host.start(QUICKSTART, name="quickstart")
    rsp.wait_until(lambda: leftovers(host) != "", 600, "its servers")
    process.kill_group(signal.SIGINT)
    assert process.wait(30) == 130
    rsp.wait_until(lambda: leftovers(host) == "", 5, "an empty host")
