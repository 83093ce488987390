# SPDX-License-Identifier: LGPL-2.1-or-later
"""A wait in rsp_recv() is ended by whatever ends it (tests/session/tools/session-wait.c): the kernel
waits for the next message, and other threads send, receive, close or cancel meanwhile."""
import rsp

WAIT = rsp.BUILD / "tests" / "session" / "session-wait"


def test_what_ends_a_wait(world):
    host = world.host("h")
    host.start_rspd()
    result = host.run(WAIT, "waits", timeout=120)
    assert result.returncode == 0, result.stdout
    assert result.stdout == "13 held\n"
