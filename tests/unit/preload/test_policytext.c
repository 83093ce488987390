/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "preload/config.h"

Test(policytext, names_and_words)
{
    struct policy p;
    cr_assert(pre_policy_parse("rr", &p));
    cr_assert(p.type == POLICY_RR && p.word_count == 0);
    cr_assert(pre_policy_parse("WRR:weight=3", &p));
    cr_assert(p.type == POLICY_WRR && p.word_count == 1 && p.words[0] == 3);
    cr_assert(pre_policy_parse("wrr", &p) && p.words[0] == 1);
    cr_assert(pre_policy_parse("lu:25%", &p) && p.words[0] == 0x40000000);
    cr_assert(pre_policy_parse("lu:12.5%", &p) && p.words[0] == 0x20000000);
    cr_assert(pre_policy_parse("lu-dpf:load=5%,dpf=0.5%", &p));
    cr_assert(p.type == POLICY_LU_DPF && p.word_count == 3 && p.words[1] == 21474836);
    cr_assert(!pre_policy_parse("lu:12.5", &p) && !pre_policy_parse("lu:100.5%", &p));
    cr_assert(pre_policy_parse("lud:degradation=5,load=100%", &p));
    cr_assert(p.word_count == 2 && p.words[0] == LOAD_FULL && p.words[1] == 5);
    cr_assert(pre_policy_parse("0xb0001002:7:8", &p));
    cr_assert(p.type == 0xb0001002 && p.word_count == 2 && p.words[1] == 8);
}

Test(policytext, what_is_none)
{
    const char *bad[] = {
        "",       "nonsense", "rr:1",   "lu:101%",      "wrr:weight=",   "wrr:x=1",
        "lu:1:2", "0:1",      "wrr:1;", "lu:load=25%%", "0x5:1:2:3:4:5", "wrr:99999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct policy p;
        cr_assert_not(pre_policy_parse(bad[i], &p), "%s", bad[i]);
    }
}
