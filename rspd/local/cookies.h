/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cookie addresses (preload-notes §5.2, decisions.md): what programs that know only IPv4 and IPv6
 * get for a pool name. The index of a handle is a hash of its octets (the same on every host), the
 * next free one after it when two handles collide; the IPv4 cookie is network + index, the IPv6
 * cookie has the index in its last 16 bits. A cookie is never taken back nor given to another
 * handle: the table is kept in RUNTIME_DIR/cookies, one line per handle, only ever appended to.
 *
 * All-zeros and all-ones of the network are not given out. Constant time both ways. Loop thread.
 */
#ifndef RSP_RSPD_LOCAL_COOKIES_H
#define RSP_RSPD_LOCAL_COOKIES_H

#include "common/types.h"

#define COOKIES_PER_UID_DEFAULT 4096

struct cookies_settings {
    struct ip_address net4; /* 127.42.0.0 */
    uint8_t prefix4;        /* 16; 8 … 28, at most 2^16 cookies are used */
    struct ip_address net6; /* fd52:5350:0:a1:: */
    uint8_t prefix6;        /* 64; ≤ 112 */
    uint32_t per_uid_max;   /* new cookies a uid other than root may cause; 0: the default */
};
/** The defaults; an unprivileged daemon takes 127.43.0.0/16. */
void cookies_settings_default(bool privileged, struct cookies_settings *ret);

struct cookie {
    uint32_t index;
    struct ip_address v4;
    struct ip_address v6;
};

struct cookies;

/**
 * Reads the table at `path` (NULL: kept in memory only), dropping a cut last line. -EINVAL: bad
 * settings; -errno: the file cannot be read or made.
 */
int cookies_new(const struct cookies_settings *settings, const char *path, struct cookies **ret);
void cookies_free(struct cookies *c);

/**
 * The cookie of a handle, allocated now if need be on account of `uid`. 0; -EINVAL: empty or
 * over-long handle; -EDQUOT: the uid's share is used up; -ENOSPC: the network is full; -errno of
 * the write (the cookie is not given out then, so that a restart cannot change it); -ENOMEM.
 */
int cookies_get(struct cookies *c, struct pool_handle handle, uint32_t uid, struct cookie *ret);
/** The same without allocating; false: it has none. */
bool cookies_find(const struct cookies *c, struct pool_handle handle, struct cookie *ret);

/** Whether an address (v4-mapped too) lies in the cookie networks, given out or not. */
bool cookies_covers(const struct cookies *c, const struct ip_address *address);
/** The handle of a cookie address (v4-mapped too), borrowed for the life of the table; any thread.
 */
bool cookies_handle(const struct cookies *c, const struct ip_address *address,
                    struct pool_handle *ret);
size_t cookies_count(const struct cookies *c);

#endif
