/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rsp_server: a whole pool element around the program's callbacks, on top of the public interface.
 * What both models share; server_loop.c serves all sessions by one thread, server_threads.c each
 * by its own.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <sys/eventfd.h>

#include "librsp/rsp_server.h"
#include "librsp/status.h"

RSP_PUBLIC struct rsp_server *rsp_server_new(const struct rsp_server_config *config)
{
    if (config == NULL || config->handle == NULL || config->on_message == NULL) {
        errno = EINVAL;
        return NULL;
    }
    struct rsp_server *s = (struct rsp_server *)calloc(1, sizeof(*s));
    if (s == NULL) {
        errno = ENOMEM;
        return NULL;
    }
    s->config = config;
    s->sd = -1;
    atomic_store(&s->timer_us, TM_NEVER.us);
    s->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (s->wake_fd < 0) {
        free(s);
        return NULL;
    }
    (void)pthread_mutex_init(&s->mutex, NULL);
    (void)pthread_cond_init(&s->ended, NULL);
    return s;
}

RSP_PUBLIC void rsp_server_free(struct rsp_server *server)
{
    if (server != NULL) {
        (void)close(server->wake_fd);
        (void)pthread_cond_destroy(&server->ended);
        (void)pthread_mutex_destroy(&server->mutex);
        free(server);
    }
}

static void wake(struct rsp_server *server)
{
    int saved = errno;
    uint64_t one = 1;
    (void)!write(server->wake_fd, &one, sizeof(one));
    errno = saved;
}

RSP_PUBLIC void rsp_server_stop(struct rsp_server *server)
{
    atomic_store(&server->stopping, true);
    wake(server);
}

RSP_PUBLIC void *rsp_server_user(const struct rsp_server *server)
{
    return server->config->user;
}

RSP_PUBLIC int rsp_server_socket(const struct rsp_server *server)
{
    return server->sd;
}

RSP_PUBLIC unsigned int rsp_server_sessions(const struct rsp_server *server)
{
    return atomic_load(&server->count);
}

RSP_PUBLIC double rsp_server_load(const struct rsp_server *server)
{
    return (double)atomic_load(&server->load) / SERVER_LOAD_UNIT;
}

RSP_PUBLIC void rsp_server_timer(struct rsp_server *server, int timeout_ms)
{
    struct tm_us at = timeout_ms < 0 ? TM_NEVER : tm_add_ms(now_us(), timeout_ms);
    atomic_store(&server->timer_us, at.us);
    wake(server);
}

/* --- load ---------------------------------------------------------------------------------------
 */

static uint32_t load_for_report(struct rsp_server *s)
{
    double load = rsp_server_load(s);
    if (s->config->load_hook != NULL) {
        load = s->config->load_hook(s, load);
    }
    load = load < 0 ? 0 : load > 1 ? 1 : load;
    return (uint32_t)(load * UINT32_MAX);
}

void server_report_load(struct rsp_server *s)
{
    struct rsp_loadinfo info = s->config->load;
    if (!PPT_IS_ADAPTIVE(info.rli_policy) || atomic_load(&s->stopping)) {
        return;
    }
    uint32_t load = load_for_report(s);
    uint32_t step = (s->config->load_step > 0 ? s->config->load_step : 1) * (UINT32_MAX / 100);
    uint32_t moved = load > s->reported ? load - s->reported : s->reported - load;
    if (moved >= step) {
        info.rli_load = load;
        if (rsp_register(s->sd, (const unsigned char *)s->config->handle, s->handle_size, &info,
                         s->config->reregister_ms, s->config->register_flags) == 0) {
            s->reported = load;
        }
    }
}

RSP_PUBLIC void rsp_session_load(struct rsp_server_session *session, double load)
{
    load = load < 0 ? 0 : load > 1 ? 1 : load;
    int64_t units = (int64_t)(load * SERVER_LOAD_UNIT);
    atomic_fetch_add(&session->server->load, units - session->load);
    session->load = units;
}

/* --- one session --------------------------------------------------------------------------------
 */

RSP_PUBLIC struct rsp_server *rsp_session_server(const struct rsp_server_session *session)
{
    return session->server;
}

RSP_PUBLIC int rsp_session_send(struct rsp_server_session *session, const void *data, size_t size,
                                uint32_t ppid, uint16_t stream)
{
    int timeout = session->server->config->model == RSP_SERVER_THREADS ? -1 : 0;
    return rsp_sendmsg(session->sd, data, size, 0, session->id, ppid, stream, 0, 0, timeout) < 0
               ? -1
               : 0;
}

RSP_PUBLIC int rsp_session_cookie(struct rsp_server_session *session, const void *state,
                                  size_t size)
{
    int timeout = session->server->config->model == RSP_SERVER_THREADS ? -1 : 0;
    return rsp_send_cookie(session->sd, (const unsigned char *)state, size, session->id, timeout) <
                   0
               ? -1
               : 0;
}

RSP_PUBLIC void rsp_session_timer(struct rsp_server_session *session, int timeout_ms)
{
    session->timer = timeout_ms < 0 ? TM_NEVER : tm_add_ms(now_us(), timeout_ms);
    if (session->server->config->model == RSP_SERVER_LOOP) {
        session->server->session_timer = tm_min(session->server->session_timer, session->timer);
    }
}

RSP_PUBLIC void rsp_session_set_data(struct rsp_server_session *session, void *data)
{
    session->data = data;
}

RSP_PUBLIC void *rsp_session_data(const struct rsp_server_session *session)
{
    return session->data;
}

RSP_PUBLIC int rsp_session_socket(const struct rsp_server_session *session)
{
    return session->sd;
}

RSP_PUBLIC int rsp_session_id(const struct rsp_server_session *session)
{
    return session->number;
}

enum rsp_server_result session_begin(struct rsp_server_session *session)
{
    const struct rsp_server_config *c = session->server->config;
    return c->session_init != NULL ? c->session_init(session) : RSP_SERVER_GO_ON;
}

void session_end(struct rsp_server_session *session)
{
    const struct rsp_server_config *c = session->server->config;
    if (c->session_fini != NULL) {
        c->session_fini(session);
    }
    rsp_session_load(session, 0);
}

enum rsp_server_result session_event(struct rsp_server_session *session, const void *data,
                                     size_t size, const struct rsp_sndrcvinfo *info, int flags)
{
    const struct rsp_server_config *c = session->server->config;
    if ((flags & MSG_RSERPOOL_NOTIFICATION) != 0) {
        union rserpool_notification n;
        memcpy(&n, data, sizeof(n));
        return c->on_notification != NULL ? c->on_notification(session, &n) : RSP_SERVER_GO_ON;
    }
    if ((flags & MSG_RSERPOOL_COOKIE_ECHO) != 0) {
        /* A server that cannot take a state up must not go on as if there were none. */
        return c->on_cookie != NULL ? c->on_cookie(session, data, size) : RSP_SERVER_ABORT;
    }
    return c->on_message(session, data, size, info->rinfo_ppid, info->rinfo_stream);
}

enum rsp_server_result session_timer_due(struct rsp_server_session *session, struct tm_us now)
{
    const struct rsp_server_config *c = session->server->config;
    if (!tm_due(session->timer, now)) {
        return RSP_SERVER_GO_ON;
    }
    session->timer = TM_NEVER;
    return c->on_session_timer != NULL ? c->on_session_timer(session) : RSP_SERVER_GO_ON;
}

/* --- running ------------------------------------------------------------------------------------
 */

bool server_full(const struct rsp_server *s)
{
    return s->config->max_sessions > 0 && atomic_load(&s->count) >= s->config->max_sessions;
}

struct tm_us server_timer(const struct rsp_server *s)
{
    return (struct tm_us){atomic_load(&s->timer_us)};
}

void server_timer_due(struct rsp_server *s, struct tm_us now)
{
    int64_t at = atomic_load(&s->timer_us);
    /* Another thread may set it meanwhile: that counts. */
    if (tm_due((struct tm_us){at}, now) &&
        atomic_compare_exchange_strong(&s->timer_us, &at, TM_NEVER.us) &&
        s->config->on_timer != NULL) {
        s->config->on_timer(s);
    }
}

RSP_PUBLIC int rsp_server_wait(struct rsp_server *server, int timeout_ms)
{
    bool stopping = atomic_load(&server->stopping);
    struct pollfd fds[2] = {{.fd = server->sd, .events = POLLIN},
                            {.fd = stopping ? -1 : server->wake_fd, .events = POLLIN}};
    uint64_t count;
    struct tm_us deadline = deadline_of(timeout_ms);
    int n;
    do {
        status_tick();
        n = poll(fds, 2, time_left_ms(deadline, status_patience_ms()));
    } while (n == 0 && !tm_due(deadline, now_us()));
    if (n > 0 && fds[1].revents != 0) {
        (void)!read(server->wake_fd, &count, sizeof(count));
    }
    return n;
}

int server_wait(struct rsp_server *s, struct tm_us until)
{
    int most = PPT_IS_ADAPTIVE(s->config->load.rli_policy) ? SERVER_LOAD_LOOK_MS : -1;
    if (s->config->wait == NULL) {
        return rsp_server_wait(s, time_left_ms(until, most)) < 0 && errno != EINTR ? -1 : 0;
    }
    s->config->wait(s, time_left_ms(until, most < 0 ? SERVER_HOOK_WAIT_MS : most));
    return 0;
}

static int open_socket(struct rsp_server *s)
{
    const struct rsp_server_config *c = s->config;
    int all =
        1 << RSERPOOL_SESSION_CHANGE | 1 << RSERPOOL_COOKIE_REFUSED | 1 << RSERPOOL_SHUTDOWN_EVENT;
    bool loop = c->model == RSP_SERVER_LOOP;
    int refused = 1 << RSERPOOL_COOKIE_REFUSED;
    s->sd = rsp_socket(c->domain, loop ? SOCK_SEQPACKET : SOCK_STREAM, c->protocol);
    if (s->sd < 0 ||
        rsp_setsockopt(s->sd, SOL_RSP, RSP_SO_NOTIFICATIONS, loop ? &all : &refused, sizeof(int)) !=
            0 ||
        rsp_bind(s->sd, c->address, c->address != NULL ? c->addresses : 0) != 0) {
        return -1;
    }
    return rsp_register(s->sd, (const unsigned char *)c->handle, s->handle_size, &c->load,
                        c->reregister_ms, c->register_flags);
}

RSP_PUBLIC int rsp_server_run(struct rsp_server *server)
{
    const struct rsp_server_config *c = server->config;
    int error = 0;
    server->handle_size = c->handle_size > 0 ? c->handle_size : strlen(c->handle);
    server->reported = c->load.rli_load;
    server->session_timer = TM_NEVER;
    int r = open_socket(server);
    if (r == 0 && (c->init == NULL || (r = c->init(server)) == 0)) {
        r = c->model == RSP_SERVER_THREADS ? server_run_threads(server) : server_run_loop(server);
    }
    error = errno;
    if (server->sd >= 0 && c->fini != NULL && r == 0) {
        c->fini(server);
    }
    if (server->sd >= 0) {
        (void)(r == 0 ? rsp_close(server->sd) : rsp_abandon(server->sd));
        server->sd = -1;
    }
    errno = error;
    return r;
}
