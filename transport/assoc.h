/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCTP associations, whatever carries them (transport.md §1). An endpoint is one listening
 * one-to-many SCTP socket on one port; an association is a number. Backends: the kernel's SCTP, or
 * usrsctp over UDP encapsulation (recipe B of transport.md §4.2). A message is sent and received
 * whole, stream 0, ordered.
 *
 * Association numbers: the opener of an association chooses its number (any value with bit 63 or 62
 * set, never used before); accepted associations get small numbers, counted up from 1.
 */
#ifndef RSP_TRANSPORT_ASSOC_H
#define RSP_TRANSPORT_ASSOC_H

#include "common/types.h"
#include "transport/loop.h"

struct tp;          /* the SCTP stack in use, one per process */
struct tp_endpoint; /* one bound, listening SCTP port */

enum tp_backend { TP_AUTO, TP_KERNEL, TP_USRSCTP };

struct tp_config {
    enum tp_backend backend;
    uint16_t udp_port;      /* RFC 6951: local port of usrsctp, and remote port of both; 9899 */
    bool encapsulate;       /* kernel backend: send new associations over UDP */
    struct ip_address bind; /* usrsctp's UDP socket; family 0: any, both families */
    uint32_t rto_initial_ms, rto_min_ms, rto_max_ms;
    uint32_t heartbeat_ms, path_max_retrans, assoc_max_retrans;
    uint32_t max_init_retrans, max_init_timeout_ms;
};
/**
 * The LAN profile: transport.md §2.6 with less patience. A peer is lost after four heartbeats
 * without answer. Each takes the interval and 0.5 to 1.5 RTO, which doubles each time up to its
 * maximum; with 500 ms for both, as there, the loss of an idle peer took 3 s now and then up to
 * 4.2 s. With 300 and 200 ms it takes 2.3 s on average and at most 2.8 s (T-9: 3 s), under traffic
 * 0.7 s. The price: 2.4 instead of 1.6 heartbeats a second and association, and that an outage of
 * 0.7 s under traffic ends the association, whose elements leave the pool until the next one.
 */
void tp_config_default(struct tp_config *ret);

/**
 * @return 0; -EPROTONOSUPPORT when neither the kernel nor the build has SCTP; -EADDRINUSE … when
 *         the UDP port is taken. `error` (may be NULL) gets a sentence.
 */
int tp_new(struct loop *loop, const struct tp_config *config, struct tp **ret, char *error,
           size_t error_size);
/** Aborts what is open; bounded in time. NULL-safe. */
void tp_free(struct tp *tp);
enum tp_backend tp_backend(const struct tp *tp);

enum tp_down { TP_DOWN_LOST, TP_DOWN_SHUTDOWN, TP_DOWN_CANT_START };

/**
 * All run in the loop, never inside a call of the caller's. Addresses and octets are borrowed for
 * the call. A callback may call everything here but tp_free(). A peer that was restarted is told as
 * `down` of the association and `up` of a new, accepted one, also when we had opened the first.
 */
struct tp_callbacks {
    void (*up)(void *ctx, uint64_t assoc, const struct ip_address *peers, size_t count,
               uint16_t port);
    void (*down)(void *ctx, uint64_t assoc, enum tp_down reason);
    void (*message)(void *ctx, uint64_t assoc, uint32_t ppid, const uint8_t *octets, size_t len);
    /** A message could not be delivered, once for each; `down` follows as a rule. May be NULL. */
    void (*send_failed)(void *ctx, uint64_t assoc);
};

/**
 * Binds and listens. `port` 0: ephemeral. Addresses NULL/0: all. -EADDRINUSE when the port is
 * taken.
 */
int tp_open(struct tp *tp, const struct ip_address *addresses, size_t count, uint16_t port,
            const struct tp_callbacks *callbacks, void *ctx, struct tp_endpoint **ret);
/** Aborts its associations without callbacks. NULL-safe. */
void tp_close(struct tp_endpoint *ep);
uint16_t tp_port(const struct tp_endpoint *ep);

/**
 * Starts an association; `up` or `down` follows. At most 32 addresses, of one host: the kernel
 * takes them as one peer, usrsctp tries one after the other. -EINVAL: no address, port 0 or a
 * number without bit 62 or 63; -EEXIST: the number is in use; -EISCONN: this endpoint has or is
 * opening an association with that peer already; others: no address could be tried.
 */
int tp_connect(struct tp_endpoint *ep, uint64_t assoc, const struct ip_address *peers, size_t count,
               uint16_t port);
/**
 * Sends a whole message, or queues it while the association is being opened or the stack is full.
 * -ENOTCONN: no such association; -ENOBUFS: more than 1 MiB would wait for it (64 MiB for all);
 * -EMSGSIZE: empty or longer than 65,536 octets. Never blocks.
 */
int tp_send(struct tp_endpoint *ep, uint64_t assoc, uint32_t ppid, const void *octets, size_t len);
/**
 * Ends an association: orderly (what waits is still sent; ABORT after 5 s), or by ABORT. No
 * callback follows. Unknown numbers are ignored.
 */
void tp_disconnect(struct tp_endpoint *ep, uint64_t assoc, bool abort);

/** How an association that is up runs. */
struct tp_path {
    bool encapsulated; /* over UDP: the peer's one address may be one of several (RFC 6951 §5.2) */
    struct ip_address source; /* where we send from, as the peer knows; family 0: not known */
};
/** -ENOTCONN: no such association, or it has ended meanwhile. May be called from `up`. */
int tp_path(struct tp_endpoint *ep, uint64_t assoc, struct tp_path *ret);

/**
 * Smoothed round trip time of the primary path in milliseconds, 0: not measured yet. It holds no
 * time of waiting for acknowledgements: both ends of ours send them at once (policies:P-38).
 * -ENOTCONN: as tp_path(). Costs a system call.
 */
int tp_srtt_ms(struct tp_endpoint *ep, uint64_t assoc, uint32_t *ret);

/** `associations`: open now; the others count from tp_new() on. */
struct tp_stats {
    uint64_t associations, accepted, refused, failed_sends, messages_in, messages_out, malformed;
};
void tp_get_stats(const struct tp *tp, struct tp_stats *ret);

#endif
