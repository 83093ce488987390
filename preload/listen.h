/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pool elements: which listening sockets register, when, and how long. A registered listener has a
 * life fd beside it (decisions.md "Life of a local PE") with the same inheritance; every copy of
 * the listener in this process has its own.
 */
#ifndef RSP_PRELOAD_LISTEN_H
#define RSP_PRELOAD_LISTEN_H

#include <stdatomic.h>
#include <stdbool.h>

#include "preload/fdtable.h"

#define PRE_NO_LIFE UINT32_MAX

extern atomic_int pre_listen_pending;
void pre_listen_retry_now(void);

/** Registers listeners that had to wait for the daemon, if one does and it is time to look. */
static inline void pre_listen_retry(void)
{
    if (__builtin_expect(atomic_load_explicit(&pre_listen_pending, memory_order_relaxed) > 0, 0)) {
        pre_listen_retry_now();
    }
}

/** Constructor: listeners this process image inherited, if the environment asks for them. */
void pre_listen_inherited(void);

/** A marked listener is about to be closed here: its life fd goes too. */
void pre_listen_closing(int fd, const struct pre_fd *record);
/** `to` is a new copy of the listener `from`: gets a life fd of its own. */
void pre_listen_copied(const struct pre_fd *record, int to, bool cloexec);
/** The listener's close-on-exec flag was changed. */
void pre_listen_cloexec(const struct pre_fd *record, bool cloexec);
/** The program wants the number of a life fd for itself (dup2): moves it away. */
void pre_listen_make_room(int fd, const struct pre_fd *life);

#endif
