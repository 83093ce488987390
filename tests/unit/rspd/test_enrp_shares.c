/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who gets which elements, and when: downloads, audits, takeovers, balance, leaving (enrp.md §7 …
 * 12), at the edges of their rules. */
#include "enrp_fixture.h"

static void small_parts(struct enrp_settings *set)
{
    set->table_elements = 1;
    set->last_heard_ms = 600000;
}

static void expect_event(struct ex *ex, enum event_kind kind, const char *text)
{
    struct action *action = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(action, "not said: %s", text);
    cr_assert_eq(action->event.kind, kind, "%s", action->event.text);
    cr_assert_str_eq(action->event.text, text);
}

/* --- downloads and audits -----------------------------------------------------------------------
 */

static uint8_t table_flags(struct ex *ex, uint64_t assoc)
{
    ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, (uint32_t)assoc);
    ex_arrives(ex, assoc);
    ex_expect(ex, ENRP_HANDLE_TABLE_RESPONSE);
    return ex->msg.flags;
}

/* E-92: sixteen downloads at a time; one that is over or too old makes room (E-36). */
Test(enrp_shares, downloads_at_a_time)
{
    struct ex *ex = ex_serving(small_parts);
    for (uint8_t i = 1; i <= 17; i++) {
        ex_peer(ex, i, i, i);
    }
    ex_put(ex, "pool", 1, ME, 0);
    ex_put(ex, "pool", 2, ME, 0);
    for (uint64_t i = 1; i <= 16; i++) {
        cr_assert_eq(table_flags(ex, i), ENRP_TABLE_MORE);
    }
    cr_assert_eq(table_flags(ex, 17), ENRP_RESPONSE_REJECT);
    cr_assert_eq(table_flags(ex, 3), 0, "its second part");
    cr_assert_eq(table_flags(ex, 17), ENRP_TABLE_MORE);
    ex_pass(ex, 4999);
    cr_assert_eq(table_flags(ex, 3), ENRP_RESPONSE_REJECT);
    ex_pass(ex, 1);
    cr_assert_eq(table_flags(ex, 3), ENRP_TABLE_MORE);
    ex_free(ex);
}

/* E-98: half a heartbeat, then twice as long each time it does not help, up to resync_max_ms. */
Test(enrp_shares, pauses_between_audits)
{
    static const int64_t pauses[] = {500, 1000, 2000, 4000, 8000, 15000, 15000};
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    for (size_t i = 0; i < sizeof(pauses) / sizeof(pauses[0]); i++) {
        ex_presence(ex, 1, 1, 1, false, 0x1234);
        cr_assert(ex->en->peers[0].sync.running, "row %zu", i);
        ex_table(ex, 1, 1, 0, 1, 0, 0);
        cr_assert_not(ex->en->peers[0].sync.running);
        ex->now = tm_add_ms(ex->now, pauses[i] - 1);
        ex_presence(ex, 1, 1, 1, false, 0x1234);
        cr_assert_not(ex->en->peers[0].sync.running, "row %zu", i);
        ex->now = tm_add_ms(ex->now, 1);
        ex_drop(ex);
    }
    struct enrp_counters c;
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(c.resyncs, sizeof(pauses) / sizeof(pauses[0]));
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    expect_event(ex, EVENT_PEER_RESYNC,
                 "registrar 00000001 has checksum 1234, we ffff: asking for its elements");
    ex_free(ex);
}

/* A resynchronisation after one left unfinished makes a second pass before anything is removed; one
 * that is not answered in its time is unfinished. */
Test(enrp_shares, unfinished_resynchronisation)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 1, 1, 0);
    ex->now = tm_add_ms(ex->now, 1);
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    ex_pass(ex, 1999);
    cr_assert(ex->en->peers[0].sync.running && !ex->en->peers[0].sync.unclean);
    ex_pass(ex, 1);
    cr_assert(!ex->en->peers[0].sync.running && ex->en->peers[0].sync.unclean);
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    ex_drop(ex);
    ex_table(ex, 1, 1, 0, 1, 2, 1);
    cr_assert(ex->en->peers[0].sync.running && !ex->en->peers[0].sync.unclean);
    cr_assert_not_null(ex_find(ex, "pool", 1));
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    cr_assert_eq(ex->msg.flags, ENRP_TABLE_OWN_ONLY);
    ex_table(ex, 1, 1, 0, 1, 2, 1);
    cr_assert_not(ex->en->peers[0].sync.running);
    cr_assert_null(ex_find(ex, "pool", 1));
    cr_assert_not_null(ex_find(ex, "pool", 2));
    ex_free(ex);
}

/* §7.2: what is not taken is said with the reason. */
Test(enrp_shares, reasons_of_conflicts)
{
    static const char *const why[] = {"the pool has another policy",
                                      "the pool has another transport",
                                      "the pool has another transport use"};
    for (int i = 0; i < 3; i++) {
        struct ex *ex = ex_serving(NULL);
        ex_peer(ex, 1, 1, 1);
        struct enrp_entry e = ex_entry("pool", 5, 1);
        e.element.user.protocol = TRANSPORT_SCTP;
        ex_update(ex, 1, 1, ENRP_ADD_PE, &e, false);
        ex_drop(ex);
        e.element.pe_id = 6;
        if (i == 0) {
            e.element.policy = (struct policy){.type = POLICY_RAND};
        } else if (i == 1) {
            e.element.user.protocol = TRANSPORT_TCP;
        } else {
            e.element.user.use = TRANSPORT_USE_DATA_AND_CONTROL;
        }
        ex_update(ex, 1, 1, ENRP_ADD_PE, &e, false);
        char text[160];
        (void)snprintf(text, sizeof(text),
                       "PE 0x00000006 of pool pool from registrar 00000001 not taken: %s", why[i]);
        expect_event(ex, EVENT_PEER_REFUSED, text);
        ex_free(ex);
    }
}

/* Subscribers learn of other ports and addresses, not of a mere repetition. */
Test(enrp_shares, news_for_subscribers)
{
    struct ex *ex = ex_serving(NULL);
    struct ip_address two[] = {ex_ip(1), ex_ip(2)};
    struct ip_address turned[] = {ex_ip(2), ex_ip(1)};
    ex_peer(ex, 1, 1, 1);
    struct enrp_entry e = ex_entry("pool", 5, 1);
    e.element.user.protocol = TRANSPORT_SCTP;
    e.element.user.addresses = two;
    e.element.user.address_count = 2;
    for (int row = 0; row < 5; row++) {
        static const unsigned changed[] = {1, 1, 2, 3, 4};
        e.element.user.port = row >= 2 ? 81 : 80;
        e.element.user.addresses = row >= 3 ? turned : two;
        e.element.user.address_count = row >= 4 ? 1 : 2;
        ex_update(ex, 1, 1, ENRP_ADD_PE, &e, false);
        cr_assert_eq(ex->changed, changed[row], "row %d", row);
    }
    ex_update(ex, 1, 1, ENRP_DEL_PE, &e, false);
    cr_assert_eq(ex->changed, 5);
    ex_free(ex);
}

/* --- takeover -----------------------------------------------------------------------------------
 */

static struct ex *one_dead(void)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    ex_peer(ex, 3, 0x33, 3);
    ex_put(ex, "pool", 5, 0x33, 0);
    ex_put(ex, "pool", 6, 0x33, 0);
    en_peer_set_state(ex->en, 1, ENRP_PEER_CONDEMNED, ex->now);
    ex_drop(ex);
    en_peer_event(ex->en, 1, EN_TIMER, ex->now);
    return ex;
}

/* Each step is said, with how much is at stake; a takeover of ours is counted. */
Test(enrp_shares, takeovers_are_said)
{
    struct enrp_counters c;
    struct ex *ex = one_dead();
    expect_event(ex, EVENT_TAKEOVER, "registrar 00000033: arbitration begun (2 elements)");
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER_ACK, 0x10, 0x33);
    expect_event(ex, EVENT_TAKEOVER, "registrar 00000033: taken over by us (2 elements)");
    expect_event(ex, EVENT_PEER_LOST, "registrar 00000033 is gone: taken over");
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(c.takeovers, 1);
    ex_free(ex);
    ex = one_dead();
    ex_drop(ex);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER, 0x10, 0x33);
    expect_event(ex, EVENT_TAKEOVER,
                 "registrar 00000033: arbitration left to another registrar (2 elements)");
    ex_takeover(ex, 1, ENRP_TAKEOVER_SERVER, 0x10, 0x33);
    expect_event(ex, EVENT_TAKEOVER,
                 "registrar 00000033: taken over by another registrar (2 elements)");
    enrp_get_counters(ex->en, &c);
    cr_assert_eq(c.takeovers, 0);
    ex_free(ex);
}

/* Nobody is taken over at its own word, nor from itself. */
Test(enrp_shares, takeover_of_oneself)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    ex_put(ex, "pool", 5, 0x10, 0);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER, 0x10, 0x10);
    cr_assert_eq(ex_state(ex, 0x10), ENRP_PEER_ACTIVE);
    ex_takeover(ex, 1, ENRP_TAKEOVER_SERVER, 0x10, 0x10);
    cr_assert(ex_knows(ex, 0x10));
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_free(ex);
}

/* --- balance ------------------------------------------------------------------------------------
 */

/** Bit n: the host 100 + n, whose element is offered to that registrar. */
static unsigned offered(struct ex *ex, uint32_t to)
{
    unsigned hosts = 0;
    ex_drop(ex);
    en_balance_due(ex->en, ex->now);
    while (ex_sent(ex, ENRP_HANDLE_UPDATE) != NULL) {
        cr_assert_eq(ex->msg.receiver_id, to);
        hs_read_begin();
        const struct hs_element *e = ex_find(ex, "pool", ex->msg.entries[0].element.pe_id);
        hosts |= 1u << (e->owner_ref - 100);
        hs_read_end();
    }
    return hosts;
}

/* What fits best is offered: the largest host within what is to be moved, else the smallest that
 * still helps; nothing while it is even but for an eighth. */
Test(enrp_shares, what_is_offered)
{
    static const struct {
        unsigned hosts[4]; /* their elements with us */
        unsigned other;    /* elements of the other registrar */
        unsigned offered;  /* bit per host */
    } table[] = {
        {{7, 3, 2}, 0, 6}, /* 6 of 12: 3 and 2, as 7 would turn the tables */
        {{8}, 0, 0},       /* would turn them */
        {{7, 1}, 0, 2},    /* 1 fits; then 7 is too much */
        {{5, 1}, 0, 2},    /* the same */
        {{5, 4}, 2, 2},    /* 3 wanted: none fits, 4 is the smaller */
        {{15, 1}, 15, 0},  /* 1 is less than an eighth of 16 */
        {{15, 1}, 14, 2},  /* 2 is not */
        {{22, 1}, 21, 2},  /* 2 of 23 neither */
        {{3, 3}, 0, 1},    /* the first of equals */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct ex *ex = ex_serving(NULL);
        uint32_t id = 0;
        ex_peer(ex, 1, 0x10, 1);
        for (unsigned host = 0; host < 4; host++) {
            for (unsigned k = 0; k < table[i].hosts[host]; k++) {
                ex_put(ex, "pool", ++id, ME, 100 + host);
            }
        }
        for (unsigned k = 0; k < table[i].other; k++) {
            ex_put(ex, "pool", ++id, 0x10, 0);
        }
        cr_assert_eq(offered(ex, 0x10), table[i].offered, "row %zu", i);
        ex_free(ex);
    }
}

/* Only who owns most offers, of equals the one with the lowest identifier; to who owns least, of
 * equals the first. */
Test(enrp_shares, who_offers_to_whom)
{
    static const struct {
        uint32_t a, b;        /* identifiers of the others */
        unsigned own, as, bs; /* and elements */
        uint32_t to;          /* 0: nobody */
    } table[] = {{0x10, 0x90, 8, 0, 0, 0x10}, {0x10, 0x90, 8, 2, 0, 0x90},
                 {0x10, 0x90, 8, 0, 9, 0},    {0x60, 0x90, 8, 0, 8, 0x60},
                 {0x60, 0x40, 8, 0, 8, 0},    {0x10, 0x90, 8, 1, 1, 0x10}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct ex *ex = ex_serving(NULL);
        uint32_t id = 0;
        ex_peer(ex, 1, table[i].a, 1);
        ex_peer(ex, 2, table[i].b, 2);
        for (unsigned k = 0; k < table[i].own; k++) {
            ex_put(ex, "pool", ++id, ME, 100 + k);
        }
        for (unsigned k = 0; k < table[i].as + table[i].bs; k++) {
            ex_put(ex, "pool", ++id, k < table[i].as ? table[i].a : table[i].b, 0);
        }
        cr_assert_eq(offered(ex, table[i].to) != 0, table[i].to != 0, "row %zu", i);
        ex_free(ex);
    }
}

/* §12: a leaving registrar offers its elements in five steps and at the end, each time to the next
 * of those that live; then it is silent. */
Test(enrp_shares, leaving_in_steps)
{
    static const uint32_t to[] = {2, 1, 2, 1, 2, 2};
    struct ex *ex = ex_serving(small_parts);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_put(ex, "pool", 1, ME, 77);
    ex_put(ex, "pool", 2, ME, LOCAL_ASSOC);
    enrp_leave(ex->en, ex->now);
    for (int step = 0; step < 6; step++) {
        ex_expect(ex, ENRP_HANDLE_UPDATE);
        cr_assert_eq(ex->msg.receiver_id, to[step], "step %d", step);
        cr_assert_eq(ex->msg.entries[0].element.pe_id, 1);
        cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE));
        cr_assert_eq(enrp_phase(ex->en), step < 5 ? ENRP_LEAVING : ENRP_LEFT);
        if (step < 5) {
            ex_pass(ex, step < 4 ? 1000 : 995);
            cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE), "step %d", step);
            ex_pass(ex, 1);
        }
    }
    cr_assert_eq(ex->offered, 6);
    ex_drop(ex);
    ex_pass(ex, 60000);
    ex_begin(ex, ENRP_LIST_REQUEST, 1);
    ex_arrives(ex, 1);
    cr_assert_null(ex_sent(ex, ENRP_LIST_RESPONSE));
    ex_free(ex);
}

static void balances(struct enrp_settings *set)
{
    set->suggestion = ENRP_SUGGEST_BY_LOAD;
    set->last_heard_ms = 600000;
}

/* A configured registrar that was never heard of keeps nobody from balancing; one that is being
 * looked for does. */
Test(enrp_shares, while_somebody_is_missing)
{
    struct ip_address address = ex_ip(9);
    struct ex *ex = ex_new(balances);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    ex_pass(ex, 10000);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    for (uint32_t id = 1; id <= 4; id++) {
        ex_put(ex, "pool", id, ME, 70 + id);
    }
    en_peer_set_state(ex->en, en_peer_find(ex->en, 2), ENRP_PEER_PROBED, ex->now);
    en_balance_due(ex->en, ex->now);
    cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), 0);
    en_peer_set_state(ex->en, en_peer_find(ex->en, 2), ENRP_PEER_ACTIVE, ex->now);
    en_balance_due(ex->en, ex->now);
    cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), 2);
    ex_free(ex);
}

/* enrp.md §7: a life that the unit cannot say is the longest one that is not for ever. */
Test(enrp_shares, long_lives_on_the_wire)
{
    static const struct {
        int64_t life_ms;
        bool in_seconds;
        uint32_t told;
    } table[] = {{-1, false, REGISTRATION_LIFE_INFINITE},
                 {5000, false, 5000},
                 {5000, true, 5},
                 {5001, true, 6},
                 {0xfffffffe, false, 0xfffffffe},
                 {0xffffffff, false, 0xfffffffe},
                 {INT64_C(0x300000000), false, 0xfffffffe}};
    struct ex *ex = ex_serving(NULL);
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        struct enrp_entry entry = ex_entry("pool", 1, ME);
        struct enrp_entry told;
        ex->en->set.life_in_seconds = table[i].in_seconds;
        (void)hs_register(ex->hs, entry.handle, &entry.element, table[i].life_ms, 0, ex->now);
        hs_read_begin();
        en_entry_of(ex->en, ex_find(ex, "pool", 1), &told);
        hs_read_end();
        cr_assert_eq(told.element.registration_life, table[i].told, "row %zu", i);
    }
    ex_free(ex);
}

static void by_id(struct enrp_settings *set)
{
    set->suggestion = ENRP_SUGGEST_BY_ID;
    set->last_heard_ms = 600000;
}

/* Only what another host has registered is offered, and only while we serve. */
Test(enrp_shares, what_is_not_offered)
{
    struct ex *ex = ex_serving(by_id);
    ex_peer(ex, 1, 0xffff0000, 1);
    ex_put(ex, "pool", 1, ME, 77);
    ex_put(ex, "pool", 2, ME, LOCAL_ASSOC);
    ex_put(ex, "pool", 3, ME, 0);
    for (uint32_t id = 1; id <= 3; id++) {
        hs_read_begin();
        en_suggest(ex->en, ex_find(ex, "pool", id), ex->now);
        hs_read_end();
        cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), id == 1 ? 1 : 0, "%u", id);
    }
    enrp_leave(ex->en, ex->now);
    ex_drop(ex);
    hs_read_begin();
    en_suggest(ex->en, ex_find(ex, "pool", 1), ex->now);
    hs_read_end();
    cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), 0);
    ex_free(ex);
}

/* enrp.md §10.3: taken for dead, we ask what stands by us: the first at once, the others one after
 * the other. */
Test(enrp_shares, the_first_is_asked_at_once)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 1, ME, 77);
    ex_takeover(ex, 1, ENRP_TAKEOVER_SERVER, 1, ME);
    cr_assert_eq(ex->adopted, 1);
    cr_assert_eq(ex->adopted_at.us, ex->now.us);
    ex_put(ex, "pool", 2, ME, 77);
    ex_put(ex, "pool", 3, ME, 77);
    ex_takeover(ex, 1, ENRP_TAKEOVER_SERVER, 1, ME);
    cr_assert_eq(ex->adopted, 4);
    cr_assert_eq(tm_diff_ms(ex->adopted_at, ex->now), 2 * 1000 / ex->en->set.adopt_rate);
    ex_free(ex);
}

/* E-53: asked is who is there when an arbitration begins, not who was when an earlier one was
 * given up. */
Test(enrp_shares, an_arbitration_after_another)
{
    struct ex *ex = ex_serving(by_id);
    for (uint8_t i = 1; i <= 3; i++) {
        ex_peer(ex, i, i, i);
    }
    ex_put(ex, "pool", 5, 1, 0);
    int slot = en_peer_find(ex->en, 1);
    for (int round = 0; round < 2; round++) {
        en_peer_set_state(ex->en, slot, ENRP_PEER_CONDEMNED, ex->now);
        en_peer_event(ex->en, slot, EN_TIMER, ex->now);
        cr_assert_eq(ex_state(ex, 1), ENRP_PEER_ARBITRATED);
        uint64_t others = en_bit(en_peer_find(ex->en, 2));
        others |= round == 0 ? en_bit(en_peer_find(ex->en, 3)) : 0;
        cr_assert_eq(ex->en->peers[slot].waiting, others);
        en_peer_event(ex->en, slot, EN_PRESENCE, ex->now);
        cr_assert_eq(ex_state(ex, 1), ENRP_PEER_ACTIVE);
        if (round == 0) {
            en_peer_remove(ex->en, en_peer_find(ex->en, 3), "left", ex->now);
        }
    }
    ex_free(ex);
}

/* An eighth of what we own is even enough, one more than that is not. */
Test(enrp_shares, even_enough)
{
    enum { OWN = 80 };
    static const uint32_t theirs[] = {OWN - 9, OWN - 10};
    for (size_t i = 0; i < 2; i++) {
        struct ex *ex = ex_serving(balances);
        ex_peer(ex, 1, 1, 1);
        for (uint32_t id = 1; id <= OWN; id++) {
            ex_put(ex, "pool", id, ME, 1000 + id);
            if (id <= theirs[i]) {
                ex_put(ex, "pool", 1000 + id, 1, 0);
            }
        }
        en_balance_due(ex->en, ex->now);
        cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), i == 0 ? 0 : 5);
        ex_free(ex);
    }
}
