/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Weighted Random (RFC 5356 §4.4; P-14, P-15): drawn with a probability of weight / sum of weights;
 * those of weight 0 never (P-3).
 */
#include "handlespace/policy_ops.h"

static uint64_t weight(const struct policy *policy)
{
    return policy->words[0];
}

const struct policy_ops policy_wrand = {
    .info = {.type = POLICY_WRAND,
             .name = "wrand",
             .title = "Weighted Random",
             .word_count = 1,
             .word_names = {"weight"}},
    .alias = "weightedrandom",
    .word_kinds = {WORD_NUMBER},
    .weight = weight,
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
