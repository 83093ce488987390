/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The pools this process has met: name, handle, cookies, and who answered last. A bounded table
 * that only grows; entries are referred to by index (from the descriptor table too) and their text
 * stays where it is for the life of the process. All calls inside pre_enter().
 */
#ifndef RSP_PRELOAD_POOLS_H
#define RSP_PRELOAD_POOLS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/names.h"
#include "librsp/lp_client.h"

#define PRE_POOLS_MAX 1024
#define PRE_POOL_NONE UINT16_MAX

/** What is known of a pool; a copy. */
struct pre_pool_info {
    uint16_t index;
    uint16_t handle_len;
    struct ip_address cookie4; /* family IP_NONE: not known */
    struct ip_address cookie6;
    int64_t named_ms;         /* when the daemon last confirmed the name */
    const char *name;         /* canonical host name, "" unknown; stays valid */
    const char *cookie_text4; /* numeric form; stays valid, and the same while the cookie does */
    const char *cookie_text6;
};

/** Looks a pool up by name as the program wrote it / by cookie; false: never met. */
bool pre_pool_by_name(const char *name, struct pre_pool_info *ret);
bool pre_pool_by_cookie(const struct ip_address *cookie, struct pre_pool_info *ret);
/** Index of the pool with that handle, made if need be; PRE_POOL_NONE when the table is full. */
uint16_t pre_pool_by_handle(struct pool_handle handle);
/** Stores what a NAME_REPLY said; `asked` (may be NULL) is the name the program used. */
bool pre_pool_learn(const struct lp_message *reply, const char *asked, int64_t now_ms,
                    struct pre_pool_info *ret);
/** Links a cookie to a pool that was resolved by it. */
void pre_pool_link(uint16_t index, const struct ip_address *cookie);
/** The handle in place; stays valid. Empty for an unknown index. */
struct pool_handle pre_pool_handle_ref(uint16_t index);
/** The cookies of a pool by index. */
bool pre_pool_info(uint16_t index, struct pre_pool_info *ret);

/** Remembers an element the daemon gave out by policy. */
void pre_pool_answered(uint16_t index, const struct lp_pe *pe, int64_t now_ms);
/** Forgets an element that failed. */
void pre_pool_failed(uint16_t index, uint32_t pe_id);
/**
 * The newest remembered element not older than `max_age_ms` and not in `avoid`; with `chosen` only
 * among those given out by policy, else also one that came with the pool's name, after these.
 */
bool pre_pool_last(uint16_t index, int64_t now_ms, int64_t max_age_ms, const uint32_t *avoid,
                   unsigned avoid_count, uint32_t want_pe, enum transport_protocol protocol,
                   bool chosen, struct lp_pe *ret);

#endif
