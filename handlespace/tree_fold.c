/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Folds: per entry of a node the sum, or the least, of what is below it, so that an item is found
 * by its value in O(log n).
 *
 * Values that selections change move one way only: weights fall, standings rise. A fold is a bound
 * on that side: a sum is at least, a least is at most what is really below. So a reader may work
 * with any fold, however old: where it leads to an item whose value has moved on, it tightens the
 * folds on its way (compare and swap, never the loose way round) and looks again. A bound read at
 * any time stays a bound, which is why relaxed accesses do, why several readers may tighten side by
 * side, and why the writer may copy a node meanwhile: the copy has the looser bound of two.
 *
 * The one exception is tree_refold(), with which the writer loosens: it works from the leaves up
 * and stores with release; whoever tightens loads an entry with acquire before it looks below, so
 * that it cannot put what it saw below before the writer came over what the writer left above.
 */
#include "handlespace/tree_node.h"

const struct tree_kind tree_plain = {.fold = TREE_PLAIN};

static uint64_t load(const struct tree_node *node, unsigned i)
{
    return __atomic_load_n(node_folds(node) + i, __ATOMIC_RELAXED);
}

uint64_t node_folded(const struct tree_node *node)
{
    const uint64_t *folds = node_folds(node);
    unsigned n = node->n;
    uint64_t fold = node->fold == TREE_SUM ? 0 : UINT64_MAX;
    if (node->fold == TREE_SUM) {
        for (unsigned i = 0; i < n; i++) {
            fold += __atomic_load_n(folds + i, __ATOMIC_RELAXED);
        }
    } else {
        for (unsigned i = 0; i < n; i++) {
            uint64_t next = __atomic_load_n(folds + i, __ATOMIC_RELAXED);
            fold = next < fold ? next : fold;
        }
    }
    return fold;
}

uint64_t tree_folded(const struct tree_node *root)
{
    return root != NULL ? node_folded(root) : 0;
}

unsigned tree_entries(const struct tree_node *node)
{
    return node->n;
}

uint64_t tree_entry_fold(const struct tree_node *node, unsigned i)
{
    return load(node, i);
}

const struct tree_node *tree_entry(const struct tree_node *node, unsigned i, void **ret_item)
{
    *ret_item = node->level == 0 ? node_ptrs(node)[i] : NULL;
    return node->level > 0 ? node_child(node, i) : NULL;
}

static bool tighter(const struct tree_node *node, uint64_t a, uint64_t b)
{
    return node->fold == TREE_SUM ? a < b : a > b;
}

/* Tells the entries above the node at `depth` of the path what is in it now. */
static void tighten_above(const struct tree_walk *path, unsigned depth)
{
    for (unsigned l = depth; l-- > 1;) {
        const struct tree_node *parent = path->at[l - 1].node;
        uint64_t *fold = node_folds(parent) + path->at[l - 1].i;
        /* Acquire: pairs with the release of tree_refold(). */
        uint64_t seen = __atomic_load_n(fold, __ATOMIC_ACQUIRE);
        uint64_t below = node_folded(path->at[l].node);
        if (!tighter(parent, below, seen)) {
            return; /* nothing new to those above */
        }
        /* If it fails, another reader has seen as much as we have. */
        (void)__atomic_compare_exchange_n(fold, &seen, below, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED);
    }
}

void tree_tighten(const struct tree_walk *path, uint64_t value)
{
    const struct tree_node *leaf = path->at[path->depth - 1].node;
    uint64_t *fold = node_folds(leaf) + path->at[path->depth - 1].i;
    uint64_t seen = __atomic_load_n(fold, __ATOMIC_RELAXED);
    while (tighter(leaf, value, seen) &&
           !__atomic_compare_exchange_n(fold, &seen, value, false, __ATOMIC_RELAXED,
                                        __ATOMIC_RELAXED)) {
    }
    tighten_above(path, path->depth);
}

void *tree_seek_sum(struct tree_walk *path, const struct tree_node *root, uint64_t at,
                    uint64_t *ret_offset)
{
    const struct tree_node *node = root;
    path->depth = 0;
    for (;;) {
        unsigned i = 0;
        uint64_t fold = load(node, 0);
        while (at >= fold && i + 1u < node->n) {
            at -= fold;
            fold = load(node, ++i);
        }
        path->at[path->depth].node = node;
        path->at[path->depth++].i = (uint16_t)i;
        if (at >= fold) {
            tighten_above(path, path->depth); /* the entry that led here promised more */
            return NULL;
        }
        if (node->level == 0) {
            *ret_offset = at;
            return node_ptrs(node)[i];
        }
        node = node_child(node, i);
    }
}

void *tree_seek_least(struct tree_walk *path, const struct tree_node *root, uint64_t *ret_fold)
{
    const struct tree_node *node = root;
    path->depth = 0;
    for (;;) {
        unsigned least = 0;
        uint64_t fold = load(node, 0);
        for (unsigned i = 1; i < node->n; i++) {
            uint64_t next = load(node, i);
            least = next < fold ? i : least;
            fold = next < fold ? next : fold;
        }
        path->at[path->depth].node = node;
        path->at[path->depth++].i = (uint16_t)least;
        if (node->level == 0) {
            *ret_fold = fold;
            return node_ptrs(node)[least];
        }
        node = node_child(node, least);
    }
}

void tree_refold(struct tree_node *root, const struct tree_kind *kind)
{
    struct tree_walk walk = {.depth = 0};
    if (root == NULL) {
        return;
    }
    walk.at[walk.depth].node = root;
    walk.at[walk.depth++].i = 0;
    while (walk.depth > 0) {
        const struct tree_node *node = walk.at[walk.depth - 1].node;
        unsigned i = walk.at[walk.depth - 1].i;
        if (i == node->n) {
            walk.depth--;
            if (walk.depth > 0) {
                const struct tree_node *parent = walk.at[walk.depth - 1].node;
                unsigned at = walk.at[walk.depth - 1].i++;
                /* Release: pairs with the acquire of tighten_above(). */
                __atomic_store_n(node_folds(parent) + at, node_folded(node), __ATOMIC_RELEASE);
            }
        } else if (node->level == 0) {
            __atomic_store_n(node_folds(node) + i, kind->value(node_ptrs(node)[i]),
                             __ATOMIC_RELEASE);
            walk.at[walk.depth - 1].i++;
        } else {
            walk.at[walk.depth].node = node_child(node, i);
            walk.at[walk.depth++].i = 0;
        }
    }
}
