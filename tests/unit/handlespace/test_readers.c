/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Readers beside a busy writer: what they see is whole, ordered, and alive. */
#include "hs_fixture.h"

#include <pthread.h>
#include <stdatomic.h>

static atomic_bool done;
static struct hs *shared;

static void check_selection(const char *pool, size_t n, const struct hs_element **found)
{
    for (size_t i = 0; i < n; i++) {
        const struct hs_element *e = found[i];
        cr_assert(pool_handle_equal(*e->handle, pool_handle_of(pool)));
        cr_assert_eq(hs_user(e).port, 80);
        cr_assert_eq(hs_user(e).addresses[0].octets[0], 10);
        if (i > 0 && hs_policy(e).type == POLICY_LU) {
            cr_assert_geq(hs_policy(e).words[0], hs_policy(found[i - 1]).words[0]);
        }
        for (size_t j = 0; j < i; j++) {
            cr_assert_neq(found[j]->pe_id, e->pe_id);
        }
    }
}

static void *reader(void *arg)
{
    const char *const pools[] = {"rr", "lu", "rand"};
    uint64_t *selections = arg;
    hs_thread_register();
    while (!atomic_load(&done)) {
        for (int p = 0; p < 3; p++) {
            const struct hs_element *found[8];
            hs_read_begin();
            size_t n = hs_select(shared, pool_handle_of(pools[p]), 8, NULL, NULL, found);
            check_selection(pools[p], n, found);
            const struct hs_element *e = hs_find(shared, pool_handle_of(pools[p]), 5);
            cr_assert(e == NULL || e->pe_id == 5);
            (void)hs_checksum(shared, 0xa1b2c3d4);
            hs_read_end();
        }
        struct hs_cursor cursor = {0};
        hs_read_begin();
        for (int i = 0; i < 20 && hs_element_next(shared, &cursor) != NULL; i++) {
        }
        hs_read_end();
        (*selections)++;
    }
    hs_thread_unregister();
    return NULL;
}

Test(readers, see_whole_states, .timeout = 60)
{
    shared = open_hs(&NO_LIMITS);
    pthread_t threads[2];
    uint64_t selections[2] = {0};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, reader, &selections[i]), 0);
    }
    struct rnd rnd;
    rnd_seed(&rnd, 3);
    for (int i = 0; i < 20000; i++) {
        uint32_t id = 1 + (uint32_t)rnd_below(&rnd, 200);
        uint32_t load = (uint32_t)rnd_below(&rnd, 50);
        switch (rnd_below(&rnd, 4)) {
        case 0:
            (void)add(shared, "rr", id, POLICY_RR, 0);
            break;
        case 1:
            (void)add(shared, "lu", id, POLICY_LU, load);
            break;
        case 2:
            (void)add(shared, "rand", id, POLICY_RAND, 0);
            break;
        default: {
            const char *const pools[] = {"rr", "lu", "rand"};
            (void)hs_deregister(shared, pool_handle_of(pools[load % 3]), id);
        }
        }
        if (i % 5000 == 4999) {
            /* A pool that vanishes and comes back. */
            for (uint32_t j = 1; j <= 200; j++) {
                (void)hs_deregister(shared, pool_handle_of("lu"), j);
            }
        }
    }
    atomic_store(&done, true);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
        cr_assert_gt(selections[i], 0);
    }
    close_hs(shared);
}

/* --- fairness side by side ----------------------------------------------------------------------
 */

#define FAIR_ELEMENTS 50
#define FAIR_ROUNDS   400

struct fair {
    const char *pool;
    pthread_barrier_t *start;
    uint32_t hits[FAIR_ELEMENTS + 1];
};

static void *select_in_turn(void *arg)
{
    struct fair *f = (struct fair *)arg;
    hs_thread_register();
    (void)pthread_barrier_wait(f->start);
    for (int i = 0; i < FAIR_ELEMENTS * FAIR_ROUNDS / 2; i++) {
        f->hits[pick1(shared, f->pool)]++;
    }
    hs_thread_unregister();
    return NULL;
}

/* The bound that order.c, select_spread.c and select_least.c state: no selection is lost, each
 * reader gets a turn of its own, so what two select together is as even as what one selects. */
Test(readers, share_turns_evenly, .timeout = 60)
{
    static const uint32_t types[] = {POLICY_RR, POLICY_WRR, POLICY_LU, POLICY_LUD, POLICY_PRIO};
    for (size_t t = 0; t < sizeof(types) / sizeof(types[0]); t++) {
        pthread_barrier_t start;
        pthread_t threads[2];
        struct fair fair[2] = {{.pool = "p", .start = &start}, {.pool = "p", .start = &start}};
        shared = open_hs(&NO_LIMITS);
        for (uint32_t i = 1; i <= FAIR_ELEMENTS; i++) {
            cr_assert_eq(add(shared, "p", i, types[t], 5), HS_ADDED);
        }
        cr_assert_eq(pthread_barrier_init(&start, NULL, 2), 0);
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(pthread_create(&threads[i], NULL, select_in_turn, &fair[i]), 0);
        }
        for (int i = 0; i < 2; i++) {
            cr_assert_eq(pthread_join(threads[i], NULL), 0);
        }
        for (uint32_t i = 1; i <= FAIR_ELEMENTS; i++) {
            uint32_t hits = fair[0].hits[i] + fair[1].hits[i];
            /* One more or less for each of the two that may stand in the middle of a selection. */
            cr_assert(hits >= FAIR_ROUNDS - 2 && hits <= FAIR_ROUNDS + 2, "%u: %u has %u", types[t],
                      i, hits);
        }
        (void)pthread_barrier_destroy(&start);
        close_hs(shared);
    }
}
