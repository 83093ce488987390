/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who waits in rsp_recv() and what ends it: an answer, a timeout, a signal, another thread that
 * sends, receives, closes or cancels. argv: POOL. Prints what does not hold; "N held" at the end.
 *
 * The server is a child: a message that begins with 'e' is sent back, others get no answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include <rsp/rsp.h>

#define BIG (8 << 20)
#define NEED(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%d: %s: %s\n", __LINE__, #condition, strerror(errno));                         \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

static const char *pool;
static int held;

static int64_t now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void *echo(void *arg)
{
    int sd = *(int *)arg;
    uint8_t *octets = (uint8_t *)malloc(BIG);
    int flags = 0;
    ssize_t n;
    while (octets != NULL && (n = rsp_recvfullmsg(sd, octets, BIG, NULL, &flags, -1)) > 0) {
        if (octets[0] == 'e' && rsp_send(sd, octets, (size_t)n, 0) < 0) {
            break;
        }
        flags = 0;
    }
    (void)rsp_close(sd);
    free(octets);
    free(arg);
    return NULL;
}

static void serve(int ready)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    int fd = rsp_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    NEED(fd >= 0 && rsp_bind(fd, (struct sockaddr *)&in, 1) == 0);
    NEED(rsp_register(fd, (const unsigned char *)pool, strlen(pool), NULL, 0, 0) == 0);
    NEED(write(ready, "r", 1) == 1);
    for (;;) {
        pthread_t thread;
        int *sd = (int *)malloc(sizeof(*sd));
        NEED(sd != NULL && (*sd = rsp_accept(fd, -1)) >= 0);
        NEED(pthread_create(&thread, NULL, echo, sd) == 0 && pthread_detach(thread) == 0);
    }
}

static int session(void)
{
    int sd = rsp_socket(AF_INET, SOCK_STREAM, IPPROTO_TCP);
    NEED(sd >= 0 && rsp_connect(sd, (const unsigned char *)pool, strlen(pool), 0) == 0);
    return sd;
}

/* --- a thread that receives --------------------------------------------------------------------
 */

struct receiver {
    pthread_t thread;
    int sd;
    atomic_int tid;
    atomic_long messages;
    ssize_t result;
    int error;
};

/** Whole messages until the end or an error. */
static void *receive(void *arg)
{
    struct receiver *r = (struct receiver *)arg;
    uint8_t *octets = (uint8_t *)malloc(BIG);
    NEED(octets != NULL);
    pthread_cleanup_push(free, octets);
    atomic_store(&r->tid, (int)syscall(SYS_gettid));
    for (;;) {
        int flags = 0;
        r->result = rsp_recvfullmsg(r->sd, octets, BIG, NULL, &flags, -1);
        r->error = errno;
        if (r->result <= 0) {
            break;
        }
        atomic_fetch_add(&r->messages, 1);
    }
    pthread_cleanup_pop(1);
    return NULL;
}

static void start(struct receiver *r, int sd)
{
    *r = (struct receiver){.sd = sd};
    NEED(pthread_create(&r->thread, NULL, receive, r) == 0);
}

static void until_messages(struct receiver *r, struct receiver *other, long count)
{
    int64_t deadline = now_ms() + 20000;
    while (atomic_load(&r->messages) + (other != NULL ? atomic_load(&other->messages) : 0) <
           count) {
        NEED(now_ms() < deadline);
        (void)poll(NULL, 0, 1);
    }
}

/**
 * Until the thread waits in a system call: recvfrom() for a moment, then poll(). Who comes too late
 * to see the former has it wait anew.
 */
static void until_in(struct receiver *r, long number)
{
    int64_t deadline = now_ms() + 20000;
    for (;;) {
        char path[64];
        long in = -1;
        (void)snprintf(path, sizeof(path), "/proc/self/task/%d/syscall", atomic_load(&r->tid));
        FILE *file = atomic_load(&r->tid) != 0 ? fopen(path, "re") : NULL;
        if (file != NULL) {
            if (fscanf(file, "%ld", &in) != 1) {
                in = -1;
            }
            (void)fclose(file);
        }
        if (in == number) {
            return;
        }
        if (in == SYS_poll && number == SYS_recvfrom) {
            long before = atomic_load(&r->messages);
            NEED(rsp_send(r->sd, "e", 1, 0) == 1);
            until_messages(r, NULL, before + 1);
        }
        NEED(now_ms() < deadline);
    }
}

static void ends_with(struct receiver *r, int error)
{
    NEED(pthread_join(r->thread, NULL) == 0);
    NEED(r->result == -1 && r->error == error);
    held++;
}

/* --- what holds ---------------------------------------------------------------------------------
 */

static void on_alarm(int number)
{
    (void)number;
}

static void alone(void)
{
    struct sigaction action = {.sa_handler = on_alarm};
    struct itimerval in = {.it_value = {.tv_usec = 50000}, .it_interval = {.tv_usec = 50000}};
    struct itimerval off = {.it_value = {.tv_usec = 0}};
    char octets[16];
    int flags = 0;
    int sd = session();
    NEED(rsp_send(sd, "e1", 2, 0) == 2 && rsp_recv(sd, octets, sizeof(octets), 0) == 2);
    NEED(rsp_recv(sd, octets, sizeof(octets), MSG_DONTWAIT) == -1 && errno == EAGAIN);
    int64_t begin = now_ms();
    NEED(rsp_recvmsg(sd, octets, sizeof(octets), NULL, &flags, 200) == -1 && errno == EAGAIN);
    NEED(now_ms() - begin >= 200 && now_ms() - begin < 5000);
    held++;
    NEED(rsp_close(sd) == 0);
    sd = session(); /* one whose waits have no bound yet */
    NEED(sigaction(SIGALRM, &action, NULL) == 0 && setitimer(ITIMER_REAL, &in, NULL) == 0);
    NEED(rsp_recv(sd, octets, sizeof(octets), 0) == -1 && errno == EINTR);
    NEED(setitimer(ITIMER_REAL, &off, NULL) == 0);
    held++;
    NEED(fcntl(sd, F_SETFL, O_NONBLOCK) == 0);
    NEED(rsp_recv(sd, octets, sizeof(octets), 0) == -1 && errno == EAGAIN);
    NEED(rsp_close(sd) == 0);
    held++;
}

static void another_ends_it(void)
{
    static const long calls[] = {SYS_recvfrom, SYS_poll};
    struct receiver r;
    for (int i = 0; i < 2; i++) {
        start(&r, session());
        until_in(&r, calls[i]);
        NEED(rsp_close(r.sd) == 0);
        ends_with(&r, EBADF);
        start(&r, session());
        until_in(&r, calls[i]);
        NEED(rsp_abandon(r.sd) == 0);
        ends_with(&r, EBADF);
        start(&r, session());
        until_in(&r, calls[i]);
        NEED(pthread_cancel(r.thread) == 0 && pthread_join(r.thread, NULL) == 0);
        NEED(rsp_send(r.sd, "s", 1, 0) == 1 && rsp_close(r.sd) == 0);
        held++;
    }
}

static void *look(void *arg)
{
    char octets[4];
    for (;;) {
        pthread_testcancel();
        (void)rsp_recv(*(int *)arg, octets, sizeof(octets), MSG_DONTWAIT);
    }
    return NULL;
}

/** A thread that does not wait is cancelled wherever it is, and the session is as it was. */
static void cancelled_while_looking(void)
{
    char octets[4];
    int sd = session();
    for (int i = 0; i < 50; i++) {
        pthread_t thread;
        NEED(pthread_create(&thread, NULL, look, &sd) == 0);
        (void)sched_yield();
        NEED(pthread_cancel(thread) == 0 && pthread_join(thread, NULL) == 0);
    }
    NEED(rsp_send(sd, "e", 1, 0) == 1);
    NEED(rsp_recv(sd, octets, sizeof(octets), 0) == 1);
    NEED(rsp_close(sd) == 0);
    held++;
}

/** Messages that the kernel does not take at once go out while the other thread waits. */
static void another_sends(void)
{
    struct receiver r;
    uint8_t *big = (uint8_t *)calloc(1, BIG);
    NEED(big != NULL);
    big[0] = 'e';
    start(&r, session());
    until_in(&r, SYS_recvfrom);
    NEED(rsp_send(r.sd, big, BIG, 0) == BIG);
    until_messages(&r, NULL, 1);
    for (long i = 0; i < 1000; i++) {
        NEED(rsp_send(r.sd, "e", 1, 0) == 1);
    }
    until_messages(&r, NULL, 1001);
    NEED(rsp_close(r.sd) == 0);
    ends_with(&r, EBADF);
    free(big);
}

/** Each message goes to one of them. */
static void two_receive(void)
{
    struct receiver a;
    struct receiver b;
    int sd = session();
    char octets[4];
    start(&a, sd);
    start(&b, sd);
    until_in(&b, SYS_poll);
    for (long i = 0; i < 1000; i++) {
        NEED(rsp_send(sd, "e", 1, 0) == 1);
    }
    until_messages(&a, &b, 1000);
    NEED(rsp_recv(sd, octets, sizeof(octets), MSG_DONTWAIT) == -1 && errno == EAGAIN);
    NEED(rsp_close(sd) == 0);
    ends_with(&a, EBADF);
    ends_with(&b, EBADF);
    NEED(a.messages + b.messages == 1000);
}

int main(int argc, char **argv)
{
    int ready[2];
    char octet;
    NEED(argc == 2);
    pool = argv[1];
    NEED(pipe(ready) == 0);
    pid_t child = fork();
    NEED(child >= 0);
    if (child == 0) {
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(ready[1]);
    }
    NEED(read(ready[0], &octet, 1) == 1);
    alone();
    another_ends_it();
    cancelled_while_looking();
    another_sends();
    two_receive();
    (void)kill(child, SIGKILL);
    printf("%d held\n", held);
    return 0;
}
