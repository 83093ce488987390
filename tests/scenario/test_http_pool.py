# SPDX-License-Identifier: LGPL-2.1-or-later
"""The product in one test: unmodified servers become a pool, an unmodified client uses it by name."""
import collections
import signal

import pytest

import rsp


def answers(host, count):
    """Who answered `count` curl calls, called once each; every call must succeed."""
    seen = collections.Counter()
    for _ in range(count):
        result = host.curl()
        assert result.returncode == 0, result.stderr
        seen[result.stdout.strip()] += 1
    return seen


@pytest.mark.guest
def test_curl_reaches_every_server_in_turn(agent):
    for number in range(3):
        agent.http_server(f"s{number}", 8080 + number, pool="web")
    agent.wait_pes("web", 3)
    assert answers(agent, 9) == {"s0": 3, "s1": 3, "s2": 3}


@pytest.mark.guest
def test_killed_server_is_gone_and_nobody_notices(agent):
    servers = [agent.http_server(f"s{number}", 8080 + number, pool="web") for number in range(3)]
    agent.wait_pes("web", 3)
    servers[0].kill()
    servers[0].wait()  # the kernel has closed its sockets
    assert set(answers(agent, 6)) == {"s1", "s2"}
    agent.wait_pes("web", 2)
    servers[1].kill(signal.SIGTERM)
    servers[1].wait()
    assert set(answers(agent, 4)) == {"s2"}
    agent.wait_pes("web", 1)
    agent.http_server("s3", 8090, pool="web")
    agent.wait_pes("web", 2)
    assert set(answers(agent, 4)) == {"s2", "s3"}


def test_emptied_pool_refuses_and_fills_again(agent):
    server = agent.http_server("s0", 8080, pool="web")
    agent.wait_pes("web", 1)
    server.kill()
    agent.wait_pes("web", 0)
    result = agent.curl()
    assert result.returncode == 7, result.stderr  # known, but nobody there: connection refused
    agent.http_server("s1", 8081, pool="web")
    agent.wait_pes("web", 1)
    assert answers(agent, 2) == {"s1": 2}


def test_rspctl_run_makes_a_server_and_a_client(agent):
    (agent.dir / "index.html").write_text("here\n")
    server = agent.start(rsp.RSPCTL, "run", "--pool", "web", "--", rsp.PYTHON, "-m", "http.server",
                         8080, "--directory", agent.dir, name="server")
    agent.wait_pes("web", 1)
    result = agent.rspctl("run", "--", "curl", "-sS", "--max-time", "10", "http://web.pool.alt/")
    assert (result.returncode, result.stdout) == (0, "here\n"), result.stderr
    server.kill()
    agent.wait_pes("web", 0)


@pytest.mark.parametrize("url", ["http://web.pool.alt/", "http://web.pool.alt:1/"])
def test_port_of_the_url_does_not_select(agent, url):
    agent.http_server("s0", 8080, pool="web")
    agent.wait_pes("web", 1)
    result = agent.curl(url)
    assert result.stdout.strip() == "s0", result.stderr
