/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a client of the pool does: resolve and report. */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/** --proto as a number; without it `*ret` stays. */
static int read_protocol(struct ctl *ctl, enum transport_protocol *ret)
{
    const char *text = ctl->opt[OPT_PROTO];
    if (text == NULL) {
        return CTL_OK;
    }
    if (strcmp(text, "tcp") == 0) {
        *ret = TRANSPORT_TCP;
    } else if (strcmp(text, "udp") == 0) {
        *ret = TRANSPORT_UDP;
    } else {
        return ctl_fail(CTL_USAGE, "--proto \"%s\" - write tcp or udp", text);
    }
    return CTL_OK;
}

int ctl_run_resolve(struct ctl *ctl)
{
    static const struct column columns[] = {
        {"PE", "pe_id", COLUMN_TEXT, false},    {"PROTO", "protocol", COLUMN_TEXT, false},
        {"PORT", "port", COLUMN_NUMBER, false}, {"ADDRESSES", "addresses", COLUMN_LIST, false},
        {"STATE", "state", COLUMN_STATE, true}, {"LOAD", "load_percent", COLUMN_PERCENT, true},
    };
    struct handle_text pool;
    enum transport_protocol protocol = TRANSPORT_NONE;
    uint32_t count = ctl_option_number(ctl, OPT_COUNT_N, 1, 1000, 1);
    int status = read_protocol(ctl, &protocol);
    status = status == CTL_OK ? client_open(ctl) : status;
    status = status == CTL_OK ? handle_read(ctl, ctl->argv[0], &pool) : status;
    if (status != CTL_OK) {
        return status;
    }
    struct lp_writer *w = client_begin(ctl, LP_RESOLVE);
    lp_put_handle(w, handle_of(&pool));
    lp_put_u32(w, LP_T_COUNT, count);
    lp_put_u32(w, LP_T_TIMEOUT_MS, (uint32_t)ctl->timeout_ms);
    if (protocol != TRANSPORT_NONE) {
        lp_put_u32(w, LP_T_PROTOCOL, protocol);
    }
    char what[POOL_HANDLE_TEXT_MAX + 32];
    char handle[POOL_HANDLE_TEXT_MAX];
    (void)snprintf(what, sizeof(what), "resolve pool \"%s\"",
                   pool_handle_format(handle_of(&pool), handle, sizeof(handle)));
    /* The daemon may use up the whole time for asking a registrar; its answer still counts. */
    ctl->timeout_ms += 500;
    struct lp_message reply;
    status = client_call(ctl, what, "\"rspctl pool list\" shows what there is", &reply);
    if (status != CTL_OK) {
        return status;
    }
    json_t *rows = json_array();
    struct lp_each it;
    lp_each_init(&it, &reply);
    while (lp_next(&it)) {
        if (it.type == LP_T_PE && json_array_size(rows) < count) {
            (void)json_array_append_new(rows, pe_object(&it));
        }
    }
    if (json_array_size(rows) == 0) {
        json_decref(rows);
        return ctl_fail(CTL_NOT_FOUND, "cannot %s: it has no element", what);
    }
    static const struct listing listing = {.schema = "rspctl.resolve/1",
                                           .key = "pes",
                                           .columns = columns,
                                           .column_count = sizeof(columns) / sizeof(columns[0])};
    return out_listing(ctl, &listing, rows);
}

int ctl_run_report(struct ctl *ctl)
{
    static const struct {
        const char *name;
        uint32_t value;
    } reasons[] = {
        {"refused", ECONNREFUSED}, {"timeout", ETIMEDOUT}, {"unreachable", EHOSTUNREACH}};
    const char *wanted = ctl->opt[OPT_ERRNO] != NULL ? ctl->opt[OPT_ERRNO] : "refused";
    uint32_t reason = 0;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        reason = strcmp(wanted, reasons[i].name) == 0 ? reasons[i].value : reason;
    }
    if (reason == 0) {
        return ctl_fail(CTL_USAGE, "--reason \"%s\" - write refused, timeout or unreachable",
                        wanted);
    }
    struct handle_text pool;
    uint32_t id = 0;
    int status = client_open(ctl);
    status = status == CTL_OK ? handle_read(ctl, ctl->argv[0], &pool) : status;
    status = status == CTL_OK ? pe_read(ctl, ctl->argv[1], &id) : status;
    if (status != CTL_OK) {
        return status;
    }
    struct lp_writer *w = client_begin(ctl, LP_REPORT);
    lp_put_handle(w, handle_of(&pool));
    lp_put_u32(w, LP_T_PE_ID, id);
    lp_put_u32(w, LP_T_ERRNO, reason);
    struct lp_message reply;
    status =
        client_call(ctl, "report the element", "\"rspctl pe list\" shows what there is", &reply);
    if (status == CTL_OK) {
        ctl_say(ctl, "reported 0x%08x of pool %s", id, ctl->argv[0]);
    }
    return status;
}
