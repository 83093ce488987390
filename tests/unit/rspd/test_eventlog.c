/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/eventlog.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct event last;
static size_t told;
static char line[512];

static void subscriber(void *ctx, const struct event *event)
{
    (void)ctx;
    last = *event;
    told++;
}

static void sink(void *ctx, enum log_level level, const char *text)
{
    (void)ctx;
    (void)level;
    (void)snprintf(line, sizeof(line), "%s", text);
}

static struct event make(enum event_kind kind, const char *handle, const char *text)
{
    struct event e = {.kind = kind, .handle = pool_handle_of(handle), .pe_id = 0x2a};
    (void)snprintf(e.text, sizeof(e.text), "%s", text);
    return e;
}

Test(eventlog, gives_ids_logs_and_tells)
{
    struct eventlog *log = eventlog_new(subscriber, NULL);
    cr_assert_not_null(log);
    log_set_sink(sink, NULL);
    log_set_level(LOG_LEVEL_DEBUG);
    struct event e = make(EVENT_PE_ADDED, "web", "joined");
    cr_assert_eq(eventlog_add(log, &e, 99), 1);
    cr_assert_eq(told, 1);
    cr_assert_eq(last.id, 1);
    cr_assert_eq(last.time_us, 99);
    cr_assert_str_eq(line, "[e1] pe-added pool=web pe=0x0000002a: joined");
    e.cause = 1;
    e.kind = EVENT_PE_REMOVED;
    e.registrar_id = 0xabc;
    cr_assert_eq(eventlog_add(log, &e, 100), 2);
    cr_assert_str_eq(line,
                     "[e2 <- e1] pe-removed pool=web pe=0x0000002a registrar=0x00000abc: joined");
    eventlog_free(log);
}

Test(eventlog, keeps_an_id_given_from_the_shared_counter)
{
    struct eventlog *log = eventlog_new(NULL, NULL);
    struct event e = make(EVENT_PE_ADDED, "web", "");
    e.id = (*eventlog_counter(log))++;
    cr_assert_eq(eventlog_add(log, &e, 1), 1);
    e.id = 0;
    cr_assert_eq(eventlog_add(log, &e, 1), 2);
    eventlog_free(log);
}

Test(eventlog, ring_keeps_the_newest)
{
    struct eventlog *log = eventlog_new(NULL, NULL);
    struct event e = make(EVENT_PE_ADDED, "web", "x");
    for (int i = 0; i < EVENTLOG_MAX + 10; i++) {
        (void)eventlog_add(log, &e, 1);
    }
    cr_assert_eq(eventlog_count(log), EVENTLOG_MAX);
    struct event got;
    cr_assert(eventlog_get(log, 0, &got));
    cr_assert_eq(got.id, 11);
    cr_assert(pool_handle_equal(got.handle, pool_handle_of("web")));
    cr_assert_str_eq(got.text, "x");
    cr_assert(eventlog_get(log, EVENTLOG_MAX - 1, &got));
    cr_assert_eq(got.id, EVENTLOG_MAX + 10);
    cr_assert(!eventlog_get(log, EVENTLOG_MAX, &got));
    eventlog_free(log);
}

Test(eventlog, long_lines_are_cut_not_overrun)
{
    char out[40];
    struct event e = make(EVENT_PE_ADDED, "a-rather-long-pool-handle", "and a sentence");
    e.id = 7;
    cr_assert_eq(strlen(event_format(&e, out, sizeof(out))), sizeof(out) - 1);
}
