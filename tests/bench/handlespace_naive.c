/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The naive handlespace: an array of elements in the order of their keys, under one mutex. What is
 * drawn at random is found by adding up weights.
 */
#include "tests/bench/handlespace.h"

void naive_init(struct naive *naive, uint32_t policy, uint32_t size)
{
    *naive = (struct naive){.policy = policy_info_by_type(policy), .size = size};
    naive->at = calloc(size, sizeof(naive->at[0]));
    NEED(naive->at != NULL && pthread_mutex_init(&naive->lock, NULL) == 0);
}

void naive_done(struct naive *naive)
{
    free(naive->at);
    (void)pthread_mutex_destroy(&naive->lock);
}

/* Drawn at random: the key is the weight. */
static bool by_chance(const struct naive *naive)
{
    const char *name = naive->policy->name;
    return (name[0] == 'r' && strcmp(name, "rr") != 0) || strncmp(name, "wrand", 5) == 0;
}

static uint32_t place(const struct naive *naive, uint64_t key, uint64_t since)
{
    uint32_t low = 0;
    uint32_t high = naive->n;
    while (low < high) {
        uint32_t mid = (low + high) / 2;
        const struct naive_entry *e = &naive->at[mid];
        if (e->key < key || (e->key == key && e->since < since)) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    return low;
}

static void insert(struct naive *naive, struct naive_entry entry)
{
    uint32_t i = place(naive, entry.key, entry.since);
    memmove(naive->at + i + 1, naive->at + i, (naive->n - i) * sizeof(naive->at[0]));
    naive->at[i] = entry;
    naive->n++;
}

void naive_put(struct naive *naive, uint32_t id, uint32_t value)
{
    bool keyed = naive->policy->word_count > 0;
    (void)pthread_mutex_lock(&naive->lock);
    insert(naive,
           (struct naive_entry){.key = keyed ? value : 0, .since = naive->clock++, .id = id});
    (void)pthread_mutex_unlock(&naive->lock);
}

void naive_fill(struct naive *naive, uint32_t policy, uint32_t n)
{
    naive_init(naive, policy, n);
    for (uint32_t i = 0; i < n; i++) {
        /* In the order of the keys, else a million would take hours. */
        naive_put(naive, bench_id(i), (uint32_t)((uint64_t)UINT32_MAX * i / n));
    }
}

static uint32_t index_of(const struct naive *naive, uint32_t id)
{
    uint32_t i = 0;
    while (naive->at[i].id != id) {
        i++;
    }
    return i;
}

void naive_find(struct naive *naive, uint32_t id)
{
    (void)pthread_mutex_lock(&naive->lock);
    bench_sink += index_of(naive, id);
    (void)pthread_mutex_unlock(&naive->lock);
}

void naive_update(struct naive *naive, uint32_t id, uint32_t value)
{
    (void)pthread_mutex_lock(&naive->lock);
    uint32_t i = index_of(naive, id);
    struct naive_entry e = naive->at[i];
    naive->n--;
    memmove(naive->at + i, naive->at + i + 1, (naive->n - i) * sizeof(e));
    e.key = naive->policy->word_count > 0 ? value : 0;
    e.since = naive->clock++;
    insert(naive, e);
    (void)pthread_mutex_unlock(&naive->lock);
}

static uint32_t draw(const struct naive *naive, struct rnd *rnd)
{
    uint64_t sum = 0;
    uint32_t i = 0;
    if (naive->policy->word_count == 0) {
        return (uint32_t)rnd_below(rnd, naive->n);
    }
    for (uint32_t j = 0; j < naive->n; j++) {
        sum += naive->at[j].key;
    }
    uint64_t at = rnd_below(rnd, sum);
    while (at >= naive->at[i].key) {
        at -= naive->at[i++].key;
    }
    return i;
}

void naive_select(void *ctx, uint32_t count)
{
    struct naive *naive = (struct naive *)ctx;
    static _Thread_local struct rnd rnd = {.state = 1};
    for (uint32_t i = 0; i < count; i++) {
        (void)pthread_mutex_lock(&naive->lock);
        if (by_chance(naive)) {
            bench_sink += naive->at[draw(naive, &rnd)].id;
        } else {
            struct naive_entry first = naive->at[0];
            memmove(naive->at, naive->at + 1, (naive->n - 1) * sizeof(naive->at[0]));
            naive->n--;
            first.since = naive->clock++;
            insert(naive, first);
            bench_sink += first.id;
        }
        (void)pthread_mutex_unlock(&naive->lock);
    }
}
