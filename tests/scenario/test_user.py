# SPDX-License-Identifier: LGPL-2.1-or-later
"""rspd of an ordinary user: everything works without root, next to or without the system's."""
import os

import pytest

import rsp

USER = 65534


@pytest.fixture
def home(world):
    """A host with a daemon that nobody started, and its environment."""
    host = world.host("a")
    runtime = host.dir / "xdg"
    runtime.mkdir(mode=0o700)
    os.chown(runtime, USER, USER)
    environment = {"XDG_RUNTIME_DIR": str(runtime), "RSP_SOCKET": ""}
    host.user_environment = environment
    host.daemon = host.start(rsp.RSPD, "--scope", world.scope, "--interfaces", "lo", name="rspd",
                             user=USER, env=environment)
    rsp.wait_until(lambda: ctl(host, "status").returncode == 0, 10, "the user's rspd")
    host.runtime = runtime / "rspd"
    return host


def ctl(host, *args):
    return host.rspctl(*args, user=USER, env=host.user_environment)


def test_its_files_are_the_user_s(home):
    assert (home.runtime / "rspd.sock").is_socket()
    assert {path.stat().st_uid for path in home.runtime.rglob("*")} == {USER}
    assert "not root" in home.daemon.output(), "what the kernel forbids is said at start"


def test_servers_and_clients(home):
    server = home.start("socat", "TCP-LISTEN:8080,fork,reuseaddr", "SYSTEM:echo mine", user=USER,
                        shim=True, pool="web", env=home.user_environment)
    rsp.wait_until(lambda: "8080" in ctl(home, "ps", "web").stdout, 10, "an element")
    looked_up = home.run("getent", "ahostsv4", "web.pool.alt", shim=True, user=USER,
                         env=home.user_environment)
    assert looked_up.stdout.startswith("127.43."), looked_up
    result = home.run("socat", "-", "TCP:web.pool.alt:1", shim=True, user=USER,
                      env=home.user_environment)
    assert result.stdout == "mine\n", result.stderr
    server.kill_group()
    rsp.wait_until(lambda: "8080" not in ctl(home, "ps").stdout, 10, "the end of the element")


def test_adopts_servers_of_its_own_user_only(home):
    home.start("socat", "TCP-LISTEN:8080,fork", "SYSTEM:cat", user=USER)
    home.start("socat", "TCP-LISTEN:8081,fork", "SYSTEM:cat")
    for port in (8080, 8081):
        home.wait_listening(port)
    assert ctl(home, "register", "web", "--port", 8080).returncode == 0
    result = ctl(home, "register", "web", "--port", 8081)
    assert result.returncode == 4 and "user 0" in result.stderr, result


def test_a_second_one_is_told_who_is_there(home):
    result = home.run(rsp.RSPD, user=USER, env=home.user_environment, timeout=10)
    assert result.returncode == 1
    assert f"pid {home.daemon.pid}" in result.stderr, result.stderr


def test_without_a_runtime_directory(world):
    host = world.host("a")
    result = host.run(rsp.RSPD, user=USER, env={"XDG_RUNTIME_DIR": "/nonexistent"}, timeout=10)
    assert result.returncode == 1 and "--runtime-dir" in result.stderr, result.stderr
