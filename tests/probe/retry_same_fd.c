/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: the program retries on the same descriptor: after an asynchronous refusal, after
 * connect(AF_UNSPEC), and bound to a port the kernel chose. argv: dead pool, living pool. */
#include "probe.h"

static void refused_later(int fd, const struct sockaddr_in *dead)
{
    int error = 0;
    socklen_t len = sizeof(error);
    CHECK(connect(fd, (const struct sockaddr *)dead, sizeof(*dead)) == -1 && errno == EINPROGRESS);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&p, 1, 5000) == 1);
    CHECK(getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == ECONNREFUSED);
}

static void arrive(int fd, const struct sockaddr_in *pool)
{
    CHECK(connect(fd, (const struct sockaddr *)pool, sizeof(*pool)) == -1 && errno == EINPROGRESS);
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    CHECK(poll(&p, 1, 5000) == 1 && (p.revents & POLLERR) == 0 && greeted(fd) == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    struct sockaddr_in dead = pool_address(argv[1]);
    struct sockaddr_in living = pool_address(argv[2]);
    int fd = stream_socket(SOCK_NONBLOCK);
    refused_later(fd, &dead);
    arrive(fd, &living);
    struct sockaddr unspec = {.sa_family = AF_UNSPEC};
    CHECK(connect(fd, &unspec, sizeof(unspec)) == 0);
    arrive(fd, &living);
    CHECK(close(fd) == 0);
    fd = stream_socket(0);
    struct sockaddr_in local = {.sin_family = AF_INET};
    CHECK(bind(fd, (struct sockaddr *)&local, sizeof(local)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&dead, sizeof(dead)) == -1 && errno == ECONNREFUSED);
    CHECK(connect(fd, (struct sockaddr *)&living, sizeof(living)) == 0 && greeted(fd) == 0);
    return 0;
}
