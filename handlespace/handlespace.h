/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * handlespace/ - pools and their elements: registration, policies, expiry, ownership, selection.
 *
 * One writer, any number of RCU readers (liburcu): a reader takes no lock and never waits for the
 * writer. An element seen by a reader is immutable; a re-registration publishes a new one. Time and
 * randomness are passed in. The registrar keeps its replica of the scope in one; the agent keeps
 * its cache of resolved pools in another (then life is the stale time).
 *
 * Threads: functions marked W are for the one writer; R may be called by any registered reader
 * thread inside hs_read_begin/hs_read_end; the writer may call both.
 */
#ifndef RSP_HANDLESPACE_HANDLESPACE_H
#define RSP_HANDLESPACE_HANDLESPACE_H

#include "common/clock.h"
#include "common/rnd.h"
#include "common/types.h"

struct hs;

/** The longest life but the infinite one, some 4,000 years. */
#define HS_LIFE_MAX_MS ((INT64_C(1) << 47) - 1)

/** An element as readers see it. Valid until hs_read_end(); immutable; more follows it, so it
 *  cannot be copied. */
struct hs_element {
    const struct pool_handle *handle;
    uint64_t owner_ref;      /* what the writer stored with it: association of the PE, or 0 */
    int64_t life_ms : 48;    /* -1: infinite; HS_LIFE_MAX_MS */
    uint64_t own : 16;       /* the handlespace's */
    struct tm_us registered; /* last (re-)registration */
    uint32_t pe_id;
    uint32_t home_id;
};
/* The rest of it is kept tightly; what these return borrows from the element. Any thread that may
 * see the element. */
struct transport hs_user(const struct hs_element *element);
/** Protocol TRANSPORT_NONE: the PE was registered without one. */
struct transport hs_asap(const struct hs_element *element);
struct policy hs_policy(const struct hs_element *element);
/** TM_NEVER: it lives for ever. */
struct tm_us hs_expires(const struct hs_element *element);

/** Why a registration was refused; maps 1:1 to an error cause. */
enum hs_result {
    HS_ADDED,
    HS_UPDATED,
    HS_REMOVED,
    HS_UNKNOWN,                /* no such pool or element */
    HS_INVALID,                /* cause 0x3: pe id 0, empty handle, unknown policy, port 0 */
    HS_INCONSISTENT_POLICY,    /* cause 0x5 */
    HS_NO_RESOURCES,           /* cause 0x6: limits or memory */
    HS_INCONSISTENT_TRANSPORT, /* cause 0x7 */
    HS_INCONSISTENT_USE        /* cause 0x8 */
};

/** 0: no limit. */
struct hs_limits {
    uint32_t pools;
    uint32_t elements;
    uint32_t elements_per_pool;
};

/** @param seed  of the handlespace's own randomness (policies). NULL when memory is out. */
struct hs *hs_new(const struct hs_limits *limits, uint64_t seed);
/**
 * The cache of a pool user: elements are registered in the order in which a registrar lists them,
 * and selected as RFC 5356 lets a pool user choose from such a list.
 */
struct hs *hs_new_cache(const struct hs_limits *limits, uint64_t seed);
/** W. No reader may be inside. */
void hs_free(struct hs *hs);

/** Reader threads register once; the writer thread too. */
void hs_thread_register(void);
void hs_thread_unregister(void);
void hs_read_begin(void);
void hs_read_end(void);

/**
 * W. Registers or re-registers (RFC 5352 §3.1): checks policy type, transport type and transport
 * use against the pool, copies everything it keeps.
 * @param element   id, home, user and ASAP transport, policy; registration_life is ignored
 * @param life_ms   -1, or more than HS_LIFE_MAX_MS: infinite
 * @param owner_ref kept with the element, see hs_element
 */
enum hs_result hs_register(struct hs *hs, struct pool_handle handle,
                           const struct pool_element *element, int64_t life_ms, uint64_t owner_ref,
                           struct tm_us now);
/**
 * W. HS_REMOVED or HS_UNKNOWN. An empty pool goes with its last element. HS_NO_RESOURCES: memory is
 * out even for the smaller structure; nothing has changed, ask again later.
 */
enum hs_result hs_deregister(struct hs *hs, struct pool_handle handle, uint32_t pe_id);
/** W. A new home registrar for one element: HS_UPDATED, HS_UNKNOWN or HS_NO_RESOURCES. */
enum hs_result hs_set_home(struct hs *hs, struct pool_handle handle, uint32_t pe_id,
                           uint32_t home_id, uint64_t owner_ref);

/** W. When the next element expires; TM_NEVER if none. */
struct tm_us hs_next_expiry(const struct hs *hs);
/** W, inside a read section. The element that expires next, if it is due at `now`; NULL otherwise.
 */
const struct hs_element *hs_due(struct hs *hs, struct tm_us now);

/** R. NULL when unknown. */
const struct hs_element *hs_find(struct hs *hs, struct pool_handle handle, uint32_t pe_id);

/** What a pool is. */
struct hs_pool_info {
    struct pool_handle handle;
    uint32_t policy_type;
    enum transport_protocol protocol;
    uint16_t use;
    uint32_t elements;
};
/** R. False when the pool is unknown. */
bool hs_pool(struct hs *hs, struct pool_handle handle, struct hs_pool_info *ret);

/** Says whether an element may be selected; called inside the selection. */
typedef bool (*hs_filter_fn)(void *ctx, const struct hs_element *element);

/**
 * R. Selects up to `count` distinct elements by the pool's policy (RFC 5356), best first, skipping
 * those the filter (may be NULL) refuses; advances the policy's state (round robin position …).
 * @return how many were written to `ret`; 0 also for an unknown pool.
 */
size_t hs_select(struct hs *hs, struct pool_handle handle, size_t count, hs_filter_fn filter,
                 void *ctx, const struct hs_element **ret);

/**
 * Cursors in a stable order that survive changes between two calls: pools in handle order, the
 * elements of a pool in PE id order. Start with a zeroed cursor; R.
 */
struct hs_cursor {
    bool started;
    uint16_t handle_len;
    uint8_t handle[POOL_HANDLE_MAX];
    uint32_t pe_id;
    uint64_t seq; /* hs_owner_next(), hs_home_next() */
};
bool hs_pool_next(struct hs *hs, struct hs_cursor *cursor, struct hs_pool_info *ret);
/** Every element of every pool. */
const struct hs_element *hs_element_next(struct hs *hs, struct hs_cursor *cursor);
/** The elements of one pool. */
const struct hs_element *hs_pool_element_next(struct hs *hs, struct pool_handle handle,
                                              struct hs_cursor *cursor);
/**
 * W. The elements with that owner_ref (not 0), one by one, in the order in which they came to it:
 * pass a 0-initialised cursor. Elements may be removed or changed on the way.
 */
const struct hs_element *hs_owner_next(struct hs *hs, uint64_t owner_ref, struct hs_cursor *cursor);
/** W. The same for the elements with that home registrar. */
const struct hs_element *hs_home_next(struct hs *hs, uint32_t home_id, struct hs_cursor *cursor);
/** R. How many these are. */
uint32_t hs_home_count(struct hs *hs, uint32_t home_id);

/** Totals; any thread. */
uint32_t hs_pool_count(const struct hs *hs);
uint32_t hs_element_count(const struct hs *hs);
/** R. PE checksum over the elements whose home is `home_id` (RFC 5353 §3.6.2). */
uint16_t hs_checksum(struct hs *hs, uint32_t home_id);

/** W. Checks every invariant of the structure; false and a reason on the first broken one. */
bool hs_check(struct hs *hs, const char **ret_reason);

#endif
