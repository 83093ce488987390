/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Inside the watch: what the loop's side (watch.c) and the worker (watch_worker.c) share. The lock
 * guards everything below it in struct watch; the worker does not hold it while it asks the kernel.
 */
#ifndef RSP_RSPD_LOCAL_WATCH_IMPL_H
#define RSP_RSPD_LOCAL_WATCH_IMPL_H

#include "rspd/local/hang.h"
#include "rspd/local/watch.h"
#include "transport/sockdiag.h"
#include "wire/hints.h"

#include <pthread.h>
#include <sys/queue.h>

#define WATCH_IDLE_MS        600  /* between two looks at the counters when nothing connects */
#define WATCH_AWAKE_MS       200  /* between two looks while connections come */
#define WATCH_CLOSE_MS       100  /* … while a server is under suspicion */
#define WATCH_AWAKE_FOR_MS   2000 /* after the last connection came */
#define WATCH_KICK_MIN_MS    5    /* between two looks, whatever happens */
#define WATCH_KICK_FACTOR    10   /* … and that many times what the last one took */
#define WATCH_LOAD_MIN_MS    100
#define WATCH_LOAD_MAX_MS    1000
#define WATCH_COST_FACTOR    20 /* looks take at most 1/20 of the worker's time, about */
#define WATCH_COOKIES_MAX    16
#define WATCH_QUESTIONS_MAX  1024
#define WATCH_HOLDER_WALK_MS 400 /* between two walks over /proc for one PE */

/** A watched PE. `pe_id` is first: the key of the tree. */
struct watch_pe {
    uint32_t pe_id;
    uint32_t generation; /* results of an earlier watch_add() are told by it */
    TAILQ_ENTRY(watch_pe) link;
    struct watch_target target;
    /* load */
    bool load_known;
    bool load_tried;
    bool load_told;
    uint32_t connections;
    uint32_t told;
    uint32_t hint; /* at the last look */
    /* hang */
    struct hang hang;
    uint32_t hang_hint;  /* hint word at the last round */
    struct tm_us walked; /* /proc, for this PE */
    bool walk_said_stopped;
    /* alive */
    bool check; /* look whether it still listens */
    bool cookies_known;
    uint8_t cookie_count;
    uint64_t cookies[WATCH_COOKIES_MAX];
    bool blind_told;
};

/** A network namespace with watched PEs; the worker's own. */
struct watch_ns {
    TAILQ_ENTRY(watch_ns) link;
    uint64_t netns; /* 0: ours */
    bool used;
    bool tcp_known;
    uint64_t passive_opens;
    uint64_t established;
    uint64_t came;   /* connections since the round before */
    uint64_t queued; /* in all accept queues there, at the last dump */
    bool settled;    /* connections were looked at since the last one came */
    struct tm_us awake_until;
    struct tm_us load_looked;
};

enum watch_note_kind {
    NOTE_LOAD,
    NOTE_HUNG,
    NOTE_BACK,
    NOTE_GONE,
    NOTE_BLIND,
    NOTE_FOUND,
    NOTE_DRAIN
};
/** A result on its way to the loop, or (FOUND, DRAIN) a question on its way to the worker. */
struct watch_note {
    TAILQ_ENTRY(watch_note) link;
    enum watch_note_kind kind;
    uint32_t pe_id;
    uint32_t generation;
    uint32_t load;
    uint32_t connections;
    uint32_t queued;
    int result;
    char reason[WATCH_REASON_MAX];
    struct watch_target target; /* FOUND, DRAIN: where to look */
    struct watch_listener listener;
    watch_find_fn find_fn;
    watch_drain_fn drain_fn;
    void *fn_ctx;
};
TAILQ_HEAD(watch_notes, watch_note);
TAILQ_HEAD(watch_pes, watch_pe);
TAILQ_HEAD(watch_namespaces, watch_ns);

struct watch {
    struct loop *loop;
    struct watch_events events;
    void *ctx;
    uint64_t netns; /* ours */
    int hint_fd;
    struct hint_page *hints;
    struct diag_watch *destroyed;
    size_t alive_count; /* adopted PEs in our namespace */
    int result_fd;      /* eventfd: readable while there are results */
    struct loop_io *result_io;
    bool *freed; /* set while results are handed out: tells on_results() that the watch is gone */
    pthread_t thread;
    struct watch_namespaces namespaces; /* worker only */

    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stop;
    bool kicked; /* look now */
    uint32_t next_generation;
    uint32_t hang_after_ms;
    void *tree;
    struct watch_pes pes;
    size_t pe_count;
    struct watch_notes questions;
    size_t question_count;
    struct watch_notes results;
};

/** The worker's main function; ctx is the watch. */
void *watch_worker(void *ctx);
/**
 * Worker: answers the questions there are. False: this thread is stuck in a foreign namespace and
 * must end.
 */
bool watch_answer_all(struct watch *w);
bool watch_is_wildcard(const struct ip_address *a);
/** Whether a socket bound to, or connected at, `local` belongs to the target. */
bool watch_target_at(const struct watch_target *t, const struct ip_address *local);
/** With the lock held. NULL: not watched. */
struct watch_pe *watch_pe_find(struct watch *w, uint32_t pe_id);
/** With the lock held: hands over a result (owned by the watch from now on). */
void watch_tell(struct watch *w, struct watch_note *take_note);

#endif
