/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registrar's ENRP side (RFC 5353; enrp.md), pure: messages, association events and time go in;
 * actions come out of the outbox. It keeps the list of the other registrars, the replica of their
 * elements in the handlespace, and decides who takes over from a dead one.
 *
 * It works on the handlespace of the ASAP side (registrar.h). What either changes it tells the
 * other: enrp_registered() and enrp_removed() from there to here, struct enrp_hooks from here to
 * there. Neither calls back from within such a call.
 *
 * An element with home 0 is known on this host only: it is never told to anybody.
 *
 * Associations opened here get numbers from ENRP_ASSOC_FIRST on. They leave from the ENRP endpoint,
 * whose port is the one advertised (E-89).
 */
#ifndef RSP_RSPD_REGISTRAR_ENRP_H
#define RSP_RSPD_REGISTRAR_ENRP_H

#include "common/clock.h"
#include "common/rnd.h"
#include "handlespace/handlespace.h"
#include "rspd/outbox.h"

#define ENRP_ASSOC_FIRST    (UINT64_C(1) << 63)
#define ENRP_PEERS_MAX      64
#define ENRP_PEER_ADDRESSES 8
#define ENRP_HOST_MESSAGES  4000

/** Sets of values, in the order of the profiles of the daemon's settings. */
enum enrp_profile { ENRP_PROFILE_RFC, ENRP_PROFILE_RSPLIB, ENRP_PROFILE_LAN, ENRP_PROFILE_FAST };

/** Whom a registrar offers elements to (takeover suggestion). */
enum enrp_suggestion {
    ENRP_SUGGEST_NEVER,
    ENRP_SUGGEST_BY_ID,  /* as rsplib: the largest id XOR PE id (enrp.md §11) */
    ENRP_SUGGEST_BY_LOAD /* whoever owns most offers a host's elements to whoever owns least */
};

struct enrp_settings {
    uint32_t id;                /* this registrar's identifier, never 0 */
    uint32_t heartbeat_ms;      /* PEER-HEARTBEAT-CYCLE, varied ±12 % */
    uint32_t last_heard_ms;     /* MAX-TIME-LAST-HEARD */
    uint32_t no_response_ms;    /* MAX-TIME-NO-RESPONSE; of list and table requests too */
    uint32_t mentor_ms;         /* how long to listen for a mentor */
    uint32_t retry_min_ms;      /* after a rejected request, in between at random … */
    uint32_t retry_max_ms;      /* … and between attempts to reach a configured peer */
    uint32_t session_ms;        /* a table download whose requester fell silent */
    uint32_t takeover_delay_ms; /* before an arbitration: up to that, at random */
    uint32_t takeover_expiry_ms;
    uint32_t guard_ms;       /* after an ACK without TAKEOVER_SERVER */
    uint32_t resync_max_ms;  /* longest distance of resyncs that do not help */
    uint32_t balance_ms;     /* between two looks at who owns how much; BY_LOAD */
    uint32_t leave_ms;       /* a leaving registrar waits that long for its elements to go */
    uint32_t adopt_rate;     /* elements asked per second after a takeover (E-84) */
    uint32_t table_elements; /* per table response */
    uint32_t table_octets;
    uint32_t host_messages;          /* of one other host in a second, each by its cost, besides
                                        those of its registrar's elements (enrp_limits.c);
                                        0: what a host may cost is not limited */
    uint32_t distance_step_ms;       /* measured distances are a multiple of that (policies:P-35) */
    enum enrp_suggestion suggestion; /* NEVER: those of others are ignored too */
    uint16_t handle_max;             /* above 32: says in PRESENCE that it can */
    bool lowest_wins;                /* rsplib's tie-break instead of the RFC's (E-95) */
    bool life_in_seconds;            /* RFC's unit instead of rsplib's milliseconds (E-95) */
    bool failure_is_death;           /* a probe that cannot be sent ends the waiting (E-51) */
    bool multicast;                  /* there is a group to announce to and to listen to */
};
/** Everything but id, handle_max and multicast. */
void enrp_settings_profile(struct enrp_settings *ret, enum enrp_profile profile);

/** What the ASAP side has to do. All borrow. */
struct enrp_hooks {
    void *ctx;
    /** Became ours by a takeover, or is ours but claimed by another registrar: ask it, from `at`
     * on, to make us its home (KEEP_ALIVE with H). enrp_registered() follows if it does. */
    void (*adopt)(void *ctx, const struct hs_element *element, struct tm_us at);
    /** Another registrar would like us to become its home: ask it once. */
    void (*suggested)(void *ctx, const struct hs_element *element, struct tm_us now);
    /** The host behind this association was offered to another registrar: it may end for that. */
    void (*offered)(void *ctx, uint64_t assoc, struct tm_us now);
    /** Ours no more, another registrar says it is its home now: the watch over it ends, unless the
     *  element itself stands by us. */
    void (*disowned)(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now);
    /** Whether it is being asked for that, so that it must not go now. */
    bool (*disputed)(void *ctx, struct pool_handle handle, uint32_t pe_id);
    /** What can be resolved has changed: an element came, went, or has other addresses. */
    void (*changed)(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now);
    /** Smoothed round trip time of an association in milliseconds, 0: unknown. Asked at most once a
     *  message, and only when an element in it has a policy with a distance. */
    uint32_t (*round_trip)(void *ctx, uint64_t assoc);
};

struct enrp;

/**
 * Borrows hs and outbox; copies settings and hooks (NULL: nobody listens; so may each of them be).
 * NULL when memory is out.
 */
struct enrp *enrp_new(const struct enrp_settings *settings, const struct enrp_hooks *hooks,
                      struct hs *hs, struct outbox *outbox, uint64_t seed, struct tm_us now);
void enrp_free(struct enrp *en);
/** New settings on reload; the id stays. */
void enrp_configure(struct enrp *en, const struct enrp_settings *settings, struct tm_us now);

/** The addresses and the port of our ENRP endpoint, as others shall reach it. At most
 *  ENRP_PEER_ADDRESSES are told. */
void enrp_addresses(struct enrp *en, const struct ip_address *addresses, size_t count,
                    uint16_t port, struct tm_us now);
/** A configured peer; before enrp_start(). Our own address among them is noticed. 0, -EINVAL,
 *  -ENOSPC. */
int enrp_static_peer(struct enrp *en, const struct ip_address *addresses, size_t count,
                     uint16_t port);
/** Joins the scope. */
void enrp_start(struct enrp *en, struct tm_us now);

enum enrp_phase {
    ENRP_INIT,
    ENRP_FIND_MENTOR,
    ENRP_LIST,  /* waiting for the mentor's list of registrars */
    ENRP_TABLE, /* downloading its handlespace */
    ENRP_OPERATIONAL,
    ENRP_LEAVING, /* its elements are handed over */
    ENRP_LEFT
};
const char *enrp_phase_name(enum enrp_phase phase);
/** ASAP announces only while OPERATIONAL. */
enum enrp_phase enrp_phase(const struct enrp *en);

/** Hands the elements over and stops being one; LEFT follows, after leave_ms at the latest. */
void enrp_leave(struct enrp *en, struct tm_us now);

enum enrp_down { ENRP_DOWN_LOST, ENRP_DOWN_SHUTDOWN, ENRP_DOWN_CANT_START };
void enrp_assoc_up(struct enrp *en, uint64_t assoc, const struct ip_address *peers, size_t count,
                   uint16_t port, struct tm_us now);
void enrp_assoc_down(struct enrp *en, uint64_t assoc, enum enrp_down reason, struct tm_us now);
/** One ENRP message from an association; borrowed. */
void enrp_receive(struct enrp *en, uint64_t assoc, const uint8_t *octets, size_t len,
                  struct tm_us now);
/** One datagram from the announce group. */
void enrp_heard(struct enrp *en, const struct ip_address *source, uint16_t source_port,
                const uint8_t *octets, size_t len, struct tm_us now);

struct tm_us enrp_next_timer(const struct enrp *en);
void enrp_timer(struct enrp *en, struct tm_us now);

/** From the ASAP side, inside a read section: we are home of this element, new or changed. */
void enrp_registered(struct enrp *en, const struct hs_element *element, struct tm_us now);
/**
 * The same: it is about to leave the handlespace. Those of another home are told to the others only
 * when the element itself asked for it (`by_itself`), not when its life ran out here.
 */
void enrp_removed(struct enrp *en, const struct hs_element *element, bool by_itself,
                  struct tm_us now);

enum enrp_peer_state {
    ENRP_PEER_STATIC,     /* configured, not heard of; timer: the next attempt */
    ENRP_PEER_CANDIDATE,  /* heard of, not itself heard; timer: until it must answer */
    ENRP_PEER_ACTIVE,     /* timer: silence after which it is probed */
    ENRP_PEER_PROBED,     /* timer: until it must answer */
    ENRP_PEER_CONDEMNED,  /* dead; timer: before our arbitration */
    ENRP_PEER_ARBITRATED, /* ours runs; timer: its expiry */
    ENRP_PEER_INACTIVE,   /* somebody else's runs, we agreed; timer: the guard */
    ENRP_PEER_STATES
};
const char *enrp_peer_state_name(enum enrp_peer_state state);
struct enrp_peer_info {
    uint32_t id; /* 0: not known yet */
    enum enrp_peer_state state;
    bool is_static;
    bool connected;
    bool resync; /* its table is being asked for */
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[ENRP_PEER_ADDRESSES];
    struct tm_us last_heard;
    uint32_t elements;      /* it owns, as we see it */
    uint16_t checksum;      /* of these */
    bool told;              /* it told one */
    uint16_t told_checksum; /* what it told last */
};
size_t enrp_peers(struct enrp *en, struct enrp_peer_info *ret, size_t max);
/** Registrars that answer, ourselves not counted. */
uint32_t enrp_peers_alive(const struct enrp *en);
/** Longest pool handle every registrar of the scope can stand: 32 until all say more. */
uint16_t enrp_handle_max(const struct enrp *en);

struct enrp_counters {
    uint64_t messages_in, messages_out, octets_in, octets_out;
    uint64_t malformed, ignored, errors_in;
    uint64_t resyncs, takeovers, conflicts, suggestions;
};
void enrp_get_counters(const struct enrp *en, struct enrp_counters *ret);

#endif
