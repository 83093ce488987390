/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Netlink dumps through libnl-3, and its error codes as errnos. */
#include "transport/netlink.h"

#include <errno.h>
#include <netlink/errno.h>
#include <stdlib.h>

/* The kernel builds dump replies of up to 32 KiB when the reader's buffer is that large. */
#define DUMP_BUFFER_BYTES 32768

int netlink_errno(int nle)
{
    static const int table[] = {
        [NLE_INTR] = EINTR,
        [NLE_AGAIN] = EAGAIN,
        [NLE_EXIST] = EEXIST,
        [NLE_NOADDR] = EADDRNOTAVAIL,
        [NLE_NODEV] = ENODEV,
        [NLE_NOMEM] = ENOBUFS,
        [NLE_OBJ_NOTFOUND] = ENOENT,
        [NLE_PERM] = EPERM,
        [NLE_NOACCESS] = EACCES,
        [NLE_AF_NOSUPPORT] = EAFNOSUPPORT,
        [NLE_PROTO_MISMATCH] = EPROTONOSUPPORT,
        [NLE_OPNOTSUPP] = EOPNOTSUPP,
        [NLE_INVAL] = EINVAL,
        [NLE_BUSY] = EBUSY,
        [NLE_BAD_SOCK] = EBADF,
        [NLE_DUMP_INTR] = EINTR,
    };
    int code = nle < 0 ? -nle : nle;
    if (code == 0) {
        return 0;
    }
    if ((size_t)code >= sizeof(table) / sizeof(table[0]) || table[code] == 0) {
        return -EIO;
    }
    return -table[code];
}

int netlink_open(int protocol, struct nl_sock **ret)
{
    struct nl_sock *sock = nl_socket_alloc();
    if (sock == NULL) {
        return -ENOMEM;
    }
    int r = netlink_errno(nl_connect(sock, protocol));
    if (r == 0) {
        r = netlink_errno(nl_socket_set_msg_buf_size(sock, DUMP_BUFFER_BYTES));
    }
    if (r < 0) {
        nl_socket_free(sock);
        return r;
    }
    nl_socket_disable_msg_peek(sock);
    nl_socket_disable_auto_ack(sock);
    *ret = sock;
    return 0;
}

int netlink_dump(struct nl_sock *sock, int type, void *payload, size_t len, nl_recvmsg_msg_cb_t fn,
                 void *ctx)
{
    int r = netlink_errno(nl_socket_modify_cb(sock, NL_CB_VALID, NL_CB_CUSTOM, fn, ctx));
    if (r < 0) {
        return r;
    }
    r = nl_send_simple(sock, type, NLM_F_REQUEST | NLM_F_DUMP, payload, len);
    if (r < 0) {
        return netlink_errno(r);
    }
    r = nl_recvmsgs_default(sock);
    return r < 0 ? netlink_errno(r) : 0;
}
