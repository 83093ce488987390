/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages over TCP between two of our own ends, after draft-ietf-rserpool-tcpmapping-03. A chunk
 * is: u8 type | u8 flags | u16 length, header included, padding not | value | zeros to 4 octets.
 *
 *   1 INIT   length 4, the first chunk of each direction; flags 0x01: no TSN in DATA
 *   0 DATA   [u32 TSN, unless suppressed] u16 stream | u16 sequence number | u32 PPID | user data
 *            flags 0x04: unordered; 0x01 (not in the draft): the message goes on in the next chunk
 *   3 ACK    u32: so many messages have been delivered to the application (sent before a cookie)
 *   4 HEARTBEAT, 5 HEARTBEAT-ACK: the same value back
 *
 * Only what we send ourselves is taken: INIT with flags 0x01. Pure.
 */
#ifndef RSP_LIBRSP_FRAME_H
#define RSP_LIBRSP_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_HEADER_LEN 4
#define FRAME_INIT_LEN   4
#define FRAME_DATA_LEN   12 /* DATA up to the user data */
#define FRAME_ACK_LEN    8
#define FRAME_DATA_MAX   65520 /* user data of a chunk; a multiple of 4 */
#define FRAME_VALUE_MAX  512   /* of a heartbeat */

enum frame_type {
    FRAME_DATA = 0,
    FRAME_INIT = 1,
    FRAME_ACK = 3,
    FRAME_HEARTBEAT = 4,
    FRAME_HEARTBEAT_ACK = 5
};
enum { FRAME_NO_TSN = 0x01, FRAME_MORE = 0x01, FRAME_UNORDERED = 0x04 };

/** The beginning of a chunk. */
struct frame {
    enum frame_type type;
    bool more, unordered; /* DATA */
    uint16_t stream;      /* DATA */
    uint32_t ppid;        /* DATA, host order */
    uint32_t delivered;   /* ACK */
    uint16_t head_len;    /* octets consumed by all of the above */
    uint16_t left;        /* octets that follow: user data or a heartbeat's value */
    uint8_t padding;      /* after them */
};

/**
 * Reads the beginning of a chunk. 0; -EAGAIN: more octets are needed; -EPROTO: not ours.
 * `first`: the chunk is the first one of its direction.
 */
int frame_read(const uint8_t *octets, size_t len, bool first, struct frame *ret);

size_t frame_put_init(uint8_t out[FRAME_INIT_LEN]);
size_t frame_put_ack(uint8_t out[FRAME_ACK_LEN], uint32_t delivered);
/** The octets before `len` ≤ FRAME_DATA_MAX octets of user data. */
size_t frame_put_data(uint8_t out[FRAME_DATA_LEN], uint16_t stream, uint16_t sequence,
                      uint32_t ppid, bool unordered, bool more, size_t len);
/** Zeros that follow so much data. */
static inline size_t frame_padding(size_t len)
{
    return (4 - len % 4) % 4;
}

#endif
