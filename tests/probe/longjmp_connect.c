/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: a handler that leaves connect() by siglongjmp(), as alarm() around a connect() is used,
 * never leaves the shim in the middle of its talk with the daemon: the pool stays reachable. */
#include <setjmp.h>
#include <sys/time.h>

#include "probe.h"

#define TIMES 300

static sigjmp_buf out;
static volatile sig_atomic_t inside;
static volatile int left;

static void on_alarm(int sig)
{
    (void)sig;
    if (inside) {
        inside = 0;
        siglongjmp(out, 1);
    }
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    struct sockaddr_in in = pool_address(argv[1]);
    struct sigaction action = {.sa_handler = on_alarm};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    for (volatile int i = 0; i < TIMES; i++) {
        volatile int fd = stream_socket(0);
        struct itimerval once = {.it_value = {.tv_usec = 20 + i * 7 % 400}};
        if (sigsetjmp(out, 1) == 0) {
            inside = 1;
            CHECK(setitimer(ITIMER_REAL, &once, NULL) == 0);
            (void)connect(fd, (struct sockaddr *)&in, sizeof(in));
            inside = 0;
        } else {
            left++;
        }
        CHECK(close(fd) == 0);
    }
    CHECK(left > 0);
    struct itimerval never = {0}; /* else it may interrupt what follows */
    CHECK(setitimer(ITIMER_REAL, &never, NULL) == 0);
    meet(argv[1]);
    return 0;
}
