# SPDX-License-Identifier: LGPL-2.1-or-later
"""rsp_server in both models, its C++ classes, and a server in an event loop of its own: sessions go
from one to the other, a stop hands them over, many of them cost little."""
import resource
import signal
import subprocess

import pytest

import rsp

EXAMPLES = rsp.BUILD / "examples"
CLIENT = rsp.BUILD / "tests" / "session" / "session-client"
SERVERS = {
    "loop": (EXAMPLES / "example-hello-server", "hello"),
    "threads": (EXAMPLES / "example-hello-server", "hello", "threads"),
    "TCPLikeServer": (EXAMPLES / "example-hello-server-cpp", "hello"),
    "UDPLikeServer": (EXAMPLES / "example-hello-server-cpp", "hello", "udp"),
}


@pytest.fixture
def host(world):
    host = world.host("h")
    host.start_rspd()
    return host


def sessions_and_another_server(host, kind, *count):
    """All sessions with the first server, none at its end before there is the second one."""
    first = host.start(*SERVERS[kind], name="first")
    host.wait_pes("hello.tcp", 1)
    client = host.start(CLIENT, "count", "hello", *count, name="client")
    rsp.wait_until(lambda: "begun" in client.output(), 20, "the sessions")
    client.kill(signal.SIGSTOP)
    host.start(*SERVERS[kind], name="second")
    host.wait_pes("hello.tcp", 2)
    client.kill(signal.SIGCONT)
    return first, client


@pytest.mark.parametrize("kind", SERVERS)
def test_sessions_go_to_another_server(host, kind):
    first, client = sessions_and_another_server(host, kind, 20, 40, 100)
    first.kill()
    assert client.wait(30) == 0, client.output()
    assert "20 right, 20 failovers" in client.output()


@pytest.mark.parametrize("kind", ["TCPLikeServer", "UDPLikeServer"])
def test_stop_is_graceful(host, kind):
    """Deregistered at once; sessions may go on for a while, then they are handed over."""
    first, client = sessions_and_another_server(host, kind, 10, 30, 300)
    first.kill(signal.SIGTERM)
    host.wait_pes("hello.tcp", 1)
    assert first.running()
    assert first.wait(15) == 0, first.output()
    assert client.wait(30) == 0, client.output()
    assert "10 right, 10 failovers" in client.output()


def test_load_is_reported(host):
    host.start(*SERVERS["TCPLikeServer"], name="first")
    host.wait_pes("hello.tcp", 1)
    client = host.start(CLIENT, "many", "hello", 50, name="client", stdin=subprocess.PIPE)
    rsp.wait_until(lambda: "open" in client.output(), 20, "fifty sessions")
    rsp.wait_until(lambda: " 50.0%" in host.run(rsp.RSPCTL, "pe", "list").stdout, 10,
                   "a load of fifty sessions of one percent")
    client.popen.stdin.close()
    client.wait(10)


def resident(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("VmRSS"):
                return int(line.split()[1]) * 1024
    return None


def many(host, sessions):
    """Two clients, because a session costs them two descriptors."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert hard > sessions + 100, "the host allows too few descriptors"
    server = host.start("prlimit", f"--nofile={hard}", EXAMPLES / "example-event-server", "hello",
                        name="server")
    host.wait_pes("hello.tcp", 1)
    before = resident(server.pid)
    clients = [host.start(CLIENT, "many", "hello", (sessions - 100) // 2 + 50 * n, name=f"client{n}",
                          stdin=subprocess.PIPE) for n in range(2)]
    total = sum((sessions - 100) // 2 + 50 * n for n in range(2))
    rsp.wait_until(lambda: all("open" in c.output() for c in clients), 120, f"{total} sessions")
    rsp.wait_until(lambda: f"{total} sessions" in server.output(), 5, "the server's count")
    each = (resident(server.pid) - before) / total
    print(f"{each:.0f} bytes per idle session of {total}")
    assert each < 4096
    for client in clients:
        client.popen.stdin.write(b"\n")
        client.popen.stdin.close()
    rsp.wait_until(lambda: all("right" in c.output() for c in clients), 120,
                   "an answer on every session")
    for client in clients:
        client.wait(60)
    rsp.wait_until(lambda: "\n0 sessions" in server.output(), 20, "the end of the sessions")
    server.kill(signal.SIGTERM)
    assert server.wait(10) == 0, server.output()


@pytest.mark.plain
def test_thousand_sessions_in_one_loop(host):
    many(host, 1050)


@pytest.mark.full
@pytest.mark.plain
def test_ten_thousand_sessions_in_one_loop(host):
    many(host, 10050)


CALLS = rsp.BUILD / "tests" / "session" / "session-calls"
HOOKS = rsp.BUILD / "tests" / "session" / "cpp-hooks"


def hooks(host, what):
    """A server of tools/cpp-hooks.cpp and a user of it."""
    server = host.start(HOOKS, "hooks", what, name=what, stdin=subprocess.PIPE)
    host.wait_pes("hooks.tcp", 1)
    user = host.start(CALLS, "user", "hooks", "any", name="user", stdin=subprocess.PIPE)
    rsp.wait_until(lambda: "connected" in user.output(), 10, user.output)
    return server, user


def tell(process, line):
    process.popen.stdin.write(line.encode() + b"\n")
    process.popen.stdin.flush()


def messages(user, wanted, deadline=10):
    def got():
        return [line[8:] for line in user.output().splitlines() if line.startswith("message ")]
    rsp.wait_until(lambda: len(got()) >= len(wanted), deadline, user.output())
    assert got() == wanted


def stop(server, user):
    user.popen.stdin.close()
    assert user.wait(10) == 0, user.output()
    server.kill(signal.SIGTERM)
    assert server.wait(10) == 0, server.output()


def test_asynchronous_timer_of_a_session(host):
    server, user = hooks(host, "timer")
    tell(user, "go")
    messages(user, ["tick 1", "tick 2", "tick 3"])
    tell(user, "again")
    messages(user, ["tick 1", "tick 2", "tick 3"] * 2)
    stop(server, user)


def test_asynchronous_timer_that_is_left_comes_again(host):
    server, user = hooks(host, "late")
    tell(user, "go")
    messages(user, ["tick 1", "tick 2", "tick 3"], 15)
    stop(server, user)


def test_service_that_waits_for_more_than_its_socket(host):
    server, user = hooks(host, "input")
    tell(user, "here I am")
    messages(user, ["timer"])
    tell(server, "a line")
    messages(user, ["timer", "a line"])
    server.popen.stdin.close()
    tell(user, "still here")
    messages(user, ["timer", "a line", "timer"])
    stop(server, user)
