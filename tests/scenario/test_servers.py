# SPDX-License-Identifier: LGPL-2.1-or-later
"""Unmodified servers under the shim: one element per listening socket, there as long as any process
holds that socket, and no longer."""
import os
import signal

import pytest

import rsp


def nginx_config(host, port=8080, workers=2):
    """An nginx that keeps all its files in the host's folder."""
    root = host.dir / "nginx"
    root.mkdir(exist_ok=True)
    (root / "index.html").write_text("nginx\n")
    user = "user root;" if os.getuid() == 0 else ""
    config = root / "nginx.conf"
    config.write_text(f"""
{user} worker_processes {workers}; daemon off; pid {root}/pid; error_log stderr;
events {{ worker_connections 64; }}
http {{
  access_log off; client_body_temp_path {root}/b; proxy_temp_path {root}/p;
  fastcgi_temp_path {root}/f; uwsgi_temp_path {root}/u; scgi_temp_path {root}/s;
  server {{ listen {port}; root {root}; }}
}}
""")
    return config


def start_nginx(host, **keywords):
    config = nginx_config(host, **keywords)
    return host.start("nginx", "-e", "stderr", "-c", config, name="nginx", pool="web")


def fetch(host):
    result = host.curl()
    assert result.returncode == 0, result.stderr
    return result.stdout.strip()


def test_nginx_is_one_element_through_reloads(agent):
    nginx = start_nginx(agent)
    (first,) = agent.wait_pes("web", 1)
    workers = set(rsp.children_of(nginx.pid))
    nginx.kill(signal.SIGHUP)  # what nginx -s reload sends
    rsp.wait_until(lambda: set(rsp.children_of(nginx.pid)) and
                   not set(rsp.children_of(nginx.pid)) & workers, 10, "new workers")
    (second,) = agent.wait_pes("web", 1)
    assert second["pe_id"] == first["pe_id"]
    assert fetch(agent) == "nginx"
    nginx.kill(signal.SIGTERM)
    agent.wait_pes("web", 0)


def test_nginx_is_one_element_per_listening_socket(agent):
    """Both families of one port are two sockets; reuseport makes several of one address."""
    root = agent.dir / "www-nginx"
    config = nginx_config(agent)
    config.write_text(config.read_text().replace(
        "listen 8080;", "listen 8080; listen [::]:8080; listen 8081 reuseport;"))
    nginx = agent.start("nginx", "-e", "stderr", "-c", config, name="nginx", pool="web")
    pes = agent.wait_pes("web", 3, state="up")
    places = sorted((pe["port"], ":" in pe["addresses"][0]) for pe in pes)
    assert places == [(8080, False), (8080, True), (8081, False)], root
    for family in ("-4", "-6"):
        for _ in range(3):
            assert agent.curl("http://web.pool.alt/", family).stdout == "nginx\n"
    nginx.kill(signal.SIGTERM)
    agent.wait_pes("web", 0)


@pytest.mark.parametrize("family", ["-4", "-6"])
def test_dual_stack_listener_serves_both_families(agent, family):
    agent.http_server("dual", 8080, pool="web", bind="::")
    agent.wait_pes("web", 1)
    assert agent.curl("http://web.pool.alt/", family).stdout == "dual\n"
    if hasattr(agent, "registrar"):  # from another host: mapped, where the element has IPv4
        assert agent.registrar.curl("http://web.pool.alt/", family).stdout == "dual\n"


def test_nginx_without_its_master_stays_until_the_last_worker_ends(agent):
    nginx = start_nginx(agent)
    agent.wait_pes("web", 1)
    workers = rsp.wait_until(lambda: len(found := rsp.children_of(nginx.pid)) == 2 and found,
                             10, "two workers")
    nginx.kill()
    nginx.wait()
    assert fetch(agent) == "nginx"
    assert len(agent.pes("web")) == 1
    os.kill(workers[0], signal.SIGKILL)
    assert fetch(agent) == "nginx"
    os.kill(workers[1], signal.SIGKILL)
    agent.wait_pes("web", 0)


@pytest.mark.guest
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_python_http_server(agent, how):
    server = agent.http_server("s", 8080, pool="web")
    agent.wait_pes("web", 1)
    assert fetch(agent) == "s"
    server.kill(how)
    agent.wait_pes("web", 0)


@pytest.mark.parametrize("daemonize", ["no", "yes"])
def test_redis(agent, daemonize):
    pidfile = agent.dir / "redis.pid"
    agent.start("redis-server", "--port", "7000", "--save", "", "--daemonize", daemonize,
                "--pidfile", pidfile, "--bind", "0.0.0.0", "--protected-mode", "no", pool="db")
    agent.wait_pes("db", 1)
    result = agent.run("redis-cli", "-h", "db.pool.alt", "ping", shim=True)
    assert result.stdout.strip() == "PONG", result.stderr
    pid = int(rsp.wait_until(lambda: pidfile.exists() and pidfile.read_text().strip(), 5,
                             "redis' pid file"))
    os.kill(pid, signal.SIGKILL)
    agent.wait_pes("db", 0)


def test_socat_fork(agent):
    server = agent.start("socat", "TCP-LISTEN:8080,fork,reuseaddr", "SYSTEM:echo served; cat",
                         name="socat", pool="echo")
    agent.wait_pes("echo", 1)
    for _ in range(3):
        result = agent.run("socat", "-t", "5", "-", "TCP:echo.pool.alt:1", stdin="hello\n",
                           shim=True)
        assert result.stdout == "served\nhello\n", result.stderr
    assert len(agent.pes("echo")) == 1
    server.kill()
    agent.wait_pes("echo", 0)


def test_two_listeners_by_rule(agent):
    program = """
import socket, signal
sockets = []
for port in (8080, 8443, 9090):
    s = socket.create_server(('0.0.0.0', port))
    sockets.append(s)
signal.pause()
"""
    server = agent.start(rsp.PYTHON, "-c", program, name="three", shim=True,
                         env={"RSP_BIND": "8080=web,8443=web-tls"})
    (web,) = agent.wait_pes("web", 1)
    (tls,) = agent.wait_pes("web-tls", 1)
    assert (web["port"], tls["port"]) == (8080, 8443)
    assert len(agent.pes()) == 2
    server.kill()
    agent.wait_pes("web", 0)
    agent.wait_pes("web-tls", 0)


@pytest.mark.guest
def test_port_zero(agent):
    program = ("import socket, signal\n"
               "s = socket.create_server(('0.0.0.0', 0))\n"
               "print(s.getsockname()[1], flush=True)\nsignal.pause()")
    server = agent.start(rsp.PYTHON, "-c", program, name="zero", pool="any")
    (pe,) = agent.wait_pes("any", 1)
    rsp.wait_until(lambda: server.output().endswith("\n"), 10, "the port, said after it listens")
    assert pe["port"] == int(server.output())


def test_closed_listener_is_gone_though_the_program_lives(agent):
    program = ("import socket, sys\n"
               "s = socket.create_server(('0.0.0.0', 8080))\n"
               "sys.stdin.readline()\ns.close()\nprint('closed', flush=True)\n"
               "sys.stdin.readline()")
    server = agent.start(rsp.PYTHON, "-c", program, name="closer", pool="web",
                         stdin=rsp.subprocess.PIPE)
    agent.wait_pes("web", 1)
    server.popen.stdin.write(b"\n")
    server.popen.stdin.flush()
    agent.wait_pes("web", 0)
    assert server.running() and server.output() == "closed\n"


def test_server_that_double_forks_and_closes_everything(agent):
    program = """
import os, socket, signal
s = socket.create_server(('0.0.0.0', 8080))
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
keep = s.fileno()
for fd in range(3, 256):
    if fd != keep:
        try:
            os.close(fd)
        except OSError:
            pass
open('%s', 'w').write(str(os.getpid()))
signal.pause()
"""
    pid_file = agent.dir / "pid"
    agent.start(rsp.PYTHON, "-c", program % pid_file, name="daemon", pool="web")
    pid = int(rsp.wait_until(lambda: pid_file.exists() and pid_file.read_text(), 10, "the daemon"))
    (pe,) = agent.wait_pes("web", 1)
    os.kill(pid, signal.SIGKILL)
    agent.wait_pes("web", 0)


def test_server_that_executes_itself_anew(agent):
    program = """
import os, socket, sys, signal
if len(sys.argv) == 1:
    s = socket.create_server(('0.0.0.0', 8080))
    s.set_inheritable(True)
    sys.stdin.readline()
    os.execv('%s', ['python3', '-c', open('%s').read(), str(s.fileno())])
print('second image', flush=True)
signal.pause()
"""
    source = agent.dir / "again.py"
    source.write_text(program % (rsp.PYTHON, source))
    server = agent.start(rsp.PYTHON, "-c", source.read_text(), name="again", pool="web",
                         stdin=rsp.subprocess.PIPE)
    (first,) = agent.wait_pes("web", 1)
    server.popen.stdin.write(b"\n")
    server.popen.stdin.flush()
    rsp.wait_until(lambda: "second image" in server.output(), 10, "the second image")
    (second,) = agent.wait_pes("web", 1)
    assert first["pe_id"] == second["pe_id"]
    server.kill()
    agent.wait_pes("web", 0)


def test_bind_to_a_pool_name(agent):
    server = agent.start("socat", "TCP-LISTEN:8080,bind=echo.pool.alt,fork,reuseaddr",
                         "SYSTEM:echo served", name="socat", shim=True)
    (pe,) = agent.wait_pes("echo", 1)
    assert pe["port"] == 8080
    result = agent.run("socat", "-", "TCP:echo.pool.alt:1", stdin="", shim=True)
    assert result.stdout == "served\n", result.stderr
    server.kill()
    agent.wait_pes("echo", 0)


def test_without_a_rule_a_program_is_untouched(agent):
    server = agent.start(rsp.PYTHON, "-m", "http.server", 8080, name="none", shim=True)
    agent.wait_listening(8080)
    assert agent.pes() == []
    assert "no rule" in agent.daemon.output()
    server.kill()


def test_rule_of_the_daemon_for_an_executable(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    executable = os.path.realpath(rsp.PYTHON)
    config.write_text(f"[Program {executable}]\nPool=web\nPort=8080\n")
    host.start_rspd("--config", config)
    server = host.start(rsp.PYTHON, "-m", "http.server", 8080, name="ruled", shim=True)
    host.wait_pes("web", 1)
    other = host.start(rsp.PYTHON, "-m", "http.server", 8081, name="other", shim=True)
    host.wait_listening(8081)
    assert len(host.pes()) == 1
    server.kill()
    other.kill()
    host.wait_pes("web", 0)


def test_load_of_a_server_with_capacity(agent):
    program = """
import socket, signal
held = []
s = socket.create_server(('0.0.0.0', 8080))
while True:
    held.append(s.accept()[0])
"""
    agent.start(rsp.PYTHON, "-c", program, name="loaded", pool="lu",
                env={"RSP_POLICY": "lu", "RSP_CAPACITY": "10"})
    agent.start("socat", "TCP-LISTEN:8081,fork,reuseaddr", "SYSTEM:cat", name="forker", pool="lu",
                env={"RSP_POLICY": "lu", "RSP_CAPACITY": "10"})
    pes = agent.wait_pes("lu", 2)
    ports = {pe["port"]: pe["pe_id"] for pe in pes}
    clients = [agent.start("socat", "-u", "TCP:lu.pool.alt:1", "-", name="client", shim=True)]

    def loads():
        return {pe["port"]: round(pe["load_percent"] / 10) for pe in agent.pes("lu")}
    rsp.wait_until(lambda: sum(loads().values()) == 1, 10, "one connection seen as load")
    for expected in range(2, 7):
        clients.append(agent.start("socat", "-u", "TCP:lu.pool.alt:1", "-", name="client",
                                   shim=True))
        rsp.wait_until(lambda: sum(loads().values()) == expected, 10, f"load {expected}")
    assert loads() == {8080: 3, 8081: 3}
    for client in clients:
        client.kill()
    rsp.wait_until(lambda: loads()[8081] == 0, 15, "no load of the forking server")
    assert ports.keys() == {8080, 8081}
