/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * PEs that failed towards this host (decisions.md "Life of a local PE"; RFC 5352 §3.5).
 *
 * A report drops the PE from the cache, tells the registrar (one report per PE and report_rate_ms,
 * ten a second in all) and puts the PE in quarantine: it is tried after 1, 2, 4 … 30 s
 * (ACTION_TRY_PE) and comes back when it answers or registers again. In the cache the latter shows
 * as being absent from one answer of the registrar and present in a later one.
 */
#include "rspd/agent/ag_internal.h"

#include <stdlib.h>
#include <string.h>

#define TRIES_UNKNOWN 20 /* a PE nobody has told of any more is forgotten after so many tries */

struct ag_suspect *ag_suspect_find(const struct ag *ag, struct pool_handle handle, uint32_t pe_id)
{
    struct ag_suspect *s = ag->suspect_buckets[ag_hash(ag, handle, pe_id) % AG_BUCKETS];
    while (s != NULL && (s->pe_id != pe_id || !pool_handle_equal(s->handle, handle))) {
        s = s->hash_next;
    }
    return s;
}

static void unlist(struct ag *ag, struct ag_suspect *s)
{
    *(s->older != NULL ? &s->older->newer : &ag->oldest_suspect) = s->newer;
    *(s->newer != NULL ? &s->newer->older : &ag->newest_suspect) = s->older;
    s->older = NULL;
    s->newer = NULL;
}

static void list_newest(struct ag *ag, struct ag_suspect *s)
{
    s->older = ag->newest_suspect;
    *(ag->newest_suspect != NULL ? &ag->newest_suspect->newer : &ag->oldest_suspect) = s;
    ag->newest_suspect = s;
}

static void suspect_free(struct ag *ag, struct ag_suspect *s)
{
    struct ag_suspect **at = &ag->suspect_buckets[ag_hash(ag, s->handle, s->pe_id) % AG_BUCKETS];
    while (*at != s) {
        at = &(*at)->hash_next;
    }
    *at = s->hash_next;
    ag_mark_remove(ag, s->mark);
    unlist(ag, s);
    ag_timer_stop(&ag->timers, &s->timer);
    ag_timers_release(&ag->timers, 1);
    ag->suspect_count--;
    free(s);
}

static struct ag_suspect *suspect_new(struct ag *ag, struct pool_handle handle, uint32_t pe_id,
                                      struct tm_us now)
{
    if (ag->suspect_count >= AG_QUARANTINE_MAX) {
        suspect_free(ag, ag->oldest_suspect);
    }
    struct ag_suspect *s = calloc(1, sizeof(*s) + handle.len);
    struct ag_mark *mark = s != NULL ? ag_mark_new(AG_MARK_SUSPECT, handle, pe_id, NULL) : NULL;
    if (mark == NULL || ag_timers_reserve(&ag->timers, 1) < 0) {
        free(s);
        free(mark);
        return NULL;
    }
    s->mark = mark;
    ag_mark_at(mark, now);
    ag_mark_add(ag, mark);
    if (handle.len > 0) {
        memcpy(s->octets, handle.octets, handle.len);
    }
    s->handle = (struct pool_handle){.octets = s->octets, .len = handle.len};
    s->pe_id = pe_id;
    s->interval_ms = ag->set.quarantine_first_ms;
    struct ag_suspect **bucket = &ag->suspect_buckets[ag_hash(ag, handle, pe_id) % AG_BUCKETS];
    s->hash_next = *bucket;
    *bucket = s;
    list_newest(ag, s);
    ag->suspect_count++;
    return s;
}

void ag_suspects_free(struct ag *ag)
{
    while (ag->oldest_suspect != NULL) {
        suspect_free(ag, ag->oldest_suspect);
    }
}

void ag_suspect_release(struct ag *ag, struct ag_suspect *suspect, const char *why)
{
    (void)outbox_event(ag->out, EVENT_PE_RELEASED, suspect->handle, suspect->pe_id, 0,
                       "used again: %s", why);
    suspect_free(ag, suspect);
}

/* Where to try it; what was known stays when the PE is not known any more. */
static bool learn(struct ag *ag, struct ag_suspect *s)
{
    struct hs *hs = ag->local_hs != NULL ? ag->local_hs : ag->cache;
    const struct ag_local *own = ag_local_find(ag, s->pe_id);
    if (own != NULL && !pool_handle_equal(own->pe.handle, s->handle)) {
        own = NULL;
    }
    if (own != NULL) {
        s->protocol = own->pe.protocol;
        s->port = own->pe.port;
        s->address_count = ag_own_addresses(&ag->view, &own->pe, 0, s->addresses);
        return true;
    }
    if (hs == NULL) {
        return false;
    }
    hs_read_begin();
    const struct hs_element *e = hs_find(hs, s->handle, s->pe_id);
    bool known = e != NULL;
    if (known) {
        struct transport user = hs_user(e);
        s->protocol = user.protocol;
        s->port = user.port;
        s->address_count =
            ag_contact_addresses(&ag->view, user.addresses, user.address_count, 0, s->addresses);
    }
    hs_read_end();
    return known;
}

static void set_trial(struct ag_suspect *s, bool trial)
{
    s->trial = trial;
    ag_mark_set(s->mark, AG_MARK_TRIAL, trial);
}

static void next_try(struct ag *ag, struct ag_suspect *s, struct tm_us now)
{
    ag_timer_set(&ag->timers, &s->timer, AG_TIMER_PROBE, tm_add_ms(now, s->interval_ms));
    s->interval_ms = s->interval_ms > ag->set.quarantine_max_ms / 2 ? ag->set.quarantine_max_ms
                                                                    : s->interval_ms * 2;
}

void ag_suspect_probe(struct ag *ag, struct ag_suspect *suspect, struct tm_us now)
{
    bool known = learn(ag, suspect);
    suspect->tries++;
    if (!known && (ag->local_hs != NULL || suspect->tries > TRIES_UNKNOWN)) {
        suspect_free(ag, suspect); /* gone from the scope: nothing to come back */
        return;
    }
    if (suspect->trial) {
        ag_suspect_release(ag, suspect, "it did not fail again");
        return;
    }
    set_trial(suspect, suspect->protocol != TRANSPORT_TCP && suspect->protocol != TRANSPORT_NONE);
    if (suspect->address_count > 0 && !suspect->trial) {
        struct action *action = outbox_add(ag->out, ACTION_TRY_PE);
        if (action != NULL) {
            action->pe_id = suspect->pe_id;
            action->protocol = suspect->protocol;
            action->port = suspect->port;
            action->address_count = suspect->address_count;
            memcpy(action->addresses, suspect->addresses, sizeof(action->addresses));
        }
    }
    next_try(ag, suspect, now);
}

void ag_tried(struct ag *ag, uint32_t pe_id, bool reachable, struct tm_us now)
{
    struct ag_suspect *next;
    (void)now; /* the next try is set already */
    for (struct ag_suspect *s = ag->oldest_suspect; s != NULL && reachable; s = next) {
        next = s->newer;
        if (s->pe_id == pe_id) {
            ag_suspect_release(ag, s, "it answers");
        }
    }
}

bool ag_quarantined(const struct ag *ag, struct pool_handle handle, uint32_t pe_id)
{
    const struct ag_suspect *s = ag_suspect_find(ag, handle, pe_id);
    return s != NULL && !s->trial;
}

void ag_suspects_answer(struct ag *ag, const struct asap_message *msg)
{
    struct ag_suspect *next;
    for (struct ag_suspect *s = ag->oldest_suspect; s != NULL; s = next) {
        next = s->newer;
        if (!pool_handle_equal(s->handle, msg->handle)) {
            continue;
        }
        bool present = false;
        for (uint16_t i = 0; i < msg->element_count && !present; i++) {
            present = msg->elements[i].pe_id == s->pe_id;
        }
        if (present && s->absent) {
            ag_suspect_release(ag, s, "it has registered again");
        } else {
            s->absent = !present;
        }
    }
}

/* --- reports -----------------------------------------------------------------------------------
 */

static void send_report(struct ag *ag, struct pool_handle handle, uint32_t pe_id,
                        struct ag_suspect *s, struct tm_us now)
{
    if (ag->home.assoc == 0 ||
        (s != NULL && s->reported && tm_diff_ms(now, s->reported_at) < ag->set.report_rate_ms) ||
        !ag_bucket_take(&ag->reports, AG_REPORTS_PER_S, AG_REPORTS_BURST, now)) {
        return;
    }
    if (s != NULL) {
        s->reported = true;
        s->reported_at = now;
    }
    asap_message_init(&ag->tx, ASAP_ENDPOINT_UNREACHABLE);
    ag->tx.has_handle = true;
    ag->tx.handle = handle;
    ag->tx.has_pe_id = true;
    ag->tx.pe_id = pe_id;
    ag_send_tx(ag, ag->home.assoc);
}

static void drop_from_cache(struct ag *ag, struct pool_handle handle, uint32_t pe_id)
{
    const struct ag_local *own = ag_local_find(ag, pe_id);
    if (ag->local_hs == NULL && ag->cache != NULL &&
        (own == NULL || !pool_handle_equal(own->pe.handle, handle))) {
        (void)hs_deregister(ag->cache, handle, pe_id);
    }
}

static const char *error_name(int error)
{
    const char *name = strerrorname_np(error < 0 ? -error : error);
    return name != NULL && error != 0 ? name : "no reason given";
}

void ag_report(struct ag *ag, struct pool_handle handle, uint32_t pe_id, int error,
               struct tm_us now)
{
    if (handle.len == 0 || handle.len > POOL_HANDLE_MAX || pe_id == 0) {
        return;
    }
    struct ag_suspect *s = ag_suspect_find(ag, handle, pe_id);
    uint64_t before = ag->out->cause;
    bool again = s != NULL && !s->trial;
    if (!again) {
        ag->out->cause =
            outbox_event(ag->out, EVENT_PE_UNREACHABLE, handle, pe_id, ag->home.id,
                         "a program of this host could not reach it: %s", error_name(error));
        s = s != NULL ? s : suspect_new(ag, handle, pe_id, now);
    }
    if (s != NULL) {
        (void)learn(ag, s);
        s->failed_at = now;
        ag_mark_at(s->mark, now);
        set_trial(s, false);
        unlist(ag, s);
        list_newest(ag, s);
    }
    if (s != NULL && !again) {
        next_try(ag, s, now);
        (void)outbox_event(ag->out, EVENT_PE_QUARANTINED, handle, pe_id, 0,
                           "not used from this host until it answers again");
    }
    drop_from_cache(ag, handle, pe_id);
    send_report(ag, handle, pe_id, s, now);
    ag->out->cause = before;
}
