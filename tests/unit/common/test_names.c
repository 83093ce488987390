/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host names of pools (decisions.md "host names"; preload-notes §5.1). */
#include "common/names.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

static void to(const char *name, const char *handle)
{
    uint8_t out[NAME_HANDLE_MAX];
    int n = name_to_handle(name, ".pool.alt", out, sizeof(out));
    cr_assert_eq(n, (int)strlen(handle), "%s: %d", name, n);
    cr_assert_eq(memcmp(out, handle, (size_t)n), 0, "%s", name);
}

static void fails(const char *name, int error)
{
    uint8_t out[NAME_HANDLE_MAX];
    int n = name_to_handle(name, ".pool.alt", out, sizeof(out));
    cr_assert_eq(n, error, "%s: %d", name, n);
}

static void both(const char *octets, size_t len, const char *name)
{
    char text[NAME_TEXT_MAX];
    uint8_t back[NAME_HANDLE_MAX];
    struct pool_handle h = {.octets = (const uint8_t *)octets, .len = (uint16_t)len};
    cr_assert_eq(name_from_handle(h, ".pool.alt", text, sizeof(text)), (int)strlen(name), "%s",
                 name);
    cr_assert_str_eq(text, name);
    cr_assert_eq(name_to_handle(text, "pool.alt", back, sizeof(back)), (int)len);
    cr_assert_eq(memcmp(back, octets, len), 0);
}

Test(names, suffix_at_a_label_boundary_only)
{
    cr_assert(name_has_suffix("web.pool.alt", ".pool.alt"));
    cr_assert(name_has_suffix("web.pool.alt.", ".pool.alt"));
    cr_assert(name_has_suffix("WEB.Pool.ALT", "pool.alt"));
    cr_assert(name_has_suffix("x.web.pool.alt", "POOL.alt"));
    cr_assert_not(name_has_suffix("pool.alt", ".pool.alt"));
    cr_assert_not(name_has_suffix(".pool.alt", ".pool.alt"));
    cr_assert_not(name_has_suffix("xpool.alt", ".pool.alt"));
    cr_assert_not(name_has_suffix("web.pool.alt.example", ".pool.alt"));
    cr_assert_not(name_has_suffix("web.pool.alt..", ".pool.alt"));
    cr_assert_not(name_has_suffix("", ".pool.alt"));
    cr_assert_not(name_has_suffix("web.pool.alt", ""));
    cr_assert_not(name_has_suffix("web.pool.alt", "."));
}

Test(names, labels_become_handles)
{
    to("web.pool.alt", "web");
    to("Web.POOL.alt.", "web");
    to("a.b-2.pool.alt", "a.b-2");
    to("my_pool.pool.alt", "my_pool");
    to("x--576562.pool.alt", "Web");
    to("X--576562.pool.alt", "Web");
    to("x--57.65.62.pool.alt", "Web");
    to("x--5.7.pool.alt", "W");
}

Test(names, what_is_no_pool_name)
{
    fails("example.org", -ENOENT);
    fails("pool.alt", -ENOENT);
    fails("a..b.pool.alt", -EINVAL);
    fails(".web.pool.alt", -EINVAL);
    fails("we b.pool.alt", -EINVAL);
    fails("w\xc3\xa9.pool.alt", -EINVAL);
    fails("x--.pool.alt", -EINVAL);
    fails("x--5.pool.alt", -EINVAL);
    fails("x--5g.pool.alt", -EINVAL);
    fails("x--.57.pool.alt", 1);
}

Test(names, length_limits)
{
    char name[512];
    memset(name, 'a', sizeof(name));
    strcpy(name + 63, ".pool.alt");
    uint8_t out[NAME_HANDLE_MAX];
    cr_assert_eq(name_to_handle(name, ".pool.alt", out, sizeof(out)), 63);
    cr_assert_eq(name_to_handle(name, ".pool.alt", out, 62), -ENAMETOOLONG);
    memset(name, 'a', sizeof(name));
    strcpy(name + 64, ".pool.alt");
    fails(name, -ENAMETOOLONG);
    /* 253 octets fit, 254 do not, with and without the final dot */
    for (size_t i = 0; i < 244; i++) {
        name[i] = i % 61 == 60 ? '.' : 'a';
    }
    name[243] = 'a';
    strcpy(name + 244, ".pool.alt.");
    cr_assert_eq(name_to_handle(name, ".pool.alt", out, sizeof(out)), 244);
    strcpy(name + 245, ".pool.alt");
    name[244] = 'a';
    fails(name, -ENAMETOOLONG);
}

Test(names, canonical_names_round_trip)
{
    both("web", 3, "web.pool.alt");
    both("a.b", 3, "a.b.pool.alt");
    both("Web", 3, "x--576562.pool.alt");
    both("x--a", 4, "x--782d2d61.pool.alt");
    both("a..b", 4, "x--612e2e62.pool.alt");
    both("my_pool", 7, "x--6d795f706f6f6c.pool.alt");
    both("\0\xff", 2, "x--00ff.pool.alt");
    char long_handle[118];
    memset(long_handle, 0xee, sizeof(long_handle));
    char text[NAME_TEXT_MAX];
    for (size_t len = 1; len <= sizeof(long_handle); len++) {
        uint8_t back[NAME_HANDLE_MAX];
        struct pool_handle h = {.octets = (const uint8_t *)long_handle, .len = (uint16_t)len};
        int n = name_from_handle(h, ".pool.alt", text, sizeof(text));
        if (n == -ENAMETOOLONG) {
            cr_assert_gt(len, 116);
            continue;
        }
        cr_assert_gt(n, 0);
        cr_assert_eq(name_to_handle(text, ".pool.alt", back, sizeof(back)), (int)len);
    }
}

Test(names, handles_no_name_can_carry)
{
    uint8_t octets[POOL_HANDLE_MAX];
    memset(octets, 'a', sizeof(octets));
    char text[NAME_TEXT_MAX] = "x";
    struct pool_handle h = {.octets = octets, .len = POOL_HANDLE_MAX};
    cr_assert_eq(name_from_handle(h, ".pool.alt", text, sizeof(text)), -ENAMETOOLONG);
    cr_assert_str_eq(text, "");
    h.len = 0;
    cr_assert_eq(name_from_handle(h, ".pool.alt", text, sizeof(text)), -EINVAL);
    h.len = 3;
    cr_assert_eq(name_from_handle(h, ".pool.alt", text, 12), -ENAMETOOLONG);
    cr_assert_eq(name_from_handle(h, ".pool.alt", text, 13), 12);
}

Test(names, suffixes_that_can_be_used)
{
    cr_assert(name_suffix_valid(".pool.alt"));
    cr_assert(name_suffix_valid("rsp"));
    cr_assert_not(name_suffix_valid(""));
    cr_assert_not(name_suffix_valid("."));
    cr_assert_not(name_suffix_valid("a..b"));
    cr_assert_not(name_suffix_valid("a."));
    cr_assert_not(name_suffix_valid("a_b"));
}
