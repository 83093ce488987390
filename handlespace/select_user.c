/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Selection at the pool user (policies.md §3): the registrar has chosen which elements are in the
 * list; weights and degradation have had their effect there and are not applied a second time.
 */
#include "handlespace/policy_ops.h"

size_t policy_select_as_user(const struct policy_choice *choice)
{
    struct policy_choice alike = *choice;
    switch (choice->ops->user) {
    case USER_RANDOM:
        alike.ops = &policy_rand;
        return policy_select_drawn(&alike);
    case USER_CYCLE:
        return policy_select_round(choice);
    case USER_LIST:
        return policy_select_standing(choice);
    case USER_ORDER:
        break;
    }
    return choice->ops->select(choice);
}
