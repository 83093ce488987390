/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Following changes: monitor and wait. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#define FOREVER_MS 3600000

/** Subscribes to the events of a pool, or of all. */
static int subscribe(struct ctl *ctl, const struct handle_text *pool)
{
    struct lp_writer *w = client_begin(ctl, LP_MONITOR);
    if (pool != NULL) {
        lp_put_handle(w, handle_of(pool));
    }
    struct lp_message reply;
    return client_call(ctl, "follow changes", NULL, &reply);
}

static json_t *event_object(const struct lp_message *msg)
{
    json_t *event = json_object();
    struct lp_each it;
    struct pool_handle handle;
    char text[512];
    lp_each_init(&it, msg);
    while (lp_next(&it)) {
        switch (it.type) {
        case LP_T_TIME_US:
            (void)json_object_set_new(event, "time",
                                      json_string(out_time(lp_u64(&it, 0), text, sizeof(text))));
            break;
        case LP_T_EVENT_ID:
            (void)json_object_set_new(event, "event_id", json_integer((json_int_t)lp_u64(&it, 0)));
            break;
        case LP_T_EVENT_CAUSE:
            (void)json_object_set_new(event, "cause_id", json_integer((json_int_t)lp_u64(&it, 0)));
            break;
        case LP_T_EVENT_KIND:
            (void)json_object_set_new(event, "kind", json_string(lp_str(&it, text, sizeof(text))));
            break;
        case LP_T_HANDLE:
            if (lp_handle(&it, &handle)) {
                out_put_handle(event, "handle", handle);
            }
            break;
        case LP_T_PE_ID:
            (void)json_object_set_new(event, "pe_id", out_id(lp_u32(&it, 0)));
            break;
        case LP_T_HOME_ID:
            (void)json_object_set_new(event, "registrar_id", out_id(lp_u32(&it, 0)));
            break;
        case LP_T_TEXT:
            (void)json_object_set_new(event, "text", json_string(lp_str(&it, text, sizeof(text))));
            break;
        default:
            break;
        }
    }
    return event;
}

static const char *member(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text != NULL ? text : "-";
}

static int print_event(const struct ctl *ctl, json_t *take_event)
{
    if (ctl->opt[OPT_JSON] != NULL) {
        return out_json_line("rspctl.event/1", take_event);
    }
    printf("%s %-18s %-12s %-10s %s\n", member(take_event, "time"), member(take_event, "kind"),
           member(take_event, "handle"), member(take_event, "pe_id"), member(take_event, "text"));
    json_decref(take_event);
    return fflush(stdout) == 0 ? CTL_OK : CTL_FAILED;
}

/** Whether an event is about the registrars among themselves. */
static bool among_registrars(const json_t *event)
{
    static const char *const kinds[] = {"peer-found",  "peer-lost", "peer-refused",
                                        "peer-resync", "takeover",  "registrar-phase",
                                        "role-changed"};
    const char *kind = member(event, "kind");
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        if (strcmp(kind, kinds[i]) == 0) {
            return true;
        }
    }
    return false;
}

int ctl_run_monitor(struct ctl *ctl)
{
    struct handle_text pool;
    int status = client_open(ctl);
    if (status == CTL_OK && ctl->argc > 0) {
        status = handle_read(ctl, ctl->argv[0], &pool);
    }
    status = status == CTL_OK ? subscribe(ctl, ctl->argc > 0 ? &pool : NULL) : status;
    while (status == CTL_OK) {
        struct lp_message msg;
        status =
            client_next(ctl, ctl->opt[OPT_TIMEOUT] != NULL ? ctl->timeout_ms : FOREVER_MS, &msg);
        if (status == CTL_TIMED_OUT && ctl->opt[OPT_TIMEOUT] == NULL) {
            status = CTL_OK; /* a quiet hour */
        } else if (status == CTL_TIMED_OUT) {
            return CTL_OK; /* as long as was asked for */
        } else if (status == CTL_OK && msg.type == LP_EVENT) {
            json_t *event = event_object(&msg);
            if (ctl->opt[OPT_ENRP] == NULL || among_registrars(event)) {
                status = print_event(ctl, event);
            } else {
                json_decref(event);
            }
        }
    }
    return status;
}

static int64_t monotonic_ms(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void count_up(const struct lp_each *it, void *arg)
{
    uint32_t *count = arg;
    char state[32] = "up";
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_STATE) {
            (void)lp_str(&in, state, sizeof(state));
        }
    }
    *count += strcmp(state, "up") == 0;
}

/** How many elements of the pool are up; an unknown pool has none. */
static int count_elements(struct ctl *ctl, const struct handle_text *pool, uint32_t *ret)
{
    struct lp_writer *w = client_begin(ctl, LP_POOL_LIST);
    lp_put_handle(w, handle_of(pool));
    struct lp_message reply;
    *ret = 0;
    if (client_ask(ctl, &reply) != 0) {
        return CTL_OK;
    }
    w = client_begin(ctl, LP_PE_LIST);
    lp_put_handle(w, handle_of(pool));
    return client_list(ctl, "list pool elements", LP_T_PE, count_up, ret);
}

int ctl_run_wait(struct ctl *ctl)
{
    struct handle_text pool;
    uint32_t wanted = ctl_option_number(ctl, OPT_MIN_ELEMENTS, 1, 1000000, 1);
    int64_t limit_ms = ctl->opt[OPT_TIMEOUT] != NULL ? ctl->timeout_ms : 60000;
    int64_t end = monotonic_ms() + limit_ms;
    struct ctl events = *ctl; /* a connection of its own, so that answers and events do not mix */
    int status = client_open(ctl);
    status = status == CTL_OK ? handle_read(ctl, ctl->argv[0], &pool) : status;
    status = status == CTL_OK ? client_open(&events) : status;
    status = status == CTL_OK ? subscribe(&events, &pool) : status;
    while (status == CTL_OK) {
        uint32_t have = 0;
        status = count_elements(ctl, &pool, &have);
        int64_t left = end - monotonic_ms();
        if (status != CTL_OK || have >= wanted) {
            return status;
        }
        if (left <= 0) {
            return ctl_fail(CTL_TIMED_OUT, "pool \"%s\" has %u of %u elements", ctl->argv[0], have,
                            wanted);
        }
        struct lp_message msg;
        status = client_next(&events, left < 1000 ? (int)left : 1000, &msg);
        status = status == CTL_TIMED_OUT ? CTL_OK : status;
    }
    return status;
}
