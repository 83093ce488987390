/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What befalls the scope, drawn from the seed; and the end of it all. */
#include "tests/sim/sim.h"

static int some_host(struct world *w, bool registrar)
{
    int n = registrar ? w->config.registrars : w->host_count;
    return (int)rnd_below(&w->rnd, (uint64_t)n);
}

static int alive_registrars(const struct world *w)
{
    int n = 0;
    for (int h = 0; h < w->config.registrars; h++) {
        n += w->hosts[h].alive && w->hosts[h].rg != NULL ? 1 : 0;
    }
    return n;
}

static void partition(struct world *w)
{
    uint64_t groups = 2 + rnd_below(&w->rnd, 2);
    for (int h = 0; h < w->host_count; h++) {
        w->hosts[h].group = (int)rnd_below(&w->rnd, groups);
    }
    say(w, "-- partition");
    net_cut(w);
}

static void isolate(struct world *w, int h)
{
    w->hosts[h].group = 1000 + h;
    say(w, "-- host %d is cut off", h);
    net_cut(w);
}

static void unite(struct world *w)
{
    for (int h = 0; h < w->host_count; h++) {
        w->hosts[h].group = 0;
    }
    say(w, "-- no partition");
}

static void crash(struct world *w, int h)
{
    bool at_once = rnd_below(&w->rnd, 2) == 0; /* killed, or the power is gone */
    if (!w->hosts[h].alive) {
        return;
    }
    say(w, "-- host %d %s", h, at_once ? "is killed" : "loses power");
    net_drop_all(w, h, -1, at_once, false);
    host_stop(w, h);
    int64_t away = 1 + (int64_t)rnd_below(&w->rnd, (uint64_t)w->config.fault_ms / 2);
    world_at(w, tm_add_ms(w->now, away), AT_RETURN, h, 0, 0, NULL);
}

void faults_return(struct world *w, int h)
{
    if (!w->hosts[h].alive) {
        say(w, "-- host %d returns", h);
        host_start(w, h);
    } else if (w->hosts[h].frozen ||
               (w->hosts[h].en != NULL && enrp_phase(w->hosts[h].en) == ENRP_LEAVING)) {
        world_at(w, tm_add_ms(w->now, 500), AT_RETURN, h, 0, 0, NULL);
    } else if (w->hosts[h].can_register && w->hosts[h].rg == NULL) {
        host_start_registrar(w, h);
    }
}

static void freeze(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    if (!host->alive || host->frozen) {
        return;
    }
    say(w, "-- host %d is frozen", h);
    host->frozen = true;
    host->timer_generation++;
    host->timer_at = (struct tm_us){-1};
    int64_t ms = 1 + (int64_t)rnd_below(&w->rnd, (uint64_t)w->config.fault_ms / 3);
    world_at(w, tm_add_ms(w->now, ms), AT_THAW, h, 0, 0, NULL);
}

static void leave(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    if (!host->alive || host->frozen || host->en == NULL || alive_registrars(w) < 2) {
        return;
    }
    say(w, "-- host %d leaves", h);
    enrp_leave(host->en, w->now);
    host_drain(w, h);
    int64_t away = 1000 + (int64_t)rnd_below(&w->rnd, (uint64_t)w->config.fault_ms / 2);
    world_at(w, tm_add_ms(w->now, away), AT_RETURN, h, 0, 0, NULL);
}

static void change_pe(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    if (!host->alive || host->frozen) {
        return;
    }
    struct pe *pe = &host->pes[rnd_below(&w->rnd, PES_MAX)];
    if (!pe->used) {
        (void)host_add_pe(w, h);
    } else {
        say(w, "host %d: PE %08x goes", h, pe->id);
        ag_pe_remove(host->ag, pe->id, "simulated", w->now);
        pe->used = false;
    }
    host_drain(w, h);
}

static void drop_link(struct world *w)
{
    for (int tries = 0; tries < 16 && w->link_count > 0; tries++) {
        int i = (int)rnd_below(&w->rnd, (uint64_t)w->link_count);
        if (w->links[i].state == LINK_UP) {
            say(w, "-- association between hosts %d and %d breaks", w->links[i].end[0].host,
                w->links[i].end[1].host);
            net_drop_one(w, i);
            return;
        }
    }
}

void faults_step(struct world *w)
{
    uint64_t what = rnd_below(&w->rnd, 100);
    if (what < 12) {
        crash(w, some_host(w, true));
    } else if (what < 20) {
        crash(w, some_host(w, false));
    } else if (what < 28) {
        partition(w);
    } else if (what < 34) {
        isolate(w, some_host(w, true));
    } else if (what < 46) {
        unite(w);
    } else if (what < 52) {
        freeze(w, some_host(w, true));
    } else if (what < 56) {
        leave(w, some_host(w, true));
    } else if (what < 66) {
        drop_link(w);
    } else if (what < 70) {
        w->loss = (uint32_t)rnd_below(&w->rnd, 50);
    } else {
        change_pe(w, some_host(w, false));
    }
    int64_t gap = 1 + (int64_t)rnd_below(&w->rnd, (uint64_t)w->config.fault_ms / 8);
    world_at(w, tm_add_ms(w->now, gap), AT_FAULT, 0, 0, 0, NULL);
}

void faults_heal(struct world *w)
{
    w->faults_on = false;
    w->loss = 0;
    unite(w);
    for (int h = 0; h < w->host_count; h++) {
        host_thaw(w, h);
        if (!w->hosts[h].alive || w->hosts[h].can_register) {
            faults_return(w, h);
        }
    }
    say(w, "-- all is well");
}
