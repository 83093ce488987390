/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Does one thing again and again, in one or several client processes, and says how long it took:
 *
 *   echo PATH        64 octets to a SOCK_SEQPACKET server and back
 *   lp PATH POOL     a resolution by the library path
 *   udp HOST PORT    connect() of a datagram socket: under the shim and with a pool's name this is
 * a resolution by the shim's path, and else next to nothing tcp HOST PORT    socket(), connect(),
 * close()
 *
 * Options before: -c CLIENTS, -t MILLISECONDS, -r OPERATIONS per second of all clients together
 * (default: as fast as they can). Each client keeps its last SAMPLES latencies.
 */
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "bench.h"
#include "local.h"

#define CLIENTS_MAX 16
#define SAMPLES     100000
#define MESSAGE     64

struct client {
    uint64_t operations;
    int64_t ns;
    uint32_t samples[SAMPLES];
};

struct shared {
    atomic_uint ready;
    atomic_bool go;
    struct client clients[CLIENTS_MAX];
};

struct job {
    char **argv;
    void (*open)(struct job *j);
    void (*once)(struct job *j);
    int fd;
    struct local local;
    struct sockaddr_in in;
};

static void echo_open(struct job *j)
{
    struct sockaddr_un un = unix_address(j->argv[1]);
    j->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    NEED(connect(j->fd, (struct sockaddr *)&un, sizeof(un)) == 0);
}

static void echo_once(struct job *j)
{
    char octets[MESSAGE] = {0};
    NEED(send(j->fd, octets, sizeof(octets), MSG_NOSIGNAL) == MESSAGE);
    NEED(recv(j->fd, octets, sizeof(octets), 0) == MESSAGE);
}

static void lp_open(struct job *j)
{
    local_open(&j->local, j->argv[1]);
}

static void lp_once(struct job *j)
{
    struct lp_pe pe;
    NEED(local_resolve(&j->local, j->argv[2], TRANSPORT_UDP, &pe) == 0);
}

static void udp_open(struct job *j)
{
    j->in = address_of(j->argv[1], j->argv[2], SOCK_DGRAM);
    j->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    NEED(j->fd >= 0);
}

static void udp_once(struct job *j)
{
    NEED(connect(j->fd, (struct sockaddr *)&j->in, sizeof(j->in)) == 0);
}

static void tcp_open(struct job *j)
{
    j->in = address_of(j->argv[1], j->argv[2], SOCK_STREAM);
}

static void tcp_once(struct job *j)
{
    const struct linger at_once = {.l_onoff = 1}; /* no TIME_WAIT: ports would run out */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    NEED(fd >= 0 && connect(fd, (struct sockaddr *)&j->in, sizeof(j->in)) == 0);
    NEED(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)) == 0);
    (void)close(fd);
}

static const struct {
    const char *name;
    int arguments;
    void (*open)(struct job *j);
    void (*once)(struct job *j);
} KINDS[] = {
    {"echo", 2, echo_open, echo_once},
    {"lp", 3, lp_open, lp_once},
    {"udp", 3, udp_open, udp_once},
    {"tcp", 3, tcp_open, tcp_once},
};

static void sleep_until(int64_t at_ns)
{
    struct timespec ts = {.tv_sec = (time_t)(at_ns / 1000000000),
                          .tv_nsec = (long)(at_ns % 1000000000)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &ts, NULL) == EINTR) {
    }
}

/** `gap_ns`: between the beginnings of two operations, 0: none. A late one is not made up for. */
static void run_client(struct job *j, struct shared *shared, struct client *c, long ms,
                       int64_t gap_ns)
{
    j->open(j);
    for (int i = 0; i < 100; i++) {
        j->once(j); /* what is done once, is done now */
    }
    (void)atomic_fetch_add(&shared->ready, 1);
    while (!atomic_load(&shared->go)) {
        (void)usleep(200);
    }
    int64_t begin = now_ns();
    int64_t end = begin + (int64_t)ms * 1000000;
    int64_t next = begin;
    int64_t before = begin;
    while (before < end) {
        j->once(j);
        int64_t after = now_ns();
        c->samples[c->operations++ % SAMPLES] = sample(after - before);
        before = after;
        if (gap_ns > 0) {
            next += gap_ns;
            next = next < after ? after : next;
            sleep_until(next);
            before = now_ns();
        }
    }
    c->ns = now_ns() - begin;
}

static void report(const struct shared *shared, unsigned clients)
{
    uint32_t *all = malloc(sizeof(uint32_t) * SAMPLES * clients);
    size_t count = 0;
    uint64_t operations = 0;
    int64_t longest_ns = 1;
    NEED(all != NULL);
    for (unsigned i = 0; i < clients; i++) {
        const struct client *c = &shared->clients[i];
        size_t kept = c->operations < SAMPLES ? (size_t)c->operations : SAMPLES;
        memcpy(all + count, c->samples, kept * sizeof(all[0]));
        count += kept;
        operations += c->operations;
        longest_ns = c->ns > longest_ns ? c->ns : longest_ns;
    }
    print_samples(all, count, longest_ns, operations);
    free(all);
}

int main(int argc, char **argv)
{
    static struct job job;
    long clients = 1;
    long ms = 1000;
    long rate = 0;
    int option;
    while ((option = getopt(argc, argv, "+c:t:r:")) != -1) {
        *(option == 'c' ? &clients : option == 't' ? &ms : &rate) = number(optarg);
    }
    job.argv = argv + optind;
    for (size_t i = 0; i < sizeof(KINDS) / sizeof(KINDS[0]); i++) {
        if (optind < argc && strcmp(job.argv[0], KINDS[i].name) == 0 &&
            argc - optind == KINDS[i].arguments) {
            job.open = KINDS[i].open;
            job.once = KINDS[i].once;
        }
    }
    if (job.once == NULL || clients < 1 || clients > CLIENTS_MAX) {
        fprintf(stderr, "usage: see the top of load.c\n");
        return 2;
    }
    struct shared *shared =
        mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    NEED(shared != MAP_FAILED);
    for (long i = 0; i < clients; i++) {
        pid_t pid = fork();
        NEED(pid >= 0);
        if (pid == 0) {
            run_client(&job, shared, &shared->clients[i], ms,
                       rate > 0 ? 1000000000 * clients / rate : 0);
            _exit(0);
        }
    }
    int status = 0;
    while (atomic_load(&shared->ready) < clients) {
        NEED(waitpid(-1, &status, WNOHANG) == 0); /* none may end before it began */
        (void)usleep(200);
    }
    atomic_store(&shared->go, true);
    for (long i = 0; i < clients; i++) {
        NEED(wait(&status) > 0 && status == 0);
    }
    report(shared, (unsigned)clients);
    return 0;
}
