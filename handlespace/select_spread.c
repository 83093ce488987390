/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The weighted circular list (RFC 5356 §4.2.2): a cycle as long as the sum of all weights, in which
 * each element stands as often as it weighs. The list is never written down: who stands at a
 * position is computed.
 *
 * A run of elements, in the order of the tree (heaviest first), is parted in two near the middle of
 * its weight. Of T positions in a row, b of the second part and the rest of the first, the second
 * part gets those where floor(position * b / T) goes up: as evenly as whole numbers allow. Each
 * part then shares its own positions in the same way, down to one element; a run of equal weights
 * goes round robin. So in every window of T / gcd positions each element stands exactly its times,
 * and all weights equal make Round Robin (P-11).
 *
 * Readers share one position, which is handed out by fetch and add: each gets the next, so what
 * all of them get together is the list. The writer, when the sum changes, moves the position to the
 * same part of the new cycle; a reader that runs meanwhile may combine the position of one with
 * the list of the other: one selection is then out of turn, for each change during it. After a
 * change each element is off its exact share by no more than the number of partings above it.
 */
#include "handlespace/internal.h"

/* Positions tried, where the same come again or a filter refuses them. */
#define TRIES      64
#define TRIES_EACH 8

/* Entries [from, to) of a node, and what they weigh. */
struct run {
    const struct tree_node *node;
    unsigned from, to;
    uint64_t weight;
};

/* Where to part a run: the first part gets at least one entry, and so does the second. */
static unsigned middle(const struct run *run, uint64_t *ret_first)
{
    uint64_t first = tree_entry_fold(run->node, run->from);
    unsigned i = run->from + 1;
    while (i + 1 < run->to) {
        uint64_t more = first + tree_entry_fold(run->node, i);
        /* Is the next border nearer to the middle? */
        if (more > run->weight / 2 && more + first >= run->weight) {
            break;
        }
        first = more;
        i++;
    }
    *ret_first = first;
    return i;
}

/* The part of a run that has the position, which becomes a position in that part. */
static struct run part_at(const struct run *run, uint64_t *position)
{
    struct run first = *run;
    struct run second = *run;
    first.to = second.from = middle(run, &first.weight);
    second.weight = run->weight - first.weight;
    uint64_t rest;
    uint64_t before = policy_part(*position, second.weight, run->weight, &rest);
    if (second.weight >= run->weight - rest) {
        *position = before;
        return second;
    }
    *position -= before;
    return first;
}

uint64_t policy_part(uint64_t a, uint64_t b, uint64_t of, uint64_t *ret_rest)
{
    uint64_t product = a * b;
    uint64_t part = product / of;
    uint64_t rest = product % of;
    if ((a | b) > UINT32_MAX) {
        uint64_t whole = b / of * a; /* so that what is left fits below `of` */
        b %= of;
        part = rest = 0;
        for (uint64_t bit = UINT64_C(1) << 61; bit != 0; bit >>= 1) {
            rest = 2 * rest + ((a & bit) != 0 ? b : 0);
            part *= 2;
            for (; rest >= of; rest -= of) {
                part++;
            }
        }
        part += whole;
    }
    if (ret_rest != NULL) {
        *ret_rest = rest;
    }
    return part;
}

/* Who stands at a position below the sum of all weights. */
static const struct hs_element *element_at(const struct tree_node *order, uint64_t position)
{
    const struct tree_node *node = order;
    for (;;) {
        struct run run = {.node = node, .to = tree_entries(node), .weight = tree_folded(node)};
        bool equal;
        while (!(equal = tree_run_equal(node, run.from, run.to)) && run.to - run.from > 1) {
            run = part_at(&run, &position);
        }
        if (equal) {
            return tree_run_at(node, run.from, run.to, position);
        }
        void *item;
        node = tree_entry(node, run.from, &item);
    }
}

static bool fits(const struct policy_choice *choice, size_t got, const struct hs_element *element)
{
    return !policy_taken(choice, got, element) && policy_passes(choice, element);
}

/* The heaviest of those that are left, as backups; those that weigh nothing come last. */
static size_t fill_up(const struct policy_choice *choice, uint32_t from, size_t got)
{
    uint32_t n = tree_count(choice->order);
    struct tree_walk walk;
    tree_walk_from(&walk, choice->order, from);
    for (uint32_t i = 0; i < n && got < choice->count; i++) {
        if (i == n - from) {
            tree_walk_from(&walk, choice->order, 0);
        }
        const struct hs_element *element = tree_walk_next(&walk);
        if (fits(choice, got, element)) {
            choice->ret[got++] = element;
        }
    }
    return got;
}

size_t policy_select_round(const struct policy_choice *choice)
{
    uint32_t n = tree_count(choice->order);
    uint64_t turn = n > 0 ? __atomic_fetch_add(choice->turn, 1, __ATOMIC_RELAXED) : 0;
    return n > 0 ? fill_up(choice, (uint32_t)(turn % n), 0) : 0;
}

size_t policy_select_spread(const struct policy_choice *choice)
{
    uint32_t n = tree_count(choice->order);
    uint64_t cycle = tree_folded(choice->order);
    if (cycle == 0) {
        /* Nobody can serve, say the weights; but somebody must (policies.md §4.2). */
        return policy_select_round(choice);
    }
    uint64_t turn = __atomic_fetch_add(choice->turn, 1, __ATOMIC_RELAXED);
    size_t got = 0;
    uint64_t tries = TRIES + TRIES_EACH * (uint64_t)choice->count;
    for (uint64_t i = 0; i < tries && got < choice->count && got < n; i++) {
        const struct hs_element *element = element_at(choice->order, (turn + i) % cycle);
        if (!fits(choice, got, element)) {
            continue;
        }
        choice->ret[got++] = element;
        if (got == 1 && i > 0) {
            /* Those that were passed over are not met again. */
            (void)__atomic_fetch_add(choice->turn, i, __ATOMIC_RELAXED);
        }
    }
    return got < n ? fill_up(choice, 0, got) : got;
}
