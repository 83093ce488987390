/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the handlespace asks of a policy. Private to the folder.
 *
 * The elements of a pool stand in one tree (tree.h). A policy is a file that supplies some of
 *
 *   key     where an element stands, least first
 *   weight  its part of all draws, or of a cycle
 *   step    what being selected adds to its standing (which begins at the key), or takes off its
 *           weight
 *
 * and one of the ways to select below, which ask for these:
 *
 *   policy_select_ordered  key          the least first; those with equal keys form a ring with a
 *                                       head that selections advance (order.c)
 *   policy_select_drawn    weight       at random without replacement; without weight all alike
 *                          [and step]
 *   policy_select_spread   key, weight  in a cycle in which each stands as often as it weighs,
 *                                       spread evenly (select_spread.c)
 *   policy_select_least    key, step    the least standing first; among equals the one that has
 *                                       waited longest (select_least.c)
 *
 * Each says in its file how fair it stays with several readers and a busy writer.
 */
#ifndef RSP_HANDLESPACE_POLICY_OPS_H
#define RSP_HANDLESPACE_POLICY_OPS_H

#include "common/rnd.h"
#include "handlespace/handlespace.h"
#include "handlespace/policy.h"
#include "handlespace/tree.h"

/** One selection: what it chooses from and where it puts the result. */
struct policy_choice {
    const struct policy_ops *ops;
    const struct tree_node *order; /* one state of the pool, for the whole selection */
    uint64_t *turn;                /* of the pool; shared by all readers */
    struct rnd rnd;
    hs_filter_fn filter;
    void *ctx;
    size_t count;
    const struct hs_element **ret;
};

enum word_kind { WORD_NONE, WORD_NUMBER, WORD_SHARE, WORD_MEASURED };

/** What a pool user does with the list it was given (policies.md §3). */
enum policy_user {
    USER_ORDER, /* as it is ordered; those that are equal take turns */
    USER_LIST,  /* as it came: the first that serves, the others are backups */
    USER_CYCLE, /* one after the other, again and again */
    USER_RANDOM /* any, all alike */
};

struct policy_ops {
    struct policy_info info;
    const char *alias; /* a second name, or NULL */
    enum word_kind word_kinds[POLICY_WORDS_MAX];
    uint64_t (*key)(const struct policy *policy);
    uint64_t (*weight)(const struct policy *policy);
    uint64_t (*step)(const struct policy *policy);
    enum policy_user user;
    bool cyclic; /* the pool's turn is a position in the sum of all weights */
    /** R. Returns how many it chose. */
    size_t (*select)(const struct policy_choice *choice);
};

/** The table: a new policy is its file, and its line here. In the order in which they are listed.
 */
/* clang-format off */
#define POLICY_TABLE(LINE)                                                                         \
    LINE(rr)                                                                                       \
    LINE(wrr)                                                                                      \
    LINE(rand)                                                                                     \
    LINE(wrand)                                                                                    \
    LINE(prio)                                                                                     \
    LINE(lu)                                                                                       \
    LINE(lud)                                                                                      \
    LINE(plu)                                                                                      \
    LINE(rlu)                                                                                      \
    LINE(rplu)                                                                                     \
    LINE(rlud)                                                                                     \
    LINE(plud)                                                                                     \
    LINE(rplud)                                                                                    \
    LINE(wrand_dpf)                                                                                \
    LINE(lu_dpf)                                                                                   \
    LINE(lud_dpf)
/* clang-format on */

#define POLICY_DECLARE(name) extern const struct policy_ops policy_##name;
POLICY_TABLE(POLICY_DECLARE)

/** NULL when unknown. */
const struct policy_ops *policy_ops_by_type(uint32_t type);

size_t policy_select_ordered(const struct policy_choice *choice);
size_t policy_select_drawn(const struct policy_choice *choice);
size_t policy_select_spread(const struct policy_choice *choice);
size_t policy_select_least(const struct policy_choice *choice);
/** In a cache, by the rule for pool users. */
size_t policy_select_as_user(const struct policy_choice *choice);
/** The rules that need a way of their own: round the tree; as they stand, without moving any. */
size_t policy_select_round(const struct policy_choice *choice);
size_t policy_select_standing(const struct policy_choice *choice);

/* --- for policies and ways to select ---------------------------------------------------------- */

/** The sum, or as much of it as a load may be (P-39). */
static inline uint64_t policy_add(uint64_t a, uint64_t b)
{
    return b < LOAD_FULL && a + b < LOAD_FULL ? a + b : LOAD_FULL;
}

/**
 * a * b / of, rounded down, for a < of and numbers below 2^62: how many of b parts come up to a.
 * Where the product is too long for the machine it is made and divided bit by bit.
 */
uint64_t policy_part(uint64_t a, uint64_t b, uint64_t of, uint64_t *ret_rest);

/** What is left of a full load; never nothing, so that a pool of full elements still serves. */
static inline uint64_t policy_rest(uint64_t load)
{
    return load < LOAD_FULL ? LOAD_FULL - load : 1;
}

/** The next reading of a pool's clock. */
static inline uint32_t policy_clock(uint64_t *turn)
{
    uint64_t now = __atomic_add_fetch(turn, 1, __ATOMIC_RELAXED);
    return now < UINT32_MAX ? (uint32_t)now : UINT32_MAX;
}

static inline bool policy_passes(const struct policy_choice *choice,
                                 const struct hs_element *element)
{
    return choice->filter == NULL || choice->filter(choice->ctx, element);
}

static inline bool policy_taken(const struct policy_choice *choice, size_t got,
                                const struct hs_element *element)
{
    for (size_t i = 0; i < got; i++) {
        if (choice->ret[i] == element) {
            return true;
        }
    }
    return false;
}

#endif
