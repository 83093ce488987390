/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/config.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static bool is_cookie(const char *text)
{
    struct ip_address a;
    cr_assert_eq(ip_address_parse(text, &a), 0);
    return pre_is_cookie(&a);
}

/* L-20. */
Test(config, suffix)
{
    cr_assert(pre_is_pool_name("web.pool.alt"));
    cr_assert(pre_is_pool_name("a.b.POOL.Alt."));
    const char *others[] = {"xpool.alt", "pool.alt", "web.pool.alt.example", "web", ""};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        cr_assert_not(pre_is_pool_name(others[i]), "%s", others[i]);
    }
}

Test(config, environment_is_copied)
{
    (void)setenv("RSP_POOL", "web", 1);
    (void)setenv("RSP_CAPACITY", "40", 1);
    (void)setenv("RSP_STICKY", "3", 1);
    (void)setenv("RSP_POLICY", "no such policy", 1);
    (void)setenv("RSP_PROTO", "udp", 1);
    const struct pre_config *c = pre_config();
    (void)setenv("RSP_POOL", "other", 1);
    cr_assert_str_eq(pre_config()->pool, "web");
    cr_assert(c->capacity == 40 && c->sticky_ms == 3000 && c->server);
    cr_assert(c->policy.type == POLICY_NONE && c->protocol == TRANSPORT_UDP);
}

Test(config, slow_start_of_the_policy)
{
    (void)setenv("RSP_POLICY", "lu:slow-start=10s", 1);
    cr_assert(pre_config()->slow_start_ms == 10000 && pre_config()->policy.type == POLICY_LU);
}

Test(config, slow_start_by_itself)
{
    (void)setenv("RSP_POLICY", "lu:slow-start=10s", 1);
    (void)setenv("RSP_SLOW_START_MS", "500", 1);
    cr_assert_eq(pre_config()->slow_start_ms, 500);
}

/* L-52: what the daemon says is checked. */
Test(config, hello_ok)
{
    static uint8_t octets[4096];
    struct lp_writer w;
    struct lp_message msg;
    struct pre_rule rule;
    uint8_t net4[5] = {127, 99, 7, 7, 16};
    uint8_t net6[17] = {0xfd, 0x01, [16] = 48};
    uint8_t absurd[5] = {0, 0, 0, 0, 0};
    cr_assert_not(pre_config_learnt());
    cr_assert(is_cookie("127.42.0.1") && is_cookie("127.43.0.1") && !is_cookie("127.99.1.1"));
    lp_begin(&w, octets, sizeof(octets), LP_HELLO_OK, 1);
    lp_put_str(&w, LP_T_SUFFIX, ".pool.alt");
    lp_put_str(&w, LP_T_SUFFIX, ".svc");
    lp_put_str(&w, LP_T_SUFFIX, "..");
    lp_put_octets(&w, LP_T_COOKIE4_NET, net4, sizeof(net4));
    lp_put_octets(&w, LP_T_COOKIE4_NET, absurd, sizeof(absurd));
    lp_put_octets(&w, LP_T_COOKIE6_NET, net6, sizeof(net6));
    lp_put_u32(&w, LP_T_REFUSAL_WAIT_US, 500);
    for (int i = 0; i < PRE_RULES_MAX + 3; i++) {
        size_t mark = lp_nest(&w, LP_T_RULE);
        lp_put_octets(&w, LP_T_HANDLE, "ruled", 5);
        lp_put_u32(&w, LP_T_PORT, 1000 + (uint32_t)i);
        lp_unnest(&w, mark);
    }
    cr_assert_eq(lp_parse(octets, (size_t)lp_finish(&w), &msg), 0);
    pre_config_learn(&msg, -1);
    cr_assert(pre_config_learnt());
    cr_assert(is_cookie("127.99.1.1") && !is_cookie("127.42.0.1"));
    cr_assert(is_cookie("fd01::5") && !is_cookie("fd52:5350:0:a1::1"));
    cr_assert(pre_is_pool_name("a.svc") && pre_is_pool_name("a.pool.alt"));
    cr_assert_not(pre_is_pool_name("a.example"));
    cr_assert_eq(pre_refusal_wait_us(), 500);
    cr_assert(pre_daemon_rule(0, &rule) && rule.port == 1000 && rule.handle_len == 5);
    cr_assert_not(pre_daemon_rule(PRE_RULES_MAX, &rule));
    pre_hint(5); /* no page: nothing happens */
}
