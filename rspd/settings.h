/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Every setting of the daemon: one table (settings_table.c) from which come the configuration file,
 * the command line, `rspd --help`, the reference of all keys (`rspd --help-settings`) and the
 * manual. A struct settings is a plain value; what it points to belongs to it.
 *
 * Order, later wins: built-in value of the profile, file, command line.
 */
#ifndef RSP_RSPD_SETTINGS_H
#define RSP_RSPD_SETTINGS_H

#include <stdio.h>

#include "common/log.h"
#include "common/types.h"

enum settings_profile { PROFILE_RFC, PROFILE_RSPLIB, PROFILE_LAN, PROFILE_FAST, PROFILES };
enum settings_role { SETTINGS_ROLE_NO, SETTINGS_ROLE_YES, SETTINGS_ROLE_AUTO };
enum settings_transport {
    SETTINGS_TRANSPORT_AUTO,
    SETTINGS_TRANSPORT_KERNEL,
    SETTINGS_TRANSPORT_USRSCTP,
    SETTINGS_TRANSPORT_NONE
};

/** Who is offered elements (takeover suggestion), in the order of enum enrp_suggestion. */
enum settings_suggestion {
    SETTINGS_SUGGEST_NEVER,
    SETTINGS_SUGGEST_BY_ID,
    SETTINGS_SUGGEST_BY_LOAD
};
enum settings_takeover_order { SETTINGS_HIGHEST_WINS, SETTINGS_LOWEST_WINS };
enum settings_cookies { SETTINGS_COOKIES_SEALED, SETTINGS_COOKIES_UNSEALED };

#define SETTINGS_REGISTRARS_MAX 16
#define SETTINGS_GROUPS_MAX     8
#define SETTINGS_SUFFIXES_MAX   8
#define SETTINGS_SUFFIX_MAX     64
#define SETTINGS_PREFIXES_MAX   32
#define SETTINGS_IDS_MAX        16
#define SETTINGS_TEXT_MAX       256
#define SETTINGS_SECTIONS_MAX   1024 /* [Pool …] and [Program …] each */

/** A registrar given by hand: `addr[:port][/udp-port]`; 0: the scope's. */
struct settings_registrar {
    struct ip_address address;
    uint16_t port;
    uint16_t udp_port;
};

struct settings_prefix {
    struct ip_address address;
    uint8_t len;
};

/** A list that a file or option may give in several lines. */
struct settings_registrars {
    uint8_t count;
    struct settings_registrar items[SETTINGS_REGISTRARS_MAX];
};
struct settings_groups {
    uint8_t count;
    struct ip_address items[SETTINGS_GROUPS_MAX];
};
struct settings_suffixes {
    uint8_t count;
    char items[SETTINGS_SUFFIXES_MAX][SETTINGS_SUFFIX_MAX];
};
struct settings_prefixes {
    uint8_t count;
    struct settings_prefix items[SETTINGS_PREFIXES_MAX];
};
/** Users or groups, as numbers. */
struct settings_ids {
    uint8_t count;
    uint32_t items[SETTINGS_IDS_MAX];
};

/** [Pool NAME]: who may do what with the pools that match. Empty lists: the default holds. */
struct settings_pool {
    char pattern[SETTINGS_TEXT_MAX]; /* "*", "?" and "[a-z]" as in file names */
    struct settings_ids register_users, register_groups;
    struct settings_prefixes register_from;
    struct settings_ids resolve_users, resolve_groups;
    uint32_t cookies; /* enum settings_cookies */
    uint32_t cookie_life_ms;
};
#define SETTINGS_COOKIE_LIFE_MS 86400000u /* of a pool without a section */

/** [Program /path]: what a program under the shim registers without being told. */
struct settings_program {
    char path[SETTINGS_TEXT_MAX];
    uint8_t pool[POOL_HANDLE_MAX];
    uint16_t pool_len;
    uint32_t port;     /* 0: every listening socket */
    uint32_t protocol; /* enum transport_protocol; 0: TCP and UDP */
    struct policy policy;
    uint32_t capacity; /* 0: not stated */
    char probe[SETTINGS_TEXT_MAX];
    uint32_t probe_ms;
    uint32_t slow_start_ms;       /* 0: none */
    char bind[SETTINGS_TEXT_MAX]; /* "8080=web,8443=web-tls" */
};

struct settings {
    /* [Daemon] */
    uint32_t profile; /* enum settings_profile */
    char scope[33];
    char socket[SETTINGS_TEXT_MAX];
    char runtime_dir[SETTINGS_TEXT_MAX];
    char state_dir[SETTINGS_TEXT_MAX];
    uint32_t log_level;
    uint32_t resolver_threads; /* 0: resolvers_default() */

    /* [Registrar] */
    uint32_t role; /* enum settings_role */
    uint32_t registrar_id;
    uint32_t registrars_wanted, registrars_max;
    struct settings_prefixes allow_from;
    uint32_t keep_alive_ms, keep_alive_timeout_ms;
    uint32_t announce_ms;
    uint32_t max_bad_pe_reports;
    uint32_t items_default;
    uint32_t handle_max;
    uint32_t update_ms;
    uint32_t keep_alive_pe_id, tell_expired, life_in_seconds;
    uint32_t max_pools, max_elements, max_elements_per_pool;
    uint32_t host_assocs, host_elements, host_messages;
    uint32_t peer_heartbeat_ms, peer_last_heard_ms, peer_no_response_ms;
    uint32_t mentor_ms, retry_min_ms, retry_max_ms, table_session_ms;
    uint32_t takeover_delay_ms, takeover_expiry_ms, takeover_guard_ms;
    uint32_t resync_max_ms, balance_ms, leave_ms;
    uint32_t adopt_rate, table_elements, table_octets;
    uint32_t peer_messages;
    uint32_t distance_step_ms;
    uint32_t suggestion;     /* enum settings_suggestion */
    uint32_t takeover_order; /* enum settings_takeover_order */
    uint32_t failure_is_death;

    /* [Network] */
    struct settings_registrars registrars, peers;
    struct settings_registrars monitors;
    uint32_t monitor_interval_ms;
    char interfaces[SETTINGS_TEXT_MAX];
    uint32_t minimum_scope; /* enum ip_scope */
    struct settings_groups announce_groups, announce_send;
    uint32_t announce_port;
    struct settings_groups enrp_groups; /* listened to; the first is sent to */
    uint32_t enrp_announce_port;
    uint32_t asap_port, enrp_port;
    uint32_t transport; /* enum settings_transport */
    uint32_t udp_port;
    uint32_t encapsulate;
    struct ip_address bind;
    uint32_t rto_initial_ms, rto_min_ms, rto_max_ms;
    uint32_t heartbeat_ms, path_max_retrans, assoc_max_retrans;
    uint32_t max_init_retrans, max_init_timeout_ms;

    /* [Agent] */
    uint32_t t1_request_ms, t2_registration_ms, t3_deregistration_ms;
    uint32_t registration_life_ms, reregistration_ms;
    uint32_t t5_hunt_ms, hunt_max_ms, t7_outdate_ms;
    uint32_t stale_cache_ms;
    uint32_t max_registration_attempts, max_request_retransmits;
    uint32_t resolve_items;
    uint32_t quarantine_first_ms, quarantine_max_ms;
    uint32_t hang_after_ms;
    uint32_t report_rate_ms;
    uint32_t dynamic_updates;

    /* [Clients] */
    struct settings_suffixes suffixes;
    struct settings_prefix cookie_net4, cookie_net6;
    uint32_t refusal_wait_us;
    uint32_t connect_timeout_ms;
    uint32_t register_wait_ms;
    uint32_t connections_per_user;

    struct settings_pool *pools;
    size_t pool_count;
    struct settings_program *programs;
    size_t program_count;
};

/** What the command line asks for besides settings. */
enum settings_mode {
    SETTINGS_RUN,
    SETTINGS_HELP,
    SETTINGS_HELP_SETTINGS,
    SETTINGS_VERSION,
    SETTINGS_CHECK
};

struct settings_command {
    enum settings_mode mode;
    const char *config; /* --config, or NULL; borrowed from argv */
    int argc;           /* the settings among the arguments are read again on each reload */
    char **argv;
};

/** Receives problems, one finished sentence each; `error` false: a warning. */
typedef void (*settings_report_fn)(void *ctx, bool error, const char *text);

/**
 * Sorts out the command line. Returns 0, or -EINVAL after reporting each wrong argument.
 * The values of settings options are checked by settings_load().
 */
int settings_command_line(int argc, char **argv, settings_report_fn report, void *ctx,
                          struct settings_command *ret);

/**
 * Builds the settings: profile, file, command line, what depends on scope and privilege, and the
 * checks across keys. The file is `command->config`, or `default_file`, which may be absent.
 * @param privileged   the daemon's defaults for root (paths, cookie network)
 * @param runtime_base $XDG_RUNTIME_DIR or what stands for it; used when not privileged
 * @return 0; -EINVAL when something is wrong (all of it has been reported; `ret` is untouched);
 *         -ENOMEM; -errno when a named file cannot be read (reported).
 */
int settings_load(const struct settings_command *command, const char *default_file, bool privileged,
                  const char *runtime_base, settings_report_fn report, void *ctx,
                  struct settings *ret);
/** Frees what `settings` owns and empties it. */
void settings_done(struct settings *settings);

/**
 * Names the keys that differ between both and take effect only at the next start, separated by
 * ", ". Returns how many.
 */
size_t settings_need_restart(const struct settings *now, const struct settings *next, char *out,
                             size_t size);
/** Makes the keys of `next` that need a restart equal to those of `now`. */
void settings_keep_restart_keys(const struct settings *now, struct settings *next);

/** `rspd --help` and `rspd --help-settings`. */
void settings_help(FILE *out);
void settings_help_all(FILE *out);

/**
 * Groups and ports of a scope, derived from its name alone (decisions.md): "" and "default" give
 * the standard numbers, every other name its own.
 */
struct settings_scope {
    struct ip_address groups[2]; /* listened to; the first is sent to */
    size_t group_count;
    uint16_t asap_port, announce_port, udp_port;
    struct ip_address enrp_group;
    uint16_t enrp_port, enrp_announce_port;
};
void settings_scope_derive(const char *name, struct settings_scope *ret);

#endif
