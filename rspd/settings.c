/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Reading settings: profile, file (inih), command line; checks across keys; help. */
#include "rspd/settings.h"

#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "rspd/settings_table.h"

#define SECTION_MAX 256
#define LINE_MAX_   512
#define ERROR_MAX   512

typedef const struct setting *(*table_fn)(size_t i);

/** One reading: where it stands, and what it has found wrong. */
struct reading {
    struct settings s;
    settings_report_fn report;
    void *ctx;
    FILE *file;
    const char *path;
    unsigned line;
    bool line_too_long;
    char section[SECTION_MAX];
    bool failed, no_memory;
    bool seen[128]; /* list keys whose built-in value has been replaced in this layer */
};

static void say(struct reading *rd, bool error, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void say(struct reading *rd, bool error, const char *format, ...)
{
    char text[ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    rd->failed = rd->failed || error;
    rd->report(rd->ctx, error, text);
}

static const struct setting *find_key(table_fn at, const char *section, const char *key,
                                      size_t *ret_index)
{
    const struct setting *s;
    for (size_t i = 0; (s = at(i)) != NULL; i++) {
        if ((section == NULL || strcasecmp(s->section, section) == 0) &&
            strcasecmp(s->key, key) == 0) {
            *ret_index = i;
            return s;
        }
    }
    return NULL;
}

/** The key most like `key`: of the section if that has one near enough, else of any. */
static const struct setting *nearest_key(table_fn at, const char *section, const char *key)
{
    const struct setting *best = NULL;
    size_t best_distance = SIZE_MAX;
    const struct setting *s;
    for (size_t i = 0; (s = at(i)) != NULL; i++) {
        size_t d = 2 * setting_distance(s->key, key);
        if (section != NULL && strcasecmp(s->section, section) != 0) {
            d++;
        }
        if (d < best_distance) {
            best = s;
            best_distance = d;
        }
    }
    return best;
}

static bool is_section(const char *section)
{
    const struct setting *s;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (strcasecmp(s->section, section) == 0) {
            return true;
        }
    }
    return false;
}

static const char *nearest_section(const char *section)
{
    const char *best = "Daemon";
    const struct setting *s;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (setting_distance(s->section, section) < setting_distance(best, section)) {
            best = s->section;
        }
    }
    if (setting_distance("Pool NAME", section) < setting_distance(best, section)) {
        best = "Pool NAME";
    }
    return best;
}

/* --- built-in values -------------------------------------------------------------------------- */

static void set_defaults(table_fn at, enum settings_profile profile, void *base)
{
    const struct setting *s;
    char error[ERROR_MAX];
    for (size_t i = 0; (s = at(i)) != NULL; i++) {
        setting_clear(s, base);
        if (s->values[profile] != NULL && s->values[profile][0] != '\0') {
            (void)setting_parse(s, s->values[profile], base, error, sizeof(error));
        }
    }
}

/** What the scope and the privilege decide, unless the administrator did. */
static void set_derived(struct reading *rd, bool privileged, const char *runtime_base)
{
    struct settings *s = &rd->s;
    struct settings_scope scope;
    settings_scope_derive(s->scope, &scope);
    s->asap_port = s->asap_port != 0 ? s->asap_port : scope.asap_port;
    s->announce_port = s->announce_port != 0 ? s->announce_port : scope.announce_port;
    s->udp_port = s->udp_port != 0 ? s->udp_port : scope.udp_port;
    s->enrp_port = s->enrp_port != 0 ? s->enrp_port : scope.enrp_port;
    s->enrp_announce_port =
        s->enrp_announce_port != 0 ? s->enrp_announce_port : scope.enrp_announce_port;
    size_t at = 0;
    (void)find_key(setting_at, "Network", "AnnounceGroups", &at);
    if (!rd->seen[at]) {
        s->announce_groups.count = (uint8_t)scope.group_count;
        memcpy(s->announce_groups.items, scope.groups, sizeof(scope.groups));
    }
    (void)find_key(setting_at, "Network", "AnnounceSend", &at);
    if (!rd->seen[at]) {
        s->announce_send.count = s->announce_groups.count > 0 ? 1 : 0;
        s->announce_send.items[0] = s->announce_groups.items[0];
    }
    (void)find_key(setting_at, "Network", "EnrpGroups", &at);
    if (!rd->seen[at] && s->announce_groups.count > 0) { /* no multicast at all: none here either */
        s->enrp_groups.count = 1;
        s->enrp_groups.items[0] = scope.enrp_group;
    }
    const char *slash = strrchr(s->socket, '/');
    if (s->runtime_dir[0] == '\0' && slash != NULL && slash != s->socket) {
        /* A socket elsewhere: another daemon, with its state beside its socket. */
        (void)snprintf(s->runtime_dir, sizeof(s->runtime_dir), "%.*s", (int)(slash - s->socket),
                       s->socket);
    }
    bool elsewhere = s->runtime_dir[0] != '\0';
    if (!elsewhere) {
        (void)snprintf(s->runtime_dir, sizeof(s->runtime_dir), "%s/rspd",
                       privileged ? "/run" : runtime_base);
    }
    if (s->state_dir[0] == '\0') {
        (void)snprintf(s->state_dir, sizeof(s->state_dir), "%s",
                       privileged && !elsewhere ? "/var/lib/rspd" : s->runtime_dir);
    }
    if (s->socket[0] == '\0') {
        int n = snprintf(s->socket, sizeof(s->socket), "%s/rspd.sock", s->runtime_dir);
        if (n < 0 || (size_t)n >= sizeof(s->socket)) {
            say(rd, true, "the runtime directory's name is too long for a socket in it");
        }
    }
    if (s->cookie_net4.address.family == IP_NONE) {
        s->cookie_net4 = (struct settings_prefix){{IP_V4, {127, privileged ? 42 : 43, 0, 0}}, 16};
    }
}

/* --- the file --------------------------------------------------------------------------------- */

static char *trim(char *text)
{
    while (isspace((unsigned char)*text)) {
        text++;
    }
    size_t len = strlen(text);
    while (len > 0 && isspace((unsigned char)text[len - 1])) {
        text[--len] = '\0';
    }
    return text;
}

static void unquote(char *text)
{
    size_t len = strlen(text);
    if (len >= 2 && text[0] == '"' && text[len - 1] == '"') {
        memmove(text, text + 1, len - 2);
        text[len - 2] = '\0';
    }
}

/** Makes room for one more item; NULL when memory is out or there are too many. */
static void *grow(struct reading *rd, void **items, size_t *count, size_t size)
{
    if (*count >= SETTINGS_SECTIONS_MAX) {
        say(rd, true, "%s:%u: more than %d sections of this kind", rd->path, rd->line,
            SETTINGS_SECTIONS_MAX);
        return NULL;
    }
    uint8_t *more = (uint8_t *)realloc(*items, (*count + 1) * size);
    if (more == NULL) {
        rd->no_memory = true;
        return NULL;
    }
    *items = more;
    void *item = more + *count * size;
    memset(item, 0, size);
    (*count)++;
    return item;
}

static void begin_pool(struct reading *rd, const char *name)
{
    if (name[0] == '\0' || strlen(name) >= SETTINGS_TEXT_MAX) {
        say(rd, true, "%s:%u: [%s]: wants a pool's name or a pattern, such as [Pool web*]",
            rd->path, rd->line, rd->section);
        return;
    }
    for (size_t i = 0; i < rd->s.pool_count; i++) {
        if (strcmp(rd->s.pools[i].pattern, name) == 0) {
            say(rd, true, "%s:%u: [%s] is there twice", rd->path, rd->line, rd->section);
            return;
        }
    }
    struct settings_pool *pool = (struct settings_pool *)grow(
        rd, (void **)&rd->s.pools, &rd->s.pool_count, sizeof(struct settings_pool));
    if (pool != NULL) {
        set_defaults(setting_pool_at, PROFILE_LAN, pool);
        (void)snprintf(pool->pattern, sizeof(pool->pattern), "%s", name);
    }
}

static void begin_program(struct reading *rd, const char *path)
{
    if (path[0] != '/') {
        say(rd, true,
            "%s:%u: [%s]: wants the program's absolute path, such as [Program /usr/sbin/nginx]",
            rd->path, rd->line, rd->section);
        return;
    }
    struct settings_program *program = (struct settings_program *)grow(
        rd, (void **)&rd->s.programs, &rd->s.program_count, sizeof(struct settings_program));
    if (program != NULL) {
        set_defaults(setting_program_at, PROFILE_LAN, program);
        (void)snprintf(program->path, sizeof(program->path), "%s", path);
    }
}

/** The word after "Pool " or "Program ", or NULL. */
static char *section_argument(char *section, const char *word)
{
    size_t len = strlen(word);
    if (strncasecmp(section, word, len) != 0 || (section[len] != ' ' && section[len] != '\0')) {
        return NULL;
    }
    char *argument = trim(section + len);
    unquote(argument);
    return argument;
}

static void begin_section(struct reading *rd, const char *line)
{
    char name[SECTION_MAX];
    const char *close = strrchr(line, ']');
    if (close == NULL || (size_t)(close - line) > sizeof(name) - 1) {
        return; /* inih finds the missing bracket */
    }
    (void)snprintf(rd->section, sizeof(rd->section), "%.*s", (int)(close - line - 1), line + 1);
    (void)snprintf(name, sizeof(name), "%s", rd->section);
    char *word = trim(name);
    char *argument;
    if ((argument = section_argument(word, "Pool")) != NULL) {
        begin_pool(rd, argument);
    } else if ((argument = section_argument(word, "Program")) != NULL) {
        begin_program(rd, argument);
    } else if (!is_section(word)) {
        say(rd, false, "%s:%u: unknown section [%s]; did you mean [%s]?", rd->path, rd->line,
            rd->section, nearest_section(word));
    } else {
        (void)snprintf(rd->section, sizeof(rd->section), "%s", word);
    }
}

/**
 * A line for inih, which cuts section names at 50 octets and counts no lines: both are done here.
 * Overlong lines are an error, not two lines.
 */
static char *next_line(char *out, int size, void *ctx)
{
    struct reading *rd = (struct reading *)ctx;
    char line[LINE_MAX_];
    if (fgets(line, sizeof(line), rd->file) == NULL) {
        return NULL;
    }
    rd->line++;
    size_t len = strlen(line);
    bool whole = (len > 0 && line[len - 1] == '\n') || feof(rd->file) != 0;
    for (int c = 0; !whole && c != EOF && c != '\n';) {
        c = fgetc(rd->file);
    }
    const char *start = line + strspn(line, " \t");
    if (*start == '[') {
        if (!whole) {
            say(rd, true, "%s:%u: line too long", rd->path, rd->line);
        }
        begin_section(rd, trim(line));
        (void)snprintf(out, (size_t)size, "[s]\n");
        return out;
    }
    if (*start == '#' || *start == ';') {
        out[0] = '\n';
        out[1] = '\0';
        return out;
    }
    if (!whole || len >= (size_t)size) {
        say(rd, true,
            "%s:%u: line too long: at most %d characters; a list may go on in further "
            "lines with the same key",
            rd->path, rd->line, size - 2);
        out[0] = '\n';
        out[1] = '\0';
        return out;
    }
    memcpy(out, line, len + 1);
    return out;
}

/** Which table and which object the section under way is about; NULL when it was refused. */
static table_fn section_target(struct reading *rd, void **ret_base, const char **ret_section)
{
    *ret_section = NULL;
    if (strncasecmp(rd->section, "Pool", 4) == 0 && !isalnum((unsigned char)rd->section[4])) {
        *ret_base = rd->s.pool_count > 0 ? &rd->s.pools[rd->s.pool_count - 1] : NULL;
        return setting_pool_at;
    }
    if (strncasecmp(rd->section, "Program", 7) == 0 && !isalnum((unsigned char)rd->section[7])) {
        *ret_base = rd->s.program_count > 0 ? &rd->s.programs[rd->s.program_count - 1] : NULL;
        return setting_program_at;
    }
    *ret_base = &rd->s;
    *ret_section = rd->section;
    return setting_at;
}

static int take_key(void *ctx, const char *section, const char *key, const char *value)
{
    struct reading *rd = (struct reading *)ctx;
    void *base;
    const char *in;
    char copy[LINE_MAX_];
    char error[ERROR_MAX];
    size_t at = 0;
    (void)section;
    table_fn table = section_target(rd, &base, &in);
    if (base == NULL || (in != NULL && !is_section(in) && in[0] != '\0')) {
        return 1; /* has been reported with its section */
    }
    const struct setting *s = find_key(table, in, key, &at);
    if (s == NULL) {
        const struct setting *near = nearest_key(table, in, key);
        say(rd, false, "%s:%u: unknown key %s in [%s]; nearest: %s in [%s]", rd->path, rd->line,
            key, rd->section, near->key, near->section);
        return 1;
    }
    if (table == setting_at && !rd->seen[at]) {
        rd->seen[at] = true;
        setting_clear(s, base);
    }
    (void)snprintf(copy, sizeof(copy), "%s", value);
    unquote(copy);
    if (setting_parse(s, copy, base, error, sizeof(error)) != 0) {
        say(rd, true, "%s:%u: %s: %s", rd->path, rd->line, s->key, error);
    }
    return 1;
}

static int read_file(struct reading *rd, const char *path, bool required)
{
    rd->path = path;
    rd->line = 0;
    rd->section[0] = '\0';
    rd->file = fopen(path, "re");
    if (rd->file == NULL) {
        int error = errno;
        if (!required && error == ENOENT) {
            return 0;
        }
        say(rd, true, "%s: cannot read: %s", path, strerror(error));
        return -error;
    }
    int bad_line = ini_parse_stream(next_line, rd, take_key, rd);
    if (bad_line != 0) {
        say(rd, true, "%s:%d: neither [Section] nor Key = value", path, bad_line);
    }
    (void)fclose(rd->file);
    rd->file = NULL;
    return 0;
}

/* --- the command line ------------------------------------------------------------------------- */

/** One argument taken apart: `--name=value`, `--name value`, `-x`. */
struct argument {
    const char *name;
    size_t name_len;
    const char *value; /* of --name=value */
};

static struct argument take_apart(const char *arg)
{
    const char *equals = strchr(arg, '=');
    if (strncmp(arg, "--", 2) != 0 || equals == NULL) {
        return (struct argument){arg, strlen(arg), NULL};
    }
    return (struct argument){arg, (size_t)(equals - arg), equals + 1};
}

static bool argument_is(const struct argument *a, const char *name)
{
    return strlen(name) == a->name_len && strncmp(name, a->name, a->name_len) == 0;
}

static const struct setting *find_option(const struct argument *a, size_t *ret_index)
{
    const struct setting *s;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (s->option != NULL && argument_is(a, s->option)) {
            *ret_index = i;
            return s;
        }
    }
    return NULL;
}

static const char *nearest_option(const char *name)
{
    const char *best = "--help";
    const struct setting *s;
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        if (setting_distance(settings_options[i].name, name) < setting_distance(best, name)) {
            best = settings_options[i].name;
        }
    }
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (s->option != NULL && setting_distance(s->option, name) < setting_distance(best, name)) {
            best = s->option;
        }
    }
    return best;
}

static void complain(settings_report_fn report, void *ctx, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static void complain(settings_report_fn report, void *ctx, const char *format, ...)
{
    char text[ERROR_MAX];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    report(ctx, true, text);
}

/** The option's value: after '=', or the next argument. NULL (reported) when there is none. */
static const char *option_value(const struct argument *a, int argc, char **argv, int *i,
                                settings_report_fn report, void *ctx)
{
    if (a->value != NULL) {
        return a->value;
    }
    if (*i + 1 < argc) {
        (*i)++;
        return argv[*i];
    }
    complain(report, ctx, "%.*s wants a value; see rspd --help", (int)a->name_len, a->name);
    return NULL;
}

static bool plain_option(const struct argument *a, struct settings_command *ret)
{
    struct argument full = *a;
    if (argument_is(a, "-h") || argument_is(a, "-V")) {
        full.name = a->name[1] == 'h' ? "--help" : "--version";
        full.name_len = strlen(full.name);
    }
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        if (settings_options[i].mode >= 0 && argument_is(&full, settings_options[i].name) &&
            a->value == NULL) {
            ret->mode = (enum settings_mode)settings_options[i].mode;
            return true;
        }
    }
    return false;
}

int settings_command_line(int argc, char **argv, settings_report_fn report, void *ctx,
                          struct settings_command *ret)
{
    struct settings_command command = {.mode = SETTINGS_RUN, .argc = argc, .argv = argv};
    int result = 0;
    for (int i = 1; i < argc; i++) {
        struct argument a = take_apart(argv[i]);
        size_t at = 0;
        if (plain_option(&a, &command)) {
            continue;
        }
        bool config = argument_is(&a, "--config") || argument_is(&a, "-c");
        if (config || argument_is(&a, "--set") || find_option(&a, &at) != NULL) {
            const char *value = option_value(&a, argc, argv, &i, report, ctx);
            if (value == NULL) {
                result = -EINVAL;
            } else if (config) {
                command.config = value;
            }
        } else if (argv[i][0] == '-') {
            /* The value is not part of the name that was meant. */
            char name[64];
            (void)snprintf(name, sizeof(name), "%.*s", a.name_len < 64 ? (int)a.name_len : 63,
                           a.name);
            complain(report, ctx, "unknown option %s; did you mean %s?", argv[i],
                     nearest_option(name));
            result = -EINVAL;
        } else {
            complain(report, ctx, "unexpected argument \"%.80s\"; see rspd --help", argv[i]);
            result = -EINVAL;
        }
    }
    if (result == 0) {
        *ret = command;
    }
    return result;
}

/** Section.Key=VALUE. */
static void set_any(struct reading *rd, const char *text, bool *seen)
{
    char name[SECTION_MAX];
    char error[ERROR_MAX];
    size_t at = 0;
    const char *equals = strchr(text, '=');
    if (equals == NULL || (size_t)(equals - text) >= sizeof(name)) {
        say(rd, true, "--set wants Section.Key=VALUE, not \"%.80s\"", text);
        return;
    }
    (void)snprintf(name, sizeof(name), "%.*s", (int)(equals - text), text);
    char *dot = strchr(name, '.');
    const char *key = name;
    const char *section = NULL;
    if (dot != NULL) {
        *dot = '\0';
        section = name;
        key = dot + 1;
    }
    const struct setting *s = find_key(setting_at, section, key, &at);
    if (s == NULL) {
        const struct setting *near = nearest_key(setting_at, section, key);
        say(rd, true, "--set: unknown key %.80s; nearest: %s.%s", text, near->section, near->key);
        return;
    }
    if (!seen[at]) {
        setting_clear(s, &rd->s);
    }
    seen[at] = rd->seen[at] = true;
    if (setting_parse(s, equals + 1, &rd->s, error, sizeof(error)) != 0) {
        say(rd, true, "--set %s.%s: %s", s->section, s->key, error);
    }
}

/** Applies the settings among the arguments; they replace what the file said. */
static void apply_command_line(struct reading *rd, const struct settings_command *command)
{
    bool seen[sizeof(rd->seen)] = {false};
    for (int i = 1; i < command->argc; i++) {
        struct argument a = take_apart(command->argv[i]);
        size_t at = 0;
        char error[ERROR_MAX];
        const struct setting *s = find_option(&a, &at);
        bool set = argument_is(&a, "--set");
        bool config = argument_is(&a, "--config") || argument_is(&a, "-c");
        if (s == NULL && !set && !config) {
            continue;
        }
        const char *value = a.value != NULL ? a.value : command->argv[++i];
        if (set) {
            set_any(rd, value, seen);
        } else if (s != NULL) {
            if (!seen[at]) {
                setting_clear(s, &rd->s);
            }
            seen[at] = rd->seen[at] = true;
            if (setting_parse(s, value, &rd->s, error, sizeof(error)) != 0) {
                say(rd, true, "%s: %s", s->option, error);
            }
        }
    }
}

/* --- putting it together ---------------------------------------------------------------------- */

static void ignore_report(void *ctx, bool error, const char *text)
{
    (void)ctx;
    (void)error;
    (void)text;
}

/** Registrars given by hand are met as peers, too, unless peers are given. */
static void check_peers(struct reading *rd)
{
    struct settings *s = &rd->s;
    size_t at = 0;
    (void)find_key(setting_at, "Network", "Peers", &at);
    if (!rd->seen[at]) {
        s->peers = s->registrars;
    }
    for (size_t i = 0; i < s->peers.count; i++) {
        struct settings_registrar *r = &s->peers.items[i];
        r->port = r->port == 0 || !rd->seen[at] ? (uint16_t)s->enrp_port : r->port;
    }
}

static void check_registrars(struct reading *rd)
{
    check_peers(rd);
    for (size_t i = 0; i < rd->s.registrars.count; i++) {
        struct settings_registrar *r = &rd->s.registrars.items[i];
        if (r->udp_port != 0 && r->udp_port != rd->s.udp_port) {
            say(rd, true,
                "Network.Registrars: UDP port %u: all members of a scope use the same one, "
                "Network.UdpPort is %u",
                r->udp_port, rd->s.udp_port);
        }
        if (r->port == 0) {
            r->port = (uint16_t)rd->s.asap_port;
        }
    }
}

/** What one key alone cannot show. */
static void check_together(struct reading *rd)
{
    const struct settings *s = &rd->s;
    check_registrars(rd);
    if (s->socket[0] != '/' || strlen(s->socket) > 107) {
        say(rd, true, "Daemon.Socket \"%.120s\": wants an absolute path of at most 107 characters",
            s->socket);
    }
    if (s->runtime_dir[0] != '/' || strlen(s->runtime_dir) > 200) {
        say(rd, true,
            "Daemon.RuntimeDirectory \"%.120s\": wants an absolute path of at most 200 characters",
            s->runtime_dir);
    }
    if (s->state_dir[0] != '/' || strlen(s->state_dir) > 200) {
        say(rd, true,
            "Daemon.StateDirectory \"%.120s\": wants an absolute path of at most 200 characters",
            s->state_dir);
    }
    if (s->suffixes.count == 0) {
        say(rd, true, "Clients.Suffixes: at least one is needed, such as .pool.alt");
    }
    if (s->rto_min_ms > s->rto_max_ms) {
        say(rd, true, "Network.RtoMin %ums is above Network.RtoMax %ums", s->rto_min_ms,
            s->rto_max_ms);
    }
    if (s->quarantine_first_ms > s->quarantine_max_ms) {
        say(rd, true, "Agent.QuarantineFirst %ums is above Agent.QuarantineMax %ums",
            s->quarantine_first_ms, s->quarantine_max_ms);
    }
    if (s->reregistration_ms >= s->registration_life_ms) {
        say(rd, true, "Agent.Reregistration %ums is not below Agent.RegistrationLife %ums",
            s->reregistration_ms, s->registration_life_ms);
    }
    if (s->registrars_wanted > s->registrars_max) {
        say(rd, true, "Registrar.Wanted %u is above Registrar.Most %u", s->registrars_wanted,
            s->registrars_max);
    }
    for (size_t i = 0; i < s->program_count; i++) {
        const struct settings_program *p = &s->programs[i];
        if ((p->pool_len == 0 && p->bind[0] == '\0') || p->pool_len > 255) {
            say(rd, true, "[Program %.120s]: wants Pool = HANDLE of 1 to 255 octets, or Bind",
                p->path);
        }
    }
}

/** One layer upon the other; the profile has to be known before everything else. */
static int read_layers(struct reading *rd, const struct settings_command *command,
                       const char *default_file, enum settings_profile profile)
{
    settings_done(&rd->s);
    memset(rd->seen, 0, sizeof(rd->seen));
    rd->failed = false;
    set_defaults(setting_at, profile, &rd->s);
    rd->s.profile = profile;
    const char *path = command->config != NULL ? command->config : default_file;
    int r = path != NULL ? read_file(rd, path, command->config != NULL) : 0;
    apply_command_line(rd, command);
    return rd->no_memory ? -ENOMEM : r;
}

int settings_load(const struct settings_command *command, const char *default_file, bool privileged,
                  const char *runtime_base, settings_report_fn report, void *ctx,
                  struct settings *ret)
{
    struct reading *rd = (struct reading *)calloc(1, sizeof(*rd));
    if (rd == NULL) {
        return -ENOMEM;
    }
    rd->ctx = ctx;
    rd->report = ignore_report;
    (void)read_layers(rd, command, default_file, PROFILE_LAN);
    enum settings_profile profile = (enum settings_profile)rd->s.profile;
    rd->report = report;
    int r = read_layers(rd, command, default_file, profile);
    if (r == 0 && !rd->failed) {
        set_derived(rd, privileged, runtime_base);
        check_together(rd);
    }
    if (r == 0 && rd->failed) {
        r = -EINVAL;
    }
    if (r == 0) {
        *ret = rd->s;
    } else {
        settings_done(&rd->s);
    }
    free(rd);
    return r;
}

void settings_done(struct settings *settings)
{
    free(settings->pools);
    free(settings->programs);
    memset(settings, 0, sizeof(*settings));
}

size_t settings_need_restart(const struct settings *now, const struct settings *next, char *out,
                             size_t size)
{
    size_t count = 0;
    size_t used = 0;
    const struct setting *s;
    out[0] = '\0';
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (s->reloadable || memcmp((const uint8_t *)now + s->offset,
                                    (const uint8_t *)next + s->offset, s->size) == 0) {
            continue;
        }
        int n =
            snprintf(out + used, size - used, "%s%s.%s", count > 0 ? ", " : "", s->section, s->key);
        used = n > 0 && used + (size_t)n < size ? used + (size_t)n : used;
        count++;
    }
    return count;
}

void settings_keep_restart_keys(const struct settings *now, struct settings *next)
{
    const struct setting *s;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (!s->reloadable) {
            memcpy((uint8_t *)next + s->offset, (const uint8_t *)now + s->offset, s->size);
        }
    }
}
