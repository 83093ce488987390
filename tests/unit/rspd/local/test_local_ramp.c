/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The load of a newcomer that starts slowly, on a clock of its own. */
#include "rspd/local/ramp.h"

#include <criterion/criterion.h>
#include <errno.h>

#include "handlespace/policy.h"

#define FULL  UINT32_MAX
#define BEGAN 5000000u

static struct tm_us after_ms(int64_t ms)
{
    return tm_add_ms((struct tm_us){BEGAN}, ms);
}

static struct tm_us next_step(uint32_t slow_start_ms, uint64_t since_us, struct tm_us now)
{
    struct record r = {.slow_start_ms = slow_start_ms, .since_us = since_us};
    return ramp_next(&r, now);
}

static uint32_t percent(uint32_t load)
{
    return (uint32_t)(((uint64_t)load * 100 + FULL / 2) / FULL);
}

Test(ramp, falls_in_ten_steps_to_its_own_load)
{
    uint32_t last = FULL;
    for (int64_t ms = 0; ms <= 12000; ms += 10) {
        uint32_t load = ramp_load(FULL / 4, 10000, BEGAN, after_ms(ms));
        uint32_t wanted = ms >= 10000 ? 0 : 100 - (uint32_t)(ms / 1000) * 10;
        cr_assert_eq(percent(load), wanted > 25 ? wanted : 25, "%ld ms: %u %%", (long)ms,
                     percent(load));
        cr_assert(load <= last, "never rises");
        last = load;
    }
    cr_assert_eq(last, FULL / 4);
}

Test(ramp, own_load_counts_when_it_is_higher)
{
    cr_assert_eq(ramp_load(FULL / 10 * 9, 10000, BEGAN, after_ms(5000)), FULL / 10 * 9);
    cr_assert_eq(ramp_load(FULL, 10000, BEGAN, after_ms(9999)), FULL);
}

Test(ramp, full_until_accepted_and_none_without_slow_start)
{
    cr_assert_eq(ramp_load(7, 10000, 0, after_ms(99999)), FULL);
    cr_assert(tm_is_never(next_step(10000, 0, after_ms(99999))));
    cr_assert_eq(ramp_load(7, 0, BEGAN, after_ms(0)), 7);
    cr_assert(tm_is_never(next_step(0, BEGAN, after_ms(0))));
}

/** As often as it changes, and not at all afterwards: an idle daemon stays idle. */
static unsigned count_steps(uint32_t slow_start_ms)
{
    struct tm_us now = after_ms(0);
    uint32_t last = ramp_load(0, slow_start_ms, BEGAN, now);
    unsigned steps = 0;
    cr_assert_eq(last, FULL);
    for (;; steps++) {
        struct tm_us next = next_step(slow_start_ms, BEGAN, now);
        if (tm_is_never(next)) {
            break;
        }
        cr_assert(tm_before(now, next) && steps < 100);
        uint32_t load = ramp_load(0, slow_start_ms, BEGAN, next);
        cr_assert(load < last, "step %u changes nothing", steps);
        last = load;
        now = next;
    }
    cr_assert_eq(last, 0);
    cr_assert_eq(now.us, after_ms(slow_start_ms).us, "ends with the slow start");
    return steps;
}

Test(ramp, steps_are_a_tenth_but_not_short)
{
    cr_assert_eq(count_steps(10000), RAMP_STEPS);
    cr_assert_eq(count_steps(3600000), RAMP_STEPS);
    cr_assert_eq(count_steps(200), 200 / RAMP_STEP_MIN_MS);
    cr_assert_eq(count_steps(1), 1);
    unsigned steps = count_steps(UINT32_MAX);
    cr_assert(steps == RAMP_STEPS || steps == RAMP_STEPS + 1);
}

Test(ramp, only_the_load_of_a_policy_changes)
{
    struct record r = {.slow_start_ms = 1000, .since_us = BEGAN};
    struct policy lud = {.type = POLICY_LUD, .word_count = 2, .words = {0, 77}};
    struct policy wrr = {.type = POLICY_WRR, .word_count = 1, .words = {3}};
    struct policy told = ramp_policy(&r, lud, after_ms(500));
    cr_assert(percent(told.words[0]) == 50 && told.words[1] == 77 && told.word_count == 2);
    cr_assert_eq(ramp_policy(&r, wrr, after_ms(500)).words[0], 3);
}

Test(ramp, refuses_a_policy_without_load)
{
    char why[160] = "";
    struct policy wrr = {.type = POLICY_WRR, .word_count = 1, .words = {3}};
    struct policy lu = {.type = POLICY_LU, .word_count = 1};
    struct policy none = {.type = POLICY_NONE};
    cr_assert_eq(ramp_check(&wrr, 1000, why, sizeof(why)), -EINVAL);
    cr_assert_str_eq(why, "slow start needs a policy with a load, such as lu; wrr has none");
    cr_assert_eq(ramp_check(&wrr, 0, why, sizeof(why)), 0);
    cr_assert_eq(ramp_check(&lu, 1000, why, sizeof(why)), 0);
    cr_assert_eq(ramp_check(&none, 1000, why, sizeof(why)), 0);
}

Test(ramp, a_clock_before_the_beginning)
{
    cr_assert_eq(ramp_load(0, 1000, BEGAN, (struct tm_us){1}), FULL);
}

Test(ramp, policies_with_a_load)
{
    static const char *const WITH[] = {"lu",   "lud",  "plu",   "plud",   "rlu",
                                       "rlud", "rplu", "rplud", "lu-dpf", "lud-dpf"};
    static const char *const WITHOUT[] = {"rr", "wrr", "rand", "wrand", "prio"};
    for (size_t i = 0; i < sizeof(WITH) / sizeof(WITH[0]); i++) {
        const struct policy_info *info = policy_info_by_name(WITH[i]);
        cr_assert(info != NULL && ramp_possible(&(struct policy){.type = info->type}), "%s",
                  WITH[i]);
        cr_assert_str_eq(info->word_names[0], "load");
    }
    for (size_t i = 0; i < sizeof(WITHOUT) / sizeof(WITHOUT[0]); i++) {
        const struct policy_info *info = policy_info_by_name(WITHOUT[i]);
        cr_assert(info != NULL && !ramp_possible(&(struct policy){.type = info->type}), "%s",
                  WITHOUT[i]);
    }
    cr_assert_not(ramp_possible(&(struct policy){.type = POLICY_NONE}));
}
