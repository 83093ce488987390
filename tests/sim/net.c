/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Associations and datagrams. Within one association everything arrives in order; between
 * associations nothing is promised. Over a cut nothing arrives, and is not lost either, until the
 * association is given up. Two that open towards each other at the same time get one, as with SCTP.
 */
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

#define DELAY_MIN_US 100
#define DELAY_US     3000 /* at most that much more */
#define STALL_MS     20   /* looked again whether the cut has healed */

uint16_t endpoint_port(enum endpoint ep)
{
    static const uint16_t ports[EPS] = {AGENT_PORT_SIM, ASAP_PORT_SIM, ENRP_PORT_SIM};
    return ports[ep];
}

bool net_reaches(const struct world *w, int a, int b)
{
    return w->hosts[a].group == w->hosts[b].group;
}

static int host_of(const struct world *w, const struct ip_address *address)
{
    const uint8_t *o = address->octets;
    int h = (o[1] - 1) << 16 | o[2] << 8 | o[3];
    return address->family == IP_V4 && o[0] == 10 && h < w->host_count ? h : -1;
}

/* --- links
 * ---------------------------------------------------------------------------------------- */

static int link_new(struct world *w)
{
    int i = w->free_link;
    if (i < 0) {
        int n = w->link_count > 0 ? w->link_count * 2 : 64;
        w->links = reallocarray(w->links, (size_t)n, sizeof(*w->links));
        CHECKED(w->links != NULL);
        for (int k = n - 1; k >= w->link_count; k--) {
            w->links[k] = (struct link){.state = LINK_FREE};
            w->links[k].next_of[0] = w->free_link;
            w->free_link = k;
        }
        w->link_count = n;
        i = w->free_link;
    }
    struct link *l = &w->links[i];
    w->free_link = l->next_of[0];
    uint32_t generation = l->generation + 1;
    *l = (struct link){.generation = generation};
    /* `last` NULL stands for the beginning: the array may move. */
    return i;
}

static void drop_queue(struct link *l, int end)
{
    while (l->first[end] != NULL) {
        struct parcel *p = l->first[end];
        l->first[end] = p->next;
        free(p->message);
        free(p);
    }
    l->last[end] = NULL;
}

static void unlist(struct world *w, int i, int end)
{
    int h = w->links[i].end[end].host;
    int *at = &w->hosts[h].links;
    while (*at != i * 2 + end) {
        at = &w->links[*at / 2].next_of[*at % 2];
    }
    *at = w->links[i].next_of[end];
}

static void list(struct world *w, int i, int end)
{
    struct host *host = &w->hosts[w->links[i].end[end].host];
    w->links[i].next_of[end] = host->links;
    host->links = i * 2 + end;
}

/* Both ends have let go of it. */
static void link_free(struct world *w, int i)
{
    struct link *l = &w->links[i];
    for (int e = 0; e < 2; e++) {
        drop_queue(l, e);
        unlist(w, i, e);
    }
    l->state = LINK_FREE;
    l->generation++;
    l->next_of[0] = w->free_link;
    w->free_link = i;
}

static void free_if_done(struct world *w, int i)
{
    struct link *l = &w->links[i];
    if (l->end[0].assoc == 0 && l->end[1].assoc == 0) {
        link_free(w, i);
    }
}

void net_free(struct world *w)
{
    for (int i = 0; i < w->link_count; i++) {
        drop_queue(&w->links[i], 0);
        drop_queue(&w->links[i], 1);
    }
    free(w->links);
}

/* Accepted associations carry their link in their number: registrars have thousands. */
#define LINK_BITS 24

static int find(const struct world *w, int host, enum endpoint ep, uint64_t assoc, int *ret_end)
{
    int guess = (int)(assoc & ((1u << LINK_BITS) - 1));
    if (guess < w->link_count) {
        const struct end *end = &w->links[guess].end[1];
        if (end->assoc == assoc && end->host == host && end->ep == ep &&
            w->links[guess].state != LINK_FREE) {
            *ret_end = 1;
            return guess;
        }
    }
    for (int at = w->hosts[host].links; at >= 0; at = w->links[at / 2].next_of[at % 2]) {
        const struct end *end = &w->links[at / 2].end[at % 2];
        if (end->ep == ep && end->assoc == assoc) {
            *ret_end = at % 2;
            return at / 2;
        }
    }
    return -1;
}

static struct tm_us delay(struct world *w)
{
    return (struct tm_us){w->now.us + DELAY_MIN_US + (int64_t)rnd_below(&w->rnd, DELAY_US)};
}

static void post(struct world *w, int i, int end, struct buffer *message, uint32_t ppid)
{
    struct link *l = &w->links[i];
    struct parcel *p = calloc(1, sizeof(*p));
    CHECKED(p != NULL);
    p->due = delay(w);
    p->due.us = p->due.us > l->last_due[end].us ? p->due.us : l->last_due[end].us + 1;
    p->message = message;
    p->ppid = ppid;
    l->last_due[end] = p->due;
    if (l->first[end] == NULL) {
        l->first[end] = p;
        world_at(w, p->due, AT_LINK, i, l->generation, end, NULL);
    } else {
        *l->last[end] = p;
    }
    l->last[end] = &p->next;
}

/* --- opening
 * -------------------------------------------------------------------------------------- */

static bool same_ends(const struct link *l, int opener, const struct end *from,
                      const struct end *to)
{
    const struct end *a = &l->end[opener];
    const struct end *b = &l->end[1 - opener];
    return a->host == from->host && a->ep == from->ep && b->host == to->host && b->ep == to->ep;
}

static void cannot(struct world *w, const struct end *end, int64_t ms)
{
    /* A link of which the other end never knows. */
    int i = link_new(w);
    struct link *l = &w->links[i];
    l->state = LINK_DYING;
    l->end[0] = *end;
    l->end[1] = (struct end){.host = end->host, .ep = end->ep};
    list(w, i, 0);
    list(w, i, 1);
    world_at(w, tm_add_ms(w->now, ms), AT_DEATH, i, l->generation, 0, NULL);
}

void net_connect(struct world *w, int host, enum endpoint ep, const struct action *action)
{
    struct end from = {.host = host, .ep = ep, .assoc = action->assoc};
    struct end to = {.host = -1};
    for (uint8_t i = 0; i < action->address_count && to.host < 0; i++) {
        to.host = host_of(w, &action->addresses[i]);
    }
    for (int e = 0; e < EPS; e++) {
        if (endpoint_port((enum endpoint)e) == action->port) {
            to.ep = (enum endpoint)e;
        }
    }
    CHECKED(to.host >= 0);
    for (int at = w->hosts[host].links; at >= 0; at = w->links[at / 2].next_of[at % 2]) {
        const struct link *l = &w->links[at / 2];
        if (l->state == LINK_UP && l->end[at % 2].up && same_ends(l, at % 2, &from, &to)) {
            cannot(w, &from, 0); /* they have one already: EISCONN */
            return;
        }
    }
    int i = link_new(w);
    struct link *l = &w->links[i];
    l->state = LINK_OPENING;
    l->end[0] = from;
    l->end[1] = to;
    list(w, i, 0);
    list(w, i, 1);
    post(w, i, 1, NULL, 0);
    if (!net_reaches(w, host, to.host) || !w->hosts[to.host].alive) {
        world_at(w, tm_add_ms(w->now, w->dead_ms), AT_DEATH, i, l->generation, 0, NULL);
    }
}

/* The other side is opening one to us too: it becomes the same. */
static void merge(struct world *w, int i)
{
    struct link *l = &w->links[i];
    int me = l->end[1].host;
    for (int at = w->hosts[me].links; at >= 0; at = w->links[at / 2].next_of[at % 2]) {
        struct link *other = &w->links[at / 2];
        if (other != l && at % 2 == 0 && other->state == LINK_OPENING &&
            same_ends(other, 0, &l->end[1], &l->end[0])) {
            l->end[1].assoc = other->end[0].assoc;
            /* What was to be sent on it goes the new way. */
            while (other->first[1] != NULL) {
                struct parcel *p = other->first[1];
                other->first[1] = p->next;
                if (p->message != NULL) {
                    post(w, i, 0, p->message, p->ppid);
                }
                free(p);
            }
            other->last[1] = NULL;
            other->end[0].assoc = 0;
            free_if_done(w, at / 2);
            return;
        }
    }
}

static void opened(struct world *w, int i)
{
    struct link *l = &w->links[i];
    struct host *to = &w->hosts[l->end[1].host];
    int opener = l->end[0].host;
    if (!host_has(to, l->end[1].ep)) {
        l->state = LINK_DYING; /* the port is closed */
        drop_queue(l, 1);
        world_at(w, delay(w), AT_DEATH, i, l->generation, 0, NULL);
        return;
    }
    l->state = LINK_UP;
    merge(w, i);
    l = &w->links[i];
    if (l->end[1].assoc == 0) {
        l->end[1].assoc = ++to->accepted << LINK_BITS | (unsigned)i;
    }
    l->end[1].up = true;
    /* In front of whatever is posted from now on. */
    struct parcel *queue = l->first[0];
    struct parcel **last = l->last[0];
    l->first[0] = NULL;
    post(w, i, 0, NULL, 0);
    l = &w->links[i];
    if (queue != NULL) {
        l->first[0]->next = queue;
        l->last[0] = last;
    }
    host_tell(w, l->end[1].host, TELL_UP, l->end[1].ep, l->end[1].assoc, opener,
              endpoint_port(l->end[0].ep), NULL);
}

/* --- arriving
 * ------------------------------------------------------------------------------------- */

static void deliver(struct world *w, int i, int e, struct parcel *p)
{
    struct link *l = &w->links[i];
    struct end *end = &l->end[e];
    struct end *other = &l->end[1 - e];
    if (p->message == NULL && e == 1 && l->state == LINK_OPENING) {
        opened(w, i);
    } else if (p->message == NULL) {
        end->up = true;
        if (end->assoc != 0) {
            host_tell(w, end->host, TELL_UP, end->ep, end->assoc, other->host,
                      endpoint_port(other->ep), NULL);
        }
    } else if (end->assoc != 0) {
        host_tell(w, end->host, TELL_MESSAGE, end->ep, end->assoc, other->host, 0, p->message);
        p->message = NULL;
    }
}

void net_arrive(struct world *w, int i, uint32_t generation, int e)
{
    struct link *l = &w->links[i];
    if (l->generation != generation || l->first[e] == NULL ||
        (l->state == LINK_DYING && !l->shutdown)) {
        return;
    }
    if (!net_reaches(w, l->end[0].host, l->end[1].host) ||
        (l->state == LINK_OPENING && !w->hosts[l->end[1].host].alive)) {
        world_at(w, tm_add_ms(w->now, STALL_MS), AT_LINK, i, generation, e, NULL);
        return;
    }
    struct parcel *p = l->first[e];
    l->first[e] = p->next;
    if (p->next == NULL) {
        l->last[e] = NULL;
    }
    deliver(w, i, e, p);
    free(p->message);
    free(p);
    l = &w->links[i]; /* it may have moved */
    if (l->generation == generation && l->first[e] != NULL) {
        struct tm_us due = l->first[e]->due;
        world_at(w, tm_before(due, w->now) ? w->now : due, AT_LINK, i, generation, e, NULL);
    }
}

bool net_send(struct world *w, int host, enum endpoint ep, uint64_t assoc, uint32_t ppid,
              struct buffer *take_message)
{
    int e;
    int i = find(w, host, ep, assoc, &e);
    if (i < 0) {
        free(take_message);
        return false;
    }
    w->traffic.messages[ep]++;
    w->traffic.octets[ep] += take_message->len;
    if (w->links[i].state == LINK_DYING) {
        free(take_message);
    } else {
        post(w, i, 1 - e, take_message, ppid);
    }
    return true;
}

/* --- ending
 * --------------------------------------------------------------------------------------- */

void net_death(struct world *w, int i, uint32_t generation, int e)
{
    struct link *l = &w->links[i];
    if (l->generation != generation) {
        return;
    }
    bool opening = l->state == LINK_OPENING || !l->end[e].up;
    if (l->state != LINK_DYING) {
        if (opening
                ? (net_reaches(w, l->end[0].host, l->end[1].host) && w->hosts[l->end[1].host].alive)
                : net_reaches(w, l->end[0].host, l->end[1].host)) {
            return; /* it has healed in time */
        }
        l->state = LINK_DYING;
        drop_queue(l, 0);
        drop_queue(l, 1);
    }
    struct end end = l->end[e];
    bool shutdown = l->shutdown;
    l->end[e].assoc = 0;
    free_if_done(w, i);
    if (end.assoc != 0) {
        host_tell(w, end.host,
                  opening    ? TELL_CANT
                  : shutdown ? TELL_SHUTDOWN
                             : TELL_DOWN,
                  end.ep, end.assoc, -1, 0, NULL);
    }
}

/* One end lets go; the other hears of it, after what is on its way there if that is in order. */
static void let_go(struct world *w, int i, int e, bool shutdown, int64_t after_ms)
{
    struct link *l = &w->links[i];
    int other = 1 - e;
    l->end[e].assoc = 0;
    if (l->state == LINK_OPENING || l->end[other].assoc == 0) {
        l->end[other].assoc = 0;
        free_if_done(w, i);
        return;
    }
    l->state = LINK_DYING;
    l->shutdown = shutdown;
    drop_queue(l, e);
    struct tm_us at = delay(w);
    if (shutdown && l->first[other] != NULL) {
        at = tm_before(at, l->last_due[other]) ? (struct tm_us){l->last_due[other].us + 1} : at;
    } else if (!shutdown) {
        drop_queue(l, other);
    }
    if (!net_reaches(w, l->end[0].host, l->end[1].host)) {
        at = tm_add_ms(w->now, w->dead_ms);
        l->shutdown = false;
    }
    at.us += after_ms * 1000;
    world_at(w, at, AT_DEATH, i, l->generation, other, NULL);
}

void net_disconnect(struct world *w, int host, enum endpoint ep, uint64_t assoc, bool abort)
{
    int e;
    int i = assoc != 0 ? find(w, host, ep, assoc, &e) : -1;
    if (i >= 0) {
        let_go(w, i, e, !abort, 0);
    }
}

void net_drop_all(struct world *w, int host, int ep, bool at_once, bool shutdown)
{
    for (int at = w->hosts[host].links, next; at >= 0; at = next) {
        next = w->links[at / 2].next_of[at % 2];
        struct link *l = &w->links[at / 2];
        if ((ep < 0 || (int)l->end[at % 2].ep == ep) && at % 2 == 1 && l->state == LINK_OPENING) {
            world_at(w, tm_add_ms(w->now, w->dead_ms), AT_DEATH, at / 2, l->generation, 0, NULL);
        } else if ((ep < 0 || (int)l->end[at % 2].ep == ep) && l->end[at % 2].assoc != 0) {
            /* Both ends of a link may be here. */
            int after =
                next >= 0 && next / 2 == at / 2 ? w->links[next / 2].next_of[next % 2] : next;
            let_go(w, at / 2, at % 2, shutdown,
                   at_once ? 0 : (int64_t)rnd_below(&w->rnd, (uint64_t)w->dead_ms));
            next = after;
        }
    }
}

void net_drop_one(struct world *w, int i)
{
    struct link *l = &w->links[i];
    if (l->state != LINK_UP) {
        return;
    }
    l->state = LINK_DYING;
    drop_queue(l, 0);
    drop_queue(l, 1);
    world_at(w, delay(w), AT_DEATH, i, l->generation, 0, NULL);
    world_at(w, delay(w), AT_DEATH, i, l->generation, 1, NULL);
}

void net_cut(struct world *w)
{
    for (int i = 0; i < w->link_count; i++) {
        struct link *l = &w->links[i];
        if ((l->state == LINK_UP || l->state == LINK_OPENING) &&
            !net_reaches(w, l->end[0].host, l->end[1].host)) {
            for (int e = 0; e < 2; e++) {
                int64_t ms = w->dead_ms / 2 + (int64_t)rnd_below(&w->rnd, (uint64_t)w->dead_ms);
                world_at(w, tm_add_ms(w->now, ms), AT_DEATH, i, l->generation, e, NULL);
            }
        }
    }
}

/* --- datagrams
 * ------------------------------------------------------------------------------------ */

void net_cast(struct world *w, int host, bool enrp, struct buffer *take_message)
{
    struct cast *cast = calloc(1, sizeof(*cast));
    CHECKED(cast != NULL);
    *cast = (struct cast){.from = host, .enrp = enrp, .message = take_message};
    w->traffic.casts++;
    w->traffic.cast_octets += take_message->len;
    w->traffic.announces += enrp ? 0 : 1;
    w->traffic.announce_octets += enrp ? 0 : take_message->len;
    world_at(w, delay(w), AT_CAST, host, 0, 0, cast);
}

void net_cast_arrives(struct world *w, struct cast *take_cast)
{
    const struct buffer *message = take_cast->message;
    for (int h = 0; h < w->host_count; h++) {
        struct host *host = &w->hosts[h];
        if (!host->alive || host->frozen || !net_reaches(w, take_cast->from, h) ||
            (w->loss > 0 && rnd_below(&w->rnd, 100) < w->loss)) {
            continue;
        }
        const struct ip_address *from = &w->hosts[take_cast->from].address;
        if (!take_cast->enrp) {
            ag_announce(host->ag, from, ASAP_PORT_SIM, message->octets, message->len, w->now);
        } else if (host->en != NULL) {
            enrp_heard(host->en, from, ENRP_PORT_SIM, message->octets, message->len, w->now);
        } else {
            continue;
        }
        host_drain(w, h);
    }
    free(take_cast->message);
    free(take_cast);
}
