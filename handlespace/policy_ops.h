/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the handlespace asks of a policy. Private to the folder.
 *
 * The elements of a pool stand in one counted tree, ordered by the policy's sort key; those with
 * equal keys form a ring with a position that selections advance. A newcomer joins its ring just
 * behind that position, so it waits longest. A policy supplies the key and a way to select.
 */
#ifndef RSP_HANDLESPACE_POLICY_OPS_H
#define RSP_HANDLESPACE_POLICY_OPS_H

#include "common/rnd.h"
#include "handlespace/handlespace.h"
#include "handlespace/policy.h"
#include "handlespace/tree.h"

/** One selection: what it chooses from and where it puts the result. */
struct policy_choice {
    const struct tree_node *order; /* one state of the pool, for the whole selection */
    struct rnd rnd;
    hs_filter_fn filter;
    void *ctx;
    size_t count;
    const struct hs_element **ret;
};

enum word_kind { WORD_NONE, WORD_NUMBER, WORD_SHARE };

struct policy_ops {
    struct policy_info info;
    const char *alias; /* a second name, or NULL */
    enum word_kind word_kinds[POLICY_WORDS_MAX];
    /** Ascending: the best element has the least key. NULL: all are equal. */
    uint64_t (*key)(const struct policy *policy);
    /** R. Returns how many it chose. */
    size_t (*select)(const struct policy_choice *choice);
};

extern const struct policy_ops policy_rr, policy_rand, policy_lu;

/** NULL when unknown. */
const struct policy_ops *policy_ops_by_type(uint32_t type);

/** For policies that order: best key first, round robin among equals (RFC 5356 §5.1.2). */
size_t policy_select_ordered(const struct policy_choice *choice);

#endif
