/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An element of this host: each field of what is sent, what its owner is told, and when (asap.md
 * §5.1, 5.3, 5.6). */
#include "agent_fixture.h"

static uint32_t add(struct fx *fx, const struct ag_pe *pe)
{
    int error = 1;
    uint32_t id = ag_pe_add(fx->ag, pe, fx->now, &error);
    cr_assert(id != 0 && error == 0, "error %d", error);
    return id;
}

static void accept_it(struct fx *fx, uint64_t assoc, const char *handle, uint32_t id)
{
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, handle, id, false, -1);
}

static unsigned events(struct fx *fx, enum event_kind kind)
{
    struct action *a;
    unsigned n = 0;
    while ((a = fx_next(fx, ACTION_EVENT)) != NULL) {
        n += a->event.kind == kind ? 1 : 0;
    }
    return n;
}

/* a registration says all there is to say. */
Test(agent_elements, registration_field_by_field)
{
    static const struct {
        enum transport_protocol protocol;
        uint16_t use, want_use;
        struct policy policy, want;
    } rows[] = {
        {TRANSPORT_TCP, 1, 0, {.type = POLICY_NONE}, {.type = POLICY_RR}},
        {TRANSPORT_UDP, 1, 0, {.type = POLICY_RAND}, {.type = POLICY_RAND}},
        {TRANSPORT_SCTP,
         1,
         1,
         {.type = POLICY_WRR, .word_count = 1, .words = {9}},
         {.type = POLICY_WRR, .word_count = 1, .words = {9}}},
        {TRANSPORT_SCTP, 0, 0, {.type = POLICY_RR}, {.type = POLICY_RR}},
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        struct ag_pe pe = {.handle = pool_handle_of("web"),
                           .protocol = rows[r].protocol,
                           .port = 4321,
                           .use = rows[r].use,
                           .policy = rows[r].policy};
        uint32_t id = add(fx, &pe);
        struct action *a = fx_expect(fx, ASAP_REGISTRATION);
        const struct pool_element *e = &fx->msg.elements[0];
        struct ip_address own = fx_ip("10.0.0.9");
        cr_expect(a->assoc == assoc && fx->msg.flags == 0 && fx->msg.has_handle);
        cr_expect_eq(fx->msg.element_count, 1);
        cr_expect(e->pe_id == id && e->home_id == 0);
        cr_expect_eq(e->registration_life, 300000);
        cr_expect(e->user.protocol == rows[r].protocol && e->user.port == 4321);
        cr_expect_eq(e->user.use, rows[r].want_use, "row %zu", r);
        cr_expect(e->user.address_count == 1 && ip_address_equal(&e->user.addresses[0], &own));
        cr_expect(e->policy.type == rows[r].want.type &&
                  e->policy.words[0] == rows[r].want.words[0]);
        cr_expect_eq(e->policy.word_count, rows[r].want.word_count);
        fx_free(fx);
    }
}

/* Said once per home: when it is accepted, when another home has it, when it is back. */
Test(agent_elements, when_registered_is_news)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    accept_it(fx, assoc, "web", id);
    cr_assert_eq(events(fx, EVENT_LOCAL_REGISTERED), 1);
    fx_pass(fx, 280000); /* T4 */
    accept_it(fx, assoc, "web", id);
    cr_assert_eq(events(fx, EVENT_LOCAL_REGISTERED), 0);
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "x", fx->now), 0);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_eq(ag_pe_withhold(fx->ag, id, NULL, fx->now), 0);
    fx_drop(fx);
    accept_it(fx, assoc, "web", id); /* the same home */
    cr_assert_eq(events(fx, EVENT_LOCAL_REGISTERED), 1);
    fx_up(fx, 17, "10.0.0.2");
    fx_keep_alive(fx, 17, 2, true, "web", id);
    fx_drop(fx);
    accept_it(fx, 17, "web", id);
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert_null(a); /* its owner knew that */
    accept_it(fx, 17, "web", id);
    cr_assert_eq(events(fx, EVENT_LOCAL_REGISTERED), 0);
    fx_free(fx);
}

/* What held it back is forgotten with the acceptance. */
Test(agent_elements, a_refusal_is_forgotten)
{
    struct fx *fx = fx_new(NULL);
    struct ag_pe_info info;
    struct policy rand = {.type = POLICY_RAND};
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, CAUSE_SECURITY);
    cr_assert(ag_pe_get(fx->ag, id, &info) && info.reason != NULL);
    cr_assert_eq(info.since.us, fx->now.us);
    int64_t then = fx->now.us;
    fx_pass(fx, 10);
    cr_assert(ag_pe_get(fx->ag, id, &info) && info.since.us == then);
    struct policy words = {.type = POLICY_RR, .word_count = 1};
    cr_assert_eq(ag_pe_policy(fx->ag, id, &words, fx->now), 0); /* no correction */
    cr_assert_eq(fx_state(fx, id), AG_PE_REFUSED);
    cr_assert_eq(ag_pe_policy(fx->ag, id, &rand, fx->now), 0);
    cr_assert(ag_pe_get(fx->ag, id, &info) && info.state == AG_PE_REGISTERING);
    cr_assert(info.reason == NULL && info.since.us == fx->now.us);
    fx_drop(fx);
    accept_it(fx, assoc, "web", id);
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert(a != NULL && a->result == 0 && a->pe_id == id);
    fx_free(fx);
}

/* Registrations on their way when another registrar takes the host over: few are repeated there at
 * once; of many each waits for its turn, and the old home's answer is void. */
Test(agent_elements, on_the_way_when_the_home_changes)
{
    for (int many = 0; many < 2; many++) {
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        uint32_t id = fx_registered(fx, assoc, "web");
        uint32_t ids[AG_SPREAD_ABOVE];
        int n = many ? AG_SPREAD_ABOVE : AG_SPREAD_ABOVE - 1;
        for (int i = 0; i < n; i++) {
            ids[i] = fx_pe(fx, "new");
        }
        fx_up(fx, 17, "10.0.0.2");
        fx_drop(fx);
        fx_keep_alive(fx, 17, 2, true, "web", id);
        cr_assert_eq(fx->ag->home.assoc, 17);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), many ? 0 : n + 1);
        cr_assert_eq(fx_state(fx, ids[0]), many ? AG_PE_HUNTING : AG_PE_REGISTERING);
        cr_assert_eq(fx_state(fx, ids[n - 1]), many ? AG_PE_HUNTING : AG_PE_REGISTERING);
        cr_assert_eq(fx_state(fx, id), many ? AG_PE_REGISTERED : AG_PE_REREGISTERING);
        fx_pass(fx, AG_SPREAD_MS);
        cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), many ? n + 1 : 0);
        cr_assert_eq(fx_state(fx, ids[0]), AG_PE_REGISTERING);
        fx_free(fx);
    }
}

static void in_seconds(struct ag_settings *s)
{
    s->life_in_seconds = true;
}

/* */
Test(agent_elements, life_unit)
{
    struct fx *fx = fx_new(in_seconds);
    (void)fx_home(fx, 1, "10.0.0.1");
    (void)fx_pe(fx, "web");
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].registration_life, 300);
    fx_free(fx);
}

/* a life of hours is told to the second, too. */
Test(agent_elements, a_long_life_in_seconds)
{
    struct fx *fx = fx_new(in_seconds);
    (void)fx_home(fx, 1, "10.0.0.1");
    struct ag_pe pe = {.handle = pool_handle_of("web"),
                       .protocol = TRANSPORT_TCP,
                       .port = 80,
                       .life_ms = 7200000,
                       .policy = {.type = POLICY_RR}};
    (void)add(fx, &pe);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].registration_life, 7200);
    fx_free(fx);
}

/* an identifier that another has costs all the tries anew each time it is begun with. */
Test(agent_elements, a_contest_begins_anew)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    static const enum policy_type types[] = {POLICY_LU, POLICY_RAND, POLICY_RR};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        for (int tries = 0; tries < AG_CONTEST_MAX; tries++) {
            fx_expect(fx, ASAP_REGISTRATION);
            fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true,
                       CAUSE_NON_UNIQUE_PE_ID);
            cr_assert_eq(fx_state(fx, id), AG_PE_HUNTING);
            fx_pass(fx, AG_CONTEST_MS);
        }
        fx_expect(fx, ASAP_REGISTRATION);
        /* The last word is this, or that it may not, which ends the contest as well. */
        fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true,
                   i == 1 ? CAUSE_SECURITY : CAUSE_NON_UNIQUE_PE_ID);
        cr_assert_eq(fx_state(fx, id), AG_PE_REFUSED);
        struct policy other = {.type = types[i], .word_count = types[i] == POLICY_LU};
        cr_assert_eq(ag_pe_policy(fx->ag, id, &other, fx->now), 0);
    }
    fx_free(fx);
}

/* programs of this host find it where it has moved to, with a registrar and without. */
Test(agent_elements, moved_for_its_own_host)
{
    struct ag_answer answer;
    struct ag_pe_info info;
    for (int home = 0; home < 2; home++) {
        struct fx *fx = fx_new(NULL);
        struct ag_query q = fx_query("web");
        fx_host(fx, "10.0.0.9", "10.0.0.77");
        uint32_t id = fx_pe(fx, "web");
        if (home == 1) {
            uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
            accept_it(fx, assoc, "web", id);
            cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
            fx_answer_unknown(fx, assoc, "web");
            cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
        }
        cr_assert(ag_pe_get(fx->ag, id, &info));
        info.pe.address_count = 1;
        for (int i = 0; i < 2; i++) {
            info.pe.addresses[0] = fx_ip(i == 0 ? "10.0.0.77" : "10.0.0.9");
            cr_assert_eq(ag_pe_change(fx->ag, id, &info.pe, fx->now), 1);
            cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
            cr_assert(answer.result == 0 && answer.picks[0].pe_id == id);
            cr_assert_eq(answer.picks[0].address_count, 1);
            cr_assert(ip_address_equal(&answer.picks[0].addresses[0], &info.pe.addresses[0]));
            hs_read_begin();
            const struct hs_element *listed = hs_find(ag_cache(fx->ag), q.handle, id);
            struct transport user = listed != NULL ? hs_user(listed) : (struct transport){0};
            cr_assert_eq(user.address_count, 1);
            cr_assert(ip_address_equal(&user.addresses[0], &info.pe.addresses[0]));
            hs_read_end();
        }
        /* Moved while it is withheld, it stays withheld. */
        cr_assert_eq(ag_pe_withhold(fx->ag, id, "it hangs", fx->now), 0);
        info.pe.addresses[0] = fx_ip("10.0.0.77");
        cr_assert_eq(ag_pe_change(fx->ag, id, &info.pe, fx->now), 1);
        (void)ag_resolve(fx->ag, &q, 1, fx->now, &answer);
        cr_assert_eq(answer.count, 0);
        cr_assert(ag_mark_is(ag_mark_find(fx->ag, AG_MARK_OWN, q.handle, id), AG_MARK_UNFIT));
        fx_free(fx);
    }
}

/* under its id again, with what it wants now, whatever it was before. */
Test(agent_elements, back_before_it_has_left)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "it hangs", fx->now), 0);
    ag_pe_remove(fx->ag, id, "closed", fx->now);
    int error;
    struct ag_pe pe = {.handle = pool_handle_of("other"),
                       .pe_id = id,
                       .protocol = TRANSPORT_TCP,
                       .port = 81,
                       .policy = {.type = POLICY_RR}};
    cr_assert_eq(ag_pe_add(fx->ag, &pe, fx->now, &error), 0); /* the id is another pool's yet */
    cr_assert_eq(error, -EEXIST);
    pe.handle = pool_handle_of("web");
    cr_assert_eq(add(fx, &pe), id);
    cr_assert_eq(fx_state(fx, id), AG_PE_DEREGISTERING);
    fx_drop(fx);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    fx_expect(fx, ASAP_REGISTRATION);
    accept_it(fx, assoc, "web", id);
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert(a != NULL && a->result == 0); /* told anew */
    struct ag_query q = fx_query("web");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer_unknown(fx, assoc, "web"); /* as another host's registrar would, a moment too early */
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert(answer.result == 0 && answer.picks[0].pe_id == id && answer.picks[0].port == 81);
    fx_free(fx);
}

/* Its host says that it serves again: that ends its quarantine here. */
Test(agent_elements, back_from_being_withheld)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    ag_report(fx->ag, pool_handle_of("web"), id, 0, fx->now);
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "x", fx->now), 0);
    cr_assert(ag_quarantined(fx->ag, pool_handle_of("web"), id));
    cr_assert_eq(ag_pe_withhold(fx->ag, id, NULL, fx->now), 0);
    cr_assert_not(ag_quarantined(fx->ag, pool_handle_of("web"), id));
    fx_free(fx);
}

/* While it is withheld or leaving, new addresses of the host are no reason to register it. */
Test(agent_elements, new_addresses_of_what_is_not_wanted)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t a = fx_registered(fx, assoc, "web");
    uint32_t b = fx_registered(fx, assoc, "web");
    uint32_t c = fx_registered(fx, assoc, "web");
    cr_assert_eq(ag_pe_withhold(fx->ag, a, "x", fx->now), 0);
    ag_pe_remove(fx->ag, b, "x", fx->now);
    fx_drop(fx);
    fx_host(fx, "10.0.0.77", NULL);
    fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(fx->msg.elements[0].pe_id, c);
    cr_assert_eq(fx_count(fx, ASAP_REGISTRATION), 0);
    fx_free(fx);
}

/* Its last address goes: out of the scope it goes, too, and in again with the next one. */
Test(agent_elements, without_an_address)
{
    struct fx *fx = fx_new(NULL);
    struct ag_pe_info info;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_host(fx, NULL, NULL);
    fx_expect(fx, ASAP_DEREGISTRATION);
    cr_assert(fx->msg.pe_id == id && fx->msg.has_pe_id && fx->msg.has_handle);
    cr_assert_eq(fx_state(fx, id), AG_PE_DEREGISTERING);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert(ag_pe_get(fx->ag, id, &info) && info.state == AG_PE_UNREGISTERED);
    cr_assert_str_eq(info.reason, "no address that other hosts could use: serves this host only");
    cr_assert_eq(fx_count_kind(fx, ACTION_DEREGISTERED), 0); /* it is wanted still */
    fx_host(fx, "10.0.0.9", NULL);
    fx_expect(fx, ASAP_REGISTRATION);
    accept_it(fx, assoc, "web", id);
    cr_assert(ag_pe_get(fx->ag, id, &info) && info.state == AG_PE_REGISTERED);
    cr_assert_null(info.reason);
    fx_free(fx);
}

/* that deregistration, too, goes to another home when nobody answers within T3. */
Test(agent_elements, without_an_address_and_an_answer)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_announce(fx, 2, "10.0.0.2");
    fx_host(fx, NULL, NULL);
    cr_assert_eq(fx_count(fx, ASAP_DEREGISTRATION), 1);
    fx_pass(fx, fx->ag->set.t3_deregistration_ms - 1);
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 0);
    fx_pass(fx, 1);
    struct action *connect = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(connect);
    assoc = connect->assoc;
    fx_up(fx, assoc, "10.0.0.2");
    struct action *a = fx_expect(fx, ASAP_DEREGISTRATION);
    cr_assert(a->assoc == assoc && fx->msg.pe_id == id);
    fx_free(fx);
}

/* T4 by the RFC's rule (asap.md §6) and by the setting. */
Test(agent_elements, when_it_registers_again)
{
    static const struct {
        uint32_t life, setting, want;
    } rows[] = {
        {0, 0, 1},           {1, 0, 1},           {2, 0, 1},           {3, 0, 1},
        {4, 0, 2},           {40000, 0, 20000},   {40001, 0, 20001},   {300000, 0, 280000},
        {619999, 0, 599999}, {620000, 0, 600000}, {620001, 0, 600000}, {40000, 7, 7},
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct ag_settings s = {.registration_life_ms = rows[r].life,
                                .reregistration_ms = rows[r].setting};
        struct ag_pe pe = {.life_ms = 0}; /* its program says nothing of it */
        cr_expect_eq(ag_reregistration_ms(&s, &pe), rows[r].want, "row %zu", r);
    }
}

static void short_quarantine(struct ag_settings *s)
{
    s->quarantine_first_ms = 10;
    s->quarantine_max_ms = 25;
}

/* Doubled to the maximum, to the millisecond; an element that is tried on answers nothing else. */
Test(agent_elements, tries_double_to_their_maximum)
{
    static const int64_t waits[] = {10, 20, 25, 25};
    struct fx *fx = fx_new(short_quarantine);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer(fx, assoc, "web", 1, 2);
    ag_resolve_cancel(fx->ag, 1);
    ag_report(fx->ag, q.handle, 2, 0, fx->now);
    fx_answer(fx, assoc, "web", 1, 2);
    for (size_t i = 0; i < 4; i++) {
        fx_drop(fx);
        fx_pass(fx, waits[i] - 1);
        cr_assert_eq(fx_count_kind(fx, ACTION_TRY_PE), 0, "try %zu", i);
        fx_pass(fx, 1);
        cr_assert_eq(fx_count_kind(fx, ACTION_TRY_PE), 1, "try %zu", i);
    }
    ag_tried(fx->ag, 1, true, fx->now); /* another one's good news */
    ag_tried(fx->ag, 2, false, fx->now);
    cr_assert(ag_quarantined(fx->ag, q.handle, 2));
    fx_free(fx);
}

/* A report no registrar could be told of is told with the next one. */
Test(agent_elements, reports_without_a_home)
{
    struct fx *fx = fx_new(NULL);
    struct pool_handle web = pool_handle_of("web");
    ag_report(fx->ag, web, 5, 0, fx->now);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 0);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_drop(fx);
    ag_report(fx->ag, web, 5, 0, fx->now);
    struct action *a = fx_expect(fx, ASAP_ENDPOINT_UNREACHABLE);
    cr_assert_eq(a->assoc, assoc);
    cr_assert(fx->msg.has_handle && fx->msg.has_pe_id && fx->msg.pe_id == 5);
    cr_assert(pool_handle_equal(fx->msg.handle, web));
    fx_free(fx);
}

/* This host's own element stays in the cache when a program could not reach it: it is here. */
Test(agent_elements, a_report_against_an_own_element)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    cr_assert_eq(hs_element_count(fx->ag->cache), 1);
    ag_report(fx->ag, pool_handle_of("web"), id, 0, fx->now);
    cr_assert_eq(hs_element_count(fx->ag->cache), 1);
    fx_drop(fx);
    fx_pass(fx, 1000);
    struct action *a = fx_next(fx, ACTION_TRY_PE);
    cr_assert(a != NULL && a->pe_id == id && a->port == 80 && a->protocol == TRANSPORT_TCP);
    cr_assert_eq(ip_address_scope(&a->addresses[0]), IP_SCOPE_LOOPBACK);
    ag_report(fx->ag, pool_handle_of("other"), id, 0, fx->now); /* the same id elsewhere */
    cr_assert_eq(hs_element_count(fx->ag->cache), 1);
    fx_free(fx);
}

/* asap.md §4.6: with a cause, whatever elements come along do not count. */
Test(agent_elements, an_error_alone_decides)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    struct ip_address ip = fx_ip("10.0.0.5");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    struct asap_message m;
    asap_message_init(&m, ASAP_HANDLE_RESOLUTION_RESPONSE);
    m.has_handle = true;
    m.handle = q.handle;
    m.cause_count = 1;
    m.causes[0] = (struct asap_cause){.code = CAUSE_UNKNOWN_POOL_HANDLE};
    m.element_count = 1;
    m.elements[0] = (struct pool_element){
        .pe_id = 5,
        .user = {.protocol = TRANSPORT_TCP, .port = 9, .address_count = 1, .addresses = &ip},
        .policy = {.type = POLICY_RR}};
    ag_resolution_response(fx->ag, &m, fx->now);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_eq(answer.result, -ENOENT);
    (void)assoc;
    fx_free(fx);
}

/* the longest handle is asked for, too. */
Test(agent_elements, the_longest_handle)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    char text[33];
    memset(text, 'x', 32);
    text[32] = '\0';
    struct ag_query q = fx_query(text);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_drop(fx);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_expect(fx, ASAP_HANDLE_RESOLUTION);
    fx_answer(fx, assoc, text, 1, 1);
    cr_assert_eq(ag_resolve(fx->ag, &q, 2, fx->now, &answer), 1);
    hs_read_begin();
    cr_assert(ag_resolve_shared(fx->ag, &q, fx->now, &answer));
    hs_read_end();
    fx_free(fx);
}
