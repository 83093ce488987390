/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Shall this daemon be a registrar (decisions.md "Registrar")? Pure: time and what is heard go in.
 *
 * yes, no: as told. auto: listens for three announce cycles plus up to one, being a registrar for
 * its own host meanwhile (not announced), so that a single machine works at once; is none as soon
 * as `wanted` others are heard, else one at the end, which is near once the first is heard, but not
 * before all of `wanted` would have been heard: each announces every `wanted` cycles or so. So of
 * hosts that start together those that draw the shortest times are the registrars. Alone on the
 * host (nothing to hear) it decides at once; with registrars given by hand it is none. Decided, it
 * goes on watching:
 *
 * - The registrars of the scope may go away: a new listening time begins.
 * - There may be more than `most`, because several decided in the same moment, or two networks have
 *   become one: who hears `most` with lower identifiers steps down at once. Where one is wanted, a
 *   higher one that stays for long was told to be registrar: then the lower one yields.
 */
#ifndef RSP_RSPD_ROLE_H
#define RSP_RSPD_ROLE_H

#include "common/clock.h"
#include "common/rnd.h"

enum role_mode { ROLE_NO, ROLE_YES, ROLE_AUTO };

struct role_settings {
    enum role_mode mode;
    uint32_t wanted, most;
    uint32_t announce_ms;  /* of the announce cycle */
    bool registrars_given; /* by hand, in the settings */
};

/** What is known of the scope now. */
struct role_view {
    bool can_hear;      /* some interface other than loopback takes multicast */
    uint32_t others;    /* registrars heard */
    uint32_t lower_ids; /* of these, how many have an identifier below ours */
};

struct role {
    struct role_settings settings;
    bool registrar; /* this daemon is one now, be it provisionally */
    bool decided;
    uint32_t others;        /* undecided: most that were heard */
    struct tm_us begun;     /* undecided: since when it listens */
    struct tm_us decide_at; /* TM_NEVER: nothing is pending */
    struct rnd rnd;
    char why[160]; /* of the present state, for people */
};

/** Starts; `role->registrar` says whether to be one provisionally. */
void role_init(struct role *role, const struct role_settings *settings, uint64_t seed,
               struct tm_us now);
/**
 * Looks again: to be called when something was heard or lost, and at role_next(). Returns whether
 * the outcome (registrar or not, decided or not) changed.
 */
bool role_step(struct role *role, const struct role_view *view, struct tm_us now);
/** Somebody said so: is none from now on, until started anew. */
void role_retire(struct role *role);
/** When role_step() wants to be called for time's sake. */
struct tm_us role_next(const struct role *role);

#endif
