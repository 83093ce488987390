/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The agent's life, and who gets which message, timer and association event. */
#include "rspd/agent/ag_internal.h"

#include <stdlib.h>
#include <string.h>

#define SEND_MAX 4096 /* no message of a client is longer: handle, one element, eight addresses */

void ag_settings_default(struct ag_settings *ret)
{
    /* The profile for a LAN (asap.md §6): rsplib's units and its shorter times. */
    *ret = (struct ag_settings){.t1_request_ms = 3000,
                                .t2_registration_ms = 3000,
                                .t3_deregistration_ms = 3000,
                                .registration_life_ms = 300000,
                                .t5_hunt_ms = 2000,
                                .hunt_max_ms = 15000,
                                .t7_outdate_ms = 5000,
                                .stale_cache_ms = 5000,
                                .max_registration_attempts = 2,
                                .max_request_retransmits = 2,
                                .resolve_items = ASAP_ITEMS_ALL,
                                .quarantine_first_ms = 1000,
                                .quarantine_max_ms = 30000,
                                .report_rate_ms = 1000,
                                .handle_max = POOL_HANDLE_MAX_INTEROP,
                                .dynamic_updates = true};
}

struct ag *ag_new(const struct ag_settings *settings, struct outbox *outbox, uint64_t seed,
                  struct tm_us now)
{
    struct ag *ag = calloc(1, sizeof(*ag));
    if (ag == NULL) {
        return NULL;
    }
    ag->out = outbox;
    rnd_seed(&ag->rnd, seed);
    ag->hash_seed = rnd_next(&ag->rnd);
    if (ag_timers_reserve(&ag->timers, AG_REGISTRARS_MAX + 1) < 0) {
        free(ag);
        return NULL;
    }
    ag->announces = (struct ag_bucket){(int64_t)AG_ANNOUNCES_BURST * 1000, now};
    ag->reports = (struct ag_bucket){(int64_t)AG_REPORTS_BURST * 1000, now};
    ag_configure(ag, settings, now);
    ag_hunt_start(ag, false, now); /* */
    return ag;
}

void ag_free(struct ag *ag)
{
    if (ag == NULL) {
        return;
    }
    ag_resolution_free(ag);
    ag_suspects_free(ag);
    for (uint32_t i = 0; i < ag->local_slots; i++) {
        if (ag->locals[i] != NULL) {
            ag_local_free(ag, ag->locals[i]);
        }
    }
    ag_pools_free(ag);
    ag_shared_free(ag);
    free(ag->locals);
    ag_timers_done(&ag->timers);
    free(ag);
}

void ag_configure(struct ag *ag, const struct ag_settings *settings, struct tm_us now)
{
    (void)now;
    ag->set = *settings;
    uint32_t *not_zero[] = {&ag->set.t1_request_ms,        &ag->set.t2_registration_ms,
                            &ag->set.t3_deregistration_ms, &ag->set.quarantine_first_ms,
                            &ag->set.t5_hunt_ms,           &ag->set.t7_outdate_ms};
    for (size_t i = 0; i < sizeof(not_zero) / sizeof(not_zero[0]); i++) {
        *not_zero[i] = *not_zero[i] == 0 ? 1 : *not_zero[i];
    }
    if (ag->set.quarantine_max_ms < ag->set.quarantine_first_ms) {
        ag->set.quarantine_max_ms = ag->set.quarantine_first_ms;
    }
    if (ag->set.hunt_max_ms < ag->set.t5_hunt_ms) {
        ag->set.hunt_max_ms = ag->set.t5_hunt_ms;
    }
    ag_share(ag);
}

void ag_send_tx(struct ag *ag, uint64_t assoc)
{
    uint8_t octets[SEND_MAX];
    int len = asap_encode(&ag->tx, octets, sizeof(octets));
    if (len > 0) {
        outbox_send(ag->out, assoc, octets, (size_t)len);
    }
}

/* --- associations ------------------------------------------------------------------------------
 */

static struct ag_peer *accepted_find(struct ag *ag, uint64_t assoc)
{
    for (int i = 0; i < AG_ACCEPTED_MAX; i++) {
        if (assoc != 0 && ag->accepted[i].assoc == assoc) {
            return &ag->accepted[i];
        }
    }
    return NULL;
}

/* A free place, or that of the association unused for longest, which is closed. */
static struct ag_peer *accepted_place(struct ag *ag)
{
    struct ag_peer *oldest = &ag->accepted[0];
    for (int i = 0; i < AG_ACCEPTED_MAX; i++) {
        if (ag->accepted[i].assoc == 0) {
            return &ag->accepted[i];
        }
        if (tm_before(ag->accepted[i].last_used, oldest->last_used)) {
            oldest = &ag->accepted[i];
        }
    }
    outbox_disconnect(ag->out, oldest->assoc, true);
    return oldest;
}

void ag_assoc_source(struct ag *ag, uint64_t assoc, const struct ip_address *source)
{
    ag->source_assoc = assoc;
    ag->source = ip_address_unmap(*source);
}

struct ip_address ag_source_of(const struct ag *ag, uint64_t assoc)
{
    return assoc == ag->source_assoc ? ag->source : (struct ip_address){0};
}

void ag_assoc_up(struct ag *ag, uint64_t assoc, const struct ip_address *peers, size_t count,
                 uint16_t port, struct tm_us now)
{
    if (assoc == 0 || assoc == ag->home.assoc || accepted_find(ag, assoc) != NULL ||
        ag_hunt_up(ag, assoc, peers, count, port, now)) {
        return;
    }
    if (assoc >= AG_ASSOC_FIRST) {
        outbox_disconnect(ag->out, assoc, false); /* a try that was given up meanwhile */
        return;
    }
    struct ag_peer *peer = accepted_place(ag);
    *peer = (struct ag_peer){.assoc = assoc,
                             .port = port,
                             .source = ag_source_of(ag, assoc),
                             .since = now,
                             .last_used = now};
    for (size_t i = 0; i < count && peer->address_count < AG_ADDRESSES_MAX; i++) {
        peer->addresses[peer->address_count++] = ip_address_unmap(peers[i]);
    }
}

void ag_assoc_down(struct ag *ag, uint64_t assoc, struct tm_us now)
{
    if (assoc == 0 || ag_hunt_down(ag, assoc, now)) {
        return;
    }
    if (assoc == ag->home.assoc) {
        ag_home_lost(ag, false, "the association ended", now);
        return;
    }
    struct ag_peer *peer = accepted_find(ag, assoc);
    if (peer != NULL) {
        peer->assoc = 0;
    }
}

/* --- messages ----------------------------------------------------------------------------------
 */

/* Never in answer to an ERROR; one for all causes (asap.md §8). */
static void send_error(struct ag *ag, uint64_t assoc, const struct wire_report *report)
{
    if (ag->rx.type == ASAP_ERROR || report->cause_count == 0) {
        return;
    }
    asap_message_init(&ag->tx, ASAP_ERROR);
    ag->tx.cause_count = report->cause_count;
    memcpy(ag->tx.causes, report->causes, sizeof(report->causes));
    ag_send_tx(ag, assoc);
}

/* From the home registrar. */
static void from_home(struct ag *ag, struct asap_message *msg, struct tm_us now)
{
    switch (msg->type) {
    case ASAP_REGISTRATION_RESPONSE:
    case ASAP_DEREGISTRATION_RESPONSE:
        ag_pe_response(ag, msg, now);
        break;
    case ASAP_HANDLE_RESOLUTION_RESPONSE:
        if (msg->has_handle) {
            ag_resolution_response(ag, msg, now);
        }
        break;
    default:
        break; /* ERROR included: T1, T2 and T3 take care of the request it may belong to */
    }
}

void ag_message(struct ag *ag, uint64_t assoc, const uint8_t *octets, size_t len, struct tm_us now)
{
    struct wire_report report = {0};
    struct ag_peer *peer = assoc == ag->home.assoc ? &ag->home : accepted_find(ag, assoc);
    if (assoc == 0 || peer == NULL) {
        return;
    }
    peer->last_used = now;
    enum wire_verdict verdict = asap_decode(octets, len, &ag->rx, &report);
    if (verdict == WIRE_DISCARD) {
        return;
    }
    if (verdict == WIRE_INVALID && ag->rx.type != ASAP_ENDPOINT_KEEP_ALIVE) {
        return; /* a response: its request's timer takes care; ERRORs only where they help */
    }
    send_error(ag, assoc, &report);
    if (verdict != WIRE_OK) {
        return;
    }
    if (ag->rx.type == ASAP_ENDPOINT_KEEP_ALIVE) {
        ag_keep_alive(ag, assoc, &ag->rx, now);
    } else if (assoc == ag->home.assoc) {
        from_home(ag, &ag->rx, now);
    }
}

/* --- timers ------------------------------------------------------------------------------------
 */

struct tm_us ag_next_timer(const struct ag *ag)
{
    return ag_timers_next(&ag->timers);
}

static void pe_timer(struct ag *ag, struct ag_timer *timer, enum ag_pe_event ev, struct tm_us now)
{
    struct ag_local *local = AG_SUBOBJECT(timer, struct ag_local, timer);
    ag->out->cause = local->pe.cause;
    ag_pe_fsm(ag, local, ev, now);
}

static void run_timer(struct ag *ag, struct ag_timer *timer, struct tm_us now)
{
    switch (timer->kind) {
    case AG_TIMER_T1:
        ag_resolution_t1(ag, AG_SUBOBJECT(timer, struct ag_pool, t1), now);
        break;
    case AG_TIMER_STALE:
        ag_resolution_stale(ag, AG_SUBOBJECT(timer, struct ag_pool, stale), now);
        break;
    case AG_TIMER_T2:
        pe_timer(ag, timer, AG_EV_T2, now);
        break;
    case AG_TIMER_T3:
        pe_timer(ag, timer, AG_EV_T3, now);
        break;
    case AG_TIMER_T4:
        pe_timer(ag, timer, AG_EV_T4, now);
        break;
    case AG_TIMER_T5:
        ag_hunt_timer(ag, now);
        break;
    case AG_TIMER_T7:
        ag_registrar_expire(ag, AG_SUBOBJECT(timer, struct ag_registrar, timer), now);
        break;
    case AG_TIMER_PROBE:
        ag_suspect_probe(ag, AG_SUBOBJECT(timer, struct ag_suspect, timer), now);
        break;
    }
}

void ag_timer(struct ag *ag, struct tm_us now)
{
    struct ag_timer *timer;
    uint64_t before = ag->out->cause;
    while ((timer = ag_timers_take_due(&ag->timers, now)) != NULL) {
        ag->out->cause = 0;
        run_timer(ag, timer, now);
    }
    ag->out->cause = before;
}
