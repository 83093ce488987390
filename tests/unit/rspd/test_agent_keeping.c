/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent keeps: settings, registrations under way, pools, waiting requests. */
#include "agent_fixture.h"

/* A setting of zero where zero would spin is one millisecond; a maximum is no less than its first.
 */
Test(agent_keeping, settings_that_would_spin)
{
    struct fx *fx = fx_new(NULL);
    struct ag_settings s = {.handle_max = 5};
    ag_configure(fx->ag, &s, fx->now);
    const struct ag_settings *got = &fx->ag->set;
    cr_assert(got->t1_request_ms == 1 && got->t2_registration_ms == 1);
    cr_assert(got->t3_deregistration_ms == 1 && got->quarantine_first_ms == 1);
    cr_assert(got->t5_hunt_ms == 1 && got->t7_outdate_ms == 1);
    cr_assert(got->quarantine_max_ms == 1 && got->hunt_max_ms == 1);
    cr_assert_eq(fx->ag->shared->handle_max, 5);
    s = (struct ag_settings){.t1_request_ms = 2, .t2_registration_ms = 3, .t5_hunt_ms = 7};
    s.quarantine_first_ms = 9;
    s.quarantine_max_ms = 8;
    s.hunt_max_ms = 6;
    ag_configure(fx->ag, &s, fx->now);
    cr_assert(got->t1_request_ms == 2 && got->t2_registration_ms == 3 && got->t5_hunt_ms == 7);
    cr_assert(got->quarantine_max_ms == 9 && got->hunt_max_ms == 7);
    s.quarantine_max_ms = 10;
    s.hunt_max_ms = 8;
    ag_configure(fx->ag, &s, fx->now);
    cr_assert(got->quarantine_max_ms == 10 && got->hunt_max_ms == 8);
    fx_free(fx);
}

/* at the local registrar T2 asks again; the third silence is told, once. */
Test(agent_keeping, a_silent_local_registrar_is_asked_again)
{
    struct fx *fx = fx_new(NULL);
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    uint32_t id = fx_pe(fx, "web");
    for (int i = 0; i < 5; i++) {
        struct action *a = fx_next(fx, ACTION_REGISTERED);
        cr_assert_eq(a != NULL, i == 3, "after %d silences", i);
        cr_assert(a == NULL || a->result == -ETIMEDOUT);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), i == 3 ? 1 : 0); /* after the word of it */
        cr_assert_eq(fx_state(fx, id), AG_PE_REGISTERING);
        fx_pass(fx, 2999);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
        fx_pass(fx, 1);
        if (i != 2) {
            cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 1);
        }
    }
    fx_free(fx);
    hs_free(hs);
}

/* T3 repeats twice; after that the element is gone, and its owner is told why. */
Test(agent_keeping, deregistration_is_given_up_after_two_repeats)
{
    struct fx *fx = fx_new(NULL);
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    uint32_t id = fx_registered(fx, LOCAL_ASSOC, "web");
    ag_pe_remove(fx->ag, id, "closed", fx->now);
    cr_assert_eq(fx_count(fx, ASAP_DEREGISTRATION), 1);
    for (int i = 0; i < 2; i++) {
        fx_pass(fx, 2999);
        cr_assert_eq(fx_count(fx, ASAP_DEREGISTRATION), 0);
        fx_pass(fx, 1);
        cr_assert_eq(fx_count(fx, ASAP_DEREGISTRATION), 1);
    }
    fx_pass(fx, 3000);
    struct action *a = fx_next(fx, ACTION_DEREGISTERED);
    cr_assert(a != NULL && a->result == -ETIMEDOUT && a->cause == 0 && a->pe_id == id);
    cr_assert_eq(fx->ag->local_count, 0);
    fx_free(fx);
    hs_free(hs);
}

/* Up to 20 elements move at once; with the 21st all take their turn within a second. */
Test(agent_keeping, twenty_move_at_once)
{
    for (unsigned n = AG_SPREAD_ABOVE; n <= AG_SPREAD_ABOVE + 1; n++) {
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        for (unsigned i = 0; i < n; i++) {
            (void)fx_registered(fx, assoc, "web");
        }
        fx_announce(fx, 2, "10.0.0.2");
        ag_assoc_down(fx->ag, assoc, fx->now);
        uint64_t next = fx_next(fx, ACTION_CONNECT)->assoc;
        fx_drop(fx);
        fx_up(fx, next, "10.0.0.2");
        unsigned at_once = fx_count(fx, ASAP_REGISTRATION);
        cr_expect(n > AG_SPREAD_ABOVE ? at_once == 0 : at_once == n, "%u of %u", at_once, n);
        fx_free(fx);
    }
}

/* A registrar that expires an element within a second is answered after one. */
Test(agent_keeping, haste)
{
    for (int late = 0; late < 2; late++) {
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        uint32_t id = fx_registered(fx, assoc, "web");
        fx_pass(fx, late ? 1000 : 999);
        fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), late ? 1 : 0);
        fx_pass(fx, 999);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
        fx_pass(fx, 1);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), late ? 0 : 1);
        fx_free(fx);
    }
}

/* for a pool, each of its elements answers; not one that is withheld or on its way out. */
Test(agent_keeping, who_answers_keep_alives)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t a = fx_registered(fx, assoc, "web");
    uint32_t b = fx_registered(fx, assoc, "web");
    (void)fx_registered(fx, assoc, "other");
    fx_keep_alive(fx, assoc, 1, false, "web", 0);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 2);
    fx_keep_alive(fx, assoc, 1, false, "web", a);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 1);
    fx_keep_alive(fx, assoc, 1, false, "none", a);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    cr_assert_eq(ag_pe_withhold(fx->ag, b, "x", fx->now), 0);
    fx_drop(fx);
    fx_keep_alive(fx, assoc, 1, false, "web", b);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    ag_pe_remove(fx->ag, a, "x", fx->now);
    fx_drop(fx);
    fx_keep_alive(fx, assoc, 1, false, "web", a);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    uint32_t c = fx_pe(fx, "web"); /* not accepted yet */
    fx_drop(fx);
    fx_keep_alive(fx, assoc, 1, false, "web", c);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    fx_free(fx);
}

/* --- pools -------------------------------------------------------------------------------------
 */

static void fill(struct fx *fx, uint64_t assoc, const char *handle)
{
    struct ag_answer answer;
    struct ag_query q = fx_query(handle);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1000, fx->now, &answer), 0);
    fx_answer(fx, assoc, handle, 1, 1);
    cr_assert(ag_resolve_take(fx->ag, 1000, fx->now, &answer));
    fx_drop(fx);
}

static bool known(struct fx *fx, const char *handle)
{
    return ag_pool_find(fx->ag, pool_handle_of(handle)) != NULL;
}

/* The pool unused for longest makes room: not one asked for since, by whichever thread, and not
 * one with an element of this host. */
Test(agent_keeping, the_pool_unused_for_longest_goes)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("p2");
    char handle[32];
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    (void)fx_registered(fx, assoc, "mine");
    for (uint32_t i = 1; i < AG_POOLS_MAX; i++) {
        (void)snprintf(handle, sizeof(handle), "p%u", i);
        fill(fx, assoc, handle);
    }
    cr_assert_eq(fx->ag->pool_count, AG_POOLS_MAX);
    cr_assert(known(fx, "p1"));
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    q = fx_query("p3");
    hs_read_begin();
    cr_assert(ag_resolve_shared(fx->ag, &q, fx->now, &answer));
    hs_read_end();
    static const char *const goes[] = {"p1", "p4", "p5"};
    for (int i = 0; i < 3; i++) {
        cr_assert(known(fx, goes[i]));
        (void)snprintf(handle, sizeof(handle), "new%d", i);
        fill(fx, assoc, handle);
        cr_assert_not(known(fx, goes[i]), "%s is still there", goes[i]);
        cr_assert_eq(fx->ag->pool_count, AG_POOLS_MAX);
    }
    cr_assert(known(fx, "p2") && known(fx, "p3") && known(fx, "mine") && known(fx, "p6"));
    cr_assert_eq(hs_pool_count(fx->ag->cache), AG_POOLS_MAX);
    fx_free(fx);
}

/* A pool that never existed is not kept; one that did is, after its last element left. */
Test(agent_keeping, only_what_existed_is_remembered)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("never");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    cr_assert_eq(fx->ag->pool_count, 1);
    fx_answer_unknown(fx, assoc, "never");
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(fx->ag->pool_count, 0);
    cr_assert_eq(fx->ag->waiter_count, 0);
    uint32_t id = fx_registered(fx, assoc, "mine");
    ag_pe_remove(fx->ag, id, "x", fx->now);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "mine", id, false, -1);
    cr_assert_eq(fx->ag->local_count, 0);
    cr_assert_eq(fx->ag->pool_count, 1);
    cr_assert(known(fx, "mine"));
    cr_assert_eq(hs_pool_count(fx->ag->cache), 0);
    fx_free(fx);
}

/* Answered from the cache for five seconds, not a millisecond longer. */
Test(agent_keeping, fresh_for_the_stale_time)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web");
    fx_pass(fx, 4999);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_eq(answer.picks[0].home_id, 1);
    cr_assert_eq(answer.picks[0].protocol, TRANSPORT_TCP);
    hs_read_begin();
    cr_assert(ag_resolve_shared(fx->ag, &q, fx->now, &answer));
    cr_assert_eq(answer.policy.type, POLICY_RR);
    hs_read_end();
    fx_pass(fx, 1);
    hs_read_begin();
    cr_assert_not(ag_resolve_shared(fx->ag, &q, fx->now, &answer));
    hs_read_end();
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1); /* the number is taken */
    cr_assert_eq(answer.result, -EAGAIN);
    cr_assert_eq(fx->ag->waiter_count, 1);
    ag_resolve_cancel(fx->ag, 2); /* nobody's */
    cr_assert_eq(fx->ag->waiter_count, 1);
    ag_resolve_cancel(fx->ag, 1);
    cr_assert_eq(fx->ag->waiter_count, 0);
    fx_free(fx);
}

/* Sixteen elements may be avoided, the sixteenth too. */
Test(agent_keeping, sixteen_avoided)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer(fx, assoc, "web", 1, 17);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    q.avoid_count = 16;
    for (uint32_t i = 0; i < 16; i++) {
        q.avoid[i] = i + 1;
    }
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
        cr_assert(answer.result == 0 && answer.picks[0].pe_id == 17);
    }
    fx_free(fx);
}
