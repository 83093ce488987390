/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Registration, refusal, expiry, owners, homes and checksums. */
#include "hs_fixture.h"

#include <string.h>

Test(handlespace, keeps_what_was_registered)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct ip_address user[2] = {{.family = IP_V4, .octets = {10, 0, 0, 1}},
                                 {.family = IP_V6, .octets = {0xfd, 1}}};
    struct ip_address asap[1] = {{.family = IP_V4, .octets = {10, 0, 0, 2}}};
    char handle[] = "EchoPool";
    struct pool_element pe = make_pe(0x12345678, POLICY_RR, 0);
    pe.user.addresses = user;
    pe.user.address_count = 2;
    pe.asap = (struct transport){
        .protocol = TRANSPORT_SCTP, .port = 4711, .address_count = 1, .addresses = asap};
    cr_assert_eq(hs_register(hs, pool_handle_of(handle), &pe, 5000, 9, at_ms(100)), HS_ADDED);
    memset(handle, 'x', 8);
    memset(user, 0, sizeof(user));
    memset(asap, 0, sizeof(asap));
    hs_read_begin();
    const struct hs_element *e = hs_find(hs, pool_handle_of("EchoPool"), 0x12345678);
    cr_assert_not_null(e);
    cr_assert_eq(hs_user(e).address_count, 2);
    cr_assert_eq(hs_user(e).addresses[1].octets[0], 0xfd);
    cr_assert_eq(hs_asap(e).addresses[0].octets[3], 2);
    cr_assert_eq(hs_asap(e).port, 4711);
    cr_assert_eq(hs_expires(e).us, at_ms(5100).us);
    cr_assert_eq(e->registered.us, at_ms(100).us);
    cr_assert_eq(e->owner_ref, 9);
    cr_assert_null(hs_find(hs, pool_handle_of("EchoPool"), 0x12345677));
    cr_assert_null(hs_find(hs, pool_handle_of("EchoPool"), 0x12345679));
    cr_assert_null(hs_find(hs, pool_handle_of("EchoPoo"), 0x12345678));
    struct hs_pool_info info;
    cr_assert(hs_pool(hs, pool_handle_of("EchoPool"), &info));
    cr_assert_eq(info.elements, 1);
    cr_assert_eq(info.policy_type, POLICY_RR);
    cr_assert_eq(info.protocol, TRANSPORT_TCP);
    cr_assert(!hs_pool(hs, pool_handle_of("x"), &info));
    hs_read_end();
    cr_assert_eq(hs_deregister(hs, pool_handle_of("EchoPool"), 1), HS_UNKNOWN);
    cr_assert_eq(hs_deregister(hs, pool_handle_of("Echo"), 0x12345678), HS_UNKNOWN);
    cr_assert_eq(hs_deregister(hs, pool_handle_of("EchoPool"), 0x12345678), HS_REMOVED);
    cr_assert_eq(hs_deregister(hs, pool_handle_of("EchoPool"), 0x12345678), HS_UNKNOWN);
    cr_assert_eq(hs_pool_count(hs), 0);
    cr_assert_eq(hs_element_count(hs), 0);
    close_hs(hs);
}

Test(handlespace, refuses_invalid_values)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    static uint8_t octets[POOL_HANDLE_MAX + 1];
    struct pool_handle longest = {.octets = octets, .len = POOL_HANDLE_MAX};
    struct pool_handle too_long = {.octets = octets, .len = POOL_HANDLE_MAX + 1};
    struct pool_element pe = make_pe(1, POLICY_RR, 0);
    cr_assert_eq(hs_register(hs, pool_handle_of(""), &pe, -1, 0, at_ms(0)), HS_INVALID);
    cr_assert_eq(hs_register(hs, too_long, &pe, -1, 0, at_ms(0)), HS_INVALID);
    cr_assert_eq(hs_register(hs, longest, &pe, -1, 0, at_ms(0)), HS_ADDED);
    cr_assert_eq(add(hs, "p", 0, POLICY_RR, 0), HS_INVALID);
    cr_assert_eq(add(hs, "p", 1, POLICY_NONE, 0), HS_INVALID);
    cr_assert_eq(add(hs, "p", 1, 0x40000000, 0), HS_INVALID);
    cr_assert_eq(add(hs, "p", 1, 0xb0002004, 0), HS_INVALID);
    pe.policy = (struct policy){.type = POLICY_LU, .word_count = 0};
    cr_assert_eq(hs_register(hs, pool_handle_of("p"), &pe, -1, 0, at_ms(0)), HS_INVALID);
    pe = make_pe(1, POLICY_RR, 0);
    pe.user.port = 0;
    cr_assert_eq(hs_register(hs, pool_handle_of("p"), &pe, -1, 0, at_ms(0)), HS_INVALID);
    pe = make_pe(1, POLICY_RR, 0);
    pe.user.address_count = 0;
    cr_assert_eq(hs_register(hs, pool_handle_of("p"), &pe, -1, 0, at_ms(0)), HS_INVALID);
    pe = make_pe(1, POLICY_RR, 0);
    pe.user.protocol = TRANSPORT_NONE;
    cr_assert_eq(hs_register(hs, pool_handle_of("p"), &pe, -1, 0, at_ms(0)), HS_INVALID);
    pe.user = (struct transport){
        .protocol = TRANSPORT_OPAQUE, .opaque = (const uint8_t *)"abc", .opaque_len = 3};
    cr_assert_eq(hs_register(hs, pool_handle_of("o"), &pe, -1, 0, at_ms(0)), HS_ADDED);
    hs_read_begin();
    cr_assert_arr_eq(hs_user(hs_find(hs, pool_handle_of("o"), 1)).opaque, "abc", 3);
    hs_read_end();
    close_hs(hs);
}

static struct ip_address address_of(uint8_t octet)
{
    return (struct ip_address){.family = IP_V4, .octets = {10, 0, 0, octet}};
}

/* Whatever an element brings comes back, also from the copy that gets another home. */
static void expect_kept(struct hs *hs, const struct pool_element *pe)
{
    const struct hs_element *e = hs_find(hs, pool_handle_of("k"), pe->pe_id);
    cr_assert_not_null(e);
    struct transport got[] = {hs_user(e), hs_asap(e)};
    const struct transport *want[] = {&pe->user, &pe->asap};
    struct policy policy = hs_policy(e);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(got[i].protocol, want[i]->protocol);
        cr_assert_eq(got[i].port, want[i]->port);
        cr_assert_eq(got[i].use, want[i]->use);
        cr_assert_eq(got[i].address_count, want[i]->address_count);
        for (int j = 0; j < got[i].address_count; j++) {
            cr_assert(ip_address_equal(&got[i].addresses[j], &want[i]->addresses[j]));
        }
    }
    cr_assert_eq(got[0].service_code, pe->user.service_code);
    cr_assert_eq(got[0].opaque_len, pe->user.opaque_len);
    if (pe->user.opaque_len > 0) {
        cr_assert_arr_eq(got[0].opaque, pe->user.opaque, pe->user.opaque_len);
    }
    cr_assert_eq(policy.type, pe->policy.type);
    cr_assert_eq(policy.word_count, pe->policy.word_count);
    cr_assert_arr_eq(policy.words, pe->policy.words, policy.word_count * sizeof(uint32_t));
}

Test(handlespace, keeps_all_that_comes)
{
    const struct ip_address a[] = {address_of(1), address_of(2), address_of(3)};
    const struct transport users[] = {
        {.protocol = TRANSPORT_DCCP,
         .port = 9,
         .service_code = 7,
         .address_count = 2,
         .addresses = a},
        {.protocol = TRANSPORT_SCTP, .port = 9, .use = 1, .address_count = 1, .addresses = a},
        {.protocol = TRANSPORT_OPAQUE, .opaque = (const uint8_t *)"abc", .opaque_len = 3}};
    for (int i = 0; i < 9; i++) {
        struct hs *hs = open_hs(&NO_LIMITS);
        struct pool_element pe = {.pe_id = 1,
                                  .user = users[i % 3],
                                  .policy = {.type = i < 3 ? POLICY_RR : POLICY_LUD_DPF,
                                             .word_count = i < 3 ? 0 : 4,
                                             .words = {1, 2, 3, 4}},
                                  .asap = {.protocol = TRANSPORT_SCTP, .port = 4711, .use = 1}};
        pe.asap.address_count = i == 8 ? 0 : 2;
        pe.asap.addresses = i < 6 ? a : a + 1; /* for some the user's own */
        cr_assert_eq(hs_register(hs, pool_handle_of("k"), &pe, -1, 5, at_ms(0)), HS_ADDED);
        hs_read_begin();
        expect_kept(hs, &pe);
        cr_assert_eq(hs_set_home(hs, pool_handle_of("k"), 1, 77, 6), HS_UPDATED);
        expect_kept(hs, &pe);
        hs_read_end();
        close_hs(hs);
    }
}

/* What stands beside each other in an element, each as large as it may be. */
Test(handlespace, keeps_the_greatest_values)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct ip_address a[65];
    for (uint8_t i = 0; i < 65; i++) {
        a[i] = (struct ip_address){.family = IP_V6, .octets = {0xfd, i}};
        memset(a[i].octets + 2, 0xff, 14);
    }
    struct pool_element pe = {
        .pe_id = UINT32_MAX,
        .user = {.protocol = TRANSPORT_DCCP,
                 .port = UINT16_MAX,
                 .use = UINT16_MAX,
                 .service_code = UINT32_MAX,
                 .address_count = 64,
                 .addresses = a},
        .asap = {.protocol = TRANSPORT_UDPLITE,
                 .port = UINT16_MAX,
                 .use = UINT16_MAX,
                 .address_count = 64,
                 .addresses = a + 1},
        .policy = {.type = POLICY_LUD_DPF,
                   .word_count = 4,
                   .words = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX}}};
    for (int64_t more = 0; more < 2; more++) {
        int64_t life = HS_LIFE_MAX_MS + more;
        cr_assert_leq(hs_register(hs, pool_handle_of("k"), &pe, life, 5, at_ms(0)), HS_UPDATED);
        hs_read_begin();
        expect_kept(hs, &pe);
        int64_t kept = hs_find(hs, pool_handle_of("k"), UINT32_MAX)->life_ms;
        hs_read_end();
        cr_assert_eq(kept, more == 0 ? HS_LIFE_MAX_MS : -1);
        cr_assert_eq(tm_is_never(hs_next_expiry(hs)), more == 1);
    }
    close_hs(hs);
}

/* policies:P-33, P-34: the pool is as its first element made it. */
Test(handlespace, refuses_what_does_not_fit_the_pool)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct pool_handle p = pool_handle_of("p");
    cr_assert_eq(add(hs, "p", 1, POLICY_LU, 5), HS_ADDED);
    cr_assert_eq(add(hs, "p", 2, POLICY_RR, 0), HS_INCONSISTENT_POLICY);
    cr_assert_eq(add(hs, "p", 1, POLICY_RR, 0), HS_INCONSISTENT_POLICY);
    struct pool_element pe = make_pe(2, POLICY_LU, 0);
    pe.user.protocol = TRANSPORT_UDP;
    cr_assert_eq(hs_register(hs, p, &pe, -1, 0, at_ms(0)), HS_INCONSISTENT_TRANSPORT);
    pe = make_pe(2, POLICY_LU, 0);
    pe.user.use = TRANSPORT_USE_DATA_AND_CONTROL;
    cr_assert_eq(hs_register(hs, p, &pe, -1, 0, at_ms(0)), HS_INCONSISTENT_USE);
    cr_assert_eq(hs_element_count(hs), 1);
    check(hs);
    /* Once all have left, the handle is free for another kind of pool. */
    (void)hs_deregister(hs, p, 1);
    cr_assert_eq(add(hs, "p", 2, POLICY_RR, 0), HS_ADDED);
    close_hs(hs);
}

Test(handlespace, keeps_its_limits)
{
    struct hs *hs = open_hs(&(struct hs_limits){.pools = 2, .elements = 5, .elements_per_pool = 3});
    for (uint32_t i = 1; i <= 3; i++) {
        cr_assert_eq(add(hs, "a", i, POLICY_RR, 0), HS_ADDED);
    }
    cr_assert_eq(add(hs, "a", 4, POLICY_RR, 0), HS_NO_RESOURCES);
    cr_assert_eq(add(hs, "a", 3, POLICY_RR, 0), HS_UPDATED);
    cr_assert_eq(add(hs, "b", 1, POLICY_RR, 0), HS_ADDED);
    cr_assert_eq(add(hs, "c", 1, POLICY_RR, 0), HS_NO_RESOURCES);
    cr_assert_eq(add(hs, "b", 2, POLICY_RR, 0), HS_ADDED);
    cr_assert_eq(add(hs, "b", 3, POLICY_RR, 0), HS_NO_RESOURCES);
    (void)hs_deregister(hs, pool_handle_of("a"), 1);
    cr_assert_eq(add(hs, "b", 3, POLICY_RR, 0), HS_ADDED);
    close_hs(hs);
}

Test(handlespace, expires_in_order)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    struct pool_handle p = pool_handle_of("p");
    struct rnd rnd;
    rnd_seed(&rnd, 7);
    cr_assert(tm_is_never(hs_next_expiry(hs)));
    for (uint32_t i = 1; i <= 500; i++) {
        struct pool_element pe = make_pe(i, POLICY_RR, 0);
        int64_t life = i % 10 == 0 ? -1 : (int64_t)rnd_below(&rnd, 10000);
        cr_assert_eq(hs_register(hs, p, &pe, life, 0, at_ms(0)), HS_ADDED);
    }
    for (uint32_t i = 1; i <= 500; i += 3) {
        struct pool_element pe = make_pe(i, POLICY_RR, 0);
        (void)hs_register(hs, p, &pe, (int64_t)rnd_below(&rnd, 10000), 0, at_ms(500));
    }
    check(hs);
    int64_t last = 0;
    for (;;) {
        struct tm_us next = hs_next_expiry(hs);
        if (tm_is_never(next)) {
            break;
        }
        cr_assert_geq(next.us, last);
        last = next.us;
        hs_read_begin();
        cr_assert_null(hs_due(hs, (struct tm_us){next.us - 1}));
        const struct hs_element *e = hs_due(hs, next);
        cr_assert_not_null(e);
        uint32_t id = e->pe_id;
        hs_read_end();
        cr_assert_eq(hs_deregister(hs, p, id), HS_REMOVED);
    }
    hs_read_begin();
    cr_assert_null(hs_due(hs, (struct tm_us){INT64_MAX - 1}));
    hs_read_end();
    cr_assert_gt(hs_element_count(hs), 0);
    /* A life beyond the end of time is for ever. */
    struct pool_element pe = make_pe(1000, POLICY_RR, 0);
    cr_assert_eq(hs_register(hs, p, &pe, INT64_MAX, 0, at_ms(1)), HS_ADDED);
    cr_assert(tm_is_never(hs_next_expiry(hs)));
    close_hs(hs);
}

static enum hs_result add_owned(struct hs *hs, const char *pool, uint32_t id, uint64_t owner)
{
    struct pool_element pe = make_pe(id, POLICY_RR, 0);
    return hs_register(hs, pool_handle_of(pool), &pe, -1, owner, at_ms(0));
}

Test(handlespace, iterates_owners_under_change)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    for (uint32_t i = 1; i <= 60; i++) {
        cr_assert_eq(add_owned(hs, i % 2 ? "odd" : "even", i, 7), HS_ADDED);
        cr_assert_eq(add_owned(hs, "other", i, 8), HS_ADDED);
    }
    struct hs_cursor cursor = {0};
    uint32_t seen = 0;
    const struct hs_element *e;
    while ((e = hs_owner_next(hs, 7, &cursor)) != NULL) {
        uint32_t id = e->pe_id;
        cr_assert_eq(id, ++seen);
        if (id % 3 == 0) {
            (void)hs_deregister(hs, pool_handle_of(id % 2 ? "odd" : "even"), id);
        } else if (id % 3 == 1) {
            (void)add_owned(hs, id % 2 ? "odd" : "even", id, 7);
        } else {
            (void)hs_set_home(hs, pool_handle_of(id % 2 ? "odd" : "even"), id, 3, 9);
        }
    }
    cr_assert_eq(seen, 60);
    check(hs);
    uint32_t left[3] = {0};
    for (uint64_t owner = 7; owner <= 9; owner++) {
        cursor = (struct hs_cursor){0};
        while (hs_owner_next(hs, owner, &cursor) != NULL) {
            left[owner - 7]++;
        }
    }
    cr_assert_eq(left[0], 20);
    cr_assert_eq(left[1], 60);
    cr_assert_eq(left[2], 20);
    cursor = (struct hs_cursor){0};
    cr_assert_null(hs_owner_next(hs, 0, &cursor));
    cr_assert_null(hs_owner_next(hs, 1, &cursor));
    close_hs(hs);
}

/* What a table of own elements is sent from: removed, changed and moved on the way. */
Test(handlespace, iterates_homes_under_change)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    const uint32_t home = 0xa1b2c3d4;
    for (uint32_t i = 1; i <= 60; i++) {
        cr_assert_eq(add(hs, i % 2 ? "odd" : "even", i, POLICY_RR, 0), HS_ADDED);
    }
    cr_assert_eq(hs_home_count(hs, home), 60);
    struct hs_cursor cursor = {0};
    uint32_t seen = 0;
    const struct hs_element *e;
    while ((e = hs_home_next(hs, home, &cursor)) != NULL) {
        uint32_t id = e->pe_id;
        cr_assert_eq(id, ++seen);
        if (id % 3 == 0) {
            (void)hs_deregister(hs, pool_handle_of(id % 2 ? "odd" : "even"), id);
        } else if (id % 3 == 1) {
            cr_assert_eq(add(hs, id % 2 ? "odd" : "even", id, POLICY_RR, 0), HS_UPDATED);
        } else {
            (void)hs_set_home(hs, pool_handle_of(id % 2 ? "odd" : "even"), id, 3, 9);
        }
        check(hs);
    }
    cr_assert_eq(seen, 60);
    cr_assert_eq(hs_home_count(hs, home), 20);
    cr_assert_eq(hs_home_count(hs, 3), 20);
    cr_assert_eq(hs_home_count(hs, 4), 0);
    cursor = (struct hs_cursor){0};
    cr_assert_null(hs_home_next(hs, 4, &cursor));
    close_hs(hs);
}

/* enrp:E-67, E-71, E-72, parameters:P-25, parameters:P-26: parameters.md §7 */
Test(handlespace, checksum_vectors)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    const uint32_t home = 0xa1b2c3d4;
    hs_read_begin();
    cr_assert_eq(hs_checksum(hs, home), 0xffff);
    (void)add(hs, "EchoPool", 0x12345678, POLICY_RR, 0);
    cr_assert_eq(hs_checksum(hs, home), 0x29a5);
    (void)add(hs, "Pool1", 0x0a0b0c0d, POLICY_RR, 0);
    cr_assert_eq(hs_checksum(hs, home), 0x22b1);
    (void)hs_deregister(hs, pool_handle_of("EchoPool"), 0x12345678);
    cr_assert_eq(hs_checksum(hs, home), 0xf90b);
    (void)hs_set_home(hs, pool_handle_of("Pool1"), 0x0a0b0c0d, 5, 0);
    cr_assert_eq(hs_checksum(hs, home), 0xffff);
    cr_assert_eq(hs_checksum(hs, 5), 0xf90b);
    cr_assert_eq(hs_set_home(hs, pool_handle_of("Pool1"), 1, 5, 0), HS_UNKNOWN);
    cr_assert_eq(hs_set_home(hs, pool_handle_of("Pool"), 1, 5, 0), HS_UNKNOWN);
    hs_read_end();
    close_hs(hs);
}

Test(handlespace, cursors_survive_changes)
{
    struct hs *hs = open_hs(&NO_LIMITS);
    const char *names[] = {"poolpool-b", "poolpool-a", "poolpool", "z", "poolpool-c", "a"};
    const char *sorted[] = {"a", "poolpool", "poolpool-a", "poolpool-b", "poolpool-c", "z"};
    for (uint32_t i = 0; i < 6; i++) {
        for (uint32_t id = 50; id > 0; id--) {
            (void)add(hs, names[i], id, POLICY_RR, 0);
        }
    }
    struct hs_cursor cursor = {0};
    struct hs_pool_info info;
    hs_read_begin();
    for (int i = 0; i < 6; i++) {
        cr_assert(hs_pool_next(hs, &cursor, &info));
        cr_assert(pool_handle_equal(info.handle, pool_handle_of(sorted[i])));
    }
    cr_assert(!hs_pool_next(hs, &cursor, &info));

    cursor = (struct hs_cursor){0};
    uint32_t n = 0;
    const struct hs_element *e;
    while ((e = hs_element_next(hs, &cursor)) != NULL) {
        cr_assert_eq(e->pe_id, n % 50 + 1);
        cr_assert(pool_handle_equal(*e->handle, pool_handle_of(sorted[n / 50])));
        n++;
        char name[32] = {0};
        memcpy(name, e->handle->octets, e->handle->len);
        if (n % 2 == 0) {
            (void)hs_deregister(hs, pool_handle_of(name), n % 50 == 0 ? 50 : n % 50);
        }
        if (n == 50) {
            /* What lies behind goes, what is new there is not seen. */
            for (uint32_t id = 1; id <= 50; id++) {
                (void)hs_deregister(hs, pool_handle_of("a"), id);
            }
            (void)add(hs, "A", 1, POLICY_RR, 0);
        }
    }
    cr_assert_eq(n, 300);
    cursor = (struct hs_cursor){0};
    n = 0;
    while ((e = hs_pool_element_next(hs, pool_handle_of("z"), &cursor)) != NULL) {
        cr_assert_eq(e->pe_id, 2 * n++ + 1);
    }
    cr_assert_eq(n, 25);
    cr_assert_null(hs_pool_element_next(hs, pool_handle_of("none"), &cursor));
    hs_read_end();
    close_hs(hs);
}
