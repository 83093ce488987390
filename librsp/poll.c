/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * poll() and select() in which session sockets and other descriptors may be mixed. A session is
 * looked into first, so that its own work (an answer, a step of a failover) is done and not shown.
 */
#include <stdlib.h>
#include <string.h>

#include "librsp/sd.h"
#include "librsp/server_internal.h"
#include "librsp/status.h"

#define SLICE_MS 50 /* while somebody waits to send without a server */

/** One session socket: its events now, and whether it can be waited for by its descriptor. */
static short look(struct sd *sd, short events)
{
    short found = 0;
    struct pollfd p = {.fd = sd->fd, .events = POLLIN};
    int error = 0;
    struct channel *ch = NULL;
    if (sd->kind == SD_USER) {
        user_work(sd);
    }
    sd->shared |= sd->receiving; /* what comes now is for the thread that waits in recv() */
    bool news = !sd->receiving && poll(&p, 1, 0) > 0;
    if (sd->kind == SD_USER) {
        news = news && user_has_news(sd);
        ch = user_channel(sd, &error);
    } else if (sd->kind == SD_PEER) {
        news = news && peer_has_news(sd);
        ch = sd->peer->ch.fd >= 0 ? &sd->peer->ch : NULL;
        error = ch == NULL ? -EPIPE : 0;
    }
    if (news) {
        found = (short)(found | (events & (POLLIN | POLLRDNORM)));
    }
    if ((events & POLLOUT) != 0) {
        struct pollfd out = {.fd = ch != NULL ? ch->fd : -1, .events = POLLOUT};
        if ((ch != NULL && poll(&out, 1, 0) > 0) || (ch == NULL && error != -EAGAIN)) {
            found |= POLLOUT; /* or a send that will say what is wrong */
        }
    }
    return found;
}

/** What the system is to wait for in place of a session socket; two entries each. */
static void substitute(struct sd *sd, short events, struct pollfd *in, struct pollfd *out)
{
    int error = 0;
    struct channel *ch = sd->kind == SD_USER   ? user_channel(sd, &error)
                         : sd->kind == SD_PEER ? &sd->peer->ch
                                               : NULL;
    *in = (struct pollfd){.fd = sd->fd, .events = POLLIN};
    *out = (struct pollfd){.fd = -1};
    if ((events & POLLOUT) != 0 && ch != NULL) {
        *out = (struct pollfd){.fd = ch->fd, .events = POLLOUT};
        if ((events & POLLIN) == 0) {
            in->fd = -1;
        }
    }
}

/** A round without waiting; how many have events. `wait` gets what to wait for. */
static int round_of(struct pollfd *fds, unsigned n, struct pollfd *wait, bool *ret_slices)
{
    int count = 0;
    *ret_slices = false;
    for (unsigned i = 0; i < n; i++) {
        struct sd *sd = fds[i].fd >= 0 ? sd_get(fds[i].fd) : NULL;
        fds[i].revents = 0;
        wait[2 * (size_t)i + 1] = (struct pollfd){.fd = -1};
        if (sd == NULL) {
            wait[2 * (size_t)i] = (struct pollfd){.fd = fds[i].fd, .events = fds[i].events};
            continue;
        }
        fds[i].revents = look(sd, fds[i].events);
        substitute(sd, fds[i].events, &wait[2 * (size_t)i], &wait[2 * (size_t)i + 1]);
        *ret_slices |= (fds[i].events & POLLOUT) != 0;
        count += fds[i].revents != 0;
        sd_put(sd);
    }
    return count;
}

/** The system's answers for descriptors that are not ours. */
static int others(struct pollfd *fds, unsigned n, const struct pollfd *wait)
{
    int count = 0;
    for (unsigned i = 0; i < n; i++) {
        bool ours = wait[2 * (size_t)i].fd != fds[i].fd || wait[2 * (size_t)i + 1].fd >= 0;
        struct sd *sd = !ours && fds[i].fd >= 0 ? sd_get(fds[i].fd) : NULL;
        if (sd != NULL) {
            sd_put(sd);
        } else if (!ours) {
            fds[i].revents = wait[2 * (size_t)i].revents;
            count += fds[i].revents != 0;
        }
    }
    return count;
}

RSP_PUBLIC int rsp_poll(struct pollfd *fds, unsigned int nfds, int timeout)
{
    struct tm_us deadline = deadline_of(timeout);
    if (fds == NULL && nfds > 0) {
        return rsp_ret(-EFAULT);
    }
    struct pollfd *wait = (struct pollfd *)calloc(2 * (size_t)nfds + 1, sizeof(*wait));
    if (wait == NULL) {
        return rsp_ret(-ENOMEM);
    }
    int r;
    for (;;) {
        bool slices;
        status_tick();
        int ours = round_of(fds, nfds, wait, &slices);
        r = poll(wait, 2 * (nfds_t)nfds,
                 ours > 0 ? 0 : time_left_ms(deadline, slices ? SLICE_MS : status_patience_ms()));
        if (r < 0) {
            r = -errno;
            break;
        }
        r = ours + others(fds, nfds, wait);
        if (r > 0 || tm_due(deadline, now_us())) {
            break;
        }
    }
    free(wait);
    return rsp_ret(r);
}

static short wanted(int fd, const fd_set *readfds, const fd_set *writefds, const fd_set *exceptfds)
{
    return (short)((readfds != NULL && FD_ISSET(fd, readfds) ? POLLIN : 0) |
                   (writefds != NULL && FD_ISSET(fd, writefds) ? POLLOUT : 0) |
                   (exceptfds != NULL && FD_ISSET(fd, exceptfds) ? POLLPRI : 0));
}

static int give_set(const struct pollfd *fds, unsigned count, short events, fd_set *set)
{
    int bits = 0;
    if (set != NULL) {
        FD_ZERO(set);
        for (unsigned i = 0; i < count; i++) {
            if ((fds[i].events & events & (POLLIN | POLLOUT | POLLPRI)) != 0 &&
                (fds[i].revents & events) != 0) {
                FD_SET(fds[i].fd, set);
                bits++;
            }
        }
    }
    return bits;
}

RSP_PUBLIC int rsp_select(int n, fd_set *readfds, fd_set *writefds, fd_set *exceptfds,
                          struct timeval *timeout)
{
    struct pollfd fds[FD_SETSIZE];
    unsigned count = 0;
    int64_t ms = -1;
    if (n < 0 || n > FD_SETSIZE ||
        (timeout != NULL && (timeout->tv_sec < 0 || timeout->tv_usec < 0))) {
        return rsp_ret(-EINVAL);
    }
    if (timeout != NULL) {
        ms = (int64_t)timeout->tv_sec * 1000 + (timeout->tv_usec + 999) / 1000;
        ms = ms < INT32_MAX ? ms : INT32_MAX;
    }
    for (int fd = 0; fd < n; fd++) {
        short events = wanted(fd, readfds, writefds, exceptfds);
        if (events != 0) {
            fds[count++] = (struct pollfd){.fd = fd, .events = events};
        }
    }
    int r = rsp_poll(fds, count, (int)ms);
    if (r < 0) {
        return r;
    }
    for (unsigned i = 0; i < count; i++) {
        if ((fds[i].revents & POLLNVAL) != 0) {
            return rsp_ret(-EBADF);
        }
    }
    return give_set(fds, count, POLLIN | POLLHUP | POLLERR, readfds) +
           give_set(fds, count, POLLOUT | POLLERR, writefds) +
           give_set(fds, count, POLLPRI, exceptfds);
}
