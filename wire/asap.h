/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * wire/ - pure codecs: octets in, structs out, no I/O and no allocation on the decode path.
 *
 *   asap.h    ASAP messages (RFC 5352 §2.2)
 *   params.h  the parameters ASAP and ENRP share (RFC 5354)
 *   local.h   the protocol between programs and the daemon of their host
 *
 * One struct holds every ASAP message; `type` says which fields count. Decoding borrows from the
 * octets it was given and from the scratch space of the message.
 */
#ifndef RSP_WIRE_ASAP_H
#define RSP_WIRE_ASAP_H

#include "common/types.h"

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

/** Error causes (RFC 5354 §3.12). */
enum rsp_cause {
    CAUSE_UNSPECIFIED = 0x0,
    CAUSE_UNRECOGNIZED_PARAMETER = 0x1,
    CAUSE_UNRECOGNIZED_MESSAGE = 0x2,
    CAUSE_INVALID_VALUES = 0x3,
    CAUSE_NON_UNIQUE_PE_ID = 0x4,
    CAUSE_INCONSISTENT_POLICY = 0x5,
    CAUSE_LACK_OF_RESOURCES = 0x6,
    CAUSE_INCONSISTENT_TRANSPORT = 0x7,
    CAUSE_INCONSISTENT_DATA_CONTROL = 0x8,
    CAUSE_UNKNOWN_POOL_HANDLE = 0x9,
    CAUSE_SECURITY = 0xa
};
/** "Inconsistent Pooling Policy" …; never NULL. */
const char *rsp_cause_name(uint16_t cause);
/** rsplib's private cause numbers to the RFC's (parameters.md §6); RFC numbers stay. */
uint16_t rsp_cause_map(uint16_t cause);

#define ASAP_PPID         11
#define ASAP_PORT         3863
#define ASAP_MESSAGE_MAX  65535
#define ASAP_ELEMENTS_MAX 128 /* per response */
#define ASAP_CAUSES_MAX   8
#define ASAP_ADDRESSES    1024 /* scratch for the addresses of one message */

/** Handle resolution option (0x803f): "as many as possible". */
#define ASAP_ITEMS_ALL 0xffffffffu

/** One cause of an Operation Error; the body is borrowed. */
struct asap_cause {
    uint16_t code;
    const uint8_t *body;
    uint16_t body_len;
};

/** Any ASAP message. ~45 KiB with its scratch space: keep one, do not put it on the stack. */
struct asap_message {
    uint8_t type;  /* enum asap_type */
    uint8_t flags; /* ASAP_FLAG or 0 */

    bool has_handle;
    struct pool_handle handle;
    bool has_pe_id;
    uint32_t pe_id;
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
    struct transport transports[8];
    uint16_t cause_count; /* Operation Error; 0: absent */
    struct asap_cause causes[ASAP_CAUSES_MAX];

    /* Scratch: what the elements' and transports' address lists point into after decoding. */
    uint16_t scratch_used;
    struct ip_address scratch[ASAP_ADDRESSES];
};

/** Clears what decode or an encoder's caller sets, not the scratch space. */
void asap_message_init(struct asap_message *msg, enum asap_type type);

/** What a decoder found. The daemon's answer follows from it alone. */
enum wire_verdict {
    WIRE_OK,             /* msg is complete; `report` may still hold causes to send in an ERROR */
    WIRE_DISCARD,        /* drop without a word (unknown "stop" type or message) */
    WIRE_DISCARD_REPORT, /* drop, send ERROR with the causes in `report` */
    WIRE_INVALID         /* malformed: report.causes[0] is Invalid Values with the TLV if complete.
                            msg->type and, as far as they were read, handle and pe_id are valid, so
                            that requests get a response with that cause */
};

struct wire_report {
    uint16_t cause_count;
    struct asap_cause causes[ASAP_CAUSES_MAX];
    const char *text; /* what was wrong, for the log; static string or NULL */
};

/**
 * Decodes one message (RFC 5352 §2.2, parameters.md §2.1 and §9). Reads only [octets, octets+len);
 * the results borrow from it. Accepts what rsplib sends and the RFC's literal lengths (§1.1).
 * Never allocates, never fails otherwise. Thread-safe for distinct messages.
 */
enum wire_verdict asap_decode(const void *octets, size_t len, struct asap_message *msg,
                              struct wire_report *report);

/**
 * Encodes a message; parameters in the RFC's order, padded length.
 * @return octets written (a multiple of 4), -EMSGSIZE when `size` or 65535 is too small,
 *         -EINVAL when a field the type needs is missing or out of range.
 */
int asap_encode(const struct asap_message *msg, void *octets, size_t size);

/** One policy parameter or transport parameter alone, as the body of causes 0x5 and 0x7. */
int asap_encode_policy(const struct policy *policy, void *octets, size_t size);
int asap_encode_transport(const struct transport *transport, void *octets, size_t size);

#endif
