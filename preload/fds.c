/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors that are closed, copied and flagged: keeps the records right where it can, protects
 * the private descriptors, and makes the life fd follow its listener. Everything is O(1) for
 * descriptors without a record, and a plain jump while no record exists at all.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "preload/connect.h"
#include "preload/fdtable.h"
#include "preload/guard.h"
#include "preload/listen.h"
#include "preload/real.h"
#include "preload/rpc.h"

/** Whether a record is of a private descriptor that stands where we left it. */
static bool is_private(int fd, const struct pre_fd *record)
{
    return (record->kind == PRE_FD_LIFE || record->kind == PRE_FD_PRIVATE) &&
           pre_fd_inode(fd) == record->inode;
}

/**
 * What has to happen before a marked descriptor of the program goes away. A stale record is left: a
 * vfork() child, in which the number may be gone already, shares the table with its parent.
 */
static void before_close(int fd, const struct pre_fd *record)
{
    int saved = errno;
    /* Of these nothing has to be done but to forget them, which is right for a stale record too. */
    bool forget = record->kind == PRE_FD_CONNECTED || record->kind == PRE_FD_FAILED ||
                  record->kind == PRE_FD_DATAGRAM;
    if (!forget && pre_fd_inode(fd) != record->inode) {
        errno = saved;
        return;
    }
    switch (record->kind) {
    case PRE_FD_LISTEN:
    case PRE_FD_PENDING:
    case PRE_FD_INTENT:
        pre_listen_closing(fd, record);
        break;
    case PRE_FD_PROGRESS:
        pre_connect_closing(fd, record);
        break;
    default:
        break;
    }
    if (getpid() == pre_home_pid()) {
        pre_fd_clear(fd, NULL);
    }
    errno = saved;
}

int hook_close(int fd)
{
    struct pre_fd record;
    if (__builtin_expect(pre_fd_any(), 0) && !pre_inside() && pre_fd_peek(fd, &record)) {
        if (is_private(fd, &record)) {
            return 0;
        }
        before_close(fd, &record);
        int saved = errno;
        pre_listen_retry();
        errno = saved;
    }
    return pre_real()->close(fd);
}

/** `to` is a new copy of `from`. */
static void copied(int from, int to, bool cloexec)
{
    struct pre_fd record;
    if (pre_inside() || from == to || !pre_fd_peek(from, &record) || record.kind == PRE_FD_LIFE ||
        record.kind == PRE_FD_PRIVATE || getpid() != pre_home_pid()) {
        return;
    }
    int saved = errno;
    if (record.inode == pre_fd_inode(from)) {
        if (record.kind == PRE_FD_LISTEN || record.kind == PRE_FD_PENDING) {
            pre_listen_copied(&record, to, cloexec);
        } else {
            pre_fd_set(to, &record);
        }
    }
    errno = saved;
}

int hook_dup(int fd)
{
    int ret = pre_real()->dup(fd);
    if (ret >= 0 && pre_fd_any()) {
        copied(fd, ret, false);
    }
    return ret;
}

/** dup2() and dup3() close their target: makes room there. True: `ret` is to be forgotten after. */
static bool before_dup_onto(int from, int to, struct pre_fd *ret)
{
    if (!pre_fd_any() || pre_inside() || from == to || !pre_fd_peek(to, ret)) {
        return false;
    }
    int saved = errno;
    bool forget = true;
    if (is_private(to, ret)) {
        if (ret->kind == PRE_FD_LIFE) {
            pre_listen_make_room(to, ret);
        }
        forget = false;
    } else if (pre_fd_inode(to) != ret->inode) {
        forget = false;
    }
    errno = saved;
    return forget;
}

/** After the target of a dup was replaced: what it stood for goes as if closed. */
static void after_dup_onto(int from, int to, const struct pre_fd *gone, bool cloexec)
{
    int saved = errno;
    if (gone != NULL && (gone->kind == PRE_FD_LISTEN || gone->kind == PRE_FD_PENDING)) {
        pre_listen_closing(to, gone);
    } else if (pre_fd_any() && getpid() == pre_home_pid()) {
        pre_fd_clear(to, NULL);
    }
    copied(from, to, cloexec);
    errno = saved;
}

int hook_dup2(int from, int to)
{
    struct pre_fd gone;
    bool forget = before_dup_onto(from, to, &gone);
    int ret = pre_real()->dup2(from, to);
    if (ret >= 0 && from != to && pre_fd_any() && !pre_inside()) {
        after_dup_onto(from, to, forget ? &gone : NULL, false);
    }
    return ret;
}

int hook_dup3(int from, int to, int flags)
{
    struct pre_fd gone;
    bool forget = before_dup_onto(from, to, &gone);
    int ret = pre_real()->dup3(from, to, flags);
    if (ret >= 0 && pre_fd_any() && !pre_inside()) {
        after_dup_onto(from, to, forget ? &gone : NULL, (flags & O_CLOEXEC) != 0);
    }
    return ret;
}

/** The close-on-exec flag of a marked descriptor changed; true: it is private and stays as it is.
 */
static bool cloexec_changes(int fd, bool cloexec)
{
    struct pre_fd record;
    if (pre_inside() || !pre_fd_peek(fd, &record)) {
        return false;
    }
    int saved = errno;
    bool ours = is_private(fd, &record);
    if ((record.kind == PRE_FD_LISTEN || record.kind == PRE_FD_PENDING) &&
        pre_fd_inode(fd) == record.inode) {
        pre_listen_cloexec(&record, cloexec);
    }
    errno = saved;
    return ours;
}

static int any_fcntl(int (*original)(int, int, long), int fd, int cmd, long arg)
{
    if (!pre_fd_any()) {
        return original(fd, cmd, arg);
    }
    if (cmd == F_SETFD && cloexec_changes(fd, (arg & FD_CLOEXEC) != 0)) {
        return 0;
    }
    int ret = original(fd, cmd, arg);
    if (ret >= 0 && (cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC)) {
        copied(fd, ret, cmd == F_DUPFD_CLOEXEC);
    }
    return ret;
}

int hook_fcntl(int fd, int cmd, long arg)
{
    return any_fcntl(pre_real()->fcntl, fd, cmd, arg);
}

int hook_fcntl64(int fd, int cmd, long arg)
{
    return any_fcntl(pre_real()->fcntl64, fd, cmd, arg);
}

int hook_ioctl(int fd, unsigned long request, long arg)
{
    if ((request == FIOCLEX || request == FIONCLEX) && pre_fd_any() &&
        cloexec_changes(fd, request == FIOCLEX)) {
        return 0;
    }
    return pre_real()->ioctl(fd, request, arg);
}

/* --- ranges
 * ------------------------------------------------------------------------------------------- */

/** Whether a private descriptor must survive the closing of [first, last]. */
static bool survives(int fd, const struct pre_fd *record, unsigned int first, unsigned int last)
{
    if (!is_private(fd, record)) {
        return false;
    }
    struct pre_fd listener;
    return !(record->kind == PRE_FD_LIFE && record->a >= first && record->a <= last &&
             pre_fd_get((int)record->a, &listener) && listener.b == (uint32_t)fd);
}

/** One marked descriptor inside the range. */
static void in_range(int fd, const struct pre_fd *record, int flags)
{
    if ((flags & CLOSE_RANGE_CLOEXEC) == 0) {
        if (record->kind != PRE_FD_LIFE && record->kind != PRE_FD_PRIVATE) {
            before_close(fd, record);
        }
    } else if ((record->kind == PRE_FD_LISTEN || record->kind == PRE_FD_PENDING) &&
               pre_fd_inode(fd) == record->inode) {
        pre_listen_cloexec(record, true);
    }
}

int hook_close_range(unsigned int first, unsigned int last, int flags)
{
    if (!pre_fd_any() || pre_inside() || first > last ||
        (flags & ~(CLOSE_RANGE_CLOEXEC | (int)CLOSE_RANGE_UNSHARE)) != 0) {
        return pre_real()->close_range(first, last, flags);
    }
    unsigned int from = first;
    unsigned int end = (unsigned)pre_fd_end();
    for (unsigned int fd = first; fd < end && fd <= last; fd++) {
        struct pre_fd record;
        if (!pre_fd_peek((int)fd, &record)) {
            continue;
        }
        if (!survives((int)fd, &record, first, last)) {
            in_range((int)fd, &record, flags);
            continue;
        }
        if (fd > from) {
            int ret = pre_real()->close_range(from, fd - 1, flags);
            if (ret != 0) {
                return ret;
            }
        }
        from = fd + 1;
    }
    return from <= last && from != 0 ? pre_real()->close_range(from, last, flags)
           : from == 0               ? pre_real()->close_range(first, last, flags)
                                     : 0;
}

void hook_closefrom(int first)
{
    if (!pre_fd_any() || pre_inside()) {
        pre_real()->closefrom(first);
        return;
    }
    if (hook_close_range(first > 0 ? (unsigned)first : 0, ~0U, 0) != 0) {
        pre_real()->closefrom(first); /* a kernel without close_range(): libc has another way */
    }
}
