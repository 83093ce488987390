/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/role.h"

#include <criterion/criterion.h>
#include <string.h>

static const struct tm_us START = {1000000};

static struct role_settings settings(enum role_mode mode)
{
    return (struct role_settings){.mode = mode, .wanted = 1, .most = 1, .announce_ms = 1000};
}

static struct role started(struct role_settings s)
{
    struct role role;
    role_init(&role, &s, 7, START);
    return role;
}

Test(role, yes_and_no_are_final)
{
    struct role_view view = {.can_hear = true, .others = 5, .lower_ids = 5};
    struct role yes = started(settings(ROLE_YES));
    struct role no = started(settings(ROLE_NO));
    cr_assert(yes.registrar && yes.decided && tm_is_never(role_next(&yes)));
    cr_assert(!no.registrar && no.decided);
    cr_assert(!role_step(&yes, &view, tm_add_ms(START, 60000)));
    view.others = 0;
    cr_assert(!role_step(&no, &view, tm_add_ms(START, 60000)));
    cr_assert(yes.registrar && !no.registrar);
}

Test(role, auto_serves_its_host_while_it_listens)
{
    struct role role = started(settings(ROLE_AUTO));
    cr_assert(role.registrar && !role.decided);
    int64_t wait = tm_diff_ms(role_next(&role), START);
    cr_assert(wait >= 3000 && wait <= 5000);
}

Test(role, auto_alone_decides_at_once)
{
    struct role role = started(settings(ROLE_AUTO));
    struct role_view view = {.can_hear = false};
    cr_assert(role_step(&role, &view, START));
    cr_assert(role.registrar && role.decided && tm_is_never(role_next(&role)));
    cr_assert(strstr(role.why, "loopback") != NULL);
}

Test(role, auto_is_one_when_none_is_heard)
{
    struct role role = started(settings(ROLE_AUTO));
    struct role_view view = {.can_hear = true};
    cr_assert(!role_step(&role, &view, tm_add_ms(START, 2999)));
    cr_assert(role_step(&role, &view, role_next(&role)));
    cr_assert(role.registrar && role.decided);
    cr_assert_str_eq(role.why, "no other registrar is heard");
}

Test(role, auto_is_none_when_one_is_heard)
{
    struct role role = started(settings(ROLE_AUTO));
    struct role_view view = {.can_hear = true, .others = 1};
    cr_assert(role_step(&role, &view, tm_add_ms(START, 10)), "no need to listen on");
    cr_assert(!role.registrar && role.decided);
    cr_assert_str_eq(role.why, "1 other registrar is heard, 1 wanted");
}

Test(role, auto_does_not_listen_on_when_enough_are_heard)
{
    struct role_settings s = settings(ROLE_AUTO);
    s.wanted = 2;
    struct role role = started(s);
    struct role_view view = {.can_hear = true, .others = 1};
    cr_assert(!role_step(&role, &view, tm_add_ms(START, 100)));
    view.others = 2;
    cr_assert(role_step(&role, &view, tm_add_ms(START, 200)));
    cr_assert(!role.registrar && role.decided && tm_is_never(role_next(&role)));
}

Test(role, auto_hears_all_who_serve_before_it_is_one_more)
{
    struct role_settings s = settings(ROLE_AUTO);
    s.wanted = 2;
    struct role_view view = {.can_hear = true, .others = 1};
    /* Two that serve announce every two seconds each: the second one is heard that late. */
    struct role early = started(s);
    cr_assert(!role_step(&early, &view, tm_add_ms(START, 50)));
    cr_assert(!role_step(&early, &view, tm_add_ms(START, 2300)));
    view.others = 2;
    cr_assert(role_step(&early, &view, tm_add_ms(START, 2310)) && !early.registrar);
    /* One that has just become one is joined soon. */
    struct role late = started(s);
    view.others = 1;
    cr_assert(!role_step(&late, &view, tm_add_ms(START, 2900)));
    cr_assert(tm_before(role_next(&late), tm_add_ms(START, 3401)));
    cr_assert(role_step(&late, &view, role_next(&late)) && late.registrar);
}

Test(role, auto_takes_over_when_the_others_are_gone)
{
    struct role role = started(settings(ROLE_AUTO));
    struct role_view view = {.can_hear = true, .others = 1};
    (void)role_step(&role, &view, role_next(&role));
    view.others = 0;
    struct tm_us lost = tm_add_ms(START, 60000);
    cr_assert(!role_step(&role, &view, lost));
    struct tm_us at = role_next(&role);
    cr_assert(tm_diff_ms(at, lost) >= 3000);
    view.others = 1; /* it is back: nothing happens */
    cr_assert(!role_step(&role, &view, tm_add_ms(lost, 1000)));
    cr_assert(tm_is_never(role_next(&role)));
    view.others = 0;
    cr_assert(!role_step(&role, &view, tm_add_ms(lost, 2000)));
    cr_assert(role_step(&role, &view, role_next(&role)));
    cr_assert(role.registrar);
}

Test(role, of_too_many_the_highest_identifier_steps_down)
{
    struct role low = started(settings(ROLE_AUTO));
    struct role high = started(settings(ROLE_AUTO));
    struct role_view none = {.can_hear = true};
    (void)role_step(&low, &none, role_next(&low));
    (void)role_step(&high, &none, role_next(&high));
    struct role_view from_low = {.can_hear = true, .others = 1, .lower_ids = 0};
    struct role_view from_high = {.can_hear = true, .others = 1, .lower_ids = 1};
    struct tm_us met = tm_add_ms(START, 60000);
    cr_assert(!role_step(&low, &from_low, met));
    cr_assert(low.registrar);
    cr_assert(role_step(&high, &from_high, met));
    cr_assert(low.registrar && !high.registrar);
    struct role_view alone = {.can_hear = true}; /* it is heard of no more, after a while */
    cr_assert(!role_step(&low, &alone, tm_add_ms(met, 6000)));
    cr_assert(low.registrar && tm_is_never(role_next(&low)));
}

/* One that was told to be registrar does not step down, whatever its identifier. */
Test(role, auto_yields_to_one_that_stays)
{
    struct role role = started(settings(ROLE_AUTO));
    struct role_view view = {.can_hear = true};
    (void)role_step(&role, &view, role_next(&role));
    cr_assert(role.registrar);
    view.others = 1;
    struct tm_us met = tm_add_ms(START, 60000);
    cr_assert(!role_step(&role, &view, met));
    cr_assert_geq(tm_diff_ms(role_next(&role), met), 12000);
    cr_assert(role_step(&role, &view, role_next(&role)));
    cr_assert(!role.registrar);
    /* Where several are wanted, those with lower identifiers stay. */
    struct role_settings s = settings(ROLE_AUTO);
    s.wanted = 2;
    s.most = 5;
    struct role many = started(s);
    struct role_view five = {.can_hear = true, .others = 1};
    (void)role_step(&many, &five, role_next(&many));
    five.others = 5;
    five.lower_ids = 4;
    cr_assert(many.registrar && !role_step(&many, &five, met));
    cr_assert(tm_is_never(role_next(&many)));
}

Test(role, registrars_given_by_hand_make_auto_an_agent)
{
    struct role_settings s = settings(ROLE_AUTO);
    s.registrars_given = true;
    struct role role = started(s);
    struct role_view view = {.can_hear = true};
    cr_assert(!role.registrar && role.decided);
    cr_assert(!role_step(&role, &view, tm_add_ms(START, 60000)));
    cr_assert(!role.registrar);
}
