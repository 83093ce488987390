/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Looks the originals up; see real.h. */
#include "preload/real.h"

#include <dlfcn.h>
#include <errno.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* --- straight to the kernel ------------------------------------------------------------------ */

static int raw_socket(int domain, int type, int protocol)
{
    return (int)syscall(SYS_socket, domain, type, protocol);
}

static int raw_connect(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)syscall(SYS_connect, fd, addr, len);
}

static int raw_bind(int fd, const struct sockaddr *addr, socklen_t len)
{
    return (int)syscall(SYS_bind, fd, addr, len);
}

static int raw_listen(int fd, int backlog)
{
    return (int)syscall(SYS_listen, fd, backlog);
}

static int raw_accept4(int fd, struct sockaddr *addr, socklen_t *len, int flags)
{
    return (int)syscall(SYS_accept4, fd, addr, len, flags);
}

static int raw_accept(int fd, struct sockaddr *addr, socklen_t *len)
{
    return raw_accept4(fd, addr, len, 0);
}

static int raw_getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    return (int)syscall(SYS_getsockopt, fd, level, name, value, len);
}

static int raw_getpeername(int fd, struct sockaddr *addr, socklen_t *len)
{
    return (int)syscall(SYS_getpeername, fd, addr, len);
}

static ssize_t raw_sendto(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
                          socklen_t len)
{
    return syscall(SYS_sendto, fd, buf, n, flags, addr, len);
}

static ssize_t raw_sendmsg(int fd, const struct msghdr *msg, int flags)
{
    return syscall(SYS_sendmsg, fd, msg, flags);
}

static int raw_sendmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags)
{
    return (int)syscall(SYS_sendmmsg, fd, msgs, n, flags);
}

static ssize_t raw_recvfrom(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
                            socklen_t *len)
{
    return syscall(SYS_recvfrom, fd, buf, n, flags, addr, len);
}

static ssize_t raw___recvfrom_chk(int fd, void *buf, size_t n, size_t buflen, int flags,
                                  struct sockaddr *addr, socklen_t *len)
{
    return raw_recvfrom(fd, buf, n < buflen ? n : buflen, flags, addr, len);
}

static ssize_t raw_recvmsg(int fd, struct msghdr *msg, int flags)
{
    return syscall(SYS_recvmsg, fd, msg, flags);
}

static int raw_recvmmsg(int fd, struct mmsghdr *msgs, unsigned int n, int flags,
                        struct timespec *timeout)
{
    return (int)syscall(SYS_recvmmsg, fd, msgs, n, flags, timeout);
}

static int raw_close(int fd)
{
    return (int)syscall(SYS_close, fd);
}

static int raw_dup(int fd)
{
    return (int)syscall(SYS_dup, fd);
}

static int raw_dup3(int from, int to, int flags)
{
    return (int)syscall(SYS_dup3, from, to, flags);
}

static int raw_fcntl(int fd, int cmd, long arg)
{
    return (int)syscall(SYS_fcntl, fd, cmd, arg);
}

static int raw_dup2(int from, int to)
{
    if (from == to) { /* dup3() refuses that, dup2() answers with the descriptor */
        return raw_fcntl(from, 1 /* F_GETFD */, 0) < 0 ? -1 : to;
    }
    return raw_dup3(from, to, 0);
}

static int raw_fcntl64(int fd, int cmd, long arg)
{
    return raw_fcntl(fd, cmd, arg);
}

static int raw_ioctl(int fd, unsigned long request, long arg)
{
    return (int)syscall(SYS_ioctl, fd, request, arg);
}

static int raw_close_range(unsigned int first, unsigned int last, int flags)
{
    return (int)syscall(SYS_close_range, first, last, flags);
}

static void raw_closefrom(int first)
{
    (void)raw_close_range(first > 0 ? (unsigned)first : 0, ~0U, 0);
}

/* --- no kernel call behind: "try again" ------------------------------------------------------- */

static int raw_getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                           struct addrinfo **res)
{
    (void)node;
    (void)service;
    (void)hints;
    (void)res;
    return EAI_AGAIN;
}

static int raw_getaddrinfo_a(int mode, struct gaicb **list, int count, struct sigevent *sevp)
{
    (void)mode;
    (void)list;
    (void)count;
    (void)sevp;
    return EAI_AGAIN;
}

/* NOLINTBEGIN(readability-non-const-parameter): the signatures are libc's */
static int raw_getnameinfo(const struct sockaddr *addr, socklen_t addrlen, char *host,
                           socklen_t hostlen, char *serv, socklen_t servlen, int flags)
{
    (void)addr;
    (void)addrlen;
    (void)host;
    (void)hostlen;
    (void)serv;
    (void)servlen;
    (void)flags;
    return EAI_AGAIN;
}

static struct hostent *raw_gethostbyname(const char *name)
{
    (void)name;
    h_errno = TRY_AGAIN;
    return NULL;
}

static struct hostent *raw_gethostbyname2(const char *name, int family)
{
    (void)family;
    return raw_gethostbyname(name);
}

static int raw_gethostbyname_r(const char *name, struct hostent *ret, char *buf, size_t buflen,
                               struct hostent **result, int *h_errnop)
{
    (void)name;
    (void)ret;
    (void)buf;
    (void)buflen;
    *result = NULL;
    *h_errnop = TRY_AGAIN;
    return EAGAIN;
}
/* NOLINTEND(readability-non-const-parameter) */

static int raw_gethostbyname2_r(const char *name, int family, struct hostent *ret, char *buf,
                                size_t buflen, struct hostent **result, int *h_errnop)
{
    (void)family;
    return raw_gethostbyname_r(name, ret, buf, buflen, result, h_errnop);
}

static struct hostent *raw_gethostbyaddr(const void *addr, socklen_t len, int family)
{
    (void)addr;
    (void)len;
    (void)family;
    return raw_gethostbyname("");
}

static int raw_gethostbyaddr_r(const void *addr, socklen_t len, int family, struct hostent *ret,
                               char *buf, size_t buflen, struct hostent **result, int *h_errnop)
{
    (void)addr;
    (void)len;
    (void)family;
    return raw_gethostbyname_r("", ret, buf, buflen, result, h_errnop);
}

const struct pre_real pre_raw = {
#define PRE_RAW(result, name, params, args) .name = raw_##name,
    PRE_HOOKS_ALL(PRE_RAW)
#undef PRE_RAW
};

/* --- the real ones ------------------------------------------------------------------------------
 */

const struct pre_real *_Atomic pre_real_current = &pre_raw;

static struct pre_real bound;
static atomic_int bind_state; /* 0: not yet, 1: somebody is at it, 2: done */
static atomic_bool incomplete;

static void find(const char *name, void *slot, size_t size, const void *raw)
{
    void *found = dlsym(RTLD_NEXT, name);
    if (found == NULL) {
        atomic_store(&incomplete, true);
        memcpy(slot, raw, size);
    } else {
        memcpy(slot, &found, size);
    }
}

const struct pre_real *pre_real_bind(void)
{
    int unbound = 0;
    if (!atomic_compare_exchange_strong(&bind_state, &unbound, 1)) {
        return atomic_load_explicit(&pre_real_current, memory_order_acquire);
    }
    int saved = errno;
#define PRE_FIND(result, name, params, args)                                                       \
    find(#name, &bound.name, sizeof(bound.name), &pre_raw.name);
    PRE_HOOKS_ALL(PRE_FIND)
#undef PRE_FIND
    atomic_store_explicit(&pre_real_current, &bound, memory_order_release);
    atomic_store(&bind_state, 2);
    errno = saved;
    return &bound;
}

bool pre_real_complete(void)
{
    (void)pre_real();
    return !atomic_load_explicit(&incomplete, memory_order_relaxed);
}
