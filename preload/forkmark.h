/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Whether we are still the process that did something, or a child of it, without asking the kernel
 * each time. The marks lie in a page that the kernel gives to every child empty, however it was
 * made: fork handlers are not run by _Fork() and clone(). A vfork() child shares our memory and so
 * has our marks. Where the kernel has no such pages (before Linux 4.14, or an emulator that accepts
 * every advice), getpid() is asked.
 */
#ifndef RSP_PRELOAD_FORKMARK_H
#define RSP_PRELOAD_FORKMARK_H

#include <stdbool.h>

#define PRE_FORK_MARKS 2

/** Sets mark `i` for this process. May change errno. Any thread. */
void pre_fork_mark(unsigned i);
/** Whether mark `i` was set in this process, and not only in one it was forked from. Any thread. */
bool pre_fork_marked(unsigned i);

#endif
