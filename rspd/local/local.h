/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rspd/local/ - the daemon's side towards its own host.
 *
 *   life.h       life fds: who holds a PE
 *   records.h    registrations kept over a restart
 *   cookies.h    pool handles as 127.x and ULA addresses
 *   watch.h      load, hung servers, adopted servers, draining: the kernel's sockets
 *   hang.h       pure: when is a server hung?
 *   probe.h      TCP and HTTP probes
 *   authority.h  pure: who may do what with a pool
 *   rules.h      pure: which programs join which pool
 *   netns.h      network namespaces
 *
 * The Unix socket server stands beside them and ties them to the agent.
 */
#ifndef RSP_RSPD_LOCAL_LOCAL_H
#define RSP_RSPD_LOCAL_LOCAL_H
#endif
