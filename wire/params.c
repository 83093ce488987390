/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parameters of RFC 5354 (parameters.md): each one's reader and writer. */
#include "wire/params.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>

/*
 * Words after the type of each policy with a defined wire format (parameters.md §4.3). It stands
 * here and not with the policies: a codec knows layouts, whoever uses it knows meanings.
 */
static const struct {
    uint32_t type;
    uint8_t words;
} policy_words[] = {
    {POLICY_RR, 0},    {POLICY_WRR, 1},       {POLICY_RAND, 0},   {POLICY_WRAND, 1},
    {POLICY_PRIO, 1},  {POLICY_LU, 1},        {POLICY_LUD, 2},    {POLICY_PLU, 2},
    {POLICY_RLU, 1},   {POLICY_RPLU, 2},      {POLICY_RLUD, 2},   {POLICY_PLUD, 2},
    {POLICY_RPLUD, 2}, {POLICY_WRAND_DPF, 3}, {POLICY_LU_DPF, 3}, {POLICY_LUD_DPF, 4},
};

#define POLICY_ADAPTIVE_NONE 0x40000000u /* the invalid type of the adaptive range */

/* Words a policy must have; -1 for unknown types, -2 for types that cannot be. */
static int words_of_policy(uint32_t type)
{
    if (type == POLICY_NONE || type == POLICY_ADAPTIVE_NONE) {
        return -2;
    }
    for (size_t i = 0; i < sizeof(policy_words) / sizeof(policy_words[0]); i++) {
        if (policy_words[i].type == type) {
            return policy_words[i].words;
        }
    }
    return -1;
}

bool wire_get_handle(struct wire_dec *d, const struct wire_tlv *tlv, struct pool_handle *ret)
{
    size_t len = rcur_left(&tlv->value);
    if (len == 0 || len > POOL_HANDLE_MAX) {
        wire_invalid(d, tlv, len == 0 ? "empty pool handle" : "pool handle too long");
        return false;
    }
    *ret = (struct pool_handle){.octets = tlv->value.pos, .len = (uint16_t)len};
    return true;
}

/* A single number: at least its octets, or just these (parameters.md §9 rule 3). */
static bool get_u32(struct wire_dec *d, const struct wire_tlv *tlv, bool exact, uint32_t *ret)
{
    struct rcur c = tlv->value;
    uint32_t value = rcur_n32(&c);
    if (c.err || (exact && rcur_left(&c) != 0)) {
        wire_invalid(d, tlv, "wrong length of a number");
        return false;
    }
    *ret = value;
    return true;
}

bool wire_get_pe_id(struct wire_dec *d, const struct wire_tlv *tlv, uint32_t *ret)
{
    return get_u32(d, tlv, true, ret);
}

bool wire_get_items(struct wire_dec *d, const struct wire_tlv *tlv, uint32_t *ret)
{
    return get_u32(d, tlv, false, ret);
}

bool wire_get_checksum(struct wire_dec *d, const struct wire_tlv *tlv, uint16_t *ret)
{
    struct rcur c = tlv->value;
    uint16_t value = rcur_n16(&c);
    if (c.err || rcur_left(&c) != 0) {
        wire_invalid(d, tlv, "wrong length of a checksum");
        return false;
    }
    *ret = value;
    return true;
}

bool wire_get_policy(struct wire_dec *d, const struct wire_tlv *tlv, struct policy *ret)
{
    struct rcur c = tlv->value;
    struct policy policy = {.type = rcur_n32(&c)};
    int need = words_of_policy(policy.type);
    size_t given = rcur_left(&c) / 4;
    if (c.err || need == -2 || (need >= 0 && given < (size_t)need)) {
        wire_invalid(d, tlv, "impossible policy");
        return false;
    }
    if (need < 0) {
        need = given < POLICY_WORDS_MAX ? (int)given : POLICY_WORDS_MAX;
    }
    policy.word_count = (uint8_t)need;
    for (int i = 0; i < need; i++) {
        policy.words[i] = rcur_n32(&c);
    }
    *ret = policy;
    return true;
}

static bool get_address(struct wire_dec *d, const struct wire_tlv *tlv, struct ip_address *ret)
{
    bool v4 = tlv->type == PARAM_IPV4;
    size_t size = v4 ? 4 : 16;
    struct rcur c = tlv->value;
    const uint8_t *octets = rcur_take(&c, size);
    if (octets == NULL) {
        wire_invalid(d, tlv, "address too short");
        return false;
    }
    struct ip_address a = {.family = v4 ? IP_V4 : IP_V6};
    memcpy(a.octets, octets, size);
    *ret = ip_address_unmap(a);
    return true;
}

/* The addresses at the end of a transport, into the scratch space. */
static bool get_addresses(struct wire_dec *d, const struct wire_tlv *tlv, struct rcur rest,
                          struct transport *t)
{
    const struct wire_slot slot = {
        .types = WIRE_BIT(PARAM_IPV4) | WIRE_BIT(PARAM_IPV6),
        .min = 1,
        .max = t->protocol == TRANSPORT_SCTP ? WIRE_ADDRESSES_PER_TRANSPORT : 1,
    };
    uint16_t first = d->scratch_used;
    struct wire_list l;
    struct wire_tlv inner;
    wire_list_init(&l, rest, tlv, &slot, 1);
    while (wire_next(d, &l, &inner)) {
        if (d->scratch_used == d->scratch_size) {
            wire_invalid(d, tlv, "too many addresses in one message");
            return false;
        }
        if (!get_address(d, &inner, &d->scratch[d->scratch_used])) {
            return false;
        }
        d->scratch_used++;
    }
    t->addresses = d->scratch + first;
    t->address_count = (uint16_t)(d->scratch_used - first);
    return d->verdict == WIRE_OK;
}

bool wire_get_transport(struct wire_dec *d, const struct wire_tlv *tlv, struct transport *ret)
{
    struct rcur c = tlv->value;
    struct transport t = {.protocol = (enum transport_protocol)tlv->type};
    if (t.protocol == TRANSPORT_OPAQUE) {
        t.opaque = c.pos;
        t.opaque_len = (uint16_t)rcur_left(&c);
        *ret = t;
        return true;
    }
    t.port = rcur_n16(&c);
    uint16_t second = rcur_n16(&c);
    if (t.protocol == TRANSPORT_SCTP) {
        t.use = second; /* elsewhere reserved, whatever rsplib writes there (P-7, P-10 … P-12) */
    } else if (t.protocol == TRANSPORT_DCCP) {
        t.service_code = rcur_n32(&c);
    }
    if (c.err || t.port == 0 || t.use > TRANSPORT_USE_DATA_AND_CONTROL) {
        wire_invalid(d, tlv, "impossible transport");
        return false;
    }
    if (!get_addresses(d, tlv, c, &t)) {
        return false;
    }
    *ret = t;
    return true;
}

bool wire_get_element(struct wire_dec *d, const struct wire_tlv *tlv, struct pool_element *ret)
{
    static const struct wire_slot slots[] = {
        {WIRE_USER_TRANSPORTS, 1, 1}, {WIRE_BIT(PARAM_POLICY), 1, 1}, {WIRE_BIT(PARAM_SCTP), 0, 1}};
    struct rcur c = tlv->value;
    struct pool_element pe = {0};
    pe.pe_id = rcur_n32(&c);
    pe.home_id = rcur_n32(&c);
    pe.registration_life = rcur_n32(&c);
    if (c.err) {
        wire_invalid(d, tlv, "pool element too short");
        return false;
    }
    struct wire_list l;
    struct wire_tlv inner;
    wire_list_init(&l, c, tlv, slots, 3);
    while (wire_next(d, &l, &inner)) {
        if (l.at == 0) {
            (void)wire_get_transport(d, &inner, &pe.user);
        } else if (l.at == 1) {
            (void)wire_get_policy(d, &inner, &pe.policy);
        } else if (wire_get_transport(d, &inner, &pe.asap)) {
            pe.asap.use = TRANSPORT_USE_DATA; /* means nothing here */
        }
    }
    if (d->verdict != WIRE_OK) {
        return false;
    }
    *ret = pe;
    return true;
}

bool wire_get_server_information(struct wire_dec *d, const struct wire_tlv *tlv,
                                 uint32_t *ret_server_id, struct transport *ret)
{
    static const struct wire_slot slot = {WIRE_BIT(PARAM_SCTP), 1, 1};
    struct rcur c = tlv->value;
    uint32_t id = rcur_n32(&c);
    if (c.err) {
        wire_invalid(d, tlv, "server information too short");
        return false;
    }
    struct transport t = {0};
    struct wire_list l;
    struct wire_tlv inner;
    wire_list_init(&l, c, tlv, &slot, 1);
    while (wire_next(d, &l, &inner)) {
        (void)wire_get_transport(d, &inner, &t);
    }
    if (d->verdict != WIRE_OK) {
        return false;
    }
    t.use = TRANSPORT_USE_DATA;
    *ret_server_id = id;
    *ret = t;
    return true;
}

bool wire_get_causes(struct wire_dec *d, const struct wire_tlv *tlv,
                     struct asap_cause ret[ASAP_CAUSES_MAX], uint16_t *ret_count)
{
    struct rcur c = tlv->value;
    uint16_t count = 0;
    while (rcur_left(&c) > 0 && !c.err) {
        struct asap_cause cause = {.code = rcur_n16(&c)};
        uint16_t len = rcur_n16(&c);
        if (c.err || len < WIRE_HEADER_LEN) {
            c.err = true;
            break;
        }
        cause.body_len = (uint16_t)(len - WIRE_HEADER_LEN);
        cause.body = rcur_take(&c, cause.body_len);
        rcur_skip_upto(&c, (4 - len % 4) % 4);
        if (!c.err && count < ASAP_CAUSES_MAX) {
            ret[count++] = cause;
        }
    }
    if (c.err || count == 0) {
        wire_invalid(d, tlv, "malformed operation error");
        return false;
    }
    *ret_count = count;
    return true;
}

void wire_message_begin(struct wcur *w, uint8_t type, uint8_t flags)
{
    wcur_u8(w, type);
    wcur_u8(w, flags);
    wcur_n16(w, 0);
}

int wire_message_end(struct wcur *w)
{
    wcur_pad4(w);
    wcur_patch16(w, 2, wcur_used(w));
    return w->err ? -EMSGSIZE : (int)wcur_used(w);
}

size_t wire_tlv_begin(struct wcur *w, uint16_t type)
{
    wcur_pad4(w);
    size_t mark = wcur_used(w);
    wcur_n16(w, type);
    wcur_n16(w, 0);
    return mark;
}

void wire_tlv_end(struct wcur *w, size_t mark)
{
    wcur_patch16(w, mark + 2, wcur_used(w) - mark);
}

static void put_octets(struct wcur *w, uint16_t type, const uint8_t *octets, size_t len)
{
    size_t mark = wire_tlv_begin(w, type);
    wcur_put(w, octets, len);
    wire_tlv_end(w, mark);
}

int wire_put_handle(struct wcur *w, struct pool_handle handle)
{
    if (handle.len == 0 || handle.len > POOL_HANDLE_MAX) {
        return -EINVAL;
    }
    put_octets(w, PARAM_POOL_HANDLE, handle.octets, handle.len);
    return 0;
}

int wire_put_cookie(struct wcur *w, const uint8_t *octets, size_t len)
{
    if (octets == NULL || len == 0 || len > WIRE_COOKIE_MAX) {
        return -EINVAL;
    }
    put_octets(w, PARAM_COOKIE, octets, len);
    return 0;
}

static void put_u32(struct wcur *w, uint16_t type, uint32_t value)
{
    size_t mark = wire_tlv_begin(w, type);
    wcur_n32(w, value);
    wire_tlv_end(w, mark);
}

void wire_put_pe_id(struct wcur *w, uint32_t pe_id)
{
    put_u32(w, PARAM_PE_ID, pe_id);
}

void wire_put_items(struct wcur *w, uint32_t items)
{
    put_u32(w, PARAM_HANDLE_RESOLUTION_OPTION, items);
}

void wire_put_capabilities(struct wcur *w, uint32_t capabilities)
{
    put_u32(w, PARAM_CAPABILITIES, capabilities);
}

void wire_put_checksum(struct wcur *w, uint16_t checksum)
{
    size_t mark = wire_tlv_begin(w, PARAM_PE_CHECKSUM);
    wcur_n16(w, checksum);
    wire_tlv_end(w, mark);
}

int wire_put_policy(struct wcur *w, const struct policy *policy)
{
    int words = words_of_policy(policy->type);
    if (words == -1) {
        words = policy->word_count;
    }
    if (words < 0 || words > policy->word_count || words > POLICY_WORDS_MAX) {
        return -EINVAL;
    }
    size_t mark = wire_tlv_begin(w, PARAM_POLICY);
    wcur_n32(w, policy->type);
    for (int i = 0; i < words; i++) {
        wcur_n32(w, policy->words[i]);
    }
    wire_tlv_end(w, mark);
    return 0;
}

static int put_address(struct wcur *w, const struct ip_address *address)
{
    struct ip_address a = ip_address_unmap(*address);
    if (a.family == IP_V4) {
        put_octets(w, PARAM_IPV4, a.octets, 4);
    } else if (a.family == IP_V6) {
        put_octets(w, PARAM_IPV6, a.octets, 16);
    } else {
        return -EINVAL;
    }
    return 0;
}

static int put_transport(struct wcur *w, const struct transport *t, uint16_t use)
{
    bool sctp = t->protocol == TRANSPORT_SCTP;
    unsigned max = sctp ? WIRE_ADDRESSES_PER_TRANSPORT : 1;
    if (t->port == 0 || (sctp && use > TRANSPORT_USE_DATA_AND_CONTROL) || t->address_count == 0 ||
        t->address_count > max) {
        return -EINVAL;
    }
    size_t mark = wire_tlv_begin(w, (uint16_t)t->protocol);
    wcur_n16(w, t->port);
    wcur_n16(w, sctp ? use : 0);
    if (t->protocol == TRANSPORT_DCCP) {
        wcur_n32(w, t->service_code);
    }
    for (uint16_t i = 0; i < t->address_count; i++) {
        int r = put_address(w, &t->addresses[i]);
        if (r < 0) {
            return r;
        }
    }
    wire_tlv_end(w, mark);
    return 0;
}

int wire_put_transport(struct wcur *w, const struct transport *transport)
{
    switch (transport->protocol) {
    case TRANSPORT_OPAQUE:
        put_octets(w, PARAM_OPAQUE, transport->opaque, transport->opaque_len);
        return 0;
    case TRANSPORT_DCCP:
    case TRANSPORT_SCTP:
    case TRANSPORT_TCP:
    case TRANSPORT_UDP:
    case TRANSPORT_UDPLITE:
        return put_transport(w, transport, transport->use);
    case TRANSPORT_NONE:
        break;
    }
    return -EINVAL;
}

int wire_put_control_transport(struct wcur *w, const struct transport *transport)
{
    if (transport->protocol != TRANSPORT_SCTP && transport->protocol != TRANSPORT_TCP) {
        return -EINVAL;
    }
    return put_transport(w, transport, TRANSPORT_USE_DATA);
}

int wire_put_element(struct wcur *w, const struct pool_element *pe)
{
    size_t mark = wire_tlv_begin(w, PARAM_POOL_ELEMENT);
    wcur_n32(w, pe->pe_id);
    wcur_n32(w, pe->home_id);
    wcur_n32(w, pe->registration_life);
    int r = wire_put_transport(w, &pe->user);
    if (r == 0) {
        r = wire_put_policy(w, &pe->policy);
    }
    if (r == 0 && pe->asap.protocol != TRANSPORT_NONE) {
        r = pe->asap.protocol == TRANSPORT_SCTP ? wire_put_control_transport(w, &pe->asap)
                                                : -EINVAL; /* P-16 */
    }
    wire_tlv_end(w, mark);
    return r;
}

int wire_put_server_information(struct wcur *w, uint32_t server_id,
                                const struct transport *transport)
{
    if (transport->protocol != TRANSPORT_SCTP) {
        return -EINVAL; /* P-18 */
    }
    size_t mark = wire_tlv_begin(w, PARAM_SERVER_INFORMATION);
    wcur_n32(w, server_id);
    int r = wire_put_control_transport(w, transport);
    wire_tlv_end(w, mark);
    return r;
}

int wire_put_causes(struct wcur *w, const struct asap_cause *causes, uint16_t count)
{
    if (count == 0 || count > ASAP_CAUSES_MAX) {
        return -EINVAL;
    }
    size_t mark = wire_tlv_begin(w, PARAM_OPERATION_ERROR);
    for (uint16_t i = 0; i < count; i++) {
        put_octets(w, causes[i].code, causes[i].body, causes[i].body_len);
    }
    wire_tlv_end(w, mark);
    return 0;
}
