# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may do what: a second local user can use a pool, but neither join nor harm it."""
import pytest

OTHER = 65534  # nobody


@pytest.fixture
def owned(agent):
    """Pool web, created by root with one element; the other user may reach the socket."""
    agent.http_server("s0", 8080, pool="web")
    agent.wait_pes("web", 1)
    return agent


def test_resolving_is_open(owned):
    result = owned.run("curl", "-sS", "http://web.pool.alt/", shim=True, user=OTHER)
    assert result.stdout == "s0\n", result.stderr


@pytest.mark.guest
@pytest.mark.parametrize("verb", ["deregister", "pe drain", "register"])
def test_a_second_user_is_refused_with_the_reason(owned, verb):
    (pe,) = owned.pes("web")
    if verb == "register":
        owned.start("socat", "TCP-LISTEN:8099,fork", "SYSTEM:cat", user=OTHER)
        owned.wait_listening(8099)
        command = ["register", "web", "--port", 8099]
    else:
        command = [*verb.split(), pe["pe_id"]]
    result = owned.rspctl(*command, user=OTHER)
    assert result.returncode == 4, result
    assert "web" in result.stderr and "65534" in result.stderr, result.stderr
    (still,) = owned.pes("web")
    assert (still["pe_id"], still["state"]) == (pe["pe_id"], pe["state"])


def test_a_second_users_server_under_the_shim_is_not_registered(owned):
    owned.start("socat", "TCP-LISTEN:8099,fork", "SYSTEM:cat", user=OTHER, pool="web")
    owned.wait_listening(8099)
    assert len(owned.pes("web")) == 1
    assert "65534" in owned.daemon.output()


def test_a_second_user_has_a_pool_of_his_own(owned):
    server = owned.start("socat", "TCP-LISTEN:8099,fork,reuseaddr", "SYSTEM:echo mine", user=OTHER,
                         pool="mine")
    (pe,) = owned.wait_pes("mine", 1)
    assert owned.rspctl("pe", "drain", pe["pe_id"], user=OTHER).returncode == 0
    assert owned.rspctl("deregister", pe["pe_id"], user=OTHER).returncode == 0
    owned.wait_pes("mine", 0)
    assert server.running()


def test_pools_may_be_opened_to_others(world):
    host = world.host("a")
    config = host.dir / "rspd.conf"
    config.write_text("[Pool web]\nRegisterUsers=root,nobody\n")
    host.start_rspd("--config", config)
    host.http_server("s0", 8080, pool="web")
    host.start("socat", "TCP-LISTEN:8099,fork", "SYSTEM:cat", user=OTHER, pool="web")
    host.wait_pes("web", 2)
