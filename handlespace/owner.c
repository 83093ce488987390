/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who an element belongs to: the writer's owner_ref (an association), with a list of its elements,
 * and the home registrar, with the PE checksum over its elements.
 */
#include "handlespace/internal.h"

#include <stdlib.h>

static unsigned long hash_number(const struct hs *hs, uint64_t number)
{
    struct rnd rnd;
    rnd_seed(&rnd, hs->hash_seed ^ number);
    return (unsigned long)rnd_next(&rnd);
}

/* --- owners ----------------------------------------------------------------------------------- */

static int match_owner(struct cds_lfht_node *node, const void *key)
{
    return hs_container_of(node, struct owner, node)->ref == *(const uint64_t *)key;
}

struct owner *hs_owner_find(struct hs *hs, uint64_t ref)
{
    struct cds_lfht_iter iter;
    urcu_bp_read_lock();
    cds_lfht_lookup(hs->owners, hash_number(hs, ref), match_owner, &ref, &iter);
    urcu_bp_read_unlock();
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node != NULL ? hs_container_of(node, struct owner, node) : NULL;
}

bool hs_owner_get(struct hs *hs, uint64_t ref, struct owner **ret)
{
    *ret = NULL;
    if (ref == 0) {
        return true;
    }
    struct owner *owner = hs_owner_find(hs, ref);
    if (owner == NULL) {
        owner = calloc(1, sizeof(*owner));
        if (owner == NULL) {
            return false;
        }
        owner->ref = ref;
        urcu_bp_read_lock();
        cds_lfht_add(hs->owners, hash_number(hs, ref), &owner->node);
        urcu_bp_read_unlock();
    }
    *ret = owner;
    return true;
}

static void owner_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct owner, rcu));
}

void hs_owner_put(struct hs *hs, struct owner *owner)
{
    if (owner == NULL || owner->first != NULL) {
        return;
    }
    urcu_bp_read_lock();
    (void)cds_lfht_del(hs->owners, &owner->node);
    urcu_bp_read_unlock();
    hs_defer(&owner->rcu, owner_release);
}

void hs_owner_add(struct owner *owner, struct element *element)
{
    if (owner == NULL) {
        return;
    }
    element->link.owner.prev = owner->last;
    element->link.owner.next = NULL;
    *(owner->last != NULL ? &owner->last->link.owner.next : &owner->first) = element;
    owner->last = element;
}

void hs_owner_remove(struct hs *hs, struct element *element)
{
    if (element->pub.owner_ref == 0) {
        return;
    }
    struct element *prev = element->link.owner.prev;
    struct element *next = element->link.owner.next;
    struct owner *owner = NULL;
    if (prev == NULL || next == NULL) {
        owner = hs_owner_find(hs, element->pub.owner_ref);
    }
    *(prev != NULL ? &prev->link.owner.next : &owner->first) = next;
    *(next != NULL ? &next->link.owner.prev : &owner->last) = prev;
    hs_owner_put(hs, owner);
}

void hs_owner_replace(struct hs *hs, struct element *old, struct element *element)
{
    if (element->pub.owner_ref == 0) {
        return;
    }
    struct element *prev = old->link.owner.prev;
    struct element *next = old->link.owner.next;
    struct owner *owner = NULL;
    if (prev == NULL || next == NULL) {
        owner = hs_owner_find(hs, element->pub.owner_ref);
    }
    element->link.owner.prev = prev;
    element->link.owner.next = next;
    *(prev != NULL ? &prev->link.owner.next : &owner->first) = element;
    *(next != NULL ? &next->link.owner.prev : &owner->last) = element;
}

/* The first element of the owner that came to it after the cursor's. */
static const struct element *owner_after(struct hs *hs, const struct owner *owner,
                                         const struct hs_cursor *cursor)
{
    struct pool_handle handle = {.octets = cursor->handle, .len = cursor->handle_len};
    urcu_bp_read_lock();
    const struct hs_element *found = hs_find(hs, handle, cursor->pe_id);
    urcu_bp_read_unlock();
    const struct element *last = element_of(found);
    if (last != NULL && last->pub.owner_ref == owner->ref && last->seq == cursor->seq) {
        return last->link.owner.next;
    }
    /* It has gone: as a rule so have those before it. */
    const struct element *element = owner->first;
    while (element != NULL && element->seq <= cursor->seq) {
        element = element->link.owner.next;
    }
    return element;
}

const struct hs_element *hs_owner_next(struct hs *hs, uint64_t owner_ref, struct hs_cursor *cursor)
{
    struct owner *owner = owner_ref != 0 ? hs_owner_find(hs, owner_ref) : NULL;
    if (owner == NULL) {
        return NULL;
    }
    const struct element *element = cursor->started ? owner_after(hs, owner, cursor) : owner->first;
    if (element == NULL) {
        return NULL;
    }
    hs_cursor_set(cursor, *element->pub.handle, element->pub.pe_id);
    cursor->seq = element->seq;
    return &element->pub;
}

/* --- homes ------------------------------------------------------------------------------------ */

static int match_home(struct cds_lfht_node *node, const void *key)
{
    hs_note_acquire(table);
    return hs_container_of(node, struct home, node)->id == *(const uint32_t *)key;
}

struct home *hs_home_find(struct hs *hs, uint32_t id)
{
    struct cds_lfht_iter iter;
    urcu_bp_read_lock();
    cds_lfht_lookup(hs->homes, hash_number(hs, id), match_home, &id, &iter);
    urcu_bp_read_unlock();
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node != NULL ? hs_container_of(node, struct home, node) : NULL;
}

bool hs_home_get(struct hs *hs, uint32_t id, struct home **ret)
{
    struct home *home = hs_home_find(hs, id);
    if (home == NULL) {
        home = calloc(1, sizeof(*home));
        if (home == NULL) {
            return false;
        }
        home->id = id;
        hs_note_release(table);
        urcu_bp_read_lock();
        cds_lfht_add(hs->homes, hash_number(hs, id), &home->node);
        urcu_bp_read_unlock();
    }
    *ret = home;
    return true;
}

static void home_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct home, rcu));
}

void hs_home_put(struct hs *hs, struct home *home)
{
    if (home == NULL || home->count > 0) {
        return;
    }
    urcu_bp_read_lock();
    (void)cds_lfht_del(hs->homes, &home->node);
    urcu_bp_read_unlock();
    hs_defer(&home->rcu, home_release);
}

uint64_t hs_element_sum(const struct element *element)
{
    uint32_t id = element->pub.pe_id;
    return (uint64_t)element_pool(element)->handle_sum + (id >> 16) + (id & 0xffff);
}

void hs_home_add(struct home *home, struct element *element)
{
    element->home_prev = home->last;
    element->home_next = NULL;
    *(home->last != NULL ? &home->last->home_next : &home->first) = element;
    home->last = element;
    (void)__atomic_fetch_add(&home->count, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_add(&home->sum, hs_element_sum(element), __ATOMIC_RELAXED);
}

void hs_home_remove(struct hs *hs, const struct element *element)
{
    struct home *home = hs_home_find(hs, element->pub.home_id);
    struct element *prev = element->home_prev;
    struct element *next = element->home_next;
    *(prev != NULL ? &prev->home_next : &home->first) = next;
    *(next != NULL ? &next->home_prev : &home->last) = prev;
    (void)__atomic_fetch_sub(&home->count, 1, __ATOMIC_RELAXED);
    (void)__atomic_fetch_sub(&home->sum, hs_element_sum(element), __ATOMIC_RELAXED);
    hs_home_put(hs, home);
}

void hs_home_replace(struct home *home, const struct element *old, struct element *element)
{
    struct element *prev = old->home_prev;
    struct element *next = old->home_next;
    element->home_prev = prev;
    element->home_next = next;
    *(prev != NULL ? &prev->home_next : &home->first) = element;
    *(next != NULL ? &next->home_prev : &home->last) = element;
}

/* The first element of the home that came to it after the cursor's. */
static const struct element *home_after(struct hs *hs, const struct home *home,
                                        const struct hs_cursor *cursor)
{
    struct pool_handle handle = {.octets = cursor->handle, .len = cursor->handle_len};
    urcu_bp_read_lock();
    const struct hs_element *found = hs_find(hs, handle, cursor->pe_id);
    urcu_bp_read_unlock();
    const struct element *last = element_of(found);
    if (last != NULL && last->pub.home_id == home->id && last->seq == cursor->seq) {
        return last->home_next;
    }
    /* It has gone. */
    const struct element *element = home->first;
    while (element != NULL && element->seq <= cursor->seq) {
        element = element->home_next;
    }
    return element;
}

const struct hs_element *hs_home_next(struct hs *hs, uint32_t home_id, struct hs_cursor *cursor)
{
    struct home *home = hs_home_find(hs, home_id);
    if (home == NULL) {
        return NULL;
    }
    const struct element *element = cursor->started ? home_after(hs, home, cursor) : home->first;
    if (element == NULL) {
        return NULL;
    }
    hs_cursor_set(cursor, *element->pub.handle, element->pub.pe_id);
    cursor->seq = element->seq;
    return &element->pub;
}

uint32_t hs_home_count(struct hs *hs, uint32_t home_id)
{
    const struct home *home = hs_home_find(hs, home_id);
    return home != NULL ? __atomic_load_n(&home->count, __ATOMIC_RELAXED) : 0;
}

uint16_t hs_checksum(struct hs *hs, uint32_t home_id)
{
    struct home *home = hs_home_find(hs, home_id);
    uint64_t sum = home != NULL ? __atomic_load_n(&home->sum, __ATOMIC_RELAXED) : 0;
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* --- the end ---------------------------------------------------------------------------------- */

void hs_tables_free(struct hs *hs)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    if (hs->owners != NULL) {
        cds_lfht_for_each(hs->owners, &iter, node)
        {
            struct owner *owner = hs_container_of(node, struct owner, node);
            (void)cds_lfht_del(hs->owners, &owner->node);
            hs_defer(&owner->rcu, owner_release);
        }
        (void)cds_lfht_destroy(hs->owners, NULL);
    }
    if (hs->homes != NULL) {
        cds_lfht_for_each(hs->homes, &iter, node)
        {
            struct home *home = hs_container_of(node, struct home, node);
            (void)cds_lfht_del(hs->homes, &home->node);
            hs_defer(&home->rcu, home_release);
        }
        (void)cds_lfht_destroy(hs->homes, NULL);
    }
}
