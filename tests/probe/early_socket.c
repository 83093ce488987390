/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: hooks are called before the shim's constructor (by a library of the program) and after
 * destructors; see early_lib.c. */
#include "probe.h"

int early_result(void);

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    CHECK(early_result() == 0);
    meet(argv[1]);
    return 0;
}
