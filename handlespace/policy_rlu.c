/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Randomized Least Used (RFC 5356 §5.4; P-29): drawn with the rest of the load as weight. */
#include "handlespace/policy_ops.h"

static uint64_t rest(const struct policy *policy)
{
    return policy_rest(policy->words[0]);
}

const struct policy_ops policy_rlu = {
    .info = {.type = POLICY_RLU,
             .name = "rlu",
             .title = "Randomized Least Used",
             .word_count = 1,
             .word_names = {"load"},
             .adaptive = true},
    .alias = "randomizedleastused",
    .word_kinds = {WORD_SHARE},
    .weight = rest,
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
