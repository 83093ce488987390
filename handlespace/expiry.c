/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Who expires next: a binary heap of the elements with a limited life. Writer only. Most elements
 * are near its bottom, so what changes or goes has few places to move.
 */
#include "handlespace/internal.h"

#include <stdlib.h>

bool hs_heap_reserve(struct hs *hs)
{
    if (hs->heap_n < hs->heap_size) {
        return true;
    }
    /* By an eighth: growing is a move in the page table, and what is not used is not wasted. */
    uint32_t size = hs->heap_size + hs->heap_size / 8 + 16;
    struct element **heap = reallocarray(hs->heap, size, sizeof(struct element *));
    if (heap == NULL) {
        return false;
    }
    hs->heap = heap;
    hs->heap_size = size;
    return true;
}

static bool earlier(const struct element *a, const struct element *b)
{
    return tm_before(hs_expires(&a->pub), hs_expires(&b->pub));
}

static void place(struct hs *hs, uint32_t i, struct element *element)
{
    hs->heap[i] = element;
    element->heap_index = i;
}

/* Finds the place of an element whose old place is `i`. */
static void settle(struct hs *hs, uint32_t i, struct element *element)
{
    while (i > 0 && earlier(element, hs->heap[(i - 1) / 2])) {
        place(hs, i, hs->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    for (;;) {
        uint32_t least = 2 * i + 1;
        if (least + 1 < hs->heap_n && earlier(hs->heap[least + 1], hs->heap[least])) {
            least++;
        }
        if (least >= hs->heap_n || !earlier(hs->heap[least], element)) {
            break;
        }
        place(hs, i, hs->heap[least]);
        i = least;
    }
    place(hs, i, element);
}

void hs_heap_add(struct hs *hs, struct element *element)
{
    if (tm_is_never(hs_expires(&element->pub))) {
        element->heap_index = HEAP_NONE;
        return;
    }
    settle(hs, hs->heap_n++, element);
}

void hs_heap_remove(struct hs *hs, const struct element *element)
{
    uint32_t i = element->heap_index;
    if (i == HEAP_NONE) {
        return;
    }
    struct element *last = hs->heap[--hs->heap_n];
    if (i < hs->heap_n) {
        settle(hs, i, last);
    }
}

struct tm_us hs_next_expiry(const struct hs *hs)
{
    return hs->heap_n > 0 ? hs_expires(&hs->heap[0]->pub) : TM_NEVER;
}

const struct hs_element *hs_due(struct hs *hs, struct tm_us now)
{
    return hs->heap_n > 0 && tm_due(hs_next_expiry(hs), now) ? &hs->heap[0]->pub : NULL;
}

const char *hs_heap_check(const struct hs *hs)
{
    for (uint32_t i = 0; i < hs->heap_n; i++) {
        if (hs->heap[i]->heap_index != i) {
            return "expiry: an element does not know its place";
        }
        if (i > 0 && earlier(hs->heap[i], hs->heap[(i - 1) / 2])) {
            return "expiry: the heap is out of order";
        }
    }
    return NULL;
}
