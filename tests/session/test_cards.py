# SPDX-License-Identifier: LGPL-2.1-or-later
"""Business cards: a server names others of its pool, and a user that cannot ask for the pool goes to
one of them."""
import struct
import subprocess

import pytest

import rsp
from test_hostile import CALLS, HELLO, INIT, Talk, chunk


def card_of(octets):
    """Pool handle and ids of the elements of a business card; None: there is none."""
    at = octets.find(struct.pack("!I", 11) + b"\x0d\0")
    if at < 0:
        return None
    message = octets[at + 4:]
    message = message[:struct.unpack_from("!H", message, 2)[0]]
    handle, ids, at = None, [], 4
    while at < len(message):
        kind, length = struct.unpack_from("!HH", message, at)
        if kind == 9:
            handle = message[at + 4:at + length].decode()
        elif kind == 10:
            ids.append(f"0x{struct.unpack_from('!I', message, at + 4)[0]:08x}")
        at += length + -length % 4
    return handle, ids


@pytest.mark.parametrize("model", ["loop", pytest.param("threads", marks=pytest.mark.full)])
def test_server_names_the_others(world, model):
    """With PPID 11: asap:A-7, A-122, A-123"""
    host = world.host("h")
    host.start_rspd()
    words = ["threads"] if model == "threads" else []
    host.start(HELLO, "hello", *words, name="first")
    first, = host.wait_pes("hello.tcp", 1)
    assert card_of(Talk.say(host, first["port"], INIT + chunk(b"x"), b"hello, x")) is None
    host.start(HELLO, "hello", *words, name="second")
    both = {pe["pe_id"]: pe["port"] for pe in host.wait_pes("hello.tcp", 2)}

    def card():
        return card_of(Talk.say(host, first["port"], INIT + chunk(b"x"), b"hello, x"))
    rsp.wait_until(card, 10, "a business card")
    other = (both.keys() - {first["pe_id"]}).pop()
    assert card() == ("hello.tcp", [other])


def test_user_whose_daemon_has_gone(world):
    """Its server dies as well; the session goes on at the element that the card names, with its
    state: asap:A-120, A-124"""
    hosts = [world.host(f"h{n}") for n in range(2)]
    for n, host in enumerate(hosts):
        world.connect(host, f"10.78.0.{n + 1}")
        host.start_rspd(registrar="yes" if n == 0 else "no", interfaces="eth0")
    servers, users = hosts
    processes = {}
    for n in range(2):
        before = {pe["pe_id"] for pe in servers.pes("hello.tcp")}
        process = servers.start(HELLO, "hello", name=f"server{n}")
        new = rsp.wait_until(lambda b=before: {pe["pe_id"] for pe in servers.pes("hello.tcp")} - b,
                             10, "the element")
        processes[new.pop()] = process
    users.wait_pes("hello.tcp", 2, 20)
    user = users.start(CALLS, "user", "hello", "any", name="user", stdin=subprocess.PIPE)

    def wait(text):
        rsp.wait_until(lambda: text in user.output(), 30, text)

    def ask(word, number):
        user.popen.stdin.write(f"{word}\n".encode())
        user.popen.stdin.flush()
        wait(f"message {number}: hello, {word}\n")
    ask("one", 1)
    ask("two", 2)
    users.stop_rspd(9)
    ports = {pe["port"]: pe["pe_id"] for pe in servers.pes("hello.tcp")}
    line, = [line for line in users.run("ss", "-Htn", "state", "established").stdout.splitlines()
             if int(line.split()[3].rpartition(":")[2]) in ports]
    processes[ports[int(line.split()[3].rpartition(":")[2])]].kill()
    wait("failover complete, with cookie")
    ask("three", 3)
    assert "refused" not in user.output()
