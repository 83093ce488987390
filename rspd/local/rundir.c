/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/local/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>

int rundir_open(const char *runtime_dir, const char *name)
{
    char path[4096];
    int n = snprintf(path, sizeof(path), "%s/%s", runtime_dir, name);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}
