/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "rspd/settings.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rspd/settings_table.h"

static char said[4096];
static int errors;

static void note(void *ctx, bool error, const char *text)
{
    (void)ctx;
    errors += error;
    size_t used = strlen(said);
    (void)snprintf(said + used, sizeof(said) - used, "%s\n", text);
}

static char path[64];

static void write_file(const char *text)
{
    (void)snprintf(path, sizeof(path), "/tmp/test-settings-XXXXXX");
    int fd = mkstemp(path);
    cr_assert(fd >= 0);
    cr_assert(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    (void)close(fd);
}

/** Loads `file` (NULL: none) with the arguments after it (NULL-terminated). */
static int load(struct settings *ret, const char *file, char **args)
{
    static char name[] = "rspd";
    static char *none[] = {NULL};
    static char *argv[16];
    int argc = 0;
    struct settings_command command;
    argv[argc++] = name;
    for (args = args != NULL ? args : none; *args != NULL; args++) {
        argv[argc++] = *args;
    }
    said[0] = '\0';
    errors = 0;
    path[0] = '\0';
    memset(ret, 0, sizeof(*ret));
    if (file != NULL) {
        write_file(file);
    }
    int r = settings_command_line(argc, argv, note, NULL, &command);
    if (r == 0) {
        r = settings_load(&command, file != NULL ? path : NULL, true, "/tmp", note, NULL, ret);
    }
    if (file != NULL) {
        (void)unlink(path);
    }
    return r;
}

#define ARGS(...) ((char *[]){__VA_ARGS__, NULL})

/* A writable copy, as main() gets its words; good until eight more have been made. */
static char *arg(const char *text)
{
    static char words[8][64];
    static size_t next;
    char *word = words[next++ % 8];
    cr_assert_lt(snprintf(word, sizeof(words[0]), "%s", text), (int)sizeof(words[0]));
    return word;
}

static void expect_error(const char *file, const char *text)
{
    struct settings s;
    cr_assert_eq(load(&s, file, NULL), -EINVAL, "accepted: %s", file);
    cr_assert(strstr(said, text) != NULL, "said: %s\nwanted: %s", said, text);
    cr_assert(strncmp(said, path, strlen(path)) == 0 || path[0] == '\0');
}

Test(settings, every_builtin_value_is_valid_in_every_profile)
{
    static const char *const NAMES[] = {"rfc", "rsplib", "lan", "fast"};
    for (int i = 0; i < PROFILES; i++) {
        struct settings s;
        cr_assert_eq(load(&s, NULL, ARGS(arg("--profile"), arg(NAMES[i]))), 0, "%s", said);
        cr_assert_str_empty(said);
        cr_assert_eq(s.profile, (uint32_t)i);
        settings_done(&s);
    }
    const struct setting *s;
    char error[512];
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        for (int p = 0; p < PROFILES; p++) {
            struct settings scratch = {.profile = 0};
            if (s->values[p] != NULL && s->values[p][0] != '\0') {
                cr_assert_eq(setting_parse(s, s->values[p], &scratch, error, sizeof(error)), 0,
                             "%s.%s: %s", s->section, s->key, error);
            }
        }
        cr_assert(strlen(s->help) > 0 && (s->option == NULL || s->argument != NULL));
    }
}

Test(settings, defaults)
{
    struct settings s;
    cr_assert_eq(load(&s, NULL, NULL), 0);
    cr_assert_eq(s.profile, PROFILE_LAN);
    cr_assert_eq(s.role, SETTINGS_ROLE_AUTO);
    cr_assert_str_eq(s.socket, "/run/rspd/rspd.sock");
    cr_assert_str_eq(s.runtime_dir, "/run/rspd");
    cr_assert_eq(s.asap_port, 3863);
    cr_assert_eq(s.udp_port, 9899);
    cr_assert_eq(s.announce_groups.count, 2);
    cr_assert_eq(s.announce_send.count, 1);
    cr_assert_eq(s.cookie_net4.address.octets[1], 42);
    cr_assert_eq(s.cookie_net6.len, 64);
    cr_assert_eq(s.refusal_wait_us, 2000);
    cr_assert_eq(s.suffixes.count, 1);
    cr_assert_str_eq(s.suffixes.items[0], ".pool.alt");
    cr_assert_eq(s.t5_hunt_ms, 1000);
}

Test(settings, unprivileged_defaults)
{
    struct settings_command command = {.mode = SETTINGS_RUN};
    struct settings s;
    cr_assert_eq(settings_load(&command, NULL, false, "/run/user/7", note, NULL, &s), 0);
    cr_assert_str_eq(s.socket, "/run/user/7/rspd/rspd.sock");
    cr_assert_eq(s.cookie_net4.address.octets[1], 43);
}

Test(settings, file_sets_and_command_line_wins)
{
    struct settings s;
    const char *file = "# comment\n[Daemon]\nProfile = fast\nLogLevel = info\n"
                       "[Network]\nRegistrars = 10.0.0.1 10.0.0.2:4000\n"
                       "Registrars = [fd00::1]:5000/9899\nInterfaces = \"lo\"\n"
                       "[Agent]\nHunt = 2s\n[clients]\nsuffixes = .pool.alt, .Rsp.Alt\n"
                       "RefusalWait = 500us\n";
    cr_assert_eq(
        load(&s, file, ARGS(arg("--log-level=debug"), arg("--set"), arg("Agent.HuntMax=4s"))), 0,
        "%s", said);
    cr_assert_eq(s.log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(s.t5_hunt_ms, 2000);
    cr_assert_eq(s.hunt_max_ms, 4000);
    cr_assert_eq(s.t1_request_ms, 300, "the profile's");
    cr_assert_eq(s.registrars.count, 3);
    cr_assert_eq(s.registrars.items[0].port, 3863);
    cr_assert_eq(s.registrars.items[1].port, 4000);
    cr_assert_eq(s.registrars.items[2].port, 5000);
    cr_assert_str_eq(s.interfaces, "lo");
    cr_assert_str_eq(s.suffixes.items[1], ".rsp.alt");
    cr_assert_eq(s.refusal_wait_us, 500);
}

Test(settings, command_line_lists_replace_the_files)
{
    struct settings s;
    cr_assert_eq(load(&s, "[Network]\nRegistrars = 10.0.0.1\n",
                      ARGS(arg("--registrars"), arg("10.0.0.8"), arg("--registrars=10.0.0.9"))),
                 0, "%s", said);
    cr_assert_eq(s.registrars.count, 2);
    cr_assert_eq(s.registrars.items[0].address.octets[3], 8);
}

Test(settings, no_announce_groups)
{
    struct settings s;
    cr_assert_eq(load(&s, "[Network]\nAnnounceGroups = none\n", NULL), 0, "%s", said);
    cr_assert_eq(s.announce_groups.count, 0);
    cr_assert_eq(s.announce_send.count, 0);
}

Test(settings, pools_and_programs)
{
    struct settings s;
    const char *file = "[Pool web*]\nRegisterUsers = root 1000\nRegisterFrom = 10.0.0.0/8\n"
                       "[Program /usr/sbin/a-program-with-a-name-longer-than-fifty-octets/nginx]\n"
                       "Pool = w\\x00b\nPort = 80\nProtocol = tcp\nCapacity = 200\n"
                       "Probe = http:/health\nProbeInterval = 2s\nSlowStart = 10s\n"
                       "[Program /usr/bin/x]\nBind = 80=web\n";
    cr_assert_eq(load(&s, file, NULL), 0, "%s", said);
    cr_assert_eq(s.pool_count, 1);
    cr_assert_str_eq(s.pools[0].pattern, "web*");
    cr_assert_eq(s.pools[0].register_users.count, 2);
    cr_assert_eq(s.pools[0].register_users.items[1], 1000);
    cr_assert_eq(s.pools[0].register_from.items[0].len, 8);
    cr_assert_eq(s.program_count, 2);
    cr_assert(strstr(s.programs[0].path, "octets/nginx") != NULL);
    cr_assert_eq(s.programs[0].pool_len, 3);
    cr_assert_eq(s.programs[0].pool[1], 0);
    cr_assert_eq(s.programs[0].capacity, 200);
    cr_assert_eq(s.programs[0].probe_ms, 2000);
    cr_assert_eq(s.programs[0].slow_start_ms, 10000);
    cr_assert_eq(s.programs[1].slow_start_ms, 0);
    settings_done(&s);
}

Test(settings, errors_name_file_line_key_and_range)
{
    expect_error("[Agent]\n\nHunt = 5y\n", ":3: Hunt: wrong value \"5y\"; allowed: 50ms to 10min");
    expect_error("[Agent]\nHunt = 5\n", "allowed: 50ms to 10min");
    expect_error("[Agent]\nHunt = 2h\n", "allowed: 50ms to 10min");
    expect_error("[Agent]\nHunt = 500us\n", "allowed: 50ms to 10min");
    expect_error("[Agent]\nResolveItems = -1\n", "allowed: 1 to 128");
    expect_error("[Agent]\nDynamicUpdates = maybe\n", "allowed: yes or no");
    expect_error("[Daemon]\nScope = two words\n", ":2: Scope: wrong value");
    expect_error("[Daemon]\nLogLevel = loud\n", "allowed: err, warn, notice, info or debug");
    expect_error("[Daemon]\nProfile = wan\n", "allowed: rfc, rsplib, lan or fast");
    expect_error("[Network]\nMinimumScope = 3\n", "allowed: loopback, sitelocal or global");
    expect_error("[Network]\nAsapPort = 65536\n", "allowed: 1 to 65535");
    expect_error("[Network]\nBind = eth0\n", "allowed: an IP address, or any");
    expect_error("[Network]\nRegistrars = 10.0.0.1 host\n",
                 "wrong value \"host\"; allowed: at most");
    expect_error("[Network]\nRegistrars = 10.0.0.1:0\n", "wrong value \"10.0.0.1:0\"");
    expect_error("[Network]\nAnnounceGroups = 10.0.0.1\n", "allowed: at most 8 multicast");
    expect_error("[Registrar]\nAllowFrom = 10.0.0.0/33\n", "allowed: at most 32 prefixes");
    expect_error("[Clients]\nSuffixes = pool.alt\n", "begin with a dot");
    expect_error("[Clients]\nCookieNet4 = 127.0.0.0/30\n", "of length 8 to 24");
    expect_error("[Clients]\nCookieNet6 = 127.0.0.0/16\n", "an IPv6 prefix");
    expect_error("[Pool web]\nRegisterUsers = nobody-of-that-name\n", "user names or numbers");
    expect_error("[Pool web]\nRegisterGroups = nobody-of-that-name\n", "group names or numbers");
    expect_error("[Pool web]\n[Pool web]\n", "[Pool web] is there twice");
    expect_error("[Pool]\n", "wants a pool's name");
    expect_error("[Program nginx]\n", "wants the program's absolute path");
    expect_error("[Program /x]\nPool = a\\x0\n", "unusual ones as \\xHH");
    expect_error("[Program /x]\nProtocol = dccp\n", "allowed: tcp, udp, sctp or any");
    expect_error("[Program /x]\nPool = web\nPolicy = best\n", "allowed: a policy such as");
    expect_error("[Daemon]\nnonsense\n", ":2: neither [Section] nor Key = value");
}

Test(settings, errors_across_keys)
{
    struct settings s;
    cr_assert_eq(load(&s, "[Network]\nRtoMin = 1s\n", NULL), -EINVAL);
    cr_assert(strstr(said, "Network.RtoMin 1000ms is above Network.RtoMax 200ms") != NULL);
    cr_assert_eq(load(&s, "[Network]\nRegistrars = 10.0.0.1/77\n", NULL), -EINVAL);
    cr_assert(strstr(said, "UDP port 77: all members of a scope") != NULL);
    cr_assert_eq(load(&s, "[Daemon]\nSocket = rspd.sock\n", NULL), -EINVAL);
    cr_assert(strstr(said, "wants an absolute path") != NULL);
    cr_assert_eq(load(&s, "[Daemon]\nRuntimeDirectory = run\n", NULL), -EINVAL);
    cr_assert(strstr(said, "Daemon.RuntimeDirectory \"run\"") != NULL);
    cr_assert_eq(load(&s, "[Clients]\nSuffixes =\n", NULL), -EINVAL);
    cr_assert(strstr(said, "at least one is needed") != NULL);
    cr_assert_eq(load(&s, "[Agent]\nQuarantineFirst = 40s\n", NULL), -EINVAL);
    cr_assert(strstr(said, "is above Agent.QuarantineMax") != NULL);
    cr_assert_eq(load(&s, "[Agent]\nReregistration = 4min\n", NULL), -EINVAL);
    cr_assert(strstr(said, "is not below Agent.RegistrationLife") != NULL);
    cr_assert_eq(load(&s, "[Registrar]\nWanted = 4\nMost = 3\n", NULL), -EINVAL);
    cr_assert(strstr(said, "Registrar.Wanted 4 is above Registrar.Most 3") != NULL);
    cr_assert_eq(load(&s, "[Program /x]\nPort = 1\n", NULL), -EINVAL);
    cr_assert(strstr(said, "[Program /x]: wants Pool") != NULL);
}

Test(settings, unknown_keys_are_warnings_with_the_nearest)
{
    struct settings s;
    cr_assert_eq(load(&s, "[Agent]\nStaleCash = 2s\n", NULL), 0);
    cr_assert(
        strstr(said, ":2: unknown key StaleCash in [Agent]; nearest: StaleCache in [Agent]") !=
        NULL);
    cr_assert_eq(load(&s, "[Agents]\nHunt = 2s\n", NULL), 0);
    cr_assert(strstr(said, ":1: unknown section [Agents]; did you mean [Agent]?") != NULL);
    cr_assert_eq(load(&s, "[Pool web]\nRegisterUser = 0\n", NULL), 0);
    cr_assert(strstr(said, "nearest: RegisterUsers in [Pool NAME]") != NULL);
    cr_assert_eq(errors, 0);
    settings_done(&s);
}

Test(settings, overlong_line_is_an_error)
{
    char file[1024] = "[Network]\nRegistrars =";
    for (int i = 0; i < 60; i++) {
        (void)strcat(file, " 10.0.0.1");
    }
    (void)strcat(file, "\nInterfaces = lo\n");
    expect_error(file, ":2: line too long");
}

Test(settings, named_file_must_exist)
{
    struct settings s;
    cr_assert_eq(load(&s, NULL, ARGS(arg("--config"), arg("/nonexistent/x.conf"))), -ENOENT);
    cr_assert(strstr(said, "/nonexistent/x.conf: cannot read: No such file") != NULL);
}

Test(settings, command_line_errors)
{
    struct settings s;
    cr_assert_eq(load(&s, NULL, ARGS(arg("--regstrar=yes"))), -EINVAL);
    cr_assert(strstr(said, "unknown option --regstrar=yes; did you mean --registrar?") != NULL);
    cr_assert_eq(load(&s, NULL, ARGS(arg("--scope"))), -EINVAL);
    cr_assert(strstr(said, "--scope wants a value") != NULL);
    cr_assert_eq(load(&s, NULL, ARGS(arg("web"))), -EINVAL);
    cr_assert(strstr(said, "unexpected argument \"web\"") != NULL);
    cr_assert_eq(load(&s, NULL, ARGS(arg("--registrar"), arg("perhaps"))), -EINVAL);
    cr_assert(strstr(said, "--registrar: wrong value \"perhaps\"; allowed: no, yes or auto") !=
              NULL);
    cr_assert_eq(load(&s, NULL, ARGS(arg("--set"), arg("Agent.Hunt"))), -EINVAL);
    cr_assert(strstr(said, "--set wants Section.Key=VALUE") != NULL);
    cr_assert_eq(load(&s, NULL, ARGS(arg("--set"), arg("Agent.Hnt=1s"))), -EINVAL);
    cr_assert(strstr(said, "nearest: Agent.Hunt") != NULL);
}

Test(settings, modes)
{
    struct settings_command c;
    char *help[] = {arg("rspd"), arg("-h")};
    cr_assert_eq(settings_command_line(2, help, note, NULL, &c), 0);
    cr_assert_eq(c.mode, SETTINGS_HELP);
    char *check[] = {arg("rspd"), arg("--config"), arg("x"), arg("--check-config")};
    cr_assert_eq(settings_command_line(4, check, note, NULL, &c), 0);
    cr_assert_eq(c.mode, SETTINGS_CHECK);
    cr_assert_str_eq(c.config, "x");
}

Test(settings, scopes_have_their_own_groups_and_ports)
{
    struct settings_scope standard;
    struct settings_scope a;
    struct settings_scope again;
    struct settings_scope b;
    settings_scope_derive("default", &standard);
    cr_assert_eq(standard.asap_port, 3863);
    settings_scope_derive("alpha", &a);
    settings_scope_derive("alpha", &again);
    settings_scope_derive("beta", &b);
    cr_assert(memcmp(&a.groups[0], &again.groups[0], sizeof(a.groups[0])) == 0);
    cr_assert(!ip_address_equal(&a.groups[0], &b.groups[0]));
    cr_assert(!ip_address_equal(&a.groups[0], &standard.groups[0]));
    cr_assert_neq(a.asap_port, b.asap_port);
    cr_assert_neq(a.udp_port, a.asap_port);
    cr_assert_eq(a.groups[0].octets[0], 239);
    cr_assert_eq(a.groups[0].octets[1] & 0xfc, 192);
    cr_assert(a.asap_port >= 12000 && a.asap_port < 28384);
}

Test(settings, restart_keys_are_named_and_kept)
{
    struct settings now;
    struct settings next;
    char names[256];
    cr_assert_eq(load(&now, NULL, NULL), 0);
    cr_assert_eq(load(&next, NULL, ARGS(arg("--scope=other"), arg("--log-level=debug"))), 0);
    cr_assert_gt(settings_need_restart(&now, &next, names, sizeof(names)), 0);
    cr_assert(strstr(names, "Daemon.Scope, ") != NULL);
    cr_assert(strstr(names, "LogLevel") == NULL);
    settings_keep_restart_keys(&now, &next);
    cr_assert_str_eq(next.scope, "default");
    cr_assert_eq(next.log_level, LOG_LEVEL_DEBUG);
    cr_assert_eq(settings_need_restart(&now, &next, names, sizeof(names)), 0);
}

Test(settings, help_names_every_option_and_key)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    cr_assert_not_null(out);
    settings_help(out);
    settings_help_all(out);
    (void)fclose(out);
    const struct setting *s;
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        cr_assert(strstr(text, s->key) != NULL, "%s", s->key);
        cr_assert(s->option == NULL || strstr(text, s->option) != NULL, "%s", s->option);
    }
    free(text);
}
