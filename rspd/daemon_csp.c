/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon's reports to monitors (csp.h): a timer, and a datagram from a new socket each time. */
#include <limits.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "rspd/daemon_internal.h"

#define INTERVAL_MIN_MS 250

static void send_to(const struct settings_registrar *monitor, const uint8_t *octets, size_t len)
{
    bool v4 = monitor->address.family == IP_V4;
    uint16_t port = monitor->port != 0 ? monitor->port : CSP_PORT;
    struct sockaddr_in to4 = {.sin_family = AF_INET, .sin_port = htons(port)};
    struct sockaddr_in6 to6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
    memcpy(&to4.sin_addr, monitor->address.octets, sizeof(to4.sin_addr));
    memcpy(&to6.sin6_addr, monitor->address.octets, sizeof(to6.sin6_addr));
    int fd = socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0) {
        /* Nobody answers, and nobody need be there. */
        (void)sendto(fd, octets, len, MSG_NOSIGNAL,
                     v4 ? (const struct sockaddr *)&to4 : (const struct sockaddr *)&to6,
                     v4 ? sizeof(to4) : sizeof(to6));
        (void)close(fd);
    }
}

static void send_report(const struct daemon *d, const struct csp_report *report)
{
    uint8_t octets[CSP_OCTETS_MAX];
    int len = csp_encode(report, octets, sizeof(octets));
    for (uint8_t i = 0; len > 0 && i < d->settings.monitors.count; i++) {
        send_to(&d->settings.monitors.items[i], octets, (size_t)len);
    }
}

static void on_timer(void *ctx, struct tm_us now)
{
    struct daemon *d = (struct daemon *)ctx;
    static struct csp_report report;
    struct enrp_peer_info list[ENRP_PEERS_MAX];
    uint32_t peers[ENRP_PEERS_MAX];
    char host[HOST_NAME_MAX + 1] = "";
    struct csp_facts facts = {.peers = peers,
                              .host = host,
                              .addresses = d->addresses,
                              .address_count = d->address_count,
                              .port = (uint16_t)d->settings.asap_port};
    (void)gethostname(host, sizeof(host) - 1);
    if (d->rg != NULL) {
        size_t n = enrp_peers(d->en, list, ENRP_PEERS_MAX);
        for (size_t i = 0; i < n; i++) {
            if (list[i].id != 0) {
                peers[facts.peer_count++] = list[i].id;
            }
        }
        facts.registrar_id = d->registrar_id;
        facts.elements = hs_element_count(d->hs);
        facts.owned = hs_home_count(d->hs, d->registrar_id);
        facts.pools = hs_pool_count(d->hs);
    }
    /* One that is due, or the last one of what is no registrar any more. */
    if (csp_due(&d->csp, &facts, now, &report) || csp_last(&d->csp, now, &report)) {
        send_report(d, &report);
    }
    (void)loop_timer_set(d->csp_timer, csp_next(&d->csp));
}

int csp_side_start(struct daemon *d)
{
    int r = loop_timer_add(d->loop, 20000, on_timer, d, &d->csp_timer);
    if (r == 0) {
        csp_side_configure(d);
    }
    return r;
}

void csp_side_configure(struct daemon *d)
{
    uint32_t ms = d->settings.monitors.count > 0 ? d->settings.monitor_interval_ms : 0;
    ms = ms > 0 && ms < INTERVAL_MIN_MS ? INTERVAL_MIN_MS : ms;
    csp_configure(&d->csp, ms, loop_now(d->loop));
    (void)loop_timer_set(d->csp_timer, csp_next(&d->csp));
}

void csp_side_stop(struct daemon *d)
{
    static struct csp_report report;
    if (d->loop != NULL && csp_last(&d->csp, loop_now(d->loop), &report)) {
        send_report(d, &report);
    }
    loop_timer_free(d->csp_timer);
    d->csp_timer = NULL;
}
