/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What local programs ask for (wire/local.h), one function per request: names and resolutions
 * (requests_pu.c), registrations (requests_pe.c), lists (requests_list.c), state cookies
 * (requests_cookie.c), the rest (requests.c).
 * Answers that take time are kept as pending, bounded per client, and dropped with it. Loop thread.
 */
#ifndef RSP_RSPD_LOCAL_REQUESTS_H
#define RSP_RSPD_LOCAL_REQUESTS_H

#include "rspd/agent/agent.h"
#include "rspd/eventlog.h"
#include "rspd/local/authority.h"
#include "rspd/local/cookies.h"
#include "rspd/local/pes.h"
#include "rspd/local/rules.h"
#include "rspd/local/server.h"
#include "rspd/local/vault.h"
#include "rspd/settings.h"

struct requests;

#define STATUS_NOTES_MAX 11
#define STATUS_NOTE_MAX  240

/** What only the daemon as a whole knows. Strings are static or borrowed for the call. */
struct requests_status {
    const char *role, *backend, *state;
    uint32_t home_id;
    uint64_t uptime_ms;
    size_t note_count;
    const char *notes[STATUS_NOTES_MAX];
};

#define REQUESTS_PEERS_MAX 65

/** What the registrar of this host knows of another one, or says of itself. */
struct requests_peer {
    uint32_t id; /* 0: configured, not heard yet */
    bool self, connected, configured, resync;
    const char *state;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[8];
    uint64_t heard_ms; /* so long ago; UINT64_MAX: never */
    uint32_t elements; /* it owns */
    uint16_t checksum; /* of these */
    bool told;
    uint16_t told_checksum;
};

struct requests_env {
    struct loop *loop;
    struct ag *ag;
    struct outbox *out; /* the agent's */
    struct authority *authority;
    struct rules *rules;
    struct cookies *cookies;
    struct vault *vault; /* of state cookies */
    struct eventlog *log;
    const struct settings *settings; /* read anew at each use */
    uint64_t started_us;             /* loop time */
    /** The registrar's handlespace, else the agent's cache, else NULL. */
    struct hs *(*handlespace)(void *ctx);
    bool (*is_registrar)(void *ctx);
    void (*status)(void *ctx, struct requests_status *ret);
    /** The registrars of the scope as this host's registrar sees them, itself among them. */
    size_t (*peers)(void *ctx, struct requests_peer *ret, size_t max);
    /** Makes the registrar leave: 0, -ENOENT (there is none), -EHOSTUNREACH (nobody would be left).
     */
    int (*leave)(void *ctx);
    /** Carries out what a request has led to, so that the next one finds it done. */
    void (*settle)(void *ctx);
    void *ctx;
};

/** `env` is copied. NULL when memory is out. */
struct requests *requests_new(const struct requests_env *env);
/** Ends the server first. NULL-safe. */
void requests_free(struct requests *rq);
/** For pes_new(); and the pes it made. */
extern const struct pes_events requests_pes_events;
void requests_set_pes(struct requests *rq, struct pes *pes);
/** Opens the socket; as server_new(). */
int requests_listen(struct requests *rq, const char *path, int listen_fd, char *error,
                    size_t error_size);
size_t requests_clients(const struct requests *rq);
/**
 * Registers the servers that began while no daemon was there and left word in RUNTIME_DIR/waiting
 * (waiting.c); makes that folder. Once, after pes_restore(). Returns how many.
 */
size_t requests_take_waiting(struct requests *rq);
/** Settings were read again. */
void requests_reloaded(struct requests *rq);

/** ACTION_RESOLVED. */
void requests_resolved(struct requests *rq, uint64_t request);
/** An event for those who monitor. */
void requests_event(struct requests *rq, const struct event *event);

#endif
