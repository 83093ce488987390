/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Inside of settings: the table of keys and the types of their values. */
#ifndef RSP_RSPD_SETTINGS_TABLE_H
#define RSP_RSPD_SETTINGS_TABLE_H

#include "rspd/settings.h"

/** How a value is written and where it goes. */
enum setting_type {
    SETTING_BOOL,       /* uint32_t; yes no true false on off 1 0 */
    SETTING_NUMBER,     /* uint32_t, also 0x… */
    SETTING_MS,         /* uint32_t milliseconds: 250ms, 5s, 10min, 1h */
    SETTING_US,         /* uint32_t microseconds: also 500us */
    SETTING_PORT,       /* uint32_t 0 … 65535 */
    SETTING_WORD,       /* char[]: letters, digits, - _ . */
    SETTING_TEXT,       /* char[] */
    SETTING_CHOICE,     /* uint32_t: place in `choices` */
    SETTING_SCOPE_RANK, /* uint32_t enum ip_scope */
    SETTING_LOG_LEVEL,  /* uint32_t enum log_level */
    SETTING_ADDRESS,    /* struct ip_address, or "any" */
    SETTING_PREFIX4,    /* struct settings_prefix of that family */
    SETTING_PREFIX6,
    SETTING_PREFIXES, /* lists, separated by blanks or commas */
    SETTING_REGISTRARS,
    SETTING_GROUPS,
    SETTING_SUFFIXES,
    SETTING_USERS, /* struct settings_ids */
    SETTING_GROUP_IDS,
    SETTING_HANDLE,   /* uint8_t[POOL_HANDLE_MAX] followed by its uint16_t length */
    SETTING_PROTOCOL, /* uint32_t enum transport_protocol: tcp udp sctp any */
    SETTING_POLICY    /* struct policy */
};

struct setting {
    const char *section;
    const char *key;
    enum setting_type type;
    size_t offset, size;
    /* Built-in value; where profiles differ: rfc, rsplib, lan, fast. NULL: decided at start. */
    const char *values[PROFILES];
    uint32_t min, max;
    const char *const *choices; /* SETTING_CHOICE: NULL-terminated */
    bool reloadable;
    const char *option;   /* "--name", or NULL: only by --set */
    const char *argument; /* its name in the help */
    const char *help;
};

/** An option that is not a setting. */
struct settings_option {
    const char *name, *argument, *help;
    int mode; /* enum settings_mode it asks for, or -1 */
};
#define SETTINGS_OPTIONS 6
extern const struct settings_option settings_options[SETTINGS_OPTIONS];

/** The i-th key of the plain sections, of [Pool …], of [Program …]; NULL past the end. */
const struct setting *setting_at(size_t i);
const struct setting *setting_pool_at(size_t i);
const struct setting *setting_program_at(size_t i);

/**
 * Reads `text` into the field of `base` that `s` names; lists are appended to.
 * Returns 0, or -EINVAL with what is wrong and what is allowed in `error`.
 */
int setting_parse(const struct setting *s, const char *text, void *base, char *error,
                  size_t error_size);
/** Empties a list (or any other value). */
void setting_clear(const struct setting *s, void *base);
bool setting_is_list(const struct setting *s);
/** "100ms … 60s", "yes or no" …; returns out. */
const char *setting_allowed(const struct setting *s, char *out, size_t size);

/** How many edits make one word the other; case does not count. */
size_t setting_distance(const char *a, const char *b);

#endif
