/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* State cookies: sealed and opened for the elements of this host, and their keys. */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rspd/local/requests_internal.h"

#define REFUSALS_TOLD   10 /* refused cookies that become events … */
#define REFUSALS_SPAN_S 10 /* … in that time; the others are counted */
#define KEY_AFTER_MAX_S ((uint64_t)366 * 86400)

/* --- the pool -----------------------------------------------------------------------------------
 */

/** The settings for a pool; NULL: none, so the built-in values hold. */
static const struct settings_pool *settings_of(const struct requests *rq, struct pool_handle handle)
{
    char text[POOL_HANDLE_MAX + 1];
    memcpy(text, handle.octets, handle.len);
    text[handle.len] = '\0';
    bool odd = strlen(text) != handle.len;
    for (size_t i = 0; i < rq->env.settings->pool_count; i++) {
        const struct settings_pool *p = &rq->env.settings->pools[i];
        if (odd ? strcmp(p->pattern, "*") == 0 : fnmatch(p->pattern, text, FNM_NOESCAPE) == 0) {
            return p;
        }
    }
    return NULL;
}

/** `owner`: of a ring made now. */
static struct vault_pool vault_pool(const struct requests *rq, struct pool_handle handle,
                                    uint32_t owner)
{
    const struct settings_pool *p = settings_of(rq, handle);
    uint32_t life_ms = p != NULL ? p->cookie_life_ms : SETTINGS_COOKIE_LIFE_MS;
    return (struct vault_pool){.handle = handle,
                               .owner = owner,
                               .max_age_s = life_ms / 1000 + (life_ms % 1000 != 0 ? 1 : 0),
                               .trusts_owners = p != NULL && (p->register_users.count > 0 ||
                                                              p->register_groups.count > 0)};
}

static bool unsealed_allowed(const struct requests *rq, struct pool_handle handle)
{
    const struct settings_pool *p = settings_of(rq, handle);
    return p != NULL && p->cookies == SETTINGS_COOKIES_UNSEALED;
}

static bool same_pool(const struct pe *pe, struct pool_handle handle)
{
    return pe->r.handle_len == handle.len && memcmp(pe->r.handle, handle.octets, handle.len) == 0;
}

/** The element of this host the client speaks for: PE_ID, or any of its own. NULL: it has been
 * told.
 */
static const struct pe *own_element(struct rq_client *c, const struct lp_message *msg,
                                    struct pool_handle handle)
{
    uint32_t uid = server_peer(c->client)->uid;
    char name[POOL_HANDLE_TEXT_MAX];
    struct lp_each it;
    uint32_t id = lp_find(msg, LP_T_PE_ID, &it) ? lp_u32(&it, 0) : 0;
    const struct pe *pe = id != 0 ? pes_find(c->rq->pes, id) : pes_next(c->rq->pes, NULL);
    while (pe != NULL && (!same_pool(pe, handle) || (uid != 0 && pe->r.uid != uid))) {
        pe = id != 0 ? NULL : pes_next(c->rq->pes, pe);
    }
    if (pe == NULL) {
        rq_result(c, msg->request, -EPERM,
                  "user %u has no such element in pool \"%s\" on this host: only the owner of one "
                  "may seal and open the pool's cookies",
                  uid, pool_handle_format(handle, name, sizeof(name)));
    }
    return pe;
}

/** Pool, cookie and element of a request; NULL: the client has been told. */
static const struct pe *read_request(struct rq_client *c, const struct lp_message *msg,
                                     uint8_t *buffer, struct pool_handle *ret_handle,
                                     struct lp_each *ret_cookie)
{
    if (rq_pool_of(c, msg, buffer, ret_handle) != 0) {
        return NULL;
    }
    if (!lp_find(msg, LP_T_COOKIE, ret_cookie)) {
        rq_result(c, msg->request, -EINVAL, "the request has no cookie");
        return NULL;
    }
    return own_element(c, msg, *ret_handle);
}

static uint32_t owner_of(const struct requests *rq, struct pool_handle handle, uint32_t otherwise)
{
    uint32_t owner;
    return authority_owner(rq->env.authority, handle, &owner) ? owner : otherwise;
}

/* --- sealing and opening ------------------------------------------------------------------------
 */

static void reply_cookie(struct rq_client *c, uint32_t request, const void *octets, size_t len,
                         bool sealed, const struct seal_info *info)
{
    struct lp_writer w;
    rq_begin(c, &w, LP_COOKIE_REPLY, request);
    lp_put_octets(&w, LP_T_COOKIE, octets, len);
    lp_put_u32(&w, LP_T_SEALED, sealed ? 1 : 0);
    if (info != NULL) {
        uint64_t now = vault_now_s(c->rq->env.vault);
        lp_put_u32(&w, LP_T_PE_ID, info->pe_id);
        lp_put_u64(&w, LP_T_AGE_MS, info->issued_s < now ? (now - info->issued_s) * 1000 : 0);
    }
    (void)rq_send(c, &w, request, -1);
}

void rq_cookie_seal(struct rq_client *c, const struct lp_message *msg)
{
    struct requests *rq = c->rq;
    uint8_t buffer[POOL_HANDLE_MAX];
    struct pool_handle handle;
    struct lp_each state;
    char why[VAULT_WHY_MAX] = "";
    const struct pe *pe = read_request(c, msg, buffer, &handle, &state);
    if (pe == NULL) {
        return;
    }
    if (state.len > SEAL_PAYLOAD_MAX) {
        rq_result(c, msg->request, -EMSGSIZE, "a state cookie has at most %d octets",
                  SEAL_PAYLOAD_MAX);
        return;
    }
    if (unsealed_allowed(rq, handle)) {
        reply_cookie(c, msg->request, state.value, state.len, false, NULL);
        return;
    }
    struct vault_pool pool = vault_pool(rq, handle, owner_of(rq, handle, pe->r.uid));
    bool unsaved;
    int n = vault_seal(rq->env.vault, &pool, pe->r.pe_id, state.value, state.len, rq->cookie,
                       &unsaved, why, sizeof(why));
    if (unsaved) {
        log_warn("the new cookie key of a pool lives in memory only: %s", why);
    }
    if (n < 0) {
        rq_result(c, msg->request, n, "%s", why);
        return;
    }
    struct seal_info info = {.issued_s = vault_now_s(rq->env.vault), .pe_id = pe->r.pe_id};
    reply_cookie(c, msg->request, rq->cookie, (size_t)n, true, &info);
}

/** A refused cookie is an event, unless too many are: a client may send them as fast as it likes.
 */
static void tell_refused(struct rq_client *c, struct pool_handle handle, const struct pe *pe,
                         enum seal_fault fault, const struct seal_info *info)
{
    struct requests *rq = c->rq;
    uint64_t now = vault_now_s(rq->env.vault);
    if (now < rq->refusals_since_s || now - rq->refusals_since_s >= REFUSALS_SPAN_S) {
        rq->refusals_since_s = now;
        rq->refusals = 0;
    }
    if (rq->refusals >= REFUSALS_TOLD) {
        rq->refusals_untold++;
        return;
    }
    rq->refusals++;
    struct event event = {.kind = EVENT_COOKIE_REFUSED, .handle = handle, .pe_id = pe->r.pe_id};
    int n = snprintf(event.text, sizeof(event.text), "a state cookie is refused: %s",
                     seal_fault_text(fault));
    if (n > 0 && (size_t)n < sizeof(event.text) && info->key_id != 0) {
        n += snprintf(event.text + n, sizeof(event.text) - (size_t)n, " (key %u)", info->key_id);
    }
    if (n > 0 && (size_t)n < sizeof(event.text) && rq->refusals_untold > 0) {
        (void)snprintf(event.text + n, sizeof(event.text) - (size_t)n, "; %u more before it",
                       rq->refusals_untold);
        rq->refusals_untold = 0;
    }
    (void)eventlog_add(rq->env.log, &event, 0);
}

static void refuse(struct rq_client *c, uint32_t request, enum seal_fault fault)
{
    struct lp_writer w;
    char text[RQ_TEXT_MAX];
    rq_begin(c, &w, LP_RESULT, request);
    lp_put_i32(&w, LP_T_RESULT, -EKEYREJECTED);
    lp_put_u32(&w, LP_T_FAULT, (uint32_t)fault);
    (void)snprintf(text, sizeof(text), "the state cookie is refused: %s", seal_fault_text(fault));
    lp_put_str(&w, LP_T_TEXT, text);
    (void)rq_send(c, &w, request, -1);
}

void rq_cookie_open(struct rq_client *c, const struct lp_message *msg)
{
    struct requests *rq = c->rq;
    uint8_t buffer[POOL_HANDLE_MAX];
    struct pool_handle handle;
    struct lp_each cookie;
    struct seal_info info;
    char why[VAULT_WHY_MAX] = "";
    size_t len = 0;
    const struct pe *pe = read_request(c, msg, buffer, &handle, &cookie);
    if (pe == NULL) {
        return;
    }
    if (unsealed_allowed(rq, handle) &&
        !vault_claims(rq->env.vault, handle, cookie.value, cookie.len)) {
        reply_cookie(c, msg->request, cookie.value, cookie.len, false, NULL);
        return;
    }
    if (cookie.len > SEAL_COOKIE_MAX) {
        rq_result(c, msg->request, -EMSGSIZE, "a state cookie has at most %d octets",
                  SEAL_COOKIE_MAX);
        return;
    }
    struct vault_pool pool = vault_pool(rq, handle, owner_of(rq, handle, pe->r.uid));
    int r = vault_open(rq->env.vault, &pool, cookie.value, cookie.len, rq->cookie, &len, &info, why,
                       sizeof(why));
    if (r < 0) {
        rq_result(c, msg->request, r, "%s", why);
    } else if (r != SEAL_FINE) {
        tell_refused(c, handle, pe, (enum seal_fault)r, &info);
        refuse(c, msg->request, (enum seal_fault)r);
    } else {
        reply_cookie(c, msg->request, rq->cookie, len, true, &info);
    }
    explicit_bzero(rq->cookie, len);
}

/* --- keys ---------------------------------------------------------------------------------------
 */

/** Whether the client may handle a pool's keys: its owner and root. */
static bool may_handle(const struct rq_client *c, struct pool_handle handle)
{
    uint32_t uid = server_peer(c->client)->uid;
    uint32_t owner;
    if (uid == 0 || authority_owner(c->rq->env.authority, handle, &owner)) {
        return uid == 0 || uid == owner;
    }
    return vault_ring(c->rq->env.vault, handle, &owner) != NULL && uid == owner;
}

struct key_list {
    struct rq_client *c;
    struct lp_writer *w;
};

static void put_ring(void *ctx, struct pool_handle handle, const struct keyring *ring)
{
    struct key_list *list = (struct key_list *)ctx;
    struct requests *rq = list->c->rq;
    uint64_t now = vault_now_s(rq->env.vault);
    uint32_t max_age_s = vault_pool(rq, handle, 0).max_age_s;
    if (!may_handle(list->c, handle)) {
        return;
    }
    for (size_t i = 0; i < ring->count; i++) {
        const struct keyring_key *key = &ring->keys[i];
        size_t before = list->w->used;
        size_t mark = lp_nest(list->w, LP_T_COOKIE_KEY);
        lp_put_handle(list->w, handle);
        lp_put_u32(list->w, LP_T_KEY_ID, key->id);
        lp_put_str(list->w, LP_T_STATE,
                   keyring_state_name(keyring_state(ring, key, now, max_age_s)));
        lp_put_u64(list->w, LP_T_AGE_MS, key->created_s < now ? (now - key->created_s) * 1000 : 0);
        if (key->from_s > now) {
            lp_put_u64(list->w, LP_T_DELAY_MS, (key->from_s - now) * 1000);
        }
        lp_unnest(list->w, mark);
        if (list->w->err) {
            lp_rewind(list->w, before); /* thousands of keys: ask for one pool */
            return;
        }
    }
}

/** The keys of one pool, or (NULL) of all that the client may handle. */
static void reply_keys(struct rq_client *c, uint32_t request, const struct pool_handle *handle)
{
    struct lp_writer w;
    struct key_list list = {.c = c, .w = &w};
    uint32_t owner;
    rq_begin(c, &w, LP_COOKIE_KEYS_REPLY, request);
    if (handle == NULL) {
        vault_each(c->rq->env.vault, put_ring, &list);
    } else {
        const struct keyring *ring = vault_ring(c->rq->env.vault, *handle, &owner);
        if (ring != NULL) {
            put_ring(&list, *handle, ring);
        }
    }
    (void)rq_send(c, &w, request, -1);
}

static void reply_export(struct rq_client *c, uint32_t request, const struct vault_pool *pool)
{
    static char text[KEYRING_TEXT_MAX]; /* loop thread only; wiped after use */
    char why[VAULT_WHY_MAX] = "";
    struct lp_writer w;
    int n = vault_export(c->rq->env.vault, pool, text, sizeof(text), why, sizeof(why));
    if (n < 0) {
        rq_result(c, request, n, "%s", why);
        return;
    }
    rq_begin(c, &w, LP_COOKIE_KEYS_REPLY, request);
    lp_put_octets(&w, LP_T_KEYS, text, (size_t)n);
    (void)rq_send(c, &w, request, -1);
    explicit_bzero(text, sizeof(text));
}

static void tell_keys(struct rq_client *c, struct pool_handle handle, const char *what, int number)
{
    struct event event = {.kind = EVENT_COOKIE_KEY, .handle = handle};
    (void)snprintf(event.text, sizeof(event.text), "%s %d by user %u", what, number,
                   server_peer(c->client)->uid);
    (void)eventlog_add(c->rq->env.log, &event, 0);
}

/** rotate, drop, import: 0, or -errno with a sentence. */
static int change_keys(struct rq_client *c, const struct lp_message *msg, const char *action,
                       const struct vault_pool *pool, char *why, size_t size)
{
    struct vault *vault = c->rq->env.vault;
    struct lp_each it;
    int r;
    if (strcmp(action, "rotate") == 0) {
        uint64_t after_s = (lp_find(msg, LP_T_DELAY_MS, &it) ? lp_u64(&it, 0) : 0) / 1000;
        if (after_s > KEY_AFTER_MAX_S) {
            (void)snprintf(why, size, "a new key may wait for a year at most");
            return -EINVAL;
        }
        r = vault_rotate(vault, pool, (uint32_t)after_s, why, size);
        if (r >= 0) {
            tell_keys(c, pool->handle, "made: cookie key", r);
        }
    } else if (strcmp(action, "drop") == 0) {
        uint32_t id = lp_find(msg, LP_T_KEY_ID, &it) ? lp_u32(&it, 0) : 0;
        r = vault_drop(vault, pool, id <= UINT16_MAX ? (uint16_t)id : 0, why, size);
        if (r >= 0) {
            tell_keys(c, pool->handle, "dropped: cookie key", (int)id);
        }
    } else if (strcmp(action, "import") == 0 && lp_find(msg, LP_T_KEYS, &it)) {
        r = vault_import(vault, pool, (const char *)it.value, it.len, why, size);
        if (r >= 0) {
            tell_keys(c, pool->handle, "imported: cookie keys,", r);
        }
    } else {
        (void)snprintf(why, size, "no such action on cookie keys");
        r = -EINVAL;
    }
    return r < 0 ? r : 0;
}

void rq_cookie_keys(struct rq_client *c, const struct lp_message *msg)
{
    uint8_t buffer[POOL_HANDLE_MAX];
    struct pool_handle handle;
    struct lp_each it;
    char action[16] = "";
    char name[POOL_HANDLE_TEXT_MAX];
    char why[VAULT_WHY_MAX] = "";
    if (lp_find(msg, LP_T_KEY_ACTION, &it)) {
        (void)lp_str(&it, action, sizeof(action));
    }
    bool list = strcmp(action, "list") == 0;
    if (list && vault_broken(c->rq->env.vault) != NULL) {
        rq_result(c, msg->request, -EUCLEAN, "%s", vault_broken(c->rq->env.vault));
        return;
    }
    if (list && !lp_find(msg, LP_T_HANDLE, &it)) {
        reply_keys(c, msg->request, NULL);
        return;
    }
    if (rq_pool_of(c, msg, buffer, &handle) != 0) {
        return;
    }
    if (!may_handle(c, handle)) {
        rq_result(c, msg->request, -EPERM,
                  "the cookie keys of pool \"%s\" are for root and who owns the pool on this host; "
                  "uid %u is neither",
                  pool_handle_format(handle, name, sizeof(name)), server_peer(c->client)->uid);
        return;
    }
    struct vault_pool pool =
        vault_pool(c->rq, handle, owner_of(c->rq, handle, server_peer(c->client)->uid));
    if (strcmp(action, "export") == 0) {
        reply_export(c, msg->request, &pool);
        return;
    }
    int r = list ? 0 : change_keys(c, msg, action, &pool, why, sizeof(why));
    if (r != 0) {
        rq_result(c, msg->request, r, "%s", why);
        return;
    }
    reply_keys(c, msg->request, &handle);
}
