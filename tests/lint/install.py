#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""`meson install` puts everything in its place."""
import os
import pathlib
import subprocess
import sys
import tempfile

WANTED = [
    "bin/rspctl", "bin/rsprun", "sbin/rspd", "include/rsp/sockaddr.h",
    "include/rsp/rsp.h", "include/rsp/basic.h", "include/rsp/session.h", "include/rsp/server.h",
    "include/rsp/policy.h", "include/rsp/rsp.hpp", "share/man/man3/rsp_connect.3", "pkgconfig/rsp.pc", "librsp.so.1",
    "share/man/man1/rspctl.1", "share/man/man1/rsprun.1", "share/man/man7/rsp.7",
    "share/man/man8/rspd.8", "share/man/man8/librsp_preload.8",
    "lib/systemd/system/rspd.service", "lib/sysusers.d/rspd.conf", "lib/tmpfiles.d/rspd.conf",
    "share/doc/rspd/rspd.conf", "share/doc/rspd/50-rsp.conf",
    "share/bash-completion/completions/rspctl", "share/zsh/site-functions/_rspctl",
    "share/fish/vendor_completions.d/rspctl.fish",
]

with tempfile.TemporaryDirectory() as root:
    subprocess.run(["meson", "install", "-C", sys.argv[1], "--no-rebuild", "--quiet"], check=True,
                   env={**os.environ, "DESTDIR": root}, stdout=subprocess.DEVNULL)
    there = [str(path.relative_to(root)) for path in pathlib.Path(root).rglob("*")]

bad = [name for name in WANTED if not any(path.endswith("/" + name) for path in there)]
if not any(path.endswith("/librsp_preload.so") for path in there):
    bad.append("librsp_preload.so")
print("\n".join(f"not installed: {name}" for name in bad))
sys.exit(1 if bad else 0)
