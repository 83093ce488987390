/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the files of librsp share; nothing of it is exported.
 *
 *   rpc.c         questions to the daemon, over a few connections of the process
 *   basic.c       basic mode            policies.c  policies by number and name
 *   frame.c       framing over TCP (pure)
 *   control.c     ASAP's control channel: cookies, business cards, errors (pure)
 *   card.c        business cards: a server's, a user's
 *   machine.c     the user's session: state, event, now -> actions (pure)
 *   channel.c     one connection: messages out, messages in, over TCP or kernel SCTP
 *   sockaddr.c    the system's addresses
 *   sd.c          descriptors: table, life, lock, readiness
 *   user.c        a user's session: carries the machine's actions out
 *   pe.c          the accepting side     io.c  messages    poll.c  waiting
 *   options.c     socket options         notify.c  notifications
 *   seal.c        cookies through the daemon
 *   status_report.c   reports to a monitor: when, as what (pure)   status.c   and their way
 *   server.c      rsp_server on top of the public interface
 *
 * Functions here return 0 or more, or -errno; those of include/rsp/ set errno. Lock order:
 * status.c's, an sd's mutex, then its `receiver`, the table's or rpc's; never two sds'.
 */
#ifndef RSP_LIBRSP_INTERNAL_H
#define RSP_LIBRSP_INTERNAL_H

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "common/clock.h"
#include "librsp/lp_client.h"
#include "librsp/rpc.h"

/** Marks what the shared library exports. */
#define RSP_PUBLIC __attribute__((visibility("default")))

/** Sets errno from a negative result, and makes it -1. */
static inline int rsp_ret(int result)
{
    if (result < 0) {
        errno = -result;
        return -1;
    }
    return result;
}

static inline struct tm_us now_us(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (struct tm_us){(int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000};
}

/** Until when a timeout of the interface lasts: -1 is never. */
static inline struct tm_us deadline_of(int timeout_ms)
{
    return timeout_ms < 0 ? TM_NEVER : tm_add_ms(now_us(), timeout_ms);
}

/** What is left of it for poll(), rounded up; at most `most` ms (-1: no bound). */
int time_left_ms(struct tm_us deadline, int most);

#endif
