/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* UDP sockets and the peer table of userland SCTP; see udp.h. */
#include "transport/udp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define BUFFER_BYTES 1048576
#define SLOTS        4096 /* power of two */

struct peer {
    struct udp_name name;
    uint32_t pins;
    uint32_t chain;      /* next of the same slot, 0: none */
    uint32_t prev, next; /* unpinned ones, longest unused first; 0: none */
};

union control {
    struct cmsghdr header;
    uint8_t octets[CMSG_SPACE(sizeof(struct in6_pktinfo))];
};

struct udp {
    int fds[2];
    uint8_t families[2];
    struct peer *peers; /* number n is peers[n - 1]; never moves, pages are touched as needed */
    uint32_t peer_count;
    uint32_t slots[SLOTS];
    uint32_t oldest, newest;
    uint64_t seed;

    uint8_t *octets; /* UDP_BATCH × UDP_SIZE_MAX */
    struct mmsghdr headers[UDP_BATCH];
    struct iovec iov[UDP_BATCH];
    struct sockaddr_in6 names[UDP_BATCH];
    _Alignas(struct cmsghdr) uint8_t controls[UDP_BATCH][sizeof(union control)];
};

static socklen_t to_sockaddr(const struct udp_name *name, struct sockaddr_in6 *ret)
{
    memset(ret, 0, sizeof(*ret));
    if (name->address.family == IP_V4) {
        struct sockaddr_in in = {.sin_family = AF_INET, .sin_port = htons(name->port)};
        memcpy(&in.sin_addr, name->address.octets, 4);
        memcpy(ret, &in, sizeof(in));
        return sizeof(in);
    }
    ret->sin6_family = AF_INET6;
    ret->sin6_port = htons(name->port);
    ret->sin6_scope_id = name->scope_id;
    memcpy(&ret->sin6_addr, name->address.octets, 16);
    return sizeof(*ret);
}

static void from_sockaddr(const struct sockaddr_in6 *from, struct udp_name *ret)
{
    *ret = (struct udp_name){0};
    if (from->sin6_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof(in));
        ret->address.family = IP_V4;
        ret->port = ntohs(in.sin_port);
        memcpy(ret->address.octets, &in.sin_addr, 4);
        return;
    }
    ret->address.family = IP_V6;
    ret->port = ntohs(from->sin6_port);
    memcpy(ret->address.octets, &from->sin6_addr, 16);
    if (IN6_IS_ADDR_LINKLOCAL(&from->sin6_addr)) {
        ret->scope_id = from->sin6_scope_id;
    }
}

static int open_one(const struct ip_address *address, uint16_t port)
{
    struct udp_name name = {.address = *address, .port = port};
    struct sockaddr_in6 at;
    socklen_t len = to_sockaddr(&name, &at);
    int on = 1;
    int size = BUFFER_BYTES;
    int fd = socket(at.sin6_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
    int r = 0;
    if (at.sin6_family == AF_INET) {
        /* SCTP keeps to 1,400 octets; on a smaller path IP may cut them (no DF). */
        int dont = IP_PMTUDISC_DONT;
        (void)setsockopt(fd, IPPROTO_IP, IP_MTU_DISCOVER, &dont, sizeof(dont));
        r = setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
    } else {
        int dont = IPV6_PMTUDISC_DONT;
        (void)setsockopt(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &dont, sizeof(dont));
        r = setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
        r = r < 0 ? r : setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
    }
    if (r < 0 || bind(fd, (struct sockaddr *)&at, len) < 0) {
        r = -errno;
        (void)close(fd);
        return r;
    }
    return fd;
}

static int open_sockets(struct udp *udp, const struct ip_address *address, uint16_t port)
{
    if (address->family != IP_NONE) {
        udp->fds[0] = open_one(address, port);
        udp->families[0] = address->family;
        return udp->fds[0] < 0 ? udp->fds[0] : 0;
    }
    struct ip_address any4 = {.family = IP_V4};
    struct ip_address any6 = {.family = IP_V6};
    udp->fds[0] = open_one(&any4, port);
    if (udp->fds[0] < 0) {
        return udp->fds[0];
    }
    udp->fds[1] = open_one(&any6, port);
    udp->families[0] = IP_V4;
    udp->families[1] = IP_V6;
    if (udp->fds[1] == -EADDRINUSE) {
        return -EADDRINUSE; /* no IPv6 on this host is fine, somebody else's socket is not */
    }
    return 0;
}

int udp_new(const struct ip_address *bind, uint16_t port, struct udp **ret)
{
    struct udp *udp = calloc(1, sizeof(*udp));
    if (udp == NULL) {
        return -ENOMEM;
    }
    udp->fds[0] = udp->fds[1] = -1;
    udp->peers = calloc(UDP_PEERS_MAX, sizeof(*udp->peers));
    udp->octets = malloc((size_t)UDP_BATCH * UDP_SIZE_MAX);
    int r = udp->peers == NULL || udp->octets == NULL ? -ENOMEM : 0;
    if (r == 0 && getrandom(&udp->seed, sizeof(udp->seed), 0) != (ssize_t)sizeof(udp->seed)) {
        r = -errno;
    }
    if (r == 0) {
        r = open_sockets(udp, bind, port);
    }
    if (r < 0) {
        udp_free(udp);
        return r;
    }
    for (size_t i = 0; i < UDP_BATCH; i++) {
        udp->iov[i] = (struct iovec){udp->octets + i * UDP_SIZE_MAX, UDP_SIZE_MAX};
        udp->headers[i].msg_hdr = (struct msghdr){.msg_name = &udp->names[i],
                                                  .msg_iov = &udp->iov[i],
                                                  .msg_iovlen = 1,
                                                  .msg_control = udp->controls[i]};
    }
    *ret = udp;
    return 0;
}

void udp_free(struct udp *udp)
{
    if (udp == NULL) {
        return;
    }
    for (int i = 0; i < 2; i++) {
        if (udp->fds[i] >= 0) {
            (void)close(udp->fds[i]);
        }
    }
    free(udp->peers);
    free(udp->octets);
    free(udp);
}

int udp_fd(const struct udp *udp, unsigned which)
{
    return which < 2 && udp->fds[which] >= 0 ? udp->fds[which] : -1;
}

static void take_local(struct msghdr *header, struct ip_address *ret)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
        if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
            struct in_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ret->family = IP_V4;
            memcpy(ret->octets, &info.ipi_spec_dst, 4);
        } else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
            struct in6_pktinfo info;
            memcpy(&info, CMSG_DATA(c), sizeof(info));
            ret->family = IP_V6;
            memcpy(ret->octets, &info.ipi6_addr, 16);
        }
    }
}

int udp_receive(struct udp *udp, int fd, struct udp_datagram ret[UDP_BATCH])
{
    for (size_t i = 0; i < UDP_BATCH; i++) {
        udp->headers[i].msg_hdr.msg_namelen = sizeof(udp->names[i]);
        udp->headers[i].msg_hdr.msg_controllen = sizeof(udp->controls[i]);
    }
    int n = recvmmsg(fd, udp->headers, UDP_BATCH, MSG_DONTWAIT, NULL);
    for (int i = 0; i < n; i++) {
        from_sockaddr(&udp->names[i], &ret[i].from);
        take_local(&udp->headers[i].msg_hdr, &ret[i].from.local);
        ret[i].octets = udp->octets + (size_t)i * UDP_SIZE_MAX;
        ret[i].len = udp->headers[i].msg_len;
    }
    return n < 0 ? -errno : n;
}

int udp_send_to(struct udp *udp, const struct udp_name *to, const void *octets, size_t len)
{
    struct sockaddr_in6 at;
    union control control;
    struct iovec iov = {.iov_len = len};
    struct msghdr header = {.msg_name = &at, .msg_iov = &iov, .msg_iovlen = 1};
    memcpy(&iov.iov_base, &octets, sizeof(octets)); /* sendmsg() does not write to it */
    header.msg_namelen = to_sockaddr(to, &at);
    int fd = -1;
    for (int i = 0; i < 2; i++) {
        if (udp->families[i] == to->address.family) {
            fd = udp->fds[i];
        }
    }
    if (fd < 0) {
        return -EAFNOSUPPORT;
    }
    if (to->local.family == to->address.family) {
        /* Answer from the address they know, also on a host with several. */
        memset(&control, 0, sizeof(control));
        header.msg_control = &control;
        if (to->local.family == IP_V4) {
            struct in_pktinfo info = {0};
            memcpy(&info.ipi_spec_dst, to->local.octets, 4);
            control.header.cmsg_level = IPPROTO_IP;
            control.header.cmsg_type = IP_PKTINFO;
            control.header.cmsg_len = CMSG_LEN(sizeof(info));
            memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
            header.msg_controllen = CMSG_SPACE(sizeof(info));
        } else {
            struct in6_pktinfo info = {0};
            memcpy(&info.ipi6_addr, to->local.octets, 16);
            info.ipi6_ifindex = to->scope_id;
            control.header.cmsg_level = IPPROTO_IPV6;
            control.header.cmsg_type = IPV6_PKTINFO;
            control.header.cmsg_len = CMSG_LEN(sizeof(info));
            memcpy(CMSG_DATA(&control.header), &info, sizeof(info));
            header.msg_controllen = CMSG_SPACE(sizeof(info));
        }
    }
    return sendmsg(fd, &header, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
}

/* ---- the peer table ---- */

static uint32_t *slot_of(struct udp *udp, const struct udp_name *name)
{
    uint64_t h = udp->seed ^ name->port ^ (uint64_t)name->address.family << 32;
    for (size_t i = 0; i < 16; i += 8) {
        uint64_t word;
        memcpy(&word, name->address.octets + i, sizeof(word));
        h = (h ^ word) * UINT64_C(0x9e3779b97f4a7c15);
        h ^= h >> 29;
    }
    return &udp->slots[(h >> 16) & (SLOTS - 1)];
}

static bool same(const struct udp_name *a, const struct udp_name *b)
{
    return a->port == b->port && a->scope_id == b->scope_id &&
           ip_address_equal(&a->address, &b->address);
}

static struct peer *peer_of(const struct udp *udp, uint32_t number)
{
    return &udp->peers[number - 1];
}

static void idle_add(struct udp *udp, uint32_t number)
{
    struct peer *p = peer_of(udp, number);
    p->prev = udp->newest;
    p->next = 0;
    if (udp->newest != 0) {
        peer_of(udp, udp->newest)->next = number;
    } else {
        udp->oldest = number;
    }
    udp->newest = number;
}

static void idle_remove(struct udp *udp, uint32_t number)
{
    struct peer *p = peer_of(udp, number);
    if (p->prev != 0) {
        peer_of(udp, p->prev)->next = p->next;
    } else {
        udp->oldest = p->next;
    }
    if (p->next != 0) {
        peer_of(udp, p->next)->prev = p->prev;
    } else {
        udp->newest = p->prev;
    }
}

uint32_t udp_peer_find(struct udp *udp, const struct udp_name *name)
{
    for (uint32_t n = *slot_of(udp, name); n != 0; n = peer_of(udp, n)->chain) {
        struct peer *p = peer_of(udp, n);
        if (same(&p->name, name)) {
            if (name->local.family != IP_NONE) {
                p->name.local = name->local;
            }
            if (p->pins == 0 && udp->newest != n) {
                idle_remove(udp, n);
                idle_add(udp, n);
            }
            return n;
        }
    }
    return 0;
}

uint32_t udp_peer_get(struct udp *udp, const struct udp_name *name, bool *ret_new)
{
    uint32_t n = udp_peer_find(udp, name);
    if (n != 0) {
        if (peer_of(udp, n)->pins == 0) {
            peer_of(udp, n)->name.local = name->local; /* of an association that is over */
        }
        *ret_new = false;
        return n;
    }
    *ret_new = udp->peer_count < UDP_PEERS_MAX;
    if (*ret_new) {
        n = ++udp->peer_count;
    } else if (udp->oldest != 0) {
        n = udp->oldest;
        idle_remove(udp, n);
        uint32_t *link = slot_of(udp, &peer_of(udp, n)->name);
        while (*link != n) {
            link = &peer_of(udp, *link)->chain;
        }
        *link = peer_of(udp, n)->chain;
    } else {
        return 0;
    }
    struct peer *p = peer_of(udp, n);
    uint32_t *slot = slot_of(udp, name);
    *p = (struct peer){.name = *name, .chain = *slot};
    *slot = n;
    idle_add(udp, n);
    return n;
}

void udp_peer_pin(struct udp *udp, uint32_t peer)
{
    if (peer_of(udp, peer)->pins++ == 0) {
        idle_remove(udp, peer);
    }
}

void udp_peer_unpin(struct udp *udp, uint32_t peer)
{
    if (--peer_of(udp, peer)->pins == 0) {
        idle_add(udp, peer);
    }
}

int udp_send(struct udp *udp, uint32_t peer, const void *octets, size_t len)
{
    if (udp_peer_name(udp, peer) == NULL) {
        return -EHOSTUNREACH;
    }
    struct udp_name *name = &peer_of(udp, peer)->name;
    int r = udp_send_to(udp, name, octets, len);
    if (name->local.family != IP_NONE &&
        (r == -EINVAL || r == -EADDRNOTAVAIL || r == -ENETUNREACH || r == -EHOSTUNREACH)) {
        /* The host has lost the address they know. They do not know another, and will say so. */
        name->local = (struct ip_address){0};
        r = udp_send_to(udp, name, octets, len);
    }
    return r;
}

const struct udp_name *udp_peer_name(const struct udp *udp, uint32_t peer)
{
    return peer >= 1 && peer <= udp->peer_count ? &peer_of(udp, peer)->name : NULL;
}
