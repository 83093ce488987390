/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Memory that runs out at any point of a change: refused, and nothing has changed. */
#include "hs_fixture.h"

#include "handlespace/rcu.h"

#include <stdlib.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);

/* How many allocations still succeed; negative: all. */
static int allowed = -1;
static unsigned taken;

static bool refuse(void)
{
    return allowed >= 0 && allowed-- == 0 ? (allowed = 0, true) : false;
}

void *__wrap_malloc(size_t size)
{
    taken++;
    return refuse() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t n, size_t size)
{
    return refuse() ? NULL : __real_calloc(n, size);
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return refuse() ? NULL : __real_reallocarray(old, n, size);
}

/* Lets the change fail at its first allocation, its second, … until it succeeds. */
static enum hs_result insist(struct hs *hs, const char *pool, struct pool_element *pe,
                             uint64_t owner)
{
    enum hs_result result = HS_NO_RESOURCES;
    for (int n = 0; result == HS_NO_RESOURCES; n++) {
        uint32_t before = hs_element_count(hs);
        allowed = n;
        result = pe != NULL ? hs_register(hs, pool_handle_of(pool), pe, 100, owner, at_ms(0))
                            : hs_deregister(hs, pool_handle_of(pool), (uint32_t)owner);
        allowed = -1;
        check(hs);
        cr_assert(result != HS_NO_RESOURCES || hs_element_count(hs) == before);
        cr_assert_lt(n, 100);
    }
    return result;
}

Test(memory, every_allocation_may_fail)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 120; i++) {
        struct pool_element pe = make_pe(i * 7919 % 1009, POLICY_LU, i % 11);
        cr_assert_eq(insist(hs, i % 40 == 0 ? "q" : "p", &pe, i % 5), HS_ADDED);
    }
    for (uint32_t i = 1; i <= 120; i += 2) {
        struct pool_element pe = make_pe(i * 7919 % 1009, POLICY_LU, i % 13);
        cr_assert_eq(insist(hs, i % 40 == 0 ? "q" : "p", &pe, i % 7), HS_UPDATED);
    }
    for (uint32_t i = 1; i <= 120; i++) {
        cr_assert_eq(insist(hs, i % 40 == 0 ? "q" : "p", NULL, i * 7919 % 1009), HS_REMOVED);
    }
    cr_assert_eq(hs_element_count(hs), 0);
    close_hs(hs);
}

Test(memory, none_to_begin_with)
{
    hs_thread_register();
    for (allowed = 0; allowed < 1; allowed++) {
        cr_assert_null(hs_new(&NO_LIMITS, 1));
    }
    allowed = -1;
    hs_thread_unregister();
}

#ifndef RSP_ASAN /* there nothing is used twice */
/* What a change replaces serves the next one, once readers are done with it. */
Test(memory, nodes_are_used_again)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    enum { PES = 100 };
    for (int round = 0; round < 5; round++) {
        taken = 0;
        for (uint32_t i = 1; i <= PES; i++) {
            struct pool_element pe = make_pe(i, POLICY_LU, i * (uint32_t)(round + 1));
            cr_assert_leq(hs_register(hs, pool_handle_of("p"), &pe, -1, 0, at_ms(0)), HS_UPDATED);
        }
        urcu_bp_barrier();
    }
    cr_assert_leq(taken, 3 * PES, "%u blocks for %d elements", taken, PES);
    close_hs(hs);
}
#endif
