/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Randomized Least Used with Degradation (policies.md §5): as RLU; selections take off the weight.
 */
#include "handlespace/policy_ops.h"

static uint64_t rest(const struct policy *policy)
{
    return policy_rest(policy->words[0]);
}

static uint64_t degradation(const struct policy *policy)
{
    return policy->words[1];
}

const struct policy_ops policy_rlud = {
    .info = {.type = POLICY_RLUD,
             .name = "rlud",
             .title = "Randomized Least Used with Degradation",
             .word_count = 2,
             .word_names = {"load", "degradation"},
             .adaptive = true},
    .alias = "randomizedleastuseddegradation",
    .word_kinds = {WORD_SHARE, WORD_SHARE},
    .weight = rest,
    .step = degradation,
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
