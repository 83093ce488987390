/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The allocations of what is linked into a test (--wrap): counted, and failing when asked to. */
#ifndef RSP_TESTS_UNIT_RSPD_MEMORY_H
#define RSP_TESTS_UNIT_RSPD_MEMORY_H

#include <stdbool.h>

/** How many blocks are held, those whose freeing waits for RCU readers not counted. */
long memory_held(void);
/** The n-th allocation from now on fails, counted from 0, and then each `every`-th. Below 0: none.
 */
void memory_fail(long n, long every);
/** Whether one has. */
bool memory_failed(void);

#endif
