/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Server hunt (RFC 5352 §3.6 SH1-SH6; asap.md §5.7) and the home registrar.
 *
 * A hunt tries up to three registrars at a time, those not tried for longest first; the first
 * association that comes up makes its registrar the home and ends the hunt. A try that fails makes
 * room for the next one of the same round (SH4). When T5 ends a round it is doubled and a new
 * round begins. An announce is worth a try at once when nothing is under way. A parallel hunt
 * (RFC 5352 §3.7.2) keeps the home while it runs, with one try fewer, so that there are never more
 * than three associations.
 */
#include "rspd/agent/ag_internal.h"

#include <string.h>

#define RETRY_MS 1000 /* one registrar, heard again while nothing else is tried */

bool ag_home_is_local(const struct ag *ag)
{
    return ag->home.assoc == LOCAL_ASSOC;
}

bool ag_home_on_host(const struct ag *ag)
{
    if (ag_home_is_local(ag)) {
        return true;
    }
    for (uint8_t i = 0; ag->home.assoc != 0 && i < ag->home.address_count; i++) {
        if (ip_address_scope(&ag->home.addresses[i]) == IP_SCOPE_LOOPBACK) {
            return true;
        }
    }
    return false;
}

bool ag_has_home(const struct ag *ag)
{
    return ag->home.assoc != 0;
}

/* --- tries -------------------------------------------------------------------------------------
 */

static uint32_t attempts_running(const struct ag *ag)
{
    uint32_t n = 0;
    for (int i = 0; i < AG_HUNT_PARALLEL; i++) {
        n += ag->hunt.attempts[i].assoc != 0 ? 1 : 0;
    }
    return n;
}

static bool being_tried(const struct ag *ag, uint32_t slot)
{
    for (int i = 0; i < AG_HUNT_PARALLEL; i++) {
        const struct ag_attempt *a = &ag->hunt.attempts[i];
        if (a->assoc != 0 && a->registrar == slot && a->generation == ag->generations[slot]) {
            return true;
        }
    }
    return false;
}

static bool at_home(const struct ag *ag, const struct ag_registrar *r)
{
    if (ag->home.assoc == 0) {
        return false;
    }
    if (ag->home.id != 0 && r->id != 0) {
        return ag->home.id == r->id;
    }
    return r->port == ag->home.port && ip_address_equal(&r->addresses[0], &ag->home.addresses[0]);
}

/* Whom to try next in this round: longest untried first, ties at random. */
static struct ag_registrar *candidate(struct ag *ag)
{
    struct ag_registrar *best = NULL;
    uint32_t start = (uint32_t)rnd_below(&ag->rnd, AG_REGISTRARS_MAX);
    for (uint32_t k = 0; k < AG_REGISTRARS_MAX; k++) {
        uint32_t slot = (start + k) % AG_REGISTRARS_MAX;
        struct ag_registrar *r = &ag->registrars[slot];
        if (r->used && r->round != ag->hunt.round && !being_tried(ag, slot) && !at_home(ag, r) &&
            (best == NULL || r->tried < best->tried)) {
            best = r;
        }
    }
    return best;
}

static void try_registrar(struct ag *ag, struct ag_attempt *attempt, struct ag_registrar *r,
                          struct tm_us now)
{
    uint32_t slot = (uint32_t)(r - ag->registrars);
    r->round = ag->hunt.round;
    r->tried = ++ag->next_try;
    r->tried_at = now;
    struct action *action = outbox_add(ag->out, ACTION_CONNECT);
    if (action == NULL) {
        return; /* T5 begins another round */
    }
    *attempt = (struct ag_attempt){.assoc = AG_ASSOC_FIRST + ++ag->next_assoc,
                                   .registrar = slot,
                                   .generation = ag->generations[slot]};
    action->assoc = attempt->assoc;
    action->port = r->use_other && r->other_port != 0 ? r->other_port : r->port;
    action->registrar_id = r->id;
    action->address_count = r->address_count;
    memcpy(action->addresses, r->addresses, sizeof(action->addresses));
}

/* Fills the free places (SH1). */
static void fill(struct ag *ag, struct tm_us now)
{
    uint32_t limit = ag->hunt.parallel ? AG_HUNT_PARALLEL - 1 : AG_HUNT_PARALLEL;
    for (int i = 0; i < AG_HUNT_PARALLEL && attempts_running(ag) < limit; i++) {
        struct ag_attempt *attempt = &ag->hunt.attempts[i];
        if (attempt->assoc != 0) {
            continue;
        }
        struct ag_registrar *r = candidate(ag);
        if (r == NULL) {
            return;
        }
        try_registrar(ag, attempt, r, now);
    }
}

static bool any_registrar(const struct ag *ag)
{
    for (uint32_t i = 0; i < AG_REGISTRARS_MAX; i++) {
        if (ag->registrars[i].used) {
            return true;
        }
    }
    return false;
}

static void give_up_attempts(struct ag *ag)
{
    for (int i = 0; i < AG_HUNT_PARALLEL; i++) {
        if (ag->hunt.attempts[i].assoc != 0) {
            outbox_disconnect(ag->out, ag->hunt.attempts[i].assoc, true);
            ag->hunt.attempts[i].assoc = 0;
        }
    }
}

/* T5 runs while there is anybody to try (SH2). */
static void run_t5(struct ag *ag, struct tm_us now)
{
    if (ag->hunt.timer.place == 0 && any_registrar(ag)) {
        ag_timer_set(&ag->timers, &ag->hunt.timer, AG_TIMER_T5, tm_add_ms(now, ag->hunt.t5_ms));
    }
}

void ag_hunt_start(struct ag *ag, bool parallel, struct tm_us now)
{
    if (ag->hunt.running) {
        ag->hunt.parallel = ag->hunt.parallel && parallel;
    } else {
        ag->hunt.running = true;
        ag->hunt.parallel = parallel;
        ag->hunt.since = now;
        ag->hunt.round++;
        ag->hunt.t5_ms = ag->set.t5_hunt_ms;
    }
    fill(ag, now);
    run_t5(ag, now);
}

void ag_hunt_stop(struct ag *ag)
{
    ag->hunt.running = false;
    ag->hunt.parallel = false;
    ag_timer_stop(&ag->timers, &ag->hunt.timer);
    give_up_attempts(ag);
}

void ag_hunt_heard(struct ag *ag, struct ag_registrar *registrar, struct tm_us now)
{
    if (!ag->hunt.running || being_tried(ag, (uint32_t)(registrar - ag->registrars))) {
        return;
    }
    if (registrar->round == ag->hunt.round && attempts_running(ag) == 0 &&
        tm_diff_ms(now, registrar->tried_at) >= RETRY_MS) {
        registrar->round = ag->hunt.round - 1;
    }
    fill(ag, now);
    run_t5(ag, now);
}

void ag_hunt_timer(struct ag *ag, struct tm_us now)
{
    if (!ag->hunt.running) {
        return;
    }
    give_up_attempts(ag);
    if (ag->hunt.parallel) {
        ag_hunt_stop(ag); /* the next time-out of a request starts another */
        return;
    }
    ag->hunt.round++;
    ag->hunt.t5_ms =
        ag->hunt.t5_ms > ag->set.hunt_max_ms / 2 ? ag->set.hunt_max_ms : ag->hunt.t5_ms * 2;
    fill(ag, now);
    run_t5(ag, now);
}

static struct ag_attempt *attempt_of(struct ag *ag, uint64_t assoc)
{
    for (int i = 0; i < AG_HUNT_PARALLEL; i++) {
        if (assoc != 0 && ag->hunt.attempts[i].assoc == assoc) {
            return &ag->hunt.attempts[i];
        }
    }
    return NULL;
}

bool ag_hunt_up(struct ag *ag, uint64_t assoc, const struct ip_address *peers, size_t count,
                uint16_t port, struct tm_us now)
{
    struct ag_attempt *attempt = attempt_of(ag, assoc);
    if (attempt == NULL) {
        return false;
    }
    const struct ag_registrar *r = &ag->registrars[attempt->registrar];
    struct ag_peer peer = {.assoc = assoc,
                           .port = port,
                           .source = ag_source_of(ag, assoc),
                           .since = now,
                           .last_used = now};
    if (ag->generations[attempt->registrar] == attempt->generation && r->used) {
        peer.id = r->id;
        peer.address_count = r->address_count;
        memcpy(peer.addresses, r->addresses, sizeof(peer.addresses));
    }
    if (count > 0) {
        peer.address_count = 0;
        for (size_t i = 0; i < count && peer.address_count < AG_ADDRESSES_MAX; i++) {
            peer.addresses[peer.address_count++] = ip_address_unmap(peers[i]);
        }
    }
    attempt->assoc = 0; /* or it would be closed with the others */
    ag_home_set(ag, &peer, "found by hunting", now);
    return true;
}

/*
 * An association that the registrar has opened to us, to ask for an element perhaps that was here
 * before we were: between the same ports there is no second one, so this one has to do.
 */
static struct ag_peer *opened_by(struct ag *ag, const struct ag_registrar *r)
{
    for (int i = 0; i < AG_ACCEPTED_MAX; i++) {
        struct ag_peer *peer = &ag->accepted[i];
        for (uint8_t k = 0; k < r->address_count && peer->assoc != 0; k++) {
            if ((peer->port == r->port || peer->port == r->other_port) &&
                ip_address_equal(&peer->addresses[0], &r->addresses[k])) {
                return peer;
            }
        }
    }
    return NULL;
}

bool ag_hunt_down(struct ag *ag, uint64_t assoc, struct tm_us now)
{
    struct ag_attempt *attempt = attempt_of(ag, assoc);
    if (attempt == NULL) {
        return false;
    }
    struct ag_registrar *r = &ag->registrars[attempt->registrar];
    bool known = ag->generations[attempt->registrar] == attempt->generation && r->used;
    struct ag_peer *opened = known ? opened_by(ag, r) : NULL;
    attempt->assoc = 0;
    if (opened != NULL) {
        struct ag_peer peer = *opened;
        peer.id = r->id;
        ag_home_set(ag, &peer, "it has an association with this host", now);
        return true;
    }
    if (known && r->other_port != 0) {
        r->use_other = !r->use_other;
        if (r->use_other) {
            try_registrar(ag, attempt, r, now); /* SH4: another transport address */
            return true;
        }
    }
    fill(ag, now);
    return true;
}

/* --- the home ------------------------------------------------------------------------------------
 */

/* What is no longer home or hunted for is closed; adopted associations leave the accepted list. */
static void forget_accepted(struct ag *ag, uint64_t assoc)
{
    for (int i = 0; i < AG_ACCEPTED_MAX; i++) {
        if (ag->accepted[i].assoc == assoc) {
            ag->accepted[i].assoc = 0;
        }
    }
}

void ag_home_set(struct ag *ag, const struct ag_peer *peer, const char *why, struct tm_us now)
{
    struct ag_peer old = ag->home;
    ag_hunt_stop(ag);
    ag->home = *peer;
    ag->home.since = now;
    ag->home.last_used = now;
    ag_share(ag);
    forget_accepted(ag, peer->assoc);
    if (old.assoc != 0 && old.assoc != LOCAL_ASSOC && old.assoc != peer->assoc) {
        outbox_disconnect(ag->out, old.assoc, false);
    }
    (void)outbox_event(ag->out, EVENT_HOME_CHANGED, (struct pool_handle){0}, 0, peer->id,
                       "home registrar is %08x now: %s", peer->id, why);
    ag_pes_event(ag, AG_EV_HOME, now);
    ag_resolution_home(ag, now);
}

/* It was just used and lost: everybody else comes first, and it is not tried in a tight loop. */
static void put_last(struct ag *ag, const struct ag_peer *lost, struct tm_us now)
{
    struct ag_registrar *r =
        ag_registrar_find(ag, lost->id, lost->addresses, lost->address_count, lost->port);
    if (r == NULL) {
        return;
    }
    r->tried = ++ag->next_try;
    r->tried_at = now;
    if (tm_diff_ms(now, lost->since) < AG_FLAP_MS) {
        r->round = ag->hunt.running ? ag->hunt.round : ag->hunt.round + 1; /* of the hunt now */
    }
}

void ag_home_lost(struct ag *ag, bool disconnect, const char *why, struct tm_us now)
{
    struct ag_peer lost = ag->home;
    if (lost.assoc == 0) {
        return;
    }
    if (disconnect && lost.assoc != LOCAL_ASSOC) {
        outbox_disconnect(ag->out, lost.assoc, true);
    }
    ag->home = (struct ag_peer){0};
    ag_share(ag);
    (void)outbox_event(ag->out, EVENT_REGISTRAR_LOST, (struct pool_handle){0}, 0, lost.id,
                       "home registrar %08x is gone: %s", lost.id, why);
    put_last(ag, &lost, now);
    ag_pes_event(ag, AG_EV_HOME_LOST, now);
    ag_resolution_home_lost(ag, now);
    ag_hunt_start(ag, false, now);
}

void ag_local_registrar(struct ag *ag, uint32_t id, struct hs *hs, struct tm_us now)
{
    if (hs != NULL && hs == ag->local_hs && ag_home_is_local(ag)) {
        return; /* known already */
    }
    bool gone = hs == NULL && ag->local_hs != NULL;
    ag->local_hs = hs;
    ag->local_id = hs != NULL ? id : 0;
    ag_share(ag);
    if (gone) {
        urcu_bp_synchronize_rcu(); /* the caller may free the earlier one now */
    }
    if (hs != NULL) {
        struct ag_peer peer = {.assoc = LOCAL_ASSOC, .id = id};
        ag_pools_flush(ag);
        ag_home_set(ag, &peer, "this process is registrar", now);
    } else if (ag_home_is_local(ag)) {
        ag_home_lost(ag, false, "this process is registrar no longer", now);
    }
}
