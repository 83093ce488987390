/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Priority Least Used (RFC 5356 §5.3; P-26, P-27): ascending by what the load would be with one
 * more. */
#include "handlespace/policy_ops.h"

static uint64_t load_with_one_more(const struct policy *policy)
{
    return policy_add(policy->words[0], policy->words[1]);
}

const struct policy_ops policy_plu = {
    .info = {.type = POLICY_PLU,
             .name = "plu",
             .title = "Priority Least Used",
             .word_count = 2,
             .word_names = {"load", "degradation"},
             .adaptive = true},
    .alias = "priorityleastused",
    .word_kinds = {WORD_SHARE, WORD_SHARE},
    .key = load_with_one_more,
    .select = policy_select_ordered,
};
