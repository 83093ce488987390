/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What one principal, a host or an IPv6 network of one, may cost the registrar (security.md §6.3):
 * so many associations, elements and messages. The rate of messages grows with the elements it has,
 * as an agent that acts for many has more to say. What is over the rate is not even read; who goes
 * on and on is cut off and stays out for a while. This host and the associations we open ourselves
 * are not limited.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "rspd/registrar/meter.h"
#include "rspd/registrar/rg_internal.h"

#define PRINCIPALS_MAX  4096  /* remembered without anything of theirs being here */
#define MESSAGES_EACH   2     /* per second and element, besides the rate */
#define BURST_S         2     /* of silence that can be made up for */
#define FLOOD_S         5     /* worth of messages that are not read */
#define BAN_MS          10000 /* that long a flood cuts it off */
#define NEW_EACH_MS     50    /* a new association */
#define NEW_BURST       100
#define ELEMENT_EACH_MS 2 /* a new element */
#define ELEMENT_BURST   2000

struct rg_principal {
    struct rg_node node;
    uint64_t key;
    uint32_t assocs, elements;
    struct meter messages;
    struct bucket openings, births; /* associations and elements it may begin now */
    struct tm_us banned_until;
};

uint64_t rg_principal_key(const struct rg *rg, const struct rg_assoc *assoc)
{
    uint64_t number = 0;
    if (assoc->id == LOCAL_ASSOC || assoc->peer_count == 0) {
        return rg_hash_number(rg, assoc->id);
    }
    size_t octets = assoc->peers[0].family == IP_V6 ? 8 : 4;
    memcpy(&number, assoc->peers[0].octets, octets);
    return rg_hash_number(rg, number ^ assoc->peers[0].family);
}

static struct rg_principal *find(const struct rg *rg, uint64_t key)
{
    struct rg_node *node = rg_table_first(&rg->principals, key);
    for (; node != NULL; node = node->next) {
        struct rg_principal *p = rg_of(node, struct rg_principal);
        if (p->key == key) {
            return p;
        }
    }
    return NULL;
}

static void forget(struct rg *rg, struct rg_principal *p)
{
    rg_table_remove(&rg->principals, &p->node);
    free(p);
}

/* Those of whom there is nothing, and against whom there is nothing. */
static void forget_idle(struct rg *rg, struct tm_us now)
{
    for (size_t i = 0; i < rg->principals.size; i++) {
        struct rg_node *next;
        for (struct rg_node *node = rg->principals.buckets[i]; node != NULL; node = next) {
            struct rg_principal *p = rg_of(node, struct rg_principal);
            next = node->next;
            if (p->assocs == 0 && p->elements == 0 && tm_due(p->banned_until, now)) {
                forget(rg, p);
            }
        }
    }
}

static struct meter_limit limit_of(const struct rg *rg, const struct rg_principal *p)
{
    int64_t rate = (int64_t)rg->set.host_messages + (int64_t)MESSAGES_EACH * p->elements;
    return (struct meter_limit){.rate = rate, .burst = BURST_S * rate, .flood = FLOOD_S * rate};
}

static struct rg_principal *get(struct rg *rg, uint64_t key, struct tm_us now)
{
    struct rg_principal *p = find(rg, key);
    if (p != NULL) {
        return p;
    }
    if (rg->principals.count >= PRINCIPALS_MAX) {
        forget_idle(rg, now);
    }
    p = calloc(1, sizeof(*p));
    if (p != NULL) {
        p->key = key;
        p->openings = (struct bucket){.tokens = NEW_BURST, .refill = now};
        p->births = (struct bucket){.tokens = ELEMENT_BURST, .refill = now};
        meter_init(&p->messages, limit_of(rg, p), now);
        rg_table_add(&rg->principals, &p->node, key);
    }
    return p;
}

void rg_principals_free(struct rg *rg)
{
    struct rg_node *node;
    while ((node = rg_table_any(&rg->principals)) != NULL) {
        forget(rg, rg_of(node, struct rg_principal));
    }
    rg_table_done(&rg->principals);
}

static bool may_open(struct rg_principal *p, uint32_t most, struct tm_us now)
{
    return !tm_before(now, p->banned_until) && p->assocs < most &&
           bucket_take(&p->openings, NEW_BURST, NEW_EACH_MS, now);
}

bool rg_principal_open(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    if (rg->set.host_assocs == 0 || assoc->id == LOCAL_ASSOC || assoc->principal != NULL) {
        return true;
    }
    struct rg_principal *p = get(rg, rg_principal_key(rg, assoc), now);
    if (p == NULL || !may_open(p, rg->set.host_assocs, now)) {
        return false;
    }
    p->assocs++;
    assoc->principal = p;
    return true;
}

void rg_principal_close(struct rg_assoc *assoc)
{
    if (assoc->principal != NULL) {
        assoc->principal->assocs--;
        assoc->principal = NULL;
    }
}

/* Cut off, with all it has open. */
static void ban(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    char text[RG_ASSOC_TEXT_MAX];
    assoc->principal->banned_until = tm_add_ms(now, BAN_MS);
    if (rg_may_say(rg, now)) {
        (void)outbox_event(rg->out, EVENT_CLIENT_REJECTED, (struct pool_handle){0}, 0, rg->set.id,
                           "%s sends far more than %lld messages a second: cut off for %d s",
                           rg_assoc_text(assoc, text, sizeof(text)),
                           (long long)limit_of(rg, assoc->principal).rate, BAN_MS / 1000);
    }
    rg_assoc_abort(rg, assoc, "its host sent too many messages", now);
}

bool rg_principal_message(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct rg_principal *p = assoc->principal;
    if (p == NULL || rg->set.host_messages == 0) {
        return true;
    }
    if (tm_before(now, p->banned_until)) {
        rg_assoc_abort(rg, assoc, "its host sent too many messages", now);
        return false;
    }
    enum meter_verdict verdict = meter_take(&p->messages, 1, limit_of(rg, p), now);
    if (verdict == METER_FLOOD) {
        ban(rg, assoc, now);
    }
    return verdict == METER_FITS;
}

bool rg_principal_may_have(const struct rg *rg, const struct rg_assoc *assoc)
{
    return assoc->principal == NULL || rg->set.host_elements == 0 ||
           assoc->principal->elements < rg->set.host_elements;
}

bool rg_principal_may_bear(const struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct rg_principal *p = assoc->principal;
    return p == NULL || rg->set.host_elements == 0 ||
           bucket_take(&p->births, ELEMENT_BURST, ELEMENT_EACH_MS, now);
}

void rg_principal_takes(struct rg_pe *pe, const struct rg_assoc *assoc)
{
    struct rg_principal *p = assoc != NULL ? assoc->principal : NULL;
    struct rg_principal **of = rg_pe_principal(pe);
    if (*of != NULL) {
        (*of)->elements--;
    }
    if (p != NULL) {
        p->elements++;
    }
    *of = p;
}
