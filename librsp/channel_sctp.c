/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Messages over kernel SCTP, one-to-one sockets (RFC 6458 section 4). */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <netinet/sctp.h>
#include <string.h>
#include <unistd.h>

#include "librsp/basic_internal.h"
#include "librsp/channel.h"
#include "librsp/control.h"
#include "librsp/sockaddr.h"

#define INIT_ATTEMPTS 3
#define STREAMS       16

bool sctp_available(void)
{
    static _Atomic int known; /* 0: not asked, 1: yes, 2: no */
    if (known == 0) {
        int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_SCTP);
        known = fd >= 0 ? 1 : 2;
        if (fd >= 0) {
            (void)close(fd);
        }
    }
    return known == 1;
}

static int set(int fd, int name, const void *value, size_t size)
{
    return setsockopt(fd, IPPROTO_SCTP, name, value, (socklen_t)size) == 0 ? 0 : -errno;
}

static uint32_t or_default(uint32_t value, uint32_t fallback)
{
    return value != 0 ? value : fallback;
}

static int tune_timers(int fd, const struct channel_setup *setup)
{
    /* The defaults give two seconds; another detection time stretches them all. */
    uint32_t scale = setup->detection_ms;
    struct sctp_rtoinfo rto = {
        .srto_initial = or_default(setup->sctp.sp_rto_initial, SCTP_RTO_INITIAL_MS * scale / 2000),
        .srto_min = or_default(setup->sctp.sp_rto_min, SCTP_RTO_MIN_MS * scale / 2000),
        .srto_max = or_default(setup->sctp.sp_rto_max, SCTP_RTO_MAX_MS * scale / 2000)};
    struct sctp_assocparams assoc = {
        .sasoc_asocmaxrxt = (uint16_t)or_default(setup->sctp.sp_assoc_max_rxt, SCTP_ASSOC_MAX_RXT)};
    struct sctp_paddrparams path;
    memset(&path, 0, sizeof(path));
    path.spp_flags = SPP_HB_ENABLE;
    path.spp_hbinterval = or_default(setup->sctp.sp_hbinterval, SCTP_HEARTBEAT_MS * scale / 2000);
    path.spp_pathmaxrxt = (uint16_t)or_default(setup->sctp.sp_path_max_rxt, SCTP_PATH_MAX_RXT);
    int r = set(fd, SCTP_RTOINFO, &rto, sizeof(rto));
    r = r == 0 ? set(fd, SCTP_ASSOCINFO, &assoc, sizeof(assoc)) : r;
    return r == 0 ? set(fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path)) : r;
}

static int get(int fd, int name, void *value, size_t size)
{
    socklen_t len = (socklen_t)size;
    memset(value, 0, size);
    return getsockopt(fd, IPPROTO_SCTP, name, value, &len) == 0 ? 0 : -errno;
}

/*
 * While one of two paths is down its heartbeats are lost; the other's answers come between them,
 * but not after each. So many losses are borne as take each path down: for a host that has gone
 * this is no longer, as all its paths lose heartbeats. What a program has asked for stays as it is.
 */
void sctp_bear_lost_paths(int fd)
{
    struct sctp_assocparams assoc;
    struct sctp_paddrparams path;
    if (get(fd, SCTP_ASSOCINFO, &assoc, sizeof(assoc)) != 0 ||
        get(fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path)) != 0) {
        return;
    }
    uint16_t paths = assoc.sasoc_number_peer_destinations;
    uint16_t each = path.spp_pathmaxrxt;
    if (paths < 2 || assoc.sasoc_asocmaxrxt != SCTP_ASSOC_MAX_RXT || each == 0) {
        return;
    }
    struct sctp_assocparams wanted = {.sasoc_asocmaxrxt = (uint16_t)(paths * (each + 1))};
    struct sctp_paddrparams limit;
    memset(&limit, 0, sizeof(limit));
    /* The kernel takes no more than the paths' limits together: they are higher for a moment. */
    limit.spp_pathmaxrxt = (uint16_t)(each + 1);
    (void)set(fd, SCTP_PEER_ADDR_PARAMS, &limit, sizeof(limit));
    (void)set(fd, SCTP_ASSOCINFO, &wanted, sizeof(wanted));
    limit.spp_pathmaxrxt = each;
    (void)set(fd, SCTP_PEER_ADDR_PARAMS, &limit, sizeof(limit));
}

int sctp_tune(int fd, const struct channel_setup *setup)
{
    int on = 1;
    int off = 0;
    struct sctp_initmsg init = {.sinit_num_ostreams = STREAMS,
                                .sinit_max_instreams = STREAMS,
                                .sinit_max_attempts = INIT_ATTEMPTS,
                                .sinit_max_init_timeo = 1000};
    struct sctp_sack_info sack = {.sack_delay = 0, .sack_freq = 1};
    int r = set(fd, SCTP_NODELAY, &on, sizeof(on));
    r = r == 0 ? set(fd, SCTP_RECVRCVINFO, &on, sizeof(on)) : r;
    r = r == 0 ? set(fd, SCTP_INITMSG, &init, sizeof(init)) : r;
    r = r == 0 ? set(fd, SCTP_DELAYED_SACK, &sack, sizeof(sack)) : r;
    if (r == 0) {
        (void)set(fd, SCTP_I_WANT_MAPPED_V4_ADDR, &off, sizeof(off)); /* IPv6 sockets only */
    }
    r = r == 0 ? tune_timers(fd, setup) : r;
    if (r == 0) {
        sctp_bear_lost_paths(fd); /* does nothing before there is an association */
    }
    return r;
}

void sctp_parameters(int fd, struct rserpool_session_parameters *ret)
{
    struct sctp_rtoinfo rto;
    struct sctp_assocparams assoc;
    struct sctp_paddrparams path;
    if (get(fd, SCTP_RTOINFO, &rto, sizeof(rto)) == 0) {
        ret->sp_rto_initial = rto.srto_initial;
        ret->sp_rto_min = rto.srto_min;
        ret->sp_rto_max = rto.srto_max;
    }
    /* With several paths it is more than was asked for: see sctp_bear_lost_paths(). */
    if (get(fd, SCTP_ASSOCINFO, &assoc, sizeof(assoc)) == 0 &&
        assoc.sasoc_number_peer_destinations < 2) {
        ret->sp_assoc_max_rxt = assoc.sasoc_asocmaxrxt;
    }
    if (get(fd, SCTP_PEER_ADDR_PARAMS, &path, sizeof(path)) == 0) {
        ret->sp_path_max_rxt = path.spp_pathmaxrxt;
        ret->sp_hbinterval = path.spp_hbinterval;
    }
}

/** Addresses in the packed form; returns how many, and their octets in *ret_len. */
static int pack(const struct lp_pe *pe, uint8_t *out, socklen_t *ret_len)
{
    socklen_t used = 0;
    int count = 0;
    for (uint8_t i = 0; i < pe->address_count; i++) {
        struct sockaddr_storage at;
        socklen_t len = sockaddr_of(&pe->addresses[i], pe->port, &at);
        memcpy(out + used, &at, len);
        used += len;
        count++;
    }
    *ret_len = used;
    return count;
}

int sctp_connect_to(int fd, const struct lp_pe *pe)
{
    _Alignas(struct sockaddr_in6) uint8_t packed[8 * sizeof(struct sockaddr_in6)];
    socklen_t len;
    int domain = AF_INET;
    socklen_t domain_len = sizeof(domain);
    struct lp_pe fit = *pe;
    (void)getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_len);
    if (domain == AF_INET) {
        fit.address_count = 0;
        for (uint8_t i = 0; i < pe->address_count; i++) {
            if (pe->addresses[i].family == IP_V4) {
                fit.addresses[fit.address_count++] = pe->addresses[i];
            }
        }
    }
    int count = pack(&fit, packed, &len);
    if (count == 0) {
        return -EAFNOSUPPORT;
    }
    (void)count;
    if (setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_CONNECTX, packed, len) < 0 &&
        errno != EINPROGRESS) {
        return -errno;
    }
    return 0;
}

int sctp_bind_more(int fd, const struct sockaddr *addrs, int count)
{
    const uint8_t *p = (const uint8_t *)addrs;
    for (int i = 0; i < count; i++) {
        sa_family_t family;
        memcpy(&family, p, sizeof(family));
        socklen_t len =
            family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        if (setsockopt(fd, IPPROTO_SCTP, SCTP_SOCKOPT_BINDX_ADD, p, len) != 0) {
            return -errno;
        }
        p += len;
    }
    return 0;
}

/**
 * The kernel takes a message that fits the send buffer, and a part of one not at all: makes room
 * for it as far as the system allows (net.core.wmem_max, twice of which is had; no bound for root).
 * Whether there is more room than before.
 */
static bool make_room(int fd, size_t len)
{
    int before = 0;
    int after = 0;
    socklen_t size = sizeof(before);
    int wanted = len < INT_MAX / 4 ? (int)len : INT_MAX / 4;
    if (getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &before, &size) != 0 ||
        (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &wanted, sizeof(wanted)) != 0 &&
         setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &wanted, sizeof(wanted)) != 0)) {
        return false;
    }
    size = sizeof(after);
    return getsockopt(fd, SOL_SOCKET, SO_SNDBUF, &after, &size) == 0 && after > before;
}

int sctp_send_message(struct channel *ch, const void *data, size_t len, uint32_t ppid_n16,
                      uint16_t stream, uint32_t ttl_ms, bool unordered)
{
    struct sctp_sndrcvinfo info = {.sinfo_stream = stream,
                                   .sinfo_flags = unordered ? SCTP_UNORDERED : 0,
                                   .sinfo_ppid = ppid_n16,
                                   .sinfo_timetolive = ttl_ms};
    union {
        struct cmsghdr head;
        uint8_t octets[CMSG_SPACE(sizeof(info))];
    } control = {.octets = {0}};
    struct iovec iov = {.iov_base = (void *)(uintptr_t)data, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control.octets)};
    control.head.cmsg_level = IPPROTO_SCTP;
    control.head.cmsg_type = SCTP_SNDRCV;
    control.head.cmsg_len = CMSG_LEN(sizeof(info));
    memcpy(CMSG_DATA(&control.head), &info, sizeof(info));
    for (;;) {
        if (sendmsg(ch->fd, &msg, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) {
            return 0;
        }
        if (errno != EINTR && (errno != EMSGSIZE || !make_room(ch->fd, len))) {
            return errno == ENOMEM || errno == ENOBUFS ? -EAGAIN : -errno;
        }
    }
}

/** PPID and stream that came with a piece. */
static void read_info(struct msghdr *msg, struct channel *ch)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c != NULL; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level == IPPROTO_SCTP && c->cmsg_type == SCTP_RCVINFO) {
            struct sctp_rcvinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ch->ppid = ntohl(info.rcv_ppid);
            ch->stream = info.rcv_sid;
        }
    }
}

int sctp_next_is_data(struct channel *ch)
{
    union {
        struct cmsghdr head;
        uint8_t octets[CMSG_SPACE(sizeof(struct sctp_rcvinfo)) + 64];
    } control;
    uint8_t octet;
    struct iovec iov = {.iov_base = &octet, .iov_len = 1};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = &control,
                         .msg_controllen = sizeof(control.octets)};
    ssize_t n = recvmsg(ch->fd, &msg, MSG_DONTWAIT | MSG_PEEK);
    if (n < 0) {
        return errno == EINTR                        ? -EAGAIN
               : errno == ENOTCONN || errno == EPIPE ? -ECONNRESET
                                                     : -errno;
    }
    read_info(&msg, ch);
    return n > 0 && (msg.msg_flags & MSG_NOTIFICATION) == 0 && ch->ppid != CONTROL_PPID;
}

/** One piece from the kernel; > 0, 0 at the end, -errno. */
static ssize_t receive(struct channel *ch, void *buffer, size_t size, int *ret_flags)
{
    union {
        struct cmsghdr head;
        uint8_t octets[CMSG_SPACE(sizeof(struct sctp_rcvinfo)) + 64];
    } control;
    struct iovec iov = {.iov_base = buffer, .iov_len = size};
    for (;;) {
        struct msghdr msg = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control.octets)};
        ssize_t n = recvmsg(ch->fd, &msg, MSG_DONTWAIT);
        if (n >= 0) {
            read_info(&msg, ch);
            *ret_flags = msg.msg_flags;
            return n;
        }
        if (errno != EINTR) {
            return errno == ENOTCONN || errno == EPIPE ? -ECONNRESET : -errno;
        }
    }
}

ssize_t sctp_recv_message(struct channel *ch, void *buffer, size_t size, struct channel_in *ret)
{
    *ret = (struct channel_in){.kind = CHANNEL_DATA};
    for (;;) {
        int flags = 0;
        ssize_t n = receive(ch, buffer, size, &flags);
        if (n < 0) {
            return n;
        }
        if ((flags & MSG_NOTIFICATION) != 0) {
            continue;
        }
        if (n == 0) {
            ret->kind = CHANNEL_END;
            return 0;
        }
        bool whole = (flags & MSG_EOR) != 0;
        ch->in_message = !whole;
        int r = channel_progress(ch, (size_t)n);
        if (whole) {
            ch->message_len = 0;
        }
        if (r == 0 && ch->ppid == CONTROL_PPID) {
            r = channel_collect(ch, buffer, (size_t)n);
            if (r == 0 && !whole) {
                continue;
            }
            ret->kind = CHANNEL_CONTROL;
            ret->control = ch->control;
            ret->control_len = ch->control_len;
            return r;
        }
        ret->ppid = htonl(ch->ppid);
        ret->stream = ch->stream;
        ret->whole = whole;
        ch->delivered += whole;
        return r == 0 ? n : r;
    }
}

int sctp_local(int fd, uint8_t *out, int max)
{
    struct sockaddr *addrs = NULL;
    int count = sctp_getladdrs(fd, 0, &addrs);
    const uint8_t *p = (const uint8_t *)addrs;
    size_t used = 0;
    count = count > max ? max : count;
    for (int i = 0; i < count; i++) {
        sa_family_t family;
        memcpy(&family, p, sizeof(family));
        size_t len = family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
        memcpy(out + used, p, len);
        used += len;
        p += len;
    }
    if (addrs != NULL) {
        sctp_freeladdrs(addrs);
    }
    return count > 0 ? count : 0;
}
