/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who takes over from a dead registrar (RFC 5353 §3.5; enrp.md §10). After a short random delay the
 * arbitration is opened: all others must agree. Of two that want it the identifiers decide, by rule
 * `lowest_wins`. When it expires, it is begun once more with those still there; then whoever has
 * not answered is taken to agree, as elements without a home serve nobody.
 */
#include "rspd/registrar/enrp_internal.h"

static void say(struct enrp *en, uint32_t target, const char *what, uint32_t elements)
{
    (void)outbox_event(en->out, EVENT_TAKEOVER, (struct pool_handle){0}, 0, target,
                       "registrar %08x: %s (%u elements)", target, what, elements);
}

/* Elements are asked one after the other, as all of them answer (E-84). */
static struct tm_us spread(const struct enrp *en, int64_t n, struct tm_us now)
{
    return tm_add_ms(now, n * 1000 / (en->set.adopt_rate > 0 ? en->set.adopt_rate : 1));
}

/* Every element of another registrar, `from`, gets another home; returns how many. */
static uint32_t move_all(struct enrp *en, uint32_t from, uint32_t to, struct tm_us now)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    uint32_t moved = 0;
    hs_read_begin();
    while ((element = hs_home_next(en->hs, from, &cursor)) != NULL) {
        struct pool_handle handle = *element->handle;
        uint32_t pe_id = element->pe_id;
        if (hs_set_home(en->hs, handle, pe_id, to, 0) != HS_UPDATED) {
            continue; /* memory is out: the audit finds it again */
        }
        if (to == en->set.id && en->hooks.adopt != NULL) {
            en->hooks.adopt(en->hooks.ctx, hs_find(en->hs, handle, pe_id), spread(en, moved, now));
        }
        moved++;
    }
    hs_read_end();
    return moved;
}

/* E-62 … E-64 */
static void won(struct enrp *en, int slot, struct tm_us now)
{
    uint32_t target = en->peers[slot].id;
    en->counters.takeovers++;
    en_begin(en, ENRP_TAKEOVER_SERVER, 0);
    en->tx.target_id = target;
    en_cast(en);
    uint32_t moved = move_all(en, target, en->set.id, now);
    say(en, target, "taken over by us", moved);
    en_peer_remove(en, slot, "taken over", now);
}

static void begin(struct enrp *en, int slot, struct tm_us now)
{
    struct en_peer *target = &en->peers[slot];
    en_peer_set_state(en, slot, ENRP_PEER_ARBITRATED, now);
    target->waiting = 0;
    for (int i = 0; i < en->top; i++) {
        if (i != slot && en_peer_alive(&en->peers[i])) {
            target->waiting |= en_bit(i);
        }
    }
    if (target->waiting == 0) {
        won(en, slot, now); /* E-97 */
        return;
    }
    say(en, target->id, "arbitration begun", hs_home_count(en->hs, target->id));
    en_begin(en, ENRP_INIT_TAKEOVER, 0); /* E-53, E-54 */
    en->tx.target_id = target->id;
    en_cast(en);
    en_send(en, slot);
}

void en_takeover_due(struct enrp *en, int slot, struct tm_us now)
{
    struct en_peer *target = &en->peers[slot];
    if (target->state == ENRP_PEER_CONDEMNED) {
        target->again = false;
        begin(en, slot, now);
    } else if (!target->again) {
        target->again = true;
        begin(en, slot, now);
    } else {
        won(en, slot, now);
    }
}

void en_takeover_without(struct enrp *en, int slot, struct tm_us now)
{
    for (int i = 0; i < en->top; i++) {
        struct en_peer *target = &en->peers[i];
        if (!target->used || target->state != ENRP_PEER_ARBITRATED) {
            continue;
        }
        target->waiting &= ~en_bit(slot);
        if (target->waiting == 0) {
            won(en, i, now);
        }
    }
}

static void acknowledge(struct enrp *en, int slot, uint32_t target)
{
    en_begin(en, ENRP_INIT_TAKEOVER_ACK, en->peers[slot].id);
    en->tx.target_id = target;
    en_send(en, slot);
}

void en_takeover_init(struct enrp *en, int slot, struct tm_us now)
{
    uint32_t initiator = en->peers[slot].id;
    uint32_t id = en->rx.target_id;
    if (id == en->set.id) {
        en_announce(en); /* E-55 */
        return;
    }
    int target = en_peer_find(en, id);
    if (target == slot) {
        return; /* nobody dies by his own word */
    }
    if (target != EN_NOBODY && en->peers[target].state == ENRP_PEER_ARBITRATED) {
        bool lose = en->set.lowest_wins ? initiator < en->set.id : initiator > en->set.id;
        if (!lose) {
            return; /* E-58 */
        }
        say(en, id, "arbitration left to another registrar", hs_home_count(en->hs, id));
    }
    if (target != EN_NOBODY) {
        en_peer_event(en, target, EN_ACKED, now); /* E-57, E-59 */
    }
    acknowledge(en, slot, id);
}

void en_takeover_ack(struct enrp *en, int slot, struct tm_us now)
{
    int target = en_peer_find(en, en->rx.target_id);
    if (target == EN_NOBODY || en->peers[target].state != ENRP_PEER_ARBITRATED) {
        return;
    }
    en->peers[target].waiting &= ~en_bit(slot);
    if (en->peers[target].waiting == 0) {
        won(en, target, now); /* E-60 */
    }
}

/* We were taken for dead: what still stands by us is ours (enrp.md §10.3). */
static void reclaim(struct enrp *en, struct tm_us now)
{
    int64_t n = 0;
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    en_announce(en);
    hs_read_begin();
    while ((element = hs_home_next(en->hs, en->set.id, &cursor)) != NULL) {
        if (element->owner_ref != 0) {
            en_assert(en, element, spread(en, n++, now));
        }
    }
    hs_read_end();
}

void en_takeover_done(struct enrp *en, int slot, struct tm_us now)
{
    uint32_t id = en->rx.target_id;
    uint32_t winner = en->peers[slot].id;
    if (id == en->set.id) {
        reclaim(en, now);
        return;
    }
    if (id == winner) {
        return;
    }
    uint32_t moved = move_all(en, id, winner, now); /* E-65 */
    say(en, id, "taken over by another registrar", moved);
    int target = en_peer_find(en, id);
    if (target != EN_NOBODY) {
        en_peer_remove(en, target, "taken over", now);
    }
}
