/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The conversation with the daemon; see rpc.h. */
#include "preload/rpc.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "preload/config.h"
#include "preload/fdtable.h"
#include "preload/forkmark.h"
#include "preload/guard.h"
#include "preload/real.h"

#define CHANNELS    PRE_FORK_MARKS
#define BACK_OFF_MS 100
#define REQUEST_MAX 8192
#define HELLO_MAX   8192

/* Apart from the rest, so that the library's file does not carry it; and not on the stack, which
   may be small (L-54). */
struct arena {
    char exe[1024];
    uint8_t out[REQUEST_MAX];
    uint8_t hello[HELLO_MAX];
    uint8_t reply[LP_MESSAGE_MAX];
};

struct channel {
    pthread_mutex_t mutex;
    struct arena *arena;
    atomic_int fd; /* -1: none */
    dev_t dev;
    ino_t ino;
    uint32_t request;
    struct rhythm rhythm;
};

static struct arena arenas[CHANNELS];
static struct channel channels[CHANNELS] = {
    {.mutex = PTHREAD_MUTEX_INITIALIZER, .arena = &arenas[0], .fd = -1},
    {.mutex = PTHREAD_MUTEX_INITIALIZER, .arena = &arenas[1], .fd = -1},
};
static _Atomic int64_t failed_ms; /* when the daemon was last found away; 0: it was not */
static atomic_int home_pid;
static atomic_int hello_port; /* for the next HELLO */

static int call_socket(int domain, int type, int protocol)
{
    return pre_real()->socket(domain, type, protocol);
}

static int call_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return pre_real()->connect(fd, addr, len);
}

static ssize_t call_sendto(int fd, const void *buf, size_t n, int flags,
                           const struct sockaddr *addr, socklen_t len)
{
    return pre_real()->sendto(fd, buf, n, flags, addr, len);
}

static ssize_t call_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
                             socklen_t *len)
{
    return pre_real()->recvfrom(fd, buf, n, flags, addr, len);
}

static ssize_t call_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return pre_real()->recvmsg(fd, msg, flags);
}

static int call_close(int fd)
{
    return pre_real()->close(fd);
}

static const struct lp_calls calls = {
    .socket = call_socket,
    .connect = call_connect,
    .sendto = call_sendto,
    .recvfrom = call_recvfrom,
    .recvmsg = call_recvmsg,
    .close = call_close,
};

/** Whether the number still stands for the socket we connected. */
static bool is_ours(const struct channel *c, int fd)
{
    struct stat st;
    return fd >= 0 && fstat(fd, &st) == 0 && S_ISSOCK(st.st_mode) && st.st_dev == c->dev &&
           st.st_ino == c->ino;
}

/** Closes the connection if it is there and ours; a number that is not ours is left alone. */
static void drop(struct channel *c)
{
    int fd = atomic_exchange(&c->fd, -1);
    if (is_ours(c, fd)) {
        pre_fd_clear(fd, NULL);
        (void)pre_real()->close(fd);
    }
}

static int say_hello(struct channel *c, int fd, int timeout_ms)
{
    struct lp_writer w;
    ssize_t n = readlink("/proc/self/exe", c->arena->exe, sizeof(c->arena->exe) - 1);
    lp_begin(&w, c->arena->hello, sizeof(c->arena->hello), LP_HELLO, ++c->request);
    lp_put_u32(&w, LP_T_CLIENT_KIND, LP_CLIENT_SHIM);
    lp_put_u32(&w, LP_T_PID, (uint32_t)getpid());
    if (n > 0) {
        lp_put_octets(&w, LP_T_EXE, c->arena->exe, (size_t)n);
    }
    if (pre_config()->pool[0] != '\0') {
        lp_put_str(&w, LP_T_POOL_ENV, pre_config()->pool);
    }
    int port = atomic_exchange(&hello_port, 0);
    if (port != 0) {
        lp_put_u32(&w, LP_T_PORT, (uint32_t)port);
    }
    if (lp_finish(&w) < 0) {
        return -EMSGSIZE;
    }
    struct lp_message reply;
    int hints = -1;
    int err = lp_call(&calls, fd, NULL, &w, c->arena->reply, sizeof(c->arena->reply), &reply,
                      &hints, timeout_ms);
    if (err == 0 && reply.type != LP_HELLO_OK) {
        err = lp_result(&reply);
        err = err != 0 ? err : -EPROTO;
    }
    if (err != 0) {
        if (hints >= 0) {
            (void)pre_real()->close(hints);
        }
        return err;
    }
    pre_config_learn(&reply, hints);
    return 0;
}

/** A new connection, moved out of the program's way; 0 or -errno. */
static int connect_channel(struct channel *c, int timeout_ms)
{
    struct stat st;
    int fd = lp_connect(&calls, pre_config()->socket_path);
    int err = fd < 0 ? fd : 0;
    if (err == 0) {
        fd = pre_fd_move_high(fd, true);
        err = fd >= 0 && fstat(fd, &st) == 0 ? say_hello(c, fd, timeout_ms) : -EMFILE;
    }
    if (err != 0) {
        if (fd >= 0) {
            (void)pre_real()->close(fd);
        }
        if (atomic_exchange(&failed_ms, pre_now_ms()) == 0) {
            pre_log("no rspd at %s: %s", pre_config()->socket_path, strerrordesc_np(-err));
        }
        return -ENOTCONN;
    }
    c->dev = st.st_dev;
    c->ino = st.st_ino;
    pre_fork_mark((unsigned)(c - channels));
    atomic_store(&c->fd, fd);
    pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_PRIVATE});
    atomic_store(&failed_ms, 0);
    return 0;
}

bool pre_rpc_backing_off(void)
{
    int64_t at = atomic_load(&failed_ms);
    return at != 0 && pre_now_ms() - at < BACK_OFF_MS;
}

/**
 * A connection that is alive as far as can be seen; 0 or -ENOTCONN. The look at the descriptor is
 * one system call for each question and stays: a number goes to the program without passing our
 * hooks (fclose(), system calls of its own, actions of posix_spawn()), and then it would be the
 * program's socket that is written to.
 */
static int ready(struct channel *c, int timeout_ms)
{
    int fd = atomic_load(&c->fd);
    if (fd >= 0 && pre_fork_marked((unsigned)(c - channels)) && is_ours(c, fd)) {
        return 0;
    }
    drop(c);
    if (timeout_ms <= PRE_QUICK_MS && pre_rpc_backing_off()) {
        return -ENOTCONN;
    }
    return connect_channel(c, timeout_ms);
}

/** Locks within the bound; false when time is up. */
static bool lock_until(pthread_mutex_t *mutex, const struct timespec *until)
{
#ifdef __SANITIZE_THREAD__ /* gcc 12's TSan does not see what clocklock does */
    (void)until;
    return pthread_mutex_lock(mutex) == 0;
#else
    return pthread_mutex_clocklock(mutex, CLOCK_MONOTONIC, until) == 0;
#endif
}

static struct channel *take_channel(int timeout_ms)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (pthread_mutex_trylock(&channels[i].mutex) == 0) {
            return &channels[i];
        }
    }
    struct timespec until;
    (void)clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += timeout_ms / 1000;
    until.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    return lock_until(&channels[0].mutex, &until) ? &channels[0] : NULL;
}

int pre_rpc_begin(struct pre_rpc *rpc, enum lp_type type, int timeout_ms)
{
    if (pre_depth > 1 || !pre_real_complete() || pre_config()->socket_path[0] == '\0') {
        return -ENOTCONN;
    }
    rpc->deadline_ms = pre_now_ms() + timeout_ms;
    struct channel *c = take_channel(timeout_ms);
    if (c == NULL) {
        return -ETIMEDOUT;
    }
    int err = ready(c, timeout_ms);
    if (err != 0) {
        (void)pthread_mutex_unlock(&c->mutex);
        return err;
    }
    rpc->channel = c;
    uint32_t request = ++c->request;
    lp_begin(&rpc->writer, c->arena->out, sizeof(c->arena->out), type,
             type == LP_REPORT ? 0
             : request != 0    ? request
                               : ++c->request);
    return 0;
}

static int time_left(const struct pre_rpc *rpc)
{
    int64_t left = rpc->deadline_ms - pre_now_ms();
    return left > 0 ? (int)left : 0;
}

int pre_rpc_call(struct pre_rpc *rpc, struct lp_message *reply, int *ret_fd)
{
    struct channel *c = rpc->channel;
    int err = lp_finish(&rpc->writer) < 0 ? -EMSGSIZE : 0;
    if (err != 0) {
        return err;
    }
    for (int attempt = 0;; attempt++) {
        err = lp_call(&calls, atomic_load(&c->fd), &c->rhythm, &rpc->writer, c->arena->reply,
                      sizeof(c->arena->reply), reply, ret_fd, time_left(rpc));
        if (err == 0 || err == -ETIMEDOUT) {
            return err;
        }
        /* The daemon went away, perhaps to come back at once: once more on a new connection. */
        drop(c);
        if (attempt > 0 || connect_channel(c, time_left(rpc)) != 0) {
            return -ENOTCONN;
        }
    }
}

int pre_rpc_send(struct pre_rpc *rpc)
{
    struct channel *c = rpc->channel;
    if (lp_finish(&rpc->writer) < 0) {
        return -EMSGSIZE;
    }
    int err = lp_send(&calls, atomic_load(&c->fd), &rpc->writer);
    if (err == -EPIPE) {
        drop(c);
        if (connect_channel(c, time_left(rpc)) != 0) {
            return -ENOTCONN;
        }
        err = lp_send(&calls, atomic_load(&c->fd), &rpc->writer);
    }
    return err;
}

void pre_rpc_end(struct pre_rpc *rpc)
{
    (void)pthread_mutex_unlock(&rpc->channel->mutex);
    rpc->channel = NULL;
}

int pre_rpc_hello(uint16_t port, int timeout_ms)
{
    if (pre_config_learnt()) {
        return 0;
    }
    atomic_store(&hello_port, port);
    struct pre_rpc rpc;
    int err = pre_rpc_begin(&rpc, LP_NAME, timeout_ms);
    if (err == 0) {
        pre_rpc_end(&rpc); /* the connection's HELLO was all we wanted */
    }
    return err;
}

bool pre_rpc_owns(int fd)
{
    for (int i = 0; i < CHANNELS; i++) {
        if (fd >= 0 && atomic_load_explicit(&channels[i].fd, memory_order_relaxed) == fd) {
            return is_ours(&channels[i], fd);
        }
    }
    return false;
}

int pre_home_pid(void)
{
    return atomic_load_explicit(&home_pid, memory_order_relaxed);
}

/* --- fork
 * ------------------------------------------------------------------------------------------ */

/*
 * Only the short-held state lock is taken across fork(): a connection may be in use by another
 * thread for seconds. The child makes the connections' mutexes anew and drops the connections.
 */
static void before_fork(void)
{
    pre_state_lock();
}

static void after_fork_parent(void)
{
    pre_state_unlock();
}

static void after_fork_child(void)
{
    int saved = errno;
    pre_state_unlock();
    atomic_store(&home_pid, getpid());
    for (int i = 0; i < CHANNELS; i++) {
        (void)pthread_mutex_init(&channels[i].mutex, NULL);
        drop(&channels[i]); /* our copy only; nothing is said on the parent's connection */
    }
    errno = saved;
}

void pre_rpc_start(void)
{
    atomic_store(&home_pid, getpid());
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}
