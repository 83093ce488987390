/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * rspd/ - the daemon: one per host.
 *
 *   agent/      pure: the local PEs and PUs towards the scope (RFC 5352, client side)
 *   registrar/  pure: the ASAP server side; ENRP joins it
 *   local/      the host: Unix socket server, life fds, records, load, probes, cookies, authority
 *   outbox.h    what the pure machines want done
 *   event.h     what happened, with an id, for log and monitor
 *   settings.h  every setting, its default, its range: one table
 *   daemon.c    carries messages between machines and transport; main.c starts and ends it
 */
#ifndef RSP_RSPD_RSPD_H
#define RSP_RSPD_RSPD_H
#endif
