/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Slow start: under a policy that looks at loads, a newcomer without any would get every new
 * client at once. So it is told to the scope with a load of 100 % first, which falls to its own
 * in ten steps (ecosystem U-64). Pure; pes.c drives it.
 */
#ifndef RSP_RSPD_LOCAL_RAMP_H
#define RSP_RSPD_LOCAL_RAMP_H

#include "common/clock.h"
#include "rspd/local/records.h"

#define RAMP_STEPS       10
#define RAMP_STEP_MIN_MS 50 /* a short ramp has fewer steps: each is a registration */

/** Whether the policy has a load that changes while its element serves: lu, plu, lud … */
bool ramp_possible(const struct policy *policy);
/** 0, or -EINVAL and why: a slow start is wanted, but the policy (known already) has no load. */
int ramp_check(const struct policy *policy, uint32_t slow_start_ms, char *why, size_t size);
/**
 * The load to tell of an element whose own one is `load`: the greater of that and 100 % x (1 - age
 * / slow start), the age counted in whole steps. `since_us`: when it was first accepted; 0: not
 * yet, that is 100 %. `slow_start_ms` 0: `load`.
 */
uint32_t ramp_load(uint32_t load, uint32_t slow_start_ms, uint64_t since_us, struct tm_us now);
/** `policy` as it is told: with that load, where it has one. */
struct policy ramp_policy(const struct record *r, struct policy policy, struct tm_us now);
/** When its next step is; TM_NEVER: there is no ramp, it has not begun or it is over. */
struct tm_us ramp_next(const struct record *r, struct tm_us now);

#endif
