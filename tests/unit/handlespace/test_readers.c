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
