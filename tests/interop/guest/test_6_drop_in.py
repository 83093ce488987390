# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-6: Debian's binaries on our librsplib.so.3, each against every mixture of libraries and
registrars, with the serving element killed in the middle. Which library a process has is read from
its maps; what it gets must be what it gets on rsplib's library, byte for byte."""
import itertools
import re
import subprocess

import pytest

import rsp
import rsplib

OURS = rsp.BUILD / "librsp" / "compat" / "librsplib.so.3"
SIDES = ("theirs", "ours")


def mixtures(*slice_):
    """(library, registrar, peer); those outside the slice are for the full run."""
    return [pytest.param(*mixture, id="-".join(mixture),
                         marks=() if mixture in slice_ else pytest.mark.full)
            for mixture in itertools.product(SIDES, repeat=3)]


def check_library(process, side):
    maps = rsp.pathlib.Path(f"/proc/{process.pid}/maps").read_text()
    loaded = {line.split()[-1] for line in maps.splitlines() if "librsplib.so.3" in line}
    ours = {path for path in loaded if path.startswith(str(OURS.parent))}
    assert len(loaded) == 1, loaded
    assert bool(ours) == (side == "ours"), loaded


class Scope:
    """One mixture: a registrar, a host for users, a host for elements."""

    def __init__(self, link, library, registrar, peer):
        self.link = link
        self.sides = {"user": library, "element": peer}
        if registrar == "ours":
            self.registrar = link.registrar()
        else:
            self.registrar = link.host(11)
            rsplib.registrar(self.registrar, 1)
        self.registrar_side = registrar
        self.hosts = {}
        for role, number in (("user", 2), ("element", 3)):
            if self.sides[role] == "ours":
                host = link.host(number)
                config = host.dir / "rspd.conf"
                config.write_text("[Pool *]\nCookies=unsealed\n")
                host.start_rspd("--config", config, registrar="no", interfaces="eth0")
            else:
                host = link.host(number + 10)
            self.hosts[role] = host

    def _environment(self, role):
        ours = self.sides[role] == "ours"
        return {"LD_LIBRARY_PATH": str(OURS.parent)} if ours else {}

    def serve(self, *options, count=2):
        """Elements of one service, by id in the form the clients print it."""
        elements = {}
        for number in range(0xa1, 0xa1 + count):
            process = self.hosts["element"].start(
                "rspserver", f"-identifier=0x{number:08x}", *rsplib.QUIET, *options,
                name=f"rspserver-{number:x}", env=self._environment("element"))
            elements[f"{number:08x}"] = process
        rsp.wait_until(lambda: all(self._registered(pe) for pe in elements), 40, "the elements")
        for process in elements.values():
            check_library(process, self.sides["element"])
        return elements

    def _registered(self, pe):
        if self.registrar_side == "ours":
            return any(found["pe_id"] == f"0x{pe}" for found in self.registrar.pes())
        return f"${pe}" in rsplib.dump(self.registrar)

    def use(self, program, *options, **keywords):
        process = self.hosts["user"].start(
            "stdbuf", "-o0", program, *rsplib.QUIET, *options, name=program,
            env=self._environment("user"), **keywords)
        rsp.wait_until(lambda: "librsplib" in
                       rsp.pathlib.Path(f"/proc/{process.pid}/maps").read_text(), 20, "its start")
        check_library(process, self.sides["user"])
        return process


def answers(client):
    """(number, PE) of each ping that was answered."""
    return [(int(n), pe) for n, pe in
            re.findall(r"Ack #(\d+) from PE \$([0-9a-f]{8})", client.output())]


@pytest.mark.parametrize("library,registrar,peer", mixtures(
    ("ours", "ours", "theirs"), ("theirs", "ours", "ours")))
def test_pingpong(link, library, registrar, peer):
    scope = Scope(link, library, registrar, peer)
    elements = scope.serve("-pingpong")
    client = scope.use("pingpongclient", "-interval=100")
    rsp.wait_until(lambda: len(answers(client)) >= 5, 30, "five pings answered")
    serving = answers(client)[-1][1]
    elements.pop(serving).kill()
    (other,) = elements
    rsp.wait_until(lambda: sum(pe == other for _, pe in answers(client)) >= 5, 40,
                   "five pings answered by the other one")
    numbers = [n for n, _ in answers(client)]
    assert numbers == sorted(set(numbers)), "the cookie carried the count over"


def echoed(terminal):
    """What came back, without where it came from."""
    return re.findall(r"from PE \$[0-9a-f]{8}> (.*?)\x1b\[0m", terminal.output())


def send_lines(terminal, lines):
    for line in lines:
        before = len(echoed(terminal))
        terminal.popen.stdin.write(line + b"\n")
        terminal.popen.stdin.flush()
        rsp.wait_until(lambda: len(echoed(terminal)) > before, 30, f"{line!r} back")


@pytest.mark.parametrize("library,registrar,peer", mixtures(("ours", "theirs", "ours")))
def test_terminal_and_echo(link, library, registrar, peer):
    scope = Scope(link, library, registrar, peer)
    elements = scope.serve("-echo")
    terminal = scope.use("rspterminal", "-poolhandle=EchoPool", stdin=subprocess.PIPE)
    first = [b"one", b"two  spaces", b"x" * 900]
    send_lines(terminal, first)
    serving = re.findall(r"from PE \$([0-9a-f]{8})> ", terminal.output())[-1]
    elements.pop(serving).kill()
    (other,) = elements
    rsp.wait_until(lambda: "FAILOVER_COMPLETE" in terminal.output(), 40, "the failover")
    second = [b"three", b"four"]
    send_lines(terminal, second)
    assert re.findall(r"from PE \$([0-9a-f]{8})> ", terminal.output())[-1] == other
    assert [line.encode() for line in echoed(terminal)] == first + second
