/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The user's session machine; see machine.h. */
#include "librsp/machine.h"

#include <errno.h>

static void set_state(struct machine *m, enum machine_state state, struct tm_us deadline)
{
    m->state = state;
    m->deadline = deadline;
}

void machine_init(struct machine *m)
{
    *m = (struct machine){.state = MACHINE_NEW,
                          .auto_failover = true,
                          .attempt_ms = 1000,
                          .retry_min_ms = 50,
                          .retry_max_ms = 2000,
                          .deadline = TM_NEVER,
                          .lost_at = TM_NEVER};
}

static unsigned resolve(struct machine *m, struct tm_us now)
{
    m->at = 0;
    m->count = 0;
    set_state(m, MACHINE_RESOLVING, tm_add_ms(now, MACHINE_RESOLVE_MS));
    return MACHINE_RESOLVE;
}

static unsigned fail(struct machine *m, int error)
{
    m->error = error;
    set_state(m, MACHINE_FAILED, TM_NEVER);
    return 0;
}

/** Nobody can be had now: wait, or give up. */
static unsigned wait_or_fail(struct machine *m, int error, struct tm_us now)
{
    m->error = error;
    if (!m->had_server) {
        return fail(m, error);
    }
    if (m->give_up_ms > 0 && tm_diff_ms(now, m->lost_at) >= (int64_t)m->give_up_ms) {
        return fail(m, error);
    }
    m->wait_ms = m->wait_ms == 0 ? m->retry_min_ms : m->wait_ms * 2;
    m->wait_ms = m->wait_ms < m->retry_max_ms ? m->wait_ms : m->retry_max_ms;
    set_state(m, MACHINE_WAITING, tm_add_ms(now, m->wait_ms));
    return 0;
}

static unsigned open_next(struct machine *m, struct tm_us now)
{
    set_state(m, MACHINE_CONNECTING, tm_add_ms(now, m->attempt_ms));
    return MACHINE_OPEN;
}

/** The attempt came to nothing: the next element, or the next question. */
static unsigned refused(struct machine *m, int error, struct tm_us now)
{
    unsigned actions = MACHINE_CUT | MACHINE_REPORT;
    m->error = error;
    if (++m->at < m->count) {
        return actions | open_next(m, now);
    }
    if (!m->had_server && m->spare) {
        m->spare = false;
        return actions | resolve(m, now);
    }
    return actions | wait_or_fail(m, error, now);
}

static unsigned opened(struct machine *m)
{
    unsigned actions = MACHINE_GREET | (m->had_server ? MACHINE_COMPLETE : 0);
    m->had_server = true;
    m->heard = false;
    m->lost_at = TM_NEVER;
    set_state(m, MACHINE_ACTIVE, TM_NEVER);
    return actions;
}

static unsigned lost(struct machine *m, int error, struct tm_us now)
{
    unsigned actions = MACHINE_CUT | MACHINE_NECESSARY | (error != 0 ? MACHINE_REPORT : 0);
    m->error = error != 0 ? error : -ECONNRESET;
    m->lost_at = now;
    if (!m->auto_failover) {
        set_state(m, MACHINE_DOWN, TM_NEVER);
        return actions;
    }
    if (m->heard || m->wait_ms == 0) {
        /* At once; should this happen again before the next server has said anything, later. */
        m->wait_ms = m->heard ? 0 : 1;
        return actions | resolve(m, now);
    }
    return actions | wait_or_fail(m, m->error, now);
}

static unsigned force(struct machine *m, int report, struct tm_us now)
{
    unsigned actions = 0;
    switch (m->state) {
    case MACHINE_NEW:
    case MACHINE_RESOLVING:
    case MACHINE_CONNECTING:
        return 0; /* nothing to go on with, or under way */
    case MACHINE_ACTIVE:
        actions = MACHINE_CUT | (report != 0 ? MACHINE_REPORT : 0);
        m->lost_at = now;
        break;
    case MACHINE_DOWN:
        actions = report != 0 ? MACHINE_REPORT : 0;
        break;
    default:
        if (tm_is_never(m->lost_at)) {
            m->lost_at = now;
        }
        break;
    }
    m->wait_ms = 0;
    m->spare = true;
    return actions | resolve(m, now);
}

/** What is the same in every state that has or seeks a server. */
static unsigned on_timer(struct machine *m, struct tm_us now)
{
    if (!tm_due(m->deadline, now)) {
        return 0;
    }
    switch (m->state) {
    case MACHINE_RESOLVING:
        return wait_or_fail(m, -ETIMEDOUT, now);
    case MACHINE_CONNECTING:
        return refused(m, -ETIMEDOUT, now);
    case MACHINE_WAITING:
        return resolve(m, now);
    default:
        return 0;
    }
}

static unsigned in_active(struct machine *m, enum machine_event event, int value, struct tm_us now)
{
    switch (event) {
    case MACHINE_EV_LOST:
        return lost(m, value, now);
    case MACHINE_EV_HEARD:
        m->heard = true;
        m->wait_ms = 0;
        return 0;
    case MACHINE_EV_END:
        m->error = 0;
        set_state(m, MACHINE_ENDED, TM_NEVER);
        return MACHINE_CUT;
    case MACHINE_EV_STATE_LOST:
        m->lost_at = now;
        return MACHINE_CUT | MACHINE_FORGET | resolve(m, now);
    default:
        return 0;
    }
}

unsigned machine_event(struct machine *m, enum machine_event event, int value, struct tm_us now)
{
    if (event == MACHINE_EV_TIMER) {
        return on_timer(m, now);
    }
    if (event == MACHINE_EV_FORCE) {
        return force(m, value, now);
    }
    switch (m->state) {
    case MACHINE_NEW:
        m->spare = true;
        return event == MACHINE_EV_CONNECT ? resolve(m, now) : 0;
    case MACHINE_RESOLVING:
        if (event == MACHINE_EV_RESOLVED && value > 0) {
            m->count = (uint8_t)(value < UINT8_MAX ? value : UINT8_MAX);
            return open_next(m, now);
        }
        return event == MACHINE_EV_UNRESOLVED ? wait_or_fail(m, value, now) : 0;
    case MACHINE_CONNECTING:
        if (event == MACHINE_EV_OPENED) {
            return opened(m);
        }
        return event == MACHINE_EV_REFUSED ? refused(m, value, now) : 0;
    case MACHINE_ACTIVE:
        return in_active(m, event, value, now);
    case MACHINE_WAITING:
    case MACHINE_DOWN:
    case MACHINE_ENDED:
    case MACHINE_FAILED:
    case MACHINE_STATES:
        break;
    }
    return 0;
}

const char *machine_state_name(enum machine_state state)
{
    static const char *const names[] = {"new",     "resolving", "connecting", "active",
                                        "waiting", "down",      "ended",      "failed"};
    return state < MACHINE_STATES ? names[state] : "?";
}
