/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* PEs that failed towards this host, and reports (asap.md §5.9, decisions.md). */
#include "agent_fixture.h"

static struct pool_handle web(void)
{
    return pool_handle_of("web");
}

static uint64_t with_pool(struct fx *fx, uint32_t n)
{
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer(fx, assoc, "web", 1, n);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    fx_drop(fx);
    return assoc;
}

static uint32_t pick(struct fx *fx, uint64_t assoc, uint32_t n)
{
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    if (ag_resolve(fx->ag, &q, 2, fx->now, &answer) == 0) {
        fx_answer(fx, assoc, "web", 1, n);
        cr_assert(ag_resolve_take(fx->ag, 2, fx->now, &answer));
    }
    cr_assert_eq(answer.result, 0);
    return answer.picks[0].pe_id;
}

/* A-90 … A-92: told once, not used, dropped from the cache */
Test(agent_quarantine, a_failed_one_is_reported_and_not_used)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = with_pool(fx, 3);
    ag_report(fx->ag, web(), 2, -ECONNREFUSED, fx->now);
    struct action *a = fx_expect(fx, ASAP_ENDPOINT_UNREACHABLE);
    cr_assert_eq(a->assoc, assoc);
    cr_assert_eq(fx->msg.pe_id, 2);
    cr_assert(ag_quarantined(fx->ag, web(), 2));
    for (int i = 0; i < 20; i++) {
        cr_assert_neq(pick(fx, assoc, 3), 2);
    }
    fx_pass(fx, 6000); /* a new answer lists it again; it stays in quarantine */
    fx_drop(fx);
    for (int i = 0; i < 20; i++) {
        cr_assert_neq(pick(fx, assoc, 3), 2);
    }
    fx_free(fx);
}

/* 1, 2, 4 … 30 s; success releases */
Test(agent_quarantine, probe_schedule)
{
    static const int64_t waits[] = {1000, 2000, 4000, 8000, 16000, 30000, 30000};
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = with_pool(fx, 2);
    ag_report(fx->ag, web(), 2, -ETIMEDOUT, fx->now);
    (void)pick(fx, assoc, 2);
    fx_drop(fx);
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        fx_pass(fx, waits[i] - 1);
        cr_assert_eq(fx_count_kind(fx, ACTION_TRY_PE), 0);
        fx_pass(fx, 1);
        struct action *a = fx_next(fx, ACTION_TRY_PE);
        cr_assert_not_null(a, "try %zu", i);
        struct ip_address ip = fx_ip("10.0.0.2");
        cr_assert(a->pe_id == 2 && a->port == 80 && a->protocol == TRANSPORT_TCP);
        cr_assert(a->address_count == 1 && ip_address_equal(&a->addresses[0], &ip));
        ag_tried(fx->ag, 2, false, fx->now);
    }
    ag_tried(fx->ag, 2, true, fx->now);
    cr_assert_not(ag_quarantined(fx->ag, web(), 2));
    fx_pass(fx, 120000);
    cr_assert_eq(fx_count_kind(fx, ACTION_TRY_PE), 0);
    fx_free(fx);
}

/* A PE that only its own protocol can tell alive is used again on trial */
Test(agent_quarantine, udp_on_trial)
{
    struct fx *fx = fx_new(NULL);
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    struct ip_address ip = fx_ip("10.0.0.5");
    struct pool_element e = {
        .pe_id = 1,
        .home_id = 99,
        .user = {.protocol = TRANSPORT_UDP, .port = 53, .address_count = 1, .addresses = &ip},
        .policy = {.type = POLICY_RR}};
    cr_assert_eq(hs_register(hs, web(), &e, -1, 0, fx->now), HS_ADDED);
    fx_pass(fx, 10);
    ag_report(fx->ag, web(), 1, -ECONNREFUSED, fx->now);
    cr_assert(ag_quarantined(fx->ag, web(), 1));
    fx_pass(fx, 1000);
    cr_assert_eq(fx_count_kind(fx, ACTION_TRY_PE), 0);
    cr_assert_not(ag_quarantined(fx->ag, web(), 1));
    ag_report(fx->ag, web(), 1, -ECONNREFUSED, fx->now);
    cr_assert(ag_quarantined(fx->ag, web(), 1));
    fx_pass(fx, 4000);
    cr_assert_not(ag_quarantined(fx->ag, web(), 1));
    fx_pass(fx, 30000);
    cr_assert_eq(fx->ag->suspect_count, 0);
    fx_free(fx);
    hs_free(hs);
}

/* All that fit are in quarantine: the one that failed longest ago is tried */
Test(agent_quarantine, better_an_old_failure_than_none)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = with_pool(fx, 3);
    for (uint32_t id = 1; id <= 3; id++) {
        fx_pass(fx, 100);
        ag_report(fx->ag, web(), id == 1 ? 2 : id == 2 ? 1 : 3, -ETIMEDOUT, fx->now);
    }
    cr_assert_eq(pick(fx, assoc, 3), 2);
    fx_pass(fx, 10);
    ag_report(fx->ag, web(), 2, -ETIMEDOUT, fx->now); /* again: now another one is the oldest */
    cr_assert_eq(pick(fx, assoc, 3), 1);
    fx_free(fx);
}

/* Re-registration releases: seen in the handlespace of the local registrar … */
Test(agent_quarantine, reregistration_releases_at_the_registrar)
{
    struct fx *fx = fx_new(NULL);
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    struct ip_address ip = fx_ip("10.0.0.5");
    struct pool_element e = {
        .home_id = 99,
        .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &ip},
        .policy = {.type = POLICY_RR}};
    for (e.pe_id = 1; e.pe_id <= 2; e.pe_id++) {
        cr_assert_eq(hs_register(hs, web(), &e, -1, 0, fx->now), HS_ADDED);
    }
    fx_pass(fx, 100);
    ag_report(fx->ag, web(), 2, -ETIMEDOUT, fx->now);
    fx_expect(fx, ASAP_ENDPOINT_UNREACHABLE);
    for (int i = 0; i < 6; i++) {
        cr_assert_eq(pick(fx, 0, 0), 1);
    }
    fx_pass(fx, 100);
    e.pe_id = 2;
    cr_assert_eq(hs_register(hs, web(), &e, -1, 0, fx->now), HS_UPDATED);
    unsigned hits = 0;
    for (int i = 0; i < 6; i++) {
        hits += pick(fx, 0, 0) == 2 ? 1 : 0;
    }
    cr_assert_eq(hits, 3);
    cr_assert_not(ag_quarantined(fx->ag, web(), 2));

    ag_report(fx->ag, web(), 2, -ETIMEDOUT, fx->now); /* gone from the scope: forgotten */
    cr_assert_eq(hs_deregister(hs, web(), 2), HS_REMOVED);
    fx_pass(fx, 1000);
    cr_assert_not(ag_quarantined(fx->ag, web(), 2));
    fx_free(fx);
    hs_free(hs);
}

/* … or, by the registrar's answers, as absent and present again. */
Test(agent_quarantine, reregistration_releases_by_answers)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = with_pool(fx, 2);
    ag_report(fx->ag, web(), 2, -ETIMEDOUT, fx->now);
    fx_answer(fx, assoc, "web", 1, 2);
    cr_assert(ag_quarantined(fx->ag, web(), 2));
    fx_answer(fx, assoc, "web", 1, 1);
    fx_answer(fx, assoc, "web", 1, 2);
    cr_assert_not(ag_quarantined(fx->ag, web(), 2));
    fx_free(fx);
}

/* one per PE and second; ten a second, twenty at once */
Test(agent_quarantine, reports_are_limited)
{
    struct fx *fx = fx_new(NULL);
    (void)with_pool(fx, 2);
    for (int i = 0; i < 10; i++) {
        ag_report(fx->ag, web(), 1, -ETIMEDOUT, fx->now);
    }
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 1);
    fx_pass(fx, 1000);
    ag_report(fx->ag, web(), 1, -ETIMEDOUT, fx->now);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 1);
    fx_pass(fx, 10000);
    for (uint32_t i = 100; i < 200; i++) {
        ag_report(fx->ag, web(), i, -ETIMEDOUT, fx->now);
    }
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 20);
    fx_pass(fx, 500);
    for (uint32_t i = 200; i < 300; i++) {
        ag_report(fx->ag, web(), i, -ETIMEDOUT, fx->now);
    }
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 5);
    fx_free(fx);
}

/* Every event names what led to it (issue A: a later "why"). */
Test(agent_quarantine, events_are_chained)
{
    struct fx *fx = fx_new(NULL);
    (void)with_pool(fx, 2);
    fx->box.cause = fx->cause = 4711;
    ag_report(fx->ag, web(), 1, -ETIMEDOUT, fx->now);
    struct action *a = fx_next(fx, ACTION_EVENT);
    cr_assert(a->event.kind == EVENT_PE_UNREACHABLE && a->event.cause == 4711);
    uint64_t id = a->event.id;
    a = fx_next(fx, ACTION_EVENT);
    cr_assert(a->event.kind == EVENT_PE_QUARANTINED && a->event.cause == id);
    a = fx_next(fx, ACTION_SEND);
    cr_assert_eq(a->event.cause, id);
    fx_free(fx);
}

Test(agent_quarantine, bounded_and_harmless)
{
    struct fx *fx = fx_new(NULL);
    for (uint32_t i = 1; i < 3 * AG_QUARANTINE_MAX; i++) {
        ag_report(fx->ag, web(), i, 0, fx->now);
    }
    cr_assert_eq(fx->ag->suspect_count, AG_QUARANTINE_MAX);
    ag_report(fx->ag, (struct pool_handle){0}, 1, 0, fx->now);
    ag_report(fx->ag, web(), 0, 123456, fx->now);
    ag_tried(fx->ag, 77777, true, fx->now);
    fx_pass(fx, 3600000); /* nobody ever tells of them: forgotten */
    cr_assert_eq(fx->ag->suspect_count, 0);
    fx_free(fx);
}

/* nobody has sent to them: what befalls associations and requests is no report of an element
 */
Test(agent_quarantine, nothing_is_reported_unasked)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    uint64_t assoc = with_pool(fx, 3);
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert_eq(ag_resolve(fx->ag, &q, 3, fx->now, &answer), 1);
    fx_pass(fx, 60000);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 0);
    cr_assert_eq(fx->ag->suspect_count, 0);
    fx_free(fx);
}
