/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Whether a new pool element is taken in, and with what policy: what its user has already counts,
 * and what its pool is like. */
#ifndef RSP_RSPD_LOCAL_ADMIT_H
#define RSP_RSPD_LOCAL_ADMIT_H

#include "rspd/local/pes.h"

/** 0 and the policy; -EDQUOT, -EINVAL with a sentence in `why`. */
int admit(const struct pes *pes, const struct record *record, struct policy *ret_policy, char *why,
          size_t size);

#endif
