/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The other registrars (enrp.md §6, 9, 12): every state with every event, and what goes with it. */
#include "enrp_fixture.h"

#define S_STAT ENRP_PEER_STATIC
#define S_CAND ENRP_PEER_CANDIDATE
#define S_ACT  ENRP_PEER_ACTIVE
#define S_PROB ENRP_PEER_PROBED
#define S_COND ENRP_PEER_CONDEMNED
#define S_ARB  ENRP_PEER_ARBITRATED
#define S_INA  ENRP_PEER_INACTIVE
#define S_GONE ENRP_PEER_STATES

/* The peer owns an element; another peer is there, so that an arbitration is not won at once. */
static const struct {
    enum enrp_peer_state state;
    enum enrp_peer_state next[EN_EVENTS]; /* HEARD PRESENCE TIMER FAILED ACKED */
} TABLE[] = {
    {S_STAT, {S_ACT, S_ACT, S_STAT, S_STAT, S_STAT}},
    {S_CAND, {S_ACT, S_ACT, S_COND, S_COND, S_INA}},
    {S_ACT, {S_ACT, S_ACT, S_PROB, S_PROB, S_INA}},
    {S_PROB, {S_ACT, S_ACT, S_COND, S_COND, S_INA}},
    {S_COND, {S_ACT, S_ACT, S_ARB, S_COND, S_INA}},
    {S_ARB, {S_ARB, S_ACT, S_ARB, S_ARB, S_INA}},
    {S_INA, {S_INA, S_ACT, S_PROB, S_INA, S_INA}},
};

static struct ex *in_state(enum enrp_peer_state state, bool owns)
{
    struct ex *ex = ex_serving(NULL);
    ex->poked = true;
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    if (owns) {
        ex_put(ex, "pool", 5, 1, 0);
    }
    int slot = en_peer_find(ex->en, 1);
    if (state == S_ARB) {
        ex->en->peers[slot].waiting = en_bit(en_peer_find(ex->en, 2));
    }
    en_peer_set_state(ex->en, slot, state, ex->now);
    ex_drop(ex);
    return ex;
}

/* E-49 … E-52, E-56, E-59, E-61, E-96 */
Test(enrp_peers, every_state_with_every_event)
{
    for (size_t r = 0; r < sizeof(TABLE) / sizeof(TABLE[0]); r++) {
        for (int ev = 0; ev < EN_EVENTS; ev++) {
            struct ex *ex = in_state(TABLE[r].state, true);
            en_peer_event(ex->en, en_peer_find(ex->en, 1), (enum en_event)ev, ex->now);
            cr_assert_eq(ex_state(ex, 1), TABLE[r].next[ev], "%s, event %d: %s",
                         enrp_peer_state_name(TABLE[r].state), ev,
                         enrp_peer_state_name(ex_state(ex, 1)));
            cr_assert_not(tm_is_never(ex->en->peers[0].timer));
            ex_free(ex);
        }
    }
}

/* One that owns nothing is forgotten without arbitration. */
Test(enrp_peers, dead_without_elements)
{
    const enum enrp_peer_state states[] = {S_CAND, S_PROB};
    for (int i = 0; i < 2; i++) {
        struct ex *ex = in_state(states[i], false);
        en_peer_event(ex->en, en_peer_find(ex->en, 1), EN_TIMER, ex->now);
        cr_assert_not(ex_knows(ex, 1));
        cr_assert_eq(ex_count(ex, ENRP_INIT_TAKEOVER), 0);
        ex_free(ex);
    }
}

/* E-46, E-47: any message of an unknown registrar makes it known, and asks it to tell itself. */
Test(enrp_peers, any_message_makes_known)
{
    struct ex *ex = ex_serving(NULL);
    ex_up(ex, 7, 3);
    ex_begin(ex, ENRP_LIST_REQUEST, 3);
    ex_arrives(ex, 7);
    cr_assert_eq(ex_state(ex, 3), S_ACT);
    struct action *action = ex_expect(ex, ENRP_PRESENCE);
    cr_assert_eq(action->assoc, 7);
    cr_assert_eq(ex->msg.flags, ENRP_PRESENCE_REPLY);
    cr_assert_eq(ex->msg.receiver_id, 3);
    cr_assert_eq(enrp_peers_alive(ex->en), 1);
    ex_free(ex);
}

/* E-10, E-68, E-90: the answer tells everything, over the same association. */
Test(enrp_peers, presence_is_answered)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 9, ME, 0);
    ex_presence(ex, 1, 1, 1, true, 0xffff);
    struct action *action = ex_expect(ex, ENRP_PRESENCE);
    cr_assert_eq(action->assoc, 1);
    cr_assert_eq(ex->msg.flags, 0);
    cr_assert_eq(ex->msg.sender_id, ME);
    cr_assert_eq(ex->msg.receiver_id, 1);
    cr_assert(ex->msg.has_checksum);
    cr_assert_eq(ex->msg.checksum, ex_sum(ex, ME));
    cr_assert_eq(ex->msg.server_count, 1);
    cr_assert_eq(ex->msg.servers[0].id, ME);
    cr_assert_eq(ex->msg.servers[0].transport.port, ENRP_PORT);
    ex_presence(ex, 1, 1, 1, false, 0xffff);
    cr_assert_eq(ex_count(ex, ENRP_PRESENCE), 0);
    ex_free(ex);
}

static void with_multicast(struct enrp_settings *set)
{
    set->multicast = true;
}

/* E-66, E-7, E-16, E-48: one copy to each, receiver 0, and one to the group. */
Test(enrp_peers, heartbeat)
{
    struct ex *ex = ex_new(with_multicast);
    enrp_start(ex->en, ex->now);
    ex_pass(ex, 1500);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_pass(ex, 1120);
    unsigned seen[3] = {0};
    struct action *action;
    while ((action = ex_sent(ex, ENRP_PRESENCE)) != NULL) {
        cr_assert_eq(ex->msg.receiver_id, 0);
        cr_assert_eq(ex->msg.flags, 0);
        seen[action->assoc]++;
    }
    cr_assert_eq(seen[1], 1);
    cr_assert_eq(seen[2], 1);
    ex_pass(ex, 1120);
    cr_assert_not_null(ex_next(ex, ACTION_ENRP_ANNOUNCE));
    ex_free(ex);
}

/* E-49 … E-51: silence, a probe, death; with the times of the profile. */
Test(enrp_peers, silence)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_pass(ex, 2499);
    cr_assert_eq(ex_state(ex, 1), S_ACT);
    ex_drop(ex);
    ex_pass(ex, 1);
    cr_assert_eq(ex_state(ex, 1), S_PROB);
    bool probed = false;
    while (ex_sent(ex, ENRP_PRESENCE) != NULL) {
        probed = probed || ex->msg.flags == ENRP_PRESENCE_REPLY;
    }
    cr_assert(probed);
    ex_pass(ex, 1999);
    cr_assert_eq(ex_state(ex, 1), S_PROB);
    ex_pass(ex, 1);
    cr_assert_not(ex_knows(ex, 1));
    ex_free(ex);
}

static void by_timers(struct enrp_settings *set)
{
    set->failure_is_death = false;
}

/* E-51, D-11: a probe that fails is death, or only its timer is, as set. */
Test(enrp_peers, failure)
{
    for (int timers = 0; timers < 2; timers++) {
        struct ex *ex = ex_serving(timers ? by_timers : NULL);
        ex_peer(ex, 1, 1, 1);
        enrp_assoc_down(ex->en, 1, ENRP_DOWN_LOST, ex->now);
        cr_assert_eq(ex_state(ex, 1), S_PROB);
        struct action *connect = ex_next(ex, ACTION_CONNECT);
        cr_assert_not_null(connect);
        enrp_assoc_down(ex->en, connect->assoc, ENRP_DOWN_CANT_START, ex->now);
        cr_assert_eq(ex_knows(ex, 1), timers == 1);
        ex_free(ex);
    }
}

/* An idle association that is closed in order is no failure; the next message opens another. */
Test(enrp_peers, idle_association_closed)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    enrp_assoc_down(ex->en, 1, ENRP_DOWN_SHUTDOWN, ex->now);
    cr_assert_eq(ex_state(ex, 1), S_ACT);
    cr_assert_null(ex_next(ex, ACTION_CONNECT));
    ex_pass(ex, 1120);
    struct action *connect = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(connect);
    cr_assert_eq(connect->addresses[0].octets[3], 1);
    ex_free(ex);
}

/* A configured peer that died is tried again, and may come back under another identifier. */
Test(enrp_peers, configured_peer_returns)
{
    struct ex *ex = ex_new(NULL);
    struct ip_address address = ex_ip(1);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = ex_next(ex, ACTION_CONNECT)->assoc;
    enrp_assoc_down(ex->en, assoc, ENRP_DOWN_CANT_START, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_drop(ex);
    ex_pass(ex, 5000);
    assoc = ex_next(ex, ACTION_CONNECT)->assoc;
    ex_up(ex, assoc, 1);
    ex_presence(ex, assoc, 0x77, 1, false, 0xffff);
    cr_assert_eq(ex_state(ex, 0x77), S_ACT);
    cr_assert_eq(ex->en->top, 1);
    ex_free(ex);
}

/* Known by its identifier and by configuration: one entry. */
Test(enrp_peers, configured_and_heard)
{
    struct ex *ex = ex_new(NULL);
    struct ip_address address = ex_ip(1);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    ex_drop(ex);
    ex_up(ex, 3, 1);
    ex_presence(ex, 3, 0x77, 1, false, 0xffff);
    struct enrp_peer_info info[4];
    cr_assert_eq(enrp_peers(ex->en, info, 4), 1);
    cr_assert_eq(info[0].id, 0x77);
    cr_assert(info[0].is_static);
    /* When it dies it is looked for where it was configured. */
    cr_assert_eq(ex->en->peers[en_peer_find(ex->en, 0x77)].static_count, 1);
    enrp_assoc_down(ex->en, 3, ENRP_DOWN_LOST, ex->now);
    ex_pass(ex, 60000);
    struct action *connect = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(connect);
    cr_assert_eq(connect->address_count, 1);
    cr_assert_eq(connect->addresses[0].octets[3], 1);
    cr_assert_eq(connect->port, ENRP_PORT);
    ex_free(ex);
}

/* A configured peer turns out to be one that is known from elsewhere: the two become one. */
Test(enrp_peers, heard_and_configured)
{
    struct ex *ex = ex_new(NULL);
    struct ip_address address = ex_ip(1);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    ex_up(ex, 5, 2);
    ex_presence(ex, 5, 0x77, 1, false, 0xffff);
    struct enrp_peer_info info[4];
    cr_assert_eq(enrp_peers(ex->en, info, 4), 2);
    ex_up(ex, 3, 1);
    ex_presence(ex, 3, 0x77, 1, false, 0xffff);
    cr_assert_eq(enrp_peers(ex->en, info, 4), 1);
    cr_assert(info[0].id == 0x77 && info[0].is_static);
    cr_assert_eq(ex->en->peers[en_peer_find(ex->en, 0x77)].static_count, 1);
    ex_free(ex);
}

/* T-2, T-3: of the addresses it tells those count that its association proves. */
Test(enrp_peers, addresses)
{
    struct ex *ex = ex_serving(NULL);
    ex_up(ex, 1, 1);
    struct ip_address told[] = {ex_ip(88), ex_ip(1)};
    struct enrp_message *m = ex_begin(ex, ENRP_PRESENCE, 1);
    m->server_count = 1;
    m->servers[0] = (struct enrp_server){
        .id = 1,
        .transport = {
            .protocol = TRANSPORT_SCTP, .port = 4711, .address_count = 2, .addresses = told}};
    ex_arrives(ex, 1);
    cr_assert_eq(ex->en->peers[0].address_count, 1);
    cr_assert_eq(ex->en->peers[0].addresses[0].octets[3], 1);
    cr_assert_eq(ex->en->peers[0].port, 4711);
    ex_free(ex);
}

/* E-45, E-21: all that live, without the one who asks. */
Test(enrp_peers, list)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_peer(ex, 3, 3, 3);
    en_peer_set_state(ex->en, en_peer_find(ex->en, 3), S_INA, ex->now);
    ex_begin(ex, ENRP_LIST_REQUEST, 1);
    ex_arrives(ex, 1);
    ex_expect(ex, ENRP_LIST_RESPONSE);
    cr_assert_eq(ex->msg.flags, 0);
    cr_assert_eq(ex->msg.server_count, 1);
    cr_assert_eq(ex->msg.servers[0].id, 2);
    ex_free(ex);
}

/* E-85: only PRESENCE by multicast; a flood of invented registrars stays small. */
Test(enrp_peers, multicast_flood)
{
    struct ex *ex = ex_new(with_multicast);
    enrp_start(ex->en, ex->now);
    ex_pass(ex, 1500);
    struct ip_address source = ex_ip(9);
    ex_drop(ex);
    for (uint32_t id = 1000; id < 3000; id++) {
        ex_begin(ex, ENRP_PRESENCE, id);
        int len = enrp_encode(&ex->out, ex->octets, sizeof(ex->octets));
        enrp_heard(ex->en, &source, 1, ex->octets, (size_t)len, ex->now);
    }
    unsigned connects = 0;
    while (ex_next(ex, ACTION_CONNECT) != NULL) {
        connects++;
    }
    cr_assert_leq(connects, EN_HEARD_BURST);
    cr_assert_eq(enrp_peers_alive(ex->en), 0);
    ex_begin(ex, ENRP_LIST_REQUEST, 77);
    int len = enrp_encode(&ex->out, ex->octets, sizeof(ex->octets));
    enrp_heard(ex->en, &source, 1, ex->octets, (size_t)len, ex->now);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_pass(ex, 2001);
    struct enrp_peer_info info[4];
    cr_assert_eq(enrp_peers(ex->en, info, 4), 0);
    ex_free(ex);
}

/* §12: our identifier from elsewhere is said, and changes nothing. */
Test(enrp_peers, identifier_twice)
{
    struct ex *ex = ex_serving(NULL);
    ex_up(ex, 1, 1);
    ex_presence(ex, 1, ME, 1, true, 0xffff);
    struct action *action = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(action);
    cr_assert_eq(action->event.kind, EVENT_PEER_REFUSED);
    cr_assert_not(ex_knows(ex, ME));
    ex_free(ex);
}

/* E-78, E-79: what is malformed is told, and ends an association that does not stop. */
Test(enrp_peers, malformed)
{
    static const uint8_t bad[] = {7, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0};
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    enrp_receive(ex->en, 1, bad, sizeof(bad), ex->now);
    ex_expect(ex, ENRP_ERROR);
    cr_assert_eq(ex->msg.sender_id, ME);
    cr_assert_eq(ex->msg.causes[0].code, CAUSE_INVALID_VALUES);
    for (int i = 0; i < EN_MALFORMED_MAX; i++) {
        enrp_receive(ex->en, 1, bad, sizeof(bad), ex->now);
    }
    cr_assert_not_null(ex_next(ex, ACTION_DISCONNECT));
    ex_free(ex);
}

/* Parameters that ask for it are reported, the message counts. */
Test(enrp_peers, reports_unknown_parameters)
{
    static const uint8_t message[] = {5, 0, 0,    20,   0, 0, 0, 1, 0, 0,
                                      0, 0, 0xc0, 0x77, 0, 8, 1, 2, 3, 4};
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    enrp_receive(ex->en, 1, message, sizeof(message), ex->now);
    ex_expect(ex, ENRP_LIST_RESPONSE);
    ex_expect(ex, ENRP_ERROR);
    cr_assert_eq(ex->msg.causes[0].code, CAUSE_UNRECOGNIZED_PARAMETER);
    ex_free(ex);
}

/* D-17: an error with our own id as its sender is one all the same; no error answers it. */
Test(enrp_peers, errors_are_not_answered)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    struct enrp_message *m = ex_begin(ex, ENRP_ERROR, ME);
    m->cause_count = 1;
    m->causes[0] = (struct asap_cause){.code = CAUSE_UNSPECIFIED};
    ex_arrives(ex, 1);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    struct enrp_counters counters;
    enrp_get_counters(ex->en, &counters);
    cr_assert_eq(counters.errors_in, 1);
    ex_free(ex);
}

/* enrp.md §12: who reports an error to what it was asked will not answer it any more. */
Test(enrp_peers, an_error_ends_what_was_asked)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex->now.us += 1000;
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    cr_assert(ex->en->peers[0].sync.running);
    ex_drop(ex);
    struct enrp_message *m = ex_begin(ex, ENRP_ERROR, 1);
    m->cause_count = 1;
    m->causes[0] = (struct asap_cause){.code = CAUSE_LACK_OF_RESOURCES};
    ex_arrives(ex, 1);
    cr_assert_not(ex->en->peers[0].sync.running);
    struct action *a = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(a);
    cr_assert_eq(a->event.kind, EVENT_PEER_REFUSED);
    ex_free(ex);
}

static void long_handles(struct enrp_settings *set)
{
    set->handle_max = 1024;
}

/* Long handles only while everybody says that it can. */
Test(enrp_peers, long_handles)
{
    struct ex *ex = ex_serving(long_handles);
    cr_assert_eq(enrp_handle_max(ex->en), 1024);
    ex_up(ex, 1, 1);
    struct enrp_message *m = ex_begin(ex, ENRP_PRESENCE, 1);
    m->has_capabilities = true;
    m->capabilities = ENRP_CAN_LONG_HANDLES;
    ex_arrives(ex, 1);
    cr_assert_eq(enrp_handle_max(ex->en), 1024);
    ex_expect(ex, ENRP_PRESENCE);
    cr_assert(ex->msg.has_capabilities);
    ex_peer(ex, 2, 2, 2);
    cr_assert_eq(enrp_handle_max(ex->en), 32);
    ex_free(ex);
}

/* The times of the profiles (enrp.md §4). */
Test(enrp_peers, profiles)
{
    struct enrp_settings s;
    enrp_settings_profile(&s, ENRP_PROFILE_RFC);
    cr_assert(s.heartbeat_ms == 30000 && s.last_heard_ms == 61000 && s.no_response_ms == 5000);
    cr_assert(s.life_in_seconds && !s.lowest_wins);
    enrp_settings_profile(&s, ENRP_PROFILE_RSPLIB);
    cr_assert(s.heartbeat_ms == 2444 && s.last_heard_ms == 5000 && s.table_octets == 1400);
    cr_assert(!s.life_in_seconds && s.lowest_wins && !s.failure_is_death);
    enrp_settings_profile(&s, ENRP_PROFILE_LAN);
    cr_assert_leq(s.last_heard_ms + s.no_response_ms + s.takeover_delay_ms, 6000);
    enrp_settings_profile(&s, ENRP_PROFILE_FAST);
    cr_assert_leq(s.last_heard_ms + s.no_response_ms + s.takeover_delay_ms, 1000);
}

/* E-8: for us, for nobody in particular, or for somebody else, as rsplib would not look at it. */
Test(enrp_peers, receiver_is_not_looked_at)
{
    const uint32_t receivers[] = {ME, 0, 77};
    for (int i = 0; i < 3; i++) {
        struct ex *ex = ex_serving(NULL);
        ex_peer(ex, 1, 1, 1);
        ex_drop(ex);
        ex_begin(ex, ENRP_LIST_REQUEST, 1)->receiver_id = receivers[i];
        ex_arrives(ex, 1);
        ex_expect(ex, ENRP_LIST_RESPONSE);
        cr_assert_eq(ex->msg.receiver_id, 1);
        ex_free(ex);
    }
}
