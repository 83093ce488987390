/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "librsp/status_report.h"

#include <stdio.h>
#include <string.h>

#define PROTOCOL_SCTP 132
#define PPID_ASAP     11
#define OBJECT        0x00ffffffffffffffu

/** As what the process reports; 0: it has nothing to report. */
static uint64_t sender_of(const struct status *status, const struct status_facts *facts)
{
    uint64_t group = status->id >> 56;
    if ((status->id & OBJECT) != 0) {
        return status->id;
    }
    if (facts->element_id != 0 && (group == 0 || group == CSP_ELEMENT)) {
        return csp_id(CSP_ELEMENT, facts->element_id);
    }
    return facts->user && (group == 0 || group == CSP_USER) ? csp_id(CSP_USER, status->user_id) : 0;
}

static void begin(const struct status *status, struct tm_us now, struct csp_report *ret)
{
    uint64_t interval_us = (uint64_t)status->interval_ms * 1000;
    memset(ret, 0, sizeof(*ret));
    ret->sender = status->sender;
    ret->uptime_us = (uint64_t)(now.us - status->first.us);
    ret->interval_us = interval_us < UINT32_MAX ? (uint32_t)interval_us : UINT32_MAX;
    ret->workload = CSP_WORKLOAD_UNKNOWN;
}

bool status_last(struct status *status, struct tm_us now, struct csp_report *ret)
{
    if (status->sender == 0) {
        return false;
    }
    begin(status, now, ret);
    ret->final = true;
    status->sender = 0;
    return true;
}

bool status_make(struct status *status, const struct status_facts *facts, struct tm_us now,
                 struct csp_report *ret)
{
    uint64_t sender = sender_of(status, facts);
    if (sender == 0) {
        return status_last(status, now, ret);
    }
    status->first = status->sender == 0 ? now : status->first;
    status->sender = sender;
    begin(status, now, ret);
    csp_say_location(facts->host, facts->addresses, facts->address_count, facts->port,
                     ret->location);
    if (facts->registrar_id == 0) {
        (void)snprintf(ret->status, sizeof(ret->status), "Looking for Registrar ...");
    } else if (facts->sessions == 1 && facts->text[0] != '\0') {
        (void)snprintf(ret->status, sizeof(ret->status), "%s", facts->text);
    } else {
        (void)snprintf(ret->status, sizeof(ret->status), "%u Session%s", facts->sessions,
                       facts->sessions == 1 ? "" : "s");
    }
    ret->workload = sender >> 56 == CSP_ELEMENT ? facts->workload : CSP_WORKLOAD_UNKNOWN;
    if (facts->registrar_id != 0) {
        ret->links[ret->link_count++] =
            (struct csp_link){.peer = csp_id(CSP_REGISTRAR, facts->registrar_id),
                              .duration_us = CSP_DURATION_UNKNOWN, /* it is the daemon's */
                              .protocol = PROTOCOL_SCTP,
                              .ppid = PPID_ASAP};
    }
    for (uint16_t i = 0; i < facts->link_count && ret->link_count < CSP_LINKS_MAX; i++) {
        ret->links[ret->link_count++] = facts->links[i];
    }
    return true;
}

void status_add_link(struct status_facts *facts, const struct csp_link *link)
{
    if (facts->link_count < CSP_LINKS_MAX) {
        facts->links[facts->link_count++] = *link;
    }
}
