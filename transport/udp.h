/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UDP under userland SCTP: the sockets, and a bounded table that gives each remote (address, port)
 * a small number, by which the SCTP stack knows it (transport.md §4.2, 3 and 10). A peer that an
 * association uses is pinned; the others are reused, the longest unused first.
 */
#ifndef RSP_TRANSPORT_UDP_H
#define RSP_TRANSPORT_UDP_H

#include "common/types.h"

#define UDP_PEERS_MAX 4096
#define UDP_BATCH     8
#define UDP_SIZE_MAX  65536

struct udp_name {
    struct ip_address address;
    struct ip_address local; /* ours, which they sent to; family 0: let the kernel choose */
    uint32_t scope_id;       /* IPv6 link-local */
    uint16_t port;
};

struct udp_datagram {
    struct udp_name from;
    uint8_t *octets;
    size_t len;
};

struct udp;

/**
 * Binds one socket per family (the IPv6 one only if the host has IPv6), or one if `bind` has an
 * address. `port` 0: ephemeral.
 */
int udp_new(const struct ip_address *bind, uint16_t port, struct udp **ret);
/** NULL-safe. */
void udp_free(struct udp *udp);
/** The descriptors, at most two, -1: none. */
int udp_fd(const struct udp *udp, unsigned which);
/** Takes in up to UDP_BATCH datagrams, borrowed until the next call; 0: none there. */
int udp_receive(struct udp *udp, int fd, struct udp_datagram ret[UDP_BATCH]);
/** -EAGAIN when the socket's buffer is full; SCTP will send it again. */
int udp_send_to(struct udp *udp, const struct udp_name *to, const void *octets, size_t len);
/**
 * To a peer of the table, from the local address it knows; from one the kernel chooses when the
 * host has that one no longer.
 */
int udp_send(struct udp *udp, uint32_t peer, const void *octets, size_t len);

/** The number (≥ 1) of a known peer, or 0. Marks it as used and notes the local address. */
uint32_t udp_peer_find(struct udp *udp, const struct udp_name *name);
/**
 * The same for an unknown one too; 0 when all are pinned or memory is out. The local address of a
 * peer that is not pinned becomes `name`'s.
 */
uint32_t udp_peer_get(struct udp *udp, const struct udp_name *name, bool *ret_new);
void udp_peer_pin(struct udp *udp, uint32_t peer);
void udp_peer_unpin(struct udp *udp, uint32_t peer);
/** NULL for a number that was never given out. */
const struct udp_name *udp_peer_name(const struct udp *udp, uint32_t peer);

#endif
