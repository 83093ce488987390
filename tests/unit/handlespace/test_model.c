/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random operations on a handlespace and on a model that is nothing but arrays; everything that can
 * be asked is compared, the sequences of selections included.
 */
#include "hs_fixture.h"

#include <stdlib.h>
#include <string.h>

#define POOLS    4
#define IDS      300
#define SELECT_K 5

/* A pool as a list: the element that has waited longest first, among equal keys. */
struct model_pool {
    uint32_t policy;
    uint32_t n;
    struct model_pe {
        uint32_t id;
        uint64_t key;
        uint64_t owner;
        int64_t expires;
    } pe[IDS];
};

static struct model_pool model[POOLS];
static const char *const NAMES[POOLS] = {"rr", "lu", "lu-coarse", "rand"};

static int model_find(const struct model_pool *pool, uint32_t id)
{
    for (uint32_t i = 0; i < pool->n; i++) {
        if (pool->pe[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

static void model_take_out(struct model_pool *pool, uint32_t i)
{
    memmove(pool->pe + i, pool->pe + i + 1, (pool->n - i - 1) * sizeof(pool->pe[0]));
    pool->n--;
}

static void model_put(struct model_pool *pool, struct model_pe pe)
{
    int i = model_find(pool, pe.id);
    if (i >= 0 && pool->pe[i].key == pe.key) {
        pool->pe[i] = pe;
        return;
    }
    if (i >= 0) {
        model_take_out(pool, (uint32_t)i);
    }
    pool->pe[pool->n++] = pe;
}

/* Least key first, among equals in list order; the first one chosen goes to the end. */
static uint32_t model_select(struct model_pool *pool, uint32_t k, uint32_t avoid, uint32_t *ids)
{
    bool taken[IDS] = {false};
    uint32_t got = 0;
    int first = -1;
    while (got < k) {
        int best = -1;
        for (uint32_t i = 0; i < pool->n; i++) {
            if (!taken[i] && pool->pe[i].id % 7 != avoid &&
                (best < 0 || pool->pe[i].key < pool->pe[best].key)) {
                best = (int)i;
            }
        }
        if (best < 0) {
            break;
        }
        taken[best] = true;
        ids[got++] = pool->pe[best].id;
        first = first < 0 ? best : first;
    }
    if (first >= 0) {
        /* Those of its ring that were passed over keep their places behind it. */
        struct model_pe pe = pool->pe[first];
        struct model_pe passed[IDS];
        uint32_t n_passed = 0;
        for (int i = 0; i < first;) {
            if (pool->pe[i].key == pe.key) {
                passed[n_passed++] = pool->pe[i];
                model_take_out(pool, (uint32_t)i);
                first--;
            } else {
                i++;
            }
        }
        model_take_out(pool, (uint32_t)first);
        for (uint32_t i = 0; i < n_passed; i++) {
            pool->pe[pool->n++] = passed[i];
        }
        pool->pe[pool->n++] = pe;
    }
    return got;
}

static bool avoid_class(void *ctx, const struct hs_element *element)
{
    return element->pe_id % 7 != *(const uint32_t *)ctx;
}

static void op_register(struct hs *hs, struct rnd *rnd, uint32_t p, int64_t now)
{
    uint32_t id = 1 + (uint32_t)rnd_below(rnd, IDS);
    uint32_t load = (uint32_t)rnd_below(rnd, p == 2 ? 3 : 1000);
    struct model_pe pe = {.id = id, .owner = rnd_below(rnd, 5), .expires = INT64_MAX};
    int64_t life = rnd_below(rnd, 3) == 0 ? -1 : (int64_t)rnd_below(rnd, 20000);
    if (life >= 0) {
        pe.expires = (now + life) * 1000;
    }
    pe.key = model[p].policy == POLICY_LU ? load : 0;
    struct pool_element element = make_pe(id, model[p].policy, load);
    element.home_id = 1 + (uint32_t)rnd_below(rnd, 3);
    enum hs_result wanted = model_find(&model[p], id) >= 0 ? HS_UPDATED : HS_ADDED;
    cr_assert_eq(hs_register(hs, pool_handle_of(NAMES[p]), &element, life, pe.owner, at_ms(now)),
                 wanted);
    model_put(&model[p], pe);
}

static void op_deregister(struct hs *hs, struct rnd *rnd, uint32_t p)
{
    uint32_t id = 1 + (uint32_t)rnd_below(rnd, IDS);
    int i = model_find(&model[p], id);
    cr_assert_eq(hs_deregister(hs, pool_handle_of(NAMES[p]), id), i >= 0 ? HS_REMOVED : HS_UNKNOWN);
    if (i >= 0) {
        model_take_out(&model[p], (uint32_t)i);
    }
}

static void op_select(struct hs *hs, struct rnd *rnd, uint32_t p)
{
    uint32_t wanted[SELECT_K];
    const struct hs_element *found[SELECT_K];
    uint32_t avoid = (uint32_t)rnd_below(rnd, 8);
    uint32_t k = 1 + (uint32_t)rnd_below(rnd, SELECT_K);
    hs_read_begin();
    size_t n = hs_select(hs, pool_handle_of(NAMES[p]), k, avoid_class, &avoid, found);
    if (model[p].policy == POLICY_RAND) {
        struct model_pool copy = model[p];
        cr_assert_eq(n, model_select(&copy, k, avoid, wanted));
        for (size_t i = 0; i < n; i++) {
            cr_assert_geq(model_find(&model[p], found[i]->pe_id), 0);
            for (size_t j = 0; j < i; j++) {
                cr_assert_neq(found[i], found[j]);
            }
        }
    } else {
        cr_assert_eq(n, model_select(&model[p], k, avoid, wanted));
        for (size_t i = 0; i < n; i++) {
            cr_assert_eq(found[i]->pe_id, wanted[i]);
        }
    }
    hs_read_end();
}

static void op_expire(struct hs *hs, int64_t now)
{
    for (;;) {
        hs_read_begin();
        const struct hs_element *e = hs_due(hs, at_ms(now));
        uint32_t id = e != NULL ? e->pe_id : 0;
        uint32_t p = 0;
        while (e != NULL && !pool_handle_equal(*e->handle, pool_handle_of(NAMES[p]))) {
            p++;
        }
        hs_read_end();
        if (id == 0) {
            break;
        }
        int i = model_find(&model[p], id);
        cr_assert_geq(i, 0);
        cr_assert_leq(model[p].pe[i].expires, now * 1000);
        cr_assert_eq(hs_deregister(hs, pool_handle_of(NAMES[p]), id), HS_REMOVED);
        model_take_out(&model[p], (uint32_t)i);
    }
    for (uint32_t p = 0; p < POOLS; p++) {
        for (uint32_t i = 0; i < model[p].n; i++) {
            cr_assert_gt(model[p].pe[i].expires, now * 1000);
        }
    }
}

static void compare(struct hs *hs)
{
    uint32_t total = 0;
    uint32_t pools = 0;
    hs_read_begin();
    for (uint32_t p = 0; p < POOLS; p++) {
        struct hs_cursor cursor = {0};
        const struct hs_element *e;
        uint32_t n = 0;
        while ((e = hs_pool_element_next(hs, pool_handle_of(NAMES[p]), &cursor)) != NULL) {
            int i = model_find(&model[p], e->pe_id);
            cr_assert_geq(i, 0);
            cr_assert_eq(model[p].pe[i].owner, e->owner_ref);
            n++;
        }
        cr_assert_eq(n, model[p].n);
        total += n;
        pools += n > 0 ? 1 : 0;
    }
    hs_read_end();
    cr_assert_eq(hs_element_count(hs), total);
    cr_assert_eq(hs_pool_count(hs), pools);
    check(hs);
}

static void run(uint64_t seed, int operations)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct rnd rnd;
    int64_t now = 0;
    rnd_seed(&rnd, seed);
    const uint32_t policies[POOLS] = {POLICY_RR, POLICY_LU, POLICY_LU, POLICY_RAND};
    for (uint32_t p = 0; p < POOLS; p++) {
        model[p].policy = policies[p];
        model[p].n = 0;
    }
    for (int i = 0; i < operations; i++) {
        uint32_t p = (uint32_t)rnd_below(&rnd, POOLS);
        /* Phases of growth and decay, so that pools also empty. */
        uint64_t growth = i / 5000 % 2 == 0 ? 50 : 20;
        uint64_t dice = rnd_below(&rnd, 100);
        if (dice < growth) {
            op_register(hs, &rnd, p, now);
        } else if (dice < 60) {
            op_deregister(hs, &rnd, p);
        } else if (dice < 95) {
            op_select(hs, &rnd, p);
        } else {
            now += (int64_t)rnd_below(&rnd, 20);
            op_expire(hs, now);
        }
        if (i % 500 == 0) {
            compare(hs);
        }
    }
    compare(hs);
    close_hs(hs);
}

Test(model, fifty_thousand_operations)
{
    run(1, 50000);
}

Test(model, other_seeds)
{
    for (uint64_t seed = 2; seed < 6; seed++) {
        run(seed, 5000);
    }
}
