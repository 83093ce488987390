/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The loop's side of the watch: what is watched, and results turned into callbacks. */
#include "rspd/local/watch.h"

#include "rspd/local/netns.h"
#include "rspd/local/watch_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORKER_STACK_BYTES 262144

static int compare(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

struct watch_pe *watch_pe_find(struct watch *w, uint32_t pe_id)
{
    struct watch_pe **found = (struct watch_pe **)tfind(&pe_id, &w->tree, compare);
    return found != NULL ? *found : NULL;
}

static void pe_free(struct watch_pe *pe)
{
    hang_done(&pe->hang);
    free(pe);
}

static void notes_free(struct watch_notes *notes)
{
    struct watch_note *note;
    while ((note = TAILQ_FIRST(notes)) != NULL) {
        TAILQ_REMOVE(notes, note, link);
        free(note);
    }
}

/* --- results ------------------------------------------------------------------------------ */

/** Whether a result still concerns somebody; with the lock held. */
static bool is_current(struct watch *w, const struct watch_note *note)
{
    if (note->kind == NOTE_FOUND || note->kind == NOTE_DRAIN) {
        return true;
    }
    const struct watch_pe *pe = watch_pe_find(w, note->pe_id);
    return pe != NULL && pe->generation == note->generation;
}

static void deliver(struct watch *w, const struct watch_note *n)
{
    const struct watch_events *e = &w->events;
    switch (n->kind) {
    case NOTE_LOAD:
        if (e->load != NULL) {
            e->load(w->ctx, n->pe_id, n->load, n->connections);
        }
        break;
    case NOTE_HUNG:
    case NOTE_BACK:
        if (e->hung != NULL) {
            bool hung = n->kind == NOTE_HUNG;
            e->hung(w->ctx, n->pe_id, hung, hung ? n->reason : NULL);
        }
        break;
    case NOTE_GONE:
        watch_remove(w, n->pe_id);
        if (e->gone != NULL) {
            e->gone(w->ctx, n->pe_id);
        }
        break;
    case NOTE_BLIND:
        if (e->blind != NULL) {
            e->blind(w->ctx, n->pe_id, n->reason);
        }
        break;
    case NOTE_FOUND:
        n->find_fn(n->fn_ctx, n->result, n->result == 0 ? &n->listener : NULL);
        break;
    case NOTE_DRAIN:
        n->drain_fn(n->fn_ctx, n->pe_id, n->result, n->connections, n->queued);
        break;
    }
}

/** Hands out the results there are. A callback may free the watch. */
static void on_results(void *ctx, int fd, unsigned events)
{
    struct watch *w = (struct watch *)ctx;
    uint64_t count;
    bool freed = false;
    (void)events;
    (void)!read(fd, &count, sizeof(count)); /* EAGAIN: nothing lost, the list says what there is */
    w->freed = &freed;
    for (;;) {
        pthread_mutex_lock(&w->lock);
        struct watch_note *note = TAILQ_FIRST(&w->results);
        bool current = false;
        if (note != NULL) {
            TAILQ_REMOVE(&w->results, note, link);
            current = is_current(w, note);
        }
        pthread_mutex_unlock(&w->lock);
        if (note == NULL) {
            w->freed = NULL;
            return;
        }
        if (current) {
            deliver(w, note);
        }
        free(note);
        if (freed) {
            return;
        }
    }
}

void watch_tell(struct watch *w, struct watch_note *take_note)
{
    bool first = TAILQ_EMPTY(&w->results);
    TAILQ_INSERT_TAIL(&w->results, take_note, link);
    if (first) {
        uint64_t one = 1;
        (void)!write(w->result_fd, &one, sizeof(one)); /* EAGAIN: it is readable already */
    }
}

/* --- life of the watch ---------------------------------------------------------------------- */

static int make_hints(struct watch *w)
{
    w->hint_fd = memfd_create("rspd-hints", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (w->hint_fd < 0 || ftruncate(w->hint_fd, sizeof(struct hint_page)) < 0 ||
        fcntl(w->hint_fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0) {
        return -errno;
    }
    void *at =
        mmap(NULL, sizeof(struct hint_page), PROT_READ | PROT_WRITE, MAP_SHARED, w->hint_fd, 0);
    if (at == MAP_FAILED) {
        return -errno;
    }
    w->hints = (struct hint_page *)at;
    w->hints->magic = HINT_MAGIC;
    w->hints->version = HINT_VERSION;
    w->hints->words = HINT_WORDS;
    return 0;
}

static int start_worker(struct watch *w)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t before;
    int r = pthread_attr_init(&attr);
    if (r != 0) {
        return -r;
    }
    (void)pthread_attr_setstacksize(&attr, WORKER_STACK_BYTES);
    /* Signals are the loop's: it takes them from a signalfd, so they must be blocked everywhere. */
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&w->thread, &attr, watch_worker, w);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)pthread_attr_destroy(&attr);
    return -r;
}

static int init_lock(struct watch *w)
{
    pthread_condattr_t attr;
    int r = pthread_mutex_init(&w->lock, NULL);
    if (r != 0) {
        return -r;
    }
    r = pthread_condattr_init(&attr);
    if (r == 0) {
        (void)pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
        r = pthread_cond_init(&w->wake, &attr);
        (void)pthread_condattr_destroy(&attr);
    }
    if (r != 0) {
        (void)pthread_mutex_destroy(&w->lock);
    }
    return -r;
}

static void release(struct watch *w)
{
    if (w->hints != NULL) {
        (void)munmap(w->hints, sizeof(struct hint_page));
    }
    if (w->hint_fd >= 0) {
        (void)close(w->hint_fd);
    }
    loop_io_free(w->result_io);
    if (w->result_fd >= 0) {
        (void)close(w->result_fd);
    }
    free(w);
}

static int make_result_fd(struct watch *w)
{
    w->result_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (w->result_fd < 0) {
        return -errno;
    }
    return loop_io_add(w->loop, w->result_fd, LOOP_READ, on_results, w, &w->result_io);
}

int watch_new(struct loop *loop, const struct watch_events *events, void *ctx, struct watch **ret)
{
    struct watch *w = (struct watch *)calloc(1, sizeof(*w));
    if (w == NULL) {
        return -ENOMEM;
    }
    w->loop = loop;
    w->events = *events;
    w->ctx = ctx;
    w->hint_fd = -1;
    w->netns = netns_self();
    TAILQ_INIT(&w->namespaces);
    TAILQ_INIT(&w->pes);
    TAILQ_INIT(&w->questions);
    TAILQ_INIT(&w->results);
    w->result_fd = -1;
    int r = make_hints(w);
    if (r == 0) {
        r = make_result_fd(w);
    }
    if (r == 0) {
        r = init_lock(w);
        if (r == 0 && (r = start_worker(w)) < 0) {
            (void)pthread_cond_destroy(&w->wake);
            (void)pthread_mutex_destroy(&w->lock);
        }
    }
    if (r < 0) {
        release(w);
        return r;
    }
    *ret = w;
    return 0;
}

void watch_free(struct watch *w)
{
    if (w == NULL) {
        return;
    }
    pthread_mutex_lock(&w->lock);
    w->stop = true;
    (void)pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
    (void)pthread_join(w->thread, NULL);
    diag_watch_free(w->destroyed);
    struct watch_pe *pe;
    while ((pe = TAILQ_FIRST(&w->pes)) != NULL) {
        TAILQ_REMOVE(&w->pes, pe, link);
        (void)tdelete(pe, &w->tree, compare);
        pe_free(pe);
    }
    notes_free(&w->questions);
    notes_free(&w->results);
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
    if (w->freed != NULL) {
        *w->freed = true;
    }
    release(w);
}

int watch_hint_fd(const struct watch *w)
{
    return w->hint_fd;
}

/* --- what is watched ------------------------------------------------------------------------ */

static void kick(struct watch *w)
{
    w->kicked = true;
    (void)pthread_cond_signal(&w->wake);
}

/** Marks adopted PEs (on a port, or all: 0) to be looked after; with the lock held. */
static void mark_checks(struct watch *w, uint16_t port)
{
    struct watch_pe *pe;
    bool any = false;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.alive && (port == 0 || pe->target.port == port)) {
            pe->check = true;
            any = true;
        }
    }
    if (any) {
        kick(w);
    }
}

static bool on_destroyed(void *ctx, const struct diag_socket *s)
{
    struct watch *w = (struct watch *)ctx;
    pthread_mutex_lock(&w->lock);
    mark_checks(w, s->local_port);
    pthread_mutex_unlock(&w->lock);
    return true;
}

static void on_lost(void *ctx)
{
    struct watch *w = (struct watch *)ctx;
    pthread_mutex_lock(&w->lock);
    mark_checks(w, 0);
    pthread_mutex_unlock(&w->lock);
}

static bool wants_events(const struct watch *w, const struct watch_target *t)
{
    return t->alive && (t->netns == 0 || t->netns == w->netns);
}

/** Subscribes to destroy events while somebody needs them: they cost the whole machine. */
static void adjust_events(struct watch *w)
{
    if (w->alive_count > 0 && w->destroyed == NULL) {
        /* Without events the worker looks at every tick instead. */
        struct diag_watch *destroyed = NULL;
        if (diag_watch_new(w->loop, on_destroyed, on_lost, w, &destroyed) == 0) {
            pthread_mutex_lock(&w->lock);
            w->destroyed = destroyed;
            pthread_mutex_unlock(&w->lock);
        }
    } else if (w->alive_count == 0 && w->destroyed != NULL) {
        struct diag_watch *destroyed = w->destroyed;
        pthread_mutex_lock(&w->lock);
        w->destroyed = NULL;
        pthread_mutex_unlock(&w->lock);
        diag_watch_free(destroyed);
    }
}

/** Takes a PE out; with the lock held. */
static struct watch_pe *detach(struct watch *w, uint32_t pe_id)
{
    struct watch_pe *pe = watch_pe_find(w, pe_id);
    if (pe != NULL) {
        (void)tdelete(pe, &w->tree, compare);
        TAILQ_REMOVE(&w->pes, pe, link);
        w->pe_count--;
        w->alive_count -= wants_events(w, &pe->target);
    }
    return pe;
}

void watch_set_hang_after(struct watch *w, uint32_t hang_after_ms)
{
    pthread_mutex_lock(&w->lock);
    w->hang_after_ms = hang_after_ms;
    pthread_mutex_unlock(&w->lock);
}

int watch_add(struct watch *w, const struct watch_target *target)
{
    if (target->pe_id == 0 || target->port == 0 || target->address_count > WATCH_ADDRESSES_MAX) {
        return -EINVAL;
    }
    struct watch_pe *pe = (struct watch_pe *)calloc(1, sizeof(*pe));
    if (pe == NULL) {
        return -ENOMEM;
    }
    pe->pe_id = target->pe_id;
    pe->target = *target;
    pe->target.hang = target->hang && target->protocol == TRANSPORT_TCP;
    if (target->protocol == TRANSPORT_UDP) {
        pe->target.capacity = 0; /* no connections to count */
    }
    if (pe->target.netns == w->netns) {
        pe->target.netns = 0;
    }
    pe->check = target->alive;
    pthread_mutex_lock(&w->lock);
    struct watch_pe *before = detach(w, pe->pe_id);
    bool ok = tsearch(pe, &w->tree, compare) != NULL;
    if (ok) {
        pe->generation = ++w->next_generation;
        TAILQ_INSERT_TAIL(&w->pes, pe, link);
        w->pe_count++;
        w->alive_count += wants_events(w, &pe->target);
    }
    pthread_mutex_unlock(&w->lock);
    if (before != NULL) {
        pe_free(before);
    }
    if (!ok) {
        pe_free(pe);
    }
    /* Events first, then the first look: so no death falls between. */
    adjust_events(w);
    pthread_mutex_lock(&w->lock);
    kick(w);
    pthread_mutex_unlock(&w->lock);
    return ok ? 0 : -ENOMEM;
}

void watch_remove(struct watch *w, uint32_t pe_id)
{
    pthread_mutex_lock(&w->lock);
    struct watch_pe *pe = detach(w, pe_id);
    pthread_mutex_unlock(&w->lock);
    if (pe != NULL) {
        pe_free(pe);
        adjust_events(w);
    }
}

bool watch_connections(struct watch *w, uint32_t pe_id, uint32_t *ret)
{
    pthread_mutex_lock(&w->lock);
    const struct watch_pe *pe = watch_pe_find(w, pe_id);
    bool known = pe != NULL && pe->load_known;
    if (known) {
        *ret = pe->connections;
    }
    pthread_mutex_unlock(&w->lock);
    return known;
}

/* --- questions ------------------------------------------------------------------------------ */

static int ask(struct watch *w, struct watch_note *take_note)
{
    pthread_mutex_lock(&w->lock);
    bool room = w->question_count < WATCH_QUESTIONS_MAX;
    if (room) {
        w->question_count++;
        TAILQ_INSERT_TAIL(&w->questions, take_note, link);
        (void)pthread_cond_signal(&w->wake);
    }
    pthread_mutex_unlock(&w->lock);
    if (!room) {
        free(take_note);
    }
    return room ? 0 : -EBUSY;
}

int watch_find(struct watch *w, enum transport_protocol protocol, uint16_t port, uint32_t pid,
               uint64_t netns, watch_find_fn fn, void *ctx)
{
    struct watch_note *note = (struct watch_note *)calloc(1, sizeof(*note));
    if (note == NULL) {
        return -ENOMEM;
    }
    note->kind = NOTE_FOUND;
    note->target.protocol = protocol;
    note->target.port = port;
    note->target.pid = pid;
    note->target.netns = netns == w->netns ? 0 : netns;
    note->find_fn = fn;
    note->fn_ctx = ctx;
    return ask(w, note);
}

int watch_drain_query(struct watch *w, uint32_t pe_id, watch_drain_fn fn, void *ctx)
{
    struct watch_note *note = (struct watch_note *)calloc(1, sizeof(*note));
    if (note == NULL) {
        return -ENOMEM;
    }
    pthread_mutex_lock(&w->lock);
    const struct watch_pe *pe = watch_pe_find(w, pe_id);
    if (pe != NULL) {
        note->target = pe->target;
    }
    pthread_mutex_unlock(&w->lock);
    if (pe == NULL) {
        free(note);
        return -ENOENT;
    }
    note->kind = NOTE_DRAIN;
    note->pe_id = pe_id;
    note->drain_fn = fn;
    note->fn_ctx = ctx;
    return ask(w, note);
}
