/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The component status protocol, version 2.0, of rsplib's monitors: one datagram over UDP tells
 * what a registrar, element or user is doing. Not part of the RFCs.
 */
#ifndef RSP_WIRE_CSP_H
#define RSP_WIRE_CSP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/types.h"

#define CSP_PORT             2960
#define CSP_VERSION          0x00000200u
#define CSP_TEXT_MAX         128 /* with the NUL that ends it */
#define CSP_HEAD_OCTETS      288
#define CSP_LINK_OCTETS      24
#define CSP_LINKS_MAX        64
#define CSP_OCTETS_MAX       (CSP_HEAD_OCTETS + CSP_LINKS_MAX * CSP_LINK_OCTETS)
#define CSP_WORKLOAD_UNKNOWN 0xffffu
#define CSP_DURATION_UNKNOWN UINT64_MAX

enum csp_group { CSP_REGISTRAR = 1, CSP_ELEMENT = 2, CSP_USER = 3 };

/** The group in the top 8 bits, then the object, of which 0 means that there is none yet. */
static inline uint64_t csp_id(enum csp_group group, uint64_t object)
{
    return (uint64_t)group << 56 | (object & 0x00ffffffffffffffu);
}

/** An association of the component. */
struct csp_link {
    uint64_t peer; /* csp_id() */
    uint64_t duration_us;
    uint16_t protocol; /* of IP */
    uint32_t ppid;
};

struct csp_report {
    bool final; /* the component ends */
    uint64_t sender;
    uint64_t uptime_us;
    uint32_t interval_us;
    char location[CSP_TEXT_MAX];
    char status[CSP_TEXT_MAX];
    uint16_t workload; /* 0 … 0xfffe: 0 … 100 % */
    uint16_t link_count;
    struct csp_link links[CSP_LINKS_MAX];
};

/** Octets written; -EMSGSIZE: no room, -EINVAL: too many associations. */
int csp_encode(const struct csp_report *report, uint8_t *octets, size_t size);
/**
 * 0, or -EBADMSG: not such a report, or not as long as its associations need (the length field is
 * not looked at: old releases had it wrong). Texts end where they have to.
 */
int csp_decode(const uint8_t *octets, size_t len, struct csp_report *ret);
/**
 * The text for `location`: the host's name and the addresses of global scope, or else those of at
 * least site-local scope, the first with the port unless it is 0.
 */
void csp_say_location(const char *host, const struct ip_address *addresses, size_t count,
                      uint16_t port, char ret[CSP_TEXT_MAX]);

#endif
