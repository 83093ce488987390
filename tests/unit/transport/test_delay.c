/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The round trip time that a transport tells (policies:P-35), over a path with a known delay:
 *
 *   test_delay usrsctp | kernel   TAP on standard output
 *
 * Two endpoints of one stack. usrsctp: the UDP port of "the peer" is a mirror that gives back each
 * datagram 60 ms later, so that what one endpoint sends comes to the other. kernel: the loopback
 * interface of a namespace of its own delays each packet by 60 ms (netem); for the lab guest only.
 */
#include "transport/assoc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORT      3863
#define PPID      11
#define OPENED    (UINT64_C(1) << 63 | 7)
#define DELAY_MS  60
#define HELD_MAX  256
#define MESSAGES  10
#define ANSWER_MS 5000

static int failures;

static void check(bool good, const char *what, int64_t value)
{
    failures += good ? 0 : 1;
    (void)printf("# %s%s: %lld\n", good ? "" : "wrong: ", what, (long long)value);
}

static void must(int r, const char *what)
{
    if (r < 0) {
        (void)printf("Bail out! %s: %s\n", what, strerror(-r));
        exit(1); /* NOLINT(concurrency-mt-unsafe) */
    }
}

/* ---- the mirror ---- */

struct held {
    struct tm_us due;
    struct sockaddr_in from;
    size_t len;
    uint8_t octets[2048];
};

static struct mirror {
    struct loop *loop;
    struct loop_io *io;
    struct loop_timer *timer;
    int fd;
    struct held held[HELD_MAX];
    size_t first, count;
} mirror;

static void give_back(void *ctx, struct tm_us now)
{
    struct mirror *m = ctx;
    while (m->count > 0 && tm_due(m->held[m->first].due, now)) {
        const struct held *h = &m->held[m->first];
        (void)sendto(m->fd, h->octets, h->len, 0, (const struct sockaddr *)&h->from,
                     sizeof(h->from));
        m->first = (m->first + 1) % HELD_MAX;
        m->count--;
    }
    (void)loop_timer_set(m->timer, m->count > 0 ? m->held[m->first].due : TM_NEVER);
}

static void take(void *ctx, int fd, unsigned events)
{
    struct mirror *m = ctx;
    (void)events;
    while (m->count < HELD_MAX) {
        struct held *h = &m->held[(m->first + m->count) % HELD_MAX];
        socklen_t len = sizeof(h->from);
        ssize_t n = recvfrom(fd, h->octets, sizeof(h->octets), MSG_DONTWAIT,
                             (struct sockaddr *)&h->from, &len);
        if (n < 0) {
            break;
        }
        h->len = (size_t)n;
        h->due = tm_add_ms(loop_now(m->loop), DELAY_MS);
        m->count++;
    }
    (void)loop_timer_set(m->timer, m->count > 0 ? m->held[m->first].due : TM_NEVER);
}

static void mirror_start(struct loop *loop, const struct ip_address *at, uint16_t port)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&in.sin_addr, at->octets, 4);
    mirror.loop = loop;
    mirror.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    must(mirror.fd < 0 || bind(mirror.fd, (struct sockaddr *)&in, sizeof(in)) < 0 ? -errno : 0,
         "mirror");
    must(loop_io_add(loop, mirror.fd, LOOP_READ, take, &mirror, &mirror.io), "mirror");
    must(loop_timer_add(loop, 1000, give_back, &mirror, &mirror.timer), "mirror");
}

static void mirror_stop(void)
{
    loop_io_free(mirror.io);
    loop_timer_free(mirror.timer);
    (void)close(mirror.fd);
}

/* ---- the two endpoints ---- */

struct end {
    struct tp_endpoint *ep;
    uint64_t assoc;
    unsigned ups, downs, messages;
};

static void on_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                  uint16_t port)
{
    struct end *e = ctx;
    (void)peers;
    (void)count;
    (void)port;
    e->assoc = assoc;
    e->ups++;
}

static void on_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    (void)assoc;
    (void)reason;
    ((struct end *)ctx)->downs++;
}

static void on_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets, size_t len)
{
    (void)assoc;
    (void)ppid;
    (void)octets;
    (void)len;
    ((struct end *)ctx)->messages++;
}

static bool until(struct loop *loop, const unsigned *what, unsigned count)
{
    struct tm_us end = tm_add_ms(loop_now(loop), ANSWER_MS);
    while (*what < count && tm_before(loop_now(loop), end)) {
        must(loop_step(loop, 100), "loop");
    }
    return *what >= count;
}

/* Sends one message each way, `times` times. */
static bool talk(struct loop *loop, struct end *a, struct end *b, unsigned times)
{
    bool good = true;
    for (unsigned i = 0; good && i < times; i++) {
        unsigned of_a = a->messages;
        unsigned of_b = b->messages;
        good =
            tp_send(a->ep, a->assoc, PPID, "ping", 4) == 0 && until(loop, &b->messages, of_b + 1) &&
            tp_send(b->ep, b->assoc, PPID, "pong", 4) == 0 && until(loop, &a->messages, of_a + 1);
    }
    return good;
}

/*
 * Not less than the path takes; how much more, is the host's doing. Another unit would be far out:
 * ticks of 10 ms, or of 4 ms, and usrsctp's eighths. An acknowledgement held back for 200 ms, too
 * (policies:P-38): the last one of each turn has nothing to ride on.
 */
static void measured(const struct end *e, const char *who)
{
    uint32_t ms = 0;
    int r = tp_srtt_ms(e->ep, e->assoc, &ms);
    check(r == 0 && ms >= 2 * DELAY_MS - 20 && ms < 2 * DELAY_MS + 80, who, ms);
}

static bool kernel;

/* policies:P-35, policies:P-38: what both ends of an association are told. */
static void case_round_trip(void)
{
    static const struct tp_callbacks callbacks = {
        .up = on_up, .down = on_down, .message = on_message};
    uint8_t b2 = (uint8_t)(1 + getpid() % 250);
    struct ip_address here = {.family = IP_V4, .octets = {127, 99, b2, 2}};
    struct ip_address there = {.family = IP_V4, .octets = {127, 99, b2, kernel ? 2 : 3}};
    struct tp_config config;
    struct loop *loop = NULL;
    struct tp *tp = NULL;
    struct end a = {0};
    struct end b = {0};
    uint32_t ms = 7;
    char error[128] = "";
    if (kernel) {
        must(unshare(CLONE_NEWNET) < 0 ? -errno : 0, "namespace");
        /* NOLINTNEXTLINE(cert-env33-c,concurrency-mt-unsafe): a test's own command */
        must(system("ip link set lo up && tc qdisc add dev lo root netem delay 60ms") == 0 ? 0
                                                                                           : -EIO,
             "netem");
    }
    tp_config_default(&config);
    config.backend = kernel ? TP_KERNEL : TP_USRSCTP;
    config.bind = here;
    config.rto_initial_ms = config.rto_min_ms = config.rto_max_ms = 2000;
    must(loop_new(&loop), "loop");
    must(tp_new(loop, &config, &tp, error, sizeof(error)), error);
    must(tp_open(tp, kernel ? &here : NULL, kernel ? 1 : 0, PORT, &callbacks, &b, &b.ep), "open");
    must(tp_open(tp, kernel ? &here : NULL, kernel ? 1 : 0, 0, &callbacks, &a, &a.ep), "open");
    if (!kernel) {
        mirror_start(loop, &there, config.udp_port);
    }
    check(tp_srtt_ms(a.ep, OPENED, &ms) == -ENOTCONN && ms == 0, "none before there is one", 0);
    must(tp_connect(a.ep, OPENED, &there, 1, PORT), "connect");
    check(until(loop, &a.ups, 1) && until(loop, &b.ups, 1), "up", 0);
    if (!kernel) { /* known from the handshake; the kernel begins with the first message */
        measured(&b, "of the one that was called, at once");
    }
    check(talk(loop, &a, &b, MESSAGES), "messages", MESSAGES);
    measured(&a, "of the caller");
    measured(&b, "of the one that was called");
    tp_disconnect(a.ep, OPENED, true);
    check(tp_srtt_ms(a.ep, OPENED, &ms) == -ENOTCONN && ms == 0, "none after its end", 0);
    check(a.downs == 0, "no loss", a.downs);
    tp_close(a.ep);
    tp_close(b.ep);
    tp_free(tp);
    if (!kernel) {
        mirror_stop();
    }
    loop_free(loop);
}

int main(int argc, char **argv)
{
    kernel = argc > 1 && strcmp(argv[1], "kernel") == 0;
    case_round_trip();
    (void)printf("%s 1 - round-trip\n1..1\n", failures == 0 ? "ok" : "not ok");
    return failures == 0 ? 0 : 1;
}
