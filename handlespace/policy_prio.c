/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Priority (RFC 5356 §4.5; P-17): highest priority first, round robin among equal ones. */
#include "handlespace/policy_ops.h"

static uint64_t highest_first(const struct policy *policy)
{
    return UINT32_MAX - policy->words[0];
}

const struct policy_ops policy_prio = {
    .info = {.type = POLICY_PRIO,
             .name = "prio",
             .title = "Priority",
             .word_count = 1,
             .word_names = {"priority"}},
    .alias = "priority",
    .word_kinds = {WORD_NUMBER},
    .key = highest_first,
    .select = policy_select_ordered,
};
