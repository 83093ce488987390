/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How the value of each type of setting is written and read. */
#include "rspd/settings_table.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "handlespace/policy.h"

#define ITEM_MAX 256

bool setting_is_list(const struct setting *s)
{
    switch (s->type) {
    case SETTING_PREFIXES:
    case SETTING_REGISTRARS:
    case SETTING_GROUPS:
    case SETTING_SUFFIXES:
    case SETTING_USERS:
    case SETTING_GROUP_IDS:
        return true;
    default:
        return false;
    }
}

void setting_clear(const struct setting *s, void *base)
{
    memset((uint8_t *)base + s->offset, 0, s->size);
    if (s->type == SETTING_HANDLE) {
        memset((uint8_t *)base + s->offset + s->size, 0, sizeof(uint16_t));
    }
}

size_t setting_distance(const char *a, const char *b)
{
    enum { WIDTH = 40 };
    size_t row[WIDTH + 1];
    size_t a_len = strnlen(a, WIDTH);
    size_t b_len = strnlen(b, WIDTH);
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t diagonal = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            bool same = tolower((unsigned char)a[i - 1]) == tolower((unsigned char)b[j - 1]);
            size_t best = diagonal + (same ? 0 : 1);
            diagonal = row[j];
            best = row[j] + 1 < best ? row[j] + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            row[j] = best;
        }
    }
    return row[b_len];
}

/** Microseconds as people write them: the largest unit that divides. */
static const char *format_us(uint64_t us, char *out, size_t size)
{
    static const struct {
        const char *name;
        uint64_t us;
    } UNITS[] = {{"h", 3600000000u}, {"min", 60000000u}, {"s", 1000000u}, {"ms", 1000u}, {"us", 1}};
    size_t i = 0;
    while (us != 0 && us % UNITS[i].us != 0) {
        i++;
    }
    if (us == 0) {
        i = 3;
    }
    (void)snprintf(out, size, "%llu%s", (unsigned long long)(us / UNITS[i].us), UNITS[i].name);
    return out;
}

static const char *allowed_choices(const struct setting *s, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; s->choices[i] != NULL && used < size; i++) {
        const char *between = i == 0 ? "" : s->choices[i + 1] == NULL ? " or " : ", ";
        int n = snprintf(out + used, size - used, "%s%s", between, s->choices[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    return out;
}

static const char *allowed_words(const struct setting *s)
{
    switch (s->type) {
    case SETTING_BOOL:
        return "yes or no";
    case SETTING_WORD:
        return "one word of at most 32 letters, digits, '-', '_' or '.'";
    case SETTING_TEXT:
        return "text of at most 255 characters";
    case SETTING_SCOPE_RANK:
        return "loopback, sitelocal or global";
    case SETTING_LOG_LEVEL:
        return "err, warn, notice, info or debug";
    case SETTING_ADDRESS:
        return "an IP address, or any";
    case SETTING_PREFIX4:
        return "an IPv4 prefix of length 8 to 24, such as 127.42.0.0/16";
    case SETTING_PREFIX6:
        return "an IPv6 prefix of length 8 to 112, such as fd52:5350:0:a1::/64";
    case SETTING_PREFIXES:
        return "at most 32 prefixes, such as 192.0.2.0/24 or 2001:db8::/32";
    case SETTING_REGISTRARS:
        return "at most 16 of ADDR[:PORT][/UDP-PORT] or [V6ADDR]:PORT";
    case SETTING_GROUPS:
        return "at most 8 multicast addresses, or none";
    case SETTING_SUFFIXES:
        return "at most 8 host name suffixes that begin with a dot, such as .pool.alt";
    case SETTING_USERS:
        return "at most 16 user names or numbers";
    case SETTING_GROUP_IDS:
        return "at most 16 group names or numbers";
    case SETTING_HANDLE:
        return "a pool handle of 1 to 1024 octets, unusual ones as \\xHH";
    case SETTING_PROTOCOL:
        return "tcp, udp, sctp or any";
    case SETTING_POLICY:
        return "a policy such as rr, rand or lu";
    default:
        return "";
    }
}

const char *setting_allowed(const struct setting *s, char *out, size_t size)
{
    char low[32];
    char high[32];
    switch (s->type) {
    case SETTING_MS:
        (void)snprintf(out, size, "%s to %s", format_us(s->min * 1000ull, low, sizeof(low)),
                       format_us(s->max * 1000ull, high, sizeof(high)));
        return out;
    case SETTING_US:
        (void)snprintf(out, size, "%s to %s", format_us(s->min, low, sizeof(low)),
                       format_us(s->max, high, sizeof(high)));
        return out;
    case SETTING_NUMBER:
    case SETTING_PORT:
        (void)snprintf(out, size, "%u to %u", s->min, s->max);
        return out;
    case SETTING_CHOICE:
        return allowed_choices(s, out, size);
    default:
        (void)snprintf(out, size, "%s", allowed_words(s));
        return out;
    }
}

static int parse_bool(const char *text, uint32_t *ret)
{
    static const char *const YES[] = {"yes", "true", "on", "1"};
    static const char *const NO[] = {"no", "false", "off", "0"};
    for (size_t i = 0; i < 4; i++) {
        if (strcasecmp(text, YES[i]) == 0) {
            *ret = 1;
            return 0;
        }
        if (strcasecmp(text, NO[i]) == 0) {
            *ret = 0;
            return 0;
        }
    }
    return -EINVAL;
}

/** A number without sign; `ret_end` NULL: nothing may follow. */
static int parse_number(const char *text, int base, uint64_t *ret, const char **ret_end)
{
    char *end;
    if (!isdigit((unsigned char)text[0])) {
        return -EINVAL;
    }
    errno = 0;
    unsigned long long v = strtoull(text, &end, base);
    if (errno != 0 || (ret_end == NULL && *end != '\0')) {
        return -EINVAL;
    }
    *ret = v;
    if (ret_end != NULL) {
        *ret_end = end;
    }
    return 0;
}

/** A duration with its unit, in microseconds. */
static int parse_duration(const char *text, uint64_t *ret)
{
    static const struct {
        const char *name;
        uint64_t us;
    } UNITS[] = {{"us", 1},         {"ms", 1000},    {"s", 1000000},
                 {"min", 60000000}, {"m", 60000000}, {"h", 3600000000u}};
    const char *unit;
    uint64_t v;
    if (parse_number(text, 10, &v, &unit) != 0 || v > 1000000000u) {
        return -EINVAL;
    }
    while (*unit == ' ') {
        unit++;
    }
    for (size_t i = 0; i < sizeof(UNITS) / sizeof(UNITS[0]); i++) {
        if (strcmp(unit, UNITS[i].name) == 0) {
            *ret = v * UNITS[i].us;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_word(const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    if (len == 0 || len >= size) {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-_.", text[i]) == NULL) {
            return -EINVAL;
        }
    }
    memcpy(out, text, len + 1);
    return 0;
}

static int parse_choice(const struct setting *s, const char *text, uint32_t *ret)
{
    for (uint32_t i = 0; s->choices[i] != NULL; i++) {
        if (strcasecmp(text, s->choices[i]) == 0) {
            *ret = i;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_scope_rank(const char *text, uint32_t *ret)
{
    static const struct {
        const char *name;
        enum ip_scope scope;
    } RANKS[] = {{"loopback", IP_SCOPE_LOOPBACK},
                 {"sitelocal", IP_SCOPE_SITE_LOCAL},
                 {"global", IP_SCOPE_GLOBAL}};
    for (size_t i = 0; i < sizeof(RANKS) / sizeof(RANKS[0]); i++) {
        if (strcasecmp(text, RANKS[i].name) == 0) {
            *ret = RANKS[i].scope;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_prefix(const char *text, struct settings_prefix *ret)
{
    char address[ITEM_MAX];
    (void)snprintf(address, sizeof(address), "%s", text);
    char *slash = strchr(address, '/');
    if (slash != NULL) {
        *slash = '\0';
    }
    if (ip_address_parse(address, &ret->address) != 0) {
        return -EINVAL;
    }
    uint64_t most = ret->address.family == IP_V4 ? 32 : 128;
    uint64_t len = most;
    if (slash != NULL && (parse_number(slash + 1, 10, &len, NULL) != 0 || len > most)) {
        return -EINVAL;
    }
    ret->len = (uint8_t)len;
    return 0;
}

static int parse_cookie_net(const char *text, uint8_t family, struct settings_prefix *ret)
{
    struct settings_prefix p;
    if (parse_prefix(text, &p) != 0 || p.address.family != family || p.len < 8 ||
        p.len > (family == IP_V4 ? 24 : 112)) {
        return -EINVAL;
    }
    size_t octets = family == IP_V4 ? 4 : 16;
    for (size_t bit = p.len; bit < octets * 8; bit++) {
        p.address.octets[bit / 8] &= (uint8_t) ~(0x80u >> bit % 8);
    }
    *ret = p;
    return 0;
}

static int parse_port(const char *text, uint16_t *ret)
{
    uint64_t v;
    if (parse_number(text, 10, &v, NULL) != 0 || v == 0 || v > 65535) {
        return -EINVAL;
    }
    *ret = (uint16_t)v;
    return 0;
}

static int parse_registrar(const char *text, struct settings_registrar *ret)
{
    char copy[ITEM_MAX];
    struct settings_registrar r = {.port = 0};
    (void)snprintf(copy, sizeof(copy), "%s", text);
    char *slash = strchr(copy, '/');
    if (slash != NULL) {
        *slash = '\0';
        if (parse_port(slash + 1, &r.udp_port) != 0) {
            return -EINVAL;
        }
    }
    char *address = copy;
    char *port = NULL;
    if (copy[0] == '[') {
        char *close = strchr(copy, ']');
        if (close == NULL || (close[1] != '\0' && close[1] != ':')) {
            return -EINVAL;
        }
        *close = '\0';
        address = copy + 1;
        port = close[1] == ':' ? close + 2 : NULL;
    } else {
        char *colon = strchr(copy, ':');
        if (colon != NULL && strchr(colon + 1, ':') == NULL) {
            *colon = '\0';
            port = colon + 1;
        }
    }
    if (port != NULL && parse_port(port, &r.port) != 0) {
        return -EINVAL;
    }
    if (ip_address_parse(address, &r.address) != 0 ||
        ip_address_scope(&r.address) == IP_SCOPE_UNSPECIFIED) {
        return -EINVAL;
    }
    *ret = r;
    return 0;
}

static bool is_multicast(const struct ip_address *a)
{
    return a->family == IP_V4 ? (a->octets[0] & 0xf0) == 0xe0 : a->octets[0] == 0xff;
}

static int parse_suffix(const char *text, char *ret)
{
    size_t len = strlen(text);
    if (len < 2 || len >= SETTINGS_SUFFIX_MAX || text[0] != '.' || text[len - 1] == '.') {
        return -EINVAL;
    }
    for (size_t i = 0; i < len; i++) {
        char c = (char)tolower((unsigned char)text[i]);
        if (!isalnum((unsigned char)c) && c != '-' && (c != '.' || text[i + 1] == '.')) {
            return -EINVAL;
        }
        ret[i] = c;
    }
    ret[len] = '\0';
    return 0;
}

static int parse_id(const char *text, bool group, uint32_t *ret)
{
    uint64_t number;
    if (parse_number(text, 10, &number, NULL) == 0) {
        if (number >= UINT32_MAX) {
            return -EINVAL;
        }
        *ret = (uint32_t)number;
        return 0;
    }
    if (group) {
        const struct group *g = getgrnam(text);
        if (g == NULL) {
            return -EINVAL;
        }
        *ret = g->gr_gid;
        return 0;
    }
    const struct passwd *p = getpwnam(text);
    if (p == NULL) {
        return -EINVAL;
    }
    *ret = p->pw_uid;
    return 0;
}

/** One item of a list setting, appended. -ENOSPC: the list is full. */
static int append_item(const struct setting *s, const char *item, void *field)
{
    int r = -EINVAL;
    if (s->type == SETTING_PREFIXES) {
        struct settings_prefixes *l = (struct settings_prefixes *)field;
        r = l->count == SETTINGS_PREFIXES_MAX ? -ENOSPC : parse_prefix(item, &l->items[l->count]);
        l->count += r == 0;
    } else if (s->type == SETTING_REGISTRARS) {
        struct settings_registrars *l = (struct settings_registrars *)field;
        r = l->count == SETTINGS_REGISTRARS_MAX ? -ENOSPC
                                                : parse_registrar(item, &l->items[l->count]);
        l->count += r == 0;
    } else if (s->type == SETTING_GROUPS) {
        struct settings_groups *l = (struct settings_groups *)field;
        r = l->count == SETTINGS_GROUPS_MAX ? -ENOSPC : ip_address_parse(item, &l->items[l->count]);
        r = r == 0 && !is_multicast(&l->items[l->count]) ? -EINVAL : r;
        l->count += r == 0;
    } else if (s->type == SETTING_SUFFIXES) {
        struct settings_suffixes *l = (struct settings_suffixes *)field;
        r = l->count == SETTINGS_SUFFIXES_MAX ? -ENOSPC : parse_suffix(item, l->items[l->count]);
        l->count += r == 0;
    } else if (s->type == SETTING_USERS || s->type == SETTING_GROUP_IDS) {
        struct settings_ids *l = (struct settings_ids *)field;
        r = l->count == SETTINGS_IDS_MAX
                ? -ENOSPC
                : parse_id(item, s->type == SETTING_GROUP_IDS, &l->items[l->count]);
        l->count += r == 0;
    }
    return r;
}

static int parse_list(const struct setting *s, const char *text, void *field, char *wrong,
                      size_t wrong_size)
{
    static const char BLANKS[] = " \t,\r\n";
    if (s->type == SETTING_GROUPS && strcmp(text, "none") == 0) {
        setting_clear(s, (uint8_t *)field - s->offset);
        return 0;
    }
    const char *p = text + strspn(text, BLANKS);
    while (*p != '\0') {
        char item[ITEM_MAX];
        size_t len = strcspn(p, BLANKS);
        (void)snprintf(item, sizeof(item), "%.*s", (int)len, p);
        int r = len < sizeof(item) ? append_item(s, item, field) : -EINVAL;
        if (r != 0) {
            (void)snprintf(wrong, wrong_size,
                           r == -ENOSPC ? "\"%.80s\" is one too many" : "\"%.80s\"", item);
            return -EINVAL;
        }
        p += len;
        p += strspn(p, BLANKS);
    }
    return 0;
}

static int hex_digit(char c)
{
    static const char DIGITS[] = "0123456789abcdef";
    const char *at = c != '\0' ? strchr(DIGITS, tolower((unsigned char)c)) : NULL;
    return at != NULL ? (int)(at - DIGITS) : -1;
}

static int parse_handle(const char *text, uint8_t *octets)
{
    uint16_t len = 0;
    for (const char *p = text; *p != '\0'; p++) {
        if (len == POOL_HANDLE_MAX) {
            return -EINVAL;
        }
        uint8_t octet = (uint8_t)*p;
        if (p[0] == '\\') {
            int high = p[1] == 'x' ? hex_digit(p[2]) : -1;
            int low = high >= 0 ? hex_digit(p[3]) : -1;
            if (low < 0) {
                return -EINVAL;
            }
            octet = (uint8_t)((unsigned)high << 4 | (unsigned)low);
            p += 3;
        }
        octets[len++] = octet;
    }
    memcpy(octets + POOL_HANDLE_MAX, &len, sizeof(len));
    return 0;
}

static int parse_protocol(const char *text, uint32_t *ret)
{
    static const struct {
        const char *name;
        enum transport_protocol protocol;
    } NAMES[] = {{"any", TRANSPORT_NONE},
                 {"tcp", TRANSPORT_TCP},
                 {"udp", TRANSPORT_UDP},
                 {"sctp", TRANSPORT_SCTP}};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strcasecmp(text, NAMES[i].name) == 0) {
            *ret = NAMES[i].protocol;
            return 0;
        }
    }
    return -EINVAL;
}

static int parse_ranged(const struct setting *s, const char *text, uint32_t *ret)
{
    uint64_t v;
    int r;
    if (s->type == SETTING_MS || s->type == SETTING_US) {
        r = parse_duration(text, &v);
        if (r == 0 && s->type == SETTING_MS) {
            r = v % 1000 == 0 ? 0 : -EINVAL;
            v /= 1000;
        }
    } else {
        r = parse_number(text, 0, &v, NULL);
    }
    if (r != 0 || v < s->min || v > s->max) {
        return -EINVAL;
    }
    *ret = (uint32_t)v;
    return 0;
}

static int parse_address(const char *text, struct ip_address *ret)
{
    if (strcmp(text, "any") == 0) {
        *ret = (struct ip_address){.family = IP_NONE};
        return 0;
    }
    return ip_address_parse(text, ret);
}

static int parse_log_level(const char *text, uint32_t *ret)
{
    enum log_level level;
    int r = log_level_parse(text, &level);
    if (r == 0) {
        *ret = level;
    }
    return r;
}

static int parse_text(const char *text, char *out, size_t size)
{
    size_t len = strlen(text);
    if (len >= size) {
        return -EINVAL;
    }
    memcpy(out, text, len + 1);
    return 0;
}

static int parse_value(const struct setting *s, const char *text, void *field, char *wrong,
                       size_t wrong_size)
{
    uint32_t *number = (uint32_t *)field;
    switch (s->type) {
    case SETTING_BOOL:
        return parse_bool(text, number);
    case SETTING_NUMBER:
    case SETTING_MS:
    case SETTING_US:
    case SETTING_PORT:
        return parse_ranged(s, text, number);
    case SETTING_WORD:
        return parse_word(text, (char *)field, s->size);
    case SETTING_TEXT:
        return parse_text(text, (char *)field, s->size);
    case SETTING_CHOICE:
        return parse_choice(s, text, number);
    case SETTING_SCOPE_RANK:
        return parse_scope_rank(text, number);
    case SETTING_LOG_LEVEL:
        return parse_log_level(text, number);
    case SETTING_ADDRESS:
        return parse_address(text, (struct ip_address *)field);
    case SETTING_PREFIX4:
        return parse_cookie_net(text, IP_V4, (struct settings_prefix *)field);
    case SETTING_PREFIX6:
        return parse_cookie_net(text, IP_V6, (struct settings_prefix *)field);
    case SETTING_HANDLE:
        return parse_handle(text, (uint8_t *)field);
    case SETTING_PROTOCOL:
        return parse_protocol(text, number);
    case SETTING_POLICY:
        return text[0] == '\0' ? 0 : policy_parse(text, (struct policy *)field, wrong, wrong_size);
    default:
        return parse_list(s, text, field, wrong, wrong_size);
    }
}

int setting_parse(const struct setting *s, const char *text, void *base, char *error,
                  size_t error_size)
{
    char wrong[192] = "";
    char allowed[160];
    int r = parse_value(s, text, (uint8_t *)base + s->offset, wrong, sizeof(wrong));
    if (r == 0) {
        return 0;
    }
    if (wrong[0] == '\0') {
        (void)snprintf(wrong, sizeof(wrong), "\"%.80s\"", text);
    }
    (void)snprintf(error, error_size, "wrong value %s; allowed: %s", wrong,
                   setting_allowed(s, allowed, sizeof(allowed)));
    return -EINVAL;
}
