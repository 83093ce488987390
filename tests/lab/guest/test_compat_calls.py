# SPDX-License-Identifier: LGPL-2.1-or-later
"""The drop-in for librsplib.so.3, called function by function over the kernel's SCTP."""
import rsp

CALLS = rsp.BUILD / "tests" / "session" / "compat-calls"


def test_every_function(world):
    host = world.host("h")
    host.start_rspd()
    result = host.run(CALLS, "calls", timeout=120)
    assert result.returncode == 0, result.stderr
    assert "done\n" in result.stdout
