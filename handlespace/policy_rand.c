/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Random (RFC 5356 §4.3; P-12): every ordered choice of distinct elements is equally likely. */
#include "handlespace/policy_ops.h"

const struct policy_ops policy_rand = {
    .info = {.type = POLICY_RAND, .name = "rand", .title = "Random"},
    .alias = "random",
    .user = USER_RANDOM,
    .select = policy_select_drawn,
};
