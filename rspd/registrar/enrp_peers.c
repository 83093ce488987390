/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The other registrars and whether they live (RFC 5353 §3.4; enrp.md §6, 9). One machine per peer,
 * en_peer_event(); its states and what their timers mean: enum enrp_peer_state.
 *
 *   CANDIDATE  --message--> ACTIVE        --timer, failure--> removed
 *   ACTIVE     --timer, failure--> PROBED (a PRESENCE that wants an answer is sent)
 *   PROBED     --message--> ACTIVE        --timer, failure--> dead
 *   dead:      owns nothing --> removed;  else CONDEMNED
 *   CONDEMNED  --message--> ACTIVE        --timer--> ARBITRATED (enrp_takeover.c)
 *   ARBITRATED --PRESENCE--> ACTIVE       --won--> removed
 *   INACTIVE   --PRESENCE--> ACTIVE       --timer--> PROBED
 *
 * A configured peer that is removed becomes STATIC: it is tried again and again.
 */
#include <errno.h>
#include <string.h>

#include "rspd/registrar/enrp_internal.h"

const char *enrp_peer_state_name(enum enrp_peer_state state)
{
    static const char *const names[ENRP_PEER_STATES] = {
        "configured", "candidate", "active", "probed", "dead", "being taken over", "not active"};
    return (unsigned)state < ENRP_PEER_STATES ? names[state] : "unknown";
}

bool en_peer_alive(const struct en_peer *peer)
{
    return peer->used && (peer->state == ENRP_PEER_ACTIVE || peer->state == ENRP_PEER_PROBED);
}

int en_peer_find(const struct enrp *en, uint32_t id)
{
    for (int i = 0; i < en->top && id != 0; i++) {
        if (en->peers[i].used && en->peers[i].id == id) {
            return i;
        }
    }
    return EN_NOBODY;
}

static void say(struct enrp *en, enum event_kind kind, uint32_t id, const char *what,
                const char *why)
{
    (void)outbox_event(en->out, kind, (struct pool_handle){0}, 0, id, "registrar %08x %s%s%s", id,
                       what, why != NULL ? ": " : "", why != NULL ? why : "");
}

/* --- coming and going ------------------------------------------------------------------------- */

int en_peer_new(struct enrp *en, uint32_t id, enum enrp_peer_state state, struct tm_us timer)
{
    int slot = 0;
    while (slot < ENRP_PEERS_MAX && en->peers[slot].used) {
        slot++;
    }
    if (slot == ENRP_PEERS_MAX) {
        return EN_NOBODY;
    }
    en->peers[slot] = (struct en_peer){.used = true, .id = id, .state = state, .timer = timer};
    en->top = slot >= en->top ? slot + 1 : en->top;
    en->tried &= ~en_bit(slot);
    return slot;
}

static void set_addresses(struct en_peer *peer, const struct ip_address *addresses, size_t count,
                          uint16_t port)
{
    peer->port = port;
    peer->address_count = 0;
    for (size_t i = 0; i < count && peer->address_count < ENRP_PEER_ADDRESSES; i++) {
        peer->addresses[peer->address_count++] = ip_address_unmap(addresses[i]);
    }
}

static bool share_address(const struct ip_address *a, size_t a_count, const struct ip_address *b,
                          size_t b_count)
{
    for (size_t i = 0; i < a_count; i++) {
        for (size_t k = 0; k < b_count; k++) {
            if (ip_address_equal(&a[i], &b[k])) {
                return true;
            }
        }
    }
    return false;
}

int enrp_static_peer(struct enrp *en, const struct ip_address *addresses, size_t count,
                     uint16_t port)
{
    if (count == 0 || port == 0) {
        return -EINVAL;
    }
    if (port == en->port) {
        for (uint8_t i = 0; i < en->address_count; i++) {
            if (ip_address_equal(&en->addresses[i], &addresses[0])) {
                return 0; /* ourselves: the same list may be given to all */
            }
        }
    }
    int slot = en_peer_new(en, 0, ENRP_PEER_STATIC, TM_NEVER);
    if (slot == EN_NOBODY) {
        return -ENOSPC;
    }
    struct en_peer *peer = &en->peers[slot];
    set_addresses(peer, addresses, count, port);
    peer->is_static = true;
    peer->static_port = port;
    peer->static_count = peer->address_count;
    memcpy(peer->static_addresses, peer->addresses, sizeof(peer->addresses));
    return 0;
}

/* Its associations end; what was in hand with it too. */
static void cut_off(struct enrp *en, int slot)
{
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        if (en->assocs[i].id != 0 && en->assocs[i].peer == slot) {
            outbox_disconnect(en->out, en->assocs[i].id, true);
            en->assocs[i].id = 0;
        }
    }
    en->peers[slot].assoc = 0;
    en->peers[slot].sync.running = false;
    en->peers[slot].session.open = false;
}

/* After longer and longer times, up to a minute. */
static struct tm_us static_time(struct enrp *en, struct en_peer *peer, struct tm_us now)
{
    uint64_t wait = (uint64_t)en->set.retry_max_ms << (peer->attempts < 6 ? peer->attempts : 6);
    uint64_t most = en->set.no_response_ms > 10000 ? en->set.no_response_ms : 10000;
    return tm_add_ms(now, rnd_jitter(&en->rnd, (int64_t)(wait < most ? wait : most), 25));
}

void en_peer_remove(struct enrp *en, int slot, const char *why, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    if (peer->id != 0 && peer->state != ENRP_PEER_CANDIDATE) {
        say(en, EVENT_PEER_LOST, peer->id, "is gone", why);
    }
    cut_off(en, slot);
    if (peer->is_static) {
        struct en_peer old = *peer;
        *peer = (struct en_peer){.used = true,
                                 .is_static = true,
                                 .state = ENRP_PEER_STATIC,
                                 .port = old.static_port,
                                 .address_count = old.static_count,
                                 .static_port = old.static_port,
                                 .static_count = old.static_count};
        memcpy(peer->addresses, old.static_addresses, sizeof(peer->addresses));
        memcpy(peer->static_addresses, old.static_addresses, sizeof(peer->addresses));
        peer->timer = static_time(en, peer, now);
    } else {
        peer->used = false;
    }
    en_takeover_without(en, slot, now);
    en_start_lost(en, slot, now);
}

void en_peer_shadow(struct enrp *en, uint32_t id, struct tm_us now)
{
    if (id == 0 || id == en->set.id || en_peer_find(en, id) != EN_NOBODY) {
        return;
    }
    (void)en_peer_new(en, id, ENRP_PEER_INACTIVE, tm_add_ms(now, en->set.guard_ms));
}

void en_peer_candidate(struct enrp *en, uint32_t id, const struct ip_address *addresses,
                       size_t count, uint16_t port, struct tm_us now)
{
    int slot = en_peer_find(en, id);
    if (slot == EN_NOBODY) {
        slot = en_peer_new(en, id, ENRP_PEER_CANDIDATE, tm_add_ms(now, en->set.no_response_ms));
    }
    if (slot == EN_NOBODY || count == 0 || port == 0) {
        return;
    }
    set_addresses(&en->peers[slot], addresses, count, port);
    en_presence(en, id, true);
    en_send(en, slot);
    en_start_found(en, slot, now);
}

/* --- the machine ------------------------------------------------------------------------------ */

void en_peer_set_state(struct enrp *en, int slot, enum enrp_peer_state state, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    enum enrp_peer_state old = peer->state;
    bool was_alive = en_peer_alive(peer);
    peer->state = state;
    switch (state) {
    case ENRP_PEER_STATIC:
        peer->timer = static_time(en, peer, now);
        break;
    case ENRP_PEER_CANDIDATE:
    case ENRP_PEER_PROBED:
        peer->timer = tm_add_ms(now, en->set.no_response_ms);
        break;
    case ENRP_PEER_ACTIVE:
        peer->timer = tm_add_ms(now, en->set.last_heard_ms);
        break;
    case ENRP_PEER_CONDEMNED:
        peer->timer =
            tm_add_ms(now, (int64_t)rnd_below(&en->rnd, (uint64_t)en->set.takeover_delay_ms + 1));
        break;
    case ENRP_PEER_ARBITRATED:
        peer->timer = tm_add_ms(now, en->set.takeover_expiry_ms);
        break;
    case ENRP_PEER_INACTIVE:
        peer->timer = tm_add_ms(now, en->set.guard_ms);
        break;
    case ENRP_PEER_STATES:
        break;
    }
    if (was_alive && !en_peer_alive(peer)) {
        en_takeover_without(en, slot, now);
    } else if (state == ENRP_PEER_ACTIVE && old != ENRP_PEER_PROBED && old != ENRP_PEER_ACTIVE) {
        say(en, EVENT_PEER_FOUND, peer->id, "is there", NULL);
    }
}

static void probe(struct enrp *en, int slot, struct tm_us now)
{
    en_peer_set_state(en, slot, ENRP_PEER_PROBED, now);
    en_presence(en, en->peers[slot].id, true); /* E-50 */
    en_send(en, slot);
}

/* E-52. Nothing to take over, and it is just forgotten. */
static void dead(struct enrp *en, int slot, const char *why, struct tm_us now)
{
    if (hs_home_count(en->hs, en->peers[slot].id) == 0) {
        en_peer_remove(en, slot, why, now);
    } else if (!en_serving(en)) {
        en_peer_set_state(en, slot, ENRP_PEER_INACTIVE, now);
        en_start_lost(en, slot, now);
    } else {
        say(en, EVENT_PEER_LOST, en->peers[slot].id, "is dead", why);
        en_peer_set_state(en, slot, ENRP_PEER_CONDEMNED, now);
    }
}

static void static_event(struct enrp *en, int slot, enum en_event event, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    switch (event) {
    case EN_HEARD:
    case EN_PRESENCE:
        en_peer_set_state(en, slot, ENRP_PEER_ACTIVE, now);
        break;
    case EN_TIMER:
        peer->attempts++;
        en_peer_set_state(en, slot, ENRP_PEER_STATIC, now);
        en_presence(en, 0, true);
        en_send(en, slot);
        break;
    case EN_FAILED:
        en_start_lost(en, slot, now);
        break;
    case EN_ACKED:
    case EN_EVENTS:
        break;
    }
}

static void candidate_event(struct enrp *en, int slot, enum en_event event, struct tm_us now)
{
    switch (event) {
    case EN_HEARD:
    case EN_PRESENCE:
        en_peer_set_state(en, slot, ENRP_PEER_ACTIVE, now);
        break;
    case EN_TIMER:
    case EN_FAILED:
        dead(en, slot, "it did not answer", now);
        break;
    case EN_ACKED:
        en_peer_set_state(en, slot, ENRP_PEER_INACTIVE, now);
        break;
    case EN_EVENTS:
        break;
    }
}

static void live_event(struct enrp *en, int slot, enum en_event event, struct tm_us now)
{
    bool probed = en->peers[slot].state == ENRP_PEER_PROBED;
    switch (event) {
    case EN_HEARD:
    case EN_PRESENCE:
        en_peer_set_state(en, slot, ENRP_PEER_ACTIVE, now); /* E-49 */
        break;
    case EN_TIMER:
        if (probed) {
            dead(en, slot, "it does not answer", now); /* E-51 */
        } else {
            probe(en, slot, now);
        }
        break;
    case EN_FAILED:
        if (!probed) {
            probe(en, slot, now);
        } else if (en->set.failure_is_death) {
            dead(en, slot, "it cannot be reached", now);
        }
        break;
    case EN_ACKED:
        en_peer_set_state(en, slot, ENRP_PEER_INACTIVE, now);
        break;
    case EN_EVENTS:
        break;
    }
}

static void dead_event(struct enrp *en, int slot, enum en_event event, struct tm_us now)
{
    enum enrp_peer_state state = en->peers[slot].state;
    switch (event) {
    case EN_HEARD:
        if (state == ENRP_PEER_CONDEMNED) {
            en_peer_set_state(en, slot, ENRP_PEER_ACTIVE, now);
        }
        break;
    case EN_PRESENCE:
        en_peer_set_state(en, slot, ENRP_PEER_ACTIVE, now); /* E-56, E-61 */
        break;
    case EN_TIMER:
        if (state == ENRP_PEER_INACTIVE) {
            probe(en, slot, now); /* E-96 */
        } else {
            en_takeover_due(en, slot, now);
        }
        break;
    case EN_ACKED:
        en_peer_set_state(en, slot, ENRP_PEER_INACTIVE, now);
        break;
    case EN_FAILED:
    case EN_EVENTS:
        break;
    }
}

void en_peer_event(struct enrp *en, int slot, enum en_event event, struct tm_us now)
{
    switch (en->peers[slot].state) {
    case ENRP_PEER_STATIC:
        static_event(en, slot, event, now);
        break;
    case ENRP_PEER_CANDIDATE:
        candidate_event(en, slot, event, now);
        break;
    case ENRP_PEER_ACTIVE:
    case ENRP_PEER_PROBED:
        live_event(en, slot, event, now);
        break;
    case ENRP_PEER_CONDEMNED:
    case ENRP_PEER_ARBITRATED:
    case ENRP_PEER_INACTIVE:
        dead_event(en, slot, event, now);
        break;
    case ENRP_PEER_STATES:
        break;
    }
}

/* --- what messages tell ----------------------------------------------------------------------- */

/* A configured registrar is one that is known by another way too: one entry is enough. */
static void absorb(struct enrp *en, int slot, int known)
{
    struct en_peer *peer = &en->peers[slot];
    struct en_peer *other = &en->peers[known];
    other->is_static = true;
    other->static_port = peer->static_port;
    other->static_count = peer->static_count;
    memcpy(other->static_addresses, peer->static_addresses, sizeof(peer->static_addresses));
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        if (en->assocs[i].id != 0 && en->assocs[i].peer == slot) {
            en->assocs[i].peer = (int8_t)known;
        }
    }
    if (other->assoc == 0) {
        other->assoc = peer->assoc;
    }
    if (en->mentor == slot) {
        en->mentor = known;
        en->tried |= en_bit(known);
    }
    peer->used = false;
}

/* The association it was configured for turned out to be that of registrar `id`. */
static int identify(struct enrp *en, int slot, uint32_t id)
{
    int known = en_peer_find(en, id);
    if (known != EN_NOBODY) {
        absorb(en, slot, known);
        return known;
    }
    en->peers[slot].id = id;
    en->peers[slot].attempts = 0;
    return slot;
}

/* A peer has told its addresses: they may be those of a configured one. */
static void absorb_static(struct enrp *en, int slot)
{
    const struct en_peer *peer = &en->peers[slot];
    for (int i = 0; i < en->top; i++) {
        const struct en_peer *other = &en->peers[i];
        if (other->used && other->state == ENRP_PEER_STATIC && other->static_port == peer->port &&
            share_address(peer->addresses, peer->address_count, other->static_addresses,
                          other->static_count)) {
            absorb(en, i, slot);
        }
    }
}

/* New to us: it shall tell who it is, and whom it knows (E-46, E-47). */
static void greet(struct enrp *en, int slot)
{
    en_presence(en, en->peers[slot].id, true);
    en_send(en, slot);
    if (en_serving(en)) {
        en_begin(en, ENRP_LIST_REQUEST, en->peers[slot].id);
        en_send(en, slot);
    }
}

/* The way to it: kept while something comes along it. */
static void choose_way(struct enrp *en, int slot, const struct en_assoc *assoc, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    const struct en_assoc *current = peer->assoc != 0 ? en_assoc_find(en, peer->assoc) : NULL;
    if (current == NULL ||
        (current != assoc &&
         (!current->up || tm_due(tm_add_ms(current->last_heard, en->set.last_heard_ms), now)))) {
        peer->assoc = assoc->id;
    }
}

int en_peer_of_message(struct enrp *en, struct en_assoc *assoc, struct tm_us now)
{
    uint32_t id = en->rx.sender_id;
    int slot = en_peer_find(en, id);
    bool fresh = slot == EN_NOBODY;
    if (assoc->peer != EN_NOBODY && en->peers[assoc->peer].used && en->peers[assoc->peer].id == 0) {
        slot = identify(en, assoc->peer, id);
    } else if (fresh) {
        slot = en_peer_new(en, id, ENRP_PEER_CANDIDATE, TM_NEVER);
    }
    if (slot == EN_NOBODY) {
        return EN_NOBODY;
    }
    struct en_peer *peer = &en->peers[slot];
    assoc->peer = (int8_t)slot;
    choose_way(en, slot, assoc, now);
    peer->last_heard = now;
    if (peer->address_count == 0) {
        set_addresses(peer, assoc->addresses, assoc->count, assoc->port);
    }
    fresh = fresh || peer->state == ENRP_PEER_CANDIDATE || peer->state == ENRP_PEER_STATIC;
    en_peer_event(en, slot, EN_HEARD, now);
    if (fresh) {
        greet(en, slot);
        en_start_found(en, slot, now);
    }
    return slot;
}

/* The addresses it says it has, as far as its association proves them. */
static void take_addresses(struct enrp *en, int slot, const struct en_assoc *assoc)
{
    const struct transport *told = &en->rx.servers[0].transport;
    struct ip_address list[ENRP_PEER_ADDRESSES];
    size_t n = 0;
    for (uint16_t i = 0; i < told->address_count && n < ENRP_PEER_ADDRESSES; i++) {
        for (uint8_t k = 0; k < assoc->count; k++) {
            if (ip_address_equal(&told->addresses[i], &assoc->addresses[k])) {
                list[n++] = told->addresses[i];
                break;
            }
        }
    }
    if (n > 0) {
        set_addresses(&en->peers[slot], list, n, told->port);
        absorb_static(en, slot);
    }
}

void en_peer_presence(struct enrp *en, int slot, struct en_assoc *assoc, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    if (en->rx.server_count > 0 && en->rx.servers[0].id == peer->id) {
        take_addresses(en, slot, assoc);
    }
    peer->long_handles =
        en->rx.has_capabilities && (en->rx.capabilities & ENRP_CAN_LONG_HANDLES) != 0;
    peer->told = en->rx.has_checksum;
    peer->told_checksum = en->rx.checksum;
    en_peer_event(en, slot, EN_PRESENCE, now);
    if ((en->rx.flags & ENRP_PRESENCE_REPLY) != 0) {
        en_presence(en, peer->id, false); /* E-10 */
        en_send_on(en, assoc->id);
    }
    en_audit(en, slot, now);
}

/* --- what others ask -------------------------------------------------------------------------- */

size_t enrp_peers(struct enrp *en, struct enrp_peer_info *ret, size_t max)
{
    size_t n = 0;
    for (int i = 0; i < en->top && n < max; i++) {
        const struct en_peer *peer = &en->peers[i];
        if (!peer->used) {
            continue;
        }
        struct enrp_peer_info *info = &ret[n++];
        *info = (struct enrp_peer_info){.id = peer->id,
                                        .state = peer->state,
                                        .is_static = peer->is_static,
                                        .connected = peer->assoc != 0,
                                        .resync = peer->sync.running,
                                        .port = peer->port,
                                        .address_count = peer->address_count,
                                        .last_heard = peer->last_heard,
                                        .elements = hs_home_count(en->hs, peer->id),
                                        .checksum = hs_checksum(en->hs, peer->id),
                                        .told = peer->told,
                                        .told_checksum = peer->told_checksum};
        memcpy(info->addresses, peer->addresses, sizeof(info->addresses));
    }
    return n;
}

uint32_t enrp_peers_alive(const struct enrp *en)
{
    uint32_t n = 0;
    for (int i = 0; i < en->top; i++) {
        n += en_peer_alive(&en->peers[i]) ? 1 : 0;
    }
    return n;
}

uint16_t enrp_handle_max(const struct enrp *en)
{
    uint16_t max = en->set.handle_max;
    for (int i = 0; i < en->top; i++) {
        if (en_peer_alive(&en->peers[i]) && !en->peers[i].long_handles &&
            max > POOL_HANDLE_MAX_INTEROP) {
            max = POOL_HANDLE_MAX_INTEROP;
        }
    }
    return max;
}
