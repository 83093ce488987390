# SPDX-License-Identifier: LGPL-2.1-or-later
"""A newcomer under a policy with a load ramps up: its load falls from 100 % to its own, so that it
does not get every new client at once (ecosystem:U-64)."""
import os

import pytest

import rsp

SLOW_START_MS = 4000


def load(agent, port, pool="web"):
    """What the scope knows, in percent; None: not there."""
    return next((pe["load_percent"] for pe in agent.pes(pool) if pe["port"] == port), None)


def up(agent, port, pool="web"):
    return any(pe["port"] == port and pe["state"] == "up" for pe in agent.pes(pool))


def server(agent, port, *options, pool="web"):
    """An http.server under `rspctl run`."""
    return agent.start(rsp.RSPCTL, "run", "--pool", pool, *options, "--", rsp.PYTHON, "-m",
                       "http.server", port, name=f"server-{port}")


def chosen(agent, count, pool="web"):
    """The ports to which that many resolutions lead."""
    return [agent.ctl("resolve", pool)["pes"][0]["port"] for _ in range(count)]


def wait_registered(agent, port, pool="web"):
    rsp.wait_until(lambda: up(agent, port, pool), 15, f"the server on port {port} up")


@pytest.mark.parametrize("options", [["--policy", "lu", "--slow-start", "4s"],
                                     ["--policy", "lu:slow-start=4s"]])
def test_newcomer_ramps_up(agent, options):
    server(agent, 8080, "--policy", "lu")
    wait_registered(agent, 8080)
    assert load(agent, 8080) == 0
    server(agent, 8081, *options)
    wait_registered(agent, 8081)
    seen, first = [load(agent, 8081)], []
    assert seen[0] > 50, "begins with a high load"

    def over():
        choice = chosen(agent, 1)[0]
        seen.append(load(agent, 8081))
        if seen[-1] > 0:  # it was while the choice was made
            first.append(choice)
        return seen[-1] == 0
    rsp.wait_until(over, 4 * SLOW_START_MS / 1000, "the end of the slow start")
    assert seen == sorted(seen, reverse=True), seen
    assert len(set(seen)) >= 4, seen  # in steps, not at once
    assert all(abs(value / 10 - round(value / 10)) < 0.01 for value in seen), seen
    assert first and set(first) == {8080}, first
    after = chosen(agent, 20)
    assert 6 <= after.count(8081) <= 14, after  # both without load: they take turns


def test_age_outlives_the_daemon(world):
    host = world.host("a")
    host.start_rspd()
    server(host, 8080, "--policy", "lu", "--slow-start", "1h")
    wait_registered(host, 8080)
    short = server(host, 8081, "--policy", "lu", "--slow-start", "1s")
    wait_registered(host, 8081)
    rsp.wait_until(lambda: load(host, 8081) == 0, 10, "the end of the short slow start")
    assert load(host, 8080) == 100
    host.stop_rspd()
    host.start_rspd()
    wait_registered(host, 8080)
    wait_registered(host, 8081)
    assert load(host, 8080) == 100, "the long one goes on"
    assert load(host, 8081) == 0, "the short one is over"
    assert short.running()


def test_own_load_counts_when_it_is_higher(agent):
    program = """
import socket
held = []
s = socket.create_server(('0.0.0.0', 8080))
while True:
    held.append(s.accept()[0])
"""
    agent.start(rsp.RSPCTL, "run", "--pool", "web", "--policy", "lu", "--capacity", "2",
                "--slow-start", "2s", "--", rsp.PYTHON, "-c", program, name="loaded")
    wait_registered(agent, 8080)
    agent.start("socat", "-u", "TCP:127.0.0.1:8080", "-", name="client")
    rsp.wait_until(lambda: load(agent, 8080) == pytest.approx(50, abs=0.1), 15,
                   "the load of the one connection")


@pytest.mark.parametrize("command", [
    ["register", "web", "--port", "8080"],
    ["run", "--pool", "web"]])
@pytest.mark.parametrize("options, reason", [
    (["--policy", "wrr", "--slow-start", "5s"], "wrr has none"),
    (["--policy", "wrr:weight=3,slow-start=5s"], "wrr has none"),
    (["--policy", "lu:slow-start=soon"], "100ms to 1h"),
    (["--slow-start", "2h"], "100ms to 1h"),
    (["--policy", "lu:slow-start=5s", "--slow-start", "5s"], "already")])
def test_wrong_slow_start(world, command, options, reason):
    host = world.host("a")
    tail = ["--", "true"] if command[0] == "run" else []
    result = host.rspctl(*command, *options, *tail)
    assert result.returncode == (125 if tail else 2), result.stderr
    assert reason in result.stderr, result.stderr


def test_pool_without_load_refuses_it(world):
    host = world.host("a")
    host.start_rspd()
    server(host, 8080, "--policy", "rr")
    wait_registered(host, 8080)
    host.start(rsp.PYTHON, "-m", "http.server", 8081, name="plain")
    host.wait_listening(8081)
    result = host.rspctl("register", "web", "--port", "8081", "--slow-start", "5s")
    assert result.returncode != 0
    assert "slow start needs a policy with a load, such as lu; rr has none" in result.stderr


def test_rule_of_the_daemon(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    program = os.path.realpath(rsp.PYTHON)
    config.write_text(f"[Program {program}]\nPool=web\nPolicy=lu\nSlowStart=1h\n")
    host.start_rspd("--config", config)
    host.start(rsp.PYTHON, "-m", "http.server", 8080, name="ruled", shim=True)
    wait_registered(host, 8080)
    assert load(host, 8080) == 100
