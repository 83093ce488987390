/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * common/ - the vocabulary every floor shares.
 *
 *   types.h   pool_handle, ip_address, transport, policy, pool_element: what RSerPool talks about
 *   cursor.h  bounds-checked reading and writing of octets
 *   clock.h   tm_us, the one type of time inside the program
 *   rnd.h     randomness as a value that is passed in
 *   log.h     levels, one sink, rate limits
 *   buffer.h  owned octets
 *   names.h   host names of pools; bindmap.h: which socket joins which pool
 *
 * Nothing here knows a protocol, a socket or an operating system.
 */
#ifndef RSP_COMMON_COMMON_H
#define RSP_COMMON_COMMON_H

#include "common/bindmap.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/cursor.h"
#include "common/log.h"
#include "common/names.h"
#include "common/rnd.h"
#include "common/types.h"

#endif
