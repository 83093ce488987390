/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Least Used with delay penalty factor (P-37): each millisecond of distance counts as so much load.
 */
#include "handlespace/policy_ops.h"

static uint64_t load_from_here(const struct policy *policy)
{
    return policy_add(policy->words[0], (uint64_t)policy->words[1] * policy->words[2]);
}

const struct policy_ops policy_lu_dpf = {
    .info = {.type = POLICY_LU_DPF,
             .name = "lu-dpf",
             .title = "Least Used with DPF",
             .word_count = 3,
             .word_names = {"load", "dpf", "distance"},
             .adaptive = true},
    .alias = "leastuseddpf",
    .word_kinds = {WORD_SHARE, WORD_SHARE, WORD_MEASURED},
    .key = load_from_here,
    .select = policy_select_ordered,
};
