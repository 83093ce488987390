/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/local/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "rspd/local/resolver.h"

#define ACCEPTS_PER_ROUND 64
#define UID_BUCKETS       64

/** A message that waits, with its own copy of a descriptor. */
struct queued {
    struct queued *next;
    int fd;
    size_t len;
    uint8_t octets[];
};

struct server_client {
    struct resolver_line line; /* a resolver thread's while `lent` */
    struct server *server;
    struct server_client *next, *prev;
    struct server_client *next_dead;
    int fd;
    struct loop_io *io;
    struct server_peer peer;
    void *user;
    struct queued *head, **tail;
    size_t queued;
    unsigned malformed;
    bool closing; /* no more is read; closed when the queue is empty */
    bool dead;    /* to be freed in the loop */
    bool lent;    /* no source in the loop meanwhile */
};

struct uid_count {
    struct uid_count *next;
    uint32_t uid;
    uint32_t connections;
};

struct server {
    struct loop *loop;
    int fd;
    int spare_fd; /* given up to accept, and turn away, when descriptors are out */
    char path[sizeof(((struct sockaddr_un *)0)->sun_path)];
    dev_t made_dev; /* of the socket file that was made here */
    ino_t made_ino; /* 0: none */
    struct loop_io *io;
    struct server_handlers handlers;
    void *ctx;
    struct resolvers *resolvers;
    uint32_t connections_per_uid;
    size_t clients;
    struct server_client *first;
    struct server_client *dead;
    bool reaping;
    struct uid_count *uids[UID_BUCKETS];
    uint8_t in[LP_MESSAGE_MAX];
};

/* --- connections per uid ------------------------------------------------------------------------
 */

/** The count of a uid; NULL when it is not there and (`make`) memory is out. */
static struct uid_count *uid_find(struct server *s, uint32_t uid, bool make)
{
    struct uid_count **at = &s->uids[uid % UID_BUCKETS];
    while (*at != NULL && (*at)->uid != uid) {
        at = &(*at)->next;
    }
    if (*at == NULL && make) {
        *at = (struct uid_count *)calloc(1, sizeof(**at));
        if (*at != NULL) {
            (*at)->uid = uid;
        }
    }
    return *at;
}

static void uid_leave(struct server *s, uint32_t uid)
{
    struct uid_count **at = &s->uids[uid % UID_BUCKETS];
    while (*at != NULL && (*at)->uid != uid) {
        at = &(*at)->next;
    }
    if (*at != NULL && --(*at)->connections == 0) {
        struct uid_count *empty = *at;
        *at = empty->next;
        free(empty);
    }
}

/* --- one connection -----------------------------------------------------------------------------
 */

static void queue_drop(struct server_client *c)
{
    while (c->head != NULL) {
        struct queued *q = c->head;
        c->head = q->next;
        if (q->fd >= 0) {
            (void)close(q->fd);
        }
        free(q);
    }
    c->tail = &c->head;
    c->queued = 0;
}

/** Frees the connections that ended, outside of everybody's callbacks. */
static void reap(void *ctx)
{
    struct server *s = (struct server *)ctx;
    s->reaping = false;
    while (s->dead != NULL) {
        struct server_client *c = s->dead;
        s->dead = c->next_dead;
        s->handlers.gone(s->ctx, c);
        free(c);
    }
}

/** The connection ends now; the struct goes in the loop. */
static void kill_client(struct server_client *c)
{
    struct server *s = c->server;
    if (c->dead) {
        return;
    }
    c->dead = true;
    loop_io_free(c->io);
    c->io = NULL;
    (void)close(c->fd);
    c->fd = -1;
    queue_drop(c);
    free(c->line.message); /* one that nobody takes any more, at the end */
    c->line.message = NULL;
    if (c->prev != NULL) {
        c->prev->next = c->next;
    } else {
        s->first = c->next;
    }
    if (c->next != NULL) {
        c->next->prev = c->prev;
    }
    s->clients--;
    uid_leave(s, c->peer.uid);
    c->next_dead = s->dead;
    s->dead = c;
    if (!s->reaping && loop_post(s->loop, reap, s) == 0) {
        s->reaping = true; /* else with the next one that ends */
    }
}

/** sendmsg() of a message and a descriptor; as send(). */
static ssize_t send_with(int fd, const void *octets, size_t len, int pass_fd)
{
    union {
        struct cmsghdr align;
        char octets[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = {.iov_base = (void *)(uintptr_t)octets, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.octets,
                         .msg_controllen = sizeof(control.octets)};
    memset(&control, 0, sizeof(control));
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(c), &pass_fd, sizeof(int));
    return sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/** 0, -EAGAIN, or another -errno. */
static int send_now(int fd, const void *octets, size_t len, int pass_fd)
{
    ssize_t n;
    do {
        n = pass_fd >= 0 ? send_with(fd, octets, len, pass_fd)
                         : send(fd, octets, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    if (n >= 0) {
        return 0;
    }
    return errno == EWOULDBLOCK || errno == ENOBUFS ? -EAGAIN : -errno;
}

static int queue_add(struct server_client *c, const struct lp_writer *w, int fd)
{
    if (c->queued + w->used > SERVER_QUEUE_MAX) {
        c->server->handlers.rejected(c->server->ctx, &c->peer,
                                     "it does not read what it asked for: disconnected");
        kill_client(c);
        return -EPIPE;
    }
    struct queued *q = (struct queued *)malloc(sizeof(*q) + w->used);
    int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (q == NULL || (fd >= 0 && copy < 0)) {
        free(q);
        if (copy >= 0) {
            (void)close(copy);
        }
        kill_client(c);
        return -EPIPE;
    }
    q->next = NULL;
    q->fd = copy;
    q->len = w->used;
    memcpy(q->octets, w->octets, w->used);
    *c->tail = q;
    c->tail = &q->next;
    c->queued += q->len;
    (void)loop_io_set(c->io, (c->closing ? 0 : LOOP_READ) | LOOP_WRITE);
    return 0;
}

int server_send(struct server_client *client, struct lp_writer *w, int fd)
{
    if (client->dead) {
        return -EPIPE;
    }
    int r = lp_finish(w);
    if (r < 0) {
        return r;
    }
    if (client->head != NULL) {
        return queue_add(client, w, fd);
    }
    r = send_now(client->fd, w->octets, w->used, fd);
    if (client->lent && r < 0) {
        (void)shutdown(client->fd, SHUT_RDWR); /* its thread sees the end and gives it back */
        return -EPIPE;
    }
    if (r == -EAGAIN) {
        return queue_add(client, w, fd);
    }
    if (r < 0) {
        kill_client(client);
        return -EPIPE;
    }
    return 0;
}

static void flush(struct server_client *c)
{
    while (c->head != NULL) {
        struct queued *q = c->head;
        int r = send_now(c->fd, q->octets, q->len, q->fd);
        if (r == -EAGAIN) {
            return;
        }
        if (r < 0) {
            kill_client(c);
            return;
        }
        c->head = q->next;
        if (c->head == NULL) {
            c->tail = &c->head;
        }
        c->queued -= q->len;
        if (q->fd >= 0) {
            (void)close(q->fd);
        }
        free(q);
    }
    if (c->closing) {
        kill_client(c);
        return;
    }
    (void)loop_io_set(c->io, LOOP_READ);
    c->server->handlers.drained(c->server->ctx, c);
}

/** Answers what does not parse; after a few of these the connection ends. */
static void malformed(struct server_client *c, const uint8_t *in, size_t len)
{
    uint8_t octets[256];
    uint32_t request = 0;
    struct lp_writer w;
    if (len >= LP_HEADER_LEN) {
        memcpy(&request, in + 4, sizeof(request));
    }
    lp_begin(&w, octets, sizeof(octets), LP_RESULT, request);
    lp_put_i32(&w, LP_T_RESULT, -EBADMSG);
    lp_put_str(&w, LP_T_TEXT, "the message does not make sense");
    if (server_send(c, &w, -1) == 0 && ++c->malformed >= SERVER_MALFORMED_MAX) {
        c->server->handlers.rejected(c->server->ctx, &c->peer,
                                     "too many malformed messages: disconnected");
        server_close(c);
    }
}

static void take_message(struct server_client *c, const uint8_t *in, size_t len)
{
    struct server *s = c->server;
    struct lp_message message;
    if (len > LP_MESSAGE_MAX || lp_parse(in, len, &message) != 0) {
        malformed(c, in, len);
        return;
    }
    s->handlers.message(s->ctx, c, &message);
}

/** Reads one message, if there is one, and has it answered. */
static void read_one(struct server_client *c)
{
    struct server *s = c->server;
    /* MSG_TRUNC: the length it had. Descriptors that come unasked are dropped by the kernel. */
    ssize_t n = recv(c->fd, s->in, sizeof(s->in), MSG_DONTWAIT | MSG_TRUNC);
    if (n < 0 && (errno == EINTR || errno == EAGAIN)) {
        return;
    }
    if (n <= 0) {
        kill_client(c); /* closed; an empty packet is treated as that */
        return;
    }
    take_message(c, s->in, (size_t)n);
}

static void on_client(void *ctx, int fd, unsigned events)
{
    struct server_client *c = (struct server_client *)ctx;
    (void)fd;
    if ((events & LOOP_WRITE) != 0 && !c->dead) {
        flush(c);
    }
    /* One message a round: who asks and waits has no second one, and looking for it costs as much
       as the round in which it would be told of. */
    if ((events & (LOOP_READ | LOOP_HANGUP)) != 0 && !c->dead && !c->closing) {
        read_one(c);
    }
    if ((events & LOOP_HANGUP) != 0 && c->closing && !c->dead) {
        kill_client(c); /* nobody is left to read the rest */
    }
}

void server_close(struct server_client *client)
{
    if (client->dead || client->closing) {
        return;
    }
    client->closing = true;
    if (client->lent) {
        (void)shutdown(client->fd, SHUT_RDWR); /* ends when it is given back */
    } else if (client->head == NULL) {
        kill_client(client);
    } else {
        (void)loop_io_set(client->io, LOOP_WRITE);
    }
}

/* --- resolver threads ---------------------------------------------------------------------------
 */

static struct server_client *of_line(struct resolver_line *line)
{
    return (struct server_client *)line; /* its first member */
}

static size_t answer_line(void *ctx, const struct resolver_line *line, const struct lp_message *msg,
                          uint8_t *out, size_t size)
{
    const struct server *s = (const struct server *)ctx;
    const struct server_client *c = (const struct server_client *)line;
    return s->handlers.answer(s->ctx, &c->peer, msg, out, size);
}

/** A line that is ours again, with what it brings. */
static void on_returned(void *ctx, struct resolver_line *line)
{
    struct server *s = (struct server *)ctx;
    struct server_client *c = of_line(line);
    uint8_t *message = line->message;
    line->message = NULL;
    c->lent = false;
    if (message == NULL || c->closing ||
        loop_io_add(s->loop, c->fd, LOOP_READ, on_client, c, &c->io) != 0) {
        kill_client(c);
    } else {
        take_message(c, message, line->len);
    }
    free(message);
}

void server_lend(struct server_client *client)
{
    struct server *s = client->server;
    if (s->resolvers == NULL || client->lent || client->dead || client->closing ||
        client->head != NULL) {
        return;
    }
    loop_io_free(client->io);
    client->io = NULL;
    client->lent = true;
    client->line.fd = client->fd;
    if (resolvers_lend(s->resolvers, &client->line) != 0) {
        client->lent = false;
        if (loop_io_add(s->loop, client->fd, LOOP_READ, on_client, client, &client->io) != 0) {
            kill_client(client);
        }
    }
}

static int start_resolvers(struct server *s, unsigned count, char *error, size_t error_size)
{
    static const struct resolver_handlers HANDLERS = {.answer = answer_line,
                                                      .returned = on_returned};
    if (count == 0 || s->handlers.answer == NULL) {
        return 0;
    }
    int r = resolvers_new(s->loop, count, &HANDLERS, s, &s->resolvers);
    if (r != 0) {
        (void)snprintf(error, error_size, "cannot start %u resolver threads: %s", count,
                       strerror(-r));
    }
    return r;
}

/* --- listening ----------------------------------------------------------------------------------
 */

static int read_peer(int fd, struct server_peer *ret)
{
    struct ucred cred;
    socklen_t len = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0) {
        return -errno;
    }
    *ret = (struct server_peer){
        .pid = (uint32_t)cred.pid, .uid = (uint32_t)cred.uid, .gid = (uint32_t)cred.gid};
    gid_t groups[SERVER_GROUPS_MAX];
    len = sizeof(groups);
    /* More groups than fit: none of them counts, only the first group does. */
    if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0) {
        ret->group_count = (uint32_t)(len / sizeof(gid_t));
        for (uint32_t i = 0; i < ret->group_count; i++) {
            ret->groups[i] = (uint32_t)groups[i];
        }
    }
    return 0;
}

/** Says why and closes. */
static void turn_away(struct server *s, int fd, const struct server_peer *peer, int error,
                      const char *why)
{
    uint8_t octets[256];
    struct lp_writer w;
    lp_begin(&w, octets, sizeof(octets), LP_RESULT, 0);
    lp_put_i32(&w, LP_T_RESULT, error);
    lp_put_str(&w, LP_T_TEXT, why);
    if (lp_finish(&w) > 0) {
        (void)send_now(fd, w.octets, w.used, -1);
    }
    (void)close(fd);
    s->handlers.rejected(s->ctx, peer, why);
}

static void take_in(struct server *s, int fd)
{
    struct server_peer peer = {0};
    if (read_peer(fd, &peer) != 0) {
        (void)close(fd);
        return;
    }
    struct uid_count *count = uid_find(s, peer.uid, true);
    struct server_client *c = (struct server_client *)calloc(1, sizeof(*c));
    if (count == NULL || c == NULL) {
        (void)close(fd);
        goto refuse;
    }
    if (peer.uid != 0 && count->connections >= s->connections_per_uid) {
        turn_away(s, fd, &peer, -EMFILE, "its user has too many connections to rspd");
        goto refuse;
    }
    c->server = s;
    c->fd = fd;
    c->peer = peer;
    c->tail = &c->head;
    if (loop_io_add(s->loop, fd, LOOP_READ, on_client, c, &c->io) != 0) {
        (void)close(fd);
        goto refuse;
    }
    count->connections++;
    c->next = s->first;
    if (s->first != NULL) {
        s->first->prev = c;
    }
    s->first = c;
    s->clients++;
    return;
refuse:
    free(c);
    if (count != NULL && count->connections == 0) {
        count->connections = 1;
        uid_leave(s, peer.uid);
    }
}

/** Descriptors are out: the spare one lets us accept one client and turn it away. */
static void turn_away_for_want(struct server *s)
{
    struct server_peer peer;
    if (s->spare_fd < 0) {
        return;
    }
    (void)close(s->spare_fd);
    int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd >= 0) {
        if (read_peer(fd, &peer) == 0) {
            turn_away(s, fd, &peer, -ENFILE, "rspd has no file descriptors left");
        } else {
            (void)close(fd);
        }
    }
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static void on_listener(void *ctx, int fd, unsigned events)
{
    struct server *s = (struct server *)ctx;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_ROUND; i++) {
        int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client >= 0) {
            take_in(s, client);
        } else if (errno == EMFILE || errno == ENFILE) {
            turn_away_for_want(s);
            return;
        } else if (errno != EINTR && errno != ECONNABORTED) {
            return;
        }
    }
}

/** Whether somebody answers at the address; the pid of who does, 0 if unknown. */
static bool answers(const struct sockaddr_un *sun, int *ret_pid)
{
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    bool there = false;
    *ret_pid = 0;
    if (fd < 0) {
        return false;
    }
    if (connect(fd, (const struct sockaddr *)sun, sizeof(*sun)) == 0 || errno == EAGAIN) {
        struct ucred cred = {.pid = 0};
        socklen_t len = sizeof(cred);
        there = true;
        if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0) {
            *ret_pid = (int)cred.pid;
        }
    }
    (void)close(fd);
    return there;
}

static int bind_path(struct server *s, const char *path, char *error, size_t error_size)
{
    struct sockaddr_un sun = {.sun_family = AF_UNIX};
    struct stat st;
    int pid;
    if (strlen(path) >= sizeof(sun.sun_path)) {
        (void)snprintf(error, error_size, "the socket's path %s is too long", path);
        return -ENAMETOOLONG;
    }
    (void)snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", path);
    if (answers(&sun, &pid)) {
        (void)snprintf(error, error_size,
                       "another rspd (pid %d) listens on %s; end it, or give this one another "
                       "--socket",
                       pid, path);
        return -EADDRINUSE;
    }
    if (lstat(path, &st) == 0 && S_ISSOCK(st.st_mode)) {
        (void)unlink(path); /* nobody listens there any more */
    }
    s->fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (s->fd < 0 || bind(s->fd, (const struct sockaddr *)&sun, sizeof(sun)) != 0 ||
        chmod(path, 0666) != 0 || listen(s->fd, SOMAXCONN) != 0) {
        int r = -errno;
        (void)snprintf(error, error_size, "cannot listen on %s: %s", path, strerror(-r));
        return r;
    }
    (void)snprintf(s->path, sizeof(s->path), "%s", path);
    if (lstat(path, &st) == 0) {
        s->made_dev = st.st_dev;
        s->made_ino = st.st_ino;
    }
    return 0;
}

static int take_passed(struct server *s, int fd, char *error, size_t error_size)
{
    int type = 0;
    socklen_t len = sizeof(type);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0 || type != SOCK_SEQPACKET) {
        (void)snprintf(error, error_size,
                       "the socket passed by the service manager is not a SOCK_SEQPACKET one");
        return -EPROTOTYPE;
    }
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        return -errno;
    }
    s->fd = fd;
    return 0;
}

int server_new(struct loop *loop, const struct server_settings *settings,
               const struct server_handlers *handlers, void *ctx, struct server **ret, char *error,
               size_t error_size)
{
    struct server *s = (struct server *)calloc(1, sizeof(*s));
    if (s == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    s->loop = loop;
    s->handlers = *handlers;
    s->ctx = ctx;
    s->fd = -1;
    s->connections_per_uid = settings->connections_per_uid;
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    int r = settings->listen_fd >= 0 ? take_passed(s, settings->listen_fd, error, error_size)
                                     : bind_path(s, settings->path, error, error_size);
    if (r == 0) {
        r = start_resolvers(s, settings->resolvers, error, error_size);
    }
    if (r == 0) {
        r = loop_io_add(loop, s->fd, LOOP_READ, on_listener, s, &s->io);
    }
    if (r != 0) {
        server_free(s);
        return r;
    }
    *ret = s;
    return 0;
}

void server_free(struct server *server)
{
    if (server == NULL) {
        return;
    }
    resolvers_free(server->resolvers); /* every connection is ours from now on */
    while (server->first != NULL) {
        kill_client(server->first);
    }
    while (server->dead != NULL) {
        struct server_client *c = server->dead;
        server->dead = c->next_dead;
        free(c);
    }
    loop_io_free(server->io);
    struct stat st;
    if (server->made_ino != 0 && lstat(server->path, &st) == 0 && st.st_dev == server->made_dev &&
        st.st_ino == server->made_ino) {
        (void)unlink(server->path);
    }
    if (server->fd >= 0) {
        (void)close(server->fd);
    }
    if (server->spare_fd >= 0) {
        (void)close(server->spare_fd);
    }
    free(server);
}

void server_set_connections_per_uid(struct server *server, uint32_t limit)
{
    server->connections_per_uid = limit;
}

size_t server_clients(const struct server *server)
{
    return server->clients;
}

const struct server_peer *server_peer(const struct server_client *client)
{
    return &client->peer;
}

void server_set_user(struct server_client *client, void *user)
{
    client->user = user;
}

void *server_user(const struct server_client *client)
{
    return client->user;
}

size_t server_queued(const struct server_client *client)
{
    return client->queued;
}
