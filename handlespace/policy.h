/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The table of policies: names, wire words, and what the handlespace asks of each. A policy is one
 * file that supplies a struct policy_ops and one line in policy.c (RFC 5356; policies.md §1).
 */
#ifndef RSP_HANDLESPACE_POLICY_H
#define RSP_HANDLESPACE_POLICY_H

#include "common/types.h"

/** What people need to know about a policy. */
struct policy_info {
    uint32_t type;
    const char *name;                         /* "rr", "lu" … as in --policy */
    const char *title;                        /* "Round Robin" */
    uint8_t word_count;                       /* words after the type on the wire */
    const char *word_names[POLICY_WORDS_MAX]; /* "weight", "load" … */
    bool adaptive;
};

/** NULL when the type is unknown or not selectable here. */
const struct policy_info *policy_info_by_type(uint32_t type);
const struct policy_info *policy_info_by_name(const char *name);
/** The i-th entry; NULL past the end. */
const struct policy_info *policy_info_at(size_t i);

/** What the i-th word is written as: "number", "percentage"; "measured" ones cannot be given. */
const char *policy_word_form(const struct policy_info *info, size_t i);

/** The word of a policy that holds a measured distance in milliseconds; NULL: it has none. */
uint32_t *policy_distance_word(struct policy *policy);
#define POLICY_DISTANCE_STEP_MS 50 /* unless another one is set */
/** Half a round trip, rounded to a multiple of the step, ties to an even one (P-35). */
uint32_t policy_distance(uint32_t srtt_ms, uint32_t step_ms);

/**
 * Parses "rr", "lu", "wrr:weight=3", "lu:load=25%". On error returns -EINVAL and says in
 * `error` what is wrong with which word.
 */
int policy_parse(const char *text, struct policy *ret, char *error, size_t error_size);
/** "Least Used, load 25.0 %"; returns out. */
const char *policy_format(const struct policy *policy, char *out, size_t size);

#endif
