/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Pools, elements and registrars: what the daemon lists, as rows. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <string.h>

#include "common/names.h"
#include "handlespace/policy.h"

static const struct column pool_columns[] = {
    {"POOL", "handle", COLUMN_TEXT, false},    {"NAME", "name", COLUMN_TEXT, false},
    {"POLICY", "policy", COLUMN_TEXT, false},  {"PROTO", "protocol", COLUMN_TEXT, false},
    {"PES", "elements", COLUMN_NUMBER, false}, {"COOKIE4", "cookie4", COLUMN_TEXT, true},
    {"COOKIE6", "cookie6", COLUMN_TEXT, true}, {"OWNER", "owner_uid", COLUMN_NUMBER, true},
};

const struct column pe_columns[] = {
    {"POOL", "handle", COLUMN_TEXT, false},        {"PE", "pe_id", COLUMN_TEXT, false},
    {"STATE", "state", COLUMN_STATE, false},       {"PROTO", "protocol", COLUMN_TEXT, false},
    {"PORT", "port", COLUMN_NUMBER, false},        {"ADDRESSES", "addresses", COLUMN_LIST, false},
    {"POLICY", "policy", COLUMN_TEXT, false},      {"LOAD", "load_percent", COLUMN_PERCENT, false},
    {"AGE", "age_ms", COLUMN_DURATION, false},     {"PID", "pid", COLUMN_NUMBER, false},
    {"PROGRAM", "program", COLUMN_TEXT, false},    {"REASON", "reason", COLUMN_TEXT, false},
    {"HOME", "home_id", COLUMN_TEXT, true},        {"LOCAL", "local", COLUMN_TEXT, true},
    {"CONNS", "connections", COLUMN_NUMBER, true}, {"CAPACITY", "capacity", COLUMN_NUMBER, true},
    {"OWNER", "owner_uid", COLUMN_NUMBER, true},
};
const size_t pe_column_count = sizeof(pe_columns) / sizeof(pe_columns[0]);

static const struct column registrar_columns[] = {
    {"REGISTRAR", "registrar_id", COLUMN_TEXT, false},
    {"STATE", "state", COLUMN_STATE, false},
    {"ADDRESSES", "addresses", COLUMN_LIST, false},
    {"PORT", "port", COLUMN_NUMBER, false},
    {"HEARD", "age_ms", COLUMN_DURATION, false},
    {"LOCAL", "local", COLUMN_TEXT, false},
    {"PEER", "peer_state", COLUMN_STATE, false},
    {"PES", "elements", COLUMN_NUMBER, false},
    {"CHECKSUM", "checksum", COLUMN_TEXT, false},
    {"TOLD", "checksum_told", COLUMN_TEXT, false},
    {"PEERHEARD", "peer_age_ms", COLUMN_DURATION, false},
    {"ENRPPORT", "enrp_port", COLUMN_NUMBER, true},
    {"LINK", "connected", COLUMN_TEXT, true},
    {"GIVEN", "configured", COLUMN_TEXT, true},
    {"RESYNC", "resync", COLUMN_TEXT, true},
};

static void put_string(json_t *object, const char *key, const struct lp_each *it)
{
    char text[256];
    (void)json_object_set_new(object, key, json_string(lp_str(it, text, sizeof(text))));
}

static void put_number(json_t *object, const char *key, uint64_t value)
{
    (void)json_object_set_new(object, key, json_integer((json_int_t)value));
}

static void put_policy(json_t *object, const struct lp_each *it)
{
    struct policy policy;
    char text[64];
    if (lp_policy(it, &policy)) {
        (void)json_object_set_new(object, "policy",
                                  json_string(out_policy(&policy, text, sizeof(text))));
        (void)json_object_set_new(object, "policy_type", out_id(policy.type));
    }
}

static void put_address(json_t *object, const char *key, const struct lp_each *it, bool list)
{
    struct ip_address address;
    char text[IP_ADDRESS_TEXT_MAX];
    if (!lp_address(it, &address)) {
        return;
    }
    json_t *value = json_string(ip_address_format(&address, text, sizeof(text)));
    if (!list) {
        (void)json_object_set_new(object, key, value);
        return;
    }
    json_t *array = json_object_get(object, key);
    if (array == NULL) {
        array = json_array();
        (void)json_object_set_new(object, key, array);
    }
    (void)json_array_append_new(array, value);
}

/** Members that pools, elements and registrars share. False: not one of them. */
static bool put_common(json_t *object, const struct lp_each *it)
{
    struct pool_handle handle;
    char text[32];
    switch (it->type) {
    case LP_T_HANDLE:
        if (lp_handle(it, &handle)) {
            out_put_handle(object, "handle", handle);
        }
        return true;
    case LP_T_POLICY:
        put_policy(object, it);
        return true;
    case LP_T_PROTOCOL:
        (void)snprintf(text, sizeof(text), "%s",
                       transport_protocol_name((enum transport_protocol)lp_u32(it, 0)));
        (void)json_object_set_new(object, "protocol", json_string(text));
        return true;
    case LP_T_ADDRESS:
        put_address(object, "addresses", it, true);
        return true;
    case LP_T_PORT:
        put_number(object, "port", lp_u32(it, 0));
        return true;
    case LP_T_STATE:
        put_string(object, "state", it);
        return true;
    case LP_T_AGE_MS:
        put_number(object, "age_ms", lp_u64(it, 0));
        return true;
    case LP_T_OWNER_UID:
        put_number(object, "owner_uid", lp_u32(it, 0));
        return true;
    case LP_T_LOCAL:
        (void)json_object_set_new(object, "local", json_boolean(lp_u32(it, 0) != 0));
        return true;
    default:
        return false;
    }
}

json_t *pe_object(const struct lp_each *it)
{
    json_t *pe = json_object();
    struct lp_each in;
    (void)json_object_set_new(pe, "local", json_false());
    lp_nested(&in, it);
    while (lp_next(&in)) {
        switch (in.type) {
        case LP_T_PE_ID:
            (void)json_object_set_new(pe, "pe_id", out_id(lp_u32(&in, 0)));
            break;
        case LP_T_HOME_ID:
            if (lp_u32(&in, 0) != 0) { /* else nobody else knows it */
                (void)json_object_set_new(pe, "home_id", out_id(lp_u32(&in, 0)));
            }
            break;
        case LP_T_LOAD:
            (void)json_object_set_new(pe, "load_percent",
                                      json_real((double)lp_u32(&in, 0) * 100 / LOAD_FULL));
            break;
        case LP_T_PID:
            put_number(pe, "pid", lp_u32(&in, 0));
            break;
        case LP_T_CAPACITY:
            put_number(pe, "capacity", lp_u32(&in, 0));
            break;
        case LP_T_CONNECTIONS:
            put_number(pe, "connections", lp_u32(&in, 0));
            break;
        case LP_T_REASON:
            put_string(pe, "reason", &in);
            break;
        case LP_T_PROGRAM:
            put_string(pe, "program", &in);
            break;
        default:
            (void)put_common(pe, &in);
            break;
        }
    }
    return pe;
}

/** What a collector needs besides the rows. */
struct collector {
    const struct ctl *ctl;
    json_t *rows;
};

static void collect_pe(const struct lp_each *it, void *arg)
{
    struct collector *c = arg;
    (void)json_array_append_new(c->rows, pe_object(it));
}

/** The host name that stands for the pool; null where no name can. */
static void put_name(json_t *pool, const struct ctl *ctl, struct pool_handle handle)
{
    const char *suffix = ctl->suffix_count > 0 ? ctl->suffixes[0] : NAME_SUFFIX_DEFAULT;
    char name[NAME_TEXT_MAX];
    bool named = name_from_handle(handle, suffix, name, sizeof(name)) > 0;
    (void)json_object_set_new(pool, "name", named ? json_string(name) : json_null());
}

static void collect_pool(const struct lp_each *it, void *arg)
{
    struct collector *c = arg;
    json_t *pool = json_object();
    struct pool_handle handle;
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_PES) {
            put_number(pool, "elements", lp_u32(&in, 0));
        } else if (in.type == LP_T_COOKIE4) {
            put_address(pool, "cookie4", &in, false);
        } else if (in.type == LP_T_COOKIE6) {
            put_address(pool, "cookie6", &in, false);
        } else {
            (void)put_common(pool, &in);
        }
        if (in.type == LP_T_HANDLE && lp_handle(&in, &handle)) {
            put_name(pool, c->ctl, handle);
        }
    }
    (void)json_array_append_new(c->rows, pool);
}

static void put_checksum(json_t *object, const char *key, const struct lp_each *it)
{
    char text[8];
    (void)snprintf(text, sizeof(text), "%04x", lp_u32(it, 0) & 0xffff);
    (void)json_object_set_new(object, key, json_string(text));
}

/** What a registrar knows of another one, or of itself. */
static void put_peer(json_t *registrar, const struct lp_each *it)
{
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        switch (in.type) {
        case LP_T_STATE:
            put_string(registrar, "peer_state", &in);
            break;
        case LP_T_AGE_MS:
            put_number(registrar, "peer_age_ms", lp_u64(&in, 0));
            break;
        case LP_T_PES:
            put_number(registrar, "elements", lp_u32(&in, 0));
            break;
        case LP_T_CHECKSUM:
            put_checksum(registrar, "checksum", &in);
            break;
        case LP_T_CHECKSUM_TOLD:
            put_checksum(registrar, "checksum_told", &in);
            break;
        case LP_T_PORT:
            put_number(registrar, "enrp_port", lp_u32(&in, 0));
            break;
        case LP_T_CONNECTED:
            (void)json_object_set_new(registrar, "connected", json_boolean(lp_u32(&in, 0) != 0));
            break;
        case LP_T_CONFIGURED:
            (void)json_object_set_new(registrar, "configured", json_boolean(lp_u32(&in, 0) != 0));
            break;
        case LP_T_RESYNC:
            (void)json_object_set_new(registrar, "resync", json_boolean(lp_u32(&in, 0) != 0));
            break;
        default:
            break;
        }
    }
}

static void collect_registrar(const struct lp_each *it, void *arg)
{
    struct collector *c = arg;
    json_t *registrar = json_object();
    struct lp_each in;
    (void)json_object_set_new(registrar, "local", json_false());
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_HOME_ID) {
            (void)json_object_set_new(registrar, "registrar_id", out_id(lp_u32(&in, 0)));
        } else if (in.type == LP_T_PEER) {
            put_peer(registrar, &in);
        } else {
            (void)put_common(registrar, &in);
        }
    }
    (void)json_array_append_new(c->rows, registrar);
}

/** Asks for a list and gives its rows. */
static json_t *rows(struct ctl *ctl, const char *what, enum lp_tlv item,
                    void (*collect)(const struct lp_each *it, void *arg), int *ret_status)
{
    struct collector c = {.ctl = ctl, .rows = json_array()};
    *ret_status = client_list(ctl, what, item, collect, &c);
    if (*ret_status != CTL_OK) {
        json_decref(c.rows);
        return NULL;
    }
    return c.rows;
}

json_t *rows_pools(struct ctl *ctl, const struct handle_text *pool, int *ret_status)
{
    struct lp_writer *w = client_begin(ctl, LP_POOL_LIST);
    if (pool != NULL) {
        lp_put_handle(w, handle_of(pool));
    }
    return rows(ctl, "list pools", LP_T_POOL, collect_pool, ret_status);
}

json_t *rows_pes(struct ctl *ctl, const struct handle_text *pool, bool local, int *ret_status)
{
    struct lp_writer *w = client_begin(ctl, LP_PE_LIST);
    if (pool != NULL) {
        lp_put_handle(w, handle_of(pool));
    }
    if (local) {
        lp_put_u32(w, LP_T_LOCAL, 1);
    }
    return rows(ctl, "list pool elements", LP_T_PE, collect_pe, ret_status);
}

json_t *rows_registrars(struct ctl *ctl, int *ret_status)
{
    (void)client_begin(ctl, LP_REGISTRAR_LIST);
    return rows(ctl, "list registrars", LP_T_REGISTRAR, collect_registrar, ret_status);
}

#define LISTING(schema_, key_, columns_, empty_)                                                   \
    {                                                                                              \
        .schema = (schema_), .key = (key_), .columns = (columns_),                                 \
        .column_count = sizeof(columns_) / sizeof((columns_)[0]), .empty = (empty_)                \
    }

static const struct listing pool_listing =
    LISTING("rspctl.pool-list/1", "pools", pool_columns,
            "no pools yet: \"rspctl run --pool web -- CMD\" makes one");
static const struct listing pe_listing =
    LISTING("rspctl.pe-list/1", "pes", pe_columns, "no pool elements");
static const struct listing registrar_listing =
    LISTING("rspctl.registrar-list/1", "registrars", registrar_columns, "no registrar is known");

int ctl_run_pool_list(struct ctl *ctl)
{
    int status = client_open(ctl);
    json_t *list = status == CTL_OK ? rows_pools(ctl, NULL, &status) : NULL;
    return list != NULL ? out_listing(ctl, &pool_listing, list) : status;
}

int ctl_run_registrar_list(struct ctl *ctl)
{
    int status = client_open(ctl);
    json_t *list = status == CTL_OK ? rows_registrars(ctl, &status) : NULL;
    return list != NULL ? out_listing(ctl, &registrar_listing, list) : status;
}

int ctl_run_pe_list(struct ctl *ctl)
{
    struct handle_text pool;
    int status = client_open(ctl);
    if (status == CTL_OK && ctl->argc > 0) {
        status = handle_read(ctl, ctl->argv[0], &pool);
    }
    json_t *list = NULL;
    if (ctl->opt[OPT_OWNERS] != NULL && ctl->opt[OPT_COLUMNS] == NULL) {
        ctl->opt[OPT_COLUMNS] = "handle,pe_id,state,home_id,protocol,port,addresses";
    }
    if (status == CTL_OK) {
        list = rows_pes(ctl, ctl->argc > 0 ? &pool : NULL, ctl->opt[OPT_LOCAL] != NULL, &status);
    }
    return list != NULL ? out_listing(ctl, &pe_listing, list) : status;
}

void print_members(json_t *object, bool raw)
{
    const char *key;
    json_t *value;
    json_object_foreach(object, key, value)
    {
        char text[128];
        char label[64];
        size_t len = strlen(key);
        bool duration = len > 3 && strcmp(key + len - 3, "_ms") == 0 && !raw;
        (void)snprintf(label, sizeof(label), "%.*s:", (int)(duration ? len - 3 : len), key);
        if (json_is_string(value)) {
            printf("%-14s %s\n", label, json_string_value(value));
        } else if (json_is_boolean(value)) {
            printf("%-14s %s\n", label, json_is_true(value) ? "yes" : "no");
        } else if (json_is_integer(value) && duration) {
            printf("%-14s %s\n", label,
                   out_duration((uint64_t)json_integer_value(value), text, sizeof(text)));
        } else if (json_is_integer(value)) {
            printf("%-14s %lld\n", label, (long long)json_integer_value(value));
        } else if (json_is_real(value)) {
            printf("%-14s %.1f\n", label, json_real_value(value));
        }
        for (size_t i = 0; json_is_array(value) && i < json_array_size(value); i++) {
            const char *item = json_string_value(json_array_get(value, i));
            printf("%-14s %s\n", i == 0 ? label : "", item != NULL ? item : "");
        }
    }
}

int ctl_run_pool_show(struct ctl *ctl)
{
    struct handle_text pool;
    int status = client_open(ctl);
    status = status == CTL_OK ? handle_read(ctl, ctl->argv[0], &pool) : status;
    json_t *pools = status == CTL_OK ? rows_pools(ctl, &pool, &status) : NULL;
    json_t *pes = pools != NULL ? rows_pes(ctl, &pool, false, &status) : NULL;
    if (pes == NULL || json_array_size(pools) == 0) {
        json_decref(pools);
        json_decref(pes);
        return status != CTL_OK ? status
                                : ctl_fail(CTL_NOT_FOUND,
                                           "no pool \"%s\" - \"rspctl pool list\" shows what there "
                                           "is",
                                           ctl->argv[0]);
    }
    json_t *document = json_incref(json_array_get(pools, 0));
    json_decref(pools);
    if (ctl->opt[OPT_JSON] != NULL) {
        (void)json_object_set_new(document, "pes", pes);
        return out_json("rspctl.pool/1", document);
    }
    print_members(document, ctl->opt[OPT_RAW] != NULL);
    json_decref(document);
    if (json_array_size(pes) > 0) {
        (void)putchar('\n');
        status = out_table(ctl, pe_columns, pe_column_count, pes);
    }
    json_decref(pes);
    return status;
}

int ctl_run_pe_show(struct ctl *ctl)
{
    uint32_t id = 0;
    int status = client_open(ctl);
    status = status == CTL_OK ? pe_read(ctl, ctl->argv[0], &id) : status;
    json_t *pes = status == CTL_OK ? rows_pes(ctl, NULL, false, &status) : NULL;
    json_t *wanted = out_id(id);
    json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(pes); i++) {
        json_t *pe = json_array_get(pes, i);
        if (json_equal(json_object_get(pe, "pe_id"), wanted)) {
            found = json_incref(pe);
            break;
        }
    }
    json_decref(wanted);
    json_decref(pes);
    if (status != CTL_OK) {
        return status;
    }
    if (found == NULL) {
        return ctl_fail(CTL_NOT_FOUND, "no element \"%s\" - \"rspctl pe list\" shows what there is",
                        ctl->argv[0]);
    }
    if (ctl->opt[OPT_JSON] != NULL) {
        return out_json("rspctl.pe/1", found);
    }
    print_members(found, false);
    json_decref(found);
    return CTL_OK;
}

/* "lud:load=25%,degradation=25%": all that can be given, with a value of its form. */
static const char *written_as(const struct policy_info *info, char *out, size_t size)
{
    size_t used = (size_t)snprintf(out, size, "%s", info->name);
    char separator = ':';
    for (size_t w = 0; w < info->word_count && used < size; w++) {
        const char *form = policy_word_form(info, w);
        if (strcmp(form, "measured") != 0) {
            used += (size_t)snprintf(out + used, size - used, "%c%s=%s", separator,
                                     info->word_names[w], form[0] == 'p' ? "25%" : "3");
            separator = ',';
        }
    }
    return out;
}

int ctl_run_policies(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"NAME", "name", COLUMN_TEXT, false},
        {"POLICY", "title", COLUMN_TEXT, false},
        {"TYPE", "policy_type", COLUMN_TEXT, false},
        {"ADAPTIVE", "adaptive", COLUMN_TEXT, false},
        {"WRITTEN AS", "written_as", COLUMN_TEXT, false},
    };
    static const struct listing listing = LISTING("rspctl.policies/1", "policies", columns, NULL);
    json_t *list = json_array();
    const struct policy_info *info;
    for (size_t i = 0; (info = policy_info_at(i)) != NULL; i++) {
        json_t *values = json_array();
        json_t *forms = json_array();
        for (size_t w = 0; w < info->word_count; w++) {
            (void)json_array_append_new(values, json_string(info->word_names[w]));
            (void)json_array_append_new(forms, json_string(policy_word_form(info, w)));
        }
        char written[96];
        json_t *row =
            json_pack("{s:s, s:s, s:b, s:s, s:o, s:o}", "name", info->name, "title", info->title,
                      "adaptive", info->adaptive, "written_as",
                      written_as(info, written, sizeof(written)), "values", values, "forms", forms);
        (void)json_object_set_new(row, "policy_type", out_id(info->type));
        (void)json_array_append_new(list, row);
    }
    return out_listing(ctl, &listing, list);
}
