/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Waiting: O_NONBLOCK, poll(2) and epoll(7) on sessions, rsp_poll(), rsp_select(). */
#include <fcntl.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include "calls.h"

static int waits(int fd, short events, int timeout)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = poll(&p, 1, timeout);
    CHECK(n >= 0);
    return n > 0 ? p.revents : 0;
}

static int rsp_waits(int fd, short events, int timeout)
{
    struct pollfd p = {.fd = fd, .events = events};
    int n = rsp_poll(&p, 1, timeout);
    CHECK(n == (p.revents != 0));
    return p.revents;
}

/** Works on a session as an event loop does until it has a server. */
static void until_connected(int sd)
{
    char text[8];
    while (rsp_getpeername(sd, NULL, NULL, NULL) == 0) {
        uint32_t id = 0;
        CHECK_FAILS(rsp_recvmsg(sd, text, sizeof(text), NULL, NULL, 0), EAGAIN);
        CHECK_IS(rsp_getpeername(sd, NULL, NULL, &id), 0);
        if (id != 0) {
            return;
        }
        CHECK_IS(waits(sd, POLLIN, WAIT_MS), POLLIN);
    }
    FAIL("no session");
}

void nonblock(void)
{
    char text[64];
    int server = serve(SOCK_STREAM | SOCK_NONBLOCK);
    CHECK_FAILS(rsp_accept(server, 0), EAGAIN);
    int sd = rsp_socket(0, SOCK_STREAM | SOCK_NONBLOCK, protocol);
    int r = rsp_connect(sd, octets(pool), strlen(pool), 0);
    CHECK(r == 0 || errno == EINPROGRESS);
    CHECK_FAILS(rsp_connect(sd, octets(pool), strlen(pool), 0), EISCONN);
    until_connected(sd);
    CHECK_IS(waits(server, POLLIN, WAIT_MS), POLLIN);
    int peer = take(server);
    CHECK_IS(waits(server, POLLIN, 0), 0);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), 0), EAGAIN);
    CHECK_IS(waits(sd, POLLIN, 0), 0);
    say(peer, "news");
    CHECK_IS(waits(sd, POLLIN, WAIT_MS), POLLIN);
    CHECK_IS(rsp_recv(sd, text, sizeof(text), 0), 4);
    CHECK_IS(waits(sd, POLLIN, 0), 0);
    /* fcntl() turns it off and on. */
    CHECK_IS(fcntl(sd, F_SETFL, 0), 0);
    say(peer, "waited for");
    CHECK_IS(rsp_recv(sd, text, sizeof(text), 0), 10);
    CHECK_FAILS(rsp_recv(sd, text, sizeof(text), MSG_DONTWAIT), EAGAIN);
    CHECK_IS(rsp_close(peer), 0);
    CHECK_IS(rsp_recv(sd, text, sizeof(text), 0), 0);
    CHECK_IS(waits(sd, POLLIN, 0), POLLIN);
    CHECK_IS(rsp_recv(sd, text, sizeof(text), 0), 0);
    CHECK_FAILS(rsp_send(sd, "x", 1, 0), EPIPE);
    CHECK_IS(rsp_close(sd), 0);
    /* A pool that nobody knows: the next call says so. */
    sd = rsp_socket(0, SOCK_STREAM | SOCK_NONBLOCK, protocol);
    r = rsp_connect(sd, octets("nobody"), 6, 0);
    CHECK(r == -1 && (errno == EINPROGRESS || errno == ENOENT));
    ssize_t n;
    while ((n = rsp_recv(sd, text, sizeof(text), 0)) < 0 && errno == EAGAIN) {
        CHECK_IS(waits(sd, POLLIN, WAIT_MS), POLLIN);
    }
    CHECK(n == -1 && errno == ENOENT);
    CHECK_IS(rsp_close(sd) + rsp_close(server), 0);
}

/** Sends until nothing more is taken; how many messages. */
static int stuff(int sd, const uint8_t *text, size_t len)
{
    int count = 0;
    while (rsp_send(sd, text, len, MSG_DONTWAIT) == (ssize_t)len) {
        CHECK(++count < 100000);
    }
    CHECK_IS(errno, EAGAIN);
    return count;
}

struct reading {
    int sd, messages;
};

static void *read_them(void *arg)
{
    const struct reading *r = arg;
    uint8_t *got = malloc(50000);
    CHECK(got != NULL);
    for (int i = 0; i < r->messages; i++) {
        CHECK_IS(rsp_recvfullmsg(r->sd, got, 50000, NULL, NULL, WAIT_MS), 50000);
    }
    free(got);
    return NULL;
}

/** One direction is full, the other end reads: the descriptor says when there is room. */
static void stuffed(int from, int to)
{
    static uint8_t text[50000];
    static uint8_t got[50000];
    int count = stuff(from, text, sizeof(text));
    struct reading reading = {.sd = to, .messages = count + 1};
    pthread_t reader;
    CHECK_FAILS(rsp_sendmsg(from, text, sizeof(text), 0, 0, 0, 0, 0, 0, 20), EAGAIN);
    CHECK_IS(rsp_waits(from, POLLOUT, 0), 0);
    CHECK_IS(pthread_create(&reader, NULL, read_them, &reading), 0);
    while (rsp_send(from, text, sizeof(text), MSG_DONTWAIT) < 0) {
        CHECK_IS(errno, EAGAIN);
        CHECK_IS(waits(from, POLLIN, WAIT_MS), POLLIN);
        CHECK_FAILS(rsp_recvmsg(from, got, sizeof(got), NULL, NULL, 0), EAGAIN);
    }
    while (waits(from, POLLIN, 200) != 0) { /* its own work: what waits goes out */
        CHECK_FAILS(rsp_recvmsg(from, got, sizeof(got), NULL, NULL, 0), EAGAIN);
    }
    CHECK_IS(pthread_join(reader, NULL), 0);
    CHECK_IS(rsp_waits(from, POLLOUT, WAIT_MS), POLLOUT);
    CHECK_IS(rsp_waits(from, POLLIN, 0), 0);
}

void full(void)
{
    static uint8_t text[50000];
    pthread_t reader;
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    int peer = take(server);
    stuffed(sd, peer);
    stuffed(peer, sd);
    /* A send that waits goes on when the other end reads. */
    int ends[2] = {peer, sd};
    for (int i = 0; i < 2; i++) {
        struct reading reading = {.sd = ends[i], .messages = 400};
        CHECK_IS(pthread_create(&reader, NULL, read_them, &reading), 0);
        for (int n = 0; n < 400; n++) {
            CHECK_IS(rsp_send(ends[1 - i], text, sizeof(text), 0), sizeof(text));
        }
        while (rsp_waits(ends[1 - i], POLLIN, 100) != 0) {
        }
        CHECK_IS(pthread_join(reader, NULL), 0);
    }
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server), 0);
}

void waiting(void)
{
    int pipes[2];
    CHECK_IS(pipe(pipes), 0);
    int server = serve(SOCK_STREAM);
    CHECK_IS(rsp_waits(server, POLLIN, 0), 0);
    int sd = use(SOCK_STREAM);
    CHECK_IS(rsp_waits(server, POLLIN, WAIT_MS), POLLIN);
    int peer = take(server);
    int64_t began = now_ms();
    CHECK_IS(rsp_waits(sd, POLLIN, 60), 0);
    CHECK(now_ms() - began >= 60);
    CHECK_IS(rsp_waits(sd, POLLIN | POLLOUT, 0), POLLOUT);
    CHECK_IS(rsp_waits(peer, POLLOUT, 0), POLLOUT);
    CHECK_IS(rsp_waits(pipes[0], POLLIN, 0), 0);
    CHECK_IS(rsp_waits(pipes[1], POLLOUT, 0), POLLOUT);
    CHECK_IS(rsp_poll(NULL, 0, 10), 0);
    /* Both kinds, one that is not there, one to be passed over. */
    struct pollfd all[] = {{.fd = sd, .events = POLLIN},
                           {.fd = pipes[0], .events = POLLIN},
                           {.fd = 1 << 20, .events = POLLIN},
                           {.fd = -1, .events = POLLIN, .revents = POLLIN},
                           {.fd = peer, .events = POLLIN | POLLOUT}};
    CHECK_IS(rsp_poll(all, 5, -1), 2);
    CHECK(all[0].revents == 0 && all[1].revents == 0 && all[2].revents == POLLNVAL &&
          all[3].revents == 0 && all[4].revents == POLLOUT);
    CHECK_IS(write(pipes[1], "x", 1), 1);
    say(peer, "news");
    all[2].fd = -1;
    all[4].events = POLLIN;
    int seen = 0;
    while (seen != 3) {
        CHECK(rsp_poll(all, 5, WAIT_MS) > 0);
        seen |= (all[0].revents == POLLIN ? 1 : 0) | (all[1].revents == POLLIN ? 2 : 0);
        CHECK(all[2].revents == 0 && all[4].revents == 0);
    }
    hear(sd, "news");
    int set = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ev = {.events = EPOLLIN, .data.fd = sd};
    CHECK_IS(epoll_ctl(set, EPOLL_CTL_ADD, sd, &ev), 0);
    CHECK_IS(epoll_wait(set, &ev, 1, 0), 0);
    say(peer, "more");
    CHECK_IS(epoll_wait(set, &ev, 1, WAIT_MS), 1);
    CHECK_IS(ev.data.fd, sd);
    CHECK_IS(close(set), 0);
    hear(sd, "more");
    /* The end is news, too. */
    CHECK_IS(rsp_close(sd), 0);
    CHECK_IS(rsp_waits(peer, POLLIN, WAIT_MS), POLLIN);
    CHECK_IS(rsp_recv(peer, all, sizeof(all), 0), 0);
    CHECK_IS(rsp_waits(peer, POLLIN | POLLOUT, 0), POLLIN | POLLOUT);
    CHECK_IS(rsp_close(peer) + rsp_close(server) + close(pipes[0]) + close(pipes[1]), 0);
}

struct sets {
    fd_set in, out, except;
    int highest;
};

static void want(struct sets *s, int fd, const char *what)
{
    if (strchr(what, 'r') != NULL) {
        FD_SET(fd, &s->in);
    }
    if (strchr(what, 'w') != NULL) {
        FD_SET(fd, &s->out);
    }
    if (strchr(what, 'x') != NULL) {
        FD_SET(fd, &s->except);
    }
    s->highest = fd > s->highest ? fd : s->highest;
}

static int select_sets(struct sets *s, int timeout_ms)
{
    struct timeval tv = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    return rsp_select(s->highest + 1, &s->in, &s->out, &s->except, timeout_ms < 0 ? NULL : &tv);
}

void selecting(void)
{
    int pipes[2];
    CHECK_IS(pipe(pipes), 0);
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    int peer = take(server);
    struct sets s = {.highest = 0};
    want(&s, sd, "rx");
    want(&s, pipes[0], "r");
    CHECK_IS(select_sets(&s, 30), 0);
    CHECK(!FD_ISSET(sd, &s.in) && !FD_ISSET(sd, &s.except) && !FD_ISSET(pipes[0], &s.in));
    want(&s, sd, "rw");
    want(&s, peer, "w");
    want(&s, pipes[1], "w");
    CHECK_IS(select_sets(&s, -1), 3);
    CHECK(FD_ISSET(sd, &s.out) && FD_ISSET(peer, &s.out) && FD_ISSET(pipes[1], &s.out) &&
          !FD_ISSET(sd, &s.in));
    say(peer, "news");
    memset(&s, 0, sizeof(s));
    want(&s, sd, "rw");
    want(&s, peer, "r");
    CHECK(select_sets(&s, WAIT_MS) >= 1);
    memset(&s, 0, sizeof(s));
    want(&s, sd, "r");
    CHECK_IS(select_sets(&s, WAIT_MS), 1);
    CHECK(FD_ISSET(sd, &s.in));
    hear(sd, "news");
    CHECK_IS(close(pipes[1]), 0);
    memset(&s, 0, sizeof(s));
    want(&s, pipes[0], "r"); /* the end can be read */
    CHECK_IS(select_sets(&s, 0), 1);
    memset(&s, 0, sizeof(s));
    want(&s, pipes[1], "r");
    CHECK_FAILS(select_sets(&s, 0), EBADF);
    struct timeval negative = {.tv_sec = -1};
    CHECK_FAILS(rsp_select(0, NULL, NULL, NULL, &negative), EINVAL);
    CHECK_IS(rsp_close(sd) + rsp_close(peer) + rsp_close(server) + close(pipes[0]), 0);
}

/** A session without a server, and then without a daemon: whoever waits in it does not spin. */
void idle_wait(void)
{
    struct rusage before;
    struct rusage after;
    int retry = 2000;
    int server = serve(SOCK_STREAM);
    int sd = use(SOCK_STREAM);
    int peer = take(server);
    CHECK_IS(rsp_setsockopt(sd, SOL_RSP, RSP_SO_RETRY_MIN, &retry, sizeof(retry)), 0);
    say(peer, "served");
    hear(sd, "served");
    CHECK_IS(rsp_abandon(peer), 0);
    CHECK_IS(rsp_close(server), 0);
    CHECK_IS(rsp_waits(sd, POLLIN, 200), 0);
    step("waiting");
    CHECK_IS(getrusage(RUSAGE_SELF, &before), 0);
    CHECK_IS(rsp_waits(sd, POLLIN, 3000), 0);
    CHECK_IS(getrusage(RUSAGE_SELF, &after), 0);
    long us = (after.ru_utime.tv_sec - before.ru_utime.tv_sec) * 1000000 + after.ru_utime.tv_usec -
              before.ru_utime.tv_usec + (after.ru_stime.tv_sec - before.ru_stime.tv_sec) * 1000000 +
              after.ru_stime.tv_usec - before.ru_stime.tv_usec;
    if (us > 300000) {
        FAIL("%ld us of processor time in 3 s of waiting", us);
    }
    CHECK_IS(rsp_close(sd), 0);
}
