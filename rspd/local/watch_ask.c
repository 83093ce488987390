/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The worker's answers to single questions: who listens there, what has this PE in hand. */
#include "rspd/local/netns.h"
#include "rspd/local/proc.h"
#include "rspd/local/watch_impl.h"
#include "wire/local.h"

#include <errno.h>

bool watch_is_wildcard(const struct ip_address *a)
{
    return ip_address_scope(a) == IP_SCOPE_UNSPECIFIED;
}

bool watch_target_at(const struct watch_target *t, const struct ip_address *local)
{
    if (t->address_count == 0 || watch_is_wildcard(local)) {
        return true;
    }
    for (size_t i = 0; i < t->address_count; i++) {
        struct ip_address own = ip_address_unmap(t->addresses[i]);
        if (ip_address_equal(&own, local)) {
            return true;
        }
    }
    return false;
}

struct search {
    const struct watch_note *note;
    struct watch_listener *found;
    uint32_t queued;
    uint32_t connections;
};

static void add_address(struct watch_listener *found, const struct diag_socket *s, bool *wildcard)
{
    if (watch_is_wildcard(&s->local)) {
        /* An IPv6 wildcard is taken as dual-stack, which is what it is by default. */
        *wildcard = true;
        found->families |= s->local.family == IP_V4 ? LP_FAMILY_V4 : LP_FAMILY_V4 | LP_FAMILY_V6;
        return;
    }
    for (size_t i = 0; i < found->address_count; i++) {
        if (ip_address_equal(&found->addresses[i], &s->local)) {
            return;
        }
    }
    if (found->address_count < WATCH_ADDRESSES_MAX) {
        found->addresses[found->address_count++] = s->local;
    }
}

static bool on_candidate(void *ctx, const struct diag_socket *s)
{
    struct search *search = (struct search *)ctx;
    const struct watch_target *t = &search->note->target;
    struct watch_listener *found = search->found;
    if (s->local_port != t->port) {
        return true;
    }
    /* Where /proc is closed to us, the port must do. */
    if (t->pid != 0 && proc_holds(t->pid, s->inode) == 0) {
        return true;
    }
    bool wildcard = found->families != 0;
    if (found->sockets++ == 0) {
        found->sock_cookie = s->cookie;
        found->uid = s->uid;
        found->inode = s->inode;
    }
    add_address(found, s, &wildcard);
    if (wildcard) {
        found->address_count = 0;
    }
    return true;
}

static bool on_drain_listener(void *ctx, const struct diag_socket *s)
{
    struct search *search = (struct search *)ctx;
    const struct watch_target *t = &search->note->target;
    if (s->local_port == t->port && watch_target_at(t, &s->local)) {
        search->queued += s->queued;
    }
    return true;
}

static bool on_drain_connection(void *ctx, const struct diag_socket *s)
{
    struct search *search = (struct search *)ctx;
    const struct watch_target *t = &search->note->target;
    if (s->local_port == t->port && watch_target_at(t, &s->local)) {
        search->connections++;
    }
    return true;
}

static int answer(struct watch_note *note)
{
    struct search search = {.note = note, .found = &note->listener};
    enum transport_protocol protocol = note->target.protocol;
    if (note->kind == NOTE_FOUND) {
        int r = diag_listeners(protocol, on_candidate, &search);
        return r < 0 ? r : note->listener.sockets > 0 ? 0 : -ENOENT;
    }
    /* Listeners first: who is accepted between the two dumps is counted twice, not lost. */
    int r = diag_listeners(protocol, on_drain_listener, &search);
    if (r == 0 && protocol != TRANSPORT_UDP) {
        r = diag_connections(protocol, true, on_drain_connection, &search);
    }
    note->queued = search.queued;
    note->connections = search.connections;
    return r;
}

bool watch_answer_all(struct watch *w)
{
    bool ok = true;
    pthread_mutex_lock(&w->lock);
    struct watch_note *note;
    while (ok && !w->stop && (note = TAILQ_FIRST(&w->questions)) != NULL) {
        TAILQ_REMOVE(&w->questions, note, link);
        w->question_count--;
        pthread_mutex_unlock(&w->lock);
        uint64_t netns = note->target.netns;
        int home = netns != 0 ? netns_enter(note->target.pid, netns) : 0;
        note->result = home < 0 ? home : answer(note);
        ok = home < 0 || netns == 0 || netns_leave(home) == 0;
        pthread_mutex_lock(&w->lock);
        watch_tell(w, note);
    }
    pthread_mutex_unlock(&w->lock);
    return ok;
}
