/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold inside the machines whenever none of their functions runs, whatever happened. */
#ifndef RSP_TESTS_UNIT_RSPD_INSIDES_H
#define RSP_TESTS_UNIT_RSPD_INSIDES_H

#include <stdbool.h>

/** In a function that says what is wrong: that `condition` is not so. */
#define HOLDS(condition, what)                                                                     \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            return what;                                                                           \
        }                                                                                          \
    } while (0)

struct ag;
struct ag_local;
struct enrp;
struct rg;

/** What is wrong, or NULL. Outside of a read section; the loop thread. */
const char *insides_of_agent(const struct ag *ag);
const char *insides_of_enrp(const struct enrp *en);
const char *insides_of_registrar(const struct rg *rg);

/** Whether the timer of a local PE runs or rests as its state wants it. */
bool insides_timer_fits(const struct ag_local *l);

#endif
