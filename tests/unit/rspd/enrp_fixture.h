/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* An ENRP machine on a virtual clock, with a hand that plays the other registrars. */
#ifndef RSP_TESTS_UNIT_RSPD_ENRP_FIXTURE_H
#define RSP_TESTS_UNIT_RSPD_ENRP_FIXTURE_H

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "handlespace/rcu.h"
#include "rspd/registrar/enrp_internal.h"
#include "rspd/registrar/registrar.h"

#define ME 0x50u

struct ex {
    struct outbox box;
    struct hs *hs;
    struct enrp *en;
    struct tm_us now;
    struct action *first, **last; /* taken from the outbox, not yet looked at */
    struct enrp_message msg;      /* the last one found */
    struct enrp_message out;
    uint8_t octets[ENRP_MESSAGE_MAX];
    unsigned adopted, suggested, offered, disowned, changed;
    uint32_t adopted_id, suggested_id;
    struct tm_us adopted_at;
    bool poked;      /* the test has changed the insides by hand: they are not looked at */
    bool disputed;   /* what the hook answers */
    uint32_t rtt_ms; /* the same */
    uint64_t rtt_assoc;
    unsigned rtt_asked;
};

/** Profile lan, no multicast, settings changed by `adjust` (may be NULL); not started. */
struct ex *ex_new(void (*adjust)(struct enrp_settings *));
/** The same, alone and operational. */
struct ex *ex_serving(void (*adjust)(struct enrp_settings *));
void ex_free(struct ex *ex);

/** 10.0.0.x */
struct ip_address ex_ip(uint8_t x);
/** Runs all timers up to `ms` from now. */
void ex_pass(struct ex *ex, int64_t ms);
/** Drops what is wanted so far. */
void ex_drop(struct ex *ex);
/** The next action of that kind, those before it dropped; NULL: none. Until the next call. */
struct action *ex_next(struct ex *ex, enum action_kind kind);
/** The next message of that type, in ex->msg; those before it dropped. NULL: none. */
struct action *ex_sent(struct ex *ex, enum enrp_type type);
/** The same; it must be there. */
struct action *ex_expect(struct ex *ex, enum enrp_type type);
/** Drops everything; how many messages of that type were there. */
unsigned ex_count(struct ex *ex, enum enrp_type type);

/** An association from 10.0.0.x, port 9901, comes up. */
void ex_up(struct ex *ex, uint64_t assoc, uint8_t x);
/** Begins a message of registrar `id` in ex->out. */
struct enrp_message *ex_begin(struct ex *ex, enum enrp_type type, uint32_t id);
/** ex->out arrives. */
void ex_arrives(struct ex *ex, uint64_t assoc);
/** PRESENCE of registrar `id` at 10.0.0.x over `assoc`. */
void ex_presence(struct ex *ex, uint64_t assoc, uint32_t id, uint8_t x, bool reply,
                 uint16_t checksum);
/** Takeover messages. */
void ex_takeover(struct ex *ex, uint64_t assoc, enum enrp_type type, uint32_t id, uint32_t target);
/** Registrar `id` at 10.0.0.x is an ACTIVE peer over association `assoc`; actions dropped. */
void ex_peer(struct ex *ex, uint64_t assoc, uint32_t id, uint8_t x);
/** PE `pe` with that home; its addresses are 10.0.1.pe. */
struct enrp_entry ex_entry(const char *handle, uint32_t pe, uint32_t home);
void ex_update(struct ex *ex, uint64_t assoc, uint32_t id, enum enrp_action action,
               const struct enrp_entry *entry, bool suggest);
/** Table response of n elements (ids first …, home `home`). */
void ex_table(struct ex *ex, uint64_t assoc, uint32_t id, uint8_t flags, uint32_t home,
              uint32_t first, uint16_t n);
/** Puts an element into the handlespace itself. */
void ex_put(struct ex *ex, const char *handle, uint32_t pe, uint32_t home, uint64_t owner_ref);
const struct hs_element *ex_find(struct ex *ex, const char *handle, uint32_t pe);
enum enrp_peer_state ex_state(struct ex *ex, uint32_t id);
bool ex_knows(struct ex *ex, uint32_t id);
/** Checksum the peer would tell for what we hold of it. */
uint16_t ex_sum(struct ex *ex, uint32_t id);

#endif
