/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/rspd/insides.h"

#include "rspd/registrar/rg_internal.h"

static const char *heap(const struct rg *rg)
{
    const struct rg_heap *h = &rg->heap;
    HOLDS(h->n <= h->owners && h->owners <= h->size, "timers without room");
    HOLDS(h->owners == rg->pes.count + rg->topics.count, "timers of nobody");
    for (uint32_t i = 0; i < h->n; i++) {
        HOLDS(h->timers[i]->index == i, "a timer that is elsewhere");
        HOLDS(i == 0 || !tm_before(h->timers[i]->at, h->timers[(i - 1) / 2]->at),
              "timers out of order");
    }
    return NULL;
}

static bool in_order(const struct rg_table *table)
{
    size_t n = 0;
    for (size_t i = 0; i < table->size; i++) {
        for (const struct rg_node *node = table->buckets[i]; node != NULL; node = node->next) {
            n++;
            if ((node->hash & (table->size - 1)) != i) {
                return false;
            }
        }
    }
    return n == table->count;
}

static const char *element(const struct rg *rg, const struct rg_pe *pe, uint32_t *timers)
{
    struct pool_handle handle = rg_pe_name(pe);
    bool runs = pe->timer.index != RG_TIMER_OFF;
    const struct rg_doubt *doubt = rg_pe_doubt(pe);
    *timers += runs ? 1 : 0;
    HOLDS(runs == (pe->state != RG_PE_IDLE), "a watch without timer, or the other way round");
    HOLDS(pe->timer.kind == RG_TIMER_PE, "the timer of a PE is another one");
    HOLDS(rg_pe_find(rg, handle, rg_pe_id(pe)) == pe, "a PE that is not found, or there twice");
    HOLDS(!pe->disputed || pe->state == RG_PE_PENDING, "disputed without being asked");
    HOLDS(!pe->foreign || !pe->disputed, "another's and disputed at once");
    HOLDS(doubt == NULL || doubt->reporter_count <= doubt->reporter_size,
          "reports beyond the room");
    HOLDS(doubt == NULL || doubt->reporter_size <= RG_REPORTERS_MAX, "room for too many reports");
    HOLDS(doubt == NULL || doubt->disputes <= RG_DISPUTES_MAX, "disputed too often");
    return NULL;
}

static const char *topic(const struct rg_topic *topic, uint32_t *timers, uint32_t *subs)
{
    uint32_t n = 0;
    *timers += topic->timer.index != RG_TIMER_OFF ? 1 : 0;
    HOLDS(topic->timer.kind == RG_TIMER_TOPIC, "the timer of a pool is another one");
    HOLDS(topic->subs != NULL, "a pool nobody is told of");
    for (const struct rg_sub *sub = topic->subs; sub != NULL; sub = sub->topic_next) {
        n++;
        HOLDS(sub->topic == topic && *sub->topic_link == sub, "a subscription of another pool");
    }
    HOLDS(n == topic->sub_count, "subscribers are counted wrongly");
    *subs += n;
    return NULL;
}

static const char *association(const struct rg *rg, const struct rg_assoc *a, size_t *ways,
                               uint32_t *subs)
{
    bool found = a->id != LOCAL_ASSOC && a->port != 0;
    uint32_t n = 0;
    *ways += a->way_count;
    HOLDS(rg_assoc_find(rg, a->id) == a, "an association that is not found");
    /* Without memory it has none. */
    HOLDS(a->way_count == 0 || (found && a->way_count == a->peer_count),
          "an association nobody finds by address");
    HOLDS(a->peer_count <= RG_PEERS_MAX, "too many addresses");
    HOLDS(a->id == LOCAL_ASSOC || a->malformed <= RG_MALFORMED_MAX, "too much was borne");
    for (const struct rg_sub *sub = a->subs; sub != NULL; sub = sub->assoc_next) {
        n++;
        HOLDS(sub->assoc == a && *sub->assoc_link == sub, "somebody else's subscription");
    }
    HOLDS(n == a->sub_count && n <= RG_SUBSCRIPTIONS_MAX, "subscriptions are counted wrongly");
    *subs += n;
    return NULL;
}

#define EACH(table, node)                                                                          \
    for (size_t i = 0; wrong == NULL && i < (table)->size; i++)                                    \
        for (const struct rg_node *node = (table)->buckets[i]; wrong == NULL && node != NULL;      \
             node = node->next)

const char *insides_of_registrar(const struct rg *rg)
{
    uint32_t timers = 0;
    uint32_t by_topic = 0;
    uint32_t by_assoc = 0;
    size_t ways = 0;
    const char *wrong = heap(rg);
    HOLDS(in_order(&rg->assocs) && in_order(&rg->pes) && in_order(&rg->names) &&
              in_order(&rg->topics) && in_order(&rg->ways) && in_order(&rg->principals),
          "a table is out of order");
    EACH(&rg->pes, node)
    {
        wrong = element(rg, (const struct rg_pe *)(const void *)node, &timers);
    }
    EACH(&rg->topics, node)
    {
        wrong = topic((const struct rg_topic *)(const void *)node, &timers, &by_topic);
    }
    EACH(&rg->assocs, node)
    {
        wrong = association(rg, (const struct rg_assoc *)(const void *)node, &ways, &by_assoc);
    }
    HOLDS(wrong == NULL, wrong);
    HOLDS(timers == rg->heap.n, "a timer runs that nobody owns");
    HOLDS(by_topic == by_assoc, "a subscription of one side only");
    HOLDS(ways == rg->ways.count, "ways that lead nowhere");
    HOLDS(rg->events.tokens <= RG_EVENT_BURST, "more events than may be said");
    return NULL;
}
