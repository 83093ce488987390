/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Containers of the registrar: hash tables of embedded nodes, a heap of embedded timers. */
#include "rspd/registrar/rg_internal.h"

#include <stdlib.h>

#define BUCKETS_MIN 64

bool rg_table_init(struct rg_table *table)
{
    *table = (struct rg_table){.buckets = calloc(BUCKETS_MIN, sizeof(void *)), .size = BUCKETS_MIN};
    return table->buckets != NULL;
}

void rg_table_done(struct rg_table *table)
{
    free(table->buckets);
}

/* Without memory the table stays as it is: slower, not wrong. */
static void grow(struct rg_table *table)
{
    size_t size = table->size * 2;
    struct rg_node **buckets = calloc(size, sizeof(void *));
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < table->size; i++) {
        struct rg_node *node = table->buckets[i];
        while (node != NULL) {
            struct rg_node *next = node->next;
            node->next = buckets[node->hash & (size - 1)];
            buckets[node->hash & (size - 1)] = node;
            node = next;
        }
    }
    free(table->buckets);
    table->buckets = buckets;
    table->size = size;
}

void rg_table_add(struct rg_table *table, struct rg_node *node, uint64_t hash)
{
    if (table->count >= 2 * table->size) {
        grow(table);
    }
    node->hash = (uint32_t)hash;
    node->next = table->buckets[hash & (table->size - 1)];
    table->buckets[hash & (table->size - 1)] = node;
    table->count++;
}

void rg_table_remove(struct rg_table *table, struct rg_node *node)
{
    struct rg_node **link = &table->buckets[node->hash & (table->size - 1)];
    while (*link != node) {
        link = &(*link)->next;
    }
    *link = node->next;
    table->count--;
}

struct rg_node *rg_table_first(const struct rg_table *table, uint64_t hash)
{
    return table->buckets[hash & (table->size - 1)];
}

struct rg_node *rg_table_any(const struct rg_table *table)
{
    for (size_t i = 0; i < table->size && table->count > 0; i++) {
        if (table->buckets[i] != NULL) {
            return table->buckets[i];
        }
    }
    return NULL;
}

bool rg_timer_join(struct rg_heap *heap, struct rg_timer *timer, enum rg_timer_kind kind)
{
    if (heap->owners == heap->size) {
        uint32_t size = heap->size > 0 ? heap->size * 2 : 16;
        struct rg_timer **timers = reallocarray(heap->timers, size, sizeof(void *));
        if (timers == NULL) {
            return false;
        }
        heap->timers = timers;
        heap->size = size;
    }
    heap->owners++;
    *timer = (struct rg_timer){.at = TM_NEVER, .index = RG_TIMER_OFF, .kind = kind};
    return true;
}

void rg_timer_leave(struct rg_heap *heap, struct rg_timer *timer)
{
    rg_timer_set(heap, timer, TM_NEVER);
    heap->owners--;
}

static void place(struct rg_heap *heap, uint32_t i, struct rg_timer *timer)
{
    heap->timers[i] = timer;
    timer->index = i;
}

static void settle(struct rg_heap *heap, uint32_t i, struct rg_timer *timer)
{
    while (i > 0 && tm_before(timer->at, heap->timers[(i - 1) / 2]->at)) {
        place(heap, i, heap->timers[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t least = 2 * i + 1;
        if (least + 1 < heap->n &&
            tm_before(heap->timers[least + 1]->at, heap->timers[least]->at)) {
            least++;
        }
        if (least >= heap->n || !tm_before(heap->timers[least]->at, timer->at)) {
            break;
        }
        place(heap, i, heap->timers[least]);
        i = least;
    }
    place(heap, i, timer);
}

void rg_timer_set(struct rg_heap *heap, struct rg_timer *timer, struct tm_us at)
{
    uint32_t i = timer->index;
    timer->at = at;
    if (!tm_is_never(at)) {
        settle(heap, i != RG_TIMER_OFF ? i : heap->n++, timer);
    } else if (i != RG_TIMER_OFF) {
        struct rg_timer *last = heap->timers[--heap->n];
        timer->index = RG_TIMER_OFF;
        if (last != timer) {
            settle(heap, i, last);
        }
    }
}

struct rg_timer *rg_timer_first(const struct rg_heap *heap)
{
    return heap->n > 0 ? heap->timers[0] : NULL;
}
