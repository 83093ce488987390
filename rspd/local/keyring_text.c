/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Key rings as text: the daemon's file, and what one host hands to the next. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "rspd/local/keyring.h"

#define LINE_LEN_MAX (2 * POOL_HANDLE_MAX + 64)

static char *put_hex(char *out, const uint8_t *octets, size_t len)
{
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < len; i++) {
        *out++ = DIGITS[octets[i] >> 4];
        *out++ = DIGITS[octets[i] & 15];
    }
    *out = '\0';
    return out;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Reads hexadecimal octets up to a blank or the end; how many, or -1. */
static int get_hex(const char *text, uint8_t *out, size_t size)
{
    size_t n = 0;
    for (; *text != '\0' && *text != ' '; text += 2) {
        int high = hex_digit(text[0]);
        int low = high < 0 ? -1 : hex_digit(text[1]);
        if (low < 0 || n == size) {
            return -1;
        }
        out[n++] = (uint8_t)(high << 4 | low);
    }
    return (int)n;
}

int keyring_format(const struct keyring *ring, struct pool_handle pool, uint32_t owner, char *out,
                   size_t size)
{
    char hex[2 * POOL_HANDLE_MAX + 1];
    if (pool.len > POOL_HANDLE_MAX) {
        return -EMSGSIZE;
    }
    (void)put_hex(hex, pool.octets, pool.len);
    int n = snprintf(out, size, "pool %s %u\n", hex, owner);
    size_t used = n > 0 ? (size_t)n : size;
    for (size_t i = 0; i < ring->count && used < size; i++) {
        const struct keyring_key *key = &ring->keys[i];
        (void)put_hex(hex, key->octets, SEAL_KEY_LEN);
        n = snprintf(out + used, size - used, "key %u %" PRIu64 " %" PRIu64 " %" PRIu64 " %s\n",
                     key->id, key->created_s, key->from_s, key->retired_s, hex);
        used += n > 0 ? (size_t)n : size;
    }
    explicit_bzero(hex, sizeof(hex));
    return used < size ? (int)used : -EMSGSIZE;
}

static int wrong(unsigned line, char *error, size_t size, const char *why)
{
    (void)snprintf(error, size, "line %u: %s", line, why);
    return -EINVAL;
}

static bool read_pool(const char *line, struct keyring_text *ret)
{
    int at = 0;
    int end = 0;
    if (sscanf(line, "pool %n%*s %u%n", &at, &ret->owner, &end) != 1 || line[end] != '\0') {
        return false;
    }
    int n = get_hex(line + at, ret->octets, sizeof(ret->octets));
    ret->pool = (struct pool_handle){.octets = ret->octets, .len = n > 0 ? (uint16_t)n : 0};
    return n > 0;
}

static bool read_key(const char *line, struct keyring *ring)
{
    struct keyring_key key;
    int at = 0;
    memset(&key, 0, sizeof(key));
    if (sscanf(line, "key %" SCNu16 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %n", &key.id,
               &key.created_s, &key.from_s, &key.retired_s, &at) != 4 ||
        at == 0 || key.id == 0 || strchr(line + at, ' ') != NULL ||
        get_hex(line + at, key.octets, sizeof(key.octets)) != SEAL_KEY_LEN) {
        return false;
    }
    ring->keys[ring->count++] = key;
    explicit_bzero(&key, sizeof(key));
    return true;
}

/** The next line without its end; false: none. An overlong one, or one with a NUL, is empty. */
static bool next_line(struct keyring_reader *rd, char line[LINE_LEN_MAX], bool *ret_whole)
{
    if (rd->pos >= rd->len) {
        return false;
    }
    const char *start = rd->text + rd->pos;
    const char *newline = (const char *)memchr(start, '\n', rd->len - rd->pos);
    size_t n = newline != NULL ? (size_t)(newline - start) : rd->len - rd->pos;
    *ret_whole = n < LINE_LEN_MAX && memchr(start, '\0', n) == NULL;
    size_t copied = *ret_whole ? n : 0;
    memcpy(line, start, copied);
    line[copied] = '\0';
    rd->pos += n + (newline != NULL ? 1 : 0);
    rd->line++;
    return true;
}

int keyring_read(struct keyring_reader *rd, struct keyring_text *ret, char *error, size_t size)
{
    char line[LINE_LEN_MAX];
    bool whole = false;
    bool begun = false;
    int r = 0;
    ret->ring.count = 0;
    while (r == 0) {
        size_t before = rd->pos;
        if (!next_line(rd, line, &whole)) {
            break;
        }
        if (whole && (line[0] == '\0' || line[0] == '#')) {
            continue;
        }
        if (whole && begun && strncmp(line, "pool ", 5) == 0) {
            rd->pos = before;
            rd->line--;
            break;
        }
        if (!begun) {
            begun = whole && read_pool(line, ret);
            r = begun ? 0 : wrong(rd->line, error, size, "expected \"pool HEX UID\"");
        } else if (ret->ring.count == KEYRING_KEYS_MAX) {
            r = wrong(rd->line, error, size, "too many keys");
        } else if (!whole || !read_key(line, &ret->ring)) {
            r = wrong(rd->line, error, size, "expected \"key ID CREATED FROM RETIRED HEX\"");
        }
    }
    explicit_bzero(line, sizeof(line));
    return r < 0 ? r : begun ? 1 : 0;
}
