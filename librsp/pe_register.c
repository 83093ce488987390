/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A server's sockets and its place in the pool. A socket of protocol 0 has two elements where the
 * host has SCTP: one in the pool itself, over SCTP, and one in the pool HANDLE.tcp, over TCP; a
 * pool has one transport protocol (RFC 5352 section 3.1). The handle cookies are bound to is that
 * of the TCP pool then, so that a session may go from one to the other.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rsp/basic.h>

#include "librsp/basic_internal.h"
#include "librsp/server_internal.h"
#include "librsp/status.h"
#include "wire/csp.h"

#define TCP_POOL_LEN (sizeof(TCP_POOL) - 1)
#define BACKLOG      1024

static size_t size_of(const struct sockaddr *addr)
{
    return addr->sa_family == AF_INET    ? sizeof(struct sockaddr_in)
           : addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                         : 0;
}

static int bind_one(struct sd *sd, struct listener *l, const struct sockaddr *addrs, int count)
{
    struct sockaddr_in6 any6 = {.sin6_family = AF_INET6};
    struct sockaddr_in any4 = {.sin_family = AF_INET};
    struct channel_setup setup = sd_setup(sd);
    int family = addrs != NULL ? addrs->sa_family : sd->domain != 0 ? sd->domain : AF_INET6;
    int ip = l->protocol == TRANSPORT_SCTP ? IPPROTO_SCTP : IPPROTO_TCP;
    int one = 1;
    int zero = 0;
    l->life_fd = -1;
    l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, ip);
    if (l->fd < 0 && errno == EAFNOSUPPORT && addrs == NULL && sd->domain == 0) {
        family = AF_INET;
        l->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, ip);
    }
    if (l->fd < 0) {
        return -errno;
    }
    (void)setsockopt(l->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
    if (family == AF_INET6) {
        (void)setsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, sd->domain == AF_INET6 ? &one : &zero,
                         sizeof(int));
    }
    const struct sockaddr *first = addrs != NULL       ? addrs
                                   : family == AF_INET ? (const struct sockaddr *)&any4
                                                       : (const struct sockaddr *)&any6;
    int r = channel_tune(l->fd, l->protocol, &setup);
    if (r == 0 && bind(l->fd, first, (socklen_t)size_of(first)) != 0) {
        r = -errno;
    }
    if (r == 0 && count > 1) {
        r = l->protocol != TRANSPORT_SCTP
                ? -EINVAL
                : sctp_bind_more(l->fd, (const void *)((const uint8_t *)addrs + size_of(addrs)),
                                 count - 1);
    }
    if (r != 0) {
        (void)close(l->fd);
    }
    return r;
}

int server_bind(struct sd *sd, const struct sockaddr *addrs, int count)
{
    static const enum transport_protocol order[] = {TRANSPORT_SCTP, TRANSPORT_TCP};
    struct server *s = (struct server *)calloc(1, sizeof(*s));
    int r = s == NULL ? -ENOMEM : 0;
    for (int i = 0; r == 0 && i < SERVER_LISTENERS; i++) {
        bool wanted = sd->protocol == (order[i] == TRANSPORT_SCTP ? IPPROTO_SCTP : IPPROTO_TCP) ||
                      (sd->protocol == 0 && (order[i] == TRANSPORT_TCP || sctp_available()));
        if (wanted) {
            s->listeners[s->count].protocol = order[i];
            r = bind_one(sd, &s->listeners[s->count], addrs, count);
            s->count += r == 0;
        }
    }
    if (r != 0) {
        for (int i = 0; s != NULL && i < s->count; i++) {
            (void)close(s->listeners[i].fd);
        }
        free(s);
        return r;
    }
    sd->server = s;
    sd->kind = SD_SERVER;
    return 0;
}

int server_listen(struct sd *sd, int backlog)
{
    struct server *s = sd->server;
    if (backlog <= 0) {
        backlog = BACKLOG;
    }
    for (int i = 0; i < s->count; i++) {
        if (listen(s->listeners[i].fd, backlog) != 0) {
            return -errno;
        }
        if (!s->listening) {
            int r = sd_watch(sd, s->listeners[i].fd, EPOLLIN, SD_TAG_LISTEN + (uint32_t)i);
            if (r != 0 && r != -EEXIST) {
                return r;
            }
        }
    }
    s->listening = true;
    return 0;
}

RSP_PUBLIC int rsp_bind(int fd, const struct sockaddr *addrs, int addrcnt)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = -EINVAL;
    if (sd->kind == SD_NEW) {
        r = addrcnt >= 1 && (addrs == NULL || size_of(addrs) == 0)
                ? -EINVAL
                : server_bind(sd, addrcnt >= 1 ? addrs : NULL, addrcnt);
    }
    sd_put(sd);
    return rsp_ret(r);
}

RSP_PUBLIC int rsp_listen(int fd, int backlog)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = sd->kind == SD_NEW ? server_bind(sd, NULL, 0) : sd->kind == SD_SERVER ? 0 : -EINVAL;
    r = r == 0 ? server_listen(sd, backlog) : r;
    sd_put(sd);
    return rsp_ret(r);
}

/* --- the pool -----------------------------------------------------------------------------------
 */

int server_pool(const struct sd *sd, const struct listener *l, uint8_t *out)
{
    size_t len = sd->handle_len;
    memcpy(out, sd->handle, sd->handle_len);
    if (sd->protocol == 0 && l->protocol == TRANSPORT_TCP) {
        if (len + TCP_POOL_LEN > POOL_HANDLE_MAX) {
            return -ENAMETOOLONG;
        }
        /* NOLINTNEXTLINE(bugprone-not-null-terminated-result): octets, not a string */
        memcpy(out + len, TCP_POOL, TCP_POOL_LEN);
        len += TCP_POOL_LEN;
    }
    return (int)len;
}

/** Where a listener is bound: its port, and its address unless it is the wildcard. */
static int put_place(struct lp_writer *w, const struct listener *l)
{
    struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
    socklen_t len = sizeof(at);
    uint64_t cookie = 0;
    socklen_t cookie_len = sizeof(cookie);
    uint8_t all[SERVER_ADDRESSES * sizeof(struct sockaddr_in6)];
    if (getsockname(l->fd, (struct sockaddr *)&at, &len) != 0) {
        return -errno;
    }
    int count = l->protocol == TRANSPORT_SCTP ? sctp_local(l->fd, all, SERVER_ADDRESSES) : 0;
    bool wildcard = basic_put_address(w, &at);
    const uint8_t *p = all;
    for (int i = 0; !wildcard && i < count; i++) {
        struct sockaddr_storage one;
        memset(&one, 0, sizeof(one));
        memcpy(&one.ss_family, p, sizeof(one.ss_family));
        size_t size = size_of((const struct sockaddr *)&one);
        memcpy(&one, p, size);
        p += size;
        if (i > 0) {
            (void)basic_put_address(w, &one);
        }
    }
    if (wildcard) {
        int v6only = 0;
        socklen_t v6len = sizeof(v6only);
        (void)getsockopt(l->fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only, &v6len);
        lp_put_u32(w, LP_T_FAMILIES,
                   at.ss_family == AF_INET ? LP_FAMILY_V4
                   : v6only != 0           ? LP_FAMILY_V6
                                           : LP_FAMILY_V4 | LP_FAMILY_V6);
    }
    lp_put_u32(w, LP_T_PORT, basic_port(&at));
    if (getsockopt(l->fd, SOL_SOCKET, SO_COOKIE, &cookie, &cookie_len) == 0) {
        lp_put_u64(w, LP_T_SOCK_COOKIE, cookie);
    }
    return 0;
}

/** How often a registration is renewed, and how long it lasts: as with rsplib, three times that. */
static void put_interval(struct lp_writer *w, unsigned interval_ms)
{
    unsigned life_ms = interval_ms < UINT32_MAX / 3 ? 3 * interval_ms : UINT32_MAX;
    lp_put_u32(w, LP_T_INTERVAL_MS, interval_ms);
    lp_put_u32(w, LP_T_LIFE_MS, life_ms);
}

static int register_one(struct sd *sd, struct listener *l, const struct policy *policy,
                        unsigned interval_ms, int flags)
{
    uint8_t handle[POOL_HANDLE_MAX];
    struct rpc rpc = {.fd = -1};
    struct lp_each it;
    int len = server_pool(sd, l, handle);
    int r = len < 0 ? len : rpc_begin(&rpc, LP_REGISTER);
    if (r != 0) {
        return r;
    }
    lp_put_handle(&rpc.writer, (struct pool_handle){.octets = handle, .len = (uint16_t)len});
    lp_put_u32(&rpc.writer, LP_T_PROTOCOL, l->protocol);
    lp_put_u32(&rpc.writer, LP_T_CONTROL, 1);
    r = put_place(&rpc.writer, l);
    lp_put_policy(&rpc.writer, policy);
    put_interval(&rpc.writer, interval_ms);
    if (sd->pe_id != 0 && l == sd->server->listeners) {
        lp_put_u32(&rpc.writer, LP_T_WANT_PE, sd->pe_id);
    }
    r = r == 0 ? rpc_call(&rpc, LP_REGISTERED, RPC_REGISTER_MS) : r;
    if ((r == 0 || r == -EAGAIN) && rpc.fd >= 0) {
        l->life_fd = rpc.fd;
        rpc.fd = -1;
        l->pe_id = lp_find(&rpc.reply, LP_T_PE_ID, &it) ? lp_u32(&it, 0) : 0;
        if (r == -EAGAIN && (flags & (REGF_DAEMONMODE | REGF_DONTWAIT)) != 0) {
            r = 0;
        }
    }
    rpc_end(&rpc);
    return r;
}

static int update_one(const struct listener *l, const struct policy *policy, unsigned interval_ms)
{
    struct rpc rpc;
    int r = rpc_begin(&rpc, LP_UPDATE);
    if (r == 0) {
        lp_put_u32(&rpc.writer, LP_T_PE_ID, l->pe_id);
        lp_put_policy(&rpc.writer, policy);
        put_interval(&rpc.writer, interval_ms);
        r = rpc_call(&rpc, LP_RESULT, RPC_TIMEOUT_MS);
        rpc_end(&rpc);
    }
    return r;
}

static int deregister_one(struct listener *l, bool wait)
{
    struct rpc rpc;
    int r = rpc_begin(&rpc, LP_DEREGISTER);
    if (r == 0) {
        lp_put_u32(&rpc.writer, LP_T_PE_ID, l->pe_id);
        r = wait ? rpc_call(&rpc, LP_RESULT, RPC_TIMEOUT_MS) : rpc_tell(&rpc);
        rpc_end(&rpc);
    }
    (void)close(l->life_fd);
    l->life_fd = -1;
    return r;
}

int server_deregister(struct sd *sd, bool wait)
{
    struct server *s = sd->server;
    int r = 0;
    for (int i = 0; i < s->count; i++) {
        if (s->listeners[i].life_fd >= 0) {
            int one = deregister_one(&s->listeners[i], wait);
            r = r == 0 ? one : r;
        }
    }
    s->registered = false;
    return r;
}

/** First registration: all listeners or none. */
static int join(struct sd *sd, const unsigned char *handle, size_t size,
                const struct policy *policy, unsigned interval_ms, int flags)
{
    struct server *s = sd->server;
    uint8_t *copy = (uint8_t *)malloc(size);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, handle, size);
    free(sd->handle);
    sd->handle = copy;
    sd->handle_len = (uint16_t)size;
    int r = 0;
    for (int i = 0; r == 0 && i < s->count; i++) {
        r = register_one(sd, &s->listeners[i], policy, interval_ms, flags);
    }
    if (r != 0) {
        (void)server_deregister(sd, false);
        return r;
    }
    sd->pe_id = s->listeners[0].pe_id;
    s->registered = true;
    return 0;
}

static int change(struct sd *sd, const unsigned char *handle, size_t size,
                  const struct rsp_loadinfo *loadinfo, const struct policy *policy,
                  unsigned interval_ms)
{
    struct server *s = sd->server;
    int r = size == sd->handle_len && memcmp(handle, sd->handle, size) == 0 ? 0 : -EINVAL;
    for (int i = 0; r == 0 && loadinfo != NULL && i < s->count; i++) {
        r = update_one(&s->listeners[i], policy, interval_ms);
    }
    return r;
}

/** What a monitor is told of the load: nothing unless the choice follows it. */
static uint16_t workload_of(const struct rsp_loadinfo *loadinfo)
{
    if (loadinfo == NULL || !PPT_IS_ADAPTIVE(loadinfo->rli_policy)) {
        return CSP_WORKLOAD_UNKNOWN;
    }
    uint16_t load = (uint16_t)(loadinfo->rli_load >> 16);
    return load == CSP_WORKLOAD_UNKNOWN ? CSP_WORKLOAD_UNKNOWN - 1 : load;
}

RSP_PUBLIC int rsp_register(int fd, const unsigned char *handle, size_t size,
                            const struct rsp_loadinfo *loadinfo, unsigned int interval_ms,
                            int flags)
{
    struct policy policy;
    int r = handle == NULL || size == 0 ? -EINVAL : size > SD_HANDLE_MAX ? -ENAMETOOLONG : 0;
    r = r == 0 ? policy_of(loadinfo, &policy) : r;
    struct sd *sd = r == 0 ? sd_get(fd) : NULL;
    if (sd == NULL) {
        return rsp_ret(r == 0 ? -EBADF : r);
    }
    r = sd->kind == SD_NEW ? server_bind(sd, NULL, 0) : sd->kind == SD_SERVER ? 0 : -EINVAL;
    if (r == 0 && !sd->server->listening) {
        r = server_listen(sd, BACKLOG);
    }
    bool fresh = r == 0 && !sd->server->registered;
    if (r == 0) {
        r = sd->server->registered ? change(sd, handle, size, loadinfo, &policy, interval_ms)
                                   : join(sd, handle, size, &policy, interval_ms, flags);
    }
    if (r == 0 && (fresh || loadinfo != NULL)) {
        sd->server->workload = workload_of(loadinfo);
    }
    sd_put(sd);
    if (fresh) {
        status_now();
    } else {
        status_tick();
    }
    return rsp_ret(r);
}

RSP_PUBLIC int rsp_deregister(int fd, int flags)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = sd->kind == SD_SERVER && sd->server->registered
                ? server_deregister(sd, (flags & DEREGF_DONTWAIT) == 0)
                : -ENOTCONN;
    sd_put(sd);
    status_now();
    return rsp_ret(r);
}
