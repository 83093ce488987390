/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handle resolution for the PUs of this host (RFC 5352 §3.3, 3.7.2; asap.md §5.4, 5.8).
 *
 * Where this process is registrar its handlespace answers at once. Otherwise a fresh cache entry
 * does; else one HANDLE_RESOLUTION per pool is on its way at a time, and all who ask for the pool
 * meanwhile wait behind it. While that registrar joins the scope it does not know what there is:
 * who asks for a pool it has not heard of waits until it has joined. T1: the request is repeated
 * and a hunt runs beside it; after the last repeat the home is given up. What the cache
 * still knows answers when the registrar takes long (AG_STALE_WAIT_MS) or none is there.
 */
#include "rspd/agent/ag_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct ag_waiter **waiter_bucket(struct ag *ag, uint64_t request)
{
    return &ag->waiter_buckets[(request ^ request >> 20) % AG_BUCKETS];
}

static struct ag_waiter *waiter_find(struct ag *ag, uint64_t request)
{
    struct ag_waiter *w = *waiter_bucket(ag, request);
    while (w != NULL && w->request != request) {
        w = w->hash_next;
    }
    return w;
}

static void waiter_free(struct ag *ag, struct ag_waiter *waiter)
{
    struct ag_pool *pool = waiter->pool;
    struct ag_waiter **at = waiter_bucket(ag, waiter->request);
    while (*at != waiter) {
        at = &(*at)->hash_next;
    }
    *at = waiter->hash_next;
    for (at = &pool->waiters; *at != waiter; at = &(*at)->pool_next) {
    }
    *at = waiter->pool_next;
    ag->waiter_count--;
    free(waiter);
    ag_pool_touch(ag, pool);
}

static struct ag_waiter *waiter_new(struct ag *ag, const struct ag_query *query, uint64_t request)
{
    if (ag->waiter_count >= AG_WAITERS_MAX || waiter_find(ag, request) != NULL) {
        return NULL;
    }
    struct ag_waiter *waiter = calloc(1, sizeof(*waiter));
    struct ag_pool *pool = waiter != NULL ? ag_pool_get(ag, query->handle) : NULL;
    if (pool == NULL) {
        free(waiter);
        return NULL;
    }
    waiter->request = request;
    waiter->query = *query;
    waiter->query.handle = pool->handle;
    waiter->pool = pool;
    waiter->pool_next = pool->waiters;
    pool->waiters = waiter;
    struct ag_waiter **bucket = waiter_bucket(ag, request);
    waiter->hash_next = *bucket;
    *bucket = waiter;
    ag->waiter_count++;
    return waiter;
}

/* --- failures -----------------------------------------------------------------------------------
 */

uint64_t ag_failure_event(struct ag *ag, const struct ag_query *query, int result, const char *text,
                          struct tm_us now)
{
    uint64_t key = ag_hash(ag, query->handle, 0);
    struct ag_failure *slot = &ag->failures[key % AG_FAILURE_SLOTS];
    if (slot->event != 0 && slot->key == key && slot->result == result &&
        tm_diff_ms(now, slot->at) < AG_FAILURE_EVENT_MS) {
        return slot->event;
    }
    *slot = (struct ag_failure){.key = key, .result = result, .at = now};
    slot->event = outbox_event(ag->out, EVENT_RESOLUTION_FAILED, query->handle, query->want_pe,
                               ag->home.id, "%s", text);
    return slot->event;
}

static const char *failure_text(int result)
{
    switch (result) {
    case -ENOENT:
        return "no such pool is known in the scope";
    case -ECONNREFUSED:
        return "the pool has no element that may be used now";
    case -EAFNOSUPPORT:
        return "no element of the pool has an address of the family the program's socket has";
    case -EPROTOTYPE:
        return "no element of the pool speaks the transport of the program's socket";
    case -ENAMETOOLONG:
        return "the pool handle is longer than the scope allows";
    case -EAGAIN:
        return "no registrar answers, and nothing is known of the pool";
    default:
        return "the pool handle is empty";
    }
}

static void explain(struct ag *ag, const struct ag_query *query, struct ag_answer *ret,
                    struct tm_us now)
{
    if (ret->result != 0 && ret->event == 0) {
        ret->event = ag_failure_event(ag, query, ret->result, failure_text(ret->result), now);
    }
}

/* From what is known although no registrar confirms it; 0 when nothing does. */
static bool answer_stale(struct ag *ag, const struct ag_query *query, struct tm_us now,
                         struct ag_answer *ret)
{
    ag_select(ag, ag->cache, query, now, ret);
    if (ret->result != 0) {
        return false;
    }
    ret->event =
        ag_failure_event(ag, query, 0, "no registrar answers: served from what was known", now);
    return true;
}

/* --- asking ------------------------------------------------------------------------------------
 */

static void send_resolution(struct ag *ag, struct ag_pool *pool)
{
    asap_message_init(&ag->tx, ASAP_HANDLE_RESOLUTION);
    ag->tx.flags = ag->set.dynamic_updates ? ASAP_FLAG : 0; /* S */
    ag->tx.has_handle = true;
    ag->tx.handle = pool->handle;
    ag->tx.has_items = ag->set.resolve_items != 0; /* */
    ag->tx.items = ag->set.resolve_items;
    ag_send_tx(ag, ag->home.assoc);
}

static bool cached(struct ag *ag, struct ag_pool *pool)
{
    struct hs_pool_info info;
    if (ag->cache == NULL) {
        return false;
    }
    hs_read_begin();
    bool there = hs_pool(ag->cache, pool->handle, &info);
    hs_read_end();
    return there;
}

/* When a request without any registrar is given up. */
static struct tm_us patience(const struct ag *ag)
{
    return tm_add_ms(ag->hunt.since, ag->set.t1_request_ms);
}

static void ask(struct ag *ag, struct ag_pool *pool, struct tm_us now)
{
    struct tm_us t1 = tm_add_ms(now, ag->set.t1_request_ms);
    pool->asking = true;
    pool->repeats = 0;
    if (ag->local_hs != NULL) {
        return; /* it joins: ag_local_joining() or the loss of it goes on */
    }
    if (ag->home.assoc != 0) {
        send_resolution(ag, pool);
    } else {
        t1 = patience(ag);
    }
    ag_timer_set(&ag->timers, &pool->t1, AG_TIMER_T1, t1);
}

static void wake_one(struct ag *ag, struct ag_waiter *waiter, bool unanswered)
{
    waiter->ready = true;
    waiter->unanswered = unanswered;
    struct action *action = outbox_add(ag->out, ACTION_RESOLVED);
    if (action != NULL) {
        action->request = waiter->request;
        action->result = unanswered ? -EAGAIN : 0;
    }
}

/* All who wait for the pool may fetch their answer. */
static void wake(struct ag *ag, struct ag_pool *pool, bool unanswered)
{
    for (struct ag_waiter *w = pool->waiters; w != NULL; w = w->pool_next) {
        if (!w->ready) {
            wake_one(ag, w, unanswered);
        }
    }
    ag_timer_stop(&ag->timers, &pool->stale);
}

/* Those who wait and whom the stale entry can serve. */
static void wake_stale(struct ag *ag, struct ag_pool *pool, struct tm_us now)
{
    struct ag_answer answer;
    for (struct ag_waiter *w = pool->waiters; w != NULL; w = w->pool_next) {
        if (w->ready) {
            continue;
        }
        ag_select(ag, ag->cache, &w->query, now, &answer);
        if (answer.result == 0) {
            wake_one(ag, w, true);
        }
    }
}

static void stop_asking(struct ag *ag, struct ag_pool *pool, bool unanswered)
{
    pool->asking = false;
    ag_timer_stop(&ag->timers, &pool->t1);
    wake(ag, pool, unanswered);
    ag_pool_touch(ag, pool);
}

void ag_resolution_t1(struct ag *ag, struct ag_pool *pool, struct tm_us now)
{
    if (ag->home.assoc == 0) {
        stop_asking(ag, pool, true);
        return;
    }
    if (++pool->repeats > ag->set.max_request_retransmits) {
        stop_asking(ag, pool, true);
        if (!ag_home_is_local(ag)) {
            ag_home_lost(ag, true, "it answered no resolution", now);
        }
        return;
    }
    send_resolution(ag, pool);
    ag_timer_set(&ag->timers, &pool->t1, AG_TIMER_T1, tm_add_ms(now, ag->set.t1_request_ms));
    ag_hunt_start(ag, true, now);
}

void ag_resolution_stale(struct ag *ag, struct ag_pool *pool, struct tm_us now)
{
    wake_stale(ag, pool, now);
}

static struct ag_pool *next_asking(struct ag *ag, uint32_t *bucket, struct ag_pool *after)
{
    struct ag_pool *p = after != NULL ? after->hash_next : ag->pool_buckets[*bucket];
    for (;;) {
        for (; p != NULL; p = p->hash_next) {
            if (p->asking) {
                return p;
            }
        }
        if (++*bucket >= AG_BUCKETS) {
            return NULL;
        }
        p = ag->pool_buckets[*bucket];
    }
}

void ag_resolution_home(struct ag *ag, struct tm_us now)
{
    uint32_t bucket = 0;
    struct ag_pool *pool = next_asking(ag, &bucket, NULL);
    while (pool != NULL) {
        struct ag_pool *next = next_asking(ag, &bucket, pool);
        if (ag->local_hs != NULL && !ag->local_joining) {
            stop_asking(ag, pool, false);
        } else if (ag->local_hs == NULL) {
            send_resolution(ag, pool);
            ag_timer_set(&ag->timers, &pool->t1, AG_TIMER_T1,
                         tm_add_ms(now, ag->set.t1_request_ms));
        }
        pool = next;
    }
}

void ag_resolution_home_lost(struct ag *ag, struct tm_us now)
{
    uint32_t bucket = 0;
    struct ag_pool *pool = next_asking(ag, &bucket, NULL);
    while (pool != NULL) {
        wake_stale(ag, pool, now);
        if (pool->t1.place == 0) {
            ag_timer_set(&ag->timers, &pool->t1, AG_TIMER_T1,
                         tm_add_ms(now, ag->set.t1_request_ms));
        }
        pool = next_asking(ag, &bucket, pool);
    }
}

void ag_local_joining(struct ag *ag, bool joining)
{
    uint32_t bucket = 0;
    ag->local_joining = joining;
    struct ag_pool *pool = !joining ? next_asking(ag, &bucket, NULL) : NULL;
    while (pool != NULL && ag->local_hs != NULL) {
        struct ag_pool *next = next_asking(ag, &bucket, pool);
        stop_asking(ag, pool, false);
        pool = next;
    }
}

/* --- answers -----------------------------------------------------------------------------------
 */

void ag_resolution_response(struct ag *ag, struct asap_message *msg, struct tm_us now)
{
    struct ag_pool *pool = ag_pool_find(ag, msg->handle);
    if (pool == NULL || (!pool->asking && !ag->set.dynamic_updates)) {
        return;
    }
    pool = ag_pool_get(ag, msg->handle); /* nothing may evict it now */
    bool negative = msg->cause_count > 0;
    if (negative && rsp_cause_map(msg->causes[0].code) != CAUSE_UNKNOWN_POOL_HANDLE) {
        /* Not willing to answer: what is known must do. */
        stop_asking(ag, pool, true);
        return;
    }
    if (negative) {
        msg->element_count = 0; /* the error alone decides (asap.md §4.6) */
    }
    ag_pool_update(ag, pool, msg, now);
    if (ag->hunt.running && ag->hunt.parallel) {
        ag_hunt_stop(ag); /* the home answers after all */
    }
    stop_asking(ag, pool, false);
}

/* --- for the owner -----------------------------------------------------------------------------
 */

static int check(const struct ag *ag, const struct ag_query *query)
{
    if (query->handle.len > ag->set.handle_max || query->handle.len > POOL_HANDLE_MAX) {
        return -ENAMETOOLONG;
    }
    return query->handle.len == 0 ? -EINVAL : 0;
}

static void remember(struct ag *ag, struct pool_handle handle)
{
    struct ag_pool *pool = ag_pool_get(ag, handle);
    if (pool != NULL) {
        ag_pool_seen(pool);
        ag_pool_touch(ag, pool);
    }
}

/* Until when the cache's answer is good enough for this query. */
static struct tm_us good_until(const struct ag *ag, const struct ag_query *query,
                               const struct ag_pool *pool)
{
    if (!query->has_max_age || pool->fresh_until.us < 0) { /* never fetched, or flushed */
        return pool->fresh_until;
    }
    int64_t longer_ms = (int64_t)query->max_age_ms - (int64_t)ag->set.stale_cache_ms;
    return tm_add_ms(pool->fresh_until, longer_ms);
}

/* Answers without a registrar's help; false: one must be asked. */
static bool answer_now(struct ag *ag, const struct ag_query *query, struct tm_us now,
                       struct ag_answer *ret)
{
    if (ag->local_hs != NULL) {
        ag_select(ag, ag->local_hs, query, now, ret);
        if (ret->result != -ENOENT) {
            remember(ag, query->handle);
        }
        return !ag->local_joining || (ret->result != -ENOENT && ret->result != -ECONNREFUSED);
    }
    struct ag_pool *pool = ag_pool_find(ag, query->handle);
    if (pool != NULL && tm_before(now, good_until(ag, query, pool))) {
        ag_select(ag, ag->cache, query, now, ret);
        /* Elements fail faster than entries age: when all have, it is asked for again at once,
         * unless the registrar has just said the same. */
        if (ret->result != -ECONNREFUSED || tm_diff_ms(now, pool->useless) < AG_RECHECK_MS) {
            if (pool->listed) {
                ag_pool_touch(ag, pool);
            }
            return true;
        }
    }
    if (ag->home.assoc != 0) {
        return false;
    }
    if (answer_stale(ag, query, now, ret)) {
        return true;
    }
    ret->result = -EAGAIN;
    return !ag->hunt.running || tm_due(patience(ag), now);
}

int ag_resolve(struct ag *ag, const struct ag_query *query, uint64_t request, struct tm_us now,
               struct ag_answer *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->result = check(ag, query);
    if (ret->result != 0 || answer_now(ag, query, now, ret)) {
        explain(ag, query, ret, now);
        return 1;
    }
    struct ag_waiter *waiter = waiter_new(ag, query, request);
    if (waiter == NULL) {
        memset(ret, 0, sizeof(*ret));
        ret->result = -EAGAIN;
        ret->event =
            ag_failure_event(ag, query, -EAGAIN, "too many resolutions are under way", now);
        return 1;
    }
    struct ag_pool *pool = waiter->pool;
    if (!pool->asking) {
        ask(ag, pool, now);
    }
    if (ag->set.stale_cache_ms > 0 && pool->stale.place == 0 && cached(ag, pool)) {
        ag_timer_set(&ag->timers, &pool->stale, AG_TIMER_STALE, tm_add_ms(now, AG_STALE_WAIT_MS));
    }
    return 0;
}

bool ag_resolve_take(struct ag *ag, uint64_t request, struct tm_us now, struct ag_answer *ret)
{
    struct ag_waiter *waiter = waiter_find(ag, request);
    if (waiter == NULL || !waiter->ready) {
        return false;
    }
    memset(ret, 0, sizeof(*ret));
    if (ag->local_hs != NULL) {
        ag_select(ag, ag->local_hs, &waiter->query, now, ret);
    } else if (!waiter->unanswered) {
        ag_select(ag, ag->cache, &waiter->query, now, ret);
        if (ret->result != 0) {
            waiter->pool->useless = now;
        }
    } else if (!answer_stale(ag, &waiter->query, now, ret)) {
        ret->result = -EAGAIN;
    }
    explain(ag, &waiter->query, ret, now);
    waiter_free(ag, waiter);
    return true;
}

void ag_resolve_cancel(struct ag *ag, uint64_t request)
{
    struct ag_waiter *waiter = waiter_find(ag, request);
    if (waiter != NULL) {
        waiter_free(ag, waiter);
    }
}

void ag_resolution_free(struct ag *ag)
{
    for (uint32_t i = 0; i < AG_BUCKETS; i++) {
        while (ag->waiter_buckets[i] != NULL) {
            waiter_free(ag, ag->waiter_buckets[i]);
        }
    }
}
