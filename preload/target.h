/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * From a socket address as a program gives it to the pool it means, and from a pool element back to
 * a socket address that fits the program's socket. No state; the resolving calls stand inside
 * pre_enter().
 */
#ifndef RSP_PRELOAD_TARGET_H
#define RSP_PRELOAD_TARGET_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#include "librsp/lp_client.h"
#include "rsp/sockaddr.h"

enum pre_target_kind {
    PRE_TARGET_NONE,   /* not ours */
    PRE_TARGET_COOKIE, /* an address that stands for a pool */
    PRE_TARGET_RSP,    /* struct sockaddr_rsp */
    PRE_TARGET_BAD     /* struct sockaddr_rsp that is none: EINVAL */
};

struct pre_target {
    enum pre_target_kind kind;
    struct ip_address cookie;
    uint16_t port;  /* host order, as given */
    uint32_t pe_id; /* 0: any */
    uint16_t handle_len;
    uint8_t handle[RSP_SOCKADDR_HANDLE_MAX];
};

/** Reads the address; never beyond `len`. Fast for what is not ours; no system call for that. */
enum pre_target_kind pre_target_read(const struct sockaddr *addr, socklen_t len,
                                     struct pre_target *ret);

/** What a socket is, asked of the kernel. */
struct pre_socket {
    int domain; /* AF_INET or AF_INET6 */
    int type;
    enum transport_protocol protocol;
    bool v6only;
    uint8_t families; /* LP_FAMILY_* it can reach */
};
/**
 * Asks the kernel what a socket is; its domain too, if that is AF_UNSPEC.
 * @return 0, or -errno (-EBADF, -ENOTSOCK; -EAFNOSUPPORT for other domains)
 */
int pre_socket_ask(int fd, int domain, struct pre_socket *ret);
/** The same of a socket that is known to be TCP, and its domain; false: of another domain. */
bool pre_socket_tcp(int fd, int domain, struct pre_socket *ret);
/** The same of a socket that is known to be UDP over IPv4: nothing is asked. */
void pre_socket_udp4(struct pre_socket *ret);

union pre_sockaddr {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_storage storage;
};
/** The i-th address of an element in the form the socket takes; its length, 0: does not fit. */
socklen_t pre_socket_fit(const struct pre_socket *s, const struct lp_pe *pe, unsigned i,
                         union pre_sockaddr *ret);
/** An address of the socket's family to which no connection is ever made. */
socklen_t pre_socket_nowhere(const struct pre_socket *s, union pre_sockaddr *ret);
/** The wildcard address of the socket's family. */
socklen_t pre_socket_wildcard(const struct pre_socket *s, uint16_t port, union pre_sockaddr *ret);

/** Index of the target's pool in this process's table; PRE_POOL_NONE: never met by its cookie. */
uint16_t pre_target_pool(const struct pre_target *t);

#define PRE_AVOID_MAX 16

struct pre_question {
    const struct pre_target *target;
    const struct pre_socket *socket;
    uint32_t avoid[PRE_AVOID_MAX];
    unsigned avoid_count;
    uint32_t keep_pe; /* wanted if it is still in the pool; 0: none */
    int timeout_ms;
};
/**
 * Chooses one element. Asks the daemon; with the daemon away uses this process's own last answer.
 * @return 0; -errno fit for connect(): ECONNREFUSED (none left), EHOSTUNREACH (no daemon, no
 *         registrar, unknown pool, timeout), EAFNOSUPPORT, EPROTOTYPE, ENAMETOOLONG
 */
int pre_resolve(const struct pre_question *question, struct lp_pe *ret, uint16_t *ret_pool);
/** Tells the daemon that an element could not be reached; does not wait. */
void pre_report(uint16_t pool, uint32_t pe_id, int error);

#endif
