/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon as its clients see it: a child process runs it, in process only (no SCTP, no
 * multicast), with its state in a directory of the test's own.
 */
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "librsp/lp_client.h"
#include "rspd/daemon_internal.h"
#include "rspd/local/watch.h"

static char dir[64];
static char path[96];
static pid_t daemon_pid;
static uint8_t out[LP_MESSAGE_MAX];
static uint8_t in[LP_MESSAGE_MAX];
static struct lp_writer w;
static struct lp_message reply;
static int reply_fd;

/* So many questions about draining find no room, or no memory, before one is taken. */
static int refusals;
int __real_watch_drain_query(struct watch *watch, uint32_t pe_id, watch_drain_fn fn, void *ctx);
int __wrap_watch_drain_query(struct watch *watch, uint32_t pe_id, watch_drain_fn fn, void *ctx);
int __wrap_watch_drain_query(struct watch *watch, uint32_t pe_id, watch_drain_fn fn, void *ctx)
{
    if (refusals > 0) {
        return refusals-- % 2 == 0 ? -EBUSY : -ENOMEM;
    }
    return __real_watch_drain_query(watch, pe_id, fn, ctx);
}

static void say(void *ctx, bool error, const char *text)
{
    (void)ctx;
    (void)error;
    (void)fprintf(stderr, "%s\n", text);
}

static int no_reload(void *ctx, struct settings *ret)
{
    (void)ctx;
    (void)ret;
    return -EINVAL;
}

static void child(const char *extra)
{
    static char name[] = "rspd";
    static char transport[] = "--transport=none";
    static char interfaces[] = "--interfaces=lo";
    static char socket_option[128];
    static char more[128];
    char error[512];
    (void)close_range(3, ~0u, 0); /* life fds above all: the test holds these, not the daemon */
    (void)snprintf(socket_option, sizeof(socket_option), "--socket=%s", path);
    (void)snprintf(more, sizeof(more), "%s", extra);
    char *argv[] = {name, transport, interfaces, socket_option, more, NULL};
    struct settings_command command;
    struct settings settings;
    struct daemon *d;
    struct daemon_options options = {.listen_fd = -1, .reload = no_reload};
    if (settings_command_line(5, argv, say, NULL, &command) != 0 ||
        settings_load(&command, NULL, true, "/tmp", say, NULL, &settings) != 0 ||
        daemon_new(&settings, &options, &d, error, sizeof(error)) != 0) {
        _exit(99);
    }
    int r = daemon_run(d);
    daemon_free(d);
    _exit(r == 0 ? 0 : 98);
}

static void pause_ms(long ms)
{
    struct timespec ts = {.tv_nsec = ms * 1000000};
    (void)nanosleep(&ts, NULL);
}

/** Connects, waiting for the daemon to listen. */
static int dial(void)
{
    for (int i = 0; i < 2000; i++) {
        int fd = lp_connect(&lp_calls_libc, path);
        if (fd >= 0) {
            return fd;
        }
        pause_ms(2);
    }
    cr_assert_fail("no daemon");
    return -1;
}

static void start_with(const char *extra)
{
    daemon_pid = fork();
    cr_assert(daemon_pid >= 0);
    if (daemon_pid == 0) {
        child(extra);
    }
    (void)close(dial());
}

static void start(void)
{
    start_with("--log-level=err");
}

static int stop(int signo)
{
    int status = 0;
    (void)kill(daemon_pid, signo);
    cr_assert_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
    daemon_pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

static void set_up(void)
{
    (void)snprintf(dir, sizeof(dir), "/tmp/test-rspd-XXXXXX");
    cr_assert_not_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/rspd.sock", dir);
    start();
}

static void tear_down(void)
{
    char command[128];
    if (daemon_pid > 0) {
        cr_expect_eq(stop(SIGTERM), 0);
    }
    (void)snprintf(command, sizeof(command), "rm -rf %s", dir);
    cr_expect_eq(system(command), 0); /* NOLINT: a name of our own making */
}

static void request(enum lp_type type)
{
    static uint32_t id;
    lp_begin(&w, out, sizeof(out), type, ++id);
}

/** Sends the request under construction; the RESULT of its reply. */
static int call(int fd)
{
    cr_assert_gt(lp_finish(&w), 0);
    cr_assert_eq(lp_call(&lp_calls_libc, fd, NULL, &w, in, sizeof(in), &reply, &reply_fd, 5000), 0);
    return lp_result(&reply);
}

static uint32_t number(enum lp_tlv type)
{
    struct lp_each it;
    cr_assert(lp_find(&reply, type, &it));
    return lp_u32(&it, 0);
}

static int hello(void)
{
    int fd = dial();
    request(LP_HELLO);
    lp_put_u32(&w, LP_T_CLIENT_KIND, LP_CLIENT_TOOL);
    cr_assert_eq(call(fd), 0);
    cr_assert_eq(reply.type, LP_HELLO_OK);
    return fd;
}

/** A listening socket; its port. */
static int listener(uint16_t *ret_port)
{
    struct sockaddr_in sin = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(sin);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&sin, sizeof(sin)), 0);
    cr_assert_eq(listen(fd, 8), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&sin, &len), 0);
    *ret_port = ntohs(sin.sin_port);
    return fd;
}

static void registration(const char *pool, uint16_t port)
{
    request(LP_REGISTER);
    lp_put_handle(&w, pool_handle_of(pool));
    lp_put_u32(&w, LP_T_PROTOCOL, TRANSPORT_TCP);
    lp_put_u32(&w, LP_T_PORT, port);
    lp_put_u32(&w, LP_T_FAMILIES, LP_FAMILY_V4);
}

/** Registers; the PE id, the life fd in reply_fd. */
static uint32_t join(int fd, const char *pool, uint16_t port)
{
    registration(pool, port);
    cr_assert_eq(call(fd), 0);
    cr_assert_eq(reply.type, LP_REGISTERED);
    cr_assert_geq(reply_fd, 0);
    return number(LP_T_PE_ID);
}

static int resolve(int fd, const char *pool)
{
    request(LP_RESOLVE);
    lp_put_handle(&w, pool_handle_of(pool));
    return call(fd);
}

static int pe_request(int fd, enum lp_type type, uint32_t pe)
{
    request(type);
    lp_put_u32(&w, LP_T_PE_ID, pe);
    return call(fd);
}

/** Waits until the pool resolves to `wanted`. */
static void wait_resolve(int fd, const char *pool, int wanted)
{
    int r = 1;
    for (int i = 0; i < 2000 && (r = resolve(fd, pool)) != wanted; i++) {
        pause_ms(2);
    }
    cr_assert_eq(r, wanted, "%s: %d", pool, r);
}

TestSuite(daemon, .init = set_up, .fini = tear_down, .timeout = 60);

Test(daemon, says_what_it_is)
{
    int fd = hello();
    struct lp_each it;
    char text[32];
    request(LP_STATUS);
    cr_assert_eq(call(fd), 0);
    cr_assert(lp_find(&reply, LP_T_ROLE, &it));
    cr_assert_str_eq(lp_str(&it, text, sizeof(text)), "agent+registrar");
    cr_assert(lp_find(&reply, LP_T_BACKEND, &it));
    cr_assert_str_eq(lp_str(&it, text, sizeof(text)), "none");
    (void)close(fd);
}

Test(daemon, hello_comes_first_and_versions_must_fit)
{
    int fd = dial();
    request(LP_STATUS);
    cr_assert_eq(call(fd), -EPROTO);
    request(LP_HELLO);
    out[0] = 2;
    cr_assert_eq(call(fd), -EPROTO);
    struct pollfd closed = {.fd = fd, .events = POLLIN};
    cr_assert_eq(poll(&closed, 1, 5000), 1);
    cr_assert_eq(recv(fd, in, sizeof(in), 0), 0);
    (void)close(fd);
}

Test(daemon, malformed_messages_are_answered_then_end_the_connection)
{
    int bad = hello();
    int good = hello();
    int answers = 0;
    for (int i = 0; i < 20; i++) {
        if (send(bad, "\1\0", 2, MSG_NOSIGNAL) != 2 ||
            lp_receive(&lp_calls_libc, bad, in, sizeof(in), &reply, &reply_fd, 5000) != 0) {
            break;
        }
        cr_assert_eq(lp_result(&reply), -EBADMSG);
        answers++;
    }
    cr_assert(answers > 0 && answers < 20);
    request(LP_STATUS);
    cr_assert_eq(call(good), 0);
    request((enum lp_type)999);
    cr_assert_eq(call(good), -EOPNOTSUPP);
    (void)close(bad);
    (void)close(good);
}

Test(daemon, names_and_cookies)
{
    uint16_t port;
    int fd = hello();
    int server = listener(&port);
    request(LP_NAME);
    lp_put_str(&w, LP_T_NAME, "web.pool.alt");
    cr_assert_eq(call(fd), -ENOENT, "a pool never seen has no address");
    (void)join(fd, "web", port);
    int life = reply_fd;
    request(LP_NAME);
    lp_put_str(&w, LP_T_NAME, "WEB.Pool.Alt.");
    cr_assert_eq(call(fd), 0);
    struct lp_each it;
    struct ip_address cookie;
    cr_assert(lp_find(&reply, LP_T_COOKIE4, &it) && lp_address(&it, &cookie));
    cr_assert(cookie.octets[0] == 127 && cookie.octets[1] == 42);
    (void)close(life);
    (void)close(server);
    wait_resolve(fd, "web", -ECONNREFUSED);
    request(LP_NAME);
    lp_put_address(&w, LP_T_ADDRESS, &cookie);
    cr_assert_eq(call(fd), 0, "known, though empty");
    request(LP_NAME);
    lp_put_str(&w, LP_T_NAME, "www.example.org");
    cr_assert_eq(call(fd), -ENOENT);
    cr_assert_eq(resolve(fd, "nobody"), -ENOENT);
    (void)close(fd);
}

Test(daemon, element_lives_as_long_as_its_life_fd)
{
    uint16_t port;
    int fd = hello();
    int server = listener(&port);
    uint32_t pe = join(fd, "web", port);
    int first = reply_fd;
    cr_assert_eq(join(fd, "web", port), pe, "the same socket is the same element");
    int second = reply_fd;
    (void)close(first);
    cr_assert_eq(resolve(fd, "web"), 0);
    (void)close(second);
    wait_resolve(fd, "web", -ECONNREFUSED);
    (void)close(server);
    (void)close(fd);
}

Test(daemon, elements_survive_the_death_of_the_daemon)
{
    uint16_t port;
    uint16_t gone_port;
    int fd = hello();
    int server = listener(&port);
    int gone_server = listener(&gone_port);
    uint32_t pe = join(fd, "web", port);
    int life = reply_fd;
    (void)join(fd, "gone", gone_port);
    int gone_life = reply_fd;
    cr_assert_eq(stop(SIGKILL), -SIGKILL);
    (void)close(gone_life);
    start();
    (void)close(fd);
    fd = hello();
    wait_resolve(fd, "web", 0);
    struct lp_each it;
    struct lp_each inner;
    uint32_t id = 0;
    cr_assert(lp_find(&reply, LP_T_PE, &it));
    lp_nested(&inner, &it);
    while (lp_next(&inner)) {
        id = inner.type == LP_T_PE_ID ? lp_u32(&inner, 0) : id;
    }
    cr_assert_eq(id, pe, "its id is kept");
    cr_assert_eq(resolve(fd, "gone"), -ENOENT);
    (void)close(life);
    wait_resolve(fd, "web", -ECONNREFUSED);
    (void)close(server);
    (void)close(gone_server);
    (void)close(fd);
}

Test(daemon, elements_survive_an_orderly_restart)
{
    uint16_t port;
    int fd = hello();
    int server = listener(&port);
    (void)join(fd, "web", port);
    int life = reply_fd;
    cr_assert_eq(stop(SIGTERM), 0);
    (void)close(fd);
    start();
    fd = hello();
    wait_resolve(fd, "web", 0);
    (void)close(life);
    (void)close(server);
    (void)close(fd);
}

Test(daemon, drained_elements_are_out_until_taken_back)
{
    uint16_t port;
    int fd = hello();
    int server = listener(&port);
    uint32_t pe = join(fd, "web", port);
    int life = reply_fd;
    request(LP_DRAIN);
    lp_put_u32(&w, LP_T_PE_ID, pe);
    lp_put_u32(&w, LP_T_WAIT, 1);
    lp_put_u32(&w, LP_T_TIMEOUT_MS, 5000);
    cr_assert_eq(call(fd), 0);
    cr_assert_eq(resolve(fd, "web"), -ECONNREFUSED);
    cr_assert_eq(pe_request(fd, LP_UNDRAIN, pe), 0);
    cr_assert_eq(resolve(fd, "web"), 0);
    cr_assert_eq(pe_request(fd, LP_DEREGISTER, pe), 0);
    cr_assert_neq(resolve(fd, "web"), 0);
    cr_assert_eq(pe_request(fd, LP_DEREGISTER, pe), -ENOENT);
    (void)close(life);
    (void)close(server);
    (void)close(fd);
}

/* What the daemon could not look at just now is looked at again, not taken for drained. */
Test(daemon, drained_is_what_was_seen_to_be)
{
    uint16_t port;
    cr_assert_eq(stop(SIGTERM), 0);
    refusals = 2;
    start();
    int fd = hello();
    int server = listener(&port);
    uint32_t pe = join(fd, "web", port);
    int life = reply_fd;
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int visitor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(visitor, (struct sockaddr *)&at, sizeof(at)), 0);
    request(LP_DRAIN);
    lp_put_u32(&w, LP_T_PE_ID, pe);
    lp_put_u32(&w, LP_T_WAIT, 1);
    lp_put_u32(&w, LP_T_TIMEOUT_MS, 700);
    cr_assert_eq(call(fd), -ETIMEDOUT);
    (void)close(visitor);
    (void)close(life);
    (void)close(server);
    (void)close(fd);
}

Test(daemon, adopted_server_stays_while_its_socket_is_open)
{
    uint16_t port;
    int fd = hello();
    int server = listener(&port);
    registration("web", port);
    lp_put_u32(&w, LP_T_ADOPT, 1);
    cr_assert_eq(call(fd), 0);
    cr_assert_eq(reply_fd, -1);
    cr_assert_eq(resolve(fd, "web"), 0);
    (void)close(server);
    wait_resolve(fd, "web", -ECONNREFUSED);
    registration("web", port);
    lp_put_u32(&w, LP_T_ADOPT, 1);
    cr_assert_eq(call(fd), -ENOENT, "nobody listens there any more");
    (void)close(fd);
}

Test(daemon, wrong_registrations_are_refused)
{
    int fd = hello();
    request(LP_REGISTER);
    cr_assert_eq(call(fd), -EINVAL);
    registration("web", 0);
    cr_assert_eq(call(fd), -EINVAL);
    registration("a-pool-handle-of-more-than-32-octets", 80);
    cr_assert_eq(call(fd), -ENAMETOOLONG);
    registration("", 80);
    cr_assert_eq(call(fd), -EINVAL);
    registration("web", 80);
    lp_put_str(&w, LP_T_PROBE, "smell");
    cr_assert_eq(call(fd), -EINVAL);
    registration("web", 80);
    lp_put_u32(&w, LP_T_PROTOCOL, 99);
    cr_assert_eq(call(fd), -EINVAL);
    cr_assert_eq(pe_request(fd, LP_DRAIN, 77), -ENOENT);
    cr_assert_eq(pe_request(fd, LP_UPDATE, 0), -EINVAL);
    (void)close(fd);
}

Test(daemon, monitor_tells_cause_and_effect)
{
    uint16_t port;
    int fd = hello();
    int watcher = hello();
    int server = listener(&port);
    uint64_t gone = 0;
    bool chained = false;
    request(LP_MONITOR);
    cr_assert_eq(call(watcher), 0);
    (void)join(fd, "web", port);
    (void)close(reply_fd);
    while (!chained) {
        struct lp_each it;
        char kind[32] = "";
        cr_assert_eq(lp_receive(&lp_calls_libc, watcher, in, sizeof(in), &reply, NULL, 5000), 0);
        cr_assert_eq(reply.type, LP_EVENT);
        if (lp_find(&reply, LP_T_EVENT_KIND, &it)) {
            (void)lp_str(&it, kind, sizeof(kind));
        }
        cr_assert(lp_find(&reply, LP_T_EVENT_ID, &it));
        if (strcmp(kind, "local-gone") == 0) {
            gone = lp_u64(&it, 0);
        }
        chained = strcmp(kind, "pe-removed") == 0 && gone != 0 &&
                  lp_find(&reply, LP_T_EVENT_CAUSE, &it) && lp_u64(&it, 0) == gone;
    }
    (void)close(server);
    (void)close(watcher);
    (void)close(fd);
}

Test(daemon, client_that_does_not_read_is_thrown_out_alone)
{
    int deaf = hello();
    int good = hello();
    bool out_now = false;
    for (int i = 0; i < 200000 && !out_now; i++) {
        request(LP_STATUS);
        cr_assert_gt(lp_finish(&w), 0);
        ssize_t n = send(deaf, w.octets, w.used, MSG_DONTWAIT | MSG_NOSIGNAL);
        out_now = n < 0 && (errno == EPIPE || errno == ECONNRESET);
        if (n < 0 && !out_now) {
            pause_ms(1);
        }
    }
    cr_assert(out_now);
    request(LP_STATUS);
    cr_assert_eq(call(good), 0);
    (void)close(deaf);
    (void)close(good);
}

Test(daemon, second_daemon_on_the_same_socket_is_refused)
{
    pid_t first = daemon_pid;
    daemon_pid = fork();
    cr_assert(daemon_pid >= 0);
    if (daemon_pid == 0) {
        child("--log-level=err");
    }
    int status = 0;
    cr_assert_eq(waitpid(daemon_pid, &status, 0), daemon_pid);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 99);
    daemon_pid = first;
    int fd = hello();
    (void)close(fd);
}

Test(daemon, hidden_pools_are_neither_listed_nor_resolved_by_others)
{
    char file[96];
    char option[128];
    uint16_t port;
    cr_assert_eq(geteuid(), 0, "needs root to become another user");
    cr_assert_eq(stop(SIGTERM), 0);
    (void)snprintf(file, sizeof(file), "%s/rspd.conf", dir);
    FILE *f = fopen(file, "w");
    cr_assert_not_null(f);
    (void)fputs("[Pool secret*]\nResolveUsers = root\n", f);
    (void)fclose(f);
    (void)snprintf(option, sizeof(option), "--config=%s", file);
    start_with(option);
    int fd = hello();
    int server = listener(&port);
    (void)join(fd, "secret", port);
    int life = reply_fd;
    cr_assert_eq(resolve(fd, "secret"), 0);
    cr_assert_eq(chmod(dir, 0755), 0);
    pid_t other = fork();
    if (other == 0) {
        int ok = setresgid(65534, 65534, 65534) == 0 && setresuid(65534, 65534, 65534) == 0;
        int mine = hello();
        ok = ok && resolve(mine, "secret") == -EPERM;
        request(LP_POOL_LIST);
        struct lp_each it;
        ok = ok && call(mine) == 0 && !lp_find(&reply, LP_T_POOL, &it);
        request(LP_PE_LIST);
        ok = ok && call(mine) == 0 && !lp_find(&reply, LP_T_PE, &it);
        registration("secret", port);
        ok = ok && call(mine) == -EPERM;
        _exit(ok ? 0 : 1);
    }
    int status = 0;
    cr_assert_eq(waitpid(other, &status, 0), other);
    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    request(LP_PE_LIST);
    struct lp_each it;
    cr_assert_eq(call(fd), 0);
    cr_assert(lp_find(&reply, LP_T_PE, &it));
    (void)close(life);
    (void)close(server);
    (void)close(fd);
}

/* One table of values per profile is the settings', the other the machine's, which the simulation
 * runs with: they must be the same. */
Test(daemon, profiles_of_the_registrar_are_those_of_the_simulation)
{
    static const char *const names[] = {"--profile=rfc", "--profile=rsplib", "--profile=lan",
                                        "--profile=fast"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char name[] = "rspd";
        char profile[32];
        struct settings settings;
        struct settings_command command;
        struct enrp_settings told;
        struct enrp_settings wanted;
        (void)snprintf(profile, sizeof(profile), "%s", names[i]);
        char *argv[] = {name, profile, NULL};
        cr_assert_eq(settings_command_line(2, argv, say, NULL, &command), 0);
        cr_assert_eq(settings_load(&command, NULL, true, "/tmp", say, NULL, &settings), 0);
        enrp_settings_from(&settings, &told);
        enrp_settings_profile(&wanted, (enum enrp_profile)i);
        settings_done(&settings);
#define SAME(field) cr_assert_eq(told.field, wanted.field, "%s: " #field, names[i])
        SAME(heartbeat_ms);
        SAME(last_heard_ms);
        SAME(no_response_ms);
        SAME(mentor_ms);
        SAME(retry_min_ms);
        SAME(retry_max_ms);
        SAME(session_ms);
        SAME(takeover_delay_ms);
        SAME(takeover_expiry_ms);
        SAME(guard_ms);
        SAME(resync_max_ms);
        SAME(balance_ms);
        SAME(leave_ms);
        SAME(adopt_rate);
        SAME(table_elements);
        SAME(table_octets);
        SAME(distance_step_ms);
        SAME(suggestion);
        SAME(lowest_wins);
        SAME(life_in_seconds);
        SAME(failure_is_death);
#undef SAME
    }
}
