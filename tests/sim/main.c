/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Runs schedules. Each seed gives the size of the scope, its settings and what befalls it; then all
 * is healed, time passes, and everything must be as it should.
 */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/sim/sim.h"

static const char *const profile_names[] = {"rfc", "rsplib", "lan", "fast"};

static void usage(FILE *f)
{
    (void)fprintf(f, "Usage: sim [OPTION]...\n"
                     "\n"
                     "Simulates agents and registrars of a scope under faults.\n"
                     "\n"
                     "  -s, --seed=N        the first seed (1)\n"
                     "  -n, --schedules=N   how many seeds (1)\n"
                     "  -a, --agents=N      agents of each; else 5 to 50 by the seed\n"
                     "  -r, --registrars=N  registrars of each; else 2 to 5 by the seed\n"
                     "  -j, --jobs=N        so many at a time (1)\n"
                     "  -t, --tap           say it in TAP\n"
                     "  -v, --verbose       tell what happens\n"
                     "  -h, --help\n");
}

/* What the seed alone decides. */
static struct config draw(uint64_t seed)
{
    struct config c = {.seed = seed};
    struct rnd rnd;
    rnd_seed(&rnd, seed ^ 0x5350);
    c.registrars = 2 + (int)rnd_below(&rnd, 4);
    c.agents = 5 + (int)rnd_below(&rnd, 46);
    c.pes = 1 + (int)rnd_below(&rnd, 4);
    uint64_t profile = rnd_below(&rnd, 10);
    c.profile = profile < 8 ? ENRP_PROFILE_FAST : ENRP_PROFILE_LAN;
    c.highest_wins = rnd_below(&rnd, 4) == 0;
    c.statics = rnd_below(&rnd, 3) == 0;
    c.fault_ms = c.profile == ENRP_PROFILE_FAST ? 8000 : 40000;
    return c;
}

static int64_t settle_ms(const struct config *c)
{
    /* The longest life of a registration, and a little for what follows its end. */
    return c->profile == ENRP_PROFILE_FAST ? 10000 + 5000 : 60000 + 20000;
}

/* Owners are made even 64 hosts at a time. */
static int64_t balance_ms(const struct config *c)
{
    return c->agents / 64 * (c->profile == ENRP_PROFILE_FAST ? 1000 : 3000);
}

enum { FAILED, HAPPENINGS, TAKEOVERS, RESYNCS, SUGGESTIONS, REFUSED, SUMS };

/* By then every live element must be known everywhere, whatever else is still being settled. */
static int64_t soon_ms(const struct config *c)
{
    return c->profile == ENRP_PROFILE_FAST ? 3000 : 10000;
}

static bool run(const struct config *c, uint64_t *sums)
{
    struct world w;
    world_open(&w, c);
    world_run(&w, tm_add_ms(w.now, c->fault_ms));
    faults_heal(&w);
    const char *stage = "soon";
    world_run(&w, tm_add_ms(w.now, soon_ms(c)));
    check_live(&w);
    if (w.error[0] == '\0') {
        stage = "in the end";
        world_run(&w, tm_add_ms(w.now, settle_ms(c) / 2 + balance_ms(c)));
        struct enrp_counters before = world_counters(&w);
        world_run(&w, tm_add_ms(w.now, settle_ms(c) / 2));
        struct enrp_counters after = world_counters(&w);
        check_world(&w);
        check_quiet(&w, &before, &after);
        check_users(&w);
    }
    bool ok = w.error[0] == '\0';
    if (!ok) {
        (void)fprintf(stderr,
                      "# seed %" PRIu64 " (%d registrars, %d agents, %s%s%s) %s: %s\n"
                      "# replay: tests/sim/sim --seed=%" PRIu64 " --verbose\n",
                      c->seed, c->registrars, c->agents, profile_names[c->profile],
                      c->highest_wins ? ", highest wins" : "", c->statics ? ", configured" : "",
                      stage, w.error, c->seed);
    }
    world_close(&w);
    sums[FAILED] += ok ? 0 : 1;
    sums[HAPPENINGS] += w.happenings;
    sums[TAKEOVERS] += w.enrp.takeovers;
    sums[RESYNCS] += w.enrp.resyncs;
    sums[SUGGESTIONS] += w.enrp.suggestions;
    sums[REFUSED] += w.enrp.malformed + w.enrp.conflicts;
    return ok;
}

/** The schedules of one process: many of them spend their time waiting for grace periods. */
struct slice {
    uint64_t first, last, step;
    int agents, registrars;
    bool verbose;
};
#define JOBS_MAX 64
static int pipes[JOBS_MAX];

static void start(const struct slice *slice, unsigned job)
{
    int fds[2];
    CHECKED(pipe(fds) == 0);
    pid_t pid = fork();
    CHECKED(pid >= 0);
    pipes[job] = fds[0];
    if (pid > 0) {
        (void)close(fds[1]);
        return;
    }
    uint64_t sums[SUMS] = {0};
    hs_thread_register();
    for (uint64_t seed = slice->first; seed < slice->last; seed += slice->step) {
        struct config c = draw(seed);
        c.agents = slice->agents > 0 ? slice->agents : c.agents;
        c.pes = c.agents > 200 ? 1 + c.pes / 4 : c.pes; /* as many elements, on more hosts */
        c.registrars = slice->registrars > 0 ? slice->registrars : c.registrars;
        c.verbose = slice->verbose;
        (void)run(&c, sums);
    }
    hs_thread_unregister();
    (void)fflush(stdout);
    CHECKED(write(fds[1], sums, sizeof(sums)) == (ssize_t)sizeof(sums));
    exit(0); /* with what a sanitizer has to say about leaks */
}

/* False: some process ended badly. */
static bool collect(unsigned jobs, uint64_t sums[SUMS])
{
    bool ok = true;
    for (unsigned job = 0; job < jobs; job++) {
        uint64_t part[SUMS] = {0};
        int status;
        ok = read(pipes[job], part, sizeof(part)) == (ssize_t)sizeof(part) && ok;
        for (int i = 0; i < SUMS; i++) {
            sums[i] += part[i];
        }
        (void)close(pipes[job]);
        ok = wait(&status) > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0 && ok;
    }
    return ok;
}

/** What the command line asks for. */
struct request {
    uint64_t seed, schedules;
    int agents, registrars;
    unsigned jobs;
    bool tap, verbose;
};

/* 0: go on; otherwise what to exit with, plus 1. */
static int parse(int argc, char **argv, struct request *ret)
{
    static const struct option options[] = {{"seed", required_argument, NULL, 's'},
                                            {"schedules", required_argument, NULL, 'n'},
                                            {"agents", required_argument, NULL, 'a'},
                                            {"registrars", required_argument, NULL, 'r'},
                                            {"jobs", required_argument, NULL, 'j'},
                                            {"tap", no_argument, NULL, 't'},
                                            {"verbose", no_argument, NULL, 'v'},
                                            {"help", no_argument, NULL, 'h'},
                                            {NULL, 0, NULL, 0}};
    int opt;
    while ((opt = getopt_long(argc, argv, "s:n:a:r:j:tvh", options, NULL)) != -1) {
        switch (opt) {
        case 's':
            ret->seed = strtoull(optarg, NULL, 0);
            break;
        case 'n':
            ret->schedules = strtoull(optarg, NULL, 0);
            break;
        case 'a':
            ret->agents = atoi(optarg);
            break;
        case 'r':
            ret->registrars = atoi(optarg);
            break;
        case 'j':
            ret->jobs = (unsigned)atoi(optarg);
            break;
        case 't':
            ret->tap = true;
            break;
        case 'v':
            ret->verbose = true;
            break;
        case 'h':
            usage(stdout);
            return 0 + 1;
        default:
            usage(stderr);
            return 2 + 1;
        }
    }
    ret->jobs = ret->jobs < 1 ? 1 : ret->jobs > JOBS_MAX ? JOBS_MAX : ret->jobs;
    return 0;
}

int main(int argc, char **argv)
{
    struct request r = {.seed = 1, .schedules = 1, .jobs = 1};
    int end = parse(argc, argv, &r);
    if (end != 0) {
        return end - 1;
    }
    uint64_t sums[SUMS] = {0};
    for (unsigned job = 0; job < r.jobs; job++) {
        struct slice slice = {.first = r.seed + job,
                              .last = r.seed + r.schedules,
                              .step = r.jobs,
                              .agents = r.agents,
                              .registrars = r.registrars,
                              .verbose = r.verbose};
        start(&slice, job);
    }
    bool finished = collect(r.jobs, sums);
    uint64_t failed = sums[FAILED] + (finished ? 0 : 1);
    (void)printf("%s%" PRIu64 " schedules from %" PRIu64 ", %" PRIu64 " events, %" PRIu64
                 " takeovers, %" PRIu64 " resyncs, %" PRIu64 " suggestions, %" PRIu64
                 " refused messages, %" PRIu64 " failed\n",
                 !r.tap        ? ""
                 : failed == 0 ? "1..1\nok 1 - "
                               : "1..1\nnot ok 1 - ",
                 r.schedules, r.seed, sums[HAPPENINGS], sums[TAKEOVERS], sums[RESYNCS],
                 sums[SUGGESTIONS], sums[REFUSED], failed);
    return failed == 0 ? 0 : 1;
}
