# SPDX-License-Identifier: LGPL-2.1-or-later
"""State cookies sealed by the daemon: who may, what is refused and why, the keys of several hosts
(security.md section 7, S-14, S-15, S-19, S-30; asap:A-121)."""
import json
import os
import socket
import struct

import jsonschema
import pytest

import rsp

OTHER = 65534  # nobody
HELLO, HELLO_OK, RESULT, SEAL, OPEN, REPLY = 1, 2, 3, 50, 51, 52
T_RESULT, T_TEXT, T_KIND, T_PID, T_HANDLE, T_PE_ID, T_AGE = 1, 3, 4, 5, 16, 26, 52
KEYREJECTED = 129
FAULTS = {1: "truncated", 2: "unsealed", 3: "unknown key", 4: "altered", 5: "foreign", 6: "too old",
          7: "too new"}


def tag(name):
    """The number of a TLV, from the header that declares them."""
    header = (rsp.ROOT / "wire" / "local.h").read_text()
    names = [line.split("/*")[0] for line in
             header.partition("enum lp_tlv {")[2].partition("};")[0].splitlines()]
    names = [n.strip().rstrip(",").split(" ")[0] for n in names]
    names = [n for n in names if n.startswith("LP_T_")]
    return 1 + names.index(name)


T_COOKIE, T_SEALED, T_FAULT = tag("LP_T_COOKIE"), tag("LP_T_SEALED"), tag("LP_T_FAULT")
assert (tag("LP_T_RESULT"), tag("LP_T_HANDLE"), tag("LP_T_PE_ID")) == (T_RESULT, T_HANDLE, T_PE_ID)


def tlv(kind, value):
    return struct.pack("=HH", kind, 4 + len(value)) + value + b"\0" * (-len(value) % 4)


def u32(kind, value):
    return tlv(kind, struct.pack("=I", value))


class Refused(Exception):
    def __init__(self, error, fault, text):
        super().__init__(f"{os.strerror(error)}: {text}")
        self.error, self.fault, self.text = error, FAULTS.get(fault), text


class Element:
    """The program of a pool element, as librsp speaks for it."""

    def __init__(self, host, pool, pe_id=0):
        self.pool, self.pe_id = pool.encode(), pe_id
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.settimeout(10)
        self.socket.connect(str(host.socket))
        assert self._call(HELLO, u32(T_KIND, 2) + u32(T_PID, os.getpid()))[0] == HELLO_OK

    def _call(self, kind, body):
        self.socket.send(struct.pack("=HHII", 1, kind, 7, 12 + len(body)) + body)
        answer = self.socket.recv(65536)
        values, at = {}, 12
        while at < len(answer):
            key, length = struct.unpack_from("=HH", answer, at)
            values[key] = answer[at + 4:at + length]
            at += length + -length % 4
        return struct.unpack_from("=HH", answer)[1], values

    def _cookie(self, kind, octets):
        body = tlv(T_HANDLE, self.pool) + tlv(T_COOKIE, octets)
        if self.pe_id:
            body += u32(T_PE_ID, self.pe_id)
        reply, values = self._call(kind, body)
        if reply != REPLY:
            fault = struct.unpack("=I", values[T_FAULT])[0] if T_FAULT in values else 0
            raise Refused(-struct.unpack("=i", values[T_RESULT])[0], fault,
                          values[T_TEXT].decode())
        return values[T_COOKIE], struct.unpack("=I", values[T_SEALED])[0]

    def seal(self, state):
        return self._cookie(SEAL, state)

    def open(self, cookie):
        return self._cookie(OPEN, cookie)


def refusal(element, cookie):
    with pytest.raises(Refused) as raised:
        element.open(cookie)
    assert raised.value.error == KEYREJECTED
    return raised.value.fault


def member(host, pool, port, user=None):
    """A server in a pool, and its Element."""
    host.start("socat", f"TCP-LISTEN:{port},fork,reuseaddr", "SYSTEM:cat", pool=pool, user=user)

    def registered():
        return [pe for pe in host.pes(pool, local=True) if pe["port"] == port]
    (pe,) = rsp.wait_until(registered, 10, f"the element on port {port}")
    return Element(host, pool, int(pe["pe_id"], 16))


@pytest.fixture
def host(world):
    host = world.host("a")
    host.start_rspd()
    return host


def keys(host, *args):
    document = host.ctl("cookie-key", *args)
    schema = rsp.ROOT / "tools" / "schema" / "rspctl.cookie-key-list.1.json"
    jsonschema.validate(document, json.loads(schema.read_text()))
    return document["keys"]


@pytest.mark.guest
def test_the_state_comes_back_sealed(host):
    element = member(host, "jobs", 8080)
    cookie, sealed = element.seal(b"position 4711")
    assert sealed == 1 and b"position" not in cookie and len(cookie) == 13 + 60
    assert element.open(cookie) == (b"position 4711", 1)
    big = os.urandom(60000)
    assert element.open(element.seal(big)[0]) == (big, 1)
    with pytest.raises(Refused) as raised:
        element.seal(b"x" * 60001)
    assert "60000" in raised.value.text
    (key,) = keys(host, "list", "jobs")
    assert key["state"] == "current"


def test_refused_cookies_are_reported_with_the_reason(host):
    jobs, mail = member(host, "jobs", 8080), member(host, "mail", 8081)
    cookie, _ = jobs.seal(b"state")
    foreign, _ = mail.seal(b"state")
    altered = bytearray(cookie)
    altered[50] ^= 1
    forged = cookie[:44] + os.urandom(len(cookie) - 44)
    unknown = cookie[:2] + bytes([cookie[2] ^ 255]) + cookie[3:]
    assert refusal(jobs, bytes(altered)) == "altered"
    assert refusal(jobs, forged) == "altered"
    assert refusal(jobs, cookie[:-1]) == "altered"
    assert refusal(jobs, cookie[:40]) == "truncated"
    assert refusal(jobs, b"") == "truncated"
    assert refusal(jobs, unknown) == "unknown key"
    assert refusal(jobs, foreign) == "foreign"
    assert refusal(jobs, b"position 4711") == "unsealed"
    assert jobs.open(cookie) == (b"state", 1), "what is genuine still opens"
    log = host.daemon.output()
    for reason in ("forged or altered", "too short", "does not have", "another pool",
                   "not a sealed cookie"):
        assert f"cookie-refused pool=jobs" in log and reason in log, reason


def test_a_flood_of_forged_cookies_does_not_flood_the_log(host):
    jobs = member(host, "jobs", 8080)
    cookie, _ = jobs.seal(b"state")
    for i in range(500):
        assert refusal(jobs, cookie[:44] + os.urandom(32)) == "altered"
    assert 1 <= host.daemon.output().count("cookie-refused") <= 20


def test_over_age(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    config.write_text("[Pool jobs]\nCookieLife=1s\n")
    host.start_rspd("--config", config)
    jobs = member(host, "jobs", 8080)
    cookie, _ = jobs.seal(b"state")
    assert jobs.open(cookie) == (b"state", 1)

    def too_old():
        try:
            return jobs.open(cookie) is None
        except Refused as refused:
            return refused.fault == "too old"
    rsp.wait_until(too_old, 10, "a cookie of a second ago too old")


def test_only_the_owner_of_an_element_may(host):
    jobs = member(host, "jobs", 8080)
    mine = member(host, "mine", 8081, user=OTHER)
    cookie, _ = jobs.seal(b"state")
    script = (
        "import sys; sys.path[:0] = sys.argv[1:3]\n"
        "import test_state_cookies as t, types, binascii\n"
        "host = types.SimpleNamespace(socket=sys.argv[3])\n"
        "for pool, pe in (('jobs', int(sys.argv[4])), ('jobs', 0), ('mine', int(sys.argv[4]))):\n"
        "    for act in ('seal', 'open'):\n"
        "        try:\n"
        "            getattr(t.Element(host, pool, pe), act)(binascii.unhexlify(sys.argv[6]))\n"
        "            print('done')\n"
        "        except t.Refused as refused:\n"
        "            print(refused.error)\n"
        "print(t.Element(host, 'mine', int(sys.argv[5])).seal(b'x')[1])\n")
    folder = rsp.ROOT / "tests"
    result = host.run(rsp.PYTHON, "-c", script, folder / "scenario", folder, host.socket,
                      jobs.pe_id, mine.pe_id, cookie.hex(), user=OTHER)
    assert result.stdout.split() == ["1"] * 7, result
    # Nor in a pool without an element of this host, and nobody through an element of another pool.
    for element in (Element(host, "jobs", mine.pe_id), Element(host, "empty")):
        with pytest.raises(Refused) as raised:
            element.seal(b"state")
        assert raised.value.error == 1, raised.value


def test_the_keys_are_for_owner_and_root(host):
    member(host, "jobs", 8080).seal(b"state")
    member(host, "mine", 8081, user=OTHER).seal(b"state")
    for verb in (["list", "jobs"], ["rotate", "jobs"], ["export", "jobs"], ["drop", "jobs", "7"],
                 ["import", "jobs"]):
        result = host.rspctl("cookie-key", *verb, user=OTHER)
        assert result.returncode == 4 and "65534" in result.stderr, result
    assert host.rspctl("cookie-key", "rotate", "mine", user=OTHER).returncode == 0
    result = host.rspctl("--json", "cookie-key", "list", user=OTHER)
    assert {key["handle"] for key in json.loads(result.stdout)["keys"]} == {"mine"}
    assert {key["handle"] for key in keys(host, "list")} == {"mine", "jobs"}
    assert (host.socket.parent / "cookie-keys").stat().st_mode & 0o777 == 0o600


def test_rotation(host):
    jobs = member(host, "jobs", 8080)
    old, _ = jobs.seal(b"old")
    assert [key["state"] for key in keys(host, "rotate", "jobs")] == ["old", "current"]
    new, _ = jobs.seal(b"new")
    assert old[2:4] != new[2:4]
    assert jobs.open(old) == (b"old", 1) and jobs.open(new) == (b"new", 1)
    coming = keys(host, "rotate", "jobs", "--after", "1h")[-1]
    assert coming["state"] == "coming" and 3500e3 < coming["delay_ms"] <= 3600e3
    assert jobs.seal(b"newer")[0][2:4] == new[2:4]
    dropped = struct.unpack(">H", old[2:4])[0]
    keys(host, "drop", "jobs", str(dropped))
    assert refusal(jobs, old) == "unknown key"
    assert host.rspctl("cookie-key", "drop", "jobs", str(dropped)).returncode == 5
    assert "cookie-key pool=jobs" in host.daemon.output()


def test_keys_survive_the_daemon(host):
    jobs = member(host, "jobs", 8080)
    cookie, _ = jobs.seal(b"state")
    host.stop_rspd()
    host.start_rspd()
    host.wait_pes("jobs", 1)
    assert Element(host, "jobs", jobs.pe_id).open(cookie) == (b"state", 1)


def test_two_hosts_share_a_pools_keys(world):
    hosts = [world.host("a", "10.52.0.1"), world.host("b", "10.52.0.2")]
    elements = []
    for host in hosts:
        host.start_rspd(interfaces=None)
        elements.append(member(host, "jobs", 8080))
    cookie, _ = elements[0].seal(b"state")
    assert refusal(elements[1], cookie) == "unknown key"
    exported = hosts[0].rspctl("cookie-key", "export", "jobs")
    assert exported.returncode == 0
    result = hosts[1].rspctl("cookie-key", "import", "jobs", stdin=exported.stdout)
    assert result.returncode == 0, result.stderr
    assert elements[1].open(cookie) == (b"state", 1)
    back, _ = elements[1].seal(b"of the other")
    assert elements[0].open(back) == (b"of the other", 1)
    for wrong in ("", "nonsense\n", exported.stdout.replace("pool ", "pool 00"),
                  exported.stdout * 2):
        result = hosts[1].rspctl("cookie-key", "import", "jobs", stdin=wrong)
        assert result.returncode == 1 and result.stderr, (wrong, result)
    assert elements[1].open(cookie) == (b"state", 1)


def test_unsealed_only_where_the_pool_says_so(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    config.write_text("[Pool old*]\nCookies=unsealed\n")
    host.start_rspd("--config", config)
    old, jobs = member(host, "old-echo", 8080), member(host, "jobs", 8081)
    assert old.seal(b"state") == (b"state", 0)
    assert old.open(b"state") == (b"state", 0)
    assert refusal(jobs, b"state") == "unsealed"
    # A pool that was sealed before: its genuine cookies open, altered ones do not pass as unsealed.
    config.write_text("")
    host.daemon.kill(1)
    rsp.wait_until(lambda: host.daemon.output().count("settings read again") == 1)
    cookie, sealed = old.seal(b"state")
    assert sealed == 1
    config.write_text("[Pool old*]\nCookies=unsealed\n")
    host.daemon.kill(1)
    rsp.wait_until(lambda: host.daemon.output().count("settings read again") == 2)
    assert old.open(cookie) == (b"state", 1)
    assert refusal(old, cookie[:-1] + bytes([cookie[-1] ^ 1])) == "altered"


def test_a_damaged_key_file_is_said_and_kept(world):
    host = world.host("a")
    file = host.socket.parent / "cookie-keys"
    file.write_text("pool 6a6f6273 0\nkey rubbish\n")
    file.chmod(0o600)
    host.start_rspd()
    jobs = member(host, "jobs", 8080)
    with pytest.raises(Refused) as raised:
        jobs.seal(b"state")
    assert "line 2" in raised.value.text
    assert any("cookie-keys" in note for note in host.ctl("status")["notes"])
    assert host.rspctl("cookie-key", "rotate", "jobs").returncode == 1
    assert file.read_text() == "pool 6a6f6273 0\nkey rubbish\n"


def test_without_libsodium_everything_else_works(world):
    host = world.host("a")
    libraries = host.dir / "lib"
    libraries.mkdir()
    (libraries / "libsodium.so.23").touch()  # found first, and no library
    host.start_rspd(env={"LD_LIBRARY_PATH": str(libraries)})
    jobs = member(host, "jobs", 8080)
    for act in (jobs.seal, jobs.open):
        with pytest.raises(Refused) as raised:
            act(bytes(60))
        assert "libsodium23" in raised.value.text and raised.value.fault is None
