/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * State cookies on their way to users and back: the daemon seals and opens them, the keys never
 * come here. Whether a pool takes cookies as they are is the daemon's setting.
 */
#include <stdlib.h>
#include <string.h>

#include "librsp/lp_cookie.h"
#include "librsp/sd.h"

#define TCP_POOL_LEN (sizeof(TCP_POOL) - 1)

/**
 * The pool whose key counts: that over TCP where the server speaks both protocols, so that a
 * session may go from one to the other.
 */
static struct pool_handle pool_of(const struct sd *sd, uint8_t *room)
{
    size_t len = sd->handle_len;
    memcpy(room, sd->handle, len);
    if (sd->protocol == 0) {
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): octets, not a string */
        memcpy(room + len, TCP_POOL, TCP_POOL_LEN);
        len += TCP_POOL_LEN;
    }
    return (struct pool_handle){.octets = room, .len = (uint16_t)len};
}

static int why_refused(enum lp_cookie_fault fault)
{
    switch (fault) {
    case LP_COOKIE_UNSEALED:
        return -EPERM;
    case LP_COOKIE_UNKNOWN_KEY:
        return -ENOKEY;
    case LP_COOKIE_TOO_OLD:
    case LP_COOKIE_TOO_NEW:
        return -ESTALE;
    default:
        return -EBADMSG;
    }
}

bool session_refused(int error)
{
    return error == -EBADMSG || error == -ESTALE || error == -ENOKEY || error == -EPERM;
}

static int ask(const struct sd *sd, bool seal, const void *in, size_t len, uint8_t **ret,
               size_t *ret_len)
{
    uint8_t room[SD_HANDLE_MAX + TCP_POOL_LEN];
    struct lp_cookie *c = (struct lp_cookie *)calloc(1, sizeof(*c));
    struct pool_handle pool = pool_of(sd, room);
    struct rpc_raw raw = {.fd = -1};
    int r = c != NULL ? -EPIPE : -ENOMEM;
    /* Once more on a new connection: the daemon may have been restarted. */
    for (int attempt = 0; attempt < 2 && r == -EPIPE; attempt++) {
        r = rpc_raw_begin(&raw);
        if (r != 0) {
            break;
        }
        r = seal ? lp_cookie_seal(&lp_calls_libc, raw.fd, raw.request, pool, 0, in, len, raw.room,
                                  c, RPC_TIMEOUT_MS)
                 : lp_cookie_open(&lp_calls_libc, raw.fd, raw.request, pool, 0, in, len, raw.room,
                                  c, RPC_TIMEOUT_MS);
        if (r == 0) {
            *ret = (uint8_t *)malloc(c->len > 0 ? c->len : 1);
            r = *ret == NULL ? -ENOMEM : 0;
        }
        if (r == 0) {
            memcpy(*ret, c->octets, c->len);
            *ret_len = c->len;
        }
        rpc_raw_end(&raw, r == -EPIPE || r == -ETIMEDOUT || r == -EBADMSG);
    }
    if (r == -EKEYREJECTED) {
        r = why_refused(c->fault);
    } else if (!seal && session_refused(r)) {
        r = -ENOTCONN; /* that was said of the question, not of the cookie */
    }
    free(c);
    return r == -EPIPE ? -ENOTCONN : r;
}

int session_seal(const struct sd *sd, const void *state, size_t len, uint8_t **ret, size_t *ret_len)
{
    return sd->handle_len > 0 ? ask(sd, true, state, len, ret, ret_len) : -ENOTCONN;
}

int session_unseal(const struct sd *sd, const void *cookie, size_t len, uint8_t **ret,
                   size_t *ret_len)
{
    return sd->handle_len > 0 ? ask(sd, false, cookie, len, ret, ret_len) : -ENOTCONN;
}
