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
    bool multicast; /* usable for it: has the flag, or is a loopback that was named */
};
struct host_address {
    int ifindex;
    uint8_t prefix_len;
    bool temporary; /* IPv6 privacy address */
    struct ip_address address;
};

/** Runs after the set changed, debounced by 200 ms. */
typedef void (*hostaddr_fn)(void *ctx);

/**
 * `interfaces`: names separated by commas or blanks; NULL or "": all. The first picture is complete
 * on return (the kernel is asked synchronously, well below 1 ms).
 */
int hostaddr_new(struct loop *loop, const char *interfaces, struct hostaddr **ret);
/** NULL-safe; not from a hostaddr_fn. */
void hostaddr_free(struct hostaddr *h);
/** Called in the order of addition. `fn` may add and take off any. */
int hostaddr_on_change(struct hostaddr *h, hostaddr_fn fn, void *ctx);
/** Takes the pair off; unknown ones are ignored. */
void hostaddr_off_change(struct hostaddr *h, hostaddr_fn fn, void *ctx);
/** Links that are up and running. Borrowed arrays, valid until the next change. */
size_t hostaddr_links(const struct hostaddr *h, const struct host_link **ret);
size_t hostaddr_addresses(const struct hostaddr *h, const struct host_address **ret);

#endif
