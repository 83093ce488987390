/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the cache holds of a pool, and whom a query gets from it (asap.md §5.4, 5.5). */
#include "agent_fixture.h"

#include "handlespace/policy.h"

static void ask(struct fx *fx)
{
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    ag_resolve_cancel(fx->ag, 1);
}

/* An agent whose home has told of elements 1 … n, round robin, TCP port 80, 10.0.0.x. */
static struct fx *with(uint32_t n, uint64_t *ret_assoc)
{
    struct fx *fx = fx_new(NULL);
    *ret_assoc = fx_home(fx, 1, "10.0.0.1");
    ask(fx);
    if (n > 0) {
        fx_answer(fx, *ret_assoc, "web", 1, n);
    }
    fx_drop(fx);
    return fx;
}

static struct ag_answer get(struct fx *fx, const struct ag_query *q)
{
    struct ag_answer answer;
    cr_assert_eq(ag_resolve(fx->ag, q, 1, fx->now, &answer), 1);
    return answer;
}

static size_t cached(struct fx *fx)
{
    return hs_element_count(fx->ag->cache);
}

/* What is cached of an element; pe_id 0: nothing. Borrows its addresses until the next change. */
static struct pool_element element(struct fx *fx, const char *handle, uint32_t id)
{
    struct pool_element copy = {0};
    hs_read_begin();
    const struct hs_element *e = hs_find(fx->ag->cache, pool_handle_of(handle), id);
    if (e != NULL) {
        copy = (struct pool_element){
            .pe_id = e->pe_id, .home_id = e->home_id, .user = hs_user(e), .policy = hs_policy(e)};
    }
    hs_read_end();
    return copy;
}

/* --- contents ----------------------------------------------------------------------------------
 */

/* An answer replaces what was known, but for this host's own elements. */
Test(agent_cache, an_answer_replaces_the_last_one)
{
    uint64_t assoc;
    struct fx *fx = with(3, &assoc);
    uint32_t own = fx_registered(fx, assoc, "web");
    cr_assert_eq(cached(fx), 4);
    fx_answer(fx, assoc, "web", 3, 2);
    cr_assert_eq(cached(fx), 3);
    cr_assert(element(fx, "web", 3).pe_id == 3 && element(fx, "web", 4).pe_id == 4);
    cr_assert(element(fx, "web", own).pe_id == own && element(fx, "web", 2).pe_id == 0);
    fx_answer_unknown(fx, assoc, "web");
    cr_assert_eq(cached(fx), 1);
    cr_assert_eq(element(fx, "web", own).pe_id, own);
    fx_free(fx);
}

/* An own element as it would be had the registrar told of it. */
Test(agent_cache, own_elements)
{
    uint64_t assoc;
    struct fx *fx = with(1, &assoc);
    int error;
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .protocol = TRANSPORT_TCP,
                       .port = 8080,
                       .use = 1,
                       .address_count = 1,
                       .addresses = {fx_ip("10.0.0.9")}};
    uint32_t id = ag_pe_add(fx->ag, &pe, fx->now, &error);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    struct pool_element e = element(fx, "web", id);
    cr_assert(e.home_id == 1 && e.user.port == 8080 && e.user.protocol == TRANSPORT_TCP);
    cr_assert_eq(e.user.use, 0); /* SCTP's alone */
    cr_assert_eq(e.policy.type, POLICY_RR);
    pe.protocol = TRANSPORT_SCTP;
    pe.handle = pool_handle_of("other");
    id = ag_pe_add(fx->ag, &pe, fx->now, &error);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "other", id, false, -1);
    e = element(fx, "other", id);
    cr_assert(e.user.use == 1 && e.user.address_count == 1 && e.policy.type == POLICY_RR);
    fx_free(fx);
}

static void answer_policy(struct fx *fx, uint64_t assoc, struct policy pool, struct policy pe)
{
    struct ip_address ip = fx_ip("10.0.0.5");
    asap_message_init(&fx->out, ASAP_HANDLE_RESOLUTION_RESPONSE);
    fx->out.has_handle = true;
    fx->out.handle = pool_handle_of("web");
    fx->out.has_policy = true;
    fx->out.policy = pool;
    fx->out.element_count = 1;
    fx->out.elements[0] = (struct pool_element){
        .pe_id = 5,
        .home_id = 1,
        .user = {.protocol = TRANSPORT_SCTP, .port = 9, .address_count = 1, .addresses = &ip},
        .policy = pe};
    fx_send(fx, assoc, &fx->out);
}

/* the answer's policy counts; words are the element's where it has that policy. A policy
 * this build does not know is served round robin. */
Test(agent_cache, the_pools_policy)
{
    static const struct {
        struct policy pool, pe, want;
    } rows[] = {
        {{.type = POLICY_WRR, .word_count = 1},
         {.type = POLICY_WRR, .word_count = 1, .words = {7}},
         {.type = POLICY_WRR, .word_count = 1, .words = {7}}},
        {{.type = POLICY_RR},
         {.type = POLICY_WRR, .word_count = 1, .words = {7}},
         {.type = POLICY_RR}},
        {{.type = POLICY_LU, .word_count = 1},
         {.type = POLICY_WRR, .word_count = 1, .words = {7}},
         {.type = POLICY_LU, .word_count = 1}},
        {{.type = 0x7777}, {.type = 0x7777, .word_count = 1, .words = {7}}, {.type = POLICY_RR}},
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        uint64_t assoc;
        struct fx *fx = with(0, &assoc);
        ask(fx);
        answer_policy(fx, assoc, rows[r].pool, rows[r].pe);
        struct policy got = element(fx, "web", 5).policy;
        cr_expect_eq(got.type, rows[r].want.type, "row %zu", r);
        cr_expect_eq(got.word_count, rows[r].want.word_count, "row %zu", r);
        cr_expect_eq(got.words[0], rows[r].want.words[0], "row %zu", r);
        fx_free(fx);
    }
}

/* The pool was made anew meanwhile, with another policy or transport: what was known of it goes. */
Test(agent_cache, a_pool_of_another_kind)
{
    uint64_t assoc;
    struct fx *fx = with(3, &assoc);
    uint32_t own = fx_registered(fx, assoc, "web");
    fx_answer(fx, assoc, "web", 1, 3);
    answer_policy(fx, assoc, (struct policy){.type = POLICY_RAND},
                  (struct policy){.type = POLICY_RAND});
    cr_assert_eq(element(fx, "web", 5).user.protocol, TRANSPORT_SCTP);
    cr_assert_eq(element(fx, "web", own).pe_id, 0);
    cr_assert_eq(cached(fx), 1);
    fx_free(fx);
}

/* The host has just booted, and its clock is at the beginning: nothing is fresh, nothing useless.
 */
Test(agent_cache, at_the_beginning_of_time)
{
    uint64_t assoc;
    struct fx *fx = with(2, &assoc);
    struct ag_answer answer;
    struct ag_query q = fx_query("boot");
    fx->now.us = 1000;
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    cr_assert_eq(fx_count(fx, ASAP_HANDLE_RESOLUTION), 1);
    fx_answer(fx, assoc, "boot", 1, 1);
    ag_resolve_cancel(fx->ag, 1);
    q.protocol = TRANSPORT_TCP;
    ag_report(fx->ag, q.handle, 1, 0, fx->now); /* the cache's only one */
    fx_drop(fx);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    cr_assert_eq(fx_count(fx, ASAP_HANDLE_RESOLUTION), 1);
    fx_free(fx);
}

/* A registrar in this process knows better than the cache; when it ends, all is asked for anew. */
Test(agent_cache, flushed_for_a_registrar_of_this_process)
{
    uint64_t assoc;
    struct fx *fx = with(3, &assoc);
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    ag_local_registrar(fx->ag, 9, hs, fx->now);
    cr_assert_eq(cached(fx), 0);
    ag_local_registrar(fx->ag, 0, NULL, fx->now);
    (void)fx_home(fx, 1, "10.0.0.1");
    fx_drop(fx);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    cr_assert_eq(fx_count(fx, ASAP_HANDLE_RESOLUTION), 1);
    fx_free(fx);
    hs_free(hs);
}

/* Whoever asks for what gets the same pool; another seed, other buckets (security.md: no program
 * of another's can aim at one). */
Test(agent_cache, hashes)
{
    uint64_t assoc;
    struct fx *fx = with(0, &assoc);
    unsigned used = 0;
    static bool bucket[AG_BUCKETS];
    for (uint32_t i = 0; i < 1024; i++) {
        char name[16];
        (void)snprintf(name, sizeof(name), "p%u", i);
        uint64_t h = ag_hash(fx->ag, pool_handle_of(name), 0);
        used += bucket[h % AG_BUCKETS] ? 0 : 1;
        bucket[h % AG_BUCKETS] = true;
        cr_assert_neq(h, ag_hash(fx->ag, pool_handle_of(name), i + 1));
        uint64_t seed = fx->ag->hash_seed;
        fx->ag->hash_seed ^= 1;
        cr_assert_neq(h, ag_hash(fx->ag, pool_handle_of(name), 0));
        fx->ag->hash_seed = seed;
    }
    struct fx *other = fx_new(NULL);
    cr_assert_neq(other->ag->hash_seed, 0); /* drawn */
    fx_free(other);
    cr_assert(used > 560 && used < 740, "%u of 1024 buckets", used); /* 647 expected by chance */
    fx_free(fx);
}

/* --- selection ---------------------------------------------------------------------------------
 */

/* One element by name: in quarantine or not, but not where it does not fit; why not. */
Test(agent_cache, one_by_name)
{
    uint64_t assoc;
    struct fx *fx = with(3, &assoc);
    struct ag_query q = fx_query("web");
    struct ag_answer answer;
    q.want_pe = 2;
    answer = get(fx, &q);
    cr_assert(answer.result == 0 && answer.count == 1 && answer.picks[0].pe_id == 2);
    cr_assert_eq(answer.policy.type, POLICY_RR);
    q.protocol = TRANSPORT_UDP;
    cr_assert_eq(get(fx, &q).result, -EPROTOTYPE);
    q.protocol = TRANSPORT_TCP;
    q.families = LP_FAMILY_V6;
    cr_assert_eq(get(fx, &q).result, -EAFNOSUPPORT);
    q.families = LP_FAMILY_V4;
    cr_assert_eq(get(fx, &q).result, 0);
    hs_read_begin();
    cr_assert_not(ag_resolve_shared(fx->ag, &q, fx->now, &answer)); /* the loop thread's */
    hs_read_end();
    fx_free(fx);
}

/* One by name that is not there: the pool is, and it is no question of transports. */
Test(agent_cache, one_by_name_that_is_gone)
{
    uint64_t assoc;
    struct fx *fx = with(3, &assoc);
    struct ag_query q = fx_query("web");
    struct ag_answer answer;
    q.want_pe = 77;
    cr_assert_eq(ag_resolve(fx->ag, &q, 5, fx->now, &answer), 0); /* asked for, not yet useless */
    fx_answer(fx, assoc, "web", 1, 3);
    cr_assert(ag_resolve_take(fx->ag, 5, fx->now, &answer));
    cr_assert_eq(answer.result, -ECONNREFUSED);
    cr_assert_eq(answer.count, 0);
    fx_free(fx);
}

/* As many as asked for, sixteen at most, each once. */
Test(agent_cache, several)
{
    uint64_t assoc;
    struct fx *fx = with(20, &assoc);
    struct ag_query q = fx_query("web");
    static const uint8_t counts[] = {1, 2, 15, 16, 17, 20};
    for (size_t i = 0; i < sizeof(counts); i++) {
        uint32_t seen = 0;
        q.count = counts[i];
        struct ag_answer answer = get(fx, &q);
        cr_assert_eq(answer.count, counts[i] < AG_PICKS_MAX ? counts[i] : AG_PICKS_MAX);
        for (size_t k = 0; k < answer.count; k++) {
            cr_assert_eq(seen >> answer.picks[k].pe_id & 1, 0);
            seen |= UINT32_C(1) << answer.picks[k].pe_id;
            cr_assert_eq(answer.picks[k].addresses[0].octets[3], answer.picks[k].pe_id);
        }
    }
    fx_free(fx);
}

/* For a name: two that could be tried, any two; none is no failure. */
Test(agent_cache, hints)
{
    uint64_t assoc;
    struct fx *fx = with(5, &assoc);
    struct ag_query q = fx_query("web");
    unsigned hits[6] = {0};
    q.count = 0;
    for (int i = 0; i < 100; i++) {
        struct ag_answer answer = get(fx, &q);
        cr_assert(answer.result == 0 && answer.count == AG_HINTS_MAX);
        cr_assert_neq(answer.picks[0].pe_id, answer.picks[1].pe_id);
        hits[answer.picks[0].pe_id]++;
        hits[answer.picks[1].pe_id]++;
    }
    cr_assert_gt(hits[1], 0); /* ids far below what is drawn: always from the first */
    q.protocol = TRANSPORT_UDP;
    struct ag_answer answer = get(fx, &q);
    cr_assert(answer.result == 0 && answer.count == 0);
    fx_answer(fx, assoc, "web", 1, 1);
    q.protocol = TRANSPORT_NONE;
    answer = get(fx, &q);
    cr_assert(answer.result == 0 && answer.count == 1); /* once round */
    fx_free(fx);
}

/* No more than sixteen are looked at for hints, however large the pool. */
Test(agent_cache, hints_are_cheap)
{
    uint64_t assoc;
    for (uint32_t n = 15; n <= 17; n++) {
        struct fx *fx = with(n, &assoc);
        struct ag_query q = fx_query("web");
        for (uint32_t id = 1; id < n; id++) {
            ag_report(fx->ag, q.handle, id, 0, fx->now);
        }
        fx_answer(fx, assoc, "web", 1, n); /* they are still listed */
        q.count = 0;
        struct ag_answer answer = get(fx, &q);
        cr_assert(answer.count == (n <= 16 ? 1 : 0), "%u of %u", (unsigned)answer.count, n);
        fx_free(fx);
    }
}

/* What a resolver thread leaves to the loop thread. */
Test(agent_cache, what_is_not_answered_beside_the_loop)
{
    uint64_t assoc;
    struct fx *fx = with(2, &assoc);
    static const struct {
        const char *handle;
        uint32_t want;
        uint8_t count;
        bool age, there;
    } rows[] = {
        {"web", 0, 1, false, true},  {"web", 1, 1, false, false},
        {"web", 0, 0, false, false}, {"web", 0, 1, true, false},
        {"", 0, 1, false, false},    {"we", 0, 1, false, false},
        {"web", 0, 16, false, true}, {"123456789012345678901234567890123", 0, 1, false, false}};
    struct ag_answer answer;
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct ag_query q = fx_query(rows[r].handle);
        q.want_pe = rows[r].want;
        q.count = rows[r].count;
        q.has_max_age = rows[r].age;
        q.max_age_ms = 60000;
        hs_read_begin();
        cr_expect_eq(ag_resolve_shared(fx->ag, &q, fx->now, &answer), rows[r].there, "row %zu", r);
        hs_read_end();
    }
    struct ag_query q = fx_query("web");
    for (uint32_t id = 1; id <= 2; id++) {
        ag_report(fx->ag, q.handle, id, 0, fx->now);
    }
    fx_answer(fx, assoc, "web", 1, 2);
    hs_read_begin();
    cr_assert_not(ag_resolve_shared(fx->ag, &q, fx->now, &answer)); /* all in quarantine */
    hs_read_end();
    fx_free(fx);
}

/* The reason of a failure is that of the element that came closest. */
Test(agent_cache, why_nothing_fits)
{
    uint64_t assoc;
    struct fx *fx = with(2, &assoc);
    struct ag_query q = fx_query("web");
    q.protocol = TRANSPORT_UDP;
    cr_assert_eq(get(fx, &q).result, -EPROTOTYPE);
    q.protocol = TRANSPORT_TCP;
    q.families = LP_FAMILY_V6;
    cr_assert_eq(get(fx, &q).result, -EAFNOSUPPORT);
    q.avoid_count = 1;
    q.avoid[0] = 1;
    cr_assert_eq(get(fx, &q).result, -EAFNOSUPPORT);
    q.families = 0;
    struct ag_answer answer = get(fx, &q);
    cr_assert(answer.result == 0 && answer.picks[0].pe_id == 2);
    fx_free(fx);
}

/* An own element without policy takes the pool's, and stays when the pool is made anew. */
Test(agent_cache, an_own_element_follows_its_pool)
{
    uint64_t assoc;
    struct fx *fx = with(0, &assoc);
    int error = 0;
    struct ag_pe pe = {.handle = pool_handle_of("web"), .protocol = TRANSPORT_SCTP, .port = 80};
    uint32_t own = ag_pe_add(fx->ag, &pe, fx->now, &error);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", own, false, -1);
    cr_assert_eq(element(fx, "web", own).policy.type, POLICY_RR);
    answer_policy(fx, assoc, (struct policy){.type = POLICY_RAND},
                  (struct policy){.type = POLICY_RAND});
    cr_assert_eq(cached(fx), 2);
    cr_assert_eq(element(fx, "web", own).policy.type, POLICY_RAND);
    fx_free(fx);
}

/* What was known of a pool goes when it is made anew with another transport alone, too. */
Test(agent_cache, a_pool_of_another_transport)
{
    uint64_t assoc;
    struct fx *fx = with(3, &assoc);
    cr_assert_eq(element(fx, "web", 3).user.protocol, TRANSPORT_TCP);
    answer_policy(fx, assoc, (struct policy){.type = POLICY_RR},
                  (struct policy){.type = POLICY_RR});
    cr_assert_eq(element(fx, "web", 5).user.protocol, TRANSPORT_SCTP);
    cr_assert_eq(cached(fx), 1);
    fx_free(fx);
}

/* All pools, wherever they are in the table. */
Test(agent_cache, every_pool_is_flushed)
{
    uint64_t assoc;
    struct fx *fx = with(0, &assoc);
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    char name[32];
    for (int i = 0; i < 100; i++) {
        struct ag_answer answer;
        (void)snprintf(name, sizeof(name), "pool %d", i);
        struct ag_query q = fx_query(name);
        cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
        fx_answer(fx, assoc, name, 1, 1);
        ag_resolve_cancel(fx->ag, 1);
    }
    cr_assert_eq(cached(fx), 100);
    ag_local_registrar(fx->ag, 9, hs, fx->now);
    cr_assert_eq(cached(fx), 0);
    ag_local_registrar(fx->ag, 0, NULL, fx->now);
    fx_free(fx);
    hs_free(hs);
}
