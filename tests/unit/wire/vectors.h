/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages known octet by octet (asap.md §4), and what the tests of the codec share. */
#ifndef RSP_TESTS_WIRE_VECTORS_H
#define RSP_TESTS_WIRE_VECTORS_H

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "wire/asap.h"

/** Pool "EchoPool", element 0x12345678, registrar 0xa1b2c3d4. */
static const struct vector {
    const char *name;
    const char *hex;
} vectors[] = {
    {"registration, sctp on two addresses",
     "0100004c 0009000c 4563686f 506f6f6c 000a003c 12345678 00000000 000493e0"
     "00040024 1b5f0001 00010008 0a010101 00020014 20010db8 00000000 00000000"
     "00000001 00080008 00000001"},
    {"deregistration", "02000018 0009000c 4563686f 506f6f6c 000e0008 12345678"},
    {"registration accepted", "03000018 0009000c 4563686f 506f6f6c 000e0008 12345678"},
    {"registration refused, other policy",
     "0301002c 0009000c 4563686f 506f6f6c 000e0008 12345678 000c0014 00050010"
     "0008000c 40000001 00000000"},
    {"deregistration response", "04000018 0009000c 4563686f 506f6f6c 000e0008 12345678"},
    {"handle resolution", "05000010 0009000c 4563686f 506f6f6c"},
    {"handle resolution, three items", "05000018 0009000c 4563686f 506f6f6c 803f0008 00000003"},
    {"handle resolution response, one tcp element",
     "06000048 0009000c 4563686f 506f6f6c 0008000c 40000001 00000000 000a002c"
     "12345678 a1b2c3d4 ffffffff 00050010 00070000 00010008 0a010101 0008000c"
     "40000001 80000000"},
    {"handle resolution response, unknown pool",
     "06000018 0009000c 4563686f 506f6f6c 000c0008 00090004"},
    {"keep-alive, home, one element",
     "0701001c a1b2c3d4 0009000c 4563686f 506f6f6c 000e0008 12345678"},
    {"keep-alive ack", "08000018 0009000c 4563686f 506f6f6c 000e0008 12345678"},
    {"unreachable", "09000018 0009000c 4563686f 506f6f6c 000e0008 12345678"},
    {"announce, sctp", "0a000018 a1b2c3d4 00040010 0f170000 00010008 0a0101fe"},
    {"announce without transports", "0a000008 a1b2c3d4"},
    {"cookie", "0b000010 000d0009 73746174 65000000"},
    {"cookie echo", "0c000010 000d0009 73746174 65000000"},
    {"business card", "0d000038 0009000c 4563686f 506f6f6c 000a0028 12345678 a1b2c3d4 000493e0"
                      "00050010 00070000 00010008 0a010101 00080008 00000001"},
    {"error, unknown parameter", "0e000014 000c0010 0001000c 4abc0008 01020304"},
};
#define VECTOR_COUNT (sizeof(vectors) / sizeof(vectors[0]))

/** Reads hex, blanks ignored; returns the number of octets. */
static inline size_t unhex(const char *hex, uint8_t *out, size_t size)
{
    size_t digits = 0;
    memset(out, 0, size);
    for (; *hex != '\0' && *hex != '\n'; hex++) {
        if (*hex == ' ') {
            continue;
        }
        cr_assert_lt(digits / 2, size);
        uint8_t digit = (uint8_t)(*hex <= '9' ? *hex - '0' : (*hex | 0x20) - 'a' + 10);
        out[digits / 2] = (uint8_t)(out[digits / 2] << 4 | digit);
        digits++;
    }
    return digits / 2;
}

/** Decodes a copy of exact size, so that a sanitizer sees a read beyond it; it stays until the
 * next. */
static inline enum wire_verdict decode_exact(const void *octets, size_t len,
                                             struct asap_message *msg, struct wire_report *report)
{
    static uint8_t *copy;
    free(copy);
    copy = malloc(len > 0 ? len : 1);
    cr_assert_not_null(copy);
    memcpy(copy, octets, len);
    return asap_decode(copy, len, msg, report);
}

/** The same for hex. */
static inline enum wire_verdict decode_hex(const char *hex, struct asap_message *msg,
                                           struct wire_report *report)
{
    static uint8_t octets[ASAP_MESSAGE_MAX];
    size_t len = unhex(hex, octets, sizeof(octets));
    return decode_exact(octets, len, msg, report);
}

#endif
