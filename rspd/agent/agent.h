/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The agent (RFC 5352, client side; asap.md §5.1-5.9), pure: acts for the PEs and PUs of this host.
 * It keeps the list of registrars, one home registrar, the registrations of the local PEs, the
 * cache of resolved pools, outstanding requests, and the quarantine of PEs that failed towards this
 * host.
 *
 * Where the same process is registrar, the agent's home is LOCAL_ASSOC and it resolves straight
 * from the registrar's handlespace.
 *
 * A PE that nobody outside could reach (loopback listener, registrar elsewhere) is registered
 * nowhere, state "unregistered" with a reason, and serves this host's PUs all the same.
 *
 * Cause and effect: the outbox's `cause`, set by the caller, is the cause of whatever a call brings
 * about; where it is 0, a PE's own cause counts.
 *
 * Threads: every function is called by the loop thread, which is registered with
 * hs_thread_register(); ag_resolve_shared() alone by other registered threads, too.
 */
#ifndef RSP_RSPD_AGENT_AGENT_H
#define RSP_RSPD_AGENT_AGENT_H

#include "common/clock.h"
#include "handlespace/handlespace.h"
#include "rspd/outbox.h"

struct ag_settings {
    uint32_t t1_request_ms, t2_registration_ms, t3_deregistration_ms;
    uint32_t registration_life_ms; /* asked for */
    uint32_t reregistration_ms;    /* T4; 0: by the RFC's rule from the life */
    uint32_t t5_hunt_ms, hunt_max_ms;
    uint32_t t7_outdate_ms;
    uint32_t stale_cache_ms;
    uint32_t max_registration_attempts; /* before the user is told; the agent itself goes on */
    uint32_t max_request_retransmits;
    uint32_t resolve_items;                          /* asked for per resolution */
    uint32_t quarantine_first_ms, quarantine_max_ms; /* 1 s, doubling to 30 s */
    uint32_t report_rate_ms; /* one unreachable report per PE and that long */
    bool life_in_seconds;
    uint16_t handle_max;
    bool dynamic_updates; /* set the S bit for pools in use */
};
void ag_settings_default(struct ag_settings *ret);

struct ag;

/** Borrows the outbox. */
struct ag *ag_new(const struct ag_settings *settings, struct outbox *outbox, uint64_t seed,
                  struct tm_us now);
void ag_free(struct ag *ag);
void ag_configure(struct ag *ag, const struct ag_settings *settings, struct tm_us now);

/* --- registrars --------------------------------------------------------------------------- */

/** This process is (no longer, hs NULL) a registrar with that id and handlespace. */
void ag_local_registrar(struct ag *ag, uint32_t id, struct hs *hs, struct tm_us now);
/**
 * The registrar of this process joins the scope, or listens for others: a pool it does not know may
 * be there all the same. Resolutions of such pools wait until it has joined.
 */
void ag_local_joining(struct ag *ag, bool joining);
/** A configured registrar; never expires. 0, -EINVAL, -ENOSPC. */
int ag_static_registrar(struct ag *ag, const struct ip_address *addresses, size_t count,
                        uint16_t port, struct tm_us now);
/** A SERVER_ANNOUNCE that came by multicast, as received. */
void ag_announce(struct ag *ag, const struct ip_address *source, uint16_t source_port,
                 const uint8_t *octets, size_t len, struct tm_us now);

struct ag_registrar_info {
    uint32_t id; /* 0: not known yet */
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[8];
    bool is_static, is_home, is_local;
    struct tm_us last_heard;
};
size_t ag_registrars(const struct ag *ag, struct ag_registrar_info *ret, size_t max);
/** How many registrars other than ourselves are heard. */
size_t ag_registrars_heard(const struct ag *ag, struct tm_us now);
bool ag_has_home(const struct ag *ag);

/* --- transport events ----------------------------------------------------------------------- */

/**
 * Which of the host's addresses the association that is about to be told as up runs from, where
 * that is one (family 0: not known). PEs with one address register that one if they can.
 */
void ag_assoc_source(struct ag *ag, uint64_t assoc, const struct ip_address *source);
void ag_assoc_up(struct ag *ag, uint64_t assoc, const struct ip_address *peers, size_t count,
                 uint16_t port, struct tm_us now);
void ag_assoc_down(struct ag *ag, uint64_t assoc, struct tm_us now);
void ag_message(struct ag *ag, uint64_t assoc, const uint8_t *octets, size_t len, struct tm_us now);
struct tm_us ag_next_timer(const struct ag *ag);
void ag_timer(struct ag *ag, struct tm_us now);

/** The host's usable addresses, best first, loopback last; PEs re-register when theirs changed. */
void ag_host_addresses(struct ag *ag, const struct ip_address *addresses, size_t count,
                       struct tm_us now);

/* --- local pool elements ---------------------------------------------------------------------- */

/** What a local PE wants; copied. */
struct ag_pe {
    struct pool_handle handle;
    uint32_t pe_id; /* 0: draw one */
    enum transport_protocol protocol;
    uint16_t port;
    uint16_t use;
    uint8_t families;      /* of a wildcard listener: LP_FAMILY_V4 | LP_FAMILY_V6 */
    uint8_t address_count; /* 0: wildcard, all addresses of the host */
    struct ip_address addresses[8];
    struct policy policy;
    uint32_t life_ms, interval_ms; /* of its registrations; 0: as set. Bounds: AG_LIFE_... */
    uint64_t cause;                /* event id that led to it */
};

/** A program's own life and interval of registrations are taken to be within these. */
#define AG_LIFE_MIN_MS     1000
#define AG_LIFE_MAX_MS     (24 * 3600 * 1000)
#define AG_INTERVAL_MIN_MS 500

/**
 * Starts a registration. ACTION_REGISTERED follows: result 0 once it is accepted (or used on this
 * host only: see the text), -EAGAIN at once when no registrar is there (0 follows when one is),
 * -ETIMEDOUT after max_registration_attempts (0 may follow), any other -errno with cause and text:
 * refused, and not tried again unchanged until another registrar is home. A PE without
 * policy takes the pool's.
 * @return the PE id, or 0 with *ret_error: -ENAMETOOLONG, -EINVAL, -EEXIST, -ENOSPC, -ENOMEM
 */
uint32_t ag_pe_add(struct ag *ag, const struct ag_pe *pe, struct tm_us now, int *ret_error);
/**
 * The listener is gone, or its owner said so: leaves the scope, then is forgotten
 * (ACTION_DEREGISTERED, within this call when no registrar holds it). Never selected from now on.
 * EVENT_LOCAL_GONE.
 */
void ag_pe_remove(struct ag *ag, uint32_t pe_id, const char *reason, struct tm_us now);
/** New policy words (load, weight): re-registers; rate limits are the caller's. -ENOENT, -EINVAL.
 */
int ag_pe_policy(struct ag *ag, uint32_t pe_id, const struct policy *policy, struct tm_us now);
/**
 * Families, addresses, and life and interval of registrations become those of `to`; a change is
 * registered at once. 1: the addresses were others; 0; -ENOENT, -ENOMEM (nothing has changed).
 */
int ag_pe_change(struct ag *ag, uint32_t pe_id, const struct ag_pe *to, struct tm_us now);
/**
 * Out of the scope but kept: hung, failed probe, draining; not selected from now on, and
 * ACTION_DEREGISTERED follows. `reason` NULL: back in under the same id. EVENT_LOCAL_WITHHELD,
 * EVENT_LOCAL_BACK. -ENOENT.
 */
int ag_pe_withhold(struct ag *ag, uint32_t pe_id, const char *reason, struct tm_us now);

enum ag_pe_state {
    AG_PE_UNREGISTERED,
    AG_PE_HUNTING,
    AG_PE_REGISTERING,
    AG_PE_REGISTERED,
    AG_PE_REREGISTERING,
    AG_PE_DEREGISTERING,
    AG_PE_WITHHELD,
    AG_PE_REFUSED
};
const char *ag_pe_state_name(enum ag_pe_state state);
struct ag_pe_info {
    struct ag_pe pe;
    enum ag_pe_state state;
    const char *reason; /* of withhold or refusal; borrowed, may be NULL */
    struct tm_us since;
};
/** Both valid until the next change. False: unknown / no more. */
bool ag_pe_get(const struct ag *ag, uint32_t pe_id, struct ag_pe_info *ret);
bool ag_pe_next(const struct ag *ag, uint32_t *cursor, struct ag_pe_info *ret);

/* --- local pool users ----------------------------------------------------------------------- */

/** What the caller's socket can reach. */
struct ag_query {
    struct pool_handle handle;
    uint8_t families;                 /* LP_FAMILY_*; 0: any */
    enum transport_protocol protocol; /* TRANSPORT_NONE: any */
    uint32_t want_pe;                 /* 0: by policy */
    bool has_max_age;                 /* the cache's answer may be no older than max_age_ms; */
    uint32_t max_age_ms;              /* else than the agent's setting */
    uint8_t avoid_count;
    uint32_t avoid[16];
    uint8_t count; /* 1 … AG_PICKS_MAX; 0: whether the pool is known; no turn is used up, and the
                      picks are any AG_HINTS_MAX that would do now, without regard to the policy */
};
#define AG_PICKS_MAX 16
#define AG_HINTS_MAX 2

/** One chosen element, its addresses already in the order to try (own host: loopback). */
struct ag_pick {
    uint32_t pe_id;
    uint32_t home_id;
    enum transport_protocol protocol;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[8];
    struct policy policy;
};
struct ag_answer {
    int result; /* 0, or -ENOENT, -ECONNREFUSED, -EAFNOSUPPORT, -EPROTOTYPE, -EAGAIN; handle:
                   -ENAMETOOLONG, -EINVAL */
    struct policy policy;
    uint8_t count;
    struct ag_pick picks[AG_PICKS_MAX];
    uint64_t event; /* id of the event that explains a failure, or says that a good answer is from
                       before all registrars fell silent; 0: none */
};

/**
 * Chooses elements. Answers at once from the registrar's handlespace or a fresh cache entry:
 * returns 1 and fills `ret`. Otherwise returns 0; ACTION_RESOLVED with `request` follows and
 * ag_resolve_take() fills the answer.
 */
int ag_resolve(struct ag *ag, const struct ag_query *query, uint64_t request, struct tm_us now,
               struct ag_answer *ret);
bool ag_resolve_take(struct ag *ag, uint64_t request, struct tm_us now, struct ag_answer *ret);
/**
 * The same on a resolver thread, inside hs_read_begin(): answers what a pool that is known, and
 * fresh where it comes from the cache, has for the query by its policy. False: anything else, which
 * ag_resolve() on the loop thread will answer; a turn of the policy may have been used up.
 */
bool ag_resolve_shared(struct ag *ag, const struct ag_query *query, struct tm_us now,
                       struct ag_answer *ret);
/** Nobody waits any more. */
void ag_resolve_cancel(struct ag *ag, uint64_t request);

/** A local client failed to reach an element: quarantine, drop from the cache, tell the registrar.
 */
void ag_report(struct ag *ag, struct pool_handle handle, uint32_t pe_id, int error,
               struct tm_us now);
/** Outcome of ACTION_TRY_PE. */
void ag_tried(struct ag *ag, uint32_t pe_id, bool reachable, struct tm_us now);
bool ag_quarantined(const struct ag *ag, struct pool_handle handle, uint32_t pe_id);
/** The pools of the cache (agent without registrar role); NULL when the registrar's is used. */
struct hs *ag_cache(struct ag *ag);

#endif
