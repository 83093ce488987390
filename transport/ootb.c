/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Stateless answers to SCTP packets out of the blue; see ootb.h. */
#include "transport/ootb.h"

#include <string.h>
#include <sys/socket.h>
#include <usrsctp.h>

#define HEADER_BYTES 12 /* ports, verification tag, checksum */

static uint32_t checksum(const uint8_t *packet, size_t len)
{
    /* The checksum is made with zeros in its own place. The library wants one piece, and to write:
     * packets of this kind are small, larger ones go unanswered. */
    uint8_t copy[2048];
    if (len > sizeof(copy)) {
        return 0;
    }
    memcpy(copy, packet, len);
    memset(copy + 8, 0, 4);
    return usrsctp_crc32c(copy, len);
}

/* Which chunk answers, or -1 (RFC 9260 §8.4, rules 2 to 8). */
static int answer_to(const uint8_t *packet, size_t len)
{
    int answer = SCTP_ABORT_ASSOCIATION;
    for (size_t at = HEADER_BYTES; at + 4 <= len;) {
        size_t chunk = (size_t)(packet[at + 2] << 8 | packet[at + 3]);
        switch (packet[at]) {
        case SCTP_ABORT_ASSOCIATION:
        case SCTP_SHUTDOWN_COMPLETE:
        case SCTP_COOKIE_ACK:
        case SCTP_OPERATION_ERROR:
        case SCTP_INITIATION_ACK:
            return -1;
        case SCTP_SHUTDOWN_ACK:
            answer = SCTP_SHUTDOWN_COMPLETE;
            break;
        default:
            break;
        }
        if (chunk < 4) {
            return -1;
        }
        at += (chunk + 3) & ~(size_t)3;
    }
    return answer;
}

bool ootb_reply(const uint8_t *packet, size_t len, uint8_t ret[OOTB_REPLY_BYTES])
{
    uint32_t crc;
    if (len < OOTB_REPLY_BYTES) {
        return false;
    }
    int answer = answer_to(packet, len);
    memcpy(&crc, packet + 8, sizeof(crc));
    if (answer < 0 || crc != checksum(packet, len)) {
        return false;
    }
    memset(ret, 0, OOTB_REPLY_BYTES);
    memcpy(ret, packet + 2, 2); /* ports change places */
    memcpy(ret + 2, packet, 2);
    memcpy(ret + 4, packet + 4, 4); /* their tag, which the T bit says */
    ret[12] = (uint8_t)answer;
    ret[13] = 1;
    ret[15] = 4;
    crc = checksum(ret, OOTB_REPLY_BYTES);
    memcpy(ret + 8, &crc, sizeof(crc));
    return true;
}
