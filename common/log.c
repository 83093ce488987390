/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static log_sink_fn log_sink;
static void *log_sink_ctx;
static enum log_level log_level_now = LOG_LEVEL_NOTICE;

void log_set_sink(log_sink_fn sink, void *ctx)
{
    log_sink = sink;
    log_sink_ctx = ctx;
}

void log_set_level(enum log_level level)
{
    log_level_now = level;
}

bool log_enabled(enum log_level level)
{
    return log_sink != NULL && level <= log_level_now;
}

int log_level_parse(const char *text, enum log_level *ret)
{
    static const char *const NAMES[] = {"err", "warn", "notice", "info", "debug"};
    for (size_t i = 0; i < sizeof(NAMES) / sizeof(NAMES[0]); i++) {
        if (strcmp(text, NAMES[i]) == 0) {
            *ret = (enum log_level)(LOG_LEVEL_ERR + (int)i);
            return 0;
        }
    }
    return -EINVAL;
}

void log_write(enum log_level level, const char *format, ...)
{
    if (!log_enabled(level)) {
        return;
    }
    char line[1024];
    va_list ap;
    va_start(ap, format);
    (void)vsnprintf(line, sizeof(line), format, ap);
    va_end(ap);
    log_sink(log_sink_ctx, level, line);
}
