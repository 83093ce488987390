/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Links that come, go and change, and announcements between two hosts: two network namespaces of
 * our own, joined by veth, without a default route. Needs root and iproute2, else it is skipped.
 * TAP on standard output.
 */
#include "transport/announce.h"
#include "transport/hostaddr.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)printf("# line %d: %s\n", __LINE__, #condition);                                 \
            (void)fflush(stdout);                                                                  \
            _exit(1);                                                                              \
        }                                                                                          \
    } while (0)

static struct ip_address ip(const char *text)
{
    struct ip_address a;
    CHECK(ip_address_parse(text, &a) == 0);
    return a;
}

static void shell(const char *command)
{
    if (system(command) != 0) { /* NOLINT(cert-env33-c): a test's own commands */
        (void)printf("# failed: %s\n", command);
        (void)fflush(stdout);
        _exit(1);
    }
}

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

struct heard {
    unsigned changes;
    unsigned announces;
    struct ip_address source;
    uint16_t port;
};

static void on_change(void *ctx)
{
    ((struct heard *)ctx)->changes++;
}

static void on_announce(void *ctx, const struct ip_address *source, uint16_t source_port,
                        const uint8_t *octets, size_t len)
{
    struct heard *h = ctx;
    (void)octets;
    (void)len;
    h->announces++;
    h->source = *source;
    h->port = source_port;
}

static bool has(const struct hostaddr *h, const char *text)
{
    const struct host_address *addresses;
    struct ip_address want = ip(text);
    size_t n = hostaddr_addresses(h, &addresses);
    for (size_t i = 0; i < n; i++) {
        if (ip_address_equal(&addresses[i].address, &want)) {
            return true;
        }
    }
    return false;
}

/* Until the address is there (or not); false after 5 s. */
static bool until(struct loop *loop, const struct hostaddr *h, const char *text, bool there)
{
    int64_t end = now_ms() + 5000;
    while (has(h, text) != there) {
        int64_t left = end - now_ms();
        if (left <= 0 || loop_step(loop, (int)left) < 0) {
            return false;
        }
    }
    return true;
}

/* T-23, T-25: what does not count, what changes, how often it is told. */
static void case_addresses(void)
{
    struct loop *loop;
    struct hostaddr *h;
    struct heard heard = {0};
    const struct host_link *links;
    CHECK(unshare(CLONE_NEWNET) == 0);
    shell("ip link set lo up && ip link add t0 type veth peer name t1");
    CHECK(loop_new(&loop) == 0);
    CHECK(hostaddr_new(loop, "t0", &h) == 0);
    CHECK(hostaddr_on_change(h, on_change, &heard) == 0);
    CHECK(hostaddr_links(h, &links) == 0); /* it is down */
    int64_t begin = now_ms();
    shell("ip link set t1 up; ip link set t0 up; ip addr add 10.7.1.1/24 dev t0;"
          "ip addr add 10.7.9.2/24 dev t0; ip addr add fd07::1/64 dev t0 nodad;"
          "ip addr add 10.7.1.3/24 dev t1");
    CHECK(until(loop, h, "10.7.9.2", true));
    CHECK(now_ms() - begin >= 200);
    CHECK(until(loop, h, "fd07::1", true));
    CHECK(heard.changes <= 2);
    CHECK(has(h, "10.7.1.1") && !has(h, "10.7.1.3")); /* t1 was not named */
    CHECK(hostaddr_links(h, &links) == 1 && links[0].multicast && !links[0].loopback);
    /* Tentative until nobody has answered for it; deprecated: not for new registrations. */
    shell("sysctl -qw net.ipv6.conf.t0.dad_transmits=2; ip addr add fd07::2/64 dev t0;"
          "ip addr add fd07::3/64 dev t0 nodad preferred_lft 0; ip addr del 10.7.1.1/24 dev t0");
    CHECK(until(loop, h, "fd07::2", true));
    CHECK(!has(h, "fd07::3"));
    /* Its other end down: not running, IPv4 addresses stay configured but do not count. */
    shell("ip link set t1 down");
    CHECK(until(loop, h, "10.7.9.2", false));
    CHECK(hostaddr_links(h, &links) == 0);
    shell("ip link set t1 up; ip addr replace 10.7.9.2/24 dev t0");
    CHECK(until(loop, h, "10.7.9.2", true));
    shell("ip link del t0");
    CHECK(until(loop, h, "10.7.9.2", false));
    unsigned before = heard.changes;
    hostaddr_off_change(h, on_change, &heard);
    shell("ip link add t0 type veth peer name t1 && ip link set t1 up && ip link set t0 up &&"
          "ip addr add 10.7.1.9/24 dev t0");
    CHECK(until(loop, h, "10.7.1.9", true));
    CHECK(heard.changes == before);
    hostaddr_free(h);
    loop_free(loop);
}

/* More events than the socket holds: nothing is missed. */
static void case_overrun(void)
{
    struct loop *loop;
    struct hostaddr *h;
    CHECK(unshare(CLONE_NEWNET) == 0);
    shell("ip link set lo up && ip link add t0 type veth peer name t1 && ip link set t1 up &&"
          "ip link set t0 up");
    CHECK(loop_new(&loop) == 0);
    CHECK(hostaddr_new(loop, NULL, &h) == 0);
    shell("for i in $(seq 3000); do echo addr add 10.7.2.1/24 dev t0;"
          "echo addr del 10.7.2.1/24 dev t0; done | ip -batch -;"
          "ip addr add 10.7.2.2/24 dev t0");
    CHECK(until(loop, h, "10.7.2.2", true));
    CHECK(!has(h, "10.7.2.1"));
    hostaddr_free(h);
    loop_free(loop);
}

static int cross(int to, int from)
{
    char octet = 'x';
    return write(to, &octet, 1) == 1 && read(from, &octet, 1) == 1;
}

/* The other host: announces whenever it is told to, to the group it is told. */
static void other_host(int to, int from, const char *group_text)
{
    struct loop *loop;
    struct hostaddr *h;
    struct announce *a;
    struct ip_address group = ip(group_text);
    CHECK(unshare(CLONE_NEWNET) == 0);
    CHECK(cross(to, from)); /* they put our end of the link here */
    shell("ip link set lo up; ip link set t1 up; ip addr add 10.7.3.2/24 dev t1;"
          "ip addr add fd07:3::2/64 dev t1 nodad");
    CHECK(loop_new(&loop) == 0);
    CHECK(hostaddr_new(loop, NULL, &h) == 0);
    CHECK(announce_new(loop, h, &group, 3863, 3863, NULL, NULL, &a) == 0);
    while (cross(to, from)) {
        int64_t end = now_ms() + 3000;
        while (announce_send(a, "announce", 8) < 1 && now_ms() < end) {
            (void)loop_step(loop, 50);
        }
    }
    _exit(0);
}

static bool hear(struct loop *loop, struct heard *heard, unsigned count, int ms)
{
    int64_t end = now_ms() + ms;
    while (heard->announces < count) {
        int64_t left = end - now_ms();
        if (left <= 0 || loop_step(loop, (int)left) < 0) {
            return false;
        }
    }
    return true;
}

static void between_hosts(const char *group_text)
{
    struct loop *loop;
    struct hostaddr *h;
    struct announce *a;
    struct heard heard = {0};
    struct ip_address group = ip(group_text);
    int to[2];
    int from[2];
    char command[128];
    char octet;
    CHECK(unshare(CLONE_NEWNET) == 0 && pipe(to) == 0 && pipe(from) == 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(to[1]);
        (void)close(from[0]);
        other_host(from[1], to[0], group_text);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    CHECK(read(from[0], &octet, 1) == 1);
    (void)snprintf(command, sizeof(command),
                   "ip link set lo up; ip link add t0 type veth peer name t1 netns %d", (int)pid);
    shell(command);
    CHECK(loop_new(&loop) == 0);
    CHECK(hostaddr_new(loop, NULL, &h) == 0);
    CHECK(announce_new(loop, h, &group, 3863, 3863, on_announce, &heard, &a) == 0);
    /* The link comes up after we have started: joined then (T-21). */
    shell("ip link set t0 up; ip addr add 10.7.3.1/24 dev t0; ip addr add fd07:3::1/64 dev t0"
          " nodad");
    CHECK(write(to[1], "x", 1) == 1 && read(from[0], &octet, 1) == 1);
    CHECK(until(loop, h, "10.7.3.1", true));
    CHECK(write(to[1], "x", 1) == 1 && read(from[0], &octet, 1) == 1);
    CHECK(hear(loop, &heard, 1, 3000));
    CHECK(heard.port == 3863);
    /* Our own do not come back. */
    CHECK(announce_send(a, "announce!", 9) == 1);
    CHECK(!hear(loop, &heard, 2, 100));
    /* The link goes away and a new one comes: joined again. */
    (void)snprintf(command, sizeof(command), "ip link set t0 down");
    shell(command);
    CHECK(until(loop, h, "10.7.3.1", false));
    shell("ip link set t0 up; ip addr replace 10.7.3.1/24 dev t0;"
          "ip addr replace fd07:3::1/64 dev t0 nodad");
    CHECK(until(loop, h, "10.7.3.1", true));
    unsigned before = heard.announces;
    for (int i = 0; i < 20 && heard.announces == before; i++) {
        CHECK(write(to[1], "x", 1) == 1 && read(from[0], &octet, 1) == 1);
        (void)hear(loop, &heard, before + 1, 200);
    }
    CHECK(heard.announces > before);
    CHECK(heard.source.family == group.family);
    (void)close(to[1]);
    CHECK(waitpid(pid, NULL, 0) == pid);
    announce_free(a);
    hostaddr_free(h);
    loop_free(loop);
}

static void case_announce4(void)
{
    between_hosts("239.0.0.50");
}

static void case_announce6(void)
{
    between_hosts("ff05::133");
}

static void case_announce6_link(void)
{
    between_hosts("ff02::133");
}

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } cases[] = {
        {"addresses", case_addresses},
        {"overrun", case_overrun},
        {"announce-ipv4", case_announce4},
        {"announce-ipv6-site", case_announce6},
        {"announce-ipv6-link", case_announce6_link},
    };
    bool good = true;
    pid_t probe = fork();
    int status = 0;
    if (probe == 0) {
        _exit(unshare(CLONE_NEWNET) == 0 ? 0 : 1);
    }
    if (waitpid(probe, &status, 0) != probe || status != 0) {
        (void)printf("1..0 # SKIP no network namespaces without root\n");
        return 0;
    }
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        (void)fflush(stdout);
        pid_t pid = fork();
        if (pid == 0) {
            (void)alarm(60);
            cases[i].run();
            (void)fflush(stdout);
            exit(0); /* not _exit(): leaks are looked for */
        }
        bool ok = waitpid(pid, &status, 0) == pid && status == 0;
        (void)printf("%s %zu - %s\n", ok ? "ok" : "not ok", i + 1, cases[i].name);
        good = good && ok;
    }
    (void)printf("1..%zu\n", sizeof(cases) / sizeof(cases[0]));
    return good ? 0 : 1;
}
