/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The parts of bench-handlespace: see the table in tests/bench/handlespace. */
#include <malloc.h>
#include <stdatomic.h>

#include "handlespace/rcu.h"
#include "tests/bench/handlespace.h"

/* --- selection alone ----------------------------------------------------------------------------
 */

static double target_of(uint32_t policy)
{
    return policy == POLICY_RR || policy == POLICY_RAND ? 0.25 : 0.1;
}

void bench_selection(const struct effort *effort)
{
    const struct policy_info *info;
    for (size_t p = 0; (info = policy_info_at(p)) != NULL; p++) {
        struct hs *hs = bench_pool(info->type, effort->n);
        struct bench_picker picker = {.array = bench_array(hs, effort->n), .n = effort->n};
        struct naive naive;
        struct row best = {0};
        char name[32];
        naive_fill(&naive, info->type, effort->n);
        for (int r = 0; r < effort->rounds; r++) {
            row_best(&best,
                     (struct row){.value = bench_rate(bench_select, hs, effort->ns),
                                  .baseline = bench_rate(bench_pick, &picker, effort->ns),
                                  .naive = bench_rate(naive_select, &naive, effort->ns / 10)});
        }
        (void)snprintf(name, sizeof(name), "select-%s", info->name);
        row_print(name, "/s", "select 1 element of the pool", "pick a random entry of an array",
                  target_of(info->type), best);
        naive_done(&naive);
        free((void *)(uintptr_t)picker.array);
        hs_free(hs);
    }
}

/* --- beside a busy writer -----------------------------------------------------------------------
 */

#define UPDATES 100000 /* a second */

/* Who never waits is measured by its own time, so that what else the machine does is not counted;
   who waits for a mutex must be by the time that passes. */
#define OWN_TIME CLOCK_THREAD_CPUTIME_ID
#define ALL_TIME CLOCK_MONOTONIC

struct writer {
    struct hs *hs;       /* or */
    struct naive *naive; /* if not NULL */
    uint32_t policy, n;
    atomic_bool stop;
    double rate;
};

/* Updates at its pace; when it has been kept from it, it does not make up for more than a moment.
 */
static void *write_on(void *arg)
{
    struct writer *w = (struct writer *)arg;
    struct rnd rnd = {.state = 11};
    uint64_t done = 0;
    int64_t begin = now_ns();
    int64_t due = begin;
    hs_thread_register();
    while (!atomic_load_explicit(&w->stop, memory_order_relaxed)) {
        int64_t now = now_ns();
        if (now < due) {
            struct timespec pause = {.tv_nsec = due - now};
            (void)nanosleep(&pause, NULL);
            continue;
        }
        due = due < now - 10000000 ? now - 10000000 : due;
        for (int k = 0; k < 50; k++, done++) {
            uint32_t i = (uint32_t)rnd_below(&rnd, w->n);
            uint32_t value = (uint32_t)rnd_next(&rnd);
            if (w->naive != NULL) {
                naive_update(w->naive, bench_id(i), value);
            } else {
                (void)bench_register(w->hs, "p", w->policy, bench_id(i), value, true);
            }
        }
        due += 50 * (INT64_C(1000000000) / UPDATES);
    }
    w->rate = (double)done * 1e9 / (double)(now_ns() - begin);
    hs_thread_unregister();
    return NULL;
}

/** The rate of `fn` by that clock of this thread, while the other one writes. */
static double beside(struct writer *w, clockid_t clock, bench_fn fn, void *ctx, int64_t ns)
{
    pthread_t thread;
    atomic_store(&w->stop, false);
    NEED(pthread_create(&thread, NULL, write_on, w) == 0);
    double rate = bench_rate_by(clock, fn, ctx, ns);
    atomic_store(&w->stop, true);
    NEED(pthread_join(thread, NULL) == 0);
    return rate;
}

void bench_beside_writer(const struct effort *effort)
{
    const struct policy_info *info;
    for (size_t p = 0; (info = policy_info_at(p)) != NULL; p++) {
        struct writer w = {.policy = info->type, .n = effort->n};
        struct naive naive;
        struct writer naive_w = {.naive = &naive, .n = effort->n};
        struct row best = {0};
        double updates = 0;
        char name[32];
        char what[80];
        w.hs = bench_pool(info->type, effort->n);
        naive_fill(&naive, info->type, effort->n);
        for (int r = 0; r < effort->rounds; r++) {
            struct row row = {.baseline = bench_rate(bench_select, w.hs, effort->ns)};
            row.value = beside(&w, OWN_TIME, bench_select, w.hs, effort->ns);
            updates = w.rate > updates ? w.rate : updates;
            row.naive = beside(&naive_w, ALL_TIME, naive_select, &naive, effort->ns / 10);
            row_best(&best, row);
        }
        (void)snprintf(name, sizeof(name), "writer-%s", info->name);
        (void)snprintf(what, sizeof(what), "select 1 beside %.0f updates/s", updates);
        row_print(name, "/s", what, "the same, undisturbed", 0.8, best);
        naive_done(&naive);
        hs_free(w.hs);
    }
}

/* --- two readers --------------------------------------------------------------------------------
 */

struct runner {
    bench_fn fn;
    void *ctx;
    int64_t ns;
    clockid_t clock;
    pthread_barrier_t *start;
    double rate;
};

static void *run_on(void *arg)
{
    struct runner *r = (struct runner *)arg;
    hs_thread_register();
    (void)pthread_barrier_wait(r->start);
    r->rate = bench_rate_by(r->clock, r->fn, r->ctx, r->ns);
    hs_thread_unregister();
    return NULL;
}

static double two_at_once(clockid_t clock, bench_fn fn, void *ctx, int64_t ns)
{
    pthread_barrier_t start;
    struct runner runners[2];
    pthread_t threads[2];
    NEED(pthread_barrier_init(&start, NULL, 2) == 0);
    for (int i = 0; i < 2; i++) {
        runners[i] =
            (struct runner){.fn = fn, .ctx = ctx, .ns = ns, .clock = clock, .start = &start};
        NEED(pthread_create(&threads[i], NULL, run_on, &runners[i]) == 0);
    }
    for (int i = 0; i < 2; i++) {
        NEED(pthread_join(threads[i], NULL) == 0);
    }
    (void)pthread_barrier_destroy(&start);
    return runners[0].rate + runners[1].rate;
}

static void spin(void *ctx, uint32_t count)
{
    (void)ctx;
    for (volatile uint32_t i = 0; i < count * 64; i++) {
    }
}

void bench_readers(const struct effort *effort)
{
    const struct policy_info *info;
    for (size_t p = 0; (info = policy_info_at(p)) != NULL; p++) {
        struct hs *hs = bench_pool(info->type, effort->n);
        struct naive naive;
        struct row one = {0};
        struct row two = {0};
        char name[32];
        naive_fill(&naive, info->type, effort->n);
        for (int r = 0; r < effort->rounds; r++) {
            int64_t ns = effort->ns;
            row_best(&one, (struct row){bench_rate_by(OWN_TIME, bench_select, hs, ns),
                                        bench_rate_by(OWN_TIME, spin, NULL, ns),
                                        bench_rate_by(ALL_TIME, naive_select, &naive, ns / 10)});
            row_best(&two, (struct row){two_at_once(OWN_TIME, bench_select, hs, ns),
                                        two_at_once(OWN_TIME, spin, NULL, ns),
                                        two_at_once(ALL_TIME, naive_select, &naive, ns / 10)});
        }
        (void)snprintf(name, sizeof(name), "readers-%s", info->name);
        row_print(name, "times", "gain of a second reader", "gain of a second empty loop", 0.95,
                  (struct row){two.value / one.value, two.baseline / one.baseline,
                               two.naive / one.naive});
        naive_done(&naive);
        hs_free(hs);
    }
}

/* --- registration
 * --------------------------------------------------------------------------------- */

struct key_node {
    struct cds_lfht_node node;
    uint32_t id;
};

static int match_key(struct cds_lfht_node *node, const void *key)
{
    return hs_container_of(node, struct key_node, node)->id == *(const uint32_t *)key;
}

/* As the registrar must: an identifier that is there already is not put in twice. */
static double fill_table(uint32_t n)
{
    struct cds_lfht *table = cds_lfht_new_flavor(
        16, 16, 0, CDS_LFHT_AUTO_RESIZE | CDS_LFHT_ACCOUNTING, &urcu_bp_flavor, NULL);
    struct key_node **nodes = calloc(n, sizeof(void *));
    NEED(table != NULL && nodes != NULL);
    int64_t begin = bench_cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (uint32_t i = 0; i < n; i++) {
        struct rnd rnd;
        nodes[i] = malloc(sizeof(*nodes[i]));
        NEED(nodes[i] != NULL);
        nodes[i]->id = bench_id(i);
        rnd_seed(&rnd, nodes[i]->id);
        urcu_bp_read_lock();
        (void)cds_lfht_add_unique(table, (unsigned long)rnd_next(&rnd), match_key, &nodes[i]->id,
                                  &nodes[i]->node);
        urcu_bp_read_unlock();
    }
    double rate = n * 1e9 / (double)(bench_cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - begin);
    urcu_bp_read_lock();
    for (uint32_t i = 0; i < n; i++) {
        (void)cds_lfht_del(table, &nodes[i]->node);
    }
    urcu_bp_read_unlock();
    urcu_bp_synchronize_rcu();
    for (uint32_t i = 0; i < n; i++) {
        free(nodes[i]);
    }
    free(nodes);
    (void)cds_lfht_destroy(table, NULL);
    return rate;
}

static double fill_pool(uint32_t policy, uint32_t n)
{
    int64_t begin = bench_cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    struct hs *hs = bench_pool(policy, n);
    double rate = n * 1e9 / (double)(bench_cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - begin);
    hs_free(hs);
    return rate;
}

static double fill_naive(uint32_t policy, uint32_t n)
{
    struct naive naive;
    struct rnd rnd = {.state = 3};
    naive_init(&naive, policy, n);
    int64_t begin = bench_cpu_ns(CLOCK_PROCESS_CPUTIME_ID);
    for (uint32_t i = 0; i < n; i++) {
        naive_put(&naive, bench_id(i), (uint32_t)rnd_next(&rnd));
    }
    double rate = n * 1e9 / (double)(bench_cpu_ns(CLOCK_PROCESS_CPUTIME_ID) - begin);
    naive_done(&naive);
    return rate;
}

void bench_registration(const struct effort *effort)
{
    const struct policy_info *info;
    for (size_t p = 0; (info = policy_info_at(p)) != NULL; p++) {
        struct row best = {0};
        char name[32];
        for (int r = 0; r < effort->rounds; r++) {
            row_best(&best, (struct row){.value = fill_pool(info->type, effort->n),
                                         .baseline = fill_table(effort->n),
                                         .naive = fill_naive(info->type, effort->n)});
        }
        (void)snprintf(name, sizeof(name), "register-%s", info->name);
        row_print(name, "/s", "register all elements of one pool",
                  "insert their keys into a liburcu hash table", 0.3, best);
    }
}

/* --- memory
 * ------------------------------------------------------------------------------------------ */

static double per_element(uint32_t policy, uint32_t n, bool both)
{
    const struct hs_limits none = {0};
    struct rnd rnd = {.state = 9};
    urcu_bp_barrier();
    (void)malloc_trim(0);
    struct mallinfo2 before = mallinfo2();
    struct hs *hs = hs_new(&none, 7);
    NEED(hs != NULL);
    for (uint32_t i = 0; i < n; i++) {
        (void)bench_register(hs, "p", policy, bench_id(i), (uint32_t)rnd_next(&rnd), both);
    }
    urcu_bp_barrier();
    struct mallinfo2 after = mallinfo2();
    double each = (double)(after.uordblks + after.hblkhd - before.uordblks - before.hblkhd) / n;
    hs_free(hs);
    return each;
}

void bench_memory(const struct effort *effort)
{
    const struct policy_info *info;
    for (size_t p = 0; (info = policy_info_at(p)) != NULL; p++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "memory-%s", info->name);
        row_print(name, "bytes", "per element with an IPv4 and an IPv6 address", "the limit", 320,
                  (struct row){.value = per_element(info->type, effort->n, true), .baseline = 320});
    }
    row_print("memory-ipv4", "bytes", "per element with an IPv4 address, Round Robin", "the limit",
              300,
              (struct row){.value = per_element(POLICY_RR, effort->n / 2, false), .baseline = 300});
}
