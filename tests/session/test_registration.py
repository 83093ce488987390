# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program says of its registration holds: life, interval, and addresses also when it registers
the element again (asap:A-46; tests/session/tools/session-register.c)."""
import subprocess

import pytest

import rsp

TOOLS = rsp.BUILD / "tests" / "session"
POOL = "registered"


@pytest.fixture
def host(world):
    host = world.host("h", "10.52.0.1")
    host.start_rspd()
    return host


def record(host, key):
    """A line of the only record that the daemon keeps of its elements."""
    (path,) = (host.socket.parent / "pe").iterdir()
    return dict(line.split("=", 1) for line in path.read_text().splitlines() if "=" in line)[key]


def test_life_and_addresses_change(host):
    program = host.start(TOOLS / "session-register", POOL, name="program", stdin=subprocess.PIPE)

    def say(line, times):
        program.popen.stdin.write(line.encode() + b"\n")
        program.popen.stdin.flush()
        rsp.wait_until(lambda: program.output().count("registered") == times, 10, line)

    say("0 10.52.0.1", 1)
    (first,) = host.pes(POOL)
    assert first["addresses"] == ["10.52.0.1"]
    assert record(host, "life-ms") == "0"
    say("40000 10.52.0.1", 2)
    assert record(host, "life-ms") == "40000"
    say("40000 10.52.0.1 10.52.0.9", 3)
    (second,) = host.pes(POOL)
    assert second["pe_id"] == first["pe_id"]
    assert second["addresses"] == ["10.52.0.1", "10.52.0.9"]
    say("0", 4)
    (third,) = host.pes(POOL)
    assert third["addresses"] == ["10.52.0.1", "10.52.0.9"]  # none said: none changed
    assert record(host, "life-ms") == "0"
    program.popen.stdin.close()
    host.wait_pes(POOL, 0)
