# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of all pytest suites below tests/: `world`, `agent` (in both modes), and the logs of a
failed test in its report.

Marks:
  full   left out of the slice that CI runs
  alone  measures time or rates: nothing else of ours runs beside it (the others run two at a time)
  plain  tells nothing of a build with sanitizers
  sctp   needs SCTP between two hosts; given by itself to the second mode of `agent`
  brief  the second mode of `agent` is left out of the slice: it takes long, alone
  guest  of those, the ones that `tests/run minimal` runs over the kernel's SCTP in a guest, where a
         system call takes ten times as long: one of every mechanism
"""
import pathlib
import re
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "scenario"))
import rsp  # noqa: E402  (found through the line above)


def pytest_configure(config):
    for mark in re.findall(r"^  (\w+)  +(.*)$", __doc__, re.MULTILINE):
        config.addinivalue_line("markers", ": ".join(mark))
    rsp.become_subreaper()
    for program in (rsp.RSPD, rsp.RSPCTL, rsp.SHIM):
        if not program.exists():
            raise pytest.UsageError(f"{program.name} is not built below {rsp.BUILD}")


def pytest_collection_modifyitems(items):
    in_guest = set()
    for item in items:
        mode = item.callspec.params.get("agent") if hasattr(item, "callspec") else None
        if mode == "sctp":
            item.add_marker(pytest.mark.sctp)
            if item.get_closest_marker("brief"):
                item.add_marker(pytest.mark.full)
        # Of a test with many arguments the guest runs the first one over SCTP.
        if item.get_closest_marker("guest") and (mode == "inprocess" or item.function in in_guest):
            item.own_markers = [mark for mark in item.own_markers if mark.name != "guest"]
        elif item.get_closest_marker("guest"):
            in_guest.add(item.function)


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    world = getattr(item, "rsp_world", None)
    if report.failed and world:
        for name, text in world.log_tails():
            report.sections.append((f"log {name}", text))


@pytest.fixture
def world(request):
    """An empty universe of hosts, taken down after the test."""
    universe = rsp.World(request.node.name)
    request.node.rsp_world = universe
    yield universe
    try:
        universe.close()
    finally:
        universe.remove()


@pytest.fixture(params=["inprocess", "sctp"])
def agent(request, world):
    """A host with a running agent, once with the registrar inside, once over SCTP."""
    return world.agent(request.param)
