/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * socket(AF_RSP, …): a dual-stack IPv6 socket from the start, IPv4 where the host has no IPv6. The
 * kernel never sees the magic family, and everything it says about the socket is true of an
 * ordinary one (preload-notes §5.5).
 */
#include <errno.h>
#include <netinet/in.h>

#include "preload/real.h"
#include "rsp/sockaddr.h"

int hook_socket(int domain, int type, int protocol)
{
    if (domain != AF_RSP) {
        return pre_real()->socket(domain, type, protocol);
    }
    int saved = errno;
    int fd = pre_real()->socket(AF_INET6, type, protocol);
    if (fd < 0) {
        if (errno != EAFNOSUPPORT) {
            return fd;
        }
        fd = pre_real()->socket(AF_INET, type, protocol);
        if (fd >= 0) {
            errno = saved;
        }
        return fd;
    }
    int off = 0; /* the host's default may be otherwise; the socket is new, nobody's setting */
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    errno = saved;
    return fd;
}
