/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of policies, and their text form. */
#include "handlespace/policy.h"

#include "handlespace/policy_ops.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define POLICY_ENTRY(name) &policy_##name,
static const struct policy_ops *const POLICIES[] = {POLICY_TABLE(POLICY_ENTRY)};
#define POLICY_COUNT (sizeof(POLICIES) / sizeof(POLICIES[0]))

const struct policy_ops *policy_ops_by_type(uint32_t type)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        if (POLICIES[i]->info.type == type) {
            return POLICIES[i];
        }
    }
    return NULL;
}

const struct policy_info *policy_info_by_type(uint32_t type)
{
    const struct policy_ops *ops = policy_ops_by_type(type);
    return ops != NULL ? &ops->info : NULL;
}

static const struct policy_ops *ops_by_name(const char *name, size_t len)
{
    for (size_t i = 0; i < POLICY_COUNT; i++) {
        const char *names[] = {POLICIES[i]->info.name, POLICIES[i]->alias};
        for (int j = 0; j < 2; j++) {
            if (names[j] != NULL && strlen(names[j]) == len &&
                strncasecmp(names[j], name, len) == 0) {
                return POLICIES[i];
            }
        }
    }
    return NULL;
}

const struct policy_info *policy_info_by_name(const char *name)
{
    const struct policy_ops *ops = ops_by_name(name, strlen(name));
    return ops != NULL ? &ops->info : NULL;
}

const struct policy_info *policy_info_at(size_t i)
{
    return i < POLICY_COUNT ? &POLICIES[i]->info : NULL;
}

/* Decimal digits only; false when there are none, or the value exceeds `max`. */
static bool parse_digits(const char **text, uint64_t max, uint64_t *ret)
{
    uint64_t value = 0;
    const char *p = *text;
    while (*p >= '0' && *p <= '9') {
        value = value * 10 + (uint64_t)(*p++ - '0');
        if (value > max) {
            return false;
        }
    }
    if (p == *text) {
        return false;
    }
    *text = p;
    *ret = value;
    return true;
}

/* "25%", "12.5 %": up to six decimals. */
static bool parse_share(const char *text, uint32_t *ret)
{
    uint64_t whole;
    if (!parse_digits(&text, 100, &whole)) {
        return false;
    }
    uint64_t millionths = whole * 1000000;
    if (*text == '.') {
        text++;
        uint64_t unit = 100000;
        const char *start = text;
        for (; *text >= '0' && *text <= '9'; text++, unit /= 10) {
            millionths += (uint64_t)(*text - '0') * unit;
        }
        if (text == start) {
            return false;
        }
    }
    text += *text == ' ' ? 1 : 0;
    if (strcmp(text, "%") != 0 || millionths > 100000000) {
        return false;
    }
    *ret = (uint32_t)((millionths * LOAD_FULL + 50000000) / 100000000);
    return true;
}

static bool parse_word(enum word_kind kind, const char *text, uint32_t *ret)
{
    if (kind == WORD_SHARE) {
        return parse_share(text, ret);
    }
    uint64_t value;
    if (!parse_digits(&text, UINT32_MAX, &value) || *text != '\0') {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

static void list_policies(char *out, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < POLICY_COUNT && used < size; i++) {
        int n =
            snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "", POLICIES[i]->info.name);
        used += n > 0 ? (size_t)n : 0;
    }
}

/* Those that can be given. */
static void list_words(const struct policy_ops *ops, char *out, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < ops->info.word_count && used < size; i++) {
        if (ops->word_kinds[i] != WORD_MEASURED) {
            int n = snprintf(out + used, size - used, "%s%s", i > 0 ? ", " : "",
                             ops->info.word_names[i]);
            used += n > 0 ? (size_t)n : 0;
        }
    }
}

static int word_index(const struct policy_ops *ops, const char *name, size_t len)
{
    for (int i = 0; i < ops->info.word_count; i++) {
        if (strlen(ops->info.word_names[i]) == len &&
            strncasecmp(ops->info.word_names[i], name, len) == 0) {
            return i;
        }
    }
    return -1;
}

/* One "name=value". */
static int parse_assignment(const struct policy_ops *ops, const char *text, size_t len,
                            struct policy *policy, char *error, size_t error_size)
{
    const char *equals = memchr(text, '=', len);
    size_t name_len = equals != NULL ? (size_t)(equals - text) : len;
    int i = word_index(ops, text, name_len);
    if (i < 0) {
        if (ops->info.word_count == 0) {
            (void)snprintf(error, error_size, "policy %s has no parameters, but \"%.*s\" is given",
                           ops->info.name, (int)name_len, text);
        } else {
            char known[64] = "";
            list_words(ops, known, sizeof(known));
            (void)snprintf(error, error_size, "policy %s has no parameter \"%.*s\"; it has %s",
                           ops->info.name, (int)name_len, text, known);
        }
        return -EINVAL;
    }
    if (ops->word_kinds[i] == WORD_MEASURED) {
        (void)snprintf(error, error_size, "%s of policy %s is measured and cannot be given",
                       ops->info.word_names[i], ops->info.name);
        return -EINVAL;
    }
    char value[32] = "";
    size_t value_len = equals != NULL ? len - name_len - 1 : 0;
    if (value_len > 0 && value_len < sizeof(value)) {
        memcpy(value, equals + 1, value_len);
        value[value_len] = '\0';
    }
    if (!parse_word(ops->word_kinds[i], value, &policy->words[i])) {
        const char *wanted = ops->word_kinds[i] == WORD_SHARE ? "a percentage such as 25%"
                                                              : "a whole number up to 4294967295";
        (void)snprintf(error, error_size, "%s of policy %s wants %s, not \"%s\"",
                       ops->info.word_names[i], ops->info.name, wanted, value);
        return -EINVAL;
    }
    return 0;
}

int policy_parse(const char *text, struct policy *ret, char *error, size_t error_size)
{
    size_t name_len = strcspn(text, ":");
    const struct policy_ops *ops = ops_by_name(text, name_len);
    if (ops == NULL) {
        char known[160] = "";
        list_policies(known, sizeof(known));
        (void)snprintf(error, error_size, "unknown policy \"%.*s\"; there are %s",
                       name_len < 64 ? (int)name_len : 64, text, known);
        return -EINVAL;
    }
    struct policy policy = {.type = ops->info.type, .word_count = ops->info.word_count};
    for (int i = 0; i < policy.word_count; i++) {
        policy.words[i] = ops->word_kinds[i] == WORD_NUMBER ? 1 : 0;
    }
    const char *p = text + name_len;
    while (*p != '\0') {
        p++;
        size_t len = strcspn(p, ":,");
        int result = parse_assignment(ops, p, len, &policy, error, error_size);
        if (result < 0) {
            return result;
        }
        p += len;
    }
    *ret = policy;
    return 0;
}

const char *policy_word_form(const struct policy_info *info, size_t i)
{
    const struct policy_ops *ops = policy_ops_by_type(info->type);
    switch (ops != NULL && i < info->word_count ? ops->word_kinds[i] : WORD_NONE) {
    case WORD_NUMBER:
        return "number";
    case WORD_SHARE:
        return "percentage";
    case WORD_MEASURED:
        return "measured";
    case WORD_NONE:
        break;
    }
    return "";
}

const char *policy_format(const struct policy *policy, char *out, size_t size)
{
    const struct policy_ops *ops = policy_ops_by_type(policy->type);
    if (ops == NULL) {
        (void)snprintf(out, size, "policy 0x%08x", policy->type);
        return out;
    }
    int n = snprintf(out, size, "%s", ops->info.title);
    size_t used = n > 0 ? (size_t)n : 0;
    for (int i = 0; i < ops->info.word_count && i < policy->word_count && used < size; i++) {
        uint32_t word = policy->words[i];
        if (ops->word_kinds[i] == WORD_SHARE) {
            uint64_t tenths = ((uint64_t)word * 1000 + LOAD_FULL / 2) / LOAD_FULL;
            n = snprintf(out + used, size - used, ", %s %u.%u %%", ops->info.word_names[i],
                         (unsigned)(tenths / 10), (unsigned)(tenths % 10));
        } else {
            n = snprintf(out + used, size - used, ", %s %u%s", ops->info.word_names[i], word,
                         ops->word_kinds[i] == WORD_MEASURED ? " ms" : "");
        }
        used += n > 0 ? (size_t)n : 0;
    }
    return out;
}
