/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Associations as the registrar sees them: who is at the other end, and what goes when they end. */
#include "rspd/registrar/rg_internal.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rg_assoc *rg_assoc_find(const struct rg *rg, uint64_t id)
{
    struct rg_node *node = rg_table_first(&rg->assocs, rg_hash_number(rg, id));
    for (; node != NULL; node = node->next) {
        struct rg_assoc *assoc = rg_of(node, struct rg_assoc);
        if (assoc->id == id) {
            return assoc;
        }
    }
    return NULL;
}

static struct rg_assoc *assoc_new(struct rg *rg, uint64_t id)
{
    struct rg_assoc *assoc = calloc(1, sizeof(*assoc));
    if (assoc != NULL) {
        assoc->id = id;
        rg_table_add(&rg->assocs, &assoc->node, rg_hash_number(rg, id));
    }
    return assoc;
}

struct rg_assoc *rg_assoc_of_message(struct rg *rg, uint64_t id)
{
    struct rg_assoc *assoc = rg_assoc_find(rg, id);
    return assoc == NULL && id == LOCAL_ASSOC ? assoc_new(rg, id) : assoc;
}

void rg_assoc_free(struct rg *rg, struct rg_assoc *assoc)
{
    rg_ways_clear(rg, assoc);
    rg_unsubscribe_all(rg, assoc);
    rg_principal_close(assoc);
    rg_table_remove(&rg->assocs, &assoc->node);
    free(assoc->peers);
    free(assoc);
}

void rg_assoc_free_all(struct rg *rg)
{
    struct rg_node *node;
    while ((node = rg_table_any(&rg->assocs)) != NULL) {
        rg_assoc_free(rg, rg_of(node, struct rg_assoc));
    }
}

struct rg_assoc *rg_assoc_open(struct rg *rg, uint64_t id, const struct transport *to)
{
    size_t n = to->address_count < RG_PEERS_MAX ? to->address_count : RG_PEERS_MAX;
    struct ip_address *peers = malloc(n * sizeof(*peers));
    struct rg_assoc *assoc =
        peers != NULL && rg->assocs.count < RG_ASSOCS_MAX ? assoc_new(rg, id) : NULL;
    if (assoc == NULL) {
        free(peers);
        return NULL;
    }
    memcpy(peers, to->addresses, n * sizeof(*peers));
    assoc->peers = peers;
    assoc->peer_count = (uint8_t)n;
    assoc->port = to->port;
    rg_ways_set(rg, assoc);
    return assoc;
}

void rg_assoc_up(struct rg *rg, uint64_t assoc, const struct ip_address *peers, size_t count,
                 uint16_t port, struct tm_us now)
{
    struct rg_assoc *a = rg_assoc_find(rg, assoc);
    size_t kept = count < RG_PEERS_MAX ? count : RG_PEERS_MAX;
    struct ip_address *copy = kept > 0 ? malloc(kept * sizeof(*copy)) : NULL;
    bool fresh = a == NULL;
    bool full = a == NULL && assoc != LOCAL_ASSOC && rg->assocs.count >= RG_ASSOCS_MAX;
    if (a == NULL && !full && (copy != NULL || kept == 0)) {
        a = assoc_new(rg, assoc);
    }
    if (a == NULL || (copy == NULL && kept > 0)) {
        free(copy);
        if (assoc != LOCAL_ASSOC) {
            outbox_disconnect(rg->out, assoc, true);
        }
        return;
    }
    for (size_t i = 0; i < kept; i++) {
        copy[i] = ip_address_unmap(peers[i]);
    }
    free(a->peers);
    a->peers = copy;
    a->peer_count = (uint8_t)kept;
    a->port = port;
    a->last_heard = now;
    if (fresh && !rg_principal_open(rg, a, now)) {
        outbox_disconnect(rg->out, assoc, true);
        rg_assoc_free(rg, a);
        return;
    }
    rg_ways_set(rg, a);
}

void rg_assoc_shows_one(struct rg *rg, uint64_t assoc)
{
    struct rg_assoc *a = rg_assoc_find(rg, assoc);
    if (a != NULL) {
        a->shows_one = true;
    }
}

/*
 * The PEs that were registered over it (asap.md §5.3), so many at once. 0: none is left; 1: there
 * are more; -ENOMEM.
 */
static int remove_some(struct rg *rg, uint64_t assoc, const char *reason, unsigned most,
                       struct tm_us now)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    int result = 0;
    hs_read_begin();
    while (result == 0 && (element = hs_owner_next(rg->hs, assoc, &cursor)) != NULL) {
        if (most-- == 0) {
            result = 1;
        } else if (!rg_remove(rg, *element->handle, element->pe_id, reason, now)) {
            result = -ENOMEM;
        }
    }
    hs_read_end();
    return result;
}

/*
 * An association may have carried tens of thousands: then the rest goes a timer's turn at a time,
 * so that nobody else waits for it.
 */
static void remove_elements(struct rg *rg, uint64_t assoc, const char *reason, struct tm_us now)
{
    int left = remove_some(rg, assoc, reason, RG_ORPHANS_AT_ONCE, now);
    if (left == 0) {
        return;
    }
    struct rg_orphans *orphans = malloc(sizeof(*orphans));
    if (orphans == NULL) {
        /* What memory does not let go stays; its keep-alive finds the association gone. */
        (void)remove_some(rg, assoc, reason, UINT_MAX, now);
        return;
    }
    *orphans = (struct rg_orphans){.next = rg->orphans, .assoc = assoc, .reason = reason};
    if (rg->orphans == NULL) {
        rg->orphans_at = tm_add_ms(now, left > 0 ? RG_ORPHANS_MS : RG_RETRY_MS);
    }
    rg->orphans = orphans;
}

void rg_orphans_due(struct rg *rg, struct tm_us now)
{
    struct rg_orphans *first = rg->orphans;
    if (first == NULL || !tm_due(rg->orphans_at, now)) {
        return;
    }
    int left = remove_some(rg, first->assoc, first->reason, RG_ORPHANS_AT_ONCE, now);
    rg->orphans_at = tm_add_ms(now, left < 0 ? RG_RETRY_MS : RG_ORPHANS_MS);
    if (left == 0) {
        rg->orphans = first->next;
        free(first);
    }
}

void rg_orphans_free(struct rg *rg)
{
    while (rg->orphans != NULL) {
        struct rg_orphans *next = rg->orphans->next;
        free(rg->orphans);
        rg->orphans = next;
    }
}

/* Those of a host that was offered to another registrar may just be moving there. */
static void grant_grace(struct rg *rg, uint64_t assoc, struct tm_us now)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *element;
    hs_read_begin();
    while ((element = hs_owner_next(rg->hs, assoc, &cursor)) != NULL) {
        struct rg_pe *pe = rg_pe_find(rg, *element->handle, element->pe_id);
        if (pe != NULL) {
            rg_pe_grace(rg, pe, now);
        }
    }
    hs_read_end();
}

void rg_assoc_down(struct rg *rg, uint64_t assoc, struct tm_us now)
{
    struct rg_assoc *a = rg_assoc_find(rg, assoc);
    if (a != NULL && tm_before(now, a->offered_until)) {
        rg_assoc_free(rg, a);
        grant_grace(rg, assoc, now);
        return;
    }
    if (a != NULL) {
        rg_assoc_free(rg, a);
    }
    if (assoc != LOCAL_ASSOC) {
        remove_elements(rg, assoc, "its association has ended", now);
    }
}

void rg_assoc_abort(struct rg *rg, struct rg_assoc *assoc, const char *reason, struct tm_us now)
{
    uint64_t id = assoc->id;
    if (id == LOCAL_ASSOC) {
        return;
    }
    outbox_disconnect(rg->out, id, true);
    rg_assoc_free(rg, assoc);
    remove_elements(rg, id, reason, now);
}

void rg_assoc_malformed(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    if (assoc->malformed == 0 || tm_due(tm_add_ms(assoc->malformed_since, RG_MALFORMED_MS), now)) {
        assoc->malformed = 0;
        assoc->malformed_since = now;
    }
    if (++assoc->malformed <= RG_MALFORMED_MAX || assoc->id == LOCAL_ASSOC) {
        return;
    }
    if (rg_may_say(rg, now)) {
        char peer[RG_ASSOC_TEXT_MAX];
        (void)outbox_event(rg->out, EVENT_CLIENT_REJECTED, (struct pool_handle){0}, 0, rg->set.id,
                           "association with %s aborted: %u malformed messages, the last: %s",
                           rg_assoc_text(assoc, peer, sizeof(peer)), assoc->malformed,
                           rg->report.text != NULL ? rg->report.text : "unreadable");
    }
    rg_assoc_abort(rg, assoc, "its association sent too many malformed messages", now);
}

bool rg_assoc_has(const struct rg_assoc *assoc, const struct ip_address *address)
{
    for (uint8_t i = 0; i < assoc->peer_count; i++) {
        if (ip_address_equal(&assoc->peers[i], address)) {
            return true;
        }
    }
    return false;
}

const char *rg_assoc_text(const struct rg_assoc *assoc, char *out, size_t size)
{
    if (assoc->id == LOCAL_ASSOC) {
        (void)snprintf(out, size, "this host");
    } else if (assoc->peer_count == 0) {
        (void)snprintf(out, size, "an unknown address");
    } else {
        (void)ip_address_format(&assoc->peers[0], out, size);
    }
    return out;
}

static bool prefix_holds(const struct rg_prefix *prefix, const struct ip_address *address)
{
    unsigned bits = prefix->len;
    if (prefix->address.family != address->family) {
        return false;
    }
    if (bits > (address->family == IP_V6 ? 128u : 32u)) {
        return false;
    }
    if (memcmp(prefix->address.octets, address->octets, bits / 8) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff00u >> bits % 8);
    return bits % 8 == 0 ||
           ((prefix->address.octets[bits / 8] ^ address->octets[bits / 8]) & mask) == 0;
}

static bool address_allowed(const struct rg_prefix *allow, size_t count,
                            const struct ip_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (prefix_holds(&allow[i], address)) {
            return true;
        }
    }
    return false;
}

/*
 * A peer names its addresses itself, so one that lies in an allowed prefix proves nothing: all
 * must. Link-local ones are not judged, since kernels list them unasked, but do not suffice alone.
 * What comes from a loopback address comes from this host.
 */
static bool all_allowed(const struct rg_prefix *allow, size_t count, const struct rg_assoc *assoc)
{
    if (count == 0) {
        return true;
    }
    bool allowed = false;
    bool loopback = false;
    bool link_local = false;
    for (uint8_t i = 0; i < assoc->peer_count; i++) {
        enum ip_scope scope = ip_address_scope(&assoc->peers[i]);
        if (address_allowed(allow, count, &assoc->peers[i])) {
            allowed = true;
        } else if (scope == IP_SCOPE_LOOPBACK) {
            loopback = true;
        } else if (scope == IP_SCOPE_LINK_LOCAL) {
            link_local = true;
        } else {
            return false;
        }
    }
    return allowed || (loopback && !link_local);
}

bool rg_assoc_may_be_at(const struct rg *rg, const struct rg_assoc *assoc,
                        struct pool_handle handle, const struct ip_address *address)
{
    enum ip_scope scope = ip_address_scope(address);
    if (rg_assoc_has(assoc, address)) {
        return true;
    }
    if (!assoc->shows_one || (scope != IP_SCOPE_SITE_LOCAL && scope != IP_SCOPE_GLOBAL)) {
        return false;
    }
    if (rg->set.allow_count > 0 && !address_allowed(rg->allow, rg->set.allow_count, address)) {
        return false;
    }
    size_t count = 0;
    const struct rg_prefix *allow = NULL;
    if (rg->set.pool_allow != NULL) {
        allow = rg->set.pool_allow(rg->set.pool_allow_ctx, handle, &count);
    }
    return count == 0 || address_allowed(allow, count, address);
}

bool rg_assoc_may_register(const struct rg *rg, const struct rg_assoc *assoc,
                           struct pool_handle handle)
{
    if (assoc->id == LOCAL_ASSOC) {
        return true;
    }
    if (!all_allowed(rg->allow, rg->set.allow_count, assoc)) {
        return false;
    }
    size_t count = 0;
    const struct rg_prefix *allow = NULL;
    if (rg->set.pool_allow != NULL) {
        allow = rg->set.pool_allow(rg->set.pool_allow_ctx, handle, &count);
    }
    return all_allowed(allow, count, assoc);
}
