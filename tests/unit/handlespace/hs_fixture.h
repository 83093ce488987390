/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the handlespace share: short ways to make elements and to select. */
#ifndef RSP_TESTS_HS_FIXTURE_H
#define RSP_TESTS_HS_FIXTURE_H

#include "handlespace/handlespace.h"

#include <criterion/criterion.h>

static const struct hs_limits NO_LIMITS = {0};

static inline struct tm_us at_ms(int64_t ms)
{
    return (struct tm_us){ms * 1000};
}

static const struct ip_address HS_TEST_ADDRESS = {.family = IP_V4, .octets = {10, 1, 1, 1}};

static inline struct pool_element make_pe(uint32_t id, uint32_t policy, uint32_t word)
{
    struct pool_element pe = {.pe_id = id, .home_id = 0xa1b2c3d4};
    pe.user = (struct transport){
        .protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &HS_TEST_ADDRESS};
    pe.policy = (struct policy){.type = policy, .word_count = policy == POLICY_LU ? 1 : 0};
    pe.policy.words[0] = word;
    return pe;
}

static inline enum hs_result add(struct hs *hs, const char *pool, uint32_t id, uint32_t policy,
                                 uint32_t word)
{
    struct pool_element pe = make_pe(id, policy, word);
    return hs_register(hs, pool_handle_of(pool), &pe, -1, 0, at_ms(0));
}

/** Selects and returns the ids. */
static inline size_t pick(struct hs *hs, const char *pool, size_t count, uint32_t *ids)
{
    const struct hs_element *found[1024];
    hs_read_begin();
    size_t n = hs_select(hs, pool_handle_of(pool), count, NULL, NULL, found);
    for (size_t i = 0; i < n; i++) {
        ids[i] = found[i]->pe_id;
    }
    hs_read_end();
    return n;
}

static inline uint32_t pick1(struct hs *hs, const char *pool)
{
    uint32_t id = 0;
    return pick(hs, pool, 1, &id) == 1 ? id : 0;
}

static inline void check(struct hs *hs)
{
    const char *reason = NULL;
    cr_assert(hs_check(hs, &reason), "%s", reason != NULL ? reason : "");
}

static inline struct hs *open_hs(const struct hs_limits *limits)
{
    hs_thread_register();
    struct hs *hs = hs_new(limits, 42);
    cr_assert_not_null(hs);
    return hs;
}

static inline void close_hs(struct hs *hs)
{
    check(hs);
    hs_free(hs);
    hs_thread_unregister();
}

#endif
