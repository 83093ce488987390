/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/local/ramp.h"

#include <errno.h>
#include <stdio.h>

#include "handlespace/policy.h"

bool ramp_possible(const struct policy *policy)
{
    const struct policy_info *info = policy_info_by_type(policy->type);
    return info != NULL && info->adaptive && info->word_count > 0;
}

int ramp_check(const struct policy *policy, uint32_t slow_start_ms, char *why, size_t size)
{
    if (slow_start_ms == 0 || policy->type == POLICY_NONE || ramp_possible(policy)) {
        return 0;
    }
    const struct policy_info *info = policy_info_by_type(policy->type);
    (void)snprintf(why, size, "slow start needs a policy with a load, such as lu; %s has none",
                   info != NULL ? info->name : "this one");
    return -EINVAL;
}

static int64_t step_ms(uint32_t slow_start_ms)
{
    int64_t step = slow_start_ms / RAMP_STEPS;
    return step > RAMP_STEP_MIN_MS ? step : RAMP_STEP_MIN_MS;
}

/** Milliseconds, not negative. */
static int64_t age_ms(uint64_t since_us, struct tm_us now)
{
    int64_t age = tm_diff_ms(now, (struct tm_us){(int64_t)since_us});
    return age > 0 ? age : 0;
}

uint32_t ramp_load(uint32_t load, uint32_t slow_start_ms, uint64_t since_us, struct tm_us now)
{
    if (slow_start_ms == 0) {
        return load;
    }
    if (since_us == 0) {
        return LOAD_FULL;
    }
    int64_t age = age_ms(since_us, now);
    if (age >= slow_start_ms) {
        return load;
    }
    int64_t left = slow_start_ms - age / step_ms(slow_start_ms) * step_ms(slow_start_ms);
    uint32_t ramp = (uint32_t)((uint64_t)LOAD_FULL * (uint64_t)left / slow_start_ms);
    return load > ramp ? load : ramp;
}

struct policy ramp_policy(const struct record *r, struct policy policy, struct tm_us now)
{
    if (ramp_possible(&policy)) {
        policy.words[0] = ramp_load(policy.words[0], r->slow_start_ms, r->since_us, now);
    }
    return policy;
}

struct tm_us ramp_next(const struct record *r, struct tm_us now)
{
    if (r->slow_start_ms == 0 || r->since_us == 0) {
        return TM_NEVER;
    }
    int64_t age = age_ms(r->since_us, now);
    if (age >= r->slow_start_ms) {
        return TM_NEVER;
    }
    int64_t step = step_ms(r->slow_start_ms);
    int64_t next = (age / step + 1) * step;
    return tm_add_ms((struct tm_us){(int64_t)r->since_us},
                     next < r->slow_start_ms ? next : r->slow_start_ms);
}
