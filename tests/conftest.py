# SPDX-License-Identifier: LGPL-2.1-or-later
"""Fixtures of all pytest suites below tests/: `world`, `agent` (in both modes), and the logs of a
failed test in its report."""
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "scenario"))
import rsp  # noqa: E402  (found through the line above)


def pytest_configure(config):
    config.addinivalue_line("markers", "full: left out of the slice that CI runs")
    config.addinivalue_line("markers", "plain: tells nothing of a build with sanitizers")
    rsp.become_subreaper()
    for program in (rsp.RSPD, rsp.RSPCTL, rsp.SHIM):
        if not program.exists():
            raise pytest.UsageError(f"{program.name} is not built below {rsp.BUILD}")


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
