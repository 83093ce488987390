/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The daemon: owns the loop and everything that runs on it, carries messages between the pure
 * machines (agent, registrar) and the transport, and performs what they want done. One per process.
 *
 * Within a host agent and registrar speak over LOCAL_ASSOC, without a socket; towards other hosts
 * over SCTP. Where SCTP, multicast or a port cannot be had the daemon says so and goes on with what
 * is left.
 */
#ifndef RSP_RSPD_DAEMON_H
#define RSP_RSPD_DAEMON_H

#include "rspd/settings.h"

struct daemon;

struct daemon_options {
    int listen_fd; /* Unix socket passed by the service manager; -1: none */
    /** Reads the settings again into `ret` (SIGHUP); 0, or -errno after having said why. */
    int (*reload)(void *ctx, struct settings *ret);
    void *ctx;
};

/**
 * Sets everything up; `take_settings` is moved in on success. What is missing is logged; what makes
 * it impossible to run is explained in `error`.
 */
int daemon_new(struct settings *take_settings, const struct daemon_options *options,
               struct daemon **ret, char *error, size_t error_size);
/** Runs until SIGTERM or SIGINT; the local PEs have then left the scope, their records stay. */
int daemon_run(struct daemon *d);
void daemon_free(struct daemon *d);

#endif
