/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ASAP messages (RFC 5352 §2.2, asap.md §4). One table says what each message holds; decoder and
 * encoder both follow it.
 */
#include "wire/asap.h"

#include <errno.h>
#include <string.h>

#include "wire/params.h"

#define HANDLE     WIRE_BIT(PARAM_POOL_HANDLE)
#define ELEMENT    WIRE_BIT(PARAM_POOL_ELEMENT)
#define PE_ID      WIRE_BIT(PARAM_PE_ID)
#define POLICY     WIRE_BIT(PARAM_POLICY)
#define CAUSES     WIRE_BIT(PARAM_OPERATION_ERROR)
#define COOKIE     WIRE_BIT(PARAM_COOKIE)
#define TRANSPORTS (WIRE_BIT(PARAM_SCTP) | WIRE_BIT(PARAM_TCP))

#define SLOTS_MAX 4

struct layout {
    bool flag;      /* bit 0 of the flags means something */
    bool server_id; /* begins with a server identifier */
    uint16_t slot_count;
    struct wire_slot slots[SLOTS_MAX];
};

static const struct layout layouts[] = {
    [ASAP_REGISTRATION] = {false, false, 2, {{HANDLE, 1, 1}, {ELEMENT, 1, 1}}},
    [ASAP_DEREGISTRATION] = {false, false, 2, {{HANDLE, 1, 1}, {PE_ID, 1, 1}}},
    [ASAP_REGISTRATION_RESPONSE] = {true,
                                    false,
                                    3,
                                    {{HANDLE, 1, 1}, {PE_ID, 1, 1}, {CAUSES, 0, 1}}},
    [ASAP_DEREGISTRATION_RESPONSE] = {false,
                                      false,
                                      3,
                                      {{HANDLE, 1, 1}, {PE_ID, 1, 1}, {CAUSES, 0, 1}}},
    [ASAP_HANDLE_RESOLUTION] = {true, false, 2, {{HANDLE, 1, 1}, {WIRE_HRO_BIT, 0, 1}}},
    [ASAP_HANDLE_RESOLUTION_RESPONSE] =
        {true,
         false,
         4,
         {{HANDLE, 1, 1}, {POLICY, 0, 1}, {ELEMENT, 0, ASAP_ELEMENTS_MAX}, {CAUSES, 0, 1}}},
    [ASAP_ENDPOINT_KEEP_ALIVE] = {true, true, 2, {{HANDLE, 1, 1}, {PE_ID, 0, 1}}},
    [ASAP_ENDPOINT_KEEP_ALIVE_ACK] = {false, false, 2, {{HANDLE, 1, 1}, {PE_ID, 1, 1}}},
    [ASAP_ENDPOINT_UNREACHABLE] = {false, false, 2, {{HANDLE, 1, 1}, {PE_ID, 1, 1}}},
    [ASAP_SERVER_ANNOUNCE] = {false, true, 1, {{TRANSPORTS, 0, ASAP_TRANSPORTS_MAX}}},
    [ASAP_COOKIE] = {false, false, 1, {{COOKIE, 1, 1}}},
    [ASAP_COOKIE_ECHO] = {false, false, 1, {{COOKIE, 1, 1}}},
    /* rsplib would put a policy into business cards; the RFC has none (asap.md §4.13). */
    [ASAP_BUSINESS_CARD] = {false,
                            false,
                            3,
                            {{HANDLE, 1, 1}, {POLICY, 0, 1}, {ELEMENT, 1, ASAP_ELEMENTS_MAX}}},
    [ASAP_ERROR] = {false, false, 1, {{CAUSES, 1, 1}}},
};

/* NULL for types without meaning. */
static const struct layout *layout_of(uint8_t type)
{
    return type >= ASAP_REGISTRATION && type <= ASAP_ERROR ? &layouts[type] : NULL;
}

void asap_message_init(struct asap_message *msg, enum asap_type type)
{
    /* Not the elements, but for the first one: they are many, and each is set as it is counted. */
    memset(msg, 0, offsetof(struct asap_message, elements) + sizeof(msg->elements[0]));
    memset(&msg->transport_count, 0,
           offsetof(struct asap_message, scratch) - offsetof(struct asap_message, transport_count));
    msg->type = (uint8_t)type;
}

/* As asap_message_init(), but the arrays stay: their counts say that they are empty. */
static void reset(struct asap_message *msg)
{
    memset(msg, 0, offsetof(struct asap_message, elements));
    msg->transport_count = 0;
    msg->cause_count = 0;
    msg->scratch_used = 0;
}

static void decode_element(struct wire_dec *d, const struct wire_tlv *tlv, struct asap_message *msg)
{
    if (msg->type == ASAP_REGISTRATION) {
        /* First of all the id: a refusal needs it, whatever else is wrong with the element. */
        struct rcur c = tlv->value;
        msg->pe_id = rcur_n32(&c);
        msg->has_pe_id = !c.err;
        if (msg->has_pe_id && msg->pe_id == 0) {
            wire_invalid(d, tlv, "pool element without identifier");
            return;
        }
    }
    if (wire_get_element(d, tlv, &msg->elements[msg->element_count])) {
        msg->element_count++;
    }
}

static void decode_cookie(struct wire_dec *d, const struct wire_tlv *tlv, struct asap_message *msg)
{
    msg->cookie.octets = tlv->value.pos;
    msg->cookie.len = (uint16_t)rcur_left(&tlv->value);
    if (msg->cookie.len == 0) {
        wire_invalid(d, tlv, "empty cookie");
    }
}

static void decode_parameter(struct wire_dec *d, const struct wire_tlv *tlv,
                             struct asap_message *msg)
{
    switch (tlv->type) {
    case PARAM_POOL_HANDLE:
        msg->has_handle = wire_get_handle(d, tlv, &msg->handle);
        return;
    case PARAM_PE_ID:
        msg->has_pe_id = wire_get_pe_id(d, tlv, &msg->pe_id);
        return;
    case PARAM_POOL_ELEMENT:
        decode_element(d, tlv, msg);
        return;
    case PARAM_POLICY:
        msg->has_policy = wire_get_policy(d, tlv, &msg->policy) && msg->type != ASAP_BUSINESS_CARD;
        return;
    case PARAM_OPERATION_ERROR:
        (void)wire_get_causes(d, tlv, msg->causes, &msg->cause_count);
        return;
    case PARAM_COOKIE:
        decode_cookie(d, tlv, msg);
        return;
    case PARAM_HANDLE_RESOLUTION_OPTION:
        msg->has_items = wire_get_items(d, tlv, &msg->items);
        return;
    default: /* no slot takes other than transports */
        if (wire_get_transport(d, tlv, &msg->transports[msg->transport_count])) {
            msg->transports[msg->transport_count++].use = TRANSPORT_USE_DATA;
        }
        return;
    }
}

static void decode_body(struct wire_dec *d, struct rcur value, const struct layout *layout,
                        struct asap_message *msg)
{
    if (layout->server_id) {
        msg->server_id = rcur_n32(&value);
        msg->has_server_id = !value.err;
        if (value.err) {
            wire_invalid(d, NULL, "server identifier is missing");
            return;
        }
    }
    struct wire_list l;
    struct wire_tlv tlv;
    wire_list_init(&l, value, NULL, layout->slots, layout->slot_count);
    while (wire_next(d, &l, &tlv)) {
        decode_parameter(d, &tlv, msg);
    }
    if (d->verdict != WIRE_OK || msg->type != ASAP_HANDLE_RESOLUTION_RESPONSE) {
        return;
    }
    if (msg->cause_count > 0) {
        msg->has_policy = false;
        msg->element_count = 0;
    } else if (msg->element_count == 0) {
        wire_invalid(d, NULL, "neither pool elements nor an error"); /* */
    }
}

enum wire_verdict asap_decode(const void *octets, size_t len, struct asap_message *msg,
                              struct wire_report *report)
{
    const uint8_t *p = (const uint8_t *)octets;
    struct wire_dec d;
    wire_dec_init(&d, report, msg->scratch, ASAP_ADDRESSES);
    reset(msg);
    msg->type = len > 0 ? p[0] : 0;
    const struct layout *layout = layout_of(msg->type);
    if (layout == NULL && len >= WIRE_HEADER_LEN) {
        wire_unknown_message(&d, octets, len);
        return d.verdict;
    }
    struct rcur value = wire_message_value(&d, octets, len);
    if (layout != NULL && !value.err) {
        msg->flags = layout->flag ? p[1] & ASAP_FLAG : 0;
        decode_body(&d, value, layout, msg);
    }
    msg->scratch_used = d.scratch_used;
    if (msg->type == ASAP_ERROR) {
        /* Errors are never answered by errors, or two of a kind would not stop. */
        report->cause_count = 0;
        return d.verdict == WIRE_OK ? WIRE_OK : WIRE_DISCARD;
    }
    return d.verdict;
}

static int encode_elements(struct wcur *w, const struct asap_message *msg,
                           const struct wire_slot *slot)
{
    unsigned addresses = 0;
    if (msg->element_count < slot->min || msg->element_count > slot->max) {
        return -EINVAL;
    }
    for (uint16_t i = 0; i < msg->element_count; i++) {
        const struct pool_element *pe = &msg->elements[i];
        int r = wire_put_element(w, pe);
        if (r < 0) {
            return r;
        }
        addresses += pe->user.protocol == TRANSPORT_OPAQUE ? 0u : pe->user.address_count;
        addresses += pe->asap.protocol == TRANSPORT_NONE ? 0u : pe->asap.address_count;
    }
    return addresses <= ASAP_ADDRESSES ? 0 : -EMSGSIZE;
}

static int encode_transports(struct wcur *w, const struct asap_message *msg)
{
    if (msg->transport_count > ASAP_TRANSPORTS_MAX) {
        return -EINVAL;
    }
    for (uint16_t i = 0; i < msg->transport_count; i++) {
        int r = wire_put_control_transport(w, &msg->transports[i]);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* What a slot takes from the message; a missing optional parameter is no error. */
static int encode_slot(struct wcur *w, const struct asap_message *msg, const struct wire_slot *slot)
{
    int absent = slot->min == 0 ? 0 : -EINVAL;
    bool negative = msg->type == ASAP_HANDLE_RESOLUTION_RESPONSE && msg->cause_count > 0;
    switch (slot->types) {
    case HANDLE:
        return msg->has_handle ? wire_put_handle(w, msg->handle) : absent;
    case PE_ID:
        if (!msg->has_pe_id) {
            return absent;
        }
        wire_put_pe_id(w, msg->pe_id);
        return 0;
    case WIRE_HRO_BIT:
        if (msg->has_items) {
            wire_put_items(w, msg->items);
        }
        return 0;
    case POLICY:
        if (negative || !msg->has_policy || msg->type == ASAP_BUSINESS_CARD) {
            return 0;
        }
        return wire_put_policy(w, &msg->policy);
    case ELEMENT:
        return negative ? 0 : encode_elements(w, msg, slot);
    case CAUSES:
        return msg->cause_count > 0 ? wire_put_causes(w, msg->causes, msg->cause_count) : absent;
    case COOKIE:
        return wire_put_cookie(w, msg->cookie.octets, msg->cookie.len);
    default:
        return encode_transports(w, msg);
    }
}

/* What the layouts cannot say. */
static int check_message(const struct asap_message *msg)
{
    if (msg->type == ASAP_HANDLE_RESOLUTION_RESPONSE && msg->cause_count == 0 &&
        msg->element_count == 0) {
        return -EINVAL; /* */
    }
    if (msg->type == ASAP_REGISTRATION && msg->element_count == 1 && msg->elements[0].pe_id == 0) {
        return -EINVAL;
    }
    return 0;
}

int asap_encode(const struct asap_message *msg, void *octets, size_t size)
{
    const struct layout *layout = layout_of(msg->type);
    if (layout == NULL || (layout->server_id && !msg->has_server_id)) {
        return -EINVAL;
    }
    int r = check_message(msg);
    struct wcur w = wcur_of(octets, size < WIRE_MESSAGE_MAX ? size : WIRE_MESSAGE_MAX);
    wire_message_begin(&w, msg->type, layout->flag ? msg->flags & ASAP_FLAG : 0);
    if (layout->server_id) {
        wcur_n32(&w, msg->server_id);
    }
    for (uint16_t i = 0; i < layout->slot_count && r == 0; i++) {
        r = encode_slot(&w, msg, &layout->slots[i]);
    }
    return r < 0 ? r : wire_message_end(&w);
}

static int encoded(const struct wcur *w, int r)
{
    if (r < 0) {
        return r;
    }
    return w->err ? -EMSGSIZE : (int)wcur_used(w);
}

int asap_encode_policy(const struct policy *policy, void *octets, size_t size)
{
    struct wcur w = wcur_of(octets, size);
    int r = wire_put_policy(&w, policy);
    return encoded(&w, r);
}

int asap_encode_transport(const struct transport *transport, void *octets, size_t size)
{
    struct wcur w = wcur_of(octets, size);
    int r = wire_put_transport(&w, transport);
    return encoded(&w, r);
}
