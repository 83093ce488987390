/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: fork() while other threads are inside the shim; each child talks to the pool itself, on
 * a connection to the daemon of its own. */
#include <pthread.h>
#include <stdatomic.h>

#include "probe.h"

static const char *name;
static atomic_bool stop;

static void *busy(void *arg)
{
    (void)arg;
    while (!stop) {
        meet(name);
    }
    return NULL;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    name = argv[1];
    pthread_t threads[4];
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_create(&threads[i], NULL, busy, NULL) == 0);
    }
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();
        CHECK(pid >= 0);
        if (pid == 0) {
            alarm(20);
            meet(name);
            _exit(0);
        }
        int status;
        CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    }
    stop = true;
    for (int i = 0; i < 4; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
    return 0;
}
