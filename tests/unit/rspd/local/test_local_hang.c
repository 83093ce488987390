/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When is a server hung? (decisions.md "Hung without a probe"), on a clock of its own. */
#include "rspd/local/hang.h"

#include <criterion/criterion.h>

static struct hang h;
static int64_t now_ms;
static uint32_t after_ms_of_a_running_process; /* the daemon's Agent.HangAfter */

static void setup(void)
{
    h = (struct hang){.begun = false};
    now_ms = 1000000;
    after_ms_of_a_running_process = 750;
}

static void teardown(void)
{
    hang_done(&h);
}

TestSuite(hang, .init = setup, .fini = teardown);

struct look {
    uint32_t queued;
    const char *waiting;  /* one letter per connection */
    const char *accepted; /* likewise */
    bool stopped;
    uint32_t backlog; /* 0: 128 */
    bool doubt;
    bool active;
};

static enum hang_verdict look(int64_t after_ms, struct look l)
{
    now_ms += after_ms;
    struct hang_sample s = {.at = {now_ms * 1000},
                            .queued = l.queued,
                            .backlog = l.backlog > 0 ? l.backlog : 128,
                            .after_ms = after_ms_of_a_running_process,
                            .stopped = l.stopped,
                            .doubt = l.doubt,
                            .active = l.active,
                            .looked = l.waiting != NULL};
    for (const char *c = l.waiting; c != NULL && *c != '\0'; c++) {
        cr_assert(cookie_set_add(&s.waiting, (uint64_t)*c));
    }
    for (const char *c = l.accepted; c != NULL && *c != '\0'; c++) {
        cr_assert(cookie_set_add(&s.accepted, (uint64_t)*c));
    }
    cookie_set_sort(&s.waiting);
    cookie_set_sort(&s.accepted);
    enum hang_verdict v = hang_step(&h, &s);
    cookie_set_done(&s.waiting);
    cookie_set_done(&s.accepted);
    return v;
}

#define LOOK(after, ...) look(after, (struct look){__VA_ARGS__})

Test(hang, grows_twice_and_nobody_accepts)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(700, .queued = 1, .waiting = "a"), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 2, .waiting = "ab"), HANG_HUNG);
    cr_assert_eq(LOOK(100, .queued = 3, .waiting = "abc"), HANG_SAME);
    cr_assert_eq(LOOK(5000, .queued = 2, .waiting = "bc", .accepted = "a"), HANG_BACK);
    cr_assert_eq(LOOK(100, .queued = 0), HANG_SAME);
}

Test(hang, growing_once_is_not_enough)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    for (int i = 0; i < 50; i++) {
        cr_assert_eq(LOOK(200, .queued = 1, .waiting = "a"), HANG_SAME);
    }
    /* unless the process is stopped */
    cr_assert_eq(LOOK(200, .queued = 1, .waiting = "a", .stopped = true), HANG_HUNG);
    cr_assert_eq(LOOK(200, .queued = 0), HANG_BACK);
}

Test(hang, one_accept_in_the_window_is_life)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(400, .queued = 2, .waiting = "ab"), HANG_SAME);
    cr_assert_eq(LOOK(300, .queued = 3, .waiting = "bcd", .accepted = "a"), HANG_SAME);
    cr_assert_eq(LOOK(700, .queued = 4, .waiting = "bcde", .accepted = "a"), HANG_SAME);
    cr_assert_eq(LOOK(40, .queued = 4, .waiting = "cdef", .accepted = "ab"), HANG_SAME);
    cr_assert_eq(LOOK(700, .queued = 6, .waiting = "cdefgh", .accepted = "ab"), HANG_SAME);
    cr_assert_not(h.hung);
}

Test(hang, accepted_and_closed_between_two_looks)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 2, .waiting = "ab"), HANG_SAME);
    cr_assert_eq(LOOK(600, .queued = 3, .waiting = "bcd"), HANG_SAME); /* a is served and gone */
    cr_assert_eq(LOOK(600, .queued = 5, .waiting = "bcdef"), HANG_SAME);
    cr_assert_eq(LOOK(200, .queued = 6, .waiting = "bcdefg"), HANG_HUNG);
}

Test(hang, resets_of_waiting_clients_are_no_accepts)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 3, .waiting = "abc"), HANG_SAME);
    /* a and b were reset by their clients, stay queued, and d came */
    cr_assert_eq(LOOK(400, .queued = 4, .waiting = "cd"), HANG_SAME);
    cr_assert_eq(LOOK(400, .queued = 4, .waiting = "cd"), HANG_HUNG);
}

Test(hang, a_connection_between_the_two_dumps_is_no_accept)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 1, .waiting = "a"), HANG_SAME);
    cr_assert_eq(LOOK(300, .queued = 1, .waiting = "ab"),
                 HANG_SAME); /* b came after the listeners were dumped */
    cr_assert_eq(LOOK(400, .queued = 2, .waiting = "ab"), HANG_HUNG);
}

Test(hang, full_queue_cannot_grow)
{
    cr_assert_eq(LOOK(0, .queued = 0, .backlog = 2), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 3, .waiting = "abc", .backlog = 2), HANG_SAME);
    cr_assert_eq(LOOK(400, .queued = 3, .waiting = "abc", .backlog = 2), HANG_SAME);
    cr_assert_eq(LOOK(400, .queued = 3, .waiting = "abc", .backlog = 2), HANG_HUNG);
}

Test(hang, stopped_is_told_earlier)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(200, .queued = 1, .waiting = "a", .stopped = true), HANG_SAME);
    cr_assert_eq(LOOK(200, .queued = 1, .waiting = "a", .stopped = true), HANG_HUNG);
}

Test(hang, only_a_stopped_process_is_hung_where_that_is_set)
{
    after_ms_of_a_running_process = 0;
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    for (uint32_t i = 1; i < 50; i++) {
        cr_assert_eq(LOOK(10000, .queued = i, .waiting = "a"), HANG_SAME);
    }
    cr_assert_eq(LOOK(500, .queued = 50, .waiting = "a", .stopped = true), HANG_HUNG);
}

Test(hang, a_stop_during_a_long_patience_is_told_at_once)
{
    after_ms_of_a_running_process = 10000;
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 1, .waiting = "a"), HANG_SAME);
    cr_assert_eq(LOOK(900, .queued = 5, .waiting = "abcde"), HANG_SAME);
    cr_assert_eq(LOOK(8000, .queued = 6, .waiting = "abcdef"), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 6, .waiting = "abcdef", .stopped = true), HANG_HUNG);
}

Test(hang, slow_servers_are_given_their_time)
{
    cr_assert_eq(LOOK(0, .queued = 1, .waiting = "a"), HANG_SAME);
    cr_assert_eq(LOOK(500, .queued = 1, .waiting = "b", .accepted = "a"), HANG_SAME);
    cr_assert_eq(LOOK(700, .queued = 1, .waiting = "c", .accepted = "ab"), HANG_SAME);
    /* two gaps of 500 and 700 ms were seen: now 1400 ms are granted */
    cr_assert_eq(LOOK(600, .queued = 2, .waiting = "cd", .accepted = "ab"), HANG_SAME);
    cr_assert_eq(LOOK(600, .queued = 3, .waiting = "cde", .accepted = "ab"), HANG_SAME);
    cr_assert_eq(LOOK(300, .queued = 4, .waiting = "cdef", .accepted = "ab"), HANG_HUNG);
}

Test(hang, a_stop_teaches_no_patience)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    for (int i = 0; i < 5; i++) {
        cr_assert_eq(LOOK(700, .queued = 1, .waiting = "a", .stopped = true), HANG_HUNG);
        cr_assert_eq(LOOK(1000, .queued = 0), HANG_BACK);
    }
    cr_assert_eq(h.patience_ms, 0);
}

Test(hang, doubt_gives_time_once)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(700, .queued = 3, .waiting = "abc", .doubt = true), HANG_SAME);
    cr_assert_eq(LOOK(200, .queued = 4, .waiting = "abcd", .doubt = true), HANG_SAME);
    cr_assert_eq(LOOK(200, .queued = 5, .waiting = "abcde", .doubt = true), HANG_HUNG);
}

Test(hang, a_shim_that_accepts_is_believed)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(700, .queued = 3, .waiting = "abc", .doubt = true, .active = true),
                 HANG_SAME);
    cr_assert_eq(LOOK(500, .queued = 4, .waiting = "abcd"), HANG_SAME);
    cr_assert_eq(LOOK(250, .queued = 5, .waiting = "abcde"), HANG_HUNG);
}

Test(hang, an_accept_between_the_two_dumps_is_seen_later)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    cr_assert_eq(LOOK(100, .queued = 3, .waiting = "abc"), HANG_SAME);
    cr_assert_eq(LOOK(400, .queued = 4, .waiting = "bcd"), HANG_SAME); /* a left after the count */
    cr_assert_eq(LOOK(100, .queued = 4, .waiting = "bcde"), HANG_SAME);
    cr_assert_eq(LOOK(600, .queued = 6, .waiting = "bcdefg"), HANG_SAME);
}

Test(hang, quiet_moves_the_beginning_of_growth)
{
    cr_assert_eq(LOOK(0, .queued = 0), HANG_SAME);
    now_ms += 10000;
    hang_quiet(&h, (struct tm_us){now_ms * 1000});
    cr_assert_eq(LOOK(100, .queued = 1, .waiting = "a"), HANG_SAME);
    cr_assert(hang_suspect(&h, (struct tm_us){now_ms * 1000}));
    cr_assert_eq(LOOK(100, .queued = 2, .waiting = "ab"), HANG_SAME);
    cr_assert_eq(LOOK(600, .queued = 2, .waiting = "ab"), HANG_HUNG);
    cr_assert_not(hang_suspect(&h, (struct tm_us){now_ms * 1000}));
    /* a queue that is not empty is not quiet */
    hang_quiet(&h, (struct tm_us){(now_ms + 10000) * 1000});
    cr_assert(h.hung);
}

Test(cookie_set, sorts_finds_and_is_bounded)
{
    struct cookie_set set = {.cookie = NULL};
    cr_assert_not(cookie_set_has(&set, 1));
    for (uint64_t i = 0; i < COOKIE_SET_MAX; i++) {
        cr_assert(cookie_set_add(&set, (i * 40503) % COOKIE_SET_MAX));
    }
    cr_assert_not(cookie_set_add(&set, 0));
    cookie_set_sort(&set);
    cr_assert(cookie_set_has(&set, 0));
    cr_assert(cookie_set_has(&set, COOKIE_SET_MAX - 1));
    cr_assert_not(cookie_set_has(&set, COOKIE_SET_MAX));
    cookie_set_done(&set);
}
