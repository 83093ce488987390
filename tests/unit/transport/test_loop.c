/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "transport/loop.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

struct probe {
    struct loop *loop;
    struct loop_io *io[2];
    struct loop_timer *timer[2];
    unsigned calls;
    unsigned events;
    struct tm_us at;
};

static struct loop *fresh(void)
{
    struct loop *loop = NULL;
    cr_assert_eq(loop_new(&loop), 0);
    return loop;
}

static void count_io(void *ctx, int fd, unsigned events)
{
    struct probe *p = ctx;
    (void)fd;
    p->calls++;
    p->events = events;
}

Test(loop, io_events_arrive_and_can_be_changed)
{
    struct probe p = {.loop = fresh()};
    int s[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    cr_assert_eq(loop_io_add(p.loop, s[0], LOOP_READ, count_io, &p, &p.io[0]), 0);
    cr_assert_eq(loop_step(p.loop, 0), 0);
    cr_assert_eq(write(s[1], "x", 1), 1);
    cr_assert_eq(loop_step(p.loop, 1000), 1);
    cr_assert_eq(p.events, LOOP_READ);
    cr_assert_eq(loop_io_set(p.io[0], LOOP_WRITE), 0);
    cr_assert_eq(loop_step(p.loop, 1000), 1);
    cr_assert_eq(p.events, LOOP_WRITE);
    cr_assert_eq(loop_io_set(p.io[0], 0), 0);
    cr_assert_eq(loop_step(p.loop, 0), 0);
    (void)close(s[1]);
    cr_assert_eq(loop_step(p.loop, 1000), 1);
    cr_assert_eq(p.events, LOOP_HANGUP);
    loop_io_free(p.io[0]);
    (void)close(s[0]);
    loop_free(p.loop);
}

static void free_both(void *ctx, int fd, unsigned events)
{
    struct probe *p = ctx;
    (void)fd;
    (void)events;
    p->calls++;
    for (int i = 0; i < 2; i++) {
        loop_io_free(p->io[i]);
        p->io[i] = NULL;
    }
}

Test(loop, callback_may_free_itself_and_others)
{
    struct probe p = {.loop = fresh()};
    int s[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, s), 0);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(loop_io_add(p.loop, s[i], LOOP_READ, free_both, &p, &p.io[i]), 0);
        cr_assert_eq(write(s[1 - i], "x", 1), 1);
    }
    while (loop_step(p.loop, 0) > 0) {
    }
    cr_assert_eq(p.calls, 1);
    (void)close(s[0]);
    (void)close(s[1]);
    loop_free(p.loop);
}

static void on_timer(void *ctx, struct tm_us now)
{
    struct probe *p = ctx;
    p->calls++;
    p->at = now;
}

Test(loop, timer_fires_once_not_early_and_can_be_disarmed)
{
    struct probe p = {.loop = fresh()};
    cr_assert_eq(loop_timer_add(p.loop, 0, on_timer, &p, &p.timer[0]), 0);
    cr_assert_eq(loop_timer_add(p.loop, 1000, on_timer, &p, &p.timer[1]), 0);
    struct tm_us due = tm_add_ms(loop_now(p.loop), 5);
    cr_assert_eq(loop_timer_set(p.timer[0], due), 0);
    cr_assert_eq(loop_timer_set(p.timer[1], due), 0);
    cr_assert_eq(loop_timer_set(p.timer[1], TM_NEVER), 0);
    cr_assert_eq(loop_step(p.loop, 2000), 1);
    cr_assert(tm_due(due, p.at));
    cr_assert_eq(loop_step(p.loop, 10), 0);
    cr_assert_eq(p.calls, 1);
    cr_assert_eq(loop_timer_set(p.timer[0], (struct tm_us){-5}), 0);
    cr_assert_eq(loop_step(p.loop, 2000), 1);
    loop_timer_free(p.timer[0]);
    loop_timer_free(p.timer[1]);
    loop_free(p.loop);
}

static void free_timers(void *ctx, struct tm_us now)
{
    struct probe *p = ctx;
    (void)now;
    p->calls++;
    loop_timer_free(p->timer[0]);
    loop_timer_free(p->timer[1]);
}

Test(loop, timer_may_free_itself_and_others)
{
    struct probe p = {.loop = fresh()};
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(loop_timer_add(p.loop, 0, free_timers, &p, &p.timer[i]), 0);
        cr_assert_eq(loop_timer_set(p.timer[i], loop_now(p.loop)), 0);
    }
    while (loop_step(p.loop, 5) > 0) {
    }
    cr_assert_eq(p.calls, 1);
    loop_free(p.loop);
}

static void on_signal(void *ctx, int signo)
{
    struct probe *p = ctx;
    p->events = (unsigned)signo;
    loop_exit(p->loop);
}

Test(loop, signal_arrives_in_the_loop)
{
    struct probe p = {.loop = fresh()};
    cr_assert_eq(loop_signal_add(p.loop, SIGHUP, on_signal, &p), 0);
    cr_assert_eq(loop_signal_add(p.loop, -1, on_signal, &p), -EINVAL);
    cr_assert_eq(kill(getpid(), SIGHUP), 0);
    cr_assert_eq(loop_run(p.loop), 0);
    cr_assert_eq(p.events, SIGHUP);
    loop_free(p.loop);
}

#define POSTS 2000

static void on_post(void *ctx)
{
    struct probe *p = ctx;
    if (++p->calls == 2 * POSTS) {
        loop_exit(p->loop);
    }
}

static void *poster(void *ctx)
{
    struct probe *p = ctx;
    for (int i = 0; i < POSTS; i++) {
        if (loop_post(p->loop, on_post, p) < 0) {
            abort();
        }
    }
    return NULL;
}

Test(loop, posts_from_other_threads_all_run)
{
    struct probe p = {.loop = fresh()};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_create(&threads[i], NULL, poster, &p), 0);
    }
    cr_assert_eq(loop_run(p.loop), 0);
    cr_assert_eq(p.calls, 2 * POSTS);
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(pthread_join(threads[i], NULL), 0);
    }
    cr_assert_eq(loop_post(p.loop, on_post, &p), 0);
    loop_free(p.loop); /* the one that has not run is dropped */
}

static void before(void *ctx)
{
    struct probe *p = ctx;
    p->calls++;
}

Test(loop, before_sleep_runs_every_round)
{
    struct probe p = {.loop = fresh()};
    loop_set_before_sleep(p.loop, before, &p);
    cr_assert_eq(loop_step(p.loop, 0), 0);
    cr_assert_eq(loop_step(p.loop, 0), 0);
    cr_assert_eq(p.calls, 2);
    loop_free(p.loop);
}
