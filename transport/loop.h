/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * transport/ - how octets and events reach the program; nothing here knows what messages mean.
 *
 *   loop.h      the event loop (sd-event behind a small interface)
 *   assoc.h     SCTP associations: kernel, or userland over UDP (RFC 6951)
 *   announce.h  UDP multicast
 *   hostaddr.h  the host's addresses through netlink
 *   sockdiag.h  sockets as the kernel sees them
 *
 * One thread owns a loop; loop_post() alone may be called from others. A callback may remove any
 * source, its own included. All functions return 0 or -errno unless they say otherwise.
 */
#ifndef RSP_TRANSPORT_LOOP_H
#define RSP_TRANSPORT_LOOP_H

#include "common/clock.h"

struct loop;
struct loop_io;
struct loop_timer;

enum { LOOP_READ = 1, LOOP_WRITE = 2, LOOP_HANGUP = 4 };

int loop_new(struct loop **ret);
/**
 * NULL-safe. Free the loop's descriptors and timers before; signals are taken off here, posted
 * functions that have not run yet are dropped.
 */
void loop_free(struct loop *loop);
/** Runs until loop_exit(). Feeds the systemd watchdog when there is one. */
int loop_run(struct loop *loop);
void loop_exit(struct loop *loop);
/**
 * One round (at most one source is called), waiting at most `timeout_ms` (-1: for ever); for tests.
 * @return 1 when something was called, 0 when not, -errno.
 */
int loop_step(struct loop *loop, int timeout_ms);

/** The time of this round, sampled once. */
struct tm_us loop_now(struct loop *loop);

/** `events`: LOOP_READ | LOOP_WRITE; hang-up and error are always reported as LOOP_HANGUP. */
typedef void (*loop_io_fn)(void *ctx, int fd, unsigned events);
int loop_io_add(struct loop *loop, int fd, unsigned events, loop_io_fn fn, void *ctx,
                struct loop_io **ret);
int loop_io_set(struct loop_io *io, unsigned events);
/** NULL-safe; does not close the descriptor. */
void loop_io_free(struct loop_io *io);

typedef void (*loop_timer_fn)(void *ctx, struct tm_us now);
/** A disarmed timer. `accuracy_us`: how late it may fire, so that wake-ups can be shared. */
int loop_timer_add(struct loop *loop, uint64_t accuracy_us, loop_timer_fn fn, void *ctx,
                   struct loop_timer **ret);
/** Fires once at `at`; TM_NEVER disarms. */
int loop_timer_set(struct loop_timer *timer, struct tm_us at);
/** NULL-safe. */
void loop_timer_free(struct loop_timer *timer);

/** Signals arrive in the loop; the signal is blocked in the calling thread. */
typedef void (*loop_signal_fn)(void *ctx, int signo);
int loop_signal_add(struct loop *loop, int signo, loop_signal_fn fn, void *ctx);

/** Runs `fn` in the loop soon; the only call that is allowed from other threads. */
typedef void (*loop_post_fn)(void *ctx);
int loop_post(struct loop *loop, loop_post_fn fn, void *ctx);
/**
 * Runs in every round, after what was called and before the loop may sleep: for draining queues.
 * One per loop; must be cheap when there is nothing to do.
 */
void loop_set_before_sleep(struct loop *loop, loop_post_fn fn, void *ctx);

#endif
