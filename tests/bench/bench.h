/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the programs of tests/bench share: a clock, samples, and the end of a program that cannot go
 * on. They measure; tests/bench/run starts them, pairs each with its baseline and prints. What they
 * print is one JSON object on one line, times in nanoseconds.
 */
#ifndef RSP_TESTS_BENCH_BENCH_H
#define RSP_TESTS_BENCH_BENCH_H

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

/** Ends the program with a message when something that must hold does not. */
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #condition, strerror(errno));   \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static inline int64_t now_ns(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static inline long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == '\0' || *end != '\0' || value < 0) {
        fprintf(stderr, "\"%s\" is no number\n", text);
        exit(2);
    }
    return value;
}

static inline int compare_ns(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/** A difference of now_ns() as it is kept: more than four seconds count as four. */
static inline uint32_t sample(int64_t ns)
{
    return ns < 0 ? 0 : ns > UINT32_MAX ? UINT32_MAX : (uint32_t)ns;
}

/** The value below which `percent` of the sorted samples lie; 0 without samples. */
static inline uint32_t percentile(const uint32_t *sorted, size_t count, unsigned percent)
{
    return count == 0 ? 0 : sorted[(count - 1) * percent / 100];
}

static inline void print_samples(uint32_t *samples, size_t count, int64_t duration_ns,
                                 uint64_t operations)
{
    qsort(samples, count, sizeof(samples[0]), compare_ns);
    printf("{\"operations\": %llu, \"ns\": %lld, \"lowest\": %u, \"p50\": %u, \"p99\": %u}\n",
           (unsigned long long)operations, (long long)duration_ns, percentile(samples, count, 0),
           percentile(samples, count, 50), percentile(samples, count, 99));
}

/** The first address a name has for a socket type; a pool's name under the shim gives its cookie.
 */
static inline struct sockaddr_in address_of(const char *host, const char *port, int type)
{
    struct addrinfo hints = {.ai_family = AF_INET, .ai_socktype = type};
    struct addrinfo *found = NULL;
    struct sockaddr_in in;
    int error = getaddrinfo(host, port, &hints, &found);
    if (error != 0) {
        fprintf(stderr, "%s: %s\n", host, gai_strerror(error));
        exit(1);
    }
    memcpy(&in, found->ai_addr, sizeof(in));
    freeaddrinfo(found);
    return in;
}

static inline struct sockaddr_un unix_address(const char *path)
{
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    NEED(strlen(path) < sizeof(un.sun_path));
    memcpy(un.sun_path, path, strlen(path) + 1);
    return un;
}

#endif
