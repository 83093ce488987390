/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Distances of elements that are learned from other registrars (policies:P-36; enrp.md D-24). */
#include "enrp_fixture.h"

static struct enrp_entry measured(const char *handle, uint32_t pe, uint32_t home, uint32_t distance)
{
    struct enrp_entry entry = ex_entry(handle, pe, home);
    entry.element.policy = (struct policy){
        .type = POLICY_LU_DPF, .word_count = 3, .words = {0x10000000, 0x00200000, distance}};
    return entry;
}

static uint32_t distance_of(struct ex *ex, const char *handle, uint32_t pe)
{
    hs_read_begin();
    const struct hs_element *element = ex_find(ex, handle, pe);
    cr_assert_not_null(element);
    uint32_t distance = element != NULL ? hs_policy(element).words[2] : 0;
    hs_read_end();
    return distance;
}

/* policies:P-36: ours to the sender is added, to what was told and not to what is there already. */
Test(enrp_distance, updates_add_ours)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex_peer(ex, 2, 2, 2);
    struct enrp_entry entry = measured("pool", 5, 2, 50);
    ex->rtt_ms = 210;
    for (int i = 0; i < 3; i++) {
        ex_update(ex, 2, 2, ENRP_ADD_PE, &entry, false);
        cr_assert_eq(distance_of(ex, "pool", 5), 150);
        cr_assert_eq(ex->rtt_assoc, 2);
    }
    ex->rtt_ms = 10;
    ex_update(ex, 2, 2, ENRP_ADD_PE, &entry, false);
    cr_assert_eq(distance_of(ex, "pool", 5), 50);
    ex_free(ex);
}

/* policies:P-39: a sum that does not fit does not begin anew. */
Test(enrp_distance, saturates)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    struct enrp_entry entry = measured("pool", 5, 1, UINT32_MAX - 10);
    ex->rtt_ms = 100;
    ex_update(ex, 1, 1, ENRP_ADD_PE, &entry, false);
    cr_assert_eq(distance_of(ex, "pool", 5), UINT32_MAX);
    ex_free(ex);
}

/* Nobody is asked for the sake of other policies, nor for an element that is not taken. */
Test(enrp_distance, is_asked_for_only_where_it_counts)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    struct enrp_entry entry = ex_entry("pool", 5, 1);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &entry, false);
    ex_table(ex, 1, 1, 0, 1, 10, 20);
    struct enrp_entry mine = measured("far", 6, ME, 50);
    ex_update(ex, 1, 1, ENRP_ADD_PE, &mine, false);
    cr_assert_eq(ex->rtt_asked, 0);
    ex_free(ex);
}

/*
 * D-24: in a table each element is moved, whatever stands before it; for all of them the sender is
 * measured once. A mentor's table holds its own distance to those of others already.
 */
Test(enrp_distance, tables_add_ours_to_each)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex->rtt_ms = 100;
    for (unsigned turn = 1; turn <= 2; turn++) { /* the second does not add to the first */
        ex_pass(ex, 2000);
        ex_presence(ex, 1, 1, 1, false, (uint16_t)(ex_sum(ex, 1) + 1));
        ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
        struct enrp_message *m = ex_begin(ex, ENRP_HANDLE_TABLE_RESPONSE, 1);
        m->entries[m->entry_count++] = measured("far", 1, 1, 50);
        m->entries[m->entry_count++] = ex_entry("other", 2, 1);
        m->entries[m->entry_count++] = measured("far", 3, 1, 0);
        m->entries[m->entry_count++] = measured("far", 4, 1, 100);
        ex_arrives(ex, 1);
        cr_assert_eq(distance_of(ex, "far", 1), 100);
        cr_assert_eq(distance_of(ex, "far", 3), 50);
        cr_assert_eq(distance_of(ex, "far", 4), 150);
        cr_assert_eq(ex->rtt_asked, turn);
    }
    ex_free(ex);
}

/* policies:P-36: the mentor's table holds its own distance to the elements of others already; when
 * these are heard of from their home, that is what counts. */
Test(enrp_distance, by_the_mentor_and_by_the_home)
{
    struct ex *ex = ex_new(NULL);
    struct ip_address address = ex_ip(1);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
    enrp_start(ex->en, ex->now);
    struct action *connect = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(connect);
    uint64_t mentor = connect->assoc;
    ex_up(ex, mentor, 1);
    ex_begin(ex, ENRP_LIST_RESPONSE, 1);
    ex_arrives(ex, mentor);
    cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE);
    ex->rtt_ms = 400;
    struct enrp_message *m = ex_begin(ex, ENRP_HANDLE_TABLE_RESPONSE, 1);
    m->entries[m->entry_count++] = measured("far", 1, 1, 0);
    m->entries[m->entry_count++] = measured("far", 2, 2, 50);
    ex_arrives(ex, mentor);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    cr_assert_eq(ex->rtt_assoc, mentor);
    cr_assert_eq(distance_of(ex, "far", 1), 200);
    cr_assert_eq(distance_of(ex, "far", 2), 250);
    ex_peer(ex, 2, 2, 2);
    ex->rtt_ms = 0;
    struct enrp_entry entry = measured("far", 2, 2, 50);
    ex_update(ex, 2, 2, ENRP_ADD_PE, &entry, false);
    cr_assert_eq(distance_of(ex, "far", 2), 50);
    ex_free(ex);
}

/* What we send on of our own is what we measured, whatever we are told of it. */
Test(enrp_distance, ours_are_told_as_measured)
{
    struct ex *ex = ex_serving(NULL);
    ex_peer(ex, 1, 1, 1);
    ex->rtt_ms = 200;
    struct enrp_entry mine = measured("pool", 5, ME, 50);
    struct pool_element *element = &mine.element;
    cr_assert_eq(hs_register(ex->hs, mine.handle, element, 30000, 77, ex->now), HS_ADDED);
    ex_drop(ex);
    hs_read_begin();
    enrp_registered(ex->en, ex_find(ex, "pool", 5), ex->now);
    hs_read_end();
    ex_expect(ex, ENRP_HANDLE_UPDATE);
    cr_assert_eq(ex->msg.entries[0].element.policy.words[2], 50);
    ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, 1);
    ex_arrives(ex, 1);
    ex_expect(ex, ENRP_HANDLE_TABLE_RESPONSE);
    cr_assert_eq(ex->msg.entry_count, 1);
    cr_assert_eq(ex->msg.entries[0].element.policy.words[2], 50);
    cr_assert_eq(distance_of(ex, "pool", 5), 50);
    ex_free(ex);
}
