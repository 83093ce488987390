/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rsp_server with one thread for all sessions. */
#include <stdlib.h>
#include <string.h>

#include "librsp/rsp_server.h"

#define EVENTS_PER_TURN 256

/* The sessions by id; ids are small numbers. */
struct loop {
    struct rsp_server *server;
    struct rsp_server_session **sessions;
    size_t size;
    uint8_t *buffer;
};

static struct rsp_server_session *find(const struct loop *l, int id)
{
    return id > 0 && (size_t)id < l->size ? l->sessions[id] : NULL;
}

static void end(struct loop *l, struct rsp_server_session *session, uint16_t how)
{
    int id = session->id;
    l->sessions[id] = NULL;
    session_end(session);
    if (how != 0) {
        (void)rsp_sendmsg(session->sd, NULL, 0, 0, id, 0, 0, 0, how, 0);
    }
    free(session->partial);
    free(session);
    atomic_fetch_sub(&l->server->count, 1);
}

static void settle(struct loop *l, struct rsp_server_session *session,
                   enum rsp_server_result result)
{
    if (result != RSP_SERVER_GO_ON) {
        end(l, session, result == RSP_SERVER_CLOSE ? RSP_SEND_EOF : RSP_SEND_ABORT);
    }
}

static bool room_for(struct loop *l, int id)
{
    if ((size_t)id < l->size) {
        return true;
    }
    size_t size = l->size > 0 ? l->size * 2 : 64;
    size = size > (size_t)id ? size : (size_t)id + 1;
    struct rsp_server_session **more =
        (struct rsp_server_session **)reallocarray(l->sessions, size, sizeof(void *));
    if (more == NULL) {
        return false;
    }
    memset(more + l->size, 0, (size - l->size) * sizeof(void *));
    l->sessions = more;
    l->size = size;
    return true;
}

static void begin(struct loop *l, int id)
{
    struct rsp_server *s = l->server;
    struct rsp_server_session *session = NULL;
    if (!server_full(s) && room_for(l, id)) {
        session = (struct rsp_server_session *)calloc(1, sizeof(*session));
    }
    if (session == NULL) {
        (void)rsp_sendmsg(s->sd, NULL, 0, 0, id, 0, 0, 0, RSP_SEND_ABORT, 0);
        if (s->config->rejected != NULL) {
            s->config->rejected(s);
        }
        return;
    }
    session->server = s;
    session->sd = s->sd;
    session->id = id;
    session->number = id;
    session->timer = TM_NEVER;
    l->sessions[id] = session;
    atomic_fetch_add(&s->count, 1);
    settle(l, session, session_begin(session));
}

static void notified(struct loop *l, const union rserpool_notification *n)
{
    struct rsp_server_session *session = NULL;
    const struct rsp_sndrcvinfo none = {.rinfo_session = 0};
    switch (n->rn_header.rn_type) {
    case RSERPOOL_SESSION_CHANGE:
        session = find(l, n->rn_session_change.rsc_session);
        if (n->rn_session_change.rsc_state == RSERPOOL_SESSION_ADD) {
            begin(l, n->rn_session_change.rsc_session);
        } else if (session != NULL) {
            end(l, session, 0);
        }
        return;
    case RSERPOOL_SHUTDOWN_EVENT:
        session = find(l, n->rn_shutdown_event.rse_session);
        break;
    case RSERPOOL_COOKIE_REFUSED:
        session = find(l, n->rn_cookie_refused.rcr_session);
        break;
    default:
        break;
    }
    if (session != NULL) {
        settle(l, session, session_event(session, n, sizeof(*n), &none, MSG_RSERPOOL_NOTIFICATION));
    }
}

/** A part of a longer message is kept until the rest is there. */
static bool keep(struct rsp_server_session *session, const void *data, size_t size)
{
    uint8_t *more = (uint8_t *)realloc(session->partial, session->partial_len + size);
    if (more == NULL) {
        return false;
    }
    memcpy(more + session->partial_len, data, size);
    session->partial = more;
    session->partial_len += size;
    return true;
}

static void arrived(struct loop *l, size_t size, const struct rsp_sndrcvinfo *info, int flags)
{
    struct rsp_server_session *session = find(l, info->rinfo_session);
    if (session == NULL) {
        return;
    }
    bool whole = (flags & MSG_EOR) != 0;
    if (whole && session->partial == NULL) {
        settle(l, session, session_event(session, l->buffer, size, info, flags));
        return;
    }
    if (!keep(session, l->buffer, size)) {
        end(l, session, RSP_SEND_ABORT);
        return;
    }
    if (whole) {
        uint8_t *message = session->partial;
        size_t len = session->partial_len;
        session->partial = NULL;
        session->partial_len = 0;
        settle(l, session, session_event(session, message, len, info, flags));
        free(message);
    }
}

/** 1: something was done; 0: nothing is there; -1 with errno. */
static int one_event(struct loop *l)
{
    struct rsp_sndrcvinfo info = {.rinfo_session = 0};
    int flags = 0;
    ssize_t n = rsp_recvmsg(l->server->sd, l->buffer, SERVER_BUFFER_SIZE, &info, &flags, 0);
    if (n > 0 && (flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
        union rserpool_notification notification;
        memcpy(&notification, l->buffer, sizeof(notification));
        notified(l, &notification);
    } else if (n > 0) {
        arrived(l, (size_t)n, &info, flags);
    }
    return n > 0 ? 1 : n < 0 && errno != EAGAIN && errno != EINTR ? -1 : 0;
}

static void timers(struct loop *l, struct tm_us now)
{
    struct rsp_server *s = l->server;
    server_timer_due(s, now);
    if (!tm_due(s->session_timer, now)) {
        return;
    }
    s->session_timer = TM_NEVER;
    for (size_t id = 1; id < l->size; id++) {
        struct rsp_server_session *session = l->sessions[id];
        if (session != NULL && tm_due(session->timer, now)) {
            settle(l, session, session_timer_due(session, now));
        }
        session = id < l->size ? l->sessions[id] : NULL;
        if (session != NULL) {
            s->session_timer = tm_min(s->session_timer, session->timer);
        }
    }
}

/** Events until `until`, or until stopped (`until` NULL) or without sessions; 0 or -1. */
static int turn(struct loop *l, struct tm_us until)
{
    struct rsp_server *s = l->server;
    if (server_wait(s, tm_min(until, tm_min(server_timer(s), s->session_timer))) != 0) {
        return -1;
    }
    int r = 1;
    for (int i = 0; i < EVENTS_PER_TURN && r == 1; i++) {
        r = one_event(l);
    }
    timers(l, now_us());
    server_report_load(s);
    return r < 0 ? -1 : 0;
}

int server_run_loop(struct rsp_server *s)
{
    struct loop l = {.server = s, .buffer = (uint8_t *)malloc(SERVER_BUFFER_SIZE)};
    int r = l.buffer != NULL ? 0 : -1;
    while (r == 0 && !atomic_load(&s->stopping)) {
        r = turn(&l, TM_NEVER);
    }
    (void)rsp_deregister(s->sd, 0);
    int ms =
        s->config->stop_timeout_ms > 0 ? (int)s->config->stop_timeout_ms : SERVER_STOP_DEFAULT_MS;
    struct tm_us until = tm_add_ms(now_us(), ms);
    while (r == 0 && atomic_load(&s->count) > 0 && !tm_due(until, now_us())) {
        r = turn(&l, until);
    }
    for (size_t id = 1; id < l.size; id++) {
        if (l.sessions[id] != NULL) {
            end(&l, l.sessions[id], RSP_SEND_ABORT);
        }
    }
    free(l.sessions);
    free(l.buffer);
    return r;
}
