/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registrar's watch over PEs: keep-alives and reports (asap:A-94 … ). */
#include "registrar_fixture.h"

#include "rspd/registrar/rg_internal.h"

TestSuite(watch, .init = open_bench, .fini = close_bench);

static void expect_keep_alive(uint32_t id)
{
    cr_assert(told(PE_HOST), "no keep-alive");
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    cr_assert_eq(b.reply.flags, 0);
    cr_assert_eq(b.reply.server_id, RG_ID);
    cr_assert(b.reply.has_pe_id);
    cr_assert_eq(b.reply.pe_id, id);
}

/* asap: within ±50 % of the interval, again after each answer */
Test(watch, asks_and_is_answered)
{
    join("web", 7, PE_HOST);
    for (int i = 0; i < 20; i++) {
        drain();
        pass_ms(2499);
        cr_assert(silent());
        pass_ms(5001);
        expect_keep_alive(7);
        cr_assert(silent());
        acknowledge("web", 7, PE_HOST);
    }
    cr_assert(registered("web", 7));
    b.set.keep_alive_pe_id = false;
    reconfigure();
    pass_ms(7500);
    cr_assert(told(PE_HOST));
    cr_assert(!b.reply.has_pe_id);
}

/* asap, enrp:E-84 */
Test(watch, spreads_many)
{
    unsigned in_first_half = 0;
    for (uint32_t i = 1; i <= 200; i++) {
        join("web", i, PE_HOST);
    }
    drain();
    pass_ms(5000);
    while (told(PE_HOST)) {
        in_first_half++;
    }
    cr_assert(in_first_half > 60 && in_first_half < 140, "%u", in_first_half);
}

/* asap:A-99: no answer: removed, and its silent association aborted */
Test(watch, unanswered)
{
    join("web", 7, PE_HOST);
    join("web", 8, PE_HOST);
    join("web", 9, OTHER_HOST);
    drain();
    pass_ms(7500);
    drain();
    pass_ms(5000);
    cr_assert(!registered("web", 7));
    cr_assert(!registered("web", 8));
    struct action *a = must(next_of(ACTION_DISCONNECT));
    cr_assert(a->abort);
    action_free(a);
}

/* One PE that does not answer on an association that lives: it alone goes. */
Test(watch, only_the_dead_one_goes)
{
    b.set.keep_alive_ms = 1000;
    reconfigure();
    join("web", 7, PE_HOST);
    join("web", 8, PE_HOST);
    for (int i = 0; i < 20; i++) {
        pass_ms(500);
        acknowledge("web", 8, PE_HOST);
    }
    cr_assert(!registered("web", 7));
    cr_assert(registered("web", 8));
    cr_assert_null(next_of(ACTION_DISCONNECT));
}

/* Only the PE itself answers for itself. */
Test(watch, answers_of_others_do_not_count)
{
    join("web", 7, PE_HOST);
    pass_ms(7500);
    acknowledge("web", 7, OTHER_HOST);
    acknowledge("web", 8, PE_HOST);
    acknowledge("other", 7, PE_HOST);
    pass_ms(5000);
    cr_assert(!registered("web", 7));
}

/* A re-registration restarts the interval and counts as an answer. */
Test(watch, re_registration_is_life)
{
    join("web", 7, PE_HOST);
    for (int i = 0; i < 20; i++) {
        pass_ms(4000);
        drain();
        join("web", 7, PE_HOST);
    }
    cr_assert(registered("web", 7));
}

/* asap:A-94: at once, H = 0, one outstanding only; unknown PEs are nobody's business */
Test(watch, report_asks_at_once)
{
    join("web", 7, PE_HOST);
    drain();
    report_unreachable("web", 7, PU_HOST);
    struct action *a = must(outbox_take(&b.out));
    cr_assert_eq(a->kind, ACTION_EVENT);
    cr_assert_eq(a->event.kind, EVENT_PE_UNREACHABLE);
    cr_assert_str_eq(a->event.text, "PE 0x00000007 of pool web reported unreachable by 10.0.0.2 "
                                    "(1 reporters): asking it");
    uint64_t cause = a->event.id;
    action_free(a);
    expect_keep_alive(7);
    report_unreachable("web", 7, PU_HOST);
    report_unreachable("web", 8, PU_HOST);
    report_unreachable("none", 7, PU_HOST);
    cr_assert_null(outbox_take(&b.out));
    /* asap:A-95: unanswered; the event names the report as its cause */
    pass_ms(5000);
    cr_assert(!registered("web", 7));
    a = must(next_of(ACTION_EVENT));
    cr_assert_eq(a->event.kind, EVENT_PE_REMOVED);
    cr_assert_eq(a->event.cause, cause);
    action_free(a);
}

/* asap: one principal cannot expel a PE that answers, however often it reports */
Test(watch, one_reporter_cannot_expel)
{
    join("web", 7, PE_HOST);
    for (int i = 0; i < 200; i++) {
        report_unreachable("web", 7, PU_HOST);
        acknowledge("web", 7, PE_HOST);
        drain();
        b.now = tm_add_ms(b.now, 100);
    }
    cr_assert(registered("web", 7));
    /* Nor by more associations from the same host. */
    for (uint64_t assoc = 20; assoc < 40; assoc++) {
        struct ip_address a = host_address(PU_HOST);
        rg_assoc_up(b.rg, assoc, &a, 1, 1, b.now);
        report_unreachable("web", 7, assoc);
    }
    cr_assert(registered("web", 7));
}

static void accuse(unsigned from, unsigned to)
{
    for (unsigned host = from; host <= to; host++) {
        up(host);
        report_unreachable("web", 7, host);
    }
}

/* asap:A-97: more than MAX-BAD-PE-REPORT different ones do */
Test(watch, many_reporters_expel)
{
    join("web", 7, PE_HOST);
    accuse(10, 12);
    acknowledge("web", 7, PE_HOST);
    cr_assert(registered("web", 7));
    accuse(13, 13);
    cr_assert(!registered("web", 7));
}

/* Reports age, and are cleared by an answer one interval after the first, or a re-registration. */
Test(watch, reports_are_forgotten)
{
    join("web", 7, PE_HOST);
    accuse(10, 12);
    drain();
    join("web", 7, PE_HOST);
    accuse(13, 15);
    b.now = tm_add_ms(b.now, 5000);
    acknowledge("web", 7, PE_HOST);
    accuse(16, 18);
    acknowledge("web", 7, PE_HOST);
    b.now = tm_add_ms(b.now, 60000);
    accuse(19, 21);
    cr_assert(registered("web", 7));
    accuse(22, 22);
    cr_assert(!registered("web", 7));
}

/* The record of reporters is bounded whatever the setting. */
Test(watch, reporters_are_bounded)
{
    b.set.max_bad_pe_reports = 1000;
    reconfigure();
    join("web", 7, PE_HOST);
    accuse(10, 72);
    cr_assert(registered("web", 7));
    accuse(73, 73);
    cr_assert(!registered("web", 7));
}

/* A report on a PE of this host: its agent is asked. */
Test(watch, local_pe_is_asked)
{
    (void)prepare_pe("web", 7, 77);
    say(LOCAL_ASSOC);
    drain();
    report_unreachable("web", 7, PU_HOST);
    cr_assert(told(LOCAL_ASSOC));
    cr_assert_eq(b.reply.type, ASAP_ENDPOINT_KEEP_ALIVE);
    acknowledge("web", 7, LOCAL_ASSOC);
    pass_ms(60000);
    cr_assert(registered("web", 7));
    cr_assert(silent());
}

Test(watch, switched_off)
{
    join("web", 7, PE_HOST);
    b.set.keep_alive_ms = 0;
    reconfigure();
    drain();
    pass_ms(100000);
    cr_assert(silent());
    b.set.keep_alive_ms = 1000;
    reconfigure();
    pass_ms(1500);
    expect_keep_alive(7);
}

/* --- elements of other registrars ---------------------------------------------------------------
 */

#define OTHER_RG 0x0badcafeu

/** An element another registrar owns, at `host`, as ENRP brings it. */
static void import(const char *handle, uint32_t id, unsigned host)
{
    struct ip_address address = host_address(host);
    struct pool_element *pe = prepare_pe(handle, id, host);
    pe->home_id = OTHER_RG;
    pe->asap = (struct transport){
        .protocol = TRANSPORT_SCTP, .port = 5000, .address_count = 1, .addresses = &address};
    hs_read_begin();
    cr_assert_eq(hs_register(b.hs, pool_handle_of(handle), pe, 300000, 0, b.now), HS_ADDED);
    hs_read_end();
}

/* asap: a report about another home's element has it asked, too, at most once a
 * second; who answers stays, and so does who answers its home instead of us. */
Test(watch, foreign_element_is_asked)
{
    import("web", 7, PE_HOST);
    report_unreachable("web", 7, PU_HOST);
    expect_keep_alive(7);
    acknowledge("web", 7, PE_HOST);
    report_unreachable("web", 7, PU_HOST);
    cr_assert(silent());
    pass_ms(1000);
    report_unreachable("web", 7, PU_HOST);
    expect_keep_alive(7);
    pass_ms(200000);
    cr_assert(registered("web", 7));
    cr_assert(silent(), "it is not watched, its home does that");
}

/* asap:A-95: its host cannot be reached: it leaves our copy */
Test(watch, foreign_element_out_of_reach)
{
    import("web", 7, 9);
    report_unreachable("web", 7, PU_HOST);
    struct action *a = must(next_of(ACTION_CONNECT));
    uint64_t assoc = a->assoc;
    cr_assert_eq(a->addresses[0].octets[3], 9);
    action_free(a);
    cr_assert(registered("web", 7));
    rg_assoc_down(b.rg, assoc, b.now);
    pass_ms(5000);
    cr_assert(!registered("web", 7));
}

/* asap:A-97: more than MAX-BAD-PE-REPORT hosts expel it here; reports age */
Test(watch, foreign_element_with_many_reports)
{
    import("web", 7, PE_HOST);
    accuse(10, 12);
    pass_ms(61000);
    accuse(13, 15);
    cr_assert(registered("web", 7));
    accuse(16, 16);
    cr_assert(!registered("web", 7));
    pass_ms(61000);
}

/* It becomes ours: the watch over it is the usual one. */
Test(watch, foreign_element_becomes_ours)
{
    b.set.keep_alive_ms = 1000;
    reconfigure();
    import("web", 7, PE_HOST);
    report_unreachable("web", 7, PU_HOST);
    expect_keep_alive(7);
    join("web", 7, PE_HOST);
    drain();
    pass_ms(1500);
    expect_keep_alive(7);
    pass_ms(5000);
    cr_assert(!registered("web", 7));
}

/* Another interval counts for all at once. */
Test(watch, everybodys_interval)
{
    for (uint32_t id = 1; id <= 200; id++) {
        join("web", id, PE_HOST);
    }
    b.set.keep_alive_ms = 0;
    reconfigure();
    drain();
    pass_ms(250000);
    cr_assert(silent());
}

/* What was said of another registrar's element is remembered for a minute after its answer. */
Test(watch, reports_on_a_foreign_element_are_kept)
{
    import("web", 7, PE_HOST);
    report_unreachable("web", 7, PU_HOST);
    expect_keep_alive(7);
    acknowledge("web", 7, PE_HOST);
    pass_ms(59999);
    cr_assert_not_null(rg_pe_find(b.rg, pool_handle_of("web"), 7));
    pass_ms(1);
    cr_assert_null(rg_pe_find(b.rg, pool_handle_of("web"), 7));
}
