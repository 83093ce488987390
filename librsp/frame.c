/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The framing over TCP; see frame.h. */
#include "librsp/frame.h"

#include <errno.h>

static uint16_t get16(const uint8_t *p)
{
    return (uint16_t)(p[0] << 8 | p[1]);
}

static uint32_t get32(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

static void put32(uint8_t *p, uint32_t value)
{
    put16(p, value >> 16);
    put16(p + 2, value & 0xffff);
}

static int read_data(const uint8_t *octets, size_t len, uint16_t chunk, struct frame *f)
{
    if (chunk < FRAME_DATA_LEN) {
        return -EPROTO;
    }
    if (len < FRAME_DATA_LEN) {
        return -EAGAIN;
    }
    f->more = (octets[1] & FRAME_MORE) != 0;
    f->unordered = (octets[1] & FRAME_UNORDERED) != 0;
    f->stream = get16(octets + 4);
    f->ppid = get32(octets + 8);
    f->head_len = FRAME_DATA_LEN;
    f->left = (uint16_t)(chunk - FRAME_DATA_LEN);
    f->padding = (uint8_t)frame_padding(f->left);
    return f->left == 0 ? -EPROTO : 0; /* an empty message cannot be shown */
}

int frame_read(const uint8_t *octets, size_t len, bool first, struct frame *ret)
{
    struct frame f = {.type = FRAME_DATA};
    if (len < FRAME_HEADER_LEN) {
        return -EAGAIN;
    }
    uint16_t chunk = get16(octets + 2);
    if ((octets[0] == FRAME_INIT) != first || chunk < FRAME_HEADER_LEN) {
        return -EPROTO;
    }
    int r = 0;
    f.type = (enum frame_type)octets[0];
    switch (octets[0]) {
    case FRAME_DATA:
        r = read_data(octets, len, chunk, &f);
        break;
    case FRAME_INIT:
        r = chunk == FRAME_INIT_LEN && octets[1] == FRAME_NO_TSN ? 0 : -EPROTO;
        f.head_len = FRAME_INIT_LEN;
        break;
    case FRAME_ACK:
        r = chunk != FRAME_ACK_LEN ? -EPROTO : len < FRAME_ACK_LEN ? -EAGAIN : 0;
        f.head_len = FRAME_ACK_LEN;
        f.delivered = r == 0 ? get32(octets + 4) : 0;
        break;
    case FRAME_HEARTBEAT:
    case FRAME_HEARTBEAT_ACK:
        r = chunk > FRAME_VALUE_MAX ? -EPROTO : 0;
        f.head_len = FRAME_HEADER_LEN;
        f.left = (uint16_t)(chunk - FRAME_HEADER_LEN);
        f.padding = (uint8_t)frame_padding(f.left);
        break;
    default:
        r = -EPROTO;
        break;
    }
    if (r == 0) {
        *ret = f;
    }
    return r;
}

size_t frame_put_init(uint8_t out[FRAME_INIT_LEN])
{
    out[0] = FRAME_INIT;
    out[1] = FRAME_NO_TSN;
    put16(out + 2, FRAME_INIT_LEN);
    return FRAME_INIT_LEN;
}

size_t frame_put_ack(uint8_t out[FRAME_ACK_LEN], uint32_t delivered)
{
    out[0] = FRAME_ACK;
    out[1] = 0;
    put16(out + 2, FRAME_ACK_LEN);
    put32(out + 4, delivered);
    return FRAME_ACK_LEN;
}

size_t frame_put_data(uint8_t out[FRAME_DATA_LEN], uint16_t stream, uint16_t sequence,
                      uint32_t ppid, bool unordered, bool more, size_t len)
{
    out[0] = FRAME_DATA;
    out[1] = (uint8_t)((unordered ? FRAME_UNORDERED : 0) | (more ? FRAME_MORE : 0));
    put16(out + 2, FRAME_DATA_LEN + len);
    put16(out + 4, stream);
    put16(out + 6, sequence);
    put32(out + 8, ppid);
    return FRAME_DATA_LEN;
}
