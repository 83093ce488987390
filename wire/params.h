/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parameters of RFC 5354, which ASAP and ENRP share: reading and writing of single TLVs, and
 * the walk over a list of them that says what may stand where.
 *
 * Reading: a struct wire_dec carries the verdict of one message. wire_next() walks a list by its
 * slots; wire_get_*() read a TLV. The first thing wrong sets verdict and report, and every later
 * call returns false, so a decoder may test once. Nested lists are carved out of their parent and
 * cannot see beyond it; the depth is that of the calls, at most four.
 *
 * Writing: into a wcur which begins with the message, as padding counts from there. wire_put_*()
 * return 0, or -EINVAL for a value that must not be sent; running out of room only sets the wcur's
 * err. Padding goes in front of the next TLV, so that a parent's length leaves out the padding of
 * its last child (P-4).
 *
 * Nothing allocates; all is thread-safe for distinct objects.
 */
#ifndef RSP_WIRE_PARAMS_H
#define RSP_WIRE_PARAMS_H

#include "common/cursor.h"
#include "common/types.h"
#include "wire/report.h"

/** Parameter types (parameters.md §3). */
enum wire_param {
    PARAM_IPV4 = 0x0001,
    PARAM_IPV6 = 0x0002,
    PARAM_DCCP = 0x0003,
    PARAM_SCTP = 0x0004,
    PARAM_TCP = 0x0005,
    PARAM_UDP = 0x0006,
    PARAM_UDPLITE = 0x0007,
    PARAM_POLICY = 0x0008,
    PARAM_POOL_HANDLE = 0x0009,
    PARAM_POOL_ELEMENT = 0x000a,
    PARAM_SERVER_INFORMATION = 0x000b,
    PARAM_OPERATION_ERROR = 0x000c,
    PARAM_COOKIE = 0x000d,
    PARAM_PE_ID = 0x000e,
    PARAM_PE_CHECKSUM = 0x000f,
    PARAM_OPAQUE = 0x0010,
    PARAM_HANDLE_RESOLUTION_OPTION = 0x803f,
    PARAM_CAPABILITIES = 0x9250 /* private: what a registrar can do; others skip it silently */
};

/** What the two top bits of an unknown parameter's type ask for (RFC 5354 §3). */
#define PARAM_ACTION_MASK        0xc000
#define PARAM_ACTION_STOP        0x0000
#define PARAM_ACTION_STOP_REPORT 0x4000
#define PARAM_ACTION_SKIP        0x8000
#define PARAM_ACTION_SKIP_REPORT 0xc000

/** The same for the type of a message (parameters.md §1). */
#define MESSAGE_ACTION_REPORT 0x40

#define WIRE_HEADER_LEN              4
#define WIRE_MESSAGE_MAX             65535
#define WIRE_ADDRESSES_PER_TRANSPORT 64    /* */
#define WIRE_COOKIE_MAX              65524 /* with both headers within a message */

/** The decoding of one message. */
struct wire_dec {
    enum wire_verdict verdict; /* WIRE_OK while nothing is wrong */
    struct wire_report *report;
    uint32_t reported; /* octets of cause bodies so far */
    struct ip_address *scratch;
    uint16_t scratch_size;
    uint16_t scratch_used;
};

/** Starts decoding: clears the report; addresses will go to `scratch`. */
void wire_dec_init(struct wire_dec *d, struct wire_report *report, struct ip_address *scratch,
                   uint16_t scratch_size);

/** One TLV: the octets of all of it, header included, padding not; and its value. */
struct wire_tlv {
    uint16_t type;
    uint16_t len; /* whole TLV */
    const uint8_t *octets;
    struct rcur value;
};

/** A set of parameter types. The table of slots needs constants. */
#define WIRE_HRO_BIT          (1u << 31)
#define WIRE_CAPABILITIES_BIT (1u << 30)
#define WIRE_BIT(type)        (1u << (type))
#define WIRE_USER_TRANSPORTS                                                                       \
    (WIRE_BIT(PARAM_DCCP) | WIRE_BIT(PARAM_SCTP) | WIRE_BIT(PARAM_TCP) | WIRE_BIT(PARAM_UDP) |     \
     WIRE_BIT(PARAM_UDPLITE) | WIRE_BIT(PARAM_OPAQUE))

/** A place in a parameter list. Slots follow each other in the fixed order of the RFC's figures. */
struct wire_slot {
    uint32_t types; /* set of WIRE_BIT(); WIRE_HRO_BIT for the handle resolution option */
    uint16_t min;
    uint16_t max;
};

/** A walk over a parameter list. */
struct wire_list {
    struct rcur rest;
    const struct wire_tlv *outer; /* what contains the list; NULL: the message itself */
    const struct wire_slot *slots;
    uint16_t slot_count;
    uint16_t at;    /* current slot */
    uint16_t count; /* TLVs it has got */
};

/** `rest` is what of the value follows the fixed fields. */
void wire_list_init(struct wire_list *l, struct rcur rest, const struct wire_tlv *outer,
                    const struct wire_slot *slots, uint16_t slot_count);
/**
 * The next TLV that has a slot; others are dealt with as their type says (parameters.md §2.1).
 * False at the end, and when anything is wrong with the list, also that something is missing at its
 * end: then d->verdict is set.
 */
bool wire_next(struct wire_dec *d, struct wire_list *l, struct wire_tlv *ret);

/** Ends decoding with Invalid Values; `tlv` holds the bad value, NULL: none that is complete. */
void wire_invalid(struct wire_dec *d, const struct wire_tlv *tlv, const char *text);
/** Adds a cause to the report as far as there is room for it. */
void wire_report_add(struct wire_dec *d, uint16_t code, const uint8_t *body, size_t len);
/**
 * Checks a message header (parameters.md §1.1): returns the value behind it, without padding that
 * Length does not count; err and d->verdict are set when Length cannot be true.
 */
struct rcur wire_message_value(struct wire_dec *d, const void *octets, size_t len);
/** The verdict on a message whose type is unknown (P-23). */
void wire_unknown_message(struct wire_dec *d, const void *octets, size_t len);

/*
 * Reading one TLV whose type has been looked at. False: d->verdict tells why, *ret is unchanged.
 * The results borrow from the octets and d->scratch.
 */
bool wire_get_handle(struct wire_dec *d, const struct wire_tlv *tlv, struct pool_handle *ret);
bool wire_get_pe_id(struct wire_dec *d, const struct wire_tlv *tlv, uint32_t *ret);
bool wire_get_checksum(struct wire_dec *d, const struct wire_tlv *tlv, uint16_t *ret);
/** The handle resolution option, or the capabilities. */
bool wire_get_items(struct wire_dec *d, const struct wire_tlv *tlv, uint32_t *ret);
/** Unknown types: the first POLICY_WORDS_MAX words; known ones: exactly their words. */
bool wire_get_policy(struct wire_dec *d, const struct wire_tlv *tlv, struct policy *ret);
bool wire_get_transport(struct wire_dec *d, const struct wire_tlv *tlv, struct transport *ret);
bool wire_get_element(struct wire_dec *d, const struct wire_tlv *tlv, struct pool_element *ret);
bool wire_get_server_information(struct wire_dec *d, const struct wire_tlv *tlv,
                                 uint32_t *ret_server_id, struct transport *ret);
/** An Operation Error; causes beyond ASAP_CAUSES_MAX are checked but not kept. */
bool wire_get_causes(struct wire_dec *d, const struct wire_tlv *tlv,
                     struct asap_cause ret[ASAP_CAUSES_MAX], uint16_t *ret_count);

/** Begins a message in an empty wcur; wire_message_end() pads it and fills in the padded length. */
void wire_message_begin(struct wcur *w, uint8_t type, uint8_t flags);
/** Returns the octets of the message or -EMSGSIZE. */
int wire_message_end(struct wcur *w);
/** A TLV around whatever is put between; the mark is passed back. */
size_t wire_tlv_begin(struct wcur *w, uint16_t type);
void wire_tlv_end(struct wcur *w, size_t mark);

int wire_put_handle(struct wcur *w, struct pool_handle handle);
void wire_put_pe_id(struct wcur *w, uint32_t pe_id);
void wire_put_checksum(struct wcur *w, uint16_t checksum);
void wire_put_items(struct wcur *w, uint32_t items);
void wire_put_capabilities(struct wcur *w, uint32_t capabilities);
int wire_put_cookie(struct wcur *w, const uint8_t *octets, size_t len);
int wire_put_policy(struct wcur *w, const struct policy *policy);
int wire_put_transport(struct wcur *w, const struct transport *transport);
/** A transport of a registrar or an agent: SCTP or TCP, Transport Use always 0. */
int wire_put_control_transport(struct wcur *w, const struct transport *transport);
int wire_put_element(struct wcur *w, const struct pool_element *pe);
int wire_put_server_information(struct wcur *w, uint32_t server_id,
                                const struct transport *transport);
int wire_put_causes(struct wcur *w, const struct asap_cause *causes, uint16_t count);

#endif
