/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Drawing at random without replacement: each draw finds an element with a probability of its
 * weight to the sum of those that are still in (RFC 5356 §4.4.2); where a policy has no weights
 * all weigh 1, and every ordered choice of distinct elements is equally likely (§4.3.2).
 *
 * All weights in a row are a line; a draw is a point on it. What has been drawn, or was refused, is
 * a stretch that points are moved past, so no draw is in vain however heavy an element was.
 *
 * Readers share nothing, unless the policy has a step: then being selected takes some of an
 * element's weight, by compare and swap, and the sums follow (tree_fold.c). The line may then be
 * longer than what is really on it: a point that hits such a gap is drawn again, so shares are as
 * the weights are at that moment. A reader beside others may find one of them a moment too heavy.
 */
#include "handlespace/internal.h"

#include <string.h>

/* More are out only where a filter refuses nearly everything, or very many are wanted. */
#define OUT_MAX 256
/* Draws into gaps before it goes on without chance. */
#define GAPS_MAX 64

struct stretch {
    uint64_t from, len;
};

/* What is out, in the order of the line. */
struct out {
    unsigned n;
    uint64_t sum;
    struct stretch at[OUT_MAX];
};

/* Moves a point on what is left of the line to where it lies on the whole line. */
static uint64_t past_out(const struct out *out, uint64_t point, unsigned *ret_place)
{
    unsigned i = 0;
    while (i < out->n && point >= out->at[i].from) {
        point += out->at[i++].len;
    }
    *ret_place = i;
    return point;
}

static void take_out(struct out *out, unsigned place, struct stretch stretch)
{
    memmove(out->at + place + 1, out->at + place, (out->n - place) * sizeof(out->at[0]));
    out->at[place] = stretch;
    out->n++;
    out->sum += stretch.len;
}

/* Being selected takes weight off it. */
static void take_weight(const struct policy_choice *choice, struct element *element,
                        const struct tree_walk *path)
{
    struct policy policy = hs_policy(&element->pub);
    uint64_t step = choice->ops->step(&policy);
    uint64_t seen = __atomic_load_n(&element->standing, __ATOMIC_RELAXED);
    uint64_t less;
    do {
        less = seen > step ? seen - step : 1;
    } while (!__atomic_compare_exchange_n(&element->standing, &seen, less, false, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    if (path->depth > 0) {
        tree_tighten(path, less);
    }
}

/* The element at a point of the line, and its stretch; NULL: it hit a gap. */
static const struct element *element_at(const struct policy_choice *choice, uint64_t point,
                                        struct tree_walk *path, struct stretch *ret)
{
    uint64_t offset;
    if (choice->ops->weight == NULL) {
        *ret = (struct stretch){.from = point, .len = 1};
        return tree_at(choice->order, (uint32_t)point, NULL);
    }
    const struct element *element = tree_seek_sum(path, choice->order, point, &offset);
    if (element == NULL) {
        return NULL;
    }
    ret->from = point - offset;
    if (choice->ops->step == NULL) {
        struct policy policy = hs_policy(&element->pub);
        ret->len = choice->ops->weight(&policy);
        return element;
    }
    ret->len = __atomic_load_n(&element->standing, __ATOMIC_RELAXED);
    if (offset >= ret->len) {
        tree_tighten(path, ret->len);
        return NULL;
    }
    return element;
}

static uint64_t line_of(const struct policy_choice *choice)
{
    return choice->ops->weight != NULL ? tree_folded(choice->order) : tree_count(choice->order);
}

static bool weighs(const struct policy_choice *choice, const struct hs_element *element)
{
    struct policy policy = hs_policy(element);
    return choice->ops->weight == NULL || choice->ops->weight(&policy) > 0;
}

/* Without chance: those that follow a random place. */
static size_t take_a_row(const struct policy_choice *choice, struct rnd *rnd, size_t got)
{
    uint32_t n = tree_count(choice->order);
    uint32_t rank = (uint32_t)rnd_below(rnd, n);
    size_t drawn = got;
    struct tree_walk walk;
    tree_walk_from(&walk, choice->order, rank);
    for (uint32_t i = 0; i < n && got < choice->count; i++, rank++) {
        if (rank == n) {
            rank = 0;
            tree_walk_from(&walk, choice->order, 0);
        }
        const struct hs_element *element = tree_walk_next(&walk);
        if (weighs(choice, element) && !policy_taken(choice, drawn, element) &&
            policy_passes(choice, element)) {
            choice->ret[got++] = element;
        }
    }
    return got;
}

/* What chance finds, until enough are there or it finds no more. `lead`: the way to the first. */
static size_t draw(const struct policy_choice *choice, struct rnd *rnd, struct tree_walk *lead)
{
    uint64_t line = line_of(choice);
    size_t got = 0;
    unsigned gaps = 0;
    struct out out;
    out.n = 0;
    out.sum = 0;
    while (got < choice->count && line > out.sum && out.n < OUT_MAX && gaps < GAPS_MAX) {
        struct tree_walk path;
        struct stretch stretch;
        unsigned place;
        uint64_t point = past_out(&out, rnd_below(rnd, line - out.sum), &place);
        const struct element *element = element_at(choice, point, &path, &stretch);
        if (element == NULL ||
            (choice->ops->step != NULL && policy_taken(choice, got, &element->pub))) {
            gaps++;
            line = line_of(choice);
            continue;
        }
        if (policy_passes(choice, &element->pub)) {
            choice->ret[got++] = &element->pub;
            if (got == 1 && choice->ops->step != NULL) {
                *lead = path;
            }
        }
        if (got < choice->count) {
            take_out(&out, place, stretch);
        }
    }
    /* All that is left of the line is out: nobody else can be drawn. */
    return got < choice->count && (line > out.sum || choice->ops->step != NULL)
               ? take_a_row(choice, rnd, got)
               : got;
}

size_t policy_select_drawn(const struct policy_choice *choice)
{
    struct rnd rnd = choice->rnd;
    struct tree_walk lead = {.depth = 0};
    size_t got = draw(choice, &rnd, &lead);
    if (got > 0 && choice->ops->step != NULL) {
        /* Not before the end: it moves what stands behind it on the line. */
        take_weight(choice, (struct element *)(uintptr_t)choice->ret[0], &lead);
    }
    return got;
}
