/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rsp_server with a thread for each session. */
#include <stdlib.h>
#include <string.h>

#include "librsp/rsp_server.h"

#define STACK_SIZE 262144

static void add(struct rsp_server *s, struct rsp_server_session *session)
{
    (void)pthread_mutex_lock(&s->mutex);
    session->number = ++s->last_number;
    session->next = s->sessions;
    if (s->sessions != NULL) {
        s->sessions->prev = session;
    }
    s->sessions = session;
    atomic_fetch_add(&s->count, 1);
    (void)pthread_mutex_unlock(&s->mutex);
}

/** The last thing a thread does with the server. */
static void removed(struct rsp_server *s, struct rsp_server_session *session)
{
    (void)pthread_mutex_lock(&s->mutex);
    if (session->prev != NULL) {
        session->prev->next = session->next;
    } else {
        s->sessions = session->next;
    }
    if (session->next != NULL) {
        session->next->prev = session->prev;
    }
    free(session);
    atomic_fetch_sub(&s->count, 1);
    (void)pthread_cond_signal(&s->ended);
    (void)pthread_mutex_unlock(&s->mutex);
}

/** A whole message into a buffer that grows; its length, 0, or -1 with errno. */
static ssize_t receive(const struct rsp_server_session *session, uint8_t **buffer, size_t *size,
                       struct rsp_sndrcvinfo *info, int *ret_flags)
{
    size_t got = 0;
    for (;;) {
        int timeout = got > 0 ? -1 : time_left_ms(session->timer, -1);
        int flags = 0;
        ssize_t n = rsp_recvmsg(session->sd, *buffer + got, *size - got, info, &flags, timeout);
        if (n <= 0) {
            return n;
        }
        got += (size_t)n;
        *ret_flags = flags;
        if ((flags & MSG_EOR) != 0) {
            return (ssize_t)got;
        }
        if (got == *size) {
            uint8_t *more = (uint8_t *)realloc(*buffer, *size * 2);
            if (more == NULL) {
                return -1;
            }
            *buffer = more;
            *size *= 2;
        }
    }
}

/** Until the session has ended; GO_ON: by its user. */
static enum rsp_server_result converse(struct rsp_server_session *session, uint8_t **buffer)
{
    size_t size = SERVER_BUFFER_SIZE;
    enum rsp_server_result result = session_begin(session);
    while (result == RSP_SERVER_GO_ON) {
        struct rsp_sndrcvinfo info = {.rinfo_session = 0};
        int flags = 0;
        ssize_t n = receive(session, buffer, &size, &info, &flags);
        if (n > 0) {
            result = session_event(session, *buffer, (size_t)n, &info, flags);
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            break;
        }
        if (result == RSP_SERVER_GO_ON) {
            result = session_timer_due(session, now_us());
        }
    }
    return result;
}

static void *serve(void *arg)
{
    struct rsp_server_session *session = (struct rsp_server_session *)arg;
    struct rsp_server *s = session->server;
    uint8_t *buffer = (uint8_t *)malloc(SERVER_BUFFER_SIZE);
    enum rsp_server_result result = RSP_SERVER_ABORT;
    if (buffer != NULL) {
        result = converse(session, &buffer);
    }
    session_end(session);
    (void)pthread_mutex_lock(&s->mutex); /* against the end of the stop timeout */
    int sd = session->sd;
    session->sd = -1;
    (void)pthread_mutex_unlock(&s->mutex);
    if (sd >= 0) {
        (void)(result == RSP_SERVER_ABORT ? rsp_abandon(sd) : rsp_close(sd));
    }
    free(buffer);
    removed(s, session);
    return NULL;
}

static void begin(struct rsp_server *s, int sd)
{
    pthread_attr_t attr;
    pthread_t thread;
    struct rsp_server_session *session =
        server_full(s) ? NULL : (struct rsp_server_session *)calloc(1, sizeof(*session));
    bool ok = session != NULL && pthread_attr_init(&attr) == 0;
    if (ok) {
        session->server = s;
        session->sd = sd;
        session->timer = TM_NEVER;
        add(s, session);
        (void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        (void)pthread_attr_setstacksize(&attr, STACK_SIZE);
        ok = pthread_create(&thread, &attr, serve, session) == 0;
        (void)pthread_attr_destroy(&attr);
        if (!ok) {
            removed(s, session);
            session = NULL;
        }
    }
    if (!ok) {
        free(session);
        (void)rsp_abandon(sd); /* its user goes to another server */
        if (s->config->rejected != NULL) {
            s->config->rejected(s);
        }
    }
}

/** Sessions may go on for a while; then they go to other servers. */
static void wind_down(struct rsp_server *s)
{
    struct timespec until;
    int ms =
        s->config->stop_timeout_ms > 0 ? (int)s->config->stop_timeout_ms : SERVER_STOP_DEFAULT_MS;
    (void)clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += ms / 1000;
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    (void)pthread_mutex_lock(&s->mutex);
    while (atomic_load(&s->count) > 0 &&
           pthread_cond_timedwait(&s->ended, &s->mutex, &until) == 0) {
    }
    for (struct rsp_server_session *session = s->sessions; session != NULL;
         session = session->next) {
        if (session->sd >= 0) {
            int sd = session->sd;
            session->sd = -1;
            (void)rsp_abandon(sd); /* wakes its thread with EBADF */
        }
    }
    while (atomic_load(&s->count) > 0) {
        (void)pthread_cond_wait(&s->ended, &s->mutex);
    }
    (void)pthread_mutex_unlock(&s->mutex);
}

int server_run_threads(struct rsp_server *s)
{
    while (!atomic_load(&s->stopping)) {
        int sd;
        if (server_wait(s, server_timer(s)) != 0) {
            return -1;
        }
        while (!atomic_load(&s->stopping) && (sd = rsp_accept(s->sd, 0)) >= 0) {
            begin(s, sd);
        }
        server_timer_due(s, now_us());
        server_report_load(s);
    }
    (void)rsp_deregister(s->sd, 0);
    wind_down(s);
    return 0;
}
