/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What hostaddr.c and sockdiag.c share: netlink sockets through libnl-3 with negative errnos. */
#ifndef RSP_TRANSPORT_NETLINK_H
#define RSP_TRANSPORT_NETLINK_H

#include <netlink/handlers.h>
#include <netlink/netlink.h>
#include <stddef.h>

/** libnl's -NLE_… as -errno. */
int netlink_errno(int nle);
/** A connected netlink socket for dumps in the calling thread's network namespace. */
int netlink_open(int protocol, struct nl_sock **ret);
/**
 * Sends one dump request and reads all its answers; blocks until the kernel has given them. `fn`
 * may return NL_STOP to end early. -EINTR: the table changed meanwhile, ask again.
 */
int netlink_dump(struct nl_sock *sock, int type, void *payload, size_t len, nl_recvmsg_msg_cb_t fn,
                 void *ctx);

#endif
