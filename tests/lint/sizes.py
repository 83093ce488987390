#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of at most 800 lines, functions of at most 60 (house style; state switches excepted)."""
import re
import sys

FILE_LINES = 800
FUNCTION_LINES = 60
# A state machine is one switch, and tests may tell long stories.
SWITCH = re.compile(r"_fsm\(|_handle_event\(")


def functions(lines):
    """(line, name, length) of every function: a "{" alone in the first column up to its "}"."""
    start = None
    for number, line in enumerate(lines, 1):
        if line.startswith("{") and start is None:
            start = number
        elif line.startswith("}") and start is not None:
            head = " ".join(lines[max(0, start - 6):start - 1])
            yield start, head, number - start - 1
            start = None


bad = []
for path in sys.argv[1:]:
    with open(path, encoding="utf-8") as file:
        source = file.read().splitlines()
    if len(source) > FILE_LINES:
        bad.append(f"{path}: {len(source)} lines")
    for line, head, length in functions(source):
        if length > FUNCTION_LINES and not SWITCH.search(head):
            bad.append(f"{path}:{line}: a function of {length} lines")
print("\n".join(bad))
sys.exit(1 if bad else 0)
