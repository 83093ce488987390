/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registrar: handle resolution and dynamic updates (asap: … ).
 */
#include "registrar_fixture.h"

#include <stdio.h>

TestSuite(resolution, .init = open_bench, .fini = close_bench);

/* asap */
Test(resolution, unknown_pool)
{
    resolve("none", PU_HOST, 0, true);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, CAUSE_UNKNOWN_POOL_HANDLE);
    cr_assert_eq(b.reply.element_count, 0);
    cr_assert(!b.reply.has_policy);
    cr_assert_eq(b.reply.flags, 0);
}

/* asap: with policy also for Round Robin; no ASAP transport */
Test(resolution, known_pool)
{
    join("web", 7, PE_HOST);
    resolve("web", PU_HOST, 0, false);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert(b.reply.has_policy);
    cr_assert_eq(b.reply.policy.type, POLICY_RR);
    cr_assert_eq(b.reply.element_count, 1);
    const struct pool_element *pe = &b.reply.elements[0];
    cr_assert_eq(pe->pe_id, 7);
    cr_assert_eq(pe->home_id, RG_ID);
    cr_assert_eq(pe->registration_life, 300000);
    cr_assert_eq(pe->user.port, 80);
    cr_assert_eq(pe->user.addresses[0].octets[3], PE_HOST);
    cr_assert_eq(pe->asap.protocol, TRANSPORT_NONE);
    cr_assert_eq(b.reply.flags, 0);
}

/* asap, asap.md §9 */
Test(resolution, item_count)
{
    static const struct {
        uint32_t asked, got;
    } table[] = {{0, 3}, {1, 1}, {5, 5}, {200, 128}, {ASAP_ITEMS_ALL, 128}};
    for (uint32_t i = 1; i <= 150; i++) {
        join("web", i, PE_HOST);
    }
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        resolve("web", PU_HOST, table[i].asked, false);
        expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
        cr_assert_eq(b.reply.element_count, table[i].got);
    }
    /* asap.md §9: 0 is as absent */
    resolve("web", PU_HOST, 1, false);
    drain();
    b.msg.items = 0;
    say(PU_HOST);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert_eq(b.reply.element_count, 3);
    b.set.items_default = 128;
    reconfigure();
    resolve("web", PU_HOST, 0, false);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert_eq(b.reply.element_count, 128);
}

/* asap:A-85,
 * policies:P-5, P-22 through the wire, and the policy parameter of the first one listed */
Test(resolution, follows_the_policy)
{
    for (uint32_t i = 1; i <= 3; i++) {
        prepare_pe("lu", i, PE_HOST)->policy =
            (struct policy){.type = POLICY_LU, .word_count = 1, .words = {(4 - i) << 20}};
        say(PE_HOST);
        join("rr", i, PE_HOST);
    }
    drain();
    resolve("lu", PU_HOST, 3, false);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert_eq(b.reply.elements[i].pe_id, 3 - i);
    }
    cr_assert_eq(b.reply.policy.words[0], 1u << 20);
    for (uint32_t i = 0; i < 9; i++) {
        resolve("rr", PU_HOST, 1, false);
        expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
        cr_assert_eq(b.reply.elements[0].pe_id, i % 3 + 1);
    }
}

/* asap:A-154: answers in the order of the requests */
Test(resolution, in_order)
{
    join("web", 7, PE_HOST);
    drain();
    resolve("web", PE_HOST, 1, false);
    leave("web", 7, PE_HOST);
    resolve("web", PE_HOST, 1, false);
    (void)prepare_pe("web", 7, PE_HOST);
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    expect_response(PE_HOST, ASAP_DEREGISTRATION_RESPONSE, 0);
    expect_response(PE_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, CAUSE_UNKNOWN_POOL_HANDLE);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    cr_assert(silent());
}

/* Loopback means this host: it never leaves it. */
Test(resolution, loopback_stays_here)
{
    struct ip_address both[] = {{.family = IP_V4, .octets = {127, 0, 0, 1}}, host_address(77)};
    struct pool_element *pe = prepare_pe("web", 7, 77);
    pe->user.protocol = TRANSPORT_SCTP; /* the one with several addresses */
    pe->user.addresses = both;
    say(LOCAL_ASSOC);
    pe = prepare_pe("web", 8, 77);
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.addresses = both;
    pe->user.address_count = 2;
    say(LOCAL_ASSOC);
    pe = prepare_pe("only", 9, 77);
    pe->user.addresses = both;
    say(LOCAL_ASSOC);
    drain();
    resolve("web", PU_HOST, 10, false);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert_eq(b.reply.element_count, 1);
    cr_assert_eq(b.reply.elements[0].pe_id, 8);
    cr_assert_eq(b.reply.elements[0].user.address_count, 1);
    cr_assert_eq(b.reply.elements[0].user.addresses[0].octets[0], 10);
    resolve("only", PU_HOST, 10, false);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, CAUSE_UNKNOWN_POOL_HANDLE);
    resolve("web", LOCAL_ASSOC, 10, false);
    expect_response(LOCAL_ASSOC, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert_eq(b.reply.element_count, 2);
    rg_assoc_up(b.rg, 9, both, 1, 1, b.now);
    resolve("only", 9, 10, false);
    expect_response(9, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
}

/* More addresses than one message may hold: fewer elements, not none. */
Test(resolution, large_answers_are_cut)
{
    static struct ip_address many[40];
    for (int i = 0; i < 40; i++) {
        many[i] = host_address((unsigned)i + 1);
    }
    for (uint32_t i = 1; i <= 128; i++) {
        struct pool_element *pe = prepare_pe("web", i, 77);
        pe->user.protocol = TRANSPORT_SCTP;
        pe->user.addresses = many;
        pe->user.address_count = 40;
        say(LOCAL_ASSOC);
    }
    drain();
    resolve("web", PU_HOST, ASAP_ITEMS_ALL, false);
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert_eq(b.reply.element_count, 25);
}

/* --- dynamic updates (asap.md §5.5) -------------------------------------------------------------
 */

static void subscribe(const char *handle, uint64_t assoc)
{
    resolve(handle, assoc, 10, true);
    expect_response(assoc, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
    drain();
}

static void expect_update(uint64_t assoc, unsigned elements)
{
    cr_assert(told(assoc), "no update");
    cr_assert_eq(b.reply.type, ASAP_HANDLE_RESOLUTION_RESPONSE);
    cr_assert_eq(b.reply.element_count, elements);
    cr_assert_eq(b.reply.flags, elements > 0 ? ASAP_FLAG : 0);
}

/* asap:A-27: one update for what happens within the gathering time */
Test(resolution, updates_are_gathered)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
    join("web", 1, PE_HOST);
    join("other", 1, PE_HOST);
    subscribe("web", PU_HOST);
    pass_ms(1000);
    cr_assert(silent());
    join("web", 2, PE_HOST);
    pass_ms(50);
    join("web", 3, PE_HOST);
    drain();
    join("other", 2, PE_HOST);
    drain();
    pass_ms(49);
    cr_assert(silent());
    pass_ms(1);
    expect_update(PU_HOST, 3);
    cr_assert(silent());
    /* What has gone is told soon, with what went in the same moment. */
    pass_ms(1000);
    leave("web", 1, PE_HOST);
    leave("web", 3, PE_HOST);
    drain();
    pass_ms(1);
    cr_assert(silent());
    pass_ms(1);
    expect_update(PU_HOST, 1);
    cr_assert(silent());
    join("web", 1, PE_HOST);
    leave("web", 1, PE_HOST);
    drain();
    pass_ms(9);
    cr_assert(silent());
    pass_ms(1);
    expect_update(PU_HOST, 1);
    pass_ms(1000);
    cr_assert(silent());
    /* A renewal changes nothing. */
    join("web", 2, PE_HOST);
    pass_ms(1000);
    cr_assert(silent());
    /* Unsubscribed by a request without S. */
    resolve("web", PU_HOST, 1, false);
    drain();
    join("web", 5, PE_HOST);
    pass_ms(1000);
    cr_assert(silent());
}

/* asap:A-27: what other registrars tell, too: what has gone at once, what changed with others. */
Test(resolution, updates_of_what_others_tell)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
    join("web", 1, PE_HOST);
    join("web", 2, PE_HOST);
    subscribe("web", PU_HOST);
    pass_ms(1000);
    drain();
    rg_element_changed(b.rg, pool_handle_of("web"), 2, b.now);
    pass_ms(99);
    cr_assert(silent());
    pass_ms(1);
    expect_update(PU_HOST, 2);
    pass_ms(1000);
    cr_assert_eq(hs_deregister(b.hs, pool_handle_of("web"), 2), HS_REMOVED);
    rg_element_changed(b.rg, pool_handle_of("web"), 2, b.now);
    pass_ms(1);
    cr_assert(silent());
    pass_ms(1);
    expect_update(PU_HOST, 1);
}

Test(resolution, loads_alone_are_no_update)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
    prepare_pe("lu", 1, PE_HOST)->policy = (struct policy){.type = POLICY_LU, .word_count = 1};
    say(PE_HOST);
    drain();
    subscribe("lu", PU_HOST);
    for (uint32_t load = 1; load < 10; load++) {
        prepare_pe("lu", 1, PE_HOST)->policy =
            (struct policy){.type = POLICY_LU, .word_count = 1, .words = {load << 24}};
        say(PE_HOST);
        expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
        cr_assert_null(outbox_take(&b.out));
    }
    pass_ms(1000);
    cr_assert(silent());
}

/* The pool vanishes: said once, subscription gone, also for a pool of that name later. */
Test(resolution, vanished_pool)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
    join("web", 1, PE_HOST);
    subscribe("web", PU_HOST);
    subscribe("web", OTHER_HOST);
    rg_assoc_down(b.rg, OTHER_HOST, b.now);
    rg_assoc_down(b.rg, PE_HOST, b.now);
    drain();
    pass_ms(100);
    cr_assert(told(PU_HOST));
    cr_assert_eq(b.reply.causes[0].code, CAUSE_UNKNOWN_POOL_HANDLE);
    cr_assert_eq(b.reply.flags, 0);
    cr_assert(silent());
    up(PE_HOST);
    join("web", 1, PE_HOST);
    pass_ms(1000);
    cr_assert(silent());
    /* S for a pool that is unknown is not kept for later. */
    resolve("later", PU_HOST, 1, true);
    drain();
    join("later", 1, PE_HOST);
    pass_ms(1000);
    cr_assert(silent());
}

/* A=0 when there is no room for another subscription. */
Test(resolution, subscriptions_are_bounded)
{
    char name[16];
    for (int i = 0; i < 1025; i++) {
        (void)snprintf(name, sizeof(name), "pool%d", i);
        join(name, 1, PE_HOST);
        drain();
        resolve(name, PU_HOST, 1, true);
        expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, 0);
        cr_assert_eq(b.reply.flags, i < 1024 ? ASAP_FLAG : 0);
    }
    subscribe("pool7", PU_HOST);
    rg_assoc_down(b.rg, PU_HOST, b.now);
    drain();
    rg_assoc_down(b.rg, PE_HOST, b.now);
    drain();
    pass_ms(1000);
    cr_assert(silent());
}
