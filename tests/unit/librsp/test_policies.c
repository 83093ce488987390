/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Policies by number and name, and the words that go on the wire with each (policies:P-1). */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include <rsp/policy.h>

#include "librsp/basic_internal.h"

static const uint32_t all[] = {PPT_ROUNDROBIN,
                               PPT_WEIGHTED_ROUNDROBIN,
                               PPT_RANDOM,
                               PPT_WEIGHTED_RANDOM,
                               PPT_WEIGHTED_RANDOM_DPF,
                               PPT_PRIORITY,
                               PPT_LEASTUSED,
                               PPT_LEASTUSED_DPF,
                               PPT_LEASTUSED_DEGRADATION,
                               PPT_LEASTUSED_DEGRADATION_DPF,
                               PPT_PRIORITY_LEASTUSED,
                               PPT_PRIORITY_LEASTUSED_DPF,
                               PPT_PRIORITY_LEASTUSED_DEGRADATION,
                               PPT_PRIORITY_LEASTUSED_DEGRADATION_DPF,
                               PPT_RANDOMIZED_LEASTUSED,
                               PPT_RANDOMIZED_LEASTUSED_DEGRADATION,
                               PPT_RANDOMIZED_PRIORITY_LEASTUSED,
                               PPT_RANDOMIZED_PRIORITY_LEASTUSED_DEGRADATION};

Test(policies, name_and_number)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        const char *name = rsp_getpolicybytype(all[i]);
        cr_assert_not_null(name, "%#x", all[i]);
        cr_assert_eq(rsp_getpolicybyname(name), all[i], "%s", name);
    }
    cr_assert_null(rsp_getpolicybytype(0));
    cr_assert_null(rsp_getpolicybytype(77));
    cr_assert_eq(rsp_getpolicybyname("nobody"), PPT_UNDEFINED);
    cr_assert_eq(rsp_getpolicybyname(NULL), PPT_UNDEFINED);
    cr_assert_eq(rsp_getpolicybyname("leastused"), PPT_LEASTUSED);
}

Test(policies, words)
{
    struct policy policy;
    struct rsp_loadinfo info = {.rli_policy = PPT_LEASTUSED_DEGRADATION_DPF,
                                .rli_weight = 1,
                                .rli_weight_dpf = 2,
                                .rli_load = 3,
                                .rli_load_degradation = 4,
                                .rli_load_dpf = 5};
    cr_assert_eq(policy_of(&info, &policy), 0);
    cr_assert_eq(policy.type, PPT_LEASTUSED_DEGRADATION_DPF);
    cr_assert_eq(policy.word_count, 4);
    cr_assert_eq(policy.words[0], 3);
    cr_assert_eq(policy.words[1], 4);
    cr_assert_eq(policy.words[2], 5);
    cr_assert_eq(policy.words[3], 0);
    info.rli_policy = PPT_WEIGHTED_RANDOM_DPF;
    cr_assert_eq(policy_of(&info, &policy), 0);
    cr_assert_eq(policy.word_count, 3);
    cr_assert_eq(policy.words[0], 1);
    cr_assert_eq(policy.words[1], 2);
    info.rli_policy = 77;
    cr_assert_eq(policy_of(&info, &policy), -EINVAL);
    cr_assert_eq(policy_of(NULL, &policy), 0);
    cr_assert_eq(policy.type, POLICY_RR);
}

Test(policies, adaptive_is_every_least_used)
{
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        bool least_used = strstr(rsp_getpolicybytype(all[i]), "LeastUsed") != NULL;
        cr_assert_eq(PPT_IS_ADAPTIVE(all[i]), least_used, "%s", rsp_getpolicybytype(all[i]));
    }
}
