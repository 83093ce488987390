/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The worker of the watch: one thread that sleeps, reads the TCP counters of each namespace with
 * watched PEs, and dumps sockets only when these or a hint word say that something happened.
 *
 * A round per namespace: a copy of its targets under the lock (struct look each), dumps without
 * the lock, results applied under the lock to those PEs that are still the same.
 */
#include "rspd/local/monotonic.h"
#include "rspd/local/netns.h"
#include "rspd/local/proc.h"
#include "rspd/local/watch_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/** One PE in one round. */
struct look {
    uint32_t pe_id;
    uint32_t generation;
    struct watch_target target;
    /* what happened before, copied */
    uint32_t queued_before;
    bool hung_before;
    bool fresh; /* never looked at */
    bool check;
    bool cookies_known;
    uint8_t cookie_count;
    uint64_t cookies[WATCH_COOKIES_MAX];
    /* what was seen */
    bool listeners_seen;
    bool connections_seen;
    uint32_t connections;
    uint32_t listening; /* sockets */
    uint32_t inode;     /* of one of them */
    struct hang_sample sample;
    bool walked;
};

struct round {
    struct tm_us now;
    struct look *look;
    size_t count;
    enum transport_protocol protocol; /* of the dump under way */
    int error;                        /* of a dump */
    uint64_t queued;                  /* in all accept queues */
    uint8_t ports[65536 / 8];
};

/* --- dumps ---------------------------------------------------------------------------------- */

static bool has_port(const struct round *round, uint16_t port)
{
    return (round->ports[port / 8] & (1u << (port % 8))) != 0;
}

static void note_ports(struct round *round)
{
    memset(round->ports, 0, sizeof(round->ports));
    for (size_t i = 0; i < round->count; i++) {
        uint16_t port = round->look[i].target.port;
        round->ports[port / 8] |= (uint8_t)(1u << (port % 8));
    }
}

static bool is_known_cookie(const struct look *l, uint64_t cookie)
{
    for (size_t i = 0; i < l->cookie_count; i++) {
        if (l->cookies[i] == cookie) {
            return true;
        }
    }
    return false;
}

static void see_listener(struct look *l, const struct diag_socket *s)
{
    l->sample.queued += s->queued;
    l->sample.backlog += s->backlog;
    l->inode = s->inode;
    if (!l->target.alive) {
        l->listening++;
        return;
    }
    if (l->cookies_known) {
        l->listening += is_known_cookie(l, s->cookie);
    } else if (l->cookie_count < WATCH_COOKIES_MAX) {
        l->cookies[l->cookie_count++] = s->cookie;
        l->listening++;
    }
}

static bool on_listener(void *ctx, const struct diag_socket *s)
{
    struct round *round = (struct round *)ctx;
    round->queued += s->protocol == TRANSPORT_TCP ? s->queued : 0;
    if (!has_port(round, s->local_port)) {
        return true;
    }
    for (size_t i = 0; i < round->count; i++) {
        struct look *l = &round->look[i];
        if (l->target.protocol == round->protocol && l->target.port == s->local_port &&
            watch_target_at(&l->target, &s->local)) {
            see_listener(l, s);
        }
    }
    return true;
}

static bool on_connection(void *ctx, const struct diag_socket *s)
{
    struct round *round = (struct round *)ctx;
    if (!has_port(round, s->local_port)) {
        return true;
    }
    for (size_t i = 0; i < round->count; i++) {
        struct look *l = &round->look[i];
        if (l->target.protocol != round->protocol || l->target.port != s->local_port ||
            !watch_target_at(&l->target, &s->local)) {
            continue;
        }
        l->connections++;
        if (l->target.hang) {
            (void)cookie_set_add(s->inode == 0 ? &l->sample.waiting : &l->sample.accepted,
                                 s->cookie);
        }
    }
    return true;
}

static bool round_has(const struct round *round, enum transport_protocol protocol)
{
    for (size_t i = 0; i < round->count; i++) {
        if (round->look[i].target.protocol == protocol) {
            return true;
        }
    }
    return false;
}

static const enum transport_protocol protocols[] = {TRANSPORT_TCP, TRANSPORT_SCTP, TRANSPORT_UDP};

static void dump_listeners(struct round *round)
{
    for (size_t p = 0; p < 3; p++) {
        round->protocol = protocols[p];
        if (!round_has(round, protocols[p])) {
            continue;
        }
        int r = diag_listeners(protocols[p], on_listener, round);
        if (r < 0) {
            round->error = r;
            continue;
        }
        for (size_t i = 0; i < round->count; i++) {
            struct look *l = &round->look[i];
            l->listeners_seen = l->listeners_seen || l->target.protocol == protocols[p];
        }
    }
}

static void dump_connections(struct round *round)
{
    for (size_t p = 0; p < 2; p++) { /* UDP has none */
        round->protocol = protocols[p];
        if (!round_has(round, protocols[p])) {
            continue;
        }
        int r = diag_connections(protocols[p], true, on_connection, round);
        if (r < 0) {
            round->error = r;
            continue;
        }
        for (size_t i = 0; i < round->count; i++) {
            struct look *l = &round->look[i];
            if (l->target.protocol == protocols[p]) {
                l->connections_seen = true;
                l->sample.looked = true;
                cookie_set_sort(&l->sample.waiting);
                cookie_set_sort(&l->sample.accepted);
            }
        }
    }
}

/* --- telling -------------------------------------------------------------------------------- */

/** With the lock held; without memory the news is lost, and told with the next change. */
static struct watch_note *tell(struct watch *w, const struct watch_pe *pe,
                               enum watch_note_kind kind)
{
    struct watch_note *note = (struct watch_note *)calloc(1, sizeof(*note));
    if (note != NULL) {
        note->kind = kind;
        note->pe_id = pe->pe_id;
        note->generation = pe->generation;
        watch_tell(w, note);
    }
    return note;
}

static void tell_blind(struct watch *w, struct watch_pe *pe, const char *what, int error)
{
    struct watch_note *note = pe->blind_told ? NULL : tell(w, pe, NOTE_BLIND);
    if (note != NULL) {
        (void)snprintf(note->reason, sizeof(note->reason), "%s: %s", what, strerrordesc_np(-error));
    }
    pe->blind_told = true;
}

static void apply_load(struct watch *w, struct watch_pe *pe, const struct look *l)
{
    uint32_t capacity = pe->target.capacity;
    pe->connections = l->connections;
    pe->load_known = true;
    if (capacity == 0) {
        return;
    }
    uint32_t moved =
        l->connections > pe->told ? l->connections - pe->told : pe->told - l->connections;
    uint32_t step = capacity / 100 > 1 ? capacity / 100 : 1;
    bool first = !pe->load_told;
    bool emptied = l->connections == 0 && pe->told > 0;
    if (!first && !emptied && moved < step) {
        return;
    }
    uint64_t load = (uint64_t)l->connections * LOAD_FULL / capacity;
    struct watch_note *note = tell(w, pe, NOTE_LOAD);
    if (note != NULL) {
        note->load = load < LOAD_FULL ? (uint32_t)load : LOAD_FULL;
        note->connections = l->connections;
        pe->told = l->connections;
        pe->load_told = true;
    }
}

static void apply_hang(struct watch *w, struct watch_pe *pe, struct look *l)
{
    uint32_t queued = l->sample.queued;
    bool stopped = l->sample.stopped;
    if (l->walked) {
        pe->walked = l->sample.at;
        pe->walk_said_stopped = stopped;
    }
    enum hang_verdict verdict = hang_step(&pe->hang, &l->sample);
    if (verdict == HANG_SAME) {
        return;
    }
    struct watch_note *note = tell(w, pe, verdict == HANG_HUNG ? NOTE_HUNG : NOTE_BACK);
    if (note != NULL && verdict == HANG_HUNG) {
        (void)snprintf(note->reason, sizeof(note->reason),
                       "%u connections wait and nobody accepts%s", queued,
                       stopped ? "; the process is stopped" : "");
    }
}

static void apply_alive(struct watch *w, struct watch_pe *pe, const struct look *l)
{
    const struct watch_target *t = &pe->target;
    if (!pe->cookies_known) {
        memcpy(pe->cookies, l->cookies, sizeof(pe->cookies));
        pe->cookie_count = l->cookie_count;
        pe->cookies_known = true;
    }
    bool right = t->sock_cookie == 0 || is_known_cookie(l, t->sock_cookie);
    if (l->listening == 0 || (!l->cookies_known && !right)) {
        (void)tell(w, pe, NOTE_GONE);
    }
}

static void apply(struct watch *w, struct round *round, struct tm_us now)
{
    for (size_t i = 0; i < round->count; i++) {
        struct look *l = &round->look[i];
        struct watch_pe *pe = watch_pe_find(w, l->pe_id);
        if (pe == NULL || pe->generation != l->generation) {
            continue;
        }
        if (l->connections_seen) {
            apply_load(w, pe, l);
        }
        /* A queue with somebody in it is only judged together with its connections. */
        if (pe->target.hang && l->listeners_seen && (l->sample.queued == 0 || l->sample.looked)) {
            l->sample.at = now;
            apply_hang(w, pe, l);
        }
        if (pe->target.alive && l->listeners_seen && l->check) {
            apply_alive(w, pe, l);
        }
    }
}

static void round_done(struct round *round)
{
    for (size_t i = 0; i < round->count; i++) {
        cookie_set_done(&round->look[i].sample.waiting);
        cookie_set_done(&round->look[i].sample.accepted);
    }
    free(round->look);
    free(round);
}

/* --- one round of one namespace -------------------------------------------------------------- */

/** What there is to do in a namespace. */
struct need {
    bool listeners;
    bool connections;
    bool hang;
    bool load;
};

/** With the lock held: copies the PEs of a namespace. NULL: none, or no memory. */
static struct round *round_new(struct watch *w, const struct watch_ns *ns)
{
    struct round *round = (struct round *)calloc(1, sizeof(*round));
    struct look *look = (struct look *)calloc(w->pe_count, sizeof(*look));
    if (round == NULL || look == NULL) {
        free(round);
        free(look);
        return NULL;
    }
    round->look = look;
    struct watch_pe *pe;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.netns != ns->netns) {
            continue;
        }
        struct look *l = &look[round->count++];
        l->pe_id = pe->pe_id;
        l->generation = pe->generation;
        l->target = pe->target;
        l->queued_before = pe->hang.queued;
        l->hung_before = pe->hang.hung;
        uint32_t hint = hint_read(w->hints, pe->pe_id);
        l->sample.active = hint != pe->hang_hint;
        l->sample.after_ms = w->hang_after_ms;
        pe->hang_hint = hint;
        l->fresh = pe->target.hang && !pe->hang.begun;
        /* Without destroy events every tick is a check. */
        l->check = pe->check || (pe->target.alive && (ns->netns != 0 || w->destroyed == NULL));
        pe->check = false;
        l->cookies_known = pe->cookies_known;
        l->cookie_count = pe->cookie_count;
        memcpy(l->cookies, pe->cookies, sizeof(l->cookies));
    }
    note_ports(round);
    return round;
}

/** With the lock held: whether a hint word moved, or a PE's load was never looked at. */
static bool hints_moved(struct watch *w, const struct watch_ns *ns)
{
    struct watch_pe *pe;
    bool moved = false;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.netns == ns->netns && pe->target.capacity > 0) {
            uint32_t hint = hint_read(w->hints, pe->pe_id);
            moved = moved || hint != pe->hint || !pe->load_tried;
        }
    }
    return moved;
}

static void take_hints(struct watch *w, const struct watch_ns *ns)
{
    struct watch_pe *pe;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.netns == ns->netns) {
            pe->hint = hint_read(w->hints, pe->pe_id);
            pe->load_tried = true;
        }
    }
}

/** Compares the counters with those of the last round. */
static void read_counters(struct watch_ns *ns, struct tm_us now, bool *ret_came, bool *ret_moved)
{
    struct proc_tcp tcp;
    if (proc_tcp_read(&tcp) < 0) {
        *ret_came = true; /* unknown: look every time */
        *ret_moved = true;
        ns->came = UINT32_MAX;
        return;
    }
    *ret_came = !ns->tcp_known || tcp.passive_opens != ns->passive_opens;
    *ret_moved = *ret_came || tcp.established != ns->established;
    if (*ret_came && ns->tcp_known) {
        ns->awake_until = tm_add_ms(now, WATCH_AWAKE_FOR_MS);
    }
    if (*ret_came) {
        ns->settled = false;
    }
    ns->came = tcp.passive_opens - ns->passive_opens;
    ns->tcp_known = true;
    ns->passive_opens = tcp.passive_opens;
    ns->established = tcp.established;
}

static struct need needs(const struct round *round, struct watch_ns *ns, bool came, bool moved,
                         bool hinted)
{
    struct need need = {.listeners = false};
    bool queued = false;
    bool load = false;
    for (size_t i = 0; i < round->count; i++) {
        const struct look *l = &round->look[i];
        need.hang = need.hang || l->target.hang;
        ns->settled = ns->settled && !l->fresh;
        queued = queued || (l->target.hang && l->queued_before > 0);
        need.listeners = need.listeners || l->check;
        load = load || l->target.capacity > 0;
    }
    if (need.hang && (came || queued || !ns->settled)) {
        need.listeners = true;
    }
    /* The awake time is over: note who is connected, so that the next accept is recognised. */
    bool settle = need.hang && !ns->settled && tm_before(ns->awake_until, round->now);
    int64_t since = tm_diff_ms(round->now, ns->load_looked);
    need.load = load && ((hinted && since >= WATCH_LOAD_MIN_MS) ||
                         ((moved || !ns->settled) && since >= WATCH_LOAD_MAX_MS));
    need.connections = need.load || settle;
    ns->settled = ns->settled || settle;
    return need;
}

/** Whether the process behind a queue is stopped. */
static bool look_stopped(struct watch *w, struct look *l, struct tm_us now)
{
    int r = l->target.pid != 0 ? proc_stopped(l->target.pid) : -ESRCH;
    if (r >= 0) {
        return r == 1;
    }
    /* Who listened has made itself a daemon: ask who holds the socket, not too often. */
    pthread_mutex_lock(&w->lock);
    const struct watch_pe *pe = watch_pe_find(w, l->pe_id);
    bool recent =
        pe == NULL || (pe->walked.us != 0 && tm_diff_ms(now, pe->walked) < WATCH_HOLDER_WALK_MS);
    bool stopped = pe != NULL && pe->walk_said_stopped;
    pthread_mutex_unlock(&w->lock);
    if (recent) {
        return stopped;
    }
    l->walked = true;
    return proc_all_holders_stopped(l->inode);
}

static void look_closer(struct watch *w, struct watch_ns *ns, struct round *round,
                        struct need *need)
{
    bool queued = false;
    /* More came than the queues have grown by: somebody accepted, perhaps a server of ours. */
    bool doubt = ns->came + ns->queued > round->queued;
    ns->queued = round->queued;
    for (size_t i = 0; i < round->count; i++) {
        struct look *l = &round->look[i];
        if (!l->target.hang || l->sample.queued == 0) {
            continue;
        }
        queued = true;
        l->sample.doubt = doubt;
        if (!l->hung_before) {
            l->sample.stopped = look_stopped(w, l, round->now);
        }
    }
    need->connections = need->connections || queued;
}

static void tell_all_blind(struct watch *w, const struct watch_ns *ns, const char *what, int error)
{
    struct watch_pe *pe;
    pthread_mutex_lock(&w->lock);
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.netns != ns->netns) {
            continue;
        }
        if (pe->target.alive && error == -ESRCH) {
            (void)tell(w, pe, NOTE_GONE); /* the server's process is, and with it the way in */
        } else {
            tell_blind(w, pe, what, error);
        }
    }
    pthread_mutex_unlock(&w->lock);
}

static void look_round(struct watch *w, struct watch_ns *ns, struct round *round)
{
    bool came;
    bool moved;
    read_counters(ns, round->now, &came, &moved);
    pthread_mutex_lock(&w->lock);
    bool hinted = hints_moved(w, ns);
    struct need need = needs(round, ns, came, moved, hinted);
    if (need.load) {
        take_hints(w, ns);
        ns->load_looked = round->now;
        ns->awake_until = hinted ? tm_add_ms(round->now, WATCH_AWAKE_FOR_MS) : ns->awake_until;
    }
    if (need.hang && !need.listeners) {
        struct watch_pe *pe;
        TAILQ_FOREACH(pe, &w->pes, link)
        {
            if (pe->target.netns == ns->netns) {
                hang_quiet(&pe->hang, round->now);
            }
        }
    }
    pthread_mutex_unlock(&w->lock);
    if (!need.listeners && !need.connections) {
        return;
    }
    if (need.listeners || need.hang) {
        dump_listeners(round);
        look_closer(w, ns, round, &need);
    }
    if (need.connections) {
        dump_connections(round);
    }
    pthread_mutex_lock(&w->lock);
    apply(w, round, monotonic_now());
    pthread_mutex_unlock(&w->lock);
    if (round->error < 0) {
        tell_all_blind(w, ns, "the kernel's sockets cannot be listed", round->error);
    }
}

/** A process through which the namespace can be entered; with the lock held. 0: none. */
static uint32_t pid_in(struct watch *w, const struct watch_ns *ns)
{
    struct watch_pe *pe;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.netns == ns->netns && netns_of(pe->target.pid) == ns->netns) {
            return pe->target.pid;
        }
    }
    return 0;
}

/** False: this thread is stuck in a foreign namespace and must end. */
static bool look_at(struct watch *w, struct watch_ns *ns)
{
    pthread_mutex_lock(&w->lock);
    struct round *round = round_new(w, ns);
    uint32_t pid = ns->netns != 0 ? pid_in(w, ns) : 0;
    pthread_mutex_unlock(&w->lock);
    if (round == NULL) {
        return true;
    }
    int home = ns->netns != 0 ? netns_enter(pid, ns->netns) : 0;
    bool ok = true;
    if (home < 0) {
        tell_all_blind(w, ns, "its network namespace cannot be entered", home);
    } else {
        round->now = monotonic_now();
        look_round(w, ns, round);
        ok = ns->netns == 0 || netns_leave(home) == 0;
    }
    round_done(round);
    return ok;
}

/* --- the thread ----------------------------------------------------------------------------- */

/** With the lock held: the list of namespaces follows the PEs. */
static void update_namespaces(struct watch *w)
{
    struct watch_ns *ns;
    struct watch_ns *next;
    struct watch_pe *pe;
    TAILQ_FOREACH(ns, &w->namespaces, link)
    {
        ns->used = false;
    }
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        TAILQ_FOREACH(ns, &w->namespaces, link)
        {
            if (ns->netns == pe->target.netns) {
                break;
            }
        }
        if (ns == NULL && (ns = (struct watch_ns *)calloc(1, sizeof(*ns))) != NULL) {
            ns->netns = pe->target.netns;
            TAILQ_INSERT_TAIL(&w->namespaces, ns, link);
        }
        if (ns != NULL) {
            ns->used = true;
        }
    }
    for (ns = TAILQ_FIRST(&w->namespaces); ns != NULL; ns = next) {
        next = TAILQ_NEXT(ns, link);
        if (!ns->used) {
            TAILQ_REMOVE(&w->namespaces, ns, link);
            free(ns);
        }
    }
}

/** With the lock held: whether a PE wants a look without being asked. */
static bool wants_ticks(const struct watch *w)
{
    const struct watch_pe *pe;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        const struct watch_target *t = &pe->target;
        if (t->hang || t->capacity > 0 ||
            (t->alive && (t->netns != 0 || w->destroyed == NULL || pe->check))) {
            return true;
        }
    }
    return false;
}

/** With the lock held: how long to sleep after a look that took `cost_ms`. */
static int64_t interval_ms(const struct watch *w, struct tm_us now, int64_t cost_ms)
{
    int64_t interval = WATCH_IDLE_MS;
    const struct watch_ns *ns;
    TAILQ_FOREACH(ns, &w->namespaces, link)
    {
        if (tm_before(now, ns->awake_until) || (!ns->settled && ns->awake_until.us != 0)) {
            interval = WATCH_AWAKE_MS;
        }
    }
    const struct watch_pe *pe;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (pe->target.hang && hang_suspect(&pe->hang, now)) {
            interval = WATCH_CLOSE_MS;
        }
    }
    int64_t affordable = cost_ms * WATCH_COST_FACTOR;
    if (interval < affordable) {
        interval = affordable < WATCH_IDLE_MS ? affordable : WATCH_IDLE_MS;
    }
    return interval;
}

/** How long kicks must wait after a look that took `cost_ms`: a burst of them gets few looks. */
static int64_t kick_gap_ms(int64_t cost_ms)
{
    int64_t gap = cost_ms * WATCH_KICK_FACTOR;
    return gap < WATCH_KICK_MIN_MS ? WATCH_KICK_MIN_MS
           : gap < WATCH_AWAKE_MS  ? gap
                                   : WATCH_AWAKE_MS;
}

/** With the lock held: sleeps until `until`, a kick (not before `earliest`), a question, the end.
 */
static void nap(struct watch *w, struct tm_us until, struct tm_us earliest)
{
    while (!w->stop && TAILQ_EMPTY(&w->questions)) {
        struct tm_us wake = w->kicked ? tm_min(until, earliest) : until;
        if (tm_due(wake, monotonic_now())) {
            return;
        }
        struct timespec ts = {.tv_sec = wake.us / 1000000, .tv_nsec = wake.us % 1000000 * 1000};
        if (tm_is_never(wake)) {
            (void)pthread_cond_wait(&w->wake, &w->lock);
        } else {
            (void)pthread_cond_timedwait(&w->wake, &w->lock, &ts);
        }
    }
}

/** One look at every namespace; false: the thread must end. */
static bool look_everywhere(struct watch *w)
{
    struct watch_ns *ns;
    bool ok = true;
    TAILQ_FOREACH(ns, &w->namespaces, link)
    {
        ok = ok && look_at(w, ns);
    }
    return ok;
}

void *watch_worker(void *ctx)
{
    struct watch *w = (struct watch *)ctx;
    struct tm_us next = TM_NEVER;
    struct tm_us earliest = {0};
    bool ok = true;
    pthread_mutex_lock(&w->lock);
    while (!w->stop && ok) {
        nap(w, next, earliest);
        struct tm_us start = monotonic_now();
        bool look = tm_due(w->kicked ? tm_min(next, earliest) : next, start);
        if (look) {
            w->kicked = false;
            update_namespaces(w);
        }
        pthread_mutex_unlock(&w->lock);
        ok = watch_answer_all(w);
        if (look && ok) {
            ok = look_everywhere(w);
        }
        struct tm_us end = monotonic_now();
        pthread_mutex_lock(&w->lock);
        if (look) {
            int64_t cost_ms = tm_diff_ms(end, start);
            earliest = tm_add_ms(end, kick_gap_ms(cost_ms));
            next = wants_ticks(w) ? tm_add_ms(start, interval_ms(w, end, cost_ms)) : TM_NEVER;
        }
    }
    struct watch_pe *pe;
    TAILQ_FOREACH(pe, &w->pes, link)
    {
        if (!ok) {
            tell_blind(w, pe, "the way back from another network namespace failed", -EPERM);
        }
    }
    pthread_mutex_unlock(&w->lock);
    struct watch_ns *ns;
    while ((ns = TAILQ_FIRST(&w->namespaces)) != NULL) {
        TAILQ_REMOVE(&w->namespaces, ns, link);
        free(ns);
    }
    return NULL;
}
