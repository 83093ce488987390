/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Answers to SCTP packets "out of the blue" that keep no state (RFC 9260 §8.4). */
#ifndef RSP_TRANSPORT_OOTB_H
#define RSP_TRANSPORT_OOTB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define OOTB_REPLY_BYTES 16

/**
 * The ABORT or SHUTDOWN COMPLETE (T bit set) that answers `packet`, whose first chunk is neither
 * INIT nor COOKIE ECHO. Never longer than what it answers.
 * @return false when it must not be answered: broken, wrong checksum, or an answer itself.
 */
bool ootb_reply(const uint8_t *packet, size_t len, uint8_t ret[OOTB_REPLY_BYTES]);

#endif
