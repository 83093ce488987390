/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* How a flood is told from a burst (meter.h). */
#include "rspd/registrar/meter.h"

#include <criterion/criterion.h>

static const struct meter_limit LIMIT = {.rate = 10, .burst = 20, .flood = 50};

static struct tm_us at_ms(int64_t ms)
{
    return (struct tm_us){ms * 1000};
}

static unsigned fits(struct meter *meter, unsigned messages, int64_t ms)
{
    unsigned n = 0;
    while (messages-- > 0) {
        n += meter_take(meter, 1, LIMIT, at_ms(ms)) == METER_FITS ? 1 : 0;
    }
    return n;
}

/* The burst at once, also at the very start; then as much as time has brought. */
Test(meter, rate)
{
    static const struct {
        int64_t ms;
        unsigned fit;
    } table[] = {{0, 20}, {99, 0}, {100, 1}, {1100, 10}, {3099, 19}, {3100, 1}, {9000, 20}};
    struct meter meter;
    meter_init(&meter, LIMIT, at_ms(0));
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        cr_assert_eq(fits(&meter, 25, table[i].ms), table[i].fit, "row %zu", i);
    }
}

/* So much over the burst is a flood, and counting begins anew. */
Test(meter, flood)
{
    struct meter meter;
    meter_init(&meter, LIMIT, at_ms(0));
    cr_assert_eq(fits(&meter, 20, 0), 20);
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 50; i++) {
            cr_assert_eq(meter_take(&meter, 1, LIMIT, at_ms(0)), METER_OVER, "%d", i);
        }
        cr_assert_eq(meter_take(&meter, 1, LIMIT, at_ms(0)), METER_FLOOD);
    }
}

/* Who has been silent as long as it takes to fill it is forgiven, who has not is not. */
Test(meter, forgiving)
{
    struct meter meter;
    meter_init(&meter, LIMIT, at_ms(0));
    (void)fits(&meter, 20 + 50, 0);
    (void)meter_take(&meter, 1, LIMIT, at_ms(1999));
    cr_assert_neq(meter.over, 0);
    (void)meter_take(&meter, 1, LIMIT, at_ms(3999));
    cr_assert_eq(meter.over, 0);
}

/* A clock that went back brings nothing, and a smaller rate takes what is too much. */
Test(meter, other_clocks_and_rates)
{
    struct meter meter;
    meter_init(&meter, LIMIT, at_ms(5000));
    cr_assert_eq(fits(&meter, 30, 5000), 20);
    cr_assert_eq(fits(&meter, 30, 4000), 0);
    meter_init(&meter, (struct meter_limit){.rate = 100, .burst = 200, .flood = 500}, at_ms(0));
    cr_assert_eq(fits(&meter, 30, 1), 20);
}

/* What costs more takes more, also of what makes a flood; never more than the burst. */
Test(meter, cost)
{
    struct meter meter;
    meter_init(&meter, LIMIT, at_ms(0));
    cr_assert_eq(meter_take(&meter, 17, LIMIT, at_ms(0)), METER_FITS);
    cr_assert_eq(meter_take(&meter, 4, LIMIT, at_ms(0)), METER_OVER);
    cr_assert_eq(meter_take(&meter, 3, LIMIT, at_ms(0)), METER_FITS);
    cr_assert_eq(meter_take(&meter, 100, LIMIT, at_ms(1999)), METER_OVER);
    cr_assert_eq(meter_take(&meter, 100, LIMIT, at_ms(2000)), METER_FITS);
    cr_assert_eq(meter.over, 0);
    cr_assert_eq(meter_take(&meter, 50, LIMIT, at_ms(2000)), METER_OVER);
    cr_assert_eq(meter_take(&meter, 20, LIMIT, at_ms(2000)), METER_OVER);
    cr_assert_eq(meter_take(&meter, 11, LIMIT, at_ms(2000)), METER_FLOOD);
}
