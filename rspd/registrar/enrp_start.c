/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Joining the scope (RFC 5353 §3.2; enrp.md §5):
 *
 *   FIND_MENTOR  listening; start_timer: then we are alone
 *   LIST         list requested of the mentor; start_timer: it must answer, or the next attempt
 *   TABLE        its handlespace is being downloaded; start_timer: the same
 *   OPERATIONAL  serving
 *
 * A mentor that does not answer or dies is given up for another registrar we know; one that rejects
 * is asked again after a while. Two that reject each other because both are joining: the lower
 * identifier begins to serve.
 */
#include "rspd/registrar/enrp_internal.h"

static void serve(struct enrp *en, struct tm_us now)
{
    en_set_phase(en, ENRP_OPERATIONAL, now);
}

static struct tm_us retry_time(struct enrp *en, struct tm_us now)
{
    uint32_t spread = en->set.retry_max_ms - en->set.retry_min_ms;
    return tm_add_ms(now, en->set.retry_min_ms + (int64_t)rnd_below(&en->rnd, spread + 1u));
}

static bool joining(const struct enrp *en)
{
    return en->phase == ENRP_LIST || en->phase == ENRP_TABLE;
}

static void ask(struct enrp *en, struct tm_us now)
{
    int slot = en->mentor;
    en->waiting = false;
    /* Before anything else: others do not answer who is not in their list (E-91). */
    en_presence(en, en->peers[slot].id, true);
    en_send(en, slot);
    if (en->phase == ENRP_TABLE) {
        en_table_ask(en, slot, false);
    } else {
        en_begin(en, ENRP_LIST_REQUEST, en->peers[slot].id);
        en_send(en, slot);
    }
    en->start_timer = tm_add_ms(now, en->set.no_response_ms); /* E-20, E-35 */
}

/* Somebody who can be asked, not yet tried in vain; those that answered first. */
static int candidate(const struct enrp *en)
{
    int best = EN_NOBODY;
    for (int i = 0; i < en->top; i++) {
        const struct en_peer *peer = &en->peers[i];
        if (!peer->used || (en->tried & en_bit(i)) != 0 ||
            (peer->address_count == 0 && peer->assoc == 0) || peer->state == ENRP_PEER_CONDEMNED ||
            peer->state == ENRP_PEER_INACTIVE) {
            continue;
        }
        if (best == EN_NOBODY || (en_peer_alive(peer) && !en_peer_alive(&en->peers[best]))) {
            best = i;
        }
    }
    return best;
}

/* The next mentor, or nobody is left: alone. */
static void next_mentor(struct enrp *en, struct tm_us now)
{
    int slot = candidate(en);
    if (slot == EN_NOBODY) {
        serve(en, now); /* E-18 */
        return;
    }
    en->mentor = slot;
    en->tried |= en_bit(slot);
    en->rejects = 0;
    en->phase = ENRP_LIST;
    ask(en, now);
}

void enrp_start(struct enrp *en, struct tm_us now)
{
    if (en->phase != ENRP_INIT) {
        return;
    }
    bool configured = false;
    for (int i = 0; i < en->top; i++) {
        if (en->peers[i].used) {
            configured = true;
            en_peer_set_state(en, i, ENRP_PEER_STATIC, now);
        }
    }
    if (configured) {
        next_mentor(en, now); /* E-17 */
        return;
    }
    if (!en->set.multicast) {
        serve(en, now);
        return;
    }
    en_set_phase(en, ENRP_FIND_MENTOR, now);
    en->start_timer = tm_add_ms(now, en->set.mentor_ms);
    en_announce(en); /* whoever hears it greets us: sooner than at its next heartbeat */
}

void en_start_found(struct enrp *en, int slot, struct tm_us now)
{
    (void)slot;
    if (en->phase == ENRP_FIND_MENTOR) {
        next_mentor(en, now); /* E-19 */
    }
}

void en_start_lost(struct enrp *en, int slot, struct tm_us now)
{
    if (joining(en) && slot == en->mentor) {
        en->peers[slot].sync.unclean = en->peers[slot].sync.unclean || en->phase == ENRP_TABLE;
        en->mentor = EN_NOBODY;
        next_mentor(en, now);
    }
}

void en_start_rejected(struct enrp *en, int slot, struct tm_us now)
{
    if (!joining(en) || slot != en->mentor || en->waiting) {
        return;
    }
    int other = candidate(en);
    bool lower = en->set.id < en->peers[slot].id;
    en->rejects++;
    if (other != EN_NOBODY) {
        next_mentor(en, now); /* E-24, E-34 */
    } else if (lower || en->rejects > EN_REJECTS_MAX) {
        serve(en, now);
    } else {
        en->waiting = true;
        en->start_timer = retry_time(en, now);
    }
}

/* A list, to whatever end it was asked for: whoever is new in it is tried (E-22). */
void en_start_list(struct enrp *en, int slot, struct tm_us now)
{
    if ((en->rx.flags & ENRP_RESPONSE_REJECT) != 0) {
        en_start_rejected(en, slot, now);
        return;
    }
    for (uint16_t i = 0; i < en->rx.server_count; i++) {
        const struct enrp_server *server = &en->rx.servers[i];
        if (server->id != 0 && server->id != en->set.id &&
            en_peer_find(en, server->id) == EN_NOBODY) {
            en_peer_candidate(en, server->id, server->transport.addresses,
                              server->transport.address_count, server->transport.port, now);
        }
    }
    if (en->phase == ENRP_LIST && slot == en->mentor) {
        en->phase = ENRP_TABLE;
        en->rejects = 0;
        en_table_ask(en, slot, false); /* E-25 */
        en->start_timer = tm_add_ms(now, en->set.no_response_ms);
    }
}

void en_start_table(struct enrp *en, int slot, bool more, struct tm_us now)
{
    struct en_sync *sync = &en->peers[slot].sync;
    if (!more && !sync->unclean) {
        serve(en, now); /* E-32 */
        return;
    }
    /* What was left unfinished before may only have been finished now: once more from the start. */
    sync->unclean = sync->unclean && more;
    en_table_ask(en, slot, false);
    en->start_timer = tm_add_ms(now, en->set.no_response_ms);
}

void en_start_due(struct enrp *en, struct tm_us now)
{
    en->start_timer = TM_NEVER;
    if (en->phase == ENRP_FIND_MENTOR) {
        serve(en, now);
    } else if (joining(en) && en->waiting) {
        ask(en, now);
    } else if (joining(en)) {
        en_start_lost(en, en->mentor, now);
    }
}
