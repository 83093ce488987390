/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * bench-handlespace [-s] PART: the handlespace in process, each figure beside its baseline and a
 * naive one. Prints a JSON object a line; tests/bench/handlespace makes a table of them.
 */
#include "tests/bench/handlespace.h"

volatile uint64_t bench_sink;

static const struct ip_address ADDRESSES[2] = {
    {.family = IP_V4, .octets = {10, 1, 1, 1}},
    {.family = IP_V6, .octets = {0xfd, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}}};

uint32_t bench_id(uint32_t i)
{
    return (i + 1) * 2654435761u; /* odd: no two alike */
}

enum hs_result bench_register(struct hs *hs, const char *pool, uint32_t policy, uint32_t pe_id,
                              uint32_t value, bool both)
{
    const struct policy_info *info = policy_info_by_type(policy);
    struct pool_element pe = {.pe_id = pe_id, .home_id = 0xa1b2c3d4};
    pe.user = (struct transport){.protocol = TRANSPORT_TCP,
                                 .port = 80,
                                 .address_count = both ? 2 : 1,
                                 .addresses = ADDRESSES};
    pe.policy = (struct policy){.type = policy, .word_count = info->word_count};
    for (uint8_t i = 0; i < info->word_count; i++) {
        /* Weights and priorities of everyday size, loads over their whole range. */
        bool load = policy_word_form(info, i)[0] == 'p';
        pe.policy.words[i] = i > 0 ? 1000 : load ? value : 1 + value % 100;
    }
    return hs_register(hs, pool_handle_of(pool), &pe, 300000, 0, (struct tm_us){value});
}

struct hs *bench_pool(uint32_t policy, uint32_t n)
{
    const struct hs_limits none = {0};
    struct hs *hs = hs_new(&none, 7);
    struct rnd rnd;
    rnd_seed(&rnd, n);
    NEED(hs != NULL);
    for (uint32_t i = 0; i < n; i++) {
        NEED(bench_register(hs, "p", policy, bench_id(i), (uint32_t)rnd_next(&rnd), true) ==
             HS_ADDED);
    }
    return hs;
}

struct bench_entry *bench_array(struct hs *hs, uint32_t n)
{
    struct bench_entry *array = calloc(n, sizeof(*array));
    struct hs_cursor cursor = {0};
    NEED(array != NULL);
    hs_read_begin();
    for (uint32_t i = 0; i < n; i++) {
        const struct hs_element *e = hs_element_next(hs, &cursor);
        NEED(e != NULL);
        array[i] = (struct bench_entry){.pe_id = e->pe_id,
                                        .element = *e,
                                        .user = hs_user(e),
                                        .asap = hs_asap(e),
                                        .policy = hs_policy(e)};
    }
    hs_read_end();
    return array;
}

int64_t bench_cpu_ns(clockid_t clock)
{
    struct timespec ts;
    NEED(clock_gettime(clock, &ts) == 0);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

double bench_rate_by(clockid_t clock, bench_fn fn, void *ctx, int64_t ns)
{
    int64_t begin = bench_cpu_ns(clock);
    int64_t end = begin + ns;
    int64_t now = begin;
    uint64_t done = 0;
    for (uint32_t batch = 1; now < end; batch = batch < 256 ? batch * 2 : batch) {
        fn(ctx, batch);
        done += batch;
        now = bench_cpu_ns(clock);
    }
    return (double)done * 1e9 / (double)(now - begin);
}

double bench_rate(bench_fn fn, void *ctx, int64_t ns)
{
    return bench_rate_by(CLOCK_PROCESS_CPUTIME_ID, fn, ctx, ns);
}

void bench_select(void *ctx, uint32_t count)
{
    struct hs *hs = (struct hs *)ctx;
    const struct pool_handle p = pool_handle_of("p");
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct hs_element *found;
        hs_read_begin();
        NEED(hs_select(hs, p, 1, NULL, NULL, &found) == 1);
        sum += found->pe_id;
        hs_read_end();
    }
    bench_sink += sum;
}

void bench_pick(void *ctx, uint32_t count)
{
    struct bench_picker *picker = (struct bench_picker *)ctx;
    uint64_t sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = picker->array[rnd_below(&picker->rnd, picker->n)].pe_id;
        /* One after the other: who wants the next element has seen this one. */
        picker->rnd.state ^= id;
        sum += id;
    }
    bench_sink += sum;
}

void row_print(const char *name, const char *unit, const char *what, const char *baseline_what,
               double target, struct row row)
{
    printf("{\"name\": \"%s\", \"unit\": \"%s\", \"what\": \"%s\", \"baseline_what\": \"%s\", "
           "\"target\": %.3f, \"value\": %.3f, \"baseline\": %.3f, \"naive\": %.3f}\n",
           name, unit, what, baseline_what, target, row.value, row.baseline, row.naive);
    (void)fflush(stdout);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name;
        void (*run)(const struct effort *effort);
    } parts[] = {{"select", bench_selection}, {"writer", bench_beside_writer},
                 {"readers", bench_readers},  {"register", bench_registration},
                 {"growth", bench_growth},    {"pools", bench_pools},
                 {"memory", bench_memory}};
    struct effort effort = {.n = 100000, .ns = 200000000, .rounds = 5};
    int at = 1;
    if (at < argc && strcmp(argv[at], "-s") == 0) {
        effort = (struct effort){.n = 10000, .ns = 5000000, .rounds = 1};
        at++;
    }
    bool known = false;
    hs_thread_register();
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (at == argc || strcmp(argv[at], parts[i].name) == 0) {
            parts[i].run(&effort);
            known = true;
        }
    }
    hs_thread_unregister();
    if (!known) {
        fprintf(stderr, "usage: bench-handlespace [-s] [select|writer|readers|register|growth|"
                        "pools|memory]\n");
        return 2;
    }
    return 0;
}
