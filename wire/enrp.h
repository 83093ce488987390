/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ENRP messages (RFC 5353 §2; enrp.md §3). One struct holds every message; `type` says which fields
 * count. Decoding borrows from the octets it was given and from the scratch space of the message.
 */
#ifndef RSP_WIRE_ENRP_H
#define RSP_WIRE_ENRP_H

#include "common/types.h"
#include "wire/report.h"

/** ENRP message types (RFC 5353 §2). */
enum enrp_type {
    ENRP_PRESENCE = 0x01,
    ENRP_HANDLE_TABLE_REQUEST = 0x02,
    ENRP_HANDLE_TABLE_RESPONSE = 0x03,
    ENRP_HANDLE_UPDATE = 0x04,
    ENRP_LIST_REQUEST = 0x05,
    ENRP_LIST_RESPONSE = 0x06,
    ENRP_INIT_TAKEOVER = 0x07,
    ENRP_INIT_TAKEOVER_ACK = 0x08,
    ENRP_TAKEOVER_SERVER = 0x09,
    ENRP_ERROR = 0x0a
};

/** Flag bits; each belongs to the message it is named after. */
#define ENRP_PRESENCE_REPLY   0x01 /* R: reply required */
#define ENRP_TABLE_OWN_ONLY   0x01 /* W: only what the responder owns */
#define ENRP_RESPONSE_REJECT  0x01 /* R of both responses */
#define ENRP_TABLE_MORE       0x02 /* M: more to send */
#define ENRP_UPDATE_SUGGESTED 0x01 /* T: takeover suggested (draft) */

/** Update actions; other values decode, and are the caller's to ignore (E-14). */
enum enrp_action { ENRP_ADD_PE = 0, ENRP_DEL_PE = 1 };

#define ENRP_PPID        12
#define ENRP_PORT        9901
#define ENRP_MESSAGE_MAX 65535
#define ENRP_ENTRIES_MAX 1024 /* elements of one table response; rsplib's hard cap too */
#define ENRP_SERVERS_MAX 256  /* of one list response */
#define ENRP_ADDRESSES   8192 /* more than fit into a message */

/** One element of a table, with the handle of its pool. */
struct enrp_entry {
    struct pool_handle handle;
    struct pool_element element;
};

/** A registrar: its id and its ENRP transport. */
struct enrp_server {
    uint32_t id;
    struct transport transport;
};

/** What a registrar can do beyond the RFC (private parameter 0x9250 of PRESENCE; skipped by
 * others).
 */
#define ENRP_CAN_LONG_HANDLES 0x00000001u /* handles of more than 32 octets */

/** Any ENRP message. ~320 KiB with its scratch space: keep one, do not put it on the stack. */
struct enrp_message {
    uint8_t type; /* enum enrp_type */
    uint8_t flags;
    uint32_t sender_id;
    uint32_t receiver_id; /* 0: whoever gets it */
    uint32_t target_id;   /* the three takeover messages */
    uint16_t action;      /* HANDLE_UPDATE: enum enrp_action */

    bool has_checksum; /* PRESENCE */
    uint16_t checksum;
    bool has_capabilities; /* PRESENCE */
    uint32_t capabilities;
    uint16_t cause_count; /* ERROR */
    struct asap_cause causes[ASAP_CAUSES_MAX];
    uint16_t server_count; /* PRESENCE: 0 or 1; LIST_RESPONSE */
    uint16_t entry_count;  /* HANDLE_UPDATE: 1; HANDLE_TABLE_RESPONSE */

    struct enrp_server servers[ENRP_SERVERS_MAX];
    struct enrp_entry entries[ENRP_ENTRIES_MAX];

    /* Scratch: what the address lists point into after decoding. */
    uint16_t scratch_used;
    struct ip_address scratch[ENRP_ADDRESSES];
};

/** Clears what decode or an encoder's caller sets, except the arrays, whose counts become 0. */
void enrp_message_init(struct enrp_message *msg, enum enrp_type type, uint32_t sender_id,
                       uint32_t receiver_id);

/**
 * Decodes one message (RFC 5353 §2, enrp.md §3). Reads only [octets, octets+len); the results
 * borrow from it and from msg->scratch. Accepts the RFC's literal lengths and rsplib's. Never
 * allocates. Thread-safe for distinct messages.
 *
 * An element without home or ASAP transport cannot be used by a registrar (E-93): in an update it
 * makes the message invalid; in a table it is left out, with a cause in the report, and the rest
 * counts. A rejecting response comes out without entries or servers (E-11, E-15). An ERROR never
 * gives rise to a report: it is OK or DISCARD. sender_id and receiver_id are set, as far as there
 * are octets, whatever the verdict.
 */
enum wire_verdict enrp_decode(const void *octets, size_t len, struct enrp_message *msg,
                              struct wire_report *report);

/**
 * Encodes a message; parameters in the RFC's order. A table response writes a handle once for each
 * run of elements of one pool. A rejecting response is written without entries or servers, and
 * without M.
 * @return octets written (a multiple of 4), -EMSGSIZE when `size` or 65535 is too small, -EINVAL
 *         when a field the type needs is missing or out of range. Nothing can be said about the
 *         content of `octets` after an error.
 */
int enrp_encode(const struct enrp_message *msg, void *octets, size_t size);

/** Octets an entry adds to a table response when its handle has to be written too; 0: it cannot be
 *  encoded. */
size_t enrp_entry_size(const struct enrp_entry *entry);

#endif
