/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Probes: does a local PE serve? "tcp" connects, "http:/PATH" does a GET (HTTP/1.0) and wants 2xx
 * or 3xx; "exec" is run by the client side, which sends PROBE_DONE: here is only its book-keeping.
 * One failure withholds the PE (so a PE that stops answering is withheld within two intervals: the
 * time limit of a probe is 4/5 of the interval), one success brings it back. Also the single TCP
 * try towards a quarantined PE (ACTION_TRY_PE).
 *
 * A SIGSTOPped server still completes TCP handshakes out of its backlog: "tcp" finds closed and
 * over-full ports; the accept queue (watch.h) finds the rest.
 *
 * Non-blocking, in the loop; bounded by one connection per PE and PROBE_ANSWER_MAX octets each.
 */
#ifndef RSP_RSPD_LOCAL_PROBE_H
#define RSP_RSPD_LOCAL_PROBE_H

#include "common/types.h"
#include "transport/loop.h"

#define PROBE_INTERVAL_DEFAULT_MS 1000
#define PROBE_INTERVAL_MIN_MS     50
#define PROBE_PATH_MAX            240
#define PROBE_ANSWER_MAX          512
#define PROBE_REASON_MAX          160
#define PROBE_TRIES_MAX           256 /* single tries under way */

enum probe_kind { PROBE_NONE, PROBE_TCP, PROBE_HTTP, PROBE_EXEC };

struct probe_spec {
    enum probe_kind kind;
    uint32_t interval_ms;
    char path[PROBE_PATH_MAX]; /* HTTP */
};
/**
 * Parses "", "tcp", "http:/PATH", "exec" ("exec:…" too); `interval_ms` 0: the default. -EINVAL
 * with one sentence in `error` for anything else, and for octets in PATH that cannot stand there.
 */
int probe_spec_parse(const char *text, uint32_t interval_ms, struct probe_spec *ret, char *error,
                     size_t error_size);

/** Where a PE is probed. */
struct probe_target {
    uint32_t pe_id;
    struct ip_address address; /* loopback for a wildcard listener */
    uint16_t port;
    uint32_t pid;   /* a process in the PE's network namespace */
    uint64_t netns; /* 0: ours */
};

struct probes;

/** The state of a PE changed: `ok` false: withhold, and why; true: it is back. */
typedef void (*probe_fn)(void *ctx, uint32_t pe_id, bool ok, const char *reason);
/** Outcome of probe_try(). */
typedef void (*probe_try_fn)(void *ctx, uint32_t pe_id, bool reachable);

int probes_new(struct loop *loop, probe_fn changed, probe_try_fn tried, void *ctx,
               struct probes **ret);
/** Stops everything; no callback. NULL-safe. */
void probes_free(struct probes *p);

/**
 * Probes a PE from now on, first at once; a PE counts as good until a probe failed. A second call
 * for the same PE replaces spec and target. -ENOTSUP: PROBE_NONE; -ENOMEM.
 */
int probe_add(struct probes *p, const struct probe_target *target, const struct probe_spec *spec);
void probe_remove(struct probes *p, uint32_t pe_id);
/** PROBE_DONE of an exec probe. -ENOENT: the PE has none. */
int probe_done(struct probes *p, uint32_t pe_id, bool ok, const char *text);

/**
 * One TCP connect to any of `count` addresses, `timeout_ms` for all together; then `tried`, once,
 * never from within this call. -ENOBUFS: PROBE_TRIES_MAX are under way; -EINVAL.
 */
int probe_try(struct probes *p, uint32_t pe_id, const struct ip_address *addresses, size_t count,
              uint16_t port, uint32_t timeout_ms);

#endif
