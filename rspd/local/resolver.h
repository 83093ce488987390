/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Resolver threads: they read connections of the Unix socket and answer what can be answered beside
 * the loop thread, so that whatever keeps that busy does not delay a resolution.
 *
 * A connection ("line") belongs to one thread at a time. The loop thread lends it; a resolver
 * thread then reads one message after another and answers it, in their order, or gives the line
 * back with the message that it cannot answer, with one whose answer the client does not take
 * now, or because the connection has ended. Nothing waits in a resolver thread, and nothing is kept
 * there but that one message: a client that does not read gets no further than its own line.
 *
 * Lines come back through a lock-free stack and an eventfd. A resolver thread is a registered
 * reader of the handlespace and sleeps in epoll_wait() when there is nothing to do.
 */
#ifndef RSP_RSPD_LOCAL_RESOLVER_H
#define RSP_RSPD_LOCAL_RESOLVER_H

#include "transport/loop.h"
#include "wire/local.h"

#define RESOLVER_THREADS_MAX 64

struct resolvers;
struct resolver;

/** Embedded in what the connection is to its owner. Zeroed at first; `fd` is set by the owner. */
struct resolver_line {
    int fd;
    struct resolver *resolver; /* its thread, from the first time on */
    struct resolver_line *next;
    /* As it comes back: */
    uint8_t *message; /* to be freed by the owner; NULL: the connection has ended */
    size_t len;       /* more than LP_MESSAGE_MAX: the message was longer, the rest is lost */
};

struct resolver_handlers {
    /** On a resolver thread: the reply's length, or 0 when the loop thread must answer. */
    size_t (*answer)(void *ctx, const struct resolver_line *line, const struct lp_message *msg,
                     uint8_t *out, size_t size);
    /** In the loop: the line is the owner's again. */
    void (*returned)(void *ctx, struct resolver_line *line);
};

/** One less than the processors this process may use, at least one. */
unsigned resolvers_default(void);
/** 0 or -errno; then nothing was started. */
int resolvers_new(struct loop *loop, unsigned count, const struct resolver_handlers *handlers,
                  void *ctx, struct resolvers **ret);
/** Ends the threads; every line is its owner's again, without a call. NULL-safe. */
void resolvers_free(struct resolvers *rs);
/** From now on a resolver thread reads it. 0, or -errno: it is still the owner's. */
int resolvers_lend(struct resolvers *rs, struct resolver_line *line);

#endif
