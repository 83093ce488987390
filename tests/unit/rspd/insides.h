/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What must hold inside the machines whenever none of their functions runs, whatever happened. */
#ifndef RSP_TESTS_UNIT_RSPD_INSIDES_H
#define RSP_TESTS_UNIT_RSPD_INSIDES_H

struct ag;
struct enrp;
struct rg;

/** What is wrong, or NULL. Outside of a read section; the loop thread. */
const char *insides_of_agent(const struct ag *ag);
const char *insides_of_enrp(const struct enrp *en);
const char *insides_of_registrar(const struct rg *rg);

#endif
