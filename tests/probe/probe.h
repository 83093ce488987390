/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the probes share. A probe is one hazard; it exits 0, or 1 with a line that says where. */
#ifndef RSP_TESTS_PROBE_H
#define RSP_TESTS_PROBE_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s (errno %d %s)\n", __FILE__, __LINE__, #condition, errno,    \
                    strerror(errno));                                                              \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/** The pool's address as getaddrinfo() gives it; exits when there is none. */
static inline struct sockaddr_in pool_address(const char *name)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list = NULL;
    int err = getaddrinfo(name, "80", &hints, &list);
    if (err != 0) {
        fprintf(stderr, "%s: %s\n", name, gai_strerror(err));
        exit(1);
    }
    struct sockaddr_in in;
    memcpy(&in, list->ai_addr, sizeof(in));
    freeaddrinfo(list);
    return in;
}

/** Reads what the server says first and ends with; 0 when it said "hello". */
static inline int greeted(int fd)
{
    char text[16] = "";
    size_t have = 0;
    while (have < 5) {
        ssize_t n = read(fd, text + have, sizeof(text) - 1 - have);
        if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
            struct pollfd p = {.fd = fd, .events = POLLIN};
            (void)poll(&p, 1, 5000);
            continue;
        }
        if (n <= 0) {
            return -1;
        }
        have += (size_t)n;
    }
    return memcmp(text, "hello", 5) == 0 ? 0 : -1;
}

static inline int stream_socket(int flags)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
    CHECK(fd >= 0);
    return fd;
}

/** connect() to the pool and hear the greeting. */
static inline void meet(const char *name)
{
    struct sockaddr_in in = pool_address(name);
    int fd = stream_socket(0);
    CHECK(connect(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(greeted(fd) == 0);
    CHECK(close(fd) == 0);
}

/** A listening socket on a free port of the loopback interface. */
static inline int listener(uint16_t *ret_port, int flags)
{
    int fd = stream_socket(flags);
    struct sockaddr_in in = {.sin_family = AF_INET};
    socklen_t len = sizeof(in);
    CHECK(bind(fd, (struct sockaddr *)&in, sizeof(in)) == 0);
    CHECK(listen(fd, 8) == 0);
    CHECK(getsockname(fd, (struct sockaddr *)&in, &len) == 0);
    *ret_port = ntohs(in.sin_port);
    return fd;
}

/** Tells the test where we are and waits for its go-ahead. */
static inline void say_and_wait(const char *word)
{
    char c;
    printf("%s\n", word);
    CHECK(fflush(stdout) == 0);
    CHECK(read(STDIN_FILENO, &c, 1) == 1);
}

#endif
