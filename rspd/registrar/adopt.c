/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Elements that change their home (RFC 5353 §3.5.2; asap.md §5.6, enrp.md §10.3, 11): asking one to
 * make us its home, over an association of ours to where it can be reached; and letting one go.
 *
 * An association that leads to a host is found by any of its addresses and the port: the one the
 * host opened itself serves as well.
 */
#include <stdlib.h>
#include <string.h>

#include "rspd/registrar/rg_internal.h"

/** One address of an association, findable. */
struct rg_way {
    struct rg_node node;
    struct rg_assoc *assoc;
    struct ip_address address;
    uint16_t port;
};

static uint64_t hash_way(const struct rg *rg, const struct ip_address *address, uint16_t port)
{
    uint64_t low = 0;
    uint64_t high = 0;
    memcpy(&high, address->octets, sizeof(high));
    memcpy(&low, address->octets + sizeof(high), sizeof(low));
    high = rg_hash_number(rg, high ^ address->family);
    return rg_hash_number(rg, high ^ low ^ ((uint64_t)port << 48));
}

void rg_ways_set(struct rg *rg, struct rg_assoc *assoc)
{
    rg_ways_clear(rg, assoc);
    if (assoc->id == LOCAL_ASSOC || assoc->port == 0) {
        return;
    }
    assoc->ways = calloc(assoc->peer_count, sizeof(*assoc->ways));
    if (assoc->ways == NULL) {
        return; /* another one will be opened */
    }
    for (uint8_t i = 0; i < assoc->peer_count; i++) {
        struct rg_way *way = &assoc->ways[i];
        way->assoc = assoc;
        way->address = assoc->peers[i];
        way->port = assoc->port;
        rg_table_add(&rg->ways, &way->node, hash_way(rg, &way->address, way->port));
    }
    assoc->way_count = assoc->peer_count;
}

void rg_ways_clear(struct rg *rg, struct rg_assoc *assoc)
{
    for (uint8_t i = 0; i < assoc->way_count; i++) {
        rg_table_remove(&rg->ways, &assoc->ways[i].node);
    }
    free(assoc->ways);
    assoc->ways = NULL;
    assoc->way_count = 0;
}

static struct rg_assoc *find_way(const struct rg *rg, const struct transport *to)
{
    for (uint16_t i = 0; i < to->address_count; i++) {
        uint64_t hash = hash_way(rg, &to->addresses[i], to->port);
        struct rg_node *node = rg_table_first(&rg->ways, hash);
        for (; node != NULL; node = node->next) {
            struct rg_way *way = rg_of(node, struct rg_way);
            if (way->port == to->port && ip_address_equal(&way->address, &to->addresses[i])) {
                return way->assoc;
            }
        }
    }
    return NULL;
}

/* Opens an association to an ASAP transport; what is sent on it waits until it is up. */
static struct rg_assoc *open_way(struct rg *rg, const struct transport *to)
{
    struct action *action = NULL;
    struct rg_assoc *assoc = rg_assoc_open(rg, RG_ASSOC_FIRST + ++rg->next_assoc, to);
    if (assoc != NULL) {
        action = outbox_add(rg->out, ACTION_CONNECT);
    }
    if (action == NULL) {
        if (assoc != NULL) {
            rg_assoc_free(rg, assoc);
        }
        return NULL;
    }
    action->assoc = assoc->id;
    action->port = to->port;
    size_t most = sizeof(action->addresses) / sizeof(action->addresses[0]);
    for (uint16_t i = 0; i < to->address_count && action->address_count < most; i++) {
        action->addresses[action->address_count++] = to->addresses[i];
    }
    return assoc;
}

/* How to reach the host of an element; NULL: it cannot be. */
static struct rg_assoc *reach(struct rg *rg, const struct hs_element *element)
{
    struct transport asap = hs_asap(element);
    const struct transport *to = &asap;
    if (to->protocol != TRANSPORT_SCTP || to->address_count == 0 || to->port == 0) {
        return NULL;
    }
    struct rg_assoc *assoc = find_way(rg, to);
    return assoc != NULL ? assoc : open_way(rg, to);
}

void rg_adopt(struct rg *rg, const struct hs_element *element, struct tm_us at)
{
    bool fresh;
    struct rg_pe *pe = rg_pe_get(rg, *element->handle, element->pe_id, &fresh);
    if (pe == NULL) {
        return; /* its life will run out, unless it comes by itself */
    }
    pe->registered = element->owner_ref != 0;
    pe->assoc = element->owner_ref;
    pe->adopting = true;
    pe->disputed = false;
    pe->foreign = false;
    pe->state = RG_PE_WAIT;
    rg_timer_set(&rg->heap, &pe->timer, at);
}

uint64_t rg_adopt_way(struct rg *rg, const struct rg_pe *pe)
{
    hs_read_begin();
    const struct hs_element *element = hs_find(rg->hs, rg_pe_name(pe), rg_pe_id(pe));
    struct rg_assoc *assoc = element != NULL ? reach(rg, element) : NULL;
    hs_read_end();
    return assoc != NULL ? assoc->id : 0;
}

void rg_suggested(struct rg *rg, const struct hs_element *element, struct tm_us now)
{
    struct rg_assoc *assoc = reach(rg, element);
    /* One question is enough for a host, and nobody shall be used to flood it (E-84). */
    if (assoc == NULL || !tm_due(tm_add_ms(assoc->last_suggested, RG_SUGGEST_MS), now)) {
        return;
    }
    assoc->last_suggested = now;
    rg_send_keep_alive(rg, assoc->id, *element->handle, element->pe_id, true);
}

void rg_offered(struct rg *rg, uint64_t assoc, struct tm_us now)
{
    struct rg_assoc *a = assoc != LOCAL_ASSOC ? rg_assoc_find(rg, assoc) : NULL;
    if (a != NULL) {
        a->offered_until = tm_add_ms(now, RG_OFFER_MS);
    }
}

void rg_disowned(struct rg *rg, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    struct rg_pe *pe = rg_pe_find(rg, handle, pe_id);
    if (pe != NULL) {
        rg_pe_dispute(rg, pe, now);
    }
}

bool rg_disputed(const struct rg *rg, struct pool_handle handle, uint32_t pe_id)
{
    const struct rg_pe *pe = rg_pe_find(rg, handle, pe_id);
    return pe != NULL && pe->disputed;
}

void rg_element_changed(struct rg *rg, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    hs_read_begin();
    bool there = hs_find(rg->hs, handle, pe_id) != NULL;
    hs_read_end();
    rg_changed(rg, there ? RG_ALTERED : RG_REMOVED, handle, pe_id, now);
}
