/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The Unix socket of the daemon (SOCK_SEQPACKET, mode 0666) and its connections: who is there, what
 * comes, what waits to go. What messages mean is requests.h.
 *
 * No client can block or grow the daemon: reads are bounded per round, what a client does not read
 * waits in a queue of at most SERVER_QUEUE_MAX octets (more: disconnected), connections are counted
 * per uid, descriptors that come unasked are closed, malformed messages are answered and soon end
 * the connection. Loop thread only, but for `answer`: a connection that has been lent is read by a
 * resolver thread (resolver.h) until there is something on it that the loop thread must do.
 */
#ifndef RSP_RSPD_LOCAL_SERVER_H
#define RSP_RSPD_LOCAL_SERVER_H

#include "transport/loop.h"
#include "wire/local.h"

#define SERVER_QUEUE_MAX     (1u << 20)
#define SERVER_MALFORMED_MAX 8
#define SERVER_GROUPS_MAX    32

struct server;
struct server_client;

/** Who stands at the other end: SO_PEERCRED and SO_PEERGROUPS when the connection was made. */
struct server_peer {
    uint32_t pid, uid, gid;
    uint32_t group_count;
    uint32_t groups[SERVER_GROUPS_MAX];
};

struct server_handlers {
    /** On a resolver thread: the length of the reply, 0: `message` shall have it. May be NULL. */
    size_t (*answer)(void *ctx, const struct server_peer *peer, const struct lp_message *msg,
                     uint8_t *out, size_t size);
    /** A well-formed message. `client` may be closed by it. */
    void (*message)(void *ctx, struct server_client *client, const struct lp_message *msg);
    /** The connection is gone; `client` is freed after the call. */
    void (*gone)(void *ctx, struct server_client *client);
    /** All that was queued has gone out. */
    void (*drained)(void *ctx, struct server_client *client);
    /** A client was turned away or thrown out, and why; for the event log. */
    void (*rejected)(void *ctx, const struct server_peer *peer, const char *why);
};

struct server_settings {
    const char *path;             /* where to listen, unless `listen_fd` */
    int listen_fd;                /* passed by the service manager; -1: none. Taken over. */
    uint32_t connections_per_uid; /* root's are not limited */
    unsigned resolvers;           /* threads; 0: none, nothing is ever lent */
};

/**
 * Listens. -EADDRINUSE: another daemon answers there; every error is explained in `error`.
 */
int server_new(struct loop *loop, const struct server_settings *settings,
               const struct server_handlers *handlers, void *ctx, struct server **ret, char *error,
               size_t error_size);
/** Closes all connections (without `gone`) and the socket, and unlinks it if it made it. */
void server_free(struct server *server);
void server_set_connections_per_uid(struct server *server, uint32_t limit);
size_t server_clients(const struct server *server);

const struct server_peer *server_peer(const struct server_client *client);
/** What the handlers keep with a connection. */
void server_set_user(struct server_client *client, void *user);
void *server_user(const struct server_client *client);

/**
 * Sends a built message (it is finished here), with a descriptor (-1: none), which stays the
 * caller's. Never blocks: what does not fit is queued. 0; -EMSGSIZE: it was too long; -EPIPE: the
 * client is gone or was thrown out for not reading; it is freed in the loop, after `gone`.
 */
int server_send(struct server_client *client, struct lp_writer *w, int fd);
/** From its next message on a resolver thread reads it, unless something waits to go out. */
void server_lend(struct server_client *client);
/** Octets waiting to go out. */
size_t server_queued(const struct server_client *client);
/** Ends a connection after what is queued; `gone` follows in the loop. */
void server_close(struct server_client *client);

#endif
