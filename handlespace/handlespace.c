/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The writer: elements join, change and leave. Each change is prepared in full, which may fail for
 * want of memory, before anything is done that readers could see.
 */
#include "handlespace/internal.h"

#include <stdlib.h>
#include <string.h>

struct hs *hs_new(const struct hs_limits *limits, uint64_t seed)
{
    struct hs *hs = calloc(1, sizeof(*hs));
    if (hs == NULL) {
        return NULL;
    }
    struct rnd rnd;
    rnd_seed(&rnd, seed);
    hs->limits = *limits;
    hs->hash_seed = rnd_next(&rnd);
    for (int i = 0; i < RND_STRIPES; i++) {
        hs->rnd[i].state = rnd_next(&rnd);
    }
    const int flags = CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING;
    hs->pools = cds_lfht_new_flavor(16, 16, 0, flags, &urcu_bp_flavor, NULL);
    hs->owners = cds_lfht_new_flavor(16, 16, 0, flags, &urcu_bp_flavor, NULL);
    hs->homes = cds_lfht_new_flavor(16, 16, 0, flags, &urcu_bp_flavor, NULL);
    if (hs->pools == NULL || hs->owners == NULL || hs->homes == NULL) {
        hs_free(hs);
        return NULL;
    }
    return hs;
}

struct hs *hs_new_cache(const struct hs_limits *limits, uint64_t seed)
{
    struct hs *hs = hs_new(limits, seed);
    if (hs != NULL) {
        hs->cache = true;
    }
    return hs;
}

static void pool_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct pool, rcu));
}

static void pool_free_all(struct hs *hs, struct pool *pool)
{
    hs_order_free(pool);
    struct element *element;
    uint32_t pe_id = 0;
    while ((element = hs_index_next(pool, pe_id)) != NULL) {
        pe_id = element->pub.pe_id;
        free(element);
    }
    hs_index_free(pool);
    tree_free(pool->order);
    (void)cds_lfht_del(hs->pools, &pool->node);
    hs_defer(&pool->rcu, pool_release);
}

void hs_free(struct hs *hs)
{
    if (hs == NULL) {
        return;
    }
    urcu_bp_read_lock();
    for (uint32_t i = 0; i < tree_count(hs->by_handle); i++) {
        pool_free_all(hs, tree_at(hs->by_handle, i, NULL));
    }
    urcu_bp_read_unlock();
    tree_free(hs->by_handle);
    if (hs->pools != NULL) {
        (void)cds_lfht_destroy(hs->pools, NULL);
    }
    hs_tables_free(hs);
    free(hs->heap);
    urcu_bp_barrier();
    hs_note_acquire(called);
    tree_store_done(&hs->nodes);
    free(hs);
}

/* --- registration ------------------------------------------------------------------------------
 */

static bool transport_valid(const struct transport *t)
{
    switch (t->protocol) {
    case TRANSPORT_OPAQUE:
        return t->opaque_len > 0 && t->opaque_len <= HS_OPAQUE_MAX && t->address_count == 0;
    case TRANSPORT_DCCP:
    case TRANSPORT_SCTP:
    case TRANSPORT_TCP:
    case TRANSPORT_UDP:
    case TRANSPORT_UDPLITE:
        return t->port != 0 && t->address_count > 0 && t->address_count <= HS_ADDRESSES_MAX;
    case TRANSPORT_NONE:
        break;
    }
    return false;
}

static bool element_valid(struct pool_handle handle, const struct pool_element *element)
{
    const struct policy_ops *ops = policy_ops_by_type(element->policy.type);
    return handle.len > 0 && handle.len <= POOL_HANDLE_MAX && element->pe_id != 0 && ops != NULL &&
           element->policy.word_count >= ops->info.word_count &&
           element->policy.word_count <= POLICY_WORDS_MAX && transport_valid(&element->user) &&
           element->asap.address_count <= HS_ADDRESSES_MAX;
}

static bool room_for_another(const struct hs *hs, const struct pool *pool)
{
    const struct hs_limits *max = &hs->limits;
    if (max->elements != 0 && hs->element_count >= max->elements) {
        return false;
    }
    if (pool == NULL) {
        return max->pools == 0 || hs->pool_count < max->pools;
    }
    return max->elements_per_pool == 0 || pool->elements < max->elements_per_pool;
}

static enum hs_result fits_pool(const struct pool *pool, const struct pool_element *element)
{
    if (element->policy.type != pool->ops->info.type) {
        return HS_INCONSISTENT_POLICY;
    }
    if (element->user.protocol != pool->protocol) {
        return HS_INCONSISTENT_TRANSPORT;
    }
    return element->user.use == pool->use ? HS_UPDATED : HS_INCONSISTENT_USE;
}

/* A pool takes policy, transport and its use from its first element. Not yet published. */
static struct pool *pool_new(struct pool_handle handle, const struct pool_element *first)
{
    struct pool *pool = calloc(1, sizeof(*pool) + handle.len);
    if (pool == NULL) {
        return NULL;
    }
    pool->ops = policy_ops_by_type(first->policy.type);
    pool->protocol = first->user.protocol;
    pool->use = first->user.use;
    memcpy(pool->handle, handle.octets, handle.len);
    pool->name = (struct pool_handle){.octets = pool->handle, .len = handle.len};
    pool->prefix = hs_handle_prefix(handle);
    for (uint16_t i = 0; i < handle.len; i++) {
        pool->handle_sum += i % 2 == 0 ? (uint32_t)handle.octets[i] << 8 : handle.octets[i];
    }
    return pool;
}

/* One change of a pool, prepared. */
struct change {
    struct pool *pool;
    struct element *old, *element; /* NULL: joins / leaves */
    struct owner *owner;
    struct home *home;
    struct order_edit order;
    struct index_slot index;
    struct tree_edit pools;
    bool pool_comes, pool_goes;
};

static int edit_pools(struct hs *hs, struct change *c)
{
    struct pool_handle handle = pool_name(c->pool);
    uint32_t rank = tree_rank(hs->by_handle, c->pool->prefix, hs_handle_tie, &handle, false);
    return tree_edit(&c->pools, &hs->nodes, hs->by_handle, &tree_plain, rank, c->pool_goes ? 1 : 0,
                     c->pool->prefix, c->pool_comes ? c->pool : NULL);
}

static bool edit_index(struct change *c)
{
    uint32_t pe_id = c->element != NULL ? c->element->pub.pe_id : c->old->pub.pe_id;
    return hs_index_prepare(c->pool, pe_id, c->old == NULL, &c->index);
}

/* Everything that may fail. False: memory is out, nothing has changed. */
static bool change_prepare(struct hs *hs, struct change *c)
{
    c->owner = NULL;
    c->home = NULL;
    c->pool_comes = c->old == NULL && c->pool->elements == 0;
    c->pool_goes = c->element == NULL && c->pool->elements == 1;
    if (c->element != NULL &&
        (!hs_heap_reserve(hs) || !hs_owner_get(hs, c->element->pub.owner_ref, &c->owner) ||
         !hs_home_get(hs, c->element->pub.home_id, &c->home))) {
        hs_owner_put(hs, c->owner);
        return false;
    }
    if (hs_order_edit(&c->order, c->pool, c->old, c->element) == 0) {
        if (edit_index(c) && ((!c->pool_comes && !c->pool_goes) || edit_pools(hs, c) == 0)) {
            return true;
        }
        hs_order_abort(&c->order);
    }
    hs_owner_put(hs, c->owner);
    hs_home_put(hs, c->home);
    return false;
}

/* An element that gets another owner or home goes to the end of both lists: one number orders it.
 */
static void commit_ownership(struct hs *hs, struct change *c)
{
    if (c->old != NULL && c->element != NULL &&
        c->old->pub.owner_ref == c->element->pub.owner_ref &&
        c->old->pub.home_id == c->element->pub.home_id) {
        c->element->seq = c->old->seq;
        hs_owner_replace(hs, c->old, c->element);
        hs_home_replace(c->home, c->old, c->element);
        return;
    }
    if (c->element != NULL) {
        c->element->seq = ++hs->next_seq;
        hs_owner_add(c->owner, c->element);
        hs_home_add(c->home, c->element);
    }
    if (c->old != NULL) {
        hs_owner_remove(hs, c->old);
        hs_home_remove(hs, c->old);
    }
}

static void commit_pools(struct hs *hs, struct change *c)
{
    struct pool *pool = c->pool;
    tree_commit(&c->pools);
    urcu_bp_read_lock();
    if (c->pool_comes) {
        hs_note_release(table);
        cds_lfht_add(hs->pools, hs_hash_handle(hs, pool_name(pool)), &pool->node);
    } else {
        (void)cds_lfht_del(hs->pools, &pool->node);
    }
    urcu_bp_read_unlock();
    hs_publish(hs->by_handle, c->pools.root);
    tree_retire(&c->pools);
    uint32_t count = hs->pool_count + (c->pool_comes ? 1 : -1u);
    __atomic_store_n(&hs->pool_count, count, __ATOMIC_RELAXED);
    if (c->pool_goes) {
        hs_index_retire(pool);
        hs_defer(&pool->rcu, pool_release);
    }
}

static void change_commit(struct hs *hs, struct change *c)
{
    commit_ownership(hs, c); /* first: its number stands beside what readers read */
    hs_order_commit(&c->order, c->pool, c->element);
    hs_index_commit(c->pool, c->index, c->element);
    if (c->old != NULL) {
        hs_heap_remove(hs, c->old);
        hs_element_retire(c->old);
    }
    if (c->element != NULL) {
        hs_heap_add(hs, c->element);
    }
    if (c->old == NULL || c->element == NULL) {
        uint32_t more = c->old == NULL ? 1 : -1u;
        __atomic_store_n(&hs->element_count, hs->element_count + more, __ATOMIC_RELAXED);
        __atomic_store_n(&c->pool->elements, c->pool->elements + more, __ATOMIC_RELAXED);
    }
    if (c->pool_comes || c->pool_goes) {
        commit_pools(hs, c);
    }
}

static struct pool *find_pool(struct hs *hs, struct pool_handle handle)
{
    urcu_bp_read_lock();
    struct pool *pool = hs_find_pool(hs, handle);
    urcu_bp_read_unlock();
    return pool;
}

enum hs_result hs_register(struct hs *hs, struct pool_handle handle,
                           const struct pool_element *element, int64_t life_ms, uint64_t owner_ref,
                           struct tm_us now)
{
    struct change c = {0};
    if (!element_valid(handle, element)) {
        return HS_INVALID;
    }
    c.pool = find_pool(hs, handle);
    c.old = c.pool != NULL ? hs_index_find(c.pool, element->pe_id) : NULL;
    if (c.old == NULL && !room_for_another(hs, c.pool)) {
        return HS_NO_RESOURCES;
    }
    enum hs_result fits = c.pool != NULL ? fits_pool(c.pool, element) : HS_UPDATED;
    if (fits != HS_UPDATED) {
        return fits;
    }
    struct pool *fresh_pool = c.pool == NULL ? pool_new(handle, element) : NULL;
    if (c.pool == NULL) {
        c.pool = fresh_pool;
    }
    if (fresh_pool != NULL) {
        fresh_pool->cache = hs->cache;
        fresh_pool->nodes = &hs->nodes;
    }
    c.element = c.pool != NULL ? hs_element_new(c.pool, element) : NULL;
    if (c.element != NULL) {
        c.element->pub.life_ms = life_ms < 0 || life_ms > HS_LIFE_MAX_MS ? -1 : life_ms;
        c.element->pub.registered = now;
        c.element->pub.owner_ref = owner_ref;
    }
    if (c.element == NULL || !change_prepare(hs, &c)) {
        free(c.element);
        if (fresh_pool != NULL) {
            hs_index_free(fresh_pool);
        }
        free(fresh_pool);
        return HS_NO_RESOURCES;
    }
    change_commit(hs, &c);
    return c.old != NULL ? HS_UPDATED : HS_ADDED;
}

enum hs_result hs_deregister(struct hs *hs, struct pool_handle handle, uint32_t pe_id)
{
    struct change c = {.pool = find_pool(hs, handle)};
    c.old = c.pool != NULL ? hs_index_find(c.pool, pe_id) : NULL;
    if (c.old == NULL) {
        return HS_UNKNOWN;
    }
    if (!change_prepare(hs, &c)) {
        return HS_NO_RESOURCES;
    }
    change_commit(hs, &c);
    return HS_REMOVED;
}

enum hs_result hs_set_home(struct hs *hs, struct pool_handle handle, uint32_t pe_id,
                           uint32_t home_id, uint64_t owner_ref)
{
    struct change c = {.pool = find_pool(hs, handle)};
    c.old = c.pool != NULL ? hs_index_find(c.pool, pe_id) : NULL;
    if (c.old == NULL) {
        return HS_UNKNOWN;
    }
    c.element = hs_element_clone(c.old);
    if (c.element == NULL) {
        return HS_NO_RESOURCES;
    }
    c.element->pub.home_id = home_id;
    c.element->pub.owner_ref = owner_ref;
    if (!change_prepare(hs, &c)) {
        free(c.element);
        return HS_NO_RESOURCES;
    }
    change_commit(hs, &c);
    return HS_UPDATED;
}
