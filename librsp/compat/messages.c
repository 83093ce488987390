/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages, notifications and waiting in the drop-in. */
#include "librsp/compat/compat.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* --- out ----------------------------------------------------------------------------------------
 */

/** A session that has failed is EIO; what the program can do something about is told as it is. */
static ssize_t sent(ssize_t n)
{
    if (n < 0 && errno != EAGAIN && errno != EBADF && errno != EINVAL && errno != EMSGSIZE &&
        errno != ENOMEM && errno != EPERM) {
        errno = EIO;
    }
    return n;
}

COMPAT_PUBLIC ssize_t rsp_sendmsg(int sd, const void *data, size_t size, unsigned int msg_flags,
                                  rserpool_session_t session, uint32_t ppid, uint16_t stream,
                                  uint32_t ttl, uint16_t sctp_flags, int timeout)
{
    if (compat_owes_failover(sd)) {
        errno = EIO;
        return -1;
    }
    return sent(rspcore_sendmsg(sd, data, size, msg_flags & MSG_DONTWAIT, session, ppid, stream,
                                ttl, sctp_flags, compat_timeout(timeout)));
}

COMPAT_PUBLIC ssize_t rsp_send_cookie(int sd, const unsigned char *cookie, const size_t size,
                                      rserpool_session_t session, int timeout)
{
    return sent(rspcore_send_cookie(sd, cookie, size, session, compat_timeout(timeout)));
}

COMPAT_PUBLIC ssize_t rsp_send(int sd, const void *data, size_t size, int flags)
{
    if (compat_kind(sd) != COMPAT_SOCKET) {
        return send(sd, data, size, flags);
    }
    return rsp_sendmsg(sd, data, size, (unsigned int)flags, 0, 0, 0, 0, 0, 0);
}

COMPAT_PUBLIC ssize_t rsp_write(int sd, const char *data, size_t size)
{
    return compat_kind(sd) == COMPAT_SOCKET ? rsp_send(sd, data, size, 0) : write(sd, data, size);
}

/* --- in -----------------------------------------------------------------------------------------
 */

/** "Failover necessary", where librsp knows of none: it has never had a server, or it was told the
 * end. */
static ssize_t give_owed(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
                         int *msg_flags)
{
    union rserpool_notification n;
    memset(&n, 0, sizeof(n));
    if (size < sizeof(n)) {
        errno = ENOMEM;
        return -1;
    }
    compat_owe_failover(sd, false);
    n.rn_failover.rf_type = RSERPOOL_FAILOVER;
    n.rn_failover.rf_length = sizeof(n);
    n.rn_failover.rf_state = RSERPOOL_FAILOVER_NECESSARY;
    n.rn_failover.rf_has_cookie = (unsigned char)rsp_has_cookie(sd);
    memcpy(buffer, &n, sizeof(n));
    memset(info, 0, sizeof(*info));
    *msg_flags |= MSG_RSERPOOL_NOTIFICATION | MSG_EOR;
    return (ssize_t)sizeof(n);
}

COMPAT_PUBLIC ssize_t rsp_recvmsg(int sd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
                                  int *msg_flags, int timeout)
{
    struct rsp_sndrcvinfo ignored_info;
    int ignored_flags = 0;
    info = info != NULL ? info : &ignored_info;
    msg_flags = msg_flags != NULL ? msg_flags : &ignored_flags;
    if (compat_owes_failover(sd)) {
        return give_owed(sd, buffer, size, info, msg_flags);
    }
    int flags = *msg_flags & MSG_DONTWAIT;
    memset(info, 0, sizeof(*info));
    ssize_t n = rspcore_recvmsg(sd, buffer, size, info, &flags, compat_timeout(timeout));
    if (n == 0 && rspcore_has_cookie(sd) >= 0) {
        /* A user's session does not end here when its server ends it: another one may go on. */
        compat_owe_failover(sd, true);
        return give_owed(sd, buffer, size, info, msg_flags);
    }
    if (n >= 0) {
        *msg_flags |= flags;
    }
    if (n >= 0 && (flags & MSG_RSERPOOL_COOKIE_ECHO) != 0) {
        info->rinfo_ppid = 11; /* ASAP's, in the host's order */
    }
    return n;
}

/** Milliseconds until `end` (0: it has come). */
static int left_ms(const struct timespec *end)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    long ms = (long)(end->tv_sec - now.tv_sec) * 1000 + (end->tv_nsec - now.tv_nsec) / 1000000;
    return ms > 0 ? (int)ms : 0;
}

COMPAT_PUBLIC ssize_t rsp_recvfullmsg(int sd, void *buffer, size_t size,
                                      struct rsp_sndrcvinfo *info, int *msg_flags, int timeout)
{
    int flags = msg_flags != NULL ? *msg_flags : 0;
    uint8_t *out = (uint8_t *)buffer;
    size_t used = 0;
    struct timespec end;
    (void)clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += compat_timeout(timeout) / 1000;
    end.tv_nsec += (long)(compat_timeout(timeout) % 1000) * 1000000;
    flags &= ~MSG_EOR;
    ssize_t n = 0;
    do {
        n = rsp_recvmsg(sd, out + used, size - used, info, &flags, left_ms(&end));
        used += n > 0 ? (size_t)n : 0;
    } while (n > 0 && used < size && (flags & MSG_EOR) == 0);
    if (msg_flags != NULL) {
        *msg_flags = flags;
    }
    return used > 0 ? (ssize_t)used : n;
}

COMPAT_PUBLIC ssize_t rsp_recv(int sd, void *buffer, size_t size, int flags)
{
    if (compat_kind(sd) != COMPAT_SOCKET) {
        return recv(sd, buffer, size, flags);
    }
    return rsp_recvmsg(sd, buffer, size, NULL, &flags, 0);
}

COMPAT_PUBLIC ssize_t rsp_read(int sd, void *buffer, size_t size)
{
    return compat_kind(sd) == COMPAT_SOCKET ? rsp_recv(sd, buffer, size, 0)
                                            : read(sd, buffer, size);
}

/* --- waiting ------------------------------------------------------------------------------------
 */

COMPAT_PUBLIC int rsp_poll(struct pollfd *fds, unsigned int nfds, int timeout)
{
    int owed = 0;
    if (nfds > FD_SETSIZE) {
        errno = EINVAL;
        return -1;
    }
    for (unsigned int i = 0; i < nfds; i++) {
        owed += (fds[i].events & POLLIN) != 0 && compat_owes_failover(fds[i].fd) ? 1 : 0;
    }
    int n = rspcore_poll(fds, nfds, owed > 0 ? 0 : timeout);
    for (unsigned int i = 0; n >= 0 && owed > 0 && i < nfds; i++) {
        if ((fds[i].events & POLLIN) != 0 && compat_owes_failover(fds[i].fd)) {
            n += fds[i].revents == 0 ? 1 : 0;
            fds[i].revents |= POLLIN;
        }
    }
    return n;
}

/** The sets as descriptors for rsp_poll(); how many. */
static unsigned int gather(int n, const fd_set *in, const fd_set *out, const fd_set *except,
                           struct pollfd *fds)
{
    unsigned int count = 0;
    for (int fd = 0; fd < n; fd++) {
        short events = 0;
        events |= in != NULL && FD_ISSET(fd, in) ? POLLIN : 0;
        events |= out != NULL && FD_ISSET(fd, out) ? POLLOUT : 0;
        events |= except != NULL && FD_ISSET(fd, except) ? POLLPRI : 0;
        if (events != 0) {
            fds[count++] = (struct pollfd){.fd = fd, .events = events};
        }
    }
    return count;
}

/** Sets the bit of what has happened; 1 if any has. */
static int mark(fd_set *set, const struct pollfd *p, short asked, short happened)
{
    if (set == NULL || (p->events & asked) == 0 || (p->revents & happened) == 0) {
        return 0;
    }
    FD_SET(p->fd, set);
    return 1;
}

static void clear(fd_set *set)
{
    if (set != NULL) {
        FD_ZERO(set);
    }
}

COMPAT_PUBLIC int rsp_select(int n, fd_set *readfds, fd_set *writefds, fd_set *exceptfds,
                             struct timeval *timeout)
{
    struct pollfd fds[FD_SETSIZE];
    if (n < 0 || n > FD_SETSIZE ||
        (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0))) {
        errno = EINVAL;
        return -1;
    }
    unsigned int count = gather(n, readfds, writefds, exceptfds, fds);
    long long ms =
        timeout == NULL ? -1 : (long long)timeout->tv_sec * 1000 + (timeout->tv_usec + 999) / 1000;
    int happened = rsp_poll(fds, count, ms > INT32_MAX ? INT32_MAX : (int)ms);
    if (happened < 0) {
        return -1;
    }
    clear(readfds);
    clear(writefds);
    clear(exceptfds);
    int bits = 0;
    for (unsigned int i = 0; i < count; i++) {
        if ((fds[i].revents & POLLNVAL) != 0) {
            errno = EBADF;
            return -1;
        }
        bits += mark(readfds, &fds[i], POLLIN, POLLIN | POLLHUP | POLLERR);
        bits += mark(writefds, &fds[i], POLLOUT, POLLOUT | POLLERR);
        bits += mark(exceptfds, &fds[i], POLLPRI, POLLPRI);
    }
    return bits;
}

/* --- as they are --------------------------------------------------------------------------------
 */

/** In the words that programs for rsplib show. */
COMPAT_PUBLIC void rsp_print_notification(const union rserpool_notification *notification, FILE *fd)
{
    const struct rserpool_session_change *change = &notification->rn_session_change;
    const struct rserpool_failover *failover = &notification->rn_failover;
    switch (notification->rn_header.rn_type) {
    case RSERPOOL_SESSION_CHANGE:
        (void)fprintf(fd, "RSERPOOL_SESSION_CHANGE for session %d, state=%s", change->rsc_session,
                      change->rsc_state == RSERPOOL_SESSION_ADD ? "RSERPOOL_SESSION_ADD"
                                                                : "RSERPOOL_SESSION_REMOVE");
        break;
    case RSERPOOL_FAILOVER:
        (void)fprintf(
            fd, "RSERPOOL_FAILOVER for session %d, state=%s, cookie=%s", failover->rf_session,
            failover->rf_state == RSERPOOL_FAILOVER_COMPLETE ? "RSERPOOL_FAILOVER_COMPLETE"
                                                             : "RSERPOOL_FAILOVER_NECESSARY",
            failover->rf_has_cookie != 0 ? "yes" : "no");
        break;
    case RSERPOOL_SHUTDOWN_EVENT:
        (void)fprintf(fd, "RSERPOOL_SHUTDOWN_EVENT for session %d",
                      notification->rn_shutdown_event.rse_session);
        break;
    default:
        (void)fprintf(fd, "notification of type %u", notification->rn_header.rn_type);
        break;
    }
}

COMPAT_PUBLIC const char *rsp_getpolicybytype(unsigned int policy)
{
    return rspcore_getpolicybytype(policy);
}

COMPAT_PUBLIC unsigned int rsp_getpolicybyname(const char *name)
{
    return rspcore_getpolicybyname(name);
}

COMPAT_PUBLIC int rsp_csp_setstatus(int sd, rserpool_session_t session, const char *text)
{
    return rspcore_csp_setstatus(sd, (int)session, text);
}
