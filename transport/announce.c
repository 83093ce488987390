/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UDP multicast announcements (transport.md §6). Two sockets: one bound to the source port, which
 * receivers take for the SCTP port (T-3), for sending; one bound to the group for receiving.
 */
#include "transport/announce.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ANNOUNCE_TTL    30
#define DATAGRAM_MAX    2048
#define ROUND_MAX       32
#define REMEMBERED      8
#define MULTICAST_ALL_4 49 /* IP_MULTICAST_ALL, not in all headers */
#define MULTICAST_ALL_6 29 /* IPV6_MULTICAST_ALL */

struct announce {
    struct hostaddr *host;
    struct ip_address group;
    uint16_t port;
    uint16_t source_port;
    announce_fn fn;
    void *ctx;
    int send_fd;
    int receive_fd;
    struct loop_io *io;
    int *joined; /* ifindexes */
    size_t joined_count;
    bool busy;                 /* on_datagram() runs and frees us at its end ... */
    bool gone;                 /* ... if announce_free() was called meanwhile */
    uint64_t sent[REMEMBERED]; /* digests of our latest, to know our own copies by */
    unsigned sent_next;
};

union any_address {
    struct sockaddr sa;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
};

/* FNV-1a: tells our own messages from others', nothing more. 0 stands for "none". */
static uint64_t digest(const uint8_t *octets, size_t len)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < len; i++) {
        h = (h ^ octets[i]) * UINT64_C(0x100000001b3);
    }
    return h != 0 ? h : 1;
}

static socklen_t fill(union any_address *ret, const struct ip_address *address, uint16_t port,
                      unsigned scope_id)
{
    memset(ret, 0, sizeof(*ret));
    if (address->family == IP_V4) {
        ret->in.sin_family = AF_INET;
        ret->in.sin_port = htons(port);
        memcpy(&ret->in.sin_addr, address->octets, 4);
        return sizeof(ret->in);
    }
    ret->in6.sin6_family = AF_INET6;
    ret->in6.sin6_port = htons(port);
    ret->in6.sin6_scope_id = scope_id;
    memcpy(&ret->in6.sin6_addr, address->octets, 16);
    return sizeof(ret->in6);
}

/* ff01:: and ff02:: mean something only together with a link (RFC 4007). */
static bool needs_scope(const struct ip_address *group)
{
    return group->family == IP_V6 && (group->octets[1] & 0x0f) <= 2;
}

static int open_socket(const struct announce *a)
{
    const int on = 1;
    int fd = socket(a->group.family == IP_V4 ? AF_INET : AF_INET6,
                    SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) < 0 ||
        (a->group.family == IP_V6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on)) < 0)) {
        int r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

static int open_sender(struct announce *a)
{
    const int ttl = ANNOUNCE_TTL;
    const int on = 1;
    const int off = 0;
    const struct ip_address any = {.family = a->group.family};
    union any_address at;
    socklen_t len = fill(&at, &any, a->source_port, 0);
    bool v4 = a->group.family == IP_V4;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    a->send_fd = open_socket(a);
    if (a->send_fd < 0) {
        return a->send_fd;
    }
    if (setsockopt(a->send_fd, level, v4 ? IP_MULTICAST_TTL : IPV6_MULTICAST_HOPS, &ttl,
                   sizeof(ttl)) < 0 ||
        setsockopt(a->send_fd, level, v4 ? IP_MULTICAST_LOOP : IPV6_MULTICAST_LOOP, &on,
                   sizeof(on)) < 0 ||
        bind(a->send_fd, &at.sa, len) < 0 || getsockname(a->send_fd, &at.sa, &len) < 0) {
        return -errno;
    }
    /* It never joins a group itself, and is not to get what others have joined. */
    (void)setsockopt(a->send_fd, level, v4 ? MULTICAST_ALL_4 : MULTICAST_ALL_6, &off, sizeof(off));
    a->source_port = ntohs(v4 ? at.in.sin_port : at.in6.sin6_port);
    return 0;
}

static int open_receiver(struct announce *a)
{
    const int on = 1;
    const int off = 0;
    const struct ip_address any = {.family = a->group.family};
    union any_address at;
    bool v4 = a->group.family == IP_V4;
    int level = v4 ? IPPROTO_IP : IPPROTO_IPV6;
    /* A link-local group cannot be bound without a link; on_datagram() looks at the destination. */
    socklen_t len = fill(&at, needs_scope(&a->group) ? &any : &a->group, a->port, 0);
    a->receive_fd = open_socket(a);
    if (a->receive_fd < 0) {
        return a->receive_fd;
    }
    /* Only what this socket joined, only where it joined it (T-21). */
    if (setsockopt(a->receive_fd, level, v4 ? MULTICAST_ALL_4 : MULTICAST_ALL_6, &off,
                   sizeof(off)) < 0 ||
        setsockopt(a->receive_fd, level, v4 ? IP_PKTINFO : IPV6_RECVPKTINFO, &on, sizeof(on)) < 0 ||
        bind(a->receive_fd, &at.sa, len) < 0) {
        return -errno;
    }
    return 0;
}

static int membership(const struct announce *a, int ifindex, bool join)
{
    int r;
    if (a->group.family == IP_V4) {
        struct ip_mreqn request = {.imr_ifindex = ifindex};
        memcpy(&request.imr_multiaddr, a->group.octets, 4);
        r = setsockopt(a->receive_fd, IPPROTO_IP, join ? IP_ADD_MEMBERSHIP : IP_DROP_MEMBERSHIP,
                       &request, sizeof(request));
    } else {
        struct ipv6_mreq request = {.ipv6mr_interface = (unsigned)ifindex};
        memcpy(&request.ipv6mr_multiaddr, a->group.octets, 16);
        r = setsockopt(a->receive_fd, IPPROTO_IPV6, join ? IPV6_JOIN_GROUP : IPV6_LEAVE_GROUP,
                       &request, sizeof(request));
    }
    return r < 0 ? -errno : 0;
}

/*
 * Joins on every link there is, leaves those that are gone. A link that cannot be joined (no
 * address of the family, net.ipv4.igmp_max_memberships) is left out until the next change.
 */
static void rejoin(void *ctx)
{
    struct announce *a = ctx;
    const struct host_link *links;
    size_t count = hostaddr_links(a->host, &links);
    int *joined = count > 0 ? calloc(count, sizeof(*joined)) : NULL;
    size_t joined_count = 0;
    if (count > 0 && joined == NULL) {
        return; /* what is joined stays so */
    }
    for (size_t i = 0; i < a->joined_count; i++) {
        bool there = false;
        for (size_t k = 0; k < count; k++) {
            there = there || (links[k].multicast && links[k].ifindex == a->joined[i]);
        }
        if (!there) {
            (void)membership(a, a->joined[i], false);
        }
    }
    for (size_t k = 0; k < count; k++) {
        if (!links[k].multicast) {
            continue;
        }
        int r = membership(a, links[k].ifindex, true);
        if (r == 0 || r == -EADDRINUSE) { /* joined already */
            joined[joined_count++] = links[k].ifindex;
        }
    }
    free(a->joined);
    a->joined = joined;
    a->joined_count = joined_count;
}

/* ---- receiving ---- */

static bool is_ours(const struct announce *a, const struct ip_address *source, uint16_t port,
                    uint64_t what)
{
    const struct host_address *addresses;
    bool sent = false;
    for (size_t i = 0; i < REMEMBERED; i++) {
        sent = sent || a->sent[i] == what;
    }
    if (!sent || port != a->source_port) {
        return false;
    }
    size_t count = hostaddr_addresses(a->host, &addresses);
    for (size_t i = 0; i < count; i++) {
        if (ip_address_equal(&addresses[i].address, source)) {
            return true;
        }
    }
    return false;
}

/* Where it was sent to; true when that is the group. */
static bool to_group(const struct announce *a, struct msghdr *header)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return memcmp(&info.ipi_addr, a->group.octets, 4) == 0;
        }
        if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            return memcmp(&info.ipi6_addr, a->group.octets, 16) == 0;
        }
    }
    return false;
}

/* One datagram; false when there is none, or `a` is gone. */
static bool receive(struct announce *a)
{
    uint8_t octets[DATAGRAM_MAX];
    union any_address from;
    union {
        struct cmsghdr header;
        uint8_t octets[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control;
    struct iovec iov = {octets, sizeof(octets)};
    struct msghdr header = {.msg_name = &from,
                            .msg_namelen = sizeof(from),
                            .msg_iov = &iov,
                            .msg_iovlen = 1,
                            .msg_control = &control,
                            .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(a->receive_fd, &header, MSG_DONTWAIT);
    if (n < 0) {
        return errno == EINTR;
    }
    if (n == 0 || (header.msg_flags & MSG_TRUNC) != 0 || !to_group(a, &header)) {
        return true; /* none of ours is empty or that long */
    }
    struct ip_address source = {0};
    uint16_t port;
    if (from.sa.sa_family == AF_INET) {
        source.family = IP_V4;
        memcpy(source.octets, &from.in.sin_addr, 4);
        port = ntohs(from.in.sin_port);
    } else {
        source.family = IP_V6;
        memcpy(source.octets, &from.in6.sin6_addr, 16);
        port = ntohs(from.in6.sin6_port);
    }
    if (is_ours(a, &source, port, digest(octets, (size_t)n))) {
        return true;
    }
    a->fn(a->ctx, &source, port, octets, (size_t)n);
    return !a->gone;
}

static void on_datagram(void *ctx, int fd, unsigned events)
{
    struct announce *a = ctx;
    (void)fd;
    (void)events;
    a->busy = true;
    for (int i = 0; i < ROUND_MAX && receive(a); i++) {
    }
    a->busy = false;
    if (a->gone) {
        free(a);
    }
}

/* ---- sending ---- */

/* The link's first address of the group's family, to be the source of what goes out there. */
static const struct ip_address *source_on(const struct announce *a, int ifindex)
{
    const struct host_address *addresses;
    size_t count = hostaddr_addresses(a->host, &addresses);
    for (size_t i = 0; i < count; i++) {
        if (addresses[i].ifindex == ifindex && addresses[i].address.family == a->group.family) {
            return &addresses[i].address;
        }
    }
    return NULL;
}

static int send_on(const struct announce *a, int ifindex, const void *octets, size_t len)
{
    union any_address to;
    union {
        struct cmsghdr header;
        uint8_t octets[CMSG_SPACE(sizeof(struct in6_pktinfo))];
    } control;
    const struct ip_address *source = source_on(a, ifindex);
    struct iovec iov = {.iov_len = len};
    struct msghdr header = {
        .msg_name = &to, .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control};
    if (source == NULL) {
        return -EADDRNOTAVAIL;
    }
    memset(&control, 0, sizeof(control));
    memcpy(&iov.iov_base, &octets, sizeof(octets)); /* sendmsg() does not write to it */
    header.msg_namelen =
        fill(&to, &a->group, a->port, needs_scope(&a->group) ? (unsigned)ifindex : 0);
    if (a->group.family == IP_V4) {
        /* The kernel would take another interface's address for lo, and receivers take the source
         * for the registrar's address. */
        struct in_pktinfo info = {.ipi_ifindex = ifindex};
        memcpy(&info.ipi_spec_dst, source->octets, 4);
        control.header.cmsg_level = IPPROTO_IP;
        control.header.cmsg_type = IP_PKTINFO;
        control.header.cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
        header.msg_controllen = CMSG_SPACE(sizeof(info));
    } else {
        /* Here source selection knows better than we: it takes one of the group's scope. */
        struct in6_pktinfo info = {.ipi6_ifindex = (unsigned)ifindex};
        control.header.cmsg_level = IPPROTO_IPV6;
        control.header.cmsg_type = IPV6_PKTINFO;
        control.header.cmsg_len = CMSG_LEN(sizeof(info));
        memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
        header.msg_controllen = CMSG_SPACE(sizeof(info));
    }
    return sendmsg(a->send_fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int announce_send(struct announce *a, const void *octets, size_t len)
{
    const struct host_link *links;
    size_t count = hostaddr_links(a->host, &links);
    int sent = 0;
    int r = -ENETDOWN;
    if (len == 0 || len > DATAGRAM_MAX) {
        return -EMSGSIZE;
    }
    a->sent[a->sent_next++ % REMEMBERED] = digest(octets, len);
    for (size_t i = 0; i < count; i++) {
        if (!links[i].multicast) {
            continue;
        }
        int one = send_on(a, links[i].ifindex, octets, len);
        if (one == 0) {
            sent++;
        } else {
            r = one;
        }
    }
    return sent > 0 ? sent : r;
}

/* ---- life ---- */

static bool is_group(const struct ip_address *a)
{
    return (a->family == IP_V4 && (a->octets[0] & 0xf0) == 0xe0) ||
           (a->family == IP_V6 && a->octets[0] == 0xff);
}

int announce_new(struct loop *loop, struct hostaddr *host, const struct ip_address *group,
                 uint16_t port, uint16_t source_port, announce_fn fn, void *ctx,
                 struct announce **ret)
{
    if (!is_group(group) || port == 0) {
        return -EINVAL;
    }
    struct announce *a = calloc(1, sizeof(*a));
    if (a == NULL) {
        return -ENOMEM;
    }
    *a = (struct announce){.host = host,
                           .group = *group,
                           .port = port,
                           .source_port = source_port,
                           .fn = fn,
                           .ctx = ctx,
                           .send_fd = -1,
                           .receive_fd = -1};
    int r = open_sender(a);
    if (r == 0 && fn != NULL) {
        r = open_receiver(a);
        r = r < 0 ? r : loop_io_add(loop, a->receive_fd, LOOP_READ, on_datagram, a, &a->io);
        r = r < 0 ? r : hostaddr_on_change(host, rejoin, a);
    }
    if (r < 0) {
        announce_free(a);
        return r;
    }
    if (fn != NULL) {
        rejoin(a);
    }
    *ret = a;
    return 0;
}

void announce_free(struct announce *a)
{
    if (a == NULL) {
        return;
    }
    hostaddr_off_change(a->host, rejoin, a);
    loop_io_free(a->io);
    if (a->receive_fd >= 0) {
        (void)close(a->receive_fd);
    }
    if (a->send_fd >= 0) {
        (void)close(a->send_fd);
    }
    free(a->joined);
    a->gone = true;
    if (!a->busy) {
        free(a);
    }
}
