/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Random (RFC 5356 §4.3; P-12): every ordered choice of distinct elements is equally likely. Ranks
 * are drawn until enough different ones passed the filter; a set on the stack remembers them.
 */
#include "handlespace/policy_ops.h"

#include <string.h>

/*
 * More different draws than that in one selection happen only where a filter refuses nearly
 * everything: what is still missing is then taken in a row from a random place.
 */
#define DRAWS_MAX 512
#define SLOTS     1024 /* a power of two, at least twice DRAWS_MAX */

/* Ranks already drawn: open addressing, rank + 1 in the slot. */
struct drawn {
    unsigned n;
    uint32_t slots[SLOTS];
};

static bool drawn_has(const struct drawn *drawn, uint32_t rank, unsigned *ret_slot)
{
    unsigned slot = (rank * 0x9e3779b1u) >> 22;
    while (drawn->slots[slot] != 0) {
        if (drawn->slots[slot] == rank + 1) {
            return true;
        }
        slot = (slot + 1) % SLOTS;
    }
    *ret_slot = slot;
    return false;
}

static bool passes(const struct policy_choice *choice, const struct hs_element *element)
{
    return choice->filter == NULL || choice->filter(choice->ctx, element);
}

static size_t select_run(const struct policy_choice *choice, struct rnd *rnd,
                         const struct drawn *drawn, size_t got)
{
    uint32_t n = tree_count(choice->order);
    uint32_t rank = (uint32_t)rnd_below(rnd, n);
    struct tree_walk walk;
    tree_walk_from(&walk, choice->order, rank);
    for (uint32_t i = 0; i < n && got < choice->count; i++, rank++) {
        if (rank == n) {
            rank = 0;
            tree_walk_from(&walk, choice->order, 0);
        }
        const struct hs_element *element = tree_walk_next(&walk);
        unsigned slot;
        if (!drawn_has(drawn, rank, &slot) && passes(choice, element)) {
            choice->ret[got++] = element;
        }
    }
    return got;
}

static size_t select_random(const struct policy_choice *choice)
{
    uint32_t n = tree_count(choice->order);
    struct rnd rnd = choice->rnd;
    size_t got = 0;
    struct drawn drawn;
    if (n == 0 || choice->count == 0) {
        return 0;
    }
    /* The usual case, one element and it passes, touches no set. */
    uint32_t rank = (uint32_t)rnd_below(&rnd, n);
    const struct hs_element *element = tree_at(choice->order, rank, NULL);
    if (passes(choice, element)) {
        choice->ret[got++] = element;
    }
    if (got == choice->count || n == 1) {
        return got;
    }
    memset(&drawn, 0, sizeof(drawn));
    unsigned slot = 0;
    (void)drawn_has(&drawn, rank, &slot);
    drawn.slots[slot] = rank + 1;
    drawn.n = 1;
    while (got < choice->count && drawn.n < n) {
        if (drawn.n == DRAWS_MAX) {
            return select_run(choice, &rnd, &drawn, got);
        }
        rank = (uint32_t)rnd_below(&rnd, n);
        if (drawn_has(&drawn, rank, &slot)) {
            continue;
        }
        drawn.slots[slot] = rank + 1;
        drawn.n++;
        element = tree_at(choice->order, rank, NULL);
        if (passes(choice, element)) {
            choice->ret[got++] = element;
        }
    }
    return got;
}

const struct policy_ops policy_rand = {
    .info = {.type = POLICY_RAND, .name = "rand", .title = "Random"},
    .alias = "random",
    .select = select_random,
};
