/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The daemon itself. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <string.h>

static const struct {
    enum lp_tlv type;
    const char *key;
    char kind; /* s: string, 4 or 8: octets of a number, i: id */
} members[] = {
    {LP_T_DAEMON_VERSION, "version", 's'},
    {LP_T_STATE, "state", 's'},
    {LP_T_ROLE, "role", 's'},
    {LP_T_SCOPE, "scope", 's'},
    {LP_T_BACKEND, "sctp", 's'},
    {LP_T_HOME_ID, "home_registrar", 'i'},
    {LP_T_UPTIME_MS, "uptime_ms", '8'},
    {LP_T_POOLS, "pools", '4'},
    {LP_T_PES, "pes", '4'},
    {LP_T_LOCAL_PES, "local_pes", '4'},
    {LP_T_REGISTRARS, "registrars", '4'},
    {LP_T_CLIENTS, "clients", '4'},
};

json_t *status_object(struct ctl *ctl, int *ret_status)
{
    struct lp_message reply;
    (void)client_begin(ctl, LP_STATUS);
    *ret_status = client_call(ctl, "ask for the status", NULL, &reply);
    if (*ret_status != CTL_OK) {
        return NULL;
    }
    json_t *status = json_object();
    json_t *notes = json_array();
    (void)json_object_set_new(status, "socket", json_string(ctl->socket));
    struct lp_each it;
    char text[512];
    for (size_t i = 0; i < sizeof(members) / sizeof(members[0]); i++) {
        if (!lp_find(&reply, members[i].type, &it)) {
            continue;
        }
        json_t *value = NULL;
        if (members[i].kind == 's') {
            value = json_string(lp_str(&it, text, sizeof(text)));
        } else if (members[i].kind == 'i') {
            value = lp_u32(&it, 0) != 0 ? out_id(lp_u32(&it, 0)) : json_null();
        } else {
            value = json_integer(members[i].kind == '8' ? (json_int_t)lp_u64(&it, 0)
                                                        : (json_int_t)lp_u32(&it, 0));
        }
        (void)json_object_set_new(status, members[i].key, value);
    }
    lp_each_init(&it, &reply);
    while (lp_next(&it)) {
        if (it.type == LP_T_TEXT) {
            (void)json_array_append_new(notes, json_string(lp_str(&it, text, sizeof(text))));
        }
    }
    (void)json_object_set_new(status, "notes", notes);
    return status;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text != NULL ? text : "none";
}

static long long number_of(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

int ctl_run_status(struct ctl *ctl)
{
    int status = client_open(ctl);
    json_t *s = status == CTL_OK ? status_object(ctl, &status) : NULL;
    if (s == NULL) {
        return status;
    }
    if (ctl->opt[OPT_JSON] != NULL) {
        return out_json("rspctl.status/1", s);
    }
    if (ctl->opt[OPT_QUIET] == NULL) {
        char up[32];
        printf("rspd %s on %s: %s, %s, up %s\n", text_of(s, "version"), text_of(s, "socket"),
               text_of(s, "state"), text_of(s, "role"),
               out_duration((uint64_t)number_of(s, "uptime_ms"), up, sizeof(up)));
        printf("scope %s, SCTP: %s, home registrar: %s, registrars known: %lld\n",
               text_of(s, "scope"), text_of(s, "sctp"), text_of(s, "home_registrar"),
               number_of(s, "registrars"));
        printf("pools: %lld, elements: %lld (%lld on this host), clients connected: %lld\n",
               number_of(s, "pools"), number_of(s, "pes"), number_of(s, "local_pes"),
               number_of(s, "clients"));
        const json_t *notes = json_object_get(s, "notes");
        for (size_t i = 0; i < json_array_size(notes); i++) {
            printf("note: %s\n", json_string_value(json_array_get(notes, i)));
        }
    }
    json_decref(s);
    return CTL_OK;
}
