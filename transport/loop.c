/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event loop: sd-event behind loop.h. sd-event dispatches one source a round and keeps a source
 * alive while its callback runs, so a callback may free any source; our own structs are never
 * touched after the callback has been called.
 */
#include "transport/loop.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <systemd/sd-event.h>
#include <unistd.h>

struct post {
    struct post *next;
    loop_post_fn fn;
    void *ctx;
};

struct loop_signal {
    struct loop_signal *next;
    sd_event_source *source;
    loop_signal_fn fn;
    void *ctx;
};

struct loop {
    sd_event *event;
    struct loop_signal *signals;
    loop_post_fn before_sleep;
    void *before_sleep_ctx;
    bool exit;

    int post_fd; /* eventfd: readable while `posts` may hold something */
    sd_event_source *post_source;
    pthread_mutex_t post_lock; /* guards the two below */
    struct post *posts;
    struct post **posts_tail;
};

struct loop_io {
    sd_event_source *source;
    loop_io_fn fn;
    void *ctx;
};

struct loop_timer {
    struct loop *loop;
    sd_event_source *source;
    loop_timer_fn fn;
    void *ctx;
};

/* Runs what was posted until now; what these post in turn waits for the next round. */
static int on_posted(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct loop *loop = userdata;
    uint64_t count;
    (void)source;
    (void)revents;
    (void)!read(fd, &count, sizeof(count)); /* EAGAIN: somebody was faster, no harm */
    pthread_mutex_lock(&loop->post_lock);
    struct post *post = loop->posts;
    loop->posts = NULL;
    loop->posts_tail = &loop->posts;
    pthread_mutex_unlock(&loop->post_lock);
    while (post != NULL) {
        struct post *next = post->next;
        post->fn(post->ctx);
        free(post);
        post = next;
    }
    return 0;
}

int loop_new(struct loop **ret)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return -ENOMEM;
    }
    loop->posts_tail = &loop->posts;
    loop->post_fd = -1;
    int r = -pthread_mutex_init(&loop->post_lock, NULL);
    if (r < 0) {
        free(loop);
        return r;
    }
    r = sd_event_new(&loop->event);
    if (r < 0) {
        goto fail;
    }
    loop->post_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->post_fd < 0) {
        r = -errno;
        goto fail;
    }
    r = sd_event_add_io(loop->event, &loop->post_source, loop->post_fd, EPOLLIN, on_posted, loop);
    if (r < 0) {
        goto fail;
    }
    *ret = loop;
    return 0;
fail:
    loop_free(loop);
    return r;
}

void loop_free(struct loop *loop)
{
    if (loop == NULL) {
        return;
    }
    while (loop->signals != NULL) {
        struct loop_signal *s = loop->signals;
        loop->signals = s->next;
        sd_event_source_disable_unref(s->source);
        free(s);
    }
    sd_event_source_disable_unref(loop->post_source);
    if (loop->post_fd >= 0) {
        (void)close(loop->post_fd);
    }
    while (loop->posts != NULL) {
        struct post *post = loop->posts;
        loop->posts = post->next;
        free(post);
    }
    pthread_mutex_destroy(&loop->post_lock);
    sd_event_unref(loop->event);
    free(loop);
}

static int round_us(struct loop *loop, uint64_t timeout_us)
{
    if (loop->before_sleep != NULL) {
        loop->before_sleep(loop->before_sleep_ctx);
        if (loop->exit) {
            return 0;
        }
    }
    int r = sd_event_run(loop->event, timeout_us);
    return r == -EINTR ? 0 : r;
}

int loop_run(struct loop *loop)
{
    int r = sd_event_set_watchdog(loop->event, true);
    if (r < 0) {
        return r;
    }
    loop->exit = false;
    while (!loop->exit) {
        r = round_us(loop, UINT64_MAX);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

void loop_exit(struct loop *loop)
{
    loop->exit = true;
}

int loop_step(struct loop *loop, int timeout_ms)
{
    loop->exit = false;
    int r = round_us(loop, timeout_ms < 0 ? UINT64_MAX : (uint64_t)timeout_ms * 1000);
    return r > 0 ? 1 : r;
}

struct tm_us loop_now(struct loop *loop)
{
    uint64_t now = 0;
    (void)sd_event_now(loop->event, CLOCK_MONOTONIC, &now); /* fails only in another process */
    return (struct tm_us){(int64_t)now};
}

static int on_io(sd_event_source *source, int fd, uint32_t revents, void *userdata)
{
    struct loop_io *io = userdata;
    unsigned events = 0;
    (void)source;
    if ((revents & EPOLLIN) != 0) {
        events |= LOOP_READ;
    }
    if ((revents & EPOLLOUT) != 0) {
        events |= LOOP_WRITE;
    }
    if ((revents & (EPOLLHUP | EPOLLERR)) != 0) {
        events |= LOOP_HANGUP;
    }
    io->fn(io->ctx, fd, events);
    return 0;
}

static uint32_t to_epoll(unsigned events)
{
    return ((events & LOOP_READ) != 0 ? (uint32_t)EPOLLIN : 0) |
           ((events & LOOP_WRITE) != 0 ? (uint32_t)EPOLLOUT : 0);
}

int loop_io_add(struct loop *loop, int fd, unsigned events, loop_io_fn fn, void *ctx,
                struct loop_io **ret)
{
    struct loop_io *io = calloc(1, sizeof(*io));
    if (io == NULL) {
        return -ENOMEM;
    }
    io->fn = fn;
    io->ctx = ctx;
    int r = sd_event_add_io(loop->event, &io->source, fd, to_epoll(events), on_io, io);
    if (r < 0) {
        free(io);
        return r;
    }
    *ret = io;
    return 0;
}

int loop_io_set(struct loop_io *io, unsigned events)
{
    int r = sd_event_source_set_io_events(io->source, to_epoll(events));
    return r < 0 ? r : 0;
}

void loop_io_free(struct loop_io *io)
{
    if (io == NULL) {
        return;
    }
    sd_event_source_disable_unref(io->source);
    free(io);
}

static int on_timer(sd_event_source *source, uint64_t usec, void *userdata)
{
    struct loop_timer *timer = userdata;
    (void)source;
    (void)usec;
    timer->fn(timer->ctx, loop_now(timer->loop));
    return 0;
}

int loop_timer_add(struct loop *loop, uint64_t accuracy_us, loop_timer_fn fn, void *ctx,
                   struct loop_timer **ret)
{
    struct loop_timer *timer = calloc(1, sizeof(*timer));
    if (timer == NULL) {
        return -ENOMEM;
    }
    timer->loop = loop;
    timer->fn = fn;
    timer->ctx = ctx;
    /* To sd-event, 0 means its default of 250 ms; to us, as accurate as can be. */
    int r = sd_event_add_time(loop->event, &timer->source, CLOCK_MONOTONIC, 0,
                              accuracy_us > 0 ? accuracy_us : 1, on_timer, timer);
    if (r >= 0) {
        r = sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
    }
    if (r < 0) {
        loop_timer_free(timer);
        return r;
    }
    *ret = timer;
    return 0;
}

int loop_timer_set(struct loop_timer *timer, struct tm_us at)
{
    if (tm_is_never(at)) {
        int r = sd_event_source_set_enabled(timer->source, SD_EVENT_OFF);
        return r < 0 ? r : 0;
    }
    int r = sd_event_source_set_time(timer->source, at.us > 0 ? (uint64_t)at.us : 0);
    if (r >= 0) {
        r = sd_event_source_set_enabled(timer->source, SD_EVENT_ONESHOT);
    }
    return r < 0 ? r : 0;
}

void loop_timer_free(struct loop_timer *timer)
{
    if (timer == NULL) {
        return;
    }
    sd_event_source_disable_unref(timer->source);
    free(timer);
}

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata)
{
    struct loop_signal *s = userdata;
    (void)source;
    s->fn(s->ctx, (int)si->ssi_signo);
    return 0;
}

int loop_signal_add(struct loop *loop, int signo, loop_signal_fn fn, void *ctx)
{
    sigset_t set;
    struct loop_signal *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return -ENOMEM;
    }
    s->fn = fn;
    s->ctx = ctx;
    (void)sigemptyset(&set);
    int r = sigaddset(&set, signo) < 0 ? -errno : -pthread_sigmask(SIG_BLOCK, &set, NULL);
    if (r >= 0) {
        r = sd_event_add_signal(loop->event, &s->source, signo, on_signal, s);
    }
    if (r < 0) {
        free(s);
        return r;
    }
    s->next = loop->signals;
    loop->signals = s;
    return 0;
}

int loop_post(struct loop *loop, loop_post_fn fn, void *ctx)
{
    struct post *post = calloc(1, sizeof(*post));
    if (post == NULL) {
        return -ENOMEM;
    }
    post->fn = fn;
    post->ctx = ctx;
    pthread_mutex_lock(&loop->post_lock);
    bool first = loop->posts == NULL;
    *loop->posts_tail = post;
    loop->posts_tail = &post->next;
    if (first) {
        /* Under the lock, so that loop_free() after the last post cannot overtake the write. */
        uint64_t one = 1;
        (void)!write(loop->post_fd, &one, sizeof(one)); /* EAGAIN: it is readable already */
    }
    pthread_mutex_unlock(&loop->post_lock);
    return 0;
}

void loop_set_before_sleep(struct loop *loop, loop_post_fn fn, void *ctx)
{
    loop->before_sleep = fn;
    loop->before_sleep_ctx = ctx;
}
