/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "common/rnd.h"

#include <criterion/criterion.h>

Test(rnd, same_seed_same_sequence)
{
    struct rnd a;
    struct rnd b;
    rnd_seed(&a, 7);
    rnd_seed(&b, 7);
    for (int i = 0; i < 100; i++) {
        cr_assert_eq(rnd_next(&a), rnd_next(&b));
    }
}

Test(rnd, below_is_uniform)
{
    struct rnd r;
    unsigned hits[6] = {0};
    rnd_seed(&r, 1);
    for (int i = 0; i < 60000; i++) {
        hits[rnd_below(&r, 6)]++;
    }
    double chi = 0;
    for (int i = 0; i < 6; i++) {
        double d = hits[i] - 10000.0;
        chi += d * d / 10000.0;
    }
    cr_assert_lt(chi, 35.89); /* policies.md §11: 5 degrees of freedom, 10^-6 */
}

Test(rnd, identifier_is_never_a_reserved_value)
{
    struct rnd r;
    rnd_seed(&r, 3);
    for (int i = 0; i < 10000; i++) {
        uint32_t id = rnd_identifier(&r);
        cr_assert(id != 0 && id != 0xffffffffu);
    }
}

Test(rnd, jitter_stays_inside)
{
    struct rnd r;
    rnd_seed(&r, 3);
    int64_t low = 2000;
    int64_t high = 0;
    for (int i = 0; i < 10000; i++) {
        int64_t v = rnd_jitter(&r, 1000, 50);
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    cr_assert(low >= 500 && low < 520 && high <= 1500 && high > 1480);
}
