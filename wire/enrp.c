/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ENRP messages (RFC 5353 §2, enrp.md §3). One table says what each message holds; decoder and
 * encoder both follow it.
 */
#include "wire/enrp.h"

#include <errno.h>
#include <string.h>

#include "wire/params.h"

#define HANDLE       WIRE_BIT(PARAM_POOL_HANDLE)
#define ELEMENT      WIRE_BIT(PARAM_POOL_ELEMENT)
#define ENTRIES      (HANDLE | ELEMENT)
#define SERVER       WIRE_BIT(PARAM_SERVER_INFORMATION)
#define CAUSES       WIRE_BIT(PARAM_OPERATION_ERROR)
#define CHECKSUM     WIRE_BIT(PARAM_PE_CHECKSUM)
#define CAPABILITIES WIRE_CAPABILITIES_BIT

#define SLOTS_MAX 3

/* A server that lists more registrars than we take is not refused: the rest is left out. */
#define SERVERS_ON_WIRE 2500

struct layout {
    uint8_t flags; /* bits that mean something */
    bool target;   /* target server id after the two ids */
    bool action;   /* update action and reserved field */
    uint16_t slot_count;
    struct wire_slot slots[SLOTS_MAX];
};

static const struct layout layouts[] = {
    [ENRP_PRESENCE] = {ENRP_PRESENCE_REPLY,
                       false,
                       false,
                       3,
                       {{CAPABILITIES, 0, 1}, {CHECKSUM, 0, 1}, {SERVER, 0, 1}}},
    [ENRP_HANDLE_TABLE_REQUEST] = {ENRP_TABLE_OWN_ONLY, false, false, 0, {{0}}},
    [ENRP_HANDLE_TABLE_RESPONSE] =
        {ENRP_RESPONSE_REJECT | ENRP_TABLE_MORE, false, false, 1, {{ENTRIES, 0, UINT16_MAX}}},
    [ENRP_HANDLE_UPDATE] =
        {ENRP_UPDATE_SUGGESTED, false, true, 2, {{HANDLE, 1, 1}, {ELEMENT, 1, 1}}},
    [ENRP_LIST_REQUEST] = {0, false, false, 0, {{0}}},
    [ENRP_LIST_RESPONSE] = {ENRP_RESPONSE_REJECT, false, false, 1, {{SERVER, 0, SERVERS_ON_WIRE}}},
    [ENRP_INIT_TAKEOVER] = {0, true, false, 0, {{0}}},
    [ENRP_INIT_TAKEOVER_ACK] = {0, true, false, 0, {{0}}},
    [ENRP_TAKEOVER_SERVER] = {0, true, false, 0, {{0}}},
    [ENRP_ERROR] = {0, false, false, 1, {{CAUSES, 1, 1}}},
};

/* NULL for types without meaning. */
static const struct layout *layout_of(uint8_t type)
{
    return type >= ENRP_PRESENCE && type <= ENRP_ERROR ? &layouts[type] : NULL;
}

void enrp_message_init(struct enrp_message *msg, enum enrp_type type, uint32_t sender_id,
                       uint32_t receiver_id)
{
    memset(msg, 0, offsetof(struct enrp_message, servers));
    msg->type = (uint8_t)type;
    msg->sender_id = sender_id;
    msg->receiver_id = receiver_id;
    msg->scratch_used = 0;
}

/* --- decoding --------------------------------------------------------------------------------- */

/* The walk over one message: a table's elements belong to the handle in front of them. */
struct walk {
    struct wire_dec d;
    struct enrp_message *msg;
    struct pool_handle handle;
    bool handle_open; /* a handle that has no element yet */
};

static bool usable(const struct pool_element *pe)
{
    return pe->pe_id != 0 && pe->home_id != 0 && pe->asap.protocol == TRANSPORT_SCTP;
}

static void decode_element(struct walk *w, const struct wire_tlv *tlv)
{
    struct enrp_message *msg = w->msg;
    struct pool_element pe;
    if (w->handle.octets == NULL) {
        wire_invalid(&w->d, tlv, "pool element without pool handle");
        return;
    }
    if (!wire_get_element(&w->d, tlv, &pe)) {
        return;
    }
    w->handle_open = false;
    if (!usable(&pe)) {
        if (msg->type == ENRP_HANDLE_UPDATE) {
            wire_invalid(&w->d, tlv, "pool element without id, home or ASAP transport");
        } else {
            wire_report_add(&w->d, CAUSE_INVALID_VALUES, tlv->octets, tlv->len);
        }
        return;
    }
    if (msg->entry_count == ENRP_ENTRIES_MAX) {
        wire_invalid(&w->d, NULL, "too many pool elements");
        return;
    }
    msg->entries[msg->entry_count++] = (struct enrp_entry){.handle = w->handle, .element = pe};
}

static void decode_handle(struct walk *w, const struct wire_tlv *tlv)
{
    if (w->handle_open) {
        wire_invalid(&w->d, tlv, "pool handle without pool element"); /* E-13 */
        return;
    }
    w->handle_open = wire_get_handle(&w->d, tlv, &w->handle);
}

static void decode_server(struct walk *w, const struct wire_tlv *tlv)
{
    struct enrp_server server;
    if (wire_get_server_information(&w->d, tlv, &server.id, &server.transport) &&
        w->msg->server_count < ENRP_SERVERS_MAX) {
        w->msg->servers[w->msg->server_count++] = server;
    }
}

static void decode_parameter(struct walk *w, const struct wire_tlv *tlv)
{
    struct enrp_message *msg = w->msg;
    switch (tlv->type) {
    case PARAM_POOL_HANDLE:
        decode_handle(w, tlv);
        return;
    case PARAM_POOL_ELEMENT:
        decode_element(w, tlv);
        return;
    case PARAM_SERVER_INFORMATION:
        decode_server(w, tlv);
        return;
    case PARAM_PE_CHECKSUM:
        msg->has_checksum = wire_get_checksum(&w->d, tlv, &msg->checksum);
        return;
    case PARAM_CAPABILITIES:
        msg->has_capabilities = wire_get_items(&w->d, tlv, &msg->capabilities);
        return;
    default: /* no slot takes other than causes */
        (void)wire_get_causes(&w->d, tlv, msg->causes, &msg->cause_count);
        return;
    }
}

static void decode_body(struct walk *w, struct rcur value, const struct layout *layout)
{
    struct enrp_message *msg = w->msg;
    msg->sender_id = rcur_n32(&value);
    msg->receiver_id = rcur_n32(&value);
    if (layout->target) {
        msg->target_id = rcur_n32(&value);
    }
    if (layout->action) {
        msg->action = rcur_n16(&value);
        (void)rcur_n16(&value);
    }
    if (value.err) {
        wire_invalid(&w->d, NULL, "message too short");
        return;
    }
    bool reject = (msg->type == ENRP_HANDLE_TABLE_RESPONSE || msg->type == ENRP_LIST_RESPONSE) &&
                  (msg->flags & ENRP_RESPONSE_REJECT) != 0;
    if (reject) {
        msg->flags = ENRP_RESPONSE_REJECT;
        return;
    }
    struct wire_list l;
    struct wire_tlv tlv;
    wire_list_init(&l, value, NULL, layout->slots, layout->slot_count);
    while (wire_next(&w->d, &l, &tlv)) {
        decode_parameter(w, &tlv);
    }
    if (w->d.verdict == WIRE_OK && w->handle_open) {
        wire_invalid(&w->d, NULL, "pool handle without pool element");
    }
}

enum wire_verdict enrp_decode(const void *octets, size_t len, struct enrp_message *msg,
                              struct wire_report *report)
{
    const uint8_t *p = (const uint8_t *)octets;
    struct walk w = {.msg = msg};
    wire_dec_init(&w.d, report, msg->scratch, ENRP_ADDRESSES);
    enrp_message_init(msg, len > 0 ? p[0] : 0, 0, 0);
    const struct layout *layout = layout_of(msg->type);
    if (layout == NULL && len >= WIRE_HEADER_LEN) {
        wire_unknown_message(&w.d, octets, len);
        return w.d.verdict;
    }
    struct rcur value = wire_message_value(&w.d, octets, len);
    if (layout != NULL && !value.err) {
        msg->flags = p[1] & layout->flags;
        decode_body(&w, value, layout);
    }
    msg->scratch_used = w.d.scratch_used;
    if (msg->type == ENRP_ERROR) {
        /* Errors are never answered by errors, or two of a kind would not stop. */
        report->cause_count = 0;
        return w.d.verdict == WIRE_OK ? WIRE_OK : WIRE_DISCARD;
    }
    return w.d.verdict;
}

/* --- encoding --------------------------------------------------------------------------------- */

static int put_entry(struct wcur *w, const struct enrp_entry *entry, bool handle)
{
    int r = handle ? wire_put_handle(w, entry->handle) : 0;
    if (r == 0 && !usable(&entry->element)) {
        r = -EINVAL;
    }
    return r == 0 ? wire_put_element(w, &entry->element) : r;
}

static int encode_entries(struct wcur *w, const struct enrp_message *msg)
{
    if (msg->entry_count > ENRP_ENTRIES_MAX) {
        return -EINVAL;
    }
    for (uint16_t i = 0; i < msg->entry_count; i++) {
        bool handle =
            i == 0 || !pool_handle_equal(msg->entries[i - 1].handle, msg->entries[i].handle);
        int r = put_entry(w, &msg->entries[i], handle);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static int encode_servers(struct wcur *w, const struct enrp_message *msg, uint16_t max)
{
    if (msg->server_count > (max < ENRP_SERVERS_MAX ? max : ENRP_SERVERS_MAX)) {
        return -EINVAL;
    }
    for (uint16_t i = 0; i < msg->server_count; i++) {
        const struct enrp_server *server = &msg->servers[i];
        int r = wire_put_server_information(w, server->id, &server->transport);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

/* What a slot takes from the message; a missing optional parameter is no error. */
static int encode_slot(struct wcur *w, const struct enrp_message *msg, const struct wire_slot *slot)
{
    switch (slot->types) {
    case CAPABILITIES:
        if (msg->has_capabilities) {
            wire_put_capabilities(w, msg->capabilities);
        }
        return 0;
    case CHECKSUM:
        if (msg->has_checksum) {
            wire_put_checksum(w, msg->checksum);
        }
        return 0;
    case SERVER:
        return encode_servers(w, msg, slot->max);
    case CAUSES:
        return wire_put_causes(w, msg->causes, msg->cause_count);
    case HANDLE: /* an update's handle and element go together */
        return msg->entry_count == 1 ? put_entry(w, &msg->entries[0], true) : -EINVAL;
    case ENTRIES:
        return encode_entries(w, msg);
    default:
        return 0;
    }
}

int enrp_encode(const struct enrp_message *msg, void *octets, size_t size)
{
    const struct layout *layout = layout_of(msg->type);
    if (layout == NULL || (layout->action && msg->action > ENRP_DEL_PE)) {
        return -EINVAL;
    }
    uint8_t flags = msg->flags & layout->flags;
    bool reject = (msg->type == ENRP_HANDLE_TABLE_RESPONSE || msg->type == ENRP_LIST_RESPONSE) &&
                  (flags & ENRP_RESPONSE_REJECT) != 0;
    struct wcur w = wcur_of(octets, size < WIRE_MESSAGE_MAX ? size : WIRE_MESSAGE_MAX);
    wire_message_begin(&w, msg->type, reject ? ENRP_RESPONSE_REJECT : flags);
    wcur_n32(&w, msg->sender_id);
    wcur_n32(&w, msg->receiver_id);
    if (layout->target) {
        wcur_n32(&w, msg->target_id);
    }
    if (layout->action) {
        wcur_n16(&w, msg->action);
        wcur_n16(&w, 0);
    }
    int r = 0;
    for (uint16_t i = 0; i < layout->slot_count && r == 0 && !reject; i++) {
        r = encode_slot(&w, msg, &layout->slots[i]);
    }
    return r < 0 ? r : wire_message_end(&w);
}

size_t enrp_entry_size(const struct enrp_entry *entry)
{
    uint8_t octets[4096]; /* more than the longest handle and two transports of 64 addresses */
    struct wcur w = wcur_of(octets, sizeof(octets));
    int r = put_entry(&w, entry, true);
    wcur_pad4(&w);
    return r < 0 || w.err ? 0 : wcur_used(&w);
}
