/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Plain programs for the thread checker, under which criterion does not start. */
#ifndef RSP_TESTS_TSAN_H
#define RSP_TESTS_TSAN_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            (void)fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #condition);                  \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

#endif
