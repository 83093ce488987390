/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of the handlespace share: short ways to make elements and to select. */
#ifndef RSP_TESTS_HS_FIXTURE_H
#define RSP_TESTS_HS_FIXTURE_H

#include "handlespace/handlespace.h"
#include "handlespace/policy.h"

#include <criterion/criterion.h>

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

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
    const struct policy_info *info = policy_info_by_type(policy);
    pe.policy = (struct policy){.type = policy, .word_count = info != NULL ? info->word_count : 0};
    pe.policy.words[0] = word;
    return pe;
}

static inline enum hs_result add(struct hs *hs, const char *pool, uint32_t id, uint32_t policy,
                                 uint32_t word)
{
    struct pool_element pe = make_pe(id, policy, word);
    return hs_register(hs, pool_handle_of(pool), &pe, -1, 0, at_ms(0));
}

/** With up to four words. */
static inline enum hs_result add4(struct hs *hs, uint32_t id, uint32_t policy,
                                  const uint32_t words[4])
{
    struct pool_element pe = make_pe(id, policy, 0);
    for (int i = 0; i < 4; i++) {
        pe.policy.words[i] = words[i];
    }
    return hs_register(hs, pool_handle_of("p"), &pe, -1, 0, at_ms(0));
}
#define ADD(hs, id, policy, ...) add4(hs, id, policy, (const uint32_t[4]){__VA_ARGS__})

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

/** Answers of k elements from pool p, one after the other: "AB CA" … */
static inline void expect(struct hs *hs, size_t k, const char *text)
{
    char got[256] = "";
    for (size_t at = 0; text[at] != '\0';) {
        uint32_t ids[16];
        size_t n = pick(hs, "p", k, ids);
        for (size_t i = 0; i < n; i++) {
            got[at++] = (char)('A' + ids[i] - 1);
        }
        if (text[at] == ' ') {
            got[at++] = ' ';
        }
        got[at] = '\0';
        cr_assert(n > 0 && strncmp(got, text, at) == 0, "%s, wanted %s", got, text);
    }
}

/** What chance comes from: the same always, unless RSP_TEST_SEED says otherwise (tests/run). */
static inline uint64_t test_seed(void)
{
    const char *text = getenv("RSP_TEST_SEED");
    return text != NULL ? strtoull(text, NULL, 0) : 42;
}

/**
 * 5 sigma of the share of one class (policies.md §11). A correct policy fails with a random seed
 * once in a million or two of such checks.
 */
static inline void share_is(uint32_t hits, uint32_t draws, double p)
{
    double q = (double)hits / draws;
    cr_assert_leq(fabs(q - p), 5 * sqrt(p * (1 - p) / draws),
                  "share %f, expected %f (RSP_TEST_SEED=%" PRIu64 ")", q, p, test_seed());
}

/** Chi-square of all classes; `limit`: 10^-6 with one degree of freedom less than classes. */
static inline void shares_are(double chi, double limit)
{
    cr_assert_lt(chi, limit, "chi-square %f, limit %f (RSP_TEST_SEED=%" PRIu64 ")", chi, limit,
                 test_seed());
}

static inline void check(struct hs *hs)
{
    const char *reason = NULL;
    cr_assert(hs_check(hs, &reason), "%s", reason != NULL ? reason : "");
}

static inline struct hs *open_hs(const struct hs_limits *limits)
{
    hs_thread_register();
    struct hs *hs = hs_new(limits, test_seed());
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
