/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Weighted Random with delay penalty factor (policies.md §5, §6): for each millisecond of distance
 * a part of the own weight is taken off; who has a weight keeps at least 1.
 */
#include "handlespace/policy_ops.h"

static uint64_t weight_here(const struct policy *policy)
{
    uint64_t weight = policy->words[0];
    uint64_t part = (uint64_t)policy->words[1] * policy->words[2];
    if (weight == 0) {
        return 0;
    }
    if (part >= LOAD_FULL) {
        return 1;
    }
    uint64_t penalty = (weight * part + LOAD_FULL / 2) / LOAD_FULL;
    return penalty < weight ? weight - penalty : 1;
}

const struct policy_ops policy_wrand_dpf = {
    .info = {.type = POLICY_WRAND_DPF,
             .name = "wrand-dpf",
             .title = "Weighted Random with DPF",
             .word_count = 3,
             .word_names = {"weight", "dpf", "distance"}},
    .alias = "weightedrandomdpf",
    .word_kinds = {WORD_NUMBER, WORD_SHARE, WORD_MEASURED},
    .weight = weight_here,
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
