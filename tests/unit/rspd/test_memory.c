/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Memory may be out at any allocation: a long course of events is run so often, with every eleventh
 * one failing, that each has failed. The machines stay in order, go on, and give back all they
 * took.
 */
#include "agent_fixture.h"
#include "enrp_fixture.h"
#include "memory.h"
#include "registrar_fixture.h"

#define EVERY 11 /* each run waits for RCU, so one for each allocation takes too long */

static long wanted;

/* In a course, when what it needs itself is there. */
static void begin(void)
{
    memory_fail(wanted, EVERY);
}

static void each_allocation_fails(void (*course)(void))
{
    long before = memory_held();
    for (wanted = -1; wanted < EVERY; wanted++) {
        course();
        cr_assert(wanted != 0 || memory_failed());
        memory_fail(-1, 0);
        long held = memory_held();
        cr_assert_eq(held, before, "from allocation %ld on: %ld blocks are not given back", wanted,
                     held - before);
    }
}

/* --- agent --------------------------------------------------------------------------------------
 */

/* The network brings up what is opened, to 10.0.0.1. */
static void fx_connect(struct fx *fx)
{
    struct action *action;
    while ((action = fx_next(fx, ACTION_CONNECT)) != NULL) {
        fx_up(fx, action->assoc, "10.0.0.1");
    }
}

static void agent_elements(struct fx *fx)
{
    int error = 0;
    struct ag_pe pe = {.protocol = TRANSPORT_TCP, .port = 80, .policy = {.type = POLICY_RR}};
    for (int i = 0; i < 3; i++) {
        pe.handle = pool_handle_of(i == 0 ? "web" : "pool");
        uint32_t id = ag_pe_add(fx->ag, &pe, fx->now, &error);
        cr_assert(id != 0 ? error == 0 : error == -ENOMEM, "%d", error);
        fx_check(fx);
        pe.port = 81;
        if (id != 0) {
            fx_respond(fx, fx->ag->home.assoc, ASAP_REGISTRATION_RESPONSE, i == 0 ? "web" : "pool",
                       id, false, -1);
            (void)ag_pe_change(fx->ag, id, &pe, fx->now);
            (void)ag_pe_withhold(fx->ag, id, i == 1 ? "for a while" : NULL, fx->now);
            fx_check(fx);
            ag_pe_remove(fx->ag, id, "closed", fx->now);
            pe.pe_id = id; /* and back before it has left */
            (void)ag_pe_add(fx->ag, &pe, fx->now, &error);
            pe.pe_id = 0;
            fx_check(fx);
        }
    }
}

static void agent_course(void)
{
    struct fx *fx = fx_new(NULL);
    struct ag_answer answer;
    begin();
    for (int round = 0; round < 2; round++) {
        struct ag_query query = fx_query("pool");
        fx_announce(fx, 1, "10.0.0.1");
        fx_connect(fx);
        fx_pass(fx, 3000);
        fx_announce(fx, 1, "10.0.0.1");
        fx_connect(fx);
        agent_elements(fx);
        (void)ag_resolve(fx->ag, &query, 1, fx->now, &answer);
        fx_answer(fx, fx->ag->home.assoc, "pool", 21, 3);
        (void)ag_resolve_take(fx->ag, 1, fx->now, &answer);
        ag_report(fx->ag, query.handle, 22, -ECONNREFUSED, fx->now);
        fx_check(fx);
        fx_host(fx, round == 0 ? "10.0.0.8" : "10.0.0.9", "10.0.0.7");
        query = fx_query("other");
        (void)ag_resolve(fx->ag, &query, 2, fx->now, &answer);
        ag_assoc_down(fx->ag, fx->ag->home.assoc, fx->now);
        fx_check(fx);
        fx_pass(fx, 9000);
        ag_resolve_cancel(fx->ag, 2);
        fx_drop(fx);
    }
    fx_free(fx);
}

Test(memory, of_the_agent)
{
    each_allocation_fails(agent_course);
}

static void agent_life(void)
{
    struct outbox box;
    struct ag_settings set;
    outbox_init(&box);
    ag_settings_default(&set);
    begin();
    struct ag *ag = ag_new(&set, &box, 7, (struct tm_us){1000000});
    cr_assert(ag != NULL || memory_failed());
    ag_free(ag);
    outbox_done(&box);
}

Test(memory, of_a_new_agent)
{
    hs_thread_register();
    each_allocation_fails(agent_life);
    hs_thread_unregister();
}

/* --- registrar ----------------------------------------------------------------------------------
 */

static void registrar_elements(const char *handle)
{
    for (unsigned host = PE_HOST; host <= PU_HOST; host++) {
        for (uint32_t id = 1; id <= 3; id++) {
            (void)prepare_pe(handle, 10 * host + id, host);
            say(host);
        }
        resolve(handle, host, 2, true);
        report_unreachable(handle, 11, OTHER_HOST);
        report_unreachable(handle, 11, PU_HOST);
        drain();
    }
}

static void adopt_one(uint32_t id)
{
    hs_read_begin();
    const struct hs_element *element = hs_find(b.hs, pool_handle_of("web"), id);
    if (element != NULL) {
        rg_adopt(b.rg, element, b.now);
        rg_suggested(b.rg, element, b.now);
    }
    hs_read_end();
    check_insides();
}

static void registrar_course(void)
{
    open_bench();
    begin();
    registrar_elements("web");
    registrar_elements("other");
    pass_ms(200);
    rg_offered(b.rg, PU_HOST, b.now);
    rg_assoc_down(b.rg, PU_HOST, b.now);
    check_insides();
    adopt_one(21);
    adopt_one(11);
    rg_disowned(b.rg, pool_handle_of("web"), 12, b.now);
    struct rg_prefix all = {.address = host_address(0), .len = 8};
    b.set.allow = &all;
    b.set.allow_count = 1;
    reconfigure();
    reconfigure();
    b.set.allow_count = 0;
    pass_ms(8000);
    leave("web", 11, PE_HOST);
    up(PU_HOST);
    registrar_elements("web");
    rg_assoc_down(b.rg, PE_HOST, b.now);
    pass_ms(400000);
    check_insides();
    drain();
    close_bench();
}

Test(memory, of_the_registrar)
{
    each_allocation_fails(registrar_course);
}

static void registrar_life(void)
{
    struct outbox box;
    struct rg_settings set;
    outbox_init(&box);
    rg_settings_default(&set);
    struct hs_limits limits = {0};
    begin();
    struct hs *hs = hs_new(&limits, 1);
    struct rg *rg = hs != NULL ? rg_new(&set, hs, &box, 2, (struct tm_us){1000000}) : NULL;
    cr_assert(rg != NULL || memory_failed());
    rg_free(rg);
    hs_free(hs);
    outbox_done(&box);
}

Test(memory, of_a_new_registrar)
{
    hs_thread_register();
    each_allocation_fails(registrar_life);
    hs_thread_unregister();
}

/* --- ENRP ---------------------------------------------------------------------------------------
 */

static void enrp_course(void)
{
    struct ex *ex = ex_serving(NULL);
    begin();
    ex_up(ex, 1, 1);
    ex_up(ex, 2, 2);
    for (uint32_t id = 1; id <= 2; id++) {
        ex_presence(ex, id, id, (uint8_t)id, true, 0x1234);
        ex_table(ex, id, id, 0, id, 10 * id, 3);
        struct enrp_entry entry = ex_entry("pool", 50 + id, id);
        ex_update(ex, id, id, ENRP_ADD_PE, &entry, true);
        ex_update(ex, id, id, ENRP_ADD_PE, &entry, false);
        ex_begin(ex, ENRP_LIST_REQUEST, id);
        ex_arrives(ex, id);
        ex_begin(ex, ENRP_HANDLE_TABLE_REQUEST, id);
        ex_arrives(ex, id);
        ex_drop(ex);
    }
    enrp_assoc_down(ex->en, 1, ENRP_DOWN_LOST, ex->now);
    ex_pass(ex, 3000);
    ex_takeover(ex, 2, ENRP_INIT_TAKEOVER_ACK, 2, 1);
    ex_presence(ex, 2, 2, 2, true, 0x1234);
    ex_pass(ex, 3000);
    ex_takeover(ex, 2, ENRP_TAKEOVER_SERVER, 2, ME);
    enrp_leave(ex->en, ex->now);
    ex_pass(ex, 60000);
    ex_free(ex);
}

Test(memory, of_the_enrp_side)
{
    each_allocation_fails(enrp_course);
}
