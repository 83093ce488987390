/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * When is a server hung? (decisions.md "Hung without a probe".) Its accept queue grew and not one
 * accept happened since; one accept is life. A queue that is full counts as growing. A process that
 * is stopped (SIGSTOP) needs one growth and HANG_STOPPED_MS: it cannot be merely slow. One that
 * runs may be: it needs two growths and the sample's `after_ms`, seconds by default, so that a slow
 * server that does accept is not withheld; and one that has been seen to take even longer between
 * two accepts, twice in a row, is given twice that time.
 *
 * An accept is seen when the queue became shorter, when a connection has become somebody's (its
 * inode is no longer 0), or when more waiting connections disappeared than the queue's length can
 * explain as resets, which stay queued.
 *
 * Who begins to wait while something else may have been accepted unseen (`doubt`) counts from then,
 * for HANG_DOUBT_MS at least: so long was nothing accepted while we looked.
 *
 * Pure; time comes with the sample.
 */
#ifndef RSP_RSPD_LOCAL_HANG_H
#define RSP_RSPD_LOCAL_HANG_H

#include "common/clock.h"

#include <stddef.h>
#include <stdint.h>

#define HANG_STOPPED_MS  400
#define HANG_DOUBT_MS    400
#define HANG_LEARN_TIMES 8    /* learned patience is at most that many times after_ms */
#define HANG_SUSPECT_MS  2000 /* so long after the last life a queue is looked at closely */

/** Sorted socket cookies. */
struct cookie_set {
    uint64_t *cookie;
    size_t count;
    size_t room;
};
#define COOKIE_SET_MAX 65536
/** Appends; false when it is full or memory is out. Sort afterwards. */
bool cookie_set_add(struct cookie_set *set, uint64_t cookie);
void cookie_set_sort(struct cookie_set *set);
bool cookie_set_has(const struct cookie_set *set, uint64_t cookie);
/** Frees the memory; the set is empty and usable. */
void cookie_set_done(struct cookie_set *set);

/** One look at a listening port. */
struct hang_sample {
    struct tm_us at;
    uint32_t queued;            /* of all its listening sockets together */
    uint32_t backlog;           /* likewise; 0: unknown */
    uint32_t after_ms;          /* a process that runs is hung after that; 0: never */
    bool stopped;               /* the server's process is stopped */
    bool active;                /* the shim said that it accepted or closed something */
    bool doubt;                 /* it may have accepted and closed connections we never saw */
    bool looked;                /* the two sets are filled; else only `queued` is known */
    struct cookie_set waiting;  /* established, nobody's yet */
    struct cookie_set accepted; /* established, somebody's */
};

/** What is known of a server. Zero before the first sample. */
struct hang {
    bool begun;
    bool hung;
    struct tm_us last_life; /* an accept, or nobody waiting */
    uint32_t queued;
    unsigned growths; /* since last_life */
    bool stopped;     /* its process was, in one of the samples since then */
    unsigned slow_accepts;
    int64_t patience_ms; /* learned; 0: the sample's after_ms */
    struct cookie_set waiting;
    struct cookie_set accepted;
};

enum hang_verdict { HANG_SAME, HANG_HUNG, HANG_BACK };

/** Takes a sample in; its sets move into the state and come back empty. */
enum hang_verdict hang_step(struct hang *h, struct hang_sample *sample);
/** Nothing has connected since the last sample: an empty queue still is. */
void hang_quiet(struct hang *h, struct tm_us now);
/** Whether the next sample should come soon, to decide in time. */
bool hang_suspect(const struct hang *h, struct tm_us now);
void hang_done(struct hang *h);

#endif
