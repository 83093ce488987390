/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Which addresses a local PE registers (transport.md §7.2), and in which order a PU of this host
 * tries those of an element.
 *
 * Registered: all usable addresses of rank site-local and up, never link-local ones (the protocol
 * has no scope id). Loopback only when nothing better exists or the listener is bound there, and
 * only with a registrar on this host: loopback never leaves the host. SCTP carries the whole list,
 * every other transport exactly one address, the one nearest to the path to the registrar.
 */
#include "rspd/agent/ag_internal.h"

#include <string.h>

#define NEAR_SAME_FAMILY 1000
#define NEAR_SAME_SCOPE  1500
#define NEAR_PREFIX_MOST 129 /* more than any common prefix counts */

static const struct ip_address LOOPBACK4 = {.family = IP_V4, .octets = {127, 0, 0, 1}};
static const struct ip_address LOOPBACK6 = {.family = IP_V6, .octets = {[15] = 1}};

static bool family_fits(const struct ip_address *a, uint8_t families)
{
    return families == 0 || (a->family == IP_V4 && (families & LP_FAMILY_V4) != 0) ||
           (a->family == IP_V6 && (families & LP_FAMILY_V6) != 0);
}

static bool is_loopback(const struct ip_address *a)
{
    return ip_address_scope(a) == IP_SCOPE_LOOPBACK;
}

static bool is_routable(const struct ip_address *a)
{
    enum ip_scope scope = ip_address_scope(a);
    return scope == IP_SCOPE_SITE_LOCAL || scope == IP_SCOPE_GLOBAL;
}

/* Scope for ordering only: unique local addresses count as site-local (transport.md §7.2). */
static enum ip_scope order_scope(const struct ip_address *a)
{
    if (a->family == IP_V6 && (a->octets[0] & 0xfe) == 0xfc) {
        return IP_SCOPE_SITE_LOCAL;
    }
    return ip_address_scope(a);
}

static int common_prefix(const struct ip_address *a, const struct ip_address *b)
{
    int bits = a->family == IP_V4 ? 32 : 128;
    int n = 0;
    while (n < bits && ((a->octets[n / 8] ^ b->octets[n / 8]) >> (7 - n % 8) & 1) == 0) {
        n++;
    }
    return a->family == IP_V4 ? n * 4 : n;
}

/* How near two addresses are: same family, then same scope, then the longer common prefix. */
static int nearness(const struct ip_address *a, const struct ip_address *b)
{
    if (a->family != b->family) {
        return 0;
    }
    int near = order_scope(a) == order_scope(b) ? NEAR_SAME_SCOPE : NEAR_SAME_FAMILY;
    return near + common_prefix(a, b);
}

static bool host_has(const struct ag_view *view, const struct ip_address *a)
{
    for (uint8_t i = 0; i < view->host_count; i++) {
        if (ip_address_equal(&view->host[i], a)) {
            return true;
        }
    }
    return view->host_count == 0;
}

static void add_address(struct ip_address list[AG_ADDRESSES_MAX], uint8_t *count,
                        const struct ip_address *a)
{
    for (uint8_t i = 0; i < *count; i++) {
        if (ip_address_equal(&list[i], a)) {
            return;
        }
    }
    if (*count < AG_ADDRESSES_MAX) {
        list[(*count)++] = *a;
    }
}

/* Routable addresses the listener can be reached at, from its own list or the host's. */
static uint8_t routable(const struct ag_view *view, const struct ag_pe *pe,
                        struct ip_address list[AG_ADDRESSES_MAX])
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < pe->address_count; i++) {
        if (is_routable(&pe->addresses[i]) && host_has(view, &pe->addresses[i])) {
            add_address(list, &count, &pe->addresses[i]);
        }
    }
    for (uint8_t i = 0; pe->address_count == 0 && i < view->host_count; i++) {
        if (is_routable(&view->host[i]) && family_fits(&view->host[i], pe->families)) {
            add_address(list, &count, &view->host[i]);
        }
    }
    return count;
}

static uint8_t loopbacks(const struct ag_pe *pe, struct ip_address list[AG_ADDRESSES_MAX])
{
    uint8_t count = 0;
    for (uint8_t i = 0; i < pe->address_count; i++) {
        if (is_loopback(&pe->addresses[i])) {
            add_address(list, &count, &pe->addresses[i]);
        }
    }
    if (pe->address_count == 0 && family_fits(&LOOPBACK4, pe->families)) {
        add_address(list, &count, &LOOPBACK4);
    }
    if (pe->address_count == 0 && family_fits(&LOOPBACK6, pe->families)) {
        add_address(list, &count, &LOOPBACK6);
    }
    return count;
}

/*
 * The one nearest to the registrar. Where both families lead there as well, or none does, IPv4: a
 * program's IPv6 socket can connect to it too (mapped), its IPv4 socket to nothing else. Of that
 * family, the address the association with the registrar runs from is the nearest.
 */
static struct ip_address nearest(const struct ag *ag, const struct ip_address *list, uint8_t count)
{
    struct ip_address best = list[0];
    int best_score = -1;
    for (uint8_t i = 0; i < count; i++) {
        bool v4 = list[i].family == IP_V4;
        int score = (v4 ? 2 : 0) + (order_scope(&list[i]) == IP_SCOPE_GLOBAL ? 1 : 0);
        for (uint8_t k = 0; !ag_home_is_local(ag) && k < ag->home.address_count; k++) {
            int near = nearness(&list[i], &ag->home.addresses[k]);
            near += v4 && near >= NEAR_SAME_SCOPE ? NEAR_PREFIX_MOST : 0;
            score = near > 0 && near + 4 > score ? near + 4 : score;
        }
        if (score > best_score) {
            best = list[i];
            best_score = score;
        }
    }
    const struct ip_address *source = &ag->home.source;
    for (uint8_t i = 0; i < count && !ag_home_is_local(ag) && source->family == best.family; i++) {
        if (ip_address_equal(&list[i], source)) {
            best = *source;
        }
    }
    return best;
}

uint8_t ag_register_addresses(const struct ag *ag, const struct ag_local *local,
                              struct ip_address ret[AG_ADDRESSES_MAX])
{
    uint8_t count = routable(&ag->view, &local->pe, ret);
    if (count == 0 && ag_home_on_host(ag)) {
        count = loopbacks(&local->pe, ret);
    }
    if (count > 1 && local->pe.protocol != TRANSPORT_SCTP) {
        ret[0] = nearest(ag, ret, count);
        count = 1;
    }
    return count;
}

uint8_t ag_own_addresses(const struct ag_view *view, const struct ag_pe *own, uint8_t families,
                         struct ip_address ret[AG_ADDRESSES_MAX])
{
    struct ip_address list[AG_ADDRESSES_MAX];
    uint8_t all = loopbacks(own, list);
    uint8_t count = 0;
    for (uint8_t i = 0; i < all; i++) {
        if (family_fits(&list[i], families)) {
            add_address(ret, &count, &list[i]);
        }
    }
    if (own->address_count > 0) {
        for (uint8_t i = 0; i < own->address_count; i++) {
            if (family_fits(&own->addresses[i], families)) {
                add_address(ret, &count, &own->addresses[i]);
            }
        }
        return count;
    }
    all = routable(view, own, list);
    for (uint8_t i = 0; i < all; i++) {
        if (family_fits(&list[i], families)) {
            add_address(ret, &count, &list[i]);
        }
    }
    return count;
}

static int host_nearness(const struct ag_view *view, const struct ip_address *a)
{
    int best = 0;
    for (uint8_t i = 0; i < view->host_count; i++) {
        if (!is_loopback(&view->host[i]) || is_loopback(a)) {
            int score = nearness(a, &view->host[i]);
            best = score > best ? score : best;
        }
    }
    return best;
}

uint8_t ag_contact_addresses(const struct ag_view *view, const struct ip_address *addresses,
                             size_t count, uint8_t families,
                             struct ip_address ret[AG_ADDRESSES_MAX])
{
    int scores[AG_ADDRESSES_MAX];
    uint8_t n = 0;
    for (size_t i = 0; i < count; i++) {
        struct ip_address a = ip_address_unmap(addresses[i]);
        if (!family_fits(&a, families) || (is_loopback(&a) && !view->home_on_host)) {
            continue; /* somebody else's loopback is not ours */
        }
        int score = host_nearness(view, &a);
        uint8_t at = n;
        while (at > 0 && scores[at - 1] < score) {
            at--;
        }
        if (at >= AG_ADDRESSES_MAX) {
            continue;
        }
        n = n < AG_ADDRESSES_MAX ? (uint8_t)(n + 1) : n;
        for (uint8_t k = (uint8_t)(n - 1); k > at; k--) {
            ret[k] = ret[k - 1];
            scores[k] = scores[k - 1];
        }
        ret[at] = a;
        scores[at] = score;
    }
    return n;
}

void ag_host_addresses(struct ag *ag, const struct ip_address *addresses, size_t count,
                       struct tm_us now)
{
    struct ip_address list[AG_HOST_ADDRESSES_MAX] = {0};
    uint8_t n = 0;
    for (size_t i = 0; i < count && n < AG_HOST_ADDRESSES_MAX; i++) {
        list[n++] = ip_address_unmap(addresses[i]);
    }
    bool same = n == ag->view.host_count;
    for (uint8_t i = 0; same && i < n; i++) {
        same = ip_address_equal(&list[i], &ag->view.host[i]);
    }
    if (same) {
        return;
    }
    for (uint8_t i = 0; i < n && ag->view.host_count > 0; i++) {
        ag->home.readdressed = ag->home.readdressed || !host_has(&ag->view, &list[i]);
    }
    memcpy(ag->view.host, list, sizeof(list));
    ag->view.host_count = n;
    ag_share(ag);
    uint64_t before = ag->out->cause;
    ag->out->cause = outbox_event(ag->out, EVENT_ADDRESSES_CHANGED, (struct pool_handle){0}, 0, 0,
                                  "the host has %u usable addresses now", n);
    ag_pes_readdress(ag, now);
    ag->out->cause = before;
}
