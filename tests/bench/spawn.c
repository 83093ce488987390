/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Starts a command COUNT times and waits each time for its end. argv: COUNT COMMAND... */
#include <spawn.h>
#include <sys/wait.h>

#include "bench.h"

extern char **environ;

int main(int argc, char **argv)
{
    NEED(argc > 2);
    size_t count = (size_t)number(argv[1]);
    uint32_t *samples = calloc(count + 1, sizeof(*samples));
    NEED(samples != NULL);
    int64_t begin = now_ns();
    for (size_t i = 0; i < count; i++) {
        pid_t pid;
        int status;
        int64_t before = now_ns();
        NEED(posix_spawn(&pid, argv[2], NULL, NULL, argv + 2, environ) == 0);
        NEED(waitpid(pid, &status, 0) == pid && status == 0);
        samples[i] = sample(now_ns() - before);
    }
    print_samples(samples, count, now_ns() - begin, count);
    free(samples);
    return 0;
}
