/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pools this host has to do with, and the cache (asap.md §5.4 C1-C4): a handlespace of its own
 * with what the registrar answered, plus this host's own PEs. An entry is fresh for the stale time;
 * after that it is kept, for the time without registrars, until room is needed.
 *
 * Pools with local PEs or waiting requests are pinned; the others stand in order of use and the
 * oldest makes room. A pool that never existed is not kept at all.
 */
#include "rspd/agent/ag_internal.h"

#include <stdlib.h>
#include <string.h>

#include "handlespace/policy.h"

#define OWN_REF UINT64_MAX /* owner_ref of this host's PEs in the cache */

uint64_t ag_hash(const struct ag *ag, struct pool_handle handle, uint32_t pe_id)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325) ^ ag->hash_seed ^ pe_id;
    for (uint16_t i = 0; i < handle.len; i++) {
        h = (h ^ handle.octets[i]) * UINT64_C(0x100000001b3);
        h ^= h >> 29;
    }
    return h ^ h >> 32;
}

struct ag_pool *ag_pool_find(const struct ag *ag, struct pool_handle handle)
{
    struct ag_pool *p = ag->pool_buckets[ag_hash(ag, handle, 0) % AG_BUCKETS];
    while (p != NULL && !pool_handle_equal(p->handle, handle)) {
        p = p->hash_next;
    }
    return p;
}

static void unlist(struct ag *ag, struct ag_pool *pool)
{
    if (!pool->listed) {
        return;
    }
    *(pool->older != NULL ? &pool->older->newer : &ag->oldest_pool) = pool->newer;
    *(pool->newer != NULL ? &pool->newer->older : &ag->newest_pool) = pool->older;
    pool->older = NULL;
    pool->newer = NULL;
    pool->listed = false;
}

static void list_newest(struct ag *ag, struct ag_pool *pool)
{
    pool->older = ag->newest_pool;
    *(ag->newest_pool != NULL ? &ag->newest_pool->newer : &ag->oldest_pool) = pool;
    ag->newest_pool = pool;
    pool->listed = true;
}

/* Takes every element of a pool out of the cache that `keep` does not want. */
static void drop_elements(struct ag *ag, struct pool_handle handle, const struct asap_message *keep)
{
    if (ag->cache == NULL) {
        return;
    }
    struct hs_cursor cursor = {0};
    for (;;) {
        hs_read_begin();
        const struct hs_element *e = hs_pool_element_next(ag->cache, handle, &cursor);
        uint32_t pe_id = e != NULL ? e->pe_id : 0;
        bool own = e != NULL && e->owner_ref == OWN_REF;
        hs_read_end();
        if (e == NULL) {
            return;
        }
        bool wanted = keep != NULL && own;
        for (uint16_t i = 0; keep != NULL && i < keep->element_count && !wanted; i++) {
            wanted = keep->elements[i].pe_id == pe_id;
        }
        if (!wanted) {
            (void)hs_deregister(ag->cache, handle, pe_id);
        }
    }
}

/* Its timers do not run: nobody waits for it, or the agent ends and takes out no more of them. */
static void pool_free(struct ag *ag, struct ag_pool *pool)
{
    struct ag_pool **at = &ag->pool_buckets[ag_hash(ag, pool->handle, 0) % AG_BUCKETS];
    while (*at != pool) {
        at = &(*at)->hash_next;
    }
    *at = pool->hash_next;
    ag_mark_remove(ag, pool->mark);
    unlist(ag, pool);
    drop_elements(ag, pool->handle, NULL);
    ag_timers_release(&ag->timers, 2);
    ag->pool_count--;
    free(pool);
}

/* The pool unused for longest goes; what resolver threads have used is told by its mark. */
static bool evict(struct ag *ag)
{
    for (uint32_t n = ag->pool_count; n > 0 && ag->oldest_pool != NULL; n--) {
        struct ag_pool *pool = ag->oldest_pool;
        if (!ag_mark_is(pool->mark, AG_MARK_USED)) {
            break;
        }
        ag_mark_set(pool->mark, AG_MARK_USED, false);
        unlist(ag, pool);
        list_newest(ag, pool);
    }
    if (ag->oldest_pool == NULL) {
        return false;
    }
    pool_free(ag, ag->oldest_pool);
    return true;
}

void ag_pool_seen(struct ag_pool *pool)
{
    pool->seen = true;
    ag_mark_set(pool->mark, AG_MARK_SEEN, true);
}

static void set_fresh(struct ag_pool *pool, struct tm_us until)
{
    pool->fresh_until = until;
    ag_mark_at(pool->mark, until);
}

static struct ag_pool *pool_new(struct ag *ag, struct pool_handle handle)
{
    if (ag->pool_count >= AG_POOLS_MAX && !evict(ag)) {
        return NULL;
    }
    struct ag_pool *pool = calloc(1, sizeof(*pool) + handle.len);
    struct ag_mark *mark = pool != NULL ? ag_mark_new(AG_MARK_POOL, handle, 0, NULL) : NULL;
    if (mark == NULL || ag_timers_reserve(&ag->timers, 2) < 0) {
        free(pool);
        free(mark);
        return NULL;
    }
    pool->mark = mark;
    if (handle.len > 0) {
        memcpy(pool->octets, handle.octets, handle.len);
    }
    pool->handle = (struct pool_handle){.octets = pool->octets, .len = handle.len};
    pool->useless.us = INT64_MIN / 2;
    set_fresh(pool, (struct tm_us){INT64_MIN / 2});
    ag_mark_add(ag, mark);
    struct ag_pool **bucket = &ag->pool_buckets[ag_hash(ag, handle, 0) % AG_BUCKETS];
    pool->hash_next = *bucket;
    *bucket = pool;
    ag->pool_count++;
    return pool;
}

struct ag_pool *ag_pool_get(struct ag *ag, struct pool_handle handle)
{
    struct ag_pool *pool = ag_pool_find(ag, handle);
    if (pool == NULL) {
        return pool_new(ag, handle);
    }
    unlist(ag, pool); /* the caller pins it or touches it */
    return pool;
}

void ag_pool_touch(struct ag *ag, struct ag_pool *pool)
{
    unlist(ag, pool);
    if (pool->locals != NULL || pool->waiters != NULL || pool->asking) {
        return;
    }
    if (!pool->seen) {
        pool_free(ag, pool);
        return;
    }
    list_newest(ag, pool);
}

void ag_pools_free(struct ag *ag)
{
    for (uint32_t i = 0; i < AG_BUCKETS; i++) {
        while (ag->pool_buckets[i] != NULL) {
            pool_free(ag, ag->pool_buckets[i]);
        }
    }
    hs_free(ag->cache);
    ag->cache = NULL;
}

void ag_pools_flush(struct ag *ag)
{
    for (uint32_t i = 0; i < AG_BUCKETS && ag->cache != NULL; i++) {
        for (struct ag_pool *p = ag->pool_buckets[i]; p != NULL; p = p->hash_next) {
            drop_elements(ag, p->handle, NULL);
            set_fresh(p, (struct tm_us){INT64_MIN / 2});
        }
    }
}

struct hs *ag_pool_cache(struct ag *ag)
{
    if (ag->cache == NULL) {
        struct hs_limits limits = {.pools = AG_POOLS_MAX,
                                   .elements = AG_CACHE_ELEMENTS_MAX,
                                   .elements_per_pool = AG_CACHE_ELEMENTS_MAX};
        ag->cache = hs_new_cache(&limits, rnd_next(&ag->rnd));
        ag_share(ag);
    }
    return ag->cache;
}

struct hs *ag_cache(struct ag *ag)
{
    return ag->local_hs != NULL ? NULL : ag_pool_cache(ag);
}

/* --- contents -------------------------------------------------------------------------------- */

/*
 * Registers in the cache. The pool's policy is the one of the answer, never an element's,
 * and one this build does not know is served round robin rather than not at all. An entry of
 * another kind is in the way when the pool was made anew meanwhile: it goes.
 */
static void put_element(struct ag *ag, struct pool_handle handle,
                        const struct pool_element *element, uint32_t type, uint64_t ref,
                        struct tm_us now)
{
    struct pool_element e = *element;
    if (e.policy.type != type) {
        e.policy = (struct policy){.type = type};
    }
    const struct policy_info *info = policy_info_by_type(type);
    if (info == NULL) {
        e.policy = (struct policy){.type = POLICY_RR};
        info = policy_info_by_type(POLICY_RR);
    }
    if (info != NULL && e.policy.word_count < info->word_count) {
        e.policy.word_count = info->word_count;
    }
    e.asap = (struct transport){0};
    enum hs_result result = hs_register(ag->cache, handle, &e, -1, ref, now);
    bool in_the_way = result == HS_INCONSISTENT_POLICY || result == HS_INCONSISTENT_TRANSPORT ||
                      result == HS_INCONSISTENT_USE;
    if (in_the_way && ref != OWN_REF) {
        drop_elements(ag, handle, NULL);
        result = hs_register(ag->cache, handle, &e, -1, ref, now);
    }
    if (result == HS_NO_RESOURCES && evict(ag)) {
        (void)hs_register(ag->cache, handle, &e, -1, ref, now);
    }
}

static void put_own(struct ag *ag, const struct ag_local *local, struct tm_us now)
{
    struct hs_pool_info info;
    hs_read_begin();
    bool there = hs_pool(ag->cache, local->pe.handle, &info);
    hs_read_end();
    struct ip_address list[AG_ADDRESSES_MAX];
    uint8_t count = ag_own_addresses(&ag->view, &local->pe, 0, list);
    struct pool_element e = {
        .pe_id = local->pe.pe_id,
        .home_id = ag->home.id,
        .user = {.protocol = local->pe.protocol,
                 .port = local->pe.port,
                 .use = local->pe.protocol == TRANSPORT_SCTP ? local->pe.use : 0,
                 .address_count = count,
                 .addresses = list},
        .policy = local->pe.policy};
    if (e.policy.type == POLICY_NONE) {
        e.policy = (struct policy){.type = there ? info.policy_type : POLICY_RR};
    }
    if (count > 0) {
        put_element(ag, local->pe.handle, &e, e.policy.type, OWN_REF, now);
    }
}

void ag_pool_own(struct ag *ag, const struct ag_local *local, struct tm_us now)
{
    if (ag->local_hs != NULL || ag_pool_cache(ag) == NULL) {
        return;
    }
    if (ag_local_usable(ag, local)) {
        put_own(ag, local, now);
    } else {
        (void)hs_deregister(ag->cache, local->pe.handle, local->pe.pe_id);
    }
}

void ag_pool_update(struct ag *ag, struct ag_pool *pool, const struct asap_message *msg,
                    struct tm_us now)
{
    if (ag_pool_cache(ag) == NULL) {
        set_fresh(pool, tm_add_ms(now, ag->set.stale_cache_ms));
        return;
    }
    drop_elements(ag, pool->handle, msg);
    pool->policy = msg->has_policy ? msg->policy : (struct policy){.type = POLICY_RR}; /* */
    for (uint16_t i = 0; i < msg->element_count; i++) {
        put_element(ag, pool->handle, &msg->elements[i], pool->policy.type, 0, now);
    }
    if (msg->element_count > 0) {
        ag_pool_seen(pool);
    }
    ag_suspects_answer(ag, msg);
    for (const struct ag_local *l = pool->locals; l != NULL; l = l->pool_next) {
        ag_pool_own(ag, l, now);
    }
    set_fresh(pool, tm_add_ms(now, ag->set.stale_cache_ms)); /* for resolver threads too, now */
}
