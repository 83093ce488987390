/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The log: one level, one sink, set once at start. Library floors (wire, handlespace, transport,
 * librsp) return errors instead of logging; the state machines hand events to the daemon, which
 * logs them with their id. Thread-safe: a line goes to the sink in one call.
 */
#ifndef RSP_COMMON_LOG_H
#define RSP_COMMON_LOG_H

#include <stdbool.h>
#include <stddef.h>

/** The values are syslog priorities. */
enum log_level {
    LOG_LEVEL_ERR = 3,
    LOG_LEVEL_WARN,
    LOG_LEVEL_NOTICE,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG
};

/** Takes one finished line without newline; `level` for a priority prefix. */
typedef void (*log_sink_fn)(void *ctx, enum log_level level, const char *line);

/** Both before any thread starts. Default: level notice, no sink (nothing is written). */
void log_set_sink(log_sink_fn sink, void *ctx);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
/** Parses "err", "warn", "notice", "info", "debug"; returns 0 or -EINVAL. */
int log_level_parse(const char *text, enum log_level *ret);

void log_write(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

#define log_err(...)    log_write(LOG_LEVEL_ERR, __VA_ARGS__)
#define log_warn(...)   log_write(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_notice(...) log_write(LOG_LEVEL_NOTICE, __VA_ARGS__)
#define log_info(...)   log_write(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
    do {                                                                                           \
        if (log_enabled(LOG_LEVEL_DEBUG)) {                                                        \
            log_write(LOG_LEVEL_DEBUG, __VA_ARGS__);                                               \
        }                                                                                          \
    } while (0)

#endif
