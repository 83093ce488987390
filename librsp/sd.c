/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors: table, life, lock, readiness; see sd.h. */
#include "librsp/sd.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <unistd.h>

#include "librsp/status.h"

#define CHUNK    1024
#define CHUNKS   2048 /* two million descriptors */
#define SLICE_MS 50

/* The table's locks: descriptors side by side have different ones, each in a cache line. */
#define LOCKS 16
static struct {
    _Alignas(64) pthread_mutex_t mutex;
} locks[LOCKS];
static struct sd **_Atomic table[CHUNKS];
static int ready_fd = -1; /* always readable */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static struct sd **slot(int fd, bool make)
{
    if (fd < 0 || fd >= CHUNK * CHUNKS) {
        return NULL;
    }
    struct sd **chunk = atomic_load(&table[fd / CHUNK]);
    if (chunk == NULL && make) {
        struct sd **made = (struct sd **)calloc(CHUNK, sizeof(struct sd *));
        if (made != NULL && !atomic_compare_exchange_strong(&table[fd / CHUNK], &chunk, made)) {
            free(made); /* another thread was first; chunk is its */
        } else {
            chunk = made;
        }
    }
    return chunk != NULL ? &chunk[fd % CHUNK] : NULL;
}

static void before_fork(void)
{
    for (int i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_lock(&locks[i].mutex);
    }
}

static void after_fork_parent(void)
{
    for (int i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_unlock(&locks[i].mutex);
    }
}

static void init_locks(void)
{
    for (int i = 0; i < LOCKS; i++) {
        (void)pthread_mutex_init(&locks[i].mutex, NULL);
    }
}

static pthread_mutex_t *lock_of(int fd)
{
    return &locks[(unsigned)fd % LOCKS].mutex;
}

/** What lies behind a descriptor, closed without a word: all of it is the parent's. */
static void child_close(struct sd *sd)
{
    if (sd->kind == SD_SERVER && sd->server != NULL) {
        server_child_close(sd);
    } else if (sd->kind == SD_USER && sd->user != NULL) {
        user_child_close(sd);
    } else if (sd->kind == SD_REQUEST && sd->request != NULL) {
        request_child_close(sd);
    } else if (sd->kind == SD_PEER && sd->peer != NULL && sd->peer->ch.fd >= 0) {
        (void)close(sd->peer->ch.fd);
    }
    (void)close(sd->fd);
}

/**
 * The child has none of the parent's sockets. Their memory is left alone, for another thread of the
 * parent may have been changing it; it stays within reach, so that no leak checker complains.
 */
static void after_fork_child(void)
{
    static struct sd *parents;
    for (int c = 0; c < CHUNKS; c++) {
        for (int i = 0; table[c] != NULL && i < CHUNK; i++) {
            struct sd *sd = table[c][i];
            if (sd != NULL) {
                child_close(sd);
                sd->parents = parents;
                parents = sd;
                table[c][i] = NULL;
            }
        }
    }
    init_locks();
    status_child();
}

static void prepare(void)
{
    init_locks();
    ready_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
    status_from_environment();
}

/*
 * Many a system call ends a thread that is cancelled, and it would take the mutex with it: whoever
 * holds the mutex cannot be cancelled, whoever waits without it can.
 */
static void lock(struct sd *sd)
{
    int before;
    (void)pthread_mutex_lock(&sd->mutex);
    (void)pthread_setcancelstate(PTHREAD_CANCEL_DISABLE, &before);
    sd->cancel_state = before;
}

static void unlock(struct sd *sd)
{
    int before = sd->cancel_state;
    (void)pthread_mutex_unlock(&sd->mutex);
    (void)pthread_setcancelstate(before, NULL);
}

struct sd *sd_new(enum sd_kind kind, int *ret_error)
{
    (void)pthread_once(&once, prepare);
    struct sd *sd = (struct sd *)calloc(1, sizeof(*sd));
    int fd = sd != NULL && ready_fd >= 0 ? epoll_create1(EPOLL_CLOEXEC) : -1;
    *ret_error = sd == NULL ? -ENOMEM : fd < 0 ? -errno : 0;
    if (fd < 0) {
        free(sd);
        return NULL;
    }
    sd->fd = fd;
    sd->kind = kind;
    sd->notices_end = &sd->notices;
    atomic_store(&sd->refs, 2); /* the table's and the caller's */
    (void)pthread_mutex_init(&sd->mutex, NULL);
    (void)pthread_mutex_init(&sd->receiver, NULL);
    lock(sd);
    (void)pthread_mutex_lock(lock_of(fd));
    struct sd **at = slot(fd, true);
    if (at != NULL) {
        *at = sd;
    }
    (void)pthread_mutex_unlock(lock_of(fd));
    if (at == NULL) {
        unlock(sd);
        (void)pthread_mutex_destroy(&sd->mutex);
        (void)pthread_mutex_destroy(&sd->receiver);
        (void)close(fd);
        free(sd);
        *ret_error = -ENOMEM;
        return NULL;
    }
    return sd;
}

struct sd *sd_get(int fd)
{
    struct sd *sd = NULL;
    struct sd **at = slot(fd, false); /* NULL too as long as there has been no descriptor */
    if (at != NULL) {
        (void)pthread_mutex_lock(lock_of(fd));
        if ((sd = *at) != NULL) {
            atomic_fetch_add(&sd->refs, 1);
        }
        (void)pthread_mutex_unlock(lock_of(fd));
    }
    if (sd == NULL) {
        return NULL;
    }
    lock(sd);
    if (sd->closed) {
        sd_put(sd);
        return NULL;
    }
    return sd;
}

static void unref(struct sd *sd)
{
    if (atomic_fetch_sub(&sd->refs, 1) == 1) {
        (void)close(sd->fd); /* not before: its number must not mean another one meanwhile */
        (void)pthread_mutex_destroy(&sd->mutex);
        (void)pthread_mutex_destroy(&sd->receiver);
        free(sd->handle);
        free(sd->status);
        free(sd);
    }
}

static void wait_cancelled(void *sd)
{
    unref((struct sd *)sd);
}

void sd_put(struct sd *sd)
{
    unlock(sd);
    unref(sd);
}

void sd_close(struct sd *sd)
{
    sd->closed = true;
    sd_ready(sd, true); /* wakes who waits in it */
    (void)pthread_mutex_lock(lock_of(sd->fd));
    struct sd **at = slot(sd->fd, false);
    bool was = at != NULL && *at == sd;
    if (was) {
        *at = NULL;
    }
    (void)pthread_mutex_unlock(lock_of(sd->fd));
    notice_drop_all(sd);
    if (was) {
        atomic_fetch_sub(&sd->refs, 1); /* the table's; the caller still has its own */
    }
}

void sd_each(void (*fn)(struct sd *sd, void *ctx), void *ctx)
{
    for (int c = 0; c < CHUNKS; c++) {
        for (int i = 0; atomic_load(&table[c]) != NULL && i < CHUNK; i++) {
            struct sd *sd = sd_get(c * CHUNK + i);
            if (sd != NULL) {
                fn(sd, ctx);
                sd_put(sd);
            }
        }
    }
}

int sd_watch(struct sd *sd, int fd, uint32_t events, uint32_t tag)
{
    struct epoll_event ev = {.events = events, .data.u64 = tag};
    return epoll_ctl(sd->fd, EPOLL_CTL_ADD, fd, &ev) == 0 ? 0 : -errno;
}

int sd_rewatch(struct sd *sd, int fd, uint32_t events, uint32_t tag)
{
    struct epoll_event ev = {.events = events, .data.u64 = tag};
    return epoll_ctl(sd->fd, EPOLL_CTL_MOD, fd, &ev) == 0 ? 0 : -errno;
}

void sd_unwatch(struct sd *sd, int fd)
{
    struct epoll_event ev = {.events = 0};
    (void)epoll_ctl(sd->fd, EPOLL_CTL_DEL, fd, &ev);
}

void sd_ready(struct sd *sd, bool on)
{
    if (on != sd->ready_on) {
        sd->ready_on = on;
        if (on) {
            (void)sd_watch(sd, ready_fd, EPOLLIN, SD_TAG_READY);
        } else {
            sd_unwatch(sd, ready_fd);
        }
    }
}

int sd_default_timeout(const struct sd *sd, int msg_flags)
{
    if ((msg_flags & MSG_DONTWAIT) != 0) {
        return 0;
    }
    int flags = fcntl(sd->fd, F_GETFL);
    return flags >= 0 && (flags & O_NONBLOCK) != 0 ? 0 : -1;
}

/** After a wait without the lock. */
static int woken(struct sd *sd, int n, int error, struct tm_us deadline)
{
    lock(sd);
    if (sd->closed) {
        return -EBADF;
    }
    if (n < 0) {
        return -error;
    }
    return n == 0 && tm_due(deadline, now_us()) ? -EAGAIN : 0;
}

/** poll() without the mutex; a thread that is cancelled in it lets go of the sd. */
static int poll_unlocked(struct sd *sd, struct pollfd *fds, unsigned count, int timeout)
{
    int n;
    unlock(sd);
    pthread_cleanup_push(wait_cancelled, sd);
    status_tick();
    n = poll(fds, count, timeout);
    pthread_cleanup_pop(0);
    return n;
}

int sd_wait(struct sd *sd, struct tm_us deadline)
{
    int timeout = time_left_ms(deadline, status_patience_ms());
    if (timeout == 0) {
        return -EAGAIN;
    }
    struct pollfd p = {.fd = sd->fd, .events = POLLIN};
    int n = poll_unlocked(sd, &p, 1, timeout);
    return woken(sd, n, errno, deadline);
}

int sd_wait_fds(struct sd *sd, struct pollfd *fds, unsigned count, struct tm_us deadline)
{
    int timeout = time_left_ms(deadline, SLICE_MS);
    if (timeout == 0) {
        return -EAGAIN;
    }
    int n = poll_unlocked(sd, fds, count, timeout);
    return woken(sd, n, errno, deadline);
}

bool sd_may_receive(const struct sd *sd, const struct channel *ch)
{
    /* Who reports to a monitor must wake for it. */
    return !status_on() && !sd->shared && !sd->ready_on && sd->notices == NULL &&
           channel_can_wait(ch);
}

/* A thread in sd_receive(). */
struct waiter {
    struct sd *sd;
    struct channel_wait wait;
    unsigned connection;
};

/** The thread is cancelled. */
static void receive_cancelled(void *arg)
{
    struct waiter *w = (struct waiter *)arg;
    (void)pthread_mutex_unlock(&w->sd->receiver);
    channel_wait_drop(&w->wait);
    lock(w->sd);
    w->sd->receiving &= w->connection != w->sd->connections;
    sd_put(w->sd);
}

ssize_t sd_receive(struct sd *sd, struct channel *ch, void *buffer, size_t size, bool forever,
                   struct channel_in *ret)
{
    struct waiter w = {.sd = sd, .connection = sd->connections};
    int r = channel_wait_begin(ch, buffer, size, !forever || !__libc_single_threaded, &w.wait);
    if (r != 0) {
        return r;
    }
    sd->receiving = true;
    (void)pthread_mutex_lock(&sd->receiver);
    unlock(sd);
    pthread_cleanup_push(receive_cancelled, &w);
    channel_wait(&w.wait);
    pthread_cleanup_pop(0);
    (void)pthread_mutex_unlock(&sd->receiver);
    lock(sd);
    if (w.connection != sd->connections) {
        channel_wait_drop(&w.wait);
        return sd->closed ? -EBADF : 0;
    }
    sd->receiving = false;
    return channel_wait_end(ch, &w.wait, ret);
}

int sd_await_receiver(struct sd *sd)
{
    sd->shared = true;
    unlock(sd);
    (void)pthread_mutex_lock(&sd->receiver);
    (void)pthread_mutex_unlock(&sd->receiver);
    lock(sd);
    return sd->closed ? -EBADF : 0;
}

void sd_drop_channel(struct sd *sd, struct channel *ch, bool abort)
{
    if (sd->receiving) {
        /* The number must not mean another socket while somebody is about to read from it. */
        sd->receiving = false;
        sd->connections++;
        (void)shutdown(ch->fd, SHUT_RD);
        (void)pthread_mutex_lock(&sd->receiver);
        (void)pthread_mutex_unlock(&sd->receiver);
    }
    sd_unwatch(sd, ch->fd);
    channel_close(ch, abort);
}

struct channel_setup sd_setup(const struct sd *sd)
{
    return (struct channel_setup){.domain = sd->domain,
                                  .detection_ms = (uint32_t)sd->opt.detection_ms,
                                  .message_max = (uint32_t)sd->opt.message_max,
                                  .send_buffer = (uint32_t)sd->opt.send_buffer,
                                  .sctp = sd->opt.sctp};
}
