/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Questions to the daemon. The process has a few connections to it, made when they are first
 * needed and anew when the daemon has been restarted; a question holds one of them. A child of
 * fork() makes its own. Thread-safe.
 */
#ifndef RSP_LIBRSP_RPC_H
#define RSP_LIBRSP_RPC_H

#include "librsp/lp_client.h"

#define RPC_REQUEST_MAX LP_MESSAGE_MAX
#define RPC_TIMEOUT_MS  3000
#define RPC_RESOLVE_MS  5000
#define RPC_REGISTER_MS 30000

struct rpc_channel;

/** One question and its answer, which borrows from the connection until rpc_end(). */
struct rpc {
    struct rpc_channel *channel;
    struct lp_writer writer;
    struct lp_message reply;
    int fd; /* came with the reply, the caller's to close; -1: none */
};

/** Starts a question: 0, and rpc_end() is due; -ENOTCONN: no daemon, -ENOMEM. */
int rpc_begin(struct rpc *rpc, enum lp_type type);
/** Asks. 0 when an answer of type `want` is there; the RESULT of another one, -ETIMEDOUT … */
int rpc_call(struct rpc *rpc, enum lp_type want, int timeout_ms);
/** Tells, without waiting for an answer. */
int rpc_tell(struct rpc *rpc);
void rpc_end(struct rpc *rpc);

/** A connection for a conversation by other functions; rpc_raw_end() is due after 0. */
struct rpc_raw {
    struct rpc_channel *channel;
    int fd;
    uint32_t request;
    void *room; /* LP_MESSAGE_MAX octets */
};
int rpc_raw_begin(struct rpc_raw *raw);
/** `broken`: the connection is of no use any more. */
void rpc_raw_end(struct rpc_raw *raw, bool broken);

/**
 * A connection of one's own for a question whose answer is waited for elsewhere: connected, HELLO
 * said, replies to come. The descriptor, close-on-exec, or -errno.
 */
int rpc_open(void);

#endif
