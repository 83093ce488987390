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

/* Room for n entries, which are not there yet. */
static struct tree_node *node_blank(struct tree_store *store, unsigned n, unsigned level,
                                    enum tree_fold fold)
{
    size_t each = sizeof(uint64_t) + sizeof(void *) + (fold != TREE_PLAIN ? sizeof(uint64_t) : 0) +
                  (level > 0 ? sizeof(uint32_t) : 0);
    struct tree_node *node = tree_node_alloc(store, sizeof(*node) + n * each);
    if (node != NULL) {
        node->anchor = NULL;
        node->count = 0;
        node->n = (uint8_t)n;
        node->level = (uint8_t)level;
        node->fold = (uint8_t)fold;
    }
    return node;
}

static struct tree_node *node_new(struct tree_store *store, const struct entry *entries, unsigned n,
                                  unsigned level, enum tree_fold fold)
{
    struct tree_node *node = node_blank(store, n, level, fold);
    if (node == NULL) {
        return NULL;
    }
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

static void note_fresh(struct tree_edit *edit, struct tree_node *node, unsigned from, unsigned to)
{
    edit->fresh[edit->fresh_count].node = node;
    edit->fresh[edit->fresh_count].from = (uint8_t)from;
    edit->fresh[edit->fresh_count++].to = (uint8_t)to;
}

static struct tree_node *fresh_node(struct tree_edit *edit, const struct entry *entries, unsigned n,
                                    unsigned level, struct tree_anchor **reuse)
{
    struct tree_node *node = node_new(edit->store, entries, n, level, edit->kind.fold);
    if (node == NULL) {
        return NULL;
    }
    note_fresh(edit, node, 0, n);
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
    struct tree_anchor *first = old != NULL ? old->anchor : NULL;
    struct tree_anchor *second = neighbour != NULL ? neighbour->anchor : NULL;
    unsigned split = made == 2 ? row->n / 2 : row->n;
    for (int i = 0; i < made; i++) {
        unsigned from = i == 0 ? 0 : split;
        unsigned n = i == 0 ? split : row->n - split;
        struct tree_node *node =
            fresh_node(edit, row->e + from, n, level, i == 0 ? &first : &second);
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

/* What happens to one node: `remove` entries from `at` on give way to those in `put`. */
struct splice {
    unsigned at, remove, put_n;
    struct entry put[2];
};

/* One of the arrays of a node, for another node. */
static void splice_array(void *to, const void *from, size_t each, unsigned n,
                         const struct splice *splice)
{
    uint8_t *out = to;
    const uint8_t *in = from;
    unsigned rest = splice->at + splice->remove;
    memcpy(out, in, splice->at * each);
    memcpy(out + (splice->at + splice->put_n) * each, in + rest * each, (n - rest) * each);
}

/* Readers tighten the old ones meanwhile: see node_entry_fold(). */
static void splice_folds(uint64_t *out, const uint64_t *in, unsigned n, const struct splice *splice)
{
    unsigned rest = splice->at + splice->remove;
    for (unsigned i = 0; i < splice->at; i++) {
        out[i] = __atomic_load_n(in + i, __ATOMIC_RELAXED);
    }
    out += splice->at + splice->put_n;
    for (unsigned i = rest; i < n; i++) {
        out[i - rest] = __atomic_load_n(in + i, __ATOMIC_RELAXED);
    }
}

/*
 * The common case: the node stays one node, and its copy is its arrays with the change in them.
 * NULL: memory is out.
 */
static struct tree_node *splice_node(struct tree_edit *edit, struct tree_node *old,
                                     const struct splice *splice)
{
    unsigned n = old->n - splice->remove + splice->put_n;
    struct tree_node *node = node_blank(edit->store, n, old->level, old->fold);
    if (node == NULL) {
        return NULL;
    }
    void **ptrs = (void **)(void *)(node->keys + n);
    uint32_t *counts = (uint32_t *)(uintptr_t)node_counts(node);
    node->count = old->count;
    for (unsigned i = splice->at; i < splice->at + splice->remove; i++) {
        node->count -= old->level > 0 ? node_counts(old)[i] : 1;
    }
    splice_array(node->keys, old->keys, sizeof(old->keys[0]), old->n, splice);
    splice_array(ptrs, node_ptrs(old), sizeof(ptrs[0]), old->n, splice);
    if (old->level > 0) {
        splice_array(counts, node_counts(old), sizeof(counts[0]), old->n, splice);
    }
    if (old->fold != TREE_PLAIN) {
        splice_folds(node_folds(node), node_folds(old), old->n, splice);
    }
    for (unsigned i = 0; i < splice->put_n; i++) {
        const struct entry *entry = &splice->put[i];
        node->keys[splice->at + i] = entry->key;
        ptrs[splice->at + i] = entry->ptr;
        node->count += entry->count;
        if (old->fold != TREE_PLAIN) {
            node_folds(node)[splice->at + i] = entry->fold;
        }
        if (old->level > 0) {
            counts[splice->at + i] = entry->count;
        }
    }
    node->anchor = old->anchor;
    note_fresh(edit, node, splice->at, splice->at + splice->put_n);
    edit->stale[edit->stale_count++] = old;
    return node;
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
    edit->root = fresh_node(edit, out, 2, level + 1, &none);
    return edit->root != NULL ? 0 : -ENOMEM;
}

/* All entries of a node with the change in them. */
static void splice_row(struct row *row, const struct tree_node *node, const struct splice *splice)
{
    row->n = 0;
    row_append(row, node, 0, splice->at);
    for (unsigned i = 0; i < splice->put_n; i++) {
        row->e[row->n++] = splice->put[i];
    }
    row_append(row, node, splice->at + splice->remove, node->n);
}

/* A neighbour's entries to those of a node that has become too small; the span that both had. */
static struct tree_node *join_neighbour(struct row *row, const struct tree_node *parent,
                                        unsigned *from, unsigned *to)
{
    struct tree_node *neighbour;
    if (*from > 0) {
        struct row joined = {.n = 0};
        neighbour = node_child(parent, --*from);
        row_append(&joined, neighbour, 0, neighbour->n);
        memcpy(joined.e + joined.n, row->e, row->n * sizeof(row->e[0]));
        joined.n += row->n;
        *row = joined;
    } else {
        neighbour = node_child(parent, (*to)++);
        row_append(row, neighbour, 0, neighbour->n);
    }
    return neighbour;
}

/* The change of a node below the root becomes that of its parent. 0 or -ENOMEM. */
static int edit_node(struct tree_edit *edit, const struct tree_node *parent, unsigned place,
                     struct splice *splice)
{
    struct tree_node *node = node_child(parent, place);
    unsigned n = node->n - splice->remove + splice->put_n;
    unsigned from = place;
    unsigned to = place + 1;
    if (n <= TREE_FANOUT && (n >= TREE_MIN || (parent->n == 1 && n > 0))) {
        struct tree_node *copy = splice_node(edit, node, splice);
        if (copy == NULL) {
            return -ENOMEM;
        }
        splice->put[0] = entry_of(copy);
        splice->put_n = 1;
    } else {
        struct row row;
        struct tree_node *neighbour = NULL;
        splice_row(&row, node, splice);
        if (n < TREE_MIN && parent->n > 1) {
            neighbour = join_neighbour(&row, parent, &from, &to);
        }
        int made = row_to_nodes(edit, &row, node->level, node, neighbour, splice->put);
        if (made < 0) {
            return made;
        }
        splice->put_n = (unsigned)made;
    }
    splice->at = from;
    splice->remove = to - from;
    return 0;
}

static int edit_root(struct tree_edit *edit, struct tree_node *root, const struct splice *splice)
{
    unsigned n = (root != NULL ? root->n : 0) - splice->remove + splice->put_n;
    if (root != NULL && n <= TREE_FANOUT && n > (root->level > 0 ? 1u : 0u)) {
        edit->root = splice_node(edit, root, splice);
        return edit->root != NULL ? 0 : -ENOMEM;
    }
    struct row row = {.n = 0};
    if (root != NULL) {
        splice_row(&row, root, splice);
    } else if (splice->put_n > 0) {
        row.e[row.n++] = splice->put[0];
    }
    return finish_root(edit, root, &row, root != NULL ? root->level : 0);
}

int tree_edit(struct tree_edit *edit, struct tree_store *store, struct tree_node *root,
              const struct tree_kind *kind, uint32_t rank, unsigned remove, uint64_t key,
              void *item)
{
    struct splice splice = {.remove = remove, .put_n = item != NULL ? 1 : 0};
    splice.put[0] = (struct entry){.key = key, .ptr = item, .count = 1};
    if (item != NULL && kind->fold != TREE_PLAIN) {
        splice.put[0].fold = kind->value(item);
    }
    edit->root = root;
    edit->store = store;
    edit->kind = *kind;
    edit->fresh_count = edit->stale_count = 0;
    edit->fresh_anchor_count = edit->stale_anchor_count = 0;
    struct tree_walk path = {.depth = 0};
    if (root != NULL) {
        /* One past the end is the place after the last item. */
        bool append = rank == root->count;
        tree_walk_from(&path, root, append ? rank - 1 : rank);
        splice.at = path.at[path.depth - 1].i + (append ? 1u : 0u);
    }
    int result = 0;
    for (unsigned l = path.depth; l-- > 1 && result == 0;) {
        result = edit_node(edit, path.at[l - 1].node, path.at[l - 1].i, &splice);
    }
    result = result == 0 ? edit_root(edit, root, &splice) : result;
    if (result < 0) {
        tree_abort(edit);
    }
    return result;
}

/* Entries of a node learn which anchor they hang from. */
static void adopt(const struct tree_edit *edit, struct tree_node *node, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        void *ptr = node_ptrs(node)[i];
        if (node->level == 0) {
            *edit->kind.slot(ptr) = node->anchor;
        } else {
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
            adopt(edit, node, edit->fresh[i].from, edit->fresh[i].to);
        }
        if (edit->root != NULL) {
            edit->root->anchor->parent = NULL;
        }
        for (unsigned i = 0; i < edit->stale_anchor_count; i++) {
            free(edit->stale_anchor[i]);
        }
    }
}

void tree_abort(struct tree_edit *edit)
{
    for (unsigned i = 0; i < edit->fresh_count; i++) {
        tree_node_drop(edit->fresh[i].node);
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
