/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parameters of RFC 5354, one by one (parameters.md §4, §6), and the names of causes. */
#include "wire/params.h"

#include <errno.h>

#include "tests/unit/wire/vectors.h"

static uint8_t octets[4096];
static uint8_t out[4096];
static struct ip_address scratch[80];
static struct wire_report report;
static struct wire_dec d;
static struct wire_tlv tlv;

static const struct ip_address v4 = {.family = IP_V4, .octets = {10, 1, 1, 1}};
static const struct ip_address v6 = {.family = IP_V6, .octets = {0x20, 1, 0xd, 0xb8, [15] = 1}};

/* Walks a list that has one parameter, whatever its type, and leaves it in `tlv`. */
static void one(const char *hex)
{
    static const struct wire_slot any = {~0u, 1, 1};
    struct wire_list l;
    size_t len = unhex(hex, octets, sizeof(octets));
    wire_dec_init(&d, &report, scratch, sizeof(scratch) / sizeof(scratch[0]));
    wire_list_init(&l, rcur_of(octets, len), NULL, &any, 1);
    cr_assert(wire_next(&d, &l, &tlv), "%s", hex);
}

static void assert_out(const struct wcur *w, const char *hex)
{
    size_t len = unhex(hex, octets, sizeof(octets));
    cr_assert_not(w->err);
    cr_assert_eq(wcur_used(w), len, "%zu octets", wcur_used(w));
    cr_assert_arr_eq(w->begin, octets, len);
}

/* Reads a transport and writes it again. */
static struct transport transport_both_ways(const char *hex, enum transport_protocol protocol)
{
    struct transport t;
    struct wcur w = wcur_of(out, sizeof(out));
    one(hex);
    cr_assert(wire_get_transport(&d, &tlv, &t), "%s", report.text);
    cr_assert_eq(t.protocol, protocol);
    cr_assert_eq(wire_put_transport(&w, &t), 0);
    assert_out(&w, hex);
    return t;
}

/* P-1, P-8, P-9: several addresses of both families, Transport Use. */
Test(params, sctp_transport)
{
    struct transport t =
        transport_both_ways("00040038 1b5f0001 00010008 0a010101 00020014 20010db8 00000000"
                            "00000000 00000001 00020014 20010db8 00000000 00000000 00000001",
                            TRANSPORT_SCTP);
    cr_assert_eq(t.port, 7007);
    cr_assert_eq(t.use, TRANSPORT_USE_DATA_AND_CONTROL);
    cr_assert_eq(t.address_count, 3);
    cr_assert(ip_address_equal(&t.addresses[0], &v4));
    cr_assert(ip_address_equal(&t.addresses[2], &v6));
}

/* P-7, P-13: DCCP has a service code and one address. */
Test(params, dccp_transport)
{
    struct transport t =
        transport_both_ways("00030014 00070000 61626364 00010008 0a010101", TRANSPORT_DCCP);
    cr_assert_eq(t.service_code, 0x61626364);
    t = transport_both_ways(
        "00030020 00070000 61626364 00020014 20010db8 00000000 00000000 00000001", TRANSPORT_DCCP);
    cr_assert(ip_address_equal(&t.addresses[0], &v6));
}

/* P-10 … P-13. */
Test(params, tcp_udp_and_udplite_transports)
{
    (void)transport_both_ways("00050010 00070000 00010008 0a010101", TRANSPORT_TCP);
    (void)transport_both_ways("0006001c 00070000 00020014 20010db8 00000000 00000000 00000001",
                              TRANSPORT_UDP);
    (void)transport_both_ways("00070010 00070000 00010008 0a010101", TRANSPORT_UDPLITE);
    struct transport t;
    struct wcur w = wcur_of(out, sizeof(out));
    one("00050010 00070001 00010008 0a010101"); /* rsplib's control channel over TCP (P-27) */
    cr_assert(wire_get_transport(&d, &tlv, &t));
    cr_assert_eq(t.use, TRANSPORT_USE_DATA);
    t.use = TRANSPORT_USE_DATA_AND_CONTROL;
    cr_assert_eq(wire_put_transport(&w, &t), 0);
    assert_out(&w, "00050010 00070000 00010008 0a010101");
}

Test(params, opaque_transport)
{
    struct transport t = transport_both_ways("00100007 616263", TRANSPORT_OPAQUE);
    cr_assert_eq(t.opaque_len, 3);
    cr_assert_arr_eq(t.opaque, "abc", 3);
    (void)transport_both_ways("00100004", TRANSPORT_OPAQUE);
}

/* P-2, P-4: padding between children counts in the parent's length. */
Test(params, an_opaque_transport_inside_a_pool_element)
{
    static const char hex[] = "000a0020 00000001 00000002 00000003 00100007 61626300"
                              "00080008 00000001";
    struct pool_element pe;
    struct wcur w = wcur_of(out, sizeof(out));
    one(hex);
    cr_assert(wire_get_element(&d, &tlv, &pe));
    cr_assert_eq(pe.user.opaque_len, 3);
    cr_assert_eq(wire_put_element(&w, &pe), 0);
    assert_out(&w, hex);
}

/* P-16, P-17, P-27: the ASAP transport is SCTP; its Transport Use is none of its business. */
Test(params, pool_element_with_asap_transport)
{
    static const char hex[] = "000a0038 00000001 00000000 ffffffff 00050010 00070000 00010008"
                              "0a010101 00080008 00000003 00040010 00080000 00010008 0a010101";
    struct pool_element pe;
    struct wcur w = wcur_of(out, sizeof(out));
    one(hex);
    cr_assert(wire_get_element(&d, &tlv, &pe));
    cr_assert_eq(pe.home_id, 0);
    cr_assert_eq(pe.registration_life, REGISTRATION_LIFE_INFINITE);
    cr_assert_eq(pe.asap.protocol, TRANSPORT_SCTP);
    cr_assert_eq(pe.asap.port, 8);
    pe.asap.use = TRANSPORT_USE_DATA_AND_CONTROL;
    cr_assert_eq(wire_put_element(&w, &pe), 0);
    assert_out(&w, hex);
    one("000a0038 00000001 00000000 ffffffff 00050010 00070000 00010008 0a010101"
        "00080008 00000003 00040010 00080001 00010008 0a010101");
    cr_assert(wire_get_element(&d, &tlv, &pe));
    cr_assert_eq(pe.asap.use, TRANSPORT_USE_DATA);

    pe.asap.protocol = TRANSPORT_TCP;
    w = wcur_of(out, sizeof(out));
    cr_assert_eq(wire_put_element(&w, &pe), -EINVAL);
}

/* Mapped addresses are IPv4 on the wire and inside the program. */
Test(params, mapped_addresses)
{
    struct ip_address mapped = {.family = IP_V6, .octets = {[10] = 0xff, 0xff, 10, 1, 1, 1}};
    struct transport t = {
        .protocol = TRANSPORT_TCP, .port = 7, .address_count = 1, .addresses = &mapped};
    struct wcur w = wcur_of(out, sizeof(out));
    cr_assert_eq(wire_put_transport(&w, &t), 0);
    assert_out(&w, "00050010 00070000 00010008 0a010101");
    one("0005001c 00070000 00020014 00000000 00000000 0000ffff 0a010101");
    cr_assert(wire_get_transport(&d, &tlv, &t));
    cr_assert(ip_address_equal(&t.addresses[0], &v4));
}

/* parameters.md §9 rule 3: longer than known is read as far as known, except two. */
Test(params, longer_parameters)
{
    struct transport t;
    struct policy policy;
    uint32_t items;
    uint16_t sum;
    one("00050014 00070000 0001000c 0a010101 ffffffff");
    cr_assert(wire_get_transport(&d, &tlv, &t));
    cr_assert(ip_address_equal(&t.addresses[0], &v4));
    one("00080010 40000001 00000005 00000006");
    cr_assert(wire_get_policy(&d, &tlv, &policy));
    cr_assert_eq(policy.word_count, 1);
    one("0008000c 00000001 00000005"); /* round robin has none */
    cr_assert(wire_get_policy(&d, &tlv, &policy));
    cr_assert_eq(policy.word_count, 0);
    one("803f000c 00000003 00000004");
    cr_assert(wire_get_items(&d, &tlv, &items));
    cr_assert_eq(items, 3);
    one("000e000c 00000003 00000004");
    cr_assert_not(wire_get_pe_id(&d, &tlv, &items));
    one("000f0008 29a50000");
    cr_assert_not(wire_get_checksum(&d, &tlv, &sum));
    cr_assert_eq(d.verdict, WIRE_INVALID);
}

/* P-14, policies:P-1, policies:P-7, policies:P-31, policies:P-40: every policy there is a format
 * for, and one there is none for. */
Test(params, policies)
{
    static const struct {
        const char *hex;
        uint8_t words;
    } rows[] = {
        {"00080008 00000001", 0},
        {"0008000c 00000002 00000007", 1},
        {"00080008 00000003", 0},
        {"0008000c 00000004 00000009", 1},
        {"0008000c 00000005 00000005", 1},
        {"0008000c 40000001 19999999", 1},
        {"00080010 40000002 00000000 40000000", 2},
        {"00080010 40000003 00000000 20000000", 2},
        {"0008000c 40000004 00000000", 1},
        {"00080010 b0001001 00000001 00000002", 2},
        {"00080010 b0001002 00000001 00000002", 2},
        {"00080010 b0001003 00000001 00000002", 2},
        {"00080010 b0001004 00000001 00000002", 2},
        {"00080014 b0002001 00000004 80000000 00000000", 3},
        {"00080014 b0002002 00000004 80000000 00000000", 3},
        {"00080018 b0002003 00000001 00000002 00000003 00000004", 4},
        {"00080010 80000042 00000001 00000002", 2}, /* unknown */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct policy policy;
        struct wcur w = wcur_of(out, sizeof(out));
        one(rows[i].hex);
        cr_assert(wire_get_policy(&d, &tlv, &policy));
        cr_assert_eq(policy.word_count, rows[i].words, "%s", rows[i].hex);
        cr_assert_eq(wire_put_policy(&w, &policy), 0);
        assert_out(&w, rows[i].hex);
        if (policy.word_count > 0 && policy.type != 0x80000042) {
            policy.word_count--;
            cr_assert_eq(wire_put_policy(&w, &policy), -EINVAL);
            octets[3] = (uint8_t)(octets[3] - 4);
            tlv.value.end -= 4;
            cr_assert_not(wire_get_policy(&d, &tlv, &policy));
            cr_assert_eq(d.verdict, WIRE_INVALID);
        }
    }
}

Test(params, an_unknown_policy_keeps_what_there_is_room_for)
{
    struct policy policy;
    one("0008001f 80000042 00000001 00000002 00000003 00000004 00000005 ffffff00");
    cr_assert(wire_get_policy(&d, &tlv, &policy));
    cr_assert_eq(policy.word_count, POLICY_WORDS_MAX);
    cr_assert_eq(policy.words[3], 4);
}

Test(params, handles)
{
    static const uint8_t nul[] = {0, 'A', 0xff, 0};
    struct pool_handle handle = {.octets = nul, .len = sizeof(nul)};
    struct wcur w = wcur_of(out, sizeof(out));
    cr_assert_eq(wire_put_handle(&w, handle), 0);
    assert_out(&w, "00090008 0041ff00");
    one("00090008 0041ff00");
    cr_assert(wire_get_handle(&d, &tlv, &handle));
    cr_assert_eq(handle.len, 4);
    cr_assert_arr_eq(handle.octets, nul, 4);
    handle.len = 0;
    cr_assert_eq(wire_put_handle(&w, handle), -EINVAL);
    handle.len = POOL_HANDLE_MAX + 1;
    cr_assert_eq(wire_put_handle(&w, handle), -EINVAL);

    static uint8_t big[4 + POOL_HANDLE_MAX + 1] = {0, 9, 4, 5};
    struct wire_list l;
    static const struct wire_slot slot = {WIRE_BIT(PARAM_POOL_HANDLE), 1, 1};
    wire_dec_init(&d, &report, scratch, 1);
    wire_list_init(&l, rcur_of(big, sizeof(big)), NULL, &slot, 1);
    cr_assert(wire_next(&d, &l, &tlv));
    cr_assert_not(wire_get_handle(&d, &tlv, &handle));
    big[3] = 4;
    wire_dec_init(&d, &report, scratch, 1);
    wire_list_init(&l, rcur_of(big, sizeof(big) - 1), NULL, &slot, 1);
    cr_assert(wire_next(&d, &l, &tlv));
    cr_assert(wire_get_handle(&d, &tlv, &handle));
    cr_assert_eq(handle.len, POOL_HANDLE_MAX);
}

/* P-18 and the checksum, which ENRP uses. */
Test(params, server_information_and_checksum)
{
    static const char hex[] = "000b0018 a1b2c3d4 00040010 26ad0000 00010008 0a010101";
    uint32_t id;
    uint16_t sum;
    struct transport t;
    struct wcur w = wcur_of(out, sizeof(out));
    one(hex);
    cr_assert(wire_get_server_information(&d, &tlv, &id, &t));
    cr_assert_eq(id, 0xa1b2c3d4);
    cr_assert_eq(t.port, 9901);
    cr_assert_eq(wire_put_server_information(&w, id, &t), 0);
    assert_out(&w, hex);
    t.protocol = TRANSPORT_TCP;
    cr_assert_eq(wire_put_server_information(&w, id, &t), -EINVAL);
    one("000b0008 a1b2c3d4");
    cr_assert_not(wire_get_server_information(&d, &tlv, &id, &t));
    one("000b0018 a1b2c3d4 00050010 26ad0000 00010008 0a010101");
    cr_assert_not(wire_get_server_information(&d, &tlv, &id, &t));
    cr_assert_eq(d.verdict, WIRE_DISCARD);
    one("000b0006 a1b20000");
    cr_assert_not(wire_get_server_information(&d, &tlv, &id, &t));

    one("000f0006 29a50000");
    cr_assert(wire_get_checksum(&d, &tlv, &sum));
    cr_assert_eq(sum, 0x29a5);
    w = wcur_of(out, sizeof(out));
    wire_put_checksum(&w, sum);
    wcur_pad4(&w);
    assert_out(&w, "000f0006 29a50000");
}

/* P-4, P-19: several causes, padding between them and not after the last. */
Test(params, operation_error)
{
    static const char hex[] = "000c001e 0001000d c0110009 01020304 05000000 00090004 00030006 ffee";
    struct asap_cause causes[ASAP_CAUSES_MAX];
    uint16_t count;
    struct wcur w = wcur_of(out, sizeof(out));
    one(hex);
    cr_assert(wire_get_causes(&d, &tlv, causes, &count));
    cr_assert_eq(count, 3);
    cr_assert_eq(causes[0].body_len, 9);
    cr_assert_eq(causes[1].code, CAUSE_UNKNOWN_POOL_HANDLE);
    cr_assert_eq(causes[2].body_len, 2);
    memcpy(out + 2048, octets, 64);
    causes[0].body = out + 2048 + (causes[0].body - octets);
    causes[2].body = out + 2048 + (causes[2].body - octets);
    cr_assert_eq(wire_put_causes(&w, causes, count), 0);
    assert_out(&w, hex);
}

/* More causes than are kept are still looked at. */
Test(params, many_causes)
{
    struct asap_cause causes[ASAP_CAUSES_MAX];
    uint16_t count;
    one("000c0028 00010004 00020004 00030004 00040004 00050004 00060004 00070004 00080004 "
        "00090004");
    cr_assert(wire_get_causes(&d, &tlv, causes, &count));
    cr_assert_eq(count, ASAP_CAUSES_MAX);
    one("000c0028 00010004 00020004 00030004 00040004 00050004 00060004 00070004 00080004 "
        "00090003");
    cr_assert_not(wire_get_causes(&d, &tlv, causes, &count));
    struct wcur w = wcur_of(out, sizeof(out));
    cr_assert_eq(wire_put_causes(&w, causes, ASAP_CAUSES_MAX + 1), -EINVAL);
    cr_assert_eq(wcur_used(&w), 0);
    for (size_t i = 0; i < ASAP_CAUSES_MAX; i++) {
        causes[i] = (struct asap_cause){.code = (uint16_t)(i + 1)};
    }
    cr_assert_eq(wire_put_causes(&w, causes, ASAP_CAUSES_MAX), 0);
    assert_out(&w, "000c0024 00010004 00020004 00030004 00040004 00050004 00060004 00070004 "
                   "00080004");
    cr_assert_eq(wire_put_causes(&w, causes, 0), -EINVAL);
}

Test(params, values_that_must_not_be_sent)
{
    struct ip_address none = {0};
    struct transport t = {
        .protocol = TRANSPORT_SCTP, .port = 7, .address_count = 1, .addresses = &none};
    struct wcur w = wcur_of(out, sizeof(out));
    cr_assert_eq(wire_put_transport(&w, &t), -EINVAL);
    t.addresses = &v4;
    t.port = 0;
    cr_assert_eq(wire_put_transport(&w, &t), -EINVAL);
    t.port = 7;
    t.use = 2;
    cr_assert_eq(wire_put_transport(&w, &t), -EINVAL); /* P-8 */
    t.use = 0;
    t.address_count = 0;
    cr_assert_eq(wire_put_transport(&w, &t), -EINVAL); /* P-9 */
    t.protocol = TRANSPORT_NONE;
    cr_assert_eq(wire_put_transport(&w, &t), -EINVAL);
    t.protocol = TRANSPORT_UDP;
    t.address_count = 2;
    cr_assert_eq(wire_put_transport(&w, &t), -EINVAL); /* P-13 */
    const struct policy zero = {0};
    cr_assert_eq(wire_put_policy(&w, &zero), -EINVAL);
    const struct policy adaptive = {.type = 0x40000000};
    cr_assert_eq(wire_put_policy(&w, &adaptive), -EINVAL);
    const struct policy many = {.type = 0x80000001, .word_count = POLICY_WORDS_MAX + 1};
    cr_assert_eq(wire_put_policy(&w, &many), -EINVAL);
}

Test(params, one_parameter_alone)
{
    struct ip_address a = v4;
    const struct transport tcp = {
        .protocol = TRANSPORT_TCP, .port = 7, .address_count = 1, .addresses = &a};
    const struct policy none = {0};
    cr_assert_eq(asap_encode_transport(&tcp, out, 16), 16);
    cr_assert_eq(asap_encode_transport(&tcp, out, 15), -EMSGSIZE);
    cr_assert_eq(asap_encode_policy(&none, out, sizeof(out)), -EINVAL);
    const struct policy rr = {.type = POLICY_RR};
    cr_assert_eq(asap_encode_policy(&rr, out, 8), 8);
    cr_assert_eq(asap_encode_policy(&rr, out, 7), -EMSGSIZE);
}

Test(params, cause_names)
{
    cr_assert_str_eq(rsp_cause_name(CAUSE_INCONSISTENT_POLICY), "Inconsistent Pooling Policy");
    for (unsigned c = 0; c <= UINT16_MAX; c++) {
        cr_assert_not_null(rsp_cause_name((uint16_t)c));
        cr_assert_leq(rsp_cause_map((uint16_t)c), CAUSE_SECURITY);
    }
}

/* rsplib's private numbers. */
Test(params, cause_numbers_of_rsplib)
{
    static const uint16_t rows[][2] = {
        {0x0, 0x0},    {0x3, 0x3},    {0x9, 0x9},    {0xa, 0xa},    {0x10, 0x0},   {0x11, 0x3},
        {0x1007, 0x0}, {0x1008, 0x0}, {0x100a, 0x7}, {0x100b, 0x3}, {0xf000, 0x3}, {0xf001, 0x4},
        {0xf002, 0x4}, {0xf003, 0x3}, {0xf004, 0x3}, {0xf005, 0x3}, {0xf006, 0x3}, {0xf007, 0x3},
        {0xf008, 0x3}, {0xb, 0x0},    {0xffff, 0x0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(rsp_cause_map(rows[i][0]), rows[i][1], "0x%x", rows[i][0]);
    }
}
