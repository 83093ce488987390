/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Server hunt and home step by step: whom, when, how often, and what is closed (asap.md §5.7). */
#include "agent_fixture.h"

static void configured(struct fx *fx, const char *ip)
{
    struct ip_address a = fx_ip(ip);
    cr_assert_eq(ag_static_registrar(fx->ag, &a, 1, ASAP_PORT, fx->now), 0);
}

static unsigned connects(struct fx *fx)
{
    return fx_count_kind(fx, ACTION_CONNECT);
}

/* 400 announces at once, then 200 a second. */
Test(agent_hunt, announces_are_counted_from_the_start)
{
    struct fx *fx = fx_new(NULL);
    for (int i = 0; i < AG_ANNOUNCES_BURST; i++) {
        fx_announce(fx, 1, "10.0.0.1");
    }
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    fx_pass(fx, 4);
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    fx_pass(fx, 1);
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 2);
    fx_announce(fx, 3, "10.0.0.3");
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 2);
    fx_free(fx);
}

/* the first twenty reports at once count from the start, too. */
Test(agent_hunt, reports_are_counted_from_the_start)
{
    struct fx *fx = fx_new(NULL);
    (void)fx_home(fx, 1, "10.0.0.1");
    fx_drop(fx);
    for (uint32_t id = 1; id <= 30; id++) {
        ag_report(fx->ag, pool_handle_of("web"), id, 0, fx->now);
    }
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), AG_REPORTS_BURST);
    fx_free(fx);
    ag_free(NULL);
}

/* Whom a hunt beside the home leaves out: the home itself, by its id, or by its first address and
 * port where one of the two has no id. */
Test(agent_hunt, the_home_is_not_tried_beside_itself)
{
    static const struct {
        uint32_t home_id, id;
        const char *home, *address;
        uint16_t home_port, port;
        bool tried;
    } rows[] = {
        {1, 1, "10.0.0.1", "10.0.0.1", 3863, 3863, false},
        {1, 1, "10.0.0.1", "10.0.0.2", 3863, 3863, false},
        {1, 2, "10.0.0.1", "10.0.0.1", 3863, 3863, true},
        {0, 1, "10.0.0.1", "10.0.0.1", 3863, 3863, false},
        {1, 0, "10.0.0.1", "10.0.0.1", 3863, 3863, false},
        {0, 0, "10.0.0.1", "10.0.0.1", 3863, 3863, false},
        {0, 0, "10.0.0.1", "10.0.0.1", 3863, 3864, true},
        {0, 1, "10.0.0.1", "10.0.0.2", 3863, 3863, true},
        {1, 0, "10.0.0.1", "10.0.0.2", 3863, 3863, true},
        {0, 0, NULL, "10.0.0.1", 3863, 3863, true},
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        struct ip_address a = fx_ip(rows[r].address);
        ag_hunt_stop(fx->ag);
        cr_assert_eq(ag_static_registrar(fx->ag, &a, 1, rows[r].port, fx->now), 0);
        fx->ag->registrars[0].id = rows[r].id;
        fx->ag->home =
            (struct ag_peer){.assoc = 77, .id = rows[r].home_id, .port = rows[r].home_port};
        if (rows[r].home != NULL) {
            fx->ag->home.addresses[fx->ag->home.address_count++] = fx_ip(rows[r].home);
        }
        ag_hunt_start(fx->ag, true, fx->now);
        cr_expect_eq(connects(fx), rows[r].tried ? 1 : 0, "row %zu", r);
        fx_free(fx);
    }
}

/* Of those never tried, chance picks (SH1: the load of a start of many hosts is spread). */
Test(agent_hunt, ties_are_broken_by_chance)
{
    unsigned first[5] = {0};
    for (unsigned seed = 1; seed <= 200; seed++) {
        struct outbox box;
        struct ag_settings set;
        struct tm_us now = {1000000};
        ag_settings_default(&set);
        outbox_init(&box);
        hs_thread_register();
        struct ag *ag = ag_new(&set, &box, seed, now);
        ag_hunt_stop(ag);
        for (uint8_t i = 1; i <= 4; i++) {
            struct ip_address a = {IP_V4, {10, 0, 0, i}};
            cr_assert_eq(ag_static_registrar(ag, &a, 1, ASAP_PORT, now), 0);
            struct ag_registrar *r = ag_registrar_find(ag, 0, &a, 1, ASAP_PORT);
            struct ag_registrar moved = *r; /* places at equal distances */
            r->used = false;
            ag->registrars[16 * i - 1] = moved;
        }
        ag_hunt_start(ag, false, now);
        struct action *a = outbox_take(&box);
        while (a != NULL && a->kind != ACTION_CONNECT) {
            action_free(a);
            a = outbox_take(&box);
        }
        cr_assert_not_null(a);
        first[a->addresses[0].octets[3]]++;
        action_free(a);
        ag_free(ag);
        outbox_done(&box);
        hs_thread_unregister();
    }
    for (int i = 1; i <= 4; i++) {
        cr_expect(first[i] > 25 && first[i] < 75, "%d: %u of 200", i, first[i]);
    }
}

/* SH2: T5 runs only while there is anybody to try, and begins with its first value each time. */
Test(agent_hunt, t5_begins_anew)
{
    struct fx *fx = fx_new(NULL);
    cr_assert(tm_is_never(ag_next_timer(fx->ag)));
    configured(fx, "10.0.0.1");
    fx_pass(fx, 2000 + 4000);
    cr_assert_eq(connects(fx), 3);
    cr_assert_eq(fx->ag->hunt.t5_ms, 8000);
    configured(fx, "10.0.0.2"); /* heard of in between: tried at once, T5 goes on as it was */
    uint64_t assoc = fx_next(fx, ACTION_CONNECT)->assoc;
    cr_assert_eq(tm_diff_ms(ag_next_timer(fx->ag), fx->now), 8000);
    fx_up(fx, assoc, "10.0.0.2");
    cr_assert(tm_is_never(ag_next_timer(fx->ag)));
    fx_pass(fx, 5000);
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert_eq(tm_diff_ms(ag_next_timer(fx->ag), fx->now), 2000);
    cr_assert_eq(fx->ag->hunt.since.us, fx->now.us);
    fx_drop(fx);
    fx_pass(fx, 1999);
    cr_assert_eq(connects(fx), 0);
    fx_pass(fx, 1);
    cr_assert_eq(connects(fx), 2);
    cr_assert_eq(fx->ag->hunt.t5_ms, 4000);
    fx_free(fx);
}

static void short_hunts(struct ag_settings *s)
{
    s->t5_hunt_ms = 10;
    s->hunt_max_ms = 41;
}

/* Doubled up to the maximum, to the millisecond. */
Test(agent_hunt, t5_doubles_to_its_maximum)
{
    static const uint32_t steps[] = {10, 20, 40, 41, 41};
    struct fx *fx = fx_new(short_hunts);
    configured(fx, "10.0.0.1");
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        cr_assert_eq(connects(fx), 1);
        fx_pass(fx, steps[i] - 1);
        cr_assert_eq(connects(fx), 0, "step %zu", i);
        fx_pass(fx, 1);
    }
    fx_free(fx);
}

/* The home lost while a hunt goes on beside it: a third one is tried, and it ends no more. */
Test(agent_hunt, a_hunt_beside_the_home_becomes_one_without)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    for (int i = 2; i <= 6; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.0.0.%d", i);
        configured(fx, ip);
    }
    fx_pass(fx, 3000);
    fx_drop(fx);
    ag_hunt_start(fx->ag, true, fx->now);
    cr_assert_eq(connects(fx), 2);
    ag_hunt_start(fx->ag, true, fx->now); /* it is under way */
    cr_assert_eq(connects(fx), 0);
    cr_assert(fx->ag->hunt.parallel);
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert_eq(connects(fx), 1);
    cr_assert_not(fx->ag->hunt.parallel);
    ag_hunt_start(fx->ag, true, fx->now);
    cr_assert_not(fx->ag->hunt.parallel);
    fx_pass(fx, 2000);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 3);
    cr_assert(fx->ag->hunt.running);
    fx_free(fx);
}

/* A place in the list that has another tenant now: he is tried himself, and what was begun with
 * the earlier one leads to a home without name. */
Test(agent_hunt, a_registrar_that_expires_while_it_is_tried)
{
    for (int up = 0; up < 2; up++) {
        struct fx *fx = fx_new(NULL);
        struct ip_address from = fx_ip("10.0.0.2");
        static const uint8_t plain[] = {0x0a, 0, 0, 8, 0, 0, 0, 2};
        fx_announce(fx, 1, "10.0.0.1");
        fx_pass(fx, 2000);
        (void)fx_next(fx, ACTION_CONNECT);
        uint64_t old = fx_next(fx, ACTION_CONNECT)->assoc; /* of the second round */
        fx_pass(fx, 3000);
        cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 0);
        fx_drop(fx);
        ag_announce(fx->ag, &from, 20000, plain, sizeof(plain), fx->now);
        struct action *a = fx_next(fx, ACTION_CONNECT);
        cr_assert_not_null(a);
        cr_assert(a->registrar_id == 2 && a->port == 20000 && a->assoc != old);
        cr_assert_eq(&fx->ag->registrars[0], ag_registrar_find(fx->ag, 2, NULL, 0, 0));
        if (up == 1) {
            ag_assoc_up(fx->ag, old, NULL, 0, ASAP_PORT, fx->now);
            cr_assert_eq(fx->ag->home.assoc, old);
            cr_assert(fx->ag->home.id == 0 && fx->ag->home.address_count == 0);
            cr_assert_eq(fx->ag->home.port, ASAP_PORT);
        } else {
            ag_assoc_down(fx->ag, old, fx->now);
            cr_assert_not(fx->ag->registrars[0].use_other);
            cr_assert_eq(connects(fx), 0);
        }
        fx_free(fx);
    }
}

/* One that is silent is closed by us, without ceremony; one that has gone itself is not. */
Test(agent_hunt, how_a_home_is_closed)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_pe(fx, "web");
    fx_drop(fx);
    fx_pass(fx, 3000); /* T2 */
    struct action *a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert(a != NULL && a->assoc == assoc && a->abort);
    a = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(a);
    assoc = a->assoc;
    fx_up(fx, assoc, "10.0.0.1");
    fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    fx_drop(fx);
    fx_up(fx, 5, "10.0.0.2");
    fx_keep_alive(fx, 5, 2, true, "web", id); /* another takes over: goodbye to the first */
    a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert(a != NULL && a->assoc == assoc && !a->abort);
    cr_assert_eq(fx->ag->home.assoc, 5);
    cr_assert(fx->ag->home.since.us == fx->now.us && fx->ag->home.last_used.us == fx->now.us);
    fx_drop(fx);
    ag_assoc_down(fx->ag, 5, fx->now);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 0);
    cr_assert_not(ag_has_home(fx->ag));
    ag_assoc_down(fx->ag, 5, fx->now); /* known already */
    cr_assert_eq(fx_count_kind(fx, ACTION_EVENT), 0);
    fx_free(fx);
}

/* When it was last heard counts from the last message, whatever it was. */
Test(agent_hunt, last_heard)
{
    struct fx *fx = fx_new(NULL);
    struct ag_registrar_info info;
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_pass(fx, 6000);
    int64_t then = fx->now.us;
    fx_answer(fx, assoc, "web", 1, 1);
    fx_pass(fx, 10);
    fx_answer(fx, assoc + 1, "web", 1, 1); /* nobody's */
    cr_assert_eq(ag_registrars(fx->ag, &info, 1), 1);
    cr_assert(info.is_home && info.last_heard.us == then);
    fx_free(fx);
}

/* The registrar just lost comes after all others. */
Test(agent_hunt, the_one_just_lost_comes_last)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    fx_pass(fx, 3000);
    for (int i = 2; i <= 4; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.0.0.%d", i);
        configured(fx, ip);
    }
    fx_drop(fx);
    ag_assoc_down(fx->ag, assoc, fx->now);
    struct action *a;
    unsigned n = 0;
    while ((a = fx_next(fx, ACTION_CONNECT)) != NULL) {
        cr_assert_neq(a->addresses[0].octets[3], 1);
        n++;
    }
    cr_assert_eq(n, 3);
    fx_free(fx);
}

/* A home reached over loopback is on this host, whichever of its addresses says so. */
Test(agent_hunt, a_home_on_this_host)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address both[2] = {fx_ip("10.0.0.1"), fx_ip("127.0.0.1")};
    configured(fx, "10.0.0.1");
    uint64_t assoc = fx_next(fx, ACTION_CONNECT)->assoc;
    cr_assert_not(ag_home_on_host(fx->ag));
    ag_assoc_up(fx->ag, assoc, both, 2, ASAP_PORT, fx->now);
    cr_assert(ag_home_on_host(fx->ag));
    cr_assert(fx->ag->shared->home_on_host); /* resolver threads know */
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert_not(ag_home_on_host(fx->ag));
    cr_assert_not(fx->ag->shared->home_on_host);
    fx_drop(fx);
    fx_pass(fx, 2000);
    assoc = fx_next(fx, ACTION_CONNECT)->assoc;
    ag_assoc_up(fx->ag, assoc, both, 1, ASAP_PORT, fx->now);
    cr_assert_not(ag_home_on_host(fx->ag));
    fx_free(fx);
}

/* This process a registrar, still a registrar, another one, and none: said when it is news. */
Test(agent_hunt, the_registrar_of_this_process)
{
    struct fx *fx = fx_new(NULL);
    struct hs_limits limits = {100, 100, 100};
    struct hs *one = hs_new(&limits, 1);
    struct hs *two = hs_new(&limits, 1);
    ag_local_registrar(fx->ag, 9, one, fx->now);
    cr_assert_eq(fx_count_kind(fx, ACTION_EVENT), 1);
    cr_assert_eq(fx->ag->shared->local_hs, one);
    ag_local_registrar(fx->ag, 9, one, fx->now);
    cr_assert_eq(fx_count_kind(fx, ACTION_EVENT), 0);
    ag_local_registrar(fx->ag, 9, two, fx->now);
    cr_assert_eq(fx->ag->shared->local_hs, two);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 0);
    ag_local_registrar(fx->ag, 9, NULL, fx->now);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 0);
    cr_assert_null(fx->ag->shared->local_hs);
    cr_assert_eq(fx->ag->local_id, 0);
    cr_assert_not(ag_has_home(fx->ag));
    uint64_t assoc = fx_home(fx, 9, "10.0.0.1"); /* the id is nobody's now */
    fx_drop(fx);
    ag_local_registrar(fx->ag, 0, NULL, fx->now); /* none before, none now */
    cr_assert_eq(fx->ag->home.assoc, assoc);
    fx_free(fx);
    hs_free(one);
    hs_free(two);
}

/* Where the registrar has opened an association there is no second one: that one leads home. */
Test(agent_hunt, what_the_registrar_has_opened_will_do)
{
    struct fx *fx = fx_new(NULL);
    uint32_t id = fx_pe(fx, "web");
    struct ip_address from = fx_ip("10.0.0.1");
    struct ip_address stranger = fx_ip("10.0.0.2");
    ag_assoc_up(fx->ag, 7, &from, 1, 3863, fx->now);
    ag_assoc_up(fx->ag, 8, &stranger, 1, 3863, fx->now);
    fx_announce(fx, 1, "10.0.0.1");
    struct action *connect = fx_next(fx, ACTION_CONNECT);
    cr_assert_not_null(connect);
    uint64_t assoc = connect->assoc;
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert(fx->ag->home.assoc == 7 && fx->ag->home.id == 1);
    struct action *a = fx_expect(fx, ASAP_REGISTRATION);
    cr_assert(a->assoc == 7 && fx->msg.elements[0].pe_id == id);
    fx_free(fx);
}

/* Wherever chance begins to look: the only registrar there is is found, and forgotten whole. */
Test(agent_hunt, the_only_one)
{
    struct fx *fx = fx_new(NULL);
    for (uint32_t i = 1; i <= 300; i++) {
        fx_announce(fx, i, "10.0.0.1");
        struct action *connect = fx_next(fx, ACTION_CONNECT);
        cr_assert_not_null(connect, "round %u", i);
        ag_assoc_down(fx->ag, connect->assoc, fx->now);
        fx_drop(fx);
        ag_registrar_drop(fx->ag, 0);
        ag_hunt_stop(fx->ag);
        ag_hunt_start(fx->ag, false, fx->now);
        fx_drop(fx);
    }
    fx_free(fx);
}
