/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/local/resolver.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/rhythm.h"
#include "handlespace/handlespace.h"
#include "rspd/local/monotonic.h"

#define EVENTS_PER_ROUND 16
#define STACK_BYTES      ((size_t)256 * 1024)

struct resolver {
    struct resolvers *all;
    pthread_t thread;
    int epoll_fd;
    struct rhythm rhythm;
    uint8_t in[LP_MESSAGE_MAX];
    uint8_t out[LP_MESSAGE_MAX];
};

struct resolvers {
    struct resolver_handlers handlers;
    void *ctx;
    int stop_fd; /* readable from the end on, in every epoll set */
    int back_fd;
    struct loop_io *back_io;
    struct resolver_line *back; /* a stack, last in first; atomic */
    unsigned count, next;
    bool alone; /* there is one processor */
    struct resolver *resolvers[RESOLVER_THREADS_MAX];
};

/* --- on a resolver thread -----------------------------------------------------------------------
 */

/** The line goes back; nothing of it is touched afterwards. */
static void give_back(struct resolver *r, struct resolver_line *line)
{
    struct resolvers *rs = r->all;
    const uint64_t one = 1;
    (void)epoll_ctl(r->epoll_fd, EPOLL_CTL_DEL, line->fd, NULL);
    struct resolver_line *head = __atomic_load_n(&rs->back, __ATOMIC_RELAXED);
    do {
        line->next = head; /* pairs with take_back() */
    } while (!__atomic_compare_exchange_n(&rs->back, &head, line, true, __ATOMIC_RELEASE,
                                          __ATOMIC_RELAXED));
    if (head == NULL) {
        (void)!write(rs->back_fd, &one, sizeof(one)); /* EAGAIN: it is readable already */
    }
}

/** With the message in `r->in`. */
static void give_back_message(struct resolver *r, struct resolver_line *line, size_t len)
{
    size_t kept = len < sizeof(r->in) ? len : sizeof(r->in);
    line->message = (uint8_t *)malloc(kept);
    line->len = len;
    if (line->message != NULL) {
        memcpy(line->message, r->in, kept);
    }
    give_back(r, line);
}

/** Reads one message, as the loop thread does, and answers it or gives the line back. */
static void serve(struct resolver *r, struct resolver_line *line)
{
    struct resolvers *rs = r->all;
    struct lp_message msg;
    ssize_t n = recv(line->fd, r->in, sizeof(r->in), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        line->message = NULL;
        give_back(r, line);
        return;
    }
    size_t len = (size_t)n;
    size_t reply = 0;
    if (len <= sizeof(r->in) && lp_parse(r->in, len, &msg) == 0) {
        reply = rs->handlers.answer(rs->ctx, line, &msg, r->out, sizeof(r->out));
    }
    if (reply == 0 || send(line->fd, r->out, reply, MSG_DONTWAIT | MSG_NOSIGNAL) < 0) {
        give_back_message(r, line, len); /* not sent: answered again, and queued, in the loop */
    }
}

/** The next questions; those that follow the last answers at once need not wake this thread. */
static int await(struct resolver *r, struct epoll_event events[EVENTS_PER_ROUND])
{
    int64_t begin = monotonic_now().us;
    int n = 0;
    if (rhythm_next(&r->rhythm, r->all->alone, true) == RHYTHM_LOOK) {
        do {
            n = epoll_wait(r->epoll_fd, events, EVENTS_PER_ROUND, 0);
        } while (n == 0 && monotonic_now().us - begin < RHYTHM_LOOK_US);
    }
    if (n == 0) {
        n = epoll_wait(r->epoll_fd, events, EVENTS_PER_ROUND, -1);
    }
    rhythm_waited(&r->rhythm, monotonic_now().us - begin, n > 0);
    rhythm_sent(&r->rhythm);
    return n;
}

static void *run(void *arg)
{
    struct resolver *r = (struct resolver *)arg;
    struct epoll_event events[EVENTS_PER_ROUND];
    hs_thread_register();
    for (;;) {
        int n = await(r, events);
        for (int i = 0; i < n; i++) {
            if (events[i].data.ptr == NULL) {
                hs_thread_unregister();
                return NULL;
            }
            serve(r, (struct resolver_line *)events[i].data.ptr);
        }
    }
}

/* --- in the loop --------------------------------------------------------------------------------
 */

/** All lines that have come back, the earliest first. */
static struct resolver_line *take_back(struct resolvers *rs)
{
    struct resolver_line *line = __atomic_exchange_n(&rs->back, NULL, __ATOMIC_ACQUIRE);
    struct resolver_line *first = NULL;
    while (line != NULL) {
        struct resolver_line *next = line->next;
        line->next = first;
        first = line;
        line = next;
    }
    return first;
}

static void on_back(void *ctx, int fd, unsigned events)
{
    struct resolvers *rs = (struct resolvers *)ctx;
    uint64_t count;
    (void)events;
    (void)!read(fd, &count, sizeof(count));
    struct resolver_line *line = take_back(rs);
    while (line != NULL) {
        struct resolver_line *next = line->next; /* it may be freed, or lent again */
        rs->handlers.returned(rs->ctx, line);
        line = next;
    }
}

int resolvers_lend(struct resolvers *rs, struct resolver_line *line)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = line};
    if (line->resolver == NULL) {
        line->resolver = rs->resolvers[rs->next++ % rs->count];
    }
    return epoll_ctl(line->resolver->epoll_fd, EPOLL_CTL_ADD, line->fd, &event) == 0 ? 0 : -errno;
}

static int processors(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
}

unsigned resolvers_default(void)
{
    int cores = processors();
    return cores <= 2                     ? 1
           : cores > RESOLVER_THREADS_MAX ? RESOLVER_THREADS_MAX
                                          : (unsigned)cores - 1;
}

/** A thread that gets no signals. */
static int start_thread(struct resolver *r)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    int err = pthread_attr_init(&attr);
    if (err != 0) {
        return -err;
    }
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    err = pthread_create(&r->thread, &attr, run, r);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    if (err == 0) {
        (void)pthread_setname_np(r->thread, "rspd-resolver");
    }
    return -err;
}

static int start_one(struct resolvers *rs)
{
    struct epoll_event stop = {.events = EPOLLIN, .data.ptr = NULL};
    struct resolver *r = (struct resolver *)calloc(1, sizeof(*r));
    if (r == NULL) {
        return -ENOMEM;
    }
    r->all = rs;
    r->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    int err = r->epoll_fd < 0 ? -errno : 0;
    if (err == 0 && epoll_ctl(r->epoll_fd, EPOLL_CTL_ADD, rs->stop_fd, &stop) != 0) {
        err = -errno;
    }
    if (err == 0) {
        err = start_thread(r);
    }
    if (err != 0) {
        if (r->epoll_fd >= 0) {
            (void)close(r->epoll_fd);
        }
        free(r);
        return err;
    }
    rs->resolvers[rs->count++] = r;
    return 0;
}

int resolvers_new(struct loop *loop, unsigned count, const struct resolver_handlers *handlers,
                  void *ctx, struct resolvers **ret)
{
    struct resolvers *rs = (struct resolvers *)calloc(1, sizeof(*rs));
    if (rs == NULL) {
        return -ENOMEM;
    }
    rs->handlers = *handlers;
    rs->ctx = ctx;
    rs->alone = processors() == 1;
    rs->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    rs->back_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int err = rs->stop_fd < 0 || rs->back_fd < 0 ? -errno : 0;
    if (err == 0) {
        err = loop_io_add(loop, rs->back_fd, LOOP_READ, on_back, rs, &rs->back_io);
    }
    for (unsigned i = 0; err == 0 && i < count && i < RESOLVER_THREADS_MAX; i++) {
        err = start_one(rs);
    }
    if (err != 0) {
        resolvers_free(rs);
        return err;
    }
    *ret = rs;
    return 0;
}

void resolvers_free(struct resolvers *rs)
{
    const uint64_t one = 1;
    if (rs == NULL) {
        return;
    }
    if (rs->stop_fd >= 0) {
        (void)!write(rs->stop_fd, &one, sizeof(one));
    }
    for (unsigned i = 0; i < rs->count; i++) {
        (void)pthread_join(rs->resolvers[i]->thread, NULL);
        (void)close(rs->resolvers[i]->epoll_fd);
        free(rs->resolvers[i]);
    }
    loop_io_free(rs->back_io);
    if (rs->back_fd >= 0) {
        (void)close(rs->back_fd);
    }
    if (rs->stop_fd >= 0) {
        (void)close(rs->stop_fd);
    }
    free(rs);
}
