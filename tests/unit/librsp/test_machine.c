/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's session machine: every state with every event, then the courses of a session. */
#include <criterion/criterion.h>
#include <errno.h>

#include "librsp/machine.h"

#define T0 ((struct tm_us){1000000})

enum {
    CUT = MACHINE_CUT,
    REPORT = MACHINE_REPORT,
    NECESSARY = MACHINE_NECESSARY,
    FORGET = MACHINE_FORGET,
    RESOLVE = MACHINE_RESOLVE,
    OPEN = MACHINE_OPEN,
    GREET = MACHINE_GREET,
    COMPLETE = MACHINE_COMPLETE
};

/* A machine that has had a server, brought into a state, with 2 elements in hand. */
static struct machine in_state(enum machine_state state)
{
    struct machine m;
    machine_init(&m);
    m.state = state;
    m.had_server = state != MACHINE_NEW;
    m.heard = true;
    m.count = 2;
    bool timed =
        state == MACHINE_RESOLVING || state == MACHINE_CONNECTING || state == MACHINE_WAITING;
    m.deadline = timed ? T0 : TM_NEVER;
    m.lost_at = state == MACHINE_ACTIVE || state == MACHINE_NEW ? TM_NEVER : T0;
    return m;
}

struct cell {
    enum machine_state to;
    unsigned actions;
};

#define STAY                                                                                       \
    {                                                                                              \
        MACHINE_STATES, 0                                                                          \
    }
#define SEEK(more)                                                                                 \
    {                                                                                              \
        MACHINE_RESOLVING, (more) | RESOLVE                                                        \
    }

/* Columns: CONNECT, RESOLVED(2), UNRESOLVED, OPENED, REFUSED, LOST(-ECONNRESET), HEARD, END,
   STATE_LOST, FORCE(1), TIMER (due). */
static const struct cell cells[MACHINE_STATES][MACHINE_EVENTS] = {
    [MACHINE_NEW] = {SEEK(0), STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY},
    [MACHINE_RESOLVING] = {STAY,
                           {MACHINE_CONNECTING, OPEN},
                           {MACHINE_WAITING, 0},
                           STAY,
                           STAY,
                           STAY,
                           STAY,
                           STAY,
                           STAY,
                           STAY,
                           {MACHINE_WAITING, 0}},
    [MACHINE_CONNECTING] = {STAY,
                            STAY,
                            STAY,
                            {MACHINE_ACTIVE, GREET | COMPLETE},
                            {MACHINE_CONNECTING, CUT | REPORT | OPEN},
                            STAY,
                            STAY,
                            STAY,
                            STAY,
                            STAY,
                            {MACHINE_CONNECTING, CUT | REPORT | OPEN}},
    [MACHINE_ACTIVE] = {STAY,
                        STAY,
                        STAY,
                        STAY,
                        STAY,
                        SEEK(CUT | NECESSARY | REPORT),
                        STAY,
                        {MACHINE_ENDED, CUT},
                        SEEK(CUT | FORGET),
                        SEEK(CUT | REPORT),
                        STAY},
    [MACHINE_WAITING] = {STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, SEEK(0), SEEK(0)},
    [MACHINE_DOWN] = {STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, SEEK(REPORT), STAY},
    [MACHINE_ENDED] = {STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, SEEK(0), STAY},
    [MACHINE_FAILED] = {STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, STAY, SEEK(0), STAY},
};

static int value_of(enum machine_event event)
{
    return event == MACHINE_EV_RESOLVED ? 2 : event == MACHINE_EV_FORCE ? 1 : -ECONNRESET;
}

Test(machine, every_state_with_every_event)
{
    for (int s = 0; s < MACHINE_STATES; s++) {
        for (int e = 0; e < MACHINE_EVENTS; e++) {
            struct machine m = in_state((enum machine_state)s);
            unsigned actions = machine_event(&m, (enum machine_event)e,
                                             value_of((enum machine_event)e), tm_add_ms(T0, 1));
            const struct cell *want = &cells[s][e];
            enum machine_state to = want->to == MACHINE_STATES ? (enum machine_state)s : want->to;
            cr_assert_eq(m.state, to, "%s, event %d: %s", machine_state_name((enum machine_state)s),
                         e, machine_state_name(m.state));
            cr_assert_eq(actions, want->actions, "%s, event %d: actions %#x",
                         machine_state_name((enum machine_state)s), e, actions);
            bool timed =
                to == MACHINE_RESOLVING || to == MACHINE_CONNECTING || to == MACHINE_WAITING;
            cr_assert_eq(!tm_is_never(m.deadline), timed, "%s, event %d: deadline",
                         machine_state_name((enum machine_state)s), e);
        }
    }
}

Test(machine, first_connect_asks_twice_then_fails)
{
    struct machine m;
    machine_init(&m);
    cr_assert_eq(machine_event(&m, MACHINE_EV_CONNECT, 0, T0), RESOLVE);
    machine_event(&m, MACHINE_EV_RESOLVED, 1, T0);
    cr_assert_eq(machine_event(&m, MACHINE_EV_REFUSED, -ECONNREFUSED, T0), CUT | REPORT | RESOLVE);
    machine_event(&m, MACHINE_EV_RESOLVED, 1, T0);
    cr_assert_eq(machine_event(&m, MACHINE_EV_REFUSED, -ECONNREFUSED, T0), CUT | REPORT);
    cr_assert_eq(m.state, MACHINE_FAILED);
    cr_assert_eq(m.error, -ECONNREFUSED);
}

Test(machine, unknown_pool_fails_at_once)
{
    struct machine m;
    machine_init(&m);
    machine_event(&m, MACHINE_EV_CONNECT, 0, T0);
    machine_event(&m, MACHINE_EV_UNRESOLVED, -ENOENT, T0);
    cr_assert_eq(m.state, MACHINE_FAILED);
    cr_assert_eq(m.error, -ENOENT);
}

Test(machine, back_off_doubles_up_to_its_bound)
{
    struct machine m = in_state(MACHINE_RESOLVING);
    struct tm_us now = T0;
    const int waits[] = {50, 100, 200, 400, 800, 1600, 2000, 2000};
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        machine_event(&m, MACHINE_EV_UNRESOLVED, -ECONNREFUSED, now);
        cr_assert_eq(m.state, MACHINE_WAITING);
        cr_assert_eq(tm_diff_ms(m.deadline, now), waits[i]);
        now = m.deadline;
        cr_assert_eq(machine_event(&m, MACHINE_EV_TIMER, 0, now), RESOLVE);
    }
}

Test(machine, gives_up_when_told_to)
{
    struct machine m = in_state(MACHINE_RESOLVING);
    m.give_up_ms = 1000;
    machine_event(&m, MACHINE_EV_UNRESOLVED, -ECONNREFUSED, tm_add_ms(T0, 999));
    cr_assert_eq(m.state, MACHINE_WAITING);
    machine_event(&m, MACHINE_EV_TIMER, 0, m.deadline);
    machine_event(&m, MACHINE_EV_UNRESOLVED, -ECONNREFUSED, tm_add_ms(T0, 1049));
    cr_assert_eq(m.state, MACHINE_FAILED);
    cr_assert_eq(m.error, -ECONNREFUSED);
}

Test(machine, a_server_that_says_nothing_and_dies_does_not_make_a_storm)
{
    struct machine m = in_state(MACHINE_ACTIVE);
    cr_assert_eq(machine_event(&m, MACHINE_EV_LOST, 0, T0), CUT | NECESSARY | RESOLVE);
    machine_event(&m, MACHINE_EV_RESOLVED, 1, T0);
    machine_event(&m, MACHINE_EV_OPENED, 0, T0);
    cr_assert_eq(machine_event(&m, MACHINE_EV_LOST, 0, T0), CUT | NECESSARY | RESOLVE,
                 "the first one may have been on its way out");
    machine_event(&m, MACHINE_EV_RESOLVED, 1, T0);
    machine_event(&m, MACHINE_EV_OPENED, 0, T0);
    cr_assert_eq(machine_event(&m, MACHINE_EV_LOST, 0, T0), CUT | NECESSARY);
    cr_assert_eq(m.state, MACHINE_WAITING);
}

/* reported, and what could not be sent is still the caller's */
Test(machine, without_auto_failover_the_program_decides)
{
    struct machine m = in_state(MACHINE_ACTIVE);
    m.auto_failover = false;
    cr_assert_eq(machine_event(&m, MACHINE_EV_LOST, -ETIMEDOUT, T0), CUT | REPORT | NECESSARY);
    cr_assert_eq(m.state, MACHINE_DOWN);
    cr_assert_eq(machine_event(&m, MACHINE_EV_FORCE, 0, T0), RESOLVE);
}

Test(machine, a_timer_that_is_not_due_changes_nothing)
{
    struct machine m = in_state(MACHINE_WAITING);
    cr_assert_eq(machine_event(&m, MACHINE_EV_TIMER, 0, (struct tm_us){T0.us - 1}), 0);
    cr_assert_eq(m.state, MACHINE_WAITING);
}
