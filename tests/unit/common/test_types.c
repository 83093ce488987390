/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/types.h"

#include <criterion/criterion.h>
#include <errno.h>

static void round_trip(const char *in, const char *out)
{
    struct ip_address a;
    char text[IP_ADDRESS_TEXT_MAX];
    cr_assert_eq(ip_address_parse(in, &a), 0, "%s", in);
    cr_assert_str_eq(ip_address_format(&a, text, sizeof(text)), out);
}

Test(ip_address, text_round_trips)
{
    round_trip("10.255.254.1", "10.255.254.1");
    round_trip("::", "::");
    round_trip("::1", "::1");
    round_trip("fd52:5350:0:a1::7", "fd52:5350:0:a1::7");
    round_trip("2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1");
    round_trip("2001:db8::", "2001:db8::");
    round_trip("1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8");
    round_trip("::ffff:127.42.0.1", "::ffff:7f2a:1");
}

Test(ip_address, bad_text_is_refused)
{
    const char *bad[] = {"",    "1.2.3",   "1.2.3.4.5", "256.1.1.1", "1..2.3", ":::",
                         ":1",  "1:",      "1::2::3",   "12345::",   "g::",    "1:2:3:4:5:6:7:8:9",
                         "::%", "1.2.3.4 "};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct ip_address a;
        cr_assert_eq(ip_address_parse(bad[i], &a), -EINVAL, "%s", bad[i]);
    }
}

Test(ip_address, mapped_becomes_v4)
{
    struct ip_address mapped;
    struct ip_address v4;
    ip_address_parse("::ffff:127.42.0.1", &mapped);
    ip_address_parse("127.42.0.1", &v4);
    mapped = ip_address_unmap(mapped);
    cr_assert(ip_address_equal(&mapped, &v4));
}

Test(ip_address, scope_ranks_as_transport_7_2)
{
    struct {
        const char *text;
        enum ip_scope scope;
    } rows[] = {
        {"0.0.0.0", IP_SCOPE_UNSPECIFIED},        {"::", IP_SCOPE_UNSPECIFIED},
        {"127.0.0.1", IP_SCOPE_LOOPBACK},         {"::1", IP_SCOPE_LOOPBACK},
        {"169.254.3.4", IP_SCOPE_LINK_LOCAL},     {"fe80::1", IP_SCOPE_LINK_LOCAL},
        {"10.1.2.3", IP_SCOPE_SITE_LOCAL},        {"172.31.0.1", IP_SCOPE_SITE_LOCAL},
        {"172.32.0.1", IP_SCOPE_GLOBAL},          {"192.168.9.9", IP_SCOPE_SITE_LOCAL},
        {"fec0::1", IP_SCOPE_SITE_LOCAL},         {"fd00::1", IP_SCOPE_GLOBAL},
        {"239.0.0.50", IP_SCOPE_MULTICAST},       {"ff05::133", IP_SCOPE_MULTICAST},
        {"::ffff:10.0.0.1", IP_SCOPE_SITE_LOCAL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct ip_address a;
        ip_address_parse(rows[i].text, &a);
        cr_assert_eq(ip_address_scope(&a), rows[i].scope, "%s", rows[i].text);
    }
}

Test(pool_handle, format_escapes_and_cuts)
{
    char text[20];
    struct pool_handle h = {.octets = (const uint8_t *)"a\0b\\", .len = 4};
    cr_assert_str_eq(pool_handle_format(h, text, sizeof(text)), "a\\x00b\\x5c");
    cr_assert_str_eq(pool_handle_format(pool_handle_of("0123456789abcdefghij"), text, 12),
                     "01234567...");
}

Test(pool_handle, equality_is_by_octets)
{
    cr_assert(pool_handle_equal(pool_handle_of("web"), pool_handle_of("web")));
    cr_assert_not(pool_handle_equal(pool_handle_of("web"), pool_handle_of("Web")));
    cr_assert_not(pool_handle_equal(pool_handle_of("web"), pool_handle_of("web2")));
}

Test(pool_handle, the_shorter_comes_first)
{
    const struct pool_handle order[] = {{0},
                                        {.octets = (const uint8_t *)"", .len = 0},
                                        pool_handle_of("b"),
                                        pool_handle_of("aa"),
                                        pool_handle_of("ab")};
    for (size_t i = 0; i < 5; i++) {
        for (size_t j = 0; j < 5; j++) {
            int sign = pool_handle_compare(&order[i], &order[j]);
            bool equal = pool_handle_equal(order[i], order[j]);
            cr_assert_eq(sign == 0, equal, "%zu, %zu", i, j);
            cr_assert(equal || (sign < 0) == (i < j), "%zu, %zu", i, j);
        }
    }
}
