/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Network namespaces by inode; moves are of the calling thread and always come in pairs. */
#include "rspd/local/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define NETNS_SELF "/proc/thread-self/ns/net"

uint64_t netns_self(void)
{
    struct stat st;
    return stat(NETNS_SELF, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

static void path_of(uint32_t pid, char *out, size_t size)
{
    (void)snprintf(out, size, "/proc/%u/ns/net", pid);
}

uint64_t netns_of(uint32_t pid)
{
    char path[32];
    struct stat st;
    path_of(pid, path, sizeof(path));
    return stat(path, &st) == 0 ? (uint64_t)st.st_ino : 0;
}

int netns_enter(uint32_t pid, uint64_t netns)
{
    char path[32];
    path_of(pid, path, sizeof(path));
    int target = open(path, O_RDONLY | O_CLOEXEC);
    if (target < 0) {
        return errno == ENOENT ? -ESRCH : -errno;
    }
    struct stat st;
    int r = fstat(target, &st) < 0 ? -errno : (uint64_t)st.st_ino != netns ? -ESRCH : 0;
    int home = -1;
    if (r == 0) {
        home = open(NETNS_SELF, O_RDONLY | O_CLOEXEC);
        r = home < 0 ? -errno : 0;
    }
    if (r == 0 && setns(target, CLONE_NEWNET) < 0) {
        r = -errno;
        (void)close(home);
    }
    (void)close(target);
    return r < 0 ? r : home;
}

int netns_leave(int fd)
{
    int r = setns(fd, CLONE_NEWNET) < 0 ? -errno : 0;
    (void)close(fd);
    return r;
}

int netns_socket(uint32_t pid, uint64_t netns, int domain, int type, int protocol)
{
    type |= SOCK_CLOEXEC | SOCK_NONBLOCK;
    int fd;
    if (netns == 0 || netns == netns_self()) {
        fd = socket(domain, type, protocol);
        return fd < 0 ? -errno : fd;
    }
    int home = netns_enter(pid, netns);
    if (home < 0) {
        return home;
    }
    fd = socket(domain, type, protocol);
    int result = fd < 0 ? -errno : fd;
    int r = netns_leave(home);
    if (r < 0) {
        /* The loop thread stuck in a foreign namespace would act for the wrong host. */
        if (fd >= 0) {
            (void)close(fd);
        }
        return -ENOTRECOVERABLE;
    }
    return result;
}
