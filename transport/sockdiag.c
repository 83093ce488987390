/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * sock_diag through libnl-3 (transport.md §7.3). A dump uses a socket of its own, so it belongs to
 * the network namespace of the calling thread and may run in any thread.
 */
#include "transport/sockdiag.h"

#include "transport/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netlink/msg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum { STATE_ESTABLISHED = 1, STATE_CLOSE = 7, STATE_CLOSE_WAIT = 8, STATE_LISTEN = 10 };
/* enum sctp_state of the kernel, as sctp_diag reports associations. */
enum { ASSOC_ESTABLISHED = 3, ASSOC_SHUTDOWN_RECEIVED = 6 };

#define WATCH_BUFFER_BYTES 1048576
#define EVENTS_PER_ROUND   64

static_assert(sizeof(struct inet_diag_req_v2) == 56, "transport.md §7.3");
static_assert(offsetof(struct inet_diag_msg, id.idiag_sport) == 4, "the filter below");
static_assert(offsetof(struct inet_diag_msg, id.idiag_dport) == 6, "the filter below");
static_assert(sizeof(struct nlmsghdr) == 16, "the filter below");

struct dump {
    enum transport_protocol protocol;
    uint32_t states; /* wanted, after translation to TCP's numbers */
    diag_fn fn;
    void *ctx;
    bool stopped;
};

static struct ip_address address_of(uint8_t family, const uint32_t *words)
{
    struct ip_address a = {.family = family == AF_INET6 ? IP_V6 : IP_V4};
    memcpy(a.octets, words, family == AF_INET6 ? 16 : 4);
    return ip_address_unmap(a);
}

static void decode(const struct inet_diag_msg *m, enum transport_protocol protocol,
                   struct diag_socket *ret)
{
    *ret = (struct diag_socket){
        .protocol = protocol,
        .local = address_of(m->idiag_family, m->id.idiag_src),
        .local_port = ntohs(m->id.idiag_sport),
        .peer = address_of(m->idiag_family, m->id.idiag_dst),
        .peer_port = ntohs(m->id.idiag_dport),
        .state = m->idiag_state,
        .uid = m->idiag_uid,
        .inode = m->idiag_inode,
        .cookie = (uint64_t)m->id.idiag_cookie[1] << 32 | m->id.idiag_cookie[0],
        .queued = m->idiag_state == STATE_LISTEN ? m->idiag_rqueue : 0,
        .backlog = m->idiag_state == STATE_LISTEN ? m->idiag_wqueue : 0,
    };
    /* An association has SCTP's state numbers, an endpoint (no peer port) TCP's. */
    if (protocol == TRANSPORT_SCTP && m->id.idiag_dport != 0) {
        ret->queued = 0;
        ret->backlog = 0;
        ret->state = m->idiag_state == ASSOC_ESTABLISHED         ? STATE_ESTABLISHED
                     : m->idiag_state == ASSOC_SHUTDOWN_RECEIVED ? STATE_CLOSE_WAIT
                                                                 : 0;
    }
}

static int on_socket(struct nl_msg *msg, void *ctx)
{
    struct dump *d = ctx;
    struct nlmsghdr *header = nlmsg_hdr(msg);
    struct diag_socket s;
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY ||
        !nlmsg_valid_hdr(header, sizeof(struct inet_diag_msg))) {
        return NL_OK;
    }
    decode(nlmsg_data(header), d->protocol, &s);
    if (s.state >= 32 || (d->states & 1u << s.state) == 0) {
        return NL_OK;
    }
    if (!d->fn(d->ctx, &s)) {
        d->stopped = true;
        return NL_STOP;
    }
    return NL_OK;
}

static int ip_protocol(enum transport_protocol protocol)
{
    switch (protocol) {
    case TRANSPORT_TCP:
        return IPPROTO_TCP;
    case TRANSPORT_UDP:
        return IPPROTO_UDP;
    case TRANSPORT_SCTP:
        return IPPROTO_SCTP;
    case TRANSPORT_NONE:
    case TRANSPORT_DCCP:
    case TRANSPORT_UDPLITE:
    case TRANSPORT_OPAQUE:
        break;
    }
    return -EPROTONOSUPPORT;
}

/* Both families, one after the other. `ask` is the kernel's filter, `d->states` ours. */
static int run(struct dump *d, uint32_t ask)
{
    static const uint8_t families[] = {AF_INET, AF_INET6};
    int protocol = ip_protocol(d->protocol);
    if (protocol < 0) {
        return protocol;
    }
    for (size_t i = 0; i < sizeof(families) && !d->stopped; i++) {
        struct inet_diag_req_v2 request = {
            .sdiag_family = families[i],
            .sdiag_protocol = (uint8_t)protocol,
            .idiag_states = ask,
        };
        struct nl_sock *sock;
        int r = netlink_open(NETLINK_SOCK_DIAG, &sock);
        if (r < 0) {
            return r;
        }
        r = netlink_dump(sock, SOCK_DIAG_BY_FAMILY, &request, sizeof(request), on_socket, d);
        nl_socket_free(sock);
        if (r < 0 && r != -ENOENT && r != -EAFNOSUPPORT) {
            return r; /* ENOENT: the module that knows the protocol is not there (T-27) */
        }
    }
    return 0;
}

int diag_listeners(enum transport_protocol protocol, diag_fn fn, void *ctx)
{
    uint32_t states = 1u << (protocol == TRANSPORT_UDP ? STATE_CLOSE : STATE_LISTEN);
    struct dump d = {.protocol = protocol, .states = states, .fn = fn, .ctx = ctx};
    return run(&d, states);
}

int diag_connections(enum transport_protocol protocol, bool closing, diag_fn fn, void *ctx)
{
    uint32_t states = 1u << STATE_ESTABLISHED | (closing ? 1u << STATE_CLOSE_WAIT : 0);
    struct dump d = {.protocol = protocol, .states = states, .fn = fn, .ctx = ctx};
    /* sctp_diag looks only at whether states other than LISTEN and CLOSE are asked for. */
    return run(&d, states);
}

struct diag_watch {
    struct nl_sock *sock;
    struct loop_io *io;
    diag_fn destroyed;
    void (*lost)(void *ctx);
    void *ctx;
    bool *freed; /* set while a callback runs: tells on_events() that the watch is gone */
};

static int on_destroyed(struct nl_msg *msg, void *ctx)
{
    struct diag_watch *w = ctx;
    struct nlmsghdr *header = nlmsg_hdr(msg);
    const struct sockaddr_nl *source = nlmsg_get_src(msg);
    const uint32_t tcp =
        1u << (SKNLGRP_INET_TCP_DESTROY - 1) | 1u << (SKNLGRP_INET6_TCP_DESTROY - 1);
    struct diag_socket s;
    if (header->nlmsg_type != SOCK_DIAG_BY_FAMILY || source->nl_pid != 0 ||
        !nlmsg_valid_hdr(header, sizeof(struct inet_diag_msg))) {
        return NL_OK;
    }
    decode(nlmsg_data(header), (source->nl_groups & tcp) != 0 ? TRANSPORT_TCP : TRANSPORT_UDP, &s);
    bool *freed = w->freed;
    bool on = w->destroyed(w->ctx, &s);
    return *freed || !on ? NL_STOP : NL_OK;
}

static void on_events(void *ctx, int fd, unsigned events)
{
    struct diag_watch *w = ctx;
    bool freed = false;
    (void)fd;
    (void)events;
    w->freed = &freed;
    for (int i = 0; i < EVENTS_PER_ROUND; i++) {
        /* nl_recvmsgs() uses the socket after its callbacks: diag_watch_free() leaves it to us. */
        struct nl_sock *sock = w->sock;
        int r = netlink_errno(nl_recvmsgs_default(sock));
        if (!freed && r == -ENOBUFS) {
            w->lost(w->ctx);
        }
        if (freed) {
            nl_socket_free(sock);
            return;
        }
        if (r < 0 && r != -ENOBUFS && r != -EINTR) {
            break;
        }
    }
    w->freed = NULL;
}

/*
 * A listener or an unconnected UDP socket has no peer port, so connections, which are most of what
 * dies, are dropped before they wake us. Which of the rest matter is decided by cookie.
 */
static int filter(int fd)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 16 + 6), /* idiag_dport */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 0, 3),
        BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 16 + 4), /* idiag_sport */
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
        BPF_STMT(BPF_RET | BPF_K, 0),
    };
    static const struct sock_fprog program = {.len = sizeof(code) / sizeof(code[0]),
                                              .filter = code};
    return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) < 0 ? -errno : 0;
}

static int watch_open(struct diag_watch *w)
{
    int r = netlink_open(NETLINK_SOCK_DIAG, &w->sock);
    if (r < 0) {
        return r;
    }
    nl_socket_disable_seq_check(w->sock);
    (void)nl_socket_set_buffer_size(w->sock, WATCH_BUFFER_BYTES, 0);
    r = netlink_errno(nl_socket_set_nonblocking(w->sock));
    if (r == 0) {
        r = netlink_errno(nl_socket_modify_cb(w->sock, NL_CB_VALID, NL_CB_CUSTOM, on_destroyed, w));
    }
    if (r == 0) {
        r = filter(nl_socket_get_fd(w->sock)); /* before the groups: nothing unfiltered queues up */
    }
    if (r == 0) {
        r = netlink_errno(nl_socket_add_memberships(
            w->sock, SKNLGRP_INET_TCP_DESTROY, SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_TCP_DESTROY,
            SKNLGRP_INET6_UDP_DESTROY, SKNLGRP_NONE));
    }
    return r;
}

int diag_watch_new(struct loop *loop, diag_fn destroyed, void (*lost)(void *ctx), void *ctx,
                   struct diag_watch **ret)
{
    struct diag_watch *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return -ENOMEM;
    }
    w->destroyed = destroyed;
    w->lost = lost;
    w->ctx = ctx;
    int r = watch_open(w);
    if (r == 0) {
        r = loop_io_add(loop, nl_socket_get_fd(w->sock), LOOP_READ, on_events, w, &w->io);
    }
    if (r < 0) {
        diag_watch_free(w);
        return r;
    }
    *ret = w;
    return 0;
}

void diag_watch_free(struct diag_watch *w)
{
    if (w == NULL) {
        return;
    }
    loop_io_free(w->io);
    if (w->freed != NULL) {
        *w->freed = true;
    } else if (w->sock != NULL) {
        nl_socket_free(w->sock);
    }
    free(w);
}
