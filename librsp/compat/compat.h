/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of the drop-in share: which descriptors are its own, and what is owed to them.
 *
 *   info.c       beginning, end, options of the command line
 *   sockets.c    sockets, elements, users
 *   messages.c   messages, notifications, waiting
 *   tags.c       the functions with a list of tags
 */
#ifndef RSP_LIBRSP_COMPAT_COMPAT_H
#define RSP_LIBRSP_COMPAT_COMPAT_H

#include <errno.h>
#include <stdbool.h>

#include <rserpool/rserpool-internals.h>

#include "librsp/compat/core.h"

/** Marks what the shared library exports. */
#define COMPAT_PUBLIC __attribute__((visibility("default")))

enum compat_kind {
    COMPAT_NONE,
    COMPAT_SOCKET,
    COMPAT_MAPPED,    /* a descriptor of the system, under its own number */
    COMPAT_DUPLICATED /* the same, under a number of the program's choice: ours to close */
};

/** Remembers a descriptor. 0 or -ENOMEM. Everything here is thread-safe. */
int compat_add(int fd, enum compat_kind kind);
enum compat_kind compat_kind(int fd);
/** Forgets it; what it was. */
enum compat_kind compat_remove(int fd);
/** The lowest descriptor of a kind; -1: none. */
int compat_first(enum compat_kind kind);

/** "Failover necessary" is owed: librsp has never had a server for the session, and so lost none.
 */
void compat_owe_failover(int fd, bool owed);
bool compat_owes_failover(int fd);

/** Whether rsp_initialize() has been called; sets errno if not. */
bool compat_ready(void);

/** A timeout of the reference interface, where a negative one does not wait. */
static inline int compat_timeout(int timeout)
{
    return timeout < 0 ? 0 : timeout;
}

/** connect and failover with what tags may say; microseconds, 0: not said. */
int compat_connect(int sd, const unsigned char *handle, size_t size, unsigned int stale_cache_ms,
                   unsigned long connect_us);
int compat_failover(int sd, unsigned int flags, unsigned int stale_cache_ms,
                    unsigned long connect_us, unsigned long retry_us);

#endif
