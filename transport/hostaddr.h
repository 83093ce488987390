/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The host's links and addresses through netlink (libnl-3), followed as they change
 * (transport.md §7). An address counts only when its link is up and running and it is neither
 * tentative, duplicate nor deprecated.
 */
#ifndef RSP_TRANSPORT_HOSTADDR_H
#define RSP_TRANSPORT_HOSTADDR_H

#include "common/types.h"
#include "transport/loop.h"

struct hostaddr;

struct host_link {
    int ifindex;
    char name[16];
    bool loopback;
    bool multicast;
};
struct host_address {
    int ifindex;
    uint8_t prefix_len;
    bool temporary; /* IPv6 privacy address */
    struct ip_address address;
};

/** Runs after the set changed, debounced by 200 ms. */
typedef void (*hostaddr_fn)(void *ctx);

/** `interfaces`: names separated by commas or blanks; NULL or "": all. */
int hostaddr_new(struct loop *loop, const char *interfaces, struct hostaddr **ret);
void hostaddr_free(struct hostaddr *h);
/** Called in the order of addition. */
int hostaddr_on_change(struct hostaddr *h, hostaddr_fn fn, void *ctx);
/** Borrowed arrays, valid until the next change. */
size_t hostaddr_links(const struct hostaddr *h, const struct host_link **ret);
size_t hostaddr_addresses(const struct hostaddr *h, const struct host_address **ret);

#endif
