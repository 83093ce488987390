/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A registrar on a virtual clock with a hand that plays its peers: encodes what they say, decodes
 * what it answers.
 */
#ifndef RSP_TESTS_REGISTRAR_FIXTURE_H
#define RSP_TESTS_REGISTRAR_FIXTURE_H

#include "handlespace/rcu.h"
#include "rspd/registrar/registrar.h"

#include "wire/asap.h"

#include "tests/unit/rspd/insides.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#define RG_ID 0xa1b2c3d4u
enum { PE_HOST = 1, PU_HOST = 2, OTHER_HOST = 3 }; /* associations; host n is 10.0.0.n */

struct bench {
    struct rg_settings set;
    struct hs *hs;
    struct outbox out;
    struct rg *rg;
    struct tm_us now;
    struct asap_message msg;   /* what a peer says */
    struct asap_message reply; /* what it was told last */
    struct wire_report report;
    struct action *last; /* reply borrows from it */
    uint8_t octets[ASAP_MESSAGE_MAX];
    struct ip_address address;
};

static struct bench b;

static inline struct ip_address host_address(unsigned n)
{
    return (struct ip_address){.family = IP_V4, .octets = {10, 0, 0, (uint8_t)n}};
}

static inline void up(uint64_t assoc)
{
    struct ip_address a = host_address((unsigned)assoc);
    rg_assoc_up(b.rg, assoc, &a, 1, 5000, b.now);
}

/** Takes the next action of that kind; events are dropped on the way unless wanted. */
static inline struct action *next_of(enum action_kind kind)
{
    struct action *a;
    while ((a = outbox_take(&b.out)) != NULL && a->kind != kind) {
        action_free(a);
    }
    return a;
}

/** The action has to be there. */
static inline struct action *must(struct action *a)
{
    cr_assert_not_null(a);
    if (a == NULL) {
        abort();
    }
    return a;
}

static inline void drain(void)
{
    struct action *a;
    while ((a = outbox_take(&b.out)) != NULL) {
        action_free(a);
    }
}

static inline void check_insides(void)
{
    const char *wrong = insides_of_registrar(b.rg);
    cr_assert_null(wrong, "%s", wrong);
}

/** The next message sent to that association, decoded into b.reply. */
static inline bool told(uint64_t assoc)
{
    struct action *a = next_of(ACTION_SEND);
    if (a == NULL) {
        return false;
    }
    action_free(b.last);
    b.last = a;
    cr_assert_eq(a->assoc, assoc, "sent to %lu", (unsigned long)a->assoc);
    cr_assert_eq(a->message->len % 4, 0);
    cr_assert_eq(asap_decode(a->message->octets, a->message->len, &b.reply, &b.report), WIRE_OK);
    return true;
}

static inline bool silent(void)
{
    return next_of(ACTION_SEND) == NULL;
}

static inline void expect_event(enum event_kind kind, const char *text)
{
    struct action *a = must(next_of(ACTION_EVENT));
    cr_assert_eq(a->event.kind, kind, "%s", a->event.text);
    cr_assert(strstr(a->event.text, text) != NULL, "said: %s\nwanted: %s", a->event.text, text);
    action_free(a);
}

static inline void say(uint64_t assoc)
{
    int len = asap_encode(&b.msg, b.octets, sizeof(b.octets));
    cr_assert_gt(len, 0);
    rg_message(b.rg, assoc, b.octets, (size_t)len, b.now);
    check_insides();
}

static inline void prepare(enum asap_type type, const char *handle)
{
    asap_message_init(&b.msg, type);
    b.msg.has_handle = true;
    b.msg.handle = pool_handle_of(handle);
}

/** A REGISTRATION as host PE_HOST would send it; tests change it before they say it. */
static inline struct pool_element *prepare_pe(const char *handle, uint32_t id, unsigned host)
{
    prepare(ASAP_REGISTRATION, handle);
    b.address = host_address(host);
    b.msg.element_count = 1;
    b.msg.elements[0] = (struct pool_element){.pe_id = id,
                                              .registration_life = 300000,
                                              .user = {.protocol = TRANSPORT_TCP,
                                                       .port = 80,
                                                       .address_count = 1,
                                                       .addresses = &b.address},
                                              .policy = {.type = POLICY_RR}};
    return &b.msg.elements[0];
}

static inline void expect_response(uint64_t assoc, enum asap_type type, uint16_t cause)
{
    cr_assert(told(assoc), "no response");
    cr_assert_eq(b.reply.type, type);
    if (type == ASAP_REGISTRATION_RESPONSE) {
        cr_assert_eq(b.reply.flags, cause != 0 ? ASAP_FLAG : 0);
    }
    cr_assert_eq(b.reply.cause_count, cause != 0 ? 1 : 0);
    if (cause != 0) {
        cr_assert_eq(b.reply.causes[0].code, cause, "cause 0x%x", b.reply.causes[0].code);
    }
}

static inline void join(const char *handle, uint32_t id, unsigned host)
{
    (void)prepare_pe(handle, id, host);
    say(host);
    expect_response(host, ASAP_REGISTRATION_RESPONSE, 0);
}

static inline void leave(const char *handle, uint32_t id, uint64_t assoc)
{
    prepare(ASAP_DEREGISTRATION, handle);
    b.msg.has_pe_id = true;
    b.msg.pe_id = id;
    say(assoc);
}

static inline void resolve(const char *handle, uint64_t assoc, uint32_t items, bool updates)
{
    prepare(ASAP_HANDLE_RESOLUTION, handle);
    b.msg.has_items = items != 0;
    b.msg.items = items;
    b.msg.flags = updates ? ASAP_FLAG : 0;
    say(assoc);
}

static inline void report_unreachable(const char *handle, uint32_t id, uint64_t assoc)
{
    prepare(ASAP_ENDPOINT_UNREACHABLE, handle);
    b.msg.has_pe_id = true;
    b.msg.pe_id = id;
    say(assoc);
}

static inline void acknowledge(const char *handle, uint32_t id, uint64_t assoc)
{
    prepare(ASAP_ENDPOINT_KEEP_ALIVE_ACK, handle);
    b.msg.has_pe_id = true;
    b.msg.pe_id = id;
    say(assoc);
}

static inline bool registered(const char *handle, uint32_t id)
{
    hs_read_begin();
    bool there = hs_find(b.hs, pool_handle_of(handle), id) != NULL;
    hs_read_end();
    return there;
}

/** Lets time pass, timer by timer; actions stay in the outbox. */
static inline void pass_ms(int64_t ms)
{
    struct tm_us end = tm_add_ms(b.now, ms);
    while (tm_due(rg_next_timer(b.rg), end)) {
        struct tm_us at = rg_next_timer(b.rg);
        b.now = tm_before(b.now, at) ? at : b.now;
        rg_timer(b.rg, b.now);
        check_insides();
        cr_assert(tm_before(b.now, rg_next_timer(b.rg)), "a timer that does not move on");
    }
    b.now = end;
}

static inline void open_bench_within(const struct hs_limits *limits)
{
    hs_thread_register();
    memset(&b, 0, sizeof(b));
    rg_settings_default(&b.set);
    b.set.id = RG_ID;
    outbox_init(&b.out);
    b.now = (struct tm_us){1000000000};
    b.hs = hs_new(limits, 1);
    b.rg = rg_new(&b.set, b.hs, &b.out, 2, b.now);
    cr_assert(b.hs != NULL && b.rg != NULL);
    for (uint64_t host = PE_HOST; host <= OTHER_HOST; host++) {
        up(host);
    }
}

static inline void open_bench(void)
{
    open_bench_within(&(struct hs_limits){0});
}

/** Other settings than the default for the rest of the test. */
static inline void reconfigure(void)
{
    rg_configure(b.rg, &b.set, b.now);
}

static inline void close_bench(void)
{
    const char *reason = "";
    cr_assert(hs_check(b.hs, &reason), "%s", reason);
    check_insides();
    cr_assert_eq(urcu_bp_read_ongoing(), 0, "a read section was left open");
    cr_assert_eq(b.out.cause, 0, "what led to a call is named by later ones");
    rg_free(b.rg);
    hs_free(b.hs);
    outbox_done(&b.out);
    action_free(b.last);
    b.last = NULL;
    hs_thread_unregister();
}

#endif
