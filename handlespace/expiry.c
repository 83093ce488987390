/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who expires next: a binary heap of the elements with a limited life. Writer only. */
#include "handlespace/internal.h"

#include <stdlib.h>

bool hs_heap_reserve(struct hs *hs)
{
    if (hs->heap_n < hs->heap_size) {
        return true;
    }
    uint32_t size = hs->heap_size > 0 ? hs->heap_size * 2 : 16;
    struct heap_entry *heap = reallocarray(hs->heap, size, sizeof(*heap));
    if (heap == NULL) {
        return false;
    }
    hs->heap = heap;
    hs->heap_size = size;
    return true;
}

static void place(struct hs *hs, uint32_t i, struct heap_entry entry)
{
    hs->heap[i] = entry;
    entry.element->heap_index = i;
}

/* Finds the place of an entry whose old place is `i`. */
static void settle(struct hs *hs, uint32_t i, struct heap_entry entry)
{
    while (i > 0 && entry.at < hs->heap[(i - 1) / 2].at) {
        place(hs, i, hs->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t least = 2 * i + 1;
        if (least + 1 < hs->heap_n && hs->heap[least + 1].at < hs->heap[least].at) {
            least++;
        }
        if (least >= hs->heap_n || entry.at <= hs->heap[least].at) {
            break;
        }
        place(hs, i, hs->heap[least]);
        i = least;
    }
    place(hs, i, entry);
}

void hs_heap_add(struct hs *hs, struct element *element)
{
    if (tm_is_never(element->pub.expires)) {
        element->heap_index = HEAP_NONE;
        return;
    }
    uint32_t i = hs->heap_n++;
    settle(hs, i, (struct heap_entry){.at = element->pub.expires.us, .element = element});
}

void hs_heap_remove(struct hs *hs, const struct element *element)
{
    uint32_t i = element->heap_index;
    if (i == HEAP_NONE) {
        return;
    }
    struct heap_entry last = hs->heap[--hs->heap_n];
    if (i < hs->heap_n) {
        settle(hs, i, last);
    }
}

struct tm_us hs_next_expiry(const struct hs *hs)
{
    return hs->heap_n > 0 ? (struct tm_us){hs->heap[0].at} : TM_NEVER;
}

const struct hs_element *hs_due(struct hs *hs, struct tm_us now)
{
    return tm_due(hs_next_expiry(hs), now) && hs->heap_n > 0 ? &hs->heap[0].element->pub : NULL;
}

const char *hs_heap_check(const struct hs *hs)
{
    for (uint32_t i = 0; i < hs->heap_n; i++) {
        const struct heap_entry *entry = &hs->heap[i];
        if (entry->element->heap_index != i || entry->element->pub.expires.us != entry->at) {
            return "expiry: an entry does not describe its element";
        }
        if (i > 0 && entry->at < hs->heap[(i - 1) / 2].at) {
            return "expiry: the heap is out of order";
        }
    }
    return NULL;
}
