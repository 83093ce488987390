/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * $RSP_POLICY: "rr", "wrr:weight=3", "lu:load=25%,slow-start=10s", or a number for a policy that is
 * not in this short table: "0x40000001:0". The full table is the handlespace's; the shim links libc
 * alone.
 */
#include <stdlib.h>
#include <string.h>

#include "preload/config.h"

static const struct {
    const char *name;
    uint32_t type;
    const char *words[POLICY_WORDS_MAX];
} known[] = {
    {"rr", POLICY_RR, {NULL}},
    {"wrr", POLICY_WRR, {"weight", NULL}},
    {"rand", POLICY_RAND, {NULL}},
    {"random", POLICY_RAND, {NULL}},
    {"wrand", POLICY_WRAND, {"weight", NULL}},
    {"prio", POLICY_PRIO, {"priority", NULL}},
    {"lu", POLICY_LU, {"load", NULL}},
    {"lud", POLICY_LUD, {"load", "degradation", NULL}},
    {"plu", POLICY_PLU, {"load", "degradation", NULL}},
    {"rlu", POLICY_RLU, {"load", NULL}},
    {"rplu", POLICY_RPLU, {"load", "degradation", NULL}},
    {"rlud", POLICY_RLUD, {"load", "degradation", NULL}},
    {"plud", POLICY_PLUD, {"load", "degradation", NULL}},
    {"rplud", POLICY_RPLUD, {"load", "degradation", NULL}},
    {"wrand-dpf", POLICY_WRAND_DPF, {"weight", "dpf", "distance", NULL}},
    {"lu-dpf", POLICY_LU_DPF, {"load", "dpf", "distance", NULL}},
    {"lud-dpf", POLICY_LUD_DPF, {"load", "degradation", "dpf", "distance"}},
};
#define KNOWN_COUNT (sizeof(known) / sizeof(known[0]))

#define SLOW_START     "slow-start="
#define SLOW_START_MIN 100u     /* ms */
#define SLOW_START_MAX 3600000u /* ms */

/** One "[name=]number[%]" up to the next separator; false when it is none. */
static bool read_word(const char **pos, char name[16], uint32_t *value)
{
    size_t len = strcspn(*pos, "=:,");
    name[0] = '\0';
    if ((*pos)[len] == '=') {
        if (len >= 16) {
            return false;
        }
        memcpy(name, *pos, len);
        name[len] = '\0';
        *pos += len + 1;
    }
    char *end;
    unsigned long long n = strtoull(*pos, &end, 0);
    if (end == *pos) {
        return false;
    }
    unsigned long long millionths = 0;
    bool fraction = *end == '.';
    if (fraction) {
        unsigned long long unit = 100000;
        for (end++; *end >= '0' && *end <= '9'; end++, unit /= 10) {
            millionths += (unsigned long long)(*end - '0') * unit;
        }
    }
    if (*end == '%') {
        end++;
        if (n > 100) {
            return false;
        }
        millionths += n * 1000000;
        if (millionths > 100000000) {
            return false;
        }
        n = (millionths * LOAD_FULL + 50000000) / 100000000;
    } else if (fraction) {
        return false;
    }
    if (n > UINT32_MAX || (*end != '\0' && *end != ':' && *end != ',')) {
        return false;
    }
    *value = (uint32_t)n;
    *pos = *end != '\0' ? end + 1 : end;
    return true;
}

/** "250ms", "10s", "1.5min" up to the next separator, as rspctl(1) takes it; false when it is none.
 */
static bool read_slow_start(const char **pos, uint32_t *ret_ms)
{
    static const struct {
        const char *unit;
        uint32_t ms;
    } units[] = {{"ms", 1},      {"s", 1000},  {"", 1000},    {"sec", 1000},
                 {"min", 60000}, {"m", 60000}, {"h", 3600000}};
    uint64_t thousandths = 0;
    const char *p = *pos;
    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9' && thousandths < UINT32_MAX; p++) {
        thousandths = thousandths * 10 + (uint64_t)(*p - '0') * 1000;
    }
    if (*p == '.') {
        unsigned unit = 100;
        for (p++; *p >= '0' && *p <= '9'; p++, unit /= 10) {
            thousandths += (uint64_t)(*p - '0') * unit;
        }
    }
    size_t len = strcspn(p, ":,");
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strlen(units[i].unit) == len && strncmp(p, units[i].unit, len) == 0) {
            uint64_t ms = (thousandths * units[i].ms + 500) / 1000;
            *ret_ms = (uint32_t)ms;
            *pos = p[len] != '\0' ? p + len + 1 : p + len;
            return ms >= SLOW_START_MIN && ms <= SLOW_START_MAX;
        }
    }
    return false;
}

/** The next word of a policy, which is the `k`-th of the table or none of it. */
static bool take_word(const char **pos, size_t k, unsigned i, struct policy *policy)
{
    char name[16];
    uint32_t value;
    if (!read_word(pos, name, &value)) {
        return false;
    }
    unsigned at = i;
    if (name[0] != '\0' && k < KNOWN_COUNT) {
        at = 0;
        while (at < policy->word_count && strcmp(known[k].words[at], name) != 0) {
            at++;
        }
    }
    if (at >= POLICY_WORDS_MAX || (k < KNOWN_COUNT && at >= policy->word_count)) {
        return false;
    }
    policy->words[at] = value;
    if (at >= policy->word_count) {
        policy->word_count = (uint8_t)(at + 1);
    }
    return true;
}

/** Whether a slow start means anything: there is a load that it can raise. */
static bool has_load(size_t k)
{
    return k >= KNOWN_COUNT ||
           (known[k].words[0] != NULL && strcmp(known[k].words[0], "load") == 0);
}

bool pre_policy_parse(const char *text, struct policy *ret, uint32_t *ret_slow_start_ms)
{
    size_t len = strcspn(text, ":");
    size_t k = 0;
    while (k < KNOWN_COUNT &&
           !(strlen(known[k].name) == len && strncasecmp(text, known[k].name, len) == 0)) {
        k++;
    }
    struct policy policy = {.type = POLICY_NONE};
    uint32_t slow_start_ms = 0;
    if (k < KNOWN_COUNT) {
        policy.type = known[k].type;
        for (unsigned i = 0; i < POLICY_WORDS_MAX && known[k].words[i] != NULL; i++) {
            const char *word = known[k].words[i];
            policy.words[i] = strcmp(word, "weight") == 0 || strcmp(word, "priority") == 0;
            policy.word_count++;
        }
    } else {
        char *end;
        policy.type = (uint32_t)strtoul(text, &end, 0);
        if (end != text + len || policy.type == POLICY_NONE) {
            return false;
        }
    }
    const char *pos = text[len] == ':' ? text + len + 1 : text + len;
    for (unsigned i = 0; *pos != '\0';) {
        if (strncmp(pos, SLOW_START, strlen(SLOW_START)) == 0) {
            pos += strlen(SLOW_START);
            if (slow_start_ms != 0 || !has_load(k) || !read_slow_start(&pos, &slow_start_ms)) {
                return false;
            }
        } else if (!take_word(&pos, k, i++, &policy)) {
            return false;
        }
    }
    *ret = policy;
    *ret_slow_start_ms = slow_start_ms;
    return true;
}
