# SPDX-License-Identifier: LGPL-2.1-or-later
"""Mixtures of rsplib's library and ours below Debian's binaries, for the drop-in's tests."""
import itertools

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
    """One mixture: a registrar, a host for users, and one or more for elements."""

    def __init__(self, link, library, registrar, peer, element_hosts=1):
        self.link = link
        self.sides = {"user": library, "element": peer}
        if registrar == "ours":
            self.registrar = link.registrar()
        else:
            self.registrar = link.host(11)
            rsplib.registrar(self.registrar, 1)
        self.registrar_side = registrar
        self.user = self._host("user", 2)
        self.element_hosts = [self._host("element", 3 + n) for n in range(element_hosts)]
        self.host_of = {}  # of elements

    def _host(self, role, number):
        if self.sides[role] != "ours":
            return self.link.host(number + 10)
        host = self.link.host(number)
        config = host.dir / "rspd.conf"
        config.write_text("[Pool *]\nCookies=unsealed\n")
        host.start_rspd("--config", config, registrar="no", interfaces="eth0")
        return host

    def _environment(self, role):
        ours = self.sides[role] == "ours"
        return {"LD_LIBRARY_PATH": str(OURS.parent)} if ours else {}

    def serve(self, *options, count=2, program="rspserver"):
        """Elements of one service, by id in the form the clients print it."""
        elements = {}
        for number in range(0xa1, 0xa1 + count):
            host = self.element_hosts[number % len(self.element_hosts)]
            process = host.start(
                program, f"-identifier=0x{number:08x}", *rsplib.QUIET, *options,
                name=f"rspserver-{number:x}", env=self._environment("element"))
            elements[f"{number:08x}"] = process
            self.host_of[f"{number:08x}"] = host
        rsp.wait_until(lambda: all(self._registered(pe) for pe in elements), 40, "the elements")
        for process in elements.values():
            check_library(process, self.sides["element"])
        return elements

    def _registered(self, pe):
        if self.registrar_side == "ours":
            return any(found["pe_id"] == f"0x{pe}" for found in self.registrar.pes())
        return f"${pe}" in rsplib.dump(self.registrar)

    def messages(self):
        """Those of services, so far."""
        return [m for m in self.link.capture.all()
                if m.ppid not in (rsplib.ASAP_PPID, rsplib.ENRP_PPID)]

    def answers(self):
        """What the user got."""
        addresses = rsplib.addresses_of(self.user)
        return [m for m in self.messages() if m.destination in addresses]

    def asked(self):
        """The element that was asked last; each has a host of its own."""
        addresses = rsplib.addresses_of(self.user)
        last = rsp.wait_until(lambda: [m for m in self.messages() if m.source in addresses], 60,
                              "a question")[-1]
        (found,) = (pe for pe, host in self.host_of.items()
                    if last.destination in rsplib.addresses_of(host))
        return found

    def use(self, program, *options, extra=None, **keywords):
        process = self.user.start(
            "stdbuf", "-o0", program, *rsplib.QUIET, *options, name=program,
            env={**self._environment("user"), **(extra or {})}, **keywords)
        rsp.wait_until(lambda: "librsplib" in
                       rsp.pathlib.Path(f"/proc/{process.pid}/maps").read_text(), 20, "its start")
        check_library(process, self.sides["user"])
        return process
