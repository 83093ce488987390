/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* $RSP_BIND (issue A, "Pool elements"). */
#include "common/bindmap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static const struct pool_handle none = {.octets = NULL, .len = 0};

static void joins(const char *text, enum transport_protocol protocol, uint16_t port,
                  const char *fallback, const char *pool)
{
    struct pool_handle got = none;
    struct pool_handle other = fallback != NULL ? pool_handle_of(fallback) : none;
    bool found = bindmap_lookup(text, protocol, port, other, &got);
    cr_assert_eq(found, pool != NULL, "%s %u", text, port);
    if (pool != NULL) {
        cr_assert(pool_handle_equal(got, pool_handle_of(pool)), "%s %u", text, port);
    }
}

Test(bindmap, ports_choose_pools)
{
    const char *text = " 8080=web, 8443 = web-tls ,udp:53=dns,,9000";
    cr_assert_eq(bindmap_check(text, NULL, 0), 0);
    joins(text, TRANSPORT_TCP, 8080, NULL, "web");
    joins(text, TRANSPORT_TCP, 8443, NULL, "web-tls");
    joins(text, TRANSPORT_SCTP, 8080, NULL, "web");
    joins(text, TRANSPORT_UDP, 8080, "x", NULL);
    joins(text, TRANSPORT_UDP, 53, NULL, "dns");
    joins(text, TRANSPORT_TCP, 53, "x", NULL);
    joins(text, TRANSPORT_TCP, 9000, "x", "x");
    joins(text, TRANSPORT_TCP, 9000, NULL, NULL);
    joins(text, TRANSPORT_TCP, 9001, "x", NULL);
}

Test(bindmap, all_and_first_match)
{
    joins("80=a,all=b", TRANSPORT_TCP, 80, NULL, "a");
    joins("80=a,all=b", TRANSPORT_TCP, 81, NULL, "b");
    joins("all", TRANSPORT_TCP, 81, "web", "web");
    joins("all", TRANSPORT_UDP, 81, "web", NULL);
    joins("udp:all", TRANSPORT_UDP, 81, "web", "web");
    joins("80=a=b", TRANSPORT_TCP, 80, NULL, "a=b");
    joins("", TRANSPORT_TCP, 80, "web", NULL);
    joins(NULL, TRANSPORT_TCP, 80, "web", NULL);
}

Test(bindmap, defects_are_named_and_skipped)
{
    const char *bad[] = {"0=web",    "65536=web",          "80=",      "=web",
                         "http=web", "tcp80=web",          "icmp:1=a", "8 0=web",
                         "-1=web",   "99999999999999=web", ":80=web"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char error[128] = "";
        cr_assert_eq(bindmap_check(bad[i], error, sizeof(error)), -EINVAL, "%s", bad[i]);
        cr_assert_not_null(strstr(error, bad[i]), "%s", error);
        joins(bad[i], TRANSPORT_TCP, 80, "x", NULL);
    }
    joins("nonsense,80=web", TRANSPORT_TCP, 80, NULL, "web");
}
