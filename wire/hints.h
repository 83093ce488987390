/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The load hint words: one memfd, made by the daemon, handed to the shim with HELLO_OK and mapped
 * by both. The shim increments a PE's word when it accepts or closes a connection of that PE, so
 * that the daemon knows when a look at the kernel's sockets is worth while; no system call, no
 * answer, and a wrong or missing hint costs only freshness. The daemon trusts nothing in it.
 *
 * The memfd is sealed (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL): nobody can cut it under the
 * others. Two PEs may share a word.
 */
#ifndef RSP_WIRE_HINTS_H
#define RSP_WIRE_HINTS_H

#include <stdint.h>

#define HINT_MAGIC   0x52535048u /* "RSPH" */
#define HINT_VERSION 1u
#define HINT_WORDS   4096u

struct hint_page {
    uint32_t magic;
    uint32_t version;
    uint32_t words; /* HINT_WORDS; a power of two */
    uint32_t reserved[13];
    uint32_t word[HINT_WORDS];
};

/** Something changed with the connections of a PE. Any thread or process, signal handlers too. */
static inline void hint_touch(struct hint_page *page, uint32_t pe_id)
{
    __atomic_fetch_add(&page->word[pe_id % HINT_WORDS], 1, __ATOMIC_RELAXED);
}

/** The word of a PE; only a difference to an earlier reading means anything. */
static inline uint32_t hint_read(const struct hint_page *page, uint32_t pe_id)
{
    return __atomic_load_n(&page->word[pe_id % HINT_WORDS], __ATOMIC_RELAXED);
}

#endif
