/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* From socket addresses to pools and back; see target.h. */
#include "preload/target.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "preload/config.h"
#include "preload/guard.h"
#include "preload/pools.h"
#include "preload/real.h"
#include "preload/rpc.h"

/* RFC 2133 had no scope id; the kernel still takes the shorter form. */
#define SIN6_LEN_MIN 24

static enum pre_target_kind read_rsp(const struct sockaddr *addr, socklen_t len,
                                     struct pre_target *ret)
{
    struct sockaddr_rsp rsp;
    const size_t head = offsetof(struct sockaddr_rsp, srsp_handle);
    if (len < head) {
        return PRE_TARGET_BAD;
    }
    memcpy(&rsp, addr, len < sizeof(rsp) ? len : sizeof(rsp));
    uint16_t handle_len = ntohs(rsp.srsp_handle_len);
    if (handle_len == 0 || handle_len > RSP_SOCKADDR_HANDLE_MAX || len < head + handle_len) {
        return PRE_TARGET_BAD;
    }
    ret->port = ntohs(rsp.srsp_port);
    ret->pe_id = ntohl(rsp.srsp_pe_id);
    ret->handle_len = handle_len;
    memcpy(ret->handle, rsp.srsp_handle, handle_len);
    return PRE_TARGET_RSP;
}

/** Whether the address is a cookie; may ask the daemon once per process which nets are. */
static bool check_cookie(const struct ip_address *address)
{
    if (pre_is_cookie(address)) {
        return true;
    }
    if (!pre_may_be_cookie(address)) {
        return false;
    }
    struct pre_guard guard;
    pre_enter(&guard);
    (void)pre_rpc_hello(0, PRE_QUICK_MS);
    pre_leave(&guard);
    return pre_is_cookie(address);
}

enum pre_target_kind pre_target_read(const struct sockaddr *addr, socklen_t len,
                                     struct pre_target *ret)
{
    sa_family_t family;
    if (addr == NULL || len < sizeof(family)) {
        return ret->kind = PRE_TARGET_NONE;
    }
    memcpy(&family, addr, sizeof(family));
    ret->kind = PRE_TARGET_NONE;
    if (family == AF_INET && len >= sizeof(struct sockaddr_in)) {
        struct sockaddr_in in;
        memcpy(&in, addr, sizeof(in));
        ret->cookie = (struct ip_address){.family = IP_V4};
        memcpy(ret->cookie.octets, &in.sin_addr, 4);
        ret->port = ntohs(in.sin_port);
    } else if (family == AF_INET6 && len >= SIN6_LEN_MIN) {
        struct sockaddr_in6 in6;
        memcpy(&in6, addr, SIN6_LEN_MIN);
        ret->cookie = (struct ip_address){.family = IP_V6};
        memcpy(ret->cookie.octets, &in6.sin6_addr, 16);
        ret->cookie = ip_address_unmap(ret->cookie);
        ret->port = ntohs(in6.sin6_port);
    } else if (family == AF_RSP) {
        return ret->kind = read_rsp(addr, len, ret);
    } else {
        return PRE_TARGET_NONE;
    }
    if (check_cookie(&ret->cookie)) {
        ret->pe_id = 0;
        ret->handle_len = 0;
        ret->kind = PRE_TARGET_COOKIE;
    }
    return ret->kind;
}

/* --- sockets
 * ---------------------------------------------------------------------------------------- */

static int int_option(int fd, int level, int name, int *ret)
{
    socklen_t len = sizeof(*ret);
    return pre_real()->getsockopt(fd, level, name, ret, &len) != 0 ? -errno : 0;
}

/** The addresses a socket of ret->domain can reach; false: none of ours. */
static bool ask_families(int fd, struct pre_socket *ret)
{
    int v6only = 0;
    if (ret->domain == AF_INET6) {
        (void)int_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, &v6only);
        ret->v6only = v6only != 0;
        ret->families = v6only != 0 ? LP_FAMILY_V6 : LP_FAMILY_V4 | LP_FAMILY_V6;
        return true;
    }
    ret->families = LP_FAMILY_V4;
    return ret->domain == AF_INET;
}

bool pre_socket_tcp(int fd, int domain, struct pre_socket *ret)
{
    *ret = (struct pre_socket){.domain = domain, .type = SOCK_STREAM, .protocol = TRANSPORT_TCP};
    return ask_families(fd, ret);
}

void pre_socket_udp4(struct pre_socket *ret)
{
    *ret = (struct pre_socket){
        .domain = AF_INET, .type = SOCK_DGRAM, .protocol = TRANSPORT_UDP, .families = LP_FAMILY_V4};
}

/** The rest of ret->domain's socket. */
static int ask_rest(int fd, struct pre_socket *ret)
{
    int protocol = 0;
    int err = int_option(fd, SOL_SOCKET, SO_PROTOCOL, &protocol);
    if (err != 0) {
        return err;
    }
    if (!ask_families(fd, ret)) {
        return -EAFNOSUPPORT;
    }
    ret->type = SOCK_DGRAM;
    switch (protocol) {
    case IPPROTO_TCP:
    case 262: /* MPTCP reaches TCP elements */
        ret->protocol = TRANSPORT_TCP;
        break;
    case IPPROTO_SCTP:
        ret->protocol = TRANSPORT_SCTP;
        break;
    case IPPROTO_UDP:
        ret->protocol = TRANSPORT_UDP;
        break;
    case 33: /* DCCP */
        ret->protocol = TRANSPORT_DCCP;
        break;
    case 136: /* UDP-Lite */
        ret->protocol = TRANSPORT_UDPLITE;
        break;
    default:
        return -EPROTOTYPE;
    }
    return ret->protocol == TRANSPORT_UDP ? 0 : int_option(fd, SOL_SOCKET, SO_TYPE, &ret->type);
}

int pre_socket_ask(int fd, int domain, struct pre_socket *ret)
{
    *ret = (struct pre_socket){.domain = domain, .protocol = TRANSPORT_NONE};
    int err = domain == AF_UNSPEC ? int_option(fd, SOL_SOCKET, SO_DOMAIN, &ret->domain) : 0;
    return err != 0 ? err : ask_rest(fd, ret);
}

static socklen_t make_in(const uint8_t octets[4], uint16_t port, union pre_sockaddr *ret)
{
    ret->in = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(port)};
    memcpy(&ret->in.sin_addr, octets, 4);
    return sizeof(ret->in);
}

static socklen_t make_in6(const uint8_t octets[16], uint16_t port, union pre_sockaddr *ret)
{
    ret->in6 = (struct sockaddr_in6){.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&ret->in6.sin6_addr, octets, 16);
    return sizeof(ret->in6);
}

socklen_t pre_socket_fit(const struct pre_socket *s, const struct lp_pe *pe, unsigned i,
                         union pre_sockaddr *ret)
{
    const struct ip_address *a = &pe->addresses[i];
    if (i >= pe->address_count || pe->protocol != s->protocol) {
        return 0;
    }
    if (a->family == IP_V4 && s->domain == AF_INET) {
        return make_in(a->octets, pe->port, ret);
    }
    if (a->family == IP_V4 && !s->v6only) {
        uint8_t mapped[16] = {[10] = 0xff, [11] = 0xff};
        memcpy(mapped + 12, a->octets, 4);
        return make_in6(mapped, pe->port, ret);
    }
    /* A link-local address needs a scope id, which no registration carries. */
    if (a->family == IP_V6 && s->domain == AF_INET6 &&
        !(a->octets[0] == 0xfe && (a->octets[1] & 0xc0) == 0x80)) {
        return make_in6(a->octets, pe->port, ret);
    }
    return 0;
}

socklen_t pre_socket_nowhere(const struct pre_socket *s, union pre_sockaddr *ret)
{
    static const uint8_t broadcast[4] = {255, 255, 255, 255};
    static const uint8_t all_nodes[16] = {0xff, 0x01, [15] = 0x01};
    return s->domain == AF_INET ? make_in(broadcast, 9, ret) : make_in6(all_nodes, 9, ret);
}

socklen_t pre_socket_wildcard(const struct pre_socket *s, uint16_t port, union pre_sockaddr *ret)
{
    static const uint8_t zero[16] = {0};
    return s->domain == AF_INET ? make_in(zero, port, ret) : make_in6(zero, port, ret);
}

/* --- asking
 * ------------------------------------------------------------------------------------------ */

uint16_t pre_target_pool(const struct pre_target *t)
{
    struct pre_pool_info info;
    if (t->kind == PRE_TARGET_RSP) {
        struct pool_handle handle = {.octets = t->handle, .len = t->handle_len};
        return pre_pool_by_handle(handle);
    }
    return pre_pool_by_cookie(&t->cookie, &info) ? info.index : PRE_POOL_NONE;
}

static void put_question(struct lp_writer *w, const struct pre_question *q)
{
    const struct pre_target *t = q->target;
    if (t->kind == PRE_TARGET_RSP) {
        lp_put_handle(w, (struct pool_handle){.octets = t->handle, .len = t->handle_len});
    } else {
        lp_put_address(w, LP_T_ADDRESS, &t->cookie);
    }
    lp_put_u32(w, LP_T_FAMILIES, q->socket->families);
    lp_put_u32(w, LP_T_PROTOCOL, q->socket->protocol);
    lp_put_u32(w, LP_T_COUNT, 1);
    lp_put_u32(w, LP_T_TIMEOUT_MS, (uint32_t)(q->timeout_ms > 10 ? q->timeout_ms - 5 : 5));
    for (unsigned i = 0; i < q->avoid_count; i++) {
        lp_put_u32(w, LP_T_AVOID, q->avoid[i]);
    }
    uint32_t want = q->keep_pe != 0 ? q->keep_pe : t->pe_id;
    if (want != 0) {
        lp_put_u32(w, LP_T_WANT_PE, want);
    }
}

/** Reads RESOLVED; a cookie's pool becomes known by it. */
static int read_answer(const struct lp_message *reply, const struct pre_target *t,
                       struct lp_pe *ret, uint16_t *ret_pool)
{
    struct lp_each it;
    struct pool_handle handle;
    int err = lp_result(reply);
    if (err != 0) {
        return err;
    }
    if (t->kind == PRE_TARGET_COOKIE && *ret_pool == PRE_POOL_NONE &&
        lp_find(reply, LP_T_HANDLE, &it) && lp_handle(&it, &handle)) {
        *ret_pool = pre_pool_by_handle(handle);
        pre_pool_link(*ret_pool, &t->cookie);
    }
    if (!lp_find(reply, LP_T_PE, &it) || !lp_read_pe(&it, ret)) {
        return -ECONNREFUSED;
    }
    return 0;
}

/** One round of question and answer; -ENOTCONN: the daemon is away. */
static int ask(const struct pre_question *q, struct lp_pe *ret, uint16_t *ret_pool)
{
    struct pre_rpc rpc;
    struct lp_message reply;
    int err = pre_rpc_begin(&rpc, LP_RESOLVE, q->timeout_ms);
    if (err != 0) {
        return err;
    }
    put_question(&rpc.writer, q);
    err = pre_rpc_call(&rpc, &reply, NULL);
    if (err == 0) {
        err = read_answer(&reply, q->target, ret, ret_pool);
    }
    pre_rpc_end(&rpc);
    return err;
}

/** The daemon's results as errors a program expects of connect(). */
static int connect_error(int err)
{
    switch (-err) {
    case ECONNREFUSED:
    case EAFNOSUPPORT:
    case EPROTOTYPE:
    case ENAMETOOLONG:
    case EACCES:
        return err;
    default:
        return -EHOSTUNREACH;
    }
}

int pre_resolve(const struct pre_question *q, struct lp_pe *ret, uint16_t *ret_pool)
{
    uint16_t pool = pre_target_pool(q->target);
    uint32_t sticky_ms = pre_config()->sticky_ms;
    int64_t now_ms = pre_now_ms();
    if (sticky_ms != 0 && q->keep_pe == 0 &&
        pre_pool_last(pool, now_ms, sticky_ms, q->avoid, q->avoid_count, q->target->pe_id,
                      q->socket->protocol, true, ret)) {
        pre_pool_answered(pool, ret, now_ms);
        *ret_pool = pool;
        return 0;
    }
    int err = ask(q, ret, &pool);
    if (err == 0) {
        pre_pool_answered(pool, ret, now_ms);
    } else if ((err == -ENOTCONN || err == -ETIMEDOUT || err == -EHOSTUNREACH || err == -EAGAIN) &&
               pre_pool_last(pool, now_ms, PRE_STALE_MS, q->avoid, q->avoid_count,
                             q->keep_pe != 0 ? q->keep_pe : q->target->pe_id, q->socket->protocol,
                             false, ret)) {
        pre_log("rspd has no answer: using element %08x from memory", ret->pe_id);
        err = 0;
    } else {
        pre_log("no element for this socket: %s", strerrordesc_np(-err));
        err = connect_error(err);
    }
    *ret_pool = pool;
    return err;
}

void pre_report(uint16_t pool, uint32_t pe_id, int error)
{
    struct pre_rpc rpc;
    struct pool_handle handle = pre_pool_handle_ref(pool);
    pre_pool_failed(pool, pe_id);
    pre_log("element %08x failed: %s", pe_id, strerrordesc_np(error));
    if (handle.len == 0 || pre_rpc_begin(&rpc, LP_REPORT, PRE_QUICK_MS) != 0) {
        return;
    }
    lp_put_handle(&rpc.writer, handle);
    lp_put_u32(&rpc.writer, LP_T_PE_ID, pe_id);
    lp_put_u32(&rpc.writer, LP_T_ERRNO, (uint32_t)error);
    (void)pre_rpc_send(&rpc);
    pre_rpc_end(&rpc);
}
