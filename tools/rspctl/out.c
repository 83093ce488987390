/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What people and scripts read: errors, tables, JSON. A row is a JSON object; a table shows some of
 * its members, so that both forms cannot say different things. */
#include "tools/rspctl/rspctl.h"

#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>
#include <wchar.h>

#include "handlespace/policy.h"

#define CELL_MAX    512
#define COLUMNS_MAX 24

int ctl_fail(int status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)fflush(stdout);
    (void)fputs("rspctl: ", stderr);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
    return status;
}

void ctl_say(const struct ctl *ctl, const char *format, ...)
{
    if (ctl->opt[OPT_QUIET] != NULL) {
        return;
    }
    va_list args;
    va_start(args, format);
    (void)fflush(stdout);
    (void)vfprintf(stderr, format, args);
    (void)fputc('\n', stderr);
    va_end(args);
}

bool out_colored(const struct ctl *ctl)
{
    const char *when = ctl->opt[OPT_COLOR];
    if (ctl->opt[OPT_NO_COLOR] != NULL || (when != NULL && strcmp(when, "never") == 0)) {
        return false;
    }
    if (when != NULL && strcmp(when, "always") == 0) {
        return true;
    }
    const char *no = getenv("NO_COLOR");
    const char *force = getenv("CLICOLOR_FORCE");
    const char *term = getenv("TERM");
    if (no != NULL && no[0] != '\0') {
        return false;
    }
    if (force != NULL && strcmp(force, "0") != 0) {
        return true;
    }
    return isatty(STDOUT_FILENO) && term != NULL && strcmp(term, "dumb") != 0;
}

const char *out_duration(uint64_t ms, char *out, size_t size)
{
    if (ms < 1000) {
        (void)snprintf(out, size, "%ums", (unsigned)ms);
    } else if (ms < 60000) {
        (void)snprintf(out, size, "%.1fs", (double)ms / 1000);
    } else if (ms < 3600000) {
        (void)snprintf(out, size, "%umin%us", (unsigned)(ms / 60000), (unsigned)(ms / 1000 % 60));
    } else if (ms < 48 * (uint64_t)3600000) {
        (void)snprintf(out, size, "%uh%umin", (unsigned)(ms / 3600000),
                       (unsigned)(ms / 60000 % 60));
    } else {
        (void)snprintf(out, size, "%llud%uh", (unsigned long long)(ms / 86400000),
                       (unsigned)(ms / 3600000 % 24));
    }
    return out;
}

const char *out_time(uint64_t us, char *out, size_t size)
{
    time_t seconds = (time_t)(us / 1000000);
    struct tm tm;
    char date[32];
    if (gmtime_r(&seconds, &tm) == NULL ||
        strftime(date, sizeof(date), "%Y-%m-%dT%H:%M:%S", &tm) == 0) {
        date[0] = '\0';
    }
    (void)snprintf(out, size, "%s.%06uZ", date, (unsigned)(us % 1000000));
    return out;
}

const char *out_policy(const struct policy *policy, char *out, size_t size)
{
    const struct policy_info *info = policy_info_by_type(policy->type);
    if (info != NULL) {
        (void)snprintf(out, size, "%s", info->title);
    } else {
        (void)snprintf(out, size, "0x%08x", policy->type);
    }
    return out;
}

json_t *out_id(uint32_t id)
{
    char text[16];
    (void)snprintf(text, sizeof(text), "0x%08x", id);
    return json_string(text);
}

void out_put_handle(json_t *object, const char *key, struct pool_handle handle)
{
    char text[POOL_HANDLE_MAX * 4 + 1];
    (void)json_object_set_new(object, key,
                              json_string(pool_handle_format(handle, text, sizeof(text))));
    bool plain = true;
    char hex[POOL_HANDLE_MAX * 2 + 1] = "";
    for (size_t i = 0; i < handle.len && i < POOL_HANDLE_MAX; i++) {
        plain =
            plain && handle.octets[i] > 0x20 && handle.octets[i] < 0x7f && handle.octets[i] != '\\';
        (void)snprintf(hex + 2 * i, 3, "%02x", handle.octets[i]);
    }
    if (!plain) {
        char name[64];
        (void)snprintf(name, sizeof(name), "%s_hex", key);
        (void)json_object_set_new(object, name, json_string(hex));
    }
}

/** The document with "schema" as its first member. */
static json_t *with_schema(const char *schema, json_t *take_object)
{
    json_t *document = json_object();
    (void)json_object_set_new(document, "schema", json_string(schema));
    (void)json_object_update(document, take_object);
    json_decref(take_object);
    return document;
}

static int dump(const char *schema, json_t *take_object, size_t flags)
{
    json_t *document = with_schema(schema, take_object);
    int res = json_dumpf(document, stdout, flags);
    json_decref(document);
    if (res != 0 || putchar('\n') == EOF) {
        return ctl_fail(CTL_FAILED, "cannot write the JSON document");
    }
    return CTL_OK;
}

int out_json(const char *schema, json_t *take_object)
{
    return dump(schema, take_object, JSON_INDENT(2));
}

int out_json_line(const char *schema, json_t *take_object)
{
    int status = dump(schema, take_object, JSON_COMPACT);
    if (fflush(stdout) != 0) {
        return CTL_FAILED;
    }
    return status;
}

/** One member of a row as text. */
static void cell_text(const json_t *value, enum column_format format, bool raw, char *out,
                      size_t size)
{
    out[0] = '\0';
    if (value == NULL || json_is_null(value)) {
        (void)snprintf(out, size, "-");
    } else if (json_is_array(value)) {
        size_t used = 0;
        for (size_t i = 0; i < json_array_size(value) && used < size; i++) {
            const char *item = json_string_value(json_array_get(value, i));
            int n = snprintf(out + used, size - used, "%s%s", i > 0 ? "," : "",
                             item != NULL ? item : "?");
            used += n > 0 ? (size_t)n : 0;
        }
    } else if (json_is_string(value)) {
        (void)snprintf(out, size, "%s", json_string_value(value));
    } else if (json_is_boolean(value)) {
        (void)snprintf(out, size, "%s", json_is_true(value) ? "yes" : "no");
    } else if (format == COLUMN_DURATION && !raw) {
        (void)out_duration((uint64_t)json_integer_value(value), out, size);
    } else if (json_is_real(value)) {
        (void)snprintf(out, size, format == COLUMN_PERCENT && !raw ? "%.1f%%" : "%.1f",
                       json_real_value(value));
    } else {
        (void)snprintf(out, size, "%lld", (long long)json_integer_value(value));
    }
}

/** Columns a text takes on the screen. */
static int width_of(const char *text)
{
    static bool asked;
    wchar_t wide[CELL_MAX];
    if (!asked) {                      /* here, so that commands that print no table start faster */
        (void)setlocale(LC_CTYPE, ""); /* no more than that: numbers keep their point */
        asked = true;
    }
    size_t n = mbstowcs(wide, text, CELL_MAX);
    if (n == (size_t)-1 || n >= CELL_MAX) {
        return (int)strlen(text);
    }
    int width = wcswidth(wide, n);
    return width >= 0 ? width : (int)n;
}

static const struct column *column_named(const struct column *columns, size_t count,
                                         const char *name, size_t len)
{
    for (size_t i = 0; i < count; i++) {
        if ((strlen(columns[i].title) == len && strncasecmp(columns[i].title, name, len) == 0) ||
            (strlen(columns[i].key) == len && strncasecmp(columns[i].key, name, len) == 0)) {
            return &columns[i];
        }
    }
    char known[CELL_MAX] = "";
    size_t used = 0;
    for (size_t i = 0; i < count && used < sizeof(known); i++) {
        int n = snprintf(known + used, sizeof(known) - used, " %s", columns[i].key);
        used += n > 0 ? (size_t)n : 0;
    }
    (void)ctl_fail(CTL_USAGE, "no column \"%.*s\" - there are:%s", (int)len, name, known);
    return NULL;
}

/** The columns to show: those of -o, else all that are not extra. */
static int choose(const struct ctl *ctl, const struct column *columns, size_t count,
                  const struct column **ret, size_t *ret_count)
{
    size_t n = 0;
    const char *names = ctl->opt[OPT_COLUMNS];
    if (names == NULL) {
        for (size_t i = 0; i < count && n < COLUMNS_MAX; i++) {
            if (!columns[i].extra || ctl->opt[OPT_VERBOSE] != NULL) {
                ret[n++] = &columns[i];
            }
        }
    }
    while (names != NULL && *names != '\0' && n < COLUMNS_MAX) {
        size_t len = strcspn(names, ",");
        ret[n] = column_named(columns, count, names, len);
        if (ret[n++] == NULL) {
            return CTL_USAGE;
        }
        names += len + (names[len] == ',');
    }
    *ret_count = n;
    return CTL_OK;
}

static const char *sort_key;

static int compare_rows(const void *a, const void *b)
{
    const json_t *va = json_object_get(*(json_t *const *)a, sort_key);
    const json_t *vb = json_object_get(*(json_t *const *)b, sort_key);
    if (json_is_number(va) && json_is_number(vb)) {
        double da = json_number_value(va);
        double db = json_number_value(vb);
        return (da > db) - (da < db);
    }
    char ta[CELL_MAX];
    char tb[CELL_MAX];
    cell_text(va, COLUMN_TEXT, true, ta, sizeof(ta));
    cell_text(vb, COLUMN_TEXT, true, tb, sizeof(tb));
    return strcmp(ta, tb);
}

/** Sorts the rows by the column of --sort; the order of the daemon without it. */
static int sort_rows(const struct ctl *ctl, const struct column *columns, size_t count,
                     json_t *rows)
{
    const char *name = ctl->opt[OPT_SORT];
    size_t n = json_array_size(rows);
    if (name == NULL || n == 0) {
        return CTL_OK;
    }
    const struct column *column = column_named(columns, count, name, strlen(name));
    json_t **sorted = column != NULL ? calloc(n, sizeof(json_t *)) : NULL;
    if (sorted == NULL) {
        return column == NULL ? CTL_USAGE : ctl_fail(CTL_FAILED, "out of memory");
    }
    for (size_t i = 0; i < n; i++) {
        sorted[i] = json_incref(json_array_get(rows, i));
    }
    sort_key = column->key;
    qsort(sorted, n, sizeof(json_t *), compare_rows);
    (void)json_array_clear(rows);
    for (size_t i = 0; i < n; i++) {
        (void)json_array_append_new(rows, sorted[i]);
    }
    free(sorted);
    return CTL_OK;
}

static const char *state_color(const char *state)
{
    if (strcmp(state, "up") == 0 || strcmp(state, "home") == 0 || strcmp(state, "active") == 0) {
        return "\033[32m";
    }
    return strcmp(state, "-") == 0 ? "" : "\033[33m";
}

/** How wide stdout is; 0: not limited. */
static int line_width(const struct ctl *ctl)
{
    struct winsize ws;
    if (ctl->opt[OPT_WIDE] != NULL || !isatty(STDOUT_FILENO) ||
        ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) != 0) {
        return 0;
    }
    return ws.ws_col;
}

/** Prints one line, cut at `limit` columns (0: not). */
static void print_line(const struct ctl *ctl, const struct column *const *columns, size_t count,
                       const int *widths, char (*cells)[CELL_MAX], int limit)
{
    bool colored = out_colored(ctl);
    int at = 0;
    for (size_t i = 0; i < count; i++) {
        int width = width_of(cells[i]);
        int pad = widths[i] - width;
        bool right = columns[i]->format == COLUMN_NUMBER || columns[i]->format == COLUMN_PERCENT ||
                     columns[i]->format == COLUMN_DURATION;
        bool last = i + 1 == count;
        if (limit > 0 && at + (right ? widths[i] : width) > limit) {
            int room = limit - at;
            printf("%.*s", room > 0 && width == (int)strlen(cells[i]) ? room : 0, cells[i]);
            break;
        }
        const char *color =
            colored && columns[i]->format == COLUMN_STATE ? state_color(cells[i]) : "";
        printf("%*s%s%s%s%*s", right ? pad : 0, "", color, cells[i],
               color[0] != '\0' ? "\033[0m" : "", right || last ? 0 : pad, "");
        if (!last) {
            printf("  ");
        }
        at += widths[i] + 2;
    }
    (void)putchar('\n');
}

/** Fills the cells of a row; row NULL: the titles. */
static void fill_cells(const struct ctl *ctl, const struct column *const *columns, size_t count,
                       const json_t *row, char (*cells)[CELL_MAX])
{
    for (size_t i = 0; i < count; i++) {
        if (row == NULL) {
            (void)snprintf(cells[i], CELL_MAX, "%s", columns[i]->title);
        } else {
            cell_text(json_object_get(row, columns[i]->key), columns[i]->format,
                      ctl->opt[OPT_RAW] != NULL, cells[i], CELL_MAX);
        }
    }
}

int out_table(const struct ctl *ctl, const struct column *columns, size_t column_count,
              json_t *rows)
{
    const struct column *chosen[COLUMNS_MAX];
    size_t count = 0;
    int widths[COLUMNS_MAX] = {0};
    static char cells[COLUMNS_MAX][CELL_MAX];
    int status = choose(ctl, columns, column_count, chosen, &count);
    if (status == CTL_OK) {
        status = sort_rows(ctl, columns, column_count, rows);
    }
    if (status != CTL_OK) {
        return status;
    }
    bool header = ctl->opt[OPT_NO_HEADER] == NULL;
    size_t n = json_array_size(rows);
    for (size_t r = 0; r <= n; r++) {
        fill_cells(ctl, chosen, count, r < n ? json_array_get(rows, r) : NULL, cells);
        for (size_t i = 0; (r < n || header) && i < count; i++) {
            int width = width_of(cells[i]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    int limit = line_width(ctl);
    if (header) {
        fill_cells(ctl, chosen, count, NULL, cells);
        print_line(ctl, chosen, count, widths, cells, limit);
    }
    for (size_t r = 0; r < n; r++) {
        fill_cells(ctl, chosen, count, json_array_get(rows, r), cells);
        print_line(ctl, chosen, count, widths, cells, limit);
    }
    return CTL_OK;
}

int out_listing(const struct ctl *ctl, const struct listing *listing, json_t *take_rows)
{
    int status = CTL_OK;
    if (ctl->opt[OPT_JSON] != NULL) {
        status = sort_rows(ctl, listing->columns, listing->column_count, take_rows);
        if (status == CTL_OK) {
            return out_json(listing->schema, json_pack("{s:o}", listing->key, take_rows));
        }
    } else if (ctl->opt[OPT_QUIET] == NULL) {
        if (json_array_size(take_rows) == 0 && listing->empty != NULL) {
            ctl_say(ctl, "%s", listing->empty);
        } else {
            status = out_table(ctl, listing->columns, listing->column_count, take_rows);
        }
    }
    json_decref(take_rows);
    return status;
}
