/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Servers and clients on loopback for the tests of watch and probe. */
#ifndef RSP_TESTS_NET_TEST_H
#define RSP_TESTS_NET_TEST_H

#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static inline struct sockaddr_in test_loopback(uint16_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons(port),
                                .sin_addr = {.s_addr = htonl(INADDR_LOOPBACK)}};
}

/** A listening socket on 127.0.0.1 and its port. */
static inline int test_listen(int backlog, uint16_t *ret_port)
{
    struct sockaddr_in a = test_loopback(0);
    socklen_t len = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    cr_assert_geq(fd, 0);
    cr_assert_eq(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    cr_assert_eq(listen(fd, backlog), 0);
    cr_assert_eq(getsockname(fd, (struct sockaddr *)&a, &len), 0);
    *ret_port = ntohs(a.sin_port);
    return fd;
}

/** A client's connection, which may still be under way. */
static inline int test_connect(uint16_t port)
{
    struct sockaddr_in a = test_loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    cr_assert_geq(fd, 0);
    (void)connect(fd, (struct sockaddr *)&a, sizeof(a));
    return fd;
}

/** Runs a server in a child; the parent's listener is closed. */
static inline pid_t test_serve(int listener, void (*serve)(int listener))
{
    pid_t pid = fork();
    cr_assert_geq(pid, 0);
    if (pid == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failing test leaves nobody behind */
        (void)signal(SIGPIPE, SIG_IGN);
        serve(listener);
        _exit(0);
    }
    (void)close(listener);
    return pid;
}

static inline void test_end(pid_t pid)
{
    (void)kill(pid, SIGKILL);
    (void)waitpid(pid, NULL, 0);
}

/** Waits until the child is stopped. */
static inline void test_stop(pid_t pid)
{
    int status;
    cr_assert_eq(kill(pid, SIGSTOP), 0);
    cr_assert_eq(waitpid(pid, &status, WUNTRACED), pid);
    cr_assert(WIFSTOPPED(status));
}

#endif
