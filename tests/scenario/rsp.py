# SPDX-License-Identifier: LGPL-2.1-or-later
"""What scenario tests are made of: hosts (network namespaces), daemons, programs under the shim.

A World is one test's universe: it owns every namespace, process and file of the test and takes
them down at its end. Nothing leaves it: no namespace has a default route, and traffic runs over the
loopback interface or over a bridge in a further namespace. Nothing here sleeps for a fixed time:
wait_until() asks again until a deadline.
"""
import ctypes
import json
import os
import pathlib
import shutil
import signal
import subprocess
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("RSP_TEST_BUILD", ROOT / "build")).resolve()
RSPD = BUILD / "rspd" / "rspd"
RSPCTL = BUILD / "tools" / "rspctl"
# A sanitizer's run-time library cannot be loaded into foreign programs: those get a plain shim.
SHIM = pathlib.Path(os.environ.get("RSP_TEST_SHIM",
                                   BUILD / "preload" / "librsp_preload.so")).resolve()
PYTHON = "/usr/bin/python3"

SANITIZER_SIGNS = ("AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:")

CLONE_NEWNET = 0x40000000
PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36
libc = ctypes.CDLL(None, use_errno=True)


class Timeout(AssertionError):
    """A condition did not come true within its deadline."""


def wait_until(condition, deadline=10.0, what="the condition"):
    """Returns the first true value of condition(); raises Timeout after `deadline` seconds.

    An AssertionError or OSError inside counts as "not yet" and is shown when time is up.
    """
    end = time.monotonic() + deadline
    last = None
    pause = 0.002
    while True:
        try:
            value = condition()
            if value:
                return value
            last = value
        except (AssertionError, OSError, CtlError) as error:
            last = error
        if time.monotonic() >= end:
            raise Timeout(f"{what} not within {deadline} s; last: {last!r}")
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def become_subreaper():
    """Orphans of our children become our children, so that none escapes the clean-up."""
    libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def children_of(pid):
    """Processes whose parent is `pid`, zombies excepted."""
    found = []
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            stat = pathlib.Path("/proc", entry, "stat").read_text()
        except OSError:
            continue
        state, parent = stat.rpartition(")")[2].split()[:2]
        if int(parent) == pid and state != "Z":
            found.append(int(entry))
    return found


def descendants():
    """Every living process below this one."""
    found = []
    queue = [os.getpid()]
    while queue:
        below = children_of(queue.pop())
        found += below
        queue += below
    return found


class CtlError(Exception):
    """rspctl did not end with 0."""

    def __init__(self, args, result):
        super().__init__(f"rspctl {' '.join(args)}: exit {result.returncode}: "
                         f"{result.stderr.strip()}")
        self.status = result.returncode
        self.stderr = result.stderr


class Process:
    """A program that was started on a host; its output is in `log`."""

    def __init__(self, name, popen, log):
        self.name = name
        self.popen = popen
        self.pid = popen.pid
        self.log = log

    def output(self):
        return self.log.read_text(errors="replace")

    def running(self):
        return self.popen.poll() is None

    def wait(self, deadline=10.0):
        """The exit status (-N: ended by signal N)."""
        return self.popen.wait(deadline)

    def kill(self, signum=signal.SIGKILL):
        """Sends a signal to this process alone, as kill(1) does."""
        os.kill(self.pid, signum)

    def kill_group(self, signum=signal.SIGKILL):
        try:
            os.killpg(self.pid, signum)
        except ProcessLookupError:
            pass


class Host:
    """One network namespace with its own runtime directory, and perhaps a daemon."""

    def __init__(self, world, name):
        self.world = world
        self.name = name
        self.dir = world.dir / name
        self.dir.mkdir()
        # The namespace lives as long as this process, which dies with the test.
        self.holder = subprocess.Popen(
            ["/usr/bin/tail", "-f", "/dev/null"], stdin=subprocess.DEVNULL,
            preexec_fn=self._enter_new)
        self.netns = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        self.socket = self.dir / "run" / "rspd.sock"
        self.socket.parent.mkdir()
        self.address = "127.0.0.1"
        self.daemon = None
        self.ip("link", "set", "lo", "up")

    @staticmethod
    def _enter_new():
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")

    def _enter(self, user=None):
        """In the child: into this host, then become the user (Popen would do it before)."""
        def enter():
            if libc.setns(self.netns, CLONE_NEWNET) != 0:
                raise OSError(ctypes.get_errno(), "setns")
            # A shell lets what it starts in the background ignore these; servers must not.
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            signal.signal(signal.SIGQUIT, signal.SIG_DFL)
            if user is not None:
                os.setgroups([])
                os.setgid(user)
                os.setuid(user)
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        return enter

    def environment(self, pool=None, shim=False, extra=None):
        env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(self.dir),
               "LC_ALL": "C.UTF-8", "RSP_SOCKET": str(self.socket), "TMPDIR": str(self.dir),
               "RSP_LIBRARY": str(SHIM), "PYTHONDONTWRITEBYTECODE": "1"}
        # Findings of a sanitized build go where the end of the test looks for them.
        reports = self.world.reports / "report"
        env["ASAN_OPTIONS"] = f"log_path={reports}:detect_stack_use_after_return=1"
        env["UBSAN_OPTIONS"] = f"log_path={reports}:print_stacktrace=1"
        env["TSAN_OPTIONS"] = (f"log_path={reports}:second_deadlock_stack=1:"
                               f"suppressions={ROOT}/tests/tsan.supp")
        if shim or pool:
            env["LD_PRELOAD"] = str(SHIM)
        if pool:
            env["RSP_POOL"] = pool
        env.update(extra or {})
        return env

    def run(self, *command, shim=False, pool=None, env=None, timeout=30, stdin="", cwd=None,
            user=None):
        """Runs a command to its end: CompletedProcess with text output. Never raises for status."""
        return subprocess.run(
            [str(c) for c in command], input=stdin, text=True, errors="replace", timeout=timeout,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=cwd or self.dir,
            env=self.environment(pool, shim, env), preexec_fn=self._enter(user))

    def start(self, *command, name=None, shim=False, pool=None, env=None, cwd=None, user=None,
              stdin=subprocess.DEVNULL):
        """Starts a program in its own process group and returns it as Process."""
        name = name or pathlib.Path(str(command[0])).name
        log = self.world.log_file(f"{self.name}-{name}")
        with log.open("wb") as out:
            popen = subprocess.Popen(
                [str(c) for c in command], stdin=stdin, stdout=out, stderr=subprocess.STDOUT,
                cwd=cwd or self.dir, env=self.environment(pool, shim, env),
                preexec_fn=self._enter(user), process_group=0)
        process = Process(name, popen, log)
        self.world.processes.append(process)
        return process

    def ip(self, *args):
        result = self.run("ip", *args)
        assert result.returncode == 0, f"ip {args}: {result.stderr}"
        return result.stdout

    # The daemon.

    def start_rspd(self, *args, registrar="yes", interfaces="lo", deadline=15.0, env=None):
        """Starts rspd and waits until it answers."""
        command = [RSPD, "--socket", self.socket, "--runtime-dir", self.socket.parent,
                   "--registrar", registrar, "--scope", self.world.scope]
        if interfaces:
            command += ["--interfaces", interfaces]
        self.daemon = self.start(*command, *args, name="rspd", env=env)
        wait_until(self._answers, deadline, "an answer of rspd")
        return self.daemon

    def _answers(self):
        if not self.daemon.running():
            raise RuntimeError(f"rspd ended: {self.daemon.output()}")
        return self.ctl("status")

    def stop_rspd(self, signum=signal.SIGTERM, deadline=10.0):
        """Ends the daemon; with SIGTERM its exit status must be 0."""
        daemon, self.daemon = self.daemon, None
        daemon.kill(signum)
        status = daemon.wait(deadline)
        if signum == signal.SIGTERM:
            assert status == 0, f"rspd ended with {status}"

    # Asking it.

    def rspctl(self, *args, **keywords):
        """rspctl as it is typed; CompletedProcess."""
        return self.run(RSPCTL, *args, **keywords)

    def ctl(self, *args):
        """rspctl --json; the document, or CtlError."""
        result = self.run(RSPCTL, "--json", *args)
        if result.returncode != 0:
            raise CtlError(args, result)
        return json.loads(result.stdout)

    def pes(self, pool=None, local=False):
        """The elements of a pool (all pools: None) as rspctl shows them."""
        args = ["pe", "list"]
        if pool:
            args.append(pool)
        if local:
            args.append("--local")
        try:
            return self.ctl(*args)["pes"]
        except CtlError as error:
            if error.status == 5:  # a pool nobody has registered in yet
                return []
            raise

    def wait_pes(self, pool, count, deadline=10.0, state=None):
        """Waits until a pool has exactly `count` elements (in a state)."""
        def enough():
            pes = self.pes(pool)
            if state:
                pes = [pe for pe in pes if pe["state"] == state]
            return pes if len(pes) == count else None
        if count == 0:
            return wait_until(lambda: self.pes(pool) == [], deadline, f"an empty pool {pool}")
        return wait_until(enough, deadline, f"{count} elements in pool {pool}")

    # Programs that tests start again and again.

    def http_server(self, label, port, pool=None, wait=True, env=None, bind="0.0.0.0"):
        """An unmodified python3 -m http.server that answers / with its label."""
        root = self.dir / f"www-{label}"
        root.mkdir(exist_ok=True)
        (root / "index.html").write_text(label + "\n")
        server = self.start(PYTHON, "-m", "http.server", port, "--bind", bind, "--directory", root,
                            name=f"http-{label}", pool=pool, env=env)
        if wait:
            self.wait_listening(port)
        return server

    def wait_listening(self, port, deadline=10.0):
        """Until some socket listens on a TCP port of this host."""
        def listens():
            return f":{port} " in self.run("ss", "-Hltn").stdout
        wait_until(listens, deadline, f"a listener on port {port}")

    def serving(self, client, servers):
        """Which server the client is connected to."""
        def found():
            lines = [line.split() for line in
                     self.run("ss", "-Htnp", "state", "established").stdout.splitlines()]
            ports = {line[3].rpartition(":")[2] for line in lines if f"pid={client.pid}," in line[-1]}
            for line in lines:
                for number, process in servers.items():
                    if f"pid={process.pid}," in line[-1] and line[2].rpartition(":")[2] in ports:
                        return (number,)
            return None
        return wait_until(found, 10, "a connection of the client to a server")[0]

    def curl(self, url="http://web.pool.alt/", *args, timeout=20, shim=True):
        """One curl call; CompletedProcess."""
        return self.run("curl", "-sS", "--max-time", timeout, *args, url, shim=shim,
                        timeout=timeout + 5)


class World:
    """All hosts and processes of one test."""

    def __init__(self, name):
        self.name = name
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="rsp-"))
        self.dir.chmod(0o755)
        self.reports = self.dir / "sanitizer"
        self.reports.mkdir()
        self.reports.chmod(0o1777)  # programs of other users report, too
        self.scope = "t" + self.dir.name[4:].lower().replace("_", "0")
        self.hosts = []
        self.processes = []
        self.logs = []
        self.switch = None

    def log_file(self, name):
        path = self.dir / f"{len(self.logs):03}-{name}.log"
        self.logs.append(path)
        return path

    def host(self, name, address=None):
        """A new host; with an address (10.52.0.N) it is on the common link."""
        host = Host(self, name)
        self.hosts.append(host)
        if address:
            self.connect(host, address)
        return host

    def connect(self, host, address, device="eth0", link="br0", prefix=24):
        """Plugs a host into a bridge of the switch namespace; IPv4, and IPv6 made from it."""
        if self.switch is None:
            self.switch = Host(self, "switch")
            self.hosts.append(self.switch)
        if f" {link}:" not in self.switch.ip("-o", "link"):
            self.switch.ip("link", "add", link, "type", "bridge", "mcast_snooping", "0")
            self.switch.ip("link", "set", link, "up")
        port = f"p{len(self.hosts)}{device}{host.name}"[:15]
        self.switch.ip("link", "add", port, "type", "veth", "peer", "name", device, "netns",
                       str(host.holder.pid))
        self.switch.ip("link", "set", port, "master", link, "up")
        host.ip("address", "add", f"{address}/{prefix}", "dev", device)
        tail = address.split(".")
        host.ip("-6", "address", "add", f"fd52:{tail[1]}:{tail[2]}::{tail[3]}/64", "dev", device,
                "nodad")
        host.ip("link", "set", device, "up")
        if host.address == "127.0.0.1":
            host.address = address
        return port

    @staticmethod
    def drop_packets_to(host, address, device="eth0"):
        """From now on what `host` sends to `address` vanishes without a word: it goes to a link
        address that nobody has."""
        host.ip("neigh", "replace", address, "lladdr", "02:52:53:50:00:66", "nud", "permanent",
                "dev", device)

    @staticmethod
    def pass_packets_to(host, address, device="eth0"):
        host.ip("neigh", "del", address, "dev", device)

    # The two ways in which an agent reaches its registrar.

    def agent(self, mode, *options):
        """A host whose daemon is agent and registrar ("inprocess"), or an agent that has its
        registrar on another host, over SCTP ("sctp"); `options` are for every rspd."""
        if mode == "inprocess":
            host = self.host("a")
            host.start_rspd(*options)
            return host
        registrar = self.host("pr", "10.52.0.1")
        host = self.host("a", "10.52.0.2")
        registrar.start_rspd(*options, interfaces="eth0")
        host.start_rspd(*options, registrar="no", interfaces="eth0")
        wait_until(lambda: host.ctl("registrar", "list")["registrars"], 20, "a registrar heard")
        host.registrar = registrar
        return host

    # The end.

    def close(self):
        """Ends everything; raises if a daemon complained or a process would not go."""
        complaints = []
        for host in self.hosts:
            if host.daemon and host.daemon.running():
                try:
                    host.stop_rspd()
                except (AssertionError, subprocess.TimeoutExpired) as error:
                    complaints.append(f"{host.name}: {error}")
        for process in self.processes:
            process.kill_group()
        try:
            wait_until(kill_descendants, 10, "the end of all processes")
        except Timeout as error:
            complaints.append(str(error))
        for host in self.hosts:
            os.close(host.netns)
        complaints += self.findings()
        assert not complaints, "; ".join(complaints)

    def findings(self):
        """What sanitizers said of any program of this test."""
        for report in sorted(self.reports.iterdir()):
            yield f"{report.name}: {report.read_text(errors='replace')}"
        for log in self.logs:
            text = log.read_text(errors="replace")
            if any(sign in text for sign in SANITIZER_SIGNS):
                yield f"{log.name}: {text}"

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def log_tails(self, lines=60):
        """(name, last lines) of every log, for the report of a failed test."""
        for log in self.logs:
            try:
                text = log.read_text(errors="replace").splitlines()
            except OSError:
                continue
            if text:
                yield log.name, "\n".join(text[-lines:])


def kill_descendants():
    """Kills what is left; true when nothing is. What has left its group still has us as ancestor."""
    for pid in descendants():
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    reap()
    return not descendants()


def reap():
    """Collects orphans that ended as our children."""
    while True:
        try:
            pid, _ = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
