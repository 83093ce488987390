/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One host: what the daemon does with its machines, on the simulated network. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "wire/asap.h"
#include "wire/enrp.h"

bool host_has(const struct host *host, enum endpoint ep)
{
    return host->alive && (ep == EP_AGENT ? host->ag != NULL : host->rg != NULL);
}

/* --- the seam of the two registrar machines
 * ------------------------------------------------------- */

static void on_adopt(void *ctx, const struct hs_element *element, struct tm_us at)
{
    rg_adopt(((struct host *)ctx)->rg, element, at);
}

static void on_suggested(void *ctx, const struct hs_element *element, struct tm_us now)
{
    rg_suggested(((struct host *)ctx)->rg, element, now);
}

static void on_offered(void *ctx, uint64_t assoc, struct tm_us now)
{
    rg_offered(((struct host *)ctx)->rg, assoc, now);
}

static void on_disowned(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    rg_disowned(((struct host *)ctx)->rg, handle, pe_id, now);
}

static bool on_disputed(void *ctx, struct pool_handle handle, uint32_t pe_id)
{
    return rg_disputed(((struct host *)ctx)->rg, handle, pe_id);
}

static void on_changed(void *ctx, struct pool_handle handle, uint32_t pe_id, struct tm_us now)
{
    rg_element_changed(((struct host *)ctx)->rg, handle, pe_id, now);
}

static void on_registered(void *ctx, const struct hs_element *element, struct tm_us now)
{
    enrp_registered(((struct host *)ctx)->en, element, now);
}

static void on_removed(void *ctx, const struct hs_element *element, bool by_itself,
                       struct tm_us now)
{
    enrp_removed(((struct host *)ctx)->en, element, by_itself, now);
}

static void add_counters(struct enrp_counters *sum, const struct host *host)
{
    struct enrp_counters c;
    if (host->en == NULL) {
        return;
    }
    enrp_get_counters(host->en, &c);
    sum->messages_out += c.messages_out;
    sum->octets_out += c.octets_out;
    sum->malformed += c.malformed;
    sum->errors_in += c.errors_in;
    sum->ignored += c.ignored;
    sum->resyncs += c.resyncs;
    sum->takeovers += c.takeovers;
    sum->conflicts += c.conflicts;
    sum->suggestions += c.suggestions;
}

struct enrp_counters world_counters(const struct world *w)
{
    struct enrp_counters sum = w->enrp;
    for (int h = 0; h < w->host_count; h++) {
        add_counters(&sum, &w->hosts[h]);
    }
    return sum;
}

/* --- coming and going
 * ----------------------------------------------------------------------------- */

void host_start_registrar(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    struct rg_settings rg_set = w->rg_set;
    struct enrp_settings en_set = w->en_set;
    struct hs_limits limits = {0};
    host->id = rnd_identifier(&w->rnd);
    rg_set.id = host->id;
    en_set.id = host->id;
    outbox_init(&host->rg_box);
    outbox_init(&host->en_box);
    host->hs = hs_new(&limits, rnd_next(&w->rnd));
    CHECKED(host->hs != NULL);
    host->rg = rg_new(&rg_set, host->hs, &host->rg_box, rnd_next(&w->rnd), w->now);
    CHECKED(host->rg != NULL);
    struct enrp_hooks en_hooks = {.ctx = host,
                                  .adopt = on_adopt,
                                  .suggested = on_suggested,
                                  .offered = on_offered,
                                  .disowned = on_disowned,
                                  .disputed = on_disputed,
                                  .changed = on_changed};
    host->en = enrp_new(&en_set, &en_hooks, host->hs, &host->en_box, rnd_next(&w->rnd), w->now);
    CHECKED(host->en != NULL);
    struct rg_hooks rg_hooks = {.ctx = host, .registered = on_registered, .removed = on_removed};
    rg_set_hooks(host->rg, &rg_hooks);
    enrp_addresses(host->en, &host->address, 1, ENRP_PORT_SIM, w->now);
    for (int p = 0; w->config.statics && p < w->config.registrars; p++) {
        CHECKED(enrp_static_peer(host->en, &w->hosts[p].address, 1, ENRP_PORT_SIM) == 0);
    }
    enrp_start(host->en, w->now);
    rg_assoc_up(host->rg, LOCAL_ASSOC, &host->address, 1, AGENT_PORT_SIM, w->now);
    ag_local_registrar(host->ag, host->id, host->hs, w->now);
    say(w, "host %d: registrar %08x", h, host->id);
    host_drain(w, h);
}

void host_stop_registrar(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    add_counters(&w->enrp, host);
    ag_local_registrar(host->ag, 0, NULL, w->now);
    net_drop_all(w, h, EP_ASAP, true, true);
    net_drop_all(w, h, EP_ENRP, true, true);
    enrp_free(host->en);
    rg_free(host->rg);
    hs_free(host->hs);
    host->en = NULL;
    host->rg = NULL;
    host->hs = NULL;
    outbox_done(&host->rg_box);
    outbox_done(&host->en_box);
}

uint32_t host_add_pe(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    for (int i = 0; i < PES_MAX; i++) {
        struct pe *pe = &host->pes[i];
        if (pe->used) {
            continue;
        }
        int error = 0;
        uint32_t pool = (uint32_t)rnd_below(&w->rnd, 8);
        (void)snprintf(pe->handle, sizeof(pe->handle), "pool-%u", pool);
        pe->port = (uint16_t)(1000 + i);
        struct ag_pe wish = {.handle = pool_handle_of(pe->handle),
                             .protocol = TRANSPORT_TCP,
                             .port = pe->port,
                             .families = 1,
                             .policy = {.type = pool % 2 == 0 ? POLICY_RR : POLICY_RAND}};
        pe->id = ag_pe_add(host->ag, &wish, w->now, &error);
        CHECKED(pe->id != 0);
        pe->used = true;
        say(w, "host %d: PE %08x in %s", h, pe->id, pe->handle);
        return pe->id;
    }
    return 0;
}

void host_start(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    host->alive = true;
    host->frozen = false;
    memset(host->pes, 0, sizeof(host->pes));
    outbox_init(&host->ag_box);
    host->ag = ag_new(&w->ag_set, &host->ag_box, rnd_next(&w->rnd), w->now);
    CHECKED(host->ag != NULL);
    ag_host_addresses(host->ag, &host->address, 1, w->now);
    if (host->can_register) {
        host_start_registrar(w, h);
    }
    int pes = host->can_register ? (int)rnd_below(&w->rnd, 3) : w->config.pes;
    for (int i = 0; i < pes; i++) {
        (void)host_add_pe(w, h);
    }
    host_drain(w, h);
}

static void drop_held(struct host *host)
{
    while (host->held != NULL) {
        struct held *held = host->held;
        host->held = held->next;
        free(held->message);
        free(held);
    }
    host->held_last = &host->held;
}

void host_stop(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    add_counters(&w->enrp, host);
    enrp_free(host->en);
    rg_free(host->rg);
    ag_free(host->ag);
    if (host->hs != NULL) {
        hs_free(host->hs);
        outbox_done(&host->rg_box);
        outbox_done(&host->en_box);
    }
    outbox_done(&host->ag_box);
    host->en = NULL;
    host->rg = NULL;
    host->ag = NULL;
    host->hs = NULL;
    host->alive = false;
    host->timer_generation++;
    host->timer_at = (struct tm_us){-1};
    drop_held(host);
}

/* --- what its machines want
 * ----------------------------------------------------------------------- */

static void down(struct world *w, struct host *host, enum endpoint ep, uint64_t assoc,
                 enum enrp_down reason)
{
    if (ep == EP_AGENT) {
        ag_assoc_down(host->ag, assoc, w->now);
    } else if (ep == EP_ASAP && host->rg != NULL) {
        rg_assoc_down(host->rg, assoc, w->now);
    } else if (host->en != NULL) {
        enrp_assoc_down(host->en, assoc, reason, w->now);
    }
}

static void carry_out(struct world *w, int h, enum endpoint ep, struct action *a)
{
    struct host *host = &w->hosts[h];
    switch (a->kind) {
    case ACTION_CONNECT:
        net_connect(w, h, ep, a);
        break;
    case ACTION_SEND: {
        uint32_t ppid = a->ppid != 0 ? a->ppid : ASAP_PPID;
        CHECKED(ppid == (ep == EP_ENRP ? ENRP_PPID : ASAP_PPID));
        bool sent = net_send(w, h, ep, a->assoc, ppid, a->message);
        a->message = NULL;
        if (!sent) {
            down(w, host, ep, a->assoc, ENRP_DOWN_LOST);
        }
        break;
    }
    case ACTION_DISCONNECT:
        net_disconnect(w, h, ep, a->assoc, a->abort);
        break;
    case ACTION_ANNOUNCE:
    case ACTION_ENRP_ANNOUNCE:
        if (a->kind == ACTION_ENRP_ANNOUNCE || enrp_phase(host->en) == ENRP_OPERATIONAL) {
            net_cast(w, h, a->kind == ACTION_ENRP_ANNOUNCE, a->message);
            a->message = NULL;
        }
        break;
    case ACTION_RESOLVED:
        use_resolved(w, h, a->request);
        break;
    case ACTION_EVENT:
        say(w, "host %d: %s: %s", h, event_kind_name(a->event.kind), a->event.text);
        break;
    default:
        break;
    }
}

/* Between agent and registrar of this host. */
static void carry_out_local(struct world *w, struct host *host, bool from_agent,
                            const struct action *a)
{
    if (a->kind == ACTION_SEND && from_agent && host->rg != NULL) {
        rg_message(host->rg, LOCAL_ASSOC, a->message->octets, a->message->len, w->now);
    } else if (a->kind == ACTION_SEND && !from_agent) {
        ag_message(host->ag, LOCAL_ASSOC, a->message->octets, a->message->len, w->now);
    } else if (a->kind == ACTION_CONNECT && host->rg != NULL) {
        ag_assoc_up(host->ag, LOCAL_ASSOC, &host->address, 1, 0, w->now);
    } else if (a->kind == ACTION_CONNECT) {
        ag_assoc_down(host->ag, LOCAL_ASSOC, w->now);
    }
}

static bool drain_box(struct world *w, int h, enum endpoint ep, struct outbox *box)
{
    struct action *a = outbox_take(box);
    if (a == NULL) {
        return false;
    }
    if (a->assoc == LOCAL_ASSOC && a->kind != ACTION_EVENT) {
        carry_out_local(w, &w->hosts[h], ep == EP_AGENT, a);
    } else {
        carry_out(w, h, ep, a);
    }
    action_free(a);
    return true;
}

static void arm(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    struct tm_us next = ag_next_timer(host->ag);
    if (host->rg != NULL) {
        next = tm_min(next, tm_min(rg_next_timer(host->rg), enrp_next_timer(host->en)));
    }
    if (tm_is_never(next) || (next.us == host->timer_at.us && host->timer_generation != 0)) {
        return;
    }
    host->timer_at = next;
    world_at(w, next, AT_TIMER, h, ++host->timer_generation, 0, NULL);
}

void host_drain(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    bool more = true;
    unsigned rounds = 0;
    while (more && host->alive) {
        more = drain_box(w, h, EP_AGENT, &host->ag_box);
        if (host->rg != NULL) {
            more = drain_box(w, h, EP_ASAP, &host->rg_box) || more;
            more = drain_box(w, h, EP_ENRP, &host->en_box) || more;
        }
        CHECKED(++rounds < 1000000);
        if (!more && host->en != NULL && enrp_phase(host->en) == ENRP_LEFT) {
            host_stop_registrar(w, h);
            more = true;
        }
    }
    if (host->alive && !host->frozen) {
        arm(w, h);
    }
}

void host_timer(struct world *w, int h, uint32_t generation)
{
    struct host *host = &w->hosts[h];
    if (!host->alive || host->frozen || host->timer_generation != generation) {
        return;
    }
    host->timer_at = (struct tm_us){-1};
    if (tm_due(ag_next_timer(host->ag), w->now)) {
        ag_timer(host->ag, w->now);
    }
    if (host->rg != NULL && tm_due(rg_next_timer(host->rg), w->now)) {
        rg_timer(host->rg, w->now);
    }
    if (host->en != NULL && tm_due(enrp_next_timer(host->en), w->now)) {
        enrp_timer(host->en, w->now);
    }
    host_drain(w, h);
}

/* --- what the network tells
 * ----------------------------------------------------------------------- */

static void tell_now(struct world *w, int h, const struct held *t)
{
    struct host *host = &w->hosts[h];
    const struct ip_address *peer = t->peer >= 0 ? &w->hosts[t->peer].address : NULL;
    if (!host_has(host, t->ep)) {
        return;
    }
    switch (t->tell) {
    case TELL_UP:
        if (t->ep == EP_AGENT) {
            ag_assoc_up(host->ag, t->assoc, peer, 1, t->port, w->now);
        } else if (t->ep == EP_ASAP) {
            rg_assoc_up(host->rg, t->assoc, peer, 1, t->port, w->now);
        } else {
            enrp_assoc_up(host->en, t->assoc, peer, 1, t->port, w->now);
        }
        break;
    case TELL_MESSAGE:
        if (t->ep == EP_AGENT) {
            ag_message(host->ag, t->assoc, t->message->octets, t->message->len, w->now);
        } else if (t->ep == EP_ASAP) {
            rg_message(host->rg, t->assoc, t->message->octets, t->message->len, w->now);
        } else {
            enrp_receive(host->en, t->assoc, t->message->octets, t->message->len, w->now);
        }
        break;
    case TELL_DOWN:
        down(w, host, t->ep, t->assoc, ENRP_DOWN_LOST);
        break;
    case TELL_SHUTDOWN:
        down(w, host, t->ep, t->assoc, ENRP_DOWN_SHUTDOWN);
        break;
    case TELL_CANT:
        down(w, host, t->ep, t->assoc, ENRP_DOWN_CANT_START);
        break;
    }
}

void host_tell(struct world *w, int h, enum tell tell, enum endpoint ep, uint64_t assoc, int peer,
               uint16_t port, struct buffer *take_message)
{
    struct host *host = &w->hosts[h];
    struct held t = {.tell = tell,
                     .ep = ep,
                     .assoc = assoc,
                     .peer = peer,
                     .port = port,
                     .message = take_message};
    if (host->alive && !host->frozen) {
        tell_now(w, h, &t);
        free(take_message);
        host_drain(w, h);
        return;
    }
    if (!host->alive) {
        free(take_message);
        return;
    }
    struct held *held = malloc(sizeof(*held));
    CHECKED(held != NULL);
    *held = t;
    *host->held_last = held;
    host->held_last = &held->next;
}

void host_thaw(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    if (!host->alive || !host->frozen) {
        return;
    }
    host->frozen = false;
    say(w, "host %d: goes on", h);
    /* What has arrived is read first, as by a loop that serves sockets before timers. */
    while (host->held != NULL && host->alive) {
        struct held *held = host->held;
        host->held = held->next;
        if (host->held == NULL) {
            host->held_last = &host->held;
        }
        tell_now(w, h, held);
        free(held->message);
        free(held);
        host_drain(w, h);
    }
    if (host->alive) {
        host->timer_at = (struct tm_us){-1};
        host_drain(w, h);
    }
}
