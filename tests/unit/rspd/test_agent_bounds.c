/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Bounds and waits of the agent to the millisecond: T7, hunts, retries, quarantine, the lists. */
#include "agent_fixture.h"

static size_t listed(struct fx *fx)
{
    struct ag_registrar_info info[AG_REGISTRARS_MAX + 1];
    return ag_registrars(fx->ag, info, AG_REGISTRARS_MAX + 1);
}

static void announce(struct fx *fx, uint32_t id, const char *from, uint16_t port,
                     const struct transport *transports, uint16_t count)
{
    struct ip_address source = fx_ip(from);
    asap_message_init(&fx->out, ASAP_SERVER_ANNOUNCE);
    fx->out.has_server_id = true;
    fx->out.server_id = id;
    fx->out.transport_count = count;
    for (uint16_t i = 0; i < count; i++) {
        fx->out.transports[i] = transports[i];
    }
    int len = asap_encode(&fx->out, fx->octets, sizeof(fx->octets));
    cr_assert_gt(len, 0);
    ag_announce(fx->ag, &source, port, fx->octets, (size_t)len, fx->now);
}

/* --- registrars --------------------------------------------------------------------------------
 */

/* T7 to the millisecond, stretched to three periods as they are observed. */
Test(agent_bounds, t7)
{
    static const struct {
        int64_t gaps[4]; /* between announces */
        int64_t t7;      /* after the last */
    } rows[] = {
        {{0}, 5000},          {{199}, 5000}, /* a copy on another interface */
        {{199, 2000}, 6597},                 /* … is not what the period begins with */
        {{4500}, 13500},                     /* three periods */
        {{2000, 3000}, 9000},                /* a longer one counts at once */
        {{3000, 2000}, 8250},                /* a shorter one by and by */
        {{4500, 200}, 10275},                /* the shortest that is no copy */
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        fx_announce(fx, 1, "10.0.0.1");
        for (int i = 0; i < 4 && rows[r].gaps[i] > 0; i++) {
            fx_pass(fx, rows[r].gaps[i]);
            fx_announce(fx, 1, "10.0.0.1");
        }
        fx_pass(fx, rows[r].t7 - 1);
        cr_expect_eq(listed(fx), 1, "row %zu", r);
        fx_pass(fx, 1);
        cr_expect_eq(listed(fx), 0, "row %zu", r);
        fx_free(fx);
    }
}

static void long_t7(struct ag_settings *s)
{
    s->t7_outdate_ms = 100000;
}

/* No period is longer than a minute. */
Test(agent_bounds, longest_period)
{
    struct fx *fx = fx_new(long_t7);
    fx_announce(fx, 1, "10.0.0.1");
    fx_pass(fx, 90000);
    fx_announce(fx, 1, "10.0.0.1");
    fx_pass(fx, 179999);
    cr_assert_eq(listed(fx), 1);
    fx_pass(fx, 1);
    cr_assert_eq(listed(fx), 0);
    fx_free(fx);
}

/* Which announces name somebody to connect to, and where. */
Test(agent_bounds, where_an_announce_leads)
{
    static const struct {
        const char *from;
        uint16_t source_port;
        const char *address; /* of the SCTP transport; NULL: none */
        uint16_t port;
        const char *want; /* NULL: nobody */
        uint16_t want_port;
    } rows[] = {
        {"10.0.0.7", 3863, "10.0.0.2", 4000, "10.0.0.2", 4000},
        {"10.0.0.7", 3863, "8.8.8.8", 4000, "8.8.8.8", 4000},
        {"10.0.0.7", 3863, "2001:db8::2", 4000, "2001:db8::2", 4000},
        {"10.0.0.7", 3863, "fe80::2", 4000, "10.0.0.7", 3863},
        {"10.0.0.7", 3863, "127.0.0.1", 4000, "10.0.0.7", 3863},
        {"127.0.0.1", 3863, "127.0.0.1", 4000, "127.0.0.1", 4000},
        {"10.0.0.7", 0, NULL, 0, NULL, 0},
        {"10.0.0.7", 1, NULL, 0, "10.0.0.7", 1},
        {"10.0.0.7", 0, "10.0.0.2", 4000, "10.0.0.2", 4000},
        {"fe80::7", 3863, NULL, 0, NULL, 0},
        {"fe80::7", 3863, "2001:db8::2", 4000, "2001:db8::2", 4000},
        {"::ffff:10.0.0.7", 3863, NULL, 0, "10.0.0.7", 3863},
    };
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        struct fx *fx = fx_new(NULL);
        struct ip_address a =
            rows[r].address != NULL ? fx_ip(rows[r].address) : (struct ip_address){0};
        struct transport tr = {
            .protocol = TRANSPORT_SCTP, .port = rows[r].port, .address_count = 1, .addresses = &a};
        announce(fx, 1, rows[r].from, rows[r].source_port, &tr, rows[r].address != NULL ? 1 : 0);
        struct action *connect = fx_next(fx, ACTION_CONNECT);
        cr_expect_eq(connect != NULL, rows[r].want != NULL, "row %zu", r);
        if (connect != NULL && rows[r].want != NULL) {
            struct ip_address want = fx_ip(rows[r].want);
            cr_expect(ip_address_equal(&connect->addresses[0], &want), "row %zu", r);
            cr_expect_eq(connect->address_count, 1);
            cr_expect_eq(connect->port, rows[r].want_port, "row %zu: %u", r, connect->port);
        }
        fx_free(fx);
    }
}

/* One announce over several interfaces: each source is an address, the last place the newest. */
Test(agent_bounds, sources_of_one_registrar)
{
    struct fx *fx = fx_new(NULL);
    struct ag_registrar_info info;
    for (unsigned i = 1; i <= 10; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.0.%u.1", i);
        fx_announce(fx, 1, ip);
        fx_announce(fx, 1, ip);
        cr_assert_eq(ag_registrars(fx->ag, &info, 1), 1);
        cr_assert_eq(info.address_count, i < 8 ? i : 8);
        cr_assert_eq(info.addresses[info.address_count - 1].octets[2], i);
    }
    cr_assert_eq(info.addresses[6].octets[2], 7);
    fx_free(fx);
}

/* asap.md §5.7: the list has 64 places; who is configured is found again by any of its addresses.
 */
Test(agent_bounds, configured_registrars)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address list[2] = {{IP_V4, {10, 2, 0, 1}}, {IP_V4, {10, 2, 0, 2}}};
    cr_assert_eq(ag_static_registrar(fx->ag, list, 2, 0, fx->now), -EINVAL);
    cr_assert_eq(ag_static_registrar(fx->ag, list, 2, 1, fx->now), 0);
    cr_assert_eq(ag_static_registrar(fx->ag, &list[1], 1, 1, fx->now), 0);
    cr_assert_eq(listed(fx), 1);
    cr_assert_eq(ag_static_registrar(fx->ag, &list[1], 1, 2, fx->now), 0);
    cr_assert_eq(listed(fx), 2);
    for (uint8_t i = 3; i <= AG_REGISTRARS_MAX; i++) {
        list[0].octets[3] = (uint8_t)(i + 10);
        cr_assert_eq(ag_static_registrar(fx->ag, list, 1, 1, fx->now), 0);
        cr_assert_eq(listed(fx), i);
    }
    list[0].octets[3] = 200;
    cr_assert_eq(ag_static_registrar(fx->ag, list, 1, 1, fx->now), -ENOSPC);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 0);
    struct ag_registrar_info info[3];
    cr_assert_eq(ag_registrars(fx->ag, info, 3), 3);
    cr_assert_eq(ag_registrars(fx->ag, info, 0), 0);
    fx_free(fx);
}

/* The home counts once, whether it is in the list or not; without one nobody is added. */
Test(agent_bounds, the_home_is_listed_once)
{
    struct fx *fx = fx_new(NULL);
    struct ag_registrar_info info[4];
    cr_assert_eq(ag_registrars(fx->ag, info, 4), 0);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 0);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    cr_assert_eq(ag_registrars(fx->ag, info, 4), 1);
    cr_assert(info[0].is_home && !info[0].is_local && !info[0].is_static && info[0].port == 3863);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    fx_pass(fx, 5000); /* it announces no longer, but is there */
    cr_assert_eq(ag_registrars(fx->ag, info, 4), 1);
    cr_assert(info[0].is_home && info[0].id == 1 && info[0].address_count == 1);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    cr_assert_eq(ag_registrars(fx->ag, info, 0), 0);
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(ag_registrars(fx->ag, info, 4), 2);
    cr_assert(!info[0].is_home && info[1].is_home);
    cr_assert_eq(ag_registrars(fx->ag, info, 1), 1);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 2);
    ag_assoc_down(fx->ag, assoc, fx->now);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    fx_free(fx);
}

/* A configured home without a name: its element's keep-alive or its announce gives it one. */
Test(agent_bounds, the_home_gets_its_name)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address ip = fx_ip("10.0.0.1");
    cr_assert_eq(ag_static_registrar(fx->ag, &ip, 1, ASAP_PORT, fx->now), 0);
    uint64_t assoc = fx_next(fx, ACTION_CONNECT)->assoc;
    fx_up(fx, assoc, "10.0.0.1");
    struct ag_registrar_info info[2];
    cr_assert_eq(ag_registrars(fx->ag, info, 2), 1);
    cr_assert(info[0].is_home && info[0].is_static && info[0].id == 0);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    uint32_t id = fx_registered(fx, assoc, "web");
    fx_keep_alive(fx, assoc, 9, false, "web", id + 1); /* not for us: no word of it */
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 0);
    cr_assert_eq(fx->ag->home.id, 0);
    fx_keep_alive(fx, assoc, 9, false, "web", id);
    fx_expect(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK);
    cr_assert(fx->msg.has_pe_id && fx->msg.pe_id == id && fx->msg.has_handle);
    cr_assert_eq(fx->ag->home.id, 9);
    fx_free(fx);
}

/* --- hunts -------------------------------------------------------------------------------------
 */

/* SH4: each transport address of a registrar is tried once a round; the next round begins with the
 * first. */
Test(agent_bounds, both_ports_once_a_round)
{
    struct fx *fx = fx_new(NULL);
    announce(fx, 1, "10.0.0.1", 20000, NULL, 0);
    for (int round = 0; round < 2; round++) {
        struct action *a = fx_next(fx, ACTION_CONNECT);
        cr_assert(a != NULL && a->port == 20000 && a->registrar_id == 1);
        ag_assoc_down(fx->ag, a->assoc, fx->now);
        a = fx_next(fx, ACTION_CONNECT);
        cr_assert(a != NULL && a->port == ASAP_PORT);
        ag_assoc_down(fx->ag, a->assoc, fx->now);
        cr_assert_null(fx_next(fx, ACTION_CONNECT));
        fx_pass(fx, 2000);
    }
    fx_free(fx);
}

/* Heard again while nothing else is tried: once a second, not sooner. */
Test(agent_bounds, an_announce_is_worth_a_try_a_second)
{
    struct fx *fx = fx_new(NULL);
    fx_announce(fx, 1, "10.0.0.1");
    struct action *a = fx_next(fx, ACTION_CONNECT);
    fx_announce(fx, 1, "10.0.0.1"); /* under way */
    ag_assoc_down(fx->ag, a->assoc, fx->now);
    fx_pass(fx, 999);
    fx_announce(fx, 1, "10.0.0.1");
    cr_assert_null(fx_next(fx, ACTION_CONNECT));
    fx_pass(fx, 1);
    fx_announce(fx, 1, "10.0.0.1");
    cr_assert_not_null(fx_next(fx, ACTION_CONNECT));
    fx_free(fx);
}

/* A home lost within a second of its beginning waits for the next round; later it does not. */
Test(agent_bounds, a_home_that_flaps)
{
    for (int late = 0; late < 2; late++) {
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        fx_drop(fx);
        fx_pass(fx, late ? AG_FLAP_MS : AG_FLAP_MS - 1);
        ag_assoc_down(fx->ag, assoc, fx->now);
        cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), late ? 1 : 0);
        fx_pass(fx, 2000);
        cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 1);
        fx_free(fx);
    }
}

/* beside a silent home two are tried, for one T5 only; an answer ends it. */
Test(agent_bounds, parallel_hunt)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    struct ag_query q = fx_query("web");
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    for (uint8_t i = 2; i <= 6; i++) {
        struct ip_address a = {IP_V4, {10, 0, 0, i}};
        cr_assert_eq(ag_static_registrar(fx->ag, &a, 1, ASAP_PORT, fx->now), 0);
    }
    fx_drop(fx);
    cr_assert_eq(ag_resolve(fx->ag, &q, 1, fx->now, &answer), 0);
    fx_pass(fx, 3000);
    cr_assert(fx->ag->hunt.running && fx->ag->hunt.parallel);
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 2);
    fx_pass(fx, 1999);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 0);
    fx_pass(fx, 1);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 2);
    cr_assert_not(fx->ag->hunt.running);
    cr_assert(ag_has_home(fx->ag));
    fx_pass(fx, 1000); /* the second repeat begins another */
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 2);
    fx_answer(fx, assoc, "web", 1, 1);
    cr_assert_not(fx->ag->hunt.running);
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 2);
    cr_assert(ag_has_home(fx->ag));
    fx_free(fx);
}

/* The association unused for longest makes room; one that has ended is a free place. */
Test(agent_bounds, accepted_associations)
{
    struct fx *fx = fx_new(NULL);
    for (uint64_t i = 1; i <= AG_ACCEPTED_MAX; i++) {
        fx->now.us++;
        fx_up(fx, i, "10.0.0.1");
    }
    ag_assoc_down(fx->ag, 7, fx->now);
    fx_up(fx, 100, "10.0.0.1");
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 0);
    fx->now.us++;
    fx_keep_alive(fx, 1, 5, false, "web", 1); /* used: now 2 is the one */
    fx_up(fx, 101, "10.0.0.1");
    struct action *a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert(a != NULL && a->assoc == 2 && a->abort);
    fx_free(fx);
}

/* --- quarantine --------------------------------------------------------------------------------
 */

/* one report per element and second, ten a second in all after twenty. */
Test(agent_bounds, reports)
{
    struct fx *fx = fx_new(NULL);
    struct pool_handle web = pool_handle_of("web");
    (void)fx_home(fx, 1, "10.0.0.1");
    fx_drop(fx);
    ag_report(fx->ag, web, 1, 0, fx->now);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 1);
    fx_pass(fx, 999);
    ag_report(fx->ag, web, 1, 0, fx->now);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 0);
    fx_pass(fx, 1);
    ag_report(fx->ag, web, 1, 0, fx->now);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 1);
    fx_pass(fx, 10000);
    for (uint32_t id = 2; id < 42; id++) {
        ag_report(fx->ag, web, id, 0, fx->now);
    }
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), AG_REPORTS_BURST);
    fx_pass(fx, 300);
    for (uint32_t id = 50; id < 60; id++) {
        ag_report(fx->ag, web, id, 0, fx->now);
    }
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_UNREACHABLE), 3);
    fx_free(fx);
}

/* One nobody tells of is forgotten with the twenty-first try; the oldest makes room for a new one.
 */
Test(agent_bounds, quarantine)
{
    struct fx *fx = fx_new(NULL);
    struct pool_handle web = pool_handle_of("web");
    ag_report(fx->ag, web, 1, 0, fx->now);
    fx_pass(fx, 31000 + 15 * 30000 - 1); /* 1 + 2 + 4 + 8 + 16 s, then every 30 s */
    cr_assert_eq(fx->ag->suspect_count, 1);
    cr_assert_eq(fx->ag->oldest_suspect->tries, 19);
    fx_pass(fx, 30000);
    cr_assert_eq(fx->ag->suspect_count, 1);
    fx_pass(fx, 1);
    cr_assert_eq(fx->ag->suspect_count, 0);
    for (uint32_t id = 1; id <= AG_QUARANTINE_MAX; id++) {
        ag_report(fx->ag, web, id, 0, fx->now);
    }
    cr_assert(ag_quarantined(fx->ag, web, 1));
    cr_assert_not(ag_quarantined(fx->ag, pool_handle_of("other"), 1));
    ag_report(fx->ag, web, 1, 0, fx->now); /* again: no longer the oldest */
    ag_report(fx->ag, web, 5000, 0, fx->now);
    cr_assert(ag_quarantined(fx->ag, web, 1));
    cr_assert_not(ag_quarantined(fx->ag, web, 2));
    cr_assert(ag_quarantined(fx->ag, web, 3));
    cr_assert_eq(fx->ag->suspect_count, AG_QUARANTINE_MAX);
    fx_free(fx);
}

/* An announce that names its transports is not tried at its source's port any more; a list of
 * addresses takes the place of the last. */
Test(agent_bounds, what_an_announce_replaces)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address list[] = {fx_ip("10.0.0.7"), fx_ip("10.0.0.8")};
    const struct transport named = {
        .protocol = TRANSPORT_SCTP, .port = 4000, .address_count = 2, .addresses = list};
    announce(fx, 1, "10.0.0.7", 5000, NULL, 0);
    cr_assert_eq(fx->ag->registrars[0].other_port, ASAP_PORT);
    announce(fx, 1, "10.0.0.7", 5000, &named, 1);
    cr_assert_eq(fx->ag->registrars[0].other_port, 0);
    cr_assert_eq(fx->ag->registrars[0].port, 4000);
    cr_assert_eq(fx->ag->registrars[0].address_count, 2);
    cr_assert_eq(ag_static_registrar(fx->ag, list + 1, 1, 4000, fx->now), 0);
    cr_assert_eq(listed(fx), 1);
    cr_assert_eq(fx->ag->registrars[0].address_count, 1);
    cr_assert_eq(fx->ag->registrars[0].addresses[0].octets[3], 8);
    fx_free(fx);
}
