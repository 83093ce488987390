/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Programs that call the library as it is documented, and as it is not: each case is a function of
 * one process, which has both ends of its sessions. tests/session/test_calls.py runs them on a host
 * with a daemon.
 *
 *   calls.c            the cases by name, and what they share
 *   calls_basic.c      basic mode
 *   calls_errors.c     what is refused, options, names
 *   calls_fork.c       children
 *   calls_messages.c   messages of all sizes, their parts, their order
 *   calls_sessions.c   failover, cookies, notifications, ends
 *   calls_threads.c    several threads, and rsp_server
 *   calls_wait.c       O_NONBLOCK, rsp_poll(), rsp_select(), epoll
 */
#ifndef RSP_TESTS_SESSION_CALLS_H
#define RSP_TESTS_SESSION_CALLS_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rsp/rsp.h>

#define WAIT_MS 20000

#define FAIL(...)                                                                                  \
    do {                                                                                           \
        (void)fprintf(stderr, "%s:%d: ", __FILE__, __LINE__);                                      \
        (void)fprintf(stderr, __VA_ARGS__);                                                        \
        (void)fprintf(stderr, " (errno %d, %s)\n", errno, strerror(errno));                        \
        _exit(1); /* other threads may still be at work */                                         \
    } while (0)

/** A condition that must hold. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            FAIL("%s", #condition);                                                                \
        }                                                                                          \
    } while (0)

/** A number that a call must return. */
#define CHECK_IS(call, wanted)                                                                     \
    do {                                                                                           \
        long long got_ = (long long)(call);                                                        \
        long long wanted_ = (long long)(wanted);                                                   \
        if (got_ != wanted_) {                                                                     \
            FAIL("%s: %lld, not %lld", #call, got_, wanted_);                                      \
        }                                                                                          \
    } while (0)

/** A call that must fail with that errno. */
#define CHECK_FAILS(call, error)                                                                   \
    do {                                                                                           \
        errno = 0;                                                                                 \
        long long result_ = (long long)(call);                                                     \
        if (result_ != -1 || errno != (error)) {                                                   \
            FAIL("%s: %lld, not errno %d", #call, result_, error);                                 \
        }                                                                                          \
    } while (0)

/** What the program was called with. */
extern const char *pool;
extern int protocol;

static inline const unsigned char *octets(const char *text)
{
    return (const unsigned char *)text;
}

/** Says where the case is, and waits for a line of input; at its end it goes on. */
void step(const char *where);
/** A server that is registered in the pool. */
int serve(int type);
/** A session with the pool. */
int use(int type);
/** A session's server end. */
int take(int server);
/** Sends text, or receives it and compares. */
void say(int sd, const char *text);
void hear(int sd, const char *text);
/** Octets that tell where in which message they are. */
void fill(uint8_t *out, size_t len, unsigned seed);
/** The next notification; all but its type is the caller's to look at. */
union rserpool_notification notified(int sd, int type);
int64_t now_ms(void);

/* The cases. */
void basic(void);
void basic_errors(void);
void basic_pollable(void);
void basic_count(void);
void basic_failure(void);
void no_daemon(void);
void no_registrar(void);
void resolve(void);
void errors(void);
void options(void);
void names(void);
void fork_sessions(void);
void fork_element(void);
void sizes(void);
void parts(void);
void mixed(void);
void fair(void);
void cut_off(void);
void message_max(void);
void failover(void);
void endings(void);
void no_auto_failover(void);
void give_up(void);
void unknown_pool(void);
void stale_state(void);
void user(void);
void idle_wait(void);
void threads(void);
void stopping(void);
void closing(void);
void nonblock(void);
void full(void);
void waiting(void);
void selecting(void);

#endif
