/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Least Used with Degradation (RFC 5356 §5.2; P-24, P-25): ascending by load + counter ×
 * degradation; the counter is what selections add to the standing.
 */
#include "handlespace/policy_ops.h"

static uint64_t load(const struct policy *policy)
{
    return policy->words[0];
}

static uint64_t degradation(const struct policy *policy)
{
    return policy->words[1];
}

const struct policy_ops policy_lud = {
    .info = {.type = POLICY_LUD,
             .name = "lud",
             .title = "Least Used with Degradation",
             .word_count = 2,
             .word_names = {"load", "degradation"},
             .adaptive = true},
    .alias = "leastuseddegradation",
    .word_kinds = {WORD_SHARE, WORD_SHARE},
    .key = load,
    .step = degradation,
    .user = USER_LIST,
    .select = policy_select_least,
};
