/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Owned octets: a message on its way through the program. */
#ifndef RSP_COMMON_BUFFER_H
#define RSP_COMMON_BUFFER_H

#include <stddef.h>
#include <stdint.h>

struct buffer {
    size_t len;
    uint8_t octets[];
};

/** A copy of `len` octets; NULL when memory is out. The caller frees it with free(). */
struct buffer *buffer_copy(const void *octets, size_t len);

#endif
