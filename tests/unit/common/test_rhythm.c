/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a wait is done follows from how those before it went. */
#include <criterion/criterion.h>

#include "common/rhythm.h"

static enum rhythm_way next(struct rhythm *r)
{
    return rhythm_next(r, false, false);
}

static struct rhythm stream(void)
{
    struct rhythm r = {0};
    for (int i = 0; i < RHYTHM_STREAM; i++) {
        cr_assert_eq(next(&r), RHYTHM_SLEEP, "short wait %d", i);
        rhythm_waited(&r, RHYTHM_SHORT_US, true);
    }
    return r;
}

Test(rhythm, one_sleeps_at_first_and_after_a_long_wait)
{
    struct rhythm r = {0};
    rhythm_sent(&r);
    cr_assert_eq(next(&r), RHYTHM_SLEEP);
    rhythm_waited(&r, RHYTHM_SHORT_US + 1, true);
    rhythm_sent(&r);
    cr_assert_eq(next(&r), RHYTHM_SLEEP);
    r = stream();
    rhythm_waited(&r, RHYTHM_SHORT_US + 1, true);
    cr_assert_eq(next(&r), RHYTHM_SLEEP);
}

Test(rhythm, an_answer_is_looked_for_when_the_last_came_soon)
{
    struct rhythm r = {0};
    rhythm_waited(&r, RHYTHM_SHORT_US, true);
    rhythm_sent(&r);
    cr_assert_eq(next(&r), RHYTHM_LOOK);
    rhythm_waited(&r, 3, true);
    rhythm_sent(&r);
    cr_assert_eq(next(&r), RHYTHM_LOOK);
    rhythm_waited(&r, RHYTHM_SHORT_US + 1, true);
    rhythm_sent(&r);
    cr_assert_eq(next(&r), RHYTHM_SLEEP);
}

/* Short waits, answers each: how many go by without a look. */
static int without_look(struct rhythm *r)
{
    for (int n = 0; n < 1000; n++) {
        rhythm_sent(r);
        if (next(r) == RHYTHM_LOOK) {
            return n;
        }
        rhythm_waited(r, 5, true);
    }
    return -1;
}

Test(rhythm, looks_in_vain_become_rare)
{
    struct rhythm r = {0};
    rhythm_waited(&r, 5, true);
    cr_assert_eq(without_look(&r), 0);
    const int rests[] = {4, 16, 64, 1 << RHYTHM_DOUBT, 1 << RHYTHM_DOUBT};
    for (size_t i = 0; i < sizeof(rests) / sizeof(rests[0]); i++) {
        rhythm_waited(&r, RHYTHM_LOOK_US + 1, true);
        cr_assert_eq(without_look(&r), rests[i], "look %zu in vain", i);
    }
    for (int expected = 64; expected >= 2; expected /= 2) {
        rhythm_waited(&r, RHYTHM_LOOK_US, true);
        cr_assert_eq(without_look(&r), expected, "one that finds something makes up for half");
    }
    rhythm_waited(&r, RHYTHM_LOOK_US, true);
    cr_assert_eq(without_look(&r), 0);
}

Test(rhythm, on_one_processor_nobody_looks)
{
    struct rhythm r = {0};
    rhythm_waited(&r, 1, true);
    rhythm_sent(&r);
    cr_assert_eq(rhythm_next(&r, true, false), RHYTHM_SLEEP);
}

Test(rhythm, what_is_not_answered_gathers_after_a_while)
{
    struct rhythm r = stream();
    cr_assert_eq(next(&r), RHYTHM_GATHER);
    rhythm_waited(&r, 5, true);
    cr_assert_eq(next(&r), RHYTHM_GATHER);
    cr_assert_eq(rhythm_next(&r, true, false), RHYTHM_GATHER, "one processor or more");
    cr_assert_eq(rhythm_next(&r, false, true), RHYTHM_SLEEP, "large messages");
}

Test(rhythm, whoever_sends_reads_no_stream)
{
    struct rhythm r = stream();
    rhythm_sent(&r);
    cr_assert_eq(next(&r), RHYTHM_LOOK);
    rhythm_waited(&r, 5, true);
    cr_assert_eq(next(&r), RHYTHM_SLEEP, "a stream begins anew");
}

Test(rhythm, a_wait_without_octets_ends_it)
{
    struct rhythm r = stream();
    rhythm_waited(&r, 5, false);
    cr_assert_eq(next(&r), RHYTHM_SLEEP);
}
