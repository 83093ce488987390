/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registrations as a registrar sees them (asap.md §5.1, 5.3, 5.6). */
#include "agent_fixture.h"

static int registered_result(struct fx *fx)
{
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert_not_null(a, "the owner was not told");
    return a->result;
}

/* */
Test(agent_registration, registers_and_registers_again_before_the_life_ends)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    struct action *a = fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(a->assoc, assoc);
    cr_assert(pool_handle_equal(fx->msg.handle, pool_handle_of("web")));
    cr_assert_eq(fx->msg.elements[0].pe_id, id);
    cr_assert_eq(fx->msg.elements[0].registration_life, 300000);
    cr_assert_eq(fx->msg.elements[0].policy.type, POLICY_RR);
    cr_assert_eq(fx->msg.elements[0].user.protocol, TRANSPORT_TCP);
    cr_assert_eq(fx->msg.elements[0].user.port, 80);
    cr_assert_eq(fx->msg.elements[0].user.address_count, 1);
    struct ip_address mine = fx_ip("10.0.0.9");
    cr_assert(ip_address_equal(&fx->msg.elements[0].user.addresses[0], &mine));
    cr_assert_eq(fx_state(fx, id), AG_PE_REGISTERING);

    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(registered_result(fx), 0);
    cr_assert_eq(fx_state(fx, id), AG_PE_REGISTERED);

    fx_pass(fx, 279000);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_pass(fx, 1000); /* T4 = life - 20 s */
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].pe_id, id); /* */
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_null(fx_next(fx, ACTION_REGISTERED)); /* told once */
    fx_free(fx);
}

Test(agent_registration, t4_follows_the_life)
{
    struct ag_settings s = {.registration_life_ms = 40000};
    struct ag_pe pe = {.port = 1};
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 20000);
    s.registration_life_ms = 60000;
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 40000);
    s.registration_life_ms = 3600000;
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 600000);
    s.reregistration_ms = 5;
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 5);
    pe.life_ms = 10000; /* the program's own life comes before what is set */
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 5000);
    pe.interval_ms = 3000;
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 3000);
    pe.interval_ms = 10000; /* would come too late */
    cr_assert_eq(ag_reregistration_ms(&s, &pe), 5000);
    pe.interval_ms = 1;
    cr_assert_eq(ag_reregistration_ms(&s, &pe), AG_INTERVAL_MIN_MS);
    pe.life_ms = 1;
    cr_assert_eq(ag_life_ms(&s, &pe), AG_LIFE_MIN_MS);
    pe.life_ms = UINT32_MAX;
    cr_assert_eq(ag_life_ms(&s, &pe), AG_LIFE_MAX_MS);
    pe.life_ms = 0;
    cr_assert_eq(ag_life_ms(&s, &pe), 3600000);
}

/* A program registers again with another life, and with other addresses. */
Test(agent_registration, a_change_is_registered_at_once)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    struct ag_pe_info info;
    fx_host(fx, "10.0.0.9", "10.0.0.77");
    fx_drop(fx);
    cr_assert(ag_pe_get(fx->ag, id, &info));
    struct ag_pe to = info.pe;
    cr_assert_eq(ag_pe_change(fx->ag, id, &to, fx->now), 0);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);

    to.life_ms = 20000;
    to.interval_ms = 4000;
    cr_assert_eq(ag_pe_change(fx->ag, id, &to, fx->now), 0);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].pe_id, id);
    cr_assert_eq(fx->msg.elements[0].registration_life, 20000);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_pass(fx, 3999);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_pass(fx, 1);
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);

    to.address_count = 1;
    to.addresses[0] = fx_ip("10.0.0.77");
    cr_assert_eq(ag_pe_change(fx->ag, id, &to, fx->now), 1);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].user.address_count, 1);
    cr_assert(ip_address_equal(&fx->msg.elements[0].user.addresses[0], &to.addresses[0]));
    cr_assert_eq(ag_pe_change(fx->ag, id + 1, &to, fx->now), -ENOENT);
    fx_free(fx);
}

/* refused, reported once, not repeated; another home or a corrected value frees it */
Test(agent_registration, refused_is_not_repeated_unchanged)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_INCONSISTENT_POLICY);
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert_not_null(a);
    cr_assert_eq(a->result, -EINVAL);
    cr_assert_eq(a->cause, CAUSE_INCONSISTENT_POLICY);
    cr_assert_eq(fx_state(fx, id), AG_PE_REFUSED);
    struct ag_pe_info info;
    cr_assert(ag_pe_get(fx->ag, id, &info));
    cr_assert_not_null(info.reason);

    fx_pass(fx, 3600000);
    struct policy words = {.type = POLICY_RR, .word_count = 1, .words = {5}};
    cr_assert_eq(ag_pe_policy(fx->ag, id, &words, fx->now), 0);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);

    struct policy lu = {.type = POLICY_LU, .word_count = 1};
    cr_assert_eq(ag_pe_policy(fx->ag, id, &lu, fx->now), 0);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].policy.type, POLICY_LU);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_SECURITY);
    cr_assert_eq(registered_result(fx), -EACCES);

    fx_announce(fx, 2, "10.0.0.2");
    ag_assoc_down(fx->ag, assoc, fx->now);
    struct action *c = fx_next(fx, ACTION_CONNECT);
    fx_up(fx, c->assoc, "10.0.0.2");
    fx_expect(fx, ASAP_REGISTRATION);
    fx_free(fx);
}

/* All addresses of the host have changed, and the registrar still believes in the association
 * before: it is asked again until it has found out, without a word to the owner. */
Test(agent_registration, a_contested_identifier_is_tried_again)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    for (int i = 0; i < 5; i++) {
        fx_expect(fx, ASAP_REGISTRATION);
        cr_assert_eq(fx->msg.elements[0].pe_id, id);
        fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_NON_UNIQUE_PE_ID);
        cr_assert_eq(fx_state(fx, id), AG_PE_HUNTING);
        cr_assert_null(fx_next(fx, ACTION_REGISTERED));
        fx_pass(fx, AG_CONTEST_MS);
    }
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(registered_result(fx), 0);

    struct policy lu = {.type = POLICY_LU, .word_count = 1};
    cr_assert_eq(ag_pe_policy(fx->ag, id, &lu, fx->now), 0);
    for (int i = 0; i <= AG_CONTEST_MAX; i++) { /* somebody else's indeed */
        fx_expect(fx, ASAP_REGISTRATION);
        fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_NON_UNIQUE_PE_ID);
        if (i < AG_CONTEST_MAX) {
            fx_pass(fx, AG_CONTEST_MS);
        }
    }
    cr_assert_eq(fx_state(fx, id), AG_PE_REFUSED);
    cr_assert_eq(registered_result(fx), -EEXIST);
    fx_free(fx);
}

/* T-26: one address for TCP, and that the association's where it can be. */
Test(agent_registration, the_address_the_association_runs_from_comes_first)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address source = fx_ip("10.0.0.200");
    fx_host(fx, "10.0.0.2", "10.0.0.200");
    fx_announce(fx, 1, "10.0.0.1");
    struct action *c = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(c);
    uint64_t assoc = c->assoc;
    ag_assoc_source(fx->ag, assoc, &source);
    fx_up(fx, assoc, "10.0.0.1");
    (void)fx_pe(fx, "other");
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].user.address_count, 1);
    cr_assert(ip_address_equal(&fx->msg.elements[0].user.addresses[0], &source));
    fx_host(fx, "10.0.0.2", "10.0.0.7"); /* it is there no longer */
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "other", fx->msg.elements[0].pe_id, false,
               -1);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_not(ip_address_equal(&fx->msg.elements[0].user.addresses[0], &source));
    fx_free(fx);
}

/* an association proves only the addresses the host had when it began. */
Test(agent_registration, new_addresses_get_a_new_association)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_pass(fx, 10000);
    fx_announce(fx, 1, "10.0.0.1");
    fx_host(fx, "10.0.0.77", NULL);
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_INVALID_VALUES);
    struct action *a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert_not_null(a);
    cr_assert_eq(a->assoc, assoc);
    a = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(a);
    uint64_t second = a->assoc;
    fx_up(fx, second, "10.0.0.1");
    cr_assert_eq(fx_expect(fx, ASAP_REGISTRATION)->assoc, second);

    /* Refused over the new one, it is the value that is wrong. */
    fx_respond(fx, second, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_INVALID_VALUES);
    cr_assert_eq(registered_result(fx), -EINVAL);
    cr_assert_eq(fx_state(fx, id), AG_PE_REFUSED);
    fx_free(fx);
}

/* The same when the one it had is there still, in front or behind. */
Test(agent_registration, one_new_address_among_old_ones)
{
    for (int in_front = 0; in_front < 2; in_front++) {
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        uint32_t id = fx_registered(fx, assoc, "web");
        fx_pass(fx, 10000);
        fx_announce(fx, 1, "10.0.0.1");
        fx_host(fx, in_front ? "10.0.0.77" : "10.0.0.9", in_front ? "10.0.0.9" : "10.0.0.77");
        for (int i = 0; i < 300 && fx_state(fx, id) == AG_PE_REGISTERED; i++) {
            fx_announce(fx, 1, "10.0.0.1");
            fx_pass(fx, 1000);
        }
        fx_expect(fx, ASAP_REGISTRATION);
        fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_INVALID_VALUES);
        cr_assert_not_null(fx_next(fx, ACTION_DISCONNECT), "%d", in_front);
        fx_free(fx);
    }
}

/* Said when it is registered, and again when it has another home, not at every turn. */
Test(agent_registration, a_home_is_said_once)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    struct action *a = fx_next(fx, ACTION_EVENT);
    while (a != NULL && a->event.kind != EVENT_LOCAL_REGISTERED) {
        a = fx_next(fx, ACTION_EVENT);
    }
    cr_assert_not_null(a);
    fx_drop(fx);
    for (int i = 0; i < 300 && fx_state(fx, id) == AG_PE_REGISTERED; i++) {
        fx_announce(fx, 1, "10.0.0.1");
        fx_pass(fx, 1000);
    }
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(fx_state(fx, id), AG_PE_REGISTERED);
    while ((a = fx_next(fx, ACTION_EVENT)) != NULL) {
        cr_assert_neq(a->event.kind, EVENT_LOCAL_REGISTERED);
    }
    fx_free(fx);
}

/* A PE without a policy of its own joins with the pool's, which the refusal names. */
Test(agent_registration, takes_the_pools_policy_when_it_has_none)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    int error;
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .protocol = TRANSPORT_TCP,
                       .port = 80,
                       .families = LP_FAMILY_V4};
    uint32_t id = ag_pe_add(fx->ag, &pe, fx->now, &error);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].policy.type, POLICY_RR);
    uint8_t body[64];
    struct policy lu = {.type = POLICY_LU, .word_count = 1, .words = {0x01020304}};
    int len = asap_encode_policy(&lu, body, sizeof(body));
    asap_message_init(&fx->out, ASAP_REGISTRATION_RESPONSE);
    fx->out.flags = ASAP_FLAG;
    fx->out.has_handle = true;
    fx->out.handle = pe.handle;
    fx->out.has_pe_id = true;
    fx->out.pe_id = id;
    fx->out.cause_count = 1;
    fx->out.causes[0] = (struct asap_cause){
        .code = CAUSE_INCONSISTENT_POLICY, .body = body, .body_len = (uint16_t)len};
    fx_send(fx, assoc, &fx->out);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].policy.type, POLICY_LU);
    cr_assert_eq(fx->msg.elements[0].policy.word_count, 1);
    cr_assert_eq(fx->msg.elements[0].policy.words[0], 0x01020304);
    fx_free(fx);
}

/* */
Test(agent_registration, t2_hunts_for_another_registrar_and_reports_after_three)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.2");
    uint32_t id = fx_pe(fx, "web");
    fx_drop(fx);
    fx_pass(fx, 3000);
    struct action *a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert_eq(a->assoc, assoc);
    a = fx_next(fx, ACTION_CONNECT);
    struct ip_address second = fx_ip("10.0.0.2");
    cr_assert(ip_address_equal(&a->addresses[0], &second), "the silent one was tried first");
    cr_assert_eq(fx_state(fx, id), AG_PE_HUNTING);
    for (int i = 0; i < 2; i++) { /* two more that do not answer */
        uint64_t next = a->assoc;
        fx_up(fx, next, i == 0 ? "10.0.0.2" : "10.0.0.1");
        fx_expect(fx, ASAP_REGISTRATION);
        cr_assert_eq(fx_count_kind(fx, ACTION_REGISTERED), 0);
        fx_announce(fx, 1, "10.0.0.1");
        fx_announce(fx, 2, "10.0.0.2");
        fx_pass(fx, 3000);
        if (i == 1) {
            cr_assert_eq(registered_result(fx), -ETIMEDOUT);
        }
        a = fx_next(fx, ACTION_CONNECT);
        cr_assert_not_null(a);
    }
    uint64_t next = a->assoc;
    fx_up(fx, next, "10.0.0.2");
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, next, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(registered_result(fx), 0);
    fx_free(fx);
}

/* kept until a registrar is found */
Test(agent_registration, without_registrar_it_waits_and_says_so)
{
    struct fx *fx = fx_new(NULL);
    uint32_t id = fx_pe(fx, "web");
    cr_assert_eq(registered_result(fx), -EAGAIN);
    cr_assert_eq(fx_state(fx, id), AG_PE_HUNTING);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(registered_result(fx), 0);
    fx_free(fx);
}

/* … A-67 */
Test(agent_registration, removal_deregisters_and_forgets)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    ag_pe_remove(fx->ag, id, "closed", fx->now);
    struct action *a = fx_expect(fx, ASAP_DEREGISTRATION);
    cr_assert_eq(a->assoc, assoc);
    cr_assert_eq(fx->msg.pe_id, id);
    cr_assert_eq(fx_state(fx, id), AG_PE_DEREGISTERING);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    a = fx_next(fx, ACTION_DEREGISTERED);
    cr_assert_not_null(a);
    cr_assert_eq(a->pe_id, id);
    struct ag_pe_info info;
    cr_assert_not(ag_pe_get(fx->ag, id, &info));

    id = fx_registered(fx, assoc, "web"); /* no registrar any more: at once */
    ag_assoc_down(fx->ag, assoc, fx->now);
    ag_pe_remove(fx->ag, id, "closed", fx->now);
    cr_assert_not_null(fx_next(fx, ACTION_DEREGISTERED));
    cr_assert_not(ag_pe_get(fx->ag, id, &info));
    fx_free(fx);
}

/* T3, hunt, repeated with the next home */
Test(agent_registration, deregistration_is_repeated_elsewhere)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.2");
    uint32_t id = fx_registered(fx, assoc, "web");
    ag_pe_remove(fx->ag, id, "closed", fx->now);
    fx_drop(fx);
    fx_pass(fx, 3000);
    struct action *a = fx_next(fx, ACTION_CONNECT);
    uint64_t other = a->assoc;
    fx_up(fx, other, "10.0.0.2");
    a = fx_expect(fx, ASAP_DEREGISTRATION);
    cr_assert_eq(a->assoc, other);
    fx_respond(fx, other, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_not_null(fx_next(fx, ACTION_DEREGISTERED));
    fx_free(fx);
}

/* Withheld and back under the same id, also when it comes back before the answer */
Test(agent_registration, withhold_and_back)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "hung", fx->now), 0);
    fx_expect(fx, ASAP_DEREGISTRATION);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(fx_state(fx, id), AG_PE_WITHHELD);
    struct ag_pe_info info;
    cr_assert(ag_pe_get(fx->ag, id, &info));
    cr_assert_str_eq(info.reason, "hung");
    cr_assert_eq(ag_pe_withhold(fx->ag, id, NULL, fx->now), 0);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].pe_id, id);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);

    cr_assert_eq(ag_pe_withhold(fx->ag, id, "hung", fx->now), 0);
    cr_assert_eq(ag_pe_withhold(fx->ag, id, NULL, fx->now), 0);
    fx_drop(fx);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(ag_pe_withhold(fx->ag, 1, "x", fx->now), -ENOENT);
    fx_free(fx);
}

/* told that the life ran out, it comes back; a registrar that does so at once is not flooded
 */
Test(agent_registration, expired_at_the_registrar)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_pass(fx, 5000);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    fx_expect(fx, ASAP_REGISTRATION);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_pass(fx, 1000);
    fx_expect(fx, ASAP_REGISTRATION);
    fx_free(fx);
}

/* A load that changes while a registration is on its way is not lost. */
Test(agent_registration, change_while_registering)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    struct policy lu = {.type = POLICY_LU, .word_count = 1, .words = {77}};
    fx_drop(fx);
    cr_assert_eq(ag_pe_policy(fx->ag, id, &lu, fx->now), 0);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].policy.words[0], 77);
    cr_assert_eq(fx_state(fx, id), AG_PE_REREGISTERING);
    fx_free(fx);
}

/* with and without PE id; not ours: silence */
Test(agent_registration, keep_alives)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t a = fx_registered(fx, assoc, "web");
    uint32_t b = fx_registered(fx, assoc, "web");
    uint32_t c = fx_registered(fx, assoc, "other");
    fx_keep_alive(fx, assoc, 1, false, "web", b);
    struct action *ack = fx_expect(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK);
    cr_assert_eq(ack->assoc, assoc);
    cr_assert_eq(fx->msg.pe_id, b);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    fx_keep_alive(fx, assoc, 1, false, "web", 0);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 2);
    fx_keep_alive(fx, assoc, 1, false, "web", c);
    fx_keep_alive(fx, assoc, 1, false, "nobody", 0);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    cr_assert_eq(ag_pe_withhold(fx->ag, a, "hung", fx->now), 0);
    fx_keep_alive(fx, assoc, 1, false, "web", a);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    fx_free(fx);
}

/* H = 1 adopts; H = 0 only answers; one that does not name a PE of ours does nothing */
Test(agent_registration, adopts_a_registrar_that_took_over)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_up(fx, 17, "10.0.0.2");
    fx_keep_alive(fx, 17, 2, true, "nobody", 5);
    cr_assert_eq(fx_count_kind(fx, ACTION_SEND), 0);
    fx_keep_alive(fx, 17, 2, false, "web", id);
    struct action *a = fx_expect(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK);
    cr_assert_eq(a->assoc, 17);
    cr_assert_eq(fx->ag->home.assoc, assoc);

    fx_keep_alive(fx, 17, 2, true, "web", id);
    a = fx_expect(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK);
    cr_assert_eq(a->assoc, 17);
    a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert_eq(a->assoc, assoc);
    a = fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(a->assoc, 17);
    fx_respond(fx, 17, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(fx_state(fx, id), AG_PE_REGISTERED);
    struct ag_registrar_info info[4];
    size_t n = ag_registrars(fx->ag, info, 4);
    cr_assert_eq(n, 2);
    cr_assert(info[1].is_home && info[1].id == 2);
    fx_free(fx);
}

/* More than 20 PEs do not all speak at once to a new home, but within a second. */
Test(agent_registration, many_move_spread_over_a_second)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    for (int i = 0; i < 50; i++) {
        (void)fx_registered(fx, assoc, "web");
    }
    fx_announce(fx, 2, "10.0.0.2");
    ag_assoc_down(fx->ag, assoc, fx->now);
    struct action *a = fx_next(fx, ACTION_CONNECT);
    fx_up(fx, a->assoc, "10.0.0.2");
    cr_assert_lt(fx_count(fx, ASAP_REGISTRATION), 10);
    fx_pass(fx, 500);
    unsigned half = fx_count(fx, ASAP_REGISTRATION);
    cr_assert(half > 10 && half < 40, "%u of 50 in the first half", half);
    fx_pass(fx, 500);
    cr_assert_eq(half + fx_count(fx, ASAP_REGISTRATION), 50);
    fx_free(fx);
}

Test(agent_registration, what_is_refused_here)
{
    struct fx *fx = fx_new(NULL);
    char longest[40];
    int error;
    memset(longest, 'x', 33);
    longest[33] = '\0';
    struct ag_pe pe = {.handle = pool_handle_of(longest), .protocol = TRANSPORT_TCP, .port = 80};
    cr_assert_eq(ag_pe_add(fx->ag, &pe, fx->now, &error), 0);
    cr_assert_eq(error, -ENAMETOOLONG); /* */
    pe.handle = pool_handle_of("web");
    pe.port = 0;
    cr_assert_eq(ag_pe_add(fx->ag, &pe, fx->now, &error), 0);
    cr_assert_eq(error, -EINVAL);
    pe.port = 80;
    pe.pe_id = 77;
    cr_assert_eq(ag_pe_add(fx->ag, &pe, fx->now, &error), 77);
    cr_assert_eq(ag_pe_add(fx->ag, &pe, fx->now, &error), 0);
    cr_assert_eq(error, -EEXIST);
    cr_assert_eq(ag_pe_policy(fx->ag, 78, &pe.policy, fx->now), -ENOENT);
    struct ag_pe_info info;
    uint32_t cursor = 0;
    cr_assert(ag_pe_next(fx->ag, &cursor, &info));
    cr_assert_eq(info.pe.pe_id, 77);
    cr_assert_not(ag_pe_next(fx->ag, &cursor, &info));
    fx_free(fx);
}

/* One that is on its way out and comes back under its id (a listener opened anew). */
Test(agent_registration, removed_and_added_again)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    ag_pe_remove(fx->ag, id, "closed", fx->now);
    int error;
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .pe_id = id,
                       .protocol = TRANSPORT_TCP,
                       .port = 81,
                       .families = LP_FAMILY_V4,
                       .policy = {.type = POLICY_RR}};
    cr_assert_eq(ag_pe_add(fx->ag, &pe, fx->now, &error), id);
    fx_drop(fx);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].user.port, 81);
    fx_free(fx);
}

/* asap.md §8: nothing a registrar sends hurts */
Test(agent_registration, garbage_from_the_registrar)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    struct rnd rnd;
    uint8_t octets[256];
    rnd_seed(&rnd, 5);
    for (int i = 0; i < 20000; i++) {
        size_t len = rnd_below(&rnd, sizeof(octets));
        for (size_t k = 0; k < len; k++) {
            octets[k] = (uint8_t)rnd_next(&rnd);
        }
        if (len >= 4 && i % 2 == 0) {
            octets[0] = (uint8_t)(1 + rnd_below(&rnd, 15));
            octets[2] = (uint8_t)(len >> 8);
            octets[3] = (uint8_t)(len & 0xfc);
        }
        ag_message(fx->ag, assoc, octets, len, fx->now);
        if (i % 100 == 0) {
            fx_drop(fx);
        }
    }
    fx_drop(fx);
    fx_keep_alive(fx, assoc, 1, false, "web", id);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 1);
    fx_free(fx);
}

/* an unknown message that asks for a report gets one, an ERROR never */
Test(agent_registration, unknown_messages)
{
    static const uint8_t unknown[] = {0x4f, 0, 0, 4};
    static const uint8_t silent[] = {0x2f, 0, 0, 4};
    static const uint8_t error[] = {0x0e, 0, 0, 8, 0xff, 0, 0, 4};
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_drop(fx);
    ag_message(fx->ag, assoc, unknown, sizeof(unknown), fx->now);
    fx_expect(fx, ASAP_ERROR);
    cr_assert_eq(fx->msg.causes[0].code, CAUSE_UNRECOGNIZED_MESSAGE);
    ag_message(fx->ag, assoc, silent, sizeof(silent), fx->now);
    ag_message(fx->ag, assoc, error, sizeof(error), fx->now);
    cr_assert_eq(fx_count_kind(fx, ACTION_SEND), 0);
    fx_free(fx);
}

/* --- addresses -----------------------------------------------------------------------------------
 */

static void sent_is(struct fx *fx, const char *text)
{
    struct ip_address want = fx_ip(text);
    char got[IP_ADDRESS_TEXT_MAX];
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].user.address_count, 1);
    cr_assert(ip_address_equal(&fx->msg.elements[0].user.addresses[0], &want), "%s, not %s",
              ip_address_format(&fx->msg.elements[0].user.addresses[0], got, sizeof(got)), text);
}

/* transport.md §7.2; A-21 */
Test(agent_addresses, tcp_registers_the_address_on_the_path_to_the_registrar)
{
    struct fx *fx = fx_new(NULL);
    fx_host(fx, "192.168.7.5", "10.0.0.9");
    (void)fx_home(fx, 1, "10.0.0.1");
    (void)fx_pe(fx, "web");
    sent_is(fx, "10.0.0.9");
    fx_host(fx, "fd00::9", "192.168.7.5"); /* the one it had is gone */
    fx_free(fx);

    fx = fx_new(NULL);
    fx_host(fx, "10.0.0.9", "fd00::9");
    (void)fx_home(fx, 1, "fd00::1");
    (void)fx_pe(fx, "web");
    sent_is(fx, "fd00::9");
    fx_free(fx);
}

/* Where IPv4 and IPv6 serve alike, what every socket of a program can reach. */
Test(agent_addresses, ipv4_before_ipv6_of_the_same_rank)
{
    struct fx *fx = fx_new(NULL);
    fx_host(fx, "fd00::9", "10.0.0.9");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx->ag->home.addresses[0] = fx_ip("fd00::8");
    fx->ag->home.addresses[1] = fx_ip("10.0.0.1");
    fx->ag->home.address_count = 2;
    uint32_t id = fx_pe(fx, "web");
    sent_is(fx, "10.0.0.9");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_free(fx);
}

Test(agent_addresses, changes_are_registered)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_host(fx, "10.0.0.9", NULL); /* no change */
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_host(fx, "10.0.0.10", NULL);
    sent_is(fx, "10.0.0.10");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_host(fx, NULL, NULL); /* nothing left that others could use */
    fx_expect(fx, ASAP_DEREGISTRATION);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(fx_state(fx, id), AG_PE_UNREGISTERED);
    fx_host(fx, "10.0.0.10", NULL);
    sent_is(fx, "10.0.0.10");
    fx_free(fx);
}

/* */
Test(agent_addresses, sctp_registers_several)
{
    struct fx *fx = fx_new(NULL);
    int error;
    fx_host(fx, "10.0.0.9", "fd00::9");
    (void)fx_home(fx, 1, "10.0.0.1");
    struct ag_pe pe = {.handle = pool_handle_of("s"),
                       .protocol = TRANSPORT_SCTP,
                       .port = 7,
                       .use = TRANSPORT_USE_DATA,
                       .policy = {.type = POLICY_RR}};
    (void)ag_pe_add(fx->ag, &pe, fx->now, &error);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].user.address_count, 2);
    fx_free(fx);
}

static uint32_t loopback_pe(struct fx *fx)
{
    int error;
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .protocol = TRANSPORT_TCP,
                       .port = 80,
                       .address_count = 1,
                       .policy = {.type = POLICY_RR}};
    pe.addresses[0] = fx_ip("127.0.0.1");
    return ag_pe_add(fx->ag, &pe, fx->now, &error);
}

/* decisions.md: loopback never leaves the host, but serves it */
Test(agent_addresses, loopback_stays_here)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = loopback_pe(fx);
    struct action *told = fx_next(fx, ACTION_REGISTERED);
    cr_assert_eq(told->result, 0);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    cr_assert_eq(fx_state(fx, id), AG_PE_UNREGISTERED);

    struct ag_query q = fx_query("web");
    struct ag_answer answer;
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer_unknown(fx, assoc, "web");
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, 0);
    cr_assert_eq(answer.picks[0].pe_id, id);
    fx_free(fx);

    fx = fx_new(NULL); /* a registrar of this host may know it */
    struct ip_address lo = fx_ip("127.0.0.1");
    cr_assert_eq(ag_static_registrar(fx->ag, &lo, 1, ASAP_PORT, fx->now), 0);
    struct action *c = fx_next(fx, ACTION_CONNECT);
    fx_up(fx, c->assoc, "127.0.0.1");
    (void)loopback_pe(fx);
    sent_is(fx, "127.0.0.1");
    fx_free(fx);
}

/* */
Test(agent_addresses, bound_listener_registers_its_own_address_only)
{
    struct fx *fx = fx_new(NULL);
    int error;
    fx_host(fx, "10.0.0.9", "10.0.0.10");
    (void)fx_home(fx, 1, "10.0.0.1");
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .protocol = TRANSPORT_TCP,
                       .port = 80,
                       .address_count = 1,
                       .policy = {.type = POLICY_RR}};
    pe.addresses[0] = fx_ip("10.0.0.10");
    (void)ag_pe_add(fx->ag, &pe, fx->now, &error);
    sent_is(fx, "10.0.0.10");
    fx_free(fx);
}
