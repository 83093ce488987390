#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every option of --help is in the manual page, and the other way round."""
import pathlib
import re
import subprocess
import sys

BUILD = pathlib.Path(sys.argv[1])
OPTION = re.compile(r"(?<![\w-])--([a-z][a-z0-9-]*)")
MDOC_OPTION = re.compile(r"\bFl Fl ([a-z][a-z0-9-]*)|\bFl -([a-z][a-z0-9-]+)")


def run(*command):
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, f"{command}: {result.returncode} {result.stderr}"
    return result.stdout


def options_of_help(text):
    """Options at the beginning of a help line, behind a letter perhaps."""
    found = set()
    for line in text.splitlines():
        head = re.match(r"\s+(-\w, )?\s*--([a-z][a-z0-9-]*)", line)
        if head:
            found.add(head.group(2))
    return found


def options_of_page(path):
    text = path.read_text(encoding="utf-8")
    return {a or b for a, b in MDOC_OPTION.findall(text)} - {""}


def rspctl_help():
    program = str(BUILD / "tools" / "rspctl")
    overview = run(program, "--help")
    found = options_of_help(overview)
    for line in overview.splitlines():
        command = re.match(r"  ([a-z][a-z-]*( [a-z]+)?) ", line)
        if command:
            found |= options_of_help(run(program, *command.group(1).split(), "--help"))
    return found


bad = []
for page, wanted in (("rspctl.1", rspctl_help()),
                     ("rspd.8", options_of_help(run(str(BUILD / "rspd" / "rspd"), "--help")))):
    documented = options_of_page(pathlib.Path("man") / page)
    bad += [f"man/{page} lacks --{name}" for name in sorted(wanted - documented)]
    bad += [f"man/{page} has --{name}, which --help does not know"
            for name in sorted(documented - wanted)]
print("\n".join(bad))
sys.exit(1 if bad else 0)
