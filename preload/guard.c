/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* See guard.h. */
#include "preload/guard.h"

#include <errno.h>
#include <pthread.h>
#include <time.h>

PRE_TLS int pre_depth;

void pre_enter(struct pre_guard *guard)
{
    guard->saved_errno = errno;
    sigset_t all;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &guard->signals);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &guard->cancel_state);
    pre_depth++;
}

void pre_leave(const struct pre_guard *guard)
{
    pre_depth--;
    int ignored;
    (void)pthread_setcancelstate(guard->cancel_state, &ignored);
    (void)pthread_sigmask(SIG_SETMASK, &guard->signals, NULL);
    errno = guard->saved_errno;
}

int64_t pre_now_ms(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}
