/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * RCU as the handlespace uses it: liburcu's bp flavour, publication by C11 atomics. A reader of
 * this flavour makes no system call, whatever the writer does: the end of a grace period polls,
 * where the others let the last reader wake it by a futex.
 *
 * A thread checker does not see the synchronisation inside liburcu. Two notes tell it: what a
 * reader did before it left its read section, and what the writer did before it handed an object
 * over, happens before the object is freed; what the writer did before it linked an object into
 * a hash table happens before a lookup that finds it.
 */
#ifndef RSP_HANDLESPACE_RCU_H
#define RSP_HANDLESPACE_RCU_H

#include "common/sanitizers.h"

#include <stddef.h>
#include <stdint.h>

/*
 * In line, but neither for the analyzer, which cannot know that registering a thread makes its
 * reader, nor under sanitizers: liburcu keeps its readers less aligned than their type says.
 */
#if !defined(__clang_analyzer__) && !defined(RSP_ASAN) && !defined(RSP_UBSAN)
#define _LGPL_SOURCE
#endif
#include <urcu/urcu-bp.h>

#include <urcu/rculfhash.h>

#ifdef RSP_TSAN
void __tsan_acquire(void *addr);
void __tsan_release(void *addr);
extern char hs_tsan_grace, hs_tsan_table, hs_tsan_called;
#define hs_note_release(what) __tsan_release(&hs_tsan_##what)
#define hs_note_acquire(what) __tsan_acquire(&hs_tsan_##what)
#else
#define hs_note_release(what) ((void)0)
#define hs_note_acquire(what) ((void)0)
#endif

/** The object around a member. */
#define hs_container_of(p, type, member) ((type *)(void *)((char *)(p)-offsetof(type, member)))

/** Makes what was written before visible with the pointer. Pairs with hs_read_ptr(). */
#define hs_publish(p, v) __atomic_store_n(&(p), (v), __ATOMIC_RELEASE)
/** Pairs with hs_publish(). */
#define hs_read_ptr(p) __atomic_load_n(&(p), __ATOMIC_ACQUIRE)

/** Runs `fn` on `head` when no reader can see the object any more. */
static inline void hs_defer(struct rcu_head *head, void (*fn)(struct rcu_head *))
{
    hs_note_release(grace);
    urcu_bp_call_rcu(head, fn);
}

#endif
