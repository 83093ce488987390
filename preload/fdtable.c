/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Records are two 64-bit words. Word 0 (kind, pool, inode) is written last and read twice, so a
 * reader never pairs the words of two records; two writers of one number do not meet, since a
 * record is cleared before close() and set after creation.
 */
#include "preload/fdtable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "preload/real.h"

struct slot {
    _Atomic uint64_t w0; /* kind:8 unused:8 pool:16 inode:32, from the top */
    _Atomic uint64_t w1; /* a:32 b:32 */
};

static struct slot *_Atomic table;
static atomic_int end;

static struct slot *slot_of(int fd)
{
    struct slot *t = atomic_load_explicit(&table, memory_order_acquire);
    return t != NULL && fd >= 0 && fd < PRE_FD_MAX ? &t[fd] : NULL;
}

static uint64_t pack0(const struct pre_fd *r)
{
    return (uint64_t)r->kind << 56 | (uint64_t)r->pool << 32 | r->inode;
}

bool pre_fd_any(void)
{
    return atomic_load_explicit(&table, memory_order_relaxed) != NULL;
}

bool pre_fd_peek(int fd, struct pre_fd *ret)
{
    struct slot *s = slot_of(fd);
    ret->kind = PRE_FD_NONE;
    if (s == NULL) {
        return false;
    }
    uint64_t w0 = atomic_load_explicit(&s->w0, memory_order_acquire);
    if (w0 == 0) {
        return false;
    }
    uint64_t w1 = atomic_load_explicit(&s->w1, memory_order_acquire);
    if (atomic_load_explicit(&s->w0, memory_order_acquire) != w0) {
        return false; /* being replaced: whoever does that knows better */
    }
    *ret = (struct pre_fd){.kind = (uint8_t)(w0 >> 56),
                           .pool = (uint16_t)(w0 >> 32),
                           .inode = (uint32_t)w0,
                           .a = (uint32_t)(w1 >> 32),
                           .b = (uint32_t)w1};
    return true;
}

uint32_t pre_fd_inode(int fd)
{
    struct stat st;
    int saved = errno;
    if (fstat(fd, &st) != 0) {
        errno = saved;
        return 0;
    }
    uint32_t inode = (uint32_t)st.st_ino;
    return inode != 0 ? inode : 1;
}

bool pre_fd_get(int fd, struct pre_fd *ret)
{
    if (!pre_fd_peek(fd, ret)) {
        return false;
    }
    if (pre_fd_inode(fd) != ret->inode) {
        ret->kind = PRE_FD_NONE;
        return false;
    }
    return true;
}

static struct slot *map_table(void)
{
    struct slot *t = atomic_load_explicit(&table, memory_order_acquire);
    if (t != NULL) {
        return t;
    }
    void *m = mmap(NULL, sizeof(struct slot) * PRE_FD_MAX, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (m == MAP_FAILED) {
        return NULL;
    }
    if (!atomic_compare_exchange_strong(&table, &t, (struct slot *)m)) {
        (void)munmap(m, sizeof(struct slot) * PRE_FD_MAX);
        return t;
    }
    return (struct slot *)m;
}

void pre_fd_set(int fd, const struct pre_fd *record)
{
    pre_fd_set_known(fd, pre_fd_inode(fd), record);
}

void pre_fd_set_known(int fd, uint32_t inode, const struct pre_fd *record)
{
    int saved = errno;
    if (fd >= 0 && inode != 0 && fd < PRE_FD_MAX && map_table() != NULL) {
        struct pre_fd r = *record;
        r.inode = inode;
        struct slot *s = slot_of(fd);
        atomic_store_explicit(&s->w0, 0, memory_order_release);
        atomic_store_explicit(&s->w1, (uint64_t)r.a << 32 | r.b, memory_order_release);
        atomic_store_explicit(&s->w0, pack0(&r), memory_order_release);
        int known = atomic_load(&end);
        while (known <= fd && !atomic_compare_exchange_weak(&end, &known, fd + 1)) {
        }
    }
    errno = saved;
}

void pre_fd_clear(int fd, const struct pre_fd *expected)
{
    struct slot *s = slot_of(fd);
    if (s == NULL) {
        return;
    }
    if (expected == NULL) {
        atomic_store_explicit(&s->w0, 0, memory_order_release);
        return;
    }
    uint64_t w0 = pack0(expected);
    (void)atomic_compare_exchange_strong(&s->w0, &w0, 0);
}

int pre_fd_end(void)
{
    return atomic_load(&end);
}

int pre_fd_move_high(int fd, bool cloexec)
{
    int saved = errno;
    struct rlimit limit = {.rlim_cur = 1024};
    (void)getrlimit(RLIMIT_NOFILE, &limit);
    int base = 700;
    if (limit.rlim_cur < 768) {
        base = limit.rlim_cur > 16 ? (int)limit.rlim_cur - 12 : 3;
    }
    int cmd = cloexec ? F_DUPFD_CLOEXEC : F_DUPFD;
    int moved = pre_real()->fcntl(fd, cmd, base);
    if (moved < 0 && fd < 3) {
        moved = pre_real()->fcntl(fd, cmd, 3);
    }
    if (moved >= 0 || fd < 3) {
        (void)pre_real()->close(fd);
    } else {
        (void)pre_real()->fcntl(fd, F_SETFD, cloexec ? FD_CLOEXEC : 0);
        moved = fd;
    }
    errno = saved;
    return moved;
}
