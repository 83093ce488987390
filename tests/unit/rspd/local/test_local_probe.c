/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Probes against real servers on loopback. */
#include "rspd/local/probe.h"

#include "local_test.h"
#include "net_test.h"

#include <errno.h>
#include <string.h>

#define PE       7u
#define INTERVAL 60

static struct loop *loop;
static struct probes *p;
static volatile bool told;
static bool good, reachable;
static char why[PROBE_REASON_MAX];
static bool free_in_callback;

static void on_changed(void *ctx, uint32_t pe_id, bool ok, const char *reason)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    good = ok;
    (void)snprintf(why, sizeof(why), "%s", reason);
    told = true;
    if (free_in_callback) {
        probe_remove(p, pe_id);
    }
}

static void on_tried(void *ctx, uint32_t pe_id, bool ok)
{
    (void)ctx;
    cr_assert_eq(pe_id, PE);
    reachable = ok;
    told = true;
}

static void setup(void)
{
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(probes_new(loop, on_changed, on_tried, NULL, &p), 0);
}

static void teardown(void)
{
    probes_free(p);
    loop_free(loop);
}

TestSuite(probe, .init = setup, .fini = teardown, .timeout = 30);

static bool wait_told(int limit_ms)
{
    told = false;
    return test_wait(loop, &told, limit_ms);
}

static void add(const char *text, uint16_t port)
{
    char error[160] = "";
    struct probe_spec spec;
    struct probe_target target = {.pe_id = PE, .port = port};
    (void)ip_address_parse("127.0.0.1", &target.address);
    cr_assert_eq(probe_spec_parse(text, INTERVAL, &spec, error, sizeof(error)), 0, "%s", error);
    cr_assert_eq(probe_add(p, &target, &spec), 0);
}

static const char *http_answer;

static void serve_http(int listener)
{
    char request[1024];
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        ssize_t n = read(fd, request, sizeof(request) - 1);
        request[n > 0 ? n : 0] = '\0';
        if (strncmp(request, "GET /health HTTP/1.0\r\n", 22) == 0) {
            /* In two pieces, so that the status line is cut. */
            (void)!write(fd, http_answer, 5);
            (void)!write(fd, http_answer + 5, strlen(http_answer) - 5);
        }
        (void)close(fd);
    }
}

Test(probe, tcp_fails_when_the_port_closes_and_comes_back)
{
    uint16_t port;
    int listener = test_listen(16, &port);
    add("tcp", port);
    cr_assert_not(wait_told(4 * INTERVAL)); /* good is what it was */
    (void)close(listener);
    cr_assert(wait_told(3000));
    cr_assert_not(good);
    cr_assert_not_null(strstr(why, "refused"));
    struct sockaddr_in a = test_loopback(port);
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM, 0);
    (void)setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    cr_assert_eq(bind(listener, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(listener, 16), 0);
    cr_assert(wait_told(3000));
    cr_assert(good);
    (void)close(listener);
}

Test(probe, http_wants_2xx_or_3xx)
{
    static const struct {
        const char *answer;
        bool ok;
    } rows[] = {{"HTTP/1.1 500 Oops\r\n\r\n", false},
                {"HTTP/1.0 200 OK\r\n\r\n", true},
                {"220 mail\r\n", false},
                {"HTTP/1.1 302 Found\r\n\r\n", true},
                {"HTTP/1.1 4x4 \r\n", false},
                {"HTTP/1.1 204\r\n\r\n", true},
                {"HTTP/1.1", false}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint16_t port;
        http_answer = rows[i].answer;
        pid_t pid = test_serve(test_listen(16, &port), serve_http);
        add("http:/health", port);
        cr_assert(wait_told(3000), "%s", rows[i].answer);
        cr_assert_eq(good, rows[i].ok, "%s: %s", rows[i].answer, why);
        test_end(pid);
        if (rows[i].ok) {
            cr_assert(wait_told(3000));
            cr_assert_not(good); /* killed: the next row must tell again */
            cr_assert(i > 0);
        }
        probe_remove(p, PE);
        if (i + 1 < sizeof(rows) / sizeof(rows[0]) && rows[i + 1].ok) {
            add("tcp", 1);
            cr_assert(wait_told(3000));
            cr_assert_not(good);
        }
    }
}

Test(probe, stopped_http_server_within_two_intervals)
{
    uint16_t port;
    http_answer = "HTTP/1.0 200 OK\r\n\r\n";
    pid_t pid = test_serve(test_listen(16, &port), serve_http);
    add("http:/health", port);
    cr_assert_not(wait_told(3 * INTERVAL));
    test_stop(pid);
    int64_t start = test_now_ms();
    cr_assert(wait_told(3000));
    cr_assert_not(good);
    cr_assert_not_null(strstr(why, "no answer within"));
    cr_assert_lt(test_now_ms() - start, 2 * INTERVAL + 60);
    cr_assert_eq(kill(pid, SIGCONT), 0);
    cr_assert(wait_told(3000));
    cr_assert(good);
    test_end(pid);
}

Test(probe, exec_is_book_keeping)
{
    add("exec:/bin/true", 80);
    cr_assert_eq(probe_done(p, PE, true, NULL), 0);
    cr_assert_not(wait_told(INTERVAL));
    cr_assert_eq(probe_done(p, PE, false, "disk full"), 0);
    cr_assert(told && !good);
    cr_assert_str_eq(why, "exec probe: disk full");
    cr_assert_eq(probe_done(p, PE, true, ""), 0);
    cr_assert(good);
    cr_assert(wait_told(20 * INTERVAL));
    cr_assert_not(good);
    cr_assert_not_null(strstr(why, "3 intervals"));
    cr_assert_not(wait_told(4 * INTERVAL));
    cr_assert_eq(probe_done(p, PE, true, NULL), 0);
    cr_assert(good);
    cr_assert_eq(probe_done(p, PE + 1, true, NULL), -ENOENT);
}

Test(probe, removed_in_its_own_callback)
{
    free_in_callback = true;
    add("tcp", 1);
    cr_assert(wait_told(3000));
    cr_assert_not(wait_told(3 * INTERVAL));
}

Test(probe, single_tries)
{
    uint16_t port;
    struct ip_address addresses[2];
    int listener = test_listen(16, &port);
    (void)ip_address_parse("::1", &addresses[0]);
    (void)ip_address_parse("127.0.0.1", &addresses[1]);
    cr_assert_eq(probe_try(p, PE, addresses, 0, port, 100), -EINVAL);
    told = false;
    cr_assert_eq(probe_try(p, PE, addresses, 2, port, 1000), 0);
    cr_assert_not(told);
    cr_assert(wait_told(3000));
    cr_assert(reachable);
    (void)close(listener);
    cr_assert_eq(probe_try(p, PE, addresses, 2, port, 1000), 0);
    cr_assert(wait_told(3000));
    cr_assert_not(reachable);
    for (size_t i = 0; i < PROBE_TRIES_MAX; i++) {
        cr_assert_eq(probe_try(p, PE, addresses, 1, port, 1000), 0);
    }
    cr_assert_eq(probe_try(p, PE, addresses, 1, port, 1000), -ENOBUFS);
}

Test(probe, try_gives_up_in_time)
{
    uint16_t port;
    int fds[8];
    struct ip_address address;
    int listener = test_listen(1, &port); /* full: further handshakes are dropped */
    for (size_t i = 0; i < 8; i++) {
        fds[i] = test_connect(port);
    }
    (void)ip_address_parse("127.0.0.1", &address);
    int64_t start = test_now_ms();
    cr_assert_eq(probe_try(p, PE, &address, 1, port, 150), 0);
    cr_assert(wait_told(3000));
    cr_assert_not(reachable);
    cr_assert_geq(test_now_ms() - start, 149);
    for (size_t i = 0; i < 8; i++) {
        (void)close(fds[i]);
    }
    (void)close(listener);
}

Test(probe, specs)
{
    struct probe_spec spec;
    char error[160];
    cr_assert_eq(probe_spec_parse("", 0, &spec, error, sizeof(error)), 0);
    cr_assert_eq(spec.kind, PROBE_NONE);
    cr_assert_eq(spec.interval_ms, PROBE_INTERVAL_DEFAULT_MS);
    cr_assert_eq(probe_add(p, &(struct probe_target){.pe_id = PE}, &spec), -ENOTSUP);
    cr_assert_eq(probe_spec_parse("http:", 1, &spec, error, sizeof(error)), 0);
    cr_assert_str_eq(spec.path, "/");
    cr_assert_eq(spec.interval_ms, PROBE_INTERVAL_MIN_MS);
    const char *bad[] = {"http:x", "http:/a b", "http:/a\r\nX: y", "https:/", "TCP", "ping"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        error[0] = '\0';
        cr_assert_eq(probe_spec_parse(bad[i], 0, &spec, error, sizeof(error)), -EINVAL, "%s",
                     bad[i]);
        cr_assert_neq(error[0], '\0');
    }
}
