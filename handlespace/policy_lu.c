/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Least Used (RFC 5356 §5.1; P-19 … P-22): ascending by load, round robin among equal loads. */
#include "handlespace/policy_ops.h"

static uint64_t load(const struct policy *policy)
{
    return policy->words[0];
}

const struct policy_ops policy_lu = {
    .info = {.type = POLICY_LU,
             .name = "lu",
             .title = "Least Used",
             .word_count = 1,
             .word_names = {"load"},
             .adaptive = true},
    .alias = "leastused",
    .word_kinds = {WORD_SHARE},
    .key = load,
    .select = policy_select_ordered,
};
