/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The transparency gate: a little of everything that does not concern us. It runs with and without
 * the shim, and makes the same system calls (L-11, L-13). Errors must be the kernel's. Not in it:
 * listen(), the first accept() on a listener and the first name of a process, which may concern us:
 * they ask the daemon once. */
#include <sys/un.h>

#include "probe.h"

int main(void)
{
    uint16_t port;
    errno = 4711;
    int server = stream_socket(0);
    struct sockaddr_in in = {.sin_family = AF_INET};
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t len = sizeof(in);
    CHECK(bind(server, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(getsockname(server, (struct sockaddr *)&in, &len) == 0);
    port = in.sin_port;
    int closed = stream_socket(0);
    CHECK(connect(closed, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == ECONNREFUSED);
    int sockets[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets) == 0);
    struct msghdr msg = {0};
    CHECK(sendmsg(sockets[0], &msg, MSG_NOSIGNAL) == 0);
    CHECK(sendto(sockets[0], "x", 1, 0, NULL, 0) == 1);
    char c;
    errno = 4711;
    CHECK(recvfrom(sockets[1], &c, 1, 0, NULL, NULL) == 1 && errno == 4711);
    int udp = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    in.sin_port = port;
    CHECK(connect(udp, (struct sockaddr *)&in, sizeof(in)) == 0);
    struct sockaddr unspec = {.sa_family = AF_UNSPEC};
    CHECK(connect(udp, &unspec, sizeof(unspec)) == 0);
    CHECK(connect(udp, NULL, sizeof(in)) == -1 && errno == EFAULT);
    CHECK(connect(udp, (struct sockaddr *)&in, 3) == -1 && errno == EINVAL);
    int error = 0;
    len = sizeof(error);
    CHECK(getsockopt(udp, SOL_SOCKET, SO_ERROR, &error, &len) == 0);
    int copy = dup(udp);
    CHECK(dup2(copy, 90) == 90 && dup3(copy, 91, O_CLOEXEC) == 91);
    CHECK(fcntl(copy, F_DUPFD_CLOEXEC, 92) == 92 && fcntl(92, F_SETFD, 0) == 0);
    errno = 4711;
    CHECK(close(92) == 0 && errno == 4711);
    CHECK(close(92) == -1 && errno == EBADF);
    CHECK(close_range(90, 92, 0) == 0);
    CHECK(socket(0x5251, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT);
    closefrom(3);
    return 0;
}
