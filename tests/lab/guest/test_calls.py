# SPDX-License-Identifier: LGPL-2.1-or-later
"""The cases of tests/session/tools/calls.h over the kernel's SCTP."""
import pytest

import rsp

CALLS = rsp.BUILD / "tests" / "session" / "session-calls"

SLICE = ("failover", "nonblock", "parts")
CASES = ("basic-pollable", "errors", "options", "names", "fork-sessions", "sizes", "parts", "mixed",
         "message-max", "failover", "endings", "no-auto-failover", "give-up",
         "unknown-pool", "stale-state", "stopping", "closing", "nonblock", "full",
         "waiting", "selecting")


@pytest.fixture(scope="module")
def daemon():
    """One for all cases: each has a pool of its own."""
    world = rsp.World("calls")
    host = world.host("h")
    host.start_rspd()
    yield host
    try:
        world.close()
    finally:
        world.remove()


def in_slice(cases):
    return [c if c in SLICE else pytest.param(c, marks=pytest.mark.full) for c in cases]


@pytest.mark.parametrize("case", in_slice(CASES))
def test_case(daemon, case):
    result = daemon.run(CALLS, case, f"pool-{case}", "sctp", timeout=120)
    assert result.returncode == 0, result.stderr
    assert "done\n" in result.stdout


@pytest.mark.parametrize("case", in_slice(["names", "failover", "endings"]))
def test_both_protocols(daemon, case):
    result = daemon.run(CALLS, case, f"both-{case}", "any", timeout=120)
    assert result.returncode == 0, result.stderr
