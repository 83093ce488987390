/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Cookie addresses (preload-notes §5.2). */
#include "rspd/local/cookies.h"

#include "local_test.h"

#include <errno.h>
#include <string.h>

static struct cookies_settings settings;
static char path[128];

static void setup(void)
{
    cookies_settings_default(true, &settings);
    (void)snprintf(path, sizeof(path), "%s/cookies", test_dir_make());
}

TestSuite(cookies, .init = setup, .fini = test_dir_remove, .timeout = 20);

static struct cookies *open_table(const char *at)
{
    struct cookies *c;
    cr_assert_eq(cookies_new(&settings, at, &c), 0);
    return c;
}

static struct cookie get(struct cookies *c, const char *handle)
{
    struct cookie cookie;
    cr_assert_eq(cookies_get(c, pool_handle_of(handle), 0, &cookie), 0);
    return cookie;
}

Test(cookies, both_ways_and_mapped)
{
    struct cookies *c = open_table(NULL);
    struct cookie web;
    cr_assert_not(cookies_find(c, pool_handle_of("web"), &web));
    web = get(c, "web");
    cr_assert_eq(get(c, "web").index, web.index);
    char text[IP_ADDRESS_TEXT_MAX];
    cr_assert_eq(strncmp(ip_address_format(&web.v4, text, sizeof(text)), "127.42.", 7), 0);
    cr_assert_eq(strncmp(ip_address_format(&web.v6, text, sizeof(text)), "fd52:5350:0:a1:", 15), 0);
    struct pool_handle h;
    cr_assert(cookies_handle(c, &web.v4, &h) && pool_handle_equal(h, pool_handle_of("web")));
    cr_assert(cookies_handle(c, &web.v6, &h) && pool_handle_equal(h, pool_handle_of("web")));
    struct ip_address mapped = {.family = IP_V6, .octets = {[10] = 0xff, [11] = 0xff}};
    memcpy(mapped.octets + 12, web.v4.octets, 4);
    cr_assert(cookies_covers(c, &mapped));
    cr_assert(cookies_handle(c, &mapped, &h) && pool_handle_equal(h, pool_handle_of("web")));
    struct ip_address wide = web.v6;
    wide.octets[9] = 1; /* in the /64, but not a cookie */
    cr_assert(cookies_covers(c, &wide));
    cr_assert_not(cookies_handle(c, &wide, &h));
    struct ip_address other;
    (void)ip_address_parse("127.43.0.1", &other);
    cr_assert_not(cookies_covers(c, &other));
    (void)ip_address_parse("fd52:5350:0:a2::1", &other);
    cr_assert_not(cookies_covers(c, &other));
    cookies_free(c);
}

Test(cookies, the_same_everywhere_and_after_a_restart)
{
    struct cookies *a = open_table(path);
    struct cookies *b = open_table(NULL);
    struct cookie first[200];
    char name[16];
    for (int i = 0; i < 200; i++) {
        (void)snprintf(name, sizeof(name), "pool-%d", i);
        first[i] = get(a, name);
        cr_assert_eq(get(b, name).index, first[i].index);
    }
    cookies_free(a);
    cookies_free(b);
    a = open_table(path);
    cr_assert_eq(cookies_count(a), 200);
    for (int i = 199; i >= 0; i--) {
        (void)snprintf(name, sizeof(name), "pool-%d", i);
        cr_assert_eq(get(a, name).index, first[i].index);
    }
    cookies_free(a);
}

Test(cookies, collisions_keep_their_cookie_over_a_restart_in_any_order)
{
    settings.prefix4 = 28; /* 14 cookies */
    struct cookies *c = open_table(path);
    struct cookie first[14];
    bool used[16] = {false};
    char name[16];
    for (int i = 0; i < 14; i++) {
        (void)snprintf(name, sizeof(name), "p%d", i);
        first[i] = get(c, name);
        cr_assert(first[i].index >= 1 && first[i].index <= 14);
        cr_assert_not(used[first[i].index]);
        used[first[i].index] = true;
    }
    struct cookie none;
    cr_assert_eq(cookies_get(c, pool_handle_of("one more"), 0, &none), -ENOSPC);
    cookies_free(c);
    c = open_table(path);
    for (int i = 13; i >= 0; i--) {
        (void)snprintf(name, sizeof(name), "p%d", i);
        cr_assert_eq(get(c, name).index, first[i].index);
        struct pool_handle h;
        cr_assert(cookies_handle(c, &first[i].v4, &h));
        cr_assert(pool_handle_equal(h, pool_handle_of(name)));
    }
    cookies_free(c);
}

Test(cookies, cut_last_line_and_nonsense)
{
    struct cookies *c = open_table(path);
    struct cookie web = get(c, "web");
    cookies_free(c);
    FILE *f = fopen(path, "a");
    cr_assert_not_null(f);
    cr_assert_gt(fprintf(f, "nonsense\n0 0 77\n65535 0 77\n7 0 7g\n7 0 \n9 0 6d61"), 0);
    cr_assert_eq(fclose(f), 0);
    c = open_table(path);
    cr_assert_eq(cookies_count(c), 1);
    struct cookie mail = get(c, "mail");
    cookies_free(c);
    c = open_table(path);
    cr_assert_eq(cookies_count(c), 2);
    cr_assert_eq(get(c, "web").index, web.index);
    cr_assert_eq(get(c, "mail").index, mail.index);
    cookies_free(c);
}

Test(cookies, bounds)
{
    settings.per_uid_max = 3;
    struct cookies *c = open_table(NULL);
    struct cookie cookie;
    cr_assert_eq(cookies_get(c, pool_handle_of("a"), 1000, &cookie), 0);
    cr_assert_eq(cookies_get(c, pool_handle_of("b"), 1000, &cookie), 0);
    cr_assert_eq(cookies_get(c, pool_handle_of("c"), 1000, &cookie), 0);
    cr_assert_eq(cookies_get(c, pool_handle_of("d"), 1000, &cookie), -EDQUOT);
    cr_assert_eq(cookies_get(c, pool_handle_of("a"), 1000, &cookie), 0);
    cr_assert_eq(cookies_get(c, pool_handle_of("d"), 1001, &cookie), 0);
    cr_assert_eq(cookies_get(c, pool_handle_of("e"), 0, &cookie), 0);
    cr_assert_eq(cookies_get(c, pool_handle_of(""), 0, &cookie), -EINVAL);
    uint8_t big[POOL_HANDLE_MAX + 1] = {1};
    struct pool_handle h = {.octets = big, .len = sizeof(big)};
    cr_assert_eq(cookies_get(c, h, 0, &cookie), -EINVAL);
    h.len = POOL_HANDLE_MAX;
    cr_assert_eq(cookies_get(c, h, 0, &cookie), 0);
    cookies_free(c);
}

Test(cookies, longest_handle_comes_back)
{
    uint8_t big[POOL_HANDLE_MAX];
    memset(big, 0xa5, sizeof(big));
    struct pool_handle h = {.octets = big, .len = sizeof(big)};
    struct cookies *c = open_table(path);
    struct cookie first;
    cr_assert_eq(cookies_get(c, h, 4294967295u, &first), 0);
    cookies_free(c);
    c = open_table(path);
    struct cookie again;
    cr_assert(cookies_find(c, h, &again));
    cr_assert_eq(again.index, first.index);
    cookies_free(c);
}

Test(cookies, bad_settings)
{
    struct cookies *c;
    struct cookies_settings s = settings;
    s.prefix4 = 29;
    cr_assert_eq(cookies_new(&s, NULL, &c), -EINVAL);
    s = settings;
    s.net4.octets[3] = 1;
    cr_assert_eq(cookies_new(&s, NULL, &c), -EINVAL);
    s = settings;
    s.net6.family = IP_V4;
    cr_assert_eq(cookies_new(&s, NULL, &c), -EINVAL);
    s = settings;
    s.prefix6 = 120;
    cr_assert_eq(cookies_new(&s, NULL, &c), -EINVAL);
    cr_assert_lt(cookies_new(&settings, "/nonexistent/cookies", &c), 0);
}
