/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Pool users: every now and then some host resolves a pool and connects to what it was given. While
 * there are faults it reports what cannot be reached; when all is well it must be given elements
 * that live, of every pool that has some.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

#define POOLS      8
#define POOL_BITS  4
#define STRICT_BIT (1u << (POOL_BITS - 1)) /* in a request: the answer is checked */
#define GAP_MS     300                     /* at most, between two uses in a scope */

static struct ag_query query_of(char name[16], uint32_t pool)
{
    (void)snprintf(name, 16, "pool-%u", pool);
    return (struct ag_query){.handle = pool_handle_of(name), .count = AG_PICKS_MAX};
}

/* The host of a living element of that pool; -1. */
static int host_of_element(const struct world *w, const char *pool, uint32_t pe_id)
{
    for (int h = 0; h < w->host_count; h++) {
        for (int i = 0; w->hosts[h].alive && i < PES_MAX; i++) {
            const struct pe *pe = &w->hosts[h].pes[i];
            if (pe->used && pe->id == pe_id && strcmp(pe->handle, pool) == 0) {
                return h;
            }
        }
    }
    return -1;
}

static bool pool_lives(const struct world *w, const char *pool)
{
    for (int h = 0; h < w->host_count; h++) {
        for (int i = 0; w->hosts[h].alive && i < PES_MAX; i++) {
            if (w->hosts[h].pes[i].used && strcmp(w->hosts[h].pes[i].handle, pool) == 0) {
                return true;
            }
        }
    }
    return false;
}

static void wrong_answer(struct world *w, int h, const char *pool, const char *what, uint32_t pe_id)
{
    if (w->error[0] == '\0') {
        (void)snprintf(w->error, sizeof(w->error), "host %d, a user of %s: %s (PE %08x)", h, pool,
                       what, pe_id);
    }
}

static void judge(struct world *w, int h, const char *pool, const struct ag_answer *answer)
{
    bool lives = pool_lives(w, pool);
    w->judged++;
    if (lives != (answer->result == 0)) {
        wrong_answer(w, h, pool, lives ? "finds nobody" : "finds somebody", 0);
    } else if (!lives && answer->result != -ENOENT && answer->result != -ECONNREFUSED) {
        wrong_answer(w, h, pool, "a strange error", 0);
    }
    for (uint8_t i = 0; answer->result == 0 && i < answer->count; i++) {
        const struct ag_pick *pick = &answer->picks[i];
        int owner = host_of_element(w, pool, pick->pe_id);
        if (owner < 0) {
            wrong_answer(w, h, pool, "is sent to a ghost", pick->pe_id);
            return;
        }
        const struct ip_address loopback = {IP_V4, {127, 0, 0, 1}};
        const struct ip_address *expected = owner == h ? &loopback : &w->hosts[owner].address;
        if (pick->address_count == 0 || !ip_address_equal(&pick->addresses[0], expected)) {
            wrong_answer(w, h, pool, "is given other addresses", pick->pe_id);
        }
        for (uint8_t k = 0; k < i; k++) {
            if (answer->picks[k].pe_id == pick->pe_id) {
                wrong_answer(w, h, pool, "is given one twice", pick->pe_id);
            }
        }
    }
}

static void connect_to(struct world *w, int h, const char *pool, const struct ag_answer *answer)
{
    for (uint8_t i = 0; answer->result == 0 && i < answer->count; i++) {
        uint32_t pe_id = answer->picks[i].pe_id;
        int owner = host_of_element(w, pool, pe_id);
        if (owner >= 0 && net_reaches(w, h, owner) && !w->hosts[owner].frozen) {
            return;
        }
        ag_report(w->hosts[h].ag, pool_handle_of(pool), pe_id,
                  owner < 0 ? -ECONNREFUSED : -ETIMEDOUT, w->now);
    }
}

static void answered(struct world *w, int h, uint64_t request, const struct ag_answer *answer)
{
    char pool[16];
    (void)query_of(pool, (uint32_t)request % POOLS);
    if ((request & STRICT_BIT) != 0) {
        judge(w, h, pool, answer);
    } else {
        connect_to(w, h, pool, answer);
    }
}

void use_resolved(struct world *w, int h, uint64_t request)
{
    struct ag_answer answer;
    if (ag_resolve_take(w->hosts[h].ag, request, w->now, &answer)) {
        answered(w, h, request, &answer);
    }
}

static void ask(struct world *w, int h, uint32_t pool, bool strict)
{
    char name[16];
    struct ag_answer answer;
    struct ag_query query = query_of(name, pool);
    uint64_t request = ++w->next_request << POOL_BITS | (strict ? STRICT_BIT : 0) | pool;
    w->asked += strict ? 1 : 0;
    if (ag_resolve(w->hosts[h].ag, &query, request, w->now, &answer) != 0) {
        answered(w, h, request, &answer);
    }
    host_drain(w, h);
}

void use_step(struct world *w)
{
    int h = (int)rnd_below(&w->rnd, (uint64_t)w->host_count);
    if (w->hosts[h].alive && !w->hosts[h].frozen) {
        ask(w, h, (uint32_t)rnd_below(&w->rnd, POOLS), false);
    }
    if (w->faults_on) {
        world_at(w, tm_add_ms(w->now, 1 + (int64_t)rnd_below(&w->rnd, GAP_MS)), AT_USE, 0, 0, 0,
                 NULL);
    }
}

void check_users(struct world *w)
{
    if (w->error[0] != '\0') {
        return;
    }
    for (int i = 0; i < 3; i++) {
        int h = (int)rnd_below(&w->rnd, (uint64_t)w->host_count);
        for (uint32_t pool = 0; pool < POOLS; pool++) {
            ask(w, h, pool, true);
        }
    }
    world_run(w, tm_add_ms(w->now, 1000));
    if (w->error[0] == '\0' && w->asked != w->judged) {
        (void)snprintf(w->error, sizeof(w->error), "%u of %u users got no answer",
                       w->asked - w->judged, w->asked);
    }
}
