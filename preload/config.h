/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The shim's settings: from the environment, read once and copied (programs rewrite theirs), with
 * secure_getenv() only; and what the daemon told with HELLO_OK. What lies on a fast path is atomic,
 * the rest is behind pre_state_lock().
 */
#ifndef RSP_PRELOAD_CONFIG_H
#define RSP_PRELOAD_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/types.h"
#include "librsp/lp_client.h"

#define PRE_TEXT_MAX     256
#define PRE_RULES_MAX    32
#define PRE_SUFFIXES_MAX 8

/* A program that must not wait is made to wait for the daemon no longer than this (L-14). */
#define PRE_QUICK_MS 50
/* One that may: a question about a name, a registration, one resolution. */
#define PRE_NAME_MS     5000
#define PRE_REGISTER_MS 3000
/* With the daemon away, the process's own last answer serves that long. */
#define PRE_STALE_MS 30000

struct pre_rule {
    uint16_t port; /* 0: all */
    enum transport_protocol protocol;
    uint16_t handle_len;
    uint8_t handle[PRE_TEXT_MAX];
    struct policy policy;
    uint32_t capacity;
    uint32_t probe_ms;
    uint32_t slow_start_ms;
    char probe[PRE_TEXT_MAX];
};

struct pre_config {
    char socket_path[LP_PATH_MAX];
    char pool[1025];                  /* $RSP_POOL */
    char bind[1024];                  /* $RSP_BIND */
    struct policy policy;             /* $RSP_POLICY */
    uint32_t capacity;                /* $RSP_CAPACITY */
    char probe[PRE_TEXT_MAX];         /* $RSP_PROBE */
    uint32_t probe_ms;                /* $RSP_PROBE_MS */
    uint32_t slow_start_ms;           /* $RSP_SLOW_START_MS, or $RSP_POLICY's */
    enum transport_protocol protocol; /* $RSP_PROTO: registers that kind instead of TCP */
    uint32_t sticky_ms;               /* $RSP_STICKY, seconds */
    bool peername_cookie;             /* $RSP_PEERNAME=cookie */
    bool strict;                      /* $RSP_STRICT=1 */
    bool server; /* RSP_POOL or RSP_BIND is set: this program is meant to register */
};

/** The settings of the environment; loads them at the first call. */
const struct pre_config *pre_config(void);

/** Learns from HELLO_OK; `hints_fd` (-1: none) is taken. Caller is inside pre_enter(). */
void pre_config_learn(const struct lp_message *hello_ok, int hints_fd);
/** Whether HELLO_OK was ever received by this process image. */
bool pre_config_learnt(void);
uint32_t pre_refusal_wait_us(void);
uint32_t pre_connect_timeout_ms(void);

/** Whether an address is a cookie: mask and compare, no lock (fast path of connect). */
bool pre_is_cookie(const struct ip_address *address);
/** Whether an address might be a cookie of a daemon set up otherwise than by default. */
bool pre_may_be_cookie(const struct ip_address *address);
/** Whether a host name has one of our suffixes. */
bool pre_is_pool_name(const char *name);

/** Leaf lock of the state in config.c and pools.c; only inside pre_enter(). */
void pre_state_lock(void);
void pre_state_unlock(void);

/** The daemon's rules for this executable: copies number `i`; false: no more. Inside pre_enter().
 */
bool pre_daemon_rule(unsigned i, struct pre_rule *ret);

/** A connection of that PE came or went: counts in the daemon's shared page, if there is one. */
void pre_hint(uint32_t pe_id);

/** Parses "rr", "rand", "lu" … with words after ':' as rspctl does; false: unknown. */
bool pre_policy_parse(const char *text, struct policy *ret, uint32_t *ret_slow_start_ms);

/** One line to $RSP_LOG, if set. Inside or outside pre_enter(). */
void pre_log(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
