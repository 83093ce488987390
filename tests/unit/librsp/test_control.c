/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* ASAP's control channel: cookies of every length (asap: ), cards, errors, the end. */
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "librsp/control.h"
#include "wire/report.h"

static uint8_t message[CONTROL_MAX];

/* */
Test(control, cookie_round_trip)
{
    static uint8_t cookie[CONTROL_COOKIE_MAX];
    const size_t lens[] = {1, 2, 3, 4, 5, 100, 60060, CONTROL_COOKIE_MAX};
    for (size_t i = 0; i < sizeof(cookie); i++) {
        cookie[i] = (uint8_t)(i * 7);
    }
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        for (int echo = 0; echo < 2; echo++) {
            struct control c;
            int len = control_write_cookie(echo != 0, cookie, lens[i], message, sizeof(message));
            cr_assert_gt(len, (int)lens[i]);
            cr_assert_eq(control_read(message, (size_t)len, &c), 0);
            cr_assert_eq(c.kind, echo != 0 ? CONTROL_COOKIE_ECHO : CONTROL_COOKIE);
            cr_assert_eq(c.cookie_len, lens[i]);
            cr_assert_arr_eq(c.cookie, cookie, lens[i]);
        }
    }
}

Test(control, the_octets_of_the_specification)
{
    /* asap.md 4.11: cookie "state" */
    static const uint8_t want[] = {0x0b, 0,   0,   0x10, 0,   0x0d, 0, 9,
                                   's',  't', 'a', 't',  'e', 0,    0, 0};
    cr_assert_eq(control_write_cookie(false, "state", 5, message, sizeof(message)), 16);
    cr_assert_arr_eq(message, want, sizeof(want));
}

Test(control, no_empty_and_no_oversize_cookie)
{
    cr_assert_eq(control_write_cookie(false, "", 0, message, sizeof(message)), -EINVAL);
    cr_assert_eq(control_write_cookie(false, message, CONTROL_COOKIE_MAX + 1, message, 10),
                 -EMSGSIZE);
    cr_assert_eq(control_write_cookie(false, "state", 5, message, 15), -EMSGSIZE);
}

Test(control, end_and_error)
{
    struct control c;
    int len = control_write_end(message, sizeof(message));
    cr_assert_eq(len, 4);
    cr_assert_eq(control_read(message, 4, &c), 0);
    cr_assert_eq(c.kind, CONTROL_END);
    cr_assert_eq(control_write_end(message, 3), -EMSGSIZE);
    cr_assert_eq(control_write_covers(0x01020304, message, sizeof(message)), 12);
    cr_assert_eq(control_read(message, 12, &c), 0);
    cr_assert_eq(c.kind, CONTROL_COVERS);
    cr_assert_eq(c.covers, 0x01020304);
    cr_assert_eq(control_write_covers(1, message, 11), -EMSGSIZE);
    len = control_write_error(CAUSE_INVALID_VALUES, message, sizeof(message));
    cr_assert_gt(len, 0);
    cr_assert_eq(control_read(message, (size_t)len, &c), 0);
    cr_assert_eq(c.kind, CONTROL_ERROR);
    cr_assert_eq(c.cause, CAUSE_INVALID_VALUES);
}

/* */
Test(control, business_card)
{
    struct ip_address address;
    cr_assert_eq(ip_address_parse("10.0.0.1", &address), 0);
    struct pool_element elements[3];
    for (uint32_t i = 0; i < 3; i++) {
        elements[i] = (struct pool_element){.pe_id = 100 + i,
                                            .user = {.protocol = TRANSPORT_SCTP,
                                                     .port = 7,
                                                     .use = TRANSPORT_USE_DATA_AND_CONTROL,
                                                     .address_count = 1,
                                                     .addresses = &address},
                                            .policy = {.type = POLICY_RR}};
    }
    struct control c;
    int len = control_write_card(pool_handle_of("EchoPool"), elements, 3, message, sizeof(message));
    cr_assert_gt(len, 0);
    cr_assert_eq(control_read(message, (size_t)len, &c), 0);
    cr_assert_eq(c.kind, CONTROL_CARD);
    cr_assert_eq(c.card_count, 3);
    cr_assert_eq(c.card[2].pe_id, 102);
    cr_assert_eq(control_write_card(pool_handle_of("EchoPool"), elements, 0, message, 100),
                 -EINVAL);
}

Test(control, malformed_and_foreign_messages)
{
    static const uint8_t truncated[] = {0x0b, 0, 0, 0x20, 0, 0x0d, 0, 9, 's', 't'};
    static const uint8_t no_cookie[] = {0x0b, 0, 0, 4};
    static const uint8_t resolution[] = {0x05, 0, 0, 12, 0, 9, 0, 8, 'E', 'c', 'h', 'o'};
    static const uint8_t unknown[] = {0x3e, 0, 0, 4};
    struct control c;
    cr_assert_eq(control_read(truncated, sizeof(truncated), &c), -EPROTO);
    cr_assert_eq(control_read(no_cookie, sizeof(no_cookie), &c), -EPROTO);
    cr_assert_eq(control_read("", 0, &c) == 0 && c.kind != CONTROL_NOTHING, false);
    cr_assert_eq(control_read(resolution, sizeof(resolution), &c), 0);
    cr_assert_eq(c.kind, CONTROL_NOTHING);
    cr_assert_eq(control_read(unknown, sizeof(unknown), &c), 0);
    cr_assert_eq(c.kind, CONTROL_NOTHING);
}
