/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rspctl run: the environment that puts a program under the shim, then exec: same process, same
 * signals, same exit status. */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define VARS_MAX 16

/** The variables to set. */
struct plan {
    struct {
        const char *name;
        char value[PATH_MAX];
    } vars[VARS_MAX];
    size_t count;
    struct probe_option probe;
    char token[32];
};

static void set(struct plan *plan, const char *name, const char *value)
{
    if (plan->count < VARS_MAX) {
        plan->vars[plan->count].name = name;
        (void)snprintf(plan->vars[plan->count].value, sizeof(plan->vars[0].value), "%s", value);
        plan->count++;
    }
}

/** Where the shim is: --library, $RSP_LIBRARY, beside us in the build tree, or as installed. */
static int find_library(const struct ctl *ctl, char *out, size_t size)
{
    char self[PATH_MAX];
    const char *wanted = ctl->opt[OPT_LIBRARY];
    wanted = wanted != NULL ? wanted : getenv("RSP_LIBRARY");
    if (wanted != NULL) {
        char *full = realpath(wanted, NULL);
        (void)snprintf(out, size, "%s", full != NULL ? full : wanted);
        free(full);
    } else {
        ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
        self[n > 0 ? n : 0] = '\0';
        char *slash = strrchr(self, '/');
        if (slash != NULL) {
            *slash = '\0';
        }
        slash = strrchr(self, '/');
        if (slash != NULL && strcmp(slash, "/tools") == 0) {
            (void)snprintf(out, size, "%.*s/preload/librsp_preload.so", (int)(slash - self), self);
        }
        if (slash == NULL || strcmp(slash, "/tools") != 0 || access(out, R_OK) != 0) {
            (void)snprintf(out, size, "%s", RSP_PRELOAD_PATH);
        }
    }
    if (access(out, R_OK) != 0) {
        return ctl_fail(CTL_RUN_WRAPPER,
                        "cannot read the shim %s: %s - install it, or name it "
                        "with --library",
                        out, strerror(errno));
    }
    if (strpbrk(out, " :") != NULL) {
        return ctl_fail(CTL_RUN_WRAPPER,
                        "cannot preload %s: the loader takes no path with a blank or colon", out);
    }
    return CTL_OK;
}

/** Options that only make sense for a server. */
static int check_server_options(const struct ctl *ctl)
{
    static const enum ctl_option server[] = {OPT_POLICY,    OPT_CAPACITY, OPT_PORT,
                                             OPT_PROTO,     OPT_PROBE,    OPT_PROBE_INTERVAL,
                                             OPT_SLOW_START};
    for (size_t i = 0; i < sizeof(server) / sizeof(server[0]); i++) {
        if (ctl->opt[server[i]] != NULL && ctl->opt[OPT_POOL] == NULL &&
            ctl->opt[OPT_MAP] == NULL) {
            return ctl_fail(CTL_RUN_WRAPPER, "--%s needs --pool: it describes a server",
                            ctl_options[server[i]].name);
        }
    }
    if (ctl->opt[OPT_MAP] != NULL && (ctl->opt[OPT_POOL] != NULL || ctl->opt[OPT_PORT] != NULL)) {
        return ctl_fail(CTL_RUN_WRAPPER, "--map already says which port is in which pool: it goes "
                                         "without --pool and --port");
    }
    const char *proto = ctl->opt[OPT_PROTO];
    if (proto != NULL && strcmp(proto, "tcp") != 0 && strcmp(proto, "udp") != 0) {
        return ctl_fail(CTL_RUN_WRAPPER, "--proto \"%s\" - write tcp or udp", proto);
    }
    return CTL_OK;
}

/** "8080=web,8443=web-tls": every part a port and a handle. */
static int check_map(const char *map)
{
    for (const char *p = map; p != NULL;) {
        char part[POOL_HANDLE_MAX + 16];
        size_t len = strcspn(p, ",");
        (void)snprintf(part, sizeof(part), "%.*s", (int)len, p);
        char *equal = strchr(part, '=');
        uint32_t port;
        if (equal != NULL) {
            *equal = '\0';
        }
        if (equal == NULL || equal[1] == '\0' || !ctl_number(part, 1, 65535, &port)) {
            return ctl_fail(CTL_RUN_WRAPPER, "--map \"%s\" - write PORT=POOL,PORT=POOL", map);
        }
        p = p[len] == ',' ? p + len + 1 : NULL;
    }
    return CTL_OK;
}

/** What describes the server. */
static int plan_server(struct ctl *ctl, struct plan *plan)
{
    char text[POOL_HANDLE_MAX + 32];
    struct policy_option policy;
    const char *pool = ctl->opt[OPT_POOL];
    if (ctl->opt[OPT_MAP] != NULL) {
        set(plan, "RSP_BIND", ctl->opt[OPT_MAP]);
    } else if (pool != NULL && ctl->opt[OPT_PORT] != NULL) {
        uint32_t port = ctl_option_number(ctl, OPT_PORT, 1, 65535, 0);
        (void)snprintf(text, sizeof(text), "%u=%s", port, pool);
        set(plan, "RSP_BIND", text);
    } else if (pool != NULL) {
        set(plan, "RSP_POOL", pool);
    }
    if (policy_read(ctl, &policy) != CTL_OK) {
        return CTL_RUN_WRAPPER;
    }
    if (policy.text[0] != '\0') {
        set(plan, "RSP_POLICY", policy.text);
    }
    if (policy.slow_start_ms != 0) {
        (void)snprintf(text, sizeof(text), "%u", policy.slow_start_ms);
        set(plan, "RSP_SLOW_START_MS", text);
    }
    if (ctl->opt[OPT_CAPACITY] != NULL) {
        (void)snprintf(text, sizeof(text), "%u",
                       ctl_option_number(ctl, OPT_CAPACITY, 1, INT32_MAX, 0));
        set(plan, "RSP_CAPACITY", text);
    }
    if (ctl->opt[OPT_PROTO] != NULL) {
        set(plan, "RSP_PROTO", ctl->opt[OPT_PROTO]);
    }
    if (plan->probe.text != NULL) {
        set(plan, "RSP_PROBE", plan->probe.text);
        (void)snprintf(text, sizeof(text), "%u", plan->probe.interval_ms);
        set(plan, "RSP_PROBE_MS", text);
    }
    if (plan->probe.command != NULL) {
        (void)snprintf(plan->token, sizeof(plan->token), "%d", (int)getpid());
        set(plan, "RSP_RUN", plan->token);
    }
    return CTL_OK;
}

/** LD_PRELOAD with the shim in front of what is there. */
static int plan_preload(struct ctl *ctl, struct plan *plan)
{
    char library[PATH_MAX];
    const char *old = getenv("LD_PRELOAD");
    int status = find_library(ctl, library, sizeof(library));
    if (status != CTL_OK) {
        return status;
    }
    if (old == NULL || old[0] == '\0') {
        set(plan, "LD_PRELOAD", library);
        return CTL_OK;
    }
    if (strncmp(old, library, strlen(library)) == 0) {
        return CTL_OK; /* inside another rspctl run */
    }
    char value[PATH_MAX];
    int len = snprintf(value, sizeof(value), "%s:%s", library, old);
    if (len < 0 || (size_t)len >= sizeof(value)) {
        return ctl_fail(CTL_RUN_WRAPPER, "LD_PRELOAD would be longer than %d", PATH_MAX - 1);
    }
    set(plan, "LD_PRELOAD", value);
    return CTL_OK;
}

static int make_plan(struct ctl *ctl, struct plan *plan)
{
    int status = check_server_options(ctl);
    if (status == CTL_OK && ctl->opt[OPT_MAP] != NULL) {
        status = check_map(ctl->opt[OPT_MAP]);
    }
    if (status == CTL_OK && probe_read(ctl, &plan->probe) != CTL_OK) {
        status = CTL_RUN_WRAPPER;
    }
    status = status == CTL_OK ? plan_preload(ctl, plan) : status;
    status = status == CTL_OK ? plan_server(ctl, plan) : status;
    if (status == CTL_OK && ctl->opt[OPT_SOCKET] != NULL) {
        char *full = realpath(ctl->opt[OPT_SOCKET], NULL);
        set(plan, "RSP_SOCKET", full != NULL ? full : ctl->opt[OPT_SOCKET]);
        free(full);
    }
    return status;
}

/** The plan without a variable. */
static void drop(struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->count; i++) {
        if (strcmp(plan->vars[i].name, name) == 0) {
            plan->vars[i] = plan->vars[--plan->count];
            return;
        }
    }
}

/** Says before running what would only fail silently. */
static int examine(struct ctl *ctl, struct plan *plan, const char *command)
{
    char file[PATH_MAX];
    enum elf_verdict verdict = elf_examine(command, getenv("PATH"), file, sizeof(file));
    const char *why = elf_verdict_text(verdict);
    switch (verdict) {
    case ELF_FITS:
        if (ctl->opt[OPT_CHECK] != NULL) {
            ctl_say(ctl, "%s %s", file, why);
        }
        return CTL_OK;
    case ELF_NOT_FOUND:
        return ctl_fail(CTL_RUN_NOT_FOUND, "cannot run %s: it %s", command, why);
    case ELF_NOT_EXECUTABLE:
        return ctl_fail(CTL_RUN_CANNOT, "cannot run %s: it %s", file, why);
    case ELF_STATIC:
    case ELF_OTHER_CLASS:
    case ELF_OTHER_LIBC:
    case ELF_GO:
    case ELF_PRIVILEGED:
        break;
    }
    if (ctl->opt[OPT_BEST_EFFORT] != NULL && ctl->opt[OPT_CHECK] == NULL) {
        ctl_say(ctl, "rspctl: %s %s; it runs without pools", file, why);
        if (verdict == ELF_OTHER_LIBC) {
            drop(plan, "LD_PRELOAD"); /* its loader would take the shim for a broken library */
        }
        return CTL_OK;
    }
    return ctl_fail(CTL_RUN_CANNOT,
                    "cannot run %s with pools: it %s - a server can be adopted with \"rspctl "
                    "register\"; see librsp_preload(8), LIMITS",
                    file, why);
}

static int print_plan(const struct plan *plan)
{
    for (size_t i = 0; i < plan->count; i++) {
        printf("%s=%s\n", plan->vars[i].name, plan->vars[i].value);
    }
    return CTL_OK;
}

int ctl_run_run(struct ctl *ctl)
{
    static struct plan plan;
    char *shell[] = {getenv("SHELL"), NULL};
    int status = make_plan(ctl, &plan);
    if (status != CTL_OK) {
        return status;
    }
    if (ctl->opt[OPT_PRINT_ENV] != NULL) {
        return print_plan(&plan);
    }
    char **command = ctl->argv;
    if (ctl->opt[OPT_SHELL] != NULL) {
        shell[0] = shell[0] != NULL ? shell[0] : (char[]){"/bin/sh"};
        command = shell;
    } else if (ctl->argc == 0) {
        return ctl_fail(CTL_RUN_WRAPPER, "run what? - rspctl run [--pool HANDLE] -- CMD [ARG]...");
    } else {
        ctl->argv[ctl->argc] = NULL;
    }
    status = examine(ctl, &plan, command[0]);
    if (status != CTL_OK || ctl->opt[OPT_CHECK] != NULL) {
        return status;
    }
    if (plan.probe.command != NULL) {
        struct probe_target target = {.pid = (int)getpid(), .token = plan.token};
        int err = probe_start(ctl, &plan.probe, &target);
        if (err != 0) {
            return ctl_fail(CTL_RUN_WRAPPER, "cannot start the probe: %s", strerror(-err));
        }
    }
    for (size_t i = 0; i < plan.count; i++) {
        if (setenv(plan.vars[i].name, plan.vars[i].value, 1) != 0) {
            return ctl_fail(CTL_RUN_WRAPPER, "cannot set %s: %s", plan.vars[i].name,
                            strerror(errno));
        }
    }
    (void)execvp(command[0], command);
    int err = errno;
    return ctl_fail(err == ENOENT ? CTL_RUN_NOT_FOUND : CTL_RUN_CANNOT, "cannot run %s: %s",
                    command[0], strerror(err));
}
