/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * POOL_LIST, PE_LIST, REGISTRAR_LIST. A long list goes out in pieces, as fast as the client reads:
 * first this host's own PEs (as they were when the list began), then the handlespace by a cursor
 * that survives changes.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handlespace/policy.h"
#include "rspd/local/requests_internal.h"

#define QUEUE_ENOUGH    (SERVER_QUEUE_MAX / 4)
#define PIECES_PER_TURN 4
#define STEPS_PER_PIECE 1000 /* also of what the client may not see */
#define REGISTRARS_MAX  65

static struct pool_handle listing_handle(const struct rq_listing *l)
{
    return (struct pool_handle){.octets = l->handle, .len = l->handle_len};
}

static bool wanted(const struct rq_listing *l, struct pool_handle handle)
{
    return (!l->has_handle || pool_handle_equal(handle, listing_handle(l))) &&
           rq_may_see(l->client, handle);
}

/** Whether the client may see whose process a PE is. */
static bool may_see_process(const struct rq_client *c, const struct pe *pe)
{
    uint32_t uid = server_peer(c->client)->uid;
    return uid == 0 || uid == pe->r.uid || uid == pe->r.pool_uid;
}

/* --- items --------------------------------------------------------------------------------------
 */

static void put_load(struct lp_writer *w, const struct policy *policy)
{
    const struct policy_info *info = policy_info_by_type(policy->type);
    if (info != NULL && info->adaptive && policy->word_count > 0) {
        lp_put_u32(w, LP_T_LOAD, policy->words[0]);
    }
}

/** What only the host of a PE knows. */
static void put_local(struct rq_client *c, struct lp_writer *w, const struct pe *pe)
{
    uint32_t connections;
    lp_put_u32(w, LP_T_LOCAL, 1);
    lp_put_u32(w, LP_T_OWNER_UID, pe->r.uid);
    if (pe->r.capacity != 0) {
        lp_put_u32(w, LP_T_CAPACITY, pe->r.capacity);
    }
    if (pes_connections(c->rq->pes, pe->r.pe_id, &connections)) {
        lp_put_u32(w, LP_T_CONNECTIONS, connections);
    }
    if (may_see_process(c, pe)) {
        if (pe->r.pid != 0) { /* not known of an adopted one */
            lp_put_u32(w, LP_T_PID, pe->r.pid);
        }
        if (pe->r.program[0] != '\0') {
            lp_put_str(w, LP_T_PROGRAM, pe->r.program);
        }
    }
    const char *reason = pes_reason(c->rq->pes, pe);
    if (reason != NULL) {
        lp_put_str(w, LP_T_REASON, reason);
    }
}

static void put_element(struct rq_client *c, struct lp_writer *w, const struct hs_element *e)
{
    struct requests *rq = c->rq;
    const struct pe *own = pes_find(rq->pes, e->pe_id);
    struct transport user = hs_user(e);
    struct policy policy = hs_policy(e);
    size_t mark = lp_nest(w, LP_T_PE);
    lp_put_handle(w, *e->handle);
    lp_put_u32(w, LP_T_PE_ID, e->pe_id);
    lp_put_u32(w, LP_T_PROTOCOL, user.protocol);
    lp_put_u32(w, LP_T_PORT, user.port);
    for (uint16_t i = 0; i < user.address_count && i < 8; i++) {
        lp_put_address(w, LP_T_ADDRESS, &user.addresses[i]);
    }
    lp_put_policy(w, &policy);
    put_load(w, &policy);
    lp_put_u32(w, LP_T_HOME_ID, e->home_id);
    const char *state = "up";
    if (own != NULL) {
        state = pes_state(rq->pes, own);
    } else if (ag_quarantined(rq->env.ag, *e->handle, e->pe_id)) {
        state = "quarantined";
    }
    lp_put_str(w, LP_T_STATE, state);
    int64_t age = tm_diff_ms(rq_now(rq), e->registered);
    lp_put_u64(w, LP_T_AGE_MS, age > 0 ? (uint64_t)age : 0);
    if (own != NULL) {
        put_local(c, w, own);
    }
    lp_unnest(w, mark);
}

static void put_own(struct rq_client *c, struct lp_writer *w, const struct pe *pe)
{
    struct ag_pe_info info;
    bool known = ag_pe_get(c->rq->env.ag, pe->r.pe_id, &info);
    size_t mark = lp_nest(w, LP_T_PE);
    lp_put_handle(w, record_handle(&pe->r));
    lp_put_u32(w, LP_T_PE_ID, pe->r.pe_id);
    lp_put_u32(w, LP_T_PROTOCOL, pe->r.protocol);
    lp_put_u32(w, LP_T_PORT, pe->r.port);
    for (uint8_t i = 0; i < pe->r.address_count; i++) {
        lp_put_address(w, LP_T_ADDRESS, &pe->r.addresses[i]);
    }
    struct policy policy = known ? info.pe.policy : pe->r.policy;
    if (policy.type == POLICY_NONE) {
        policy.type = POLICY_RR; /* what it registers with */
    }
    lp_put_policy(w, &policy);
    put_load(w, &policy);
    lp_put_str(w, LP_T_STATE, pes_state(c->rq->pes, pe));
    int64_t age = known ? tm_diff_ms(rq_now(c->rq), info.since) : 0;
    lp_put_u64(w, LP_T_AGE_MS, age > 0 ? (uint64_t)age : 0);
    put_local(c, w, pe);
    lp_unnest(w, mark);
}

static void put_pool(struct rq_client *c, struct lp_writer *w, const struct hs_pool_info *pool)
{
    struct cookie cookie;
    uint32_t owner;
    size_t mark = lp_nest(w, LP_T_POOL);
    struct policy policy = {.type = pool->policy_type};
    lp_put_handle(w, pool->handle);
    lp_put_policy(w, &policy);
    lp_put_u32(w, LP_T_PROTOCOL, pool->protocol);
    lp_put_u32(w, LP_T_PES, pool->elements);
    if (cookies_find(c->rq->env.cookies, pool->handle, &cookie)) {
        lp_put_address(w, LP_T_COOKIE4, &cookie.v4);
        lp_put_address(w, LP_T_COOKIE6, &cookie.v6);
    }
    if (authority_owner(c->rq->env.authority, pool->handle, &owner)) {
        lp_put_u32(w, LP_T_OWNER_UID, owner);
    }
    lp_unnest(w, mark);
}

/* --- the walk -----------------------------------------------------------------------------------
 */

/** A pool that only PEs of this host make up, told once, with its first PE. */
static bool put_own_pool(struct rq_listing *l, struct lp_writer *w, const struct pe *pe,
                         struct hs *hs)
{
    struct requests *rq = l->client->rq;
    struct hs_pool_info pool;
    struct pool_handle handle = record_handle(&pe->r);
    if (hs != NULL && hs_pool(hs, handle, &pool)) {
        return false;
    }
    for (size_t i = 0; i + 1 < l->id_at; i++) {
        const struct pe *before = pes_find(rq->pes, l->ids[i]);
        if (before != NULL && pool_handle_equal(record_handle(&before->r), handle)) {
            return false;
        }
    }
    /* None of its elements is in the scope now. */
    pool = (struct hs_pool_info){
        .handle = handle, .policy_type = pe->r.policy.type, .protocol = pe->r.protocol};
    put_pool(l->client, w, &pool);
    return true;
}

/** The next of this host's PEs. False: there are no more. `*ret_put`: something was written. */
static bool step_own(struct rq_listing *l, struct lp_writer *w, struct hs *hs, bool *ret_put)
{
    struct requests *rq = l->client->rq;
    *ret_put = false;
    if (l->id_at == l->id_count) {
        return false;
    }
    const struct pe *pe = pes_find(rq->pes, l->ids[l->id_at++]);
    if (pe == NULL || !wanted(l, record_handle(&pe->r))) {
        return true;
    }
    if (l->type == LP_POOL_LIST) {
        *ret_put = put_own_pool(l, w, pe, hs);
        return true;
    }
    const struct hs_element *e =
        hs != NULL ? hs_find(hs, record_handle(&pe->r), pe->r.pe_id) : NULL;
    if (e == NULL) {
        put_own(l->client, w, pe);
    } else if (l->local_only) {
        put_element(l->client, w, e);
    } /* else it comes with the handlespace */
    *ret_put = e == NULL || l->local_only;
    return true;
}

/** The next pool of the handlespace; false: there are no more. */
static bool step_pool(struct rq_listing *l, struct lp_writer *w, struct hs *hs, bool *ret_put)
{
    struct hs_pool_info pool;
    bool there;
    if (l->has_handle) {
        there = !l->cursor.started && hs_pool(hs, listing_handle(l), &pool);
        l->cursor.started = true;
    } else {
        there = hs_pool_next(hs, &l->cursor, &pool);
    }
    *ret_put = there && wanted(l, pool.handle);
    if (*ret_put) {
        put_pool(l->client, w, &pool);
    }
    return there;
}

/** The next element of the handlespace, likewise. */
static bool step_element(struct rq_listing *l, struct lp_writer *w, struct hs *hs, bool *ret_put)
{
    const struct hs_element *e = l->has_handle
                                     ? hs_pool_element_next(hs, listing_handle(l), &l->cursor)
                                     : hs_element_next(hs, &l->cursor);
    *ret_put = e != NULL && wanted(l, *e->handle);
    if (*ret_put) {
        put_element(l->client, w, e);
    }
    return e != NULL;
}

/** One item, or none; false at the end of the list. */
static bool step(struct rq_listing *l, struct lp_writer *w, struct hs *hs)
{
    bool put = false;
    bool there = true;
    if (!l->in_handlespace) {
        l->in_handlespace = !step_own(l, w, hs, &put);
    } else if (hs == NULL || l->local_only) {
        there = false;
    } else if (l->type == LP_POOL_LIST) {
        there = step_pool(l, w, hs, &put);
    } else {
        there = step_element(l, w, hs, &put);
    }
    l->items += put;
    return there;
}

/** Fills one message. Returns whether the list goes on. */
static bool fill(struct rq_listing *l, struct lp_writer *w)
{
    struct requests *rq = l->client->rq;
    struct hs *hs = rq->env.handlespace(rq->env.ctx);
    bool more = true;
    hs_read_begin();
    /* Room for the largest item: a handle, a reason, a program, some numbers. */
    for (int i = 0; i < STEPS_PER_PIECE && more && lp_left(w) >= POOL_HANDLE_MAX + 1024; i++) {
        more = step(l, w, hs);
    }
    hs_read_end();
    if (more) {
        lp_put_u32(w, LP_T_MORE, 1);
    }
    return more;
}

/* --- beginning, going on, end -------------------------------------------------------------------
 */

void rq_list_free(struct rq_listing *l)
{
    struct requests *rq = l->client->rq;
    l->client->listing = NULL;
    if (l->prev != NULL) {
        l->prev->next = l->next;
    } else {
        rq->listings = l->next;
    }
    if (l->next != NULL) {
        l->next->prev = l->prev;
    }
    rq->listing_count--;
    free(l->ids);
    free(l);
}

/** Lists whose clients read as fast as we write. */
static void continue_all(void *ctx)
{
    struct requests *rq = (struct requests *)ctx;
    struct rq_listing *l = rq->listings;
    rq->continuing = false;
    while (l != NULL) {
        struct rq_listing *after = l->next;
        if (server_queued(l->client->client) == 0) {
            rq_list_continue(l);
        }
        l = after;
    }
}

void rq_list_continue(struct rq_listing *l)
{
    struct rq_client *c = l->client;
    struct requests *rq = c->rq;
    struct lp_writer w;
    for (int i = 0; i < PIECES_PER_TURN; i++) {
        rq_begin(c, &w, LP_LIST, l->request);
        bool more = fill(l, &w);
        if (!more && l->items == 0 && l->has_handle && i == 0) {
            struct cookie cookie;
            bool known = cookies_find(rq->env.cookies, listing_handle(l), &cookie);
            if (!known) {
                rq_result(c, l->request, -ENOENT, "no such pool is known; see rspctl pool list");
                rq_list_free(l);
                return;
            }
        }
        int r = rq_send(c, &w, l->request, -1);
        if (r != 0 || !more) {
            rq_list_free(l);
            return;
        }
        if (server_queued(c->client) > QUEUE_ENOUGH) {
            return; /* goes on when the client has read it */
        }
    }
    if (server_queued(c->client) == 0 && !rq->continuing) {
        rq->continuing = loop_post(rq->env.loop, continue_all, rq) == 0;
    }
}

/** The ids of this host's PEs now. */
static int note_own(struct rq_listing *l, const struct pes *pes)
{
    size_t count = pes_count(pes);
    if (count == 0) {
        return 0;
    }
    l->ids = (uint32_t *)calloc(count, sizeof(uint32_t));
    if (l->ids == NULL) {
        return -ENOMEM;
    }
    for (const struct pe *pe = pes_next(pes, NULL); pe != NULL; pe = pes_next(pes, pe)) {
        l->ids[l->id_count++] = pe->r.pe_id;
    }
    return 0;
}

void rq_list_begin(struct rq_client *c, uint16_t type, uint32_t request, struct pool_handle handle,
                   bool local_only, int result)
{
    struct requests *rq = c->rq;
    (void)result; /* what is known is listed; an unknown pool shows by having nothing to list */
    if (c->listing != NULL || rq->listing_count >= RQ_LISTINGS_MAX || request == 0) {
        rq_result(c, request, -EBUSY, "another list is under way");
        return;
    }
    struct rq_listing *l = (struct rq_listing *)calloc(1, sizeof(*l));
    if (l == NULL || note_own(l, rq->pes) != 0) {
        free(l);
        rq_result(c, request, -ENOMEM, "rspd is out of memory");
        return;
    }
    l->client = c;
    l->request = request;
    l->type = type;
    l->local_only = local_only;
    l->has_handle = handle.len > 0;
    l->handle_len = handle.len;
    if (handle.len > 0) {
        memcpy(l->handle, handle.octets, handle.len);
    }
    l->next = rq->listings;
    if (l->next != NULL) {
        l->next->prev = l;
    }
    rq->listings = l;
    rq->listing_count++;
    c->listing = l;
    rq_list_continue(l);
}

void rq_list(struct rq_client *c, const struct lp_message *msg)
{
    struct requests *rq = c->rq;
    uint8_t buffer[POOL_HANDLE_MAX];
    struct ag_query query = {.count = 0}; /* a look takes nobody's turn */
    struct ag_answer answer = {.result = 0};
    struct lp_each it;
    bool local_only = lp_find(msg, LP_T_LOCAL, &it) && lp_u32(&it, 0) != 0;
    bool one = lp_find(msg, LP_T_HANDLE, &it) || lp_find(msg, LP_T_NAME, &it) ||
               lp_find(msg, LP_T_ADDRESS, &it);
    if (one && rq_pool_of(c, msg, buffer, &query.handle) != 0) {
        return;
    }
    if (!one || local_only || rq->env.is_registrar(rq->env.ctx)) {
        rq_list_begin(c, msg->type, msg->request, query.handle, local_only, 0);
        return;
    }
    struct rq_pending *p = rq_pend(c, RQ_LIST, msg->request, query.handle, RQ_RESOLVE_DEFAULT_MS);
    if (p == NULL) {
        return;
    }
    p->type = msg->type;
    p->ag_request = rq->next_ag_request++;
    rq->env.out->cause = 0;
    if (ag_resolve(rq->env.ag, &query, p->ag_request, rq_now(rq), &answer) == 1) {
        rq_answered(p, &answer);
    }
}

/* --- registrars ---------------------------------------------------------------------------------
 */

static void put_peer(struct lp_writer *w, const struct requests_peer *peer)
{
    size_t mark = lp_nest(w, LP_T_PEER);
    lp_put_str(w, LP_T_STATE, peer->state);
    lp_put_u32(w, LP_T_PES, peer->elements);
    lp_put_u32(w, LP_T_CHECKSUM, peer->checksum);
    if (!peer->self) {
        lp_put_u32(w, LP_T_PORT, peer->port);
        lp_put_u32(w, LP_T_CONNECTED, peer->connected);
        lp_put_u32(w, LP_T_CONFIGURED, peer->configured);
        lp_put_u32(w, LP_T_RESYNC, peer->resync);
        if (peer->heard_ms != UINT64_MAX) {
            lp_put_u64(w, LP_T_AGE_MS, peer->heard_ms);
        }
        if (peer->told) {
            lp_put_u32(w, LP_T_CHECKSUM_TOLD, peer->told_checksum);
        }
    }
    lp_unnest(w, mark);
}

/** One that clients know; `peer`: what the registrar knows of it, or NULL. */
static void put_registrar(struct lp_writer *w, const struct ag_registrar_info *r,
                          const struct requests_peer *peer, struct tm_us now)
{
    size_t mark = lp_nest(w, LP_T_REGISTRAR);
    lp_put_u32(w, LP_T_HOME_ID, r->id);
    for (uint8_t k = 0; k < r->address_count; k++) {
        lp_put_address(w, LP_T_ADDRESS, &r->addresses[k]);
    }
    lp_put_u32(w, LP_T_PORT, r->port);
    lp_put_str(w, LP_T_STATE, r->is_home ? "home" : r->is_static ? "configured" : "heard");
    int64_t age = tm_diff_ms(now, r->last_heard);
    lp_put_u64(w, LP_T_AGE_MS, age > 0 ? (uint64_t)age : 0);
    if (r->is_local) {
        lp_put_u32(w, LP_T_LOCAL, 1);
    }
    if (peer != NULL) {
        put_peer(w, peer);
    }
    lp_unnest(w, mark);
}

/** One that only the registrar knows. */
static void put_peer_alone(struct lp_writer *w, const struct requests_peer *peer)
{
    size_t mark = lp_nest(w, LP_T_REGISTRAR);
    lp_put_u32(w, LP_T_HOME_ID, peer->id);
    for (uint8_t k = 0; k < peer->address_count; k++) {
        lp_put_address(w, LP_T_ADDRESS, &peer->addresses[k]);
    }
    lp_put_str(w, LP_T_STATE, "peer");
    if (peer->self) {
        lp_put_u32(w, LP_T_LOCAL, 1);
    }
    put_peer(w, peer);
    lp_unnest(w, mark);
}

/** Room for what is known of the registrars at one moment. */
struct registrars {
    struct ag_registrar_info list[REGISTRARS_MAX];
    struct requests_peer peers[REQUESTS_PEERS_MAX];
    bool told[REQUESTS_PEERS_MAX];
};

static void put_registrars(struct requests *rq, struct registrars *r, struct lp_writer *w)
{
    size_t n = ag_registrars(rq->env.ag, r->list, REGISTRARS_MAX);
    size_t peers = rq->env.peers(rq->env.ctx, r->peers, REQUESTS_PEERS_MAX);
    for (size_t i = 0; i < n; i++) {
        const struct requests_peer *peer = NULL;
        for (size_t k = 0; k < peers; k++) {
            if (r->peers[k].id != 0 && r->peers[k].id == r->list[i].id) {
                r->told[k] = true;
                peer = &r->peers[k];
            }
        }
        put_registrar(w, &r->list[i], peer, rq_now(rq));
    }
    for (size_t k = 0; k < peers; k++) {
        if (!r->told[k]) {
            put_peer_alone(w, &r->peers[k]);
        }
    }
}

void rq_registrar_list(struct rq_client *c, const struct lp_message *msg)
{
    struct registrars *r = (struct registrars *)calloc(1, sizeof(*r));
    struct lp_writer w;
    if (r == NULL) {
        rq_result(c, msg->request, -ENOMEM, "rspd is out of memory");
        return;
    }
    rq_begin(c, &w, LP_LIST, msg->request);
    put_registrars(c->rq, r, &w);
    free(r);
    (void)rq_send(c, &w, msg->request, -1);
}

void rq_registrar_leave(struct rq_client *c, const struct lp_message *msg)
{
    struct requests *rq = c->rq;
    uint32_t uid = server_peer(c->client)->uid;
    if (uid != 0 && uid != geteuid()) {
        rq_result(c, msg->request, -EPERM, "only root and the user of rspd may do that");
        return;
    }
    int r = rq->env.leave(rq->env.ctx);
    rq_result(c, msg->request, r,
              r == -ENOENT ? "this host is no registrar"
              : r == 0     ? NULL
                           : "there is no other registrar to hand over to; to end "
                             "this one all the same, end rspd");
}
