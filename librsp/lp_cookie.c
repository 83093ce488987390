/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* LP_COOKIE_SEAL and LP_COOKIE_OPEN. */
#include "librsp/lp_cookie.h"

#include <errno.h>
#include <string.h>

static int ask(const struct lp_calls *calls, int fd, const struct lp_writer *w, void *buffer,
               struct lp_cookie *ret, int timeout_ms)
{
    struct lp_message reply;
    struct lp_each it;
    int r = lp_call(calls, fd, NULL, w, buffer, LP_MESSAGE_MAX, &reply, NULL, timeout_ms);
    if (r != 0) {
        return r;
    }
    if (reply.type != LP_COOKIE_REPLY) {
        r = lp_result(&reply);
        if (lp_find(&reply, LP_T_TEXT, &it)) {
            (void)lp_str(&it, ret->why, sizeof(ret->why));
        }
        if (lp_find(&reply, LP_T_FAULT, &it)) {
            ret->fault = (enum lp_cookie_fault)lp_u32(&it, LP_COOKIE_ALTERED);
        }
        return r != 0 ? r : -EBADMSG;
    }
    if (!lp_find(&reply, LP_T_COOKIE, &it)) {
        return -EBADMSG;
    }
    ret->octets = it.value;
    ret->len = it.len;
    ret->sealed = lp_find(&reply, LP_T_SEALED, &it) && lp_u32(&it, 0) != 0;
    ret->pe_id = lp_find(&reply, LP_T_PE_ID, &it) ? lp_u32(&it, 0) : 0;
    ret->age_ms = lp_find(&reply, LP_T_AGE_MS, &it) ? lp_u64(&it, 0) : 0;
    return 0;
}

static int call(const struct lp_calls *calls, int fd, enum lp_type type, uint32_t request,
                struct pool_handle pool, uint32_t pe_id, const void *octets, size_t len,
                void *buffer, struct lp_cookie *ret, int timeout_ms)
{
    struct lp_writer w;
    memset(ret, 0, sizeof(*ret));
    lp_begin(&w, buffer, LP_MESSAGE_MAX, type, request);
    lp_put_handle(&w, pool);
    if (pe_id != 0) {
        lp_put_u32(&w, LP_T_PE_ID, pe_id);
    }
    lp_put_octets(&w, LP_T_COOKIE, octets, len);
    int r = lp_finish(&w);
    return r < 0 ? r : ask(calls, fd, &w, buffer, ret, timeout_ms);
}

int lp_cookie_seal(const struct lp_calls *calls, int fd, uint32_t request, struct pool_handle pool,
                   uint32_t pe_id, const void *state, size_t len, void *buffer,
                   struct lp_cookie *ret, int timeout_ms)
{
    if (len > LP_COOKIE_STATE_MAX) {
        memset(ret, 0, sizeof(*ret));
        return -EMSGSIZE;
    }
    return call(calls, fd, LP_COOKIE_SEAL, request, pool, pe_id, state, len, buffer, ret,
                timeout_ms);
}

int lp_cookie_open(const struct lp_calls *calls, int fd, uint32_t request, struct pool_handle pool,
                   uint32_t pe_id, const void *cookie, size_t len, void *buffer,
                   struct lp_cookie *ret, int timeout_ms)
{
    if (len > LP_COOKIE_MAX) {
        memset(ret, 0, sizeof(*ret));
        return -EMSGSIZE;
    }
    return call(calls, fd, LP_COOKIE_OPEN, request, pool, pe_id, cookie, len, buffer, ret,
                timeout_ms);
}
