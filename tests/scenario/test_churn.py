# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests go on while servers are killed and started: each client is called once, without retry.

The servers are nginx in a single process: what matters here is a death, not a full accept queue
(http.server's holds five connections; a SYN that it drops is answered by nobody until the server
dies, and then by a refusal).
"""
import collections
import concurrent.futures
import random
import threading

import pytest

import rsp

pytestmark = pytest.mark.alone

# curl: could not resolve, failed to connect, timed out: never. Empty reply, send or receive error:
# only what was in flight when a server died.
NEVER = {6, 7, 28}
IN_FLIGHT = {52, 55, 56}


class Churn(threading.Thread):
    """Kills and starts servers at random, leaving at least one alive, until stopped."""

    def __init__(self, host, seed):
        super().__init__()
        self.host = host
        self.random = random.Random(seed)
        self.alive = {}
        self.port = 9000
        self.kills = 0
        self.ended = threading.Event()
        self.error = None

    def start_one(self):
        self.port += 1
        config = self.host.dir / f"nginx-{self.port}.conf"
        config.write_text(f"""
master_process off; daemon off; error_log stderr; pid {self.host.dir}/{self.port}.pid;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {self.host.dir}; proxy_temp_path {self.host.dir};
  fastcgi_temp_path {self.host.dir}; uwsgi_temp_path {self.host.dir};
  scgi_temp_path {self.host.dir};
  server {{ listen {self.port}; location / {{ return 200 "{self.port}\\n"; }} }}
}}
""")
        self.alive[self.port] = self.host.start("nginx", "-e", "stderr", "-c", config,
                                                name=f"nginx-{self.port}", pool="web")

    def registered(self):
        return {pe["port"] for pe in self.host.pes("web")}

    def run(self):
        try:
            while not self.ended.wait(self.random.uniform(0.05, 0.2)):
                serving = self.registered() & set(self.alive)
                if len(serving) >= 2 and self.random.random() < 0.6:
                    port = self.random.choice(sorted(serving))
                    self.alive.pop(port).kill()
                    self.kills += 1
                elif len(self.alive) < 5:
                    self.start_one()
        except Exception as error:  # pylint: disable=broad-except
            self.error = error


def request(host, failures):
    """One curl call; what it said when it must not fail so."""
    result = host.curl("http://web.pool.alt/", "-v", timeout=10)
    if result.returncode in NEVER:
        failures.append(result.stderr)
    return result.returncode


def churned(host, requests):
    churn = Churn(host, 42)
    failures = []
    for _ in range(3):
        churn.start_one()
    host.wait_pes("web", 3)
    churn.start()
    try:
        codes = collections.Counter(requests(failures))
    finally:
        churn.ended.set()
        churn.join()
    print(f"{sum(codes.values())} requests, exit statuses {dict(codes)}, {churn.kills} kills")
    assert churn.error is None, churn.error
    assert churn.kills >= 5
    assert not NEVER & codes.keys(), f"{codes}: {failures}"
    assert codes.keys() <= IN_FLIGHT | {0}, codes
    assert sum(codes[c] for c in IN_FLIGHT) <= churn.kills * 8, codes
    return codes


@pytest.mark.full
def test_sequential_requests(agent):
    codes = churned(agent, lambda failures: [request(agent, failures) for _ in range(500)])
    assert codes.total() == 500


@pytest.mark.brief
def test_parallel_requests(agent):
    def requests(failures):
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: request(agent, failures), range(800)))
    codes = churned(agent, requests)
    assert codes.total() == 800
