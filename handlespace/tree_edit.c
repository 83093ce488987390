/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Editing the copying B+ tree: level by level from the leaf up, everything on the way made anew. */
#include "handlespace/tree_node.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct entry {
    uint64_t key;
    uint64_t fold;
    void *ptr;
    uint32_t count;
};

/* The entries of the node under work; room for a node, its neighbour and what is put in. */
struct row {
    unsigned n;
    struct entry e[2 * TREE_FANOUT + 2];
};

static uint64_t node_entry_fold(const struct tree_node *node, unsigned i)
{
    /* Relaxed: a bound that a reader tightens meanwhile is still a bound. */
    return node->fold != TREE_PLAIN ? __atomic_load_n(node_folds(node) + i, __ATOMIC_RELAXED) : 0;
}

static void row_append(struct row *row, const struct tree_node *node, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        row->e[row->n++] = (struct entry){.key = node->keys[i],
                                          .fold = node_entry_fold(node, i),
                                          .ptr = node_ptrs(node)[i],
                                          .count = node->level > 0 ? node_counts(node)[i] : 1};
    }
}

static struct tree_node *node_new(const struct entry *entries, unsigned n, unsigned level,
                                  enum tree_fold fold)
{
    size_t each = sizeof(uint64_t) + sizeof(void *) + (fold != TREE_PLAIN ? sizeof(uint64_t) : 0) +
                  (level > 0 ? sizeof(uint32_t) : 0);
    struct tree_node *node = malloc(sizeof(*node) + n * each);
    if (node == NULL) {
        return NULL;
    }
    node->anchor = NULL;
    node->count = 0;
    node->n = (uint8_t)n;
    node->level = (uint8_t)level;
    node->fold = (uint8_t)fold;
    void **ptrs = (void **)(void *)(node->keys + n);
    uint64_t *folds = (uint64_t *)(void *)(ptrs + n);
    uint32_t *counts = (uint32_t *)(void *)(folds + (fold != TREE_PLAIN ? n : 0));
    for (unsigned i = 0; i < n; i++) {
        node->keys[i] = entries[i].key;
        ptrs[i] = entries[i].ptr;
        if (fold != TREE_PLAIN) {
            folds[i] = entries[i].fold;
        }
        if (level > 0) {
            counts[i] = entries[i].count;
        }
        node->count += entries[i].count;
    }
    return node;
}

/* An anchor for a new node: one that became free in this step, or a new one. */
static struct tree_anchor *anchor_get(struct tree_edit *edit, struct tree_anchor **reuse)
{
    struct tree_anchor *anchor = *reuse;
    *reuse = NULL;
    if (anchor == NULL) {
        anchor = calloc(1, sizeof(*anchor));
        if (anchor != NULL) {
            edit->fresh_anchor[edit->fresh_anchor_count++] = anchor;
        }
    }
    return anchor;
}

static struct tree_node *fresh_node(struct tree_edit *edit, const struct entry *entries, unsigned n,
                                    unsigned level, struct tree_anchor **reuse, bool moved)
{
    struct tree_node *node = node_new(entries, n, level, edit->kind.fold);
    if (node == NULL) {
        return NULL;
    }
    edit->fresh[edit->fresh_count].node = node;
    edit->fresh[edit->fresh_count++].moved = moved;
    if (edit->kind.slot != NULL) {
        node->anchor = anchor_get(edit, reuse);
        if (node->anchor == NULL) {
            return NULL;
        }
    }
    return node;
}

static struct entry entry_of(struct tree_node *node)
{
    uint64_t fold = node->fold != TREE_PLAIN ? node_folded(node) : 0;
    return (struct entry){.key = node->keys[0], .fold = fold, .ptr = node, .count = node->count};
}

/*
 * Turns the row into as few nodes as it takes (0, 1 or 2), `out`; `old` (and `neighbour`, if it
 * was drawn in) are what it replaces. Returns how many, or -ENOMEM.
 */
static int row_to_nodes(struct tree_edit *edit, const struct row *row, unsigned level,
                        struct tree_node *old, struct tree_node *neighbour, struct entry out[2])
{
    int made = row->n == 0 ? 0 : row->n <= TREE_FANOUT ? 1 : 2;
    bool moved = made == 2 || neighbour != NULL;
    struct tree_anchor *first = old != NULL ? old->anchor : NULL;
    struct tree_anchor *second = neighbour != NULL ? neighbour->anchor : NULL;
    unsigned split = made == 2 ? row->n / 2 : row->n;
    for (int i = 0; i < made; i++) {
        unsigned from = i == 0 ? 0 : split;
        unsigned n = i == 0 ? split : row->n - split;
        struct tree_node *node =
            fresh_node(edit, row->e + from, n, level, i == 0 ? &first : &second, moved);
        if (node == NULL) {
            return -ENOMEM;
        }
        out[i] = entry_of(node);
    }
    if (first != NULL) {
        edit->stale_anchor[edit->stale_anchor_count++] = first;
    }
    if (second != NULL) {
        edit->stale_anchor[edit->stale_anchor_count++] = second;
    }
    if (old != NULL) {
        edit->stale[edit->stale_count++] = old;
    }
    if (neighbour != NULL) {
        edit->stale[edit->stale_count++] = neighbour;
    }
    return made;
}

/* The top of the tree: it shrinks, stays, or grows by a level. */
static int finish_root(struct tree_edit *edit, struct tree_node *old, const struct row *row,
                       unsigned level)
{
    if (level > 0 && row->n == 1) {
        edit->root = row->e[0].ptr;
        edit->stale[edit->stale_count++] = old;
        if (old->anchor != NULL) {
            edit->stale_anchor[edit->stale_anchor_count++] = old->anchor;
        }
        return 0;
    }
    struct entry out[2];
    int made = row_to_nodes(edit, row, level, old, NULL, out);
    if (made < 2) {
        edit->root = made == 1 ? out[0].ptr : NULL;
        return made < 0 ? made : 0;
    }
    struct tree_anchor *none = NULL;
    edit->root = fresh_node(edit, out, 2, level + 1, &none, true);
    return edit->root != NULL ? 0 : -ENOMEM;
}

static int edit_up(struct tree_edit *edit, struct tree_node *root, const struct tree_walk *path,
                   struct row *row)
{
    struct row above;
    for (unsigned l = path->depth; l-- > 1;) {
        const struct tree_node *parent = path->at[l - 1].node;
        unsigned from = path->at[l - 1].i;
        struct tree_node *node = node_child(parent, from);
        unsigned to = from + 1;
        struct tree_node *neighbour = NULL;
        if (row->n < TREE_MIN && parent->n > 1) {
            if (from > 0) {
                neighbour = node_child(parent, --from);
                struct row joined = {.n = 0};
                row_append(&joined, neighbour, 0, neighbour->n);
                memcpy(joined.e + joined.n, row->e, row->n * sizeof(row->e[0]));
                joined.n += row->n;
                *row = joined;
            } else {
                neighbour = node_child(parent, to++);
                row_append(row, neighbour, 0, neighbour->n);
            }
        }
        struct entry out[2];
        int made = row_to_nodes(edit, row, node->level, node, neighbour, out);
        if (made < 0) {
            return made;
        }
        above.n = 0;
        row_append(&above, parent, 0, from);
        for (int i = 0; i < made; i++) {
            above.e[above.n++] = out[i];
        }
        row_append(&above, parent, to, parent->n);
        *row = above;
    }
    return finish_root(edit, root, row, root != NULL ? root->level : 0);
}

int tree_edit(struct tree_edit *edit, struct tree_node *root, const struct tree_kind *kind,
              uint32_t rank, unsigned remove, uint64_t key, void *item)
{
    struct entry entry = {.key = key, .ptr = item, .count = 1};
    if (item != NULL && kind->fold != TREE_PLAIN) {
        entry.fold = kind->value(item);
    }
    edit->root = root;
    edit->kind = *kind;
    edit->inserted = item;
    edit->fresh_count = edit->stale_count = 0;
    edit->fresh_anchor_count = edit->stale_anchor_count = 0;
    struct tree_walk path = {.depth = 0};
    struct row row = {.n = 0};
    /* One past the end is the place after the last item. */
    bool append = root != NULL && rank == root->count;
    if (root != NULL) {
        tree_walk_from(&path, root, append ? rank - 1 : rank);
        const struct tree_node *leaf = path.at[path.depth - 1].node;
        unsigned i = path.at[path.depth - 1].i + (append ? 1u : 0u);
        row_append(&row, leaf, 0, i);
        if (item != NULL) {
            row.e[row.n++] = entry;
        }
        row_append(&row, leaf, i + remove, leaf->n);
    } else if (item != NULL) {
        row.e[row.n++] = entry;
    }
    int result = edit_up(edit, root, &path, &row);
    if (result < 0) {
        tree_abort(edit);
    }
    return result;
}

static void node_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    free(hs_container_of(head, struct tree_node, rcu));
}

/* Entries of a node learn which anchor they hang from. */
static void adopt(const struct tree_edit *edit, struct tree_node *node, bool all)
{
    for (unsigned i = 0; i < node->n; i++) {
        void *ptr = node_ptrs(node)[i];
        if (node->level == 0) {
            if (all || ptr == edit->inserted) {
                *edit->kind.slot(ptr) = node->anchor;
            }
            continue;
        }
        bool fresh = all;
        for (unsigned j = 0; j < edit->fresh_count && !fresh; j++) {
            fresh = edit->fresh[j].node == ptr;
        }
        if (fresh) {
            ((const struct tree_node *)ptr)->anchor->parent = node->anchor;
        }
    }
}

void tree_commit(struct tree_edit *edit)
{
    if (edit->kind.slot != NULL) {
        for (unsigned i = 0; i < edit->fresh_count; i++) {
            struct tree_node *node = edit->fresh[i].node;
            node->anchor->node = node;
            adopt(edit, node, edit->fresh[i].moved);
        }
        if (edit->root != NULL) {
            edit->root->anchor->parent = NULL;
        }
        for (unsigned i = 0; i < edit->stale_anchor_count; i++) {
            free(edit->stale_anchor[i]);
        }
    }
}

void tree_retire(struct tree_edit *edit)
{
    for (unsigned i = 0; i < edit->stale_count; i++) {
        hs_defer(&edit->stale[i]->rcu, node_release);
    }
}

void tree_abort(struct tree_edit *edit)
{
    for (unsigned i = 0; i < edit->fresh_count; i++) {
        free(edit->fresh[i].node);
    }
    for (unsigned i = 0; i < edit->fresh_anchor_count; i++) {
        free(edit->fresh_anchor[i]);
    }
}

void tree_free(struct tree_node *root)
{
    struct {
        struct tree_node *node;
        unsigned i;
    } at[TREE_DEPTH] = {{.node = root}};
    unsigned depth = root != NULL ? 1 : 0;
    while (depth > 0) {
        struct tree_node *node = at[depth - 1].node;
        if (node->level > 0 && at[depth - 1].i < node->n) {
            at[depth].node = node_child(node, at[depth - 1].i++);
            at[depth++].i = 0;
            continue;
        }
        free(node->anchor);
        free(node);
        depth--;
    }
}
