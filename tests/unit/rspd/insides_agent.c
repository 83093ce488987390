/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/rspd/insides.h"

#include "rspd/agent/ag_internal.h"

/* Counts a timer that runs; false: it is not where it says, or of another kind. */
static bool runs(const struct ag *ag, const struct ag_timer *timer, enum ag_timer_kind kind,
                 uint32_t *n)
{
    if (timer->place == 0) {
        return true;
    }
    (*n)++;
    return timer->kind == kind && timer->place <= ag->timers.used &&
           ag->timers.heap[timer->place - 1] == timer;
}

static const char *heap(const struct ag *ag)
{
    const struct ag_timers *t = &ag->timers;
    HOLDS(t->used <= t->reserved && t->reserved <= t->size, "timers without room");
    for (uint32_t i = 1; i < t->used; i++) {
        HOLDS(!tm_before(t->heap[i]->due, t->heap[(i - 1) / 2]->due), "timers out of order");
    }
    HOLDS(t->reserved ==
              AG_REGISTRARS_MAX + 1 + 2 * ag->pool_count + ag->local_count + ag->suspect_count,
          "room for timers does not go by who has one");
    return NULL;
}

static const char *registrars(const struct ag *ag, uint32_t *n)
{
    bool any = false;
    uint32_t tries = 0;
    for (uint32_t i = 0; i < AG_REGISTRARS_MAX; i++) {
        const struct ag_registrar *r = &ag->registrars[i];
        any = any || r->used;
        HOLDS(runs(ag, &r->timer, AG_TIMER_T7, n), "T7 is another timer");
        HOLDS((r->timer.place != 0) == (r->used && r->heard), "T7 runs for whoever was heard");
        HOLDS(!r->used || r->heard || r->is_static, "nobody knows of this registrar");
        HOLDS(!r->used || (r->address_count > 0 && r->port != 0), "a registrar without address");
    }
    HOLDS(runs(ag, &ag->hunt.timer, AG_TIMER_T5, n), "T5 is another timer");
    HOLDS(ag->hunt.timer.place == 0 || ag->hunt.running, "T5 runs without a hunt");
    HOLDS(!ag->hunt.running || !any || ag->hunt.timer.place != 0, "a hunt that has stopped");
    for (int i = 0; i < AG_HUNT_PARALLEL; i++) {
        tries += ag->hunt.attempts[i].assoc != 0 ? 1 : 0;
    }
    HOLDS(tries == 0 || ag->hunt.running, "tries of no hunt");
    HOLDS(!ag->hunt.parallel || tries < AG_HUNT_PARALLEL, "more associations than three (A-107)");
    return NULL;
}

static const char *home(const struct ag *ag)
{
    const struct ag_view *view = ag->shared;
    for (int i = 0; i < AG_ACCEPTED_MAX; i++) {
        uint64_t assoc = ag->accepted[i].assoc;
        HOLDS(assoc == 0 || assoc != ag->home.assoc, "the home is among the others");
        for (int k = 0; k < i; k++) {
            HOLDS(assoc == 0 || assoc != ag->accepted[k].assoc,
                  "an association stands there twice");
        }
    }
    HOLDS((ag->local_hs != NULL) == (ag->local_id != 0), "a registrar of this process, or none");
    /* Without memory there is none until the next change. */
    HOLDS(view == NULL ||
              (view->local_hs == ag->local_hs && view->cache == ag->cache &&
               view->home_on_host == ag_home_on_host(ag) &&
               view->handle_max == ag->set.handle_max && view->host_count == ag->view.host_count),
          "resolver threads see something else");
    return NULL;
}

static const char *pool(const struct ag *ag, const struct ag_pool *p, uint32_t *n)
{
    bool pinned = p->locals != NULL || p->waiters != NULL || p->asking;
    HOLDS(runs(ag, &p->t1, AG_TIMER_T1, n), "T1 is another timer");
    HOLDS(runs(ag, &p->stale, AG_TIMER_STALE, n), "the stale timer is another one");
    HOLDS(p->asking || (p->t1.place == 0 && p->stale.place == 0), "T1 runs for nothing");
    HOLDS(!p->asking || p->t1.place != 0 || ag->local_hs != NULL, "asked without T1");
    HOLDS(p->listed != pinned, pinned ? "a pool in use may be thrown out" : "a pool nobody finds");
    HOLDS(pinned || p->seen, "a pool that never was is kept");
    HOLDS(p->mark->at_us == p->fresh_until.us && p->seen == ag_mark_is(p->mark, AG_MARK_SEEN),
          "a pool is not what its mark says");
    HOLDS(ag_mark_find(ag, AG_MARK_POOL, p->handle, 0) == p->mark, "a pool with a lost mark");
    for (const struct ag_waiter *w = p->waiters; w != NULL; w = w->pool_next) {
        HOLDS(w->ready || p->asking, "somebody waits for ever");
    }
    return NULL;
}

bool insides_timer_fits(const struct ag_local *l)
{
    bool on = l->timer.place != 0;
    switch (l->state) {
    case AG_PE_REGISTERING:
    case AG_PE_REREGISTERING:
        return on && l->timer.kind == AG_TIMER_T2;
    case AG_PE_REGISTERED:
        return on && l->timer.kind == AG_TIMER_T4;
    case AG_PE_DEREGISTERING:
        return on && l->timer.kind == AG_TIMER_T3;
    case AG_PE_HUNTING:
    case AG_PE_REFUSED:
        return !on || l->timer.kind == AG_TIMER_T4;
    case AG_PE_UNREGISTERED:
    case AG_PE_WITHHELD:
        return !on;
    }
    return false;
}

static const char *elements(const struct ag *ag, uint32_t *n)
{
    for (uint32_t i = 0; i < ag->local_slots; i++) {
        const struct ag_local *l = ag->locals[i];
        if (l != NULL) {
            HOLDS(runs(ag, &l->timer, l->timer.kind, n), "a PE with a lost timer");
            HOLDS(insides_timer_fits(l), "a PE whose timer is not that of its state");
        }
    }
    for (const struct ag_suspect *s = ag->oldest_suspect; s != NULL; s = s->newer) {
        HOLDS(s->timer.place != 0 && runs(ag, &s->timer, AG_TIMER_PROBE, n),
              "a PE that never comes out of quarantine");
        HOLDS(s->mark->at_us == s->failed_at.us && s->trial == ag_mark_is(s->mark, AG_MARK_TRIAL),
              "a PE in quarantine is not what its mark says");
    }
    return NULL;
}

const char *insides_of_agent(const struct ag *ag)
{
    uint32_t n = 0;
    const char *wrong = heap(ag);
    wrong = wrong != NULL ? wrong : registrars(ag, &n);
    wrong = wrong != NULL ? wrong : home(ag);
    for (uint32_t b = 0; b < AG_BUCKETS; b++) {
        for (const struct ag_pool *p = ag->pool_buckets[b]; p != NULL && wrong == NULL;
             p = p->hash_next) {
            wrong = pool(ag, p, &n);
        }
    }
    wrong = wrong != NULL ? wrong : elements(ag, &n);
    return wrong == NULL && n != ag->timers.used ? "a timer runs that nobody owns" : wrong;
}
