/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pool elements: REGISTER, DEREGISTER, UPDATE, DRAIN, UNDRAIN, PROBE_DONE. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "handlespace/policy.h"
#include "rspd/local/netns.h"
#include "rspd/local/probe.h"
#include "rspd/local/requests_internal.h"

/* --- REGISTER: the reply ------------------------------------------------------------------------
 */

/** REGISTERED with the PE's life fd, or RESULT when it was refused. */
static void reply_registered(struct rq_client *c, uint32_t request, const struct pe *pe)
{
    struct requests *rq = c->rq;
    struct ag_pe_info info;
    struct lp_writer w;
    if (pe->outcome == PE_REFUSED) {
        rq_begin(c, &w, LP_RESULT, request);
        lp_put_i32(&w, LP_T_RESULT, pe->result);
        if (pe->cause != 0) {
            lp_put_u32(&w, LP_T_CAUSE, pe->cause);
        }
        lp_put_str(&w, LP_T_TEXT, pe->text);
        (void)rq_send(c, &w, request, -1);
        return;
    }
    int fd = -1;
    if (!pe->r.adopted) {
        fd = pes_life_fd(rq->pes, pe->r.pe_id);
        if (fd < 0) {
            rq_result(c, request, fd, "its life fd cannot be made: %s", strerror(-fd));
            pes_life_delivered(rq->pes, pe->r.pe_id);
            return;
        }
    }
    rq_begin(c, &w, LP_REGISTERED, request);
    lp_put_u32(&w, LP_T_PE_ID, pe->r.pe_id);
    if (pe->outcome != PE_ACCEPTED) {
        lp_put_i32(&w, LP_T_RESULT, -EAGAIN);
        lp_put_str(&w, LP_T_TEXT,
                   pe->text[0] != '\0' ? pe->text
                                       : "no registrar has answered yet; kept until one does");
    } else if (ag_pe_get(rq->env.ag, pe->r.pe_id, &info) && info.state == AG_PE_UNREGISTERED) {
        lp_put_str(&w, LP_T_TEXT, pe->text); /* no address other hosts could use */
    }
    if (request != 0) {
        (void)server_send(c->client, &w, fd);
    }
    if (fd >= 0) {
        (void)close(fd);
        pes_life_delivered(rq->pes, pe->r.pe_id);
    }
}

void rq_register_orphaned(struct rq_pending *p)
{
    pes_life_delivered(p->rq->pes, p->pe_id);
}

void rq_register_expired(struct rq_pending *p)
{
    const struct pe *pe = pes_find(p->rq->pes, p->pe_id);
    if (pe != NULL) {
        reply_registered(p->client, p->request, pe);
    } else {
        rq_result(p->client, p->request, -ECANCELED, "the element has gone");
    }
    rq_done(p);
}

void rq_outcome(void *ctx, const struct pe *pe)
{
    struct requests *rq = (struct requests *)ctx;
    uint32_t pe_id = pe->r.pe_id;
    bool refused = pe->outcome == PE_REFUSED;
    bool waited = false;
    struct rq_pending *p = rq->pending;
    while (p != NULL) {
        struct rq_pending *after = p->next;
        if (p->kind == RQ_REGISTER && p->client != NULL && p->pe_id == pe_id) {
            reply_registered(p->client, p->request, pe);
            rq_done(p);
            waited = true;
        }
        p = after;
    }
    if (refused && waited) { /* its program knows, and may try otherwise */
        pes_remove(rq->pes, pe_id, "refused");
    }
}

/* --- REGISTER: the request ----------------------------------------------------------------------
 */

/** Takes one TLV of a registration; false: it makes no sense. */
static bool take_tlv(const struct lp_each *it, struct record *r)
{
    struct ip_address address;
    switch (it->type) {
    case LP_T_PROTOCOL:
        r->protocol = (enum transport_protocol)lp_u32(it, 0);
        return r->protocol == TRANSPORT_TCP || r->protocol == TRANSPORT_UDP ||
               r->protocol == TRANSPORT_SCTP;
    case LP_T_PORT:
        r->port = (uint16_t)lp_u32(it, 0);
        return lp_u32(it, 0) >= 1 && lp_u32(it, 0) <= 65535;
    case LP_T_ADDRESS:
        if (r->address_count == RECORD_ADDRESSES_MAX || !lp_address(it, &address)) {
            return false;
        }
        r->addresses[r->address_count++] = ip_address_unmap(address);
        return true;
    case LP_T_FAMILIES:
        r->families = (uint8_t)(lp_u32(it, 0) & (LP_FAMILY_V4 | LP_FAMILY_V6));
        return true;
    case LP_T_POLICY:
        return lp_policy(it, &r->policy) && policy_info_by_type(r->policy.type) != NULL;
    case LP_T_CONTROL:
        r->use = lp_u32(it, 0) != 0 ? 1 : 0;
        return true;
    case LP_T_CAPACITY:
        r->capacity = lp_u32(it, 0);
        return true;
    case LP_T_SOCK_COOKIE:
        r->sock_cookie = lp_u64(it, 0);
        return true;
    case LP_T_PID:
        r->pid = lp_u32(it, 0);
        return true;
    case LP_T_PROBE:
        (void)lp_str(it, r->probe, sizeof(r->probe));
        return it->len < sizeof(r->probe);
    case LP_T_PROBE_MS:
        r->probe_ms = lp_u32(it, 0);
        return true;
    case LP_T_ADOPT:
        r->adopted = lp_u32(it, 1) != 0;
        return true;
    case LP_T_SLOW_START_MS:
        r->slow_start_ms = lp_u32(it, 0);
        return true;
    case LP_T_WANT_PE:
        r->pe_id = lp_u32(it, 0);
        return true;
    case LP_T_LIFE_MS:
        r->life_ms = lp_u32(it, 0);
        return true;
    case LP_T_INTERVAL_MS:
        r->interval_ms = lp_u32(it, 0);
        return true;
    case LP_T_NETNS:
        r->netns = lp_u64(it, 0);
        return true;
    default:
        return true;
    }
}

static const char *tlv_name(uint16_t type)
{
    switch (type) {
    case LP_T_PROTOCOL:
        return "protocol (tcp, udp or sctp)";
    case LP_T_PORT:
        return "port (1 to 65535)";
    case LP_T_ADDRESS:
        return "address (at most 8)";
    case LP_T_POLICY:
        return "policy (see rspctl register --help)";
    case LP_T_PROBE:
        return "probe";
    default:
        return "value";
    }
}

int rq_read_record(const struct lp_message *msg, struct record *r, char *why, size_t size)
{
    struct probe_spec probe;
    struct lp_each it;
    lp_each_init(&it, msg);
    while (lp_next(&it)) {
        if (!take_tlv(&it, r)) {
            (void)snprintf(why, size, "registration: wrong %s", tlv_name(it.type));
            return -EINVAL;
        }
    }
    if (r->protocol == TRANSPORT_NONE || r->port == 0) {
        (void)snprintf(why, size, "a registration names protocol and port");
        return -EINVAL;
    }
    return probe_spec_parse(r->probe, r->probe_ms, &probe, why, size) != 0 ? -EINVAL : 0;
}

/** Reads a registration; 0, or -EINVAL after having told the client. */
static int read_registration(struct rq_client *c, const struct lp_message *msg, struct record *r)
{
    const struct server_peer *peer = server_peer(c->client);
    char why[RQ_TEXT_MAX];
    r->uid = peer->uid;
    r->gid = peer->gid;
    if (rq_read_record(msg, r, why, sizeof(why)) != 0) {
        rq_result(c, msg->request, -EINVAL, "%s", why);
        return -EINVAL;
    }
    /* Whose process it is decides which namespace is looked into: the kernel's word, unless root
     * speaks for others or a listening socket is to be judged by its owner (ADOPT). */
    if (r->pid == 0 || (peer->uid != 0 && !r->adopted)) {
        r->pid = c->pid;
    }
    if (r->netns == 0 || peer->uid != 0) {
        r->netns = netns_of(r->pid);
    }
    if (r->netns == 0) {
        r->netns = netns_self();
    }
    (void)snprintf(r->program, sizeof(r->program), "%s", c->exe);
    return 0;
}

/** The PE is there: answer now or when its outcome is known. */
static void answer_for(struct rq_client *c, uint32_t request, const struct pe *pe)
{
    struct requests *rq = c->rq;
    if (pe->outcome == PE_ACCEPTED || pe->outcome == PE_WAITING) {
        reply_registered(c, request, pe);
        return;
    }
    struct rq_pending *p = rq_pend(c, RQ_REGISTER, request, (struct pool_handle){0},
                                   rq->env.settings->register_wait_ms);
    if (p == NULL) {
        pes_life_delivered(rq->pes, pe->r.pe_id);
        return;
    }
    p->pe_id = pe->r.pe_id;
}

static void add(struct rq_client *c, uint32_t request, const struct record *r)
{
    const struct pe *pe;
    char why[RQ_TEXT_MAX] = "";
    c->rq->env.out->cause = 0;
    int result = pes_add(c->rq->pes, r, &pe, why, sizeof(why));
    if (result != 0) {
        rq_result(c, request, result, "%s", why);
        return;
    }
    answer_for(c, request, pe);
}

/** Whose listening socket is it that is to be adopted? */
static void on_found(void *ctx, int result, const struct watch_listener *l)
{
    struct rq_pending *p = (struct rq_pending *)ctx;
    struct rq_client *c = p->client;
    p->looking = false;
    if (c == NULL) {
        rq_done(p);
        return;
    }
    const struct server_peer *peer = server_peer(c->client);
    struct record *r = p->record;
    if (result != 0) {
        rq_result(c, p->request, result,
                  result == -ENOENT ? "nobody listens on port %u there" : "port %u: %s", r->port,
                  strerror(-result));
    } else if (peer->uid != 0 && l->uid != peer->uid) {
        rq_result(c, p->request, -EPERM,
                  "the server on port %u is user %u's: only that user and root may register it",
                  r->port, l->uid);
    } else {
        r->sock_cookie = l->sock_cookie;
        r->families = l->families;
        r->address_count = l->address_count;
        memcpy(r->addresses, l->addresses, sizeof(r->addresses));
        const struct pe *there = pes_find_place(c->rq->pes, r);
        if (there != NULL) {
            answer_for(c, p->request, there);
        } else {
            add(c, p->request, r);
        }
    }
    rq_done(p);
}

static void adopt(struct rq_client *c, uint32_t request, const struct record *r, uint32_t pid)
{
    struct rq_pending *p = rq_pend(c, RQ_ADOPT, request, (struct pool_handle){0}, 5000);
    if (p == NULL) {
        return;
    }
    p->record = (struct record *)malloc(sizeof(*r));
    int result = -ENOMEM;
    if (p->record != NULL) {
        *p->record = *r;
        uint64_t netns = r->netns == netns_self() ? 0 : r->netns;
        p->looking = true;
        result = watch_find(pes_watch(c->rq->pes), r->protocol, r->port, pid, netns, on_found, p);
    }
    if (result != 0) {
        p->looking = false;
        rq_result(c, request, result, "the kernel's sockets cannot be looked at: %s",
                  strerror(-result));
        rq_done(p);
    }
}

void rq_register(struct rq_client *c, const struct lp_message *msg)
{
    uint8_t buffer[POOL_HANDLE_MAX];
    struct pool_handle handle;
    struct lp_each it;
    struct record r = {.pe_id = 0};
    if (!lp_find(msg, LP_T_HANDLE, &it)) {
        rq_result(c, msg->request, -EINVAL, "a registration names its pool");
        return;
    }
    if (rq_pool_of(c, msg, buffer, &handle) != 0) {
        return;
    }
    uint32_t longest = c->rq->env.settings->handle_max;
    if (handle.len > longest) {
        rq_result(c, msg->request, -ENAMETOOLONG,
                  "the pool handle has %u octets, at most %u are possible in this scope",
                  handle.len, longest);
        return;
    }
    r.handle_len = handle.len;
    memcpy(r.handle, handle.octets, handle.len);
    if (read_registration(c, msg, &r) != 0 ||
        !rq_allowed(c, msg->request, AUTHORITY_REGISTER, handle, 0)) {
        return;
    }
    if (r.adopted) {
        uint32_t pid = lp_find(msg, LP_T_PID, &it) ? lp_u32(&it, 0) : 0;
        r.pid = pid;
        adopt(c, msg->request, &r, pid);
        return;
    }
    const struct pe *there = pes_find_place(c->rq->pes, &r);
    if (there != NULL) {
        answer_for(c, msg->request, there); /* another holder of the same socket */
    } else {
        add(c, msg->request, &r);
    }
}

/* --- acting upon a PE ---------------------------------------------------------------------------
 */

/** The PE that PE_ID names, if the client may act upon it; NULL: it has been told. */
static const struct pe *pe_of(struct rq_client *c, const struct lp_message *msg,
                              enum authority_act act)
{
    struct lp_each it;
    uint32_t pe_id = lp_find(msg, LP_T_PE_ID, &it) ? lp_u32(&it, 0) : 0;
    const struct pe *pe = pe_id != 0 ? pes_find(c->rq->pes, pe_id) : NULL;
    if (pe == NULL) {
        rq_result(c, msg->request, pe_id == 0 ? -EINVAL : -ENOENT,
                  pe_id == 0 ? "the request names no element"
                             : "element 0x%08x is not one of this host; see rspctl pe list --local",
                  pe_id);
        return NULL;
    }
    return rq_allowed(c, msg->request, act, record_handle(&pe->r), pe->r.uid) ? pe : NULL;
}

/** All PEs of a pool (and port) on this host. */
static void deregister_pool(struct rq_client *c, const struct lp_message *msg)
{
    uint8_t buffer[POOL_HANDLE_MAX];
    struct pool_handle handle;
    struct lp_each it;
    size_t removed = 0;
    if (rq_pool_of(c, msg, buffer, &handle) != 0) {
        return;
    }
    uint32_t port = lp_find(msg, LP_T_PORT, &it) ? lp_u32(&it, 0) : 0;
    const struct pe *next;
    for (const struct pe *pe = pes_next(c->rq->pes, NULL); pe != NULL; pe = next) {
        next = pes_next(c->rq->pes, pe);
        if (!pool_handle_equal(record_handle(&pe->r), handle) ||
            (port != 0 && pe->r.port != port)) {
            continue;
        }
        if (!rq_allowed(c, msg->request, AUTHORITY_DEREGISTER, handle, pe->r.uid)) {
            return;
        }
        pes_remove(c->rq->pes, pe->r.pe_id, "deregistered on request");
        removed++;
    }
    if (removed == 0) {
        rq_result(c, msg->request, -ENOENT, "no element of this host is in that pool");
    } else {
        rq_result(c, msg->request, 0, NULL);
    }
}

void rq_deregister(struct rq_client *c, const struct lp_message *msg)
{
    struct lp_each it;
    if (!lp_find(msg, LP_T_PE_ID, &it)) {
        deregister_pool(c, msg);
        return;
    }
    const struct pe *pe = pe_of(c, msg, AUTHORITY_DEREGISTER);
    if (pe != NULL) {
        pes_remove(c->rq->pes, pe->r.pe_id, "deregistered on request");
        rq_result(c, msg->request, 0, NULL);
    }
}

/** What a program says anew of its element's addresses and registration; the rest stays. */
static int update_record(struct rq_client *c, const struct lp_message *msg, const struct pe *pe,
                         char *why, size_t size)
{
    struct record next = pe->r;
    struct lp_each it;
    if (lp_find(msg, LP_T_ADDRESS, &it) || lp_find(msg, LP_T_FAMILIES, &it)) {
        next.address_count = 0;
        next.families = 0;
    }
    lp_each_init(&it, msg);
    while (lp_next(&it)) {
        bool known = it.type == LP_T_ADDRESS || it.type == LP_T_FAMILIES || it.type == LP_T_PORT ||
                     it.type == LP_T_LIFE_MS || it.type == LP_T_INTERVAL_MS;
        if (known && !take_tlv(&it, &next)) {
            (void)snprintf(why, size, "update: wrong %s", tlv_name(it.type));
            return -EINVAL;
        }
    }
    if (next.port != pe->r.port) {
        (void)snprintf(why, size, "another port is another element");
        return -EINVAL;
    }
    return pes_change(c->rq->pes, pe->r.pe_id, &next);
}

void rq_update(struct rq_client *c, const struct lp_message *msg)
{
    const struct pe *pe = pe_of(c, msg, AUTHORITY_DRAIN);
    struct policy policy;
    struct lp_each it;
    int r = -EINVAL;
    if (pe == NULL) {
        return;
    }
    if (lp_find(msg, LP_T_POLICY, &it) && lp_policy(&it, &policy) &&
        policy_info_by_type(policy.type) != NULL) {
        r = pes_update(c->rq->pes, pe->r.pe_id, &policy, 0);
    } else if (lp_find(msg, LP_T_LOAD, &it) && it.len == 4) {
        r = pes_update(c->rq->pes, pe->r.pe_id, NULL, lp_u32(&it, 0));
    }
    char why[RQ_TEXT_MAX] = "";
    if (r == -EINVAL) {
        (void)snprintf(why, sizeof(why), "an update gives a load or a known policy");
    } else if (r == -EOPNOTSUPP) {
        (void)snprintf(why, sizeof(why), "the pool's policy has no load");
    } else if (r == 0) {
        r = update_record(c, msg, pe, why, sizeof(why));
    }
    if (r != 0 && why[0] == '\0') {
        (void)snprintf(why, sizeof(why), "%s", strerror(-r));
    }
    rq_result(c, msg->request, r, r != 0 ? "%s" : NULL, why);
}

void rq_undrain(struct rq_client *c, const struct lp_message *msg)
{
    const struct pe *pe = pe_of(c, msg, AUTHORITY_DRAIN);
    if (pe != NULL) {
        rq_result(c, msg->request,
                  pes_drain(c->rq->pes, pe->r.pe_id, false, server_peer(c->client)->uid), NULL);
    }
}

void rq_probe_done(struct rq_client *c, const struct lp_message *msg)
{
    const struct pe *pe = pe_of(c, msg, AUTHORITY_DRAIN);
    char text[RQ_TEXT_MAX] = "";
    struct lp_each it;
    if (pe == NULL) {
        return;
    }
    if (lp_find(msg, LP_T_TEXT, &it)) {
        (void)lp_str(&it, text, sizeof(text));
    }
    bool ok = lp_find(msg, LP_T_OK, &it) && lp_u32(&it, 0) != 0;
    int r = pes_probe_done(c->rq->pes, pe->r.pe_id, ok, text);
    rq_result(c, msg->request, r, r != 0 ? "the element has no probe of that kind" : NULL);
}

/* --- DRAIN --------------------------------------------------------------------------------------
 */

void rq_drain(struct rq_client *c, const struct lp_message *msg)
{
    const struct pe *pe = pe_of(c, msg, AUTHORITY_DRAIN);
    struct lp_each it;
    if (pe == NULL) {
        return;
    }
    uint32_t pe_id = pe->r.pe_id;
    int r = pes_drain(c->rq->pes, pe_id, true, server_peer(c->client)->uid);
    bool wait = lp_find(msg, LP_T_WAIT, &it) && lp_u32(&it, 1) != 0;
    if (r != 0 || !wait) {
        rq_result(c, msg->request, r, r != 0 ? "%s" : NULL, strerror(-r));
        return;
    }
    uint32_t timeout =
        lp_find(msg, LP_T_TIMEOUT_MS, &it) ? lp_u32(&it, RQ_DRAIN_DEFAULT_MS) : RQ_DRAIN_DEFAULT_MS;
    timeout = timeout < RQ_DRAIN_LONGEST_MS ? timeout : RQ_DRAIN_LONGEST_MS;
    struct rq_pending *p = rq_pend(c, RQ_DRAIN, msg->request, (struct pool_handle){0}, timeout);
    if (p != NULL) {
        p->pe_id = pe_id;
        p->look = tm_add_ms(rq_now(c->rq), RQ_DRAIN_LOOK_MS);
        rq_wake(c->rq, p->look);
    }
}

static void look_again(struct rq_pending *p)
{
    p->look = tm_add_ms(rq_now(p->rq), RQ_DRAIN_LOOK_MS);
    rq_wake(p->rq, p->look);
}

static void drained(struct rq_pending *p)
{
    rq_result(p->client, p->request, 0, NULL);
    rq_done(p);
}

/** Want of something that comes back, as against what cannot be looked at at all. */
static bool is_passing(int error)
{
    switch (error) {
    case -ENOMEM:
    case -ENOBUFS:
    case -EBUSY:
    case -EAGAIN:
    case -EINTR:
    case -EMFILE:
    case -ENFILE:
        return true;
    default:
        return false;
    }
}

static void on_drain_look(void *ctx, uint32_t pe_id, int result, uint32_t connections,
                          uint32_t queued)
{
    struct requests *rq = (struct requests *)ctx;
    struct rq_pending *p = rq->pending;
    while (p != NULL) {
        struct rq_pending *after = p->next;
        if (p->kind == RQ_DRAIN && p->client != NULL && p->pe_id == pe_id && tm_is_never(p->look)) {
            /* What the kernel does not show (-ENOENT: UDP, another namespace) is not waited for. */
            bool waits = result == 0 && (connections > 0 || queued > 0);
            if (waits || is_passing(result)) {
                look_again(p);
            } else {
                drained(p);
            }
        }
        p = after;
    }
}

void rq_drain_look(struct rq_pending *p)
{
    const struct pe *pe = pes_find(p->rq->pes, p->pe_id);
    if (pe == NULL) {
        drained(p);
    } else if (!pe->r.drained) {
        rq_result(p->client, p->request, -ECANCELED, "it was taken back in meanwhile");
        rq_done(p);
    } else if (!pe->left) {
        look_again(p);
    } else {
        int r = watch_drain_query(pes_watch(p->rq->pes), p->pe_id, on_drain_look, p->rq);
        if (is_passing(r)) {
            look_again(p);
        } else if (r != 0) {
            drained(p);
        }
    }
}

/** Out of the scope: from now on only the connections count. */
void rq_left(void *ctx, const struct pe *pe)
{
    struct requests *rq = (struct requests *)ctx;
    for (struct rq_pending *p = rq->pending; p != NULL; p = p->next) {
        if (p->kind == RQ_DRAIN && p->client != NULL && p->pe_id == pe->r.pe_id &&
            !tm_is_never(p->look)) {
            p->look = rq_now(rq);
            rq_wake(rq, p->look);
        }
    }
}

void rq_gone(void *ctx, const struct pe *pe)
{
    struct requests *rq = (struct requests *)ctx;
    struct rq_pending *p = rq->pending;
    while (p != NULL) {
        struct rq_pending *after = p->next;
        if (p->client != NULL && p->pe_id == pe->r.pe_id) {
            if (p->kind == RQ_DRAIN) {
                drained(p);
            } else if (p->kind == RQ_REGISTER) {
                rq_result(p->client, p->request, -ECANCELED, "the element has gone");
                rq_done(p);
            }
        }
        p = after;
    }
}
