/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Weighted Round Robin (RFC 5356 §4.2; P-8, P-9, P-11): a circular list in which each element
 * stands as often as it weighs. Those of weight 0 cannot serve (P-3); they are backups of last
 * resort.
 */
#include "handlespace/policy_ops.h"

static uint64_t heaviest_first(const struct policy *policy)
{
    return ~(uint64_t)policy->words[0];
}

static uint64_t weight(const struct policy *policy)
{
    return policy->words[0];
}

const struct policy_ops policy_wrr = {
    .info = {.type = POLICY_WRR,
             .name = "wrr",
             .title = "Weighted Round Robin",
             .word_count = 1,
             .word_names = {"weight"}},
    .alias = "weightedroundrobin",
    .word_kinds = {WORD_NUMBER},
    .key = heaviest_first,
    .weight = weight,
    .cyclic = true,
    .user = USER_CYCLE,
    .select = policy_select_spread,
};
