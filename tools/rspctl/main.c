/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* rspctl: from the command line to the command. */
#include "tools/rspctl/rspctl.h"

#include <locale.h>
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    struct ctl ctl = {.fd = -1};
    /* Widths of characters alone: numbers keep their point. */
    (void)setlocale(LC_CTYPE, "");
    int status = ctl_parse(&ctl, argc, argv);
    if (status != CTL_OK) {
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
    if (fflush(stdout) != 0 && status == CTL_OK) {
        status = ctl_fail(CTL_FAILED, "cannot write to standard output");
    }
    return status;
}
