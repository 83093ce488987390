/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Fuzz targets. Each fuzz_NAME.c defines this one function; with libFuzzer it becomes fuzz-NAME,
 * with replay.c a program that runs it over the files of a corpus.
 */
#ifndef RSP_TESTS_FUZZ_H
#define RSP_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *octets, size_t len);

/** Also in builds without assertions a finding must be one. */
#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

#endif
