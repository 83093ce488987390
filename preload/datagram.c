/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Datagrams to a pool: the destination is rewritten to one element, kept per socket and confirmed
 * with the daemon when the last answer is older than KEEP_MS. What the kernel reports about the
 * element on these calls (ECONNREFUSED after an ICMP error; only connected sockets get it) becomes
 * a failure report. Sources are rewritten to the cookie only with $RSP_PEERNAME=cookie.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "preload/config.h"
#include "preload/connect.h"
#include "preload/fdtable.h"
#include "preload/guard.h"
#include "preload/pools.h"
#include "preload/real.h"
#include "preload/target.h"

#define PEERS_MAX 512
#define KEEP_MS   20

/** Where a socket's datagrams go; guarded by pre_state_lock(). */
struct peer {
    uint32_t inode; /* 0: free */
    uint16_t pool;
    uint32_t pe_id;
    socklen_t len;
    union pre_sockaddr addr;
    int64_t confirmed_ms;
};
static struct peer peers[PEERS_MAX];
static unsigned next_peer;

/** The record of a socket's peer, copied; false when it sends to no pool yet. */
static bool get_peer(int fd, struct peer *ret, uint32_t *ret_index)
{
    struct pre_fd record;
    if (!pre_fd_get(fd, &record) || record.kind != PRE_FD_DATAGRAM || record.b >= PEERS_MAX) {
        return false;
    }
    pre_state_lock();
    *ret = peers[record.b];
    pre_state_unlock();
    *ret_index = record.b;
    return ret->inode == record.inode;
}

static void put_peer(int fd, struct peer *peer, bool known, uint32_t index)
{
    peer->inode = pre_fd_inode(fd);
    pre_state_lock();
    if (!known) {
        index = next_peer++ % PEERS_MAX; /* the socket that loses its place asks anew */
    }
    peers[index] = *peer;
    pre_state_unlock();
    pre_fd_set(fd, &(struct pre_fd){
                       .kind = PRE_FD_DATAGRAM, .pool = peer->pool, .a = peer->pe_id, .b = index});
}

static int choose_peer(int fd, const struct pre_target *target, uint32_t keep_pe, bool hurry,
                       struct peer *ret)
{
    struct pre_socket s;
    struct lp_pe pe;
    int err = pre_socket_ask(fd, AF_UNSPEC, &s);
    if (err != 0) {
        return err;
    }
    struct pre_question q = {.target = target,
                             .socket = &s,
                             .keep_pe = keep_pe,
                             .timeout_ms = hurry ? PRE_QUICK_MS : PRE_NAME_MS};
    err = pre_resolve(&q, &pe, &ret->pool);
    if (err != 0 && keep_pe != 0) {
        q.keep_pe = 0;
        err = pre_resolve(&q, &pe, &ret->pool);
    }
    if (err != 0) {
        return err;
    }
    if (target->kind == PRE_TARGET_RSP && target->port != 0) {
        pe.port = target->port;
    }
    for (unsigned i = 0; i < pe.address_count; i++) {
        ret->len = pre_socket_fit(&s, &pe, i, &ret->addr);
        if (ret->len != 0) {
            ret->pe_id = pe.pe_id;
            return 0;
        }
    }
    return -EAFNOSUPPORT;
}

/** Where a datagram to the pool goes now; 0 or -errno. */
static int destination(int fd, const struct pre_target *target, int flags, struct peer *ret)
{
    struct pre_guard guard;
    uint32_t index = 0;
    int err = 0;
    pre_enter(&guard);
    bool known = get_peer(fd, ret, &index);
    bool same = known && ret->pool != PRE_POOL_NONE && ret->pool == pre_target_pool(target);
    int64_t now_ms = pre_now_ms();
    if (!same || now_ms - ret->confirmed_ms >= KEEP_MS) {
        bool hurry =
            (flags & MSG_DONTWAIT) != 0 || (pre_real()->fcntl(fd, F_GETFL, 0) & O_NONBLOCK) != 0;
        err = choose_peer(fd, target, same ? ret->pe_id : 0, hurry, ret);
        if (err == 0) {
            ret->confirmed_ms = now_ms;
            put_peer(fd, ret, known, index);
        }
    }
    pre_leave(&guard);
    return err;
}

/** The kernel said the element is not there: reported once. */
static void note_error(int fd)
{
    struct pre_fd record;
    int error = errno;
    if (pre_inside() || (error != ECONNREFUSED && error != EHOSTUNREACH) || !pre_fd_any() ||
        !pre_fd_get(fd, &record) || record.kind != PRE_FD_CONNECTED) {
        return;
    }
    struct pre_socket s;
    if (pre_socket_ask(fd, AF_UNSPEC, &s) == 0 && s.type == SOCK_DGRAM) {
        pre_connect_failed(fd, &record, error);
    }
    errno = error;
}

/** What a destination is to us: 0 not ours; 1 resolved into `peer`; 2 to be left out; -errno. */
static int look(int fd, const struct sockaddr *addr, socklen_t len, int flags, struct peer *peer)
{
    struct pre_target target;
    enum pre_target_kind kind =
        addr != NULL ? pre_target_read(addr, len, &target) : PRE_TARGET_NONE;
    if (kind == PRE_TARGET_NONE) {
        return 0;
    }
    if (kind == PRE_TARGET_BAD) {
        return -EINVAL;
    }
    if (pre_inside()) {
        return -EHOSTUNREACH;
    }
    if ((flags & MSG_FASTOPEN) != 0) {
        return -EOPNOTSUPP;
    }
    int type = 0;
    socklen_t type_len = sizeof(type);
    if (pre_real()->getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) == 0 &&
        type == SOCK_STREAM) {
        return 2; /* streams take no notice of the destination */
    }
    int saved = errno;
    int err = destination(fd, &target, flags, peer);
    errno = saved;
    return err == 0 ? 1 : err;
}

ssize_t hook_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
                    socklen_t len)
{
    struct peer peer;
    int what = look(fd, addr, len, flags, &peer);
    if (what < 0) {
        errno = -what;
        return -1;
    }
    if (what == 1) {
        addr = &peer.addr.sa;
        len = peer.len;
    } else if (what == 2) {
        addr = NULL;
        len = 0;
    }
    ssize_t ret = pre_real()->sendto(fd, buf, n, flags, addr, len);
    if (ret < 0) {
        note_error(fd);
    }
    return ret;
}

ssize_t hook_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    struct peer peer;
    int what =
        msg != NULL && msg->msg_name != NULL
            ? look(fd, (const struct sockaddr *)msg->msg_name, msg->msg_namelen, flags, &peer)
            : 0;
    if (what < 0) {
        errno = -what;
        return -1;
    }
    ssize_t ret;
    if (what == 0) {
        ret = pre_real()->sendmsg(fd, msg, flags);
    } else {
        struct msghdr copy = *msg;
        copy.msg_name = what == 1 ? &peer.addr : NULL;
        copy.msg_namelen = what == 1 ? peer.len : 0;
        ret = pre_real()->sendmsg(fd, &copy, flags);
    }
    if (ret < 0) {
        note_error(fd);
    }
    return ret;
}

int hook_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
    bool ours = false;
    struct pre_target target;
    for (unsigned int i = 0; msgs != NULL && i < n && !ours; i++) {
        const struct msghdr *m = &msgs[i].msg_hdr;
        ours = m->msg_name != NULL && pre_target_read((const struct sockaddr *)m->msg_name,
                                                      m->msg_namelen, &target) != PRE_TARGET_NONE;
    }
    if (!ours) {
        int ret = pre_real()->sendmmsg(fd, msgs, n, flags);
        if (ret < 0) {
            note_error(fd);
        }
        return ret;
    }
    int done = 0;
    while ((unsigned)done < n) {
        ssize_t sent = hook_sendmsg(fd, &msgs[done].msg_hdr, flags);
        if (sent < 0) {
            return done > 0 ? done : -1; /* as the kernel: the error shows with the next call */
        }
        msgs[done++].msg_len = (unsigned)sent;
    }
    return done;
}

/** $RSP_PEERNAME=cookie: a datagram from the chosen element shows the cookie as its source. */
static void show_source(int fd, struct sockaddr *addr, socklen_t room, socklen_t *len)
{
    struct pre_fd record;
    struct peer peer;
    uint32_t index;
    if (addr == NULL || len == NULL || pre_inside() || !pre_fd_peek(fd, &record) ||
        (record.kind != PRE_FD_DATAGRAM && record.kind != PRE_FD_CONNECTED) ||
        !pre_config()->peername_cookie || !pre_fd_get(fd, &record)) {
        return;
    }
    bool from_element = record.kind == PRE_FD_CONNECTED;
    if (!from_element) {
        struct pre_guard guard;
        pre_enter(&guard);
        from_element = get_peer(fd, &peer, &index) && *len == peer.len && room >= *len &&
                       memcmp(addr, &peer.addr, peer.len) == 0;
        pre_leave(&guard);
    }
    if (from_element) {
        (void)pre_show_cookie(record.pool, addr, room, len);
    }
}

ssize_t hook_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len)
{
    socklen_t room = len != NULL ? *len : 0;
    ssize_t ret = pre_real()->recvfrom(fd, buf, n, flags, addr, len);
    if (ret < 0) {
        note_error(fd);
    } else {
        show_source(fd, addr, room, len);
    }
    return ret;
}

ssize_t hook___recvfrom_chk(int fd, void *buf, size_t n, size_t buflen, int flags,
                            struct sockaddr *addr, socklen_t *len)
{
    socklen_t room = len != NULL ? *len : 0;
    ssize_t ret = pre_real()->__recvfrom_chk(fd, buf, n, buflen, flags, addr, len);
    if (ret < 0) {
        note_error(fd);
    } else {
        show_source(fd, addr, room, len);
    }
    return ret;
}

ssize_t hook_recvmsg(int fd, struct msghdr *msg, int flags)
{
    socklen_t room = msg != NULL ? msg->msg_namelen : 0;
    ssize_t ret = pre_real()->recvmsg(fd, msg, flags);
    if (ret < 0) {
        note_error(fd);
    } else if (msg != NULL) {
        show_source(fd, (struct sockaddr *)msg->msg_name, room, &msg->msg_namelen);
    }
    return ret;
}

int hook_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags, struct timespec *timeout)
{
    socklen_t room = sizeof(struct sockaddr_storage); /* the least that any of them has */
    for (unsigned int i = 0; msgs != NULL && i < n; i++) {
        if (msgs[i].msg_hdr.msg_name != NULL && msgs[i].msg_hdr.msg_namelen < room) {
            room = msgs[i].msg_hdr.msg_namelen;
        }
    }
    int ret = pre_real()->recvmmsg(fd, msgs, n, flags, timeout);
    if (ret < 0) {
        note_error(fd);
    }
    for (int i = 0; msgs != NULL && i < ret; i++) {
        struct msghdr *m = &msgs[i].msg_hdr;
        show_source(fd, (struct sockaddr *)m->msg_name, room, &m->msg_namelen);
    }
    return ret;
}
