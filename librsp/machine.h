/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The user's side of a session as a pure machine (RFC 5352 section 5.12 of the notes; asap:A-126,
 * state, event and time go in, actions come out.
 *
 *   NEW         no pool yet
 *   RESOLVING   the daemon has been asked for elements             deadline: its answer
 *   CONNECTING  an element has been chosen and is connected to     deadline: the attempt
 *   ACTIVE      there is a server                                  no deadline
 *   WAITING     nobody can be had; the pool is asked again later   deadline: the back-off
 *   DOWN        the server is lost and failover is the program's business   no deadline
 *   ENDED       the server has ended the session
 *   FAILED      given up; `error` says why. FORCE tries again
 *
 * Until a session has had its first server, trying is bounded (CONNECT asks, tries, asks once
 * more); afterwards it waits for a server as long as give_up_ms allows.
 */
#ifndef RSP_LIBRSP_MACHINE_H
#define RSP_LIBRSP_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/clock.h"

#define MACHINE_RESOLVE_MS 6000 /* the daemon answers within 5 s by itself */

enum machine_state {
    MACHINE_NEW,
    MACHINE_RESOLVING,
    MACHINE_CONNECTING,
    MACHINE_ACTIVE,
    MACHINE_WAITING,
    MACHINE_DOWN,
    MACHINE_ENDED,
    MACHINE_FAILED,
    MACHINE_STATES
};

enum machine_event {
    MACHINE_EV_CONNECT,    /* the program wants a session */
    MACHINE_EV_RESOLVED,   /* value: number of elements, > 0 */
    MACHINE_EV_UNRESOLVED, /* value: -errno */
    MACHINE_EV_OPENED,     /* the connection stands */
    MACHINE_EV_REFUSED,    /* it could not be made; value: -errno */
    MACHINE_EV_LOST,       /* it broke; value: -errno, 0: closed without a word */
    MACHINE_EV_HEARD,      /* the server has sent something */
    MACHINE_EV_END,        /* the server has ended the session */
    MACHINE_EV_STATE_LOST, /* the server has refused the cookie */
    MACHINE_EV_FORCE,      /* rsp_forcefailover(); value 1: report the server */
    MACHINE_EV_TIMER,      /* the deadline has come */
    MACHINE_EVENTS
};

/** What is to be done, in the order of the bits. */
enum machine_action {
    MACHINE_CUT = 1 << 0,       /* end the connection or the attempt, without a word */
    MACHINE_REPORT = 1 << 1,    /* the element in hand is unreachable */
    MACHINE_NECESSARY = 1 << 2, /* tell the program: failover necessary */
    MACHINE_FORGET = 1 << 3,    /* drop cookie and replay, tell the program: state lost */
    MACHINE_RESOLVE = 1 << 4,   /* ask for elements */
    MACHINE_OPEN = 1 << 5,      /* connect to element `at` */
    MACHINE_GREET = 1 << 6,     /* send cookie echo and replay */
    MACHINE_COMPLETE = 1 << 7   /* tell the program: failover complete */
};

struct machine {
    enum machine_state state;
    bool auto_failover;
    bool had_server;   /* at least once */
    bool heard;        /* something came from the present server */
    bool spare;        /* before the first server: the second question is still to come */
    uint8_t at, count; /* elements in hand */
    uint32_t attempt_ms, retry_min_ms, retry_max_ms, give_up_ms;
    uint32_t wait_ms; /* the last back-off; 0: none */
    struct tm_us deadline;
    struct tm_us lost_at; /* since when there has been no server; TM_NEVER: there is one */
    int error;            /* FAILED: -errno; else that of the last failure */
};

void machine_init(struct machine *m);
/** Takes an event; returns the actions. Events that mean nothing in a state change nothing. */
unsigned machine_event(struct machine *m, enum machine_event event, int value, struct tm_us now);
const char *machine_state_name(enum machine_state state);

#endif
