#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""No folder includes from a floor above it; the pure floors include no system header."""
import re
import sys

# What each folder may include, by path from the root (architecture.md, "Folders").
BELOW = {
    "common": ["common"],
    "wire": ["wire", "common"],
    "handlespace": ["handlespace", "common"],
    "transport": ["transport", "wire", "handlespace", "common"],
    "librsp": ["librsp", "wire", "common", "rsp"],
    "rspd": ["rspd", "transport", "wire", "handlespace", "common"],
    "preload": ["preload", "librsp", "wire", "common", "rsp"],
    "tools": ["tools", "librsp", "wire", "handlespace/policy.h", "common", "rsp"],
    "include": ["rsp"],
}
# The pure parts: the OS is reached through what is passed in.
PURE = ("common/", "wire/", "handlespace/", "rspd/agent/", "rspd/registrar/")
ABOVE_AGENT = ("rspd/local/", "rspd/daemon", "transport/")
# clock_gettime and getrandom have one home each; the log writes and asks for the time.
PURE_EXCEPTIONS = {"common/log.c", "common/rnd.c", "common/log.h"}
SYSTEM = re.compile(r"^(sys/|netinet/|arpa/|net/|netdb\.h|linux/|pthread\.h|poll\.h|unistd\.h|"
                    r"fcntl\.h|signal\.h|time\.h|netlink/|systemd/|usrsctp\.h|dlfcn\.h|threads\.h)")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def complaints(path):
    folder = path.split("/")[0]
    if folder not in BELOW:
        return
    pure = path.startswith(PURE) and path not in PURE_EXCEPTIONS
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            found = INCLUDE.match(line)
            if not found:
                continue
            quote, name = found.groups()
            where = f"{path}:{number}: includes {name}"
            if quote == '"':
                if not any(name == b or name.startswith(b + "/") for b in BELOW[folder]):
                    yield f"{where}, which is not below {folder}/"
                if pure and path.startswith("rspd/") and name.startswith(ABOVE_AGENT):
                    yield f"{where}: a state machine must not know it"
            elif pure and SYSTEM.match(name):
                yield f"{where}: a system header in a pure part"


bad = [text for path in sys.argv[1:] for text in complaints(path)]
print("\n".join(bad))
sys.exit(1 if bad else 0)
