/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whole messages. The parts of a long one must be of one connection: where the server changes in
 * the middle, what has come of the message is dropped, and where a socket has many sessions, the
 * others wait meanwhile.
 */
#include <string.h>

#include "librsp/sd.h"

/** What a descriptor's messages come over. */
struct source {
    bool many;           /* a SOCK_SEQPACKET server */
    unsigned connection; /* of a user: counts them */
};

static struct source source_of(int fd)
{
    struct source source = {.many = false};
    struct sd *sd = sd_get(fd);
    if (sd != NULL) {
        source.many = sd->kind == SD_SERVER;
        source.connection = sd->kind == SD_USER ? user_connections(sd) : 0;
        sd_put(sd);
    }
    return source;
}

/** The next part of a message of one of many sessions; > 0, -ECONNRESET: there will be none. */
static ssize_t next_part(struct sd *sd, rserpool_session_t session, void *buffer, size_t size,
                         int *ret_flags, struct tm_us deadline)
{
    for (;;) {
        struct peer *peer = server_peer(sd, session);
        struct channel_in in;
        if (peer == NULL) {
            return -ECONNRESET;
        }
        ssize_t n = channel_recv(&peer->ch, buffer, size, &in);
        if (n > 0) {
            *ret_flags = in.whole ? MSG_EOR : 0;
            if (channel_holds_chunk(&peer->ch)) {
                server_again(sd, peer);
            }
            return n;
        }
        if (n == 0 && in.kind == CHANNEL_CONTROL) {
            n = peer_control(sd, peer, &in);
        } else if (n == 0) {
            notice_shutdown(sd, session);
            n = -EPIPE;
        }
        if (n == -EAGAIN) {
            struct pollfd p = {.fd = peer->ch.fd, .events = POLLIN};
            n = sd_wait_fds(sd, &p, 1, deadline);
            if (n != 0) {
                return n;
            }
        } else if (n < 0) {
            server_drop(sd, peer, n != -EPIPE);
            return -ECONNRESET;
        }
    }
}

static ssize_t part_of_session(int fd, rserpool_session_t session, void *buffer, size_t size,
                               int *ret_flags, struct tm_us deadline)
{
    ssize_t n = -EBADF;
    struct sd *sd = sd_get(fd);
    *ret_flags = 0;
    if (sd != NULL) {
        n = sd->kind == SD_SERVER ? next_part(sd, session, buffer, size, ret_flags, deadline) : n;
        sd_put(sd);
    }
    errno = n < 0 ? (int)-n : errno;
    return n < 0 ? -1 : n;
}

/** Whether what has come now does not belong to what came before. */
static bool is_another(int fd, const struct source *before, int flags)
{
    return (flags & MSG_RSERPOOL_NOTIFICATION) != 0 ||
           source_of(fd).connection != before->connection;
}

RSP_PUBLIC ssize_t rsp_recvfullmsg(int fd, void *buffer, size_t size, struct rsp_sndrcvinfo *info,
                                   int *msg_flags, int timeout)
{
    struct tm_us deadline = deadline_of(timeout);
    struct rsp_sndrcvinfo from = {.rinfo_session = 0};
    struct source source = {.many = false};
    uint8_t *out = (uint8_t *)buffer;
    int in = msg_flags != NULL ? *msg_flags : 0;
    int flags;
    size_t got = 0;
    ssize_t n;
    for (;;) {
        flags = in;
        n = got > 0 && source.many
                ? part_of_session(fd, from.rinfo_session, out + got, size - got, &flags, deadline)
                : rsp_recvmsg(fd, out + got, size - got, &from, &flags, time_left_ms(deadline, -1));
        if (n < 0 && got > 0 && (errno == EMSGSIZE || (source.many && errno == ECONNRESET))) {
            got = 0; /* cut off; a notification may want more room than was left */
            continue;
        }
        if (n <= 0) {
            break;
        }
        if (got > 0 && is_another(fd, &source, flags)) {
            memmove(out, out + got, (size_t)n);
            got = 0;
        }
        got += (size_t)n;
        if ((flags & MSG_EOR) != 0 || got == size) {
            break;
        }
        source = source_of(fd);
    }
    if (msg_flags != NULL) {
        *msg_flags = flags;
    }
    if (info != NULL) {
        *info = from;
    }
    bool later = n < 0 && got > 0 && (errno == EAGAIN || errno == EINTR);
    return n > 0 || later ? (ssize_t)got : n;
}
