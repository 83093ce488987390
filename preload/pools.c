/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The pools this process has met; see pools.h. Guarded by pre_state_lock(). */
#include "preload/pools.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>

#include "preload/config.h"

#define ANSWERS 4

struct answer {
    int64_t at_ms; /* 0: empty */
    bool chosen;   /* by policy; else it came with the name */
    struct lp_pe pe;
};

struct pool {
    uint16_t handle_len;
    uint8_t handle[POOL_HANDLE_MAX];
    char name[NAME_TEXT_MAX];
    char asked[NAME_TEXT_MAX]; /* another spelling in use by the program */
    struct ip_address cookie4, cookie6;
    char text4[IP_ADDRESS_TEXT_MAX], text6[IP_ADDRESS_TEXT_MAX];
    int64_t named_ms;
    struct answer answers[ANSWERS];
};

static struct pool *pools;
static unsigned pool_count;

static bool map_pools(void)
{
    if (pools == NULL) {
        void *m = mmap(NULL, sizeof(struct pool) * PRE_POOLS_MAX, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        pools = m != MAP_FAILED ? (struct pool *)m : NULL;
    }
    return pools != NULL;
}

static void describe(unsigned i, struct pre_pool_info *ret)
{
    const struct pool *p = &pools[i];
    *ret = (struct pre_pool_info){.index = (uint16_t)i,
                                  .handle_len = p->handle_len,
                                  .cookie4 = p->cookie4,
                                  .cookie6 = p->cookie6,
                                  .named_ms = p->named_ms,
                                  .name = p->name,
                                  .cookie_text4 = p->text4,
                                  .cookie_text6 = p->text6};
}

/** Equal but for ASCII case and one final dot. */
static bool same_name(const char *stored, const char *name)
{
    size_t len = strlen(name);
    if (len > 0 && name[len - 1] == '.') {
        len--;
    }
    return stored[0] != '\0' && strlen(stored) == len && strncasecmp(stored, name, len) == 0;
}

bool pre_pool_by_name(const char *name, struct pre_pool_info *ret)
{
    bool found = false;
    pre_state_lock();
    for (unsigned i = 0; i < pool_count && !found; i++) {
        if (same_name(pools[i].name, name) || same_name(pools[i].asked, name)) {
            describe(i, ret);
            found = true;
        }
    }
    pre_state_unlock();
    return found;
}

bool pre_pool_by_cookie(const struct ip_address *cookie, struct pre_pool_info *ret)
{
    bool found = false;
    pre_state_lock();
    for (unsigned i = 0; i < pool_count && !found; i++) {
        if (ip_address_equal(&pools[i].cookie4, cookie) ||
            ip_address_equal(&pools[i].cookie6, cookie)) {
            describe(i, ret);
            found = true;
        }
    }
    pre_state_unlock();
    return found;
}

/** With the lock held. */
static struct pool *by_handle(struct pool_handle handle)
{
    for (unsigned i = 0; i < pool_count; i++) {
        struct pool_handle h = {.octets = pools[i].handle, .len = pools[i].handle_len};
        if (pool_handle_equal(h, handle)) {
            return &pools[i];
        }
    }
    if (handle.len == 0 || handle.len > POOL_HANDLE_MAX || !map_pools() ||
        pool_count >= PRE_POOLS_MAX) {
        return NULL;
    }
    struct pool *p = &pools[pool_count++];
    memcpy(p->handle, handle.octets, handle.len);
    p->handle_len = handle.len;
    return p;
}

uint16_t pre_pool_by_handle(struct pool_handle handle)
{
    pre_state_lock();
    struct pool *p = by_handle(handle);
    uint16_t index = p != NULL ? (uint16_t)(p - pools) : PRE_POOL_NONE;
    pre_state_unlock();
    return index;
}

/** With the lock held. The element's own place, else the oldest one's. */
static void remember(struct pool *p, const struct lp_pe *pe, int64_t now_ms, bool chosen)
{
    unsigned at = 0;
    for (unsigned i = 0; i < ANSWERS; i++) {
        if (p->answers[i].at_ms != 0 && p->answers[i].pe.pe_id == pe->pe_id) {
            at = i;
            break;
        }
        if (p->answers[i].at_ms < p->answers[at].at_ms) {
            at = i;
        }
    }
    bool same = p->answers[at].at_ms != 0 && p->answers[at].pe.pe_id == pe->pe_id;
    p->answers[at].chosen = chosen || (same && p->answers[at].chosen);
    p->answers[at].pe = *pe;
    p->answers[at].at_ms = now_ms;
}

/** With the lock held: the elements that came with a name. */
static void remember_hints(struct pool *p, const struct lp_message *reply, int64_t now_ms)
{
    struct lp_each it;
    lp_each_init(&it, reply);
    while (lp_next(&it)) {
        struct lp_pe pe;
        if (it.type == LP_T_PE && lp_read_pe(&it, &pe)) {
            remember(p, &pe, now_ms, false);
        }
    }
}

/**
 * With the lock held. The text is read without it, by the C library too, so it is written only when
 * the daemon gives the pool another cookie.
 */
static void set_cookie(struct ip_address *cookie, char text[IP_ADDRESS_TEXT_MAX],
                       const struct ip_address *given)
{
    if (!ip_address_equal(cookie, given)) {
        *cookie = *given;
        (void)ip_address_format(given, text, IP_ADDRESS_TEXT_MAX);
    }
}

bool pre_pool_learn(const struct lp_message *reply, const char *asked, int64_t now_ms,
                    struct pre_pool_info *ret)
{
    struct lp_each it;
    struct pool_handle handle = {0};
    if (!lp_find(reply, LP_T_HANDLE, &it) || !lp_handle(&it, &handle)) {
        return false;
    }
    pre_state_lock();
    struct pool *p = by_handle(handle);
    if (p != NULL) {
        struct ip_address a;
        if (lp_find(reply, LP_T_COOKIE4, &it) && lp_address(&it, &a) && a.family == IP_V4) {
            set_cookie(&p->cookie4, p->text4, &a);
        }
        if (lp_find(reply, LP_T_COOKIE6, &it) && lp_address(&it, &a) && a.family == IP_V6) {
            set_cookie(&p->cookie6, p->text6, &a);
        }
        if (p->name[0] == '\0' && lp_find(reply, LP_T_NAME, &it)) {
            (void)lp_str(&it, p->name, sizeof(p->name));
        }
        size_t len = asked != NULL ? strlen(asked) : 0;
        if (len > 0 && asked[len - 1] == '.') {
            len--;
        }
        if (len > 0 && len < sizeof(p->asked) && p->asked[0] == '\0' &&
            !same_name(p->name, asked)) {
            memcpy(p->asked, asked, len);
        }
        p->named_ms = now_ms;
        remember_hints(p, reply, now_ms);
        describe((unsigned)(p - pools), ret);
    }
    pre_state_unlock();
    return p != NULL;
}

void pre_pool_link(uint16_t index, const struct ip_address *cookie)
{
    pre_state_lock();
    if (index < pool_count) {
        struct pool *p = &pools[index];
        if (cookie->family == IP_V4 && p->cookie4.family == IP_NONE) {
            set_cookie(&p->cookie4, p->text4, cookie);
        } else if (cookie->family == IP_V6 && p->cookie6.family == IP_NONE) {
            set_cookie(&p->cookie6, p->text6, cookie);
        }
    }
    pre_state_unlock();
}

struct pool_handle pre_pool_handle_ref(uint16_t index)
{
    struct pool_handle handle = {0};
    pre_state_lock();
    if (index < pool_count) {
        handle =
            (struct pool_handle){.octets = pools[index].handle, .len = pools[index].handle_len};
    }
    pre_state_unlock();
    return handle;
}

bool pre_pool_info(uint16_t index, struct pre_pool_info *ret)
{
    pre_state_lock();
    bool found = index < pool_count;
    if (found) {
        describe(index, ret);
    }
    pre_state_unlock();
    return found;
}

void pre_pool_answered(uint16_t index, const struct lp_pe *pe, int64_t now_ms)
{
    pre_state_lock();
    if (index < pool_count) {
        remember(&pools[index], pe, now_ms, true);
    }
    pre_state_unlock();
}

void pre_pool_failed(uint16_t index, uint32_t pe_id)
{
    pre_state_lock();
    for (unsigned i = 0; index < pool_count && i < ANSWERS; i++) {
        if (pools[index].answers[i].pe.pe_id == pe_id) {
            pools[index].answers[i].at_ms = 0;
        }
    }
    pre_state_unlock();
}

static bool avoided(uint32_t pe_id, const uint32_t *avoid, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (avoid[i] == pe_id) {
            return true;
        }
    }
    return false;
}

bool pre_pool_last(uint16_t index, int64_t now_ms, int64_t max_age_ms, const uint32_t *avoid,
                   unsigned avoid_count, uint32_t want_pe, enum transport_protocol protocol,
                   bool chosen, struct lp_pe *ret)
{
    const struct answer *best = NULL;
    pre_state_lock();
    for (unsigned i = 0; index < pool_count && i < ANSWERS; i++) {
        const struct answer *a = &pools[index].answers[i];
        if (a->at_ms == 0 || now_ms - a->at_ms > max_age_ms || (chosen && !a->chosen) ||
            (want_pe != 0 && want_pe != a->pe.pe_id) || a->pe.protocol != protocol ||
            avoided(a->pe.pe_id, avoid, avoid_count)) {
            continue;
        }
        if (best == NULL || a->chosen > best->chosen ||
            (a->chosen == best->chosen && a->at_ms >= best->at_ms)) {
            best = a;
        }
    }
    if (best != NULL) {
        *ret = best->pe;
    }
    pre_state_unlock();
    return best != NULL;
}
