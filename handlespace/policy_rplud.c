/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Randomized Priority Least Used with Degradation (policies.md §5): as RLUD, beginning one step
 * later. */
#include "handlespace/policy_ops.h"

static uint64_t rest_with_one_more(const struct policy *policy)
{
    return policy_rest(policy_add(policy->words[0], policy->words[1]));
}

static uint64_t degradation(const struct policy *policy)
{
    return policy->words[1];
}

const struct policy_ops policy_rplud = {
    .info = {.type = POLICY_RPLUD,
             .name = "rplud",
             .title = "Randomized Priority Least Used with Degradation",
             .word_count = 2,
             .word_names = {"load", "degradation"},
             .adaptive = true},
    .alias = "randomizedpriorityleastuseddegradation",
    .word_kinds = {WORD_SHARE, WORD_SHARE},
    .weight = rest_with_one_more,
    .step = degradation,
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
