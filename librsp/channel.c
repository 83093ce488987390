/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What both transports of a connection have in common; see channel.h. */
#include "librsp/channel.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "librsp/control.h"
#include "librsp/frame.h"
#include "librsp/sockaddr.h"

#define QUEUE_MIN 4096

void channel_init(struct channel *ch)
{
    *ch = (struct channel){.fd = -1};
}

int channel_tune(int fd, enum transport_protocol protocol, const struct channel_setup *setup)
{
    return protocol == TRANSPORT_SCTP ? sctp_tune(fd, setup) : tcp_tune(fd, setup);
}

/** The first address of the wanted family; NULL: none. */
static const struct ip_address *address_for(const struct lp_pe *pe, int domain)
{
    for (uint8_t i = 0; i < pe->address_count; i++) {
        int family = pe->addresses[i].family == IP_V4 ? AF_INET : AF_INET6;
        if (domain == AF_UNSPEC || family == domain) {
            return &pe->addresses[i];
        }
    }
    return NULL;
}

static void set_limits(struct channel *ch, const struct channel_setup *setup)
{
    ch->message_max = setup->message_max;
    ch->send_buffer = setup->send_buffer;
}

/** The first chunk of each direction; it goes out with what follows, or by the next flush. */
static int greet(struct channel *ch)
{
    uint8_t init[FRAME_INIT_LEN];
    return ch->protocol == TRANSPORT_TCP ? channel_queue(ch, init, frame_put_init(init)) : 0;
}

int channel_connect(struct channel *ch, const struct lp_pe *pe, const struct channel_setup *setup)
{
    const struct ip_address *a = address_for(pe, setup->domain);
    if (a == NULL) {
        return -EAFNOSUPPORT;
    }
    struct sockaddr_storage to;
    socklen_t len = sockaddr_of(a, pe->port, &to);
    bool sctp = pe->protocol == TRANSPORT_SCTP;
    /* An SCTP socket for several families is an IPv6 one; a TCP socket has the address's. */
    int family = to.ss_family;
    for (uint8_t i = 0; sctp && i < pe->address_count; i++) {
        family = pe->addresses[i].family == IP_V6 && setup->domain != AF_INET ? AF_INET6 : family;
    }
    channel_init(ch);
    set_limits(ch, setup);
    ch->protocol = pe->protocol;
    ch->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK,
                    sctp ? IPPROTO_SCTP : IPPROTO_TCP);
    if (ch->fd < 0) {
        return -errno;
    }
    int r = channel_tune(ch->fd, pe->protocol, setup);
    if (r == 0 && sctp) {
        r = sctp_connect_to(ch->fd, pe);
    } else if (r == 0 && connect(ch->fd, (struct sockaddr *)&to, len) != 0) {
        r = errno == EINPROGRESS ? 0 : -errno;
    }
    r = r == 0 ? greet(ch) : r;
    if (r != 0) {
        channel_close(ch, true);
    }
    return r;
}

int channel_connected(struct channel *ch)
{
    struct pollfd p = {.fd = ch->fd, .events = POLLOUT};
    int error = 0;
    socklen_t len = sizeof(error);
    int n = poll(&p, 1, 0);
    if (n <= 0) {
        return n == 0 || errno == EINTR ? 0 : -errno;
    }
    if (getsockopt(ch->fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
        return -errno;
    }
    if (error == 0 && (p.revents & (POLLHUP | POLLERR)) != 0) {
        error = ECONNREFUSED;
    }
    if (error == 0 && ch->protocol == TRANSPORT_TCP && fcntl(ch->fd, F_SETFL, 0) != 0) {
        error = errno; /* channel_wait() is to wait; all others say MSG_DONTWAIT */
    }
    if (error == 0 && ch->protocol == TRANSPORT_SCTP) {
        sctp_bear_lost_paths(ch->fd);
    }
    return error != 0 ? -error : 1;
}

int channel_accepted(struct channel *ch, int take_fd, enum transport_protocol protocol,
                     const struct channel_setup *setup)
{
    channel_init(ch);
    set_limits(ch, setup);
    ch->fd = take_fd;
    ch->protocol = protocol;
    int r = channel_tune(take_fd, protocol, setup);
    r = r == 0 ? greet(ch) : r;
    if (r == 0) {
        r = channel_flush(ch);
    }
    return r == -EAGAIN ? 0 : r;
}

/* --- out ----------------------------------------------------------------------------------------
 */

int channel_queue(struct channel *ch, const void *octets, size_t len)
{
    if (ch->tx_pos > 0 && ch->tx_pos == ch->tx_len) {
        ch->tx_pos = 0;
        ch->tx_len = 0;
    }
    if (ch->tx_len + len > ch->tx_size) {
        size_t left = ch->tx_len - ch->tx_pos;
        size_t size = ch->tx_size > 0 ? ch->tx_size : QUEUE_MIN;
        while (size < left + len) {
            size *= 2;
        }
        uint8_t *more = (uint8_t *)malloc(size);
        if (more == NULL) {
            return -ENOMEM;
        }
        if (left > 0) {
            memcpy(more, ch->tx + ch->tx_pos, left);
        }
        free(ch->tx);
        ch->tx = more;
        ch->tx_size = size;
        ch->tx_pos = 0;
        ch->tx_len = left;
    }
    memcpy(ch->tx + ch->tx_len, octets, len);
    ch->tx_len += len;
    return 0;
}

bool channel_queued(const struct channel *ch)
{
    return ch->tx_len > ch->tx_pos;
}

/* SCTP queues whole messages: a head of this form in front of each. */
struct queued {
    uint32_t len, ppid_n16, ttl_ms;
    uint16_t stream;
    bool unordered;
};

static int sctp_queue(struct channel *ch, const void *data, const struct queued *head)
{
    size_t used = ch->tx_len;
    size_t start = ch->tx_pos;
    int r = channel_queue(ch, head, sizeof(*head));
    if (r == 0 && (r = channel_queue(ch, data, head->len)) != 0 && start == ch->tx_pos) {
        ch->tx_len = used;
    }
    return r;
}

bool channel_has_room(const struct channel *ch)
{
    struct pollfd p = {.fd = ch->fd, .events = POLLOUT};
    return poll(&p, 1, 0) > 0;
}

static int sctp_flush(struct channel *ch)
{
    int r = 0;
    while (r == 0 && channel_queued(ch)) {
        struct queued head;
        memcpy(&head, ch->tx + ch->tx_pos, sizeof(head));
        r = sctp_send_message(ch, ch->tx + ch->tx_pos + sizeof(head), head.len, head.ppid_n16,
                              head.stream, head.ttl_ms, head.unordered);
        if (r == 0) {
            ch->tx_pos += sizeof(head) + head.len;
        }
    }
    return r;
}

static int tcp_flush(struct channel *ch)
{
    while (channel_queued(ch)) {
        ssize_t n =
            send(ch->fd, ch->tx + ch->tx_pos, ch->tx_len - ch->tx_pos, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (n >= 0) {
            ch->tx_pos += (size_t)n;
        } else if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}

int channel_flush(struct channel *ch)
{
    if (!channel_queued(ch)) {
        return 0;
    }
    int r = ch->protocol == TRANSPORT_SCTP ? sctp_flush(ch) : tcp_flush(ch);
    if (r == 0) {
        free(ch->tx);
        ch->tx = NULL;
        ch->tx_pos = 0;
        ch->tx_len = 0;
        ch->tx_size = 0;
    }
    return r;
}

int channel_send(struct channel *ch, const void *data, size_t len, uint32_t ppid_n16,
                 uint16_t stream, uint32_t ttl_ms, bool unordered, bool urgent)
{
    if (len == 0 || len > ch->message_max) {
        return -EMSGSIZE;
    }
    if (channel_queued(ch)) {
        int r = channel_flush(ch);
        if (r != 0 && r != -EAGAIN) {
            return r;
        }
        if (!urgent && ch->tx_len - ch->tx_pos >= ch->send_buffer) {
            return -EAGAIN;
        }
    }
    if (ch->protocol == TRANSPORT_TCP) {
        return tcp_send(ch, data, len, ntohl(ppid_n16), stream, unordered);
    }
    struct queued head = {.len = (uint32_t)len,
                          .ppid_n16 = ppid_n16,
                          .ttl_ms = ttl_ms,
                          .stream = stream,
                          .unordered = unordered};
    if (channel_queued(ch)) {
        return sctp_queue(ch, data, &head);
    }
    int r = sctp_send_message(ch, data, len, ppid_n16, stream, ttl_ms, unordered);
    return r == -EAGAIN && urgent ? sctp_queue(ch, data, &head) : r;
}

int channel_send_delivered(struct channel *ch)
{
    uint8_t octets[FRAME_ACK_LEN > CONTROL_COVERS_LEN ? FRAME_ACK_LEN : CONTROL_COVERS_LEN];
    if (ch->protocol == TRANSPORT_TCP) {
        return channel_queue(ch, octets, frame_put_ack(octets, ch->delivered));
    }
    int len = control_write_covers(ch->delivered, octets, sizeof(octets));
    return channel_send(ch, octets, (size_t)len, htonl(CONTROL_PPID), 0, 0, false, true);
}

/* --- in -----------------------------------------------------------------------------------------
 */

int channel_collect(struct channel *ch, const void *octets, size_t len)
{
    if (ch->control_len + len > CONTROL_MAX) {
        return -EPROTO;
    }
    uint8_t *more = (uint8_t *)realloc(ch->control, ch->control_len + len);
    if (more == NULL) {
        return -ENOMEM;
    }
    ch->control = more;
    memcpy(ch->control + ch->control_len, octets, len);
    ch->control_len += (uint32_t)len;
    return 0;
}

int channel_progress(struct channel *ch, size_t len)
{
    if (len > ch->message_max || ch->message_len > ch->message_max - len) {
        return -EMSGSIZE;
    }
    ch->message_len += (uint32_t)len;
    return 0;
}

ssize_t channel_recv(struct channel *ch, void *buffer, size_t size, struct channel_in *ret)
{
    if (ch->control_len > 0 && !ch->in_message) {
        free(ch->control); /* what the last call gave out */
        ch->control = NULL;
        ch->control_len = 0;
    }
    return ch->protocol == TRANSPORT_SCTP ? sctp_recv_message(ch, buffer, size, ret)
                                          : tcp_recv(ch, buffer, size, ret);
}

ssize_t channel_look(struct channel *ch, struct channel_in *ret)
{
    uint8_t room[2048]; /* for a piece of a control message over SCTP */
    *ret = (struct channel_in){.kind = CHANNEL_DATA};
    if (ch->protocol == TRANSPORT_TCP) {
        return channel_recv(ch, room, 0, ret);
    }
    int r = sctp_next_is_data(ch);
    return r == 0 ? channel_recv(ch, room, sizeof(room), ret) : r > 0 ? 0 : r;
}

bool channel_ready(const struct channel *ch)
{
    return ch->protocol == TRANSPORT_TCP && tcp_ready(ch);
}

bool channel_holds_chunk(const struct channel *ch)
{
    return ch->protocol == TRANSPORT_TCP && tcp_holds_chunk(ch);
}

void channel_rest(struct channel *ch)
{
    if (ch->rx_len == 0) {
        free(ch->rx);
        ch->rx = NULL;
    }
    if (!ch->in_message) {
        free(ch->control);
        ch->control = NULL;
        ch->control_len = 0;
    }
}

void channel_close(struct channel *ch, bool abort)
{
    if (ch->fd >= 0) {
        if (abort) {
            struct linger linger = {.l_onoff = 1, .l_linger = 0};
            (void)setsockopt(ch->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
        }
        (void)close(ch->fd);
    }
    free(ch->rx);
    free(ch->control);
    free(ch->tx);
    channel_init(ch);
}
