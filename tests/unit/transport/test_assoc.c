/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Associations between two processes, each with a stack of its own (T-16, T-17):
 *
 *   test_assoc OURS [THEIRS] [CASE...]  OURS, THEIRS: kernel | usrsctp; TAP on standard output
 *
 * usrsctp on both sides runs on any host, on addresses of 127/8 made from the process id. kernel
 * needs SCTP in the kernel; a mixed pair needs root, makes a network namespace for the other side,
 * and switches the kernel's UDP encapsulation on: for the lab guest only.
 */
#include "transport/assoc.h"

#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PORT    3863
#define PPID    11
#define OPENED  (UINT64_C(1) << 63 | 7)
#define MIDSIZE 61440

static enum tp_backend ours, theirs;
static struct ip_address our_address, their_address, nobodys_address;

static void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void die(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fputs("# ", stdout);
    (void)vprintf(format, args);
    (void)fputs("\n", stdout);
    va_end(args);
    (void)fflush(stdout);
    _exit(1);
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            die("line %d: %s", __LINE__, #condition);                                              \
        }                                                                                          \
    } while (0)

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- one side ---- */

struct side {
    struct loop *loop;
    struct tp *tp;
    struct tp_endpoint *ep;
    bool echo;
    int report; /* pipe: one octet per event; -1: none */
    uint64_t assoc;
    unsigned ups, downs, messages, send_failures;
    enum tp_down reason;
    struct ip_address peer;
    uint16_t peer_port;
    uint32_t ppid;
    size_t last_len;
    uint32_t expected; /* next serial number in what is echoed to us */
    bool close_on_message;
    unsigned paths; /* associations whose path was seen */
};

static void report(struct side *s, char what)
{
    if (s->report >= 0) {
        (void)!write(s->report, &what, 1);
    }
}

static void on_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                  uint16_t port)
{
    struct side *s = ctx;
    struct tp_path path;
    s->ups++;
    s->assoc = assoc;
    if (tp_path(s->ep, assoc, &path) == 0) { /* else its end waits behind this event */
        s->paths++;
        CHECK(path.encapsulated == (ours != theirs || ours == TP_USRSCTP));
    }
    CHECK(tp_path(s->ep, assoc + 1, &path) == -ENOTCONN);
    s->peer = count > 0 ? peers[0] : (struct ip_address){0};
    s->peer_port = port;
    report(s, 'U');
}

static void on_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    struct side *s = ctx;
    (void)assoc;
    s->downs++;
    s->reason = reason;
    report(s, reason == TP_DOWN_LOST ? 'L' : reason == TP_DOWN_SHUTDOWN ? 'S' : 'C');
}

static void on_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets, size_t len)
{
    struct side *s = ctx;
    s->messages++;
    s->ppid = ppid;
    s->last_len = len;
    if (s->close_on_message) {
        tp_close(s->ep);
        s->ep = NULL;
        CHECK(octets[0] == 'x'); /* still ours to read */
        return;
    }
    if (!s->echo) {
        uint32_t serial;
        if (len >= sizeof(serial)) {
            memcpy(&serial, octets, sizeof(serial));
            if (serial == s->expected) {
                s->expected++;
            }
        }
        return;
    }
    if (len == 3 && memcmp(octets, "bye", 3) == 0) {
        tp_disconnect(s->ep, assoc, false);
    } else if (len == 5 && memcmp(octets, "abort", 5) == 0) {
        tp_disconnect(s->ep, assoc, true);
    } else {
        int r = tp_send(s->ep, assoc, ppid, octets, len);
        if (r < 0 && r != -ENOBUFS && r != -ENOTCONN) {
            die("echo: %s", strerror(-r));
        }
    }
}

static void on_send_failed(void *ctx, uint64_t assoc)
{
    struct side *s = ctx;
    (void)assoc;
    s->send_failures++;
}

static const struct tp_callbacks callbacks = {on_up, on_down, on_message, on_send_failed};

static void side_start(struct side *s, enum tp_backend backend, const struct ip_address *address,
                       uint16_t port, void (*tune)(struct tp_config *))
{
    struct tp_config config;
    char error[128];
    tp_config_default(&config);
    config.backend = backend;
    config.bind = *address;
    config.encapsulate = ours != theirs;
    if (tune != NULL) {
        tune(&config);
    }
    CHECK(loop_new(&s->loop) == 0);
    int r = tp_new(s->loop, &config, &s->tp, error, sizeof(error));
    if (r < 0) {
        die("tp_new: %s (%s)", strerror(-r), error);
    }
    CHECK(tp_backend(s->tp) == backend);
    r = tp_open(s->tp, NULL, 0, port, &callbacks, s, &s->ep);
    if (r < 0) {
        die("tp_open: %s", strerror(-r));
    }
}

static void side_stop(struct side *s)
{
    int64_t begin = now_ms();
    tp_close(s->ep);
    tp_free(s->tp);
    CHECK(now_ms() - begin < 1000);
    loop_free(s->loop);
}

/* Runs the loop until *what ≥ count; false after `ms`. */
static bool until(struct side *s, const unsigned *what, unsigned count, int ms)
{
    int64_t end = now_ms() + ms;
    while (*what < count) {
        int64_t left = end - now_ms();
        if (left <= 0) {
            return false;
        }
        CHECK(loop_step(s->loop, (int)left) >= 0);
    }
    return true;
}

/* ---- the other process ---- */

struct other {
    pid_t pid;
    int events;
    int go;
};

static void shell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void shell(const char *format, ...)
{
    char command[256];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    if (system(command) != 0) { /* NOLINT(cert-env33-c): a test's own commands */
        die("failed: %s", command);
    }
}

static void enable_encapsulation(void)
{
    shell("sysctl -qw net.sctp.udp_port=9899");
}

static void other_run(int report_fd, int go)
{
    static struct side s;
    char octet;
    s.echo = true;
    s.report = report_fd;
    if (read(go, &octet, 1) != 1) {
        _exit(1); /* not needed any more */
    }
    if (ours != theirs) {
        CHECK(unshare(CLONE_NEWNET) == 0);
        report(&s, 'N');
        CHECK(read(go, &octet, 1) == 1); /* until we have our end of the link */
        shell("ip link set lo up");
        shell("ip addr add 10.7.0.2/24 dev rsptest1 && ip link set rsptest1 up");
        if (theirs == TP_KERNEL) {
            enable_encapsulation();
        }
    }
    side_start(&s, theirs, &their_address, PORT, NULL);
    report(&s, 'R');
    (void)loop_run(s.loop);
    _exit(1);
}

static bool event(const struct other *o, char want, int ms)
{
    (void)ms; /* alarm() ends a test that waits for ever */
    char got = 0;
    while (read(o->events, &got, 1) == 1) {
        if (got == want) {
            return true;
        }
    }
    return false;
}

/* A process that waits to be the other side: to be called before we have a stack. */
static struct other other_fork(void)
{
    int events[2];
    int go[2];
    CHECK(pipe(events) == 0 && pipe(go) == 0);
    struct other o = {.pid = fork(), .events = events[0], .go = go[1]};
    CHECK(o.pid >= 0);
    if (o.pid == 0) {
        (void)close(events[0]);
        (void)close(go[1]);
        other_run(events[1], go[0]);
    }
    (void)close(events[1]);
    (void)close(go[0]);
    return o;
}

static void other_go(const struct other *o)
{
    CHECK(write(o->go, "g", 1) == 1);
    if (ours != theirs) {
        CHECK(event(o, 'N', 5000));
        shell("ip link del rsptest0 2>/dev/null || true"); /* of an earlier case */
        shell("ip link add rsptest0 type veth peer name rsptest1 netns %d", (int)o->pid);
        shell("ip addr add 10.7.0.1/24 dev rsptest0 && ip link set rsptest0 up");
        if (ours == TP_KERNEL) {
            enable_encapsulation();
        }
        CHECK(write(o->go, "g", 1) == 1);
    }
    CHECK(event(o, 'R', 5000));
}

static struct other other_start(void)
{
    struct other o = other_fork();
    other_go(&o);
    return o;
}

static void other_stop(const struct other *o)
{
    (void)kill(o->pid, SIGKILL);
    CHECK(waitpid(o->pid, NULL, 0) == o->pid);
    (void)close(o->events);
    (void)close(o->go);
}

static void pair_start(struct side *s, struct other *o)
{
    *o = other_start();
    *s = (struct side){.report = -1};
    side_start(s, ours, &our_address, 0, NULL);
    CHECK(tp_connect(s->ep, OPENED, &their_address, 1, PORT) == 0);
    CHECK(until(s, &s->ups, 1, 3000) && s->paths == 1);
    CHECK(event(o, 'U', 3000));
}

/* ---- the cases ---- */

/* asap: over SCTP, one message is one user message, with its PPID. */
static void case_exchange(void)
{
    static uint8_t big[MIDSIZE];
    struct side s;
    struct other o;
    uint32_t sent = 0;
    struct tp_stats stats;
    pair_start(&s, &o);
    CHECK(s.assoc == OPENED);
    CHECK(ip_address_equal(&s.peer, &their_address));
    CHECK(s.peer_port == PORT);
    int64_t begin = now_ms();
    while (s.messages < 20000) {
        uint8_t message[64] = {0};
        while (sent < 20000 && sent < s.messages + 64) {
            memcpy(message, &sent, sizeof(sent));
            CHECK(tp_send(s.ep, OPENED, PPID, message, sizeof(message)) == 0);
            sent++;
        }
        CHECK(until(&s, &s.messages, s.messages + 1, 5000));
        CHECK(s.ppid == PPID && s.last_len == sizeof(message));
    }
    (void)printf("# 20000 echoes in %d ms\n", (int)(now_ms() - begin));
    CHECK(s.expected == 20000); /* all, in order */
    memset(big, 0xee, sizeof(big));
    CHECK(tp_send(s.ep, OPENED, PPID, big, sizeof(big)) == 0);
    CHECK(until(&s, &s.messages, 20001, 5000));
    CHECK(s.last_len == sizeof(big));
    tp_get_stats(s.tp, &stats);
    CHECK(stats.associations == 1 && stats.messages_in == 20001 && stats.messages_out == 20001);
    CHECK(stats.failed_sends == 0 && stats.malformed == 0);
    CHECK(tp_send(s.ep, OPENED + 1, PPID, big, 1) == -ENOTCONN);
    CHECK(tp_send(s.ep, OPENED, PPID, big, 0) == -EMSGSIZE);
    side_stop(&s);
    CHECK(event(&o, 'L', 1000)); /* our end aborted it */
    other_stop(&o);
}

static void case_orderly(void)
{
    struct side s;
    struct other o;
    pair_start(&s, &o);
    for (int i = 0; i < 100; i++) {
        CHECK(tp_send(s.ep, OPENED, PPID, "last words", 10) == 0);
    }
    tp_disconnect(s.ep, OPENED, false);
    CHECK(tp_send(s.ep, OPENED, PPID, "x", 1) == -ENOTCONN);
    tp_disconnect(s.ep, OPENED, false);
    unsigned never = 0;
    CHECK(!until(&s, &never, 1, 300));
    CHECK(s.downs == 0 && s.messages == 0); /* we have left: nothing is told any more */
    CHECK(event(&o, 'S', 1000));
    /* Again, ended by the other side, first orderly and then by ABORT. */
    CHECK(tp_connect(s.ep, OPENED + 1, &their_address, 1, PORT) == 0);
    CHECK(until(&s, &s.ups, 2, 3000));
    CHECK(tp_send(s.ep, OPENED + 1, PPID, "bye", 3) == 0);
    CHECK(until(&s, &s.downs, 1, 3000));
    CHECK(s.reason == TP_DOWN_SHUTDOWN);
    CHECK(tp_connect(s.ep, OPENED + 2, &their_address, 1, PORT) == 0);
    CHECK(tp_send(s.ep, OPENED + 2, PPID, "abort", 5) == 0); /* waits for the handshake */
    CHECK(until(&s, &s.downs, 2, 3000));
    CHECK(s.ups == 3 && s.reason == TP_DOWN_LOST);
    side_stop(&s);
    other_stop(&o);
}

static void quick(struct tp_config *c)
{
    c->rto_initial_ms = 100;
    c->max_init_retrans = 1;
    c->max_init_timeout_ms = 100;
}

static void case_nobody(void)
{
    struct side s = {.report = -1};
    struct other o = other_start();
    side_start(&s, ours, &our_address, 0, quick);
    CHECK(tp_connect(s.ep, OPENED, &nobodys_address, 1, PORT) == 0);
    CHECK(tp_send(s.ep, OPENED, PPID, "x", 1) == 0);
    CHECK(until(&s, &s.downs, 1, 3000));
    CHECK(s.reason == TP_DOWN_CANT_START && s.ups == 0 && s.send_failures == 1);
    /* A port where nobody listens is refused at once. */
    CHECK(tp_connect(s.ep, OPENED + 1, &their_address, 1, PORT + 1) == 0);
    CHECK(until(&s, &s.downs, 2, 3000));
    CHECK(s.reason == TP_DOWN_CANT_START && s.ups == 0);
    /* Several addresses, the good one last. */
    struct ip_address list[2] = {nobodys_address, their_address};
    CHECK(tp_connect(s.ep, OPENED + 2, list, 2, PORT) == 0);
    CHECK(until(&s, &s.ups, 1, 5000));
    CHECK(tp_connect(s.ep, OPENED + 2, list, 2, PORT) == -EEXIST);
    CHECK(tp_connect(s.ep, OPENED + 3, &their_address, 1, PORT) == -EISCONN);
    CHECK(tp_connect(s.ep, 5, list, 2, PORT) == -EINVAL);
    /* Given up while it is being opened: no word of it any more. */
    CHECK(tp_connect(s.ep, OPENED + 4, &nobodys_address, 1, PORT) == 0);
    tp_disconnect(s.ep, OPENED + 4, false);
    unsigned never = 0;
    CHECK(!until(&s, &never, 1, 500));
    if (s.downs != 2 || s.ups != 1) {
        die("ups %u downs %u reason %d", s.ups, s.downs, (int)s.reason);
    }
    side_stop(&s);
    other_stop(&o);
}

/* The peer vanishes without a word: T-9, LAN profile. */
static void killed(bool traffic, int bound_ms)
{
    struct side s;
    struct other o;
    pair_start(&s, &o);
    if (traffic) {
        CHECK(tp_send(s.ep, OPENED, PPID, "x", 1) == 0);
        CHECK(until(&s, &s.messages, 1, 3000));
    } else {
        unsigned never = 0;
        CHECK(!until(&s, &never, 1, 700)); /* until it is really idle */
        CHECK(s.downs == 0);
    }
    CHECK(kill(o.pid, SIGKILL) == 0);
    CHECK(waitpid(o.pid, NULL, 0) == o.pid);
    int64_t begin = now_ms();
    if (traffic) {
        (void)tp_send(s.ep, OPENED, PPID, "x", 1);
    }
    CHECK(until(&s, &s.downs, 1, 20000));
    int took = (int)(now_ms() - begin);
    (void)printf("# killed, %s: noticed after %d ms\n", traffic ? "traffic" : "idle", took);
    CHECK(took <= bound_ms);
    CHECK(s.reason == TP_DOWN_LOST || theirs == TP_KERNEL);
    CHECK(tp_send(s.ep, OPENED, PPID, "x", 1) == -ENOTCONN);
    side_stop(&s);
}

static void case_killed_traffic(void)
{
    killed(true, 1500);
}

static void case_killed_idle(void)
{
    killed(false, 3000);
}

/* How often the loop wakes up within `ms`. */
static unsigned wake_ups(struct side *s, int ms)
{
    unsigned count = 0;
    int64_t end = now_ms() + ms;
    for (int64_t left = ms; left > 0; left = end - now_ms()) {
        int r = loop_step(s->loop, (int)left);
        CHECK(r >= 0);
        count += (unsigned)r;
    }
    return count;
}

/* decisions.md "Measuring": at most 12 a second with userland associations, of which the rest of a
 * daemon needs three; else none. */
static void case_idle(void)
{
    struct side s;
    struct other o;
    pair_start(&s, &o);
    CHECK(tp_send(s.ep, OPENED, PPID, "x", 1) == 0);
    CHECK(until(&s, &s.messages, 1, 3000));
    (void)wake_ups(&s, 100);
    unsigned with = wake_ups(&s, 2000);
    tp_disconnect(s.ep, OPENED, false);
    (void)wake_ups(&s, 2500); /* the stack buries it */
    unsigned without = wake_ups(&s, 500);
    (void)printf("# wake-ups: %u in 2 s with an association, %u without\n", with, without);
    CHECK(with <= (ours == TP_USRSCTP ? 20 : 0));
    CHECK(without == 0);
    side_stop(&s);
    other_stop(&o);
}

/* Killed and started again at once: told at once, not by timers. */
static void case_restarted(void)
{
    struct side s;
    struct other o;
    struct other next = other_fork();
    pair_start(&s, &o);
    other_stop(&o);
    o = next;
    other_go(&o);
    int64_t begin = now_ms();
    (void)tp_send(s.ep, OPENED, PPID, "x", 1);
    CHECK(until(&s, &s.downs, 1, 3000));
    int took = (int)(now_ms() - begin);
    (void)printf("# restarted: noticed after %d ms\n", took);
    CHECK(took < 400);
    CHECK(tp_connect(s.ep, OPENED + 1, &their_address, 1, PORT) == 0);
    CHECK(until(&s, &s.ups, 2, 3000));
    side_stop(&s);
    other_stop(&o);
}

/* A peer that takes nothing: what waits is bounded, nothing blocks, and the failure is told. */
static void case_queue(void)
{
    static uint8_t message[16384];
    struct side s;
    struct other o;
    struct tp_stats stats;
    unsigned accepted = 0;
    int r = 0;
    pair_start(&s, &o);
    CHECK(kill(o.pid, SIGSTOP) == 0);
    int64_t begin = now_ms();
    while (accepted < 10000 && (r = tp_send(s.ep, OPENED, PPID, message, sizeof(message))) == 0) {
        accepted++;
    }
    CHECK(r == -ENOBUFS);
    CHECK(now_ms() - begin < 1000);
    CHECK((size_t)accepted * sizeof(message) >= 1048576 - sizeof(message));
    CHECK((size_t)accepted * sizeof(message) <= 20 * 1048576);
    if (theirs == TP_KERNEL) { /* its kernel acknowledges for it: it comes back to life */
        CHECK(kill(o.pid, SIGCONT) == 0);
        CHECK(until(&s, &s.messages, accepted / 2, 20000));
        CHECK(s.downs == 0);
    } else {
        CHECK(until(&s, &s.downs, 1, 5000));
        CHECK(s.reason == TP_DOWN_LOST);
        CHECK(s.send_failures > 0);
        tp_get_stats(s.tp, &stats);
        CHECK(stats.failed_sends > 0 && stats.associations == 0);
    }
    side_stop(&s);
    other_stop(&o);
}

static void case_taken(void)
{
    struct side s = {.report = -1};
    struct tp_endpoint *second = NULL;
    struct tp *tp = NULL;
    struct tp_config config;
    char error[128];
    if (ours != theirs) {
        return; /* our address is there only while the other side is */
    }
    side_start(&s, ours, &our_address, PORT, NULL);
    CHECK(tp_port(s.ep) == PORT);
    CHECK(tp_open(s.tp, NULL, 0, PORT, &callbacks, &s, &second) == -EADDRINUSE);
    CHECK(tp_open(s.tp, NULL, 0, PORT + 1, &callbacks, &s, &second) == 0);
    tp_close(second);
    CHECK(tp_open(s.tp, NULL, 0, 0, &callbacks, &s, &second) == 0);
    CHECK(tp_port(second) != 0 && tp_port(second) != PORT);
    if (ours == TP_USRSCTP) {
        tp_config_default(&config);
        config.backend = TP_USRSCTP;
        config.bind = our_address;
        CHECK(tp_new(s.loop, &config, &tp, error, sizeof(error)) == -EBUSY);
        CHECK(strlen(error) > 0);
        pid_t child = fork();
        if (child == 0) { /* not using what it inherited */
            struct loop *loop;
            CHECK(setenv("EXEC", "1", 1) == 0 && loop_new(&loop) == 0);
            _exit(0);
        }
        CHECK(waitpid(child, NULL, 0) == child);
    }
    side_stop(&s); /* closes the second one, too */
    /* And once more in the same process. */
    s = (struct side){.report = -1};
    side_start(&s, ours, &our_address, PORT, NULL);
    side_stop(&s);
}

static void case_udp_taken(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9899)};
    struct tp_config config;
    struct loop *loop;
    struct tp *tp;
    char error[128];
    if (ours != TP_USRSCTP || theirs != TP_USRSCTP) {
        return;
    }
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memcpy(&at.sin_addr, our_address.octets, 4);
    CHECK(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
    tp_config_default(&config);
    config.backend = TP_USRSCTP;
    config.bind = our_address;
    CHECK(loop_new(&loop) == 0);
    CHECK(tp_new(loop, &config, &tp, error, sizeof(error)) == -EADDRINUSE);
    CHECK(strstr(error, "9899") != NULL);
    (void)close(fd);
    CHECK(tp_new(loop, &config, &tp, error, sizeof(error)) == 0);
    tp_free(tp);
    loop_free(loop);
}

static void case_close_in_callback(void)
{
    struct side s;
    struct other o;
    pair_start(&s, &o);
    s.close_on_message = true;
    for (int i = 0; i < 10; i++) {
        CHECK(tp_send(s.ep, OPENED, PPID, "x", 1) == 0);
    }
    CHECK(until(&s, &s.messages, 1, 3000));
    unsigned never = 0;
    CHECK(!until(&s, &never, 1, 100));
    CHECK(s.messages == 1 && s.downs == 0);
    CHECK(event(&o, 'L', 1000));
    side_stop(&s);
    other_stop(&o);
}

/* Rubbish at the UDP port: counted, and an association does not notice. */
static void case_rubbish(void)
{
    struct side s;
    struct other o;
    struct tp_stats stats;
    uint8_t packet[64];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9899)};
    if (ours != TP_USRSCTP || theirs != TP_USRSCTP) {
        return;
    }
    pair_start(&s, &o);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    memcpy(&at.sin_addr, our_address.octets, 4);
    srand(1); /* NOLINT: the same rubbish every time */
    for (int i = 0; i < 2000; i++) {
        size_t len = (size_t)i % sizeof(packet);
        for (size_t k = 0; k < len; k++) {
            packet[k] = (uint8_t)rand(); /* NOLINT */
        }
        if (len > 12 && i % 3 == 0) {
            packet[12] = i % 2 == 0 ? 1 : 10; /* INIT, COOKIE ECHO */
        }
        (void)sendto(fd, packet, len, 0, (struct sockaddr *)&at, sizeof(at));
        if (i % 50 == 49) {
            CHECK(tp_send(s.ep, OPENED, PPID, packet, 20) == 0);
            CHECK(until(&s, &s.messages, (unsigned)i / 50 + 1, 3000));
        }
    }
    tp_get_stats(s.tp, &stats);
    CHECK(stats.malformed > 500);
    CHECK(s.downs == 0 && s.ups == 1);
    (void)close(fd);
    side_stop(&s);
    other_stop(&o);
}

/* ---- running them ---- */

struct test_case {
    const char *name;
    void (*run)(void);
    bool timed; /* has an upper bound in real time: a busy machine gets another chance */
};

static const struct test_case cases[] = {
    {"exchange", case_exchange, false},
    {"orderly", case_orderly, false},
    {"nobody", case_nobody, false},
    {"killed-traffic", case_killed_traffic, true},
    {"killed-idle", case_killed_idle, true},
    {"restarted", case_restarted, true},
    {"idle", case_idle, true},
    {"queue", case_queue, false},
    {"taken", case_taken, false},
    {"udp-taken", case_udp_taken, false},
    {"close-in-callback", case_close_in_callback, false},
    {"rubbish", case_rubbish, false},
};
#define CASES (sizeof(cases) / sizeof(cases[0]))

static void choose_addresses(void)
{
    uint8_t a = (uint8_t)(100 + (getpid() >> 8) % 100);
    uint8_t b = (uint8_t)getpid();
    our_address = (struct ip_address){.family = IP_V4, .octets = {127, a, b, 2}};
    their_address = (struct ip_address){.family = IP_V4, .octets = {127, a, b, 3}};
    nobodys_address = (struct ip_address){.family = IP_V4, .octets = {127, a, b, 4}};
    if (ours != theirs) {
        our_address = (struct ip_address){.family = IP_V4, .octets = {10, 7, 0, 1}};
        their_address = (struct ip_address){.family = IP_V4, .octets = {10, 7, 0, 2}};
        nobodys_address = (struct ip_address){.family = IP_V4, .octets = {10, 7, 0, 3}};
    }
    if (ours == TP_KERNEL && theirs == TP_KERNEL) {
        /* One stack, one host: the guest's dummy interface, where packets vanish. All of one
         * scope, as an INIT to a global address leaves the loopback ones out, and the reverse. */
        their_address = (struct ip_address){.family = IP_V4, .octets = {10, 255, 255, 1}};
        nobodys_address = (struct ip_address){.family = IP_V4, .octets = {10, 255, 255, 77}};
    }
}

static bool run_case(const struct test_case *c)
{
    int status;
    (void)fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)alarm(60);
        c->run();
        (void)fflush(stdout);
        exit(0); /* not _exit(): leaks are looked for */
    }
    bool good =
        pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    (void)kill(-pid, SIGKILL); /* whatever a failed case left running */
    return good;
}

static enum tp_backend backend_of(const char *name)
{
    return strcmp(name, "kernel") == 0 ? TP_KERNEL : TP_USRSCTP;
}

static bool selected(const char *name, int argc, char **argv)
{
    for (int i = 3; i < argc; i++) {
        if (strcmp(argv[i], name) == 0) {
            return true;
        }
    }
    return argc <= 3;
}

int main(int argc, char **argv)
{
    bool good = true;
    unsigned number = 0;
    ours = backend_of(argc > 1 ? argv[1] : "usrsctp");
    theirs = argc > 2 ? backend_of(argv[2]) : ours;
    choose_addresses();
    (void)signal(SIGPIPE, SIG_IGN);
    for (size_t i = 0; i < CASES; i++) {
        if (selected(cases[i].name, argc, argv)) {
            bool ok = run_case(&cases[i]);
            for (int again = 0; !ok && cases[i].timed && again < 2; again++) {
                ok = run_case(&cases[i]);
            }
            (void)printf("%s %u - %s\n", ok ? "ok" : "not ok", ++number, cases[i].name);
            good = good && ok;
        }
    }
    (void)printf("1..%u\n", number);
    return good ? 0 : 1;
}
