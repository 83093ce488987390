/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Distances, for the policies with a delay penalty factor (policies.md §6). */
#include "handlespace/policy.h"
#include "handlespace/policy_ops.h"

uint32_t *policy_distance_word(struct policy *policy)
{
    const struct policy_ops *ops = policy_ops_by_type(policy->type);
    for (uint8_t i = 0; ops != NULL && i < ops->info.word_count && i < policy->word_count; i++) {
        if (ops->word_kinds[i] == WORD_MEASURED) {
            return &policy->words[i];
        }
    }
    return NULL;
}

uint32_t policy_distance(uint32_t srtt_ms, uint32_t step_ms)
{
    uint64_t twice = (uint64_t)(step_ms > 0 ? step_ms : 1) * 2;
    uint64_t steps = srtt_ms / twice;
    uint64_t rest = (srtt_ms % twice) * 2;
    if (rest > twice || (rest == twice && steps % 2 == 1)) {
        steps++;
    }
    return (uint32_t)(steps * (twice / 2));
}
