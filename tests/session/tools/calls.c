/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Usage: session-calls CASE POOL [tcp|sctp|any] */
#include "calls.h"

#include <linux/tcp.h>
#include <time.h>

#define ESTABLISHED 1 /* of tcpi_state, which <netinet/tcp.h> names */

const char *pool;
int protocol = IPPROTO_TCP;

static const struct {
    const char *name;
    void (*run)(void);
} cases[] = {
    {"basic", basic},
    {"basic-errors", basic_errors},
    {"basic-pollable", basic_pollable},
    {"basic-count", basic_count},
    {"basic-failure", basic_failure},
    {"no-daemon", no_daemon},
    {"no-registrar", no_registrar},
    {"resolve", resolve},
    {"errors", errors},
    {"options", options},
    {"names", names},
    {"fork-sessions", fork_sessions},
    {"fork-element", fork_element},
    {"sizes", sizes},
    {"parts", parts},
    {"mixed", mixed},
    {"fair", fair},
    {"cut-off", cut_off},
    {"message-max", message_max},
    {"failover", failover},
    {"endings", endings},
    {"no-auto-failover", no_auto_failover},
    {"give-up", give_up},
    {"unknown-pool", unknown_pool},
    {"stale-state", stale_state},
    {"user", user},
    {"idle-wait", idle_wait},
    {"threads", threads},
    {"stopping", stopping},
    {"closing", closing},
    {"nonblock", nonblock},
    {"full", full},
    {"waiting", waiting},
    {"selecting", selecting},
};

int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void step(const char *where)
{
    char line[64];
    printf("step %s\n", where);
    (void)fflush(stdout);
    (void)!fgets(line, sizeof(line), stdin);
}

int serve(int type)
{
    struct rsp_loadinfo load = {.rli_policy = PPT_ROUNDROBIN};
    int sd = rsp_socket(0, type, protocol);
    CHECK(sd >= 0);
    CHECK_IS(rsp_register(sd, octets(pool), strlen(pool), &load, 0, 0), 0);
    return sd;
}

int use(int type)
{
    int sd = rsp_socket(0, type, protocol);
    int wait_ms = WAIT_MS;
    CHECK(sd >= 0);
    CHECK_IS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_CONNECT_TIMEOUT, &wait_ms, sizeof(wait_ms)), 0);
    CHECK_IS(rsp_connect(sd, octets(pool), strlen(pool), 0), 0);
    return sd;
}

/**
 * Whether it is a user's connection. A daemon tries whether an element that was reported is there
 * again: it connects, and closes without a word.
 */
static bool is_session(int sd)
{
    for (int64_t end = now_ms() + WAIT_MS; now_ms() < end; (void)poll(NULL, 0, 1)) {
        struct tcp_info info = {.tcpi_state = 0};
        socklen_t len = sizeof(info);
        CHECK_IS(rsp_getsockopt(sd, IPPROTO_TCP, TCP_INFO, &info, &len), 0);
        if (info.tcpi_bytes_received > 1 || info.tcpi_state != ESTABLISHED) {
            return info.tcpi_bytes_received > 1; /* the end counts as one */
        }
    }
    return false;
}

int take(int server)
{
    for (;;) {
        int protocol_of = 0;
        socklen_t len = sizeof(protocol_of);
        int sd = rsp_accept(server, WAIT_MS);
        CHECK(sd >= 0);
        CHECK_IS(rsp_getsockopt(sd, SOL_SOCKET, SO_PROTOCOL, &protocol_of, &len), 0);
        if (protocol_of == IPPROTO_SCTP || is_session(sd)) {
            return sd;
        }
        CHECK_IS(rsp_close(sd), 0);
    }
}

void say(int sd, const char *text)
{
    CHECK_IS(rsp_send(sd, text, strlen(text), 0), strlen(text));
}

void hear(int sd, const char *text)
{
    char got[256];
    struct pollfd p = {.fd = sd, .events = POLLIN};
    CHECK_IS(rsp_poll(&p, 1, WAIT_MS), 1);
    ssize_t n = rsp_recv(sd, got, sizeof(got) - 1, 0);
    got[n >= 0 ? n : 0] = '\0';
    if (n != (ssize_t)strlen(text) || strcmp(got, text) != 0) {
        FAIL("\"%s\" of length %zd, not \"%s\"", got, n, text);
    }
}

void fill(uint8_t *out, size_t len, unsigned seed)
{
    uint32_t v = seed * 2654435761U + 1;
    for (size_t i = 0; i < len; i++) {
        v = v * 1664525U + 1013904223U;
        out[i] = (uint8_t)(v >> 24);
    }
}

union rserpool_notification notified(int sd, int type)
{
    union rserpool_notification n;
    int flags = 0;
    ssize_t got = rsp_recvmsg(sd, &n, sizeof(n), NULL, &flags, WAIT_MS);
    if (got != (ssize_t)sizeof(n) || (flags & MSG_RSERPOOL_NOTIFICATION) == 0 ||
        n.rn_header.rn_type != type) {
        FAIL("%zd, flags %#x, type %d instead of notification %d", got, (unsigned)flags,
             got > 0 ? n.rn_header.rn_type : 0, type);
    }
    CHECK_IS(n.rn_header.rn_length, sizeof(n));
    return n;
}

int main(int argc, char **argv)
{
    if (argc >= 3) {
        pool = argv[2];
        if (argc > 3) {
            protocol = strcmp(argv[3], "sctp") == 0  ? IPPROTO_SCTP
                       : strcmp(argv[3], "any") == 0 ? 0
                                                     : IPPROTO_TCP;
        }
        for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
            if (strcmp(cases[i].name, argv[1]) == 0) {
                cases[i].run();
                printf("done\n");
                return 0;
            }
        }
    }
    return 2;
}
