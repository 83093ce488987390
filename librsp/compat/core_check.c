/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Compiles only while core.h says of librsp what <rsp/rsp.h> says. */
#include "librsp/compat/rename.h"

#include <rsp/rsp.h>

#include "librsp/compat/core.h"

_Static_assert((int)CORE_LEVEL == SOL_RSP, "level");
_Static_assert((int)CORE_AUTO_FAILOVER == RSP_SO_AUTO_FAILOVER, "option");
_Static_assert((int)CORE_NOTIFICATIONS == RSP_SO_NOTIFICATIONS, "option");
_Static_assert((int)CORE_CONNECT_TIMEOUT == RSP_SO_CONNECT_TIMEOUT, "option");
_Static_assert((int)CORE_REPLAY == RSP_SO_REPLAY, "option");
_Static_assert((int)CORE_PE_ID == RSP_SO_PE_ID, "option");

/* The structures that go through as they are; tests/interop/test_compat.py has the offsets. */
_Static_assert(sizeof(struct rsp_addrinfo) == 56 || sizeof(void *) != 8, "rsp_addrinfo");
_Static_assert(sizeof(struct rsp_loadinfo) == 24, "rsp_loadinfo");
_Static_assert(sizeof(struct rsp_sndrcvinfo) == 20, "rsp_sndrcvinfo");
_Static_assert(sizeof(union rserpool_notification) == 20, "rserpool_notification");
