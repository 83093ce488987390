/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The insides of the handlespace, for the files of this folder.
 *
 * An element is one immutable object; its private part is the writer's. A pool has two trees over
 * its elements: by PE id (index.h), and, copying (tree.h), in the order of the policy. Pools,
 * owners (owner_ref) and homes (home_id) are found by hash; pools also stand in a tree in handle
 * order.
 */
#ifndef RSP_HANDLESPACE_INTERNAL_H
#define RSP_HANDLESPACE_INTERNAL_H

#include "handlespace/handlespace.h"
#include "handlespace/index.h"
#include "handlespace/policy_ops.h"
#include "handlespace/rcu.h"
#include "handlespace/tree.h"

/** Addresses in one transport. */
#define HS_ADDRESSES_MAX 64
/** Octets of an opaque transport. */
#define HS_OPAQUE_MAX 1024

/** Two or more elements with the same sort key: they take turns. Readers add to `turn`. */
struct ring {
    struct rcu_head rcu;
    uint64_t turn; /* the head stands at rank turn % size of the ring */
};

struct element {
    struct hs_element pub; /* first */
    union {
        struct ring *ring; /* ordered policies; published; NULL: nobody has the same key */
        uint64_t standing; /* policies with a step: readers move it one way, see policy_ops.h */
    };
    /* From here on writer only. */
    struct tree_anchor *leaf; /* in the order tree */
    uint64_t seq : 48;        /* place in the lists of its owner and its home, ascending */
    uint64_t asap_port : 16;
    struct element *home_prev, *home_next;
    union {
        struct {
            struct element *prev, *next; /* list of the owner */
        } owner;
        struct rcu_head rcu; /* once it is replaced or removed */
    } link;
    uint32_t heap_index; /* HEAP_NONE: lives for ever */
    /* What readers get by hs_user(), hs_asap() and hs_policy(), to the octet, as there are many;
       protocol and use of the user transport, and the policy's type, are those of the pool, the
       user's port is pub.own. */
    uint8_t user_addresses : 7;
    bool asap_shared : 1; /* its addresses are the user's, kept once */
    uint8_t asap_addresses : 7;
    bool asap_use : 1; /* it has one that is not 0 */
    uint8_t asap_protocol : 5;
    uint8_t word_count : 3;
    /* Not aligned: service code or number of octets (DCCP, opaque), words of the policy, use of
       the ASAP transport, addresses, octets of an opaque transport. */
    uint8_t tail[];
};
#define HEAP_NONE UINT32_MAX

struct pool {
    struct rcu_head rcu;
    struct cds_lfht_node node;
    bool cache; /* of a pool user: standings are the order in which the list came */
    const struct policy_ops *ops;
    struct tree_store *nodes; /* of the handlespace */
    enum transport_protocol protocol;
    uint16_t use;
    uint32_t elements;       /* atomically loaded by any thread */
    struct tree_node *index; /* published: elements by PE id */
    struct tree_node *order; /* published: elements by the policy's key; anchored */
    uint64_t turn;           /* readers add to it: position (WRR), or clock of the standings */
    uint64_t prefix;         /* the first octets of the handle, as a sort key */
    struct pool_handle name; /* elements point to it */
    uint32_t handle_sum;     /* its part of the PE checksum */
    uint8_t handle[];
};

/** Elements of one owner_ref, in the order in which they came to it. */
struct owner {
    struct rcu_head rcu;
    struct cds_lfht_node node;
    uint64_t ref;
    struct element *first, *last;
};

/** What one home registrar owns, in the order in which it came to it, and the unfolded checksum
 *  (parameters.md §7). */
struct home {
    struct rcu_head rcu;
    struct cds_lfht_node node;
    uint32_t id;
    uint32_t count; /* readers load it */
    uint64_t sum;   /* readers load it */
    struct element *first, *last;
};

#define RND_STRIPES 16
struct hs {
    struct hs_limits limits;
    bool cache; /* of a pool user */
    uint64_t hash_seed;
    struct cds_lfht *pools, *owners, *homes;
    struct tree_store nodes;
    struct tree_node *by_handle;        /* published: pools in handle order */
    uint32_t pool_count, element_count; /* atomically loaded by any thread */
    uint64_t next_seq;
    struct element **heap;
    uint32_t heap_n, heap_size;
    /* One counter per few threads, each on its own cache line. */
    struct {
        uint64_t state;
        uint8_t pad[56];
    } rnd[RND_STRIPES];
};

static inline struct pool_handle pool_name(const struct pool *pool)
{
    return pool->name;
}

static inline struct pool *element_pool(const struct element *element)
{
    return hs_container_of((uintptr_t)element->pub.handle, struct pool, name);
}

static inline const struct element *element_of(const struct hs_element *pub)
{
    return (const struct element *)(const void *)pub;
}

/* find.c */
uint64_t hs_handle_prefix(struct pool_handle handle);
/** Ties of pools with the same prefix; the probe is a struct pool_handle. */
int hs_handle_tie(const void *probe, const void *pool);
/** R. NULL when unknown. */
struct pool *hs_find_pool(struct hs *hs, struct pool_handle handle);
void hs_cursor_set(struct hs_cursor *cursor, struct pool_handle handle, uint32_t pe_id);
unsigned long hs_hash_handle(const struct hs *hs, struct pool_handle handle);

/* element.c */
struct element *hs_element_new(struct pool *pool, const struct pool_element *from);
struct element *hs_element_clone(const struct element *from);
/** Frees it when no reader can see it any more. */
void hs_element_retire(struct element *element);
struct tree_anchor **hs_element_slot(void *item);

/* expiry.c: a binary heap, writer only */
bool hs_heap_reserve(struct hs *hs);
/** Never fails after hs_heap_reserve(). */
void hs_heap_add(struct hs *hs, struct element *element);
void hs_heap_remove(struct hs *hs, const struct element *element);
const char *hs_heap_check(const struct hs *hs);

/* owner.c: writer only, except hs_checksum() and hs_home_count() */
bool hs_owner_get(struct hs *hs, uint64_t ref, struct owner **ret);
/** Drops an owner that has no element. */
void hs_owner_put(struct hs *hs, struct owner *owner);
void hs_owner_add(struct owner *owner, struct element *element);
void hs_owner_remove(struct hs *hs, struct element *element);
/** `element` takes the place of `old`, which has the same owner. */
void hs_owner_replace(struct hs *hs, struct element *old, struct element *element);
bool hs_home_get(struct hs *hs, uint32_t id, struct home **ret);
void hs_home_put(struct hs *hs, struct home *home);
void hs_home_add(struct home *home, struct element *element);
void hs_home_remove(struct hs *hs, const struct element *element);
/** `element` takes the place of `old`, which has the same home. */
void hs_home_replace(struct home *home, const struct element *old, struct element *element);
uint64_t hs_element_sum(const struct element *element);
struct owner *hs_owner_find(struct hs *hs, uint64_t ref);
struct home *hs_home_find(struct hs *hs, uint32_t id);
void hs_tables_free(struct hs *hs);

/* order.c: the policy's order of a pool */
struct order_edit {
    struct tree_edit put, cut;
    bool two; /* put and cut; else one edit, in put */
    struct ring *ring, *fresh_ring, *stale_ring;
    struct ring *grown, *shrunk; /* rings whose position follows */
    uint64_t grown_by, shrunk_by;
    struct element *partner; /* the one that is no longer, or from now on, alone with its key */
    struct element *survivor;
};
/** Prepare: `old` NULL: join; `element` NULL: leave; both: take over or move. 0 or -ENOMEM. */
int hs_order_edit(struct order_edit *edit, struct pool *pool, struct element *old,
                  struct element *element);
/** Publishes the new order. */
void hs_order_commit(struct order_edit *edit, struct pool *pool, struct element *element);
void hs_order_abort(struct order_edit *edit);
const char *hs_order_check(const struct pool *pool);
/** Frees the rings of a pool that no reader can see. */
void hs_order_free(struct pool *pool);

#endif
