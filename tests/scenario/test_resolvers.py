# SPDX-License-Identifier: LGPL-2.1-or-later
"""Resolutions are answered beside the loop thread, whatever keeps that busy."""
import ctypes
import json
import os
import signal
import subprocess

import pytest

import rsp

BENCH = rsp.BUILD / "tests" / "bench"
PTRACE_CONT, PTRACE_DETACH, PTRACE_SEIZE, PTRACE_INTERRUPT = 7, 17, 0x4206, 0x4207
WAIT_ALL = 0x40000000  # __WALL: threads too
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long] * 4


def ptrace(request, tid, data=0):
    if libc.ptrace(request, tid, 0, data) != 0:
        error = ctypes.get_errno()
        raise OSError(error, f"ptrace {request}: {os.strerror(error)}")


class Held:
    """One thread of a process stands still, the others run on."""

    def __init__(self, tid):
        self.tid = tid

    def __enter__(self):
        ptrace(PTRACE_SEIZE, self.tid)
        ptrace(PTRACE_INTERRUPT, self.tid)
        os.waitpid(self.tid, WAIT_ALL)

    def __exit__(self, *_):
        ptrace(PTRACE_DETACH, self.tid)


def resolve(host, *options, stop=None):
    """Resolves for a while; what bench-load prints. `stop` runs when all clients have begun."""
    return json.loads(host.run(BENCH / "bench-load", *options, "lp", host.socket, "web",
                               timeout=60).stdout)


def register_pool(host, count):
    host.start(BENCH / "bench-register", "rspd", host.socket, "web", "udp", 9000, count,
               stdin=subprocess.PIPE)
    host.wait_pes("web", count)


def switches(tid):
    """Context switches of one thread: 0 more means that it did not run."""
    text = rsp.pathlib.Path(f"/proc/self/task/{tid}/status")
    return text
