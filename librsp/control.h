/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * ASAP's control channel between a pool user and its element: messages with PPID 11 on the data's
 * own connection (RFC 5352 section 2.2.11 to 2.2.14). Pure; allocates the room that wire/asap.h
 * needs while a message is read or written.
 *
 * Besides COOKIE, COOKIE_ECHO, BUSINESS_CARD and ERROR there are two messages of our own, which
 * receivers that do not know them drop without a word. END, type 0x3f: the session is over, as
 * against a connection that ended because its process did. COVERS, type 0x3e, with a parameter
 * 0x803e of one u32: so many of the other end's messages on this connection are covered by the
 * cookie that follows.
 */
#ifndef RSP_LIBRSP_CONTROL_H
#define RSP_LIBRSP_CONTROL_H

#include "librsp/lp_client.h"

#define CONTROL_PPID       11
#define CONTROL_MAX        65535
#define CONTROL_COOKIE_MAX 65520
#define CONTROL_CARD_MAX   4 /* elements of a business card that count */

enum control_kind {
    CONTROL_NOTHING, /* to be passed over: unknown, or nothing in it for us */
    CONTROL_COOKIE,
    CONTROL_COOKIE_ECHO,
    CONTROL_CARD,
    CONTROL_ERROR,
    CONTROL_END,
    CONTROL_COVERS
};

#define CONTROL_COVERS_LEN 12 /* octets of COVERS */

struct control {
    enum control_kind kind;
    const uint8_t *cookie; /* COOKIE, COOKIE_ECHO; borrowed from the message */
    uint16_t cookie_len;
    struct pool_handle pool; /* CARD: whose elements, in order of preference; borrowed, too */
    uint8_t card_count;
    struct lp_pe card[CONTROL_CARD_MAX];
    uint16_t cause;  /* ERROR: its first cause */
    uint32_t covers; /* COVERS: messages */
};

/** Reads a whole message. 0; -EPROTO: malformed, -ENOMEM. */
int control_read(const void *octets, size_t len, struct control *ret);

/** Writes a COOKIE or COOKIE_ECHO; length, or -EMSGSIZE, -EINVAL, -ENOMEM. */
int control_write_cookie(bool echo, const void *cookie, size_t len, void *out, size_t size);
/** Writes an ERROR with one cause. */
int control_write_error(uint16_t cause, void *out, size_t size);
int control_write_end(void *out, size_t size);
int control_write_covers(uint32_t messages, void *out, size_t size);
/** Writes a BUSINESS_CARD of elements as a resolution has given them. */
int control_write_card(struct pool_handle handle, const struct pool_element *elements, size_t count,
                       void *out, size_t size);

#endif
