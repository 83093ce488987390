/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The insides of the ENRP machine, for the files of this folder.
 *
 *   enrp.c          what comes in, what is due, what goes out
 *   enrp_start.c    joining: mentor, list, table (enrp.md §5)
 *   enrp_peers.c    the other registrars and whether they live (§6, 9)
 *   enrp_tables.c   downloads in both directions, audit and resynchronisation (§5.3, 5.4, 8)
 *   enrp_updates.c  single changes in both directions (§7)
 *   enrp_takeover.c arbitration and what follows (§10)
 *   enrp_balance.c  takeover suggestions, leaving (§11, 12)
 *   enrp_limits.c   what one host may cost (security.md §6.3)
 *
 * A peer is a slot in an array; sets of peers are bit masks.
 */
#ifndef RSP_RSPD_REGISTRAR_ENRP_INTERNAL_H
#define RSP_RSPD_REGISTRAR_ENRP_INTERNAL_H

#include "rspd/registrar/enrp.h"
#include "rspd/registrar/meter.h"
#include "wire/enrp.h"

/* What one peer, or somebody who sends to the announce group, can make grow. */
#define EN_ASSOCS_MAX    128
#define EN_HOST_ASSOCS   32  /* of one host: a few registrars, each with a few */
#define EN_HOSTS_MAX     256 /* remembered, those without associations too */
#define EN_SESSIONS_MAX  16  /* downloads at a time */
#define EN_MALFORMED_MAX 10  /* messages of one association */
#define EN_EVENT_BURST   50  /* events that peers can provoke at will … */
#define EN_EVENT_MS      200 /* … one more each */
#define EN_HEARD_BURST   16  /* unknown registrars heard by multicast … */
#define EN_HEARD_MS      250 /* … one more each */
#define EN_REJECTS_MAX   3   /* by the mentor, then we serve with what we have */
#define EN_JITTER        12  /* % of the heartbeat */

#define EN_NOBODY (-1)

/** A download a peer runs at us; the cursor is a key, so that it survives changes. */
struct en_session {
    bool open, own_only;
    struct tm_us until;
    struct hs_cursor cursor;
};

/** A resynchronisation with a peer: its elements not refreshed since `since` go at the end. */
struct en_sync {
    bool running;
    bool unclean; /* an earlier download was left unfinished: the responder may go on with it */
    struct tm_us since;
    struct tm_us timer;      /* of the request */
    struct tm_us not_before; /* the next one */
    uint32_t streak;         /* completed ones that did not help */
};

struct en_peer {
    bool used;
    bool is_static;
    enum enrp_peer_state state;
    uint32_t id; /* 0: STATIC */
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[ENRP_PEER_ADDRESSES];
    /* What was configured, for the time after its death. */
    uint16_t static_port;
    uint8_t static_count;
    struct ip_address static_addresses[ENRP_PEER_ADDRESSES];

    uint64_t assoc; /* to send on; 0: none */
    struct tm_us last_heard;
    struct tm_us timer; /* of the state */
    uint32_t attempts;  /* STATIC: in vain */
    bool told;
    uint16_t told_checksum;
    bool long_handles;

    struct en_sync sync;
    struct en_session session;
    /* ARBITRATED */
    uint64_t waiting; /* peers whose ACK is missing */
    bool again;       /* it has expired once */
};

struct en_assoc {
    uint64_t id; /* 0: free */
    bool up;
    int8_t peer;  /* slot, or EN_NOBODY */
    int16_t host; /* the same, of enrp.hosts; EN_NOBODY until it is up */
    uint16_t port;
    uint8_t count;
    uint32_t malformed;
    struct ip_address addresses[ENRP_PEER_ADDRESSES];
    struct tm_us last_heard;
};

/** Where associations come from. */
struct en_host {
    bool used;
    struct ip_address net; /* IPv6: the 64 bits of the network */
    struct bucket openings;
    struct meter messages;
    struct tm_us banned_until;
    struct tm_us last; /* began one then, or is banned until then */
};

struct enrp {
    struct enrp_settings set;
    struct enrp_hooks hooks;
    struct hs *hs;
    struct outbox *out;
    struct rnd rnd;
    enum enrp_phase phase;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[ENRP_PEER_ADDRESSES];

    struct en_peer peers[ENRP_PEERS_MAX];
    int top; /* slots below may be used */
    struct en_assoc assocs[EN_ASSOCS_MAX];
    struct en_host hosts[EN_HOSTS_MAX];
    uint64_t next_assoc;

    struct tm_us next_heartbeat;
    struct tm_us start_timer; /* joining: of the phase */
    int mentor;
    uint64_t tried; /* mentors, in this attempt */
    uint32_t rejects;
    bool waiting; /* joining: for the next attempt at the mentor */
    struct tm_us balance_at;
    struct tm_us leave_until, leave_step;

    struct bucket event_bucket, heard_bucket;
    struct enrp_counters counters;
    uint64_t rx_assoc;    /* over which rx came */
    bool distance_known;  /* to the sender of rx: it has been asked for … */
    uint32_t distance_ms; /* … and is this */
    struct enrp_message rx, tx;
    struct wire_report report;
    uint8_t octets[ENRP_MESSAGE_MAX];
};

/* --- enrp.c ----------------------------------------------------------------------------------- */

static inline uint64_t en_bit(int slot)
{
    return UINT64_C(1) << slot;
}
/** Whether an event that a peer can provoke at will may still be said. */
bool en_may_say(struct enrp *en, struct tm_us now);
bool en_serving(const struct enrp *en);
/** Starts a message in en->tx. */
void en_begin(struct enrp *en, enum enrp_type type, uint32_t receiver);
/** Fills a PRESENCE of ours into en->tx. */
void en_presence(struct enrp *en, uint32_t receiver, bool reply);
/** Encodes en->tx and sends it, if need be over a new association. */
void en_send(struct enrp *en, int slot);
void en_send_on(struct enrp *en, uint64_t assoc);
/** To every peer that is taken for alive, as one copy each. */
void en_cast(struct enrp *en);
/** PRESENCE to all of them, and to the group. */
void en_announce(struct enrp *en);
struct en_assoc *en_assoc_find(struct enrp *en, uint64_t id);
void en_set_phase(struct enrp *en, enum enrp_phase phase, struct tm_us now);

/* --- enrp_limits.c ------------------------------------------------------------------------------
 */

/** An association is up, its addresses are known: whether its host may have it. */
bool en_host_opens(struct enrp *en, struct en_assoc *assoc, bool by_us, struct tm_us now);
/** A message has come: whether it is to be read. If not, the association may be gone. */
bool en_host_sends(struct enrp *en, const struct en_assoc *assoc, const uint8_t *octets, size_t len,
                   struct tm_us now);

/* --- enrp_start.c -------------------------------------------------------------------------------
 */

/** A registrar was heard: while a mentor is looked for, it is one. */
void en_start_found(struct enrp *en, int slot, struct tm_us now);
/** The mentor is dead, or does not answer. */
void en_start_lost(struct enrp *en, int slot, struct tm_us now);
void en_start_rejected(struct enrp *en, int slot, struct tm_us now);
void en_start_list(struct enrp *en, int slot, struct tm_us now);
/** One part of the mentor's table has been taken over; `more` follows. */
void en_start_table(struct enrp *en, int slot, bool more, struct tm_us now);
void en_start_due(struct enrp *en, struct tm_us now);

/* --- enrp_peers.c -------------------------------------------------------------------------------
 */

int en_peer_find(const struct enrp *en, uint32_t id);
bool en_peer_alive(const struct en_peer *peer);
/** A slot for a new peer, or EN_NOBODY. */
int en_peer_new(struct enrp *en, uint32_t id, enum enrp_peer_state state, struct tm_us timer);
void en_peer_remove(struct enrp *en, int slot, const char *why, struct tm_us now);
/** The sender of en->rx, made known if need be; EN_NOBODY: there is no room. */
int en_peer_of_message(struct enrp *en, struct en_assoc *assoc, struct tm_us now);
/** Elements of a registrar nobody told us of: after the guard it is dead. */
void en_peer_shadow(struct enrp *en, uint32_t id, struct tm_us now);
void en_peer_candidate(struct enrp *en, uint32_t id, const struct ip_address *addresses,
                       size_t count, uint16_t port, struct tm_us now);
void en_peer_presence(struct enrp *en, int slot, struct en_assoc *assoc, struct tm_us now);

enum en_event {
    EN_HEARD,    /* any message */
    EN_PRESENCE, /* a PRESENCE */
    EN_TIMER,
    EN_FAILED, /* it cannot be reached, or its association ended */
    EN_ACKED,  /* we agreed that it be taken over */
    EN_EVENTS
};
void en_peer_event(struct enrp *en, int slot, enum en_event event, struct tm_us now);
/** The only place that assigns the state; sets its timer. */
void en_peer_set_state(struct enrp *en, int slot, enum enrp_peer_state state, struct tm_us now);

/* --- enrp_tables.c ------------------------------------------------------------------------------
 */

void en_table_ask(struct enrp *en, int slot, bool own_only);
void en_table_request(struct enrp *en, int slot, uint64_t assoc, struct tm_us now);
void en_table_response(struct enrp *en, int slot, struct tm_us now);
/** Compares the checksum a peer told with ours of its elements. */
void en_audit(struct enrp *en, int slot, struct tm_us now);
void en_sync_abort(struct enrp *en, int slot);
void en_table_due(struct enrp *en, int slot, struct tm_us now);

/* --- enrp_updates.c -----------------------------------------------------------------------------
 */

int64_t en_life_ms(const struct enrp *en, uint32_t life);
void en_entry_of(const struct enrp *en, const struct hs_element *element, struct enrp_entry *ret);
/** Where an entry came from. */
enum en_source { EN_FROM_UPDATE, EN_FROM_TABLE, EN_FROM_OWN_TABLE };
void en_import(struct enrp *en, int slot, const struct enrp_entry *entry, enum en_source source,
               struct tm_us now);
void en_update_received(struct enrp *en, int slot, struct tm_us now);
/** ADD_PE of an element of ours: to everybody, or to one peer (with the T flag if `suggest`). */
void en_update_all(struct enrp *en, const struct hs_element *element, enum enrp_action action);
void en_update_one(struct enrp *en, int slot, const struct hs_element *element, bool suggest);
/** One of ours that another registrar claims too: true at once for this host's own, else it is
 *  asked, from `at` on. */
void en_assert(struct enrp *en, const struct hs_element *element, struct tm_us at);
/** Takes an element of another registrar out, silently. */
void en_drop(struct enrp *en, const struct hs_element *element, struct tm_us now);

/* --- enrp_takeover.c -------------------------------------------------------------------------- */

/** The timer of a CONDEMNED or ARBITRATED peer. */
void en_takeover_due(struct enrp *en, int slot, struct tm_us now);
/** A peer is no longer among those whose ACK counts. */
void en_takeover_without(struct enrp *en, int slot, struct tm_us now);
void en_takeover_init(struct enrp *en, int slot, struct tm_us now);
void en_takeover_ack(struct enrp *en, int slot, struct tm_us now);
void en_takeover_done(struct enrp *en, int slot, struct tm_us now);

/* --- enrp_balance.c --------------------------------------------------------------------------- */

void en_suggest(struct enrp *en, const struct hs_element *element, struct tm_us now);
void en_suggested(struct enrp *en, int slot, const struct hs_element *element, struct tm_us now);
void en_balance_due(struct enrp *en, struct tm_us now);
void en_leave_due(struct enrp *en, struct tm_us now);

#endif
