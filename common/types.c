/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/types.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

bool pool_handle_equal(struct pool_handle a, struct pool_handle b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.octets, b.octets, a.len) == 0);
}

int pool_handle_compare(const void *a, const void *b)
{
    const struct pool_handle *x = (const struct pool_handle *)a;
    const struct pool_handle *y = (const struct pool_handle *)b;
    if (x->len != y->len) {
        return x->len < y->len ? -1 : 1;
    }
    return x->len > 0 ? memcmp(x->octets, y->octets, x->len) : 0;
}

struct pool_handle pool_handle_of(const char *text)
{
    size_t len = strlen(text);
    if (len > UINT16_MAX) {
        len = UINT16_MAX;
    }
    return (struct pool_handle){.octets = (const uint8_t *)text, .len = (uint16_t)len};
}

const char *pool_handle_format(struct pool_handle handle, char *out, size_t size)
{
    size_t used = 0;
    if (size == 0) {
        return out;
    }
    for (uint16_t i = 0; i < handle.len; i++) {
        uint8_t c = handle.octets[i];
        bool plain = c > 0x20 && c < 0x7f && c != '\\' && c != '"';
        size_t need = plain ? 1 : 4;
        if (used + need + 4 > size) {
            (void)snprintf(out + used, size - used, "...");
            return out;
        }
        if (plain) {
            out[used] = (char)c;
        } else {
            (void)snprintf(out + used, size - used, "\\x%02x", c);
        }
        used += need;
    }
    out[used] = '\0';
    return out;
}

bool ip_address_equal(const struct ip_address *a, const struct ip_address *b)
{
    return a->family == b->family && memcmp(a->octets, b->octets, a->family == IP_V6 ? 16 : 4) == 0;
}

static const uint8_t MAPPED_PREFIX[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct ip_address ip_address_unmap(struct ip_address a)
{
    if (a.family != IP_V6 || memcmp(a.octets, MAPPED_PREFIX, sizeof(MAPPED_PREFIX)) != 0) {
        return a;
    }
    struct ip_address v4 = {.family = IP_V4};
    memcpy(v4.octets, a.octets + 12, 4);
    return v4;
}

/* The longest run of zero groups, at least two long, becomes "::" (RFC 5952 §4.2). */
static void longest_zero_run(const uint16_t group[8], int *ret_start, int *ret_len)
{
    *ret_start = -1;
    *ret_len = 1;
    for (int i = 0; i < 8; i++) {
        int n = 0;
        while (i + n < 8 && group[i + n] == 0) {
            n++;
        }
        if (n > *ret_len) {
            *ret_start = i;
            *ret_len = n;
        }
        i += n;
    }
}

const char *ip_address_format(const struct ip_address *a, char *out, size_t size)
{
    if (a->family == IP_V4) {
        (void)snprintf(out, size, "%u.%u.%u.%u", a->octets[0], a->octets[1], a->octets[2],
                       a->octets[3]);
        return out;
    }
    if (a->family != IP_V6) {
        (void)snprintf(out, size, "(none)");
        return out;
    }
    uint16_t group[8];
    for (size_t i = 0; i < 8; i++) {
        group[i] = (uint16_t)(a->octets[2 * i] << 8 | a->octets[2 * i + 1]);
    }
    int start;
    int len;
    longest_zero_run(group, &start, &len);
    size_t used = 0;
    for (int i = 0; i < 8 && used < size;) {
        if (i == start) {
            used += (size_t)snprintf(out + used, size - used, "::");
            i += len;
            continue;
        }
        bool colon = i > 0 && i != start + len;
        if (start < 0) {
            colon = i > 0;
        }
        used += (size_t)snprintf(out + used, size - used, "%s%x", colon ? ":" : "", group[i]);
        i++;
    }
    return out;
}

static int parse_v4(const char *text, uint8_t out[4])
{
    for (int i = 0; i < 4; i++) {
        unsigned value = 0;
        int digits = 0;
        while (*text >= '0' && *text <= '9' && digits < 4) {
            value = value * 10 + (unsigned)(*text++ - '0');
            digits++;
        }
        if (digits == 0 || digits > 3 || value > 255) {
            return -EINVAL;
        }
        out[i] = (uint8_t)value;
        if (i < 3 && *text++ != '.') {
            return -EINVAL;
        }
    }
    return *text == '\0' ? 0 : -EINVAL;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int parse_v6(const char *text, uint8_t out[16])
{
    uint8_t head[16] = {0};
    int used = 0;
    int gap = -1;
    if (text[0] == ':' && text[1] == ':') {
        gap = 0;
        text += 2;
    }
    while (*text != '\0' && used < 16) {
        const char *start = text;
        unsigned value = 0;
        int digits = 0;
        while (hex_digit(*text) >= 0 && digits < 5) {
            value = value << 4 | (unsigned)hex_digit(*text++);
            digits++;
        }
        if (*text == '.' && used <= 12) {
            if (parse_v4(start, head + used) < 0) {
                return -EINVAL;
            }
            used += 4;
            text = "";
            break;
        }
        if (digits == 0 || digits > 4) {
            return -EINVAL;
        }
        head[used++] = (uint8_t)(value >> 8);
        head[used++] = (uint8_t)value;
        if (*text == '\0') {
            break;
        }
        if (*text++ != ':') {
            return -EINVAL;
        }
        if (*text == ':') {
            if (gap >= 0) {
                return -EINVAL;
            }
            gap = used;
            text++;
        } else if (*text == '\0') {
            return -EINVAL;
        }
    }
    if (*text != '\0' || (gap < 0 && used != 16) || (gap >= 0 && used > 14)) {
        return -EINVAL;
    }
    memset(out, 0, 16);
    if (gap < 0) {
        memcpy(out, head, 16);
        return 0;
    }
    memcpy(out, head, (size_t)gap);
    memcpy(out + 16 - (used - gap), head + gap, (size_t)(used - gap));
    return 0;
}

int ip_address_parse(const char *text, struct ip_address *ret)
{
    struct ip_address a = {0};
    if (strchr(text, ':') != NULL) {
        a.family = IP_V6;
        if (parse_v6(text, a.octets) < 0) {
            return -EINVAL;
        }
    } else {
        a.family = IP_V4;
        if (parse_v4(text, a.octets) < 0) {
            return -EINVAL;
        }
    }
    *ret = a;
    return 0;
}

static enum ip_scope scope_v4(const uint8_t *o)
{
    if (o[0] == 0 && o[1] == 0 && o[2] == 0 && o[3] == 0) {
        return IP_SCOPE_UNSPECIFIED;
    }
    if (o[0] == 127 || o[0] == 255) {
        return IP_SCOPE_LOOPBACK;
    }
    if (o[0] == 169 && o[1] == 254) {
        return IP_SCOPE_LINK_LOCAL;
    }
    if (o[0] == 10 || (o[0] == 172 && (o[1] & 0xf0) == 16) || (o[0] == 192 && o[1] == 168)) {
        return IP_SCOPE_SITE_LOCAL;
    }
    return (o[0] & 0xf0) == 0xe0 ? IP_SCOPE_MULTICAST : IP_SCOPE_GLOBAL;
}

enum ip_scope ip_address_scope(const struct ip_address *address)
{
    struct ip_address a = ip_address_unmap(*address);
    if (a.family == IP_V4) {
        return scope_v4(a.octets);
    }
    if (a.family != IP_V6) {
        return IP_SCOPE_UNSPECIFIED;
    }
    static const uint8_t zero[15] = {0};
    if (memcmp(a.octets, zero, 15) == 0 && a.octets[15] <= 1) {
        return a.octets[15] == 1 ? IP_SCOPE_LOOPBACK : IP_SCOPE_UNSPECIFIED;
    }
    if (a.octets[0] == 0xff) {
        return IP_SCOPE_MULTICAST;
    }
    if (a.octets[0] == 0xfe && (a.octets[1] & 0xc0) == 0x80) {
        return IP_SCOPE_LINK_LOCAL;
    }
    if (a.octets[0] == 0xfe && (a.octets[1] & 0xc0) == 0xc0) {
        return IP_SCOPE_SITE_LOCAL;
    }
    return IP_SCOPE_GLOBAL;
}

const char *transport_protocol_name(enum transport_protocol p)
{
    switch (p) {
    case TRANSPORT_NONE:
        return "none";
    case TRANSPORT_DCCP:
        return "dccp";
    case TRANSPORT_SCTP:
        return "sctp";
    case TRANSPORT_TCP:
        return "tcp";
    case TRANSPORT_UDP:
        return "udp";
    case TRANSPORT_UDPLITE:
        return "udplite";
    case TRANSPORT_OPAQUE:
        return "opaque";
    }
    return "unknown";
}
