/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Handle resolution and dynamic updates, registrar's side (RFC 5352 §3.3, 2.2.5, 2.2.6; asap.md
 * §5.5, §9).
 */
#include "rspd/registrar/rg_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* --- answers ------------------------------------------------------------------------------------
 */

static bool leaves_the_host(const struct ip_address *address)
{
    return ip_address_scope(address) > IP_SCOPE_LOOPBACK;
}

/* A loopback address means this host: others are not told (asap.md §13). */
static bool usable_elsewhere(void *ctx, const struct hs_element *element)
{
    (void)ctx;
    struct transport user = hs_user(element);
    if (user.protocol == TRANSPORT_OPAQUE) {
        return true;
    }
    for (uint16_t i = 0; i < user.address_count; i++) {
        if (leaves_the_host(&user.addresses[i])) {
            return true;
        }
    }
    return false;
}

static bool is_here(const struct rg_assoc *assoc)
{
    if (assoc->id == LOCAL_ASSOC) {
        return true;
    }
    for (uint8_t i = 0; i < assoc->peer_count; i++) {
        if (!leaves_the_host(&assoc->peers[i])) {
            return true;
        }
    }
    return false;
}

static uint32_t wire_life(const struct rg *rg, int64_t life_ms)
{
    if (life_ms < 0) {
        return REGISTRATION_LIFE_INFINITE;
    }
    int64_t life = rg->set.life_in_seconds ? (life_ms + 999) / 1000 : life_ms;
    return life < REGISTRATION_LIFE_INFINITE ? (uint32_t)life : REGISTRATION_LIFE_INFINITE - 1;
}

/* The element into the answer; its addresses that may not leave the host stay behind. */
static bool put_element(struct rg *rg, const struct hs_element *element, bool here)
{
    struct asap_message *tx = &rg->tx;
    struct pool_element *pe = &tx->elements[tx->element_count];
    struct ip_address *addresses = tx->scratch + tx->scratch_used;
    uint16_t n = 0;
    struct transport user = hs_user(element);
    if (user.address_count > ASAP_ADDRESSES - tx->scratch_used) {
        return false;
    }
    for (uint16_t i = 0; i < user.address_count; i++) {
        if (here || leaves_the_host(&user.addresses[i])) {
            addresses[n++] = user.addresses[i];
        }
    }
    *pe = (struct pool_element){.pe_id = element->pe_id,
                                .home_id = element->home_id,
                                .registration_life = wire_life(rg, element->life_ms),
                                .user = user,
                                .policy = hs_policy(element)};
    pe->user.addresses = addresses;
    pe->user.address_count = n;
    tx->scratch_used = (uint16_t)(tx->scratch_used + n);
    tx->element_count++;
    return true;
}

static uint32_t item_count(const struct rg *rg, uint32_t items)
{
    uint32_t count = items != 0 ? items : rg->set.items_default;
    return count < ASAP_ELEMENTS_MAX ? count : ASAP_ELEMENTS_MAX;
}

static void negative(struct rg *rg, uint16_t cause)
{
    rg->tx.element_count = 0;
    rg->tx.flags = 0;
    rg->tx.causes[0] = (struct asap_cause){.code = cause};
    rg->tx.cause_count = 1;
}

/* Sends what was selected, fewer where all do not fit into one message. */
static void send_answer(struct rg *rg, uint64_t assoc)
{
    int len;
    while ((len = asap_encode(&rg->tx, rg->octets, sizeof(rg->octets))) == -EMSGSIZE &&
           rg->tx.element_count > 1) {
        rg->tx.element_count = (uint16_t)(rg->tx.element_count / 2);
    }
    if (len > 0) {
        outbox_send(rg->out, assoc, rg->octets, (size_t)len);
    }
}

/* Positive with the pool's selection, or negative with the cause; true if positive. */
static bool answer(struct rg *rg, const struct rg_assoc *assoc, struct pool_handle handle,
                   uint32_t items, bool updates)
{
    const struct hs_element *found[ASAP_ELEMENTS_MAX];
    struct hs_pool_info pool;
    bool here = is_here(assoc);
    asap_message_init(&rg->tx, ASAP_HANDLE_RESOLUTION_RESPONSE);
    rg->tx.has_handle = true;
    rg->tx.handle = handle;
    rg->tx.scratch_used = 0;
    hs_read_begin();
    size_t n = 0;
    if (hs_pool(rg->hs, handle, &pool)) {
        n = hs_select(rg->hs, handle, item_count(rg, items), here ? NULL : usable_elsewhere, NULL,
                      found);
    }
    for (size_t i = 0; i < n && put_element(rg, found[i], here); i++) {
    }
    bool positive = rg->tx.element_count > 0;
    if (positive) {
        /* Round Robin too, as deployed readers insist on it. */
        rg->tx.has_policy = true;
        rg->tx.policy = rg->tx.elements[0].policy;
        rg->tx.flags = updates ? ASAP_FLAG : 0;
    } else {
        negative(rg, CAUSE_UNKNOWN_POOL_HANDLE);
    }
    send_answer(rg, assoc->id);
    hs_read_end();
    return positive;
}

/* --- subscriptions
 * --------------------------------------------------------------------------------- */

static struct pool_handle topic_name(const struct rg_topic *topic)
{
    return (struct pool_handle){.octets = topic->handle, .len = topic->handle_len};
}

static struct rg_topic *topic_find(const struct rg *rg, struct pool_handle handle)
{
    struct rg_node *node = rg_table_first(&rg->topics, rg_hash_handle(rg, handle, 0));
    for (; node != NULL; node = node->next) {
        struct rg_topic *topic = rg_of(node, struct rg_topic);
        if (pool_handle_equal(topic_name(topic), handle)) {
            return topic;
        }
    }
    return NULL;
}

static struct rg_topic *topic_get(struct rg *rg, struct pool_handle handle)
{
    struct rg_topic *topic = topic_find(rg, handle);
    if (topic != NULL) {
        return topic;
    }
    topic = calloc(1, sizeof(*topic) + handle.len);
    if (topic == NULL || !rg_timer_join(&rg->heap, &topic->timer, RG_TIMER_TOPIC)) {
        free(topic);
        return NULL;
    }
    topic->handle_len = handle.len;
    memcpy(topic->handle, handle.octets, handle.len);
    rg_table_add(&rg->topics, &topic->node, rg_hash_handle(rg, handle, 0));
    return topic;
}

static void topic_put(struct rg *rg, struct rg_topic *topic)
{
    if (topic->subs != NULL) {
        return;
    }
    rg_timer_leave(&rg->heap, &topic->timer);
    rg_table_remove(&rg->topics, &topic->node);
    free(topic);
}

static struct rg_sub *sub_find(const struct rg_assoc *assoc, const struct rg_topic *topic)
{
    for (struct rg_sub *sub = assoc->subs; sub != NULL; sub = sub->assoc_next) {
        if (sub->topic == topic) {
            return sub;
        }
    }
    return NULL;
}

/* The topic stays, for the caller to put. */
static void sub_free(struct rg_sub *sub)
{
    *sub->assoc_link = sub->assoc_next;
    if (sub->assoc_next != NULL) {
        sub->assoc_next->assoc_link = sub->assoc_link;
    }
    *sub->topic_link = sub->topic_next;
    if (sub->topic_next != NULL) {
        sub->topic_next->topic_link = sub->topic_link;
    }
    sub->assoc->sub_count--;
    sub->topic->sub_count--;
    free(sub);
}

static void sub_link(struct rg_sub *sub)
{
    sub->assoc_link = &sub->assoc->subs;
    sub->assoc_next = sub->assoc->subs;
    if (sub->assoc_next != NULL) {
        sub->assoc_next->assoc_link = &sub->assoc_next;
    }
    sub->assoc->subs = sub;
    sub->topic_link = &sub->topic->subs;
    sub->topic_next = sub->topic->subs;
    if (sub->topic_next != NULL) {
        sub->topic_next->topic_link = &sub->topic_next;
    }
    sub->topic->subs = sub;
    sub->assoc->sub_count++;
    sub->topic->sub_count++;
}

/* A new subscription, or a known one with another item count. False: no resources (A=0). */
static bool subscribe(struct rg *rg, struct rg_assoc *assoc, struct pool_handle handle,
                      uint32_t items)
{
    struct rg_topic *topic = topic_find(rg, handle);
    struct rg_sub *sub = topic != NULL ? sub_find(assoc, topic) : NULL;
    if (sub != NULL) {
        sub->items = items;
        return true;
    }
    if (assoc->sub_count >= RG_SUBSCRIPTIONS_MAX) {
        return false;
    }
    topic = topic_get(rg, handle);
    if (topic == NULL) {
        return false;
    }
    sub = calloc(1, sizeof(*sub));
    if (sub == NULL) {
        topic_put(rg, topic);
        return false;
    }
    *sub = (struct rg_sub){.assoc = assoc, .topic = topic, .items = items};
    sub_link(sub);
    return true;
}

static void unsubscribe(struct rg *rg, struct rg_assoc *assoc, struct pool_handle handle)
{
    struct rg_topic *topic = topic_find(rg, handle);
    struct rg_sub *sub = topic != NULL ? sub_find(assoc, topic) : NULL;
    if (sub != NULL) {
        sub_free(sub);
        topic_put(rg, topic);
    }
}

void rg_unsubscribe_all(struct rg *rg, struct rg_assoc *assoc)
{
    struct rg_sub *next;
    for (struct rg_sub *sub = assoc->subs; sub != NULL; sub = next) {
        struct rg_topic *topic = sub->topic;
        next = sub->assoc_next;
        sub_free(sub);
        topic_put(rg, topic);
    }
}

/*
 * What came or changed can wait for more of its kind; what has gone makes caches wrong, and is told
 * as soon as those that went with it are gathered. The more subscribers the fewer updates.
 */
void rg_topic_changed(struct rg *rg, struct pool_handle handle, bool gone, struct tm_us now)
{
    struct rg_topic *topic = topic_find(rg, handle);
    if (topic == NULL) {
        return;
    }
    struct tm_us at = tm_add_ms(now, rg->set.update_ms);
    if (gone) {
        struct tm_us soon = tm_add_ms(now, RG_GONE_MS);
        struct tm_us next = tm_add_ms(topic->told, RG_GONE_PAUSE_MS + topic->sub_count / 8);
        at = tm_min(at, tm_before(soon, next) ? next : soon);
    }
    if (tm_before(at, topic->timer.at)) {
        rg_timer_set(&rg->heap, &topic->timer, at);
    }
}

void rg_topic_due(struct rg *rg, struct rg_topic *topic, struct tm_us now)
{
    topic->told = now;
    rg_timer_set(&rg->heap, &topic->timer, TM_NEVER);
    struct rg_sub *next;
    for (struct rg_sub *sub = topic->subs; sub != NULL; sub = next) {
        next = sub->topic_next;
        /* The pool has gone: said once, and the subscription with it. */
        if (!answer(rg, sub->assoc, topic_name(topic), sub->items, true)) {
            sub_free(sub);
        }
    }
    topic_put(rg, topic);
}

/* --- requests
 * ---------------------------------------------------------------------------------------- */

void rg_resolution(struct rg *rg, struct rg_assoc *assoc, struct tm_us now)
{
    struct pool_handle handle = rg->rx.handle;
    uint32_t items = rg->rx.has_items ? rg->rx.items : 0;
    bool wanted = (rg->rx.flags & ASAP_FLAG) != 0;
    struct hs_pool_info pool;
    (void)now;
    hs_read_begin();
    bool known = hs_pool(rg->hs, handle, &pool);
    hs_read_end();
    bool updates = false;
    if (wanted && known) {
        updates = subscribe(rg, assoc, handle, items);
    } else {
        unsubscribe(rg, assoc, handle);
    }
    if (!answer(rg, assoc, handle, items, updates)) {
        unsubscribe(rg, assoc, handle);
    }
}
