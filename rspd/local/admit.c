/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a new pool element is taken in; see admit.h. */
#include "rspd/local/admit.h"

#include <errno.h>
#include <stdio.h>

#include "rspd/local/ramp.h"

static size_t count_of_uid(const struct pes *p, uint32_t uid)
{
    size_t n = 0;
    for (const struct pe *pe = pes_next(p, NULL); pe != NULL; pe = pes_next(p, pe)) {
        n += pe->r.uid == uid;
    }
    return n;
}

/** LU when load can be told and the pool does not exist yet; else whatever the pool has. */
static struct policy policy_for(const struct pes *p, const struct record *r)
{
    if (r->policy.type != POLICY_NONE || (r->capacity == 0 && r->slow_start_ms == 0)) {
        return r->policy;
    }
    for (const struct pe *pe = pes_next(p, NULL); pe != NULL; pe = pes_next(p, pe)) {
        if (pool_handle_equal(record_handle(&pe->r), record_handle(r))) {
            return pe->r.policy;
        }
    }
    return (struct policy){.type = POLICY_LU, .word_count = 1};
}

int admit(const struct pes *pes, const struct record *record, struct policy *ret_policy, char *why,
          size_t size)
{
    if (record->uid != 0 && count_of_uid(pes, record->uid) >= PES_PER_UID_MAX) {
        (void)snprintf(why, size, "user %u has %d pool elements on this host already", record->uid,
                       PES_PER_UID_MAX);
        return -EDQUOT;
    }
    struct policy policy = policy_for(pes, record);
    int r = ramp_check(&policy, record->slow_start_ms, why, size);
    if (r == 0) {
        *ret_policy = policy;
    }
    return r;
}
