/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Framing over TCP (transport:T-19): what is written is read; what is not ours is refused. */
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#include "librsp/frame.h"

Test(frame, data_round_trip)
{
    uint8_t head[FRAME_DATA_LEN];
    const size_t lens[] = {1, 2, 3, 4, 5, 1000, FRAME_DATA_MAX};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        struct frame f;
        cr_assert_eq(frame_put_data(head, 7, 9, 0x01020304, i % 2 == 0, i % 3 == 0, lens[i]),
                     FRAME_DATA_LEN);
        for (size_t n = 0; n < FRAME_DATA_LEN; n++) {
            cr_assert_eq(frame_read(head, n, false, &f), -EAGAIN, "%zu octets", n);
        }
        cr_assert_eq(frame_read(head, sizeof(head), false, &f), 0);
        cr_assert_eq(f.type, FRAME_DATA);
        cr_assert_eq(f.stream, 7);
        cr_assert_eq(f.ppid, 0x01020304);
        cr_assert_eq(f.unordered, i % 2 == 0);
        cr_assert_eq(f.more, i % 3 == 0);
        cr_assert_eq(f.left, lens[i]);
        cr_assert_eq((f.left + f.padding) % 4, 0);
        cr_assert_lt(f.padding, 4);
    }
}

/* what belongs to the control channel comes after the word that opens it */
Test(frame, init_comes_first_and_only_first)
{
    uint8_t init[FRAME_INIT_LEN];
    uint8_t data[FRAME_DATA_LEN];
    struct frame f;
    frame_put_init(init);
    frame_put_data(data, 0, 0, 0, false, false, 4);
    cr_assert_eq(frame_read(init, sizeof(init), true, &f), 0);
    cr_assert_eq(f.type, FRAME_INIT);
    cr_assert_eq(f.left, 0);
    cr_assert_eq(frame_read(init, sizeof(init), false, &f), -EPROTO);
    cr_assert_eq(frame_read(data, sizeof(data), true, &f), -EPROTO);
    init[1] = 0;
    cr_assert_eq(frame_read(init, sizeof(init), true, &f), -EPROTO, "with TSN: not our profile");
}

Test(frame, ack)
{
    uint8_t ack[FRAME_ACK_LEN];
    struct frame f;
    cr_assert_eq(frame_put_ack(ack, 0xfedcba98), FRAME_ACK_LEN);
    cr_assert_eq(frame_read(ack, 7, false, &f), -EAGAIN);
    cr_assert_eq(frame_read(ack, 8, false, &f), 0);
    cr_assert_eq(f.delivered, 0xfedcba98);
    ack[3] = 12;
    cr_assert_eq(frame_read(ack, 8, false, &f), -EPROTO);
}

Test(frame, heartbeats_are_bounded)
{
    uint8_t beat[4] = {FRAME_HEARTBEAT, 0, 0, 13};
    struct frame f;
    cr_assert_eq(frame_read(beat, sizeof(beat), false, &f), 0);
    cr_assert_eq(f.left, 9);
    cr_assert_eq(f.padding, 3);
    beat[2] = 3;
    cr_assert_eq(frame_read(beat, sizeof(beat), false, &f), -EPROTO);
}

Test(frame, what_is_not_ours_is_refused)
{
    static const uint8_t wrong[][12] = {
        {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P', '/', '1'}, /* another protocol */
        {FRAME_DATA, 0, 0, 3},                                        /* shorter than a header */
        {FRAME_DATA, 0, 0, 11},                                       /* no room for the PPID */
        {FRAME_DATA, 0, 0, 12},                                       /* an empty message */
        {2, 0, 0, 4},
        {6, 0, 0, 4},
        {0xff, 0xff, 0xff, 0xff},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct frame f;
        cr_assert_eq(frame_read(wrong[i], sizeof(wrong[i]), false, &f), -EPROTO, "case %zu", i);
    }
}
