/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registrar: when a PE is believed to be gone or ours, to the millisecond, and adoption. */
#include "registrar_fixture.h"

#include "rspd/registrar/rg_internal.h"

TestSuite(adopt, .init = open_bench, .fini = close_bench);

static unsigned count_of(enum action_kind kind)
{
    unsigned n = 0;
    struct action *a;
    while ((a = next_of(kind)) != NULL) {
        action_free(a);
        n++;
    }
    return n;
}

static void quiet(void)
{
    b.set.keep_alive_ms = 0;
    reconfigure();
}

/* --- the watch ----------------------------------------------------------------------------------
 */

static void accuse(unsigned from, unsigned to)
{
    for (unsigned host = from; host <= to; host++) {
        up(host);
        report_unreachable("web", 7, host);
    }
}

/* asap:A-99: an answer has its whole time, also when settings change meanwhile. */
Test(adopt, time_for_an_answer)
{
    join("web", 7, PE_HOST);
    report_unreachable("web", 7, PU_HOST);
    pass_ms(4000);
    reconfigure();
    pass_ms(999);
    cr_assert(registered("web", 7));
    drain();
    pass_ms(1);
    cr_assert(!registered("web", 7));
    expect_event(EVENT_PE_REMOVED, "left pool web: it did not answer a keep-alive");
}

/* asap:A-97: a report counts for a minute; one who repeats it is fresh again, and counts once. */
Test(adopt, age_of_reports)
{
    for (int late = 0; late < 2; late++) {
        for (int repeats = 0; repeats < 2; repeats++) {
            quiet();
            b.set.keep_alive_timeout_ms = 1000000;
            reconfigure();
            join("web", 7, PE_HOST);
            accuse(10, 10);
            b.now = tm_add_ms(b.now, 30000);
            accuse(repeats ? 10 : 11, 12);
            b.now = tm_add_ms(b.now, 29999 + late);
            accuse(13, 13);
            bool gone = repeats || !late;
            cr_assert_eq(registered("web", 7), !gone, "late %d, repeats %d", late, repeats);
            leave("web", 7, PE_HOST);
            drain();
        }
    }
}

/* asap:A-96: who is being asked already and is reported then clears itself by its answer, not
 * sooner than one interval after the first report. */
Test(adopt, answer_to_a_report)
{
    for (int late = 0; late < 2; late++) {
        b.set.keep_alive_timeout_ms = 20000;
        reconfigure();
        join("web", 7, PE_HOST);
        pass_ms(7500);
        accuse(10, 12);
        b.now = tm_add_ms(b.now, 4999 + late);
        acknowledge("web", 7, PE_HOST);
        accuse(13, 13);
        cr_assert_eq(registered("web", 7), late == 1);
        leave("web", 7, PE_HOST);
        drain();
    }
}

/* asap:A-96: the same of one that is asked because of a report, and has answered one before. */
Test(adopt, answer_to_a_later_report)
{
    for (int late = 0; late < 2; late++) {
        b.set.keep_alive_timeout_ms = 20000;
        reconfigure();
        join("web", 7, PE_HOST);
        accuse(10, 10);
        acknowledge("web", 7, PE_HOST);
        b.now = tm_add_ms(b.now, 4999 + late);
        drain();
        accuse(11, 11);
        cr_assert(told(PE_HOST));
        acknowledge("web", 7, PE_HOST);
        accuse(12, 13);
        cr_assert_eq(registered("web", 7), late == 1);
        leave("web", 7, PE_HOST);
        drain();
    }
}

/* The most that can be set is 63 hosts. */
Test(adopt, most_reporters)
{
    b.set.max_bad_pe_reports = 64;
    reconfigure();
    join("web", 7, PE_HOST);
    accuse(10, 72);
    cr_assert(registered("web", 7));
    accuse(73, 73);
    cr_assert(!registered("web", 7));
}

/* enrp.md §10.3: three questions in ten seconds, then the other registrar has it. */
Test(adopt, disputes_in_ten_seconds)
{
    for (int late = 0; late < 2; late++) {
        quiet();
        join("web", 7, PE_HOST);
        for (int i = 0; i < 3; i++) {
            rg_disowned(b.rg, pool_handle_of("web"), 7, b.now);
            cr_assert(told(PE_HOST));
            report_unreachable("web", 7, PU_HOST);
            cr_assert_null(outbox_take(&b.out), "reports wait for its answer");
            acknowledge("web", 7, PE_HOST);
        }
        b.now = tm_add_ms(b.now, 9999 + late);
        rg_disowned(b.rg, pool_handle_of("web"), 7, b.now);
        cr_assert_eq(rg_disputed(b.rg, pool_handle_of("web"), 7), late == 1);
        cr_assert_eq(told(PE_HOST), late == 1);
        pass_ms(4999);
        cr_assert_eq(rg_disputed(b.rg, pool_handle_of("web"), 7), late == 1);
        pass_ms(1);
        cr_assert_not(rg_disputed(b.rg, pool_handle_of("web"), 7));
        cr_assert(registered("web", 7), "it is the other one's");
        leave("web", 7, PE_HOST);
        drain();
    }
}

/* enrp.md §11: the elements of an offered host outlive its association by a second, for 5 s. */
Test(adopt, grace_after_an_offer)
{
    quiet();
    for (int late = 0; late < 2; late++) {
        join("web", 7, PE_HOST);
        rg_offered(b.rg, PE_HOST, b.now);
        rg_offered(b.rg, LOCAL_ASSOC, b.now);
        b.now = tm_add_ms(b.now, 4999 + late);
        rg_assoc_down(b.rg, PE_HOST, b.now);
        cr_assert_null(rg_assoc_find(b.rg, PE_HOST));
        cr_assert_eq(registered("web", 7), late == 0);
        pass_ms(999);
        cr_assert_eq(registered("web", 7), late == 0);
        pass_ms(1);
        cr_assert(!registered("web", 7));
        up(PE_HOST);
        drain();
    }
}

/* --- adoption -----------------------------------------------------------------------------------
 */

static const struct hs_element *taken_over(uint32_t id, unsigned host, uint16_t port,
                                           enum transport_protocol protocol)
{
    struct ip_address address = host_address(host);
    struct pool_element *pe = prepare_pe("web", id, host);
    pe->home_id = RG_ID;
    pe->asap = (struct transport){
        .protocol = protocol, .port = port, .address_count = 1, .addresses = &address};
    cr_assert_eq(hs_register(b.hs, pool_handle_of("web"), pe, 300000, 0, b.now), HS_ADDED);
    return hs_find(b.hs, pool_handle_of("web"), id);
}

/* enrp:E-64: asked with H from that time on, over an association of ours where there is none; again
 * and again until it registers. */
Test(adopt, adopted_elements_are_asked)
{
    quiet();
    hs_read_begin();
    rg_adopt(b.rg, taken_over(7, 9, 5000, TRANSPORT_SCTP), tm_add_ms(b.now, 1000));
    rg_adopt(b.rg, taken_over(8, 9, 5000, TRANSPORT_SCTP), tm_add_ms(b.now, 1001));
    hs_read_end();
    drain();
    pass_ms(999);
    cr_assert_eq(count_of(ACTION_SEND), 0);
    pass_ms(1);
    struct action *a = must(next_of(ACTION_CONNECT));
    uint64_t assoc = a->assoc;
    cr_assert_eq(assoc, RG_ASSOC_FIRST + 1);
    cr_assert_eq(a->port, 5000);
    cr_assert_eq(a->address_count, 1);
    cr_assert_eq(a->addresses[0].octets[3], 9);
    action_free(a);
    pass_ms(1);
    for (uint32_t id = 7; id <= 8; id++) {
        cr_assert(told(assoc));
        cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
        cr_assert_eq(b.reply.flags, ASAP_FLAG);
        cr_assert_eq(b.reply.pe_id, id);
    }
    struct ip_address address = host_address(9);
    rg_assoc_up(b.rg, assoc, &address, 1, 5000, b.now);
    acknowledge("web", 7, assoc);
    (void)prepare_pe("web", 8, 9);
    say(assoc);
    expect_response(assoc, ASAP_REGISTRATION_RESPONSE, 0);
    pass_ms(2498);
    cr_assert(silent());
    pass_ms(5003);
    cr_assert(told(assoc), "it has only answered");
    cr_assert_eq(b.reply.pe_id, 7);
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
    cr_assert(silent(), "it has registered");
    pass_ms(5000);
    cr_assert(!registered("web", 7));
}

/* The association the host opened serves as well, if address and port are its; no SCTP, no way. */
Test(adopt, ways_to_a_host)
{
    static const struct {
        uint16_t port;
        enum transport_protocol protocol;
        bool opened, asked;
    } table[] = {{5000, TRANSPORT_SCTP, false, true},
                 {5001, TRANSPORT_SCTP, true, true},
                 {5000, TRANSPORT_TCP, false, false}};
    quiet();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        hs_read_begin();
        rg_adopt(b.rg, taken_over((uint32_t)i + 1, OTHER_HOST, table[i].port, table[i].protocol),
                 b.now);
        hs_read_end();
        drain();
        rg_timer(b.rg, b.now);
        unsigned opened = 0;
        unsigned asked = 0;
        struct action *a;
        while ((a = outbox_take(&b.out)) != NULL) {
            opened += a->kind == ACTION_CONNECT;
            asked += a->kind == ACTION_SEND && (a->assoc == OTHER_HOST) == !table[i].opened;
            action_free(a);
        }
        cr_assert_eq(opened, table[i].opened, "row %zu", i);
        cr_assert_eq(asked, table[i].asked, "row %zu", i);
        cr_assert_eq(registered("web", (uint32_t)i + 1), table[i].asked);
    }
    /* Who went is no way any more. */
    rg_assoc_down(b.rg, OTHER_HOST, b.now);
    hs_read_begin();
    rg_adopt(b.rg, taken_over(9, OTHER_HOST, 5000, TRANSPORT_SCTP), b.now);
    hs_read_end();
    drain();
    rg_timer(b.rg, b.now);
    cr_assert_eq(count_of(ACTION_CONNECT), 1);
}

/* Who says nothing of where it listens is no way to any host; nor is this host's own agent. */
Test(adopt, no_ways)
{
    struct ip_address address = host_address(9);
    quiet();
    rg_assoc_up(b.rg, 20, &address, 1, 0, b.now);
    rg_assoc_up(b.rg, 21, NULL, 0, 5000, b.now);
    rg_assoc_up(b.rg, LOCAL_ASSOC, &address, 1, 5000, b.now);
    check_insides();
    hs_read_begin();
    rg_adopt(b.rg, taken_over(7, 9, 5000, TRANSPORT_SCTP), b.now);
    hs_read_end();
    drain();
    rg_timer(b.rg, b.now);
    struct action *a = must(next_of(ACTION_CONNECT));
    cr_assert_eq(a->addresses[0].octets[3], 9);
    action_free(a);
}

/* One that is registered here and claimed by another: its answer is enough to tell everybody. */
Test(adopt, registered_elements_confirm)
{
    join("web", 7, PE_HOST);
    hs_read_begin();
    rg_adopt(b.rg, hs_find(b.hs, pool_handle_of("web"), 7), b.now);
    hs_read_end();
    drain();
    rg_timer(b.rg, b.now);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
    acknowledge("web", 7, PE_HOST);
    pass_ms(7500);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.flags, 0, "an ordinary keep-alive");
}

/* asap:A-95: a report is the cause of the removal it led to, and of nothing after that. */
Test(adopt, cause_of_a_removal)
{
    join("web", 7, PE_HOST);
    report_unreachable("web", 7, PU_HOST);
    drain();
    pass_ms(5000);
    cr_assert(!registered("web", 7));
    struct action *a = must(next_of(ACTION_EVENT));
    cr_assert_neq(a->event.cause, 0);
    action_free(a);
    drain();
    (void)prepare_pe("web", 8, OTHER_HOST);
    say(OTHER_HOST);
    a = must(next_of(ACTION_EVENT));
    cr_assert_eq(a->event.kind, EVENT_PE_ADDED);
    cr_assert_eq(a->event.cause, 0);
    action_free(a);
}

/* It opens to all addresses of the host, as many as an association takes. */
Test(adopt, all_addresses_of_a_host)
{
    static const uint16_t counts[] = {2, 8, 9};
    struct ip_address list[9];
    for (size_t i = 0; i < 9; i++) {
        list[i] = host_address(20 + (unsigned)i);
    }
    quiet();
    for (uint32_t r = 0; r < 3; r++) {
        struct pool_element *pe = prepare_pe("web", r + 1, 20);
        pe->home_id = RG_ID;
        pe->asap = (struct transport){.protocol = TRANSPORT_SCTP,
                                      .port = (uint16_t)(6000 + r),
                                      .address_count = counts[r],
                                      .addresses = list};
        hs_read_begin();
        cr_assert_eq(hs_register(b.hs, pool_handle_of("web"), pe, 300000, 0, b.now), HS_ADDED);
        rg_suggested(b.rg, hs_find(b.hs, pool_handle_of("web"), r + 1), b.now);
        hs_read_end();
        struct action *a = must(next_of(ACTION_CONNECT));
        cr_assert_eq(a->address_count, r == 0 ? 2 : 8);
        cr_assert_eq(a->port, 6000 + r);
        for (uint8_t i = 0; i < a->address_count; i++) {
            cr_assert(ip_address_equal(&a->addresses[i], &list[i]));
        }
        action_free(a);
    }
}

/* One that was reported while it was another's is asked to make us its home all the same. */
Test(adopt, one_that_was_reported_before)
{
    quiet();
    hs_read_begin();
    const struct hs_element *element = taken_over(7, PE_HOST, 5000, TRANSPORT_SCTP);
    cr_assert_eq(hs_set_home(b.hs, *element->handle, 7, 0x99, 0), HS_UPDATED);
    hs_read_end();
    report_unreachable("web", 7, PU_HOST);
    cr_assert(told(PE_HOST));
    acknowledge("web", 7, PE_HOST);
    drain();
    hs_read_begin();
    cr_assert_eq(hs_set_home(b.hs, pool_handle_of("web"), 7, RG_ID, 0), HS_UPDATED);
    rg_adopt(b.rg, hs_find(b.hs, pool_handle_of("web"), 7), b.now);
    hs_read_end();
    rg_timer(b.rg, b.now);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
}

/* Who never registered here is let go at once; who did is asked, and its reports are void. */
Test(adopt, what_another_registrar_claims)
{
    quiet();
    hs_read_begin();
    rg_adopt(b.rg, taken_over(7, PE_HOST, 5000, TRANSPORT_SCTP), tm_add_ms(b.now, 5000));
    hs_read_end();
    rg_disowned(b.rg, pool_handle_of("web"), 7, b.now);
    cr_assert(silent());
    cr_assert_null(rg_pe_find(b.rg, pool_handle_of("web"), 7));
    join("web", 8, PE_HOST);
    report_unreachable("web", 8, PU_HOST);
    drain();
    rg_disowned(b.rg, pool_handle_of("web"), 8, b.now);
    cr_assert(told(PE_HOST));
    cr_assert_eq(b.reply.flags, ASAP_FLAG);
    cr_assert_eq(rg_pe_find(b.rg, pool_handle_of("web"), 8)->doubt->reporter_count, 0);
}
