/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What both SCTP backends have in common: the choice between them, association numbers, bounded
 * send queues, re-assembly, and ends that come to an end.
 */
#include "transport/tp_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPENER_BITS (UINT64_C(3) << 62)

/* ---- tables and lists ---- */

static uint64_t key_of(const struct tp_assoc *a, enum tp_key key)
{
    return key == TP_BY_NUMBER ? a->number : (uint64_t)a->id;
}

static size_t slot_of(const struct tp_table *t, uint64_t key)
{
    return (size_t)((key * UINT64_C(0x9e3779b97f4a7c15)) >> 32) & t->mask;
}

static struct tp_assoc *table_find(const struct tp_table *t, enum tp_key key, uint64_t value)
{
    if (t->slots == NULL) {
        return NULL;
    }
    for (struct tp_assoc *a = t->slots[slot_of(t, value)]; a != NULL; a = a->chain[key]) {
        if (key_of(a, key) == value) {
            return a;
        }
    }
    return NULL;
}

static int table_grow(struct tp_table *t, enum tp_key key)
{
    struct tp_table bigger = {.mask = t->slots != NULL ? t->mask * 2 + 1 : 15, .count = t->count};
    bigger.slots = calloc(bigger.mask + 1, sizeof(struct tp_assoc *));
    if (bigger.slots == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; t->slots != NULL && i <= t->mask; i++) {
        for (struct tp_assoc *a = t->slots[i], *next; a != NULL; a = next) {
            size_t slot = slot_of(&bigger, key_of(a, key));
            next = a->chain[key];
            a->chain[key] = bigger.slots[slot];
            bigger.slots[slot] = a;
        }
    }
    free(t->slots);
    *t = bigger;
    return 0;
}

static int table_add(struct tp_table *t, enum tp_key key, struct tp_assoc *a)
{
    if ((t->slots == NULL || t->count > t->mask) && table_grow(t, key) < 0 && t->slots == NULL) {
        return -ENOMEM;
    }
    size_t slot = slot_of(t, key_of(a, key));
    a->chain[key] = t->slots[slot];
    t->slots[slot] = a;
    t->count++;
    return 0;
}

static void table_remove(struct tp_table *t, enum tp_key key, struct tp_assoc *a)
{
    if (t->slots == NULL) {
        return;
    }
    for (struct tp_assoc **p = &t->slots[slot_of(t, key_of(a, key))]; *p != NULL;
         p = &(*p)->chain[key]) {
        if (*p == a) {
            *p = a->chain[key];
            t->count--;
            return;
        }
    }
}

void tp_list_add(struct tp_list *list, enum tp_lists which, struct tp_assoc *a)
{
    struct tp_link *link = &a->links[which];
    if (link->in) {
        return;
    }
    *link = (struct tp_link){.prev = list->tail, .next = NULL, .in = true};
    if (list->tail != NULL) {
        list->tail->links[which].next = a;
    } else {
        list->head = a;
    }
    list->tail = a;
}

void tp_list_remove(struct tp_list *list, enum tp_lists which, struct tp_assoc *a)
{
    struct tp_link *link = &a->links[which];
    if (!link->in) {
        return;
    }
    if (link->prev != NULL) {
        link->prev->links[which].next = link->next;
    } else {
        list->head = link->next;
    }
    if (link->next != NULL) {
        link->next->links[which].prev = link->prev;
    } else {
        list->tail = link->prev;
    }
    *link = (struct tp_link){0};
}

struct tp_assoc *tp_assoc_by_id(struct tp_endpoint *ep, int64_t id)
{
    return table_find(&ep->tables[TP_BY_ID], TP_BY_ID, (uint64_t)id);
}

struct tp_assoc *tp_assoc_next(struct tp_endpoint *ep, size_t *cursor, struct tp_assoc *last)
{
    const struct tp_table *t = &ep->tables[TP_BY_ID];
    if (last != NULL && last->chain[TP_BY_ID] != NULL) {
        return last->chain[TP_BY_ID];
    }
    while (t->slots != NULL && *cursor <= t->mask) {
        struct tp_assoc *a = t->slots[(*cursor)++];
        if (a != NULL) {
            /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): a freed one is in no table any more */
            return a;
        }
    }
    return NULL;
}

int tp_assoc_identify(struct tp_assoc *a, int64_t id)
{
    struct tp_table *t = &a->ep->tables[TP_BY_ID];
    if (table_find(t, TP_BY_ID, (uint64_t)id) != NULL) {
        return -EEXIST;
    }
    if (a->id >= 0) { /* what follows cannot fail then: a slot has just become free */
        table_remove(t, TP_BY_ID, a);
    }
    a->id = id;
    int r = table_add(t, TP_BY_ID, a);
    if (r < 0) {
        a->id = -1;
    }
    return r;
}

/* ---- associations ---- */

static struct tp_assoc *assoc_new(struct tp_endpoint *ep, uint64_t number, enum tp_state state)
{
    struct tp_assoc *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return NULL;
    }
    a->ep = ep;
    a->number = number;
    a->id = -1;
    a->state = state;
    a->queue_tail = &a->queue;
    a->deadline = TM_NEVER;
    if (number != 0 && table_add(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, a) < 0) {
        free(a);
        return NULL;
    }
    return a;
}

static unsigned queue_drop(struct tp_assoc *a)
{
    unsigned dropped = 0;
    while (a->queue != NULL) {
        struct tp_queued *q = a->queue;
        a->queue = q->next;
        free(q);
        dropped++;
    }
    a->queue_tail = &a->queue;
    a->ep->tp->queued_bytes -= a->queued_bytes;
    a->queued_bytes = 0;
    tp_list_remove(&a->ep->blocked, TP_LIST_BLOCKED, a);
    return dropped;
}

/* Takes the number away: from now on the caller does not know the association. */
static void assoc_forget(struct tp_assoc *a)
{
    struct tp_endpoint *ep = a->ep;
    if (a->number == 0) {
        return;
    }
    table_remove(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, a);
    a->number = 0;
    if (a->state == TP_UP) {
        ep->tp->stats.associations--;
    }
    if (a->accepted) {
        ep->accepted--;
    }
}

static void assoc_free(struct tp_assoc *a)
{
    struct tp_endpoint *ep = a->ep;
    assoc_forget(a);
    (void)queue_drop(a);
    tp_list_remove(&ep->tp->ending, TP_LIST_ENDING, a);
    if (ep->tp->ops->gone != NULL) {
        ep->tp->ops->gone(a);
    }
    if (a->id >= 0) {
        table_remove(&ep->tables[TP_BY_ID], TP_BY_ID, a);
    }
    free(a->part);
    free(a->list);
    free(a);
}

static void ending_arm(struct tp *tp)
{
    (void)loop_timer_set(tp->ending_timer,
                         tp->ending.head != NULL ? tp->ending.head->deadline : TM_NEVER);
}

/* The stack takes too long, or never said goodbye to an aborted one. */
static void on_ending_timer(void *ctx, struct tm_us now)
{
    struct tp *tp = ctx;
    /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): assoc_free() takes it off the list */
    while (tp->ending.head != NULL && tm_due(tp->ending.head->deadline, now)) {
        struct tp_assoc *a = tp->ending.head;
        (void)tp->ops->end(a, true);
        assoc_free(a);
    }
    ending_arm(tp);
}

/* Records that the caller has given up stay until the stack has, but not for ever. */
static void assoc_end(struct tp_assoc *a, bool abort)
{
    struct tp *tp = a->ep->tp;
    bool opening = a->state == TP_OPENING;
    assoc_forget(a);
    if (a->id < 0) {
        assoc_free(a);
        return;
    }
    a->state = TP_ENDING;
    a->deadline = tm_add_ms(loop_now(tp->loop), TP_ENDING_MS);
    tp_list_add(&tp->ending, TP_LIST_ENDING, a);
    ending_arm(tp);
    if (abort || opening) {
        tp->stats.failed_sends += queue_drop(a);
    }
    if (a->queue == NULL) {
        a->end_sent = true;
        if (tp->ops->end(a, abort || opening) < 0) {
            assoc_free(a); /* the stack does not know it any more */
        }
    }
}

/* ---- what the backends tell ---- */

void tp_pin(struct tp_endpoint *ep)
{
    ep->pins++;
}

static void endpoint_free(struct tp_endpoint *ep)
{
    free(ep->tables[TP_BY_NUMBER].slots);
    free(ep->tables[TP_BY_ID].slots);
    free(ep);
}

void tp_unpin(struct tp_endpoint *ep)
{
    if (--ep->pins == 0 && ep->closed) {
        endpoint_free(ep);
    }
}

static struct tp_assoc *accept_new(struct tp_endpoint *ep, int64_t id)
{
    struct tp *tp = ep->tp;
    bool full = ep->accepted >= TP_ACCEPTED_MAX;
    struct tp_assoc *a = assoc_new(ep, full ? 0 : ++tp->last_accepted, TP_UP);
    if (a == NULL) {
        return NULL;
    }
    if (tp_assoc_identify(a, id) < 0) {
        a->state = TP_OPENING; /* it was not counted yet */
        assoc_free(a);
        return NULL;
    }
    if (full) {
        tp->stats.refused++;
        assoc_end(a, true);
        return NULL;
    }
    a->accepted = true;
    ep->accepted++;
    tp->stats.accepted++;
    tp->stats.associations++;
    return a;
}

void tp_on_up(struct tp_endpoint *ep, int64_t id, const struct ip_address *peers, size_t count,
              uint16_t port)
{
    struct tp_assoc *a = tp_assoc_by_id(ep, id);
    uint64_t number;
    if (a == NULL) {
        a = accept_new(ep, id);
        if (a == NULL) {
            return;
        }
        number = a->number;
    } else if (a->state == TP_OPENING) {
        number = a->number;
        a->state = TP_UP;
        ep->tp->stats.associations++;
        if (a->queue != NULL) {
            tp_list_add(&ep->blocked, TP_LIST_BLOCKED, a);
            (void)tp_flush(ep);
        }
    } else {
        return;
    }
    ep->callbacks.up(ep->ctx, number, peers, count, port);
}

void tp_on_down(struct tp_endpoint *ep, int64_t id, enum tp_down reason)
{
    struct tp_assoc *a = tp_assoc_by_id(ep, id);
    if (a == NULL) {
        return;
    }
    struct tp *tp = ep->tp;
    uint64_t number = a->number;
    unsigned unsent = queue_drop(a);
    if (a->state == TP_OPENING) {
        reason = TP_DOWN_CANT_START;
    }
    bool ending = a->links[TP_LIST_ENDING].in;
    tp->stats.failed_sends += unsent;
    assoc_free(a);
    if (ending) {
        ending_arm(tp);
    }
    if (number == 0) {
        return;
    }
    tp_pin(ep);
    for (; unsent > 0 && !ep->closed && ep->callbacks.send_failed != NULL; unsent--) {
        ep->callbacks.send_failed(ep->ctx, number);
    }
    if (!ep->closed) {
        ep->callbacks.down(ep->ctx, number, reason);
    }
    tp_unpin(ep);
}

static void part_drop(struct tp_assoc *a)
{
    free(a->part);
    a->part = NULL;
    a->part_len = 0;
    a->part_skip = false;
}

/* Appends a piece; a message that is too long is dropped to its end and counted once. */
static void part_add(struct tp_assoc *a, const uint8_t *octets, size_t len)
{
    uint8_t *part = NULL;
    if (a->part_skip) {
        return;
    }
    if (a->part_len + len <= TP_MESSAGE_MAX) {
        part = realloc(a->part, a->part_len + len + 1);
    }
    if (part == NULL) {
        part_drop(a);
        a->part_skip = true;
        a->ep->tp->stats.malformed++;
        return;
    }
    memcpy(part + a->part_len, octets, len);
    a->part = part;
    a->part_len += len;
}

void tp_on_message(struct tp_endpoint *ep, int64_t id, uint32_t ppid, const uint8_t *octets,
                   size_t len, bool end)
{
    struct tp_assoc *a = tp_assoc_by_id(ep, id);
    if (a == NULL || a->state != TP_UP) {
        return;
    }
    if (end && a->part == NULL && !a->part_skip && len <= TP_MESSAGE_MAX) { /* nearly always */
        ep->tp->stats.messages_in++;
        ep->callbacks.message(ep->ctx, a->number, ppid, octets, len);
        return;
    }
    part_add(a, octets, len);
    if (!end) {
        return;
    }
    uint8_t *whole = a->part;
    size_t whole_len = a->part_len;
    a->part = NULL;
    part_drop(a);
    if (whole != NULL) {
        ep->tp->stats.messages_in++;
        ep->callbacks.message(ep->ctx, a->number, ppid, whole, whole_len);
        free(whole);
    }
}

void tp_on_part_aborted(struct tp_endpoint *ep, int64_t id)
{
    struct tp_assoc *a = tp_assoc_by_id(ep, id);
    if (a != NULL) {
        part_drop(a);
    }
}

void tp_on_send_failed(struct tp_endpoint *ep, int64_t id)
{
    struct tp_assoc *a = tp_assoc_by_id(ep, id);
    ep->tp->stats.failed_sends++;
    if (a != NULL && a->number != 0 && ep->callbacks.send_failed != NULL) {
        ep->callbacks.send_failed(ep->ctx, a->number);
    }
}

/* ---- sending ---- */

/* Empties one queue as far as it goes; -EAGAIN when some is left. */
static int queue_flush(struct tp_assoc *a, bool *progress)
{
    struct tp *tp = a->ep->tp;
    while (a->queue != NULL) {
        struct tp_queued *q = a->queue;
        int r = tp->ops->send(a, q->ppid, q->octets, q->len);
        if (r == -EAGAIN) {
            return r;
        }
        *progress = true;
        if (r < 0) { /* it is over; the stack's event is on its way */
            tp->stats.failed_sends++;
        } else {
            tp->stats.messages_out++;
        }
        a->queue = q->next;
        if (a->queue == NULL) {
            a->queue_tail = &a->queue;
        }
        a->queued_bytes -= q->len;
        tp->queued_bytes -= q->len;
        free(q);
    }
    return 0;
}

bool tp_flush(struct tp_endpoint *ep)
{
    bool progress = false;
    for (struct tp_assoc *a = ep->blocked.head, *next; a != NULL; a = next) {
        next = a->links[TP_LIST_BLOCKED].next;
        if (queue_flush(a, &progress) < 0) {
            continue;
        }
        tp_list_remove(&ep->blocked, TP_LIST_BLOCKED, a);
        if (a->state == TP_ENDING && !a->end_sent) {
            a->end_sent = true;
            if (ep->tp->ops->end(a, false) < 0) {
                assoc_free(a);
            }
        }
    }
    ep->tp->ops->want_flush(ep, ep->blocked.head != NULL);
    return progress;
}

static int enqueue(struct tp_assoc *a, uint32_t ppid, const void *octets, size_t len)
{
    struct tp *tp = a->ep->tp;
    if (len > TP_QUEUE_MAX - a->queued_bytes || len > TP_QUEUE_TOTAL_MAX - tp->queued_bytes) {
        tp->stats.failed_sends++;
        return -ENOBUFS;
    }
    struct tp_queued *q = malloc(sizeof(*q) + len);
    if (q == NULL) {
        tp->stats.failed_sends++;
        return -ENOBUFS;
    }
    q->next = NULL;
    q->ppid = ppid;
    q->len = len;
    memcpy(q->octets, octets, len);
    *a->queue_tail = q;
    a->queue_tail = &q->next;
    a->queued_bytes += len;
    tp->queued_bytes += len;
    if (a->state == TP_UP) {
        tp_list_add(&a->ep->blocked, TP_LIST_BLOCKED, a);
        tp->ops->want_flush(a->ep, true);
    }
    return 0;
}

int tp_send(struct tp_endpoint *ep, uint64_t assoc, uint32_t ppid, const void *octets, size_t len)
{
    struct tp_assoc *a = table_find(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, assoc);
    if (a == NULL) {
        return -ENOTCONN;
    }
    if (len == 0 || len > TP_MESSAGE_MAX) {
        return -EMSGSIZE;
    }
    if (a->state == TP_OPENING || a->queue != NULL) {
        return enqueue(a, ppid, octets, len);
    }
    int r = ep->tp->ops->send(a, ppid, octets, len);
    if (r == -EAGAIN) {
        return enqueue(a, ppid, octets, len);
    }
    if (r < 0) {
        ep->tp->stats.failed_sends++;
        return r;
    }
    ep->tp->stats.messages_out++;
    return 0;
}

/* ---- the public rest ---- */

int tp_connect(struct tp_endpoint *ep, uint64_t assoc, const struct ip_address *peers, size_t count,
               uint16_t port)
{
    if ((assoc & OPENER_BITS) == 0 || count == 0 || count > TP_PEERS_MAX || port == 0) {
        return -EINVAL;
    }
    if (table_find(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, assoc) != NULL) {
        return -EEXIST;
    }
    struct tp_assoc *a = assoc_new(ep, assoc, TP_OPENING);
    if (a == NULL) {
        return -ENOMEM;
    }
    int r = ep->tp->ops->connect(a, peers, count, port);
    if (r < 0) {
        assoc_free(a);
    }
    return r;
}

void tp_disconnect(struct tp_endpoint *ep, uint64_t assoc, bool abort)
{
    struct tp_assoc *a = table_find(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, assoc);
    if (a != NULL && assoc != 0) {
        assoc_end(a, abort);
    }
}

int tp_path(struct tp_endpoint *ep, uint64_t assoc, struct tp_path *ret)
{
    struct tp_assoc *a = table_find(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, assoc);
    if (a == NULL || assoc == 0) {
        return -ENOTCONN;
    }
    *ret = (struct tp_path){.encapsulated = false};
    return ep->tp->ops->path(a, ret);
}

int tp_srtt_ms(struct tp_endpoint *ep, uint64_t assoc, uint32_t *ret)
{
    struct tp_assoc *a = table_find(&ep->tables[TP_BY_NUMBER], TP_BY_NUMBER, assoc);
    *ret = 0;
    return a != NULL && assoc != 0 ? ep->tp->ops->srtt(a, ret) : -ENOTCONN;
}

int tp_open(struct tp *tp, const struct ip_address *addresses, size_t count, uint16_t port,
            const struct tp_callbacks *callbacks, void *ctx, struct tp_endpoint **ret)
{
    struct tp_endpoint *ep = calloc(1, sizeof(*ep));
    if (ep == NULL) {
        return -ENOMEM;
    }
    ep->tp = tp;
    ep->callbacks = *callbacks;
    ep->ctx = ctx;
    int r = tp->ops->open(ep, addresses, count, port);
    if (r < 0) {
        free(ep);
        return r;
    }
    ep->next = tp->endpoints;
    tp->endpoints = ep;
    *ret = ep;
    return 0;
}

void tp_close(struct tp_endpoint *ep)
{
    struct tp_assoc *a;
    size_t cursor = 0;
    if (ep == NULL || ep->closed) {
        return;
    }
    struct tp *tp = ep->tp;
    ep->closed = true;
    tp_pin(ep);
    tp->ops->close(ep);
    while ((a = tp_assoc_next(ep, &cursor, NULL)) != NULL) {
        cursor--; /* the slot may hold more */
        assoc_free(a);
    }
    ending_arm(tp);
    for (struct tp_endpoint **p = &tp->endpoints; *p != NULL; p = &(*p)->next) {
        if (*p == ep) {
            *p = ep->next;
            break;
        }
    }
    tp_unpin(ep);
}

uint16_t tp_port(const struct tp_endpoint *ep)
{
    return ep->port;
}

void tp_config_default(struct tp_config *ret)
{
    *ret = (struct tp_config){
        .backend = TP_AUTO,
        .udp_port = 9899,
        .rto_initial_ms = 200,
        .rto_min_ms = 100,
        .rto_max_ms = 200,
        .heartbeat_ms = 300,
        .path_max_retrans = 2,
        .assoc_max_retrans = 3,
        .max_init_retrans = 3,
        .max_init_timeout_ms = 1000,
    };
}

static const struct tp_ops *choose(enum tp_backend *backend)
{
    if (*backend == TP_AUTO) {
        *backend = tp_kernel_available() ? TP_KERNEL : TP_USRSCTP;
    }
    if (*backend == TP_KERNEL) {
        return &tp_kernel_ops;
    }
#ifdef HAVE_USRSCTP
    return &tp_usrsctp_ops;
#else
    return NULL;
#endif
}

int tp_new(struct loop *loop, const struct tp_config *config, struct tp **ret, char *error,
           size_t error_size)
{
    struct tp *tp = calloc(1, sizeof(*tp));
    if (error != NULL && error_size > 0) {
        error[0] = '\0';
    } else {
        error = NULL;
        error_size = 0;
    }
    if (tp == NULL) {
        return -ENOMEM;
    }
    tp->loop = loop;
    tp->config = *config;
    if (tp->config.rto_initial_ms > tp->config.rto_max_ms) {
        tp->config.rto_initial_ms = tp->config.rto_max_ms; /* or the stacks would take none of it */
    }
    if (tp->config.rto_initial_ms < tp->config.rto_min_ms) {
        tp->config.rto_initial_ms = tp->config.rto_min_ms;
    }
    tp->backend = config->backend;
    tp->ops = choose(&tp->backend);
    if (tp->ops == NULL) {
        (void)snprintf(error, error_size,
                       "the kernel has no SCTP, and this build has no userland SCTP");
        free(tp);
        return -EPROTONOSUPPORT;
    }
    int r = loop_timer_add(loop, 100000, on_ending_timer, tp, &tp->ending_timer);
    if (r == 0) {
        r = tp->ops->start(tp, error, error_size);
    }
    if (r < 0) {
        loop_timer_free(tp->ending_timer);
        free(tp);
        return r;
    }
    *ret = tp;
    return 0;
}

void tp_free(struct tp *tp)
{
    if (tp == NULL) {
        return;
    }
    while (tp->endpoints != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): tp_close() takes it off the list */
        tp_close(tp->endpoints);
    }
    tp->ops->stop(tp);
    loop_timer_free(tp->ending_timer);
    free(tp);
}

enum tp_backend tp_backend(const struct tp *tp)
{
    return tp->backend;
}

void tp_get_stats(const struct tp *tp, struct tp_stats *ret)
{
    *ret = tp->stats;
}
