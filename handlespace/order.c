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

static uint64_t element_key(const struct pool *pool, const struct element *element)
{
    return pool->ops->key != NULL ? pool->ops->key(&element->pub.policy) : 0;
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

static int prepare_join(struct order_edit *edit, struct pool *pool, struct element *element)
{
    uint64_t key = element_key(pool, element);
    struct stretch s = stretch_of(pool->order, key);
    uint32_t rank = s.from;
    if (s.size == 0) {
        edit->fresh_ring = calloc(1, sizeof(*edit->fresh_ring));
        if (edit->fresh_ring == NULL) {
            return -ENOMEM;
        }
        edit->ring = edit->fresh_ring;
    } else {
        const struct element *first = tree_at(pool->order, s.from, NULL);
        edit->ring = first->ring;
        uint64_t turn = turn_of(edit->ring);
        uint32_t head = (uint32_t)(turn % s.size);
        /* Just behind the head: before it in the tree, or at the far end. */
        rank += head > 0 ? head : s.size;
        edit->grown = edit->ring;
        edit->grown_by = (head > 0 ? head + 1 : 0) - turn;
    }
    int result = tree_edit(&edit->put, pool->order, hs_element_slot, rank, 0, key, element);
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
    if (s.size == 1) {
        edit->stale_ring = old->ring;
    } else {
        uint64_t turn = turn_of(old->ring);
        uint32_t head = (uint32_t)(turn % s.size);
        uint32_t place = rank - s.from;
        uint32_t target = place < head ? head - 1 : head % (s.size - 1);
        edit->shrunk = old->ring;
        edit->shrunk_by = target - turn;
    }
    return tree_edit(cut, from, hs_element_slot, rank, 1, 0, NULL);
}

int hs_order_edit(struct order_edit *edit, struct pool *pool, struct element *old,
                  struct element *element)
{
    edit->two = false;
    edit->ring = edit->fresh_ring = edit->stale_ring = edit->grown = edit->shrunk = NULL;
    if (old == NULL) {
        return prepare_join(edit, pool, element);
    }
    uint32_t rank = tree_rank_of(old->leaf, old);
    if (element == NULL) {
        return prepare_leave(edit, &edit->put, pool->order, pool, old, rank);
    }
    uint64_t key = element_key(pool, element);
    if (key == element_key(pool, old)) {
        edit->ring = old->ring;
        return tree_edit(&edit->put, pool->order, hs_element_slot, rank, 1, key, element);
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

static void ring_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct ring, rcu));
}

void hs_order_commit(struct order_edit *edit, struct pool *pool, struct element *element)
{
    if (element != NULL) {
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
    hs_publish(pool->order, edit->two ? edit->cut.root : edit->put.root);
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
    bool leads = got == 0;
    uint64_t turn = leads ? __atomic_fetch_add(&ring->turn, 1, __ATOMIC_RELAXED) : turn_of(ring);
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
        got = select_from_ring(choice, s, first->ring, got);
        rank = end;
    }
    return got;
}

/* --- the checker ------------------------------------------------------------------------------ */

const char *hs_order_check(const struct pool *pool)
{
    const char *wrong = tree_check(pool->order, hs_element_slot, NULL);
    const struct ring *ring = NULL;
    uint64_t last_key = 0;
    for (uint32_t i = 0; i < tree_count(pool->order) && wrong == NULL; i++) {
        uint64_t key;
        const struct element *element = tree_at(pool->order, i, &key);
        if (key != element_key(pool, element)) {
            wrong = "order: an element does not stand at its key";
        } else if (element->pool != pool || element->ring == NULL) {
            wrong = "order: an element without pool or ring";
        } else if (i > 0 && (key == last_key) != (element->ring == ring)) {
            wrong = "order: a ring is not the elements of one key";
        }
        ring = element->ring;
        last_key = key;
    }
    return wrong;
}
