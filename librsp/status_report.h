/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When the process reports to a monitor (wire/csp.h), as what, and what it says. Pure. */
#ifndef RSP_LIBRSP_STATUS_REPORT_H
#define RSP_LIBRSP_STATUS_REPORT_H

#include "common/clock.h"
#include "common/types.h"
#include "wire/csp.h"

#define STATUS_ADDRESSES 32

/** What the process is doing. */
struct status_facts {
    char host[CSP_TEXT_MAX];
    struct ip_address addresses[STATUS_ADDRESSES];
    size_t address_count;
    uint16_t port;         /* of the element; 0: none */
    uint32_t registrar_id; /* the daemon's; 0: it has none */
    uint32_t element_id;   /* 0: not registered */
    uint16_t workload;
    bool user;               /* there is a user's session */
    uint32_t sessions;       /* of users and of the element's */
    char text[CSP_TEXT_MAX]; /* of the last session looked at; empty: the program said nothing */
    struct csp_link links[CSP_LINKS_MAX];
    uint16_t link_count;
};

/** Zero: reports nothing. */
struct status {
    uint64_t id;      /* the program's wish; without an object the process gets one */
    uint64_t user_id; /* the object of a user without another */
    uint32_t interval_ms;
    struct tm_us first; /* report */
    uint64_t sender;    /* of the last report; 0: none, or it was final */
};

/**
 * The report of now: a final one when the process has ceased to be what it was, false when it is
 * nothing and was nothing. Forgets the sender after a final one.
 */
bool status_make(struct status *status, const struct status_facts *facts, struct tm_us now,
                 struct csp_report *ret);
/** The final report; false: there was no other. */
bool status_last(struct status *status, struct tm_us now, struct csp_report *ret);
/** An association with the server of a session; those that are too many are left out. */
void status_add_link(struct status_facts *facts, const struct csp_link *link);

#endif
