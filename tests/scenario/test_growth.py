# SPDX-License-Identifier: LGPL-2.1-or-later
"""Neither connections nor registrations that have come and gone leave anything behind in rspd: no
memory, no descriptor, no file."""
import os
import pathlib
import re

import pytest

import rsp

CONNECT = """
import socket, struct, sys
to = socket.getaddrinfo('web.pool.alt', 80, socket.AF_INET, socket.SOCK_STREAM)[0][4]
for n in range(int(sys.argv[1])):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    s.connect(to)
    s.close()
"""
ACCEPT = """
import socket
s = socket.create_server(('127.0.0.1', 8080), backlog=512)
while True:
    try:
        s.accept()[0].close()
    except OSError:
        pass
"""
REGISTER = """
import socket, sys
for n in range(int(sys.argv[1])):
    s = socket.socket()
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.bind(('127.0.0.1', 9000 + n % 100))
    s.listen()
    s.close()
"""


def anonymous_kib(pid):
    """Without the pages of files, whose share depends on who else has them."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Pss_Anon:\s+(\d+)", rollup).group(1))


def descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


@pytest.mark.plain  # a sanitizer keeps what was freed for a while
@pytest.mark.parametrize("connects, registrations", [
    (10000, 1000), pytest.param(100000, 10000, marks=pytest.mark.full)])
def test_nothing_stays(world, connects, registrations):
    host = world.host("a")
    rspd = host.start_rspd()
    host.start(rsp.PYTHON, "-c", ACCEPT, name="server", pool="web")
    host.wait_pes("web", 1)

    def round_trip(c, r):
        for program, count, pool in ((CONNECT, c, None), (REGISTER, r, "churn")):
            result = host.run(rsp.PYTHON, "-c", program, count, shim=True, pool=pool, timeout=300)
            assert result.returncode == 0, result.stderr
        host.wait_pes("churn", 0)
    round_trip(500, 2000)  # the event log and the caches fill up to their bounds
    before = anonymous_kib(rspd.pid)
    files = descriptors(rspd.pid)
    round_trip(connects, registrations)
    print(f"anonymous memory {before} KiB, then {anonymous_kib(rspd.pid)} KiB")
    assert anonymous_kib(rspd.pid) < before + 512
    rsp.wait_until(lambda: descriptors(rspd.pid) <= files, 5, "the descriptors of before")
    for folder in ("life", "pe"):
        assert len(os.listdir(host.socket.parent / folder)) == 1, folder
