/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: a datagram socket is connected to the pool again and again, and what was learnt of it is
 * used again. argv: the pool, then
 *   times N   N connections, of one socket
 *   number    its number becomes another kind of socket behind our back
 *   bound     what the program bound stays bound, from one element to the next
 *   far       the element after one of this host is on another host
 */
#include <sys/syscall.h>

#include "probe.h"

static struct sockaddr_in pool;

static int datagrams(int family)
{
    int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    CHECK(fd >= 0);
    return fd;
}

static void join(int fd)
{
    CHECK(connect(fd, (struct sockaddr *)&pool, sizeof(pool)) == 0);
}

static struct sockaddr_in end_of(int fd, int (*end)(int, struct sockaddr *, socklen_t *))
{
    struct sockaddr_in in;
    socklen_t len = sizeof(in);
    CHECK(end(fd, (struct sockaddr *)&in, &len) == 0);
    return in;
}

static void number(void)
{
    int fd = datagrams(AF_INET);
    join(fd);
    join(fd);
    CHECK(syscall(SYS_close, fd) == 0);
    CHECK(socket(AF_INET, SOCK_STREAM, 0) == fd);
    join(fd); /* of a TCP socket: another protocol is asked for, and a stream comes of it */
    CHECK(greeted(fd) == 0);
}

static void bound(void)
{
    int fd = datagrams(AF_INET);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    CHECK(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    in = end_of(fd, getsockname);
    for (int i = 0; i < 3; i++) {
        join(fd);
        struct sockaddr_in now = end_of(fd, getsockname);
        CHECK(now.sin_port == in.sin_port && now.sin_addr.s_addr == in.sin_addr.s_addr);
    }
}

/** The elements are 127.0.0.1 and another host, in turns; 127.0.0.1 is no address to speak from to
 * the other host. */
static void far(int family)
{
    int fd = datagrams(family);
    uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = pool.sin_port};
    memcpy(mapped + 12, &pool.sin_addr, 4);
    memcpy(&in6.sin6_addr, mapped, sizeof(mapped));
    for (int i = 0; i < 4; i++) {
        CHECK(connect(fd, family == AF_INET ? (struct sockaddr *)&pool : (struct sockaddr *)&in6,
                      family == AF_INET ? sizeof(pool) : sizeof(in6)) == 0);
        union {
            struct sockaddr_in in;
            struct sockaddr_in6 in6;
        } own;
        socklen_t len = sizeof(own);
        CHECK(getsockname(fd, (struct sockaddr *)&own, &len) == 0);
        uint8_t first =
            family == AF_INET ? ((uint8_t *)&own.in.sin_addr)[0] : own.in6.sin6_addr.s6_addr[12];
        CHECK(i % 2 == 0 || first != 127);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc >= 3);
    pool = pool_address(argv[1]);
    if (strcmp(argv[2], "times") == 0) {
        CHECK(argc == 4);
        int fd = datagrams(AF_INET);
        for (int i = atoi(argv[3]); i > 0; i--) {
            join(fd);
        }
    } else if (strcmp(argv[2], "number") == 0) {
        number();
    } else if (strcmp(argv[2], "bound") == 0) {
        bound();
    } else {
        CHECK(strcmp(argv[2], "far") == 0);
        far(AF_INET);
        far(AF_INET6);
    }
    return 0;
}
