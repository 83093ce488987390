/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The memory of nodes. An edit makes as many nodes as it replaces, of much the same sizes, and what
 * it replaces comes back when the readers are done with it: by the callback of the first of them,
 * over a stack that the writer empties in one stroke. So that neither side takes a lock, and the
 * heap does not fill with holes between the elements, nodes are kept by size and used again.
 */
#include "handlespace/tree_node.h"

#include "common/sanitizers.h"

#include <stdlib.h>

/* The address checker shall see whoever looks at a node that has gone. */
#ifdef RSP_ASAN
#define KEEP false
#else
#define KEEP true
#endif

#define STEP        64
#define SPARE_LEAST 64   /* kept however small the trees are */
#define SPARE_TAKEN 2048 /* kept at most for what is to come */
#define WAITING_MAX 512  /* changes whose nodes wait for the writer; those of others are freed */

/* Less what malloc() puts before it, so that blocks lie side by side. */
static size_t size_of(unsigned class)
{
    return (size_t)(class + 1) * STEP - sizeof(size_t);
}

static void keep(struct tree_store *store, struct tree_node *node)
{
    if (store->spare_count >= store->limit) {
        free(node);
        return;
    }
    node->next = store->spare[node->class];
    store->spare[node->class] = node;
    store->spare_count++;
}

/* What has come back since. Acquire: pairs with the release in give_back(). */
static void collect(struct tree_store *store)
{
    struct tree_node *batch = __atomic_exchange_n(&store->returned, NULL, __ATOMIC_ACQUIRE);
    if (batch != NULL) {
        __atomic_store_n(&store->waiting, 0, __ATOMIC_RELAXED);
        /* As many as were taken since the last ones came will be taken until the next come. */
        store->limit = SPARE_LEAST + store->live / 16 +
                       (store->taken < SPARE_TAKEN ? store->taken : SPARE_TAKEN);
        store->taken = 0;
    }
    while (batch != NULL) {
        struct tree_node *node = batch;
        batch = node->batch;
        while (node != NULL) {
            struct tree_node *next = node->next;
            keep(store, node);
            node = next;
        }
    }
}

struct tree_node *tree_node_alloc(struct tree_store *store, size_t size)
{
    unsigned class = (unsigned)((size + sizeof(size_t) - 1) / STEP);
    if (store->spare[class] == NULL) {
        collect(store);
    }
    struct tree_node *node = store->spare[class];
    if (node != NULL) {
        store->spare[class] = node->next;
        store->spare_count--;
    } else {
        node = malloc(size_of(class));
        if (node == NULL) {
            return NULL;
        }
    }
    node->store = store;
    node->class = (uint8_t) class;
    store->live++;
    store->taken++;
    return node;
}

void tree_node_drop(struct tree_node *node)
{
    node->store->live--;
    keep(node->store, node);
}

/* Puts a batch where the writer looks for it. Release: pairs with collect(). */
static void give_back(struct tree_store *store, struct tree_node *first)
{
    (void)__atomic_fetch_add(&store->waiting, 1, __ATOMIC_RELAXED);
    struct tree_node *seen = __atomic_load_n(&store->returned, __ATOMIC_RELAXED);
    do {
        first->batch = seen;
    } while (!__atomic_compare_exchange_n(&store->returned, &seen, first, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
}

static void free_batch(struct tree_node *first)
{
    while (first != NULL) {
        struct tree_node *next = first->next;
        free(first);
        first = next;
    }
}

/* Runs when no reader sees any of those that the edit replaced. */
static void node_release(struct rcu_head *head)
{
    hs_note_acquire(grace);
    struct tree_node *first = hs_container_of(head, struct tree_node, rcu);
    struct tree_store *store = first->store;
    if (KEEP && __atomic_load_n(&store->waiting, __ATOMIC_RELAXED) < WAITING_MAX) {
        give_back(store, first);
    } else {
        free_batch(first);
    }
    hs_note_release(called); /* who waits for all callbacks may free the store */
}

void tree_nodes_retire(struct tree_store *store, struct tree_node *const *nodes, unsigned n)
{
    if (n == 0) {
        return;
    }
    for (unsigned i = 0; i < n; i++) {
        nodes[i]->next = i + 1 < n ? nodes[i + 1] : NULL;
    }
    store->live -= n;
    hs_defer(&nodes[0]->rcu, node_release);
}

void tree_retire(struct tree_edit *edit)
{
    tree_nodes_retire(edit->store, edit->stale, edit->stale_count);
}

void tree_store_done(struct tree_store *store)
{
    collect(store);
    for (unsigned i = 0; i < TREE_CLASSES; i++) {
        while (store->spare[i] != NULL) {
            struct tree_node *node = store->spare[i];
            store->spare[i] = node->next;
            free(node);
        }
    }
}
