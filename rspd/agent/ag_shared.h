/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the resolver threads read of the agent, under RCU, while the loop thread changes it.
 *
 * The loop thread is the one writer. It keeps a mark for each pool it remembers, each PE of this
 * host and each PE in quarantine, and one view of the rest; marks and views are replaced or taken
 * out by publication, and freed when no reader can see them any more. What changes in place is
 * atomic. Selection (ag_select.c) reads nothing of the agent but this, in both kinds of threads.
 */
#ifndef RSP_RSPD_AGENT_AG_SHARED_H
#define RSP_RSPD_AGENT_AG_SHARED_H

#include "handlespace/rcu.h"
#include "rspd/agent/agent.h"

#define AG_HOST_ADDRESSES_MAX 32

/** The host and its registrar. Immutable once published. */
struct ag_view {
    struct rcu_head rcu;
    struct hs *local_hs; /* this process is registrar */
    struct hs *cache;
    uint16_t handle_max;
    bool home_on_host;
    uint8_t host_count;
    struct ip_address host[AG_HOST_ADDRESSES_MAX];
};

enum ag_mark_kind { AG_MARK_POOL, AG_MARK_OWN, AG_MARK_SUSPECT, AG_MARK_KINDS };

/** Bits of a mark's state. */
enum {
    AG_MARK_SEEN = 1,  /* POOL: it has existed */
    AG_MARK_USED = 2,  /* POOL: a reader has answered from it; set by readers */
    AG_MARK_UNFIT = 4, /* OWN: withheld or on its way out */
    AG_MARK_TRIAL = 8, /* SUSPECT: used again to see whether it fails */
};

struct ag_mark {
    struct rcu_head rcu;
    struct ag_mark *next; /* published */
    enum ag_mark_kind kind;
    uint32_t pe_id;            /* POOL: 0 */
    struct pool_handle handle; /* in the mark's own memory */
    const struct ag_pe *pe;    /* OWN: what it wants; in the mark's own memory */
    uint32_t state;            /* atomic */
    int64_t at_us;             /* atomic. POOL: fresh until then; SUSPECT: failed then */
};

/** NULL when memory is out. `pe` only for OWN; copied. */
struct ag_mark *ag_mark_new(enum ag_mark_kind kind, struct pool_handle handle, uint32_t pe_id,
                            const struct ag_pe *pe);
void ag_mark_add(struct ag *ag, struct ag_mark *mark);
/** `fresh` takes the place of `old`, which has the same name. */
void ag_mark_replace(struct ag *ag, struct ag_mark *old, struct ag_mark *fresh);
/** Out of the table, freed when nobody reads it any more. */
void ag_mark_remove(struct ag *ag, struct ag_mark *mark);
/** Any thread, in a read section. */
struct ag_mark *ag_mark_find(const struct ag *ag, enum ag_mark_kind kind, struct pool_handle handle,
                             uint32_t pe_id);

static inline void ag_mark_set(struct ag_mark *mark, uint32_t bits, bool on)
{
    if (on) {
        (void)__atomic_fetch_or(&mark->state, bits, __ATOMIC_RELAXED);
    } else {
        (void)__atomic_fetch_and(&mark->state, ~bits, __ATOMIC_RELAXED);
    }
}
static inline bool ag_mark_is(const struct ag_mark *mark, uint32_t bit)
{
    return (__atomic_load_n(&mark->state, __ATOMIC_RELAXED) & bit) != 0;
}
static inline void ag_mark_at(struct ag_mark *mark, struct tm_us at)
{
    __atomic_store_n(&mark->at_us, at.us, __ATOMIC_RELAXED);
}
static inline struct tm_us ag_mark_time(const struct ag_mark *mark)
{
    return (struct tm_us){__atomic_load_n(&mark->at_us, __ATOMIC_RELAXED)};
}

/** Publishes what has changed of the view. */
void ag_share(struct ag *ag);
/** No reader is left. */
void ag_shared_free(struct ag *ag);

#endif
