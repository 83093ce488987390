/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Kernel SCTP for the programs that measure a registrar. */
#ifndef RSP_TESTS_BENCH_SCTP_H
#define RSP_TESTS_BENCH_SCTP_H

#include "bench.h"

#include <netinet/sctp.h>

#define SCTP_BUFFER 1048576

/** A one-to-many socket with the buffers and the latency that a registrar's has. */
static inline int sctp_open(void)
{
    const int on = 1;
    const int bytes = SCTP_BUFFER;
    const struct sctp_sack_info sack = {.sack_delay = 0, .sack_freq = 1};
    int fd = socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, IPPROTO_SCTP);
    NEED(fd >= 0);
    NEED(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof(bytes)) == 0);
    NEED(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)) == 0);
    NEED(setsockopt(fd, IPPROTO_SCTP, SCTP_NODELAY, &on, sizeof(on)) == 0);
    NEED(setsockopt(fd, IPPROTO_SCTP, SCTP_DELAYED_SACK, &sack, sizeof(sack)) == 0);
    NEED(setsockopt(fd, IPPROTO_SCTP, SCTP_RECVRCVINFO, &on, sizeof(on)) == 0);
    return fd;
}

static inline struct sockaddr_in ipv4(const char *address, const char *port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons((uint16_t)number(port))};
    NEED(inet_pton(AF_INET, address, &in.sin_addr) == 1);
    return in;
}

#endif
