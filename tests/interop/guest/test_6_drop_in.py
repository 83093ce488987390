# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-6: Debian's binaries on our librsplib.so.3, each against every mixture of libraries and
registrars, with the serving element killed in the middle. Which library a process has is read from
its maps; what it gets must be what it gets on rsplib's library, byte for byte."""
import re
import subprocess

import pytest

import rsp
from dropin import Scope, mixtures


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


# --- work that is done elsewhere when its element is killed ---------------------------------------

@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_scripting(link, library, registrar, peer):
    """A work package that runs for some seconds is begun anew by the other element."""
    scope = Scope(link, library, registrar, peer, element_hosts=2)
    elements = scope.serve("-scripting")
    here = scope.user.dir
    (here / "ssrun").write_text("#!/bin/sh\nsleep 2\nrev my-input.data >$1\n")
    (here / "ssrun").chmod(0o755)
    (here / "my-input.data").write_text("a line\n" * 3000)
    packed = scope.user.run("tar", "czf", "in.tar.gz", "ssrun", "my-input.data")
    assert packed.returncode == 0, packed.stderr
    client = scope.use("scriptingclient", f"-input={here}/in.tar.gz", f"-output={here}/out",
                       "-retrydelay=100", "-runid=test")
    rsp.wait_until(lambda: "is processing" in client.output(), 40, "work at the first element")
    elements[scope.asked()].kill()
    assert client.wait(90) == 0, client.output()
    assert client.output().count("is processing") == 2
    assert (here / "out").read_text() == "enil a\n" * 3000


@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_calculation(link, library, registrar, peer):
    """Jobs in their order; the one that was interrupted is completed by the other element."""
    scope = Scope(link, library, registrar, peer, element_hosts=2)
    elements = scope.serve("-calcapp", "-capcapacity=1000000", "-capcookiemaxtime=0.2")
    client = scope.use("calcappclient", "-jobsize=4000000", "-jobinterval=1", "-object=o",
                       f"-vector={scope.user.dir}/v", f"-scalar={scope.user.dir}/s")
    rsp.wait_until(lambda: "Job #1 accepted" in client.output(), 40, "a job accepted")
    elements[scope.asked()].kill()
    rsp.wait_until(lambda: "Job #3 completed" in client.output(), 90, "three jobs completed")
    done = [int(n) for n in re.findall(r"^Job #(\d+) completed", client.output(), re.MULTILINE)]
    assert done == list(range(1, len(done) + 1))
    requested = re.findall(r"^Request for job #(\d+) \(job size (\S+)\)", client.output(),
                           re.MULTILINE)
    completed = re.findall(r"^Job #(\d+) completed:\n.*\n   JobSize +=  ?(\S+)", client.output(),
                           re.MULTILINE)
    assert completed == list(dict(requested).items())[:len(completed)]


# --- services that end a session themselves, or never answer ------------------------------------------

@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_daytime(link, library, registrar, peer):
    """An element that ends each session itself: the terminal goes from one to the other; after a
    kill all answers are of the one that is left."""
    scope = Scope(link, library, registrar, peer)
    elements = scope.serve("-daytime")
    terminal = scope.use("rspterminal", "-poolhandle=DaytimePool", stdin=subprocess.PIPE)

    def served():
        """The elements whose answers were whole; there is nothing else."""
        found = re.findall(r"from PE \$([0-9a-f]{8})> (.*?)\x1b\[0m", terminal.output())
        assert all(re.fullmatch(r"[A-Z][a-z]+, \d\d-[A-Z][a-z]+-\d{4} \d\d:\d\d:\d\d\.\d{6}", text)
                   for _, text in found), found
        return [pe for pe, _ in found]
    rsp.wait_until(lambda: set(served()) == set(elements), 40, "answers of both")
    gone = min(elements)
    elements.pop(gone).kill()
    before = len(served())
    rsp.wait_until(lambda: len(served()) >= before + 8 and gone not in served()[-5:], 60,
                   "answers of the other one")


@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_discard(link, library, registrar, peer):
    """Nothing comes back, and every octet goes there; the session goes on elsewhere all the same."""
    scope = Scope(link, library, registrar, peer, element_hosts=2)
    elements = scope.serve("-discard")
    terminal = scope.use("rspterminal", "-poolhandle=DiscardPool", stdin=subprocess.PIPE)

    def say(line):
        terminal.popen.stdin.write(line)
        terminal.popen.stdin.flush()
        rsp.wait_until(lambda: any(line == m.octets for m in scope.messages()), 40, "the line")
        return scope.asked()
    first = say(b"a line\n")
    elements.pop(first).kill()
    rsp.wait_until(lambda: "FAILOVER_COMPLETE" in terminal.output(), 40, "the failover")
    assert say(b"another line\n") in elements
    assert echoed(terminal) == []
