/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must be true of a copying B+ tree. */
#include "handlespace/tree_node.h"

/*
 * A fold is a bound: of an item as it stands now, or of the entries of a child. It may be loose
 * where readers have changed what is below and nobody has come by since.
 */
static bool fold_holds(const struct tree_node *node, unsigned i, const struct tree_kind *kind)
{
    if (node->fold != (uint8_t)kind->fold) {
        return false;
    }
    if (node->fold == TREE_PLAIN) {
        return true;
    }
    uint64_t fold = __atomic_load_n(node_folds(node) + i, __ATOMIC_RELAXED);
    uint64_t below =
        node->level > 0 ? node_folded(node_child(node, i)) : kind->value(node_ptrs(node)[i]);
    return kind->fold == TREE_LEAST ? fold <= below : fold >= below;
}

static const char *check_node(const struct tree_node *node, bool is_root,
                              const struct tree_kind *kind, const struct tree_anchor *parent)
{
    if (node->n == 0 || node->n > TREE_FANOUT || (!is_root && node->n < TREE_MIN)) {
        return "tree: a node has too many or too few entries";
    }
    if (is_root && node->level > 0 && node->n < 2) {
        return "tree: a root with one child";
    }
    if (kind->slot != NULL &&
        (node->anchor == NULL || node->anchor->node != node || node->anchor->parent != parent)) {
        return "tree: an anchor does not follow its node";
    }
    uint32_t count = 0;
    for (unsigned i = 0; i < node->n; i++) {
        if (!fold_holds(node, i, kind)) {
            return "tree: a fold is no bound";
        }
        if (node->level == 0) {
            count++;
            if (kind->slot != NULL && *kind->slot(node_ptrs(node)[i]) != node->anchor) {
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

const char *tree_check(const struct tree_node *root, const struct tree_kind *kind, tree_tie_fn tie)
{
    struct tree_walk walk = {.depth = 0};
    const char *wrong = NULL;
    if (root == NULL) {
        return NULL;
    }
    wrong = check_node(root, true, kind, NULL);
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
        wrong = check_node(child, false, kind, node->anchor);
        walk.at[walk.depth].node = child;
        walk.at[walk.depth++].i = 0;
    }
    return wrong != NULL ? wrong : check_order(root, tie);
}
