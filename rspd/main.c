/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The program rspd: command line, log, start and end. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "common/log.h"
#include "rspd/daemon.h"

enum { EXIT_USAGE = 2 };

static const char DEFAULT_FILE[] = "/etc/rspd/rspd.conf";

/** Where settings come from, for each reading. */
struct source {
    struct settings_command command;
    bool privileged;
    char runtime_base[SETTINGS_TEXT_MAX];
    bool warned; /* --check-config takes a warning for an error */
};

/** Journal's priority prefix when standard error leads there (sd-daemon(3)). */
static void log_to_journal(void *ctx, enum log_level level, const char *line)
{
    (void)ctx;
    (void)dprintf(STDERR_FILENO, "<%d>%s\n", (int)level, line);
}

static void log_to_stderr(void *ctx, enum log_level level, const char *line)
{
    static const char *const NAMES[] = {"err", "warn", "notice", "info", "debug"};
    (void)ctx;
    (void)dprintf(STDERR_FILENO, "rspd: %s: %s\n", NAMES[level - LOG_LEVEL_ERR], line);
}

/** Whether standard error is the journal's stream: $JOURNAL_STREAM names its device and inode. */
static bool stderr_is_journal(void)
{
    const char *stream = getenv("JOURNAL_STREAM");
    struct stat st;
    unsigned long long dev;
    unsigned long long ino;
    return stream != NULL && fstat(STDERR_FILENO, &st) == 0 &&
           sscanf(stream, "%llu:%llu", &dev, &ino) == 2 && dev == st.st_dev && ino == st.st_ino;
}

static void report(void *ctx, bool error, const char *text)
{
    struct source *source = (struct source *)ctx;
    source->warned = source->warned || !error;
    if (error) {
        log_err("%s", text);
    } else {
        log_warn("%s", text);
    }
}

static int read_settings(void *ctx, struct settings *ret)
{
    struct source *source = (struct source *)ctx;
    int r = settings_load(&source->command, DEFAULT_FILE, source->privileged, source->runtime_base,
                          report, source, ret);
    if (r == -ENOMEM) {
        log_err("out of memory");
    }
    return r;
}

/**
 * Root, and a system service with a runtime directory of its own, get the system's places;
 * everybody else those below $XDG_RUNTIME_DIR.
 */
static void find_places(struct source *source)
{
    const char *service = getenv("RUNTIME_DIRECTORY");
    const char *user = getenv("XDG_RUNTIME_DIR");
    bool system_service = service != NULL && strcmp(service, "/run/rspd") == 0;
    source->privileged = geteuid() == 0 || system_service;
    if (user != NULL && user[0] == '/') {
        (void)snprintf(source->runtime_base, sizeof(source->runtime_base), "%s", user);
    } else {
        (void)snprintf(source->runtime_base, sizeof(source->runtime_base), "/run/user/%u",
                       (unsigned)geteuid());
    }
}

/**
 * What rsplib's programs read from the environment, as if it stood before the command line. Returns
 * the new arguments, `ret_argc` of them; NULL: no memory.
 */
static char **with_environment(int argc, char **argv, int *ret_argc)
{
    static char monitors[SETTINGS_TEXT_MAX], interval[64];
    const char *server = getenv("CSP_SERVER");
    const char *ms = getenv("CSP_INTERVAL");
    char **all = calloc((size_t)argc + 3, sizeof(*all));
    int n = 0;
    if (all == NULL) {
        return NULL;
    }
    all[n++] = argv[0];
    if (server != NULL && server[0] != '\0') {
        (void)snprintf(monitors, sizeof(monitors), "--set=Network.Monitors=%s", server);
        all[n++] = monitors;
    }
    if (ms != NULL && ms[0] != '\0') {
        (void)snprintf(interval, sizeof(interval), "--set=Network.MonitorInterval=%.20sms", ms);
        all[n++] = interval;
    }
    memcpy(&all[n], &argv[1], (size_t)(argc - 1) * sizeof(*all));
    *ret_argc = n + argc - 1;
    return all;
}

#ifdef HAVE_USRSCTP
#define USERLAND_SCTP ", userland over UDP (usrsctp)"
#else
#define USERLAND_SCTP ""
#endif

static int print_version(void)
{
    (void)printf("rspd %s\nReliable Server Pooling: ASAP (RFC 5352), policies RFC 5356; "
                 "local protocol %d\nSCTP: kernel%s\n",
                 RSPD_VERSION, 1, USERLAND_SCTP);
    return EXIT_SUCCESS;
}

static int check(struct source *source)
{
    struct settings settings;
    int r = read_settings(source, &settings);
    if (r == 0) {
        settings_done(&settings);
    }
    if (r != 0 || source->warned) {
        log_err("the configuration has errors");
        return EXIT_FAILURE;
    }
    (void)puts("the configuration is fine");
    return EXIT_SUCCESS;
}

/** The socket systemd has passed, or -1. */
static int passed_socket(void)
{
    int n = sd_listen_fds(1);
    for (int fd = SD_LISTEN_FDS_START; fd < SD_LISTEN_FDS_START + n; fd++) {
        if (sd_is_socket(fd, AF_UNIX, SOCK_SEQPACKET, 1) > 0) {
            return fd;
        }
    }
    return -1;
}

static int run(struct source *source)
{
    struct settings settings;
    struct daemon *daemon;
    char error[512];
    if (read_settings(source, &settings) != 0) {
        return EXIT_FAILURE;
    }
    if (geteuid() != 0) {
        log_notice(
            "user %u, not root: servers in other network namespaces cannot be looked at, nor "
            "which process of another user has a socket",
            (unsigned)geteuid());
    }
    struct daemon_options options = {
        .listen_fd = passed_socket(), .reload = read_settings, .ctx = source};
    if (daemon_new(&settings, &options, &daemon, error, sizeof(error)) != 0) {
        log_err("%s", error);
        settings_done(&settings);
        return EXIT_FAILURE;
    }
    int r = daemon_run(daemon);
    daemon_free(daemon);
    if (r != 0) {
        log_err("the event loop failed: %s", strerror(-r));
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
    static struct source source;
    log_set_sink(stderr_is_journal() ? log_to_journal : log_to_stderr, NULL);
    find_places(&source);
    argv = argc > 0 ? with_environment(argc, argv, &argc) : NULL;
    if (argv == NULL) {
        return EXIT_FAILURE;
    }
    if (settings_command_line(argc, argv, report, &source, &source.command) != 0) {
        return EXIT_USAGE;
    }
    switch (source.command.mode) {
    case SETTINGS_HELP:
        settings_help(stdout);
        return EXIT_SUCCESS;
    case SETTINGS_HELP_SETTINGS:
        settings_help_all(stdout);
        return EXIT_SUCCESS;
    case SETTINGS_VERSION:
        return print_version();
    case SETTINGS_CHECK:
        return check(&source);
    case SETTINGS_RUN:
        break;
    }
    return run(&source);
}
