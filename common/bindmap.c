/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The list of "which socket joins which pool"; grammar in bindmap.h. */
#include "common/bindmap.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct span {
    const char *at;
    size_t len;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_blank(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

static bool span_is(struct span s, const char *text)
{
    return s.len == strlen(text) && memcmp(s.at, text, s.len) == 0;
}

/** Cuts the part before `c` off `*rest`; false when there is no `c`. */
static bool cut(struct span *rest, char c, struct span *ret)
{
    const char *found = memchr(rest->at, c, rest->len);
    if (found == NULL) {
        return false;
    }
    ret->at = rest->at;
    ret->len = (size_t)(found - rest->at);
    rest->len -= ret->len + 1;
    rest->at = found + 1;
    return true;
}

static bool parse_port(struct span s, uint16_t *ret)
{
    if (span_is(s, "all")) {
        *ret = 0;
        return true;
    }
    uint32_t value = 0;
    for (size_t i = 0; i < s.len; i++) {
        if (s.at[i] < '0' || s.at[i] > '9') {
            return false;
        }
        value = value * 10 + (uint32_t)(s.at[i] - '0');
        if (value > UINT16_MAX) {
            return false;
        }
    }
    *ret = (uint16_t)value;
    return value != 0;
}

static int parse_entry(struct span s, struct bindmap_entry *ret)
{
    struct bindmap_entry entry = {.protocol = TRANSPORT_NONE};
    struct span before;
    if (cut(&s, '=', &before)) {
        struct span name = trim(s);
        if (name.len == 0 || name.len > POOL_HANDLE_MAX) {
            return -EINVAL;
        }
        entry.handle.octets = (const uint8_t *)name.at;
        entry.handle.len = (uint16_t)name.len;
        s = trim(before);
    }
    struct span protocol;
    if (cut(&s, ':', &protocol)) {
        if (span_is(protocol, "tcp")) {
            entry.protocol = TRANSPORT_TCP;
        } else if (span_is(protocol, "udp")) {
            entry.protocol = TRANSPORT_UDP;
        } else if (span_is(protocol, "sctp")) {
            entry.protocol = TRANSPORT_SCTP;
        } else {
            return -EINVAL;
        }
    }
    if (!parse_port(s, &entry.port)) {
        return -EINVAL;
    }
    *ret = entry;
    return 1;
}

/** The next entry's text, trimmed, empty ones skipped; false at the end. */
static bool next_span(const char **pos, struct span *ret)
{
    while (**pos != '\0') {
        struct span s = {.at = *pos, .len = strcspn(*pos, ",")};
        *pos += s.len;
        if (**pos == ',') {
            (*pos)++;
        }
        s = trim(s);
        if (s.len > 0) {
            *ret = s;
            return true;
        }
    }
    return false;
}

int bindmap_next(const char **pos, struct bindmap_entry *ret)
{
    struct span s;
    return next_span(pos, &s) ? parse_entry(s, ret) : 0;
}

int bindmap_check(const char *text, char *error, size_t error_size)
{
    struct span s;
    while (next_span(&text, &s)) {
        struct bindmap_entry entry;
        if (parse_entry(s, &entry) < 0) {
            (void)snprintf(error, error_size,
                           "\"%.*s\" is not PORT=POOL, all=POOL or tcp|udp|sctp:PORT=POOL",
                           (int)(s.len < 64 ? s.len : 64), s.at);
            return -EINVAL;
        }
    }
    return 0;
}

static bool fits(const struct bindmap_entry *entry, enum transport_protocol protocol, uint16_t port)
{
    if (entry->port != 0 && entry->port != port) {
        return false;
    }
    if (entry->protocol == TRANSPORT_NONE) {
        return protocol == TRANSPORT_TCP || protocol == TRANSPORT_SCTP;
    }
    return entry->protocol == protocol;
}

bool bindmap_lookup(const char *text, enum transport_protocol protocol, uint16_t port,
                    struct pool_handle fallback, struct pool_handle *ret)
{
    if (text == NULL) {
        return false;
    }
    struct bindmap_entry entry;
    int r;
    while ((r = bindmap_next(&text, &entry)) != 0) {
        if (r < 0 || !fits(&entry, protocol, port)) {
            continue;
        }
        struct pool_handle handle = entry.handle.len > 0 ? entry.handle : fallback;
        if (handle.len == 0) {
            return false;
        }
        *ret = handle;
        return true;
    }
    return false;
}
