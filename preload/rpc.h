/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The conversation with the daemon: one connection per process, a second one only while the first
 * is in use by another thread that waits long. Each has a static arena and a mutex; a call is
 *
 *     pre_enter(); pre_rpc_begin(); lp_put_…(pre_rpc_writer()); pre_rpc_call(); read the reply;
 *     pre_rpc_end(); pre_leave();
 *
 * Before use the descriptor's identity is checked (the program may have closed it and reused the
 * number), a fork's child connects anew, and with the daemon away attempts are at least 100 ms
 * apart for callers in a hurry. Nothing here blocks longer than the given bound (L-46, L-51, L-56).
 */
#ifndef RSP_PRELOAD_RPC_H
#define RSP_PRELOAD_RPC_H

#include <stdbool.h>
#include <stdint.h>

#include "librsp/lp_client.h"

struct pre_rpc {
    struct channel *channel;
    struct lp_writer writer;
    int64_t deadline_ms;
};

/**
 * Takes a connection and begins a request. Must be followed by pre_rpc_end() if it returns 0.
 * Returns -ENOTCONN when the daemon is away (or the shim may not speak to it), -ETIMEDOUT when
 * other threads hold all connections for that long.
 */
int pre_rpc_begin(struct pre_rpc *rpc, enum lp_type type, int timeout_ms);
/** Sends and waits; the reply borrows the arena until pre_rpc_end(). Errors as lp_call. */
int pre_rpc_call(struct pre_rpc *rpc, struct lp_message *reply, int *ret_fd);
/** Sends a request that wants no reply (id 0), if the daemon takes it at once. */
int pre_rpc_send(struct pre_rpc *rpc);
void pre_rpc_end(struct pre_rpc *rpc);

/**
 * Makes sure HELLO was exchanged once; 0, or -errno when the daemon is away. `port`: of the
 * listener whose rule is asked for (the daemon logs when there is none), else 0.
 */
int pre_rpc_hello(uint16_t port, int timeout_ms);
/** Whether a caller in a hurry should not even try (a recent attempt failed). */
bool pre_rpc_backing_off(void);
/** Whether `fd` is one of our connections (close() and dup2() ask that). */
bool pre_rpc_owns(int fd);
/** pid of this process as of start or the last fork() seen; a vfork child differs from it. */
int pre_home_pid(void);

/** Called once by the constructor. */
void pre_rpc_start(void);

#endif
