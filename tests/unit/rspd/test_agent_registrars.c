/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registrars: announces, list, hunt, home (asap.md §5.7). */
#include "agent_fixture.h"

static size_t listed(struct fx *fx)
{
    struct ag_registrar_info info[AG_REGISTRARS_MAX + 1];
    return ag_registrars(fx->ag, info, AG_REGISTRARS_MAX + 1);
}

/* … A-104 */
Test(agent_registrars, announced_ones_live_until_t7)
{
    struct fx *fx = fx_new(NULL);
    fx_announce(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.2");
    cr_assert_eq(listed(fx), 2);
    fx_pass(fx, 4000);
    fx_announce(fx, 1, "10.0.0.1");
    fx_pass(fx, 1000);
    cr_assert_eq(listed(fx), 1);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    fx_free(fx);
}

/* Five registrars announce every five seconds: T7 stretches with what was observed. */
Test(agent_registrars, t7_follows_the_observed_period)
{
    struct fx *fx = fx_new(NULL);
    for (int i = 0; i < 5; i++) {
        fx_announce(fx, 1, "10.0.0.1");
        fx_pass(fx, 4500);
        cr_assert_eq(listed(fx), 1);
    }
    fx_pass(fx, 8500);
    cr_assert_eq(listed(fx), 1);
    fx_pass(fx, 1000);
    cr_assert_eq(listed(fx), 0);
    fx_free(fx);
}

/* a flood of announces neither grows the list beyond its bound nor hurts static entries */
Test(agent_registrars, list_is_capped)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address fixed = fx_ip("10.9.9.9");
    cr_assert_eq(ag_static_registrar(fx->ag, &fixed, 1, ASAP_PORT, fx->now), 0);
    for (uint32_t i = 1; i < 5000; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.1.%u.%u", i / 250, i % 250 + 1);
        fx_announce(fx, i, ip);
    }
    cr_assert_eq(listed(fx), AG_REGISTRARS_MAX);
    fx_drop(fx);
    fx_pass(fx, 120000);
    cr_assert_eq(listed(fx), 1);
    fx_free(fx);
}

/* A-104, asap.md §4.10: no transports: source port first, then 3863 */
Test(agent_registrars, source_port_then_the_well_known_one)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address from = fx_ip("10.0.0.1");
    static const uint8_t plain[] = {0x0a, 0, 0, 8, 0, 0, 0, 5};
    ag_announce(fx->ag, &from, 20000, plain, sizeof(plain), fx->now);
    struct action *a = fx_next(fx, ACTION_CONNECT);
    cr_assert_eq(a->port, 20000);
    ag_assoc_down(fx->ag, a->assoc, fx->now);
    a = fx_next(fx, ACTION_CONNECT);
    cr_assert_eq(a->port, ASAP_PORT);
    fx_free(fx);
}

static void announce_transports(struct fx *fx, uint32_t id, const char *tcp, const char *sctp)
{
    struct ip_address from = fx_ip("10.0.0.77");
    struct ip_address a = fx_ip(tcp);
    struct ip_address b = fx_ip(sctp);
    asap_message_init(&fx->out, ASAP_SERVER_ANNOUNCE);
    fx->out.has_server_id = true;
    fx->out.server_id = id;
    fx->out.transport_count = 2;
    fx->out.transports[0] = (struct transport){
        .protocol = TRANSPORT_TCP, .port = 1, .address_count = 1, .addresses = &a};
    fx->out.transports[1] = (struct transport){
        .protocol = TRANSPORT_SCTP, .port = 4000, .address_count = 1, .addresses = &b};
    int len = asap_encode(&fx->out, fx->octets, sizeof(fx->octets));
    cr_assert_gt(len, 0);
    ag_announce(fx->ag, &from, 5000, fx->octets, (size_t)len, fx->now);
}

Test(agent_registrars, transports_of_the_announce)
{
    struct fx *fx = fx_new(NULL);
    announce_transports(fx, 1, "10.0.0.1", "10.0.0.2");
    struct action *a = fx_next(fx, ACTION_CONNECT);
    struct ip_address want = fx_ip("10.0.0.2");
    cr_assert(a->port == 4000 && ip_address_equal(&a->addresses[0], &want));
    cr_assert_eq(a->registrar_id, 1);
    announce_transports(fx, 2, "10.0.0.1", "127.0.0.1"); /* useless: the source counts */
    a = fx_next(fx, ACTION_CONNECT);
    want = fx_ip("10.0.0.77");
    cr_assert(a->port == 5000 && ip_address_equal(&a->addresses[0], &want));
    fx_free(fx);
}

/* */
Test(agent_registrars, static_ones_never_expire)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address ip = fx_ip("10.0.0.1");
    cr_assert_eq(ag_static_registrar(fx->ag, &ip, 1, ASAP_PORT, fx->now), 0);
    cr_assert_eq(ag_static_registrar(fx->ag, &ip, 0, ASAP_PORT, fx->now), -EINVAL);
    struct action *a = fx_next(fx, ACTION_CONNECT);
    ag_assoc_down(fx->ag, a->assoc, fx->now);
    fx_pass(fx, 3600000);
    cr_assert_eq(listed(fx), 1);
    cr_assert_gt(fx_count_kind(fx, ACTION_CONNECT), 200);
    fx_announce(fx, 9, "10.0.0.1"); /* the same one, now with a name */
    cr_assert_eq(listed(fx), 1);
    struct ag_registrar_info info;
    cr_assert_eq(ag_registrars(fx->ag, &info, 1), 1);
    cr_assert(info.is_static && info.id == 9);
    fx_free(fx);
}

/* A registrar started anew under another id is one registrar, and the home is known by it. */
Test(agent_registrars, same_endpoint_new_id)
{
    struct fx *fx = fx_new(NULL);
    (void)fx_home(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.1");
    cr_assert_eq(listed(fx), 1);
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);
    cr_assert_eq(fx->ag->home.id, 2);
    fx_free(fx);
}

static unsigned take_connects(struct fx *fx, uint64_t *assocs, unsigned max)
{
    unsigned n = 0;
    struct action *a;
    while ((a = fx_next(fx, ACTION_CONNECT)) != NULL) {
        cr_assert_lt(n, max);
        assocs[n++] = a->assoc;
    }
    return n;
}

/* A-107 … A-113: three at a time, T5 doubles to its cap, another set, one is picked */
Test(agent_registrars, hunts_three_at_a_time)
{
    struct fx *fx = fx_new(NULL);
    uint64_t assocs[16];
    for (uint32_t i = 1; i <= 6; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.0.0.%u", i);
        struct ip_address a = fx_ip(ip);
        cr_assert_eq(ag_static_registrar(fx->ag, &a, 1, ASAP_PORT, fx->now), 0);
    }
    cr_assert_eq(take_connects(fx, assocs, 16), 3);
    ag_assoc_down(fx->ag, assocs[0], fx->now); /* SH4 */
    cr_assert_eq(take_connects(fx, assocs, 16), 1);
    fx_pass(fx, 1999);
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 0);
    fx_pass(fx, 1); /* T5: the three are given up, three others begin */
    cr_assert_eq(take_connects(fx, assocs, 16), 3);
    static const int64_t rounds[] = {4000, 8000, 15000, 15000};
    for (int r = 0; r < 4; r++) {
        fx_pass(fx, rounds[r] - 1);
        cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 0);
        fx_pass(fx, 1);
        cr_assert_eq(take_connects(fx, assocs, 16), 3);
    }
    fx_up(fx, assocs[1], "10.0.0.2");
    cr_assert(ag_has_home(fx->ag));
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 2);
    fx_pass(fx, 120000);
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 0);
    fx_free(fx);
}

Test(agent_registrars, a_round_tries_those_untried_longest)
{
    struct fx *fx = fx_new(NULL);
    unsigned tries[7] = {0};
    for (uint32_t i = 1; i <= 6; i++) {
        char ip[32];
        (void)snprintf(ip, sizeof(ip), "10.0.0.%u", i);
        struct ip_address a = fx_ip(ip);
        cr_assert_eq(ag_static_registrar(fx->ag, &a, 1, ASAP_PORT, fx->now), 0);
    }
    fx_pass(fx, 2000); /* two rounds of three */
    struct action *a;
    while ((a = fx_next(fx, ACTION_CONNECT)) != NULL) {
        tries[a->addresses[0].octets[3]]++;
    }
    for (int i = 1; i <= 6; i++) {
        cr_assert_eq(tries[i], 1);
    }
    fx_free(fx);
}

/* A try that comes up after it was given up is closed. */
Test(agent_registrars, late_association_is_closed)
{
    struct fx *fx = fx_new(NULL);
    fx_announce(fx, 1, "10.0.0.1");
    fx_announce(fx, 2, "10.0.0.2");
    uint64_t assocs[4];
    cr_assert_eq(take_connects(fx, assocs, 4), 2);
    fx_up(fx, assocs[0], "10.0.0.1");
    fx_drop(fx);
    fx_up(fx, assocs[1], "10.0.0.2");
    struct action *a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert_eq(a->assoc, assocs[1]);
    fx_free(fx);
}

/* A registrar that accepts and hangs up is not tried in a tight loop. */
Test(agent_registrars, flapping_registrar)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address ip = fx_ip("10.0.0.1");
    cr_assert_eq(ag_static_registrar(fx->ag, &ip, 1, ASAP_PORT, fx->now), 0);
    unsigned connects = 0;
    struct tm_us end = tm_add_ms(fx->now, 60000);
    while (tm_before(fx->now, end)) {
        struct action *a = fx_next(fx, ACTION_CONNECT);
        if (a == NULL) {
            fx_pass(fx, 100);
            continue;
        }
        connects++;
        uint64_t assoc = a->assoc;
        fx_up(fx, assoc, "10.0.0.1");
        ag_assoc_down(fx->ag, assoc, fx->now);
    }
    cr_assert(connects > 5 && connects <= 31, "%u tries in a minute", connects);
    fx_free(fx);
}

/* A registrar that comes back and announces itself is tried at once, T5 or not. */
Test(agent_registrars, announce_ends_the_waiting)
{
    struct fx *fx = fx_new(NULL);
    struct ip_address ip = fx_ip("10.0.0.1");
    cr_assert_eq(ag_static_registrar(fx->ag, &ip, 1, ASAP_PORT, fx->now), 0);
    for (int i = 0; i < 20; i++) {
        struct action *a = fx_next(fx, ACTION_CONNECT);
        if (a != NULL) {
            ag_assoc_down(fx->ag, a->assoc, fx->now);
        }
        fx_pass(fx, 500);
    }
    fx_drop(fx); /* 10 s: the next round is at 14 s */
    fx_announce(fx, 1, "10.0.0.1");
    cr_assert_eq(fx_count_kind(fx, ACTION_CONNECT), 1);
    fx_free(fx);
}

/* Bounded: associations opened to us make room for newer ones. */
Test(agent_registrars, accepted_associations_are_bounded)
{
    struct fx *fx = fx_new(NULL);
    for (uint64_t i = 1; i <= 200; i++) {
        fx->now.us++;
        fx_up(fx, i, "10.0.0.1");
    }
    cr_assert_eq(fx_count_kind(fx, ACTION_DISCONNECT), 200 - AG_ACCEPTED_MAX);
    fx_free(fx);
}

Test(agent_registrars, local_registrar_is_home_and_wins)
{
    struct fx *fx = fx_new(NULL);
    struct hs_limits limits = {100, 100, 100};
    struct hs *hs = hs_new(&limits, 1);
    uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
    uint32_t id = fx_registered(fx, assoc, "web");
    ag_local_registrar(fx->ag, 99, hs, fx->now);
    struct action *a = fx_next(fx, ACTION_DISCONNECT);
    cr_assert_eq(a->assoc, assoc);
    a = fx_expect(fx, ASAP_REGISTRATION);
    cr_assert_eq(a->assoc, LOCAL_ASSOC);
    fx_respond(fx, LOCAL_ASSOC, ASAP_REGISTRATION_RESPONSE, "web", id, false, -1);
    cr_assert_null(ag_cache(fx->ag));
    fx_announce(fx, 99, "10.0.0.9"); /* our own */
    cr_assert_eq(ag_registrars_heard(fx->ag, fx->now), 1);

    fx_up(fx, 5, "10.0.0.3");
    fx_keep_alive(fx, 5, 3, true, "web", id);
    cr_assert_eq(fx_count(fx, ASAP_ENDPOINT_KEEP_ALIVE_ACK), 1);
    cr_assert_eq(fx->ag->home.assoc, LOCAL_ASSOC);
    struct ag_registrar_info info[4];
    size_t n = ag_registrars(fx->ag, info, 4);
    cr_assert(info[n - 1].is_local && info[n - 1].is_home && info[n - 1].id == 99);

    ag_local_registrar(fx->ag, 0, NULL, fx->now);
    cr_assert_not_null(fx_next(fx, ACTION_CONNECT));
    cr_assert_eq(fx_state(fx, id), AG_PE_HUNTING);
    fx_free(fx);
    hs_free(hs);
}
