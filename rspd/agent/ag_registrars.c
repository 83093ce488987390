/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The list of registrars (asap.md §5.7): configured ones stay, announced ones live until T7. Nobody
 * vouches for an announce: the list is capped, announces are counted against a bucket, and
 * a full list takes nobody new until an entry expires.
 */
#include "rspd/agent/ag_internal.h"

#include <errno.h>
#include <string.h>

#define PERIOD_MAX_MS   60000
#define PERIOD_NOISE_MS 200 /* copies of one announce on several interfaces */

static bool has_address(const struct ip_address *list, size_t count, const struct ip_address *one)
{
    for (size_t i = 0; i < count; i++) {
        if (ip_address_equal(&list[i], one)) {
            return true;
        }
    }
    return false;
}

struct ag_registrar *ag_registrar_find(struct ag *ag, uint32_t id,
                                       const struct ip_address *addresses, size_t count,
                                       uint16_t port)
{
    struct ag_registrar *by_address = NULL;
    for (uint32_t i = 0; i < AG_REGISTRARS_MAX; i++) {
        struct ag_registrar *r = &ag->registrars[i];
        if (!r->used) {
            continue;
        }
        if (id != 0 && r->id == id) {
            return r;
        }
        bool port_fits = r->port == port || r->other_port == port;
        for (size_t k = 0; k < count && port_fits && by_address == NULL; k++) {
            if (has_address(r->addresses, r->address_count, &addresses[k])) {
                by_address = r;
            }
        }
    }
    return by_address;
}

static struct ag_registrar *new_entry(struct ag *ag)
{
    for (uint32_t i = 0; i < AG_REGISTRARS_MAX; i++) {
        struct ag_registrar *r = &ag->registrars[i];
        if (!r->used) {
            ag->generations[i]++;
            *r = (struct ag_registrar){.used = true};
            return r;
        }
    }
    return NULL;
}

void ag_registrar_drop(struct ag *ag, uint32_t slot)
{
    struct ag_registrar *r = &ag->registrars[slot];
    ag_timer_stop(&ag->timers, &r->timer);
    *r = (struct ag_registrar){0};
}

void ag_registrar_expire(struct ag *ag, struct ag_registrar *registrar, struct tm_us now)
{
    (void)now;
    (void)outbox_event(ag->out, EVENT_REGISTRAR_LOST, (struct pool_handle){0}, 0, registrar->id,
                       "registrar %08x announces itself no longer", registrar->id);
    registrar->heard = false;
    if (!registrar->is_static) {
        ag_registrar_drop(ag, (uint32_t)(registrar - ag->registrars));
    }
}

int ag_static_registrar(struct ag *ag, const struct ip_address *addresses, size_t count,
                        uint16_t port, struct tm_us now)
{
    if (count == 0 || port == 0) {
        return -EINVAL;
    }
    struct ag_registrar *r = ag_registrar_find(ag, 0, addresses, count, port);
    if (r == NULL) {
        r = new_entry(ag);
    }
    if (r == NULL) {
        return -ENOSPC;
    }
    r->is_static = true;
    r->port = port;
    r->address_count = 0;
    for (size_t i = 0; i < count && r->address_count < AG_ADDRESSES_MAX; i++) {
        r->addresses[r->address_count++] = ip_address_unmap(addresses[i]);
    }
    ag_hunt_heard(ag, r, now);
    return 0;
}

/* T7 = max(setting, three observed periods): five registrars announce every five seconds. */
static void restart_t7(struct ag *ag, struct ag_registrar *r, struct tm_us now)
{
    if (r->heard) {
        int64_t gap = tm_diff_ms(now, r->last_heard);
        if (gap > PERIOD_MAX_MS) {
            gap = PERIOD_MAX_MS;
        }
        if (gap >= PERIOD_NOISE_MS) {
            r->period_ms = gap > r->period_ms ? gap : (3 * r->period_ms + gap) / 4;
            r->last_heard = now;
        }
    } else {
        r->last_heard = now;
    }
    r->heard = true;
    int64_t t7 = ag->set.t7_outdate_ms;
    if (3 * r->period_ms > t7) {
        t7 = 3 * r->period_ms;
    }
    ag_timer_set(&ag->timers, &r->timer, AG_TIMER_T7, tm_add_ms(now, t7));
}

/* The SCTP addresses an announce names; loopback counts only when it came over loopback. */
static uint8_t announced_addresses(const struct asap_message *msg, const struct ip_address *source,
                                   struct ip_address ret[AG_ADDRESSES_MAX], uint16_t *ret_port)
{
    bool from_loopback = ip_address_scope(source) == IP_SCOPE_LOOPBACK;
    uint8_t count = 0;
    for (uint16_t t = 0; t < msg->transport_count && count == 0; t++) {
        const struct transport *tr = &msg->transports[t];
        if (tr->protocol != TRANSPORT_SCTP || tr->port == 0) {
            continue;
        }
        for (uint16_t i = 0; i < tr->address_count && count < AG_ADDRESSES_MAX; i++) {
            struct ip_address a = ip_address_unmap(tr->addresses[i]);
            enum ip_scope scope = ip_address_scope(&a);
            if (scope == IP_SCOPE_SITE_LOCAL || scope == IP_SCOPE_GLOBAL ||
                (scope == IP_SCOPE_LOOPBACK && from_loopback)) {
                ret[count++] = a;
            }
        }
        *ret_port = tr->port;
    }
    return count;
}

/* A datagram without usable transports: its source, also when several interfaces bring it.
 */
static void take_source(struct ag_registrar *r, const struct ip_address *source, uint16_t port)
{
    r->port = port;
    r->other_port = port != ASAP_PORT ? ASAP_PORT : 0;
    if (has_address(r->addresses, r->address_count, source)) {
        return;
    }
    if (r->address_count < AG_ADDRESSES_MAX) {
        r->address_count++;
    }
    r->addresses[r->address_count - 1] = *source;
}

/* The list entry that is the present home, if any. */
static bool is_home(const struct ag *ag, const struct ag_registrar *r)
{
    if (ag->home.assoc == 0 || ag->home.assoc == LOCAL_ASSOC) {
        return false;
    }
    if (ag->home.id != 0 && r->id != 0) {
        return ag->home.id == r->id;
    }
    if (ag->home.port != r->port && ag->home.port != r->other_port) {
        return false;
    }
    for (uint8_t i = 0; i < ag->home.address_count; i++) {
        if (has_address(r->addresses, r->address_count, &ag->home.addresses[i])) {
            return true;
        }
    }
    return false;
}

void ag_announce(struct ag *ag, const struct ip_address *source, uint16_t source_port,
                 const uint8_t *octets, size_t len, struct tm_us now)
{
    struct wire_report report;
    if (!ag_bucket_take(&ag->announces, AG_ANNOUNCES_PER_S, AG_ANNOUNCES_BURST, now) ||
        asap_decode(octets, len, &ag->rx, &report) != WIRE_OK ||
        ag->rx.type != ASAP_SERVER_ANNOUNCE || !ag->rx.has_server_id || ag->rx.server_id == 0 ||
        (ag->local_hs != NULL && ag->rx.server_id == ag->local_id)) {
        return;
    }
    struct ip_address from = ip_address_unmap(*source);
    struct ip_address list[AG_ADDRESSES_MAX];
    uint16_t port = 0;
    uint8_t count = announced_addresses(&ag->rx, &from, list, &port);
    if (count == 0 && (source_port == 0 || ip_address_scope(&from) == IP_SCOPE_LINK_LOCAL)) {
        return; /* nowhere to connect to */
    }
    struct ag_registrar *r =
        ag_registrar_find(ag, ag->rx.server_id, count > 0 ? list : &from, count > 0 ? count : 1,
                          count > 0 ? port : source_port);
    bool fresh = r == NULL || !r->heard || r->id != ag->rx.server_id;
    if (r == NULL) {
        r = new_entry(ag);
    }
    if (r == NULL) {
        return;
    }
    if (is_home(ag, r)) {
        ag->home.id = ag->rx.server_id; /* a configured one without name, or started anew */
    }
    r->id = ag->rx.server_id;
    if (count > 0 && !r->is_static) {
        memcpy(r->addresses, list, sizeof(list[0]) * count);
        r->address_count = count;
        r->port = port;
        r->other_port = 0;
    } else if (!r->is_static) {
        take_source(r, &from, source_port);
    }
    restart_t7(ag, r, now);
    if (fresh) {
        char text[IP_ADDRESS_TEXT_MAX];
        (void)outbox_event(ag->out, EVENT_REGISTRAR_FOUND, (struct pool_handle){0}, 0, r->id,
                           "registrar %08x announces itself at %s port %u", r->id,
                           ip_address_format(&r->addresses[0], text, sizeof(text)), r->port);
    }
    ag_hunt_heard(ag, r, now);
}

static struct ag_registrar_info info_of_home(const struct ag *ag)
{
    struct ag_registrar_info info = {.id = ag->home.id,
                                     .port = ag->home.port,
                                     .address_count = ag->home.address_count,
                                     .is_home = true,
                                     .is_local = ag_home_is_local(ag),
                                     .last_heard = ag->home.last_used};
    memcpy(info.addresses, ag->home.addresses, sizeof(info.addresses));
    return info;
}

size_t ag_registrars(const struct ag *ag, struct ag_registrar_info *ret, size_t max)
{
    size_t n = 0;
    bool home_listed = ag->home.assoc == 0;
    for (uint32_t i = 0; i < AG_REGISTRARS_MAX && n < max; i++) {
        const struct ag_registrar *r = &ag->registrars[i];
        if (!r->used) {
            continue;
        }
        ret[n] = (struct ag_registrar_info){.id = r->id,
                                            .port = r->port,
                                            .address_count = r->address_count,
                                            .is_static = r->is_static,
                                            .is_home = is_home(ag, r),
                                            .last_heard = r->last_heard};
        memcpy(ret[n].addresses, r->addresses, sizeof(r->addresses));
        home_listed = home_listed || ret[n].is_home;
        n++;
    }
    if (!home_listed && n < max) {
        ret[n++] = info_of_home(ag);
    }
    return n;
}

size_t ag_registrars_heard(const struct ag *ag, struct tm_us now)
{
    (void)now; /* T7 has taken out those that are silent */
    size_t n = 0;
    bool home_counted = ag->home.assoc == 0 || ag_home_is_local(ag);
    for (uint32_t i = 0; i < AG_REGISTRARS_MAX; i++) {
        const struct ag_registrar *r = &ag->registrars[i];
        if (!r->used) {
            continue;
        }
        bool home = is_home(ag, r);
        n += r->heard || home ? 1 : 0;
        home_counted = home_counted || home;
    }
    return n + (home_counted ? 0 : 1);
}
