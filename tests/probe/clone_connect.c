/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: children of which no fork handler knows. One with memory of its own (_Fork(), clone())
 * never talks on its parent's connection to the daemon; one that shares the memory (vfork()) may,
 * and costs the parent neither its connection nor a descriptor. */
#include <dirent.h>
#include <sys/syscall.h>

#include "probe.h"

#define MEETINGS 20

static int open_descriptors(void)
{
    int count = 0;
    DIR *d = opendir("/proc/self/fd");
    CHECK(d != NULL);
    while (readdir(d) != NULL) {
        count++;
    }
    (void)closedir(d);
    return count;
}

static void meet_at(const struct sockaddr_in *in)
{
    int fd = stream_socket(0);
    CHECK(connect(fd, (const struct sockaddr *)in, sizeof(*in)) == 0);
    CHECK(greeted(fd) == 0);
    CHECK(close(fd) == 0);
}

static void both_meet(pid_t pid, const struct sockaddr_in *in)
{
    CHECK(pid >= 0);
    for (int i = 0; i < MEETINGS; i++) {
        meet_at(in);
    }
    if (pid == 0) {
        _exit(0);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
}

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    struct sockaddr_in in = pool_address(argv[1]);
    meet_at(&in);
    both_meet(_Fork(), &in);
    both_meet((pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L), &in);
    int before = open_descriptors();
    pid_t pid = vfork();
    CHECK(pid >= 0);
    if (pid == 0) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        _exit(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0 ? 0 : 1);
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && status == 0);
    meet_at(&in);
    CHECK(open_descriptors() == before);
    return 0;
}
