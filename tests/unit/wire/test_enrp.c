/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ENRP messages: the vectors of enrp.md §3.1 octet by octet, each field, what is malformed. */
#include "wire/enrp.h"

#include <errno.h>
#include <stdio.h>

#include "tests/unit/wire/vectors.h"

static struct enrp_message msg;
static struct enrp_message other;
static struct wire_report report;
static uint8_t octets[ENRP_MESSAGE_MAX + 4];
static uint8_t again[ENRP_MESSAGE_MAX + 4];

#define PRESENCE                                                                                   \
    "0101002c 11111111 00000000 000f0006 54880000 000b0018 11111111 00040010 26ad0000 00010008 "   \
    "0a000001"
#define TABLE_REQUEST "0201000c 11111111 22222222"
#define LIST_REQUEST  "0500000c 11111111 22222222"
#define LIST_RESPONSE                                                                              \
    "0600003c 22222222 11111111 000b0018 11111111 00040010 26ad0000 00010008 0a000001"             \
    "000b0018 33333333 00040010 26ad0000 00010008 0a000003"
#define UPDATE                                                                                     \
    "04010058 11111111 22222222 00000000 0009000c 4563686f 506f6f6c 000a003c 12345678 11111111"    \
    "000493e0 00040010 00070000 00010008 0a000005 0008000c 40000001 40000000 00040010 a1120000"    \
    "00010008 0a000005"
#define TABLE                                                                                      \
    "03000054 22222222 11111111 0009000f 44617974 696d6550 6f6f6c00 000a0038 cafebabe 22222222"    \
    "00007530 00040010 00070000 00010008 0a000005 00080008 00000001 00040010 a1120000 00010008"    \
    "0a000005"
#define TABLE_LAST     "0300000c 22222222 11111111"
#define INIT_TAKEOVER  "07000010 11111111 22222222 33333333"
#define TAKEOVER_ACK   "08000010 22222222 11111111 33333333"
#define TAKEOVER       "09000010 11111111 22222222 33333333"
#define ERROR_MESSAGE  "0a00001c 22222222 11111111 000c0010 0001000c 40770008 01020304"
#define TABLE_REJECTED "0301000c 22222222 11111111"
#define LIST_REJECTED  "0601000c 22222222 11111111"

static const char *const spec_vectors[] = {
    PRESENCE,      TABLE_REQUEST,  LIST_REQUEST,  LIST_RESPONSE, UPDATE,
    TABLE,         TABLE_LAST,     INIT_TAKEOVER, TAKEOVER_ACK,  TAKEOVER,
    ERROR_MESSAGE, TABLE_REJECTED, LIST_REJECTED,
};
#define SPEC_VECTORS (sizeof(spec_vectors) / sizeof(spec_vectors[0]))

/* From a copy of exact size, so that a sanitizer sees a read beyond it; it stays until the next. */
static enum wire_verdict decode_octets(const uint8_t *from, size_t len)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(len > 0 ? len : 1);
    cr_assert_not_null(copy);
    memcpy(copy, from, len);
    return enrp_decode(copy, len, &msg, &report);
}

static enum wire_verdict decode(const char *hex)
{
    size_t len = unhex(hex, octets, sizeof(octets));
    return decode_octets(octets, len);
}

static void decode_ok(const char *hex)
{
    enum wire_verdict v = decode(hex);
    cr_assert_eq(v, WIRE_OK, "%s: %s", hex, report.text);
    cr_assert_eq(report.cause_count, 0);
}

/* E-1, E-2, E-90: the octets of the specification, decoded and encoded again. */
Test(enrp, vectors_are_reproduced_octet_by_octet)
{
    for (size_t i = 0; i < SPEC_VECTORS; i++) {
        decode_ok(spec_vectors[i]);
        size_t len = unhex(spec_vectors[i], octets, sizeof(octets));
        int r = enrp_encode(&msg, again, sizeof(again));
        cr_assert_eq(r, (int)len, "vector %zu: %d", i, r);
        cr_assert_arr_eq(again, octets, len, "vector %zu", i);
    }
}

/* E-9, E-10 */
Test(enrp, presence)
{
    decode_ok(PRESENCE);
    cr_assert_eq(msg.type, ENRP_PRESENCE);
    cr_assert_eq(msg.flags, ENRP_PRESENCE_REPLY);
    cr_assert_eq(msg.sender_id, 0x11111111);
    cr_assert_eq(msg.receiver_id, 0);
    cr_assert(msg.has_checksum);
    cr_assert_eq(msg.checksum, 0x5488);
    cr_assert_not(msg.has_capabilities);
    cr_assert_eq(msg.server_count, 1);
    cr_assert_eq(msg.servers[0].id, 0x11111111);
    cr_assert_eq(msg.servers[0].transport.port, 9901);
    cr_assert_eq(msg.servers[0].transport.address_count, 1);
    cr_assert_eq(msg.servers[0].transport.addresses[0].octets[3], 1);
}

/* The RFC's figure leaves out either parameter. */
Test(enrp, presence_without_parameters)
{
    decode_ok("0100000c 11111111 00000000");
    cr_assert_not(msg.has_checksum);
    cr_assert_eq(msg.server_count, 0);
    decode_ok("01000014 11111111 00000000 000f0006 ffff0000");
    cr_assert_eq(msg.checksum, 0xffff);
    decode_ok("01000024 11111111 00000000 000b0018 11111111 00040010 26ad0000 00010008 0a000001");
    cr_assert_eq(msg.server_count, 1);
    /* Without the padding of the last parameter (E-2). */
    decode_ok("01000012 11111111 00000000 000f0006 ffff0000");
    decode_ok("01000012 11111111 00000000 000f0006 ffff");
}

/* The private parameter stands in front, where other implementations skip it. */
Test(enrp, presence_with_capabilities)
{
    decode_ok(PRESENCE);
    msg.has_capabilities = true;
    msg.capabilities = ENRP_CAN_LONG_HANDLES;
    int len = enrp_encode(&msg, again, sizeof(again));
    cr_assert_eq(len, 0x2c + 8);
    cr_assert_eq(again[12], 0x92);
    cr_assert_eq(again[13], 0x50);
    cr_assert_eq(decode_octets(again, (size_t)len), WIRE_OK);
    cr_assert(msg.has_capabilities);
    cr_assert_eq(msg.capabilities, ENRP_CAN_LONG_HANDLES);
    cr_assert_eq(msg.checksum, 0x5488);
}

Test(enrp, update)
{
    decode_ok(UPDATE);
    cr_assert_eq(msg.flags, ENRP_UPDATE_SUGGESTED);
    cr_assert_eq(msg.action, ENRP_ADD_PE);
    cr_assert_eq(msg.entry_count, 1);
    cr_assert(pool_handle_equal(msg.entries[0].handle, pool_handle_of("EchoPool")));
    const struct pool_element *pe = &msg.entries[0].element;
    cr_assert_eq(pe->pe_id, 0x12345678);
    cr_assert_eq(pe->home_id, 0x11111111);
    cr_assert_eq(pe->registration_life, 300000);
    cr_assert_eq(pe->policy.type, POLICY_LU);
    cr_assert_eq(pe->policy.words[0], 0x40000000);
    cr_assert_eq(pe->asap.protocol, TRANSPORT_SCTP);
    cr_assert_eq(pe->asap.port, 41234);
}

/* E-14: a reserved action decodes, reserved octets are ignored; neither is sent. */
Test(enrp, update_actions)
{
    (void)unhex(UPDATE, octets, sizeof(octets));
    octets[13] = 7;
    octets[14] = 0xff;
    octets[1] = 0xff;
    cr_assert_eq(decode_octets(octets, 0x58), WIRE_OK);
    cr_assert_eq(msg.action, 7);
    cr_assert_eq(msg.flags, ENRP_UPDATE_SUGGESTED); /* E-5 */
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
    msg.action = ENRP_DEL_PE;
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), 0x58);
    cr_assert_eq(again[13], 1);
    cr_assert_eq(again[14], 0);
}

/* E-93: neither sent nor taken. */
Test(enrp, update_needs_home_and_asap_transport)
{
    decode_ok(UPDATE);
    msg.entries[0].element.home_id = 0;
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
    msg.entries[0].element.home_id = 1;
    msg.entries[0].element.asap.protocol = TRANSPORT_NONE;
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
    (void)unhex(UPDATE, octets, sizeof(octets));
    memset(octets + 36, 0, 4); /* the home */
    cr_assert_eq(decode_octets(octets, 0x58), WIRE_INVALID);
    cr_assert_eq(report.cause_count, 1);
    cr_assert_eq(report.causes[0].code, CAUSE_INVALID_VALUES);
    cr_assert_eq(report.causes[0].body_len, 0x3c);
    /* Cut in front of the ASAP transport. */
    (void)unhex(UPDATE, octets, sizeof(octets));
    octets[3] = 0x48;
    octets[31] = 0x2c;
    cr_assert_eq(decode_octets(octets, 0x48), WIRE_INVALID);
}

/* E-11 … E-13, E-94 */
Test(enrp, table)
{
    decode_ok(TABLE);
    cr_assert_eq(msg.flags, 0);
    cr_assert_eq(msg.entry_count, 1);
    cr_assert(pool_handle_equal(msg.entries[0].handle, pool_handle_of("DaytimePool")));
    cr_assert_eq(msg.entries[0].element.pe_id, 0xcafebabe);
    cr_assert_eq(enrp_entry_size(&msg.entries[0]), 0x54 - 12);
    msg.entries[0].handle.len = 0;
    cr_assert_eq(enrp_entry_size(&msg.entries[0]), 0, "it cannot be written");
    decode_ok(TABLE_LAST);
    cr_assert_eq(msg.entry_count, 0);
    decode_ok(TABLE_REJECTED);
    cr_assert_eq(msg.flags, ENRP_RESPONSE_REJECT);
    /* A rejection with entries: they do not count, nor are they sent. */
    (void)unhex(TABLE, octets, sizeof(octets));
    octets[1] = ENRP_RESPONSE_REJECT | ENRP_TABLE_MORE;
    cr_assert_eq(decode_octets(octets, 0x54), WIRE_OK);
    cr_assert_eq(msg.flags, ENRP_RESPONSE_REJECT);
    cr_assert_eq(msg.entry_count, 0);
    decode_ok(TABLE);
    msg.flags = ENRP_RESPONSE_REJECT | ENRP_TABLE_MORE;
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), 12);
    cr_assert_eq(again[1], ENRP_RESPONSE_REJECT);
}

/* One handle for a run of elements. */
Test(enrp, table_of_two_pools)
{
    decode_ok(TABLE);
    for (uint16_t i = 1; i < 4; i++) {
        msg.entries[i] = msg.entries[0];
        msg.entries[i].element.pe_id = i;
    }
    msg.entries[2].handle = pool_handle_of("A");
    msg.entries[3].handle = pool_handle_of("A");
    msg.entry_count = 4;
    msg.flags = ENRP_TABLE_MORE;
    int len = enrp_encode(&msg, again, sizeof(again));
    cr_assert_eq(len, 12 + 16 + 2 * 0x38 + 8 + 2 * 0x38);
    cr_assert_eq(decode_octets(again, (size_t)len), WIRE_OK);
    cr_assert_eq(msg.entry_count, 4);
    cr_assert_eq(msg.flags, ENRP_TABLE_MORE);
    cr_assert(pool_handle_equal(msg.entries[1].handle, pool_handle_of("DaytimePool")));
    cr_assert(pool_handle_equal(msg.entries[3].handle, pool_handle_of("A")));
    cr_assert_eq(msg.entries[3].element.pe_id, 3);
}

/* An element that cannot be used is left out, with a cause; the rest counts. */
Test(enrp, table_with_an_unusable_element)
{
    decode_ok(TABLE);
    msg.entries[1] = msg.entries[0];
    msg.entries[1].element.pe_id = 9;
    msg.entry_count = 2;
    int len = enrp_encode(&msg, again, sizeof(again));
    memset(again + 12 + 16 + 8, 0, 4); /* home of the first */
    cr_assert_eq(decode_octets(again, (size_t)len), WIRE_OK);
    cr_assert_eq(msg.entry_count, 1);
    cr_assert_eq(msg.entries[0].element.pe_id, 9);
    cr_assert_eq(report.cause_count, 1);
    cr_assert_eq(report.causes[0].code, CAUSE_INVALID_VALUES);
}

/* E-13: handles and elements alternate. */
Test(enrp, table_out_of_order)
{
    static const char handle[] = "0009000c 4563686f 506f6f6c";
    char hex[256];
    (void)snprintf(hex, sizeof(hex), "03000018 22222222 11111111 %s", handle);
    cr_assert_eq(decode(hex), WIRE_INVALID); /* without element */
    (void)snprintf(hex, sizeof(hex), "03000024 22222222 11111111 %s %s", handle, handle);
    cr_assert_eq(decode(hex), WIRE_INVALID);
    (void)unhex(TABLE, octets, sizeof(octets));
    memmove(octets + 12, octets + 28, 0x38); /* without handle */
    octets[3] = 0x44;
    cr_assert_eq(decode_octets(octets, 0x44), WIRE_INVALID);
}

/* E-15, E-21 */
Test(enrp, list)
{
    decode_ok(LIST_RESPONSE);
    cr_assert_eq(msg.server_count, 2);
    cr_assert_eq(msg.servers[1].id, 0x33333333);
    cr_assert_eq(msg.servers[1].transport.addresses[0].octets[3], 3);
    decode_ok("0600000c 22222222 11111111");
    cr_assert_eq(msg.server_count, 0);
    decode_ok(LIST_REJECTED);
    cr_assert_eq(msg.flags, ENRP_RESPONSE_REJECT);
}

/* More registrars than we take: the rest is left out, nothing is lost besides. */
Test(enrp, list_too_long)
{
    const struct ip_address address = {.family = IP_V4, .octets = {10, 0, 0, 1}};
    enrp_message_init(&msg, ENRP_LIST_RESPONSE, 1, 2);
    for (uint16_t i = 0; i < ENRP_SERVERS_MAX; i++) {
        msg.servers[i] = (struct enrp_server){
            .id = i + 1u,
            .transport = {
                .protocol = TRANSPORT_SCTP, .port = 1, .address_count = 1, .addresses = &address}};
    }
    msg.server_count = ENRP_SERVERS_MAX;
    int len = enrp_encode(&msg, again, sizeof(again));
    cr_assert_eq(len, 12 + ENRP_SERVERS_MAX * 24);
    memcpy(again + len, again + 12, 24); /* one more */
    len += 24;
    again[2] = (uint8_t)(len >> 8);
    again[3] = (uint8_t)len;
    cr_assert_eq(enrp_decode(again, (size_t)len, &other, &report), WIRE_OK);
    cr_assert_eq(other.server_count, ENRP_SERVERS_MAX);
    msg.server_count++;
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
}

/* E-54 */
Test(enrp, takeover)
{
    decode_ok(INIT_TAKEOVER);
    cr_assert_eq(msg.type, ENRP_INIT_TAKEOVER);
    cr_assert_eq(msg.sender_id, 0x11111111);
    cr_assert_eq(msg.receiver_id, 0x22222222);
    cr_assert_eq(msg.target_id, 0x33333333);
    cr_assert_eq(decode("0700000c 11111111 22222222"), WIRE_INVALID);
}

/* E-78; an error is never answered by an error. */
Test(enrp, error)
{
    decode_ok(ERROR_MESSAGE);
    cr_assert_eq(msg.cause_count, 1);
    cr_assert_eq(msg.causes[0].code, CAUSE_UNRECOGNIZED_PARAMETER);
    cr_assert_eq(msg.causes[0].body_len, 8);
    cr_assert_eq(decode("0a00000c 22222222 11111111"), WIRE_DISCARD);
    cr_assert_eq(report.cause_count, 0);
}

/* E-3 */
Test(enrp, unknown_messages)
{
    cr_assert_eq(decode("0b00000c 22222222 11111111"), WIRE_DISCARD);
    cr_assert_eq(decode("4b00000c 22222222 11111111"), WIRE_DISCARD_REPORT);
    cr_assert_eq(report.causes[0].code, CAUSE_UNRECOGNIZED_MESSAGE);
    cr_assert_eq(report.causes[0].body_len, 12);
    cr_assert_eq(decode("8b00000c 22222222 11111111"), WIRE_DISCARD);
    cr_assert_eq(decode("ff00000c 22222222 11111111"), WIRE_DISCARD_REPORT);
}

/* E-4, E-79: the two top bits of a parameter's type. */
Test(enrp, unknown_parameters)
{
    cr_assert_eq(decode("02000014 11111111 22222222 00770008 01020304"), WIRE_DISCARD);
    cr_assert_eq(decode("02000014 11111111 22222222 40770008 01020304"), WIRE_DISCARD_REPORT);
    cr_assert_eq(report.causes[0].code, CAUSE_UNRECOGNIZED_PARAMETER);
    cr_assert_eq(report.causes[0].body_len, 8);
    cr_assert_eq(decode("02000014 11111111 22222222 80770008 01020304"), WIRE_OK);
    cr_assert_eq(report.cause_count, 0);
    cr_assert_eq(decode("0200001c 11111111 22222222 c0770008 01020304 c0780008 01020304"), WIRE_OK);
    cr_assert_eq(report.cause_count, 2);
}

/* Every prefix of every message is malformed, or (an optional parameter less) whole. */
Test(enrp, prefixes)
{
    static uint8_t whole[512];
    for (size_t i = 0; i < SPEC_VECTORS; i++) {
        size_t len = unhex(spec_vectors[i], whole, sizeof(whole));
        for (size_t n = 0; n < len; n++) {
            memcpy(octets, whole, n);
            (void)decode_octets(octets, n);
            if (n < 4) {
                continue;
            }
            octets[2] = (uint8_t)(n >> 8); /* with a length that says so */
            octets[3] = (uint8_t)n;
            enum wire_verdict v = decode_octets(octets, n);
            if (n < 12) {
                cr_assert_neq(v, WIRE_OK);
            }
        }
    }
}

Test(enrp, encoder_runs_out_of_room)
{
    for (size_t i = 0; i < SPEC_VECTORS; i++) {
        decode_ok(spec_vectors[i]);
        size_t len = unhex(spec_vectors[i], octets, sizeof(octets));
        for (size_t n = 0; n < len; n++) {
            cr_assert_eq(enrp_encode(&msg, again, n), -EMSGSIZE);
        }
    }
    enrp_message_init(&msg, (enum enrp_type)0x40, 1, 2);
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
    enrp_message_init(&msg, ENRP_HANDLE_UPDATE, 1, 2);
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
    enrp_message_init(&msg, ENRP_ERROR, 1, 2);
    cr_assert_eq(enrp_encode(&msg, again, sizeof(again)), -EINVAL);
}

#define LINE_MAX_LEN 4096

/* Every ENRP message the reference implementation sent in the captures, both ways. */
Test(enrp, captures_make_the_round_trip)
{
    static char line[LINE_MAX_LEN];
    unsigned seen[ENRP_ERROR + 1] = {0};
    FILE *f = fopen(CAPTURES, "re");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        char capture[64];
        char frame[16];
        char protocol[8];
        int start = 0;
        cr_assert_eq(sscanf(line, "%63s %15s %7s %*s %n", capture, frame, protocol, &start), 3);
        if (strcmp(protocol, "enrp") != 0) {
            continue;
        }
        size_t len = unhex(line + start, octets, sizeof(octets));
        cr_assert_eq(decode_octets(octets, len), WIRE_OK, "%s %s: %s", capture, frame, report.text);
        cr_assert_eq(report.cause_count, 0, "%s %s", capture, frame);
        int r = enrp_encode(&msg, again, sizeof(again));
        cr_assert_eq(r, (int)len, "%s %s: %d octets, not %zu", capture, frame, r, len);
        cr_assert_arr_eq(again, octets, len, "%s %s", capture, frame);
        seen[msg.type]++;
    }
    (void)fclose(f);
    for (unsigned type = ENRP_PRESENCE; type <= ENRP_INIT_TAKEOVER_ACK; type++) {
        cr_assert_gt(seen[type], 0, "no message of type %u", type);
    }
}
