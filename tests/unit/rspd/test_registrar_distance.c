/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The home registrar measures how far its elements are (policies:P-35, policies:P-36). */
#include "registrar_fixture.h"

static uint32_t rtt_ms;
static unsigned asked;
static uint32_t told_distance; /* to the other registrars */

static uint32_t round_trip(void *ctx, uint64_t assoc)
{
    (void)ctx;
    cr_assert_eq(assoc, PE_HOST);
    asked++;
    return rtt_ms;
}

static void on_registered(void *ctx, const struct hs_element *element, struct tm_us now)
{
    (void)ctx;
    (void)now;
    const struct policy policy = hs_policy(element);
    told_distance = policy.word_count > 0 ? policy.words[policy.word_count - 1] : 0;
}

static void open_measuring(void)
{
    static const struct rg_hooks hooks = {.registered = on_registered, .round_trip = round_trip};
    open_bench();
    rtt_ms = 0;
    asked = 0;
    rg_set_hooks(b.rg, &hooks);
}

TestSuite(distance, .init = open_measuring, .fini = close_bench);

/* Registers with that policy; what the PE says of its distance is nonsense. */
static uint32_t distance_of(uint32_t type, uint8_t words, const char *handle, uint64_t assoc)
{
    struct pool_element *pe = prepare_pe(handle, 7, (unsigned)PE_HOST);
    pe->policy = (struct policy){
        .type = type, .word_count = words, .words = {0x10000000, 0x00200000, 0x00200000, 0}};
    pe->policy.words[words - 1] = 4711;
    say(assoc);
    expect_response(assoc, ASAP_REGISTRATION_RESPONSE, 0);
    hs_read_begin();
    const struct hs_element *element = hs_find(b.hs, pool_handle_of(handle), 7);
    cr_assert_not_null(element);
    uint32_t distance = element != NULL ? hs_policy(element).words[words - 1] : 0;
    uint32_t load = element != NULL ? hs_policy(element).words[0] : 0;
    hs_read_end();
    cr_assert_eq(load, 0x10000000);
    cr_assert_eq(told_distance, distance);
    return distance;
}

/* policies:P-36: whatever it sent is overwritten, at each registration; and so it is told by ENRP
 */
Test(distance, is_set_by_the_home)
{
    rtt_ms = 100;
    cr_assert_eq(distance_of(POLICY_LU_DPF, 3, "lu", PE_HOST), 50);
    cr_assert_eq(asked, 1);
    rtt_ms = 301;
    cr_assert_eq(distance_of(POLICY_LU_DPF, 3, "lu", PE_HOST), 150);
    rtt_ms = 0; /* not known any more */
    cr_assert_eq(distance_of(POLICY_LU_DPF, 3, "lu", PE_HOST), 0);
    rtt_ms = 200;
    cr_assert_eq(distance_of(POLICY_WRAND_DPF, 3, "wrand", PE_HOST), 100);
    cr_assert_eq(distance_of(POLICY_LUD_DPF, 4, "lud", PE_HOST), 100);
    cr_assert_eq(asked, 5);
}

/* policies:P-35: the step is a setting */
Test(distance, step)
{
    rtt_ms = 37;
    cr_assert_eq(distance_of(POLICY_LU_DPF, 3, "lu", PE_HOST), 0);
    b.set.distance_step_ms = 5;
    reconfigure();
    cr_assert_eq(distance_of(POLICY_LU_DPF, 3, "lu", PE_HOST), 20);
}

/* An element of this host is here, and nobody is asked. */
Test(distance, of_this_host)
{
    struct ip_address address = host_address(PE_HOST);
    rg_assoc_up(b.rg, LOCAL_ASSOC, &address, 1, 5000, b.now);
    rtt_ms = 400;
    cr_assert_eq(distance_of(POLICY_LU_DPF, 3, "lu", LOCAL_ASSOC), 0);
    cr_assert_eq(asked, 0);
}

/* The question costs a system call: other policies, and what is refused, do without. */
Test(distance, is_asked_for_only_where_it_counts)
{
    join("web", 7, PE_HOST);
    struct pool_element *pe = prepare_pe("lu", 8, PE_HOST);
    pe->policy = (struct policy){.type = POLICY_LU, .word_count = 1};
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    pe = prepare_pe("far", 8, OTHER_HOST); /* none of its addresses is the association's */
    pe->policy = (struct policy){.type = POLICY_LU_DPF, .word_count = 3};
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, CAUSE_INVALID_VALUES);
    cr_assert_eq(asked, 0);
}

/* policies:P-36, policies:P-37: of two with equal load the near one is chosen, until it is so
 * loaded that the far one is better. */
Test(distance, decides)
{
    rtt_ms = 200;
    struct pool_element *pe = prepare_pe("lu", 1, PE_HOST);
    pe->policy = (struct policy){
        .type = POLICY_LU_DPF, .word_count = 3, .words = {0x10000000, 0x00200000, 0}};
    say(PE_HOST);
    expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
    for (uint32_t load = 0x10000000; load <= 0x20000000; load += 0x10000000) {
        rtt_ms = 0;
        pe = prepare_pe("lu", 2, PE_HOST);
        pe->policy =
            (struct policy){.type = POLICY_LU_DPF, .word_count = 3, .words = {load, 0x00200000, 0}};
        say(PE_HOST);
        expect_response(PE_HOST, ASAP_REGISTRATION_RESPONSE, 0);
        const struct hs_element *found[2];
        hs_read_begin();
        cr_assert_eq(hs_select(b.hs, pool_handle_of("lu"), 2, NULL, NULL, found), 2);
        /* 100 ms count 0x0c800000 */
        cr_assert_eq(found[0]->pe_id, load == 0x10000000 ? 2 : 1);
        hs_read_end();
    }
}
