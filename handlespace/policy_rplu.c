/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Randomized Priority Least Used (policies.md §5): as RLU, with the load as it would be with one
 * more. */
#include "handlespace/policy_ops.h"

static uint64_t rest_with_one_more(const struct policy *policy)
{
    return policy_rest(policy_add(policy->words[0], policy->words[1]));
}

const struct policy_ops policy_rplu = {
    .info = {.type = POLICY_RPLU,
             .name = "rplu",
             .title = "Randomized Priority Least Used",
             .word_count = 2,
             .word_names = {"load", "degradation"},
             .adaptive = true},
    .alias = "randomizedpriorityleastused",
    .word_kinds = {WORD_SHARE, WORD_SHARE},
    .weight = rest_with_one_more,
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
