/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registrar: what comes in goes to its procedure, what is due is done, and every change of an
 * element passes one place.
 */
#include "rspd/registrar/registrar.h"

#include "handlespace/policy.h"
#include "rspd/registrar/rg_internal.h"

#include <stdlib.h>
#include <string.h>

void rg_settings_default(struct rg_settings *ret)
{
    *ret = (struct rg_settings){.keep_alive_ms = 5000,
                                .keep_alive_timeout_ms = 5000,
                                .announce_ms = 1000,
                                .keep_alive_pe_id = true,
                                .tell_expired = true,
                                .max_bad_pe_reports = 3,
                                .items_default = 3,
                                .handle_max = POOL_HANDLE_MAX_INTEROP,
                                .update_ms = 100,
                                .distance_step_ms = POLICY_DISTANCE_STEP_MS};
}

uint64_t rg_hash_number(const struct rg *rg, uint64_t number)
{
    struct rnd rnd;
    rnd_seed(&rnd, rg->hash_seed ^ number);
    return rnd_next(&rnd);
}

uint64_t rg_hash_handle(const struct rg *rg, struct pool_handle handle, uint32_t pe_id)
{
    uint64_t hash = rg_hash_number(rg, (uint64_t)pe_id << 16 | handle.len);
    for (size_t i = 0; i < handle.len; i += 8) {
        uint64_t word = 0;
        memcpy(&word, handle.octets + i, handle.len - i < 8 ? handle.len - i : 8);
        hash = rg_hash_number(rg, hash ^ word);
    }
    return hash;
}

/* Copies the settings; without memory the old ones stay. */
static bool take_settings(struct rg *rg, const struct rg_settings *settings)
{
    struct rg_prefix *allow = NULL;
    if (settings->allow_count > 0) {
        allow = calloc(settings->allow_count, sizeof(*allow));
        if (allow == NULL) {
            return false;
        }
        memcpy(allow, settings->allow, settings->allow_count * sizeof(*allow));
    }
    free(rg->allow);
    rg->allow = allow;
    rg->set = *settings;
    rg->set.allow = allow;
    if (rg->set.max_bad_pe_reports >= RG_REPORTERS_MAX) {
        rg->set.max_bad_pe_reports = RG_REPORTERS_MAX - 1;
    }
    return true;
}

struct rg *rg_new(const struct rg_settings *settings, struct hs *hs, struct outbox *outbox,
                  uint64_t seed, struct tm_us now)
{
    struct rg *rg = calloc(1, sizeof(*rg));
    if (rg == NULL) {
        return NULL;
    }
    rg->hs = hs;
    rg->out = outbox;
    rnd_seed(&rg->rnd, seed);
    rg->hash_seed = rnd_next(&rg->rnd);
    rg->next_announce = now;
    rg->events = (struct bucket){.tokens = RG_EVENT_BURST, .refill = now};
    if (!rg_table_init(&rg->assocs) || !rg_pes_init(rg) || !rg_table_init(&rg->topics) ||
        !rg_table_init(&rg->ways) || !rg_table_init(&rg->principals) ||
        !take_settings(rg, settings)) {
        rg_free(rg);
        return NULL;
    }
    return rg;
}

void rg_free(struct rg *rg)
{
    if (rg == NULL) {
        return;
    }
    rg_assoc_free_all(rg);
    rg_orphans_free(rg);
    rg_pes_done(rg);
    rg_table_done(&rg->assocs);
    rg_table_done(&rg->topics);
    rg_table_done(&rg->ways);
    rg_principals_free(rg);
    free(rg->heap.timers);
    free(rg->allow);
    free(rg);
}

/* (N+1)·T6, spread. */
static struct tm_us announce_time(struct rg *rg, struct tm_us now)
{
    int64_t period = (int64_t)rg->set.announce_ms * (1 + (int64_t)rg->peers);
    int64_t spread = period / 8;
    return tm_add_ms(now, period - spread + (int64_t)rnd_below(&rg->rnd, 2 * (uint64_t)spread + 1));
}

void rg_configure(struct rg *rg, const struct rg_settings *settings, struct tm_us now)
{
    struct rg_settings wanted = *settings;
    wanted.id = rg->set.id;
    if (!take_settings(rg, &wanted)) {
        return;
    }
    rg_pe_reschedule_all(rg, now);
    rg->next_announce = tm_min(rg->next_announce, announce_time(rg, now));
}

void rg_set_hooks(struct rg *rg, const struct rg_hooks *hooks)
{
    rg->hooks = *hooks;
}

void rg_tell_registered(struct rg *rg, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    if (rg->hooks.registered != NULL) {
        hs_read_begin();
        const struct hs_element *element = hs_find(rg->hs, handle, pe_id);
        if (element != NULL) {
            rg->hooks.registered(rg->hooks.ctx, element, now);
        }
        hs_read_end();
    }
}

void rg_set_peer_count(struct rg *rg, uint32_t peers)
{
    rg->peers = peers;
}

bool rg_may_say(struct rg *rg, struct tm_us now)
{
    return bucket_take(&rg->events, RG_EVENT_BURST, RG_EVENT_MS, now);
}

void rg_send(struct rg *rg, uint64_t assoc)
{
    int len = asap_encode(&rg->tx, rg->octets, sizeof(rg->octets));
    if (len > 0) {
        outbox_send(rg->out, assoc, rg->octets, (size_t)len);
    }
}

void rg_changed(struct rg *rg, enum rg_change change, struct pool_handle handle, uint32_t pe_id,
                struct tm_us now)
{
    (void)pe_id;
    /* Loads move all the time: subscribers learn of them with their next question. */
    if (change != RG_LOAD) {
        rg_topic_changed(rg, handle, change == RG_REMOVED, now);
    }
}

/* --- messages
 * --------------------------------------------------------------------------------------- */

static void send_error(struct rg *rg, uint64_t assoc)
{
    if (rg->report.cause_count == 0) {
        return;
    }
    asap_message_init(&rg->tx, ASAP_ERROR);
    rg->tx.cause_count = rg->report.cause_count;
    memcpy(rg->tx.causes, rg->report.causes, sizeof(rg->tx.causes));
    rg_send(rg, assoc);
}

static void dispatch(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    switch ((enum asap_type)rg->rx.type) {
    case ASAP_REGISTRATION:
        rg_registration(rg, assoc, now);
        break;
    case ASAP_DEREGISTRATION:
        rg_deregistration(rg, assoc, now);
        break;
    case ASAP_HANDLE_RESOLUTION:
        rg_resolution(rg, assoc, now);
        break;
    case ASAP_ENDPOINT_KEEP_ALIVE_ACK:
        rg_keep_alive_ack(rg, assoc, now);
        break;
    case ASAP_ENDPOINT_UNREACHABLE:
        rg_unreachable(rg, assoc, now);
        break;
    case ASAP_REGISTRATION_RESPONSE:
    case ASAP_DEREGISTRATION_RESPONSE:
    case ASAP_HANDLE_RESOLUTION_RESPONSE:
    case ASAP_ENDPOINT_KEEP_ALIVE:
    case ASAP_SERVER_ANNOUNCE:
    case ASAP_COOKIE:
    case ASAP_COOKIE_ECHO:
    case ASAP_BUSINESS_CARD:
    case ASAP_ERROR:
        /* Nothing a registrar asked for, or acts on. */
        break;
    }
}

void rg_message(struct rg *rg, uint64_t assoc, const uint8_t *octets, size_t len, struct tm_us now)
{
    struct rg_assoc *from = rg_assoc_of_message(rg, assoc);
    if (from == NULL || !rg_principal_message(rg, from, now)) {
        return;
    }
    from->last_heard = now;
    switch (asap_decode(octets, len, &rg->rx, &rg->report)) {
    case WIRE_OK: {
        dispatch(rg, from, now);
        /* After the answer: a client may take the first message for it. */
        send_error(rg, assoc);
        break;
    }
    case WIRE_DISCARD:
        break;
    case WIRE_DISCARD_REPORT:
        send_error(rg, assoc);
        break;
    case WIRE_INVALID:
        if (!rg_refuse_malformed(rg, from, now)) {
            send_error(rg, assoc);
        }
        rg_assoc_malformed(rg, from, now);
        break;
    }
}

/* --- time
 * --------------------------------------------------------------------------------------------- */

struct tm_us rg_next_timer(const struct rg *rg)
{
    struct tm_us expiry = hs_next_expiry(rg->hs);
    struct rg_timer *first = rg_timer_first(&rg->heap);
    if (tm_before(expiry, rg->retry)) {
        expiry = rg->retry;
    }
    struct tm_us next = tm_min(expiry, rg->next_announce);
    next = rg->orphans != NULL ? tm_min(next, rg->orphans_at) : next;
    return first != NULL ? tm_min(next, first->at) : next;
}

void rg_announce_soon(struct rg *rg, struct tm_us now)
{
    rg->next_announce = now;
}

static void announce(struct rg *rg, struct tm_us now)
{
    rg->next_announce = announce_time(rg, now);
    asap_message_init(&rg->tx, ASAP_SERVER_ANNOUNCE);
    /* No transport: clients take the source of the datagram (asap.md §4.10). */
    rg->tx.has_server_id = true;
    rg->tx.server_id = rg->set.id;
    int len = asap_encode(&rg->tx, rg->octets, sizeof(rg->octets));
    if (len <= 0) {
        return;
    }
    struct buffer *message = buffer_copy(rg->octets, (size_t)len);
    struct action *action = message != NULL ? outbox_add(rg->out, ACTION_ANNOUNCE) : NULL;
    if (action == NULL) {
        free(message);
        return;
    }
    action->message = message;
    action->registrar_id = rg->set.id;
}

void rg_timer(struct rg *rg, struct tm_us now)
{
    struct rg_timer *timer;
    if (tm_due(rg->retry, now)) {
        rg_expire(rg, now);
    }
    rg_orphans_due(rg, now);
    while ((timer = rg_timer_first(&rg->heap)) != NULL && tm_due(timer->at, now)) {
        if (timer->kind == RG_TIMER_PE) {
            rg_pe_due(rg, (struct rg_pe *)(void *)((char *)timer - offsetof(struct rg_pe, timer)),
                      now);
        } else {
            rg_topic_due(
                rg, (struct rg_topic *)(void *)((char *)timer - offsetof(struct rg_topic, timer)),
                now);
        }
    }
    if (tm_due(rg->next_announce, now)) {
        announce(rg, now);
    }
}
