/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What each policy selects, and how often, with the bounds of policies.md §11 (policies:P-43). */
#include "hs_fixture.h"

#define PERCENT(n) ((uint32_t)((uint64_t)(n)*LOAD_FULL / 100))

/* Draws one at a time; hits[id] counts. */
static void draw(struct hs *hs, uint32_t draws, uint32_t *hits)
{
    for (uint32_t i = 0; i < draws; i++) {
        hits[pick1(hs, "p")]++;
    }
}

/* --- WRR --- */

static uint32_t gcd(uint32_t a, uint32_t b)
{
    while (b != 0) {
        uint32_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Every window of sum / gcd requests holds each PE its times; no run is longer than it must be. */
static void even(const uint32_t *weights, uint32_t n)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    static uint32_t sequence[60000];
    uint32_t common = 0;
    uint32_t sum = 0;
    for (uint32_t i = 0; i < n; i++) {
        cr_assert_eq(ADD(hs, i + 1, POLICY_WRR, weights[i]), HS_ADDED);
        common = gcd(common, weights[i]);
        sum += weights[i];
    }
    const uint32_t window = sum / common;
    const uint32_t length = 3 * window;
    cr_assert_leq(length, 60000);
    for (uint32_t i = 0; i < length; i++) {
        sequence[i] = pick1(hs, "p");
    }
    for (uint32_t id = 1; id <= n; id++) {
        uint32_t w = weights[id - 1] / common;
        uint32_t bound = n > 1 ? (window - 1) / (window - w) + 1 : length;
        uint32_t in_window = 0;
        uint32_t run = 0;
        for (uint32_t i = 0; i < length; i++) {
            in_window += sequence[i] == id ? 1 : 0;
            in_window -= i >= window && sequence[i - window] == id ? 1 : 0;
            cr_assert(i + 1 < window || in_window == w, "PE %u at %u: %u times, weight %u", id, i,
                      in_window, w);
            run = sequence[i] == id ? run + 1 : 0;
            cr_assert(run <= bound, "PE %u: %u in a row, weight %u of %u", id, run, w, window);
        }
    }
    close_hs(hs);
}

/* policies:P-8, policies:P-9 */
Test(distribution, wrr_is_even)
{
    even((const uint32_t[]){1, 2, 3}, 3);
    even((const uint32_t[]){2, 4, 6}, 3);
    even((const uint32_t[]){1, 2, 5}, 3);
    even((const uint32_t[]){7}, 1);
    even((const uint32_t[]){1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 10}, 11);
    even((const uint32_t[]){100, 1, 1}, 3);
    even((const uint32_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 55}, 11);
    even((const uint32_t[]){13, 17, 19, 23, 29, 31, 37, 41, 43, 500}, 10);
    struct rnd rnd;
    rnd_seed(&rnd, test_seed() + 5);
    for (int round = 0; round < 30; round++) {
        uint32_t weights[32];
        uint32_t n = 2 + (uint32_t)rnd_below(&rnd, 30);
        for (uint32_t i = 0; i < n; i++) {
            weights[i] = 1 + (uint32_t)rnd_below(&rnd, 3 + round * 5);
        }
        even(weights, n);
    }
}

/* policies:P-8, policies:P-11 */
Test(distribution, wrr_ratio_and_rr)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t hits[4] = {0};
    for (uint32_t i = 1; i <= 3; i++) {
        (void)ADD(hs, i, POLICY_WRR, i);
    }
    draw(hs, 6000, hits);
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_eq(hits[i], 1000 * i);
    }
    close_hs(hs);
    hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3; i++) {
        (void)ADD(hs, i, POLICY_WRR, 5);
    }
    expect(hs, 1, "A B C A B C A");
    expect(hs, 2, "BC CA AB BC CA");
    expect(hs, 9, "ABC BCA CAB");
    close_hs(hs);
}

/* Many elements in deep trees, of great weights: windows are exact all the same. */
Test(distribution, wrr_many)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    static uint32_t hits[3001];
    uint32_t sum = 0;
    for (uint32_t i = 1; i <= 3000; i++) {
        (void)ADD(hs, i, POLICY_WRR, 1 + i % 7);
        sum += 1 + i % 7;
    }
    for (int window = 1; window <= 2; window++) {
        draw(hs, sum, hits);
        for (uint32_t i = 1; i <= 3000; i++) {
            cr_assert_eq(hits[i], (uint32_t)window * (1 + i % 7));
        }
    }
    close_hs(hs);
    hs = open_hs(&NO_LIMITS);
    uint32_t few[4] = {0};
    (void)ADD(hs, 1, POLICY_WRR, UINT32_MAX);
    (void)ADD(hs, 2, POLICY_WRR, UINT32_MAX);
    (void)ADD(hs, 3, POLICY_WRR, UINT32_MAX - 1);
    draw(hs, 3000, few);
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert(few[i] >= 999 && few[i] <= 1001);
    }
    close_hs(hs);
}

/* PD-4: those of weight 0 only when there is nobody else. */
Test(distribution, wrr_zero)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    (void)ADD(hs, 1, POLICY_WRR, 0);
    (void)ADD(hs, 2, POLICY_WRR, 2);
    (void)ADD(hs, 3, POLICY_WRR, 0);
    (void)ADD(hs, 4, POLICY_WRR, 1);
    uint32_t hits[5] = {0};
    draw(hs, 300, hits);
    cr_assert(hits[1] == 0 && hits[2] == 200 && hits[3] == 0 && hits[4] == 100);
    for (int i = 0; i < 10; i++) {
        uint32_t ids[4];
        cr_assert_eq(pick(hs, "p", 4, ids), 4);
        cr_assert(ids[2] == 1 && ids[3] == 3);
    }
    (void)hs_deregister(hs, pool_handle_of("p"), 2);
    (void)hs_deregister(hs, pool_handle_of("p"), 4);
    uint32_t first = pick1(hs, "p");
    cr_assert_eq(pick1(hs, "p"), first == 1 ? 3 : 1);
    close_hs(hs);
}

/* In the middle of its cycle elements join, leave and change weight: shares stay what they are. */
Test(distribution, wrr_churn)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct rnd rnd;
    uint32_t hits[101] = {0};
    rnd_seed(&rnd, 9); /* nothing is drawn by the policy, and how nearly is a matter of who joins */
    for (uint32_t i = 1; i <= 60; i++) {
        (void)ADD(hs, i, POLICY_WRR, i <= 3 ? 30 * i : 1 + i % 5);
    }
    const uint32_t draws = 100000;
    for (uint32_t i = 0; i < draws; i++) {
        if (i % 7 == 0) {
            uint32_t id = 4 + (uint32_t)rnd_below(&rnd, 57);
            (void)ADD(hs, id, POLICY_WRR, 1 + (uint32_t)rnd_below(&rnd, 9));
        }
        hits[pick1(hs, "p")]++;
    }
    /* The three heavy ones never change: among them the ratio is 1 : 2 : 3, nearly exactly. */
    double unit = (double)(hits[1] + hits[2] + hits[3]) / 6;
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_lt(fabs(hits[i] / unit - i), 0.01 * i, "%u: %u of %f", i, hits[i], unit);
    }
    close_hs(hs);
}

/* --- random --- */

/* policies:P-14, policies:P-15 */
Test(distribution, wrand_shares)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t hits[4] = {0};
    uint32_t listed[4] = {0};
    const uint32_t draws = 60000;
    for (uint32_t i = 1; i <= 3; i++) {
        (void)ADD(hs, i, POLICY_WRAND, i);
    }
    draw(hs, draws, hits);
    for (uint32_t i = 0; i < draws; i++) {
        uint32_t ids[2];
        cr_assert_eq(pick(hs, "p", 2, ids), 2);
        cr_assert_neq(ids[0], ids[1]);
        listed[ids[0]]++;
        listed[ids[1]]++;
    }
    const double in_two[] = {0, 5.0 / 12, 11.0 / 15, 0.85};
    double chi = 0;
    for (uint32_t i = 1; i <= 3; i++) {
        share_is(hits[i], draws, i / 6.0);
        share_is(listed[i], draws, in_two[i]);
        double off = hits[i] - draws * i / 6.0;
        chi += off * off / (draws * i / 6.0);
    }
    shares_are(chi, 27.63);
    close_hs(hs);
}

/* Many weights, in a deep tree, among elements that come and go. */
Test(distribution, wrand_many)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct rnd rnd;
    static uint32_t hits[1001];
    uint32_t weights[101];
    const uint32_t draws = 200000;
    double total = 0;
    rnd_seed(&rnd, test_seed() + 17);
    for (uint32_t i = 1; i <= 1000; i++) {
        uint32_t weight = 1 + (uint32_t)rnd_below(&rnd, 1000000);
        (void)ADD(hs, i, POLICY_WRAND, weight);
    }
    for (uint32_t i = 101; i <= 1000; i++) {
        (void)hs_deregister(hs, pool_handle_of("p"), i);
    }
    for (uint32_t i = 1; i <= 100; i++) {
        weights[i] = 100 + (uint32_t)rnd_below(&rnd, 900);
        (void)ADD(hs, i, POLICY_WRAND, weights[i]);
        total += weights[i];
    }
    draw(hs, draws, hits);
    double chi = 0;
    for (uint32_t i = 1; i <= 100; i++) {
        double wanted = draws * weights[i] / total;
        chi += (hits[i] - wanted) * (hits[i] - wanted) / wanted;
    }
    shares_are(chi, 180.79);
    close_hs(hs);
}

/* policies:P-3 */
Test(distribution, wrand_zero)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t ids[4];
    (void)ADD(hs, 1, POLICY_WRAND, 0);
    (void)ADD(hs, 2, POLICY_WRAND, 2);
    (void)ADD(hs, 3, POLICY_WRAND, 0);
    for (int i = 0; i < 1000; i++) {
        cr_assert(pick(hs, "p", 3, ids) == 1 && ids[0] == 2);
    }
    /* All of weight 0: an empty answer (policies.md §4.4). */
    (void)ADD(hs, 2, POLICY_WRAND, 0);
    cr_assert_eq(pick(hs, "p", 3, ids), 0);
    /* One so heavy that the others were hardly ever drawn: all are found. */
    (void)ADD(hs, 1, POLICY_WRAND, 1);
    (void)ADD(hs, 2, POLICY_WRAND, UINT32_MAX);
    (void)ADD(hs, 3, POLICY_WRAND, 1);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(pick(hs, "p", 4, ids), 3);
        cr_assert_eq(ids[0], 2);
    }
    close_hs(hs);
}

/* policies:P-29 */
Test(distribution, rlu_shares)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t hits[4] = {0};
    const uint32_t draws = 100000;
    (void)ADD(hs, 1, POLICY_RLU, 0);
    (void)ADD(hs, 2, POLICY_RLU, PERCENT(50));
    (void)ADD(hs, 3, POLICY_RLU, LOAD_FULL);
    draw(hs, draws, hits);
    share_is(hits[1], draws, 2.0 / 3);
    share_is(hits[2], draws, 1.0 / 3);
    cr_assert_leq(hits[3], 1);
    /* PD-5: a pool of nothing but full elements still serves. */
    (void)hs_deregister(hs, pool_handle_of("p"), 1);
    (void)hs_deregister(hs, pool_handle_of("p"), 2);
    cr_assert_eq(pick1(hs, "p"), 3);
    close_hs(hs);
}

Test(distribution, rplu_shares)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t hits[3] = {0};
    (void)ADD(hs, 1, POLICY_RPLU, PERCENT(20), PERCENT(20));
    (void)ADD(hs, 2, POLICY_RPLU, PERCENT(20), PERCENT(60));
    draw(hs, 60000, hits);
    share_is(hits[1], 60000, 0.75);
    close_hs(hs);
}

Test(distribution, wrand_dpf_shares)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t hits[3] = {0};
    (void)ADD(hs, 1, POLICY_WRAND_DPF, 100, 0x00a00000, 100);
    (void)ADD(hs, 2, POLICY_WRAND_DPF, 100, 0x00a00000, 0);
    draw(hs, 100000, hits);
    share_is(hits[1], 100000, 76.0 / 176);
    /* PD-13: however far away, it keeps 1. */
    (void)ADD(hs, 1, POLICY_WRAND_DPF, 100, UINT32_MAX, 1);
    (void)ADD(hs, 2, POLICY_WRAND_DPF, 1, UINT32_MAX, UINT32_MAX);
    hits[1] = hits[2] = 0;
    draw(hs, 10000, hits);
    share_is(hits[1], 10000, 0.5);
    close_hs(hs);
}

/*
 * PD-9: with degradation the weights fall with each selection. Two elements that begin alike: the
 * one with the greater degradation gets less and less; a re-registration starts it anew.
 */
Test(distribution, rlud_degrades)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    const uint32_t types[] = {POLICY_RLUD, POLICY_RPLUD};
    for (int t = 0; t < 2; t++) {
        uint32_t hits[3] = {0};
        (void)ADD(hs, 1, types[t], 0, 0);
        (void)ADD(hs, 2, types[t], 0, PERCENT(1));
        draw(hs, 2000, hits);
        cr_assert_geq(hits[2], 80);
        cr_assert_leq(hits[2], 101); /* each takes a hundredth of it */
        check(hs);
        (void)ADD(hs, 2, types[t], 0, PERCENT(1));
        hits[1] = hits[2] = 0;
        draw(hs, 40, hits);
        cr_assert_geq(hits[2], 5);
        /* Once all of it is taken both are down to next to nothing, and still serve. */
        (void)ADD(hs, 1, types[t], 0, PERCENT(1));
        (void)ADD(hs, 2, types[t], 0, PERCENT(1));
        hits[1] = hits[2] = 0;
        draw(hs, 1000, hits);
        cr_assert_eq(hits[1] + hits[2], 1000);
        cr_assert(hits[1] > 350 && hits[2] > 350);
        (void)hs_deregister(hs, pool_handle_of("p"), 1);
        (void)hs_deregister(hs, pool_handle_of("p"), 2);
    }
    close_hs(hs);
}

static bool not_divisible(void *ctx, const struct hs_element *element)
{
    return element->pe_id % *(const uint32_t *)ctx != 0;
}

/* Whatever is wanted and refused, no element comes twice and none is missed (policies:P-12,
 * policies:P-15). */
Test(distribution, no_element_twice)
{
    for (size_t t = 0; policy_info_at(t) != NULL; t++) {
        const uint32_t n = 700;
        struct hs *hs = open_hs(&NO_LIMITS);
        struct rnd rnd;
        rnd_seed(&rnd, test_seed() + t);
        for (uint32_t i = 1; i <= n; i++) {
            uint32_t w = 1 + (uint32_t)rnd_below(&rnd, 100000);
            cr_assert_eq(ADD(hs, i, policy_info_at(t)->type, w, w / 2, w / 3, w / 4), HS_ADDED);
        }
        for (uint32_t round = 0; round < 40; round++) {
            const struct hs_element *found[1024];
            uint32_t every = 1 + round % 4;
            uint32_t k = 1 + (uint32_t)rnd_below(&rnd, round % 10 == 0 ? 1000 : 140);
            uint32_t pass = every == 1 ? 0 : n - n / every;
            bool seen[701] = {false};
            hs_read_begin();
            size_t got = hs_select(hs, pool_handle_of("p"), k, not_divisible, &every, found);
            cr_assert_eq(got, k < pass ? k : pass, "%s", policy_info_at(t)->name);
            for (size_t i = 0; i < got; i++) {
                cr_assert(!seen[found[i]->pe_id] && found[i]->pe_id % every != 0);
                seen[found[i]->pe_id] = true;
            }
            hs_read_end();
        }
        close_hs(hs);
    }
}

/* --- in order --- */

/* policies:P-17 */
Test(distribution, prio_order)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    (void)ADD(hs, 1, POLICY_PRIO, 10);
    (void)ADD(hs, 2, POLICY_PRIO, 30);
    (void)ADD(hs, 3, POLICY_PRIO, 30);
    (void)ADD(hs, 4, POLICY_PRIO, 20);
    expect(hs, 4, "BCDA CBDA BCDA");
    expect(hs, 1, "C B C");
    (void)ADD(hs, 1, POLICY_PRIO, UINT32_MAX);
    (void)ADD(hs, 2, POLICY_PRIO, 0);
    expect(hs, 4, "ACDB ACDB");
    close_hs(hs);
}

/* policies:P-24, policies:P-25: exact sequences of policies.md §4.7; a registration starts the
 * counter anew. */
Test(distribution, lud_sequences)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (int round = 0; round < 3; round++) {
        (void)ADD(hs, 1, POLICY_LUD, 0, LOAD_FULL / 16);
        (void)ADD(hs, 2, POLICY_LUD, 0, LOAD_FULL / 16 * 2);
        expect(hs, 1, round == 0 ? "A B A B A A B A A B A A B" : "A");
        if (round > 0) {
            uint32_t hits[3] = {0};
            draw(hs, 20, hits);
            cr_assert(hits[1] >= 13 && hits[1] <= 14 && hits[2] == 20 - hits[1]);
        }
        check(hs);
        (void)hs_deregister(hs, pool_handle_of("p"), 1);
        (void)hs_deregister(hs, pool_handle_of("p"), 2);
    }
    (void)ADD(hs, 1, POLICY_LUD, 0x40000000, 0x01000000);
    (void)ADD(hs, 2, POLICY_LUD, 0, 0x10000000);
    expect(hs, 1, "B B B B A B A A A A A A A");
    (void)ADD(hs, 2, POLICY_LUD, 0, 0x10000000);
    expect(hs, 1, "B B B B");
    close_hs(hs);
}

Test(distribution, lud_lists_and_ties)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 3; i++) {
        (void)ADD(hs, i, POLICY_LUD, 7, 0);
    }
    /* Equal and without degradation: round robin, only the first one moves on. */
    expect(hs, 1, "A B C A B");
    expect(hs, 3, "CAB ABC BCA");
    (void)ADD(hs, 4, POLICY_LUD, 3, PERCENT(10));
    expect(hs, 4, "DCAB CABD");
    close_hs(hs);
}

/* More are asked for than a search holds at a time, and most are refused: still the best. */
Test(distribution, lud_deep_lists)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 2000; i++) {
        (void)ADD(hs, i, POLICY_LUD, i * 7919 % 2003, 5);
    }
    for (uint32_t k = 1; k < 1024; k = k * 3 + 1) {
        const struct hs_element *found[1024];
        uint32_t two = 2;
        hs_read_begin();
        size_t n = hs_select(hs, pool_handle_of("p"), k, not_divisible, &two, found);
        cr_assert_eq(n, k < 1000 ? k : 1000);
        for (size_t i = 1; i < n; i++) {
            cr_assert_leq(hs_policy(found[i - 1]).words[0], hs_policy(found[i]).words[0] + 40);
            cr_assert_eq(found[i]->pe_id % 2, 1);
        }
        hs_read_end();
        check(hs);
    }
    close_hs(hs);
}

/* policies:P-26, policies:P-27 */
Test(distribution, plu_order)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    (void)ADD(hs, 1, POLICY_PLU, PERCENT(50), PERCENT(10));
    (void)ADD(hs, 2, POLICY_PLU, PERCENT(50), PERCENT(50));
    expect(hs, 1, "A A A");
    expect(hs, 2, "AB AB");
    (void)ADD(hs, 3, POLICY_PLU, PERCENT(55), PERCENT(5));
    expect(hs, 3, "ACB CAB");
    close_hs(hs);
}

Test(distribution, plud_and_lud_dpf)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    (void)ADD(hs, 1, POLICY_PLUD, 0, LOAD_FULL / 16);
    (void)ADD(hs, 2, POLICY_PLUD, 0, LOAD_FULL / 16 * 2);
    expect(hs, 1, "A B A A B A A B");
    close_hs(hs);
    hs = open_hs(&NO_LIMITS);
    (void)ADD(hs, 1, POLICY_LUD_DPF, 0, 100, 10, 50);
    (void)ADD(hs, 2, POLICY_LUD_DPF, 0, 200, 10, 20);
    /* 500, 600, 700 … and 200, 400, 600 …; at 600 the second has waited longer. */
    expect(hs, 1, "B B A B A A B");
    close_hs(hs);
}

/* policies:P-37: the table of policies.md §6. */
Test(distribution, lu_dpf_order)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    (void)ADD(hs, 3, POLICY_LU_DPF, 0, 0x00800000, 100);
    (void)ADD(hs, 2, POLICY_LU_DPF, 0x18000000, 0x00200000, 0);
    (void)ADD(hs, 1, POLICY_LU_DPF, 0x10000000, 0x00200000, 50);
    expect(hs, 3, "ABC ABC");
    (void)ADD(hs, 2, POLICY_LU_DPF, 0x18000000, UINT32_MAX, UINT32_MAX);
    expect(hs, 3, "ACB");
    close_hs(hs);
}

/* policies:P-39: sums end at a full load; who is there is still selected. */
Test(distribution, saturation)
{
    const uint32_t types[] = {POLICY_LUD, POLICY_PLU, POLICY_PLUD, POLICY_LU_DPF, POLICY_LUD_DPF};
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        struct hs *hs = open_hs(&NO_LIMITS);
        (void)ADD(hs, 1, types[t], LOAD_FULL, LOAD_FULL, LOAD_FULL, LOAD_FULL);
        for (int i = 0; i < 10; i++) {
            cr_assert_eq(pick1(hs, "p"), 1);
        }
        (void)ADD(hs, 2, types[t], LOAD_FULL - 1, 2, LOAD_FULL, LOAD_FULL);
        uint32_t hits[3] = {0};
        draw(hs, 100, hits);
        cr_assert(hits[1] >= 49 && hits[2] >= 49, "%zu: %u %u", t, hits[1], hits[2]);
        (void)ADD(hs, 2, types[t], 0, 1, 1, 1);
        expect(hs, 1, "B B B");
        check(hs);
        close_hs(hs);
    }
}

/* policies:P-33: every policy refuses every other, and the pool stays as it is. */
Test(distribution, mixed_policies)
{
    for (size_t i = 0; policy_info_at(i) != NULL; i++) {
        struct hs *hs = open_hs(&NO_LIMITS);
        (void)ADD(hs, 1, policy_info_at(i)->type, 1, 1, 1, 1);
        for (size_t j = 0; policy_info_at(j) != NULL; j++) {
            enum hs_result wanted = i == j ? HS_UPDATED : HS_INCONSISTENT_POLICY;
            cr_assert_eq(ADD(hs, 1, policy_info_at(j)->type, 1, 1, 1, 1), wanted);
            cr_assert_eq(ADD(hs, 2, policy_info_at(j)->type, 1, 1, 1, 1),
                         i == j ? HS_ADDED : wanted);
        }
        cr_assert_eq(hs_element_count(hs), 2);
        close_hs(hs);
    }
}

/* policies:P-43: equal loads are served alike under every policy (policies:P-21, policies:P-26),
 * while others join and leave. */
Test(distribution, equal_fairness_under_churn)
{
    const uint32_t types[] = {POLICY_RR,  POLICY_WRR,    POLICY_PRIO, POLICY_LU,     POLICY_LUD,
                              POLICY_PLU, POLICY_LU_DPF, POLICY_PLUD, POLICY_LUD_DPF};
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        struct hs *hs = open_hs(&NO_LIMITS);
        struct rnd rnd;
        uint32_t hits[200] = {0};
        uint32_t changes = 0;
        rnd_seed(&rnd, t);
        for (uint32_t i = 1; i <= 50; i++) {
            (void)ADD(hs, i, types[t], 5, 0, 0, 0);
        }
        for (uint32_t i = 0; i < 20000; i++) {
            if (i % 100 == 0) {
                uint32_t id = 51 + (uint32_t)rnd_below(&rnd, 20);
                if (hs_deregister(hs, pool_handle_of("p"), id) != HS_REMOVED) {
                    (void)ADD(hs, id, types[t], 5, 0, 0, 0);
                }
                changes++;
            }
            hits[pick1(hs, "p")]++;
        }
        uint32_t least = UINT32_MAX;
        uint32_t most = 0;
        for (uint32_t i = 1; i <= 50; i++) {
            least = hits[i] < least ? hits[i] : least;
            most = hits[i] > most ? hits[i] : most;
        }
        /* Exact but for WRR, whose position moves with the length of its cycle. */
        uint32_t slack = types[t] == POLICY_WRR ? changes / 4 : 1;
        cr_assert_leq(most - least, slack, "%u: %u to %u", types[t], least, most);
        close_hs(hs);
    }
}

/* --- the pool user's rules ----------------------------------------------------------------------
 */

static struct hs *open_cache(void)
{
    hs_thread_register();
    struct hs *hs = hs_new_cache(&NO_LIMITS, test_seed());
    cr_assert_not_null(hs);
    return hs;
}

/* policies:P-6, policies:P-10: one after the other from the list, whatever they weigh. */
Test(distribution, user_cycles)
{
    const uint32_t types[] = {POLICY_RR, POLICY_WRR};
    for (int t = 0; t < 2; t++) {
        struct hs *hs = open_cache();
        (void)ADD(hs, 1, types[t], 100);
        (void)ADD(hs, 2, types[t], 10);
        (void)ADD(hs, 3, types[t], 1);
        expect(hs, 1, "A B C A B C");
        expect(hs, 2, "AB BC CA");
        close_hs(hs);
    }
}

/* policies:P-13, policies:P-16, policies:P-30: any of the list, weights are not applied again. */
Test(distribution, user_draws_alike)
{
    const uint32_t types[] = {POLICY_RAND, POLICY_WRAND, POLICY_RLU, POLICY_RLUD, POLICY_WRAND_DPF};
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        struct hs *hs = open_cache();
        uint32_t hits[4] = {0};
        (void)ADD(hs, 1, types[t], 1, 1, 1);
        (void)ADD(hs, 2, types[t], 100, 1, 1);
        (void)ADD(hs, 3, types[t], LOAD_FULL, 1, 1);
        draw(hs, 30000, hits);
        for (uint32_t i = 1; i <= 3; i++) {
            share_is(hits[i], 30000, 1.0 / 3);
        }
        close_hs(hs);
    }
}

static bool not_first(void *ctx, const struct hs_element *element)
{
    (void)ctx;
    return element->pe_id != 3;
}

/* policies:P-18, policies:P-23, policies:P-28: the first of the list; the next when it fails. */
Test(distribution, user_takes_the_first)
{
    const uint32_t types[] = {POLICY_LUD, POLICY_PLUD, POLICY_LUD_DPF};
    const struct hs_element *found;
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        struct hs *hs = open_cache();
        /* The registrar knows why it lists them like this: not the loads alone say it. */
        (void)ADD(hs, 3, types[t], 50, PERCENT(1), 1, 1);
        (void)ADD(hs, 1, types[t], 10, PERCENT(1), 1, 1);
        (void)ADD(hs, 2, types[t], 90, PERCENT(1), 1, 1);
        expect(hs, 3, "CAB CAB CAB");
        hs_read_begin();
        cr_assert_eq(hs_select(hs, pool_handle_of("p"), 1, not_first, NULL, &found), 1);
        cr_assert_eq(found->pe_id, 1);
        hs_read_end();
        /* The next answer has another order. */
        (void)ADD(hs, 2, types[t], 90, PERCENT(1), 1, 1);
        (void)ADD(hs, 3, types[t], 50, PERCENT(1), 1, 1);
        (void)ADD(hs, 1, types[t], 10, PERCENT(1), 1, 1);
        expect(hs, 3, "BCA BCA");
        close_hs(hs);
    }
    struct hs *hs = open_cache();
    (void)ADD(hs, 3, POLICY_PRIO, 50);
    (void)ADD(hs, 1, POLICY_PRIO, 90);
    expect(hs, 1, "A A A");
    close_hs(hs);
    hs = open_cache();
    (void)ADD(hs, 3, POLICY_LU, 50);
    (void)ADD(hs, 1, POLICY_LU, 90);
    expect(hs, 2, "CA CA");
    close_hs(hs);
}
