/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Least Used with Degradation and delay penalty factor (policies.md §5): LU-DPF that selections
 * degrade. */
#include "handlespace/policy_ops.h"

static uint64_t load_from_here(const struct policy *policy)
{
    return policy_add(policy->words[0], (uint64_t)policy->words[2] * policy->words[3]);
}

static uint64_t degradation(const struct policy *policy)
{
    return policy->words[1];
}

const struct policy_ops policy_lud_dpf = {
    .info = {.type = POLICY_LUD_DPF,
             .name = "lud-dpf",
             .title = "Least Used with Degradation and DPF",
             .word_count = 4,
             .word_names = {"load", "degradation", "dpf", "distance"},
             .adaptive = true},
    .alias = "leastuseddegradationdpf",
    .word_kinds = {WORD_SHARE, WORD_SHARE, WORD_SHARE, WORD_MEASURED},
    .key = load_from_here,
    .step = degradation,
    .user = USER_LIST,
    .select = policy_select_least,
};
