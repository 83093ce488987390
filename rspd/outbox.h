/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What a pure machine wants done, in order. Agent and registrar append while they handle an event;
 * the daemon (or a test, or the simulator) takes the actions out and performs them. Nothing happens
 * inside a machine's call, so machines never re-enter each other.
 */
#ifndef RSP_RSPD_OUTBOX_H
#define RSP_RSPD_OUTBOX_H

#include "common/buffer.h"
#include "common/types.h"
#include "rspd/event.h"

enum action_kind {
    ACTION_CONNECT,      /* open association `assoc` to `addresses`:`port`; registrar_id if known */
    ACTION_SEND,         /* `message` on `assoc` */
    ACTION_DISCONNECT,   /* end `assoc`; `abort` */
    ACTION_ANNOUNCE,     /* `message` to the announce group */
    ACTION_REGISTERED,   /* agent: outcome for local PE `pe_id`: `result`, `cause`, `text` */
    ACTION_DEREGISTERED, /* agent: local PE `pe_id` has left the scope (the registrar agreed, or is
                            gone) */
    ACTION_RESOLVED,     /* agent: answer to request `request` is ready (ag_resolve_take) */
    ACTION_TRY_PE,       /* agent: please see whether `addresses`:`port` answers; ag_tried() */
    ACTION_EVENT,
    ACTION_ENRP_ANNOUNCE /* `message` to the registrars' own announce group */
};

struct action {
    struct action *next;
    enum action_kind kind;
    uint64_t assoc;
    struct buffer *message;
    uint32_t ppid; /* SEND: payload protocol; 0: ASAP's */
    bool abort;
    uint16_t port;
    uint8_t address_count;
    struct ip_address addresses[8];
    enum transport_protocol protocol; /* TRY_PE */
    uint32_t registrar_id;
    uint32_t pe_id;
    uint64_t request;
    int result;
    uint16_t cause;
    struct event event; /* ACTION_EVENT, its handle points to event_handle; of other kinds only
                           `cause` counts: what led to the action */
    uint8_t *event_handle;
    char text[EVENT_TEXT_MAX];
};

struct outbox {
    struct action *head;
    struct action **tail;
    uint64_t next_event_id;
    uint64_t cause;          /* event id that new events (and other actions) name as their cause */
    uint64_t *event_counter; /* ids come from there instead when several makers share one counter */
};

void outbox_init(struct outbox *box);
/** Frees what is left. */
void outbox_done(struct outbox *box);
/** Appends a zeroed action; NULL when memory is out. */
struct action *outbox_add(struct outbox *box, enum action_kind kind);
/** Shorthands; they drop the action when memory is out. */
void outbox_send(struct outbox *box, uint64_t assoc, const void *octets, size_t len);
void outbox_send_as(struct outbox *box, uint64_t assoc, uint32_t ppid, const void *octets,
                    size_t len);
void outbox_disconnect(struct outbox *box, uint64_t assoc, bool abort);
/** Returns the event's id. */
uint64_t outbox_event(struct outbox *box, enum event_kind kind, struct pool_handle handle,
                      uint32_t pe_id, uint32_t registrar_id, const char *format, ...)
    __attribute__((format(printf, 6, 7)));
/** The oldest action, now the caller's, or NULL. */
struct action *outbox_take(struct outbox *box);
void action_free(struct action *action);

#endif
