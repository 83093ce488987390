/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Resolution for local PUs (asap.md §5.4, 5.5, 5.8). */
#include "agent_fixture.h"

static int resolve(struct fx *fx, const char *handle, uint64_t request, struct ag_answer *answer)
{
    struct ag_query q = fx_query(handle);
    return ag_resolve(fx->ag, &q, request, fx->now, answer);
}

/* Asks and lets the registrar answer with ids 1 … n. */
static void fill(struct fx *fx, uint64_t assoc, const char *handle, uint32_t n)
{
    struct ag_answer answer;
    cr_assert_eq(resolve(fx, handle, 1000, &answer), 0);
    fx_answer(fx, assoc, handle, 1, n);
    cr_assert(ag_resolve_take(fx->ag, 1000, fx->now, &answer));
    cr_assert_eq(answer.result, 0);
    fx_drop(fx);
}

/* */
Test(agent_resolution, asks_the_home_registrar)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(resolve(fx, "web", 5, &answer), 0);
    struct action *a = fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    cr_assert_eq(a->assoc, assoc);
    cr_assert_eq(fx->msg.flags, ASAP_FLAG); /* */
    cr_assert(fx->msg.has_items && fx->msg.items == ASAP_ITEMS_ALL);
    cr_assert_not(ag_resolve_take(fx->ag, 5, fx->now, &answer));
    fx_answer(fx, assoc, "web", 1, 3);
    a = fx_next(fx, ACTION_RESOLVED);
    cr_assert_eq(a->request, 5);
    cr_assert(ag_resolve_take(fx->ag, 5, fx->now, &answer));
    cr_assert_eq(answer.result, 0);
    cr_assert_eq(answer.count, 1);
    cr_assert_eq(answer.picks[0].port, 80);
    cr_assert_eq(answer.picks[0].address_count, 1);
    cr_assert_not(ag_resolve_take(fx->ag, 5, fx->now, &answer));
    fx_free(fx);
}

/* fresh: nothing is sent, round robin over the known ones */
Test(agent_resolution, fresh_entry_answers_alone)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    unsigned hits[4] = {0};
    fill(fx, assoc, "web", 3);
    for (uint64_t i = 0; i < 9; i++) {
        cr_assert_eq(resolve(fx, "web", i, &answer), 1);
        hits[answer.picks[0].pe_id]++;
    }
    cr_assert(hits[1] == 3 && hits[2] == 3 && hits[3] == 3);
    cr_assert_eq(fx_count(fx, ASAP_HANDLE_RESOLUTION), 0);
    fx_pass(fx, 5000);
    cr_assert_eq(resolve(fx, "web", 77, &answer), 0); /* stale: asked again */
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    fx_free(fx);
}

/* Asking whether a pool is there (NAME, lists) is no use of it: nobody loses his turn. */
Test(agent_resolution, a_look_does_not_move_the_turn)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    unsigned hits[3] = {0};
    fill(fx, assoc, "web", 2);
    for (uint64_t i = 0; i < 8; i++) {
        struct ag_query look = fx_query("web");
        look.count = 0;
        cr_assert_eq(ag_resolve(fx->ag, &look, 100 + i, fx->now, &answer), 1);
        cr_assert_eq(answer.result, 0);
        /* whom to try if the next question goes unanswered, each once */
        cr_assert_eq(answer.count, 2);
        cr_assert_eq(answer.picks[0].pe_id + answer.picks[1].pe_id, 3);
        cr_assert_eq(resolve(fx, "web", i, &answer), 1);
        hits[answer.picks[0].pe_id]++;
    }
    cr_assert(hits[1] == 4 && hits[2] == 4);
    fx_free(fx);
}

/* A caller may want an answer newer than the agent's setting, or be content with an older one. */
Test(agent_resolution, a_query_has_its_own_stale_time)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query query = fx_query("web");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    query.has_max_age = true;
    query.max_age_ms = 1500;
    fx_pass(fx, 1000);
    cr_assert_eq(ag_resolve(fx->ag, &query, 1, fx->now, &answer), 1);
    query.max_age_ms = 900;
    cr_assert_eq(ag_resolve(fx->ag, &query, 2, fx->now, &answer), 0);
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    ag_resolve_cancel(fx->ag, 2);
    query.max_age_ms = 60000;
    fx_pass(fx, 6000); /* stale by the setting */
    cr_assert_eq(ag_resolve(fx->ag, &query, 3, fx->now, &answer), 1);
    /* and what was never fetched is not old, but unknown */
    query = fx_query("other");
    query.has_max_age = true;
    query.max_age_ms = UINT32_MAX;
    cr_assert_eq(ag_resolve(fx->ag, &query, 4, fx->now, &answer), 0);
    fx_free(fx);
}

/* A stale entry answers when the registrar takes long, so that no program waits for T1. */
Test(agent_resolution, stale_entry_answers_a_slow_registrar)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    fx_pass(fx, 6000);
    cr_assert_eq(resolve(fx, "web", 7, &answer), 0);
    fx_pass(fx, AG_STALE_WAIT_MS - 1);
    cr_assert_eq(fx_count_kind(fx, ACTION_RESOLVED), 0);
    fx_pass(fx, 1);
    cr_assert_not_null(fx_next(fx, ACTION_RESOLVED));
    cr_assert(ag_resolve_take(fx->ag, 7, fx->now, &answer));
    cr_assert_eq(answer.result, 0);
    cr_assert_neq(answer.event, 0);
    fx_answer(fx, assoc, "web", 3, 1); /* the answer still renews the entry */
    cr_assert_eq(resolve(fx, "web", 8, &answer), 1);
    cr_assert_eq(answer.picks[0].pe_id, 3);
    fx_free(fx);
}

/* asap.md §5.4: one message, the others queue behind */
Test(agent_resolution, requests_for_one_pool_share_a_message)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    for (uint64_t i = 1; i <= 50; i++) {
        cr_assert_eq(resolve(fx, "web", i, &answer), 0);
    }
    cr_assert_eq(fx_count(fx, ASAP_HANDLE_RESOLUTION), 1);
    ag_resolve_cancel(fx->ag, 7);
    fx_answer(fx, assoc, "web", 1, 2);
    cr_assert_eq(fx_count_kind(fx, ACTION_RESOLVED), 49);
    for (uint64_t i = 1; i <= 50; i++) {
        cr_assert_eq(ag_resolve_take(fx->ag, i, fx->now, &answer), i != 7);
    }
    fx_free(fx);
}

/* repeated, a hunt beside it, given up after two repeats */
Test(agent_resolution, t1_repeats_and_hunts_beside)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    for (uint32_t i = 2; i <= 5; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.0.0.%u", i);
        struct ip_address a = fx_ip(ip);
        cr_assert_eq(ag_static_registrar(fx->ag, &a, 1, ASAP_PORT, fx->now), 0);
    }
    fx_drop(fx);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_drop(fx);
    fx_pass(fx, 3000);
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 2); /* with the home: three */
    cr_assert_eq(fx->ag->home.assoc, assoc);
    fx_pass(fx, 3000);
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    fx_pass(fx, 3000);
    struct action *a = fx_next(fx, ACTION_RESOLVED);
    cr_assert_not_null(a);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, -EAGAIN);
    cr_assert_neq(answer.event, 0);
    cr_assert_not(ag_has_home(fx->ag));
    fx_free(fx);
}

/* one that is found meanwhile becomes home and gets the request */
Test(agent_resolution, registrar_found_by_the_hunt_gets_the_request)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    (void)fx_home(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_pass(fx, 3000);
    struct action *a = fx_next(fx, ACTION_CONNECT);
    uint64_t other = a->assoc;
    fx_up(fx, other, "10.0.0.2");
    a = fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    cr_assert_eq(a->assoc, other);
    fx_answer(fx, other, "web", 1, 1);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, 0);
    fx_free(fx);
}

/* the association goes: asked again with the next home, not there */
Test(agent_resolution, lost_association)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_drop(fx);
    ag_assoc_down(fx->ag, assoc, fx->now);
    struct action *a = fx_next(fx, ACTION_CONNECT);
    cr_assert_eq(fx_count(fx, ASAP_HANDLE_RESOLUTION), 0);
    ag_assoc_down(fx->ag, assoc, fx->now);
    fx_pass(fx, 100);
    a = a != NULL ? a : fx_next(fx, ACTION_CONNECT);
    uint64_t other = AG_ASSOC_FIRST + fx->ag->next_assoc;
    fx_up(fx, other, "10.0.0.2");
    a = fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    cr_assert_eq(a->assoc, other);
    fx_free(fx);
}

/* Who waits when the registrar goes gets at once what is known, and waits no longer. */
Test(agent_resolution, lost_while_it_was_asked)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    fx_pass(fx, 6000);
    cr_assert_eq(resolve(fx, "web", 7, &answer), 0);
    cr_assert_eq(resolve(fx, "other", 8, &answer), 0);
    fx_drop(fx);
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert(ag_resolve_take(fx->ag, 7, fx->now, &answer));
    cr_assert(answer.result == 0 && answer.event != 0);
    cr_assert_not(ag_resolve_take(fx->ag, 8, fx->now, &answer), "nothing is known of it");
    fx_free(fx);
}

/* With every registrar dead the agent serves what it knows, and says so. */
Test(agent_resolution, all_registrars_dead)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    ag_assoc_down(fx->ag, assoc, fx->now);
    fx_pass(fx, 3600000);
    fx_drop(fx);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.result, 0);
    cr_assert_neq(answer.event, 0);
    struct action *a = fx_next(fx, ACTION_EVENT);
    cr_assert_not_null(a);
    cr_assert_eq(a->event.id, answer.event);
    cr_assert_not_null(strstr(a->event.text, "no registrar"));
    cr_assert_eq(resolve(fx, "unknown", 2, &answer), 1);
    cr_assert_eq(answer.result, -EAGAIN);
    fx_free(fx);
}

/* Just started: a moment's patience until a registrar is heard, then a clear answer. */
Test(agent_resolution, no_registrar_yet)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    fx_answer(fx, assoc, "web", 1, 1);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, 0);
    fx_free(fx);

    fx = fx_new(NULL);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_pass(fx, 3000);
    cr_assert_not_null(fx_next(fx, ACTION_RESOLVED));
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, -EAGAIN);
    cr_assert_eq(resolve(fx, "web", 2, &answer), 1); /* known by now: no waiting */
    cr_assert_eq(answer.result, -EAGAIN);
    fx_free(fx);
}

/* A-86, decisions.md "connect": never seen and empty differ */
Test(agent_resolution, unknown_and_empty)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_answer_unknown(fx, assoc, "web");
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, -ENOENT);
    cr_assert_neq(answer.event, 0);
    uint64_t event = answer.event;

    cr_assert_eq(resolve(fx, "web", 2, &answer), 0);
    fx_answer_unknown(fx, assoc, "web");
    cr_assert(ag_resolve_take(fx->ag, 2, fx->now, &answer));
    cr_assert_eq(answer.event, event); /* the same failure again is not a new event */

    fill(fx, assoc, "web", 1);
    fx_pass(fx, 6000);
    cr_assert_eq(resolve(fx, "web", 3, &answer), 0);
    fx_answer_unknown(fx, assoc, "web");
    cr_assert(ag_resolve_take(fx->ag, 3, fx->now, &answer));
    cr_assert_eq(answer.result, -ECONNREFUSED);

    uint32_t id = fx_registered(fx, assoc, "mine"); /* withheld: known, not served */
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "hung", fx->now), 0);
    cr_assert_eq(resolve(fx, "mine", 4, &answer), 0);
    fx_answer(fx, assoc, "mine", id, 1); /* the registrar has not handled it yet */
    cr_assert(ag_resolve_take(fx->ag, 4, fx->now, &answer));
    cr_assert_eq(answer.result, -ECONNREFUSED);
    fx_free(fx);
}

Test(agent_resolution, fits_the_callers_socket)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    fx_pass(fx, 10);
    struct ag_query q = fx_query("web");
    q.families = LP_FAMILY_V6;
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_eq(answer.result, -EAFNOSUPPORT);
    q.families = LP_FAMILY_V4;
    q.protocol = TRANSPORT_UDP;
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_eq(answer.result, -EPROTOTYPE);
    q.protocol = TRANSPORT_TCP;
    q.avoid_count = 1;
    q.avoid[0] = 1;
    for (int i = 0; i < 4; i++) {
        cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
        cr_assert(answer.result == 0 && answer.picks[0].pe_id == 2);
    }
    q.avoid_count = 2;
    q.avoid[1] = 2;
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0); /* fresh, but of no use: asked */
    q = fx_query("web");
    q.want_pe = 2;
    cr_assert_eq(ag_resolve(fx->ag, &q, 2, fx->now, &answer), 1);
    cr_assert_eq(answer.picks[0].pe_id, 2);
    q.want_pe = 0;
    q.count = 16;
    cr_assert_eq(ag_resolve(fx->ag, &q, 2, fx->now, &answer), 1);
    cr_assert_eq(answer.count, 2);
    fx_free(fx);
}

/* Elements may die faster than the entry ages, while new ones are registered. */
Test(agent_resolution, asks_again_when_all_it_knows_have_failed)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    struct ag_query q = fx_query("web");
    q.avoid_count = 2;
    q.avoid[0] = 1;
    q.avoid[1] = 2;
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0, "it did not ask");
    fx_answer(fx, assoc, "web", 3, 1);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert(answer.result == 0 && answer.picks[0].pe_id == 3);

    /* The registrar's own word that there is none stands for a moment. */
    q.avoid_count = 3;
    q.avoid[2] = 3;
    cr_assert_eq(ag_resolve(fx->ag, &q, 2, fx->now, &answer), 0);
    fx_answer(fx, assoc, "web", 3, 1);
    cr_assert(ag_resolve_take(fx->ag, 2, fx->now, &answer));
    cr_assert_eq(answer.result, -ECONNREFUSED);
    cr_assert_eq(ag_resolve(fx->ag, &q, 3, fx->now, &answer), 1);
    cr_assert_eq(answer.result, -ECONNREFUSED);
    fx_pass(fx, AG_RECHECK_MS);
    cr_assert_eq(ag_resolve(fx->ag, &q, 4, fx->now, &answer), 0);
    fx_free(fx);
}

Test(agent_resolution, handle_too_long)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    cr_assert_eq(resolve(fx, "0123456789012345678901234567890123", 1, &answer), 1);
    cr_assert_eq(answer.result, -ENAMETOOLONG);
    cr_assert_eq(resolve(fx, "", 1, &answer), 1);
    cr_assert_eq(answer.result, -EINVAL);
    fx_free(fx);
}

/* asap.md §5.5: an unsolicited answer renews the entry; without S it is ignored */
static void no_updates(struct ag_settings *s)
{
    s->dynamic_updates = false;
}

Test(agent_resolution, dynamic_updates)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fill(fx, assoc, "web", 2);
    fx_answer(fx, assoc, "web", 9, 1);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.picks[0].pe_id, 9);
    fx_answer(fx, assoc, "never-asked", 1, 1);
    cr_assert_null(ag_pool_find(fx->ag, pool_handle_of("never-asked")));
    fx_free(fx);

    fx = fx_new(no_updates);
    assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    cr_assert_eq(fx->msg.flags, 0);
    fx_answer(fx, assoc, "web", 1, 1);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    fx_answer(fx, assoc, "web", 9, 1);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.picks[0].pe_id, 1);
    fx_free(fx);
}

/* the message's policy counts; absent: round robin; one we do not know: served anyhow
 */
Test(agent_resolution, overall_policy)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    static const uint32_t types[] = {POLICY_LU, 0, 0x40001234};
    static const char *const pools[] = {"a", "b", "c"};
    for (int i = 0; i < 3; i++) {
        cr_assert_eq(resolve(fx, pools[i], 1, &answer), 0);
        struct ip_address ip = fx_ip("10.0.0.5");
        asap_message_init(&fx->out, ASAP_HANDLE_RESOLUTION_RESPONSE);
        fx->out.has_handle = true;
        fx->out.handle = pool_handle_of(pools[i]);
        fx->out.has_policy = types[i] != 0;
        fx->out.policy = (struct policy){.type = types[i], .word_count = 1};
        fx->out.element_count = 1;
        fx->out.elements[0] = (struct pool_element){
            .pe_id = 3,
            .registration_life = 1,
            .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &ip},
            .policy = {.type = POLICY_RAND}};
        fx_send(fx, assoc, &fx->out);
        cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
        cr_assert_eq(answer.result, 0);
        cr_assert_eq(answer.policy.type, i == 0 ? POLICY_LU : POLICY_RR);
    }
    fx_free(fx);
}

/* decisions.md "connect": a PE of this host is handed out with loopback */
Test(agent_resolution, own_host_by_loopback)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    fx_answer(fx, assoc, "web", id, 1);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    struct ip_address lo4 = fx_ip("127.0.0.1");
    struct ip_address lo6 = fx_ip("::1");
    cr_assert(ip_address_equal(&answer.picks[0].addresses[0], &lo4));
    cr_assert(ip_address_equal(&answer.picks[0].addresses[1], &lo6));
    struct ag_query q = fx_query("web");
    q.families = LP_FAMILY_V6;
    cr_assert_eq(ag_resolve(fx->ag, &q, 2, fx->now, &answer), 1);
    cr_assert(ip_address_equal(&answer.picks[0].addresses[0], &lo6));
    fx_free(fx);
}

/* Somebody else's loopback address would lead to the wrong server. */
Test(agent_resolution, foreign_loopback_is_not_used)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    struct ip_address lo = fx_ip("127.0.0.1");
    cr_assert_eq(resolve(fx, "web", 1, &answer), 0);
    asap_message_init(&fx->out, ASAP_HANDLE_RESOLUTION_RESPONSE);
    fx->out.has_handle = true;
    fx->out.handle = pool_handle_of("web");
    fx->out.element_count = 1;
    fx->out.elements[0] = (struct pool_element){
        .pe_id = 3,
        .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &lo},
        .policy = {.type = POLICY_RR}};
    fx_send(fx, assoc, &fx->out);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, -EAFNOSUPPORT);
    fx_free(fx);
}

/* This process is registrar: straight from its handlespace, filters included */
Test(agent_resolution, from_the_local_handlespace)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    struct ip_address ip = fx_ip("10.0.0.5");
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.result, -ENOENT);
    struct pool_element e = {
        .pe_id = 3,
        .home_id = 99,
        .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &ip},
        .policy = {.type = POLICY_RR}};
    cr_assert_eq(hs_register(hs, pool_handle_of("web"), &e, -1, 0, fx->now), HS_ADDED);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert(answer.result == 0 && answer.picks[0].pe_id == 3);
    cr_assert_eq(hs_deregister(hs, pool_handle_of("web"), 3), HS_REMOVED);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.result, -ECONNREFUSED);

    uint32_t id = fx_pe(fx, "web"); /* withheld before the registrar knows: not selected */
    e.pe_id = id;
    cr_assert_eq(hs_register(hs, pool_handle_of("web"), &e, -1, LOCAL_ASSOC, fx->now), HS_ADDED);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.picks[0].pe_id, id);
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "hung", fx->now), 0);
    cr_assert_eq(resolve(fx, "web", 1, &answer), 1);
    cr_assert_eq(answer.result, -ECONNREFUSED);
    fx_free(fx);
    hs_free(hs);
}

/* While this process' registrar joins the scope, nobody is told that a pool does not exist. */
Test(agent_resolution, waits_while_the_local_registrar_joins)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    struct ip_address ip = fx_ip("10.0.0.5");
    struct pool_element e = {
        .pe_id = 3,
        .home_id = 7,
        .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &ip},
        .policy = {.type = POLICY_RR}};
    ag_local_joining(fx->ag, true);
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    cr_assert_eq(hs_register(hs, pool_handle_of("here"), &e, -1, 0, fx->now), HS_ADDED);
    cr_assert_eq(resolve(fx, "here", 1, &answer), 1);
    cr_assert_eq(resolve(fx, "web", 2, &answer), 0);
    cr_assert_eq(resolve(fx, "none", 3, &answer), 0);
    fx_pass(fx, 60000);
    cr_assert_eq(fx_count_kind(fx, ACTION_RESOLVED), 0);
    cr_assert_eq(hs_register(hs, pool_handle_of("web"), &e, -1, 0, fx->now), HS_ADDED);
    ag_local_joining(fx->ag, false);
    for (int i = 0; i < 2; i++) {
        struct action *woken = fx_next(fx, ACTION_RESOLVED);
        cr_assert_not_null(woken);
        cr_assert_eq(woken->result, 0, "there is an answer");
    }
    cr_assert_null(fx_next(fx, ACTION_RESOLVED));
    cr_assert(ag_resolve_take(fx->ag, 2, fx->now, &answer));
    cr_assert(answer.result == 0 && answer.picks[0].pe_id == 3);
    cr_assert(ag_resolve_take(fx->ag, 3, fx->now, &answer));
    cr_assert_eq(answer.result, -ENOENT);
    /* It is none any more before it has joined: others are asked, in vain. */
    ag_local_joining(fx->ag, true);
    cr_assert_eq(resolve(fx, "late", 4, &answer), 0);
    ag_local_registrar(fx->ag, 0, NULL, fx->now);
    ag_local_joining(fx->ag, false);
    fx_pass(fx, 60000);
    cr_assert(ag_resolve_take(fx->ag, 4, fx->now, &answer));
    cr_assert_eq(answer.result, -EAGAIN);
    fx_free(fx);
    hs_free(hs);
}

/* Bounded: pools, waiting requests */
Test(agent_resolution, bounded)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    char handle[32];
    for (uint32_t i = 0; i < AG_POOLS_MAX + 100; i++) {
        (void)snprintf(handle, sizeof(handle), "pool%u", i);
        fill(fx, assoc, handle, 1);
    }
    cr_assert_leq(fx->ag->pool_count, AG_POOLS_MAX);
    cr_assert_leq(hs_pool_count(fx->ag->cache), AG_POOLS_MAX);
    for (uint64_t i = 0; i < AG_WAITERS_MAX; i++) {
        cr_assert_eq(resolve(fx, "slow", i, &answer), 0);
    }
    cr_assert_eq(resolve(fx, "slow", AG_WAITERS_MAX, &answer), 1);
    cr_assert_eq(answer.result, -EAGAIN);
    fx_answer(fx, assoc, "slow", 1, 1);
    for (uint64_t i = 0; i < AG_WAITERS_MAX; i++) {
        cr_assert(ag_resolve_take(fx->ag, i, fx->now, &answer), "request %lu is lost",
                  (unsigned long)i);
        cr_assert_eq(answer.result, 0);
    }
    fx_free(fx);
}
