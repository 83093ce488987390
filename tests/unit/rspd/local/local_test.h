/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What the tests of rspd/local/ share: a folder of their own, and waiting without sleeping. */
#ifndef RSP_TESTS_LOCAL_TEST_H
#define RSP_TESTS_LOCAL_TEST_H

#include "transport/loop.h"

#include <criterion/criterion.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static char test_dir[64];

static inline const char *test_dir_make(void)
{
    (void)snprintf(test_dir, sizeof(test_dir), "/tmp/rspd-test-XXXXXX");
    cr_assert_not_null(mkdtemp(test_dir));
    return test_dir;
}

static inline int test_dir_remove_one(const char *path, const struct stat *st, int type,
                                      struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static inline void test_dir_remove(void)
{
    (void)nftw(test_dir, test_dir_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int64_t test_now_ms(void)
{
    struct timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/** Steps the loop until `*done` or the deadline; whether it came. */
static inline bool test_wait(struct loop *loop, const volatile bool *done, int limit_ms)
{
    int64_t end = test_now_ms() + limit_ms;
    while (!*done) {
        int64_t left = end - test_now_ms();
        if (left <= 0) {
            return false;
        }
        cr_assert_geq(loop_step(loop, (int)left), 0);
    }
    return true;
}

#endif
