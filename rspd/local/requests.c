/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Clients, their answers that take time, dispatch; HELLO, STATUS and MONITOR. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/names.h"
#include "rspd/local/requests_internal.h"
#include "rspd/local/resolver.h"

#define RULES_PER_HELLO   64
#define TIMER_ACCURACY_US 2000

const struct pes_events requests_pes_events = {
    .outcome = rq_outcome, .left = rq_left, .gone = rq_gone};

/* --- replies ------------------------------------------------------------------------------------
 */

void rq_begin(struct rq_client *c, struct lp_writer *w, enum lp_type type, uint32_t request)
{
    lp_begin(w, c->rq->out, sizeof(c->rq->out), type, request);
}

int rq_send(struct rq_client *c, struct lp_writer *w, uint32_t request, int fd)
{
    return request != 0 ? server_send(c->client, w, fd) : 0;
}

void rq_result(struct rq_client *c, uint32_t request, int result, const char *format, ...)
{
    struct lp_writer w;
    rq_begin(c, &w, LP_RESULT, request);
    lp_put_i32(&w, LP_T_RESULT, result);
    if (format != NULL) {
        char text[RQ_TEXT_MAX];
        va_list args;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
        lp_put_str(&w, LP_T_TEXT, text);
    }
    (void)rq_send(c, &w, request, -1);
}

static bool allows(const struct rq_client *c, enum authority_act act, struct pool_handle handle,
                   uint32_t pe_uid, char *why, size_t size)
{
    const struct server_peer *peer = server_peer(c->client);
    struct authority_subject who = {.uid = peer->uid,
                                    .gid = peer->gid,
                                    .groups = peer->groups,
                                    .group_count = peer->group_count};
    return authority_allows(c->rq->env.authority, act, handle, &who, pe_uid, why, size);
}

bool rq_may_see(const struct rq_client *c, struct pool_handle handle)
{
    return allows(c, AUTHORITY_RESOLVE, handle, 0, NULL, 0);
}

bool rq_allowed(struct rq_client *c, uint32_t request, enum authority_act act,
                struct pool_handle handle, uint32_t pe_uid)
{
    const struct server_peer *peer = server_peer(c->client);
    char why[AUTHORITY_WHY_MAX];
    if (allows(c, act, handle, pe_uid, why, sizeof(why))) {
        return true;
    }
    struct event event = {.kind = EVENT_CLIENT_REJECTED, .handle = handle};
    (void)snprintf(event.text, sizeof(event.text), "user %u, pid %u: %.140s", peer->uid, peer->pid,
                   why);
    (void)eventlog_add(c->rq->env.log, &event, 0);
    rq_result(c, request, -EPERM, "%s", why);
    return false;
}

/** The handle behind a host name; 0 or -errno as name_to_handle(). */
static int handle_of_name(const struct requests *rq, const char *name, uint8_t *buffer,
                          struct pool_handle *ret)
{
    const struct settings_suffixes *suffixes = &rq->env.settings->suffixes;
    int r = -ENOENT;
    for (uint8_t i = 0; i < suffixes->count && r == -ENOENT; i++) {
        r = name_to_handle(name, suffixes->items[i], buffer, POOL_HANDLE_MAX);
    }
    if (r < 0) {
        return r;
    }
    *ret = (struct pool_handle){.octets = buffer, .len = (uint16_t)r};
    return 0;
}

int rq_pool_of(struct rq_client *c, const struct lp_message *msg, uint8_t *buffer,
               struct pool_handle *ret)
{
    struct lp_each it;
    struct ip_address address;
    if (lp_find(msg, LP_T_HANDLE, &it) && lp_handle(&it, ret)) {
        if (ret->len == 0 || ret->len > POOL_HANDLE_MAX) {
            rq_result(c, msg->request, ret->len == 0 ? -EINVAL : -ENAMETOOLONG,
                      "a pool handle has 1 to %d octets", POOL_HANDLE_MAX);
            return -EINVAL;
        }
        return 0;
    }
    if (lp_find(msg, LP_T_ADDRESS, &it) && lp_address(&it, &address)) {
        if (cookies_handle(c->rq->env.cookies, &address, ret)) {
            return 0;
        }
        rq_result(c, msg->request, -ENOENT, "this address stands for no pool");
        return -ENOENT;
    }
    if (lp_find(msg, LP_T_NAME, &it)) {
        char name[NAME_TEXT_MAX + 2];
        if (it.len > NAME_TEXT_MAX) {
            rq_result(c, msg->request, -ENAMETOOLONG, "the name is too long");
            return -ENAMETOOLONG;
        }
        int r = handle_of_name(c->rq, lp_str(&it, name, sizeof(name)), buffer, ret);
        if (r != 0) {
            rq_result(c, msg->request, r == -EINVAL ? -ENOENT : r, "this is not a pool's name");
        }
        return r;
    }
    rq_result(c, msg->request, -EINVAL, "the request names no pool");
    return -EINVAL;
}

/* --- answers that take time ---------------------------------------------------------------------
 */

void rq_wake(struct requests *rq, struct tm_us at)
{
    if (tm_before(at, rq->timer_at)) {
        rq->timer_at = at;
        (void)loop_timer_set(rq->timer, at);
    }
}

struct rq_pending *rq_pend(struct rq_client *c, enum rq_kind kind, uint32_t request,
                           struct pool_handle handle, uint32_t timeout_ms)
{
    struct requests *rq = c->rq;
    struct rq_pending *p = NULL;
    if (c->pending >= RQ_PENDING_MAX) {
        rq_result(c, request, -EBUSY, "%d answers are outstanding on this connection",
                  RQ_PENDING_MAX);
        return NULL;
    }
    p = (struct rq_pending *)calloc(1, sizeof(*p) + handle.len);
    if (p == NULL) {
        rq_result(c, request, -ENOMEM, "rspd is out of memory");
        return NULL;
    }
    p->rq = rq;
    p->client = c;
    p->kind = kind;
    p->request = request;
    p->deadline = tm_add_ms(rq_now(rq), timeout_ms);
    p->look = TM_NEVER;
    p->handle_len = handle.len;
    if (handle.len > 0) {
        memcpy(p->handle, handle.octets, handle.len);
    }
    p->next = rq->pending;
    if (p->next != NULL) {
        p->next->prev = p;
    }
    rq->pending = p;
    c->pending++;
    rq_wake(rq, p->deadline);
    return p;
}

void rq_done(struct rq_pending *p)
{
    struct requests *rq = p->rq;
    if (p->client != NULL) {
        p->client->pending--;
        p->client = NULL;
    }
    if (p->looking) {
        return; /* freed when its callback comes back */
    }
    if (p->prev != NULL) {
        p->prev->next = p->next;
    } else {
        rq->pending = p->next;
    }
    if (p->next != NULL) {
        p->next->prev = p->prev;
    }
    free(p->record);
    free(p);
}

static void expire(struct rq_pending *p)
{
    switch (p->kind) {
    case RQ_RESOLVE:
    case RQ_NAME:
    case RQ_LIST:
        rq_resolve_expired(p);
        break;
    case RQ_REGISTER:
        rq_register_expired(p);
        break;
    case RQ_ADOPT:
        rq_result(p->client, p->request, -ETIMEDOUT, "the kernel's sockets could not be looked at");
        rq_done(p);
        break;
    case RQ_DRAIN:
        rq_result(p->client, p->request, -ETIMEDOUT, "it still has connections");
        rq_done(p);
        break;
    }
}

static void on_timer(void *ctx, struct tm_us now)
{
    struct requests *rq = (struct requests *)ctx;
    struct tm_us next = TM_NEVER;
    rq->timer_at = TM_NEVER;
    struct rq_pending *p = rq->pending;
    while (p != NULL) {
        struct rq_pending *after = p->next;
        if (p->client == NULL) {
            p = after;
            continue;
        }
        if (tm_due(p->deadline, now)) {
            expire(p);
        } else {
            if (tm_due(p->look, now)) {
                p->look = TM_NEVER;
                rq_drain_look(p);
            }
            next = tm_min(next, p->deadline);
        }
        p = after;
    }
    for (p = rq->pending; p != NULL; p = p->next) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): rq_done() unlinks before it frees */
        next = p->client != NULL ? tm_min(next, p->look) : next;
    }
    rq_wake(rq, next);
}

void requests_resolved(struct requests *rq, uint64_t request)
{
    struct ag_answer answer;
    struct rq_pending *p = rq->pending;
    while (p != NULL && (p->client == NULL || p->ag_request != request)) {
        p = p->next;
    }
    if (!ag_resolve_take(rq->env.ag, request, rq_now(rq), &answer) || p == NULL) {
        return;
    }
    rq_answered(p, &answer);
}

/* --- HELLO, STATUS, MONITOR ---------------------------------------------------------------------
 */

static void put_net(struct lp_writer *w, enum lp_tlv type, const struct settings_prefix *net)
{
    uint8_t octets[17];
    size_t len = net->address.family == IP_V4 ? 4 : 16;
    memcpy(octets, net->address.octets, len);
    octets[len] = net->len;
    lp_put_octets(w, type, octets, len + 1);
}

/** The rules of a program; `port` of the listener it asks for, 0: it asks for another reason. */
static void put_rules(struct rq_client *c, struct lp_writer *w, uint32_t port)
{
    const struct rule *found[RULES_PER_HELLO];
    size_t n = rules_find(c->rq->env.rules, c->exe, found, RULES_PER_HELLO);
    for (size_t i = 0; i < n; i++) {
        size_t mark = lp_nest(w, LP_T_RULE);
        lp_put_handle(w, rule_handle(found[i]));
        if (found[i]->port != 0) {
            lp_put_u32(w, LP_T_PORT, found[i]->port);
        }
        if (found[i]->protocol != TRANSPORT_NONE) {
            lp_put_u32(w, LP_T_PROTOCOL, found[i]->protocol);
        }
        if (found[i]->policy.type != POLICY_NONE) {
            lp_put_policy(w, &found[i]->policy);
        }
        if (found[i]->capacity != 0) {
            lp_put_u32(w, LP_T_CAPACITY, found[i]->capacity);
        }
        if (found[i]->probe[0] != '\0') {
            lp_put_str(w, LP_T_PROBE, found[i]->probe);
            lp_put_u32(w, LP_T_PROBE_MS, found[i]->probe_ms);
        }
        if (found[i]->slow_start_ms != 0) {
            lp_put_u32(w, LP_T_SLOW_START_MS, found[i]->slow_start_ms);
        }
        lp_unnest(w, mark);
    }
    if (c->kind == LP_CLIENT_SHIM && port != 0 && n == 0) {
        log_notice("pid %u (%s) listens on port %u under the shim, but there is no rule for it and "
                   "no RSP_POOL: it is left as it is",
                   c->pid, c->exe, port);
    } else if (c->kind == LP_CLIENT_SHIM) {
        log_info("pid %u (%s) is under the shim: %s", c->pid, c->exe,
                 n > 0 ? "a rule names its pool" : "no rule for it");
    }
}

static void hello(struct rq_client *c, const struct lp_message *msg)
{
    const struct settings *s = c->rq->env.settings;
    struct lp_writer w;
    struct lp_each it;
    c->pid = server_peer(c->client)->pid;
    c->kind = lp_find(msg, LP_T_CLIENT_KIND, &it) ? lp_u32(&it, 0) : 0;
    if (lp_find(msg, LP_T_PID, &it) && c->pid == 0) {
        c->pid = lp_u32(&it, 0); /* of another pid namespace: the kernel does not tell */
    }
    if (lp_find(msg, LP_T_EXE, &it)) {
        (void)lp_str(&it, c->exe, sizeof(c->exe));
    }
    c->hello = true;
    rq_begin(c, &w, LP_HELLO_OK, msg->request);
    lp_put_str(&w, LP_T_DAEMON_VERSION, RSPD_VERSION);
    for (uint8_t i = 0; i < s->suffixes.count; i++) {
        lp_put_str(&w, LP_T_SUFFIX, s->suffixes.items[i]);
    }
    put_net(&w, LP_T_COOKIE4_NET, &s->cookie_net4);
    put_net(&w, LP_T_COOKIE6_NET, &s->cookie_net6);
    lp_put_u32(&w, LP_T_REFUSAL_WAIT_US, s->refusal_wait_us);
    lp_put_u32(&w, LP_T_CONNECT_TIMEOUT_MS, s->connect_timeout_ms);
    lp_put_str(&w, LP_T_SCOPE, s->scope);
    if (c->exe[0] != '\0') {
        put_rules(c, &w, lp_find(msg, LP_T_PORT, &it) ? lp_u32(&it, 0) : 0);
    }
    int hint = c->kind == LP_CLIENT_SHIM ? watch_hint_fd(pes_watch(c->rq->pes)) : -1;
    (void)rq_send(c, &w, msg->request, hint);
}

static void status(struct rq_client *c, const struct lp_message *msg)
{
    struct requests *rq = c->rq;
    struct requests_status st = {.role = "agent"};
    struct ag_registrar_info *list =
        (struct ag_registrar_info *)calloc(64, sizeof(struct ag_registrar_info));
    struct lp_writer w;
    rq->env.status(rq->env.ctx, &st);
    struct hs *hs = rq->env.handlespace(rq->env.ctx);
    rq_begin(c, &w, LP_STATUS_REPLY, msg->request);
    lp_put_str(&w, LP_T_DAEMON_VERSION, RSPD_VERSION);
    lp_put_str(&w, LP_T_ROLE, st.role);
    lp_put_str(&w, LP_T_BACKEND, st.backend);
    lp_put_str(&w, LP_T_SCOPE, rq->env.settings->scope);
    lp_put_u32(&w, LP_T_HOME_ID, st.home_id);
    lp_put_u64(&w, LP_T_UPTIME_MS, st.uptime_ms);
    lp_put_u32(&w, LP_T_POOLS, hs != NULL ? hs_pool_count(hs) : 0);
    lp_put_u32(&w, LP_T_PES, hs != NULL ? hs_element_count(hs) : 0);
    lp_put_u32(&w, LP_T_LOCAL_PES, (uint32_t)pes_count(rq->pes));
    lp_put_u32(&w, LP_T_CLIENTS, (uint32_t)server_clients(rq->server));
    lp_put_u32(&w, LP_T_REGISTRARS,
               list != NULL ? (uint32_t)ag_registrars(rq->env.ag, list, 64) : 0);
    lp_put_str(&w, LP_T_STATE, st.state);
    for (size_t i = 0; i < st.note_count; i++) {
        lp_put_str(&w, LP_T_TEXT, st.notes[i]);
    }
    free(list);
    (void)rq_send(c, &w, msg->request, -1);
}

static void monitor_end(struct rq_client *c)
{
    if (c->monitor) {
        c->monitor = false;
        c->rq->monitors--;
    }
    free(c->monitor_handle);
    c->monitor_handle = NULL;
}

static void monitor(struct rq_client *c, const struct lp_message *msg)
{
    struct lp_each it;
    struct pool_handle handle;
    monitor_end(c);
    c->monitor_one = lp_find(msg, LP_T_HANDLE, &it) && lp_handle(&it, &handle) && handle.len > 0;
    if (c->monitor_one) {
        if (handle.len > POOL_HANDLE_MAX ||
            (c->monitor_handle = (uint8_t *)malloc(handle.len)) == NULL) {
            rq_result(c, msg->request, -ENAMETOOLONG, "a pool handle has 1 to %d octets",
                      POOL_HANDLE_MAX);
            return;
        }
        memcpy(c->monitor_handle, handle.octets, handle.len);
        c->monitor_len = handle.len;
    }
    c->monitor = true;
    c->monitor_request = msg->request;
    c->rq->monitors++;
    rq_result(c, msg->request, 0, NULL);
}

static bool monitored(const struct rq_client *c, const struct event *event)
{
    return c->monitor && (!c->monitor_one ||
                          (event->handle.len == c->monitor_len &&
                           memcmp(event->handle.octets, c->monitor_handle, c->monitor_len) == 0));
}

void requests_event(struct requests *rq, const struct event *event)
{
    uint8_t octets[2048]; /* not the shared buffer: a reply may be under construction there */
    if (rq->monitors == 0) {
        return;
    }
    for (struct rq_client *c = rq->clients; c != NULL; c = c->next) {
        if (!monitored(c, event) || (event->handle.len > 0 && !rq_may_see(c, event->handle))) {
            continue;
        }
        struct lp_writer w;
        lp_begin(&w, octets, sizeof(octets), LP_EVENT, c->monitor_request);
        lp_put_u64(&w, LP_T_EVENT_ID, event->id);
        if (event->cause != 0) {
            lp_put_u64(&w, LP_T_EVENT_CAUSE, event->cause);
        }
        lp_put_str(&w, LP_T_EVENT_KIND, event_kind_name(event->kind));
        lp_put_u64(&w, LP_T_TIME_US, event->time_us);
        if (event->handle.len > 0) {
            lp_put_handle(&w, event->handle);
        }
        if (event->pe_id != 0) {
            lp_put_u32(&w, LP_T_PE_ID, event->pe_id);
        }
        if (event->registrar_id != 0) {
            lp_put_u32(&w, LP_T_HOME_ID, event->registrar_id);
        }
        lp_put_str(&w, LP_T_TEXT, event->text);
        (void)server_send(c->client, &w, -1);
    }
}

/* --- dispatch -----------------------------------------------------------------------------------
 */

static struct rq_client *client_new(struct requests *rq, struct server_client *client)
{
    struct rq_client *c = (struct rq_client *)calloc(1, sizeof(*c));
    if (c == NULL) {
        server_close(client);
        return NULL;
    }
    c->rq = rq;
    c->client = client;
    c->next = rq->clients;
    if (c->next != NULL) {
        c->next->prev = c;
    }
    rq->clients = c;
    server_set_user(client, c);
    return c;
}

static void client_free(struct rq_client *c)
{
    struct requests *rq = c->rq;
    struct rq_pending *p = rq->pending;
    while (p != NULL) {
        struct rq_pending *after = p->next;
        if (p->client == c) {
            if (p->kind == RQ_REGISTER) {
                rq_register_orphaned(p);
            } else if (p->ag_request != 0) {
                ag_resolve_cancel(rq->env.ag, p->ag_request);
            }
            rq_done(p);
        }
        p = after;
    }
    if (c->listing != NULL) {
        rq_list_free(c->listing);
    }
    monitor_end(c);
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        rq->clients = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    free(c);
}

typedef void (*request_fn)(struct rq_client *c, const struct lp_message *msg);

static request_fn handler_of(uint16_t type)
{
    static const struct {
        uint16_t type;
        request_fn fn;
    } HANDLERS[] = {
        {LP_HELLO, hello},
        {LP_NAME, rq_name},
        {LP_RESOLVE, rq_resolve},
        {LP_REPORT, rq_report},
        {LP_REGISTER, rq_register},
        {LP_DEREGISTER, rq_deregister},
        {LP_UPDATE, rq_update},
        {LP_DRAIN, rq_drain},
        {LP_UNDRAIN, rq_undrain},
        {LP_PROBE_DONE, rq_probe_done},
        {LP_POOL_LIST, rq_list},
        {LP_PE_LIST, rq_list},
        {LP_REGISTRAR_LIST, rq_registrar_list},
        {LP_REGISTRAR_LEAVE, rq_registrar_leave},
        {LP_STATUS, status},
        {LP_MONITOR, monitor},
        {LP_COOKIE_SEAL, rq_cookie_seal},
        {LP_COOKIE_OPEN, rq_cookie_open},
        {LP_COOKIE_KEYS, rq_cookie_keys},
    };
    for (size_t i = 0; i < sizeof(HANDLERS) / sizeof(HANDLERS[0]); i++) {
        if (HANDLERS[i].type == type) {
            return HANDLERS[i].fn;
        }
    }
    return NULL;
}

static void on_message(void *ctx, struct server_client *client, const struct lp_message *msg)
{
    struct requests *rq = (struct requests *)ctx;
    struct rq_client *c = (struct rq_client *)server_user(client);
    if (c == NULL && (c = client_new(rq, client)) == NULL) {
        return;
    }
    if (msg->version != LP_VERSION) {
        rq_result(c, msg->request, -EPROTO, "rspd speaks version %d of the local protocol, not %u",
                  LP_VERSION, msg->version);
        server_close(client);
        return;
    }
    request_fn fn = handler_of(msg->type);
    if (fn == NULL) {
        rq_result(c, msg->request, -EOPNOTSUPP, "this rspd does not know request %u", msg->type);
    } else if (!c->hello && msg->type != LP_HELLO) {
        rq_result(c, msg->request, -EPROTO, "HELLO comes first");
    } else {
        c->resolves = false;
        fn(c, msg);
        rq->env.settle(rq->env.ctx);
        if ((c->resolves || msg->type == LP_HELLO) && c->pending == 0 && c->listing == NULL &&
            !c->monitor) {
            server_lend(client); /* whoever does not resolve comes back with its next message */
        }
    }
}

static void on_gone(void *ctx, struct server_client *client)
{
    (void)ctx;
    struct rq_client *c = (struct rq_client *)server_user(client);
    if (c != NULL) {
        client_free(c);
    }
}

static void on_drained(void *ctx, struct server_client *client)
{
    (void)ctx;
    struct rq_client *c = (struct rq_client *)server_user(client);
    if (c != NULL && c->listing != NULL) {
        rq_list_continue(c->listing);
    }
}

static void on_rejected(void *ctx, const struct server_peer *peer, const char *why)
{
    struct requests *rq = (struct requests *)ctx;
    struct event event = {.kind = EVENT_CLIENT_REJECTED};
    (void)snprintf(event.text, sizeof(event.text), "user %u, pid %u: %.140s", peer->uid, peer->pid,
                   why);
    (void)eventlog_add(rq->env.log, &event, 0);
}

/* --- beginning and end --------------------------------------------------------------------------
 */

struct requests *requests_new(const struct requests_env *env)
{
    struct requests *rq = (struct requests *)calloc(1, sizeof(*rq));
    if (rq == NULL) {
        return NULL;
    }
    rq->env = *env;
    rq->next_ag_request = 1;
    rq->timer_at = TM_NEVER;
    if (loop_timer_add(env->loop, TIMER_ACCURACY_US, on_timer, rq, &rq->timer) != 0) {
        free(rq);
        return NULL;
    }
    return rq;
}

void requests_free(struct requests *rq)
{
    if (rq == NULL) {
        return;
    }
    while (rq->clients != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): client_free() unlinks before it frees */
        client_free(rq->clients);
    }
    server_free(rq->server);
    while (rq->pending != NULL) {
        /* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): rq_done() unlinks before it frees */
        rq->pending->looking = false;
        rq_done(rq->pending);
    }
    loop_timer_free(rq->timer);
    free(rq);
}

void requests_set_pes(struct requests *rq, struct pes *pes)
{
    rq->pes = pes;
}

int requests_listen(struct requests *rq, const char *path, int listen_fd, char *error,
                    size_t error_size)
{
    static const struct server_handlers HANDLERS = {.answer = rq_answer_shared,
                                                    .message = on_message,
                                                    .gone = on_gone,
                                                    .drained = on_drained,
                                                    .rejected = on_rejected};
    struct server_settings settings = {.path = path,
                                       .listen_fd = listen_fd,
                                       .connections_per_uid =
                                           rq->env.settings->connections_per_user,
                                       .resolvers = rq->env.settings->resolver_threads};
    if (settings.resolvers == 0) {
        settings.resolvers = resolvers_default();
    }
    return server_new(rq->env.loop, &settings, &HANDLERS, rq, &rq->server, error, error_size);
}

size_t requests_clients(const struct requests *rq)
{
    return rq->server != NULL ? server_clients(rq->server) : 0;
}

void requests_reloaded(struct requests *rq)
{
    if (rq->server != NULL) {
        server_set_connections_per_uid(rq->server, rq->env.settings->connections_per_user);
    }
}
