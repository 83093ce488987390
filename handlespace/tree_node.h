/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A node of the copying tree, for the files that make, read and check them. */
#ifndef RSP_HANDLESPACE_TREE_NODE_H
#define RSP_HANDLESPACE_TREE_NODE_H

#include "handlespace/rcu.h"
#include "handlespace/tree.h"

/*
 * Followed by n keys, n pointers (items, or children), in a folded tree n folds, and above the
 * leaves n counts. Immutable once published, but for the folds.
 */
struct tree_node {
    union {
        struct rcu_head rcu;
        struct tree_node *batch; /* the first of others that came back */
    };
    union {
        struct tree_anchor *anchor; /* writer only */
        struct tree_node *next;     /* once it is replaced */
    };
    struct tree_store *store; /* where it came from */
    uint32_t count;           /* items below */
    uint8_t n;
    uint8_t level; /* 0: leaf */
    uint8_t fold;  /* enum tree_fold */
    uint8_t class; /* of its size; the store's */
    uint64_t keys[];
};

static inline void *const *node_ptrs(const struct tree_node *node)
{
    return (void *const *)(const void *)(node->keys + node->n);
}

/** Bounds that readers tighten: even of a node that is const to them. */
static inline uint64_t *node_folds(const struct tree_node *node)
{
    return (uint64_t *)(uintptr_t)(node_ptrs(node) + node->n);
}

static inline const uint32_t *node_counts(const struct tree_node *node)
{
    return (const uint32_t *)(const void *)(node_folds(node) +
                                            (node->fold != TREE_PLAIN ? node->n : 0));
}

static inline struct tree_node *node_child(const struct tree_node *node, unsigned i)
{
    return node_ptrs(node)[i];
}

/** W. Not initialised; NULL: memory is out. */
struct tree_node *tree_node_alloc(struct tree_store *store, size_t size);
/** W. Gives back a node that no reader has ever seen. */
void tree_node_drop(struct tree_node *node);

/** All entries of a node in one value; relaxed, see tree_fold.c. */
uint64_t node_folded(const struct tree_node *node);

#endif
