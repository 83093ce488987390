/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What fork(2) does: the child has none of the parent's sockets, the parent goes on. */
#include <dirent.h>
#include <sys/wait.h>

#include "calls.h"

static int open_descriptors(void)
{
    int count = 0;
    DIR *dir = opendir("/proc/self/fd");
    CHECK(dir != NULL);
    while (readdir(dir) != NULL) {
        count++;
    }
    CHECK_IS(closedir(dir), 0);
    return count;
}

/** Runs `child` in a child; its exit status must be 0. */
static void in_child(void (*child)(const int *), const int *sds)
{
    int status = -1;
    (void)fflush(NULL);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        child(sds);
        _exit(0);
    }
    CHECK_IS(waitpid(pid, &status, 0), pid);
    CHECK_IS(status, 0);
}

static int before; /* descriptors of the parent before it had any socket */

static void child_of_all(const int *sds)
{
    char text[32];
    struct pollfd p = {.fd = sds[1], .events = POLLIN};
    for (int i = 0; i < 5; i++) {
        CHECK_FAILS(rsp_recv(sds[i], text, sizeof(text), MSG_DONTWAIT), EBADF);
        CHECK_FAILS(rsp_send(sds[i], "child", 5, 0), EBADF);
        CHECK_FAILS(rsp_close(sds[i]), EBADF);
    }
    CHECK_FAILS(rsp_accept(sds[0], 0), EBADF);
    CHECK_FAILS(rsp_forcefailover(sds[1], 0, 0), EBADF);
    CHECK_FAILS(rsp_finish(sds[5], NULL, NULL), EBADF);
    CHECK_IS(rsp_poll(&p, 1, 0), 1);
    CHECK_IS(p.revents, POLLNVAL);
    CHECK_IS(open_descriptors(), before + 1); /* the descriptor that is always readable */
    /* It can have its own. */
    int server = serve(SOCK_STREAM);
    int sd = rsp_socket(0, SOCK_STREAM, protocol);
    CHECK(sd >= 0);
    CHECK_IS(rsp_close(sd) + rsp_close(server), 0);
}

static void child_that_exits(const int *sds)
{
    (void)sds;
    exit(0); /* with all its functions at exit */
}

void fork_sessions(void)
{
    struct rsp_addrinfo *list = NULL;
    before = open_descriptors();
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    int peer = take(server);
    int fresh_sd = rsp_socket(0, SOCK_STREAM, protocol);
    int many = rsp_socket(0, SOCK_SEQPACKET, protocol);
    CHECK_IS(rsp_listen(many, 5), 0);
    int request = rsp_getaddrinfo_start(octets(pool), strlen(pool), 1, 0);
    const int sds[] = {server, sd, peer, fresh_sd, many, request};
    say(sd, "before");
    in_child(child_of_all, sds);
    in_child(child_that_exits, sds);
    hear(peer, "before");
    say(peer, "after");
    hear(sd, "after");
    struct pollfd p = {.fd = request, .events = POLLIN};
    CHECK_IS(poll(&p, 1, WAIT_MS), 1);
    CHECK_IS(rsp_finish(request, &list, NULL), 1);
    rsp_freeaddrinfo(list);
    step("parent goes on");
    CHECK_IS(rsp_close(sd), 0);
    char text[8];
    CHECK_IS(rsp_recvmsg(peer, text, sizeof(text), NULL, NULL, WAIT_MS), 0);
    CHECK_IS(rsp_close(peer) + rsp_close(server) + rsp_close(fresh_sd) + rsp_close(many), 0);
}

/** Elements of both modes; the test kills this process and not its child. */
void fork_element(void)
{
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(7312)};
    struct rsp_addrinfo info = {.ai_family = AF_INET,
                                .ai_protocol = IPPROTO_TCP,
                                .ai_addrs = 1,
                                .ai_addr = (struct sockaddr *)&at};
    CHECK_IS(rsp_pe_registration(octets(pool), strlen(pool), &info, NULL, 0, 0), 0);
    int server = serve(SOCK_STREAM);
    CHECK(server >= 0);
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        for (;;) {
            (void)pause();
        }
    }
    step("forked");
}
