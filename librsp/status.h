/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reports to a monitor of components, for those who ask for them: sent by whichever thread is in
 * the library when one is due, as there is no other. Everything here is thread-safe, leaves errno
 * alone, and must not be called with an sd locked.
 */
#ifndef RSP_LIBRSP_STATUS_H
#define RSP_LIBRSP_STATUS_H

#include "librsp/internal.h"

/** Whether reports are sent at all. */
bool status_on(void);
/** Sends the report that is due, if one is. */
void status_tick(void);
/** An element has come or gone: sends a report now, the final one if nothing is left to report of.
 */
void status_now(void);
/** At most how long to wait until the next status_tick(); -1: no bound. */
int status_patience_ms(void);
/** CSP_SERVER and CSP_INTERVAL of the environment, unless the program has said something. */
void status_from_environment(void);
/** In a child of fork(): it is another component, of which nothing is known. */
void status_child(void);

#endif
