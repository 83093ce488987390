/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * preload/ - librsp_preload.so: makes a program that knows nothing of pools a pool user or a pool
 * element. It interposes what names, connects, listens and destroys, never what carries data, and
 * it changes addresses, never descriptors. Programs that use no pool see no difference.
 *
 *   hooks.h     the one list of interposed functions; exports.c gives them their names
 *   real.h      the originals behind them
 *   guard.h     what our own work inside a foreign thread stands in
 *   config.h    settings: the environment's and the daemon's
 *   rpc.h       the conversation with the daemon
 *   forkmark.h  whether we are still the process we were
 *   pools.h     the pools this process has met
 *   fdtable.h   what is known of descriptors
 *   target.h    socket address -> pool -> element -> socket address
 *   names.c connect.c datagram.c listen.c fds.c family.c: the hooks, by concern
 *
 * Below it: the local protocol and its client, and libc. Nothing here may allocate (names.c's
 * canonical name excepted), start a thread, install a handler, or write where it was not asked to.
 */
#ifndef RSP_PRELOAD_PRELOAD_H
#define RSP_PRELOAD_PRELOAD_H
#endif
