/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages in and out of sessions. */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "librsp/control.h"
#include "librsp/sd.h"
#include "librsp/status.h"

#define CLOSE_FLUSH_MS 2000

/* Where a receive call puts what it finds. */
struct into {
    void *buffer;
    size_t size;
    struct rsp_sndrcvinfo *info;
    int *flags;
    bool data_only; /* rsp_recv(): the rest is passed over */
};

static void describe(const struct into *into, rserpool_session_t session, uint32_t pe_id,
                     uint32_t ppid, uint16_t stream, int flags)
{
    if (into->info != NULL) {
        *into->info = (struct rsp_sndrcvinfo){.rinfo_session = session,
                                              .rinfo_ppid = ppid,
                                              .rinfo_pe_id = pe_id,
                                              .rinfo_stream = stream};
    }
    *into->flags |= flags;
}

/** The oldest notification; its length, or 0: there is none. */
static ssize_t give_notice(struct sd *sd, const struct into *into)
{
    union rserpool_notification n;
    if (!into->data_only && sd->notices != NULL && into->size < sizeof(n)) {
        return -EMSGSIZE;
    }
    while (notice_take(sd, &n)) {
        if (!into->data_only) {
            memcpy(into->buffer, &n, sizeof(n));
            describe(into, 0, 0, 0, 0, MSG_RSERPOOL_NOTIFICATION | MSG_EOR);
            return sizeof(n);
        }
    }
    return 0;
}

/** The state that an echo has brought; its length, or 0. What does not fit follows. */
static ssize_t give_echo(struct peer *peer, const struct into *into)
{
    if (peer->echo == NULL) {
        return 0;
    }
    size_t len = peer->echo_len;
    if (!into->data_only) {
        size_t part = len < into->size ? len : into->size;
        memcpy(into->buffer, peer->echo, part);
        describe(into, peer->id, 0, htonl(CONTROL_PPID), 0,
                 MSG_RSERPOOL_COOKIE_ECHO | (part == len ? MSG_EOR : 0));
        if (part < len) {
            memmove(peer->echo, peer->echo + part, len - part);
            peer->echo_len = (uint32_t)(len - part);
            return (ssize_t)part;
        }
    }
    free(peer->echo);
    peer->echo = NULL;
    peer->echo_len = 0;
    return into->data_only ? 0 : (ssize_t)len;
}

/* --- a user's -----------------------------------------------------------------------------------
 */

/** Octets of a message have been received. */
static ssize_t user_data(struct sd *sd, const struct into *into, const struct channel_in *in,
                         ssize_t n)
{
    user_heard(sd);
    describe(into, 0, user_pe_id(sd), in->ppid, in->stream, in->whole ? MSG_EOR : 0);
    return n;
}

static ssize_t user_once(struct sd *sd, const struct into *into)
{
    struct channel_in in;
    for (;;) {
        int error = 0;
        user_work(sd);
        ssize_t n = give_notice(sd, into);
        if (n != 0) {
            return n;
        }
        if ((error = user_told(sd)) != 0) {
            return error;
        }
        struct channel *ch = user_channel(sd, &error);
        if (ch == NULL) {
            return error == -EPIPE ? 0 : error;
        }
        n = channel_recv(ch, into->buffer, into->size, &in);
        if (n > 0) {
            return user_data(sd, into, &in, n);
        }
        if (n == 0 && in.kind == CHANNEL_CONTROL) {
            n = user_control(sd, &in);
        } else if (n == 0) {
            user_lost(sd, 0);
            continue;
        }
        if (n == -EAGAIN) {
            return n;
        }
        if (n < 0) {
            user_lost(sd, (int)n);
        }
    }
}

/** One try; > 0, 0: the end, -EAGAIN: wait, -errno. */
static ssize_t user_try(struct sd *sd, const struct into *into)
{
    ssize_t n = user_once(sd, into);
    user_ready(sd);
    return n;
}

/* --- an element's -------------------------------------------------------------------------------
 */

static ssize_t peer_data(struct peer *peer, const struct into *into, const struct channel_in *in,
                         ssize_t n)
{
    peer->heard = true;
    describe(into, peer->id, 0, in->ppid, in->stream, in->whole ? MSG_EOR : 0);
    return n;
}

/** One try on one session. */
static ssize_t peer_try(struct sd *sd, struct peer *peer, const struct into *into)
{
    struct channel_in in;
    for (;;) {
        ssize_t n = give_echo(peer, into);
        if (n != 0) {
            return n;
        }
        if (peer->error != 0) {
            n = peer->error;
            peer->error = 0;
            return n;
        }
        if (peer->ended) {
            return 0;
        }
        n = channel_recv(&peer->ch, into->buffer, into->size, &in);
        if (n > 0) {
            return peer_data(peer, into, &in, n);
        }
        if (n == 0 && in.kind == CHANNEL_END) {
            peer->ended = true;
            return 0;
        }
        if (n == 0) {
            n = peer_control(sd, peer, &in);
        }
        if (n < 0) {
            return n;
        }
        if (sd->notices != NULL && !into->data_only) {
            return give_notice(sd, into); /* a refused cookie comes before the messages */
        }
    }
}

static ssize_t accepted_try(struct sd *sd, const struct into *into)
{
    struct peer *peer = sd->peer;
    ssize_t n = give_notice(sd, into);
    peer_flush(sd, peer);
    n = n != 0 ? n : peer_try(sd, peer, into);
    if (n < 0 && n != -EAGAIN && !peer->ended) {
        peer->ended = true; /* said once as an error, then as the end */
        sd_drop_channel(sd, &peer->ch, true);
    }
    peer_ready(sd);
    return n;
}

/** One try on a server with many sessions: whichever has something. */
static ssize_t server_try(struct sd *sd, const struct into *into)
{
    for (;;) {
        ssize_t n = give_notice(sd, into);
        if (n != 0) {
            return n;
        }
        struct peer *peer = server_next(sd);
        if (peer == NULL) {
            if (sd->notices != NULL) {
                continue;
            }
            sd_ready(sd, false);
            return -EAGAIN;
        }
        n = peer_try(sd, peer, into);
        if (n > 0) {
            if (peer->echo != NULL || channel_holds_chunk(&peer->ch)) {
                server_again(sd, peer);
            } else {
                channel_rest(&peer->ch);
            }
            return n;
        }
        if (n != -EAGAIN) {
            if (n == 0) {
                notice_shutdown(sd, peer->id);
            }
            server_drop(sd, peer, n < 0);
        }
    }
}

/* --- receiving ----------------------------------------------------------------------------------
 */

static ssize_t receive_once(struct sd *sd, const struct into *into)
{
    switch (sd->kind) {
    case SD_USER:
        return user_try(sd, into);
    case SD_PEER:
        return accepted_try(sd, into);
    case SD_SERVER:
        return sd->type == SOCK_SEQPACKET ? server_try(sd, into) : -EINVAL;
    case SD_NEW:
        return -ENOTCONN;
    case SD_REQUEST:
    default:
        return -EBADF;
    }
}

/** How long a call may wait; looked at only when it has to. */
struct patience {
    bool by_descriptor; /* rsp_recv(), rsp_send(): O_NONBLOCK and the flags decide */
    int flags, timeout;
};

static struct tm_us until(const struct sd *sd, const struct patience *p)
{
    return deadline_of(p->by_descriptor ? sd_default_timeout(sd, p->flags) : p->timeout);
}

/** A long wait is in poll(), where other threads can end it. */
static bool lasts(struct tm_us deadline)
{
    return tm_is_never(deadline) || time_left_ms(deadline, -1) > 2 * CHANNEL_WAIT_MS;
}

/** The connection in whose recvmsg() a call may wait, before it looks at anything else. */
static struct channel *quiet_channel(struct sd *sd)
{
    int error = 0;
    struct channel *ch = sd->kind == SD_USER                       ? user_channel(sd, &error)
                         : sd->kind == SD_PEER && !sd->peer->ended ? &sd->peer->ch
                                                                   : NULL;
    return ch != NULL && sd_may_receive(sd, ch) ? ch : NULL;
}

/** Waits once: > 0: and has received; 0: there may be something; or as sd_wait(). */
static ssize_t wait_for_more(struct sd *sd, const struct into *into, struct tm_us deadline,
                             bool *in_kernel)
{
    struct channel_in in;
    if (sd->receiving) {
        return tm_due(deadline, now_us()) ? -EAGAIN : sd_await_receiver(sd);
    }
    struct channel *ch = *in_kernel && lasts(deadline) ? quiet_channel(sd) : NULL;
    if (ch == NULL) {
        return sd_wait(sd, deadline);
    }
    ssize_t n = sd_receive(sd, ch, into->buffer, into->size, tm_is_never(deadline), &in);
    if (n == -EAGAIN) {
        *in_kernel = false;
        return 0;
    }
    if (n > 0 && sd->kind == SD_USER) {
        return user_data(sd, into, &in, n);
    }
    if (n > 0) {
        peer_ready(sd);
        return peer_data(sd->peer, into, &in, n);
    }
    return n;
}

static ssize_t receive(struct sd *sd, const struct into *into, const struct patience *patience)
{
    struct tm_us deadline = {-1};
    bool in_kernel = true;
    bool wait = sd->receiving || quiet_channel(sd) != NULL;
    if (wait) {
        deadline = until(sd, patience);
        wait = sd->receiving || lasts(deadline);
    }
    for (;;) {
        ssize_t n = wait ? wait_for_more(sd, into, deadline, &in_kernel) : 0;
        if (n != 0) {
            return n;
        }
        n = sd->receiving ? -EAGAIN : receive_once(sd, into);
        if (n != -EAGAIN) {
            return n;
        }
        wait = true;
        deadline = deadline.us < 0 ? until(sd, patience) : deadline;
    }
}

static ssize_t ret_size(ssize_t n)
{
    if (n < 0) {
        errno = (int)-n;
        return -1;
    }
    return n;
}

RSP_PUBLIC ssize_t
rsp_recvmsg(int fd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
            /* NOLINTNEXTLINE(readability-non-const-parameter): written through `into` */
            int *msg_flags, int timeout)
{
    int none = 0;
    struct into into = {buffer, size, info, msg_flags != NULL ? msg_flags : &none, false};
    if (buffer == NULL || size == 0) {
        return ret_size(-EINVAL);
    }
    status_tick();
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return ret_size(-EBADF);
    }
    struct patience patience = {.timeout = (*into.flags & MSG_DONTWAIT) == 0 ? timeout : 0};
    *into.flags = 0;
    ssize_t n = receive(sd, &into, &patience);
    sd_put(sd);
    return ret_size(n);
}

/** A message with all its parts, as far as they fit and the call may wait for them. */
static ssize_t receive_whole(struct sd *sd, const struct into *into,
                             const struct patience *patience)
{
    uint8_t *out = (uint8_t *)into->buffer;
    size_t got = 0;
    ssize_t n;
    do {
        unsigned connection = sd->kind == SD_USER ? user_connections(sd) : 0;
        struct into rest = *into;
        rest.buffer = out + got;
        rest.size = into->size - got;
        *into->flags = 0;
        n = receive(sd, &rest, patience);
        if (n > 0 && got > 0 && sd->kind == SD_USER && user_connections(sd) != connection) {
            memmove(out, out + got, (size_t)n); /* from another server: a message from its start */
            got = 0;
        }
        got += n > 0 ? (size_t)n : 0;
    } while (n > 0 && (*into->flags & MSG_EOR) == 0 && got < into->size &&
             sd_default_timeout(sd, patience->flags) != 0);
    return n < 0 && got == 0 ? n : (ssize_t)got;
}

RSP_PUBLIC ssize_t rsp_recv(int fd, void *buffer, size_t size, int flags)
{
    int out = 0;
    struct into into = {buffer, size, NULL, &out, true};
    if (buffer == NULL || size == 0) {
        return ret_size(-EINVAL);
    }
    status_tick();
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return ret_size(-EBADF);
    }
    ssize_t n = receive_whole(sd, &into, &(struct patience){.by_descriptor = true, .flags = flags});
    sd_put(sd);
    return ret_size(n);
}

RSP_PUBLIC ssize_t rsp_read(int fd, void *buffer, size_t size)
{
    return rsp_recv(fd, buffer, size, 0);
}

/* --- sending ------------------------------------------------------------------------------------
 */

struct out {
    const void *data;
    size_t size;
    uint32_t ppid;
    uint16_t stream;
    uint32_t ttl;
    bool unordered;
    bool waits; /* until what was sent before has gone, rather than be queued behind it */
};

static int user_send(struct sd *sd, const struct out *out)
{
    for (;;) {
        int error = 0;
        user_work(sd);
        if ((error = user_told(sd)) != 0) {
            return error;
        }
        struct channel *ch = user_channel(sd, &error);
        if (ch == NULL) {
            return error;
        }
        if (out->waits && channel_queued(ch)) {
            return -EAGAIN; /* user_work() has tried */
        }
        int r = channel_send(ch, out->data, out->size, out->ppid, out->stream, out->ttl,
                             out->unordered, false);
        if (r == 0) {
            user_sent(sd, out->data, out->size, out->ppid, out->stream);
            return 0;
        }
        if (r == -EAGAIN || r == -EMSGSIZE || r == -ENOMEM || r == -EINVAL) {
            return r;
        }
        user_lost(sd, r);
    }
}

/** The session of an element's socket that a call means; NULL and -errno. */
static struct peer *peer_of(struct sd *sd, rserpool_session_t session, int *ret_error)
{
    struct peer *peer = sd->kind == SD_PEER ? sd->peer
                        : sd->kind == SD_SERVER && sd->type == SOCK_SEQPACKET
                            ? server_peer(sd, session)
                            : NULL;
    *ret_error = sd->kind == SD_NEW || (sd->kind == SD_SERVER && sd->type == SOCK_STREAM)
                     ? -ENOTCONN
                 : peer == NULL ? -EBADF
                                : 0;
    if (peer != NULL && peer->ch.fd < 0) {
        *ret_error = -EPIPE;
        peer = NULL;
    }
    return peer;
}

static int peer_send(struct peer *peer, const struct out *out)
{
    int r = out->waits ? channel_flush(&peer->ch) : 0;
    r = r != 0 ? r
               : channel_send(&peer->ch, out->data, out->size, out->ppid, out->stream, out->ttl,
                              out->unordered, false);
    return r == -ECONNRESET ? -EPIPE : r;
}

/** Whether the session has something that the kernel has not taken yet. */
static bool send_queued(struct sd *sd, const struct peer *peer)
{
    int error = 0;
    const struct channel *ch = sd->kind == SD_USER ? user_channel(sd, &error)
                               : peer != NULL      ? &peer->ch
                                                   : NULL;
    return ch != NULL && channel_queued(ch);
}

static int wait_to_send(struct sd *sd, struct peer *peer, struct tm_us deadline)
{
    if (sd->kind == SD_USER) {
        user_want_out(sd, tm_due(deadline, now_us()));
        return user_wait(sd, deadline);
    }
    if (peer == NULL) {
        return -EBADF;
    }
    /* A caller that does not wait is told by the descriptor, one that does by the socket. */
    peer_want_out(sd, peer, tm_due(deadline, now_us()));
    struct pollfd p = {.fd = peer->ch.fd, .events = POLLOUT};
    return sd_wait_fds(sd, &p, 1, deadline);
}

static void after_send(struct sd *sd, struct peer *peer)
{
    if (peer != NULL && channel_queued(&peer->ch)) {
        peer_want_out(sd, peer, true);
    } else if (sd->kind == SD_USER) {
        int error = 0;
        struct channel *ch = user_channel(sd, &error);
        user_want_out(sd, ch != NULL && channel_queued(ch));
    }
}

/** Unread octets would make the kernel break the connection instead of closing it. */
static void drain(const struct channel *ch)
{
    uint8_t rest[4096];
    for (int i = 0; ch->fd >= 0 && i < 256; i++) {
        if (recv(ch->fd, rest, sizeof(rest), MSG_DONTWAIT) <= 0) {
            return;
        }
    }
}

/** What a session has still to send gets a short while. */
static void linger(struct channel *ch)
{
    struct tm_us deadline = tm_add_ms(now_us(), CLOSE_FLUSH_MS);
    while (ch->fd >= 0 && channel_flush(ch) == -EAGAIN && !tm_due(deadline, now_us())) {
        struct pollfd p = {.fd = ch->fd, .events = POLLOUT};
        if (poll(&p, 1, time_left_ms(deadline, -1)) <= 0 || (p.revents & POLLERR) != 0) {
            return;
        }
    }
    drain(ch);
}

/** A user's connection ends in order. */
static void part(struct sd *sd)
{
    int error = 0;
    struct channel *ch = user_channel(sd, &error);
    if (ch != NULL) {
        linger(ch);
        sd_drop_channel(sd, ch, false);
    }
}

/** RSP_SEND_EOF, RSP_SEND_ABORT. */
static int end_session(struct sd *sd, rserpool_session_t session, bool abort)
{
    int error = 0;
    if (sd->kind == SD_USER) {
        if (!abort) {
            part(sd);
        }
        user_end(sd);
        return 0;
    }
    struct peer *peer = peer_of(sd, session, &error);
    if (peer == NULL) {
        return error;
    }
    if (sd->kind == SD_SERVER) {
        server_drop(sd, peer, abort);
        return 0;
    }
    uint8_t end[16];
    if (!abort) {
        int len = control_write_end(end, sizeof(end));
        (void)channel_send(&peer->ch, end, (size_t)len, htonl(CONTROL_PPID), 0, 0, false, true);
        (void)channel_flush(&peer->ch);
    }
    peer->ended = true;
    sd_drop_channel(sd, &peer->ch, abort);
    sd_ready(sd, true);
    return 0;
}

static ssize_t send_until(struct sd *sd, rserpool_session_t session, struct out *out,
                          const struct patience *patience)
{
    struct tm_us deadline = {-1};
    for (;;) {
        int error = 0;
        struct peer *peer = sd->kind != SD_USER ? peer_of(sd, session, &error) : NULL;
        sd->shared |= sd->receiving; /* what is queued is sent by who waits, and not in recv() */
        if (deadline.us < 0 && send_queued(sd, peer)) {
            deadline = until(sd, patience);
            out->waits = !tm_due(deadline, now_us());
        }
        int r = sd->kind == SD_USER ? user_send(sd, out)
                : peer != NULL      ? peer_send(peer, out)
                                    : error;
        if (r == 0) {
            after_send(sd, peer);
            return (ssize_t)out->size;
        }
        if (r == -EAGAIN) {
            deadline = deadline.us < 0 ? until(sd, patience) : deadline;
            r = wait_to_send(sd, peer, deadline);
        }
        if (r != 0) {
            return r;
        }
    }
}

RSP_PUBLIC ssize_t rsp_sendmsg(int fd, const void *data, size_t size, unsigned int msg_flags,
                               rserpool_session_t session, uint32_t ppid, uint16_t stream,
                               uint32_t ttl, uint16_t sctp_flags, int timeout)
{
    struct out out = {.data = data,
                      .size = size,
                      .ppid = ppid,
                      .stream = stream,
                      .ttl = ttl,
                      .unordered = (sctp_flags & RSP_SEND_UNORDERED) != 0};
    bool ends = (sctp_flags & (RSP_SEND_EOF | RSP_SEND_ABORT)) != 0;
    if ((data == NULL || size == 0) != ends || ppid == htonl(CONTROL_PPID)) {
        return ret_size(-EINVAL);
    }
    status_tick();
    struct sd *sd = sd_get(fd);
    if (sd == NULL || sd->kind == SD_REQUEST) {
        if (sd != NULL) {
            sd_put(sd);
        }
        return ret_size(-EBADF);
    }
    struct patience patience = {.timeout = (msg_flags & MSG_DONTWAIT) != 0 ? 0 : timeout};
    ssize_t n = ends ? end_session(sd, session, (sctp_flags & RSP_SEND_ABORT) != 0)
                     : send_until(sd, session, &out, &patience);
    sd_put(sd);
    return ret_size(n);
}

RSP_PUBLIC ssize_t rsp_send(int fd, const void *data, size_t size, int flags)
{
    struct out out = {.data = data, .size = size};
    status_tick();
    struct sd *sd = data != NULL && size > 0 ? sd_get(fd) : NULL;
    if (sd == NULL || sd->kind == SD_REQUEST) {
        if (sd != NULL) {
            sd_put(sd);
        }
        return ret_size(data == NULL || size == 0 ? -EINVAL : -EBADF);
    }
    struct patience patience = {.by_descriptor = true, .flags = flags};
    ssize_t n = send_until(sd, 0, &out, &patience);
    sd_put(sd);
    return ret_size(n);
}

RSP_PUBLIC ssize_t rsp_write(int fd, const char *data, size_t size)
{
    return rsp_send(fd, data, size, 0);
}

/* --- cookies ------------------------------------------------------------------------------------
 */

static int send_cookie(struct peer *peer, const uint8_t *message, size_t len)
{
    if (channel_queued(&peer->ch) && channel_flush(&peer->ch) == -EAGAIN &&
        peer->ch.tx_len - peer->ch.tx_pos >= peer->ch.send_buffer) {
        return -EAGAIN;
    }
    int r = channel_send_delivered(&peer->ch);
    if (r == 0) {
        r = channel_send(&peer->ch, message, len, htonl(CONTROL_PPID), 0, 0, false, true);
    }
    return r == -ECONNRESET ? -EPIPE : r;
}

/** Seals, and makes the message of it; *ret is malloc'd. Its length or -errno. */
static int cookie_message(const struct sd *sd, const void *state, size_t size, uint8_t **ret)
{
    uint8_t *sealed = NULL;
    size_t len = 0;
    int r = session_seal(sd, state, size, &sealed, &len);
    uint8_t *message = r == 0 ? (uint8_t *)malloc(len + 16) : NULL;
    if (r == 0) {
        r = message != NULL ? control_write_cookie(false, sealed, len, message, len + 16) : -ENOMEM;
    }
    free(sealed);
    if (r < 0) {
        free(message);
        message = NULL;
    }
    *ret = message;
    return r;
}

RSP_PUBLIC ssize_t rsp_send_cookie(int fd, const unsigned char *cookie, size_t size,
                                   rserpool_session_t session, int timeout)
{
    struct tm_us deadline = deadline_of(timeout);
    uint8_t *message = NULL;
    if (cookie == NULL || size == 0 || size > 60000) {
        return ret_size(size > 60000 ? -EMSGSIZE : -EINVAL);
    }
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return ret_size(-EBADF);
    }
    int r = sd->kind == SD_PEER || sd->kind == SD_SERVER ? 0 : -EINVAL;
    r = r == 0 ? cookie_message(sd, cookie, size, &message) : r;
    int len = r;
    while (r > 0) {
        int error = 0;
        struct peer *peer = peer_of(sd, session, &error);
        error = peer != NULL ? send_cookie(peer, message, (size_t)len) : error;
        if (error == 0) {
            after_send(sd, peer);
            break;
        }
        if (error == -EAGAIN) {
            error = wait_to_send(sd, peer, deadline);
        }
        r = error != 0 ? error : r;
    }
    free(message);
    sd_put(sd);
    return ret_size(r > 0 ? (ssize_t)size : r);
}

/* --- closing ------------------------------------------------------------------------------------
 */

static void close_user(struct sd *sd, bool tell)
{
    if (tell) {
        part(sd);
    }
    user_free(sd);
}

static int close_as(int fd, bool tell)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL || sd->kind == SD_REQUEST) {
        if (sd != NULL) {
            sd_put(sd);
        }
        return rsp_ret(-EBADF);
    }
    switch (sd->kind) {
    case SD_USER:
        close_user(sd, tell);
        break;
    case SD_PEER:
        if (tell && !sd->peer->ended) {
            uint8_t end[16];
            int len = control_write_end(end, sizeof(end));
            (void)channel_send(&sd->peer->ch, end, (size_t)len, htonl(CONTROL_PPID), 0, 0, false,
                               true);
            linger(&sd->peer->ch);
            sd->peer->ended = true;
        }
        if (sd->peer->ch.fd >= 0) {
            sd_drop_channel(sd, &sd->peer->ch, !tell);
        }
        peer_free(sd->peer, false, !tell);
        sd->peer = NULL;
        break;
    case SD_SERVER:
        server_free(sd, tell);
        break;
    case SD_NEW:
    case SD_REQUEST:
        break;
    }
    bool element = sd->kind == SD_SERVER;
    sd_close(sd);
    sd_put(sd);
    if (element) {
        status_now();
    }
    return 0;
}

RSP_PUBLIC int rsp_close(int fd)
{
    return close_as(fd, true);
}

RSP_PUBLIC int rsp_abandon(int fd)
{
    return close_as(fd, false);
}
