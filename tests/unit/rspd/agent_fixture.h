/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An agent on a virtual clock, with a hand that plays registrar and network. */
#ifndef RSP_TESTS_UNIT_RSPD_AGENT_FIXTURE_H
#define RSP_TESTS_UNIT_RSPD_AGENT_FIXTURE_H

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "rspd/agent/ag_internal.h"

struct fx {
    struct outbox box;
    struct ag *ag;
    struct tm_us now;
    uint64_t cause;               /* what the test has said in the outbox: it stays */
    struct action *first, **last; /* taken from the outbox, not yet looked at */
    struct asap_message msg;      /* of the last action_message() */
    struct asap_message out;
    uint8_t octets[ASAP_MESSAGE_MAX];
};

/** Profile lan with settings changed by `adjust` (may be NULL). */
struct fx *fx_new(void (*adjust)(struct ag_settings *));
void fx_free(struct fx *fx);
/** Lists, tables, counters and room for timers agree; said whenever actions are taken out. */
void fx_check(struct fx *fx);

struct ip_address fx_ip(const char *text);
void fx_host(struct fx *fx, const char *a, const char *b);

/** Runs all timers up to `ms` from now. */
void fx_pass(struct fx *fx, int64_t ms);
/** The next action of that kind, freeing those before it; NULL when there is none. Borrowed until
 * the next call. */
struct action *fx_next(struct fx *fx, enum action_kind kind);
/** The next message of that type; decoded into fx->msg. Fails the test if there is none. */
struct action *fx_expect(struct fx *fx, enum asap_type type);
/** Drops all actions; returns how many messages of that type, or actions of that kind, were there.
 */
unsigned fx_count(struct fx *fx, enum asap_type type);
unsigned fx_count_kind(struct fx *fx, enum action_kind kind);
void fx_drop(struct fx *fx);

/** An announce of registrar `id` from `ip`:3863 without transports. */
void fx_announce(struct fx *fx, uint32_t id, const char *ip);
/** Announces and brings up the association to it; returns it. */
uint64_t fx_home(struct fx *fx, uint32_t id, const char *ip);
void fx_up(struct fx *fx, uint64_t assoc, const char *ip);

void fx_send(struct fx *fx, uint64_t assoc, const struct asap_message *msg);
/** Response to a (de)registration; `cause` < 0: none. */
void fx_respond(struct fx *fx, uint64_t assoc, enum asap_type type, const char *handle,
                uint32_t pe_id, bool reject, int cause);
/** A positive answer with `n` elements of ids first, first + 1 …, TCP port 80, 10.0.0.x, x = id. */
void fx_answer(struct fx *fx, uint64_t assoc, const char *handle, uint32_t first, uint32_t n);
void fx_answer_unknown(struct fx *fx, uint64_t assoc, const char *handle);
void fx_keep_alive(struct fx *fx, uint64_t assoc, uint32_t server, bool h, const char *handle,
                   uint32_t pe_id);

/** A wildcard TCP listener on port 80 in `handle`. */
uint32_t fx_pe(struct fx *fx, const char *handle);
/** The same, registered with `assoc`; actions are dropped. */
uint32_t fx_registered(struct fx *fx, uint64_t assoc, const char *handle);
enum ag_pe_state fx_state(struct fx *fx, uint32_t pe_id);
struct ag_query fx_query(const char *handle);

#endif
