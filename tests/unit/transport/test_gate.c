/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport/gate.h"

#include <criterion/criterion.h>

static const struct tm_us START = {5000000};

static unsigned passed(struct gate_hosts *gate, struct ip_address host, struct tm_us now)
{
    unsigned n = 0;
    for (int i = 0; i < 1000; i++) {
        n += gate_hosts(gate, &host, 100, now);
    }
    return n;
}

Test(gate, so_often_a_second)
{
    struct gate_count gate = {.passed = 0};
    for (unsigned second = 0; second < 3; second++) {
        unsigned n = 0;
        for (unsigned i = 0; i < 1000; i++) {
            n += gate_count(&gate, 7, tm_add_ms(START, 1000 * second + i));
        }
        cr_assert_eq(n, 7);
    }
}

Test(gate, each_host_for_itself)
{
    static struct gate_hosts gate = {.key = 42};
    struct ip_address a = {IP_V4, {10, 0, 0, 1}};
    struct ip_address mapped = {IP_V6, {[10] = 0xff, 0xff, 10, 0, 0, 1}};
    struct ip_address b = {IP_V4, {10, 0, 0, 2}};
    struct ip_address net = {IP_V6, {0xfd, 1, 2, 3, 4, 5, 6, 7, 8}};
    struct ip_address same_net = {IP_V6, {0xfd, 1, 2, 3, 4, 5, 6, 7, 9}};
    struct ip_address lo = {IP_V4, {127, 0, 0, 1}};
    cr_assert_eq(passed(&gate, a, START), 100);
    cr_assert_eq(passed(&gate, mapped, START), 0, "the same host");
    cr_assert_eq(passed(&gate, b, START), 100);
    cr_assert_eq(passed(&gate, net, START), 100);
    cr_assert_eq(passed(&gate, same_net, START), 0);
    cr_assert_eq(passed(&gate, lo, START), 1000);
    cr_assert_eq(passed(&gate, a, tm_add_ms(START, 1000)), 100);
}
