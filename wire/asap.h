/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire/ - pure codecs: octets in, structs out, no I/O and no allocation on the decode path.
 *
 *   asap.h    ASAP messages (RFC 5352 §2.2)
 *   enrp.h    ENRP messages (RFC 5353 §2)
 *   params.h  the parameters ASAP and ENRP share (RFC 5354)
 *   report.h  verdicts and error causes
 *   local.h   the protocol between programs and the daemon of their host
 *   csp.h     reports to rsplib's monitors
 *
 * One struct holds every ASAP message; `type` says which fields count. Decoding borrows from the
 * octets it was given and from the scratch space of the message.
 */
#ifndef RSP_WIRE_ASAP_H
#define RSP_WIRE_ASAP_H

#include "common/types.h"
#include "wire/report.h"

/** ASAP message types (RFC 5352 §2.2). */
enum asap_type {
    ASAP_REGISTRATION = 0x01,
    ASAP_DEREGISTRATION = 0x02,
    ASAP_REGISTRATION_RESPONSE = 0x03,
    ASAP_DEREGISTRATION_RESPONSE = 0x04,
    ASAP_HANDLE_RESOLUTION = 0x05,
    ASAP_HANDLE_RESOLUTION_RESPONSE = 0x06,
    ASAP_ENDPOINT_KEEP_ALIVE = 0x07,
    ASAP_ENDPOINT_KEEP_ALIVE_ACK = 0x08,
    ASAP_ENDPOINT_UNREACHABLE = 0x09,
    ASAP_SERVER_ANNOUNCE = 0x0a,
    ASAP_COOKIE = 0x0b,
    ASAP_COOKIE_ECHO = 0x0c,
    ASAP_BUSINESS_CARD = 0x0d,
    ASAP_ERROR = 0x0e
};

/** The one flag bit each message may have: R, S, A or H (RFC 5352 §2.2.3-2.2.7). */
#define ASAP_FLAG 0x01

#define ASAP_PPID           11
#define ASAP_PORT           3863
#define ASAP_MESSAGE_MAX    65535
#define ASAP_ELEMENTS_MAX   128  /* per response */
#define ASAP_ADDRESSES      1024 /* scratch for the addresses of one message */
#define ASAP_TRANSPORTS_MAX 8    /* per announce */

/** Handle resolution option (0x803f): "as many as possible". */
#define ASAP_ITEMS_ALL 0xffffffffu

/** Any ASAP message. ~35 KiB with its scratch space: keep one, do not put it on the stack. */
struct asap_message {
    uint8_t type;  /* enum asap_type */
    uint8_t flags; /* ASAP_FLAG or 0 */

    bool has_handle;
    struct pool_handle handle;
    bool has_pe_id;
    uint32_t pe_id; /* decoding a REGISTRATION: that of the element */
    bool has_server_id;
    uint32_t server_id; /* KEEP_ALIVE, SERVER_ANNOUNCE */
    bool has_policy;
    struct policy policy; /* overall policy of a resolution response */
    bool has_items;
    uint32_t items; /* handle resolution option */
    struct {
        const uint8_t *octets;
        uint16_t len;
    } cookie;

    uint16_t element_count;
    struct pool_element elements[ASAP_ELEMENTS_MAX];
    uint16_t transport_count; /* SERVER_ANNOUNCE */
    struct transport transports[ASAP_TRANSPORTS_MAX];
    uint16_t cause_count; /* Operation Error; 0: absent */
    struct asap_cause causes[ASAP_CAUSES_MAX];

    /* Scratch: what the elements' and transports' address lists point into after decoding. */
    uint16_t scratch_used;
    struct ip_address scratch[ASAP_ADDRESSES];
};

/** Clears what decode or an encoder's caller sets, of the elements the first one only (they are
 * many, and each is set as a whole when it is counted), and not the scratch space. */
void asap_message_init(struct asap_message *msg, enum asap_type type);

/**
 * Decodes one message (RFC 5352 §2.2, parameters.md §2.1 and §9). Reads only [octets, octets+len);
 * the results borrow from it and from msg->scratch. Accepts what rsplib sends and the RFC's literal
 * lengths (§1.1). Never allocates, never fails otherwise. Thread-safe for distinct messages.
 *
 * What is left to the caller, because it depends on role and settings: handles over 32 octets,
 * policy types it does not know (up to POLICY_WORDS_MAX words are kept), scopes of addresses.
 * IPv4-mapped addresses come out as IPv4. A resolution response with an Operation Error comes out
 * without policy and elements. An ERROR never gives rise to a report: it is OK or DISCARD.
 */
enum wire_verdict asap_decode(const void *octets, size_t len, struct asap_message *msg,
                              struct wire_report *report);

/**
 * Encodes a message; parameters in the RFC's order, padded length. Transport Use is written
 * as 0 in ASAP transports and announces, mapped addresses as IPv4. A resolution response
 * with causes is written without policy and elements.
 * @return octets written (a multiple of 4), -EMSGSIZE when `size`, 65535 or ASAP_ADDRESSES is too
 *         small, -EINVAL when a field the type needs is missing or out of range. Nothing can be
 *         said about the content of `octets` after an error.
 */
int asap_encode(const struct asap_message *msg, void *octets, size_t size);

/**
 * One policy parameter or transport parameter alone, as the body of causes 0x5 and 0x7. Returns its
 * length without padding, or an error as asap_encode().
 */
int asap_encode_policy(const struct policy *policy, void *octets, size_t size);
int asap_encode_transport(const struct transport *transport, void *octets, size_t size);

#endif
