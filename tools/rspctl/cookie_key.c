/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The keys of a pool's state cookies: list, rotate, drop, export, import. */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define KEYS_MAX 49152 /* octets of a key ring as text; it goes in one message */

static const struct column columns[] = {
    {"POOL", "handle", COLUMN_TEXT, false},           {"KEY", "key_id", COLUMN_NUMBER, false},
    {"STATE", "state", COLUMN_STATE, false},          {"AGE", "age_ms", COLUMN_DURATION, false},
    {"SEALS IN", "delay_ms", COLUMN_DURATION, false},
};

static json_t *key_object(const struct lp_each *it)
{
    json_t *key = json_object();
    struct lp_each in;
    struct pool_handle handle;
    char text[32];
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_HANDLE && lp_handle(&in, &handle)) {
            out_put_handle(key, "handle", handle);
        } else if (in.type == LP_T_KEY_ID) {
            (void)json_object_set_new(key, "key_id", json_integer(lp_u32(&in, 0)));
        } else if (in.type == LP_T_STATE) {
            (void)json_object_set_new(key, "state", json_string(lp_str(&in, text, sizeof(text))));
        } else if (in.type == LP_T_AGE_MS) {
            (void)json_object_set_new(key, "age_ms", json_integer((json_int_t)lp_u64(&in, 0)));
        } else if (in.type == LP_T_DELAY_MS) {
            (void)json_object_set_new(key, "delay_ms", json_integer((json_int_t)lp_u64(&in, 0)));
        }
    }
    return key;
}

/** Begins a request about a pool (NULL: none); an exit status. */
static int begin(struct ctl *ctl, const char *action, const char *pool)
{
    struct handle_text handle = {.len = 0};
    int status = client_open(ctl);
    if (status == CTL_OK && pool != NULL) {
        status = handle_read(ctl, pool, &handle);
    }
    if (status != CTL_OK) {
        return status;
    }
    struct lp_writer *w = client_begin(ctl, LP_COOKIE_KEYS);
    lp_put_str(w, LP_T_KEY_ACTION, action);
    if (pool != NULL) {
        lp_put_handle(w, handle_of(&handle));
    }
    return CTL_OK;
}

static int call(struct ctl *ctl, const char *what, struct lp_message *ret)
{
    char text[POOL_HANDLE_TEXT_MAX + 64];
    (void)snprintf(text, sizeof(text), "%s%s%s", what, ctl->argc > 0 ? " of pool " : "",
                   ctl->argc > 0 ? ctl->argv[0] : "");
    return client_call(ctl, text, NULL, ret);
}

/** Prints the keys of a reply. */
static int print_keys(struct ctl *ctl, const struct lp_message *reply)
{
    static const struct listing listing = {.schema = "rspctl.cookie-key-list/1",
                                           .key = "keys",
                                           .columns = columns,
                                           .column_count = sizeof(columns) / sizeof(columns[0]),
                                           .empty = "no keys yet: the first is made with the "
                                                    "first cookie, or by rspctl cookie-key rotate"};
    json_t *rows = json_array();
    struct lp_each it;
    lp_each_init(&it, reply);
    while (lp_next(&it)) {
        if (it.type == LP_T_COOKIE_KEY) {
            (void)json_array_append_new(rows, key_object(&it));
        }
    }
    return out_listing(ctl, &listing, rows);
}

int ctl_run_cookie_key_list(struct ctl *ctl)
{
    struct lp_message reply;
    int status = begin(ctl, "list", ctl->argc > 0 ? ctl->argv[0] : NULL);
    status = status == CTL_OK ? call(ctl, "list the cookie keys", &reply) : status;
    return status == CTL_OK ? print_keys(ctl, &reply) : status;
}

int ctl_run_cookie_key_rotate(struct ctl *ctl)
{
    struct lp_message reply;
    uint32_t delay_ms = ctl_option_ms(ctl, OPT_AFTER, 0);
    int status = begin(ctl, "rotate", ctl->argv[0]);
    if (status != CTL_OK) {
        return status;
    }
    lp_put_u64(&ctl->writer, LP_T_DELAY_MS, delay_ms);
    status = call(ctl, "make a cookie key", &reply);
    return status == CTL_OK ? print_keys(ctl, &reply) : status;
}

int ctl_run_cookie_key_drop(struct ctl *ctl)
{
    struct lp_message reply;
    uint32_t id;
    if (!ctl_number(ctl->argv[1], 1, 65535, &id)) {
        return ctl_fail(CTL_USAGE, "\"%s\" is no key - see \"rspctl cookie-key list %s\"",
                        ctl->argv[1], ctl->argv[0]);
    }
    int status = begin(ctl, "drop", ctl->argv[0]);
    if (status != CTL_OK) {
        return status;
    }
    lp_put_u32(&ctl->writer, LP_T_KEY_ID, id);
    status = call(ctl, "drop the cookie key", &reply);
    return status == CTL_OK ? print_keys(ctl, &reply) : status;
}

int ctl_run_cookie_key_export(struct ctl *ctl)
{
    struct lp_message reply;
    struct lp_each it;
    if (isatty(STDOUT_FILENO) != 0) {
        return ctl_fail(CTL_USAGE, "these keys are a secret: not onto a terminal - write them to a "
                                   "file of yours (umask 077) or into a pipe");
    }
    int status = begin(ctl, "export", ctl->argv[0]);
    status = status == CTL_OK ? call(ctl, "export the cookie keys", &reply) : status;
    if (status != CTL_OK) {
        return status;
    }
    if (!lp_find(&reply, LP_T_KEYS, &it) || fwrite(it.value, 1, it.len, stdout) != it.len ||
        fflush(stdout) != 0) {
        return ctl_fail(CTL_FAILED, "cannot write the cookie keys");
    }
    return CTL_OK;
}

int ctl_run_cookie_key_import(struct ctl *ctl)
{
    static char text[KEYS_MAX];
    const char *path = ctl->argc > 1 && strcmp(ctl->argv[1], "-") != 0 ? ctl->argv[1] : NULL;
    struct lp_message reply;
    FILE *in = path != NULL ? fopen(path, "re") : stdin;
    if (in == NULL) {
        return ctl_fail(CTL_FAILED, "cannot read %s: %s", path, strerror(errno));
    }
    size_t len = fread(text, 1, sizeof(text), in);
    bool whole = feof(in) != 0 && ferror(in) == 0;
    if (path != NULL) {
        (void)fclose(in);
    }
    if (!whole) {
        return ctl_fail(CTL_FAILED, "%s holds no cookie keys", path != NULL ? path : "the input");
    }
    int status = begin(ctl, "import", ctl->argv[0]);
    if (status == CTL_OK) {
        lp_put_octets(&ctl->writer, LP_T_KEYS, text, len);
        status = call(ctl, "import the cookie keys", &reply);
    }
    explicit_bzero(text, len);
    return status == CTL_OK ? print_keys(ctl, &reply) : status;
}
