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
        struct rnd rnd = {.state = 3};
        char name[32];
        naive_init(&naive, info->type, effort->n + 1);
        for (uint32_t i = 0; i < effort->n; i++) {
            naive_put(&naive, i, (uint32_t)rnd_next(&rnd));
        }
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

struct writer {
    struct hs *hs;
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
        for (int i = 0; i < 50; i++, done++) {
            uint32_t id = bench_id((uint32_t)rnd_below(&rnd, w->n));
            (void)bench_register(w->hs, "p", w->policy, id, (uint32_t)rnd_next(&rnd), true);
        }
        due += 50 * (INT64_C(1000000000) / UPDATES);
    }
    w->rate = (double)done * 1e9 / (double)(now_ns() - begin);
    hs_thread_unregister();
    return NULL;
}

void bench_beside_writer(const struct effort *effort)
{
    const struct policy_info *info;
    for (size_t p = 0; (info = policy_info_at(p)) != NULL; p++) {
        struct writer w = {.policy = info->type, .n = effort->n};
        struct row best = {0};
        double updates = 0;
        char name[32];
        char what[80];
        w.hs = bench_pool(info->type, effort->n);
        for (int r = 0; r < effort->rounds; r++) {
            pthread_t thread;
            struct row row = {.baseline = bench_rate(bench_select, w.hs, effort->ns)};
            atomic_store(&w.stop, false);
            NEED(pthread_create(&thread, NULL, write_on, &w) == 0);
            row.value = bench_rate(bench_select, w.hs, effort->ns);
            atomic_store(&w.stop, true);
            NEED(pthread_join(thread, NULL) == 0);
            updates = w.rate > updates ? w.rate : updates;
            row_best(&best, row);
        }
        (void)snprintf(name, sizeof(name), "writer-%s", info->name);
        (void)snprintf(what, sizeof(what), "select 1 beside %.0f updates/s", updates);
        row_print(name, "/s", what, "the same, undisturbed", 0.8, best);
        hs_free(w.hs);
    }
}

/* --- two readers --------------------------------------------------------------------------------
 */

struct runner {
    bench_fn fn;
    void *ctx;
    int64_t ns;
    pthread_barrier_t *start;
    double rate;
};

static void *run_on(void *arg)
{
    struct runner *r = (struct runner *)arg;
    hs_thread_register();
    (void)pthread_barrier_wait(r->start);
    r->rate = bench_rate(r->fn, r->ctx, r->ns);
    hs_thread_unregister();
    return NULL;
}

static double two_at_once(bench_fn fn, void *ctx, int64_t ns)
{
    pthread_barrier_t start;
    struct runner runners[2];
    pthread_t threads[2];
    NEED(pthread_barrier_init(&start, NULL, 2) == 0);
    for (int i = 0; i < 2; i++) {
        runners[i] = (struct runner){.fn = fn, .ctx = ctx, .ns = ns, .start = &start};
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
        struct row best = {0};
        char name[32];
        for (int r = 0; r < effort->rounds; r++) {
            double one = bench_rate(bench_select, hs, effort->ns);
            double two = two_at_once(bench_select, hs, effort->ns);
            double one_idle = bench_rate(spin, NULL, effort->ns);
            double two_idle = two_at_once(spin, NULL, effort->ns);
            row_best(&best, (struct row){.value = two / one, .baseline = two_idle / one_idle});
        }
        (void)snprintf(name, sizeof(name), "readers-%s", info->name);
        row_print(name, "times", "gain of a second reader", "gain of a second empty loop", 0.95,
                  best);
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
    int64_t begin = now_ns();
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
    double rate = n * 1e9 / (double)(now_ns() - begin);
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
    int64_t begin = now_ns();
    struct hs *hs = bench_pool(policy, n);
    double rate = n * 1e9 / (double)(now_ns() - begin);
    hs_free(hs);
    return rate;
}

static double fill_naive(uint32_t policy, uint32_t n)
{
    struct naive naive;
    struct rnd rnd = {.state = 3};
    naive_init(&naive, policy, n);
    int64_t begin = now_ns();
    for (uint32_t i = 0; i < n; i++) {
        naive_put(&naive, bench_id(i), (uint32_t)rnd_next(&rnd));
    }
    double rate = n * 1e9 / (double)(now_ns() - begin);
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

/* --- growth
 * ---------------------------------------------------------------------------------------- */

enum operation { OP_SELECT, OP_REREGISTER, OP_UPDATE, OP_LEAVE_JOIN, OP_FIND, OPERATIONS };
static const char *const OPERATION_NAMES[] = {"select", "reregister", "update", "leave-join",
                                              "find"};

struct growth {
    struct hs *hs;
    uint32_t policy, n;
    enum operation op;
    struct rnd rnd;
};

static void operate(void *ctx, uint32_t count)
{
    struct growth *g = (struct growth *)ctx;
    const struct pool_handle p = pool_handle_of("p");
    if (g->op == OP_SELECT) {
        bench_select(g->hs, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = bench_id((uint32_t)rnd_below(&g->rnd, g->n));
        uint32_t value = (uint32_t)rnd_next(&g->rnd);
        if (g->op == OP_FIND) {
            hs_read_begin();
            bench_sink += hs_find(g->hs, p, id)->pe_id;
            hs_read_end();
            continue;
        }
        if (g->op == OP_LEAVE_JOIN) {
            (void)hs_deregister(g->hs, p, id);
        }
        (void)bench_register(g->hs, "p", g->policy, id, g->op == OP_REREGISTER ? id : value, true);
    }
}

/* The cost of an operation, and of an access to an array as large as the pool, in ns. */
static void costs(uint32_t policy, uint32_t n, const struct effort *effort, double *op_ns,
                  double *access_ns)
{
    struct growth g = {.hs = bench_pool(policy, n), .policy = policy, .n = n, .rnd = {.state = 5}};
    struct bench_picker picker = {.n = n + n / 2 +
                                       n / 8}; /* 136 octets so often is what an element takes */
    struct bench_entry *array = calloc(picker.n, sizeof(*array));
    NEED(array != NULL);
    memset(array, 1, picker.n * sizeof(*array));
    picker.array = array;
    *access_ns = 1e9;
    for (int r = 0; r < effort->rounds; r++) {
        double access = 1e9 / bench_rate(bench_pick, &picker, effort->ns / 2);
        *access_ns = access < *access_ns ? access : *access_ns;
        for (g.op = 0; g.op < OPERATIONS; g.op++) {
            double ns = 1e9 / bench_rate(operate, &g, effort->ns / 2);
            op_ns[g.op] = r == 0 || ns < op_ns[g.op] ? ns : op_ns[g.op];
        }
    }
    free(array);
    hs_free(g.hs);
}

void bench_growth(const struct effort *effort)
{
    const uint32_t policies[] = {POLICY_RR, POLICY_WRR, POLICY_RAND, POLICY_WRAND,
                                 POLICY_LU, POLICY_LUD, POLICY_RLUD};
    for (size_t p = 0; p < sizeof(policies) / sizeof(policies[0]); p++) {
        double small[OPERATIONS];
        double large[OPERATIONS];
        double small_access;
        double large_access;
        costs(policies[p], 1000, effort, small, &small_access);
        costs(policies[p], effort->n * 10, effort, large, &large_access);
        for (int op = 0; op < OPERATIONS; op++) {
            char name[48];
            char what[96];
            (void)snprintf(name, sizeof(name), "growth-%s-%s",
                           policy_info_by_type(policies[p])->name, OPERATION_NAMES[op]);
            (void)snprintf(what, sizeof(what), "%.0f to %.0f ns from 1000 to %u elements",
                           small[op], large[op], effort->n * 10);
            row_print(name, "times", what, "growth of a random access to an array of that size",
                      2.5,
                      (struct row){.value = large[op] / small[op],
                                   .baseline = large_access / small_access});
        }
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
