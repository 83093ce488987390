# SPDX-License-Identifier: LGPL-2.1-or-later
"""rsplib's programs on the hosts of a World, and what goes over the link between them and ours.

Hosts of ours have addresses 10.52.0.1 to .9, hosts of rsplib's from .11 on.
"""
import collections
import ipaddress
import re
import signal
import struct
import subprocess

import rsp

QUIET = ("-logcolor=off", "-loglevel=3")
ASAP_PPID, ENRP_PPID = 11, 12
ASAP_UDP_PORT, ENRP_PORT = 3863, 9901

(REGISTRATION, DEREGISTRATION, REGISTRATION_RESPONSE, DEREGISTRATION_RESPONSE, HANDLE_RESOLUTION,
 HANDLE_RESOLUTION_RESPONSE, ENDPOINT_KEEP_ALIVE, ENDPOINT_KEEP_ALIVE_ACK, ENDPOINT_UNREACHABLE,
 SERVER_ANNOUNCE) = range(1, 11)

(PRESENCE, HANDLE_TABLE_REQUEST, HANDLE_TABLE_RESPONSE, HANDLE_UPDATE, LIST_REQUEST, LIST_RESPONSE,
 INIT_TAKEOVER, INIT_TAKEOVER_ACK, TAKEOVER_SERVER) = range(1, 10)

Message = collections.namedtuple("Message", "time source destination ppid port type flags octets")


def registrar(host, number, *options):
    """rspregistrar with a known identifier and the standard ports. It takes 5 s to its first
    announce, whatever -mentordiscoverytimeout says."""
    return host.start("rspregistrar", f"-identifier=0x{number:08x}",
                      f"-asap={host.address}:3863", f"-enrp={host.address}:9901", *QUIET,
                      *options)


def server(host, pe_id, *options):
    """rspserver, a pool element."""
    return host.start("rspserver", f"-identifier=0x{pe_id:08x}", *QUIET, *options,
                      name=f"rspserver-{pe_id:x}")


def client(host, program, *options, **keywords):
    """One of rsplib's pool users; what it prints is seen at once."""
    return host.start("stdbuf", "-o0", program, *QUIET, *options, name=program, **keywords)


def dump(registrar_host, asker=None):
    """The handlespace of a registrar as hsdump shows it.

    hsdump waits for an answer without end, and now and then gets none (1 of several hundred runs);
    so a second and a third one may ask, but a registrar that answers none of them is an error.
    """
    command = ("hsdump", f"{registrar_host.address}:9901")
    for _ in range(3):
        try:
            result = (asker or registrar_host).run(*command, timeout=10)
        except subprocess.TimeoutExpired:
            continue
        assert result.returncode == 0, result.stderr
        return result.stdout
    raise AssertionError(f"{' '.join(command)} got no answer, three times of 10 s")


def elements_of(text):
    """(pool, element, home, protocol, port, addresses) of all that hsdump has shown in the end."""
    found = []
    index = text[text.rindex("Handlespace["):].partition("*-- Selection:")[0]
    for pool in index.split(' +-- Pool "')[1:]:
        name = pool.partition('"')[0]
        for pe in pool.split("- idx:#")[1:]:
            home = re.search(r"home=\$(\w{8})", pe).group(1)
            addresses, port, protocol = re.search(r"userT: \{(.*)\} (\d+)/(\w+)", pe).groups()
            found.append((name, f"0x{re.search(r'[$](.{8})', pe).group(1)}", f"0x{home}",
                          protocol.lower(), int(port), sorted(re.split("[, ]+", addresses))))
    return sorted(found)


def elements_at(host):
    """The same of one of our registrars."""
    return sorted((pool["handle"], pe["pe_id"], pe["home_id"], pe["protocol"], pe["port"],
                   sorted(pe["addresses"]))
                  for pool in host.ctl("dump")["pools"] for pe in pool["elements"])


def peers_of(host):
    """The other registrars as ours sees them, by number; those it holds for dead left out."""
    return {int(r["registrar_id"], 16): r for r in host.ctl("registrar", "list")["registrars"]
            if not r["local"] and r.get("peer_state") == "active"}


class Capture:
    """Everything on the common link, recorded by dumpcap."""

    def __init__(self, world, file, link="br0"):
        self.file = file
        self.known = []  # messages
        self.end = 24    # of what has been read of the file; its head is as long
        self.process = world.switch.start("dumpcap", "-q", "-P", "-i", link, "-f", "sctp or udp",
                                          "-w", file)
        rsp.wait_until(lambda: "File:" in self.process.output(), 20, "dumpcap")

    def stop(self):
        if self.process.running():
            self.process.kill(signal.SIGINT)
            self.process.wait(20)
        self.file.write_bytes(protocols_only(self.file.read_bytes()))

    def all(self):
        """The messages so far. Those of services may be many: each octet is read once."""
        with open(self.file, "rb") as file:
            news = file.read(24)
            file.seek(self.end)
            news += file.read()
        for when, frame in frames(news):
            self.known += messages_in(when, frame)
            self.end += 16 + len(frame)
        return self.known

    def messages(self, kind=None, source=None, ppid=ASAP_PPID):
        """The messages of ASAP (or ENRP) so far, of one type, of one host."""
        return [m for m in self.all()
                if m.ppid == ppid and kind in (None, m.type) and
                (source is None or m.source in addresses_of(source))]

    def wait_for(self, count, kind, source, deadline=15.0):
        rsp.wait_until(lambda: len(self.messages(kind, source)) >= count, deadline,
                       f"{count} messages of type {kind} from {source.name}")


def addresses_of(host):
    """Both addresses of a host on the common link."""
    return {host.address, str(ipaddress.ip_address("fd52:52::" + host.address.split(".")[3]))}


def frames(pcap):
    """(time, frame) of a capture file that is perhaps being written yet."""
    order = "<" if pcap[:4] in (b"\xd4\xc3\xb2\xa1", b"\x4d\x3c\xb2\xa1") else ">"
    unit = 1e9 if pcap[:4] in (b"\x4d\x3c\xb2\xa1", b"\xa1\xb2\x3c\x4d") else 1e6
    at = 24
    while at + 16 <= len(pcap):
        seconds, part, length = struct.unpack_from(order + "III", pcap, at)
        if at + 16 + length > len(pcap):
            return
        yield seconds + part / unit, pcap[at + 16:at + 16 + length]
        at += 16 + length


def protocols_only(pcap):
    """Without the packets that have no message of ASAP or ENRP: services may send very many, and the
    dissector's test is to read all recordings."""
    kept, at = [pcap[:24]], 24
    for when, frame in frames(pcap):
        end = at + 16 + len(frame)
        if any(m.ppid in (ASAP_PPID, ENRP_PPID) for m in messages_in(when, frame)):
            kept.append(pcap[at:end])
        at = end
    return b"".join(kept)


def messages_in(when, frame):
    (ethertype,) = struct.unpack_from("!H", frame, 12)
    packet = frame[14:]
    if ethertype == 0x0800:
        header, protocol = (packet[0] & 0x0f) * 4, packet[9]
        source, destination = packet[12:16], packet[16:20]
        packet = packet[:struct.unpack_from("!H", packet, 2)[0]]
    elif ethertype == 0x86dd:
        header, protocol = 40, packet[6]
        source, destination = packet[8:24], packet[24:40]
        packet = packet[:40 + struct.unpack_from("!H", packet, 4)[0]]
    else:
        return
    ends = (str(ipaddress.ip_address(source)), str(ipaddress.ip_address(destination)))
    for ppid, octets in payloads(protocol, packet[header:]):
        if len(octets) >= 4:
            (port,) = struct.unpack_from("!H", packet, header)
            yield Message(when, *ends, ppid, port, octets[0], octets[1], octets)


def payloads(protocol, packet):
    """(ppid, octets) of the messages in one datagram or SCTP packet."""
    if protocol == 17:
        port = struct.unpack_from("!H", packet, 2)[0]
        if port in (ASAP_UDP_PORT, ENRP_PORT):
            yield ASAP_PPID if port == ASAP_UDP_PORT else ENRP_PPID, packet[8:]
        return
    at = 12
    while protocol == 132 and at + 16 <= len(packet):
        kind, _, length = struct.unpack_from("!BBH", packet, at)
        if length < 4:
            return
        if kind == 0:
            yield struct.unpack_from("!I", packet, at + 12)[0], packet[at + 16:at + length]
        at += (length + 3) // 4 * 4


def parameters(octets):
    """The parameters of a message or of another parameter, each with its header."""
    found = []
    while len(octets) >= 4:
        length = int.from_bytes(octets[2:4], "big")
        assert 4 <= length <= len(octets)
        found.append(octets[:length])
        octets = octets[(length + 3) // 4 * 4:]
    return found
