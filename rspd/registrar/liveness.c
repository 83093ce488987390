/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The watch over PEs: keep-alives, their answers, and reports of unreachable ones (RFC 5352 §3.4,
 * 3.5; asap.md §5.6, 5.9). States: enum rg_pe_state.
 */
#include "rspd/registrar/rg_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORTERS_FIRST 4 /* room for so many at first */

static void note_asked(struct rg_pe *pe, struct tm_us now)
{
    pe->asked_us = (uint64_t)now.us;
}

static struct tm_us asked(const struct rg_pe *pe)
{
    return (struct tm_us){(int64_t)pe->asked_us};
}

/* The only place that assigns the state; sets the timer that belongs to it. */
static void set_state(struct rg *rg, struct rg_pe *pe, enum rg_pe_state state, struct tm_us now)
{
    struct tm_us at = TM_NEVER;
    if (state == RG_PE_WAIT) {
        /* Spread, so that many PEs are not asked in one burst. */
        int64_t interval = rg->set.keep_alive_ms > 0 ? rg->set.keep_alive_ms : RG_ADOPT_MS;
        at = tm_add_ms(now, rnd_jitter(&rg->rnd, interval, 50));
    } else if (state == RG_PE_PENDING) {
        at = tm_add_ms(now, rg->set.keep_alive_timeout_ms);
    }
    pe->state = state;
    rg_timer_set(&rg->heap, &pe->timer, at);
}

/* The kernel tells this host about its own servers: asking them would tell nothing more. */
static void watch(struct rg *rg, struct rg_pe *pe, struct tm_us now)
{
    if (pe->foreign) {
        pe->state = RG_PE_WAIT;
        rg_timer_set(&rg->heap, &pe->timer, tm_add_ms(now, RG_REPORT_WINDOW_MS));
        return;
    }
    bool periodic = rg->set.keep_alive_ms > 0 && pe->assoc != LOCAL_ASSOC;
    set_state(rg, pe, periodic || pe->adopting ? RG_PE_WAIT : RG_PE_IDLE, now);
}

static void forget_reports(struct rg_pe *pe)
{
    struct rg_doubt *doubt = rg_pe_doubt(pe);
    if (doubt != NULL && doubt->disputes == 0) {
        rg_pe_clear_doubt(pe);
    } else if (doubt != NULL) {
        doubt->reporter_count = 0;
        doubt->report_event = 0;
    }
}

void rg_pe_registered(struct rg *rg, struct rg_pe *pe, uint64_t assoc, struct tm_us now)
{
    rg_principal_takes(pe, rg_assoc_find(rg, assoc));
    pe->assoc = assoc;
    pe->adopting = false;
    pe->disputed = false;
    pe->foreign = false;
    pe->registered = true;
    forget_reports(pe);
    watch(rg, pe, now);
}

void rg_pe_reschedule_all(struct rg *rg, struct tm_us now)
{
    for (size_t i = 0; i < rg->pes.size; i++) {
        for (struct rg_node *node = rg->pes.buckets[i]; node != NULL; node = node->next) {
            struct rg_pe *pe = rg_of(node, struct rg_pe);
            if (pe->state != RG_PE_PENDING) {
                watch(rg, pe, now);
            }
        }
    }
}

void rg_send_keep_alive(struct rg *rg, uint64_t assoc, struct pool_handle handle, uint32_t pe_id,
                        bool home)
{
    asap_message_init(&rg->tx, ASAP_ENDPOINT_KEEP_ALIVE);
    rg->tx.flags = home ? ASAP_FLAG : 0;
    rg->tx.has_server_id = true;
    rg->tx.server_id = rg->set.id;
    rg->tx.has_handle = true;
    rg->tx.handle = handle;
    rg->tx.has_pe_id = rg->set.keep_alive_pe_id; /* */
    rg->tx.pe_id = pe_id;
    rg_send(rg, assoc);
}

void rg_pe_ask(struct rg *rg, struct rg_pe *pe, bool by_report, struct tm_us now)
{
    if (pe->state == RG_PE_PENDING) {
        pe->by_report = pe->by_report || by_report;
        return;
    }
    if ((pe->adopting || pe->foreign) && rg_assoc_find(rg, pe->assoc) == NULL) {
        pe->assoc = rg_adopt_way(rg, pe);
    }
    if (pe->foreign && rg_assoc_find(rg, pe->assoc) == NULL) {
        watch(rg, pe, now); /* its home has to find out */
        return;
    }
    if (pe->assoc != LOCAL_ASSOC && rg_assoc_find(rg, pe->assoc) == NULL) {
        (void)rg_remove(rg, rg_pe_name(pe), rg_pe_id(pe), "its association is gone", now);
        return;
    }
    pe->by_report = by_report;
    note_asked(pe, now);
    set_state(rg, pe, RG_PE_PENDING, now);
    rg_send_keep_alive(rg, pe->assoc, rg_pe_name(pe), rg_pe_id(pe), pe->adopting);
}

void rg_pe_grace(struct rg *rg, struct rg_pe *pe, struct tm_us now)
{
    note_asked(pe, now);
    pe->state = RG_PE_PENDING;
    rg_timer_set(&rg->heap, &pe->timer, tm_add_ms(now, RG_GRACE_MS));
}

/*
 * One that had registered here and was asked with H, as another registrar claims it too: it stands
 * by us (had we not been its home it would register now), and the others shall know.
 */
static void confirmed(struct rg *rg, struct rg_pe *pe, struct tm_us now)
{
    hs_read_begin();
    const struct hs_element *element = hs_find(rg->hs, rg_pe_name(pe), rg_pe_id(pe));
    bool ours = element != NULL && element->home_id == rg->set.id;
    if (element != NULL && (pe->disputed || (ours && element->owner_ref != 0)) &&
        ((ours && element->owner_ref == pe->assoc) ||
         hs_set_home(rg->hs, rg_pe_name(pe), rg_pe_id(pe), rg->set.id, pe->assoc) == HS_UPDATED)) {
        pe->adopting = false;
        pe->disputed = false;
        rg_tell_registered(rg, rg_pe_name(pe), rg_pe_id(pe), now);
    }
    hs_read_end();
}

void rg_pe_dispute(struct rg *rg, struct rg_pe *pe, struct tm_us now)
{
    struct rg_doubt *doubt = rg_pe_doubt_with(pe, 0);
    if (doubt != NULL && tm_due(tm_add_ms(doubt->disputed_since, RG_DISPUTES_MS), now)) {
        doubt->disputes = 0;
        doubt->disputed_since = now;
    }
    if (doubt == NULL || !pe->registered || ++doubt->disputes > RG_DISPUTES_MAX ||
        pe->assoc == LOCAL_ASSOC || rg_assoc_find(rg, pe->assoc) == NULL) {
        rg_pe_drop(rg, pe);
        return;
    }
    forget_reports(pe);
    pe->disputed = true;
    note_asked(pe, now);
    set_state(rg, pe, RG_PE_PENDING, now);
    rg_send_keep_alive(rg, pe->assoc, rg_pe_name(pe), rg_pe_id(pe), true);
}

void rg_keep_alive_ack(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct rg_pe *pe = rg_pe_find(rg, rg->rx.handle, rg->rx.pe_id);
    /* Nobody else's word counts for a PE. */
    if (pe == NULL || pe->assoc != assoc->id || pe->state != RG_PE_PENDING) {
        return;
    }
    /* An answer to a report clears the PE, not sooner than one interval after it was accused. */
    const struct rg_doubt *doubt = rg_pe_doubt(pe);
    if (pe->by_report && doubt != NULL &&
        tm_due(tm_add_ms(doubt->first_report, rg->set.keep_alive_ms), now)) {
        forget_reports(pe);
    }
    pe->by_report = false;
    if (pe->adopting || pe->disputed) {
        confirmed(rg, pe, now);
    }
    if (pe->disputed) {
        rg_pe_drop(rg, pe); /* it has gone meanwhile */
        return;
    }
    watch(rg, pe, now);
}

/* No answer: it goes. The association too, if nothing at all came over it since it was asked. */
static void unanswered(struct rg *rg, struct rg_pe *pe, struct tm_us now)
{
    if (pe->disputed) {
        rg_pe_drop(rg, pe);
        return;
    }
    struct rg_assoc *assoc = rg_assoc_find(rg, pe->assoc);
    if (pe->foreign && assoc != NULL) {
        watch(rg, pe, now); /* it may have answered its home instead, as rsplib's do */
        return;
    }
    bool silent = assoc != NULL && !tm_before(asked(pe), assoc->last_heard);
    if (!rg_remove(rg, rg_pe_name(pe), rg_pe_id(pe), "it did not answer a keep-alive", now)) {
        rg_timer_set(&rg->heap, &pe->timer, tm_add_ms(now, RG_RETRY_MS));
        return;
    }
    if (silent) {
        rg_assoc_abort(rg, assoc, "its host did not answer a keep-alive", now);
    }
}

void rg_pe_due(struct rg *rg, struct rg_pe *pe, struct tm_us now)
{
    switch ((enum rg_pe_state)pe->state) {
    case RG_PE_IDLE:
        rg_timer_set(&rg->heap, &pe->timer, TM_NEVER);
        break;
    case RG_PE_WAIT:
        if (pe->foreign) {
            rg_pe_drop(rg, pe); /* the reports are old */
            break;
        }
        /* Out of memory for the removal of one without association: asked again later. */
        rg_timer_set(&rg->heap, &pe->timer, tm_add_ms(now, RG_RETRY_MS));
        rg_pe_ask(rg, pe, false, now);
        break;
    case RG_PE_PENDING:
        unanswered(rg, pe, now);
        break;
    }
}

/* --- reports -------------------------------------------------------------------------------------
 */

static void drop_old_reports(struct rg_doubt *doubt, struct tm_us now)
{
    uint8_t kept = 0;
    for (uint8_t i = 0; i < doubt->reporter_count; i++) {
        if (!tm_due(tm_add_ms(doubt->reporters[i].at, RG_REPORT_WINDOW_MS), now)) {
            doubt->reporters[kept++] = doubt->reporters[i];
        }
    }
    doubt->reporter_count = kept;
}

/* True when this principal has not reported the PE within the window; then it has its doubt. */
static bool note_reporter(struct rg_pe *pe, uint64_t principal, struct tm_us now)
{
    struct rg_doubt *doubt = rg_pe_doubt_with(pe, REPORTERS_FIRST);
    if (doubt == NULL) {
        return false;
    }
    drop_old_reports(doubt, now);
    for (uint8_t i = 0; i < doubt->reporter_count; i++) {
        if (doubt->reporters[i].principal == principal) {
            doubt->reporters[i].at = now;
            return false;
        }
    }
    if (doubt->reporter_count == doubt->reporter_size) {
        uint8_t size = (uint8_t)(doubt->reporter_size * 2);
        doubt = size <= RG_REPORTERS_MAX ? rg_pe_doubt_with(pe, size) : NULL;
        if (doubt == NULL) {
            return false;
        }
    }
    if (doubt->reporter_count == 0) {
        doubt->first_report = now;
    }
    doubt->reporters[doubt->reporter_count++] =
        (struct rg_reporter){.principal = principal, .at = now};
    return true;
}

/*
 * One that another registrar owns: asked like our own. If its host cannot be reached it leaves our
 * copy of the handlespace only; should its home still have it, the next audit brings it back.
 */
static struct rg_pe *foreign_record(struct rg *rg)
{
    bool fresh;
    hs_read_begin();
    const struct hs_element *element = hs_find(rg->hs, rg->rx.handle, rg->rx.pe_id);
    struct rg_pe *pe = NULL;
    if (element != NULL && element->home_id != 0 && element->home_id != rg->set.id) {
        pe = rg_pe_get(rg, *element->handle, element->pe_id, &fresh);
    }
    hs_read_end();
    if (pe != NULL) {
        pe->foreign = true;
    }
    return pe;
}

/*
 * Asks the PE at once. Expelled on hearsay only when more different hosts than
 * MAX-BAD-PE-REPORT say so within a minute: one alone cannot do it however often it reports.
 */
void rg_unreachable(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct rg_pe *pe = rg_pe_find(rg, rg->rx.handle, rg->rx.pe_id);
    pe = pe != NULL ? pe : foreign_record(rg);
    if (pe == NULL || pe->disputed) {
        return;
    }
    if (note_reporter(pe, rg_principal_key(rg, assoc), now) && rg_may_say(rg, now)) {
        char handle[POOL_HANDLE_TEXT_MAX];
        char peer[RG_ASSOC_TEXT_MAX];
        pe->doubt->report_event = outbox_event(
            rg->out, EVENT_PE_UNREACHABLE, rg->rx.handle, rg_pe_id(pe), rg->set.id,
            "PE 0x%08x of pool %s reported unreachable by %s (%u reporters): asking it",
            rg_pe_id(pe), pool_handle_format(rg->rx.handle, handle, sizeof(handle)),
            rg_assoc_text(assoc, peer, sizeof(peer)), pe->doubt->reporter_count);
    }
    if (rg_pe_doubt(pe) != NULL && rg_pe_doubt(pe)->reporter_count > rg->set.max_bad_pe_reports) {
        (void)rg_remove(rg, rg_pe_name(pe), rg_pe_id(pe), "too many hosts cannot reach it", now);
        return;
    }
    if (pe->foreign && pe->asked_us != 0 && !tm_due(tm_add_ms(asked(pe), RG_SUGGEST_MS), now)) {
        return; /* nobody shall be used to flood it (E-84) */
    }
    rg_pe_ask(rg, pe, true, now);
}
