/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The registrar's ASAP side (RFC 5352; asap.md §5.2-5.9), pure: messages, association events and
 * time go in; actions come out of the outbox. The handlespace is the caller's and may be read by
 * others (resolver, agent) under RCU.
 *
 * Association LOCAL_ASSOC is this host's own agent: called without a socket, its addresses are
 * those of the host (rg_assoc_up() may name them; it needs none to exist), and the address check of
 * a registration is not applied to it.
 *
 * Calls come from one thread, the writer of the handlespace, which has called hs_thread_register().
 * Answers on one association go out in the order of its requests. What a peer can make grow
 * is bounded; without memory a request is refused with cause 0x6, or answered not at all.
 */
#ifndef RSP_RSPD_REGISTRAR_REGISTRAR_H
#define RSP_RSPD_REGISTRAR_REGISTRAR_H

#include "common/clock.h"
#include "common/rnd.h"
#include "handlespace/handlespace.h"
#include "rspd/outbox.h"

#define LOCAL_ASSOC UINT64_MAX
/** Numbers of the associations opened by the registrar's ASAP side. */
#define RG_ASSOC_FIRST (UINT64_C(3) << 62)

/** A prefix that may register: address and prefix length. */
struct rg_prefix {
    struct ip_address address;
    uint8_t len;
};

struct rg_settings {
    uint32_t id;                    /* this registrar's identifier, never 0 */
    uint32_t keep_alive_ms;         /* between keep-alives to a PE, varied ±50 %; 0: none */
    uint32_t keep_alive_timeout_ms; /* for its ACK */
    uint32_t announce_ms;           /* T6, varied ±12.5 % */
    bool life_in_seconds;           /* RFC's unit instead of rsplib's milliseconds */
    bool keep_alive_pe_id;          /* */
    bool tell_expired;              /* unsolicited DEREGISTRATION_RESPONSE on expiry */
    uint32_t max_bad_pe_reports; /* more than that many hosts' reports within a minute remove a PE
                                    63 at most */
    uint32_t items_default;      /* elements in a response without option */
    uint16_t handle_max;         /* longest handle accepted */
    uint32_t update_ms;          /* dynamic updates are gathered that long; of what has gone, not */
    uint32_t host_assocs, host_elements; /* what one host may have … */
    uint32_t host_messages;    /* … and say in a second, besides two per element; 0: no limit */
    uint32_t distance_step_ms; /* measured distances are a multiple of that (policies:P-35) */
    bool loopback_stays;       /* this host's elements without an address for others get home 0:
                                  they are told to nobody */
    const struct rg_prefix *allow; /* who may register from where; NULL/0: everybody */
    size_t allow_count;
    /**
     * The prefixes that one pool restricts itself to, besides `allow`; none: everybody. May be
     * NULL. The result is used before anything else is called.
     */
    const struct rg_prefix *(*pool_allow)(void *ctx, struct pool_handle handle, size_t *ret_count);
    void *pool_allow_ctx;
};
/** The LAN profile; the id is the caller's. */
void rg_settings_default(struct rg_settings *ret);

struct rg;

/** Borrows hs and outbox; copies the settings. The first announce is due at once. NULL: no memory.
 */
struct rg *rg_new(const struct rg_settings *settings, struct hs *hs, struct outbox *outbox,
                  uint64_t seed, struct tm_us now);
/** NULL-safe. The elements stay in the handlespace. */
void rg_free(struct rg *rg);
/** New settings on reload; the id stays. Without memory the old ones stay. */
void rg_configure(struct rg *rg, const struct rg_settings *settings, struct tm_us now);

/** Also when the addresses of a known association change. */
void rg_assoc_up(struct rg *rg, uint64_t assoc, const struct ip_address *peers, size_t count,
                 uint16_t port, struct tm_us now);
/**
 * This association, which is up, shows one address of its peer, whatever others it has (SCTP over
 * UDP). So what its PEs register is believed, as far as the prefixes allow it.
 */
void rg_assoc_shows_one(struct rg *rg, uint64_t assoc);
/** Its PEs are removed at once (asap.md §5.3); the local agent's are not: it says so itself. */
void rg_assoc_down(struct rg *rg, uint64_t assoc, struct tm_us now);
/** One ASAP message; `octets` is borrowed. */
void rg_message(struct rg *rg, uint64_t assoc, const uint8_t *octets, size_t len, struct tm_us now);

/** The next announce is due now: others are to hear at once that there is a registrar. */
void rg_announce_soon(struct rg *rg, struct tm_us now);

/** When rg_timer() has to be called next; it may be called earlier. */
struct tm_us rg_next_timer(const struct rg *rg);
void rg_timer(struct rg *rg, struct tm_us now);

/** Who else wants to know what happens to elements: the ENRP side. Each may be NULL. */
struct rg_hooks {
    void *ctx;
    /** (Re-)registered: we are its home. Inside a read section; must not call back. */
    void (*registered)(void *ctx, const struct hs_element *element, struct tm_us now);
    /** Has just left the handlespace, `by_itself`: it deregistered. The same. */
    void (*removed)(void *ctx, const struct hs_element *element, bool by_itself, struct tm_us now);
    /** Smoothed round trip time of an association in milliseconds, 0: unknown. Asked only for a
     *  registration whose policy has a distance. */
    uint32_t (*round_trip)(void *ctx, uint64_t assoc);
};
void rg_set_hooks(struct rg *rg, const struct rg_hooks *hooks);

/**
 * From the ENRP side, inside a read section. An element became ours by a takeover: from `at` on it
 * is asked to make us its home (KEEP_ALIVE with H), over an association of its own if need be. If
 * it does not answer it is removed. One that is registered here already is asked in the same way
 * whether it stands by that; `registered` follows when it does.
 */
void rg_adopt(struct rg *rg, const struct hs_element *element, struct tm_us at);
/** Another registrar offers us this element: it is asked once. */
void rg_suggested(struct rg *rg, const struct hs_element *element, struct tm_us now);
/** The host at the other end was offered to another registrar: its elements are given a moment to
 *  appear there when this association ends soon. */
void rg_offered(struct rg *rg, uint64_t assoc, struct tm_us now);
/**
 * Another registrar says it is home of this element now. Where the association it registered over
 * is still there, the element is asked (KEEP_ALIVE with H): if it answers it is ours after all, and
 * `registered` follows.
 */
void rg_disowned(struct rg *rg, struct pool_handle handle, uint32_t pe_id, struct tm_us now);
/** Whether that question is open. */
bool rg_disputed(const struct rg *rg, struct pool_handle handle, uint32_t pe_id);
/** It came, went or changed by another registrar's word: subscribers learn of it. */
void rg_element_changed(struct rg *rg, struct pool_handle handle, uint32_t pe_id, struct tm_us now);

/** Registrars heard on the announce group: scales the announce period (RFC 5352 §3.6). */
void rg_set_peer_count(struct rg *rg, uint32_t peers);

#endif
