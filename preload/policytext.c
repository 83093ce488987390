/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * $RSP_POLICY: "rr", "wrr:weight=3", "lu:load=25%", or a number for a policy that is not in this
 * short table: "0x40000001:0". The full table is the handlespace's; the shim links libc alone.
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

bool pre_policy_parse(const char *text, struct policy *ret)
{
    size_t len = strcspn(text, ":");
    size_t k = 0;
    while (k < KNOWN_COUNT &&
           !(strlen(known[k].name) == len && strncasecmp(text, known[k].name, len) == 0)) {
        k++;
    }
    struct policy policy = {.type = POLICY_NONE};
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
    for (unsigned i = 0; *pos != '\0'; i++) {
        char name[16];
        uint32_t value;
        if (!read_word(&pos, name, &value)) {
            return false;
        }
        unsigned at = i;
        if (name[0] != '\0' && k < KNOWN_COUNT) {
            at = 0;
            while (at < policy.word_count && strcmp(known[k].words[at], name) != 0) {
                at++;
            }
        }
        if (at >= POLICY_WORDS_MAX || (k < KNOWN_COUNT && at >= policy.word_count)) {
            return false;
        }
        policy.words[at] = value;
        if (at >= policy.word_count) {
            policy.word_count = (uint8_t)(at + 1);
        }
    }
    *ret = policy;
    return true;
}
