/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Network namespaces: a PE may live in another one than the daemon (a container's). A namespace is
 * named by the inode of its /proc/PID/ns/net; entering one needs CAP_SYS_ADMIN, and a process in
 * it. Only the calling thread moves.
 */
#ifndef RSP_RSPD_LOCAL_NETNS_H
#define RSP_RSPD_LOCAL_NETNS_H

#include <stdint.h>

/** Inode of the calling thread's network namespace; 0 when the kernel does not tell. */
uint64_t netns_self(void);
/** Inode of the namespace process `pid` is in; 0 when it cannot be read. */
uint64_t netns_of(uint32_t pid);

/**
 * Moves the calling thread into the namespace of `pid`, which must be `netns`. Returns a descriptor
 * for netns_leave(), -ESRCH (the process is gone or elsewhere), -EPERM, or -errno.
 */
int netns_enter(uint32_t pid, uint64_t netns);
/** Moves back and closes the descriptor. 0, or -errno: the thread must not go on then. */
int netns_leave(int fd);
/**
 * A socket (O_CLOEXEC, non-blocking) in namespace `netns` (0 or our own: no move), reached through
 * `pid`. Returns the descriptor or -errno.
 */
int netns_socket(uint32_t pid, uint64_t netns, int domain, int type, int protocol);

#endif
