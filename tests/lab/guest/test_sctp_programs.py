# SPDX-License-Identifier: LGPL-2.1-or-later
"""Programs with SCTP sockets that know nothing of pools, on hosts with two networks."""
import signal
import subprocess

import pytest

import rsp

# One-to-one style: a connection that is answered line by line with the server's label.
SERVER = """
import ctypes, socket, struct, sys, threading
label, port, *addresses = sys.argv[1:]
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
s.bind((addresses[0] if addresses else '0.0.0.0', int(port)))
if len(addresses) > 1:
    more = b''.join(struct.pack('=H', socket.AF_INET) + struct.pack('!H', int(port)) +
                    socket.inet_aton(a) + bytes(8) for a in addresses[1:])
    libsctp = ctypes.CDLL('libsctp.so.1', use_errno=True)
    assert libsctp.sctp_bindx(s.fileno(), more, len(addresses) - 1, 1) == 0, ctypes.get_errno()
s.listen(5)
def serve(c):
    while c.recv(1024):
        c.sendall(label.encode())
    c.close()
while True:
    threading.Thread(target=serve, args=s.accept()[:1], daemon=True).start()
"""

# Says who answers each line of its standard input.
CLIENT = """
import ctypes, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP)
address = socket.getaddrinfo('lines.pool.alt', 1, socket.AF_INET)[0][4]
if sys.argv[1] == 'connectx':
    packed = socket.AF_INET.to_bytes(2, sys.byteorder) + bytes([0, 1]) + \\
        socket.inet_aton(address[0]) + bytes(8)
    libsctp = ctypes.CDLL('libsctp.so.1')
    dlvsym = ctypes.CDLL(None).dlvsym  # the version that a program is linked with
    dlvsym.restype = ctypes.c_void_p
    dlvsym.argtypes = [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_char_p]
    connectx = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_char_p, ctypes.c_int,
                                ctypes.c_void_p, use_errno=True)(
        dlvsym(libsctp._handle, b'sctp_connectx', b'VERS_3'))
    assert connectx(s.fileno(), packed, 1, None) == 0, ctypes.get_errno()
else:
    s.connect(address)
for line in sys.stdin:
    s.sendall(line.encode())
    print(s.recv(1024).decode(), flush=True)
"""


@pytest.fixture
def two_networks(world):
    """A host for servers, with the registrar, and one for clients; both on two networks."""
    servers = world.host("servers", "10.52.0.1")
    clients = world.host("clients", "10.52.0.2")
    world.connect(servers, "10.53.0.1", "eth1", "br1")
    world.connect(clients, "10.53.0.2", "eth1", "br1")
    servers.start_rspd(interfaces="eth0 eth1")
    clients.start_rspd(registrar="no", interfaces="eth0 eth1")
    return servers, clients


def serve(host, label, port, *addresses):
    return host.start(rsp.PYTHON, "-c", SERVER, label, port, *addresses, name=label, pool="lines")


class Client:
    def __init__(self, host, way):
        self.process = host.start(rsp.PYTHON, "-c", CLIENT, way, name="client", shim=True,
                                  stdin=subprocess.PIPE)
        self.lines = 0

    def ask(self, deadline=30):
        """Sends a line; who has answered it."""
        self.lines += 1
        self.process.popen.stdin.write(b"line\n")
        self.process.popen.stdin.flush()
        rsp.wait_until(lambda: len(self.process.output().split()) >= self.lines, deadline,
                       "an answer")
        return self.process.output().split()[-1]


@pytest.mark.parametrize("way", ["connect", pytest.param("connectx", marks=pytest.mark.full)])
def test_connection_outlives_a_network(world, two_networks, way):
    """All addresses are registered and used; one network is pulled and the connection stays."""
    servers, clients = two_networks
    serve(servers, "alpha", 9000)
    (pe,) = clients.wait_pes("lines", 1, 20)
    assert sorted(pe["addresses"]) == ["10.52.0.1", "10.53.0.1"]
    client = Client(clients, way)
    assert client.ask() == "alpha"
    assocs = clients.run("cat", "/proc/net/sctp/assocs").stdout
    (ours,) = [line for line in assocs.splitlines() if " 9000 " in line]
    for address in ("10.52.0.1", "10.53.0.1", "10.52.0.2", "10.53.0.2"):
        assert address in ours
    world.switch.ip("link", "set", "br0", "down")
    assert client.ask() == "alpha"
    assert client.ask() == "alpha"
    assert client.process.running()
    # A new connection finds its way, too, with the first address of the server out of reach.
    assert Client(clients, way).ask() == "alpha"


@pytest.mark.full
def test_addresses_a_server_is_bound_to(two_networks):
    """sctp_bindx(): what is bound is registered, and nothing else."""
    servers, clients = two_networks
    serve(servers, "one", 9000, "10.53.0.1")
    (pe,) = clients.wait_pes("lines", 1, 20)
    assert pe["addresses"] == ["10.53.0.1"]
    serve(servers, "both", 9001, "10.53.0.1", "10.52.0.1")
    pes = clients.wait_pes("lines", 2, 20)
    assert sorted(sorted(pe["addresses"]) for pe in pes) == [["10.52.0.1", "10.53.0.1"],
                                                             ["10.53.0.1"]]


@pytest.mark.full
def test_another_server_after_a_kill(two_networks):
    servers, clients = two_networks
    processes = {label: serve(servers, label, port)
                 for label, port in (("alpha", 9000), ("beta", 9001))}
    clients.wait_pes("lines", 2, 20)
    answered = {Client(clients, "connect").ask() for _ in range(4)}
    assert answered == {"alpha", "beta"}
    processes["alpha"].kill(signal.SIGKILL)
    assert {Client(clients, "connect").ask() for _ in range(4)} == {"beta"}
    assert {Client(clients, "connectx").ask() for _ in range(2)} == {"beta"}
