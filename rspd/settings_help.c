/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What `rspd --help` and `rspd --help-settings` print, from the tables. */
#include <string.h>

#include "rspd/settings_table.h"

const struct settings_option settings_options[SETTINGS_OPTIONS] = {
    {"--config", "FILE", "read settings from FILE instead of /etc/rspd/rspd.conf", -1},
    {"--set", "KEY=VALUE", "any setting: Section.Key=VALUE; may be repeated", -1},
    {"--check-config", NULL, "check file and options, then end", SETTINGS_CHECK},
    {"--help", NULL, "this text", SETTINGS_HELP},
    {"--help-settings", NULL, "all settings with their values and ranges", SETTINGS_HELP_SETTINGS},
    {"--version", NULL, "name, version and features", SETTINGS_VERSION},
};

static void help_line(FILE *out, const char *option, const char *argument, const char *text)
{
    char left[40];
    (void)snprintf(left, sizeof(left), "%s%s%s", option, argument != NULL ? " " : "",
                   argument != NULL ? argument : "");
    (void)fprintf(out, "  %-25s %s\n", left, text);
}

void settings_help(FILE *out)
{
    const struct setting *s;
    (void)fprintf(out, "Usage: rspd [OPTION]...\n"
                       "The Reliable Server Pooling daemon of this host: agent for its programs, "
                       "and registrar where wanted.\n"
                       "Runs in the foreground and logs to standard error; needs no configuration."
                       "\n\n");
    for (size_t i = 0; i < SETTINGS_OPTIONS; i++) {
        help_line(out, settings_options[i].name, settings_options[i].argument,
                  settings_options[i].help);
    }
    (void)fputs("\nSettings (also in the file, see rspd --help-settings):\n", out);
    for (size_t i = 0; (s = setting_at(i)) != NULL; i++) {
        if (s->option != NULL) {
            help_line(out, s->option, s->argument, s->help);
        }
    }
    (void)fputs(
        "\nSIGTERM ends, SIGHUP reads the settings again. See rspd(8), rspctl(1), rsp(7).\n", out);
}

static void help_table(FILE *out, const struct setting *(*at)(size_t))
{
    const char *section = NULL;
    const struct setting *s;
    char allowed[160];
    for (size_t i = 0; (s = at(i)) != NULL; i++) {
        if (section == NULL || strcmp(section, s->section) != 0) {
            (void)fprintf(out, "%s[%s]\n", section == NULL ? "" : "\n", s->section);
            section = s->section;
        }
        (void)fprintf(out, "# %s%s\n#   allowed: %s%s\n", s->help,
                      s->reloadable ? "" : " (needs a restart)",
                      setting_allowed(s, allowed, sizeof(allowed)),
                      s->values[PROFILE_LAN] == NULL ? "; default: decided at start" : "");
        bool by_profile = false;
        for (size_t p = 0; p < PROFILES; p++) {
            by_profile = by_profile || (s->values[p] != NULL && s->values[PROFILE_LAN] != NULL &&
                                        strcmp(s->values[p], s->values[PROFILE_LAN]) != 0);
        }
        if (by_profile) {
            (void)fprintf(out, "#   by profile: rfc %s, rsplib %s, lan %s, fast %s\n",
                          s->values[PROFILE_RFC], s->values[PROFILE_RSPLIB], s->values[PROFILE_LAN],
                          s->values[PROFILE_FAST]);
        }
        (void)fprintf(out, "#%s = %s\n", s->key,
                      s->values[PROFILE_LAN] != NULL ? s->values[PROFILE_LAN] : "");
    }
    (void)fputs("\n", out);
}

void settings_help_all(FILE *out)
{
    help_table(out, setting_at);
    help_table(out, setting_pool_at);
    help_table(out, setting_program_at);
}
