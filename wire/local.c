/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Builder and parser of the local protocol (wire/local.h). It runs inside foreign programs too, so
 * it needs nothing but memory functions of libc: no allocation, no stdio, no locale, no errno.
 */
#include "wire/local.h"

#include <errno.h>
#include <string.h>

#define TLV_HEADER_LEN 4

static size_t pad4(size_t n)
{
    return (n + 3) & ~(size_t)3;
}

/* Room for `n` octets, or NULL and err. */
static uint8_t *room(struct lp_writer *w, size_t n)
{
    if (w->err || w->size - w->used < n) {
        w->err = true;
        return NULL;
    }
    uint8_t *p = w->octets + w->used;
    w->used += n;
    return p;
}

static void put_header(uint8_t *p, uint16_t type, uint16_t len)
{
    memcpy(p, &type, sizeof(type));
    memcpy(p + 2, &len, sizeof(len));
}

/* A TLV with zeroed padding; returns where its value goes, or NULL. */
static uint8_t *put_tlv(struct lp_writer *w, enum lp_tlv type, size_t len)
{
    if (len > UINT16_MAX - TLV_HEADER_LEN) {
        w->err = true;
        return NULL;
    }
    size_t whole = TLV_HEADER_LEN + len;
    uint8_t *p = room(w, pad4(whole));
    if (p == NULL) {
        return NULL;
    }
    put_header(p, (uint16_t)type, (uint16_t)whole);
    memset(p + whole, 0, pad4(whole) - whole);
    return p + TLV_HEADER_LEN;
}

void lp_begin(struct lp_writer *w, void *octets, size_t size, enum lp_type type, uint32_t request)
{
    *w = (struct lp_writer){.octets = (uint8_t *)octets,
                            .size = size < LP_MESSAGE_MAX ? size : LP_MESSAGE_MAX};
    uint8_t *p = room(w, LP_HEADER_LEN);
    if (p == NULL) {
        return;
    }
    put_header(p, LP_VERSION, (uint16_t)type);
    memcpy(p + 4, &request, sizeof(request));
    memset(p + 8, 0, 4);
}

void lp_put_octets(struct lp_writer *w, enum lp_tlv type, const void *octets, size_t len)
{
    uint8_t *p = put_tlv(w, type, len);
    if (p != NULL && len > 0) {
        memcpy(p, octets, len);
    }
}

void lp_put_u32(struct lp_writer *w, enum lp_tlv type, uint32_t value)
{
    lp_put_octets(w, type, &value, sizeof(value));
}

void lp_put_i32(struct lp_writer *w, enum lp_tlv type, int32_t value)
{
    lp_put_octets(w, type, &value, sizeof(value));
}

void lp_put_u64(struct lp_writer *w, enum lp_tlv type, uint64_t value)
{
    lp_put_octets(w, type, &value, sizeof(value));
}

void lp_put_str(struct lp_writer *w, enum lp_tlv type, const char *text)
{
    lp_put_octets(w, type, text, strlen(text));
}

void lp_put_handle(struct lp_writer *w, struct pool_handle handle)
{
    lp_put_octets(w, LP_T_HANDLE, handle.octets, handle.len);
}

void lp_put_address(struct lp_writer *w, enum lp_tlv type, const struct ip_address *address)
{
    if (address->family == IP_V4) {
        lp_put_octets(w, type, address->octets, 4);
    } else if (address->family == IP_V6) {
        lp_put_octets(w, type, address->octets, 16);
    }
}

void lp_put_policy(struct lp_writer *w, const struct policy *policy)
{
    size_t words = policy->word_count < POLICY_WORDS_MAX ? policy->word_count : POLICY_WORDS_MAX;
    uint8_t *p = put_tlv(w, LP_T_POLICY, 4 + 4 * words);
    if (p != NULL) {
        memcpy(p, &policy->type, 4);
        memcpy(p + 4, policy->words, 4 * words);
    }
}

size_t lp_nest(struct lp_writer *w, enum lp_tlv type)
{
    size_t mark = w->used;
    (void)put_tlv(w, type, 0);
    return mark;
}

void lp_unnest(struct lp_writer *w, size_t mark)
{
    if (w->err || mark > w->used || w->used - mark < TLV_HEADER_LEN ||
        w->used - mark > UINT16_MAX) {
        w->err = true;
        return;
    }
    uint16_t len = (uint16_t)(w->used - mark);
    memcpy(w->octets + mark + 2, &len, sizeof(len));
}

size_t lp_left(const struct lp_writer *w)
{
    return w->err ? 0 : w->size - w->used;
}

void lp_rewind(struct lp_writer *w, size_t used)
{
    if (used >= LP_HEADER_LEN && used <= w->used) {
        w->used = used;
        w->err = false;
    }
}

int lp_finish(struct lp_writer *w)
{
    if (w->err) {
        return -EMSGSIZE;
    }
    uint32_t len = (uint32_t)w->used;
    memcpy(w->octets + 8, &len, sizeof(len));
    return (int)len;
}

int lp_parse(const void *octets, size_t len, struct lp_message *ret)
{
    const uint8_t *p = (const uint8_t *)octets;
    struct lp_message msg;
    uint32_t whole;
    if (len < LP_HEADER_LEN || len > LP_MESSAGE_MAX) {
        return -EBADMSG;
    }
    memcpy(&msg.version, p, 2);
    memcpy(&msg.type, p + 2, 2);
    memcpy(&msg.request, p + 4, 4);
    memcpy(&whole, p + 8, 4);
    if (whole != len) {
        return -EBADMSG;
    }
    msg.body = p + LP_HEADER_LEN;
    msg.body_len = msg.version == LP_VERSION ? len - LP_HEADER_LEN : 0;
    struct lp_each it;
    lp_each_init(&it, &msg);
    while (lp_next(&it)) {
    }
    if (it.pos != it.end) {
        return -EBADMSG;
    }
    *ret = msg;
    return 0;
}

void lp_each_init(struct lp_each *it, const struct lp_message *msg)
{
    *it = (struct lp_each){.pos = msg->body, .end = msg->body + msg->body_len};
}

void lp_nested(struct lp_each *it, const struct lp_each *outer)
{
    const uint8_t *value = outer->value;
    uint16_t len = outer->len;
    *it = (struct lp_each){.pos = value, .end = value + len};
}

bool lp_next(struct lp_each *it)
{
    uint16_t whole;
    size_t left = (size_t)(it->end - it->pos);
    if (left < TLV_HEADER_LEN) {
        return false;
    }
    memcpy(&whole, it->pos + 2, 2);
    if (whole < TLV_HEADER_LEN || pad4(whole) > left) {
        return false;
    }
    memcpy(&it->type, it->pos, 2);
    it->value = it->pos + TLV_HEADER_LEN;
    it->len = (uint16_t)(whole - TLV_HEADER_LEN);
    it->pos += pad4(whole);
    return true;
}

uint32_t lp_u32(const struct lp_each *it, uint32_t fallback)
{
    if (it->len == sizeof(fallback)) {
        memcpy(&fallback, it->value, sizeof(fallback));
    }
    return fallback;
}

int32_t lp_i32(const struct lp_each *it, int32_t fallback)
{
    if (it->len == sizeof(fallback)) {
        memcpy(&fallback, it->value, sizeof(fallback));
    }
    return fallback;
}

uint64_t lp_u64(const struct lp_each *it, uint64_t fallback)
{
    if (it->len == sizeof(fallback)) {
        memcpy(&fallback, it->value, sizeof(fallback));
    }
    return fallback;
}

bool lp_handle(const struct lp_each *it, struct pool_handle *ret)
{
    if (it->len == 0 || it->len > POOL_HANDLE_MAX) {
        return false;
    }
    *ret = (struct pool_handle){.octets = it->value, .len = it->len};
    return true;
}

bool lp_address(const struct lp_each *it, struct ip_address *ret)
{
    if (it->len != 4 && it->len != 16) {
        return false;
    }
    *ret = (struct ip_address){.family = it->len == 4 ? IP_V4 : IP_V6};
    memcpy(ret->octets, it->value, it->len);
    return true;
}

bool lp_policy(const struct lp_each *it, struct policy *ret)
{
    if (it->len < 4 || it->len % 4 != 0 || it->len > 4 + 4 * POLICY_WORDS_MAX) {
        return false;
    }
    *ret = (struct policy){.word_count = (uint8_t)(it->len / 4 - 1)};
    memcpy(&ret->type, it->value, 4);
    memcpy(ret->words, it->value + 4, (size_t)it->len - 4);
    return true;
}

const char *lp_str(const struct lp_each *it, char *out, size_t size)
{
    if (size == 0) {
        return out;
    }
    size_t n = it->len;
    if (n > size - 1) {
        n = size - 1;
        /* Not in the middle of a UTF-8 sequence. */
        while (n > 0 && (it->value[n] & 0xc0) == 0x80) {
            n--;
        }
    }
    memcpy(out, it->value, n);
    for (size_t i = 0; i < n; i++) {
        if (out[i] == '\0') {
            out[i] = '?';
        }
    }
    out[n] = '\0';
    return out;
}

bool lp_find(const struct lp_message *msg, enum lp_tlv type, struct lp_each *ret)
{
    struct lp_each it;
    lp_each_init(&it, msg);
    while (lp_next(&it)) {
        if (it.type == type) {
            *ret = it;
            return true;
        }
    }
    return false;
}
