/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the registrar of this process reports to a monitor (wire/csp.h), and what. Pure. */
#ifndef RSP_RSPD_CSP_H
#define RSP_RSPD_CSP_H

#include "common/clock.h"
#include "common/types.h"
#include "wire/csp.h"

/** What a report tells. */
struct csp_facts {
    uint32_t registrar_id; /* 0: this process is none */
    uint32_t elements, owned, pools;
    const uint32_t *peers;
    size_t peer_count;
    const char *host;
    const struct ip_address *addresses;
    size_t address_count;
    uint16_t port;
};

/** Zero: reports nothing. */
struct csp {
    uint32_t interval_ms;
    struct tm_us first, next;
    uint64_t sender; /* of the last report */
};

/** `interval_ms` 0: no reports (any more). The first one is due at once. */
void csp_configure(struct csp *csp, uint32_t interval_ms, struct tm_us now);
/** When the next one is due. */
struct tm_us csp_next(const struct csp *csp);
/** The report that is due; false: nothing is to be sent, as there is no registrar. */
bool csp_due(struct csp *csp, const struct csp_facts *facts, struct tm_us now,
             struct csp_report *ret);
/** The last one, of a registrar that has reported; false: none has. */
bool csp_last(struct csp *csp, struct tm_us now, struct csp_report *ret);

#endif
