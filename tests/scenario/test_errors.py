# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a program sees when a pool cannot serve it: the error it expects, at once, and a log line."""
import errno
import time

import pytest

import rsp

LOOKUP = """
import socket, sys
try:
    print(socket.getaddrinfo(sys.argv[1], 80, type=socket.SOCK_STREAM)[0][4][0])
except socket.gaierror as error:
    print({socket.EAI_NONAME: 'EAI_NONAME', socket.EAI_AGAIN: 'EAI_AGAIN'}.get(error.errno, error.errno))
"""

# Connects a socket of family `argv[1]` to a pool named by AF_RSP address bytes.
CONNECT = """
import ctypes, errno, socket, struct, sys
family, kind, handle = getattr(socket, sys.argv[1]), getattr(socket, sys.argv[2]), sys.argv[3].encode()
s = socket.socket(family, kind)
address = struct.pack('=H', 0x5250) + struct.pack('!HIHH', 0, 0, 0, len(handle)) + handle
libc = ctypes.CDLL(None, use_errno=True)
result = libc.connect(s.fileno(), address, len(address))
print('connected' if result == 0 else errno.errorcode[ctypes.get_errno()])
"""


def timed(host, *args, **keywords):
    before = time.monotonic()
    result = host.run(*args, shim=True, **keywords)
    return result.stdout.strip() or result.stderr, time.monotonic() - before


def lookup(host, name, **keywords):
    text, seconds = timed(host, rsp.PYTHON, "-c", LOOKUP, name, **keywords)
    assert seconds < 3
    return text


def connect(host, family, kind, handle):
    text, seconds = timed(host, rsp.PYTHON, "-c", CONNECT, family, kind, handle)
    assert seconds < 3
    return text


@pytest.mark.guest
def test_unknown_pool(agent):
    assert lookup(agent, "never-seen.pool.alt") == "EAI_NONAME"
    assert "never-seen" in agent.daemon.output()


@pytest.mark.guest
def test_empty_pool(agent):
    server = agent.http_server("s", 8080, pool="web")
    agent.wait_pes("web", 1)
    server.kill()
    agent.wait_pes("web", 0)
    assert lookup(agent, "web.pool.alt").startswith("127.4")
    assert connect(agent, "AF_INET", "SOCK_STREAM", "web") == "ECONNREFUSED"


def test_handle_too_long(agent):
    name = ".".join(["x" * 60] * 3) + ".pool.alt"
    assert lookup(agent, name) == "EAI_NONAME"


def test_no_daemon(world):
    host = world.host("a")
    assert lookup(host, "web.pool.alt") == "EAI_AGAIN"
    assert connect(host, "AF_INET", "SOCK_STREAM", "web") == "EHOSTUNREACH"


def test_socket_without_permission(world):
    host = world.host("a")
    host.start_rspd()
    host.http_server("s", 8080, pool="web")
    host.wait_pes("web", 1)
    host.socket.chmod(0o600)
    assert lookup(host, "web.pool.alt", user=65534) == "EAI_AGAIN"


def test_names_that_are_not_ours_go_their_way(agent):
    for name in ("xpool.alt", "pool.alt.example", "127.0.0.1"):
        text = lookup(agent, name)
        assert text in ("EAI_NONAME", "EAI_AGAIN", "127.0.0.1"), text


@pytest.mark.parametrize("family, kind, expected", [
    ("AF_INET", "SOCK_STREAM", "connected"),
    ("AF_INET6", "SOCK_STREAM", "connected"),  # mapped
    ("AF_INET", "SOCK_DGRAM", "EPROTOTYPE"),   # no UDP element
])
def test_fit_of_the_socket(agent, family, kind, expected):
    agent.http_server("s", 8080, pool="web", bind="127.0.0.1")
    agent.wait_pes("web", 1)
    assert connect(agent, family, kind, "web") == expected
    if expected != "connected":
        rsp.wait_until(lambda: "resolution-failed" in agent.daemon.output(), 5, "the log line")


def test_family_that_does_not_fit_is_skipped(agent):
    agent.http_server("four", 8080, pool="web", bind="127.0.0.1")
    agent.http_server("six", 8081, pool="web", bind="::1")
    agent.wait_pes("web", 2)
    for _ in range(4):
        assert agent.curl("http://web.pool.alt/", "--ipv4").stdout == "four\n"
    assert connect(agent, "AF_INET6", "SOCK_STREAM", "web") == "connected"


def test_only_the_wrong_family_is_left(agent):
    agent.http_server("six", 8081, pool="web", bind="::1")
    agent.wait_pes("web", 1)
    assert connect(agent, "AF_INET", "SOCK_STREAM", "web") == "EAFNOSUPPORT"
    assert errno.EAFNOSUPPORT
