/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "agent_fixture.h"

#include <stdlib.h>

#include "tests/unit/rspd/insides.h"

struct fx *fx_new(void (*adjust)(struct ag_settings *))
{
    struct ag_settings set;
    struct fx *fx = calloc(1, sizeof(*fx));
    cr_assert_not_null(fx);
    hs_thread_register();
    outbox_init(&fx->box);
    fx->last = &fx->first;
    fx->now.us = 1000000;
    ag_settings_default(&set);
    if (adjust != NULL) {
        adjust(&set);
    }
    fx->ag = ag_new(&set, &fx->box, 7, fx->now);
    cr_assert_not_null(fx->ag);
    fx_host(fx, "10.0.0.9", NULL);
    fx_drop(fx);
    return fx;
}

void fx_free(struct fx *fx)
{
    fx_drop(fx);
    fx_check(fx);
    ag_free(fx->ag);
    outbox_done(&fx->box);
    free(fx);
    hs_thread_unregister();
}

struct ip_address fx_ip(const char *text)
{
    struct ip_address a;
    cr_assert_eq(ip_address_parse(text, &a), 0);
    return a;
}

void fx_host(struct fx *fx, const char *a, const char *b)
{
    struct ip_address list[4];
    size_t n = 0;
    if (a != NULL) {
        list[n++] = fx_ip(a);
    }
    if (b != NULL) {
        list[n++] = fx_ip(b);
    }
    list[n++] = fx_ip("127.0.0.1");
    list[n++] = fx_ip("::1");
    ag_host_addresses(fx->ag, list, n, fx->now);
}

/* Pools by bucket, with what hangs on them, and those that may go in the order of their use. */
static void check_pools(const struct ag *ag)
{
    uint32_t pools = 0;
    uint32_t listed = 0;
    uint32_t locals = 0;
    uint32_t waiters = 0;
    for (uint32_t b = 0; b < AG_BUCKETS; b++) {
        for (const struct ag_pool *p = ag->pool_buckets[b]; p != NULL; p = p->hash_next) {
            pools++;
            listed += p->listed ? 1 : 0;
            cr_assert_eq(ag_pool_find(ag, p->handle), p);
            cr_assert_not(p->listed && (p->locals != NULL || p->waiters != NULL || p->asking),
                          "a pool in use may be thrown out");
            for (const struct ag_local *l = p->locals; l != NULL; l = l->pool_next) {
                locals += l->pool == p ? 1 : 0;
            }
            for (const struct ag_waiter *w = p->waiters; w != NULL; w = w->pool_next) {
                waiters += w->pool == p ? 1 : 0;
            }
        }
    }
    cr_assert_eq(pools, ag->pool_count);
    cr_assert_eq(pools, ag->mark_count[AG_MARK_POOL]);
    cr_assert_eq(locals, ag->local_count);
    cr_assert_eq(waiters, ag->waiter_count);
    const struct ag_pool *older = NULL;
    for (const struct ag_pool *p = ag->oldest_pool; p != NULL; older = p, p = p->newer) {
        cr_assert(p->listed && p->older == older);
        listed--;
    }
    cr_assert(ag->newest_pool == older && listed == 0);
}

static void check_elements(const struct ag *ag)
{
    uint32_t n = 0;
    for (uint32_t slot = 0; slot < ag->local_slots; slot++) {
        const struct ag_local *l = ag->locals[slot];
        if (l != NULL) {
            n++;
            cr_assert(l->slot == slot && ag_local_find(ag, l->pe.pe_id) == l);
            cr_assert_eq(ag_mark_find(ag, AG_MARK_OWN, l->pe.handle, l->pe.pe_id), l->mark);
        }
    }
    cr_assert(n == ag->local_count && n == ag->mark_count[AG_MARK_OWN]);
    n = 0;
    const struct ag_suspect *older = NULL;
    for (const struct ag_suspect *s = ag->oldest_suspect; s != NULL; older = s, s = s->newer) {
        n++;
        cr_assert_eq(s->older, older);
        cr_assert(older == NULL || !tm_before(s->failed_at, older->failed_at));
        cr_assert_eq(ag_suspect_find(ag, s->handle, s->pe_id), s);
        cr_assert_eq(ag_mark_find(ag, AG_MARK_SUSPECT, s->handle, s->pe_id), s->mark);
    }
    cr_assert_eq(ag->newest_suspect, older);
    cr_assert(n == ag->suspect_count && n == ag->mark_count[AG_MARK_SUSPECT]);
}

void fx_check(struct fx *fx)
{
    const struct ag *ag = fx->ag;
    check_pools(ag);
    check_elements(ag);
    const char *wrong = insides_of_agent(ag);
    cr_assert_null(wrong, "%s", wrong);
    cr_assert_eq(urcu_bp_read_ongoing(), 0, "a read section was left open");
    cr_assert_eq(fx->box.cause, fx->cause, "what led to this call is named by later ones");
}

static void pull(struct fx *fx)
{
    struct action *action;
    fx_check(fx);
    while ((action = outbox_take(&fx->box)) != NULL) {
        cr_assert(action->kind != ACTION_EVENT || action->event.handle.len > 0 ||
                      action->event.pe_id == 0,
                  "a PE of no pool: %s", action->event.text);
        *fx->last = action;
        fx->last = &action->next;
    }
}

/* The head stays alive as a borrowed value until the next call: `keep` tells whether to free it. */
static struct action *pop(struct fx *fx)
{
    struct action *action = fx->first;
    if (action != NULL) {
        fx->first = action->next;
        if (fx->first == NULL) {
            fx->last = &fx->first;
        }
    }
    return action;
}

void fx_pass(struct fx *fx, int64_t ms)
{
    struct tm_us end = tm_add_ms(fx->now, ms);
    for (;;) {
        struct tm_us next = ag_next_timer(fx->ag);
        if (tm_is_never(next) || tm_before(end, next)) {
            break;
        }
        fx->now = tm_before(fx->now, next) ? next : fx->now;
        ag_timer(fx->ag, fx->now);
        cr_assert(tm_before(fx->now, ag_next_timer(fx->ag)), "a timer was left due");
    }
    fx->now = end;
}

static struct action *borrowed;

struct action *fx_next(struct fx *fx, enum action_kind kind)
{
    struct action *action;
    pull(fx);
    action_free(borrowed);
    borrowed = NULL;
    while ((action = pop(fx)) != NULL) {
        if (action->kind == kind) {
            borrowed = action;
            return action;
        }
        action_free(action);
    }
    return NULL;
}

static bool decode(struct fx *fx, const struct action *action)
{
    struct wire_report report;
    return action->kind == ACTION_SEND &&
           asap_decode(action->message->octets, action->message->len, &fx->msg, &report) == WIRE_OK;
}

struct action *fx_expect(struct fx *fx, enum asap_type type)
{
    struct action *action;
    while ((action = fx_next(fx, ACTION_SEND)) != NULL) {
        cr_assert(decode(fx, action), "the agent sends what does not decode");
        if (fx->msg.type == type) {
            return action;
        }
    }
    cr_assert_fail("no message of type %d was sent", (int)type);
    return NULL;
}

unsigned fx_count(struct fx *fx, enum asap_type type)
{
    struct action *action;
    unsigned n = 0;
    while ((action = fx_next(fx, ACTION_SEND)) != NULL) {
        cr_assert(decode(fx, action));
        n += fx->msg.type == type ? 1 : 0;
    }
    return n;
}

unsigned fx_count_kind(struct fx *fx, enum action_kind kind)
{
    unsigned n = 0;
    while (fx_next(fx, kind) != NULL) {
        n++;
    }
    return n;
}

void fx_drop(struct fx *fx)
{
    struct action *action;
    pull(fx);
    while ((action = pop(fx)) != NULL) {
        action_free(action);
    }
    action_free(borrowed);
    borrowed = NULL;
}

void fx_announce(struct fx *fx, uint32_t id, const char *ip)
{
    struct ip_address from = fx_ip(ip);
    asap_message_init(&fx->out, ASAP_SERVER_ANNOUNCE);
    fx->out.has_server_id = true;
    fx->out.server_id = id;
    int len = asap_encode(&fx->out, fx->octets, sizeof(fx->octets));
    cr_assert_gt(len, 0);
    ag_announce(fx->ag, &from, ASAP_PORT, fx->octets, (size_t)len, fx->now);
}

void fx_up(struct fx *fx, uint64_t assoc, const char *ip)
{
    struct ip_address peer = fx_ip(ip);
    ag_assoc_up(fx->ag, assoc, &peer, 1, ASAP_PORT, fx->now);
}

uint64_t fx_home(struct fx *fx, uint32_t id, const char *ip)
{
    fx_announce(fx, id, ip);
    struct action *connect = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(connect);
    uint64_t assoc = connect->assoc;
    fx_up(fx, assoc, ip);
    cr_assert(ag_has_home(fx->ag));
    return assoc;
}

void fx_send(struct fx *fx, uint64_t assoc, const struct asap_message *msg)
{
    int len = asap_encode(msg, fx->octets, sizeof(fx->octets));
    cr_assert_gt(len, 0, "the test's message does not encode: %d", len);
    ag_message(fx->ag, assoc, fx->octets, (size_t)len, fx->now);
}

static void name(struct fx *fx, enum asap_type type, const char *handle, uint32_t pe_id)
{
    asap_message_init(&fx->out, type);
    fx->out.has_handle = true;
    fx->out.handle = pool_handle_of(handle);
    fx->out.has_pe_id = pe_id != 0;
    fx->out.pe_id = pe_id;
}

void fx_respond(struct fx *fx, uint64_t assoc, enum asap_type type, const char *handle,
                uint32_t pe_id, bool reject, int cause)
{
    name(fx, type, handle, pe_id);
    fx->out.flags = reject ? ASAP_FLAG : 0;
    if (cause >= 0) {
        fx->out.cause_count = 1;
        fx->out.causes[0] = (struct asap_cause){.code = (uint16_t)cause};
    }
    fx_send(fx, assoc, &fx->out);
}

void fx_answer(struct fx *fx, uint64_t assoc, const char *handle, uint32_t first, uint32_t n)
{
    name(fx, ASAP_HANDLE_RESOLUTION_RESPONSE, handle, 0);
    fx->out.has_policy = true;
    fx->out.policy = (struct policy){.type = POLICY_RR};
    fx->out.element_count = (uint16_t)n;
    for (uint32_t i = 0; i < n; i++) {
        uint32_t id = first + i;
        fx->out.scratch[i] = (struct ip_address){IP_V4, {10, 0, 0, (uint8_t)id}};
        fx->out.elements[i] = (struct pool_element){.pe_id = id,
                                                    .home_id = 1,
                                                    .registration_life = 300000,
                                                    .user = {.protocol = TRANSPORT_TCP,
                                                             .port = 80,
                                                             .address_count = 1,
                                                             .addresses = &fx->out.scratch[i]},
                                                    .policy = {.type = POLICY_RR}};
    }
    fx_send(fx, assoc, &fx->out);
}

void fx_answer_unknown(struct fx *fx, uint64_t assoc, const char *handle)
{
    name(fx, ASAP_HANDLE_RESOLUTION_RESPONSE, handle, 0);
    fx->out.cause_count = 1;
    fx->out.causes[0] = (struct asap_cause){.code = CAUSE_UNKNOWN_POOL_HANDLE};
    fx_send(fx, assoc, &fx->out);
}

void fx_keep_alive(struct fx *fx, uint64_t assoc, uint32_t server, bool h, const char *handle,
                   uint32_t pe_id)
{
    name(fx, ASAP_ENDPOINT_KEEP_ALIVE, handle, pe_id);
    fx->out.flags = h ? ASAP_FLAG : 0;
    fx->out.has_server_id = true;
    fx->out.server_id = server;
    fx_send(fx, assoc, &fx->out);
}

uint32_t fx_pe(struct fx *fx, const char *handle)
{
    int error = 1;
    struct ag_pe pe = {.handle = pool_handle_of(handle),
                       .protocol = TRANSPORT_TCP,
                       .port = 80,
                       .families = LP_FAMILY_V4 | LP_FAMILY_V6,
                       .policy = {.type = POLICY_RR},
                       .cause = 4000};
    uint32_t id = ag_pe_add(fx->ag, &pe, fx->now, &error);
    cr_assert_neq(id, 0);
    cr_assert_eq(error, 0);
    return id;
}

uint32_t fx_registered(struct fx *fx, uint64_t assoc, const char *handle)
{
    uint32_t id = fx_pe(fx, handle);
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, handle, id, false, -1);
    cr_assert_eq(fx_state(fx, id), AG_PE_REGISTERED);
    fx_drop(fx);
    return id;
}

enum ag_pe_state fx_state(struct fx *fx, uint32_t pe_id)
{
    struct ag_pe_info info;
    cr_assert(ag_pe_get(fx->ag, pe_id, &info), "PE is not there");
    return info.state;
}

struct ag_query fx_query(const char *handle)
{
    return (struct ag_query){.handle = pool_handle_of(handle), .count = 1};
}
