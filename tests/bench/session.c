/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages between two processes, through a session of librsp or a bare TCP connection, for MS
 * milliseconds.
 *
 * argv: KIND POOL PATTERN SIZE MS. PATTERN is "stream": one way as fast as they go, answered once
 * at the end; or "answer": each is answered by one as long. KIND is rsp     rsp_send() of a
 * message, rsp_recv() until its octets are there bare    send() and recv() on a connection with
 * TCP_NODELAY, as a session's has it. Message boundaries are kept only because both ends know SIZE.
 *   framed  the same with what a protocol over TCP needs: sendmsg() of a head of 12 octets and the
 *           message, recv() of the head, recv() of as many octets as it says
 */
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <rsp/rsp.h>

#include "bench.h"

#define ROUND 32 /* messages of a stream between two looks at the clock */

enum { MORE, LAST }; /* the first octet of a message */

static bool by_session, framed;
static uint8_t octets[1 << 20];
static size_t size;

static void put_framed(int fd)
{
    uint32_t head[3] = {htonl((uint32_t)size)};
    struct iovec iov[2] = {{.iov_base = head, .iov_len = sizeof(head)},
                           {.iov_base = octets, .iov_len = size}};
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = sendmsg(fd, &msg, MSG_NOSIGNAL);
    NEED(n == (ssize_t)(sizeof(head) + size)); /* a blocking socket takes all of it */
}

static void put(int fd, uint8_t kind)
{
    octets[0] = kind;
    if (framed) {
        put_framed(fd);
        return;
    }
    for (size_t sent = 0; sent < size;) {
        ssize_t n = by_session ? rsp_send(fd, octets, size, 0)
                               : send(fd, octets + sent, size - sent, MSG_NOSIGNAL);
        NEED(n > 0);
        sent += (size_t)n;
    }
}

/** False at the end of the connection. */
static bool get(int fd)
{
    uint32_t head[3];
    if (framed) {
        ssize_t n = recv(fd, head, sizeof(head), MSG_WAITALL);
        NEED(n == 0 || (n == sizeof(head) && ntohl(head[0]) == size));
        if (n == 0) {
            return false;
        }
    }
    for (size_t got = 0; got < size;) {
        ssize_t n = by_session ? rsp_recv(fd, octets + got, size - got, 0)
                               : recv(fd, octets + got, size - got, 0);
        NEED(n >= 0);
        if (n == 0) {
            return false;
        }
        got += (size_t)n;
    }
    return true;
}

static void serve(int fd, bool answers)
{
    while (get(fd)) {
        if (answers || octets[0] == LAST) {
            put(fd, octets[0]);
        }
    }
}

/** Returns the number of messages; *ret_ns: how long they took. */
static uint64_t measure(int fd, bool answers, int64_t ms, int64_t *ret_ns)
{
    uint64_t count = 0;
    int64_t begin = now_ns();
    int64_t end = begin + ms * 1000000;
    bool last = false;
    while (!last) {
        for (int i = 0; !answers && i < ROUND; i++, count++) {
            put(fd, MORE);
        }
        last = now_ns() >= end;
        put(fd, last ? LAST : MORE);
        count++;
        if (answers || last) {
            NEED(get(fd));
        }
    }
    *ret_ns = now_ns() - begin;
    return count;
}

/** The processor's time of this process, or of its child that has ended. */
static int64_t cpu_ns(int who)
{
    struct rusage u;
    NEED(getrusage(who, &u) == 0);
    return ((int64_t)u.ru_utime.tv_sec + u.ru_stime.tv_sec) * 1000000000 +
           ((int64_t)u.ru_utime.tv_usec + u.ru_stime.tv_usec) * 1000;
}

static void no_delay(int fd)
{
    int one = 1;
    NEED(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0);
}

/** The child's end of the connection, in `*ret`, when it is a server there; else the parent's. */
static int open_bare(pid_t *ret_child)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t len = sizeof(in);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(listener >= 0 && bind(listener, (struct sockaddr *)&in, len) == 0);
    NEED(listen(listener, 1) == 0 && getsockname(listener, (struct sockaddr *)&in, &len) == 0);
    NEED((*ret_child = fork()) >= 0);
    int fd = *ret_child == 0 ? accept4(listener, NULL, NULL, SOCK_CLOEXEC)
                             : socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(fd >= 0 && (*ret_child == 0 || connect(fd, (struct sockaddr *)&in, len) == 0));
    no_delay(fd);
    return fd;
}

static int open_session(const char *pool, pid_t *ret_child)
{
    const unsigned char *handle = (const unsigned char *)pool;
    int ready[2];
    char octet = 0;
    NEED(pipe(ready) == 0 && (*ret_child = fork()) >= 0);
    int fd = rsp_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    NEED(fd >= 0);
    if (*ret_child == 0) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
        NEED(rsp_bind(fd, (struct sockaddr *)&in, 1) == 0 && rsp_listen(fd, 1) == 0);
        NEED(rsp_register(fd, handle, strlen(pool), NULL, 0, 0) == 0);
        NEED(write(ready[1], &octet, 1) == 1);
        int session = rsp_accept(fd, -1);
        NEED(session >= 0 && rsp_deregister(fd, 0) == 0);
        return session;
    }
    NEED(read(ready[0], &octet, 1) == 1 && rsp_connect(fd, handle, strlen(pool), 0) == 0);
    return fd;
}

int main(int argc, char **argv)
{
    pid_t child;
    NEED(argc == 6);
    by_session = strcmp(argv[1], "rsp") == 0;
    framed = strcmp(argv[1], "framed") == 0;
    bool answers = strcmp(argv[3], "answer") == 0;
    size = (size_t)number(argv[4]);
    NEED(size > 0 && size <= sizeof(octets));
    int fd = by_session ? open_session(argv[2], &child) : open_bare(&child);
    if (child == 0) {
        serve(fd, answers);
        return 0;
    }
    int64_t ns;
    uint64_t count = measure(fd, answers, number(argv[5]), &ns);
    NEED((by_session ? rsp_close(fd) : close(fd)) == 0);
    int status = 0;
    NEED(waitpid(child, &status, 0) == child && status == 0);
    printf("{\"operations\": %llu, \"ns\": %lld, \"cpu_ns\": %lld}\n", (unsigned long long)count,
           (long long)ns, (long long)(cpu_ns(RUSAGE_SELF) + cpu_ns(RUSAGE_CHILDREN)));
    return 0;
}
