/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The decoder of status reports: what decodes also encodes, and decodes to the same again. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "wire/csp.h"

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len)
{
    static struct csp_report first, second;
    static uint8_t encoded[CSP_OCTETS_MAX];
    if (csp_decode(octets, len, &first) != 0) {
        return 0;
    }
    int n = csp_encode(&first, encoded, sizeof(encoded));
    MUST(n == (int)len);
    MUST(csp_decode(encoded, (size_t)n, &second) == 0);
    MUST(first.final == second.final && first.sender == second.sender &&
         first.uptime_us == second.uptime_us && first.interval_us == second.interval_us &&
         first.workload == second.workload && first.link_count == second.link_count);
    MUST(strcmp(first.location, second.location) == 0 && strcmp(first.status, second.status) == 0);
    for (uint16_t i = 0; i < first.link_count; i++) {
        const struct csp_link *a = &first.links[i], *b = &second.links[i];
        MUST(a->peer == b->peer && a->duration_us == b->duration_us && a->protocol == b->protocol &&
             a->ppid == b->ppid);
    }
    return 0;
}
