/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of local PEs, what their owners ask for, and the keep-alives of registrars. */
#include "rspd/agent/ag_internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ag_local **bucket_of(struct ag *ag, uint32_t pe_id)
{
    return &ag->local_buckets[(pe_id ^ pe_id >> 16) % AG_BUCKETS];
}

struct ag_local *ag_local_find(const struct ag *ag, uint32_t pe_id)
{
    struct ag_local *l = ag->local_buckets[(pe_id ^ pe_id >> 16) % AG_BUCKETS];
    while (l != NULL && l->pe.pe_id != pe_id) {
        l = l->hash_next;
    }
    return l;
}

bool ag_local_usable(const struct ag *ag, const struct ag_local *local)
{
    if (local->removing || local->withheld || local->state == AG_PE_REFUSED) {
        return false;
    }
    return local->in_scope || local->addressless || ag->home.assoc == 0;
}

/* --- the table ------------------------------------------------------------------------------- */

static int find_slot(struct ag *ag, uint32_t *ret_slot)
{
    if (ag->local_count < ag->local_slots) {
        for (uint32_t i = 0; i < ag->local_slots; i++) {
            if (ag->locals[i] == NULL) {
                *ret_slot = i;
                return 0;
            }
        }
    }
    if (ag->local_slots >= AG_PES_MAX) {
        return -ENOSPC;
    }
    uint32_t slots = ag->local_slots == 0 ? 16 : ag->local_slots * 2;
    struct ag_local **table =
        (struct ag_local **)reallocarray(ag->locals, slots, sizeof(struct ag_local *));
    if (table == NULL) {
        return -ENOMEM;
    }
    memset(&table[ag->local_slots], 0, (slots - ag->local_slots) * sizeof(struct ag_local *));
    *ret_slot = ag->local_slots;
    ag->locals = table;
    ag->local_slots = slots;
    return 0;
}

void ag_local_free(struct ag *ag, struct ag_local *local)
{
    struct ag_pool *pool = local->pool;
    struct ag_local **at = bucket_of(ag, local->pe.pe_id);
    while (*at != local) {
        at = &(*at)->hash_next;
    }
    *at = local->hash_next;
    ag_mark_remove(ag, local->mark);
    for (at = &pool->locals; *at != local; at = &(*at)->pool_next) {
    }
    *at = local->pool_next;
    ag->locals[local->slot] = NULL;
    ag->local_count--;
    ag_timer_stop(&ag->timers, &local->timer);
    ag_timers_release(&ag->timers, 1);
    if (ag->cache != NULL) {
        (void)hs_deregister(ag->cache, local->pe.handle, local->pe.pe_id);
    }
    free(local);
    ag_pool_touch(ag, pool);
}

static int local_new(struct ag *ag, const struct ag_pe *pe, struct tm_us now, struct ag_local **ret)
{
    uint32_t slot;
    int err = find_slot(ag, &slot);
    if (err < 0) {
        return err;
    }
    struct ag_local *local = calloc(1, sizeof(*local));
    struct ag_pool *pool = local != NULL ? ag_pool_get(ag, pe->handle) : NULL;
    struct ag_mark *mark =
        pool != NULL ? ag_mark_new(AG_MARK_OWN, pe->handle, pe->pe_id, pe) : NULL;
    if (mark == NULL || ag_timers_reserve(&ag->timers, 1) < 0) {
        free(local);
        free(mark);
        if (pool != NULL) {
            ag_pool_touch(ag, pool);
        }
        return -ENOMEM;
    }
    local->pe = *pe;
    local->pe.handle = pool->handle;
    local->mark = mark;
    ag_mark_add(ag, mark);
    local->pool = pool;
    local->slot = slot;
    local->since = now;
    local->pool_next = pool->locals;
    pool->locals = local;
    ag_pool_seen(pool);
    struct ag_local **bucket = bucket_of(ag, pe->pe_id);
    local->hash_next = *bucket;
    *bucket = local;
    ag->locals[slot] = local;
    ag->local_count++;
    *ret = local;
    return 0;
}

/* It becomes another one under its name, for resolver threads too. */
static int local_replace(struct ag *ag, struct ag_local *local, const struct ag_pe *pe, bool unfit)
{
    struct ag_mark *mark = ag_mark_new(AG_MARK_OWN, pe->handle, pe->pe_id, pe);
    if (mark == NULL) {
        return -ENOMEM;
    }
    ag_mark_set(mark, AG_MARK_UNFIT, unfit);
    ag_mark_replace(ag, local->mark, mark);
    local->mark = mark;
    local->pe = *pe;
    local->pe.handle = local->pool->handle;
    return 0;
}

/* One that was on its way out is wanted again. */
static int local_again(struct ag *ag, struct ag_local *local, const struct ag_pe *pe)
{
    if (local_replace(ag, local, pe, false) < 0) {
        return -ENOMEM;
    }
    local->removing = false;
    local->withheld = false;
    local->told_ok = false;
    local->told_failure = false;
    return 0;
}

/* --- what owners ask for ---------------------------------------------------------------------- */

static int check(const struct ag *ag, const struct ag_pe *pe)
{
    if (pe->handle.len > ag->set.handle_max || pe->handle.len > POOL_HANDLE_MAX) {
        return -ENAMETOOLONG;
    }
    if (pe->handle.len == 0 || pe->port == 0 || pe->protocol == TRANSPORT_NONE ||
        pe->protocol == TRANSPORT_OPAQUE || pe->address_count > AG_ADDRESSES_MAX ||
        pe->pe_id == UINT32_MAX || pe->policy.word_count > POLICY_WORDS_MAX) {
        return -EINVAL;
    }
    return 0;
}

static void clean(struct ag_pe *pe)
{
    for (uint8_t i = 0; i < pe->address_count; i++) {
        pe->addresses[i] = ip_address_unmap(pe->addresses[i]);
        if (ip_address_scope(&pe->addresses[i]) == IP_SCOPE_UNSPECIFIED) {
            pe->families |= pe->addresses[i].family == IP_V4 ? LP_FAMILY_V4 : LP_FAMILY_V6;
            pe->address_count = 0; /* a wildcard spelt out */
        }
    }
}

uint32_t ag_pe_add(struct ag *ag, const struct ag_pe *pe, struct tm_us now, int *ret_error)
{
    struct ag_pe mine = *pe;
    struct ag_local *local = NULL;
    int err = check(ag, pe);
    if (err < 0) {
        *ret_error = err;
        return 0;
    }
    clean(&mine);
    while (mine.pe_id == 0 || (pe->pe_id == 0 && ag_local_find(ag, mine.pe_id) != NULL)) {
        mine.pe_id = rnd_identifier(&ag->rnd);
    }
    local = ag_local_find(ag, mine.pe_id);
    if (local != NULL && (!local->removing || !pool_handle_equal(local->pe.handle, pe->handle))) {
        *ret_error = -EEXIST;
        return 0;
    }
    if (local != NULL) { /* on its way out: comes back under the same id */
        err = local_again(ag, local, &mine);
    } else {
        err = local_new(ag, &mine, now, &local);
    }
    *ret_error = err;
    if (err < 0) {
        return 0;
    }
    uint64_t before = ag_cause(ag, pe->cause);
    ag_pe_fsm(ag, local, AG_EV_START, now);
    ag->out->cause = before;
    return mine.pe_id;
}

void ag_pe_remove(struct ag *ag, uint32_t pe_id, const char *reason, struct tm_us now)
{
    struct ag_local *local = ag_local_find(ag, pe_id);
    if (local == NULL || local->removing) {
        return;
    }
    uint64_t before = ag_cause(ag, local->pe.cause);
    ag->out->cause =
        outbox_event(ag->out, EVENT_LOCAL_GONE, local->pe.handle, pe_id, ag->home.id,
                     "leaves the scope: %s", reason != NULL ? reason : "its owner said so");
    local->removing = true;
    ag_mark_set(local->mark, AG_MARK_UNFIT, true);
    ag_pool_own(ag, local, now);
    ag_pe_fsm(ag, local, AG_EV_LEAVE, now);
    ag->out->cause = before;
}

int ag_pe_policy(struct ag *ag, uint32_t pe_id, const struct policy *policy, struct tm_us now)
{
    struct ag_local *local = ag_local_find(ag, pe_id);
    if (local == NULL || local->removing) {
        return -ENOENT;
    }
    if (policy->word_count > POLICY_WORDS_MAX) {
        return -EINVAL;
    }
    bool other_type = policy->type != local->pe.policy.type;
    if (!other_type && policy->word_count == local->pe.policy.word_count &&
        memcmp(policy->words, local->pe.policy.words, policy->word_count * sizeof(uint32_t)) == 0) {
        return 0;
    }
    local->pe.policy = *policy;
    uint64_t before = ag_cause(ag, local->pe.cause);
    ag_pool_own(ag, local, now);
    /* New words do not correct a refusal. */
    if (local->state != AG_PE_REFUSED || other_type) {
        ag_pe_fsm(ag, local, AG_EV_CHANGED, now);
    }
    ag->out->cause = before;
    return 0;
}

static bool same_addresses(const struct ag_pe *a, const struct ag_pe *b)
{
    bool same = a->families == b->families && a->address_count == b->address_count;
    for (uint8_t i = 0; same && i < a->address_count; i++) {
        same = ip_address_equal(&a->addresses[i], &b->addresses[i]);
    }
    return same;
}

int ag_pe_change(struct ag *ag, uint32_t pe_id, const struct ag_pe *to, struct tm_us now)
{
    struct ag_local *local = ag_local_find(ag, pe_id);
    if (local == NULL || local->removing) {
        return -ENOENT;
    }
    bool moved = !same_addresses(&local->pe, to);
    if (!moved && local->pe.life_ms == to->life_ms && local->pe.interval_ms == to->interval_ms) {
        return 0;
    }
    struct ag_pe next = local->pe;
    next.families = to->families;
    next.address_count = to->address_count;
    memcpy(next.addresses, to->addresses, sizeof(next.addresses));
    next.life_ms = to->life_ms;
    next.interval_ms = to->interval_ms;
    if (local_replace(ag, local, &next, local->withheld) < 0) {
        return -ENOMEM;
    }
    uint64_t before = ag_cause(ag, local->pe.cause);
    ag_pool_own(ag, local, now);
    /* Another life does not correct a refusal. */
    if (local->state != AG_PE_REFUSED || moved) {
        ag_pe_fsm(ag, local, AG_EV_CHANGED, now);
    }
    ag->out->cause = before;
    return moved;
}

int ag_pe_withhold(struct ag *ag, uint32_t pe_id, const char *reason, struct tm_us now)
{
    struct ag_local *local = ag_local_find(ag, pe_id);
    if (local == NULL || local->removing) {
        return -ENOENT;
    }
    bool was = local->withheld;
    local->withheld = reason != NULL;
    ag_mark_set(local->mark, AG_MARK_UNFIT, local->withheld);
    (void)snprintf(local->reason, sizeof(local->reason), "%s", reason != NULL ? reason : "");
    if (was == local->withheld) {
        return 0;
    }
    uint64_t before = ag_cause(ag, local->pe.cause);
    ag->out->cause = outbox_event(
        ag->out, reason != NULL ? EVENT_LOCAL_WITHHELD : EVENT_LOCAL_BACK, local->pe.handle, pe_id,
        ag->home.id, reason != NULL ? "withheld: %s" : "back%s", reason != NULL ? reason : "");
    ag_pool_own(ag, local, now);
    struct ag_suspect *suspect = ag_suspect_find(ag, local->pe.handle, pe_id);
    if (reason == NULL && suspect != NULL) {
        ag_suspect_release(ag, suspect, "its host says that it serves again");
    }
    ag_pe_fsm(ag, local, reason != NULL ? AG_EV_LEAVE : AG_EV_START, now);
    ag->out->cause = before;
    return 0;
}

static void fill_info(const struct ag_local *local, struct ag_pe_info *ret)
{
    *ret = (struct ag_pe_info){.pe = local->pe,
                               .state = local->state,
                               .reason = local->reason[0] != '\0' ? local->reason : NULL,
                               .since = local->since};
}

bool ag_pe_get(const struct ag *ag, uint32_t pe_id, struct ag_pe_info *ret)
{
    const struct ag_local *local = ag_local_find(ag, pe_id);
    if (local == NULL) {
        return false;
    }
    fill_info(local, ret);
    return true;
}

bool ag_pe_next(const struct ag *ag, uint32_t *cursor, struct ag_pe_info *ret)
{
    while (*cursor < ag->local_slots) {
        const struct ag_local *local = ag->locals[(*cursor)++];
        if (local != NULL) {
            fill_info(local, ret);
            return true;
        }
    }
    return false;
}

/* --- all of them ---------------------------------------------------------------------------------
 */

void ag_pes_event(struct ag *ag, enum ag_pe_event ev, struct tm_us now)
{
    for (uint32_t i = 0; i < ag->local_slots; i++) {
        if (ag->locals[i] != NULL) {
            ag_pe_fsm(ag, ag->locals[i], ev, now);
        }
    }
}

void ag_pes_readdress(struct ag *ag, struct tm_us now)
{
    for (uint32_t i = 0; i < ag->local_slots && ag->home.assoc != 0; i++) {
        struct ag_local *local = ag->locals[i];
        if (local == NULL || local->removing || local->withheld) {
            continue;
        }
        struct ip_address list[AG_ADDRESSES_MAX];
        uint8_t count = ag_register_addresses(ag, local, list);
        bool same = count == local->sent_count;
        for (uint8_t k = 0; same && k < count; k++) {
            same = ip_address_equal(&list[k], &local->sent[k]);
        }
        if (same) {
            continue;
        }
        bool leaves = count == 0 && local->in_scope;
        ag_pe_fsm(ag, local, leaves ? AG_EV_LEAVE : AG_EV_CHANGED, now);
    }
}

/* --- keep-alives ---------------------------------------------------------------------------------
 */

static void acknowledge(struct ag *ag, uint64_t assoc, const struct ag_local *local)
{
    asap_message_init(&ag->tx, ASAP_ENDPOINT_KEEP_ALIVE_ACK);
    ag->tx.has_handle = true;
    ag->tx.handle = local->pe.handle;
    ag->tx.has_pe_id = true;
    ag->tx.pe_id = local->pe.pe_id;
    ag_send_tx(ag, assoc);
}

static bool answers_for(const struct ag_local *local)
{
    return local->in_scope && !local->removing && !local->withheld &&
           local->state != AG_PE_REFUSED && local->state != AG_PE_DEREGISTERING;
}

void ag_keep_alive(struct ag *ag, uint64_t assoc, const struct asap_message *msg, struct tm_us now)
{
    struct ag_pool *pool = ag_pool_find(ag, msg->handle);
    bool ours = false;
    for (struct ag_local *l = pool != NULL ? pool->locals : NULL; l != NULL; l = l->pool_next) {
        if (answers_for(l) && (!msg->has_pe_id || msg->pe_id == l->pe.pe_id)) {
            acknowledge(ag, assoc, l);
            ours = true;
        }
    }
    if (!ours) {
        return; /* */
    }
    if (ag->home.assoc == assoc) {
        ag->home.id = msg->server_id;
        return;
    }
    if ((msg->flags & ASAP_FLAG) == 0 || ag_home_is_local(ag)) {
        return;
    }
    for (int i = 0; i < AG_ACCEPTED_MAX; i++) {
        if (ag->accepted[i].assoc == assoc) {
            struct ag_peer peer = ag->accepted[i];
            peer.id = msg->server_id;
            ag_home_set(ag, &peer, "it has taken this host's elements over", now);
            return;
        }
    }
}
