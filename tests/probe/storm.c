/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads connect, close and copy descriptors of one process at once (L-55). */
#include <pthread.h>

#include "probe.h"

static const char *name;

static void *run(void *arg)
{
    (void)arg;
    for (int i = 0; i < 150; i++) {
        struct sockaddr_in in = pool_address(name);
        int fd = stream_socket(i % 2 == 0 ? SOCK_NONBLOCK : 0);
        int ret = connect(fd, (struct sockaddr *)&in, sizeof(in));
        CHECK(ret == 0 || errno == EINPROGRESS);
        int copy = dup(fd);
        CHECK(copy >= 0 && close(fd) == 0);
        CHECK(greeted(copy) == 0 && close(copy) == 0);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    name = argv[1];
    pthread_t threads[6];
    for (int i = 0; i < 6; i++) {
        CHECK(pthread_create(&threads[i], NULL, run, NULL) == 0);
    }
    for (int i = 0; i < 6; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
