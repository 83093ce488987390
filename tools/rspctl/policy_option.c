/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* --policy NAME[:WORD=VALUE,...] and --slow-start, which may also be one of the words. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <string.h>

#include "handlespace/policy.h"

#define SLOW_START     "slow-start="
#define SLOW_START_MIN 100u     /* ms */
#define SLOW_START_MAX 3600000u /* ms */

/** Takes "slow-start=..." out of "lu:load=5%,slow-start=10s"; false: there is none. */
static bool cut_word(char *text, char *ret, size_t size)
{
    char *at = strstr(text, ":" SLOW_START);
    at = at != NULL ? at : strstr(text, "," SLOW_START);
    if (at == NULL) {
        return false;
    }
    char *value = at + 1 + strlen(SLOW_START);
    size_t len = strcspn(value, ",");
    (void)snprintf(ret, size, "%.*s", (int)len, value);
    char *rest = value + len;
    if (at[0] == ':' && rest[0] == ',') {
        at++; /* the next word is the first now */
        rest++;
    }
    memmove(at, rest, strlen(rest) + 1);
    return true;
}

static int read_slow_start(struct ctl *ctl, const char *word, struct policy_option *ret)
{
    const char *text = word != NULL ? word : ctl->opt[OPT_SLOW_START];
    const struct policy_info *info = policy_info_by_type(ret->policy.type);
    if (word != NULL && ctl->opt[OPT_SLOW_START] != NULL) {
        return ctl_fail(CTL_USAGE, "--slow-start \"%s\" - --policy names a slow start already",
                        ctl->opt[OPT_SLOW_START]);
    }
    if (text == NULL) {
        return CTL_OK;
    }
    if (!ctl_duration(text, &ret->slow_start_ms) || ret->slow_start_ms < SLOW_START_MIN ||
        ret->slow_start_ms > SLOW_START_MAX) {
        return ctl_fail(CTL_USAGE, "slow start \"%s\" - write 100ms to 1h", text);
    }
    if (info != NULL && !info->adaptive) {
        return ctl_fail(CTL_USAGE,
                        "slow start needs a policy with a load, such as lu; %s has none - see "
                        "\"rspctl policies\"",
                        info->name);
    }
    return CTL_OK;
}

int policy_read(struct ctl *ctl, struct policy_option *ret)
{
    const char *given = ctl->opt[OPT_POLICY];
    char word[POLICY_OPTION_MAX];
    char error[160] = "too long";
    bool cut = false;
    *ret = (struct policy_option){.policy.type = POLICY_NONE};
    if (given != NULL) {
        int len = snprintf(ret->text, sizeof(ret->text), "%s", given);
        bool fits = len >= 0 && (size_t)len < sizeof(ret->text);
        cut = fits && cut_word(ret->text, word, sizeof(word));
        if (!fits || policy_parse(ret->text, &ret->policy, error, sizeof(error)) != 0) {
            return ctl_fail(CTL_USAGE, "--policy \"%s\": %s - see \"rspctl policies\"", given,
                            error);
        }
    }
    return read_slow_start(ctl, cut ? word : NULL, ret);
}
