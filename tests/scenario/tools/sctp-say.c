/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sctp-say ADDRESS SCTP-PORT UDP-PORT FENCE MARK: says to a registrar what nobody should.
 *
 * Each line of the input is "PPID HEX": a message that is sent as it is, followed by FENCE (HEX),
 * an honest request whose answer has MARK (HEX) in it. One line is printed for each message: "N
 * answered TYPE" (first octet of what came before the fence's answer), "N ignored", or "N closed"
 * when the peer ended the association; the next message opens another one. The exit status is 1 as
 * soon as the peer neither answers nor closes for 5 s.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "transport/assoc.h"

#define ASAP    11
#define WAIT_MS 5000
#define MOST    70000

struct talk {
    struct loop *loop;
    struct tp_endpoint *ep;
    uint64_t assoc;
    bool up, closed, fenced, answered;
    uint8_t type;
    uint8_t fence[256], mark[256];
    size_t fence_len, mark_len;
};

static void on_up(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
                  uint16_t port)
{
    struct talk *t = ctx;
    (void)peers;
    (void)count;
    (void)port;
    t->up = t->up || assoc == t->assoc;
}

static void on_down(void *ctx, uint64_t assoc, enum tp_down reason)
{
    struct talk *t = ctx;
    (void)reason;
    if (assoc == t->assoc) {
        t->closed = true;
        t->up = false;
    }
}

static void on_message(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets, size_t len)
{
    struct talk *t = ctx;
    if (assoc != t->assoc || ppid != ASAP) {
        return;
    }
    if (memmem(octets, len, t->mark, t->mark_len) != NULL) {
        t->fenced = true;
    } else if (!t->answered && len > 0) {
        t->answered = true;
        t->type = octets[0];
    }
}

/** False: time is up. */
static bool until(struct talk *t, const bool *one, const bool *other)
{
    struct tm_us end = tm_add_ms(loop_now(t->loop), WAIT_MS);
    while (!*one && !*other) {
        if (loop_step(t->loop, 100) < 0 || tm_due(end, loop_now(t->loop))) {
            return false;
        }
    }
    return true;
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

static bool open_assoc(struct talk *t, const struct ip_address *peer, uint16_t port)
{
    static uint64_t last = UINT64_C(1) << 62;
    if (t->up) {
        return true;
    }
    t->closed = false;
    t->assoc = ++last;
    return tp_connect(t->ep, t->assoc, peer, 1, port) == 0 && until(t, &t->up, &t->closed) && t->up;
}

/** One line of input; false: the peer is stuck. */
static bool say(struct talk *t, unsigned n, uint32_t ppid, const uint8_t *octets, size_t len)
{
    t->fenced = t->answered = false;
    if (tp_send(t->ep, t->assoc, ppid, octets, len) != 0 ||
        tp_send(t->ep, t->assoc, ASAP, t->fence, t->fence_len) != 0 ||
        !until(t, &t->fenced, &t->closed)) {
        return false;
    }
    if (t->closed) {
        (void)printf("%u closed\n", n);
    } else if (t->answered) {
        (void)printf("%u answered %u\n", n, t->type);
    } else {
        (void)printf("%u ignored\n", n);
    }
    return true;
}

static int talk(struct talk *t, const struct ip_address *peer, uint16_t port)
{
    static char line[2 * MOST + 32];
    static uint8_t octets[MOST];
    for (unsigned n = 1; fgets(line, sizeof(line), stdin) != NULL; n++) {
        char *text;
        uint32_t ppid = (uint32_t)strtoul(line, &text, 10);
        int len = hex(text + strspn(text, " "), octets, sizeof(octets));
        if (len <= 0) {
            (void)fprintf(stderr, "line %u is not PPID HEX\n", n);
            return 2;
        }
        if (!open_assoc(t, peer, port) || !say(t, n, ppid, octets, (size_t)len)) {
            (void)printf("%u stuck\n", n);
            return 1;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    static const struct tp_callbacks CALLBACKS = {
        .up = on_up, .down = on_down, .message = on_message};
    static struct talk t;
    struct tp_config config;
    struct tp *tp = NULL;
    struct ip_address peer;
    char error[256] = "wrong arguments";
    tp_config_default(&config);
    if (argc != 6 || ip_address_parse(argv[1], &peer) != 0) {
        (void)fprintf(stderr, "%s: ADDRESS SCTP-PORT UDP-PORT FENCE MARK\n", argv[0]);
        return 2;
    }
    int fence = hex(argv[4], t.fence, sizeof(t.fence));
    int mark = hex(argv[5], t.mark, sizeof(t.mark));
    config.udp_port = (uint16_t)strtoul(argv[3], NULL, 10);
    if (fence <= 0 || mark <= 0 || loop_new(&t.loop) != 0 ||
        tp_new(t.loop, &config, &tp, error, sizeof(error)) != 0 ||
        tp_open(tp, NULL, 0, 0, &CALLBACKS, &t, &t.ep) != 0) {
        (void)fprintf(stderr, "%s: %s\n", argv[0], error);
        return 2;
    }
    t.fence_len = (size_t)fence;
    t.mark_len = (size_t)mark;
    int r = talk(&t, &peer, (uint16_t)strtoul(argv[2], NULL, 10));
    tp_free(tp);
    loop_free(t.loop);
    return r;
}
