/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a user makes of a business card. */
#include "librsp/card.h"

#include <criterion/criterion.h>
#include <netinet/in.h>
#include <stdlib.h>

#include "librsp/control.h"

static struct user user;
static struct sd sd;
static uint8_t handle[] = {'j', 'o', 'b', 's'};

static void setup(void)
{
    user = (struct user){.card_count = 0};
    sd = (struct sd){.kind = SD_USER, .handle = handle, .handle_len = 4, .user = &user};
    options_init(&sd.opt, SOCK_STREAM);
}

static void teardown(void)
{
    free(user.card);
}

static void hand_over(const char *pool, uint32_t first, uint8_t count)
{
    struct control c = {.kind = CONTROL_CARD, .pool = pool_handle_of(pool), .card_count = count};
    for (uint8_t i = 0; i < count; i++) {
        c.card[i] = (struct lp_pe){.pe_id = first + i, .protocol = TRANSPORT_TCP, .port = 7};
    }
    card_take(&sd, &c);
}

TestSuite(card, .init = setup, .fini = teardown);

/* the failover order is kept; a later card takes the place of an earlier one. */
Test(card, the_latest_counts)
{
    hand_over("jobs", 10, 3);
    hand_over("jobs.tcp", 20, 2);
    cr_assert_eq(card_picks(&sd), 2);
    cr_assert_eq(user.picks[0].pe_id, 20);
    cr_assert_eq(user.picks[1].pe_id, 21);
    user.avoid = 20; /* the one that was lost */
    cr_assert_eq(card_picks(&sd), 1);
    cr_assert_eq(user.picks[0].pe_id, 21);
}

Test(card, other_pools_are_passed_over)
{
    hand_over("mail", 10, 3);
    hand_over("job", 10, 3);
    hand_over("jobs.udp", 10, 3);
    cr_assert_eq(card_picks(&sd), 0);
    sd.protocol = IPPROTO_TCP; /* then HANDLE.tcp is another pool */
    hand_over("jobs.tcp", 10, 3);
    cr_assert_eq(card_picks(&sd), 0);
    hand_over("jobs", 10, 3);
    cr_assert_eq(card_picks(&sd), 3);
}

Test(card, none_is_kept_if_none_is_wanted)
{
    sd.opt.business_card = CARD_NOT;
    hand_over("jobs", 10, 3);
    cr_assert_eq(card_picks(&sd), 0);
}

/* The policy's choice stays as it is, unless the program wants the card's order. */
Test(card, order)
{
    hand_over("jobs", 11, 2);
    for (int use = CARD_SPARE; use <= CARD_FIRST; use++) {
        static const uint32_t expected[][4] = {{10, 12, 13, 11}, {11, 12, 10, 13}};
        static const uint32_t chosen[] = {10, 12, 13, 11};
        for (int i = 0; i < 4; i++) {
            user.picks[i].pe_id = chosen[i];
        }
        sd.opt.business_card = use;
        card_sort(&sd, 4);
        for (int i = 0; i < 4; i++) {
            cr_assert_eq(user.picks[i].pe_id, expected[use - CARD_SPARE][i]);
        }
    }
}
