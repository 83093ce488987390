/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The parser of the local protocol: every value of every TLV read in every way, and a message built
 * anew from its TLVs is the same.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "wire/local.h"

#define DEPTH_MAX 4

static uint8_t rebuilt[LP_MESSAGE_MAX];

static uint32_t sum; /* what is read is used, so that no read is optimised away */

static void use(const void *octets, size_t len)
{
    const uint8_t *p = (const uint8_t *)octets;
    for (size_t i = 0; i < len; i++) {
        sum = sum * 31 + p[i];
    }
}

static void read_values(const struct lp_each *it)
{
    struct pool_handle handle;
    struct ip_address address;
    struct policy policy;
    char text[24];
    uint64_t n = lp_u64(it, 1) + lp_u32(it, 1) + (uint64_t)lp_i32(it, 1);
    use(&n, sizeof(n));
    if (lp_handle(it, &handle)) {
        MUST(handle.len > 0 && handle.len <= POOL_HANDLE_MAX);
        use(handle.octets, handle.len);
    }
    if (lp_address(it, &address)) {
        MUST(address.family == IP_V4 || address.family == IP_V6);
        use(&address, sizeof(address));
    }
    if (lp_policy(it, &policy)) {
        MUST(policy.word_count <= POLICY_WORDS_MAX);
        use(policy.words, policy.word_count * sizeof(policy.words[0]));
    }
    for (size_t size = 1; size <= sizeof(text); size += 7) {
        const char *s = lp_str(it, text, size);
        MUST(s == text && strlen(text) < size);
    }
    use(it->value, it->len);
}

static void walk(struct lp_each *it, int depth)
{
    while (lp_next(it)) {
        read_values(it);
        if (depth < DEPTH_MAX) {
            struct lp_each inner;
            lp_nested(&inner, it);
            walk(&inner, depth + 1);
        }
    }
    MUST(it->pos <= it->end);
}

static void rebuild(const struct lp_message *msg, size_t len)
{
    struct lp_writer w;
    struct lp_each it;
    struct lp_message back;
    lp_begin(&w, rebuilt, sizeof(rebuilt), (enum lp_type)msg->type, msg->request);
    lp_each_init(&it, msg);
    while (lp_next(&it)) {
        lp_put_octets(&w, (enum lp_tlv)it.type, it.value, it.len);
    }
    MUST(lp_finish(&w) == (int)len);
    MUST(lp_parse(rebuilt, len, &back) == 0);
    MUST(back.type == msg->type && back.request == msg->request && back.body_len == msg->body_len);
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
    struct lp_message msg;
    struct lp_each it;
    if (lp_parse(octets, len, &msg) < 0) {
        return 0;
    }
    MUST(len >= LP_HEADER_LEN && len <= LP_MESSAGE_MAX);
    lp_each_init(&it, &msg);
    walk(&it, 0);
    MUST(it.pos == it.end);
    for (unsigned type = 0; type <= LP_T_PROGRAM; type++) {
        if (lp_find(&msg, (enum lp_tlv)type, &it)) {
            MUST(it.type == type);
            read_values(&it);
        }
    }
    if (msg.version == LP_VERSION) {
        rebuild(&msg, len);
    }
    return 0;
}
