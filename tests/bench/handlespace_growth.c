/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Parts of bench-handlespace: what every operation costs in pools of different size and number. */
#include "tests/bench/handlespace.h"

enum operation { OP_SELECT, OP_REREGISTER, OP_UPDATE, OP_LEAVE_JOIN, OP_FIND, OPERATIONS };
static const char *const OPERATION_NAMES[] = {"select", "reregister", "update", "leave-join",
                                              "find"};
/* Each way to select that the policies have among them. */
static const uint32_t POLICIES[] = {POLICY_RR, POLICY_WRR, POLICY_RAND, POLICY_WRAND,
                                    POLICY_LU, POLICY_LUD, POLICY_RLUD};
#define POLICY_COUNT (sizeof(POLICIES) / sizeof(POLICIES[0]))

#define NAME_ROOM 12

/** Pools of the same policy, `each` elements in each. */
struct pools {
    struct hs *hs;
    uint32_t policy, pools, each;
    char (*names)[NAME_ROOM];
    enum operation op;
    struct rnd rnd;
};

static struct pools make_pools(uint32_t policy, uint32_t pools, uint32_t each)
{
    const struct hs_limits none = {0};
    struct pools p = {.policy = policy, .pools = pools, .each = each, .rnd = {.state = 5}};
    p.hs = hs_new(&none, 7);
    p.names = calloc(pools, sizeof(p.names[0]));
    NEED(p.hs != NULL && p.names != NULL);
    for (uint32_t i = 0; i < pools; i++) {
        (void)snprintf(p.names[i], NAME_ROOM, "p%u", i);
        for (uint32_t j = 0; j < each; j++) {
            NEED(bench_register(p.hs, p.names[i], policy, bench_id(j), (uint32_t)rnd_next(&p.rnd),
                                true) == HS_ADDED);
        }
    }
    return p;
}

static void free_pools(struct pools *p)
{
    hs_free(p->hs);
    free(p->names);
}

static void operate(void *ctx, uint32_t count)
{
    struct pools *p = (struct pools *)ctx;
    for (uint32_t i = 0; i < count; i++) {
        const char *name = p->names[p->pools > 1 ? rnd_below(&p->rnd, p->pools) : 0];
        uint32_t id = bench_id((uint32_t)rnd_below(&p->rnd, p->each));
        uint32_t value = (uint32_t)rnd_next(&p->rnd);
        const struct hs_element *found;
        switch (p->op) {
        case OP_SELECT:
            hs_read_begin();
            NEED(hs_select(p->hs, pool_handle_of(name), 1, NULL, NULL, &found) == 1);
            bench_sink += found->pe_id;
            hs_read_end();
            continue;
        case OP_FIND:
            hs_read_begin();
            bench_sink += hs_find(p->hs, pool_handle_of(name), id)->pe_id;
            hs_read_end();
            continue;
        case OP_LEAVE_JOIN:
            (void)hs_deregister(p->hs, pool_handle_of(name), id);
            break;
        default:
            break;
        }
        (void)bench_register(p->hs, name, p->policy, id, p->op == OP_REREGISTER ? id : value, true);
    }
}

/** The cost of each operation, in ns: the least of the rounds. */
static void operations(struct pools *p, const struct effort *effort, double ns[OPERATIONS])
{
    for (int r = 0; r < effort->rounds; r++) {
        for (p->op = 0; p->op < OPERATIONS; p->op++) {
            double once = 1e9 / bench_rate(operate, p, effort->ns / 2);
            ns[p->op] = r == 0 || once < ns[p->op] ? once : ns[p->op];
        }
    }
}

struct naive_use {
    struct naive naive;
    enum operation op;
    struct rnd rnd;
};

static void operate_naively(void *ctx, uint32_t count)
{
    struct naive_use *u = (struct naive_use *)ctx;
    if (u->op == OP_SELECT) {
        naive_select(&u->naive, count);
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = bench_id((uint32_t)rnd_below(&u->rnd, u->naive.n));
        if (u->op == OP_FIND) {
            naive_find(&u->naive, id);
        } else {
            naive_update(&u->naive, id, u->op == OP_REREGISTER ? id : (uint32_t)rnd_next(&u->rnd));
        }
    }
}

static void naive_operations(uint32_t policy, uint32_t n, const struct effort *effort,
                             double ns[OPERATIONS])
{
    struct naive_use u = {.rnd = {.state = 5}};
    naive_fill(&u.naive, policy, n);
    for (u.op = 0; u.op < OPERATIONS; u.op++) {
        ns[u.op] = 1e9 / bench_rate(operate_naively, &u, effort->ns / 10);
    }
    naive_done(&u.naive);
}

/** A random access to an array as large as that many elements, in ns. */
static double access_ns(uint32_t n, const struct effort *effort)
{
    /* 136 octets so often is what an element takes */
    struct bench_picker picker = {.n = n + n / 2 + n / 8};
    struct bench_entry *array = calloc(picker.n, sizeof(*array));
    double least = 1e9;
    NEED(array != NULL);
    memset(array, 1, picker.n * sizeof(*array));
    picker.array = array;
    for (int r = 0; r < effort->rounds; r++) {
        double once = 1e9 / bench_rate(bench_pick, &picker, effort->ns / 2);
        least = once < least ? once : least;
    }
    free(array);
    return least;
}

void bench_growth(const struct effort *effort)
{
    uint32_t many = effort->n * 10;
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        double small[OPERATIONS];
        double large[OPERATIONS];
        double naive_small[OPERATIONS];
        double naive_large[OPERATIONS];
        struct pools p = make_pools(POLICIES[i], 1, 1000);
        operations(&p, effort, small);
        free_pools(&p);
        p = make_pools(POLICIES[i], 1, many);
        operations(&p, effort, large);
        free_pools(&p);
        double access = access_ns(many, effort) / access_ns(1000, effort);
        naive_operations(POLICIES[i], 1000, effort, naive_small);
        naive_operations(POLICIES[i], many, effort, naive_large);
        for (int op = 0; op < OPERATIONS; op++) {
            char name[48];
            char what[96];
            (void)snprintf(name, sizeof(name), "growth-%s-%s",
                           policy_info_by_type(POLICIES[i])->name, OPERATION_NAMES[op]);
            (void)snprintf(what, sizeof(what), "%.0f to %.0f ns from 1000 to %u elements",
                           small[op], large[op], many);
            row_print(name, "times", what, "growth of a random access to an array of that size",
                      2.5,
                      (struct row){.value = large[op] / small[op],
                                   .baseline = access,
                                   .naive = naive_large[op] / naive_small[op]});
        }
    }
}

#define POOL_SIZE 10

void bench_pools(const struct effort *effort)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        double one[OPERATIONS];
        double many[OPERATIONS];
        struct pools p = make_pools(POLICIES[i], 1, effort->n);
        operations(&p, effort, one);
        free_pools(&p);
        p = make_pools(POLICIES[i], effort->n / POOL_SIZE, POOL_SIZE);
        operations(&p, effort, many);
        free_pools(&p);
        for (int op = 0; op < OPERATIONS; op++) {
            char name[48];
            char what[96];
            char one_what[64];
            (void)snprintf(name, sizeof(name), "pools-%s-%s",
                           policy_info_by_type(POLICIES[i])->name, OPERATION_NAMES[op]);
            (void)snprintf(what, sizeof(what), "in one of %u pools of %u", effort->n / POOL_SIZE,
                           POOL_SIZE);
            (void)snprintf(one_what, sizeof(one_what), "in one pool of %u", effort->n);
            row_print(name, "ns", what, one_what, 0,
                      (struct row){.value = many[op], .baseline = one[op]});
        }
    }
}
