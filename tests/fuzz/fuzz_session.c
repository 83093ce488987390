/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a hostile user or element sends on a session over TCP: the octets go through a socket into a
 * channel, whose control messages are read. Octet 0 says how large the reader's buffer is.
 */
#include "tests/fuzz/fuzz.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "librsp/channel.h"
#include "librsp/control.h"

#define INPUT_MAX   65536
#define MESSAGE_MAX 100000

static void read_control(const struct channel_in *in)
{
    struct control c = {.kind = CONTROL_NOTHING};
    MUST(in->control_len > 0 && in->control_len <= CONTROL_MAX);
    if (control_read(in->control, in->control_len, &c) == 0 &&
        (c.kind == CONTROL_COOKIE || c.kind == CONTROL_COOKIE_ECHO)) {
        MUST(c.cookie_len > 0);
        MUST(c.cookie >= in->control && c.cookie + c.cookie_len <= in->control + in->control_len);
    }
    MUST(c.kind != CONTROL_CARD || c.card_count <= CONTROL_CARD_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t buffer[4096];
    int ends[2];
    size_t total = 0;
    if (size < 2 || size > INPUT_MAX ||
        socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) != 0) {
        return 0;
    }
    size_t room = (size_t)data[0] * 16 + 1;
    struct channel ch;
    channel_init(&ch);
    ch.fd = ends[0];
    ch.protocol = TRANSPORT_TCP;
    ch.message_max = MESSAGE_MAX;
    if (send(ends[1], data + 1, size - 1, MSG_DONTWAIT) == (ssize_t)(size - 1)) {
        (void)close(ends[1]);
        for (;;) {
            struct channel_in in;
            ssize_t n =
                channel_recv(&ch, buffer, room < sizeof(buffer) ? room : sizeof(buffer), &in);
            if (n > 0) {
                total += (size_t)n;
                MUST((size_t)n <= sizeof(buffer));
                MUST(total < size);
            } else if (n == 0 && in.kind == CHANNEL_CONTROL) {
                read_control(&in);
            } else {
                MUST(n != -EAGAIN); /* the other end is closed */
                break;
            }
            (void)channel_ready(&ch);
        }
    } else {
        (void)close(ends[1]);
    }
    channel_close(&ch, false);
    return 0;
}
