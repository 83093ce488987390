/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCTP in user space over UDP (RFC 6951): libusrsctp in one thread (transport.md §4.2, recipe B).
 *
 * The stack knows a peer by a pointer; ours is the number of its (address, UDP port) in udp.c's
 * table. Numbers stay registered with the stack: taking them away would wake its iterator thread.
 * One may be given to another peer while a state cookie that names it is on its way: so an
 * association that comes up for a number other than that of the packet just taken in is aborted.
 *
 * Time: the stack has no "next timeout", it must be told how much time has passed. While something
 * is unacknowledged, being opened or ended, or a heartbeat has not been answered, it hears every
 * 10 ms; without associations never (T-12); with idle ones every 120 ms or a quarter of the
 * heartbeat interval, which makes heartbeats up to that much late; a single one when its heartbeat
 * must be over: an interval and 1.5 RTO after it. Before input and output time is brought up to
 * date.
 */
#include "transport/gate.h"
#include "transport/ootb.h"
#include "transport/tp_internal.h"
#include "transport/udp.h"
#include "transport/usrsctp_socket.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <usrsctp.h>

#define FAST_MS              10
#define SLOW_MS              120
#define LINGER_MS            2000 /* the stack buries associations a while after their end */
#define BATCHES_MAX          4
#define ACTIVE_CHECKED       64
#define ACTIVE_CHECKED_INPUT 4   /* … after each input */
#define PER_SECOND           100 /* answers out of the blue, INITs of one host */
#define FINISH_ATTEMPTS      100

static_assert(sizeof(struct sctp_common_header) == 12, "RFC 9260 §3.1");
static_assert(MSG_EOR == 0x80 && SCTP_ASSOC_CHANGE == 1 && SCTP_PEER_ADDR_CHANGE == 2 &&
                  SCTP_SEND_FAILED == 4 && SCTP_SHUTDOWN_EVENT == 5 &&
                  SCTP_SENDER_DRY_EVENT == 10 && SCTP_SEND_FAILED_EVENT == 14,
              "transport.md §4.6");
static_assert(SCTP_COMM_UP == 1 && SCTP_COMM_LOST == 2 && SCTP_RESTART == 3 &&
                  SCTP_SHUTDOWN_COMP == 4 && SCTP_CANT_STR_ASSOC == 5,
              "transport.md §4.6");
static_assert(SCTP_EOF == 0x100 && SCTP_ABORT == 0x200 && SCTP_UNORDERED == 0x400,
              "transport.md §4.6");

/* The library's value of it; its header leaves it to the system's, which differs. */
#define USR_MSG_NOTIFICATION 0x2000

struct stack {
    struct tp *tp; /* NULL: stopped, but the library would not let go of its memory */
    struct udp *udp;
    struct loop_io *io[2];
    struct loop_timer *timer;
    bool running;        /* the stack's clock */
    struct tm_us ticked; /* up to here the stack has been told */
    struct tm_us due;    /* what the timer is set for */
    struct tm_us linger_until;
    struct tp_list active; /* opening, ending, or with unacknowledged data */
    size_t records;
    unsigned unanswered; /* peers with a bit in heartbeat_out */
    uint8_t heartbeat_out[UDP_PEERS_MAX / 8 + 1];
    bool doubt;          /* a heartbeat of an earlier tick is unanswered */
    struct tm_us beaten; /* the last heartbeat of the only association; 0: unknown */
    uint32_t input_peer; /* of the packet being taken in; 0: none */
    unsigned closes;     /* endpoints closed so far: tells that the list has changed */
    struct gate_count ootb;
    struct gate_hosts inits;
    uint8_t message[TP_MESSAGE_MAX];
};

/* The library is one per process, and its output function gets no context. */
static struct stack *the_stack;

static struct socket *sock_of(const struct tp_endpoint *ep)
{
    return ep->backend;
}

static void *conn_of(uint32_t peer)
{
    return (void *)(uintptr_t)peer; /* NOLINT(performance-no-int-to-ptr): an opaque name */
}

static void note_heartbeat(struct stack *s, uint32_t peer, bool out)
{
    uint8_t bit = (uint8_t)(1u << peer % 8);
    uint8_t *octet = &s->heartbeat_out[peer / 8];
    if (out && (*octet & bit) == 0) {
        *octet |= bit;
        s->unanswered++;
    } else if (!out && (*octet & bit) != 0) {
        *octet &= (uint8_t)~bit;
        s->unanswered--;
    }
}

static int output(void *addr, void *octets, size_t len, uint8_t tos, uint8_t set_df)
{
    struct stack *s = the_stack;
    const uint8_t *packet = octets;
    (void)tos;
    (void)set_df;
    if (s == NULL || s->udp == NULL) {
        return EHOSTUNREACH;
    }
    if (len > 12 && packet[12] == SCTP_HEARTBEAT_REQUEST) {
        note_heartbeat(s, (uint32_t)(uintptr_t)addr, true);
        s->beaten = s->records == 1 ? loop_now(s->tp->loop) : (struct tm_us){0};
    }
    /* What UDP does not take now is lost like on the way; SCTP sends it again. */
    (void)udp_send(s->udp, (uint32_t)(uintptr_t)addr, octets, len);
    return 0;
}

/* ---- time ---- */

static void arm(struct stack *s)
{
    const struct tp_config *c = &s->tp->config;
    const int64_t slow_ms = c->heartbeat_ms / 4 < SLOW_MS ? c->heartbeat_ms / 4 : SLOW_MS;
    struct tm_us now = loop_now(s->tp->loop);
    struct tm_us due = TM_NEVER;
    if (s->active.head != NULL || s->doubt) {
        due = tm_add_ms(now, FAST_MS);
    } else if (tm_before(now, s->linger_until)) {
        due = tm_add_ms(now, slow_ms);
    } else if (s->records > 0) {
        struct tm_us beat = tm_add_ms(s->beaten, (int64_t)c->heartbeat_ms + c->rto_min_ms * 3 / 2);
        due = s->beaten.us != 0 && tm_before(now, beat) ? beat : tm_add_ms(now, slow_ms);
    }
    if (!s->running && !tm_is_never(due)) {
        s->running = true;
        s->ticked = now; /* what passed while it stood does not count */
    }
    if (tm_before(due, s->due)) {
        s->due = due;
        (void)loop_timer_set(s->timer, due);
    }
}

/* The stack has just been told the time. */
static void put_off(struct stack *s)
{
    if (!tm_due(s->due, loop_now(s->tp->loop))) {
        s->due = TM_NEVER;
        arm(s);
    }
}

/* Tells the stack the time that has passed. */
static void catch_up(struct stack *s, struct tm_us now)
{
    int64_t ms = s->running ? tm_diff_ms(now, s->ticked) : 0;
    if (ms >= FAST_MS / 2) {
        s->ticked = tm_add_ms(s->ticked, ms);
        usrsctp_handle_timers((uint32_t)(ms < 60000 ? ms : 60000));
    }
}

static void activate(struct tp_assoc *a)
{
    struct stack *s = a->ep->tp->stack;
    if (!a->links[TP_LIST_ACTIVE].in) {
        tp_list_add(&s->active, TP_LIST_ACTIVE, a);
        arm(s);
    }
}

static bool quiet(struct tp_assoc *a)
{
    struct sctp_status status = {.sstat_assoc_id = (sctp_assoc_t)a->id};
    socklen_t len = sizeof(status);
    if (a->state != TP_UP || a->queue != NULL) {
        return false;
    }
    return usrsctp_getsockopt(sock_of(a->ep), IPPROTO_SCTP, SCTP_STATUS, &status, &len) < 0 ||
           (status.sstat_unackdata == 0 && status.sstat_penddata == 0);
}

static void deactivate_quiet(struct stack *s, int limit)
{
    for (int i = 0; i < limit && s->active.head != NULL; i++) {
        struct tp_assoc *a = s->active.head;
        tp_list_remove(&s->active, TP_LIST_ACTIVE, a);
        if (!quiet(a)) {
            tp_list_add(&s->active, TP_LIST_ACTIVE, a); /* to the end: all get their turn */
        }
    }
}

/* ---- opening ---- */

static int usr_open(struct tp_endpoint *ep, const struct ip_address *addresses, size_t count,
                    uint16_t port)
{
    (void)addresses; /* what we are reached at is the UDP socket's matter */
    (void)count;
    struct socket *sock = NULL;
    ep->port = port;
    int r = usr_socket_new(&ep->tp->config, &ep->port, &sock);
    ep->backend = sock;
    return r;
}

static void usr_close(struct tp_endpoint *ep)
{
    struct stack *s = ep->tp->stack;
    usrsctp_close(sock_of(ep));
    ep->backend = NULL;
    s->closes++;
}

static uint32_t peer_for(struct stack *s, const struct udp_name *name)
{
    bool fresh = false;
    uint32_t peer = udp_peer_get(s->udp, name, &fresh);
    if (peer != 0 && fresh) {
        usrsctp_register_address(conn_of(peer));
    }
    return peer;
}

static void hold_peer(struct tp_assoc *a, uint32_t peer)
{
    struct stack *s = a->ep->tp->stack;
    udp_peer_pin(s->udp, peer);
    a->peer_key = peer;
    s->records++;
    s->beaten = (struct tm_us){0};
}

static void drop_peer(struct tp_assoc *a)
{
    struct stack *s = a->ep->tp->stack;
    if (a->peer_key != 0) {
        udp_peer_unpin(s->udp, a->peer_key);
        note_heartbeat(s, a->peer_key, false);
        a->peer_key = 0;
        s->records--;
        s->beaten = (struct tm_us){0};
        s->linger_until = tm_add_ms(loop_now(s->tp->loop), LINGER_MS);
    }
}

static void usr_gone(struct tp_assoc *a)
{
    struct stack *s = a->ep->tp->stack;
    tp_list_remove(&s->active, TP_LIST_ACTIVE, a);
    drop_peer(a);
    arm(s);
}

static int connect_one(struct tp_assoc *a, const struct ip_address *address)
{
    struct stack *s = a->ep->tp->stack;
    struct udp_name name = {.address = ip_address_unmap(*address), .port = s->tp->config.udp_port};
    struct sockaddr_conn at = {.sconn_family = AF_CONN, .sconn_port = htons(a->port)};
    uint32_t peer = peer_for(s, &name);
    if (peer == 0) {
        return -ENOBUFS;
    }
    at.sconn_addr = conn_of(peer);
    if (usrsctp_connect(sock_of(a->ep), (struct sockaddr *)&at, sizeof(at)) < 0 &&
        errno != EINPROGRESS) {
        return errno == EALREADY ? -EISCONN : -errno;
    }
    sctp_assoc_t id = usrsctp_getassocid(sock_of(a->ep), (struct sockaddr *)&at);
    int r = id != 0 ? tp_assoc_identify(a, (int64_t)id) : -ECONNREFUSED;
    if (r == 0) {
        drop_peer(a);
        hold_peer(a, peer);
        activate(a);
    }
    return r;
}

/* The next address of the list that lets itself be tried at all. */
static int connect_next(struct tp_assoc *a)
{
    int r = -EHOSTUNREACH;
    while (a->list_next < a->list_count) {
        r = connect_one(a, &a->list[a->list_next++]);
        if (r == 0 || r == -EISCONN) {
            break;
        }
    }
    return r;
}

static int usr_connect(struct tp_assoc *a, const struct ip_address *peers, size_t count,
                       uint16_t port)
{
    struct stack *s = a->ep->tp->stack;
    a->list = calloc(count, sizeof(*a->list));
    if (a->list == NULL) {
        return -ENOMEM;
    }
    memcpy(a->list, peers, count * sizeof(*a->list));
    a->list_count = count;
    a->port = port;
    catch_up(s, loop_now(s->tp->loop));
    return connect_next(a);
}

/* ---- sending ---- */

static int usr_send(struct tp_assoc *a, uint32_t ppid, const void *octets, size_t len)
{
    struct stack *s = a->ep->tp->stack;
    struct sctp_sndinfo info = {.snd_ppid = htonl(ppid), .snd_assoc_id = (sctp_assoc_t)a->id};
    catch_up(s, loop_now(s->tp->loop));
    if (usrsctp_sendv(sock_of(a->ep), octets, len, NULL, 0, &info, sizeof(info), SCTP_SENDV_SNDINFO,
                      0) >= 0) {
        activate(a);
        return 0;
    }
    switch (errno) {
    case EWOULDBLOCK:
    case ENOBUFS:
    case ENOMEM:
        activate(a);
        return -EAGAIN;
    case EMSGSIZE:
        return -EMSGSIZE;
    default:
        return -ENOTCONN;
    }
}

static int usr_end(struct tp_assoc *a, bool abort)
{
    static const uint8_t nothing; /* the length is 0, but NULL would be EFAULT */
    struct stack *s = a->ep->tp->stack;
    struct sctp_sndinfo info = {.snd_flags = abort ? SCTP_ABORT : SCTP_EOF,
                                .snd_assoc_id = (sctp_assoc_t)a->id};
    catch_up(s, loop_now(s->tp->loop));
    if (usrsctp_sendv(sock_of(a->ep), &nothing, 0, NULL, 0, &info, sizeof(info), SCTP_SENDV_SNDINFO,
                      0) < 0) {
        return -errno;
    }
    activate(a); /* its last event is fetched by the next tick at the latest */
    return 0;
}

static int usr_path(struct tp_assoc *a, struct tp_path *ret)
{
    const struct stack *s = a->ep->tp->stack;
    ret->encapsulated = true;
    ret->source = a->peer_key != 0 ? udp_peer_name(s->udp, a->peer_key)->local : ret->source;
    return 0;
}

static int usr_srtt(struct tp_assoc *a, uint32_t *ret)
{
    return usr_socket_srtt(sock_of(a->ep), (sctp_assoc_t)a->id, ret);
}

static void usr_want_flush(struct tp_endpoint *ep, bool on)
{
    (void)ep; /* after each input and tick we flush anyway */
    (void)on;
}

/* ---- receiving ---- */

static void on_assoc_up(struct tp_endpoint *ep, sctp_assoc_t id, const struct sockaddr_conn *from)
{
    struct stack *s = ep->tp->stack;
    uint32_t peer = (uint32_t)(uintptr_t)from->sconn_addr;
    const struct udp_name *name = udp_peer_name(s->udp, peer);
    struct tp_assoc *a = tp_assoc_by_id(ep, (int64_t)id);
    if (name == NULL || (a == NULL && peer != s->input_peer)) {
        struct sctp_sndinfo info = {.snd_flags = SCTP_ABORT, .snd_assoc_id = id};
        static const uint8_t nothing;
        s->tp->stats.refused++;
        (void)usrsctp_sendv(sock_of(ep), &nothing, 0, NULL, 0, &info, sizeof(info),
                            SCTP_SENDV_SNDINFO, 0);
        return;
    }
    struct ip_address address = name->address;
    tp_on_up(ep, (int64_t)id, &address, 1, ntohs(from->sconn_port));
    if (ep->closed || a != NULL) {
        return;
    }
    a = tp_assoc_by_id(ep, (int64_t)id);
    if (a != NULL && a->peer_key == 0) {
        hold_peer(a, peer);
        arm(s);
    }
}

static void on_assoc_change(struct tp_endpoint *ep, const struct sctp_assoc_change *change,
                            const struct sockaddr_conn *from)
{
    struct tp_assoc *a = tp_assoc_by_id(ep, (int64_t)change->sac_assoc_id);
    int64_t id = (int64_t)change->sac_assoc_id;
    switch (change->sac_state) {
    case SCTP_COMM_UP:
        on_assoc_up(ep, change->sac_assoc_id, from);
        break;
    case SCTP_RESTART:
        /* Another life of the peer: what we knew of it is void. */
        tp_on_down(ep, id, TP_DOWN_LOST);
        if (!ep->closed) {
            struct stack *s = ep->tp->stack;
            s->input_peer = (uint32_t)(uintptr_t)from->sconn_addr;
            on_assoc_up(ep, change->sac_assoc_id, from);
        }
        break;
    case SCTP_COMM_LOST:
    case SCTP_CANT_STR_ASSOC:
        if (a == NULL || a->state != TP_OPENING || connect_next(a) < 0) {
            tp_on_down(ep, id, TP_DOWN_LOST);
        }
        break;
    case SCTP_SHUTDOWN_COMP:
        tp_on_down(ep, id, TP_DOWN_SHUTDOWN);
        break;
    default:
        break;
    }
}

static void on_notification(struct tp_endpoint *ep, const uint8_t *octets, size_t len,
                            const struct sockaddr_conn *from)
{
    struct sctp_tlv head;
    if (len < sizeof(head)) {
        return;
    }
    memcpy(&head, octets, sizeof(head));
    if (head.sn_type == SCTP_ASSOC_CHANGE) {
        struct sctp_assoc_change change;
        if (len >= sizeof(change)) {
            memcpy(&change, octets, sizeof(change));
            on_assoc_change(ep, &change, from);
        }
    } else if (head.sn_type == SCTP_SEND_FAILED_EVENT) {
        struct sctp_send_failed_event failed;
        if (len >= sizeof(failed)) {
            memcpy(&failed, octets, sizeof(failed));
            tp_on_send_failed(ep, (int64_t)failed.ssfe_assoc_id);
        }
    } else if (head.sn_type == SCTP_PARTIAL_DELIVERY_EVENT) {
        struct sctp_pdapi_event part;
        if (len >= sizeof(part)) {
            memcpy(&part, octets, sizeof(part));
            tp_on_part_aborted(ep, (int64_t)part.pdapi_assoc_id);
        }
    }
}

/* Takes what the stack has for the endpoint; true when there may be more. */
static bool drain_one(struct tp_endpoint *ep, unsigned limit)
{
    struct stack *s = ep->tp->stack;
    bool notification_cut = false;
    for (unsigned i = 0; i < limit; i++) {
        struct sockaddr_conn from = {0};
        struct sctp_rcvinfo info = {0};
        socklen_t from_len = sizeof(from);
        socklen_t info_len = sizeof(info);
        unsigned type = SCTP_RECVV_NOINFO;
        int flags = 0;
        ssize_t n =
            usrsctp_recvv(sock_of(ep), s->message, sizeof(s->message), (struct sockaddr *)&from,
                          &from_len, &info, &info_len, &type, &flags);
        if (n < 0) {
            return false;
        }
        if ((flags & USR_MSG_NOTIFICATION) != 0) {
            if (!notification_cut) {
                on_notification(ep, s->message, (size_t)n, &from);
            }
            notification_cut = (flags & MSG_EOR) == 0; /* its beginning is all we need */
        } else if (type == SCTP_RECVV_RCVINFO) {
            tp_on_message(ep, (int64_t)info.rcv_assoc_id, ntohl(info.rcv_ppid), s->message,
                          (size_t)n, (flags & MSG_EOR) != 0);
        } else if (n == 0) {
            return false;
        }
        if (ep->closed) {
            return false;
        }
    }
    return true;
}

static void drain(struct stack *s, unsigned limit)
{
    struct tp_endpoint *ep = s->tp->endpoints;
    while (ep != NULL) {
        unsigned closes = s->closes;
        tp_pin(ep);
        bool more = drain_one(ep, limit);
        if (!ep->closed && ep->blocked.head != NULL) {
            (void)tp_flush(ep);
        }
        struct tp_endpoint *next = ep->next;
        tp_unpin(ep);
        if (more) { /* the others' turn; the rest with the very next round */
            s->due = loop_now(s->tp->loop);
            (void)loop_timer_set(s->timer, s->due);
        }
        ep = s->closes == closes ? next : s->tp->endpoints;
    }
}

static void on_tick(void *ctx, struct tm_us now)
{
    struct stack *s = ctx;
    s->doubt = s->unanswered > 0;
    catch_up(s, now);
    s->due = TM_NEVER;
    drain(s, TP_ROUND_MAX);
    deactivate_quiet(s, ACTIVE_CHECKED);
    arm(s);
    s->running = !tm_is_never(s->due);
}

/* ---- packets ---- */

/*
 * A peer we know nothing of speaks as if we had an association: we have been restarted. Tell it at
 * once, without keeping anything, so that it need not wait for its timers.
 */
static void answer_ootb(struct stack *s, const struct udp_datagram *d)
{
    uint8_t reply[OOTB_REPLY_BYTES];
    if (!gate_count(&s->ootb, PER_SECOND, loop_now(s->tp->loop)) ||
        !ootb_reply(d->octets, d->len, reply)) {
        s->tp->stats.malformed++;
        return;
    }
    (void)udp_send_to(s->udp, &d->from, reply, sizeof(reply));
}

static void on_packet(struct stack *s, const struct udp_datagram *d)
{
    if (d->len < 16 || memcmp(d->octets, "\0\0\0", 4) == 0) {
        s->tp->stats.malformed++;
        return;
    }
    uint8_t first = d->octets[12];
    if (first == SCTP_INITIATION &&
        !gate_hosts(&s->inits, &d->from.address, PER_SECOND, loop_now(s->tp->loop))) {
        s->tp->stats.refused++; /* before anything is computed for it */
        return;
    }
    uint32_t peer = udp_peer_find(s->udp, &d->from);
    if (peer == 0) {
        if (first != SCTP_INITIATION && first != SCTP_COOKIE_ECHO) {
            answer_ootb(s, d);
            return;
        }
        peer = peer_for(s, &d->from);
        if (peer == 0) {
            s->tp->stats.refused++;
            return;
        }
    }
    if (first == SCTP_HEARTBEAT_ACK) {
        note_heartbeat(s, peer, false);
    }
    usrsctp_conninput(conn_of(peer), d->octets, d->len, 0);
    if (first == SCTP_COOKIE_ECHO) {
        s->input_peer = peer;
        drain(s, UINT_MAX); /* now and all, while it is known who sent the cookie */
        s->input_peer = 0;
    }
}

static void on_udp(void *ctx, int fd, unsigned events)
{
    struct stack *s = ctx;
    (void)events;
    catch_up(s, loop_now(s->tp->loop));
    for (int i = 0; i < BATCHES_MAX; i++) {
        struct udp_datagram batch[UDP_BATCH];
        int n = udp_receive(s->udp, fd, batch);
        for (int k = 0; k < n; k++) {
            on_packet(s, &batch[k]);
        }
        if (n > 0) {
            drain(s, TP_ROUND_MAX);
        }
        if (n < UDP_BATCH) {
            break;
        }
    }
    deactivate_quiet(s, ACTIVE_CHECKED_INPUT);
    put_off(s);
}

/* ---- the stack as a whole ---- */

static void library_start(void)
{
    usrsctp_init_nothreads(0, output, NULL);
    /* Nothing of these is of use above one UDP address, and some could wake the iterator. */
    (void)usrsctp_sysctl_set_sctp_auto_asconf(0);
    (void)usrsctp_sysctl_set_sctp_asconf_enable(0);
    (void)usrsctp_sysctl_set_sctp_auth_enable(0);
    (void)usrsctp_sysctl_set_sctp_ecn_enable(0);
    (void)usrsctp_sysctl_set_sctp_pktdrop_enable(0);
    (void)usrsctp_sysctl_set_sctp_nrsack_enable(0);
    (void)usrsctp_sysctl_set_sctp_reconfig_enable(0);
}

static int stack_open(struct stack *s, char *error, size_t error_size)
{
    const struct tp_config *c = &s->tp->config;
    int r = udp_new(&c->bind, c->udp_port, &s->udp);
    if (r < 0) {
        char text[IP_ADDRESS_TEXT_MAX];
        (void)snprintf(error, error_size, "UDP port %u of %s for userland SCTP: %s", c->udp_port,
                       c->bind.family != IP_NONE ? ip_address_format(&c->bind, text, sizeof(text))
                                                 : "this host",
                       strerror(-r));
        return r;
    }
    for (unsigned i = 0; r == 0 && i < 2; i++) {
        int fd = udp_fd(s->udp, i);
        r = fd < 0 ? 0 : loop_io_add(s->tp->loop, fd, LOOP_READ, on_udp, s, &s->io[i]);
    }
    return r < 0 ? r : loop_timer_add(s->tp->loop, 1000, on_tick, s, &s->timer);
}

static void stack_close(struct stack *s)
{
    loop_io_free(s->io[0]);
    loop_io_free(s->io[1]);
    loop_timer_free(s->timer);
    udp_free(s->udp);
    s->io[0] = s->io[1] = NULL;
    s->timer = NULL;
    s->udp = NULL;
    s->tp = NULL;
}

static int usr_start(struct tp *tp, char *error, size_t error_size)
{
    struct stack *s = the_stack; /* left behind by a stop that the library did not finish */
    if (s != NULL && s->tp != NULL) {
        (void)snprintf(error, error_size, "userland SCTP is in use already in this process");
        return -EBUSY;
    }
    bool running = s != NULL;
    if (!running) {
        s = calloc(1, sizeof(*s));
        if (s == NULL) {
            return -ENOMEM;
        }
    }
    s->tp = tp;
    s->due = TM_NEVER;
    s->running = false;
    s->active = (struct tp_list){0};
    int r = stack_open(s, error, error_size);
    if (r < 0) {
        stack_close(s);
        if (!running) {
            free(s);
        }
        return r;
    }
    tp->stack = s;
    the_stack = s;
    if (!running) {
        library_start();
    }
    return 0;
}

/* All endpoints are closed: their ABORTs are out, and what is left are the library's own timers. */
static void usr_stop(struct tp *tp)
{
    struct stack *s = tp->stack;
    int r = -1;
    for (int i = 0; r < 0 && i < FINISH_ATTEMPTS; i++) {
        usrsctp_handle_timers(100);
        r = usrsctp_finish();
    }
    stack_close(s);
    if (r == 0) {
        the_stack = NULL;
        free(s);
    }
}

const struct tp_ops tp_usrsctp_ops = {
    .start = usr_start,
    .stop = usr_stop,
    .open = usr_open,
    .close = usr_close,
    .connect = usr_connect,
    .send = usr_send,
    .end = usr_end,
    .want_flush = usr_want_flush,
    .path = usr_path,
    .srtt = usr_srtt,
    .gone = usr_gone,
};
