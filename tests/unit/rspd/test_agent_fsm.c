/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The registration machine: every state with every event (asap.md §5.1, 5.3). */
#include "agent_fixture.h"

#include "tests/unit/rspd/insides.h"

#define S_UNREG AG_PE_UNREGISTERED
#define S_HUNT  AG_PE_HUNTING
#define S_REG   AG_PE_REGISTERING
#define S_OK    AG_PE_REGISTERED
#define S_REREG AG_PE_REREGISTERING
#define S_DEREG AG_PE_DEREGISTERING
#define S_HELD  AG_PE_WITHHELD
#define S_REF   AG_PE_REFUSED

struct row {
    enum ag_pe_state state;
    enum ag_pe_state next[AG_PE_EVENTS]; /* START CHANGED LEAVE HOME HOME_LOST ACCEPTED REFUSED LEFT
                                            LEAVE_REFUSED T2 T3 T4 */
};

/* With a home (not local) before the event; the owner wants the PE in, except in DEREGISTERING and
 * WITHHELD; LEAVE withholds. */
static const struct row TABLE[] = {
    {S_UNREG,
     {S_REG, S_REG, S_HELD, S_REG, S_HUNT, S_UNREG, S_UNREG, S_UNREG, S_UNREG, S_UNREG, S_UNREG,
      S_REG}},
    {S_HUNT,
     {S_HUNT, S_HUNT, S_HELD, S_REG, S_HUNT, S_HUNT, S_HUNT, S_HUNT, S_HUNT, S_HUNT, S_HUNT,
      S_REG}},
    {S_REG,
     {S_REG, S_REG, S_DEREG, S_REG, S_HUNT, S_OK, S_REF, S_REG, S_REG, S_HUNT, S_REG, S_REG}},
    {S_OK,
     {S_OK, S_REREG, S_DEREG, S_REREG, S_HUNT, S_OK, S_OK, S_REREG, S_OK, S_OK, S_OK, S_REREG}},
    {S_REREG,
     {S_REREG, S_REREG, S_DEREG, S_REREG, S_HUNT, S_OK, S_REF, S_REREG, S_REREG, S_HUNT, S_REREG,
      S_REREG}},
    {S_DEREG,
     {S_DEREG, S_DEREG, S_DEREG, S_DEREG, S_DEREG, S_DEREG, S_DEREG, S_HELD, S_HELD, S_DEREG,
      S_DEREG, S_DEREG}},
    {S_HELD,
     {S_REG, S_HELD, S_HELD, S_HELD, S_HELD, S_HELD, S_HELD, S_HELD, S_HELD, S_HELD, S_HELD,
      S_HELD}},
    {S_REF, {S_REG, S_REG, S_HELD, S_REG, S_REF, S_REF, S_REF, S_REF, S_REF, S_REF, S_REF, S_REG}},
};

static struct ag_local *in_state(struct fx *fx, enum ag_pe_state state)
{
    struct ag_local *local = ag_local_find(fx->ag, fx_pe(fx, "web"));
    ag_timer_stop(&fx->ag->timers, &local->timer);
    local->state = state;
    local->since = (struct tm_us){0};
    local->in_scope = state == S_OK || state == S_REREG || state == S_DEREG;
    local->withheld = state == S_DEREG || state == S_HELD;
    local->home_assoc = fx->ag->home.assoc;
    if (state == S_REG || state == S_REREG || state == S_OK || state == S_DEREG) {
        ag_timer_set(&fx->ag->timers, &local->timer,
                     state == S_OK      ? AG_TIMER_T4
                     : state == S_DEREG ? AG_TIMER_T3
                                        : AG_TIMER_T2,
                     tm_add_ms(fx->now, 600000));
    }
    return local;
}

static void step(struct fx *fx, struct ag_local *local, enum ag_pe_event ev)
{
    if (ev == AG_EV_LEAVE) {
        local->withheld = true;
    }
    if (ev == AG_EV_START) {
        local->withheld = false;
    }
    if (ev == AG_EV_HOME_LOST) {
        ag_home_lost(fx->ag, false, "test", fx->now);
        return;
    }
    ag_pe_fsm(fx->ag, local, ev, fx->now);
}

/* … … A-67 */
Test(agent_fsm, every_state_with_every_event)
{
    for (size_t r = 0; r < sizeof(TABLE) / sizeof(TABLE[0]); r++) {
        for (int ev = 0; ev < AG_PE_EVENTS; ev++) {
            struct fx *fx = fx_new(NULL);
            (void)fx_home(fx, 1, "10.0.0.1");
            struct ag_local *local = in_state(fx, TABLE[r].state);
            step(fx, local, (enum ag_pe_event)ev);
            cr_expect_eq(local->state, TABLE[r].next[ev], "%s, event %d: %s instead of %s",
                         ag_pe_state_name(TABLE[r].state), ev, ag_pe_state_name(local->state),
                         ag_pe_state_name(TABLE[r].next[ev]));
            fx_free(fx);
        }
    }
}

/* Whatever comes in whatever order: each state has its timer, and a removed PE is freed. */
Test(agent_fsm, timers_belong_to_states)
{
    for (unsigned seed = 0; seed < 200; seed++) {
        struct rnd rnd;
        struct fx *fx = fx_new(NULL);
        uint64_t assoc = fx_home(fx, 1, "10.0.0.1");
        uint32_t id = fx_pe(fx, "web");
        rnd_seed(&rnd, seed);
        for (int i = 0; i < 60; i++) {
            bool reject = rnd_below(&rnd, 4) == 0;
            assoc = fx->ag->home.assoc;
            switch (rnd_below(&rnd, 9)) {
            case 0:
                (void)ag_pe_withhold(fx->ag, id, rnd_below(&rnd, 2) == 0 ? "hung" : NULL, fx->now);
                break;
            case 1:
            case 2:
                fx_respond(fx, assoc, ASAP_REGISTRATION_RESPONSE, "web", id, reject,
                           reject ? CAUSE_LACK_OF_RESOURCES : -1);
                break;
            case 3:
                fx_respond(fx, assoc, ASAP_DEREGISTRATION_RESPONSE, "web", id, false,
                           reject ? CAUSE_SECURITY : -1);
                break;
            case 4:
                ag_assoc_down(fx->ag, assoc, fx->now);
                break;
            case 5:
                if (!ag_has_home(fx->ag)) {
                    fx_announce(fx, 1, "10.0.0.1");
                    struct action *c = fx_next(fx, ACTION_CONNECT);
                    if (c != NULL) {
                        fx_up(fx, c->assoc, "10.0.0.1");
                    }
                }
                break;
            case 6:
                fx_host(fx, rnd_below(&rnd, 2) == 0 ? "10.0.0.9" : "10.0.0.8", NULL);
                break;
            case 7:
                fx_pass(fx, (int64_t)rnd_below(&rnd, 4000));
                break;
            default:
                fx_keep_alive(fx, assoc, 1, true, "web", id);
                break;
            }
            struct ag_local *l = ag_local_find(fx->ag, id);
            cr_assert_not_null(l);
            /* A single one moves to a new home at once: refused, it waits for no timer. */
            cr_assert(insides_timer_fits(l) && (l->state != AG_PE_REFUSED || l->timer.place == 0),
                      "seed %u step %d: %s", seed, i, ag_pe_state_name(l->state));
        }
        ag_pe_remove(fx->ag, id, "end", fx->now);
        fx_pass(fx, 30000);
        struct ag_pe_info info;
        cr_assert_not(ag_pe_get(fx->ag, id, &info));
        fx_free(fx);
    }
}
