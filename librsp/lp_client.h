/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * librsp/ - the client side of the local protocol, and on top of it (issue D) the rsp_* API.
 *
 * lp_client.c is shared by librsp, rspctl and the shim, so it may do little: no allocation, no
 * stdio, no locale, no threads; every descriptor close-on-exec; every wait bounded; the raw calls
 * it needs come through struct lp_calls, so that the shim can pass the originals. Not thread-safe
 * per connection.
 */
#ifndef RSP_LIBRSP_LP_CLIENT_H
#define RSP_LIBRSP_LP_CLIENT_H

#include <sys/socket.h>
#include <sys/types.h>

#include "common/rhythm.h"
#include "wire/local.h"

/** The system calls the client makes on its socket. */
struct lp_calls {
    int (*socket)(int domain, int type, int protocol);
    int (*connect)(int fd, const struct sockaddr *addr, socklen_t len);
    ssize_t (*sendto)(int fd, const void *buf, size_t n, int flags, const struct sockaddr *addr,
                      socklen_t len);
    ssize_t (*recvfrom)(int fd, void *buf, size_t n, int flags, struct sockaddr *addr,
                        socklen_t *len);
    ssize_t (*recvmsg)(int fd, struct msghdr *msg, int flags);
    int (*close)(int fd);
};
extern const struct lp_calls lp_calls_libc;

#define LP_PATH_MAX 108

/**
 * Where the daemon listens: $RSP_SOCKET, else $XDG_RUNTIME_DIR/rspd/rspd.sock if it exists, else
 * /run/rspd/rspd.sock. The variables are passed in (NULL: unset).
 */
void lp_socket_path(const char *rsp_socket, const char *xdg_runtime_dir, char path[LP_PATH_MAX]);

/** Connects; returns the descriptor or -errno (-ENOENT, -ECONNREFUSED: no daemon). */
int lp_connect(const struct lp_calls *calls, const char *path);

/**
 * Sets on a connected socket the bounds that lp_call() and lp_receive() rely upon; lp_connect() has
 * done it, sockets of other origin need it. 0 or -errno.
 */
int lp_bound(int fd);

/**
 * Sends a finished request and waits for its reply; replies to other requests and EVENTs met on the
 * way are dropped.
 * @param rhythm     how the waits on this connection have gone, zeroed at first; NULL: it sleeps at
 *                   once
 * @param reply      room for LP_MESSAGE_MAX octets; `ret` borrows from it
 * @param ret_fd     if not NULL: a descriptor that came with the reply, or -1
 * @param timeout_ms total bound
 * @return 0, -ETIMEDOUT, -EPIPE (daemon gone: close and connect anew), -EBADMSG, other -errno.
 *         The result inside the reply is not looked at; see lp_result().
 */
int lp_call(const struct lp_calls *calls, int fd, struct rhythm *rhythm,
            const struct lp_writer *request, void *reply, size_t reply_size, struct lp_message *ret,
            int *ret_fd, int timeout_ms);
/** There is one processor for this process: nothing comes while one looks (common/rhythm.h). */
bool lp_alone(void);
/** Sends without waiting for anything; 0 or -errno (-EAGAIN: the daemon is busy). */
int lp_send(const struct lp_calls *calls, int fd, const struct lp_writer *request);
/** Receives the next message (a further part of a LIST, an EVENT); as lp_call. */
int lp_receive(const struct lp_calls *calls, int fd, void *reply, size_t reply_size,
               struct lp_message *ret, int *ret_fd, int timeout_ms);

/** RESULT of a reply: 0 when it has none; -errno otherwise. */
int lp_result(const struct lp_message *msg);

/** One resolved element, in a form that fits a connect. */
struct lp_pe {
    uint32_t pe_id;
    enum transport_protocol protocol;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[8];
};
/** Reads a PE TLV; false when it lacks id, port or address. */
bool lp_read_pe(const struct lp_each *it, struct lp_pe *ret);

#endif
