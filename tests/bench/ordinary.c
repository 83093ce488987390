/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What calls cost that are no pool's business, to be compared with and without the shim: connect()
 * of a TCP and of a UDP socket, accept() of a waiting connection, accept() when none waits,
 * close(), and a write() and read() of one octet. Prints the lowest and the median of the batches'
 * means. argv: the number of batches.
 */
#include <fcntl.h>

#include "bench.h"

#define BATCH       64
#define BATCHES_MAX 100000

enum figure { TCP_CONNECT, TCP_ACCEPT, TCP_CLOSE, UDP_CONNECT, EMPTY_ACCEPT, READ_WRITE, FIGURES };

static const char *const NAMES[FIGURES] = {
    [TCP_CONNECT] = "connect_tcp", [TCP_ACCEPT] = "accept",         [TCP_CLOSE] = "close",
    [UDP_CONNECT] = "connect_udp", [EMPTY_ACCEPT] = "accept_empty", [READ_WRITE] = "read_write"};

static uint32_t means[FIGURES][BATCHES_MAX];

static void note(enum figure figure, long batch, int64_t begin_ns)
{
    means[figure][batch] = sample((now_ns() - begin_ns) / BATCH);
}

static int listener_on(struct sockaddr_in *ret)
{
    socklen_t len = sizeof(*ret);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    *ret = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    NEED(bind(fd, (struct sockaddr *)ret, sizeof(*ret)) == 0 && listen(fd, 2 * BATCH) == 0);
    NEED(getsockname(fd, (struct sockaddr *)ret, &len) == 0);
    return fd;
}

static void connections(int listener, const struct sockaddr_in *in, long batch)
{
    const struct linger at_once = {.l_onoff = 1};
    int client[BATCH];
    int server[BATCH];
    char octet = 0;
    for (int i = 0; i < BATCH; i++) {
        client[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        NEED(client[i] >= 0);
    }
    int64_t begin = now_ns();
    for (int i = 0; i < BATCH; i++) {
        NEED(connect(client[i], (const struct sockaddr *)in, sizeof(*in)) == 0);
    }
    note(TCP_CONNECT, batch, begin);
    begin = now_ns();
    for (int i = 0; i < BATCH; i++) {
        server[i] = accept(listener, NULL, NULL);
    }
    note(TCP_ACCEPT, batch, begin);
    begin = now_ns();
    for (int i = 0; i < BATCH; i++) {
        NEED(accept(listener, NULL, NULL) < 0);
    }
    note(EMPTY_ACCEPT, batch, begin);
    begin = now_ns();
    for (int i = 0; i < BATCH; i++) {
        NEED(write(client[i], &octet, 1) == 1 && read(server[i], &octet, 1) == 1);
    }
    note(READ_WRITE, batch, begin);
    for (int i = 0; i < BATCH; i++) {
        (void)setsockopt(client[i], SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    }
    begin = now_ns();
    for (int i = 0; i < BATCH; i++) {
        (void)close(client[i]);
    }
    note(TCP_CLOSE, batch, begin);
    for (int i = 0; i < BATCH; i++) {
        (void)close(server[i]);
    }
}

static void datagrams(int fd, const struct sockaddr_in *in, long batch)
{
    int64_t begin = now_ns();
    for (int i = 0; i < BATCH; i++) {
        NEED(connect(fd, (const struct sockaddr *)in, sizeof(*in)) == 0);
    }
    note(UDP_CONNECT, batch, begin);
}

int main(int argc, char **argv)
{
    NEED(argc == 2);
    long batches = number(argv[1]);
    NEED(batches > 0 && batches <= BATCHES_MAX);
    struct sockaddr_in in;
    int listener = listener_on(&in);
    int datagram = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    for (long i = 0; i < batches; i++) {
        connections(listener, &in, i);
        datagrams(datagram, &in, i);
    }
    printf("{");
    for (int i = 0; i < FIGURES; i++) {
        qsort(means[i], (size_t)batches, sizeof(means[i][0]), compare_ns);
        printf("%s\"%s\": {\"lowest\": %u, \"p50\": %u}", i == 0 ? "" : ", ", NAMES[i],
               percentile(means[i], (size_t)batches, 0), percentile(means[i], (size_t)batches, 50));
    }
    printf("}\n");
    return 0;
}
