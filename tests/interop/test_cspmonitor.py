# SPDX-License-Identifier: LGPL-2.1-or-later
"""rsplib's monitor shows an element and a user of librsp, which tell of each other."""
import re
import subprocess

import rsp

STATUS = rsp.BUILD / "tests" / "session" / "session-status"
MONITOR = "127.0.0.1:2960"


def screen(monitor):
    """The latest whole one, as text."""
    text = monitor.output().replace("\x1b[0J", "\f")  # each ends with it
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", (["", ""] + text.split("\f"))[-2])


def test_cspmonitor_shows_elements_and_users(world):
    host = world.host("h")
    host.start_rspd()
    registrar = host.ctl("status")["home_registrar"][2:]
    monitor = host.start("stdbuf", "-o0", "cspmonitor", "-full", f"-localaddress={MONITOR}",
                         "-updateinterval=200", name="cspmonitor",
                         env={"TERM": "vt100", "COLUMNS": "200", "LINES": "60"})
    rsp.wait_until(monitor.output, 30, "the monitor")
    element = host.start(STATUS, "element", "pool", name="element", stdin=subprocess.PIPE,
                         env={"CSP_SERVER": MONITOR, "CSP_INTERVAL": "250"})
    rsp.wait_until(lambda: "registered" in element.output(), 30, "the element")
    number = f"{int(element.output().split()[1]):08x}"
    idle = fr'PE \${number} .* L= 25% "0 Sessions"\s+-> PR \${registrar} ASAP/SCTP'
    rsp.wait_until(lambda: re.search(idle, screen(monitor)), 30, "the element shown")

    user = host.start(STATUS, "user", "pool", *MONITOR.split(":"), name="user",
                      stdin=subprocess.PIPE)
    serving = fr'PE \${number} .* "serving one"\s+-> PR \${registrar} ASAP/SCTP'
    asking = (fr'PU \$[0-9a-f]{{14}} .* "asking"\s+-> PR \${registrar} ASAP/SCTP\s+'
              fr'-> PE \${number} \$0000004d/TCP')
    rsp.wait_until(lambda: re.search(serving, screen(monitor)) and
                   re.search(asking, screen(monitor)), 30, "both shown")
    user.popen.stdin.close()
    rsp.wait_until(lambda: "0 PEs" in screen(monitor) and "0 PUs" in screen(monitor), 30,
                   "their ends")
    assert user.wait(30) == 0 and element.wait(30) == 0
