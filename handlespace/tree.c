/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The copying B+ tree: reading it, and editing it level by level from the leaf up. */
#include "handlespace/tree.h"

#include "handlespace/rcu.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Followed by n keys, n pointers (items, or children) and, above the leaves, n counts. */
struct tree_node {
    struct rcu_head rcu;
    struct tree_anchor *anchor; /* writer only */
    uint32_t count;             /* items below */
    uint16_t n;
    uint16_t level; /* 0: leaf */
    uint64_t keys[];
};

static void *const *node_ptrs(const struct tree_node *node)
{
    return (void *const *)(const void *)(node->keys + node->n);
}

static const uint32_t *node_counts(const struct tree_node *node)
{
    return (const uint32_t *)(const void *)(node_ptrs(node) + node->n);
}

static struct tree_node *node_child(const struct tree_node *node, unsigned i)
{
    return node_ptrs(node)[i];
}

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

/* --- edits ----------------------------------------------------------------------------------- */

struct entry {
    uint64_t key;
    void *ptr;
    uint32_t count;
};

/* The entries of the node under work; room for a node, its neighbour and what is put in. */
struct row {
    unsigned n;
    struct entry e[2 * TREE_FANOUT + 2];
};

static void row_append(struct row *row, const struct tree_node *node, unsigned from, unsigned to)
{
    for (unsigned i = from; i < to; i++) {
        row->e[row->n++] = (struct entry){.key = node->keys[i],
                                          .ptr = node_ptrs(node)[i],
                                          .count = node->level > 0 ? node_counts(node)[i] : 1};
    }
}

static struct tree_node *node_new(const struct entry *entries, unsigned n, uint16_t level)
{
    size_t each = sizeof(uint64_t) + sizeof(void *) + (level > 0 ? sizeof(uint32_t) : 0);
    struct tree_node *node = malloc(sizeof(*node) + n * each);
    if (node == NULL) {
        return NULL;
    }
    node->anchor = NULL;
    node->count = 0;
    node->n = (uint16_t)n;
    node->level = level;
    void **ptrs = (void **)(void *)(node->keys + n);
    uint32_t *counts = (uint32_t *)(void *)(ptrs + n);
    for (unsigned i = 0; i < n; i++) {
        node->keys[i] = entries[i].key;
        ptrs[i] = entries[i].ptr;
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
                                    uint16_t level, struct tree_anchor **reuse, bool moved)
{
    struct tree_node *node = node_new(entries, n, level);
    if (node == NULL) {
        return NULL;
    }
    edit->fresh[edit->fresh_count].node = node;
    edit->fresh[edit->fresh_count++].moved = moved;
    if (edit->slot != NULL) {
        node->anchor = anchor_get(edit, reuse);
        if (node->anchor == NULL) {
            return NULL;
        }
    }
    return node;
}

static struct entry entry_of(struct tree_node *node)
{
    return (struct entry){.key = node->keys[0], .ptr = node, .count = node->count};
}

/*
 * Turns the row into as few nodes as it takes (0, 1 or 2), `out`; `old` (and `neighbour`, if it
 * was drawn in) are what it replaces. Returns how many, or -ENOMEM.
 */
static int row_to_nodes(struct tree_edit *edit, const struct row *row, uint16_t level,
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
                       uint16_t level)
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

int tree_edit(struct tree_edit *edit, struct tree_node *root, tree_slot_fn slot, uint32_t rank,
              unsigned remove, uint64_t key, void *item)
{
    edit->root = root;
    edit->slot = slot;
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
            row.e[row.n++] = (struct entry){.key = key, .ptr = item, .count = 1};
        }
        row_append(&row, leaf, i + remove, leaf->n);
    } else if (item != NULL) {
        row.e[row.n++] = (struct entry){.key = key, .ptr = item, .count = 1};
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
                *edit->slot(ptr) = node->anchor;
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
    if (edit->slot != NULL) {
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

/* --- the checker ------------------------------------------------------------------------------ */

static const char *check_node(const struct tree_node *node, bool is_root, tree_slot_fn slot,
                              const struct tree_anchor *parent)
{
    if (node->n == 0 || node->n > TREE_FANOUT || (!is_root && node->n < TREE_MIN)) {
        return "tree: a node has too many or too few entries";
    }
    if (is_root && node->level > 0 && node->n < 2) {
        return "tree: a root with one child";
    }
    if (slot != NULL &&
        (node->anchor == NULL || node->anchor->node != node || node->anchor->parent != parent)) {
        return "tree: an anchor does not follow its node";
    }
    uint32_t count = 0;
    for (unsigned i = 0; i < node->n; i++) {
        if (node->level == 0) {
            count++;
            if (slot != NULL && *slot(node_ptrs(node)[i]) != node->anchor) {
                return "tree: an item does not know its leaf";
            }
            continue;
        }
        const struct tree_node *child = node_child(node, i);
        count += node_counts(node)[i];
        if (child->level + 1 != node->level || child->count != node_counts(node)[i] ||
            child->keys[0] != node->keys[i]) {
            return "tree: an entry does not describe its child";
        }
    }
    return count == node->count ? NULL : "tree: a count is wrong";
}

static const char *check_order(const struct tree_node *root, tree_tie_fn tie)
{
    struct tree_walk walk;
    tree_walk_from(&walk, root, 0);
    uint64_t last_key = 0;
    const void *last = NULL;
    for (uint32_t i = 0; i < tree_count(root); i++) {
        uint64_t key;
        const void *item = tree_at(root, i, &key);
        if (tree_walk_next(&walk) != item) {
            return "tree: walk and rank disagree";
        }
        if (i > 0 && (key < last_key || (key == last_key && tie != NULL && tie(item, last) <= 0))) {
            return "tree: out of order";
        }
        last_key = key;
        last = item;
    }
    return tree_walk_next(&walk) == NULL ? NULL : "tree: the walk does not end";
}

const char *tree_check(const struct tree_node *root, tree_slot_fn slot, tree_tie_fn tie)
{
    struct tree_walk walk = {.depth = 0};
    const char *wrong = NULL;
    if (root == NULL) {
        return NULL;
    }
    wrong = check_node(root, true, slot, NULL);
    walk.at[walk.depth].node = root;
    walk.at[walk.depth++].i = 0;
    while (walk.depth > 0 && wrong == NULL) {
        unsigned top = walk.depth - 1u;
        const struct tree_node *node = walk.at[top].node;
        if (node->level == 0 || walk.at[top].i >= node->n) {
            walk.depth--;
            continue;
        }
        const struct tree_node *child = node_child(node, walk.at[top].i++);
        wrong = check_node(child, false, slot, node->anchor);
        walk.at[walk.depth].node = child;
        walk.at[walk.depth++].i = 0;
    }
    return wrong != NULL ? wrong : check_order(root, tie);
}
