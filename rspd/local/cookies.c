/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Cookie addresses: an array by index, reached from a handle by hash and linear probing; since
 * nothing is ever taken out, a probe sequence ends at the first empty slot.
 *
 * The file: "INDEX UID HEX\n" per cookie. A line without newline was being written when the host or
 * the daemon went down; nobody has seen its cookie, so it is cut off.
 */
#include "rspd/local/cookies.h"

#include <errno.h>
#include <fcntl.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define COOKIES_MAX      65536
#define COOKIES_LINE_MAX (2 * POOL_HANDLE_MAX + 64)
#define COOKIES_FILE_MAX ((off_t)COOKIES_MAX * COOKIES_LINE_MAX)

struct cookie_entry {
    uint32_t uid;
    uint16_t len;
    uint8_t octets[];
};

struct uid_count {
    uint32_t uid; /* first: the key */
    uint32_t count;
};

struct cookies {
    struct cookies_settings settings;
    uint32_t slots; /* indices 1 … slots - 2 are given out */
    uint32_t count;
    int fd; /* -1: memory only */
    void *uids;
    struct cookie_entry *entry[COOKIES_MAX];
};

void cookies_settings_default(bool privileged, struct cookies_settings *ret)
{
    *ret = (struct cookies_settings){
        .prefix4 = 16, .prefix6 = 64, .per_uid_max = COOKIES_PER_UID_DEFAULT};
    (void)ip_address_parse(privileged ? "127.42.0.0" : "127.43.0.0", &ret->net4);
    (void)ip_address_parse("fd52:5350:0:a1::", &ret->net6);
}

/** FNV-1a, then mixed: its low bits alone are poor. */
static uint32_t hash(struct pool_handle handle)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < handle.len; i++) {
        h = (h ^ handle.octets[i]) * 0x100000001b3u;
    }
    h = (h ^ (h >> 33)) * 0xff51afd7ed558ccdu;
    return (uint32_t)(h ^ (h >> 33));
}

static int compare_uid(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/** The counter of a uid, made when missing; NULL: out of memory. */
static struct uid_count *uid_counter(struct cookies *c, uint32_t uid)
{
    struct uid_count **found = (struct uid_count **)tfind(&uid, &c->uids, compare_uid);
    if (found != NULL) {
        return *found;
    }
    struct uid_count *made = (struct uid_count *)calloc(1, sizeof(*made));
    if (made == NULL) {
        return NULL;
    }
    made->uid = uid;
    if (tsearch(made, &c->uids, compare_uid) == NULL) {
        free(made);
        return NULL;
    }
    return made;
}

static bool same_handle(const struct cookie_entry *e, struct pool_handle handle)
{
    return e->len == handle.len && memcmp(e->octets, handle.octets, e->len) == 0;
}

/** The handle's index, or the free one it would get; 0: none free. */
static uint32_t probe(const struct cookies *c, struct pool_handle handle)
{
    uint32_t usable = c->slots - 2;
    uint32_t at = hash(handle) % usable;
    for (uint32_t i = 0; i < usable; i++) {
        uint32_t index = 1 + (at + i) % usable;
        if (c->entry[index] == NULL || same_handle(c->entry[index], handle)) {
            return index;
        }
    }
    return 0;
}

static struct cookie_entry *entry_new(struct pool_handle handle, uint32_t uid)
{
    struct cookie_entry *e = (struct cookie_entry *)malloc(sizeof(*e) + handle.len);
    if (e != NULL) {
        e->uid = uid;
        e->len = handle.len;
        memcpy(e->octets, handle.octets, handle.len);
    }
    return e;
}

/** From now on other threads may find it, for ever. Pairs with entry_at(). */
static void publish(struct cookies *c, uint32_t index, struct cookie_entry *take_entry,
                    struct uid_count *counter)
{
    __atomic_store_n(&c->entry[index], take_entry, __ATOMIC_RELEASE);
    c->count++;
    counter->count++;
}

static const struct cookie_entry *entry_at(const struct cookies *c, uint32_t index)
{
    return __atomic_load_n(&c->entry[index], __ATOMIC_ACQUIRE);
}

static int store(struct cookies *c, uint32_t index, struct pool_handle handle, uint32_t uid)
{
    struct uid_count *counter = uid_counter(c, uid);
    struct cookie_entry *e = counter != NULL ? entry_new(handle, uid) : NULL;
    if (e == NULL) {
        return -ENOMEM;
    }
    publish(c, index, e, counter);
    return 0;
}

static void fill(const struct cookies *c, uint32_t index, struct cookie *ret)
{
    *ret = (struct cookie){.index = index, .v4 = c->settings.net4, .v6 = c->settings.net6};
    ret->v4.octets[2] |= (uint8_t)(index >> 8);
    ret->v4.octets[3] |= (uint8_t)index;
    ret->v6.octets[14] = (uint8_t)(index >> 8);
    ret->v6.octets[15] = (uint8_t)index;
}

static int hex(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/** A line of the file, terminated, without newline. Lines that make no sense are left out. */
static int load_line(struct cookies *c, const char *line)
{
    unsigned index;
    unsigned uid;
    int at = 0;
    uint8_t octets[POOL_HANDLE_MAX];
    struct pool_handle handle = {.octets = octets, .len = 0};
    if (sscanf(line, "%u %u %n", &index, &uid, &at) != 2 || at == 0) {
        return 0;
    }
    for (const char *p = line + at; *p != '\0'; p += 2) {
        int high = hex(p[0]);
        int low = high < 0 ? -1 : hex(p[1]);
        if (low < 0 || handle.len == POOL_HANDLE_MAX) {
            return 0;
        }
        octets[handle.len++] = (uint8_t)(high << 4 | low);
    }
    if (handle.len == 0 || index == 0 || index >= c->slots - 1 || c->entry[index] != NULL) {
        return 0;
    }
    struct cookie known;
    return cookies_find(c, handle, &known) ? 0 : store(c, index, handle, uid);
}

static int load_text(struct cookies *c, char *text, size_t len, size_t *ret_good)
{
    size_t pos = 0;
    while (pos < len) {
        char *newline = (char *)memchr(text + pos, '\n', len - pos);
        if (newline == NULL) {
            break;
        }
        *newline = '\0';
        int r = load_line(c, text + pos);
        if (r < 0) {
            return r;
        }
        pos = (size_t)(newline - text) + 1;
    }
    *ret_good = pos;
    return 0;
}

static int load(struct cookies *c)
{
    struct stat st;
    if (fstat(c->fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) || st.st_size > COOKIES_FILE_MAX) {
        return -EINVAL;
    }
    size_t size = (size_t)st.st_size;
    char *text = (char *)malloc(size + 1);
    if (text == NULL) {
        return -ENOMEM;
    }
    size_t used = 0;
    ssize_t n = 1;
    while (used < size && n > 0) {
        n = pread(c->fd, text + used, size - used, (off_t)used);
        used += n > 0 ? (size_t)n : 0;
    }
    int r = n < 0 ? -errno : 0;
    size_t good = 0;
    if (r == 0) {
        r = load_text(c, text, used, &good);
    }
    if (r == 0 && good < size && ftruncate(c->fd, (off_t)good) < 0) {
        r = -errno;
    }
    free(text);
    return r;
}

/** Whether the host part of a network address is empty below `prefix`. */
static bool is_network(const struct ip_address *a, unsigned prefix, unsigned octets)
{
    for (unsigned bit = prefix; bit < 8 * octets; bit++) {
        if ((a->octets[bit / 8] & (0x80u >> (bit % 8))) != 0) {
            return false;
        }
    }
    return true;
}

static bool settings_valid(const struct cookies_settings *s)
{
    return s->net4.family == IP_V4 && s->prefix4 >= 8 && s->prefix4 <= 28 &&
           is_network(&s->net4, s->prefix4, 4) && s->net6.family == IP_V6 && s->prefix6 >= 8 &&
           s->prefix6 <= 112 && is_network(&s->net6, s->prefix6, 16);
}

int cookies_new(const struct cookies_settings *settings, const char *path, struct cookies **ret)
{
    if (!settings_valid(settings)) {
        return -EINVAL;
    }
    struct cookies *c = (struct cookies *)calloc(1, sizeof(*c));
    if (c == NULL) {
        return -ENOMEM;
    }
    c->settings = *settings;
    if (c->settings.per_uid_max == 0) {
        c->settings.per_uid_max = COOKIES_PER_UID_DEFAULT;
    }
    c->slots = settings->prefix4 <= 16 ? COOKIES_MAX : 1u << (32 - settings->prefix4);
    c->fd = -1;
    int r = 0;
    if (path != NULL) {
        c->fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_NOFOLLOW | O_CLOEXEC, 0600);
        r = c->fd < 0 ? -errno : load(c);
    }
    if (r < 0) {
        cookies_free(c);
        return r;
    }
    *ret = c;
    return 0;
}

void cookies_free(struct cookies *c)
{
    if (c == NULL) {
        return;
    }
    for (uint32_t i = 0; i < c->slots; i++) {
        free(c->entry[i]);
    }
    tdestroy(c->uids, free);
    if (c->fd >= 0) {
        (void)close(c->fd);
    }
    free(c);
}

/** Appends a cookie's line in one write; a short write is taken back. */
static int append(struct cookies *c, uint32_t index, struct pool_handle handle, uint32_t uid)
{
    if (c->fd < 0) {
        return 0;
    }
    char line[COOKIES_LINE_MAX];
    size_t n = (size_t)snprintf(line, sizeof(line), "%u %u ", index, uid);
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < handle.len; i++) {
        line[n++] = digits[handle.octets[i] >> 4];
        line[n++] = digits[handle.octets[i] & 15];
    }
    line[n++] = '\n';
    struct stat st;
    if (fstat(c->fd, &st) < 0) {
        return -errno;
    }
    ssize_t written = write(c->fd, line, n);
    if (written == (ssize_t)n) {
        return 0;
    }
    int r = written < 0 ? -errno : -ENOSPC;
    if (ftruncate(c->fd, st.st_size) < 0) {
        r = -EIO;
    }
    return r;
}

static bool handle_valid(struct pool_handle handle)
{
    return handle.len > 0 && handle.len <= POOL_HANDLE_MAX;
}

int cookies_get(struct cookies *c, struct pool_handle handle, uint32_t uid, struct cookie *ret)
{
    if (!handle_valid(handle)) {
        return -EINVAL;
    }
    uint32_t index = probe(c, handle);
    if (index == 0) {
        return -ENOSPC;
    }
    if (c->entry[index] == NULL) {
        struct uid_count *counter = uid_counter(c, uid);
        if (counter != NULL && uid != 0 && counter->count >= c->settings.per_uid_max) {
            return -EDQUOT;
        }
        struct cookie_entry *e = counter != NULL ? entry_new(handle, uid) : NULL;
        int r = e != NULL ? append(c, index, handle, uid) : -ENOMEM;
        if (r < 0) {
            free(e);
            return r;
        }
        publish(c, index, e, counter);
    }
    fill(c, index, ret);
    return 0;
}

/*
 * A table of another hash or network size may have put a handle elsewhere; load_line() keeps its
 * index, and cookies_find() must still meet it: entries are found by probing only, so a foreign
 * index that probing cannot reach would be allocated anew. That is as good as a new cookie.
 */
bool cookies_find(const struct cookies *c, struct pool_handle handle, struct cookie *ret)
{
    if (!handle_valid(handle)) {
        return false;
    }
    uint32_t index = probe(c, handle);
    if (index == 0 || c->entry[index] == NULL) {
        return false;
    }
    fill(c, index, ret);
    return true;
}

static bool in_network(const struct ip_address *a, const struct ip_address *net, unsigned prefix)
{
    unsigned whole = prefix / 8;
    unsigned rest = prefix % 8;
    if (a->family != net->family || memcmp(a->octets, net->octets, whole) != 0) {
        return false;
    }
    return rest == 0 || ((a->octets[whole] ^ net->octets[whole]) >> (8 - rest)) == 0;
}

bool cookies_covers(const struct cookies *c, const struct ip_address *address)
{
    struct ip_address a = ip_address_unmap(*address);
    return in_network(&a, &c->settings.net4, c->settings.prefix4) ||
           in_network(&a, &c->settings.net6, c->settings.prefix6);
}

bool cookies_handle(const struct cookies *c, const struct ip_address *address,
                    struct pool_handle *ret)
{
    if (!cookies_covers(c, address)) {
        return false;
    }
    struct ip_address a = ip_address_unmap(*address);
    size_t last = a.family == IP_V4 ? 4 : 16;
    uint32_t index = ((uint32_t)a.octets[last - 2] << 8 | a.octets[last - 1]) & (c->slots - 1);
    const struct cookie_entry *e = entry_at(c, index);
    if (e == NULL) {
        return false;
    }
    struct cookie whole;
    fill(c, index, &whole);
    if (!ip_address_equal(&a, a.family == IP_V4 ? &whole.v4 : &whole.v6)) {
        return false;
    }
    *ret = (struct pool_handle){.octets = e->octets, .len = e->len};
    return true;
}

size_t cookies_count(const struct cookies *c)
{
    return c->count;
}
