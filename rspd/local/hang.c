/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* When is a server hung? Sets of socket cookies, compared from sample to sample. */
#include "rspd/local/hang.h"

#include <stdlib.h>

bool cookie_set_add(struct cookie_set *set, uint64_t cookie)
{
    if (set->count == set->room) {
        size_t room = set->room > 0 ? set->room * 2 : 16;
        if (room > COOKIE_SET_MAX) {
            return false;
        }
        void *grown = reallocarray(set->cookie, room, sizeof(*set->cookie));
        if (grown == NULL) {
            return false;
        }
        set->cookie = (uint64_t *)grown;
        set->room = room;
    }
    set->cookie[set->count++] = cookie;
    return true;
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void cookie_set_sort(struct cookie_set *set)
{
    if (set->count > 1) {
        qsort(set->cookie, set->count, sizeof(*set->cookie), compare);
    }
}

bool cookie_set_has(const struct cookie_set *set, uint64_t cookie)
{
    return set->count > 0 &&
           bsearch(&cookie, set->cookie, set->count, sizeof(cookie), compare) != NULL;
}

void cookie_set_done(struct cookie_set *set)
{
    free(set->cookie);
    *set = (struct cookie_set){.cookie = NULL};
}

/**
 * Connections that were reset by the client before anybody accepted them: none any more, but still
 * in the queue. The two numbers are not of the same instant: what came between makes it negative.
 */
static int64_t reset_count(uint32_t queued, size_t waiting)
{
    return queued > waiting ? (int64_t)(queued - waiting) : 0;
}

/** Whether somebody accepted between the last sample and this one. */
static bool accept_seen(const struct hang *h, const struct hang_sample *s)
{
    if (s->queued < h->queued) {
        return true;
    }
    for (size_t i = 0; i < s->accepted.count; i++) {
        if (!cookie_set_has(&h->accepted, s->accepted.cookie[i])) {
            return true;
        }
    }
    int64_t vanished = 0;
    for (size_t i = 0; i < h->waiting.count; i++) {
        vanished += !cookie_set_has(&s->waiting, h->waiting.cookie[i]);
    }
    return vanished >
           reset_count(s->queued, s->waiting.count) - reset_count(h->queued, h->waiting.count);
}

static int64_t patience(const struct hang *h, const struct hang_sample *s)
{
    return h->patience_ms > s->after_ms ? h->patience_ms : s->after_ms;
}

/** Learns how long a living server may take; once may have been a real hang. */
static void learn(struct hang *h, const struct hang_sample *s)
{
    int64_t gap_ms = tm_diff_ms(s->at, h->last_life);
    if (gap_ms < s->after_ms / 2) {
        return;
    }
    if (2 * gap_ms > (int64_t)HANG_LEARN_TIMES * s->after_ms) {
        h->slow_accepts = 0;
        return;
    }
    if (++h->slow_accepts >= 2 && 2 * gap_ms > patience(h, s)) {
        h->patience_ms = 2 * gap_ms;
    }
}

static void move(struct cookie_set *to, struct cookie_set *from)
{
    cookie_set_done(to);
    *to = *from;
    *from = (struct cookie_set){.cookie = NULL};
}

static enum hang_verdict alive(struct hang *h, struct tm_us at)
{
    bool back = h->hung;
    h->hung = false;
    h->growths = 0;
    h->stopped = false;
    h->last_life = at;
    return back ? HANG_BACK : HANG_SAME;
}

static enum hang_verdict judge(struct hang *h, const struct hang_sample *s)
{
    if (!h->begun) {
        h->growths = s->queued > 0;
        h->last_life = s->at;
        return HANG_SAME;
    }
    if (s->looked && accept_seen(h, s)) {
        if (h->queued > 0 && !h->stopped) {
            learn(h, s);
        }
        return alive(h, s->at);
    }
    if (s->queued == 0) {
        return alive(h, s->at);
    }
    h->stopped = h->stopped || s->stopped;
    if (h->queued == 0 && s->active) {
        h->last_life = s->at;
    } else if (h->queued == 0 && s->doubt && !s->stopped) {
        struct tm_us begin = tm_add_ms(s->at, HANG_DOUBT_MS - patience(h, s));
        h->last_life = tm_before(h->last_life, begin) ? begin : h->last_life;
    }
    bool full = s->queued > s->backlog;
    if (s->queued > h->queued || full) {
        h->growths++;
    }
    bool enough = (h->growths >= 2 && s->after_ms > 0) || (h->growths >= 1 && s->stopped);
    int64_t limit = s->stopped ? HANG_STOPPED_MS : patience(h, s);
    if (h->hung || !enough || tm_diff_ms(s->at, h->last_life) < limit) {
        return HANG_SAME;
    }
    h->hung = true;
    return HANG_HUNG;
}

enum hang_verdict hang_step(struct hang *h, struct hang_sample *sample)
{
    enum hang_verdict verdict = judge(h, sample);
    h->begun = true;
    h->queued = sample->queued;
    if (sample->looked) {
        move(&h->waiting, &sample->waiting);
        move(&h->accepted, &sample->accepted);
    } else if (sample->queued == 0) {
        h->waiting.count = 0;
    }
    return verdict;
}

void hang_quiet(struct hang *h, struct tm_us now)
{
    if (h->begun && h->queued == 0) {
        h->last_life = now;
    }
}

bool hang_suspect(const struct hang *h, struct tm_us now)
{
    return h->begun && h->queued > 0 && !h->hung && tm_diff_ms(now, h->last_life) < HANG_SUSPECT_MS;
}

void hang_done(struct hang *h)
{
    cookie_set_done(&h->waiting);
    cookie_set_done(&h->accepted);
    *h = (struct hang){.begun = false};
}
