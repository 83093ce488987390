/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The baseline of a daemon that answers over a SOCK_SEQPACKET Unix socket: one thread, epoll, and
 * nothing done between receiving a message and sending it back. argv: the path to listen on.
 */
#include <sys/epoll.h>

#include "bench.h"

static void take_in(int epoll, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    NEED(fd >= 0 && epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
}

static void answer(int fd)
{
    char octets[4096];
    ssize_t n = recv(fd, octets, sizeof(octets), MSG_DONTWAIT);
    if (n > 0) {
        (void)send(fd, octets, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL);
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        (void)close(fd);
    }
}

int main(int argc, char **argv)
{
    NEED(argc == 2);
    struct sockaddr_un un = unix_address(argv[1]);
    int listener = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    int epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.fd = listener};
    NEED(bind(listener, (struct sockaddr *)&un, sizeof(un)) == 0 && listen(listener, 64) == 0);
    NEED(epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &event) == 0);
    for (;;) {
        struct epoll_event events[16];
        int n = epoll_wait(epoll, events, 16, -1);
        for (int i = 0; i < n; i++) {
            if (events[i].data.fd == listener) {
                take_in(epoll, listener);
            } else {
                answer(events[i].data.fd);
            }
        }
    }
}
