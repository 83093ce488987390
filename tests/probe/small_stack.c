/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: a thread with the smallest stack there is resolves, connects and closes (L-54). */
#include <limits.h>
#include <pthread.h>

#include "probe.h"

static struct sockaddr_in in;

static void *run(void *arg)
{
    (void)arg;
    int fd = stream_socket(0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(greeted(fd) == 0 && close(fd) == 0);
    uint16_t port;
    fd = listener(&port, 0);
    CHECK(close(fd) == 0);
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    in = pool_address(argv[1]);
    pthread_attr_t attr;
    pthread_t thread;
    CHECK(pthread_attr_init(&attr) == 0);
    CHECK(pthread_attr_setstacksize(&attr, (size_t)PTHREAD_STACK_MIN) == 0);
    CHECK(pthread_create(&thread, &attr, run, NULL) == 0);
    CHECK(pthread_join(thread, NULL) == 0);
    return 0;
}
