/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Bounds-checked reading and writing of octets, network order.
 *
 * Reading: after the first underrun every read gives zero and `err` stays set, so a decoder may
 * read a block of fields and test once. A nested length is carved into a cursor of its own, which
 * cannot see beyond its parent. Writing: the same with overruns; lengths are back-patched with
 * wcur_patch16().
 */
#ifndef RSP_COMMON_CURSOR_H
#define RSP_COMMON_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct rcur {
    const uint8_t *pos;
    const uint8_t *end;
    bool err;
};

static inline struct rcur rcur_of(const void *octets, size_t len)
{
    const uint8_t *p = (const uint8_t *)octets;
    return (struct rcur){.pos = p, .end = p + len, .err = false};
}

static inline size_t rcur_left(const struct rcur *c)
{
    return (size_t)(c->end - c->pos);
}

/** The next `n` octets, or NULL (and err) when fewer are left. */
static inline const uint8_t *rcur_take(struct rcur *c, size_t n)
{
    if (c->err || rcur_left(c) < n) {
        c->err = true;
        return NULL;
    }
    const uint8_t *p = c->pos;
    c->pos += n;
    return p;
}

static inline uint8_t rcur_u8(struct rcur *c)
{
    const uint8_t *p = rcur_take(c, 1);
    return p != NULL ? p[0] : 0;
}

static inline uint16_t rcur_n16(struct rcur *c)
{
    const uint8_t *p = rcur_take(c, 2);
    return p != NULL ? (uint16_t)(p[0] << 8 | p[1]) : 0;
}

static inline uint32_t rcur_n32(struct rcur *c)
{
    const uint8_t *p = rcur_take(c, 4);
    return p != NULL ? (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3] : 0;
}

/** Carves the next `n` octets into a cursor of their own. */
static inline struct rcur rcur_carve(struct rcur *c, size_t n)
{
    const uint8_t *p = rcur_take(c, n);
    struct rcur sub = rcur_of(p != NULL ? p : c->end, p != NULL ? n : 0);
    sub.err = p == NULL;
    return sub;
}

/** Skips up to `n` octets, fewer when the end comes first: for padding that may be cut off. */
static inline void rcur_skip_upto(struct rcur *c, size_t n)
{
    size_t left = rcur_left(c);
    c->pos += n < left ? n : left;
}

struct wcur {
    uint8_t *begin;
    uint8_t *pos;
    uint8_t *end;
    bool err;
};

static inline struct wcur wcur_of(void *octets, size_t size)
{
    uint8_t *p = (uint8_t *)octets;
    return (struct wcur){.begin = p, .pos = p, .end = p + size, .err = false};
}

static inline size_t wcur_used(const struct wcur *c)
{
    return (size_t)(c->pos - c->begin);
}

/** Room for `n` octets, or NULL (and err) when there is none. */
static inline uint8_t *wcur_room(struct wcur *c, size_t n)
{
    if (c->err || (size_t)(c->end - c->pos) < n) {
        c->err = true;
        return NULL;
    }
    uint8_t *p = c->pos;
    c->pos += n;
    return p;
}

static inline void wcur_put(struct wcur *c, const void *octets, size_t n)
{
    uint8_t *p = wcur_room(c, n);
    if (p != NULL && n > 0) {
        memcpy(p, octets, n);
    }
}

static inline void wcur_u8(struct wcur *c, uint8_t v)
{
    wcur_put(c, &v, 1);
}

static inline void wcur_n16(struct wcur *c, uint16_t v)
{
    uint8_t o[2] = {(uint8_t)(v >> 8), (uint8_t)v};
    wcur_put(c, o, sizeof(o));
}

static inline void wcur_n32(struct wcur *c, uint32_t v)
{
    uint8_t o[4] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    wcur_put(c, o, sizeof(o));
}

/** Zero octets up to the next multiple of 4 from the beginning. */
static inline void wcur_pad4(struct wcur *c)
{
    static const uint8_t zero[3] = {0};
    wcur_put(c, zero, (4 - wcur_used(c) % 4) % 4);
}

/** Overwrites the two octets at offset `at`; no-op after an overrun. */
static inline void wcur_patch16(struct wcur *c, size_t at, size_t v)
{
    if (c->err || v > UINT16_MAX) {
        c->err = true;
        return;
    }
    c->begin[at] = (uint8_t)(v >> 8);
    c->begin[at + 1] = (uint8_t)v;
}

#endif
