/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hazard: closefrom() and close loops take the private descriptors away, and the numbers are used
 * by the program afterwards: the pool stays reachable, the program's files unharmed. */
#include "probe.h"

int main(int argc, char **argv)
{
    CHECK(argc == 2);
    meet(argv[1]);
    closefrom(3);
    meet(argv[1]);
    CHECK(close_range(3, ~0U, 0) == 0);
    meet(argv[1]);
    for (int i = 3; i < 1024; i++) {
        (void)close(i);
    }
    meet(argv[1]);
    /* Past our hook: now the numbers really are gone, and become ours. */
    long call = 436; /* close_range */
    CHECK(syscall(call, 3U, ~0U, 0) == 0);
    int files[2];
    CHECK(pipe(files) == 0);
    int taken = fcntl(files[1], F_DUPFD_CLOEXEC, 700);
    CHECK(taken == 700);
    meet(argv[1]);
    CHECK(write(taken, "x", 1) == 1);
    char c;
    CHECK(read(files[0], &c, 1) == 1 && c == 'x');
    return 0;
}
