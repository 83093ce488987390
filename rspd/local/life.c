/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Life fds. The read end is watched for hang-up only, not for data: a client that writes into its
 * FIFO against the rules fills a pipe and wakes nobody.
 */
#include "rspd/local/life.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rspd/local/rundir.h"

struct life_pe {
    uint32_t pe_id; /* first: the key of the tree */
    int read_fd;
    int write_fd; /* until delivered; -1 */
    struct loop_io *io;
    struct life *life;
};

struct life {
    struct loop *loop;
    life_gone_fn gone;
    void *ctx;
    int dir_fd;
    void *tree; /* of struct life_pe, tsearch(3) */
};

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static struct life_pe *find(struct life *life, uint32_t pe_id)
{
    struct life_pe **found = (struct life_pe **)tfind(&pe_id, &life->tree, compare);
    return found != NULL ? *found : NULL;
}

#define LIFE_NAME_LEN 8

static const char *name_of(uint32_t pe_id, char out[LIFE_NAME_LEN + 1])
{
    (void)snprintf(out, LIFE_NAME_LEN + 1, "%08x", pe_id);
    return out;
}

static void pe_close(void *ptr)
{
    struct life_pe *pe = (struct life_pe *)ptr;
    loop_io_free(pe->io);
    if (pe->read_fd >= 0) {
        (void)close(pe->read_fd);
    }
    if (pe->write_fd >= 0) {
        (void)close(pe->write_fd);
    }
    free(pe);
}

int life_new(struct loop *loop, const char *runtime_dir, life_gone_fn gone, void *ctx,
             struct life **ret)
{
    struct life *life = (struct life *)calloc(1, sizeof(*life));
    if (life == NULL) {
        return -ENOMEM;
    }
    life->loop = loop;
    life->gone = gone;
    life->ctx = ctx;
    life->dir_fd = rundir_open(runtime_dir, "life");
    if (life->dir_fd < 0) {
        int r = life->dir_fd;
        free(life);
        return r;
    }
    *ret = life;
    return 0;
}

void life_free(struct life *life)
{
    if (life == NULL) {
        return;
    }
    tdestroy(life->tree, pe_close);
    (void)close(life->dir_fd);
    free(life);
}

/** Takes a PE out of the tree and frees it; its FIFO is unlinked. */
static void forget(struct life *life, struct life_pe *pe)
{
    char name[LIFE_NAME_LEN + 1];
    (void)unlinkat(life->dir_fd, name_of(pe->pe_id, name), 0);
    (void)tdelete(pe, &life->tree, compare);
    pe_close(pe);
}

static void on_hangup(void *ctx, int fd, unsigned events)
{
    struct life_pe *pe = (struct life_pe *)ctx;
    (void)fd;
    if ((events & LOOP_HANGUP) == 0) {
        return;
    }
    struct life *life = pe->life;
    uint32_t pe_id = pe->pe_id;
    forget(life, pe);
    life->gone(life->ctx, pe_id);
}

/** Opens the FIFO for reading and notes the PE; it is not watched yet. */
static int pe_open(struct life *life, uint32_t pe_id, struct life_pe **ret)
{
    char name[LIFE_NAME_LEN + 1];
    struct life_pe *pe = (struct life_pe *)calloc(1, sizeof(*pe));
    if (pe == NULL) {
        return -ENOMEM;
    }
    pe->pe_id = pe_id;
    pe->life = life;
    pe->write_fd = -1;
    pe->read_fd =
        openat(life->dir_fd, name_of(pe_id, name), O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    int r = pe->read_fd < 0 ? -errno : 0;
    struct stat st;
    if (r == 0 && (fstat(pe->read_fd, &st) < 0 || !S_ISFIFO(st.st_mode))) {
        r = -EINVAL;
    }
    if (r == 0 && tsearch(pe, &life->tree, compare) == NULL) {
        r = -ENOMEM;
    }
    if (r < 0) {
        pe_close(pe);
        return r;
    }
    *ret = pe;
    return 0;
}

static int pe_watch(struct life *life, struct life_pe *pe)
{
    return loop_io_add(life->loop, pe->read_fd, 0, on_hangup, pe, &pe->io);
}

static int open_writer(struct life *life, uint32_t pe_id)
{
    char name[LIFE_NAME_LEN + 1];
    int fd =
        openat(life->dir_fd, name_of(pe_id, name), O_WRONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

int life_create(struct life *life, uint32_t pe_id)
{
    char name[LIFE_NAME_LEN + 1];
    if (find(life, pe_id) != NULL) {
        return -EEXIST;
    }
    (void)name_of(pe_id, name);
    int r = mkfifoat(life->dir_fd, name, 0600) < 0 ? -errno : 0;
    if (r == -EEXIST && unlinkat(life->dir_fd, name, 0) == 0) {
        r = mkfifoat(life->dir_fd, name, 0600) < 0 ? -errno : 0; /* a leftover */
    }
    if (r < 0) {
        return r;
    }
    struct life_pe *pe;
    r = pe_open(life, pe_id, &pe);
    if (r < 0) {
        (void)unlinkat(life->dir_fd, name, 0);
        return r;
    }
    r = open_writer(life, pe_id);
    if (r >= 0) {
        pe->write_fd = r;
        r = pe_watch(life, pe);
    }
    if (r < 0) {
        forget(life, pe);
    }
    return r;
}

int life_take(struct life *life, uint32_t pe_id, int dir_fd, const char *name)
{
    char own[LIFE_NAME_LEN + 1];
    struct life_pe *pe;
    if (find(life, pe_id) != NULL) {
        return -EEXIST;
    }
    if (renameat(dir_fd, name, life->dir_fd, name_of(pe_id, own)) != 0) {
        return -errno;
    }
    int r = pe_open(life, pe_id, &pe);
    if (r < 0) {
        (void)unlinkat(life->dir_fd, own, 0);
        return r;
    }
    r = pe_watch(life, pe);
    if (r < 0) {
        forget(life, pe);
    }
    return r;
}

int life_give(struct life *life, uint32_t pe_id)
{
    return find(life, pe_id) != NULL ? open_writer(life, pe_id) : -ENOENT;
}

void life_delivered(struct life *life, uint32_t pe_id)
{
    struct life_pe *pe = find(life, pe_id);
    if (pe != NULL && pe->write_fd >= 0) {
        (void)close(pe->write_fd);
        pe->write_fd = -1;
    }
}

int life_reopen(struct life *life, uint32_t pe_id)
{
    struct life_pe *pe = find(life, pe_id);
    if (pe != NULL) {
        return 0;
    }
    int r = pe_open(life, pe_id, &pe);
    if (r < 0) {
        return r;
    }
    char octet;
    ssize_t n = read(pe->read_fd, &octet, 1);
    r = n == 0 ? -ESTALE : n < 0 && errno != EAGAIN ? -errno : 0;
    if (r == 0) {
        r = pe_watch(life, pe);
    }
    if (r == -ESTALE) {
        forget(life, pe);
    } else if (r < 0) {
        (void)tdelete(pe, &life->tree, compare);
        pe_close(pe);
    }
    return r; /* NOLINT(clang-analyzer-unix.Malloc): the tree owns pe */
}

void life_remove(struct life *life, uint32_t pe_id)
{
    struct life_pe *pe = find(life, pe_id);
    if (pe != NULL) {
        forget(life, pe);
    }
}

static bool parse_name(const char *name, uint32_t *ret)
{
    if (strspn(name, "0123456789abcdef") != LIFE_NAME_LEN || name[LIFE_NAME_LEN] != '\0') {
        return false;
    }
    *ret = (uint32_t)strtoul(name, NULL, 16);
    return true;
}

int life_sweep(struct life *life)
{
    int fd = openat(life->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    int count = 0;
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        uint32_t pe_id;
        if (parse_name(entry->d_name, &pe_id) && find(life, pe_id) == NULL &&
            unlinkat(life->dir_fd, entry->d_name, 0) == 0) {
            count++;
        }
    }
    (void)closedir(dir);
    return count;
}
