# SPDX-License-Identifier: LGPL-2.1-or-later
"""What our daemons sent in the other tests, as tshark reads it."""
import collections
import re
import subprocess

import rsplib

OURS = re.compile(r"^Internet Protocol Version [46], Src: (10\.52\.0\.|fd52:52::)[1-9],", re.M)
# Sessions of librsp have two control messages of their own (librsp/control.h), which rsplib drops
# without a word; the daemon sends neither.
OF_SESSIONS = re.compile(r"^Aggregate Server Access Protocol\n    Type: Unknown \((62|63)\)\n"
                         r"(?: .*\n)*", re.M)


def test_nothing_malformed_or_unknown(captures):
    files = sorted(captures.glob("*.pcap"))
    assert files, "no test has recorded anything"
    merged = captures / "all.pcapng"
    subprocess.run(["mergecap", "-w", str(merged), *map(str, files)], check=True)
    result = subprocess.run(["tshark", "-r", str(merged), "-Y", "asap || enrp || _ws.malformed",
                             "-O", "asap,enrp,_ws.malformed"],
                            text=True, capture_output=True, timeout=300, check=True)
    counted = {"Aggregate Server Access Protocol": collections.Counter(),
               "Endpoint Handlespace Redundancy Protocol": collections.Counter()}
    for frame in re.split(r"^(?=Frame \d+: )", result.stdout, flags=re.M):
        if not OURS.search(frame):
            continue
        frame = frame.partition("\n")[2].replace("Unknown pool handle", "")  # a cause's name
        frame = re.sub(r"Reserved: 0+", "", frame)  # a field that has to be there, and 0
        frame = OF_SESSIONS.sub("", frame)
        assert not re.search("malformed|unknown|unrecogni|reserved", frame, re.I), frame
        for message in re.split(r"^(?=\S)", frame, flags=re.M):
            for name, types in counted.items():
                if message.startswith(name):
                    types.update(int(n) for n in
                                 re.findall(r"^    Type: .* \((\d+)\)$", message, re.M))
    asap, enrp = counted.values()
    assert set(asap) >= set(range(rsplib.REGISTRATION, rsplib.SERVER_ANNOUNCE + 1)), counted
    assert set(enrp) >= {rsplib.PRESENCE, rsplib.HANDLE_TABLE_REQUEST, rsplib.HANDLE_TABLE_RESPONSE,
                         rsplib.HANDLE_UPDATE, rsplib.LIST_REQUEST, rsplib.LIST_RESPONSE,
                         rsplib.INIT_TAKEOVER, rsplib.TAKEOVER_SERVER}, counted
