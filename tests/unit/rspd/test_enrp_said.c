/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a registrar says to others, field by field, and to whom (enrp.md §4, 6, 7, 9). */
#include "enrp_fixture.h"

static struct action *expect_to(struct ex *ex, enum enrp_type type, uint64_t assoc,
                                uint32_t receiver)
{
    struct action *a = ex_expect(ex, type);
    cr_assert_eq(a->assoc, assoc);
    cr_assert_eq(ex->msg.receiver_id, receiver);
    return a;
}

static void expect_presence(struct ex *ex, uint64_t assoc, uint32_t receiver, uint8_t flags)
{
    struct ip_address own = ex_ip(50);
    (void)expect_to(ex, ENRP_PRESENCE, assoc, receiver);
    cr_assert_eq(ex->msg.flags, flags);
    cr_assert(ex->msg.has_checksum && ex->msg.checksum == ex_sum(ex, ME));
    cr_assert_not(ex->msg.has_capabilities);
    cr_assert(ex->msg.server_count == 1 && ex->msg.servers[0].id == ME);
    const struct transport *t = &ex->msg.servers[0].transport;
    cr_assert(t->protocol == TRANSPORT_SCTP && t->port == ENRP_PORT && t->address_count == 1);
    cr_assert(ip_address_equal(&t->addresses[0], &own));
}

/* E-46, E-47, E-50: who is new is asked who it is and whom it knows; who is known, nothing. */
Test(enrp_said, to_a_new_registrar)
{
    struct ex *ex = ex_serving(NULL);
    ex_put(ex, "pool", 1, ME, 9);
    ex_up(ex, 3, 7);
    ex_begin(ex, ENRP_LIST_REQUEST, 0x70);
    ex_arrives(ex, 3);
    expect_presence(ex, 3, 0x70, ENRP_PRESENCE_REPLY);
    (void)expect_to(ex, ENRP_LIST_REQUEST, 3, 0x70);
    cr_assert_eq(ex->msg.flags, 0);
    (void)expect_to(ex, ENRP_LIST_RESPONSE, 3, 0x70);
    cr_assert(ex->msg.flags == 0 && ex->msg.server_count == 0);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_begin(ex, ENRP_LIST_REQUEST, 0x70);
    ex_arrives(ex, 3);
    (void)expect_to(ex, ENRP_LIST_RESPONSE, 3, 0x70);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_free(ex);
}

/* E-10, E-68: asked for, at once and over the same association, without a question back. */
Test(enrp_said, presence_in_answer)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x70, 7);
    ex_presence(ex, 3, 0x70, 7, true, ex_sum(ex, 0x70));
    expect_presence(ex, 3, 0x70, 0);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_free(ex);
}

/* E-49 … E-52: silence, the question, and the end, to the millisecond; each with its words. */
Test(enrp_said, to_a_silent_one)
{
    struct ex *ex = ex_serving(NULL);
    ex->poked = true;
    ex_peer(ex, 3, 0x70, 7);
    ex_pass(ex, ex->en->set.last_heard_ms - 1);
    ex_drop(ex);
    cr_assert_eq(ex_state(ex, 0x70), ENRP_PEER_ACTIVE);
    ex->en->next_heartbeat = TM_NEVER;
    ex_pass(ex, 1);
    cr_assert_eq(ex_state(ex, 0x70), ENRP_PEER_PROBED);
    expect_presence(ex, 3, 0x70, ENRP_PRESENCE_REPLY);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_pass(ex, ex->en->set.no_response_ms - 1);
    cr_assert(ex_knows(ex, 0x70));
    ex_pass(ex, 1);
    cr_assert_not(ex_knows(ex, 0x70));
    struct action *a = ex_next(ex, ACTION_EVENT);
    cr_assert(a != NULL && a->event.kind == EVENT_PEER_LOST && a->event.registrar_id == 0x70);
    cr_assert_str_eq(a->event.text, "registrar 00000070 is gone: it does not answer");
    ex_free(ex);
}

/* One that goes takes its own associations along, nobody else's. */
Test(enrp_said, whose_associations_end)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x70, 7);
    ex_peer(ex, 4, 0x71, 8);
    ex_up(ex, 5, 9); /* nobody's yet */
    ex_up(ex, 6, 7);
    ex_presence(ex, 6, 0x70, 7, false, ex_sum(ex, 0x70)); /* a second one of the first */
    ex_drop(ex);
    en_peer_remove(ex->en, en_peer_find(ex->en, 0x70), "test", ex->now);
    struct action *a = ex_next(ex, ACTION_DISCONNECT);
    cr_assert(a != NULL && a->assoc == 3 && a->abort);
    a = ex_next(ex, ACTION_DISCONNECT);
    cr_assert(a != NULL && a->assoc == 6 && a->abort);
    cr_assert_null(ex_next(ex, ACTION_DISCONNECT));
    cr_assert_eq(ex->en->peers[en_peer_find(ex->en, 0x71)].assoc, 4);
    ex_begin(ex, ENRP_LIST_REQUEST, 0x72);
    ex_arrives(ex, 5);
    cr_assert_eq(ex_state(ex, 0x72), ENRP_PEER_ACTIVE);
    ex_free(ex);
}

/* A configured one: a PRESENCE to nobody in particular, until it is known by name. */
Test(enrp_said, to_a_configured_one)
{
    struct ex *ex = ex_new(NULL);
    ex->poked = true;
    struct ip_address ip = ex_ip(7);
    cr_assert_eq(enrp_static_peer(ex->en, &ip, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    ex_pass(ex, 60000);
    ex_drop(ex);
    ex->en->next_heartbeat = TM_NEVER;
    ex_peer(ex, 4, 0x71, 8); /* something else was said last */
    ex->en->peers[en_peer_find(ex->en, 0x71)].timer = TM_NEVER;
    ex_drop(ex);
    struct en_peer *peer = &ex->en->peers[0];
    cr_assert(peer->is_static && peer->id == 0);
    peer->assoc = 0;
    for (size_t i = 0; i < EN_ASSOCS_MAX; i++) {
        ex->en->assocs[i].id = ex->en->assocs[i].peer == 0 ? 0 : ex->en->assocs[i].id;
    }
    uint32_t attempts = peer->attempts;
    peer->timer = ex->now;
    enrp_timer(ex->en, ex->now);
    cr_assert_eq(peer->attempts, attempts + 1);
    expect_presence(ex, peer->assoc, 0, ENRP_PRESENCE_REPLY);
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_free(ex);
}

/* What a configured entry had over to one known by another way: its association too, or none. */
Test(enrp_said, one_entry_for_both)
{
    for (int with = 0; with < 2; with++) {
        struct ex *ex = ex_new(NULL);
        struct ip_address ip = ex_ip(7);
        cr_assert_eq(enrp_static_peer(ex->en, &ip, 1, ENRP_PORT), 0);
        enrp_start(ex->en, ex->now);
        uint64_t opened = ex->en->peers[0].assoc;
        ex_drop(ex);
        if (with == 0) {
            enrp_assoc_down(ex->en, opened, ENRP_DOWN_CANT_START, ex->now);
        }
        ex_peer(ex, 4, 0x70, 7); /* the same one, from its own end */
        int slot = en_peer_find(ex->en, 0x70);
        cr_assert(ex->en->peers[slot].is_static && ex->en->peers[slot].assoc == 4);
        cr_assert_eq(ex->en->peers[slot].static_count, 1);
        cr_assert_eq(ex->en->peers[slot].static_port, ENRP_PORT);
        unsigned known = 0;
        for (int i = 0; i < ex->en->top; i++) {
            known += ex->en->peers[i].used ? 1 : 0;
        }
        cr_assert_eq(known, 1);
        enrp_assoc_down(ex->en, 4, ENRP_DOWN_LOST, ex->now);
        if (with == 0) { /* no other way: asked over a new one */
            cr_assert_eq(ex_state(ex, 0x70), ENRP_PEER_PROBED);
            cr_assert_not_null(ex_next(ex, ACTION_CONNECT));
        }
        ex_free(ex);
    }
}

/* E-37, E-38, E-42: our elements, to all who live, as they are. */
Test(enrp_said, updates)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x70, 7);
    ex_peer(ex, 4, 0x71, 8);
    ex_put(ex, "pool", 5, ME, 9);
    hs_read_begin();
    const struct hs_element *e = ex_find(ex, "pool", 5);
    enrp_registered(ex->en, e, ex->now);
    enrp_removed(ex->en, e, true, ex->now);
    hs_read_end();
    for (int action = 0; action < 2; action++) {
        for (uint64_t assoc = 3; assoc <= 4; assoc++) {
            (void)expect_to(ex, ENRP_HANDLE_UPDATE, assoc, 0);
            const struct pool_element *pe = &ex->msg.entries[0].element;
            cr_assert_eq(ex->msg.action, action == 0 ? ENRP_ADD_PE : ENRP_DEL_PE);
            cr_assert(ex->msg.flags == 0 && ex->msg.entry_count == 1);
            cr_assert(pool_handle_equal(ex->msg.entries[0].handle, pool_handle_of("pool")));
            cr_assert(pe->pe_id == 5 && pe->home_id == ME && pe->registration_life == 30000);
            cr_assert(pe->user.protocol == TRANSPORT_TCP && pe->user.port == 80);
            cr_assert(pe->user.address_count == 1 && pe->user.addresses[0].octets[3] == 5);
            cr_assert(pe->asap.port == 40000 && pe->policy.type == POLICY_RR);
        }
    }
    cr_assert_null(ex_next(ex, ACTION_SEND));
    ex_free(ex);
}

/* What of an update is news to those who resolve: another address or port, nothing else. */
Test(enrp_said, what_is_news)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x70, 7);
    struct enrp_entry entry = ex_entry("pool", 5, 0x70);
    struct ip_address list[2] = {ex_ip(1), ex_ip(2)};
    entry.element.user.protocol = TRANSPORT_SCTP;
    entry.element.user.addresses = list;
    entry.element.user.address_count = 2;
    static const struct {
        uint8_t first, second, count;
        uint16_t port;
        uint32_t life;
        unsigned news;
    } rows[] = {{1, 2, 2, 80, 1000, 1}, {1, 2, 2, 80, 1000, 0}, {1, 2, 2, 80, 2000, 0},
                {3, 2, 2, 80, 1000, 1}, {3, 4, 2, 80, 1000, 1}, {3, 4, 1, 80, 1000, 1},
                {3, 4, 2, 80, 1000, 1}, {3, 4, 2, 81, 1000, 1}, {3, 4, 2, 81, 1000, 0}};
    for (size_t r = 0; r < sizeof(rows) / sizeof(rows[0]); r++) {
        list[0] = ex_ip(rows[r].first);
        list[1] = ex_ip(rows[r].second);
        entry.element.user.address_count = rows[r].count;
        entry.element.user.port = rows[r].port;
        entry.element.registration_life = rows[r].life;
        ex->changed = 0;
        ex_update(ex, 3, 0x70, ENRP_ADD_PE, &entry, false);
        cr_expect_eq(ex->changed, rows[r].news, "row %zu", r);
    }
    ex->changed = 0;
    ex_update(ex, 3, 0x70, ENRP_DEL_PE, &entry, false);
    ex_update(ex, 3, 0x70, ENRP_DEL_PE, &entry, false);
    cr_assert_eq(ex->changed, 1);
    int len = enrp_encode(&ex->out, ex->octets, sizeof(ex->octets));
    cr_assert_gt(len, 14);
    ex->octets[13] = 7; /* an action that there is not (E-14) */
    enrp_receive(ex->en, 3, ex->octets, (size_t)len, ex->now);
    struct enrp_counters counters;
    enrp_get_counters(ex->en, &counters);
    cr_assert_eq(counters.ignored, 1);
    cr_assert_eq(ex->changed, 1);
    ex_free(ex);
}

/* Every reason for which an element of another's is not taken has its words. */
Test(enrp_said, conflicts_in_words)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x70, 7);
    ex_put(ex, "pool", 1, ME, 9);
    ex_drop(ex);
    struct enrp_entry entry = ex_entry("pool", 5, 0x70);
    entry.element.policy.type = POLICY_RAND;
    ex_update(ex, 3, 0x70, ENRP_ADD_PE, &entry, false);
    struct action *a = ex_next(ex, ACTION_EVENT);
    cr_assert(a != NULL && a->event.kind == EVENT_PEER_REFUSED && a->event.pe_id == 5);
    cr_assert_eq(a->event.registrar_id, 0x70);
    cr_assert_str_eq(a->event.text, "PE 0x00000005 of pool pool from registrar 00000070 not taken: "
                                    "the pool has another policy");
    entry = ex_entry("pool", 5, 0x70);
    entry.element.user.protocol = TRANSPORT_UDP;
    ex_update(ex, 3, 0x70, ENRP_ADD_PE, &entry, false);
    a = ex_next(ex, ACTION_EVENT);
    cr_assert(a != NULL && strstr(a->event.text, ": the pool has another transport") != NULL);
    struct enrp_counters counters;
    enrp_get_counters(ex->en, &counters);
    cr_assert_eq(counters.conflicts, 2);
    ex_free(ex);
}

static void expect_said(struct ex *ex, enum event_kind kind, uint32_t home, const char *text)
{
    struct action *a = ex_next(ex, ACTION_EVENT);
    cr_assert_not_null(a, "not said: %s", text);
    cr_assert_eq(a->event.kind, kind, "%s", a->event.text);
    cr_assert(a->event.pe_id == 5 && a->event.registrar_id == home);
    cr_assert(pool_handle_equal(a->event.handle, pool_handle_of("pool")));
    cr_assert_str_eq(a->event.text, text);
}

/* Who watches this registrar sees what comes and goes at the others, by update and by table. */
Test(enrp_said, elements_of_others)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x70, 7);
    struct enrp_entry entry = ex_entry("pool", 5, 0x70);
    ex_update(ex, 3, 0x70, ENRP_ADD_PE, &entry, false);
    expect_said(ex, EVENT_PE_ADDED, 0x70,
                "PE 0x00000005 joined pool pool: tcp 10.0.1.5 port 80, Round Robin, home registrar "
                "00000070");
    ex_update(ex, 3, 0x70, ENRP_ADD_PE, &entry, false); /* registered again: no news */
    cr_assert_null(ex_next(ex, ACTION_EVENT));
    entry.element.user.port = 81;
    ex_update(ex, 3, 0x70, ENRP_ADD_PE, &entry, false);
    expect_said(ex, EVENT_PE_CHANGED, 0x70,
                "PE 0x00000005 changed in pool pool: tcp 10.0.1.5 port 81, Round Robin, home "
                "registrar 00000070");
    ex_update(ex, 3, 0x70, ENRP_DEL_PE, &entry, false);
    expect_said(ex, EVENT_PE_REMOVED, 0x70,
                "PE 0x00000005 left pool pool: so its home registrar 00000070 says");
    ex_update(ex, 3, 0x70, ENRP_DEL_PE, &entry, false);
    cr_assert_null(ex_next(ex, ACTION_EVENT));

    ex_presence(ex, 3, 0x70, 7, false, 0x1234); /* not what we know: its table is asked for */
    cr_assert_not_null(ex_sent(ex, ENRP_HANDLE_TABLE_REQUEST));
    ex_table(ex, 3, 0x70, 0, 0x70, 5, 1);
    struct action *a;
    unsigned added = 0;
    while ((a = ex_next(ex, ACTION_EVENT)) != NULL) {
        added += a->event.kind == EVENT_PE_ADDED && a->event.registrar_id == 0x70 ? 1 : 0;
    }
    cr_assert_eq(added, 1);
    ex_free(ex);
}
