/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Program rules. */
#include "rspd/local/rules.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static struct rules *rules;
static char error[160];

static void setup(void)
{
    cr_assert_eq(rules_new(&rules), 0);
}

static void teardown(void)
{
    rules_free(rules);
}

TestSuite(rules, .init = setup, .fini = teardown);

static struct rule make(const char *exe, const char *handle, uint16_t port)
{
    struct rule r = {.port = port, .capacity = 10};
    (void)snprintf(r.exe, sizeof(r.exe), "%s", exe);
    r.handle_len = (uint16_t)strlen(handle);
    memcpy(r.handle, handle, r.handle_len);
    return r;
}

static int add(const char *exe, const char *handle, uint16_t port)
{
    struct rule r = make(exe, handle, port);
    return rules_add(rules, &r, error, sizeof(error));
}

Test(rules, exact_paths_win_over_patterns)
{
    const struct rule *found[8];
    cr_assert_eq(add("/opt/*/serverd", "opt", 0), 0);
    cr_assert_eq(add("/opt/a/serverd", "a", 80), 0);
    cr_assert_eq(add("/opt/a/serverd", "a-tls", 443), 0);
    cr_assert_eq(add("/opt/*", "any", 0), 0);
    cr_assert_eq(rules_find(rules, "/opt/a/serverd", found, 8), 2);
    cr_assert(pool_handle_equal(rule_handle(found[1]), pool_handle_of("a-tls")));
    cr_assert_eq(rules_find(rules, "/opt/b/serverd", found, 8), 1);
    cr_assert(pool_handle_equal(rule_handle(found[0]), pool_handle_of("opt")));
    cr_assert_eq(rules_find(rules, "/opt/b/c/serverd", found, 8), 0);
    cr_assert_eq(rules_find(rules, "/opt/a/serverd", found, 1), 1);
    rules_clear(rules);
    cr_assert_eq(rules_find(rules, "/opt/a/serverd", found, 8), 0);
}

Test(rules, bind_lists)
{
    const struct rule *found[8];
    struct rule base = make("/usr/sbin/nginx", "web", 0);
    cr_assert_eq(rules_add_bind(rules, &base, "8080,8443=web-tls,udp:53=dns", error, sizeof(error)),
                 0);
    cr_assert_eq(rules_find(rules, "/usr/sbin/nginx", found, 8), 3);
    cr_assert_eq(found[0]->port, 8080);
    cr_assert(pool_handle_equal(rule_handle(found[0]), pool_handle_of("web")));
    cr_assert(pool_handle_equal(rule_handle(found[1]), pool_handle_of("web-tls")));
    cr_assert_eq(found[2]->protocol, TRANSPORT_UDP);
    cr_assert_eq(found[2]->capacity, 10);
    cr_assert_eq(rules_add_bind(rules, &base, "1=a,nonsense", error, sizeof(error)), -EINVAL);
    cr_assert_not_null(strstr(error, "nonsense"));
    base.handle_len = 0;
    cr_assert_eq(rules_add_bind(rules, &base, "1=a,2", error, sizeof(error)), -EINVAL);
    cr_assert_eq(rules_find(rules, "/usr/sbin/nginx", found, 8), 3);
}

Test(rules, refused_with_a_reason)
{
    cr_assert_eq(add("nginx", "web", 0), -EINVAL);
    cr_assert_not_null(strstr(error, "absolute"));
    cr_assert_eq(add("/nginx", "", 0), -EINVAL);
    cr_assert_not_null(strstr(error, "pool"));
    for (int i = 0; i < RULES_MAX; i++) {
        cr_assert_eq(add("/x", "y", 0), 0);
    }
    cr_assert_eq(add("/x", "y", 0), -ENOSPC);
}
