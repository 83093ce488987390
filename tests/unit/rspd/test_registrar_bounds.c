/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registrar's rules at their very edges: rates, prefixes, what is registered and told. */
#include "registrar_fixture.h"

#include "rspd/registrar/rg_internal.h"

TestSuite(bounds, .init = open_bench, .fini = close_bench);

static unsigned count_of(enum action_kind kind)
{
    unsigned n = 0;
    struct action *a;
    while ((a = next_of(kind)) != NULL) {
        action_free(a);
        n++;
    }
    return n;
}

static struct ip_address v4(uint8_t a, uint8_t d, uint8_t c, uint8_t e)
{
    return (struct ip_address){.family = IP_V4, .octets = {a, d, c, e}};
}

static void quiet(void)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
}

/* --- one association, many elements --------------------------------------------------------------
 */

/* What an ended association leaves behind goes bit by bit; others are answered in between. */
Test(bounds, orphans_go_bit_by_bit)
{
    enum { PES = 1000, AT_ONCE = 256, OTHERS = 1 };
    quiet();
    for (uint32_t i = 1; i <= PES; i++) {
        join("web", i, PE_HOST);
    }
    join("other", 5, OTHER_HOST);
    rg_assoc_down(b.rg, PE_HOST, b.now);
    for (unsigned turns = 1; hs_element_count(b.hs) > OTHERS; turns++) {
        cr_assert_eq(hs_element_count(b.hs), PES + OTHERS - turns * AT_ONCE);
        join("other", 5, OTHER_HOST);
        b.now = tm_add_ms(b.now, 1);
        cr_assert_leq(rg_next_timer(b.rg).us, b.now.us, "the next are due soon");
        rg_timer(b.rg, b.now);
    }
    drain();
    rg_timer(b.rg, b.now);
    cr_assert_gt(rg_next_timer(b.rg).us, b.now.us, "nothing is left to do");
    cr_assert_not_null(hs_find(b.hs, pool_handle_of("other"), 5));
}

/* Several that end together; what is left of them goes with the registrar. */
Test(bounds, orphans_of_several)
{
    quiet();
    for (uint32_t i = 1; i <= 600; i++) {
        join("web", i, i <= 300 ? PE_HOST : OTHER_HOST);
    }
    rg_assoc_down(b.rg, PE_HOST, b.now);
    rg_assoc_down(b.rg, OTHER_HOST, b.now);
    cr_assert_eq(hs_element_count(b.hs), 600 - 2 * 256);
    b.now = tm_add_ms(b.now, 1);
    rg_timer(b.rg, b.now);
    cr_assert_eq(hs_element_count(b.hs), 44);
    cr_assert_eq(tm_diff_ms(rg_next_timer(b.rg), b.now), 1);
}

/* --- rates and times ----------------------------------------------------------------------------
 */

/* Refusals are said 50 at once, then five a second. */
Test(bounds, events_at_a_rate)
{
    static const struct {
        int64_t after_ms;
        unsigned said;
    } table[] = {{0, 50}, {199, 0}, {1, 1}, {399, 1}, {3600000, 50}};
    join("web", 7, PE_HOST);
    drain();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        b.now = tm_add_ms(b.now, table[i].after_ms);
        for (int k = 0; k < 100; k++) {
            leave("web", 7, OTHER_HOST);
        }
        cr_assert_eq(count_of(ACTION_EVENT), table[i].said, "row %zu", i);
    }
    b.now = tm_add_ms(b.now, 3600000);
    leave("web", 7, OTHER_HOST); /* one of fifty: what is left does not add up with what comes */
    b.now = tm_add_ms(b.now, 3600000);
    drain();
    for (int k = 0; k < 200; k++) {
        leave("web", 7, OTHER_HOST);
    }
    cr_assert_eq(count_of(ACTION_EVENT), 50);
}

/* asap:A-101: the first announce at once, then (N+1)·T6 ± 1/8 with both ends. */
Test(bounds, announce_times)
{
    cr_assert_eq(rg_next_timer(b.rg).us, b.now.us);
    for (uint32_t peers = 0; peers <= 4; peers += 4) {
        int64_t period = 1000 * (1 + (int64_t)peers);
        int64_t least = INT64_MAX;
        int64_t most = 0;
        rg_set_peer_count(b.rg, peers);
        for (int i = 0; i < 20000; i++) {
            b.now = rg_next_timer(b.rg);
            rg_timer(b.rg, b.now);
            int64_t pause = tm_diff_ms(rg_next_timer(b.rg), b.now);
            least = pause < least ? pause : least;
            most = pause > most ? pause : most;
            drain();
        }
        cr_assert_eq(least, period - period / 8);
        cr_assert_eq(most, period + period / 8);
    }
    /* New settings bring the next one nearer, never farther; on demand it is due at once. */
    rg_set_peer_count(b.rg, 0);
    b.set.announce_ms = 100;
    reconfigure();
    struct tm_us next = rg_next_timer(b.rg);
    cr_assert(tm_diff_ms(next, b.now) >= 88 && tm_diff_ms(next, b.now) <= 112);
    b.set.announce_ms = 1000000;
    reconfigure();
    cr_assert_eq(rg_next_timer(b.rg).us, next.us);
    rg_announce_soon(b.rg, b.now);
    cr_assert_eq(rg_next_timer(b.rg).us, b.now.us);
    rg_timer(b.rg, b.now);
    struct action *a = must(next_of(ACTION_ANNOUNCE));
    cr_assert_eq(a->registrar_id, RG_ID);
    action_free(a);
}

/* Ten malformed messages in a minute are borne, the eleventh ends the association. */
Test(bounds, malformed_in_a_minute)
{
    static const uint8_t rubbish[] = {0x01, 0, 0, 20};
    for (int i = 0; i < 10; i++) {
        rg_message(b.rg, PE_HOST, rubbish, sizeof(rubbish), b.now);
        rg_message(b.rg, OTHER_HOST, rubbish, sizeof(rubbish), b.now);
    }
    cr_assert_eq(count_of(ACTION_DISCONNECT), 0);
    b.now = tm_add_ms(b.now, 59999);
    rg_message(b.rg, PE_HOST, rubbish, sizeof(rubbish), b.now);
    expect_event(EVENT_CLIENT_REJECTED,
                 "association with 10.0.0.1 aborted: 11 malformed messages, the last: ");
    cr_assert_eq(count_of(ACTION_DISCONNECT), 1);
    b.now = tm_add_ms(b.now, 1);
    for (int i = 0; i < 10; i++) {
        rg_message(b.rg, OTHER_HOST, rubbish, sizeof(rubbish), b.now);
    }
    cr_assert_eq(count_of(ACTION_DISCONNECT), 0, "the minute is over");
    rg_message(b.rg, OTHER_HOST, rubbish, sizeof(rubbish), b.now);
    cr_assert_eq(count_of(ACTION_DISCONNECT), 1);
}

/* What cannot be read is answered in the kind of the request; only a registration's refusal has the
 * R flag, and only a resolution's names no element. */
Test(bounds, answers_to_malformed_requests)
{
    static const struct {
        enum asap_type request, answer;
        uint8_t flags;
        bool pe_id;
    } table[] = {
        {ASAP_REGISTRATION, ASAP_REGISTRATION_RESPONSE, ASAP_FLAG, true},
        {ASAP_DEREGISTRATION, ASAP_DEREGISTRATION_RESPONSE, 0, true},
        {ASAP_HANDLE_RESOLUTION, ASAP_HANDLE_RESOLUTION_RESPONSE, 0, false},
        {ASAP_ENDPOINT_UNREACHABLE, ASAP_ERROR, 0, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        (void)prepare_pe("web", 7, PE_HOST);
        b.msg.type = table[i].request;
        b.msg.has_pe_id = true;
        b.msg.pe_id = 7;
        int len = asap_encode(&b.msg, b.octets, sizeof(b.octets));
        cr_assert_gt(len, 0);
        static const uint8_t broken[] = {0, 10, 0, 2};
        memcpy(b.octets + len, broken, sizeof(broken));
        len += (int)sizeof(broken);
        b.octets[2] = (uint8_t)(len >> 8);
        b.octets[3] = (uint8_t)len;
        rg_message(b.rg, PE_HOST, b.octets, (size_t)len, b.now);
        if (table[i].request == ASAP_REGISTRATION) {
            expect_event(EVENT_PE_REFUSED, "malformed: ");
            rg_message(b.rg, PE_HOST, b.octets, (size_t)len, b.now);
        }
        cr_assert(told(PE_HOST), "row %zu", i);
        cr_assert_eq(b.reply.type, table[i].answer);
        cr_assert_eq(b.reply.flags, table[i].flags);
        cr_assert_eq(b.reply.has_pe_id, table[i].pe_id);
        cr_assert_eq(b.reply.cause_count, 1);
        cr_assert(silent());
        cr_assert(!registered("web", 7));
    }
}

/* --- who may register ---------------------------------------------------------------------------
 */

static bool may(const struct ip_address *addresses, size_t count, const char *pool)
{
    rg_assoc_up(b.rg, 50, addresses, count, 5000, b.now);
    return rg_assoc_may_register(b.rg, rg_assoc_find(b.rg, 50), pool_handle_of(pool));
}

/* A prefix counts bit by bit, and one longer than the address holds nothing. */
Test(bounds, prefixes)
{
    const struct {
        struct ip_address prefix;
        uint8_t len;
        struct ip_address address;
        bool holds;
    } table[] = {
        {v4(0, 0, 0, 0), 0, v4(203, 0, 113, 9), true},
        {v4(128, 0, 0, 0), 1, v4(203, 0, 113, 9), true},
        {v4(128, 0, 0, 0), 1, v4(100, 1, 1, 1), false},
        {v4(10, 0, 0, 0), 7, v4(11, 0, 0, 1), true},
        {v4(10, 0, 0, 0), 8, v4(10, 255, 0, 1), true},
        {v4(10, 0, 0, 0), 8, v4(11, 0, 0, 1), false},
        {v4(10, 0, 0, 0), 9, v4(10, 127, 0, 1), true},
        {v4(10, 0, 0, 0), 9, v4(10, 128, 0, 1), false},
        {v4(10, 0, 0, 0), 15, v4(10, 1, 0, 1), true},
        {v4(10, 0, 0, 0), 15, v4(10, 2, 0, 1), false},
        {v4(10, 0, 0, 6), 31, v4(10, 0, 0, 7), true},
        {v4(10, 0, 0, 6), 31, v4(10, 0, 0, 8), false},
        {v4(10, 0, 0, 7), 32, v4(10, 0, 0, 7), true},
        {v4(10, 0, 0, 7), 32, v4(10, 0, 0, 6), false},
        {v4(10, 0, 0, 7), 33, v4(10, 0, 0, 7), false},
        {{.family = IP_V6, .octets = {0x20, 1}}, 128, {.family = IP_V6, .octets = {0x20, 1}}, true},
        {{.family = IP_V6, .octets = {0x20, 1}},
         129,
         {.family = IP_V6, .octets = {0x20, 1}},
         false},
        {v4(0, 0, 0, 0), 0, {.family = IP_V6, .octets = {0x20, 1}}, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct rg_prefix allow = {.address = table[i].prefix, .len = table[i].len};
        b.set.allow = &allow;
        b.set.allow_count = 1;
        reconfigure();
        cr_assert_eq(may(&table[i].address, 1, "web"), table[i].holds, "row %zu", i);
    }
}

static struct rg_prefix pool_prefix;

static const struct rg_prefix *web_only(void *ctx, struct pool_handle handle, size_t *ret_count)
{
    (void)ctx;
    *ret_count = pool_handle_equal(handle, pool_handle_of("web")) ? 1 : 0;
    return *ret_count > 0 ? &pool_prefix : NULL;
}

/* Every address must be allowed; link-local ones are not judged but do not suffice, loopback does.
 */
Test(bounds, which_addresses_are_judged)
{
    enum { OK, LL, LO, BAD };
    const struct ip_address kinds[] = {[OK] = host_address(1),
                                       [LL] = v4(169, 254, 0, 1),
                                       [LO] = v4(127, 0, 0, 1),
                                       [BAD] = host_address(9)};
    static const struct {
        size_t count;
        int what[3];
        bool may;
    } table[] = {{0, {0}, false},           {1, {OK}, true},       {1, {LL}, false},
                 {1, {LO}, true},           {1, {BAD}, false},     {2, {LO, LL}, false},
                 {2, {LL, OK}, true},       {2, {OK, LL}, true},   {2, {LO, OK}, true},
                 {3, {LO, LL, OK}, true},   {2, {OK, BAD}, false}, {2, {BAD, OK}, false},
                 {3, {LO, BAD, OK}, false}, {2, {LL, BAD}, false}};
    struct rg_prefix allow = {.address = host_address(0), .len = 30};
    pool_prefix = allow;
    for (int by_pool = 0; by_pool < 2; by_pool++) {
        b.set.allow = by_pool ? NULL : &allow;
        b.set.allow_count = by_pool ? 0 : 1;
        b.set.pool_allow = by_pool ? web_only : NULL;
        reconfigure();
        for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
            struct ip_address addresses[3];
            for (size_t k = 0; k < table[i].count; k++) {
                addresses[k] = kinds[table[i].what[k]];
            }
            cr_assert_eq(may(addresses, table[i].count, "web"), table[i].may, "row %zu", i);
            cr_assert_eq(may(addresses, table[i].count, "other"), table[i].may || by_pool);
        }
    }
}

/* Over an association that shows one address, the pool's prefixes bound what is believed. */
Test(bounds, what_is_believed_over_udp)
{
    pool_prefix = (struct rg_prefix){.address = host_address(0), .len = 30};
    b.set.pool_allow = web_only;
    reconfigure();
    rg_assoc_shows_one(b.rg, PE_HOST);
    const struct rg_assoc *a = rg_assoc_find(b.rg, PE_HOST);
    const struct {
        const char *pool;
        struct ip_address address;
        bool believed;
    } table[] = {
        {"web", host_address(2), true},       {"web", host_address(9), false},
        {"other", host_address(9), true},     {"other", v4(203, 0, 113, 9), true},
        {"other", v4(169, 254, 0, 1), false}, {"other", v4(127, 0, 0, 1), false},
        {"web", host_address(PE_HOST), true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        cr_assert_eq(rg_assoc_may_be_at(b.rg, a, pool_handle_of(table[i].pool), &table[i].address),
                     table[i].believed, "row %zu", i);
    }
}

/* 32 addresses of an association are kept; IPv4 in an IPv6 dress is IPv4; none is no error. */
Test(bounds, addresses_of_an_association)
{
    struct ip_address many[40];
    char text[RG_ASSOC_TEXT_MAX];
    for (unsigned i = 0; i < 40; i++) {
        many[i] = host_address(i + 1);
    }
    rg_assoc_up(b.rg, 50, many, 40, 5000, b.now);
    const struct rg_assoc *a = rg_assoc_find(b.rg, 50);
    cr_assert_eq(a->peer_count, 32);
    cr_assert(rg_assoc_has(a, &many[31]) && !rg_assoc_has(a, &many[32]));
    struct ip_address mapped = {.family = IP_V6, .octets = {[10] = 0xff, [11] = 0xff, 10, 0, 0, 7}};
    rg_assoc_up(b.rg, 50, &mapped, 1, 5000, b.now);
    cr_assert(rg_assoc_has(rg_assoc_find(b.rg, 50), &many[6]));
    rg_assoc_up(b.rg, 51, NULL, 0, 5000, b.now);
    a = rg_assoc_find(b.rg, 51);
    cr_assert_not_null(a);
    cr_assert_str_eq(rg_assoc_text(a, text, sizeof(text)), "an unknown address");
}

/* --- what is registered -------------------------------------------------------------------------
 */

/* Whoever can be reached from elsewhere stands in front, in its order; else all that is proven. */
Test(bounds, order_of_proven_addresses)
{
    struct ip_address all[] = {v4(127, 0, 0, 1), host_address(4), v4(169, 254, 0, 1),
                               host_address(3), host_address(77)};
    struct pool_element *pe = prepare_pe("web", 7, PE_HOST);
    rg_assoc_up(b.rg, PE_HOST, all, 4, 5000, b.now);
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.addresses = all;
    pe->user.address_count = 5;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    pe->pe_id = 8;
    all[1] = all[2];
    pe->user.address_count = 2;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    hs_read_begin();
    const struct hs_element *e = hs_find(b.hs, pool_handle_of("web"), 7);
    cr_assert_eq(hs_user(e).address_count, 2);
    cr_assert_eq(hs_user(e).addresses[0].octets[3], 4);
    cr_assert_eq(hs_user(e).addresses[1].octets[3], 3);
    e = hs_find(b.hs, pool_handle_of("web"), 8);
    cr_assert_eq(hs_user(e).address_count, 2);
    cr_assert_eq(hs_user(e).addresses[1].octets[0], 169);
    hs_read_end();
}

/* Home 0, told to nobody: this host's own, with no address for others, and only if so set. */
Test(bounds, what_stays_on_this_host)
{
    struct ip_address both[] = {v4(127, 0, 0, 1), host_address(77)};
    const struct {
        bool set;
        uint64_t assoc;
        unsigned first, count;
        uint32_t home;
    } table[] = {{true, LOCAL_ASSOC, 0, 1, 0},
                 {true, LOCAL_ASSOC, 1, 1, RG_ID},
                 {true, LOCAL_ASSOC, 0, 2, RG_ID},
                 {false, LOCAL_ASSOC, 0, 1, RG_ID},
                 {true, PE_HOST, 0, 1, RG_ID}};
    rg_assoc_up(b.rg, PE_HOST, both, 1, 5000, b.now);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        b.set.loopback_stays = table[i].set;
        reconfigure();
        struct pool_element *pe = prepare_pe("web", (uint32_t)i + 1, 77);
        pe->user.protocol = TRANSPORT_SCTP;
        pe->user.addresses = both + table[i].first;
        pe->user.address_count = (uint16_t)table[i].count;
        say(table[i].assoc);
        expect_response(table[i].assoc, ASAP_REGISTRATION_RESPONSE, 0);
        hs_read_begin();
        const struct hs_element *e = hs_find(b.hs, pool_handle_of("web"), (uint32_t)i + 1);
        cr_assert_eq(e->home_id, table[i].home, "row %zu", i);
        hs_read_end();
    }
}

/* asap:A-57, check 9: the same host is who has an address of the element's in common, of either
 * transport; this host's own elements have no association that could be gone. */
Test(bounds, who_is_the_same_host)
{
    struct ip_address two[] = {host_address(4), host_address(1)};
    join("web", 7, PE_HOST);
    rg_assoc_up(b.rg, 50, two, 2, 5000, b.now);
    (void)prepare_pe("web", 7,
                     4); /* its user transport is another, its ASAP transport shares one */
    say(50);
    expect_response(50, ASAP_REGISTRATION_RESPONSE, 0);
    rg_assoc_down(b.rg, 50, b.now);
    (void)prepare_pe("own", 7, 77);
    say(LOCAL_ASSOC);
    drain();
    (void)prepare_pe("own", 7, OTHER_HOST);
    say(OTHER_HOST);
    cr_assert(told(LOCAL_ASSOC));
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    expect_response(OTHER_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_NON_UNIQUE_PE_ID);
}

/* asap:A-23: its ASAP transport is address and port. */
Test(bounds, who_may_deregister)
{
    struct ip_address address = host_address(PE_HOST);
    join("web", 7, PE_HOST);
    rg_assoc_up(b.rg, 9, &address, 1, 5001, b.now);
    leave("web", 7, 9);
    expect_response(9, ASAP_DEREGISTRATION_RESPONSE, CAUSE_SECURITY);
    cr_assert_eq(b.reply.flags, 0);
    cr_assert(registered("web", 7));
}

/* A change is said for another port, number or order of addresses, or policy; a load is not. */
Test(bounds, what_is_a_change)
{
    struct ip_address two[] = {host_address(1), host_address(11)};
    struct ip_address turned[] = {host_address(11), host_address(1)};
    rg_assoc_up(b.rg, PE_HOST, two, 2, 5000, b.now);
    struct pool_element *pe = prepare_pe("web", 7, PE_HOST);
    pe->policy = (struct policy){.type = POLICY_LU, .word_count = 1, .words = {5}};
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.addresses = two;
    pe->user.address_count = 2;
    say(PE_HOST);
    cr_assert_eq(count_of(ACTION_EVENT), 1);
    for (int row = 0; row < 5; row++) {
        pe->user.port = row == 1 ? 81 : pe->user.port;
        pe->user.addresses = row >= 2 ? turned : two;
        pe->user.address_count = row >= 3 ? 1 : 2;
        pe->policy.words[0] = row == 4 || row == 1 ? 6 + (uint32_t)row : pe->policy.words[0];
        say(PE_HOST);
        static const unsigned said[] = {0, 1, 1, 1, 0};
        cr_assert_eq(count_of(ACTION_EVENT), said[row], "row %d", row);
    }
}

/* asap:A-73: this host's agent is told as well; the event of one that left by itself does not name
 * a report as its cause. */
Test(bounds, how_elements_end)
{
    quiet();
    prepare_pe("web", 7, 77)->registration_life = 1000;
    say(LOCAL_ASSOC);
    drain();
    pass_ms(1000);
    expect_response(LOCAL_ASSOC, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert(silent());
    prepare_pe("web", 8, PE_HOST)->registration_life = 1000;
    say(PE_HOST);
    join("web", 9, PE_HOST);
    report_unreachable("web", 9, PU_HOST);
    drain();
    leave("web", 9, PE_HOST);
    struct action *a = must(next_of(ACTION_EVENT));
    cr_assert_eq(a->event.kind, EVENT_PE_REMOVED);
    cr_assert_eq(a->event.cause, 0);
    action_free(a);
}

/* Lives go out in the unit that is set, rounded up; what does not fit is the longest there is. */
Test(bounds, lives_on_the_wire)
{
    static const struct {
        bool in, out;
        uint32_t life, told;
    } table[] = {{false, true, 1000, 1},
                 {false, true, 1001, 2},
                 {false, true, 1999, 2},
                 {true, false, 0xfffffffeu, 0xfffffffeu},
                 {true, true, 0xfffffffeu, 0xfffffffeu},
                 {false, false, 0xfffffffeu, 0xfffffffeu},
                 {true, true, REGISTRATION_LIFE_INFINITE, REGISTRATION_LIFE_INFINITE},
                 {true, false, 7, 7000}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        b.set.life_in_seconds = table[i].in;
        reconfigure();
        prepare_pe("web", 7, PE_HOST)->registration_life = table[i].life;
        say(PE_HOST);
        drain();
        b.set.life_in_seconds = table[i].out;
        reconfigure();
        resolve("web", PU_HOST, 1, false);
        cr_assert(told(PU_HOST));
        cr_assert_eq(b.reply.elements[0].registration_life, table[i].told, "row %zu", i);
    }
}

/* --- subscriptions ------------------------------------------------------------------------------
 */

/* Who subscribes again changes how many it wants; who goes leaves the others in place. */
Test(bounds, subscribers_of_a_pool)
{
    quiet();
    for (uint32_t id = 1; id <= 4; id++) {
        join("web", id, PE_HOST);
        join("db", id, PE_HOST);
    }
    for (uint64_t host = 10; host < 13; host++) {
        up(host);
        resolve("web", host, 4, true);
        resolve("db", host, 4, true);
        resolve("web", host, 2, true);
    }
    rg_assoc_down(b.rg, 11, b.now);
    resolve("db", 12, 4, false);
    drain();
    join("web", 5, PE_HOST);
    join("db", 5, PE_HOST);
    drain();
    pass_ms(100);
    unsigned web[2] = {0};
    unsigned db[2] = {0};
    struct action *a;
    while ((a = next_of(ACTION_SEND)) != NULL) {
        cr_assert_eq(asap_decode(a->message->octets, a->message->len, &b.reply, &b.report),
                     WIRE_OK);
        cr_assert(a->assoc == 10 || a->assoc == 12);
        bool is_web = pool_handle_equal(b.reply.handle, pool_handle_of("web"));
        cr_assert_eq(b.reply.element_count, is_web ? 2 : 4);
        (is_web ? web : db)[a->assoc == 12]++;
        action_free(a);
    }
    cr_assert(web[0] == 1 && web[1] == 1 && db[0] == 1 && db[1] == 0);
}

/* After an update the next about what has gone waits 10 ms, and one more for each eight
 * subscribers. */
Test(bounds, pause_between_updates)
{
    static const struct {
        unsigned subscribers;
        int64_t pause;
    } table[] = {{1, 10}, {7, 10}, {8, 11}, {15, 11}, {16, 12}};
    quiet();
    unsigned have = 0;
    uint32_t id = 2;
    join("web", 1, PE_HOST);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (; have < table[i].subscribers; have++) {
            up(100 + have);
            resolve("web", 100 + have, 1, true);
        }
        drain();
        for (int round = 0; round < 2; round++) {
            join("web", id, PE_HOST);
            leave("web", id++, PE_HOST);
            drain();
            int64_t pause = round == 0 ? 2 : table[i].pause;
            pass_ms(pause - 1);
            cr_assert(silent(), "row %zu round %d", i, round);
            pass_ms(1);
            cr_assert_eq(count_of(ACTION_SEND), table[i].subscribers, "row %zu", i);
        }
        pass_ms(1000);
        drain();
    }
}

/* A weight that changes is news of the element; a load that does is not. */
Test(bounds, weights_are_news)
{
    static const struct {
        uint32_t type;
        uint8_t words;
        uint32_t first;
        bool news;
    } rows[] = {{POLICY_WRR, 1, 5, true},
                {POLICY_WRR, 1, 5, false},
                {POLICY_WRR, 1, 6, true},
                {POLICY_LU, 1, 1, true},
                {POLICY_LU, 1, 2, false}};
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        const char *pool = rows[r].type == POLICY_LU ? "loads" : "weights";
        prepare_pe(pool, 7, PE_HOST)->policy = (struct policy){
            .type = rows[r].type, .word_count = rows[r].words, .words = {rows[r].first}};
        say(PE_HOST);
        struct action *a = next_of(ACTION_EVENT);
        cr_expect_eq(a != NULL, rows[r].news, "row %zu", r);
        action_free(a);
        drain();
    }
}

/* One address in common is enough, wherever in the lists it stands: to be the same host, and for
 * the element itself to leave. */
Test(bounds, any_address_in_common)
{
    struct ip_address first[] = {host_address(11), host_address(12)};
    struct ip_address second[] = {host_address(13), host_address(12)};
    rg_assoc_up(b.rg, 50, first, 2, 5000, b.now);
    rg_assoc_up(b.rg, 51, second, 2, 5000, b.now);
    drain();
    for (int i = 0; i < 2; i++) {
        struct pool_element *pe = prepare_pe("web", 7, 11);
        pe->user.protocol = TRANSPORT_SCTP;
        pe->user.addresses = i == 0 ? first : second;
        pe->user.address_count = 2;
        say(i == 0 ? 50 : 51);
        expect_response(i == 0 ? 50 : 51, ASAP_REGISTRATION_RESPONSE, 0);
    }
    leave("web", 7, 50);
    expect_response(50, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert(!registered("web", 7));
}

/* Who leaves without saying which element is told what is wrong with that, by an ERROR. */
Test(bounds, a_malformed_request_of_nobody)
{
    prepare(ASAP_HANDLE_RESOLUTION, "web"); /* a pool handle and nothing else */
    int len = asap_encode(&b.msg, b.octets, sizeof(b.octets));
    cr_assert_gt(len, 0);
    b.octets[0] = ASAP_DEREGISTRATION;
    rg_message(b.rg, PE_HOST, b.octets, (size_t)len, b.now);
    while (told(PE_HOST)) {
        cr_assert_eq(b.reply.type, ASAP_ERROR);
    }
}
