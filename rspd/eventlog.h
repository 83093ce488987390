/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The event log: the one counter of event ids, the last events in a ring, a line in the log for
 * each, and the subscribers (MONITOR). Bounded: EVENTLOG_MAX events, each of at most a handle and a
 * sentence. Loop thread.
 */
#ifndef RSP_RSPD_EVENTLOG_H
#define RSP_RSPD_EVENTLOG_H

#include "common/log.h"
#include "rspd/event.h"

#define EVENTLOG_MAX 4096

struct eventlog;

/** Runs for each new event; borrowed. */
typedef void (*eventlog_fn)(void *ctx, const struct event *event);

/** `fn` may be NULL. NULL when memory is out. */
struct eventlog *eventlog_new(eventlog_fn fn, void *ctx);
void eventlog_free(struct eventlog *log);

/** The counter that all makers of events share (outbox.h). */
uint64_t *eventlog_counter(struct eventlog *log);

/**
 * Takes an event in: gives it an id if it has none, copies it, logs it, tells the subscriber.
 * `time_us`: wall clock; 0: now. Returns the id; the event is told and logged also when memory is
 * out.
 */
uint64_t eventlog_add(struct eventlog *log, const struct event *event, uint64_t time_us);

/** The i-th oldest of the events kept; false past the end. Borrowed until the next addition. */
bool eventlog_get(const struct eventlog *log, size_t i, struct event *ret);
size_t eventlog_count(const struct eventlog *log);

/** "[e7 <- e5] pe-added pool=web pe=0x0000002a …: text"; returns out. */
const char *event_format(const struct event *event, char *out, size_t size);
/** How loud an event is in the log. */
enum log_level event_level(enum event_kind kind);

#endif
