/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sctp-flood ADDRESS SCTP-PORT UDP-PORT SECONDS LINES MESSAGES HEX OFFSET [PPID]: says HEX to a
 * registrar again and again, as fast as it goes, over so many associations; one that is ended is
 * opened anew. PPID is ASAP's (11) without the argument.
 * After MESSAGES messages (0: never) an association is closed and another one opened. With OFFSET
 * >= 0 a number that is counted up is put there (4 octets, network order). Prints "sent N opened N
 * ended N" in the end.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/assoc.h"

#define ASAP        11
#define MOST        4096
#define LINES_MAX   64
#define BURST       64
#define FIRST_ASSOC (UINT64_C(1) << 62)

/** One socket with one association. */
struct line {
    struct tp_endpoint *ep;
    uint64_t assoc;
    bool opening, up;
    unsigned long said;
};

struct flood {
    struct loop *loop;
    struct tp *tp;
    struct ip_address peer;
    uint16_t port;
    struct line lines[LINES_MAX];
    unsigned line_count;
    uint64_t last_assoc;
    uint8_t octets[MOST];
    size_t len;
    long offset;
    uint32_t ppid, counter;
    unsigned long each, sent, opened, ended;
};

static struct flood flood;

static void on_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                  uint16_t port)
{
    struct line *line = ctx;
    (void)peers;
    (void)count;
    (void)port;
    if (assoc >= FIRST_ASSOC) { /* else the registrar wants something: nobody answers */
        line->opening = false;
        line->up = true;
        line->said = 0;
        flood.opened++;
    }
}

static void on_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    struct line *line = ctx;
    (void)reason;
    if (assoc >= FIRST_ASSOC) {
        flood.ended += line->up;
        line->opening = line->up = false;
    }
}

static void on_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets, size_t len)
{
    (void)ctx;
    (void)assoc;
    (void)ppid;
    (void)octets;
    (void)len;
}

static const struct tp_callbacks callbacks = {.up = on_up, .down = on_down, .message = on_message};

static bool say(struct line *line)
{
    if (flood.offset >= 0 && (size_t)flood.offset + 4 <= flood.len) {
        flood.counter++;
        for (int i = 0; i < 4; i++) {
            flood.octets[flood.offset + i] = (uint8_t)(flood.counter >> (24 - 8 * i));
        }
    }
    bool sent = tp_send(line->ep, line->assoc, flood.ppid, flood.octets, flood.len) == 0;
    flood.sent += sent;
    line->said += sent;
    return sent;
}

/** What one line does next. */
static void go_on(struct line *line)
{
    if (line->up && flood.each > 0 && line->said >= flood.each) {
        tp_close(line->ep); /* its association is gone, without a word to us */
        line->ep = NULL;
        line->up = false;
    }
    if (line->ep == NULL && tp_open(flood.tp, NULL, 0, 0, &callbacks, line, &line->ep) != 0) {
        line->ep = NULL;
        return;
    }
    if (!line->up && !line->opening) {
        line->assoc = FIRST_ASSOC + ++flood.last_assoc;
        line->opening = tp_connect(line->ep, line->assoc, &flood.peer, 1, flood.port) == 0;
    }
    for (int i = 0; i < BURST && line->up && (flood.each == 0 || line->said < flood.each); i++) {
        if (!say(line)) {
            break; /* more would only wait here */
        }
    }
}

/** Octets of a string of hexadecimal digits; -1: it is none, or too long. */
static int hex(const char *text, uint8_t *ret, size_t room)
{
    size_t len = 0;
    unsigned octet;
    for (; isxdigit((unsigned char)text[0]) && sscanf(text, "%2x", &octet) == 1; text += 2) {
        if (len >= room || !isxdigit((unsigned char)text[1])) {
            return -1;
        }
        ret[len++] = (uint8_t)octet;
    }
    return (int)len;
}

static bool read_arguments(int argc, char **argv, struct tp_config *config, double *ret_seconds)
{
    int len = argc == 9 || argc == 10 ? hex(argv[7], flood.octets, sizeof(flood.octets)) : -1;
    if (len <= 0 || ip_address_parse(argv[1], &flood.peer) != 0) {
        (void)fprintf(stderr,
                      "%s: ADDRESS SCTP-PORT UDP-PORT SECONDS LINES MESSAGES HEX OFFSET [PPID]\n",
                      argv[0]);
        return false;
    }
    flood.len = (size_t)len;
    flood.port = (uint16_t)strtoul(argv[2], NULL, 10);
    config->udp_port = (uint16_t)strtoul(argv[3], NULL, 10);
    *ret_seconds = strtod(argv[4], NULL);
    flood.line_count = (unsigned)strtoul(argv[5], NULL, 10);
    flood.line_count = flood.line_count < LINES_MAX ? flood.line_count : LINES_MAX;
    flood.each = strtoul(argv[6], NULL, 10);
    flood.offset = strtol(argv[8], NULL, 10);
    flood.ppid = argc == 10 ? (uint32_t)strtoul(argv[9], NULL, 10) : ASAP;
    return true;
}

int main(int argc, char **argv)
{
    struct tp_config config;
    double seconds;
    char error[256] = "out of memory";
    tp_config_default(&config);
    if (!read_arguments(argc, argv, &config, &seconds)) {
        return 2;
    }
    if (loop_new(&flood.loop) != 0 ||
        tp_new(flood.loop, &config, &flood.tp, error, sizeof(error)) != 0) {
        (void)fprintf(stderr, "%s: %s\n", argv[0], error);
        return 2;
    }
    struct tm_us end = tm_add_ms(loop_now(flood.loop), (int64_t)(seconds * 1000));
    while (!tm_due(end, loop_now(flood.loop)) && loop_step(flood.loop, 1) >= 0) {
        for (unsigned i = 0; i < flood.line_count; i++) {
            go_on(&flood.lines[i]);
        }
    }
    (void)printf("sent %lu opened %lu ended %lu\n", flood.sent, flood.opened, flood.ended);
    for (unsigned i = 0; i < flood.line_count; i++) {
        tp_close(flood.lines[i].ep);
    }
    tp_free(flood.tp);
    loop_free(flood.loop);
    return 0;
}
