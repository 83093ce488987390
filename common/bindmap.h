/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which listening socket joins which pool: the text of $RSP_BIND and of a rule's `bind` setting.
 *
 *     list  = entry *("," entry)            blanks around an entry are ignored
 *     entry = [("tcp" | "udp" | "sctp") ":"] (PORT | "all") ["=" POOL]
 *
 * "8080=web,8443=web-tls": two ports, two pools. "8080": that port joins the default pool
 * ($RSP_POOL). "all": every listening TCP socket does. Without a protocol an entry means TCP and
 * SCTP: a bound UDP socket joins only when it is named ("udp:53=dns", preload-notes §7.1).
 * The first entry that fits wins. Pool names are handles as they stand (no ',' in them).
 *
 * Pure, no allocation; entries borrow the text.
 */
#ifndef RSP_COMMON_BINDMAP_H
#define RSP_COMMON_BINDMAP_H

#include "common/types.h"

struct bindmap_entry {
    enum transport_protocol protocol; /* TRANSPORT_NONE: TCP or SCTP */
    uint16_t port;                    /* 0: all */
    struct pool_handle handle;        /* len 0: the default pool */
};

/**
 * Takes the next entry off `*pos` (a pointer into the text, moved on). Returns 1 with an entry, 0
 * at the end, -EINVAL when the entry is malformed: `*pos` then stands behind it, so that the rest
 * can still be read.
 */
int bindmap_next(const char **pos, struct bindmap_entry *ret);

/** Checks a whole list. On -EINVAL says in `error` what is wrong with which entry. */
int bindmap_check(const char *text, char *error, size_t error_size);

/**
 * The pool of a socket: the first entry of `text` (NULL or "": none) that fits. Returns true and
 * the handle, borrowed from `text` or `fallback`; false when no entry fits, or when it names no
 * pool and `fallback` is empty. Malformed entries are skipped.
 */
bool bindmap_lookup(const char *text, enum transport_protocol protocol, uint16_t port,
                    struct pool_handle fallback, struct pool_handle *ret);

#endif
