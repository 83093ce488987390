/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A pool user for tests, against examples/hello-server.c or examples/event-server.c.
 *
 *   count POOL SESSIONS MESSAGES PAUSE_MS  a thread for each session; every answer bears the next
 *                                          number; "begun" once all have had an answer, "N
 *                                          right" at the end
 *   gap POOL                               asks without pause until its input ends; for every
 *                                          change of the server "gap MICROSECONDS at PE"
 *   many POOL SESSIONS                     opens them one after the other, asks once on each;
 * "open"; when its input has a line asks on each again; "right"
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <rsp/rsp.h>

static const char *pool;
static int sessions, messages, pause_ms;
static atomic_int begun, right, failovers;

static int64_t now_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static int open_session(void)
{
    int sd = rsp_socket(0, SOCK_STREAM, 0);
    int wait_ms = 60000;
    if (sd < 0 ||
        rsp_setsockopt(sd, SOL_RSP, RSP_SO_CONNECT_TIMEOUT, &wait_ms, sizeof(wait_ms)) != 0) {
        perror("rsp_socket");
        return -1;
    }
    /* A pool whose elements have just been killed is empty for a moment. */
    for (int64_t until = now_us() + 60000000; now_us() < until;) {
        if (rsp_connect(sd, (const unsigned char *)pool, strlen(pool), 0) == 0) {
            return sd;
        }
        if (errno != ECONNREFUSED && errno != EAGAIN && errno != EHOSTUNREACH) {
            break;
        }
        (void)poll(NULL, 0, 20);
    }
    perror("rsp_connect");
    return -1;
}

/** Asks, and takes answers until that with the number; answers before it have been seen. */
static int ask(int sd, long number)
{
    char text[256];
    int len = snprintf(text, sizeof(text), "%ld is this", number);
    if (rsp_send(sd, text, (size_t)len, 0) < 0) {
        perror("rsp_send");
        return -1;
    }
    for (;;) {
        ssize_t n = rsp_recv(sd, text, sizeof(text) - 1, 0);
        if (n < 0 && errno == EINTR) {
            continue; /* a test has stopped us for a while: signal(7) */
        }
        if (n <= 0) {
            perror("rsp_recv");
            return -1;
        }
        text[n] = '\0';
        long got = atol(text);
        if (got == number) {
            return 0;
        }
        if (got > number) {
            fprintf(stderr, "answer %ld to question %ld\n", got, number);
            return -1;
        }
    }
}

static void *count_one(void *arg)
{
    uint32_t last = 0;
    (void)arg;
    int sd = open_session();
    for (int i = 1; sd >= 0 && i <= messages; i++) {
        uint32_t pe = 0;
        if (ask(sd, i) != 0) {
            break;
        }
        (void)rsp_getpeername(sd, NULL, NULL, &pe);
        if (i == 1 && atomic_fetch_add(&begun, 1) + 1 == sessions) {
            printf("begun\n");
            (void)fflush(stdout);
        }
        failovers += last != 0 && pe != last;
        last = pe;
        right += i == messages;
        (void)poll(NULL, 0, pause_ms);
    }
    if (sd >= 0) {
        (void)rsp_close(sd);
    }
    return NULL;
}

static int count(void)
{
    pthread_attr_t attr;
    pthread_t *threads = calloc((size_t)sessions, sizeof(*threads));
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, 131072);
    for (int i = 0; i < sessions; i++) {
        if (pthread_create(&threads[i], &attr, count_one, NULL) != 0) {
            perror("pthread_create");
            return 1;
        }
    }
    for (int i = 0; i < sessions; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    free(threads);
    printf("%d right, %d failovers\n", right, failovers);
    return right == sessions ? 0 : 1;
}

static int gap(void)
{
    int sd = open_session();
    uint32_t last = 0;
    int64_t before = now_us();
    for (long i = 1; sd >= 0; i++) {
        struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
        uint32_t pe = 0;
        if (ask(sd, i) != 0) {
            return 1;
        }
        int64_t now = now_us();
        (void)rsp_getpeername(sd, NULL, NULL, &pe);
        if (pe != last) {
            if (last != 0) {
                printf("gap %ld at %08x\n", (long)(now - before), pe);
            } else {
                printf("first at %08x\n", pe);
            }
            (void)fflush(stdout);
            last = pe;
        }
        before = now;
        if (i % 64 == 0 && poll(&in, 1, 0) > 0) {
            return rsp_close(sd);
        }
    }
    return 1;
}

static int many(void)
{
    int *sds = calloc((size_t)sessions, sizeof(*sds));
    char line[16];
    for (int round = 1; round <= 2; round++) {
        for (int i = 0; i < sessions; i++) {
            if (round == 1 && (sds[i] = open_session()) < 0) {
                return 1;
            }
            if (ask(sds[i], round) != 0) {
                fprintf(stderr, "session %d, round %d\n", i, round);
                return 1;
            }
        }
        printf(round == 1 ? "open\n" : "right\n");
        (void)fflush(stdout);
        if (read(STDIN_FILENO, line, sizeof(line)) < 0) {
            return 1;
        }
    }
    free(sds);
    return 0;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (argc < 3) {
        return 2;
    }
    pool = argv[2];
    if (strcmp(argv[1], "count") == 0 && argc == 6) {
        sessions = atoi(argv[3]);
        messages = atoi(argv[4]);
        pause_ms = atoi(argv[5]);
        return count();
    }
    if (strcmp(argv[1], "gap") == 0) {
        return gap();
    }
    sessions = argc == 4 ? atoi(argv[3]) : 0;
    return strcmp(argv[1], "many") == 0 && argc == 4 ? many() : 2;
}
