# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unmodified clients under the shim, each as people call it, reach a pool."""
import collections
import re

import pytest

import rsp


@pytest.fixture
def web(agent):
    """Pool web: two HTTP servers, reachable over both families."""
    for number in range(2):
        agent.http_server(f"s{number}", 8080 + number, pool="web", bind="::")
    agent.wait_pes("web", 2)
    return agent


def labels(text):
    return collections.Counter(re.findall(r"^s\d$", text, re.MULTILINE))


@pytest.mark.guest
@pytest.mark.parametrize("option", ["--ipv4", "--ipv6", "--http1.0"])
def test_curl(web, option):
    result = web.curl("http://web.pool.alt/", option)
    assert (result.returncode, labels(result.stdout).total()) == (0, 1), result.stderr


def test_curl_keep_alive_uses_one_connection(web):
    result = web.curl("http://web.pool.alt/", "http://web.pool.alt/", "http://web.pool.alt/", "-w",
                      "%{num_connects}\n", "--http1.1")
    assert result.returncode == 0, result.stderr
    assert labels(result.stdout).total() == 3


def test_curl_parallel_reaches_all_servers(web):
    result = web.run("curl", "-sS", "-Z", "--parallel-immediate", "--max-time", "20",
                     *["http://web.pool.alt/"] * 20, shim=True)
    assert result.returncode == 0, result.stderr
    seen = labels(result.stdout)
    assert seen.total() == 20 and len(seen) == 2


def test_wget(web):
    result = web.run("wget", "-q", "-O", "-", "--tries=1", "http://WEB.pool.alt/", shim=True)
    assert (result.returncode, labels(result.stdout).total()) == (0, 1), result.stderr


def test_python_urllib(web):
    result = web.run(rsp.PYTHON, "-c", "import urllib.request as u\n"
                     "for _ in range(4): print(u.urlopen('http://web.pool.alt/', timeout=10)"
                     ".read().decode(), end='')", shim=True)
    assert labels(result.stdout) == {"s0": 2, "s1": 2}, result.stderr


def test_python_asyncio(web):
    program = """
import asyncio

async def fetch():
    reader, writer = await asyncio.open_connection('web.pool.alt', 80)
    writer.write(b'GET / HTTP/1.0\\r\\n\\r\\n')
    text = await reader.read()
    writer.close()
    return text.rpartition(b'\\r\\n')[2].decode()

async def main():
    for text in await asyncio.gather(*[fetch() for _ in range(8)]):
        print(text, end='')

asyncio.run(asyncio.wait_for(main(), 20))
"""
    result = web.run(rsp.PYTHON, "-c", program, shim=True)
    assert labels(result.stdout) == {"s0": 4, "s1": 4}, result.stderr


def test_nc(web):
    result = web.run("nc", "-N", "-w", "10", "web.pool.alt", "80",
                     stdin="GET / HTTP/1.0\r\n\r\n", shim=True)
    assert labels(result.stdout.replace("\r", "")).total() == 1, result.stderr


@pytest.mark.guest
def test_redis_cli(agent):
    for number in range(2):
        agent.start("redis-server", "--port", 7000 + number, "--save", "", "--bind", "0.0.0.0",
                    "--protected-mode", "no", name=f"redis-{number}", pool="db")
    agent.wait_pes("db", 2)
    for value in ("one", "two"):
        result = agent.run("redis-cli", "-h", "db.pool.alt", "-p", "1", "set", "key", value,
                           shim=True)
        assert result.stdout.strip() == "OK", result.stderr
    results = {agent.run("redis-cli", "-h", "db.pool.alt", "get", "key", shim=True).stdout.strip()
               for _ in range(4)}
    assert results == {"one", "two"}  # two servers, in turn


def test_git_clone_over_http(agent):
    def git(*args, **keywords):
        result = agent.run("git", "-c", "user.name=t", "-c", "user.email=t@example.org", *args,
                           **keywords)
        assert result.returncode == 0, result.stderr
        return result.stdout

    work = agent.dir / "work"
    git("init", "-q", "-b", "main", work)
    (work / "file").write_text("content\n")
    git("add", "file", cwd=work)
    git("commit", "-qm", "one", cwd=work)
    for number in range(2):
        root = agent.dir / f"www-g{number}"
        git("clone", "-q", "--bare", work, root / "r.git")
        git("update-server-info", cwd=root / "r.git")
        agent.http_server(f"g{number}", 8080 + number, pool="git")
    agent.wait_pes("git", 2)
    for number in range(2):
        clone = agent.dir / f"clone{number}"
        git("clone", "-q", "http://git.pool.alt/r.git", clone, shim=True)
        assert (clone / "file").read_text() == "content\n"
