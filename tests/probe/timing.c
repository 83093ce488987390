/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Prints how long calls take, in microseconds: argv: name ("-": an ordinary refused address),
 * "blocking" or "nonblocking"; then the errno of the connect. */
#include <time.h>

#include "probe.h"

static long long now_us(void)
{
    struct timespec ts;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &ts) == 0);
    return (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int main(int argc, char **argv)
{
    CHECK(argc == 3);
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(80)};
    CHECK(inet_pton(AF_INET, argv[1], &in.sin_addr) == 1);
    int fd = stream_socket(strcmp(argv[2], "nonblocking") == 0 ? SOCK_NONBLOCK : 0);
    long long before = now_us();
    int ret = connect(fd, (struct sockaddr *)&in, sizeof(in));
    int error = ret == 0 ? 0 : errno;
    printf("%lld %d\n", now_us() - before, error);
    return 0;
}
