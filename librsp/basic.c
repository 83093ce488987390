/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Basic mode. Every function has one way: a request on a connection of its own, whose descriptor is
 * readable when the daemon has answered. The blocking form waits for it.
 */
#include <rsp/basic.h>

#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "librsp/basic_internal.h"
#include "librsp/sd.h"
#include "librsp/sockaddr.h"

#define ITEMS_MAX 16

enum request_kind { REQUEST_RESOLVE, REQUEST_REGISTER, REQUEST_UPDATE, REQUEST_DEREGISTER };

struct request {
    enum request_kind kind;
    int daemon_fd;
    uint32_t id;
    uint32_t pe_id;
    int flags;
    size_t items;
    uint16_t cause; /* of a refusal */
    uint16_t handle_len;
    uint8_t handle[];
};

/* The elements this process has registered; each lives as long as its life fd. */
struct registered {
    struct registered *next;
    int life_fd;
    uint32_t pe_id;
    uint16_t handle_len;
    uint8_t handle[];
};
static pthread_mutex_t registered_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct registered *registered;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void before_fork(void)
{
    (void)pthread_mutex_lock(&registered_mutex);
}

static void after_fork_parent(void)
{
    (void)pthread_mutex_unlock(&registered_mutex);
}

/** The elements are the parent's: the child must not keep them alive. */
static void after_fork_child(void)
{
    for (struct registered *r = registered; r != NULL; r = r->next) {
        (void)close(r->life_fd);
    }
    registered = NULL;
    (void)pthread_mutex_init(&registered_mutex, NULL);
}

static void prepare(void)
{
    (void)pthread_atfork(before_fork, after_fork_parent, after_fork_child);
}

/** Keeps a life fd; 0 or -ENOMEM. */
static int keep(const struct request *q, uint32_t pe_id, int life_fd)
{
    struct registered *r = (struct registered *)malloc(sizeof(*r) + q->handle_len);
    if (r == NULL) {
        return -ENOMEM;
    }
    r->life_fd = life_fd;
    r->pe_id = pe_id;
    r->handle_len = q->handle_len;
    memcpy(r->handle, q->handle, q->handle_len);
    (void)pthread_once(&once, prepare);
    (void)pthread_mutex_lock(&registered_mutex);
    r->next = registered;
    registered = r;
    (void)pthread_mutex_unlock(&registered_mutex);
    return 0;
}

/** Whether this process has that element; `forget`: it has it no longer. */
static bool have(const void *handle, size_t size, uint32_t pe_id, bool forget)
{
    bool found = false;
    (void)pthread_mutex_lock(&registered_mutex);
    for (struct registered **at = &registered; *at != NULL && !found; at = &(*at)->next) {
        struct registered *r = *at;
        if (r->pe_id == pe_id && r->handle_len == size && memcmp(r->handle, handle, size) == 0) {
            found = true;
            if (forget) {
                *at = r->next;
                (void)close(r->life_fd);
                free(r);
                break;
            }
        }
    }
    (void)pthread_mutex_unlock(&registered_mutex);
    return found;
}

/* --- addresses ----------------------------------------------------------------------------------
 */

uint16_t basic_port(const struct sockaddr_storage *at)
{
    struct sockaddr_in6 in6;
    memcpy(&in6, at, sizeof(in6)); /* the port is in the same place in both families */
    return ntohs(in6.sin6_port);
}

bool basic_put_address(struct lp_writer *w, const struct sockaddr_storage *at)
{
    struct ip_address a = {.family = IP_NONE};
    if (at->ss_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, at, sizeof(in));
        if (in.sin_addr.s_addr == htonl(INADDR_ANY)) {
            return true;
        }
        a.family = IP_V4;
        memcpy(a.octets, &in.sin_addr, 4);
    } else {
        struct sockaddr_in6 in6;
        memcpy(&in6, at, sizeof(in6));
        if (IN6_IS_ADDR_UNSPECIFIED(&in6.sin6_addr)) {
            return true;
        }
        a.family = IP_V6;
        memcpy(a.octets, &in6.sin6_addr, 16);
        a = ip_address_unmap(a);
    }
    lp_put_address(w, LP_T_ADDRESS, &a);
    return false;
}

/** One of a packed array of addresses; returns its length, 0: of no known family. */
static size_t unpack(const uint8_t *p, struct sockaddr_storage *ret)
{
    sa_family_t family;
    memcpy(&family, p, sizeof(family));
    size_t len = family == AF_INET    ? sizeof(struct sockaddr_in)
                 : family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                      : 0;
    memset(ret, 0, sizeof(*ret));
    memcpy(ret, p, len);
    return len;
}

/** Addresses and port of an element; 0 or -EINVAL. */
static int put_place(struct lp_writer *w, const struct rsp_addrinfo *info)
{
    const uint8_t *p = (const uint8_t *)info->ai_addr;
    uint16_t port = 0;
    bool any = false;
    if (info->ai_addrs == 0 || info->ai_addrs > SERVER_ADDRESSES || p == NULL) {
        return -EINVAL; /* the port is in an address */
    }
    for (size_t i = 0; i < info->ai_addrs; i++) {
        struct sockaddr_storage at;
        size_t len = unpack(p, &at);
        if (len == 0 || (i > 0 && basic_port(&at) != port)) {
            return -EINVAL;
        }
        port = basic_port(&at);
        if (basic_put_address(w, &at)) {
            any = true;
            lp_put_u32(w, LP_T_FAMILIES,
                       at.ss_family == AF_INET ? LP_FAMILY_V4 : LP_FAMILY_V4 | LP_FAMILY_V6);
        }
        p += len;
    }
    if (port == 0 || (any && info->ai_addrs > 1)) {
        return -EINVAL;
    }
    lp_put_u32(w, LP_T_PORT, port);
    return 0;
}

static uint32_t protocol_of(const struct rsp_addrinfo *info)
{
    switch (info->ai_protocol) {
    case IPPROTO_SCTP:
        return TRANSPORT_SCTP;
    case IPPROTO_TCP:
        return TRANSPORT_TCP;
    case IPPROTO_UDP:
        return TRANSPORT_UDP;
    default:
        return TRANSPORT_NONE;
    }
}

/* --- requests -----------------------------------------------------------------------------------
 */

void request_free(struct sd *sd)
{
    struct request *q = (struct request *)sd->request;
    if (q != NULL && q->daemon_fd >= 0) {
        (void)close(q->daemon_fd);
    }
    free(q);
    sd->request = NULL;
}

/** In a child of fork(): the descriptor alone. */
void request_child_close(struct sd *sd)
{
    const struct request *q = (const struct request *)sd->request;
    if (q->daemon_fd >= 0) {
        (void)close(q->daemon_fd);
    }
}

/** A request and the beginning of its message, of `size` octets, malloc'd. 0 or -errno. */
static int make(enum request_kind kind, enum lp_type type, const void *handle, size_t size,
                struct request **ret, struct lp_writer *w)
{
    if (handle == NULL || size == 0 || size > SD_HANDLE_MAX) {
        return size > SD_HANDLE_MAX ? -ENAMETOOLONG : -EINVAL;
    }
    struct request *q = (struct request *)calloc(1, sizeof(*q) + size);
    void *octets = malloc(LP_MESSAGE_MAX);
    if (q == NULL || octets == NULL) {
        free(q);
        free(octets);
        return -ENOMEM;
    }
    q->kind = kind;
    q->daemon_fd = -1;
    q->id = 2; /* 1 is HELLO's */
    q->handle_len = (uint16_t)size;
    memcpy(q->handle, handle, size);
    lp_begin(w, octets, LP_MESSAGE_MAX, type, q->id);
    *ret = q;
    return 0;
}

/** Sends it on a connection of its own; its descriptor or -errno. Takes both over. */
static int start(struct request *take_q, struct lp_writer *take_w, int error)
{
    struct request *q = take_q;
    struct sd *sd = NULL;
    int r = error == 0 && lp_finish(take_w) < 0 ? -EMSGSIZE : error;
    if (r == 0) {
        q->daemon_fd = rpc_open();
        r = q->daemon_fd < 0 ? q->daemon_fd : lp_send(&lp_calls_libc, q->daemon_fd, take_w);
        r = r == -EPIPE ? -ENOTCONN : r;
    }
    if (r == 0) {
        sd = sd_new(SD_REQUEST, &r);
    }
    if (sd != NULL) {
        sd->request = q;
        r = sd_watch(sd, q->daemon_fd, EPOLLIN, SD_TAG_DAEMON);
        if (r == 0) {
            r = sd->fd;
            sd_put(sd);
        } else {
            request_free(sd);
            sd_close(sd);
            sd_put(sd);
        }
    } else {
        if (q->daemon_fd >= 0) {
            (void)close(q->daemon_fd);
        }
        free(q);
    }
    free(take_w->octets);
    return r;
}

static int resolve_start(const unsigned char *handle, size_t size, size_t items, unsigned stale_ms)
{
    struct request *q;
    struct lp_writer w;
    int r = make(REQUEST_RESOLVE, LP_RESOLVE, handle, size, &q, &w);
    if (r != 0) {
        return r;
    }
    q->items = items == RSPGETADDRS_DEFAULT ? 1 : items < ITEMS_MAX ? items : ITEMS_MAX;
    lp_put_handle(&w, (struct pool_handle){.octets = q->handle, .len = q->handle_len});
    lp_put_u32(&w, LP_T_COUNT, (uint32_t)q->items);
    lp_put_u32(&w, LP_T_STALE_MS, stale_ms);
    return start(q, &w, 0);
}

static int register_start(const unsigned char *handle, size_t size, const struct rsp_addrinfo *info,
                          const struct rsp_loadinfo *loadinfo, unsigned life_ms, int flags)
{
    struct request *q;
    struct lp_writer w;
    struct policy policy;
    if (info == NULL || protocol_of(info) == TRANSPORT_NONE || policy_of(loadinfo, &policy) != 0) {
        return -EINVAL;
    }
    bool again = info->ai_pe_id != 0 && have(handle, size, info->ai_pe_id, false);
    int r = make(again ? REQUEST_UPDATE : REQUEST_REGISTER, again ? LP_UPDATE : LP_REGISTER, handle,
                 size, &q, &w);
    if (r != 0) {
        return r;
    }
    q->pe_id = info->ai_pe_id;
    q->flags = flags;
    lp_put_handle(&w, (struct pool_handle){.octets = q->handle, .len = q->handle_len});
    if (q->pe_id != 0) {
        lp_put_u32(&w, LP_T_PE_ID, q->pe_id);
    }
    lp_put_u32(&w, LP_T_PROTOCOL, protocol_of(info));
    if ((flags & REGF_CONTROLCHANNEL) != 0) {
        lp_put_u32(&w, LP_T_CONTROL, 1);
    }
    if (!again || info->ai_addrs > 0) {
        r = put_place(&w, info);
    }
    lp_put_policy(&w, &policy);
    lp_put_u32(&w, LP_T_LIFE_MS, life_ms);
    return start(q, &w, r);
}

static int deregister_start(const unsigned char *handle, size_t size, uint32_t pe_id)
{
    struct request *q;
    struct lp_writer w;
    if (handle == NULL || !have(handle, size, pe_id, false)) {
        return handle == NULL ? -EINVAL : -ENOENT;
    }
    int r = make(REQUEST_DEREGISTER, LP_DEREGISTER, handle, size, &q, &w);
    if (r != 0) {
        return r;
    }
    q->pe_id = pe_id;
    lp_put_u32(&w, LP_T_PE_ID, pe_id);
    return start(q, &w, 0);
}

/* --- outcomes -----------------------------------------------------------------------------------
 */

RSP_PUBLIC void rsp_freeaddrinfo(struct rsp_addrinfo *list)
{
    while (list != NULL) {
        struct rsp_addrinfo *next = list->ai_next;
        free(list->ai_addr);
        free(list);
        list = next;
    }
}

static size_t pack(uint8_t *out, const struct ip_address *a, uint16_t port)
{
    struct sockaddr_storage at;
    socklen_t len = sockaddr_of(a, port, &at);
    memcpy(out, &at, len);
    return len;
}

static struct rsp_addrinfo *element_of(const struct lp_pe *pe)
{
    struct rsp_addrinfo *ai = (struct rsp_addrinfo *)calloc(1, sizeof(*ai));
    size_t room = pe->address_count * sizeof(struct sockaddr_in6);
    uint8_t *addrs = (uint8_t *)calloc(1, room);
    if (ai == NULL || addrs == NULL) {
        free(ai);
        free(addrs);
        return NULL;
    }
    ai->ai_family = AF_INET;
    ai->ai_pe_id = pe->pe_id;
    ai->ai_protocol = pe->protocol == TRANSPORT_SCTP  ? IPPROTO_SCTP
                      : pe->protocol == TRANSPORT_TCP ? IPPROTO_TCP
                                                      : IPPROTO_UDP;
    ai->ai_socktype =
        pe->protocol == TRANSPORT_SCTP || pe->protocol == TRANSPORT_TCP ? SOCK_STREAM : SOCK_DGRAM;
    ai->ai_addrlen = sizeof(struct sockaddr_in6);
    ai->ai_addr = (struct sockaddr *)(void *)addrs;
    size_t used = 0;
    for (uint8_t i = 0; i < pe->address_count; i++) {
        used += pack(addrs + used, &pe->addresses[i], pe->port);
        if (pe->addresses[i].family == IP_V6) {
            ai->ai_family = AF_INET6;
        }
        ai->ai_addrs++;
    }
    return ai;
}

/** The elements of an answer; how many, or -errno. */
static int elements_of(const struct request *q, const struct lp_message *reply,
                       struct rsp_addrinfo **ret)
{
    struct rsp_addrinfo *list = NULL;
    struct rsp_addrinfo **end = &list;
    struct lp_each it;
    struct lp_pe pe;
    size_t count = 0;
    lp_each_init(&it, reply);
    while (lp_next(&it) && count < q->items) {
        if (it.type != LP_T_PE || !lp_read_pe(&it, &pe)) {
            continue;
        }
        *end = element_of(&pe);
        if (*end == NULL) {
            rsp_freeaddrinfo(list);
            return -ENOMEM;
        }
        end = &(*end)->ai_next;
        count++;
    }
    if (count == 0) {
        return -ECONNREFUSED;
    }
    *ret = list;
    return (int)count;
}

static int registered_of(struct request *q, const struct lp_message *reply, int *life_fd, int r)
{
    struct lp_each it;
    if (r == -EAGAIN && (q->flags & (REGF_DAEMONMODE | REGF_DONTWAIT)) == 0) {
        return -EHOSTUNREACH; /* EAGAIN means "not yet" here */
    }
    if (*life_fd < 0 || !lp_find(reply, LP_T_PE_ID, &it)) {
        return -EPROTO;
    }
    q->pe_id = lp_u32(&it, 0);
    r = keep(q, q->pe_id, *life_fd);
    if (r == 0) {
        *life_fd = -1;
    }
    return r;
}

static int outcome_of(struct request *q, const struct lp_message *reply, int *life_fd,
                      struct rsp_addrinfo **ret)
{
    struct lp_each it;
    int r = lp_result(reply);
    q->cause = lp_find(reply, LP_T_CAUSE, &it) ? (uint16_t)lp_u32(&it, 0) : 0;
    if (q->kind == REQUEST_REGISTER && (r == 0 || r == -EAGAIN) && reply->type == LP_REGISTERED) {
        return registered_of(q, reply, life_fd, r);
    }
    if (r != 0) {
        return r == -EAGAIN ? -EHOSTUNREACH : r;
    }
    if (q->kind == REQUEST_RESOLVE) {
        return reply->type == LP_RESOLVED ? elements_of(q, reply, ret) : -EPROTO;
    }
    if (q->kind == REQUEST_DEREGISTER) {
        (void)have(q->handle, q->handle_len, q->pe_id, true);
    }
    return 0;
}

/** The outcome if it is there, else -EAGAIN. */
static int read_outcome(struct request *q, struct rsp_addrinfo **ret)
{
    uint8_t *octets = (uint8_t *)malloc(LP_MESSAGE_MAX);
    int r = octets == NULL ? -ENOMEM : -EAGAIN;
    while (r == -EAGAIN) {
        struct lp_message reply;
        struct pollfd p = {.fd = q->daemon_fd, .events = POLLIN};
        int life_fd = -1;
        if (poll(&p, 1, 0) != 1) {
            break;
        }
        r = lp_receive(&lp_calls_libc, q->daemon_fd, octets, LP_MESSAGE_MAX, &reply, &life_fd, 0);
        if (r == 0) {
            r = reply.request == q->id ? outcome_of(q, &reply, &life_fd, ret) : -EAGAIN;
        } else {
            r = r == -ETIMEDOUT ? -EAGAIN : -ENOTCONN;
        }
        if (life_fd >= 0) {
            (void)close(life_fd);
        }
        if (r != -EAGAIN) {
            break;
        }
    }
    free(octets);
    return r;
}

static struct sd *request_get(int fd)
{
    struct sd *sd = sd_get(fd);
    if (sd != NULL && sd->kind != SD_REQUEST) {
        sd_put(sd);
        return NULL;
    }
    return sd;
}

static int finish(int fd, struct rsp_addrinfo **result, uint32_t *pe_id, uint16_t *cause)
{
    struct rsp_addrinfo *list = NULL;
    struct sd *sd = request_get(fd);
    if (sd == NULL) {
        return -EBADF;
    }
    struct request *q = (struct request *)sd->request;
    int r = read_outcome(q, &list);
    if (r != -EAGAIN) {
        if (r >= 0 && pe_id != NULL && q->kind != REQUEST_RESOLVE) {
            *pe_id = q->pe_id;
        }
        *cause = q->cause;
        request_free(sd);
        sd_close(sd);
    }
    sd_put(sd);
    if (result != NULL) {
        *result = list;
    } else {
        rsp_freeaddrinfo(list);
    }
    return r;
}

/** Waits for the outcome of a request that was started. */
static int wait_for(int fd, int timeout_ms, struct rsp_addrinfo **result, uint32_t *pe_id,
                    uint16_t *cause)
{
    struct tm_us deadline = deadline_of(timeout_ms);
    if (fd < 0) {
        return fd;
    }
    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int r = finish(fd, result, pe_id, cause);
        if (r != -EAGAIN) {
            return r;
        }
        if (tm_due(deadline, now_us())) {
            (void)rsp_cancel(fd);
            return -ETIMEDOUT;
        }
        (void)poll(&p, 1, time_left_ms(deadline, -1));
    }
}

/* --- the interface ------------------------------------------------------------------------------
 */

RSP_PUBLIC int rsp_getaddrinfo_start(const unsigned char *handle, size_t size, size_t items,
                                     unsigned int stale_cache_ms)
{
    return rsp_ret(resolve_start(handle, size, items, stale_cache_ms));
}

RSP_PUBLIC int rsp_pe_registration_start(const unsigned char *handle, size_t size,
                                         const struct rsp_addrinfo *info,
                                         const struct rsp_loadinfo *loadinfo, unsigned int life_ms,
                                         int flags)
{
    return rsp_ret(register_start(handle, size, info, loadinfo, life_ms, flags));
}

RSP_PUBLIC int rsp_pe_deregistration_start(const unsigned char *handle, size_t size, uint32_t pe_id)
{
    return rsp_ret(deregister_start(handle, size, pe_id));
}

RSP_PUBLIC int rsp_finish(int request, struct rsp_addrinfo **result, uint32_t *pe_id)
{
    uint16_t cause;
    return rsp_ret(finish(request, result, pe_id, &cause));
}

RSP_PUBLIC int rsp_cancel(int request)
{
    struct sd *sd = request_get(request);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    request_free(sd);
    sd_close(sd);
    sd_put(sd);
    return 0;
}

RSP_PUBLIC int rsp_getaddrinfo(const unsigned char *handle, size_t size,
                               struct rsp_addrinfo **result, size_t items,
                               unsigned int stale_cache_ms)
{
    uint16_t cause = 0;
    if (result == NULL) {
        errno = EINVAL;
        return REAI_SYSTEM;
    }
    *result = NULL;
    int r = wait_for(resolve_start(handle, size, items, stale_cache_ms), RPC_RESOLVE_MS + 500,
                     result, NULL, &cause);
    switch (r) {
    case -ENOENT:
        return REAI_NONAME;
    case -ENOMEM:
        return REAI_MEMORY;
    case -EAFNOSUPPORT:
        return REAI_FAMILY;
    default:
        if (r < 0) {
            errno = -r;
            return REAI_SYSTEM;
        }
        return r;
    }
}

/** The code of an outcome; errno is set as well. */
static unsigned code_of(int r, uint16_t cause)
{
    if (r >= 0) {
        return RSPERR_OKAY;
    }
    errno = -r;
    switch (r) {
    case -ETIMEDOUT:
        return RSPERR_TIMEOUT;
    case -EINVAL:
    case -ENAMETOOLONG:
        return RSPERR_INVALID_VALUES;
    case -ENOENT:
        return RSPERR_NOT_FOUND;
    case -ENOMEM:
    case -EDQUOT:
        return RSPERR_OUT_OF_RESOURCES;
    case -ENOTCONN:
        return RSPERR_NO_DAEMON;
    case -EHOSTUNREACH:
        return RSPERR_NO_REGISTRAR;
    case -EPERM:
        return RSPERR_NOT_ALLOWED;
    default:
        return cause != 0 ? cause : RSPERR_IO;
    }
}

RSP_PUBLIC unsigned int rsp_pe_registration(const unsigned char *handle, size_t size,
                                            struct rsp_addrinfo *info,
                                            const struct rsp_loadinfo *loadinfo,
                                            unsigned int life_ms, int flags)
{
    uint16_t cause = 0;
    int r = wait_for(register_start(handle, size, info, loadinfo, life_ms, flags), RPC_REGISTER_MS,
                     NULL, info != NULL ? &info->ai_pe_id : NULL, &cause);
    return code_of(r, cause);
}

RSP_PUBLIC unsigned int rsp_pe_deregistration(const unsigned char *handle, size_t size,
                                              uint32_t pe_id, int flags)
{
    uint16_t cause = 0;
    int fd = deregister_start(handle, size, pe_id);
    if (fd >= 0 && (flags & DEREGF_DONTWAIT) != 0) {
        (void)have(handle, size, pe_id, true);
        (void)rsp_cancel(fd);
        return RSPERR_OKAY;
    }
    return code_of(wait_for(fd, RPC_TIMEOUT_MS, NULL, NULL, &cause), cause);
}

RSP_PUBLIC unsigned int rsp_pe_failure(const unsigned char *handle, size_t size, uint32_t pe_id)
{
    struct rpc rpc;
    if (handle == NULL || size == 0 || size > SD_HANDLE_MAX) {
        return code_of(-EINVAL, 0);
    }
    int r = rpc_begin(&rpc, LP_REPORT);
    if (r == 0) {
        lp_put_handle(&rpc.writer, (struct pool_handle){.octets = handle, .len = (uint16_t)size});
        lp_put_u32(&rpc.writer, LP_T_PE_ID, pe_id);
        lp_put_u32(&rpc.writer, LP_T_ERRNO, ECONNREFUSED);
        r = rpc_call(&rpc, LP_RESULT, RPC_TIMEOUT_MS);
        rpc_end(&rpc);
    }
    return code_of(r, 0);
}
