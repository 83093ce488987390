/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: java's way: a dual-stack socket connects to the v4-mapped cookie; and an IPv6-only socket
 * to a pool with IPv4 elements alone, and a socket of another kind. argv: name. */
#include "probe.h"

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    struct sockaddr_in in = pool_address(argv[1]);
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(80)};
    in6.sin6_addr.s6_addr[10] = in6.sin6_addr.s6_addr[11] = 0xff;
    memcpy(in6.sin6_addr.s6_addr + 12, &in.sin_addr, 4);
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(fd >= 0 && connect(fd, (struct sockaddr *)&in6, sizeof(in6)) == 0);
    CHECK(greeted(fd) == 0 && close(fd) == 0);
    int on = 1;
    fd = socket(AF_INET6, SOCK_STREAM, 0);
    CHECK(setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) == 0);
    CHECK(connect(fd, (struct sockaddr *)&in6, sizeof(in6)) == -1);
    CHECK(errno == ECONNREFUSED || errno == EAFNOSUPPORT);
    CHECK(close(fd) == 0);
    fd = socket(AF_INET, SOCK_DGRAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == EPROTOTYPE);
    CHECK(close(fd) == 0);
    fd = socket(AF_UNIX, SOCK_STREAM, 0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == -1 && close(fd) == 0);
    CHECK(connect(-1, (struct sockaddr *)&in, sizeof(in)) == -1 && errno == EBADF);
    CHECK(connect(0, NULL, 0) == -1);
    return 0;
}
