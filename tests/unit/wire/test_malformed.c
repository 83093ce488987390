/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What is unknown, malformed or missing in a message, and the answer that follows from it
 * (parameters.md §1, §2, §6, §9).
 */
#include "tests/unit/wire/vectors.h"

#define HANDLE "0009000c 4563686f 506f6f6c "
#define PE_ID  "000e0008 12345678 "
#define TCP    "00050010 00070000 00010008 0a010101 "
#define RR     "00080008 00000001 "

static struct asap_message msg;
static struct wire_report report;
static uint8_t octets[ASAP_MESSAGE_MAX + 4];
static uint8_t again[ASAP_MESSAGE_MAX + 4];

/* A message around parameters; fills in the length. */
static size_t message(uint8_t type, const char *parameters)
{
    size_t len = 4 + unhex(parameters, octets + 4, sizeof(octets) - 4);
    octets[0] = type;
    octets[1] = 0;
    octets[2] = (uint8_t)(len >> 8);
    octets[3] = (uint8_t)len;
    return len;
}

static enum wire_verdict verdict(uint8_t type, const char *parameters)
{
    size_t len = message(type, parameters);
    enum wire_verdict v = decode_exact(octets, len, &msg, &report);
    cr_assert(v == WIRE_OK || report.text != NULL, "nobody learns why");
    return v;
}

/* A registration whose element has these parameters behind its fixed part. */
static enum wire_verdict element_verdict(const char *parameters)
{
    size_t n = unhex(parameters, octets + 32, sizeof(octets) - 32);
    (void)message(ASAP_REGISTRATION, HANDLE "000a0000 12345678 00000000 00000001");
    (void)unhex(parameters, octets + 32, n);
    octets[18] = (uint8_t)((16 + n) >> 8);
    octets[19] = (uint8_t)(16 + n);
    octets[2] = (uint8_t)((32 + n) >> 8);
    octets[3] = (uint8_t)(32 + n);
    return decode_exact(octets, 32 + n, &msg, &report);
}

static void assert_cause(uint16_t i, uint16_t code, const char *body)
{
    uint8_t expected[256];
    size_t len = unhex(body, expected, sizeof(expected));
    cr_assert_lt(i, report.cause_count);
    cr_assert_eq(report.causes[i].code, code, "cause %u is %u", i, report.causes[i].code);
    cr_assert_eq(report.causes[i].body_len, len, "body of %u", report.causes[i].body_len);
    if (len > 0) {
        cr_assert_arr_eq(report.causes[i].body, expected, len);
    }
}

static void assert_invalid(enum wire_verdict v, const char *body)
{
    cr_assert_eq(v, WIRE_INVALID);
    cr_assert_eq(report.cause_count, 1);
    cr_assert_not_null(report.text);
    assert_cause(0, CAUSE_INVALID_VALUES, body);
}

/* Whatever decodes also encodes, and that decodes to the same octets again. */
static void assert_consistent(enum wire_verdict v, const char *name)
{
    if (v != WIRE_OK) {
        cr_assert(v != WIRE_INVALID || report.cause_count > 0, "%s", name);
        return;
    }
    static uint8_t third[ASAP_MESSAGE_MAX];
    int len = asap_encode(&msg, again, sizeof(again));
    cr_assert_gt(len, 0, "%s: %d", name, len);
    cr_assert_eq(asap_decode(again, (size_t)len, &msg, &report), WIRE_OK, "%s", name);
    cr_assert_eq(asap_encode(&msg, third, sizeof(third)), len, "%s", name);
    cr_assert_arr_eq(third, again, (size_t)len, "%s", name);
}

/* parameters.md §9 rules 1 and 5: no cut makes the decoder read on or contradict itself. */
Test(malformed, every_prefix_of_every_message)
{
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        size_t len = unhex(vectors[i].hex, octets, sizeof(octets));
        bool error = octets[0] == ASAP_ERROR;
        for (size_t n = 0; n < len; n++) {
            enum wire_verdict v = decode_exact(octets, n, &msg, &report);
            cr_assert_eq(v, error && n > 0 ? WIRE_DISCARD : WIRE_INVALID, "%s: %zu",
                         vectors[i].name, n);
            if (n >= 4) {
                uint8_t cut[128];
                memcpy(cut, octets, n);
                cut[2] = 0;
                cut[3] = (uint8_t)n;
                assert_consistent(decode_exact(cut, n, &msg, &report), vectors[i].name);
            }
        }
    }
}

Test(malformed, every_octet_of_every_message)
{
    static const uint8_t values[] = {0x00, 0x01, 0x03, 0x04, 0x08, 0x10,
                                     0x3f, 0x40, 0x7f, 0x80, 0xc0, 0xff};
    for (size_t i = 0; i < VECTOR_COUNT; i++) {
        size_t len = unhex(vectors[i].hex, octets, sizeof(octets));
        for (size_t at = 0; at < len; at++) {
            uint8_t before = octets[at];
            for (size_t v = 0; v < sizeof(values); v++) {
                octets[at] = values[v];
                assert_consistent(asap_decode(octets, len, &msg, &report), vectors[i].name);
            }
            octets[at] = before;
        }
    }
}

/* P-20, P-21, P-27 (1), A-147: both readings of Length, and padding that was cut off. */
Test(malformed, both_readings_of_length)
{
    static const struct {
        const char *hex;
        enum wire_verdict verdict;
    } rows[] = {
        {"0500000d 00090009 68656c6c 6f000000", WIRE_OK}, /* RFC, padding sent */
        {"05000010 00090009 68656c6c 6f000000", WIRE_OK}, /* rsplib */
        {"0500000d 00090009 68656c6c 6f", WIRE_OK},       /* padding cut off */
        {"0500000e 00090009 68656c6c 6f0000", WIRE_OK},
        {"0500000d 00090009 68656c6c 6fffffff", WIRE_OK}, /* P-3, P-21: content ignored */
        {"05000010 00090009 68656c6c 6fffffff", WIRE_OK},
        {"0500000c 00090009 68656c6c 6f000000", WIRE_INVALID}, /* 4 octets too many */
        {"05000010 00090009 68656c6c 6f", WIRE_INVALID},       /* more promised than there is */
        {"05000003 00090009 68656c6c 6f000000", WIRE_INVALID},
        {"05000000 00090009 68656c6c 6f000000", WIRE_INVALID},
        {"0500ffff 00090009 68656c6c 6f000000", WIRE_INVALID},
        {"05000012 00090009 68656c6c 6f000000 0000", WIRE_INVALID}, /* a stump of a parameter */
        {"050000", WIRE_INVALID},
        {"05", WIRE_INVALID},
        {"", WIRE_INVALID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(decode_hex(rows[i].hex, &msg, &report), rows[i].verdict, "row %zu", i);
        if (rows[i].verdict == WIRE_OK) {
            cr_assert_eq(msg.handle.len, 5);
            cr_assert_eq(asap_encode(&msg, again, sizeof(again)), 16);
            cr_assert_eq(again[3], 16);
        }
    }
}

/* P-23, A-17, A-18. */
Test(malformed, unknown_messages_by_their_top_bits)
{
    static const struct {
        const char *hex;
        enum wire_verdict verdict;
    } rows[] = {
        {"00000008 01020304", WIRE_DISCARD},        {"0f000008 01020304", WIRE_DISCARD},
        {"3f000008 01020304", WIRE_DISCARD},        {"40000008 01020304", WIRE_DISCARD_REPORT},
        {"7f000008 01020304", WIRE_DISCARD_REPORT}, {"80000008 01020304", WIRE_DISCARD},
        {"bf000008 01020304", WIRE_DISCARD},        {"c0000008 01020304", WIRE_DISCARD_REPORT},
        {"ff000008 01020304", WIRE_DISCARD_REPORT}, {"40000003 01020304", WIRE_DISCARD},
        {"40000009 01020304", WIRE_DISCARD},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert_eq(decode_hex(rows[i].hex, &msg, &report), rows[i].verdict, "row %zu", i);
        cr_assert_eq(report.cause_count, rows[i].verdict == WIRE_DISCARD_REPORT ? 1 : 0);
        if (report.cause_count > 0) {
            assert_cause(0, CAUSE_UNRECOGNIZED_MESSAGE, rows[i].hex);
        }
    }
}

/* P-5, P-6: each kind of unknown parameter at each place. */
Test(malformed, unknown_parameters_by_their_top_bits)
{
    static const struct {
        const char *tlv; /* four octets of value, and an odd length with padding */
        enum wire_verdict verdict;
        unsigned causes;
    } rows[] = {
        {"00110008 01020304", WIRE_DISCARD, 0},
        {"00000008 01020304", WIRE_DISCARD, 0},
        {"3fff0008 01020304", WIRE_DISCARD, 0},
        {"003f0008 01020304", WIRE_DISCARD, 0},
        {"40110008 01020304", WIRE_DISCARD_REPORT, 1},
        {"7fff0008 01020304", WIRE_DISCARD_REPORT, 1},
        {"80110008 01020304", WIRE_OK, 0},
        {"80090008 01020304", WIRE_OK, 0},
        {"bfff0008 01020304", WIRE_OK, 0},
        {"c0110008 01020304", WIRE_OK, 1},
        {"ffff0008 01020304", WIRE_OK, 1},
        {"80110005 01000000", WIRE_OK, 0},
        {"80110004", WIRE_OK, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        static const char *const places[] = {"%s" HANDLE PE_ID, HANDLE "%s" PE_ID,
                                             HANDLE PE_ID "%s"};
        char text[256];
        for (size_t p = 0; p < 3; p++) {
            char *at = strstr(places[p], "%s");
            (void)memcpy(text, places[p], (size_t)(at - places[p]));
            text[at - places[p]] = '\0';
            strcat(text, rows[i].tlv);
            strcat(text, at + 2);
            cr_assert_eq(verdict(ASAP_DEREGISTRATION, text), rows[i].verdict, "%s at %zu",
                         rows[i].tlv, p);
            cr_assert_eq(report.cause_count, rows[i].causes);
            if (rows[i].causes > 0) {
                assert_cause(0, CAUSE_UNRECOGNIZED_PARAMETER, rows[i].tlv);
            }
        }
    }
}

/* The same inside a pool element and inside a transport. */
Test(malformed, unknown_parameters_inside_others)
{
    cr_assert_eq(element_verdict(TCP "80110008 01020304" RR "80120004"), WIRE_OK);
    cr_assert_eq(element_verdict(TCP "c0110008 01020304" RR), WIRE_OK);
    assert_cause(0, CAUSE_UNRECOGNIZED_PARAMETER, "c0110008 01020304");
    cr_assert_eq(element_verdict(TCP "00110008 01020304" RR), WIRE_DISCARD);
    cr_assert_eq(element_verdict(TCP RR "40110008 01020304"), WIRE_DISCARD_REPORT);
    assert_cause(0, CAUSE_UNRECOGNIZED_PARAMETER, "40110008 01020304");
    cr_assert_eq(element_verdict("00040018 00070000 80110008 01020304 00010008 0a010101" RR),
                 WIRE_OK);
    cr_assert_eq(msg.elements[0].user.address_count, 1);
    cr_assert_eq(element_verdict("00040018 00070000 00010008 0a010101 00110008 01020304" RR),
                 WIRE_DISCARD);
}

Test(malformed, unknown_parameters_are_reported_one_by_one)
{
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, "c0110004 c0120004" HANDLE "c0130005 ff000000"),
                 WIRE_OK);
    cr_assert_eq(report.cause_count, 3);
    assert_cause(0, CAUSE_UNRECOGNIZED_PARAMETER, "c0110004");
    assert_cause(1, CAUSE_UNRECOGNIZED_PARAMETER, "c0120004");
    assert_cause(2, CAUSE_UNRECOGNIZED_PARAMETER, "c0130005 ff"); /* without padding */

    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, HANDLE "c0110004 40120004 c0130004"),
                 WIRE_DISCARD_REPORT);
    cr_assert_eq(report.cause_count, 2);
    assert_cause(1, CAUSE_UNRECOGNIZED_PARAMETER, "40120004");

    /* "Stop" means without a word, whatever came before. */
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, HANDLE "c0110004 00120004"), WIRE_DISCARD);
    cr_assert_eq(report.cause_count, 0);

    /* The defect comes before what was only unknown. */
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, "c0110004 00090004"), WIRE_INVALID);
    cr_assert_eq(report.cause_count, 2);
    assert_cause(0, CAUSE_INVALID_VALUES, "00090004");
    assert_cause(1, CAUSE_UNRECOGNIZED_PARAMETER, "c0110004");
}

/* parameters.md §9 rule 6, and bounds of the report. */
Test(malformed, the_report_is_bounded)
{
    size_t len = message(ASAP_HANDLE_RESOLUTION, HANDLE);
    for (int i = 0; i < 20; i++) {
        len += unhex("c0110004", octets + len, 4);
    }
    octets[3] = (uint8_t)len;
    cr_assert_eq(decode_exact(octets, len, &msg, &report), WIRE_OK);
    cr_assert_eq(report.cause_count, ASAP_CAUSES_MAX);
    len += unhex("00090003", octets + len, 4);
    octets[3] = (uint8_t)len;
    cr_assert_eq(decode_exact(octets, len, &msg, &report), WIRE_INVALID);
    cr_assert_eq(report.cause_count, ASAP_CAUSES_MAX);
    assert_cause(0, CAUSE_INVALID_VALUES, "");
}

Test(malformed, a_report_always_fits_its_message)
{
    /* 65532 octets of which nearly all is one unknown parameter. */
    memset(octets, 0, sizeof(octets));
    (void)unhex("05ffff00", octets, 4);
    octets[1] = 0;
    octets[2] = 0xff;
    octets[3] = 0xfc;
    (void)unhex("c011fff8", octets + 4, 4);
    cr_assert_eq(asap_decode(octets, 0xfffc, &msg, &report), WIRE_INVALID); /* no handle */
    cr_assert_eq(report.cause_count, 2);
    assert_cause(1, CAUSE_UNRECOGNIZED_PARAMETER, "");
    asap_message_init(&msg, ASAP_ERROR);
    msg.cause_count = report.cause_count;
    memcpy(msg.causes, report.causes, sizeof(report.causes));
    cr_assert_gt(asap_encode(&msg, again, sizeof(again)), 0);
}

/* The same of many that are short enough each: the first ones are named whole. */
Test(malformed, a_report_of_many_fits_its_message)
{
    size_t len = message(ASAP_HANDLE_RESOLUTION, HANDLE);
    memset(octets + len, 0, sizeof(octets) - len);
    for (int i = 0; i < ASAP_CAUSES_MAX; i++) {
        (void)unhex("c0111ffc", octets + len, 4);
        len += 0x1ffc;
    }
    octets[2] = (uint8_t)(len >> 8);
    octets[3] = (uint8_t)len;
    cr_assert_eq(asap_decode(octets, len, &msg, &report), WIRE_OK);
    cr_assert_eq(report.cause_count, ASAP_CAUSES_MAX);
    cr_assert_eq(report.causes[0].body_len, 0x1ffc);
    asap_message_init(&msg, ASAP_ERROR);
    msg.cause_count = report.cause_count;
    memcpy(msg.causes, report.causes, sizeof(report.causes));
    cr_assert_gt(asap_encode(&msg, again, ASAP_MESSAGE_MAX), 0);
}

/* asap.md §8: errors are never answered by errors. */
Test(malformed, an_error_is_never_reported)
{
    cr_assert_eq(verdict(ASAP_ERROR, "c0110004 000c0008 00030004"), WIRE_OK);
    cr_assert_eq(report.cause_count, 0);
    static const char *const bad[] = {"",
                                      "000c0004",
                                      "000c0008 00030003",
                                      "000c0008 0003000c",
                                      "000c0008 00030004 40110004",
                                      "40110004"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        cr_assert_eq(verdict(ASAP_ERROR, bad[i]), WIRE_DISCARD, "%s", bad[i]);
        cr_assert_eq(report.cause_count, 0);
    }
}

/* P-19: the complete TLV that holds the bad value; what the response needs is there. */
Test(malformed, invalid_values_name_the_parameter)
{
    assert_invalid(element_verdict(TCP "0008000b 40000001 000000 00"), "0008000b 40000001 000000");
    cr_assert(msg.has_handle);
    cr_assert(pool_handle_equal(msg.handle, pool_handle_of("EchoPool")));
    cr_assert(msg.has_pe_id);
    cr_assert_eq(msg.pe_id, 0x12345678);
    cr_assert_eq(msg.element_count, 0);

    assert_invalid(element_verdict(TCP "00080008 00000000"), "00080008 00000000");
    assert_invalid(element_verdict(TCP "00080008 40000000"), "00080008 40000000");
    assert_invalid(element_verdict("00050010 00000000 00010008 0a010101" RR),
                   "00050010 00000000 00010008 0a010101"); /* port 0 */
    assert_invalid(element_verdict("00040010 00070002 00010008 0a010101" RR),
                   "00040010 00070002 00010008 0a010101");                        /* P-8 */
    assert_invalid(element_verdict("00040008 00070000" RR), "00040008 00070000"); /* P-9 */
    assert_invalid(element_verdict("00050008 00070000" RR), "00050008 00070000"); /* P-13 */
    assert_invalid(element_verdict("00050006 00070000" RR), "00050006 0007");
    assert_invalid(element_verdict("00050010 00070000 00010007 0a010101" RR), "00010007 0a0101");
    /* What is not complete cannot be named; what it is in can. */
    assert_invalid(element_verdict("00050010 00070000 00010009 0a010101" RR),
                   "00050010 00070000 00010009 0a010101");
    assert_invalid(verdict(ASAP_DEREGISTRATION, HANDLE "000e000c 12345678"), "");
    assert_invalid(verdict(ASAP_DEREGISTRATION, HANDLE "000e0003 12345678"), "");
    assert_invalid(verdict(ASAP_DEREGISTRATION, HANDLE "000e0007 12345678"), "000e0007 123456");
    assert_invalid(verdict(ASAP_DEREGISTRATION, HANDLE "000e000c 12345678 00000000"),
                   "000e000c 12345678 00000000");
    assert_invalid(verdict(ASAP_HANDLE_RESOLUTION, "00090004"), "00090004");
    assert_invalid(verdict(ASAP_HANDLE_RESOLUTION, HANDLE "803f0006 00010000"), "803f0006 0001");
    assert_invalid(verdict(ASAP_COOKIE, "000d0004"), "000d0004");
}

Test(malformed, missing_parameters_make_a_message_invalid)
{
    assert_invalid(verdict(ASAP_REGISTRATION, HANDLE), "");
    cr_assert(msg.has_handle);
    cr_assert_not(msg.has_pe_id);
    assert_invalid(verdict(ASAP_DEREGISTRATION, HANDLE), "");
    assert_invalid(verdict(ASAP_DEREGISTRATION, PE_ID), "");
    assert_invalid(verdict(ASAP_HANDLE_RESOLUTION, ""), "");
    assert_invalid(verdict(ASAP_ENDPOINT_KEEP_ALIVE, "0102"), "");
    assert_invalid(verdict(ASAP_SERVER_ANNOUNCE, ""), "");
    assert_invalid(verdict(ASAP_COOKIE_ECHO, ""), "");
    assert_invalid(verdict(ASAP_BUSINESS_CARD, HANDLE), "");
    assert_invalid(verdict(ASAP_REGISTRATION, HANDLE "000a000e 12345678 00000000 00010000"),
                   "000a000e 12345678 00000000 0001");
    cr_assert_eq(msg.pe_id, 0x12345678);
    assert_invalid(element_verdict(""), "000a0010 12345678 00000000 00000001");
    assert_invalid(element_verdict(TCP), "000a0020 12345678 00000000 00000001" TCP);
    assert_invalid(element_verdict(RR), "000a0018 12345678 00000000 00000001" RR);
}

/* A pool element must have an identifier to be registered. */
Test(malformed, identifier_zero_cannot_register)
{
    assert_invalid(verdict(ASAP_REGISTRATION, HANDLE "000a0028 00000000 00000000 00000001" TCP RR),
                   "000a0028 00000000 00000000 00000001" TCP RR);
}

/* §9 rule 4, P-15: the first one wins, a second one is unknown there; order is fixed. */
Test(malformed, misplaced_parameters_are_unknown_ones)
{
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, HANDLE HANDLE), WIRE_DISCARD);
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, HANDLE PE_ID), WIRE_DISCARD);
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, HANDLE "803f0008 00000001 803f0008 00000002"),
                 WIRE_OK);
    cr_assert_eq(msg.items, 1);
    cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION, "803f0008 00000002" HANDLE), WIRE_OK);
    cr_assert_not(msg.has_items); /* P-27: in front of the handle it is only skipped */
    cr_assert_eq(verdict(ASAP_REGISTRATION_RESPONSE, HANDLE PE_ID "000c0008 00030004" PE_ID),
                 WIRE_DISCARD);
    cr_assert_eq(element_verdict(TCP TCP RR), WIRE_DISCARD);
    cr_assert_eq(element_verdict(TCP RR RR), WIRE_DISCARD);
    cr_assert_eq(element_verdict(TCP RR TCP), WIRE_DISCARD); /* P-16 */
    cr_assert_eq(element_verdict("00050018 00070000 00010008 0a010101 00010008 0a010102" RR),
                 WIRE_DISCARD); /* P-13 */
}

/* 64 addresses in a transport, 128 elements in a response, all addresses in the scratch. */
Test(malformed, too_many_of_a_kind)
{
    static char text[70000];
    for (int n = 64; n <= 65; n++) {
        strcpy(text, n == 64 ? "00040208 00070000" : "00040210 00070000");
        for (int i = 0; i < n; i++) {
            strcat(text, "00010008 0a010101");
        }
        strcat(text, RR);
        cr_assert_eq(element_verdict(text), n == 64 ? WIRE_OK : WIRE_INVALID);
    }
    cr_assert_eq(report.causes[0].body_len, 0x210);
    for (int n = 128; n <= 129; n++) {
        strcpy(text, HANDLE RR);
        for (int i = 0; i < n; i++) {
            strcat(text, "000a0028 12345678 00000000 00000001" TCP RR);
        }
        cr_assert_eq(verdict(ASAP_HANDLE_RESOLUTION_RESPONSE, text),
                     n == 128 ? WIRE_OK : WIRE_INVALID);
    }
    assert_cause(0, CAUSE_INVALID_VALUES, "000a0028 12345678 00000000 00000001" TCP RR);
    for (int n = 8; n <= 9; n++) {
        strcpy(text, "00000001");
        for (int i = 0; i < n; i++) {
            strcat(text, TCP);
        }
        cr_assert_eq(verdict(ASAP_SERVER_ANNOUNCE, text), n == 8 ? WIRE_OK : WIRE_INVALID);
    }
}

Test(malformed, more_addresses_than_scratch_space_is_invalid_not_cut)
{
    for (int last = 64; last <= 65; last++) {
        size_t len = message(ASAP_HANDLE_RESOLUTION_RESPONSE, HANDLE RR);
        for (int e = 0; e < 17; e++) {
            int n = e < 15 ? 64 : (e == 15 ? last - 1 : 1);
            size_t start = len;
            len += unhex("000a0000 12345678 00000000 00000001 00040000 00070000", octets + len, 24);
            for (int i = 0; i < n; i++) {
                len += unhex("00010008 0a010101", octets + len, 8);
            }
            octets[start + 18] = (uint8_t)((8 + 8 * n) >> 8);
            octets[start + 19] = (uint8_t)(8 + 8 * n);
            len += unhex(RR, octets + len, 8);
            octets[start + 2] = (uint8_t)((len - start) >> 8);
            octets[start + 3] = (uint8_t)(len - start);
        }
        octets[2] = (uint8_t)(len >> 8);
        octets[3] = (uint8_t)len;
        cr_assert_eq(decode_exact(octets, len, &msg, &report), last == 64 ? WIRE_OK : WIRE_INVALID);
        cr_assert_eq(msg.scratch_used, ASAP_ADDRESSES);
    }
}
