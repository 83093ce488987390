/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The machines of the daemon: the agent always, the registrar where the role says so. They never
 * call each other: what one wants is taken from its outbox and carried to the other, to the
 * transport or to the local side, in order, with the event that caused it.
 */
#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "rspd/daemon_internal.h"
#include "wire/asap.h"

#define ACTIONS_PER_ROUND   20000
#define SOON_MS             1000
#define SOON_ACCURACY_US    2000
#define LATE_ACCURACY_US    400000
#define ANNOUNCE_UNHEARD_MS 3600000

/* --- settings ------------------------------------------------------------------------------------
 */

void machines_ag_settings(const struct settings *s, struct ag_settings *ret)
{
    ag_settings_default(ret);
    ret->t1_request_ms = s->t1_request_ms;
    ret->t2_registration_ms = s->t2_registration_ms;
    ret->t3_deregistration_ms = s->t3_deregistration_ms;
    ret->registration_life_ms = s->registration_life_ms;
    ret->reregistration_ms = s->reregistration_ms;
    ret->t5_hunt_ms = s->t5_hunt_ms;
    ret->hunt_max_ms = s->hunt_max_ms;
    ret->t7_outdate_ms = s->t7_outdate_ms;
    ret->stale_cache_ms = s->stale_cache_ms;
    ret->max_registration_attempts = s->max_registration_attempts;
    ret->max_request_retransmits = s->max_request_retransmits;
    ret->resolve_items = s->resolve_items;
    ret->quarantine_first_ms = s->quarantine_first_ms;
    ret->quarantine_max_ms = s->quarantine_max_ms;
    ret->report_rate_ms = s->report_rate_ms;
    ret->life_in_seconds = s->life_in_seconds != 0;
    ret->handle_max = (uint16_t)s->handle_max;
    ret->dynamic_updates = s->dynamic_updates != 0;
}

static size_t copy_prefixes(const struct settings_prefixes *from, struct rg_prefix *to)
{
    for (uint8_t i = 0; i < from->count; i++) {
        to[i] = (struct rg_prefix){.address = from->items[i].address, .len = from->items[i].len};
    }
    return from->count;
}

/** [Pool …] RegisterFrom of the first section that matches. */
static const struct rg_prefix *pool_allow(void *ctx, struct pool_handle handle, size_t *ret_count)
{
    struct daemon *d = (struct daemon *)ctx;
    char text[POOL_HANDLE_MAX + 1];
    *ret_count = 0;
    if (handle.len > POOL_HANDLE_MAX || memchr(handle.octets, '\0', handle.len) != NULL) {
        return NULL;
    }
    memcpy(text, handle.octets, handle.len);
    text[handle.len] = '\0';
    for (size_t i = 0; i < d->settings.pool_count; i++) {
        const struct settings_pool *pool = &d->settings.pools[i];
        if (fnmatch(pool->pattern, text, FNM_NOESCAPE) == 0) {
            *ret_count = copy_prefixes(&pool->register_from, d->pool_allow);
            return d->pool_allow;
        }
    }
    return NULL;
}

static void rg_settings_of(struct daemon *d, struct rg_settings *ret)
{
    const struct settings *s = &d->settings;
    rg_settings_default(ret);
    ret->id = d->registrar_id;
    ret->keep_alive_ms = s->keep_alive_ms;
    ret->keep_alive_timeout_ms = s->keep_alive_timeout_ms;
    /* With nobody to hear it an announce would only wake the host up. */
    ret->announce_ms = net_can_hear(d) ? s->announce_ms : ANNOUNCE_UNHEARD_MS;
    ret->life_in_seconds = s->life_in_seconds != 0;
    ret->keep_alive_pe_id = s->keep_alive_pe_id != 0;
    ret->tell_expired = s->tell_expired != 0;
    ret->max_bad_pe_reports = s->max_bad_pe_reports;
    ret->items_default = s->items_default;
    ret->handle_max = (uint16_t)s->handle_max;
    ret->update_ms = s->update_ms;
    ret->allow = d->allow;
    ret->allow_count = copy_prefixes(&s->allow_from, d->allow);
    ret->pool_allow = pool_allow;
    ret->pool_allow_ctx = d;
    ret->host_assocs = s->host_assocs;
    ret->host_elements = s->host_elements;
    ret->host_messages = s->host_messages;
    ret->distance_step_ms = s->distance_step_ms;
    ret->loopback_stays = s->minimum_scope > IP_SCOPE_LOOPBACK;
}

void machines_configure(struct daemon *d)
{
    struct ag_settings ag;
    machines_ag_settings(&d->settings, &ag);
    ag_configure(d->ag, &ag, loop_now(d->loop));
    pes_set_hang_after(d->pes, d->settings.hang_after_ms);
    if (d->rg != NULL) {
        struct rg_settings rg;
        rg_settings_of(d, &rg);
        rg_configure(d->rg, &rg, loop_now(d->loop));
    }
    enrp_side_configure(d);
    d->role.settings.wanted = d->settings.registrars_wanted;
    d->role.settings.most = d->settings.registrars_max;
    d->role.settings.announce_ms = d->settings.announce_ms;
}

/* --- the registrar comes and goes ----------------------------------------------------------------
 */

static int registrar_start(struct daemon *d)
{
    const struct settings *s = &d->settings;
    struct tm_us now = loop_now(d->loop);
    struct hs_limits limits = {.pools = s->max_pools,
                               .elements = s->max_elements,
                               .elements_per_pool = s->max_elements_per_pool};
    struct rg_settings settings;
    rg_settings_of(d, &settings);
    d->hs = hs_new(&limits, rnd_next(&d->rnd));
    if (d->hs == NULL) {
        return -ENOMEM;
    }
    d->rg = rg_new(&settings, d->hs, &d->rg_out, rnd_next(&d->rnd), now);
    if (d->rg == NULL) {
        hs_free(d->hs);
        d->hs = NULL;
        return -ENOMEM;
    }
    d->rg_out.cause = 0;
    if (enrp_side_start(d) != 0) {
        rg_free(d->rg);
        d->rg = NULL;
        hs_free(d->hs);
        d->hs = NULL;
        return -ENOMEM;
    }
    if (!ag_has_home(d->ag)) {
        ag_local_joining(d->ag, true);
        ag_local_registrar(d->ag, d->registrar_id, d->hs, now);
    } /* else the other one serves this host until ours knows as much */
    if (d->role.decided) {
        enrp_side_join(d);
    }
    return 0;
}

static void registrar_stop(struct daemon *d)
{
    if (d->rg == NULL) {
        return;
    }
    ag_local_registrar(d->ag, 0, NULL, loop_now(d->loop));
    ag_local_joining(d->ag, false);
    net_close_registrar(d);
    enrp_side_stop(d);
    d->serving = false;
    rg_free(d->rg);
    d->rg = NULL;
    hs_free(d->hs);
    d->hs = NULL;
    outbox_done(&d->rg_out); /* what it wanted said is void */
}

/** Registrars other than ourselves with a lower identifier. */
static uint32_t lower_ids(const struct daemon *d)
{
    static struct ag_registrar_info list[65]; /* loop thread only */
    uint32_t lower = 0;
    size_t n = ag_registrars(d->ag, list, sizeof(list) / sizeof(list[0]));
    for (size_t i = 0; i < n; i++) {
        lower += !list[i].is_local && list[i].id != 0 && list[i].id < d->registrar_id;
    }
    return lower;
}

/** Said in the agent's outbox, so that it comes before what follows from it. */
static void tell_role(struct daemon *d)
{
    const char *role = "agent only, not a registrar";
    if (d->role.registrar) {
        role = d->role.decided ? "agent and registrar" : "agent, registrar not decided yet";
    }
    d->ag_out.cause = 0;
    d->ag_out.cause =
        outbox_event(&d->ag_out, EVENT_ROLE_CHANGED, (struct pool_handle){0}, 0,
                     d->role.registrar ? d->registrar_id : 0, "%s: %s", role, d->role.why);
}

static void apply_role(struct daemon *d)
{
    tell_role(d);
    if (d->role.registrar && d->rg == NULL) {
        int r = registrar_start(d);
        if (r != 0) {
            daemon_note(d, NOTE_REGISTRAR, "cannot be a registrar: %s", strerror(-r));
        }
    } else if (!d->role.registrar && d->rg != NULL) {
        machines_leave(d);
    }
    if (d->rg != NULL && d->role.registrar && d->role.decided) {
        enrp_side_join(d);
    }
}

void machines_leave(struct daemon *d)
{
    if (d->rg != NULL) {
        d->en_out.cause = d->ag_out.cause;
        enrp_leave(d->en, loop_now(d->loop)); /* settle() stops it when that is done */
        d->en_out.cause = 0;
    }
}

int machines_retire(void *ctx)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->rg == NULL) {
        return -ENOENT;
    }
    if (d->role.registrar) {
        if (enrp_peers_alive(d->en) == 0) {
            return -EHOSTUNREACH;
        }
        role_retire(&d->role);
        apply_role(d);
    }
    return 0;
}

void machines_role(struct daemon *d)
{
    struct tm_us now = loop_now(d->loop);
    uint32_t others = (uint32_t)ag_registrars_heard(d->ag, now);
    struct role_view view = {
        .can_hear = net_can_hear(d), .others = others, .lower_ids = lower_ids(d)};
    if (d->rg != NULL) {
        uint32_t peers = enrp_peers_alive(d->en);
        rg_set_peer_count(d->rg, peers > others ? peers : others);
    }
    if (!d->ending && role_step(&d->role, &view, now)) {
        apply_role(d);
    }
}

/* --- carrying out --------------------------------------------------------------------------------
 */

/** The wall clock of this round of the loop, read once in it. */
static uint64_t round_wall_us(struct daemon *d)
{
    struct tm_us now = loop_now(d->loop);
    if (d->wall_us == 0 || now.us != d->wall_at.us) {
        struct timespec ts;
        (void)clock_gettime(CLOCK_REALTIME, &ts);
        d->wall_us = (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
        d->wall_at = now;
    }
    return d->wall_us;
}

static void tell_event(struct daemon *d, const struct action *a)
{
    (void)eventlog_add(d->log, &a->event, round_wall_us(d));
    switch (a->event.kind) {
    case EVENT_REGISTRAR_FOUND:
    case EVENT_REGISTRAR_LOST:
    case EVENT_PEER_FOUND:
    case EVENT_PEER_LOST:
        machines_role(d);
        break;
    default:
        break;
    }
}

/** Actions both machines have. `ep` is the machine's endpoint. False: not one of these. */
static bool carry_out_common(struct daemon *d, struct tp_endpoint *ep, const struct action *a,
                             bool *ret_lost)
{
    int r = 0;
    *ret_lost = false;
    switch (a->kind) {
    case ACTION_CONNECT:
        r = ep != NULL ? tp_connect(ep, a->assoc, a->addresses, a->address_count, a->port)
                       : -ENOTCONN;
        *ret_lost = r != 0;
        return true;
    case ACTION_SEND:
        r = ep != NULL ? tp_send(ep, a->assoc, a->ppid != 0 ? a->ppid : ASAP_PPID,
                                 a->message->octets, a->message->len)
                       : -ENOTCONN;
        if (r != 0 && ep != NULL) {
            tp_disconnect(ep, a->assoc, true); /* it does not take what it asked for */
        }
        *ret_lost = r != 0;
        return true;
    case ACTION_DISCONNECT:
        if (ep != NULL) {
            tp_disconnect(ep, a->assoc, a->abort);
        }
        return true;
    case ACTION_EVENT:
        tell_event(d, a);
        return true;
    default:
        return false;
    }
}

/** Agent to registrar within the process. */
static void agent_to_registrar(struct daemon *d, const struct action *a, struct tm_us now)
{
    d->rg_out.cause = a->event.cause;
    if (a->kind == ACTION_SEND && d->rg != NULL) {
        rg_message(d->rg, LOCAL_ASSOC, a->message->octets, a->message->len, now);
    } else if (a->kind == ACTION_CONNECT) {
        d->ag_out.cause = a->event.cause;
        if (d->rg != NULL) {
            ag_assoc_up(d->ag, LOCAL_ASSOC, d->addresses, d->address_count, 0, now);
        } else {
            ag_assoc_down(d->ag, LOCAL_ASSOC, now);
        }
    }
    d->rg_out.cause = 0;
}

static void carry_out_agent(struct daemon *d, const struct action *a)
{
    struct tm_us now = loop_now(d->loop);
    bool lost;
    if (a->assoc == LOCAL_ASSOC &&
        (a->kind == ACTION_SEND || a->kind == ACTION_CONNECT || a->kind == ACTION_DISCONNECT)) {
        agent_to_registrar(d, a, now);
        return;
    }
    if (carry_out_common(d, d->agent_ep, a, &lost)) {
        if (lost) {
            d->ag_out.cause = a->event.cause;
            ag_assoc_down(d->ag, a->assoc, now);
        }
        return;
    }
    switch (a->kind) {
    case ACTION_REGISTERED:
        pes_registered(d->pes, a->pe_id, a->result, a->cause, a->text);
        break;
    case ACTION_DEREGISTERED:
        pes_deregistered(d->pes, a->pe_id);
        break;
    case ACTION_RESOLVED:
        requests_resolved(d->requests, a->request);
        break;
    case ACTION_TRY_PE:
        pes_try(d->pes, a->pe_id, a->protocol, a->addresses, a->address_count, a->port);
        break;
    default:
        break;
    }
}

static void carry_out_registrar(struct daemon *d, const struct action *a)
{
    struct tm_us now = loop_now(d->loop);
    bool lost;
    if (a->kind == ACTION_ANNOUNCE) {
        if (enrp_side_serves(d) && d->registrar_ep != NULL && net_can_hear(d)) {
            net_announce(d, a->message->octets, a->message->len);
        }
        return;
    }
    if (a->assoc == LOCAL_ASSOC && a->kind != ACTION_EVENT) {
        if (a->kind == ACTION_SEND) {
            d->ag_out.cause = a->event.cause;
            ag_message(d->ag, LOCAL_ASSOC, a->message->octets, a->message->len, now);
            d->ag_out.cause = 0;
        }
        return; /* the local association neither opens nor ends but with the role */
    }
    if (carry_out_common(d, d->registrar_ep, a, &lost) && lost && d->rg != NULL) {
        d->rg_out.cause = a->event.cause;
        rg_assoc_down(d->rg, a->assoc, now);
    }
}

static void carry_out_enrp(struct daemon *d, const struct action *a)
{
    bool lost;
    if (a->kind == ACTION_ENRP_ANNOUNCE) {
        enrp_net_announce(d, a->message->octets, a->message->len);
        return;
    }
    if (carry_out_common(d, d->enrp_ep, a, &lost) && lost && d->en != NULL) {
        d->en_out.cause = a->event.cause;
        enrp_assoc_down(d->en, a->assoc,
                        a->kind == ACTION_CONNECT ? ENRP_DOWN_CANT_START : ENRP_DOWN_LOST,
                        loop_now(d->loop));
        d->en_out.cause = 0;
    }
    if (a->kind == ACTION_EVENT) {
        enrp_side_event(d, &a->event);
    }
}

/** What is due when nothing is left to carry out. True: there is something again. */
static bool settle(struct daemon *d)
{
    if (d->en != NULL && enrp_phase(d->en) == ENRP_LEFT) {
        registrar_stop(d);
        if (d->role.registrar && !d->ending) {
            apply_role(d); /* it was wanted again meanwhile */
        }
        return true;
    }
    if (d->restart_registrar) {
        d->restart_registrar = false;
        registrar_stop(d);
        d->registrar_id = rnd_identifier(&d->rnd);
        apply_role(d);
        return true;
    }
    return false;
}

/** Is everything that was to leave the scope out of it? Then the loop may end. */
static void check_ended(struct daemon *d)
{
    struct ag_pe_info info;
    uint32_t cursor = 0;
    if (d->ending && d->rg == NULL && !ag_pe_next(d->ag, &cursor, &info)) {
        loop_exit(d->loop);
    }
}

static void arm(struct daemon *d)
{
    struct tm_us now = loop_now(d->loop);
    struct tm_us next = ag_next_timer(d->ag);
    if (d->rg != NULL) {
        next = tm_min(next, tm_min(rg_next_timer(d->rg), enrp_next_timer(d->en)));
    }
    next = tm_min(next, role_next(&d->role));
    bool near = tm_before(next, tm_add_ms(now, SOON_MS));
    (void)loop_timer_set(d->soon, near ? next : TM_NEVER);
    (void)loop_timer_set(d->late, near ? TM_NEVER : next);
}

static void drain_again(void *ctx)
{
    struct daemon *d = (struct daemon *)ctx;
    d->draining_posted = false; /* draining itself comes before the loop sleeps */
}

void machines_drain(void *ctx)
{
    struct daemon *d = (struct daemon *)ctx;
    struct action *a;
    unsigned done = 0;
    bool any = true;
    while (any && done < ACTIONS_PER_ROUND) {
        any = false;
        while (done < ACTIONS_PER_ROUND && (a = outbox_take(&d->ag_out)) != NULL) {
            carry_out_agent(d, a);
            action_free(a);
            any = true;
            done++;
        }
        while (done < ACTIONS_PER_ROUND && (a = outbox_take(&d->rg_out)) != NULL) {
            carry_out_registrar(d, a);
            action_free(a);
            any = true;
            done++;
        }
        while (done < ACTIONS_PER_ROUND && (a = outbox_take(&d->en_out)) != NULL) {
            carry_out_enrp(d, a);
            action_free(a);
            any = true;
            done++;
        }
        any = any || settle(d);
    }
    if (done >= ACTIONS_PER_ROUND && !d->draining_posted) {
        d->draining_posted = loop_post(d->loop, drain_again, d) == 0;
    }
    arm(d);
    check_ended(d);
}

static void on_timer(void *ctx, struct tm_us now)
{
    struct daemon *d = (struct daemon *)ctx;
    d->ag_out.cause = 0;
    d->rg_out.cause = 0;
    d->en_out.cause = 0;
    if (tm_due(ag_next_timer(d->ag), now)) {
        ag_timer(d->ag, now);
    }
    if (d->rg != NULL && tm_due(rg_next_timer(d->rg), now)) {
        rg_timer(d->rg, now);
    }
    if (d->en != NULL && tm_due(enrp_next_timer(d->en), now)) {
        enrp_timer(d->en, now);
    }
    if (tm_due(role_next(&d->role), now)) {
        machines_role(d);
    }
}

/* --- beginning and end ---------------------------------------------------------------------------
 */

static int add_static_registrars(struct daemon *d)
{
    const struct settings *s = &d->settings;
    for (uint8_t i = 0; i < s->registrars.count; i++) {
        int r = ag_static_registrar(d->ag, &s->registrars.items[i].address, 1,
                                    s->registrars.items[i].port, loop_now(d->loop));
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

int machines_start(struct daemon *d)
{
    const struct settings *s = &d->settings;
    struct tm_us now = loop_now(d->loop);
    struct role_settings role = {.mode = (enum role_mode)s->role,
                                 .wanted = s->registrars_wanted,
                                 .most = s->registrars_max,
                                 .announce_ms = s->announce_ms,
                                 .registrars_given = s->registrars.count > 0};
    int r = loop_timer_add(d->loop, SOON_ACCURACY_US, on_timer, d, &d->soon);
    if (r == 0) {
        r = loop_timer_add(d->loop, LATE_ACCURACY_US, on_timer, d, &d->late);
    }
    if (r != 0) {
        return r;
    }
    d->registrar_id = s->registrar_id != 0 ? s->registrar_id : rnd_identifier(&d->rnd);
    ag_host_addresses(d->ag, d->addresses, d->address_count, now);
    role_init(&d->role, &role, rnd_next(&d->rnd), now);
    if (d->role.registrar) {
        r = registrar_start(d);
    }
    if (r == 0 && d->agent_ep != NULL) {
        r = add_static_registrars(d);
    }
    if (r != 0) {
        return r;
    }
    machines_drain(d); /* what has happened until now, in its order */
    machines_role(d);  /* alone on the host: decided at once */
    if (!d->role.decided || d->role.settings.mode != ROLE_AUTO ||
        d->role.settings.registrars_given) {
        tell_role(d);
    }
    loop_set_before_sleep(d->loop, machines_drain, d);
    return 0;
}

void machines_stop(struct daemon *d)
{
    if (d->ag != NULL) {
        registrar_stop(d);
        ag_free(d->ag);
        d->ag = NULL;
    }
    loop_timer_free(d->soon);
    loop_timer_free(d->late);
    outbox_done(&d->ag_out);
    outbox_done(&d->rg_out);
    outbox_done(&d->en_out);
}
