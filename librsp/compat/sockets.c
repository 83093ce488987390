/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Descriptors, pool elements and pool users of the drop-in. */
#include "librsp/compat/compat.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define PAGE     1024 /* descriptors */
#define PAGES    1024
#define RETRY_US 250000

/** Bits (1 << type) of the notifications that programs for rsplib know. */
#define NOTIFY_ALL                                                                                 \
    (1 << RSERPOOL_SESSION_CHANGE | 1 << RSERPOOL_FAILOVER | 1 << RSERPOOL_SHUTDOWN_EVENT)

struct entry {
    uint8_t kind;
    bool owes_failover;
};

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static struct entry *pages[PAGES];

/** The entry of a descriptor, made if wanted; NULL: none. Locked. */
static struct entry *entry_of(int fd, bool make)
{
    if (fd < 0 || fd >= PAGE * PAGES) {
        return NULL;
    }
    if (pages[fd / PAGE] == NULL && make) {
        pages[fd / PAGE] = (struct entry *)calloc(PAGE, sizeof(struct entry));
    }
    return pages[fd / PAGE] != NULL ? &pages[fd / PAGE][fd % PAGE] : NULL;
}

int compat_add(int fd, enum compat_kind kind)
{
    (void)pthread_mutex_lock(&mutex);
    struct entry *e = entry_of(fd, true);
    if (e != NULL) {
        *e = (struct entry){.kind = (uint8_t)kind};
    }
    (void)pthread_mutex_unlock(&mutex);
    return e != NULL ? 0 : -ENOMEM;
}

enum compat_kind compat_kind(int fd)
{
    (void)pthread_mutex_lock(&mutex);
    const struct entry *e = entry_of(fd, false);
    enum compat_kind kind = e != NULL ? (enum compat_kind)e->kind : COMPAT_NONE;
    (void)pthread_mutex_unlock(&mutex);
    return kind;
}

enum compat_kind compat_remove(int fd)
{
    enum compat_kind was = COMPAT_NONE;
    (void)pthread_mutex_lock(&mutex);
    struct entry *e = entry_of(fd, false);
    if (e != NULL) {
        was = (enum compat_kind)e->kind;
        *e = (struct entry){.kind = COMPAT_NONE};
    }
    (void)pthread_mutex_unlock(&mutex);
    return was;
}

int compat_first(enum compat_kind kind)
{
    int found = -1;
    (void)pthread_mutex_lock(&mutex);
    for (int page = 0; page < PAGES && found < 0; page++) {
        for (int i = 0; pages[page] != NULL && i < PAGE && found < 0; i++) {
            found = pages[page][i].kind == kind ? page * PAGE + i : -1;
        }
    }
    (void)pthread_mutex_unlock(&mutex);
    return found;
}

void compat_owe_failover(int fd, bool owed)
{
    (void)pthread_mutex_lock(&mutex);
    struct entry *e = entry_of(fd, false);
    if (e != NULL) {
        e->owes_failover = owed;
    }
    (void)pthread_mutex_unlock(&mutex);
}

bool compat_owes_failover(int fd)
{
    (void)pthread_mutex_lock(&mutex);
    const struct entry *e = entry_of(fd, false);
    bool owed = e != NULL && e->owes_failover;
    (void)pthread_mutex_unlock(&mutex);
    return owed;
}

/* --- sockets ------------------------------------------------------------------------------------
 */

static int set_option(int sd, enum core_option option, int value)
{
    return rspcore_setsockopt(sd, CORE_LEVEL, option, &value, sizeof(value));
}

/** A socket of librsp becomes one of ours: failover is the program's business. */
static int adopt(int sd, int type)
{
    int wanted = type == SOCK_SEQPACKET ? NOTIFY_ALL : 0;
    if (sd < 0) {
        return -1;
    }
    if (set_option(sd, CORE_AUTO_FAILOVER, 0) != 0 || set_option(sd, CORE_REPLAY, 0) != 0 ||
        set_option(sd, CORE_NOTIFICATIONS, wanted) != 0) {
        int error = errno;
        (void)rspcore_close(sd);
        errno = error;
        return -1;
    }
    if (compat_add(sd, COMPAT_SOCKET) != 0) {
        (void)rspcore_close(sd);
        errno = EMFILE;
        return -1;
    }
    return sd;
}

COMPAT_PUBLIC int rsp_socket(int domain, int type, int protocol)
{
    if (!compat_ready()) {
        return -1;
    }
    if (protocol != IPPROTO_SCTP) {
        errno = EPROTONOSUPPORT;
        return -1;
    }
    if (type != SOCK_STREAM && type != SOCK_SEQPACKET) {
        errno = EPROTOTYPE;
        return -1;
    }
    return adopt(rspcore_socket(domain, type, protocol), type);
}

/** Exported by the reference library without being declared. */
COMPAT_PUBLIC int rsp_socket_internal(int domain, int type, int protocol, int existing);
COMPAT_PUBLIC int rsp_socket_internal(int domain, int type, int protocol, int existing)
{
    if (existing >= 0) {
        errno = EOPNOTSUPP;
        return -1;
    }
    return rsp_socket(domain, type, protocol);
}

COMPAT_PUBLIC int rsp_bind(int sd, const struct sockaddr *addrs, int addrcnt)
{
    return rspcore_bind(sd, addrs, addrcnt);
}

COMPAT_PUBLIC int rsp_listen(int sd, int backlog)
{
    return rspcore_listen(sd, backlog);
}

COMPAT_PUBLIC int rsp_close(int sd)
{
    if (compat_kind(sd) != COMPAT_SOCKET) {
        return rsp_unmapsocket(sd);
    }
    (void)compat_remove(sd);
    return rspcore_close(sd);
}

COMPAT_PUBLIC int rsp_getsockname(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id)
{
    return rspcore_getsockname(sd, handle, size, pe_id);
}

COMPAT_PUBLIC int rsp_getpeername(int sd, unsigned char *handle, size_t *size, uint32_t *pe_id)
{
    return rspcore_getpeername(sd, handle, size, pe_id);
}

COMPAT_PUBLIC int rsp_getsockopt(int sd, int level, int optname, void *optval, socklen_t *optlen)
{
    return compat_kind(sd) == COMPAT_SOCKET ? rspcore_getsockopt(sd, level, optname, optval, optlen)
                                            : getsockopt(sd, level, optname, optval, optlen);
}

COMPAT_PUBLIC int rsp_setsockopt(int sd, int level, int optname, const void *optval,
                                 socklen_t optlen)
{
    return compat_kind(sd) == COMPAT_SOCKET ? rspcore_setsockopt(sd, level, optname, optval, optlen)
                                            : setsockopt(sd, level, optname, optval, optlen);
}

COMPAT_PUBLIC int rsp_update_session_parameters(int sd, struct rserpool_session_parameters *params)
{
    return rspcore_update_session_parameters(sd, params);
}

/*
 * Descriptors here are the system's, so a mapped one keeps its number; where the program wants
 * another, it is duplicated to it.
 */
COMPAT_PUBLIC int rsp_mapsocket(int fd, int wanted_sd)
{
    if (fcntl(fd, F_GETFD) < 0) {
        return -1;
    }
    enum compat_kind kind = COMPAT_MAPPED;
    if (wanted_sd >= 0 && wanted_sd != fd) {
        if (fcntl(wanted_sd, F_GETFD) >= 0) {
            errno = EBUSY;
            return -1;
        }
        if (dup3(fd, wanted_sd, O_CLOEXEC) < 0) {
            return -1;
        }
        kind = COMPAT_DUPLICATED;
        fd = wanted_sd;
    }
    if (compat_add(fd, kind) != 0) {
        if (kind == COMPAT_DUPLICATED) {
            (void)close(fd);
        }
        errno = EMFILE;
        return -1;
    }
    return fd;
}

COMPAT_PUBLIC int rsp_unmapsocket(int sd)
{
    enum compat_kind kind = compat_kind(sd);
    if (kind != COMPAT_MAPPED && kind != COMPAT_DUPLICATED) {
        errno = EBADF;
        return -1;
    }
    (void)compat_remove(sd);
    return kind == COMPAT_DUPLICATED ? close(sd) : 0;
}

/* --- pool elements ------------------------------------------------------------------------------
 */

COMPAT_PUBLIC int rsp_register(int sd, const unsigned char *handle, const size_t size,
                               const struct rsp_loadinfo *loadinfo, unsigned int interval_ms,
                               int flags)
{
    /* A registrar that is not there yet is no failure: the daemon registers as soon as one is. */
    return rspcore_register(sd, handle, size, loadinfo, interval_ms, flags | REGF_DAEMONMODE);
}

COMPAT_PUBLIC int rsp_deregister(int sd, int flags)
{
    return rspcore_deregister(sd, flags);
}

COMPAT_PUBLIC int rsp_accept(int sd, int timeout)
{
    return adopt(rspcore_accept(sd, timeout), SOCK_STREAM);
}

/* --- pool users ---------------------------------------------------------------------------------
 */

/** Errors that mean: there is a session, only nobody to have it with yet. */
static bool nobody_yet(int error)
{
    return error == ENOENT || error == ECONNREFUSED || error == ETIMEDOUT || error == EAGAIN ||
           error == EHOSTUNREACH || error == ENETUNREACH || error == ECONNRESET ||
           error == ENOTCONN || error == EIO;
}

static void bound_connect(int sd, unsigned long connect_us)
{
    if (connect_us > 0) {
        (void)set_option(sd, CORE_CONNECT_TIMEOUT, (int)(connect_us / 1000 + 1));
    }
}

int compat_connect(int sd, const unsigned char *handle, size_t size, unsigned int stale_cache_ms,
                   unsigned long connect_us)
{
    if (compat_kind(sd) != COMPAT_SOCKET) {
        errno = EBADF;
        return -1;
    }
    bound_connect(sd, connect_us);
    (void)set_option(sd, CORE_NOTIFICATIONS, NOTIFY_ALL & ~(1 << RSERPOOL_SESSION_CHANGE));
    if (rspcore_connect(sd, handle, size, stale_cache_ms) == 0) {
        return 0;
    }
    if (errno == EISCONN) {
        errno = EBADF;
        return -1;
    }
    if (!nobody_yet(errno)) {
        return -1;
    }
    compat_owe_failover(sd, true);
    return 0;
}

COMPAT_PUBLIC int rsp_connect(int sd, const unsigned char *handle, const size_t size,
                              const unsigned int stale_cache_ms)
{
    return compat_connect(sd, handle, size, stale_cache_ms, 0);
}

int compat_failover(int sd, unsigned int flags, unsigned int stale_cache_ms,
                    unsigned long connect_us, unsigned long retry_us)
{
    if (compat_kind(sd) != COMPAT_SOCKET) {
        errno = EBADF;
        return -1;
    }
    bound_connect(sd, connect_us);
    compat_owe_failover(sd, false);
    if (rspcore_forcefailover(sd, flags, stale_cache_ms) == 0) {
        return 0;
    }
    if (!nobody_yet(errno)) {
        return -1;
    }
    unsigned long pause_us = retry_us > 0 ? retry_us : RETRY_US;
    struct timespec pause = {.tv_sec = (time_t)(pause_us / 1000000),
                             .tv_nsec = (long)(pause_us % 1000000 * 1000)};
    (void)nanosleep(&pause, NULL);
    compat_owe_failover(sd, true);
    return 0;
}

COMPAT_PUBLIC int rsp_forcefailover(int sd, const unsigned int flags,
                                    const unsigned int stale_cache_ms)
{
    return compat_failover(sd, flags, stale_cache_ms, 0, 0);
}

COMPAT_PUBLIC int rsp_has_cookie(int sd)
{
    return rspcore_has_cookie(sd) == 1 ? 1 : 0;
}
