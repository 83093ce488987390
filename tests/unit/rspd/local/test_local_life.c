/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Life fds (decisions.md "Life of a local PE") with real processes. */
#include "rspd/local/life.h"

#include "local_test.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>

static struct loop *loop;
static struct life *life;
static uint32_t gone_id;
static volatile bool gone;

static void on_gone(void *ctx, uint32_t pe_id)
{
    (void)ctx;
    gone_id = pe_id;
    gone = true;
}

static void setup(void)
{
    cr_assert_eq(loop_new(&loop), 0);
    cr_assert_eq(life_new(loop, test_dir_make(), on_gone, NULL, &life), 0);
}

static void teardown(void)
{
    life_free(life);
    loop_free(loop);
    test_dir_remove();
}

TestSuite(life, .init = setup, .fini = teardown, .timeout = 20);

/** Nothing is reported although the loop has nothing else to do. */
static void assert_quiet(void)
{
    while (loop_step(loop, 0) > 0) {
    }
    cr_assert_not(gone);
}

/** A child that holds what the parent holds, until it is killed. */
static pid_t holder(void)
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (;;) {
            (void)pause();
        }
    }
    return pid;
}

static void end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    cr_assert_eq(waitpid(pid, NULL, 0), pid);
}

static bool exists(const char *name)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/life/%s", test_dir, name);
    return lstat(path, &st) == 0;
}

Test(life, last_holder_of_a_killed_family)
{
    cr_assert_eq(life_create(life, 0xabc), 0);
    cr_assert_eq(life_create(life, 0xabc), -EEXIST);
    cr_assert(exists("00000abc"));
    int fd = life_give(life, 0xabc);
    cr_assert_geq(fd, 0);
    /* The children of the test must not hold the daemon's own end: it is dropped before. */
    life_delivered(life, 0xabc);
    pid_t master = holder();
    pid_t worker = holder();
    (void)close(fd);
    assert_quiet();
    end(master);
    assert_quiet();
    end(worker);
    cr_assert(test_wait(loop, &gone, 5000));
    cr_assert_eq(gone_id, 0xabc);
    cr_assert_not(exists("00000abc"));
    cr_assert_eq(life_give(life, 0xabc), -ENOENT);
}

Test(life, no_early_hangup_and_lost_delivery)
{
    cr_assert_eq(life_create(life, 1), 0);
    assert_quiet();
    int fd = life_give(life, 1);
    (void)close(fd); /* the client went away before it was sent */
    assert_quiet();
    life_delivered(life, 1);
    cr_assert(test_wait(loop, &gone, 5000));
}

Test(life, held_while_it_travels)
{
    int pair[2];
    cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    cr_assert_eq(life_create(life, 2), 0);
    int fd = life_give(life, 2);
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof(int))];
    } control = {0};
    char octet = 'x';
    struct iovec iov = {.iov_base = &octet, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &fd, sizeof(fd));
    cr_assert_eq(sendmsg(pair[0], &msg, 0), 1);
    (void)close(fd);
    life_delivered(life, 2);
    assert_quiet();
    (void)close(pair[0]);
    (void)close(pair[1]); /* received by nobody */
    cr_assert(test_wait(loop, &gone, 5000));
}

Test(life, writing_wakes_nobody)
{
    cr_assert_eq(life_create(life, 3), 0);
    int fd = life_give(life, 3);
    life_delivered(life, 3);
    cr_assert_eq(write(fd, "x", 1), 1);
    cr_assert_eq(loop_step(loop, 0), 0);
    assert_quiet();
    (void)close(fd);
    cr_assert(test_wait(loop, &gone, 5000));
}

Test(life, survives_a_restart_of_the_daemon)
{
    cr_assert_eq(life_create(life, 4), 0);
    cr_assert_eq(life_create(life, 5), 0);
    cr_assert_eq(life_create(life, 6), 0);
    int alive = life_give(life, 4);
    int dying = life_give(life, 5);
    life_free(life);
    (void)close(dying);
    cr_assert_eq(life_new(loop, test_dir, on_gone, NULL, &life), 0);
    cr_assert_eq(life_reopen(life, 4), 0);
    cr_assert_eq(life_reopen(life, 4), 0);
    cr_assert_eq(life_reopen(life, 5), -ESTALE);
    cr_assert_eq(life_reopen(life, 7), -ENOENT);
    cr_assert_not(exists("00000005"));
    cr_assert_eq(life_sweep(life), 1);
    cr_assert_not(exists("00000006"));
    cr_assert(exists("00000004"));
    assert_quiet();
    (void)close(alive);
    cr_assert(test_wait(loop, &gone, 5000));
    cr_assert_eq(gone_id, 4);
}

Test(life, removed_without_a_word)
{
    cr_assert_eq(life_create(life, 8), 0);
    int fd = life_give(life, 8);
    life_remove(life, 8);
    life_remove(life, 8);
    (void)close(fd);
    assert_quiet();
    cr_assert_not(exists("00000008"));
    cr_assert_eq(life_create(life, 8), 0);
}

Test(life, leftover_is_replaced_and_mode_is_private)
{
    char path[128];
    struct stat st;
    (void)snprintf(path, sizeof(path), "%s/life/00000009", test_dir);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    cr_assert_geq(fd, 0);
    (void)close(fd);
    cr_assert_eq(life_reopen(life, 9), -EINVAL);
    cr_assert_eq(life_create(life, 9), 0);
    cr_assert_eq(lstat(path, &st), 0);
    cr_assert_eq(st.st_mode & 07777, 0600u);
}
