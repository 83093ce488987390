/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * How often something may happen: in all, or by what a host sends. For what anybody can cause
 * before he has shown that he is where he says he is, such as beginnings of associations.
 */
#ifndef RSP_TRANSPORT_GATE_H
#define RSP_TRANSPORT_GATE_H

#include "common/clock.h"
#include "common/types.h"

#define GATE_HOSTS 1024

/** So often within one second. Zeroed: nothing has passed. */
struct gate_count {
    struct tm_us since;
    uint32_t passed;
};
bool gate_count(struct gate_count *gate, uint32_t per_second, struct tm_us now);

/** The same for each host, an IPv6 network counting as one; those that fall together share it. */
struct gate_hosts {
    uint64_t key; /* random, so that nobody can choose whom to share with; 0: not drawn yet */
    struct gate_count counts[GATE_HOSTS];
};
/** Loopback always passes. */
bool gate_hosts(struct gate_hosts *gate, const struct ip_address *host, uint32_t per_second,
                struct tm_us now);

#endif
