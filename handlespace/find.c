/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading: read sections, lookups, selection, and cursors that survive changes. */
#include "handlespace/internal.h"

#include <string.h>

#ifdef RSP_TSAN
char hs_tsan_grace, hs_tsan_table, hs_tsan_called;
#endif

/* Which of the random number streams this thread draws from. */
static uint32_t threads_seen;
static _Thread_local uint32_t thread_stripe;

void hs_thread_register(void)
{
    urcu_bp_register_thread();
    thread_stripe = __atomic_fetch_add(&threads_seen, 1, __ATOMIC_RELAXED) % RND_STRIPES;
}

void hs_thread_unregister(void)
{
    urcu_bp_unregister_thread();
}

void hs_read_begin(void)
{
    urcu_bp_read_lock();
}

void hs_read_end(void)
{
    hs_note_release(grace);
    urcu_bp_read_unlock();
}

static uint64_t mix(uint64_t z)
{
    struct rnd rnd;
    rnd_seed(&rnd, z);
    return rnd_next(&rnd);
}

unsigned long hs_hash_handle(const struct hs *hs, struct pool_handle handle)
{
    uint64_t hash = hs->hash_seed ^ handle.len;
    for (uint16_t i = 0; i < handle.len; i += 8) {
        uint64_t word = 0;
        size_t left = handle.len - (size_t)i;
        memcpy(&word, handle.octets + i, left < sizeof(word) ? left : sizeof(word));
        hash = mix(hash ^ word);
    }
    return (unsigned long)hash;
}

uint64_t hs_handle_prefix(struct pool_handle handle)
{
    uint64_t prefix = 0;
    for (uint16_t i = 0; i < 8; i++) {
        prefix = prefix << 8 | (i < handle.len ? handle.octets[i] : 0);
    }
    return prefix;
}

int hs_handle_tie(const void *probe, const void *item)
{
    const struct pool_handle *a = probe;
    struct pool_handle b = pool_name(item);
    uint16_t shorter = a->len < b.len ? a->len : b.len;
    int order = shorter > 0 ? memcmp(a->octets, b.octets, shorter) : 0;
    return order != 0 ? order : (int)a->len - (int)b.len;
}

static int match_handle(struct cds_lfht_node *node, const void *key)
{
    hs_note_acquire(table);
    const struct pool *pool = hs_container_of(node, struct pool, node);
    return pool_handle_equal(pool_name(pool), *(const struct pool_handle *)key);
}

struct pool *hs_find_pool(struct hs *hs, struct pool_handle handle)
{
    struct cds_lfht_iter iter;
    cds_lfht_lookup(hs->pools, hs_hash_handle(hs, handle), match_handle, &handle, &iter);
    struct cds_lfht_node *node = cds_lfht_iter_get_node(&iter);
    return node != NULL ? hs_container_of(node, struct pool, node) : NULL;
}

const struct hs_element *hs_find(struct hs *hs, struct pool_handle handle, uint32_t pe_id)
{
    struct pool *pool = hs_find_pool(hs, handle);
    const struct element *element = pool != NULL ? hs_index_find(pool, pe_id) : NULL;
    return element != NULL ? &element->pub : NULL;
}

static void fill_info(const struct pool *pool, struct hs_pool_info *ret)
{
    *ret = (struct hs_pool_info){.handle = pool_name(pool),
                                 .policy_type = pool->ops->info.type,
                                 .protocol = pool->protocol,
                                 .use = pool->use,
                                 .elements = __atomic_load_n(&pool->elements, __ATOMIC_RELAXED)};
}

bool hs_pool(struct hs *hs, struct pool_handle handle, struct hs_pool_info *ret)
{
    struct pool *pool = hs_find_pool(hs, handle);
    if (pool == NULL) {
        return false;
    }
    fill_info(pool, ret);
    return true;
}

size_t hs_select(struct hs *hs, struct pool_handle handle, size_t count, hs_filter_fn filter,
                 void *ctx, const struct hs_element **ret)
{
    struct pool *pool = hs_find_pool(hs, handle);
    if (pool == NULL || count == 0) {
        return 0;
    }
    /* The sequence of SplitMix64 is a counter; each selection starts a sequence of its own. */
    uint64_t *state = &hs->rnd[thread_stripe].state;
    uint64_t draw = __atomic_add_fetch(state, 0x9e3779b97f4a7c15u, __ATOMIC_RELAXED);
    struct policy_choice choice = {.ops = pool->ops,
                                   .order = hs_read_ptr(pool->order),
                                   .turn = &pool->turn,
                                   .filter = filter,
                                   .ctx = ctx,
                                   .count = count,
                                   .ret = ret};
    rnd_seed(&choice.rnd, mix(draw));
    return hs->cache ? policy_select_as_user(&choice) : pool->ops->select(&choice);
}

/* --- cursors ---------------------------------------------------------------------------------- */

static struct pool_handle cursor_handle(const struct hs_cursor *cursor)
{
    return (struct pool_handle){.octets = cursor->handle, .len = cursor->handle_len};
}

void hs_cursor_set(struct hs_cursor *cursor, struct pool_handle handle, uint32_t pe_id)
{
    cursor->started = true;
    cursor->handle_len = handle.len;
    memcpy(cursor->handle, handle.octets, handle.len);
    cursor->pe_id = pe_id;
}

/* The first pool after the handle, or from the handle on. */
static struct pool *pool_from(struct hs *hs, struct pool_handle handle, bool after)
{
    const struct tree_node *root = hs_read_ptr(hs->by_handle);
    uint32_t rank = tree_rank(root, hs_handle_prefix(handle), hs_handle_tie, &handle, after);
    return rank < tree_count(root) ? tree_at(root, rank, NULL) : NULL;
}

bool hs_pool_next(struct hs *hs, struct hs_cursor *cursor, struct hs_pool_info *ret)
{
    struct pool *pool = pool_from(hs, cursor_handle(cursor), cursor->started);
    if (pool == NULL) {
        return false;
    }
    hs_cursor_set(cursor, pool_name(pool), 0);
    fill_info(pool, ret);
    return true;
}

/* The first element of the pool with an id above. */
static const struct hs_element *element_after(struct pool *pool, uint32_t pe_id)
{
    const struct element *element = hs_index_next(pool, pe_id);
    return element != NULL ? &element->pub : NULL;
}

const struct hs_element *hs_element_next(struct hs *hs, struct hs_cursor *cursor)
{
    uint32_t pe_id = cursor->started ? cursor->pe_id : 0;
    struct pool *pool = pool_from(hs, cursor_handle(cursor), false);
    if (pool != NULL && !pool_handle_equal(pool_name(pool), cursor_handle(cursor))) {
        pe_id = 0;
    }
    while (pool != NULL) {
        const struct hs_element *element = element_after(pool, pe_id);
        if (element != NULL) {
            hs_cursor_set(cursor, *element->handle, element->pe_id);
            return element;
        }
        pool = pool_from(hs, pool_name(pool), true);
        pe_id = 0;
    }
    return NULL;
}

const struct hs_element *hs_pool_element_next(struct hs *hs, struct pool_handle handle,
                                              struct hs_cursor *cursor)
{
    struct pool *pool = hs_find_pool(hs, handle);
    const struct hs_element *element =
        pool != NULL ? element_after(pool, cursor->started ? cursor->pe_id : 0) : NULL;
    if (element != NULL) {
        hs_cursor_set(cursor, *element->handle, element->pe_id);
    }
    return element;
}

uint32_t hs_pool_count(const struct hs *hs)
{
    return __atomic_load_n(&hs->pool_count, __ATOMIC_RELAXED);
}

uint32_t hs_element_count(const struct hs *hs)
{
    return __atomic_load_n(&hs->element_count, __ATOMIC_RELAXED);
}
