/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: a vfork() child shares our memory but not our descriptors: what it does to them must not
 * confuse the parent's records (the listener stays registered, the pool reachable). */
#include "probe.h"

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    uint16_t port;
    int fd = listener(&port, 0);
    meet(argv[1]);
    printf("port %d\n", port);
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0) {
        (void)dup2(fd, 0);
        (void)close(fd);
        for (int i = 3; i < 1024; i++) {
            (void)close(i);
        }
        (void)execl("/bin/true", "true", NULL);
        _exit(1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    say_and_wait("after vfork");
    meet(argv[1]);
    CHECK(close(fd) == 0);
    say_and_wait("closed");
    return 0;
}
