/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading the copying B+ tree: by rank, by key, and in order. */
#include "handlespace/tree.h"

#include "handlespace/tree_node.h"

#include <assert.h>

uint32_t tree_count(const struct tree_node *root)
{
    return root != NULL ? root->count : 0;
}

/* The child that holds `*rank`; what comes before it is taken off the rank. */
static unsigned child_at(const struct tree_node *node, uint32_t *rank)
{
    const uint32_t *counts = node_counts(node);
    unsigned i = 0;
    while (*rank >= counts[i] && i + 1 < node->n) {
        *rank -= counts[i++];
    }
    return i;
}

void *tree_at(const struct tree_node *root, uint32_t rank, uint64_t *ret_key)
{
    const struct tree_node *node = root;
    while (node->level > 0) {
        node = node_child(node, child_at(node, &rank));
    }
    if (ret_key != NULL) {
        *ret_key = node->keys[rank];
    }
    return node_ptrs(node)[rank];
}

static const void *first_item(const struct tree_node *node, unsigned i)
{
    while (node->level > 0) {
        node = node_child(node, i);
        i = 0;
    }
    return node_ptrs(node)[i];
}

/* How many entries of this node begin before the probe. */
static unsigned entries_before(const struct tree_node *node, uint64_t key, tree_tie_fn tie,
                               const void *probe, bool after_equal)
{
    unsigned low = 0;
    unsigned high = node->n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        bool before = node->keys[mid] < key;
        if (node->keys[mid] == key) {
            int order = tie != NULL ? tie(probe, first_item(node, mid)) : 0;
            before = order > 0 || (order == 0 && after_equal);
        }
        if (before) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

uint32_t tree_rank(const struct tree_node *root, uint64_t key, tree_tie_fn tie, const void *probe,
                   bool after_equal)
{
    uint32_t rank = 0;
    const struct tree_node *node = root;
    while (node != NULL) {
        unsigned i = entries_before(node, key, tie, probe, after_equal);
        if (node->level == 0) {
            return rank + i;
        }
        if (i == 0) {
            return rank;
        }
        const uint32_t *counts = node_counts(node);
        for (unsigned j = 0; j + 1 < i; j++) {
            rank += counts[j];
        }
        node = node_child(node, i - 1);
    }
    return rank;
}

void tree_walk_from(struct tree_walk *walk, const struct tree_node *root, uint32_t rank)
{
    walk->depth = 0;
    if (rank >= tree_count(root)) {
        return;
    }
    for (const struct tree_node *node = root;;
         node = node_child(node, walk->at[walk->depth - 1].i)) {
        walk->at[walk->depth].node = node;
        walk->at[walk->depth].i = (uint16_t)(node->level > 0 ? child_at(node, &rank) : rank);
        walk->depth++;
        if (node->level == 0) {
            return;
        }
    }
}

void *tree_walk_next(struct tree_walk *walk)
{
    /* Up to the first node that is not used up, then down its leftmost side. */
    while (walk->depth > 0 && walk->at[walk->depth - 1].i >= walk->at[walk->depth - 1].node->n) {
        walk->depth--;
        if (walk->depth > 0) {
            walk->at[walk->depth - 1].i++;
        }
    }
    if (walk->depth == 0) {
        return NULL;
    }
    while (walk->at[walk->depth - 1].node->level > 0) {
        const struct tree_node *node = walk->at[walk->depth - 1].node;
        walk->at[walk->depth].node = node_child(node, walk->at[walk->depth - 1].i);
        walk->at[walk->depth].i = 0;
        walk->depth++;
    }
    return node_ptrs(walk->at[walk->depth - 1].node)[walk->at[walk->depth - 1].i++];
}

uint32_t tree_rank_of(struct tree_anchor *leaf, const void *item)
{
    uint32_t rank = 0;
    const void *wanted = item;
    for (const struct tree_anchor *anchor = leaf; anchor != NULL; anchor = anchor->parent) {
        const struct tree_node *node = anchor->node;
        void *const *ptrs = node_ptrs(node);
        for (unsigned i = 0; ptrs[i] != wanted; i++) {
            assert(i + 1 < node->n);
            rank += node->level > 0 ? node_counts(node)[i] : 1;
        }
        wanted = node;
    }
    return rank;
}

bool tree_run_equal(const struct tree_node *node, unsigned from, unsigned to)
{
    uint64_t key = node->keys[from];
    const struct tree_node *last = node;
    unsigned i = to - 1;
    while (last->keys[i] == key) {
        if (last->level == 0) {
            return true;
        }
        last = node_child(last, i);
        i = last->n - 1u;
    }
    return false;
}

void *tree_run_at(const struct tree_node *node, unsigned from, unsigned to, uint64_t turn)
{
    if (node->level == 0) {
        return node_ptrs(node)[from + turn % (to - from)];
    }
    const uint32_t *counts = node_counts(node);
    uint32_t before = 0;
    uint32_t count = 0;
    for (unsigned i = 0; i < to; i++) {
        before += i < from ? counts[i] : 0;
        count += i < from ? 0 : counts[i];
    }
    return count > 0 ? tree_at(node, before + (uint32_t)(turn % count), NULL) : NULL;
}
