/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The local protocol: what is put comes back, and no length is trusted. */
#include "wire/local.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint8_t octets[LP_MESSAGE_MAX];

static struct lp_message parsed(const struct lp_writer *w, int len)
{
    struct lp_message msg;
    cr_assert_gt(len, 0);
    cr_assert_eq(lp_parse(w->octets, (size_t)len, &msg), 0);
    return msg;
}

/* A message with one TLV of every kind of value, one of them nested. */
static int build_all(struct lp_writer *w, void *out, size_t size)
{
    const struct ip_address v4 = {.family = IP_V4, .octets = {10, 0, 0, 1}};
    const struct ip_address v6 = {.family = IP_V6, .octets = {0xfd, [15] = 1}};
    const struct policy policy = {.type = POLICY_LUD, .word_count = 2, .words = {7, 8}};
    lp_begin(w, out, size, LP_RESOLVED, 0x01020304);
    lp_put_u32(w, LP_T_PORT, 8080);
    lp_put_i32(w, LP_T_RESULT, -EAGAIN);
    lp_put_u64(w, LP_T_SOCK_COOKIE, UINT64_C(0x1122334455667788));
    lp_put_handle(w, pool_handle_of("web"));
    size_t mark = lp_nest(w, LP_T_PE);
    lp_put_address(w, LP_T_ADDRESS, &v4);
    lp_put_address(w, LP_T_ADDRESS, &v6);
    lp_put_policy(w, &policy);
    lp_unnest(w, mark);
    lp_put_str(w, LP_T_TEXT, "a text");
    return lp_finish(w);
}

/* What was in the buffer before is not told: padding and reserved octets are 0. */
Test(local, nothing_else_gets_out)
{
    static uint8_t other[LP_MESSAGE_MAX];
    struct lp_writer w;
    memset(octets, 0xff, sizeof(octets));
    int len = build_all(&w, octets, sizeof(octets));
    cr_assert_gt(len, 0);
    cr_assert_eq(build_all(&w, other, sizeof(other)), len);
    cr_assert_arr_eq(octets, other, (size_t)len);
}

Test(local, every_value_comes_back)
{
    struct lp_writer w;
    struct lp_message msg = parsed(&w, build_all(&w, octets, sizeof(octets)));
    cr_assert_eq(msg.version, LP_VERSION);
    cr_assert_eq(msg.type, LP_RESOLVED);
    cr_assert_eq(msg.request, 0x01020304);
    cr_assert_eq(msg.body_len % 4, 0);

    struct lp_each it;
    cr_assert(lp_find(&msg, LP_T_PORT, &it));
    cr_assert_eq(lp_u32(&it, 0), 8080);
    cr_assert(lp_find(&msg, LP_T_RESULT, &it));
    cr_assert_eq(lp_i32(&it, 0), -EAGAIN);
    cr_assert(lp_find(&msg, LP_T_SOCK_COOKIE, &it));
    cr_assert_eq(lp_u64(&it, 0), UINT64_C(0x1122334455667788));
    struct pool_handle handle;
    cr_assert(lp_find(&msg, LP_T_HANDLE, &it));
    cr_assert(lp_handle(&it, &handle));
    cr_assert(pool_handle_equal(handle, pool_handle_of("web")));
    char text[16];
    cr_assert(lp_find(&msg, LP_T_TEXT, &it));
    cr_assert_str_eq(lp_str(&it, text, sizeof(text)), "a text");
    cr_assert_not(lp_find(&msg, LP_T_PID, &it));
}

Test(local, nested_values_come_back_in_order)
{
    struct lp_writer w;
    struct lp_message msg = parsed(&w, build_all(&w, octets, sizeof(octets)));
    struct lp_each outer;
    struct lp_each it;
    struct ip_address a;
    struct policy policy;
    cr_assert(lp_find(&msg, LP_T_PE, &outer));
    lp_nested(&it, &outer);
    cr_assert(lp_next(&it));
    cr_assert(lp_address(&it, &a));
    cr_assert_eq(a.family, IP_V4);
    cr_assert_eq(a.octets[3], 1);
    cr_assert(lp_next(&it));
    cr_assert(lp_address(&it, &a));
    cr_assert_eq(a.family, IP_V6);
    cr_assert_eq(a.octets[0], 0xfd);
    cr_assert(lp_next(&it));
    cr_assert_eq(it.type, LP_T_POLICY);
    cr_assert(lp_policy(&it, &policy));
    cr_assert_eq(policy.type, POLICY_LUD);
    cr_assert_eq(policy.word_count, 2);
    cr_assert_eq(policy.words[1], 8);
    cr_assert_not(lp_next(&it));
    cr_assert_not(lp_next(&it));
}

Test(local, values_borrow_from_the_message)
{
    struct lp_writer w;
    struct lp_message msg = parsed(&w, build_all(&w, octets, sizeof(octets)));
    struct lp_each it;
    struct pool_handle handle;
    cr_assert(lp_find(&msg, LP_T_HANDLE, &it));
    cr_assert(lp_handle(&it, &handle));
    cr_assert(handle.octets > octets && handle.octets < octets + w.used);
}

Test(local, wrong_lengths_give_the_fallback)
{
    struct lp_writer w;
    uint8_t big[POOL_HANDLE_MAX + 1] = {0};
    struct ip_address a;
    struct pool_handle handle;
    struct policy policy;
    static const uint16_t lens[] = {0, 1, 3, 5, 7, 9, 15, 17, 21, 22, POOL_HANDLE_MAX + 1};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        lp_begin(&w, octets, sizeof(octets), LP_STATUS, 1);
        lp_put_octets(&w, LP_T_TEXT, big, lens[i]);
        struct lp_message msg = parsed(&w, lp_finish(&w));
        struct lp_each it;
        cr_assert(lp_find(&msg, LP_T_TEXT, &it));
        cr_assert_eq(it.len, lens[i]);
        cr_assert_eq(lp_u32(&it, 42), 42);
        cr_assert_eq(lp_i32(&it, -42), -42);
        cr_assert_eq(lp_u64(&it, 43), 43);
        cr_assert_not(lp_address(&it, &a));
        cr_assert_not(lp_policy(&it, &policy));
        cr_assert_eq(lp_handle(&it, &handle), lens[i] > 0 && lens[i] <= POOL_HANDLE_MAX);
    }
}

/* Sizes at their edge: the longest handle and policy are values, what is longer is none. */
Test(local, the_longest_values)
{
    struct lp_writer w;
    uint8_t big[POOL_HANDLE_MAX] = {0};
    struct pool_handle handle;
    struct policy policy;
    static const struct {
        uint16_t len;
        bool handle, policy;
    } table[] = {{POOL_HANDLE_MAX, true, false},
                 {4 + 4 * POLICY_WORDS_MAX, true, true},
                 {8 + 4 * POLICY_WORDS_MAX, true, false},
                 {4, true, true}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        lp_begin(&w, octets, sizeof(octets), LP_STATUS, 1);
        lp_put_octets(&w, LP_T_TEXT, big, table[i].len);
        struct lp_message msg = parsed(&w, lp_finish(&w));
        struct lp_each it;
        cr_assert(lp_find(&msg, LP_T_TEXT, &it));
        cr_assert_eq(lp_handle(&it, &handle), table[i].handle, "row %zu", i);
        cr_assert_eq(lp_policy(&it, &policy), table[i].policy, "row %zu", i);
    }
}

/* Nesting that was not begun there is an error, and nothing beyond the header is written. */
Test(local, nesting_out_of_place)
{
    struct lp_writer w;
    uint8_t buffer[LP_HEADER_LEN + 8];
    memset(buffer, 0xee, sizeof(buffer));
    lp_begin(&w, buffer, sizeof(buffer), LP_STATUS, 1);
    cr_assert_eq(buffer[LP_HEADER_LEN], 0xee);
    lp_unnest(&w, w.used - 3);
    cr_assert(w.err);
    lp_begin(&w, buffer, sizeof(buffer), LP_STATUS, 1);
    lp_unnest(&w, w.used + 1);
    cr_assert(w.err);
    lp_begin(&w, buffer, sizeof(buffer), LP_STATUS, 1);
    size_t mark = lp_nest(&w, LP_T_PE);
    lp_unnest(&w, mark);
    cr_assert_not(w.err);
}

Test(local, an_address_without_family_is_left_out)
{
    struct lp_writer w;
    const struct ip_address none = {0};
    lp_begin(&w, octets, sizeof(octets), LP_REPORT, 0);
    lp_put_address(&w, LP_T_ADDRESS, &none);
    cr_assert_eq(lp_finish(&w), LP_HEADER_LEN);
}

Test(local, strings_are_cut_and_cleaned)
{
    struct lp_writer w;
    char out[8];
    lp_begin(&w, octets, sizeof(octets), LP_STATUS, 1);
    lp_put_octets(&w, LP_T_TEXT, "a\0b", 3);
    lp_put_str(&w, LP_T_REASON, "123456789");
    lp_put_str(&w, LP_T_NAME, "12345\xe2\x82\xac");
    lp_put_str(&w, LP_T_EXE, "");
    lp_put_str(&w, LP_T_PROBE, "\x80\x80\x80\x80\x80\x80\x80\x80\x80");
    struct lp_message msg = parsed(&w, lp_finish(&w));
    struct lp_each it;
    cr_assert(lp_find(&msg, LP_T_TEXT, &it));
    cr_assert_str_eq(lp_str(&it, out, sizeof(out)), "a?b");
    cr_assert(lp_find(&msg, LP_T_REASON, &it));
    cr_assert_str_eq(lp_str(&it, out, sizeof(out)), "1234567");
    cr_assert(lp_find(&msg, LP_T_NAME, &it));
    cr_assert_str_eq(lp_str(&it, out, sizeof(out)), "12345");
    cr_assert_str_eq(lp_str(&it, out, 1), "");
    cr_assert_str_eq(lp_str(&it, out, 7), "12345");
    out[0] = 'x';
    (void)lp_str(&it, out, 0);
    cr_assert_eq(out[0], 'x');
    cr_assert(lp_find(&msg, LP_T_EXE, &it));
    cr_assert_str_eq(lp_str(&it, out, sizeof(out)), "");
    cr_assert(lp_find(&msg, LP_T_PROBE, &it)); /* no character begins in it */
    cr_assert_str_eq(lp_str(&it, out, sizeof(out)), "");
}

Test(local, every_size_too_small_is_an_error)
{
    struct lp_writer w;
    int len = build_all(&w, octets, sizeof(octets));
    for (int size = 0; size < len; size++) {
        uint8_t *small = malloc((size_t)size + 1);
        cr_assert_eq(build_all(&w, small, (size_t)size), -EMSGSIZE, "size %d", size);
        cr_assert_eq(lp_left(&w), 0);
        free(small);
    }
    uint8_t *exact = malloc((size_t)len);
    cr_assert_eq(build_all(&w, exact, (size_t)len), len);
    free(exact);
}

Test(local, a_message_has_at_most_64_kib)
{
    static uint8_t more[2 * LP_MESSAGE_MAX];
    struct lp_writer w;
    lp_begin(&w, more, sizeof(more), LP_LIST, 1);
    cr_assert_eq(lp_left(&w), LP_MESSAGE_MAX - LP_HEADER_LEN);
    lp_put_octets(&w, LP_T_TEXT, more, UINT16_MAX);
    cr_assert_eq(lp_finish(&w), -EMSGSIZE);

    lp_begin(&w, more, sizeof(more), LP_LIST, 1);
    size_t mark = lp_nest(&w, LP_T_PE);
    lp_put_octets(&w, LP_T_TEXT, more + LP_MESSAGE_MAX, lp_left(&w) - 4);
    lp_unnest(&w, mark);
    struct lp_message msg = parsed(&w, lp_finish(&w));
    cr_assert_eq(msg.body_len, LP_MESSAGE_MAX - LP_HEADER_LEN);
}

Test(local, an_item_that_does_not_fit_is_undone)
{
    struct lp_writer w;
    uint8_t small[LP_HEADER_LEN + 32];
    int items = 0;
    lp_begin(&w, small, sizeof(small), LP_LIST, 1);
    for (;;) {
        size_t used = w.used;
        size_t mark = lp_nest(&w, LP_T_PE);
        lp_put_u32(&w, LP_T_PE_ID, 1);
        lp_unnest(&w, mark);
        if (w.err) {
            lp_rewind(&w, used);
            break;
        }
        items++;
    }
    cr_assert_eq(items, 2);
    cr_assert_eq(lp_left(&w), 8);
    cr_assert_eq(lp_finish(&w), LP_HEADER_LEN + 24);
}

Test(local, every_truncation_is_refused)
{
    struct lp_writer w;
    struct lp_message msg;
    int len = build_all(&w, octets, sizeof(octets));
    for (int n = 0; n < len; n++) {
        uint8_t *cut = malloc((size_t)n + 1);
        memcpy(cut, octets, (size_t)n);
        cr_assert_eq(lp_parse(cut, (size_t)n, &msg), -EBADMSG, "length %d", n);
        if (n >= LP_HEADER_LEN) {
            /* The same with a header that agrees: whole TLVs, or nothing. */
            uint32_t whole = (uint32_t)n;
            memcpy(cut + 8, &whole, sizeof(whole));
            int r = lp_parse(cut, (size_t)n, &msg);
            cr_assert(r == -EBADMSG || (r == 0 && n % 4 == 0), "length %d", n);
        }
        free(cut);
    }
}

Test(local, impossible_tlv_lengths_are_refused)
{
    struct lp_writer w;
    struct lp_message msg;
    static const uint16_t lens[] = {0, 1, 3, 9, 12, UINT16_MAX};
    for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
        lp_begin(&w, octets, sizeof(octets), LP_STATUS, 1);
        lp_put_u32(&w, LP_T_PORT, 1);
        int len = lp_finish(&w);
        memcpy(octets + LP_HEADER_LEN + 2, &lens[i], 2);
        cr_assert_eq(lp_parse(octets, (size_t)len, &msg), -EBADMSG);
    }
}

Test(local, a_malformed_nested_tlv_ends_its_walk)
{
    struct lp_writer w;
    const uint16_t inside[] = {LP_T_PE_ID, 400, 0, 0};
    lp_begin(&w, octets, sizeof(octets), LP_STATUS, 1);
    lp_put_octets(&w, LP_T_PE, inside, sizeof(inside));
    struct lp_message msg = parsed(&w, lp_finish(&w));
    struct lp_each outer;
    struct lp_each it;
    cr_assert(lp_find(&msg, LP_T_PE, &outer));
    lp_nested(&it, &outer);
    cr_assert_not(lp_next(&it));
}

Test(local, another_version_can_be_told_apart)
{
    struct lp_writer w;
    struct lp_message msg;
    const uint16_t version = LP_VERSION + 1;
    int len = build_all(&w, octets, sizeof(octets));
    memcpy(octets, &version, sizeof(version));
    memset(octets + LP_HEADER_LEN, 0xff, 8);
    cr_assert_eq(lp_parse(octets, (size_t)len, &msg), 0);
    cr_assert_eq(msg.version, version);
    cr_assert_eq(msg.request, 0x01020304);
    cr_assert_eq(msg.body_len, 0);
}
