/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Small readers of /proc; proc(5). */
#include "rspd/local/proc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** Reads the beginning of a file, terminated; its length or -errno. */
static ssize_t slurp(const char *path, char *out, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    size_t used = 0;
    ssize_t n = 0;
    while (used < size - 1 && (n = read(fd, out + used, size - 1 - used)) > 0) {
        used += (size_t)n;
    }
    ssize_t r = n < 0 ? -errno : (ssize_t)used;
    out[used] = '\0';
    (void)close(fd);
    return r;
}

int proc_stopped(uint32_t pid)
{
    char path[32];
    char text[512];
    (void)snprintf(path, sizeof(path), "/proc/%u/stat", pid);
    if (slurp(path, text, sizeof(text)) <= 0) {
        return -ESRCH;
    }
    /* "PID (name) STATE …"; the name may contain anything, ')' too. */
    const char *state = strrchr(text, ')');
    if (state == NULL || state[1] != ' ') {
        return -ESRCH;
    }
    if (state[2] == 'Z' || state[2] == 'X') {
        return -ESRCH;
    }
    return state[2] == 'T' || state[2] == 't';
}

int proc_holds(uint32_t pid, uint32_t inode)
{
    char path[32];
    char wanted[32];
    (void)snprintf(path, sizeof(path), "/proc/%u/fd", pid);
    int length = snprintf(wanted, sizeof(wanted), "socket:[%u]", inode);
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return -errno;
    }
    int found = 0;
    const struct dirent *entry;
    while (found == 0 && (entry = readdir(dir)) != NULL) {
        char target[64];
        ssize_t n = readlinkat(dirfd(dir), entry->d_name, target, sizeof(target));
        found = n == length && memcmp(target, wanted, (size_t)n) == 0;
    }
    (void)closedir(dir);
    return found;
}

bool proc_all_holders_stopped(uint32_t inode)
{
    DIR *dir = opendir("/proc");
    if (dir == NULL) {
        return false;
    }
    bool held = false;
    bool running = false;
    const struct dirent *entry;
    while (!running && (entry = readdir(dir)) != NULL) {
        char *end;
        unsigned long pid = strtoul(entry->d_name, &end, 10);
        if (*end != '\0' || pid == 0 || proc_holds((uint32_t)pid, inode) != 1) {
            continue;
        }
        held = true;
        running = proc_stopped((uint32_t)pid) != 1;
    }
    (void)closedir(dir);
    return held && !running;
}

/** The value under the column `name` of a header line and its line of values. */
static bool column(const char *names, const char *values, const char *name, uint64_t *ret)
{
    size_t len = strlen(name);
    for (;;) {
        names += strspn(names, " ");
        values += strspn(values, " ");
        size_t name_len = strcspn(names, " \n");
        size_t value_len = strcspn(values, " \n");
        if (name_len == 0 || value_len == 0) {
            return false;
        }
        if (name_len == len && memcmp(names, name, len) == 0) {
            *ret = strtoull(values, NULL, 10);
            return true;
        }
        names += name_len;
        values += value_len;
    }
}

int proc_tcp_read(struct proc_tcp *ret)
{
    char text[4096];
    ssize_t n = slurp("/proc/thread-self/net/snmp", text, sizeof(text));
    if (n < 0) {
        return (int)n;
    }
    const char *names = strstr(text, "\nTcp: ");
    const char *values = names != NULL ? strstr(names + 1, "\nTcp: ") : NULL;
    struct proc_tcp tcp;
    if (values == NULL || !column(names + 6, values + 6, "PassiveOpens", &tcp.passive_opens) ||
        !column(names + 6, values + 6, "CurrEstab", &tcp.established)) {
        return -EPROTO;
    }
    *ret = tcp;
    return 0;
}
