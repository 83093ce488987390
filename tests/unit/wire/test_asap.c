/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ASAP messages: each field of each message, in both directions (asap.md §4). */
#include "wire/asap.h"

#include <errno.h>

#include "tests/unit/wire/vectors.h"

static struct asap_message msg;
static struct wire_report report;
static uint8_t octets[ASAP_MESSAGE_MAX + 4];
static uint8_t again[ASAP_MESSAGE_MAX + 4];

static const struct ip_address v4 = {.family = IP_V4, .octets = {10, 1, 1, 1}};
static const struct ip_address v6 = {.family = IP_V6, .octets = {0x20, 1, 0xd, 0xb8, [15] = 1}};

static void assert_handle(const char *text)
{
    cr_assert(msg.has_handle);
    cr_assert(pool_handle_equal(msg.handle, pool_handle_of(text)));
}

static void decode_ok(size_t vector)
{
    cr_assert_eq(decode_hex(vectors[vector].hex, &msg, &report), WIRE_OK, "%s: %s",
                 vectors[vector].name, report.text);
    cr_assert_eq(report.cause_count, 0);
    cr_assert_null(report.text);
}

static void decode_type_ok(enum asap_type type, unsigned nth)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        if (vectors[i].hex[0] == '0' && unhex(vectors[i].hex, again, sizeof(again)) > 0 &&
            again[0] == type && nth-- == 0) {
            decode_ok(i);
            return;
        }
    }
    cr_assert_fail("no such vector");
}

/* P-1, P-2, P-20: the octets of the specification, from its values and back. */
Test(asap, vectors_are_reproduced_octet_by_octet)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        decode_ok(i);
        size_t len = unhex(vectors[i].hex, octets, sizeof(octets));
        int r = asap_encode(&msg, again, sizeof(again));
        cr_assert_eq(r, (int)len, "%s: %d", vectors[i].name, r);
        cr_assert_arr_eq(again, octets, len, "%s", vectors[i].name);
        cr_assert_eq(len % 4, 0);
    }
}

/* encoding from values alone. */
Test(asap, registration_from_values)
{
    const struct ip_address addresses[] = {v4, v6};
    asap_message_init(&msg, ASAP_REGISTRATION);
    msg.has_handle = true;
    msg.handle = pool_handle_of("EchoPool");
    msg.element_count = 1;
    msg.elements[0] = (struct pool_element){
        .pe_id = 0x12345678,
        .registration_life = 300000,
        .user = {.protocol = TRANSPORT_SCTP,
                 .port = 7007,
                 .use = TRANSPORT_USE_DATA_AND_CONTROL,
                 .address_count = 2,
                 .addresses = addresses},
        .policy = {.type = POLICY_RR},
    };
    size_t len = unhex(vectors[0].hex, octets, sizeof(octets));
    cr_assert_eq(asap_encode(&msg, again, sizeof(again)), (int)len);
    cr_assert_arr_eq(again, octets, len);
}

Test(asap, registration)
{
    decode_type_ok(ASAP_REGISTRATION, 0);
    assert_handle("EchoPool");
    cr_assert_eq(msg.element_count, 1);
    const struct pool_element *pe = &msg.elements[0];
    cr_assert_eq(pe->pe_id, 0x12345678);
    cr_assert(msg.has_pe_id);
    cr_assert_eq(msg.pe_id, 0x12345678);
    cr_assert_eq(pe->home_id, 0);
    cr_assert_eq(pe->registration_life, 300000);
    cr_assert_eq(pe->user.protocol, TRANSPORT_SCTP);
    cr_assert_eq(pe->user.port, 7007);
    cr_assert_eq(pe->user.use, TRANSPORT_USE_DATA_AND_CONTROL);
    cr_assert_eq(pe->user.address_count, 2);
    cr_assert(ip_address_equal(&pe->user.addresses[0], &v4));
    cr_assert(ip_address_equal(&pe->user.addresses[1], &v6));
    cr_assert_eq(pe->policy.type, POLICY_RR);
    cr_assert_eq(pe->policy.word_count, 0);
    cr_assert_eq(pe->asap.protocol, TRANSPORT_NONE);
}

/* A-24 and the cause body of parameters.md §6. */
Test(asap, registration_refused)
{
    static const uint8_t policy[] = {0, 8, 0, 12, 0x40, 0, 0, 1, 0, 0, 0, 0};
    decode_type_ok(ASAP_REGISTRATION_RESPONSE, 1);
    cr_assert_eq(msg.flags, ASAP_FLAG);
    cr_assert_eq(msg.pe_id, 0x12345678);
    cr_assert_eq(msg.cause_count, 1);
    cr_assert_eq(msg.causes[0].code, CAUSE_INCONSISTENT_POLICY);
    cr_assert_eq(msg.causes[0].body_len, sizeof(policy));
    cr_assert_arr_eq(msg.causes[0].body, policy, sizeof(policy));

    uint8_t body[16];
    const struct policy lu = {.type = POLICY_LU, .word_count = 1};
    cr_assert_eq(asap_encode_policy(&lu, body, sizeof(body)), (int)sizeof(policy));
    cr_assert_arr_eq(body, policy, sizeof(policy));
}

/* the handle resolution option. */
Test(asap, handle_resolution)
{
    decode_type_ok(ASAP_HANDLE_RESOLUTION, 0);
    assert_handle("EchoPool");
    cr_assert_not(msg.has_items);
    decode_type_ok(ASAP_HANDLE_RESOLUTION, 1);
    cr_assert(msg.has_items);
    cr_assert_eq(msg.items, 3);
    msg.items = ASAP_ITEMS_ALL;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), 24);
    cr_assert_eq(asap_decode(octets, 24, &msg, &report), WIRE_OK);
    cr_assert_eq(msg.items, ASAP_ITEMS_ALL);
}

/* the overall policy is the message's; the elements keep their own. */
Test(asap, positive_resolution)
{
    decode_type_ok(ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert(msg.has_policy);
    cr_assert_eq(msg.policy.type, POLICY_LU);
    cr_assert_eq(msg.policy.words[0], 0);
    cr_assert_eq(msg.element_count, 1);
    const struct pool_element *pe = &msg.elements[0];
    cr_assert_eq(pe->home_id, 0xa1b2c3d4);
    cr_assert_eq(pe->registration_life, REGISTRATION_LIFE_INFINITE);
    cr_assert_eq(pe->user.protocol, TRANSPORT_TCP);
    cr_assert_eq(pe->user.port, 7);
    cr_assert_eq(pe->policy.words[0], 0x80000000);
}

/* an Operation Error alone makes it negative; nothing else is in it. */
Test(asap, negative_resolution)
{
    decode_type_ok(ASAP_HANDLE_RESOLUTION_RESPONSE, 1);
    cr_assert_eq(msg.cause_count, 1);
    cr_assert_eq(msg.causes[0].code, CAUSE_UNKNOWN_POOL_HANDLE);
    cr_assert_eq(msg.causes[0].body_len, 0);

    decode_type_ok(ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    msg.cause_count = 1;
    msg.causes[0] = (struct asap_cause){.code = CAUSE_LACK_OF_RESOURCES};
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), 24);
    cr_assert_eq(asap_decode(octets, 24, &msg, &report), WIRE_OK);
    cr_assert_not(msg.has_policy);
    cr_assert_eq(msg.element_count, 0);

    /* The same when somebody sends both. */
    cr_assert_eq(decode_hex("06000050 0009000c 4563686f 506f6f6c 0008000c 40000001 00000000"
                            "000a002c 12345678 a1b2c3d4 ffffffff 00050010 00070000 00010008"
                            "0a010101 0008000c 40000001 80000000 000c0008 00060004",
                            &msg, &report),
                 WIRE_OK);
    cr_assert_not(msg.has_policy);
    cr_assert_eq(msg.element_count, 0);
    cr_assert_eq(msg.cause_count, 1);
}

/* */
Test(asap, resolution_without_policy_or_elements)
{
    cr_assert_eq(decode_hex("06000038 0009000c 4563686f 506f6f6c 000a0028 12345678 a1b2c3d4"
                            "ffffffff 00050010 00070000 00010008 0a010101 00080008 00000001",
                            &msg, &report),
                 WIRE_OK);
    cr_assert_not(msg.has_policy);
    cr_assert_eq(decode_hex("06000010 0009000c 4563686f 506f6f6c", &msg, &report), WIRE_INVALID);
    asap_message_init(&msg, ASAP_HANDLE_RESOLUTION_RESPONSE);
    msg.has_handle = true;
    msg.handle = pool_handle_of("web");
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
}

/* rsplib's form with the element's identifier, the RFC's without. */
Test(asap, keep_alive)
{
    decode_type_ok(ASAP_ENDPOINT_KEEP_ALIVE, 0);
    cr_assert_eq(msg.flags, ASAP_FLAG);
    cr_assert(msg.has_server_id);
    cr_assert_eq(msg.server_id, 0xa1b2c3d4);
    cr_assert(msg.has_pe_id);
    msg.has_pe_id = false;
    msg.flags = 0;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), 20);
    cr_assert_eq(asap_decode(octets, 20, &msg, &report), WIRE_OK);
    cr_assert_not(msg.has_pe_id);
    cr_assert_eq(msg.flags, 0);
    assert_handle("EchoPool");
}

/* TCP first, one SCTP transport last, Transport Use 0. */
Test(asap, announce)
{
    const struct ip_address addresses[] = {v4, v6};
    asap_message_init(&msg, ASAP_SERVER_ANNOUNCE);
    msg.has_server_id = true;
    msg.server_id = 1;
    msg.transport_count = 2;
    msg.transports[0] = (struct transport){
        .protocol = TRANSPORT_TCP, .port = 3863, .address_count = 1, .addresses = addresses};
    msg.transports[1] = (struct transport){.protocol = TRANSPORT_SCTP,
                                           .port = 3863,
                                           .use = TRANSPORT_USE_DATA_AND_CONTROL,
                                           .address_count = 2,
                                           .addresses = addresses};
    int len = asap_encode(&msg, octets, sizeof(octets));
    cr_assert_eq(len, 8 + 16 + 36);
    cr_assert_eq(asap_decode(octets, (size_t)len, &msg, &report), WIRE_OK);
    cr_assert_eq(msg.transport_count, 2);
    cr_assert_eq(msg.transports[0].protocol, TRANSPORT_TCP);
    cr_assert_eq(msg.transports[1].use, TRANSPORT_USE_DATA);
    cr_assert(ip_address_equal(&msg.transports[1].addresses[1], &v6));

    msg.transports[0].protocol = TRANSPORT_UDP;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
    cr_assert_eq(decode_hex("0a000018 a1b2c3d4 00060010 0f170000 00010008 0a0101fe", &msg, &report),
                 WIRE_DISCARD);
}

/* The cookie is not a multiple of four octets long: padded, and not counted. */
Test(asap, cookie)
{
    decode_type_ok(ASAP_COOKIE, 0);
    cr_assert_eq(msg.cookie.len, 5);
    cr_assert_arr_eq(msg.cookie.octets, "state", 5);
    static uint8_t big[ASAP_MESSAGE_MAX];
    msg.cookie.octets = big;
    msg.cookie.len = 65524;
    int len = asap_encode(&msg, octets, sizeof(octets));
    cr_assert_eq(len, 65532);
    cr_assert_eq(asap_decode(octets, (size_t)len, &msg, &report), WIRE_OK);
    cr_assert_eq(msg.cookie.len, 65524);
    msg.cookie.len = 65525;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
    msg.cookie.len = 0;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
}

/* asap.md §4.13: rsplib's policy after the handle is tolerated, never written. */
Test(asap, business_card)
{
    decode_type_ok(ASAP_BUSINESS_CARD, 0);
    cr_assert_eq(msg.element_count, 1);
    cr_assert_eq(decode_hex("0d000040 0009000c 4563686f 506f6f6c 00080008 00000001 000a0028"
                            "12345678 a1b2c3d4 000493e0 00050010 00070000 00010008 0a010101"
                            "00080008 00000001",
                            &msg, &report),
                 WIRE_OK);
    cr_assert_eq(msg.element_count, 1);
    cr_assert_not(msg.has_policy);
    msg.has_policy = true;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), 0x38);
    msg.element_count = 0;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
}

Test(asap, error)
{
    static const uint8_t tlv[] = {0x4a, 0xbc, 0, 8, 1, 2, 3, 4};
    decode_type_ok(ASAP_ERROR, 0);
    cr_assert_eq(msg.cause_count, 1);
    cr_assert_eq(msg.causes[0].code, CAUSE_UNRECOGNIZED_PARAMETER);
    cr_assert_eq(msg.causes[0].body_len, sizeof(tlv));
    cr_assert_arr_eq(msg.causes[0].body, tlv, sizeof(tlv));
}

/* P-22: flag bits without meaning are neither sent nor looked at. */
Test(asap, flags)
{
    static const bool has_flag[ASAP_ERROR + 1] = {
        [ASAP_REGISTRATION_RESPONSE] = true,
        [ASAP_HANDLE_RESOLUTION] = true,
        [ASAP_HANDLE_RESOLUTION_RESPONSE] = true,
        [ASAP_ENDPOINT_KEEP_ALIVE] = true,
    };
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        size_t len = unhex(vectors[i].hex, octets, sizeof(octets));
        uint8_t flag = has_flag[octets[0]] ? ASAP_FLAG : 0;
        octets[1] = 0xff;
        cr_assert_eq(asap_decode(octets, len, &msg, &report), WIRE_OK);
        cr_assert_eq(msg.flags, flag);
        msg.flags = 0xff;
        cr_assert_eq(asap_encode(&msg, again, sizeof(again)), (int)len);
        cr_assert_eq(again[1], flag);
        octets[1] = 0xfe;
        cr_assert_eq(asap_decode(octets, len, &msg, &report), WIRE_OK);
        cr_assert_eq(msg.flags, 0);
    }
}

/* What is missing is named before anything is sent. */
Test(asap, missing_fields_are_not_encoded)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        decode_ok(i);
        if (msg.has_handle) {
            msg.has_handle = false;
            cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL, "%s", vectors[i].name);
            msg.has_handle = true;
        }
        if (msg.has_pe_id && msg.type != ASAP_REGISTRATION &&
            msg.type != ASAP_ENDPOINT_KEEP_ALIVE) {
            msg.has_pe_id = false;
            cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL, "%s", vectors[i].name);
        }
        if (msg.type == ASAP_REGISTRATION) {
            msg.elements[0].pe_id = 0;
            cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL, "%s", vectors[i].name);
        }
        if (msg.has_server_id) {
            msg.has_server_id = false;
            cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL, "%s", vectors[i].name);
        }
    }
    asap_message_init(&msg, ASAP_ERROR);
    cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL);
    msg.type = 0x0f;
    cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL);
    msg.type = 0;
    cr_assert_eq(asap_encode(&msg, again, sizeof(again)), -EINVAL);
}

Test(asap, every_size_too_small_is_an_error)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        decode_ok(i);
        size_t len = unhex(vectors[i].hex, octets, sizeof(octets));
        for (size_t size = 0; size < len; size++) {
            uint8_t *small = malloc(size + 1);
            cr_assert_eq(asap_encode(&msg, small, size), -EMSGSIZE, "%s", vectors[i].name);
            free(small);
        }
    }
}

/* A-158 and the scratch space: what cannot be decoded is not encoded either. */
Test(asap, as_many_elements_and_addresses_as_there_may_be)
{
    static struct ip_address many[64];
    for (size_t i = 0; i < 64; i++) {
        many[i] = v4;
    }
    asap_message_init(&msg, ASAP_HANDLE_RESOLUTION_RESPONSE);
    msg.has_handle = true;
    msg.handle = pool_handle_of("web");
    msg.element_count = ASAP_ELEMENTS_MAX;
    for (uint16_t i = 0; i < ASAP_ELEMENTS_MAX; i++) {
        msg.elements[i] = (struct pool_element){
            .pe_id = i + 1u,
            .user = {.protocol = TRANSPORT_SCTP, .port = 7, .address_count = 8, .addresses = many},
            .policy = {.type = POLICY_RR},
        };
    }
    int len = asap_encode(&msg, octets, sizeof(octets));
    cr_assert_gt(len, 0);
    cr_assert_eq(asap_decode(octets, (size_t)len, &msg, &report), WIRE_OK);
    cr_assert_eq(msg.element_count, ASAP_ELEMENTS_MAX);
    cr_assert_eq(msg.scratch_used, ASAP_ADDRESSES);
    cr_assert_eq(msg.elements[127].user.address_count, 8);

    msg.elements[5].user.addresses = many;
    msg.elements[5].user.address_count = 9;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EMSGSIZE);
    msg.elements[5].user.address_count = 65;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
    msg.element_count = ASAP_ELEMENTS_MAX + 1;
    cr_assert_eq(asap_encode(&msg, octets, sizeof(octets)), -EINVAL);
}

/* Results point into the message's octets and its scratch space, nowhere else. */
Test(asap, results_borrow)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        size_t len = unhex(vectors[i].hex, octets, sizeof(octets));
        cr_assert_eq(asap_decode(octets, len, &msg, &report), WIRE_OK);
        const uint8_t *end = octets + len;
        cr_assert(!msg.has_handle || (msg.handle.octets > octets && msg.handle.octets < end));
        cr_assert(msg.cookie.len == 0 || (msg.cookie.octets > octets && msg.cookie.octets < end));
        for (uint16_t c = 0; c < msg.cause_count; c++) {
            cr_assert(msg.causes[c].body > octets && msg.causes[c].body <= end);
        }
        for (uint16_t e = 0; e < msg.element_count; e++) {
            const struct transport *t = &msg.elements[e].user;
            cr_assert(t->addresses >= msg.scratch &&
                      t->addresses + t->address_count <= msg.scratch + msg.scratch_used);
        }
    }
}

/* One static message per association or thread is affordable; a response's worth on the stack is
   not asked for. */
Test(asap, a_message_fits)
{
    cr_assert_leq(sizeof(struct asap_message), 45 * 1024);
    cr_assert_leq(sizeof(struct wire_report), 256);
}

Test(asap, init_leaves_the_scratch_space_and_further_elements)
{
    memset(&msg, 0xff, sizeof(msg));
    asap_message_init(&msg, ASAP_COOKIE);
    cr_assert_eq(msg.type, ASAP_COOKIE);
    cr_assert_eq(msg.flags, 0);
    cr_assert_eq(msg.element_count, 0);
    cr_assert_eq(msg.elements[0].asap.protocol, TRANSPORT_NONE);
    cr_assert_eq(msg.transport_count, 0);
    cr_assert_eq(msg.cause_count, 0);
    cr_assert_eq(msg.scratch_used, 0);
    cr_assert_eq(msg.scratch[0].family, 0xff);
}
