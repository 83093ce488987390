/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Sends MIB mebibytes to a server (serve.c) by write() and waits until it has read them all.
 * argv: HOST PORT MIB. */
#include "bench.h"

int main(int argc, char **argv)
{
    static char octets[1 << 16];
    char last;
    NEED(argc == 4);
    struct sockaddr_in in = address_of(argv[1], argv[2], SOCK_STREAM);
    size_t left = (size_t)number(argv[3]) << 20;
    const size_t all = left;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(fd >= 0 && connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    int64_t begin = now_ns();
    while (left > 0) {
        ssize_t n = write(fd, octets, left < sizeof(octets) ? left : sizeof(octets));
        NEED(n > 0);
        left -= (size_t)n;
    }
    NEED(shutdown(fd, SHUT_WR) == 0 && read(fd, &last, 1) == 1);
    printf("{\"operations\": %zu, \"ns\": %lld}\n", all, (long long)(now_ns() - begin));
    return 0;
}
