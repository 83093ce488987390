/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Single changes of elements: told to the others, and taken from them (RFC 5353 §3.3; enrp.md §5.3,
 * 7).
 *
 * Two registrars may both take themselves for the home of one element, as after a partition. An
 * update settles that in favour of the one it names: it follows a registration. Tables cross,
 * though, and if each side believed the other's both would give the element away. So against a
 * table: who has no association with the element yields; of two that have one, which may be stale,
 * the higher identifier waits and the lower one asks the element. Its answer leads to an update.
 * Updates may cross too; who gave an element away that it still has an association with asks it.
 */
#include "rspd/registrar/enrp_internal.h"

#include "handlespace/policy.h"
#include "rspd/registrar/registrar.h"
#include "rspd/registrar/tell.h"

#include <stdio.h>

int64_t en_life_ms(const struct enrp *en, uint32_t life)
{
    if (life == REGISTRATION_LIFE_INFINITE) {
        return -1;
    }
    return en->set.life_in_seconds ? (int64_t)life * 1000 : life;
}

static uint32_t wire_life(const struct enrp *en, int64_t life_ms)
{
    if (life_ms < 0) {
        return REGISTRATION_LIFE_INFINITE;
    }
    int64_t life = en->set.life_in_seconds ? (life_ms + 999) / 1000 : life_ms;
    return life < (int64_t)REGISTRATION_LIFE_INFINITE ? (uint32_t)life
                                                      : REGISTRATION_LIFE_INFINITE - 1;
}

void en_entry_of(const struct enrp *en, const struct hs_element *element, struct enrp_entry *ret)
{
    *ret = (struct enrp_entry){.handle = *element->handle,
                               .element = {.pe_id = element->pe_id,
                                           .home_id = element->home_id,
                                           .registration_life = wire_life(en, element->life_ms),
                                           .user = hs_user(element),
                                           .policy = hs_policy(element),
                                           .asap = hs_asap(element)}};
}

/* --- towards the ASAP side -------------------------------------------------------------------- */

static void tell_changed(struct enrp *en, struct pool_handle handle, uint32_t pe_id,
                         struct tm_us now)
{
    if (en->hooks.changed != NULL) {
        en->hooks.changed(en->hooks.ctx, handle, pe_id, now);
    }
}

static void tell_disowned(struct enrp *en, struct pool_handle handle, uint32_t pe_id,
                          struct tm_us now)
{
    if (en->hooks.disowned != NULL) {
        en->hooks.disowned(en->hooks.ctx, handle, pe_id, now);
    }
}

/*
 * To those who watch: what comes and goes at another registrar, as what does here. A registrar that
 * joins hears of all there is.
 */
static void say_taken(struct enrp *en, enum event_kind kind, struct pool_handle handle,
                      const struct pool_element *pe)
{
    char home[32];
    (void)snprintf(home, sizeof(home), "home registrar %08x", pe->home_id);
    tell_element(en->out, kind, handle, pe, pe->home_id, home);
}

static void say_dropped(struct enrp *en, struct pool_handle handle, uint32_t pe_id, uint32_t home)
{
    char pool[POOL_HANDLE_TEXT_MAX];
    (void)outbox_event(en->out, EVENT_PE_REMOVED, handle, pe_id, home,
                       "PE 0x%08x left pool %s: so its home registrar %08x says", pe_id,
                       pool_handle_format(handle, pool, sizeof(pool)), home);
}

void en_drop(struct enrp *en, const struct hs_element *element, struct tm_us now)
{
    if (en->hooks.disputed != NULL &&
        en->hooks.disputed(en->hooks.ctx, *element->handle, element->pe_id)) {
        return; /* the next audit comes back to it */
    }
    if (hs_deregister(en->hs, *element->handle, element->pe_id) == HS_REMOVED) {
        say_dropped(en, *element->handle, element->pe_id, element->home_id);
        tell_changed(en, *element->handle, element->pe_id, now);
    }
}

/* --- telling ---------------------------------------------------------------------------------- */

/* As the element of that home. */
static bool begin_update(struct enrp *en, uint32_t receiver, const struct hs_element *element,
                         uint32_t home_id, enum enrp_action action)
{
    if (home_id == 0) {
        return false; /* nobody else's business */
    }
    en_begin(en, ENRP_HANDLE_UPDATE, receiver);
    en->tx.action = (uint16_t)action;
    en->tx.entry_count = 1;
    en_entry_of(en, element, &en->tx.entries[0]);
    en->tx.entries[0].element.home_id = home_id;
    return true;
}

static void update_all_as(struct enrp *en, const struct hs_element *element, uint32_t home_id,
                          enum enrp_action action)
{
    if (begin_update(en, 0, element, home_id, action)) { /* E-38 */
        en_cast(en);
    }
}

void en_update_all(struct enrp *en, const struct hs_element *element, enum enrp_action action)
{
    update_all_as(en, element, element->home_id, action);
}

void en_update_one(struct enrp *en, int slot, const struct hs_element *element, bool suggest)
{
    if (begin_update(en, en->peers[slot].id, element, element->home_id, ENRP_ADD_PE)) {
        en->tx.flags = suggest ? ENRP_UPDATE_SUGGESTED : 0; /* E-87 */
        en_send(en, slot);
    }
}

void en_assert(struct enrp *en, const struct hs_element *element, struct tm_us at)
{
    if (element->owner_ref == LOCAL_ASSOC || en->hooks.adopt == NULL) {
        en_update_all(en, element, ENRP_ADD_PE);
    } else {
        en->hooks.adopt(en->hooks.ctx, element, at);
    }
}

void enrp_registered(struct enrp *en, const struct hs_element *element, struct tm_us now)
{
    en_update_all(en, element, ENRP_ADD_PE); /* E-37 */
    en_suggest(en, element, now);
}

void enrp_removed(struct enrp *en, const struct hs_element *element, bool by_itself,
                  struct tm_us now)
{
    uint32_t home_id = element->home_id;
    (void)now;
    if (element->home_id != en->set.id) {
        if (!by_itself) {
            return; /* its home knows */
        }
        /* It left here: as its home, which only now we are, we may say so (enrp.md §7.2). */
        home_id = home_id != 0 ? en->set.id : 0;
        update_all_as(en, element, home_id, ENRP_ADD_PE);
    }
    update_all_as(en, element, home_id, ENRP_DEL_PE); /* E-42 */
}

/* --- being told ------------------------------------------------------------------------------- */

/* False: the entry must not be taken from there. */
static bool may_import(struct enrp *en, int slot, const struct enrp_entry *entry,
                       const struct hs_element *old, enum en_source source, struct tm_us now)
{
    uint32_t home = entry->element.home_id;
    if (home == en->set.id) {
        /* We know best. Where we do own it, the other side shall learn so (enrp.md §7.2). */
        if (source == EN_FROM_UPDATE && old != NULL && old->home_id == en->set.id) {
            en_update_one(en, slot, old, false);
        }
        return false;
    }
    if (source == EN_FROM_OWN_TABLE && home != en->peers[slot].id) {
        return false;
    }
    if (old == NULL || old->home_id != en->set.id || old->owner_ref == 0) {
        return true;
    }
    if (old->owner_ref == LOCAL_ASSOC) {
        en_assert(en, old, now); /* nobody knows it better */
        return false;
    }
    if (source == EN_FROM_UPDATE) {
        return true;
    }
    if (en->set.id < home) {
        en_assert(en, old, now);
    }
    return false;
}

static void say_conflict(struct enrp *en, int slot, const struct enrp_entry *entry,
                         enum hs_result result, struct tm_us now)
{
    char handle[POOL_HANDLE_TEXT_MAX];
    en->counters.conflicts++;
    if (!en_may_say(en, now)) {
        return;
    }
    const char *why = result == HS_INCONSISTENT_POLICY      ? "the pool has another policy"
                      : result == HS_INCONSISTENT_TRANSPORT ? "the pool has another transport"
                      : result == HS_INCONSISTENT_USE       ? "the pool has another transport use"
                      : result == HS_NO_RESOURCES           ? "this registrar takes no more"
                                                            : "its values are not valid";
    (void)outbox_event(
        en->out, EVENT_PEER_REFUSED, entry->handle, entry->element.pe_id, en->peers[slot].id,
        "PE 0x%08x of pool %s from registrar %08x not taken: %s", entry->element.pe_id,
        pool_handle_format(entry->handle, handle, sizeof(handle)), en->peers[slot].id, why);
}

static bool same_user(const struct hs_element *old, const struct pool_element *element)
{
    const struct transport user = hs_user(old);
    const struct transport *a = &user;
    const struct transport *b = &element->user;
    if (a->port != b->port || a->address_count != b->address_count) {
        return false;
    }
    for (uint16_t i = 0; i < a->address_count; i++) {
        if (!ip_address_equal(&a->addresses[i], &b->addresses[i])) {
            return false;
        }
    }
    return true;
}

/*
 * An element of another registrar is as far away as the sender says, and as the sender is from us
 * (policies:P-36). Each element by itself, whatever stands beside it (D-24), and always from what
 * was told: hearing it twice does not move it.
 */
static void add_distance(struct enrp *en, struct policy *policy)
{
    uint32_t *distance = policy_distance_word(policy);
    if (distance == NULL) {
        return;
    }
    if (!en->distance_known) {
        uint32_t rtt =
            en->hooks.round_trip != NULL ? en->hooks.round_trip(en->hooks.ctx, en->rx_assoc) : 0;
        en->distance_ms = policy_distance(rtt, en->set.distance_step_ms);
        en->distance_known = true;
    }
    *distance = *distance < UINT32_MAX - en->distance_ms ? *distance + en->distance_ms : UINT32_MAX;
}

void en_import(struct enrp *en, int slot, const struct enrp_entry *entry, enum en_source source,
               struct tm_us now)
{
    hs_read_begin();
    struct pool_element placed = entry->element;
    const struct pool_element *element = &placed;
    const struct hs_element *old = hs_find(en->hs, entry->handle, element->pe_id);
    if (!may_import(en, slot, entry, old, source, now)) {
        hs_read_end();
        return;
    }
    add_distance(en, &placed.policy);
    bool ours = old != NULL && old->home_id == en->set.id;
    enum event_kind kind = old == NULL ? EVENT_PE_ADDED : EVENT_PE_CHANGED;
    bool news = old == NULL || !same_user(old, element);
    enum hs_result result = hs_register(en->hs, entry->handle, element,
                                        en_life_ms(en, element->registration_life), 0, now);
    if (result != HS_ADDED && result != HS_UPDATED) {
        say_conflict(en, slot, entry, result, now);
        hs_read_end();
        return;
    }
    if (ours) {
        tell_disowned(en, entry->handle, element->pe_id, now);
    }
    if (news) {
        say_taken(en, kind, entry->handle, element);
        tell_changed(en, entry->handle, element->pe_id, now);
    }
    hs_read_end();
    en_peer_shadow(en, element->home_id, now);
}

/* The sender must be its home, unless that is not there any more (enrp.md §7.2). */
static void delete_received(struct enrp *en, int slot, const struct enrp_entry *entry,
                            struct tm_us now)
{
    hs_read_begin();
    const struct hs_element *old = hs_find(en->hs, entry->handle, entry->element.pe_id);
    if (old != NULL && old->home_id != en->set.id) {
        int home = en_peer_find(en, old->home_id);
        if (home == slot || home == EN_NOBODY || !en_peer_alive(&en->peers[home])) {
            en_drop(en, old, now); /* E-43, E-44 */
        }
    }
    hs_read_end();
}

void en_update_received(struct enrp *en, int slot, struct tm_us now)
{
    const struct enrp_entry *entry = &en->rx.entries[0];
    if (en->rx.action == ENRP_ADD_PE) {
        en_import(en, slot, entry, EN_FROM_UPDATE, now);
        if ((en->rx.flags & ENRP_UPDATE_SUGGESTED) != 0) {
            hs_read_begin();
            const struct hs_element *element = hs_find(en->hs, entry->handle, entry->element.pe_id);
            if (element != NULL) {
                en_suggested(en, slot, element, now);
            }
            hs_read_end();
        }
    } else if (en->rx.action == ENRP_DEL_PE) {
        delete_received(en, slot, entry, now);
    } else {
        en->counters.ignored++; /* E-14 */
    }
}
