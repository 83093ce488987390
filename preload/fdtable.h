/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * What the shim knows about descriptors: one small record per number, mapped when the first one is
 * set. A record is a hint: it carries the inode of the object it was made for and means nothing
 * once the number stands for another object (fork, vfork children, fclose(), closefrom() and
 * posix_spawn() actions all happen behind our back). No lock, no allocation; every operation O(1)
 * and async-signal-safe (preload-notes §8.4).
 */
#ifndef RSP_PRELOAD_FDTABLE_H
#define RSP_PRELOAD_FDTABLE_H

#include <stdbool.h>
#include <stdint.h>

/* Numbers from here on have no state: the program works, the shim only passes on (L-49). */
#define PRE_FD_MAX 65536

enum pre_fd_kind {
    PRE_FD_NONE = 0,
    PRE_FD_PROGRESS,  /* connect to a pool element under way; a = PE id, b = REPORTED */
    PRE_FD_CONNECTED, /* stands, as far as we know; a = PE id, b = UNBOUND, UDP4 */
    PRE_FD_FAILED,    /* failed and reported; the next connect() chooses anew */
    PRE_FD_DATAGRAM,  /* unconnected, sends to a pool; b = index of its peer record */
    PRE_FD_INTENT,    /* bound to a pool by address; listen() registers it */
    PRE_FD_LISTEN,    /* registered; a = PE id, b = life fd */
    PRE_FD_PENDING,   /* to be registered when the daemon is back */
    PRE_FD_REFUSED,   /* a listener that stays out: no rule for it, or refused */
    PRE_FD_LIFE,      /* private: the life fd of a listener */
    PRE_FD_PRIVATE    /* private: connection to the daemon, log */
};

/*
 * In `b`. What PRE_FD_UDP4 says stays true for the life of the socket, so that it need not be asked
 * again; of IPv6 it would not: IPV6_ADDRFORM makes IPv4 of it, and IPV6_V6ONLY can change.
 */
#define PRE_FD_REPORTED 1 /* that this element failed was reported already */
#define PRE_FD_UNBOUND  2 /* datagrams: bound by nobody but connect() */
#define PRE_FD_UDP4     4 /* UDP over IPv4 */

struct pre_fd {
    uint8_t kind;
    uint16_t pool;  /* index of the pool (pools.h) */
    uint32_t inode; /* low 32 bits; sockfs and pipefs count in 32 bits */
    uint32_t a;
    uint32_t b;
};

/** Copies the record of a number, unvalidated; false (and kind NONE) when there is none. */
bool pre_fd_peek(int fd, struct pre_fd *ret);
/** Whether any record was ever set; the cheapest test of all. */
bool pre_fd_any(void);
/** As pre_fd_peek, but only if the number still stands for the same object (one fstat). */
bool pre_fd_get(int fd, struct pre_fd *ret);
/** Sets the record for the object behind `fd` now (asks the kernel for the inode). */
void pre_fd_set(int fd, const struct pre_fd *record);
/** The same where the inode, not 0, is known already: no system call. */
void pre_fd_set_known(int fd, uint32_t inode, const struct pre_fd *record);
/** Forgets the record if it is still `expected` (NULL: whatever it is). */
void pre_fd_clear(int fd, const struct pre_fd *expected);
/** Inode of an open descriptor, low 32 bits; 0: not open. */
uint32_t pre_fd_inode(int fd);
/** One more than the highest number that ever had a record. */
int pre_fd_end(void);
/**
 * A private descriptor is moved to where programs do not look: 700 or as high as the limit allows.
 * Returns the new number (the old one is closed), or `fd` itself when it must stay, or -1 (closed)
 * when it would stay among 0-2. `cloexec` says how the new one is set.
 */
int pre_fd_move_high(int fd, bool cloexec);

#endif
