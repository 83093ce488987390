/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* One registrar, and taking this host's out of service. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define LEAVE_MS      15000
#define LOOK_AGAIN_NS 50000000

int ctl_run_registrar_show(struct ctl *ctl)
{
    char *end = NULL;
    unsigned long id = strtoul(ctl->argv[0], &end, 16);
    if (end == ctl->argv[0] || *end != '\0' || id == 0 || id > UINT32_MAX) {
        return ctl_fail(CTL_USAGE, "\"%s\" is no registrar's identifier, such as 0x1a2b3c4d",
                        ctl->argv[0]);
    }
    int status = client_open(ctl);
    json_t *list = status == CTL_OK ? rows_registrars(ctl, &status) : NULL;
    json_t *wanted = out_id((uint32_t)id);
    json_t *found = NULL;
    for (size_t i = 0; i < json_array_size(list) && found == NULL; i++) {
        json_t *row = json_array_get(list, i);
        if (json_equal(json_object_get(row, "registrar_id"), wanted)) {
            found = json_incref(row);
        }
    }
    json_decref(wanted);
    json_decref(list);
    if (status != CTL_OK) {
        return status;
    }
    if (found == NULL) {
        return ctl_fail(CTL_NOT_FOUND,
                        "no registrar \"%s\" - \"rspctl registrar list\" shows what there is",
                        ctl->argv[0]);
    }
    if (ctl->opt[OPT_JSON] != NULL) {
        return out_json("rspctl.registrar/1", found);
    }
    print_members(found, false);
    json_decref(found);
    return CTL_OK;
}

static int64_t monotonic_ms(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** Whether the daemon is no registrar any more. */
static bool has_left(struct ctl *ctl, int *ret_status)
{
    json_t *s = status_object(ctl, ret_status);
    const char *role = json_string_value(json_object_get(s, "role"));
    bool left = role != NULL && strcmp(role, "agent") == 0;
    json_decref(s);
    return left;
}

int ctl_run_registrar_leave(struct ctl *ctl)
{
    const struct timespec pause = {.tv_nsec = LOOK_AGAIN_NS};
    struct lp_message reply;
    int status = client_open(ctl);
    if (status == CTL_OK) {
        (void)client_begin(ctl, LP_REGISTRAR_LEAVE);
        status = client_call(ctl, "leave as a registrar", NULL, &reply);
    }
    int64_t end = monotonic_ms() + (ctl->opt[OPT_TIMEOUT] != NULL ? ctl->timeout_ms : LEAVE_MS);
    while (status == CTL_OK && !has_left(ctl, &status)) {
        if (status == CTL_OK && monotonic_ms() >= end) {
            return ctl_fail(CTL_TIMED_OUT, "it is still handing over; it goes on by itself");
        }
        (void)nanosleep(&pause, NULL);
    }
    return status;
}
