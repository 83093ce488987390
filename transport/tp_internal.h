/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Between tp.c, which keeps the associations and their send queues, and the backends, which speak
 * to one SCTP stack each. No socket header in here: the constants of the two stacks differ and must
 * not meet in one translation unit (T-1).
 *
 * An association is known by two keys: the caller's number (tp.c) and the stack's id (backend). A
 * record lives from tp_connect() or the stack's "up" until the stack says that it is over, also
 * when the caller has given it up before (state TP_ENDING, number 0).
 */
#ifndef RSP_TRANSPORT_TP_INTERNAL_H
#define RSP_TRANSPORT_TP_INTERNAL_H

#include "transport/assoc.h"

/** What waits for one association, and for all together. */
#define TP_QUEUE_MAX       1048576
#define TP_QUEUE_TOTAL_MAX 67108864
/** Longest message taken in: an ASAP or ENRP message is at most 65,535 octets long. */
#define TP_MESSAGE_MAX 65536
/** Accepted associations of one endpoint; what comes beyond is aborted. */
#define TP_ACCEPTED_MAX 16384
/** Addresses tried in one tp_connect(). */
#define TP_PEERS_MAX 32
/** An orderly end that takes longer becomes an ABORT. */
#define TP_ENDING_MS 5000
/** Messages or events handled in one round of the loop, for fairness. */
#define TP_ROUND_MAX 64

enum tp_state { TP_OPENING, TP_UP, TP_ENDING };

struct tp_queued {
    struct tp_queued *next;
    uint32_t ppid;
    size_t len;
    uint8_t octets[];
};

struct tp_assoc;

struct tp_link {
    struct tp_assoc *prev, *next;
    bool in;
};

struct tp_list {
    struct tp_assoc *head, *tail;
};

enum tp_key { TP_BY_NUMBER, TP_BY_ID, TP_KEYS };
enum tp_lists { TP_LIST_BLOCKED, TP_LIST_ENDING, TP_LIST_ACTIVE, TP_LISTS };

struct tp_assoc {
    struct tp_endpoint *ep;
    uint64_t number; /* 0: the caller does not know it (any more) */
    int64_t id;      /* the stack's; -1: none yet */
    enum tp_state state;
    bool accepted;
    bool end_sent;
    struct tp_assoc *chain[TP_KEYS];
    struct tp_link links[TP_LISTS];
    struct tm_us deadline; /* TP_ENDING */

    struct tp_queued *queue;
    struct tp_queued **queue_tail;
    size_t queued_bytes;

    uint8_t *part; /* beginning of a message that the stack delivers in parts */
    size_t part_len;
    bool part_skip; /* too long: drop what follows, up to its end */

    /* For the usrsctp backend. */
    uint32_t peer_key;       /* 0: none */
    struct ip_address *list; /* addresses to try, owned */
    size_t list_count, list_next;
    uint16_t port;
};

struct tp_table {
    struct tp_assoc **slots;
    size_t mask;
    size_t count;
};

struct tp_endpoint {
    struct tp *tp;
    struct tp_endpoint *next;
    struct tp_callbacks callbacks;
    void *ctx;
    uint16_t port;
    struct tp_table tables[TP_KEYS];
    struct tp_list blocked; /* associations whose queue waits for room in the stack */
    size_t accepted;
    unsigned pins; /* depth of calls that still need the endpoint */
    bool closed;
    void *backend; /* the backend's own part */
};

struct tp_ops {
    int (*start)(struct tp *tp, char *error, size_t error_size);
    void (*stop)(struct tp *tp);
    int (*open)(struct tp_endpoint *ep, const struct ip_address *addresses, size_t count,
                uint16_t port);
    /** Aborts all associations and frees ep->backend. */
    void (*close)(struct tp_endpoint *ep);
    /** Starts the handshake and sets a->id by tp_assoc_identify(). */
    int (*connect)(struct tp_assoc *a, const struct ip_address *peers, size_t count, uint16_t port);
    /** 0, -EAGAIN (queue it and call tp_flush() later), or what is wrong. */
    int (*send)(struct tp_assoc *a, uint32_t ppid, const void *octets, size_t len);
    /** Starts the orderly end, or sends ABORT; the stack's last event may follow later. */
    int (*end)(struct tp_assoc *a, bool abort);
    /** There is (no longer) something to flush. */
    void (*want_flush)(struct tp_endpoint *ep, bool on);
    int (*path)(struct tp_assoc *a, struct tp_path *ret);
    int (*srtt)(struct tp_assoc *a, uint32_t *ret);
    /** The record is about to be freed; may be NULL. */
    void (*gone)(struct tp_assoc *a);
};

struct tp {
    struct loop *loop;
    struct tp_config config;
    enum tp_backend backend;
    const struct tp_ops *ops;
    struct tp_endpoint *endpoints;
    struct tp_list ending; /* by deadline */
    struct loop_timer *ending_timer;
    uint64_t last_accepted;
    size_t queued_bytes;
    struct tp_stats stats;
    void *stack; /* the backend's own part */
};

extern const struct tp_ops tp_kernel_ops;
extern const struct tp_ops tp_usrsctp_ops; /* only where the build has it */

/** Whether this kernel gives us an SCTP socket. */
bool tp_kernel_available(void);

/* What a backend tells tp.c. Each may run callbacks, which may close the endpoint: look at
 * ep->closed afterwards, under a pin. */
void tp_pin(struct tp_endpoint *ep);
void tp_unpin(struct tp_endpoint *ep); /* frees the endpoint if it was closed meanwhile */
void tp_on_up(struct tp_endpoint *ep, int64_t id, const struct ip_address *peers, size_t count,
              uint16_t port);
void tp_on_down(struct tp_endpoint *ep, int64_t id, enum tp_down reason);
/** One piece; `end`: the last of its message. */
void tp_on_message(struct tp_endpoint *ep, int64_t id, uint32_t ppid, const uint8_t *octets,
                   size_t len, bool end);
void tp_on_part_aborted(struct tp_endpoint *ep, int64_t id);
void tp_on_send_failed(struct tp_endpoint *ep, int64_t id);
/** Hands queued messages to the stack; true when at least one went. */
bool tp_flush(struct tp_endpoint *ep);

struct tp_assoc *tp_assoc_by_id(struct tp_endpoint *ep, int64_t id);
/** The stack's id of an association that is being opened; -EEXIST when it is another's. */
int tp_assoc_identify(struct tp_assoc *a, int64_t id);
/** Any association of the endpoint, in no order; NULL when `*cursor` (0 at first) is at the end. */
struct tp_assoc *tp_assoc_next(struct tp_endpoint *ep, size_t *cursor, struct tp_assoc *last);

void tp_list_add(struct tp_list *list, enum tp_lists which, struct tp_assoc *a);
void tp_list_remove(struct tp_list *list, enum tp_lists which, struct tp_assoc *a);

#endif
