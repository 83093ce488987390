/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * One connection between a user and an element: messages with PPID and stream go out and come in,
 * over TCP with framing (frame.h) or over kernel SCTP. Nothing waits: -EAGAIN, and poll() on `fd`
 * tells when to try again. The caller locks.
 */
#ifndef RSP_LIBRSP_CHANNEL_H
#define RSP_LIBRSP_CHANNEL_H

#include <sys/uio.h>

#include <rsp/session.h>

#include "common/rhythm.h"
#include "common/types.h"
#include "librsp/lp_client.h"

#define CHANNEL_WAIT_MS 20 /* the bound of a wait in the kernel's recv() */

/*
 * How kernel SCTP finds out that a host is silent, in some two seconds: one heartbeat after the
 * other, each after the interval and 0.5 to 1.5 RTO, until one more than SCTP_ASSOC_MAX_RXT in a
 * row had no answer; under traffic in half the time. With 500 ms for RTO's maximum and for the
 * interval it takes 3.2 s now and then, when the host vanishes while its answer is awaited.
 */
#define SCTP_RTO_INITIAL_MS 200
#define SCTP_RTO_MIN_MS     100
#define SCTP_RTO_MAX_MS     200
#define SCTP_HEARTBEAT_MS   250
#define SCTP_PATH_MAX_RXT   2
#define SCTP_ASSOC_MAX_RXT  3

/** How a connection is made and watched. */
struct channel_setup {
    int domain; /* AF_INET, AF_INET6; 0: either */
    uint32_t detection_ms;
    uint32_t message_max;
    uint32_t send_buffer;
    struct rserpool_session_parameters sctp; /* 0: the defaults here */
};

struct channel {
    int fd; /* -1: none */
    enum transport_protocol protocol;
    uint32_t message_max, send_buffer;
    /* in */
    uint8_t *rx;     /* TCP: octets read ahead; NULL while there are none */
    int rx_error;    /* TCP: what ended a wait in channel_wait(), until channel_recv() tells it */
    bool rx_bounded; /* TCP: such waits have a bound */
    struct rhythm rhythm; /* TCP: how the next of them is done */
    uint32_t rx_pos, rx_len;
    uint32_t chunk_left;  /* TCP: user data of the present chunk still to come */
    uint32_t skip;        /* TCP: padding or the like still to come */
    uint32_t message_len; /* so much of the present message has been read */
    uint32_t ppid;        /* of the present message, host order */
    uint16_t stream;
    bool in_message, more, started, large;
    uint8_t *control; /* the control message being read */
    uint32_t control_len;
    uint32_t delivered; /* data messages handed out whole */
    uint32_t acked;     /* so many of ours have been delivered, says the other end ... */
    bool acks;          /* ... if it says so: rsplib's elements over SCTP do not */
    /* out */
    uint8_t *tx;
    size_t tx_pos, tx_len, tx_size;
    uint16_t sequence;
};

/** What came in. */
struct channel_in {
    enum { CHANNEL_DATA, CHANNEL_CONTROL, CHANNEL_END } kind;
    uint32_t ppid; /* network order */
    uint16_t stream;
    bool whole;             /* DATA: the message ends here */
    const uint8_t *control; /* CONTROL: a whole message, until the next call */
    size_t control_len;
};

/** An object that holds no connection yet. */
void channel_init(struct channel *ch);
/** Begins to connect to an element. 0 or -errno; channel_connected() tells the outcome. */
int channel_connect(struct channel *ch, const struct lp_pe *pe, const struct channel_setup *setup);
/** 1: it stands; 0: not yet; or -errno. */
int channel_connected(struct channel *ch);
/** Takes over an accepted socket and greets; 0 or -errno, the socket is the channel's anyway. */
int channel_accepted(struct channel *ch, int take_fd, enum transport_protocol protocol,
                     const struct channel_setup *setup);
/** The setup of a socket that is not connected yet: what must be said before. 0 or -errno. */
int channel_tune(int fd, enum transport_protocol protocol, const struct channel_setup *setup);

/**
 * Sends a message; it is taken whole (0) or not at all: -EAGAIN, -EMSGSIZE, or the connection's
 * -errno. `urgent`: the library's own, queued beyond the bound.
 */
int channel_send(struct channel *ch, const void *data, size_t len, uint32_t ppid_n16,
                 uint16_t stream, uint32_t ttl_ms, bool unordered, bool urgent);
/** Before a cookie: how much of the other end's it covers. */
int channel_send_delivered(struct channel *ch);
/** Sends what was queued: 0 all of it, -EAGAIN, or the connection's -errno. */
int channel_flush(struct channel *ch);
bool channel_queued(const struct channel *ch);

/**
 * Reads the next piece: octets of data in `buffer` (> 0), or 0 and `ret->kind` CONTROL or END;
 * -EAGAIN; -EPROTO, -EMSGSIZE: the other end does not keep to the rules; or the connection's
 * -errno.
 */
ssize_t channel_recv(struct channel *ch, void *buffer, size_t size, struct channel_in *ret);
/**
 * As channel_recv(), but data stay where they are: 0 with CHANNEL_DATA says that some are there.
 */
ssize_t channel_look(struct channel *ch, struct channel_in *ret);

/** The kernel takes something now. */
bool channel_has_room(const struct channel *ch);

/** Something was read ahead that channel_recv() can give without asking the kernel. */
bool channel_ready(const struct channel *ch);
/**
 * A chunk was read ahead to its end. Where many sessions share a socket only this gives one of them
 * another turn at once: were part of a chunk enough, the rest would be read with what comes behind
 * it, and who sends all the time would be the only one that is heard.
 */
bool channel_holds_chunk(const struct channel *ch);

/** The kernel can wait for what comes next: nothing was read ahead, nothing is queued. TCP only. */
bool channel_can_wait(const struct channel *ch);

/** Such a wait. Meanwhile nobody else may read from the channel. */
struct channel_wait {
    int fd;
    enum rhythm_way way;
    int64_t us; /* it took so long */
    uint8_t *ahead;
    struct iovec iov[2]; /* what the caller asked for, and what comes behind it */
    size_t direct;
    ssize_t result;
};

/**
 * Takes what the wait needs out of the channel; `buffer`: as for channel_recv(). `bounded`: it is
 * to end after CHANNEL_WAIT_MS, as may any later one. 0 or -errno.
 */
int channel_wait_begin(struct channel *ch, void *buffer, size_t size, bool bounded,
                       struct channel_wait *ret);
/** Until something comes, shutdown() of the socket, a signal, or the bound; needs no lock. */
void channel_wait(struct channel_wait *wait);
/**
 * Gives what has come to the channel. > 0: octets of data in the buffer, as channel_recv(); 0: ask
 * that; -EAGAIN: nothing has come; -EINTR.
 */
ssize_t channel_wait_end(struct channel *ch, struct channel_wait *wait, struct channel_in *ret);
/** The connection has gone meanwhile: so does what came. */
void channel_wait_drop(struct channel_wait *wait);

/** Gives back what an idle connection does not need. */
void channel_rest(struct channel *ch);

/** Closes; `abort`: at once, the other end gets an error. */
void channel_close(struct channel *ch, bool abort);

/* --- by transport; channel_tcp.c and channel_sctp.c ------------------------------------------- */

int tcp_tune(int fd, const struct channel_setup *setup);
ssize_t tcp_recv(struct channel *ch, void *buffer, size_t size, struct channel_in *ret);
int tcp_send(struct channel *ch, const void *data, size_t len, uint32_t ppid, uint16_t stream,
             bool unordered);
/** Whether a piece of data or a control message can be made of what was read ahead. */
bool tcp_ready(const struct channel *ch);
bool tcp_holds_chunk(const struct channel *ch);

/** Whether the kernel has SCTP. */
bool sctp_available(void);
int sctp_tune(int fd, const struct channel_setup *setup);
/** A new association over several paths outlives the loss of all but one of them. */
void sctp_bear_lost_paths(int fd);
/** The values in force on a connection, as far as they can be read. */
void sctp_parameters(int fd, struct rserpool_session_parameters *ret);
int sctp_connect_to(int fd, const struct lp_pe *pe);
/** Further addresses of a socket that is bound to the first of them (packed). */
int sctp_bind_more(int fd, const struct sockaddr *addrs, int count);
/** What comes next: 1: user data; 0: something else; -errno. */
int sctp_next_is_data(struct channel *ch);
ssize_t sctp_recv_message(struct channel *ch, void *buffer, size_t size, struct channel_in *ret);
int sctp_send_message(struct channel *ch, const void *data, size_t len, uint32_t ppid_n16,
                      uint16_t stream, uint32_t ttl_ms, bool unordered);

/** Collects a piece of a control message; 0 or -EPROTO (too long), -ENOMEM. For transports. */
int channel_collect(struct channel *ch, const void *octets, size_t len);
/** A message goes on or begins: its length and kind are checked; 0, -EPROTO, -EMSGSIZE. */
int channel_progress(struct channel *ch, size_t len);
/** Queues octets; 0 or -ENOMEM. */
int channel_queue(struct channel *ch, const void *octets, size_t len);

#endif
