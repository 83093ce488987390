/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The sockets of the local PEs as the kernel sees them, sampled by one worker thread (decisions.md
 * "Life of a local PE"). Per PE, by wish:
 *
 *   load    established connections / capacity. A look is taken when the shim's hint word moved,
 *           or once a second while the host's TCP counters move. Told when it changed by a
 *           connection or 1 %, at most every 100 ms per PE.
 *   hang    the accept queue grows and nobody accepts (hang.h): told within 1 s of the growth
 *           of a process that is stopped, else after the time that was set.
 *   alive   an adopted server (without the shim): told when its listening socket is gone. Destroy
 *           events are subscribed to only while there is such a PE.
 *
 * At rest the worker wakes 1.7 times a second, reads two counters and sleeps again; the loop is
 * not woken. PEs in another network namespace are watched when the kernel lets us in (netns.h).
 *
 * All functions from the loop thread; callbacks run in the loop and may call any of them.
 */
#ifndef RSP_RSPD_LOCAL_WATCH_H
#define RSP_RSPD_LOCAL_WATCH_H

#include "common/types.h"
#include "transport/loop.h"

#define WATCH_ADDRESSES_MAX 8
#define WATCH_REASON_MAX    160

struct watch;

struct watch_target {
    uint32_t pe_id;
    enum transport_protocol protocol;
    uint16_t port;
    uint8_t address_count; /* 0: wildcard */
    struct ip_address addresses[WATCH_ADDRESSES_MAX];
    uint32_t capacity;    /* 0: no load */
    bool hang;            /* TCP only; ignored for others */
    bool alive;           /* adopted */
    uint64_t sock_cookie; /* alive: from watch_find(); 0: whatever listens there now */
    uint32_t pid;         /* a process of the PE, for its namespace and state; 0: unknown */
    uint64_t netns;       /* 0: ours */
};

struct watch_events {
    /** The load moved: 0 … LOAD_FULL, saturating. */
    void (*load)(void *ctx, uint32_t pe_id, uint32_t load, uint32_t connections);
    /** Hung (why), or serving again (`reason` NULL). */
    void (*hung)(void *ctx, uint32_t pe_id, bool hung, const char *reason);
    /** The listening socket of an adopted PE is gone; the PE is no longer watched. */
    void (*gone)(void *ctx, uint32_t pe_id);
    /** This PE cannot be watched (another namespace, no sock_diag), and why; once per PE. */
    void (*blind)(void *ctx, uint32_t pe_id, const char *reason);
};

/** Starts the worker. `events` is copied; members may be NULL. */
int watch_new(struct loop *loop, const struct watch_events *events, void *ctx, struct watch **ret);
/** Waits for the worker (a few ms). Outstanding queries are dropped without an answer. NULL-safe.
 */
void watch_free(struct watch *w);

/** The sealed memfd of hint words (wire/hints.h), to be passed to shims; owned by the watch. */
int watch_hint_fd(const struct watch *w);

/** Watches a PE, or changes what is watched (all state starts anew). -ENOMEM, -EINVAL. */
int watch_add(struct watch *w, const struct watch_target *target);
/** A server that runs, but does not accept, is told hung after that; 0: only one that is stopped.
 */
void watch_set_hang_after(struct watch *w, uint32_t hang_after_ms);
void watch_remove(struct watch *w, uint32_t pe_id);
/** Connections of a PE at the last look; false: unknown. */
bool watch_connections(struct watch *w, uint32_t pe_id, uint32_t *ret);

/** A listening socket that was looked for. */
struct watch_listener {
    uint64_t sock_cookie;
    uint32_t uid;
    uint32_t inode;
    uint32_t sockets;      /* how many listen on that port (SO_REUSEPORT, several addresses) */
    uint8_t families;      /* LP_FAMILY_* bits of a wildcard */
    uint8_t address_count; /* 0: wildcard */
    struct ip_address addresses[WATCH_ADDRESSES_MAX];
};
/** `result` 0, -ENOENT: nobody listens there (or not that process), -errno; `l` borrowed. */
typedef void (*watch_find_fn)(void *ctx, int result, const struct watch_listener *l);
/**
 * Looks for the listening TCP/SCTP or bound UDP socket on a port in namespace `netns` (0: ours;
 * reached through `pid`). With `pid` ≠ 0 that process must hold the socket, as far as /proc lets
 * us see it. An IPv6 wildcard counts as dual-stack: the kernel does not tell here. The answer comes
 * through the loop, and `ctx` must live until then. -EBUSY: too many questions are open; -ENOMEM.
 */
int watch_find(struct watch *w, enum transport_protocol protocol, uint16_t port, uint32_t pid,
               uint64_t netns, watch_find_fn fn, void *ctx);

/** `connections`: established (and half closed by the client); `queued`: not accepted yet. */
typedef void (*watch_drain_fn)(void *ctx, uint32_t pe_id, int result, uint32_t connections,
                               uint32_t queued);
/**
 * What a PE has in hand right now; drained when both are 0. -ENOENT: not watched; -EBUSY, -ENOMEM.
 */
int watch_drain_query(struct watch *w, uint32_t pe_id, watch_drain_fn fn, void *ctx);

#endif
