/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The text of a record: "rspd-pe 1", "key=value" lines, "end". Octets that come from clients
 * (handle, probe, program) are written in hexadecimal, so that no value can forge a line.
 */
#include "rspd/local/records.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RECORD_HEAD "rspd-pe 1"
#define RECORD_TAIL "end"

struct text {
    char *out;
    size_t size;
    size_t used;
    bool full;
};

static __attribute__((format(printf, 2, 3))) void say(struct text *t, const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): the line above starts it */
    int n = t->full ? -1 : vsnprintf(t->out + t->used, t->size - t->used, format, ap);
    va_end(ap);
    if (n < 0 || (size_t)n >= t->size - t->used) {
        t->full = true;
        return;
    }
    t->used += (size_t)n;
}

static void say_octets(struct text *t, const char *key, const void *octets, size_t len)
{
    const uint8_t *p = (const uint8_t *)octets;
    say(t, "%s=", key);
    for (size_t i = 0; i < len; i++) {
        say(t, "%02x", p[i]);
    }
    say(t, "\n");
}

static bool valid(const struct record *r)
{
    return r->pe_id != 0 && r->handle_len > 0 && r->handle_len <= POOL_HANDLE_MAX &&
           r->address_count <= RECORD_ADDRESSES_MAX && r->policy.word_count <= POLICY_WORDS_MAX &&
           r->port != 0 &&
           (r->protocol == TRANSPORT_TCP || r->protocol == TRANSPORT_UDP ||
            r->protocol == TRANSPORT_SCTP || r->protocol == TRANSPORT_UDPLITE ||
            r->protocol == TRANSPORT_DCCP);
}

static void say_lists(struct text *t, const struct record *record)
{
    for (size_t i = 0; i < record->address_count; i++) {
        char address[IP_ADDRESS_TEXT_MAX];
        say(t, "address=%s\n", ip_address_format(&record->addresses[i], address, sizeof(address)));
    }
    say(t, "policy=%u", record->policy.type);
    for (size_t i = 0; i < record->policy.word_count; i++) {
        say(t, " %u", record->policy.words[i]);
    }
    say(t, "\n");
}

/* NOLINTNEXTLINE(readability-non-const-parameter): written through t */
int record_format(const struct record *record, const char *boot_id, char *out, size_t size)
{
    struct text t = {.out = out, .size = size};
    if (!valid(record)) {
        return -EINVAL;
    }
    say(&t, "%s\nboot=%s\nid=%u\n", RECORD_HEAD, boot_id, record->pe_id);
    say_octets(&t, "handle", record->handle, record->handle_len);
    say(&t, "protocol=%u\nport=%u\nfamilies=%u\n", (unsigned)record->protocol, record->port,
        record->families);
    say_lists(&t, record);
    say(&t, "capacity=%u\nuid=%u\ngid=%u\npid=%u\npool-uid=%u\n", record->capacity, record->uid,
        record->gid, record->pid, record->pool_uid);
    say(&t, "sock-cookie=%llu\nnetns=%llu\n", (unsigned long long)record->sock_cookie,
        (unsigned long long)record->netns);
    say_octets(&t, "probe", record->probe, strnlen(record->probe, sizeof(record->probe)));
    say(&t, "probe-ms=%u\nslow-start-ms=%u\nsince-us=%llu\n", record->probe_ms,
        record->slow_start_ms, (unsigned long long)record->since_us);
    say(&t, "life-ms=%u\ninterval-ms=%u\n", record->life_ms, record->interval_ms);
    say(&t, "use=%u\nadopted=%u\ndrained=%u\n", record->use, record->adopted, record->drained);
    say_octets(&t, "program", record->program, strnlen(record->program, sizeof(record->program)));
    say(&t, "%s\n", RECORD_TAIL);
    return t.full ? -ENOSPC : (int)t.used;
}

static bool get_number(const char *value, uint64_t max, uint64_t *ret)
{
    if (!isdigit((unsigned char)value[0])) {
        return false;
    }
    char *end;
    errno = 0;
    uint64_t v = strtoull(value, &end, 10);
    if (errno != 0 || *end != '\0' || v > max) {
        return false;
    }
    *ret = v;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** Hexadecimal to octets; the number of octets, or -1. */
static int get_octets(const char *value, uint8_t *out, size_t size)
{
    size_t n = 0;
    while (value[0] != '\0') {
        int high = hex_digit(value[0]);
        int low = high < 0 ? -1 : hex_digit(value[1]);
        if (low < 0 || n == size) {
            return -1;
        }
        out[n++] = (uint8_t)(high << 4 | low);
        value += 2;
    }
    return (int)n;
}

static bool get_text(const char *value, char *out, size_t size)
{
    int n = get_octets(value, (uint8_t *)out, size - 1);
    if (n < 0 || memchr(out, '\0', (size_t)n) != NULL) {
        return false;
    }
    out[n] = '\0';
    return true;
}

static bool get_policy(char *value, struct policy *ret)
{
    struct policy policy = {.type = POLICY_NONE};
    char *save = NULL;
    size_t n = 0;
    for (char *word = strtok_r(value, " ", &save); word != NULL;
         word = strtok_r(NULL, " ", &save), n++) {
        uint64_t v;
        if (n > POLICY_WORDS_MAX || !get_number(word, UINT32_MAX, &v)) {
            return false;
        }
        if (n == 0) {
            policy.type = (uint32_t)v;
        } else {
            policy.words[policy.word_count++] = (uint32_t)v;
        }
    }
    *ret = policy;
    return n > 0;
}

static bool get_address(const char *value, struct record *r)
{
    if (r->address_count == RECORD_ADDRESSES_MAX ||
        ip_address_parse(value, &r->addresses[r->address_count]) < 0) {
        return false;
    }
    r->address_count++;
    return true;
}

/** Keys whose value is one number: where it goes, and how wide that is. */
struct number_key {
    const char *key;
    size_t offset;
    size_t size;
};
#define NUMBER(key, field)                                                                         \
    {                                                                                              \
        key, offsetof(struct record, field), sizeof(((struct record *)0)->field)                   \
    }
static const struct number_key number_keys[] = {
    NUMBER("id", pe_id),
    NUMBER("port", port),
    NUMBER("use", use),
    NUMBER("families", families),
    NUMBER("capacity", capacity),
    NUMBER("uid", uid),
    NUMBER("gid", gid),
    NUMBER("pid", pid),
    NUMBER("pool-uid", pool_uid),
    NUMBER("sock-cookie", sock_cookie),
    NUMBER("netns", netns),
    NUMBER("probe-ms", probe_ms),
    NUMBER("slow-start-ms", slow_start_ms),
    NUMBER("life-ms", life_ms),
    NUMBER("interval-ms", interval_ms),
    NUMBER("since-us", since_us),
};

static void store(void *at, size_t size, uint64_t v)
{
    switch (size) {
    case 1:
        *(uint8_t *)at = (uint8_t)v;
        break;
    case 2:
        *(uint16_t *)at = (uint16_t)v;
        break;
    case 4:
        *(uint32_t *)at = (uint32_t)v;
        break;
    default:
        *(uint64_t *)at = v;
        break;
    }
}

/** 1 taken, 0 not a number key, -1 bad value. */
static int take_number(const char *key, const char *value, struct record *r)
{
    for (size_t i = 0; i < sizeof(number_keys) / sizeof(number_keys[0]); i++) {
        const struct number_key *k = &number_keys[i];
        if (strcmp(key, k->key) != 0) {
            continue;
        }
        uint64_t max = k->size == 8 ? UINT64_MAX : ((uint64_t)1 << (8 * k->size)) - 1;
        uint64_t v;
        if (!get_number(value, max, &v)) {
            return -1;
        }
        store((uint8_t *)r + k->offset, k->size, v);
        return 1;
    }
    return 0;
}

/** False: the value does not make sense. */
static bool take(const char *key, char *value, struct record *r)
{
    uint64_t v;
    int taken = take_number(key, value, r);
    if (taken != 0) {
        return taken > 0;
    }
    if (strcmp(key, "handle") == 0) {
        int n = get_octets(value, r->handle, sizeof(r->handle));
        r->handle_len = (uint16_t)(n > 0 ? n : 0);
        return n > 0;
    }
    if (strcmp(key, "protocol") == 0) {
        bool ok = get_number(value, UINT16_MAX, &v);
        r->protocol = ok ? (enum transport_protocol)v : TRANSPORT_NONE;
        return ok;
    }
    if (strcmp(key, "address") == 0) {
        return get_address(value, r);
    }
    if (strcmp(key, "policy") == 0) {
        return get_policy(value, &r->policy);
    }
    if (strcmp(key, "probe") == 0) {
        return get_text(value, r->probe, sizeof(r->probe));
    }
    if (strcmp(key, "program") == 0) {
        return get_text(value, r->program, sizeof(r->program));
    }
    if (strcmp(key, "adopted") == 0 || strcmp(key, "drained") == 0) {
        bool ok = get_number(value, 1, &v);
        *(key[0] == 'a' ? &r->adopted : &r->drained) = ok && v == 1;
        return ok;
    }
    return true;
}

/** Cuts a line off the text; false when no complete line is left. */
static bool next_line(const char **pos, const char *end, char *out, size_t size)
{
    const char *newline = (const char *)memchr(*pos, '\n', (size_t)(end - *pos));
    if (newline == NULL || (size_t)(newline - *pos) >= size) {
        return false;
    }
    size_t len = (size_t)(newline - *pos);
    memcpy(out, *pos, len);
    out[len] = '\0';
    *pos = newline + 1;
    return true;
}

static int bad(char *error, size_t size, const char *what, const char *line)
{
    (void)snprintf(error, size, "%s%s%.40s", what, line != NULL ? ": " : "",
                   line != NULL ? line : "");
    return -EBADMSG;
}

int record_parse(const char *text, size_t len, const char *boot_id, struct record *ret, char *error,
                 size_t error_size)
{
    char line[2 * POOL_HANDLE_MAX + 64];
    const char *pos = text;
    const char *end = text + len;
    struct record r = {.pe_id = 0};
    bool complete = false;
    bool same_boot = false;
    if (!next_line(&pos, end, line, sizeof(line)) || strcmp(line, RECORD_HEAD) != 0) {
        return bad(error, error_size, "does not begin with \"" RECORD_HEAD "\"", NULL);
    }
    while (!complete && next_line(&pos, end, line, sizeof(line))) {
        char *equals = strchr(line, '=');
        if (strcmp(line, RECORD_TAIL) == 0) {
            complete = true;
        } else if (equals == NULL) {
            return bad(error, error_size, "no key=value line", line);
        } else {
            *equals = '\0';
            if (strcmp(line, "boot") == 0) {
                same_boot = strcmp(equals + 1, boot_id) == 0;
            } else if (!take(line, equals + 1, &r)) {
                return bad(error, error_size, "bad value of", line);
            }
        }
    }
    if (!complete) {
        return bad(error, error_size, "is cut short", NULL);
    }
    if (!same_boot) {
        return -ESTALE;
    }
    if (!valid(&r)) {
        return bad(error, error_size, "lacks a PE id, handle, protocol or port", NULL);
    }
    *ret = r;
    return 0;
}
