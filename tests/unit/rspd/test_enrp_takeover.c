/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Takeover, suggestions and leaving (enrp.md §10 … 12). */
#include "enrp_fixture.h"

/* Registrars 0x10 and 0x90 live, 0x33 is dead and owns two elements. */
static struct ex *one_dead(void (*adjust)(struct enrp_settings *))
{
    struct ex *ex = ex_serving(adjust);
    ex_peer(ex, 1, 0x10, 1);
    ex_peer(ex, 2, 0x90, 2);
    ex_peer(ex, 3, 0x33, 3);
    ex_put(ex, "pool", 5, 0x33, 0);
    ex_put(ex, "pool", 6, 0x33, 0);
    en_peer_set_state(ex->en, en_peer_find(ex->en, 0x33), ENRP_PEER_CONDEMNED, ex->now);
    ex_drop(ex);
    return ex;
}

static void arbitrate(struct ex *ex)
{
    ex_pass(ex, 200);
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_ARBITRATED);
}

/* E-53, E-54: to all, the target too. */
Test(enrp_takeover, begins)
{
    struct ex *ex = one_dead(NULL);
    arbitrate(ex);
    unsigned seen[4] = {0};
    struct action *action;
    while ((action = ex_sent(ex, ENRP_INIT_TAKEOVER)) != NULL) {
        cr_assert_eq(ex->msg.sender_id, ME);
        cr_assert_eq(ex->msg.target_id, 0x33);
        seen[action->assoc]++;
    }
    cr_assert(seen[1] == 1 && seen[2] == 1 && seen[3] == 1);
    ex_free(ex);
}

/* E-60, E-62 … E-64: all agree: it is told, moved, and asked. */
Test(enrp_takeover, won)
{
    struct ex *ex = one_dead(NULL);
    arbitrate(ex);
    ex_drop(ex);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER_ACK, 0x10, 0x33);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER_ACK, 0x10, 0x33);
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_ARBITRATED, "one is missing");
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER_ACK, 0x90, 0x34);
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_ARBITRATED, "of another target");
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER_ACK, 0x90, 0x33);
    cr_assert_not(ex_knows(ex, 0x33));
    for (int i = 0; i < 2; i++) {
        ex_expect(ex, ENRP_TAKEOVER_SERVER);
        cr_assert_eq(ex->msg.target_id, 0x33);
        cr_assert_eq(ex->msg.receiver_id, 0);
    }
    cr_assert_eq(hs_home_count(ex->hs, ME), 2);
    cr_assert_eq(ex->adopted, 2);
    cr_assert_eq(ex->adopted_at.us, ex->now.us + 2000, "spread");
    ex_free(ex);
}

/* E-97 */
Test(enrp_takeover, alone)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 3, 0x33, 3);
    ex_put(ex, "pool", 5, 0x33, 0);
    ex_pass(ex, 2500 + 2000 + 200);
    cr_assert_not(ex_knows(ex, 0x33));
    cr_assert_eq(ex_find(ex, "pool", 5)->home_id, ME);
    cr_assert_eq(ex->adopted, 1);
    ex_free(ex);
}

/* E-97: who dies meanwhile is not waited for. */
Test(enrp_takeover, set_shrinks)
{
    struct ex *ex = one_dead(NULL);
    arbitrate(ex);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER_ACK, 0x10, 0x33);
    en_peer_remove(ex->en, en_peer_find(ex->en, 0x90), "test", ex->now);
    cr_assert_not(ex_knows(ex, 0x33));
    cr_assert_eq(hs_home_count(ex->hs, ME), 2);
    ex_free(ex);
}

/* E-56, E-61: the target speaks: over. */
Test(enrp_takeover, target_lives)
{
    struct ex *ex = one_dead(NULL);
    arbitrate(ex);
    ex_presence(ex, 3, 0x33, 3, false, ex_sum(ex, 0x33));
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_ACTIVE);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER_ACK, 0x10, 0x33);
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER_ACK, 0x90, 0x33);
    cr_assert_eq(ex_find(ex, "pool", 5)->home_id, 0x33);
    ex_free(ex);
}

static void highest(struct enrp_settings *set)
{
    set->lowest_wins = false;
}

/* E-57, E-58, E-95: two want it; by both rules. */
Test(enrp_takeover, tie_break)
{
    for (int rfc = 0; rfc < 2; rfc++) {
        for (int higher = 0; higher < 2; higher++) {
            struct ex *ex = one_dead(rfc ? highest : NULL);
            arbitrate(ex);
            ex_drop(ex);
            uint32_t other = higher ? 0x90 : 0x10;
            ex_takeover(ex, higher ? 2 : 1, ENRP_INIT_TAKEOVER, other, 0x33);
            bool lost = rfc ? higher == 1 : higher == 0;
            cr_assert_eq(ex_state(ex, 0x33) == ENRP_PEER_INACTIVE, lost);
            cr_assert_eq(ex_count(ex, ENRP_INIT_TAKEOVER_ACK), lost ? 1 : 0);
            ex_free(ex);
        }
    }
}

/* E-59: agreed, and no more watched; known or not. */
Test(enrp_takeover, agrees)
{
    struct ex *ex = one_dead(NULL);
    en_peer_set_state(ex->en, en_peer_find(ex->en, 0x33), ENRP_PEER_ACTIVE, ex->now);
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER, 0x90, 0x33);
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_INACTIVE);
    struct action *action = ex_expect(ex, ENRP_INIT_TAKEOVER_ACK);
    cr_assert_eq(action->assoc, 2);
    cr_assert_eq(ex->msg.receiver_id, 0x90);
    cr_assert_eq(ex->msg.target_id, 0x33);
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER, 0x90, 0x77);
    ex_expect(ex, ENRP_INIT_TAKEOVER_ACK);
    ex_free(ex);
}

/* E-96: the initiator never finishes: we look ourselves. */
Test(enrp_takeover, guard)
{
    struct ex *ex = one_dead(NULL);
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER, 0x90, 0x33);
    ex->en->set.last_heard_ms = 60000;
    en_peer_event(ex->en, en_peer_find(ex->en, 0x10), EN_HEARD, ex->now);
    en_peer_event(ex->en, en_peer_find(ex->en, 0x90), EN_HEARD, ex->now);
    ex_pass(ex, 4000);
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_PROBED);
    ex_pass(ex, 2200);
    cr_assert_eq(ex_state(ex, 0x33), ENRP_PEER_ARBITRATED);
    ex_free(ex);
}

/* An arbitration nobody answers is begun once more, then taken for granted. */
Test(enrp_takeover, expires)
{
    struct ex *ex = one_dead(NULL);
    ex->en->set.last_heard_ms = 60000;
    en_peer_event(ex->en, en_peer_find(ex->en, 0x10), EN_HEARD, ex->now);
    en_peer_event(ex->en, en_peer_find(ex->en, 0x90), EN_HEARD, ex->now);
    arbitrate(ex);
    ex_drop(ex);
    ex_pass(ex, 2000);
    cr_assert_eq(ex_count(ex, ENRP_INIT_TAKEOVER), 3);
    ex_pass(ex, 2000);
    cr_assert_not(ex_knows(ex, 0x33));
    cr_assert_eq(hs_home_count(ex->hs, ME), 2);
    ex_free(ex);
}

/* E-55: we are the target, and alive. */
Test(enrp_takeover, we_are_the_target)
{
    struct ex *ex = one_dead(NULL);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER, 0x10, ME);
    unsigned presences = 0;
    while (ex_sent(ex, ENRP_PRESENCE) != NULL) {
        presences++;
    }
    cr_assert_eq(presences, 2);
    ex_takeover(ex, 1, ENRP_INIT_TAKEOVER, 0x10, ME);
    cr_assert_eq(ex_count(ex, ENRP_INIT_TAKEOVER_ACK), 0);
    ex_free(ex);
}

/* §10.3: we were taken over all the same: what still stands by us is asked, our own is told. */
Test(enrp_takeover, we_were_taken_over)
{
    struct ex *ex = one_dead(NULL);
    ex_put(ex, "pool", 1, ME, 77);
    ex_put(ex, "pool", 2, ME, 0);
    ex_put(ex, "pool", 3, ME, LOCAL_ASSOC);
    ex_takeover(ex, 1, ENRP_TAKEOVER_SERVER, 0x10, ME);
    cr_assert_eq(ex->adopted, 1);
    cr_assert_eq(ex->adopted_id, 1);
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.entries[0].element.pe_id, 3);
    ex_free(ex);
}

/* E-65 */
Test(enrp_takeover, another_has_won)
{
    struct ex *ex = one_dead(NULL);
    ex_put(ex, "pool", 9, ME, 77);
    ex_takeover(ex, 2, ENRP_TAKEOVER_SERVER, 0x90, 0x33);
    cr_assert_not(ex_knows(ex, 0x33));
    cr_assert_eq(hs_home_count(ex->hs, 0x90), 2);
    cr_assert_eq(ex_find(ex, "pool", 9)->home_id, ME, "only the elements of the target");
    cr_assert_eq(ex->adopted, 0);
    ex_free(ex);
}

/* Elements of a registrar nobody told us of do not stay without a home. */
Test(enrp_takeover, orphans)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    struct enrp_entry entry = ex_entry("pool", 5, 0x77);
    ex_update(ex, 1, 0x10, ENRP_ADD_PE, &entry, false);
    cr_assert_eq(ex_state(ex, 0x77), ENRP_PEER_INACTIVE);
    en_peer_remove(ex->en, en_peer_find(ex->en, 0x10), "test", ex->now);
    ex_pass(ex, 4000 + 2000 + 200);
    cr_assert_eq(ex_find(ex, "pool", 5)->home_id, ME);
    ex_free(ex);
}

/* --- suggestions --- */

static void by_id(struct enrp_settings *set)
{
    set->suggestion = ENRP_SUGGEST_BY_ID;
}

/* E-87: to the one with the largest id XOR PE id, besides the ordinary update. */
Test(enrp_takeover, suggests_by_id)
{
    struct ex *ex = ex_serving(by_id);
    ex_peer(ex, 1, 0x10, 1);
    ex_peer(ex, 2, 0x90, 2);
    ex_put(ex, "pool", 0x0f, ME, 77); /* 0x90 is best */
    ex_put(ex, "pool", 0xaf, ME, 77); /* we are */
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 0x0f), ex->now);
    hs_read_end();
    unsigned plain = 0;
    unsigned suggested = 0;
    struct action *action;
    while ((action = ex_sent(ex, ENRP_HANDLE_UPDATE)) != NULL) {
        if (ex->msg.flags == ENRP_UPDATE_SUGGESTED) {
            cr_assert_eq(action->assoc, 2);
            cr_assert_eq(ex->msg.receiver_id, 0x90);
            suggested++;
        } else {
            plain++;
        }
    }
    cr_assert(plain == 2 && suggested == 1 && ex->offered == 1);
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 0xaf), ex->now);
    hs_read_end();
    cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), 2);
    ex_free(ex);
}

static void never(struct enrp_settings *set)
{
    set->suggestion = ENRP_SUGGEST_NEVER;
}

/* E-88: followed by asking the element, or ignored where it is not supported. */
Test(enrp_takeover, follows_suggestions)
{
    for (int off = 0; off < 2; off++) {
        struct ex *ex = ex_serving(off ? never : NULL);
        ex_peer(ex, 1, 0x10, 1);
        struct enrp_entry entry = ex_entry("pool", 5, 0x10);
        ex_update(ex, 1, 0x10, ENRP_ADD_PE, &entry, true);
        cr_assert_eq(ex->suggested, off ? 0 : 1);
        cr_assert_eq(ex_find(ex, "pool", 5)->home_id, 0x10, "no change of ownership yet");
        ex_update(ex, 1, 0x10, ENRP_DEL_PE, &entry, true);
        cr_assert_eq(ex->suggested, off ? 0 : 1);
        ex_free(ex);
    }
}

/* Hosts are offered so that both are more even afterwards; this host's own stay. */
Test(enrp_takeover, balances)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    for (uint32_t i = 1; i <= 12; i++) {
        ex_put(ex, "pool", i, ME, 100 + (i - 1) / 3); /* four hosts of three */
    }
    ex_put(ex, "pool", 13, ME, LOCAL_ASSOC);
    en_balance_due(ex->en, ex->now);
    unsigned offers = 0;
    while (ex_sent(ex, ENRP_HANDLE_UPDATE) != NULL) {
        cr_assert_eq(ex->msg.flags, ENRP_UPDATE_SUGGESTED);
        cr_assert_neq(ex->msg.entries[0].element.pe_id, 13);
        offers++;
    }
    cr_assert_eq(offers, 2);
    en_peer_set_state(ex->en, 0, ENRP_PEER_PROBED, ex->now);
    en_balance_due(ex->en, ex->now);
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE), "not while somebody is looked for");
    ex_free(ex);
}

/* One host with all of it: moving it would only turn the tables. */
Test(enrp_takeover, balance_comes_to_rest)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    for (uint32_t i = 1; i <= 12; i++) {
        ex_put(ex, "pool", i, ME, 100);
    }
    en_balance_due(ex->en, ex->now);
    cr_assert_null(ex_sent(ex, ENRP_HANDLE_UPDATE));
    ex_free(ex);
}

/* --- leaving --- */

/* §12: elements are offered, nothing is deleted; gone when they are, or in the end. */
Test(enrp_takeover, leaves)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    ex_put(ex, "pool", 1, ME, 77);
    enrp_leave(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LEAVING);
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.flags, ENRP_UPDATE_SUGGESTED);
    cr_assert_eq(ex->msg.action, ENRP_ADD_PE);
    struct enrp_entry entry = ex_entry("pool", 1, 0x10);
    ex_update(ex, 1, 0x10, ENRP_ADD_PE, &entry, false);
    ex_drop(ex);
    ex_pass(ex, 1001);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LEFT);
    cr_assert_eq(ex_count(ex, ENRP_HANDLE_UPDATE), 0);
    ex_free(ex);
    ex = ex_serving(NULL);
    ex_peer(ex, 1, 0x10, 1);
    ex_put(ex, "pool", 1, ME, 77);
    enrp_leave(ex->en, ex->now);
    for (int i = 0; i < 5; i++) {
        ex_presence(ex, 1, 0x10, 1, false, 0xffff);
        ex_pass(ex, 1000);
    }
    cr_assert_eq(enrp_phase(ex->en), ENRP_LEFT, "not for ever");
    ex_free(ex);
    ex = ex_serving(NULL);
    ex_put(ex, "pool", 1, ME, 77);
    enrp_leave(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LEFT, "nobody to hand over to");
    ex_free(ex);
}
