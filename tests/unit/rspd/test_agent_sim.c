/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A small scope on a virtual clock: the real agents and the real registrars, connected by queues
 * with a delay. Associations break and take the messages on their way with them.
 */
#include "agent_fixture.h"

#include <stdlib.h>

#define AGENTS     20
#define PES        10
#define REGISTRARS 2
#define LINKS      256
#define DELAY_US   1000

struct link {
    bool used, up;
    int agent, registrar;
    uint64_t at_agent, at_registrar;
};

struct parcel {
    struct parcel *next;
    struct tm_us due;
    enum { TO_AGENT, TO_REGISTRAR, UP, DOWN } kind;
    uint32_t link;
    uint64_t number; /* at_agent of the link it was sent on */
    struct buffer *message;
};

struct world {
    struct tm_us now;
    struct rnd rnd;
    struct outbox agent_box[AGENTS], registrar_box[REGISTRARS];
    struct ag *agents[AGENTS];
    struct rg *registrars[REGISTRARS];
    struct hs *hs[REGISTRARS];
    uint64_t next_accepted;
    uint32_t next_id;
    struct link links[LINKS];
    struct parcel *first, **last;
    uint32_t pes[AGENTS][PES];
    unsigned told[AGENTS];
};

static struct ip_address registrar_ip(int r)
{
    return (struct ip_address){IP_V4, {10, 0, 1, (uint8_t)(r + 1)}};
}

static struct ip_address agent_ip(int a)
{
    return (struct ip_address){IP_V4, {10, 0, 0, (uint8_t)(a + 1)}};
}

static void post(struct world *w, int kind, uint32_t link, struct buffer *message)
{
    struct parcel *p = calloc(1, sizeof(*p));
    cr_assert_not_null(p);
    p->due = (struct tm_us){w->now.us + DELAY_US};
    p->kind = kind;
    p->link = link;
    p->number = w->links[link].at_agent;
    p->message = message;
    *w->last = p;
    w->last = &p->next;
}

static void registrar_start(struct world *w, int r)
{
    struct hs_limits limits = {1000, 10000, 10000};
    struct rg_settings set;
    rg_settings_default(&set);
    set.id = ++w->next_id;
    outbox_init(&w->registrar_box[r]);
    w->hs[r] = hs_new(&limits, set.id);
    w->registrars[r] = rg_new(&set, w->hs[r], &w->registrar_box[r], set.id, w->now);
    cr_assert_not_null(w->registrars[r]);
}

/* Its associations break; what was on its way is lost. */
static void registrar_stop(struct world *w, int r)
{
    for (uint32_t i = 0; i < LINKS; i++) {
        if (w->links[i].used && w->links[i].registrar == r) {
            w->links[i].up = false;
            post(w, DOWN, i, NULL);
        }
    }
    rg_free(w->registrars[r]);
    outbox_done(&w->registrar_box[r]);
    hs_free(w->hs[r]);
    w->registrars[r] = NULL;
    w->hs[r] = NULL;
}

static void connect_link(struct world *w, int agent, const struct action *action)
{
    for (uint32_t i = 0; i < LINKS; i++) {
        struct link *l = &w->links[i];
        if (l->used) {
            continue;
        }
        *l =
            (struct link){.used = true, .agent = agent, .registrar = -1, .at_agent = action->assoc};
        for (int r = 0; r < REGISTRARS; r++) {
            struct ip_address ip = registrar_ip(r);
            if (w->registrars[r] != NULL && ip_address_equal(&ip, &action->addresses[0]) &&
                action->port == ASAP_PORT) {
                l->registrar = r;
            }
        }
        l->up = l->registrar >= 0;
        post(w, l->up ? UP : DOWN, i, NULL);
        return;
    }
    cr_assert_fail("too many associations");
}

/* One side ends it: the other hears. */
static void end_link(struct world *w, struct link *l, bool by_agent)
{
    uint32_t i = (uint32_t)(l - w->links);
    bool was = l->up;
    l->up = false;
    if (by_agent) {
        if (was && l->at_registrar != 0 && w->registrars[l->registrar] != NULL) {
            rg_assoc_down(w->registrars[l->registrar], l->at_registrar, w->now);
        }
        l->used = false;
    } else {
        post(w, DOWN, i, NULL);
    }
}

static struct link *link_of(struct world *w, int agent, int registrar, uint64_t assoc)
{
    for (uint32_t i = 0; i < LINKS; i++) {
        struct link *l = &w->links[i];
        if (l->used &&
            ((agent >= 0 && l->agent == agent && l->at_agent == assoc) ||
             (registrar >= 0 && l->registrar == registrar && l->up && l->at_registrar == assoc))) {
            return l;
        }
    }
    return NULL;
}

static void agent_action(struct world *w, int a, struct action *action)
{
    struct link *l = link_of(w, a, -1, action->assoc);
    struct ag_answer answer;
    switch (action->kind) {
    case ACTION_CONNECT:
        connect_link(w, a, action);
        break;
    case ACTION_SEND:
        if (l != NULL && l->up) {
            post(w, TO_REGISTRAR, (uint32_t)(l - w->links), action->message);
            action->message = NULL;
        }
        break;
    case ACTION_DISCONNECT:
        if (l != NULL) {
            end_link(w, l, true);
        }
        break;
    case ACTION_REGISTERED:
        w->told[a] += action->result == 0 ? 1 : 0;
        break;
    case ACTION_RESOLVED:
        cr_assert(ag_resolve_take(w->agents[a], action->request, w->now, &answer));
        cr_assert_eq(answer.result, 0);
        break;
    default:
        break;
    }
}

static void registrar_action(struct world *w, int r, struct action *action)
{
    struct ip_address from = registrar_ip(r);
    struct link *l = link_of(w, -1, r, action->assoc);
    if (action->kind == ACTION_ANNOUNCE) {
        for (int a = 0; a < AGENTS; a++) {
            ag_announce(w->agents[a], &from, ASAP_PORT, action->message->octets,
                        action->message->len, w->now);
        }
    } else if (action->kind == ACTION_SEND && l != NULL) {
        post(w, TO_AGENT, (uint32_t)(l - w->links), action->message);
        action->message = NULL;
    } else if (action->kind == ACTION_DISCONNECT && l != NULL) {
        end_link(w, l, false);
    }
}

static void drain(struct world *w)
{
    bool more = true;
    while (more) {
        struct action *action;
        more = false;
        for (int r = 0; r < REGISTRARS; r++) {
            while (w->registrars[r] != NULL && (action = outbox_take(&w->registrar_box[r]))) {
                registrar_action(w, r, action);
                action_free(action);
                more = true;
            }
        }
        for (int a = 0; a < AGENTS; a++) {
            while ((action = outbox_take(&w->agent_box[a])) != NULL) {
                agent_action(w, a, action);
                action_free(action);
                more = true;
            }
        }
    }
}

static void deliver(struct world *w, struct parcel *p)
{
    struct link *l = &w->links[p->link];
    if (!l->used || l->at_agent != p->number) {
        return;
    }
    struct rg *rg = l->registrar >= 0 ? w->registrars[l->registrar] : NULL;
    struct ip_address ip = agent_ip(l->agent);
    if (p->kind == DOWN) {
        l->used = false;
        ag_assoc_down(w->agents[l->agent], l->at_agent, w->now);
    } else if (!l->up || rg == NULL) {
        return; /* lost with the association */
    } else if (p->kind == UP) {
        l->at_registrar = ++w->next_accepted;
        rg_assoc_up(rg, l->at_registrar, &ip, 1, 40000, w->now);
        ip = registrar_ip(l->registrar);
        ag_assoc_up(w->agents[l->agent], l->at_agent, &ip, 1, ASAP_PORT, w->now);
    } else if (p->kind == TO_AGENT) {
        ag_message(w->agents[l->agent], l->at_agent, p->message->octets, p->message->len, w->now);
    } else {
        rg_message(rg, l->at_registrar, p->message->octets, p->message->len, w->now);
    }
}

static struct tm_us next_event(const struct world *w)
{
    struct tm_us next = w->first != NULL ? w->first->due : TM_NEVER;
    for (int a = 0; a < AGENTS; a++) {
        next = tm_min(next, ag_next_timer(w->agents[a]));
    }
    for (int r = 0; r < REGISTRARS; r++) {
        next = w->registrars[r] != NULL ? tm_min(next, rg_next_timer(w->registrars[r])) : next;
    }
    return next;
}

static void run(struct world *w, int64_t ms)
{
    struct tm_us end = tm_add_ms(w->now, ms);
    drain(w);
    for (;;) {
        struct tm_us next = next_event(w);
        if (tm_before(end, next)) {
            break;
        }
        w->now = tm_before(w->now, next) ? next : w->now;
        struct parcel *p = w->first;
        if (p != NULL && tm_due(p->due, w->now)) {
            w->first = p->next;
            w->last = w->first == NULL ? &w->first : w->last;
            deliver(w, p);
            free(p->message);
            free(p);
        }
        for (int a = 0; a < AGENTS; a++) {
            if (tm_due(ag_next_timer(w->agents[a]), w->now)) {
                ag_timer(w->agents[a], w->now);
            }
        }
        for (int r = 0; r < REGISTRARS; r++) {
            if (w->registrars[r] != NULL && tm_due(rg_next_timer(w->registrars[r]), w->now)) {
                rg_timer(w->registrars[r], w->now);
            }
        }
        drain(w);
    }
    w->now = end;
}

static uint32_t add_pe(struct world *w, int a, uint16_t port)
{
    int error;
    struct ag_pe pe = {.handle = pool_handle_of(port % 2 == 0 ? "web" : "dns"),
                       .protocol = TRANSPORT_TCP,
                       .port = port,
                       .families = LP_FAMILY_V4,
                       .policy = {.type = POLICY_RR}};
    uint32_t id = ag_pe_add(w->agents[a], &pe, w->now, &error);
    cr_assert_neq(id, 0);
    return id;
}

static struct world *world_new(uint64_t seed)
{
    struct ag_settings set;
    struct world *w = calloc(1, sizeof(*w));
    cr_assert_not_null(w);
    hs_thread_register();
    w->last = &w->first;
    w->now.us = 1000000;
    rnd_seed(&w->rnd, seed);
    ag_settings_default(&set);
    for (int a = 0; a < AGENTS; a++) {
        struct ip_address ip = agent_ip(a);
        outbox_init(&w->agent_box[a]);
        w->agents[a] = ag_new(&set, &w->agent_box[a], rnd_next(&w->rnd), w->now);
        cr_assert_not_null(w->agents[a]);
        ag_host_addresses(w->agents[a], &ip, 1, w->now);
        for (int i = 0; i < PES; i++) {
            w->pes[a][i] = add_pe(w, a, (uint16_t)(8000 + i));
        }
    }
    return w;
}

static void world_free(struct world *w)
{
    for (int a = 0; a < AGENTS; a++) {
        ag_free(w->agents[a]);
        outbox_done(&w->agent_box[a]);
    }
    for (int r = 0; r < REGISTRARS; r++) {
        if (w->registrars[r] != NULL) {
            registrar_stop(w, r);
        }
    }
    while (w->first != NULL) {
        struct parcel *p = w->first;
        w->first = p->next;
        free(p->message);
        free(p);
    }
    free(w);
    hs_thread_unregister();
}

/* Exactly the wanted PEs are in the scope, each with one registrar. */
static void all_there(struct world *w, unsigned want)
{
    unsigned n = 0;
    for (int r = 0; r < REGISTRARS; r++) {
        const char *why = "";
        if (w->hs[r] != NULL) {
            n += hs_element_count(w->hs[r]);
            cr_assert(hs_check(w->hs[r], &why), "%s", why);
        }
    }
    cr_assert_eq(n, want, "%u PEs in the scope, %u wanted", n, want);
    for (int a = 0; a < AGENTS; a++) {
        for (int i = 0; i < PES; i++) {
            struct ag_pe_info info;
            if (w->pes[a][i] != 0) {
                cr_assert(ag_pe_get(w->agents[a], w->pes[a][i], &info));
                cr_assert(info.state == AG_PE_REGISTERED || info.state == AG_PE_WITHHELD, "%s",
                          ag_pe_state_name(info.state));
            }
        }
    }
}

static void resolve_everywhere(struct world *w)
{
    for (int a = 0; a < AGENTS; a++) {
        struct ag_answer answer;
        struct ag_query q = fx_query("web");
        q.families = LP_FAMILY_V4;
        if (ag_resolve(w->agents[a], &q, 1, w->now, &answer) == 1) {
            cr_assert_eq(answer.result, 0);
        }
    }
}

/* a registrar started anew has all PEs back by themselves */
Test(agent_sim, registrar_restarts, .timeout = 60)
{
    struct world *w = world_new(1);
    run(w, 1000);
    registrar_start(w, 0);
    run(w, 5000);
    all_there(w, AGENTS * PES);
    for (int i = 0; i < 3; i++) {
        registrar_stop(w, 0);
        run(w, 3000 + 4000 * i);
        resolve_everywhere(w); /* with what is known */
        registrar_start(w, 0);
        run(w, 5000);
        all_there(w, AGENTS * PES);
        resolve_everywhere(w);
        run(w, 1000);
    }
    for (int a = 0; a < AGENTS; a++) {
        cr_assert_eq(w->told[a], PES); /* each owner was told once */
    }
    world_free(w);
}

/* one of two registrars dies: its PEs move to the other */
Test(agent_sim, moves_to_the_other_registrar, .timeout = 60)
{
    struct world *w = world_new(2);
    registrar_start(w, 0);
    registrar_start(w, 1);
    run(w, 8000);
    all_there(w, AGENTS * PES);
    registrar_stop(w, 0);
    run(w, 4000);
    all_there(w, AGENTS * PES);
    cr_assert_eq(hs_element_count(w->hs[1]), AGENTS * PES);
    run(w, 600000); /* keep-alives, T4: quiet */
    all_there(w, AGENTS * PES);
    world_free(w);
}

/* Associations break at random moments, messages with them; PEs come, go, are withheld. */
static void disturb(struct world *w)
{
    int a = (int)rnd_below(&w->rnd, AGENTS);
    int i = (int)rnd_below(&w->rnd, PES);
    struct link *l = &w->links[rnd_below(&w->rnd, LINKS / 8)];
    switch (rnd_below(&w->rnd, 5)) {
    case 0:
        if (l->used && l->up) { /* both sides notice */
            if (w->registrars[l->registrar] != NULL && l->at_registrar != 0) {
                rg_assoc_down(w->registrars[l->registrar], l->at_registrar, w->now);
            }
            end_link(w, l, false);
        }
        break;
    case 1:
        if (w->pes[a][i] != 0) {
            ag_pe_remove(w->agents[a], w->pes[a][i], "test", w->now);
            w->pes[a][i] = 0;
        }
        break;
    case 2:
        if (w->pes[a][i] == 0) {
            w->pes[a][i] = add_pe(w, a, (uint16_t)(8000 + i));
        }
        break;
    case 3:
        if (w->pes[a][i] != 0) {
            (void)ag_pe_withhold(w->agents[a], w->pes[a][i], "test", w->now);
        }
        break;
    default:
        if (w->pes[a][i] != 0) {
            (void)ag_pe_withhold(w->agents[a], w->pes[a][i], NULL, w->now);
        }
        break;
    }
}

Test(agent_sim, survives_disturbances, .timeout = 120)
{
    for (uint64_t seed = 10; seed < 14; seed++) {
        struct world *w = world_new(seed);
        registrar_start(w, 0);
        registrar_start(w, 1);
        for (int step = 0; step < 600; step++) {
            disturb(w);
            if (step % 150 == 149) {
                int r = step / 150 % REGISTRARS;
                registrar_stop(w, r);
                run(w, 2000);
                registrar_start(w, r);
            }
            run(w, (int64_t)rnd_below(&w->rnd, 40));
        }
        unsigned want = 0;
        run(w, 60000);
        for (int a = 0; a < AGENTS; a++) {
            for (int i = 0; i < PES; i++) {
                struct ag_pe_info info;
                if (w->pes[a][i] != 0 && ag_pe_get(w->agents[a], w->pes[a][i], &info)) {
                    want += info.state == AG_PE_REGISTERED ? 1 : 0;
                }
            }
        }
        cr_assert_gt(want, AGENTS);
        all_there(w, want);
        world_free(w);
    }
}
