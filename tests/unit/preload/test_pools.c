/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/pools.h"

#include <criterion/criterion.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static bool learn(const char *handle, uint8_t number, const char *asked, struct pre_pool_info *ret)
{
    static uint8_t octets[512];
    char name[64];
    struct lp_writer w;
    struct lp_message msg;
    uint8_t cookie[4] = {127, 42, 0, number};
    (void)snprintf(name, sizeof(name), "%s.pool.alt", handle);
    lp_begin(&w, octets, sizeof(octets), LP_NAME_REPLY, 1);
    lp_put_octets(&w, LP_T_HANDLE, handle, strlen(handle));
    lp_put_octets(&w, LP_T_COOKIE4, cookie, sizeof(cookie));
    lp_put_str(&w, LP_T_NAME, name);
    cr_assert_eq(lp_parse(octets, (size_t)lp_finish(&w), &msg), 0);
    return pre_pool_learn(&msg, asked, 1000, ret);
}

Test(pools, found_by_name_cookie_and_handle)
{
    struct pre_pool_info info;
    struct pre_pool_info again;
    cr_assert_not(pre_pool_by_name("web.pool.alt", &info));
    cr_assert(learn("web", 7, "Web.Other.Suffix", &info));
    cr_assert_str_eq(info.cookie_text4, "127.42.0.7");
    cr_assert(pre_pool_by_name("WEB.pool.alt.", &again) && again.index == info.index);
    cr_assert(pre_pool_by_name("web.other.suffix", &again) && again.index == info.index);
    cr_assert_not(pre_pool_by_name("web.pool.alt.x", &again));
    struct ip_address cookie = {.family = IP_V4, .octets = {127, 42, 0, 7}};
    cr_assert(pre_pool_by_cookie(&cookie, &again) && again.index == info.index);
    cr_assert_eq(pre_pool_by_handle(pool_handle_of("web")), info.index);
    cr_assert(pool_handle_equal(pre_pool_handle_ref(info.index), pool_handle_of("web")));
    cr_assert_eq(pre_pool_handle_ref(PRE_POOL_NONE).len, 0);
}

#define TIMES 20000

static void *learn_again(void *arg)
{
    struct pre_pool_info info;
    for (int i = 0; i < TIMES; i++) {
        (void)learn("many", 250, "many.pool.alt", &info);
        atomic_store((atomic_int *)arg, i + 1);
    }
    return NULL;
}

/* Threads that ask for a name at once each learn it, while others hand its cookie to the C library.
 */
Test(pools, text_of_a_cookie_stays_whole_while_it_is_learnt_again)
{
    atomic_int learnt = 0;
    struct pre_pool_info info;
    pthread_t thread;
    cr_assert(learn("many", 250, "many.pool.alt", &info));
    cr_assert_eq(pthread_create(&thread, NULL, learn_again, &learnt), 0);
    int broken = 0;
    while (atomic_load(&learnt) < TIMES) {
        broken += strcmp(info.cookie_text4, "127.42.0.250") != 0;
    }
    cr_assert_eq(pthread_join(thread, NULL), 0);
    cr_assert_eq(broken, 0);
}

Test(pools, the_table_is_bounded)
{
    char handle[32];
    unsigned refused = 0;
    for (int i = 0; i < PRE_POOLS_MAX + 10; i++) {
        (void)snprintf(handle, sizeof(handle), "pool-%d", i);
        refused += pre_pool_by_handle(pool_handle_of(handle)) == PRE_POOL_NONE;
    }
    cr_assert_eq(refused, 10);
    cr_assert_eq(pre_pool_by_handle((struct pool_handle){0}), PRE_POOL_NONE);
}

Test(pools, last_answers)
{
    struct pre_pool_info info;
    struct lp_pe pe = {.protocol = TRANSPORT_TCP, .port = 80, .address_count = 1};
    struct lp_pe got;
    cr_assert(learn("web", 7, NULL, &info));
    for (uint32_t id = 1; id <= 6; id++) {
        pe.pe_id = id;
        pre_pool_answered(info.index, &pe, 1000 + id);
    }
    cr_assert(pre_pool_last(info.index, 2000, 30000, NULL, 0, 0, TRANSPORT_TCP, false, &got));
    cr_assert_eq(got.pe_id, 6, "the newest");
    uint32_t avoid[] = {6, 5};
    cr_assert(pre_pool_last(info.index, 2000, 30000, avoid, 2, 0, TRANSPORT_TCP, false, &got));
    cr_assert_eq(got.pe_id, 4);
    cr_assert_not(pre_pool_last(info.index, 2000, 30000, NULL, 0, 1, TRANSPORT_TCP, false, &got),
                  "only the last four are kept");
    cr_assert(pre_pool_last(info.index, 2000, 30000, NULL, 0, 3, TRANSPORT_TCP, false, &got));
    cr_assert_not(pre_pool_last(info.index, 2000, 30000, NULL, 0, 0, TRANSPORT_UDP, false, &got));
    cr_assert_not(pre_pool_last(info.index, 40000, 30000, NULL, 0, 0, TRANSPORT_TCP, false, &got));
    pre_pool_failed(info.index, 6);
    cr_assert(pre_pool_last(info.index, 2000, 30000, NULL, 0, 0, TRANSPORT_TCP, false, &got));
    cr_assert_eq(got.pe_id, 5);
}

/* A daemon without CPU time may leave the first question of a process unanswered: then the elements
 * that came with the name do, but not for stickiness, which keeps what the policy chose. */
Test(pools, elements_that_came_with_the_name)
{
    struct pre_pool_info info;
    struct lp_pe got;
    uint8_t octets[1024];
    struct lp_writer w;
    struct lp_message reply;
    const struct ip_address v4 = {.family = IP_V4, .octets = {10, 0, 0, 1}};
    lp_begin(&w, octets, sizeof(octets), LP_NAME_REPLY, 1);
    lp_put_handle(&w, pool_handle_of("web"));
    size_t mark = lp_nest(&w, LP_T_PE);
    lp_put_u32(&w, LP_T_PE_ID, 7);
    lp_put_u32(&w, LP_T_PROTOCOL, TRANSPORT_TCP);
    lp_put_u32(&w, LP_T_PORT, 80);
    lp_put_address(&w, LP_T_ADDRESS, &v4);
    lp_unnest(&w, mark);
    int len = lp_finish(&w);
    cr_assert_eq(lp_parse(octets, (size_t)len, &reply), 0);
    cr_assert(pre_pool_learn(&reply, NULL, 1000, &info));
    cr_assert_not(pre_pool_last(info.index, 1001, 30000, NULL, 0, 0, TRANSPORT_TCP, true, &got));
    cr_assert(pre_pool_last(info.index, 1001, 30000, NULL, 0, 0, TRANSPORT_TCP, false, &got));
    cr_assert_eq(got.pe_id, 7);
    cr_assert_eq(got.port, 80);
    struct lp_pe chosen = {.pe_id = 8, .protocol = TRANSPORT_TCP, .port = 81, .address_count = 1};
    pre_pool_answered(info.index, &chosen, 900);
    cr_assert(pre_pool_last(info.index, 1001, 30000, NULL, 0, 0, TRANSPORT_TCP, false, &got));
    cr_assert_eq(got.pe_id, 8, "older, but the policy's");
    pre_pool_answered(info.index, &(struct lp_pe){.pe_id = 7, .protocol = TRANSPORT_TCP}, 1002);
    cr_assert(pre_pool_learn(&reply, NULL, 1003, &info));
    cr_assert(pre_pool_last(info.index, 1004, 30000, NULL, 0, 7, TRANSPORT_TCP, true, &got),
              "a name does not take away that the policy chose it");
}
