/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rspctl: from the command line to the command. */
#include "tools/rspctl/rspctl.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/** "rsprun ARG..." is "rspctl run ARG...": inserts the word. */
static int as_rsprun(int argc, char **argv, char **out)
{
    static char run[] = "run";
    out[0] = argv[0];
    out[1] = run;
    for (int i = 1; i <= argc; i++) {
        out[i + 1] = argv[i];
    }
    return argc + 1;
}

int main(int argc, char **argv)
{
    struct ctl ctl = {.fd = -1};
    char **expanded = NULL;
    const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
    if (argc > 0 && strcmp(slash != NULL ? slash + 1 : argv[0], "rsprun") == 0) {
        expanded = calloc((size_t)argc + 2, sizeof(*expanded));
        if (expanded == NULL) {
            return ctl_fail(CTL_RUN_WRAPPER, "out of memory");
        }
        argc = as_rsprun(argc, argv, expanded);
        argv = expanded;
    }
    int status = ctl_parse(&ctl, argc, argv);
    if (status != CTL_OK) {
        free(expanded);
        return status;
    }
    if (ctl.opt[OPT_VERSION] != NULL) {
        status = ctl_run_version(&ctl);
    } else if (ctl.opt[OPT_HELP] != NULL && ctl.command != NULL) {
        ctl_help_command(ctl.command);
    } else if (ctl.opt[OPT_HELP] != NULL) {
        ctl_help_overview(ctl.argc > 0 ? ctl.argv[0] : NULL);
    } else if (ctl.command == NULL) {
        status = ctl_run_status(&ctl);
    } else {
        status = ctl.command->run(&ctl);
    }
    if (ctl.fd >= 0) {
        (void)close(ctl.fd);
    }
    free(expanded);
    if (fflush(stdout) != 0 && status == CTL_OK) {
        status = ctl_fail(CTL_FAILED, "cannot write to standard output");
    }
    return status;
}
