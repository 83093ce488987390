/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport/sockdiag.h"

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct wanted {
    uint64_t cookie;
    unsigned seen;
    unsigned others;
    uint16_t port; /* counts connections with this local port */
    struct diag_socket found;
};

static int bound(int type, struct sockaddr_in *at)
{
    socklen_t len = sizeof(*at);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    *at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)at, sizeof(*at)), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)at, &len), 0);
    return fd;
}

static uint64_t cookie_of(int fd)
{
    uint64_t cookie = 0;
    socklen_t len = sizeof(cookie);
    cr_assert_eq(getsockopt(fd, SOL_SOCKET, SO_COOKIE, &cookie, &len), 0);
    return cookie;
}

static bool look(void *ctx, const struct diag_socket *s)
{
    struct wanted *w = ctx;
    if (s->cookie == w->cookie || (w->port != 0 && s->local_port == w->port)) {
        w->found = *s;
        w->seen++;
    } else {
        w->others++;
    }
    return true;
}

Test(sockdiag, listener_is_found_by_cookie_with_its_accept_queue)
{
    struct sockaddr_in at;
    int listener = bound(SOCK_STREAM, &at);
    cr_assert_eq(listen(listener, 8), 0);
    struct wanted w = {.cookie = cookie_of(listener)};
    cr_assert_eq(diag_listeners(TRANSPORT_TCP, look, &w), 0);
    cr_assert_eq(w.seen, 1);
    cr_assert_eq(w.found.local_port, ntohs(at.sin_port));
    cr_assert_eq(w.found.local.family, IP_V4);
    cr_assert_eq(w.found.queued, 0);
    cr_assert_eq(w.found.uid, getuid());
    cr_assert_neq(w.found.inode, 0);
    int client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(connect(client, (struct sockaddr *)&at, sizeof(at)), 0);
    w.seen = 0;
    cr_assert_eq(diag_listeners(TRANSPORT_TCP, look, &w), 0);
    cr_assert_eq(w.found.queued, 1);

    struct wanted c = {.port = ntohs(at.sin_port)};
    cr_assert_eq(diag_connections(TRANSPORT_TCP, false, look, &c), 0);
    cr_assert_eq(c.seen, 1);
    cr_assert_eq(c.found.inode, 0); /* nobody has accepted it */
    cr_assert_eq(c.found.state, 1);
    (void)close(client);
    c.seen = 0;
    cr_assert_eq(diag_connections(TRANSPORT_TCP, false, look, &c), 0);
    cr_assert_eq(c.seen, 0);
    cr_assert_eq(diag_connections(TRANSPORT_TCP, true, look, &c), 0);
    cr_assert_eq(c.seen, 1);
    (void)close(listener);
}

static bool stop_at_once(void *ctx, const struct diag_socket *s)
{
    (void)s;
    ++*(unsigned *)ctx;
    return false;
}

Test(sockdiag, callback_can_end_the_dump)
{
    struct sockaddr_in at;
    unsigned calls = 0;
    int a = bound(SOCK_DGRAM, &at);
    int b = bound(SOCK_DGRAM, &at);
    cr_assert_eq(diag_listeners(TRANSPORT_UDP, stop_at_once, &calls), 0);
    cr_assert_eq(calls, 1);
    (void)close(a);
    (void)close(b);
}

Test(sockdiag, sctp_without_a_module_is_an_empty_dump_and_dccp_an_error)
{
    struct wanted w = {0};
    cr_assert_eq(diag_listeners(TRANSPORT_SCTP, look, &w), 0); /* T-27 */
    cr_assert_eq(diag_listeners(TRANSPORT_DCCP, look, &w), -EPROTONOSUPPORT);
}

static void lost(void *ctx)
{
    (void)ctx;
}

static void destroy_is_reported(int type, enum transport_protocol protocol)
{
    struct loop *loop;
    struct diag_watch *watch;
    struct sockaddr_in at;
    cr_assert_eq(loop_new(&loop), 0);
    int fd = bound(type, &at);
    if (type == SOCK_STREAM) {
        cr_assert_eq(listen(fd, 8), 0);
    }
    struct wanted w = {.cookie = cookie_of(fd)};
    cr_assert_eq(diag_watch_new(loop, look, lost, &w, &watch), 0);
    (void)close(fd);
    for (int i = 0; i < 50 && w.seen == 0; i++) {
        cr_assert_geq(loop_step(loop, 100), 0);
    }
    cr_assert_eq(w.seen, 1);
    cr_assert_eq(w.found.protocol, protocol);
    cr_assert_eq(w.found.local_port, ntohs(at.sin_port));
    diag_watch_free(watch);
    loop_free(loop);
}

Test(sockdiag, destroyed_listener_is_reported)
{
    destroy_is_reported(SOCK_STREAM, TRANSPORT_TCP);
}

Test(sockdiag, destroyed_udp_socket_is_reported)
{
    destroy_is_reported(SOCK_DGRAM, TRANSPORT_UDP);
}

struct suicide {
    struct diag_watch *watch;
    unsigned calls;
};

static bool free_watch(void *ctx, const struct diag_socket *s)
{
    struct suicide *k = ctx;
    (void)s;
    k->calls++;
    diag_watch_free(k->watch);
    return true;
}

Test(sockdiag, watch_may_be_freed_in_its_callback)
{
    struct loop *loop;
    struct suicide k = {0};
    struct sockaddr_in at;
    cr_assert_eq(loop_new(&loop), 0);
    int a = bound(SOCK_DGRAM, &at);
    int b = bound(SOCK_DGRAM, &at);
    cr_assert_eq(diag_watch_new(loop, free_watch, lost, &k, &k.watch), 0);
    (void)close(a);
    (void)close(b);
    for (int i = 0; i < 50 && k.calls == 0; i++) {
        cr_assert_geq(loop_step(loop, 100), 0);
    }
    cr_assert_eq(k.calls, 1);
    loop_free(loop);
}
