/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "librsp/lp_client.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static const struct lp_calls *const calls = &lp_calls_libc;
static uint8_t room[LP_MESSAGE_MAX];

/** A connected pair: [0] is the client's end. */
static void pair(int fds[2])
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    cr_assert_eq(lp_bound(fds[0]), 0);
}

static struct lp_writer question(uint8_t *octets, size_t size, uint32_t request)
{
    struct lp_writer w;
    lp_begin(&w, octets, size, LP_STATUS, request);
    cr_assert_geq(lp_finish(&w), LP_HEADER_LEN);
    return w;
}

/** Writes a reply as the daemon would; `pass` -1 or a descriptor to send along. */
static void answer(int fd, enum lp_type type, uint32_t request, int32_t result, int pass)
{
    uint8_t octets[64];
    struct lp_writer w;
    lp_begin(&w, octets, sizeof(octets), type, request);
    lp_put_i32(&w, LP_T_RESULT, result);
    int len = lp_finish(&w);
    struct iovec iov = {.iov_base = octets, .iov_len = (size_t)len};
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    memset(&control, 0, sizeof(control));
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    if (pass >= 0) {
        msg.msg_control = control.space;
        msg.msg_controllen = sizeof(control.space);
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        *c = (struct cmsghdr){
            .cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(c), &pass, sizeof(pass));
    }
    cr_assert_eq(sendmsg(fd, &msg, 0), len);
}

Test(lp_client, paths)
{
    char path[LP_PATH_MAX];
    lp_socket_path("/a/b.sock", "/run/user/1", path);
    cr_assert_str_eq(path, "/a/b.sock");
    lp_socket_path(NULL, NULL, path);
    cr_assert_str_eq(path, "/run/rspd/rspd.sock");
    lp_socket_path("", "/nonexistent", path);
    cr_assert_str_eq(path, "/run/rspd/rspd.sock");
    char dir[] = "/tmp/lp-XXXXXX";
    cr_assert_not_null(mkdtemp(dir));
    char sub[64];
    char file[96];
    (void)snprintf(sub, sizeof(sub), "%s/rspd", dir);
    (void)snprintf(file, sizeof(file), "%s/rspd.sock", sub);
    cr_assert_eq(mkdir(sub, 0700), 0);
    cr_assert_geq(close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600)), 0);
    lp_socket_path(NULL, dir, path);
    cr_assert_str_eq(path, file);
    (void)unlink(file);
    (void)rmdir(sub);
    (void)rmdir(dir);
    char longer[200];
    memset(longer, 'x', sizeof(longer) - 1);
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    lp_socket_path(longer, NULL, path);
    cr_assert_str_eq(path, "");
    cr_assert_eq(lp_connect(calls, path), -ENAMETOOLONG);
}

Test(lp_client, no_daemon)
{
    cr_assert_eq(lp_connect(calls, "/nonexistent/rspd.sock"), -ENOENT);
}

Test(lp_client, reply_is_matched_and_others_are_dropped)
{
    int fds[2];
    uint8_t octets[64];
    struct lp_message reply;
    pair(fds);
    struct lp_writer w = question(octets, sizeof(octets), 7);
    answer(fds[1], LP_RESULT, 6, -EIO, fds[1]);
    answer(fds[1], LP_EVENT, 7, -EIO, -1);
    answer(fds[1], LP_RESULT, 7, -ENOENT, fds[1]);
    int came = -1;
    cr_assert_eq(lp_call(calls, fds[0], NULL, &w, room, sizeof(room), &reply, &came, 1000), 0);
    cr_assert_eq(lp_result(&reply), -ENOENT);
    cr_assert_geq(came, 0);
    cr_assert_neq(fcntl(came, F_GETFD) & FD_CLOEXEC, 0);
    (void)close(came);
    /* The next number is free again: nothing else stayed open. */
    int next = dup(fds[0]);
    cr_assert_eq(next, came);
    (void)close(next);
    /* A descriptor nobody wants is closed. */
    answer(fds[1], LP_RESULT, 7, 0, fds[1]);
    cr_assert_eq(lp_call(calls, fds[0], NULL, &w, room, sizeof(room), &reply, NULL, 1000), 0);
    next = dup(fds[0]);
    cr_assert_eq(next, came);
}

/* An answer that the rhythm lets it look for comes as any other, and so does the end of the time.
 */
Test(lp_client, reply_is_looked_for)
{
    int fds[2];
    uint8_t octets[64];
    struct lp_message reply;
    struct rhythm rhythm = {.short_waits = 1};
    pair(fds);
    struct lp_writer w = question(octets, sizeof(octets), 7);
    answer(fds[1], LP_RESULT, 7, -ENOENT, -1);
    cr_assert_eq(lp_call(calls, fds[0], &rhythm, &w, room, sizeof(room), &reply, NULL, 1000), 0);
    cr_assert_eq(lp_result(&reply), -ENOENT);
    rhythm = (struct rhythm){.short_waits = 1};
    cr_assert_eq(lp_call(calls, fds[0], &rhythm, &w, room, sizeof(room), &reply, NULL, 30),
                 -ETIMEDOUT);
    cr_assert_eq(rhythm.short_waits, 0, "the next one sleeps at once");
    cr_assert_eq(rhythm.doubt, lp_alone() ? 0 : 2, "it had been looked for");
}

Test(lp_client, bounds_and_ends)
{
    int fds[2];
    uint8_t octets[64];
    struct lp_message reply;
    pair(fds);
    struct lp_writer w = question(octets, sizeof(octets), 1);
    struct timespec before;
    struct timespec after;
    (void)clock_gettime(CLOCK_MONOTONIC, &before);
    cr_assert_eq(lp_call(calls, fds[0], NULL, &w, room, sizeof(room), &reply, NULL, 30),
                 -ETIMEDOUT);
    (void)clock_gettime(CLOCK_MONOTONIC, &after);
    int64_t ms = (after.tv_sec - before.tv_sec) * 1000 + (after.tv_nsec - before.tv_nsec) / 1000000;
    cr_assert(ms >= 29 && ms < 2000, "%lld ms", (long long)ms);
    cr_assert_eq(send(fds[1], "garbage that is no message", 26, 0), 26);
    cr_assert_eq(lp_receive(calls, fds[0], room, sizeof(room), &reply, NULL, 1000), -EBADMSG);
    answer(fds[1], LP_RESULT, 1, 0, -1);
    cr_assert_eq(lp_receive(calls, fds[0], room, LP_HEADER_LEN, &reply, NULL, 1000), -EBADMSG);
    (void)close(fds[1]);
    cr_assert_eq(lp_call(calls, fds[0], NULL, &w, room, sizeof(room), &reply, NULL, 1000), -EPIPE);
    cr_assert_eq(lp_send(calls, fds[0], &w), -EPIPE);
}

Test(lp_client, busy_daemon)
{
    int fds[2];
    uint8_t octets[64];
    struct lp_message reply;
    pair(fds);
    struct lp_writer w = question(octets, sizeof(octets), 1);
    int err = 0;
    for (int i = 0; i < 100000 && err == 0; i++) {
        err = lp_send(calls, fds[0], &w);
    }
    cr_assert_eq(err, -EAGAIN);
    cr_assert_eq(lp_call(calls, fds[0], NULL, &w, room, sizeof(room), &reply, NULL, 20),
                 -ETIMEDOUT);
}

Test(lp_client, request_that_did_not_fit)
{
    int fds[2];
    uint8_t octets[LP_HEADER_LEN + 8];
    struct lp_writer w;
    struct lp_message reply;
    pair(fds);
    lp_begin(&w, octets, sizeof(octets), LP_NAME, 1);
    lp_put_str(&w, LP_T_NAME, "a name that is too long for the room");
    cr_assert_eq(lp_send(calls, fds[0], &w), -EMSGSIZE);
    cr_assert_eq(lp_call(calls, fds[0], NULL, &w, room, sizeof(room), &reply, NULL, 20), -EMSGSIZE);
}

static bool read_one(uint32_t pe_id, uint32_t port, bool address, struct lp_pe *ret)
{
    uint8_t octets[256];
    struct lp_writer w;
    struct lp_message msg;
    struct lp_each it;
    struct ip_address a = {.family = IP_V4, .octets = {127, 0, 0, 1}};
    lp_begin(&w, octets, sizeof(octets), LP_RESOLVED, 1);
    size_t mark = lp_nest(&w, LP_T_PE);
    lp_put_u32(&w, LP_T_PE_ID, pe_id);
    lp_put_u32(&w, LP_T_PROTOCOL, TRANSPORT_TCP);
    lp_put_u32(&w, LP_T_PORT, port);
    for (int i = 0; address && i < 10; i++) {
        lp_put_address(&w, LP_T_ADDRESS, &a);
    }
    lp_unnest(&w, mark);
    int len = lp_finish(&w);
    cr_assert_gt(len, 0);
    cr_assert_eq(lp_parse(octets, (size_t)len, &msg), 0);
    cr_assert(lp_find(&msg, LP_T_PE, &it));
    return lp_read_pe(&it, ret);
}

Test(lp_client, elements)
{
    struct lp_pe pe;
    cr_assert(read_one(5, 80, true, &pe));
    cr_assert(pe.pe_id == 5 && pe.port == 80 && pe.protocol == TRANSPORT_TCP);
    cr_assert_eq(pe.address_count, 8);
    cr_assert_not(read_one(0, 80, true, &pe));
    cr_assert_not(read_one(5, 0, true, &pe));
    cr_assert_not(read_one(5, 70000, true, &pe));
    cr_assert_not(read_one(5, 80, false, &pe));
}

Test(lp_client, results_are_errors_or_nothing)
{
    uint8_t octets[64];
    struct lp_writer w;
    struct lp_message msg;
    const struct {
        int32_t said;
        int meant;
    } cases[] = {{0, 0}, {-2, -2}, {5, -EPROTO}, {-100000, -EPROTO}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        lp_begin(&w, octets, sizeof(octets), LP_RESULT, 1);
        lp_put_i32(&w, LP_T_RESULT, cases[i].said);
        cr_assert_eq(lp_parse(octets, (size_t)lp_finish(&w), &msg), 0);
        cr_assert_eq(lp_result(&msg), cases[i].meant);
    }
}
