# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-6: Debian's binaries on our librsplib.so.3, each against every mixture of libraries and
registrars, with the serving element killed in the middle. Which library a process has is read from
its maps; what it gets must be what it gets on rsplib's library, byte for byte."""
import datetime
import re
import signal
import struct
import subprocess

import pytest

import rsp
import rsplib
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

def busy(elements):
    """The element that has begun the latest session. Of a session's end it tells when another one
    begins."""
    def begun(pe):
        lines = re.findall(r"(\d\d-\w+-\d{4} \S+): New thread for", elements[pe].output())
        return [datetime.datetime.strptime(lines[-1], "%d-%b-%Y %H:%M:%S.%f")] if lines else []
    return rsp.wait_until(lambda: max(filter(begun, elements), key=begun, default=None), 20,
                          "a session")


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
    elements[busy(elements)].kill()
    assert client.wait(90) == 0, client.output()
    assert client.output().count("is processing") == 2
    assert (here / "out").read_text() == "enil a\n" * 3000


@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_calculation(link, library, registrar, peer):
    """Jobs in their order; the one that was interrupted is completed by the other element. That
    takes the job up at once and goes on with it at the next message, whichever library it has: a
    cookie echo starts no timer in Debian's rspserver. So the user says something twice a second."""
    scope = Scope(link, library, registrar, peer, element_hosts=2)
    elements = scope.serve("-calcapp", "-capcapacity=1000000", "-capcookiemaxtime=0.2")
    client = scope.use("calcappclient", "-jobsize=2000000", "-jobinterval=1",
                       "-keepalivetransmissioninterval=500", "-object=o",
                       f"-vector={scope.user.dir}/v", f"-scalar={scope.user.dir}/s")

    def jobs(what):
        """(number, size) of jobs in that state; they are drawn by lot."""
        return re.findall(rf"^{what}", client.output(), re.MULTILINE)

    def long_job():
        """The present job, if it takes more than a second."""
        for number, size in jobs(r"Request for job #(\d+) \(job size (\S+)\)")[-1:]:
            return float(size) > 1e6 and jobs(f"Job #{number} accepted") and int(number)
    interrupted = rsp.wait_until(long_job, 60, "a long job accepted")
    accepted = re.compile(rf"^Job \d+/{interrupted} of size", re.MULTILINE)
    (serving,) = rsp.wait_until(lambda: [process for process in elements.values()
                                         if accepted.search(process.output())], 20, "it there")
    serving.kill()
    rsp.wait_until(lambda: jobs(f"Job #{interrupted + 2} completed"), 120, "two jobs more")
    assert "--- FAILOVER ---" in client.output()
    completed = jobs(r"Job #(\d+) completed:\n.*\n   JobSize +=  ?(\S+)")
    asked = dict(jobs(r"Request for job #(\d+) \(job size (\S+)\)"))
    assert completed == list(asked.items())[:len(completed)]
    assert [int(number) for number, _ in completed] == list(range(1, len(completed) + 1))


class Screen:
    """A screen of Xvfb, which keeps its pixels in a file: a head of XWD, then line after line."""
    NUMBER = 7

    def __init__(self, host):
        self.file = host.dir / "Xvfb_screen0"
        self.server = host.start("Xvfb", f":{self.NUMBER}", "-screen", "0", "320x240x24",
                                 "-nolisten", "tcp", "-fbdir", host.dir)
        rsp.wait_until(lambda: self.file.stat().st_size and
                       rsp.pathlib.Path(f"/tmp/.X11-unix/X{self.NUMBER}").exists(), 20, "Xvfb")

    def picture(self, width, height):
        """The octets of the upper left part, line after line (blue, green, red, none)."""
        octets = self.file.read_bytes()
        head = struct.unpack_from("!25I", octets)
        start, line = head[0] + 12 * head[19], head[12]
        return b"".join(octets[start + y * line:start + y * line + 4 * width]
                        for y in range(height))


# Some seconds of work for the guest's processor.
FRACTAL = """<!DOCTYPE XMLFractalSave>
<XMLFractalSave>
 <AlgorithmName>Mandelbrot</AlgorithmName>
 <C1Real>-1.5</C1Real><C1Imag>1.5</C1Imag><C2Real>1.5</C2Real><C2Imag>-1.5</C2Imag>
 <Useroptions><MaxIterations>8000</MaxIterations></Useroptions>
</XMLFractalSave>
"""
PICTURES = set()  # of all mixtures


@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_fractal(link, library, registrar, peer):
    """A picture on a screen: the same without a failover, with one in its middle, in all mixtures.
    -imagestorageprefix is of no effect in Debian's program, so the pixels are the screen's."""
    scope = Scope(link, library, registrar, peer, element_hosts=2)
    elements = scope.serve("-fractal")
    screen = Screen(scope.user)
    (scope.user.dir / "one.fsf").write_text(FRACTAL)
    client = scope.use("fractalpooluser", f"-configdir={scope.user.dir}", "-width=200",
                       "-height=60", "-threads=1", "-interimagetime=0", "-nocolormarks",
                       "-nosessions", extra={"DISPLAY": f":{screen.NUMBER}"})

    def drawn(least, most):
        """The picture, if so much of it has been drawn: it begins grey (200, 200, 200), and each of
        its colours has 255 in it, and no 200."""
        assert client.running(), client.output()
        picture = screen.picture(200, 60)
        part = 1 - picture[::4].count(200) / (200 * 60) if 255 in picture[::4] else 0
        return picture if least <= part <= most else None
    undisturbed = rsp.wait_until(lambda: drawn(1, 1), 120, "a picture")
    assert "FAILOVER" not in client.output()
    rsp.wait_until(lambda: drawn(0.1, 0.8), 120, "a part of the next one")
    elements.pop(busy(elements)).kill()
    assert drawn(0, 0.99), "the picture was complete before the failover"
    (other,) = elements
    rsp.wait_until(lambda: scope.answers()[-1].source in
                   rsplib.addresses_of(scope.host_of[other]), 60, "the other's part of it")
    assert rsp.wait_until(lambda: drawn(1, 1), 120, "the picture in spite of it") == undisturbed
    PICTURES.add(undisturbed)
    assert len(PICTURES) == 1
    client.kill()
    screen.server.kill(signal.SIGTERM)
    screen.server.wait(20)


# --- services that end a session themselves, or never answer --------------------------------------

@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_daytime(link, library, registrar, peer):
    """An element that ends each session itself: the terminal goes from one to the other; after a
    kill all answers are of the one that is left."""
    scope = Scope(link, library, registrar, peer)
    elements = scope.serve("-daytime")

    def use():
        return scope.use("rspterminal", "-poolhandle=DaytimePool", stdin=subprocess.PIPE)

    def served(terminal):
        """The elements whose answers were whole; there is nothing else."""
        found = re.findall(r"from PE \$([0-9a-f]{8})> (.*?)\x1b\[0m", terminal.output())
        assert all(re.fullmatch(r"[A-Z][a-z]+, \d\d-[A-Z][a-z]+-\d{4} \d\d:\d\d:\d\d\.\d{6}", text)
                   for _, text in found), found
        return [pe for pe, _ in found]

    def goes_on(terminal, before):
        rsp.wait_until(lambda: len(served(terminal)) >= before + 8 and
                       gone not in served(terminal)[-5:], 60, "answers of the other one")
    terminal = use()
    rsp.wait_until(lambda: set(served(terminal)) == set(elements), 40, "answers of both")
    gone = min(elements)
    elements.pop(gone).kill()
    try:
        goes_on(terminal, len(served(terminal)))
    except rsp.Timeout:
        after = terminal.output().rpartition("RSERPOOL_FAILOVER_COMPLETE")[2]
        if library == "ours" or "from PE" in after or "FAILOVER_NECESSARY" in after:
            raise
        # rsplib's user had gone to the element just when that was killed, and waits for it for
        # ever, also where all is rsplib's. Another one is served.
        goes_on(use(), 0)


BLOCK = bytes(32 + i % 95 for i in range(1024)).decode()  # what a generator of characters sends


@pytest.fixture(scope="module")
def generator(tmp_path_factory):
    """Debian's rspserver refuses -chargen (tests/interop/test_compat.py), so this one generates."""
    program = tmp_path_factory.mktemp("chargen") / "chargen"
    subprocess.run(["cc", "-o", program, rsp.ROOT / "tests" / "interop" / "compat_chargen.c",
                    "-l:librsplib.so.3"], check=True)
    return program


@pytest.mark.parametrize("library,registrar,peer", mixtures())
def test_character_generator(link, generator, library, registrar, peer):
    """As much as the session takes; every block is whole, also of the next element."""
    scope = Scope(link, library, registrar, peer)
    elements = scope.serve(program=generator)
    terminal = scope.use("rspterminal", "-poolhandle=CharGenPool", stdin=subprocess.PIPE)

    def blocks_of(pe):
        found = re.findall(r"from PE \$([0-9a-f]{8})> (.*?)\x1b\[0m", terminal.output(), re.DOTALL)
        assert all(text == BLOCK for _, text in found), [t for _, t in found if t != BLOCK][0]
        return sum(by == pe for by, _ in found)
    first = rsp.wait_until(lambda: [pe for pe in elements if blocks_of(pe) > 20], 40, "blocks")[0]
    (other,) = set(elements) - {first}
    assert blocks_of(other) == 0
    elements[first].kill()
    rsp.wait_until(lambda: blocks_of(other) > 20, 40, "blocks of the other one")
    terminal.kill()
    assert "FAILOVER_COMPLETE" in terminal.output()


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
