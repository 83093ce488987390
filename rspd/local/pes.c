/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/local/pes.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "handlespace/policy.h"
#include "rspd/local/admit.h"
#include "rspd/local/life.h"
#include "rspd/local/netns.h"
#include "rspd/local/probe.h"
#include "rspd/local/ramp.h"

#define BUCKETS        256
#define TRY_TIMEOUT_MS 1000

/** An adopted PE of an earlier daemon whose listener is being looked for. */
struct lookup {
    struct lookup *next;
    struct pes *pes;
    struct record record;
};

struct pes {
    struct pes_env env;
    struct pes_events events;
    void *ctx;
    struct life *life;
    struct records *records;
    struct watch *watch;
    struct probes *probes;
    uint64_t netns; /* ours */
    struct loop_timer *ramp_timer;
    struct tm_us ramp_at; /* TM_NEVER: nobody starts slowly */
    size_t count;
    struct lookup *lookups; /* their answers come in any order, or never */
    struct pe *by_id[BUCKETS];
    struct pe *by_port[BUCKETS];
};

static struct pe **id_bucket(struct pes *p, uint32_t pe_id)
{
    return &p->by_id[pe_id % BUCKETS];
}

static struct pe *find(const struct pes *p, uint32_t pe_id)
{
    struct pe *pe = p->by_id[pe_id % BUCKETS];
    while (pe != NULL && pe->r.pe_id != pe_id) {
        pe = pe->id_next;
    }
    return pe;
}

static void insert(struct pes *p, struct pe *pe)
{
    struct pe **id = id_bucket(p, pe->r.pe_id);
    struct pe **port = &p->by_port[pe->r.port % BUCKETS];
    pe->id_next = *id;
    *id = pe;
    pe->port_next = *port;
    *port = pe;
    p->count++;
}

static void take_out(struct pes *p, struct pe *pe)
{
    struct pe **at = id_bucket(p, pe->r.pe_id);
    while (*at != pe) {
        at = &(*at)->id_next;
    }
    *at = pe->id_next;
    at = &p->by_port[pe->r.port % BUCKETS];
    while (*at != pe) {
        at = &(*at)->port_next;
    }
    *at = pe->port_next;
    p->count--;
}

static struct tm_us now_of(const struct pes *p)
{
    return loop_now(p->env.loop);
}

/** 0 for our own namespace, as watch and probe want it. */
static uint64_t foreign_netns(const struct pes *p, const struct record *r)
{
    return r->netns == p->netns ? 0 : r->netns;
}

/** Ends everything a PE has here except its registration. */
static void release(struct pes *p, struct pe *pe, bool forget)
{
    watch_remove(p->watch, pe->r.pe_id);
    probe_remove(p->probes, pe->r.pe_id);
    if (forget) {
        life_remove(p->life, pe->r.pe_id);
        int r = records_remove(p->records, pe->r.pe_id);
        if (r != 0) {
            log_warn("cannot remove the record of pe 0x%08x: %s", pe->r.pe_id, strerror(-r));
        }
    }
}

static void drop(struct pes *p, struct pe *pe, const char *reason)
{
    take_out(p, pe);
    release(p, pe, true);
    authority_leave(p->env.authority, record_handle(&pe->r));
    ag_pe_remove(p->env.ag, pe->r.pe_id, reason, now_of(p));
    if (p->events.gone != NULL) {
        p->events.gone(p->ctx, pe);
    }
    free(pe);
}

/** The scope gets it, or not: the strongest reason against it counts. */
static void apply_withholding(struct pes *p, struct pe *pe)
{
    const char *reason = NULL;
    if (pe->r.drained) {
        reason = "draining";
    } else if (pe->probe_failed) {
        reason = pe->probe_reason;
    } else if (pe->hung) {
        reason = pe->hang_reason;
    }
    if (reason == NULL) {
        pe->left = false;
    }
    (void)ag_pe_withhold(p->env.ag, pe->r.pe_id, reason, now_of(p));
}

static void save(struct pes *p, const struct pe *pe)
{
    int r = records_save(p->records, &pe->r);
    if (r != 0) {
        log_warn("pe 0x%08x will not be found again after a restart of rspd: %s", pe->r.pe_id,
                 strerror(-r));
    }
}

/* --- what the parts tell ------------------------------------------------------------------------
 */

static void on_life_gone(void *ctx, uint32_t pe_id)
{
    struct pes *p = (struct pes *)ctx;
    struct pe *pe = find(p, pe_id);
    if (pe != NULL) {
        drop(p, pe, "its listener is closed everywhere");
    }
}

/** The scope learns the PE's load: its own, but while it starts slowly not below its ramp. */
static void tell_load(struct pes *p, const struct pe *pe)
{
    struct ag_pe_info info;
    if (!ag_pe_get(p->env.ag, pe->r.pe_id, &info) || !ramp_possible(&info.pe.policy)) {
        return;
    }
    struct policy next = info.pe.policy;
    next.word_count = policy_info_by_type(next.type)->word_count;
    next.words[0] = pe->load;
    next = ramp_policy(&pe->r, next, now_of(p));
    (void)ag_pe_policy(p->env.ag, pe->r.pe_id, &next, now_of(p));
}

static void on_load(void *ctx, uint32_t pe_id, uint32_t load, uint32_t connections)
{
    struct pes *p = (struct pes *)ctx;
    struct pe *pe = find(p, pe_id);
    (void)connections;
    if (pe != NULL && !pe->own_load && pe->r.capacity != 0) {
        pe->load = load;
        tell_load(p, pe);
    }
}

/** When its load is to be told again because of its slow start; never, if that is over. */
static void ramp_on(struct pes *p, const struct pe *pe)
{
    struct tm_us next = ramp_next(&pe->r, now_of(p));
    struct tm_us soonest = tm_add_ms(now_of(p), RAMP_STEP_MIN_MS); /* newcomers share their steps */
    next = tm_before(next, soonest) ? soonest : next;
    if (tm_before(next, p->ramp_at)) {
        p->ramp_at = next;
        (void)loop_timer_set(p->ramp_timer, next);
    }
}

static void on_ramp(void *ctx, struct tm_us now)
{
    struct pes *p = (struct pes *)ctx;
    (void)now;
    p->ramp_at = TM_NEVER;
    for (const struct pe *pe = pes_next(p, NULL); pe != NULL; pe = pes_next(p, pe)) {
        if (pe->r.slow_start_ms != 0) {
            tell_load(p, pe);
            ramp_on(p, pe);
        }
    }
}

static void on_hung(void *ctx, uint32_t pe_id, bool hung, const char *reason)
{
    struct pes *p = (struct pes *)ctx;
    struct pe *pe = find(p, pe_id);
    if (pe == NULL) {
        return;
    }
    pe->hung = hung;
    (void)snprintf(pe->hang_reason, sizeof(pe->hang_reason), "%s",
                   reason != NULL ? reason : "it does not accept connections");
    apply_withholding(p, pe);
}

static void on_socket_gone(void *ctx, uint32_t pe_id)
{
    struct pes *p = (struct pes *)ctx;
    struct pe *pe = find(p, pe_id);
    if (pe != NULL && pe->r.adopted) {
        drop(p, pe, "its listening socket is closed");
    }
}

static void on_blind(void *ctx, uint32_t pe_id, const char *reason)
{
    (void)ctx;
    log_notice("pe 0x%08x: load, hanging and draining cannot be seen: %s", pe_id, reason);
}

static void on_probe(void *ctx, uint32_t pe_id, bool ok, const char *reason)
{
    struct pes *p = (struct pes *)ctx;
    struct pe *pe = find(p, pe_id);
    if (pe == NULL) {
        return;
    }
    pe->probe_failed = !ok;
    (void)snprintf(pe->probe_reason, sizeof(pe->probe_reason), "%s",
                   reason != NULL ? reason : "its probe failed");
    apply_withholding(p, pe);
}

static void on_tried(void *ctx, uint32_t pe_id, bool reachable)
{
    struct pes *p = (struct pes *)ctx;
    ag_tried(p->env.ag, pe_id, reachable, now_of(p));
}

/* --- beginning and end --------------------------------------------------------------------------
 */

int pes_new(const struct pes_env *env, const struct pes_events *events, void *ctx, struct pes **ret,
            char *error, size_t error_size)
{
    static const struct watch_events WATCH = {
        .load = on_load, .hung = on_hung, .gone = on_socket_gone, .blind = on_blind};
    struct pes *p = (struct pes *)calloc(1, sizeof(*p));
    if (p == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    p->env = *env;
    p->events = *events;
    p->ctx = ctx;
    p->netns = netns_self();
    p->ramp_at = TM_NEVER;
    const char *what = "life fds";
    int r = life_new(env->loop, env->runtime_dir, on_life_gone, p, &p->life);
    if (r == 0) {
        what = "records";
        r = records_new(env->runtime_dir, &p->records);
    }
    if (r == 0) {
        what = "the watch of sockets";
        r = watch_new(env->loop, &WATCH, p, &p->watch);
    }
    if (r == 0) {
        what = "probes and a timer";
        r = probes_new(env->loop, on_probe, on_tried, p, &p->probes);
        r = r == 0 ? loop_timer_add(env->loop, 0, on_ramp, p, &p->ramp_timer) : r;
    }
    if (r != 0) {
        (void)snprintf(error, error_size, "cannot set up %s in %s: %s", what, env->runtime_dir,
                       strerror(-r));
        pes_free(p);
        return r;
    }
    pes_set_hang_after(p, env->hang_after_ms);
    *ret = p;
    return 0;
}

void pes_set_hang_after(struct pes *p, uint32_t hang_after_ms)
{
    watch_set_hang_after(p->watch, hang_after_ms);
}

void pes_free(struct pes *pes)
{
    if (pes == NULL) {
        return;
    }
    loop_timer_free(pes->ramp_timer);
    probes_free(pes->probes);
    watch_free(pes->watch);
    while (pes->lookups != NULL) {
        struct lookup *lookup = pes->lookups;
        pes->lookups = lookup->next;
        free(lookup);
    }
    life_free(pes->life);
    records_free(pes->records);
    for (size_t i = 0; i < BUCKETS; i++) {
        while (pes->by_id[i] != NULL) {
            struct pe *pe = pes->by_id[i];
            pes->by_id[i] = pe->id_next;
            authority_leave(pes->env.authority, record_handle(&pe->r));
            free(pe);
        }
    }
    free(pes);
}

/** What the agent is to register. The pool's policy, or one that fits, when none is stated. */
static struct ag_pe agent_view(const struct pes *p, const struct record *r, uint64_t cause)
{
    struct ag_pe want = {.handle = record_handle(r),
                         .pe_id = r->pe_id,
                         .protocol = r->protocol,
                         .port = r->port,
                         .use = r->use,
                         .families = r->families,
                         .address_count = r->address_count,
                         .policy = ramp_policy(r, r->policy, now_of(p)),
                         .life_ms = r->life_ms,
                         .interval_ms = r->interval_ms,
                         .cause = cause};
    memcpy(want.addresses, r->addresses, sizeof(want.addresses));
    return want;
}

static uint32_t agent_add(struct pes *p, const struct record *r, uint64_t cause, int *ret_error)
{
    const struct ag_pe want = agent_view(p, r, cause);
    return ag_pe_add(p->env.ag, &want, now_of(p), ret_error);
}

/** Watch and probe of a PE, where it is. */
static int look_after(struct pes *p, struct pe *pe)
{
    char why[PES_REASON_MAX]; /* the probe has been read before */
    const struct record *r = &pe->r;
    struct probe_spec spec;
    int result = probe_spec_parse(r->probe, r->probe_ms, &spec, why, sizeof(why));
    if (result != 0) {
        return result;
    }
    struct watch_target target = {.pe_id = r->pe_id,
                                  .protocol = r->protocol,
                                  .port = r->port,
                                  .address_count = r->address_count,
                                  .capacity = r->capacity,
                                  .hang = r->protocol == TRANSPORT_TCP,
                                  .alive = r->adopted,
                                  .sock_cookie = r->sock_cookie,
                                  .pid = r->pid,
                                  .netns = foreign_netns(p, r)};
    memcpy(target.addresses, r->addresses, sizeof(target.addresses));
    if (target.capacity != 0 || target.hang || target.alive) {
        result = watch_add(p->watch, &target);
    }
    if (result == 0 && spec.kind != PROBE_NONE) {
        struct probe_target where = {.pe_id = r->pe_id,
                                     .address = record_address(r),
                                     .port = r->port,
                                     .pid = r->pid,
                                     .netns = foreign_netns(p, r)};
        result = probe_add(p->probes, &where, &spec);
    }
    return result;
}

/** Watch, probe and owner of a PE that is registered and has its life. */
static int attach(struct pes *p, struct pe *pe, char *why, size_t size)
{
    int r = look_after(p, pe);
    r = r != 0 ? r : authority_join(p->env.authority, record_handle(&pe->r), pe->r.pool_uid);
    if (r != 0) {
        (void)snprintf(why, size, "cannot watch it: %s", strerror(-r));
    }
    return r;
}

/** Registers; the life FIFO is made, or is `name` in `dir_fd`. */
static int add(struct pes *pes, const struct record *record, int dir_fd, const char *name,
               const struct pe **ret, char *why, size_t size)
{
    struct policy policy;
    int r = admit(pes, record, &policy, why, size);
    struct pe *pe = r == 0 ? (struct pe *)calloc(1, sizeof(*pe)) : NULL;
    if (pe == NULL) {
        return r == 0 ? -ENOMEM : r;
    }
    *pe = (struct pe){.r = *record, .load = policy.words[0]};
    pe->r.policy = policy;
    if (!authority_owner(pes->env.authority, record_handle(record), &pe->r.pool_uid)) {
        pe->r.pool_uid = record->uid;
    }
    pe->r.pe_id = agent_add(pes, &pe->r, 0, &r);
    if (pe->r.pe_id == 0) {
        (void)snprintf(why, size, "the agent does not take it: %s", strerror(-r));
        free(pe);
        return r;
    }
    r = pe->r.adopted  ? 0
        : name != NULL ? life_take(pes->life, pe->r.pe_id, dir_fd, name)
                       : life_create(pes->life, pe->r.pe_id);
    if (r != 0) {
        (void)snprintf(why, size, "cannot make its life fd: %s", strerror(-r));
    } else {
        r = attach(pes, pe, why, size);
    }
    if (r != 0) {
        release(pes, pe, true);
        ag_pe_remove(pes->env.ag, pe->r.pe_id, "it could not be set up", now_of(pes));
        free(pe);
        return r;
    }
    insert(pes, pe);
    save(pes, pe);
    *ret = pe;
    return 0;
}

int pes_add(struct pes *pes, const struct record *record, const struct pe **ret, char *why,
            size_t size)
{
    return add(pes, record, -1, NULL, ret, why, size);
}

int pes_add_waiting(struct pes *pes, const struct record *record, int dir_fd, const char *name,
                    char *why, size_t size)
{
    const struct pe *pe;
    return add(pes, record, dir_fd, name, &pe, why, size);
}

/* --- after a restart ----------------------------------------------------------------------------
 */

static void take_back(struct pes *p, const struct record *record)
{
    char why[PES_REASON_MAX];
    int r;
    struct pe *pe = (struct pe *)calloc(1, sizeof(*pe));
    if (pe == NULL) {
        return;
    }
    pe->r = *record;
    p->env.out->cause = 0;
    uint64_t event = outbox_event(p->env.out, EVENT_LOCAL_ADOPTED, record_handle(record),
                                  record->pe_id, 0, "found alive after a restart of rspd");
    if (agent_add(p, &pe->r, event, &r) == 0) {
        (void)snprintf(why, sizeof(why), "%s", strerror(-r));
    } else {
        r = attach(p, pe, why, sizeof(why));
    }
    if (r != 0) {
        log_warn("pe 0x%08x of an earlier rspd cannot be taken in: %s", record->pe_id, why);
        release(p, pe, false);
        ag_pe_remove(p->env.ag, record->pe_id, why, now_of(p));
        free(pe);
        return;
    }
    pe->load = pe->r.policy.words[0];
    insert(p, pe);
    ramp_on(p, pe);
    if (pe->r.drained) {
        apply_withholding(p, pe);
    }
}

/** The listener of an adopted PE: it lives as long as that very socket. */
static void on_lookup(void *ctx, int result, const struct watch_listener *l)
{
    struct lookup *lookup = (struct lookup *)ctx;
    struct pes *p = lookup->pes;
    struct lookup **at = &p->lookups;
    while (*at != lookup) {
        at = &(*at)->next;
    }
    *at = lookup->next;
    bool other = result == 0 && l->sockets == 1 && lookup->record.sock_cookie != 0 &&
                 l->sock_cookie != lookup->record.sock_cookie;
    if (result == -ENOENT || other) { /* ended while no daemon was there */
        (void)records_remove(p->records, lookup->record.pe_id);
    } else {
        take_back(p, &lookup->record); /* the watch tells if it could not be seen */
    }
    free(lookup);
}

/** Asks the kernel first, so that nobody is sent to a server that ended meanwhile. */
static bool look_up(struct pes *p, const struct record *r)
{
    struct lookup *lookup = (struct lookup *)calloc(1, sizeof(*lookup));
    if (lookup == NULL) {
        return false;
    }
    *lookup = (struct lookup){.next = p->lookups, .pes = p, .record = *r};
    uint64_t netns = foreign_netns(p, r);
    uint32_t way_in = netns != 0 ? r->pid : 0; /* at home any holder of the socket will do */
    if (watch_find(p->watch, r->protocol, r->port, way_in, netns, on_lookup, lookup) != 0) {
        free(lookup);
        return false;
    }
    p->lookups = lookup;
    return true;
}

static void restore_one(void *ctx, const struct record *record)
{
    struct pes *p = (struct pes *)ctx;
    if (record->adopted) {
        if (!look_up(p, record)) {
            take_back(p, record);
        }
    } else if (life_reopen(p->life, record->pe_id) == 0) {
        take_back(p, record);
    } else { /* ended while no daemon was there */
        (void)records_remove(p->records, record->pe_id);
    }
}

static void restore_bad(void *ctx, const char *name, const char *why)
{
    (void)ctx;
    log_warn("record %s is unusable: %s", name, why);
}

size_t pes_restore(struct pes *pes)
{
    int r = records_load(pes->records, restore_one, restore_bad, pes);
    if (r < 0) {
        log_warn("the records of an earlier rspd cannot be read: %s", strerror(-r));
    } else {
        (void)life_sweep(pes->life);
    }
    return pes->count;
}

/* --- requests -----------------------------------------------------------------------------------
 */

void pes_remove(struct pes *pes, uint32_t pe_id, const char *reason)
{
    struct pe *pe = find(pes, pe_id);
    if (pe != NULL) {
        drop(pes, pe, reason);
    }
}

int pes_life_fd(struct pes *pes, uint32_t pe_id)
{
    return life_give(pes->life, pe_id);
}

void pes_life_delivered(struct pes *pes, uint32_t pe_id)
{
    life_delivered(pes->life, pe_id);
}

const struct pe *pes_find(const struct pes *pes, uint32_t pe_id)
{
    return find(pes, pe_id);
}

const struct pe *pes_find_place(const struct pes *pes, const struct record *like)
{
    const struct pe *pe = pes->by_port[like->port % BUCKETS];
    for (; pe != NULL; pe = pe->port_next) {
        if (record_same_place(&pe->r, like)) {
            return pe;
        }
    }
    return NULL;
}

const struct pe *pes_next(const struct pes *pes, const struct pe *pe)
{
    size_t i = 0;
    if (pe != NULL) {
        if (pe->id_next != NULL) {
            return pe->id_next;
        }
        i = pe->r.pe_id % BUCKETS + 1;
    }
    for (; i < BUCKETS; i++) {
        if (pes->by_id[i] != NULL) {
            return pes->by_id[i];
        }
    }
    return NULL;
}

size_t pes_count(const struct pes *pes)
{
    return pes->count;
}

bool pes_connections(const struct pes *pes, uint32_t pe_id, uint32_t *ret)
{
    return watch_connections(pes->watch, pe_id, ret);
}

const char *pes_state(const struct pes *pes, const struct pe *pe)
{
    if (pe->r.drained) {
        return pe->left ? "drained" : "draining";
    }
    if (pe->probe_failed || pe->hung) {
        return "withheld";
    }
    struct ag_pe_info info;
    if (!ag_pe_get(pes->env.ag, pe->r.pe_id, &info)) {
        return "waiting";
    }
    switch (info.state) {
    case AG_PE_REGISTERED:
    case AG_PE_REREGISTERING:
        return "up";
    case AG_PE_REFUSED:
        return "refused";
    case AG_PE_UNREGISTERED: /* no address for other hosts: serves this one */
        return pe->outcome == PE_ACCEPTED ? "up" : "waiting";
    case AG_PE_REGISTERING:
        return "registering";
    default:
        return "waiting";
    }
}

const char *pes_reason(const struct pes *pes, const struct pe *pe)
{
    struct ag_pe_info info;
    if (pe->r.drained) {
        return "draining";
    }
    if (pe->probe_failed) {
        return pe->probe_reason;
    }
    if (pe->hung) {
        return pe->hang_reason;
    }
    if (ag_pe_get(pes->env.ag, pe->r.pe_id, &info) && info.reason != NULL) {
        return info.reason;
    }
    return pe->outcome != PE_ACCEPTED && pe->text[0] != '\0' ? pe->text : NULL;
}

int pes_drain(struct pes *pes, uint32_t pe_id, bool drain, uint32_t by_uid)
{
    struct pe *pe = find(pes, pe_id);
    if (pe == NULL) {
        return -ENOENT;
    }
    if (pe->r.drained == drain) {
        return 0;
    }
    pe->r.drained = drain;
    pes->env.out->cause = 0;
    if (drain) {
        pes->env.out->cause =
            outbox_event(pes->env.out, EVENT_LOCAL_DRAINING, record_handle(&pe->r), pe_id, 0,
                         "drained by user %u", by_uid);
    }
    save(pes, pe);
    apply_withholding(pes, pe);
    pes->env.out->cause = 0;
    return 0;
}

int pes_update(struct pes *pes, uint32_t pe_id, const struct policy *policy, uint32_t load)
{
    struct pe *pe = find(pes, pe_id);
    struct ag_pe_info info;
    if (pe == NULL || !ag_pe_get(pes->env.ag, pe_id, &info)) {
        return -ENOENT;
    }
    struct policy next = policy != NULL ? *policy : info.pe.policy;
    if (policy == NULL) {
        const struct policy_info *kind = policy_info_by_type(next.type);
        if (kind == NULL || !kind->adaptive || kind->word_count == 0) {
            return -EOPNOTSUPP;
        }
        next.word_count = kind->word_count;
        next.words[0] = load;
    }
    pe->load = next.words[0];
    struct policy told = ramp_policy(&pe->r, next, now_of(pes));
    int r = ag_pe_policy(pes->env.ag, pe_id, &told, now_of(pes));
    if (r == 0) {
        pe->own_load = true;
        pe->r.policy = next;
        save(pes, pe);
    }
    return r;
}

int pes_change(struct pes *pes, uint32_t pe_id, const struct record *next)
{
    struct pe *pe = find(pes, pe_id);
    if (pe == NULL) {
        return -ENOENT;
    }
    pe->r.families = next->families;
    pe->r.address_count = next->address_count;
    memcpy(pe->r.addresses, next->addresses, sizeof(pe->r.addresses));
    pe->r.life_ms = next->life_ms;
    pe->r.interval_ms = next->interval_ms;
    const struct ag_pe want = agent_view(pes, &pe->r, 0);
    int r = ag_pe_change(pes->env.ag, pe_id, &want, now_of(pes));
    if (r == 1) {
        release(pes, pe, false);
        r = look_after(pes, pe);
    }
    save(pes, pe);
    return r;
}

int pes_probe_done(struct pes *pes, uint32_t pe_id, bool ok, const char *text)
{
    return probe_done(pes->probes, pe_id, ok, text);
}

/* --- the agent's actions ------------------------------------------------------------------------
 */

void pes_registered(struct pes *pes, uint32_t pe_id, int result, uint16_t cause, const char *text)
{
    struct pe *pe = find(pes, pe_id);
    if (pe == NULL) {
        return;
    }
    pe->result = result;
    pe->cause = cause;
    (void)snprintf(pe->text, sizeof(pe->text), "%s", text);
    if (result == 0) {
        pe->outcome = PE_ACCEPTED;
        if (pe->r.slow_start_ms != 0 && pe->r.since_us == 0) {
            pe->r.since_us = (uint64_t)now_of(pes).us;
            save(pes, pe);
            ramp_on(pes, pe);
        }
    } else if (result == -EAGAIN || result == -ETIMEDOUT) {
        pe->outcome = PE_WAITING;
    } else {
        pe->outcome = PE_REFUSED;
    }
    if (pes->events.outcome != NULL) {
        pes->events.outcome(pes->ctx, pe);
    }
}

void pes_deregistered(struct pes *pes, uint32_t pe_id)
{
    struct pe *pe = find(pes, pe_id);
    if (pe == NULL) {
        return;
    }
    pe->left = true;
    if (pes->events.left != NULL) {
        pes->events.left(pes->ctx, pe);
    }
}

void pes_try(struct pes *pes, uint32_t pe_id, enum transport_protocol protocol,
             const struct ip_address *addresses, size_t count, uint16_t port)
{
    if (protocol != TRANSPORT_TCP) {
        /* Nothing can be learnt without sending it data: the next client tries. */
        ag_tried(pes->env.ag, pe_id, true, now_of(pes));
        return;
    }
    if (probe_try(pes->probes, pe_id, addresses, count, port, TRY_TIMEOUT_MS) != 0) {
        ag_tried(pes->env.ag, pe_id, false, now_of(pes));
    }
}

struct watch *pes_watch(struct pes *pes)
{
    return pes->watch;
}
