/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The invariants of the whole structure, for tests, fuzzing and debug builds. */
#include "handlespace/internal.h"

static int tie_pools(const void *a, const void *b)
{
    struct pool_handle handle = pool_name(a);
    return hs_handle_tie(&handle, b);
}

static const char *check_element(struct hs *hs, struct pool *pool, const struct element *element)
{
    if (element_pool(element) != pool) {
        return "an element belongs to another pool";
    }
    if (tree_at(pool->order, tree_rank_of(element->leaf, element), NULL) != element) {
        return "an element is not where its anchor says";
    }
    if ((element->heap_index == HEAP_NONE) != tm_is_never(hs_expires(&element->pub)) ||
        (element->heap_index != HEAP_NONE &&
         (element->heap_index >= hs->heap_n || hs->heap[element->heap_index] != element))) {
        return "an element is not in the expiry heap";
    }
    if (hs_home_find(hs, element->pub.home_id) == NULL) {
        return "an element without home";
    }
    return NULL;
}

static const char *check_pool(struct hs *hs, struct pool *pool, uint32_t *elements)
{
    uint32_t n = 0;
    const char *wrong = hs_index_check(pool);
    if (wrong == NULL) {
        wrong = hs_order_check(pool);
    }
    if (wrong == NULL && hs_find_pool(hs, pool_name(pool)) != pool) {
        wrong = "a pool is not found by its handle";
    }
    const struct element *element;
    uint32_t pe_id = 0;
    for (; wrong == NULL && (element = hs_index_next(pool, pe_id)) != NULL; n++) {
        wrong = check_element(hs, pool, element);
        pe_id = element->pub.pe_id;
    }
    if (wrong == NULL && (n == 0 || n != pool->elements || n != tree_count(pool->order))) {
        wrong = "a pool is empty, or its trees differ in size";
    }
    *elements += n;
    return wrong;
}

/* Every list is whole, and together they hold every element that has an owner. */
static const char *check_owners(struct hs *hs)
{
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    uint32_t listed = 0;
    uint32_t owned = 0;
    cds_lfht_for_each(hs->owners, &iter, node)
    {
        const struct owner *owner = hs_container_of(node, struct owner, node);
        const struct element *prev = NULL;
        if (owner->first == NULL) {
            return "an owner without elements";
        }
        for (const struct element *e = owner->first; e != NULL; e = e->link.owner.next) {
            if (e->link.owner.prev != prev || e->pub.owner_ref != owner->ref ||
                (prev != NULL && prev->seq >= e->seq)) {
                return "an owner's list is broken";
            }
            listed++;
            prev = e;
        }
        if (owner->last != prev) {
            return "an owner's list has another end";
        }
    }
    struct hs_cursor cursor = {0};
    for (const struct hs_element *e; (e = hs_element_next(hs, &cursor)) != NULL;) {
        owned += e->owner_ref != 0 ? 1 : 0;
    }
    return listed == owned ? NULL : "an element is not in its owner's list";
}

/* The list of a home is whole. */
static const char *check_home_list(const struct home *home)
{
    uint32_t listed = 0;
    const struct element *prev = NULL;
    for (const struct element *e = home->first; e != NULL; e = e->home_next) {
        if (e->home_prev != prev || e->pub.home_id != home->id ||
            (prev != NULL && prev->seq >= e->seq)) {
            return "a home's list is broken";
        }
        listed++;
        prev = e;
    }
    return home->last == prev && listed == home->count ? NULL : "a home's list is incomplete";
}

static const char *check_home(struct hs *hs, const struct home *home)
{
    uint64_t sum = 0;
    uint32_t count = 0;
    struct hs_cursor cursor = {0};
    for (const struct hs_element *e; (e = hs_element_next(hs, &cursor)) != NULL;) {
        if (e->home_id == home->id) {
            count++;
            sum += hs_element_sum(element_of(e));
        }
    }
    if (sum != home->sum || count != home->count || count == 0) {
        return "a home's checksum does not match its elements";
    }
    return check_home_list(home);
}

static const char *check_all(struct hs *hs)
{
    uint32_t elements = 0;
    const char *wrong = tree_check(hs->by_handle, &tree_plain, tie_pools);
    for (uint32_t i = 0; i < tree_count(hs->by_handle) && wrong == NULL; i++) {
        wrong = check_pool(hs, tree_at(hs->by_handle, i, NULL), &elements);
    }
    if (wrong == NULL &&
        (elements != hs->element_count || tree_count(hs->by_handle) != hs->pool_count)) {
        wrong = "a total is wrong";
    }
    if (wrong == NULL) {
        wrong = hs_heap_check(hs);
    }
    if (wrong == NULL) {
        wrong = check_owners(hs);
    }
    struct cds_lfht_iter iter;
    struct cds_lfht_node *node;
    if (wrong == NULL) {
        cds_lfht_for_each(hs->homes, &iter, node)
        {
            const struct home *home = hs_container_of(node, struct home, node);
            wrong = wrong == NULL ? check_home(hs, home) : wrong;
        }
    }
    return wrong;
}

bool hs_check(struct hs *hs, const char **ret_reason)
{
    urcu_bp_read_lock();
    const char *wrong = check_all(hs);
    urcu_bp_read_unlock();
    if (wrong != NULL && ret_reason != NULL) {
        *ret_reason = wrong;
    }
    return wrong == NULL;
}
