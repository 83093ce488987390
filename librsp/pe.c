/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The accepting side of sessions. A SOCK_STREAM server gives each session a descriptor of its own;
 * a SOCK_SEQPACKET server keeps them in its own epoll set and takes them in turn.
 */
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "librsp/card.h"
#include "librsp/control.h"
#include "librsp/status.h"
#include "wire/report.h"

#define ACCEPTS_PER_TURN 64

/* --- one session --------------------------------------------------------------------------------
 */

static void say(struct peer *peer, const void *message, int len)
{
    if (len > 0) {
        (void)channel_send(&peer->ch, message, (size_t)len, htonl(CONTROL_PPID), 0, 0, false, true);
    }
}

void peer_free(struct peer *peer, bool tell, bool abort)
{
    if (tell && peer->ch.fd >= 0 && !peer->ended) {
        uint8_t end[16];
        say(peer, end, control_write_end(end, sizeof(end)));
        (void)channel_flush(&peer->ch);
    }
    channel_close(&peer->ch, abort);
    free(peer->echo);
    free(peer->status);
    free(peer);
}

static struct peer *peer_new(struct sd *sd, int take_fd, enum transport_protocol protocol)
{
    struct channel_setup setup = sd_setup(sd);
    struct peer *peer = (struct peer *)calloc(1, sizeof(*peer));
    if (peer == NULL) {
        (void)close(take_fd);
        return NULL;
    }
    if (channel_accepted(&peer->ch, take_fd, protocol, &setup) != 0) {
        peer_free(peer, false, true);
        return NULL;
    }
    return peer;
}

/** Tells the user that its cookie was of no use: it begins anew. */
static void refuse(struct sd *sd, struct peer *peer, int reason)
{
    uint8_t message[64];
    say(peer, message, control_write_error(CAUSE_INVALID_VALUES, message, sizeof(message)));
    notice_refused(sd, peer->id, reason);
}

static int take_echo(struct sd *sd, struct peer *peer, const struct control *c)
{
    size_t len = 0;
    if (peer->heard) {
        return 0; /* only what comes first can restore a state */
    }
    int r = session_unseal(sd, c->cookie, c->cookie_len, &peer->echo, &len);
    if (session_refused(r)) {
        refuse(sd, peer, -r);
        r = 0;
    } else if (r == 0) {
        peer->echo_len = (uint32_t)len;
    }
    peer->heard = true;
    return r;
}

int peer_control(struct sd *sd, struct peer *peer, const struct channel_in *in)
{
    struct control c;
    int r = control_read(in->control, in->control_len, &c);
    if (r == 0 && c.kind == CONTROL_COOKIE_ECHO) {
        r = take_echo(sd, peer, &c);
    }
    return r; /* the rest is for users */
}

void peer_flush(struct sd *sd, struct peer *peer)
{
    if (peer->ended) {
        return;
    }
    if (channel_queued(&peer->ch)) {
        peer_want_out(sd, peer, channel_flush(&peer->ch) == -EAGAIN);
    } else if (peer->wants_out && channel_has_room(&peer->ch)) {
        peer_want_out(sd, peer, false); /* who was told EAGAIN has been woken */
    }
}

void peer_ready(struct sd *sd)
{
    const struct peer *peer = sd->peer;
    sd_ready(sd, sd->notices != NULL || peer->echo != NULL || peer->ended || peer->error != 0 ||
                     channel_ready(&peer->ch));
}

bool peer_has_news(struct sd *sd)
{
    struct peer *peer = sd->peer;
    struct channel_in in;
    ssize_t n = 0;
    peer_flush(sd, peer);
    while (n == 0 && sd->notices == NULL && peer->echo == NULL && !peer->ended) {
        n = channel_look(&peer->ch, &in);
        if (n == 0 && in.kind == CHANNEL_DATA) {
            break;
        }
        if (n == 0 && in.kind == CHANNEL_END) {
            peer->ended = true;
        } else if (n == 0) {
            n = peer_control(sd, peer, &in);
        }
        if (n < 0 && n != -EAGAIN) {
            peer->error = (int)n;
        }
    }
    peer_ready(sd);
    return n != -EAGAIN;
}

void peer_want_out(struct sd *sd, struct peer *peer, bool on)
{
    if (on != peer->wants_out && peer->ch.fd >= 0) {
        peer->wants_out = on;
        (void)sd_rewatch(sd, peer->ch.fd, EPOLLIN | (on ? EPOLLOUT : 0), peer->tag);
    }
}

/* --- many sessions of one socket ----------------------------------------------------------------
 */

struct peer *server_peer(struct sd *sd, rserpool_session_t id)
{
    struct server *s = sd->server;
    return id >= 1 && (uint32_t)id <= s->size ? s->peers[id - 1] : NULL;
}

static bool grow(struct server *s)
{
    uint32_t size = s->size > 0 ? s->size * 2 : 64;
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    struct peer **more = (struct peer **)realloc(s->peers, size * sizeof(*more));
    if (more == NULL) {
        return false;
    }
    /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
    memset(more + s->size, 0, (size - s->size) * sizeof(*more));
    s->peers = more;
    s->search = s->size;
    s->size = size;
    return true;
}

/** A place for one more; ids are used again as late as possible. */
static bool place(struct server *s, struct peer *peer)
{
    if (s->used == s->size && !grow(s)) {
        return false;
    }
    while (s->peers[s->search % s->size] != NULL) {
        s->search++;
    }
    uint32_t at = s->search++ % s->size;
    s->peers[at] = peer;
    s->used++;
    peer->id = (rserpool_session_t)at + 1;
    peer->tag = SD_TAG_SESSION + at + 1;
    return true;
}

static void add_session(struct sd *sd, int take_fd, struct listener *l)
{
    struct peer *peer = peer_new(sd, take_fd, l->protocol);
    if (peer == NULL) {
        return;
    }
    if (!place(sd->server, peer) || sd_watch(sd, peer->ch.fd, EPOLLIN, peer->tag) != 0) {
        if (peer->id != 0) {
            sd->server->peers[peer->id - 1] = NULL;
            sd->server->used--;
        }
        peer_free(peer, false, true);
        return;
    }
    card_send(sd, l, peer);
    notice_session(sd, peer->id, RSERPOOL_SESSION_ADD);
}

static int accept_on(const struct listener *l)
{
    int flags = SOCK_CLOEXEC | (l->protocol == TRANSPORT_SCTP ? SOCK_NONBLOCK : 0);
    for (;;) {
        int fd = accept4(l->fd, NULL, NULL, flags);
        if (fd >= 0) {
            return fd;
        }
        if (errno != EINTR && errno != ECONNABORTED && errno != EPROTO) {
            return -errno;
        }
    }
}

static void accept_some(struct sd *sd, struct listener *l)
{
    for (int i = 0; i < ACCEPTS_PER_TURN; i++) {
        int fd = accept_on(l);
        if (fd < 0) {
            return;
        }
        add_session(sd, fd, l);
    }
}

void server_again(struct sd *sd, struct peer *peer)
{
    struct server *s = sd->server;
    if (peer->listed) {
        return;
    }
    if (s->again_count == s->again_size) {
        uint32_t size = s->again_size > 0 ? s->again_size * 2 : 16;
        /* NOLINTNEXTLINE(bugprone-sizeof-expression): an array of pointers */
        struct peer **more = (struct peer **)malloc(size * sizeof(*more));
        if (more == NULL) {
            return; /* the kernel tells of what comes next, and the rest is read with it */
        }
        for (uint32_t i = 0; i < s->again_count; i++) {
            more[i] = s->again[(s->again_at + i) % s->again_size];
        }
        free(s->again);
        s->again = more;
        s->again_at = 0;
        s->again_size = size;
    }
    s->again[(s->again_at + s->again_count++) % s->again_size] = peer;
    peer->listed = true;
    sd_ready(sd, true);
}

static struct peer *take_again(struct server *s)
{
    struct peer *peer = NULL;
    while (s->again_count > 0 && peer == NULL) {
        peer = s->again[s->again_at];
        s->again_at = (s->again_at + 1) % s->again_size;
        s->again_count--;
    }
    if (peer != NULL) {
        peer->listed = false;
    }
    return peer;
}

void server_drop(struct sd *sd, struct peer *peer, bool abort)
{
    struct server *s = sd->server;
    for (uint32_t i = 0; peer->listed && i < s->again_count; i++) {
        struct peer **at = &s->again[(s->again_at + i) % s->again_size];
        *at = *at == peer ? NULL : *at;
    }
    for (int i = s->events_at; i < s->events_count; i++) {
        if (s->events[i].data.u64 == peer->tag) {
            s->events[i].data.u64 = SD_TAG_READY;
        }
    }
    s->peers[peer->id - 1] = NULL;
    s->used--;
    notice_session(sd, peer->id, RSERPOOL_SESSION_REMOVE);
    sd_unwatch(sd, peer->ch.fd);
    peer_free(peer, !abort, abort);
}

/** A session's socket has something; what waits to be sent is sent on the way. */
static struct peer *session_event(struct sd *sd, const struct epoll_event *ev)
{
    struct peer *peer = server_peer(sd, (rserpool_session_t)(ev->data.u64 - SD_TAG_SESSION));
    if (peer != NULL && (ev->events & EPOLLOUT) != 0) {
        int r = channel_flush(&peer->ch);
        peer_want_out(sd, peer, r == -EAGAIN);
    }
    return peer != NULL && (ev->events & ~(uint32_t)EPOLLOUT) != 0 ? peer : NULL;
}

struct peer *server_next(struct sd *sd)
{
    struct server *s = sd->server;
    for (int turns = 0; turns < 2; turns++) {
        while (s->events_at < s->events_count) {
            struct epoll_event ev = s->events[s->events_at++];
            if (ev.data.u64 >= SD_TAG_SESSION) {
                struct peer *peer = session_event(sd, &ev);
                if (peer != NULL) {
                    return peer;
                }
            } else if (ev.data.u64 >= SD_TAG_LISTEN && sd->type == SOCK_SEQPACKET) {
                accept_some(sd, &s->listeners[ev.data.u64 - SD_TAG_LISTEN]);
                if (sd->notices != NULL) {
                    return NULL; /* a session is announced before its messages */
                }
            }
        }
        struct peer *peer = take_again(s);
        if (peer != NULL) {
            return peer;
        }
        int n = epoll_wait(sd->fd, s->events, SERVER_EVENTS, 0);
        s->events_at = 0;
        s->events_count = n > 0 ? n : 0;
    }
    return NULL;
}

/* --- sockets ------------------------------------------------------------------------------------
 */

void server_free(struct sd *sd, bool tell)
{
    struct server *s = sd->server;
    if (s->registered) {
        (void)server_deregister(sd, tell);
    }
    for (uint32_t i = 0; i < s->size; i++) {
        if (s->peers[i] != NULL) {
            peer_free(s->peers[i], tell, !tell);
        }
    }
    for (int i = 0; i < s->count; i++) {
        (void)close(s->listeners[i].fd);
    }
    free(s->peers);
    free(s->again);
    free(s);
    sd->server = NULL;
}

/** In a child of fork(): the descriptors alone. */
void server_child_close(struct sd *sd)
{
    struct server *s = sd->server;
    for (int i = 0; i < s->count; i++) {
        (void)close(s->listeners[i].fd);
        if (s->listeners[i].life_fd >= 0) {
            (void)close(s->listeners[i].life_fd);
        }
    }
    for (uint32_t i = 0; i < s->size; i++) {
        if (s->peers[i] != NULL && s->peers[i]->ch.fd >= 0) {
            (void)close(s->peers[i]->ch.fd);
        }
    }
}

/** The session of an accepted socket as a descriptor of its own; it or -errno. */
static int new_descriptor(struct sd *server, int take_fd, struct listener *l)
{
    int error = 0;
    struct sd *sd = sd_new(SD_PEER, &error);
    if (sd == NULL) {
        (void)close(take_fd);
        return error;
    }
    sd->domain = server->domain;
    sd->type = server->type;
    sd->protocol = server->protocol;
    sd->opt = server->opt;
    sd->pe_id = server->pe_id;
    sd->handle = server->handle_len > 0 ? (uint8_t *)malloc(server->handle_len) : NULL;
    if (sd->handle != NULL) {
        memcpy(sd->handle, server->handle, server->handle_len);
        sd->handle_len = server->handle_len;
    }
    sd->peer = peer_new(sd, take_fd, l->protocol);
    error = sd->peer == NULL ? -ECONNABORTED : 0;
    if (error == 0) {
        sd->peer->tag = SD_TAG_DATA;
        error = sd_watch(sd, sd->peer->ch.fd, EPOLLIN, SD_TAG_DATA);
    }
    int fd = sd->fd;
    if (error == 0) {
        card_send(server, l, sd->peer);
    } else {
        if (sd->peer != NULL) {
            peer_free(sd->peer, false, true);
            sd->peer = NULL;
        }
        sd_close(sd);
    }
    sd_put(sd);
    return error != 0 ? error : fd;
}

RSP_PUBLIC int rsp_accept(int fd, int timeout)
{
    struct tm_us deadline = deadline_of(timeout);
    status_tick();
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = sd->kind == SD_SERVER && sd->server->listening && sd->type == SOCK_STREAM ? -EAGAIN
                                                                                      : -EINVAL;
    while (r == -EAGAIN) {
        for (int i = 0; r == -EAGAIN && i < sd->server->count; i++) {
            r = accept_on(&sd->server->listeners[i]);
            if (r >= 0) {
                r = new_descriptor(sd, r, &sd->server->listeners[i]);
                r = r == -ECONNABORTED ? -EAGAIN : r;
            }
        }
        if (r == -EAGAIN && (r = sd_wait(sd, deadline)) == 0) {
            r = -EAGAIN;
        } else if (r < 0) {
            break;
        }
    }
    sd_put(sd);
    return rsp_ret(r);
}
