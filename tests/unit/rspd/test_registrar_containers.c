/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Below the registrar: hashes, hash tables, the heap of timers. */
#include "registrar_fixture.h"

#include "rspd/registrar/rg_internal.h"

TestSuite(containers, .init = open_bench, .fini = close_bench);

/* --- containers ---------------------------------------------------------------------------------
 */

/* A pool's name is hashed as it is: each octet counts, and none behind it. */
Test(containers, hashes_of_names)
{
    uint8_t one[48];
    uint8_t two[48];
    for (uint16_t len = 1; len <= 40; len++) {
        memset(one, 0x55, sizeof(one));
        memset(two, 0x55, sizeof(two));
        memset(two + len, 0xaa, sizeof(two) - len);
        struct pool_handle a = {.octets = one, .len = len};
        struct pool_handle o = {.octets = two, .len = len};
        cr_assert_eq(rg_hash_handle(b.rg, a, 7), rg_hash_handle(b.rg, o, 7), "%u octets", len);
        cr_assert_neq(rg_hash_handle(b.rg, a, 7), rg_hash_handle(b.rg, o, 8));
        for (uint16_t i = 0; i < len; i++) {
            two[i] ^= 1;
            cr_assert_neq(rg_hash_handle(b.rg, a, 7), rg_hash_handle(b.rg, o, 7));
            two[i] ^= 1;
        }
    }
}

/* 64 buckets, twice as many as soon as there are more than two nodes each; every node is found. */
Test(containers, tables_grow)
{
    static struct rg_node nodes[300];
    struct rg_table table;
    cr_assert(rg_table_init(&table));
    cr_assert_null(rg_table_any(&table));
    for (size_t i = 0; i < 300; i++) {
        rg_table_add(&table, &nodes[i], i * 37);
        cr_assert_eq(table.count, i + 1);
        cr_assert_eq(table.size, i < 128 ? 64 : i < 256 ? 128 : 256);
    }
    for (size_t i = 0; i < 300; i++) {
        struct rg_node *node = rg_table_first(&table, i * 37);
        while (node != NULL && node != &nodes[i]) {
            node = node->next;
        }
        cr_assert_eq(node, &nodes[i]);
        rg_table_remove(&table, &nodes[i]);
        cr_assert_eq(rg_table_any(&table) == NULL, i == 299);
    }
    rg_table_done(&table);
}

static void check_heap(const struct rg_heap *heap)
{
    for (uint32_t i = 0; i < heap->n; i++) {
        cr_assert_eq(heap->timers[i]->index, i);
        cr_assert(i == 0 || !tm_before(heap->timers[i]->at, heap->timers[(i - 1) / 2]->at));
    }
    cr_assert_leq(heap->owners, heap->size);
}

/* Timers come in their order, however they were set, moved and stopped. */
Test(containers, timers_in_order)
{
    static struct rg_timer timers[100];
    struct rg_heap heap = {0};
    for (uint32_t i = 0; i < 100; i++) {
        cr_assert(rg_timer_join(&heap, &timers[i], RG_TIMER_PE));
        cr_assert_eq(heap.owners, i + 1);
        cr_assert_eq(heap.size, i < 16 ? 16 : i < 32 ? 32 : i < 64 ? 64 : 128);
    }
    cr_assert_null(rg_timer_first(&heap));
    for (uint32_t i = 0; i < 3000; i++) {
        struct rg_timer *timer = &timers[i * 7919 % 100];
        bool stop = i % 5 == 0;
        rg_timer_set(&heap, timer, stop ? TM_NEVER : (struct tm_us){i * 104729 % 1009});
        cr_assert_eq(timer->index == RG_TIMER_OFF, stop);
        check_heap(&heap);
    }
    int64_t last = 0;
    struct rg_timer *first;
    uint32_t left = heap.n;
    while ((first = rg_timer_first(&heap)) != NULL) {
        cr_assert_geq(first->at.us, last);
        last = first->at.us;
        rg_timer_set(&heap, first, TM_NEVER);
        check_heap(&heap);
        cr_assert_eq(heap.n, --left);
    }
    for (uint32_t i = 0; i < 100; i++) {
        rg_timer_leave(&heap, &timers[i]);
    }
    cr_assert_eq(heap.owners, 0);
    free(heap.timers);
}

static size_t blocks(void)
{
    size_t n = 0;
    for (const struct rg_pe_block *block = b.rg->pe_blocks; block != NULL; block = block->next) {
        n++;
    }
    return n;
}

/* Records stand in blocks that serve again, and share the handles of their pools. */
Test(containers, records_in_blocks)
{
    enum { RECORDS = 200 };
    static struct rg_pe *pes[RECORDS];
    const char *const pools[] = {"web", "mail", "web2"};
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < RECORDS; i++) {
            bool fresh = false;
            pes[i] = rg_pe_get(b.rg, pool_handle_of(pools[i % 3]), 1 + i / 3, &fresh);
            cr_assert(pes[i] != NULL && fresh);
            cr_assert_eq(rg_pe_id(pes[i]), 1 + i / 3);
            cr_assert(pool_handle_equal(rg_pe_name(pes[i]), pool_handle_of(pools[i % 3])));
            cr_assert(pes[i]->state == RG_PE_IDLE && pes[i]->asked_us == 0 && pes[i]->assoc == 0);
            cr_assert_null(rg_pe_doubt(pes[i]));
            cr_assert_eq(pes[i]->name, pes[i % 3]->name);
            pes[i]->asked_us = pes[i]->assoc = 4711;
            if (i % 5 == 0) {
                cr_assert_not_null(rg_pe_doubt_with(pes[i], (uint8_t)(i % 7)));
            }
        }
        cr_assert_eq(blocks(), (RECORDS + RG_PES_IN_BLOCK - 1) / RG_PES_IN_BLOCK);
        cr_assert_eq(b.rg->names.count, 3);
        for (uint32_t i = 0; i < RECORDS; i++) {
            struct pool_handle pool = pool_handle_of(pools[i % 3]);
            cr_assert_eq(rg_pe_find(b.rg, pool, 1 + i / 3), pes[i]);
            rg_pe_drop(b.rg, pes[i]);
            cr_assert_null(rg_pe_find(b.rg, pool, 1 + i / 3));
        }
        cr_assert_eq(b.rg->names.count, 0);
    }
}

/* Whose it is counted for is known with and without doubt. */
Test(containers, records_keep_their_principal)
{
    bool fresh;
    struct rg_pe *pe = rg_pe_get(b.rg, pool_handle_of("web"), 7, &fresh);
    cr_assert_not_null(pe);
    struct rg_principal *mine = *rg_pe_principal(pe);
    struct rg_principal *other = (struct rg_principal *)(void *)&fresh;
    *rg_pe_principal(pe) = other;
    for (uint8_t reporters = 0; reporters < 9; reporters += 4) {
        struct rg_doubt *doubt = rg_pe_doubt_with(pe, reporters);
        cr_assert_not_null(doubt);
        cr_assert_eq(rg_pe_doubt(pe), doubt);
        cr_assert_eq(doubt->reporter_size, reporters);
        cr_assert_eq(*rg_pe_principal(pe), other);
    }
    rg_pe_clear_doubt(pe);
    cr_assert_null(rg_pe_doubt(pe));
    cr_assert_eq(*rg_pe_principal(pe), other);
    *rg_pe_principal(pe) = mine;
    rg_pe_drop(b.rg, pe);
}
