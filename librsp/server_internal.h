/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The accepting side: what pe.c (sessions) and pe_register.c (the pool) share. */
#ifndef RSP_LIBRSP_SERVER_INTERNAL_H
#define RSP_LIBRSP_SERVER_INTERNAL_H

#include <sys/epoll.h>

#include "librsp/sd.h"

#define SERVER_LISTENERS 2
#define SERVER_EVENTS    64
#define SERVER_CARD      2 /* other elements that a business card names */

/** One listening socket and its element in a pool. */
struct listener {
    int fd;
    enum transport_protocol protocol;
    int life_fd; /* -1: not registered */
    uint32_t pe_id;
    struct lp_pe card[SERVER_CARD]; /* card.c */
    uint8_t card_count;
    struct tm_us card_until; /* then they are asked for again */
};

struct server {
    struct listener listeners[SERVER_LISTENERS];
    int count;
    bool listening, registered;
    uint16_t workload; /* as wire/csp.h has it */
    /* SOCK_SEQPACKET: its sessions; the id is the place plus one */
    struct peer **peers;
    uint32_t size, used, search;
    struct epoll_event events[SERVER_EVENTS];
    int events_at, events_count;
    struct peer **again; /* those with a chunk read ahead, oldest first */
    uint32_t again_at, again_count, again_size;
};

/** Makes the sockets; `addrs` NULL: all addresses, a free port. 0 or -errno. */
int server_bind(struct sd *sd, const struct sockaddr *addrs, int count);
int server_listen(struct sd *sd, int backlog);
/** Out of the pools; `tell`: and wait for the daemon's word. */
int server_deregister(struct sd *sd, bool wait);
/** The pool of a listener; `out` has room for POOL_HANDLE_MAX octets. Its length, or -errno. */
int server_pool(const struct sd *sd, const struct listener *l, uint8_t *out);

#endif
