/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every ASAP message the reference implementation sent in the captures (captures/messages.txt, made
 * by captures/extract.sh) decodes, and encodes to the same octets again.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "tests/unit/wire/vectors.h"

#define LINE_MAX_LEN 4096

static struct asap_message msg;
static struct wire_report report;
static uint8_t octets[LINE_MAX_LEN];
static uint8_t again[ASAP_MESSAGE_MAX];

/* There is no exception: not one message differs. */
static void check(const char *capture, const char *frame, const char *hex)
{
    size_t len = unhex(hex, octets, sizeof(octets));
    enum wire_verdict v = asap_decode(octets, len, &msg, &report);
    cr_assert_eq(v, WIRE_OK, "%s %s: %s", capture, frame, report.text);
    cr_assert_eq(report.cause_count, 0, "%s %s", capture, frame);
    int r = asap_encode(&msg, again, sizeof(again));
    cr_assert_eq(r, (int)len, "%s %s: %d octets, not %zu", capture, frame, r, len);
    cr_assert_arr_eq(again, octets, len, "%s %s", capture, frame);
}

Test(captures, every_asap_message_makes_the_round_trip)
{
    char line[LINE_MAX_LEN];
    unsigned seen[ASAP_ERROR + 1] = {0};
    FILE *f = fopen(CAPTURES, "re");
    cr_assert_not_null(f);
    while (fgets(line, sizeof(line), f) != NULL) {
        char capture[64];
        char frame[16];
        char protocol[8];
        int start = 0;
        cr_assert_eq(sscanf(line, "%63s %15s %7s %*s %n", capture, frame, protocol, &start), 3);
        if (strcmp(protocol, "asap") == 0) {
            check(capture, frame, line + start);
            seen[msg.type]++;
        }
    }
    (void)fclose(f);
    for (unsigned type = ASAP_REGISTRATION; type <= ASAP_COOKIE_ECHO; type++) {
        cr_assert_gt(seen[type], 0, "no message of type %u", type);
    }
}
