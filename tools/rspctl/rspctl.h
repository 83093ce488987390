/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rspctl - the command line. One table (commands.c) drives parsing, help, suggestions and shell
 * completion; one file per noun fills in what the commands do. It speaks to the daemon by the local
 * protocol alone. Data goes to stdout, everything else to stderr (ecosystem-conventions U-1 …
 * U-16).
 */
#ifndef RSP_TOOLS_RSPCTL_H
#define RSP_TOOLS_RSPCTL_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>

#include "librsp/lp_client.h"

/** Exit status (U-9). */
enum ctl_exit {
    CTL_OK = 0,
    CTL_FAILED = 1,
    CTL_USAGE = 2,
    CTL_NO_DAEMON = 3,
    CTL_NOT_PERMITTED = 4,
    CTL_NOT_FOUND = 5,
    CTL_TIMED_OUT = 6,
    CTL_INCOMPATIBLE = 7,
    CTL_RUN_WRAPPER = 125,
    CTL_RUN_CANNOT = 126,
    CTL_RUN_NOT_FOUND = 127,
    CTL_INTERRUPTED = 130
};

/** Every option of every command; its value is in ctl->opt[]. */
enum ctl_option {
    OPT_HELP,
    OPT_QUIET,
    OPT_VERBOSE,
    OPT_JSON,
    OPT_COLOR,
    OPT_NO_COLOR,
    OPT_SOCKET,
    OPT_TIMEOUT,
    OPT_VERSION,
    /* tables */
    OPT_NO_HEADER,
    OPT_COLUMNS,
    OPT_SORT,
    OPT_WIDE,
    OPT_RAW,
    /* pools and elements */
    OPT_LOCAL,
    OPT_OWNERS,
    OPT_ENRP,
    OPT_ALL,
    OPT_COUNT_N,
    OPT_WAIT,
    OPT_POOL,
    OPT_POLICY,
    OPT_CAPACITY,
    OPT_PORT,
    OPT_PROTO,
    OPT_ADDRESS,
    OPT_PID,
    OPT_PROBE,
    OPT_PROBE_INTERVAL,
    OPT_SLOW_START,
    OPT_MAP,
    OPT_ERRNO,
    OPT_MIN_ELEMENTS,
    OPT_AFTER,
    /* run */
    OPT_PRINT_ENV,
    OPT_CHECK,
    OPT_BEST_EFFORT,
    OPT_SHELL,
    OPT_LIBRARY,
    OPT_IDS /* how many there are */
};

struct ctl;

struct ctl_option_spec {
    enum ctl_option id;
    char letter;          /* 0: long form only */
    const char *name;     /* without dashes */
    const char *argument; /* NULL: a flag */
    const char *help;
};

/** What stands where a command's arguments stand, for completion. */
enum ctl_operand {
    OPERAND_NONE,
    OPERAND_POOL,
    OPERAND_PE,
    OPERAND_REGISTRAR,
    OPERAND_COMMAND,
    OPERAND_SHELL
};

struct ctl_command {
    const char *noun;
    const char *verb;      /* NULL: the noun stands alone */
    const char *group;     /* heading in the help; NULL: not shown */
    const char *arguments; /* "HANDLE [PE]" */
    const char *help;      /* one line */
    int args_min, args_max;
    enum ctl_operand operand;
    const enum ctl_option *options; /* besides the general ones, ended by OPT_IDS */
    int (*run)(struct ctl *ctl);
};

/** State of one call. */
struct ctl {
    const struct ctl_command *command;
    const char *opt[OPT_IDS]; /* NULL: not given; a flag: "" */
    int argc;
    char **argv; /* what is neither option nor command */
    int fd;      /* connection to the daemon, -1: none yet */
    uint32_t request;
    int timeout_ms; /* of one question to the daemon */
    struct lp_writer writer;
    char socket[LP_PATH_MAX];
    char suffixes[8][64]; /* as HELLO_OK gave them */
    int suffix_count;
};

/* commands.c: the table. */

extern const struct ctl_command ctl_commands[];
extern const size_t ctl_command_count;
extern const struct ctl_option_spec ctl_options[OPT_IDS];
/** Options that every command has, ended by OPT_IDS. */
extern const enum ctl_option ctl_general_options[];
/** The command of two words (verb may be NULL), aliases resolved; NULL: none. */
const struct ctl_command *ctl_command_find(const char *noun, const char *verb);
/** Whether any command begins with this word and takes a second one. */
bool ctl_noun_has_verbs(const char *noun);
/** Whether a command takes an option. */
bool ctl_takes(const struct ctl_command *command, enum ctl_option option);

/* parse.c */

/**
 * Reads the command line into `ctl`. Options may stand anywhere; those of `run` end at its first
 * operand. Returns CTL_OK or CTL_USAGE after saying what is wrong and what was perhaps meant.
 */
int ctl_parse(struct ctl *ctl, int argc, char **argv);
/** Milliseconds of "250ms", "5s", "2min", "1h" (plain number: seconds); false: not a duration. */
bool ctl_duration(const char *text, uint32_t *ret_ms);
/** A number of a range, decimal or 0x…; false: not one. */
bool ctl_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret);
/**
 * The number an option gives, or `fallback` without it; a wrong one ends the program with
 * CTL_USAGE (CTL_RUN_WRAPPER for `run`).
 */
uint32_t ctl_option_number(struct ctl *ctl, enum ctl_option id, uint32_t min, uint32_t max,
                           uint32_t fallback);
uint32_t ctl_option_ms(struct ctl *ctl, enum ctl_option id, uint32_t fallback);

/* help.c */

/** rspctl --help; `noun` limits it to the commands that begin with that word. */
void ctl_help_overview(const char *noun);
/** rspctl NOUN VERB --help. */
void ctl_help_command(const struct ctl_command *command);
int ctl_run_help(struct ctl *ctl);
int ctl_run_version(struct ctl *ctl);
int ctl_run_completion(struct ctl *ctl);
int ctl_run_complete(struct ctl *ctl);

/* client.c: talking to the daemon. Functions that return int give an exit status, and have already
 * said on stderr what went wrong. */

/** Connects and says HELLO, once. */
int client_open(struct ctl *ctl);
/** As client_open, but silent; false: no daemon. */
bool client_try(struct ctl *ctl);
/** Starts a request; TLVs are put into what it returns. */
struct lp_writer *client_begin(struct ctl *ctl, enum lp_type type);
/**
 * Sends the request and waits for its reply, which borrows a buffer that the next call reuses.
 * @param what     "register in pool \"web\"": goes behind "cannot" in an error
 * @param advice   what to do about a refusal, or NULL
 */
int client_call(struct ctl *ctl, const char *what, const char *advice, struct lp_message *ret);
/** Waits for the next message of the same request (MORE, EVENT); a timeout is CTL_TIMED_OUT. */
int client_next(struct ctl *ctl, int timeout_ms, struct lp_message *ret);
/** As client_call without any output: 0 or -errno, the result inside the reply included. */
int client_ask(struct ctl *ctl, struct lp_message *ret);
/**
 * Sends a LIST request and calls `each` for every item of type `item` in all its parts.
 */
int client_list(struct ctl *ctl, const char *what, enum lp_tlv item,
                void (*each)(const struct lp_each *it, void *arg), void *arg);
/** Exit status that fits a -errno of the daemon. */
int client_status(int err);

/** A pool handle given on the command line: plain, with \xHH, rsp://…, or HANDLE.pool.alt. */
struct handle_text {
    uint8_t octets[POOL_HANDLE_MAX];
    uint16_t len;
};
/** Reads one; CTL_USAGE after saying why not. Suffixes are known after client_open(). */
int handle_read(const struct ctl *ctl, const char *text, struct handle_text *ret);
static inline struct pool_handle handle_of(const struct handle_text *text)
{
    return (struct pool_handle){.octets = text->octets, .len = text->len};
}
/**
 * Finds the element a user names: its id ("0x1a2b3c4d", or a beginning that only one has), or
 * "HANDLE:PORT" of this host.
 */
int pe_read(struct ctl *ctl, const char *text, uint32_t *ret_id);

/* out.c: errors, tables, JSON. */

/** "rspctl: …" on stderr; returns `status`. */
__attribute__((format(printf, 2, 3))) int ctl_fail(int status, const char *format, ...);
/** A remark on stderr, unless --quiet. */
__attribute__((format(printf, 2, 3))) void ctl_say(const struct ctl *ctl, const char *format, ...);
/** Whether stdout takes colours (U-8). */
bool out_colored(const struct ctl *ctl);

enum column_format {
    COLUMN_TEXT,
    COLUMN_NUMBER,
    COLUMN_DURATION, /* of a number of milliseconds */
    COLUMN_PERCENT,
    COLUMN_LIST, /* of strings: comma-separated */
    COLUMN_STATE /* coloured text */
};
struct column {
    const char *title;
    const char *key;
    enum column_format format;
    bool extra; /* only with --verbose or -o */
};
struct listing {
    const char *schema; /* "rspctl.pe-list/1" */
    const char *key;    /* of the array */
    const struct column *columns;
    size_t column_count;
    const char *empty; /* said on stderr instead of an empty table */
};
/** Prints rows, as JSON or as table, as the options say. Owns `take_rows`. */
int out_listing(const struct ctl *ctl, const struct listing *listing, json_t *take_rows);
/** Prints the table alone. */
int out_table(const struct ctl *ctl, const struct column *columns, size_t column_count,
              json_t *rows);
/** Prints one document with its schema name first. Owns `take_object`. */
int out_json(const char *schema, json_t *take_object);
/** One object on one line, flushed. Owns `take_object`. */
int out_json_line(const char *schema, json_t *take_object);
/** "0x1a2b3c4d" */
json_t *out_id(uint32_t id);
/** A handle as JSON string and, if it is not plain text, its octets under KEY_hex. */
void out_put_handle(json_t *object, const char *key, struct pool_handle handle);
/** Milliseconds for people: "250ms", "3.2s", "5min 10s"; returns out. */
const char *out_duration(uint64_t ms, char *out, size_t size);
/** RFC 3339, UTC, of microseconds since 1970. */
const char *out_time(uint64_t us, char *out, size_t size);
/** The policy by name: "Round Robin". */
const char *out_policy(const struct policy *policy, char *out, size_t size);

/* One file per noun. */

int ctl_run_status(struct ctl *ctl);
int ctl_run_dump(struct ctl *ctl);
int ctl_run_pool_list(struct ctl *ctl);
int ctl_run_pool_show(struct ctl *ctl);
int ctl_run_pe_list(struct ctl *ctl);
int ctl_run_pe_show(struct ctl *ctl);
int ctl_run_pe_drain(struct ctl *ctl);
int ctl_run_pe_undrain(struct ctl *ctl);
int ctl_run_registrar_list(struct ctl *ctl);
int ctl_run_registrar_show(struct ctl *ctl);
int ctl_run_registrar_leave(struct ctl *ctl);
int ctl_run_resolve(struct ctl *ctl);
int ctl_run_report(struct ctl *ctl);
int ctl_run_register(struct ctl *ctl);
int ctl_run_deregister(struct ctl *ctl);
int ctl_run_policies(struct ctl *ctl);
int ctl_run_monitor(struct ctl *ctl);
int ctl_run_wait(struct ctl *ctl);
int ctl_run_cookie_key_list(struct ctl *ctl);
int ctl_run_cookie_key_rotate(struct ctl *ctl);
int ctl_run_cookie_key_drop(struct ctl *ctl);
int ctl_run_cookie_key_export(struct ctl *ctl);
int ctl_run_cookie_key_import(struct ctl *ctl);
int ctl_run_run(struct ctl *ctl);

/* Rows of lists, shared by the nouns and dump. */

/** All pools; NULL pool: all. On error NULL, `*ret_status` says what the exit status is. */
json_t *rows_pools(struct ctl *ctl, const struct handle_text *pool, int *ret_status);
json_t *rows_pes(struct ctl *ctl, const struct handle_text *pool, bool local, int *ret_status);
json_t *rows_registrars(struct ctl *ctl, int *ret_status);
/** The document of `status`, without schema. */
json_t *status_object(struct ctl *ctl, int *ret_status);
/** One PE TLV as an object. */
json_t *pe_object(const struct lp_each *it);
extern const struct column pe_columns[];
extern const size_t pe_column_count;
/** "key: value" for every plain member. */
void print_members(json_t *object, bool raw);

/* probe.c */

/** A probe option taken apart. */
struct probe_option {
    const char *text;    /* what the daemon is told: "tcp", "http:/PATH", "exec"; NULL: none */
    const char *command; /* of exec: */
    uint32_t interval_ms;
};
/** Reads --probe and --probe-interval; CTL_OK or CTL_USAGE (said). */
int probe_read(struct ctl *ctl, struct probe_option *ret);
/** Whom a helper looks after. */
struct probe_target {
    uint32_t pe_id;    /* 0: the elements of `pid` or of those that carry `token` */
    int pid;           /* 0: none */
    const char *token; /* value of RSP_RUN in their environment, or NULL */
};
/**
 * Starts the helper that runs an exec: probe with the caller's credentials and reports each
 * outcome, until the element is gone. It is nobody's child. Returns 0 or -errno.
 */
int probe_start(const struct ctl *ctl, const struct probe_option *probe,
                const struct probe_target *target);

/* policy_option.c */

#define POLICY_OPTION_MAX 128

/** --policy and --slow-start taken apart. */
struct policy_option {
    char text[POLICY_OPTION_MAX]; /* --policy without its slow-start; "": not given */
    struct policy policy;         /* type POLICY_NONE: not given, the pool's */
    uint32_t slow_start_ms;       /* 0: none */
};
/** Reads --policy and --slow-start; CTL_OK or CTL_USAGE (said). */
int policy_read(struct ctl *ctl, struct policy_option *ret);

/* elf.c */

enum elf_verdict {
    ELF_FITS,
    ELF_NOT_FOUND,
    ELF_NOT_EXECUTABLE,
    ELF_STATIC,
    ELF_OTHER_CLASS,
    ELF_OTHER_LIBC,
    ELF_GO,
    ELF_PRIVILEGED
};
/**
 * Whether the loader would put the shim into `command` (looked up in `path` like exec does;
 * scripts: their interpreter). `ret_file` gets the file that decided.
 */
enum elf_verdict elf_examine(const char *command, const char *path, char *ret_file, size_t size);
/** Why, for people: "is linked statically". */
const char *elf_verdict_text(enum elf_verdict verdict);

#endif
