/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a scope costs on the network, by simulation: messages and octets for each element and minute
 * in steady state, after the crash of a registrar and while it returns, beside the least that the
 * RFCs ask for with the same timers. Prints the tables of docs/scaling.md.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define PES_PER_HOST 25
#define MINUTE_MS    60000
#define CRASH_MS     5000  /* how long after a crash is counted */
#define JOIN_MS      15000 /* and after a return: with what it takes to make owners even */

/** What went over the network in some time: of ASAP, of ENRP. */
struct cost {
    uint64_t asap, asap_octets;
    uint64_t enrp, enrp_octets;
};

struct figures {
    int registrars;
    uint32_t elements;
    struct cost steady, crash, join;
    uint32_t orphans;       /* elements of the one that crashed */
    int64_t rehomed_ms;     /* until all have another home */
    int64_t joined_ms;      /* until the returned one serves */
    uint64_t table_entries; /* what it had to be told */
};

static struct cost counted(const struct world *w)
{
    const struct traffic *t = &w->traffic;
    return (struct cost){.asap = t->messages[EP_AGENT] + t->messages[EP_ASAP] + t->announces,
                         .asap_octets =
                             t->octets[EP_AGENT] + t->octets[EP_ASAP] + t->announce_octets,
                         .enrp = t->messages[EP_ENRP] + t->casts - t->announces,
                         .enrp_octets = t->octets[EP_ENRP] + t->cast_octets - t->announce_octets};
}

static struct cost since(const struct world *w, const struct cost *before)
{
    struct cost c = counted(w);
    c.asap -= before->asap;
    c.asap_octets -= before->asap_octets;
    c.enrp -= before->enrp;
    c.enrp_octets -= before->enrp_octets;
    return c;
}

static void pass(struct world *w, int64_t ms)
{
    world_run(w, tm_add_ms(w->now, ms));
}

/* Elements that no registrar which lives owns, as registrar 0 sees it. */
static uint32_t homeless(const struct world *w)
{
    uint32_t owned = 0;
    for (int h = 0; h < w->config.registrars; h++) {
        if (w->hosts[h].alive && w->hosts[h].rg != NULL) {
            owned += hs_home_count(w->hosts[0].hs, w->hosts[h].id);
        }
    }
    return hs_element_count(w->hosts[0].hs) - owned;
}

static void settle(struct world *w, uint32_t elements)
{
    for (int minutes = 0; hs_element_count(w->hosts[0].hs) < elements || minutes < 3; minutes++) {
        CHECKED(minutes < 60);
        pass(w, MINUTE_MS);
    }
    /* Until owners are even. */
    for (struct enrp_counters a = world_counters(w), b; true; a = b) {
        pass(w, MINUTE_MS);
        b = world_counters(w);
        if (a.suggestions == b.suggestions) {
            break;
        }
    }
}

static void crash_and_return(struct world *w, struct figures *f)
{
    int victim = w->config.registrars - 1;
    f->orphans = hs_home_count(w->hosts[0].hs, w->hosts[victim].id);
    struct cost before = counted(w);
    struct tm_us begin = w->now;
    net_drop_all(w, victim, -1, true, false);
    host_stop(w, victim);
    while (homeless(w) > 0) {
        pass(w, 10);
    }
    f->rehomed_ms = tm_diff_ms(w->now, begin);
    CHECKED(f->rehomed_ms < CRASH_MS);
    pass(w, CRASH_MS - f->rehomed_ms);
    f->crash = since(w, &before);
    pass(w, 5 * MINUTE_MS);

    before = counted(w);
    begin = w->now;
    host_start(w, victim);
    while (enrp_phase(w->hosts[victim].en) != ENRP_OPERATIONAL) {
        pass(w, 10);
    }
    f->joined_ms = tm_diff_ms(w->now, begin);
    f->table_entries = hs_element_count(w->hosts[victim].hs);
    CHECKED(f->joined_ms < JOIN_MS);
    pass(w, JOIN_MS - f->joined_ms);
    f->join = since(w, &before);
}

static struct figures measure(int registrars, uint32_t elements, uint64_t seed)
{
    struct figures f = {.registrars = registrars};
    struct config config = {.seed = seed,
                            .registrars = registrars,
                            .agents = (int)(elements / PES_PER_HOST),
                            .pes = PES_PER_HOST,
                            .profile = ENRP_PROFILE_LAN,
                            .daemon_times = true,
                            .no_faults = true};
    struct world w;
    world_open(&w, &config);
    for (int h = 0; h < w.host_count; h++) {
        for (int i = 0; i < PES_MAX; i++) {
            f.elements += w.hosts[h].pes[i].used ? 1 : 0;
        }
    }
    settle(&w, f.elements);
    struct cost before = counted(&w);
    pass(&w, MINUTE_MS);
    f.steady = since(&w, &before);
    if (registrars > 1) {
        crash_and_return(&w, &f);
    }
    world_close(&w);
    return f;
}

static double each(uint64_t n, const struct figures *f)
{
    return (double)n / f->elements;
}

/*
 * The least: each element is registered once in T4 (a minute), answered, and told to the others;
 * PRESENCE goes to each other registrar once in a heartbeat (a second).
 */
static double least(const struct figures *f, double *ret_enrp)
{
    double others = f->registrars - 1;
    *ret_enrp = others + 60.0 * f->registrars * others / f->elements;
    return 2.0;
}

static void steady_row(const struct figures *f)
{
    double enrp_least;
    double asap_least = least(f, &enrp_least);
    double sum = each(f->steady.asap + f->steady.enrp, f);
    (void)printf("| %d | %u | %.2f | %.2f | %.2f | %.0f | %.2f | %.2f |\n", f->registrars,
                 f->elements, each(f->steady.asap, f), each(f->steady.enrp, f), sum,
                 each(f->steady.asap_octets + f->steady.enrp_octets, f), asap_least + enrp_least,
                 sum / (asap_least + enrp_least));
}

/* What a piece of time cost more than it would have in steady state. */
static void beyond(const struct cost *c, const struct cost *steady, int64_t ms,
                   double *ret_messages, double *ret_octets)
{
    double share = (double)ms / MINUTE_MS;
    *ret_messages = (double)(c->asap + c->enrp) - share * (double)(steady->asap + steady->enrp);
    *ret_octets = (double)(c->asap_octets + c->enrp_octets) -
                  share * (double)(steady->asap_octets + steady->enrp_octets);
}

/* For each element that lost its home. The least: it is registered anew and answered, and the other
 * registrars that are left are told. */
static void crash_row(const struct figures *f)
{
    double messages, octets;
    beyond(&f->crash, &f->steady, CRASH_MS, &messages, &octets);
    double orphans = f->orphans > 0 ? f->orphans : 1;
    (void)printf("| %d | %u | %u | %" PRId64 ".%02d s | %.2f | %.0f | %d |\n", f->registrars,
                 f->elements, f->orphans, f->rehomed_ms / 1000, (int)(f->rehomed_ms % 1000 / 10),
                 messages / orphans, octets / orphans, f->registrars);
}

/* For each entry of the table. The least: one message each way for 64 KiB of entries of 96 octets.
 */
static void join_row(const struct figures *f)
{
    double messages, octets;
    beyond(&f->join, &f->steady, JOIN_MS, &messages, &octets);
    double entries = f->table_entries > 0 ? (double)f->table_entries : 1;
    (void)printf("| %d | %" PRIu64 " | %" PRId64 ".%02d s | %.0f | %.3f | %.0f | %.3f |\n",
                 f->registrars, f->table_entries, f->joined_ms / 1000,
                 (int)(f->joined_ms % 1000 / 10), messages, messages / entries, octets / entries,
                 2 * 96.0 / 65536);
}

static void print_all(const struct figures *f, int n)
{
    (void)puts("## Steady state\n\nFor each element and minute.\n\n"
               "| registrars | elements | ASAP | ENRP | messages | octets | least | ratio |\n"
               "| --- | --- | --- | --- | --- | --- | --- | --- |");
    for (int i = 0; i < n; i++) {
        steady_row(&f[i]);
    }
    (void)puts("\n## After the crash of a registrar\n\nWhat the next five seconds cost more, for "
               "each element that had lost its home.\n\n"
               "| registrars | elements | of them homeless | all have a home after | messages | "
               "octets | least |\n| --- | --- | --- | --- | --- | --- | --- |");
    for (int i = 0; i < n; i++) {
        if (f[i].registrars > 1) {
            crash_row(&f[i]);
        }
    }
    (void)puts("\n## While it returns\n\nWhat fifteen seconds cost more, for each element it has "
               "to be told of; owners are made even meanwhile.\n\n"
               "| registrars | elements | serves after | messages | for each | octets | least |\n"
               "| --- | --- | --- | --- | --- | --- | --- |");
    for (int i = 0; i < n; i++) {
        if (f[i].registrars > 1) {
            join_row(&f[i]);
        }
    }
}

int main(int argc, char **argv)
{
    uint32_t elements = 10000, most = 100000;
    int opt;
    while ((opt = getopt(argc, argv, "e:m:")) != -1) {
        switch (opt) {
        case 'e':
            elements = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        case 'm':
            most = (uint32_t)strtoul(optarg, NULL, 10);
            break;
        default:
            (void)fputs("Usage: scaling [-e ELEMENTS] [-m MOST-ELEMENTS]\n", stderr);
            return 2;
        }
    }
    struct figures figures[11];
    int n = 0;
    hs_thread_register();
    for (int registrars = 1; registrars <= 10; registrars++) {
        figures[n++] = measure(registrars, elements, (uint64_t)registrars);
    }
    if (most > 0) {
        figures[n++] = measure(5, most, 5);
    }
    hs_thread_unregister();
    print_all(figures, n);
    return 0;
}
