/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Program rules: a list; hosts have a handful. */
#include "rspd/local/rules.h"

#include "common/bindmap.h"
#include "rspd/local/ramp.h"

#include <errno.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct rules {
    struct rule *rule;
    size_t count;
    size_t room;
};

int rules_new(struct rules **ret)
{
    struct rules *rules = (struct rules *)calloc(1, sizeof(*rules));
    if (rules == NULL) {
        return -ENOMEM;
    }
    *ret = rules;
    return 0;
}

void rules_free(struct rules *rules)
{
    if (rules != NULL) {
        free(rules->rule);
        free(rules);
    }
}

void rules_clear(struct rules *rules)
{
    rules->count = 0;
}

int rules_add(struct rules *rules, const struct rule *rule, char *error, size_t error_size)
{
    if (rule->exe[0] != '/') {
        (void)snprintf(error, error_size, "\"%.80s\" is not an absolute path", rule->exe);
        return -EINVAL;
    }
    if (rule->handle_len == 0 || rule->handle_len > RULE_HANDLE_MAX) {
        (void)snprintf(error, error_size, "the rule for \"%.80s\" names no pool", rule->exe);
        return -EINVAL;
    }
    if (ramp_check(&rule->policy, rule->slow_start_ms, error, error_size) != 0) {
        return -EINVAL;
    }
    if (rules->count == RULES_MAX) {
        (void)snprintf(error, error_size, "more than %d program rules", RULES_MAX);
        return -ENOSPC;
    }
    if (rules->count == rules->room) {
        size_t room = rules->room > 0 ? rules->room * 2 : 16;
        void *grown = reallocarray(rules->rule, room, sizeof(*rules->rule));
        if (grown == NULL) {
            (void)snprintf(error, error_size, "out of memory");
            return -ENOMEM;
        }
        rules->rule = (struct rule *)grown;
        rules->room = room;
    }
    rules->rule[rules->count++] = *rule;
    return 0;
}

int rules_add_bind(struct rules *rules, const struct rule *base, const char *bind, char *error,
                   size_t error_size)
{
    size_t before = rules->count;
    int r = bindmap_check(bind, error, error_size);
    struct bindmap_entry entry;
    const char *pos = bind;
    while (r == 0 && bindmap_next(&pos, &entry) > 0) {
        struct rule rule = *base;
        rule.protocol = entry.protocol;
        rule.port = entry.port;
        if (entry.handle.len > RULE_HANDLE_MAX) {
            (void)snprintf(error, error_size, "a pool name has more than %d octets",
                           RULE_HANDLE_MAX);
            r = -EINVAL;
            break;
        }
        if (entry.handle.len > 0) {
            memcpy(rule.handle, entry.handle.octets, entry.handle.len);
            rule.handle_len = entry.handle.len;
        }
        r = rules_add(rules, &rule, error, error_size);
    }
    if (r < 0) {
        rules->count = before;
    }
    return r;
}

/** Those with this very text as path or pattern. */
static size_t collect(const struct rules *rules, const char *text, const struct rule **ret,
                      size_t max)
{
    size_t n = 0;
    for (size_t i = 0; i < rules->count && n < max; i++) {
        if (strcmp(rules->rule[i].exe, text) == 0) {
            ret[n++] = &rules->rule[i];
        }
    }
    return n;
}

size_t rules_find(const struct rules *rules, const char *exe, const struct rule **ret, size_t max)
{
    size_t n = collect(rules, exe, ret, max);
    for (size_t i = 0; n == 0 && i < rules->count; i++) {
        const char *pattern = rules->rule[i].exe;
        if (fnmatch(pattern, exe, FNM_PATHNAME) == 0) {
            n = collect(rules, pattern, ret, max);
            break;
        }
    }
    return n;
}
