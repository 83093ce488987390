/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Beginning and end of the daemon, reload, status. */
#include "rspd/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

#include "rspd/daemon_internal.h"

#define END_AFTER_MS 700 /* deregistration may take that long when ending */

/* --- notes and status ----------------------------------------------------------------------------
 */

void daemon_note(struct daemon *d, enum note which, const char *format, ...)
{
    char text[STATUS_NOTE_MAX] = "";
    if (format != NULL) {
        va_list args;
        va_start(args, format);
        (void)vsnprintf(text, sizeof(text), format, args);
        va_end(args);
    }
    if (strcmp(text, d->notes[which]) == 0) {
        return;
    }
    if (text[0] != '\0') {
        log_warn("%s", text);
    } else {
        log_notice("no longer: %s", d->notes[which]);
    }
    (void)snprintf(d->notes[which], sizeof(d->notes[which]), "%s", text);
}

static const char *role_name(const struct daemon *d)
{
    return d->rg != NULL ? "agent+registrar" : "agent";
}

static void notify_status(struct daemon *d, const char *state)
{
    struct hs *hs = d->hs;
    (void)sd_notifyf(0, "%s\nSTATUS=%s, %u pools, %u elements, %zu of this host, SCTP: %s", state,
                     role_name(d), hs != NULL ? hs_pool_count(hs) : 0,
                     hs != NULL ? hs_element_count(hs) : 0, pes_count(d->pes), net_backend_name(d));
}

static void on_event(void *ctx, const struct event *event)
{
    struct daemon *d = (struct daemon *)ctx;
    if (d->requests != NULL) {
        requests_event(d->requests, event);
    }
    if (event->kind == EVENT_ROLE_CHANGED && d->ready) {
        notify_status(d, "READY=1");
    }
}

static uint32_t home_id(const struct daemon *d)
{
    static struct ag_registrar_info list[65]; /* loop thread only */
    size_t n = ag_registrars(d->ag, list, sizeof(list) / sizeof(list[0]));
    for (size_t i = 0; i < n; i++) {
        if (list[i].is_home) {
            return list[i].id;
        }
    }
    return 0;
}

static void fill_status(void *ctx, struct requests_status *ret)
{
    struct daemon *d = (struct daemon *)ctx;
    ret->role = role_name(d);
    ret->backend = net_backend_name(d);
    ret->home_id = home_id(d);
    ret->uptime_ms = (uint64_t)tm_diff_ms(loop_now(d->loop), d->started);
    ret->state = "up";
    if (!ag_has_home(d->ag)) {
        ret->state = "no registrar answers: serving what is known";
    } else if (!d->role.decided) {
        ret->state = "up, listening for other registrars";
    } else if (enrp_side_joining(d)) {
        ret->state = "up, joining the registrars of the scope";
    } else if (d->en != NULL && enrp_phase(d->en) == ENRP_LEAVING) {
        ret->state = "up, handing over to the other registrars";
    }
    ret->note_count = 0;
    ret->notes[ret->note_count++] = d->role.why;
    for (size_t i = 0; i < NOTES && ret->note_count < STATUS_NOTES_MAX; i++) {
        if (d->notes[i][0] != '\0') {
            ret->notes[ret->note_count++] = d->notes[i];
        }
    }
}

static struct hs *handlespace(void *ctx)
{
    struct daemon *d = (struct daemon *)ctx;
    return d->hs != NULL ? d->hs : ag_cache(d->ag);
}

static bool is_registrar(void *ctx)
{
    return ((struct daemon *)ctx)->hs != NULL;
}

/* --- settings that others keep -------------------------------------------------------------------
 */

static void copy_ids(const struct settings_ids *from, uint32_t *to, uint8_t *count)
{
    *count = from->count;
    memcpy(to, from->items, from->count * sizeof(uint32_t));
}

static int apply_pools(struct daemon *d)
{
    const struct settings *s = &d->settings;
    struct authority_rule *rules =
        (struct authority_rule *)calloc(s->pool_count > 0 ? s->pool_count : 1, sizeof(*rules));
    if (rules == NULL) {
        return -ENOMEM;
    }
    for (size_t i = 0; i < s->pool_count; i++) {
        const struct settings_pool *p = &s->pools[i];
        (void)snprintf(rules[i].pattern, sizeof(rules[i].pattern), "%s", p->pattern);
        copy_ids(&p->register_users, rules[i].may_register.uids, &rules[i].may_register.uid_count);
        copy_ids(&p->register_groups, rules[i].may_register.gids, &rules[i].may_register.gid_count);
        copy_ids(&p->resolve_users, rules[i].may_resolve.uids, &rules[i].may_resolve.uid_count);
        copy_ids(&p->resolve_groups, rules[i].may_resolve.gids, &rules[i].may_resolve.gid_count);
    }
    int r = authority_set_rules(d->authority, rules, s->pool_count);
    free(rules);
    return r;
}

static void apply_programs(struct daemon *d)
{
    const struct settings *s = &d->settings;
    char why[256];
    rules_clear(d->rules);
    for (size_t i = 0; i < s->program_count; i++) {
        const struct settings_program *p = &s->programs[i];
        struct rule rule = {.handle_len = p->pool_len,
                            .protocol = (enum transport_protocol)p->protocol,
                            .port = (uint16_t)p->port,
                            .policy = p->policy,
                            .capacity = p->capacity,
                            .probe_ms = p->probe_ms,
                            .slow_start_ms = p->slow_start_ms};
        (void)snprintf(rule.exe, sizeof(rule.exe), "%s", p->path);
        (void)snprintf(rule.probe, sizeof(rule.probe), "%s", p->probe);
        if (p->pool_len > 0 && p->pool_len <= sizeof(rule.handle)) {
            memcpy(rule.handle, p->pool, p->pool_len);
        }
        int r = p->bind[0] != '\0' ? rules_add_bind(d->rules, &rule, p->bind, why, sizeof(why))
                                   : rules_add(d->rules, &rule, why, sizeof(why));
        if (r != 0) {
            log_err("[Program %s]: %s: this rule does not count", p->path, why);
        }
    }
}

static int apply_settings(struct daemon *d)
{
    log_set_level((enum log_level)d->settings.log_level);
    apply_programs(d);
    return apply_pools(d);
}

static void reload(struct daemon *d)
{
    struct settings next;
    struct timespec ts;
    char names[512];
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    (void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
                     (long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
    if (d->options.reload(d->options.ctx, &next) != 0) {
        log_err("settings are wrong: nothing is changed");
        notify_status(d, "READY=1");
        return;
    }
    if (settings_need_restart(&d->settings, &next, names, sizeof(names)) > 0) {
        log_warn("settings read again; these need a restart of rspd: %s", names);
        settings_keep_restart_keys(&d->settings, &next);
    } else {
        log_notice("settings read again");
    }
    settings_done(&d->settings);
    d->settings = next;
    if (apply_settings(d) != 0) {
        log_err("out of memory: access rules of pools are those of before");
    }
    machines_configure(d);
    csp_side_configure(d);
    requests_reloaded(d->requests);
    notify_status(d, "READY=1");
}

/* --- the end -------------------------------------------------------------------------------------
 */

static void on_end_timer(void *ctx, struct tm_us now)
{
    struct daemon *d = (struct daemon *)ctx;
    (void)now;
    log_warn("ending without an answer of the registrar to every deregistration");
    loop_exit(d->loop);
}

/**
 * Everything of this host leaves the scope, and what a registrar has of other hosts goes to another
 * one; machines_drain() ends the loop when it has.
 */
static void begin_end(struct daemon *d, int signo)
{
    struct ag_pe_info info;
    struct tm_us now = loop_now(d->loop);
    if (d->ending) {
        loop_exit(d->loop);
        return;
    }
    log_notice("%s: ending", signo == SIGTERM ? "SIGTERM" : "SIGINT");
    (void)sd_notify(0, "STOPPING=1");
    d->ending = true;
    uint32_t leave_ms = d->en != NULL && enrp_peers_alive(d->en) > 0 ? d->settings.leave_ms : 0;
    (void)loop_timer_set(d->end_timer, tm_add_ms(now, (int64_t)END_AFTER_MS + leave_ms));
    for (const struct pe *pe = pes_next(d->pes, NULL); pe != NULL; pe = pes_next(d->pes, pe)) {
        if (ag_pe_get(d->ag, pe->r.pe_id, &info)) {
            ag_pe_remove(d->ag, pe->r.pe_id, "rspd ends", now);
        }
    }
    machines_leave(d);
}

static void on_signal(void *ctx, int signo)
{
    struct daemon *d = (struct daemon *)ctx;
    if (signo == SIGHUP) {
        reload(d);
    } else {
        begin_end(d, signo);
    }
}

/* --- the beginning -------------------------------------------------------------------------------
 */

/** The runtime directory, ours alone. */
static int take_runtime_dir(struct daemon *d, char *error, size_t size)
{
    const char *dir = d->settings.runtime_dir;
    char path[SETTINGS_TEXT_MAX + 16];
    char pid[16] = "";
    if (mkdir(dir, 0755) != 0 && errno != EEXIST) {
        int r = -errno;
        (void)snprintf(error, size, "cannot make %s: %s; see --runtime-dir", dir, strerror(-r));
        return r;
    }
    (void)snprintf(path, sizeof(path), "%s/lock", dir);
    d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (d->lock_fd < 0) {
        int r = -errno;
        (void)snprintf(error, size, "cannot open %s: %s; see --runtime-dir", path, strerror(-r));
        return r;
    }
    if (flock(d->lock_fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t n = pread(d->lock_fd, pid, sizeof(pid) - 1, 0);
        pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
        (void)snprintf(error, size,
                       "another rspd (pid %s) uses %s; end it, or give this one another --socket "
                       "and --runtime-dir",
                       pid[0] != '\0' ? pid : "unknown", dir);
        return -EADDRINUSE;
    }
    int n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
    if (ftruncate(d->lock_fd, 0) != 0 || pwrite(d->lock_fd, pid, (size_t)n, 0) != n) {
        log_warn("cannot write %s: %s", path, strerror(errno));
    }
    return 0;
}

/** Every client, PE and association is a descriptor. */
static void raise_limits(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static int block_signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGHUP);
    (void)signal(SIGPIPE, SIG_IGN);
    return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static int start_loop(struct daemon *d)
{
    static const int SIGNALS[] = {SIGTERM, SIGINT, SIGHUP};
    uint64_t seed;
    int r = loop_new(&d->loop);
    if (r != 0) {
        return r;
    }
    for (size_t i = 0; i < sizeof(SIGNALS) / sizeof(SIGNALS[0]) && r == 0; i++) {
        r = loop_signal_add(d->loop, SIGNALS[i], on_signal, d);
    }
    if (r == 0) {
        r = loop_timer_add(d->loop, 10000, on_end_timer, d, &d->end_timer);
    }
    if (r == 0 && getrandom(&seed, sizeof(seed), 0) != (ssize_t)sizeof(seed)) {
        r = -errno;
    }
    if (r != 0) {
        return r;
    }
    rnd_seed(&d->rnd, seed);
    d->started = loop_now(d->loop);
    return 0;
}

/** What knows nothing of sockets yet. */
static int start_parts(struct daemon *d)
{
    struct ag_settings settings;
    d->log = eventlog_new(on_event, d);
    if (d->log == NULL) {
        return -ENOMEM;
    }
    outbox_init(&d->ag_out);
    outbox_init(&d->rg_out);
    outbox_init(&d->en_out);
    d->ag_out.event_counter = eventlog_counter(d->log);
    d->rg_out.event_counter = eventlog_counter(d->log);
    d->en_out.event_counter = eventlog_counter(d->log);
    machines_ag_settings(&d->settings, &settings);
    d->ag = ag_new(&settings, &d->ag_out, rnd_next(&d->rnd), d->started);
    if (d->ag == NULL) {
        return -ENOMEM;
    }
    int r = authority_new(&d->authority);
    if (r == 0) {
        r = rules_new(&d->rules);
    }
    return r == 0 ? apply_settings(d) : r;
}

static int start_cookies(struct daemon *d, char *error, size_t size)
{
    const struct settings *s = &d->settings;
    struct cookies_settings settings;
    char path[SETTINGS_TEXT_MAX + 16];
    cookies_settings_default(true, &settings);
    settings.net4 = s->cookie_net4.address;
    settings.prefix4 = s->cookie_net4.len;
    settings.net6 = s->cookie_net6.address;
    settings.prefix6 = s->cookie_net6.len;
    (void)snprintf(path, sizeof(path), "%s/cookies", s->runtime_dir);
    int r = cookies_new(&settings, path, &d->cookies);
    if (r != 0) {
        (void)snprintf(error, size, "%s: %s", path, strerror(-r));
    }
    return r;
}

/** A damaged key file is no reason not to serve: who needs a cookie sealed is told. */
static int start_vault(struct daemon *d, char *error, size_t size)
{
    struct vault_env env;
    char path[SETTINGS_TEXT_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/cookie-keys", d->settings.state_dir);
    vault_env_system(&env);
    env.path = path;
    int r = vault_new(&env, &d->vault);
    if (r != 0) {
        (void)snprintf(error, size, "%s: %s", path, strerror(-r));
    } else if (vault_broken(d->vault) != NULL) {
        daemon_note(d, NOTE_COOKIE_KEYS, "%s", vault_broken(d->vault));
    }
    return r;
}

static int start_local(struct daemon *d, char *error, size_t size)
{
    struct requests_env env = {.loop = d->loop,
                               .ag = d->ag,
                               .out = &d->ag_out,
                               .authority = d->authority,
                               .rules = d->rules,
                               .cookies = d->cookies,
                               .vault = d->vault,
                               .log = d->log,
                               .settings = &d->settings,
                               .handlespace = handlespace,
                               .is_registrar = is_registrar,
                               .status = fill_status,
                               .peers = enrp_side_peers,
                               .leave = machines_retire,
                               .settle = machines_drain,
                               .ctx = d};
    d->requests = requests_new(&env);
    if (d->requests == NULL) {
        (void)snprintf(error, size, "out of memory");
        return -ENOMEM;
    }
    struct pes_env pes = {.loop = d->loop,
                          .ag = d->ag,
                          .out = &d->ag_out,
                          .authority = d->authority,
                          .runtime_dir = d->settings.runtime_dir,
                          .hang_after_ms = d->settings.hang_after_ms};
    int r = pes_new(&pes, &requests_pes_events, d->requests, &d->pes, error, size);
    if (r != 0) {
        return r;
    }
    requests_set_pes(d->requests, d->pes);
    return requests_listen(d->requests, d->settings.socket, d->options.listen_fd, error, size);
}

static int start(struct daemon *d, char *error, size_t size)
{
    int r = block_signals();
    if (r == 0) {
        r = start_loop(d);
    }
    if (r == 0) {
        r = take_runtime_dir(d, error, size);
    }
    if (r == 0) {
        r = start_parts(d);
    }
    if (r == 0) {
        r = start_cookies(d, error, size);
    }
    if (r == 0) {
        r = start_vault(d, error, size);
    }
    if (r == 0) {
        r = start_local(d, error, size);
    }
    if (r == 0) {
        r = net_start(d);
    }
    if (r == 0) {
        r = machines_start(d);
    }
    if (r == 0) {
        r = csp_side_start(d);
    }
    if (r != 0 && error[0] == '\0') {
        (void)snprintf(error, size, "cannot start: %s", strerror(-r));
    }
    return r;
}

int daemon_new(struct settings *take_settings, const struct daemon_options *options,
               struct daemon **ret, char *error, size_t error_size)
{
    struct daemon *d = (struct daemon *)calloc(1, sizeof(*d));
    error[0] = '\0';
    if (d == NULL) {
        (void)snprintf(error, error_size, "out of memory");
        return -ENOMEM;
    }
    raise_limits();
    hs_thread_register();
    d->settings = *take_settings;
    d->options = *options;
    d->lock_fd = -1;
    int r = start(d, error, error_size);
    if (r != 0) {
        memset(&d->settings, 0, sizeof(d->settings)); /* remains the caller's */
        daemon_free(d);
        return r;
    }
    memset(take_settings, 0, sizeof(*take_settings));
    *ret = d;
    return 0;
}

int daemon_run(struct daemon *d)
{
    size_t back = pes_restore(d->pes);
    if (back > 0) {
        log_notice("%zu pool elements of an earlier rspd are still alive", back);
    }
    size_t waited = requests_take_waiting(d->requests);
    if (waited > 0) {
        log_notice("%zu pool elements had been waiting for rspd", waited);
    }
    machines_drain(d);
    d->ready = true;
    log_notice("ready: %s, scope %s, SCTP: %s, socket %s", role_name(d), d->settings.scope,
               net_backend_name(d),
               d->options.listen_fd >= 0 ? "of the service manager" : d->settings.socket);
    notify_status(d, "READY=1");
    return loop_run(d->loop);
}

void daemon_free(struct daemon *d)
{
    if (d == NULL) {
        return;
    }
    requests_free(d->requests);
    d->requests = NULL;
    pes_free(d->pes);
    csp_side_stop(d);
    machines_stop(d);
    net_stop(d);
    cookies_free(d->cookies);
    vault_free(d->vault);
    rules_free(d->rules);
    authority_free(d->authority);
    eventlog_free(d->log);
    loop_timer_free(d->end_timer);
    loop_free(d->loop);
    if (d->lock_fd >= 0) {
        (void)close(d->lock_fd);
    }
    settings_done(&d->settings);
    hs_thread_unregister();
    free(d);
}
