/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * State cookies through the daemon: sealed for a client to keep, opened when it brings them back.
 * The keys never come into the program. On one connection as lp_call(); no allocation.
 */
#ifndef RSP_LIBRSP_LP_COOKIE_H
#define RSP_LIBRSP_LP_COOKIE_H

#include "librsp/lp_client.h"

#define LP_COOKIE_STATE_MAX 60000                      /* octets of state in a cookie */
#define LP_COOKIE_MAX       (LP_COOKIE_STATE_MAX + 60) /* octets of a sealed cookie */
#define LP_COOKIE_WHY_MAX   320

/** Why a cookie was refused; the numbers of the local protocol (LP_T_FAULT). */
enum lp_cookie_fault {
    LP_COOKIE_FINE,
    LP_COOKIE_TRUNCATED,   /* too short to be a sealed cookie */
    LP_COOKIE_UNSEALED,    /* not sealed, and the pool takes no such cookies */
    LP_COOKIE_UNKNOWN_KEY, /* of a key that this host does not have or no longer accepts */
    LP_COOKIE_ALTERED,     /* forged, altered or cut off */
    LP_COOKIE_FOREIGN,     /* of another pool */
    LP_COOKIE_TOO_OLD,
    LP_COOKIE_TOO_NEW /* issued in the future */
};

/** What came back; octets borrow from the buffer passed in. */
struct lp_cookie {
    const uint8_t *octets;
    size_t len;
    bool sealed;                 /* false: the pool's settings want cookies as they are */
    uint32_t pe_id;              /* lp_cookie_open: who sealed it; 0: unsealed */
    uint64_t age_ms;             /* lp_cookie_open: since it was sealed */
    enum lp_cookie_fault fault;  /* lp_cookie_open, -EKEYREJECTED */
    char why[LP_COOKIE_WHY_MAX]; /* a sentence about a failure; "" when there is none */
};

/**
 * Seals the state of a session of a pool element of this host.
 * @param fd         a connection on which HELLO has been said; not used by anybody else meanwhile
 * @param request    a request id, not 0
 * @param pe_id      the element; 0: any of the caller's in that pool
 * @param buffer     room for LP_MESSAGE_MAX octets: request and reply
 * @param ret        the cookie to send with ASAP COOKIE; on failure its `why`
 * @return 0; -EPERM: no element of the caller's; -EMSGSIZE: more than LP_COOKIE_STATE_MAX octets;
 *         -ENOPKG: the host has no libsodium; -EUCLEAN: its key file is damaged; -EOPNOTSUPP: the
 *         daemon is too old; or as lp_call()
 */
int lp_cookie_seal(const struct lp_calls *calls, int fd, uint32_t request, struct pool_handle pool,
                   uint32_t pe_id, const void *state, size_t len, void *buffer,
                   struct lp_cookie *ret, int timeout_ms);

/**
 * Opens a cookie that came with ASAP COOKIE_ECHO; parameters as lp_cookie_seal(). The daemon
 * reports a refused one; the session then begins anew.
 * @return 0; -EKEYREJECTED: refused, `fault` and `why` say why; else as lp_cookie_seal()
 */
int lp_cookie_open(const struct lp_calls *calls, int fd, uint32_t request, struct pool_handle pool,
                   uint32_t pe_id, const void *cookie, size_t len, void *buffer,
                   struct lp_cookie *ret, int timeout_ms);

#endif
