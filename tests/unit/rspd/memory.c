/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/rspd/memory.h"

#include <stddef.h>
#include <urcu-bp.h>

void *__real_malloc(size_t size);
void *__real_calloc(size_t n, size_t size);
void *__real_realloc(void *old, size_t size);
void *__real_reallocarray(void *old, size_t n, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_realloc(void *old, size_t size);
void *__wrap_reallocarray(void *old, size_t n, size_t size);
void __wrap_free(void *block);

static long held;      /* the thread of call_rcu() frees too */
static long left = -1; /* allocations that still succeed */
static long again;
static bool failed;

static bool fails(void)
{
    if (left < 0 || left-- > 0) {
        return false;
    }
    failed = true;
    left = again - 1;
    return true;
}

static void *counted(const void *old, void *block)
{
    if (old == NULL && block != NULL) {
        (void)__atomic_fetch_add(&held, 1, __ATOMIC_RELAXED);
    }
    return block;
}

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : counted(NULL, __real_malloc(size));
}

void *__wrap_calloc(size_t n, size_t size)
{
    return fails() ? NULL : counted(NULL, __real_calloc(n, size));
}

void *__wrap_realloc(void *old, size_t size)
{
    return fails() ? NULL : counted(old, __real_realloc(old, size));
}

void *__wrap_reallocarray(void *old, size_t n, size_t size)
{
    return fails() ? NULL : counted(old, __real_reallocarray(old, n, size));
}

void __wrap_free(void *block)
{
    if (block != NULL) {
        (void)__atomic_fetch_sub(&held, 1, __ATOMIC_RELAXED);
    }
    __real_free(block);
}

long memory_held(void)
{
    urcu_bp_barrier();
    return __atomic_load_n(&held, __ATOMIC_RELAXED);
}

void memory_fail(long n, long every)
{
    left = n;
    again = every;
    failed = false;
}

bool memory_failed(void)
{
    return failed;
}
