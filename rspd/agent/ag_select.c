/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Choosing elements for a query, from the registrar's handlespace or from the cache: by the pool's
 * policy among those that fit the caller's socket, are not avoided, not withheld here and not in
 * quarantine. When only quarantined ones fit, the one that failed longest ago is better than none.
 *
 * The loop thread answers everything. A resolver thread answers what has no consequence but the
 * policy's own: an element by policy from a pool that is known, and fresh where it comes from the
 * cache. Whatever is out of the ordinary it leaves to the loop thread.
 */
#include "rspd/agent/ag_internal.h"

#include <errno.h>
#include <string.h>

#define HINTS_LOOKED_AT 16

struct selection {
    struct ag *ag; /* a resolver thread reads the marks of it, nothing else */
    const struct ag_view *view;
    const struct ag_query *query;
    bool shared; /* on a resolver thread */
    bool leave;  /* … which the loop thread had better answer */
};

/* Why an element does not do, in the order of the errors a caller gets. */
enum fit { FIT_OK, FIT_PROTOCOL, FIT_FAMILY, FIT_WITHHELD, FIT_AVOIDED };

static const struct ag_mark *own_of(const struct selection *s, const struct hs_element *e)
{
    return ag_mark_find(s->ag, AG_MARK_OWN, *e->handle, e->pe_id);
}

static uint8_t contacts(const struct selection *s, const struct ag_mark *own,
                        const struct hs_element *e, struct ip_address ret[AG_ADDRESSES_MAX])
{
    if (own != NULL) {
        return ag_own_addresses(s->view, own->pe, s->query->families, ret);
    }
    return ag_contact_addresses(s->view, hs_user(e).addresses, hs_user(e).address_count,
                                s->query->families, ret);
}

static enum fit fits(const struct selection *s, const struct hs_element *e)
{
    const struct ag_query *q = s->query;
    struct ip_address list[AG_ADDRESSES_MAX];
    if (q->protocol != TRANSPORT_NONE && q->protocol != hs_user(e).protocol) {
        return FIT_PROTOCOL;
    }
    const struct ag_mark *own = own_of(s, e);
    if (own != NULL && ag_mark_is(own, AG_MARK_UNFIT)) {
        return FIT_WITHHELD;
    }
    if (contacts(s, own, e, list) == 0) {
        return FIT_FAMILY;
    }
    for (uint8_t i = 0; i < q->avoid_count && i < 16; i++) {
        if (q->avoid[i] == e->pe_id) {
            return FIT_AVOIDED;
        }
    }
    return FIT_OK;
}

static bool filter(void *ctx, const struct hs_element *e)
{
    struct selection *s = (struct selection *)ctx;
    if (fits(s, e) != FIT_OK) {
        return false;
    }
    const struct ag_mark *mark = ag_mark_find(s->ag, AG_MARK_SUSPECT, *e->handle, e->pe_id);
    if (mark == NULL || ag_mark_is(mark, AG_MARK_TRIAL)) {
        return true;
    }
    if (s->view->local_hs == NULL || !tm_before(ag_mark_time(mark), e->registered)) {
        return false;
    }
    if (s->shared) {
        s->leave = true; /* its release is the loop thread's, and an event */
        return false;
    }
    struct ag_suspect *suspect = ag_suspect_find(s->ag, *e->handle, e->pe_id);
    if (suspect != NULL) {
        ag_suspect_release(s->ag, suspect, "it has registered again");
    }
    return true;
}

static void add_pick(const struct selection *s, const struct hs_element *e, struct ag_answer *ret)
{
    struct ag_pick *pick = &ret->picks[ret->count++];
    *pick = (struct ag_pick){.pe_id = e->pe_id,
                             .home_id = e->home_id,
                             .protocol = hs_user(e).protocol,
                             .port = hs_user(e).port,
                             .policy = hs_policy(e)};
    pick->address_count = contacts(s, own_of(s, e), e, pick->addresses);
}

static int error_of(enum fit fit)
{
    switch (fit) {
    case FIT_PROTOCOL:
        return -EPROTOTYPE;
    case FIT_FAMILY:
        return -EAFNOSUPPORT;
    case FIT_OK:
    case FIT_WITHHELD:
    case FIT_AVOIDED:
        break;
    }
    return -ECONNREFUSED;
}

/* Nothing was found: why. The element that came closest decides. */
static int reason(const struct selection *s, struct hs *hs)
{
    const struct ag_pool *pool = ag_pool_find(s->ag, s->query->handle);
    struct hs_cursor cursor = {0};
    const struct hs_element *e;
    enum fit best = FIT_PROTOCOL;
    bool any = false;
    while (hs != NULL && (e = hs_pool_element_next(hs, s->query->handle, &cursor)) != NULL) {
        enum fit fit = fits(s, e);
        best = fit > best ? fit : best;
        any = true;
    }
    if (any) {
        return error_of(best);
    }
    return pool != NULL && pool->seen ? -ECONNREFUSED : -ENOENT;
}

static void select_one(const struct selection *s, struct hs *hs, struct ag_answer *ret)
{
    const struct hs_element *e = hs_find(hs, s->query->handle, s->query->want_pe);
    enum fit fit = e != NULL ? fits(s, e) : FIT_AVOIDED;
    if (fit == FIT_OK) {
        add_pick(s, e, ret);
    } else {
        ret->result = error_of(fit); /* not there: whatever the others are like */
    }
}

/* All that fit are in quarantine. */
static void select_suspect(const struct selection *s, struct hs *hs, struct ag_answer *ret)
{
    for (const struct ag_suspect *q = s->ag->oldest_suspect; q != NULL; q = q->newer) {
        if (!pool_handle_equal(q->handle, s->query->handle)) {
            continue;
        }
        const struct hs_element *e = hs_find(hs, q->handle, q->pe_id);
        if (e != NULL && fits(s, e) == FIT_OK) {
            add_pick(s, e, ret);
            return;
        }
    }
}

static void select_by_policy(struct selection *s, struct hs *hs, struct ag_answer *ret)
{
    const struct hs_element *chosen[AG_PICKS_MAX];
    size_t want = s->query->count < AG_PICKS_MAX ? s->query->count : AG_PICKS_MAX;
    size_t n = hs_select(hs, s->query->handle, want, filter, s, chosen);
    for (size_t i = 0; i < n; i++) {
        add_pick(s, chosen[i], ret);
    }
    if (n == 0 && !s->shared) {
        select_suspect(s, hs, ret);
    }
}

/* For a name: who could be tried if the next question went unanswered. From a place drawn anew. */
static void select_hints(struct selection *s, struct hs *hs, struct ag_answer *ret)
{
    struct hs_cursor cursor = {.started = true, .pe_id = (uint32_t)rnd_next(&s->ag->rnd)};
    const struct hs_element *first = NULL;
    for (unsigned seen = 0; seen < HINTS_LOOKED_AT && ret->count < AG_HINTS_MAX; seen++) {
        const struct hs_element *e = hs_pool_element_next(hs, s->query->handle, &cursor);
        if (e == NULL) {
            cursor = (struct hs_cursor){.started = false};
            e = hs_pool_element_next(hs, s->query->handle, &cursor);
        }
        if (e == NULL || e == first) {
            return; /* once round */
        }
        first = first == NULL ? e : first;
        if (filter(s, e)) {
            add_pick(s, e, ret);
        }
    }
}

/* What the answer says of the whole pool. */
static void finish(uint32_t policy_type, struct ag_answer *ret)
{
    ret->policy.type = policy_type;
    if (ret->count > 0 && ret->picks[0].policy.type == policy_type) {
        ret->policy = ret->picks[0].policy;
    }
}

bool ag_resolve_shared(struct ag *ag, const struct ag_query *query, struct tm_us now,
                       struct ag_answer *ret)
{
    struct selection s = {
        .ag = ag, .view = hs_read_ptr(ag->shared), .query = query, .shared = true};
    struct hs_pool_info info;
    memset(ret, 0, offsetof(struct ag_answer, picks));
    ret->event = 0;
    if (s.view == NULL || query->want_pe != 0 || query->count == 0 || query->handle.len == 0 ||
        query->handle.len > s.view->handle_max) {
        return false;
    }
    struct hs *hs = s.view->local_hs != NULL ? s.view->local_hs : s.view->cache;
    struct ag_mark *pool = ag_mark_find(ag, AG_MARK_POOL, query->handle, 0);
    if (hs == NULL || pool == NULL || !ag_mark_is(pool, AG_MARK_SEEN) ||
        (s.view->local_hs == NULL && (query->has_max_age || !tm_before(now, ag_mark_time(pool)))) ||
        !hs_pool(hs, query->handle, &info)) {
        return false;
    }
    select_by_policy(&s, hs, ret);
    if (ret->count == 0 || s.leave) {
        return false;
    }
    finish(info.policy_type, ret);
    if (!ag_mark_is(pool, AG_MARK_USED)) {
        ag_mark_set(pool, AG_MARK_USED, true);
    }
    return true;
}

void ag_select(struct ag *ag, struct hs *hs, const struct ag_query *query, struct tm_us now,
               struct ag_answer *ret)
{
    struct selection s = {.ag = ag, .view = &ag->view, .query = query};
    struct hs_pool_info info;
    bool known = false;
    (void)now;
    memset(ret, 0, offsetof(struct ag_answer, picks));
    ret->event = 0;
    if (hs != NULL) {
        hs_read_begin();
        if (hs_pool(hs, query->handle, &info)) {
            if (query->want_pe != 0) {
                select_one(&s, hs, ret);
            } else if (query->count > 0) {
                select_by_policy(&s, hs, ret);
            } else {
                select_hints(&s, hs, ret);
            }
            finish(info.policy_type, ret);
            known = true;
        }
        if (ret->count == 0 && ret->result == 0 && !(known && query->count == 0)) {
            ret->result = reason(&s, hs);
        }
        hs_read_end();
    } else {
        ret->result = reason(&s, NULL);
    }
}
