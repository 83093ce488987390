/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Shell completion from the table of commands. Each shell asks "rspctl __complete
 * pools|pes|registrars" for what only the daemon knows. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <string.h>

static const char *operand_words(enum ctl_operand operand)
{
    switch (operand) {
    case OPERAND_POOL:
        return "pools";
    case OPERAND_PE:
        return "pes";
    case OPERAND_REGISTRAR:
        return "registrars";
    case OPERAND_COMMAND:
        return "commands";
    case OPERAND_SHELL:
        return "shells";
    case OPERAND_NONE:
        break;
    }
    return "";
}

static void print_option_names(const enum ctl_option *ids)
{
    for (const enum ctl_option *id = ids; *id != OPT_IDS; id++) {
        printf(" --%s%s", ctl_options[*id].name, ctl_options[*id].argument != NULL ? "=" : "");
    }
}

/** One line of a case statement for each command: its options and what its operands are. */
static void print_shell_cases(void)
{
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (c->group != NULL) {
            printf("    '%s%s%s') operand='%s'; options='", c->noun, c->verb != NULL ? " " : "",
                   c->verb != NULL ? c->verb : "", operand_words(c->operand));
            print_option_names(c->options);
            printf("' ;;\n");
        }
    }
}

/** All first words, or all second words of a noun, once each. */
static void print_words(const char *noun)
{
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (c->group == NULL) {
            continue;
        }
        if (noun != NULL) {
            if (strcmp(c->noun, noun) == 0 && c->verb != NULL) {
                printf(" %s", c->verb);
            }
            continue;
        }
        bool seen = false;
        for (size_t j = 0; j < i; j++) {
            seen = seen || strcmp(ctl_commands[j].noun, c->noun) == 0;
        }
        if (!seen) {
            printf(" %s", c->noun);
        }
    }
}

static void print_bash(void)
{
    printf("# bash completion for rspctl; made by \"rspctl completion bash\"\n_rspctl() {\n"
           "  local cur=${COMP_WORDS[COMP_CWORD]} noun= verb= word operand= options= i\n"
           "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
           "    word=${COMP_WORDS[i]}\n"
           "    case $word in -*) continue ;; esac\n"
           "    if [ -z \"$noun\" ]; then noun=$word\n"
           "    elif [ -z \"$verb\" ]; then verb=$word; fi\n"
           "  done\n"
           "  if [ -z \"$noun\" ]; then\n"
           "    COMPREPLY=($(compgen -W '");
    print_words(NULL);
    printf(" ls ps");
    print_option_names(ctl_general_options);
    printf("' -- \"$cur\")); return\n  fi\n"
           "  case $noun in ls) noun=pool verb=list ;; ps) noun=pe verb=list ;; esac\n"
           "  case \"$noun\" in\n");
    static const char *const nouns[] = {"pool", "pe", "registrar"};
    for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
        printf("    %s) if [ -z \"$verb\" ]; then COMPREPLY=($(compgen -W '", nouns[i]);
        print_words(nouns[i]);
        printf("' -- \"$cur\")); return; fi; noun=\"$noun $verb\" ;;\n");
    }
    printf("  esac\n  case $noun in\n");
    print_shell_cases();
    printf("  esac\n"
           "  case $cur in\n"
           "    -*) COMPREPLY=($(compgen -W \"$options");
    print_option_names(ctl_general_options);
    printf("\" -- \"$cur\")) ;;\n"
           "    *) case $operand in\n"
           "      pools|pes|registrars) COMPREPLY=($(compgen -W \"$(rspctl __complete $operand "
           "2>/dev/null)\" -- \"$cur\")) ;;\n"
           "      commands) COMPREPLY=($(compgen -c -- \"$cur\")) ;;\n"
           "      shells) COMPREPLY=($(compgen -W 'bash zsh fish' -- \"$cur\")) ;;\n"
           "    esac ;;\n"
           "  esac\n"
           "  case ${COMPREPLY[0]-} in *=) compopt -o nospace ;; esac\n"
           "}\ncomplete -F _rspctl rspctl\n");
}

static void print_zsh(void)
{
    printf("#compdef rspctl\n# made by \"rspctl completion zsh\"\n_rspctl() {\n"
           "  local noun= verb= word operand= options=\n"
           "  for word in ${words[2,CURRENT-1]}; do\n"
           "    [[ $word == -* ]] && continue\n"
           "    if [[ -z $noun ]]; then noun=$word; elif [[ -z $verb ]]; then verb=$word; fi\n"
           "  done\n"
           "  if [[ -z $noun ]]; then compadd --");
    print_words(NULL);
    printf(" ls ps; return; fi\n"
           "  case $noun in ls) noun=pool verb=list ;; ps) noun=pe verb=list ;; esac\n"
           "  case $noun in\n");
    static const char *const nouns[] = {"pool", "pe", "registrar"};
    for (size_t i = 0; i < sizeof(nouns) / sizeof(nouns[0]); i++) {
        printf("    %s) if [[ -z $verb ]]; then compadd --", nouns[i]);
        print_words(nouns[i]);
        printf("; return; fi; noun=\"$noun $verb\" ;;\n");
    }
    printf("  esac\n  case $noun in\n");
    print_shell_cases();
    printf("  esac\n"
           "  if [[ ${words[CURRENT]} == -* ]]; then compadd -- ${=options}");
    print_option_names(ctl_general_options);
    printf("; return; fi\n"
           "  case $operand in\n"
           "    pools|pes|registrars) compadd -- $(rspctl __complete $operand 2>/dev/null) ;;\n"
           "    commands) _command_names -e ;;\n"
           "    shells) compadd bash zsh fish ;;\n"
           "  esac\n}\n_rspctl \"$@\"\n");
}

static void print_fish(void)
{
    printf("# fish completion for rspctl; made by \"rspctl completion fish\"\n"
           "complete -c rspctl -f\n");
    for (const enum ctl_option *id = ctl_general_options; *id != OPT_IDS; id++) {
        const struct ctl_option_spec *o = &ctl_options[*id];
        printf("complete -c rspctl -l %s%s -d '%s'\n", o->name, o->argument != NULL ? " -r" : "",
               o->help);
    }
    for (size_t i = 0; i < ctl_command_count; i++) {
        const struct ctl_command *c = &ctl_commands[i];
        if (c->group == NULL) {
            continue;
        }
        char seen[128];
        (void)snprintf(seen, sizeof(seen), "__fish_seen_subcommand_from %s%s%s", c->noun,
                       c->verb != NULL ? "; and __fish_seen_subcommand_from " : "",
                       c->verb != NULL ? c->verb : "");
        printf("complete -c rspctl -n __fish_use_subcommand -a %s -d '%s'\n", c->noun,
               c->verb != NULL ? "" : c->help);
        if (c->verb != NULL) {
            printf("complete -c rspctl -n '__fish_seen_subcommand_from %s' -a %s -d '%s'\n",
                   c->noun, c->verb, c->help);
        }
        if (c->operand == OPERAND_POOL || c->operand == OPERAND_PE ||
            c->operand == OPERAND_REGISTRAR) {
            printf("complete -c rspctl -n '%s' -a '(rspctl __complete %s 2>/dev/null)'\n", seen,
                   operand_words(c->operand));
        } else if (c->operand == OPERAND_SHELL) {
            printf("complete -c rspctl -n '%s' -a 'bash zsh fish'\n", seen);
        } else if (c->operand == OPERAND_COMMAND) {
            printf("complete -c rspctl -n '%s' -a '(__fish_complete_command)'\n", seen);
        }
        for (const enum ctl_option *id = c->options; *id != OPT_IDS; id++) {
            printf("complete -c rspctl -n '%s' -l %s%s -d '%s'\n", seen, ctl_options[*id].name,
                   ctl_options[*id].argument != NULL ? " -r" : "", ctl_options[*id].help);
        }
    }
}

int ctl_run_completion(struct ctl *ctl)
{
    static const struct {
        const char *shell;
        void (*print)(void);
    } shells[] = {{"bash", print_bash}, {"zsh", print_zsh}, {"fish", print_fish}};
    for (size_t i = 0; i < sizeof(shells) / sizeof(shells[0]); i++) {
        if (strcmp(ctl->argv[0], shells[i].shell) == 0) {
            shells[i].print();
            return CTL_OK;
        }
    }
    return ctl_fail(CTL_USAGE, "no completion for \"%s\": bash, zsh or fish", ctl->argv[0]);
}

/** What completes an operand: a request, its items, and the member that is the word. */
struct word_source {
    const char *kind;
    enum lp_type request;
    enum lp_tlv item, member;
};

static void print_word(const struct lp_each *it, void *arg)
{
    const struct word_source *source = arg;
    char text[POOL_HANDLE_TEXT_MAX];
    struct pool_handle handle;
    struct lp_each in;
    lp_nested(&in, it);
    while (lp_next(&in)) {
        if (in.type != source->member) {
            continue;
        }
        if (in.type != LP_T_HANDLE) {
            printf("0x%08x\n", lp_u32(&in, 0));
        } else if (lp_handle(&in, &handle)) {
            printf("%s\n", pool_handle_format(handle, text, sizeof(text)));
        }
    }
}

int ctl_run_complete(struct ctl *ctl)
{
    static const struct word_source sources[] = {
        {"pools", LP_POOL_LIST, LP_T_POOL, LP_T_HANDLE},
        {"pes", LP_PE_LIST, LP_T_PE, LP_T_PE_ID},
        {"registrars", LP_REGISTRAR_LIST, LP_T_REGISTRAR, LP_T_HOME_ID},
    };
    ctl->timeout_ms = 100;
    for (size_t i = 0; i < sizeof(sources) / sizeof(sources[0]); i++) {
        struct word_source source = sources[i];
        if (strcmp(ctl->argv[0], source.kind) != 0 || !client_try(ctl)) {
            continue;
        }
        struct lp_writer *w = client_begin(ctl, source.request);
        if (source.request == LP_PE_LIST) {
            lp_put_u32(w, LP_T_LOCAL, 1);
        }
        (void)client_list(ctl, "complete", source.item, print_word, &source);
    }
    return CTL_OK;
}
