# SPDX-License-Identifier: LGPL-2.1-or-later
"""A refusal says why: what the pool is, what was asked for, and the protocol's cause."""
import rsp


def test_another_policy_or_transport_is_refused_with_both_named(agent):
    agent.http_server("s", 8080, pool="web")
    agent.wait_pes("web", 1)
    agent.http_server("t", 8081)
    result = agent.rspctl("register", "web", "--port", 8081, "--policy", "lu")
    assert result.returncode == 1
    assert "Round Robin" in result.stderr and "Least Used" in result.stderr, result.stderr
    assert "0x5" in result.stderr, result.stderr
    agent.start("socat", "UDP-RECVFROM:8082,fork", "SYSTEM:cat", name="udp")
    rsp.wait_until(lambda: ":8082 " in agent.run("ss", "-Hlun").stdout, 10, "a UDP server")
    result = agent.rspctl("register", "web", "--port", 8082, "--proto", "udp")
    assert result.returncode == 1, result
    assert "udp" in result.stderr and "0x7" in result.stderr, result.stderr
    assert len(agent.pes("web")) == 1


def test_a_report_names_an_element_of_the_pool(world):
    host = world.agent("inprocess")
    host.http_server("s", 8080, pool="web")
    host.wait_pes("web", 1)
    result = host.rspctl("report", "web", "0x12345678")
    assert result.returncode == 5 and "0x12345678" in result.stderr, result
    assert "quarantined" not in host.daemon.output()


def test_what_is_not_known_of_an_adopted_server_is_not_shown(world):
    host = world.agent("inprocess")
    host.http_server("s", 8080)
    assert host.rspctl("register", "web", "--port", 8080).returncode == 0
    (pe,) = host.wait_pes("web", 1)
    assert "program" not in pe and pe.get("pid") != 0
    assert host.rspctl("pe", "drain", "web:8080").returncode == 0
    (pe,) = host.pes("web")
    assert (pe["state"], pe["policy"]) in (("drained", "Round Robin"), ("draining", "Round Robin"))


OTHER_VERSION = """
import socket, struct, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
listener.bind(sys.argv[1])
listener.listen()
while True:
    client = listener.accept()[0]
    version, kind, request, length = struct.unpack('=HHII', client.recv(65536)[:12])
    client.send(struct.pack('=HHII', version + 1, kind, request, 12))
"""


def test_a_daemon_of_another_version_is_7(world):
    host = world.host("a")
    host.start(rsp.PYTHON, "-c", OTHER_VERSION, host.socket, name="daemon")
    rsp.wait_until(host.socket.exists, 10, "the socket")
    result = host.rspctl("pool", "list")
    assert result.returncode == 7, result
    assert "version" in result.stderr


def test_a_program_under_the_shim_and_a_daemon_of_another_version(world):
    """The program goes its way; a pool name fails at once."""
    host = world.host("a")
    host.start(rsp.PYTHON, "-c", OTHER_VERSION, host.socket, name="daemon")
    rsp.wait_until(host.socket.exists, 10, "the socket")
    assert host.run("echo", "here", shim=True).stdout == "here\n"
    result = host.curl("http://web.pool.alt/", timeout=5)
    assert result.returncode == 6, result.stderr
