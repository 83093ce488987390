/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * connect() to a pool: which element, how long, what next (preload-notes §6, decisions.md
 * "connect"), and learning later what became of a connection that was left under way. The program
 * keeps its descriptor, flags and epoll registrations; on a blocking socket SO_SNDTIMEO bounds each
 * attempt and is put back before the call returns.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include "preload/config.h"
#include "preload/connect.h"
#include "preload/fdtable.h"
#include "preload/guard.h"
#include "preload/listen.h"
#include "preload/pools.h"
#include "preload/real.h"
#include "preload/sctp.h"
#include "preload/target.h"

/* Of tcpi_state; <netinet/tcp.h> has names for them but an older struct tcp_info. */
enum { TCP_STATE_ESTABLISHED = 1, TCP_STATE_SYN_SENT = 2, TCP_STATE_CLOSE = 7 };

#define ATTEMPTS_MAX    PRE_AVOID_MAX
#define NONBLOCK_PE_MAX 8
/* A blocking connect() may try as many silent elements as fit into this many attempt bounds. */
#define DEADLINE_ATTEMPTS 4

/** One connect() call on its way through the elements of a pool. */
struct attempt {
    int fd;
    uint32_t inode; /* of the socket; 0: not asked yet */
    struct pre_target target;
    struct pre_socket socket;
    uint32_t of_datagrams; /* PRE_FD_UNBOUND and PRE_FD_UDP4, of datagram sockets */
    bool again;            /* a datagram socket that was connected to an element before */
    bool nonblocking;
    bool bounded; /* SO_SNDTIMEO is ours during the call */
    bool tcp;
    struct timeval sndtimeo; /* the program's own */
    int64_t deadline_ms;
    union pre_sockaddr local; /* bound to before we came; sa_family 0: not bound */
    socklen_t local_len;
    struct pre_question question;
    struct lp_pe pe;
    uint16_t pool;
    int32_t sctp_assoc; /* of a one-to-many socket */
};

/** State and counters of a TCP socket; false when it has none. */
static bool tcp_state(int fd, struct tcp_info *info)
{
    socklen_t len = sizeof(*info);
    memset(info, 0, sizeof(*info));
    return pre_real()->getsockopt(fd, IPPROTO_TCP, TCP_INFO, info, &len) == 0;
}

static void dissolve(int fd)
{
    struct sockaddr unspec = {.sa_family = AF_UNSPEC};
    (void)pre_real()->connect(fd, &unspec, sizeof(unspec));
}

static int64_t timeval_ms(const struct timeval *tv)
{
    return (int64_t)tv->tv_sec * 1000 + (tv->tv_usec + 999) / 1000;
}

static void set_send_timeout(int fd, int64_t ms)
{
    struct timeval tv = {.tv_sec = (time_t)(ms / 1000), .tv_usec = (suseconds_t)(ms % 1000) * 1000};
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv));
}

static void mark_with(struct attempt *a, enum pre_fd_kind kind, uint32_t pe_id, uint32_t b)
{
    if (a->inode == 0) {
        a->inode = pre_fd_inode(a->fd);
    }
    struct pre_fd record = {.kind = (uint8_t)kind, .pool = a->pool, .a = pe_id, .b = b};
    pre_fd_set_known(a->fd, a->inode, &record);
}

static void mark(struct attempt *a, enum pre_fd_kind kind)
{
    mark_with(a, kind, a->pe.pe_id, kind == PRE_FD_CONNECTED ? a->of_datagrams : 0);
}

/** Whether a failure with that error is the element's, so that another one can be tried. */
static bool moves_on(const struct attempt *a, int error)
{
    switch (error) {
    case ECONNREFUSED:
    case ETIMEDOUT:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case ECONNRESET:
    case EADDRNOTAVAIL:
    case EHOSTDOWN:
    case ENETDOWN:
    case EACCES: /* a prohibiting route, a packet filter */
    case EPERM:
        return true;
    case EINVAL: /* a blackhole route; or the program is bound to what cannot get there */
        return a->local.sa.sa_family == AF_UNSPEC;
    default:
        return false;
    }
}

/** Chooses the next element (one that fits); 0 or -errno. Inside pre_enter(). */
static int choose(struct attempt *a, struct lp_pe *ret)
{
    union pre_sockaddr addr;
    while (a->question.avoid_count < ATTEMPTS_MAX) {
        int64_t left = a->deadline_ms - pre_now_ms();
        a->question.timeout_ms = a->nonblocking       ? PRE_QUICK_MS
                                 : left < PRE_NAME_MS ? (int)left
                                                      : PRE_NAME_MS;
        if (!a->nonblocking && left <= 0) {
            return -ETIMEDOUT;
        }
        int err = pre_resolve(&a->question, ret, &a->pool);
        if (err != 0) {
            return err;
        }
        if (a->target.kind == PRE_TARGET_RSP && a->target.port != 0) {
            ret->port = a->target.port;
        }
        for (unsigned i = 0; i < ret->address_count; i++) {
            if (pre_socket_fit(&a->socket, ret, i, &addr) != 0) {
                return 0;
            }
        }
        a->question.avoid[a->question.avoid_count++] = ret->pe_id;
        pre_log("element %08x has no address for this socket", ret->pe_id);
    }
    return -ECONNREFUSED;
}

static int guarded_choose(struct attempt *a, struct lp_pe *ret)
{
    struct pre_guard guard;
    pre_enter(&guard);
    int err = choose(a, ret);
    pre_leave(&guard);
    return err;
}

/** The current element failed: never again in this call, and the daemon learns of it. */
static void give_up_element(struct attempt *a, int error)
{
    struct pre_guard guard;
    pre_enter(&guard);
    pre_report(a->pool, a->pe.pe_id, error);
    if (a->question.avoid_count < PRE_AVOID_MAX) {
        a->question.avoid[a->question.avoid_count++] = a->pe.pe_id;
    }
    pre_leave(&guard);
}

/**
 * Makes the socket fresh for another element. A local port that the kernel had chosen is lost by
 * that: it is bound again, and if that fails the caller must stop.
 */
static bool renew(const struct attempt *a)
{
    dissolve(a->fd);
    if (a->local.sa.sa_family == AF_UNSPEC) {
        return true;
    }
    union pre_sockaddr now;
    socklen_t len = sizeof(now);
    if (getsockname(a->fd, &now.sa, &len) == 0 && len == a->local_len &&
        memcmp(&now, &a->local, len) == 0) {
        return true;
    }
    return pre_real()->bind(a->fd, &a->local.sa, a->local_len) == 0;
}

/**
 * Waits the short bound for a refusal, which over loopback and in a near network is there at once.
 * @return true when the attempt failed; the error stays pending on the socket
 */
static bool refused_soon(int fd)
{
    uint32_t us = pre_refusal_wait_us();
    if (us == 0) {
        return false;
    }
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    struct timespec ts = {.tv_sec = us / 1000000, .tv_nsec = (long)(us % 1000000) * 1000};
    return ppoll(&p, 1, &ts, NULL) > 0 && (p.revents & (POLLERR | POLLHUP)) != 0;
}

/** The kernel's connect(): over SCTP to all addresses of the element at once. */
static int call_connect(struct attempt *a, const union pre_sockaddr *addr, socklen_t len)
{
    if (a->socket.protocol == TRANSPORT_SCTP) {
        return pre_sctp_connect(a->fd, &a->socket, &a->pe, &a->sctp_assoc);
    }
    int ret = pre_real()->connect(a->fd, &addr->sa, len);
    if (ret != 0 && errno == EINVAL && a->again) {
        /* Datagram sockets keep the source address of the last connection, from which this element
           may be out of reach: 127.0.0.1 after an element of this host. */
        dissolve(a->fd);
        ret = pre_real()->connect(a->fd, &addr->sa, len);
    }
    return ret;
}

/** What came of one element. */
enum outcome { OUT_RETURN, OUT_NEXT };

/** Non-blocking socket, current element, one address; sets errno like connect(). */
static enum outcome try_nonblocking(struct attempt *a, const union pre_sockaddr *addr,
                                    socklen_t len, int *ret)
{
    *ret = call_connect(a, addr, len);
    if (*ret == 0) {
        mark(a, PRE_FD_CONNECTED);
        return OUT_RETURN;
    }
    if (errno != EINPROGRESS) {
        return moves_on(a, errno) ? OUT_NEXT : OUT_RETURN;
    }
    mark(a, PRE_FD_PROGRESS);
    if (a->question.avoid_count >= NONBLOCK_PE_MAX || !refused_soon(a->fd)) {
        errno = EINPROGRESS;
        return OUT_RETURN;
    }
    /* The next element is found before the kernel's answer is given up: the last one stays. */
    struct lp_pe next;
    uint32_t failed = a->pe.pe_id;
    give_up_element(a, ECONNREFUSED);
    if (guarded_choose(a, &next) != 0) {
        mark_with(a, PRE_FD_PROGRESS, failed, PRE_FD_REPORTED);
        errno = EINPROGRESS;
        return OUT_RETURN;
    }
    if (!renew(a)) {
        mark(a, PRE_FD_FAILED);
        errno = ECONNREFUSED;
        return OUT_RETURN;
    }
    a->pe = next;
    errno = ECONNREFUSED;
    return OUT_NEXT;
}

/** What one attempt may take. SCTP goes through the addresses by itself, one after the other. */
static int64_t attempt_ms(const struct attempt *a)
{
    unsigned addresses = a->socket.protocol == TRANSPORT_SCTP ? a->pe.address_count : 1;
    return (int64_t)pre_connect_timeout_ms() * addresses;
}

/** Blocking socket: the same, bounded by SO_SNDTIMEO. */
static enum outcome try_blocking(struct attempt *a, const union pre_sockaddr *addr, socklen_t len,
                                 int *ret)
{
    int64_t own_ms = timeval_ms(&a->sndtimeo);
    int64_t left = a->deadline_ms - pre_now_ms();
    int64_t bound = attempt_ms(a) < left ? attempt_ms(a) : left;
    bool ours = own_ms == 0 || bound < own_ms;
    if (a->bounded) {
        set_send_timeout(a->fd, ours ? (bound > 1 ? bound : 1) : own_ms);
    }
    *ret = call_connect(a, addr, len);
    if (*ret == 0) {
        mark(a, PRE_FD_CONNECTED);
        return OUT_RETURN;
    }
    if (errno == EINPROGRESS && ours) {
        errno = ETIMEDOUT;
        return OUT_NEXT;
    }
    if (errno == EINPROGRESS || errno == EINTR || errno == EALREADY) {
        int saved = errno;
        mark(a, PRE_FD_PROGRESS);
        errno = saved;
        return OUT_RETURN;
    }
    return moves_on(a, errno) ? OUT_NEXT : OUT_RETURN;
}

/** Tries the addresses of the current element. OUT_NEXT leaves the last error in errno. */
static enum outcome try_element(struct attempt *a, int *ret)
{
    int error = ECONNREFUSED;
    for (unsigned i = 0; i < a->pe.address_count; i++) {
        union pre_sockaddr addr;
        uint32_t current = a->pe.pe_id;
        socklen_t len = pre_socket_fit(&a->socket, &a->pe, i, &addr);
        if (len == 0) {
            continue;
        }
        if ((a->nonblocking ? try_nonblocking : try_blocking)(a, &addr, len, ret) == OUT_RETURN) {
            return OUT_RETURN;
        }
        error = errno;
        if (a->pe.pe_id != current) {
            return OUT_NEXT; /* a new element was chosen already */
        }
        /* A host that refuses refuses on its other addresses too; a missing route may not. */
        if (a->socket.protocol == TRANSPORT_SCTP || error == ECONNREFUSED || error == ETIMEDOUT ||
            !renew(a)) {
            break;
        }
    }
    errno = error;
    return OUT_NEXT;
}

/** Runs through the elements; returns what connect() returns, errno set. */
static int run_attempts(struct attempt *a)
{
    int ret = -1;
    int err = guarded_choose(a, &a->pe);
    if (err != 0) {
        errno = -err;
        return -1;
    }
    for (;;) {
        uint32_t current = a->pe.pe_id;
        if (try_element(a, &ret) == OUT_RETURN) {
            return ret;
        }
        int error = errno;
        if (a->pe.pe_id != current) {
            continue;
        }
        give_up_element(a, error);
        if (!renew(a) || guarded_choose(a, &a->pe) != 0) {
            mark(a, PRE_FD_FAILED);
            errno = error;
            return -1;
        }
    }
}

/**
 * Asks the kernel what the socket is and where it is bound. That it has a TCP state says in one
 * call what takes three else.
 * @return 0 or -errno; `*ret_fresh`: no connection was begun on it
 */
static int look(struct attempt *a, bool *ret_fresh)
{
    struct tcp_info info;
    int err = 0;
    a->local_len = sizeof(a->local);
    if (getsockname(a->fd, &a->local.sa, &a->local_len) != 0) {
        return -errno;
    }
    a->tcp = tcp_state(a->fd, &info);
    *ret_fresh = !a->tcp || info.tcpi_state == TCP_STATE_CLOSE;
    if (!a->tcp || !pre_socket_tcp(a->fd, a->local.sa.sa_family, &a->socket)) {
        err = pre_socket_ask(a->fd, a->local.sa.sa_family, &a->socket);
        a->tcp = a->tcp && a->socket.protocol == TRANSPORT_TCP;
    }
    bool bound = (a->socket.domain == AF_INET ? a->local.in.sin_port : a->local.in6.sin6_port) != 0;
    if (!bound || a->again) {
        a->local.sa.sa_family = AF_UNSPEC;
        bound = false;
    }
    if (!bound && a->socket.type == SOCK_DGRAM) {
        bool udp4 = a->socket.domain == AF_INET && a->socket.protocol == TRANSPORT_UDP;
        a->of_datagrams = PRE_FD_UNBOUND | (udp4 ? PRE_FD_UDP4 : 0);
    }
    return err;
}

/** What is known of the socket from an earlier connect(); kind NONE: nothing that still holds. */
static struct pre_fd recall(struct attempt *a)
{
    struct pre_fd record;
    if (pre_fd_peek(a->fd, &record)) {
        a->inode = pre_fd_inode(a->fd);
        record.kind = record.inode == a->inode ? record.kind : PRE_FD_NONE;
    }
    if (record.kind == PRE_FD_CONNECTED) {
        a->of_datagrams = record.b;
        a->again = (record.b & PRE_FD_UNBOUND) != 0;
    }
    return record;
}

static int first_connect(struct attempt *a)
{
    int flags = pre_real()->fcntl(a->fd, F_GETFL, 0);
    a->nonblocking = flags >= 0 && (flags & O_NONBLOCK) != 0;
    socklen_t len = sizeof(a->sndtimeo);
    a->bounded = !a->nonblocking && a->socket.type != SOCK_DGRAM; /* these never wait */
    if (a->bounded) {
        (void)pre_real()->getsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &a->sndtimeo, &len);
    }
    int64_t total = (int64_t)pre_connect_timeout_ms() * DEADLINE_ATTEMPTS;
    int64_t own_ms = timeval_ms(&a->sndtimeo);
    a->deadline_ms = pre_now_ms() + (own_ms != 0 && own_ms < total ? own_ms : total);
    int ret = run_attempts(a);
    if (a->bounded) {
        int saved = errno;
        (void)setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &a->sndtimeo, sizeof(a->sndtimeo));
        errno = saved;
    }
    return ret;
}

/** The kernel's answer to a further connect() on a socket that is busy or has failed. */
static int repeated_connect(struct attempt *a, const struct pre_fd *record)
{
    union pre_sockaddr nowhere;
    socklen_t len = pre_socket_nowhere(&a->socket, &nowhere);
    int ret = pre_real()->connect(a->fd, &nowhere.sa, len);
    if (record->kind != PRE_FD_PROGRESS) {
        return ret;
    }
    if (ret == 0 || errno == EISCONN) {
        pre_fd_set(a->fd, &(struct pre_fd){
                              .kind = PRE_FD_CONNECTED, .pool = record->pool, .a = record->a});
    } else if (errno != EALREADY && errno != EINPROGRESS && errno != EINTR) {
        pre_connect_failed(a->fd, record, errno);
    }
    return ret;
}

void pre_connect_failed(int fd, const struct pre_fd *record, int error)
{
    struct pre_guard guard;
    pre_enter(&guard);
    if ((record->b & PRE_FD_REPORTED) == 0) {
        pre_report(record->pool, record->a, error);
    }
    struct pre_fd failed = *record;
    failed.kind = PRE_FD_FAILED;
    failed.b = 0;
    pre_fd_set(fd, &failed);
    pre_leave(&guard);
}

/**
 * connect() to a pool.
 * @return as connect(), errno set
 */
static int connect_pool(int fd, const struct pre_target *target, int32_t *ret_sctp_assoc)
{
    struct attempt a = {.fd = fd, .target = *target, .pool = PRE_POOL_NONE};
    struct pre_fd record = recall(&a);
    bool fresh = true;
    int err = 0;
    if (a.of_datagrams == (PRE_FD_UNBOUND | PRE_FD_UDP4)) {
        pre_socket_udp4(&a.socket);
    } else {
        err = look(&a, &fresh);
    }
    if (err != 0) {
        errno = -err;
        return -1;
    }
    a.question.target = &a.target;
    a.question.socket = &a.socket;
    if (!a.tcp && a.socket.type != SOCK_DGRAM &&
        (record.kind == PRE_FD_PROGRESS || record.kind == PRE_FD_CONNECTED)) {
        fresh = false; /* SCTP keeps no such state for us to ask; our own mark must do */
    }
    if (!fresh || (record.kind == PRE_FD_PROGRESS && a.tcp)) {
        return repeated_connect(&a, &record);
    }
    if (record.kind == PRE_FD_FAILED) {
        dissolve(fd);
    }
    int ret = first_connect(&a);
    *ret_sctp_assoc = a.sctp_assoc;
    return ret;
}

int hook_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    struct pre_target target;
    if (pre_inside()) {
        if (pre_target_read(addr, len, &target) != PRE_TARGET_NONE) {
            errno = EHOSTUNREACH;
            return -1;
        }
        return pre_real()->connect(fd, addr, len);
    }
    switch (pre_target_read(addr, len, &target)) {
    case PRE_TARGET_NONE: {
        struct pre_fd record;
        if (pre_fd_peek(fd, &record) && record.kind <= PRE_FD_DATAGRAM) {
            pre_fd_clear(fd, &record); /* dissolved, or connected elsewhere */
        }
        pre_listen_retry();
        return pre_real()->connect(fd, addr, len);
    }
    case PRE_TARGET_BAD:
        errno = EINVAL;
        return -1;
    default:
        break;
    }
    int saved = errno;
    int32_t assoc = 0;
    int ret = connect_pool(fd, &target, &assoc);
    if (ret == 0) {
        errno = saved;
    }
    return ret;
}

/** sctp_connectx() to a cookie. False: it goes elsewhere. */
static bool connectx_pool(int fd, int level, int name, void *value, const socklen_t *len, int *ret)
{
    struct pre_target target;
    const struct sockaddr *addr;
    socklen_t addr_len;
    if (pre_inside() || !pre_sctp_is_connectx(level, name, value, len, &addr, &addr_len) ||
        pre_target_read(addr, addr_len, &target) == PRE_TARGET_NONE) {
        return false;
    }
    int saved = errno;
    int32_t assoc = 0;
    *ret = connect_pool(fd, &target, &assoc);
    pre_sctp_connectx_done(value, assoc);
    if (*ret == 0) {
        errno = saved;
    }
    return true;
}

int hook_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int ret;
    if (connectx_pool(fd, level, name, value, len, &ret)) {
        return ret;
    }
    ret = pre_real()->getsockopt(fd, level, name, value, len);
    struct pre_fd record;
    if (level != SOL_SOCKET || name != SO_ERROR || ret != 0 || pre_inside() ||
        !pre_fd_peek(fd, &record) || record.kind != PRE_FD_PROGRESS || *len < sizeof(int) ||
        !pre_fd_get(fd, &record)) {
        return ret;
    }
    int saved = errno;
    int error;
    struct tcp_info info;
    memcpy(&error, value, sizeof(error));
    if (error != 0) {
        pre_connect_failed(fd, &record, error);
    } else if (tcp_state(fd, &info) && info.tcpi_state == TCP_STATE_ESTABLISHED) {
        record.kind = PRE_FD_CONNECTED;
        pre_fd_set(fd, &record);
    }
    errno = saved;
    return ret;
}

void pre_connect_closing(int fd, const struct pre_fd *record)
{
    struct tcp_info info;
    if (!tcp_state(fd, &info)) {
        return;
    }
    if (info.tcpi_state == TCP_STATE_CLOSE && info.tcpi_bytes_acked == 0 &&
        info.tcpi_segs_in <= 1) {
        pre_connect_failed(fd, record, ECONNREFUSED);
    } else if (info.tcpi_state == TCP_STATE_SYN_SENT && info.tcpi_total_retrans > 0) {
        pre_connect_failed(fd, record, ETIMEDOUT);
    }
}

/** Writes a cookie as the peer's address, in the family the socket has; cut as the kernel does. */
static void give_cookie(const struct pre_pool_info *info, struct sockaddr *addr, socklen_t room,
                        socklen_t *len)
{
    union pre_sockaddr out;
    struct pre_socket s = {.domain = addr->sa_family == AF_INET6 ? AF_INET6 : AF_INET,
                           .protocol = TRANSPORT_TCP};
    uint16_t port = 0;
    if (*len >= offsetof(struct sockaddr_in, sin_addr)) {
        memcpy(&port, (const char *)addr + offsetof(struct sockaddr_in, sin_port), sizeof(port));
    }
    struct lp_pe pe = {.protocol = TRANSPORT_TCP, .port = ntohs(port), .address_count = 1};
    pe.addresses[0] =
        s.domain == AF_INET6 && info->cookie6.family == IP_V6 ? info->cookie6 : info->cookie4;
    socklen_t full = pre_socket_fit(&s, &pe, 0, &out);
    if (full != 0) {
        memcpy(addr, &out, full < room ? full : room);
        *len = full;
    }
}

bool pre_show_cookie(uint16_t pool, struct sockaddr *addr, socklen_t room, socklen_t *len)
{
    struct pre_pool_info info;
    struct pre_guard guard;
    if (addr == NULL || room < sizeof(sa_family_t)) {
        return false;
    }
    pre_enter(&guard);
    bool found = pre_pool_info(pool, &info) &&
                 (info.cookie4.family == IP_V4 || info.cookie6.family == IP_V6);
    pre_leave(&guard);
    if (found) {
        give_cookie(&info, addr, room, len);
    }
    return found;
}

int hook_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    struct pre_fd record;
    socklen_t room = len != NULL ? *len : 0;
    int ret = pre_real()->getpeername(fd, addr, len);
    if (ret != 0 || pre_inside() || !pre_fd_peek(fd, &record) ||
        (record.kind != PRE_FD_CONNECTED && record.kind != PRE_FD_PROGRESS) ||
        !pre_config()->peername_cookie || !pre_fd_get(fd, &record)) {
        return ret;
    }
    (void)pre_show_cookie(record.pool, addr, room, len);
    return ret;
}
