/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The numbers of an operation scope, from its name. */
#include <string.h>

#include "rspd/settings.h"

static uint64_t hash_name(const char *name)
{
    uint64_t h = 0xcbf29ce484222325u; /* FNV-1a, then mixed so that every bit depends on all */
    for (; *name != '\0'; name++) {
        h = (h ^ (uint8_t)*name) * 0x100000001b3u;
    }
    h = (h ^ h >> 33) * 0xff51afd7ed558ccdu;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53u;
    return h ^ h >> 33;
}

void settings_scope_derive(const char *name, struct settings_scope *ret)
{
    struct settings_scope scope = {.group_count = 2,
                                   .asap_port = 3863,
                                   .announce_port = 3863,
                                   .udp_port = 9899,
                                   .enrp_port = 9901,
                                   .enrp_announce_port = 9901,
                                   .enrp_group = {IP_V4, {239, 0, 0, 51}},
                                   .groups = {{IP_V4, {239, 0, 0, 50}}, {IP_V4, {224, 0, 1, 185}}}};
    if (name[0] != '\0' && strcmp(name, "default") != 0) {
        /* An organisation-local group (RFC 2365: 239.192.0.0/14) and ports below the ephemeral
         * ones: 18 bits and 12 bits that do not depend on each other. */
        uint64_t h = hash_name(name);
        scope.group_count = 1;
        scope.groups[0] = (struct ip_address){
            IP_V4, {239, (uint8_t)(192 | (h >> 16 & 3)), (uint8_t)(h >> 8), (uint8_t)h}};
        uint16_t base = (uint16_t)(12000 + (h >> 32) % 4096 * 4);
        scope.asap_port = base;
        scope.announce_port = base;
        scope.udp_port = (uint16_t)(base + 1);
        scope.enrp_group = scope.groups[0];
        scope.enrp_port = (uint16_t)(base + 2);
        scope.enrp_announce_port = scope.enrp_port;
    }
    *ret = scope;
}
