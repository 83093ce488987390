# SPDX-License-Identifier: LGPL-2.1-or-later
"""The article's example: a file is streamed by a pool whose servers die, and the client has no
failover code (examples/video-client.c, video-server.c; asap:A-118 ... A-121, A-128)."""
import os

import pytest

import rsp

CLIENT = rsp.BUILD / "examples" / "example-video-client"
SERVER = rsp.BUILD / "examples" / "example-video-server"
POOL = "VideoStreamingPool"


@pytest.fixture
def films(world, tmp_path):
    host = world.host("h")
    host.start_rspd()
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "MyMovie.ogg").write_bytes(os.urandom(4_000_000))
    return host, folder


def server(host, folder, number, rate=1_500_000):
    return host.start(SERVER, POOL, folder, rate, name=f"server{number}")


def test_five_servers_are_killed_and_the_file_is_whole(films, tmp_path):
    """asap:A-119, A-120, A-128"""
    host, folder = films
    servers = {}
    for number in range(3):
        servers[number] = server(host, folder, number)
    host.wait_pes(POOL + ".tcp", 3)
    out = tmp_path / "out.ogg"
    client = host.start(CLIENT, POOL, "MyMovie.ogg", out, name="client")
    killed = 0
    for step in range(1, 6):
        rsp.wait_until(lambda: out.exists() and out.stat().st_size > step * 500_000, 20,
                       f"{step * 500_000} bytes")
        victim = host.serving(client, servers)
        servers.pop(victim).kill()
        killed += 1
        servers[10 + step] = server(host, folder, 10 + step)
    assert client.wait(30) == 0, client.output()
    assert killed == 5
    assert out.read_bytes() == (folder / "MyMovie.ogg").read_bytes()


def test_without_a_pause_and_without_a_failure(films, tmp_path):
    host, folder = films
    only = server(host, folder, 0, 0)
    host.wait_pes(POOL + ".tcp", 1)
    out = tmp_path / "out.ogg"
    client = host.start(CLIENT, POOL, "MyMovie.ogg", out, name="client")
    assert client.wait(30) == 0, client.output()
    assert out.read_bytes() == (folder / "MyMovie.ogg").read_bytes()
    only.kill()


def test_unknown_pool_is_said(films, tmp_path):
    host, _ = films
    result = host.run(CLIENT, "NoSuchPool", "x", tmp_path / "x")
    assert result.returncode == 1
    assert "NoSuchPool: No such file or directory" in result.stderr
