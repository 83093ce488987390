/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Sockets as the kernel sees them (sock_diag through libnl; transport.md §7.3, decisions.md "Life
 * of a local PE"): listeners with their accept queues, established connections per local port, and
 * destroy events. All dumps are of the calling thread's network namespace.
 */
#ifndef RSP_TRANSPORT_SOCKDIAG_H
#define RSP_TRANSPORT_SOCKDIAG_H

#include "common/types.h"
#include "transport/loop.h"

struct diag_socket {
    enum transport_protocol protocol; /* TCP, UDP or SCTP */
    struct ip_address local;
    uint16_t local_port;
    struct ip_address peer;
    uint16_t peer_port;
    uint8_t state; /* TCP_ESTABLISHED = 1, TCP_CLOSE = 7, TCP_LISTEN = 10 */
    uint32_t uid;
    uint32_t inode;   /* 0: an established connection nobody has accepted yet */
    uint64_t cookie;  /* SO_COOKIE */
    uint32_t queued;  /* listener: length of the accept queue */
    uint32_t backlog; /* listener: the queue is full when it is longer than this */
};
/** Return false to stop the dump. */
typedef bool (*diag_fn)(void *ctx, const struct diag_socket *s);

/** Dumps listening TCP (or bound UDP, listening SCTP) sockets, both families. Blocks < 1 ms. */
int diag_listeners(enum transport_protocol protocol, diag_fn fn, void *ctx);
/** Dumps TCP or SCTP connections in state ESTABLISHED (CLOSE_WAIT too when `closing`). */
int diag_connections(enum transport_protocol protocol, bool closing, diag_fn fn, void *ctx);

/**
 * Destroy events of listening TCP and bound UDP sockets, filtered in the kernel (cBPF) as far as it
 * can. Costs every connection on the machine; keep it open only while an adopted server exists.
 * `lost` runs when events were lost (ENOBUFS): dump the listeners again.
 */
struct diag_watch;
int diag_watch_new(struct loop *loop, diag_fn destroyed, void (*lost)(void *ctx), void *ctx,
                   struct diag_watch **ret);
void diag_watch_free(struct diag_watch *w);

#endif
