/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/eventlog.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/** An event as it is kept: no more octets than it needs. */
struct kept {
    uint64_t id, cause, time_us;
    uint32_t pe_id, registrar_id;
    uint16_t kind, handle_len;
    char octets[]; /* the handle, then the text, terminated */
};

struct eventlog {
    uint64_t next_id;
    eventlog_fn fn;
    void *ctx;
    size_t first, count;
    struct kept *ring[EVENTLOG_MAX];
};

struct eventlog *eventlog_new(eventlog_fn fn, void *ctx)
{
    struct eventlog *log = (struct eventlog *)calloc(1, sizeof(*log));
    if (log != NULL) {
        log->next_id = 1;
        log->fn = fn;
        log->ctx = ctx;
    }
    return log;
}

void eventlog_free(struct eventlog *log)
{
    if (log == NULL) {
        return;
    }
    for (size_t i = 0; i < log->count; i++) {
        free(log->ring[(log->first + i) % EVENTLOG_MAX]);
    }
    free(log);
}

uint64_t *eventlog_counter(struct eventlog *log)
{
    return &log->next_id;
}

enum log_level event_level(enum event_kind kind)
{
    switch (kind) {
    case EVENT_PE_ADDED:
    case EVENT_PE_REMOVED:
    case EVENT_LOCAL_REGISTERED:
    case EVENT_LOCAL_GONE:
    case EVENT_LOCAL_BACK:
    case EVENT_LOCAL_DRAINING:
    case EVENT_LOCAL_ADOPTED:
    case EVENT_PE_RELEASED:
    case EVENT_REGISTRAR_FOUND:
    case EVENT_ADDRESSES_CHANGED:
        return LOG_LEVEL_INFO;
    case EVENT_PE_CHANGED:
        return LOG_LEVEL_DEBUG;
    case EVENT_PE_REFUSED:
    case EVENT_LOCAL_REFUSED:
    case EVENT_LOCAL_WITHHELD:
    case EVENT_CLIENT_REJECTED:
    case EVENT_COOKIE_REFUSED:
        return LOG_LEVEL_WARN;
    default:
        return LOG_LEVEL_NOTICE;
    }
}

/** snprintf onto the end of `out`. */
static void add(char *out, size_t size, size_t *used, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

static void add(char *out, size_t size, size_t *used, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + *used, size - *used, format, args);
    va_end(args);
    if (n > 0) {
        *used = *used + (size_t)n < size ? *used + (size_t)n : size - 1;
    }
}

const char *event_format(const struct event *event, char *out, size_t size)
{
    char handle[POOL_HANDLE_TEXT_MAX];
    size_t used = 0;
    add(out, size, &used, "[e%" PRIu64, event->id);
    if (event->cause != 0) {
        add(out, size, &used, " <- e%" PRIu64, event->cause);
    }
    add(out, size, &used, "] %s", event_kind_name(event->kind));
    if (event->handle.len > 0) {
        add(out, size, &used, " pool=%s",
            pool_handle_format(event->handle, handle, sizeof(handle)));
    }
    if (event->pe_id != 0) {
        add(out, size, &used, " pe=0x%08" PRIx32, event->pe_id);
    }
    if (event->registrar_id != 0) {
        add(out, size, &used, " registrar=0x%08" PRIx32, event->registrar_id);
    }
    if (event->text[0] != '\0') {
        add(out, size, &used, ": %s", event->text);
    }
    return out;
}

/** Puts a copy into the ring; the oldest makes room. */
static void keep(struct eventlog *log, const struct event *event)
{
    size_t text_len = strnlen(event->text, sizeof(event->text) - 1);
    struct kept *k = (struct kept *)malloc(sizeof(*k) + event->handle.len + text_len + 1);
    if (k == NULL) {
        return;
    }
    *k = (struct kept){.id = event->id,
                       .cause = event->cause,
                       .time_us = event->time_us,
                       .pe_id = event->pe_id,
                       .registrar_id = event->registrar_id,
                       .kind = (uint16_t)event->kind,
                       .handle_len = event->handle.len};
    if (event->handle.len > 0) {
        memcpy(k->octets, event->handle.octets, event->handle.len);
    }
    memcpy(k->octets + event->handle.len, event->text, text_len);
    k->octets[event->handle.len + text_len] = '\0';
    if (log->count == EVENTLOG_MAX) {
        free(log->ring[log->first]);
        log->ring[log->first] = NULL;
        log->first = (log->first + 1) % EVENTLOG_MAX;
        log->count--;
    }
    log->ring[(log->first + log->count) % EVENTLOG_MAX] = k;
    log->count++;
}

static uint64_t wall_clock_us(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_REALTIME, &ts);
    return (uint64_t)ts.tv_sec * 1000000u + (uint64_t)ts.tv_nsec / 1000u;
}

uint64_t eventlog_add(struct eventlog *log, const struct event *event, uint64_t time_us)
{
    char line[512];
    struct event e = *event;
    e.time_us = time_us != 0 ? time_us : wall_clock_us();
    if (e.id == 0) {
        e.id = log->next_id++;
    }
    enum log_level level = event_level(e.kind);
    if (log_enabled(level)) {
        log_write(level, "%s", event_format(&e, line, sizeof(line)));
    }
    keep(log, &e);
    if (log->fn != NULL) {
        log->fn(log->ctx, &e);
    }
    return e.id;
}

bool eventlog_get(const struct eventlog *log, size_t i, struct event *ret)
{
    if (i >= log->count) {
        return false;
    }
    const struct kept *k = log->ring[(log->first + i) % EVENTLOG_MAX];
    *ret = (struct event){.id = k->id,
                          .cause = k->cause,
                          .time_us = k->time_us,
                          .kind = (enum event_kind)k->kind,
                          .handle = {(const uint8_t *)k->octets, k->handle_len},
                          .pe_id = k->pe_id,
                          .registrar_id = k->registrar_id};
    (void)snprintf(ret->text, sizeof(ret->text), "%s", k->octets + k->handle_len);
    return true;
}

size_t eventlog_count(const struct eventlog *log)
{
    return log->count;
}
