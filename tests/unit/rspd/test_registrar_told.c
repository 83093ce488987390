/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the registrar lets be told to its peers (asap: ): its hooks for ENRP. */
#include "registrar_fixture.h"

static struct {
    unsigned registered, removed;
    uint32_t pe_id;
    uint32_t home_id;
    bool by_itself;
    bool there; /* while it was told */
} told_peers;

static void on_registered(void *ctx, const struct hs_element *element, struct tm_us now)
{
    (void)ctx;
    (void)now;
    told_peers.registered++;
    told_peers.pe_id = element->pe_id;
    told_peers.home_id = element->home_id;
    told_peers.there = hs_find(b.hs, *element->handle, element->pe_id) != NULL;
}

static void on_removed(void *ctx, const struct hs_element *element, bool by_itself,
                       struct tm_us now)
{
    (void)ctx;
    (void)now;
    told_peers.removed++;
    told_peers.pe_id = element->pe_id;
    told_peers.home_id = element->home_id;
    told_peers.by_itself = by_itself;
}

static void open_with_peers(void)
{
    static const struct rg_hooks hooks = {.registered = on_registered, .removed = on_removed};
    open_bench();
    memset(&told_peers, 0, sizeof(told_peers));
    rg_set_hooks(b.rg, &hooks);
}

TestSuite(told, .init = open_with_peers, .fini = close_bench);

/* asap:A-62: a granted registration, and each that repeats it; with what is in the handlespace */
Test(told, registrations)
{
    join("web", 7, PE_HOST);
    cr_assert_eq(told_peers.registered, 1);
    cr_assert_eq(told_peers.pe_id, 7);
    cr_assert_eq(told_peers.home_id, RG_ID);
    cr_assert(told_peers.there);
    join("web", 7, PE_HOST);
    cr_assert_eq(told_peers.registered, 2);
    cr_assert_eq(told_peers.removed, 0);
}

/* asap:A-62: nothing where it was refused */
Test(told, nothing_of_refusals)
{
    join("web", 7, PE_HOST);
    struct pool_element *pe = prepare_pe("web", 8, PE_HOST);
    pe->policy = (struct policy){.type = POLICY_RAND};
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INCONSISTENT_POLICY);
    cr_assert_eq(told_peers.registered, 1);
    cr_assert_eq(told_peers.removed, 0);
}

/* asap:A-71: once it is removed, whoever removed it */
Test(told, removals)
{
    join("web", 7, PE_HOST);
    leave("web", 7, PE_HOST);
    expect_response(PE_HOST, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert_eq(told_peers.removed, 1);
    cr_assert_eq(told_peers.pe_id, 7);
    cr_assert_eq(told_peers.home_id, RG_ID);
    cr_assert_not(registered("web", 7));
    join("web", 8, PE_HOST);
    rg_assoc_down(b.rg, PE_HOST, b.now);
    pass_ms(60000);
    cr_assert_eq(told_peers.removed, 2);
    cr_assert_eq(told_peers.pe_id, 8);
}

/* asap:A-72: neither where it was refused, nor where there was nothing to remove */
Test(told, nothing_where_nothing_was_removed)
{
    join("web", 7, PE_HOST);
    leave("web", 7, OTHER_HOST);
    cr_assert(told(OTHER_HOST));
    cr_assert_gt(b.reply.cause_count, 0);
    leave("web", 9, PE_HOST);
    expect_response(PE_HOST, ASAP_DEREGISTRATION_RESPONSE, 0);
    cr_assert_eq(told_peers.removed, 0);
    cr_assert(registered("web", 7));
}

/* Somebody else claims the element: it is asked, and its registration is an answer, too. */
Test(told, disputes)
{
    join("web", 7, PE_HOST);
    drain();
    cr_assert_not(rg_disputed(b.rg, pool_handle_of("web"), 7));
    rg_disowned(b.rg, pool_handle_of("web"), 7, b.now);
    cr_assert(rg_disputed(b.rg, pool_handle_of("web"), 7));
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
    join("web", 7, PE_HOST);
    cr_assert_not(rg_disputed(b.rg, pool_handle_of("web"), 7));
    rg_disowned(b.rg, pool_handle_of("web"), 7, b.now);
    cr_assert(told(PE_HOST));
    unsigned before = told_peers.registered;
    acknowledge("web", 7, PE_HOST);
    cr_assert_not(rg_disputed(b.rg, pool_handle_of("web"), 7));
    cr_assert_eq(told_peers.registered, before + 1);
}

/* As another registrar may have told us of it. */
static const struct hs_element *told_of(const struct pool_element *pe)
{
    struct pool_handle handle = pool_handle_of("web");
    (void)hs_register(b.hs, handle, pe, -1, 0, b.now);
    const struct hs_element *element = hs_find(b.hs, handle, pe->pe_id);
    cr_assert_not_null(element);
    return element;
}

/* enrp:E-88: an element that is suggested is asked, once for its host and second. */
Test(told, suggestions)
{
    struct ip_address address = host_address(PE_HOST);
    struct pool_element pe = {
        .pe_id = 7,
        .home_id = 9,
        .user = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &address},
        .policy = {.type = POLICY_RR},
        .asap = {
            .protocol = TRANSPORT_SCTP, .port = 5000, .address_count = 1, .addresses = &address}};
    const struct hs_element *element = told_of(&pe);
    rg_suggested(b.rg, element, b.now);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
    cr_assert_eq(b.reply.pe_id, 7);
    rg_suggested(b.rg, element, b.now);
    cr_assert(silent());
    pass_ms(1000);
    rg_suggested(b.rg, element, b.now);
    cr_assert(told(PE_HOST));
    pe.asap.address_count = 0;
    element = told_of(&pe);
    pass_ms(1000);
    rg_suggested(b.rg, element, b.now);
    cr_assert(silent());
}
