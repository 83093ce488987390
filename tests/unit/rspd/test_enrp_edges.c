/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The ENRP machine at the edges of its times, rates and bounds (enrp.md §4 … 6, 9, 12). */
#include "enrp_fixture.h"

#include <errno.h>

static void long_lives(struct enrp_settings *set)
{
    set->last_heard_ms = 600000;
}

/** The next event has to say exactly this. */
static void expect_event(struct ex *ex, enum event_kind kind, const char *text)
{
    struct action *action = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(action, "not said: %s", text);
    cr_assert_eq(action->event.kind, kind, "%s", action->event.text);
    cr_assert_str_eq(action->event.text, text);
}

struct range {
    int64_t least, most;
};

static void widen(struct range *range, int64_t value)
{
    range->least = value < range->least ? value : range->least;
    range->most = value > range->most ? value : range->most;
}

#define NO_RANGE ((struct range){.least = INT64_MAX, .most = INT64_MIN})

/* --- times --------------------------------------------------------------------------------------
 */

/* A rate is so many at once, one more for each period, never more than at once. */
Test(enrp_edges, rates)
{
    static const struct {
        int64_t after_ms;
        unsigned granted;
    } table[] = {{0, 3}, {99, 0}, {1, 1}, {200, 2}, {300, 3}, {5000, 3}};
    struct bucket bucket = {.tokens = 3};
    struct tm_us now = {0};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        unsigned granted = 0;
        now = tm_add_ms(now, table[i].after_ms);
        for (int k = 0; k < 10; k++) {
            granted += bucket_take(&bucket, 3, 100, now) ? 1 : 0;
        }
        cr_assert_eq(granted, table[i].granted, "row %zu", i);
    }
}

/* enrp.md §6: what a peer's timer is in each state. */
Test(enrp_edges, timer_of_each_state)
{
    static const struct {
        enum enrp_peer_state state;
        int64_t ms;
    } table[] = {{ENRP_PEER_CANDIDATE, 2000},
                 {ENRP_PEER_ACTIVE, 2500},
                 {ENRP_PEER_PROBED, 2000},
                 {ENRP_PEER_ARBITRATED, 2000},
                 {ENRP_PEER_INACTIVE, 4000}};
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        en_peer_set_state(ex->en, 0, table[i].state, ex->now);
        cr_assert_eq(tm_diff_ms(ex->en->peers[0].timer, ex->now), table[i].ms, "row %zu", i);
    }
    struct range delay = NO_RANGE;
    for (int i = 0; i < 10000; i++) {
        en_peer_set_state(ex->en, 0, ENRP_PEER_CONDEMNED, ex->now);
        widen(&delay, tm_diff_ms(ex->en->peers[0].timer, ex->now));
    }
    cr_assert(delay.least == 0 && delay.most == 200, "before an arbitration: up to that");
    ex_free(ex);
}

/* A configured peer is tried after twice the time each time, ± a quarter, at most every 10 s or
 * MAX-TIME-NO-RESPONSE, if that is more. */
Test(enrp_edges, attempts_at_a_configured_peer)
{
    static const struct {
        uint32_t attempts, retry, no_response;
        int64_t ms;
    } table[] = {{0, 1000, 2000, 1000},  {1, 1000, 2000, 2000},   {3, 1000, 2000, 8000},
                 {4, 1000, 2000, 10000}, {4, 1000, 10001, 10001}, {4, 1000, 12000, 12000},
                 {5, 10, 2000, 320},     {6, 10, 2000, 640},      {7, 10, 2000, 640}};
    struct ex *ex = ex_serving(NULL);
    ex->poked = true;
    ex_peer(ex, 1, 1, 1);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct range pause = NO_RANGE;
        ex->en->set.retry_max_ms = table[i].retry;
        ex->en->set.no_response_ms = table[i].no_response;
        ex->en->peers[0].attempts = table[i].attempts;
        for (int k = 0; k < 5000; k++) {
            en_peer_set_state(ex->en, 0, ENRP_PEER_STATIC, ex->now);
            widen(&pause, tm_diff_ms(ex->en->peers[0].timer, ex->now));
        }
        int64_t quarter = table[i].ms / 4;
        int64_t near = table[i].ms / 100 + 1;
        cr_assert(pause.least >= table[i].ms - quarter - 1 &&
                      pause.least <= table[i].ms - quarter + near,
                  "row %zu", i);
        cr_assert(pause.most <= table[i].ms + quarter + 1 &&
                      pause.most >= table[i].ms + quarter - near,
                  "row %zu", i);
    }
    ex_free(ex);
}

/* E-66: ± 12 %; looking at the loads every balance_ms ± 50 %, first after twice that. */
Test(enrp_edges, heartbeat_and_balance)
{
    struct range first = NO_RANGE;
    struct range beat = NO_RANGE;
    struct range look = NO_RANGE;
    struct ex *ex = ex_serving(NULL);
    for (int i = 0; i < 5000; i++) {
        ex->en->phase = ENRP_TABLE;
        en_set_phase(ex->en, ENRP_OPERATIONAL, ex->now);
        widen(&first, tm_diff_ms(ex->en->balance_at, ex->now));
        ex_drop(ex);
    }
    cr_assert(first.least >= 3000 && first.least <= 3010);
    cr_assert(first.most <= 9000 && first.most >= 8990);
    for (int i = 0; i < 5000; i++) {
        ex->now = ex->en->next_heartbeat;
        ex->en->balance_at = ex->now;
        enrp_timer(ex->en, ex->now);
        widen(&beat, tm_diff_ms(ex->en->next_heartbeat, ex->now));
        widen(&look, tm_diff_ms(ex->en->balance_at, ex->now));
        ex_drop(ex);
    }
    cr_assert(beat.least == 880 && beat.most == 1120);
    cr_assert(look.least >= 1500 && look.least <= 1510);
    cr_assert(look.most <= 4500 && look.most >= 4490);
    ex_free(ex);
}

/* A reload keeps the identifier, brings what is due nearer and never farther, and cuts what does
 * not fit into a message. */
Test(enrp_edges, reload)
{
    struct ex *ex = ex_serving(NULL);
    struct enrp_settings set = ex->en->set;
    set.id = 0x51;
    set.heartbeat_ms = 100;
    set.balance_ms = 100;
    set.table_elements = 0;
    set.table_octets = 1000000;
    enrp_configure(ex->en, &set, ex->now);
    cr_assert_eq(ex->en->set.id, ME);
    cr_assert_eq(tm_diff_ms(ex->en->next_heartbeat, ex->now), 100);
    cr_assert_eq(tm_diff_ms(ex->en->balance_at, ex->now), 200);
    cr_assert_eq(ex->en->set.table_elements, ENRP_ENTRIES_MAX);
    cr_assert_eq(ex->en->set.table_octets, ENRP_MESSAGE_MAX - 3);
    set.heartbeat_ms = set.balance_ms = 100000;
    set.table_elements = ENRP_ENTRIES_MAX;
    enrp_configure(ex->en, &set, ex->now);
    cr_assert_eq(tm_diff_ms(ex->en->next_heartbeat, ex->now), 100);
    cr_assert_eq(tm_diff_ms(ex->en->balance_at, ex->now), 200);
    set.table_elements = ENRP_ENTRIES_MAX + 1;
    set.table_octets = 1400;
    enrp_configure(ex->en, &set, ex->now);
    cr_assert_eq(ex->en->set.table_elements, ENRP_ENTRIES_MAX);
    cr_assert_eq(ex->en->set.table_octets, 1400);
    set.table_octets = ENRP_MESSAGE_MAX - 2;
    enrp_configure(ex->en, &set, ex->now);
    cr_assert_eq(ex->en->set.table_octets, ENRP_MESSAGE_MAX - 3);
    ex_free(ex);
    ex = ex_new(NULL);
    enrp_configure(ex->en, &set, ex->now);
    cr_assert(tm_is_never(enrp_next_timer(ex->en)), "nothing is due before the start");
    ex_free(ex);
}

/* E-24: a rejected request is repeated after a time in between the two that are set. */
Test(enrp_edges, time_after_a_rejection)
{
    struct range pause = NO_RANGE;
    struct ip_address address = ex_ip(1);
    struct ex *ex = ex_new(long_lives);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = ex_next(ex, ACTION_CONNECT)->assoc;
    ex_up(ex, assoc, 1);
    ex_presence(ex, assoc, 1, 1, false, 0xffff);
    for (int i = 0; i < 10000; i++) {
        ex->en->rejects = 0;
        ex_begin(ex, ENRP_LIST_RESPONSE, 1)->flags = ENRP_RESPONSE_REJECT;
        ex_arrives(ex, assoc);
        widen(&pause, tm_diff_ms(ex->en->start_timer, ex->now));
        ex_drop(ex);
        ex->now = ex->en->start_timer;
        en_start_due(ex->en, ex->now);
        cr_assert_eq(tm_diff_ms(ex->en->start_timer, ex->now), 2000, "then it has to answer");
    }
    cr_assert(pause.least == 300 && pause.most == 1000);
    ex_free(ex);
}

/* --- messages -----------------------------------------------------------------------------------
 */

/* Ten malformed messages are borne; each is answered and counted, and so is all that goes out. */
Test(enrp_edges, malformed_and_counters)
{
    static const uint8_t bad[] = {7, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0, 0};
    struct ex *ex = ex_serving(NULL);
    struct enrp_counters c;
    struct enrp_counters before;
    ex_peer(ex, 1, 1, 1);
    enrp_get_counters(ex->en, &before);
    for (int i = 0; i < 10; i++) {
        enrp_receive(ex->en, 1, bad, sizeof(bad), ex->now);
    }
    uint64_t octets = 0;
    unsigned errors = 0;
    struct action *action;
    while ((action = ex_next(ex, ACTION_SEND)) != NULL) {
        octets += action->message->len;
        errors++;
    }
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(errors, 10);
    cr_assert_eq(c.messages_in - before.messages_in, 10);
    cr_assert_eq(c.octets_in - before.octets_in, 10 * sizeof(bad));
    cr_assert_eq(c.malformed - before.malformed, 10);
    cr_assert_eq(c.messages_out - before.messages_out, 10);
    cr_assert_eq(c.octets_out - before.octets_out, octets);
    enrp_receive(ex->en, 1, bad, sizeof(bad), ex->now);
    action = ex_next(ex, ACTION_DISCONNECT);
    cr_assert_not_null(action);
    cr_assert(action->assoc == 1 && action->abort);
    enrp_receive(ex->en, 1, bad, sizeof(bad), ex->now);
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(c.malformed - before.malformed, 11, "nobody is there any more");
    ex_free(ex);
}

/* §12: our identifier from our own address: the association ends, a configured peer that is
 * ourselves is forgotten; from elsewhere it is said whose it is. */
Test(enrp_edges, our_own_identifier)
{
    struct ex *ex = ex_serving(NULL);
    ex_up(ex, 1, 50);
    ex_presence(ex, 1, ME, 50, true, 0xffff);
    struct action *action = ex_next(ex, ACTION_DISCONNECT);
    cr_assert_not_null(action);
    cr_assert(action->assoc == 1 && action->abort);
    cr_assert_null(en_assoc_find(ex->en, 1));
    ex_up(ex, 2, 1);
    ex_presence(ex, 2, ME, 1, true, 0xffff);
    expect_event(ex, EVENT_PEER_REFUSED, "another registrar has our identifier 00000050: 10.0.0.1");
    ex_free(ex);
    struct ip_address other = ex_ip(60);
    ex = ex_new(NULL);
    cr_assert_eq(enrp_static_peer(ex->en, &other, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = ex_next(ex, ACTION_CONNECT)->assoc;
    ex_up(ex, assoc, 50);
    ex_presence(ex, assoc, ME, 50, false, 0xffff);
    struct enrp_peer_info info[2];
    cr_assert_eq(enrp_peers(ex->en, info, 2), 0);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* An error is said with its name and sender; one from nobody is only counted. */
Test(enrp_edges, errors_are_said)
{
    struct ex *ex = ex_serving(NULL);
    struct enrp_counters c;
    ex_peer(ex, 1, 1, 1);
    struct enrp_message *m = ex_begin(ex, ENRP_ERROR, 1);
    m->cause_count = 2;
    m->causes[0] = (struct asap_cause){.code = CAUSE_LACK_OF_RESOURCES};
    m->causes[1] = (struct asap_cause){.code = CAUSE_SECURITY};
    ex_arrives(ex, 1);
    char text[128];
    (void)snprintf(text, sizeof(text), "registrar 00000001 reports an error: %s",
                   rsp_cause_name(CAUSE_LACK_OF_RESOURCES));
    expect_event(ex, EVENT_PEER_REFUSED, text);
    ex_up(ex, 2, 2);
    ex_begin(ex, ENRP_ERROR, 2);
    ex->out.cause_count = 1;
    ex->out.causes[0] = m->causes[0];
    ex_arrives(ex, 2);
    cr_assert_null(ex_next(ex, ACTION_EVENT));
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(c.errors_in, 2);
    ex_free(ex);
}

/* E-21: who has told no address is not listed; the addresses and port are those known. */
Test(enrp_edges, who_is_listed)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_peer(ex, 3, 3, 3);
    ex->en->peers[1].address_count = 0;
    ex_begin(ex, ENRP_LIST_REQUEST, 1);
    ex_arrives(ex, 1);
    struct action *action = ex_expect(ex, ENRP_LIST_RESPONSE);
    cr_assert_eq(action->assoc, 1);
    cr_assert_eq(ex->msg.server_count, 1);
    cr_assert_eq(ex->msg.servers[0].id, 3);
    cr_assert_eq(ex->msg.servers[0].transport.port, ENRP_PORT);
    cr_assert_eq(ex->msg.servers[0].transport.address_count, 1);
    cr_assert_eq(ex->msg.servers[0].transport.addresses[0].octets[3], 3);
    ex_free(ex);
}

static void with_multicast(struct enrp_settings *set)
{
    set->multicast = true;
}

static void heard(struct ex *ex, uint32_t id, uint8_t from)
{
    struct ip_address source = ex_ip(from);
    ex_begin(ex, ENRP_PRESENCE, id);
    int len = enrp_encode(&ex->out, ex->octets, sizeof(ex->octets));
    cr_assert_gt(len, 0);
    enrp_heard(ex->en, &source, 1, ex->octets, (size_t)len, ex->now);
}

static unsigned connects(struct ex *ex)
{
    unsigned n = 0;
    while (ex_next(ex, ACTION_CONNECT) != NULL) {
        n++;
    }
    return n;
}

/* E-85: sixteen unknown registrars at once, then one each quarter of a second; to the standard port
 * where they name none; our own identifier from elsewhere is said, our own echo is not. */
Test(enrp_edges, heard_by_multicast)
{
    struct ex *ex = ex_new(with_multicast);
    heard(ex, 900, 9);
    cr_assert_eq(connects(ex), 0, "not before the start");
    enrp_start(ex->en, ex->now);
    ex_pass(ex, 1500);
    ex_drop(ex);
    heard(ex, 901, 9);
    struct action *action = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(action);
    cr_assert_eq(action->port, ENRP_PORT);
    cr_assert_eq(action->registrar_id, 901);
    static const unsigned after_ms[] = {0, 249, 1, 500};
    static const unsigned taken[] = {15, 0, 1, 2};
    uint32_t id = 1000;
    for (size_t i = 0; i < 4; i++) {
        ex->now = tm_add_ms(ex->now, after_ms[i]);
        for (uint8_t k = 0; k < 20; k++) {
            heard(ex, ++id, (uint8_t)(100 + k));
        }
        cr_assert_eq(connects(ex), taken[i], "row %zu", i);
    }
    heard(ex, ME, 50);
    cr_assert_null(ex_next(ex, ACTION_EVENT));
    heard(ex, ME, 9);
    expect_event(ex, EVENT_PEER_REFUSED,
                 "another registrar announces our identifier 00000050: 10.0.0.9");
    ex_free(ex);
}

/* --- ways ---------------------------------------------------------------------------------------
 */

/* An association that leads to the peer's first address and port serves, if it is nobody else's. */
Test(enrp_edges, ways_to_a_peer)
{
    static const struct {
        uint16_t port;
        bool up, other;
        unsigned connects;
    } table[] = {{ENRP_PORT, true, false, 0},
                 {ENRP_PORT + 1, true, false, 1},
                 {ENRP_PORT, true, true, 1},
                 {ENRP_PORT, false, false, 1}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct ex *ex = ex_serving(NULL);
        ex->poked = true;
        struct ip_address address = ex_ip(3);
        ex_up(ex, 9, 3);
        if (table[i].other) {
            ex_presence(ex, 9, 77, 3, false, 0xffff);
        }
        en_assoc_find(ex->en, 9)->up = table[i].up;
        ex_drop(ex);
        en_peer_candidate(ex->en, 3, &address, 1, table[i].port, ex->now);
        struct enrp_peer_info info[2];
        size_t n = enrp_peers(ex->en, info, 2);
        cr_assert(info[n - 1].id == 3 && info[n - 1].connected);
        cr_assert_eq(connects(ex), table[i].connects, "row %zu", i);
        ex_free(ex);
    }
}

/* A second association takes over when the first is silent as long as a peer may be, or ends. */
Test(enrp_edges, one_of_two_associations)
{
    for (int late = 0; late < 2; late++) {
        struct ex *ex = ex_serving(NULL);
        ex_peer(ex, 1, 1, 1);
        ex_up(ex, 4, 1);
        ex->now = tm_add_ms(ex->now, 2499 + late);
        ex_presence(ex, 4, 1, 1, false, ex_sum(ex, 1));
        cr_assert_eq(ex->en->peers[0].assoc, late ? 4 : 1);
        enrp_assoc_down(ex->en, late ? 4 : 1, ENRP_DOWN_LOST, ex->now);
        cr_assert_eq(ex->en->peers[0].assoc, late ? 1 : 4);
        cr_assert_eq(ex_state(ex, 1), ENRP_PEER_ACTIVE, "the other one still leads there");
        ex_free(ex);
    }
}

/* It is said once that a registrar is there: not with each message, nor after a probe; and how it
 * went. */
Test(enrp_edges, coming_and_going_is_said)
{
    struct ex *ex = ex_serving(NULL);
    ex_up(ex, 1, 1);
    ex_presence(ex, 1, 1, 1, false, 0xffff);
    expect_event(ex, EVENT_PEER_FOUND, "registrar 00000001 is there");
    ex_presence(ex, 1, 1, 1, false, 0xffff);
    en_peer_set_state(ex->en, 0, ENRP_PEER_PROBED, ex->now);
    ex_presence(ex, 1, 1, 1, false, 0xffff);
    cr_assert_null(ex_next(ex, ACTION_EVENT));
    ex_put(ex, "pool", 5, 1, 0);
    en_peer_set_state(ex->en, 0, ENRP_PEER_PROBED, ex->now);
    en_peer_event(ex->en, 0, EN_TIMER, ex->now);
    expect_event(ex, EVENT_PEER_LOST, "registrar 00000001 is dead: it does not answer");
    ex_presence(ex, 1, 1, 1, false, ex_sum(ex, 1));
    expect_event(ex, EVENT_PEER_FOUND, "registrar 00000001 is there");
    en_peer_remove(ex->en, 0, "for a reason", ex->now);
    struct action *action = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(action);
    cr_assert_str_eq(action->event.text, "registrar 00000001 is gone: for a reason");
    action = ex_next(ex, ACTION_DISCONNECT);
    cr_assert_not_null(action);
    cr_assert(action->assoc == 1 && action->abort);
    ex_free(ex);
}

/* There is room for 64 registrars; another port than ours is not ourselves. */
Test(enrp_edges, room_for_peers)
{
    struct ex *ex = ex_new(NULL);
    struct ip_address address = ex_ip(50);
    struct enrp_peer_info info[2];
    for (int i = 0; i < 64; i++) {
        cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT + 1), 0);
    }
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT + 1), -ENOSPC);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    cr_assert_eq(enrp_peers(ex->en, info, 2), 2);
    cr_assert(info[1].is_static && !info[1].connected && info[1].port == ENRP_PORT + 1);
    cr_assert_eq(info[1].address_count, 1);
    cr_assert_eq(info[1].addresses[0].octets[3], 50);
    ex_free(ex);
}

/* A registrar that names no addresses is at those it speaks from; its association may change them.
 */
Test(enrp_edges, where_a_registrar_is)
{
    struct ex *ex = ex_serving(NULL);
    struct enrp_peer_info info[2];
    struct ip_address moved[] = {ex_ip(7), ex_ip(8)};
    ex_up(ex, 1, 1);
    ex_begin(ex, ENRP_PRESENCE, 1);
    ex_arrives(ex, 1);
    cr_assert_eq(enrp_peers(ex->en, info, 2), 1);
    cr_assert_eq(info[0].address_count, 1);
    cr_assert_eq(info[0].addresses[0].octets[3], 1);
    cr_assert_eq(info[0].port, ENRP_PORT);
    enrp_assoc_up(ex->en, 1, moved, 2, 4711, ex->now);
    cr_assert_eq(en_assoc_find(ex->en, 1)->count, 2);
    cr_assert_eq(en_assoc_find(ex->en, 1)->addresses[0].octets[3], 7);
    ex_free(ex);
}

/* Nothing is said of one that never was there, and nothing is known of a home without name. */
Test(enrp_edges, who_never_was)
{
    struct ex *ex = ex_serving(NULL);
    struct ip_address address = ex_ip(3);
    en_peer_candidate(ex->en, 3, &address, 1, ENRP_PORT, ex->now);
    ex_drop(ex);
    ex_pass(ex, 2000);
    cr_assert_not(ex_knows(ex, 3));
    cr_assert_null(ex_next(ex, ACTION_EVENT));
    en_peer_shadow(ex->en, 0, ex->now);
    en_peer_shadow(ex->en, ME, ex->now);
    cr_assert_eq(ex->en->top == 0 || !ex->en->peers[0].used, true);
    en_peer_shadow(ex->en, 4, ex->now);
    cr_assert_eq(ex_state(ex, 4), ENRP_PEER_INACTIVE);
    ex_free(ex);
}

/* A table nobody has asked for is only counted. */
Test(enrp_edges, a_table_unasked_for)
{
    struct ex *ex = ex_serving(NULL);
    struct enrp_counters before;
    struct enrp_counters after;
    ex_peer(ex, 1, 1, 1);
    enrp_get_counters(ex->en, &before);
    ex_table(ex, 1, 1, 0, 1, 5, 1);
    enrp_get_counters(ex->en, &after);
    cr_assert_eq(after.ignored - before.ignored, 1);
    cr_assert_null(ex_find(ex, "pool", 5));
    ex_free(ex);
}

/* Chance is another with another seed, and the same with the same. */
Test(enrp_edges, chance_comes_from_the_seed)
{
    int64_t due[3];
    for (int i = 0; i < 3; i++) {
        struct ex *ex = ex_new(NULL);
        struct enrp_settings set = ex->en->set;
        struct enrp *en = enrp_new(&set, NULL, ex->hs, &ex->box, i < 2 ? 5 : 6, ex->now);
        cr_assert_not_null(en);
        enrp_start(en, ex->now);
        due[i] = en->balance_at.us;
        enrp_free(en);
        ex_free(ex);
    }
    cr_assert_eq(due[0], due[1]);
    cr_assert_neq(due[0], due[2]);
}

/* An association of a configured registrar leads to the entry that is known already, the ways to
 * others stay. */
Test(enrp_edges, one_entry_is_enough)
{
    struct ip_address address = ex_ip(9);
    struct ex *ex = ex_new(long_lives);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    uint64_t configured = ex_next(ex, ACTION_CONNECT)->assoc;
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_up(ex, configured, 9);
    ex_presence(ex, configured, 2, 2, false, 0xffff);
    ex_drop(ex); /* looks at the insides */
    cr_assert_eq(en_assoc_find(ex->en, 1)->peer, en_peer_find(ex->en, 1));
    cr_assert_eq(en_assoc_find(ex->en, configured)->peer, en_peer_find(ex->en, 2));
    cr_assert(ex->en->peers[en_peer_find(ex->en, 2)].is_static);
    ex_free(ex);
}

/* All addresses a registrar names are known, as far as its association has them; one that was only
 * told of is tried at all of them, and one of no address is not. */
Test(enrp_edges, all_addresses_of_a_registrar)
{
    struct ex *ex = ex_serving(NULL);
    struct enrp_peer_info info[2];
    struct ip_address list[] = {ex_ip(1), ex_ip(2), ex_ip(3)};
    enrp_assoc_up(ex->en, 1, list, 2, ENRP_PORT, ex->now);
    struct enrp_message *m = ex_begin(ex, ENRP_PRESENCE, 1);
    m->server_count = 1;
    m->servers[0] = (struct enrp_server){
        .id = 1,
        .transport = {
            .protocol = TRANSPORT_SCTP, .port = 4711, .address_count = 3, .addresses = list}};
    ex_arrives(ex, 1);
    cr_assert_eq(enrp_peers(ex->en, info, 2), 1);
    cr_assert_eq(info[0].address_count, 2);
    cr_assert(ip_address_equal(&info[0].addresses[1], &list[1]));
    cr_assert_eq(info[0].port, 4711);
    ex_drop(ex);
    en_peer_candidate(ex->en, 9, list, 0, ENRP_PORT, ex->now);
    en_peer_candidate(ex->en, 9, list, 1, 0, ex->now);
    cr_assert_eq(connects(ex), 0);
    en_peer_candidate(ex->en, 9, list, 3, ENRP_PORT, ex->now);
    struct action *action = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(action);
    cr_assert_eq(action->address_count, 3);
    cr_assert(ip_address_equal(&action->addresses[2], &list[2]));
    ex_free(ex);
}

/* Nobody need listen to what happens. */
Test(enrp_edges, without_hooks)
{
    struct ex *ex = ex_serving(long_lives);
    ex->en->hooks = (struct enrp_hooks){0};
    ex->en->set.suggestion = ENRP_SUGGEST_BY_ID;
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    struct enrp_entry entry = ex_entry("pool", 5, 1);
    entry.element.policy = (struct policy){.type = POLICY_RR};
    ex_update(ex, 1, 1, ENRP_ADD_PE, &entry, true);
    cr_assert_not_null(ex_find(ex, "pool", 5));
    ex_put(ex, "pool", 6, ME, 77);
    entry = ex_entry("pool", 6, 1);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &entry, false);
    cr_assert_eq(ex_find(ex, "pool", 6)->home_id, 1);
    ex_put(ex, "pool", 7, ME, 77);
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 7), ex->now);
    hs_read_end();
    ex_takeover(ex, 2, ENRP_TAKEOVER_SERVER, 2, ME);
    ex_takeover(ex, 2, ENRP_TAKEOVER_SERVER, 2, 1);
    cr_assert_eq(ex_find(ex, "pool", 5)->home_id, 2);
    entry = ex_entry("pool", 5, 2);
    ex_update(ex, 2, 2, ENRP_DEL_PE, &entry, false);
    cr_assert_null(ex_find(ex, "pool", 5));
    enrp_leave(ex->en, ex->now);
    ex_pass(ex, 60000);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LEFT);
    ex_free(ex);
}
