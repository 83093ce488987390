/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Help and version, from the table of commands. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <string.h>

static void print_options(const enum ctl_option *ids)
{
    for (const enum ctl_option *id = ids; *id != OPT_IDS; id++) {
        const struct ctl_option_spec *o = &ctl_options[*id];
        char left[48];
        char letter[5] = "    ";
        if (o->letter != 0) {
            (void)snprintf(letter, sizeof(letter), "-%c, ", o->letter);
        }
        (void)snprintf(left, sizeof(left), "%s--%s%s%s", letter, o->name,
                       o->argument != NULL ? " " : "", o->argument != NULL ? o->argument : "");
        printf("  %-30s %s\n", left, o->help);
    }
}

void ctl_help_overview(const char *noun)
{
    printf("Usage: rspctl [COMMAND] [OPTION]...\n");
    if (noun == NULL) {
        printf("\nServers as pool elements, clients as pool users, without changing either.\n"
               "Without a command: a short status.\n");
    }
    const char *group = NULL;
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (c->group == NULL || (noun != NULL && strcmp(noun, c->noun) != 0)) {
            continue;
        }
        if (group == NULL || strcmp(group, c->group) != 0) {
            group = c->group;
            printf("\n%s:\n", group);
        }
        char left[48];
        (void)snprintf(left, sizeof(left), "%s%s%s %s", c->noun, c->verb != NULL ? " " : "",
                       c->verb != NULL ? c->verb : "", c->arguments);
        printf("  %-30s %s\n", left, c->help);
    }
    printf("\nOptions of every command:\n");
    print_options(ctl_general_options);
    printf("\n\"rspctl COMMAND --help\" shows the options of a command. ls = pool list, ps = pe "
           "list.\nHANDLE: web, web.pool.alt, rsp://web; PE: an id (0x1a2b3c4d) or HANDLE:PORT.\n");
}

void ctl_help_command(const struct ctl_command *c)
{
    printf("Usage: rspctl %s%s%s [OPTION]... %s\n\n%c%s.\n", c->noun, c->verb != NULL ? " " : "",
           c->verb != NULL ? c->verb : "", c->arguments,
           c->help[0] >= 'a' && c->help[0] <= 'z' ? c->help[0] - 'a' + 'A' : c->help[0],
           c->help + 1);
    if (c->options[0] != OPT_IDS) {
        printf("\nOptions:\n");
        print_options(c->options);
    }
    printf("\nOptions of every command:\n");
    print_options(ctl_general_options);
}

int ctl_run_help(struct ctl *ctl)
{
    if (ctl->argc == 0) {
        ctl_help_overview(NULL);
        return CTL_OK;
    }
    const struct ctl_command *c =
        ctl_command_find(ctl->argv[0], ctl->argc > 1 ? ctl->argv[1] : NULL);
    if (c != NULL) {
        ctl_help_command(c);
        return CTL_OK;
    }
    if (ctl->argc == 1 && ctl_noun_has_verbs(ctl->argv[0])) {
        ctl_help_overview(ctl->argv[0]);
        return CTL_OK;
    }
    return ctl_fail(CTL_USAGE, "no command \"%s\" - see \"rspctl --help\"", ctl->argv[0]);
}

int ctl_run_version(struct ctl *ctl)
{
    const char *daemon = "not running";
    char text[64];
    struct lp_message reply;
    if (client_try(ctl)) {
        (void)client_begin(ctl, LP_STATUS);
        struct lp_each it;
        daemon = "running";
        if (client_ask(ctl, &reply) == 0 && lp_find(&reply, LP_T_DAEMON_VERSION, &it)) {
            daemon = lp_str(&it, text, sizeof(text));
        }
    }
    if (ctl->opt[OPT_JSON] != NULL) {
        return out_json("rspctl.version/1",
                        json_pack("{s:s, s:s, s:i, s:i, s:s}", "name", "rspctl", "version",
                                  RSP_VERSION, "local_protocol", LP_VERSION, "json_schema", 1,
                                  "daemon", daemon));
    }
    printf("rspctl %s\nbuild: %s\nlocal protocol: %d\nJSON schemas: 1\nshim: %s\ndaemon: %s\n",
           RSP_VERSION, RSP_BUILD, LP_VERSION, RSP_PRELOAD_PATH, daemon);
    return CTL_OK;
}
