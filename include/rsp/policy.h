/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Member selection policies (RFC 5356): their numbers and names, and what an element says of
 * itself under them.
 */
#ifndef RSP_POLICY_H
#define RSP_POLICY_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define PPT_UNDEFINED             0x00000000U
#define PPT_ROUNDROBIN            0x00000001U
#define PPT_WEIGHTED_ROUNDROBIN   0x00000002U
#define PPT_RANDOM                0x00000003U
#define PPT_WEIGHTED_RANDOM       0x00000004U
#define PPT_PRIORITY              0x00000005U
#define PPT_LEASTUSED             0x40000001U
#define PPT_LEASTUSED_DEGRADATION 0x40000002U
#define PPT_PRIORITY_LEASTUSED    0x40000003U
#define PPT_RANDOMIZED_LEASTUSED  0x40000004U
/* numbers of deployed pools, from the private range */
#define PPT_RANDOMIZED_PRIORITY_LEASTUSED             0xb0001001U
#define PPT_RANDOMIZED_LEASTUSED_DEGRADATION          0xb0001002U
#define PPT_PRIORITY_LEASTUSED_DEGRADATION            0xb0001003U
#define PPT_RANDOMIZED_PRIORITY_LEASTUSED_DEGRADATION 0xb0001004U
#define PPT_WEIGHTED_RANDOM_DPF                       0xb0002001U
#define PPT_LEASTUSED_DPF                             0xb0002002U
#define PPT_LEASTUSED_DEGRADATION_DPF                 0xb0002003U
#define PPT_PRIORITY_LEASTUSED_DPF                    0xb0002004U
#define PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF        0xb0002005U

/** Whether the choice under a policy follows the load that the elements state. */
#define PPT_IS_ADAPTIVE(policy)                                                                    \
    (((policy)&0xf0000000U) == 0x40000000U || ((policy)&0xfffff000U) == 0xb0001000U ||             \
     ((policy) >= PPT_LEASTUSED_DPF && (policy) <= PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF))

/** A weight, load or degradation of 0 % and 100 %. */
#define PPV_MIN 0x00000000U
#define PPV_MAX 0xffffffffU

/** What an element says of itself; 0xffffffff stands for 100 %. All 0: round robin, weight 1. */
struct rsp_loadinfo {
    uint32_t rli_policy;
    uint32_t rli_weight;
    uint32_t rli_weight_dpf;
    uint32_t rli_load;
    uint32_t rli_load_degradation;
    uint32_t rli_load_dpf;
};

/**
 * Name of a policy.
 *
 * The names are those of rspctl(1) in their long form: RoundRobin, WeightedRoundRobin, Random,
 * WeightedRandom, Priority, LeastUsed, LeastUsedDegradation, PriorityLeastUsed,
 * RandomizedLeastUsed and the private ones of deployed pools.
 * @param policy one of the PPT_ constants
 * @return a static string; NULL for a number that no policy has
 */
const char *rsp_getpolicybytype(unsigned int policy);

/**
 * Number of a policy.
 *
 * Upper and lower case are the same.
 * @param name a name as rsp_getpolicybytype() returns it
 * @return one of the PPT_ constants; PPT_UNDEFINED (0) for a name that no policy has
 */
unsigned int rsp_getpolicybyname(const char *name);

#ifdef __cplusplus
}
#endif
#endif
