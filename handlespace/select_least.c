/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Selection of the policies whose elements stand worse each time they are selected.
 *
 * A standing is (value << 32 | clock): the value is what the policy orders by and the clock says
 * since when the element waits. Readers move it up by compare and swap, so no selection is lost and
 * none counted twice; the folds of the tree follow (tree_fold.c). Whoever claims an element has
 * seen that every other stood behind it, and standings only rise: selections side by side come out
 * as if made one after the other, exactly, as long as the writer changes nothing. A re-registration
 * that meets a selection may or may not count it; an element whose clock is being divided (order.c)
 * may wait one round longer.
 *
 * The first one chosen is advanced; the others are backups (policies.md §4.7).
 */
#include "handlespace/internal.h"

#include <string.h>

/* Candidates of a search: more only where a filter refuses that many of the best in a row. */
#define CANDIDATES_MAX 256

struct candidate {
    uint64_t bound;
    const struct tree_node *node; /* or */
    struct element *element;
};

/* The best ones, in descending order: the best is the last. */
struct search {
    unsigned n;
    bool lost; /* some did not find room */
    struct candidate at[CANDIDATES_MAX];
};

static uint64_t standing_of(const struct element *element)
{
    return __atomic_load_n(&element->standing, __ATOMIC_RELAXED);
}

static uint64_t standing_after(const struct policy_choice *choice, const struct element *element,
                               uint64_t standing)
{
    struct policy policy = hs_policy(&element->pub);
    uint64_t value = policy_add(standing >> 32, choice->ops->step(&policy));
    return value << 32 | policy_clock(choice->turn);
}

/* Selected, wherever it stands by now. */
static void advance(const struct policy_choice *choice, struct element *element)
{
    uint64_t seen = standing_of(element);
    while (!__atomic_compare_exchange_n(&element->standing, &seen,
                                        standing_after(choice, element, seen), false,
                                        __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
}

/* The best of all, claimed; NULL: the filter refuses it. */
static struct element *claim_best(const struct policy_choice *choice)
{
    for (;;) {
        struct tree_walk path;
        uint64_t fold;
        struct element *element = tree_seek_least(&path, choice->order, &fold);
        uint64_t seen = standing_of(element);
        if (seen > fold) {
            tree_tighten(&path, seen);
            continue;
        }
        if (!policy_passes(choice, &element->pub)) {
            return NULL;
        }
        uint64_t next = standing_after(choice, element, seen);
        bool claimed = __atomic_compare_exchange_n(&element->standing, &seen, next, false,
                                                   __ATOMIC_RELAXED, __ATOMIC_RELAXED);
        tree_tighten(&path, claimed ? next : seen);
        if (claimed) {
            return element;
        }
    }
}

static void put(struct search *s, struct candidate candidate)
{
    unsigned low = 0;
    unsigned high = s->n;
    while (low < high) {
        unsigned mid = (low + high) / 2;
        if (s->at[mid].bound >= candidate.bound) {
            low = mid + 1;
        } else {
            high = mid;
        }
    }
    if (s->n == CANDIDATES_MAX) {
        s->lost = true;
        if (low == 0) {
            return;
        }
        memmove(s->at, s->at + 1, (low - 1) * sizeof(s->at[0]));
        s->at[low - 1] = candidate;
        return;
    }
    memmove(s->at + low + 1, s->at + low, (s->n - low) * sizeof(s->at[0]));
    s->at[low] = candidate;
    s->n++;
}

/* Every candidate holds an element at least: those behind the `needed`th need not be looked at. */
static bool hopeless(const struct search *s, uint64_t bound, size_t needed)
{
    return needed <= s->n && bound >= s->at[s->n - needed].bound;
}

static void expand(const struct policy_choice *choice, struct search *s,
                   const struct tree_node *node, size_t got)
{
    for (unsigned i = 0; i < tree_entries(node); i++) {
        void *item;
        struct candidate next = {.bound = tree_entry_fold(node, i)};
        next.node = tree_entry(node, i, &item);
        next.element = item;
        /* One more than is missing: the one that leads may be among them. */
        if (choice->filter == NULL && hopeless(s, next.bound, choice->count - got + 1)) {
            continue;
        }
        if (item != NULL && choice->filter != NULL &&
            !choice->filter(choice->ctx, &next.element->pub)) {
            continue;
        }
        put(s, next);
    }
}

/*
 * Best first: a node is looked into when nothing better is known than what it promises. False when
 * candidates were dropped that would be needed now.
 */
static bool search_on(const struct policy_choice *choice, const struct element *lead, size_t *got)
{
    struct search s = {.n = 0};
    s.at[s.n++] = (struct candidate){.bound = 0, .node = choice->order};
    while (s.n > 0 && *got < choice->count) {
        struct candidate best = s.at[--s.n];
        if (best.node != NULL) {
            expand(choice, &s, best.node, *got);
            continue;
        }
        if (best.element == lead) {
            continue;
        }
        uint64_t standing = standing_of(best.element);
        if (standing > best.bound) {
            best.bound = standing;
            put(&s, best);
            continue;
        }
        choice->ret[(*got)++] = &best.element->pub;
    }
    return *got == choice->count || !s.lost;
}

/* Looks at every element, and keeps the best in order: more are wanted than a search can hold. */
static size_t scan(const struct policy_choice *choice, const struct element *lead, size_t got)
{
    struct tree_walk walk;
    struct element *element;
    size_t from = lead != NULL ? 1 : 0;
    got = from;
    tree_walk_from(&walk, choice->order, 0);
    while ((element = tree_walk_next(&walk)) != NULL) {
        uint64_t standing = standing_of(element);
        if (element == lead || !policy_passes(choice, &element->pub) ||
            (got == choice->count && standing >= standing_of(element_of(choice->ret[got - 1])))) {
            continue;
        }
        size_t i = got < choice->count ? got++ : got - 1;
        while (i > from && standing < standing_of(element_of(choice->ret[i - 1]))) {
            choice->ret[i] = choice->ret[i - 1];
            i--;
        }
        choice->ret[i] = &element->pub;
    }
    return got;
}

size_t policy_select_least(const struct policy_choice *choice)
{
    size_t got = 0;
    if (tree_count(choice->order) == 0) {
        return 0;
    }
    struct element *lead = claim_best(choice);
    if (lead != NULL) {
        choice->ret[got++] = &lead->pub;
    }
    if (got < choice->count && !search_on(choice, lead, &got)) {
        got = scan(choice, lead, got);
    }
    if (lead == NULL && got > 0) {
        advance(choice, (struct element *)(uintptr_t)element_of(choice->ret[0]));
    }
    return got;
}

size_t policy_select_standing(const struct policy_choice *choice)
{
    size_t got = 0;
    if (tree_count(choice->order) > 0 && !search_on(choice, NULL, &got)) {
        got = scan(choice, NULL, 0);
    }
    return got;
}
