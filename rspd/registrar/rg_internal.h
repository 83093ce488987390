/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The insides of the registrar's ASAP side, for the files of this folder.
 *
 * The handlespace holds what a PE registered. Beside it stand, here, the associations that carry
 * messages, one record per PE of ours for the watch over it, and the subscriptions to pools. Every
 * change of an element goes through rg_changed(), the one place that tells others.
 */
#ifndef RSP_RSPD_REGISTRAR_RG_INTERNAL_H
#define RSP_RSPD_REGISTRAR_RG_INTERNAL_H

#include "rspd/registrar/meter.h"
#include "rspd/registrar/registrar.h"
#include "wire/asap.h"

/* What one peer can make grow. */
#define RG_ASSOCS_MAX        65536
#define RG_PEERS_MAX         32   /* addresses kept of an association */
#define RG_SUBSCRIPTIONS_MAX 1024 /* per association */
#define RG_REPORTERS_MAX     64   /* per PE; a greater MAX-BAD-PE-REPORT is cut to one less */
#define RG_MALFORMED_MAX     10   /* messages per association and RG_MALFORMED_MS */
#define RG_MALFORMED_MS      60000
#define RG_REPORT_WINDOW_MS  60000 /* reports older than that no longer count */
#define RG_RETRY_MS          1000  /* after memory was out for a removal */
#define RG_ORPHANS_AT_ONCE   256   /* elements of an association that has ended … */
#define RG_ORPHANS_MS        1     /* … and the next ones after that */
#define RG_GONE_MS           2     /* elements that went together are told together … */
#define RG_GONE_PAUSE_MS     10    /* … and after that at the earliest the next ones */
#define RG_SUGGEST_MS        1000  /* one suggestion per host and that long is followed */
#define RG_DISPUTES_MAX      3     /* in RG_DISPUTES_MS; then the other registrar has it */
#define RG_DISPUTES_MS       10000
#define RG_ADOPT_MS          5000 /* asked again, if keep-alives are off otherwise */
#define RG_OFFER_MS          5000 /* an offered host takes that long to move, at most */
#define RG_GRACE_MS          1000 /* and then that long to appear there */
#define RG_EVENT_BURST       50   /* events that peers can provoke at will … */
#define RG_EVENT_MS          200  /* … one more each */

/* --- table.c: hash tables and one heap of timers ---------------------------------------------- */

struct rg_node {
    struct rg_node *next;
    uint32_t hash;
    uint32_t number; /* the owner's: it would be lost otherwise */
};
struct rg_table {
    struct rg_node **buckets;
    size_t size; /* a power of two */
    size_t count;
};
bool rg_table_init(struct rg_table *table);
void rg_table_done(struct rg_table *table);
void rg_table_add(struct rg_table *table, struct rg_node *node, uint64_t hash);
void rg_table_remove(struct rg_table *table, struct rg_node *node);
/** The first node in the bucket of the hash; follow `next` and compare. */
struct rg_node *rg_table_first(const struct rg_table *table, uint64_t hash);
/** Some node, or NULL when the table is empty. */
struct rg_node *rg_table_any(const struct rg_table *table);
#define rg_of(node, type) ((type *)(void *)((char *)(node)-offsetof(type, node)))

enum rg_timer_kind { RG_TIMER_PE, RG_TIMER_TOPIC };
struct rg_timer {
    struct tm_us at;
    uint32_t index; /* place in the heap, RG_TIMER_OFF: stopped */
    enum rg_timer_kind kind;
};
#define RG_TIMER_OFF UINT32_MAX
struct rg_heap {
    struct rg_timer **timers;
    uint32_t n, size;
    uint32_t owners; /* objects with a timer: there is room for all */
};
/** Room for one more object with a timer; false: memory is out. */
bool rg_timer_join(struct rg_heap *heap, struct rg_timer *timer, enum rg_timer_kind kind);
void rg_timer_leave(struct rg_heap *heap, struct rg_timer *timer);
/** TM_NEVER stops it. Never fails. */
void rg_timer_set(struct rg_heap *heap, struct rg_timer *timer, struct tm_us at);
struct rg_timer *rg_timer_first(const struct rg_heap *heap);

/* --- objects ------------------------------------------------------------------------------------
 */

struct rg_assoc {
    struct rg_node node;
    uint64_t id;
    uint16_t port;
    uint8_t peer_count;
    bool shows_one; /* of several, perhaps */
    struct ip_address *peers;
    struct tm_us last_heard;
    struct tm_us malformed_since;
    uint32_t malformed;
    uint8_t way_count;
    struct rg_way *ways; /* how it is found by its addresses (adopt.c) */
    struct tm_us last_suggested;
    struct tm_us offered_until;
    uint32_t sub_count;
    struct rg_sub *subs;
    struct rg_principal *principal; /* who stands behind it; NULL: not limited */
};

/** What an association that has ended left behind, and is taken out bit by bit. */
struct rg_orphans {
    struct rg_orphans *next;
    uint64_t assoc;
    const char *reason; /* a literal */
};

/** A subscription: an association that wants to know how a pool changes (RFC 5352 §2.2.5). */
struct rg_sub {
    struct rg_assoc *assoc;
    struct rg_topic *topic;
    uint32_t items;
    struct rg_sub *assoc_next, **assoc_link;
    struct rg_sub *topic_next, **topic_link;
};
struct rg_topic {
    struct rg_node node;
    struct rg_timer timer; /* when gathered changes go out */
    struct tm_us told;     /* when they last did */
    struct rg_sub *subs;
    uint32_t sub_count;
    uint16_t handle_len;
    uint8_t handle[];
};

/**
 * The watch over one PE of ours (asap.md §5.6):
 *   IDLE     nothing is asked: keep-alives are off, or it is this host's
 *   WAIT     timer: when to ask next
 *   PENDING  asked; timer: until when the answer must be there
 */
enum rg_pe_state { RG_PE_IDLE, RG_PE_WAIT, RG_PE_PENDING };
struct rg_reporter {
    uint64_t principal;
    struct tm_us at;
};
/** What is said against a PE; most never have it. */
struct rg_doubt {
    struct rg_principal *principal; /* see struct rg_pe */
    struct tm_us disputed_since;
    struct tm_us first_report;
    uint64_t report_event;
    uint8_t disputes; /* lately: each time it was asked */
    uint8_t reporter_count;
    uint8_t reporter_size;
    struct rg_reporter reporters[];
};
/** The handle of a pool, once for all records of its PEs. */
struct rg_name {
    struct rg_node node;
    uint32_t pes;
    uint16_t len;
    uint8_t octets[];
};
struct rg_pe {           /* without holes, in blocks: there is one for each element */
    struct rg_node node; /* number: PE id */
    struct rg_timer timer;
    struct rg_name *name;
    union {
        struct rg_principal *principal; /* whose it is counted for */
        struct rg_doubt *doubt;         /* doubted: it has that */
    };
    uint64_t assoc;
    uint64_t asked_us : 48; /* when it was last; some nine years after the host's start at most */
    uint64_t state : 2;     /* enum rg_pe_state */
    uint64_t doubted : 1;
    uint64_t by_report : 1;  /* PENDING because somebody reported it */
    uint64_t registered : 1; /* over an association with us: not just taken over */
    uint64_t disputed : 1;   /* PENDING as another registrar claims it: it is not ours meanwhile */
    uint64_t foreign : 1;    /* another registrar's, only reported here: asked (PENDING), or
                                remembered while its reports count (WAIT) */
    uint64_t adopting : 1;   /* not registered here: `assoc` is found when it is asked, with H */
};
#define RG_PES_IN_BLOCK 63
struct rg_pe_block {
    struct rg_pe_block *next;
    struct rg_pe pes[RG_PES_IN_BLOCK];
};

struct rg {
    struct rg_settings set;
    struct rg_prefix *allow; /* set.allow points here */
    struct hs *hs;
    struct outbox *out;
    struct rnd rnd;
    uint64_t hash_seed;
    uint32_t peers;
    struct tm_us next_announce;
    struct tm_us retry; /* expiry waits until then; 0: not waiting */
    struct rg_orphans *orphans;
    struct tm_us orphans_at; /* when the next of them go */
    struct bucket events;
    struct rg_hooks hooks;
    uint64_t next_assoc;
    struct rg_table assocs, pes, names, topics, ways, principals;
    struct rg_pe_block *pe_blocks;
    struct rg_node *spare_pes;
    struct rg_heap heap;
    struct asap_message rx, tx;
    struct wire_report report;
    uint8_t octets[ASAP_MESSAGE_MAX];
};

/* --- registrar.c
 * ---------------------------------------------------------------------------------- */

/** Encodes rg->tx and sends it. */
void rg_send(struct rg *rg, uint64_t assoc);
uint64_t rg_hash_handle(const struct rg *rg, struct pool_handle handle, uint32_t pe_id);
uint64_t rg_hash_number(const struct rg *rg, uint64_t number);
/** Whether an event that a peer can provoke at will may still be said. */
bool rg_may_say(struct rg *rg, struct tm_us now);

enum rg_change { RG_ADDED, RG_ALTERED, RG_LOAD, RG_REMOVED };
/** An element has changed. The one place for whoever wants to know. */
void rg_changed(struct rg *rg, enum rg_change change, struct pool_handle handle, uint32_t pe_id,
                struct tm_us now);

/* --- assoc.c
 * -------------------------------------------------------------------------------------- */

struct rg_assoc *rg_assoc_find(const struct rg *rg, uint64_t id);
/** LOCAL_ASSOC comes into being by itself. NULL: unknown, or memory is out. */
struct rg_assoc *rg_assoc_of_message(struct rg *rg, uint64_t id);
bool rg_assoc_has(const struct rg_assoc *assoc, const struct ip_address *address);
/** Whether its PEs in that pool may be at an address: the association's, or see shows_one. */
bool rg_assoc_may_be_at(const struct rg *rg, const struct rg_assoc *assoc,
                        struct pool_handle handle, const struct ip_address *address);
/** "10.0.0.1" of its first address, "this host". Returns out. */
const char *rg_assoc_text(const struct rg_assoc *assoc, char *out, size_t size);
#define RG_ASSOC_TEXT_MAX IP_ADDRESS_TEXT_MAX
/** Ends an association ourselves: ABORT, and what followed from it goes. */
void rg_assoc_abort(struct rg *rg, struct rg_assoc *assoc, const char *reason, struct tm_us now);
/** One more malformed message; ends the association when there were too many. */
void rg_assoc_malformed(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
bool rg_assoc_may_register(const struct rg *rg, const struct rg_assoc *assoc,
                           struct pool_handle handle);
void rg_assoc_free_all(struct rg *rg);
void rg_assoc_free(struct rg *rg, struct rg_assoc *assoc);
/** Takes out some more elements whose association has ended. */
void rg_orphans_due(struct rg *rg, struct tm_us now);
void rg_orphans_free(struct rg *rg);
/** A record for one that we open; NULL: memory is out, or there are too many. */
struct rg_assoc *rg_assoc_open(struct rg *rg, uint64_t id, const struct transport *to);

/* --- registration.c
 * --------------------------------------------------------------------------------- */

void rg_registration(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
void rg_deregistration(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
/** Answers rx, which could not be read, with the cause of the report; false: it is no request. */
bool rg_refuse_malformed(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
/**
 * Takes an element out of the handlespace, with its event. False: memory is out, it is still there.
 * The handle may be the element's own.
 */
bool rg_remove(struct rg *rg, struct pool_handle handle, uint32_t pe_id, const char *reason,
               struct tm_us now);
/** Tells the ENRP side of an element that has just been registered here. */
void rg_tell_registered(struct rg *rg, struct pool_handle handle, uint32_t pe_id, struct tm_us now);
void rg_expire(struct rg *rg, struct tm_us now);

/* --- resolution.c
 * ------------------------------------------------------------------------------------- */

void rg_resolution(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
void rg_topic_changed(struct rg *rg, struct pool_handle handle, bool gone, struct tm_us now);
/** The timer of a topic: tells the subscribers. */
void rg_topic_due(struct rg *rg, struct rg_topic *topic, struct tm_us now);
void rg_unsubscribe_all(struct rg *rg, struct rg_assoc *assoc);

/* --- records.c
 * ---------------------------------------------------------------------------------------- */

struct rg_pe *rg_pe_find(const struct rg *rg, struct pool_handle handle, uint32_t pe_id);
/** The record of a PE, made if there is none; NULL: memory is out. */
struct rg_pe *rg_pe_get(struct rg *rg, struct pool_handle handle, uint32_t pe_id, bool *ret_new);
void rg_pe_drop(struct rg *rg, struct rg_pe *pe);
bool rg_pes_init(struct rg *rg);
/** Drops all records. */
void rg_pes_done(struct rg *rg);
struct pool_handle rg_pe_name(const struct rg_pe *pe);
static inline uint32_t rg_pe_id(const struct rg_pe *pe)
{
    return pe->node.number;
}
/** What is said against it, or NULL. */
static inline struct rg_doubt *rg_pe_doubt(const struct rg_pe *pe)
{
    return pe->doubted ? pe->doubt : NULL;
}
/** Where it says whose it is counted for. */
static inline struct rg_principal **rg_pe_principal(struct rg_pe *pe)
{
    return pe->doubted ? &pe->doubt->principal : &pe->principal;
}
/** What is said against it, with room for so many reporters; NULL: memory is out. */
struct rg_doubt *rg_pe_doubt_with(struct rg_pe *pe, uint8_t reporters);
void rg_pe_clear_doubt(struct rg_pe *pe);

/* --- liveness.c
 * ---------------------------------------------------------------------------------------- */

/** Accepted over that association: reports are void, the watch starts anew. */
void rg_pe_registered(struct rg *rg, struct rg_pe *pe, uint64_t assoc, struct tm_us now);
/** Asks it at once, unless it is being asked. */
void rg_pe_ask(struct rg *rg, struct rg_pe *pe, bool by_report, struct tm_us now);
void rg_keep_alive_ack(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
void rg_unreachable(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
void rg_pe_due(struct rg *rg, struct rg_pe *pe, struct tm_us now);
void rg_send_keep_alive(struct rg *rg, uint64_t assoc, struct pool_handle handle, uint32_t pe_id,
                        bool home);
/** Another registrar claims it: asks it, or forgets it. */
void rg_pe_dispute(struct rg *rg, struct rg_pe *pe, struct tm_us now);
/** Its association has ended, but it may be on its way to another home: it is given a moment. */
void rg_pe_grace(struct rg *rg, struct rg_pe *pe, struct tm_us now);
/** New intervals apply at once. */
void rg_pe_reschedule_all(struct rg *rg, struct tm_us now);

/* --- adopt.c
 * ----------------------------------------------------------------------------------------- */

/** The addresses of an association have come, or changed. */
void rg_ways_set(struct rg *rg, struct rg_assoc *assoc);
void rg_ways_clear(struct rg *rg, struct rg_assoc *assoc);
/** An association to the host of a PE that has not registered here, opened if need be; 0: none. */
uint64_t rg_adopt_way(struct rg *rg, const struct rg_pe *pe);

/* --- limits.c
 * ---------------------------------------------------------------------------------------- */

/** Who stands behind an association: a host, an IPv6 network of one, or this host. */
uint64_t rg_principal_key(const struct rg *rg, const struct rg_assoc *assoc);
void rg_principals_free(struct rg *rg);
/** A new association of a peer, whose addresses are known: whether it may have it. */
bool rg_principal_open(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
void rg_principal_close(struct rg_assoc *assoc);
/** False: the message is not to be read; the association may be gone. */
bool rg_principal_message(struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
/** Whether it may have one more element. */
bool rg_principal_may_have(const struct rg *rg, const struct rg_assoc *assoc);
/** Whether it may have a new one already: not too many in a row. Takes its turn. */
bool rg_principal_may_bear(const struct rg *rg, struct rg_assoc *assoc, struct tm_us now);
/** The element is counted for whoever is behind that association; NULL: for nobody. */
void rg_principal_takes(struct rg_pe *pe, const struct rg_assoc *assoc);

#endif
