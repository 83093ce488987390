/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The insides of the agent, shared by its files only (and by its tests).
 *
 *   agent.c            life, settings, dispatch of messages, timers and association events
 *   ag_timers.c        one heap for all timers
 *   ag_registrars.c    the list of registrars: announced and configured (T7)
 *   ag_hunt.c          server hunt and the home registrar (T5)
 *   ag_addresses.c     which addresses a PE registers, in which order a PU tries them
 *   ag_pes.c           the table of local PEs and their part of agent.h
 *   ag_registration.c  the machine of one local PE (T2, T3, T4)
 *   ag_pools.c         pools known to this host, the cache
 *   ag_resolution.c    requests of local PUs (T1)
 *   ag_select.c        choosing elements for a query
 *   ag_shared.c        what resolver threads read of the agent
 *   ag_quarantine.c    PEs that failed towards this host, reports to the registrar
 *
 * All names here have the prefix ag_ too, so that the static library stays collision-free.
 */
#ifndef RSP_RSPD_AGENT_AG_INTERNAL_H
#define RSP_RSPD_AGENT_AG_INTERNAL_H

#include <stddef.h>

#include "common/rnd.h"
#include "rspd/agent/ag_shared.h"
#include "rspd/agent/agent.h"
#include "rspd/registrar/registrar.h"
#include "wire/asap.h"
#include "wire/local.h"

#define AG_REGISTRARS_MAX               64
#define AG_HUNT_PARALLEL                3 /* RFC 5352 §3.6 SH1 */
#define AG_ACCEPTED_MAX                 64
#define AG_ADDRESSES_MAX                8
#define AG_PES_MAX                      65536
#define AG_POOLS_MAX                    4096
#define AG_WAITERS_MAX                  4096
#define AG_QUARANTINE_MAX               1024
#define AG_CACHE_ELEMENTS_MAX           65536
#define AG_BUCKETS                      1024 /* of each hash table */
#define AG_SPREAD_ABOVE                 20 /* local PEs; more re-register spread over AG_SPREAD_MS */
#define AG_SPREAD_MS                    1000
#define AG_STALE_WAIT_MS                30 /* a stale entry answers when the registrar needs longer */
#define AG_RECHECK_MS                   20 /* an answer that served nobody is asked for again after */
#define AG_CONTEST_MS                   500 /* a contested identifier is tried again after */
#define AG_CONTEST_MAX                  30  /* … so often */
#define AG_FLAP_MS                      1000 /* a home lost sooner than that is not tried at once again */
#define AG_REPORTS_PER_S                10
#define AG_REPORTS_BURST                20
#define AG_ANNOUNCES_PER_S              200
#define AG_ANNOUNCES_BURST              400
#define AG_REASON_MAX                   160
#define AG_FAILURE_SLOTS                16
#define AG_FAILURE_EVENT_MS             1000 /* the same failure of the same pool is one event that long */
#define AG_ASSOC_FIRST                  (UINT64_C(1) << 62)
#define AG_SUBOBJECT(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* --- timers (ag_timers.c) -------------------------------------------------------------------- */

enum ag_timer_kind {
    AG_TIMER_T1,    /* pool: answer to a resolution */
    AG_TIMER_STALE, /* pool: answer from the stale entry */
    AG_TIMER_T2,    /* PE: answer to a registration */
    AG_TIMER_T3,    /* PE: answer to a deregistration */
    AG_TIMER_T4,    /* PE: re-registration, or a start that was spread */
    AG_TIMER_T5,    /* hunt */
    AG_TIMER_T7,    /* registrar */
    AG_TIMER_PROBE  /* quarantine */
};

struct ag_timer {
    struct tm_us due;
    uint32_t place; /* in the heap, counted from 1; 0: not running */
    enum ag_timer_kind kind;
};

struct ag_timers {
    struct ag_timer **heap;
    uint32_t used, reserved, size;
};

/** Room for `n` more timers, so that setting one cannot fail; 0 or -ENOMEM. */
int ag_timers_reserve(struct ag_timers *timers, uint32_t n);
void ag_timers_release(struct ag_timers *timers, uint32_t n);
void ag_timers_done(struct ag_timers *timers);
void ag_timer_set(struct ag_timers *timers, struct ag_timer *timer, enum ag_timer_kind kind,
                  struct tm_us due);
void ag_timer_stop(struct ag_timers *timers, struct ag_timer *timer);
/** Stops and returns the earliest timer due at `now`, NULL if none. */
struct ag_timer *ag_timers_take_due(struct ag_timers *timers, struct tm_us now);
struct tm_us ag_timers_next(const struct ag_timers *timers);

/** A token bucket in thousandths. */
struct ag_bucket {
    int64_t tokens_milli;
    struct tm_us filled;
};
bool ag_bucket_take(struct ag_bucket *bucket, unsigned per_s, unsigned burst, struct tm_us now);

/* --- registrars, hunt, home ------------------------------------------------------------------- */

struct ag_registrar {
    bool used;
    bool is_static;
    bool heard; /* by an announce */
    uint32_t id;
    uint16_t port;
    uint16_t other_port; /* second one to try (asap.md §4.10); 0: none */
    uint8_t address_count;
    struct ip_address addresses[AG_ADDRESSES_MAX];
    struct tm_us last_heard;
    int64_t period_ms; /* observed between announces */
    uint32_t round;    /* hunt round it was last tried in */
    uint64_t tried;    /* order of tries; 0: never */
    struct tm_us tried_at;
    bool use_other; /* the next try goes to other_port */
    struct ag_timer timer;
};

struct ag_attempt {
    uint64_t assoc;      /* 0: free */
    uint32_t registrar;  /* slot */
    uint32_t generation; /* the slot's, see ag.generations */
};

struct ag_hunt {
    bool running;
    bool parallel; /* the home is still there (RFC 5352 §3.7.2) */
    struct tm_us since;
    uint32_t round;
    uint32_t t5_ms;
    struct ag_attempt attempts[AG_HUNT_PARALLEL];
    struct ag_timer timer;
};

/** An association: the home's, or one that a registrar opened to us. */
struct ag_peer {
    uint64_t assoc; /* 0: free */
    uint32_t id;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[AG_ADDRESSES_MAX];
    struct ip_address source; /* ours; family 0: not known */
    struct tm_us since, last_used;
    bool readdressed; /* the host has got addresses that the association does not know */
};

void ag_registrar_drop(struct ag *ag, uint32_t slot);
void ag_registrar_expire(struct ag *ag, struct ag_registrar *registrar, struct tm_us now);
/** The entry with that id, or with one of the addresses and the port; NULL. */
struct ag_registrar *ag_registrar_find(struct ag *ag, uint32_t id,
                                       const struct ip_address *addresses, size_t count,
                                       uint16_t port);

/** Begins a hunt, or goes on with one; `parallel`: keep the home meanwhile. */
void ag_hunt_start(struct ag *ag, bool parallel, struct tm_us now);
void ag_hunt_stop(struct ag *ag);
/** A registrar was heard: a hunt that waits tries it at once. */
void ag_hunt_heard(struct ag *ag, struct ag_registrar *registrar, struct tm_us now);
void ag_hunt_timer(struct ag *ag, struct tm_us now);
/** True when the association was one of the hunt's. */
bool ag_hunt_up(struct ag *ag, uint64_t assoc, const struct ip_address *peers, size_t count,
                uint16_t port, struct tm_us now);
/** Our address of an association that comes up; family 0: not known. */
struct ip_address ag_source_of(const struct ag *ag, uint64_t assoc);
bool ag_hunt_down(struct ag *ag, uint64_t assoc, struct tm_us now);
/** `peer` becomes home; an earlier one is closed. */
void ag_home_set(struct ag *ag, const struct ag_peer *peer, const char *why, struct tm_us now);
/** The home is gone; `disconnect`: we give it up. Hunts for another. */
void ag_home_lost(struct ag *ag, bool disconnect, const char *why, struct tm_us now);
bool ag_home_is_local(const struct ag *ag);
/** The home runs on this host: itself, or reached over loopback. */
bool ag_home_on_host(const struct ag *ag);

/* --- local PEs ---------------------------------------------------------------------------------
 */

enum ag_pe_event {
    AG_EV_START, /* wanted in the scope */
    AG_EV_CHANGED,
    AG_EV_LEAVE, /* removed, withheld, or without address */
    AG_EV_HOME,
    AG_EV_HOME_LOST,
    AG_EV_ACCEPTED,
    AG_EV_REFUSED,
    AG_EV_LEFT,
    AG_EV_LEAVE_REFUSED,
    AG_EV_T2,
    AG_EV_T3,
    AG_EV_T4,
    AG_PE_EVENTS
};

struct ag_pool;

struct ag_local {
    struct ag_pe pe; /* its handle borrows the pool's octets */
    struct ag_mark *mark;
    struct ag_pool *pool;
    struct ag_local *pool_next, *hash_next;
    uint32_t slot;
    enum ag_pe_state state;
    struct tm_us since;
    bool removing, withheld;
    bool addressless;    /* nothing to register with the present home */
    bool in_scope;       /* a registrar may hold it */
    bool dirty;          /* changed while a registration was on its way */
    bool told_ok;        /* the owner knows it as registered */
    bool told_failure;   /* … as failing */
    uint64_t home_assoc; /* that has accepted it last */
    uint32_t attempts;
    uint32_t contested; /* refusals in a row because its identifier is another's */
    char reason[AG_REASON_MAX];
    uint8_t sent_count; /* addresses of the last registration */
    struct ip_address sent[AG_ADDRESSES_MAX];
    struct ag_timer timer;
};

/** The machine (asap.md §5.1, 5.3). May free `local`: do not use it afterwards. */
void ag_pe_fsm(struct ag *ag, struct ag_local *local, enum ag_pe_event ev, struct tm_us now);
/** Outcome of a request, with its cause (-1: none). */
void ag_pe_response(struct ag *ag, const struct asap_message *msg, struct tm_us now);
/** Gives every PE the event. */
void ag_pes_event(struct ag *ag, enum ag_pe_event ev, struct tm_us now);
/** Addresses of host or home changed. */
void ag_pes_readdress(struct ag *ag, struct tm_us now);
struct ag_local *ag_local_find(const struct ag *ag, uint32_t pe_id);
void ag_local_free(struct ag *ag, struct ag_local *local);
/** Wanted in the scope and neither refused nor on its way out. */
bool ag_local_usable(const struct ag *ag, const struct ag_local *local);
/** T4 in ms (asap.md §6). */
uint32_t ag_reregistration_ms(const struct ag_settings *settings, const struct ag_pe *pe);
/** How long a registration of it lasts. */
uint32_t ag_life_ms(const struct ag_settings *settings, const struct ag_pe *pe);
void ag_keep_alive(struct ag *ag, uint64_t assoc, const struct asap_message *msg, struct tm_us now);

/* --- addresses ---------------------------------------------------------------------------------
 */

/** What `local` registers with the present home; 0: nothing usable. */
uint8_t ag_register_addresses(const struct ag *ag, const struct ag_local *local,
                              struct ip_address ret[AG_ADDRESSES_MAX]);
/** Addresses of an element for a PU of this host, best first, of `families` (0: any). */
uint8_t ag_contact_addresses(const struct ag_view *view, const struct ip_address *addresses,
                             size_t count, uint8_t families,
                             struct ip_address ret[AG_ADDRESSES_MAX]);
/** The same of a PE of this host: loopback if its listener can be reached there, then its own. */
uint8_t ag_own_addresses(const struct ag_view *view, const struct ag_pe *own, uint8_t families,
                         struct ip_address ret[AG_ADDRESSES_MAX]);

/* --- pools, resolution ---------------------------------------------------------------------------
 */

struct ag_waiter {
    uint64_t request;
    struct ag_query query; /* its handle borrows the pool's octets */
    struct ag_pool *pool;
    struct ag_waiter *pool_next, *hash_next;
    bool ready;
    bool unanswered; /* no registrar has answered: what is known, or -EAGAIN */
};

struct ag_pool {
    struct ag_pool *hash_next;
    struct ag_mark *mark;
    struct ag_pool *older, *newer; /* use, unless pinned */
    bool listed;                   /* in that list */
    bool seen;                     /* has existed */
    bool asking;                   /* T1 runs */
    uint32_t repeats;
    struct policy policy; /* overall, as the registrar said */
    struct tm_us fresh_until;
    struct tm_us useless; /* when the registrar's own answer last served a caller with nothing */
    struct ag_timer t1, stale;
    struct ag_local *locals;
    struct ag_waiter *waiters;
    struct pool_handle handle; /* borrows the octets below */
    uint8_t octets[];
};

struct ag_pool *ag_pool_find(const struct ag *ag, struct pool_handle handle);
/** Finds or makes it; NULL when memory or room is out. */
struct ag_pool *ag_pool_get(struct ag *ag, struct pool_handle handle);
/** It was used; listed again if nothing pins it; freed if it was never seen. */
void ag_pool_touch(struct ag *ag, struct ag_pool *pool);
/** It exists, or has existed. */
void ag_pool_seen(struct ag_pool *pool);
void ag_pools_free(struct ag *ag);
/** The cache, made when needed; NULL when memory is out. */
struct hs *ag_pool_cache(struct ag *ag);
/** Brings a PE of this host in the cached pool up to date. */
void ag_pool_own(struct ag *ag, const struct ag_local *local, struct tm_us now);
/** Takes over a positive (or negative: no elements) answer. */
void ag_pool_update(struct ag *ag, struct ag_pool *pool, const struct asap_message *msg,
                    struct tm_us now);
/** Forgets what the cache holds of every pool. */
void ag_pools_flush(struct ag *ag);
uint64_t ag_hash(const struct ag *ag, struct pool_handle handle, uint32_t pe_id);

void ag_resolution_response(struct ag *ag, struct asap_message *msg, struct tm_us now);
void ag_resolution_home(struct ag *ag, struct tm_us now);
void ag_resolution_home_lost(struct ag *ag, struct tm_us now);
void ag_resolution_t1(struct ag *ag, struct ag_pool *pool, struct tm_us now);
void ag_resolution_stale(struct ag *ag, struct ag_pool *pool, struct tm_us now);
void ag_resolution_free(struct ag *ag);

/** Selects from `hs`; fills ret, result included, event excluded. */
void ag_select(struct ag *ag, struct hs *hs, const struct ag_query *query, struct tm_us now,
               struct ag_answer *ret);
/** An event for a failure or for a stale answer; the same one while it repeats. */
uint64_t ag_failure_event(struct ag *ag, const struct ag_query *query, int result, const char *text,
                          struct tm_us now);

/* --- quarantine ------------------------------------------------------------------------------- */

struct ag_suspect {
    struct ag_mark *mark;
    struct ag_suspect *hash_next;
    struct ag_suspect *older, *newer; /* by failed_at */
    struct ag_timer timer;
    uint32_t pe_id;
    uint32_t interval_ms;
    uint32_t tries;
    bool absent;   /* a registrar's answer was without it */
    bool reported; /* reported_at counts */
    bool trial;    /* used again to see whether it fails: there is no other way to try it */
    struct tm_us failed_at, reported_at;
    enum transport_protocol protocol;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[AG_ADDRESSES_MAX];
    struct pool_handle handle;
    uint8_t octets[];
};

struct ag_suspect *ag_suspect_find(const struct ag *ag, struct pool_handle handle, uint32_t pe_id);
void ag_suspect_release(struct ag *ag, struct ag_suspect *suspect, const char *why);
void ag_suspect_probe(struct ag *ag, struct ag_suspect *suspect, struct tm_us now);
/** A registrar's answer for a pool: who is there, who is not. */
void ag_suspects_answer(struct ag *ag, const struct asap_message *msg);
void ag_suspects_free(struct ag *ag);

/* --- the agent ---------------------------------------------------------------------------------
 */

struct ag_failure {
    uint64_t key;
    int result;
    struct tm_us at;
    uint64_t event;
};

struct ag {
    struct ag_settings set;
    struct outbox *out;
    struct rnd rnd;
    uint64_t hash_seed;
    struct ag_timers timers;

    struct ag_registrar registrars[AG_REGISTRARS_MAX];
    uint32_t generations[AG_REGISTRARS_MAX]; /* counts the lives of a slot */
    struct ag_bucket announces;
    struct ag_hunt hunt;
    uint64_t next_assoc, next_try;
    struct ag_peer home;      /* assoc 0: none */
    uint64_t source_assoc;    /* what ag_assoc_source() said last */
    struct ip_address source; /* … */
    struct ag_peer accepted[AG_ACCEPTED_MAX];
    uint32_t local_id;
    struct hs *local_hs; /* this process is registrar */
    bool local_joining;  /* … but does not know the scope yet */

    struct ag_view view;    /* the host's addresses; the rest as of the last ag_share() */
    struct ag_view *shared; /* published; NULL: memory was out */
    struct ag_mark *marks[AG_MARK_KINDS][AG_BUCKETS];
    uint32_t mark_count[AG_MARK_KINDS]; /* atomic */

    struct ag_local **locals; /* slots; NULL: free */
    uint32_t local_slots, local_count;
    struct ag_local *local_buckets[AG_BUCKETS];

    struct ag_pool *pool_buckets[AG_BUCKETS];
    struct ag_pool *oldest_pool, *newest_pool;
    uint32_t pool_count;
    struct hs *cache;

    struct ag_waiter *waiter_buckets[AG_BUCKETS];
    uint32_t waiter_count;
    struct ag_failure failures[AG_FAILURE_SLOTS];

    struct ag_suspect *suspect_buckets[AG_BUCKETS];
    struct ag_suspect *oldest_suspect, *newest_suspect;
    uint32_t suspect_count;
    struct ag_bucket reports;

    struct asap_message rx, tx; /* what is being decoded, what is being encoded */
};

/**
 * Names what led to the things that happen now: what the caller said in the outbox, else
 * `fallback`. Returns the outbox's earlier value, to be put back at the end.
 */
static inline uint64_t ag_cause(struct ag *ag, uint64_t fallback)
{
    uint64_t before = ag->out->cause;
    if (before == 0) {
        ag->out->cause = fallback;
    }
    return before;
}

/** Encodes ag->tx and sends it. */
void ag_send_tx(struct ag *ag, uint64_t assoc);

#endif
