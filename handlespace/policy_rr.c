/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Round Robin (RFC 5356 §4.1; P-4, P-5): one ring of all elements, its head advances by one. */
#include "handlespace/policy_ops.h"

const struct policy_ops policy_rr = {
    .info = {.type = POLICY_RR, .name = "rr", .title = "Round Robin"},
    .alias = "roundrobin",
    .select = policy_select_ordered,
};
