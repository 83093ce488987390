/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of requests: clients, and answers that take time. */
#ifndef RSP_RSPD_LOCAL_REQUESTS_INTERNAL_H
#define RSP_RSPD_LOCAL_REQUESTS_INTERNAL_H

#include "rspd/local/requests.h"

#define RQ_PENDING_MAX        256 /* per client */
#define RQ_LISTINGS_MAX       64  /* under way, of all clients */
#define RQ_RESOLVE_DEFAULT_MS 1000
#define RQ_RESOLVE_LONGEST_MS 60000
#define RQ_DRAIN_DEFAULT_MS   30000
#define RQ_DRAIN_LONGEST_MS   86400000
#define RQ_DRAIN_LOOK_MS      50
#define RQ_EXE_MAX            256
#define RQ_TEXT_MAX           320

struct rq_client;

enum rq_kind {
    RQ_RESOLVE,
    RQ_NAME,
    RQ_LIST,     /* a pool is being resolved before it is listed */
    RQ_REGISTER, /* waits for the PE's outcome */
    RQ_ADOPT,    /* waits for the look at the listening socket */
    RQ_DRAIN
};

/** An answer owed. */
struct rq_pending {
    struct rq_pending *next, *prev; /* all */
    struct requests *rq;
    struct rq_client *client; /* NULL: gone; kept only until a callback has come back */
    enum rq_kind kind;
    uint32_t request;
    uint16_t type; /* RQ_LIST: of the request */
    struct tm_us deadline;
    struct tm_us look; /* RQ_DRAIN: next look at its connections */
    bool join;         /* RQ_NAME: the asker will register in it */
    bool looking;      /* a callback will come back with this */
    uint64_t ag_request;
    uint32_t pe_id;
    struct record *record; /* RQ_ADOPT; owned */
    uint16_t handle_len;
    uint8_t handle[]; /* RQ_NAME, RQ_RESOLVE, RQ_LIST */
};

/** A list on its way to a client that reads it bit by bit. */
struct rq_listing {
    struct rq_listing *next, *prev; /* all */
    struct rq_client *client;
    uint32_t request;
    uint16_t type;
    bool local_only, has_handle, in_handlespace;
    size_t items;
    struct hs_cursor cursor;
    uint32_t *ids; /* of the local PEs, when the list began */
    size_t id_count, id_at;
    uint16_t handle_len;
    uint8_t handle[POOL_HANDLE_MAX];
};

/** What is kept with a connection. */
struct rq_client {
    struct rq_client *next, *prev; /* all */
    struct requests *rq;
    struct server_client *client;
    bool hello;
    bool resolves; /* its last message was a resolution, answered by policy */
    uint32_t kind; /* enum lp_client_kind */
    uint32_t pid;
    unsigned pending;
    struct rq_listing *listing;
    bool monitor;
    uint32_t monitor_request;
    bool monitor_one; /* only that pool */
    uint16_t monitor_len;
    uint8_t *monitor_handle;
    char exe[RQ_EXE_MAX];
};

struct requests {
    struct requests_env env;
    struct pes *pes;
    struct server *server;
    struct loop_timer *timer;
    struct tm_us timer_at;
    uint64_t next_ag_request;
    struct rq_client *clients;
    struct rq_pending *pending;
    struct rq_listing *listings;
    unsigned listing_count;
    unsigned monitors;
    bool continuing;
    uint64_t refusals_since_s; /* refused cookies: told in that span, and not told since */
    unsigned refusals, refusals_untold;
    uint8_t out[LP_MESSAGE_MAX];
    uint8_t cookie[SEAL_COOKIE_MAX];
};

static inline struct tm_us rq_now(const struct requests *rq)
{
    return loop_now(rq->env.loop);
}

static inline struct pool_handle rq_handle(const struct rq_pending *p)
{
    return (struct pool_handle){.octets = p->handle, .len = p->handle_len};
}

/** Begins a reply in the shared buffer. */
void rq_begin(struct rq_client *c, struct lp_writer *w, enum lp_type type, uint32_t request);
/** Sends it unless the client wanted none (request 0); `fd` as in server_send(). */
int rq_send(struct rq_client *c, struct lp_writer *w, uint32_t request, int fd);
/** RESULT, with a sentence (NULL: none). */
void rq_result(struct rq_client *c, uint32_t request, int result, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/** Whether the client may; if not it has been told. `pe_uid` as in authority_allows(). */
bool rq_allowed(struct rq_client *c, uint32_t request, enum authority_act act,
                struct pool_handle handle, uint32_t pe_uid);
/** Whether the client may know of a pool: who may not resolve it does not see it either. */
bool rq_may_see(const struct rq_client *c, struct pool_handle handle);
/** The pool a message is about: HANDLE, or ADDRESS of a cookie, or NAME. 0, else told. */
int rq_pool_of(struct rq_client *c, const struct lp_message *msg, uint8_t *buffer,
               struct pool_handle *ret);

/** A new pending answer with a deadline; NULL: the client has been told. */
struct rq_pending *rq_pend(struct rq_client *c, enum rq_kind kind, uint32_t request,
                           struct pool_handle handle, uint32_t timeout_ms);
/** Answered, or given up. */
void rq_done(struct rq_pending *p);
/** Makes sure the timer fires at `at`. */
void rq_wake(struct requests *rq, struct tm_us at);

/* requests_pu.c */
void rq_name(struct rq_client *c, const struct lp_message *msg);
void rq_resolve(struct rq_client *c, const struct lp_message *msg);
void rq_report(struct rq_client *c, const struct lp_message *msg);
/** On a resolver thread; as server_handlers.answer. */
size_t rq_answer_shared(void *ctx, const struct server_peer *peer, const struct lp_message *msg,
                        uint8_t *out, size_t size);
void rq_answered(struct rq_pending *p, const struct ag_answer *answer);
void rq_resolve_expired(struct rq_pending *p);

/* requests_pe.c */
/** Reads a registration into a record, but for who asks; 0, or -EINVAL and why. */
int rq_read_record(const struct lp_message *msg, struct record *r, char *why, size_t size);
void rq_register(struct rq_client *c, const struct lp_message *msg);
void rq_deregister(struct rq_client *c, const struct lp_message *msg);
void rq_update(struct rq_client *c, const struct lp_message *msg);
void rq_drain(struct rq_client *c, const struct lp_message *msg);
void rq_undrain(struct rq_client *c, const struct lp_message *msg);
void rq_probe_done(struct rq_client *c, const struct lp_message *msg);
void rq_register_expired(struct rq_pending *p);
/** The client of a pending registration is gone. */
void rq_register_orphaned(struct rq_pending *p);
/** Looks whether a draining PE is empty now. */
void rq_drain_look(struct rq_pending *p);
void rq_outcome(void *ctx, const struct pe *pe);
void rq_left(void *ctx, const struct pe *pe);
void rq_gone(void *ctx, const struct pe *pe);

/* requests_cookie.c */
void rq_cookie_seal(struct rq_client *c, const struct lp_message *msg);
void rq_cookie_open(struct rq_client *c, const struct lp_message *msg);
void rq_cookie_keys(struct rq_client *c, const struct lp_message *msg);

/* requests_list.c */
void rq_list(struct rq_client *c, const struct lp_message *msg);
/** The pool is resolved (or not, `result`): list it. */
void rq_list_begin(struct rq_client *c, uint16_t type, uint32_t request, struct pool_handle handle,
                   bool local_only, int result);
void rq_registrar_list(struct rq_client *c, const struct lp_message *msg);
void rq_registrar_leave(struct rq_client *c, const struct lp_message *msg);
/** Goes on with a list. */
void rq_list_continue(struct rq_listing *l);
void rq_list_free(struct rq_listing *l);

#endif
