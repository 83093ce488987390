/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The conversation with the daemon; see rpc.h. */
#include "librsp/rpc.h"

#include <stdlib.h>
#include <unistd.h>

#include "librsp/internal.h"

#define CHANNELS  4
#define HELLO_MS  2000
#define HELLO_MAX 1280

struct rpc_channel {
    pthread_mutex_t mutex;
    int fd; /* -1: none */
    uint32_t request;
    struct rhythm rhythm;
    uint8_t *out; /* RPC_REQUEST_MAX, then LP_MESSAGE_MAX for replies; made at first use */
};

static struct rpc_channel channels[CHANNELS] = {
    {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1},
    {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1},
    {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1},
    {.mutex = PTHREAD_MUTEX_INITIALIZER, .fd = -1},
};
static pthread_once_t at_fork_once = PTHREAD_ONCE_INIT;

int time_left_ms(struct tm_us deadline, int most)
{
    if (tm_is_never(deadline)) {
        return most;
    }
    int64_t left = (deadline.us - now_us().us + 999) / 1000;
    left = left > 0 ? left : 0;
    if (most >= 0 && left > most) {
        return most;
    }
    return left < INT32_MAX ? (int)left : INT32_MAX;
}

/** The connections are the parent's: nothing is said on them. */
static void after_fork_child(void)
{
    for (int i = 0; i < CHANNELS; i++) {
        (void)pthread_mutex_init(&channels[i].mutex, NULL);
        if (channels[i].fd >= 0) {
            (void)close(channels[i].fd);
            channels[i].fd = -1;
        }
    }
}

static void prepare(void)
{
    (void)pthread_atfork(NULL, NULL, after_fork_child);
}

static int connect_daemon(void)
{
    char path[LP_PATH_MAX];
    lp_socket_path(secure_getenv("RSP_SOCKET"), secure_getenv("XDG_RUNTIME_DIR"), path);
    int fd = lp_connect(&lp_calls_libc, path);
    return fd < 0 ? -ENOTCONN : fd;
}

static int say_hello(int fd, uint32_t request)
{
    uint8_t octets[HELLO_MAX];
    char exe[1024];
    struct lp_writer w;
    ssize_t n = readlink("/proc/self/exe", exe, sizeof(exe) - 1);
    lp_begin(&w, octets, sizeof(octets), LP_HELLO, request);
    lp_put_u32(&w, LP_T_CLIENT_KIND, LP_CLIENT_LIBRSP);
    lp_put_u32(&w, LP_T_PID, (uint32_t)getpid());
    if (n > 0) {
        lp_put_octets(&w, LP_T_EXE, exe, (size_t)n);
    }
    if (lp_finish(&w) < 0) {
        return -EMSGSIZE;
    }
    return lp_send(&lp_calls_libc, fd, &w);
}

int rpc_open(void)
{
    int fd = connect_daemon();
    int r = fd >= 0 ? say_hello(fd, 1) : fd;
    if (r < 0 && fd >= 0) {
        (void)close(fd);
    }
    return r < 0 ? -ENOTCONN : fd;
}

static void drop(struct rpc_channel *c)
{
    if (c->fd >= 0) {
        (void)close(c->fd);
        c->fd = -1;
    }
}

/** The reply to HELLO is met on the way to the first question's, and passed over there. */
static int connect_channel(struct rpc_channel *c)
{
    drop(c);
    c->fd = connect_daemon();
    int r = c->fd >= 0 ? say_hello(c->fd, ++c->request) : c->fd;
    if (r < 0) {
        drop(c);
        return -ENOTCONN;
    }
    return 0;
}

static struct rpc_channel *take_channel(void)
{
    static atomic_uint turn;
    for (int i = 0; i < CHANNELS; i++) {
        if (pthread_mutex_trylock(&channels[i].mutex) == 0) {
            return &channels[i];
        }
    }
    struct rpc_channel *c = &channels[atomic_fetch_add(&turn, 1) % CHANNELS];
    (void)pthread_mutex_lock(&c->mutex);
    return c;
}

int rpc_begin(struct rpc *rpc, enum lp_type type)
{
    (void)pthread_once(&at_fork_once, prepare);
    struct rpc_channel *c = take_channel();
    int r = 0;
    if (c->out == NULL) {
        c->out = (uint8_t *)malloc(RPC_REQUEST_MAX + LP_MESSAGE_MAX);
        r = c->out == NULL ? -ENOMEM : 0;
    }
    if (r == 0 && c->fd < 0) {
        r = connect_channel(c);
    }
    if (r != 0) {
        (void)pthread_mutex_unlock(&c->mutex);
        return r;
    }
    if (++c->request == 0) {
        c->request = 1;
    }
    *rpc = (struct rpc){.channel = c, .fd = -1};
    lp_begin(&rpc->writer, c->out, RPC_REQUEST_MAX, type, c->request);
    return 0;
}

int rpc_call(struct rpc *rpc, enum lp_type want, int timeout_ms)
{
    struct rpc_channel *c = rpc->channel;
    if (lp_finish(&rpc->writer) < 0) {
        return -EMSGSIZE;
    }
    for (int attempt = 0;; attempt++) {
        int r = lp_call(&lp_calls_libc, c->fd, &c->rhythm, &rpc->writer, c->out + RPC_REQUEST_MAX,
                        LP_MESSAGE_MAX, &rpc->reply, &rpc->fd, timeout_ms);
        if (r == 0) {
            r = lp_result(&rpc->reply);
            return r == 0 && rpc->reply.type != (uint16_t)want ? -EPROTO : r;
        }
        drop(c); /* late answers are of no use to anybody */
        if (r == -ETIMEDOUT || attempt > 0 || connect_channel(c) != 0) {
            return r == -ETIMEDOUT ? r : -ENOTCONN;
        }
    }
}

int rpc_tell(struct rpc *rpc)
{
    struct rpc_channel *c = rpc->channel;
    if (lp_finish(&rpc->writer) < 0) {
        return -EMSGSIZE;
    }
    int r = lp_send(&lp_calls_libc, c->fd, &rpc->writer);
    if (r == -EPIPE) {
        r = connect_channel(c) == 0 ? lp_send(&lp_calls_libc, c->fd, &rpc->writer) : -ENOTCONN;
    }
    return r;
}

void rpc_end(struct rpc *rpc)
{
    struct rpc_channel *c = rpc->channel;
    if (rpc->fd >= 0) {
        (void)close(rpc->fd);
    }
    if (c->fd < 0) {
        c->request = 0;
    }
    (void)pthread_mutex_unlock(&c->mutex);
    rpc->channel = NULL;
}

int rpc_raw_begin(struct rpc_raw *raw)
{
    struct rpc rpc;
    int r = rpc_begin(&rpc, LP_RESULT);
    if (r == 0) {
        *raw = (struct rpc_raw){.channel = rpc.channel,
                                .fd = rpc.channel->fd,
                                .request = rpc.channel->request,
                                .room = rpc.channel->out};
    }
    return r;
}

void rpc_raw_end(struct rpc_raw *raw, bool broken)
{
    if (broken) {
        drop(raw->channel);
    }
    (void)pthread_mutex_unlock(&raw->channel->mutex);
}
