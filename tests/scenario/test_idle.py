# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an idle agent with ten elements costs: memory, processor, wake-ups."""
import time

import pytest

import rsp

pytestmark = pytest.mark.alone

TEN = """
import socket, signal
held = [socket.create_server(('0.0.0.0', 20000 + n)) for n in range(10)]
signal.pause()
"""


def pss_kib(pid):
    for line in rsp.pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


def switches(pid):
    """Context switches of all threads: each wake-up costs at least one."""
    total = 0
    for task in rsp.pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def cpu_seconds(pid):
    """Of all threads, to the nanosecond: /proc/PID/stat counts whole ticks of 10 ms."""
    return sum(int((task / "schedstat").read_text().split()[0])
               for task in rsp.pathlib.Path(f"/proc/{pid}/task").iterdir()) / 1e9


@pytest.mark.brief
@pytest.mark.plain
def test_idle_cost(agent):
    # A slow start that is over costs nothing any more.
    agent.start(rsp.PYTHON, "-c", TEN, name="ten", pool="web",
                env={"RSP_POLICY": "lu", "RSP_SLOW_START_MS": "500"})
    agent.wait_pes("web", 10)
    pid = agent.daemon.pid
    # A window of time is what is measured here; there is no event to wait for.
    time.sleep(3)  # registrations have settled
    wakes, cpu, start = switches(pid), cpu_seconds(pid), time.monotonic()
    time.sleep(10)
    seconds = time.monotonic() - start
    wakes = (switches(pid) - wakes) / seconds
    cpu = (cpu_seconds(pid) - cpu) / seconds
    pss = pss_kib(pid)
    print(f"PSS {pss} KiB, {wakes:.1f} wake-ups/s, CPU {cpu * 100:.2f} %")
    assert pss <= 4096
    assert wakes <= (12 if hasattr(agent, "registrar") else 2)
    assert cpu < 0.001
