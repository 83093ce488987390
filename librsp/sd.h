/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Descriptors. Every one is an epoll instance of the kernel; the sockets behind it are in its set,
 * and while something waits inside the library a common, always readable eventfd as well. So the
 * descriptor is readable exactly when a call would make progress.
 *
 * An sd is found in a table by its number, and counted while a call uses it; its mutex is held by
 * whoever works on it, never while waiting.
 */
#ifndef RSP_LIBRSP_SD_H
#define RSP_LIBRSP_SD_H

#include "librsp/channel.h"
#include "librsp/internal.h"
#include "librsp/machine.h"

#define SD_HANDLE_MAX POOL_HANDLE_MAX
#define TCP_POOL      ".tcp" /* HANDLE.tcp: who speaks TCP, where both protocols are in use */

enum sd_kind {
    SD_NEW,     /* rsp_socket() */
    SD_REQUEST, /* basic mode, a request under way */
    SD_SERVER,  /* bound, listening or registered */
    SD_PEER,    /* accepted: the element's end of a session */
    SD_USER     /* the user's end of a session */
};

/** What the members of an epoll set stand for; sessions of a server: SD_TAG_SESSION + id. */
enum sd_tag {
    SD_TAG_READY,
    SD_TAG_DATA,
    SD_TAG_DAEMON,
    SD_TAG_TIMER,
    SD_TAG_LISTEN, /* + 0, 1 */
    SD_TAG_SESSION = 16
};

struct notice {
    struct notice *next;
    union rserpool_notification n;
};

/** A session as an element sees it. */
struct peer {
    rserpool_session_t id;
    struct channel ch;
    uint32_t tag;
    bool heard;     /* a message or an echo has been taken */
    bool ended;     /* the user has gone */
    int error;      /* how the connection has broken, until it is told */
    bool listed;    /* in the server's list of those with something read ahead */
    bool wants_out; /* EPOLLOUT is asked for */
    uint8_t *echo;  /* the state brought along, until the program takes it */
    uint32_t echo_len;
    char *status; /* of a session without a descriptor of its own, see sd */
};

struct sd_options {
    int auto_failover, notifications, attempt_ms, connect_ms, detection_ms, retry_min_ms,
        retry_max_ms, give_up_ms, replay, message_max, send_buffer, business_card;
    struct rserpool_session_parameters sctp;
};

struct user;
struct server;

struct sd {
    int fd;
    atomic_uint refs;
    bool closed;
    pthread_mutex_t mutex;
    int cancel_state; /* of the thread that holds it, before */
    enum sd_kind kind;
    int domain, type, protocol;
    bool ready_on; /* the always readable eventfd is in the set */
    /* who waits in channel_wait(), without `mutex`; `receiver` is held meanwhile */
    bool receiving;
    bool shared;          /* two threads have been in it at once */
    unsigned connections; /* ended by sd_drop_channel() */
    pthread_mutex_t receiver;
    struct sd_options opt;
    struct notice *notices, **notices_end;
    /* of a peer: the pool it belongs to, as the cookies know it */
    uint16_t handle_len;
    uint8_t *handle;
    uint32_t pe_id;
    char *status;       /* what a monitor is told of it; NULL: nothing */
    struct sd *parents; /* in a child: another one that was its parent's */
    union {
        struct user *user;
        struct server *server;
        struct peer *peer;
        void *request; /* struct request */
    };
};

/** A new descriptor, locked; NULL and -errno in *ret_error. */
struct sd *sd_new(enum sd_kind kind, int *ret_error);
/** The object of a descriptor, locked; NULL: none of this process. sd_put() is due. */
struct sd *sd_get(int fd);
/** Unlocks, lets go. */
void sd_put(struct sd *sd);
/** Calls for every descriptor, locked in its turn; no other may be. */
void sd_each(void (*fn)(struct sd *sd, void *ctx), void *ctx);
/** Takes it out of the table and closes the descriptor; the object goes with the last sd_put(). */
void sd_close(struct sd *sd);

/** In its set: `events` of a descriptor. 0 or -errno. */
int sd_watch(struct sd *sd, int fd, uint32_t events, uint32_t tag);
int sd_rewatch(struct sd *sd, int fd, uint32_t events, uint32_t tag);
void sd_unwatch(struct sd *sd, int fd);
/** Whether something inside waits for the program. */
void sd_ready(struct sd *sd, bool on);
/** O_NONBLOCK of the descriptor: 0, else -1, as a timeout. */
int sd_default_timeout(const struct sd *sd, int msg_flags);
/**
 * Unlocks, waits until its set has something or time is up, locks. 0; -EAGAIN: time is up; -EBADF:
 * it was closed meanwhile; -EINTR.
 */
int sd_wait(struct sd *sd, struct tm_us deadline);
/**
 * Unlocks, waits for the next message where it comes, in the kernel's recv(), locks: an answer then
 * costs one system call instead of three. Nothing but the connection wakes such a caller. Therefore
 * it is done only while one thread uses the sd (sd_may_receive()), and with a bound unless the
 * process has no other and `forever` is true. As channel_wait_end(), or -EBADF: closed meanwhile.
 */
ssize_t sd_receive(struct sd *sd, struct channel *ch, void *buffer, size_t size, bool forever,
                   struct channel_in *ret);
bool sd_may_receive(const struct sd *sd, const struct channel *ch);
/** Unlocks until no other thread is in sd_receive(), locks; -EBADF: it was closed meanwhile. */
int sd_await_receiver(struct sd *sd);
/** Closes a connection of the sd's, as channel_close(); who waits for its messages is woken. */
void sd_drop_channel(struct sd *sd, struct channel *ch, bool abort);
/** The same for a descriptor of the sd's, in short slices, because it may be replaced meanwhile. */
int sd_wait_fds(struct sd *sd, struct pollfd *fds, unsigned count, struct tm_us deadline);

struct channel_setup sd_setup(const struct sd *sd);

/* notify.c */
bool notice_wanted(const struct sd *sd, int type);
/** Queues one, if it is wanted; without memory it is lost. */
void notice_add(struct sd *sd, const union rserpool_notification *n);
void notice_session(struct sd *sd, rserpool_session_t session, unsigned state);
void notice_failover(struct sd *sd, unsigned state, bool has_cookie);
void notice_shutdown(struct sd *sd, rserpool_session_t session);
void notice_refused(struct sd *sd, rserpool_session_t session, int reason);
bool notice_take(struct sd *sd, union rserpool_notification *ret);
void notice_drop_all(struct sd *sd);

/* options.c */
void options_init(struct sd_options *opt, int type);

/* user.c */
void user_free(struct sd *sd);
/** Does what is due on a user's session: answers, connections, timers. */
void user_work(struct sd *sd);
/** Waits until the session may have moved on; as sd_wait_fds(). */
int user_wait(struct sd *sd, struct tm_us deadline);
/** The channel while there is a server; else NULL and -errno: -EAGAIN there will be one. */
struct channel *user_channel(struct sd *sd, int *ret_error);
/** The connection has broken, by channel_recv() or channel_send(); 0: closed without a word. */
void user_lost(struct sd *sd, int error);
void user_heard(struct sd *sd);
/** Whether something inside waits for the program may have changed. */
void user_ready(struct sd *sd);
/** A control message; 0 or -errno as channel_recv(). */
int user_control(struct sd *sd, const struct channel_in *in);
/** Keeps what is sent until a cookie covers it. */
void user_sent(struct sd *sd, const void *data, size_t len, uint32_t ppid, uint16_t stream);
uint32_t user_pe_id(const struct sd *sd);
/** Counts the session's connections. */
unsigned user_connections(const struct sd *sd);
/** What the session wants to hear of the set, after a message that did not fit (or did). */
void user_want_out(struct sd *sd, bool on);
/** The session is over, says the program. */
void user_end(struct sd *sd);
/** The options of the socket have changed. */
void user_options(struct sd *sd);
/** Whether a receive function would say something: what is not the program's is taken. */
bool user_has_news(struct sd *sd);
/** An error that is to be told once: 0, or -errno, and it is told. */
int user_told(struct sd *sd);

/* In a child of fork(): the descriptors behind one, closed without a word. */
void user_child_close(struct sd *sd);
void server_child_close(struct sd *sd);
void request_child_close(struct sd *sd);

/* pe.c */
void server_free(struct sd *sd, bool tell);
void peer_free(struct peer *peer, bool tell, bool abort);
struct peer *server_peer(struct sd *sd, rserpool_session_t id);
/** A session has ended on a server with many: out of the set, forgotten. */
void server_drop(struct sd *sd, struct peer *peer, bool abort);
/** The next session with something to read, and accepts new ones; NULL: none now. */
struct peer *server_next(struct sd *sd);
/** There is more to read of this one. */
void server_again(struct sd *sd, struct peer *peer);
/** What waits goes out; the socket has told of room, and tells no more. */
void peer_flush(struct sd *sd, struct peer *peer);
void peer_want_out(struct sd *sd, struct peer *peer, bool on);
int peer_control(struct sd *sd, struct peer *peer, const struct channel_in *in);
/** As user_has_news(), of an accepted session. */
bool peer_has_news(struct sd *sd);
/** As user_ready(), of an accepted session. */
void peer_ready(struct sd *sd);

/* basic.c */
void request_free(struct sd *sd);

/* seal.c */
/** Seals a state for the pool; *ret is malloc'd. 0 or -errno. */
int session_seal(const struct sd *sd, const void *state, size_t len, uint8_t **ret,
                 size_t *ret_len);
/** Opens one; 0, or -EBADMSG, -ESTALE, -ENOKEY, -EPERM: refused; another -errno: cannot be said
 * now. */
int session_unseal(const struct sd *sd, const void *cookie, size_t len, uint8_t **ret,
                   size_t *ret_len);
bool session_refused(int error);

#endif
