/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What /proc tells of processes, sockets and TCP, as far as we may read it. Any thread. */
#ifndef RSP_RSPD_LOCAL_PROC_H
#define RSP_RSPD_LOCAL_PROC_H

#include <stdbool.h>
#include <stdint.h>

/** 1: the process is stopped by a signal or a debugger; 0: it is not; -ESRCH: there is none. */
int proc_stopped(uint32_t pid);
/** 1: the process holds a socket of that inode; 0: it does not; -errno: we may not look. */
int proc_holds(uint32_t pid, uint32_t inode);
/**
 * Whether processes hold the socket and every one of them that we see is stopped. Walks all of
 * /proc: some 10 ms on a full host.
 */
bool proc_all_holders_stopped(uint32_t inode);

/** TCP counters of the calling thread's network namespace. */
struct proc_tcp {
    uint64_t passive_opens; /* connections that came in, ever */
    uint64_t established;   /* connections there are */
};
/** 0, or -errno when they cannot be read. */
int proc_tcp_read(struct proc_tcp *ret);

#endif
