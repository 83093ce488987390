/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The order of a pool's elements: rings of equal sort keys, best key first, and the selection of
 * the policies that follow it.
 *
 * A ring's head is turn % size. Readers advance it by adding to `turn`; the writer, when the size
 * changes, adds what keeps the head at the same element. A reader that runs meanwhile may combine
 * the turn of one size with the order of another: one selection then starts elsewhere in the ring,
 * for each change that happens during it. With readers side by side, each gets its own turn; one
 * that skips refused elements moves the head on a moment later, so as many selections as there are
 * readers at work may meet the same element. One reader alone is exact.
 */
#include "handlespace/internal.h"

#include <errno.h>
#include <stdlib.h>

/* Standings are (value << 32 | clock). */
#define CLOCK_LATE  (UINT64_C(1) << 31)
#define CLOCK_SHIFT 20

static uint64_t element_key(const struct pool *pool, const struct element *element)
{
    /* With a step the key is where the standing begins; the tree is in order of arrival. */
    if (pool->ops->key == NULL || pool->ops->step != NULL) {
        return 0;
    }
    struct policy policy = hs_policy(&element->pub);
    return pool->ops->key(&policy);
}

static bool has_rings(const struct pool *pool)
{
    return pool->ops->select == policy_select_ordered;
}

static uint64_t element_fold(const void *item)
{
    const struct element *element = item;
    const struct policy_ops *ops = element_pool(element)->ops;
    if (ops->step != NULL) {
        return __atomic_load_n(&element->standing, __ATOMIC_RELAXED);
    }
    struct policy policy = hs_policy(&element->pub);
    return ops->weight(&policy);
}

static const struct tree_kind *order_kind(const struct policy_ops *ops)
{
    static const struct tree_kind plain = {.slot = hs_element_slot};
    static const struct tree_kind sum = {hs_element_slot, TREE_SUM, element_fold};
    static const struct tree_kind least = {hs_element_slot, TREE_LEAST, element_fold};
    return ops->weight != NULL ? &sum : ops->step != NULL ? &least : &plain;
}

/* A ring as it stands in one state of the order. */
struct stretch {
    uint32_t from, size;
};

static struct stretch stretch_of(const struct tree_node *order, uint64_t key)
{
    uint32_t from = tree_rank(order, key, NULL, NULL, false);
    return (struct stretch){.from = from, .size = tree_rank(order, key, NULL, NULL, true) - from};
}

/* --- the writer ------------------------------------------------------------------------------ */

static uint64_t turn_of(const struct ring *ring)
{
    return __atomic_load_n(&ring->turn, __ATOMIC_RELAXED);
}

/* The ring that the newcomer joins, and its place there: just behind the head. */
static int join_ring(struct order_edit *edit, struct pool *pool, struct stretch s, uint32_t *rank)
{
    struct element *first = tree_at(pool->order, s.from, NULL);
    *rank = s.from + s.size;
    if (s.size == 1) {
        edit->fresh_ring = calloc(1, sizeof(*edit->fresh_ring));
        edit->ring = edit->fresh_ring;
        edit->partner = first;
        return edit->fresh_ring != NULL ? 0 : -ENOMEM;
    }
    edit->ring = first->ring;
    uint64_t turn = turn_of(edit->ring);
    uint32_t head = (uint32_t)(turn % s.size);
    /* Before the head in the tree, or at the far end. */
    if (head > 0) {
        *rank = s.from + head;
    }
    edit->grown = edit->ring;
    edit->grown_by = (head > 0 ? head + 1 : 0) - turn;
    return 0;
}

static int prepare_join(struct order_edit *edit, struct pool *pool, struct element *element)
{
    uint64_t key = element_key(pool, element);
    struct stretch s = stretch_of(pool->order, key);
    uint32_t rank = s.from + s.size;
    if (has_rings(pool) && s.size > 0 && join_ring(edit, pool, s, &rank) < 0) {
        return -ENOMEM;
    }
    int result = tree_edit(&edit->put, pool->nodes, pool->order, order_kind(pool->ops), rank, 0,
                           key, element);
    if (result < 0) {
        free(edit->fresh_ring);
    }
    return result;
}

/* Takes `old` out of `from`, where it stands at `rank`. */
static int prepare_leave(struct order_edit *edit, struct tree_edit *cut, struct tree_node *from,
                         struct pool *pool, struct element *old, uint32_t rank)
{
    struct stretch s = stretch_of(from, element_key(pool, old));
    if (has_rings(pool) && s.size == 2) {
        edit->stale_ring = old->ring;
        edit->survivor = tree_at(from, rank == s.from ? rank + 1 : s.from, NULL);
    } else if (has_rings(pool) && s.size > 2) {
        uint64_t turn = turn_of(old->ring);
        uint32_t head = (uint32_t)(turn % s.size);
        uint32_t place = rank - s.from;
        uint32_t target = place < head ? head - 1 : head % (s.size - 1);
        edit->shrunk = old->ring;
        edit->shrunk_by = target - turn;
    }
    return tree_edit(cut, pool->nodes, from, order_kind(pool->ops), rank, 1, 0, NULL);
}

/* --- policies with a step: standings --- */

/*
 * The clock that breaks ties counts selections; long before 32 bits are used up all its readings
 * are divided, which keeps their order. Readers that move a standing meanwhile win.
 */
static void slow_clock(struct pool *pool)
{
    struct tree_walk walk;
    struct element *element;
    __atomic_store_n(&pool->turn, UINT64_C(1) << (32 - CLOCK_SHIFT), __ATOMIC_RELAXED);
    tree_walk_from(&walk, pool->order, 0);
    while ((element = tree_walk_next(&walk)) != NULL) {
        uint64_t seen = __atomic_load_n(&element->standing, __ATOMIC_RELAXED);
        uint64_t slow;
        do {
            slow = seen >> 32 << 32 | (seen & UINT32_MAX) >> CLOCK_SHIFT;
        } while (!__atomic_compare_exchange_n(&element->standing, &seen, slow, false,
                                              __ATOMIC_RELAXED, __ATOMIC_RELAXED));
    }
    tree_refold(pool->order, order_kind(pool->ops));
}

/* Where an element begins, or goes on; it starts anew with each registration (P-24). */
static void take_stand(struct pool *pool, const struct element *old, struct element *element)
{
    const struct policy_ops *ops = pool->ops;
    struct policy policy = hs_policy(&element->pub);
    if (ops->weight != NULL) {
        element->standing = ops->weight(&policy);
        return;
    }
    if (__atomic_load_n(&pool->turn, __ATOMIC_RELAXED) >= CLOCK_LATE) {
        slow_clock(pool);
    }
    if (pool->cache) {
        element->standing = policy_clock(&pool->turn);
        return;
    }
    uint32_t since = old != NULL ? (uint32_t)__atomic_load_n(&old->standing, __ATOMIC_RELAXED)
                                 : policy_clock(&pool->turn);
    element->standing = ops->key(&policy) << 32 | since;
}

int hs_order_edit(struct order_edit *edit, struct pool *pool, struct element *old,
                  struct element *element)
{
    edit->two = false;
    edit->ring = edit->fresh_ring = edit->stale_ring = edit->grown = edit->shrunk = NULL;
    edit->partner = edit->survivor = NULL;
    if (pool->ops->step != NULL && element != NULL && element->standing == 0) {
        take_stand(pool, old, element);
    }
    if (old == NULL) {
        return prepare_join(edit, pool, element);
    }
    uint32_t rank = tree_rank_of(old->leaf, old);
    if (element == NULL) {
        return prepare_leave(edit, &edit->put, pool->order, pool, old, rank);
    }
    uint64_t key = element_key(pool, element);
    if (key == element_key(pool, old)) {
        edit->ring = has_rings(pool) ? old->ring : NULL;
        return tree_edit(&edit->put, pool->nodes, pool->order, order_kind(pool->ops), rank, 1, key,
                         element);
    }
    if (prepare_join(edit, pool, element) < 0) {
        return -ENOMEM;
    }
    /* The newcomer stands with a greater or a lesser key, so before or after the old one. */
    rank += key < element_key(pool, old) ? 1 : 0;
    if (prepare_leave(edit, &edit->cut, edit->put.root, pool, old, rank) < 0) {
        hs_order_abort(edit);
        return -ENOMEM;
    }
    edit->two = true;
    return 0;
}

/* The position in a cycle whose length changes: the same part of it has passed. */
static void keep_position(struct pool *pool, const struct tree_node *root)
{
    uint64_t before = tree_folded(pool->order);
    uint64_t after = tree_folded(root);
    uint64_t turn = __atomic_load_n(&pool->turn, __ATOMIC_RELAXED);
    if (before != after && before != 0) {
        uint64_t target = policy_part(turn % before, after, before, NULL);
        (void)__atomic_fetch_add(&pool->turn, target - turn, __ATOMIC_RELAXED);
    }
}

static void ring_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct ring, rcu));
}

void hs_order_commit(struct order_edit *edit, struct pool *pool, struct element *element)
{
    if (element != NULL && has_rings(pool)) {
        element->ring = edit->ring;
    }
    tree_commit(&edit->put);
    if (edit->two) {
        tree_commit(&edit->cut);
    }
    if (edit->grown != NULL) {
        (void)__atomic_fetch_add(&edit->grown->turn, edit->grown_by, __ATOMIC_RELAXED);
    }
    if (edit->shrunk != NULL) {
        (void)__atomic_fetch_add(&edit->shrunk->turn, edit->shrunk_by, __ATOMIC_RELAXED);
    }
    /* Before the root: who sees two elements with a key finds their ring. */
    if (edit->partner != NULL) {
        hs_publish(edit->partner->ring, edit->fresh_ring);
    }
    struct tree_node *root = edit->two ? edit->cut.root : edit->put.root;
    if (pool->ops->cyclic) {
        keep_position(pool, root);
    }
    hs_publish(pool->order, root);
    if (edit->survivor != NULL) {
        hs_publish(edit->survivor->ring, NULL);
    }
    tree_retire(&edit->put);
    if (edit->two) {
        tree_retire(&edit->cut);
    }
    if (edit->stale_ring != NULL) {
        hs_defer(&edit->stale_ring->rcu, ring_release);
    }
}

void hs_order_abort(struct order_edit *edit)
{
    tree_abort(&edit->put);
    if (edit->two) {
        tree_abort(&edit->cut);
    }
    free(edit->fresh_ring);
}

/* --- selection, by any reader ----------------------------------------------------------------- */

/*
 * Goes once round a ring from its head. The first selection of all moves the head behind the
 * element it chose; backups leave the heads of their rings alone (policies.md §4.1).
 */
static size_t select_from_ring(const struct policy_choice *choice, struct stretch s,
                               struct ring *ring, size_t got)
{
    bool leads = got == 0 && ring != NULL;
    uint64_t turn = leads          ? __atomic_fetch_add(&ring->turn, 1, __ATOMIC_RELAXED)
                    : ring != NULL ? turn_of(ring)
                                   : 0;
    uint32_t place = (uint32_t)(turn % s.size);
    struct tree_walk walk;
    tree_walk_from(&walk, choice->order, s.from + place);
    for (uint32_t i = 0; i < s.size && got < choice->count; i++, place++) {
        if (place == s.size) {
            place = 0;
            tree_walk_from(&walk, choice->order, s.from);
        }
        const struct element *element = tree_walk_next(&walk);
        if (choice->filter != NULL && !choice->filter(choice->ctx, &element->pub)) {
            continue;
        }
        choice->ret[got++] = &element->pub;
        if (leads && got == 1 && i > 0) {
            (void)__atomic_fetch_add(&ring->turn, i, __ATOMIC_RELAXED);
        }
    }
    if (leads && got == 0) {
        (void)__atomic_fetch_sub(&ring->turn, 1, __ATOMIC_RELAXED);
    }
    return got;
}

size_t policy_select_ordered(const struct policy_choice *choice)
{
    uint32_t n = tree_count(choice->order);
    size_t got = 0;
    for (uint32_t rank = 0; rank < n && got < choice->count;) {
        uint64_t key;
        uint64_t last_key;
        struct element *first = tree_at(choice->order, rank, &key);
        (void)tree_at(choice->order, n - 1, &last_key);
        uint32_t end = key == last_key ? n : tree_rank(choice->order, key, NULL, NULL, true);
        struct stretch s = {.from = rank, .size = end - rank};
        got = select_from_ring(choice, s, s.size > 1 ? hs_read_ptr(first->ring) : NULL, got);
        rank = end;
    }
    return got;
}

/* --- the checker ------------------------------------------------------------------------------ */

const char *hs_order_check(const struct pool *pool)
{
    const char *wrong = tree_check(pool->order, order_kind(pool->ops), NULL);
    for (uint32_t i = 0; i < tree_count(pool->order) && wrong == NULL; i++) {
        uint64_t key;
        const struct element *element = tree_at(pool->order, i, &key);
        if (key != element_key(pool, element)) {
            wrong = "order: an element does not stand at its key";
        } else if (element_pool(element) != pool) {
            wrong = "order: an element is of another pool";
        } else if (has_rings(pool)) {
            struct stretch st = stretch_of(pool->order, key);
            const struct element *first = tree_at(pool->order, st.from, NULL);
            if ((st.size > 1) != (element->ring != NULL) || element->ring != first->ring) {
                wrong = "order: a ring is not the elements of one key";
            }
        }
    }
    return wrong;
}

void hs_order_free(struct pool *pool)
{
    const struct ring *last = NULL;
    for (uint32_t i = 0; has_rings(pool) && i < tree_count(pool->order); i++) {
        const struct element *element = tree_at(pool->order, i, NULL);
        if (element->ring != last) {
            last = element->ring;
            free(element->ring);
        }
    }
}
