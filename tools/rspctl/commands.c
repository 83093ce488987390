/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The table of commands and options: parsing, help and completion all read it. */
#include "tools/rspctl/rspctl.h"

#include <string.h>

const struct ctl_option_spec ctl_options[OPT_IDS] = {
    [OPT_HELP] = {OPT_HELP, 'h', "help", NULL, "show this help"},
    [OPT_QUIET] = {OPT_QUIET, 'q', "quiet", NULL, "print errors only"},
    [OPT_VERBOSE] = {OPT_VERBOSE, 'v', "verbose", NULL, "print more"},
    [OPT_JSON] = {OPT_JSON, 0, "json", NULL, "print one JSON document"},
    [OPT_COLOR] = {OPT_COLOR, 0, "color", "WHEN", "always, auto or never"},
    [OPT_NO_COLOR] = {OPT_NO_COLOR, 0, "no-color", NULL, "the same as --color=never"},
    [OPT_SOCKET] = {OPT_SOCKET, 0, "socket", "PATH", "where the daemon listens"},
    [OPT_TIMEOUT] = {OPT_TIMEOUT, 0, "timeout", "DUR", "how long to wait (250ms, 5s, 2min)"},
    [OPT_VERSION] = {OPT_VERSION, 0, "version", NULL, "print versions and features"},
    [OPT_NO_HEADER] = {OPT_NO_HEADER, 0, "no-header", NULL, "a table without its first line"},
    [OPT_COLUMNS] = {OPT_COLUMNS, 'o', "columns", "COL,...", "these columns, in this order"},
    [OPT_SORT] = {OPT_SORT, 0, "sort", "COL", "sort by a column"},
    [OPT_WIDE] = {OPT_WIDE, 0, "wide", NULL, "do not cut lines to the terminal"},
    [OPT_RAW] = {OPT_RAW, 0, "raw", NULL, "plain numbers instead of 3.2s"},
    [OPT_LOCAL] = {OPT_LOCAL, 0, "local", NULL, "only elements of this host"},
    [OPT_OWNERS] = {OPT_OWNERS, 0, "owners", NULL, "with the registrar that owns each"},
    [OPT_ENRP] = {OPT_ENRP, 0, "enrp", NULL, "only what happens among registrars"},
    [OPT_ALL] = {OPT_ALL, 0, "all", NULL, "also what only this host sees, as JSON"},
    [OPT_COUNT_N] = {OPT_COUNT_N, 'n', "count", "K", "ask for K elements"},
    [OPT_WAIT] = {OPT_WAIT, 0, "wait", NULL, "until no connection is left"},
    [OPT_POOL] = {OPT_POOL, 0, "pool", "HANDLE", "register listening sockets in this pool"},
    [OPT_POLICY] = {OPT_POLICY, 0, "policy", "NAME", "selection policy, see rspctl policies"},
    [OPT_CAPACITY] = {OPT_CAPACITY, 0, "capacity", "N", "connections that are 100 % load"},
    [OPT_PORT] = {OPT_PORT, 0, "port", "N", "the server's port"},
    [OPT_PROTO] = {OPT_PROTO, 0, "proto", "tcp|udp", "transport protocol (default: tcp)"},
    [OPT_ADDRESS] = {OPT_ADDRESS, 0, "address", "ADDR", "only this local address"},
    [OPT_PID] = {OPT_PID, 0, "pid", "PID", "the server's process"},
    [OPT_PROBE] = {OPT_PROBE, 0, "probe", "PROBE", "tcp, http:/PATH or exec:CMD"},
    [OPT_PROBE_INTERVAL] = {OPT_PROBE_INTERVAL, 0, "probe-interval", "DUR",
                            "time between probes (default: 1s)"},
    [OPT_SLOW_START] = {OPT_SLOW_START, 0, "slow-start", "DUR",
                        "until a newcomer has its full share (lu, plu ...)"},
    [OPT_MAP] = {OPT_MAP, 0, "map", "PORT=POOL,...", "several ports, each in its own pool"},
    [OPT_ERRNO] = {OPT_ERRNO, 0, "reason", "NAME", "refused, timeout or unreachable"},
    [OPT_MIN_ELEMENTS] = {OPT_MIN_ELEMENTS, 0, "min-elements", "N",
                          "this many at least (default: 1)"},
    [OPT_AFTER] = {OPT_AFTER, 0, "after", "DUR", "seal with the new key only then (default: now)"},
    [OPT_PRINT_ENV] = {OPT_PRINT_ENV, 0, "print-env", NULL, "print the variables, run nothing"},
    [OPT_CHECK] = {OPT_CHECK, 0, "check", NULL, "say whether CMD can be run so, run nothing"},
    [OPT_BEST_EFFORT] = {OPT_BEST_EFFORT, 0, "best-effort", NULL,
                         "run CMD even if it cannot use pools"},
    [OPT_SHELL] = {OPT_SHELL, 0, "shell", NULL, "run your shell"},
    [OPT_LIBRARY] = {OPT_LIBRARY, 0, "library", "PATH", "another librsp_preload.so"},
};

const enum ctl_option ctl_general_options[] = {OPT_HELP,    OPT_QUIET,    OPT_VERBOSE, OPT_JSON,
                                               OPT_COLOR,   OPT_NO_COLOR, OPT_SOCKET,  OPT_TIMEOUT,
                                               OPT_VERSION, OPT_IDS};

#define TABLE_OPTIONS OPT_NO_HEADER, OPT_COLUMNS, OPT_SORT, OPT_WIDE, OPT_RAW

static const enum ctl_option no_options[] = {OPT_IDS};
static const enum ctl_option table_options[] = {TABLE_OPTIONS, OPT_IDS};
static const enum ctl_option pe_list_options[] = {OPT_LOCAL, OPT_OWNERS, TABLE_OPTIONS, OPT_IDS};
static const enum ctl_option monitor_options[] = {OPT_ENRP, OPT_IDS};
static const enum ctl_option dump_options[] = {OPT_ALL, OPT_IDS};
static const enum ctl_option resolve_options[] = {OPT_COUNT_N, OPT_PROTO, TABLE_OPTIONS, OPT_IDS};
static const enum ctl_option drain_options[] = {OPT_WAIT, OPT_IDS};
static const enum ctl_option run_options[] = {
    OPT_POOL,  OPT_POLICY,      OPT_CAPACITY,       OPT_PORT,       OPT_PROTO,
    OPT_MAP,   OPT_PROBE,       OPT_PROBE_INTERVAL, OPT_SLOW_START, OPT_PRINT_ENV,
    OPT_CHECK, OPT_BEST_EFFORT, OPT_SHELL,          OPT_LIBRARY,    OPT_IDS};
static const enum ctl_option register_options[] = {
    OPT_PORT,     OPT_PROTO, OPT_ADDRESS,        OPT_PID,        OPT_POLICY,
    OPT_CAPACITY, OPT_PROBE, OPT_PROBE_INTERVAL, OPT_SLOW_START, OPT_IDS};
static const enum ctl_option deregister_options[] = {OPT_PORT, OPT_IDS};
static const enum ctl_option report_options[] = {OPT_ERRNO, OPT_IDS};
static const enum ctl_option rotate_options[] = {OPT_AFTER, TABLE_OPTIONS, OPT_IDS};
static const enum ctl_option wait_options[] = {OPT_MIN_ELEMENTS, OPT_IDS};

#define GROUP_RUN     "Put programs into pools, and let them use pools"
#define GROUP_LOOK    "Look"
#define GROUP_ACT     "Act"
#define GROUP_COOKIES "Keys of state cookies"
#define GROUP_OTHER   "Other"

const struct ctl_command ctl_commands[] = {
    {"run", NULL, GROUP_RUN, "[--] CMD [ARG]...", "run a program with pools; --pool: as a server",
     0, 10000, OPERAND_COMMAND, run_options, ctl_run_run},
    {"register", NULL, GROUP_RUN, "HANDLE", "put a server that is already running into a pool", 1,
     1, OPERAND_POOL, register_options, ctl_run_register},
    {"deregister", NULL, GROUP_RUN, "PE|HANDLE", "take a server of this host out of its pool", 1, 1,
     OPERAND_PE, deregister_options, ctl_run_deregister},

    {"status", NULL, GROUP_LOOK, "", "the daemon: role, registrars, numbers", 0, 0, OPERAND_NONE,
     no_options, ctl_run_status},
    {"pool", "list", GROUP_LOOK, "", "all pools", 0, 0, OPERAND_NONE, table_options,
     ctl_run_pool_list},
    {"pool", "show", GROUP_LOOK, "HANDLE", "one pool and its elements", 1, 1, OPERAND_POOL,
     table_options, ctl_run_pool_show},
    {"pe", "list", GROUP_LOOK, "[HANDLE]", "elements, of one pool or of all", 0, 1, OPERAND_POOL,
     pe_list_options, ctl_run_pe_list},
    {"pe", "show", GROUP_LOOK, "PE", "one element", 1, 1, OPERAND_PE, no_options, ctl_run_pe_show},
    {"registrar", "list", GROUP_LOOK, "", "the registrars that are known", 0, 0, OPERAND_NONE,
     table_options, ctl_run_registrar_list},
    {"registrar", "show", GROUP_LOOK, "ID", "one registrar", 1, 1, OPERAND_REGISTRAR, no_options,
     ctl_run_registrar_show},
    {"resolve", NULL, GROUP_LOOK, "HANDLE", "whom a client would be sent to", 1, 1, OPERAND_POOL,
     resolve_options, ctl_run_resolve},
    {"policies", NULL, GROUP_LOOK, "", "the selection policies", 0, 0, OPERAND_NONE, table_options,
     ctl_run_policies},
    {"monitor", NULL, GROUP_LOOK, "[HANDLE]", "changes as they happen", 0, 1, OPERAND_POOL,
     monitor_options, ctl_run_monitor},
    {"dump", NULL, GROUP_LOOK, "", "the handlespace, to be compared between hosts", 0, 0,
     OPERAND_NONE, dump_options, ctl_run_dump},

    {"pe", "drain", GROUP_ACT, "PE", "send no new clients to a server of this host", 1, 1,
     OPERAND_PE, drain_options, ctl_run_pe_drain},
    {"pe", "undrain", GROUP_ACT, "PE", "send clients to it again", 1, 1, OPERAND_PE, no_options,
     ctl_run_pe_undrain},
    {"registrar", "leave", GROUP_ACT, "", "hand over to the other registrars and stop being one", 0,
     0, OPERAND_NONE, no_options, ctl_run_registrar_leave},
    {"report", NULL, GROUP_ACT, "HANDLE PE", "report that an element does not answer", 2, 2,
     OPERAND_POOL, report_options, ctl_run_report},
    {"wait", NULL, GROUP_ACT, "HANDLE", "until a pool has elements", 1, 1, OPERAND_POOL,
     wait_options, ctl_run_wait},

    {"cookie-key", "list", GROUP_COOKIES, "[HANDLE]", "keys of state cookies", 0, 1, OPERAND_POOL,
     table_options, ctl_run_cookie_key_list},
    {"cookie-key", "rotate", GROUP_COOKIES, "HANDLE",
     "make a new key; cookies of older ones are still accepted", 1, 1, OPERAND_POOL, rotate_options,
     ctl_run_cookie_key_rotate},
    {"cookie-key", "drop", GROUP_COOKIES, "HANDLE KEY", "accept no more cookies of a key", 2, 2,
     OPERAND_POOL, table_options, ctl_run_cookie_key_drop},
    {"cookie-key", "export", GROUP_COOKIES, "HANDLE", "print a pool's keys, for its other hosts", 1,
     1, OPERAND_POOL, no_options, ctl_run_cookie_key_export},
    {"cookie-key", "import", GROUP_COOKIES, "HANDLE [FILE]", "take in the keys of another host", 1,
     2, OPERAND_POOL, table_options, ctl_run_cookie_key_import},

    {"help", NULL, GROUP_OTHER, "[COMMAND]", "help on a command", 0, 2, OPERAND_NONE, no_options,
     ctl_run_help},
    {"completion", NULL, GROUP_OTHER, "SHELL", "print the completion for bash, zsh or fish", 1, 1,
     OPERAND_SHELL, no_options, ctl_run_completion},
    {"version", NULL, GROUP_OTHER, "", "versions and features", 0, 0, OPERAND_NONE, no_options,
     ctl_run_version},
    {"__complete", NULL, NULL, "KIND", "words for the completion", 1, 1, OPERAND_NONE, no_options,
     ctl_run_complete},
};
const size_t ctl_command_count = sizeof(ctl_commands) / sizeof(ctl_commands[0]);

const struct ctl_command *ctl_command_find(const char *noun, const char *verb)
{
    if (verb == NULL && strcmp(noun, "ls") == 0) {
        return ctl_command_find("pool", "list");
    }
    if (verb == NULL && strcmp(noun, "ps") == 0) {
        return ctl_command_find("pe", "list");
    }
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        bool same_verb =
            c->verb == NULL || verb == NULL ? c->verb == verb : strcmp(c->verb, verb) == 0;
        if (strcmp(c->noun, noun) == 0 && same_verb) {
            return c;
        }
    }
    return NULL;
}

bool ctl_noun_has_verbs(const char *noun)
{
    for (size_t i = 0; i < ctl_command_count; i++) {
        if (strcmp(ctl_commands[i].noun, noun) == 0 && ctl_commands[i].verb != NULL) {
            return true;
        }
    }
    return false;
}

bool ctl_takes(const struct ctl_command *command, enum ctl_option option)
{
    for (const enum ctl_option *o = ctl_general_options; *o != OPT_IDS; o++) {
        if (*o == option) {
            return true;
        }
    }
    for (const enum ctl_option *o = command != NULL ? command->options : no_options; *o != OPT_IDS;
         o++) {
        if (*o == option) {
            return true;
        }
    }
    return false;
}
