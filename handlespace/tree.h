/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A counted B+ tree whose nodes never change once published: an edit writes the nodes on the way
 * from the leaf to the root anew, and one pointer store shows readers the new tree. A reader that
 * has loaded the root sees one state of the whole tree for as long as its read section lasts, and
 * needs neither lock nor retry. Nodes have exactly the size of their content.
 *
 * Entries are (key, item) in the order of the key; among equal keys the order is the writer's
 * choice (edits are by rank), or that of a tie function. Everything is O(log n).
 *
 * An anchored tree also tells the rank of an item. The item keeps a pointer to the anchor of its
 * leaf: an object that stays while versions of the node come and go. Only the writer sees anchors.
 *
 * A folded tree keeps in each entry the sum, or the least, of a value of the items below; this is
 * the one thing in a published node that changes (tree_fold.c).
 *
 * Edits are prepared (allocating, may fail, change nothing anybody sees), then committed (cannot
 * fail) or aborted. A second edit may be prepared on the result of a first one.
 */
#ifndef RSP_HANDLESPACE_TREE_H
#define RSP_HANDLESPACE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TREE_FANOUT 32
#define TREE_MIN    10 /* fewer entries in a node that is not the root: it is joined with another */
#define TREE_DEPTH  12 /* TREE_MIN^TREE_DEPTH > 2^32 */

struct tree_node;

struct tree_anchor {
    struct tree_anchor *parent;
    const struct tree_node *node;
};

/** Where an item of an anchored tree keeps its anchor. */
typedef struct tree_anchor **(*tree_slot_fn)(void *item);

/** What the entries of a node say about the items below them. */
enum tree_fold { TREE_PLAIN, TREE_SUM, TREE_LEAST };

/** What a tree is for. */
struct tree_kind {
    tree_slot_fn slot; /* NULL: not anchored */
    enum tree_fold fold;
    uint64_t (*value)(const void *item); /* folded trees: what an item brings in */
};
extern const struct tree_kind tree_plain;

/** Orders `probe` against an item with the same key: < 0, 0, > 0. */
typedef int (*tree_tie_fn)(const void *probe, const void *item);

/* --- readers: inside a read section, on a root they have loaded ---------------------------- */

uint32_t tree_count(const struct tree_node *root);
/** The item at `rank` < count; its key too if `ret_key` is not NULL. */
void *tree_at(const struct tree_node *root, uint32_t rank, uint64_t *ret_key);
/**
 * How many entries come before `key` (with `tie`: before the probe); entries equal to it count
 * too when `after_equal`.
 */
uint32_t tree_rank(const struct tree_node *root, uint64_t key, tree_tie_fn tie, const void *probe,
                   bool after_equal);

/** Walks the items from a rank on, at constant cost per step. */
struct tree_walk {
    uint8_t depth;
    struct {
        const struct tree_node *node;
        uint16_t i;
    } at[TREE_DEPTH];
};
void tree_walk_from(struct tree_walk *walk, const struct tree_node *root, uint32_t rank);
/** NULL at the end. */
void *tree_walk_next(struct tree_walk *walk);

/* --- folded trees: also for readers ------------------------------------------------------------
 */

/** The sum, or the least, of all values, as far as the folds know; see tree_fold.c. */
uint64_t tree_folded(const struct tree_node *root);
/**
 * The item in whose stretch of the line of all values `at` lies; `path` leads to it.
 * @param ret_offset how far into its stretch
 * NULL: the folds on the way were loose (they are tighter now), or `at` is past the end.
 */
void *tree_seek_sum(struct tree_walk *path, const struct tree_node *root, uint64_t at,
                    uint64_t *ret_offset);
/** The item with the least fold. */
void *tree_seek_least(struct tree_walk *path, const struct tree_node *root, uint64_t *ret_fold);
/** The item's value has become less (SUM) or more (LEAST): told to the folds on the way to it. */
void tree_tighten(const struct tree_walk *path, uint64_t value);
/** How many entries a node has, and what they are; for searches over a whole tree. */
unsigned tree_entries(const struct tree_node *node);
uint64_t tree_entry_fold(const struct tree_node *node, unsigned i);
/** The child, and NULL in `ret_item`; at the leaves the other way round. */
const struct tree_node *tree_entry(const struct tree_node *node, unsigned i, void **ret_item);
/** Whether all items below the entries [from, to) have the same key. */
bool tree_run_equal(const struct tree_node *node, unsigned from, unsigned to);
/** Of the items below the entries [from, to), the one at `turn` modulo their number. */
void *tree_run_at(const struct tree_node *node, unsigned from, unsigned to, uint64_t turn);
/** W. Every fold anew, after values have changed the wrong way. */
void tree_refold(struct tree_node *root, const struct tree_kind *kind);

/* --- the writer ------------------------------------------------------------------------------ */

/** Where the nodes of trees with the same writer come from, and where they go. Begins zeroed. */
#define TREE_CLASSES 16
struct tree_store {
    struct tree_node *returned; /* pushed by RCU's callbacks, taken by the writer */
    uint32_t waiting;           /* pushes since it was taken, about */
    struct tree_node *spare[TREE_CLASSES];
    uint32_t spare_count, limit;
    uint32_t live, taken;
};
/** Frees what is kept: after tree_free() of all trees and the last callback of RCU. */
void tree_store_done(struct tree_store *store);

struct tree_edit {
    struct tree_node *root; /* the result */
    struct tree_store *store;
    struct tree_kind kind;
    unsigned fresh_count, stale_count, fresh_anchor_count, stale_anchor_count;
    struct {
        struct tree_node *node;
        uint8_t from, to; /* the entries that are new to its anchor, and learn it */
    } fresh[2 * TREE_DEPTH + 2];
    struct tree_node *stale[2 * TREE_DEPTH + 2];
    struct tree_anchor *fresh_anchor[TREE_DEPTH + 2];
    struct tree_anchor *stale_anchor[2 * TREE_DEPTH + 2];
};

/**
 * Prepares: at `rank`, takes `remove` (0 or 1) entries out and puts `item` (NULL: none) in.
 * @return 0 or -ENOMEM (nothing to abort then)
 */
int tree_edit(struct tree_edit *edit, struct tree_store *store, struct tree_node *root,
              const struct tree_kind *kind, uint32_t rank, unsigned remove, uint64_t key,
              void *item);
/** After the commit of all edits the writer publishes the last one's root, then retires each. */
void tree_commit(struct tree_edit *edit);
/** Hands nodes over to RCU. Not before readers are shown what replaces them. */
void tree_nodes_retire(struct tree_store *store, struct tree_node *const *nodes, unsigned n);
/** Does so with what the edit replaced. */
void tree_retire(struct tree_edit *edit);
void tree_abort(struct tree_edit *edit);

/** Anchored trees: the rank of an item. */
uint32_t tree_rank_of(struct tree_anchor *leaf, const void *item);
/** Frees nodes and anchors at once: no reader may be left. The items are the caller's. */
void tree_free(struct tree_node *root);
/** NULL, or what is wrong with the tree. */
const char *tree_check(const struct tree_node *root, const struct tree_kind *kind, tree_tie_fn tie);

#endif
