/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of rsp_server; see server.c. */
#ifndef RSP_LIBRSP_RSP_SERVER_H
#define RSP_LIBRSP_RSP_SERVER_H

#include <rsp/server.h>

#include "librsp/internal.h"

#define SERVER_LOAD_UNIT       1000000000LL
#define SERVER_BUFFER_SIZE     65536
#define SERVER_STOP_DEFAULT_MS 5000
#define SERVER_LOAD_LOOK_MS    200
#define SERVER_HOOK_WAIT_MS    500 /* for a wait of the program's own, which is not woken */

struct rsp_server_session {
    struct rsp_server *server;
    atomic_int sd;         /* the loop model: the server's */
    rserpool_session_t id; /* the loop model; else 0 */
    int number;
    void *data;
    struct tm_us timer;
    int64_t load;
    uint8_t *partial; /* the loop model: a message longer than the buffer, as far as it is there */
    size_t partial_len;
    struct rsp_server_session *next, *prev; /* threads */
};

struct rsp_server {
    const struct rsp_server_config *config;
    size_t handle_size;
    int sd, wake_fd; /* readable: stopped, or the timer has been set */
    atomic_bool stopping;
    atomic_uint count;
    _Atomic int64_t load;
    uint32_t reported;
    _Atomic int64_t timer_us;   /* TM_NEVER's: none */
    struct tm_us session_timer; /* the loop model: not later than the earliest session's */
    pthread_mutex_t mutex;      /* threads: the list */
    pthread_cond_t ended;
    struct rsp_server_session *sessions;
    int last_number;
};

void server_report_load(struct rsp_server *s);
bool server_full(const struct rsp_server *s);
/** When the server's timer is due. */
struct tm_us server_timer(const struct rsp_server *s);
void server_timer_due(struct rsp_server *s, struct tm_us now);
/** Waits for sessions, a stop, or time; 0 or -1. */
int server_wait(struct rsp_server *s, struct tm_us until);
enum rsp_server_result session_begin(struct rsp_server_session *session);
void session_end(struct rsp_server_session *session);
enum rsp_server_result session_event(struct rsp_server_session *session, const void *data,
                                     size_t size, const struct rsp_sndrcvinfo *info, int flags);
enum rsp_server_result session_timer_due(struct rsp_server_session *session, struct tm_us now);

int server_run_loop(struct rsp_server *s);
int server_run_threads(struct rsp_server *s);

#endif
