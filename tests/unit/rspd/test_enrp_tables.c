/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Updates, tables, audit and resynchronisation (enrp.md §5.3, 5.4, 7, 8). */
#include "enrp_fixture.h"

/* --- updates --- */

/* E-37, E-38, E-42: told to all, complete, as from its home. */
Test(enrp_tables, tells_registrations)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_put(ex, "pool", 5, ME, 77);
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 5), ex->now);
    for (int i = 0; i < 2; i++) {
        ex_expect(ex, ENRP_HANDLE_UPDATE);
        cr_assert_eq(ex->msg.action, ENRP_ADD_PE);
        cr_assert_eq(ex->msg.sender_id, ME);
        cr_assert_eq(ex->msg.receiver_id, 0);
        cr_assert_eq(ex->msg.entries[0].element.home_id, ME);
        cr_assert_eq(ex->msg.entries[0].element.registration_life, 30000);
    }
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE));
    enrp_removed(ex->en, ex_find(ex, "pool", 5), false, ex->now);
    hs_read_end();
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.action, ENRP_DEL_PE);
    cr_assert_eq(ex->msg.entries[0].element.pe_id, 5);
    cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), 1);
    ex_free(ex);
}

/* §7.1: of another's element nothing is said, unless it left here by itself: then as its home. */
Test(enrp_tables, tells_nothing_of_others)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 5, 1, 0);
    hs_read_begin();
    enrp_removed(ex->en, ex_find(ex, "pool", 5), false, ex->now);
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE));
    enrp_removed(ex->en, ex_find(ex, "pool", 5), true, ex->now);
    hs_read_end();
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.action, ENRP_ADD_PE);
    cr_assert_eq(ex->msg.entries[0].element.home_id, ME);
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.action, ENRP_DEL_PE);
    ex_free(ex);
}

/* What only this host can reach is nobody else's business. */
Test(enrp_tables, local_elements_are_not_told)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 5, 0, LOCAL_ASSOC);
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 5), ex->now);
    enrp_removed(ex->en, ex_find(ex, "pool", 5), true, ex->now);
    hs_read_end();
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE));
    ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, 1);
    ex_arrives(ex, 1);
    ex_expect(ex, ENRP_HANDLE_TABLE_RESPONSE);
    cr_assert_eq(ex->msg.entry_count, 0);
    ex_free(ex);
}

/* E-39 … E-41: a new pool, a new element, new attributes; the checksum follows (E-72). */
Test(enrp_tables, takes_additions)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    struct enrp_entry a = ex_entry("pool", 5, 1);
    struct enrp_entry b = ex_entry("pool", 6, 1);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    uint16_t one = ex_sum(ex, 1);
    cr_assert_neq(one, 0xffff);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &b, false);
    cr_assert_neq(ex_sum(ex, 1), one);
    cr_assert_eq(hs_element_count(ex->hs), 2);
    cr_assert_eq(ex->changed, 2);
    b.element.user.port = 81;
    ex_update(ex, 1, 1, ENRP_ADD_PE, &b, false);
    cr_assert_eq(hs_user(ex_find(ex, "pool", 6)).port, 81);
    cr_assert_eq(ex_find(ex, "pool", 6)->life_ms, 30000);
    cr_assert_eq(ex->changed, 3);
    ex_free(ex);
}

static void seconds(struct enrp_settings *set)
{
    set->life_in_seconds = true;
}

/* E-95: the unit of a life, in both directions. */
Test(enrp_tables, life_in_seconds)
{
    struct ex *ex = ex_serving(seconds);
    ex_peer(ex, 1, 1, 1);
    struct enrp_entry a = ex_entry("pool", 5, 1);
    a.element.registration_life = 30;
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    cr_assert_eq(ex_find(ex, "pool", 5)->life_ms, 30000);
    a = ex_entry("pool", 6, 1);
    a.element.registration_life = REGISTRATION_LIFE_INFINITE;
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    cr_assert_eq(ex_find(ex, "pool", 6)->life_ms, -1);
    ex_put(ex, "pool", 7, ME, 1);
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 7), ex->now);
    hs_read_end();
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.entries[0].element.registration_life, 30);
    ex_free(ex);
}

/* §7.2: what does not fit the pool is left out, and said. */
Test(enrp_tables, conflicts_with_the_pool)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 5, 1, 0);
    struct enrp_entry a = ex_entry("pool", 6, 1);
    a.element.policy = (struct policy){.type = POLICY_RAND};
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    cr_assert_null(ex_find(ex, "pool", 6));
    struct enrp_counters counters;
    enrp_get_counters(ex->en, &counters);
    cr_assert_eq(counters.conflicts, 1);
    ex_free(ex);
}

/* §7.2: an update with another home takes an element of ours; one with our id does not. */
Test(enrp_tables, ownership_moves)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 5, ME, 77);
    struct enrp_entry a = ex_entry("pool", 5, ME);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    cr_assert_eq(ex_find(ex, "pool", 5)->owner_ref, 77);
    ex_expect(ex, ENRP_HANDLE_UPDATE); /* our own data again */
    cr_assert_eq(ex->msg.receiver_id, 1);
    a = ex_entry("pool", 5, 1);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    cr_assert_eq(ex_find(ex, "pool", 5)->home_id, 1);
    cr_assert_eq(ex_find(ex, "pool", 5)->owner_ref, 0);
    cr_assert_eq(ex->disowned, 1);
    ex_free(ex);
}

/* This host's own elements are beyond dispute. */
Test(enrp_tables, local_elements_do_not_move)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 5, ME, LOCAL_ASSOC);
    struct enrp_entry a = ex_entry("pool", 5, 1);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &a, false);
    cr_assert_eq(ex_find(ex, "pool", 5)->home_id, ME);
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.entries[0].element.home_id, ME);
    ex_free(ex);
}

/* E-43, E-44, and only its home may say so while that lives. */
Test(enrp_tables, takes_removals)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    ex_put(ex, "pool", 5, 1, 0);
    ex_put(ex, "pool", 6, ME, 77);
    ex_put(ex, "pool", 7, 0x99, 0); /* its home is not there */
    struct enrp_entry e = ex_entry("pool", 5, 1);
    ex_update(ex, 2, 2, ENRP_DEL_PE, &e, false);
    cr_assert_not_null(ex_find(ex, "pool", 5));
    ex_update(ex, 1, 1, ENRP_DEL_PE, &e, false);
    cr_assert_null(ex_find(ex, "pool", 5));
    ex_update(ex, 1, 1, ENRP_DEL_PE, &e, false);
    e = ex_entry("pool", 6, 1);
    ex_update(ex, 1, 1, ENRP_DEL_PE, &e, false);
    cr_assert_not_null(ex_find(ex, "pool", 6));
    e = ex_entry("pool", 7, 0x99);
    ex_update(ex, 2, 2, ENRP_DEL_PE, &e, false);
    cr_assert_null(ex_find(ex, "pool", 7));
    ex_put(ex, "pool", 5, 1, 0);
    ex->disputed = true; /* it stands by us, perhaps */
    e = ex_entry("pool", 5, 1);
    ex_update(ex, 1, 1, ENRP_DEL_PE, &e, false);
    cr_assert_not_null(ex_find(ex, "pool", 5));
    ex_free(ex);
}

/* --- downloads by others --- */

static void small_parts(struct enrp_settings *set)
{
    set->table_elements = 4;
}

static uint16_t ask(struct ex *ex, bool own_only)
{
    ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, 1)->flags = own_only ? ENRP_TABLE_OWN_ONLY : 0;
    ex_arrives(ex, 1);
    ex_expect(ex, ENRP_HANDLE_TABLE_RESPONSE);
    return ex->msg.entry_count;
}

/* E-26, E-27: in parts, each element once, whatever changes between them. */
Test(enrp_tables, download_under_change)
{
    for (int own = 0; own < 2; own++) {
        struct ex *ex = ex_serving(small_parts);
        uint32_t seen[256] = {0};
        ex_peer(ex, 1, 1, 1);
        for (uint32_t i = 1; i <= 30; i++) {
            ex_put(ex, i % 2 ? "odd" : "even", i, ME, 0);
        }
        uint16_t n;
        bool more = true;
        for (int part = 0; more; part++) {
            n = ask(ex, own == 1);
            cr_assert_leq(n, 4);
            more = (ex->msg.flags & ENRP_TABLE_MORE) != 0;
            cr_assert(n == 4 || !more);
            uint32_t last = 0;
            for (uint16_t i = 0; i < n; i++) {
                last = ex->msg.entries[i].element.pe_id;
                cr_assert_eq(seen[last]++, 0);
            }
            /* What the cursor stands on goes. */
            if (part % 2 == 0 && last != 0) {
                (void)hs_deregister(ex->hs, pool_handle_of(last % 2 ? "odd" : "even"), last);
            }
        }
        for (uint32_t i = 1; i <= 30; i++) {
            cr_assert_eq(seen[i], 1, "%u was sent %u times", i, seen[i]);
        }
        ex_free(ex);
    }
}

/* W: only the responder's own; another W begins another session. */
Test(enrp_tables, own_only)
{
    struct ex *ex = ex_serving(small_parts);
    ex_peer(ex, 1, 1, 1);
    for (uint32_t i = 1; i <= 6; i++) {
        ex_put(ex, "pool", i, i % 2 ? ME : 1, 0);
    }
    cr_assert_eq(ask(ex, true), 3);
    cr_assert_eq(ex->msg.flags, 0);
    cr_assert_eq(ask(ex, false), 4);
    cr_assert_eq(ask(ex, true), 3);
    cr_assert_eq(ask(ex, false), 4);
    cr_assert_eq(ask(ex, false), 2);
    ex_free(ex);
}

/* E-36: who falls silent begins anew. */
Test(enrp_tables, session_expires)
{
    struct ex *ex = ex_serving(small_parts);
    ex_peer(ex, 1, 1, 1);
    for (uint32_t i = 1; i <= 6; i++) {
        ex_put(ex, "pool", i, ME, 0);
    }
    cr_assert_eq(ask(ex, false), 4);
    ex->en->set.last_heard_ms = 60000;
    en_peer_event(ex->en, 0, EN_HEARD, ex->now);
    ex_pass(ex, 5000);
    ex_drop(ex);
    cr_assert_eq(ask(ex, false), 4);
    cr_assert_eq(ex->msg.entries[0].element.pe_id, 1);
    ex_free(ex);
}

static void small_messages(struct enrp_settings *set)
{
    set->table_octets = 300;
}

/* The other limit: octets. */
Test(enrp_tables, octets_of_a_part)
{
    struct ex *ex = ex_serving(small_messages);
    ex_peer(ex, 1, 1, 1);
    for (uint32_t i = 1; i <= 20; i++) {
        ex_put(ex, "pool", i, ME, 0);
    }
    unsigned all = 0;
    bool more = true;
    while (more) {
        ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, 1);
        ex_arrives(ex, 1);
        struct action *action = ex_expect(ex, ENRP_HANDLE_TABLE_RESPONSE);
        cr_assert_leq(action->message->len, 300);
        cr_assert_gt(ex->msg.entry_count, 0);
        all += ex->msg.entry_count;
        more = (ex->msg.flags & ENRP_TABLE_MORE) != 0;
    }
    cr_assert_eq(all, 20);
    ex_free(ex);
}

/* --- audit --- */

/* E-69, E-70, E-73 … E-77 */
Test(enrp_tables, resynchronisation)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 1, 1, 0);
    ex_put(ex, "pool", 2, 1, 0);
    ex_put(ex, "pool", 3, 0x33, 0);
    ex->now.us += 1000;
    ex_presence(ex, 1, 1, 1, false, ex_sum(ex, 1));
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_TABLE_REQUEST), "equal");
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    cr_assert_eq(ex->msg.flags, ENRP_TABLE_OWN_ONLY);
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_TABLE_REQUEST), "one at a time");
    ex_table(ex, 1, 1, ENRP_TABLE_MORE, 1, 2, 1);
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    cr_assert_eq(ex->msg.flags, ENRP_TABLE_OWN_ONLY);
    cr_assert_not_null(ex_find(ex, "pool", 1), "not before the last part");
    ex_table(ex, 1, 1, 0, 1, 4, 1);
    cr_assert_null(ex_find(ex, "pool", 1));
    cr_assert_not_null(ex_find(ex, "pool", 2));
    cr_assert_not_null(ex_find(ex, "pool", 3));
    cr_assert_not_null(ex_find(ex, "pool", 4));
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE), "silently");
    ex_free(ex);
}

/* What it does not own is not taken from its own table, nor what is ours. */
Test(enrp_tables, foreign_entries_in_an_own_table)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    ex_table(ex, 1, 1, ENRP_TABLE_MORE, 2, 5, 1);
    ex_table(ex, 1, 1, 0, ME, 6, 1);
    cr_assert_eq(hs_element_count(ex->hs), 0);
    ex_free(ex);
}

/* A rejection or silence ends it; nothing is removed then. */
Test(enrp_tables, resynchronisation_fails)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_put(ex, "pool", 1, 1, 0);
    ex->now.us += 1000;
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    ex_table(ex, 1, 1, ENRP_RESPONSE_REJECT, 1, 0, 0);
    cr_assert_not(ex->en->peers[0].sync.running);
    cr_assert_not_null(ex_find(ex, "pool", 1));
    ex_pass(ex, 600);
    ex_drop(ex);
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    ex_pass(ex, 2000);
    cr_assert_not(ex->en->peers[0].sync.running);
    cr_assert(ex->en->peers[0].sync.unclean);
    cr_assert_not_null(ex_find(ex, "pool", 1));
    ex_free(ex);
}

/* E-98: what does not help is done less and less often. */
Test(enrp_tables, back_off)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    unsigned asked = 0;
    for (int i = 0; i < 600; i++) { /* a minute, ten heartbeats a second */
        ex_pass(ex, 100);
        ex_drop(ex);
        ex_presence(ex, 1, 1, 1, false, 0x1234);
        if (ex_sent(ex, ENRP_HANDLE_TABLE_REQUEST) != NULL) {
            asked++;
            ex_table(ex, 1, 1, 0, 1, 0, 0);
        }
    }
    cr_assert(asked >= 6 && asked <= 12, "%u", asked);
    ex_presence(ex, 1, 1, 1, false, 0xffff);
    ex_drop(ex);
    ex_presence(ex, 1, 1, 1, false, 0x1234);
    cr_assert_not_null(ex_sent(ex, ENRP_HANDLE_TABLE_REQUEST), "at once after it had matched");
    ex_free(ex);
}

/* E-67: Both have an association with it: see the head of enrp_updates.c. */
Test(enrp_tables, two_homes)
{
    const struct {
        uint32_t other;
        uint64_t owner_ref;
        bool kept;
        unsigned asked;
    } cases[] = {{0x10, 0, false, 0}, {0x90, 0, false, 0}, {0x10, 7, true, 0}, {0x90, 7, true, 1}};
    for (size_t i = 0; i < 4; i++) {
        struct ex *ex = ex_serving(NULL);
        ex_peer(ex, 1, cases[i].other, 1);
        ex_put(ex, "pool", 5, ME, cases[i].owner_ref);
        ex_presence(ex, 1, cases[i].other, 1, false, 0x1234);
        ex_table(ex, 1, cases[i].other, 0, cases[i].other, 5, 1);
        cr_assert_eq(ex_find(ex, "pool", 5)->home_id == ME, cases[i].kept, "case %zu", i);
        cr_assert_eq(ex->adopted, cases[i].asked, "case %zu", i);
        ex_free(ex);
    }
}
