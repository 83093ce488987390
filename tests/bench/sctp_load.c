/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One load generator for whatever answers over kernel SCTP: a registrar or an echo. On one
 * association WINDOW requests are outstanding; the next one is sent when an answer has come.
 *
 *   echo SELF ADDRESS PORT MS         messages as long as a registration, then as a resolution
 *   registrar SELF ADDRESS PORT MS COUNT   registers COUNT elements in one pool (round robin), at
 *                                     this association's address, each once; then resolves that
 *                                     pool for MS; "registered" is printed after the first, and
 *                                     the second begins when a line has come on standard input
 *
 * What is printed is {"operations", "ns"} of each of the two, one line each.
 */
#include "sctp.h"

#include "common/clock.h"
#include "wire/asap.h"

#define WINDOW 64
#define POOL   "bench"
#define FIRST  0x10000u

struct load {
    int fd;
    bool echo;
    struct sockaddr_in to;
    struct ip_address self;
    struct asap_message msg;
    uint8_t octets[512];
    size_t len;
};

static void encode(struct load *l)
{
    int len = asap_encode(&l->msg, l->octets, sizeof(l->octets));
    NEED(len > 0);
    l->len = (size_t)len;
}

static void begin(struct load *l, enum asap_type type)
{
    asap_message_init(&l->msg, type);
    l->msg.has_handle = true;
    l->msg.handle = (struct pool_handle){.octets = (const uint8_t *)POOL, .len = sizeof(POOL) - 1};
}

static void registration(struct load *l, uint32_t i)
{
    begin(l, ASAP_REGISTRATION);
    l->msg.element_count = 1;
    l->msg.elements[0] = (struct pool_element){.pe_id = FIRST + i,
                                               .registration_life = 3600000,
                                               .policy = {.type = POLICY_RR},
                                               .user = {.protocol = TRANSPORT_TCP,
                                                        .port = (uint16_t)(1 + i % 65535),
                                                        .address_count = 1,
                                                        .addresses = &l->self}};
    encode(l);
}

static void resolution(struct load *l)
{
    begin(l, ASAP_HANDLE_RESOLUTION);
    encode(l);
}

static void request(const struct load *l)
{
    struct sockaddr_in to = l->to;
    ssize_t n = sctp_sendmsg(l->fd, l->octets, l->len, (struct sockaddr *)&to, sizeof(to),
                             htonl(ASAP_PPID), 0, 0, 0, 0);
    NEED(n == (ssize_t)l->len);
}

/** The next answer; keep-alives and what else a registrar says unasked is passed over. */
static void answer(const struct load *l, uint8_t type)
{
    uint8_t octets[65536];
    for (;;) {
        ssize_t n = recv(l->fd, octets, sizeof(octets), 0);
        NEED(n >= 4);
        if (l->echo || octets[0] == type) {
            NEED(l->echo || type != ASAP_REGISTRATION_RESPONSE || (octets[1] & ASAP_FLAG) == 0);
            /* A refused resolution is a short one: handle and cause. */
            NEED(l->echo || type != ASAP_HANDLE_RESOLUTION_RESPONSE || n > 48);
            return;
        }
    }
}

/** `count` requests, or for `ms` when that is not 0. */
static void run(struct load *l, bool registers, uint32_t count, long ms)
{
    uint8_t type = registers ? ASAP_REGISTRATION_RESPONSE : ASAP_HANDLE_RESOLUTION_RESPONSE;
    uint32_t sent = 0;
    uint32_t done = 0;
    int64_t start = now_ns();
    int64_t end = start + (int64_t)ms * 1000000;
    bool more = true;
    while (more || done < sent) {
        while (more && sent - done < WINDOW) {
            if (registers) {
                registration(l, sent);
            }
            request(l);
            sent++;
            more = ms > 0 ? now_ns() < end : sent < count;
        }
        answer(l, type);
        done++;
    }
    printf("{\"operations\": %u, \"ns\": %lld}\n", done, (long long)(now_ns() - start));
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static struct load l;
    char line[16];
    NEED(argc == 6 || argc == 7);
    l.echo = strcmp(argv[1], "echo") == 0;
    struct sockaddr_in self = ipv4(argv[2], "0");
    NEED(l.echo == (argc == 6) && ip_address_parse(argv[2], &l.self) == 0);
    l.to = ipv4(argv[3], argv[4]);
    long ms = number(argv[5]);
    l.fd = sctp_open();
    NEED(bind(l.fd, (struct sockaddr *)&self, sizeof(self)) == 0);
    run(&l, true, l.echo ? 0 : (uint32_t)number(argv[6]), l.echo ? ms : 0);
    NEED(l.echo || fgets(line, sizeof(line), stdin) != NULL);
    resolution(&l);
    run(&l, false, 0, ms);
    return 0;
}
