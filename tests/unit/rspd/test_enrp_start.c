/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Joining the scope (enrp.md §5). */
#include "enrp_fixture.h"

static void with_multicast(struct enrp_settings *set)
{
    set->multicast = true;
}

static void configure(struct ex *ex, uint8_t x)
{
    struct ip_address address = ex_ip(x);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, ENRP_PORT), 0);
}

/* The association it opens to its mentor, and what it sends on it. */
static uint64_t connected(struct ex *ex, uint8_t x)
{
    struct action *connect = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(connect);
    uint64_t assoc = connect->assoc;
    cr_assert_geq(assoc, ENRP_ASSOC_FIRST);
    cr_assert_eq(connect->port, ENRP_PORT);
    cr_assert_eq(connect->addresses[0].octets[3], x);
    ex_up(ex, assoc, x);
    return assoc;
}

static void list(struct ex *ex, uint64_t assoc, uint32_t id, uint32_t other, uint8_t x)
{
    struct ip_address address = ex_ip(x);
    struct enrp_message *m = ex_begin(ex, ENRP_LIST_RESPONSE, id);
    const uint32_t ids[] = {ME, 0, other};
    for (size_t i = 0; i < 3 && other != 0; i++) {
        m->servers[m->server_count++] =
            (struct enrp_server){.id = ids[i],
                                 .transport = {.protocol = TRANSPORT_SCTP,
                                               .port = ENRP_PORT,
                                               .address_count = 1,
                                               .addresses = &address}};
    }
    ex_arrives(ex, assoc);
}

/* E-18 */
Test(enrp_start, alone)
{
    struct ex *ex = ex_new(NULL);
    cr_assert_eq(enrp_phase(ex->en), ENRP_INIT);
    enrp_start(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
    ex = ex_new(with_multicast);
    enrp_start(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_FIND_MENTOR);
    ex_pass(ex, 1499);
    cr_assert_eq(enrp_phase(ex->en), ENRP_FIND_MENTOR);
    ex_pass(ex, 1);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    cr_assert_not_null(ex_next(ex, ACTION_ENRP_ANNOUNCE));
    ex_free(ex);
}

/* E-17, E-19, E-22, E-25, E-28 … E-32, E-91: the whole way with a configured mentor. */
Test(enrp_start, by_a_configured_mentor)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LIST);
    uint64_t assoc = connected(ex, 1);
    ex_expect(ex, ENRP_PRESENCE);
    cr_assert_eq(ex->msg.flags, ENRP_PRESENCE_REPLY);
    ex_expect(ex, ENRP_LIST_REQUEST);
    ex_presence(ex, assoc, 1, 1, false, 0xffff);
    list(ex, assoc, 1, 2, 2);
    cr_assert(ex_knows(ex, 2));
    cr_assert_eq(ex_state(ex, 2), ENRP_PEER_CANDIDATE);
    cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE);
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    cr_assert_eq(ex->msg.flags, 0);
    ex_table(ex, assoc, 1, ENRP_TABLE_MORE, 1, 1, 3);
    cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE);
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    ex_table(ex, assoc, 1, 0, 2, 4, 2);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    cr_assert_eq(hs_element_count(ex->hs), 5);
    cr_assert_eq(hs_home_count(ex->hs, 1), 3);
    cr_assert_eq(hs_home_count(ex->hs, 2), 2);
    ex_free(ex);
}

/* E-94, and the last part may be empty. */
Test(enrp_start, empty_last_part)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = connected(ex, 1);
    list(ex, assoc, 1, 0, 0);
    ex_table(ex, assoc, 1, ENRP_TABLE_MORE, 1, 1, 3);
    ex_table(ex, assoc, 1, 0, 1, 0, 0);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* T-4: found by multicast, at the source of the datagram and the port it tells. */
Test(enrp_start, mentor_by_multicast)
{
    struct ex *ex = ex_new(with_multicast);
    enrp_start(ex->en, ex->now);
    struct ip_address source = ex_ip(3);
    struct ip_address told = ex_ip(99);
    struct enrp_message *m = ex_begin(ex, ENRP_PRESENCE, 3);
    m->server_count = 1;
    m->servers[0] = (struct enrp_server){
        .id = 3,
        .transport = {
            .protocol = TRANSPORT_SCTP, .port = 12345, .address_count = 1, .addresses = &told}};
    int len = enrp_encode(m, ex->octets, sizeof(ex->octets));
    enrp_heard(ex->en, &source, 1, ex->octets, (size_t)len, ex->now);
    struct action *connect = ex_next(ex, ACTION_CONNECT);
    cr_assert_not_null(connect);
    cr_assert_eq(connect->addresses[0].octets[3], 3);
    cr_assert_eq(connect->port, 12345);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LIST);
    ex_expect(ex, ENRP_LIST_REQUEST);
    ex_free(ex);
}

/* E-20, E-35: no answer: the next one, then alone. */
Test(enrp_start, silent_mentors)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    configure(ex, 2);
    enrp_start(ex->en, ex->now);
    (void)connected(ex, 1);
    ex_drop(ex);
    ex_pass(ex, 2000);
    cr_assert_eq(enrp_phase(ex->en), ENRP_LIST);
    uint64_t assoc = 0;
    struct action *action;
    while ((action = ex_next(ex, ACTION_CONNECT)) != NULL) {
        assoc = action->addresses[0].octets[3] == 2 ? action->assoc : assoc;
    }
    cr_assert_neq(assoc, 0);
    ex_pass(ex, 2000);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* The mentor dies in the middle: another one, from the start. */
Test(enrp_start, mentor_lost_during_the_table)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = connected(ex, 1);
    ex_presence(ex, assoc, 1, 1, false, 0xffff);
    list(ex, assoc, 1, 0, 0);
    ex_drop(ex);
    cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE);
    ex_pass(ex, 2000);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    cr_assert(ex->en->peers[0].sync.unclean, "an unfinished download is not forgotten");
    ex_free(ex);
}

/* E-35: each part has its time; a part that comes starts it anew. */
Test(enrp_start, every_part_has_its_time)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = connected(ex, 1);
    list(ex, assoc, 1, 0, 0);
    for (uint32_t part = 0; part < 4; part++) {
        ex_pass(ex, 1500);
        cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE, "part %u", part);
        ex_table(ex, assoc, 1, ENRP_TABLE_MORE, 1, 1 + part, 1);
        ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    }
    ex_pass(ex, 1999);
    cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE);
    ex_pass(ex, 1);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* enrp.md §12: an error for what was asked counts as a rejection; of others it means nothing. */
Test(enrp_start, an_error_rejects)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = connected(ex, 1);
    ex_presence(ex, assoc, 0x99, 1, false, 0xffff); /* higher: does not wait for us */
    ex_up(ex, 5, 5);
    ex_presence(ex, 5, 0x98, 5, false, 0xffff);
    for (uint32_t id = 0x98; id <= 0x99; id++) {
        cr_assert_eq(ex->en->mentor, en_peer_find(ex->en, 0x99));
        struct enrp_message *m = ex_begin(ex, ENRP_ERROR, id);
        m->cause_count = 1;
        m->causes[0] = (struct asap_cause){.code = CAUSE_UNSPECIFIED};
        ex_arrives(ex, id == 0x99 ? assoc : 5);
    }
    cr_assert_eq(ex->en->mentor, en_peer_find(ex->en, 0x98));
    ex_free(ex);
}

/* E-24, E-34: rejected: later again; the lower identifier does not wait. */
Test(enrp_start, rejected)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = connected(ex, 1);
    ex_presence(ex, assoc, 1, 1, false, 0xffff); /* lower than ours */
    ex_drop(ex);
    for (int i = 0; i < EN_REJECTS_MAX; i++) {
        ex_begin(ex, ENRP_LIST_RESPONSE, 1)->flags = ENRP_RESPONSE_REJECT;
        ex_arrives(ex, assoc);
        cr_assert_eq(enrp_phase(ex->en), ENRP_LIST);
        cr_assert_null(ex_sent(ex, ENRP_LIST_REQUEST), "not at once");
        ex_pass(ex, 1000);
        ex_expect(ex, ENRP_LIST_REQUEST);
        ex_drop(ex);
    }
    ex_begin(ex, ENRP_LIST_RESPONSE, 1)->flags = ENRP_RESPONSE_REJECT;
    ex_arrives(ex, assoc);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
    ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    assoc = connected(ex, 1);
    ex_presence(ex, assoc, 0x99, 1, false, 0xffff); /* higher */
    ex_begin(ex, ENRP_LIST_RESPONSE, 0x99)->flags = ENRP_RESPONSE_REJECT;
    ex_arrives(ex, assoc);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* E-23, E-33, E-92: while joining, requests are answered, by a rejection. */
Test(enrp_start, rejects_while_joining)
{
    struct ex *ex = ex_new(with_multicast);
    enrp_start(ex->en, ex->now);
    ex_up(ex, 1, 1);
    ex_begin(ex, ENRP_LIST_REQUEST, 1);
    ex_arrives(ex, 1);
    ex_expect(ex, ENRP_LIST_RESPONSE);
    cr_assert_eq(ex->msg.flags, ENRP_RESPONSE_REJECT);
    ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, 1);
    ex_arrives(ex, 1);
    ex_expect(ex, ENRP_HANDLE_TABLE_RESPONSE);
    cr_assert_eq(ex->msg.flags, ENRP_RESPONSE_REJECT);
    cr_assert_eq(ex->msg.entry_count, 0);
    ex_free(ex);
}

/* After an aborted download a responder may go on where it stopped: a second pass follows. */
Test(enrp_start, two_passes_after_an_unfinished_one)
{
    struct ex *ex = ex_new(NULL);
    configure(ex, 1);
    enrp_start(ex->en, ex->now);
    uint64_t assoc = connected(ex, 1);
    list(ex, assoc, 1, 0, 0);
    ex->en->peers[0].sync.unclean = true;
    ex_drop(ex);
    ex_table(ex, assoc, 1, 0, 1, 4, 1);
    cr_assert_eq(enrp_phase(ex->en), ENRP_TABLE);
    ex_expect(ex, ENRP_HANDLE_TABLE_REQUEST);
    ex_table(ex, assoc, 1, 0, 1, 1, 4);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* Its own address among the configured ones, as when all hosts get the same list. */
Test(enrp_start, configured_with_itself)
{
    struct ex *ex = ex_new(NULL);
    struct ip_address own[] = {ex_ip(50), ex_ip(51)};
    enrp_addresses(ex->en, own, 2, ENRP_PORT, ex->now);
    configure(ex, 50);
    configure(ex, 51);
    cr_assert_eq(ex->en->top, 0);
    struct ip_address address = ex_ip(1);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 0, ENRP_PORT), -22);
    cr_assert_eq(enrp_static_peer(ex->en, &address, 1, 0), -22);
    enrp_start(ex->en, ex->now);
    cr_assert_eq(enrp_phase(ex->en), ENRP_OPERATIONAL);
    ex_free(ex);
}

/* E-6: no identifier, no registrar. */
Test(enrp_start, needs_an_identifier)
{
    struct enrp_settings set;
    enrp_settings_profile(&set, ENRP_PROFILE_RFC);
    struct tm_us now = {0};
    cr_assert_null(enrp_new(&set, NULL, NULL, NULL, 1, now));
}
