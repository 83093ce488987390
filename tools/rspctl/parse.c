/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line: options, command, operands; and the values of options. */
#include "tools/rspctl/rspctl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORD_MAX 32

/** How many insertions, deletions and exchanges make one word the other; long words are "far". */
static size_t distance(const char *a, const char *b)
{
    size_t la = strlen(a);
    size_t lb = strlen(b);
    if (la > WORD_MAX || lb > WORD_MAX) {
        return WORD_MAX;
    }
    size_t row[WORD_MAX + 1];
    for (size_t j = 0; j <= lb; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= la; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= lb; j++) {
            size_t above = row[j];
            size_t best = corner + (a[i - 1] != b[j - 1]);
            best = above + 1 < best ? above + 1 : best;
            best = row[j - 1] + 1 < best ? row[j - 1] + 1 : best;
            corner = above;
            row[j] = best;
        }
    }
    return row[lb];
}

/** Keeps the nearest of the words shown to it; a third of the letters may be wrong. */
static void nearer(const char *typed, const char *word, const char **best, size_t *best_distance)
{
    size_t d = distance(typed, word);
    if (d < *best_distance && d * 3 <= strlen(word) + 2) {
        *best = word;
        *best_distance = d;
    }
}

static int unknown_command(const char *noun, const char *verb)
{
    const char *best = NULL;
    size_t best_distance = WORD_MAX;
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (c->group == NULL) {
            continue;
        }
        if (verb == NULL) {
            nearer(noun, c->noun, &best, &best_distance);
        } else if (strcmp(c->noun, noun) == 0 && c->verb != NULL) {
            nearer(verb, c->verb, &best, &best_distance);
        }
    }
    const char *space = verb != NULL ? " " : "";
    const char *second = verb != NULL ? verb : "";
    if (best == NULL) {
        return ctl_fail(CTL_USAGE, "no command \"%s%s%s\" - see \"rspctl --help\"", noun, space,
                        second);
    }
    return ctl_fail(CTL_USAGE, "no command \"%s%s%s\" - did you mean \"rspctl %s%s%s\"?", noun,
                    space, second, verb != NULL ? noun : best, space, verb != NULL ? best : "");
}

static int unknown_option(const struct ctl_command *command, const char *option)
{
    const char *best = NULL;
    size_t best_distance = WORD_MAX;
    char typed[WORD_MAX + 1];
    (void)snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(option, "="), option);
    for (int id = 0; id < OPT_IDS; id++) {
        if (typed[0] == '-' && typed[1] == '-' && ctl_takes(command, (enum ctl_option)id)) {
            nearer(typed + 2, ctl_options[id].name, &best, &best_distance);
        }
    }
    const char *noun = command != NULL ? command->noun : "";
    const char *verb = command != NULL && command->verb != NULL ? command->verb : "";
    if (best != NULL) {
        return ctl_fail(CTL_USAGE, "no option \"%s\" here - did you mean \"--%s\"?", typed, best);
    }
    return ctl_fail(CTL_USAGE, "no option \"%s\" here - see \"rspctl %s%s%s%s--help\"", typed, noun,
                    verb[0] != '\0' ? " " : "", verb, noun[0] != '\0' ? " " : "");
}

/** The option an argument names; `*ret_value` is what follows "=" or the letter, or NULL. */
static const struct ctl_option_spec *find_option(const struct ctl_command *command,
                                                 const char *argument, const char **ret_value)
{
    for (int id = 0; id < OPT_IDS; id++) {
        const struct ctl_option_spec *o = &ctl_options[id];
        if (!ctl_takes(command, o->id)) {
            continue;
        }
        if (argument[1] == '-') {
            size_t len = strcspn(argument + 2, "=");
            if (strlen(o->name) == len && strncmp(argument + 2, o->name, len) == 0) {
                *ret_value = argument[2 + len] == '=' ? argument + 3 + len : NULL;
                return o;
            }
        } else if (o->letter != 0 && argument[1] == o->letter) {
            *ret_value = argument[2] != '\0' ? argument + 2 : NULL;
            return o;
        }
    }
    return NULL;
}

/** Takes the option at argv[*i] and its value; moves *i to the last word used. */
static int take_option(struct ctl *ctl, int argc, char **argv, int *i)
{
    const char *argument = argv[*i];
    for (;;) {
        const char *value = NULL;
        const struct ctl_option_spec *o = find_option(ctl->command, argument, &value);
        if (o == NULL) {
            return unknown_option(ctl->command, argument);
        }
        bool is_long = argument[1] == '-';
        if (o->argument == NULL) {
            if (value != NULL && is_long) {
                return ctl_fail(CTL_USAGE, "option \"--%s\" takes no value", o->name);
            }
            ctl->opt[o->id] = "";
            if (value == NULL) {
                return CTL_OK;
            }
            argument++; /* -qv: the next letter stands where the dash of this one stood */
            continue;
        }
        if (value == NULL) {
            if (*i + 1 >= argc) {
                return ctl_fail(CTL_USAGE, "option \"--%s\" needs a value: %s", o->name,
                                o->argument);
            }
            value = argv[++*i];
        }
        ctl->opt[o->id] = value;
        return CTL_OK;
    }
}

/** A word that belongs to the command: sets the command when it is complete. */
static int take_command_word(struct ctl *ctl, char **noun, char *word)
{
    if (*noun == NULL) {
        *noun = word;
        ctl->command = ctl_command_find(word, NULL);
        if (ctl->command == NULL && !ctl_noun_has_verbs(word)) {
            return unknown_command(word, NULL);
        }
        return CTL_OK;
    }
    ctl->command = ctl_command_find(*noun, word);
    return ctl->command == NULL ? unknown_command(*noun, word) : CTL_OK;
}

/** Checks what only the whole line shows. */
static int check_line(struct ctl *ctl, const char *noun)
{
    if (ctl->opt[OPT_HELP] != NULL || ctl->opt[OPT_VERSION] != NULL) {
        return CTL_OK;
    }
    if (noun != NULL && ctl->command == NULL) {
        ctl->command = ctl_command_find(noun, "list");
    }
    const struct ctl_command *c = ctl->command;
    if (c != NULL && (ctl->argc < c->args_min || ctl->argc > c->args_max)) {
        return ctl_fail(CTL_USAGE, "%s%s%s: %s - usage: rspctl %s%s%s %s", c->noun,
                        c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
                        ctl->argc < c->args_min ? "something is missing" : "too many arguments",
                        c->noun, c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
                        c->arguments);
    }
    const char *timeout = ctl->opt[OPT_TIMEOUT];
    uint32_t ms;
    if (timeout != NULL && (!ctl_duration(timeout, &ms) || ms > INT32_MAX)) {
        return ctl_fail(CTL_USAGE, "--timeout \"%s\" is no duration - write 250ms, 5s, 2min",
                        timeout);
    }
    ctl->timeout_ms = timeout != NULL ? (int)ms : 5000;
    const char *color = ctl->opt[OPT_COLOR];
    if (color != NULL && strcmp(color, "always") != 0 && strcmp(color, "auto") != 0 &&
        strcmp(color, "never") != 0) {
        return ctl_fail(CTL_USAGE, "--color \"%s\" - write always, auto or never", color);
    }
    return CTL_OK;
}

int ctl_parse(struct ctl *ctl, int argc, char **argv)
{
    char *noun = NULL;
    bool options_over = false;
    ctl->argv = argv; /* operands are moved to its front */
    ctl->argc = 0;
    for (int i = 1; i < argc; i++) {
        char *word = argv[i];
        int status = CTL_OK;
        if (!options_over && strcmp(word, "--") == 0) {
            options_over = true;
        } else if (!options_over && word[0] == '-' && word[1] != '\0') {
            status = take_option(ctl, argc, argv, &i);
        } else if (ctl->command == NULL) {
            status = take_command_word(ctl, &noun, word);
        } else {
            ctl->argv[ctl->argc++] = word;
            options_over = options_over || ctl->command->operand == OPERAND_COMMAND;
        }
        if (status != CTL_OK) {
            return ctl->command != NULL && ctl->command->operand == OPERAND_COMMAND
                       ? CTL_RUN_WRAPPER
                       : status;
        }
    }
    if (ctl->opt[OPT_HELP] != NULL && noun != NULL && ctl->command == NULL) {
        ctl->argv[ctl->argc++] = noun;
    }
    return check_line(ctl, noun);
}

bool ctl_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
    char *end;
    errno = 0;
    unsigned long value = strtoul(text, &end, strncmp(text, "0x", 2) == 0 ? 16 : 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0 || value < min ||
        value > max) {
        return false;
    }
    *ret = (uint32_t)value;
    return true;
}

bool ctl_duration(const char *text, uint32_t *ret_ms)
{
    static const struct {
        const char *unit;
        double ms;
    } units[] = {{"ms", 1},   {"s", 1e3},    {"", 1e3},   {"min", 60e3},
                 {"m", 60e3}, {"h", 3600e3}, {"sec", 1e3}};
    char *end;
    errno = 0;
    double value = strtod(text, &end);
    if (text[0] < '0' || text[0] > '9' || errno != 0) {
        return false;
    }
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            double ms = value * units[i].ms;
            if (!(ms <= UINT32_MAX)) {
                return false;
            }
            *ret_ms = (uint32_t)(ms + 0.5);
            return true;
        }
    }
    return false;
}

/** Ends the program: an option's value is wrong. */
__attribute__((noreturn)) static void wrong_value(const struct ctl *ctl, enum ctl_option id,
                                                  const char *want)
{
    (void)ctl_fail(CTL_USAGE, "--%s \"%s\" - write %s", ctl_options[id].name, ctl->opt[id], want);
    exit(ctl->command->operand == OPERAND_COMMAND ? CTL_RUN_WRAPPER : CTL_USAGE);
}

uint32_t ctl_option_number(struct ctl *ctl, enum ctl_option id, uint32_t min, uint32_t max,
                           uint32_t fallback)
{
    uint32_t value = fallback;
    if (ctl->opt[id] != NULL && !ctl_number(ctl->opt[id], min, max, &value)) {
        char want[64];
        (void)snprintf(want, sizeof(want), "a number from %u to %u", min, max);
        wrong_value(ctl, id, want);
    }
    return value;
}

uint32_t ctl_option_ms(struct ctl *ctl, enum ctl_option id, uint32_t fallback)
{
    uint32_t value = fallback;
    if (ctl->opt[id] != NULL && !ctl_duration(ctl->opt[id], &value)) {
        wrong_value(ctl, id, "a duration: 250ms, 5s, 2min");
    }
    return value;
}
