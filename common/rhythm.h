/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How to wait for a connection's next octets, judged by how the last waits went. Pure.
 *
 * To sleep and to be woken costs both ends more than a small message does. So a wait is done
 * otherwise where those before it were short: who has sent something since the last one awaits its
 * answer, or the next question, and looks for it again and again for a moment. Who has not reads a
 * stream, and leaves it to gather for a moment, so that nobody is woken for each message. After a
 * wait that was long one sleeps at once; and so for a while after a look in vain, the longer the
 * more of them there were, for where processors have other work the other end may wait for this
 * one's.
 */
#ifndef RSP_COMMON_RHYTHM_H
#define RSP_COMMON_RHYTHM_H

#include <stdbool.h>
#include <stdint.h>

#define RHYTHM_SHORT_US  60 /* a short wait lasts no longer */
#define RHYTHM_LOOK_US   30 /* then one sleeps after all */
#define RHYTHM_GATHER_US 20 /* what the kernel adds to such a sleep is more */
#define RHYTHM_STREAM    16 /* short waits in a row with nothing sent in between make a stream */
#define RHYTHM_DOUBT     7  /* 2^7 waits at most without a look */

enum rhythm_way { RHYTHM_SLEEP, RHYTHM_LOOK, RHYTHM_GATHER };

/** Begins zeroed. */
struct rhythm {
    uint8_t short_waits; /* in a row, up to RHYTHM_STREAM */
    bool sent;           /* since the last one began */
    bool looking;        /* the present one is a look */
    uint8_t doubt;       /* two more by a look in vain, one less by another, up to RHYTHM_DOUBT */
    uint8_t rest;        /* waits to go before the next look */
};

/** The program has sent a message. */
void rhythm_sent(struct rhythm *rhythm);
/**
 * How the wait that begins now is done. `alone`: there is one processor, so that nothing comes
 * while one looks. `large`: messages are so large that there is nothing to gather.
 */
enum rhythm_way rhythm_next(struct rhythm *rhythm, bool alone, bool large);
/** It has lasted so long; `came`: it ended with octets. */
void rhythm_waited(struct rhythm *rhythm, int64_t us, bool came);

#endif
