/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/role.h"

#include <stdarg.h>
#include <stdio.h>

#define LISTEN_CYCLES   3
#define YIELD_CYCLES    12 /* longer than one that stepped down counts as heard */
#define LISTEN_EXTRA_MS 2000

static void because(struct role *role, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void because(struct role *role, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(role->why, sizeof(role->why), format, args);
    va_end(args);
}

static struct tm_us listening_end(struct role *role, unsigned cycles, uint32_t extra_ms,
                                  struct tm_us now)
{
    return tm_add_ms(now, (int64_t)role->settings.announce_ms * cycles +
                              (int64_t)rnd_below(&role->rnd, (uint64_t)extra_ms + 1));
}

/** So long registrars that are as many as wanted may leave us without a word of one of them. */
static int64_t all_heard_ms(const struct role_settings *s)
{
    int64_t period = (int64_t)s->announce_ms * s->wanted; /* asap.md A-101, varied by 1/8 */
    return period + period / 8 + s->announce_ms / 8;
}

void role_init(struct role *role, const struct role_settings *settings, uint64_t seed,
               struct tm_us now)
{
    *role = (struct role){.settings = *settings, .decided = true, .decide_at = TM_NEVER};
    rnd_seed(&role->rnd, seed);
    if (settings->mode != ROLE_AUTO) {
        role->registrar = settings->mode == ROLE_YES;
        because(role, "%s", role->registrar ? "as set" : "set not to be one");
    } else if (settings->registrars_given) {
        because(role, "registrars are given in the settings");
    } else {
        role->registrar = true;
        role->decided = false;
        role->begun = now;
        role->decide_at = listening_end(role, LISTEN_CYCLES, settings->announce_ms, now);
        because(role, "for this host alone, while listening for others");
    }
}

/** The end of the listening time, enough heard, or nothing to listen on. */
static bool decide(struct role *role, const struct role_view *view)
{
    role->decided = true;
    role->decide_at = TM_NEVER;
    role->registrar = view->others < role->settings.wanted;
    if (!view->can_hear) {
        because(role, "no interface but loopback takes multicast, so there is nobody to hear");
    } else if (view->others == 0) {
        because(role, "no other registrar is heard");
    } else {
        because(role, "%u other registrar%s heard, %u wanted", view->others,
                view->others == 1 ? " is" : "s are", role->settings.wanted);
    }
    return true;
}

static void step_down(struct role *role, const struct role_view *view)
{
    role->registrar = false;
    because(role, "%u other registrars are heard, %u with a lower identifier; at most %u wanted",
            view->others, view->lower_ids, role->settings.most);
}

/** Decided: has the scope changed so that it must be decided again? */
static bool watch(struct role *role, const struct role_view *view, struct tm_us now)
{
    const struct role_settings *s = &role->settings;
    bool too_many = role->registrar && view->others + 1 > s->most;
    bool too_few = !role->registrar && view->others < s->wanted;
    if (too_many && view->lower_ids >= s->most) {
        role->decide_at = TM_NEVER;
        step_down(role, view); /* at once: two that do not know of each other split the pools */
        return true;
    }
    /* The only registrar, and another one with a higher identifier that does not step down. */
    bool yields = too_many && s->most == 1;
    if (!yields && !too_few) {
        role->decide_at = TM_NEVER;
        return false;
    }
    if (tm_is_never(role->decide_at)) {
        role->decide_at =
            listening_end(role, yields ? YIELD_CYCLES : LISTEN_CYCLES, LISTEN_EXTRA_MS, now);
        return false;
    }
    if (!tm_due(role->decide_at, now)) {
        return false;
    }
    role->decide_at = TM_NEVER;
    if (yields) {
        step_down(role, view);
    } else {
        role->registrar = true;
        because(role, "the registrars heard before are gone: %u left, %u wanted", view->others,
                s->wanted);
    }
    return true;
}

bool role_step(struct role *role, const struct role_view *view, struct tm_us now)
{
    if (role->settings.mode != ROLE_AUTO || role->settings.registrars_given) {
        return false;
    }
    if (!role->decided) {
        if (view->others > role->others) {
            /* The first ones are there, and wait for us or for one of our kind. */
            uint64_t within = role->settings.announce_ms / 2 + 1;
            struct tm_us soon = tm_add_ms(now, (int64_t)rnd_below(&role->rnd, within));
            struct tm_us all_heard = tm_add_ms(role->begun, all_heard_ms(&role->settings));
            soon = tm_before(soon, all_heard) ? all_heard : soon;
            role->decide_at = tm_min(role->decide_at, soon);
            role->others = view->others;
        }
        /* Enough of them is enough, however long is left to listen. */
        bool settled = !view->can_hear || view->others >= role->settings.wanted;
        return settled || tm_due(role->decide_at, now) ? decide(role, view) : false;
    }
    return watch(role, view, now);
}

void role_retire(struct role *role)
{
    role->settings.mode = ROLE_NO;
    role->registrar = false;
    role->decided = true;
    role->decide_at = TM_NEVER;
    because(role, "told to leave; the next start decides anew");
}

struct tm_us role_next(const struct role *role)
{
    return role->decide_at;
}
