/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pool users: NAME, RESOLVE, REPORT. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/names.h"
#include "rspd/local/monotonic.h"
#include "rspd/local/requests_internal.h"

/** Errors that mean: the pool is known, only nobody in it can be had now. */
static bool pool_known(int result)
{
    return result == 0 || result == -ECONNREFUSED || result == -EAFNOSUPPORT ||
           result == -EPROTOTYPE;
}

static const char *resolve_text(int result)
{
    switch (result) {
    case -ENOENT:
        return "no such pool is known; see rspctl pool list";
    case -ECONNREFUSED:
        return "no element of the pool is available; see rspctl pe list";
    case -EAFNOSUPPORT:
        return "no element of the pool has an address of the socket's family";
    case -EPROTOTYPE:
        return "no element of the pool speaks the socket's protocol";
    case -EAGAIN:
        return "no registrar answers and the pool is not in the cache; see rspctl status";
    case -ENAMETOOLONG:
        return "the pool handle is longer than this scope allows; see HandleMax in rspd.conf";
    case -EHOSTUNREACH:
        return "no registrar has answered in time";
    default:
        return strerror(-result);
    }
}

static void put_pick(struct lp_writer *w, const struct ag_pick *pick)
{
    size_t mark = lp_nest(w, LP_T_PE);
    lp_put_u32(w, LP_T_PE_ID, pick->pe_id);
    lp_put_u32(w, LP_T_PROTOCOL, pick->protocol);
    lp_put_u32(w, LP_T_PORT, pick->port);
    for (uint8_t i = 0; i < pick->address_count; i++) {
        lp_put_address(w, LP_T_ADDRESS, &pick->addresses[i]);
    }
    lp_put_policy(w, &pick->policy);
    lp_put_u32(w, LP_T_HOME_ID, pick->home_id);
    lp_unnest(w, mark);
}

/* --- NAME ---------------------------------------------------------------------------------------
 */

/** The pool's cookie goes out; it is made now if the pool is known (or about to be) and has none.
 */
static void reply_name(struct rq_client *c, uint32_t request, struct pool_handle handle,
                       const struct ag_answer *answer, bool join)
{
    int result = answer->result;
    struct requests *rq = c->rq;
    struct cookie cookie;
    struct lp_writer w;
    char name[NAME_TEXT_MAX];
    bool has = cookies_find(rq->env.cookies, handle, &cookie);
    if (!pool_known(result) && !((has || join) && result == -ENOENT)) {
        rq_result(c, request, result, "%s", resolve_text(result));
        return;
    }
    if (!has) {
        int r = cookies_get(rq->env.cookies, handle, server_peer(c->client)->uid, &cookie);
        if (r != 0) {
            rq_result(c, request, r,
                      r == -EDQUOT ? "this user has asked for too many pools"
                                   : "no cookie address could be given to the pool: %s",
                      strerror(-r));
            return;
        }
    }
    rq_begin(c, &w, LP_NAME_REPLY, request);
    lp_put_handle(&w, handle);
    lp_put_address(&w, LP_T_COOKIE4, &cookie.v4);
    lp_put_address(&w, LP_T_COOKIE6, &cookie.v6);
    if (name_from_handle(handle, rq->env.settings->suffixes.items[0], name, sizeof(name)) > 0) {
        lp_put_str(&w, LP_T_NAME, name);
    }
    for (uint8_t i = 0; i < answer->count; i++) {
        put_pick(&w, &answer->picks[i]);
    }
    (void)rq_send(c, &w, request, -1);
}

/** Asks the agent; at once or through a pending answer. */
static void ask(struct rq_client *c, const struct lp_message *msg, enum rq_kind kind,
                const struct ag_query *query, uint32_t timeout_ms, bool join)
{
    struct requests *rq = c->rq;
    struct ag_answer answer;
    struct rq_pending *p = rq_pend(c, kind, msg->request, query->handle, timeout_ms);
    if (p == NULL) {
        return;
    }
    p->type = msg->type;
    p->join = join;
    p->ag_request = rq->next_ag_request++;
    rq->env.out->cause = 0;
    if (ag_resolve(rq->env.ag, query, p->ag_request, rq_now(rq), &answer) == 1) {
        c->resolves =
            kind == RQ_RESOLVE && answer.result == 0 && query->want_pe == 0 && query->count > 0;
        rq_answered(p, &answer);
    }
}

void rq_name(struct rq_client *c, const struct lp_message *msg)
{
    uint8_t buffer[POOL_HANDLE_MAX];
    struct ag_query query = {.count = 0}; /* a name takes nobody's turn */
    struct lp_each it;
    if (rq_pool_of(c, msg, buffer, &query.handle) != 0 ||
        !rq_allowed(c, msg->request, AUTHORITY_RESOLVE, query.handle, 0)) {
        return;
    }
    bool join = lp_find(msg, LP_T_JOIN, &it) && lp_u32(&it, 0) != 0;
    ask(c, msg, RQ_NAME, &query, RQ_RESOLVE_DEFAULT_MS, join);
}

/* --- RESOLVE ------------------------------------------------------------------------------------
 */

static void put_resolved(struct lp_writer *w, struct pool_handle handle,
                         const struct ag_answer *answer)
{
    lp_put_handle(w, handle);
    lp_put_policy(w, &answer->policy);
    for (uint8_t i = 0; i < answer->count; i++) {
        put_pick(w, &answer->picks[i]);
    }
}

static void reply_resolved(struct rq_client *c, uint32_t request, struct pool_handle handle,
                           const struct ag_answer *answer)
{
    struct cookie cookie;
    struct lp_writer w;
    int result = answer->result;
    if (result == -ENOENT && cookies_find(c->rq->env.cookies, handle, &cookie)) {
        result = -ECONNREFUSED; /* it has existed: empty, not unknown */
    }
    if (result != 0) {
        rq_begin(c, &w, LP_RESULT, request);
        lp_put_i32(&w, LP_T_RESULT, result);
        lp_put_str(&w, LP_T_TEXT, resolve_text(result));
        if (answer->event != 0) {
            lp_put_u64(&w, LP_T_EVENT_ID, answer->event);
        }
        (void)rq_send(c, &w, request, -1);
        return;
    }
    rq_begin(c, &w, LP_RESOLVED, request);
    put_resolved(&w, handle, answer);
    (void)rq_send(c, &w, request, -1);
}

void rq_answered(struct rq_pending *p, const struct ag_answer *answer)
{
    struct rq_client *c = p->client;
    p->ag_request = 0;
    if (p->kind == RQ_NAME) {
        reply_name(c, p->request, rq_handle(p), answer, p->join);
    } else if (p->kind == RQ_RESOLVE) {
        reply_resolved(c, p->request, rq_handle(p), answer);
    } else {
        rq_list_begin(c, p->type, p->request, rq_handle(p), false, answer->result);
    }
    rq_done(p);
}

void rq_resolve_expired(struct rq_pending *p)
{
    struct ag_answer answer = {.result = p->kind == RQ_RESOLVE ? -EHOSTUNREACH : -EAGAIN};
    ag_resolve_cancel(p->rq->env.ag, p->ag_request);
    rq_answered(p, &answer);
}

/** What a RESOLVE asks for, but for the pool; its time-out in ms. */
static uint32_t read_query(const struct lp_message *msg, struct ag_query *query)
{
    uint32_t timeout_ms = RQ_RESOLVE_DEFAULT_MS;
    struct lp_each it;
    query->count = 1;
    lp_each_init(&it, msg);
    while (lp_next(&it)) {
        uint32_t v = lp_u32(&it, 0);
        if (it.type == LP_T_FAMILIES) {
            query->families = (uint8_t)(v & (LP_FAMILY_V4 | LP_FAMILY_V6));
        } else if (it.type == LP_T_PROTOCOL) {
            query->protocol = (enum transport_protocol)v;
        } else if (it.type == LP_T_COUNT) {
            query->count = (uint8_t)(v < AG_PICKS_MAX ? v : AG_PICKS_MAX);
        } else if (it.type == LP_T_TIMEOUT_MS) {
            timeout_ms = v < RQ_RESOLVE_LONGEST_MS ? v : RQ_RESOLVE_LONGEST_MS;
        } else if (it.type == LP_T_WANT_PE) {
            query->want_pe = v;
        } else if (it.type == LP_T_STALE_MS) {
            query->has_max_age = true;
            query->max_age_ms = v;
        } else if (it.type == LP_T_AVOID &&
                   query->avoid_count < sizeof(query->avoid) / sizeof(query->avoid[0])) {
            query->avoid[query->avoid_count++] = v;
        }
    }
    return timeout_ms;
}

void rq_resolve(struct rq_client *c, const struct lp_message *msg)
{
    uint8_t buffer[POOL_HANDLE_MAX];
    struct ag_query query = {.count = 1};
    if (rq_pool_of(c, msg, buffer, &query.handle) != 0 ||
        !rq_allowed(c, msg->request, AUTHORITY_RESOLVE, query.handle, 0)) {
        return;
    }
    uint32_t timeout_ms = read_query(msg, &query);
    ask(c, msg, RQ_RESOLVE, &query, timeout_ms, false);
}

/* --- RESOLVE on a resolver thread ---------------------------------------------------------------
 */

/** HANDLE, or ADDRESS of a cookie. False: the loop thread looks closer. */
static bool shared_pool_of(const struct requests *rq, const struct lp_message *msg,
                           struct pool_handle *ret)
{
    struct lp_each it;
    struct ip_address address;
    if (lp_find(msg, LP_T_HANDLE, &it)) {
        return lp_handle(&it, ret) && ret->len > 0 && ret->len <= POOL_HANDLE_MAX;
    }
    return lp_find(msg, LP_T_ADDRESS, &it) && lp_address(&it, &address) &&
           cookies_handle(rq->env.cookies, &address, ret);
}

size_t rq_answer_shared(void *ctx, const struct server_peer *peer, const struct lp_message *msg,
                        uint8_t *out, size_t size)
{
    const struct requests *rq = (const struct requests *)ctx;
    struct authority_subject who = {.uid = peer->uid,
                                    .gid = peer->gid,
                                    .groups = peer->groups,
                                    .group_count = peer->group_count};
    struct ag_query query = {.count = 1};
    struct ag_answer answer;
    struct lp_writer w;
    if (msg->version != LP_VERSION || msg->type != LP_RESOLVE || msg->request == 0 ||
        !shared_pool_of(rq, msg, &query.handle)) {
        return 0;
    }
    (void)read_query(msg, &query);
    hs_read_begin();
    bool answered = authority_may_resolve(rq->env.authority, query.handle, &who) &&
                    ag_resolve_shared(rq->env.ag, &query, monotonic_now(), &answer);
    hs_read_end();
    if (!answered) {
        return 0;
    }
    lp_begin(&w, out, size, LP_RESOLVED, msg->request);
    put_resolved(&w, query.handle, &answer);
    int len = lp_finish(&w);
    return len > 0 ? (size_t)len : 0;
}

/* --- REPORT -------------------------------------------------------------------------------------
 */

/** Whether a pool may have that element: only a registrar knows for certain that it has not. */
static bool in_pool(struct requests *rq, struct pool_handle handle, uint32_t pe_id)
{
    struct hs *hs = rq->env.handlespace(rq->env.ctx);
    if (hs == NULL || !rq->env.is_registrar(rq->env.ctx)) {
        return true;
    }
    hs_read_begin();
    bool there = hs_find(hs, handle, pe_id) != NULL;
    hs_read_end();
    return there || pes_find(rq->pes, pe_id) != NULL;
}

void rq_report(struct rq_client *c, const struct lp_message *msg)
{
    uint8_t buffer[POOL_HANDLE_MAX];
    struct pool_handle handle;
    struct lp_each it;
    if (rq_pool_of(c, msg, buffer, &handle) != 0 ||
        !rq_allowed(c, msg->request, AUTHORITY_REPORT, handle, 0)) {
        return;
    }
    uint32_t pe_id = lp_find(msg, LP_T_PE_ID, &it) ? lp_u32(&it, 0) : 0;
    uint32_t error = lp_find(msg, LP_T_ERRNO, &it) ? lp_u32(&it, 0) : 0;
    if (pe_id == 0 || error > 4095) {
        rq_result(c, msg->request, -EINVAL, "a report names an element and an error number");
        return;
    }
    if (!in_pool(c->rq, handle, pe_id)) {
        rq_result(c, msg->request, -ENOENT, "the pool has no element 0x%08x", pe_id);
        return;
    }
    c->rq->env.out->cause = 0;
    ag_report(c->rq->env.ag, handle, pe_id, (int)error, rq_now(c->rq));
    rq_result(c, msg->request, 0, NULL);
}
