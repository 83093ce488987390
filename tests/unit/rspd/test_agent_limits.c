/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's defaults and bounds, and what it says of an element to its owner. */
#include "agent_fixture.h"

#include <errno.h>
#include <stdio.h>

#include "rspd/agent/ag_internal.h"

/* asap.md §6: without settings of the daemon, rsplib's units and its shorter times. */
Test(agent_limits, defaults)
{
    struct ag_settings s;
    ag_settings_default(&s);
    cr_assert_eq(s.t1_request_ms, 3000);
    cr_assert_eq(s.t2_registration_ms, 3000);
    cr_assert_eq(s.t3_deregistration_ms, 3000);
    cr_assert_eq(s.registration_life_ms, 300000);
    cr_assert_eq(s.t5_hunt_ms, 2000);
    cr_assert_eq(s.hunt_max_ms, 15000);
    cr_assert_eq(s.t7_outdate_ms, 5000);
    cr_assert_eq(s.stale_cache_ms, 5000);
    cr_assert_eq(s.max_registration_attempts, 2);
    cr_assert_eq(s.max_request_retransmits, 2);
    cr_assert_eq(s.resolve_items, ASAP_ITEMS_ALL);
    cr_assert_eq(s.quarantine_first_ms, 1000);
    cr_assert_eq(s.quarantine_max_ms, 30000);
    cr_assert_eq(s.report_rate_ms, 1000);
    cr_assert_eq(s.handle_max, 32);
    cr_assert(s.dynamic_updates);
    cr_assert_not(s.life_in_seconds);
}

static void many(struct ip_address *list, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        list[i] = (struct ip_address){IP_V4, {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
    }
}

/* Eight addresses of a registrar are kept, of a host 32; the first ones. */
Test(agent_limits, addresses)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address list[64];
    struct ag_registrar_info info;
    many(list, 64);
    cr_assert_eq(ag_static_registrar(fx->ag, list, 64, ASAP_PORT, fx->now), 0);
    cr_assert_eq(ag_registrars(fx->ag, &info, 1), 1);
    cr_assert_eq(info.address_count, AG_ADDRESSES_MAX);
    cr_assert(ip_address_equal(&info.addresses[7], &list[7]));
    struct action *connect = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(connect);
    cr_assert_eq(connect->address_count, AG_ADDRESSES_MAX);
    uint64_t assoc = connect->assoc;
    ag_assoc_up(fx->ag, assoc, &list[20], 40, ASAP_PORT, fx->now);
    cr_assert_eq(fx->ag->home.address_count, AG_ADDRESSES_MAX);
    cr_assert(ip_address_equal(&fx->ag->home.addresses[7], &list[27]));
    ag_host_addresses(fx->ag, list, 64, fx->now);
    cr_assert_eq(fx->ag->view.host_count, AG_HOST_ADDRESSES_MAX);
    fx_free(fx);
}

/* Told nothing about the peer's addresses, the agent goes by those it tried. */
Test(agent_limits, home_without_addresses)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address list[2];
    many(list, 2);
    cr_assert_eq(ag_static_registrar(fx->ag, list, 2, ASAP_PORT, fx->now), 0);
    struct action *connect = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(connect);
    ag_assoc_up(fx->ag, connect->assoc, NULL, 0, ASAP_PORT, fx->now);
    cr_assert(ag_has_home(fx->ag));
    cr_assert_eq(fx->ag->home.address_count, 2);
    cr_assert(ip_address_equal(&fx->ag->home.addresses[1], &list[1]));
    fx_free(fx);
}

Test(agent_limits, policy_words)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    struct policy policy = {.type = POLICY_RR, .word_count = POLICY_WORDS_MAX + 1};
    cr_assert_eq(ag_pe_policy(fx->ag, id, &policy, fx->now), -EINVAL);
    policy.word_count = POLICY_WORDS_MAX;
    cr_assert_eq(ag_pe_policy(fx->ag, id, &policy, fx->now), 0);
    cr_assert_eq(ag_pe_policy(fx->ag, id + 1, &policy, fx->now), -ENOENT);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].pe_id, id);
    fx_free(fx);
}

/* What held an element back is said as long as it does. */
Test(agent_limits, reasons)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    struct ag_pe_info info;
    cr_assert(ag_pe_get(fx->ag, id, &info));
    cr_assert(info.reason == NULL || info.reason[0] == '\0');
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "it hangs", fx->now), 0);
    cr_assert(ag_pe_get(fx->ag, id, &info));
    cr_assert_str_eq(info.reason, "it hangs");
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert(ag_pe_get(fx->ag, id, &info));
    cr_assert_eq(info.state, AG_PE_WITHHELD);
    cr_assert_str_eq(info.reason, "it hangs");
    cr_assert_eq(ag_pe_withhold(fx->ag, id, NULL, fx->now), 0);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert(ag_pe_get(fx->ag, id, &info));
    cr_assert_eq(info.state, AG_PE_REGISTERED);
    cr_assert(info.reason == NULL || info.reason[0] == '\0');
    cr_assert_eq(ag_pe_withhold(fx->ag, id + 1, "x", fx->now), -ENOENT);
    fx_free(fx);
}

static void sctp_element(struct fx *fx, uint32_t *ret_id)
{
    int error;
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .protocol = TRANSPORT_SCTP,
                       .port = 7,
                       .families = 1,
                       .policy = {.type = POLICY_RR}};
    *ret_id = ag_pe_add(fx->ag, &pe, fx->now, &error);
    cr_assert_neq(*ret_id, 0);
}

/* Any of several addresses that changes is registered; the same ones again are nothing new. */
Test(agent_limits, one_of_several_addresses_changes)
{
    struct fx *fx = fx_new(NULL);
    uint32_t id;
    fx_host(fx, "10.0.0.9", "10.0.0.10");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    sctp_element(fx, &id);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].user.address_count, 2);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_drop(fx);
    fx_host(fx, "10.0.0.9", "10.0.0.10");
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_host(fx, "10.0.0.9", "10.0.0.11");
    fx_pass(fx, 2000);
    cr_assert_geq(fx_count(fx, ASAP_REGISTRATION), 1);
    fx_free(fx);
}

/* A failure is told once, however long it lasts; the success after it, too. */
Test(agent_limits, failure_is_told_once)
{
    struct fx *fx = fx_new(NULL);
    uint32_t id = fx_pe(fx, "web");
    unsigned told = 0;
    for (int i = 0; i < 60; i++) {
        struct action *a;
        while ((a = fx_next(fx, ACTION_REGISTERED)) != NULL) {
            cr_assert_neq(a->result, 0);
            told++;
        }
        fx_pass(fx, 1000);
    }
    cr_assert_eq(told, 1);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert_not_null(a);
    cr_assert_eq(a->result, 0);
    fx_free(fx);
}
