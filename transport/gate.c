/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Windows of one second, one or one per host. */
#include "transport/gate.h"

#include <string.h>
#include <sys/random.h>

#include "common/rnd.h"

bool gate_count(struct gate_count *gate, uint32_t per_second, struct tm_us now)
{
    if (gate->since.us == 0 || tm_diff_ms(now, gate->since) >= 1000) {
        *gate = (struct gate_count){.since = now};
    }
    if (gate->passed >= per_second) {
        return false;
    }
    gate->passed++;
    return true;
}

bool gate_hosts(struct gate_hosts *gate, const struct ip_address *host, uint32_t per_second,
                struct tm_us now)
{
    struct ip_address address = ip_address_unmap(*host);
    struct rnd rnd;
    uint64_t number = 0;
    if (ip_address_scope(&address) == IP_SCOPE_LOOPBACK) {
        return true;
    }
    if (gate->key == 0 &&
        getrandom(&gate->key, sizeof(gate->key), GRND_NONBLOCK) != (ssize_t)sizeof(gate->key)) {
        gate->key = 1; /* early in the life of the system; better than no limit */
    }
    memcpy(&number, address.octets, address.family == IP_V6 ? 8 : 4);
    rnd_seed(&rnd, gate->key ^ number);
    return gate_count(&gate->counts[rnd_next(&rnd) % GATE_HOSTS], per_second, now);
}
