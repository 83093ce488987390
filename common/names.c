/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Host names <-> pool handles; own character classes, so that no locale can change the answer. */
#include "common/names.h"

#include <errno.h>
#include <string.h>

#define NAME_MAX_LEN (NAME_TEXT_MAX - 1)

static char fold(char c)
{
    static const char lower[] = "abcdefghijklmnopqrstuvwxyz";
    if (c >= 'A' && c <= 'Z') {
        return lower[c - 'A'];
    }
    return c;
}

/** Octets that stand for themselves in a canonical name, the dot excepted. */
static bool is_plain(uint8_t c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = fold(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static const char *without_dot(const char *suffix)
{
    return suffix[0] == '.' ? suffix + 1 : suffix;
}

/** Length of the part before the suffix, its dot excluded; -1 when the name has not this suffix. */
static int prefix_length(const char *name, const char *suffix)
{
    suffix = without_dot(suffix);
    size_t name_len = strlen(name);
    size_t suffix_len = strlen(suffix);
    if (name_len > 0 && name[name_len - 1] == '.') {
        name_len--;
    }
    if (suffix_len == 0 || name_len < suffix_len + 2) {
        return -1;
    }
    size_t at = name_len - suffix_len;
    if (name[at - 1] != '.' || at - 1 > INT16_MAX) {
        return -1;
    }
    for (size_t i = 0; i < suffix_len; i++) {
        if (fold(name[at + i]) != fold(suffix[i])) {
            return -1;
        }
    }
    return (int)(at - 1);
}

bool name_has_suffix(const char *name, const char *suffix)
{
    return prefix_length(name, suffix) > 0;
}

bool name_suffix_valid(const char *suffix)
{
    suffix = without_dot(suffix);
    size_t len = strlen(suffix);
    if (len == 0 || len > NAME_SUFFIX_TEXT_MAX - 2) {
        return false;
    }
    size_t label = 0;
    for (size_t i = 0; i < len; i++) {
        if (suffix[i] == '.') {
            if (label == 0) {
                return false;
            }
            label = 0;
        } else if (is_plain((uint8_t)fold(suffix[i]))) {
            label++;
        } else {
            return false;
        }
        if (label > NAME_LABEL_MAX) {
            return false;
        }
    }
    return label > 0;
}

/** Whether the labels of name[0 … len) are neither empty nor too long: 0 or -errno. */
static int check_labels(const char *name, size_t len)
{
    size_t label = 0;
    for (size_t i = 0; i <= len; i++) {
        if (i < len && name[i] != '.') {
            label++;
            continue;
        }
        if (label == 0) {
            return -EINVAL;
        }
        if (label > NAME_LABEL_MAX) {
            return -ENAMETOOLONG;
        }
        label = 0;
    }
    return 0;
}

static bool is_escaped(const char *name, size_t len)
{
    return len >= 3 && fold(name[0]) == 'x' && name[1] == '-' && name[2] == '-';
}

static int from_hex(const char *hex, size_t len, uint8_t *out, size_t size)
{
    size_t used = 0;
    int high = -1;
    for (size_t i = 0; i < len; i++) {
        if (hex[i] == '.') {
            continue;
        }
        int digit = hex_value(hex[i]);
        if (digit < 0) {
            return -EINVAL;
        }
        if (high < 0) {
            high = digit;
            continue;
        }
        if (used == size) {
            return -ENAMETOOLONG;
        }
        out[used++] = (uint8_t)(high << 4 | digit);
        high = -1;
    }
    return high >= 0 || used == 0 ? -EINVAL : (int)used;
}

int name_to_handle(const char *name, const char *suffix, uint8_t *out, size_t size)
{
    int prefix = prefix_length(name, suffix);
    if (prefix <= 0) {
        return -ENOENT;
    }
    size_t len = (size_t)prefix;
    int r = check_labels(name, len);
    if (r < 0) {
        return r;
    }
    if (len + 1 + strlen(without_dot(suffix)) > NAME_MAX_LEN) {
        return -ENAMETOOLONG;
    }
    if (is_escaped(name, len)) {
        return from_hex(name + 3, len - 3, out, size);
    }
    if (len > size) {
        return -ENAMETOOLONG;
    }
    for (size_t i = 0; i < len; i++) {
        uint8_t c = (uint8_t)fold(name[i]);
        if (!is_plain(c) && c != '.' && c != '_') {
            return -EINVAL;
        }
        out[i] = c;
    }
    return prefix;
}

static bool handle_is_plain(struct pool_handle handle)
{
    const char *text = (const char *)handle.octets;
    for (size_t i = 0; i < handle.len; i++) {
        if (!is_plain(handle.octets[i]) && handle.octets[i] != '.') {
            return false;
        }
    }
    return !is_escaped(text, handle.len) && check_labels(text, handle.len) == 0;
}

/** Appends a character, true while it fits with its terminator into a name. */
static bool put(char *out, size_t size, size_t *used, char c)
{
    if (*used + 1 >= size || *used >= NAME_MAX_LEN) {
        return false;
    }
    out[(*used)++] = c;
    out[*used] = '\0';
    return true;
}

static bool put_escaped(struct pool_handle handle, char *out, size_t size, size_t *used)
{
    static const char digits[] = "0123456789abcdef";
    bool ok = put(out, size, used, 'x') && put(out, size, used, '-') && put(out, size, used, '-');
    size_t label = 3;
    for (size_t i = 0; ok && i < handle.len; i++) {
        if (label + 2 > NAME_LABEL_MAX) {
            ok = put(out, size, used, '.');
            label = 0;
        }
        ok = ok && put(out, size, used, digits[handle.octets[i] >> 4]) &&
             put(out, size, used, digits[handle.octets[i] & 15]);
        label += 2;
    }
    return ok;
}

int name_from_handle(struct pool_handle handle, const char *suffix, char *out, size_t size)
{
    if (size == 0) {
        return -ENAMETOOLONG;
    }
    out[0] = '\0';
    if (handle.len == 0) {
        return -EINVAL;
    }
    size_t used = 0;
    bool ok = true;
    if (handle_is_plain(handle)) {
        for (size_t i = 0; ok && i < handle.len; i++) {
            ok = put(out, size, &used, (char)handle.octets[i]);
        }
    } else {
        ok = put_escaped(handle, out, size, &used);
    }
    ok = ok && put(out, size, &used, '.');
    for (const char *c = without_dot(suffix); ok && *c != '\0'; c++) {
        ok = put(out, size, &used, fold(*c));
    }
    if (!ok) {
        out[0] = '\0';
        return -ENAMETOOLONG;
    }
    return (int)used;
}
