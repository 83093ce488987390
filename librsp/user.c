/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A user's session: carries out what the machine wants. Nothing here waits; questions to the daemon
 * go over a connection of the session's own, which exists only while it seeks a server.
 */
#include "librsp/card.h"

#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "wire/report.h"

#define NO_EVENT     MACHINE_EVENTS
#define CARD_WAIT_MS 1000 /* who has a business card waits no longer for the pool */

/* --- the daemon ---------------------------------------------------------------------------------
 */

static void daemon_close(struct sd *sd)
{
    struct user *u = sd->user;
    if (u->daemon_fd >= 0) {
        sd_unwatch(sd, u->daemon_fd);
        (void)close(u->daemon_fd);
        u->daemon_fd = -1;
    }
}

static int daemon_open(struct sd *sd)
{
    struct user *u = sd->user;
    if (u->daemon_fd >= 0) {
        return 0;
    }
    int fd = rpc_open();
    if (fd < 0) {
        return fd;
    }
    int r = sd_watch(sd, fd, EPOLLIN, SD_TAG_DAEMON);
    if (r != 0) {
        (void)close(fd);
        return r;
    }
    u->daemon_fd = fd;
    u->request = 1; /* HELLO's */
    return 0;
}

/** The pool's handle as the elements of that protocol are registered. */
static void put_handle(const struct sd *sd, struct lp_writer *w, enum transport_protocol protocol)
{
    uint8_t handle[SD_HANDLE_MAX + sizeof(TCP_POOL)];
    uint16_t len = sd->handle_len;
    memcpy(handle, sd->handle, len);
    if (sd->protocol == 0 && protocol == TRANSPORT_TCP) {
        memcpy(handle + len, TCP_POOL, sizeof(TCP_POOL) - 1);
        len += sizeof(TCP_POOL) - 1;
    }
    lp_put_handle(w, (struct pool_handle){.octets = handle, .len = len});
}

static void report(struct sd *sd, int error)
{
    struct user *u = sd->user;
    uint8_t octets[2048];
    struct lp_writer w;
    if (u->current.pe_id == 0 || daemon_open(sd) != 0) {
        return;
    }
    lp_begin(&w, octets, sizeof(octets), LP_REPORT, 0);
    put_handle(sd, &w, u->current.protocol);
    lp_put_u32(&w, LP_T_PE_ID, u->current.pe_id);
    lp_put_u32(&w, LP_T_ERRNO, (uint32_t)-error);
    lp_put_address(&w, LP_T_ADDRESS, &u->current.addresses[0]);
    lp_put_u32(&w, LP_T_PORT, u->current.port);
    if (lp_finish(&w) > 0) {
        (void)lp_send(&lp_calls_libc, u->daemon_fd, &w);
    }
}

/** Asks for elements of one protocol; 0 or -errno. */
static int ask(struct sd *sd, enum transport_protocol protocol)
{
    struct user *u = sd->user;
    uint8_t octets[2048];
    struct lp_writer w;
    u->asking = protocol;
    lp_begin(&w, octets, sizeof(octets), LP_RESOLVE, ++u->request);
    put_handle(sd, &w, protocol);
    lp_put_u32(&w, LP_T_PROTOCOL, protocol);
    lp_put_u32(&w, LP_T_COUNT, USER_PICKS);
    lp_put_u32(&w, LP_T_STALE_MS, u->stale_ms);
    if (u->card_count > 0) {
        lp_put_u32(&w, LP_T_TIMEOUT_MS, CARD_WAIT_MS);
    }
    if (sd->domain != 0) {
        lp_put_u32(&w, LP_T_FAMILIES, sd->domain == AF_INET ? LP_FAMILY_V4 : LP_FAMILY_V6);
    }
    if (u->avoid != 0) {
        lp_put_u32(&w, LP_T_AVOID, u->avoid);
    }
    if (lp_finish(&w) < 0) {
        return -ENAMETOOLONG;
    }
    int r = lp_send(&lp_calls_libc, u->daemon_fd, &w);
    return r == -EPIPE ? -ENOTCONN : r;
}

static int resolve(struct sd *sd)
{
    struct user *u = sd->user;
    int r = daemon_open(sd);
    u->first_error = 0;
    if (r != 0) {
        return r;
    }
    if (sd->protocol != 0) {
        return ask(sd, sd->protocol == IPPROTO_SCTP ? TRANSPORT_SCTP : TRANSPORT_TCP);
    }
    return ask(sd, sctp_available() ? TRANSPORT_SCTP : TRANSPORT_TCP);
}

/** Takes elements in the daemon's order. */
static int take_picks(struct sd *sd, const struct lp_message *reply)
{
    struct user *u = sd->user;
    struct lp_each it;
    int count = 0;
    lp_each_init(&it, reply);
    while (lp_next(&it) && count < USER_PICKS) {
        if (it.type == LP_T_PE && lp_read_pe(&it, &u->picks[count])) {
            count++;
        }
    }
    card_sort(sd, count);
    return count;
}

/** The next event of the machine, from an answer of the daemon. */
static enum machine_event answered(struct sd *sd, const struct lp_message *reply, int *ret_value)
{
    struct user *u = sd->user;
    int r = lp_result(reply);
    if (r == 0 && reply->type == LP_RESOLVED) {
        r = take_picks(sd, reply);
        *ret_value = r > 0 ? r : -ECONNREFUSED;
        return r > 0 ? MACHINE_EV_RESOLVED : MACHINE_EV_UNRESOLVED;
    }
    r = r != 0 ? r : -EPROTO;
    if (sd->protocol == 0 && u->asking == TRANSPORT_SCTP) {
        u->first_error = r;
        r = ask(sd, TRANSPORT_TCP);
        if (r == 0) {
            return NO_EVENT;
        }
    }
    /* "Empty" says more than "unknown". */
    if (r == -ENOENT && u->first_error != 0) {
        r = u->first_error;
    }
    *ret_value = r == -EPROTOTYPE ? -ECONNREFUSED : r;
    return MACHINE_EV_UNRESOLVED;
}

static enum machine_event read_answer(struct sd *sd, int *ret_value)
{
    struct user *u = sd->user;
    enum machine_event event = NO_EVENT;
    struct pollfd p = {.fd = u->daemon_fd, .events = POLLIN};
    uint8_t *octets = NULL;
    while (event == NO_EVENT && poll(&p, 1, 0) == 1) {
        struct lp_message reply;
        if (octets == NULL && (octets = (uint8_t *)malloc(LP_MESSAGE_MAX)) == NULL) {
            break;
        }
        int r = lp_receive(&lp_calls_libc, u->daemon_fd, octets, LP_MESSAGE_MAX, &reply, NULL, 0);
        if (r == -ETIMEDOUT) {
            break;
        }
        if (r != 0) {
            daemon_close(sd);
            *ret_value = -ENOTCONN;
            event = MACHINE_EV_UNRESOLVED;
        } else if (reply.request == u->request) {
            event = answered(sd, &reply, ret_value);
        }
    }
    free(octets);
    return event;
}

/** While nothing is asked: late answers are passed over, and a daemon that has gone is left. */
static void pass_over_answers(struct sd *sd)
{
    int value;
    if (sd->user->daemon_fd >= 0) {
        sd->user->request++;
        (void)read_answer(sd, &value);
    }
}

/* --- what the machine wants ---------------------------------------------------------------------
 */

static void cut(struct sd *sd)
{
    struct user *u = sd->user;
    if (u->ch.fd >= 0) {
        sd_drop_channel(sd, &u->ch, true);
    }
    u->watching_out = false;
}

static enum machine_event open_next(struct sd *sd, int *ret_value)
{
    struct user *u = sd->user;
    struct channel_setup setup = sd_setup(sd);
    u->current = u->picks[u->m.at];
    int r = channel_connect(&u->ch, &u->current, &setup);
    if (r == 0) {
        r = sd_watch(sd, u->ch.fd, EPOLLOUT, SD_TAG_DATA);
        if (r != 0) {
            channel_close(&u->ch, true);
        }
    }
    *ret_value = r;
    return r == 0 ? NO_EVENT : MACHINE_EV_REFUSED;
}

static enum machine_event greet(struct sd *sd, int *ret_value)
{
    struct user *u = sd->user;
    u->avoid = 0;
    u->connections++;
    u->since = now_us();
    daemon_close(sd);
    int r = sd_rewatch(sd, u->ch.fd, EPOLLIN, SD_TAG_DATA);
    r = r == 0 ? replay_greet(sd) : r;
    if (r == 0) {
        user_want_out(sd, channel_queued(&u->ch));
    }
    *ret_value = r;
    return r == 0 ? NO_EVENT : MACHINE_EV_LOST;
}

/** Carries actions out; what comes of it at once is the next event. */
static enum machine_event perform(struct sd *sd, unsigned actions, int *ret_value)
{
    struct user *u = sd->user;
    if ((actions & MACHINE_CUT) != 0) {
        cut(sd);
    }
    if ((actions & MACHINE_REPORT) != 0) {
        report(sd, u->m.error);
    }
    if ((actions & MACHINE_NECESSARY) != 0) {
        u->avoid = u->current.pe_id;
        notice_failover(sd, RSERPOOL_FAILOVER_NECESSARY, u->cookie != NULL);
    }
    if ((actions & MACHINE_FORGET) != 0) {
        replay_forget(sd, EPROTO);
    }
    if ((actions & MACHINE_RESOLVE) != 0) {
        u->current.pe_id = 0;
        *ret_value = resolve(sd);
        if (*ret_value != 0) {
            daemon_close(sd);
            return MACHINE_EV_UNRESOLVED;
        }
    }
    if ((actions & MACHINE_OPEN) != 0) {
        return open_next(sd, ret_value);
    }
    enum machine_event next = NO_EVENT;
    if ((actions & MACHINE_GREET) != 0) {
        next = greet(sd, ret_value);
    }
    if ((actions & MACHINE_COMPLETE) != 0 && next == NO_EVENT) {
        notice_failover(sd, RSERPOOL_FAILOVER_COMPLETE, u->cookie != NULL);
    }
    return next;
}

static void arm_timer(struct sd *sd)
{
    struct user *u = sd->user;
    if (tm_is_never(u->m.deadline)) {
        if (u->timer_fd >= 0) {
            sd_unwatch(sd, u->timer_fd);
            (void)close(u->timer_fd);
            u->timer_fd = -1;
        }
        return;
    }
    if (u->timer_fd < 0) {
        u->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
        if (u->timer_fd < 0 || sd_watch(sd, u->timer_fd, EPOLLIN, SD_TAG_TIMER) != 0) {
            return; /* who waits in a call looks at the clock as well */
        }
    }
    struct itimerspec at = {.it_value = {.tv_sec = u->m.deadline.us / 1000000,
                                         .tv_nsec = (u->m.deadline.us % 1000000) * 1000}};
    (void)timerfd_settime(u->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

void user_ready(struct sd *sd)
{
    struct user *u = sd->user;
    sd_ready(sd, sd->notices != NULL || u->pending_error != 0 || u->m.state == MACHINE_ENDED ||
                     u->m.state == MACHINE_FAILED || u->m.state == MACHINE_DOWN ||
                     (u->m.state == MACHINE_ACTIVE && channel_ready(&u->ch)));
}

/** Nobody could be asked for the pool: a business card will do. */
static bool nobody_asked(int error)
{
    return error == -ENOTCONN || error == -EAGAIN || error == -EHOSTUNREACH || error == -ETIMEDOUT;
}

static void feed(struct sd *sd, enum machine_event event, int value)
{
    struct user *u = sd->user;
    if (event == MACHINE_EV_HEARD && u->m.heard) {
        return;
    }
    while (event != NO_EVENT) {
        if (event == MACHINE_EV_UNRESOLVED && nobody_asked(value) && card_picks(sd) > 0) {
            event = MACHINE_EV_RESOLVED;
            value = card_picks(sd);
        }
        unsigned actions = machine_event(&u->m, event, value, now_us());
        event = perform(sd, actions, &value);
    }
    arm_timer(sd);
    user_ready(sd);
}

/* --- what the rest of the library calls ---------------------------------------------------------
 */

void user_work(struct sd *sd)
{
    struct user *u = sd->user;
    int value = 0;
    enum machine_event event;
    for (int turns = 0; turns < 64; turns++) {
        enum machine_state before = u->m.state;
        switch (before) {
        case MACHINE_ACTIVE:
            if (channel_queued(&u->ch)) {
                int r = channel_flush(&u->ch);
                if (r != 0 && r != -EAGAIN) {
                    user_lost(sd, r);
                    break;
                }
                user_want_out(sd, r == -EAGAIN);
            } else if (u->watching_out && channel_has_room(&u->ch)) {
                user_want_out(sd, false); /* who was told EAGAIN has been woken */
            }
            return;
        case MACHINE_RESOLVING:
            event = u->daemon_fd >= 0 ? read_answer(sd, &value) : NO_EVENT;
            if (event != NO_EVENT) {
                feed(sd, event, value);
            }
            break;
        case MACHINE_WAITING:
            pass_over_answers(sd);
            break;
        case MACHINE_CONNECTING:
            pass_over_answers(sd);
            value = channel_connected(&u->ch);
            if (value != 0) {
                feed(sd, value > 0 ? MACHINE_EV_OPENED : MACHINE_EV_REFUSED, value);
            }
            break;
        default:
            break;
        }
        if (u->m.state == before && tm_due(u->m.deadline, now_us())) {
            u->avoid = 0; /* beggars are no choosers */
            feed(sd, before == MACHINE_RESOLVING ? MACHINE_EV_UNRESOLVED : MACHINE_EV_TIMER,
                 before == MACHINE_RESOLVING ? -ETIMEDOUT : 0);
        }
        if (u->m.state == before) {
            return;
        }
    }
}

int user_wait(struct sd *sd, struct tm_us deadline)
{
    struct user *u = sd->user;
    struct pollfd fds[2];
    unsigned count = 0;
    if (u->ch.fd >= 0) {
        fds[count++] = (struct pollfd){.fd = u->ch.fd, .events = POLLOUT};
    }
    if (u->daemon_fd >= 0 && u->m.state == MACHINE_RESOLVING) {
        fds[count++] = (struct pollfd){.fd = u->daemon_fd, .events = POLLIN};
    }
    return sd_wait_fds(sd, fds, count, tm_min(deadline, u->m.deadline)) == -EBADF ? -EBADF
           : tm_due(deadline, now_us())                                           ? -EAGAIN
                                                                                  : 0;
}

struct channel *user_channel(struct sd *sd, int *ret_error)
{
    struct user *u = sd->user;
    switch (u->m.state) {
    case MACHINE_ACTIVE:
        return &u->ch;
    case MACHINE_NEW:
        *ret_error = -ENOTCONN;
        break;
    case MACHINE_DOWN:
        *ret_error = -ECONNRESET;
        break;
    case MACHINE_ENDED:
        *ret_error = -EPIPE;
        break;
    case MACHINE_FAILED:
        *ret_error = u->m.error != 0 ? u->m.error : -ECONNRESET;
        break;
    default:
        *ret_error = -EAGAIN;
        break;
    }
    return NULL;
}

void user_lost(struct sd *sd, int error)
{
    feed(sd, MACHINE_EV_LOST, error);
}

void user_heard(struct sd *sd)
{
    feed(sd, MACHINE_EV_HEARD, 0);
    user_ready(sd);
}

int user_control(struct sd *sd, const struct channel_in *in)
{
    struct user *u = sd->user;
    struct control c;
    int r = control_read(in->control, in->control_len, &c);
    if (r != 0) {
        return r;
    }
    switch (c.kind) {
    case CONTROL_COOKIE:
        r = replay_cookie(sd, c.cookie, c.cookie_len);
        if (r == 0) {
            feed(sd, MACHINE_EV_HEARD, 0);
        }
        break;
    case CONTROL_CARD:
        card_take(sd, &c);
        break;
    case CONTROL_ERROR:
        if (u->echoed && c.cause == CAUSE_INVALID_VALUES) {
            feed(sd, MACHINE_EV_STATE_LOST, 0);
        }
        break;
    case CONTROL_END:
        notice_shutdown(sd, 0);
        feed(sd, MACHINE_EV_END, 0);
        break;
    case CONTROL_COVERS:
        u->ch.acked = c.covers;
        u->ch.acks = true;
        break;
    case CONTROL_COOKIE_ECHO:
    case CONTROL_NOTHING:
        break;
    }
    return r;
}

uint32_t user_pe_id(const struct sd *sd)
{
    return sd->user->m.state == MACHINE_ACTIVE ? sd->user->current.pe_id : 0;
}

unsigned user_connections(const struct sd *sd)
{
    return sd->user->connections;
}

void user_want_out(struct sd *sd, bool on)
{
    struct user *u = sd->user;
    if (on != u->watching_out && u->m.state == MACHINE_ACTIVE) {
        u->watching_out = on;
        (void)sd_rewatch(sd, u->ch.fd, EPOLLIN | (on ? EPOLLOUT : 0), SD_TAG_DATA);
    }
}

void user_free(struct sd *sd)
{
    struct user *u = sd->user;
    cut(sd);
    daemon_close(sd);
    if (u->timer_fd >= 0) {
        (void)close(u->timer_fd);
    }
    replay_free(u);
    free(u->card);
    free(u);
    sd->user = NULL;
}

/** In a child of fork(): the descriptors alone. */
void user_child_close(struct sd *sd)
{
    const int fds[] = {sd->user->ch.fd, sd->user->daemon_fd, sd->user->timer_fd};
    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]);
        }
    }
}

/* --- the program's ------------------------------------------------------------------------------
 */

static int begin(struct sd *sd, const unsigned char *handle, size_t size, unsigned stale_ms)
{
    if (sd->kind == SD_USER) {
        struct user *u = sd->user;
        if (u->m.state != MACHINE_FAILED || u->m.had_server) {
            return -EISCONN;
        }
        user_free(sd);
        sd->kind = SD_NEW;
    }
    if (sd->kind != SD_NEW) {
        return -EINVAL;
    }
    struct user *u = (struct user *)calloc(1, sizeof(*u));
    uint8_t *copy = (uint8_t *)malloc(size);
    if (u == NULL || copy == NULL) {
        free(u);
        free(copy);
        return -ENOMEM;
    }
    memcpy(copy, handle, size);
    free(sd->handle);
    sd->handle = copy;
    sd->handle_len = (uint16_t)size;
    channel_init(&u->ch);
    u->daemon_fd = -1;
    u->timer_fd = -1;
    u->stale_ms = stale_ms;
    machine_init(&u->m);
    sd->user = u;
    sd->kind = SD_USER;
    sd->opt.notifications &= ~(1 << RSERPOOL_SESSION_CHANGE);
    return 0;
}

void user_options(struct sd *sd)
{
    struct machine *m = &sd->user->m;
    m->auto_failover = sd->opt.auto_failover != 0;
    m->attempt_ms = (uint32_t)sd->opt.attempt_ms;
    m->retry_min_ms = (uint32_t)sd->opt.retry_min_ms;
    m->retry_max_ms = (uint32_t)sd->opt.retry_max_ms;
    m->give_up_ms = (uint32_t)sd->opt.give_up_ms;
}

/** Until there is a server, or it is settled that there is none; 0 or -errno. */
static int until_active(struct sd *sd)
{
    bool waits = sd_default_timeout(sd, 0) != 0;
    struct tm_us deadline = tm_add_ms(now_us(), sd->opt.connect_ms);
    for (;;) {
        int error = 0;
        user_work(sd);
        if (user_channel(sd, &error) != NULL) {
            return 0;
        }
        if (error != -EAGAIN || !waits) {
            return error == -EAGAIN ? -EINPROGRESS : error;
        }
        int r = user_wait(sd, deadline);
        if (r != 0) {
            return r == -EAGAIN ? -ETIMEDOUT : r;
        }
    }
}

RSP_PUBLIC int rsp_connect(int fd, const unsigned char *handle, size_t size,
                           unsigned int stale_cache_ms)
{
    if (handle == NULL || size == 0 || size > SD_HANDLE_MAX) {
        return rsp_ret(size > SD_HANDLE_MAX ? -ENAMETOOLONG : -EINVAL);
    }
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = begin(sd, handle, size, stale_cache_ms);
    if (r == 0) {
        user_options(sd);
        feed(sd, MACHINE_EV_CONNECT, 0);
        r = until_active(sd);
        if (r == -ETIMEDOUT && sd->kind == SD_USER && !sd->closed) {
            user_free(sd);
            sd->kind = SD_NEW;
        }
    }
    sd_put(sd);
    return rsp_ret(r);
}

RSP_PUBLIC int rsp_forcefailover(int fd, unsigned int flags, unsigned int stale_cache_ms)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = -ENOTCONN;
    if (sd->kind == SD_USER && sd->user->m.state != MACHINE_NEW) {
        struct user *u = sd->user;
        u->stale_ms = stale_cache_ms;
        if (u->m.state == MACHINE_ACTIVE) {
            u->avoid = u->current.pe_id;
            u->m.error = -ECONNABORTED;
        }
        user_options(sd);
        notice_drop_all(sd);
        feed(sd, MACHINE_EV_FORCE, (flags & FFF_UNREACHABLE) != 0);
        r = until_active(sd);
    }
    sd_put(sd);
    return rsp_ret(r);
}

RSP_PUBLIC int rsp_has_cookie(int fd)
{
    struct sd *sd = sd_get(fd);
    if (sd == NULL) {
        return rsp_ret(-EBADF);
    }
    int r = sd->kind == SD_USER ? sd->user->cookie != NULL : -ENOTCONN;
    sd_put(sd);
    return rsp_ret(r);
}

void user_end(struct sd *sd)
{
    struct user *u = sd->user;
    cut(sd);
    daemon_close(sd);
    u->m.state = MACHINE_ENDED;
    u->m.deadline = TM_NEVER;
    arm_timer(sd);
    user_ready(sd);
}

int user_told(struct sd *sd)
{
    int error = sd->user->pending_error;
    if (error != 0) {
        sd->user->pending_error = 0;
        user_ready(sd);
    }
    return error;
}

/** Something else than data has come; whether it goes on. */
static bool take_control(struct sd *sd, ssize_t n, const struct channel_in *in)
{
    int r = n == 0 && in->kind == CHANNEL_CONTROL ? user_control(sd, in) : (int)n;
    if (r == -EAGAIN) {
        return false;
    }
    if (r != 0 || in->kind == CHANNEL_END) {
        user_lost(sd, r);
    }
    return true;
}

bool user_has_news(struct sd *sd)
{
    const struct user *u = sd->user;
    for (;;) {
        struct channel_in in;
        int error = 0;
        user_work(sd);
        struct channel *ch = user_channel(sd, &error);
        if (sd->notices != NULL || u->pending_error != 0 || (ch == NULL && error != -EAGAIN)) {
            return true;
        }
        if (ch == NULL) {
            return false;
        }
        ssize_t n = channel_look(ch, &in);
        if ((n == 0 && in.kind == CHANNEL_DATA) || !take_control(sd, n, &in)) {
            user_ready(sd);
            return n == 0;
        }
    }
}
