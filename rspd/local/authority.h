/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who may do what with a pool on this host (issue A "Who may join"). Pure.
 *
 * Registering: the uid that created the pool on this host, and root; a [Pool] setting may name
 * users and groups instead. The creator is the uid of the pool's first PE here; it is forgotten
 * with the pool's last PE here. Deregistering, draining and changing a PE: who registered it, who
 * created the pool, and root. Resolving and reporting: everybody, unless a setting names users or
 * groups. Root always may.
 */
#ifndef RSP_RSPD_LOCAL_AUTHORITY_H
#define RSP_RSPD_LOCAL_AUTHORITY_H

#include "common/types.h"

#define AUTHORITY_PATTERN_MAX 256
#define AUTHORITY_IDS_MAX     32
#define AUTHORITY_WHY_MAX     320

enum authority_act {
    AUTHORITY_REGISTER,
    AUTHORITY_DEREGISTER,
    AUTHORITY_DRAIN, /* undrain, update, probe results too */
    AUTHORITY_RESOLVE,
    AUTHORITY_REPORT
};

/** Users and groups by number. None at all: the default holds. */
struct authority_list {
    uint8_t uid_count, gid_count;
    uint32_t uids[AUTHORITY_IDS_MAX];
    uint32_t gids[AUTHORITY_IDS_MAX];
};
/** A [Pool] section: handles that match the pattern ("*", "?" and "[a-z]" as in file names). */
struct authority_rule {
    char pattern[AUTHORITY_PATTERN_MAX];
    struct authority_list may_register;
    struct authority_list may_resolve;
};

/** Who asks, from SO_PEERCRED and SO_PEERGROUPS. `groups` is borrowed, may be NULL. */
struct authority_subject {
    uint32_t uid, gid;
    const uint32_t *groups;
    size_t group_count;
};

struct authority;

int authority_new(struct authority **ret);
void authority_free(struct authority *a);
/** Replaces all settings; the first pattern that matches counts. Copied. */
int authority_set_rules(struct authority *a, const struct authority_rule *rules, size_t count);

/**
 * Whether `who` may. `pe_uid`: who registered the PE that is acted upon (DEREGISTER, DRAIN;
 * otherwise ignored). When not, `why` (AUTHORITY_WHY_MAX, may be NULL) says in one sentence why and
 * what would help.
 */
bool authority_allows(const struct authority *a, enum authority_act act, struct pool_handle handle,
                      const struct authority_subject *who, uint32_t pe_uid, char *why, size_t size);

/** AUTHORITY_RESOLVE alone; any thread, in a read section of the handlespace. */
bool authority_may_resolve(const struct authority *a, struct pool_handle handle,
                           const struct authority_subject *who);

/** A PE of this host joined the pool; the first one's uid owns it. Balanced by authority_leave().
 */
int authority_join(struct authority *a, struct pool_handle handle, uint32_t uid);
void authority_leave(struct authority *a, struct pool_handle handle);
/** The uid that created the pool here; false: no PE of this host is in it. */
bool authority_owner(const struct authority *a, struct pool_handle handle, uint32_t *ret_uid);

#endif
