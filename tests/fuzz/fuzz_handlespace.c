/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Operations on a handlespace, read from the input, and the same on a naive model that is nothing
 * but arrays: one pool for each policy. Everything that can be asked is compared, selections
 * included: of policies that order exactly, of those by chance (and the spread cycle) that they
 * choose as many different ones as they can, of those they may.
 *
 * An operation is four octets: what, pool, element, value.
 */
#include "handlespace/handlespace.h"
#include "handlespace/policy_ops.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

#define POOLS    16
#define IDS      256
#define SELECT_K 7

struct model_pe {
    bool there;
    uint32_t home;
    uint64_t owner;
    int64_t expires; /* -1: never */
    struct policy policy;
    uint64_t value; /* what it is ordered by now */
    uint64_t since; /* whose turn it is among equals: the least */
};

struct model {
    struct model_pe pe[POOLS][IDS];
    uint64_t clock;
    int64_t now;
};

static struct model model;
static struct hs *hs;

static const struct policy_ops *ops_of(unsigned p)
{
    return policy_ops_by_type(policy_info_at(p)->type);
}

static struct pool_handle name_of(unsigned p)
{
    static const char names[POOLS][8] = {"a", "ab",  "abc", "b", "c",  "ca",  "cab", "d",
                                         "e", "eee", "f",   "l", "la", "lab", "y",   "z"};
    return pool_handle_of(names[p]);
}

/* Orders exactly; the rest is by chance, or a cycle that is not written down. */
static bool is_exact(unsigned p)
{
    return ops_of(p)->weight == NULL && ops_of(p)->select != policy_select_drawn;
}

static uint64_t start_value(unsigned p, const struct policy *policy)
{
    return ops_of(p)->key != NULL && is_exact(p) ? ops_of(p)->key(policy) : 0;
}

static struct policy make_policy(unsigned p, uint8_t value)
{
    struct policy policy = {.type = policy_info_at(p)->type,
                            .word_count = policy_info_at(p)->word_count};
    for (unsigned i = 0; i < policy.word_count; i++) {
        /* Few different values, so that there are ties; and the ends of the range. */
        uint32_t part = (value >> (2 * i)) & 3;
        policy.words[i] = part == 3 ? UINT32_MAX - (value & 1) : part * (i + 1);
    }
    return policy;
}

static void op_register(unsigned p, uint8_t id, uint8_t value)
{
    static const struct ip_address address = {.family = IP_V4, .octets = {10, 1, 1, 1}};
    struct pool_element pe = {.pe_id = id + 1u, .home_id = 1u + value % 3};
    struct model_pe *m = &model.pe[p][id];
    int64_t life = value % 5 == 0 ? -1 : value * 10;
    pe.user = (struct transport){
        .protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &address};
    pe.policy = make_policy(p, value);
    enum hs_result result =
        hs_register(hs, name_of(p), &pe, life, value % 4, (struct tm_us){model.now});
    MUST(result == (m->there ? HS_UPDATED : HS_ADDED));
    uint64_t start = start_value(p, &pe.policy);
    /* Who stays in a ring keeps its turn; with standings everybody does. */
    bool keeps = m->there && (ops_of(p)->step != NULL || start == m->value);
    *m = (struct model_pe){.there = true,
                           .home = pe.home_id,
                           .owner = value % 4,
                           .expires = life < 0 ? -1 : model.now + life * 1000,
                           .policy = pe.policy,
                           .value = start,
                           .since = keeps ? m->since : ++model.clock};
}

static void op_deregister(unsigned p, uint8_t id)
{
    enum hs_result result = hs_deregister(hs, name_of(p), id + 1u);
    MUST(result == (model.pe[p][id].there ? HS_REMOVED : HS_UNKNOWN));
    model.pe[p][id].there = false;
}

static void op_set_home(unsigned p, uint8_t id, uint8_t value)
{
    struct model_pe *m = &model.pe[p][id];
    enum hs_result result = hs_set_home(hs, name_of(p), id + 1u, 1u + value % 3, value % 4);
    MUST(result == (m->there ? HS_UPDATED : HS_UNKNOWN));
    m->home = 1u + value % 3;
    m->owner = value % 4;
}

static void op_misfit(unsigned p, uint8_t id, uint8_t value)
{
    static const struct ip_address address = {.family = IP_V4, .octets = {10, 1, 1, 1}};
    struct pool_element pe = {.pe_id = id + 1u, .home_id = 1};
    struct hs_pool_info info;
    unsigned other = (p + 1u + value % (POOLS - 1)) % POOLS;
    pe.user = (struct transport){
        .protocol = TRANSPORT_TCP, .port = 80, .address_count = 1, .addresses = &address};
    pe.policy = make_policy(other, value);
    hs_read_begin();
    bool there = hs_pool(hs, name_of(p), &info);
    hs_read_end();
    if (there) {
        MUST(hs_register(hs, name_of(p), &pe, -1, 0, (struct tm_us){0}) == HS_INCONSISTENT_POLICY);
    }
}

static bool refused(uint32_t avoid, unsigned id)
{
    return (id + 1) % 5 == avoid;
}

static bool passes(void *ctx, const struct hs_element *element)
{
    return !refused(*(const uint32_t *)ctx, element->pe_id - 1);
}

/* The best that is left; -1: none. */
static int model_best(unsigned p, uint32_t avoid, const bool *taken)
{
    int best = -1;
    for (int i = 0; i < IDS; i++) {
        const struct model_pe *m = &model.pe[p][i];
        const struct model_pe *b = best >= 0 ? &model.pe[p][best] : NULL;
        if (m->there && !taken[i] && !refused(avoid, (unsigned)i) &&
            (b == NULL || m->value < b->value || (m->value == b->value && m->since < b->since))) {
            best = i;
        }
    }
    return best;
}

/* It has had its turn; in a ring those before it that were refused have had theirs, too. */
static void model_advance(unsigned p, int id, uint32_t avoid)
{
    struct model_pe *m = &model.pe[p][id];
    if (ops_of(p)->step != NULL) {
        m->value = policy_add(m->value, ops_of(p)->step(&m->policy));
        m->since = ++model.clock;
        return;
    }
    for (;;) {
        int first = -1;
        for (int i = 0; i < IDS; i++) {
            const struct model_pe *e = &model.pe[p][i];
            if (e->there && e->value == m->value && e->since < m->since &&
                refused(avoid, (unsigned)i) && (first < 0 || e->since < model.pe[p][first].since)) {
                first = i;
            }
        }
        if (first < 0) {
            break;
        }
        model.pe[p][first].since = ++model.clock;
    }
    m->since = ++model.clock;
}

static void check_exact(unsigned p, size_t k, uint32_t avoid, size_t n,
                        const struct hs_element **found)
{
    bool taken[IDS] = {false};
    int lead = -1;
    size_t got = 0;
    for (; got < k; got++) {
        int best = model_best(p, avoid, taken);
        if (best < 0) {
            break;
        }
        MUST(got < n && found[got]->pe_id == (uint32_t)best + 1);
        taken[best] = true;
        lead = lead < 0 ? best : lead;
    }
    MUST(got == n);
    if (lead >= 0) {
        model_advance(p, lead, avoid);
    }
}

/* Drawn elements must weigh something; in the cycle all may come. */
static void check_possible(unsigned p, size_t k, uint32_t avoid, size_t n,
                           const struct hs_element **found)
{
    size_t possible = 0;
    bool drawn = ops_of(p)->select == policy_select_drawn && ops_of(p)->weight != NULL;
    for (unsigned i = 0; i < IDS; i++) {
        const struct model_pe *m = &model.pe[p][i];
        possible +=
            m->there && !refused(avoid, i) && !(drawn && ops_of(p)->weight(&m->policy) == 0);
    }
    MUST(n == (k < possible ? k : possible));
    for (size_t i = 0; i < n; i++) {
        const struct model_pe *m = &model.pe[p][found[i]->pe_id - 1];
        MUST(m->there && !refused(avoid, found[i]->pe_id - 1));
        MUST(!drawn || ops_of(p)->weight(&m->policy) > 0);
        for (size_t j = 0; j < i; j++) {
            MUST(found[i] != found[j]);
        }
    }
}

static void op_select(unsigned p, uint8_t id, uint8_t value)
{
    const struct hs_element *found[SELECT_K];
    size_t k = 1u + id % SELECT_K;
    uint32_t avoid = value % 8; /* from 5 on: nobody is refused */
    hs_read_begin();
    size_t n = hs_select(hs, name_of(p), k, passes, &avoid, found);
    (is_exact(p) ? check_exact : check_possible)(p, k, avoid, n, found);
    hs_read_end();
}

static void op_expire(uint8_t value)
{
    const struct hs_element *due;
    model.now += value * INT64_C(1000);
    hs_read_begin();
    while ((due = hs_due(hs, (struct tm_us){model.now})) != NULL) {
        unsigned p = 0;
        while (!pool_handle_equal(*due->handle, name_of(p))) {
            p++;
        }
        struct model_pe *m = &model.pe[p][due->pe_id - 1];
        MUST(m->there && m->expires == hs_expires(due).us && m->expires <= model.now);
        MUST(hs_deregister(hs, *due->handle, due->pe_id) == HS_REMOVED);
        m->there = false;
    }
    hs_read_end();
    for (unsigned p = 0; p < POOLS; p++) {
        for (unsigned i = 0; i < IDS; i++) {
            MUST(!model.pe[p][i].there || model.pe[p][i].expires < 0 ||
                 model.pe[p][i].expires > model.now);
        }
    }
}

/* parameters.md §7, octet by octet. */
static uint64_t sum_of(struct pool_handle handle, uint32_t id)
{
    uint64_t sum = (id >> 16) + (id & 0xffff);
    for (uint16_t i = 0; i < handle.len; i++) {
        sum += (uint64_t)handle.octets[i] << (i % 2 == 0 ? 8 : 0);
    }
    return sum;
}

static void compare_home(uint32_t home)
{
    uint64_t sum = 0;
    uint32_t count = 0;
    struct hs_cursor cursor = {0};
    for (unsigned p = 0; p < POOLS; p++) {
        for (unsigned i = 0; i < IDS; i++) {
            if (model.pe[p][i].there && model.pe[p][i].home == home) {
                sum += sum_of(name_of(p), i + 1);
                count++;
            }
        }
    }
    while (sum > 0xffff) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    MUST(hs_home_count(hs, home) == count && hs_checksum(hs, home) == (uint16_t)~sum);
    while (hs_home_next(hs, home, &cursor) != NULL) {
        count--;
    }
    MUST(count == 0);
}

static void compare(void)
{
    uint32_t pools = 0;
    uint32_t elements = 0;
    uint32_t owned[4] = {0};
    struct hs_cursor cursor = {0};
    hs_read_begin();
    for (unsigned p = 0; p < POOLS; p++) {
        uint32_t before = elements;
        for (unsigned i = 0; i < IDS; i++) {
            const struct model_pe *m = &model.pe[p][i];
            const struct hs_element *e = hs_find(hs, name_of(p), i + 1);
            MUST((e != NULL) == m->there);
            if (m->there) {
                /* All names are in order, so this is the order of the whole. */
                MUST(hs_element_next(hs, &cursor) == e);
                MUST(e->home_id == m->home && e->owner_ref == m->owner && hs_user(e).port == 80);
                elements++;
                owned[m->owner]++;
            }
        }
        pools += elements > before;
    }
    MUST(hs_element_next(hs, &cursor) == NULL);
    MUST(hs_pool_count(hs) == pools && hs_element_count(hs) == elements);
    for (uint32_t home = 1; home <= 3; home++) {
        compare_home(home);
    }
    for (uint64_t owner = 1; owner < 4; owner++) {
        cursor = (struct hs_cursor){0};
        while (hs_owner_next(hs, owner, &cursor) != NULL) {
            owned[owner]--;
        }
        MUST(owned[owner] == 0);
    }
    hs_read_end();
    MUST(hs_check(hs, NULL));
}

static void operate(const uint8_t op[4])
{
    unsigned p = op[1] % POOLS;
    switch (op[0] % 10) {
    case 0:
    case 1:
        op_register(p, op[2], op[3]);
        break;
    case 2:
        op_deregister(p, op[2]);
        break;
    case 3:
    case 4:
    case 5:
        op_select(p, op[2], op[3]);
        break;
    case 6:
        for (unsigned i = 0; i < 40; i++) {
            op_register(p, (uint8_t)(op[2] + i * 7), (uint8_t)(op[3] + i));
        }
        break;
    case 7:
        op_expire(op[3]);
        break;
    case 8:
        op_set_home(p, op[2], op[3]);
        break;
    default:
        op_misfit(p, op[2], op[3]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
    const struct hs_limits none = {0};
    hs_thread_register();
    hs = hs_new(&none, 1);
    MUST(hs != NULL);
    memset(&model, 0, sizeof(model));
    for (size_t at = 0; at + 4 <= len && at < 8192; at += 4) {
        operate(octets + at);
        if (at % 256 == 0) {
            compare();
        }
    }
    compare();
    hs_free(hs);
    hs_thread_unregister();
    return 0;
}
