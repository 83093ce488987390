/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/cursor.h"

#include <criterion/criterion.h>

Test(rcur, underrun_sticks_and_reads_zero)
{
    const uint8_t octets[] = {1, 2, 3};
    struct rcur c = rcur_of(octets, sizeof(octets));
    cr_assert_eq(rcur_n16(&c), 0x0102);
    cr_assert_eq(rcur_n16(&c), 0);
    cr_assert(c.err);
    cr_assert_eq(rcur_u8(&c), 0);
}

Test(rcur, carved_cursor_cannot_see_its_parent)
{
    const uint8_t octets[] = {1, 2, 3, 4};
    struct rcur c = rcur_of(octets, sizeof(octets));
    struct rcur sub = rcur_carve(&c, 2);
    cr_assert_eq(rcur_n32(&sub), 0);
    cr_assert(sub.err);
    cr_assert_not(c.err);
    cr_assert_eq(rcur_n16(&c), 0x0304);
}

Test(wcur, overrun_sticks_and_patch_fills_in)
{
    uint8_t octets[8];
    struct wcur c = wcur_of(octets, sizeof(octets));
    wcur_n16(&c, 0);
    wcur_u8(&c, 9);
    wcur_pad4(&c);
    wcur_patch16(&c, 0, wcur_used(&c));
    cr_assert_not(c.err);
    cr_assert_eq(wcur_used(&c), 4);
    cr_assert_eq(octets[1], 4);
    wcur_n32(&c, 1);
    wcur_u8(&c, 1);
    cr_assert(c.err);
}
