/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The elements of a pool by PE id: a B+ tree whose leaves are filled in place.
 *
 * A leaf is a set of slots in no order. A slot is free while its pointer is NULL; to fill it the
 * writer stores the identifier, then the pointer. So each join, change or leave is one store for
 * readers, and no node is made for it. As slots are used again, a reader takes an identifier in a
 * slot for a hint only, and the word of the element for it. When a leaf is full, or two are nearly
 * empty, others are made from them and shown by the store of one pointer above; a reader that is
 * still in the old ones sees them as they were then.
 */
#ifndef RSP_HANDLESPACE_INDEX_H
#define RSP_HANDLESPACE_INDEX_H

#include "handlespace/tree.h"

struct pool;
struct element;

/** Where a change will take place. */
struct index_slot {
    struct tree_node *leaf;
    unsigned at;
};

/** R. NULL: there is none. */
struct element *hs_index_find(const struct pool *pool, uint32_t pe_id);
/** R. The element with the least identifier above `after`; NULL: there is none. */
struct element *hs_index_next(const struct pool *pool, uint32_t after);

/**
 * W. Finds the slot of an element, or, for one that joins, makes room for it: readers see no
 * difference. False: memory is out.
 */
bool hs_index_prepare(struct pool *pool, uint32_t pe_id, bool joins, struct index_slot *ret);
/** W. Puts the element there; NULL: takes out the one that is there. */
void hs_index_commit(struct pool *pool, struct index_slot slot, struct element *element);
/** W. The pool has gone: no new reader finds it. */
void hs_index_retire(struct pool *pool);
/** Frees the nodes at once: no reader may be left. */
void hs_index_free(struct pool *pool);
/** W. NULL, or what is wrong with it. */
const char *hs_index_check(const struct pool *pool);

#endif
