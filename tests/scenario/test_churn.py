# SPDX-License-Identifier: LGPL-2.1-or-later
"""Requests go on while servers are killed and started: each client is called once, without retry."""
import collections
import concurrent.futures
import random
import threading

import pytest

import rsp

pytestmark = pytest.mark.alone

# curl: could not resolve, failed to connect, timed out: never. Empty reply, receive error, reply cut
# short (http.server sends head and body apart): only what was in flight when a server died.
NEVER = {6, 7, 28}
IN_FLIGHT = {18, 52, 56}


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
        self.alive[self.port] = self.host.http_server(f"c{self.port}", self.port, pool="web",
                                                      wait=False)

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


def churned(host, requests):
    churn = Churn(host, 42)
    for _ in range(3):
        churn.start_one()
    host.wait_pes("web", 3)
    churn.start()
    try:
        codes = collections.Counter(requests())
    finally:
        churn.ended.set()
        churn.join()
    print(f"{sum(codes.values())} requests, exit statuses {dict(codes)}, {churn.kills} kills")
    assert churn.error is None, churn.error
    assert churn.kills >= 5
    assert not NEVER & codes.keys(), codes
    assert codes.keys() <= IN_FLIGHT | {0}, codes
    assert sum(codes[c] for c in IN_FLIGHT) <= churn.kills * 8, codes
    return codes


@pytest.mark.full
def test_sequential_requests(agent):
    codes = churned(agent, lambda: [agent.curl(timeout=10).returncode for _ in range(500)])
    assert codes.total() == 500


def test_parallel_requests(agent):
    def requests():
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            return list(pool.map(lambda _: agent.curl(timeout=10).returncode, range(800)))
    codes = churned(agent, requests)
    assert codes.total() == 800
