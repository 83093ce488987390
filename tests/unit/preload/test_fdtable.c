/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/fdtable.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

Test(fdtable, a_record_means_one_object)
{
    struct pre_fd r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_not(pre_fd_any());
    cr_assert_not(pre_fd_peek(fd, &r));
    pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_LISTEN, .pool = 77, .a = 1, .b = 2});
    cr_assert(pre_fd_any());
    cr_assert(pre_fd_get(fd, &r));
    cr_assert(r.kind == PRE_FD_LISTEN && r.pool == 77 && r.a == 1 && r.b == 2);
    cr_assert_eq(pre_fd_end(), fd + 1);
    /* The number is reused: the record is still there, but void. */
    int other = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_eq(dup2(other, fd), fd);
    cr_assert(pre_fd_peek(fd, &r));
    cr_assert_not(pre_fd_get(fd, &r));
    cr_assert_eq(r.kind, PRE_FD_NONE);
    (void)close(fd);
    cr_assert_not(pre_fd_get(fd, &r));
}

Test(fdtable, clear_only_what_is_meant)
{
    struct pre_fd was;
    struct pre_fd r;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_PROGRESS, .a = 1});
    cr_assert(pre_fd_get(fd, &was));
    pre_fd_set(fd, &(struct pre_fd){.kind = PRE_FD_CONNECTED, .a = 1});
    pre_fd_clear(fd, &was);
    cr_assert(pre_fd_get(fd, &r) && r.kind == PRE_FD_CONNECTED);
    pre_fd_clear(fd, &r);
    cr_assert_not(pre_fd_peek(fd, &r));
}

/* L-49: beyond the table there is no state, and no harm. */
Test(fdtable, bounds)
{
    struct pre_fd r;
    pre_fd_set(-1, &(struct pre_fd){.kind = PRE_FD_LISTEN});
    pre_fd_set(PRE_FD_MAX, &(struct pre_fd){.kind = PRE_FD_LISTEN});
    cr_assert_not(pre_fd_peek(-1, &r));
    cr_assert_not(pre_fd_peek(PRE_FD_MAX, &r));
    pre_fd_clear(-1, NULL);
    pre_fd_clear(PRE_FD_MAX, NULL);
    cr_assert_eq(pre_fd_inode(-1), 0);
}

/* L-42. */
Test(fdtable, private_descriptors_go_high)
{
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    int moved = pre_fd_move_high(fd, true);
    cr_assert_geq(moved, 700);
    cr_assert_eq(fcntl(moved, F_GETFD), FD_CLOEXEC);
    cr_assert_eq(fcntl(fd, F_GETFD), -1);
    int second = pre_fd_move_high(dup(moved), false);
    cr_assert_gt(second, moved);
    cr_assert_eq(fcntl(second, F_GETFD), 0);
}
