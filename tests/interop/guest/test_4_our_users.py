# SPDX-License-Identifier: LGPL-2.1-or-later
"""I-4: our pool users through rspregistrar."""
import rsp
import rsplib

# A client that blocks in connect().
FETCH = """
import urllib.request
print(urllib.request.urlopen('http://web.pool.alt/').read().decode(), end='')
"""


def test_users_reach_both_kinds_of_elements(link):
    theirs = link.host(11)
    rsplib.registrar(theirs, 1, "-maxbadpereports=1",
                     "-endpointkeepalivetransmissioninterval=300000")
    user = link.agent(2)
    servers = [link.agent(n) for n in (3, 4)]
    for host in servers:
        host.http_server(host.name, 8080, pool="web")
    rsplib.server(theirs, 0xa1, "-echo", "-policy=Random")
    user.wait_pes("web", 2, 30)

    # Round robin over ours.
    seen = [user.curl().stdout.strip() for _ in range(6)]
    assert sorted(seen) == ["h3"] * 3 + ["h4"] * 3, seen

    # Theirs: found with all addresses, reached over SCTP by a program that knows nothing of pools.
    (pe,) = user.ctl("resolve", "EchoPool")["pes"]
    assert pe["protocol"] == "sctp" and set(pe["addresses"]) == rsplib.addresses_of(theirs)
    assert pe["policy"] == "Random"
    client = user.run(rsp.PYTHON, "-c", """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
s.connect((socket.gethostbyname('x--4563686f506f6f6c.pool.alt'), 7))
s.sendall(b'hello')
print(s.recv(100).decode())
""", shim=True)
    assert client.stdout == "hello\n", client.stderr

    # One of ours cannot be reached: the user moves on within the call and reports it; the
    # registrar drops it.
    rsp.World.drop_packets_to(user, "10.52.0.3")
    for _ in range(3):
        result = user.run(rsp.PYTHON, "-c", FETCH, shim=True)
        assert result.stdout == "h4\n", result.stderr
    link.capture.wait_for(1, rsplib.ENDPOINT_UNREACHABLE, user)
    rsp.wait_until(lambda: "{10.52.0.3} 8080" not in rsplib.dump(theirs), 20,
                   "the element dropped")
