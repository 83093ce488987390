/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * UDP multicast announcements (transport.md §6): joined and sent on every interface that is up and
 * multicast-capable, or on the interfaces named; re-joined when links change.
 */
#ifndef RSP_TRANSPORT_ANNOUNCE_H
#define RSP_TRANSPORT_ANNOUNCE_H

#include "common/types.h"
#include "transport/hostaddr.h"
#include "transport/loop.h"

struct announce;

typedef void (*announce_fn)(void *ctx, const struct ip_address *source, uint16_t source_port,
                            const uint8_t *octets, size_t len);

/**
 * Receives on `group`:`port` and sends from UDP port `source_port` (the ASAP SCTP port, T-3; 0:
 * any) to it, TTL 30. `fn` NULL: send only. Joining follows the links of `host`. Announces of this
 * very socket are not delivered to itself, those of other daemons on this host are.
 * `host` is borrowed until announce_free(). -EINVAL: not a multicast address.
 */
int announce_new(struct loop *loop, struct hostaddr *host, const struct ip_address *group,
                 uint16_t port, uint16_t source_port, announce_fn fn, void *ctx,
                 struct announce **ret);
/** NULL-safe; allowed in `fn`. */
void announce_free(struct announce *a);
/**
 * One copy per interface; returns how many went out, or -errno when none did: -ENETDOWN when there
 * is no link to send on. At most 2,048 octets, else -EMSGSIZE.
 */
int announce_send(struct announce *a, const void *octets, size_t len);

#endif
