# SPDX-License-Identifier: LGPL-2.1-or-later
"""What our daemons sent in the other tests, as tshark reads it."""
import collections
import re
import subprocess

import rsplib

OURS = re.compile(r"^Internet Protocol Version [46], Src: (10\.52\.0\.|fd52:52::)[1-9],", re.M)


def test_nothing_malformed_or_unknown(captures):
    files = sorted(captures.glob("*.pcap"))
    assert files, "no test has recorded anything"
    merged = captures / "all.pcapng"
    subprocess.run(["mergecap", "-w", str(merged), *map(str, files)], check=True)
    result = subprocess.run(["tshark", "-r", str(merged), "-Y", "asap || _ws.malformed",
                             "-O", "asap,_ws.malformed"],
                            text=True, capture_output=True, timeout=300, check=True)
    counted = collections.Counter()
    for frame in re.split(r"^(?=Frame \d+: )", result.stdout, flags=re.M):
        if not OURS.search(frame):
            continue
        frame = frame.partition("\n")[2].replace("Unknown pool handle", "")  # a cause's name
        assert not re.search("malformed|unknown|unrecogni|reserved", frame, re.I), frame
        counted.update(int(n) for n in re.findall(r"^    Type: .* \((\d+)\)$", frame, re.M))
    assert set(counted) == set(range(rsplib.REGISTRATION, rsplib.SERVER_ANNOUNCE + 1)), counted
