/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Links and addresses of this host. Any rtnetlink event of the groups we follow only marks the
 * picture as old; 200 ms later both tables are dumped afresh and compared with what we had
 * (transport.md §7.1). So lost events (ENOBUFS) need no special care: they too just mean "old".
 */
#include "transport/hostaddr.h"

#include "transport/netlink.h"

#include <assert.h>
#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netlink/attr.h>
#include <netlink/msg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DEBOUNCE_MS         200
#define DEBOUNCE_SPREAD_US  20000
#define RECEIVE_BUFFER_SIZE 262144
#define DUMP_ATTEMPTS       5
/* A host with more is none of ours; keeps a broken one from eating our memory. */
#define LINKS_MAX     4096
#define ADDRESSES_MAX 16384

static_assert(sizeof(((struct host_link *)0)->name) == IFNAMSIZ, "a link's name fits");

struct picture {
    struct host_link *links;
    size_t link_count, link_room;
    struct host_address *addresses;
    size_t address_count, address_room;
    const char *interfaces; /* borrowed filter, NULL: all */
    int error;
};

struct watcher {
    hostaddr_fn fn; /* NULL: taken off while the list was being walked */
    void *ctx;
};

struct hostaddr {
    struct loop *loop;
    char *interfaces;
    struct nl_sock *events;
    struct loop_io *io;
    struct loop_timer *timer;
    bool pending;
    struct picture now;
    struct watcher *watchers;
    size_t watcher_count;
    unsigned walking; /* depth of notify() */
};

static bool named(const char *interfaces, const char *name)
{
    size_t len = strlen(name);
    if (interfaces == NULL) {
        return true;
    }
    for (const char *p = interfaces; *p != '\0';) {
        p += strspn(p, ", \t");
        size_t n = strcspn(p, ", \t");
        if (n == len && n > 0 && memcmp(p, name, n) == 0) {
            return true;
        }
        p += n;
    }
    return false;
}

/* Room for one more element; NULL (and picture.error) when memory or the bound is out. */
static void *grow(struct picture *p, void *array, size_t count, size_t *room, size_t size,
                  size_t max)
{
    if (count < *room) {
        return array;
    }
    size_t more = *room > 0 ? *room * 2 : 16;
    void *bigger = count < max ? realloc(array, more * size) : NULL;
    if (bigger == NULL) {
        p->error = count < max ? -ENOMEM : -E2BIG;
        return NULL;
    }
    *room = more;
    return bigger;
}

static int on_link(struct nl_msg *msg, void *ctx)
{
    struct picture *p = ctx;
    struct nlmsghdr *header = nlmsg_hdr(msg);
    struct ifinfomsg *info = nlmsg_data(header);
    if (header->nlmsg_type != RTM_NEWLINK || !nlmsg_valid_hdr(header, sizeof(*info)) ||
        (info->ifi_flags & (IFF_UP | IFF_RUNNING)) != (IFF_UP | IFF_RUNNING)) {
        return NL_OK;
    }
    struct nlattr *name = nlmsg_find_attr(header, sizeof(*info), IFLA_IFNAME);
    if (name == NULL || !named(p->interfaces, nla_get_string(name))) {
        return NL_OK;
    }
    struct host_link *links =
        grow(p, p->links, p->link_count, &p->link_room, sizeof(*links), LINKS_MAX);
    if (links == NULL) {
        return NL_STOP;
    }
    p->links = links;
    struct host_link *link = &links[p->link_count++];
    memset(link, 0, sizeof(*link)); /* padding too: pictures are compared with memcmp() */
    link->ifindex = info->ifi_index;
    (void)nla_strlcpy(link->name, name, sizeof(link->name));
    link->loopback = (info->ifi_flags & IFF_LOOPBACK) != 0;
    /* lo has no MULTICAST flag, yet IPv4 multicast works there; only on request (T-22). */
    link->multicast =
        (info->ifi_flags & IFF_MULTICAST) != 0 || (link->loopback && p->interfaces != NULL);
    return NL_OK;
}

static bool link_known(const struct picture *p, int ifindex)
{
    for (size_t i = 0; i < p->link_count; i++) {
        if (p->links[i].ifindex == ifindex) {
            return true;
        }
    }
    return false;
}

static int on_address(struct nl_msg *msg, void *ctx)
{
    struct picture *p = ctx;
    struct nlmsghdr *header = nlmsg_hdr(msg);
    struct ifaddrmsg *info = nlmsg_data(header);
    struct nlattr *attrs[IFA_MAX + 1];
    if (header->nlmsg_type != RTM_NEWADDR || !nlmsg_valid_hdr(header, sizeof(*info)) ||
        !link_known(p, (int)info->ifa_index) ||
        nlmsg_parse(header, sizeof(*info), attrs, IFA_MAX, NULL) < 0) {
        return NL_OK;
    }
    uint32_t flags = attrs[IFA_FLAGS] != NULL ? nla_get_u32(attrs[IFA_FLAGS]) : info->ifa_flags;
    if ((flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED | IFA_F_DEPRECATED)) != 0) {
        return NL_OK;
    }
    /* IFA_ADDRESS is the other end of a point-to-point link when IFA_LOCAL is there. */
    struct nlattr *octets = attrs[IFA_LOCAL] != NULL ? attrs[IFA_LOCAL] : attrs[IFA_ADDRESS];
    int size = info->ifa_family == AF_INET ? 4 : info->ifa_family == AF_INET6 ? 16 : -1;
    if (octets == NULL || nla_len(octets) != size) {
        return NL_OK;
    }
    struct host_address *addresses = grow(p, p->addresses, p->address_count, &p->address_room,
                                          sizeof(*addresses), ADDRESSES_MAX);
    if (addresses == NULL) {
        return NL_STOP;
    }
    p->addresses = addresses;
    struct host_address *a = &addresses[p->address_count++];
    memset(a, 0, sizeof(*a));
    a->ifindex = (int)info->ifa_index;
    a->prefix_len = info->ifa_prefixlen;
    a->temporary = size == 16 && (flags & IFA_F_TEMPORARY) != 0;
    a->address.family = size == 4 ? IP_V4 : IP_V6;
    memcpy(a->address.octets, nla_data(octets), (size_t)size);
    return NL_OK;
}

static void picture_done(struct picture *p)
{
    free(p->links);
    free(p->addresses);
    *p = (struct picture){0};
}

/* A dump on a socket of its own; again when the table changed while it was read. */
static int dump(struct picture *p, int type, void *payload, size_t len, nl_recvmsg_msg_cb_t fn,
                size_t *count)
{
    int r = -EINTR;
    for (int i = 0; i < DUMP_ATTEMPTS && r == -EINTR; i++) {
        struct nl_sock *sock;
        r = netlink_open(NETLINK_ROUTE, &sock);
        if (r < 0) {
            return r;
        }
        *count = 0;
        r = netlink_dump(sock, type, payload, len, fn, p);
        nl_socket_free(sock);
    }
    return r < 0 ? r : p->error;
}

static int picture_take(struct picture *p, const char *interfaces)
{
    struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
    struct ifaddrmsg address = {.ifa_family = AF_UNSPEC};
    *p = (struct picture){.interfaces = interfaces};
    int r = dump(p, RTM_GETLINK, &link, sizeof(link), on_link, &p->link_count);
    if (r == 0) {
        r = dump(p, RTM_GETADDR, &address, sizeof(address), on_address, &p->address_count);
    }
    if (r < 0) {
        picture_done(p);
    }
    return r;
}

static bool picture_equal(const struct picture *a, const struct picture *b)
{
    return a->link_count == b->link_count && a->address_count == b->address_count &&
           (a->link_count == 0 ||
            memcmp(a->links, b->links, a->link_count * sizeof(*a->links)) == 0) &&
           (a->address_count == 0 ||
            memcmp(a->addresses, b->addresses, a->address_count * sizeof(*a->addresses)) == 0);
}

static void sweep(struct hostaddr *h)
{
    size_t kept = 0;
    for (size_t i = 0; i < h->watcher_count; i++) {
        if (h->watchers[i].fn != NULL) {
            h->watchers[kept++] = h->watchers[i];
        }
    }
    h->watcher_count = kept;
}

static void notify(struct hostaddr *h)
{
    size_t count = h->watcher_count; /* those added meanwhile have seen the new picture */
    h->walking++;
    for (size_t i = 0; i < count; i++) {
        struct watcher w = h->watchers[i];
        if (w.fn != NULL) {
            w.fn(w.ctx);
        }
    }
    h->walking--;
    sweep(h);
}

static void mark_old(struct hostaddr *h)
{
    if (!h->pending) {
        /* Not pushed back by later events: constant change must not starve the callers. */
        h->pending = loop_timer_set(h->timer, tm_add_ms(loop_now(h->loop), DEBOUNCE_MS)) == 0;
    }
}

static void on_debounced(void *ctx, struct tm_us now)
{
    struct hostaddr *h = ctx;
    struct picture fresh;
    (void)now;
    h->pending = false;
    if (picture_take(&fresh, h->interfaces) < 0) {
        mark_old(h); /* out of memory or the tables will not hold still: try again */
        return;
    }
    if (picture_equal(&fresh, &h->now)) {
        picture_done(&fresh);
        return;
    }
    picture_done(&h->now);
    h->now = fresh;
    notify(h);
}

/* What the events say does not matter: empty the socket, whatever it holds or has lost. */
static void on_events(void *ctx, int fd, unsigned events)
{
    struct hostaddr *h = ctx;
    char scratch[8192];
    (void)events;
    for (int i = 0; i < 64; i++) {
        ssize_t n = recv(fd, scratch, sizeof(scratch), MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && errno != ENOBUFS && errno != EINTR) {
            break;
        }
    }
    mark_old(h);
}

static int follow(struct hostaddr *h)
{
    h->events = nl_socket_alloc();
    if (h->events == NULL) {
        return -ENOMEM;
    }
    int r = netlink_errno(nl_connect(h->events, NETLINK_ROUTE));
    if (r < 0) {
        return r;
    }
    (void)nl_socket_set_buffer_size(h->events, RECEIVE_BUFFER_SIZE, 0);
    r = netlink_errno(nl_socket_add_memberships(h->events, RTNLGRP_LINK, RTNLGRP_IPV4_IFADDR,
                                                RTNLGRP_IPV6_IFADDR, RTNLGRP_NONE));
    if (r < 0) {
        return r;
    }
    r = loop_timer_add(h->loop, DEBOUNCE_SPREAD_US, on_debounced, h, &h->timer);
    if (r < 0) {
        return r;
    }
    return loop_io_add(h->loop, nl_socket_get_fd(h->events), LOOP_READ, on_events, h, &h->io);
}

int hostaddr_new(struct loop *loop, const char *interfaces, struct hostaddr **ret)
{
    struct hostaddr *h = calloc(1, sizeof(*h));
    if (h == NULL) {
        return -ENOMEM;
    }
    int r = 0;
    h->loop = loop;
    if (interfaces != NULL && interfaces[strspn(interfaces, ", \t")] != '\0') {
        h->interfaces = strdup(interfaces);
        r = h->interfaces == NULL ? -ENOMEM : 0;
    }
    if (r == 0) {
        r = follow(h); /* before the first dump, so that nothing falls between the two */
    }
    if (r == 0) {
        r = picture_take(&h->now, h->interfaces);
    }
    if (r < 0) {
        hostaddr_free(h);
        return r;
    }
    *ret = h;
    return 0;
}

void hostaddr_free(struct hostaddr *h)
{
    if (h == NULL) {
        return;
    }
    loop_io_free(h->io);
    loop_timer_free(h->timer);
    if (h->events != NULL) {
        nl_socket_free(h->events);
    }
    picture_done(&h->now);
    free(h->watchers);
    free(h->interfaces);
    free(h);
}

int hostaddr_on_change(struct hostaddr *h, hostaddr_fn fn, void *ctx)
{
    struct watcher *more = realloc(h->watchers, (h->watcher_count + 1) * sizeof(*more));
    if (more == NULL) {
        return -ENOMEM;
    }
    h->watchers = more;
    h->watchers[h->watcher_count++] = (struct watcher){fn, ctx};
    return 0;
}

void hostaddr_off_change(struct hostaddr *h, hostaddr_fn fn, void *ctx)
{
    for (size_t i = 0; i < h->watcher_count; i++) {
        if (h->watchers[i].fn == fn && h->watchers[i].ctx == ctx) {
            h->watchers[i].fn = NULL;
        }
    }
    if (h->walking == 0) {
        sweep(h);
    }
}

size_t hostaddr_links(const struct hostaddr *h, const struct host_link **ret)
{
    *ret = h->now.links;
    return h->now.link_count;
}

size_t hostaddr_addresses(const struct hostaddr *h, const struct host_address **ret)
{
    *ret = h->now.addresses;
    return h->now.address_count;
}
