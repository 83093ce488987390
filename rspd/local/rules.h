/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Program rules: which executables join which pool without being told so in their environment
 * (`LD_PRELOAD=librsp_preload.so ./legacy_server`, issue A). Looked up with HELLO by the path of
 * /proc/PID/exe. Pure.
 */
#ifndef RSP_RSPD_LOCAL_RULES_H
#define RSP_RSPD_LOCAL_RULES_H

#include "common/types.h"

#define RULE_EXE_MAX    256
#define RULE_HANDLE_MAX 255
#define RULE_PROBE_MAX  256
#define RULES_MAX       1024

/** One line of a program's rule: a port (or all) and its pool. */
struct rule {
    char exe[RULE_EXE_MAX]; /* absolute path, or a pattern as in file names */
    uint16_t handle_len;
    uint8_t handle[RULE_HANDLE_MAX];
    enum transport_protocol protocol; /* TRANSPORT_NONE: TCP or SCTP */
    uint16_t port;                    /* 0: all */
    struct policy policy;             /* type POLICY_NONE: not stated */
    uint32_t capacity;
    char probe[RULE_PROBE_MAX];
    uint32_t probe_ms;
    uint32_t slow_start_ms;
};

static inline struct pool_handle rule_handle(const struct rule *r)
{
    return (struct pool_handle){.octets = r->handle, .len = r->handle_len};
}

struct rules;

int rules_new(struct rules **ret);
void rules_free(struct rules *rules);
void rules_clear(struct rules *rules);
/**
 * Adds a rule (copied). -EINVAL: no absolute path, no handle, slow start without a load; -ENOSPC:
 * RULES_MAX; -ENOMEM. On error one sentence in `error`.
 */
int rules_add(struct rules *rules, const struct rule *rule, char *error, size_t error_size);
/**
 * Adds one rule per entry of a bind list ("8080=web,8443=web-tls", bindmap.h); entries without a
 * pool take the handle of `base`, which also gives everything else. Nothing is added on error.
 */
int rules_add_bind(struct rules *rules, const struct rule *base, const char *bind, char *error,
                   size_t error_size);
/**
 * The rules for an executable: those with exactly this path, or if there are none, those of the
 * first pattern that matches. Borrowed until the next change. Returns the number, at most `max`.
 */
size_t rules_find(const struct rules *rules, const char *exe, const struct rule **ret, size_t max);

#endif
