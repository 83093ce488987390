/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: a thread is cancelled inside connect() or getaddrinfo() to a pool: no lock stays behind.
 */
#include <pthread.h>

#include "probe.h"

static const char *name;

static void *connect_for_ever(void *arg)
{
    (void)arg;
    for (;;) {
        struct sockaddr_in in = pool_address(name);
        int fd = stream_socket(0);
        (void)connect(fd, (struct sockaddr *)&in, sizeof(in));
        (void)close(fd);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    name = argv[1];
    alarm(60);
    for (int i = 0; i < 30; i++) {
        pthread_t thread;
        CHECK(pthread_create(&thread, NULL, connect_for_ever, NULL) == 0);
        meet(name);
        CHECK(pthread_cancel(thread) == 0);
        CHECK(pthread_join(thread, NULL) == 0);
    }
    meet(name);
    return 0;
}
