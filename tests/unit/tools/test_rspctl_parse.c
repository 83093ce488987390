/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: where options may stand, which are whose, values, and the table itself. */
#include <criterion/criterion.h>
#include <criterion/redirect.h>
#include <stdio.h>
#include <string.h>

#include "tools/rspctl/rspctl.h"

#define ARGS_MAX 16

/** Parses a line of words separated by single blanks. */
static int parse(struct ctl *ctl, const char *line)
{
    static char text[512];
    static char *argv[ARGS_MAX];
    char *save = NULL;
    int argc = 0;
    memset(ctl, 0, sizeof(*ctl));
    (void)snprintf(text, sizeof(text), "%s", line);
    for (char *w = strtok_r(text, " ", &save); w != NULL; w = strtok_r(NULL, " ", &save)) {
        argv[argc++] = w;
    }
    argv[argc] = NULL;
    return ctl_parse(ctl, argc, argv);
}

Test(parse, options_stand_anywhere)
{
    static const char *const lines[] = {
        "rspctl --json --socket /s pe list web", "rspctl pe --json list --socket=/s web",
        "rspctl pe list web --socket /s --json", "rspctl ps web --json --socket /s"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ctl ctl;
        cr_assert_eq(parse(&ctl, lines[i]), CTL_OK, "%s", lines[i]);
        cr_assert_eq(ctl.command, ctl_command_find("pe", "list"));
        cr_assert_str_eq(ctl.opt[OPT_SOCKET], "/s");
        cr_assert_not_null(ctl.opt[OPT_JSON]);
        cr_assert_eq(ctl.argc, 1);
        cr_assert_str_eq(ctl.argv[0], "web");
    }
}

Test(parse, letters_may_be_bundled)
{
    struct ctl ctl;
    cr_assert_eq(parse(&ctl, "rspctl resolve -qvn5 web"), CTL_OK);
    cr_assert_not_null(ctl.opt[OPT_QUIET]);
    cr_assert_not_null(ctl.opt[OPT_VERBOSE]);
    cr_assert_str_eq(ctl.opt[OPT_COUNT_N], "5");
    cr_assert_eq(parse(&ctl, "rspctl resolve -n 7 web"), CTL_OK);
    cr_assert_str_eq(ctl.opt[OPT_COUNT_N], "7");
}

Test(parse, a_noun_alone_lists)
{
    struct ctl ctl;
    cr_assert_eq(parse(&ctl, "rspctl registrar"), CTL_OK);
    cr_assert_eq(ctl.command, ctl_command_find("registrar", "list"));
    cr_assert_eq(parse(&ctl, "rspctl"), CTL_OK);
    cr_assert_null(ctl.command);
}

Test(parse, options_of_run_end_at_its_command)
{
    struct ctl ctl;
    cr_assert_eq(parse(&ctl, "rspctl run --pool web nginx --pool x -q"), CTL_OK);
    cr_assert_eq(ctl.argc, 4);
    cr_assert_str_eq(ctl.argv[1], "--pool");
    cr_assert_null(ctl.opt[OPT_QUIET]);
    cr_assert_eq(parse(&ctl, "rspctl run -- -odd"), CTL_OK);
    cr_assert_str_eq(ctl.argv[0], "-odd");
}

Test(parse, what_is_wrong, .init = cr_redirect_stderr)
{
    static const char *const lines[] = {"rspctl pe list --pool x", "rspctl pe list a b",
                                        "rspctl resolve",          "rspctl nonsense",
                                        "rspctl pe nonsense",      "rspctl --json=yes",
                                        "rspctl --socket",         "rspctl --color blue status",
                                        "rspctl pe list -",        "rspctl status --timeout -1"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        struct ctl ctl;
        int want = i == 8 ? CTL_OK : CTL_USAGE; /* "-" alone is an operand */
        cr_assert_eq(parse(&ctl, lines[i]), want, "%s", lines[i]);
    }
    struct ctl ctl;
    cr_assert_eq(parse(&ctl, "rspctl run --nonsense x"), CTL_RUN_WRAPPER);
}

Test(parse, durations)
{
    static const struct {
        const char *text;
        uint32_t ms;
        bool ok;
    } cases[] = {{"250ms", 250, true}, {"5s", 5000, true},     {"5", 5000, true},
                 {"1.5s", 1500, true}, {"2min", 120000, true}, {"1h", 3600000, true},
                 {"0", 0, true},       {"", 0, false},         {"-1s", 0, false},
                 {"5 s", 0, false},    {"5x", 0, false},       {"s", 0, false},
                 {"99999h", 0, false}, {"nan", 0, false},      {"1e99h", 0, false}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint32_t ms = 0;
        cr_assert_eq(ctl_duration(cases[i].text, &ms), cases[i].ok, "%s", cases[i].text);
        cr_assert_eq(ms, cases[i].ms, "%s", cases[i].text);
    }
}

Test(parse, numbers)
{
    uint32_t n = 0;
    cr_assert(ctl_number("0x10", 0, 20, &n) && n == 16);
    cr_assert(ctl_number("65535", 1, 65535, &n) && n == 65535);
    cr_assert_not(ctl_number("65536", 1, 65535, &n));
    cr_assert_not(ctl_number("0", 1, 65535, &n));
    cr_assert_not(ctl_number("-1", 0, UINT32_MAX, &n));
    cr_assert_not(ctl_number("99999999999999999999", 0, UINT32_MAX, &n));
    cr_assert_not(ctl_number("1x", 0, 10, &n));
    cr_assert_not(ctl_number("", 0, 10, &n));
}

Test(table, is_complete_and_without_conflicts)
{
    for (size_t i = 0; i < OPT_IDS; i++) {
        cr_assert_eq(ctl_options[i].id, i);
        cr_assert_not_null(ctl_options[i].name);
        cr_assert_not_null(ctl_options[i].help);
    }
    for (size_t c = 0; c < ctl_command_count; c++) {
        const struct ctl_command *command = &ctl_commands[c];
        cr_assert_eq(ctl_command_find(command->noun, command->verb), command);
        cr_assert_leq(command->args_min, command->args_max);
        bool letters[256] = {false};
        for (size_t i = 0; i < OPT_IDS; i++) {
            uint8_t letter = (uint8_t)ctl_options[i].letter;
            if (letter != 0 && ctl_takes(command, ctl_options[i].id)) {
                cr_assert_not(letters[letter], "-%c twice in %s", letter, command->noun);
                letters[letter] = true;
            }
        }
    }
}

Test(handle, forms)
{
    struct ctl ctl = {.suffixes = {".pool.alt"}, .suffix_count = 1};
    static const struct {
        const char *text;
        const char *octets;
    } cases[] = {{"web", "web"},          {"Web", "Web"},
                 {"WEB.Pool.Alt", "web"}, {"rsp://w.pool.alt", "w.pool.alt"},
                 {"a\\x20b", "a b"},      {"x--6120.pool.alt", "a "},
                 {"x--6120", "x--6120"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct handle_text handle;
        cr_assert_eq(handle_read(&ctl, cases[i].text, &handle), CTL_OK, "%s", cases[i].text);
        cr_assert_eq(handle.len, strlen(cases[i].octets), "%s", cases[i].text);
        cr_assert_arr_eq(handle.octets, cases[i].octets, handle.len);
    }
}

Test(handle, refused, .init = cr_redirect_stderr)
{
    struct ctl ctl = {.suffixes = {".pool.alt"}, .suffix_count = 1};
    char long_text[POOL_HANDLE_MAX + 2];
    memset(long_text, 'a', sizeof(long_text) - 1);
    long_text[sizeof(long_text) - 1] = '\0';
    const char *const cases[] = {"", "rsp://", "a\\x2", "a\\xzz", "x--6.pool.alt", long_text};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct handle_text handle;
        cr_assert_eq(handle_read(&ctl, cases[i], &handle), CTL_USAGE, "%.20s", cases[i]);
    }
}
