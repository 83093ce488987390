/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* State cookies through the daemon, of which only its answers are here. */
#include "librsp/lp_cookie.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "rspd/local/seal.h"

static uint8_t room[LP_MESSAGE_MAX];
static uint8_t octets[LP_MESSAGE_MAX];
static int fds[2]; /* [0] is the client's end */

static void setup(void)
{
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds), 0);
    cr_assert_eq(lp_bound(fds[0]), 0);
}

TestSuite(lp_cookie, .init = setup, .timeout = 20);

static void send_reply(struct lp_writer *w)
{
    int len = lp_finish(w);
    cr_assert_gt(len, 0);
    cr_assert_eq(send(fds[1], w->octets, (size_t)len, 0), len);
}

static struct pool_handle jobs(void)
{
    return (struct pool_handle){.octets = (const uint8_t *)"jobs", .len = 4};
}

/** What the client has asked; TLVs borrow `octets`. */
static struct lp_message asked(void)
{
    struct lp_message msg;
    ssize_t n = recv(fds[1], octets, sizeof(octets), MSG_DONTWAIT);
    cr_assert_gt(n, 0);
    cr_assert_eq(lp_parse(octets, (size_t)n, &msg), 0);
    return msg;
}

Test(lp_cookie, numbers_are_the_daemons)
{
    cr_assert_eq(LP_COOKIE_STATE_MAX, SEAL_PAYLOAD_MAX);
    cr_assert_eq(LP_COOKIE_MAX, SEAL_COOKIE_MAX);
    cr_assert_eq((int)LP_COOKIE_TRUNCATED, (int)SEAL_TRUNCATED);
    cr_assert_eq((int)LP_COOKIE_ALTERED, (int)SEAL_ALTERED);
    cr_assert_eq((int)LP_COOKIE_TOO_NEW, (int)SEAL_TOO_NEW);
}

Test(lp_cookie, seal)
{
    struct lp_writer w;
    struct lp_cookie cookie;
    struct lp_each it;
    lp_begin(&w, octets, sizeof(octets), LP_COOKIE_REPLY, 9);
    lp_put_octets(&w, LP_T_COOKIE, "sealed!", 7);
    lp_put_u32(&w, LP_T_SEALED, 1);
    lp_put_u32(&w, LP_T_PE_ID, 42);
    send_reply(&w);
    cr_assert_eq(
        lp_cookie_seal(&lp_calls_libc, fds[0], 9, jobs(), 42, "state", 5, room, &cookie, 1000), 0);
    cr_assert(cookie.len == 7 && memcmp(cookie.octets, "sealed!", 7) == 0);
    cr_assert(cookie.sealed && cookie.why[0] == '\0');
    struct lp_message msg = asked();
    cr_assert_eq(msg.type, LP_COOKIE_SEAL);
    cr_assert(lp_find(&msg, LP_T_COOKIE, &it) && it.len == 5 && memcmp(it.value, "state", 5) == 0);
    cr_assert(lp_find(&msg, LP_T_PE_ID, &it) && lp_u32(&it, 0) == 42);
}

Test(lp_cookie, open_and_refusal)
{
    struct lp_writer w;
    struct lp_cookie cookie;
    lp_begin(&w, octets, sizeof(octets), LP_COOKIE_REPLY, 9);
    lp_put_octets(&w, LP_T_COOKIE, "state", 5);
    lp_put_u32(&w, LP_T_SEALED, 1);
    lp_put_u32(&w, LP_T_PE_ID, 42);
    lp_put_u64(&w, LP_T_AGE_MS, 1500);
    send_reply(&w);
    cr_assert_eq(
        lp_cookie_open(&lp_calls_libc, fds[0], 9, jobs(), 0, "sealed!", 7, room, &cookie, 1000), 0);
    cr_assert(cookie.pe_id == 42 && cookie.age_ms == 1500 && cookie.len == 5);
    cr_assert_eq(asked().type, LP_COOKIE_OPEN);
    lp_begin(&w, octets, sizeof(octets), LP_RESULT, 10);
    lp_put_i32(&w, LP_T_RESULT, -EKEYREJECTED);
    lp_put_u32(&w, LP_T_FAULT, LP_COOKIE_TOO_OLD);
    lp_put_str(&w, LP_T_TEXT, "too old");
    send_reply(&w);
    cr_assert_eq(
        lp_cookie_open(&lp_calls_libc, fds[0], 10, jobs(), 0, "sealed!", 7, room, &cookie, 1000),
        -EKEYREJECTED);
    cr_assert_eq(cookie.fault, LP_COOKIE_TOO_OLD);
    cr_assert_str_eq(cookie.why, "too old");
}

Test(lp_cookie, odd_answers_and_sizes)
{
    struct lp_writer w;
    struct lp_cookie cookie;
    lp_begin(&w, octets, sizeof(octets), LP_RESULT, 9); /* success, but no cookie */
    lp_put_i32(&w, LP_T_RESULT, 0);
    send_reply(&w);
    cr_assert_eq(lp_cookie_seal(&lp_calls_libc, fds[0], 9, jobs(), 0, "x", 1, room, &cookie, 1000),
                 -EBADMSG);
    lp_begin(&w, octets, sizeof(octets), LP_COOKIE_REPLY, 10);
    send_reply(&w);
    cr_assert_eq(lp_cookie_open(&lp_calls_libc, fds[0], 10, jobs(), 0, "x", 1, room, &cookie, 1000),
                 -EBADMSG);
    cr_assert_eq(lp_cookie_seal(&lp_calls_libc, fds[0], 11, jobs(), 0, octets,
                                LP_COOKIE_STATE_MAX + 1, room, &cookie, 1000),
                 -EMSGSIZE);
    cr_assert_eq(lp_cookie_open(&lp_calls_libc, fds[0], 11, jobs(), 0, octets, LP_COOKIE_MAX + 1,
                                room, &cookie, 1000),
                 -EMSGSIZE);
    cr_assert_eq(lp_cookie_seal(&lp_calls_libc, fds[0], 12, jobs(), 0, "x", 1, room, &cookie, 10),
                 -ETIMEDOUT);
    (void)close(fds[1]);
    cr_assert_eq(lp_cookie_seal(&lp_calls_libc, fds[0], 13, jobs(), 0, "x", 1, room, &cookie, 1000),
                 -EPIPE);
}
