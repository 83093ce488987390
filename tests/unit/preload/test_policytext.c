/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "preload/config.h"

Test(policytext, names_and_words)
{
    struct policy p;
    uint32_t slow;
    cr_assert(pre_policy_parse("rr", &p, &slow));
    cr_assert(p.type == POLICY_RR && p.word_count == 0 && slow == 0);
    cr_assert(pre_policy_parse("WRR:weight=3", &p, &slow));
    cr_assert(p.type == POLICY_WRR && p.word_count == 1 && p.words[0] == 3);
    cr_assert(pre_policy_parse("wrr", &p, &slow) && p.words[0] == 1);
    cr_assert(pre_policy_parse("lu:25%", &p, &slow) && p.words[0] == 0x40000000);
    cr_assert(pre_policy_parse("lu:12.5%", &p, &slow) && p.words[0] == 0x20000000);
    cr_assert(pre_policy_parse("lu-dpf:load=5%,dpf=0.5%", &p, &slow));
    cr_assert(p.type == POLICY_LU_DPF && p.word_count == 3 && p.words[1] == 21474836);
    cr_assert(!pre_policy_parse("lu:12.5", &p, &slow) && !pre_policy_parse("lu:100.5%", &p, &slow));
    cr_assert(pre_policy_parse("lud:degradation=5,load=100%", &p, &slow));
    cr_assert(p.word_count == 2 && p.words[0] == LOAD_FULL && p.words[1] == 5);
    cr_assert(pre_policy_parse("0xb0001002:7:8", &p, &slow));
    cr_assert(p.type == 0xb0001002 && p.word_count == 2 && p.words[1] == 8);
}

Test(policytext, what_is_none)
{
    const char *bad[] = {
        "",       "nonsense", "rr:1",   "lu:101%",      "wrr:weight=",   "wrr:x=1",
        "lu:1:2", "0:1",      "wrr:1;", "lu:load=25%%", "0x5:1:2:3:4:5", "wrr:99999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct policy p;
        uint32_t slow;
        cr_assert_not(pre_policy_parse(bad[i], &p, &slow), "%s", bad[i]);
    }
}

/* As rspctl takes it: a word among the others. */
Test(policytext, slow_start)
{
    static const struct {
        const char *text;
        uint32_t ms, load;
    } table[] = {{"lu:slow-start=10s", 10000, 0},
                 {"lu:slow-start=250ms,load=25%", 250, 0x40000000},
                 {"LU:25%,slow-start=1.5min", 90000, 0x40000000},
                 {"plu:slow-start=3,100%,5", 3000, LOAD_FULL},
                 {"lu-dpf:slow-start=1h", 3600000, 0},
                 {"0x40000001:7,slow-start=2sec", 2000, 7},
                 {"lu:slow-start=100ms", 100, 0}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct policy p;
        uint32_t slow;
        cr_assert(pre_policy_parse(table[i].text, &p, &slow), "%s", table[i].text);
        cr_assert_eq(slow, table[i].ms, "%s: %u", table[i].text, slow);
        cr_assert_eq(p.words[0], table[i].load, "%s", table[i].text);
    }
    const char *bad[] = {"lu:slow-start=",
                         "lu:slow-start=99ms",
                         "lu:slow-start=61min",
                         "lu:slow-start=x",
                         "rr:slow-start=10s",
                         "wrr:slow-start=10s",
                         "lu:slow-start=1d",
                         "lu:slow-start=1s,slow-start=1s",
                         "lu:slow-start=99999999999999999999h"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct policy p;
        uint32_t slow;
        cr_assert_not(pre_policy_parse(bad[i], &p, &slow), "%s", bad[i]);
    }
}
