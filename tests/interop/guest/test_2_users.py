# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-2: rsplib's pool users at our registrar."""
import re
import signal
import subprocess

import rsp
import rsplib

# A server that knows nothing of pools, and answers over SCTP what it is sent.
SCTP_ECHO = """
import socket
s = socket.socket(socket.AF_INET6, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
s.bind(('::', 7777))
s.listen(5)
while True:
    c, peer = s.accept()
    print('client', peer[0], flush=True)
    while True:
        octets = c.recv(65536)
        if not octets:
            break
        c.sendall(octets)
"""


def answers(client):
    """(number, PE) of each ping that was answered."""
    return [(int(n), pe) for n, pe in
            re.findall(r"Ack #(\d+) from PE \$([0-9a-f]{8})", client.output())]


def test_session_goes_on_when_its_server_is_killed(link):
    ours = link.registrar()
    theirs = [link.host(11), link.host(12)]
    elements = {f"{0xa1 + i:08x}": rsplib.server(host, 0xa1 + i, "-pingpong")
                for i, host in enumerate(theirs)}
    ours.wait_pes("PingPongPool", 2, 20)
    client = rsplib.client(theirs[0], "pingpongclient", "-interval=100")
    rsp.wait_until(lambda: len(answers(client)) >= 5, 20, "five pings answered")
    serving = answers(client)[-1][1]
    elements.pop(serving).kill()
    (other,) = elements
    rsp.wait_until(lambda: sum(pe == other for _, pe in answers(client)) >= 5, 20,
                   "five pings answered by the other one")
    numbers = [n for n, _ in answers(client)]
    assert numbers == sorted(set(numbers)), "the cookie carried the count over"
    assert [pe["pe_id"] for pe in ours.pes("PingPongPool")] == [f"0x{other}"]


def terminal(host, pool, line, deadline=20):
    """What rspterminal shows once it got `line` back."""
    process = rsplib.client(host, "rspterminal", f"-poolhandle={pool}", stdin=subprocess.PIPE)
    process.popen.stdin.write(line.encode() + b"\n")
    process.popen.stdin.flush()
    rsp.wait_until(lambda: f"> {line}" in process.output(), deadline, f"an answer from {pool}")
    output = process.output()
    process.kill(signal.SIGKILL)
    return re.search(r"from PE \$([0-9a-f]{8})> ", output).group(1)


def test_terminal_reaches_their_elements_and_ours(link):
    ours = link.registrar()
    agent = link.agent(2)
    theirs = link.host(11)
    rsplib.server(theirs, 0xa1, "-echo")
    echo = agent.start(rsp.PYTHON, "-c", SCTP_ECHO, name="echo", pool="OurEcho")
    ours.wait_pes("EchoPool", 1, 20)
    (pe,) = ours.wait_pes("OurEcho", 1, 20)
    assert pe["protocol"] == "sctp"
    assert set(pe["addresses"]) == rsplib.addresses_of(agent)
    assert terminal(theirs, "EchoPool", "hello") == "000000a1"
    assert terminal(theirs, "OurEcho", "hello") == pe["pe_id"][2:]
    assert re.search(r"client \S+", echo.output()), "the client came straight to the server"

    # A pool that does not exist is refused, and found as soon as it does.
    waiting = rsplib.client(theirs, "rspterminal", "-poolhandle=LaterPool", stdin=subprocess.PIPE)
    rsp.wait_until(lambda: any(b"LaterPool" in m.octets for m in link.capture.messages(
        rsplib.HANDLE_RESOLUTION_RESPONSE, ours)), 20, "the answer about a pool without elements")
    refusal = [m for m in link.capture.messages(rsplib.HANDLE_RESOLUTION_RESPONSE, ours)
               if b"LaterPool" in m.octets][0]
    _, error = rsplib.parameters(refusal.octets[4:])
    assert error == b"\x00\x0c\x00\x08" b"\x00\x09\x00\x04", "unknown pool handle"
    waiting.kill()
    rsplib.server(theirs, 0xa2, "-echo", "-poolhandle=LaterPool")
    ours.wait_pes("LaterPool", 1, 20)
    assert terminal(theirs, "LaterPool", "late") == "000000a2"


def test_failure_reports_act(link):
    """The host of the serving element is unplugged. Neither keep-alives nor SCTP would notice within
    this test; the user's report makes the registrar ask at once."""
    ours = link.registrar("--profile", "rsplib", "--set", "Registrar.KeepAlive=5min",
                          "--set", "Registrar.KeepAliveTimeout=1s")
    user, *hosts = link.host(11), link.host(12), link.host(13)
    for number, host in enumerate(hosts, start=0xa1):
        rsplib.server(host, number, "-calcapp", "-capcapacity=1000000",
                      "-capcookiemaxcalculations=200000")
    ours.wait_pes("CalcAppPool", 2, 20)
    client = rsplib.client(user, "calcappclient", "-jobsize=60000000", "-jobinterval=1",
                           "-keepalivetransmissioninterval=500", "-keepalivetimeoutinterval=1000",
                           "-object=o", "-vector=v", "-scalar=s")
    rsp.wait_until(lambda: "accepted" in client.output(), 20, "a job accepted")

    def serving():
        text = user.run("ss", "-HSn").stdout
        return next((h for h in hosts if any(a in text for a in
                                             (f"{h.address}:", f"::{h.name[1:]}]:"))), None)

    host = rsp.wait_until(serving, 10, "the association with the serving element")
    host.ip("link", "set", "eth0", "down")
    link.capture.wait_for(1, rsplib.ENDPOINT_UNREACHABLE, user, 20)
    left = ours.wait_pes("CalcAppPool", 1, 10)
    assert host.address not in left[0]["addresses"]
