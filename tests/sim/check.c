/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold once everything is well and time has passed. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"
#include "tests/unit/rspd/insides.h"

static bool wrong(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Returns false, for the first that is wrong. */
static bool wrong(struct world *w, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->error, sizeof(w->error), format, args);
    va_end(args);
    return false;
}

static int home_host(const struct world *w, uint32_t id)
{
    for (int h = 0; h < w->config.registrars; h++) {
        if (w->hosts[h].alive && w->hosts[h].rg != NULL && w->hosts[h].id == id) {
            return h;
        }
    }
    return -1;
}

/* Every element that lives, by its identifier. */
struct living {
    uint32_t pe_id;
    const struct pe *pe;
    int host;
};

static int by_id(const void *a, const void *b)
{
    const struct living *x = a, *y = b;
    return x->pe_id < y->pe_id ? -1 : x->pe_id > y->pe_id ? 1 : 0;
}

static void list_living(struct world *w)
{
    size_t n = 0;
    w->living = calloc((size_t)w->host_count * PES_MAX, sizeof(*w->living));
    CHECKED(w->living != NULL);
    for (int h = 0; h < w->host_count; h++) {
        for (int i = 0; w->hosts[h].alive && i < PES_MAX; i++) {
            const struct pe *pe = &w->hosts[h].pes[i];
            if (pe->used) {
                w->living[n++] = (struct living){.pe_id = pe->id, .pe = pe, .host = h};
            }
        }
    }
    qsort(w->living, n, sizeof(*w->living), by_id);
    w->living_count = n;
}

static int owner_of(const struct world *w, const struct hs_element *e)
{
    struct living key = {.pe_id = e->pe_id};
    const struct living *found = bsearch(&key, w->living, w->living_count, sizeof(key), by_id);
    return found != NULL && pool_handle_equal(pool_handle_of(found->pe->handle), *e->handle)
               ? found->host
               : -1;
}

/* No ghost, and a home that lives. */
static bool check_elements(struct world *w, int h)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *e;
    while ((e = hs_element_next(w->hosts[h].hs, &cursor)) != NULL) {
        if (owner_of(w, e) < 0) {
            return wrong(w, "host %d: PE %08x is a ghost of home %08x", h, e->pe_id, e->home_id);
        }
        if (home_host(w, e->home_id) < 0) {
            return wrong(w, "host %d: PE %08x has the dead home %08x", h, e->pe_id, e->home_id);
        }
        if (e->home_id == w->hosts[h].id && e->owner_ref == 0) {
            return wrong(w, "host %d: PE %08x is ours but never registered here", h, e->pe_id);
        }
    }
    return true;
}

static bool knows_live(struct world *w, int r)
{
    for (int h = 0; h < w->host_count; h++) {
        for (int i = 0; w->hosts[h].alive && i < PES_MAX; i++) {
            const struct pe *pe = &w->hosts[h].pes[i];
            if (pe->used && hs_find(w->hosts[r].hs, pool_handle_of(pe->handle), pe->id) == NULL) {
                return wrong(w, "host %d: PE %08x of host %d is missing", r, pe->id, h);
            }
        }
    }
    return true;
}

static bool same_element(const struct hs_element *a, const struct hs_element *b)
{
    return b != NULL && a->pe_id == b->pe_id && a->home_id == b->home_id &&
           hs_user(a).port == hs_user(b).port &&
           hs_user(a).address_count == hs_user(b).address_count &&
           ip_address_equal(hs_user(a).addresses, hs_user(b).addresses) &&
           hs_policy(a).type == hs_policy(b).type && hs_asap(a).port == hs_asap(b).port;
}

static bool check_equal(struct world *w, int a, int b)
{
    struct hs_cursor cursor = {0};
    const struct hs_element *e;
    while ((e = hs_element_next(w->hosts[a].hs, &cursor)) != NULL) {
        if (!same_element(e, hs_find(w->hosts[b].hs, *e->handle, e->pe_id))) {
            return wrong(w, "PE %08x is different at hosts %d and %d", e->pe_id, a, b);
        }
    }
    if (hs_element_count(w->hosts[a].hs) != hs_element_count(w->hosts[b].hs)) {
        return wrong(w, "hosts %d and %d hold %u and %u elements", a, b,
                     hs_element_count(w->hosts[a].hs), hs_element_count(w->hosts[b].hs));
    }
    return true;
}

/* enrp:E-71, E-72: the checksum of a home, from scratch. */
static uint16_t checksum(struct hs *hs, uint32_t home)
{
    uint64_t sum = 0;
    struct hs_cursor cursor = {0};
    const struct hs_element *e;
    while ((e = hs_element_next(hs, &cursor)) != NULL) {
        if (e->home_id != home) {
            continue;
        }
        for (uint16_t i = 0; i < e->handle->len; i++) {
            sum += i % 2 == 0 ? (uint64_t)e->handle->octets[i] << 8 : e->handle->octets[i];
        }
        sum += (e->pe_id >> 16) + (e->pe_id & 0xffff);
    }
    while (sum >> 16 != 0) {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

static bool check_registrar(struct world *w, int h)
{
    struct host *host = &w->hosts[h];
    const char *reason = NULL;
    if (host->en == NULL || enrp_phase(host->en) != ENRP_OPERATIONAL) {
        return wrong(w, "host %d: the registrar is not operational", h);
    }
    if (enrp_peers_alive(host->en) != (uint32_t)w->config.registrars - 1) {
        return wrong(w, "host %d: knows %u registrars", h, enrp_peers_alive(host->en));
    }
    if (!hs_check(host->hs, &reason)) {
        return wrong(w, "host %d: %s", h, reason);
    }
    for (int r = 0; r < w->config.registrars; r++) {
        uint32_t id = w->hosts[r].id;
        if (hs_checksum(host->hs, id) != checksum(host->hs, id)) {
            return wrong(w, "host %d: checksum of %08x is not that of its elements", h, id);
        }
    }
    return check_elements(w, h) && knows_live(w, h);
}

static void dump_peers(const struct world *w)
{
    struct enrp_peer_info info[ENRP_PEERS_MAX];
    for (int h = 0; h < w->config.registrars; h++) {
        if (w->hosts[h].en == NULL) {
            continue;
        }
        say(w, "host %d: %08x %s, %u elements, %u its own", h, w->hosts[h].id,
            enrp_phase_name(enrp_phase(w->hosts[h].en)), hs_element_count(w->hosts[h].hs),
            hs_home_count(w->hosts[h].hs, w->hosts[h].id));
        size_t n = enrp_peers(w->hosts[h].en, info, ENRP_PEERS_MAX);
        for (size_t i = 0; i < n; i++) {
            say(w, "    peer %08x %s, %u elements, checksum %04x, told %04x%s%s", info[i].id,
                enrp_peer_state_name(info[i].state), info[i].elements, info[i].checksum,
                info[i].told_checksum, info[i].resync ? ", resync" : "",
                info[i].connected ? "" : ", not connected");
        }
    }
}

/* The machines of a host agree with themselves, whatever has happened to it. */
static bool check_insides(struct world *w, int h)
{
    const struct host *host = &w->hosts[h];
    const char *reason = host->ag != NULL ? insides_of_agent(host->ag) : NULL;
    reason = reason == NULL && host->en != NULL ? insides_of_enrp(host->en) : reason;
    reason = reason == NULL && host->rg != NULL ? insides_of_registrar(host->rg) : reason;
    return reason == NULL || wrong(w, "host %d: %s", h, reason);
}

void check_live(struct world *w)
{
    w->error[0] = '\0';
    hs_read_begin();
    for (int h = 0; h < w->config.registrars; h++) {
        if (w->hosts[h].en != NULL && !knows_live(w, h)) {
            dump_peers(w);
            break;
        }
    }
    hs_read_end();
    for (int h = 0; h < w->host_count && w->error[0] == '\0' && check_insides(w, h); h++) {
    }
}

void check_quiet(struct world *w, const struct enrp_counters *before,
                 const struct enrp_counters *after)
{
    if (w->error[0] != '\0') {
        return;
    }
    if (after->resyncs != before->resyncs || after->takeovers != before->takeovers ||
        after->suggestions != before->suggestions) {
        (void)wrong(w,
                    "no rest: %" PRIu64 " resyncs, %" PRIu64 " takeovers, %" PRIu64 " suggestions",
                    after->resyncs - before->resyncs, after->takeovers - before->takeovers,
                    after->suggestions - before->suggestions);
    }
}

void check_world(struct world *w)
{
    w->error[0] = '\0';
    list_living(w);
    hs_read_begin();
    bool ok = true;
    for (int h = 0; h < w->config.registrars && ok; h++) {
        ok = check_registrar(w, h) && (h == 0 || check_equal(w, 0, h));
    }
    for (int h = 0; h < w->host_count && ok; h++) {
        if (!ag_has_home(w->hosts[h].ag)) {
            ok = wrong(w, "host %d: the agent has no home", h);
        }
    }
    for (int h = 0; h < w->host_count && ok; h++) {
        ok = check_insides(w, h);
    }
    hs_read_end();
    free(w->living);
    w->living = NULL;
}
