# SPDX-License-Identifier: LGPL-2.1-or-later
"""After `meson install`, what the manual says is typed literally: rspd, rspctl and
LD_PRELOAD=librsp_preload.so without a path. In mount namespaces of their own, so that nothing of it
reaches the system: /usr, /etc, /var and /run are covered by a layer in memory."""
import os

import pytest

import rsp

COVER = """
set -e
mount --make-rprivate /
mount -t tmpfs cover "$1"
for d in usr etc var; do
    mkdir "$1/$d.upper" "$1/$d.work"
    mount -t overlay cover -o "lowerdir=/$d,upperdir=$1/$d.upper,workdir=$1/$d.work" "/$d"
done
mount -t tmpfs run /run
meson install -C "$2" --no-rebuild --quiet
echo installed
exec sleep 1000
"""
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Installed:
    """A host on which everything is in its place."""

    def __init__(self, host):
        self.host = host
        self.cover = host.dir / "cover"
        self.cover.mkdir()
        self.shell = host.start("unshare", "-m", "sh", "-c", COVER, "sh", self.cover, rsp.BUILD,
                                name="cover")

        def ready():
            if not self.shell.running():
                raise RuntimeError(self.shell.output())
            return "installed" in self.shell.output()
        rsp.wait_until(ready, 60, "an installed rspd")

    def _command(self, command):
        return ["nsenter", "-t", str(self.shell.pid), "-m", f"--wd={self.host.dir}",
                "env", "-u", "RSP_SOCKET", "-u", "RSP_LIBRARY", f"PATH={PATH}", *command]

    def run(self, *command):
        return self.host.run(*self._command(command))

    def start(self, *command):
        return self.host.start(*self._command(command), name=command[-1])


@pytest.fixture
def installed(world):
    return Installed(world.host("a"))


@pytest.mark.plain  # a sanitized library does not come in by its name alone
def test_library_by_its_name_alone(installed):
    python = os.path.realpath(rsp.PYTHON)
    installed.run("mkdir", "-p", "/etc/rspd")
    installed.run("sh", "-c", f"printf '[Program {python}]\\nPool = legacy\\nPort = 8080\\n' "
                  "> /etc/rspd/rspd.conf")
    rspd = installed.start("rspd", "--interfaces", "lo")
    rsp.wait_until(lambda: installed.run("rspctl", "status").returncode == 0, 10, "rspd")
    # The rule of this executable; another port of it; a program without a rule.
    shim = "LD_PRELOAD=librsp_preload.so"
    server = installed.start("env", shim, rsp.PYTHON, "-m", "http.server", "8080")
    other = installed.start("env", shim, rsp.PYTHON, "-m", "http.server", "8081")
    plain = installed.start("env", shim, "socat", "TCP-LISTEN:8082,fork", "SYSTEM:cat")
    rsp.wait_until(lambda: "8080" in installed.run("rspctl", "ps", "legacy").stdout, 10, "an element")
    rsp.wait_until(lambda: "no rule" in rspd.output(), 10, "the log line")
    assert len(installed.run("rspctl", "ps", "--no-header").stdout.splitlines()) == 1
    # And a client, by the same name and through rspctl.
    for command in (["env", shim], ["rspctl", "run", "--"]):
        result = installed.run(*command, "curl", "-sS", "-o", "/dev/null", "-w", "%{http_code}",
                               "http://legacy.pool.alt/")
        assert result.stdout == "200", result.stderr
    for process in (server, other, plain):
        assert "ld.so" not in process.output(), process.output()
        assert process.running()
        process.kill_group()
    rspd.kill_group(15)
    rspd.wait()


@pytest.mark.plain
def test_without_daemon_a_program_runs_as_ever(installed):
    result = installed.run("env", "LD_PRELOAD=librsp_preload.so", "echo", "here")
    assert (result.stdout, result.stderr) == ("here\n", "")


def test_unit_is_clean(installed):
    units = installed.run("sh", "-c", "find /usr -name rspd.service").stdout.split()
    assert len(units) == 1
    result = installed.run("systemd-analyze", "verify", "--man=no", units[0])
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
    result = installed.run("systemd-analyze", "security", "--offline=yes", units[0])
    exposure = float(result.stdout.rpartition("rspd.service:")[2].split()[0])
    assert exposure < 2, result.stdout
    # The example of a drop-in makes no unit unclean either.
    installed.run("sh", "-c", "mkdir -p /etc/systemd/system/nginx.service.d && "
                  "cp $(find /usr -name 50-rsp.conf) /etc/systemd/system/nginx.service.d/")
    result = installed.run("systemd-analyze", "verify", "--man=no", "nginx.service")
    assert (result.returncode, result.stdout + result.stderr) == (0, "")
