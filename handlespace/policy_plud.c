/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Priority Least Used with Degradation (policies.md §5): as LUD, beginning one step later. */
#include "handlespace/policy_ops.h"

static uint64_t load_with_one_more(const struct policy *policy)
{
    return policy_add(policy->words[0], policy->words[1]);
}

static uint64_t degradation(const struct policy *policy)
{
    return policy->words[1];
}

const struct policy_ops policy_plud = {
    .info = {.type = POLICY_PLUD,
             .name = "plud",
             .title = "Priority Least Used with Degradation",
             .word_count = 2,
             .word_names = {"load", "degradation"},
             .adaptive = true},
    .alias = "priorityleastuseddegradation",
    .word_kinds = {WORD_SHARE, WORD_SHARE},
    .key = load_with_one_more,
    .step = degradation,
    .user = USER_LIST,
    .select = policy_select_least,
};
