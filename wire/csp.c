/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire/csp.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/cursor.h"

#define TYPE_REPORT 1
#define FLAG_FINAL  1

static void put_n64(struct wcur *c, uint64_t v)
{
    wcur_n32(c, (uint32_t)(v >> 32));
    wcur_n32(c, (uint32_t)v);
}

static uint64_t get_n64(struct rcur *c)
{
    uint64_t high = rcur_n32(c);
    return high << 32 | rcur_n32(c);
}

/* All of the field: what is behind the text is zero. */
static void put_text(struct wcur *c, const char *text)
{
    uint8_t *field = wcur_room(c, CSP_TEXT_MAX);
    if (field != NULL) {
        memset(field, 0, CSP_TEXT_MAX);
        memcpy(field, text, strnlen(text, CSP_TEXT_MAX - 1));
    }
}

static void get_text(struct rcur *c, char *ret)
{
    const uint8_t *field = rcur_take(c, CSP_TEXT_MAX);
    memset(ret, 0, CSP_TEXT_MAX);
    if (field != NULL) {
        memcpy(ret, field, strnlen((const char *)field, CSP_TEXT_MAX - 1));
    }
}

int csp_encode(const struct csp_report *report, uint8_t *octets, size_t size)
{
    struct wcur c = wcur_of(octets, size);
    if (report->link_count > CSP_LINKS_MAX) {
        return -EINVAL;
    }
    wcur_u8(&c, TYPE_REPORT);
    wcur_u8(&c, report->final ? FLAG_FINAL : 0);
    wcur_n16(&c, (uint16_t)(CSP_HEAD_OCTETS + report->link_count * CSP_LINK_OCTETS));
    wcur_n32(&c, CSP_VERSION);
    put_n64(&c, report->sender);
    put_n64(&c, report->uptime_us);
    wcur_n32(&c, report->interval_us);
    put_text(&c, report->location);
    put_text(&c, report->status);
    wcur_n16(&c, report->workload);
    wcur_n16(&c, report->link_count);
    for (uint16_t i = 0; i < report->link_count; i++) {
        put_n64(&c, report->links[i].peer);
        put_n64(&c, report->links[i].duration_us);
        wcur_n16(&c, 0);
        wcur_n16(&c, report->links[i].protocol);
        wcur_n32(&c, report->links[i].ppid);
    }
    return c.err ? -EMSGSIZE : (int)wcur_used(&c);
}

int csp_decode(const uint8_t *octets, size_t len, struct csp_report *ret)
{
    struct rcur c = rcur_of(octets, len);
    struct csp_report r = {0};
    uint8_t type = rcur_u8(&c);
    r.final = rcur_u8(&c) != 0;
    (void)rcur_n16(&c);
    uint32_t version = rcur_n32(&c);
    r.sender = get_n64(&c);
    r.uptime_us = get_n64(&c);
    r.interval_us = rcur_n32(&c);
    get_text(&c, r.location);
    get_text(&c, r.status);
    r.workload = rcur_n16(&c);
    r.link_count = rcur_n16(&c);
    if (c.err || type != TYPE_REPORT || version != CSP_VERSION || r.link_count > CSP_LINKS_MAX ||
        rcur_left(&c) != (size_t)r.link_count * CSP_LINK_OCTETS) {
        return -EBADMSG;
    }
    for (uint16_t i = 0; i < r.link_count; i++) {
        r.links[i].peer = get_n64(&c);
        r.links[i].duration_us = get_n64(&c);
        (void)rcur_n16(&c);
        r.links[i].protocol = rcur_n16(&c);
        r.links[i].ppid = rcur_n32(&c);
    }
    *ret = r;
    return 0;
}

void csp_say_location(const char *host, const struct ip_address *addresses, size_t count,
                      uint16_t port, char ret[CSP_TEXT_MAX])
{
    enum ip_scope least = IP_SCOPE_SITE_LOCAL;
    char text[IP_ADDRESS_TEXT_MAX];
    bool some = false;
    for (size_t i = 0; i < count; i++) {
        if (ip_address_scope(&addresses[i]) == IP_SCOPE_GLOBAL) {
            least = IP_SCOPE_GLOBAL;
        }
    }
    int n = snprintf(ret, CSP_TEXT_MAX, "%s: ", host);
    for (size_t i = 0; i < count && n > 0 && n < CSP_TEXT_MAX; i++) {
        const struct ip_address *a = &addresses[i];
        if (ip_address_scope(a) < least) {
            continue;
        }
        (void)ip_address_format(a, text, sizeof(text));
        bool with_port = !some && port != 0;
        bool bracketed = with_port && a->family == IP_V6;
        n += snprintf(ret + n, CSP_TEXT_MAX - (size_t)n, "%s%s%s%s", some ? ", " : "",
                      bracketed ? "[" : "", text, bracketed ? "]" : "");
        if (with_port && n < CSP_TEXT_MAX) {
            n += snprintf(ret + n, CSP_TEXT_MAX - (size_t)n, ":%u", port);
        }
        some = true;
    }
    if (!some && n > 0 && n < CSP_TEXT_MAX) {
        (void)snprintf(ret + n, CSP_TEXT_MAX - (size_t)n, "(local only)");
    }
}
