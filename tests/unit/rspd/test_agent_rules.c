/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the agent takes from owners and registrars, and the words it has for what it does. */
#include "agent_fixture.h"

static const struct ag_pe PLAIN = {.protocol = TRANSPORT_TCP, .port = 80, .families = 3};

static int add(struct fx *fx, const struct ag_pe *pe, uint32_t *ret_id)
{
    int error = 1;
    *ret_id = ag_pe_add(fx->ag, pe, fx->now, &error);
    cr_assert_eq(*ret_id == 0, error < 0);
    return error;
}

static struct action *event_of(struct fx *fx, enum event_kind kind)
{
    struct action *a;
    while ((a = fx_next(fx, ACTION_EVENT)) != NULL) {
        if (a->event.kind == kind) {
            return a;
        }
    }
    cr_assert_fail("no event of kind %d", (int)kind);
    return NULL;
}

/* A-149 and the bounds of struct ag_pe: at the bound it is taken, beyond it is not. */
Test(agent_rules, bounds_of_an_element)
{
    struct fx *fx = fx_new(NULL);
    char text[40];
    uint32_t id;
    struct ag_pe pe = PLAIN;
    memset(text, 'x', 32);
    text[32] = '\0';
    pe.handle = pool_handle_of(text);
    cr_assert_eq(add(fx, &pe, &id), 0);
    pe.handle = (struct pool_handle){0};
    cr_assert_eq(add(fx, &pe, &id), -EINVAL);
    pe.handle = pool_handle_of("w");
    cr_assert_eq(add(fx, &pe, &id), 0);
    pe.protocol = TRANSPORT_NONE;
    cr_assert_eq(add(fx, &pe, &id), -EINVAL);
    pe.protocol = TRANSPORT_OPAQUE;
    cr_assert_eq(add(fx, &pe, &id), -EINVAL);
    pe.protocol = TRANSPORT_UDP;
    pe.pe_id = UINT32_MAX;
    cr_assert_eq(add(fx, &pe, &id), -EINVAL);
    pe.pe_id = UINT32_MAX - 1;
    cr_assert_eq(add(fx, &pe, &id), 0);
    cr_assert_eq(id, UINT32_MAX - 1);
    pe.pe_id = 0;
    pe.port = 1;
    pe.policy.word_count = POLICY_WORDS_MAX + 1;
    cr_assert_eq(add(fx, &pe, &id), -EINVAL);
    pe.policy.word_count = POLICY_WORDS_MAX;
    cr_assert_eq(add(fx, &pe, &id), 0);
    pe.address_count = AG_ADDRESSES_MAX + 1;
    cr_assert_eq(add(fx, &pe, &id), -EINVAL);
    pe.address_count = AG_ADDRESSES_MAX;
    for (uint8_t i = 0; i < AG_ADDRESSES_MAX; i++) {
        pe.addresses[i] = (struct ip_address){IP_V4, {10, 0, 0, i}};
    }
    cr_assert_eq(add(fx, &pe, &id), 0);
    fx_free(fx);
}

/* A wildcard spelt out is a wildcard of its family; mapped addresses are IPv4's. */
Test(agent_rules, wildcards)
{
    static const struct {
        const char *address;
        uint8_t count, families;
    } rows[] = {{"0.0.0.0", 0, LP_FAMILY_V4},
                {"::", 0, LP_FAMILY_V6},
                {"10.0.0.9", 1, 0},
                {"::ffff:10.0.0.9", 1, 0}};
    struct fx *fx = fx_new(NULL);
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct ag_pe pe = {.handle = pool_handle_of("web"),
                           .protocol = TRANSPORT_TCP,
                           .port = 80,
                           .address_count = 1,
                           .addresses = {fx_ip(rows[r].address)}};
        struct ag_pe_info info;
        uint32_t id;
        cr_assert_eq(add(fx, &pe, &id), 0);
        cr_assert(ag_pe_get(fx->ag, id, &info));
        cr_expect_eq(info.pe.address_count, rows[r].count, "%s", rows[r].address);
        cr_expect_eq(info.pe.families, rows[r].families, "%s", rows[r].address);
        cr_expect(rows[r].count == 0 || info.pe.addresses[0].family == IP_V4);
    }
    fx_free(fx);
}

/* The table of elements: a slot is used again, every element is there once, the count is right. */
Test(agent_rules, table_of_elements)
{
    struct fx *fx = fx_new(NULL);
    struct ag_pe_info info;
    uint32_t ids[100];
    for (int i = 0; i < 100; i++) {
        ids[i] = fx_pe(fx, "web");
    }
    cr_assert_eq(fx->ag->local_count, 100);
    cr_assert_eq(fx->ag->local_slots, 128);
    for (int i = 0; i < 100; i += 2) {
        ag_pe_remove(fx->ag, ids[i], NULL, fx->now);
    }
    cr_assert_eq(fx->ag->local_count, 50);
    for (int i = 0; i < 100; i += 2) {
        ids[i] = fx_pe(fx, "web");
    }
    cr_assert_eq(fx->ag->local_slots, 128);
    unsigned n = 0;
    for (uint32_t cursor = 0; ag_pe_next(fx->ag, &cursor, &info);) {
        n++;
    }
    cr_assert_eq(n, 100);
    for (int i = 0; i < 100; i++) {
        cr_assert(ag_pe_get(fx->ag, ids[i], &info) && info.pe.pe_id == ids[i]);
    }
    fx_free(fx);
}

/* Same words, same policy: nothing is sent; another word or another count is news. */
Test(agent_rules, only_a_policy_that_changed_is_registered)
{
    static const struct {
        struct policy policy;
        unsigned sent;
    } rows[] = {{{.type = POLICY_WRR, .word_count = 1, .words = {5}}, 1},
                {{.type = POLICY_WRR, .word_count = 1, .words = {5}}, 0},
                {{.type = POLICY_WRR, .word_count = 1, .words = {5, 9}}, 0},
                {{.type = POLICY_WRR, .word_count = 1, .words = {6}}, 1},
                {{.type = POLICY_WRR, .word_count = 2, .words = {6, 0}}, 1},
                {{.type = POLICY_LU, .word_count = 2, .words = {6, 0}}, 1}};
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        cr_assert_eq(ag_pe_policy(fx->ag, id, &rows[r].policy, fx->now), 0);
        cr_expect_eq(fx_count(fx, ASAP_REGISTRATION), rows[r].sent, "row %zu", r);
        fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
        fx_drop(fx);
    }
    ag_pe_remove(fx->ag, id, "x", fx->now);
    cr_assert_eq(ag_pe_policy(fx->ag, id, &rows[0].policy, fx->now), -ENOENT);
    cr_assert_eq(ag_pe_withhold(fx->ag, id, "x", fx->now), -ENOENT);
    fx_free(fx);
}

/* --- refusals ----------------------------------------------------------------------------------
 */

/* What a cause means to the owner: errno, the cause itself, and words. */
Test(agent_rules, refusals_in_words)
{
    static const struct {
        uint16_t cause;
        int result;
        const char *words;
    } rows[] = {
        {CAUSE_SECURITY, -EACCES, "its prefixes (AllowFrom, RegisterFrom) do not admit this host"},
        {CAUSE_LACK_OF_RESOURCES, -ENOSPC, "it takes no more elements"},
        {CAUSE_INVALID_VALUES, -EINVAL, "its log says why"},
        {CAUSE_INCONSISTENT_POLICY, -EINVAL, "the pool has another policy"},
        {CAUSE_INCONSISTENT_TRANSPORT, -EINVAL, "the pool's elements do not speak tcp"},
        {CAUSE_INCONSISTENT_DATA_CONTROL, -EINVAL, "its log says why"},
        {CAUSE_UNSPECIFIED, -EPROTO, "its log says why"},
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        char want[200];
        (void)snprintf(want, sizeof(want), "registrar 0x00000001 refuses: %s", rows[r].words);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        uint32_t id = fx_pe(fx, "web");
        fx_drop(fx);
        fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, true, rows[r].cause);
        struct action *a = event_of(fx, EVENT_LOCAL_REFUSED);
        char whole[260];
        (void)snprintf(whole, sizeof(whole), "%s: %s (0x%x)", want, rsp_cause_name(rows[r].cause),
                       rows[r].cause);
        cr_expect_str_eq(a->event.text, whole);
        cr_expect(a->event.pe_id == id && a->event.registrar_id == 1);
        a = fx_next(fx, ACTION_REGISTERED);
        cr_assert_not_null(a);
        cr_expect_eq(a->result, rows[r].result);
        cr_expect_eq(a->cause, rows[r].cause);
        cr_expect_str_eq(a->text, want);
        struct ag_pe_info info;
        cr_assert(ag_pe_get(fx->ag, id, &info));
        cr_expect(info.state == AG_PE_REFUSED && info.reason != NULL);
        cr_expect_str_eq(info.reason, want);
        fx_free(fx);
    }
}

/* The pool's policy named in a refusal: taken by an element without one; nothing half is taken. */
Test(agent_rules, the_named_policy)
{
    static const struct {
        uint8_t body[20];
        size_t len;
        bool taken;
        uint32_t type, words, last;
    } rows[] = {
        {{0, 8, 0, 8, 0, 0, 0, 1}, 8, true, 1, 0, 0},
        {{0, 8, 0, 12, 0, 0, 0, 2, 1, 2, 3, 4}, 12, true, 2, 1, 0x01020304},
        {{0, 8, 0, 12, 0x40, 0x30, 0x20, 0x10, 9, 8, 7, 6}, 12, true, 0x40302010, 1, 0x09080706},
        {{0, 8, 0, 16, 0, 0, 0, 2, 1, 2, 3, 4, 0, 0, 0, 5}, 16, true, 2, 2, 5},
        {{0, 8, 0, 8, 0, 0, 0, 0}, 8, false, 0, 0, 0},              /* no policy */
        {{1, 8, 0, 8, 0, 0, 0, 1}, 8, false, 0, 0, 0},              /* another parameter */
        {{0, 9, 0, 8, 0, 0, 0, 1}, 8, false, 0, 0, 0},              /* another parameter */
        {{0, 8, 0, 7, 0, 0, 0, 1}, 8, false, 0, 0, 0},              /* too short */
        {{0, 8, 0, 4, 0, 0, 0, 1}, 8, false, 0, 0, 0},              /* too short */
        {{0, 8, 0, 9, 0, 0, 0, 2, 1, 2, 3, 4}, 12, false, 0, 0, 0}, /* half a word */
        {{0, 8, 0, 12, 0, 0, 0, 2}, 8, false, 0, 0, 0},             /* longer than there is */
        {{0, 8, 1, 8, 0, 0, 0, 1}, 8, false, 0, 0, 0},              /* longer than there is */
        {{0, 8, 0, 8, 0, 0, 0}, 7, false, 0, 0, 0},                 /* cut */
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        (void)fx_home(fx, 1, "10.0.0.1");
        struct ag_pe pe = PLAIN;
        struct ag_pe_info info;
        uint32_t id;
        pe.handle = pool_handle_of("web");
        cr_assert_eq(add(fx, &pe, &id), 0);
        fx_drop(fx);
        struct asap_message *m = &fx->out;
        asap_message_init(m, ASAP_REGISTRATION_RESPONSE);
        m->has_handle = true;
        m->handle = pe.handle;
        m->has_pe_id = true;
        m->pe_id = id;
        m->flags = ASAP_FLAG;
        m->cause_count = 1;
        m->causes[0] = (struct asap_cause){.code = CAUSE_INCONSISTENT_POLICY,
                                           .body = rows[r].body,
                                           .body_len = (uint16_t)rows[r].len};
        ag_pe_response(fx->ag, m, fx->now);
        cr_assert(ag_pe_get(fx->ag, id, &info));
        cr_expect_eq(info.state, rows[r].taken ? AG_PE_REGISTERING : AG_PE_REFUSED, "row %zu", r);
        cr_expect_eq(info.pe.policy.type, rows[r].type, "row %zu", r);
        cr_expect_eq(info.pe.policy.word_count, rows[r].words, "row %zu", r);
        cr_expect(rows[r].words == 0 || info.pe.policy.words[rows[r].words - 1] == rows[r].last,
                  "row %zu", r);
        fx_free(fx);
    }
}

/* --- words of events ---------------------------------------------------------------------------
 */

/* An element's life, as the log tells it. */
Test(agent_rules, life_of_an_element_in_words)
{
    struct fx *fx = fx_new(NULL);
    uint32_t id = fx_pe(fx, "web");
    struct action *a = fx_next(fx, ACTION_REGISTERED);
    cr_assert_str_eq(a->text, "no registrar is there yet; kept until one is found");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    a = event_of(fx, EVENT_HOME_CHANGED);
    cr_assert_str_eq(a->event.text, "home registrar is 00000001 now: found by hunting");
    cr_assert_eq(a->event.registrar_id, 1);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    a = event_of(fx, EVENT_LOCAL_REGISTERED);
    cr_assert_str_eq(a->event.text, "registered with registrar 00000001");
    cr_assert(a->event.pe_id == id && a->event.registrar_id == 1);
    a = fx_next(fx, ACTION_REGISTERED);
    cr_assert(a->result == 0 && a->cause == 0 && a->pe_id == id);
    cr_assert_str_eq(a->text, "registered");
    (void)ag_pe_withhold(fx->ag, id, "it hangs", fx->now);
    a = event_of(fx, EVENT_LOCAL_WITHHELD);
    cr_assert_str_eq(a->event.text, "withheld: it hangs");
    (void)ag_pe_withhold(fx->ag, id, "it hangs still", fx->now); /* no news */
    cr_assert_eq(fx_count_kind(fx, ACTION_EVENT), 0);
    (void)ag_pe_withhold(fx->ag, id, NULL, fx->now);
    a = event_of(fx, EVENT_LOCAL_BACK);
    cr_assert_str_eq(a->event.text, "back");
    ag_pe_remove(fx->ag, id, NULL, fx->now);
    a = event_of(fx, EVENT_LOCAL_GONE);
    cr_assert_str_eq(a->event.text, "leaves the scope: its owner said so");
    ag_pe_remove(fx->ag, id, "again", fx->now);
    cr_assert_eq(fx_count_kind(fx, ACTION_EVENT), 0);
    fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, true, CAUSE_SECURITY);
    a = fx_next(fx, ACTION_DEREGISTERED);
    cr_assert(a != NULL && a->result == -EACCES && a->cause == CAUSE_SECURITY && a->pe_id == id);
    fx_free(fx);
}

Test(agent_rules, registrars_in_words)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 0xab, "10.0.0.1");
    fx_drop(fx);
    fx_announce(fx, 0xcd, "10.0.0.2");
    struct action *a = event_of(fx, EVENT_REGISTRAR_FOUND);
    cr_assert_str_eq(a->event.text, "registrar 000000cd announces itself at 10.0.0.2 port 3863");
    cr_assert_eq(a->event.registrar_id, 0xcd);
    fx_pass(fx, 4999);
    fx_announce(fx, 0xab, "10.0.0.1");
    cr_assert_eq(fx_count_kind(fx, ACTION_EVENT), 0);
    fx_pass(fx, 1);
    a = event_of(fx, EVENT_REGISTRAR_LOST);
    cr_assert_str_eq(a->event.text, "registrar 000000cd announces itself no longer");
    ag_assoc_down(fx->ag, assoc, fx->now);
    a = event_of(fx, EVENT_REGISTRAR_LOST);
    cr_assert_str_eq(a->event.text, "home registrar 000000ab is gone: the association ended");
    fx_host(fx, "10.0.0.10", NULL);
    a = event_of(fx, EVENT_ADDRESSES_CHANGED);
    cr_assert_str_eq(a->event.text, "the host has 3 usable addresses now");
    fx_free(fx);
}

/* Each failure of a resolution has its words; the same one within a second is one event. */
Test(agent_rules, failures_in_words)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    char text[40];
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    struct ag_query q = fx_query("web");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer_unknown(fx, assoc, "web");
    fx_drop(fx);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    cr_assert_str_eq(event_of(fx, EVENT_RESOLUTION_FAILED)->event.text,
                     "no such pool is known in the scope");
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_answer(fx, assoc, "web", 1, 1);
    cr_assert(ag_resolve_take(fx->ag, 1, fx->now, &answer));
    q.families = LP_FAMILY_V6;
    fx_drop(fx);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    uint64_t event = answer.event;
    cr_assert_str_eq(event_of(fx, EVENT_RESOLUTION_FAILED)->event.text,
                     "no element of the pool has an address of the family the program's socket "
                     "has");
    fx_pass(fx, 999);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_eq(answer.event, event);
    fx_pass(fx, 1);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_neq(answer.event, event);
    q.protocol = TRANSPORT_UDP;
    fx_drop(fx);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_str_eq(event_of(fx, EVENT_RESOLUTION_FAILED)->event.text,
                     "no element of the pool speaks the transport of the program's socket");
    q.handle = (struct pool_handle){0};
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_eq(answer.result, -EINVAL);
    cr_assert_str_eq(event_of(fx, EVENT_RESOLUTION_FAILED)->event.text, "the pool handle is empty");
    memset(text, 'x', 33);
    text[33] = '\0';
    q.handle = pool_handle_of(text);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 1);
    cr_assert_eq(answer.result, -ENAMETOOLONG);
    cr_assert_str_eq(event_of(fx, EVENT_RESOLUTION_FAILED)->event.text,
                     "the pool handle is longer than the scope allows");
    fx_free(fx);
}

/* A report says what the program got. */
Test(agent_rules, reports_in_words)
{
    static const struct {
        int error;
        const char *name;
    } rows[] = {{-ECONNREFUSED, "ECONNREFUSED"},
                {ETIMEDOUT, "ETIMEDOUT"},
                {-1, "EPERM"},
                {0, "no reason given"},
                {99999, "no reason given"}};
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        char want[100];
        (void)snprintf(want, sizeof(want), "a program of this host could not reach it: %s",
                       rows[r].name);
        ag_report(fx->ag, pool_handle_of("web"), 5, rows[r].error, fx->now);
        cr_expect_str_eq(event_of(fx, EVENT_PE_UNREACHABLE)->event.text, want);
        cr_expect_str_eq(event_of(fx, EVENT_PE_QUARANTINED)->event.text,
                         "not used from this host until it answers again");
        ag_tried(fx->ag, 5, true, fx->now);
        cr_expect_str_eq(event_of(fx, EVENT_PE_RELEASED)->event.text, "used again: it answers");
        fx_free(fx);
    }
}

Test(agent_rules, names_of_states)
{
    static const char *const names[] = {"unregistered", "hunting",       "registering",
                                        "registered",   "reregistering", "deregistering",
                                        "withheld",     "refused",       "unknown"};
    for (int i = 0; i < 9; i++) {
        cr_assert_str_eq(ag_pe_state_name((enum ag_pe_state)i), names[i]);
    }
}
