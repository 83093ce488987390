/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Life fds (decisions.md "Life of a local PE"; preload-notes §8.3): a PE lives as long as somebody
 * holds the write end of its named FIFO, RUNTIME_DIR/life/PE-ID (8 hexadecimal digits, mode 0600).
 * The write end is inherited exactly as the listener beside it; nobody writes. The last holder
 * gone: hang-up at the read end. The FIFO outlives the daemon, so after a restart it tells whether
 * the PE still lives.
 *
 * From life_create() to life_delivered() the daemon holds a write end of its own, so that no
 * hang-up can come before a client has its end. A descriptor that was sent with SCM_RIGHTS counts
 * as held while it waits in the client's socket: life_delivered() is right directly after a
 * successful sendmsg(), or when the client has gone before one.
 *
 * Order for a registration: life_create, (registrar's answer), life_give, sendmsg, close of the
 * given descriptor, life_delivered. For another holder of the same PE: life_give, sendmsg, close.
 *
 * Loop thread only.
 */
#ifndef RSP_RSPD_LOCAL_LIFE_H
#define RSP_RSPD_LOCAL_LIFE_H

#include "transport/loop.h"

struct life;

/** The last holder of a PE is gone. The entry is removed before the call, its FIFO unlinked. */
typedef void (*life_gone_fn)(void *ctx, uint32_t pe_id);

/** Makes RUNTIME_DIR/life (mode 0700) when it is missing. `runtime_dir` must exist; it is copied.
 */
int life_new(struct loop *loop, const char *runtime_dir, life_gone_fn gone, void *ctx,
             struct life **ret);
/** Stops watching and closes everything; the FIFOs stay, for the next daemon. NULL-safe. */
void life_free(struct life *life);

/** Makes the FIFO of a PE, watches it and holds it. -EEXIST: there is such a PE already. */
int life_create(struct life *life, uint32_t pe_id);
/**
 * Takes over a FIFO that its holder made itself, from another folder of the same file system, and
 * watches it. Nothing is to be delivered.
 */
int life_take(struct life *life, uint32_t pe_id, int dir_fd, const char *name);
/**
 * Another write end, O_CLOEXEC and non-blocking, to be passed to a client. The caller closes it.
 * Returns the descriptor, -ENOENT for an unknown PE, or -errno.
 */
int life_give(struct life *life, uint32_t pe_id);
/** Drops the daemon's own write end. A PE nobody holds is then reported as gone in the loop. */
void life_delivered(struct life *life, uint32_t pe_id);
/**
 * After a restart: whether a PE of the records still lives. 0: it does, and is watched from now
 * on. -ESTALE: nobody holds it (the FIFO is unlinked); -ENOENT: it has no FIFO; other -errno.
 */
int life_reopen(struct life *life, uint32_t pe_id);
/** Forgets a PE and unlinks its FIFO; `gone` is not called. Unknown PEs are ignored. */
void life_remove(struct life *life, uint32_t pe_id);
/** Unlinks FIFOs no known PE has: leftovers, after life_reopen() of all. Returns how many. */
int life_sweep(struct life *life);

#endif
