/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/role.h"

#include <stdarg.h>
#include <stdio.h>

#define LISTEN_CYCLES   3
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

static struct tm_us listening_end(struct role *role, struct tm_us now)
{
    return tm_add_ms(now, (int64_t)role->settings.announce_ms * LISTEN_CYCLES +
                              (int64_t)rnd_below(&role->rnd, LISTEN_EXTRA_MS + 1));
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
        role->decide_at = listening_end(role, now);
        because(role, "for this host alone, while listening for others");
    }
}

/** The end of the listening time, or nothing to listen on. */
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

/** Decided: has the scope changed so that it must be decided again? */
static bool watch(struct role *role, const struct role_view *view, struct tm_us now)
{
    bool too_many = role->registrar && view->others + 1 > role->settings.most &&
                    view->lower_ids >= role->settings.most;
    bool too_few = !role->registrar && view->others < role->settings.wanted;
    if (!too_many && !too_few) {
        role->decide_at = TM_NEVER;
        return false;
    }
    if (tm_is_never(role->decide_at)) {
        role->decide_at = listening_end(role, now);
        return false;
    }
    if (!tm_due(role->decide_at, now)) {
        return false;
    }
    role->decide_at = TM_NEVER;
    role->registrar = too_few;
    if (too_few) {
        because(role, "the registrars heard before are gone: %u left, %u wanted", view->others,
                role->settings.wanted);
    } else {
        because(role,
                "%u other registrars are heard, %u with a lower identifier; at most %u wanted",
                view->others, view->lower_ids, role->settings.most);
    }
    return true;
}

bool role_step(struct role *role, const struct role_view *view, struct tm_us now)
{
    if (role->settings.mode != ROLE_AUTO || role->settings.registrars_given) {
        return false;
    }
    if (!role->decided) {
        /* Enough of them is enough, however long is left to listen. */
        bool settled = !view->can_hear || view->others >= role->settings.wanted;
        return settled || tm_due(role->decide_at, now) ? decide(role, view) : false;
    }
    return watch(role, view, now);
}

struct tm_us role_next(const struct role *role)
{
    return role->decide_at;
}
