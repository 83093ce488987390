# SPDX-License-Identifier: LGPL-2.1-or-later
"""The magic family used by a program that knows nothing of it: socat with our family number and the
address as octets (decisions.md: struct sockaddr_rsp behind the family)."""
import pytest

import rsp

FAMILY = 0x5250


def octets(handle, port=0):
    """sockaddr_rsp without its family, as socat wants it: port, PE id, flags, length, handle."""
    return "x" + f"{port:04x}" + "00000000" + "0000" + f"{len(handle):04x}" + handle.encode().hex()


@pytest.mark.guest
def test_stream(agent):
    agent.start("socat", f"SOCKET-LISTEN:{FAMILY}:6:{octets('echo', 8080)},fork,reuseaddr",
                "SYSTEM:cat", name="server", shim=True)
    (pe,) = agent.wait_pes("echo", 1)
    assert (pe["protocol"], pe["port"]) == ("tcp", 8080)
    result = agent.run("socat", "-t", "5", "-", f"SOCKET-CONNECT:{FAMILY}:6:{octets('echo')}",
                       stdin="hello\n", shim=True)
    assert result.stdout == "hello\n", result.stderr


def test_datagram(agent):
    agent.start("socat", f"SOCKET-RECVFROM:{FAMILY}:2:17:{octets('dgram', 8080)},fork",
                "SYSTEM:cat", name="server", shim=True)
    (pe,) = agent.wait_pes("dgram", 1)
    assert (pe["protocol"], pe["port"]) == ("udp", 8080)
    result = agent.run("socat", "-t", "5", "-",
                       f"SOCKET-DATAGRAM:{FAMILY}:2:17:{octets('dgram')}", stdin="hello\n",
                       shim=True)
    assert result.stdout == "hello\n", result.stderr


def test_reaches_servers_that_were_registered_otherwise(agent):
    agent.http_server("s", 8080, pool="Web")
    agent.wait_pes("Web", 1)
    result = agent.run("socat", "-t", "5", "-", f"SOCKET-CONNECT:{FAMILY}:6:{octets('Web')}",
                       stdin="GET / HTTP/1.0\r\n\r\n", shim=True)
    assert result.stdout.endswith("s\n"), result.stderr


@pytest.mark.parametrize("bad", ["x", "x00", "x00000000000000000020" + "61" * 4])
def test_short_addresses_are_refused(agent, bad):
    result = agent.run("socat", "-", f"SOCKET-CONNECT:{FAMILY}:6:{bad}", shim=True)
    assert result.returncode != 0 and "nvalid" in result.stderr, result.stderr


def test_without_the_shim_the_kernel_refuses_the_family(world):
    host = world.host("a")
    result = host.run("socat", "-", f"SOCKET-CONNECT:{FAMILY}:6:{octets('echo')}")
    assert result.returncode != 0 and "not supported" in result.stderr
    assert rsp.SHIM.exists()
