# SPDX-License-Identifier: LGPL-2.1-or-later
"""The test bench itself: what a sanitizer says of any program fails the test it ran in."""
import pytest

import rsp


@pytest.mark.parametrize("sign", ["ERROR: AddressSanitizer: heap-use-after-free",
                                  "agent.c:1:1: runtime error: signed integer overflow"])
def test_a_finding_in_a_log_fails_the_test(sign):
    world = rsp.World("finding")
    try:
        world.log_file("rspd").write_text(sign + "\n")
        with pytest.raises(AssertionError, match="Sanitizer|runtime error"):
            world.close()
    finally:
        world.remove()


def test_a_report_of_its_own_fails_the_test():
    world = rsp.World("report")
    try:
        host = world.host("a")
        path = host.environment()["ASAN_OPTIONS"].split("log_path=")[1].split(":")[0]
        result = host.run("/bin/sh", "-c", f"echo leaked >{path}.$$")
        assert result.returncode == 0, result.stderr
        with pytest.raises(AssertionError, match="leaked"):
            world.close()
    finally:
        world.remove()
