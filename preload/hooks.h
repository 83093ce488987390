/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The one list of interposed functions (checklist L-4). It makes the table of originals, the raw
 * fallbacks' slots, the inner functions hook_X, the exported names, and the list the export test
 * compares with. Entries: X(result, name, (parameters), (arguments)); those
 * exported by hand in exports.c come last (the variadic ones carry their third argument as one
 * long).
 */
#ifndef RSP_PRELOAD_HOOKS_H
#define RSP_PRELOAD_HOOKS_H

#include <netdb.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <time.h>

/* clang-format off */
#define PRE_HOOKS_NAMES(X)                                                                         \
    X(int, getaddrinfo,                                                                            \
      (const char *node, const char *service, const struct addrinfo *hints,                        \
       struct addrinfo **res),                                                                     \
      (node, service, hints, res))                                                                 \
    X(int, getaddrinfo_a,                                                                          \
      (int mode, struct gaicb **list, int count, struct sigevent *sevp),                           \
      (mode, list, count, sevp))                                                                   \
    X(int, getnameinfo,                                                                            \
      (const struct sockaddr *addr, socklen_t addrlen, char *host, socklen_t hostlen, char *serv,  \
       socklen_t servlen, int flags),                                                              \
      (addr, addrlen, host, hostlen, serv, servlen, flags))                                        \
    X(struct hostent *, gethostbyname, (const char *name), (name))                                 \
    X(struct hostent *, gethostbyname2, (const char *name, int family), (name, family))            \
    X(int, gethostbyname_r,                                                                        \
      (const char *name, struct hostent *ret, char *buf, size_t buflen, struct hostent **result,   \
       int *h_errnop),                                                                             \
      (name, ret, buf, buflen, result, h_errnop))                                                  \
    X(int, gethostbyname2_r,                                                                       \
      (const char *name, int family, struct hostent *ret, char *buf, size_t buflen,                \
       struct hostent **result, int *h_errnop),                                                    \
      (name, family, ret, buf, buflen, result, h_errnop))                                          \
    X(struct hostent *, gethostbyaddr, (const void *addr, socklen_t len, int family),              \
      (addr, len, family))                                                                         \
    X(int, gethostbyaddr_r,                                                                        \
      (const void *addr, socklen_t len, int family, struct hostent *ret, char *buf, size_t buflen, \
       struct hostent **result, int *h_errnop),                                                    \
      (addr, len, family, ret, buf, buflen, result, h_errnop))

#define PRE_HOOKS_KERNEL(X)                                                                        \
    X(int, socket, (int domain, int type, int protocol), (domain, type, protocol))                 \
    X(int, connect, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))         \
    X(int, bind, (int fd, const struct sockaddr *addr, socklen_t len), (fd, addr, len))            \
    X(int, listen, (int fd, int backlog), (fd, backlog))                                           \
    X(int, accept, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))               \
    X(int, accept4, (int fd, struct sockaddr *addr, socklen_t *len, int flags),                    \
      (fd, addr, len, flags))                                                                      \
    X(int, getsockopt, (int fd, int level, int name, void *value, socklen_t *len),                 \
      (fd, level, name, value, len))                                                               \
    X(int, getpeername, (int fd, struct sockaddr *addr, socklen_t *len), (fd, addr, len))          \
    X(ssize_t, sendto,                                                                             \
      (int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr, socklen_t len),  \
      (fd, buf, n, flags, addr, len))                                                              \
    X(ssize_t, sendmsg, (int fd, const struct msghdr *msg, int flags), (fd, msg, flags))           \
    X(int, sendmmsg, (int fd, struct mmsghdr *msgs, unsigned int n, int flags),                    \
      (fd, msgs, n, flags))                                                                        \
    X(ssize_t, recvfrom,                                                                           \
      (int fd, void *buf, size_t n, int flags, struct sockaddr *addr, socklen_t *len),             \
      (fd, buf, n, flags, addr, len))                                                              \
    X(ssize_t, __recvfrom_chk,                                                                     \
      (int fd, void *buf, size_t n, size_t buflen, int flags, struct sockaddr *addr,               \
       socklen_t *len),                                                                            \
      (fd, buf, n, buflen, flags, addr, len))                                                      \
    X(ssize_t, recvmsg, (int fd, struct msghdr *msg, int flags), (fd, msg, flags))                 \
    X(int, recvmmsg,                                                                               \
      (int fd, struct mmsghdr *msgs, unsigned int n, int flags, struct timespec *timeout),         \
      (fd, msgs, n, flags, timeout))                                                               \
    X(int, close, (int fd), (fd))                                                                  \
    X(int, dup, (int fd), (fd))                                                                    \
    X(int, dup2, (int from, int to), (from, to))                                                   \
    X(int, dup3, (int from, int to, int flags), (from, to, flags))                                 \
    X(int, close_range, (unsigned int first, unsigned int last, int flags), (first, last, flags))

#define PRE_HOOKS_BY_HAND(X)                                                                       \
    X(int, fcntl, (int fd, int cmd, long arg), (fd, cmd, arg))                                     \
    X(int, fcntl64, (int fd, int cmd, long arg), (fd, cmd, arg))                                   \
    X(int, ioctl, (int fd, unsigned long request, long arg), (fd, request, arg))         \
    X(void, closefrom, (int first), (first))
/* clang-format on */

#define PRE_HOOKS_FIXED(X) PRE_HOOKS_NAMES(X) PRE_HOOKS_KERNEL(X)
#define PRE_HOOKS_ALL(X)   PRE_HOOKS_FIXED(X) PRE_HOOKS_BY_HAND(X)

struct sigevent;
struct gaicb;

/* The inner functions: what an exported name does. */
#define PRE_DECLARE(result, name, params, args) result hook_##name params;
PRE_HOOKS_ALL(PRE_DECLARE)
#undef PRE_DECLARE

#endif
