/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pool elements of this host: ties each one's life fd, record, watch, probe and owner to its
 * registration by the agent. A PE is here from its registration until its last holder is gone, its
 * owner deregisters it, or (adopted) its listening socket closes; draining and withholding do not
 * remove it. Loop thread only.
 */
#ifndef RSP_RSPD_LOCAL_PES_H
#define RSP_RSPD_LOCAL_PES_H

#include "rspd/agent/agent.h"
#include "rspd/local/authority.h"
#include "rspd/local/records.h"
#include "rspd/local/watch.h"
#include "transport/loop.h"

#define PES_PER_UID_MAX 4096 /* of a uid other than root */
#define PES_REASON_MAX  160

struct pes;

enum pe_outcome {
    PE_PENDING,  /* no answer yet */
    PE_ACCEPTED, /* by a registrar */
    PE_WAITING,  /* kept, but no registrar has answered */
    PE_REFUSED
};

/** One PE; read-only outside. */
struct pe {
    struct pe *id_next, *port_next;
    struct record r;
    enum pe_outcome outcome;
    int result; /* of the outcome: 0 or -errno */
    uint16_t cause;
    char text[PES_REASON_MAX];
    bool left; /* withheld, and out of the scope */
    bool hung, probe_failed;
    char hang_reason[PES_REASON_MAX], probe_reason[PES_REASON_MAX];
    bool own_load; /* its program states its load itself */
    uint32_t load; /* its own; the scope may know a higher one (ramp.h) */
};

/** What becomes of a PE; all may be NULL. Called in the loop. */
struct pes_events {
    /** Accepted, refused, or no registrar there: see outcome, result, cause and text. */
    void (*outcome)(void *ctx, const struct pe *pe);
    /** A withheld or drained PE is out of the scope. */
    void (*left)(void *ctx, const struct pe *pe);
    /** It is no more; the struct is freed after the call. */
    void (*gone)(void *ctx, const struct pe *pe);
};

struct pes_env {
    struct loop *loop;
    struct ag *ag;
    struct outbox *out; /* the agent's: events go there, in order with its own */
    struct authority *authority;
    const char *runtime_dir;
    uint32_t hang_after_ms; /* see pes_set_hang_after() */
};

/** Explains a failure in `error`. `env` is copied, what it points to borrowed. */
int pes_new(const struct pes_env *env, const struct pes_events *events, void *ctx, struct pes **ret,
            char *error, size_t error_size);
/** Records and FIFOs stay, so that the next daemon finds the PEs again. NULL-safe. */
void pes_free(struct pes *pes);

/** A server that runs, but accepts nobody, is withheld after that; 0: only one that is stopped. */
void pes_set_hang_after(struct pes *pes, uint32_t hang_after_ms);

/** Takes the PEs of an earlier daemon back in. Returns how many. */
size_t pes_restore(struct pes *pes);

/**
 * Registers a new PE; pe_id and pool_uid of the record are filled in. 0; -EDQUOT, -ENAMETOOLONG,
 * -EINVAL, -ENOMEM or another -errno with a sentence in `why`.
 */
int pes_add(struct pes *pes, const struct record *record, const struct pe **ret, char *why,
            size_t size);
/** The same for a PE whose holder made its life FIFO itself: `name` in `dir_fd`, which moves away.
 */
int pes_add_waiting(struct pes *pes, const struct record *record, int dir_fd, const char *name,
                    char *why, size_t size);
/** Out of scope and memory. */
void pes_remove(struct pes *pes, uint32_t pe_id, const char *reason);

/** Another write end of its life fd, the caller's to close; -errno. Never for adopted PEs. */
int pes_life_fd(struct pes *pes, uint32_t pe_id);
/** A life fd was handed over, or nobody is left to take it. */
void pes_life_delivered(struct pes *pes, uint32_t pe_id);

const struct pe *pes_find(const struct pes *pes, uint32_t pe_id);
/** The PE of that pool, protocol, port, addresses and namespace. */
const struct pe *pes_find_place(const struct pes *pes, const struct record *like);
/** The next PE after `pe` (NULL: the first), in no particular order. */
const struct pe *pes_next(const struct pes *pes, const struct pe *pe);
size_t pes_count(const struct pes *pes);
bool pes_connections(const struct pes *pes, uint32_t pe_id, uint32_t *ret);
/** "up", "registering", "draining", "drained", "withheld", "refused", "waiting". */
const char *pes_state(const struct pes *pes, const struct pe *pe);
/** Why it is not up; NULL when it is. Borrowed. */
const char *pes_reason(const struct pes *pes, const struct pe *pe);

int pes_drain(struct pes *pes, uint32_t pe_id, bool drain, uint32_t by_uid);
/** Policy stated by the program; `policy` NULL: only its load. */
int pes_update(struct pes *pes, uint32_t pe_id, const struct policy *policy, uint32_t load);
/**
 * Addresses, families, and life and interval of registrations become those of `next`, which is
 * otherwise its record. 0, -ENOENT or another -errno.
 */
int pes_change(struct pes *pes, uint32_t pe_id, const struct record *next);
int pes_probe_done(struct pes *pes, uint32_t pe_id, bool ok, const char *text);

/** Actions of the agent. */
void pes_registered(struct pes *pes, uint32_t pe_id, int result, uint16_t cause, const char *text);
void pes_deregistered(struct pes *pes, uint32_t pe_id);
/** ACTION_TRY_PE; the agent hears of the outcome. */
void pes_try(struct pes *pes, uint32_t pe_id, enum transport_protocol protocol,
             const struct ip_address *addresses, size_t count, uint16_t port);

struct watch *pes_watch(struct pes *pes);

#endif
