# SPDX-License-Identifier: LGPL-2.1-or-later
"""The library called as it is documented, and as it is not: the cases of tools/calls.h, each in a
process with both ends of its sessions (asap:A-8, A-118 ... A-122, A-128)."""
import subprocess

import pytest

import rsp

CALLS = rsp.BUILD / "tests" / "session" / "session-calls"

ALONE = ("basic-errors", "basic-pollable", "basic-count", "errors", "options", "names",
         "fork-sessions", "sizes", "parts", "mixed", "fair", "cut-off", "message-max", "failover",
         "endings", "no-auto-failover", "give-up", "unknown-pool", "stale-state", "threads",
         "stopping", "closing", "nonblock", "full", "waiting", "selecting")


@pytest.fixture
def host(world):
    host = world.host("h")
    host.start_rspd()
    return host


def start(host, case, *args, **keywords):
    return host.start(CALLS, case, "calls", *args, name=case, stdin=subprocess.PIPE, **keywords)


def at(process, where):
    rsp.wait_until(lambda: f"step {where}\n" in process.output() or not process.running(), 30,
                   f"step {where}: {process.output()}")
    assert f"step {where}\n" in process.output(), process.output()


def go_on(process):
    process.popen.stdin.write(b"\n")
    process.popen.stdin.flush()


def done(process):
    process.popen.stdin.close()
    assert process.wait(60) == 0, process.output()
    assert "done\n" in process.output()


@pytest.mark.parametrize("case", ALONE)
def test_case(host, case):
    """Case "errors" shows that data cannot be sent with the control channel's PPID (asap:A-8)."""
    result = host.run(CALLS, case, "calls", timeout=100)
    assert result.returncode == 0, result.stderr
    assert "done\n" in result.stdout


@pytest.mark.parametrize("case", ["names", "failover", "endings", "sizes"])
def test_protocol_of_the_hosts_choice(host, case):
    result = host.run(CALLS, case, "calls", "any", timeout=100)
    assert result.returncode == 0, result.stderr


def test_basic_mode(host):
    """What the registrar knows at each step."""
    process = start(host, "basic")
    at(process, "registered")
    one, = host.wait_pes("calls", 1)
    shown = host.rspctl("pe", "list", "calls").stdout
    go_on(process)
    at(process, "renewed")
    again, = host.wait_pes("calls", 1)
    assert again["pe_id"] == one["pe_id"] and again["port"] == one["port"]
    assert "25.0%" in shown and "75.0%" in host.rspctl("pe", "list", "calls").stdout
    go_on(process)
    at(process, "two")
    host.wait_pes("calls", 2)
    go_on(process)
    at(process, "one left")
    left, = host.wait_pes("calls", 1)
    assert left["pe_id"] != one["pe_id"]
    go_on(process)
    at(process, "none left")
    host.wait_pes("calls", 0)
    done(process)


def test_elements_end_with_the_process(host):
    """Of both modes, and whatever children there are."""
    process = start(host, "fork-element")
    at(process, "forked")
    host.wait_pes("calls", 2)
    process.kill()
    host.wait_pes("calls", 0)


def test_fork_leaves_the_parents_element(host):
    process = start(host, "fork-sessions")
    at(process, "parent goes on")
    host.wait_pes("calls", 1)
    done(process)


def test_reported_element(host):
    process = start(host, "basic-failure")
    at(process, "reported")
    assert host.daemon.running()
    done(process)


def test_no_daemon(world):
    host = world.host("h")
    result = host.run(CALLS, "no-daemon", "calls", timeout=60)
    assert result.returncode == 0, result.stderr


def test_no_registrar(world):
    """An element may wait for its registrar; whoever does not say so is told."""
    host = world.host("h")
    host.start_rspd(registrar="no")
    process = start(host, "no-registrar")
    at(process, "kept")
    assert len(host.pes("calls", local=True)) == 2
    done(process)


def test_age_of_an_answer(world):
    """A cached answer will do if it is not older than the caller says; 0: the registrar is asked."""
    host = world.agent("sctp", "--set", "Agent.StaleCache=10min")
    registrar = host.registrar

    def register(port):
        registrar.start(rsp.PYTHON, "-m", "http.server", port, "--bind", registrar.address,
                        name=f"http{port}", env={"RSP_BIND": f"tcp:{port}=calls"}, shim=True)
    register(7401)
    registrar.wait_pes("calls", 1)
    process = start(host, "resolve")

    def resolve(items, stale_ms):
        before = process.output().count("\n")
        process.popen.stdin.write(f"{items} {stale_ms}\n".encode())
        process.popen.stdin.flush()
        rsp.wait_until(lambda: process.output().count("\n") > before, 10, "an answer")
        return int(process.output().splitlines()[-1])
    assert resolve(9, 0) == 1
    register(7402)
    registrar.wait_pes("calls", 2)
    assert resolve(9, 600000) == 1
    assert resolve(9, 0) == 2
    assert resolve(1, 600000) == 1
    assert resolve(9, 600000) == 2
    done(process)


def test_waiting_costs_nothing_when_the_daemon_dies(host):
    process = start(host, "idle-wait")
    at(process, "waiting")
    host.stop_rspd(9)
    done(process)
