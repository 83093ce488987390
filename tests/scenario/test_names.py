# SPDX-License-Identifier: LGPL-2.1-or-later
"""Names of pools: suffixes, escaped names, case, length; and what the program sees of its peer."""
import pytest

import rsp

# connect() to a pool through AF_RSP; prints what the server sends.
BY_FAMILY = """
import ctypes, os, socket, struct, sys
handle = bytes.fromhex(sys.argv[1])
s = socket.socket()
address = struct.pack('=H', 0x5250) + struct.pack('!HIHH', 0, 0, 0, len(handle)) + handle
libc = ctypes.CDLL(None, use_errno=True)
if libc.connect(s.fileno(), address, len(address)) != 0:
    sys.exit(os.strerror(ctypes.get_errno()))
print(s.recv(100).decode(), end='')
"""
PEER = """
import socket, sys
s = socket.create_connection((sys.argv[1], 80))
print(s.getpeername()[0], s.getpeername()[1], s.getsockname()[0])
"""


@pytest.fixture
def wide(world):
    """A host in a scope that takes long handles."""
    host = world.host("a")
    host.start_rspd("--set", "Registrar.HandleMax=1024", "--suffixes", ".pool.alt,.svc.alt")
    return host


def serve(host, handle, port, text):
    """A server that says `text`, registered under any handle (in the notation of rspctl)."""
    host.start("socat", f"TCP-LISTEN:{port},fork,reuseaddr", f"SYSTEM:echo {text}", name=text)
    host.wait_listening(port)
    result = host.rspctl("register", handle, "--port", port)
    assert result.returncode == 0, result.stderr


def hear(host, name):
    result = host.run("socat", "-", f"TCP:{name}:1", shim=True)
    return result.stdout.strip() or result.stderr


def test_suffixes_and_case(wide):
    serve(wide, "web", 8080, "here")
    for name in ("web.pool.alt", "web.svc.alt", "WEB.Pool.ALT", "web.pool.alt."):
        assert hear(wide, name) == "here"
    assert hear(wide, "web.xsvc.alt") != "here"


@pytest.mark.parametrize("handle", [b"Web", b"a b/c", b"\x00\xff\x01", "Ünï".encode()])
def test_escaped_names(wide, handle):
    notation = "".join(f"\\x{octet:02x}" for octet in handle)
    serve(wide, notation, 8080, "escaped")
    assert hear(wide, f"x--{handle.hex()}.pool.alt") == "escaped"
    assert hear(wide, f"X--{handle.hex().upper()}.pool.alt") == "escaped"
    result = wide.run(rsp.PYTHON, "-c", BY_FAMILY, handle.hex(), shim=True)
    assert result.stdout == "escaped\n", result.stderr
    (pool,) = wide.ctl("pool", "list")["pools"]
    assert pool["name"] == f"x--{handle.hex()}.pool.alt"


def test_handles_that_differ_in_case_are_two_pools(wide):
    serve(wide, "web", 8080, "small")
    serve(wide, "Web", 8081, "capital")
    for handle, text in ((b"web", "small"), (b"Web", "capital")):
        for _ in range(3):
            result = wide.run(rsp.PYTHON, "-c", BY_FAMILY, handle.hex(), shim=True)
            assert result.stdout == text + "\n", result.stderr
    assert hear(wide, "Web.pool.alt") == "small"


def test_longest_handle(wide):
    handle = "h" * 1024
    serve(wide, handle, 8080, "long")
    assert wide.ctl("resolve", handle)["pes"][0]["port"] == 8080
    result = wide.rspctl("register", handle + "h", "--port", 8080)
    assert result.returncode == 2 and "1024" in result.stderr, result
    long_name = ".".join(["a" * 60, "b" * 60, "c" * 60])
    serve(wide, long_name, 8081, "name")
    assert hear(wide, long_name + ".pool.alt") == "name"


def test_over_long_handle_in_a_scope_with_others(world):
    """Without the setting 32 octets are the most: longer ones would abort other registrars."""
    host = world.host("a")
    host.start_rspd()
    host.http_server("s", 8080)
    result = host.rspctl("register", "h" * 33, "--port", 8080)
    assert result.returncode == 1
    assert "33 octets" in result.stderr and "32" in result.stderr, result.stderr
    assert host.rspctl("register", "h" * 32, "--port", 8080).returncode == 0
    result = host.rspctl("resolve", "h" * 33)
    assert result.returncode == 1 and "HandleMax" in result.stderr, result.stderr


def test_peer_is_the_kernel_s_truth_or_the_cookie(wide):
    serve(wide, "web", 8080, "here")
    result = wide.run(rsp.PYTHON, "-c", PEER, "web.pool.alt", shim=True)
    assert result.stdout.split() == ["127.0.0.1", "8080", "127.0.0.1"], result.stderr
    result = wide.run(rsp.PYTHON, "-c", PEER, "web.pool.alt", shim=True,
                      env={"RSP_PEERNAME": "cookie"})
    peer = result.stdout.split()[0]
    assert peer.startswith(("127.42.", "fd52:5350:")), result.stderr
    reverse = wide.run("getent", "hosts", peer, shim=True)
    assert "web.pool.alt" in reverse.stdout


def test_a_sticky_program_stays_with_its_element(wide):
    for n in range(3):
        serve(wide, "web", 8080 + n, f"s{n}")
    program = """
import socket
seen = set()
for n in range(9):
    with socket.create_connection(('web.pool.alt', 80)) as s:
        seen.add(s.recv(10))
print(len(seen))
"""
    assert wide.run(rsp.PYTHON, "-c", program, shim=True).stdout == "3\n"
    assert wide.run(rsp.PYTHON, "-c", program, shim=True,
                    env={"RSP_STICKY": "60"}).stdout == "1\n"
