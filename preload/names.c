/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Host names that stand for pools: the daemon gives the cookie, the C library then does the rest
 * with the cookie's numeric form, so that it builds, fills and frees its own structures
 * (preload-notes §5.3). A name with one of our suffixes never goes on to the DNS.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdlib.h>
#include <string.h>

#include "preload/config.h"
#include "preload/guard.h"
#include "preload/pools.h"
#include "preload/real.h"
#include "preload/rpc.h"
#include "preload/target.h"

/* So long a name once confirmed is not asked for again (redis-benchmark asks per connection). */
#define NAME_FRESH_MS 1000

/** Whether the name is a pool's. The first name of a process that could be one asks the daemon
 * for its suffixes. */
static bool is_ours(const char *name)
{
    struct in6_addr any;
    if (pre_inside() || name == NULL || name[0] == '\0' || !pre_real_complete()) {
        return false;
    }
    if (!pre_config_learnt() && strchr(name, '.') != NULL && strchr(name, ':') == NULL &&
        inet_pton(AF_INET, name, &any) != 1) {
        struct pre_guard guard;
        pre_enter(&guard);
        (void)pre_rpc_hello(0, PRE_QUICK_MS);
        pre_leave(&guard);
    }
    return pre_is_pool_name(name);
}

/** Asks for the pool behind a name or cookie; 0 or -errno (-ENOTCONN: daemon away). */
static int ask(const char *name, const struct ip_address *cookie, bool join,
               struct pre_pool_info *ret)
{
    struct pre_rpc rpc;
    struct lp_message reply;
    int err = pre_rpc_begin(&rpc, LP_NAME, PRE_NAME_MS);
    if (err != 0) {
        return err;
    }
    if (name != NULL) {
        lp_put_str(&rpc.writer, LP_T_NAME, name);
    } else {
        lp_put_address(&rpc.writer, LP_T_ADDRESS, cookie);
    }
    if (join) {
        lp_put_u32(&rpc.writer, LP_T_JOIN, 1);
    }
    err = pre_rpc_call(&rpc, &reply, NULL);
    if (err == 0) {
        err = lp_result(&reply);
    }
    if (err == 0 && !pre_pool_learn(&reply, name, pre_now_ms(), ret)) {
        err = -ENOENT;
    }
    pre_rpc_end(&rpc);
    return err;
}

/**
 * 0 or -errno. The process's own memory serves while fresh, and longer with the daemon away.
 * `join`: the name is asked for to be bound to, so that the pool may be a new one.
 */
static int look_up(const char *name, bool join, struct pre_pool_info *ret)
{
    struct pre_guard guard;
    if (strlen(name) > NAME_TEXT_MAX) {
        return -ENAMETOOLONG;
    }
    pre_enter(&guard);
    bool known = pre_pool_by_name(name, ret) && ret->named_ms != 0;
    int64_t age_ms = pre_now_ms() - ret->named_ms;
    int err = 0;
    if (!known || age_ms >= NAME_FRESH_MS) {
        struct pre_pool_info fresh;
        err = ask(name, NULL, join, &fresh);
        if (err == 0) {
            *ret = fresh;
        } else if ((err == -ENOTCONN || err == -ETIMEDOUT) && known && age_ms < PRE_STALE_MS) {
            err = 0;
        } else {
            pre_log("%s: %s", name, strerrordesc_np(-err));
        }
    }
    pre_leave(&guard);
    return err;
}

/** Unknown for good, or only now. */
static bool for_good(int err)
{
    return err == -ENOENT || err == -ENAMETOOLONG || err == -EINVAL || err == -EACCES;
}

/** The numeric text of the cookie for an address family; NULL: none. */
static const char *numeric(const struct pre_pool_info *info, int family)
{
    if (family == AF_INET6) {
        return info->cookie6.family == IP_V6 ? info->cookie_text6 : NULL;
    }
    return info->cookie4.family == IP_V4 ? info->cookie_text4 : NULL;
}

/** The list libc makes of a cookie of one family; EAI_*. */
static int cookie_list(const struct pre_pool_info *info, const char *service,
                       const struct addrinfo *hints, int family, struct addrinfo **res)
{
    const char *text = numeric(info, family);
    if (text == NULL) {
        return EAI_NONAME;
    }
    struct addrinfo ours = {.ai_flags =
                                (hints->ai_flags & (AI_PASSIVE | AI_NUMERICSERV)) | AI_NUMERICHOST,
                            .ai_family = hints->ai_family,
                            .ai_socktype = hints->ai_socktype,
                            .ai_protocol = hints->ai_protocol};
    return pre_real()->getaddrinfo(text, service, &ours, res);
}

/** The name as the answer's canonical name; EAI_*, the list freed on failure. */
static int put_canonical(struct addrinfo **res, const char *name)
{
    char *copy = strdup(name);
    if (copy == NULL) {
        freeaddrinfo(*res);
        *res = NULL;
        return EAI_MEMORY;
    }
    free((*res)->ai_canonname);
    (*res)->ai_canonname = copy;
    return 0;
}

int hook_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                     struct addrinfo **res)
{
    static const struct addrinfo none = {.ai_family = AF_UNSPEC};
    if ((hints != NULL && (hints->ai_flags & AI_NUMERICHOST) != 0) || !is_ours(node)) {
        return pre_real()->getaddrinfo(node, service, hints, res);
    }
    struct pre_pool_info info;
    struct addrinfo *six = NULL;
    int err = look_up(node, hints != NULL && (hints->ai_flags & AI_PASSIVE) != 0, &info);
    if (err != 0) {
        return for_good(err) ? EAI_NONAME : EAI_AGAIN;
    }
    hints = hints != NULL ? hints : &none;
    int ret = cookie_list(&info, service, hints, hints->ai_family, res);
    if (ret != 0 || *res == NULL) {
        return ret;
    }
    /*
     * A client that names no family gets the IPv6 cookie behind the IPv4 one: curl --ipv6 asks like
     * that and then drops what is IPv4. Programs that try two families at once begin with the first
     * and leave the second unused while that answers. A server gets one address to bind to.
     */
    if (hints->ai_family == AF_UNSPEC && (hints->ai_flags & AI_PASSIVE) == 0 &&
        cookie_list(&info, service, hints, AF_INET6, &six) == 0) {
        struct addrinfo *last = *res;
        while (last->ai_next != NULL) {
            last = last->ai_next;
        }
        last->ai_next = six; /* glibc frees entry by entry */
    }
    if ((hints->ai_flags & AI_CANONNAME) != 0) {
        ret = put_canonical(res, info.name[0] != '\0' ? info.name : node);
    }
    return ret;
}

int hook_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *sevp)
{
    /* libc asks from threads of its own, past us: it gets the numeric form, which stays valid. */
    for (int i = 0; list != NULL && i < count; i++) {
        struct pre_pool_info info;
        struct gaicb *item = list[i];
        if (item == NULL || !is_ours(item->ar_name)) {
            continue;
        }
        int family = item->ar_request != NULL ? item->ar_request->ai_family : AF_UNSPEC;
        int err = look_up(item->ar_name, false, &info);
        const char *text = err == 0 ? numeric(&info, family) : NULL;
        item->ar_name = text != NULL ? text : "invalid name.invalid"; /* no DNS query, EAI_NONAME */
    }
    return pre_real()->getaddrinfo_a(mode, list, count, sevp);
}

static int herrno_of(int err)
{
    return for_good(err) ? HOST_NOT_FOUND : TRY_AGAIN;
}

/** The name the program asked for, in a form that stays valid, becomes the entry's name. */
static void set_name(struct hostent *entry, const struct pre_pool_info *info)
{
    if (entry != NULL && info->name[0] != '\0') {
        entry->h_name = (char *)(uintptr_t)info->name;
    }
}

/** Cookie text for the gethostbyname family; NULL with *ret_herrno when there is none. */
static const char *host_text(const char *name, int family, struct pre_pool_info *info,
                             int *ret_herrno)
{
    int err = look_up(name, false, info);
    if (err != 0) {
        *ret_herrno = herrno_of(err);
        return NULL;
    }
    const char *text = numeric(info, family);
    *ret_herrno = NO_DATA;
    return text;
}

struct hostent *hook_gethostbyname2(const char *name, int family)
{
    if (!is_ours(name)) {
        return pre_real()->gethostbyname2(name, family);
    }
    struct pre_pool_info info;
    int herr;
    const char *text = host_text(name, family, &info, &herr);
    if (text == NULL) {
        h_errno = herr;
        return NULL;
    }
    struct hostent *entry = pre_real()->gethostbyname2(text, family);
    set_name(entry, &info);
    return entry;
}

struct hostent *hook_gethostbyname(const char *name)
{
    return is_ours(name) ? hook_gethostbyname2(name, AF_INET) : pre_real()->gethostbyname(name);
}

int hook_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buf,
                          size_t buflen, struct hostent **result, int *h_errnop)
{
    if (!is_ours(name)) {
        return pre_real()->gethostbyname2_r(name, family, ret, buf, buflen, result, h_errnop);
    }
    struct pre_pool_info info;
    int herr;
    const char *text = host_text(name, family, &info, &herr);
    if (text == NULL) {
        *result = NULL;
        *h_errnop = herr;
        return herr == TRY_AGAIN ? EAGAIN : 0;
    }
    int err = pre_real()->gethostbyname2_r(text, family, ret, buf, buflen, result, h_errnop);
    set_name(err == 0 ? *result : NULL, &info);
    return err;
}

int hook_gethostbyname_r(const char *name, struct hostent *ret, char *buf, size_t buflen,
                         struct hostent **result, int *h_errnop)
{
    return is_ours(name) ? hook_gethostbyname2_r(name, AF_INET, ret, buf, buflen, result, h_errnop)
                         : pre_real()->gethostbyname_r(name, ret, buf, buflen, result, h_errnop);
}

/* --- from cookies back to names
 * ------------------------------------------------------------------------- */

/** The pool of a cookie, for its name; false: nobody knows it. */
static bool name_of(const struct ip_address *cookie, struct pre_pool_info *ret)
{
    struct pre_guard guard;
    pre_enter(&guard);
    bool found = pre_pool_by_cookie(cookie, ret) && ret->name[0] != '\0';
    if (!found) {
        found = ask(NULL, cookie, false, ret) == 0 && ret->name[0] != '\0';
    }
    pre_leave(&guard);
    return found;
}

int hook_getnameinfo(const struct sockaddr *addr, socklen_t addrlen, char *host, socklen_t hostlen,
                     char *serv, socklen_t servlen, int flags)
{
    struct pre_target target;
    struct pre_pool_info info;
    if (pre_inside() || (flags & NI_NUMERICHOST) != 0 || host == NULL || hostlen == 0 ||
        pre_target_read(addr, addrlen, &target) != PRE_TARGET_COOKIE) {
        return pre_real()->getnameinfo(addr, addrlen, host, hostlen, serv, servlen, flags);
    }
    if (!name_of(&target.cookie, &info)) {
        return (flags & NI_NAMEREQD) != 0
                   ? EAI_NONAME
                   : pre_real()->getnameinfo(addr, addrlen, host, hostlen, serv, servlen,
                                             flags | NI_NUMERICHOST);
    }
    size_t len = strlen(info.name);
    if (len >= hostlen) {
        return EAI_OVERFLOW;
    }
    if (serv != NULL && servlen > 0) {
        int err = pre_real()->getnameinfo(addr, addrlen, NULL, 0, serv, servlen,
                                          (flags & ~NI_NAMEREQD) | NI_NUMERICHOST);
        if (err != 0) {
            return err;
        }
    }
    memcpy(host, info.name, len + 1);
    return 0;
}

/** Whether the octets are a cookie; v4-mapped ones too. */
static bool read_cookie(const void *addr, socklen_t len, int family, struct ip_address *ret)
{
    *ret = (struct ip_address){0};
    if (addr == NULL || pre_inside()) {
        return false;
    }
    if (family == AF_INET && len >= 4) {
        ret->family = IP_V4;
        memcpy(ret->octets, addr, 4);
    } else if (family == AF_INET6 && len >= 16) {
        ret->family = IP_V6;
        memcpy(ret->octets, addr, 16);
        *ret = ip_address_unmap(*ret);
    }
    return pre_is_cookie(ret);
}

struct hostent *hook_gethostbyaddr(const void *addr, socklen_t len, int family)
{
    struct ip_address cookie;
    struct pre_pool_info info;
    if (!read_cookie(addr, len, family, &cookie)) {
        return pre_real()->gethostbyaddr(addr, len, family);
    }
    const char *text = name_of(&cookie, &info) ? numeric(&info, family) : NULL;
    if (text == NULL) {
        h_errno = HOST_NOT_FOUND;
        return NULL;
    }
    struct hostent *entry = pre_real()->gethostbyname2(text, family);
    set_name(entry, &info);
    return entry;
}

int hook_gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *ret,
                         char *buf, size_t buflen, struct hostent **result, int *h_errnop)
{
    struct ip_address cookie;
    struct pre_pool_info info;
    if (!read_cookie(addr, len, family, &cookie)) {
        return pre_real()->gethostbyaddr_r(addr, len, family, ret, buf, buflen, result, h_errnop);
    }
    const char *text = name_of(&cookie, &info) ? numeric(&info, family) : NULL;
    if (text == NULL) {
        *result = NULL;
        *h_errnop = HOST_NOT_FOUND;
        return 0;
    }
    int err = pre_real()->gethostbyname2_r(text, family, ret, buf, buflen, result, h_errnop);
    set_name(err == 0 ? *result : NULL, &info);
    return err;
}
