/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "handlespace/index.h"

#include "handlespace/internal.h"
#include "handlespace/tree_node.h"

/*
 * Nodes are those of the tree's store. A node has n identifiers, then n pointers. Of a leaf, n is
 * how many slots there are and `count` how many are in use (the writer's). Above the leaves the
 * identifiers are the least that may be below each child (the first's are not looked at), never
 * change, and only the pointers do.
 */
#define FANOUT 33
#define FEW    8  /* entries at most in a node that is joined with another … */
#define JOINED 24 /* … if together they have no more */

/* Slots of a leaf: what fills the blocks of the store. */
static const uint8_t SLOTS[] = {1, 6, 12, 17, 22, 28, FANOUT};

static uint32_t *ids_of(const struct tree_node *node)
{
    return (uint32_t *)(uintptr_t)node->keys;
}

static void **ptrs_of(const struct tree_node *node)
{
    return (void **)(uintptr_t)(node->keys + (node->n + 1) / 2);
}

static uint32_t id_at(const struct tree_node *node, unsigned i)
{
    /* Relaxed: in a leaf it is a hint, above it never changes. */
    return __atomic_load_n(ids_of(node) + i, __ATOMIC_RELAXED);
}

static void *ptr_at(const struct tree_node *node, unsigned i)
{
    return hs_read_ptr(ptrs_of(node)[i]);
}

/* The child below which the identifier is, or would be. */
static unsigned child_of(const struct tree_node *node, uint32_t id)
{
    unsigned low = 0;
    unsigned high = node->n;
    while (high - low > 1) {
        unsigned mid = (low + high) / 2;
        if (id_at(node, mid) <= id) {
            low = mid;
        } else {
            high = mid;
        }
    }
    return low;
}

/* From a node down to the leaf. */
static const struct tree_node *descend(struct tree_walk *path, const struct tree_node *node,
                                       uint32_t id)
{
    while (node->level > 0) {
        unsigned i = child_of(node, id);
        path->at[path->depth].node = node;
        path->at[path->depth++].i = (uint16_t)i;
        node = ptr_at(node, i);
    }
    return node;
}

/* The slot of the identifier; n: it has none. */
static unsigned slot_of(const struct tree_node *leaf, uint32_t id, struct element **ret)
{
    for (unsigned i = 0; i < leaf->n; i++) {
        if (id_at(leaf, i) == id) {
            *ret = ptr_at(leaf, i);
            if (*ret != NULL && (*ret)->pub.pe_id == id) {
                return i;
            }
        }
    }
    *ret = NULL;
    return leaf->n;
}

struct element *hs_index_find(const struct pool *pool, uint32_t pe_id)
{
    const struct tree_node *node = hs_read_ptr(pool->index);
    struct element *found = NULL;
    while (node != NULL && node->level > 0) {
        node = ptr_at(node, child_of(node, pe_id));
    }
    if (node != NULL) {
        (void)slot_of(node, pe_id, &found);
    }
    return found;
}

static struct element *least_after(const struct tree_node *leaf, uint32_t after)
{
    struct element *best = NULL;
    for (unsigned i = 0; i < leaf->n; i++) {
        uint32_t id = id_at(leaf, i);
        struct element *element =
            id > after && (best == NULL || id < best->pub.pe_id) ? ptr_at(leaf, i) : NULL;
        if (element != NULL && element->pub.pe_id > after &&
            (best == NULL || element->pub.pe_id < best->pub.pe_id)) {
            best = element;
        }
    }
    return best;
}

struct element *hs_index_next(const struct pool *pool, uint32_t after)
{
    const struct tree_node *node = hs_read_ptr(pool->index);
    struct tree_walk path = {.depth = 0};
    if (node == NULL) {
        return NULL;
    }
    node = descend(&path, node, after);
    for (;;) {
        struct element *found = least_after(node, after);
        if (found != NULL) {
            return found;
        }
        while (path.depth > 0 &&
               path.at[path.depth - 1].i + 1u >= path.at[path.depth - 1].node->n) {
            path.depth--;
        }
        if (path.depth == 0) {
            return NULL;
        }
        struct tree_node *child = ptr_at(path.at[path.depth - 1].node, ++path.at[path.depth - 1].i);
        node = descend(&path, child, 0);
    }
}

/* --- the writer: nodes that are made anew ------------------------------------------------------
 */

/* Entries of a node under work: of two nodes, and one more. */
struct entries {
    unsigned n;
    uint32_t ids[2 * FANOUT + 1];
    void *ptrs[2 * FANOUT + 1];
};

/* What a change replaces, and by what. */
struct rebuilt {
    struct tree_node *fresh[2 * TREE_DEPTH];
    struct tree_node *stale[2 * TREE_DEPTH];
    unsigned fresh_count, stale_count;
};

static struct tree_node *node_make(struct pool *pool, struct rebuilt *r, unsigned level,
                                   const struct entries *from, unsigned first, unsigned n)
{
    unsigned size = n;
    for (unsigned i = 0; level == 0 && i < sizeof(SLOTS); i++) {
        size = SLOTS[i];
        if (size >= n) {
            break;
        }
    }
    struct tree_node *node = tree_node_alloc(
        pool->nodes, sizeof(*node) + (size + 1) / 2 * sizeof(uint64_t) + size * sizeof(void *));
    if (node == NULL) {
        return NULL;
    }
    node->anchor = NULL;
    node->n = (uint8_t)size;
    node->level = (uint8_t)level;
    node->fold = TREE_PLAIN;
    node->count = n;
    for (unsigned i = 0; i < size; i++) {
        ids_of(node)[i] = i < n ? from->ids[first + i] : 0;
        ptrs_of(node)[i] = i < n ? from->ptrs[first + i] : NULL;
    }
    r->fresh[r->fresh_count++] = node;
    return node;
}

/* In a leaf only what is in use. */
static void take_entries(struct entries *to, const struct tree_node *node, unsigned from,
                         unsigned end)
{
    for (unsigned i = from; i < end; i++) {
        if (ptrs_of(node)[i] != NULL) {
            to->ids[to->n] = ids_of(node)[i];
            to->ptrs[to->n++] = ptrs_of(node)[i];
        }
    }
}

static void sort_entries(struct entries *e)
{
    for (unsigned i = 1; i < e->n; i++) {
        uint32_t id = e->ids[i];
        void *ptr = e->ptrs[i];
        unsigned j = i;
        for (; j > 0 && e->ids[j - 1] > id; j--) {
            e->ids[j] = e->ids[j - 1];
            e->ptrs[j] = e->ptrs[j - 1];
        }
        e->ids[j] = id;
        e->ptrs[j] = ptr;
    }
}

/* Shows readers `node` at the place that the path leads to. */
static void show(struct pool *pool, const struct tree_walk *path, unsigned depth,
                 struct tree_node *node)
{
    if (depth == 0) {
        hs_publish(pool->index, node);
    } else {
        hs_publish(ptrs_of(path->at[depth - 1].node)[path->at[depth - 1].i], node);
    }
}

static bool give_up(struct rebuilt *r)
{
    for (unsigned i = 0; i < r->fresh_count; i++) {
        tree_node_drop(r->fresh[i]);
    }
    return false;
}

/*
 * The children [i, i + remove) of the node at the end of the path give way to those in `put` (two
 * at most); nodes that become too large are split, empty ones go, and the uppermost change is
 * shown. False: memory is out, nothing has changed.
 */
static bool replace_children(struct pool *pool, const struct tree_walk *path, unsigned remove,
                             struct entries put, struct rebuilt *r)
{
    unsigned depth = path->depth;
    for (; depth > 0; depth--, remove = 1) {
        struct tree_node *old = (struct tree_node *)(uintptr_t)path->at[depth - 1].node;
        unsigned at = path->at[depth - 1].i;
        struct entries e = {.n = 0};
        take_entries(&e, old, 0, at);
        for (unsigned i = 0; i < put.n; i++) {
            e.ids[e.n] = i == 0 ? ids_of(old)[at] : put.ids[i];
            e.ptrs[e.n++] = put.ptrs[i];
        }
        take_entries(&e, old, at + remove, old->n);
        r->stale[r->stale_count++] = old;
        unsigned made = e.n == 0 ? 0 : e.n <= FANOUT ? 1 : 2;
        put.n = 0;
        for (unsigned i = 0; i < made; i++) {
            unsigned first = i == 0 ? 0 : e.n / 2;
            unsigned n = made == 1 ? e.n : i == 0 ? e.n / 2 : e.n - e.n / 2;
            put.ids[i] = e.ids[first];
            put.ptrs[i] = node_make(pool, r, old->level, &e, first, n);
            if (put.ptrs[i] == NULL) {
                return give_up(r);
            }
            put.n++;
        }
        if (made == 1) {
            depth--;
            break;
        }
    }
    struct tree_node *top = put.n > 0 ? put.ptrs[0] : NULL;
    if (put.n == 2) {
        put.ids[0] = 0;
        top = path->depth + 2 < TREE_DEPTH
                  ? node_make(pool, r, ((struct tree_node *)put.ptrs[0])->level + 1u, &put, 0, 2)
                  : NULL;
        if (top == NULL) {
            return give_up(r);
        }
    }
    show(pool, path, depth, top);
    tree_nodes_retire(pool->nodes, r->stale, r->stale_count);
    return true;
}

/* A full leaf becomes larger, or two. */
static bool make_room(struct pool *pool, const struct tree_walk *path, struct tree_node *leaf,
                      uint32_t pe_id)
{
    struct rebuilt r = {.fresh_count = 0};
    struct entries e = {.n = 0};
    struct entries put = {.n = 2};
    take_entries(&e, leaf, 0, leaf->n);
    if (leaf->n < FANOUT) {
        unsigned used = e.n;
        e.ids[e.n] = 0;
        e.ptrs[e.n++] = NULL;
        struct tree_node *larger = node_make(pool, &r, 0, &e, 0, e.n);
        if (larger == NULL) {
            return false;
        }
        larger->count = used;
        show(pool, path, path->depth, larger);
        tree_nodes_retire(pool->nodes, &leaf, 1);
        return true;
    }
    sort_entries(&e);
    bool last = pe_id > e.ids[e.n - 1];
    for (unsigned d = 0; d < path->depth && last; d++) {
        last = path->at[d].i + 1u == path->at[d].node->n;
    }
    if (last) {
        /* Identifiers that only rise leave full leaves behind. */
        put.ptrs[0] = leaf;
        put.ids[1] = pe_id;
        put.ptrs[1] = node_make(pool, &r, 0, &e, 0, 0);
        return put.ptrs[1] != NULL && replace_children(pool, path, 1, put, &r);
    }
    r.stale[r.stale_count++] = leaf;
    put.ids[1] = e.ids[e.n / 2];
    put.ptrs[0] = node_make(pool, &r, 0, &e, 0, e.n / 2);
    put.ptrs[1] = node_make(pool, &r, 0, &e, e.n / 2, e.n - e.n / 2);
    if (put.ptrs[0] == NULL || put.ptrs[1] == NULL) {
        return give_up(&r);
    }
    return replace_children(pool, path, 1, put, &r);
}

bool hs_index_prepare(struct pool *pool, uint32_t pe_id, bool joins, struct index_slot *ret)
{
    for (;;) {
        struct tree_walk path = {.depth = 0};
        struct element *found;
        struct rebuilt r = {.fresh_count = 0};
        const struct entries none = {.n = 0};
        if (pool->index == NULL) {
            struct tree_node *first = node_make(pool, &r, 0, &none, 0, 0);
            if (first == NULL) {
                return false;
            }
            hs_publish(pool->index, first);
        }
        ret->leaf = (struct tree_node *)(uintptr_t)descend(&path, pool->index, pe_id);
        if (!joins) {
            ret->at = slot_of(ret->leaf, pe_id, &found);
            return true;
        }
        if (ret->leaf->count < ret->leaf->n) {
            /* As a rule those in use are the first. */
            ret->at = ret->leaf->count;
            for (unsigned i = 0; ptrs_of(ret->leaf)[ret->at] != NULL; i++) {
                ret->at = i;
            }
            return true;
        }
        if (!make_room(pool, &path, ret->leaf, pe_id)) {
            return false;
        }
    }
}

/* Whether the two go into one node. */
static bool may_join(const struct tree_node *node, const struct tree_node *neighbour)
{
    return node->count + neighbour->count <= JOINED;
}

/* The child at `left` of the node at the path's end, and the one after it, become one. */
static bool join(struct pool *pool, struct tree_walk *path, unsigned left)
{
    const struct tree_node *parent = path->at[path->depth - 1].node;
    struct tree_node *a = ptrs_of(parent)[left];
    struct tree_node *b = ptrs_of(parent)[left + 1];
    struct rebuilt r = {.stale = {a, b}, .stale_count = 2};
    struct entries put = {.n = 1};
    struct entries e = {.n = 0};
    take_entries(&e, a, 0, a->n);
    unsigned seam = e.n;
    take_entries(&e, b, 0, b->n);
    if (b->level > 0) {
        e.ids[seam] = ids_of(parent)[left + 1]; /* as the first of b it said nothing */
    }
    put.ptrs[0] = node_make(pool, &r, a->level, &e, 0, e.n);
    path->at[path->depth - 1].i = (uint16_t)left;
    return put.ptrs[0] != NULL && replace_children(pool, path, 2, put, &r);
}

/* The child that the path leads to goes, as nothing is below it. */
static bool drop(struct pool *pool, struct tree_walk *path, struct tree_node *node)
{
    struct rebuilt r = {.stale = {node}, .stale_count = 1};
    return replace_children(pool, path, 1, (struct entries){.n = 0}, &r);
}

/* Joins or drops the node that the path leads to if it has become small. False: it stays. */
static bool shrink(struct pool *pool, struct tree_walk *path, struct tree_node *node)
{
    const struct tree_node *parent = path->at[path->depth - 1].node;
    unsigned at = path->at[path->depth - 1].i;
    if (node->count == 0) {
        return drop(pool, path, node);
    }
    if (node->count <= FEW && at > 0 && may_join(node, ptrs_of(parent)[at - 1])) {
        return join(pool, path, at - 1);
    }
    return node->count <= FEW && at + 1u < parent->n && may_join(node, ptrs_of(parent)[at + 1]) &&
           join(pool, path, at);
}

/* Something has left the leaf of the identifier. Without memory nodes stay as they are. */
static void tidy(struct pool *pool, uint32_t pe_id)
{
    bool smaller = true;
    for (unsigned level = 0; smaller; level++) {
        struct tree_walk path = {.depth = 0};
        struct tree_node *node = pool->index;
        if (node == NULL || node->level < level) {
            return;
        }
        if (node->level > 0 && node->n == 1) {
            /* An only child takes its parent's place. */
            hs_publish(pool->index, ptrs_of(node)[0]);
            tree_nodes_retire(pool->nodes, &node, 1);
            node = pool->index;
        }
        while (node->level > level) {
            unsigned i = child_of(node, pe_id);
            path.at[path.depth].node = node;
            path.at[path.depth++].i = (uint16_t)i;
            node = ptrs_of(node)[i];
        }
        smaller = path.depth > 0 && shrink(pool, &path, node);
    }
}

void hs_index_commit(struct pool *pool, struct index_slot slot, struct element *element)
{
    void **ptr = ptrs_of(slot.leaf) + slot.at;
    uint32_t pe_id = ids_of(slot.leaf)[slot.at];
    if (element != NULL && *ptr == NULL) {
        __atomic_store_n(ids_of(slot.leaf) + slot.at, element->pub.pe_id, __ATOMIC_RELAXED);
        slot.leaf->count++;
    }
    hs_publish(*ptr, (void *)element);
    if (element == NULL) {
        slot.leaf->count--;
        if (slot.leaf->count <= FEW) {
            tidy(pool, pe_id);
        }
    }
}

/* --- the end -----------------------------------------------------------------------------------
 */

typedef void (*node_fn)(struct tree_node *node);

/* All nodes, each after those below it. */
static void each_node(struct tree_node *root, node_fn fn)
{
    struct tree_walk walk = {.depth = 0};
    struct tree_node *node = root;
    while (node != NULL) {
        if (node->level > 0) {
            walk.at[walk.depth].node = node;
            walk.at[walk.depth++].i = 0;
            node = ptrs_of(node)[0];
            continue;
        }
        fn(node);
        node = NULL;
        while (walk.depth > 0 && node == NULL) {
            struct tree_node *parent = (struct tree_node *)(uintptr_t)walk.at[walk.depth - 1].node;
            if (++walk.at[walk.depth - 1].i < parent->n) {
                node = ptrs_of(parent)[walk.at[walk.depth - 1].i];
            } else {
                fn(parent);
                walk.depth--;
            }
        }
    }
}

static void retire_node(struct tree_node *node)
{
    tree_nodes_retire(node->store, &node, 1);
}

void hs_index_retire(struct pool *pool)
{
    each_node(pool->index, retire_node);
}

void hs_index_free(struct pool *pool)
{
    each_node(pool->index, tree_node_drop);
    pool->index = NULL;
}

/* --- the checker -------------------------------------------------------------------------------
 */

static const char *check_leaf(const struct tree_node *leaf, uint64_t from, uint64_t to)
{
    uint32_t used = 0;
    for (unsigned i = 0; i < leaf->n; i++) {
        const struct element *element = ptrs_of(leaf)[i];
        if (element == NULL) {
            continue;
        }
        used++;
        uint32_t id = element->pub.pe_id;
        struct element *found;
        if (ids_of(leaf)[i] != id || id < from || id >= to || slot_of(leaf, id, &found) != i) {
            return "index: an element is not where it is looked for";
        }
    }
    return used == leaf->count ? NULL : "index: a leaf has lost count";
}

const char *hs_index_check(const struct pool *pool)
{
    struct tree_walk walk = {.depth = 0};
    uint64_t to[TREE_DEPTH + 1] = {UINT64_MAX};
    uint64_t from = 0;
    const struct tree_node *node = pool->index;
    while (node != NULL) {
        if (node->level > 0) {
            unsigned i = 0;
            walk.at[walk.depth].node = node;
            walk.at[walk.depth++].i = (uint16_t)i;
            to[walk.depth] = node->n > 1 ? ids_of(node)[1] : to[walk.depth - 1];
            node = ptrs_of(node)[0];
            continue;
        }
        const char *wrong = check_leaf(node, from, to[walk.depth]);
        if (wrong != NULL) {
            return wrong;
        }
        node = NULL;
        for (; walk.depth > 0 && node == NULL; walk.depth -= node == NULL ? 1 : 0) {
            const struct tree_node *parent = walk.at[walk.depth - 1].node;
            unsigned i = ++walk.at[walk.depth - 1].i;
            if (parent->count != parent->n || (parent->level + walk.depth > TREE_DEPTH)) {
                return "index: a node has lost count";
            }
            if (i < parent->n) {
                from = ids_of(parent)[i];
                to[walk.depth] = i + 1u < parent->n ? ids_of(parent)[i + 1u] : to[walk.depth - 1];
                if (from >= to[walk.depth] ||
                    ((struct tree_node *)ptrs_of(parent)[i])->level + 1 != parent->level) {
                    return "index: a node is out of order";
                }
                node = ptrs_of(parent)[i];
            }
        }
    }
    return NULL;
}
