/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What every piece of our own work inside a foreign thread stands in: signals blocked,
 * cancellation off, errno kept, and a depth mark so that hooks called from within (by an allocator,
 * a name service module) pass straight on. Never entered round an original that may block.
 */
#ifndef RSP_PRELOAD_GUARD_H
#define RSP_PRELOAD_GUARD_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#define PRE_TLS __thread __attribute__((tls_model("initial-exec")))

extern PRE_TLS int pre_depth;

/** Whether the caller is our own work: then only the original may be called. */
static inline bool pre_inside(void)
{
    return __builtin_expect(pre_depth != 0, 0);
}

struct pre_guard {
    sigset_t signals;
    int cancel_state;
    int saved_errno;
};

void pre_enter(struct pre_guard *guard);
/** Restores errno too; a hook that fails sets it afterwards. */
void pre_leave(const struct pre_guard *guard);

/** Monotonic milliseconds; no system call where the vdso has the clock. */
int64_t pre_now_ms(void);

#endif
