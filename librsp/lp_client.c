/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The client side of the local protocol. It runs inside foreign programs (the shim), so besides
 * what lp_client.h promises: every send says MSG_DONTWAIT, and waiting happens in poll(), against
 * one deadline per call. Only the first wait for a reply is recvmsg()'s own, bounded by
 * SO_RCVTIMEO: nearly every reply comes within it, and two system calls are saved.
 */
#include "librsp/lp_client.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <string.h>
#include <sys/time.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/* A full backlog is the only thing a Unix connect() waits for. */
#define CONNECT_WAIT_MS 100L
/* A daemon that is not busy answers within this. */
#define FIRST_WAIT_MS 5L

const struct lp_calls lp_calls_libc = {
    .socket = socket,
    .connect = connect,
    .sendto = sendto,
    .recvfrom = recvfrom,
    .recvmsg = recvmsg,
    .close = close,
};

/** Joins two strings; an empty string when they do not fit, so that nothing wrong is opened. */
static void join_path(char path[LP_PATH_MAX], const char *head, const char *tail)
{
    size_t head_len = strlen(head);
    size_t tail_len = strlen(tail);
    if (head_len + tail_len >= LP_PATH_MAX) {
        path[0] = '\0';
        return;
    }
    memcpy(path, head, head_len);
    memcpy(path + head_len, tail, tail_len + 1);
}

void lp_socket_path(const char *rsp_socket, const char *xdg_runtime_dir, char path[LP_PATH_MAX])
{
    if (rsp_socket != NULL && rsp_socket[0] != '\0') {
        join_path(path, rsp_socket, "");
        return;
    }
    if (xdg_runtime_dir != NULL && xdg_runtime_dir[0] == '/') {
        join_path(path, xdg_runtime_dir, "/rspd/rspd.sock");
        if (path[0] != '\0' && access(path, F_OK) == 0) {
            return;
        }
    }
    join_path(path, "/run/rspd/rspd.sock", "");
}

int lp_bound(int fd)
{
    struct timeval send = {.tv_usec = CONNECT_WAIT_MS * 1000};
    struct timeval receive = {.tv_usec = FIRST_WAIT_MS * 1000};
    if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &send, sizeof(send)) != 0 ||
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &receive, sizeof(receive)) != 0) {
        return -errno;
    }
    return 0;
}

int lp_connect(const struct lp_calls *calls, const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0 || len >= sizeof(un.sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(un.sun_path, path, len);
    int fd = calls->socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int res = lp_bound(fd);
    while (res == 0 && calls->connect(fd, (const struct sockaddr *)&un, sizeof(un)) != 0) {
        res = errno == EINTR ? 0 : -errno;
    }
    if (res < 0) {
        (void)calls->close(fd);
        return res;
    }
    return fd;
}

static int64_t now_us(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int64_t now_ms(void)
{
    return now_us() / 1000;
}

/** Waits for `events`; 0, -ETIMEDOUT or another -errno. */
static int wait_for(int fd, short events, int64_t deadline_ms)
{
    for (;;) {
        int64_t left = deadline_ms - now_ms();
        struct pollfd p = {.fd = fd, .events = events};
        int n = poll(&p, 1, left > 0 ? (int)left : 0);
        if (n > 0) {
            return 0;
        }
        if (n == 0) {
            if (left <= 0 || now_ms() >= deadline_ms) {
                return -ETIMEDOUT;
            }
        } else if (errno != EINTR) {
            return -errno;
        }
    }
}

/** A dead peer has several names; the caller needs one. */
static int peer_error(int err)
{
    return err == ECONNRESET || err == ENOTCONN || err == ESHUTDOWN ? -EPIPE : -err;
}

int lp_send(const struct lp_calls *calls, int fd, const struct lp_writer *request)
{
    if (request->err) {
        return -EMSGSIZE;
    }
    for (;;) {
        ssize_t n =
            calls->sendto(fd, request->octets, request->used, MSG_NOSIGNAL | MSG_DONTWAIT, NULL, 0);
        if (n >= 0) {
            return 0;
        }
        if (errno != EINTR) {
            return peer_error(errno);
        }
    }
}

/** Takes the descriptor out of the control data; closes any further one. */
static int take_fd(const struct lp_calls *calls, struct msghdr *msg)
{
    int fd = -1;
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) {
            continue;
        }
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(one));
            if (fd < 0) {
                fd = one;
            } else {
                (void)calls->close(one);
            }
        }
    }
    return fd;
}

/**
 * One message with the descriptor it carries, or -1; its length even if that is above `size`. Where
 * nobody wants a descriptor (`ret_fd` NULL), the kernel lets go of any and does less.
 */
static ssize_t receive(const struct lp_calls *calls, int fd, void *buf, size_t size, int flags,
                       int *ret_fd)
{
    union {
        struct cmsghdr align;
        char room[CMSG_SPACE(sizeof(int) * 2)];
    } control;
    if (ret_fd == NULL) {
        return calls->recvfrom(fd, buf, size, flags | MSG_TRUNC, NULL, NULL);
    }
    struct iovec iov = {.iov_base = buf, .iov_len = size};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.room,
                         .msg_controllen = sizeof(control.room)};
    ssize_t n = calls->recvmsg(fd, &msg, flags | MSG_TRUNC | MSG_CMSG_CLOEXEC);
    *ret_fd = n > 0 ? take_fd(calls, &msg) : -1;
    return n;
}

/** Lets go of a descriptor that came with a message nobody gets. */
static void drop_fd(const struct lp_calls *calls, int *fd)
{
    if (fd != NULL && *fd >= 0) {
        (void)calls->close(*fd);
        *fd = -1;
    }
}

bool lp_alone(void)
{
    static int processors; /* any thread may ask first: all find the same */
    int n = __atomic_load_n(&processors, __ATOMIC_RELAXED);
    if (n == 0) {
        cpu_set_t set;
        n = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
        __atomic_store_n(&processors, n, __ATOMIC_RELAXED);
    }
    return n == 1;
}

/** As receive(); waits until the socket's own bound, in the way that the last waits suggest. */
static ssize_t await(const struct lp_calls *calls, int fd, struct rhythm *rhythm, void *buf,
                     size_t size, int *ret_fd)
{
    if (rhythm == NULL) {
        return receive(calls, fd, buf, size, 0, ret_fd);
    }
    int64_t begin = now_us();
    ssize_t n = -1;
    errno = EAGAIN;
    if (rhythm_next(rhythm, lp_alone(), true) == RHYTHM_LOOK) {
        do {
            n = receive(calls, fd, buf, size, MSG_DONTWAIT, ret_fd);
        } while (n < 0 && errno == EAGAIN && now_us() - begin < RHYTHM_LOOK_US);
    }
    if (n < 0 && errno == EAGAIN) {
        n = receive(calls, fd, buf, size, 0, ret_fd);
    }
    rhythm_waited(rhythm, now_us() - begin, n > 0);
    return n;
}

/** Receives one message; *ret_fd, unless NULL, is -1 or owned by the caller. */
static int receive_until(const struct lp_calls *calls, int fd, struct rhythm *rhythm, void *reply,
                         size_t reply_size, struct lp_message *ret, int *ret_fd,
                         int64_t deadline_ms)
{
    bool first = deadline_ms - now_ms() >= FIRST_WAIT_MS;
    for (;; first = false) {
        ssize_t n = first ? await(calls, fd, rhythm, reply, reply_size, ret_fd)
                          : receive(calls, fd, reply, reply_size, MSG_DONTWAIT, ret_fd);
        if (n > 0) {
            int err = (size_t)n > reply_size ? -EBADMSG : lp_parse(reply, (size_t)n, ret);
            if (err == 0 && ret->version != LP_VERSION) {
                err = -EPROTO; /* only its sender knows what it says */
            }
            if (err != 0) {
                drop_fd(calls, ret_fd);
            }
            return err;
        }
        if (n == 0) {
            return -EPIPE;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK) {
            int err = wait_for(fd, POLLIN, deadline_ms);
            if (err != 0) {
                return err;
            }
        } else if (errno != EINTR) {
            return peer_error(errno);
        }
    }
}

int lp_receive(const struct lp_calls *calls, int fd, void *reply, size_t reply_size,
               struct lp_message *ret, int *ret_fd, int timeout_ms)
{
    if (ret_fd != NULL) {
        *ret_fd = -1;
    }
    return receive_until(calls, fd, NULL, reply, reply_size, ret, ret_fd, now_ms() + timeout_ms);
}

int lp_call(const struct lp_calls *calls, int fd, struct rhythm *rhythm,
            const struct lp_writer *request, void *reply, size_t reply_size, struct lp_message *ret,
            int *ret_fd, int timeout_ms)
{
    int64_t deadline_ms = now_ms() + timeout_ms;
    struct lp_message asked;
    int err = request->err ? -EMSGSIZE : lp_parse(request->octets, request->used, &asked);
    if (ret_fd != NULL) {
        *ret_fd = -1;
    }
    while (err == 0) {
        err = lp_send(calls, fd, request);
        if (err != -EAGAIN) {
            break;
        }
        err = wait_for(fd, POLLOUT, deadline_ms);
    }
    if (err == 0 && rhythm != NULL) {
        rhythm_sent(rhythm);
    }
    while (err == 0) {
        err = receive_until(calls, fd, rhythm, reply, reply_size, ret, ret_fd, deadline_ms);
        if (err == 0 && ret->request == asked.request && ret->type != LP_EVENT) {
            return 0;
        }
        drop_fd(calls, ret_fd);
    }
    return err;
}

int lp_result(const struct lp_message *msg)
{
    struct lp_each it;
    if (!lp_find(msg, LP_T_RESULT, &it)) {
        return 0;
    }
    int32_t result = lp_i32(&it, -EPROTO);
    return result <= 0 && result > -4096 ? result : -EPROTO;
}

bool lp_read_pe(const struct lp_each *it, struct lp_pe *ret)
{
    struct lp_pe pe = {.protocol = TRANSPORT_NONE};
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        uint32_t value = lp_u32(&in, 0);
        switch (in.type) {
        case LP_T_PE_ID:
            pe.pe_id = value;
            break;
        case LP_T_PROTOCOL:
            pe.protocol = (enum transport_protocol)value;
            break;
        case LP_T_PORT:
            pe.port = value <= UINT16_MAX ? (uint16_t)value : 0;
            break;
        case LP_T_ADDRESS:
            if (pe.address_count < sizeof(pe.addresses) / sizeof(pe.addresses[0]) &&
                lp_address(&in, &pe.addresses[pe.address_count])) {
                pe.address_count++;
            }
            break;
        default:
            break;
        }
    }
    if (pe.pe_id == 0 || pe.port == 0 || pe.address_count == 0) {
        return false;
    }
    *ret = pe;
    return true;
}
