/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one host may cost the registrar (security.md §6.3). */
#include "registrar_fixture.h"

#include "rspd/registrar/rg_internal.h"

static void open_limited(void)
{
    open_bench();
    b.set.host_assocs = 4;
    b.set.host_elements = 10;
    b.set.host_messages = 100;
    b.set.keep_alive_ms = 0;
    reconfigure();
    /* Those of the fixture were there before: they are not limited. */
}

TestSuite(limits, .init = open_limited, .fini = close_bench);

/** Association `n` of host 10.0.0.`host`. */
static void open_assoc(uint64_t n, unsigned host)
{
    struct ip_address a = host_address(host);
    rg_assoc_up(b.rg, n, &a, 1, 5000, b.now);
}

static bool refused(void)
{
    struct action *a = next_of(ACTION_DISCONNECT);
    action_free(a);
    return a != NULL;
}

static unsigned answers(uint64_t assoc, unsigned questions)
{
    unsigned n = 0;
    for (unsigned i = 0; i < questions; i++) {
        resolve("none", assoc, 1, false);
    }
    while (told(assoc)) {
        n++;
    }
    return n;
}

Test(limits, associations_of_a_host)
{
    for (uint64_t n = 10; n < 14; n++) {
        open_assoc(n, 7);
        cr_assert_not(refused());
    }
    open_assoc(14, 7);
    cr_assert(refused());
    cr_assert_eq(answers(14, 1), 0);
    open_assoc(15, 8);
    cr_assert_not(refused(), "another host is not concerned");
    rg_assoc_down(b.rg, 10, b.now);
    open_assoc(16, 7);
    cr_assert_not(refused());
}

/* Opening and closing all the time is limited, too. */
Test(limits, new_associations_of_a_host)
{
    unsigned allowed = 0;
    for (uint64_t n = 100; n < 1100; n++) {
        open_assoc(n, 7);
        if (!refused()) {
            allowed++;
            rg_assoc_down(b.rg, n, b.now);
        }
    }
    cr_assert_eq(allowed, 100);
    b.now = tm_add_ms(b.now, 1000);
    for (uint64_t n = 2000; n < 2100; n++) {
        open_assoc(n, 7);
        if (!refused()) {
            allowed++;
            rg_assoc_down(b.rg, n, b.now);
        }
    }
    cr_assert_eq(allowed, 120);
}

Test(limits, messages_of_a_host)
{
    open_assoc(10, 7);
    open_assoc(11, 7);
    open_assoc(12, 8);
    cr_assert_eq(answers(10, 150), 150);
    cr_assert_eq(answers(11, 150), 50, "two seconds' worth, whatever the association");
    cr_assert_eq(answers(12, 10), 10, "another host is not concerned");
    b.now = tm_add_ms(b.now, 500);
    cr_assert_eq(answers(10, 100), 50);
    /* Who goes on is cut off, with all it has, and comes back later. */
    for (unsigned i = 0; i < 600; i++) {
        resolve("none", 10, 1, false);
    }
    expect_event(EVENT_CLIENT_REJECTED, "10.0.0.7 sends far more than 100 messages a second");
    cr_assert(refused());
    open_assoc(13, 7);
    cr_assert(refused());
    cr_assert_eq(answers(11, 1), 0);
    cr_assert_eq(answers(12, 10), 10);
    b.now = tm_add_ms(b.now, 10000);
    open_assoc(14, 7);
    cr_assert_not(refused());
    cr_assert_eq(answers(14, 150), 150);
}

/* Who acts for many elements has more to say: so much more each. */
Test(limits, more_for_many_elements)
{
    open_assoc(7, 7);
    for (uint32_t id = 1; id <= 10; id++) {
        join("web", id, 7);
    }
    b.now = tm_add_ms(b.now, 60000);
    cr_assert_eq(answers(7, 1000), 240);
}

Test(limits, elements_of_a_host)
{
    open_assoc(7, 7);
    for (uint32_t id = 1; id <= 10; id++) {
        join("web", id, 7);
    }
    (void)prepare_pe("web", 11, 7);
    say(7);
    expect_response(7, ASAP_REGISTRATION_RESPONSE, CAUSE_LACK_OF_RESOURCES);
    cr_assert_not(registered("web", 11));
    join("web", 10, 7); /* one it has */
    leave("web", 1, 7);
    expect_response(7, ASAP_DEREGISTRATION_RESPONSE, 0);
    join("web", 11, 7);
    open_assoc(8, 8);
    join("web", 12, 8);
    /* The local agent is not limited. */
    for (uint32_t id = 100; id < 150; id++) {
        (void)prepare_pe("web", id, 77);
        say(LOCAL_ASSOC);
        expect_response(LOCAL_ASSOC, ASAP_REGISTRATION_RESPONSE, 0);
    }
}

/* However many hosts there were: those of whom nothing is left are forgotten. */
Test(limits, many_hosts)
{
    for (uint32_t n = 0; n < 20000; n++) {
        struct ip_address a = {.family = IP_V4, .octets = {10, 1, (uint8_t)(n >> 8), (uint8_t)n}};
        rg_assoc_up(b.rg, 100 + n, &a, 1, 5000, b.now);
        cr_assert_not(refused());
        rg_assoc_down(b.rg, 100 + n, b.now);
    }
}

/* New elements come at a rate; more of them are not refused, but have to come again. */
Test(limits, new_elements_of_a_host)
{
    b.set.host_elements = 10000;
    b.set.host_messages = 100000;
    reconfigure();
    open_assoc(7, 7);
    unsigned taken = 0;
    for (uint32_t id = 1; id <= 3000; id++) {
        (void)prepare_pe("web", id, 7);
        say(7);
        taken += told(7) && b.reply.cause_count == 0;
    }
    cr_assert_eq(taken, 2000);
    cr_assert_not(registered("web", 2001));
    b.now = tm_add_ms(b.now, 100);
    for (uint32_t id = 2001; id <= 3000; id++) {
        (void)prepare_pe("web", id, 7);
        say(7);
        taken += told(7) && b.reply.cause_count == 0;
    }
    cr_assert_eq(taken, 2050);
    join("web", 1, 7); /* one it has */
}

/* Five seconds' worth over the rate are only left unread; one more, and the host is cut off. */
Test(limits, when_a_flood_is_one)
{
    open_assoc(10, 7);
    cr_assert_eq(answers(10, 200 + 500), 200);
    cr_assert_not(refused());
    resolve("none", 10, 1, false);
    expect_event(EVENT_CLIENT_REJECTED, "10.0.0.7 sends far more than 100 messages a second: cut "
                                        "off for 10 s");
    cr_assert(refused());
    b.now = tm_add_ms(b.now, 9999);
    open_assoc(11, 7);
    cr_assert(refused());
    b.now = tm_add_ms(b.now, 1);
    open_assoc(12, 7);
    cr_assert_not(refused());
}

/* Who is cut off loses its other associations with the next message there. */
Test(limits, all_associations_of_a_flood)
{
    open_assoc(10, 7);
    open_assoc(11, 7);
    drain();
    for (unsigned i = 0; i < 800; i++) {
        resolve("none", 10, 1, false);
    }
    cr_assert(refused());
    cr_assert_not_null(rg_assoc_find(b.rg, 11));
    cr_assert_eq(answers(11, 1), 0);
    cr_assert_null(rg_assoc_find(b.rg, 11));
    b.now = tm_add_ms(b.now, 10000);
    open_assoc(12, 7);
    cr_assert_eq(answers(12, 1), 1);
}

/* Those who have nothing here are forgotten when there are too many, the others are not. */
Test(limits, who_is_remembered)
{
    open_assoc(10, 1);
    for (unsigned i = 0; i < 4200; i++) {
        struct ip_address a = {.family = IP_V4, .octets = {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
        rg_assoc_up(b.rg, 100 + i, &a, 1, 5000, b.now);
        if (i > 1) {
            rg_assoc_down(b.rg, 100 + i, b.now);
        }
    }
    drain();
    cr_assert_lt(b.rg->principals.count, 300);
    uint32_t most = b.set.host_assocs;
    for (unsigned k = 0; k < most; k++) {
        struct ip_address a = {.family = IP_V4, .octets = {10, 1, 0, 1}};
        rg_assoc_up(b.rg, 9000 + k, &a, 1, 5000, b.now);
    }
    cr_assert(refused(), "the one it has still counts");
}
