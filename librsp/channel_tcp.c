/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Messages over TCP. Reading goes ahead of what was asked for, so that many small messages cost one
 * system call; a large message is read into the caller's buffer directly. The buffer for reading
 * ahead exists only while something is in it: an idle session has none.
 *
 * A caller that waits can do so in the system call that reads (channel_wait()), or near it, as the
 * rhythm of what comes suggests (rhythm.h). For this the socket is a blocking one; everything else
 * says MSG_DONTWAIT.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <time.h>

#include "librsp/channel.h"
#include "librsp/control.h"
#include "librsp/frame.h"
#include "librsp/internal.h"

#define AHEAD_SIZE 32768
#define AHEAD_HEAD 32    /* with large messages: a short chunk or a head */
#define LARGE_MIN  16384 /* messages from this on go to the caller's buffer directly */
#define SMALL_MAX  2048  /* messages up to this are put together before sending */
#define PIECES     16    /* chunks of a long message sent at once */

static int set_int(int fd, int level, int name, int value)
{
    return setsockopt(fd, level, name, &value, sizeof(value)) == 0 ? 0 : -errno;
}

/**
 * A silent host is found by the kernel, also while nobody calls the library: unacknowledged data
 * for detection_ms, or an idle connection's probes, one a second at the closest.
 */
int tcp_tune(int fd, const struct channel_setup *setup)
{
    int interval_s = (int)(setup->detection_ms / 2000);
    interval_s = interval_s > 0 ? interval_s : 1;
    int user_ms = (int)setup->detection_ms;
    user_ms -= user_ms > 800 ? 200 : user_ms / 4; /* the probe that ends it must not come early */
    int r = set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
    r = r == 0 ? set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1) : r;
    r = r == 0 ? set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, interval_s) : r;
    r = r == 0 ? set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, interval_s) : r;
    r = r == 0 ? set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 2) : r;
    return r == 0 ? set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, user_ms) : r;
}

/* --- out ----------------------------------------------------------------------------------------
 */

/** One piece is sent by send(), which costs less. */
static ssize_t send_some(int fd, struct iovec *iov, int count)
{
    const int flags = MSG_NOSIGNAL | MSG_DONTWAIT;
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = (size_t)count};
    return count == 1 ? send(fd, iov->iov_base, iov->iov_len, flags) : sendmsg(fd, &msg, flags);
}

/** Sends what the kernel takes of the pieces, queues the rest. */
static int send_pieces(struct channel *ch, struct iovec *iov, int count)
{
    ssize_t n = 0;
    if (!channel_queued(ch)) {
        do {
            n = send_some(ch->fd, iov, count);
        } while (n < 0 && errno == EINTR);
        if (n < 0 && errno != EAGAIN) {
            return -errno;
        }
    }
    size_t sent = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < count; i++) {
        size_t skip = sent < iov[i].iov_len ? sent : iov[i].iov_len;
        sent -= skip;
        if (skip < iov[i].iov_len) {
            int r =
                channel_queue(ch, (const uint8_t *)iov[i].iov_base + skip, iov[i].iov_len - skip);
            if (r != 0) {
                return -ECONNABORTED; /* half a message is out: the connection is of no use */
            }
        }
    }
    return 0;
}

static int send_small(struct channel *ch, const void *data, size_t len, uint32_t ppid,
                      uint16_t stream, bool unordered)
{
    uint8_t whole[FRAME_DATA_LEN + SMALL_MAX + 3];
    size_t pad = frame_padding(len);
    size_t head = frame_put_data(whole, stream, ch->sequence, ppid, unordered, false, len);
    memcpy(whole + head, data, len);
    memset(whole + head + len, 0, pad);
    struct iovec iov = {.iov_base = whole, .iov_len = head + len + pad};
    return send_pieces(ch, &iov, 1);
}

int tcp_send(struct channel *ch, const void *data, size_t len, uint32_t ppid, uint16_t stream,
             bool unordered)
{
    static uint8_t zeros[4];
    const uint8_t *p = (const uint8_t *)data;
    uint8_t heads[PIECES][FRAME_DATA_LEN];
    struct iovec iov[2 * PIECES + 1];
    int r = 0;
    ch->sequence++;
    if (ppid != CONTROL_PPID) {
        rhythm_sent(&ch->rhythm);
    }
    if (len <= SMALL_MAX) {
        return send_small(ch, data, len, ppid, stream, unordered);
    }
    while (r == 0 && len > 0) {
        int count = 0;
        for (int i = 0; i < PIECES && len > 0; i++) {
            size_t part = len < FRAME_DATA_MAX ? len : FRAME_DATA_MAX;
            size_t head =
                frame_put_data(heads[i], stream, ch->sequence, ppid, unordered, part < len, part);
            iov[count++] = (struct iovec){.iov_base = heads[i], .iov_len = head};
            iov[count++] = (struct iovec){.iov_base = (uint8_t *)(uintptr_t)p, .iov_len = part};
            p += part;
            len -= part;
            if (len == 0) {
                iov[count++] = (struct iovec){.iov_base = zeros, .iov_len = frame_padding(part)};
            }
        }
        r = send_pieces(ch, iov, count);
    }
    return r;
}

/* --- in -----------------------------------------------------------------------------------------
 */

static void consume(struct channel *ch, uint32_t len)
{
    ch->rx_pos += len;
    if (ch->rx_pos == ch->rx_len) {
        ch->rx_pos = 0;
        ch->rx_len = 0;
    }
}

/** Where the next octets are to go: up to `direct` to `to`, what is left behind those ahead. */
static int aim(struct channel *ch, void *to, size_t direct, struct iovec iov[2])
{
    if (ch->rx == NULL && (ch->rx = (uint8_t *)malloc(AHEAD_SIZE)) == NULL) {
        return -ENOMEM;
    }
    if (ch->rx_pos > 0) {
        memmove(ch->rx, ch->rx + ch->rx_pos, ch->rx_len - ch->rx_pos);
        ch->rx_len -= ch->rx_pos;
        ch->rx_pos = 0;
    }
    size_t room = ch->large && ch->rx_len < AHEAD_HEAD ? AHEAD_HEAD : AHEAD_SIZE;
    iov[0] = (struct iovec){.iov_base = to, .iov_len = direct};
    iov[1] = (struct iovec){.iov_base = ch->rx + ch->rx_len, .iov_len = room - ch->rx_len};
    return 0;
}

/** What receiving came to; -EPIPE: the end. One place is filled by recv(), which costs less. */
static ssize_t receive_at(int fd, struct iovec iov[2], int flags)
{
    struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
    ssize_t n = iov[0].iov_len == 0 ? recv(fd, iov[1].iov_base, iov[1].iov_len, flags)
                                    : recvmsg(fd, &msg, flags);
    return n > 0 ? n : n == 0 ? -EPIPE : errno == EPIPE ? -ECONNRESET : -errno;
}

/**
 * Reads: up to `direct` octets to `to`, what is left behind the octets read ahead. Returns how many
 * went to `to`; 0 when `direct` is 0 and something was read; -EAGAIN, -EPIPE (end), -errno.
 */
static ssize_t read_more(struct channel *ch, void *to, size_t direct)
{
    struct iovec iov[2];
    ssize_t n = ch->rx_error;
    ch->rx_error = 0;
    n = n == 0 ? aim(ch, to, direct, iov) : n;
    if (n < 0) {
        return n;
    }
    do {
        n = receive_at(ch->fd, iov, MSG_DONTWAIT);
    } while (n == -EINTR);
    if (n > 0) {
        size_t got = (size_t)n < direct ? (size_t)n : direct;
        ch->rx_len += (uint32_t)((size_t)n - got);
        return (ssize_t)got;
    }
    if (n == -EAGAIN && ch->rx_len == 0) {
        free(ch->rx);
        ch->rx = NULL;
    }
    return n;
}

/** The next chunk's beginning is there and understood; 0, -EAGAIN, -EPROTO, -EMSGSIZE. */
static int begin_chunk(struct channel *ch)
{
    struct frame f;
    if (ch->rx_pos == ch->rx_len) {
        return -EAGAIN; /* there may be no buffer at all */
    }
    int r = frame_read(ch->rx + ch->rx_pos, ch->rx_len - ch->rx_pos, !ch->started, &f);
    if (r != 0) {
        return r;
    }
    ch->started = true;
    consume(ch, f.head_len);
    switch (f.type) {
    case FRAME_DATA:
        if (ch->in_message && (f.ppid != ch->ppid || f.stream != ch->stream)) {
            return -EPROTO;
        }
        ch->in_message = true;
        ch->ppid = f.ppid;
        ch->stream = f.stream;
        ch->more = f.more;
        ch->chunk_left = f.left;
        ch->skip = f.padding;
        ch->large |= f.left >= LARGE_MIN && f.ppid != CONTROL_PPID;
        return channel_progress(ch, f.left);
    case FRAME_ACK:
        ch->acked = f.delivered;
        ch->acks = true;
        return 0;
    case FRAME_HEARTBEAT:
    case FRAME_HEARTBEAT_ACK:
        ch->skip = (uint32_t)f.left + f.padding;
        return 0;
    case FRAME_INIT:
    default:
        return 0;
    }
}

/** Up to `size` octets of the present chunk to `to`; > 0, or as read_more(). */
static ssize_t chunk_octets(struct channel *ch, void *to, size_t size)
{
    size_t want = size < ch->chunk_left ? size : ch->chunk_left;
    size_t ahead = ch->rx_len - ch->rx_pos;
    if (ahead > 0) {
        want = want < ahead ? want : ahead;
        memcpy(to, ch->rx + ch->rx_pos, want);
        consume(ch, (uint32_t)want);
    } else {
        ssize_t n = read_more(ch, to, want);
        if (n <= 0) {
            return n;
        }
        want = (size_t)n;
    }
    ch->chunk_left -= (uint32_t)want;
    return (ssize_t)want;
}

static void end_message(struct channel *ch)
{
    ch->large = ch->message_len >= LARGE_MIN;
    ch->in_message = false;
    ch->message_len = 0;
}

/** Octets of a control message's chunk; 1 when the message is complete, 0, or -errno. */
static int control_octets(struct channel *ch)
{
    uint8_t part[2048];
    ssize_t n = chunk_octets(ch, part, sizeof(part));
    int r = n > 0 ? channel_collect(ch, part, (size_t)n) : (int)n;
    if (r == 0 && ch->chunk_left == 0 && !ch->more) {
        end_message(ch);
        return 1;
    }
    return r;
}

/** Passes over what is there of the padding; true if something was. */
static bool pass_padding(struct channel *ch)
{
    uint32_t ahead = ch->rx_len - ch->rx_pos;
    uint32_t n = ch->skip < ahead ? ch->skip : ahead;
    if (n > 0) {
        consume(ch, n);
        ch->skip -= n;
    }
    return n > 0;
}

/** Between chunks: passes padding over, begins the next chunk. 0 or -errno. */
static int between(struct channel *ch)
{
    if (pass_padding(ch)) {
        return 0;
    }
    int r = ch->skip > 0 ? -EAGAIN : begin_chunk(ch);
    return r == -EAGAIN ? (int)read_more(ch, NULL, 0) : r;
}

/** Octets of data were handed out. */
static void took_data(struct channel *ch, struct channel_in *ret)
{
    ret->ppid = htonl(ch->ppid);
    ret->stream = ch->stream;
    ret->whole = ch->chunk_left == 0 && !ch->more;
    if (ret->whole) {
        end_message(ch);
        ch->delivered++;
        (void)pass_padding(ch);
    }
}

ssize_t tcp_recv(struct channel *ch, void *buffer, size_t size, struct channel_in *ret)
{
    size_t got = 0;
    *ret = (struct channel_in){.kind = CHANNEL_DATA};
    for (;;) {
        ssize_t n;
        if (ch->chunk_left == 0) {
            n = between(ch);
        } else if (ch->ppid == CONTROL_PPID) {
            n = control_octets(ch);
            if (n == 1) {
                ret->kind = CHANNEL_CONTROL;
                ret->control = ch->control;
                ret->control_len = ch->control_len;
                return 0;
            }
        } else {
            n = chunk_octets(ch, (uint8_t *)buffer + got, size - got);
            got += n > 0 ? (size_t)n : 0;
            took_data(ch, ret);
            if (ret->whole || got == size) {
                return (ssize_t)got;
            }
        }
        if (n < 0) {
            if (got > 0 && (n == -EAGAIN || n == -EPIPE)) {
                return (ssize_t)got;
            }
            ret->kind = n == -EPIPE ? CHANNEL_END : ret->kind;
            return n == -EPIPE ? 0 : n;
        }
    }
}

bool tcp_ready(const struct channel *ch)
{
    uint32_t ahead = ch->rx_len - ch->rx_pos;
    struct frame f;
    if (ahead <= ch->skip) {
        return false;
    }
    if (ch->chunk_left > 0) {
        return true;
    }
    int r = frame_read(ch->rx + ch->rx_pos + ch->skip, ahead - ch->skip, !ch->started, &f);
    return r == -EPROTO || (r == 0 && (f.type != FRAME_DATA || ahead - ch->skip > f.head_len));
}

bool tcp_holds_chunk(const struct channel *ch)
{
    uint32_t ahead = ch->rx_len - ch->rx_pos;
    struct frame f;
    if (ch->chunk_left > 0) {
        return ahead >= ch->chunk_left;
    }
    if (ahead <= ch->skip) {
        return false;
    }
    ahead -= ch->skip;
    int r = frame_read(ch->rx + ch->rx_pos + ch->skip, ahead, !ch->started, &f);
    return r == -EPROTO || (r == 0 && ahead >= (uint32_t)f.head_len + f.left);
}

/* --- waiting ------------------------------------------------------------------------------------
 */

bool channel_can_wait(const struct channel *ch)
{
    return ch->protocol == TRANSPORT_TCP && ch->fd >= 0 && ch->rx_len == ch->rx_pos &&
           ch->rx_error == 0 && !channel_queued(ch);
}

int channel_wait_begin(struct channel *ch, void *buffer, size_t size, bool bounded,
                       struct channel_wait *ret)
{
    const struct timeval bound = {.tv_usec = CHANNEL_WAIT_MS * 1000};
    bool data = ch->chunk_left > 0 && ch->ppid != CONTROL_PPID;
    size_t direct = !data ? 0 : size < ch->chunk_left ? size : ch->chunk_left;
    if (bounded && !ch->rx_bounded) {
        if (setsockopt(ch->fd, SOL_SOCKET, SO_RCVTIMEO, &bound, sizeof(bound)) != 0) {
            return -errno;
        }
        ch->rx_bounded = true;
    }
    int r = aim(ch, buffer, direct, ret->iov);
    if (r == 0) {
        ret->fd = ch->fd;
        ret->way = rhythm_next(&ch->rhythm, lp_alone(), ch->large);
        ret->direct = direct;
        ret->ahead = ch->rx;
        ch->rx = NULL;
    }
    return r;
}

/** Looks again and again for a moment. */
static ssize_t look(struct channel_wait *wait, int64_t begin)
{
    ssize_t n;
    do {
        n = receive_at(wait->fd, wait->iov, MSG_DONTWAIT);
    } while (n == -EAGAIN && now_us().us - begin < RHYTHM_LOOK_US);
    return n;
}

/** Takes what is there, or what is there in a moment; a signal ends it as it ends recv(). */
static ssize_t gather(struct channel_wait *wait)
{
    const struct timespec moment = {.tv_nsec = RHYTHM_GATHER_US * 1000};
    ssize_t n = receive_at(wait->fd, wait->iov, MSG_DONTWAIT);
    if (n != -EAGAIN) {
        return n;
    }
    return clock_nanosleep(CLOCK_MONOTONIC, 0, &moment, NULL) == EINTR
               ? -EINTR
               : receive_at(wait->fd, wait->iov, MSG_DONTWAIT);
}

void channel_wait(struct channel_wait *wait)
{
    int64_t begin = now_us().us;
    wait->result = wait->way == RHYTHM_LOOK     ? look(wait, begin)
                   : wait->way == RHYTHM_GATHER ? gather(wait)
                                                : -EAGAIN;
    if (wait->result == -EAGAIN) {
        wait->result = receive_at(wait->fd, wait->iov, 0);
    }
    wait->us = now_us().us - begin;
}

ssize_t channel_wait_end(struct channel *ch, struct channel_wait *wait, struct channel_in *ret)
{
    rhythm_waited(&ch->rhythm, wait->us, wait->result > 0);
    if (wait->result < 0) {
        free(wait->ahead);
        if (wait->result == -EAGAIN || wait->result == -EINTR) {
            return wait->result;
        }
        ch->rx_error = (int)wait->result;
        return 0;
    }
    size_t got = (size_t)wait->result;
    size_t direct = got < wait->direct ? got : wait->direct;
    ch->rx = wait->ahead;
    ch->rx_len = (uint32_t)(got - direct);
    if (direct > 0) {
        *ret = (struct channel_in){.kind = CHANNEL_DATA};
        ch->chunk_left -= (uint32_t)direct;
        took_data(ch, ret);
    }
    return (ssize_t)direct;
}

void channel_wait_drop(struct channel_wait *wait)
{
    free(wait->ahead);
}
