/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Events: facts about PEs, pools, registrars and resolutions, each with an id and the id of the
 * event that led to it, so that cause and effect can be chained. They go to the log, to `rspctl
 * monitor` and (later) to metrics.
 */
#ifndef RSP_RSPD_EVENT_H
#define RSP_RSPD_EVENT_H

#include "common/types.h"

enum event_kind {
    EVENT_PE_ADDED, /* registrar: a PE joined the handlespace */
    EVENT_PE_REMOVED,
    EVENT_PE_CHANGED,       /* policy or addresses */
    EVENT_PE_REFUSED,       /* registrar: registration refused */
    EVENT_LOCAL_REGISTERED, /* agent: the registrar has accepted our PE */
    EVENT_LOCAL_REFUSED,
    EVENT_LOCAL_GONE,     /* its listener is closed everywhere */
    EVENT_LOCAL_WITHHELD, /* hung or probe failed */
    EVENT_LOCAL_BACK,
    EVENT_LOCAL_DRAINING,
    EVENT_LOCAL_ADOPTED,  /* after a restart of the daemon */
    EVENT_PE_UNREACHABLE, /* a local client failed to reach it, or a peer reported it */
    EVENT_PE_QUARANTINED,
    EVENT_PE_RELEASED,
    EVENT_REGISTRAR_FOUND,
    EVENT_REGISTRAR_LOST,
    EVENT_HOME_CHANGED,
    EVENT_RESOLUTION_FAILED,
    EVENT_ADDRESSES_CHANGED,
    EVENT_CLIENT_REJECTED,
    EVENT_ROLE_CHANGED,
    EVENT_PEER_FOUND, /* registrar: another registrar of the scope */
    EVENT_PEER_LOST,
    EVENT_PEER_REFUSED,    /* what it sent was not taken: malformed, in conflict, an id twice */
    EVENT_PEER_RESYNC,     /* its table is asked for again, as checksums differ */
    EVENT_TAKEOVER,        /* elements of a dead registrar get another home */
    EVENT_REGISTRAR_PHASE, /* joining, serving, leaving */
    EVENT_COOKIE_REFUSED,  /* a state cookie did not authenticate or is too old */
    EVENT_COOKIE_KEY,      /* the keys of a pool's cookies changed */
    EVENT_KINDS
};
/** "pe-added" …, the name in monitor and log. */
const char *event_kind_name(enum event_kind kind);

#define EVENT_TEXT_MAX 192

struct event {
    uint64_t id;      /* given by the event log; unique in the life of the daemon */
    uint64_t cause;   /* 0: none */
    uint64_t time_us; /* wall clock, filled in by the event log */
    enum event_kind kind;
    struct pool_handle handle; /* may be empty; borrowed */
    uint32_t pe_id;            /* 0: none */
    uint32_t registrar_id;     /* 0: none */
    char text[EVENT_TEXT_MAX]; /* one sentence, escaped, for people */
};

#endif
