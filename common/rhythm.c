/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How to wait for a connection's next octets. */
#include "common/rhythm.h"

void rhythm_sent(struct rhythm *rhythm)
{
    rhythm->sent = true;
}

enum rhythm_way rhythm_next(struct rhythm *rhythm, bool alone, bool large)
{
    bool sent = rhythm->sent;
    rhythm->sent = false;
    if (rhythm->short_waits == 0) {
        return RHYTHM_SLEEP;
    }
    if (sent) {
        rhythm->short_waits = 1;
        rhythm->looking = !alone && rhythm->rest == 0;
        rhythm->rest -= rhythm->rest > 0 ? 1 : 0;
        return rhythm->looking ? RHYTHM_LOOK : RHYTHM_SLEEP;
    }
    return rhythm->short_waits == RHYTHM_STREAM && !large ? RHYTHM_GATHER : RHYTHM_SLEEP;
}

/* It pays if two of three find something. */
static void judge_look(struct rhythm *rhythm, bool found)
{
    if (!found) {
        rhythm->doubt += rhythm->doubt < RHYTHM_DOUBT - 1 ? 2 : RHYTHM_DOUBT - rhythm->doubt;
    } else if (rhythm->doubt > 0) {
        rhythm->doubt--;
    }
    rhythm->rest = (uint8_t)(rhythm->doubt > 0 ? 1u << rhythm->doubt : 0);
    rhythm->looking = false;
}

void rhythm_waited(struct rhythm *rhythm, int64_t us, bool came)
{
    if (rhythm->looking) {
        judge_look(rhythm, came && us <= RHYTHM_LOOK_US);
    }
    if (!came || us > RHYTHM_SHORT_US) {
        rhythm->short_waits = 0;
    } else if (rhythm->short_waits < RHYTHM_STREAM) {
        rhythm->short_waits++;
    }
}
