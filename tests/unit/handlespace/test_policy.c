/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of policies, and their distributions with the bounds of policies.md §11. */
#include "handlespace/policy.h"

#include "hs_fixture.h"

#include <errno.h>
#include <math.h>
#include <string.h>

/* policies:P-2 */
Test(policy, parses_and_formats)
{
    struct policy p;
    char error[160] = "";
    char out[80];
    cr_assert_eq(policy_parse("rr", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.type, POLICY_RR);
    cr_assert_eq(p.word_count, 0);
    cr_assert_str_eq(policy_format(&p, out, sizeof(out)), "Round Robin");
    cr_assert_eq(policy_parse("Random", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.type, POLICY_RAND);
    cr_assert_eq(policy_parse("lu", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.type, POLICY_LU);
    cr_assert_eq(p.words[0], 0);
    cr_assert_eq(policy_parse("lu:load=25%", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.words[0], 0x40000000);
    cr_assert_str_eq(policy_format(&p, out, sizeof(out)), "Least Used, load 25.0 %");
    cr_assert_eq(policy_parse("lu:load=100%", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.words[0], LOAD_FULL);
    cr_assert_eq(policy_parse("lu:load=12.5%", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.words[0], 0x20000000);
    cr_assert_eq(policy_parse("wrr:weight=3", &p, error, sizeof(error)), 0);
    cr_assert(p.type == POLICY_WRR && p.word_count == 1 && p.words[0] == 3);
    cr_assert_eq(policy_parse("wrr", &p, error, sizeof(error)), 0);
    cr_assert_eq(p.words[0], 1);
    cr_assert_eq(policy_parse("lud:degradation=5%", &p, error, sizeof(error)), 0);
    cr_assert(p.type == POLICY_LUD && p.word_count == 2 && p.words[0] == 0 &&
              p.words[1] == 214748365);
    cr_assert_eq(policy_parse("lu-dpf:load=6.25%,dpf=0.5%", &p, error, sizeof(error)), 0);
    cr_assert(p.word_count == 3 && p.words[0] == 0x10000000 && p.words[1] == 21474836);
    p.words[2] = 50;
    cr_assert_str_eq(policy_format(&p, out, sizeof(out)),
                     "Least Used with DPF, load 6.3 %, dpf 0.5 %, distance 50 ms");
}

Test(policy, says_what_is_wrong)
{
    struct policy p = {.type = 77};
    char error[160];
    cr_assert_eq(policy_parse("wwr:weight=3", &p, error, sizeof(error)), -EINVAL);
    cr_assert_str_eq(error,
                     "unknown policy \"wwr\"; there are rr, wrr, rand, wrand, prio, lu, lud, "
                     "plu, rlu, rplu, rlud, plud, rplud, wrand-dpf, lu-dpf, lud-dpf");
    cr_assert_eq(policy_parse("lud:weight=3", &p, error, sizeof(error)), -EINVAL);
    cr_assert_str_eq(error, "policy lud has no parameter \"weight\"; it has load, degradation");
    cr_assert_eq(policy_parse("lu-dpf:distance=3", &p, error, sizeof(error)), -EINVAL);
    cr_assert_str_eq(error, "distance of policy lu-dpf is measured and cannot be given");
    cr_assert_eq(policy_parse("wrr:weight=-3", &p, error, sizeof(error)), -EINVAL);
    cr_assert_str_eq(error,
                     "weight of policy wrr wants a whole number up to 4294967295, not \"-3\"");
    cr_assert_eq(policy_parse("lud:degradation=5", &p, error, sizeof(error)), -EINVAL);
    cr_assert_str_eq(error, "degradation of policy lud wants a percentage such as 25%, not \"5\"");
    cr_assert_eq(policy_parse("", &p, error, sizeof(error)), -EINVAL);
    cr_assert_eq(policy_parse("rr:weight=3", &p, error, sizeof(error)), -EINVAL);
    cr_assert_not_null(strstr(error, "no parameters"));
    cr_assert_eq(policy_parse("lu:weight=3", &p, error, sizeof(error)), -EINVAL);
    cr_assert_str_eq(error, "policy lu has no parameter \"weight\"; it has load");
    const char *bad[] = {"lu:load=101%", "lu:load=0x3", "lu:load=", "lu:load",    "lu:load=5",
                         "lu:load=-1%",  "lu:load=.5%", "lu:",      "lu:load=1.%"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(policy_parse(bad[i], &p, error, sizeof(error)), -EINVAL, "%s", bad[i]);
    }
    cr_assert_eq(p.type, 77);
}

Test(policy, table)
{
    size_t n = 0;
    for (const struct policy_info *info; (info = policy_info_at(n)) != NULL; n++) {
        cr_assert_eq(policy_info_by_type(info->type), info);
        cr_assert_eq(policy_info_by_name(info->name), info);
    }
    cr_assert_eq(n, 16);
    cr_assert_null(policy_info_by_type(0));
    cr_assert_null(policy_info_by_type(0x40000000)); /* policies:P-32 */
    cr_assert_null(policy_info_by_type(0xb0002004)); /* has no wire format (PD-10) */
    cr_assert_null(policy_info_by_name("nonsense"));
}

/* parameters:P-24, policies:P-4, P-5: starts at the head, head advances by one. */
Test(policy, rr_exact)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_eq(add(hs, "p", i, POLICY_RR, 0), HS_ADDED);
    }
    expect(hs, 1, "A B C A B C A");
    expect(hs, 2, "BC CA AB BC CA");
    expect(hs, 3, "ABC BCA CAB");
    expect(hs, 9, "ABC BCA CAB");
    close_hs(hs);
}

Test(policy, rr_join_and_leave)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3; i++) {
        (void)add(hs, "p", i, POLICY_RR, 0);
    }
    expect(hs, 1, "A");
    (void)add(hs, "p", 4, POLICY_RR, 0);
    expect(hs, 1, "B C A D B C A D");
    /* The head leaves: its successor is head. */
    cr_assert_eq(hs_deregister(hs, pool_handle_of("p"), 2), HS_REMOVED);
    expect(hs, 1, "C A D C");
    /* One before the head, one behind it. */
    cr_assert_eq(hs_deregister(hs, pool_handle_of("p"), 3), HS_REMOVED);
    expect(hs, 1, "A D A");
    cr_assert_eq(hs_deregister(hs, pool_handle_of("p"), 4), HS_REMOVED);
    expect(hs, 1, "A A");
    /* A re-registration with unchanged policy keeps the place. */
    (void)add(hs, "p", 2, POLICY_RR, 0);
    (void)add(hs, "p", 3, POLICY_RR, 0);
    expect(hs, 1, "A B");
    cr_assert_eq(add(hs, "p", 3, POLICY_RR, 0), HS_UPDATED);
    cr_assert_eq(add(hs, "p", 1, POLICY_RR, 0), HS_UPDATED);
    expect(hs, 1, "C A B C");
    close_hs(hs);
}

static bool not_this(void *ctx, const struct hs_element *element)
{
    return element->pe_id != *(const uint32_t *)ctx;
}

static uint32_t pick_without(struct hs *hs, uint32_t id)
{
    const struct hs_element *found;
    hs_read_begin();
    size_t n = hs_select(hs, pool_handle_of("p"), 1, not_this, &id, &found);
    uint32_t got = n == 1 ? found->pe_id : 0;
    hs_read_end();
    return got;
}

Test(policy, rr_with_a_filter_stays_fair)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3; i++) {
        (void)add(hs, "p", i, POLICY_RR, 0);
    }
    uint32_t wanted[] = {1, 3, 1, 3, 1, 3};
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(pick_without(hs, 2), wanted[i]);
    }
    (void)hs_deregister(hs, pool_handle_of("p"), 1);
    (void)hs_deregister(hs, pool_handle_of("p"), 3);
    /* Nothing passes: the head stays. */
    cr_assert_eq(pick_without(hs, 2), 0);
    cr_assert_eq(pick1(hs, "p"), 2);
    close_hs(hs);
}

/* policies:P-19 … P-22; an update shows in the very next answer. */
Test(policy, lu_order_and_ties)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    (void)add(hs, "p", 1, POLICY_LU, 0x20000000);
    (void)add(hs, "p", 2, POLICY_LU, 0x10000000);
    (void)add(hs, "p", 3, POLICY_LU, 0x10000000);
    expect(hs, 1, "B C B C");
    expect(hs, 3, "BCA CBA BCA");
    cr_assert_eq(add(hs, "p", 1, POLICY_LU, 0x08000000), HS_UPDATED);
    expect(hs, 3, "ACB ACB");
    /* Back among the others: behind those that wait already. */
    cr_assert_eq(add(hs, "p", 1, POLICY_LU, 0x10000000), HS_UPDATED);
    expect(hs, 1, "C B A C B A");
    cr_assert_eq(add(hs, "p", 2, POLICY_LU, LOAD_FULL), HS_UPDATED);
    expect(hs, 3, "CAB ACB");
    close_hs(hs);
}

Test(policy, rand_shares)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3; i++) {
        (void)add(hs, "p", i, POLICY_RAND, 0);
    }
    const uint32_t draws = 60000;
    uint32_t first[4] = {0};
    uint32_t in_list[4] = {0};
    uint32_t pairs[16] = {0};
    for (uint32_t i = 0; i < draws; i++) {
        uint32_t ids[2];
        first[pick1(hs, "p")]++;
        cr_assert_eq(pick(hs, "p", 2, ids), 2);
        cr_assert_neq(ids[0], ids[1]);
        in_list[ids[0]]++;
        in_list[ids[1]]++;
        pairs[ids[0] * 4 + ids[1]]++;
    }
    double chi = 0;
    for (uint32_t i = 1; i <= 3; i++) {
        share_is(first[i], draws, 1.0 / 3);
        share_is(in_list[i], draws, 2.0 / 3);
        for (uint32_t j = 1; j <= 3; j++) {
            double d = i == j ? 0 : pairs[i * 4 + j] - draws / 6.0;
            chi += d * d / (draws / 6.0);
        }
    }
    shares_are(chi, 35.89);
    close_hs(hs);
}

Test(policy, rand_many_and_all)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 1000; i++) {
        (void)add(hs, "p", i, POLICY_RAND, 0);
    }
    static uint32_t hits[1001];
    const uint32_t rounds = 2000;
    for (uint32_t r = 0; r < rounds; r++) {
        uint32_t ids[100];
        bool seen[1001] = {false};
        cr_assert_eq(pick(hs, "p", 100, ids), 100);
        for (int i = 0; i < 100; i++) {
            cr_assert(!seen[ids[i]]);
            seen[ids[i]] = true;
            hits[ids[i]]++;
        }
    }
    /* Of 1000 single shares one would be out of its bound by chance in one of 1300 runs. A round's
     * hits exclude each other, hence 999 / 1000. */
    double chi = 0;
    for (uint32_t i = 1; i <= 1000; i++) {
        double off = hits[i] - rounds * 0.1;
        chi += off * off / (rounds * 0.1 * 0.9) * 999 / 1000;
    }
    shares_are(chi, 1226.05);
    uint32_t all[1024];
    cr_assert_eq(pick(hs, "p", 1024, all), 1000);
    uint64_t sum = 0;
    for (int i = 0; i < 1000; i++) {
        sum += all[i];
    }
    cr_assert_eq(sum, 500500);
    /* A filter that leaves few: found all the same. */
    uint32_t ids[1000];
    size_t n = pick(hs, "p", 1000, ids);
    cr_assert_eq(n, 1000);
    close_hs(hs);
}

static bool only_rare(void *ctx, const struct hs_element *element)
{
    (void)ctx;
    return element->pe_id % 700 == 0;
}

Test(policy, rand_finds_the_few_a_filter_leaves)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3000; i++) {
        (void)add(hs, "p", i, POLICY_RAND, 0);
    }
    const struct hs_element *found[8];
    for (int i = 0; i < 50; i++) {
        hs_read_begin();
        cr_assert_eq(hs_select(hs, pool_handle_of("p"), 8, only_rare, NULL, found), 4);
        hs_read_end();
    }
    close_hs(hs);
}

/* P-35: half a round trip, to the next multiple of the step; ties to an even one (policies.md §11).
 */
Test(policy, distances)
{
    static const struct {
        uint32_t srtt, step, distance;
    } cases[] = {{0, 50, 0},     {49, 50, 0},    {50, 50, 0},
                 {51, 50, 50},   {99, 50, 50},   {101, 50, 50},
                 {149, 50, 50},  {150, 50, 100}, {151, 50, 100},
                 {250, 50, 100}, {251, 50, 150}, {3, 1, 2},
                 {1, 1, 0},      {7, 0, 4},      {UINT32_MAX, 1, UINT32_C(0x80000000)}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert_eq(policy_distance(cases[i].srtt, cases[i].step), cases[i].distance,
                     "SRTT %u, step %u: %u", cases[i].srtt, cases[i].step,
                     policy_distance(cases[i].srtt, cases[i].step));
    }
}

/* Only the DPF policies have one: their last word. */
Test(policy, distance_words)
{
    unsigned n = 0;
    const struct policy_info *info;
    for (size_t i = 0; (info = policy_info_at(i)) != NULL; i++) {
        struct policy policy = {.type = info->type, .word_count = info->word_count};
        uint32_t *word = policy_distance_word(&policy);
        if (strstr(info->name, "-dpf") == NULL) {
            cr_assert_null(word, "%s", info->name);
            continue;
        }
        n++;
        cr_assert_eq(word, &policy.words[info->word_count - 1], "%s", info->name);
        policy.word_count--; /* cut off: nothing to write to */
        cr_assert_null(policy_distance_word(&policy), "%s", info->name);
    }
    cr_assert_eq(n, 3);
    cr_assert_null(policy_distance_word(&(struct policy){.type = 0x7777, .word_count = 4}));
}
