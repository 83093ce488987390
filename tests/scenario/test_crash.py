# SPDX-License-Identifier: LGPL-2.1-or-later
"""rspd killed at random moments while servers come and go: afterwards the pool is exactly the
servers that live, and the runtime directory holds nothing else."""
import os
import random
import signal

import pytest

import rsp


@pytest.mark.parametrize("rounds", [10, pytest.param(50, marks=pytest.mark.full)])
def test_killed_at_random_moments(world, rounds):
    dice = random.Random(rounds)
    host = world.host("a")
    host.start_rspd()
    servers = {}
    next_port = 8000
    for n in range(rounds):
        for _ in range(dice.randrange(1, 4)):
            next_port += 1
            servers[next_port] = host.start(
                "socat", f"TCP-LISTEN:{next_port},fork,reuseaddr", "SYSTEM:cat", pool="web",
                name=f"s{next_port}")
        for port in dice.sample(sorted(servers), min(len(servers) - 1, dice.randrange(0, 3))):
            servers.pop(port).kill_group()
        # Somewhere between their start and their registration; often in the middle of one.
        end = rsp.time.monotonic() + dice.random() * 0.04
        while rsp.time.monotonic() < end:
            pass
        host.stop_rspd(signal.SIGKILL)
        if dice.random() < 0.5 and len(servers) > 1:
            servers.pop(dice.choice(sorted(servers))).kill_group()
        host.start_rspd()

        def settled():
            return {pe["port"] for pe in host.pes("web")} == set(servers) and \
                len(host.pes("web")) == len(servers)
        rsp.wait_until(settled, 5, f"round {n}: the pool of {sorted(servers)}")
    count = len(servers)

    def clean():
        run = host.socket.parent
        return all(len(os.listdir(run / folder)) == size
                   for folder, size in (("life", count), ("pe", count), ("waiting", 0)))
    rsp.wait_until(clean, 5, "records and life files of the living alone: " + str(
        {f: sorted(os.listdir(host.socket.parent / f)) for f in ("life", "pe", "waiting")}))
