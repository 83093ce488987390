/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * SCTP of the kernel through libsctp: one one-to-many socket per endpoint, non-blocking
 * (transport.md §2). The send buffer of such a socket is shared by its associations: one whose
 * peer has closed its window can fill it for all. When nothing has moved for a while, the
 * association with the most unacknowledged data is aborted.
 */
#include "transport/tp_internal.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SEND_BUFFER_BYTES    4194304
#define RECEIVE_BUFFER_BYTES 1048576
#define RETRY_MS             20   /* Linux may say "writable" and still answer EAGAIN (§2.2) */
#define STALL_MS             5000 /* well beyond the loss of a peer that is gone */

static_assert(sizeof(struct sctp_udpencaps) == 144 &&
                  offsetof(struct sctp_udpencaps, sue_address) == 8 &&
                  offsetof(struct sctp_udpencaps, sue_port) == 136,
              "transport.md §3");
static_assert(SCTP_REMOTE_UDP_ENCAPS_PORT == 132 && SCTP_REUSE_PORT == 36, "transport.md §3");
static_assert(sizeof(struct sctp_paddrparams) == 156 && sizeof(struct sctp_assocparams) == 20 &&
                  sizeof(struct sctp_rtoinfo) == 16,
              "transport.md §2.6");
static_assert(MSG_NOTIFICATION == 0x8000 && MSG_EOR == 0x80 && SCTP_ASSOC_CHANGE == 0x8001 &&
                  SCTP_SENDER_DRY_EVENT == 0x8009 && SCTP_SEND_FAILED_EVENT == 0x800d,
              "transport.md §4.6");
static_assert(SCTP_COMM_UP == 0 && SCTP_COMM_LOST == 1 && SCTP_RESTART == 2 &&
                  SCTP_SHUTDOWN_COMP == 3 && SCTP_CANT_STR_ASSOC == 4,
              "transport.md §4.6");
static_assert(SCTP_EOF == 0x200 && SCTP_ABORT == 4 && SCTP_UNORDERED == 1, "transport.md §4.6");
static_assert(SCTP_NODELAY == 3 && SCTP_RTOINFO == 0 && SCTP_ASSOCINFO == 1 && SCTP_EVENT == 127 &&
                  SCTP_RECVRCVINFO == 32,
              "transport.md §4.6");

union any_address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

struct endpoint {
    int fd;
    int family;
    bool want_write;
    struct loop_io *io;
    struct loop_timer *retry;
    struct tm_us progress; /* when the queues last moved */
};

static struct endpoint *of(const struct tp_endpoint *ep)
{
    return ep->backend;
}

bool tp_kernel_available(void)
{
    int fd = socket(AF_INET, SOCK_SEQPACKET | SOCK_CLOEXEC, IPPROTO_SCTP);
    if (fd < 0) {
        return false;
    }
    (void)close(fd);
    return true;
}

/* What one system call brings. Room for long messages costs nothing until one comes. */
#define BATCH 16

struct batch {
    struct mmsghdr heads[BATCH];
    struct iovec iov[BATCH];
    _Alignas(struct cmsghdr) uint8_t control[BATCH][CMSG_SPACE(sizeof(struct sctp_rcvinfo))];
    uint8_t octets[BATCH][TP_MESSAGE_MAX];
};

/* tp->stack: the messages being taken in; not an endpoint's, which a callback may close while it
 * reads them. */
static int kernel_start(struct tp *tp, char *error, size_t error_size)
{
    if (!tp_kernel_available()) {
        (void)snprintf(error, error_size, "this kernel has no SCTP");
        return -EPROTONOSUPPORT;
    }
    tp->stack = malloc(sizeof(struct batch));
    return tp->stack != NULL ? 0 : -ENOMEM;
}

static void kernel_stop(struct tp *tp)
{
    free(tp->stack);
}

/* ---- addresses ---- */

/* Packed sockaddrs of their true size, as the socket calls want them (T-7). */
static size_t pack(const struct ip_address *addresses, size_t count, uint16_t port, int family,
                   uint8_t *ret, size_t *ret_count)
{
    size_t used = 0;
    *ret_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct ip_address a = ip_address_unmap(addresses[i]);
        if (a.family == IP_V4) {
            struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(port)};
            memcpy(&in.sin_addr, a.octets, 4);
            memcpy(ret + used, &in, sizeof(in));
            used += sizeof(in);
        } else if (a.family == IP_V6 && family == AF_INET6) {
            struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
            memcpy(&in6.sin6_addr, a.octets, 16);
            memcpy(ret + used, &in6, sizeof(in6));
            used += sizeof(in6);
        } else {
            continue;
        }
        ++*ret_count;
    }
    return used;
}

/* The packed list of sctp_getpaddrs(); returns how many fitted. */
static size_t unpack(const struct sockaddr *packed, int count, struct ip_address *ret, size_t max,
                     uint16_t *ret_port)
{
    const uint8_t *p = (const uint8_t *)packed;
    size_t n = 0;
    for (int i = 0; i < count && n < max; i++) {
        union any_address a;
        memcpy(&a.sa, p, sizeof(a.sa));
        ret[n] = (struct ip_address){0};
        if (a.sa.sa_family == AF_INET) {
            memcpy(&a.in, p, sizeof(a.in));
            ret[n].family = IP_V4;
            memcpy(ret[n].octets, &a.in.sin_addr, 4);
            *ret_port = ntohs(a.in.sin_port);
            p += sizeof(a.in);
        } else if (a.sa.sa_family == AF_INET6) {
            memcpy(&a.in6, p, sizeof(a.in6));
            ret[n].family = IP_V6;
            memcpy(ret[n].octets, &a.in6.sin6_addr, 16);
            ret[n] = ip_address_unmap(ret[n]);
            *ret_port = ntohs(a.in6.sin6_port);
            p += sizeof(a.in6);
        } else {
            break;
        }
        n++;
    }
    return n;
}

/* ---- opening ---- */

static int set(int fd, int option, const void *value, socklen_t len)
{
    return setsockopt(fd, IPPROTO_SCTP, option, value, len) < 0 ? -errno : 0;
}

static int set_events(int fd)
{
    static const uint16_t types[] = {SCTP_ASSOC_CHANGE, SCTP_PARTIAL_DELIVERY_EVENT,
                                     SCTP_SEND_FAILED_EVENT};
    int r = 0;
    for (size_t i = 0; r == 0 && i < sizeof(types) / sizeof(types[0]); i++) {
        struct sctp_event event = {
            .se_assoc_id = SCTP_FUTURE_ASSOC, .se_type = types[i], .se_on = 1};
        r = set(fd, SCTP_EVENT, &event, sizeof(event));
    }
    return r;
}

static int set_timing(int fd, const struct tp_config *c)
{
    const struct sctp_sack_info sack = {.sack_delay = 0, .sack_freq = 1};
    const struct sctp_initmsg init = {.sinit_num_ostreams = 2,
                                      .sinit_max_instreams = 2,
                                      .sinit_max_attempts = (uint16_t)c->max_init_retrans,
                                      .sinit_max_init_timeo = (uint16_t)c->max_init_timeout_ms};
    const struct sctp_rtoinfo rto = {
        .srto_initial = c->rto_initial_ms, .srto_min = c->rto_min_ms, .srto_max = c->rto_max_ms};
    const struct sctp_assocparams assoc = {.sasoc_asocmaxrxt = (uint16_t)c->assoc_max_retrans};
    const struct sctp_paddrparams path = {.spp_hbinterval = c->heartbeat_ms,
                                          .spp_flags = SPP_HB_ENABLE,
                                          .spp_pathmaxrxt = (uint16_t)c->path_max_retrans};
    int r = set(fd, SCTP_DELAYED_SACK, &sack, sizeof(sack));
    r = r < 0 ? r : set(fd, SCTP_INITMSG, &init, sizeof(init));
    r = r < 0 ? r : set(fd, SCTP_RTOINFO, &rto, sizeof(rto));
    r = r < 0 ? r : set(fd, SCTP_ASSOCINFO, &assoc, sizeof(assoc));
    return r < 0 ? r : set(fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
}

static int set_encapsulation(int fd, int family, uint16_t udp_port)
{
    struct sctp_udpencaps encaps = {.sue_port = htons(udp_port)};
    encaps.sue_address.ss_family = (sa_family_t)family;
    return set(fd, SCTP_REMOTE_UDP_ENCAPS_PORT, &encaps, sizeof(encaps));
}

static int set_options(int fd, int family, const struct tp_config *c)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0}; /* close() means ABORT */
    const int on = 1;
    const int off = 0;
    const int send_bytes = SEND_BUFFER_BYTES;
    const int receive_bytes = RECEIVE_BUFFER_BYTES;
    /* As far as the host's limits go; the forced form needs CAP_NET_ADMIN. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &send_bytes, sizeof(send_bytes)) < 0) {
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &send_bytes, sizeof(send_bytes));
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof(receive_bytes));
    /* Old associations of a process before us may still hold the port. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)) < 0) {
        return -errno;
    }
    if (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off)) < 0) {
        return -errno;
    }
    int r = set(fd, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof(off));
    r = r < 0 ? r : set(fd, SCTP_RECVRCVINFO, &on, sizeof(on));
    r = r < 0 ? r : set(fd, SCTP_NODELAY, &on, sizeof(on));
    r = r < 0 ? r : set(fd, SCTP_FRAGMENT_INTERLEAVE, &on, sizeof(on));
    const uint32_t partial = TP_MESSAGE_MAX;
    (void)set(fd, SCTP_PARTIAL_DELIVERY_POINT, &partial, sizeof(partial)); /* ≤ SO_RCVBUF / 2 */
    r = r < 0 ? r : set_timing(fd, c);
    if (r == 0 && c->encapsulate) {
        r = set_encapsulation(fd, family, c->udp_port);
    }
    return r < 0 ? r : set_events(fd);
}

static int bind_any(int fd, int family, uint16_t port)
{
    union any_address any = {0};
    socklen_t len = family == AF_INET6 ? sizeof(any.in6) : sizeof(any.in);
    if (family == AF_INET6) {
        any.in6.sin6_family = AF_INET6;
        any.in6.sin6_port = htons(port);
    } else {
        any.in.sin_family = AF_INET;
        any.in.sin_port = htons(port);
    }
    return bind(fd, &any.sa, len) < 0 ? -errno : 0;
}

static int bind_all(int fd, int family, const struct ip_address *addresses, size_t count,
                    uint16_t port)
{
    size_t packed_count;
    if (count == 0) {
        return bind_any(fd, family, port);
    }
    const size_t each = sizeof(struct sockaddr_in6);
    uint8_t *packed = calloc(count, each);
    if (packed == NULL) {
        return -ENOMEM;
    }
    int r = -EADDRNOTAVAIL;
    (void)pack(addresses, count, port, family, packed, &packed_count);
    if (packed_count > 0) {
        void *list = packed;
        r = sctp_bindx(fd, list, (int)packed_count, SCTP_BINDX_ADD_ADDR) < 0 ? -errno : 0;
    }
    free(packed);
    return r;
}

static int learn_port(int fd, uint16_t *ret)
{
    union any_address at = {0};
    socklen_t len = sizeof(at);
    if (getsockname(fd, &at.sa, &len) < 0) {
        return -errno;
    }
    *ret = ntohs(at.sa.sa_family == AF_INET6 ? at.in6.sin6_port : at.in.sin_port);
    return 0;
}

static void on_socket(void *ctx, int fd, unsigned events);
static void on_retry(void *ctx, struct tm_us now);

static int socket_new(const struct tp_config *c, const struct ip_address *addresses, size_t count,
                      uint16_t port, int *ret_family)
{
    const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK;
    *ret_family = AF_INET6;
    int fd = socket(AF_INET6, type, IPPROTO_SCTP);
    if (fd < 0) {
        *ret_family = AF_INET; /* a host without IPv6 */
        fd = socket(AF_INET, type, IPPROTO_SCTP);
    }
    if (fd < 0) {
        return -errno;
    }
    int r = set_options(fd, *ret_family, c);
    r = r < 0 ? r : bind_all(fd, *ret_family, addresses, count, port);
    if (r == 0 && listen(fd, 128) < 0) {
        r = -errno;
    }
    if (r < 0) {
        (void)close(fd);
        return r;
    }
    return fd;
}

static void backend_free(struct endpoint *e)
{
    loop_io_free(e->io);
    loop_timer_free(e->retry);
    if (e->fd >= 0) {
        (void)close(e->fd);
    }
    free(e);
}

static int kernel_open(struct tp_endpoint *ep, const struct ip_address *addresses, size_t count,
                       uint16_t port)
{
    struct loop *loop = ep->tp->loop;
    struct endpoint *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return -ENOMEM;
    }
    e->fd = socket_new(&ep->tp->config, addresses, count, port, &e->family);
    int r = e->fd < 0 ? e->fd : learn_port(e->fd, &ep->port);
    r = r < 0 ? r : loop_io_add(loop, e->fd, LOOP_READ, on_socket, ep, &e->io);
    r = r < 0 ? r : loop_timer_add(loop, 10000, on_retry, ep, &e->retry);
    if (r < 0) {
        backend_free(e);
        return r;
    }
    ep->backend = e;
    return 0;
}

static void kernel_close(struct tp_endpoint *ep)
{
    backend_free(of(ep));
    ep->backend = NULL;
}

static int kernel_connect(struct tp_assoc *a, const struct ip_address *peers, size_t count,
                          uint16_t port)
{
    struct endpoint *e = of(a->ep);
    uint8_t packed[TP_PEERS_MAX * sizeof(struct sockaddr_in6)];
    size_t packed_count;
    sctp_assoc_t id = 0;
    (void)pack(peers, count, port, e->family, packed, &packed_count);
    if (packed_count == 0) {
        return -EAFNOSUPPORT;
    }
    void *list = packed;
    if (sctp_connectx(e->fd, list, (int)packed_count, &id) < 0 && errno != EINPROGRESS) {
        return errno == EALREADY ? -EISCONN : -errno;
    }
    return id != 0 ? tp_assoc_identify(a, id) : -EISCONN;
}

/* ---- sending ---- */

static ssize_t transmit(const struct tp_assoc *a, uint32_t ppid, uint16_t flags, const void *octets,
                        size_t len)
{
    union {
        struct cmsghdr header;
        uint8_t octets[CMSG_SPACE(sizeof(struct sctp_sndinfo))];
    } control = {0};
    struct sctp_sndinfo info = {
        .snd_flags = flags, .snd_ppid = htonl(ppid), .snd_assoc_id = (sctp_assoc_t)a->id};
    struct iovec iov = {.iov_len = len};
    struct msghdr header = {.msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control.octets)};
    memcpy(&iov.iov_base, &octets, sizeof(octets)); /* sendmsg() does not write to it */
    control.header.cmsg_level = IPPROTO_SCTP;
    control.header.cmsg_type = SCTP_SNDINFO;
    control.header.cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
    return sendmsg(of(a->ep)->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static int kernel_send(struct tp_assoc *a, uint32_t ppid, const void *octets, size_t len)
{
    if (transmit(a, ppid, 0, octets, len) >= 0) {
        return 0;
    }
    switch (errno) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
    case EINTR:
        return -EAGAIN;
    case EMSGSIZE:
        return -EMSGSIZE;
    default:
        return -ENOTCONN;
    }
}

static int kernel_end(struct tp_assoc *a, bool abort)
{
    return transmit(a, 0, abort ? SCTP_ABORT : SCTP_EOF, NULL, 0) < 0 ? -errno : 0;
}

static void kernel_want_flush(struct tp_endpoint *ep, bool on)
{
    struct endpoint *e = of(ep);
    if (e->want_write == on) {
        return;
    }
    e->want_write = on;
    (void)loop_io_set(e->io, on ? LOOP_READ | LOOP_WRITE : LOOP_READ);
    if (on) {
        e->progress = loop_now(ep->tp->loop);
    } else {
        (void)loop_timer_set(e->retry, TM_NEVER);
    }
}

/* One association has filled the buffer that all share, and its peer takes nothing: end it. */
static void break_stall(struct tp_endpoint *ep)
{
    struct tp_assoc *worst = NULL;
    size_t cursor = 0;
    uint32_t most = 0;
    for (struct tp_assoc *a = tp_assoc_next(ep, &cursor, NULL); a != NULL;
         a = tp_assoc_next(ep, &cursor, a)) {
        struct sctp_status status = {.sstat_assoc_id = (sctp_assoc_t)a->id};
        socklen_t len = sizeof(status);
        if (getsockopt(of(ep)->fd, IPPROTO_SCTP, SCTP_STATUS, &status, &len) < 0) {
            continue;
        }
        uint32_t waiting = (uint32_t)status.sstat_unackdata + status.sstat_penddata;
        if (waiting > most) {
            most = waiting;
            worst = a;
        }
    }
    if (worst != NULL) {
        (void)kernel_end(worst, true); /* COMM_LOST follows */
    }
}

static void flush(struct tp_endpoint *ep)
{
    struct endpoint *e = of(ep);
    struct tm_us now = loop_now(ep->tp->loop);
    bool moved = tp_flush(ep);
    if (!e->want_write) {
        return;
    }
    if (moved) {
        e->progress = now;
        (void)loop_io_set(e->io, LOOP_READ | LOOP_WRITE);
        return;
    }
    if (tm_diff_ms(now, e->progress) >= STALL_MS) {
        break_stall(ep);
        e->progress = now;
    }
    (void)loop_io_set(e->io, LOOP_READ);
    (void)loop_timer_set(e->retry, tm_add_ms(now, RETRY_MS));
}

static void on_retry(void *ctx, struct tm_us now)
{
    struct tp_endpoint *ep = ctx;
    (void)now;
    if (of(ep)->want_write) {
        flush(ep);
    }
}

/* ---- receiving ---- */

/*
 * An association over several paths must outlive the loss of all but one of them: so many losses in
 * a row as take each path down, and one more, for whichever path they are counted on. The kernel
 * takes no more than the paths' own limits together, so these are raised for that moment.
 */
static void bear_lost_paths(const struct tp_endpoint *ep, sctp_assoc_t id, size_t paths)
{
    const struct tp_config *c = &ep->tp->config;
    struct sctp_paddrparams path = {.spp_assoc_id = id,
                                    .spp_pathmaxrxt = (uint16_t)(c->path_max_retrans + 1)};
    struct sctp_assocparams assoc = {.sasoc_assoc_id = id};
    uint32_t wanted = (uint32_t)paths * (c->path_max_retrans + 1);
    if (paths < 2 || wanted <= c->assoc_max_retrans || c->path_max_retrans == 0) {
        return;
    }
    assoc.sasoc_asocmaxrxt = (uint16_t)wanted;
    /* None of them is vital: without it a lost network may cost a registration. */
    (void)set(of(ep)->fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
    (void)set(of(ep)->fd, SCTP_ASSOCINFO, &assoc, sizeof(assoc));
    path.spp_pathmaxrxt = (uint16_t)c->path_max_retrans;
    (void)set(of(ep)->fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path));
}

static void on_assoc_up(struct tp_endpoint *ep, sctp_assoc_t id)
{
    struct ip_address peers[TP_PEERS_MAX];
    struct sockaddr *packed = NULL;
    uint16_t port = 0;
    size_t count = 0;
    int n = sctp_getpaddrs(of(ep)->fd, id, &packed);
    if (n > 0) {
        count = unpack(packed, n, peers, TP_PEERS_MAX, &port);
        sctp_freepaddrs(packed);
    }
    bear_lost_paths(ep, id, count);
    /* None when it has ended already: its end is the next event, and both are told. */
    tp_on_up(ep, id, peers, count, port);
}

static void on_assoc_change(struct tp_endpoint *ep, const struct sctp_assoc_change *change)
{
    int64_t id = change->sac_assoc_id;
    switch (change->sac_state) {
    case SCTP_COMM_UP:
        on_assoc_up(ep, change->sac_assoc_id);
        break;
    case SCTP_RESTART:
        /* Another life of the peer: what we knew of it is void. */
        tp_on_down(ep, id, TP_DOWN_LOST);
        if (!ep->closed) {
            on_assoc_up(ep, change->sac_assoc_id);
        }
        break;
    case SCTP_COMM_LOST:
    case SCTP_CANT_STR_ASSOC:
        tp_on_down(ep, id, TP_DOWN_LOST);
        break;
    case SCTP_SHUTDOWN_COMP:
        tp_on_down(ep, id, TP_DOWN_SHUTDOWN);
        break;
    default:
        break;
    }
}

static void on_notification(struct tp_endpoint *ep, const uint8_t *octets, size_t len)
{
    struct {
        uint16_t type, flags;
        uint32_t length;
    } head;
    if (len < sizeof(head)) {
        return;
    }
    memcpy(&head, octets, sizeof(head));
    if (head.type == SCTP_ASSOC_CHANGE) {
        struct sctp_assoc_change change;
        if (len >= sizeof(change)) {
            memcpy(&change, octets, sizeof(change));
            on_assoc_change(ep, &change);
        }
    } else if (head.type == SCTP_SEND_FAILED_EVENT) {
        struct sctp_send_failed_event failed;
        if (len >= sizeof(failed)) {
            memcpy(&failed, octets, sizeof(failed));
            tp_on_send_failed(ep, failed.ssf_assoc_id);
        }
    } else if (head.type == SCTP_PARTIAL_DELIVERY_EVENT) {
        struct sctp_pdapi_event part;
        if (len >= sizeof(part)) {
            memcpy(&part, octets, sizeof(part));
            tp_on_part_aborted(ep, part.pdapi_assoc_id);
        }
    }
}

static bool receive_info(struct msghdr *header, struct sctp_rcvinfo *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO) {
            memcpy(ret, CMSG_DATA(c), sizeof(*ret));
            return true;
        }
    }
    return false;
}

/* One message, a part of it, or a notification. */
static void take_in(struct tp_endpoint *ep, struct mmsghdr *got, bool *notification_cut)
{
    struct msghdr *header = &got->msg_hdr;
    const uint8_t *octets = header->msg_iov->iov_base;
    bool end = (header->msg_flags & MSG_EOR) != 0;
    struct sctp_rcvinfo info;
    if ((header->msg_flags & MSG_NOTIFICATION) != 0) {
        if (!*notification_cut) {
            on_notification(ep, octets, got->msg_len);
        }
        *notification_cut = !end; /* its beginning is all we need */
    } else if (receive_info(header, &info)) {
        tp_on_message(ep, info.rcv_assoc_id, ntohl(info.rcv_ppid), octets, got->msg_len, end);
    }
}

/* What has come, so much of it as one call brings; false when there is no more. */
static bool receive(struct tp_endpoint *ep, bool *notification_cut)
{
    struct batch *b = ep->tp->stack;
    for (int i = 0; i < BATCH; i++) {
        b->iov[i] = (struct iovec){b->octets[i], TP_MESSAGE_MAX};
        b->heads[i].msg_hdr = (struct msghdr){.msg_iov = &b->iov[i],
                                              .msg_iovlen = 1,
                                              .msg_control = b->control[i],
                                              .msg_controllen = sizeof(b->control[i])};
    }
    int n = recvmmsg(of(ep)->fd, b->heads, BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n && !ep->closed; i++) {
        take_in(ep, &b->heads[i], notification_cut);
    }
    return n == BATCH || (n < 0 && errno == EINTR);
}

static void on_socket(void *ctx, int fd, unsigned events)
{
    struct tp_endpoint *ep = ctx;
    bool notification_cut = false;
    (void)fd;
    tp_pin(ep);
    if ((events & (LOOP_READ | LOOP_HANGUP)) != 0) {
        int rounds = TP_ROUND_MAX / BATCH;
        while (rounds-- > 0 && !ep->closed && receive(ep, &notification_cut)) {
        }
    }
    if (!ep->closed && (events & LOOP_WRITE) != 0) {
        flush(ep);
    }
    tp_unpin(ep);
}

/* The peer's UDP port; 0: none. A kernel that knows nothing of it has no encapsulation either. */
static int kernel_path(struct tp_assoc *a, struct tp_path *ret)
{
    struct sctp_status status = {.sstat_assoc_id = (sctp_assoc_t)a->id};
    struct sctp_udpencaps encaps = {.sue_assoc_id = (sctp_assoc_t)a->id};
    socklen_t status_len = sizeof(status);
    socklen_t len = sizeof(encaps);
    int fd = of(a->ep)->fd;
    if (getsockopt(fd, IPPROTO_SCTP, SCTP_STATUS, &status, &status_len) != 0) {
        return -ENOTCONN; /* it has ended, we have only not read that yet */
    }
    memcpy(&encaps.sue_address, &status.sstat_primary.spinfo_address, sizeof(encaps.sue_address));
    ret->encapsulated =
        getsockopt(fd, IPPROTO_SCTP, SCTP_REMOTE_UDP_ENCAPS_PORT, &encaps, &len) == 0 &&
        encaps.sue_port != 0;
    return 0;
}

/*
 * The kernel tells this time in its ticks, other than the RTO beside it, which it tells in
 * milliseconds. How long a tick is shows in the resolution of the coarse clock.
 */
static int kernel_srtt(struct tp_assoc *a, uint32_t *ret)
{
    struct sctp_status status = {.sstat_assoc_id = (sctp_assoc_t)a->id};
    socklen_t len = sizeof(status);
    struct timespec tick = {0};
    if (getsockopt(of(a->ep)->fd, IPPROTO_SCTP, SCTP_STATUS, &status, &len) != 0) {
        return -ENOTCONN; /* it has ended, we have only not read that yet */
    }
    if (clock_getres(CLOCK_MONOTONIC_COARSE, &tick) != 0 || tick.tv_sec != 0) {
        return -ENOTSUP;
    }
    uint64_t ms = ((uint64_t)status.sstat_primary.spinfo_srtt * (uint64_t)tick.tv_nsec) / 1000000;
    *ret = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX;
    return 0;
}

const struct tp_ops tp_kernel_ops = {
    .start = kernel_start,
    .stop = kernel_stop,
    .open = kernel_open,
    .close = kernel_close,
    .connect = kernel_connect,
    .send = kernel_send,
    .end = kernel_end,
    .want_flush = kernel_want_flush,
    .path = kernel_path,
    .srtt = kernel_srtt,
};
