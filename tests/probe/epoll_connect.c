/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: the descriptor is registered with epoll before connect(), the first element refuses: the
 * registration, flags and options stay, and the connection comes to stand on the second one. */
#include <netinet/tcp.h>
#include <sys/epoll.h>

#include "probe.h"

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    struct sockaddr_in in = pool_address(argv[1]);
    int fd = stream_socket(SOCK_NONBLOCK);
    int on = 1;
    socklen_t len = sizeof(on);
    CHECK(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on)) == 0);
    int ep = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLOUT | EPOLLIN | EPOLLET, .data = {.fd = fd}};
    CHECK(epoll_ctl(ep, EPOLL_CTL_ADD, fd, &event) == 0);
    int flags = fcntl(fd, F_GETFL);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == EINPROGRESS);
    bool readable = false;
    while (!readable) {
        CHECK(epoll_wait(ep, &event, 1, 5000) == 1 && event.data.fd == fd);
        readable = (event.events & EPOLLIN) != 0;
    }
    int error = -1;
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0);
    CHECK(greeted(fd) == 0 && fcntl(fd, F_GETFL) == flags);
    CHECK(getsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, &len) == 0 && on != 0);
    CHECK(epoll_ctl(ep, EPOLL_CTL_MOD, fd, &event) == 0);
    return 0;
}
