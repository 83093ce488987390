/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who may join (issue A). */
#include "rspd/local/authority.h"

#include <criterion/criterion.h>
#include <string.h>

static struct authority *a;
static char why[AUTHORITY_WHY_MAX];

static void setup(void)
{
    cr_assert_eq(authority_new(&a), 0);
}

static void teardown(void)
{
    authority_free(a);
}

TestSuite(authority, .init = setup, .fini = teardown);

static bool may(enum authority_act act, const char *handle, uint32_t uid, uint32_t pe_uid)
{
    struct authority_subject who = {.uid = uid, .gid = uid};
    why[0] = '\0';
    bool ok = authority_allows(a, act, pool_handle_of(handle), &who, pe_uid, why, sizeof(why));
    cr_assert_eq(ok, why[0] == '\0', "%s", why);
    return ok;
}

Test(authority, creator_and_root_by_default)
{
    cr_assert(may(AUTHORITY_REGISTER, "web", 1000, 0));
    cr_assert_eq(authority_join(a, pool_handle_of("web"), 1000), 0);
    cr_assert(may(AUTHORITY_REGISTER, "web", 1000, 0));
    cr_assert(may(AUTHORITY_REGISTER, "web", 0, 0));
    cr_assert_not(may(AUTHORITY_REGISTER, "web", 1001, 0));
    cr_assert_not_null(strstr(why, "belongs to uid 1000"));
    cr_assert_not_null(strstr(why, "web"));
    cr_assert(may(AUTHORITY_REGISTER, "web2", 1001, 0));
    cr_assert(may(AUTHORITY_RESOLVE, "web", 1001, 0));
    cr_assert(may(AUTHORITY_REPORT, "web", 1001, 0));
}

Test(authority, only_the_owner_deregisters_or_drains)
{
    cr_assert_eq(authority_join(a, pool_handle_of("web"), 1000), 0);
    enum authority_act acts[] = {AUTHORITY_DEREGISTER, AUTHORITY_DRAIN};
    for (size_t i = 0; i < 2; i++) {
        cr_assert(may(acts[i], "web", 1002, 1002));
        cr_assert(may(acts[i], "web", 1000, 1002));
        cr_assert(may(acts[i], "web", 0, 1002));
        cr_assert_not(may(acts[i], "web", 1001, 1002));
        cr_assert_not_null(strstr(why, "belongs to uid 1002"));
    }
}

Test(authority, ownership_ends_with_the_last_member)
{
    uint32_t uid = 7;
    struct pool_handle web = pool_handle_of("web");
    cr_assert_eq(authority_join(a, web, 1000), 0);
    cr_assert_eq(authority_join(a, web, 0), 0);
    authority_leave(a, web);
    cr_assert(authority_owner(a, web, &uid));
    cr_assert_eq(uid, 1000);
    authority_leave(a, web);
    cr_assert_not(authority_owner(a, web, &uid));
    cr_assert(may(AUTHORITY_REGISTER, "web", 1001, 0));
    authority_leave(a, web);
}

Test(authority, settings_name_users_and_groups)
{
    struct authority_rule rules[] = {
        {.pattern = "web*",
         .may_register = {.uid_count = 1, .uids = {1001}, .gid_count = 1, .gids = {50}}},
        {.pattern = "secret", .may_resolve = {.uid_count = 1, .uids = {1001}}},
    };
    cr_assert_eq(authority_set_rules(a, rules, 2), 0);
    cr_assert_eq(authority_join(a, pool_handle_of("web"), 1000), 0);
    cr_assert(may(AUTHORITY_REGISTER, "web", 1001, 0));
    cr_assert_not(may(AUTHORITY_REGISTER, "web", 1000, 0));
    cr_assert_not_null(strstr(why, "RegisterUsers"));
    uint32_t groups[] = {7, 50};
    struct authority_subject who = {.uid = 9, .gid = 9, .groups = groups, .group_count = 2};
    cr_assert(authority_allows(a, AUTHORITY_REGISTER, pool_handle_of("web-tls"), &who, 0, NULL, 0));
    who.group_count = 1;
    cr_assert_not(
        authority_allows(a, AUTHORITY_REGISTER, pool_handle_of("web-tls"), &who, 0, NULL, 0));
    cr_assert(may(AUTHORITY_RESOLVE, "secret", 1001, 0));
    cr_assert_not(may(AUTHORITY_RESOLVE, "secret", 1002, 0));
    cr_assert_not_null(strstr(why, "ResolveUsers"));
    cr_assert(may(AUTHORITY_RESOLVE, "secret", 0, 0));
    cr_assert_eq(authority_set_rules(a, NULL, 0), 0);
    cr_assert(may(AUTHORITY_RESOLVE, "secret", 1002, 0));
    cr_assert(may(AUTHORITY_REGISTER, "web", 1000, 0));
}

Test(authority, handles_with_odd_octets)
{
    struct authority_rule rules[] = {
        {.pattern = "a", .may_register = {.uid_count = 1, .uids = {1}}},
        {.pattern = "*", .may_register = {.uid_count = 1, .uids = {2}}},
    };
    cr_assert_eq(authority_set_rules(a, rules, 2), 0);
    struct authority_subject who = {.uid = 1, .gid = 1};
    struct pool_handle odd = {.octets = (const uint8_t *)"a\0b", .len = 3};
    cr_assert_not(authority_allows(a, AUTHORITY_REGISTER, odd, &who, 0, why, sizeof(why)));
    cr_assert_not_null(strstr(why, "a\\x00b"));
    who.uid = 2;
    cr_assert(authority_allows(a, AUTHORITY_REGISTER, odd, &who, 0, why, sizeof(why)));
}
