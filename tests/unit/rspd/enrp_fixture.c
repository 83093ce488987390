/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "enrp_fixture.h"

#include <stdlib.h>

#include "tests/unit/rspd/insides.h"

static void on_adopt(void *ctx, const struct hs_element *element, struct tm_us at)
{
    struct ex *ex = ctx;
    ex->adopted++;
    ex->adopted_id = element->pe_id;
    ex->adopted_at = at;
}

static void on_suggested(void *ctx, const struct hs_element *element, struct tm_us now)
{
    struct ex *ex = ctx;
    (void)now;
    ex->suggested++;
    ex->suggested_id = element->pe_id;
}

static void on_offered(void *ctx, uint64_t assoc, struct tm_us now)
{
    (void)assoc;
    (void)now;
    ((struct ex *)ctx)->offered++;
}

static void on_disowned(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    (void)handle;
    (void)pe_id;
    (void)now;
    ((struct ex *)ctx)->disowned++;
}

static bool on_disputed(void *ctx, struct pool_handle handle, uint32_t pe_id)
{
    (void)handle;
    (void)pe_id;
    return ((struct ex *)ctx)->disputed;
}

static void on_changed(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    (void)handle;
    (void)pe_id;
    (void)now;
    ((struct ex *)ctx)->changed++;
}

static uint32_t on_round_trip(void *ctx, uint64_t assoc)
{
    struct ex *ex = ctx;
    ex->rtt_asked++;
    ex->rtt_assoc = assoc;
    return ex->rtt_ms;
}

struct ip_address ex_ip(uint8_t x)
{
    return (struct ip_address){.family = IP_V4, .octets = {10, 0, 0, x}};
}

struct ex *ex_new(void (*adjust)(struct enrp_settings *))
{
    struct enrp_settings set;
    struct hs_limits limits = {0};
    struct ex *ex = calloc(1, sizeof(*ex));
    cr_assert_not_null(ex);
    hs_thread_register();
    outbox_init(&ex->box);
    ex->last = &ex->first;
    ex->now.us = 1000000;
    enrp_settings_profile(&set, ENRP_PROFILE_LAN);
    set.id = ME;
    if (adjust != NULL) {
        adjust(&set);
    }
    ex->hs = hs_new(&limits, 1);
    cr_assert_not_null(ex->hs);
    struct enrp_hooks hooks = {.ctx = ex,
                               .adopt = on_adopt,
                               .suggested = on_suggested,
                               .offered = on_offered,
                               .disowned = on_disowned,
                               .disputed = on_disputed,
                               .changed = on_changed,
                               .round_trip = on_round_trip};
    ex->en = enrp_new(&set, &hooks, ex->hs, &ex->box, 7, ex->now);
    cr_assert_not_null(ex->en);
    struct ip_address own = ex_ip(50);
    enrp_addresses(ex->en, &own, 1, ENRP_PORT, ex->now);
    return ex;
}

struct ex *ex_serving(void (*adjust)(struct enrp_settings *))
{
    struct ex *ex = ex_new(adjust);
    enrp_start(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_drop(ex);
    return ex;
}

static struct action *borrowed;

void ex_free(struct ex *ex)
{
    ex_drop(ex);
    cr_assert_eq(urcu_bp_read_ongoing(), 0, "a read section was left open");
    enrp_free(ex->en);
    outbox_done(&ex->box);
    hs_free(ex->hs);
    free(ex);
    hs_thread_unregister();
}

static void pull(struct ex *ex)
{
    struct action *action;
    const char *wrong = insides_of_enrp(ex->en);
    cr_assert(wrong == NULL || ex->poked, "%s", wrong);
    while ((action = outbox_take(&ex->box)) != NULL) {
        cr_assert(action->kind != ACTION_EVENT || action->event.handle.len > 0 ||
                      action->event.pe_id == 0,
                  "a PE of no pool: %s", action->event.text);
        *ex->last = action;
        ex->last = &action->next;
    }
}

static struct action *pop(struct ex *ex)
{
    struct action *action = ex->first;
    if (action != NULL) {
        ex->first = action->next;
        ex->last = ex->first == NULL ? &ex->first : ex->last;
    }
    return action;
}

struct action *ex_next(struct ex *ex, enum action_kind kind)
{
    struct action *action;
    pull(ex);
    action_free(borrowed);
    borrowed = NULL;
    while ((action = pop(ex)) != NULL) {
        if (action->kind == kind) {
            borrowed = action;
            return action;
        }
        action_free(action);
    }
    return NULL;
}

void ex_drop(struct ex *ex)
{
    struct action *action;
    pull(ex);
    while ((action = pop(ex)) != NULL) {
        action_free(action);
    }
    action_free(borrowed);
    borrowed = NULL;
}

struct action *ex_sent(struct ex *ex, enum enrp_type type)
{
    struct wire_report report;
    struct action *action;
    while ((action = ex_next(ex, ACTION_SEND)) != NULL) {
        cr_assert_eq(action->ppid, ENRP_PPID);
        cr_assert_eq(enrp_decode(action->message->octets, action->message->len, &ex->msg, &report),
                     WIRE_OK);
        cr_assert_eq(ex->msg.sender_id, ME);
        if (ex->msg.type == type) {
            return action;
        }
    }
    return NULL;
}

struct action *ex_expect(struct ex *ex, enum enrp_type type)
{
    struct action *action = ex_sent(ex, type);
    cr_assert_not_null(action, "no message of type %d was sent", (int)type);
    return action;
}

unsigned ex_count(struct ex *ex, enum enrp_type type)
{
    unsigned n = 0;
    while (ex_sent(ex, type) != NULL) {
        n++;
    }
    return n;
}

void ex_pass(struct ex *ex, int64_t ms)
{
    struct tm_us end = tm_add_ms(ex->now, ms);
    for (;;) {
        struct tm_us next = enrp_next_timer(ex->en);
        if (tm_is_never(next) || tm_before(end, next)) {
            break;
        }
        ex->now = tm_before(ex->now, next) ? next : ex->now;
        enrp_timer(ex->en, ex->now);
        cr_assert(tm_before(ex->now, enrp_next_timer(ex->en)), "a timer was left due");
    }
    ex->now = end;
}

void ex_up(struct ex *ex, uint64_t assoc, uint8_t x)
{
    struct ip_address peer = ex_ip(x);
    enrp_assoc_up(ex->en, assoc, &peer, 1, ENRP_PORT, ex->now);
}

struct enrp_message *ex_begin(struct ex *ex, enum enrp_type type, uint32_t id)
{
    enrp_message_init(&ex->out, type, id, 0);
    return &ex->out;
}

void ex_arrives(struct ex *ex, uint64_t assoc)
{
    int len = enrp_encode(&ex->out, ex->octets, sizeof(ex->octets));
    cr_assert_gt(len, 0, "the test's message does not encode: %d", len);
    enrp_receive(ex->en, assoc, ex->octets, (size_t)len, ex->now);
}

void ex_presence(struct ex *ex, uint64_t assoc, uint32_t id, uint8_t x, bool reply,
                 uint16_t checksum)
{
    struct ip_address address = ex_ip(x);
    struct enrp_message *m = ex_begin(ex, ENRP_PRESENCE, id);
    m->flags = reply ? ENRP_PRESENCE_REPLY : 0;
    m->has_checksum = true;
    m->checksum = checksum;
    m->server_count = 1;
    m->servers[0] = (struct enrp_server){.id = id,
                                         .transport = {.protocol = TRANSPORT_SCTP,
                                                       .port = ENRP_PORT,
                                                       .address_count = 1,
                                                       .addresses = &address}};
    ex_arrives(ex, assoc);
}

void ex_takeover(struct ex *ex, uint64_t assoc, enum enrp_type type, uint32_t id, uint32_t target)
{
    ex_begin(ex, type, id)->target_id = target;
    ex_arrives(ex, assoc);
}

void ex_peer(struct ex *ex, uint64_t assoc, uint32_t id, uint8_t x)
{
    ex_up(ex, assoc, x);
    ex_presence(ex, assoc, id, x, false, ex_sum(ex, id));
    cr_assert_eq(ex_state(ex, id), ENRP_PEER_ACTIVE);
    ex_drop(ex);
}

struct enrp_entry ex_entry(const char *handle, uint32_t pe, uint32_t home)
{
    static struct ip_address addresses[256];
    struct ip_address *address = &addresses[pe % 256];
    *address = (struct ip_address){.family = IP_V4, .octets = {10, 0, 1, (uint8_t)pe}};
    return (struct enrp_entry){.handle = pool_handle_of(handle),
                               .element = {.pe_id = pe,
                                           .home_id = home,
                                           .registration_life = 30000,
                                           .user = {.protocol = TRANSPORT_TCP,
                                                    .port = 80,
                                                    .address_count = 1,
                                                    .addresses = address},
                                           .policy = {.type = POLICY_RR},
                                           .asap = {.protocol = TRANSPORT_SCTP,
                                                    .port = 40000,
                                                    .address_count = 1,
                                                    .addresses = address}}};
}

void ex_update(struct ex *ex, uint64_t assoc, uint32_t id, enum enrp_action action,
               const struct enrp_entry *entry, bool suggest)
{
    struct enrp_message *m = ex_begin(ex, ENRP_HANDLE_UPDATE, id);
    m->flags = suggest ? ENRP_UPDATE_SUGGESTED : 0;
    m->action = (uint16_t)action;
    m->entry_count = 1;
    m->entries[0] = *entry;
    ex_arrives(ex, assoc);
}

void ex_table(struct ex *ex, uint64_t assoc, uint32_t id, uint8_t flags, uint32_t home,
              uint32_t first, uint16_t n)
{
    struct enrp_message *m = ex_begin(ex, ENRP_HANDLE_TABLE_RESPONSE, id);
    m->flags = flags;
    for (uint16_t i = 0; i < n; i++) {
        m->entries[m->entry_count++] = ex_entry("pool", first + i, home);
    }
    ex_arrives(ex, assoc);
}

void ex_put(struct ex *ex, const char *handle, uint32_t pe, uint32_t home, uint64_t owner_ref)
{
    struct enrp_entry entry = ex_entry(handle, pe, home);
    enum hs_result r = hs_register(ex->hs, entry.handle, &entry.element, 30000, owner_ref, ex->now);
    cr_assert(r == HS_ADDED || r == HS_UPDATED);
}

const struct hs_element *ex_find(struct ex *ex, const char *handle, uint32_t pe)
{
    return hs_find(ex->hs, pool_handle_of(handle), pe);
}

bool ex_knows(struct ex *ex, uint32_t id)
{
    return en_peer_find(ex->en, id) != EN_NOBODY;
}

enum enrp_peer_state ex_state(struct ex *ex, uint32_t id)
{
    int slot = en_peer_find(ex->en, id);
    cr_assert_neq(slot, EN_NOBODY, "registrar %x is not known", id);
    return ex->en->peers[slot].state;
}

uint16_t ex_sum(struct ex *ex, uint32_t id)
{
    return hs_checksum(ex->hs, id);
}
