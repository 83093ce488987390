# SPDX-License-Identifier: LGPL-2.1-or-later
"""rspctl's manners: usage, exit status, errors, tables, JSON documents (U-1 to U-14)."""
import json
import re

import jsonschema
import pytest

import rsp

SCHEMAS = rsp.ROOT / "tools" / "schema"


def validated(text):
    """The document, after checking it against the schema it names."""
    document = json.loads(text)
    name = document["schema"].replace("/", ".")
    jsonschema.validate(document, json.loads((SCHEMAS / f"{name}.json").read_text()))
    return document


@pytest.fixture
def host(world):
    host = world.host("a")
    host.start_rspd()
    return host


@pytest.mark.parametrize("arguments, hint", [
    (["statsu"], "rspctl status"), (["pool", "lst"], "rspctl pool list"),
    (["pe", "list", "--josn"], "--json"), (["pool", "list", "extra"], "usage"),
    (["resolve"], "usage"), (["--timeout", "soon", "status"], "250ms"), (["pool", "-o", "x"], "-o"),
    (["register", "web"], "--port"), (["pe", "drain", "web"], "0x1a2b3c4d")])
def test_usage_errors_are_2(host, arguments, hint):
    result = host.rspctl(*arguments)
    assert result.returncode == 2, (result.stdout, result.stderr)
    assert result.stderr.startswith("rspctl: ") and result.stdout == ""
    assert hint == "-o" or hint in result.stderr, result.stderr


def test_options_stand_anywhere(host):
    for arguments in (["--json", "pool", "list"], ["pool", "--json", "list"],
                      ["pool", "list", "--json"], ["pool", "--json"], ["ls", "--json"]):
        assert validated(host.rspctl(*arguments).stdout)["pools"] == []


def test_bare_rspctl_is_a_short_status(host):
    result = host.rspctl()
    assert result.returncode == 0 and 0 < len(result.stdout.splitlines()) < 10
    assert "rspd" in result.stdout and "registrar" in result.stdout


def test_no_daemon_is_3(world):
    host = world.host("a")
    for command in (["status"], ["pool", "list"], ["resolve", "web"], ["register", "x", "--port", "1"]):
        assert host.rspctl(*command).returncode == 3


def test_not_found_is_5(host):
    for command in (["resolve", "nobody"], ["pool", "show", "nobody"], ["pe", "show", "0x00000001"],
                    ["pe", "drain", "0x00000001"], ["deregister", "0x00000001"],
                    ["pe", "drain", "web:1"], ["register", "x", "--port", "1"]):
        result = host.rspctl(*command)
        assert result.returncode == 5, (command, result.stderr)
        assert re.match(r"rspctl: .+", result.stderr) and result.stdout == ""


def test_timeout_is_6(host):
    result = host.rspctl("wait", "nobody", "--timeout", "200ms")
    assert result.returncode == 6, result.stderr


def test_every_document_fits_its_schema(host):
    host.http_server("s0", 8080, pool="web", env={"RSP_POLICY": "lu", "RSP_CAPACITY": "10"})
    pe = host.wait_pes("web", 1)[0]
    for command in (["status"], ["pool", "list"], ["pool", "show", "web"], ["pe", "list"],
                    ["pe", "list", "web"], ["pe", "list", "--local"], ["pe", "show", pe["pe_id"]],
                    ["registrar", "list"], ["resolve", "web"], ["policies"], ["dump"],
                    ["dump", "--all"], ["version"]):
        result = host.rspctl("--json", *command)
        assert result.returncode == 0 and result.stderr == "", (command, result.stderr)
        validated(result.stdout)
    assert pe["policy"] == "Least Used" and pe["local"] and pe["capacity"] == 10
    assert host.ctl("pool", "show", "web.pool.alt")["name"] == "web.pool.alt"
    assert host.ctl("pe", "show", pe["pe_id"][:7])["pe_id"] == pe["pe_id"]
    assert host.ctl("pe", "show", "web:8080")["pe_id"] == pe["pe_id"]


def test_tables(host):
    for n in range(3):
        host.http_server(f"s{n}", 8080 + n, pool="web")
    host.wait_pes("web", 3)
    lines = host.rspctl("ps", "web").stdout.splitlines()
    assert lines[0].split()[:3] == ["POOL", "PE", "STATE"] and len(lines) == 4
    assert not any("\033" in line for line in lines)
    assert "\033" in host.rspctl("ps", "web", "--color=always").stdout
    result = host.rspctl("ps", "--no-header", "-o", "port,state", "--sort", "PORT")
    assert result.stdout.split() == ["8080", "up", "8081", "up", "8082", "up"]
    assert host.rspctl("ps", "-q").stdout == ""
    assert host.rspctl("ps", "-o", "nonsense").returncode == 2


def test_monitor_tells_changes_as_they_happen(host):
    monitor = host.start(rsp.RSPCTL, "monitor", "--json", "web")
    def events():
        return [validated(line) for line in monitor.output().splitlines() if line.endswith("}")]
    host.ctl("status")
    server = host.http_server("s0", 8080, pool="web")
    rsp.wait_until(lambda: any(e["kind"] == "pe-added" for e in events()), what="pe-added")
    server.kill()
    rsp.wait_until(lambda: any(e["kind"] == "pe-removed" for e in events()), what="pe-removed")
    assert all(e["handle"] == "web" for e in events())


def test_wait_returns_when_the_pool_is_there(host):
    waiting = host.start(rsp.RSPCTL, "wait", "web", "--min-elements", "2", "--timeout", "20s")
    host.http_server("s0", 8080, pool="web")
    host.wait_pes("web", 1)
    assert waiting.running()
    host.http_server("s1", 8081, pool="web")
    assert waiting.wait() == 0


LISTENERS = """
import signal, socket, sys
held = [socket.create_server(('0.0.0.0', 9000 + n)) for n in range(int(sys.argv[1]))]
print('listening', flush=True)
signal.pause()
"""
VALUES = {"weight": "weight 3", "priority": "priority 3", "load": "load 25.0 %",
          "degradation": "degradation 25.0 %", "dpf": "dpf 25.0 %"}


@pytest.mark.full
def test_every_policy_is_taken_as_it_is_listed(world):
    """`rspctl policies` lists what --policy takes: an element of each comes to the registrar with
    all its parameters, and can be resolved."""
    host = world.host("a", "10.52.0.1")
    host.start_rspd(interfaces="eth0")
    policies = validated(host.rspctl("policies", "--json").stdout)["policies"]
    assert len(policies) == 16
    table = host.rspctl("policies").stdout
    program = host.start(rsp.PYTHON, "-c", LISTENERS, len(policies), name="listeners")
    rsp.wait_until(lambda: "listening" in program.output(), 10, "the listeners")
    for n, policy in enumerate(policies):
        assert policy["written_as"] in table and policy["title"] in table
        result = host.rspctl("register", f"p{n}", "--port", 9000 + n, "--policy",
                             policy["written_as"])
        assert result.returncode == 0, result.stderr
        host.wait_pes(f"p{n}", 1)
        assert [pe["port"] for pe in host.ctl("resolve", f"p{n}")["pes"]] == [9000 + n]
    had = {pool["handle"]: pool["elements"][0]["policy"] for pool in host.ctl("dump")["pools"]}
    for n, policy in enumerate(policies):
        # A load is measured, not believed.
        given = [VALUES[value] for value in policy["values"] if value in VALUES and value != "load"]
        assert had.get(f"p{n}", "").startswith(policy["title"]), (had, policy)
        assert all(text in had[f"p{n}"] for text in given), (had, given)


POLICY_ERRORS = [
    ("wwr", 'unknown policy "wwr"; there are rr, wrr, rand, wrand, prio, lu, lud, plu, rlu, rplu, '
            'rlud, plud, rplud, wrand-dpf, lu-dpf, lud-dpf'),
    ("lud:weight=3", 'policy lud has no parameter "weight"; it has load, degradation'),
    ("rr:weight=3", 'policy rr has no parameters, but "weight" is given'),
    ("lud:degradation=5", 'degradation of policy lud wants a percentage such as 25%, not "5"'),
    ("lud:degradation=101%",
     'degradation of policy lud wants a percentage such as 25%, not "101%"'),
    ("wrr:weight=x", 'weight of policy wrr wants a whole number up to 4294967295, not "x"'),
    ("lu-dpf:distance=3", "distance of policy lu-dpf is measured and cannot be given")]


def test_a_policy_s_error_says_what_is_wrong(world):
    host = world.host("a")
    for policy, wrong in POLICY_ERRORS:
        for command in (["register", "web", "--port", "80"], ["run", "--pool", "web"]):
            end = ["--", "true"] if command[0] == "run" else []
            result = host.rspctl(*command, "--policy", policy, *end)
            assert result.returncode == (125 if end else 2)
            assert result.stderr == f'rspctl: --policy "{policy}": {wrong} - see "rspctl policies"\n'


@pytest.mark.guest
def test_register_adopts_and_deregister_releases(agent):
    """A server that was started without the shim, in both modes."""
    server = agent.http_server("plain", 8080)
    document = validated(agent.rspctl("--json", "register", "web", "--port", 8080,
                                      "--pid", server.pid).stdout)
    assert [pe["pe_id"] for pe in agent.wait_pes("web", 1)] == [document["pe_id"]]
    assert agent.curl().stdout == "plain\n"
    assert agent.rspctl("deregister", document["pe_id"]).returncode == 0
    agent.wait_pes("web", 0)
    assert server.running()
    agent.rspctl("register", "web", "--port", 8080)
    agent.wait_pes("web", 1)
    server.kill()
    agent.wait_pes("web", 0)


def test_handles_with_other_bytes(host):
    host.http_server("odd", 8080, pool="Wä b")
    host.wait_pes(None, 1)
    pool = host.ctl("pool", "list")["pools"][0]
    assert pool["handle_hex"] == "57c3a42062" and pool["name"] == "x--57c3a42062.pool.alt"
    for handle in ("Wä b", pool["handle"], pool["name"], "rsp://Wä b"):
        assert host.ctl("resolve", handle)["pes"], handle
    assert host.curl(f"http://{pool['name']}/").stdout == "odd\n"


def test_a_report_withholds_the_element(host):
    for n in range(2):
        host.http_server(f"s{n}", 8080 + n, pool="web")
    first = host.wait_pes("web", 2)[0]["pe_id"]
    assert host.rspctl("report", "web", first, "--reason", "unreachable").returncode == 0
    assert {host.ctl("resolve", "web")["pes"][0]["pe_id"] for _ in range(4)} - {first}


@pytest.mark.parametrize("kind", ["run", "register"])
def test_exec_probe_withholds_and_releases(host, kind):
    flag = host.dir / "healthy"
    flag.write_text("")
    probe = ["--probe", f"exec:test -e {flag}", "--probe-interval", "200ms"]
    (host.dir / "index.html").write_text("x\n")
    if kind == "run":
        server = host.start(rsp.RSPCTL, "run", "--pool", "web", *probe, "--", rsp.PYTHON, "-m",
                            "http.server", 8080, name="server")
        host.wait_pes("web", 1)
        assert rsp.children_of(server.pid) == []  # the helper is nobody's child
    else:
        server = host.http_server("s", 8080)
        assert host.rspctl("register", "web", "--port", 8080, *probe).returncode == 0
    host.wait_pes("web", 1, state="up")
    flag.unlink()
    rsp.wait_until(lambda: host.pes("web")[0]["state"] != "up", what="withheld")
    assert host.curl().returncode == 7
    flag.write_text("")
    host.wait_pes("web", 1, state="up")
    server.kill()
    host.wait_pes("web", 0)
    rsp.wait_until(lambda: not [p for p in rsp.descendants() if "--probe" in command_line(p)], 15,
                   "the end of the helper")


def command_line(pid):
    try:
        with open(f"/proc/{pid}/cmdline", encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def test_completion_offers_what_there_is(host):
    host.http_server("s0", 8080, pool="web")
    pe = host.wait_pes("web", 1)[0]["pe_id"]
    script = (f"source <({rsp.RSPCTL} completion bash); rspctl() {{ {rsp.RSPCTL} \"$@\"; }}\n"
              "try() { COMP_WORDS=(rspctl \"$@\"); COMP_CWORD=$#; COMPREPLY=(); _rspctl 2>/dev/null;"
              " echo \"${COMPREPLY[*]}\"; }\n"
              "try po; try pool s; try pool show ''; try pe drain ''; try resolve --co; try wai\n")
    result = host.run("bash", "-c", script)
    assert [line.split() for line in result.stdout.splitlines()] == [
        ["pool", "policies"], ["show"], ["web"], [pe], ["--count=", "--columns=", "--color="],
        ["wait"]], result.stdout
