#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""rspd.service: systemd-analyze verify is silent, the exposure is at most 2.0."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile

EXPOSURE_MAX = 2.0

with tempfile.TemporaryDirectory() as root:
    subprocess.run(["meson", "install", "-C", sys.argv[1], "--no-rebuild", "--quiet"], check=True,
                   env={**os.environ, "DESTDIR": root}, stdout=subprocess.DEVNULL)
    unit = next(pathlib.Path(root).rglob("rspd.service"))
    daemon = next(pathlib.Path(root).rglob("sbin/rspd"))
    # verify wants to find the program where the unit says it is.
    text = unit.read_text().replace(str(daemon)[len(root):], str(daemon))
    checked = pathlib.Path(root) / "rspd.service"
    checked.write_text(text)
    verify = subprocess.run(["systemd-analyze", "verify", "--man=no", str(checked)],
                            capture_output=True, text=True, check=False)
    security = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager",
                               str(checked)], capture_output=True, text=True, check=False)

bad = []
remarks = [line for line in verify.stderr.splitlines() if "rspd" in line]
if verify.returncode != 0 or remarks:
    bad.append(f"verify: {verify.returncode} {verify.stderr}")
found = re.search(r"Overall exposure level for .*: ([0-9.]+)", security.stdout)
if not found:
    bad.append(f"no exposure in: {security.stdout} {security.stderr}")
elif float(found.group(1)) > EXPOSURE_MAX:
    bad.append(f"exposure {found.group(1)} > {EXPOSURE_MAX}\n{security.stdout}")
else:
    print(f"exposure {found.group(1)}")
print("\n".join(bad))
sys.exit(1 if bad else 0)
