/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "preload/forkmark.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static int status_of(pid_t pid)
{
    int status = -1;
    cr_assert_eq(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/** In a child: 0 when it has no mark, and has its own after it set one. */
static int newborn(void)
{
    bool inherited = pre_fork_marked(0) || pre_fork_marked(1);
    pre_fork_mark(1);
    return !inherited && !pre_fork_marked(0) && pre_fork_marked(1) ? 0 : 1;
}

Test(forkmark, no_child_has_its_parents_marks)
{
    cr_assert_not(pre_fork_marked(0));
    pre_fork_mark(0);
    cr_assert(pre_fork_marked(0));
    cr_assert_not(pre_fork_marked(1));
    pid_t pid = fork();
    if (pid == 0) {
        _exit(newborn());
    }
    cr_assert_eq(status_of(pid), 0);
    pid = (pid_t)syscall(SYS_clone, SIGCHLD, NULL, NULL, NULL, 0L);
    if (pid == 0) {
        _exit(newborn());
    }
    cr_assert_eq(status_of(pid), 0);
    cr_assert(pre_fork_marked(0));
    cr_assert_not(pre_fork_marked(1));
}
