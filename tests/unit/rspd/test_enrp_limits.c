/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What one host may cost the ENRP side (security.md §6.3). */
#include "enrp_fixture.h"

/* A hundred questions a second: each costs as much as four changes. */
static void hundred(struct enrp_settings *s)
{
    s->host_messages = 400;
    s->multicast = false;
    s->heartbeat_ms = s->last_heard_ms = s->no_response_ms = 100000000; /* nothing but floods */
}

static bool refused(struct ex *ex, uint64_t assoc)
{
    struct action *a = ex_next(ex, ACTION_DISCONNECT);
    cr_assert(a == NULL || (a->assoc == assoc && a->abort));
    return a != NULL;
}

/* How many of so many questions over `assoc` are answered. */
static unsigned answers(struct ex *ex, uint64_t assoc, uint32_t id, unsigned questions)
{
    for (unsigned i = 0; i < questions; i++) {
        ex_begin(ex, ENRP_LIST_REQUEST, id);
        ex_arrives(ex, assoc);
    }
    return ex_count(ex, ENRP_LIST_RESPONSE);
}

/* 32 associations of one host; those of others, and those that we open, are not concerned. */
Test(enrp_limits, associations_of_a_host)
{
    struct ex *ex = ex_serving(hundred);
    for (uint64_t n = 1; n <= EN_HOST_ASSOCS; n++) {
        ex_up(ex, n, 7);
        cr_assert_not(refused(ex, n), "%u", (unsigned)n);
    }
    ex_up(ex, 33, 7);
    cr_assert(refused(ex, 33));
    cr_assert_eq(answers(ex, 33, 0x70, 1), 0);
    ex_up(ex, 34, 8);
    cr_assert_not(refused(ex, 34));
    enrp_assoc_down(ex->en, 5, ENRP_DOWN_SHUTDOWN, ex->now);
    ex_up(ex, 35, 7);
    cr_assert_not(refused(ex, 35));
    ex_up(ex, 36, 7);
    cr_assert(refused(ex, 36));
    struct ip_address ip = ex_ip(7);
    en_peer_candidate(ex->en, 0x77, &ip, 1, 9999, ex->now); /* another port of that host */
    uint64_t ours = ex_next(ex, ACTION_CONNECT)->assoc;
    enrp_assoc_up(ex->en, ours, &ip, 1, 9999, ex->now);
    cr_assert_not(refused(ex, ours));
    ex_free(ex);
}

/* An IPv6 host has a whole network; one IPv4 address is one host. */
Test(enrp_limits, networks)
{
    struct ex *ex = ex_serving(hundred);
    struct ip_address a;
    cr_assert_eq(ip_address_parse("2001:db8::1:0:0:0:1", &a), 0);
    for (uint64_t n = 1; n <= EN_HOST_ASSOCS; n++) {
        a.octets[8] = (uint8_t)n;
        enrp_assoc_up(ex->en, n, &a, 1, ENRP_PORT, ex->now);
        cr_assert_not(refused(ex, n));
    }
    a.octets[8] = 99;
    enrp_assoc_up(ex->en, 50, &a, 1, ENRP_PORT, ex->now);
    cr_assert(refused(ex, 50));
    a.octets[7]++;
    enrp_assoc_up(ex->en, 51, &a, 1, ENRP_PORT, ex->now);
    cr_assert_not(refused(ex, 51));
    ex_free(ex);
}

/* Opening and closing all the time: a hundred at once, then twenty a second. */
Test(enrp_limits, new_associations_of_a_host)
{
    struct ex *ex = ex_serving(hundred);
    unsigned allowed = 0;
    for (uint64_t n = 1; n <= 600; n++) {
        if (n == 301 || n == 501) {
            ex->now = tm_add_ms(ex->now, n == 301 ? 1000 : 49);
        }
        ex_up(ex, n, 7);
        allowed += refused(ex, n) ? 0 : 1;
        enrp_assoc_down(ex->en, n, ENRP_DOWN_SHUTDOWN, ex->now);
        cr_assert(n != 300 || allowed == 100);
    }
    cr_assert_eq(allowed, 120);
    ex_free(ex);
}

/* One second's worth at once, whatever the association; what is more is not read, and counted. */
Test(enrp_limits, messages_of_a_host)
{
    struct ex *ex = ex_serving(hundred);
    struct enrp_counters c;
    ex_up(ex, 1, 7);
    ex_up(ex, 2, 7);
    ex_up(ex, 3, 8);
    cr_assert_eq(answers(ex, 1, 0x70, 80), 80);
    cr_assert_eq(answers(ex, 2, 0x70, 50), 20);
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(c.ignored, 30);
    cr_assert_eq(answers(ex, 3, 0x80, 10), 10);
    ex->now = tm_add_ms(ex->now, 500);
    cr_assert_eq(answers(ex, 1, 0x70, 100), 50);
    cr_assert_eq(ex->en->peers[en_peer_find(ex->en, 0x70)].assoc, 1);
    ex_free(ex);
}

/* Whose registrar has elements has more to say: two changes of each at once, a tenth of one a
 * second after that; over its own way, as using its name elsewhere does not help. */
Test(enrp_limits, more_for_many_elements)
{
    struct ex *ex = ex_serving(hundred);
    ex_peer(ex, 1, 0x70, 7);
    ex_up(ex, 2, 9); /* says that it is the same one */
    for (uint32_t id = 1; id <= 160; id++) {
        ex_put(ex, "pool", id, 0x70, 0);
    }
    ex->now = tm_add_ms(ex->now, 60000);
    cr_assert_eq(answers(ex, 1, 0x70, 500), (400 + 2 * 160 + 160 / 4) / 4);
    cr_assert_eq(answers(ex, 2, 0x70, 500), (400 + 160 / 4) / 4);
    ex->now = tm_add_ms(ex->now, 1000);
    cr_assert_eq(answers(ex, 1, 0x70, 500), (400 + 160 / 10) / 4);
    ex_free(ex);
}

/* How many of so many requests for a part of the table are answered. */
static unsigned tables(struct ex *ex, uint64_t assoc, unsigned requests)
{
    for (unsigned i = 0; i < requests; i++) {
        ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, 0x70);
        ex_arrives(ex, assoc);
    }
    return ex_count(ex, ENRP_HANDLE_TABLE_RESPONSE);
}

/* How many of so many new elements are taken. */
static unsigned changes(struct ex *ex, uint64_t assoc, unsigned updates)
{
    static uint32_t id = 1000;
    uint32_t before = hs_element_count(ex->hs);
    for (unsigned i = 0; i < updates; i++) {
        struct enrp_entry entry = ex_entry("new", ++id, 0x70);
        ex_update(ex, assoc, 0x70, ENRP_ADD_PE, &entry, false);
    }
    return hs_element_count(ex->hs) - before;
}

/* A part of the table costs as much as its elements need, 1 + 128 / 8; a change costs 1. */
Test(enrp_limits, by_cost)
{
    struct ex *ex = ex_serving(hundred);
    ex_peer(ex, 1, 0x70, 7);
    ex->now = tm_add_ms(ex->now, 60000);
    cr_assert_eq(tables(ex, 1, 100), 400 / 17);
    ex->now = tm_add_ms(ex->now, 60000);
    unsigned taken = changes(ex, 1, 1200);
    cr_assert_geq(taken, 400);
    cr_assert_leq(taken, 401, "%u", taken);
    ex_free(ex);
}

/* What is new does not raise the rate at which more of it may come. */
Test(enrp_limits, new_elements_do_not_open_the_door)
{
    struct ex *ex = ex_serving(hundred);
    unsigned taken = 0;
    ex_peer(ex, 1, 0x70, 7);
    for (unsigned second = 0; second < 5; second++) {
        ex->now = tm_add_ms(ex->now, 1000);
        taken += changes(ex, 1, 900);
    }
    cr_assert_geq(taken, 5 * 400);
    cr_assert_leq(taken, 2900, "%u", taken);
    ex_free(ex);
}

/* Who knows nothing may ask for the whole table at once, however much is in it. */
Test(enrp_limits, whole_table)
{
    struct ex *ex = ex_serving(hundred);
    for (uint32_t id = 1; id <= 20000; id++) {
        ex_put(ex, "pool", id, ex->en->set.id, 0);
    }
    ex_up(ex, 1, 7);
    cr_assert_eq(tables(ex, 1, 20000 / 128 + 1), 20000 / 128 + 1);
    ex_free(ex);
}

/* Twelve seconds' worth over the rate are only left unread; one more, and the host is cut off with
 * all it has, for ten seconds. */
Test(enrp_limits, a_flood)
{
    struct ex *ex = ex_serving(hundred);
    ex_up(ex, 1, 7);
    ex_up(ex, 2, 7);
    ex_up(ex, 3, 8);
    cr_assert_eq(answers(ex, 1, 0x70, 100 + 1200), 100);
    cr_assert_null(ex_next(ex, ACTION_DISCONNECT));
    ex_begin(ex, ENRP_LIST_REQUEST, 0x70);
    ex_arrives(ex, 1);
    struct action *a = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(a);
    cr_assert_eq(a->event.kind, EVENT_PEER_REFUSED);
    cr_assert_str_eq(a->event.text, "10.0.0.7 sends far more than 400 messages a second: cut off "
                                    "for 10 s");
    cr_assert(refused(ex, 1));
    cr_assert(refused(ex, 2));
    cr_assert_eq(answers(ex, 2, 0x70, 1), 0);
    ex->now = tm_add_ms(ex->now, 9999);
    ex_up(ex, 4, 7);
    cr_assert(refused(ex, 4));
    struct ip_address ip = ex_ip(7);
    en_peer_candidate(ex->en, 0x77, &ip, 1, 9999, ex->now);
    uint64_t ours = ex_next(ex, ACTION_CONNECT)->assoc;
    enrp_assoc_up(ex->en, ours, &ip, 1, 9999, ex->now);
    cr_assert_not(refused(ex, ours));
    ex_begin(ex, ENRP_LIST_REQUEST, 0x77);
    ex_arrives(ex, ours); /* … but it is not listened to */
    cr_assert(refused(ex, ours));
    cr_assert_eq(answers(ex, 3, 0x80, 10), 10);
    ex->now = tm_add_ms(ex->now, 1);
    ex_up(ex, 5, 7);
    cr_assert_not(refused(ex, 5));
    cr_assert_eq(answers(ex, 5, 0x70, 150), 100);
    ex_free(ex);
}

/* However many hosts there were: who has an association is remembered, and so is who is out. */
Test(enrp_limits, many_hosts)
{
    struct ex *ex = ex_serving(hundred);
    ex_up(ex, 1, 7);
    (void)answers(ex, 1, 0x70, 100 + 1201);
    for (uint32_t n = 0; n < 200; n++) {
        struct ip_address a = {.family = IP_V4, .octets = {10, 1, (uint8_t)(n >> 8), (uint8_t)n}};
        enrp_assoc_up(ex->en, 100 + n, &a, 1, ENRP_PORT, ex->now);
        cr_assert_not(refused(ex, 100 + n));
        enrp_assoc_down(ex->en, 100 + n, ENRP_DOWN_SHUTDOWN, ex->now);
    }
    ex_up(ex, 2, 7);
    cr_assert(refused(ex, 2));
    for (uint32_t n = 0; n < 1000; n++) {
        struct ip_address a = {.family = IP_V4, .octets = {10, 2, (uint8_t)(n >> 8), (uint8_t)n}};
        enrp_assoc_up(ex->en, 1000 + n, &a, 1, ENRP_PORT, ex->now);
        cr_assert_not(refused(ex, 1000 + n));
        enrp_assoc_down(ex->en, 1000 + n, ENRP_DOWN_SHUTDOWN, ex->now);
    }
    ex_up(ex, 3, 7);
    cr_assert(refused(ex, 3));
    ex_free(ex);
}

static void unlimited(struct enrp_settings *s)
{
    hundred(s);
    s->host_messages = 0;
}

Test(enrp_limits, none)
{
    struct ex *ex = ex_serving(unlimited);
    for (uint64_t n = 1; n <= EN_ASSOCS_MAX; n++) {
        ex_up(ex, n, 7);
        cr_assert_not(refused(ex, n));
    }
    cr_assert_eq(answers(ex, 1, 0x70, 10000), 10000);
    ex_free(ex);
}
