/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The originals behind the hooks: the next definition of each name after ours, so that other
 * preloaded libraries go on working. All are looked up together, at the first use or in the
 * constructor, whichever comes first; until then (and if the lookup itself calls a hook, by way of
 * an allocator) calls go to the kernel directly. A missing name switches the shim off, it never
 * ends the process (L-5, L-6, L-8).
 */
#ifndef RSP_PRELOAD_REAL_H
#define RSP_PRELOAD_REAL_H

#include <stdatomic.h>
#include <stdbool.h>

#include "preload/hooks.h"

struct pre_real {
#define PRE_SLOT(result, name, params, args) result(*name) params;
    PRE_HOOKS_ALL(PRE_SLOT)
#undef PRE_SLOT
};

extern const struct pre_real pre_raw;
extern const struct pre_real *_Atomic pre_real_current;
const struct pre_real *pre_real_bind(void);

/** The table to call through. Async-signal-safe, any thread. */
static inline const struct pre_real *pre_real(void)
{
    const struct pre_real *r = atomic_load_explicit(&pre_real_current, memory_order_acquire);
    return __builtin_expect(r != &pre_raw, 1) ? r : pre_real_bind();
}

/** False when an original was not found: every hook then only passes on. */
bool pre_real_complete(void);

#endif
