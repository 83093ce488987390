/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/csp.h"

#include <stdio.h>
#include <string.h>

#define PROTOCOL_SCTP 132
#define PPID_ENRP     12

void csp_configure(struct csp *csp, uint32_t interval_ms, struct tm_us now)
{
    if (interval_ms != csp->interval_ms) {
        csp->next = now;
    }
    csp->interval_ms = interval_ms;
}

struct tm_us csp_next(const struct csp *csp)
{
    return csp->interval_ms > 0 ? csp->next : TM_NEVER;
}

static void say_status(const struct csp_facts *facts, char *out, size_t size)
{
    (void)snprintf(out, size, "%u[%u] PEs in %u Pool%s, %zu Peer%s", facts->elements, facts->owned,
                   facts->pools, facts->pools == 1 ? "" : "s", facts->peer_count,
                   facts->peer_count == 1 ? "" : "s");
}

static void begin(const struct csp *csp, struct tm_us now, struct csp_report *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->sender = csp->sender;
    ret->uptime_us = (uint64_t)(now.us - csp->first.us);
    ret->interval_us = csp->interval_ms * 1000;
    ret->workload = CSP_WORKLOAD_UNKNOWN;
}

bool csp_due(struct csp *csp, const struct csp_facts *facts, struct tm_us now,
             struct csp_report *ret)
{
    csp->next = tm_add_ms(now, csp->interval_ms);
    if (facts->registrar_id == 0) {
        return false;
    }
    csp->first = csp->sender == 0 ? now : csp->first;
    csp->sender = csp_id(CSP_REGISTRAR, facts->registrar_id);
    begin(csp, now, ret);
    csp_say_location(facts->host, facts->addresses, facts->address_count, facts->port,
                     ret->location);
    say_status(facts, ret->status, sizeof(ret->status));
    for (size_t i = 0; i < facts->peer_count && i < CSP_LINKS_MAX; i++) {
        ret->links[ret->link_count++] =
            (struct csp_link){.peer = csp_id(CSP_REGISTRAR, facts->peers[i]),
                              .duration_us = CSP_DURATION_UNKNOWN,
                              .protocol = PROTOCOL_SCTP,
                              .ppid = PPID_ENRP};
    }
    return true;
}

bool csp_last(struct csp *csp, struct tm_us now, struct csp_report *ret)
{
    if (csp->sender == 0) {
        return false;
    }
    begin(csp, now, ret);
    ret->final = true;
    csp->sender = 0;
    return true;
}
