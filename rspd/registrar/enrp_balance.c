/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handing elements to other registrars while they serve: to spread the load of watching them
 * (draft-dreibholz-rserpool-enrp-takeover; enrp.md §11), and before leaving (§12). What is offered
 * is one element; its host then makes the other registrar home of all it has.
 *
 * BY_LOAD: whoever owns most looks at what its hosts have, and offers as much of it to whoever owns
 * least as makes the two more even. A host that would only turn the tables stays. So each step
 * makes the scope more even, and it comes to rest.
 */
#include "rspd/registrar/enrp_internal.h"
#include "rspd/registrar/registrar.h"

#define UNITS_MAX 64   /* hosts looked at in one step */
#define LOOK_MAX  4096 /* elements looked at in one step */

/** What one host has registered with us. */
struct unit {
    uint64_t owner_ref;
    uint32_t size;
    const struct hs_element *one;
};

static bool movable(const struct hs_element *element)
{
    return element->owner_ref != 0 && element->owner_ref != LOCAL_ASSOC;
}

/* --- by id ------------------------------------------------------------------------------------ */

static void offer(struct enrp *en, int slot, const struct hs_element *element, struct tm_us now)
{
    en->counters.suggestions++;
    en_update_one(en, slot, element, true);
    if (en->hooks.offered != NULL) {
        en->hooks.offered(en->hooks.ctx, element->owner_ref, now);
    }
}

void en_suggest(struct enrp *en, const struct hs_element *element, struct tm_us now)
{
    if (en->set.suggestion != ENRP_SUGGEST_BY_ID || en->phase != ENRP_OPERATIONAL ||
        !movable(element)) {
        return;
    }
    int best = EN_NOBODY;
    uint32_t best_metric = en->set.id ^ element->pe_id;
    for (int i = 0; i < en->top; i++) {
        uint32_t metric = en->peers[i].id ^ element->pe_id;
        if (en->peers[i].state == ENRP_PEER_ACTIVE && en->peers[i].used && metric > best_metric) {
            best = i;
            best_metric = metric;
        }
    }
    if (best != EN_NOBODY) {
        offer(en, best, element, now);
    }
}

void en_suggested(struct enrp *en, int slot, const struct hs_element *element, struct tm_us now)
{
    (void)slot;
    if (en->set.suggestion == ENRP_SUGGEST_NEVER || en->phase != ENRP_OPERATIONAL ||
        element->home_id == en->set.id || en->hooks.suggested == NULL) {
        return;
    }
    en->hooks.suggested(en->hooks.ctx, element, now); /* E-88 */
}

/* --- by load ---------------------------------------------------------------------------------- */

/* Everybody is well: nothing is moved while somebody is being looked for, or taken over from. */
static bool settled(const struct enrp *en)
{
    for (int i = 0; i < en->top; i++) {
        const struct en_peer *peer = &en->peers[i];
        if (peer->used && peer->id != 0 &&
            (peer->state != ENRP_PEER_ACTIVE || peer->sync.running)) {
            return false;
        }
    }
    return true;
}

/* Who owns least; EN_NOBODY unless we are the one who owns most. */
static int least_loaded(struct enrp *en, uint32_t own)
{
    int least = EN_NOBODY;
    uint32_t least_count = own;
    for (int i = 0; i < en->top; i++) {
        if (!en->peers[i].used || en->peers[i].state != ENRP_PEER_ACTIVE) {
            continue;
        }
        uint32_t count = hs_home_count(en->hs, en->peers[i].id);
        if (count > own || (count == own && en->peers[i].id < en->set.id)) {
            return EN_NOBODY;
        }
        if (count < least_count) {
            least = i;
            least_count = count;
        }
    }
    return least;
}

static void note_unit(struct enrp *en, struct unit *units, uint32_t *n,
                      const struct hs_element *element)
{
    for (uint32_t i = 0; i < *n; i++) {
        if (units[i].owner_ref == element->owner_ref) {
            return;
        }
    }
    struct hs_cursor cursor = {0};
    struct unit *unit = &units[(*n)++];
    *unit = (struct unit){.owner_ref = element->owner_ref, .one = element};
    while (unit->size < LOOK_MAX && hs_owner_next(en->hs, unit->owner_ref, &cursor) != NULL) {
        unit->size++;
    }
}

/* Some of our hosts, other ones each time. */
static uint32_t collect(struct enrp *en, uint32_t own, struct unit *units)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    uint32_t n = 0;
    uint64_t skip = own > LOOK_MAX ? rnd_below(&en->rnd, own - LOOK_MAX + 1u) : 0;
    for (uint32_t looked = 0; n < UNITS_MAX && looked < skip + LOOK_MAX; looked++) {
        element = hs_home_next(en->hs, en->set.id, &cursor);
        if (element == NULL) {
            break;
        }
        if (looked >= skip && movable(element)) {
            note_unit(en, units, &n, element);
        }
    }
    return n;
}

/* The largest that fits into what is to be moved, else the smallest that still helps. */
static struct unit *choose(struct unit *units, uint32_t n, uint32_t wanted, uint32_t limit)
{
    struct unit *best = NULL;
    for (uint32_t i = 0; i < n; i++) {
        struct unit *u = &units[i];
        if (u->size == 0 || u->size >= limit) {
            continue;
        }
        bool fits = u->size <= wanted;
        bool best_fits = best != NULL && best->size <= wanted;
        if (best == NULL || (fits && !best_fits) || (fits && best_fits && u->size > best->size) ||
            (!fits && !best_fits && u->size < best->size)) {
            best = u;
        }
    }
    return best;
}

void en_balance_due(struct enrp *en, struct tm_us now)
{
    struct unit units[UNITS_MAX];
    uint32_t own = hs_home_count(en->hs, en->set.id);
    if (en->set.suggestion != ENRP_SUGGEST_BY_LOAD || en->phase != ENRP_OPERATIONAL ||
        !settled(en)) {
        return;
    }
    int slot = least_loaded(en, own);
    if (slot == EN_NOBODY) {
        return;
    }
    uint32_t difference = own - hs_home_count(en->hs, en->peers[slot].id);
    uint32_t wanted = difference / 2;
    if (difference < own / 8) {
        return; /* even enough: each move is a round of registrations */
    }
    hs_read_begin();
    uint32_t n = collect(en, own, units);
    for (uint32_t moved = 0; moved < wanted;) {
        struct unit *unit = choose(units, n, wanted - moved, difference - 2 * moved);
        if (unit == NULL) {
            break;
        }
        offer(en, slot, unit->one, now);
        moved += unit->size;
        unit->size = 0;
    }
    hs_read_end();
}

/* --- leaving ---------------------------------------------------------------------------------- */

static int nth_alive(const struct enrp *en, uint64_t n)
{
    uint32_t alive = enrp_peers_alive(en);
    n = alive > 0 ? n % alive : 0;
    for (int i = 0; i < en->top; i++) {
        if (en_peer_alive(&en->peers[i]) && n-- == 0) {
            return i;
        }
    }
    return EN_NOBODY;
}

void enrp_leave(struct enrp *en, struct tm_us now)
{
    if (!en_serving(en)) {
        en->start_timer = TM_NEVER;
        en_set_phase(en, ENRP_LEFT, now);
    } else if (en->phase == ENRP_OPERATIONAL) {
        en->leave_until = tm_add_ms(now, en->set.leave_ms);
        en_set_phase(en, ENRP_LEAVING, now);
        en_leave_due(en, now);
    }
}

/* Each host to the same registrar while that takes it, to another one in the next step. */
void en_leave_due(struct enrp *en, struct tm_us now)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    uint32_t left = 0;
    uint64_t round = (uint64_t)tm_diff_ms(en->leave_until, now) * 5 / (en->set.leave_ms + 1u);
    hs_read_begin();
    while ((element = hs_home_next(en->hs, en->set.id, &cursor)) != NULL) {
        int slot = nth_alive(en, element->owner_ref + round);
        if (slot == EN_NOBODY) {
            break;
        }
        if (movable(element)) {
            left++;
            offer(en, slot, element, now);
        }
    }
    hs_read_end();
    if (left == 0 || tm_due(en->leave_until, now)) {
        en_set_phase(en, ENRP_LEFT, now);
        return;
    }
    en->leave_step = tm_min(en->leave_until, tm_add_ms(now, en->set.leave_ms / 5 + 1));
}
