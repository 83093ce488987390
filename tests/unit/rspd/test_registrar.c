/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registrar: registration and deregistration (asap:A-51 … A-73), authority, expiry, errors. */
#include "registrar_fixture.h"

TestSuite(registrar, .init = open_bench, .fini = close_bench);

static const struct hs_element *element(const char *handle, uint32_t id)
{
    return hs_find(b.hs, pool_handle_of(handle), id);
}

/* asap */
Test(registrar, first_pe_makes_the_pool)
{
    prepare_pe("web", 7, PE_HOST)->policy =
        (struct policy){.type = POLICY_LU, .word_count = 1, .words = {5}};
    say(PE_HOST);
    struct action *a = must(outbox_take(&b.out));
    cr_assert_eq(a->kind, ACTION_EVENT);
    cr_assert_eq(a->event.kind, EVENT_PE_ADDED);
    cr_assert_str_eq(a->event.text, "PE 0x00000007 joined pool web: tcp 10.0.0.1 port 80, "
                                    "Least Used, load 0.0 %, registered by 10.0.0.1");
    cr_assert_eq(a->event.registrar_id, RG_ID);
    action_free(a);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    cr_assert_eq(b.reply.pe_id, 7);
    cr_assert(pool_handle_equal(b.reply.handle, pool_handle_of("web")));
    hs_read_begin();
    const struct hs_element *e = element("web", 7);
    cr_assert_eq(e->home_id, RG_ID);
    cr_assert_eq(hs_asap(e).protocol, TRANSPORT_SCTP);
    cr_assert_eq(hs_asap(e).port, 5000);
    cr_assert_eq(hs_asap(e).use, 0);
    cr_assert_eq(hs_asap(e).addresses[0].octets[3], PE_HOST);
    cr_assert_eq(e->owner_ref, PE_HOST);
    cr_assert_eq(e->life_ms, 300000);
    struct hs_pool_info pool;
    cr_assert(hs_pool(b.hs, pool_handle_of("web"), &pool));
    cr_assert_eq(pool.policy_type, POLICY_LU);
    cr_assert_eq(pool.protocol, TRANSPORT_TCP);
    hs_read_end();
}

/* asap, policies:P-33: cause 0x5 with the pool's policy, nothing changed. */
Test(registrar, other_policy_is_refused)
{
    prepare_pe("web", 7, PE_HOST)->policy =
        (struct policy){.type = POLICY_LU, .word_count = 1, .words = {5}};
    say(PE_HOST);
    drain();
    (void)prepare_pe("web", 8, OTHER_HOST);
    say(OTHER_HOST);
    expect_response(OTHER_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INCONSISTENT_POLICY);
    static const uint8_t tlv[] = {0, 8, 0, 12, 0x40, 0, 0, 1, 0, 0, 0, 0};
    cr_assert_eq(b.reply.causes[0].body_len, sizeof(tlv));
    cr_assert_arr_eq(b.reply.causes[0].body, tlv, sizeof(tlv));
    expect_event(EVENT_PE_REFUSED, "the pool's policy is Least Used, this one's Round Robin");
    (void)prepare_pe("web", 7, PE_HOST);
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INCONSISTENT_POLICY);
    hs_read_begin();
    cr_assert_eq(hs_policy(element("web", 7)).words[0], 5);
    hs_read_end();
    cr_assert(!registered("web", 8));
}

/* asap:A-53: cause 0x7 with a transport of the pool's kind; 0x8 */
Test(registrar, other_transport_is_refused)
{
    join("web", 7, PE_HOST);
    prepare_pe("web", 8, OTHER_HOST)->user.protocol = TRANSPORT_UDP;
    say(OTHER_HOST);
    expect_response(OTHER_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INCONSISTENT_TRANSPORT);
    cr_assert_gt(b.reply.causes[0].body_len, 4);
    cr_assert_eq(b.reply.causes[0].body[1], TRANSPORT_TCP);
    expect_event(EVENT_PE_REFUSED, "the pool's transport is tcp, this one's udp");
    struct pool_element *pe = prepare_pe("sctp", 1, PE_HOST);
    pe->user.protocol = TRANSPORT_SCTP;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    pe = prepare_pe("sctp", 2, PE_HOST);
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.use = TRANSPORT_USE_DATA_AND_CONTROL;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INCONSISTENT_DATA_CONTROL);
}

/* asap: attributes replaced, ownership taken over; policy change is an event. */
Test(registrar, re_registration_replaces)
{
    join("web", 7, PE_HOST);
    drain();
    join("web", 7, PE_HOST);
    cr_assert_null(outbox_take(&b.out), "a mere renewal is no event");
    struct pool_element *pe = prepare_pe("web", 7, PE_HOST);
    pe->user.port = 81;
    pe->registration_life = 1000;
    say(PE_HOST);
    expect_event(EVENT_PE_CHANGED, "changed in pool web: tcp 10.0.0.1 port 81");
    /* From another association of the same host: it owns it from now on. */
    struct ip_address address = host_address(PE_HOST);
    rg_assoc_up(b.rg, 9, &address, 1, 5001, b.now);
    (void)prepare_pe("web", 7, PE_HOST);
    say(9);
    drain();
    rg_assoc_down(b.rg, PE_HOST, b.now);
    cr_assert(registered("web", 7));
    hs_read_begin();
    cr_assert_eq(element("web", 7)->owner_ref, 9);
    cr_assert_eq(hs_asap(element("web", 7)).port, 5001);
    cr_assert_eq(hs_user(element("web", 7)).port, 80);
    hs_read_end();
    rg_assoc_down(b.rg, 9, b.now);
    cr_assert(!registered("web", 7));
}

/* SCTP over UDP shows one address of a host: what it says of others is believed, as far as the
 * prefixes go, and never what only means something there. */
Test(registrar, an_association_over_udp_shows_one_address)
{
    struct rg_prefix allow[] = {{.address = host_address(0), .len = 30}};
    struct ip_address said[] = {
        host_address(2), host_address(99), {.family = IP_V4, .octets = {127, 0, 0, 1}}};
    join("web", 7, PE_HOST);
    struct pool_element *pe = prepare_pe("web", 8, PE_HOST);
    pe->user.protocol = TRANSPORT_TCP;
    pe->user.addresses = said;
    pe->user.address_count = 1;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    rg_assoc_shows_one(b.rg, PE_HOST);
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    hs_read_begin();
    cr_assert_eq(hs_user(element("web", 8)).addresses[0].octets[3], 2);
    hs_read_end();
    pe->user.addresses = said + 2;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    b.set.allow = allow;
    b.set.allow_count = 1;
    reconfigure();
    pe->user.addresses = said + 1;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    pe->user.addresses = said;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
}

/* asap:A-21, check 4: strays are left out, none left is refused, narrow ones only alone */
Test(registrar, addresses_must_be_the_associations)
{
    struct ip_address peers[] = {host_address(1), host_address(11)};
    struct ip_address mixed[] = {host_address(99), host_address(11)};
    rg_assoc_up(b.rg, PE_HOST, peers, 2, 5000, b.now);
    struct pool_element *pe = prepare_pe("web", 7, PE_HOST);
    pe->user.protocol = TRANSPORT_SCTP; /* the one with several addresses */
    pe->user.addresses = mixed;
    pe->user.address_count = 2;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    hs_read_begin();
    cr_assert_eq(hs_user(element("web", 7)).address_count, 1);
    cr_assert_eq(hs_user(element("web", 7)).addresses[0].octets[3], 11);
    cr_assert_eq(hs_asap(element("web", 7)).address_count, 2);
    hs_read_end();
    pe = prepare_pe("web", 8, PE_HOST);
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.addresses = mixed;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    cr_assert_eq(b.reply.causes[0].body[1], TRANSPORT_SCTP);
    expect_event(EVENT_PE_REFUSED, "none of its addresses belongs to the association");
    /* Loopback next to a better one is dropped; alone it stays. */
    struct ip_address local[] = {{.family = IP_V4, .octets = {127, 0, 0, 1}}, host_address(1)};
    rg_assoc_up(b.rg, PE_HOST, local, 2, 5000, b.now);
    pe = prepare_pe("web", 9, PE_HOST);
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.addresses = local;
    pe->user.address_count = 2;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    hs_read_begin();
    cr_assert_eq(hs_user(element("web", 9)).address_count, 1);
    cr_assert_eq(hs_user(element("web", 9)).addresses[0].octets[0], 10);
    hs_read_end();
    pe = prepare_pe("web", 10, PE_HOST);
    pe->user.protocol = TRANSPORT_SCTP;
    pe->user.addresses = local;
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
}

/* The host's own agent proves nothing: no socket, no check of addresses, no end of association. */
Test(registrar, local_association)
{
    prepare_pe("web", 7, 77)->registration_life = REGISTRATION_LIFE_INFINITE;
    say(LOCAL_ASSOC);
    expect_response(LOCAL_ASSOC, ASAP_REGISTRATION_RESPONSE, 0);
    hs_read_begin();
    cr_assert_eq(element("web", 7)->life_ms, -1);
    cr_assert_eq(hs_asap(element("web", 7)).protocol, TRANSPORT_NONE);
    hs_read_end();
    rg_assoc_down(b.rg, LOCAL_ASSOC, b.now);
    cr_assert(registered("web", 7));
    /* The kernel tells about local servers: no keep-alives. */
    drain();
    pass_ms(60000);
    cr_assert(silent());
    leave("web", 7, LOCAL_ASSOC);
    expect_response(LOCAL_ASSOC, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert(!registered("web", 7));
}

/* Check 1: handle length, policy type */
Test(registrar, invalid_values_are_refused)
{
    char long_handle[40];
    memset(long_handle, 'x', sizeof(long_handle));
    long_handle[33] = '\0';
    (void)prepare_pe(long_handle, 7, PE_HOST);
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    cr_assert_eq(b.reply.causes[0].body_len, 37);
    expect_event(EVENT_PE_REFUSED, "pool handles have 1 to 32 octets here, this one has 33");
    b.set.handle_max = 1024;
    reconfigure();
    (void)prepare_pe(long_handle, 7, PE_HOST);
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    prepare_pe("web", 7, PE_HOST)->policy =
        (struct policy){.type = 0xb0002004, .word_count = 1, .words = {1}};
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    cr_assert_eq(b.reply.causes[0].body_len, 12);
    expect_event(EVENT_PE_REFUSED, "policy type 0xb0002004 is not known here");
}

/* Check 5 */
Test(registrar_limits, resources, .init = NULL, .fini = close_bench)
{
    open_bench_within(&(struct hs_limits){.elements = 1});
    join("web", 7, PE_HOST);
    (void)prepare_pe("web", 8, PE_HOST);
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_LACK_OF_RESOURCES);
    join("web", 7, PE_HOST);
}

/* Check 2: source prefixes; every address of the association must lie in one */
Test(registrar, allow_list)
{
    struct rg_prefix allow[] = {{.address = host_address(0), .len = 30},
                                {.address = {.family = IP_V6, .octets = {0xfd, 0x12}}, .len = 12}};
    b.set.allow = allow;
    b.set.allow_count = 2;
    reconfigure();
    memset(allow, 0, sizeof(allow));
    join("web", 1, PE_HOST);
    (void)prepare_pe("web", 4, 4);
    up(4);
    say(4);
    expect_response(4, ASAP_REGISTRATION_RESPONSE, CAUSE_SECURITY);
    expect_event(EVENT_PE_REFUSED, "does not let it register from there");
    /* Naming an allowed address beside one's own is not enough. */
    struct ip_address liar[] = {host_address(2), host_address(200)};
    rg_assoc_up(b.rg, 5, liar, 2, 5000, b.now);
    (void)prepare_pe("web", 5, 2);
    say(5);
    expect_response(5, ASAP_REGISTRATION_RESPONSE, CAUSE_SECURITY);
    struct ip_address six[] = {{.family = IP_V6, .octets = {0xfd, 0x1f}},
                               {.family = IP_V6, .octets = {0xfe, 0x80}}};
    rg_assoc_up(b.rg, 6, six, 2, 5000, b.now);
    struct pool_element *pe = prepare_pe("web", 6, 2);
    pe->user.addresses = six;
    say(6);
    expect_response(6, ASAP_REGISTRATION_RESPONSE, 0);
    rg_assoc_up(b.rg, 8, six + 1, 1, 5000, b.now);
    pe = prepare_pe("web", 8, 2);
    pe->user.addresses = six + 1;
    say(8);
    expect_response(8, ASAP_REGISTRATION_RESPONSE, CAUSE_SECURITY);
    (void)prepare_pe("web", 9, 99);
    say(LOCAL_ASSOC);
    expect_response(LOCAL_ASSOC, ASAP_REGISTRATION_RESPONSE, 0);
}

/* Check 9: plainly another host with the same identifier; the old one is asked at once. */
Test(registrar, identifier_taken)
{
    join("web", 7, PE_HOST);
    (void)prepare_pe("web", 7, OTHER_HOST);
    say(OTHER_HOST);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    expect_response(OTHER_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_NON_UNIQUE_PE_ID);
    rg_assoc_down(b.rg, PE_HOST, b.now);
    drain();
    join("web", 7, OTHER_HOST);
}

/* asap: … A-70 */
Test(registrar, deregistration)
{
    join("web", 7, PE_HOST);
    leave("web", 8, PE_HOST);
    expect_response(PE_HOST, ASAP_DEREGISTRATION_RESPONSE, 0);
    leave("none", 7, PE_HOST);
    expect_response(PE_HOST, ASAP_DEREGISTRATION_RESPONSE, 0);
    leave("web", 7, OTHER_HOST);
    expect_response(OTHER_HOST, ASAP_DEREGISTRATION_RESPONSE, CAUSE_SECURITY);
    expect_event(EVENT_PE_REFUSED, "only the PE itself may leave");
    cr_assert(registered("web", 7));
    /* Its ASAP transport over a new association. */
    struct ip_address address = host_address(PE_HOST);
    rg_assoc_up(b.rg, 9, &address, 1, 5000, b.now);
    leave("web", 7, 9);
    expect_event(EVENT_PE_REMOVED, "PE 0x00000007 left pool web: it deregistered");
    expect_response(9, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert_eq(b.reply.pe_id, 7);
    cr_assert_eq(hs_pool_count(b.hs), 0);
}

/* asap: the PE is told, unless switched off */
Test(registrar, life_expires)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
    prepare_pe("web", 7, PE_HOST)->registration_life = 1000;
    say(PE_HOST);
    drain();
    pass_ms(999);
    cr_assert(registered("web", 7));
    pass_ms(1);
    cr_assert(!registered("web", 7));
    expect_event(EVENT_PE_REMOVED, "its registration ran out");
    expect_response(PE_HOST, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert_eq(b.reply.pe_id, 7);
    b.set.tell_expired = false;
    b.set.life_in_seconds = true;
    reconfigure();
    prepare_pe("web", 7, PE_HOST)->registration_life = 1;
    say(PE_HOST);
    drain();
    pass_ms(999);
    cr_assert(registered("web", 7));
    pass_ms(1);
    cr_assert(!registered("web", 7));
    cr_assert(silent());
}

/* asap.md §5.3: an association takes its PEs along, and no others. */
Test(registrar, association_lost)
{
    for (uint32_t i = 1; i <= 50; i++) {
        join("web", i, PE_HOST);
        join("web", 100 + i, OTHER_HOST);
    }
    drain();
    rg_assoc_down(b.rg, PE_HOST, b.now);
    expect_event(EVENT_PE_REMOVED, "its association has ended");
    cr_assert_eq(hs_element_count(b.hs), 50);
    cr_assert(registered("web", 101) && !registered("web", 1));
    rg_assoc_down(b.rg, PE_HOST, b.now);
    rg_assoc_down(b.rg, 4711, b.now);
    leave("web", 101, PE_HOST); /* unknown association: no answer */
    drain();
    pass_ms(1);
    cr_assert(registered("web", 101));
}

/* asap */
Test(registrar, announces)
{
    unsigned count = 0;
    struct action *a;
    pass_ms(10000);
    while ((a = next_of(ACTION_ANNOUNCE)) != NULL) {
        static const uint8_t octets[] = {0x0a, 0, 0, 8, 0xa1, 0xb2, 0xc3, 0xd4};
        cr_assert_eq(a->message->len, 8);
        cr_assert_arr_eq(a->message->octets, octets, 8);
        action_free(a);
        count++;
    }
    cr_assert(count >= 9 && count <= 12, "%u", count);
    rg_set_peer_count(b.rg, 4);
    pass_ms(1200);
    drain();
    pass_ms(50000);
    for (count = 0; (a = next_of(ACTION_ANNOUNCE)) != NULL; count++) {
        action_free(a);
    }
    cr_assert(count >= 8 && count <= 12, "%u", count);
}

/* --- errors (asap.md §8)
 * -------------------------------------------------------------------------- */

static void raw(uint64_t assoc, const uint8_t *octets, size_t len)
{
    rg_message(b.rg, assoc, octets, len, b.now);
}

/* asap */
Test(registrar, unknown_messages)
{
    static const uint8_t quiet[] = {0x20, 0, 0, 4};
    static const uint8_t loud[] = {0x60, 0, 0, 4};
    raw(PE_HOST, quiet, 4);
    cr_assert(silent());
    raw(PE_HOST, loud, 4);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.type, ASAP_ERROR);
    cr_assert_eq(b.reply.causes[0].code, CAUSE_UNRECOGNIZED_MESSAGE);
    cr_assert_arr_eq(b.reply.causes[0].body, loud, 4);
    /* An unknown association is nobody to answer to. */
    raw(4711, loud, 4);
    cr_assert(silent());
}

/* An unknown parameter that wants a report: the answer first, then the ERROR. */
Test(registrar, unknown_parameter)
{
    static const uint8_t request[] = {0x05, 0, 0, 16, 0, 9, 0, 5, 'w', 0, 0, 0, 0xcc, 0x01, 0, 4};
    raw(PU_HOST, request, sizeof(request));
    expect_response(PU_HOST, ASAP_HANDLE_RESOLUTION_RESPONSE, CAUSE_UNKNOWN_POOL_HANDLE);
    cr_assert(told(PU_HOST));
    cr_assert_eq(b.reply.type, ASAP_ERROR);
    cr_assert_eq(b.reply.causes[0].code, CAUSE_UNRECOGNIZED_PARAMETER);
}

/* asap:A-157: a request that cannot be read is refused with a cause where that can be done. */
Test(registrar, malformed_requests)
{
    (void)prepare_pe("web", 7, PE_HOST);
    int len = asap_encode(&b.msg, b.octets, sizeof(b.octets));
    cr_assert_gt(len, 0);
    /* Header, handle, head of the element, head of the transport: the port becomes 0. */
    size_t port = 4 + 8 + 16 + 4;
    b.octets[port] = b.octets[port + 1] = 0;
    rg_message(b.rg, PE_HOST, b.octets, (size_t)len, b.now);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    cr_assert_eq(b.reply.pe_id, 7);
    cr_assert(!registered("web", 7));
}

/* Cut anywhere: never half a registration. */
Test(registrar, truncated_requests)
{
    (void)prepare_pe("web", 7, 77);
    int len = asap_encode(&b.msg, b.octets, sizeof(b.octets));
    for (int cut = 0; cut < len; cut++) {
        uint8_t *part = malloc((size_t)cut + 1);
        cr_assert_not_null(part);
        memcpy(part, b.octets, (size_t)cut);
        rg_message(b.rg, LOCAL_ASSOC, part, (size_t)cut, b.now);
        free(part);
        cr_assert(!registered("web", 7), "%d of %d octets", cut, len);
    }
    rg_message(b.rg, LOCAL_ASSOC, b.octets, (size_t)len, b.now);
    cr_assert(registered("web", 7));
}

/* Too much rubbish: the association goes, and its PEs with it; slow rubbish is borne. */
Test(registrar, malformed_flood)
{
    static const uint8_t rubbish[] = {0x01, 0, 0, 20};
    join("web", 7, PE_HOST);
    for (int i = 0; i < 30; i++) {
        raw(OTHER_HOST, rubbish, sizeof(rubbish));
        b.now = tm_add_ms(b.now, 10000);
    }
    cr_assert_null(next_of(ACTION_DISCONNECT));
    for (int i = 0; i < 11; i++) {
        cr_assert(registered("web", 7));
        raw(PE_HOST, rubbish, sizeof(rubbish));
    }
    struct action *a = must(next_of(ACTION_DISCONNECT));
    cr_assert_eq(a->assoc, PE_HOST);
    cr_assert(a->abort);
    action_free(a);
    cr_assert(!registered("web", 7));
    for (int i = 0; i < 50; i++) {
        raw(LOCAL_ASSOC, rubbish, sizeof(rubbish));
    }
    cr_assert_null(next_of(ACTION_DISCONNECT));
}

/* Refusals that a peer provokes at will are not all said. */
Test(registrar, refusals_are_not_all_said)
{
    unsigned said = 0;
    struct action *a;
    join("web", 7, PE_HOST);
    drain();
    for (int i = 0; i < 1000; i++) {
        leave("web", 7, OTHER_HOST);
    }
    while ((a = outbox_take(&b.out)) != NULL) {
        said += a->kind == ACTION_EVENT ? 1 : 0;
        action_free(a);
    }
    cr_assert(said >= 10 && said <= 60, "%u", said);
}

/*
 * asap:A-15. Every message type in every state of a PE: what is answered, and whether the PE is
 * still there. States: no such PE; registered and waiting; being asked.
 */
Test(registrar, types_and_states)
{
    enum { ABSENT, WAITING, ASKED, STATES };
    static const struct {
        enum asap_type type;
        int answer[STATES]; /* 0: silence */
        bool stays[STATES];
    } table[] = {
        {ASAP_REGISTRATION, {3, 3, 3}, {true, true, true}},
        {ASAP_DEREGISTRATION, {4, 4, 4}, {false, false, false}},
        {ASAP_REGISTRATION_RESPONSE, {0, 0, 0}, {false, true, true}},
        {ASAP_DEREGISTRATION_RESPONSE, {0, 0, 0}, {false, true, true}},
        {ASAP_HANDLE_RESOLUTION, {6, 6, 6}, {false, true, true}},
        {ASAP_HANDLE_RESOLUTION_RESPONSE, {0, 0, 0}, {false, true, true}},
        {ASAP_ENDPOINT_KEEP_ALIVE, {0, 0, 0}, {false, true, true}},
        {ASAP_ENDPOINT_KEEP_ALIVE_ACK, {0, 0, 0}, {false, true, true}},
        {ASAP_ENDPOINT_UNREACHABLE, {0, 7, 0}, {false, true, true}},
        {ASAP_SERVER_ANNOUNCE, {0, 0, 0}, {false, true, true}},
        {ASAP_COOKIE, {0, 0, 0}, {false, true, true}},
        {ASAP_COOKIE_ECHO, {0, 0, 0}, {false, true, true}},
        {ASAP_BUSINESS_CARD, {0, 0, 0}, {false, true, true}},
        {ASAP_ERROR, {0, 0, 0}, {false, true, true}},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        for (int state = ABSENT; state < STATES; state++) {
            leave("web", 7, PE_HOST);
            drain();
            if (state != ABSENT) {
                join("web", 7, PE_HOST);
            }
            if (state == ASKED) {
                report_unreachable("web", 7, PU_HOST);
            }
            drain();
            (void)prepare_pe("web", 7, PE_HOST);
            b.msg.type = table[i].type;
            b.msg.has_pe_id = true;
            b.msg.pe_id = 7;
            b.msg.has_server_id = true;
            b.msg.server_id = 9;
            b.msg.has_policy = true;
            b.msg.policy = (struct policy){.type = POLICY_RR};
            b.msg.cookie.octets = b.octets;
            b.msg.cookie.len = 4;
            if (table[i].type == ASAP_ERROR) {
                b.msg.causes[0] = (struct asap_cause){.code = CAUSE_SECURITY};
                b.msg.cause_count = 1;
            }
            say(PE_HOST);
            bool answered = told(PE_HOST);
            cr_assert_eq(answered, table[i].answer[state] != 0, "type %u state %d", table[i].type,
                         state);
            cr_assert(!answered || b.reply.type == table[i].answer[state]);
            cr_assert(silent());
            cr_assert_eq(registered("web", 7), table[i].stays[state]);
        }
    }
}

/* asap.md §6 */
Test(registrar, defaults)
{
    struct rg_settings s;
    rg_settings_default(&s);
    cr_assert_eq(s.keep_alive_ms, 5000);
    cr_assert_eq(s.keep_alive_timeout_ms, 5000);
    cr_assert_eq(s.announce_ms, 1000);
    cr_assert(s.keep_alive_pe_id);
    cr_assert(s.tell_expired);
    cr_assert_eq(s.max_bad_pe_reports, 3);
    cr_assert_eq(s.items_default, 3);
    cr_assert_eq(s.handle_max, 32);
    cr_assert_eq(s.update_ms, 100);
}
