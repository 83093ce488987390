/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The walk over parameter lists, the rules for what is unknown, malformed or missing in them, and
 * the causes that come of it (parameters.md §1, §2.1, §6, §9).
 */
#include "wire/params.h"

#include <stdbool.h>

/* Bodies of all causes of a report together: leaves room for what else an answer holds. */
#define REPORT_OCTETS_MAX 60000

const char *rsp_cause_name(uint16_t cause)
{
    static const char *const names[] = {
        [CAUSE_UNSPECIFIED] = "Unspecified Error",
        [CAUSE_UNRECOGNIZED_PARAMETER] = "Unrecognized Parameter",
        [CAUSE_UNRECOGNIZED_MESSAGE] = "Unrecognized Message",
        [CAUSE_INVALID_VALUES] = "Invalid Values",
        [CAUSE_NON_UNIQUE_PE_ID] = "Non-unique PE Identifier",
        [CAUSE_INCONSISTENT_POLICY] = "Inconsistent Pooling Policy",
        [CAUSE_LACK_OF_RESOURCES] = "Lack of Resources",
        [CAUSE_INCONSISTENT_TRANSPORT] = "Inconsistent Transport Type",
        [CAUSE_INCONSISTENT_DATA_CONTROL] = "Inconsistent Data/Control Configuration",
        [CAUSE_UNKNOWN_POOL_HANDLE] = "Unknown Pool Handle",
        [CAUSE_SECURITY] = "Rejected due to Security Considerations",
    };
    return cause < sizeof(names) / sizeof(names[0]) ? names[cause] : "unknown error cause";
}

uint16_t rsp_cause_map(uint16_t cause)
{
    if (cause <= CAUSE_SECURITY) {
        return cause;
    }
    switch (cause) {
    case 0x0011: /* invalid value */
    case 0x100b: /* unsupported policy */
    case 0xf000: /* invalid id */
    case 0xf003: /* invalid policy */
    case 0xf004: /* invalid pool handle */
    case 0xf005: /* invalid addresses */
    case 0xf006: /* invalid ASAP transport */
    case 0xf007: /* no usable ASAP addresses */
    case 0xf008: /* no usable user addresses */
        return CAUSE_INVALID_VALUES;
    case 0x100a: /* wrong protocol for the pool */
        return CAUSE_INCONSISTENT_TRANSPORT;
    case 0xf001: /* own id */
    case 0xf002: /* duplicate id */
        return CAUSE_NON_UNIQUE_PE_ID;
    default:
        return CAUSE_UNSPECIFIED;
    }
}

void wire_dec_init(struct wire_dec *d, struct wire_report *report, struct ip_address *scratch,
                   uint16_t scratch_size)
{
    *report = (struct wire_report){0};
    *d = (struct wire_dec){
        .verdict = WIRE_OK, .report = report, .scratch = scratch, .scratch_size = scratch_size};
}

/* The cause, with its body as far as the answer has room for it. */
static struct asap_cause cause_of(struct wire_dec *d, uint16_t code, const uint8_t *body,
                                  size_t len)
{
    if (len > REPORT_OCTETS_MAX - d->reported) {
        body = NULL;
        len = 0;
    }
    d->reported += (uint32_t)len;
    return (struct asap_cause){.code = code, .body = body, .body_len = (uint16_t)len};
}

void wire_report_add(struct wire_dec *d, uint16_t code, const uint8_t *body, size_t len)
{
    struct wire_report *r = d->report;
    if (r->cause_count < ASAP_CAUSES_MAX) {
        r->causes[r->cause_count++] = cause_of(d, code, body, len);
    }
}

void wire_invalid(struct wire_dec *d, const struct wire_tlv *tlv, const char *text)
{
    struct wire_report *r = d->report;
    if (d->verdict != WIRE_OK) {
        return;
    }
    d->verdict = WIRE_INVALID;
    r->text = text;
    if (r->cause_count < ASAP_CAUSES_MAX) {
        r->cause_count++;
    }
    for (uint16_t i = (uint16_t)(r->cause_count - 1); i > 0; i--) {
        r->causes[i] = r->causes[i - 1];
    }
    /* The decisive cause comes first: rsplib reads no other. */
    r->causes[0] = cause_of(d, CAUSE_INVALID_VALUES, tlv != NULL ? tlv->octets : NULL,
                            tlv != NULL ? tlv->len : 0);
}

static void discard(struct wire_dec *d, const char *text)
{
    d->verdict = WIRE_DISCARD;
    d->report->cause_count = 0;
    d->report->text = text;
}

struct rcur wire_message_value(struct wire_dec *d, const void *octets, size_t len)
{
    struct rcur c = rcur_of(octets, len);
    (void)rcur_n16(&c);
    uint16_t whole = rcur_n16(&c);
    /* Length with or without the last padding, which may have been cut off or not (§1.1). */
    if (c.err || whole < WIRE_HEADER_LEN || whole > len || len - whole > 3) {
        wire_invalid(d, NULL, "impossible message length");
        c.err = true;
        c.pos = c.end;
        return c;
    }
    return rcur_carve(&c, (size_t)whole - WIRE_HEADER_LEN);
}

void wire_unknown_message(struct wire_dec *d, const void *octets, size_t len)
{
    struct rcur value = wire_message_value(d, octets, len);
    const uint8_t *p = (const uint8_t *)octets;
    if (value.err || (p[0] & MESSAGE_ACTION_REPORT) == 0) {
        discard(d, "unknown message");
        return;
    }
    d->verdict = WIRE_DISCARD_REPORT;
    d->report->text = "unknown message";
    wire_report_add(d, CAUSE_UNRECOGNIZED_MESSAGE, p, WIRE_HEADER_LEN + rcur_left(&value));
}

void wire_list_init(struct wire_list *l, struct rcur rest, const struct wire_tlv *outer,
                    const struct wire_slot *slots, uint16_t slot_count)
{
    *l = (struct wire_list){.rest = rest, .outer = outer, .slots = slots, .slot_count = slot_count};
}

/* The next TLV with whatever padding there is behind it; false: its length cannot be. */
static bool take_tlv(struct rcur *rest, struct wire_tlv *ret)
{
    const uint8_t *start = rest->pos;
    uint16_t type = rcur_n16(rest);
    uint16_t len = rcur_n16(rest);
    if (rest->err || len < WIRE_HEADER_LEN) {
        return false;
    }
    struct rcur value = rcur_carve(rest, (size_t)len - WIRE_HEADER_LEN);
    if (value.err) {
        return false;
    }
    rcur_skip_upto(rest, (4 - len % 4) % 4);
    *ret = (struct wire_tlv){.type = type, .len = len, .octets = start, .value = value};
    return true;
}

static uint32_t bit_of(uint16_t type)
{
    if (type == PARAM_HANDLE_RESOLUTION_OPTION) {
        return WIRE_HRO_BIT;
    }
    if (type == PARAM_CAPABILITIES) {
        return WIRE_CAPABILITIES_BIT;
    }
    return type <= PARAM_OPAQUE ? WIRE_BIT(type) : 0;
}

/* False: the message ends here. */
static bool skip_unknown(struct wire_dec *d, const struct wire_tlv *tlv)
{
    switch (tlv->type & PARAM_ACTION_MASK) {
    case PARAM_ACTION_SKIP_REPORT:
        wire_report_add(d, CAUSE_UNRECOGNIZED_PARAMETER, tlv->octets, tlv->len);
        return true;
    case PARAM_ACTION_SKIP:
        return true;
    case PARAM_ACTION_STOP_REPORT:
        d->verdict = WIRE_DISCARD_REPORT;
        d->report->text = "unknown parameter";
        wire_report_add(d, CAUSE_UNRECOGNIZED_PARAMETER, tlv->octets, tlv->len);
        return false;
    default:
        discard(d, "unknown or misplaced parameter");
        return false;
    }
}

/*
 * The slot a TLV of this type goes to, from the current one on, or slot_count. A slot that is left
 * behind must have got what it needs, which the caller checks.
 */
static uint16_t slot_for(const struct wire_list *l, uint32_t bit)
{
    uint16_t i = l->at;
    if (i < l->slot_count && l->count == l->slots[i].max) {
        i++;
    }
    while (i < l->slot_count && (l->slots[i].types & bit) == 0) {
        i++;
    }
    return i;
}

/* Whether all slots from the current one up to, not including, `to` have what they need. */
static bool satisfied(const struct wire_list *l, uint16_t to)
{
    for (uint16_t i = l->at; i < to; i++) {
        if ((i == l->at ? l->count : 0) < l->slots[i].min) {
            return false;
        }
    }
    return true;
}

bool wire_next(struct wire_dec *d, struct wire_list *l, struct wire_tlv *ret)
{
    while (d->verdict == WIRE_OK) {
        if (rcur_left(&l->rest) == 0) {
            if (!satisfied(l, l->slot_count)) {
                wire_invalid(d, l->outer, "a parameter is missing");
            }
            return false;
        }
        struct wire_tlv tlv;
        if (!take_tlv(&l->rest, &tlv)) {
            wire_invalid(d, l->outer, "impossible parameter length");
            return false;
        }
        uint32_t bit = bit_of(tlv.type);
        uint16_t slot = slot_for(l, bit);
        if (slot < l->slot_count && satisfied(l, slot)) {
            l->count = slot == l->at ? (uint16_t)(l->count + 1) : 1;
            l->at = slot;
            *ret = tlv;
            return true;
        }
        /* Too early, unless it is one that may be skipped: what belongs in front is missing. */
        if (slot < l->slot_count && (tlv.type & PARAM_ACTION_SKIP) == 0) {
            wire_invalid(d, l->outer, "a parameter is missing");
            return false;
        }
        /* One too many of a list is worth an answer; a second single parameter is just unknown. */
        if (l->at < l->slot_count && (l->slots[l->at].types & bit) != 0 &&
            l->slots[l->at].max > 1) {
            wire_invalid(d, l->outer != NULL ? l->outer : &tlv, "too many parameters of a kind");
            return false;
        }
        if (!skip_unknown(d, &tlv)) {
            return false;
        }
    }
    return false;
}
