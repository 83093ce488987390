/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * exec: probes. The daemon never runs a command for somebody else, so a small helper does, with the
 * credentials of the one who asked. It is forked before the program is started, belongs to nobody
 * (the program sees no child that is not its own), holds none of its files, and ends when the
 * element is gone.
 */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define INTERVAL_MS 1000
#define RETRY_MS    200   /* between looks for an element that is not there yet */
#define ORPHANED_MS 10000 /* without element after the program's end: that was all */
#define NEVER_MS    60000 /* an element given by id that never shows up */

int probe_read(struct ctl *ctl, struct probe_option *ret)
{
    const char *text = ctl->opt[OPT_PROBE];
    ret->text = NULL;
    ret->command = NULL;
    ret->interval_ms = ctl_option_ms(ctl, OPT_PROBE_INTERVAL, INTERVAL_MS);
    if (text == NULL) {
        return CTL_OK;
    }
    if (ret->interval_ms < 100 || ret->interval_ms > 3600000) {
        return ctl_fail(CTL_USAGE, "--probe-interval \"%s\" - write 100ms to 1h",
                        ctl->opt[OPT_PROBE_INTERVAL]);
    }
    ret->text = text;
    if (strncmp(text, "exec:", 5) == 0 && text[5] != '\0') {
        ret->text = "exec";
        ret->command = text + 5;
    } else if (strcmp(text, "tcp") != 0 && strncmp(text, "http:/", 6) != 0) {
        return ctl_fail(CTL_USAGE, "--probe \"%s\" - write tcp, http:/PATH or exec:CMD", text);
    }
    return CTL_OK;
}

/** What the helper knows of the element it looks after. */
struct helper {
    struct ctl ctl;
    const struct probe_option *probe;
    const struct probe_target *target;
    int pidfd; /* of target->pid; -1: it has ended, or there is none */
    uint32_t pe_id, port;
    char handle[POOL_HANDLE_TEXT_MAX];
};

static int64_t monotonic_ms(void)
{
    struct timespec ts = {0};
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** Waits, but not longer than the program lives; true: it has ended now. */
static bool wait_or_end(struct helper *h, int64_t ms)
{
    struct pollfd p = {.fd = h->pidfd, .events = POLLIN};
    if (poll(&p, 1, (int)ms) == 1 && h->pidfd >= 0) {
        (void)close(h->pidfd);
        h->pidfd = -1;
        return true;
    }
    return false;
}

/** Whether a process was started with RSP_RUN=token: a daemon has another pid than was run. */
static bool carries_token(uint32_t pid, const char *token)
{
    char path[64];
    char chunk[65536];
    (void)snprintf(path, sizeof(path), "/proc/%u/environ", pid);
    FILE *file = token != NULL ? fopen(path, "re") : NULL;
    if (file == NULL) {
        return false;
    }
    size_t n = fread(chunk, 1, sizeof(chunk) - 1, file);
    (void)fclose(file);
    chunk[n] = '\0';
    for (char *p = chunk; p < chunk + n; p += strlen(p) + 1) {
        if (strncmp(p, "RSP_RUN=", 8) == 0 && strcmp(p + 8, token) == 0) {
            return true;
        }
    }
    return false;
}

static void match(const struct lp_each *it, void *arg)
{
    struct helper *h = arg;
    uint32_t id = 0;
    uint32_t pid = 0;
    uint32_t port = 0;
    struct pool_handle handle = {.len = 0};
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type == LP_T_PE_ID) {
            id = lp_u32(&in, 0);
        } else if (in.type == LP_T_PID) {
            pid = lp_u32(&in, 0);
        } else if (in.type == LP_T_PORT) {
            port = lp_u32(&in, 0);
        } else if (in.type == LP_T_HANDLE) {
            (void)lp_handle(&in, &handle);
        }
    }
    const struct probe_target *t = h->target;
    bool ours = t->pe_id != 0
                    ? id == t->pe_id
                    : pid != 0 && (pid == (uint32_t)t->pid || carries_token(pid, t->token));
    if (ours) {
        h->pe_id = id;
        h->port = port;
        (void)pool_handle_format(handle, h->handle, sizeof(h->handle));
    }
}

/** Looks for the element: 1 there, 0 not there, -1 the daemon is away. */
static int find_element(struct helper *h)
{
    h->pe_id = 0;
    for (int attempt = 0; attempt < 2; attempt++) {
        if (!client_try(&h->ctl)) {
            return -1;
        }
        lp_put_u32(client_begin(&h->ctl, LP_PE_LIST), LP_T_LOCAL, 1);
        if (client_list(&h->ctl, "probe", LP_T_PE, match, h) == CTL_OK) {
            return h->pe_id != 0;
        }
        (void)close(h->ctl.fd); /* the daemon was restarted */
        h->ctl.fd = -1;
    }
    return -1;
}

/** Runs the command once; its exit status, or 124 when it took longer than `limit_ms`. */
static int run_command(const struct helper *h, int64_t limit_ms)
{
    char id[16];
    char port[16];
    (void)snprintf(id, sizeof(id), "0x%08x", h->pe_id);
    (void)snprintf(port, sizeof(port), "%u", h->port);
    pid_t pid = fork();
    if (pid == 0) {
        (void)setpgid(0, 0);
        (void)setenv("RSP_PE", id, 1);
        (void)setenv("RSP_PORT", port, 1);
        (void)setenv("RSP_HANDLE", h->handle, 1);
        (void)execl("/bin/sh", "sh", "-c", h->probe->command, (char *)NULL);
        _exit(127);
    }
    if (pid < 0) {
        return 126;
    }
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    struct pollfd p = {.fd = pidfd, .events = POLLIN};
    int status = 0;
    bool late = pidfd >= 0 && poll(&p, 1, (int)limit_ms) == 0;
    if (late) {
        (void)kill(-pid, SIGKILL);
        (void)kill(pid, SIGKILL);
    }
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (pidfd >= 0) {
        (void)close(pidfd);
    }
    if (late) {
        return 124;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static void tell(struct helper *h, int status)
{
    char text[64];
    struct lp_message reply;
    if (status == 124) {
        (void)snprintf(text, sizeof(text), "the probe command took too long");
    } else {
        (void)snprintf(text, sizeof(text), "the probe command ended with %d", status);
    }
    struct lp_writer *w = client_begin(&h->ctl, LP_PROBE_DONE);
    lp_put_u32(w, LP_T_PE_ID, h->pe_id);
    lp_put_u32(w, LP_T_OK, status == 0);
    lp_put_str(w, LP_T_TEXT, text);
    (void)client_ask(&h->ctl, &reply);
}

/** The helper's life. */
static void look_after(struct helper *h)
{
    int64_t alone_since = monotonic_ms();
    bool seen = false;
    for (;;) {
        int64_t start = monotonic_ms();
        int there = find_element(h);
        if (there == 1) {
            tell(h, run_command(h, h->probe->interval_ms));
            seen = true;
            alone_since = monotonic_ms();
            int64_t left = h->probe->interval_ms - (alone_since - start);
            (void)wait_or_end(h, left > 0 ? left : 0);
            continue;
        }
        if (h->pidfd < 0) {
            int64_t patience =
                h->target->pe_id != 0 && there == 0 ? (seen ? 0 : NEVER_MS) : ORPHANED_MS;
            if (monotonic_ms() - alone_since >= patience) {
                return;
            }
        } else {
            alone_since = monotonic_ms();
        }
        if (wait_or_end(h, RETRY_MS)) {
            alone_since = monotonic_ms();
        }
    }
}

/** Lets go of everything inherited: terminal, pipes, sockets. */
static void let_go(void)
{
    int null = open("/dev/null", O_RDWR);
    for (int fd = 0; null >= 0 && fd < 3; fd++) {
        (void)dup2(null, fd);
    }
    (void)syscall(SYS_close_range, 3, ~0U, 0);
    for (int sig = 1; sig < 32; sig++) {
        (void)signal(sig, SIG_DFL);
    }
    sigset_t none;
    (void)sigemptyset(&none);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    if (chdir("/") != 0) {
        _exit(0);
    }
}

int probe_start(const struct ctl *ctl, const struct probe_option *probe,
                const struct probe_target *target)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        return -errno;
    }
    if (pid == 0) {
        if (setsid() < 0 || fork() != 0) {
            _exit(0);
        }
        let_go();
        struct helper h = {.ctl = *ctl, .probe = probe, .target = target, .pidfd = -1};
        h.ctl.fd = -1;
        h.ctl.timeout_ms = 2000;
        if (target->pid != 0) {
            h.pidfd = (int)syscall(SYS_pidfd_open, target->pid, 0);
        }
        look_after(&h);
        _exit(0);
    }
    int status;
    while (waitpid(pid, &status, 0) < 0) {
        if (errno != EINTR) {
            return -errno;
        }
    }
    return 0;
}
