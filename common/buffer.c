/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/buffer.h"

#include <stdlib.h>
#include <string.h>

struct buffer *buffer_copy(const void *octets, size_t len)
{
    struct buffer *b = malloc(sizeof(*b) + len);
    if (b == NULL) {
        return NULL;
    }
    b->len = len;
    if (len > 0) {
        memcpy(b->octets, octets, len);
    }
    return b;
}
