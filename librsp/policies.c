/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policies by number and name, and what of a load goes with which (RFC 5356, RFC 5354 3.8). */
#include <strings.h>

#include "librsp/basic_internal.h"
#include "librsp/internal.h"

enum word { END, WEIGHT, LOAD, DEGRADATION, WEIGHT_DPF, LOAD_DPF, DISTANCE };

static const struct {
    uint32_t type;
    const char *name;
    enum word words[POLICY_WORDS_MAX];
} policies[] = {
    {PPT_ROUNDROBIN, "RoundRobin", {END}},
    {PPT_WEIGHTED_ROUNDROBIN, "WeightedRoundRobin", {WEIGHT, END}},
    {PPT_RANDOM, "Random", {END}},
    {PPT_WEIGHTED_RANDOM, "WeightedRandom", {WEIGHT, END}},
    {PPT_WEIGHTED_RANDOM_DPF, "WeightedRandomDPF", {WEIGHT, WEIGHT_DPF, DISTANCE, END}},
    {PPT_PRIORITY, "Priority", {WEIGHT, END}},
    {PPT_LEASTUSED, "LeastUsed", {LOAD, END}},
    {PPT_LEASTUSED_DPF, "LeastUsedDPF", {LOAD, LOAD_DPF, DISTANCE, END}},
    {PPT_LEASTUSED_DEGRADATION, "LeastUsedDegradation", {LOAD, DEGRADATION, END}},
    {PPT_LEASTUSED_DEGRADATION_DPF,
     "LeastUsedDegradationDPF",
     {LOAD, DEGRADATION, LOAD_DPF, DISTANCE}},
    {PPT_PRIORITY_LEASTUSED, "PriorityLeastUsed", {LOAD, DEGRADATION, END}},
    {PPT_PRIORITY_LEASTUSED_DPF, "PriorityLeastUsedDPF", {LOAD, DEGRADATION, LOAD_DPF, DISTANCE}},
    {PPT_PRIORITY_LEASTUSED_DEGRADATION, "PriorityLeastUsedDegradation", {LOAD, DEGRADATION, END}},
    {PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF,
     "PriorityLeastUsedDegradationDPF",
     {LOAD, DEGRADATION, LOAD_DPF, DISTANCE}},
    {PPT_RANDOMIZED_LEASTUSED, "RandomizedLeastUsed", {LOAD, END}},
    {PPT_RANDOMIZED_LEASTUSED_DEGRADATION,
     "RandomizedLeastUsedDegradation",
     {LOAD, DEGRADATION, END}},
    {PPT_RANDOMIZED_PRIORITY_LEASTUSED, "RandomizedPriorityLeastUsed", {LOAD, DEGRADATION, END}},
    {PPT_RANDOMIZED_PRIORITY_LEASTUSED_DEGRADATION,
     "RandomizedPriorityLeastUsedDegradation",
     {LOAD, DEGRADATION, END}},
};
#define POLICY_COUNT (sizeof(policies) / sizeof(policies[0]))

RSP_PUBLIC const char *rsp_getpolicybytype(unsigned int policy)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        if (policies[i].type == policy) {
            return policies[i].name;
        }
    }
    return NULL;
}

RSP_PUBLIC unsigned int rsp_getpolicybyname(const char *name)
{
    for (size_t i = 0; name != NULL && i < POLICY_COUNT; i++) {
        if (strcasecmp(policies[i].name, name) == 0) {
            return policies[i].type;
        }
    }
    return PPT_UNDEFINED;
}

static uint32_t word_of(const struct rsp_loadinfo *info, enum word word)
{
    switch (word) {
    case WEIGHT:
        return info->rli_weight;
    case LOAD:
        return info->rli_load;
    case DEGRADATION:
        return info->rli_load_degradation;
    case WEIGHT_DPF:
        return info->rli_weight_dpf;
    case LOAD_DPF:
        return info->rli_load_dpf;
    case DISTANCE: /* the registrar's to fill in */
    case END:
    default:
        return 0;
    }
}

int policy_of(const struct rsp_loadinfo *info, struct policy *ret)
{
    if (info == NULL || info->rli_policy == PPT_UNDEFINED) {
        *ret = (struct policy){.type = POLICY_RR};
        return 0;
    }
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        if (policies[i].type != info->rli_policy) {
            continue;
        }
        struct policy policy = {.type = policies[i].type};
        while (policy.word_count < POLICY_WORDS_MAX &&
               policies[i].words[policy.word_count] != END) {
            policy.words[policy.word_count] = word_of(info, policies[i].words[policy.word_count]);
            policy.word_count++;
        }
        *ret = policy;
        return 0;
    }
    return -EINVAL;
}
