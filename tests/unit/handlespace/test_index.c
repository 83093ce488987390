/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The elements of a pool by PE id: leaves that are filled, divided, joined and dropped. */
#include "hs_fixture.h"

#include "handlespace/internal.h"
#include "handlespace/tree_node.h"

#include <pthread.h>
#include <stdatomic.h>

enum { PES = 1000 };

/* The i-th of the identifiers: rising, falling, scattered. */
static uint32_t id_of(int order, uint32_t i)
{
    return order == 0 ? 1 + i : order == 1 ? UINT32_MAX - i : (i + 1) * 2654435761u;
}

static void is_whole(struct hs *hs, int order, const bool *in, uint32_t count)
{
    struct hs_cursor cursor = {0};
    uint32_t seen = 0;
    uint32_t last = 0;
    check(hs);
    hs_read_begin();
    for (const struct hs_element *e; (e = hs_element_next(hs, &cursor)) != NULL; seen++) {
        cr_assert_gt(e->pe_id, last);
        last = e->pe_id;
    }
    cr_assert_eq(seen, count);
    for (uint32_t i = 0; i < PES; i++) {
        const struct hs_element *e = hs_find(hs, pool_handle_of("p"), id_of(order, i));
        cr_assert_eq(e != NULL, in[i]);
        cr_assert(e == NULL || e->pe_id == id_of(order, i));
    }
    hs_read_end();
}

/* All in, all but one in twenty out, all in again, all out; out in an order of its own each. */
static void fill_and_empty(int order, int out_order)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    static bool in[PES];
    uint32_t count = 0;
    memset(in, 0, sizeof(in));
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < PES; i++) {
            cr_assert_eq(add(hs, "p", id_of(order, i), POLICY_RR, 0),
                         in[i] ? HS_UPDATED : HS_ADDED);
            count += in[i] ? 0 : 1;
            in[i] = true;
        }
        is_whole(hs, order, in, count);
        uint32_t full = hs->nodes.live;
        cr_assert_leq(full, PES / 6); /* two trees */
        for (uint32_t j = 0; j < PES; j++) {
            uint32_t i = out_order == 0 ? j : out_order == 1 ? PES - 1 - j : j * 7919 % PES;
            if (round == 0 && i % 20 == 7) {
                continue;
            }
            cr_assert_eq(hs_deregister(hs, pool_handle_of("p"), id_of(order, i)), HS_REMOVED);
            in[i] = false;
            count--;
            if (j % 400 == 3) {
                is_whole(hs, order, in, count);
            }
        }
        is_whole(hs, order, in, count);
        cr_assert_leq(hs->nodes.live, full / 5, "%u nodes of %u are left", hs->nodes.live, full);
    }
    cr_assert_eq(hs->nodes.live, 0);
    cr_assert_eq(hs_pool_count(hs), 0);
    close_hs(hs);
}

Test(index, filled_and_emptied)
{
    for (int order = 0; order < 3; order++) {
        for (int out_order = 0; out_order < 3; out_order++) {
            fill_and_empty(order, out_order);
        }
    }
}

/* Identifiers that rise fill their leaves, as most come. */
Test(index, rising_identifiers_leave_no_holes)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    uint32_t before = hs->nodes.live;
    for (uint32_t i = 0; i < PES; i++) {
        (void)add(hs, "p", 1 + i, POLICY_RR, 0);
    }
    hs_read_begin();
    /* What is not of the order is of the index: full leaves, and few nodes above. */
    const struct pool *pool = hs_find_pool(hs, pool_handle_of("p"));
    uint32_t order = 1;
    cr_assert_eq(pool->order->level, 2);
    for (unsigned i = 0; i < pool->order->n; i++) {
        order += 1u + node_child(pool->order, i)->n;
    }
    cr_assert_leq(hs->nodes.live - before - order, PES / 33 + 1 + 3 + 1);
    hs_read_end();
    close_hs(hs);
}

/* --- a reader beside the writer --------------------------------------------------------------- */

#define STAYS(id) ((id) % 16 == 5)
static atomic_bool over;

static void *read_on(void *arg)
{
    struct hs *hs = (struct hs *)arg;
    uintptr_t rounds = 0;
    hs_thread_register();
    do {
        struct hs_cursor cursor = {0};
        uint32_t last = 0;
        uint32_t stay = 0;
        for (;;) {
            hs_read_begin();
            const struct hs_element *e = hs_element_next(hs, &cursor);
            uint32_t id = e != NULL ? e->pe_id : 0;
            const struct hs_element *found =
                e != NULL && STAYS(id) ? hs_find(hs, pool_handle_of("p"), id) : NULL;
            cr_assert(e == NULL || !STAYS(id) || (found != NULL && found->pe_id == id));
            hs_read_end();
            if (e == NULL) {
                break;
            }
            cr_assert_gt(id, last);
            last = id;
            stay += STAYS(id) ? 1 : 0;
        }
        cr_assert_eq(stay, PES / 16 + (PES % 16 > 5 ? 1 : 0));
        rounds++;
    } while (!atomic_load(&over));
    hs_thread_unregister();
    return (void *)rounds;
}

/* Whatever comes and goes around it. */
Test(index, what_stays_is_found, .timeout = 60)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    pthread_t reader;
    void *rounds;
    for (uint32_t id = 1; id < PES; id++) {
        if (STAYS(id)) {
            (void)add(hs, "p", id, POLICY_RR, 0);
        }
    }
    cr_assert_eq(pthread_create(&reader, NULL, read_on, hs), 0);
    for (uint32_t round = 0; round < 6; round++) {
        for (uint32_t i = 1; i < PES; i++) {
            uint32_t id = 1 + i * 7919 % (PES - 1);
            if (STAYS(id)) {
                cr_assert_eq(add(hs, "p", id, POLICY_RR, 0), HS_UPDATED);
            } else if (round % 2 == 0) {
                cr_assert_eq(add(hs, "p", id, POLICY_RR, 0), HS_ADDED);
            } else {
                cr_assert_eq(hs_deregister(hs, pool_handle_of("p"), id), HS_REMOVED);
            }
        }
    }
    atomic_store(&over, true);
    cr_assert_eq(pthread_join(reader, &rounds), 0);
    cr_assert_gt((uintptr_t)rounds, 0);
    close_hs(hs);
}
