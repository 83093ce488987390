/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handle tables (RFC 5353 §3.2.3, 3.6; enrp.md §5.3, 5.4, 8): downloads by others, our own of the
 * mentor's whole table, and the resynchronisation with a peer whose checksum is not what we make of
 * its elements.
 *
 * What a resynchronisation does not mention is old: each entry refreshes its element, so at the end
 * those of the peer that were last refreshed before its start are gone.
 */
#include "rspd/registrar/enrp_internal.h"

/* --- downloads by others ---------------------------------------------------------------------- */

static uint32_t open_sessions(const struct enrp *en)
{
    uint32_t n = 0;
    for (int i = 0; i < en->top; i++) {
        n += en->peers[i].used && en->peers[i].session.open ? 1 : 0;
    }
    return n;
}

static const struct hs_element *next_element(struct enrp *en, struct en_session *session)
{
    const struct hs_element *element;
    if (session->own_only) {
        return hs_home_next(en->hs, en->set.id, &session->cursor);
    }
    do {
        element = hs_element_next(en->hs, &session->cursor);
    } while (element != NULL && element->home_id == 0);
    return element;
}

/* The next part; true: more remain. Inside a read section. */
static bool fill(struct enrp *en, struct en_session *session)
{
    size_t octets = 12;
    static const size_t most = ENRP_MESSAGE_MAX - 3;
    struct hs_cursor before = session->cursor;
    const struct hs_element *element;
    while ((element = next_element(en, session)) != NULL) {
        struct enrp_entry *entry = &en->tx.entries[en->tx.entry_count];
        if (en->tx.entry_count == en->set.table_elements) {
            session->cursor = before;
            return true;
        }
        en_entry_of(en, element, entry);
        size_t size = enrp_entry_size(entry);
        bool first = en->tx.entry_count == 0;
        if (octets + size > (first ? most : en->set.table_octets)) {
            session->cursor = before;
            return true;
        }
        if (size > 0) { /* what cannot be written is left out */
            octets += size;
            en->tx.entry_count++;
        }
        before = session->cursor;
    }
    return false;
}

void en_table_request(struct enrp *en, int slot, uint64_t assoc, struct tm_us now)
{
    struct en_session *session = &en->peers[slot].session;
    bool own_only = (en->rx.flags & ENRP_TABLE_OWN_ONLY) != 0;
    en_begin(en, ENRP_HANDLE_TABLE_RESPONSE, en->peers[slot].id);
    if (!en_serving(en) || (!session->open && open_sessions(en) >= EN_SESSIONS_MAX)) {
        en->tx.flags = ENRP_RESPONSE_REJECT; /* E-33, E-92 */
        en_send_on(en, assoc);
        return;
    }
    if (!session->open || session->own_only != own_only) {
        *session = (struct en_session){.open = true, .own_only = own_only};
    }
    hs_read_begin();
    bool more = fill(en, session);
    en->tx.flags = more ? ENRP_TABLE_MORE : 0; /* E-27 */
    en_send_on(en, assoc);
    hs_read_end();
    session->open = more;
    session->until = tm_add_ms(now, en->set.session_ms); /* E-36 */
}

/* --- our downloads ---------------------------------------------------------------------------- */

void en_table_ask(struct enrp *en, int slot, bool own_only)
{
    en_begin(en, ENRP_HANDLE_TABLE_REQUEST, en->peers[slot].id);
    en->tx.flags = own_only ? ENRP_TABLE_OWN_ONLY : 0;
    en_send(en, slot);
}

static void ask_own(struct enrp *en, int slot, struct tm_us now)
{
    en->peers[slot].sync.timer = tm_add_ms(now, en->set.no_response_ms);
    en_table_ask(en, slot, true); /* E-74 */
}

void en_sync_abort(struct enrp *en, int slot)
{
    struct en_sync *sync = &en->peers[slot].sync;
    sync->unclean = sync->unclean || sync->running;
    sync->running = false;
}

/* What was not mentioned goes, silently (E-77). */
static void sweep(struct enrp *en, int slot, struct tm_us now)
{
    const struct en_peer *peer = &en->peers[slot];
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    hs_read_begin();
    while ((element = hs_home_next(en->hs, peer->id, &cursor)) != NULL) {
        if (tm_before(element->registered, peer->sync.since)) {
            en_drop(en, element, now);
        }
    }
    hs_read_end();
}

static void import_all(struct enrp *en, int slot, enum en_source source, struct tm_us now)
{
    for (uint16_t i = 0; i < en->rx.entry_count; i++) {
        en_import(en, slot, &en->rx.entries[i], source, now);
    }
}

static void sync_response(struct enrp *en, int slot, struct tm_us now)
{
    struct en_sync *sync = &en->peers[slot].sync;
    if ((en->rx.flags & ENRP_RESPONSE_REJECT) != 0) {
        sync->running = false;
        return;
    }
    import_all(en, slot, EN_FROM_OWN_TABLE, now);
    if ((en->rx.flags & ENRP_TABLE_MORE) != 0) {
        ask_own(en, slot, now);
    } else if (sync->unclean) {
        sync->unclean = false;
        ask_own(en, slot, now);
    } else {
        sync->running = false;
        sweep(en, slot, now);
    }
}

void en_table_response(struct enrp *en, int slot, struct tm_us now)
{
    if (en->phase == ENRP_TABLE && slot == en->mentor && !en->waiting) {
        if ((en->rx.flags & ENRP_RESPONSE_REJECT) != 0) {
            en_start_rejected(en, slot, now);
            return;
        }
        import_all(en, slot, EN_FROM_TABLE, now);
        en_start_table(en, slot, (en->rx.flags & ENRP_TABLE_MORE) != 0, now);
    } else if (en->peers[slot].sync.running) {
        sync_response(en, slot, now);
    } else {
        en->counters.ignored++;
    }
}

void en_audit(struct enrp *en, int slot, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    struct en_sync *sync = &peer->sync;
    if (!peer->told || !en_serving(en) || peer->state != ENRP_PEER_ACTIVE) {
        return;
    }
    if (peer->told_checksum == hs_checksum(en->hs, peer->id)) {
        sync->streak = 0;
        sync->not_before = now;
        return;
    }
    if (sync->running || tm_before(now, sync->not_before)) {
        return;
    }
    /* The first at once, each further one that did not help later (E-98). */
    int64_t wait = (int64_t)en->set.heartbeat_ms / 2 << (sync->streak < 10 ? sync->streak : 10);
    sync->not_before =
        tm_add_ms(now, wait < en->set.resync_max_ms ? wait : (int64_t)en->set.resync_max_ms);
    sync->streak++;
    sync->running = true;
    sync->since = now; /* E-73 */
    en->counters.resyncs++;
    if (en_may_say(en, now)) {
        (void)outbox_event(en->out, EVENT_PEER_RESYNC, (struct pool_handle){0}, 0, peer->id,
                           "registrar %08x has checksum %04x, we %04x: asking for its elements",
                           peer->id, peer->told_checksum, hs_checksum(en->hs, peer->id));
    }
    ask_own(en, slot, now);
}

void en_table_due(struct enrp *en, int slot, struct tm_us now)
{
    struct en_peer *peer = &en->peers[slot];
    if (peer->sync.running && tm_due(peer->sync.timer, now)) {
        en_sync_abort(en, slot);
    }
    if (peer->session.open && tm_due(peer->session.until, now)) {
        peer->session.open = false;
    }
}
