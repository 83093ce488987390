/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: hooks are async-signal-safe: a handler connects to the pool while the main flow does the
 * same and resolves names. */
#include <sys/time.h>

#include "probe.h"

static struct sockaddr_in in;
static volatile sig_atomic_t met;

static void on_alarm(int sig)
{
    (void)sig;
    int saved = errno;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd >= 0) {
        if (connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0) {
            met++;
        }
        (void)close(fd);
    }
    errno = saved;
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    in = pool_address(argv[1]);
    struct sigaction action = {.sa_handler = on_alarm, .sa_flags = SA_RESTART};
    CHECK(sigaction(SIGALRM, &action, NULL) == 0);
    struct itimerval often = {.it_interval = {.tv_usec = 3000}, .it_value = {.tv_usec = 1000}};
    CHECK(setitimer(ITIMER_REAL, &often, NULL) == 0);
    for (int i = 0; i < 100 || met < 5; i++) {
        int fd = stream_socket(0);
        int ret;
        do {
            ret = connect(fd, (struct sockaddr *)&in, sizeof(in));
        } while (ret != 0 && errno == EINTR);
        CHECK(ret == 0 || errno == EALREADY || errno == EISCONN);
        CHECK(close(fd) == 0);
        (void)pool_address(argv[1]);
    }
    return 0;
}
