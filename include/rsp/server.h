/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Servers in a few lines: rsp_server_run() is a whole pool element, the program's part are
 * callbacks. Nothing is printed, no signal is handled, and one process may run several servers,
 * each in a thread of its own.
 */
#ifndef RSP_SERVER_H
#define RSP_SERVER_H

#include <rsp/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rsp_server;
struct rsp_server_session;

/** What a callback wants done with its session. */
enum rsp_server_result {
    RSP_SERVER_GO_ON = 0,
    RSP_SERVER_CLOSE = 1, /* in order, after what was sent */
    RSP_SERVER_ABORT = 2  /* at once; a user goes on with another server */
};

/** How sessions are served. */
enum rsp_server_model {
    RSP_SERVER_LOOP = 0,   /* all by one thread: callbacks must not wait */
    RSP_SERVER_THREADS = 1 /* each by a thread of its own: callbacks may */
};

/**
 * A server. Zero it, set handle and on_message, and what else is wanted. It is read during
 * rsp_server_run() and must stay.
 */
struct rsp_server_config {
    const char *handle; /* the pool */
    size_t handle_size; /* 0: its length as a string */
    enum rsp_server_model model;
    int domain, protocol;           /* as for rsp_socket() */
    const struct sockaddr *address; /* where to listen (packed); NULL: everywhere, any port */
    int addresses;
    struct rsp_loadinfo load;
    unsigned int max_sessions;    /* further ones are turned away, to other servers; 0: no limit */
    unsigned int reregister_ms;   /* 0: the daemon's setting */
    unsigned int stop_timeout_ms; /* how long sessions may go on after a stop; 0: 5000 */
    unsigned int load_step;       /* percent by which the load must move to be reported; 0: 1 */
    int register_flags;           /* REGF_DAEMONMODE … */
    void *user;                   /* rsp_server_user() */

    /* the server; all of these may be NULL */
    int (*init)(struct rsp_server *server); /* registered; not 0: stop with that result */
    void (*fini)(struct rsp_server *server);
    /* the sum of the sessions' loads, 0 … 1; returns what to report */
    double (*load_hook)(struct rsp_server *server, double load);
    void (*rejected)(struct rsp_server *server); /* a session was turned away */
    void (*on_timer)(struct rsp_server *server); /* rsp_server_timer() */
    /* waits in the place of rsp_server_wait(), for descriptors of the program's own as well */
    void (*wait)(struct rsp_server *server, int timeout_ms);

    /* one session; all but on_message may be NULL. Never two at a time for one session. */
    enum rsp_server_result (*session_init)(struct rsp_server_session *session);
    void (*session_fini)(struct rsp_server_session *session);
    enum rsp_server_result (*on_message)(struct rsp_server_session *session, const void *data,
                                         size_t size, uint32_t ppid, uint16_t stream);
    enum rsp_server_result (*on_cookie)(struct rsp_server_session *session, const void *state,
                                        size_t size); /* comes before all messages */
    enum rsp_server_result (*on_notification)(struct rsp_server_session *session,
                                              const union rserpool_notification *notification);
    enum rsp_server_result (*on_session_timer)(struct rsp_server_session *session);
};

/**
 * Make a server.
 *
 * @param config borrowed until rsp_server_free()
 * @return the server, or NULL with errno: EINVAL, ENOMEM, EMFILE
 */
struct rsp_server *rsp_server_new(const struct rsp_server_config *config);

/**
 * Run a server.
 *
 * Listens, registers and serves until rsp_server_stop(); then it deregisters and lets its sessions
 * end, those still open after the stop timeout go to other servers.
 * @param server from rsp_server_new()
 * @return 0 after a stop; -1 with errno: what rsp_register() and the like have failed with
 */
int rsp_server_run(struct rsp_server *server);

/**
 * Stop a server.
 *
 * May be called from any thread, from callbacks and from a signal handler.
 * @param server from rsp_server_new()
 */
void rsp_server_stop(struct rsp_server *server);

/**
 * Free a server that does not run.
 *
 * @param server from rsp_server_new(); NULL does nothing
 */
void rsp_server_free(struct rsp_server *server);

/**
 * The program's pointer.
 *
 * @param server from rsp_server_new()
 * @return `user` of the configuration
 */
void *rsp_server_user(const struct rsp_server *server);

/**
 * The server's socket.
 *
 * @param server from rsp_server_new()
 * @return the session socket it listens on, for rsp_getsockname() and options; -1 before it runs
 */
int rsp_server_socket(const struct rsp_server *server);

/**
 * How many sessions a server has.
 *
 * @param server from rsp_server_new()
 * @return sessions that are open
 */
unsigned int rsp_server_sessions(const struct rsp_server *server);

/**
 * The load of a server.
 *
 * @param server from rsp_server_new()
 * @return sum of its sessions' loads, 0 to 1
 */
double rsp_server_load(const struct rsp_server *server);

/**
 * Set the server's timer.
 *
 * May be called from any thread; on_timer() is called by that of rsp_server_run().
 * @param server     from rsp_server_new()
 * @param timeout_ms until on_timer() is called, once; -1: off
 */
void rsp_server_timer(struct rsp_server *server, int timeout_ms);

/**
 * Wait as a server does.
 *
 * Until a session has something, the server is stopped, its timer has been set anew, or time is up.
 * For the callback wait().
 * @param server     from rsp_server_new(), and running
 * @param timeout_ms milliseconds; -1 without limit
 * @return more than 0: something is there; 0: time is up; -1 with errno
 */
int rsp_server_wait(struct rsp_server *server, int timeout_ms);

/**
 * The server of a session.
 *
 * @param session as the callback got it
 * @return its server
 */
struct rsp_server *rsp_session_server(const struct rsp_server_session *session);

/**
 * Send a message on a session.
 *
 * In the loop model what the network does not take at once is kept and sent later.
 * @param session as the callback got it
 * @param data    the message
 * @param size    its length
 * @param ppid    payload protocol identifier, network byte order
 * @param stream  stream
 * @return 0, or -1 with errno as rsp_sendmsg()
 */
int rsp_session_send(struct rsp_server_session *session, const void *data, size_t size,
                     uint32_t ppid, uint16_t stream);

/**
 * Save a session's state with its user.
 *
 * @param session as the callback got it
 * @param state   the state
 * @param size    its length
 * @return 0, or -1 with errno as rsp_send_cookie()
 */
int rsp_session_cookie(struct rsp_server_session *session, const void *state, size_t size);

/**
 * Say how much load a session is.
 *
 * @param session as the callback got it
 * @param load    its part of the server's capacity, 0 to 1
 */
void rsp_session_load(struct rsp_server_session *session, double load);

/**
 * Set a session's timer.
 *
 * @param session    as the callback got it
 * @param timeout_ms until on_session_timer() is called, once; -1: off
 */
void rsp_session_timer(struct rsp_server_session *session, int timeout_ms);

/**
 * Keep a pointer with a session.
 *
 * @param session as the callback got it
 * @param data    the program's
 */
void rsp_session_set_data(struct rsp_server_session *session, void *data);

/**
 * The pointer kept with a session.
 *
 * @param session as the callback got it
 * @return what rsp_session_set_data() was given; NULL before
 */
void *rsp_session_data(const struct rsp_server_session *session);

/**
 * The socket of a session.
 *
 * In the loop model it is the server's, and rsp_session_id() the session to name in calls.
 * @param session as the callback got it
 * @return the session socket
 */
int rsp_session_socket(const struct rsp_server_session *session);

/**
 * The identifier of a session.
 *
 * @param session as the callback got it
 * @return a number that no other open session of the server has
 */
int rsp_session_id(const struct rsp_server_session *session);

#ifdef __cplusplus
}
#endif
#endif
