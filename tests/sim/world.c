/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Time: a heap of what will happen, carried out in order. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

void sim_die(const char *what, const char *file, int line)
{
    (void)fprintf(stderr, "%s:%d: %s\n", file, line, what);
    abort();
}

void say(const struct world *w, const char *format, ...)
{
    va_list args;
    if (!w->config.verbose) {
        return;
    }
    (void)printf("%10.6f ", (double)w->now.us / 1e6);
    va_start(args, format);
    (void)vprintf(format, args);
    va_end(args);
    (void)putchar('\n');
}

static bool earlier(const struct happening *a, const struct happening *b)
{
    return a->at.us < b->at.us || (a->at.us == b->at.us && a->seq < b->seq);
}

void world_at(struct world *w, struct tm_us at, enum happening_kind kind, int a,
              uint32_t generation, int arg, struct cast *cast)
{
    if (w->heap_n == w->heap_size) {
        w->heap_size = w->heap_size > 0 ? w->heap_size * 2 : 1024;
        w->heap = reallocarray(w->heap, w->heap_size, sizeof(*w->heap));
        CHECKED(w->heap != NULL);
    }
    struct happening h = {.at = tm_before(at, w->now) ? w->now : at,
                          .seq = ++w->next_seq,
                          .kind = kind,
                          .a = a,
                          .generation = generation,
                          .arg = arg,
                          .cast = cast};
    size_t i = w->heap_n++;
    while (i > 0 && earlier(&h, &w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = h;
}

static struct happening take(struct world *w)
{
    struct happening first = w->heap[0];
    struct happening last = w->heap[--w->heap_n];
    size_t i = 0;
    for (;;) {
        size_t least = 2 * i + 1;
        if (least + 1 < w->heap_n && earlier(&w->heap[least + 1], &w->heap[least])) {
            least++;
        }
        if (least >= w->heap_n || !earlier(&w->heap[least], &last)) {
            break;
        }
        w->heap[i] = w->heap[least];
        i = least;
    }
    w->heap[i] = last;
    return first;
}

static void happen(struct world *w, const struct happening *h)
{
    switch (h->kind) {
    case AT_LINK:
        net_arrive(w, h->a, h->generation, h->arg);
        break;
    case AT_DEATH:
        net_death(w, h->a, h->generation, h->arg);
        break;
    case AT_CAST:
        net_cast_arrives(w, h->cast);
        break;
    case AT_TIMER:
        host_timer(w, h->a, h->generation);
        break;
    case AT_FAULT:
        if (w->faults_on) {
            faults_step(w);
        }
        break;
    case AT_USE:
        use_step(w);
        break;
    case AT_THAW:
        host_thaw(w, h->a);
        break;
    case AT_RETURN:
        faults_return(w, h->a);
        break;
    }
}

void world_run(struct world *w, struct tm_us until)
{
    while (w->heap_n > 0 && !tm_before(until, w->heap[0].at)) {
        struct happening h = take(w);
        CHECKED(!tm_before(h.at, w->now));
        w->now = h.at;
        w->happenings++;
        happen(w, &h);
    }
    w->now = until;
}

/* --- settings: those of the daemon's profiles ---------------------------------------------------
 */

static void settings(struct world *w)
{
    bool fast = w->config.profile == ENRP_PROFILE_FAST;
    enrp_settings_profile(&w->en_set, w->config.profile);
    w->en_set.lowest_wins = !w->config.highest_wins;
    w->en_set.multicast = !w->config.statics;
    rg_settings_default(&w->rg_set);
    w->rg_set.keep_alive_ms = fast ? 1000 : 5000;
    w->rg_set.keep_alive_timeout_ms = fast ? 500 : 2000;
    w->rg_set.announce_ms = fast ? 250 : 1000;
    w->rg_set.loopback_stays = true;
    ag_settings_default(&w->ag_set);
    w->ag_set.t1_request_ms = fast ? 300 : 1000;
    w->ag_set.t2_registration_ms = fast ? 500 : 2000;
    w->ag_set.t3_deregistration_ms = fast ? 500 : 2000;
    w->ag_set.t5_hunt_ms = fast ? 300 : 1000;
    w->ag_set.hunt_max_ms = fast ? 2000 : 8000;
    w->ag_set.t7_outdate_ms = fast ? 1500 : 5000;
    w->ag_set.registration_life_ms = fast ? 10000 : 60000;
    w->ag_set.reregistration_ms = fast ? 3000 : 20000;
    if (w->config.daemon_times) {
        w->rg_set.keep_alive_ms = 30000;
        w->ag_set.registration_life_ms = 180000;
        w->ag_set.reregistration_ms = 60000;
    }
    w->dead_ms = fast ? 500 : 2500;
    if (w->config.profile == ENRP_PROFILE_RFC) {
        w->rg_set.life_in_seconds = true;
        w->ag_set.life_in_seconds = true;
    }
}

void world_open(struct world *w, const struct config *config)
{
    *w = (struct world){.config = *config, .free_link = -1, .now = {1000000}};
    rnd_seed(&w->rnd, config->seed);
    settings(w);
    w->host_count = config->registrars + config->agents;
    w->hosts = calloc((size_t)w->host_count, sizeof(*w->hosts));
    CHECKED(w->hosts != NULL);
    for (int h = 0; h < w->host_count; h++) {
        struct host *host = &w->hosts[h];
        host->address = (struct ip_address){
            IP_V4, {10, (uint8_t)(h >> 16), (uint8_t)(h >> 8), (uint8_t)(h & 255)}};
        host->address.octets[1] = (uint8_t)(host->address.octets[1] + 1);
        host->can_register = h < config->registrars;
        host->links = -1;
        host->held_last = &host->held;
    }
    for (int h = 0; h < w->host_count; h++) {
        host_start(w, h);
    }
    if (!config->no_faults) {
        w->faults_on = true;
        world_at(w, tm_add_ms(w->now, 1), AT_USE, 0, 0, 0, NULL);
        world_at(w, tm_add_ms(w->now, 1 + (int64_t)rnd_below(&w->rnd, 3000)), AT_FAULT, 0, 0, 0,
                 NULL);
    }
}

void world_close(struct world *w)
{
    for (int h = 0; h < w->host_count; h++) {
        if (w->hosts[h].alive) {
            host_stop(w, h);
        }
    }
    for (size_t i = 0; i < w->heap_n; i++) {
        if (w->heap[i].cast != NULL) {
            free(w->heap[i].cast->message);
            free(w->heap[i].cast);
        }
    }
    net_free(w);
    free(w->heap);
    free(w->hosts);
}
