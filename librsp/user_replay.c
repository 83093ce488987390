/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A session's state at the user's end: the last cookie, and the messages sent since (asap:A-119,
 * The next server gets the cookie first and then those messages, so that nothing is
 * missing and only what came after the cookie is done again. A server of ours says with a cookie
 * how many messages it covers; rsplib's do not, and their cookies are held to cover all that was
 * sent before they came.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "librsp/user.h"

struct kept {
    uint32_t len;
    uint32_t ppid;
    uint16_t stream;
};

static void drop_kept(struct user *u)
{
    free(u->kept);
    u->kept = NULL;
    u->kept_len = 0;
    u->kept_size = 0;
    u->kept_count = 0;
}

static bool append(struct user *u, const void *octets, size_t len)
{
    if (u->kept_len + len > u->kept_size) {
        size_t size = u->kept_size > 0 ? u->kept_size * 2 : 256;
        while (size < u->kept_len + len) {
            size *= 2;
        }
        uint8_t *more = (uint8_t *)realloc(u->kept, size);
        if (more == NULL) {
            return false;
        }
        u->kept = more;
        u->kept_size = size;
    }
    memcpy(u->kept + u->kept_len, octets, len);
    u->kept_len += len;
    return true;
}

void user_sent(struct sd *sd, const void *data, size_t len, uint32_t ppid, uint16_t stream)
{
    struct user *u = sd->user;
    struct kept head = {.len = (uint32_t)len, .ppid = ppid, .stream = stream};
    u->sent_count++;
    u->ppid = ntohl(ppid);
    if (sd->opt.replay <= 0 || u->kept_lost) {
        return;
    }
    if (u->kept_len + sizeof(head) + len > (size_t)sd->opt.replay ||
        !append(u, &head, sizeof(head)) || !append(u, data, len)) {
        drop_kept(u);
        u->kept_lost = true;
        return;
    }
    u->kept_count++;
}

/** The first `count` of the kept messages are not needed any more. */
static void cover(struct user *u, uint32_t count)
{
    size_t at = 0;
    uint32_t dropped = 0;
    while (dropped < count && dropped < u->kept_count) {
        struct kept head;
        memcpy(&head, u->kept + at, sizeof(head));
        at += sizeof(head) + head.len;
        dropped++;
    }
    if (dropped == u->kept_count) {
        drop_kept(u);
    } else if (at > 0) {
        memmove(u->kept, u->kept + at, u->kept_len - at);
        u->kept_len -= at;
        u->kept_count -= dropped;
    }
}

int replay_cookie(struct sd *sd, const void *cookie, size_t len)
{
    struct user *u = sd->user;
    uint8_t *copy = (uint8_t *)realloc(u->cookie, len);
    if (copy == NULL) {
        return -ENOMEM;
    }
    memcpy(copy, cookie, len);
    u->cookie = copy;
    u->cookie_len = (uint32_t)len;
    uint32_t covered = u->ch.acks ? u->ch.acked : u->sent_count;
    if (covered > u->sent_count) {
        return -EPROTO;
    }
    uint32_t before = u->sent_count - u->kept_count; /* sent, and not kept any more */
    if (u->kept_lost) {
        u->kept_lost = covered < u->sent_count;
    } else if (covered > before) {
        cover(u, covered - before);
    }
    return 0;
}

void replay_forget(struct sd *sd, int reason)
{
    struct user *u = sd->user;
    free(u->cookie);
    u->cookie = NULL;
    u->cookie_len = 0;
    drop_kept(u);
    u->kept_lost = false;
    if (notice_wanted(sd, RSERPOOL_COOKIE_REFUSED)) {
        notice_refused(sd, 0, reason);
    } else {
        u->pending_error = -ESTALE;
        sd_ready(sd, true);
    }
}

int replay_greet(struct sd *sd)
{
    struct user *u = sd->user;
    int r = 0;
    u->echoed = false;
    u->sent_count = 0;
    if (u->kept_lost) {
        replay_forget(sd, ENOBUFS); /* the cookie alone would restore half of the state */
    }
    if (u->cookie != NULL) {
        uint8_t *message = (uint8_t *)malloc(CONTROL_MAX);
        r = message != NULL
                ? control_write_cookie(true, u->cookie, u->cookie_len, message, CONTROL_MAX)
                : -ENOMEM;
        if (r > 0) {
            r = channel_send(&u->ch, message, (size_t)r, htonl(CONTROL_PPID), 0, 0, false, true);
        }
        free(message);
        u->echoed = r == 0;
    }
    size_t at = 0;
    while (r == 0 && at < u->kept_len) {
        struct kept head;
        memcpy(&head, u->kept + at, sizeof(head));
        r = channel_send(&u->ch, u->kept + at + sizeof(head), head.len, head.ppid, head.stream, 0,
                         false, true);
        at += sizeof(head) + head.len;
        u->sent_count++;
    }
    if (r == 0) {
        r = channel_flush(&u->ch);
    }
    return r == -EAGAIN ? 0 : r;
}

void replay_free(struct user *u)
{
    free(u->cookie);
    u->cookie = NULL;
    drop_kept(u);
}
