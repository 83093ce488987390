/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ENRP machine: what comes in goes to its procedure, what is due is done, what is said is sent.
 */
#include "rspd/registrar/enrp.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "handlespace/policy.h"
#include "rspd/registrar/enrp_internal.h"
#include "wire/params.h"

/* --- settings -----------------------------------------------------------------------------------
 */

static const struct enrp_settings PROFILES[] = {
    [ENRP_PROFILE_RFC] = {.heartbeat_ms = 30000,
                          .last_heard_ms = 61000,
                          .no_response_ms = 5000,
                          .mentor_ms = 5000,
                          .retry_min_ms = 2000,
                          .retry_max_ms = 5000,
                          .session_ms = 10000,
                          .takeover_delay_ms = 1000,
                          .takeover_expiry_ms = 5000,
                          .guard_ms = 10000,
                          .resync_max_ms = 60000,
                          .balance_ms = 60000,
                          .leave_ms = 5000,
                          .adopt_rate = 500,
                          .table_elements = 128,
                          .table_octets = 16000,
                          .failure_is_death = true,
                          .life_in_seconds = true},
    [ENRP_PROFILE_RSPLIB] = {.heartbeat_ms = 2444,
                             .last_heard_ms = 5000,
                             .no_response_ms = 5000,
                             .mentor_ms = 5000,
                             .retry_min_ms = 2000,
                             .retry_max_ms = 5000,
                             .session_ms = 10000,
                             .takeover_delay_ms = 1000,
                             .takeover_expiry_ms = 5000,
                             .guard_ms = 10000,
                             .resync_max_ms = 60000,
                             .balance_ms = 60000,
                             .leave_ms = 5000,
                             .adopt_rate = 500,
                             .table_elements = 128,
                             .table_octets = 1400,
                             .suggestion = ENRP_SUGGEST_BY_ID,
                             .lowest_wins = true},
    [ENRP_PROFILE_LAN] = {.heartbeat_ms = 1000,
                          .last_heard_ms = 2500,
                          .no_response_ms = 2000,
                          .mentor_ms = 1500,
                          .retry_min_ms = 300,
                          .retry_max_ms = 1000,
                          .session_ms = 5000,
                          .takeover_delay_ms = 200,
                          .takeover_expiry_ms = 2000,
                          .guard_ms = 4000,
                          .resync_max_ms = 15000,
                          .balance_ms = 3000,
                          .leave_ms = 5000,
                          .adopt_rate = 500,
                          .table_elements = 128,
                          .table_octets = 16000,
                          .suggestion = ENRP_SUGGEST_BY_LOAD,
                          .lowest_wins = true,
                          .failure_is_death = true},
    [ENRP_PROFILE_FAST] = {.heartbeat_ms = 150,
                           .last_heard_ms = 400,
                           .no_response_ms = 300,
                           .mentor_ms = 400,
                           .retry_min_ms = 50,
                           .retry_max_ms = 200,
                           .session_ms = 1000,
                           .takeover_delay_ms = 30,
                           .takeover_expiry_ms = 300,
                           .guard_ms = 600,
                           .resync_max_ms = 3000,
                           .balance_ms = 1000,
                           .leave_ms = 2000,
                           .adopt_rate = 2000,
                           .table_elements = 128,
                           .table_octets = 16000,
                           .suggestion = ENRP_SUGGEST_BY_LOAD,
                           .lowest_wins = true,
                           .failure_is_death = true},
};

void enrp_settings_profile(struct enrp_settings *ret, enum enrp_profile profile)
{
    *ret = PROFILES[profile];
    ret->handle_max = POOL_HANDLE_MAX_INTEROP;
    ret->distance_step_ms = POLICY_DISTANCE_STEP_MS;
    ret->host_messages = ENRP_HOST_MESSAGES;
}

static void take_settings(struct enrp *en, const struct enrp_settings *settings)
{
    uint32_t id = en->set.id;
    en->set = *settings;
    en->set.id = id != 0 ? id : settings->id;
    if (en->set.table_elements == 0 || en->set.table_elements > ENRP_ENTRIES_MAX) {
        en->set.table_elements = ENRP_ENTRIES_MAX;
    }
    if (en->set.table_octets > ENRP_MESSAGE_MAX - 3) {
        en->set.table_octets = ENRP_MESSAGE_MAX - 3;
    }
}

struct enrp *enrp_new(const struct enrp_settings *settings, const struct enrp_hooks *hooks,
                      struct hs *hs, struct outbox *outbox, uint64_t seed, struct tm_us now)
{
    struct enrp *en = settings->id != 0 ? calloc(1, sizeof(*en)) : NULL;
    if (en == NULL) {
        return NULL;
    }
    if (hooks != NULL) {
        en->hooks = *hooks;
    }
    en->hs = hs;
    en->out = outbox;
    rnd_seed(&en->rnd, seed);
    take_settings(en, settings);
    en->mentor = EN_NOBODY;
    en->next_heartbeat = TM_NEVER;
    en->start_timer = TM_NEVER;
    en->balance_at = TM_NEVER;
    en->leave_step = TM_NEVER;
    en->event_bucket = (struct bucket){.tokens = EN_EVENT_BURST, .refill = now};
    en->heard_bucket = (struct bucket){.tokens = EN_HEARD_BURST, .refill = now};
    return en;
}

void enrp_free(struct enrp *en)
{
    free(en);
}

void enrp_configure(struct enrp *en, const struct enrp_settings *settings, struct tm_us now)
{
    take_settings(en, settings);
    if (!tm_is_never(en->next_heartbeat)) {
        en->next_heartbeat = tm_min(en->next_heartbeat, tm_add_ms(now, en->set.heartbeat_ms));
    }
    if (!tm_is_never(en->balance_at)) {
        en->balance_at = tm_min(en->balance_at, tm_add_ms(now, 2 * (int64_t)en->set.balance_ms));
    }
}

void enrp_addresses(struct enrp *en, const struct ip_address *addresses, size_t count,
                    uint16_t port, struct tm_us now)
{
    (void)now;
    en->address_count = (uint8_t)(count < ENRP_PEER_ADDRESSES ? count : ENRP_PEER_ADDRESSES);
    en->port = port;
    for (uint8_t i = 0; i < en->address_count; i++) {
        en->addresses[i] = ip_address_unmap(addresses[i]);
    }
}

/* --- small things -------------------------------------------------------------------------------
 */

bool en_may_say(struct enrp *en, struct tm_us now)
{
    return bucket_take(&en->event_bucket, EN_EVENT_BURST, EN_EVENT_MS, now);
}

bool en_serving(const struct enrp *en)
{
    return en->phase == ENRP_OPERATIONAL || en->phase == ENRP_LEAVING;
}

const char *enrp_phase_name(enum enrp_phase phase)
{
    static const char *const names[] = {"init",        "looking for a mentor", "list requested",
                                        "downloading", "operational",          "leaving",
                                        "left"};
    return (unsigned)phase < sizeof(names) / sizeof(names[0]) ? names[phase] : "unknown";
}

enum enrp_phase enrp_phase(const struct enrp *en)
{
    return en->phase;
}

void enrp_get_counters(const struct enrp *en, struct enrp_counters *ret)
{
    *ret = en->counters;
}

static struct tm_us heartbeat_time(struct enrp *en, struct tm_us now)
{
    return tm_add_ms(now, rnd_jitter(&en->rnd, en->set.heartbeat_ms, EN_JITTER));
}

void en_set_phase(struct enrp *en, enum enrp_phase phase, struct tm_us now)
{
    if (en->phase == phase) {
        return;
    }
    en->phase = phase;
    (void)outbox_event(en->out, EVENT_REGISTRAR_PHASE, (struct pool_handle){0}, 0, en->set.id,
                       "registrar %08x: %s", en->set.id, enrp_phase_name(phase));
    if (phase == ENRP_OPERATIONAL) {
        en->start_timer = TM_NEVER;
        en->mentor = EN_NOBODY;
        en->balance_at = tm_add_ms(now, rnd_jitter(&en->rnd, 2 * (int64_t)en->set.balance_ms, 50));
        en_announce(en);
        en->next_heartbeat = heartbeat_time(en, now);
    } else if (phase == ENRP_LEFT) {
        en->next_heartbeat = TM_NEVER;
        en->balance_at = TM_NEVER;
        en->leave_step = TM_NEVER;
    }
}

/* --- sending ------------------------------------------------------------------------------------
 */

void en_begin(struct enrp *en, enum enrp_type type, uint32_t receiver)
{
    enrp_message_init(&en->tx, type, en->set.id, receiver);
}

void en_presence(struct enrp *en, uint32_t receiver, bool reply)
{
    en_begin(en, ENRP_PRESENCE, receiver);
    en->tx.flags = reply ? ENRP_PRESENCE_REPLY : 0;
    en->tx.has_checksum = true; /* E-68 */
    en->tx.checksum = hs_checksum(en->hs, en->set.id);
    if (en->set.handle_max > POOL_HANDLE_MAX_INTEROP) {
        en->tx.has_capabilities = true;
        en->tx.capabilities = ENRP_CAN_LONG_HANDLES;
    }
    if (en->address_count > 0 && en->port != 0) {
        en->tx.server_count = 1;
        en->tx.servers[0] = (struct enrp_server){.id = en->set.id,
                                                 .transport = {.protocol = TRANSPORT_SCTP,
                                                               .port = en->port,
                                                               .address_count = en->address_count,
                                                               .addresses = en->addresses}};
    }
}

/* Octets of en->tx in en->octets, or ≤ 0. */
static int encode(struct enrp *en)
{
    return enrp_encode(&en->tx, en->octets, sizeof(en->octets));
}

static void send_octets(struct enrp *en, uint64_t assoc, int len)
{
    outbox_send_as(en->out, assoc, ENRP_PPID, en->octets, (size_t)len);
    en->counters.messages_out++;
    en->counters.octets_out += (uint64_t)len;
}

void en_send_on(struct enrp *en, uint64_t assoc)
{
    int len = encode(en);
    if (len > 0) {
        send_octets(en, assoc, len);
    }
}

static struct en_assoc *assoc_new(struct enrp *en, uint64_t id)
{
    struct en_assoc *assoc = en_assoc_find(en, 0);
    if (assoc != NULL) {
        *assoc = (struct en_assoc){.id = id, .peer = EN_NOBODY, .host = EN_NOBODY};
    }
    return assoc;
}

/* One that leads there already, although nothing was heard over it yet. */
static struct en_assoc *find_way(struct enrp *en, const struct en_peer *peer, int slot)
{
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        struct en_assoc *assoc = &en->assocs[i];
        if (assoc->id == 0 || !assoc->up || assoc->port != peer->port ||
            (assoc->peer != EN_NOBODY && assoc->peer != slot)) {
            continue;
        }
        for (uint8_t k = 0; k < assoc->count; k++) {
            if (ip_address_equal(&assoc->addresses[k], &peer->addresses[0])) {
                return assoc;
            }
        }
    }
    return NULL;
}

/* Opens one; what is sent on it waits until it is up. False: no room, or no address. */
static bool connect_to(struct enrp *en, int slot)
{
    struct en_peer *peer = &en->peers[slot];
    if (peer->address_count == 0) {
        return false;
    }
    struct en_assoc *way = find_way(en, peer, slot);
    if (way != NULL) {
        way->peer = (int8_t)slot;
        peer->assoc = way->id;
        return true;
    }
    struct en_assoc *assoc = assoc_new(en, ENRP_ASSOC_FIRST + ++en->next_assoc);
    struct action *action = assoc != NULL ? outbox_add(en->out, ACTION_CONNECT) : NULL;
    if (action == NULL) {
        if (assoc != NULL) {
            assoc->id = 0;
        }
        return false;
    }
    assoc->peer = (int8_t)slot;
    action->assoc = assoc->id;
    action->port = peer->port;
    action->registrar_id = peer->id;
    action->address_count = peer->address_count;
    memcpy(action->addresses, peer->addresses, peer->address_count * sizeof(action->addresses[0]));
    peer->assoc = assoc->id;
    return true;
}

static void send_encoded(struct enrp *en, int slot, int len)
{
    if (len > 0 && (en->peers[slot].assoc != 0 || connect_to(en, slot))) {
        send_octets(en, en->peers[slot].assoc, len);
    }
}

void en_send(struct enrp *en, int slot)
{
    send_encoded(en, slot, encode(en));
}

/* The receiver is nobody in particular (E-7), so the octets are the same for all. */
void en_cast(struct enrp *en)
{
    int len = 0;
    for (int i = 0; i < en->top; i++) {
        if (en_peer_alive(&en->peers[i])) {
            len = len == 0 ? encode(en) : len;
            send_encoded(en, i, len);
        }
    }
}

void en_announce(struct enrp *en)
{
    en_presence(en, 0, false);
    en_cast(en);
    if (!en->set.multicast) {
        return;
    }
    int len = encode(en);
    struct buffer *message = len > 0 ? buffer_copy(en->octets, (size_t)len) : NULL;
    struct action *action = message != NULL ? outbox_add(en->out, ACTION_ENRP_ANNOUNCE) : NULL;
    if (action == NULL) {
        free(message);
        return;
    }
    action->message = message;
    action->ppid = ENRP_PPID;
    action->registrar_id = en->set.id;
}

/* --- associations -------------------------------------------------------------------------------
 */

struct en_assoc *en_assoc_find(struct enrp *en, uint64_t id)
{
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        if (en->assocs[i].id == id) {
            return &en->assocs[i];
        }
    }
    return NULL;
}

void enrp_assoc_up(struct enrp *en, uint64_t assoc, const struct ip_address *peers, size_t count,
                   uint16_t port, struct tm_us now)
{
    struct en_assoc *a = en_assoc_find(en, assoc);
    bool by_us = a != NULL;
    if (!by_us) {
        a = assoc_new(en, assoc);
    }
    if (a == NULL) {
        outbox_disconnect(en->out, assoc, true);
        return;
    }
    a->up = true;
    a->port = port;
    a->last_heard = now;
    a->count = 0;
    for (size_t i = 0; i < count && a->count < ENRP_PEER_ADDRESSES; i++) {
        a->addresses[a->count++] = ip_address_unmap(peers[i]);
    }
    if (!en_host_opens(en, a, by_us, now)) {
        a->id = 0;
        outbox_disconnect(en->out, assoc, true);
    }
}

void enrp_assoc_down(struct enrp *en, uint64_t assoc, enum enrp_down reason, struct tm_us now)
{
    struct en_assoc *a = assoc != 0 ? en_assoc_find(en, assoc) : NULL;
    if (a == NULL) {
        return;
    }
    int slot = a->peer;
    a->id = 0;
    if (slot == EN_NOBODY || !en->peers[slot].used || en->peers[slot].assoc != assoc) {
        return;
    }
    en->peers[slot].assoc = 0;
    /* Another one may still lead to it. */
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        if (en->assocs[i].id != 0 && en->assocs[i].up && en->assocs[i].peer == slot) {
            en->peers[slot].assoc = en->assocs[i].id;
            return;
        }
    }
    if (reason == ENRP_DOWN_SHUTDOWN && en->peers[slot].state == ENRP_PEER_ACTIVE) {
        return; /* an idle one that was closed is no failure (enrp.md §1) */
    }
    en_peer_event(en, slot, EN_FAILED, now);
}

/* --- receiving ----------------------------------------------------------------------------------
 */

static bool is_own_address(const struct enrp *en, const struct ip_address *address)
{
    for (uint8_t i = 0; i < en->address_count; i++) {
        if (ip_address_equal(&en->addresses[i], address)) {
            return true;
        }
    }
    return false;
}

static void send_error(struct enrp *en, uint64_t assoc)
{
    if (en->report.cause_count == 0) {
        return;
    }
    en_begin(en, ENRP_ERROR, en->rx.sender_id);
    en->tx.cause_count = en->report.cause_count;
    memcpy(en->tx.causes, en->report.causes, sizeof(en->tx.causes));
    en_send_on(en, assoc);
}

static void end_assoc(struct enrp *en, struct en_assoc *assoc, struct tm_us now)
{
    outbox_disconnect(en->out, assoc->id, true);
    enrp_assoc_down(en, assoc->id, ENRP_DOWN_LOST, now);
}

/* Our own id from elsewhere: ourselves as a configured peer, or a second one of that id (§12). */
static void own_id_heard(struct enrp *en, struct en_assoc *assoc, struct tm_us now)
{
    bool ourselves = false;
    for (uint8_t i = 0; i < assoc->count; i++) {
        ourselves = ourselves || is_own_address(en, &assoc->addresses[i]);
    }
    if (!ourselves) {
        if (en_may_say(en, now)) {
            char text[IP_ADDRESS_TEXT_MAX] = "?";
            if (assoc->count > 0) {
                (void)ip_address_format(&assoc->addresses[0], text, sizeof(text));
            }
            (void)outbox_event(en->out, EVENT_PEER_REFUSED, (struct pool_handle){0}, 0, en->set.id,
                               "another registrar has our identifier %08x: %s", en->set.id, text);
        }
        en->counters.ignored++;
        return;
    }
    int slot = assoc->peer;
    if (slot != EN_NOBODY && en->peers[slot].id == 0) {
        en->peers[slot].is_static = false;
        en_peer_remove(en, slot, "it is ourselves", now);
    } else {
        end_assoc(en, assoc, now);
    }
}

static void list_request(struct enrp *en, int slot, uint64_t assoc)
{
    en_begin(en, ENRP_LIST_RESPONSE, en->peers[slot].id);
    if (!en_serving(en)) {
        en->tx.flags = ENRP_RESPONSE_REJECT; /* E-23 */
    }
    for (int i = 0; i < en->top; i++) {
        const struct en_peer *peer = &en->peers[i];
        if (i != slot && en_peer_alive(peer) && peer->address_count > 0) {
            en->tx.servers[en->tx.server_count++] =
                (struct enrp_server){.id = peer->id,
                                     .transport = {.protocol = TRANSPORT_SCTP,
                                                   .port = peer->port,
                                                   .address_count = peer->address_count,
                                                   .addresses = peer->addresses}};
        }
    }
    en_send_on(en, assoc);
}

/* For whatever we asked of it (enrp.md §12). */
static void error_received(struct enrp *en, int slot, struct tm_us now)
{
    en->counters.errors_in++;
    if (slot == EN_NOBODY) {
        return;
    }
    if (en_may_say(en, now)) {
        (void)outbox_event(en->out, EVENT_PEER_REFUSED, (struct pool_handle){0}, 0,
                           en->peers[slot].id, "registrar %08x reports an error: %s",
                           en->peers[slot].id, rsp_cause_name(en->rx.causes[0].code));
    }
    if (slot == en->mentor && (en->phase == ENRP_LIST || en->phase == ENRP_TABLE)) {
        en_start_rejected(en, slot, now);
    }
    en_sync_abort(en, slot);
}

static void dispatch(struct enrp *en, int slot, struct en_assoc *assoc, struct tm_us now)
{
    switch ((enum enrp_type)en->rx.type) {
    case ENRP_PRESENCE:
        en_peer_presence(en, slot, assoc, now);
        return;
    case ENRP_HANDLE_TABLE_REQUEST:
        en_table_request(en, slot, assoc->id, now);
        return;
    case ENRP_HANDLE_TABLE_RESPONSE:
        en_table_response(en, slot, now);
        return;
    case ENRP_HANDLE_UPDATE:
        en_update_received(en, slot, now);
        return;
    case ENRP_LIST_REQUEST:
        list_request(en, slot, assoc->id);
        return;
    case ENRP_LIST_RESPONSE:
        en_start_list(en, slot, now);
        return;
    case ENRP_INIT_TAKEOVER:
        en_takeover_init(en, slot, now);
        return;
    case ENRP_INIT_TAKEOVER_ACK:
        en_takeover_ack(en, slot, now);
        return;
    case ENRP_TAKEOVER_SERVER:
        en_takeover_done(en, slot, now);
        return;
    case ENRP_ERROR:
        error_received(en, slot, now);
        return;
    }
}

static void malformed(struct enrp *en, struct en_assoc *assoc, enum wire_verdict verdict,
                      struct tm_us now)
{
    en->counters.malformed++;
    if (verdict != WIRE_DISCARD) {
        send_error(en, assoc->id);
    }
    if (verdict == WIRE_INVALID && ++assoc->malformed > EN_MALFORMED_MAX) {
        end_assoc(en, assoc, now);
    }
}

void enrp_receive(struct enrp *en, uint64_t assoc, const uint8_t *octets, size_t len,
                  struct tm_us now)
{
    struct en_assoc *from = assoc != 0 ? en_assoc_find(en, assoc) : NULL;
    if (from == NULL || en->phase == ENRP_LEFT || !en_host_sends(en, from, octets, len, now)) {
        return;
    }
    en->counters.messages_in++;
    en->counters.octets_in += len;
    from->last_heard = now;
    en->rx_assoc = assoc;
    en->distance_known = false;
    enum wire_verdict verdict = enrp_decode(octets, len, &en->rx, &en->report);
    if (verdict == WIRE_OK && en->rx.type == ENRP_ERROR) {
        /* rsplib leaves the ids of what it complains of: our own as the sender (D-17). */
        error_received(en, from->peer, now);
        return;
    }
    if (verdict != WIRE_OK || en->rx.sender_id == 0) {
        malformed(en, from, verdict, now);
        return;
    }
    if (en->rx.sender_id == en->set.id) {
        own_id_heard(en, from, now);
        return;
    }
    struct wire_report report = en->report;
    int slot = en_peer_of_message(en, from, now);
    if (slot == EN_NOBODY) {
        en->counters.ignored++;
        return;
    }
    dispatch(en, slot, from, now);
    en->report = report;
    send_error(en, assoc);
}

/* Nothing but PRESENCE comes by multicast, and nobody is believed (E-85, T-1, T-4, T-6). */
void enrp_heard(struct enrp *en, const struct ip_address *source, uint16_t source_port,
                const uint8_t *octets, size_t len, struct tm_us now)
{
    (void)source_port;
    if (en->phase == ENRP_INIT || en->phase == ENRP_LEFT || len < WIRE_HEADER_LEN ||
        octets[0] != ENRP_PRESENCE || enrp_decode(octets, len, &en->rx, &en->report) != WIRE_OK ||
        en->rx.sender_id == 0) {
        return;
    }
    struct ip_address address = ip_address_unmap(*source);
    uint16_t port = en->rx.server_count > 0 ? en->rx.servers[0].transport.port : ENRP_PORT;
    if (en->rx.sender_id == en->set.id) {
        if (!is_own_address(en, &address) && en_may_say(en, now)) {
            char text[IP_ADDRESS_TEXT_MAX];
            (void)outbox_event(en->out, EVENT_PEER_REFUSED, (struct pool_handle){0}, 0, en->set.id,
                               "another registrar announces our identifier %08x: %s", en->set.id,
                               ip_address_format(&address, text, sizeof(text)));
        }
        return;
    }
    int slot = en_peer_find(en, en->rx.sender_id);
    if (slot != EN_NOBODY && en->peers[slot].address_count > 0) {
        return;
    }
    if (bucket_take(&en->heard_bucket, EN_HEARD_BURST, EN_HEARD_MS, now)) {
        en_peer_candidate(en, en->rx.sender_id, &address, 1, port, now);
    }
}

/* --- time ---------------------------------------------------------------------------------------
 */

struct tm_us enrp_next_timer(const struct enrp *en)
{
    struct tm_us next = tm_min(en->next_heartbeat, en->start_timer);
    next = tm_min(next, tm_min(en->balance_at, en->leave_step));
    for (int i = 0; i < en->top; i++) {
        const struct en_peer *peer = &en->peers[i];
        if (!peer->used) {
            continue;
        }
        next = tm_min(next, peer->timer);
        next = peer->sync.running ? tm_min(next, peer->sync.timer) : next;
        next = peer->session.open ? tm_min(next, peer->session.until) : next;
    }
    return next;
}

void enrp_timer(struct enrp *en, struct tm_us now)
{
    for (int i = 0; i < en->top; i++) {
        if (en->peers[i].used) {
            en_table_due(en, i, now);
        }
        if (en->peers[i].used && tm_due(en->peers[i].timer, now)) {
            en_peer_event(en, i, EN_TIMER, now);
        }
    }
    if (tm_due(en->start_timer, now)) {
        en_start_due(en, now);
    }
    if (tm_due(en->next_heartbeat, now)) {
        en->next_heartbeat = heartbeat_time(en, now);
        en_announce(en);
    }
    if (tm_due(en->balance_at, now)) {
        en->balance_at = tm_add_ms(now, rnd_jitter(&en->rnd, en->set.balance_ms, 50));
        en_balance_due(en, now);
    }
    if (tm_due(en->leave_step, now)) {
        en_leave_due(en, now);
    }
}
